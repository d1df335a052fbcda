#include "client/histogram.h"

#include <stddef.h>

#define VALUE_MAX (((uint64_t)1 << 40) - 1) /* twelve days */

static size_t bucket_of(uint64_t us) {
    if (us > VALUE_MAX) us = VALUE_MAX;
    if (us < 128) return (size_t)us;
    unsigned high = 63 - (unsigned)__builtin_clzll(us);
    return (size_t)64 * (high - 6) + (size_t)(us >> (high - 6));
}

/* The largest value of a bucket: a latency is never told smaller than it was. */
static uint64_t top_of(size_t bucket) {
    if (bucket < 128) return bucket;
    size_t high = bucket / 64 + 5;
    uint64_t first = (uint64_t)(bucket - 64 * (high - 6)) << (high - 6);
    return first + ((uint64_t)1 << (high - 6)) - 1;
}

void histogram_add(struct histogram *h, uint64_t us) {
    h->counts[bucket_of(us)]++;
    h->total++;
}

uint64_t histogram_at(const struct histogram *h, uint32_t parts) {
    uint64_t want = (h->total * parts + 999999) / 1000000, seen = 0;
    if (h->total == 0) return 0;
    if (want == 0) want = 1;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= want) return top_of(i);
    }
    return VALUE_MAX;
}
