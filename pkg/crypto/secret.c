/* Secrets lie in libsodium's guarded pages (locked, kept out of core dumps, a guard page on either
 * side) and are read-only from the moment they are filled. OpenSSL's own private numbers lie in its
 * secure heap, which crypto_init sets up: without that it would fall back to the ordinary one. */
#include "crypto/secret.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sodium.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "crypto/hash.h"
#include "crypto/internal.h"

/* A private P-256 number takes 32 octets of it, a handshake in progress some hundreds: 1,024
 * connections that all begin at once still fit. */
#define SECURE_HEAP_OCTETS ((size_t)1 << 20)
#define SECURE_HEAP_LEAST 32
#define WRAP_LEN 32

struct secret {
    uint8_t *octets; /* owned; sodium_malloc */
    size_t len;
};

struct error *openssl_error(const char *what) {
    unsigned long code = ERR_peek_last_error();
    bool nomem = ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    const char *why = ERR_reason_error_string(code);
    struct error *err = nomem ? error_nomem()
                              : error_new(ERROR_INTERNAL, "%s: openssl: %s", what,
                                          why == NULL ? "no reason given" : why);
    ERR_clear_error();
    return err;
}

struct error *crypto_init(void) {
    if (sodium_init() < 0) return error_new(ERROR_INTERNAL, "libsodium does not start");
    /* 2 says that the pages could not be locked: the process may have no right to, and goes on. */
    if (!CRYPTO_secure_malloc_initialized() &&
        CRYPTO_secure_malloc_init(SECURE_HEAP_OCTETS, SECURE_HEAP_LEAST) == 0)
        return openssl_error("set up the secure heap");
    return NULL;
}

struct error *secret_alloc(size_t len, struct secret **out, uint8_t **out_fill) {
    ASSERT(len > 0);
    if (sodium_init() < 0) return error_new(ERROR_INTERNAL, "libsodium does not start");
    CLEANUP(secret_freep) struct secret *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    s->octets = sodium_malloc(len);
    if (s->octets == NULL) return error_nomem();
    s->len = len;
    memset(s->octets, 0, len);
    *out_fill = s->octets;
    *out = MOVE(s);
    return NULL;
}

/* Read-only is one more guard, not the one that counts: a kernel that refuses it is no failure. */
void secret_lock(struct secret *s) { (void)sodium_mprotect_readonly(s->octets); }

struct error *secret_random(size_t len, struct secret **out) {
    uint8_t *fill = NULL;
    struct secret *s = NULL;
    TRY(secret_alloc(len, &s, &fill));
    randombytes_buf(fill, len);
    secret_lock(s);
    *out = s;
    return NULL;
}

struct error *secret_of(struct bytes in, struct secret **out) {
    if (in.len == 0) return error_new(ERROR_INVALID_ARGUMENT, "an empty secret");
    uint8_t *fill = NULL;
    struct secret *s = NULL;
    TRY(secret_alloc(in.len, &s, &fill));
    memcpy(fill, in.data, in.len);
    secret_lock(s);
    *out = s;
    return NULL;
}

struct error *secret_from_passphrase(struct bytes passphrase, const uint8_t salt[16],
                                     struct secret **out) {
    _Static_assert(crypto_pwhash_SALTBYTES == 16, "the contract's salt");
    if (passphrase.len == 0) return error_new(ERROR_INVALID_ARGUMENT, "an empty passphrase");
    uint8_t *fill = NULL;
    CLEANUP(secret_freep) struct secret *s = NULL;
    TRY(secret_alloc(WRAP_LEN, &s, &fill));
    if (crypto_pwhash(fill, WRAP_LEN, (const char *)passphrase.data, passphrase.len, salt,
                      crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return error_nomem();
    secret_lock(s);
    *out = MOVE(s);
    return NULL;
}

struct error *secret_derive(const struct secret *master, const char *label, struct secret **out) {
    struct sha256 derived = hmac_sha256(secret_view(master), bytes_of_cstr(label));
    struct error *err = secret_of(sha256_bytes(&derived), out);
    secret_wipe(&derived, sizeof derived);
    return err;
}

struct bytes secret_view(const struct secret *s) {
    return (struct bytes){s->octets, s->len};
}

void secret_wipe(void *p, size_t len) { sodium_memzero(p, len); }

void secret_free(struct secret *s) {
    if (s == NULL) return;
    sodium_free(s->octets); /* wipes, and allows NULL */
    alloc_free(s);
}
