/*
 * internal: the log's state and what its files share. Three threads carry a round: the sequencer
 * builds it (round.c), the committer writes its batch, and the anchorer writes both anchors,
 * publishes it and answers (commit.c). Each works on another round meanwhile. A round changes owner
 * whole, under the lock, and they pass in their order.
 */
#ifndef TLOG_INTERNAL_H
#define TLOG_INTERNAL_H

#include <pthread.h>

#include "tlog/anchor.h"
#include "tlog/growth.h"
#include "tlog/pool.h"
#include "tlog/tlog.h"
#include "tlog/tree.h"

#define LEAF_MAX_OCTETS ((size_t)UINT16_MAX)    /* an entry bundle counts in u16 */
#define SUBMISSION_MAX_OCTETS ((size_t)8 << 20) /* beside its terms: what a record can hold */
#define ROUND_MAX_OCTETS ((size_t)16 << 20)     /* a round takes no more once it has these */
#define QUEUE_MAX_OCTETS ((size_t)256 << 20)    /* beyond: QUEUE_FULL */
#define ROUND_ENTRIES_LIMIT 65536U              /* of the option */
#define NOTE_MAX_OCTETS ANCHOR_CHECKPOINT_MAX   /* of either form of a checkpoint */
#define WHY_OCTETS 512                          /* of the sentence, with its NUL */
#define THREADS 3U                              /* that carry a round, one after the other */
#define ROUNDS THREADS                          /* one each */

/* One new entry of a round. What in-flight duplicates are compared with is copied here: the
 * submission is gone once `done` was called. */
struct slot {
    struct tlog_submission *sub;
    struct sha256 dedup_key;
    struct sha256 content;
    struct sha256 leaf_hash;
    struct signature set; /* leaves only with a committed round */
    struct error *err;    /* owned; of the parallel work on it */
};

/* A submission of a round that makes no new entry: a repeat, or refused. It is answered in its
 * round's turn, because what it repeats may still be on its way to the disk. */
struct answer {
    struct tlog_submission *sub;
    uint64_t index;
    struct error *err; /* owned; NULL: it repeats `index` */
};

struct round {
    struct tlog *log;
    struct tlog_submission *taken; /* from the queue, in its order */
    bool doomed;                   /* the log had failed when they were taken */

    struct slot *slots; /* options.round_entries_max of them, and of answers */
    size_t slot_count;
    struct answer *answers;
    size_t answer_count;
    uint32_t *table;   /* open hash of dedup keys: 1 + slot, 0 is empty */
    size_t table_size; /* a power of two, at least twice the slots */

    struct growth growth;
    struct tlog_head after;
    int64_t now_ms; /* monotone */
    struct buf v1;
    struct buf c2sp;
    struct store_round *batch; /* owned */
    uint64_t begun_us;

    bool durable; /* its batch is in the store: set by the committer */
    bool busy;    /* guarded by: log->lock; taken and not yet answered */
};

/* A place for one round on its way from one thread to the next. */
struct handoff {
    pthread_cond_t changed;
    /* guarded by: log->lock */
    struct round *round;
    bool closed; /* nothing will come any more */
};

struct tlog {
    struct tlog_options options; /* views of it: below */
    char origin[ANCHOR_ORIGIN_MAX + 1];
    struct file_path anchor_inner;
    struct file_path anchor_outer;
    struct file_path data_dir;
    struct store *store;
    const struct signer *signer;
    struct tree tree; /* of the published head, or further: has its own lock */

    pthread_mutex_t lock;
    pthread_cond_t work;  /* for the sequencer: a submission, a free round, the end */
    pthread_cond_t quiet; /* for drain and unwatch: something has ended */
    /* guarded by: lock */
    enum tlog_state state;
    bool disk_low; /* READ_ONLY for want of room: ends when there is room */
    char why[WHY_OCTETS];
    struct tlog_head head;
    uint64_t stored_size; /* of the newest round whose batch is durable: at least the head's */
    struct tlog_submission *queue_first;
    struct tlog_submission *queue_last;
    size_t queue_count;
    size_t queue_octets;
    bool draining;
    bool stopping; /* for the sequencer */
    struct tlog_watcher *watchers;
    bool notifying; /* watchers are being called: the list must not change */

    /* owned by: sequencer */
    struct merkle_frontier frontier; /* of the newest round built */
    struct sha256 root;
    int64_t integrated_s;
    struct edge *edge;
    struct round rounds[ROUNDS];
    unsigned turn; /* which of them is next */
    struct pool pool;

    struct handoff built;     /* sequencer to committer */
    struct handoff committed; /* committer to anchorer */

    /* owned by: anchorer (by tlog_open before it starts) */
    struct anchor inner;
    struct anchor outer;
    bool anchor_failed; /* no anchor is written any more */

    bool running;               /* the threads were started; for who opens and frees */
    pthread_t threads[THREADS]; /* anchorer, committer, sequencer */
};

static inline struct bytes log_origin(const struct tlog *t) { return bytes_of_cstr(t->origin); }

void log_lock(const struct tlog *t);
void log_unlock(const struct tlog *t);

/* log_step tells a test that something is done, durable where the name says a write. */
void log_step(const struct tlog *t, const char *step);

/* log_fail makes the log FAILED for good, with a sentence. Any thread. */
void log_fail(struct tlog *t, const char *what, const struct error *err);

/* --- round.c; sequencer */
MUST_USE struct error *round_init(struct round *r, struct tlog *t);
void round_done(struct round *r);

/* round_build makes a round of what was taken. Submissions that it cannot log become answers. */
void round_build(struct tlog *t, struct round *r);

/* round_forget wipes what must not leave a failed round: its signatures. */
void round_forget(struct round *r);

/* --- commit.c */

/* round_commit writes the batch; committer. round_finish anchors, publishes and answers, or fails
 * the round; anchorer. */
void round_commit(struct tlog *t, struct round *r);
void round_finish(struct tlog *t, struct round *r);

/* anchor_both writes (head, checkpoint) into both anchors. */
MUST_USE struct error *anchor_both(struct tlog *t, const struct tlog_head *head,
                                   struct bytes checkpoint);

/* --- sequencer.c */
MUST_USE struct error *sequencer_start(struct tlog *t);
void sequencer_stop(struct tlog *t);

/* log_check_disk updates disk_low. */
void log_check_disk(struct tlog *t);

/* --- open.c */

/* log_base_init copies the options and makes locks, anchors and tree; log_base_done frees. The
 * caller's storage: fsck and accept have a log without threads. */
MUST_USE struct error *log_base_init(struct tlog *t, struct store *store,
                                     const struct signer *signer,
                                     const struct tlog_options *options);
void log_base_done(struct tlog *t);

/* log_seal makes a log that is being opened read-only; the first sentence is kept. */
void log_seal(struct tlog *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- recover.c */

/* log_recover compares what is stored with the anchors, and seals the log or takes the anchors. */
MUST_USE struct error *log_recover(struct tlog *t, struct arena *arena);

/* log_load_head reads the stored head. log_check_tree recomputes it and seals the log where it
 * cannot be. log_stored_checkpoint gives the C2SP note of the head; an empty view: there is none.
 * Errors: FAILED_PRECONDITION: it is of another log or key. */
MUST_USE struct error *log_load_head(struct tlog *t);
MUST_USE struct error *log_check_tree(struct tlog *t);
MUST_USE struct error *log_stored_checkpoint(struct tlog *t, struct arena *arena,
                                             struct bytes *out);

/* checkpoint_check answers whether both notes are this log's, for exactly (size, root). */
MUST_USE struct error *checkpoint_check(const struct tlog *t, uint64_t size,
                                        const struct sha256 *root, struct bytes v1,
                                        struct bytes c2sp, bool *out_good);

struct found_anchor {
    const char *path;
    enum anchor_state state;
    struct anchor_value value;
    bool ours; /* a good one is of this log: origin, and checkpoint by its key */
};

MUST_USE struct error *log_find_anchor(const struct tlog *t, struct arena *arena, const char *path,
                                       struct found_anchor *out);

/* log_check_anchor seals the log if it does not reach a good anchor, or contradicts it. */
MUST_USE struct error *log_check_anchor(struct tlog *t, const struct found_anchor *a);

#endif
