/*
 * store: records, indexes and queries over kv. The key layouts stand as a table at the head of
 * keys.c, those of the values at the head of record.c. Entries are written by the sequencer alone
 * (one batch a round); readers may be any threads, each answer from one snapshot. What is stored
 * and cannot be read back is DATA_LOSS; nothing is passed over.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "kv/kv.h"
#include "lineage/lineage.h"
#include "merkle/merkle.h"

#define STORE_SCHEMA 2
#define STORE_SCHEMA_OLDEST 1                     /* that store_upgrade brings here */
#define STORE_ENTRY_MAX_OCTETS ((size_t)16 << 20) /* of one entry's record; more is refused */

struct store;

/* store_open reads or (empty database) writes the schema version. Takes `kv`.
 * Errors: FAILED_PRECONDITION for an unknown schema, or data without one; kv's. */
MUST_USE struct error *store_open(struct kv *kv, struct store **out);

/* store_upgrade brings a database of an older schema to STORE_SCHEMA, entry by entry, before
 * anybody else uses it; *out_changed says whether there was something to do. Until then an older
 * one can be read and checked, but takes no rounds and finds no evidence. Interrupted, it begins
 * anew at the next opening. Errors: DATA_LOSS; kv's. */
MUST_USE struct error *store_upgrade(struct store *s, bool *out_changed);
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

/* While the log is empty: size 0, the empty tree's root, 0. */
struct store_head {
    struct merkle_frontier frontier;
    struct sha256 root;
    int64_t integrated_s; /* of the newest entry; 0 while empty */
};

/* store_terms_octets bounds what an entry's terms take in a round, beside its record: every edge is
 * two rows, so a short statement can ask for many. For who bounds a round or a queue in octets. */
size_t store_terms_octets(const struct store_terms *terms);

/* --- one round's batch; one thread at a time. What is put is copied. */
struct store_round;
MUST_USE struct error *store_round_new(struct store *s, struct store_round **out);
void store_round_clear(struct store_round *r);
/* store_round_entry adds the entry's record, its leaf-hash row (of entry->leaf, hashed here), and
 * its rows in every index and both edge directions. Two edges of one entry that join the same nodes
 * with the same kind are one; the later one's name counts. Errors: RESOURCE_EXHAUSTED if its record
 * or store_terms_octets is over STORE_ENTRY_MAX_OCTETS: then nothing of it is in the round. */
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
/* store_round_commit: one synced write. After UNAVAILABLE the outcome is unknown (crash-only);
 * after RESOURCE_EXHAUSTED (memory was out while the round was filled) nothing is written. */
MUST_USE struct error *store_round_commit(struct store_round *r);
/* store_round_octets is what the round holds so far: for who bounds a round in octets. */
size_t store_round_octets(const struct store_round *r);
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
 * most `max`. For STORE_INDEX_TIME `from` and `below` are times, in seconds since 1970. */
MUST_USE struct error *store_find(struct store *s, const struct kv_snapshot *snap,
                                  struct arena *arena, enum store_index kind, struct text term,
                                  uint64_t from, uint64_t below, size_t max, const uint64_t **out,
                                  size_t *out_count);

/* store_find_evidence lists the entries of one predicate type about one subject that were submitted
 * by somebody whom `wants` answers true for, ascending, and of the others a few, for whoever
 * explains. It costs what is wanted: entries of other types, and of others, however many, cost
 * nothing. Errors: DATA_LOSS; RESOURCE_EXHAUSTED if the arena is too small; kv's. */
struct store_evidence {
    struct text subject; /* "alg:value" */
    struct text predicate_type;
    uint64_t below;                                  /* entries below this index */
    size_t max;                                      /* of one submitter: the newest; at least 1 */
    bool (*wants)(void *ctx, struct text submitter); /* a principal */
    void *ctx;
};
struct store_evidence_found {
    const uint64_t *indexes;
    size_t count;
    const uint64_t *others; /* the first entry of each submitter who is not wanted, at most 16 */
    size_t other_count;
    bool cut; /* there are more than `max` of one, or too many submitters: not all is listed */
};
MUST_USE struct error *store_find_evidence(struct store *s, const struct kv_snapshot *snap,
                                           struct arena *arena, const struct store_evidence *query,
                                           struct store_evidence_found *out);

/* store_lineage_source gives the edges at `snap`, of every entry: which are old enough is the
 * walk's question, so that those it passes over count against its bounds. The caller's storage.
 * Order: by kind, then by the other node's hash, then by index. */
struct store_lineage {
    struct store *store;
    const struct kv_snapshot *snap;
};
struct lineage_source store_lineage_source(struct store_lineage *ctx);

/* store_material_name gives what a statement that has `node` as a material calls it, in `arena`:
 * the first in the order above that names it, of the entries below `below` and of the first few
 * edges that lead to it; empty where none does. Errors: DATA_LOSS; RESOURCE_EXHAUSTED; kv's. */
MUST_USE struct error *store_material_name(const struct store_lineage *ctx, struct arena *arena,
                                           struct text node, uint64_t below, struct text *out);

/* --- small records: identity (tokens), policy, decision, meta (instance facts); other families are
 * not for them. One synced write each; any thread. Errors of putting: as store_round_commit. */
MUST_USE struct error *store_put_record(struct store *s, enum kv_family family, struct bytes key,
                                        struct bytes value);
MUST_USE struct error *store_get_record(struct store *s, enum kv_family family, struct bytes key,
                                        struct arena *arena, bool *found, struct bytes *out);
/* store_scan_records calls `each` for the records whose keys begin with `prefix`, in order of keys;
 * false ends it. Views hold until it returns. */
MUST_USE struct error *store_scan_records(
    struct store *s, enum kv_family family, struct bytes prefix,
    bool (*each)(void *ctx, struct bytes key, struct bytes value), void *ctx);

/* --- checking (fsck): every row that should be there is, and no other. First store_check_entry for
 * each entry of the log, with the terms read from its payload; then store_check_rows once. */
struct store_check {
    uint64_t index_rows; /* how many rows the entries so far ask for */
    uint64_t edge_rows;
};

/* store_check_entry looks for every row that `entry` and `terms` ask for, adds their number to
 * `*sum`, and counts those that are missing or say something else. */
MUST_USE struct error *store_check_entry(struct store *s, const struct kv_snapshot *snap,
                                         const struct store_entry *entry,
                                         const struct store_terms *terms, struct store_check *sum,
                                         uint64_t *out_missing);

/* store_check_rows reads every row of every family of a log of `size` entries: each key and value
 * must be one that this version writes, for an entry below `size`, and there must be as many as
 * `sum` says. `say` is told of each row that is not so; what is in the values of entries, tiles and
 * checkpoints is not judged here. */
MUST_USE struct error *store_check_rows(struct store *s, const struct kv_snapshot *snap,
                                        uint64_t size, const struct store_check *sum,
                                        void (*say)(void *ctx, const char *line), void *ctx);

/* store_scan_checkpoints calls `each` for every stored checkpoint, by size; false ends it. Views
 * hold until it returns. */
MUST_USE struct error *store_scan_checkpoints(struct store *s, const struct kv_snapshot *snap,
                                              bool (*each)(void *ctx, uint64_t size,
                                                           struct bytes v1, struct bytes c2sp),
                                              void *ctx);

/* --- the formats themselves, for tests and fuzzing */

/* store_entry_encode appends the record of `entry`; store_entry_decode reads it back, its views
 * borrowing from `value`, and insists that it is the record of `index`. Errors: INVALID_ARGUMENT.
 */
void store_entry_encode(struct buf *out, const struct store_entry *entry);
MUST_USE struct error *store_entry_decode(struct bytes value, uint64_t index,
                                          struct store_entry *out);

/* A row's key, taken apart: which fields are set is in the table of keys.c. */
struct store_key {
    enum kv_family family;
    uint8_t kind; /* of meta: its letter; of index: keys.c's; of edge: lineage_kind */
    bool up;      /* edge: towards what it came from */
    uint8_t level;
    uint64_t number;      /* index of an entry or a tile; size of a checkpoint */
    struct sha256 digest; /* dedup, index, and edge: of the node asked about */
    struct sha256 other;  /* edge: of the node at its other end; evidence: of the submitter */
    struct bytes name;    /* a small record's own key */
};

/* store_key_parse takes `octets` apart; false where this version writes no such key.
 * store_key_put appends the one key that `key` stands for. */
MUST_USE bool store_key_parse(enum kv_family family, struct bytes octets, struct store_key *out);
void store_key_put(struct buf *out, const struct store_key *key);
#endif
