#include "tlog/tree.h"

#include "base/alloc.h"
#include "base/assert.h"

#define ENTRY_ARENA_OCTETS (2 * STORE_ENTRY_MAX_OCTETS)
#define TILE_OCTETS (MERKLE_TILE_WIDTH * sizeof(struct sha256))
#define ENTRY_MAX_OCTETS ((size_t)UINT16_MAX) /* of a leaf in a bundle */

/* --- the right edge */

void edge_grow(struct edge *e, const struct growth *g) {
    ASSERT(e->size == g->before.size);
    for (unsigned level = 0; level < TREE_LEVELS; level++) {
        uint64_t first = growth_first(g, 8 * level);
        uint64_t count = growth_count(g, 8 * level);
        const struct sha256 *nodes = growth_nodes(g, 8 * level);
        for (uint64_t i = 0; i < count; i++)
            e->tiles[level][(first + i) % MERKLE_TILE_WIDTH] = nodes[i];
    }
    e->size = g->after.size;
}

void edge_tile(const struct edge *e, const struct growth *g, unsigned level, uint64_t index,
               struct sha256 out[MERKLE_TILE_WIDTH]) {
    uint64_t first = growth_first(g, 8 * level);
    const struct sha256 *nodes = growth_nodes(g, 8 * level);
    ASSERT((index + 1) * MERKLE_TILE_WIDTH <= g->after.size >> (8 * level));
    for (uint64_t i = 0; i < MERKLE_TILE_WIDTH; i++) {
        uint64_t at = index * MERKLE_TILE_WIDTH + i;
        out[i] = at < first ? e->tiles[level][i] : nodes[at - first];
    }
}

/* --- reading what is stored */

void tree_init(struct tree *t, struct store *store) {
    *t = (struct tree){.store = store};
    ASSERT(pthread_mutex_init(&t->lock, NULL) == 0);
}

void tree_done(struct tree *t) { (void)pthread_mutex_destroy(&t->lock); }

/* subtree folds `count` hashes, a power of two, into the root over them. */
static struct sha256 subtree(const struct sha256 *hashes, size_t count) {
    struct sha256 row[MERKLE_TILE_WIDTH];
    ASSERT(count >= 1 && count <= MERKLE_TILE_WIDTH && (count & (count - 1)) == 0);
    memcpy(row, hashes, count * sizeof *row);
    for (; count > 1; count /= 2) {
        for (size_t i = 0; i < count / 2; i++)
            row[i] = merkle_node_hash(&row[2 * i], &row[2 * i + 1]);
    }
    return row[0];
}

static struct error *stored_tile(struct store *store, struct arena *arena, unsigned level,
                                 uint64_t index, const struct sha256 **out) {
    struct bytes tile = {0};
    bool found = false;
    TRY(store_get_tile(store, arena, level, index, &found, &tile));
    if (!found || tile.len != TILE_OCTETS)
        return error_new(ERROR_DATA_LOSS, "tile %ju of level %u is missing", (uintmax_t)index,
                         level);
    *out = (const struct sha256 *)tile.data; /* octets: no alignment to keep */
    return NULL;
}

/* entry_leaf reads one entry into `arena` and gives its leaf. */
static struct error *entry_leaf(struct store *store, struct arena *arena, uint64_t index,
                                struct bytes *out) {
    struct store_entry entry;
    bool found = false;
    TRY(store_get_entry(store, NULL, arena, index, &found, &entry));
    if (!found) return error_new(ERROR_DATA_LOSS, "entry %ju is missing", (uintmax_t)index);
    *out = entry.leaf;
    return NULL;
}

static struct error *hash_entry(struct store *store, uint64_t index, struct sha256 *out) {
    struct arena arena;
    struct bytes leaf = {0};
    arena_init(&arena, ENTRY_ARENA_OCTETS);
    struct error *err = entry_leaf(store, &arena, index, &leaf);
    if (err == NULL) *out = merkle_leaf_hash(leaf);
    arena_done(&arena);
    return err;
}

static struct error *tile_root(struct store *store, unsigned level, uint64_t index,
                               struct sha256 *out) {
    struct arena arena;
    const struct sha256 *hashes = NULL;
    arena_init(&arena, 2 * TILE_OCTETS);
    struct error *err = stored_tile(store, &arena, level, index, &hashes);
    if (err == NULL) *out = subtree(hashes, MERKLE_TILE_WIDTH);
    arena_done(&arena);
    return err;
}

/* check_last_tile hashes the entries under the last full tile again. */
static struct error *check_last_tile(struct store *store, struct arena *arena, uint64_t index) {
    const struct sha256 *hashes = NULL;
    TRY(stored_tile(store, arena, 0, index, &hashes));
    for (uint64_t i = 0; i < MERKLE_TILE_WIDTH; i++) {
        struct sha256 leaf;
        uint64_t at = index * MERKLE_TILE_WIDTH + i;
        TRY(hash_entry(store, at, &leaf));
        if (!sha256_equal(&leaf, &hashes[i]))
            return error_new(ERROR_DATA_LOSS, "entry %ju is not what tile %ju was made of",
                             (uintmax_t)at, (uintmax_t)index);
    }
    return NULL;
}

/* load_level builds the partial tile of one level. */
static struct error *load_level(struct store *store, struct edge *e, unsigned level) {
    uint64_t hashes = e->size >> (8 * level);
    uint64_t first = hashes - hashes % MERKLE_TILE_WIDTH;
    for (uint64_t i = first; i < hashes; i++) {
        struct sha256 *out = &e->tiles[level][i - first];
        TRY(level == 0 ? hash_entry(store, i, out) : tile_root(store, level - 1, i, out));
    }
    return NULL;
}

struct error *tree_load(struct tree *t, uint64_t size) {
    struct edge *e = alloc_zero(1, sizeof *e);
    if (e == NULL) return error_nomem();
    e->size = size;
    struct error *err = NULL;
    for (unsigned level = 0; level < TREE_LEVELS && err == NULL; level++)
        err = load_level(t->store, e, level);
    if (err == NULL && size >= MERKLE_TILE_WIDTH) {
        struct arena arena;
        arena_init(&arena, 2 * TILE_OCTETS);
        err = check_last_tile(t->store, &arena, size / MERKLE_TILE_WIDTH - 1);
        arena_done(&arena);
    }
    if (err == NULL) {
        ASSERT(pthread_mutex_lock(&t->lock) == 0);
        t->edge = *e;
        t->loaded = true;
        ASSERT(pthread_mutex_unlock(&t->lock) == 0);
    }
    alloc_free(e);
    return err;
}

void tree_grow(struct tree *t, const struct growth *g) {
    ASSERT(pthread_mutex_lock(&t->lock) == 0);
    edge_grow(&t->edge, g);
    ASSERT(pthread_mutex_unlock(&t->lock) == 0);
}

/* from_edge copies hashes of tile (level, index) if that is the partial one; false where the tile
 * is full, and so stored. */
static bool from_edge(struct tree *t, unsigned level, uint64_t index, size_t first, size_t count,
                      struct sha256 *out) {
    ASSERT(pthread_mutex_lock(&t->lock) == 0);
    uint64_t hashes = t->edge.size >> (8 * level);
    bool partial = t->loaded && index == hashes / MERKLE_TILE_WIDTH;
    if (partial) {
        ASSERT(first + count <= hashes % MERKLE_TILE_WIDTH);
        memcpy(out, &t->edge.tiles[level][first], count * sizeof *out);
    }
    ASSERT(pthread_mutex_unlock(&t->lock) == 0);
    return partial;
}

/* --- proofs */

void tree_reader_init(struct tree_reader *r, struct tree *t) {
    *r = (struct tree_reader){.tree = t};
    arena_init(&r->arena, (size_t)1 << 20);
}

void tree_reader_done(struct tree_reader *r) { arena_done(&r->arena); }

static struct error *reader_node(void *ctx, unsigned level, uint64_t index, struct sha256 *out) {
    struct tree_reader *r = ctx;
    unsigned tile_level = level / 8;
    unsigned within = level % 8;
    uint64_t tile = index >> (8 - within);
    size_t count = (size_t)1 << within;
    size_t first = (size_t)(index << within) % MERKLE_TILE_WIDTH;
    struct sha256 hashes[MERKLE_TILE_WIDTH];
    ASSERT(tile_level < TREE_LEVELS);
    if (!r->tiles[tile_level].held || r->tiles[tile_level].index != tile) {
        if (from_edge(r->tree, tile_level, tile, first, count, hashes)) {
            *out = subtree(hashes, count);
            return NULL;
        }
        r->tiles[tile_level].held = false;
        TRY(stored_tile(r->tree->store, &r->arena, tile_level, tile, &r->tiles[tile_level].hashes));
        r->tiles[tile_level].held = true;
        r->tiles[tile_level].index = tile;
    }
    *out = subtree(r->tiles[tile_level].hashes + first, count);
    return NULL;
}

struct merkle_source tree_source(struct tree_reader *r) {
    return (struct merkle_source){reader_node, r};
}

struct error *tree_root(struct tree *t, uint64_t size, struct sha256 *out) {
    struct tree_reader r;
    struct merkle_frontier f;
    tree_reader_init(&r, t);
    struct merkle_source src = tree_source(&r);
    struct error *err = merkle_frontier_at(&src, size, &f);
    if (err == NULL) *out = merkle_root(&f);
    tree_reader_done(&r);
    return err;
}

struct error *tree_prefix(struct tree *t, uint64_t old_size, const struct sha256 *old_root,
                          uint64_t size, const struct sha256 *root, bool *out_is_prefix) {
    struct sha256 empty = merkle_empty_root();
    if (old_size == 0) { /* every tree begins with the empty one */
        *out_is_prefix = sha256_equal(old_root, &empty);
        return NULL;
    }
    struct tree_reader r;
    struct merkle_proof proof;
    tree_reader_init(&r, t);
    struct merkle_source src = tree_source(&r);
    struct error *err = merkle_prove_consistency(&src, old_size, size, &proof);
    if (err == NULL)
        *out_is_prefix =
            merkle_verify_consistency(old_size, size, proof.hashes, proof.count, old_root, root);
    tree_reader_done(&r);
    return err;
}

/* --- tiles */

static struct error *put_entry(struct tree *t, struct buf *out, uint64_t index) {
    struct arena arena;
    struct bytes leaf = {0};
    arena_init(&arena, ENTRY_ARENA_OCTETS);
    struct error *err = entry_leaf(t->store, &arena, index, &leaf);
    if (err == NULL && leaf.len > ENTRY_MAX_OCTETS)
        err = error_new(ERROR_DATA_LOSS, "entry %ju is too long for a bundle", (uintmax_t)index);
    if (err == NULL) {
        /* SPEC c2sp-tlog-tiles Log entries: "Entry bundles are sequences of big-endian uint16
         * length-prefixed log entries." */
        buf_put_u16be(out, (uint16_t)leaf.len);
        buf_put(out, leaf);
    }
    arena_done(&arena);
    return err;
}

static struct error *bundle_of(struct tree *t, struct arena *arena, const struct merkle_tile *tile,
                               struct bytes *out) {
    struct buf bundle;
    buf_init(&bundle, tile->width * (ENTRY_MAX_OCTETS + 2));
    struct error *err = NULL;
    for (uint64_t i = 0; i < tile->width && err == NULL; i++)
        err = put_entry(t, &bundle, tile->index * MERKLE_TILE_WIDTH + i);
    if (err == NULL) err = buf_finish(&bundle, "entry bundle");
    if (err == NULL) {
        *out = arena_copy(arena, buf_bytes(&bundle));
        if (out->data == NULL) err = error_nomem();
    }
    buf_done(&bundle);
    return err;
}

struct error *tree_tile(struct tree *t, struct arena *arena, const struct merkle_tile *tile,
                        struct bytes *out) {
    if (tile->entries) return bundle_of(t, arena, tile, out);
    struct sha256 partial[MERKLE_TILE_WIDTH];
    const struct sha256 *hashes = partial;
    struct bytes copy = {0};
    if (tile->width < MERKLE_TILE_WIDTH &&
        from_edge(t, tile->level, tile->index, 0, tile->width, partial)) {
        copy = arena_copy(arena,
                          (struct bytes){(const uint8_t *)partial, tile->width * sizeof *hashes});
        if (copy.data == NULL) return error_nomem();
    } else {
        TRY(stored_tile(t->store, arena, tile->level, tile->index, &hashes));
        copy = (struct bytes){(const uint8_t *)hashes, tile->width * sizeof *hashes};
    }
    *out = copy;
    return NULL;
}
