#include <check.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "config/config.h"

#define FILE_MAX ((size_t)256 << 10) /* config.c's CONFIG_FILE_MAX */

static struct arena arena;
static struct config config;

static void setup(void) {
    arena_init(&arena, (size_t)1 << 20);
    config_default(&config);
}
static void teardown(void) { arena_done(&arena); }

START_TEST(test_defaults_are_those_of_the_interface) {
    ck_assert_str_eq(config.listen, "127.0.0.1:8443");
    ck_assert_str_eq(config.ops_listen, "127.0.0.1:9464");
    ck_assert_uint_eq(config.message_max, 4U << 20);
    ck_assert_uint_eq(config.predicate_max, 2U << 20);
    ck_assert_uint_eq(config.json_depth_max, 64);
    ck_assert_uint_eq(config.batch_max, 1000);
    ck_assert_uint_eq(config.streams_max, 100);
    ck_assert_uint_eq(config.connections_max, 1024);
    ck_assert_uint_eq(config.header_list_max, 16U << 10);
    ck_assert_uint_eq(config.idempotency_key_max, 128);
    ck_assert_uint_eq(config.handshake_ms, 10000);
    ck_assert_uint_eq(config.idle_ms, 300000);
    ck_assert_uint_eq(config.deadline_ms, 30000);
    ck_assert_uint_eq(config.quota_per_second, 50000);
    ck_assert_uint_eq(config.quota_octets_day, (uint64_t)64 << 30);
    ck_assert(!config.anchor_required);
    ck_assert_ptr_null(config_check(&config));
}
END_TEST

START_TEST(test_a_file_sets_every_type) {
    struct bytes yaml = BYTES_LIT(
        "# comment\nlisten: 127.0.0.1:0\nanchor.required: true\nreactors: 3\n"
        "limits.message: 8MiB\nlimits.idle: 90s\n");
    ck_assert_ptr_null(config_load(&arena, yaml, "a.yaml", &config));
    ck_assert_str_eq(config.listen, "127.0.0.1:0");
    ck_assert(config.anchor_required);
    ck_assert_uint_eq(config.reactors, 3);
    ck_assert_uint_eq(config.message_max, 8U << 20);
    ck_assert_uint_eq(config.idle_ms, 90000);
}
END_TEST

START_TEST(test_an_empty_file_changes_nothing) {
    ck_assert_ptr_null(config_load(&arena, BYTES_LIT(""), "a.yaml", &config));
    ck_assert_ptr_null(config_load(&arena, BYTES_LIT("# nothing\n"), "a.yaml", &config));
}
END_TEST

static const struct {
    const char *yaml;
    const char *says;
} refused[] = {
    {"no.such.key: 1\n", "a.yaml:1: unknown key"},
    {"reactors: 2\nreactors: 2\n", "a.yaml:2: key \"reactors\" stands here a second time"},
    {"ops:\n  listen: x\n", "unknown key"},
    {"reactors: [1]\n", "want one value"},
    {"reactors: 0\n", "want 1 to 64"},
    {"reactors: 65\n", "want 1 to 64"},
    {"reactors: two\n", "whole number"},
    {"reactors: -1\n", "whole number"},
    {"reactors: 18446744073709551617\n", "whole number"},
    {"limits.message: 4 MiB\n", "want a size"},
    {"limits.message: 99999999999999TiB\n", "want a size"},
    {"limits.idle: 5 minutes\n", "want a time"},
    {"anchor.required: yes\n", "true or false"},
    {"listen: &a x:1\nops.listen: *a\n", "want one value"},
    {"- listen\n", "want a mapping"},
    {"listen: a:1\n---\nreactors: 1\n", "want one document"},
    {"listen: \"\\0\\0\\0:1\"\n", "UTF-8"},
    {"listen: [\n", "a.yaml"},
};

START_TEST(test_refuses_with_the_line) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char text[512];
        struct config before = config;
        CLEANUP(error_freep)
        struct error *err = config_load(&arena, bytes_of_cstr(refused[i].yaml), "a.yaml", &config);
        ck_assert_msg(err != NULL, "accepted: %s", refused[i].yaml);
        error_text(err, text, sizeof text);
        ck_assert_msg(strstr(text, refused[i].says) != NULL, "%s: %s", refused[i].yaml, text);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert_mem_eq(&before, &config, sizeof config);
    }
}
END_TEST

/* A comment of the file's own, so that nothing but its size is wrong with it. */
START_TEST(test_a_file_over_its_bound_is_refused_and_a_cut_one_never_half_taken) {
    static uint8_t large[FILE_MAX + 1];
    static const char yaml[] = "listen: 127.0.0.1:1\nreactors: 3\nlimits.idle: 7m\n";
    memset(large, '#', sizeof large);
    ck_assert_ptr_null(config_load(&arena, (struct bytes){large, FILE_MAX}, "a", &config));
    struct error *err = config_load(&arena, (struct bytes){large, sizeof large}, "a", &config);
    ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
    error_free(err);
    for (size_t n = 0; n < sizeof yaml; n++) {
        struct config before = config;
        err = config_load(&arena, (struct bytes){(const uint8_t *)yaml, n}, "a", &config);
        if (err != NULL) ck_assert_mem_eq(&before, &config, sizeof config);
        error_free(err);
    }
}
END_TEST

START_TEST(test_check_refuses_what_single_keys_cannot_say) {
    static const char *const bad[][2] = {
        {"log.level", "noisy"}, {"tls.key", "/k"}, {"ops.listen", "0.0.0.0:9464"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config_default(&config);
        ck_assert_ptr_null(
            config_set(&arena, &config, bytes_of_cstr(bad[i][0]), bytes_of_cstr(bad[i][1])));
        CLEANUP(error_freep) struct error *err = config_check(&config);
        ck_assert_msg(err != NULL, "accepted %s", bad[i][0]);
    }
    ck_assert_ptr_null(
        config_set(&arena, &config, BYTES_LIT("ops.allow_remote"), BYTES_LIT("true")));
    ck_assert_ptr_null(config_check(&config));
}
END_TEST

START_TEST(test_restart_is_named) {
    struct config now = config;
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, 4096);
    ck_assert_ptr_null(config_set(&arena, &now, BYTES_LIT("reactors"), BYTES_LIT("4")));
    ck_assert_ptr_null(config_set(&arena, &now, BYTES_LIT("log.level"), BYTES_LIT("warn")));
    config_needs_restart(&out, &config, &now);
    ck_assert(bytes_equal(buf_bytes(&out), BYTES_LIT("reactors\n")));
}
END_TEST

START_TEST(test_survives_every_allocation_failure) {
    struct bytes yaml = BYTES_LIT("listen: 127.0.0.1:0\nlog.level: warn\n");
    for (long n = 0; n < 8; n++) {
        struct arena small;
        arena_init(&small, (size_t)1 << 16);
        (void)alloc_fail_after(n);
        struct error *err = config_load(&small, yaml, "a.yaml", &config);
        (void)alloc_fail_after(-1);
        if (err != NULL) ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        error_free(err);
        arena_done(&small);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_defaults_are_those_of_the_interface);
    tcase_add_test(tc, test_a_file_sets_every_type);
    tcase_add_test(tc, test_an_empty_file_changes_nothing);
    tcase_add_test(tc, test_refuses_with_the_line);
    tcase_add_test(tc, test_a_file_over_its_bound_is_refused_and_a_cut_one_never_half_taken);
    tcase_add_test(tc, test_check_refuses_what_single_keys_cannot_say);
    tcase_add_test(tc, test_restart_is_named);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
