/* Opening, writing rounds, and small records. */
#include "base/alloc.h"
#include "store/internal.h"

#define SCRATCH_KEPT ((size_t)1 << 20) /* of a cleared round: few values are larger */

/* --- opening */

static struct error *is_empty(struct kv *kv, enum kv_family family, bool *out) {
    struct kv_iter *it = NULL;
    TRY(kv_iter_new(kv, NULL, family, (struct bytes){0}, (struct bytes){0}, &it));
    struct bytes key, value;
    bool empty = !kv_iter_next(kv, it, &key, &value);
    struct error *err = empty ? kv_iter_error(kv, it) : NULL;
    kv_iter_free(kv, it);
    if (err == NULL) *out = empty;
    return err;
}

static struct error *write_one(struct kv *kv, enum kv_family family, struct bytes key,
                               struct bytes value) {
    struct kv_batch *b = kv_batch_new(kv);
    if (b == NULL) return error_nomem();
    kv_batch_put(kv, b, family, key, value);
    struct error *err = kv_write(kv, b);
    kv_batch_free(kv, b);
    return err;
}

struct error *write_schema(struct kv *kv) {
    struct row_key key = key_meta(META_SCHEMA);
    static const uint8_t value[4] = {0, 0, 0, STORE_SCHEMA};
    return write_one(kv, KV_META, row_key_bytes(&key), (struct bytes){value, sizeof value});
}

static struct error *begin_schema(struct kv *kv) {
    for (int f = 0; f < KV_FAMILY_COUNT; f++) {
        bool empty = false;
        TRY(is_empty(kv, (enum kv_family)f, &empty));
        if (!empty)
            return error_new(ERROR_FAILED_PRECONDITION,
                             "the database holds data but no schema version");
    }
    return write_schema(kv);
}

static struct error *check_schema(struct kv *kv, struct arena *arena, uint32_t *out_schema) {
    struct row_key key = key_meta(META_SCHEMA);
    bool found = false;
    struct bytes value = {0};
    TRY(kv_get(kv, NULL, KV_META, row_key_bytes(&key), arena, &found, &value));
    *out_schema = STORE_SCHEMA;
    if (!found) return begin_schema(kv);
    struct reader r = reader_of(value);
    uint32_t schema = reader_u32be(&r, "schema version");
    TRY(damaged(reader_finish(&r, "schema version"), "schema version"));
    if (schema < STORE_SCHEMA_OLDEST || schema > STORE_SCHEMA)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the database has schema %u and this program knows %d to %d", schema,
                         STORE_SCHEMA_OLDEST, STORE_SCHEMA);
    *out_schema = schema;
    return NULL;
}

struct error *store_open(struct kv *kv, struct store **out) {
    struct arena arena;
    arena_init(&arena, 4096);
    uint32_t schema = 0;
    struct error *err = check_schema(kv, &arena, &schema);
    arena_done(&arena);
    TRY(err);
    struct store *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    s->kv = kv;
    s->schema = schema;
    *out = s;
    return NULL;
}

struct kv *store_kv(struct store *s) {
    return s->kv;
}

void store_free(struct store *s) {
    if (s == NULL) return;
    kv_close(s->kv);
    alloc_free(s);
}

struct error *damaged(struct error *err, const char *what) {
    return err == NULL ? NULL : error_recode(err, ERROR_DATA_LOSS, "stored %s", what);
}

/* --- rounds */

struct store_round {
    struct store *store;
    struct kv_batch *batch;
    struct buf scratch; /* the value being put */
    size_t octets;
    bool failed; /* a value could not be made: nothing of the round may be written */
};

struct error *store_round_new(struct store *s, struct store_round **out) {
    CLEANUP(store_round_freep) struct store_round *r = alloc_zero(1, sizeof *r);
    if (r == NULL) return error_nomem();
    r->store = s;
    buf_init(&r->scratch, STORE_ENTRY_MAX_OCTETS);
    r->batch = kv_batch_new(s->kv);
    if (r->batch == NULL) return error_nomem();
    *out = MOVE(r);
    return NULL;
}

void store_round_clear(struct store_round *r) {
    kv_batch_clear(r->store->kv, r->batch);
    buf_clear_to(&r->scratch, SCRATCH_KEPT);
    r->octets = 0;
    r->failed = false;
}

size_t store_round_octets(const struct store_round *r) { return r->octets; }

void store_round_free(struct store_round *r) {
    if (r == NULL) return;
    kv_batch_free(r->store->kv, r->batch);
    buf_done(&r->scratch);
    alloc_free(r);
}

static void put_row(void *ctx, enum kv_family family, struct bytes key, struct bytes value) {
    struct store_round *r = ctx;
    r->failed = r->failed || r->scratch.failed;
    kv_batch_put(r->store->kv, r->batch, family, key, value);
    r->octets += key.len + value.len;
}

static void put_scratch(struct store_round *r, enum kv_family family, struct row_key key) {
    put_row(r, family, row_key_bytes(&key), buf_bytes(&r->scratch));
}

struct error *store_round_entry(struct store_round *r, const struct store_entry *entry,
                                const struct store_terms *terms) {
    ASSERT(entry->index < MERKLE_SIZE_MAX && entry->tree_size > entry->index);
    ASSERT(r->store->schema == STORE_SCHEMA);
    buf_clear(&r->scratch);
    store_entry_encode(&r->scratch, entry);
    TRY(buf_finish(&r->scratch, "entry record"));
    if (store_terms_octets(terms) > STORE_ENTRY_MAX_OCTETS)
        return error_new(ERROR_RESOURCE_EXHAUSTED,
                         "the entry's lineage takes more than %zu octets in the index",
                         STORE_ENTRY_MAX_OCTETS);
    put_scratch(r, KV_ENTRY, key_entry(entry->index));
    struct row_sink sink = {put_row, r};
    rows_of_entry(STORE_SCHEMA, entry, terms, &r->scratch, &sink);
    return NULL;
}

void store_round_dedup(struct store_round *r, const struct sha256 *key,
                       const struct store_dedup *d) {
    buf_clear(&r->scratch);
    dedup_encode(&r->scratch, d);
    put_row(r, KV_DEDUP, sha256_bytes(key), buf_bytes(&r->scratch));
}

void store_round_tile(struct store_round *r, unsigned level, uint64_t index,
                      const struct sha256 hashes[MERKLE_TILE_WIDTH]) {
    ASSERT(level < 8);
    struct row_key key = key_tile((uint8_t)level, index);
    struct bytes value = {(const uint8_t *)hashes, MERKLE_TILE_WIDTH * sizeof *hashes};
    put_row(r, KV_TILE, row_key_bytes(&key), value);
}

void store_round_head(struct store_round *r, const struct store_head *head) {
    buf_clear(&r->scratch);
    head_encode(&r->scratch, head);
    put_scratch(r, KV_META, key_meta(META_HEAD));
}

void store_round_checkpoint(struct store_round *r, uint64_t size, struct bytes v1,
                            struct bytes c2sp) {
    buf_clear(&r->scratch);
    checkpoint_encode(&r->scratch, v1, c2sp);
    put_scratch(r, KV_META, key_checkpoint(size));
}

struct error *store_round_commit(struct store_round *r) {
    if (r->failed) return error_nomem();
    return kv_write(r->store->kv, r->batch);
}

/* --- small records */

static struct error *record_key(enum kv_family family, struct bytes name, struct buf *out) {
    ASSERT(family == KV_META || family >= KV_POLICY);
    store_key_put(out, &(struct store_key){.family = family, .kind = RECORD_KEY, .name = name});
    return buf_finish(out, "record key");
}

static void buf_donep(struct buf *b) { buf_done(b); }

struct error *store_put_record(struct store *s, enum kv_family family, struct bytes key,
                               struct bytes value) {
    CLEANUP(buf_donep) struct buf k = {0};
    buf_init(&k, STORE_ENTRY_MAX_OCTETS);
    TRY(record_key(family, key, &k));
    return write_one(s->kv, family, buf_bytes(&k), value);
}

struct error *store_get_record(struct store *s, enum kv_family family, struct bytes key,
                               struct arena *arena, bool *found, struct bytes *out) {
    CLEANUP(buf_donep) struct buf k = {0};
    buf_init(&k, STORE_ENTRY_MAX_OCTETS);
    TRY(record_key(family, key, &k));
    return kv_get(s->kv, NULL, family, buf_bytes(&k), arena, found, out);
}

/* successor makes of `b` the first octets that order behind everything that begins with them. The
 * letter in front is not 0xff, so there are some. */
static void successor(struct buf *b) {
    while (b->data[b->len - 1] == 0xff) b->len--;
    b->data[b->len - 1]++;
}

static struct error *scan(struct kv *kv, struct kv_iter *it, enum kv_family family,
                          bool (*each)(void *ctx, struct bytes key, struct bytes value),
                          void *ctx) {
    struct bytes key, value;
    while (kv_iter_next(kv, it, &key, &value)) {
        struct store_key k;
        if (!store_key_parse(family, key, &k))
            return error_new(ERROR_DATA_LOSS, "stored record with a malformed key");
        if (!each(ctx, k.name, value)) return NULL;
    }
    return kv_iter_error(kv, it);
}

struct error *store_scan_records(struct store *s, enum kv_family family, struct bytes prefix,
                                 bool (*each)(void *ctx, struct bytes key, struct bytes value),
                                 void *ctx) {
    CLEANUP(buf_donep) struct buf lower = {0};
    CLEANUP(buf_donep) struct buf upper = {0};
    buf_init(&lower, STORE_ENTRY_MAX_OCTETS);
    buf_init(&upper, STORE_ENTRY_MAX_OCTETS);
    TRY(record_key(family, prefix, &lower));
    TRY(record_key(family, prefix, &upper));
    successor(&upper);
    struct kv_iter *it = NULL;
    TRY(kv_iter_new(s->kv, NULL, family, buf_bytes(&lower), buf_bytes(&upper), &it));
    struct error *err = scan(s->kv, it, family, each, ctx);
    kv_iter_free(s->kv, it);
    return err;
}
