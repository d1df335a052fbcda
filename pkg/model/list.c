/* Finding a model's files and hashing them. Folders are walked breadth first, from a list, so that
 * the depth of a tree costs no stack. */
#include <stdlib.h>

#include "base/assert.h"
#include "model/internal.h"

/* SPEC oms-v1.0 6.2: these are ignored at the top of the model, and only there. */
static const struct text git_paths[] = {TEXT_LIT(".git"), TEXT_LIT(".gitattributes"),
                                        TEXT_LIT(".github"), TEXT_LIT(".gitignore")};
enum { GIT_PATHS = sizeof git_paths / sizeof *git_paths };

/* --- names */

bool path_is_inside(struct bytes path) {
    if (path.len > MODEL_PATH_MAX) return false;
    while (true) {
        const uint8_t *slash = path.len == 0 ? NULL : memchr(path.data, '/', path.len);
        struct bytes part = {path.data, slash == NULL ? path.len : (size_t)(slash - path.data)};
        if (part.len == 0 || bytes_equal(part, BYTES_LIT(".")) ||
            bytes_equal(part, BYTES_LIT("..")))
            return false;
        if (slash == NULL) return true;
        path = (struct bytes){slash + 1, path.len - part.len - 1};
    }
}

static bool is_at_or_under(struct text path, struct text top) {
    return bytes_start_with(bytes_of_text(path), bytes_of_text(top)) &&
           (path.len == top.len || path.data[top.len] == '/');
}

static bool is_ignored(const struct model *m, struct text path) {
    for (size_t i = 0; i < m->ignored_count; i++) {
        if (is_at_or_under(path, m->ignored[i])) return true;
    }
    return false;
}

static int compare_texts(const void *a, const void *b) {
    return bytes_compare(bytes_of_text(*(const struct text *)a),
                         bytes_of_text(*(const struct text *)b));
}

static struct error *set_ignored(struct arena *arena, const struct text *ignore, size_t count,
                                 struct model *m) {
    m->ignored = arena_alloc(arena, (GIT_PATHS + count) * sizeof *m->ignored);
    if (m->ignored == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a model");
    for (size_t i = 0; i < GIT_PATHS; i++) m->ignored[m->ignored_count++] = git_paths[i];
    for (size_t i = 0; i < count; i++) {
        struct bytes path = bytes_of_text(ignore[i]);
        if (path.len > 0 && path.data[path.len - 1] == '/') path.len--;
        if (!path_is_inside(path))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "cannot ignore " BYTES_FMT ": not in the model", BYTES_ARG(ignore[i]));
        struct bytes copy = arena_copy(arena, path);
        if (copy.data == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a model");
        m->ignored[m->ignored_count++] = (struct text){(const char *)copy.data, copy.len};
    }
    qsort(m->ignored, m->ignored_count, sizeof *m->ignored, compare_texts);
    return NULL;
}

/* --- lists */

struct error *file_list_add(struct file_list *l, struct text name, uint64_t octets) {
    if (l->count == MODEL_FILES_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a model of more than %zu files",
                         MODEL_FILES_MAX);
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct model_file *files = arena_alloc(l->arena, cap * sizeof *files);
        if (files == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a model");
        if (l->count > 0) memcpy(files, l->files, l->count * sizeof *files);
        l->files = files;
        l->cap = cap;
    }
    l->files[l->count++] = (struct model_file){.name = name, .octets = octets};
    return NULL;
}

static int compare_files(const void *a, const void *b) {
    return bytes_compare(bytes_of_text(((const struct model_file *)a)->name),
                         bytes_of_text(((const struct model_file *)b)->name));
}

/* SPEC oms-v1.0 6.4: resources stand in Unicode code point order of their names. */
bool model_sort(struct model *m) {
    qsort(m->files, m->count, sizeof *m->files, compare_files);
    for (size_t i = 1; i < m->count; i++) {
        if (compare_files(&m->files[i - 1], &m->files[i]) == 0) return false;
    }
    return true;
}

/* --- walking */

struct folder {
    struct folder *next;
    struct text path; /* "" for the top */
    unsigned depth;
};

struct walk {
    struct arena *arena;
    const struct model *model; /* what is ignored */
    struct file_list files;
    struct folder *at;   /* being listed */
    struct folder *last; /* of those that wait */
};

static struct error *join(struct walk *w, struct bytes name, struct text *out) {
    struct text folder = w->at->path;
    size_t len = folder.len + (folder.len > 0) + name.len;
    char *path = len > MODEL_PATH_MAX ? NULL : arena_alloc(w->arena, len + 1);
    if (path == NULL)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "in " BYTES_FMT ": a path too long, or no room",
                         BYTES_ARG(folder));
    size_t at = folder.len;
    if (at > 0) memcpy(path, folder.data, at);
    if (at > 0) path[at++] = '/';
    memcpy(path + at, name.data, name.len);
    if (!text_of_bytes((struct bytes){(const uint8_t *)path, len}, out))
        return error_new(ERROR_INVALID_ARGUMENT, "in " BYTES_FMT ": a name that is not UTF-8",
                         BYTES_ARG(folder));
    return NULL;
}

static struct error *add_folder(struct walk *w, struct text path) {
    if (w->at->depth == MODEL_DEPTH_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, BYTES_FMT " lies deeper than %d folders",
                         BYTES_ARG(path), MODEL_DEPTH_MAX);
    struct folder *f = arena_alloc(w->arena, sizeof *f);
    if (f == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a model");
    *f = (struct folder){.path = path, .depth = w->at->depth + 1};
    w->last->next = f;
    w->last = f;
    return NULL;
}

static struct error *see_entry(void *ctx, const struct model_entry *entry) {
    struct walk *w = ctx;
    struct text path = {0};
    TRY(join(w, entry->name, &path));
    ASSERT(path_is_inside(bytes_of_text(path)));
    if (is_ignored(w->model, path)) return NULL;
    switch (entry->node) {
        case MODEL_NODE_FILE:
            return file_list_add(&w->files, path, entry->octets);
        case MODEL_NODE_FOLDER:
            return add_folder(w, path);
        case MODEL_NODE_LINK:
            return error_new(ERROR_INVALID_ARGUMENT, BYTES_FMT " is a link", BYTES_ARG(path));
        case MODEL_NODE_UNSET:
        case MODEL_NODE_OTHER:
            break;
    }
    return error_new(ERROR_INVALID_ARGUMENT, BYTES_FMT " is neither a file nor a folder",
                     BYTES_ARG(path));
}

struct error *model_list(struct arena *arena, const struct model_source *src,
                         const struct text *ignore, size_t ignore_count, struct model *out) {
    struct model m = {0};
    TRY(set_ignored(arena, ignore, ignore_count, &m));
    struct folder top = {.path = TEXT_LIT("")};
    struct walk w = {
        .arena = arena, .model = &m, .files = {.arena = arena}, .at = &top, .last = &top};
    for (; w.at != NULL; w.at = w.at->next) TRY(src->list(src->ctx, w.at->path, see_entry, &w));
    if (w.files.count == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "a model without a single file");
    m.files = w.files.files;
    m.count = w.files.count;
    if (!model_sort(&m))
        return error_new(ERROR_INVALID_ARGUMENT, "the folder changed while it was listed");
    *out = m;
    return NULL;
}

/* --- hashing */

struct hashing {
    struct sha256_ctx ctx;
    uint64_t octets;
};

static void hash_chunk(void *ctx, struct bytes octets) {
    struct hashing *h = ctx;
    sha256_update(&h->ctx, octets);
    h->octets += octets.len;
}

struct error *model_hash_file(const struct model_source *src, struct model_file *file) {
    struct hashing h = {.octets = 0};
    sha256_init(&h.ctx);
    TRY(src->read(src->ctx, file->name, hash_chunk, &h));
    file->digest = sha256_final(&h.ctx);
    file->octets = h.octets;
    return NULL;
}

/* SPEC oms-v1.0 6.5.1: the root is the SHA-256 of the digests' octets, one behind the other. */
struct sha256 model_root(const struct model *m) {
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    for (size_t i = 0; i < m->count; i++) sha256_update(&ctx, sha256_bytes(&m->files[i].digest));
    return sha256_final(&ctx);
}

void model_finish(struct model *m) {
    m->octets = 0;
    for (size_t i = 0; i < m->count; i++) m->octets += m->files[i].octets;
    m->root = model_root(m);
}

struct error *model_digest(struct arena *arena, const struct model_source *src,
                           const struct text *ignore, size_t ignore_count, struct model *out) {
    struct model m = {0};
    TRY(model_list(arena, src, ignore, ignore_count, &m));
    for (size_t i = 0; i < m.count; i++) TRY(model_hash_file(src, &m.files[i]));
    model_finish(&m);
    *out = m;
    return NULL;
}
