#include <check.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/entropy.h"
#include "base/reader.h"

START_TEST(test_utf8_is_what_rfc3629_says) {
    static const struct {
        const char *octets;
        size_t len;
        bool valid;
    } cases[] = {
        {"", 0, true},
        {"plain ascii text, more than eight", 33, true},
        {"\x00", 1, true},
        {"\xC2\x80", 2, true},
        {"\xDF\xBF", 2, true},
        {"\xE0\xA0\x80", 3, true},
        {"\xED\x9F\xBF", 3, true},
        {"\xEF\xBF\xBF", 3, true},
        {"\xF0\x90\x80\x80", 4, true},
        {"\xF4\x8F\xBF\xBF", 4, true},
        {"\x80", 1, false},
        {"\xC0\x80", 2, false},
        {"\xC1\xBF", 2, false},
        {"\xE0\x9F\xBF", 3, false},
        {"\xED\xA0\x80", 3, false}, /* surrogate */
        {"\xF0\x8F\xBF\xBF", 4, false},
        {"\xF4\x90\x80\x80", 4, false},
        {"\xF5\x80\x80\x80", 4, false},
        {"\xE2\x82", 2, false},
        {"1234567\xE2", 8, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b = {(const uint8_t *)cases[i].octets, cases[i].len};
        ck_assert_msg(bytes_are_utf8(b) == cases[i].valid, "case %zu", i);
    }
    struct text t = TEXT_LIT("kept");
    ck_assert(!text_of_bytes(BYTES_LIT("a\0b"), &t));
    ck_assert(text_equal(t, TEXT_LIT("kept")));
}
END_TEST

START_TEST(test_arena_keeps_its_bound_and_zeroes) {
    struct arena a;
    arena_init(&a, 100000);
    for (size_t i = 1; i < 300; i++) {
        uint8_t *p = arena_alloc(&a, i);
        if (p == NULL) break;
        ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < i; k++) ck_assert_uint_eq(p[k], 0);
        memset(p, 0xAA, i);
    }
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&a, 100001));
    size_t left = a.max_bytes - a.used_bytes;
    ck_assert_ptr_null(arena_alloc(&a, left + 1));
    ck_assert_uint_le(a.used_bytes, a.max_bytes);
    arena_done(&a);
}
END_TEST

START_TEST(test_arenas_keep_a_bound_that_they_share) {
    struct arena_budget budget = {.max_bytes = 35000}; /* blocks double: 9,000, then 18,000 */
    struct arena a, b, c;
    arena_init_within(&a, 100000, &budget);
    arena_init_within(&b, 100000, &budget);
    arena_init_within(&c, 100000, &budget);
    ck_assert_ptr_nonnull(arena_alloc(&a, 9000));
    ck_assert_ptr_nonnull(arena_alloc(&b, 9000));
    ck_assert_uint_gt(budget.used_bytes, 18000);
    ck_assert_ptr_null(arena_alloc(&b, 9000)); /* its own bound would allow it */
    arena_done(&a);
    ck_assert_ptr_nonnull(arena_alloc(&b, 9000));
    size_t used = budget.used_bytes;
    (void)alloc_fail_after(0);
    ck_assert_ptr_null(arena_alloc(&c, 100)); /* what could not be had is not counted */
    (void)alloc_fail_after(-1);
    ck_assert_uint_eq(budget.used_bytes, used);
    ck_assert_ptr_nonnull(arena_alloc(&c, 100));
    arena_done(&b);
    arena_done(&c);
    ck_assert_uint_eq(budget.used_bytes, 0);
}
END_TEST

START_TEST(test_arena_extends_what_it_gave_out_last_alone) {
    struct arena a;
    arena_init(&a, 6000);
    ck_assert(!arena_extend(&a, "", 0, 1)); /* gave out nothing yet */
    uint8_t *p = arena_alloc(&a, 100);
    memset(p, 0xAA, 100);
    ck_assert(arena_extend(&a, p, 100, 1001));
    for (size_t i = 0; i < 1001; i++) ck_assert_uint_eq(p[i], i < 100 ? 0xAA : 0);
    uint8_t *q = arena_alloc(&a, 10);
    ck_assert(q >= p + 1001);
    ck_assert(!arena_extend(&a, p, 1001, 1002)); /* not the last any more */
    ck_assert(!arena_extend(&a, q, 10, 4000));   /* the block is full */
    size_t used = a.used_bytes;
    ck_assert(!arena_extend(&a, q, 10, SIZE_MAX));
    ck_assert_uint_eq(a.used_bytes, used);
    ck_assert_ptr_nonnull(arena_alloc(&a, 3072)); /* a second block, with room for 8,192 */
    uint8_t *r = arena_alloc(&a, 1000);
    ck_assert(!arena_extend(&a, r, 1000, 1000 + 6100 - a.used_bytes)); /* the arena's bound */
    ck_assert(arena_extend(&a, r, 1000, 1500));
    ck_assert_uint_le(a.used_bytes, a.max_bytes);
    arena_done(&a);
}
END_TEST

START_TEST(test_arena_survives_every_allocation_failure) {
    for (long n = 0; n < 6; n++) {
        struct arena a;
        arena_init(&a, (size_t)1 << 20);
        (void)alloc_fail_after(n);
        for (size_t i = 0; i < 40; i++) {
            uint8_t *p = arena_alloc(&a, 3000);
            if (p != NULL) memset(p, 1, 3000);
        }
        (void)alloc_fail_after(-1);
        arena_done(&a);
    }
}
END_TEST

START_TEST(test_buf_failure_is_sticky_and_said_once) {
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 10);
    buf_put_cstr(&b, "12345678");
    buf_put_u32be(&b, 1); /* over */
    buf_put_u8(&b, '9');
    ck_assert(bytes_equal(buf_bytes(&b), BYTES_LIT("12345678")));
    CLEANUP(error_freep) struct error *err = buf_finish(&b, "thing");
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(test_buf_clear_to_keeps_no_more_than_it_may) {
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 4096);
    for (int i = 0; i < 200; i++) buf_put_u8(&b, 'x');
    size_t cap = b.cap;
    buf_clear_to(&b, cap);
    ck_assert(b.len == 0 && b.cap == cap);
    for (int i = 0; i < 5000; i++) buf_put_u8(&b, 'x'); /* fails: over its bound */
    buf_clear_to(&b, cap);
    ck_assert(b.len == 0 && b.cap == 0 && b.data == NULL && !b.failed);
    buf_put_cstr(&b, "again");
    ck_assert(bytes_equal(buf_bytes(&b), BYTES_LIT("again")));
}
END_TEST

START_TEST(test_bufs_of_one_arena_grow_beside_each_other) {
    struct arena a;
    struct buf one, two;
    arena_init(&a, (size_t)1 << 20);
    buf_init_arena(&one, &a, 100000);
    buf_init_arena(&two, &a, 100000);
    for (size_t i = 0; i < 60000; i++) {
        buf_put_u8(&one, (uint8_t)(i % 251));
        if (i % 7 == 0) buf_put_u8(&two, (uint8_t)(i % 253));
    }
    ck_assert_ptr_null(buf_finish(&one, "one"));
    ck_assert_ptr_null(buf_finish(&two, "two"));
    for (size_t i = 0; i < 60000; i++) {
        ck_assert_uint_eq(one.data[i], i % 251);
        if (i % 7 == 0) ck_assert_uint_eq(two.data[i / 7], i % 253);
    }
    arena_done(&a);
}
END_TEST

START_TEST(test_buf_writes_every_form) {
    CLEANUP(buf_done) struct buf b;
    buf_init(&b, 4096);
    buf_put_u16be(&b, 0x0102);
    buf_put_u32be(&b, 0x03040506);
    buf_put_u64be(&b, 0x0708090A0B0C0D0EU);
    buf_put_dec(&b, 0);
    buf_put_dec(&b, UINT64_MAX);
    buf_printf(&b, "%s-%d", "x", 7);
    ck_assert_ptr_null(buf_finish(&b, "forms"));
    ck_assert(bytes_equal(buf_bytes(&b),
                          BYTES_LIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E"
                                    "0"
                                    "18446744073709551615x-7")));
}
END_TEST

START_TEST(test_reader_fails_for_good) {
    struct reader r = reader_of(BYTES_LIT("\x01\x02\x03"));
    ck_assert_uint_eq(reader_u16be(&r, "first"), 0x0102);
    ck_assert_uint_eq(reader_u32be(&r, "second"), 0);
    ck_assert_uint_eq(reader_u8(&r, "third"), 0); /* an octet was left, but the reader failed */
    CLEANUP(error_freep) struct error *err = reader_finish(&r, "record");
    ck_assert_str_eq(error_message(err), "record: bad or missing second");
}
END_TEST

START_TEST(test_error_carries_reason_and_field_through_wraps) {
    CLEANUP(error_freep)
    struct error *err = error_wrap(error_field_new("subject[2].digest", "no sha256"), "attest");
    ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
    ck_assert_int_eq(error_reason(err), REASON_INVALID_FIELD);
    ck_assert_str_eq(error_field(err), "subject[2].digest");
    char text[64];
    error_text(err, text, sizeof text);
    ck_assert_str_eq(text, "attest: no sha256");
    error_text(err, text, 9);
    ck_assert_str_eq(text, "attest: ");
}
END_TEST

START_TEST(test_recode_hides_the_inner_reason) {
    CLEANUP(error_freep)
    struct error *err = error_recode(error_reason_new(REASON_ENTRY_NOT_FOUND, "entry 3"),
                                     ERROR_DATA_LOSS, "load head");
    ck_assert_int_eq(error_code(err), ERROR_DATA_LOSS);
    ck_assert_int_eq(error_reason(err), REASON_NONE);
}
END_TEST

static struct error *chain(void) {
    struct error *err = error_new(ERROR_UNAVAILABLE, "disk");
    err = error_wrap(err, "write");
    return error_recode(err, ERROR_INTERNAL, "commit");
}

START_TEST(test_error_keeps_the_first_truth_without_memory) {
    for (long n = 0; n < 4; n++) {
        (void)alloc_fail_after(n);
        struct error *err = chain();
        (void)alloc_fail_after(-1);
        static const enum error_code want[] = {ERROR_RESOURCE_EXHAUSTED, ERROR_UNAVAILABLE,
                                               ERROR_UNAVAILABLE, ERROR_INTERNAL};
        ck_assert_int_eq(error_code(err), want[n]);
        error_free(err);
    }
}
END_TEST

START_TEST(test_every_reason_has_a_name_code_and_advice) {
    for (int r = 1; r < REASON_COUNT_; r++) {
        ck_assert(reason_name((enum reason)r)[0] != '\0');
        ck_assert_int_gt(reason_code((enum reason)r), 0);
        ck_assert_int_lt(reason_code((enum reason)r), 17);
        ck_assert(reason_advice((enum reason)r)[0] != '\0');
    }
}
END_TEST

START_TEST(test_entropy_fills) {
    uint8_t a[64] = {0}, b[64] = {0};
    ck_assert_ptr_null(entropy_fill(&entropy_system, a, sizeof a));
    ck_assert_ptr_null(entropy_fill(&entropy_system, b, sizeof b));
    ck_assert_mem_ne(a, b, sizeof a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("base");
    TCase *tc = tcase_create("base");
    tcase_add_test(tc, test_utf8_is_what_rfc3629_says);
    tcase_add_test(tc, test_arena_keeps_its_bound_and_zeroes);
    tcase_add_test(tc, test_arenas_keep_a_bound_that_they_share);
    tcase_add_test(tc, test_arena_extends_what_it_gave_out_last_alone);
    tcase_add_test(tc, test_arena_survives_every_allocation_failure);
    tcase_add_test(tc, test_buf_failure_is_sticky_and_said_once);
    tcase_add_test(tc, test_buf_clear_to_keeps_no_more_than_it_may);
    tcase_add_test(tc, test_bufs_of_one_arena_grow_beside_each_other);
    tcase_add_test(tc, test_buf_writes_every_form);
    tcase_add_test(tc, test_reader_fails_for_good);
    tcase_add_test(tc, test_error_carries_reason_and_field_through_wraps);
    tcase_add_test(tc, test_recode_hides_the_inner_reason);
    tcase_add_test(tc, test_error_keeps_the_first_truth_without_memory);
    tcase_add_test(tc, test_every_reason_has_a_name_code_and_advice);
    tcase_add_test(tc, test_entropy_fills);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
