/* Signing keys. Both kinds are 32 octets in secret memory (P-256 scalar, Ed25519 seed) from which
 * everything else is made, so generating and unsealing are one path. The sealed layout stands in
 * seal.c. */
#include "crypto/key.h"

#include <sodium.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "crypto/internal.h"

struct signing_key {
    struct secret *content;   /* scalar or seed */
    struct secret *expanded;  /* Ed25519: seed ‖ public key, as libsodium signs with; else NULL */
    struct ctx_pool *signers; /* owned; P-256, else NULL */
    struct public_key *public;
};

static void pkey_freep(EVP_PKEY **p) { EVP_PKEY_free(*p); }

static struct error *set_p256(struct signing_key *key) {
    CLEANUP(pkey_freep) EVP_PKEY *pkey = NULL;
    uint8_t point[P256_POINT_LEN];
    TRY(p256_from_scalar(secret_view(key->content), &pkey, point));
    TRY(public_key_of_p256(pkey, point, &key->public));
    key->signers = alloc_zero(1, sizeof *key->signers);
    if (key->signers == NULL) return error_nomem();
    ctx_pool_init(key->signers, MOVE(pkey), EVP_PKEY_sign_init);
    return NULL;
}

static struct error *set_ed25519(struct signing_key *key) {
    uint8_t raw[ED25519_RAW_LEN];
    uint8_t *fill = NULL;
    TRY(secret_alloc(crypto_sign_SECRETKEYBYTES, &key->expanded, &fill));
    (void)crypto_sign_seed_keypair(raw, fill, secret_view(key->content).data); /* cannot fail */
    secret_lock(key->expanded);
    return public_key_of_ed25519(raw, &key->public);
}

/* Takes `content`, also on failure. */
static struct error *key_of(enum key_algorithm alg, struct secret *content,
                            struct signing_key **out) {
    CLEANUP(signing_key_freep) struct signing_key *key = alloc_zero(1, sizeof *key);
    if (key == NULL) {
        secret_free(content);
        return error_nomem();
    }
    key->content = content;
    TRY(alg == KEY_P256 ? set_p256(key) : set_ed25519(key));
    *out = MOVE(key);
    return NULL;
}

struct error *signing_key_generate(enum key_algorithm alg, struct signing_key **out) {
    ASSERT(alg == KEY_P256 || alg == KEY_ED25519);
    struct secret *content = NULL;
    TRY(alg == KEY_P256 ? p256_scalar_new(&content)
                        : secret_random(crypto_sign_SEEDBYTES, &content));
    return key_of(alg, content, out);
}

const struct public_key *signing_key_public(const struct signing_key *key) { return key->public; }

static struct error *sign_p256(const struct signing_key *key, struct bytes message,
                               struct signature *out) {
    struct sha256 digest = sha256_of(message);
    struct signature sig = {.len = SIGNATURE_MAX};
    EVP_PKEY_CTX *ctx = NULL;
    TRY(ctx_pool_take(key->signers, &ctx));
    if (EVP_PKEY_sign(ctx, sig.octets, &sig.len, digest.octets, sizeof digest.octets) <= 0) {
        EVP_PKEY_CTX_free(ctx);
        return openssl_error("sign with P-256");
    }
    ctx_pool_give(key->signers, ctx);
    *out = sig;
    return NULL;
}

struct error *signing_key_sign(const struct signing_key *key, struct bytes message,
                               struct signature *out) {
    if (key->signers != NULL) return sign_p256(key, message, out);
    struct signature sig = {.len = crypto_sign_BYTES};
    (void)crypto_sign_detached(sig.octets, NULL, message.data, message.len,
                               secret_view(key->expanded).data); /* cannot fail */
    *out = sig;
    return NULL;
}

struct error *signing_key_seal(const struct signing_key *key, const struct secret *wrap,
                               struct arena *arena, struct bytes *out) {
    enum seal_kind kind = key->signers != NULL ? SEAL_P256 : SEAL_ED25519;
    return seal(kind, key->content, wrap, arena, out);
}

struct error *signing_key_unseal(struct bytes sealed, const struct secret *wrap,
                                 struct signing_key **out) {
    enum seal_kind kind;
    struct secret *content = NULL;
    TRY(unseal(sealed, wrap, &kind, &content));
    if (kind != SEAL_P256 && kind != SEAL_ED25519) {
        secret_free(content);
        return error_new(ERROR_INVALID_ARGUMENT, "a sealed key, but no signing key");
    }
    return key_of(kind == SEAL_P256 ? KEY_P256 : KEY_ED25519, content, out);
}

void signing_key_free(struct signing_key *key) {
    if (key == NULL) return;
    if (key->signers != NULL) ctx_pool_done(key->signers);
    alloc_free(key->signers);
    public_key_free(key->public);
    secret_free(key->expanded);
    secret_free(key->content);
    alloc_free(key);
}
