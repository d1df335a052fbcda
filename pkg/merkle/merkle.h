/*
 * merkle: the hash tree of RFC 6962 (and RFC 9162, 2.1), its proofs, and C2SP tile coordinates.
 * Pure: nodes come through a seam. Index is 0-based; level 0 is the leaves. Thread-safe.
 */
#ifndef MERKLE_MERKLE_H
#define MERKLE_MERKLE_H

#include "base/buf.h"
#include "base/error.h"
#include "crypto/hash.h"

#define MERKLE_PROOF_MAX 64 /* hashes: a tree has fewer than 2^63 leaves */
#define MERKLE_TILE_WIDTH 256
#define MERKLE_SIZE_MAX ((uint64_t)1 << 62)

struct sha256 merkle_leaf_hash(struct bytes leaf);
struct sha256 merkle_node_hash(const struct sha256 *left, const struct sha256 *right);
struct sha256 merkle_empty_root(void);

/* A frontier (compact range [0, size)): all that appending and the root need. edge[l] is the root
 * of the perfect subtree of 2^l leaves that bit l of `size` stands for; others are unset. */
struct merkle_frontier {
    uint64_t size;
    struct sha256 edge[64];
};

/* merkle_append adds a leaf hash. `on_node`, where not NULL, is told of every node that became
 * complete, leaf included, in order of level. */
void merkle_append(struct merkle_frontier *f, const struct sha256 *leaf,
                   void (*on_node)(void *ctx, unsigned level, uint64_t index,
                                   const struct sha256 *hash),
                   void *ctx);

struct sha256 merkle_root(const struct merkle_frontier *f);

struct merkle_proof {
    struct sha256 hashes[MERKLE_PROOF_MAX];
    size_t count;
};

/* merkle_verify_inclusion and merkle_verify_consistency answer whether the proof holds. They are
 * total: any input gives true or false.
 * Implements: RFC 9162, 2.1.3.2 and 2.1.4.2. */
bool merkle_verify_inclusion(uint64_t index, uint64_t size, const struct sha256 *leaf_hash,
                             const struct sha256 *hashes, size_t count, const struct sha256 *root);
bool merkle_verify_consistency(uint64_t old_size, uint64_t new_size, const struct sha256 *hashes,
                               size_t count, const struct sha256 *old_root,
                               const struct sha256 *new_root);

/* A source of complete nodes: the perfect subtree (level, index). Asked only for nodes that are
 * complete in the tree size the proof is for. */
struct merkle_source {
    struct error *(*node)(void *ctx, unsigned level, uint64_t index, struct sha256 *out);
    void *ctx;
};

/* merkle_prove_inclusion: index < size. merkle_prove_consistency: 0 < old_size <= new_size.
 * Errors: OUT_OF_RANGE for other arguments; the source's. */
MUST_USE struct error *merkle_prove_inclusion(const struct merkle_source *src, uint64_t index,
                                              uint64_t size, struct merkle_proof *out);
MUST_USE struct error *merkle_prove_consistency(const struct merkle_source *src, uint64_t old_size,
                                                uint64_t new_size, struct merkle_proof *out);

/* merkle_frontier_at reads the frontier of the tree of `size` leaves from `src`. */
MUST_USE struct error *merkle_frontier_at(const struct merkle_source *src, uint64_t size,
                                          struct merkle_frontier *out);

/* A tile: 256 hashes (fewer: partial) of tree level 8 * level, C2SP tlog-tiles. */
struct merkle_tile {
    unsigned level; /* 0..7 */
    uint64_t index; /* of the tile in its level */
    unsigned width; /* 1..256; 256 is a full tile */
    bool entries;   /* an entry bundle (level 0) */
};

/* merkle_tile_parse reads a request path behind "/tile/": "0/x001/067", "entries/000.p/5".
 * False where it is not the one way to write it. merkle_tile_path appends it. */
MUST_USE bool merkle_tile_parse(struct bytes path, struct merkle_tile *out);
void merkle_tile_path(struct buf *out, const struct merkle_tile *tile);

/* merkle_tile_width is how many hashes tile (level, index) has in a tree of `size`: 0..256. */
unsigned merkle_tile_width(unsigned level, uint64_t index, uint64_t size);

#endif
