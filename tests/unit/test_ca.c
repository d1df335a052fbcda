#include "ca/ca.h"

#include <check.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "crypto/hash.h"
#include "file/file.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define DAY ((int64_t)86400)
#define BORN ((int64_t)1780000000)

static int64_t now_s;
static int64_t fake_unix_ms(void *ctx) {
    (void)ctx;
    return now_s * 1000;
}
static uint64_t fake_mono_us(void *ctx) {
    (void)ctx;
    return (uint64_t)now_s * 1000000;
}
static const struct clock fake_clock = {fake_unix_ms, fake_mono_us, NULL};

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
static struct ca_options options;
static const struct text names[] = {{"build.example", 13}, {"10.1.2.3", 8}, {"localhost", 9}};

static void setup(void) {
    ok(crypto_init());
    (void)snprintf(dir, sizeof dir, "/tmp/test_ca.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ok(secret_random(32, &wrap));
    now_s = BORN;
    options = (struct ca_options){dir, wrap, &fake_clock, names, COUNT(names)};
    ok(ca_create(&options));
}

static void teardown(void) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
    secret_free(wrap);
}

static const char *at(const char *name) {
    static struct file_path paths[4];
    static size_t next;
    struct file_path *p = &paths[next++ % COUNT(paths)];
    ok(file_path_join(dir, name, p));
    return p->text;
}

static struct sha256 file_digest(const char *name) {
    struct arena arena;
    arena_init(&arena, 1 << 18);
    struct bytes content;
    ok(file_read(&arena, at(name), 1 << 16, &content));
    struct sha256 h = sha256_of(content);
    arena_done(&arena);
    return h;
}

static bool unchanged(const struct sha256 *before, const char *name) {
    struct sha256 after = file_digest(name);
    return sha256_equal(before, &after);
}

/* What every client will ask: does this verify, now, for these names? */
static void assert_serves(const struct ca *ca) {
    struct bytes chain = ca_chain_pem(ca), key = ca_key_pem(ca), root = ca_cert_pem(ca);
    BIO *bio = BIO_new_mem_buf(chain.data, (int)chain.len);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(key.data, (int)key.len);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(root.data, (int)root.len);
    X509 *issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ck_assert_int_eq(X509_check_private_key(cert, pkey), 1);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, issuer);
    X509_STORE_CTX_init(ctx, store, cert, NULL);
    X509_STORE_CTX_set_time(ctx, 0, now_s);
    ck_assert_int_eq(X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER), 1);
    ck_assert_int_eq(X509_verify_cert(ctx), 1);
    const char *const hosts[] = {"localhost", "build.example"};
    const char *const ips[] = {"127.0.0.1", "::1", "10.1.2.3"};
    for (size_t i = 0; i < COUNT(hosts); i++)
        ck_assert_int_eq(X509_check_host(cert, hosts[i], 0, 0, NULL), 1);
    for (size_t i = 0; i < COUNT(ips); i++) ck_assert_int_eq(X509_check_ip_asc(cert, ips[i], 0), 1);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(issuer);
    X509_free(cert);
    EVP_PKEY_free(pkey);
}

START_TEST(test_what_was_created_opens_and_serves_its_names) {
    CLEANUP(ca_freep) struct ca *ca = NULL;
    ok(ca_open(&options, &ca));
    assert_serves(ca);
    ck_assert_int_eq(ca_expiry_s(ca), BORN + 90 * DAY);
    struct stat st;
    const char *const secret[] = {"ca.key", "server.key"};
    for (size_t i = 0; i < COUNT(secret); i++) {
        ck_assert_int_eq(stat(at(secret[i]), &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
    }
    refused(ca_create(&options), ERROR_ALREADY_EXISTS, "a second CA in the folder");
}
END_TEST

START_TEST(test_opening_again_changes_nothing) {
    struct sha256 key = file_digest("server.key"), pem = file_digest("server.pem");
    CLEANUP(ca_freep) struct ca *ca = NULL;
    ok(ca_open(&options, &ca));
    bool renewed = true;
    ok(ca_renew_if_due(ca, &renewed));
    ck_assert(!renewed);
    ck_assert(unchanged(&key, "server.key") && unchanged(&pem, "server.pem"));
}
END_TEST

START_TEST(test_the_certificate_is_renewed_at_two_thirds_of_its_life) {
    struct sha256 ca_key = file_digest("ca.key"), ca_pem = file_digest("ca.pem");
    CLEANUP(ca_freep) struct ca *ca = NULL;
    ok(ca_open(&options, &ca));
    bool renewed = true;
    now_s = BORN + 60 * DAY - 3600;
    ok(ca_renew_if_due(ca, &renewed));
    ck_assert(!renewed);
    now_s = BORN + 60 * DAY;
    ok(ca_renew_if_due(ca, &renewed));
    ck_assert(renewed);
    assert_serves(ca);
    ck_assert_int_eq(ca_expiry_s(ca), BORN + 150 * DAY);
    ok(ca_renew_if_due(ca, &renewed));
    ck_assert(!renewed);
    ck_assert(unchanged(&ca_key, "ca.key") && unchanged(&ca_pem, "ca.pem"));

    CLEANUP(ca_freep) struct ca *again = NULL;
    ok(ca_open(&options, &again));
    ck_assert(bytes_equal(ca_chain_pem(again), ca_chain_pem(ca)));
}
END_TEST

START_TEST(test_a_server_that_slept_or_whose_clock_jumped_gets_a_valid_certificate) {
    const int64_t times[] = {BORN + 91 * DAY, BORN + 1000 * DAY, BORN + 3649 * DAY, BORN + DAY};
    for (size_t i = 0; i < COUNT(times); i++) {
        now_s = times[i];
        CLEANUP(ca_freep) struct ca *ca = NULL;
        ok(ca_open(&options, &ca));
        assert_serves(ca);
        ck_assert_int_le(ca_expiry_s(ca), BORN + 3650 * DAY);
    }
}
END_TEST

START_TEST(test_a_clock_set_back_while_serving_brings_a_valid_certificate) {
    CLEANUP(ca_freep) struct ca *ca = NULL;
    now_s = BORN + 100 * DAY;
    ok(ca_open(&options, &ca));
    now_s = BORN + 50 * DAY;
    bool renewed = false;
    ok(ca_renew_if_due(ca, &renewed));
    ck_assert(renewed);
    assert_serves(ca);
}
END_TEST

START_TEST(test_an_expired_ca_is_said_and_not_replaced) {
    CLEANUP(ca_freep) struct ca *ca = NULL;
    struct ca *none = NULL;
    ok(ca_open(&options, &ca));
    struct bytes before = ca_chain_pem(ca);
    now_s = BORN + 3650 * DAY;
    bool renewed = false;
    refused(ca_renew_if_due(ca, &renewed), ERROR_FAILED_PRECONDITION, "an expired CA");
    ck_assert(bytes_equal(ca_chain_pem(ca), before));
    refused(ca_open(&options, &none), ERROR_FAILED_PRECONDITION, "an expired CA");
}
END_TEST

static void shell(const char *command) {
    char line[512];
    (void)snprintf(line, sizeof line, "cd '%s' && %s", dir, command);
    ck_assert_msg(system(line) == 0, "failed: %s", command);
}

/* Every way in which the pair of files can have been left behind. */
START_TEST(test_an_interrupted_renewal_is_made_good) {
    static const char *const damage[] = {
        "rm server.pem",
        "rm server.key",
        "rm server.*",
        "cp other/server.key .",
        "cp other/server.pem .",
        "cp ca.key server.key",
        "cp ca.pem server.pem",
        "head -c 100 server.pem > x && mv x server.pem",
        "head -c 80 server.key > x && mv x server.key",
        ": > server.pem",
    };
    ok(file_make_dir(at("other"), 0700));
    struct ca_options o = options;
    o.dir = at("other");
    ok(ca_create(&o));
    for (size_t i = 0; i < COUNT(damage); i++) {
        shell(damage[i]);
        CLEANUP(ca_freep) struct ca *ca = NULL;
        CLEANUP(ca_freep) struct ca *again = NULL;
        ok(ca_open(&options, &ca));
        assert_serves(ca);
        ok(ca_open(&options, &again)); /* and it is on disk now */
        ck_assert_msg(bytes_equal(ca_chain_pem(ca), ca_chain_pem(again)), "%s", damage[i]);
    }
}
END_TEST

START_TEST(test_a_ca_that_does_not_open_is_refused) {
    static const char *const damage[] = {
        "rm ca.pem",
        "rm ca.key",
        "cp server.key ca.key",
        "head -c 50 ca.key > x && mv x ca.key",
        "echo hello > ca.pem",
    };
    CLEANUP(secret_freep) struct secret *foreign = NULL;
    ok(secret_random(32, &foreign));
    struct ca *ca = NULL;
    struct ca_options o = options;
    o.wrap = foreign;
    refused(ca_open(&o, &ca), ERROR_FAILED_PRECONDITION, "another secret");
    for (size_t i = 0; i < COUNT(damage); i++) {
        shell("mkdir -p kept && cp *.* kept/");
        shell(damage[i]);
        refused(ca_open(&options, &ca), ERROR_FAILED_PRECONDITION, damage[i]);
        shell("mv kept/* .");
    }
    ok(ca_open(&options, &ca));
    ca_free(ca);
}
END_TEST

START_TEST(test_names_that_are_none_make_no_ca) {
    static struct text many[64];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = names[0];
    static const struct text bad[] = {{"Build.example", 13}, {"*.example", 9}, {"a b", 3}, {"", 0},
                                      {"10.1.2.3/8", 10},    {"[::1]", 5}};
    struct ca_options o = options;
    o.name_count = 1;
    for (size_t i = 0; i < COUNT(bad); i++) {
        o.names = &bad[i];
        refused(ca_create(&o), ERROR_INVALID_ARGUMENT, bad[i].data);
    }
    o.names = many;
    o.name_count = COUNT(many);
    refused(ca_create(&o), ERROR_INVALID_ARGUMENT, "too many names");
}
END_TEST

START_TEST(test_a_renewal_that_cannot_be_written_keeps_the_old_one) {
    CLEANUP(ca_freep) struct ca *ca = NULL;
    ok(ca_open(&options, &ca));
    struct sha256 before = sha256_of(ca_chain_pem(ca)), key = sha256_of(ca_key_pem(ca));
    char command[256];
    (void)snprintf(command, sizeof command, "mv '%s' '%s'.away", dir, dir);
    ck_assert_int_eq(system(command), 0);
    now_s = BORN + 61 * DAY;
    bool renewed = false;
    refused(ca_renew_if_due(ca, &renewed), ERROR_NOT_FOUND, "no folder");
    struct sha256 after = sha256_of(ca_chain_pem(ca)), key_after = sha256_of(ca_key_pem(ca));
    ck_assert(sha256_equal(&before, &after) && sha256_equal(&key, &key_after));
    assert_serves(ca);
    (void)snprintf(command, sizeof command, "mv '%s'.away '%s'", dir, dir);
    ck_assert_int_eq(system(command), 0);
    ok(ca_renew_if_due(ca, &renewed));
    ck_assert(renewed);
}
END_TEST

static struct error *open_renewing(void) {
    struct ca *ca = NULL;
    now_s = BORN + 61 * DAY;
    (void)unlink(at("server.pem"));
    struct error *err = ca_open(&options, &ca);
    ca_free(ca);
    return err;
}

START_TEST(test_every_allocation_failure_is_an_error) {
    (void)alloc_fail_after(-1);
    ok(open_renewing());
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 10);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        struct error *err = open_renewing();
        (void)alloc_fail_after(-1);
        refused(err, ERROR_RESOURCE_EXHAUSTED, "without memory");
    }
}
END_TEST

static Suite *ca_suite(void) {
    Suite *s = suite_create("ca");
    TCase *tc = tcase_create("ca");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_what_was_created_opens_and_serves_its_names);
    tcase_add_test(tc, test_opening_again_changes_nothing);
    tcase_add_test(tc, test_the_certificate_is_renewed_at_two_thirds_of_its_life);
    tcase_add_test(tc, test_a_server_that_slept_or_whose_clock_jumped_gets_a_valid_certificate);
    tcase_add_test(tc, test_a_clock_set_back_while_serving_brings_a_valid_certificate);
    tcase_add_test(tc, test_an_expired_ca_is_said_and_not_replaced);
    tcase_add_test(tc, test_an_interrupted_renewal_is_made_good);
    tcase_add_test(tc, test_a_ca_that_does_not_open_is_refused);
    tcase_add_test(tc, test_names_that_are_none_make_no_ca);
    tcase_add_test(tc, test_a_renewal_that_cannot_be_written_keeps_the_old_one);
    tcase_add_test(tc, test_every_allocation_failure_is_an_error);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(ca_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
