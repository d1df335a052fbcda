#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "service/policies.h"

static char dir[] = "/tmp/attestd-policies-XXXXXX";
static char made[64];
static struct arena arena;

static void setup(void) {
    memcpy(made, dir, sizeof dir);
    ck_assert_ptr_nonnull(mkdtemp(made));
    arena_init(&arena, (size_t)64 << 20);
}

static void path_of(const char *name, char out[256]) {
    ck_assert_int_lt(snprintf(out, 256, "%s/%s", made, name), 256);
}

static void put(const char *name, const char *octets, mode_t mode) {
    char path[256];
    path_of(name, path);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(octets, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void teardown(void) {
    static const char *const names[] = {"b.yaml",  "a.yaml",    "a.test.yaml", "notes.txt",
                                        ".h.yaml", "link.yaml", "sub.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        path_of(names[i], path);
        if (unlink(path) != 0) (void)rmdir(path);
    }
    (void)rmdir(made);
    arena_done(&arena);
}

START_TEST(test_reads_yaml_files_in_order_of_name) {
    struct policies_dir out;
    struct bytes octets;
    put("b.yaml", "two", 0600);
    put("a.yaml", "one", 0644);
    put("a.test.yaml", "cases", 0600);
    put("notes.txt", "other", 0600);
    put(".h.yaml", "hidden", 0600);
    ck_assert_ptr_null(policies_read_dir(&arena, made, POLICIES_OBEYED, false, &out));
    ck_assert_uint_eq(out.policy_count, 2);
    ck_assert(text_equal(out.policies[0].name, TEXT_LIT("a.yaml")));
    ck_assert(bytes_equal(out.policies[1].octets, BYTES_LIT("two")));
    ck_assert_uint_eq(out.test_count, 1);
    ck_assert_ptr_null(policies_read_file(&arena, made, TEXT_LIT("notes.txt"), 10, &octets));
    ck_assert(bytes_equal(octets, BYTES_LIT("other")));
}
END_TEST

static void expect_refusal(const char *says) {
    char text[512];
    struct policies_dir out;
    CLEANUP(error_freep)
    struct error *err = policies_read_dir(&arena, made, POLICIES_OBEYED, false, &out);
    ck_assert_msg(err != NULL, "accepted what should say: %s", says);
    error_text(err, text, sizeof text);
    ck_assert_msg(strstr(text, says) != NULL, "%s", text);
}

START_TEST(test_refuses_a_file_that_others_can_write) {
    put("a.yaml", "x", 0666);
    expect_refusal("writable by others");
}
END_TEST

START_TEST(test_a_group_may_write_if_it_is_ours) {
    struct policies_dir out;
    char path[256];
    put("a.yaml", "x", 0664);
    path_of("a.yaml", path);
    ck_assert_ptr_null(policies_read_dir(&arena, made, POLICIES_OBEYED, false, &out));
    if (geteuid() != 0) return; /* only root can give a file away */
    ck_assert_int_eq(chown(path, (uid_t)-1, 12345), 0);
    expect_refusal("writable by others");
}
END_TEST

/* Whoever owns a file may write it, whatever its mode. */
START_TEST(test_serves_only_what_is_owned_by_root_or_itself) {
    struct policies_dir out;
    char path[256];
    if (geteuid() != 0) return; /* only root can give a file away */
    put("a.yaml", "x", 0644);
    path_of("a.yaml", path);
    ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
    expect_refusal("owned by another user");
    ck_assert_ptr_null(policies_read_dir(&arena, made, POLICIES_TRIED, false, &out));
    ck_assert_int_eq(chown(path, 0, (gid_t)-1), 0);
    ck_assert_int_eq(chown(made, 12345, (gid_t)-1), 0);
    expect_refusal("owned by another user");
    ck_assert_ptr_null(policies_read_dir(&arena, made, POLICIES_TRIED, false, &out));
    ck_assert_int_eq(seteuid(12345), 0); /* its own folder, and root's file in it */
    ck_assert_ptr_null(policies_read_dir(&arena, made, POLICIES_OBEYED, false, &out));
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(test_refuses_a_folder_that_others_can_write) {
    put("a.yaml", "x", 0600);
    ck_assert_int_eq(chmod(made, 0777), 0);
    expect_refusal("writable by others");
}
END_TEST

START_TEST(test_refuses_a_link) {
    char path[256];
    path_of("link.yaml", path);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    expect_refusal("is a link");
}
END_TEST

START_TEST(test_refuses_what_is_no_file) {
    char path[256];
    path_of("sub.yaml", path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refusal("not a regular file");
}
END_TEST

START_TEST(test_refuses_a_fifo_without_waiting_for_it) {
    char path[256];
    path_of("sub.yaml", path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refusal("not a regular file");
}
END_TEST

START_TEST(test_refuses_a_file_over_the_bound) {
    char path[256];
    path_of("a.yaml", path);
    put("a.yaml", "x", 0600);
    ck_assert_int_eq(truncate(path, (off_t)POLICY_FILE_MAX + 1), 0);
    expect_refusal("larger than");
}
END_TEST

START_TEST(test_a_missing_folder_is_empty_only_where_that_is_allowed) {
    struct policies_dir out;
    ck_assert_ptr_null(
        policies_read_dir(&arena, "/nonexistent/policies", POLICIES_OBEYED, true, &out));
    ck_assert_uint_eq(out.policy_count, 0);
    CLEANUP(error_freep)
    struct error *err =
        policies_read_dir(&arena, "/nonexistent/policies", POLICIES_OBEYED, false, &out);
    ck_assert_ptr_nonnull(err);
}
END_TEST

START_TEST(test_a_case_file_cannot_lead_out_of_the_folder) {
    struct bytes octets;
    CLEANUP(error_freep)
    struct error *err =
        policies_read_file(&arena, made, TEXT_LIT("../etc/passwd"), 1 << 20, &octets);
    ck_assert_ptr_nonnull(err);
}
END_TEST

int main(void) {
    Suite *s = suite_create("policies");
    TCase *tc = tcase_create("policies");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_reads_yaml_files_in_order_of_name);
    tcase_add_test(tc, test_refuses_a_file_that_others_can_write);
    tcase_add_test(tc, test_a_group_may_write_if_it_is_ours);
    tcase_add_test(tc, test_serves_only_what_is_owned_by_root_or_itself);
    tcase_add_test(tc, test_refuses_a_folder_that_others_can_write);
    tcase_add_test(tc, test_refuses_a_link);
    tcase_add_test(tc, test_refuses_what_is_no_file);
    tcase_add_test(tc, test_refuses_a_fifo_without_waiting_for_it);
    tcase_add_test(tc, test_refuses_a_file_over_the_bound);
    tcase_add_test(tc, test_a_missing_folder_is_empty_only_where_that_is_allowed);
    tcase_add_test(tc, test_a_case_file_cannot_lead_out_of_the_folder);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
