/*
 * Making proofs from complete nodes. A path to the root of a tree of `size` leaves needs, on the
 * one level where the tree's last node is the sibling, a subtree that need not be complete: it is
 * folded from the complete ones on the tree's right edge. Every other sibling is complete.
 */
#include "merkle/internal.h"
#include "merkle/merkle.h"

static struct error *add(struct merkle_proof *proof, const struct sha256 *hash) {
    if (proof->count == MERKLE_PROOF_MAX)
        return error_new(ERROR_INTERNAL, "a proof has more than %d hashes", MERKLE_PROOF_MAX);
    proof->hashes[proof->count++] = *hash;
    return NULL;
}

static struct error *get(const struct merkle_source *src, unsigned level, uint64_t index,
                         struct sha256 *out) {
    return src->node(src->ctx, level, index, out);
}

/* right_edge folds the subtrees under (level, last) that are complete in a tree of `size`; `last`
 * is the last node of its level, so they are on the right edge. */
static struct error *right_edge(const struct merkle_source *src, unsigned level, uint64_t last,
                                uint64_t size, struct sha256 *out) {
    uint64_t leaves = size - (last << level); /* 1 .. 2^level */
    if (leaves == (uint64_t)1 << level) return get(src, level, last, out);

    bool begun = false;
    struct sha256 hash = {0};
    for (unsigned k = 0; k < level; k++) {
        if ((leaves >> k & 1) == 0) continue;
        struct sha256 node;
        TRY(get(src, k, (size >> k) - 1, &node));
        hash = begun ? merkle_node_hash(&node, &hash) : node;
        begun = true;
    }
    *out = hash;
    return NULL;
}

/* put_path adds the siblings on the way from the complete node (level, index) to the root. */
static struct error *put_path(const struct merkle_source *src, unsigned level, uint64_t index,
                              uint64_t size, struct merkle_proof *proof) {
    uint64_t last = (size - 1) >> level;
    unsigned inner = merkle_split_at(index, last).inner;
    for (; last > 0; level++, index >>= 1, last >>= 1) {
        struct sha256 hash;
        if ((index & 1) != 0) {
            TRY(get(src, level, index - 1, &hash));
        } else if (inner == 0) {
            continue; /* on the right edge, no sibling: this level is passed over */
        } else if (index + 1 == last) {
            TRY(right_edge(src, level, last, size, &hash));
        } else {
            TRY(get(src, level, index + 1, &hash));
        }
        TRY(add(proof, &hash));
        if (inner > 0) inner--;
    }
    return NULL;
}

struct error *merkle_prove_inclusion(const struct merkle_source *src, uint64_t index, uint64_t size,
                                     struct merkle_proof *out) {
    if (size > MERKLE_SIZE_MAX || index >= size)
        return error_new(ERROR_OUT_OF_RANGE, "no leaf %ju in a tree of %ju", (uintmax_t)index,
                         (uintmax_t)size);
    struct merkle_proof proof = {.count = 0};
    TRY(put_path(src, 0, index, size, &proof));
    *out = proof;
    return NULL;
}

struct error *merkle_prove_consistency(const struct merkle_source *src, uint64_t old_size,
                                       uint64_t new_size, struct merkle_proof *out) {
    if (old_size == 0 || old_size > new_size || new_size > MERKLE_SIZE_MAX)
        return error_new(ERROR_OUT_OF_RANGE, "no proof from a tree of %ju to one of %ju",
                         (uintmax_t)old_size, (uintmax_t)new_size);
    struct merkle_proof proof = {.count = 0};
    if (old_size < new_size) {
        unsigned level = (unsigned)__builtin_ctzll(old_size);
        uint64_t index = (old_size - 1) >> level;
        if (index != 0) { /* else the old root itself, which the other side has */
            struct sha256 seed;
            TRY(get(src, level, index, &seed));
            TRY(add(&proof, &seed));
        }
        TRY(put_path(src, level, index, new_size, &proof));
    }
    *out = proof;
    return NULL;
}

struct error *merkle_frontier_at(const struct merkle_source *src, uint64_t size,
                                 struct merkle_frontier *out) {
    if (size > MERKLE_SIZE_MAX)
        return error_new(ERROR_OUT_OF_RANGE, "no tree of %ju leaves", (uintmax_t)size);
    struct merkle_frontier f = {.size = size};
    for (unsigned level = 0; size >> level != 0; level++) {
        if ((size >> level & 1) != 0) TRY(get(src, level, (size >> level) - 1, &f.edge[level]));
    }
    *out = f;
    return NULL;
}
