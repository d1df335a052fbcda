#include <check.h>
#include <stdlib.h>

#include "base/arena.h"
#include "codec/codec.h"

static struct buf out;
static struct arena arena;

static void setup(void) {
    buf_init(&out, (size_t)1 << 20);
    arena_init(&arena, (size_t)1 << 24);
}
static void teardown(void) {
    buf_done(&out);
    arena_done(&arena);
}

START_TEST(test_hex_round_trips_and_refuses_other_texts) {
    uint8_t octets[3];
    hex_put(&out, BYTES_LIT("\x00\xAB\xFF"));
    ck_assert(bytes_equal(buf_bytes(&out), BYTES_LIT("00abff")));
    ck_assert(hex_decode(buf_bytes(&out), octets, 3));
    ck_assert_mem_eq(octets, "\x00\xAB\xFF", 3);
    static const char *const bad[] = {"00abf", "00ABFF", "00abfg", "00abff0", " 0abff", "0x0abf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!hex_decode(bytes_of_cstr(bad[i]), octets, 3), "accepted %s", bad[i]);
    ck_assert(!hex_is_lower(BYTES_LIT("")));
    ck_assert(!hex_is_lower(BYTES_LIT("AB")));
    ck_assert(hex_is_lower(BYTES_LIT("ab")));
}
END_TEST

/* SPEC rfc4648 10: "Test Vectors" */
START_TEST(test_base64_vectors) {
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct bytes back;
        buf_clear(&out);
        base64_put(&out, bytes_of_cstr(vectors[i][0]));
        ck_assert(bytes_equal(buf_bytes(&out), bytes_of_cstr(vectors[i][1])));
        ck_assert_ptr_null(base64_decode(&arena, buf_bytes(&out), BASE64_STANDARD, &back));
        ck_assert(bytes_equal(back, bytes_of_cstr(vectors[i][0])));
    }
}
END_TEST

START_TEST(test_base64_has_one_text_for_one_value) {
    static const char *const bad[] = {"Zg",   "Zg=",   "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==",
                                      "Zm8 ", "Zm8\n", "Zm-_", "=Zm9", "Z",    "Zm9v="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes back = BYTES_LIT("kept");
        CLEANUP(error_freep)
        struct error *err = base64_decode(&arena, bytes_of_cstr(bad[i]), BASE64_STANDARD, &back);
        ck_assert_msg(err != NULL, "accepted %s", bad[i]);
        ck_assert(bytes_equal(back, BYTES_LIT("kept")));
    }
}
END_TEST

START_TEST(test_base64_any_takes_url_safe_and_bare) {
    struct bytes back;
    ck_assert_ptr_null(base64_decode(&arena, BYTES_LIT("-_8"), BASE64_ANY, &back));
    ck_assert(bytes_equal(back, BYTES_LIT("\xFB\xFF")));
    ck_assert_ptr_null(base64_decode(&arena, BYTES_LIT("+/8="), BASE64_ANY, &back));
    ck_assert(bytes_equal(back, BYTES_LIT("\xFB\xFF")));
}
END_TEST

START_TEST(test_base64_round_trips_every_length) {
    uint8_t octets[200];
    for (size_t i = 0; i < sizeof octets; i++) octets[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof octets; n++) {
        struct bytes back;
        buf_clear(&out);
        base64_put(&out, (struct bytes){octets, n});
        ck_assert_uint_eq(out.len, base64_len(n));
        ck_assert_ptr_null(base64_decode(&arena, buf_bytes(&out), BASE64_STANDARD, &back));
        ck_assert(bytes_equal(back, (struct bytes){octets, n}));
    }
}
END_TEST

START_TEST(test_varint_round_trips_and_every_truncation_fails) {
    static const uint64_t values[] = {0,         1, 127, 128, 300, UINT32_MAX, (uint64_t)1 << 63,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint64_t v = 0;
        buf_clear(&out);
        varint_put(&out, values[i]);
        struct bytes in = buf_bytes(&out);
        for (size_t n = 0; n < in.len; n++) {
            struct bytes cut = {in.data, n};
            ck_assert(!varint_get(&cut, &v));
        }
        ck_assert(varint_get(&in, &v));
        ck_assert_uint_eq(v, values[i]);
        ck_assert_uint_eq(in.len, 0);
    }
    uint64_t v = 7;
    struct bytes over = BYTES_LIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02");
    ck_assert(!varint_get(&over, &v));
    ck_assert_uint_eq(v, 7);
}
END_TEST

/* SPEC rfc3339 5.6: "date-time = full-date "T" full-time". */
START_TEST(test_time_vectors) {
    static const struct {
        const char *text;
        int64_t seconds;
        int32_t nanos;
        const char *back;
    } vectors[] = {
        {"1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"},
        {"1969-12-31T23:59:59Z", -1, 0, "1969-12-31T23:59:59Z"},
        {"2000-02-29T12:30:45.5Z", 951827445, 500000000, "2000-02-29T12:30:45.500Z"},
        {"2026-11-24T12:00:00+02:30", 1795512600, 0, "2026-11-24T09:30:00Z"},
        {"0001-01-01T00:00:00Z", -62135596800, 0, "0001-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59.999999999Z", 253402300799, 999999999,
         "9999-12-31T23:59:59.999999999Z"},
        {"2024-03-01t00:00:00z", 1709251200, 0, "2024-03-01T00:00:00Z"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        int64_t seconds = 0;
        int32_t nanos = 0;
        ck_assert_msg(time_parse(bytes_of_cstr(vectors[i].text), &seconds, &nanos), "%s",
                      vectors[i].text);
        ck_assert_int_eq(seconds, vectors[i].seconds);
        ck_assert_int_eq(nanos, vectors[i].nanos);
        buf_clear(&out);
        time_put_nanos(&out, seconds, nanos);
        ck_assert_msg(bytes_equal(buf_bytes(&out), bytes_of_cstr(vectors[i].back)), "%s",
                      vectors[i].text);
    }
}
END_TEST

START_TEST(test_time_refuses) {
    static const char *const bad[] = {
        "",
        "2026-11-24",
        "2026-11-24T12:00:00",
        "2026-11-24 12:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T12:60:00Z",
        "2026-11-24T12:00:60Z",
        "2026-11-24T12:00:00.Z",
        "2026-11-24T12:00:00+2:00",
        "2026-11-24T12:00:00Zx",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "26-11-24T12:00:00Z",
        "2026-11-24T12:00:00.1234567891Z",
    };
    int64_t seconds;
    int32_t nanos;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!time_parse(bytes_of_cstr(bad[i]), &seconds, &nanos), "accepted %s", bad[i]);
    const char *good = "2026-11-24T12:00:00.25+02:30";
    for (size_t n = 0; n < strlen(good); n++)
        ck_assert(!time_parse((struct bytes){(const uint8_t *)good, n}, &seconds, &nanos));
}
END_TEST

START_TEST(test_time_round_trips_every_day_of_four_centuries) {
    for (int64_t day = -146097; day < 146097; day += 1) {
        int64_t seconds;
        int32_t nanos;
        buf_clear(&out);
        time_put(&out, (day * 86400 + 43200) * 1000);
        ck_assert(time_parse(buf_bytes(&out), &seconds, &nanos));
        ck_assert_int_eq(seconds, day * 86400 + 43200);
    }
}
END_TEST

START_TEST(test_duration) {
    int64_t ms = 0;
    ck_assert(duration_parse(BYTES_LIT("30d"), &ms) && ms == 2592000000);
    ck_assert(duration_parse(BYTES_LIT("250ms"), &ms) && ms == 250);
    ck_assert(duration_parse(BYTES_LIT("5m"), &ms) && ms == 300000);
    static const char *const bad[] = {
        "", "d", "5", "5 m", "-5m", "1.5h", "5w", "99999999999999999999s", "36601d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!duration_parse(bytes_of_cstr(bad[i]), &ms), "accepted %s", bad[i]);
}
END_TEST

int main(void) {
    Suite *s = suite_create("codec");
    TCase *tc = tcase_create("codec");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_hex_round_trips_and_refuses_other_texts);
    tcase_add_test(tc, test_base64_vectors);
    tcase_add_test(tc, test_base64_has_one_text_for_one_value);
    tcase_add_test(tc, test_base64_any_takes_url_safe_and_bare);
    tcase_add_test(tc, test_base64_round_trips_every_length);
    tcase_add_test(tc, test_varint_round_trips_and_every_truncation_fails);
    tcase_add_test(tc, test_time_vectors);
    tcase_add_test(tc, test_time_refuses);
    tcase_add_test(tc, test_time_round_trips_every_day_of_four_centuries);
    tcase_add_test(tc, test_duration);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
