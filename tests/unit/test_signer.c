#include "signer/signer.h"

#include <check.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "note/note.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define ORIGIN "log.example"
#define TREE_ID 4611686018427387905U

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
static struct secret *wrap;
static struct signer *signer;

static void setup(void) {
    ok(crypto_init());
    (void)snprintf(dir, sizeof dir, "/tmp/test_signer.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ok(secret_random(32, &wrap));
    ok(signer_generate(&signer));
}

static void shell(const char *command) {
    char line[512];
    (void)snprintf(line, sizeof line, "cd '%s' && %s", dir, command);
    ck_assert_msg(system(line) == 0, "failed: %s", command);
}

static void teardown(void) {
    shell("rm -rf -- *");
    ck_assert_int_eq(rmdir(dir), 0);
    signer_free(signer);
    secret_free(wrap);
}

static bool verifies(enum signer_purpose purpose, struct bytes message,
                     const struct signature *sig) {
    bool valid = false;
    ok(public_key_verify(signer_public(signer, purpose), message, signature_bytes(sig), &valid));
    return valid;
}

/* DSSE v1.0.2 protocol.md: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, written by hand. */
START_TEST(test_a_statement_is_signed_as_its_pae_and_by_its_own_key) {
    static const char payload[] = "{\"_type\":\"https://in-toto.io/Statement/v1\"}";
    static const char pae[] =
        "DSSEv1 28 application/vnd.in-toto+json 43 {\"_type\":\"https://in-toto.io/Statement/v1\"}";
    struct signature sig;
    ok(signer_sign_statement(signer, SIGNER_ATTESTATION, bytes_of_cstr(payload), &sig));
    ck_assert(verifies(SIGNER_ATTESTATION, bytes_of_cstr(pae), &sig));
    ck_assert(!verifies(SIGNER_DECISION, bytes_of_cstr(pae), &sig));
    ck_assert(!verifies(SIGNER_LOG_V1, bytes_of_cstr(pae), &sig));
    ck_assert(!verifies(SIGNER_ATTESTATION, bytes_of_cstr(payload), &sig));
    ok(signer_sign_statement(signer, SIGNER_DECISION, bytes_of_cstr(payload), &sig));
    ck_assert(verifies(SIGNER_DECISION, bytes_of_cstr(pae), &sig));
    ck_assert(!verifies(SIGNER_ATTESTATION, bytes_of_cstr(pae), &sig));
}
END_TEST

/* reference sigstore.md 1.3: SET over JCS {"body","integratedTime","logID","logIndex"}. */
START_TEST(test_a_set_is_signed_over_its_canonical_json) {
    struct bytes log_id = sha256_bytes(signer_log_id(signer));
    struct buf want;
    buf_init(&want, 4096);
    buf_put_cstr(&want, "{\"body\":\"bGVhZg==\",\"integratedTime\":1780000000,\"logID\":\"");
    for (size_t i = 0; i < log_id.len; i++) buf_printf(&want, "%02x", log_id.data[i]);
    buf_put_cstr(&want, "\",\"logIndex\":7}");
    struct signature sig;
    ok(signer_sign_set(signer, BYTES_LIT("leaf"), 1780000000, 7, &sig));
    ck_assert(verifies(SIGNER_LOG_V1, buf_bytes(&want), &sig));
    buf_done(&want);

    struct sha256 spki = sha256_of(public_key_spki(signer_public(signer, SIGNER_LOG_V1)));
    ck_assert(sha256_equal(&spki, signer_log_id(signer)));
}
END_TEST

START_TEST(test_sets_of_any_leaf_size_fit) {
    uint8_t leaf[300] = {0};
    struct signature sig;
    for (size_t n = 0; n <= sizeof leaf; n++)
        ok(signer_sign_set(signer, (struct bytes){leaf, n}, INT64_MAX, UINT64_MAX, &sig));
}
END_TEST

static void check_note(struct bytes text, const char *first_line, enum signer_purpose purpose) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct note note;
    struct checkpoint cp;
    bool valid = false;
    ok(note_parse(&arena, text, &note));
    ck_assert_uint_eq(note.signature_count, 1);
    ok(checkpoint_parse(note.text, false, &cp));
    ck_assert(bytes_equal(cp.origin, bytes_of_cstr(first_line)));
    ck_assert_uint_eq(cp.size, 42);
    ok(note_verify(&note, BYTES_LIT(ORIGIN), signer_public(signer, purpose), &valid));
    ck_assert(valid);
    for (enum signer_purpose p = 0; p < SIGNER_PURPOSE_COUNT; p++) {
        if (p == purpose) continue;
        ok(note_verify(&note, BYTES_LIT(ORIGIN), signer_public(signer, p), &valid));
        ck_assert(!valid);
    }
    arena_done(&arena);
}

START_TEST(test_checkpoints_of_both_forms_verify_as_notes) {
    struct sha256 root = sha256_of(BYTES_LIT("root"));
    struct buf out;
    buf_init(&out, 4096);
    ok(signer_put_checkpoint_v1(signer, &out, BYTES_LIT(ORIGIN), TREE_ID, 42, &root));
    check_note(buf_bytes(&out), ORIGIN " - 4611686018427387905", SIGNER_LOG_V1);
    buf_clear(&out);
    ok(signer_put_checkpoint_c2sp(signer, &out, BYTES_LIT(ORIGIN), 42, &root));
    check_note(buf_bytes(&out), ORIGIN, SIGNER_LOG_C2SP);
    buf_done(&out);
}
END_TEST

START_TEST(test_a_checkpoint_is_appended_whole_or_not_at_all) {
    struct sha256 root = {{0}};
    for (size_t max = 0; max < 200; max++) {
        struct buf out;
        buf_init(&out, max);
        struct error *err =
            signer_put_checkpoint_v1(signer, &out, BYTES_LIT(ORIGIN), TREE_ID, 1, &root);
        ck_assert_uint_eq(out.len, err == NULL ? out.len : 0);
        if (max < 150) ck_assert_ptr_nonnull(err);
        error_free(err);
        buf_done(&out);
    }
}
END_TEST

START_TEST(test_saved_keys_load_and_are_the_same) {
    ok(signer_save(signer, dir, wrap));
    CLEANUP(signer_freep) struct signer *back = NULL;
    ok(signer_load(dir, wrap, &back));
    for (enum signer_purpose p = 0; p < SIGNER_PURPOSE_COUNT; p++) {
        ck_assert(bytes_equal(public_key_spki(signer_public(signer, p)),
                              public_key_spki(signer_public(back, p))));
        for (enum signer_purpose q = 0; q < p; q++)
            ck_assert(!bytes_equal(public_key_spki(signer_public(signer, p)),
                                   public_key_spki(signer_public(signer, q))));
    }
    ck_assert(sha256_equal(signer_log_id(signer), signer_log_id(back)));
    shell("test $(stat -c %a *.key | sort -u) = 600 && test $(ls | wc -l) = 4");
    refused(signer_save(back, dir, wrap), ERROR_ALREADY_EXISTS, "over existing keys");
}
END_TEST

static const struct {
    const char *damage;
    enum error_code code;
} broken[] = {
    {"rm decision.key", ERROR_NOT_FOUND},
    {": > decision.key", ERROR_INVALID_ARGUMENT},
    {"head -c 80 log-v1.key > x && mv x log-v1.key", ERROR_INVALID_ARGUMENT},
    {"echo >> log-c2sp.key", ERROR_INVALID_ARGUMENT},
    {"rm decision.key && ln -s attestation.key decision.key", ERROR_INVALID_ARGUMENT},
    /* a purpose's file does not open under another's name, of whatever algorithm */
    {"cp attestation.key decision.key", ERROR_FAILED_PRECONDITION},
    {"cp decision.key attestation.key", ERROR_FAILED_PRECONDITION},
    {"cp log-v1.key attestation.key", ERROR_FAILED_PRECONDITION},
    {"cp log-c2sp.key log-v1.key", ERROR_FAILED_PRECONDITION},
};

START_TEST(test_key_files_that_are_not_ours_do_not_load) {
    ok(signer_save(signer, dir, wrap));
    CLEANUP(secret_freep) struct secret *foreign = NULL;
    ok(secret_random(32, &foreign));
    struct signer *none = NULL;
    refused(signer_load(dir, foreign, &none), ERROR_FAILED_PRECONDITION, "another secret");
    for (size_t i = 0; i < COUNT(broken); i++) {
        shell("mkdir -p kept && cp *.key kept/");
        shell(broken[i].damage);
        refused(signer_load(dir, wrap, &none), broken[i].code, broken[i].damage);
        shell("rm *.key && mv kept/* .");
    }
    ck_assert_ptr_null(none);
}
END_TEST

/* A key of the wrong algorithm, sealed under the right label by whoever knows the secret. */
START_TEST(test_a_key_of_another_algorithm_does_not_load) {
    CLEANUP(signing_key_freep) struct signing_key *key = NULL;
    CLEANUP(secret_freep) struct secret *own = NULL;
    struct arena arena;
    arena_init(&arena, 4096);
    struct bytes sealed;
    ok(signer_save(signer, dir, wrap));
    ok(secret_derive(wrap, "attestd key decision", &own));
    ok(signing_key_generate(KEY_ED25519, &key));
    ok(signing_key_seal(key, own, &arena, &sealed));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/decision.key", dir);
    FILE *f = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(sealed.data, 1, sealed.len, f), sealed.len);
    ck_assert_int_eq(fclose(f), 0);
    struct signer *none = NULL;
    refused(signer_load(dir, wrap, &none), ERROR_INVALID_ARGUMENT, "an Ed25519 decision key");
    arena_done(&arena);
}
END_TEST

static struct error *load_and_sign(void) {
    CLEANUP(signer_freep) struct signer *s = NULL;
    struct sha256 root = {{0}};
    struct signature sig;
    struct buf out;
    buf_init(&out, 4096);
    struct error *err = signer_load(dir, wrap, &s);
    if (err == NULL) err = signer_sign_statement(s, SIGNER_DECISION, BYTES_LIT("{}"), &sig);
    if (err == NULL) err = signer_sign_set(s, BYTES_LIT("leaf"), 1, 1, &sig);
    if (err == NULL) err = signer_put_checkpoint_v1(s, &out, BYTES_LIT(ORIGIN), 1, 1, &root);
    if (err == NULL) err = signer_put_checkpoint_c2sp(s, &out, BYTES_LIT(ORIGIN), 1, &root);
    buf_done(&out);
    return err;
}

START_TEST(test_every_allocation_failure_is_an_error) {
    ok(signer_save(signer, dir, wrap));
    (void)alloc_fail_after(-1);
    ok(load_and_sign());
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 20);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        struct error *err = load_and_sign();
        (void)alloc_fail_after(-1);
        refused(err, ERROR_RESOURCE_EXHAUSTED, "without memory");
    }
}
END_TEST

static Suite *signer_suite(void) {
    Suite *s = suite_create("signer");
    TCase *tc = tcase_create("signer");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_a_statement_is_signed_as_its_pae_and_by_its_own_key);
    tcase_add_test(tc, test_a_set_is_signed_over_its_canonical_json);
    tcase_add_test(tc, test_sets_of_any_leaf_size_fit);
    tcase_add_test(tc, test_checkpoints_of_both_forms_verify_as_notes);
    tcase_add_test(tc, test_a_checkpoint_is_appended_whole_or_not_at_all);
    tcase_add_test(tc, test_saved_keys_load_and_are_the_same);
    tcase_add_test(tc, test_key_files_that_are_not_ours_do_not_load);
    tcase_add_test(tc, test_a_key_of_another_algorithm_does_not_load);
    tcase_add_test(tc, test_every_allocation_failure_is_an_error);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(signer_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
