#include "tlog/growth.h"

#include "base/alloc.h"
#include "base/assert.h"

struct error *growth_init(struct growth *g, size_t leaves_max) {
    /* Of n new leaves, level k completes at most n / 2^k + 1 nodes. */
    *g = (struct growth){.capacity = 2 * leaves_max + 64};
    g->nodes = alloc_zero(g->capacity, sizeof *g->nodes);
    return g->nodes == NULL ? error_nomem() : NULL;
}

void growth_done(struct growth *g) {
    alloc_free(g->nodes);
    *g = (struct growth){0};
}

static uint64_t count_between(uint64_t from, uint64_t to, unsigned level) {
    return (to >> level) - (from >> level);
}

void growth_begin(struct growth *g, const struct merkle_frontier *before, uint64_t leaves) {
    ASSERT(leaves <= MERKLE_SIZE_MAX - before->size);
    g->before = *before;
    g->after = *before;
    size_t offset = 0;
    for (unsigned level = 0; level < 64; level++) {
        g->offset[level] = offset;
        offset += (size_t)count_between(before->size, before->size + leaves, level);
    }
    ASSERT(offset <= g->capacity);
}

static void keep(void *ctx, unsigned level, uint64_t index, const struct sha256 *hash) {
    struct growth *g = ctx;
    g->nodes[g->offset[level] + (size_t)(index - growth_first(g, level))] = *hash;
}

void growth_append(struct growth *g, const struct sha256 *leaf) {
    merkle_append(&g->after, leaf, keep, g);
}

uint64_t growth_first(const struct growth *g, unsigned level) { return g->before.size >> level; }

uint64_t growth_count(const struct growth *g, unsigned level) {
    return count_between(g->before.size, g->after.size, level);
}

const struct sha256 *growth_nodes(const struct growth *g, unsigned level) {
    return g->nodes + g->offset[level];
}

static struct error *source_node(void *ctx, unsigned level, uint64_t index, struct sha256 *out) {
    struct growth *g = ctx;
    uint64_t first = growth_first(g, level);
    if (index >= first) {
        ASSERT(index - first < growth_count(g, level));
        *out = growth_nodes(g, level)[index - first];
        return NULL;
    }
    /* An old node: needed only where it is the left sibling of what holds the first new leaf, and
     * then it is the perfect subtree that this bit of the old size stands for. */
    if (index + 1 != first || (first & 1) == 0)
        return error_new(ERROR_INTERNAL, "node (%u, %ju) is outside of the round", level,
                         (uintmax_t)index);
    *out = g->before.edge[level];
    return NULL;
}

struct merkle_source growth_source(struct growth *g) {
    return (struct merkle_source){source_node, g};
}
