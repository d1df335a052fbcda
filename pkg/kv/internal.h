/* internal: what the two files of the RocksDB form share. */
#ifndef KV_INTERNAL_H
#define KV_INTERNAL_H

#include <rocksdb/c.h>
#include <stdatomic.h>

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

/* rocks_error makes an error of a message of the library, which it frees, and of which the status
 * word in front gives the code. */
MUST_USE struct error *rocks_error(char *message, const char *what);

/* rocks_close frees whatever of `r` is there, and `r`. */
void rocks_close(struct kv_rocksdb *r);

#endif
