/* entropy: the seam for random octets (tokens, ids, salts). Key generation and signing nonces use
 * the libraries' own generators. Thread-safe. */
#ifndef BASE_ENTROPY_H
#define BASE_ENTROPY_H

#include "base/error.h"

struct entropy {
    struct error *(*fill)(void *ctx, uint8_t *out, size_t len);
    void *ctx;
};

/* entropy_system is the kernel's generator (getrandom(2)). */
extern const struct entropy entropy_system;

/* entropy_fill writes `len` random octets. Errors: UNAVAILABLE if the kernel gives none. */
MUST_USE static inline struct error *entropy_fill(const struct entropy *e, uint8_t *out,
                                                  size_t len) {
    return e->fill(e->ctx, out, len);
}

#endif
