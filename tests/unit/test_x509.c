#include <check.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "crypto/key.h"
#include "crypto/x509.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define DAY ((int64_t)86400)
#define NOW ((int64_t)1780000000) /* 2026-05-28 */

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

static const struct text dns[] = {{"localhost", 9}, {"build.example", 13}};
static const struct x509_ip ips[] = {{{127, 0, 0, 1}, 4}, {{[15] = 1}, 16}};
static const struct x509_names names = {dns, COUNT(dns), ips, COUNT(ips)};
static const struct x509_life ca_life = {NOW - DAY, NOW + 3650 * DAY};
static const struct x509_life leaf_life = {NOW - DAY, NOW + 90 * DAY};

/* A CA and a leaf, made once a test. */
struct pair {
    struct x509_key *ca_key, *key;
    struct buf ca, leaf;
};

static void pair_init(struct pair *p) {
    *p = (struct pair){0};
    buf_init(&p->ca, X509_PEM_MAX);
    buf_init(&p->leaf, X509_PEM_MAX);
    ok(x509_key_generate(&p->ca_key));
    ok(x509_key_generate(&p->key));
    ok(x509_put_ca(&p->ca, p->ca_key, &ca_life, &names));
    struct x509_issuer issuer = {buf_bytes(&p->ca), p->ca_key};
    ok(x509_put_leaf(&p->leaf, &issuer, p->key, &leaf_life, &names));
}

static void pair_done(struct pair *p) {
    x509_key_free(p->ca_key);
    x509_key_free(p->key);
    buf_done(&p->ca);
    buf_done(&p->leaf);
}

static X509 *parse(const struct buf *pem) {
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ck_assert_ptr_nonnull(cert);
    return cert;
}

static bool is_critical(const X509 *cert, int nid) {
    int at = X509_get_ext_by_NID(cert, nid, -1);
    ck_assert_int_ge(at, 0);
    ck_assert_int_lt(X509_get_ext_by_NID(cert, nid, at), 0); /* once */
    return X509_EXTENSION_get_critical(X509_get_ext(cert, at)) != 0;
}

/* SPEC rfc5280 4.2.1.10: the constraints are critical. */
START_TEST(test_the_ca_is_constrained_in_length_and_names) {
    struct pair p;
    pair_init(&p);
    X509 *ca = parse(&p.ca);
    ck_assert_int_eq(X509_check_ca(ca), 1);
    ck_assert_int_eq(X509_get_pathlen(ca), 0);
    ck_assert_uint_eq(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    ck_assert(is_critical(ca, NID_basic_constraints));
    ck_assert(is_critical(ca, NID_key_usage));
    ck_assert(is_critical(ca, NID_name_constraints));
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(ca, NID_name_constraints, NULL, NULL);
    ck_assert_ptr_null(nc->excludedSubtrees);
    ck_assert_int_eq(sk_GENERAL_SUBTREE_num(nc->permittedSubtrees), COUNT(dns));
    for (int i = 0; i < (int)COUNT(dns); i++) {
        const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, i)->base;
        ck_assert_int_eq(base->type, GEN_DNS); /* an address among them breaks BoringSSL */
        ck_assert_uint_eq((size_t)ASN1_STRING_length(base->d.dNSName), dns[i].len);
        ck_assert_mem_eq(ASN1_STRING_get0_data(base->d.dNSName), dns[i].data, dns[i].len);
    }
    NAME_CONSTRAINTS_free(nc);
    X509_free(ca);
    pair_done(&p);
}
END_TEST

/* SPEC rfc5280 4.1.2.2: the serial number is positive and short enough. */
START_TEST(test_the_leaf_serves_its_names_and_nothing_more) {
    struct pair p;
    pair_init(&p);
    X509 *leaf = parse(&p.leaf);
    ck_assert_int_eq(X509_check_ca(leaf), 0);
    ck_assert_uint_eq(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    ck_assert_uint_eq(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    ck_assert_int_eq(X509_check_host(leaf, "localhost", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(leaf, "build.example", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(leaf, "other.example", 0, 0, NULL), 0);
    ck_assert_int_eq(X509_check_ip_asc(leaf, "127.0.0.1", 0), 1);
    ck_assert_int_eq(X509_check_ip_asc(leaf, "::1", 0), 1);
    ck_assert_int_eq(X509_check_ip_asc(leaf, "10.0.0.1", 0), 0);
    ck_assert_int_eq(ASN1_STRING_length(X509_get0_serialNumber(leaf)), 16);
    ck_assert_int_eq(ASN1_STRING_type(X509_get0_serialNumber(leaf)), V_ASN1_INTEGER);
    X509_free(leaf);

    struct x509_life life;
    ok(x509_read_life(buf_bytes(&p.leaf), &life));
    ck_assert_int_eq(life.not_before_s, leaf_life.not_before_s);
    ck_assert_int_eq(life.not_after_s, leaf_life.not_after_s);
    pair_done(&p);
}
END_TEST

static bool good(const struct pair *p, const struct x509_key *key, int64_t at_s) {
    bool out = false;
    ok(x509_check_leaf(buf_bytes(&p->leaf), key, buf_bytes(&p->ca), at_s, &out));
    return out;
}

START_TEST(test_a_leaf_is_good_with_its_key_its_ca_and_in_its_life_only) {
    struct pair p, q;
    pair_init(&p);
    pair_init(&q);
    ck_assert(good(&p, p.key, NOW));
    ck_assert(!good(&p, q.key, NOW));
    ck_assert(!good(&p, p.key, leaf_life.not_before_s - 1));
    ck_assert(!good(&p, p.key, leaf_life.not_after_s + 1));
    bool out = true;
    ok(x509_check_leaf(buf_bytes(&p.leaf), p.key, buf_bytes(&q.ca), NOW, &out));
    ck_assert(!out); /* another instance's CA */
    out = true;
    ok(x509_check_leaf(buf_bytes(&p.ca), p.ca_key, buf_bytes(&p.ca), NOW, &out));
    ck_assert(!out); /* a CA is no server */
    pair_done(&p);
    pair_done(&q);
}
END_TEST

START_TEST(test_a_name_outside_the_constraints_does_not_verify) {
    static const struct text foreign[] = {{"other.example", 13}};
    static const struct text below[] = {{"a.build.example", 15}};
    struct pair p;
    pair_init(&p);
    struct x509_issuer issuer = {buf_bytes(&p.ca), p.ca_key};
    buf_clear(&p.leaf);
    ok(x509_put_leaf(&p.leaf, &issuer, p.key, &leaf_life,
                     &(struct x509_names){.dns = foreign, .dns_count = 1}));
    ck_assert(!good(&p, p.key, NOW));
    buf_clear(&p.leaf);
    ok(x509_put_leaf(&p.leaf, &issuer, p.key, &leaf_life,
                     &(struct x509_names){.dns = below, .dns_count = 1}));
    ck_assert(good(&p, p.key, NOW));
    pair_done(&p);
}
END_TEST

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* SPEC rfc1034 3.5: the form of a host name. */
START_TEST(test_host_names_are_told_from_other_texts) {
    static const char *const yes[] = {
        "a",         "localhost",        "build-7.example.org",  "my_host",
        "0.example", LABEL63 ".example", "xn--bcher-kva.example"};
    static const char *const no[] = {"",
                                     ".",
                                     "a.",
                                     ".a",
                                     "a..b",
                                     "-a",
                                     "a-",
                                     "a-.b",
                                     "A.example",
                                     "*.example",
                                     "a b",
                                     "a,DNS:b",
                                     "b\xc3\xbc",
                                     "a/b",
                                     "a:1",
                                     LABEL63 "a.example",
                                     LABEL63 "." LABEL63 "." LABEL63 "." LABEL63};
    for (size_t i = 0; i < COUNT(yes); i++)
        ck_assert_msg(x509_is_dns_name(text_of_cstr(yes[i])), "refused: %s", yes[i]);
    for (size_t i = 0; i < COUNT(no); i++)
        ck_assert_msg(!x509_is_dns_name(text_of_cstr(no[i])), "accepted: %s", no[i]);
}
END_TEST

START_TEST(test_bad_requests_make_no_certificate) {
    static const struct text bad[] = {{"*.example", 9}};
    static struct text many[X509_NAMES_MAX + 1];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = dns[0];
    const struct {
        const char *what;
        struct x509_names names;
    } cases[] = {
        {"no name", {0}},
        {"a bad name", {.dns = bad, .dns_count = 1}},
        {"too many names", {.dns = many, .dns_count = COUNT(many)}},
    };
    struct pair p;
    pair_init(&p);
    struct x509_issuer issuer = {buf_bytes(&p.ca), p.ca_key};
    struct buf out;
    buf_init(&out, X509_PEM_MAX);
    for (size_t i = 0; i < COUNT(cases); i++) {
        refused(x509_put_ca(&out, p.ca_key, &ca_life, &cases[i].names), ERROR_INVALID_ARGUMENT,
                cases[i].what);
        refused(x509_put_leaf(&out, &issuer, p.key, &leaf_life, &cases[i].names),
                ERROR_INVALID_ARGUMENT, cases[i].what);
    }
    ck_assert_uint_eq(out.len, 0);
    buf_done(&out);
    pair_done(&p);
}
END_TEST

START_TEST(test_a_truncated_or_foreign_pem_is_no_certificate) {
    static const char encrypted[] =
        "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
        "AES-128-CBC,00000000000000000000000000000000\n\nMIIB\n-----END CERTIFICATE-----\n";
    struct pair p;
    pair_init(&p);
    struct x509_life life = {7, 7};
    for (size_t n = 0; n + 1 < p.leaf.len; n++) /* the last newline is not missed */
        refused(x509_read_life((struct bytes){p.leaf.data, n}, &life), ERROR_INVALID_ARGUMENT,
                "a truncated certificate");
    refused(x509_read_life(bytes_of_cstr(encrypted), &life), ERROR_INVALID_ARGUMENT, "encrypted");
    refused(x509_read_life((struct bytes){0}, &life), ERROR_INVALID_ARGUMENT, "nothing");
    refused(x509_read_life(BYTES_LIT("hello"), &life), ERROR_INVALID_ARGUMENT, "hello");
    ck_assert_int_eq(life.not_after_s, 7);
    pair_done(&p);
}
END_TEST

START_TEST(test_a_changed_leaf_never_verifies) {
    struct pair p;
    pair_init(&p);
    size_t tried = 0;
    for (size_t i = sizeof "-----BEGIN CERTIFICATE-----"; i + 40 < p.leaf.len; i++) {
        uint8_t was = p.leaf.data[i];
        if (was == '\n') continue;
        p.leaf.data[i] = was == 'A' ? 'B' : 'A';
        bool out = false;
        struct error *err = x509_check_leaf(buf_bytes(&p.leaf), p.key, buf_bytes(&p.ca), NOW, &out);
        ck_assert_msg(err != NULL || !out, "accepted with digit %zu changed", i);
        error_free(err);
        p.leaf.data[i] = was;
        tried++;
    }
    ck_assert_uint_gt(tried, 500);
    pair_done(&p);
}
END_TEST

START_TEST(test_keys_are_sealed_apart_from_signing_keys) {
    CLEANUP(secret_freep) struct secret *wrap = NULL;
    CLEANUP(x509_key_freep) struct x509_key *key = NULL;
    CLEANUP(x509_key_freep) struct x509_key *back = NULL;
    CLEANUP(signing_key_freep) struct signing_key *signing = NULL;
    struct arena arena;
    arena_init(&arena, 4096);
    struct bytes sealed, other;
    ok(secret_random(32, &wrap));
    ok(x509_key_generate(&key));
    ok(x509_key_seal(key, wrap, &arena, &sealed));
    ok(x509_key_unseal(sealed, wrap, &back));
    CLEANUP(secret_freep) struct secret *a = NULL;
    CLEANUP(secret_freep) struct secret *b = NULL;
    ok(x509_key_pem(key, &a));
    ok(x509_key_pem(back, &b));
    ck_assert(secret_equal(secret_view(a), secret_view(b)));

    refused(signing_key_unseal(sealed, wrap, &signing), ERROR_INVALID_ARGUMENT, "as a signing key");
    ok(signing_key_generate(KEY_P256, &signing));
    ok(signing_key_seal(signing, wrap, &arena, &other));
    struct x509_key *none = NULL;
    refused(x509_key_unseal(other, wrap, &none), ERROR_INVALID_ARGUMENT, "as a certificate's key");
    arena_done(&arena);
}
END_TEST

START_TEST(test_the_pem_of_a_key_is_what_openssl_reads_and_writes) {
    CLEANUP(x509_key_freep) struct x509_key *key = NULL;
    CLEANUP(secret_freep) struct secret *pem = NULL;
    ok(x509_key_generate(&key));
    ok(x509_key_pem(key, &pem));
    struct bytes text = secret_view(pem);
    BIO *in = BIO_new_mem_buf(text.data, (int)text.len);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(pkey);
    BIO *out = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL), 1);
    char *again = NULL;
    long len = BIO_get_mem_data(out, &again);
    ck_assert_uint_eq((size_t)len, text.len);
    ck_assert_mem_eq(again, text.data, text.len);
    EVP_PKEY_free(pkey);
    BIO_free(in);
    BIO_free(out);
}
END_TEST

static struct error *make_both(void) {
    struct arena arena;
    arena_init(&arena, 4096);
    struct buf ca, leaf;
    buf_init(&ca, X509_PEM_MAX);
    buf_init(&leaf, X509_PEM_MAX);
    CLEANUP(x509_key_freep) struct x509_key *key = NULL;
    CLEANUP(secret_freep) struct secret *pem = NULL;
    bool verifies = false;
    struct error *err = x509_key_generate(&key);
    if (err == NULL) err = x509_put_ca(&ca, key, &ca_life, &names);
    struct x509_issuer issuer = {buf_bytes(&ca), key};
    if (err == NULL) err = x509_put_leaf(&leaf, &issuer, key, &leaf_life, &names);
    if (err == NULL) err = x509_check_leaf(buf_bytes(&leaf), key, buf_bytes(&ca), NOW, &verifies);
    if (err == NULL) err = x509_key_pem(key, &pem);
    buf_done(&ca);
    buf_done(&leaf);
    arena_done(&arena);
    return err;
}

START_TEST(test_every_allocation_failure_is_an_error) {
    (void)alloc_fail_after(-1);
    ok(make_both());
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 3);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        struct error *err = make_both();
        (void)alloc_fail_after(-1);
        refused(err, ERROR_RESOURCE_EXHAUSTED, "without memory");
    }
}
END_TEST

static void setup(void) { ok(crypto_init()); }

static Suite *x509_suite(void) {
    Suite *s = suite_create("x509");
    TCase *tc = tcase_create("x509");
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_the_ca_is_constrained_in_length_and_names);
    tcase_add_test(tc, test_the_leaf_serves_its_names_and_nothing_more);
    tcase_add_test(tc, test_a_leaf_is_good_with_its_key_its_ca_and_in_its_life_only);
    tcase_add_test(tc, test_a_name_outside_the_constraints_does_not_verify);
    tcase_add_test(tc, test_host_names_are_told_from_other_texts);
    tcase_add_test(tc, test_bad_requests_make_no_certificate);
    tcase_add_test(tc, test_a_truncated_or_foreign_pem_is_no_certificate);
    tcase_add_test(tc, test_a_changed_leaf_never_verifies);
    tcase_add_test(tc, test_keys_are_sealed_apart_from_signing_keys);
    tcase_add_test(tc, test_the_pem_of_a_key_is_what_openssl_reads_and_writes);
    tcase_add_test(tc, test_every_allocation_failure_is_an_error);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(x509_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
