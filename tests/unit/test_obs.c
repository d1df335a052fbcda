#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "json/json.h"
#include "obs/obs.h"

static int pipe_fds[2];
static char text[1 << 20];
static size_t text_len;

static void setup(void) {
    ck_assert_int_eq(pipe2(pipe_fds, O_NONBLOCK), 0);
    ck_assert_int_gt(fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 20), 0);
    log_set_fd(pipe_fds[1]);
    log_set_level(LOG_INFO);
}

static void teardown(void) {
    log_set_fd(STDERR_FILENO);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void read_lines(void) {
    text_len = 0;
    for (;;) {
        ssize_t n = read(pipe_fds[0], text + text_len, sizeof text - 1 - text_len);
        if (n <= 0) break;
        text_len += (size_t)n;
    }
    text[text_len] = '\0';
}

static size_t count_lines(void) {
    size_t lines = 0;
    for (size_t i = 0; i < text_len; i++) lines += text[i] == '\n';
    return lines;
}

START_TEST(test_a_line_is_one_json_object_whatever_a_client_sent) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, (size_t)1 << 20);
    CLEANUP(error_freep)
    struct error *err = error_wrap(error_reason_new(REASON_QUEUE_FULL, "8192 wait"), "submit");
    log_event(LOG_WARN, "test_event", LOG_STR("hostile", BYTES_LIT("a\"b\n{}\x01 \xC3\xA9")),
              LOG_STR("octets", BYTES_LIT("\xFF\xFE")), LOG_U64("n", 42), LOG_ERR("error", err));
    read_lines();
    ck_assert_uint_eq(count_lines(), 1);
    ck_assert_ptr_null(json_parse(&arena, (struct bytes){(uint8_t *)text, text_len - 1},
                                  &JSON_LIMITS_DEFAULT, &v));
    ck_assert(bytes_equal(json_string(json_get(&v, "event")), BYTES_LIT("test_event")));
    ck_assert(
        bytes_equal(json_string(json_get(&v, "hostile")), BYTES_LIT("a\"b\n{}\x01 \xC3\xA9")));
    ck_assert(bytes_equal(json_string(json_get(&v, "octets")), BYTES_LIT("//4=")));
    ck_assert(
        bytes_equal(json_string(json_at(&v, BYTES_LIT("error.reason"))), BYTES_LIT("QUEUE_FULL")));
    ck_assert(bytes_equal(json_string(json_at(&v, BYTES_LIT("error.text"))),
                          BYTES_LIT("submit: 8192 wait")));
    arena_done(&arena);
}
END_TEST

START_TEST(test_an_event_without_an_error_has_no_such_field) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, (size_t)1 << 20);
    log_event(LOG_INFO, "test_no_error", LOG_ERR("error", NULL), LOG_U64("n", 42));
    read_lines();
    ck_assert_uint_eq(count_lines(), 1);
    ck_assert_ptr_null(json_parse(&arena, (struct bytes){(uint8_t *)text, text_len - 1},
                                  &JSON_LIMITS_DEFAULT, &v));
    ck_assert_ptr_null(json_get(&v, "error"));
    ck_assert_ptr_nonnull(json_get(&v, "n"));
    arena_done(&arena);
}
END_TEST

START_TEST(test_long_fields_are_cut_between_characters) {
    static uint8_t lots[5000];
    for (size_t i = 0; i + 1 < sizeof lots; i += 2) memcpy(lots + i, "\xC3\xA9", 2);
    log_event(LOG_INFO, "test_long", LOG_STR("a", ((struct bytes){lots, sizeof lots})),
              LOG_STR("b", ((struct bytes){lots, sizeof lots})));
    read_lines();
    ck_assert_uint_eq(count_lines(), 1);
    ck_assert_uint_lt(text_len, 2000);
    ck_assert(bytes_are_utf8((struct bytes){(uint8_t *)text, text_len}));
}
END_TEST

START_TEST(test_levels_below_the_set_one_are_silent) {
    log_event(LOG_DEBUG, "test_debug", LOG_U64("n", 1));
    log_set_level(LOG_ERROR);
    log_event(LOG_WARN, "test_warn", LOG_U64("n", 1));
    read_lines();
    ck_assert_uint_eq(text_len, 0);
}
END_TEST

START_TEST(test_a_flood_of_one_event_is_limited_and_does_not_hide_another) {
    for (int i = 0; i < 1000; i++) log_event(LOG_INFO, "test_flood", LOG_U64("n", 1));
    log_event(LOG_INFO, "test_other", LOG_U64("n", 1));
    read_lines();
    size_t lines = count_lines();
    ck_assert_uint_ge(lines, 101);
    ck_assert_uint_le(lines, 301); /* the second may turn over in between */
    ck_assert_ptr_nonnull(strstr(text, "test_other"));
    ck_assert_uint_ge(metric_get(METRIC_LOG_LINES_DROPPED), 700);
}
END_TEST

START_TEST(test_metrics_have_every_promised_family) {
    static const char *const families[] = {
        "attestd_rpc_requests_total{method=\"/x.Y/Z\",code=\"NOT_FOUND\"} 1\n",
        "attestd_rpc_seconds_bucket{method=\"/x.Y/Z\",le=\"0.001000\"} 0\n",
        "attestd_rpc_seconds_bucket{method=\"/x.Y/Z\",le=\"0.002500\"} 1\n",
        "attestd_rpc_seconds_sum{method=\"/x.Y/Z\"} 0.001500\n",
        "attestd_rpc_seconds_count{method=\"/x.Y/Z\"} 1\n",
        "attestd_log_size 7\n",
        "attestd_log_round_seconds_count 1\n",
        "attestd_log_round_entries_bucket{le=\"+Inf\"} 1\n",
        "attestd_log_round_entries_sum 300\n",
        "attestd_queue_depth{queue=\"log\"} 3\n",
        "attestd_anchor_lag_entries ",
        "attestd_disk_free_bytes ",
        "attestd_store_bytes ",
        "attestd_tls_certificate_expiry_seconds ",
        "attestd_decisions_total{policy=\"a\\\"b\",decision=\"DENY\"} 1\n",
        "attestd_read_only ",
    };
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, (size_t)1 << 20);
    metric_set(METRIC_LOG_SIZE, 7);
    metric_rpc("/x.Y/Z", 5, 1500);
    metric_round(900, 300);
    metric_queue("log", 3);
    metric_decision(BYTES_LIT("a\"b"), false);
    metrics_put(&out);
    buf_put_u8(&out, 0);
    ck_assert_ptr_null(buf_finish(&out, "metrics"));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        ck_assert_msg(strstr((char *)out.data, families[i]) != NULL, "no %s in\n%s", families[i],
                      (char *)out.data);
}
END_TEST

int main(void) {
    Suite *s = suite_create("obs");
    TCase *tc = tcase_create("obs");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_a_line_is_one_json_object_whatever_a_client_sent);
    tcase_add_test(tc, test_an_event_without_an_error_has_no_such_field);
    tcase_add_test(tc, test_long_fields_are_cut_between_characters);
    tcase_add_test(tc, test_levels_below_the_set_one_are_silent);
    tcase_add_test(tc, test_a_flood_of_one_event_is_limited_and_does_not_hide_another);
    tcase_add_test(tc, test_metrics_have_every_promised_family);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
