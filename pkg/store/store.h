/*
 * store: records, indexes and queries over kv. The key layouts stand as a table at the head of
 * keys.c. Writing is the sequencer's alone (one batch a round); readers from any thread, each
 * answer from one snapshot.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "kv/kv.h"
#include "lineage/lineage.h"
#include "merkle/merkle.h"

#define STORE_SCHEMA 1

struct store;

/* store_open reads or (empty database) writes the schema version. Takes `kv`.
 * Errors: FAILED_PRECONDITION for an unknown schema; kv's. */
MUST_USE struct error *store_open(struct kv *kv, struct store **out);
struct kv *store_kv(struct store *s);
void store_free(struct store *s); /* closes the kv */
DEFINE_CLEANUP(struct store, store_free);

enum store_entry_kind {
    STORE_ENTRY_UNSET = 0,
    STORE_ENTRY_ATTESTATION = 1,
    STORE_ENTRY_DECISION = 2,
};

/* An entry: everything a receipt needs beside proof and checkpoint. Views borrow. */
struct store_entry {
    uint64_t index;
    enum store_entry_kind kind;
    int64_t integrated_s; /* seconds since 1970, as in the SET */
    uint64_t tree_size;   /* of the round that logged it: the checkpoint in its receipt */
    struct bytes payload; /* the signed statement octets */
    struct bytes signature;
    struct bytes set;
    struct bytes leaf; /* the log's leaf octets */
};

/* What an entry is found by; read from the signed payload. */
struct store_terms {
    struct text predicate_type;
    struct text submitter;       /* principal */
    const struct text *subjects; /* "alg:value", every digest of every subject */
    size_t subject_count;
    const struct text *materials; /* "alg:value" of what edges lead to */
    size_t material_count;
    const struct lineage_edge *edges;
    size_t edge_count;
};

struct store_dedup {
    uint64_t index;
    struct sha256 content; /* of the caller's statement */
    int64_t logged_ms;
};

struct store_head {
    struct merkle_frontier frontier;
    struct sha256 root;
    int64_t integrated_s; /* of the newest entry; 0 while empty */
};

/* --- one round's batch; sequencer thread only */
struct store_round;
MUST_USE struct error *store_round_new(struct store *s, struct store_round **out);
void store_round_clear(struct store_round *r);
MUST_USE struct error *store_round_entry(struct store_round *r, const struct store_entry *entry,
                                         const struct store_terms *terms);
void store_round_dedup(struct store_round *r, const struct sha256 *key,
                       const struct store_dedup *d);
/* A full tile: 256 hashes. Partials are synthesised on read. */
void store_round_tile(struct store_round *r, unsigned level, uint64_t index,
                      const struct sha256 hashes[MERKLE_TILE_WIDTH]);
void store_round_head(struct store_round *r, const struct store_head *head);
void store_round_checkpoint(struct store_round *r, uint64_t size, struct bytes v1,
                            struct bytes c2sp);
/* store_round_commit: one synced write. After an error the outcome is unknown (crash-only). */
MUST_USE struct error *store_round_commit(struct store_round *r);
void store_round_free(struct store_round *r);
DEFINE_CLEANUP(struct store_round, store_round_free);

/* --- reading. `snap` NULL: the newest state. Results live in `arena`. */
MUST_USE struct error *store_get_head(struct store *s, const struct kv_snapshot *snap,
                                      struct store_head *out);
MUST_USE struct error *store_get_entry(struct store *s, const struct kv_snapshot *snap,
                                       struct arena *arena, uint64_t index, bool *found,
                                       struct store_entry *out);
MUST_USE struct error *store_get_by_leaf_hash(struct store *s, struct arena *arena,
                                              const struct sha256 *leaf_hash, bool *found,
                                              uint64_t *out_index);
MUST_USE struct error *store_get_dedup(struct store *s, const struct sha256 *key, bool *found,
                                       struct store_dedup *out);
MUST_USE struct error *store_get_tile(struct store *s, struct arena *arena, unsigned level,
                                      uint64_t index, bool *found, struct bytes *out);
/* The newest stored checkpoint at or below `size` is not what this gives: exactly `size`. */
MUST_USE struct error *store_get_checkpoint(struct store *s, struct arena *arena, uint64_t size,
                                            bool *found, struct bytes *v1, struct bytes *c2sp);

enum store_index {
    STORE_INDEX_SUBJECT = 1, /* term: "alg:value" */
    STORE_INDEX_MATERIAL = 2,
    STORE_INDEX_PREDICATE_TYPE = 3,
    STORE_INDEX_SUBMITTER = 4,
    STORE_INDEX_TIME = 5, /* term: ignored; key is the time */
};

/* store_find lists indexes of entries with `term`, ascending, from `from` and below `below`, at
 * most `max`. */
MUST_USE struct error *store_find(struct store *s, const struct kv_snapshot *snap,
                                  struct arena *arena, enum store_index kind, struct text term,
                                  uint64_t from, uint64_t below, size_t max, const uint64_t **out,
                                  size_t *out_count);

/* store_lineage_source gives the edges at `snap` of entries below `as_of`; the caller's storage. */
struct store_lineage {
    struct store *store;
    const struct kv_snapshot *snap;
    uint64_t as_of;
};
struct lineage_source store_lineage_source(struct store_lineage *ctx);

/* --- small records: identity (tokens), meta (instance facts). One synced write each; any thread,
 * serialised inside. */
MUST_USE struct error *store_put_record(struct store *s, enum kv_family family, struct bytes key,
                                        struct bytes value);
MUST_USE struct error *store_get_record(struct store *s, enum kv_family family, struct bytes key,
                                        struct arena *arena, bool *found, struct bytes *out);
MUST_USE struct error *store_scan_records(
    struct store *s, enum kv_family family, struct bytes prefix,
    bool (*each)(void *ctx, struct bytes key, struct bytes value), void *ctx);

/* --- the in-memory directory of a batch is not offered: read what was committed. */
#endif
