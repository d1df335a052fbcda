/*
 * x509: making certificates.
 *
 *   extension          CA                             leaf
 *   basicConstraints   critical, CA, path length 0    critical, no CA
 *   keyUsage           critical, keyCertSign, cRLSign critical, digitalSignature
 *   extendedKeyUsage                                  serverAuth
 *   nameConstraints    critical, permitted DNS names
 *   subjectAltName                                    DNS names and addresses
 *   key identifiers    subject                        subject, authority
 *
 * Fixed extensions are given as OpenSSL's own texts; names never pass through such a text.
 */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "crypto/internal.h"

#define SERIAL_LEN 16

struct x509_key {
    struct secret *scalar;
    EVP_PKEY *pkey;
    uint8_t point[P256_POINT_LEN];
};

static void cert_freep(X509 **p) { X509_free(*p); }
static void bio_freep(BIO **p) { BIO_free(*p); }
static void general_name_freep(GENERAL_NAME **p) { GENERAL_NAME_free(*p); }
static void general_names_freep(GENERAL_NAMES **p) { GENERAL_NAMES_free(*p); }
static void subtree_freep(GENERAL_SUBTREE **p) { GENERAL_SUBTREE_free(*p); }
static void constraints_freep(NAME_CONSTRAINTS **p) { NAME_CONSTRAINTS_free(*p); }
static void extension_freep(X509_EXTENSION **p) { X509_EXTENSION_free(*p); }
static void bn_freep(BIGNUM **p) { BN_free(*p); }
static void store_freep(X509_STORE **p) { X509_STORE_free(*p); }
static void store_ctx_freep(X509_STORE_CTX **p) { X509_STORE_CTX_free(*p); }

/* --- keys */

/* Takes `scalar`, also on failure. */
static struct error *key_of(struct secret *scalar, struct x509_key **out) {
    CLEANUP(x509_key_freep) struct x509_key *key = alloc_zero(1, sizeof *key);
    if (key == NULL) {
        secret_free(scalar);
        return error_nomem();
    }
    key->scalar = scalar;
    TRY(p256_from_scalar(secret_view(scalar), &key->pkey, key->point));
    *out = MOVE(key);
    return NULL;
}

struct error *x509_key_generate(struct x509_key **out) {
    struct secret *scalar = NULL;
    TRY(p256_scalar_new(&scalar));
    return key_of(scalar, out);
}

struct error *x509_key_seal(const struct x509_key *key, const struct secret *wrap,
                            struct arena *arena, struct bytes *out) {
    return seal(SEAL_X509, key->scalar, wrap, arena, out);
}

struct error *x509_key_unseal(struct bytes sealed, const struct secret *wrap,
                              struct x509_key **out) {
    enum seal_kind kind;
    struct secret *scalar = NULL;
    TRY(unseal(sealed, wrap, &kind, &scalar));
    if (kind != SEAL_X509) {
        secret_free(scalar);
        return error_new(ERROR_INVALID_ARGUMENT, "a sealed key, but no certificate's");
    }
    return key_of(scalar, out);
}

/* PKCS#8 (RFC 5958) around ECPrivateKey (RFC 5915): before the scalar, and between it and the
 * point. */
static const uint8_t pkcs8_head[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                     0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                     0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                     0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t pkcs8_middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00};

#define PKCS8_LEN (sizeof pkcs8_head + P256_SCALAR_LEN + sizeof pkcs8_middle + P256_POINT_LEN)
#define PKCS8_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define PKCS8_END "-----END PRIVATE KEY-----\n"
#define PEM_LINE_OCTETS ((size_t)48) /* 64 digits */
#define PEM_LINES ((PKCS8_LEN + PEM_LINE_OCTETS - 1) / PEM_LINE_OCTETS)
#define PKCS8_BASE64_LEN ((PKCS8_LEN + 2) / 3 * 4)
#define PKCS8_PEM_LEN (sizeof PKCS8_BEGIN - 1 + PKCS8_BASE64_LEN + PEM_LINES + sizeof PKCS8_END - 1)

static struct error *pkcs8_der(const struct x509_key *key, struct secret **out) {
    uint8_t *p = NULL;
    TRY(secret_alloc(PKCS8_LEN, out, &p));
    memcpy(p, pkcs8_head, sizeof pkcs8_head);
    p += sizeof pkcs8_head;
    memcpy(p, secret_view(key->scalar).data, P256_SCALAR_LEN);
    p += P256_SCALAR_LEN;
    memcpy(p, pkcs8_middle, sizeof pkcs8_middle);
    memcpy(p + sizeof pkcs8_middle, key->point, P256_POINT_LEN);
    return NULL;
}

/* Written here, because OpenSSL's encoder passes through the ordinary heap. */
struct error *x509_key_pem(const struct x509_key *key, struct secret **out) {
    CLEANUP(secret_freep) struct secret *der = NULL;
    TRY(pkcs8_der(key, &der));
    struct bytes rest = secret_view(der);
    uint8_t *p = NULL;
    struct secret *pem = NULL;
    TRY(secret_alloc(PKCS8_PEM_LEN, &pem, &p));
    memcpy(p, PKCS8_BEGIN, sizeof PKCS8_BEGIN - 1);
    p += sizeof PKCS8_BEGIN - 1;
    while (rest.len > 0) {
        size_t n = rest.len < PEM_LINE_OCTETS ? rest.len : PEM_LINE_OCTETS;
        size_t digits = (n + 2) / 3 * 4;
        /* Its final NUL falls where the newline goes. */
        (void)sodium_bin2base64((char *)p, digits + 1, rest.data, n,
                                sodium_base64_VARIANT_ORIGINAL);
        p[digits] = '\n';
        p += digits + 1;
        rest = (struct bytes){rest.data + n, rest.len - n};
    }
    memcpy(p, PKCS8_END, sizeof PKCS8_END - 1);
    secret_lock(pem);
    *out = pem;
    return NULL;
}

void x509_key_free(struct x509_key *key) {
    if (key == NULL) return;
    EVP_PKEY_free(key->pkey);
    secret_free(key->scalar);
    alloc_free(key);
}

/* --- names */

static bool is_label_octet(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* SPEC rfc1034 3.5: "Labels must be 63 characters or less." The underscore is no host name's by
 * that grammar, but stands in those of many containers, and every client takes it. */
bool x509_is_dns_name(struct text name) {
    size_t label = 0;
    if (name.len == 0 || name.len > 253) return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '.') {
            if (label == 0 || name.data[i - 1] == '-') return false;
            label = 0;
            continue;
        }
        if (!is_label_octet(name.data[i]) || (label == 0 && name.data[i] == '-')) return false;
        if (++label > 63) return false;
    }
    return label > 0 && name.data[name.len - 1] != '-';
}

static struct error *check_names(const struct x509_names *names) {
    if (names->dns_count > X509_NAMES_MAX || names->ip_count > X509_NAMES_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d names", X509_NAMES_MAX);
    for (size_t i = 0; i < names->dns_count; i++)
        if (!x509_is_dns_name(names->dns[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "not a host name: " BYTES_FMT,
                             BYTES_ARG(names->dns[i]));
    for (size_t i = 0; i < names->ip_count; i++)
        ASSERT(names->ips[i].len == 4 || names->ips[i].len == 16);
    return NULL;
}

static struct error *general_name(int type, int string_type, struct bytes value,
                                  GENERAL_NAME **out) {
    CLEANUP(general_name_freep) GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *string = ASN1_STRING_type_new(string_type);
    if (name == NULL || string == NULL || !ASN1_STRING_set(string, value.data, (int)value.len)) {
        ASN1_STRING_free(string);
        return openssl_error("X.509 name");
    }
    GENERAL_NAME_set0_value(name, type, string);
    *out = MOVE(name);
    return NULL;
}

static struct error *dns_name(struct text dns, GENERAL_NAME **out) {
    return general_name(GEN_DNS, V_ASN1_IA5STRING, bytes_of_text(dns), out);
}

static struct error *push_name(GENERAL_NAMES *list, GENERAL_NAME *name) {
    if (sk_GENERAL_NAME_push(list, name) > 0) return NULL;
    GENERAL_NAME_free(name);
    return openssl_error("X.509 names");
}

static struct error *add_alternative_names(X509 *cert, const struct x509_names *names) {
    CLEANUP(general_names_freep) GENERAL_NAMES *list = GENERAL_NAMES_new();
    if (list == NULL) return openssl_error("X.509 names");
    GENERAL_NAME *name = NULL;
    for (size_t i = 0; i < names->dns_count; i++) {
        TRY(dns_name(names->dns[i], &name));
        TRY(push_name(list, name));
    }
    for (size_t i = 0; i < names->ip_count; i++) {
        struct bytes ip = {names->ips[i].octets, names->ips[i].len};
        TRY(general_name(GEN_IPADD, V_ASN1_OCTET_STRING, ip, &name));
        TRY(push_name(list, name));
    }
    if (X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) != 1)
        return openssl_error("subject alternative names");
    return NULL;
}

static struct error *push_permitted(NAME_CONSTRAINTS *nc, struct text dns) {
    CLEANUP(subtree_freep) GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
    if (subtree == NULL) return openssl_error("name constraints");
    GENERAL_NAME *base = NULL;
    TRY(dns_name(dns, &base));
    GENERAL_NAME_free(subtree->base);
    subtree->base = base;
    if (sk_GENERAL_SUBTREE_push(nc->permittedSubtrees, subtree) <= 0)
        return openssl_error("name constraints");
    subtree = NULL; /* the stack's now */
    return NULL;
}

/* SPEC rfc5280 4.2.1.10: "Conforming CAs MUST mark this extension as critical". */
static struct error *add_name_constraints(X509 *cert, const struct x509_names *names) {
    CLEANUP(constraints_freep) NAME_CONSTRAINTS *nc = NAME_CONSTRAINTS_new();
    if (nc == NULL || (nc->permittedSubtrees = sk_GENERAL_SUBTREE_new_null()) == NULL)
        return openssl_error("name constraints");
    for (size_t i = 0; i < names->dns_count; i++) TRY(push_permitted(nc, names->dns[i]));
    if (X509_add1_ext_i2d(cert, NID_name_constraints, nc, 1, X509V3_ADD_DEFAULT) != 1)
        return openssl_error("name constraints");
    return NULL;
}

/* --- certificates */

static struct error *add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    CLEANUP(extension_freep) X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (ext == NULL || X509_add_ext(cert, ext, -1) != 1) return openssl_error(value);
    return NULL;
}

/* SPEC rfc5280 4.1.2.2: "a positive integer", "Certificate users MUST be able to handle
 * serialNumber values up to 20 octets". */
static struct error *set_serial(X509 *cert) {
    uint8_t octets[SERIAL_LEN];
    randombytes_buf(octets, sizeof octets);
    octets[0] = (uint8_t)(0x40 | (octets[0] & 0x3f)); /* positive, and never zero */
    CLEANUP(bn_freep) BIGNUM *serial = BN_bin2bn(octets, sizeof octets, NULL);
    if (serial == NULL || BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) == NULL)
        return openssl_error("serial number");
    return NULL;
}

static struct error *cert_new(const struct x509_key *key, const char *common_name,
                              const struct x509_life *life, X509 **out) {
    CLEANUP(cert_freep) X509 *cert = X509_new();
    if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1)
        return openssl_error("certificate");
    TRY(set_serial(cert));
    if (ASN1_TIME_set(X509_getm_notBefore(cert), life->not_before_s) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(cert), life->not_after_s) == NULL)
        return openssl_error("life of a certificate");
    X509_NAME *subject = X509_get_subject_name(cert);
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                   -1, -1, 0) != 1 ||
        X509_set_pubkey(cert, key->pkey) != 1)
        return openssl_error("certificate");
    *out = MOVE(cert);
    return NULL;
}

/* Signs and appends the PEM. */
static struct error *finish(struct buf *out, X509 *cert, const struct x509_key *signer) {
    CLEANUP(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    if (X509_sign(cert, signer->pkey, EVP_sha256()) <= 0 || bio == NULL ||
        PEM_write_bio_X509(bio, cert) != 1)
        return openssl_error("sign a certificate");
    char *pem = NULL;
    long len = BIO_get_mem_data(bio, &pem);
    ASSERT(len > 0);
    buf_put(out, (struct bytes){(const uint8_t *)pem, (size_t)len});
    return buf_finish(out, "certificate");
}

struct error *x509_put_ca(struct buf *out, const struct x509_key *key, const struct x509_life *life,
                          const struct x509_names *names) {
    if (names->dns_count == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "a CA without permitted names");
    TRY(check_names(names));
    /* Clients find an issuer by its name: two instances' CAs must not share one. */
    char common_name[64];
    struct sha256 id = sha256_of((struct bytes){key->point, sizeof key->point});
    (void)snprintf(common_name, sizeof common_name, "attestd local CA %02x%02x%02x%02x",
                   id.octets[0], id.octets[1], id.octets[2], id.octets[3]);
    CLEANUP(cert_freep) X509 *cert = NULL;
    TRY(cert_new(key, common_name, life, &cert));
    if (X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1)
        return openssl_error("issuer's name");
    TRY(add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
    TRY(add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign"));
    TRY(add_extension(cert, cert, NID_subject_key_identifier, "hash"));
    TRY(add_name_constraints(cert, names));
    return finish(out, cert, key);
}

/* A PEM block may say that it is encrypted: without this OpenSSL would ask at the terminal. */
static int no_password(char *buf, int size, int writing, void *ctx) {
    (void)buf, (void)size, (void)writing, (void)ctx;
    return -1;
}

static struct error *cert_of_pem(struct bytes pem, X509 **out) {
    if (pem.len > X509_PEM_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "a certificate file over %zu octets",
                         X509_PEM_MAX);
    if (pem.len == 0) return error_new(ERROR_INVALID_ARGUMENT, "an empty certificate file");
    CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (bio == NULL) return openssl_error("certificate");
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    if (cert != NULL) {
        *out = cert;
        return NULL;
    }
    CLEANUP(error_freep) struct error *err = openssl_error("certificate");
    if (error_code(err) == ERROR_RESOURCE_EXHAUSTED) return MOVE(err);
    return error_new(ERROR_INVALID_ARGUMENT, "not a PEM certificate: %s", error_message(err));
}

struct error *x509_put_leaf(struct buf *out, const struct x509_issuer *issuer,
                            const struct x509_key *key, const struct x509_life *life,
                            const struct x509_names *names) {
    if (names->dns_count + names->ip_count == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "a server certificate without names");
    TRY(check_names(names));
    CLEANUP(cert_freep) X509 *ca = NULL;
    CLEANUP(cert_freep) X509 *cert = NULL;
    TRY(cert_of_pem(issuer->ca_pem, &ca));
    TRY(cert_new(key, "attestd server", life, &cert));
    if (X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1)
        return openssl_error("issuer's name");
    TRY(add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE"));
    TRY(add_extension(cert, ca, NID_key_usage, "critical,digitalSignature"));
    TRY(add_extension(cert, ca, NID_ext_key_usage, "serverAuth"));
    TRY(add_extension(cert, ca, NID_subject_key_identifier, "hash"));
    TRY(add_extension(cert, ca, NID_authority_key_identifier, "keyid:always"));
    TRY(add_alternative_names(cert, names));
    return finish(out, cert, issuer->key);
}

/* --- reading */

static struct error *seconds_of(const ASN1_TIME *t, int64_t *out) {
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1) {
        ERR_clear_error();
        return error_new(ERROR_INVALID_ARGUMENT, "certificate: a malformed time");
    }
    *out = (int64_t)timegm(&tm);
    return NULL;
}

struct error *x509_read_life(struct bytes pem, struct x509_life *out) {
    CLEANUP(cert_freep) X509 *cert = NULL;
    struct x509_life life;
    TRY(cert_of_pem(pem, &cert));
    TRY(seconds_of(X509_get0_notBefore(cert), &life.not_before_s));
    TRY(seconds_of(X509_get0_notAfter(cert), &life.not_after_s));
    *out = life;
    return NULL;
}

static struct error *check_chain(X509 *leaf, X509 *ca, int64_t at_s, bool *out_good) {
    CLEANUP(store_freep) X509_STORE *store = X509_STORE_new();
    CLEANUP(store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (store == NULL || ctx == NULL || X509_STORE_add_cert(store, ca) != 1 ||
        X509_STORE_CTX_init(ctx, store, leaf, NULL) != 1 ||
        X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER) != 1)
        return openssl_error("check a certificate");
    X509_STORE_CTX_set_time(ctx, 0, (time_t)at_s);
    int rc = X509_verify_cert(ctx);
    int why = X509_STORE_CTX_get_error(ctx);
    if (rc < 0 || why == X509_V_ERR_OUT_OF_MEM) return openssl_error("check a certificate");
    ERR_clear_error();
    *out_good = rc == 1;
    return NULL;
}

struct error *x509_check_leaf(struct bytes leaf_pem, const struct x509_key *key,
                              struct bytes ca_pem, int64_t at_s, bool *out_good) {
    CLEANUP(cert_freep) X509 *leaf = NULL;
    CLEANUP(cert_freep) X509 *ca = NULL;
    TRY(cert_of_pem(leaf_pem, &leaf));
    TRY(cert_of_pem(ca_pem, &ca));
    const EVP_PKEY *held = X509_get0_pubkey(leaf);
    bool same = held != NULL && EVP_PKEY_eq(held, key->pkey) == 1;
    ERR_clear_error();
    if (!same) {
        *out_good = false;
        return NULL;
    }
    return check_chain(leaf, ca, at_s, out_good);
}
