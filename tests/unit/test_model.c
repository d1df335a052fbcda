#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/codec.h"
#include "model/model.h"

/* --- a model in memory: a list of nodes by path */

struct file {
    const char *path;
    const char *octets; /* NULL: a folder; LINK and PIPE are those */
};

static const char LINK[] = "link", PIPE[] = "pipe";

struct memory {
    const struct file *files;
    size_t count;
    const char *changes; /* the path whose reading fails, or NULL */
};

/* part_in gives the part of `path` that lies directly in `folder`, or an empty view. */
static struct bytes part_in(const char *path, struct text folder) {
    struct bytes p = bytes_of_cstr(path);
    if (folder.len > 0) {
        if (!bytes_start_with(p, bytes_of_text(folder)) || p.len <= folder.len ||
            p.data[folder.len] != '/')
            return (struct bytes){0};
        p = (struct bytes){p.data + folder.len + 1, p.len - folder.len - 1};
    }
    return memchr(p.data, '/', p.len) == NULL ? p : (struct bytes){0};
}

static struct error *mem_list(void *ctx, struct text folder,
                              struct error *(*each)(void *each_ctx,
                                                    const struct model_entry *entry),
                              void *each_ctx) {
    const struct memory *m = ctx;
    for (size_t i = 0; i < m->count; i++) {
        struct bytes name = part_in(m->files[i].path, folder);
        const char *octets = m->files[i].octets;
        if (name.len == 0) continue;
        struct model_entry entry = {.name = name};
        entry.node = octets == NULL   ? MODEL_NODE_FOLDER
                     : octets == LINK ? MODEL_NODE_LINK
                     : octets == PIPE ? MODEL_NODE_OTHER
                                      : MODEL_NODE_FILE;
        if (entry.node == MODEL_NODE_FILE) entry.octets = strlen(octets);
        TRY(each(each_ctx, &entry));
    }
    return NULL;
}

static struct error *mem_read(void *ctx, struct text path,
                              void (*chunk)(void *chunk_ctx, struct bytes octets),
                              void *chunk_ctx) {
    const struct memory *m = ctx;
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->files[i].path, path.data) != 0) continue;
        if (m->changes != NULL && strcmp(m->changes, path.data) == 0)
            return error_new(ERROR_ABORTED, "%s changed while it was hashed", path.data);
        struct bytes octets = bytes_of_cstr(m->files[i].octets);
        for (size_t k = 0; k < octets.len; k++) /* one octet at a time */
            chunk(chunk_ctx, (struct bytes){octets.data + k, 1});
        return NULL;
    }
    return error_new(ERROR_NOT_FOUND, "no file %s", path.data);
}

#define MEMORY(list) ((struct memory){list, sizeof list / sizeof *list, NULL})

static void ok(struct error *err) {
    char text[512] = "";
    if (err != NULL) error_text(err, text, sizeof text);
    ck_assert_msg(err == NULL, "%s", text);
}

static void fails(struct error *err, enum error_code code, const char *with) {
    ck_assert_ptr_nonnull(err);
    char text[512];
    error_text(err, text, sizeof text);
    ck_assert_msg(error_code(err) == code && strstr(text, with) != NULL, "%s: %s",
                  error_code_name(error_code(err)), text);
    error_free(err);
}

static struct error *digest(struct arena *arena, struct memory *m, const struct text *ignore,
                            size_t ignore_count, struct model *out) {
    struct model_source src = {mem_list, mem_read, m};
    return model_digest(arena, &src, ignore, ignore_count, out);
}

static const char *hex_of(const struct sha256 *h) {
    static char text[2][65];
    static int turn;
    struct buf b;
    buf_init(&b, 64);
    hex_put(&b, sha256_bytes(h));
    char *t = text[turn++ % 2];
    memcpy(t, b.data, 64);
    buf_done(&b);
    return t;
}

static const char *names_of(const struct model *m) {
    static char text[512];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < m->count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i == 0 ? "" : " ",
                               m->files[i].name.data);
    return text;
}

static const char *predicate_of(const struct model *m) {
    static char text[4096];
    struct buf b;
    buf_init(&b, sizeof text - 1);
    model_put_predicate(&b, m);
    ok(buf_finish(&b, "predicate"));
    memcpy(text, b.data, b.len);
    text[b.len] = '\0';
    buf_done(&b);
    return text;
}

/* --- the vector of the specification's order (testdata/model/README.md) */

#define DIGEST_A "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7" /* "a\n" */
#define DIGEST_B "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f" /* "b\n" */
#define SPEC_ROOT "5e48c52efd764422ec109a0a745c8651ff9fabb8aa4870e46ad44929a811a325"
#define PARTS_ROOT "6ec7b73f58839768f5eb006d96b02ebaa7bf3d30c5daaccc832663c8266e0931"
#define GIT "\".git\",\".gitattributes\",\".github\",\".gitignore\""

static const struct file vector[] = {
    {"tokenizer", NULL}, {"tokenizer/x", "a\n"}, {"tokenizer.json", "b\n"}};

/* SPEC oms-v1.0 6.5.1: the root is over the digests, one behind the other. */
START_TEST(test_the_root_is_over_digests_in_code_point_order_of_names) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = MEMORY(vector);
    struct model m;
    ok(digest(&arena, &mem, NULL, 0, &m));
    ck_assert_str_eq(names_of(&m), "tokenizer.json tokenizer/x"); /* "." before "/" */
    ck_assert_str_eq(hex_of(&m.root), SPEC_ROOT);
    ck_assert_str_eq(hex_of(&m.files[1].digest), DIGEST_A);
    ck_assert(m.octets == 4 && m.files[0].octets == 2);
    ck_assert_str_eq(predicate_of(&m),
                     "{\"resources\":["
                     "{\"algorithm\":\"sha256\",\"digest\":\"" DIGEST_B
                     "\",\"name\":\"tokenizer.json\"},"
                     "{\"algorithm\":\"sha256\",\"digest\":\"" DIGEST_A
                     "\",\"name\":\"tokenizer/x\"}],"
                     "\"serialization\":{\"allow_symlinks\":false,\"hash_type\":\"sha256\","
                     "\"ignore_paths\":[" GIT "],\"method\":\"files\"}}");
    arena_done(&arena);
}
END_TEST

/* SPEC oms-v1.0 6.4: Unicode code point order of the names. */
START_TEST(test_order_is_by_octets_whatever_the_listing_gives) {
    static const struct file odd[] = {{"z", ""},
                                      {"a-b", "1"},
                                      {"a", NULL},
                                      {"a/b", "2"},
                                      {"a.b", "3"},
                                      {"a0", "4"},
                                      {"B", "5"},
                                      {"\xc3\xa9", "6"},
                                      {"\xf0\x9f\x98\x80", "7"},
                                      {"\xef\xbc\xa1", "8"},
                                      {"a b", "9"}};
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = MEMORY(odd);
    struct model m;
    ok(digest(&arena, &mem, NULL, 0, &m));
    /* U+FF21 stands before U+1F600: by code points, not by UTF-16 units */
    ck_assert_str_eq(names_of(&m), "B a b a-b a.b a/b a0 z \xc3\xa9 \xef\xbc\xa1 \xf0\x9f\x98\x80");
    arena_done(&arena);
}
END_TEST

/* --- what is passed over */

static const struct file repository[] = {
    {".git", NULL},          {".git/config", "x"}, {".gitignore", "x"}, {".gitattributes", LINK},
    {".github", NULL},       {".github/w", PIPE},  {"sub", NULL},       {"sub/.git", NULL},
    {"sub/.git/z", "kept"},  {".gitx", "kept"},    {"model.sig", "s"},  {"logs", NULL},
    {"logs/a", "l"},         {"logs2", "kept"},    {"deep", NULL},      {"deep/logs", NULL},
    {"deep/logs/b", "kept"},
};

/* SPEC oms-v1.0 6.2: ignored at the top of the model, and only there. */
START_TEST(test_git_paths_are_ignored_at_the_top_alone) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = MEMORY(repository);
    struct model m;
    ok(digest(&arena, &mem, NULL, 0, &m));
    ck_assert_str_eq(names_of(&m), ".gitx deep/logs/b logs/a logs2 model.sig sub/.git/z");
    const struct text ignore[] = {TEXT_LIT("model.sig"), TEXT_LIT("logs/"), TEXT_LIT("not there")};
    ok(digest(&arena, &mem, ignore, 3, &m));
    ck_assert_str_eq(names_of(&m), ".gitx deep/logs/b logs2 sub/.git/z");
    ck_assert_ptr_nonnull(strstr(
        predicate_of(&m), "\"ignore_paths\":[" GIT ",\"logs\",\"model.sig\",\"not there\"]"));
    arena_done(&arena);
}
END_TEST

START_TEST(test_only_paths_in_the_model_can_be_ignored) {
    static const struct text paths[] = {
        TEXT_LIT(""),     TEXT_LIT("."),      TEXT_LIT("/"),     TEXT_LIT(".."),
        TEXT_LIT("/etc"), TEXT_LIT("../x"),   TEXT_LIT("./x"),   TEXT_LIT("a//b"),
        TEXT_LIT("a/."),  TEXT_LIT("a/../b"), TEXT_LIT("a/b//"),
    };
    struct memory mem = MEMORY(vector);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct model m;
        fails(digest(&arena, &mem, &paths[i], 1, &m), ERROR_INVALID_ARGUMENT, "cannot ignore");
        arena_done(&arena);
    }
}
END_TEST

/* --- what is refused */

static const struct file empty_model[] = {{"folder", NULL}, {".git", NULL}, {".git/x", "x"}};
static const struct file with_link[] = {{"a", "a"}, {"b", NULL}, {"b/l", LINK}};
static const struct file with_pipe[] = {{"a", "a"}, {"p", PIPE}};
static const struct file not_utf8[] = {{"a\xff", "a"}};
static const struct file overlong[] = {{"a\xc0\xaf", "a"}};
static const struct file twice[] = {{"a", "a"}, {"a", "b"}};

static const struct {
    const struct file *files;
    size_t count;
    const char *with;
} refused[] = {
    {empty_model, 3, "without a single file"},
    {NULL, 0, "without a single file"},
    {with_link, 3, "b/l is a link"},
    {with_pipe, 2, "p is neither a file nor a folder"},
    {not_utf8, 1, "not UTF-8"},
    {overlong, 1, "not UTF-8"},
    {twice, 2, "changed while it was listed"},
};

START_TEST(test_refuses) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = {refused[_i].files, refused[_i].count, NULL};
    struct model m = {.count = 77};
    fails(digest(&arena, &mem, NULL, 0, &m), ERROR_INVALID_ARGUMENT, refused[_i].with);
    ck_assert_uint_eq(m.count, 77);
    arena_done(&arena);
}
END_TEST

START_TEST(test_a_file_that_changes_is_an_error) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = MEMORY(vector);
    mem.changes = "tokenizer/x";
    struct model m;
    fails(digest(&arena, &mem, NULL, 0, &m), ERROR_ABORTED, "tokenizer/x changed");
    arena_done(&arena);
}
END_TEST

START_TEST(test_folders_are_bounded_in_depth_and_paths_in_length) {
    static char paths[MODEL_DEPTH_MAX + 2][2 * (MODEL_DEPTH_MAX + 2)];
    static struct file deep[MODEL_DEPTH_MAX + 2];
    for (int i = 0; i < MODEL_DEPTH_MAX + 2; i++) {
        for (int k = 0; k <= i; k++) strcat(paths[i], k == 0 ? "d" : "/d");
        deep[i] = (struct file){paths[i], NULL};
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = MEMORY(deep);
    struct model m;
    fails(digest(&arena, &mem, NULL, 0, &m), ERROR_RESOURCE_EXHAUSTED, "deeper than");
    deep[MODEL_DEPTH_MAX].octets = "a file at the greatest depth";
    mem.count = MODEL_DEPTH_MAX + 1;
    ok(digest(&arena, &mem, NULL, 0, &m));
    static char name[MODEL_PATH_MAX + 2];
    memset(name, 'n', MODEL_PATH_MAX + 1);
    const struct file long_name[] = {{name, "x"}};
    mem = MEMORY(long_name);
    fails(digest(&arena, &mem, NULL, 0, &m), ERROR_RESOURCE_EXHAUSTED, "too long");
    name[MODEL_PATH_MAX] = '\0';
    ok(digest(&arena, &mem, NULL, 0, &m));
    arena_done(&arena);
}
END_TEST

START_TEST(test_survives_every_shortage_of_memory) {
    struct memory mem = MEMORY(repository);
    for (size_t room = 0;; room += 64) {
        struct arena arena;
        arena_init(&arena, room);
        struct model m;
        struct error *err = digest(&arena, &mem, NULL, 0, &m);
        arena_done(&arena);
        if (err == NULL) break;
        fails(err, ERROR_RESOURCE_EXHAUSTED, "");
    }
    for (long n = 0;; n++) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct model m;
        (void)alloc_fail_after(n);
        struct error *err = digest(&arena, &mem, NULL, 0, &m);
        (void)alloc_fail_after(-1);
        arena_done(&arena);
        if (err == NULL) break;
        fails(err, ERROR_RESOURCE_EXHAUSTED, "");
    }
}
END_TEST

/* --- manifests read back */

static struct error *read_text(struct arena *arena, const char *json, struct model *out) {
    struct json_value v;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    ok(json_parse(arena, bytes_of_cstr(json), &limits, &v));
    return model_read_predicate(arena, &v, out);
}

#define R(name, digest) "{\"name\":\"" name "\",\"digest\":\"" digest "\",\"algorithm\":\"sha256\"}"
#define S "{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":false}"
#define P(resources, serialization)                                                                \
    "{\"resources\":[" resources "],\"serialization\":" serialization "}"

START_TEST(test_a_manifest_in_the_order_of_path_parts_keeps_its_root) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct model m;
    ok(read_text(&arena, P(R("tokenizer/x", DIGEST_A) "," R("tokenizer.json", DIGEST_B), S), &m));
    ck_assert_str_eq(hex_of(&m.root), PARTS_ROOT);
    ck_assert_str_eq(names_of(&m), "tokenizer.json tokenizer/x");
    arena_done(&arena);
}
END_TEST

static const struct {
    const char *json;
    const char *with;
} bad_manifests[] = {
    {"[]", "not exactly"},
    {"{}", "not exactly"},
    {"{\"resources\":[" R("a", DIGEST_A) "]}", "not exactly"},
    {"{\"resources\":[" R("a", DIGEST_A) "],\"serialization\":" S ",\"more\":1}", "not exactly"},
    {P("", S), "no resources"},
    {"{\"resources\":{},\"serialization\":" S "}", "no resources"},
    {P("1", S), "algorithm"},
    {P(R("a", DIGEST_A) "," R("a", DIGEST_B), S), "twice"},
    {P(R("", DIGEST_A), S), "no path in the model"},
    {P(R("/a", DIGEST_A), S), "no path in the model"},
    {P(R("../a", DIGEST_A), S), "no path in the model"},
    {P(R("a/", DIGEST_A), S), "no path in the model"},
    {P(R("a/./b", DIGEST_A), S), "no path in the model"},
    {P(R("a\\u0000b", DIGEST_A), S), "no path in the model"},
    {P(R(".", DIGEST_A), S), "no path in the model"},
    {P(R("a", "00"), S), "64 lower-case"},
    {P("{\"name\":\"a\",\"digest\":\"" DIGEST_A "\",\"algorithm\":\"blake3\"}", S), "algorithm"},
    {P("{\"name\":\"a\",\"digest\":\"" DIGEST_A "\"}", S), "algorithm"},
    {P(R("a", DIGEST_A), "{\"method\":\"shards\",\"hash_type\":\"sha256\"}"), "method"},
    {P(R("a", DIGEST_A), "{\"method\":\"files\",\"hash_type\":\"blake2b\"}"), "hash"},
    {P(R("a", DIGEST_A), "{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":true}"),
     "links"},
    {P(R("a", DIGEST_A),
       "{\"method\":\"files\",\"hash_type\":\"sha256\",\"ignore_paths\":[\"../x\"]}"),
     "ignored path"},
    {P(R("a", DIGEST_A), "{\"method\":\"files\",\"hash_type\":\"sha256\",\"ignore_paths\":\"x\"}"),
     "ignore_paths"},
};

START_TEST(test_a_bad_manifest_is_refused) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct model m = {.count = 77};
    fails(read_text(&arena, bad_manifests[_i].json, &m), ERROR_INVALID_ARGUMENT,
          bad_manifests[_i].with);
    ck_assert_uint_eq(m.count, 77);
    arena_done(&arena);
}
END_TEST

/* --- comparing: the root alone does not bind names */

static const struct {
    const char *json;
    const char *why; /* NULL: the same */
} compared[] = {
    {P(R("tokenizer.json", DIGEST_B) "," R("tokenizer/x", DIGEST_A), S), NULL},
    {P(R("tokenizer/x", DIGEST_A) "," R("tokenizer.json", DIGEST_B), S), NULL},
    {P(R("tokenizer.jsoN", DIGEST_B) "," R("tokenizer/x", DIGEST_A), S),
     "a file of the manifest is missing: tokenizer.jsoN"},
    {P(R("tokenizer.json", DIGEST_A) "," R("tokenizer/x", DIGEST_A), S),
     "a file differs from the manifest: tokenizer.json"},
    {P(R("tokenizer.json", DIGEST_B), S), "a file is not in the manifest: tokenizer/x"},
    {P(R("a", DIGEST_A) "," R("tokenizer.json", DIGEST_B) "," R("tokenizer/x", DIGEST_A), S),
     "a file of the manifest is missing: a"},
    {P(R("tokenizer.json", DIGEST_B) "," R("tokenizer/x", DIGEST_A) "," R("z", DIGEST_A), S),
     "a file of the manifest is missing: z"},
    {P(R("tokenizer.json", DIGEST_B) "," R("tokenizer/x", DIGEST_A),
       "{\"method\":\"files\",\"hash_type\":\"sha256\",\"ignore_paths\":[\".git\"]}"),
     NULL},
    {P(R("tokenizer.json", DIGEST_B) "," R("tokenizer/x", DIGEST_A),
       "{\"method\":\"files\",\"hash_type\":\"sha256\",\"ignore_paths\":[\"run.py\"]}"),
     "the manifest leaves a path unsigned: run.py"},
};

START_TEST(test_a_model_is_compared_name_by_name) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = MEMORY(vector);
    struct model have, want;
    ok(digest(&arena, &mem, NULL, 0, &have));
    ok(read_text(&arena, compared[_i].json, &want));
    bool same = true;
    struct text why = {0};
    ok(model_compare(&arena, &want, &have, &same, &why));
    ck_assert_int_eq(same, compared[_i].why == NULL);
    if (!same) ck_assert(bytes_equal(bytes_of_text(why), bytes_of_cstr(compared[_i].why)));
    arena_done(&arena);
}
END_TEST

START_TEST(test_a_manifest_written_here_is_read_back_the_same) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct memory mem = MEMORY(repository);
    struct model m, again;
    ok(digest(&arena, &mem, NULL, 0, &m));
    ok(read_text(&arena, predicate_of(&m), &again));
    bool same = false;
    struct text why;
    ok(model_compare(&arena, &again, &m, &same, &why));
    ck_assert(same && sha256_equal(&again.root, &m.root));
    arena_done(&arena);
}
END_TEST

static Suite *model_suite(void) {
    Suite *s = suite_create("model");
    TCase *tc = tcase_create("model");
#define EACH(test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof *table))
    tcase_add_test(tc, test_the_root_is_over_digests_in_code_point_order_of_names);
    tcase_add_test(tc, test_order_is_by_octets_whatever_the_listing_gives);
    tcase_add_test(tc, test_git_paths_are_ignored_at_the_top_alone);
    tcase_add_test(tc, test_only_paths_in_the_model_can_be_ignored);
    EACH(test_refuses, refused);
    tcase_add_test(tc, test_a_file_that_changes_is_an_error);
    tcase_add_test(tc, test_folders_are_bounded_in_depth_and_paths_in_length);
    tcase_add_test(tc, test_survives_every_shortage_of_memory);
    tcase_add_test(tc, test_a_manifest_in_the_order_of_path_parts_keeps_its_root);
    EACH(test_a_bad_manifest_is_refused, bad_manifests);
    EACH(test_a_model_is_compared_name_by_name, compared);
    tcase_add_test(tc, test_a_manifest_written_here_is_read_back_the_same);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(model_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
