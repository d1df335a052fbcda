/* The system calls that file/ makes durable things with are replaced here by ones that can fail:
 * the linker prefers a program's own definition to the C library's. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "file/file.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static long fault_after = -1; /* calls left before one fails; negative: never */
static int fault_errno;
static size_t write_at_most = SIZE_MAX;
static unsigned fsyncs;

static bool fault(void) {
    if (fault_after < 0 || fault_after-- > 0) return false;
    errno = fault_errno;
    return true;
}

int fsync(int fd);
ssize_t write(int fd, const void *p, size_t n);
int rename(const char *from, const char *to);
int link(const char *from, const char *to);

int fsync(int fd) {
    fsyncs++;
    return fault() ? -1 : (int)syscall(SYS_fsync, fd);
}
ssize_t write(int fd, const void *p, size_t n) {
    if (fault()) return -1;
    return syscall(SYS_write, fd, p, n < write_at_most ? n : write_at_most);
}
int rename(const char *from, const char *to) {
    return fault() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int link(const char *from, const char *to) {
    return fault() ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static void ok(struct error *err) {
    if (err == NULL) return;
    char text[512];
    error_text(err, text, sizeof text);
    error_free(err);
    ck_abort_msg("unexpected error: %s", text);
}

static void refused(struct error *err, enum error_code code, const char *what) {
    ck_assert_msg(err != NULL, "accepted: %s", what);
    ck_assert_msg(error_code(err) == code, "%s: code %d: %s", what, (int)error_code(err),
                  error_message(err));
    error_free(err);
}

static char dir[64];

static void setup(void) {
    (void)snprintf(dir, sizeof dir, "/tmp/test_file.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static const char *at(const char *name) {
    static struct file_path paths[4];
    static size_t next;
    struct file_path *p = &paths[next++ % COUNT(paths)];
    ok(file_path_join(dir, name, p));
    return p->text;
}

static bool holds(const char *path, const char *want) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct bytes got = {0};
    struct error *err = file_read(&arena, path, 4096, &got);
    bool same = err == NULL && bytes_equal(got, bytes_of_cstr(want));
    error_free(err);
    arena_done(&arena);
    return same;
}

START_TEST(test_what_was_written_is_read_with_its_mode) {
    ok(file_write(at("a"), BYTES_LIT("one"), 0640, FILE_NEW));
    struct stat st;
    ck_assert_int_eq(stat(at("a"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    ck_assert_uint_eq(st.st_nlink, 1); /* the temporary name is gone */
    ck_assert(holds(at("a"), "one"));
    ok(file_write(at("a"), BYTES_LIT("two"), 0600, FILE_REPLACE));
    ck_assert(holds(at("a"), "two"));
    ok(file_write(at("empty"), (struct bytes){0}, 0600, FILE_NEW));
    ck_assert(holds(at("empty"), ""));
    write_at_most = 1;
    ok(file_write(at("slow"), BYTES_LIT("an octet at a time"), 0600, FILE_NEW));
    write_at_most = SIZE_MAX;
    ck_assert(holds(at("slow"), "an octet at a time"));
}
END_TEST

START_TEST(test_a_new_file_never_falls_on_an_old_one) {
    ok(file_write(at("a"), BYTES_LIT("one"), 0600, FILE_NEW));
    refused(file_write(at("a"), BYTES_LIT("two"), 0600, FILE_NEW), ERROR_ALREADY_EXISTS, "a");
    ck_assert(holds(at("a"), "one"));
    ck_assert_int_eq(symlink("nowhere", at("l")), 0);
    refused(file_write(at("l"), BYTES_LIT("two"), 0600, FILE_NEW), ERROR_ALREADY_EXISTS, "a link");
    refused(file_write(at("no/a"), BYTES_LIT("x"), 0600, FILE_NEW), ERROR_NOT_FOUND, "no folder");
}
END_TEST

/* File and folder are both synced, whichever way the name is given. */
START_TEST(test_writing_syncs_the_file_and_its_folder) {
    const enum file_over overs[] = {FILE_NEW, FILE_REPLACE};
    for (size_t i = 0; i < COUNT(overs); i++) {
        fsyncs = 0;
        ok(file_write(at("a"), BYTES_LIT("x"), 0600, overs[i]));
        ck_assert_uint_eq(fsyncs, 2);
    }
    fsyncs = 0;
    ok(file_remove(at("a")));
    ck_assert_uint_eq(fsyncs, 1);
    fsyncs = 0;
    ok(file_make_dir(at("d"), 0700));
    ck_assert_uint_eq(fsyncs, 1);
}
END_TEST

START_TEST(test_a_failure_at_any_step_leaves_old_or_new_and_no_litter) {
    const int numbers[] = {EIO, ENOSPC};
    for (size_t e = 0; e < COUNT(numbers); e++) {
        for (long n = 0;; n++) {
            ok(file_write(at("a"), BYTES_LIT("old"), 0600, FILE_REPLACE));
            fault_errno = numbers[e];
            fault_after = n;
            struct error *err = file_write(at("a"), BYTES_LIT("new"), 0600, FILE_REPLACE);
            bool reached = fault_after < 0;
            fault_after = -1;
            ck_assert(holds(at("a"), "old") || holds(at("a"), "new"));
            if (!reached) {
                ok(err);
                ck_assert_int_eq(n, 4); /* write, fsync, rename, fsync */
                break;
            }
            refused(err, ERROR_UNAVAILABLE, "a failing call");
            ck_assert(n == 3 ? holds(at("a"), "new") : holds(at("a"), "old"));
            ok(file_remove(at("a")));
            bool empty = false;
            ok(file_dir_is_empty(dir, &empty));
            ck_assert_msg(empty, "call %ld left something behind", n);
        }
    }
}
END_TEST

START_TEST(test_only_regular_files_within_the_bound_are_read) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct bytes got;
    struct secret *s = NULL;
    ok(file_write(at("a"), BYTES_LIT("four"), 0600, FILE_NEW));
    ck_assert_int_eq(symlink(at("a"), at("link")), 0);
    ck_assert_int_eq(mkfifo(at("pipe"), 0600), 0);
    ok(file_read(&arena, at("a"), 4, &got));
    refused(file_read(&arena, at("a"), 3, &got), ERROR_INVALID_ARGUMENT, "too large");
    refused(file_read(&arena, at("link"), 4, &got), ERROR_INVALID_ARGUMENT, "a link");
    refused(file_read(&arena, at("pipe"), 4, &got), ERROR_INVALID_ARGUMENT, "a pipe");
    refused(file_read(&arena, dir, 4, &got), ERROR_INVALID_ARGUMENT, "a folder");
    refused(file_read(&arena, at("none"), 4, &got), ERROR_NOT_FOUND, "nothing");
    refused(file_read_secret(at("a"), 3, &s), ERROR_INVALID_ARGUMENT, "too large");
    ok(file_read_given(&arena, at("link"), 4, &got)); /* the operator's own, maybe mounted so */
    ck_assert(bytes_equal(got, BYTES_LIT("four")));
    refused(file_read_given(&arena, at("pipe"), 4, &got), ERROR_INVALID_ARGUMENT, "a pipe");
    ok(file_read_secret(at("link"), 4, &s));
    ck_assert(bytes_equal(secret_view(s), BYTES_LIT("four")));
    secret_free(s);
    s = NULL;
    ok(file_write(at("empty"), (struct bytes){0}, 0600, FILE_NEW));
    refused(file_read_secret(at("empty"), 4, &s), ERROR_INVALID_ARGUMENT, "an empty secret");
    arena_done(&arena);
}
END_TEST

START_TEST(test_folders_are_made_with_what_is_above_them) {
    ok(file_make_dirs(at("x/y/z"), 0700));
    struct stat st;
    ck_assert_int_eq(stat(at("x/y/z"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ok(file_make_dirs(at("x/y/z"), 0700));
    ok(file_make_dir(at("x"), 0700));
    ok(file_write(at("file"), BYTES_LIT("x"), 0600, FILE_NEW));
    refused(file_make_dir(at("file"), 0700), ERROR_ALREADY_EXISTS, "a file");
    refused(file_make_dir(at("no/way"), 0700), ERROR_NOT_FOUND, "no parent");

    bool yes = false, no = true;
    ok(file_exists(at("x"), &yes));
    ok(file_exists(at("none"), &no));
    ck_assert(yes && !no);
    ok(file_dir_is_empty(at("x"), &no));
    ok(file_dir_is_empty(at("x/y/z"), &yes));
    ck_assert(yes && !no);
    yes = false;
    ok(file_dir_is_empty(at("none"), &yes));
    ck_assert(yes);
    refused(file_dir_is_empty(at("file"), &yes), ERROR_NOT_FOUND, "a file");
    ok(file_remove(at("none")));
}
END_TEST

START_TEST(test_paths_are_joined_within_their_bound) {
    struct file_path out;
    ok(file_path_join("a", "b", &out));
    ck_assert_str_eq(out.text, "a/b");
    ok(file_path_absolute("/a/b", &out));
    ck_assert_str_eq(out.text, "/a/b");
    ck_assert_int_eq(chdir(dir), 0);
    ok(file_path_absolute("b", &out));
    ck_assert_str_eq(out.text, at("b"));
    ok(file_write("bare", BYTES_LIT("x"), 0600, FILE_NEW)); /* the folder is "." */
    ck_assert(holds(at("bare"), "x"));

    char longest[FILE_PATH_MAX + 1];
    memset(longest, 'a', sizeof longest);
    for (size_t n = FILE_PATH_MAX - 3; n < sizeof longest; n++) {
        longest[n] = '\0';
        if (n == FILE_PATH_MAX - 3) {
            ok(file_path_join(longest, "b", &out));
        } else {
            refused(file_path_join(longest, "b", &out), ERROR_INVALID_ARGUMENT, "too long");
        }
        longest[n] = 'a';
    }
    longest[FILE_PATH_MAX] = '\0';
    refused(file_make_dirs(longest, 0700), ERROR_INVALID_ARGUMENT, "too long");
    refused(file_write(longest, BYTES_LIT("x"), 0600, FILE_NEW), ERROR_INVALID_ARGUMENT, "long");
}
END_TEST

/* What was closed stays unusable, and no file that is opened later takes its number. */
START_TEST(test_closed_standard_descriptors_are_held) {
    int kept = dup(STDERR_FILENO), later = -1;
    char octet = 0;
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
    (void)close(STDERR_FILENO);
    ok(file_hold_standard());
    ssize_t got = read(STDIN_FILENO, &octet, 1);
    ssize_t out = write(STDOUT_FILENO, &octet, 1), err = write(STDERR_FILENO, &octet, 1);
    later = open("/dev/null", O_RDONLY);
    ok(file_hold_standard()); /* what is open is left alone */
    ck_assert_int_eq(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    ck_assert_int_eq(got, -1);
    ck_assert_int_eq(out, -1);
    ck_assert_int_eq(err, -1);
    ck_assert_int_gt(later, STDERR_FILENO);
    (void)close(later);
    (void)close(kept);
}
END_TEST

START_TEST(test_every_allocation_failure_is_an_error) {
    ok(file_write(at("a"), BYTES_LIT("four"), 0600, FILE_NEW));
    (void)alloc_fail_after(0);
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct bytes got;
    struct secret *s = NULL;
    struct error *arena_err = file_read(&arena, at("a"), 4, &got);
    struct error *secret_err = file_read_secret(at("a"), 4, &s);
    (void)alloc_fail_after(-1);
    refused(arena_err, ERROR_RESOURCE_EXHAUSTED, "without memory");
    refused(secret_err, ERROR_RESOURCE_EXHAUSTED, "without memory");
    arena_done(&arena);
}
END_TEST

static Suite *file_suite(void) {
    Suite *s = suite_create("file");
    TCase *tc = tcase_create("file");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_what_was_written_is_read_with_its_mode);
    tcase_add_test(tc, test_a_new_file_never_falls_on_an_old_one);
    tcase_add_test(tc, test_writing_syncs_the_file_and_its_folder);
    tcase_add_test(tc, test_a_failure_at_any_step_leaves_old_or_new_and_no_litter);
    tcase_add_test(tc, test_only_regular_files_within_the_bound_are_read);
    tcase_add_test(tc, test_folders_are_made_with_what_is_above_them);
    tcase_add_test(tc, test_paths_are_joined_within_their_bound);
    tcase_add_test(tc, test_closed_standard_descriptors_are_held);
    tcase_add_test(tc, test_every_allocation_failure_is_an_error);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(file_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
