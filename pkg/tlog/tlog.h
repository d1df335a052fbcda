/*
 * tlog: the log: one sequencer thread that alone gives indexes, in rounds that are made durable and
 * anchored twice, and the checks that keep it from ever forking or shrinking. All functions may be
 * called from any thread unless they say otherwise. README.md: rounds, anchors, crash-only writing.
 */
#ifndef TLOG_TLOG_H
#define TLOG_TLOG_H

#include "base/clock.h"
#include "base/error.h"
#include "signer/signer.h"
#include "store/store.h"

struct tlog;

struct tlog_options {
    struct bytes origin;        /* host name; copied */
    uint64_t tree_id;           /* of the v1 form */
    const char *anchor_inner;   /* DATA/anchor */
    const char *anchor_outer;   /* outside DATA */
    bool anchor_required;       /* a missing outer anchor keeps a non-empty log read-only */
    uint64_t disk_reserve;      /* octets that stay free on the data directory's file system */
    const char *data_dir;       /* for the reserve */
    uint32_t round_entries_max; /* 1,024 */
    uint32_t queue_max;         /* 8,192: a full queue is RESOURCE_EXHAUSTED, QUEUE_FULL */
    uint32_t workers;           /* threads that sign SETs beside the sequencer */
    const struct clock *clock;
    /* Tests: told, on the log's own threads, of each step that was taken (README.md has the list),
     * durable where it is a write; NULL in production. */
    void (*after_write)(void *ctx, const char *step);
    void *after_write_ctx;
};

/* One submission. Made by the caller, who must keep it and what it points to until `done` was
 * called; `done` runs on a thread of the log's own, exactly once, and must neither block nor call
 * the log's functions but tlog_submit. */
struct tlog_submission {
    struct tlog_submission *next; /* the queue's */
    enum store_entry_kind kind;
    struct bytes payload;   /* statement octets */
    struct bytes signature; /* DER */
    struct bytes leaf;
    struct store_terms terms;
    struct sha256 dedup_key;
    struct sha256 content;
    int64_t dedup_ttl_ms;                                         /* 0: for ever */
    void (*done)(struct tlog_submission *sub, struct error *err); /* takes err; NULL: logged */
    void *ctx;

    /* results, set before done(NULL) */
    uint64_t index;
    bool existing; /* an earlier entry: the fields below are not set, read the entry */
    uint64_t tree_size;
    int64_t integrated_s;
    struct signature set;
    struct sha256 leaf_hash;
    struct sha256 root;
    struct merkle_proof proof;
    const char *checkpoint_v1; /* NUL-terminated; holds until done returns */
    size_t checkpoint_v1_len;
};

enum tlog_state {
    TLOG_STATE_UNSET = 0,
    TLOG_READ_ONLY, /* behind an anchor, a required one missing, or disk reserve reached */
    TLOG_SERVING,
    TLOG_FAILED, /* a write failed: the process must restart from what is stored */
};

/* tlog_open recomputes size and root from frontier and right edge, compares with the anchors, and
 * starts the sequencer. Behind an anchor, or where the two disagree, it opens read-only and
 * tlog_why says so. Neither store nor signer is taken; both must outlive it. */
MUST_USE struct error *tlog_open(struct store *store, const struct signer *signer,
                                 const struct tlog_options *options, struct tlog **out);

enum tlog_state tlog_state(const struct tlog *t);
/* tlog_why copies one sentence, for a person, about why the log is read-only or failed; "" else. */
void tlog_why(struct tlog *t, char *out, size_t size);

/* tlog_require_serving says what tlog_submit would of the log's state, before work is done for a
 * submission: NULL while it serves. Errors: as tlog_submit, but for QUEUE_FULL. */
MUST_USE struct error *tlog_require_serving(struct tlog *t);

/* tlog_submit hands over `sub`. Errors (then `done` is not called): FAILED_PRECONDITION
 * LOG_READ_ONLY, RESOURCE_EXHAUSTED QUEUE_FULL or DISK_RESERVE_REACHED, UNAVAILABLE
 * ROUND_FAILED or SHUTTING_DOWN, RESOURCE_EXHAUSTED MESSAGE_TOO_LARGE for a submission over 8 MiB
 * or terms over STORE_ENTRY_MAX_OCTETS, INVALID_ARGUMENT for a leaf over 65,535 octets (an entry
 * bundle counts in 16 bits). Errors given to `done`: FAILED_PRECONDITION IDEMPOTENCY_KEY_REUSED,
 * RESOURCE_EXHAUSTED DISK_RESERVE_REACHED, UNAVAILABLE ROUND_FAILED. */
MUST_USE struct error *tlog_submit(struct tlog *t, struct tlog_submission *sub);

/* The published head: the newest anchored round. */
struct tlog_head {
    uint64_t size;
    struct sha256 root;
    int64_t integrated_s;
};
struct tlog_head tlog_head(struct tlog *t);

/* Sizes are exact, 0 is the empty tree: whoever wants the current one asks tlog_head once, and then
 * for that size, however far the log has grown meanwhile.
 *
 * tlog_checkpoint copies the two notes of `size` into `arena`. Sizes between rounds have none until
 * asked: one is signed then from the stored tree (any past size is a prefix of the head). Errors:
 * OUT_OF_RANGE TREE_SIZE_IN_FUTURE; FAILED_PRECONDITION while read-only and none is stored. */
MUST_USE struct error *tlog_checkpoint(struct tlog *t, struct arena *arena, uint64_t size,
                                       struct bytes *v1, struct bytes *c2sp, struct sha256 *root);
MUST_USE struct error *tlog_inclusion(struct tlog *t, uint64_t index, uint64_t size,
                                      struct merkle_proof *out);
MUST_USE struct error *tlog_consistency(struct tlog *t, uint64_t old_size, uint64_t new_size,
                                        struct merkle_proof *out);
/* tlog_tile gives a tile or entry bundle of the published head, partials synthesised. */
MUST_USE struct error *tlog_tile(struct tlog *t, struct arena *arena,
                                 const struct merkle_tile *tile, bool *found, struct bytes *out);

/* tlog_watch calls `fn` on a thread of the log's own after each published round, until removed;
 * `fn` must neither block nor watch nor unwatch. tlog_unwatch returns after the last call has
 * ended. */
struct tlog_watcher {
    void (*fn)(void *ctx, uint64_t size);
    void *ctx;
    struct tlog_watcher *next;
};
void tlog_watch(struct tlog *t, struct tlog_watcher *w);
void tlog_unwatch(struct tlog *t, struct tlog_watcher *w);

/* tlog_drain refuses new work, finishes what is queued, flushes. tlog_free stops the threads. */
void tlog_drain(struct tlog *t);
void tlog_free(struct tlog *t);
DEFINE_CLEANUP(struct tlog, tlog_free);

/* tlog_flip_frontier flips one bit of the sequencer's tree, as bad memory would. Tests only, and
 * only from after_write on the step "hashed". */
void tlog_flip_frontier(struct tlog *t);

/* --- checking a stopped directory */
struct tlog_fsck_report {
    uint64_t entries;
    uint64_t problems;  /* disagreements */
    bool outer_missing; /* named, no disagreement */
    struct sha256 root;
};
/* tlog_fsck recomputes everything from raw entries: leaves, tiles, frontier, root, every stored
 * checkpoint and SET, indexes, edges, anchors; calls `say` for each disagreement and for
 * progress (problem false). */
MUST_USE struct error *tlog_fsck(struct store *store, const struct signer *signer,
                                 const struct tlog_options *options,
                                 void (*say)(void *ctx, bool problem, const char *line), void *ctx,
                                 struct tlog_fsck_report *out);

/* tlog_anchor_accept writes the anchors that are missing or unreadable, of (size, root), for a
 * stopped log. Errors: FAILED_PRECONDITION if both are readable, a readable one is higher or
 * contradicts, or the store does not recompute to exactly (size, root). */
MUST_USE struct error *tlog_anchor_accept(struct store *store, const struct signer *signer,
                                          const struct tlog_options *options, uint64_t size,
                                          const struct sha256 *root);
#endif
