/* secret: octets that must not leak: locked in memory, wiped when freed, never printed or copied
 * out. libsodium's guarded allocations. */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include "base/bytes.h"
#include "base/error.h"

struct secret;

/* crypto_init prepares the libraries; once, before threads start and before any private key is
 * made or read: from then on OpenSSL too keeps private numbers in locked memory. Calling it again
 * does nothing. Errors: INTERNAL. */
MUST_USE struct error *crypto_init(void);

/* secret_alloc makes a secret of `len` > 0 zero octets, which `*out_fill` may write until
 * secret_lock makes them read-only: for reading one from where it is kept, without a copy. */
MUST_USE struct error *secret_alloc(size_t len, struct secret **out, uint8_t **out_fill);
void secret_lock(struct secret *s);

/* secret_random makes a secret of `len` random octets. */
MUST_USE struct error *secret_random(size_t len, struct secret **out);

/* secret_of copies `in`; the caller wipes its own copy (secret_wipe). */
MUST_USE struct error *secret_of(struct bytes in, struct secret **out);

/* secret_from_passphrase derives a 32-octet secret by Argon2id, INTERACTIVE limits (libsodium,
 * crypto_pwhash), from a passphrase and a 16-octet salt; about 0.2 s and 64 MiB. */
MUST_USE struct error *secret_from_passphrase(struct bytes passphrase, const uint8_t salt[16],
                                              struct secret **out);

/* secret_derive makes the 32-octet secret of one purpose from `master`: HMAC-SHA-256 under it of
 * `label`. Different labels give secrets that say nothing of each other or of `master`. */
MUST_USE struct error *secret_derive(const struct secret *master, const char *label,
                                     struct secret **out);

/* secret_view borrows the octets, for passing to a library or writing to a 0600 file. */
struct bytes secret_view(const struct secret *s);

/* secret_wipe zeroes `len` octets at `p`; not removed by the optimiser. */
void secret_wipe(void *p, size_t len);

void secret_free(struct secret *s);
DEFINE_CLEANUP(struct secret, secret_free);

#endif
