/*
 * Batches of the RocksDB form: rows are kept here and given to the library in the order of their
 * keys. Its memtables are skip lists that remember where they inserted last, so that a neighbour is
 * found in a few steps, and in the cache, where a random key takes a search from the top: a third
 * of the cost of a large round (measured). Of one key the last row counts, so equal keys keep their
 * order.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "kv/internal.h"

#define BATCH_MAX_OCTETS ((size_t)1 << 30)
#define KEPT_OCTETS                                                                                \
    ((size_t)8 << 20) /* of a cleared batch: a full round of usual entries has less */

struct row {
    uint64_t front;  /* family and first octets of the key, which order most rows */
    size_t at;       /* of the key in `octets`; the value follows it */
    uint32_t number; /* in the order of putting */
    uint32_t key_len;
    uint32_t value_len;
    uint8_t family;
    bool is_delete;
};

struct kv_batch {
    struct kv_rocksdb *owner;
    rocksdb_writebatch_t *batch; /* filled when it is written */
    struct buf octets;
    struct buf rows; /* of struct row */
};

struct kv_batch *rocks_batch_new(struct kv *kv) {
    struct kv_batch *b = alloc_zero(1, sizeof *b);
    if (b == NULL) return NULL;
    b->owner = rocks_of(kv);
    b->batch = rocksdb_writebatch_create();
    buf_init(&b->octets, BATCH_MAX_OCTETS);
    buf_init(&b->rows, BATCH_MAX_OCTETS);
    return b;
}

/* front_of is the family, then the first seven octets of the key (with zeros behind a shorter one),
 * as a number: rows whose fronts differ are in its order. */
static uint64_t front_of(uint8_t family, struct bytes key) {
    uint64_t front = family;
    for (size_t i = 0; i < 7; i++) front = front << 8 | (i < key.len ? key.data[i] : 0);
    return front;
}

static void add_row(struct kv_batch *b, struct row row, struct bytes key, struct bytes value) {
    ASSERT(key.len <= UINT32_MAX && value.len <= UINT32_MAX);
    row.front = front_of(row.family, key);
    row.at = b->octets.len;
    row.number = (uint32_t)(b->rows.len / sizeof row);
    row.key_len = (uint32_t)key.len;
    row.value_len = (uint32_t)value.len;
    buf_put(&b->octets, key);
    buf_put(&b->octets, value);
    buf_put(&b->rows, (struct bytes){(const uint8_t *)&row, sizeof row});
}

void rocks_batch_put(struct kv_batch *b, enum kv_family family, struct bytes key,
                     struct bytes value) {
    add_row(b, (struct row){.family = (uint8_t)family}, key, value);
}

void rocks_batch_delete(struct kv_batch *b, enum kv_family family, struct bytes key) {
    add_row(b, (struct row){.family = (uint8_t)family, .is_delete = true}, key, (struct bytes){0});
}

void rocks_batch_clear(struct kv_batch *b) {
    if (b->octets.cap > KEPT_OCTETS) { /* the library's own batch keeps as much */
        rocksdb_writebatch_destroy(b->batch);
        b->batch = rocksdb_writebatch_create();
    }
    rocksdb_writebatch_clear(b->batch);
    buf_clear_to(&b->octets, KEPT_OCTETS);
    buf_clear_to(&b->rows, KEPT_OCTETS);
}

void rocks_batch_free(struct kv_batch *b) {
    rocksdb_writebatch_destroy(b->batch);
    buf_done(&b->octets);
    buf_done(&b->rows);
    alloc_free(b);
}

static struct bytes key_of(const uint8_t *octets, const struct row *r) {
    return (struct bytes){octets + r->at, r->key_len};
}

static int by_key(const void *a, const void *b, void *octets) {
    const struct row *ra = a, *rb = b;
    if (ra->front != rb->front) return ra->front < rb->front ? -1 : 1;
    int order = bytes_compare(key_of(octets, ra), key_of(octets, rb));
    if (order != 0) return order;
    return ra->number < rb->number ? -1 : 1;
}

rocksdb_writebatch_t *rocks_batch_fill(struct kv_batch *b) {
    if (b->octets.failed || b->rows.failed) return NULL;
    size_t count = b->rows.len / sizeof(struct row);
    struct row *rows = (struct row *)(void *)b->rows.data;
    if (count > 1) qsort_r(rows, count, sizeof *rows, by_key, b->octets.data);
    rocksdb_writebatch_clear(b->batch);
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        const char *key = (const char *)b->octets.data + r->at;
        rocksdb_column_family_handle_t *family = b->owner->families[r->family];
        if (r->is_delete)
            rocksdb_writebatch_delete_cf(b->batch, family, key, r->key_len);
        else
            rocksdb_writebatch_put_cf(b->batch, family, key, r->key_len, key + r->key_len,
                                      r->value_len);
    }
    return b->batch;
}

const struct kv_rocksdb *rocks_batch_owner(const struct kv_batch *b) { return b->owner; }
