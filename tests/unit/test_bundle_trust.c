#include "../tools/receipt_checks.h"

START_TEST(test_trust_files_give_back_what_was_put_in) {
    ck_assert_uint_eq(trust.log_count, 2);
    ck_assert_uint_eq(trust.key_count, 2);
    ck_assert(bytes_equal(trust.origin, BYTES_LIT(FIXTURE_ORIGIN)));
    ck_assert(bytes_equal(trust.logs[0].base_url, BYTES_LIT("https://" FIXTURE_ORIGIN)));
    ck_assert_int_eq(trust.keys[0].purpose, TRUST_PURPOSE_ATTESTATION);
    ck_assert_int_eq(trust.keys[1].purpose, TRUST_PURPOSE_DECISION);
    ck_assert_int_eq(trust.keys[0].valid_from_s, FIXTURE_START_S);
    ck_assert_int_eq(trust.keys[0].valid_until_s, INT64_MAX);
    ck_assert(bytes_equal(public_key_pem(trust.keys[1].key),
                          public_key_pem(fixture_public(&fx, FIXTURE_DECISION))));
    struct sha256 log_id = fixture_log_id(&fx);
    ck_assert(sha256_equal(&trust.logs[0].log_id, &log_id));
}
END_TEST

static const struct {
    bool keys; /* which of the two files */
    const char *find, *by, *why;
} bad_trust[] = {
    {false, "trustedroot+json;version=0.1", "trustedroot.v0.2+json", "mediaType"},
    {false, "\"ctlogs\":[]", "\"ctlogs\":{}", "ctlogs: not an array"},
    {false, "\"ctlogs\":[],", "", "the document: a member"},
    {false, "\"ctlogs\":[]", "\"ctlogs\":[],\"x\":[]", "the document: a member"},
    {false, "\"tlogs\":[", "\"tlogs\":[{},", "an item: a member"},
    {false, "https://attestd.test", "http://attestd.test", "baseUrl: not https"},
    {false, "https://attestd.test", "https://other.test", "more than one origin"},
    {false, "https://attestd.test", "https://Attestd.test", "baseUrl: not https"},
    {false, "https://attestd.test", "https://attestd.test:443", "baseUrl: not https"},
    {false, "https://attestd.test", "https://attestd.test/", "baseUrl: not https"},
    {false, "https://attestd.test", "https://u@attestd.test", "baseUrl: not https"},
    {false, "https://attestd.test", "https://", "baseUrl: not https"},
    {false, "SHA2_256", "SHA2_512", "hashAlgorithm"},
    {false, "PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519", "keyDetails"},
    {false, "PKIX_ED25519", "PKIX_ED25519_PH", "keyDetails"},
    {false, "\"rawBytes\":\"MF", "\"rawBytes\":\"MG", "rawBytes"},
    {false, "\"keyId\":\"", "\"keyId\":\"AAAA", "keyId"},
    {false, "\"start\":\"2026-01-01T00:00:00Z\"", "\"end\":\"2026-01-01T00:00:00Z\"",
     "validFor: a member"},
    {false, "\"start\":\"2026-01-01T00:00:00Z\"", "\"start\":\"2026-01-01\"", "start: no time"},
    {false, "\"start\":\"2026-01-01T00:00:00Z\"",
     "\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2025-01-01T00:00:00Z\"",
     "ends before it starts"},
    {false, "\"start\":\"2026-01-01T00:00:00Z\"",
     "\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"never\"", "end: no time"},
    {false, "\"start\":\"2026-01-01T00:00:00Z\"",
     "\"start\":\"2026-01-01T00:00:00Z\",\"stop\":\"2027-01-01T00:00:00Z\"", "validFor: a member"},
    {true, "version=1", "version=2", "mediaType"},
    {true, "\"hint\":\"", "\"hint\":\"0", "hint: not the key"},
    {true, "attestation", "Attestation", "purpose: unknown"},
    {true, "PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519", "algorithm"},
    {true, "-----BEGIN PUBLIC KEY-----\\n", "-----BEGIN PUBLIC KEY-----\\r\\n", "publicKeyPem"},
    {true, "-----BEGIN PUBLIC KEY-----\\n", "-----BEGIN PUBLIC KEY-----\\n\\n", "publicKeyPem"},
    {true, "-----END PUBLIC KEY-----\\n", "-----END PUBLIC KEY-----", "publicKeyPem"},
    {true, "\"keys\":[", "\"keys\":[],\"x\":[", "keys"},
    {true, "\"purpose\":", "\"Purpose\":", "purpose"},
    {true, "\"keys\":[{", "\"keys\":[{\"x\":1,", "an item: a member"},
};

static void trust_refused(struct bytes root, struct bytes keys, const char *why) {
    struct trust t;
    CLEANUP(error_freep) struct error *err = trust_load(root, keys, &t);
    ck_assert_msg(err != NULL, "loaded: %s", why);
    char text[256];
    error_text(err, text, sizeof text);
    ck_assert_msg(strstr(text, why) != NULL, "refused for \"%s\"", text);
}

START_TEST(test_malformed_trust_files_are_refused) {
    for (size_t i = 0; i < sizeof bad_trust / sizeof *bad_trust; i++) {
        struct bytes root = root_file();
        struct bytes keys = keys_file();
        struct bytes *file = bad_trust[i].keys ? &keys : &root;
        *file = replaced(*file, bad_trust[i].find, bad_trust[i].by);
        struct trust t = {.log_count = 77};
        CLEANUP(error_freep) struct error *err = trust_load(root, keys, &t);
        ck_assert_msg(err != NULL, "loaded: %s for %s", bad_trust[i].by, bad_trust[i].find);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert_uint_eq(t.log_count, 77);
        trust_refused(root, keys, bad_trust[i].why);
    }
}
END_TEST

START_TEST(test_a_key_or_log_that_occurs_twice_is_refused) {
    struct trust_source source = fixture_trust(&fx);
    source.decision = source.attestation;
    struct buf keys;
    buf_init_arena(&keys, &fx.arena, TRUST_OCTETS_MAX);
    trust_put_signing_keys(&keys, &source);
    trust_refused(root_file(), buf_bytes(&keys), "a key occurs twice");

    source = fixture_trust(&fx);
    source.log_c2sp = source.log_v1;
    struct buf root;
    buf_init_arena(&root, &fx.arena, TRUST_OCTETS_MAX);
    trust_put_root(&root, &source);
    trust_refused(buf_bytes(&root), keys_file(), "a log occurs twice");

    source = fixture_trust(&fx);
    source.attestation = source.log_c2sp;
    buf_clear(&keys);
    trust_put_signing_keys(&keys, &source);
    trust_refused(root_file(), buf_bytes(&keys), "algorithm");
    trust_refused(root_file(),
                  replaced(buf_bytes(&keys), "PKIX_ED25519", "PKIX_ECDSA_P256_SHA_256"),
                  "not P-256");
}
END_TEST

START_TEST(test_every_truncation_of_a_trust_file_is_refused) {
    struct bytes root = root_file();
    struct bytes keys = keys_file();
    for (size_t n = 0; n < root.len; n++) trust_refused((struct bytes){root.data, n}, keys, "");
    for (size_t n = 0; n < keys.len; n++) trust_refused(root, (struct bytes){keys.data, n}, "");
}
END_TEST

/* Windows are not signed and may be changed; keys, ids and hints may not. */
START_TEST(test_a_bit_flip_never_changes_whose_keys_count) {
    struct bytes files[2] = {root_file(), keys_file()};
    for (size_t which = 0; which < 2; which++) {
        uint8_t *copy = (uint8_t *)arena_copy(&fx.arena, files[which]).data;
        struct bytes f[2] = {files[0], files[1]};
        f[which].data = copy;
        for (size_t bit = 0; bit < 8 * files[which].len; bit++) {
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct trust t = {0};
            CLEANUP(error_freep) struct error *err = trust_load(f[0], f[1], &t);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (err != NULL) continue;
            ck_assert(bytes_equal(t.origin, trust.origin));
            ck_assert_uint_eq(t.key_count, 2);
            for (size_t i = 0; i < 2; i++) {
                ck_assert(sha256_equal(&t.logs[i].log_id, &trust.logs[i].log_id));
                ck_assert_str_eq(t.keys[i].hint, trust.keys[i].hint);
                ck_assert_int_eq(t.keys[i].purpose, trust.keys[i].purpose);
            }
            trust_done(&t);
        }
    }
}
END_TEST

static Suite *trust_suite(void) {
    Suite *s = suite_create("trust");
    TCase *tc = tcase_create("trust");
    tcase_add_unchecked_fixture(tc, make_log, end_log);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_trust_files_give_back_what_was_put_in);
    tcase_add_test(tc, test_malformed_trust_files_are_refused);
    tcase_add_test(tc, test_a_key_or_log_that_occurs_twice_is_refused);
    tcase_add_test(tc, test_every_truncation_of_a_trust_file_is_refused);
    tcase_add_test(tc, test_a_bit_flip_never_changes_whose_keys_count);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(trust_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
