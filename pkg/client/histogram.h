/* client/histogram: latencies in log-linear buckets: within 0.8 % at any size. Internal. */
#ifndef CLIENT_HISTOGRAM_H
#define CLIENT_HISTOGRAM_H

#include <stdint.h>

/*
 * Values are microseconds. Below 128 each has a bucket of its own; above, each power of two has 64:
 *   bucket = 64 * (position of the highest bit - 6) + the seven highest bits
 */
#define HISTOGRAM_BUCKETS (64 * (40 - 6) + 128)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
};

void histogram_add(struct histogram *h, uint64_t us);

/* histogram_at gives the value below or at which `parts` of 1,000,000 lie: 500,000 is the median.
 * 0 while empty. */
uint64_t histogram_at(const struct histogram *h, uint32_t parts);

#endif
