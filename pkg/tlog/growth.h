/*
 * growth: what one round adds to the tree: every node that it completes, and the frontiers before
 * and after. That is all that the round's own proofs need: an index that is new has siblings that
 * the round completed, or left ones that stand in the frontier before it.
 */
#ifndef TLOG_GROWTH_H
#define TLOG_GROWTH_H

#include "base/error.h"
#include "merkle/merkle.h"

struct growth {
    struct merkle_frontier before;
    struct merkle_frontier after;
    struct sha256 *nodes; /* owned; level by level */
    size_t capacity;
    size_t offset[64]; /* where each level begins in `nodes` */
};

/* growth_init makes room for rounds of up to `leaves_max`. growth_done frees. */
MUST_USE struct error *growth_init(struct growth *g, size_t leaves_max);
void growth_done(struct growth *g);

/* growth_begin starts a round of exactly `leaves` on top of `before`; growth_append adds them. */
void growth_begin(struct growth *g, const struct merkle_frontier *before, uint64_t leaves);
void growth_append(struct growth *g, const struct sha256 *leaf);

/* growth_count is how many nodes of `level` the round completed, growth_first the index of the
 * first of them, growth_nodes the nodes. */
uint64_t growth_first(const struct growth *g, unsigned level);
uint64_t growth_count(const struct growth *g, unsigned level);
const struct sha256 *growth_nodes(const struct growth *g, unsigned level);

/* growth_source gives the nodes that proofs of the round's indexes need, at its new size, and the
 * proof that the old tree is a prefix of the new one. Thread-safe while nothing is appended. */
struct merkle_source growth_source(struct growth *g);

#endif
