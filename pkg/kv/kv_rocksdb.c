/* The RocksDB form of kv: reads, batches, iterators, snapshots, copies. Traps of the C API: an
 * upper bound is not copied by the library and must outlive its iterator; damage ends an iteration
 * silently, so the iterator's error is asked for at its end; every message is the caller's to free;
 * with a prefix extractor a seek sees only keys of one prefix unless total order is asked for. */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/assert.h"
#include "kv/internal.h"

struct kv_snapshot {
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read;
};

struct kv_iter {
    rocksdb_iterator_t *iter;
    rocksdb_readoptions_t *read;
    bool started;
    size_t lower_len;
    uint8_t bounds[]; /* lower, then upper: what `read` points to */
};

/* count_nothing: the library counts each comparison of keys for the calling thread, which nobody
 * reads and which was 5 % of the CPU of a submission (docs/performance.md). */
static void count_nothing(void) { rocksdb_set_perf_level(rocksdb_disable); }

static struct error *rocks_get(struct kv *kv, const struct kv_snapshot *snap, enum kv_family family,
                               struct bytes key, struct arena *arena, bool *found,
                               struct bytes *out) {
    struct kv_rocksdb *r = rocks_of(kv);
    char *message = NULL;
    count_nothing();
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned_cf(r->db, snap == NULL ? r->read : snap->read, r->families[family],
                              (const char *)key.data, key.len, &message);
    if (message != NULL) return rocks_error(message, "read from the database");
    *found = slice != NULL;
    if (slice == NULL) return NULL;
    struct bytes value = {0};
    value.data = (const uint8_t *)rocksdb_pinnableslice_value(slice, &value.len);
    struct bytes copy = arena_copy(arena, value);
    rocksdb_pinnableslice_destroy(slice);
    if (copy.data == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a stored value");
    *out = copy;
    return NULL;
}

/* The library may clear an error by itself (after ENOSPC it retries the flush); whether the failed
 * write then exists is unknown. So after the first failure this kv writes no more. */
static struct error *rocks_write(struct kv *kv, struct kv_batch *b) {
    struct kv_rocksdb *r = rocks_of(kv);
    ASSERT(rocks_batch_owner(b) == r);
    if (r->read_only) return error_new(ERROR_FAILED_PRECONDITION, "the database is open read-only");
    if (atomic_load(&r->failed)) return error_new(ERROR_UNAVAILABLE, "an earlier write failed");
    rocksdb_writebatch_t *batch = rocks_batch_fill(b);
    if (batch == NULL) return error_nomem();
    char *message = NULL;
    count_nothing();
    rocksdb_write(r->db, r->write, batch, &message);
    if (message == NULL) return NULL;
    atomic_store(&r->failed, true);
    return error_recode(rocks_error(message, "write"), ERROR_UNAVAILABLE, "the write failed");
}

/* same_prefix: all keys between two that share their prefix share it too. */
static bool same_prefix(struct bytes lower, struct bytes upper) {
    return lower.len >= KV_PREFIX_OCTETS && upper.len >= KV_PREFIX_OCTETS &&
           memcmp(lower.data, upper.data, KV_PREFIX_OCTETS) == 0;
}

static struct error *rocks_iter_new(struct kv *kv, const struct kv_snapshot *snap,
                                    enum kv_family family, struct bytes lower, struct bytes upper,
                                    struct kv_iter **out) {
    struct kv_rocksdb *r = rocks_of(kv);
    struct kv_iter *it = alloc_zero(1, sizeof *it + lower.len + upper.len);
    if (it == NULL) return error_nomem();
    it->lower_len = lower.len;
    if (lower.len > 0) memcpy(it->bounds, lower.data, lower.len);
    if (upper.len > 0) memcpy(it->bounds + lower.len, upper.data, upper.len);

    count_nothing();
    it->read = rocksdb_readoptions_create();
    if (snap != NULL) rocksdb_readoptions_set_snapshot(it->read, snap->snapshot);
    if (upper.len > 0)
        rocksdb_readoptions_set_iterate_upper_bound(it->read, (char *)it->bounds + lower.len,
                                                    upper.len);
    bool prefix = same_prefix(lower, upper);
    rocksdb_readoptions_set_prefix_same_as_start(it->read, prefix);
    rocksdb_readoptions_set_total_order_seek(it->read, !prefix);
    it->iter = rocksdb_create_iterator_cf(r->db, it->read, r->families[family]);
    *out = it;
    return NULL;
}

static bool rocks_iter_next(struct kv_iter *it, struct bytes *key, struct bytes *value) {
    if (!it->started) {
        rocksdb_iter_seek(it->iter, (const char *)it->bounds, it->lower_len);
        it->started = true;
    } else if (rocksdb_iter_valid(it->iter)) {
        rocksdb_iter_next(it->iter);
    }
    if (!rocksdb_iter_valid(it->iter)) return false;
    key->data = (const uint8_t *)rocksdb_iter_key(it->iter, &key->len);
    value->data = (const uint8_t *)rocksdb_iter_value(it->iter, &value->len);
    return true;
}

static struct error *rocks_iter_error(struct kv_iter *it) {
    char *message = NULL;
    rocksdb_iter_get_error(it->iter, &message);
    return message == NULL ? NULL : rocks_error(message, "scan the database");
}

static void rocks_iter_free(struct kv_iter *it) {
    rocksdb_iter_destroy(it->iter);
    rocksdb_readoptions_destroy(it->read);
    alloc_free(it);
}

static struct kv_snapshot *rocks_snapshot_new(struct kv *kv) {
    struct kv_snapshot *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return NULL;
    s->snapshot = rocksdb_create_snapshot(rocks_of(kv)->db);
    s->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(s->read, s->snapshot);
    return s;
}

static void rocks_snapshot_free(struct kv *kv, struct kv_snapshot *snap) {
    rocksdb_readoptions_destroy(snap->read);
    rocksdb_release_snapshot(rocks_of(kv)->db, snap->snapshot);
    alloc_free(snap);
}

/* log_size_for_flush 0: memtables are flushed first and no write-ahead log is linked into the copy:
 * a linked one may be unsynced at a power cut (fixed after 7.8.3). */
static struct error *rocks_checkpoint(struct kv *kv, const char *dir) {
    char *message = NULL;
    rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create(rocks_of(kv)->db, &message);
    if (message != NULL) return rocks_error(message, "copy the database");
    rocksdb_checkpoint_create(c, dir, 0, &message);
    rocksdb_checkpoint_object_destroy(c);
    if (message == NULL) return NULL;
    return error_recode(rocks_error(message, "copy"), ERROR_UNAVAILABLE, "copy the database");
}

static struct error *rocks_flush(struct kv *kv) {
    struct kv_rocksdb *r = rocks_of(kv);
    if (r->read_only) return error_new(ERROR_FAILED_PRECONDITION, "the database is open read-only");
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(options, 1);
    char *message = NULL;
    for (int i = 0; i < KV_FAMILY_COUNT && message == NULL; i++)
        rocksdb_flush_cf(r->db, options, r->families[i], &message);
    rocksdb_flushoptions_destroy(options);
    if (message == NULL) return NULL;
    return error_recode(rocks_error(message, "flush"), ERROR_UNAVAILABLE, "flush the database");
}

static uint64_t rocks_size(struct kv *kv) {
    static const char *const properties[] = {"rocksdb.total-sst-files-size",
                                             "rocksdb.total-blob-file-size",
                                             "rocksdb.cur-size-all-mem-tables"};
    struct kv_rocksdb *r = rocks_of(kv);
    uint64_t sum = 0;
    for (int i = 0; i < KV_FAMILY_COUNT; i++) {
        for (size_t p = 0; p < sizeof properties / sizeof *properties; p++) {
            uint64_t v = 0;
            if (rocksdb_property_int_cf(r->db, r->families[i], properties[p], &v) == 0) sum += v;
        }
    }
    return sum;
}

static void rocks_kv_close(struct kv *kv) {
    rocksdb_cancel_all_background_work(rocks_of(kv)->db, 1);
    rocks_close(rocks_of(kv));
}

const struct kv_ops kv_rocksdb_ops = {
    .get = rocks_get,
    .batch_new = rocks_batch_new,
    .batch_put = rocks_batch_put,
    .batch_delete = rocks_batch_delete,
    .batch_clear = rocks_batch_clear,
    .batch_free = rocks_batch_free,
    .write = rocks_write,
    .iter_new = rocks_iter_new,
    .iter_next = rocks_iter_next,
    .iter_error = rocks_iter_error,
    .iter_free = rocks_iter_free,
    .snapshot_new = rocks_snapshot_new,
    .snapshot_free = rocks_snapshot_free,
    .checkpoint = rocks_checkpoint,
    .flush = rocks_flush,
    .size_octets = rocks_size,
    .close = rocks_kv_close,
};
