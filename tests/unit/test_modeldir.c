#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "kv_support.h"
#include "modeldir/modeldir.h"

#define SPEC_ROOT "5e48c52efd764422ec109a0a745c8651ff9fabb8aa4870e46ad44929a811a325"

static void write_file(const char *name, const void *octets, size_t len) {
    int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, octets, len), (ssize_t)len);
    (void)close(fd);
}

static void make_dir(const char *name) { ck_assert_int_eq(mkdir(in_folder(name), 0700), 0); }

/* The model of model's own vector. */
static void make_vector(void) {
    make_dir("m");
    make_dir("m/tokenizer");
    write_file("m/tokenizer/x", "a\n", 2);
    write_file("m/tokenizer.json", "b\n", 2);
    make_dir("m/.git");
    write_file("m/.git/config", "x", 1);
}

static struct error *digest(const char *name, unsigned threads, struct sha256 *out) {
    struct arena arena;
    arena_init(&arena, 1 << 22);
    struct modeldir_options options = {.threads = threads};
    struct model m;
    struct error *err = modeldir_digest(&arena, in_folder(name), &options, &m);
    if (err == NULL) *out = m.root;
    arena_done(&arena);
    return err;
}

static bool is_hex(const struct sha256 *h, const char *hex) {
    char text[65];
    for (int i = 0; i < 32; i++) (void)snprintf(text + 2 * i, 3, "%02x", h->octets[i]);
    return strcmp(text, hex) == 0;
}

START_TEST(test_a_folder_has_the_root_of_its_files) {
    make_vector();
    for (unsigned threads = 0; threads < 40; threads += 3) {
        struct sha256 root;
        ok(digest("m", threads, &root));
        ck_assert(is_hex(&root, SPEC_ROOT));
    }
    struct sha256 root;
    ck_assert_int_eq(symlink("m", in_folder("current")), 0); /* the folder itself may be a link */
    ok(digest("current", 2, &root));
    ck_assert(is_hex(&root, SPEC_ROOT));
}
END_TEST

START_TEST(test_links_inside_are_refused) {
    make_vector();
    struct sha256 root;
    ck_assert_int_eq(symlink("tokenizer.json", in_folder("m/l")), 0);
    fails(digest("m", 2, &root), ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(unlink(in_folder("m/l")), 0);
    ck_assert_int_eq(symlink("tokenizer", in_folder("m/t")), 0);
    fails(digest("m", 2, &root), ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(unlink(in_folder("m/t")), 0);
    ck_assert_int_eq(symlink("gone", in_folder("m/tokenizer/d")), 0);
    fails(digest("m", 2, &root), ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(unlink(in_folder("m/tokenizer/d")), 0);
    ck_assert_int_eq(symlink("x", in_folder("m/.git/l")), 0); /* ignored */
    ok(digest("m", 2, &root));
}
END_TEST

static void drop_chunk(void *ctx, struct bytes octets) { *(size_t *)ctx += octets.len; }

/* A link that takes the place of a file between listing and reading: the opening itself refuses. */
START_TEST(test_reading_follows_no_link_and_leaves_no_folder) {
    make_vector();
    write_file("secret", "s", 1);
    ck_assert_int_eq(symlink("../secret", in_folder("m/l")), 0);
    ck_assert_int_eq(symlink("tokenizer", in_folder("m/t")), 0);
    struct modeldir *d = NULL;
    ok(modeldir_open(in_folder("m"), &d));
    struct model_source src = modeldir_source(d);
    size_t octets = 0;
    ok(src.read(src.ctx, TEXT_LIT("tokenizer/x"), drop_chunk, &octets));
    ck_assert_uint_eq(octets, 2);
    static const struct text paths[] = {TEXT_LIT("l"),         TEXT_LIT("t/x"),
                                        TEXT_LIT("../secret"), TEXT_LIT("/etc/hostname"),
                                        TEXT_LIT("tokenizer"), TEXT_LIT("tokenizer/../../secret"),
                                        TEXT_LIT("gone")};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct error *err = src.read(src.ctx, paths[i], drop_chunk, &octets);
        ck_assert_msg(err != NULL, "%s", paths[i].data);
        error_free(err);
    }
    ck_assert_uint_eq(octets, 2);
    modeldir_close(d);
}
END_TEST

START_TEST(test_only_files_and_folders_are_a_model) {
    struct sha256 root;
    make_vector();
    ck_assert_int_eq(mkfifo(in_folder("m/pipe"), 0600), 0);
    fails(digest("m", 2, &root), ERROR_INVALID_ARGUMENT);
    struct modeldir *d = NULL;
    ok(modeldir_open(in_folder("m"), &d));
    struct model_source src = modeldir_source(d);
    size_t octets = 0; /* and opening one does not wait for a writer */
    fails(src.read(src.ctx, TEXT_LIT("pipe"), drop_chunk, &octets), ERROR_INVALID_ARGUMENT);
    modeldir_close(d);
    ck_assert_int_eq(unlink(in_folder("m/pipe")), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder("m/s"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
    fails(digest("m", 2, &root), ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(unlink(in_folder("m/s")), 0);
    write_file("m/a\xff", "x", 1);
    fails(digest("m", 2, &root), ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(unlink(in_folder("m/a\xff")), 0);
    ok(digest("m", 2, &root));
    fails(digest("m/tokenizer.json", 2, &root), ERROR_INVALID_ARGUMENT);
    fails(digest("none", 2, &root), ERROR_NOT_FOUND);
    make_dir("empty");
    fails(digest("empty", 2, &root), ERROR_INVALID_ARGUMENT);
}
END_TEST

/* --- a file that changes while it is read */

struct meddling {
    int turn;
    int kind;
};

static void meddle(void *ctx, struct bytes octets) {
    struct meddling *m = ctx;
    if (octets.len == 0 || m->turn++ != 0) return;
    int fd = open(in_folder("m/f"), O_WRONLY);
    ck_assert_int_ge(fd, 0);
    switch (m->kind) {
        case 0: /* grows */
            ck_assert_int_eq(pwrite(fd, "x", 1, 1 << 20), 1);
            break;
        case 1: /* shrinks */
            ck_assert_int_eq(ftruncate(fd, 1 << 19), 0);
            break;
        case 2: /* same length, other octets */
            ck_assert_int_eq(pwrite(fd, "x", 1, 1000), 1);
            break;
        default: /* mtime set back: ctime tells */
            ck_assert_int_eq(pwrite(fd, "x", 1, 1000), 1);
            ck_assert_int_eq(futimens(fd, (struct timespec[2]){{1, 0}, {1, 0}}), 0);
    }
    (void)close(fd);
}

START_TEST(test_a_file_that_changes_while_it_is_read_is_an_error) {
    static uint8_t octets[1 << 20];
    make_dir("m");
    write_file("m/f", octets, sizeof octets);
    ck_assert_int_eq(utimensat(AT_FDCWD, in_folder("m/f"), (struct timespec[2]){{1, 0}, {1, 0}}, 0),
                     0);
    struct modeldir *d = NULL;
    ok(modeldir_open(in_folder("m"), &d));
    struct model_source src = modeldir_source(d);
    (void)usleep(20000); /* the kernel's clock for file times ticks every few milliseconds */
    struct meddling m = {.kind = _i};
    fails(src.read(src.ctx, TEXT_LIT("f"), meddle, &m), ERROR_ABORTED);
    modeldir_close(d);
}
END_TEST

/* --- sizes and threads */

START_TEST(test_files_of_every_size_are_hashed_whole) {
    static const size_t sizes[] = {0, 1, 63, 64, 262143, 262144, 262145, 1000000};
    static uint8_t octets[1000000];
    for (size_t i = 0; i < sizeof octets; i++) octets[i] = (uint8_t)(i * 7 + i / 255);
    make_dir("m");
    for (size_t i = 0; i < 8; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m/%zu", i);
        write_file(name, octets, sizes[i]);
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct modeldir_options options = {.threads = 3};
    struct model m;
    ok(modeldir_digest(&arena, in_folder("m"), &options, &m));
    ck_assert_uint_eq(m.count, 8);
    uint64_t sum = 0;
    for (size_t i = 0; i < 8; i++) {
        struct sha256 want = sha256_of((struct bytes){octets, sizes[i]});
        ck_assert(sha256_equal(&m.files[i].digest, &want));
        ck_assert_uint_eq(m.files[i].octets, sizes[i]);
        sum += sizes[i];
    }
    ck_assert_uint_eq(m.octets, sum);
    arena_done(&arena);
}
END_TEST

START_TEST(test_many_files_in_many_folders_on_many_threads) {
    struct sha256 one, many;
    make_dir("m");
    for (int i = 0; i < 300; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "m/%d", i % 10);
        if (i < 10) make_dir(name);
        (void)snprintf(name, sizeof name, "m/%d/%d", i % 10, i);
        write_file(name, name, (size_t)(i % 32));
    }
    ok(digest("m", 1, &one));
    ok(digest("m", 16, &many));
    ck_assert(sha256_equal(&one, &many));
}
END_TEST

START_TEST(test_survives_every_allocation_failure) {
    struct sha256 want, got;
    make_vector();
    (void)alloc_fail_after(-1);
    ok(digest("m", 1, &want)); /* one thread: failing is a thread's own */
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 0);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        struct error *err = digest("m", 1, &got);
        (void)alloc_fail_after(-1);
        fails(err, ERROR_RESOURCE_EXHAUSTED);
    }
    ok(digest("m", 1, &got));
    ck_assert(sha256_equal(&got, &want));
}
END_TEST

static Suite *modeldir_suite(void) {
    Suite *s = suite_create("modeldir");
    TCase *tc = tcase_create("modeldir");
    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_a_folder_has_the_root_of_its_files);
    tcase_add_test(tc, test_links_inside_are_refused);
    tcase_add_test(tc, test_reading_follows_no_link_and_leaves_no_folder);
    tcase_add_test(tc, test_only_files_and_folders_are_a_model);
    tcase_add_loop_test(tc, test_a_file_that_changes_while_it_is_read_is_an_error, 0, 4);
    tcase_add_test(tc, test_files_of_every_size_are_hashed_whole);
    tcase_add_test(tc, test_many_files_in_many_folders_on_many_threads);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(modeldir_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
