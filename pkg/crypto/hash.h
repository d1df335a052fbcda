/* hash: SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104). Pure. Thread-safe. */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "base/bytes.h"

struct sha256 {
    uint8_t octets[32];
};

/* struct sha256_ctx is a hash in progress, in the caller's storage. */
struct sha256_ctx {
    uint64_t opaque[16];
};

struct sha256 sha256_of(struct bytes in);

void sha256_init(struct sha256_ctx *ctx);
void sha256_update(struct sha256_ctx *ctx, struct bytes in);
struct sha256 sha256_final(struct sha256_ctx *ctx);

struct sha256 hmac_sha256(struct bytes key, struct bytes in);

static inline struct bytes sha256_bytes(const struct sha256 *h) {
    return (struct bytes){h->octets, sizeof h->octets};
}

static inline bool sha256_equal(const struct sha256 *a, const struct sha256 *b) {
    return memcmp(a->octets, b->octets, sizeof a->octets) == 0; /* public values only */
}

/* secret_equal compares in time that does not depend on where the octets differ; lengths are
 * public. */
bool secret_equal(struct bytes a, struct bytes b);

#endif
