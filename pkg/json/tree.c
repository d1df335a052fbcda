/* Trees written, in their own order and in the canonical form of RFC 8785, and copied. Recursion is
 * bounded: no reader builds a tree deeper than JSON_DEPTH_CAP. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "json/internal.h"

/* Objects up to here are sorted without memory from the heap. */
#define SORTED_ON_STACK 32

/* SPEC rfc8785 3.2.3: "formatted as arrays of UTF-16 code units". UTF-16 puts U+E000..U+FFFF (UTF-8
 * EE, EF) behind the surrogates that supplementary characters (F0..F4) begin with; UTF-8 puts them
 * before. Elsewhere the two orders agree, so moving these lead octets is enough: no continuation
 * octet reaches EE. */
static uint8_t utf16_rank(uint8_t c) {
    if (c >= 0xF0) return (uint8_t)(c - 2);
    return c >= 0xEE ? (uint8_t)(c + 0x10) : c;
}

int json_compare_utf16(struct bytes a, struct bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++)
        if (a.data[i] != b.data[i]) return utf16_rank(a.data[i]) < utf16_rank(b.data[i]) ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

static int by_utf16(const void *a, const void *b) {
    const struct json_member *const *ma = a, *const *mb = b;
    return json_compare_utf16((*ma)->name, (*mb)->name);
}

/* What a walk writes: sorted (JCS) or as the tree has it. */
enum order { AS_IT_IS, SORTED };

static void put_tree(struct json_writer *w, const struct json_value *v, enum order order,
                     size_t depth);

static void put_member(struct json_writer *w, const struct json_member *m, enum order order,
                       size_t depth) {
    json_key_bytes(w, m->name);
    put_tree(w, &m->value, order, depth);
}

/* Text that we wrote is sorted already, so insertion costs one comparison a member; beyond the
 * small case the input may be hostile and the sort must not be quadratic. */
static void sort_members(const struct json_member **members, size_t count) {
    if (count > SORTED_ON_STACK) {
        qsort(members, count, sizeof *members, by_utf16);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        const struct json_member *m = members[i];
        size_t at = i;
        for (; at > 0 && json_compare_utf16(m->name, members[at - 1]->name) < 0; at--)
            members[at] = members[at - 1];
        members[at] = m;
    }
}

static void put_sorted(struct json_writer *w, const struct json_value *object,
                       const struct json_member *extra, size_t depth) {
    const struct json_member *on_stack[SORTED_ON_STACK];
    const struct json_member **members = on_stack;
    size_t own = object == NULL ? 0 : object->object.count;
    size_t count = own + (extra != NULL);
    if (count > SORTED_ON_STACK) members = alloc_zero(count, sizeof *members);
    if (members == NULL) {
        w->out->failed = true; /* as when the buf itself finds no memory */
        return;
    }
    for (size_t i = 0; i < own; i++) members[i] = &object->object.members[i];
    if (extra != NULL) members[own] = extra;
    sort_members(members, count);
    json_object_begin(w);
    for (size_t i = 0; i < count; i++) put_member(w, members[i], SORTED, depth);
    json_object_end(w);
    if (members != on_stack) alloc_free(members);
}

static void put_object(struct json_writer *w, const struct json_value *v, enum order order,
                       size_t depth) {
    if (order == SORTED) {
        put_sorted(w, v, NULL, depth);
        return;
    }
    json_object_begin(w);
    for (size_t i = 0; i < v->object.count; i++) put_member(w, &v->object.members[i], order, depth);
    json_object_end(w);
}

static void put_array(struct json_writer *w, const struct json_value *v, enum order order,
                      size_t depth) {
    json_array_begin(w);
    for (size_t i = 0; i < v->array.count; i++) put_tree(w, &v->array.items[i], order, depth);
    json_array_end(w);
}

static void put_tree(struct json_writer *w, const struct json_value *v, enum order order,
                     size_t depth) {
    ASSERT(depth <= JSON_DEPTH_CAP);
    switch (v->type) {
        case JSON_NULL:
            json_put_null(w);
            break;
        case JSON_BOOL:
            json_put_bool(w, v->boolean);
            break;
        case JSON_INT:
            json_put_int(w, v->integer);
            break;
        case JSON_UINT:
            json_put_uint(w, v->unsigned_integer);
            break;
        case JSON_DOUBLE:
            json_put_double(w, v->number);
            break;
        case JSON_STRING:
            json_put_string(w, v->string);
            break;
        case JSON_ARRAY:
            put_array(w, v, order, depth + 1);
            break;
        case JSON_OBJECT:
            put_object(w, v, order, depth + 1);
            break;
    }
}

void json_put_value(struct json_writer *w, const struct json_value *v) {
    put_tree(w, v, AS_IT_IS, 0);
}

void json_put_jcs(struct json_writer *w, const struct json_value *v) { put_tree(w, v, SORTED, 0); }

void json_put_jcs_with(struct json_writer *w, const struct json_value *object,
                       const struct json_member *extra) {
    put_sorted(w, object, extra, 1);
}

/* --- copying */

static struct error *copy_tree(struct arena *arena, const struct json_value *v, size_t depth,
                               struct json_value *out);

static struct error *copy_string(struct arena *arena, struct bytes in, struct bytes *out) {
    *out = arena_copy(arena, in);
    return out->data == NULL ? error_nomem() : NULL;
}

static struct error *copy_items(struct arena *arena, const struct json_value *v, size_t depth,
                                struct json_value *out) {
    struct json_value *items = arena_alloc(arena, v->array.count * sizeof *items);
    if (items == NULL) return error_nomem();
    for (size_t i = 0; i < v->array.count; i++)
        TRY(copy_tree(arena, &v->array.items[i], depth, &items[i]));
    *out = json_of_array(items, v->array.count);
    return NULL;
}

static struct error *copy_members(struct arena *arena, const struct json_value *v, size_t depth,
                                  struct json_value *out) {
    struct json_member *members = arena_alloc(arena, v->object.count * sizeof *members);
    if (members == NULL) return error_nomem();
    for (size_t i = 0; i < v->object.count; i++) {
        TRY(copy_string(arena, v->object.members[i].name, &members[i].name));
        TRY(copy_tree(arena, &v->object.members[i].value, depth, &members[i].value));
    }
    *out = json_of_object(members, v->object.count);
    return NULL;
}

static struct error *copy_tree(struct arena *arena, const struct json_value *v, size_t depth,
                               struct json_value *out) {
    ASSERT(depth <= JSON_DEPTH_CAP);
    struct json_value copy = *v;
    if (v->type == JSON_STRING) TRY(copy_string(arena, v->string, &copy.string));
    if (v->type == JSON_ARRAY) TRY(copy_items(arena, v, depth + 1, &copy));
    if (v->type == JSON_OBJECT) TRY(copy_members(arena, v, depth + 1, &copy));
    *out = copy;
    return NULL;
}

struct error *json_copy(struct arena *arena, const struct json_value *v, struct json_value *out) {
    return copy_tree(arena, v, 0, out);
}
