/* kv_support: a folder a test, errors as failures, and texts over kv: for the suites of kv and
 * store. */
#ifndef TESTS_KV_SUPPORT_H
#define TESTS_KV_SUPPORT_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "kv/kv.h"

static char folder[64];

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *path) {
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void make_folder(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/test_kv.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void remove_folder(void) { remove_tree(folder); }

static inline const char *in_folder(const char *name) {
    static char path[4][256]; /* a few at a time */
    static unsigned turn;
    char *p = path[turn++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static inline void ok(struct error *err) {
    if (err == NULL) return;
    char text[512];
    error_text(err, text, sizeof text);
    ck_abort_msg("%s: %s", error_code_name(error_code(err)), text);
}

static inline void fails(struct error *err, enum error_code code) {
    ck_assert_ptr_nonnull(err);
    char text[512];
    error_text(err, text, sizeof text);
    ck_assert_msg(error_code(err) == code, "%s: %s", error_code_name(error_code(err)), text);
    error_free(err);
}

static inline struct error *open_rocks(const char *name, bool read_only, struct kv **out) {
    struct kv_rocksdb_options options = KV_ROCKSDB_DEFAULTS;
    options.read_only = read_only;
    return kv_rocksdb_open(in_folder(name), &options, out);
}

/* Tests of both forms loop over these. */
enum form { MEM, ROCKS, FORMS };

static inline struct kv *new_kv(int form) {
    struct kv *kv = NULL;
    ok(form == MEM ? kv_mem_new(&kv) : open_rocks("db", false, &kv));
    return kv;
}

/* --- small helpers over the seam; values are short texts */

static inline void put(struct kv *kv, enum kv_family family, const char *key, const char *value) {
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(kv, b, family, bytes_of_cstr(key), bytes_of_cstr(value));
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
}

static inline void drop(struct kv *kv, enum kv_family family, const char *key) {
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_delete(kv, b, family, bytes_of_cstr(key));
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
}

static inline bool holds(struct kv *kv, const struct kv_snapshot *snap, enum kv_family family,
                         const char *key, const char *value) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    bool found = false;
    struct bytes got = {0};
    ok(kv_get(kv, snap, family, bytes_of_cstr(key), &arena, &found, &got));
    bool same = found && value != NULL && bytes_equal(got, bytes_of_cstr(value));
    if (value == NULL) same = !found;
    arena_done(&arena);
    return same;
}

/* listing writes the keys and values of [lower, upper) as "k=v k=v". */
static inline const char *listing(struct kv *kv, const struct kv_snapshot *snap,
                                  enum kv_family family, const char *lower, const char *upper) {
    static char text[4096];
    struct kv_iter *it = NULL;
    ok(kv_iter_new(kv, snap, family, bytes_of_cstr(lower), bytes_of_cstr(upper), &it));
    struct bytes key, value;
    size_t at = 0;
    text[0] = '\0';
    while (kv_iter_next(kv, it, &key, &value)) {
        int n = snprintf(text + at, sizeof text - at, "%s" BYTES_FMT "=" BYTES_FMT,
                         at == 0 ? "" : " ", BYTES_ARG(key), BYTES_ARG(value));
        at += (size_t)n;
        ck_assert_uint_lt(at, sizeof text);
    }
    ck_assert(!kv_iter_next(kv, it, &key, &value)); /* the end stays the end */
    ok(kv_iter_error(kv, it));
    kv_iter_free(kv, it);
    return text;
}

#endif
