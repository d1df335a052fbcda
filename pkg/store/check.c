/* Checking: that every row an entry asks for is there, and that no other row is. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "store/internal.h"

/* --- one entry's rows */

struct row {
    enum kv_family family;
    struct bytes key; /* borrowed from the arena, as is the value */
    struct bytes value;
    size_t turn; /* of several with one key the last counts */
};

struct rows_list {
    struct arena *arena;
    struct row *rows;
    size_t count;
    size_t cap;
    bool failed;
};

static void collect_row(void *ctx, enum kv_family family, struct bytes key, struct bytes value) {
    struct rows_list *l = ctx;
    struct bytes k = arena_copy(l->arena, key);
    struct bytes v = arena_copy(l->arena, value);
    if (k.data == NULL || v.data == NULL || l->count == l->cap) {
        l->failed = true;
        return;
    }
    l->rows[l->count] = (struct row){family, k, v, l->count};
    l->count++;
}

static int compare_rows(const void *a, const void *b) {
    const struct row *x = a;
    const struct row *y = b;
    if (x->family != y->family) return x->family < y->family ? -1 : 1;
    int c = bytes_compare(x->key, y->key);
    return c != 0 ? c : (x->turn > y->turn) - (x->turn < y->turn);
}

static bool same_key(const struct row *a, const struct row *b) {
    return a->family == b->family && bytes_equal(a->key, b->key);
}

static struct error *look_for(struct store *s, const struct kv_snapshot *snap,
                              const struct row *row, bool *out_same) {
    struct arena arena;
    arena_init(&arena, STORE_ENTRY_MAX_OCTETS + 64);
    bool found = false;
    struct bytes value = {0};
    struct error *err = kv_get(s->kv, snap, row->family, row->key, &arena, &found, &value);
    *out_same = found && bytes_equal(value, row->value);
    arena_done(&arena);
    return err;
}

static struct error *check_list(struct store *s, const struct kv_snapshot *snap,
                                const struct rows_list *l, struct store_check *sum,
                                uint64_t *missing) {
    for (size_t i = 0; i < l->count; i++) {
        if (i + 1 < l->count && same_key(&l->rows[i], &l->rows[i + 1])) continue;
        bool same = false;
        TRY(look_for(s, snap, &l->rows[i], &same));
        if (!same) ++*missing;
        if (l->rows[i].family == KV_INDEX) sum->index_rows++;
        if (l->rows[i].family == KV_EDGE) sum->edge_rows++;
    }
    return NULL;
}

static struct error *make_list(uint32_t schema, const struct store_entry *entry,
                               const struct store_terms *terms, struct rows_list *l) {
    l->cap = 4 + 2 * terms->subject_count + terms->material_count + 2 * terms->edge_count;
    l->rows = arena_alloc(l->arena, l->cap * sizeof *l->rows);
    if (l->rows == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for an entry's rows");
    struct buf scratch;
    buf_init(&scratch, STORE_ENTRY_MAX_OCTETS);
    struct row_sink sink = {collect_row, l};
    rows_of_entry(schema, entry, terms, &scratch, &sink);
    bool failed = l->failed || scratch.failed;
    buf_done(&scratch);
    if (failed) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for an entry's rows");
    qsort(l->rows, l->count, sizeof *l->rows, compare_rows);
    return NULL;
}

struct error *store_check_entry(struct store *s, const struct kv_snapshot *snap,
                                const struct store_entry *entry, const struct store_terms *terms,
                                struct store_check *sum, uint64_t *out_missing) {
    struct arena arena;
    arena_init(&arena, 16 * STORE_ENTRY_MAX_OCTETS);
    struct rows_list l = {.arena = &arena};
    struct store_check new_sum = *sum;
    uint64_t missing = 0;
    struct error *err = make_list(s->schema, entry, terms, &l);
    if (err == NULL) err = check_list(s, snap, &l, &new_sum, &missing);
    arena_done(&arena);
    TRY(err);
    *sum = new_sum;
    *out_missing = missing;
    return NULL;
}

/* --- all rows */

struct survey {
    uint32_t schema;
    uint64_t size; /* of the log */
    uint64_t counts[KV_FAMILY_COUNT];
    void (*say)(void *ctx, const char *line);
    void *ctx;
};

static const char *const family_names[KV_FAMILY_COUNT] = {
    [KV_META] = "meta",     [KV_ENTRY] = "entry",       [KV_TILE] = "tile",
    [KV_DEDUP] = "dedup",   [KV_INDEX] = "index",       [KV_EDGE] = "edge",
    [KV_POLICY] = "policy", [KV_DECISION] = "decision", [KV_IDENTITY] = "identity",
};

static void say_row(const struct survey *v, enum kv_family family, const char *what,
                    uint64_t number) {
    char line[160];
    (void)snprintf(line, sizeof line, "%s: %s (%llu)", family_names[family], what,
                   (unsigned long long)number);
    v->say(v->ctx, line);
}

/* tile_is_full: its 256 nodes are complete in a tree of `size` leaves. */
static bool tile_is_full(const struct store_key *k, uint64_t size) {
    unsigned bits = 8 * (k->level + 1U);
    return bits < 64 && k->number < size >> bits;
}

static bool is_ok(struct error *err) {
    bool fine = err == NULL;
    error_free(err);
    return fine;
}

static bool meta_is_sound(const struct store_key *k, struct bytes value, uint64_t size) {
    struct store_head head;
    struct bytes v1, c2sp;
    if (k->kind == META_HEAD) return is_ok(head_decode(value, &head)) && head.frontier.size == size;
    if (k->kind == META_CHECKPOINT)
        return k->number <= size && is_ok(checkpoint_decode(value, &v1, &c2sp));
    return true; /* the schema was read at opening; records are their owners' */
}

static bool edge_is_sound(const struct store_key *k, struct bytes value, uint64_t size) {
    struct edge_value edge;
    if (k->number >= size || !is_ok(edge_decode(value, &edge))) return false;
    struct sha256 other = term_digest(edge.other);
    return sha256_equal(&other, &k->other);
}

static bool index_is_sound(const struct survey *v, const struct store_key *k, struct bytes value) {
    struct text submitter;
    if (k->number >= v->size) return false;
    if (k->kind == INDEX_SUBJECT_TYPE_1) return v->schema == 1 && value.len == 0;
    if (k->kind != INDEX_EVIDENCE) return value.len == 0;
    if (v->schema == 1 || !is_ok(evidence_decode(value, &submitter))) return false;
    struct sha256 digest = term_digest(submitter);
    return sha256_equal(&digest, &k->other);
}

static bool row_is_sound(const struct survey *v, const struct store_key *k, struct bytes value) {
    uint64_t size = v->size;
    struct store_entry entry;
    struct store_dedup dedup;
    switch (k->family) {
        case KV_META:
            return meta_is_sound(k, value, size);
        case KV_ENTRY:
            return k->number < size && is_ok(store_entry_decode(value, k->number, &entry));
        case KV_TILE:
            return tile_is_full(k, size) && value.len == MERKLE_TILE_WIDTH * sizeof(struct sha256);
        case KV_DEDUP:
            return is_ok(dedup_decode(value, &dedup)) && dedup.index < size;
        case KV_INDEX:
            return index_is_sound(v, k, value);
        case KV_EDGE:
            return edge_is_sound(k, value, size);
        default:
            return true;
    }
}

static struct error *survey_family(struct store *s, const struct kv_snapshot *snap,
                                   enum kv_family family, struct survey *v) {
    struct kv_iter *it = NULL;
    TRY(kv_iter_new(s->kv, snap, family, (struct bytes){0}, (struct bytes){0}, &it));
    struct bytes key, value;
    while (kv_iter_next(s->kv, it, &key, &value)) {
        struct store_key k;
        v->counts[family]++;
        if (!store_key_parse(family, key, &k))
            say_row(v, family, "a row with a malformed key", v->counts[family]);
        else if (!row_is_sound(v, &k, value))
            say_row(v, family, "a row that does not belong in this log", k.number);
    }
    struct error *err = kv_iter_error(s->kv, it);
    kv_iter_free(s->kv, it);
    return err;
}

static uint64_t full_tiles(uint64_t size) {
    uint64_t count = 0;
    for (size >>= 8; size > 0; size >>= 8) count += size;
    return count;
}

struct error *store_check_rows(struct store *s, const struct kv_snapshot *snap, uint64_t size,
                               const struct store_check *sum,
                               void (*say)(void *ctx, const char *line), void *ctx) {
    struct survey v = {.schema = s->schema, .size = size, .say = say, .ctx = ctx};
    for (int f = 0; f < KV_FAMILY_COUNT; f++) TRY(survey_family(s, snap, (enum kv_family)f, &v));
    if (v.counts[KV_ENTRY] != size) say_row(&v, KV_ENTRY, "wrong number", v.counts[KV_ENTRY]);
    if (v.counts[KV_TILE] != full_tiles(size))
        say_row(&v, KV_TILE, "wrong number", v.counts[KV_TILE]);
    if (v.counts[KV_INDEX] != sum->index_rows)
        say_row(&v, KV_INDEX, "wrong number", v.counts[KV_INDEX]);
    if (v.counts[KV_EDGE] != sum->edge_rows)
        say_row(&v, KV_EDGE, "wrong number", v.counts[KV_EDGE]);
    return NULL;
}

/* --- checkpoints */

struct error *store_scan_checkpoints(struct store *s, const struct kv_snapshot *snap,
                                     bool (*each)(void *ctx, uint64_t size, struct bytes v1,
                                                  struct bytes c2sp),
                                     void *ctx) {
    struct row_key lower = key_meta(META_CHECKPOINT);
    struct row_key upper = key_meta(META_CHECKPOINT + 1);
    struct kv_iter *it = NULL;
    TRY(kv_iter_new(s->kv, snap, KV_META, row_key_bytes(&lower), row_key_bytes(&upper), &it));
    struct error *err = NULL;
    struct bytes key, value;
    struct bytes v1 = {0};
    struct bytes c2sp = {0};
    bool more = true;
    while (err == NULL && more && kv_iter_next(s->kv, it, &key, &value)) {
        struct store_key k;
        bool sound = store_key_parse(KV_META, key, &k);
        err = sound ? damaged(checkpoint_decode(value, &v1, &c2sp), "checkpoint")
                    : error_new(ERROR_DATA_LOSS, "stored checkpoint with a malformed key");
        if (err == NULL) more = each(ctx, k.number, v1, c2sp);
    }
    if (err == NULL && more) err = kv_iter_error(s->kv, it);
    kv_iter_free(s->kv, it);
    return err;
}
