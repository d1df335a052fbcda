/* internal: what the files of crypto/ share: OpenSSL's errors, reused contexts, P-256 keys and
 * sealing. */
#ifndef CRYPTO_INTERNAL_H
#define CRYPTO_INTERNAL_H

#include <openssl/evp.h>
#include <pthread.h>

#include "base/arena.h"
#include "base/error.h"
#include "crypto/key.h"
#include "crypto/secret.h"

/* openssl_error turns OpenSSL's newest error into ours, and empties its per-thread queue, which
 * libssl would otherwise take for its own. */
MUST_USE struct error *openssl_error(const char *what);

/* A ctx_pool keeps idle contexts of one key: making one costs more than a signature, and one
 * context serves one thread at a time. */
#define CTX_POOL_IDLE_MAX 8 /* more threads than that make and free their own */

struct ctx_pool {
    pthread_mutex_t lock;
    EVP_PKEY *pkey; /* owned; read by all */
    int (*init)(EVP_PKEY_CTX *ctx);
    size_t idle_count;                     /* guarded by: lock */
    EVP_PKEY_CTX *idle[CTX_POOL_IDLE_MAX]; /* guarded by: lock */
};

/* ctx_pool_init takes `pkey`. `init` is EVP_PKEY_sign_init or EVP_PKEY_verify_init. */
void ctx_pool_init(struct ctx_pool *p, EVP_PKEY *pkey, int (*init)(EVP_PKEY_CTX *ctx));
MUST_USE struct error *ctx_pool_take(struct ctx_pool *p, EVP_PKEY_CTX **out);
/* ctx_pool_give gives back a context whose last use did not fail. */
void ctx_pool_give(struct ctx_pool *p, EVP_PKEY_CTX *ctx);
void ctx_pool_done(struct ctx_pool *p);

/* --- P-256 */
#define P256_SCALAR_LEN 32
#define P256_POINT_LEN 65 /* 0x04 ‖ x ‖ y */
#define P256_SPKI_LEN 91
#define P256_SPKI_PREFIX_LEN (P256_SPKI_LEN - P256_POINT_LEN)
extern const uint8_t p256_spki_prefix[P256_SPKI_PREFIX_LEN];

/* p256_scalar_new makes a random private key. */
MUST_USE struct error *p256_scalar_new(struct secret **out);

/* p256_from_scalar makes the key pair of a private key and writes the public point. Errors:
 * INVALID_ARGUMENT if the scalar is 0 or not below the group's order. */
MUST_USE struct error *p256_from_scalar(struct bytes scalar, EVP_PKEY **out,
                                        uint8_t out_point[P256_POINT_LEN]);

/* p256_from_point makes a public key. Errors: INVALID_ARGUMENT if it is no point of the curve. */
MUST_USE struct error *p256_from_point(struct bytes point, EVP_PKEY **out);

/* --- public keys of private ones. public_key_of_p256 shares `pkey`, which stays the caller's. */
#define ED25519_RAW_LEN 32
#define ED25519_SPKI_LEN 44
MUST_USE struct error *public_key_of_p256(EVP_PKEY *pkey, const uint8_t point[P256_POINT_LEN],
                                          struct public_key **out);
MUST_USE struct error *public_key_of_ed25519(const uint8_t raw[ED25519_RAW_LEN],
                                             struct public_key **out);

/* --- sealing */
enum seal_kind {
    SEAL_P256 = 1,    /* a signing key: the scalar */
    SEAL_ED25519 = 2, /* a signing key: the seed */
    SEAL_X509 = 3,    /* a certificate's P-256 key: the scalar */
};
#define SEAL_CONTENT_LEN 32

MUST_USE struct error *seal(enum seal_kind kind, const struct secret *content,
                            const struct secret *wrap, struct arena *arena, struct bytes *out);
/* *out_kind may be none of the above: the caller takes the one that it wants. */
MUST_USE struct error *unseal(struct bytes sealed, const struct secret *wrap,
                              enum seal_kind *out_kind, struct secret **out_content);

#endif
