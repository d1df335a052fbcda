/* Suite of pkg/dsse: the specification's PAE vector, both directions of the envelope. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "dsse/dsse.h"

#define ENVELOPE                                                                                   \
    "{\"payload\":\"aGVsbG8gd29ybGQ=\",\"payloadType\":\"http://example.com/HelloWorld\","         \
    "\"signatures\":[{\"keyid\":\"\",\"sig\":\"+/8=\"},{\"keyid\":\"k2\",\"sig\":\"AA==\"}]}"

/* SPEC dsse protocol.md "Signature Definition" */
static const struct {
    const char *type, *body, *pae;
} paes[] = {
    /* dsse protocol.md, "Test Vectors" */
    {"http://example.com/HelloWorld", "hello world",
     "DSSEv1 29 http://example.com/HelloWorld 11 hello world"},
    {"", "", "DSSEv1 0  0 "},
    {"\xc3\xa9", "a b 1", "DSSEv1 2 \xc3\xa9 5 a b 1"},
};

START_TEST(test_pae) {
    for (size_t i = 0; i < sizeof paes / sizeof *paes; i++) {
        struct buf b;
        buf_init(&b, 256);
        dsse_put_pae(&b, bytes_of_cstr(paes[i].type), bytes_of_cstr(paes[i].body));
        ck_assert_ptr_null(buf_finish(&b, "PAE"));
        ck_assert_msg(bytes_equal(buf_bytes(&b), bytes_of_cstr(paes[i].pae)), "%s", paes[i].pae);
        buf_done(&b);
    }
}
END_TEST

/* Two different (type, body) pairs never have one encoding, also where their texts run together. */
START_TEST(test_pae_binds_where_type_ends) {
    struct buf a, b;
    buf_init(&a, 256);
    buf_init(&b, 256);
    dsse_put_pae(&a, BYTES_LIT("t"), BYTES_LIT("1 x"));
    dsse_put_pae(&b, BYTES_LIT("t 3"), BYTES_LIT("x"));
    ck_assert(!bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    buf_done(&a);
    buf_done(&b);
}
END_TEST

static struct error *read_text(struct arena *arena, const char *text, bool strict,
                               struct dsse_envelope *out) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json_value v;
    TRY(json_parse(arena, bytes_of_cstr(text), &limits, &v));
    return dsse_envelope_from_json(arena, &v, strict, out);
}

START_TEST(test_envelope_reads_and_writes_back_the_same_octets) {
    struct dsse_envelope env;
    struct arena arena;
    struct buf b;
    buf_init(&b, 1024);
    arena_init(&arena, 1 << 16);
    ck_assert_ptr_null(read_text(&arena, ENVELOPE, true, &env));
    ck_assert(bytes_equal(env.payload, BYTES_LIT("hello world")));
    ck_assert(bytes_equal(env.payload_type, BYTES_LIT("http://example.com/HelloWorld")));
    ck_assert_uint_eq(env.signature_count, 2);
    ck_assert(bytes_equal(env.signatures[0].sig, BYTES_LIT("\xfb\xff")));
    ck_assert_uint_eq(env.signatures[0].keyid.len, 0);
    ck_assert(bytes_equal(env.signatures[1].keyid, BYTES_LIT("k2")));
    dsse_put_envelope(&b, &env);
    ck_assert(bytes_equal(buf_bytes(&b), BYTES_LIT(ENVELOPE)));
    arena_done(&arena);
    buf_done(&b);
}
END_TEST

#define SIGS ",\"signatures\":[{\"sig\":\"AA==\"}]}"
#define HEAD "{\"payload\":\"\",\"payloadType\":\"t\""
#define SIXTEEN_OF(s) s s s s s s s s s s s s s s s s

/* SPEC dsse protocol.md: "Standard and URL-safe base64 encodings are allowed." */
START_TEST(test_accepted_forms) {
    static const char *const texts[] = {
        HEAD SIGS,                                    /* no keyid, empty payload */
        HEAD ",\"signatures\":[{\"sig\":\"-_8=\"}]}", /* URL-safe */
        HEAD ",\"signatures\":[{\"sig\":\"-_8\"}]}",  /* without padding */
        HEAD ",\"signatures\":[" SIXTEEN_OF("{\"sig\":\"AA\"},") "{\"sig\":\"AA\"}]}", /* 17 */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct dsse_envelope env = {0};
        struct arena arena;
        arena_init(&arena, 1 << 16);
        CLEANUP(error_freep) struct error *err = read_text(&arena, texts[i], true, &env);
        ck_assert_msg((err == NULL) == (i < 3), "%s", texts[i]);
        arena_done(&arena);
    }
}
END_TEST

static const char *const refused[] = {
    "[]",
    "{}",
    "{\"payload\":\"\"" SIGS,
    "{\"payloadType\":\"t\"" SIGS,
    "{\"payload\":1,\"payloadType\":\"t\"" SIGS,
    "{\"payload\":\"\",\"payloadType\":\"\"" SIGS,
    "{\"payload\":\"\",\"payloadType\":null" SIGS,
    "{\"payload\":\"a\",\"payloadType\":\"t\"" SIGS,
    "{\"payload\":\"\\u0000\",\"payloadType\":\"t\"" SIGS,
    HEAD "}",
    HEAD ",\"signatures\":{}}",
    HEAD ",\"signatures\":[]}",
    HEAD ",\"signatures\":[1]}",
    HEAD ",\"signatures\":[{}]}",
    HEAD ",\"signatures\":[{\"sig\":\"\"}]}",
    HEAD ",\"signatures\":[{\"sig\":\"A\"}]}",
    HEAD ",\"signatures\":[{\"sig\":\"AA==\",\"keyid\":1}]}",
};

START_TEST(test_refused) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct dsse_envelope env = {.signature_count = 7};
        struct arena arena;
        arena_init(&arena, 1 << 16);
        CLEANUP(error_freep) struct error *err = read_text(&arena, refused[i], false, &env);
        ck_assert_msg(err != NULL, "accepted %s", refused[i]);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert_uint_eq(env.signature_count, 7); /* untouched on failure */
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_unknown_fields_are_refused_where_strict) {
    static const char *const texts[] = {
        "{\"x\":1,\"payload\":\"\",\"payloadType\":\"t\"" SIGS,
        HEAD ",\"signatures\":[{\"sig\":\"AA==\",\"x\":1}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct dsse_envelope env;
        struct arena arena;
        arena_init(&arena, 1 << 16);
        ck_assert_ptr_null(read_text(&arena, texts[i], false, &env));
        CLEANUP(error_freep) struct error *err = read_text(&arena, texts[i], true, &env);
        ck_assert_ptr_nonnull(err);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_every_truncation_is_refused_and_every_flip_is_refused_or_seen) {
    char text[sizeof ENVELOPE] = ENVELOPE;
    for (size_t n = 0; n + 1 < sizeof text; n++) {
        struct dsse_envelope env;
        struct arena arena;
        arena_init(&arena, 1 << 16);
        char cut[sizeof text];
        (void)snprintf(cut, sizeof cut, "%.*s", (int)n, text);
        CLEANUP(error_freep) struct error *err = read_text(&arena, cut, false, &env);
        ck_assert_msg(err != NULL, "accepted the first %zu octets", n);
        arena_done(&arena);
    }
    for (size_t bit = 0; bit < 8 * (sizeof text - 1); bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        struct dsse_envelope env;
        struct arena arena;
        arena_init(&arena, 1 << 16);
        CLEANUP(error_freep) struct error *err = read_text(&arena, text, true, &env);
        if (err == NULL) { /* then it is another envelope, and is written as another */
            struct buf b;
            buf_init_arena(&b, &arena, 1 << 14);
            dsse_put_envelope(&b, &env);
            ck_assert_msg(!bytes_equal(buf_bytes(&b), BYTES_LIT(ENVELOPE)), "bit %zu unseen", bit);
        }
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        arena_done(&arena);
    }
}
END_TEST

static struct error *whole(size_t arena_max) {
    struct dsse_envelope env;
    struct arena arena;
    arena_init(&arena, arena_max);
    struct error *err = read_text(&arena, ENVELOPE, true, &env);
    arena_done(&arena);
    return err;
}

START_TEST(test_survives_every_allocation_failure) {
    (void)alloc_fail_after(-1);
    ck_assert_ptr_null(whole(1 << 16));
    long needed = alloc_fail_after(-1);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = whole(1 << 16);
        (void)alloc_fail_after(-1);
        ck_assert_ptr_nonnull(err);
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
    }
    size_t max = 0;
    for (struct error *err = whole(max); err != NULL; err = whole(++max)) {
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        error_free(err);
    }
    ck_assert_uint_gt(max, 256);
}
END_TEST

static Suite *dsse_suite(void) {
    Suite *s = suite_create("dsse");
    TCase *tc = tcase_create("dsse");
    tcase_add_test(tc, test_pae);
    tcase_add_test(tc, test_pae_binds_where_type_ends);
    tcase_add_test(tc, test_envelope_reads_and_writes_back_the_same_octets);
    tcase_add_test(tc, test_accepted_forms);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_unknown_fields_are_refused_where_strict);
    tcase_add_test(tc, test_every_truncation_is_refused_and_every_flip_is_refused_or_seen);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(dsse_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
