/*
 * kv: an ordered key-value store with column families: the seam under store/. Two forms: RocksDB
 * (kv_rocksdb_open) and memory (kv_mem_new, for tests). Keys order as memcmp does. All functions
 * may be called from any thread; a batch, an iterator and a snapshot belong to one thread at a
 * time. A batch is atomic across families, and durable when kv_write returns.
 */
#ifndef KV_KV_H
#define KV_KV_H

#include "base/bytes.h"
#include "base/error.h"

struct arena;

enum kv_family {
    KV_META,
    KV_ENTRY,
    KV_TILE,
    KV_DEDUP,
    KV_INDEX,
    KV_EDGE,
    KV_POLICY,
    KV_DECISION,
    KV_IDENTITY,
    KV_FAMILY_COUNT,
};

#define KV_PREFIX_OCTETS ((size_t)33)

struct kv;
struct kv_batch;
struct kv_iter;
struct kv_snapshot;

/* The table of an implementation; callers use the functions below. */
struct kv_ops {
    struct error *(*get)(struct kv *kv, const struct kv_snapshot *snap, enum kv_family family,
                         struct bytes key, struct arena *arena, bool *found, struct bytes *out);
    struct kv_batch *(*batch_new)(struct kv *kv);
    void (*batch_put)(struct kv_batch *b, enum kv_family family, struct bytes key,
                      struct bytes value);
    void (*batch_delete)(struct kv_batch *b, enum kv_family family, struct bytes key);
    void (*batch_clear)(struct kv_batch *b);
    void (*batch_free)(struct kv_batch *b);
    struct error *(*write)(struct kv *kv, struct kv_batch *b);
    struct error *(*iter_new)(struct kv *kv, const struct kv_snapshot *snap, enum kv_family family,
                              struct bytes lower, struct bytes upper, struct kv_iter **out);
    bool (*iter_next)(struct kv_iter *it, struct bytes *key, struct bytes *value);
    struct error *(*iter_error)(struct kv_iter *it);
    void (*iter_free)(struct kv_iter *it);
    struct kv_snapshot *(*snapshot_new)(struct kv *kv);
    void (*snapshot_free)(struct kv *kv, struct kv_snapshot *snap);
    struct error *(*checkpoint)(struct kv *kv, const char *dir);
    struct error *(*flush)(struct kv *kv);
    uint64_t (*size_octets)(struct kv *kv);
    void (*close)(struct kv *kv);
};

struct kv {
    const struct kv_ops *ops;
};

struct kv_rocksdb_options {
    uint64_t block_cache_octets; /* 64 MiB by default */
    uint64_t memtable_octets;    /* all families together; 64 MiB */
    uint64_t wal_octets;         /* 32 MiB: bounds the time of reopening */
    bool read_only;              /* for fsck of a stopped directory: makes and changes no file */
};

#define KV_ROCKSDB_DEFAULTS                                                                        \
    ((struct kv_rocksdb_options){.block_cache_octets = (uint64_t)64 << 20,                         \
                                 .memtable_octets = (uint64_t)64 << 20,                            \
                                 .wal_octets = (uint64_t)32 << 20})

/* kv_rocksdb_open opens or (not read-only) makes the database in folder `dir`, whose parent must
 * exist. Read-only, too, it keeps others from opening it for writing.
 * Errors: FAILED_PRECONDITION if another process holds it; NOT_FOUND if it is read-only and there
 * is none, or there is no parent; DATA_LOSS if it is damaged or has families that this version does
 * not know; UNAVAILABLE for the rest of I/O. */
MUST_USE struct error *kv_rocksdb_open(const char *dir, const struct kv_rocksdb_options *options,
                                       struct kv **out);

/* kv_mem_new makes an empty store in memory, which keeps every version of a value until it is
 * closed. kv_mem_fail makes the write after `n` more fail, and all later ones, having applied the
 * failing batch or not (`applied`); n < 0: never. */
MUST_USE struct error *kv_mem_new(struct kv **out);
void kv_mem_fail(struct kv *kv, long n, bool applied);

/* kv_get copies the value into `arena`. snap NULL: the newest state. Where there is none, `*found`
 * is false and `*out` as it was. Errors: UNAVAILABLE, DATA_LOSS (a checksum failed),
 * RESOURCE_EXHAUSTED. */
MUST_USE static inline struct error *kv_get(struct kv *kv, const struct kv_snapshot *snap,
                                            enum kv_family family, struct bytes key,
                                            struct arena *arena, bool *found, struct bytes *out) {
    return kv->ops->get(kv, snap, family, key, arena, found, out);
}

/* A batch: NULL when memory is out. It copies what is put. Reused after kv_batch_clear. */
static inline struct kv_batch *kv_batch_new(struct kv *kv) { return kv->ops->batch_new(kv); }
static inline void kv_batch_put(struct kv *kv, struct kv_batch *b, enum kv_family family,
                                struct bytes key, struct bytes value) {
    kv->ops->batch_put(b, family, key, value);
}
static inline void kv_batch_delete(struct kv *kv, struct kv_batch *b, enum kv_family family,
                                   struct bytes key) {
    kv->ops->batch_delete(b, family, key);
}
static inline void kv_batch_clear(struct kv *kv, struct kv_batch *b) { kv->ops->batch_clear(b); }
static inline void kv_batch_free(struct kv *kv, struct kv_batch *b) {
    if (b != NULL) kv->ops->batch_free(b);
}

/* kv_write applies `b` atomically and durably (one fdatasync). After UNAVAILABLE the outcome is
 * unknown: it may be there after reopening; and this kv takes no further write. Errors:
 * RESOURCE_EXHAUSTED if memory was out when `b` was filled (nothing is written); UNAVAILABLE;
 * FAILED_PRECONDITION if the kv is read-only. */
MUST_USE static inline struct error *kv_write(struct kv *kv, struct kv_batch *b) {
    return kv->ops->write(kv, b);
}

/* kv_iter_new walks [lower, upper) upwards; an empty `upper` is no bound. It sees one state:
 * `snap`, or that of this call. Views given by kv_iter_next hold until the next call. After it
 * returned false, kv_iter_error tells whether that was the end. `lower` and `upper` are copied. In
 * KV_INDEX and KV_EDGE a range whose bounds share their first KV_PREFIX_OCTETS octets is the fast
 * one. */
MUST_USE static inline struct error *kv_iter_new(struct kv *kv, const struct kv_snapshot *snap,
                                                 enum kv_family family, struct bytes lower,
                                                 struct bytes upper, struct kv_iter **out) {
    return kv->ops->iter_new(kv, snap, family, lower, upper, out);
}
static inline bool kv_iter_next(struct kv *kv, struct kv_iter *it, struct bytes *key,
                                struct bytes *value) {
    return kv->ops->iter_next(it, key, value);
}
MUST_USE static inline struct error *kv_iter_error(struct kv *kv, struct kv_iter *it) {
    return kv->ops->iter_error(it);
}
static inline void kv_iter_free(struct kv *kv, struct kv_iter *it) {
    if (it != NULL) kv->ops->iter_free(it);
}

/* A snapshot is a consistent view of all families. NULL when memory is out. */
static inline struct kv_snapshot *kv_snapshot_new(struct kv *kv) {
    return kv->ops->snapshot_new(kv);
}
static inline void kv_snapshot_free(struct kv *kv, struct kv_snapshot *snap) {
    if (snap != NULL) kv->ops->snapshot_free(kv, snap);
}

/* kv_checkpoint makes a consistent, fsynced copy in the folder `dir`, which must not exist, while
 * serving; its files may be hard links. Errors: UNAVAILABLE; UNIMPLEMENTED in memory.
 * kv_flush writes all memtables out (before a clean close: RocksDB does not by itself).
 * kv_size_octets is what it all takes, on disk or in memory, roughly. */
MUST_USE static inline struct error *kv_checkpoint(struct kv *kv, const char *dir) {
    return kv->ops->checkpoint(kv, dir);
}
MUST_USE static inline struct error *kv_flush(struct kv *kv) { return kv->ops->flush(kv); }
static inline uint64_t kv_size_octets(struct kv *kv) { return kv->ops->size_octets(kv); }

static inline void kv_close(struct kv *kv) {
    if (kv != NULL) kv->ops->close(kv);
}
static inline void kv_closep(struct kv **kv) { kv_close(*kv); }

#endif
