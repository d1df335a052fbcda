/*
 * manifest.json of a backup:
 *
 *   {"version":1,"origin":"log.example","createdMs":1780000000000,"treeSize":"42",
 *    "files":[{"path":"db/CURRENT","size":"16","sha256":"<64 hex>"},...]}
 *
 * Every file of the backup but the manifest itself is listed, once. A path is one of the names
 * below, or a bare name in one of the folders below: nothing that reaches out of the directory.
 */
#include "codec/codec.h"
#include "instance/internal.h"
#include "json/json.h"

#define MANIFEST_VERSION 1

static const char *const plain_files[] = {FACTS_FILE, "anchor", SECRET_FILE};
static const char *const folders[] = {"db/", "keys/", "tls/"};

void manifest_put(struct buf *out, const struct manifest *m) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "version");
    json_put_int(&w, MANIFEST_VERSION);
    json_key(&w, "origin");
    json_put_string(&w, bytes_of_text(m->origin));
    json_key(&w, "createdMs");
    json_put_int(&w, m->created_ms);
    json_key(&w, "treeSize");
    json_put_u64_string(&w, m->tree_size);
    json_key(&w, "files");
    json_array_begin(&w);
    for (size_t i = 0; i < m->file_count; i++) {
        json_object_begin(&w);
        json_key(&w, "path");
        json_put_string(&w, bytes_of_text(m->files[i].path));
        json_key(&w, "size");
        json_put_u64_string(&w, m->files[i].size);
        json_key(&w, "sha256");
        json_put_hex(&w, sha256_bytes(&m->files[i].sha256));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_put_u8(out, '\n');
}

static struct error *malformed(const char *what) {
    return error_new(ERROR_INVALID_ARGUMENT, MANIFEST_FILE ": bad or missing %s", what);
}

static bool is_bare_name(struct bytes name) {
    if (name.len == 0 || name.len > 200 || name.data[0] == '.') return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_';
        if (!good) return false;
    }
    return true;
}

static bool is_backup_path(struct bytes path) {
    for (size_t i = 0; i < sizeof plain_files / sizeof *plain_files; i++)
        if (bytes_equal(path, bytes_of_cstr(plain_files[i]))) return true;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct bytes folder = bytes_of_cstr(folders[i]);
        if (!bytes_start_with(path, folder)) continue;
        return is_bare_name((struct bytes){path.data + folder.len, path.len - folder.len});
    }
    return false;
}

static struct error *read_file(const struct json_value *v, struct manifest_file *out) {
    struct bytes path = json_string(json_get(v, "path"));
    if (v->type != JSON_OBJECT || v->object.count != 3) return malformed("file");
    if (!is_backup_path(path) || !text_of_bytes(path, &out->path)) return malformed("path");
    if (!json_u64(json_get(v, "size"), &out->size)) return malformed("size");
    if (!hex_decode(json_string(json_get(v, "sha256")), out->sha256.octets,
                    sizeof out->sha256.octets))
        return malformed("sha256");
    return NULL;
}

/* The list is in order of path, which also shows that none stands there twice. */
static struct error *read_files(struct arena *arena, const struct json_value *v,
                                struct manifest *out) {
    if (v == NULL || v->type != JSON_ARRAY || v->array.count > MANIFEST_FILES_MAX)
        return malformed("files");
    struct manifest_file *files = arena_alloc(arena, (v->array.count + 1) * sizeof *files);
    if (files == NULL) return error_nomem();
    for (size_t i = 0; i < v->array.count; i++) {
        TRY(read_file(&v->array.items[i], &files[i]));
        if (i > 0 &&
            bytes_compare(bytes_of_text(files[i - 1].path), bytes_of_text(files[i].path)) >= 0)
            return malformed("order of files");
    }
    out->files = files;
    out->file_count = v->array.count;
    return NULL;
}

struct error *manifest_parse(struct arena *arena, struct bytes json, struct manifest *out) {
    struct json_value v;
    struct manifest m = {0};
    uint64_t version = 0, created = 0;
    TRY(json_parse(arena, json, &JSON_LIMITS_DEFAULT, &v));
    if (!json_u64(json_get(&v, "version"), &version) || version != MANIFEST_VERSION)
        return malformed("version: it is another program version's");
    if (v.object.count != 5) return malformed("members");
    if (!text_of_bytes(json_string(json_get(&v, "origin")), &m.origin)) return malformed("origin");
    if (!json_u64(json_get(&v, "createdMs"), &created) || created > INT64_MAX)
        return malformed("createdMs");
    m.created_ms = (int64_t)created;
    if (!json_u64(json_get(&v, "treeSize"), &m.tree_size)) return malformed("treeSize");
    TRY(read_files(arena, json_get(&v, "files"), &m));
    *out = m;
    return NULL;
}
