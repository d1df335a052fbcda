/*
 * tree: the stored tree: full tiles in the store, and the right edge, which is never stored, in
 * memory. Gives complete nodes, proofs, tiles and bundles of any size up to its own.
 */
#ifndef TLOG_TREE_H
#define TLOG_TREE_H

#include <pthread.h>

#include "base/arena.h"
#include "base/error.h"
#include "merkle/merkle.h"
#include "store/store.h"
#include "tlog/growth.h"

#define TREE_LEVELS 8 /* 256^8 leaves are more than MERKLE_SIZE_MAX */

/* The right edge: of each level of tiles, the hashes of the last, partial tile. Those behind its
 * width are left over from the tile before and mean nothing. */
struct edge {
    uint64_t size;
    struct sha256 tiles[TREE_LEVELS][MERKLE_TILE_WIDTH];
};

/* edge_grow adds a round, which must begin at the edge's size. */
void edge_grow(struct edge *e, const struct growth *g);

/* edge_tile gives the full tile (level, index) that the round in `g` completed on top of `e`. */
void edge_tile(const struct edge *e, const struct growth *g, unsigned level, uint64_t index,
               struct sha256 out[MERKLE_TILE_WIDTH]);

struct tree {
    struct store *store;
    pthread_mutex_t lock;
    struct edge edge; /* guarded by: lock */
    bool loaded;      /* guarded by: lock; else there is no edge, and full tiles alone are given */
};

void tree_init(struct tree *t, struct store *store);
void tree_done(struct tree *t);

/* tree_load builds the right edge of a tree of `size` from what is stored: leaves are hashed from
 * the entries, higher hashes from the full tiles below them. The last full tile is compared with
 * its entries, too. Errors: DATA_LOSS, naming what is missing or differs; the store's. */
MUST_USE struct error *tree_load(struct tree *t, uint64_t size);

/* tree_grow adds a round, whose entries and tiles have been committed. */
void tree_grow(struct tree *t, const struct growth *g);

/* Nodes of the tree for making proofs, with the tiles that it needed kept. The caller's storage;
 * one thread. */
struct tree_reader {
    struct tree *tree;
    struct arena arena;
    struct {
        bool held;
        uint64_t index;
        const struct sha256 *hashes;
    } tiles[TREE_LEVELS];
};
void tree_reader_init(struct tree_reader *r, struct tree *t);
void tree_reader_done(struct tree_reader *r);
struct merkle_source tree_source(struct tree_reader *r);

/* tree_root gives the root of the first `size` leaves. */
MUST_USE struct error *tree_root(struct tree *t, uint64_t size, struct sha256 *out);

/* tree_prefix answers whether (old_size, old_root) is a prefix of (size, root), by a consistency
 * proof made from the tree. old_size <= size <= the tree's. */
MUST_USE struct error *tree_prefix(struct tree *t, uint64_t old_size, const struct sha256 *old_root,
                                   uint64_t size, const struct sha256 *root, bool *out_is_prefix);

/* tree_tile copies the first `tile->width` hashes, or entries each behind its length (u16be), of a
 * tile that has as many, into `arena`. */
MUST_USE struct error *tree_tile(struct tree *t, struct arena *arena,
                                 const struct merkle_tile *tile, struct bytes *out);

#endif
