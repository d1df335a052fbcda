/* internal: what proving and verifying share. */
#ifndef MERKLE_INTERNAL_H
#define MERKLE_INTERNAL_H

#include <stdint.h>

/* merkle_bit_length is the number of bits that `v` needs: 0 for 0, 64 for UINT64_MAX. */
static inline unsigned merkle_bit_length(uint64_t v) {
    return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

/* merkle_shift is v >> n for every n up to 64, where C leaves 64 undefined. */
static inline uint64_t merkle_shift(uint64_t v, unsigned n) { return n >= 64 ? 0 : v >> n; }

/* merkle_split says how the path from node `index` of a level to the root of a tree whose last
 * node on that level is `last` goes: `inner` levels on which the tree's last node is still to the
 * right, so that siblings are on either side; above them, up the right edge, only left siblings,
 * one for every bit that is set (`border`). */
struct merkle_split {
    unsigned inner;
    unsigned border;
};

static inline struct merkle_split merkle_split_at(uint64_t index, uint64_t last) {
    unsigned inner = merkle_bit_length(index ^ last);
    unsigned border = (unsigned)__builtin_popcountll(merkle_shift(index, inner));
    return (struct merkle_split){inner, border};
}

#endif
