/*
 * key: signing keys and signatures: ECDSA P-256 with SHA-256 (FIPS 186-4, DER signatures) and
 * Ed25519 (RFC 8032). Private keys stay inside this module: no function hands out their octets but
 * signing_key_seal. All functions are thread-safe.
 */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

enum key_algorithm {
    KEY_UNSET = 0,
    KEY_P256,    /* ECDSA P-256, SHA-256 */
    KEY_ED25519, /* pure Ed25519 */
};

#define SIGNATURE_MAX ((size_t)72) /* octets: DER of two 256-bit integers */

struct signature {
    uint8_t octets[SIGNATURE_MAX];
    size_t len;
};

static inline struct bytes signature_bytes(const struct signature *s) {
    return (struct bytes){s->octets, s->len};
}

/* --- public keys; immutable after they are made, shared between threads freely */
struct public_key;

/* public_key_from_pem and public_key_from_spki read one SubjectPublicKeyInfo (PEM "PUBLIC KEY", or
 * its DER), P-256 or Ed25519, nothing behind it. *out is owned by the caller.
 * Errors: INVALID_ARGUMENT. */
MUST_USE struct error *public_key_from_pem(struct bytes pem, struct public_key **out);
MUST_USE struct error *public_key_from_spki(struct bytes der, struct public_key **out);

enum key_algorithm public_key_algorithm(const struct public_key *key);

/* The views below are owned by `key`. The PEM ends in a newline, lines of 64 (RFC 7468). `raw` is
 * the 32 octets of an Ed25519 key, and the empty view for P-256. */
struct bytes public_key_pem(const struct public_key *key);
struct bytes public_key_spki(const struct public_key *key);
struct bytes public_key_raw(const struct public_key *key);

/* public_key_verify answers whether `sig` is the signature of `message`. A malformed signature is
 * a "no". Errors: RESOURCE_EXHAUSTED, INTERNAL: could not tell. */
MUST_USE struct error *public_key_verify(const struct public_key *key, struct bytes message,
                                         struct bytes sig, bool *out_valid);

void public_key_free(struct public_key *key);
DEFINE_CLEANUP(struct public_key, public_key_free);

/* --- private keys */
struct signing_key;

MUST_USE struct error *signing_key_generate(enum key_algorithm alg, struct signing_key **out);

/* signing_key_public borrows the public half, owned by `key`. */
const struct public_key *signing_key_public(const struct signing_key *key);

/* signing_key_sign signs `message` (hashed here for P-256; as it is for Ed25519). Only signer/
 * calls it: everything above signs typed things. */
MUST_USE struct error *signing_key_sign(const struct signing_key *key, struct bytes message,
                                        struct signature *out);

/* signing_key_seal returns `key` encrypted under `wrap` in memory of `arena`; the layout stands in
 * key.c. signing_key_unseal reads it back. Errors: FAILED_PRECONDITION if `wrap` is not the secret
 * it was sealed with or the octets were changed; INVALID_ARGUMENT if they are not a sealed key. */
MUST_USE struct error *signing_key_seal(const struct signing_key *key, const struct secret *wrap,
                                        struct arena *arena, struct bytes *out);
MUST_USE struct error *signing_key_unseal(struct bytes sealed, const struct secret *wrap,
                                          struct signing_key **out);

void signing_key_free(struct signing_key *key);
DEFINE_CLEANUP(struct signing_key, signing_key_free);

#endif
