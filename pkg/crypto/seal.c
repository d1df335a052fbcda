/*
 * seal: private keys at rest. A sealed key, 81 octets:
 *
 *   at  octets
 *    0    8    "attkey1\n"
 *    8   24    nonce, random
 *   32   16    Poly1305 of what follows  } libsodium crypto_secretbox
 *   48   33    encrypted: kind (1), then } (XSalsa20-Poly1305)
 *              32 octets: P-256 scalar, big-endian, or Ed25519 seed
 *
 * The kind is inside, so that a changed octet cannot turn one key into another. Which purpose a key
 * serves is bound by its wrapping key: signer/ and ca/ derive one for each.
 */
#include <sodium.h>

#include "base/assert.h"
#include "crypto/internal.h"

static const uint8_t magic[8] = {'a', 't', 't', 'k', 'e', 'y', '1', '\n'};

#define NONCE_AT (sizeof magic)
#define BOX_AT (NONCE_AT + crypto_secretbox_NONCEBYTES)
#define PLAIN_LEN (1 + SEAL_CONTENT_LEN)
#define SEALED_LEN (BOX_AT + crypto_secretbox_MACBYTES + PLAIN_LEN)

_Static_assert(SEALED_LEN == 81, "the layout above");

struct error *seal(enum seal_kind kind, const struct secret *content, const struct secret *wrap,
                   struct arena *arena, struct bytes *out) {
    ASSERT(secret_view(content).len == SEAL_CONTENT_LEN);
    ASSERT(secret_view(wrap).len == crypto_secretbox_KEYBYTES);
    uint8_t *sealed = arena_alloc(arena, SEALED_LEN);
    if (sealed == NULL) return error_nomem();
    CLEANUP(secret_freep) struct secret *plain = NULL;
    uint8_t *fill = NULL;
    TRY(secret_alloc(PLAIN_LEN, &plain, &fill));
    fill[0] = (uint8_t)kind;
    memcpy(fill + 1, secret_view(content).data, SEAL_CONTENT_LEN);

    memcpy(sealed, magic, sizeof magic);
    randombytes_buf(sealed + NONCE_AT, crypto_secretbox_NONCEBYTES);
    int rc = crypto_secretbox_easy(sealed + BOX_AT, fill, PLAIN_LEN, sealed + NONCE_AT,
                                   secret_view(wrap).data);
    ASSERT(rc == 0); /* fails only for messages beyond 2^64 octets */
    *out = (struct bytes){sealed, SEALED_LEN};
    return NULL;
}

struct error *unseal(struct bytes sealed, const struct secret *wrap, enum seal_kind *out_kind,
                     struct secret **out_content) {
    ASSERT(secret_view(wrap).len == crypto_secretbox_KEYBYTES);
    if (sealed.len != SEALED_LEN || memcmp(sealed.data, magic, sizeof magic) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "not a sealed key");
    CLEANUP(secret_freep) struct secret *plain = NULL;
    uint8_t *fill = NULL;
    TRY(secret_alloc(PLAIN_LEN, &plain, &fill));
    if (crypto_secretbox_open_easy(fill, sealed.data + BOX_AT, SEALED_LEN - BOX_AT,
                                   sealed.data + NONCE_AT, secret_view(wrap).data) != 0)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "sealed under another secret, or changed since");
    TRY(secret_of((struct bytes){fill + 1, SEAL_CONTENT_LEN}, out_content));
    *out_kind = (enum seal_kind)fill[0];
    return NULL;
}
