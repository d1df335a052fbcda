/* internal: keys, values and rows, shared by the files of store. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "base/assert.h"
#include "base/reader.h"
#include "store/store.h"

struct store {
    struct kv *kv;   /* owned */
    uint32_t schema; /* STORE_SCHEMA, or an older one until it is upgraded */
};

/* --- keys.c */

#define META_SCHEMA 'S'
#define META_HEAD 'H'
#define META_CHECKPOINT 'C'
#define RECORD_KEY 'R'
#define INDEX_LEAF_HASH 6      /* follows enum store_index */
#define INDEX_SUBJECT_TYPE_1 7 /* of schema 1 */
#define INDEX_EVIDENCE 8       /* the last one */
#define ROW_KEY_MAX ((size_t)74)

/* A key of fixed length; views of it hold while it stands. */
struct row_key {
    uint8_t octets[ROW_KEY_MAX];
    size_t len;
};

static inline struct bytes row_key_bytes(const struct row_key *k) {
    return (struct bytes){k->octets, k->len};
}

struct row_key key_meta(uint8_t letter);
struct row_key key_checkpoint(uint64_t size);
struct row_key key_entry(uint64_t index);
struct row_key key_tile(uint8_t level, uint64_t index);
struct row_key key_index(uint8_t kind, const struct sha256 *digest, uint64_t number);
struct row_key key_evidence(const struct sha256 *both, const struct sha256 *submitter,
                            uint64_t index);
struct row_key key_edge_prefix(bool up, const struct sha256 *node);
struct row_key key_edge(const struct store_key *key);

/* term_digest is what stands for a term in keys; time_digest what stands for a time. */
struct sha256 term_digest(struct text term);
struct sha256 subject_type_digest(struct text subject, struct text predicate_type);
struct sha256 time_digest(int64_t unix_s);

/* --- record.c: values. Decoding: INVALID_ARGUMENT. */

struct edge_value {
    enum lineage_assurance assurance;
    struct text other;
    struct text other_name;
};

void head_encode(struct buf *out, const struct store_head *head);
MUST_USE struct error *head_decode(struct bytes value, struct store_head *out);
void dedup_encode(struct buf *out, const struct store_dedup *d);
MUST_USE struct error *dedup_decode(struct bytes value, struct store_dedup *out);
void checkpoint_encode(struct buf *out, struct bytes v1, struct bytes c2sp);
MUST_USE struct error *checkpoint_decode(struct bytes value, struct bytes *v1, struct bytes *c2sp);
void evidence_encode(struct buf *out, struct text submitter);
MUST_USE struct error *evidence_decode(struct bytes value, struct text *out_submitter);
void edge_encode(struct buf *out, const struct edge_value *edge);
MUST_USE struct error *edge_decode(struct bytes value, struct edge_value *out);

/* --- rows.c: what an entry is found by */

struct row_sink {
    void (*put)(void *ctx, enum kv_family family, struct bytes key, struct bytes value);
    void *ctx;
};

/* rows_of_entry gives every row of `schema` but the record itself to `sink`; `scratch` is its
 * working space, and says by failing that a row could not be made. */
void rows_of_entry(uint32_t schema, const struct store_entry *entry,
                   const struct store_terms *terms, struct buf *scratch,
                   const struct row_sink *sink);

/* --- read.c */

/* Indexes of entries; grows in the arena by doubling: at most so many may be far more than there
 * are. */
struct index_list {
    struct arena *arena;
    uint64_t *items;
    size_t count;
    size_t cap;
};
/* Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *index_list_add(struct index_list *l, uint64_t v);

/* --- store.c */
MUST_USE struct error *write_schema(struct kv *kv);

/* damaged turns the failure to decode a stored value into DATA_LOSS. NULL stays NULL. */
MUST_USE struct error *damaged(struct error *err, const char *what);

#endif
