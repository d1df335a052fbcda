/*
 * The manifest as a predicate, and comparing by it:
 *
 *   {"resources":[{"algorithm":"sha256","digest":"<hex>","name":"<path>"},...],
 *    "serialization":{"allow_symlinks":false,"hash_type":"sha256","ignore_paths":["<path>",...],
 *                     "method":"files"}}
 *
 * What a manifest ignores is unsigned: a file added there passes. So a comparison insists that it
 * ignores nothing but what the one who compares ignores himself.
 */
#include "codec/codec.h"
#include "model/internal.h"

/* --- writing: members stand in the order that RFC 8785 gives them */

static void put_resource(struct json_writer *w, const struct model_file *file) {
    json_object_begin(w);
    json_key(w, "algorithm");
    json_put_cstr(w, "sha256");
    json_key(w, "digest");
    json_put_hex(w, sha256_bytes(&file->digest));
    json_key(w, "name");
    json_put_string(w, bytes_of_text(file->name));
    json_object_end(w);
}

static void put_serialization(struct json_writer *w, const struct model *m) {
    json_object_begin(w);
    json_key(w, "allow_symlinks");
    json_put_bool(w, false);
    json_key(w, "hash_type");
    json_put_cstr(w, "sha256");
    json_key(w, "ignore_paths");
    json_array_begin(w);
    for (size_t i = 0; i < m->ignored_count; i++) json_put_string(w, bytes_of_text(m->ignored[i]));
    json_array_end(w);
    json_key(w, "method");
    json_put_cstr(w, "files");
    json_object_end(w);
}

void model_put_predicate(struct buf *out, const struct model *m) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "resources");
    json_array_begin(&w);
    for (size_t i = 0; i < m->count; i++) put_resource(&w, &m->files[i]);
    json_array_end(&w);
    json_key(&w, "serialization");
    put_serialization(&w, m);
    json_object_end(&w);
}

/* --- reading */

static struct error *malformed(const char *what) {
    return error_new(ERROR_INVALID_ARGUMENT, "model manifest: %s", what);
}

static struct error *copy_path(struct arena *arena, const struct json_value *v, const char *what,
                               struct text *out) {
    struct text path;
    if (v == NULL || v->type != JSON_STRING || !text_of_bytes(v->string, &path) ||
        !path_is_inside(v->string))
        return malformed(what);
    struct bytes copy = arena_copy(arena, v->string);
    if (copy.data == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a manifest");
    *out = (struct text){(const char *)copy.data, copy.len};
    return NULL;
}

static bool is_string(const struct json_value *v, struct bytes want) {
    return v != NULL && v->type == JSON_STRING && bytes_equal(v->string, want);
}

static struct error *read_resource(struct file_list *l, const struct json_value *v) {
    struct sha256 digest;
    struct text name;
    if (!is_string(json_get(v, "algorithm"), BYTES_LIT("sha256")))
        return malformed("a resource whose algorithm is not sha256");
    if (!hex_decode(json_string(json_get(v, "digest")), digest.octets, sizeof digest.octets))
        return malformed("a resource without a digest of 64 lower-case hexadecimal digits");
    TRY(copy_path(l->arena, json_get(v, "name"), "a resource whose name is no path in the model",
                  &name));
    TRY(file_list_add(l, name, 0));
    l->files[l->count - 1].digest = digest;
    return NULL;
}

static struct error *read_resources(struct arena *arena, const struct json_value *v,
                                    struct model *m) {
    if (v == NULL || v->type != JSON_ARRAY || v->array.count == 0) return malformed("no resources");
    struct file_list l = {.arena = arena};
    for (size_t i = 0; i < v->array.count; i++) TRY(read_resource(&l, &v->array.items[i]));
    m->files = l.files;
    m->count = l.count;
    m->root = model_root(m); /* before sorting: it is over the order of the manifest */
    return model_sort(m) ? NULL : malformed("a name that comes twice");
}

static struct error *read_ignored(struct arena *arena, const struct json_value *v,
                                  struct model *m) {
    if (v == NULL) return NULL;
    if (v->type != JSON_ARRAY) return malformed("ignore_paths is no array");
    m->ignored = arena_alloc(arena, v->array.count * sizeof *m->ignored);
    if (m->ignored == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a manifest");
    for (size_t i = 0; i < v->array.count; i++)
        TRY(copy_path(arena, &v->array.items[i], "an ignored path that is not in the model",
                      &m->ignored[m->ignored_count++]));
    return NULL;
}

static struct error *check_serialization(const struct json_value *v) {
    if (!is_string(json_get(v, "method"), BYTES_LIT("files")))
        return malformed("a method other than \"files\"");
    if (!is_string(json_get(v, "hash_type"), BYTES_LIT("sha256")))
        return malformed("a hash other than sha256");
    const struct json_value *links = json_get(v, "allow_symlinks");
    if (links != NULL && (links->type != JSON_BOOL || links->boolean))
        return malformed("links allowed");
    return NULL;
}

struct error *model_read_predicate(struct arena *arena, const struct json_value *predicate,
                                   struct model *out) {
    struct model m = {0};
    const struct json_value *serialization = json_get(predicate, "serialization");
    if (predicate->type != JSON_OBJECT || predicate->object.count != 2 || serialization == NULL)
        return malformed("not exactly the members resources and serialization");
    TRY(check_serialization(serialization));
    TRY(read_ignored(arena, json_get(serialization, "ignore_paths"), &m));
    TRY(read_resources(arena, json_get(predicate, "resources"), &m));
    *out = m;
    return NULL;
}

/* --- comparing */

static struct error *because(struct arena *arena, const char *what, struct text name,
                             struct text *out_why) {
    struct buf b;
    buf_init_arena(&b, arena, MODEL_PATH_MAX + 64);
    buf_put_cstr(&b, what);
    buf_put_cstr(&b, ": ");
    buf_put_text(&b, name);
    TRY(buf_finish(&b, "the difference"));
    *out_why = (struct text){(const char *)b.data, b.len};
    return NULL;
}

static bool ignores(const struct model *m, struct text path) {
    for (size_t i = 0; i < m->ignored_count; i++) {
        if (text_equal(m->ignored[i], path)) return true;
    }
    return false;
}

/* first_difference walks both sorted lists at once. Returns what differs, or NULL. */
static const char *first_difference(const struct model *want, const struct model *have,
                                    struct text *out_name) {
    for (size_t i = 0, k = 0; i < want->count || k < have->count; i++, k++) {
        const struct model_file *w = i < want->count ? &want->files[i] : NULL;
        const struct model_file *h = k < have->count ? &have->files[k] : NULL;
        int c = 0;
        if (w != NULL && h != NULL)
            c = bytes_compare(bytes_of_text(w->name), bytes_of_text(h->name));
        if (w != NULL) *out_name = w->name;
        if (w != NULL && (h == NULL || c < 0)) return "a file of the manifest is missing";
        if (h != NULL) *out_name = h->name;
        if (w == NULL || h == NULL || c > 0) return "a file is not in the manifest";
        if (!sha256_equal(&w->digest, &h->digest)) return "a file differs from the manifest";
    }
    return NULL;
}

struct error *model_compare(struct arena *arena, const struct model *want, const struct model *have,
                            bool *out_same, struct text *out_why) {
    struct text name = {0};
    const char *what = NULL;
    for (size_t i = 0; i < want->ignored_count && what == NULL; i++) {
        name = want->ignored[i];
        if (!ignores(have, name)) what = "the manifest leaves a path unsigned";
    }
    if (what == NULL) what = first_difference(want, have, &name);
    if (what != NULL) TRY(because(arena, what, name, out_why));
    *out_same = what == NULL;
    return NULL;
}
