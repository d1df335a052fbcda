/* clock: the seam through which everything above the pure floors reads time. Thread-safe. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*unix_ms)(void *ctx);  /* milliseconds since 1970-01-01T00:00:00Z */
    uint64_t (*mono_us)(void *ctx); /* microseconds, never backwards; origin unspecified */
    void *ctx;
};

/* clock_system is the machine's clock. */
extern const struct clock clock_system;

static inline int64_t clock_unix_ms(const struct clock *c) { return c->unix_ms(c->ctx); }
static inline uint64_t clock_mono_us(const struct clock *c) { return c->mono_us(c->ctx); }

#endif
