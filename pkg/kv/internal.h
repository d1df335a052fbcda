/* internal: what the two files of the RocksDB form share. */
#ifndef KV_INTERNAL_H
#define KV_INTERNAL_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "kv/kv.h"

struct kv_rocksdb {
    struct kv kv; /* first: a struct kv * of this form is a struct kv_rocksdb * */
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_options_t *family_options[KV_FAMILY_COUNT];
    rocksdb_column_family_handle_t *families[KV_FAMILY_COUNT];
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;   /* of every get without a snapshot */
    rocksdb_writeoptions_t *write; /* the one way to write: synced */
    int lock_fd;                   /* read-only: holds the folder; else -1 */
    bool read_only;
    atomic_bool failed; /* a write failed: no further one */
};

extern const struct kv_ops kv_rocksdb_ops;

static inline struct kv_rocksdb *rocks_of(struct kv *kv) {
    ASSERT(kv->ops == &kv_rocksdb_ops);
    return (struct kv_rocksdb *)kv;
}

/* --- rocksdb_batch.c */
struct kv_batch *rocks_batch_new(struct kv *kv);
void rocks_batch_put(struct kv_batch *b, enum kv_family family, struct bytes key,
                     struct bytes value);
void rocks_batch_delete(struct kv_batch *b, enum kv_family family, struct bytes key);
void rocks_batch_clear(struct kv_batch *b);
void rocks_batch_free(struct kv_batch *b);
const struct kv_rocksdb *rocks_batch_owner(const struct kv_batch *b);

/* rocks_batch_fill gives what was put, in the order of its keys, valid until the batch changes; or
 * NULL if memory was out when something was put. */
rocksdb_writebatch_t *rocks_batch_fill(struct kv_batch *b);

/* --- rocksdb_open.c */

/* rocks_error makes an error of a message of the library, which it frees, and of which the status
 * word in front gives the code. */
MUST_USE struct error *rocks_error(char *message, const char *what);

/* rocks_close frees whatever of `r` is there, and `r`. */
void rocks_close(struct kv_rocksdb *r);

#endif
