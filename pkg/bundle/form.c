/* Counting an object's members and reading each by name is what keeps unknown ones out; names that
 * occur twice are refused by the JSON reader. */
#include "base/reader.h"
#include "codec/codec.h"
#include "internal.h"

void form_fail(struct form *f, const char *what, const char *why) {
    if (f->err == NULL) f->err = error_new(ERROR_INVALID_ARGUMENT, "%s: %s", what, why);
}

static const struct json_value *object_of(struct form *f, const struct json_value *v,
                                          const char *what, size_t members) {
    if (f->err != NULL) return NULL;
    if (v->type != JSON_OBJECT) {
        form_fail(f, what, "not an object");
    } else if (v->object.count != members) {
        form_fail(f, what, "a member is missing or unknown");
    }
    return f->err == NULL ? v : NULL;
}

const struct json_value *form_parse(struct form *f, struct bytes text, size_t octets_max,
                                    size_t members) {
    if (f->err != NULL) return NULL;
    struct json_value *root = arena_alloc(f->arena, sizeof *root);
    if (root == NULL) {
        f->err = error_nomem();
        return NULL;
    }
    struct json_limits limits = {.depth_max = 16, .octets_max = octets_max};
    f->err = json_parse(f->arena, text, &limits, root);
    return object_of(f, root, "the document", members);
}

static const struct json_value *member_of(struct form *f, const struct json_value *parent,
                                          const char *name) {
    if (f->err != NULL) return NULL;
    const struct json_value *v = json_get(parent, name);
    if (v == NULL) form_fail(f, name, "missing");
    return v;
}

const struct json_value *form_object(struct form *f, const struct json_value *parent,
                                     const char *name, size_t members) {
    return object_of(f, member_of(f, parent, name), name, members);
}

const struct json_value *form_item(struct form *f, const struct json_value *array, size_t i,
                                   size_t members) {
    if (f->err != NULL) return NULL;
    return object_of(f, &array->array.items[i], "an item", members);
}

const struct json_value *form_array(struct form *f, const struct json_value *parent,
                                    const char *name, size_t min, size_t max) {
    const struct json_value *v = member_of(f, parent, name);
    if (v == NULL) return NULL;
    if (v->type != JSON_ARRAY) {
        form_fail(f, name, "not an array");
    } else if (v->array.count < min || v->array.count > max) {
        form_fail(f, name, "too few or too many items");
    }
    return f->err == NULL ? v : NULL;
}

struct bytes form_string(struct form *f, const struct json_value *parent, const char *name) {
    const struct json_value *v = member_of(f, parent, name);
    if (v == NULL) return (struct bytes){0};
    if (v->type == JSON_STRING) return v->string;
    form_fail(f, name, "not a string");
    return (struct bytes){0};
}

void form_literal(struct form *f, const struct json_value *parent, const char *name,
                  const char *want) {
    struct bytes got = form_string(f, parent, name);
    if (!bytes_equal(got, bytes_of_cstr(want))) form_fail(f, name, "not the expected text");
}

uint64_t form_u64(struct form *f, const struct json_value *parent, const char *name) {
    uint64_t v = 0;
    if (!bytes_to_u64(form_string(f, parent, name), &v)) form_fail(f, name, "not a number");
    return v;
}

static struct bytes decoded(struct form *f, struct bytes text, const char *what) {
    if (f->err != NULL) return (struct bytes){0};
    struct bytes out = {0};
    struct error *err = base64_decode(f->arena, text, BASE64_STANDARD, &out);
    if (err != NULL) f->err = error_wrap(err, "%s", what);
    return out;
}

struct bytes form_base64(struct form *f, const struct json_value *parent, const char *name) {
    return decoded(f, form_string(f, parent, name), name);
}

static struct sha256 hash_of(struct form *f, struct bytes octets, const char *what) {
    struct sha256 out = {0};
    if (octets.len != sizeof out.octets) {
        form_fail(f, what, "not 32 octets");
    } else {
        memcpy(out.octets, octets.data, sizeof out.octets);
    }
    return out;
}

struct sha256 form_sha256(struct form *f, const struct json_value *parent, const char *name) {
    return hash_of(f, form_base64(f, parent, name), name);
}

struct sha256 form_sha256_item(struct form *f, const struct json_value *array, size_t i) {
    if (f->err != NULL) return (struct sha256){0};
    const struct json_value *v = &array->array.items[i];
    if (v->type != JSON_STRING) form_fail(f, "an item", "not a string");
    return hash_of(f, decoded(f, json_string(v), "an item"), "an item");
}

void form_window(struct form *f, const struct json_value *parent, int64_t *out_from_s,
                 int64_t *out_until_s) {
    const struct json_value *window = member_of(f, parent, "validFor");
    bool open = window == NULL || json_get(window, "end") == NULL;
    window = object_of(f, window, "validFor", open ? 1 : 2);
    struct bytes start = form_string(f, window, "start");
    struct bytes end = {0};
    if (!open) end = form_string(f, window, "end");

    int64_t from = 0;
    int64_t until = INT64_MAX;
    int32_t from_nanos = 0;
    int32_t until_nanos = 0;
    if (f->err == NULL && !time_parse(start, &from, &from_nanos)) form_fail(f, "start", "no time");
    if (f->err == NULL && !open && !time_parse(end, &until, &until_nanos))
        form_fail(f, "end", "no time");
    if (from_nanos > 0) from++; /* log times are whole seconds: the first one inside */
    if (from > until) form_fail(f, "validFor", "ends before it starts");
    *out_from_s = from;
    *out_until_s = until;
}

struct error *form_finish(struct form *f) {
    return MOVE(f->err);
}
