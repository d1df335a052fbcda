/* Reading: the head, entries, tiles, checkpoints; finding entries by term; edges for traversal. */
#include "store/internal.h"

#define HEAD_MAX_OCTETS ((size_t)8192) /* 64 edge hashes and what goes with them, in an arena */

/* --- by key */

static struct error *decode_head(struct store *s, const struct kv_snapshot *snap,
                                 struct arena *arena, struct store_head *out) {
    struct row_key key = key_meta(META_HEAD);
    bool found = false;
    struct bytes value = {0};
    TRY(kv_get(s->kv, snap, KV_META, row_key_bytes(&key), arena, &found, &value));
    if (found) return damaged(head_decode(value, out), "head");
    *out = (struct store_head){.root = merkle_empty_root()};
    return NULL;
}

struct error *store_get_head(struct store *s, const struct kv_snapshot *snap,
                             struct store_head *out) {
    struct arena arena;
    arena_init(&arena, HEAD_MAX_OCTETS);
    struct error *err = decode_head(s, snap, &arena, out);
    arena_done(&arena);
    return err;
}

struct error *store_get_entry(struct store *s, const struct kv_snapshot *snap, struct arena *arena,
                              uint64_t index, bool *found, struct store_entry *out) {
    struct row_key key = key_entry(index);
    bool there = false;
    struct bytes value = {0};
    TRY(kv_get(s->kv, snap, KV_ENTRY, row_key_bytes(&key), arena, &there, &value));
    if (there) TRY(damaged(store_entry_decode(value, index, out), "entry"));
    *found = there;
    return NULL;
}

static struct error *decode_dedup(struct store *s, const struct sha256 *key, struct arena *arena,
                                  bool *found, struct store_dedup *out) {
    bool there = false;
    struct bytes value = {0};
    TRY(kv_get(s->kv, NULL, KV_DEDUP, sha256_bytes(key), arena, &there, &value));
    if (there) TRY(damaged(dedup_decode(value, out), "dedup record"));
    *found = there;
    return NULL;
}

struct error *store_get_dedup(struct store *s, const struct sha256 *key, bool *found,
                              struct store_dedup *out) {
    struct arena arena;
    arena_init(&arena, 4096);
    struct error *err = decode_dedup(s, key, &arena, found, out);
    arena_done(&arena);
    return err;
}

struct error *store_get_tile(struct store *s, struct arena *arena, unsigned level, uint64_t index,
                             bool *found, struct bytes *out) {
    ASSERT(level < 8);
    struct row_key key = key_tile((uint8_t)level, index);
    bool there = false;
    struct bytes value = {0};
    TRY(kv_get(s->kv, NULL, KV_TILE, row_key_bytes(&key), arena, &there, &value));
    if (there && value.len != MERKLE_TILE_WIDTH * sizeof(struct sha256))
        return error_new(ERROR_DATA_LOSS, "stored tile of %zu octets", value.len);
    if (there) *out = value;
    *found = there;
    return NULL;
}

struct error *store_get_checkpoint(struct store *s, struct arena *arena, uint64_t size, bool *found,
                                   struct bytes *v1, struct bytes *c2sp) {
    struct row_key key = key_checkpoint(size);
    bool there = false;
    struct bytes value = {0};
    TRY(kv_get(s->kv, NULL, KV_META, row_key_bytes(&key), arena, &there, &value));
    if (there) TRY(damaged(checkpoint_decode(value, v1, c2sp), "checkpoint"));
    *found = there;
    return NULL;
}

/* --- by term */

struct error *index_list_add(struct index_list *l, uint64_t v) {
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 16 : l->cap * 2;
        uint64_t *items = arena_alloc(l->arena, cap * sizeof *items);
        if (items == NULL)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for the entries found");
        if (l->count > 0) memcpy(items, l->items, l->count * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->count++] = v;
    return NULL;
}

static struct error *collect(struct kv *kv, struct kv_iter *it, size_t max, struct index_list *l) {
    struct bytes key, value;
    while (l->count < max && kv_iter_next(kv, it, &key, &value)) {
        struct store_key k;
        if (!store_key_parse(KV_INDEX, key, &k))
            return error_new(ERROR_DATA_LOSS, "stored index row with a malformed key");
        TRY(index_list_add(l, k.number));
    }
    return l->count < max ? kv_iter_error(kv, it) : NULL;
}

static struct error *find_between(struct store *s, const struct kv_snapshot *snap,
                                  const struct row_key *lower, const struct row_key *upper,
                                  size_t max, struct index_list *l) {
    struct kv_iter *it = NULL;
    TRY(kv_iter_new(s->kv, snap, KV_INDEX, row_key_bytes(lower), row_key_bytes(upper), &it));
    struct error *err = collect(s->kv, it, max, l);
    kv_iter_free(s->kv, it);
    return err;
}

static uint64_t at_most(uint64_t v, uint64_t max) { return v < max ? v : max; }

struct error *store_find(struct store *s, const struct kv_snapshot *snap, struct arena *arena,
                         enum store_index kind, struct text term, uint64_t from, uint64_t below,
                         size_t max, const uint64_t **out, size_t *out_count) {
    ASSERT(kind >= STORE_INDEX_SUBJECT && kind <= STORE_INDEX_TIME);
    struct row_key lower, upper;
    if (kind == STORE_INDEX_TIME) {
        struct sha256 first = time_digest((int64_t)at_most(from, INT64_MAX));
        struct sha256 last = time_digest((int64_t)at_most(below, INT64_MAX));
        lower = key_index(STORE_INDEX_TIME, &first, 0);
        upper = key_index(STORE_INDEX_TIME, &last, 0);
    } else {
        struct sha256 digest = term_digest(term);
        lower = key_index((uint8_t)kind, &digest, from);
        upper = key_index((uint8_t)kind, &digest, below);
    }
    struct index_list l = {.arena = arena};
    TRY(find_between(s, snap, &lower, &upper, max, &l));
    *out = l.items;
    *out_count = l.count;
    return NULL;
}

static struct error *first_number(struct kv *kv, struct kv_iter *it, bool *found, uint64_t *out) {
    struct bytes key, value;
    bool there = kv_iter_next(kv, it, &key, &value);
    if (!there) TRY(kv_iter_error(kv, it));
    struct store_key k;
    if (there && !store_key_parse(KV_INDEX, key, &k))
        return error_new(ERROR_DATA_LOSS, "stored index row with a malformed key");
    if (there) *out = k.number;
    *found = there;
    return NULL;
}

struct error *store_get_by_leaf_hash(struct store *s, struct arena *arena,
                                     const struct sha256 *leaf_hash, bool *found,
                                     uint64_t *out_index) {
    (void)arena; /* the index alone is the answer */
    struct row_key lower = key_index(INDEX_LEAF_HASH, leaf_hash, 0);
    struct row_key upper = key_index(INDEX_LEAF_HASH, leaf_hash, MERKLE_SIZE_MAX);
    struct kv_iter *it = NULL;
    TRY(kv_iter_new(s->kv, NULL, KV_INDEX, row_key_bytes(&lower), row_key_bytes(&upper), &it));
    struct error *err = first_number(s->kv, it, found, out_index);
    kv_iter_free(s->kv, it);
    return err;
}

/* --- edges */

/* decode_edge reads one row, and that its value is the one its key promises. */
static struct error *decode_edge(struct bytes key, struct bytes value, struct lineage_found *out) {
    struct store_key k;
    if (!store_key_parse(KV_EDGE, key, &k))
        return error_new(ERROR_DATA_LOSS, "stored edge with a malformed key");
    struct edge_value v;
    TRY(damaged(edge_decode(value, &v), "edge"));
    struct sha256 other = term_digest(v.other);
    if (!sha256_equal(&other, &k.other))
        return error_new(ERROR_DATA_LOSS, "stored edge names another node than its key");
    *out = (struct lineage_found){.other = v.other,
                                  .other_name = v.other_name,
                                  .kind = (enum lineage_kind)k.kind,
                                  .assurance = v.assurance,
                                  .index = k.number};
    return NULL;
}

struct walk {
    bool (*each)(void *each_ctx, const struct lineage_found *edge);
    void *each_ctx;
};

static struct error *walk_edges(struct kv *kv, struct kv_iter *it, const struct walk *w) {
    struct bytes key, value;
    while (kv_iter_next(kv, it, &key, &value)) {
        struct lineage_found edge = {0};
        TRY(decode_edge(key, value, &edge));
        if (!w->each(w->each_ctx, &edge)) return NULL;
    }
    return kv_iter_error(kv, it);
}

static struct error *edge_iter_new(const struct store_lineage *l, struct text node, bool up,
                                   struct kv_iter **out) {
    struct sha256 digest = term_digest(node);
    struct row_key lower = key_edge_prefix(up, &digest);
    struct row_key upper = lower;
    upper.octets[upper.len++] = 0xff; /* no kind has this octet */
    return kv_iter_new(l->store->kv, l->snap, KV_EDGE, row_key_bytes(&lower), row_key_bytes(&upper),
                       out);
}

static struct error *source_edges(void *ctx, struct text node, bool up,
                                  bool (*each)(void *each_ctx, const struct lineage_found *edge),
                                  void *each_ctx) {
    const struct store_lineage *l = ctx;
    struct kv *kv = l->store->kv;
    struct kv_iter *it = NULL;
    TRY(edge_iter_new(l, node, up, &it));
    struct walk w = {each, each_ctx};
    struct error *err = walk_edges(kv, it, &w);
    kv_iter_free(kv, it);
    return err;
}

struct lineage_source store_lineage_source(struct store_lineage *ctx) {
    return (struct lineage_source){.edges = source_edges, .ctx = ctx};
}

/* --- names: an edge's name stands with the row that is seen from the product */

#define NAME_LOOKS_MAX 64U /* edges: a statement that does not name its materials is rare */

static struct error *name_by(const struct store_lineage *l, struct arena *arena,
                             const struct store_key *down, struct text *out) {
    struct store_key up = *down;
    struct bytes value = {0};
    struct lineage_found edge;
    bool found = false;
    up.up = true;
    up.digest = down->other;
    up.other = down->digest;
    struct row_key key = key_edge(&up);
    TRY(kv_get(l->store->kv, l->snap, KV_EDGE, row_key_bytes(&key), arena, &found, &value));
    if (!found) return error_new(ERROR_DATA_LOSS, "stored edge is seen from one end alone");
    TRY(decode_edge(row_key_bytes(&key), value, &edge));
    *out = edge.other_name;
    return NULL;
}

static struct error *first_name(const struct store_lineage *l, struct kv_iter *it,
                                struct arena *arena, uint64_t below, struct text *out) {
    struct kv *kv = l->store->kv;
    struct bytes key, value;
    for (size_t looks = 0; out->len == 0 && looks < NAME_LOOKS_MAX; looks++) {
        struct store_key down;
        if (!kv_iter_next(kv, it, &key, &value)) return kv_iter_error(kv, it);
        if (!store_key_parse(KV_EDGE, key, &down))
            return error_new(ERROR_DATA_LOSS, "stored edge with a malformed key");
        if (down.number < below) TRY(name_by(l, arena, &down, out));
    }
    return NULL;
}

struct error *store_material_name(const struct store_lineage *ctx, struct arena *arena,
                                  struct text node, uint64_t below, struct text *out) {
    struct kv *kv = ctx->store->kv;
    struct kv_iter *it = NULL;
    struct text name = {0};
    TRY(edge_iter_new(ctx, node, false, &it));
    struct error *err = first_name(ctx, it, arena, below, &name);
    kv_iter_free(kv, it);
    if (err == NULL) *out = name;
    return err;
}
