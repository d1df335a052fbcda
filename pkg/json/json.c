/* Reading: limits and errors around the shim, the search for duplicate names, and lookups. */
#include "json/json.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/reader.h"
#include "json/internal.h"

/* Up to here every pair is compared; above, names are sorted: n log n comparisons, whatever an
 * attacker wrote, where a hash table without a secret could be flooded. */
#define PAIRWISE_MAX 16

static const struct json_member *duplicate_by_pairs(const struct json_member *members,
                                                    size_t count) {
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (bytes_equal(members[i].name, members[j].name)) return &members[i];
    return NULL;
}

static int by_name(const void *a, const void *b) {
    const struct json_member *const *ma = a, *const *mb = b;
    return bytes_compare((*ma)->name, (*mb)->name);
}

bool json_find_duplicate(const struct json_member *members, size_t count,
                         const struct json_member **out_duplicate) {
    *out_duplicate = NULL;
    if (count <= PAIRWISE_MAX) {
        *out_duplicate = duplicate_by_pairs(members, count);
        return true;
    }
    const struct json_member **sorted = alloc_zero(count, sizeof *sorted);
    if (sorted == NULL) return false;
    for (size_t i = 0; i < count; i++) sorted[i] = &members[i];
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 1; i < count && *out_duplicate == NULL; i++)
        if (bytes_equal(sorted[i - 1]->name, sorted[i]->name)) *out_duplicate = sorted[i];
    alloc_free(sorted);
    return true;
}

struct error *json_parse(struct arena *arena, struct bytes text, const struct json_limits *limits,
                         struct json_value *out) {
    ASSERT(limits->depth_max <= JSON_DEPTH_CAP);
    if (text.len > limits->octets_max)
        return error_new(ERROR_INVALID_ARGUMENT, "JSON: larger than %zu octets",
                         limits->octets_max);
    if (text.len == 0) return error_new(ERROR_INVALID_ARGUMENT, "JSON: no value");

    struct bytes why = {0};
    switch (json_shim_parse(arena, text, limits->depth_max, out, &why)) {
        case JSON_SHIM_OK:
            return NULL;
        case JSON_SHIM_NO_MEMORY:
            return error_nomem();
        /* SPEC rfc8259 4: "The names within an object SHOULD be unique." Two readers that choose
         * differently among equal names read two documents: refused. */
        case JSON_SHIM_DUPLICATE:
            return error_new(ERROR_INVALID_ARGUMENT, "JSON: the name \"" BYTES_FMT "\" is repeated",
                             BYTES_ARG(why));
        case JSON_SHIM_MALFORMED:
            break;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "JSON: " BYTES_FMT, BYTES_ARG(why));
}

static const struct json_value *find(const struct json_value *object, struct bytes name) {
    if (object == NULL || object->type != JSON_OBJECT) return NULL;
    for (size_t i = 0; i < object->object.count; i++)
        if (bytes_equal(object->object.members[i].name, name))
            return &object->object.members[i].value;
    return NULL;
}

const struct json_value *json_get(const struct json_value *object, const char *name) {
    return find(object, bytes_of_cstr(name));
}

static const struct json_value *step(const struct json_value *v, struct bytes name) {
    uint64_t index = 0;
    if (v == NULL || v->type != JSON_ARRAY) return find(v, name);
    if (!bytes_to_u64(name, &index) || index >= v->array.count) return NULL;
    return &v->array.items[index];
}

const struct json_value *json_at(const struct json_value *root, struct bytes path) {
    const struct json_value *v = root;
    for (;;) {
        const uint8_t *dot = path.len == 0 ? NULL : memchr(path.data, '.', path.len);
        size_t len = dot == NULL ? path.len : (size_t)(dot - path.data);
        v = step(v, (struct bytes){path.data, len});
        if (v == NULL || dot == NULL) return v;
        path = (struct bytes){dot + 1, path.len - len - 1};
    }
}

struct bytes json_string(const struct json_value *v) {
    return v != NULL && v->type == JSON_STRING ? v->string : (struct bytes){0};
}

bool json_u64(const struct json_value *v, uint64_t *out) {
    if (v == NULL) return false;
    if (v->type == JSON_STRING) return bytes_to_u64(v->string, out);
    if (v->type == JSON_UINT) {
        *out = v->unsigned_integer;
        return true;
    }
    if (v->type != JSON_INT || v->integer < 0) return false;
    *out = (uint64_t)v->integer;
    return true;
}
