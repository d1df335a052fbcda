/* SHA-256 goes through OpenSSL's block functions directly: what the high-level calls add (a fetch,
 * an allocation) costs four times as much as hashing a Merkle node. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define BLOCK_LEN 64

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256_ctx), "the opaque storage is too small");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct sha256_ctx), "or badly aligned");

/* The three calls return 1 always: they have no way to fail. */
static SHA256_CTX *inner(struct sha256_ctx *ctx) { return (SHA256_CTX *)(void *)ctx; }

void sha256_init(struct sha256_ctx *ctx) { (void)SHA256_Init(inner(ctx)); }

void sha256_update(struct sha256_ctx *ctx, struct bytes in) {
    if (in.len > 0) (void)SHA256_Update(inner(ctx), in.data, in.len);
}

struct sha256 sha256_final(struct sha256_ctx *ctx) {
    struct sha256 out;
    (void)SHA256_Final(out.octets, inner(ctx));
    return out;
}

struct sha256 sha256_of(struct bytes in) {
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, in);
    return sha256_final(&ctx);
}

/* One half of HMAC: H((key ^ pad) ‖ in). */
static struct sha256 keyed(const uint8_t key[BLOCK_LEN], uint8_t pad, struct bytes in) {
    uint8_t block[BLOCK_LEN];
    for (size_t i = 0; i < BLOCK_LEN; i++) block[i] = key[i] ^ pad;
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, (struct bytes){block, sizeof block});
    sha256_update(&ctx, in);
    struct sha256 out = sha256_final(&ctx);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(&ctx, sizeof ctx);
    return out;
}

/* SPEC rfc2104 2: "H(K XOR opad, H(K XOR ipad, text))". */
struct sha256 hmac_sha256(struct bytes key, struct bytes in) {
    uint8_t padded[BLOCK_LEN] = {0};
    /* SPEC rfc2104 2: "Applications that use keys longer than B bytes will first hash the key". */
    if (key.len > BLOCK_LEN) {
        struct sha256 short_key = sha256_of(key);
        memcpy(padded, short_key.octets, sizeof short_key.octets);
        OPENSSL_cleanse(&short_key, sizeof short_key);
    } else if (key.len > 0) {
        memcpy(padded, key.data, key.len);
    }
    struct sha256 inner_hash = keyed(padded, 0x36, in);
    struct sha256 out = keyed(padded, 0x5c, sha256_bytes(&inner_hash));
    OPENSSL_cleanse(padded, sizeof padded);
    return out;
}

bool secret_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}
