/*
 * public: public keys. Two forms of SubjectPublicKeyInfo are read, each compared octet by octet:
 *
 *   P-256    26 octets of prefix, 65 of uncompressed point (RFC 5480; compressed ones are refused)
 *   Ed25519  12 octets of prefix, 32 of key (RFC 8410)
 *
 * One key has one text, so that the hash of that text names it. No DER parser stands in between.
 */
#include <openssl/err.h>
#include <sodium.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/reader.h"
#include "codec/codec.h"
#include "crypto/internal.h"

#define PEM_HEAD "-----BEGIN PUBLIC KEY-----\n"
#define PEM_TAIL "-----END PUBLIC KEY-----\n"
#define PEM_LINE 64
#define PEM_MAX ((size_t)256)
#define ED25519_SPKI_PREFIX_LEN (ED25519_SPKI_LEN - crypto_sign_PUBLICKEYBYTES)

/* SPEC rfc8410 4: id-Ed25519 is 1.3.101.112, "the parameters MUST be absent". */
static const uint8_t ed25519_spki_prefix[ED25519_SPKI_PREFIX_LEN] = {
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

struct public_key {
    enum key_algorithm algorithm;
    uint8_t spki[P256_SPKI_LEN];
    size_t spki_len;
    uint8_t *pem; /* owned */
    size_t pem_len;
    struct ctx_pool
        *verifiers; /* owned; NULL for Ed25519. Behind a pointer: its use is no change */
};

/* SPEC rfc7468 2: "base64 text wrapped so that each line consists of exactly 64 characters except
 * for the final line". */
static void put_pem(struct buf *out, struct bytes spki) {
    struct buf b64;
    buf_init(&b64, PEM_MAX);
    base64_put(&b64, spki);
    if (b64.failed) out->failed = true;
    buf_put_cstr(out, PEM_HEAD);
    for (size_t at = 0; at < b64.len; at += PEM_LINE) {
        size_t len = b64.len - at < PEM_LINE ? b64.len - at : PEM_LINE;
        buf_put(out, (struct bytes){b64.data + at, len});
        buf_put_u8(out, '\n');
    }
    buf_put_cstr(out, PEM_TAIL);
    buf_done(&b64);
}

static struct error *set_pem(struct public_key *key) {
    struct buf pem;
    buf_init(&pem, PEM_MAX);
    put_pem(&pem, (struct bytes){key->spki, key->spki_len});
    struct error *err = buf_finish(&pem, "PEM");
    if (err != NULL) {
        buf_done(&pem);
        return err;
    }
    key->pem_len = pem.len;
    key->pem = buf_take(&pem);
    return NULL;
}

struct error *public_key_of_p256(EVP_PKEY *pkey, const uint8_t point[P256_POINT_LEN],
                                 struct public_key **out) {
    CLEANUP(public_key_freep) struct public_key *key = alloc_zero(1, sizeof *key);
    if (key == NULL) return error_nomem();
    key->algorithm = KEY_P256;
    key->spki_len = P256_SPKI_LEN;
    memcpy(key->spki, p256_spki_prefix, P256_SPKI_PREFIX_LEN);
    memcpy(key->spki + P256_SPKI_PREFIX_LEN, point, P256_POINT_LEN);
    TRY(set_pem(key));
    key->verifiers = alloc_zero(1, sizeof *key->verifiers);
    if (key->verifiers == NULL) return error_nomem();
    if (EVP_PKEY_up_ref(pkey) != 1) return openssl_error("share a P-256 key");
    ctx_pool_init(key->verifiers, pkey, EVP_PKEY_verify_init);
    *out = MOVE(key);
    return NULL;
}

struct error *public_key_of_ed25519(const uint8_t raw[ED25519_RAW_LEN], struct public_key **out) {
    CLEANUP(public_key_freep) struct public_key *key = alloc_zero(1, sizeof *key);
    if (key == NULL) return error_nomem();
    key->algorithm = KEY_ED25519;
    key->spki_len = ED25519_SPKI_LEN;
    memcpy(key->spki, ed25519_spki_prefix, ED25519_SPKI_PREFIX_LEN);
    memcpy(key->spki + ED25519_SPKI_PREFIX_LEN, raw, ED25519_RAW_LEN);
    TRY(set_pem(key));
    *out = MOVE(key);
    return NULL;
}

static bool has_prefix(struct bytes der, size_t len, const uint8_t *prefix, size_t prefix_len) {
    return der.len == len && memcmp(der.data, prefix, prefix_len) == 0;
}

static void pkey_freep(EVP_PKEY **p) { EVP_PKEY_free(*p); }

struct error *public_key_from_spki(struct bytes der, struct public_key **out) {
    if (has_prefix(der, P256_SPKI_LEN, p256_spki_prefix, P256_SPKI_PREFIX_LEN)) {
        const uint8_t *point = der.data + P256_SPKI_PREFIX_LEN;
        CLEANUP(pkey_freep) EVP_PKEY *pkey = NULL;
        TRY(p256_from_point((struct bytes){point, P256_POINT_LEN}, &pkey));
        return public_key_of_p256(pkey, point, out);
    }
    if (has_prefix(der, ED25519_SPKI_LEN, ed25519_spki_prefix, ED25519_SPKI_PREFIX_LEN)) {
        const uint8_t *raw = der.data + ED25519_SPKI_PREFIX_LEN;
        if (!crypto_core_ed25519_is_valid_point(raw)) /* canonical, and of the prime-order group */
            return error_new(ERROR_INVALID_ARGUMENT, "not an Ed25519 public key");
        return public_key_of_ed25519(raw, out);
    }
    return error_new(ERROR_INVALID_ARGUMENT,
                     "not a SubjectPublicKeyInfo of P-256 (uncompressed) or Ed25519");
}

/* The base64 between head and tail without line ends; how it was broken is judged by the caller. */
static struct error *unwrap_pem(struct arena *scratch, struct bytes pem, struct bytes *out) {
    struct reader r = reader_of(pem);
    reader_expect(&r, BYTES_LIT(PEM_HEAD), "BEGIN line");
    struct buf b64;
    buf_init_arena(&b64, scratch, PEM_MAX);
    while (r.failed == NULL && !bytes_start_with(r.rest, BYTES_LIT("-")))
        buf_put(&b64, reader_line(&r, "base64 line"));
    reader_expect(&r, BYTES_LIT(PEM_TAIL), "END line");
    TRY(reader_finish(&r, "PEM public key"));
    TRY(buf_finish(&b64, "PEM public key"));
    return base64_decode(scratch, buf_bytes(&b64), BASE64_STANDARD, out);
}

struct error *public_key_from_pem(struct bytes pem, struct public_key **out) {
    if (pem.len > PEM_MAX) return error_new(ERROR_INVALID_ARGUMENT, "PEM public key: too long");
    struct arena scratch;
    arena_init(&scratch, 8 * PEM_MAX);
    struct bytes der = {0};
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    struct error *err = unwrap_pem(&scratch, pem, &der);
    if (err == NULL) err = public_key_from_spki(der, &key);
    arena_done(&scratch);
    if (err != NULL) return err;
    /* The text is hashed to name the key, so a second way to write it would be a second name. */
    if (!bytes_equal(pem, public_key_pem(key)))
        return error_new(ERROR_INVALID_ARGUMENT, "PEM public key: not in RFC 7468's strict form");
    *out = MOVE(key);
    return NULL;
}

enum key_algorithm public_key_algorithm(const struct public_key *key) { return key->algorithm; }

struct bytes public_key_pem(const struct public_key *key) {
    return (struct bytes){key->pem, key->pem_len};
}

struct bytes public_key_spki(const struct public_key *key) {
    return (struct bytes){key->spki, key->spki_len};
}

struct bytes public_key_raw(const struct public_key *key) {
    if (key->algorithm != KEY_ED25519) return (struct bytes){0};
    return (struct bytes){key->spki + ED25519_SPKI_PREFIX_LEN, ED25519_RAW_LEN};
}

/* Takes a DER INTEGER of 1 to 33 octets, positive and written as short as it can be. */
static void take_integer(struct reader *r) {
    reader_expect(r, (struct bytes){(const uint8_t[]){0x02}, 1}, "INTEGER");
    size_t len = reader_u8(r, "length");
    if (len < 1 || len > 33) reader_fail(r, "length");
    struct bytes v = reader_take(r, len, "octets");
    if (v.len == 0) return;
    bool negative = v.data[0] >= 0x80;
    bool padded = v.len > 1 && v.data[0] == 0 && v.data[1] < 0x80;
    if (negative || padded || (v.len == 33 && v.data[0] != 0)) reader_fail(r, "octets");
}

/* Whether `sig` is the DER of SEQUENCE { r INTEGER, s INTEGER }: OpenSSL answers "malformed" and
 * "could not tell" with the same number, so the first is settled here.
 * SPEC x690 10.1: "The definite form of length encoding shall be used, encoded in the minimum
 * number of octets". */
static bool is_ecdsa_der(struct bytes sig) {
    struct reader r = reader_of(sig);
    reader_expect(&r, (struct bytes){(const uint8_t[]){0x30}, 1}, "SEQUENCE");
    if (reader_u8(&r, "length") != r.rest.len || r.rest.len > 70) reader_fail(&r, "length");
    take_integer(&r);
    take_integer(&r);
    return r.failed == NULL && r.rest.len == 0;
}

static struct error *verify_p256(const struct public_key *key, struct bytes message,
                                 struct bytes sig, bool *out_valid) {
    if (!is_ecdsa_der(sig)) {
        *out_valid = false;
        return NULL;
    }
    struct sha256 digest = sha256_of(message);
    EVP_PKEY_CTX *ctx = NULL;
    TRY(ctx_pool_take(key->verifiers, &ctx));
    int rc = EVP_PKEY_verify(ctx, sig.data, sig.len, digest.octets, sizeof digest.octets);
    if (rc < 0) {
        EVP_PKEY_CTX_free(ctx);
        return openssl_error("verify a P-256 signature");
    }
    ctx_pool_give(key->verifiers, ctx);
    if (rc != 1) ERR_clear_error();
    *out_valid = rc == 1;
    return NULL;
}

struct error *public_key_verify(const struct public_key *key, struct bytes message,
                                struct bytes sig, bool *out_valid) {
    if (key->algorithm == KEY_P256) return verify_p256(key, message, sig, out_valid);
    ASSERT(key->algorithm == KEY_ED25519);
    *out_valid = sig.len == crypto_sign_BYTES &&
                 crypto_sign_verify_detached(sig.data, message.data, message.len,
                                             public_key_raw(key).data) == 0;
    return NULL;
}

void public_key_free(struct public_key *key) {
    if (key == NULL) return;
    if (key->verifiers != NULL) ctx_pool_done(key->verifiers);
    alloc_free(key->verifiers);
    alloc_free(key->pem);
    alloc_free(key);
}
