/*
 * Checking proofs. Both functions are total: sizes, indexes and counts are the other side's word,
 * so the number of hashes that a proof must have is computed first and compared with what came.
 */
#include "merkle/internal.h"
#include "merkle/merkle.h"

/* climb_inner folds `count` siblings of either side into `hash`, from node `index` upwards. */
static void climb_inner(struct sha256 *hash, const struct sha256 *siblings, unsigned count,
                        uint64_t index) {
    for (unsigned k = 0; k < count; k++) {
        if ((index >> k & 1) != 0)
            *hash = merkle_node_hash(&siblings[k], hash);
        else
            *hash = merkle_node_hash(hash, &siblings[k]);
    }
}

/* climb_left folds siblings that are all to the left. */
static void climb_left(struct sha256 *hash, const struct sha256 *siblings, unsigned count) {
    for (unsigned k = 0; k < count; k++) *hash = merkle_node_hash(&siblings[k], hash);
}

bool merkle_verify_inclusion(uint64_t index, uint64_t size, const struct sha256 *leaf_hash,
                             const struct sha256 *hashes, size_t count, const struct sha256 *root) {
    /* SPEC rfc9162 2.1.3.2: "Compare leaf_index from the inclusion_proof_v2 structure against
     * tree_size. If leaf_index is greater than or equal to tree_size, then stop and fail the proof
     * verification." */
    if (index >= size) return false;
    struct merkle_split path = merkle_split_at(index, size - 1);
    if (count != path.inner + path.border) return false;

    struct sha256 hash = *leaf_hash;
    climb_inner(&hash, hashes, path.inner, index);
    climb_left(&hash, hashes + path.inner, path.border);
    return sha256_equal(&hash, root);
}

/* rebuild_old folds into `hash` those siblings that the old tree had too: the left ones. */
static void rebuild_old(struct sha256 *hash, const struct sha256 *siblings, unsigned count,
                        uint64_t index) {
    for (unsigned k = 0; k < count; k++) {
        if ((index >> k & 1) != 0) *hash = merkle_node_hash(&siblings[k], hash);
    }
}

bool merkle_verify_consistency(uint64_t old_size, uint64_t new_size, const struct sha256 *hashes,
                               size_t count, const struct sha256 *old_root,
                               const struct sha256 *new_root) {
    if (old_size == 0 || old_size > new_size) return false;
    if (old_size == new_size) return count == 0 && sha256_equal(old_root, new_root);

    /* The proof starts at the last perfect subtree of the old tree. Where the old tree is one as a
     * whole, its root is that start and is left out. */
    /* SPEC rfc9162 2.1.4.2: "If consistency_path is an empty array, stop and fail the proof
     * verification." */
    unsigned level = (unsigned)__builtin_ctzll(old_size);
    uint64_t index = (old_size - 1) >> level;
    struct merkle_split path = merkle_split_at(index, (new_size - 1) >> level);
    size_t seed = index == 0 ? 0 : 1;
    if (count != seed + path.inner + path.border) return false;

    struct sha256 old_hash = seed == 0 ? *old_root : hashes[0];
    struct sha256 new_hash = old_hash;
    const struct sha256 *inner = hashes + seed;
    const struct sha256 *border = inner + path.inner;
    rebuild_old(&old_hash, inner, path.inner, index);
    climb_left(&old_hash, border, path.border);
    climb_inner(&new_hash, inner, path.inner, index);
    climb_left(&new_hash, border, path.border);
    return sha256_equal(&old_hash, old_root) && sha256_equal(&new_hash, new_root);
}
