/*
 * The queue and the three threads. A round is taken whenever one of the three round objects is
 * free: at once at low load, and under load after what the round before it took, with all that came
 * in between. So a round is as long as its longest sync, and waits for nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/assert.h"
#include "obs/obs.h"
#include "tlog/internal.h"

#define TICK_S 1 /* how often an idle log looks at the disk */

/* --- the queue */

static size_t record_octets(const struct tlog_submission *sub) {
    return sub->payload.len + sub->signature.len + sub->leaf.len;
}

/* octets_of is what a submission weighs in memory and in a round: its rows in the indexes can be
 * many times its payload. */
static size_t octets_of(const struct tlog_submission *sub) {
    return record_octets(sub) + store_terms_octets(&sub->terms);
}

static struct error *check_submission(const struct tlog_submission *sub) {
    if (sub->leaf.len > LEAF_MAX_OCTETS)
        return error_new(ERROR_INVALID_ARGUMENT, "a leaf of %zu octets: over %zu", sub->leaf.len,
                         LEAF_MAX_OCTETS);
    if (record_octets(sub) > SUBMISSION_MAX_OCTETS)
        return error_reason_new(REASON_MESSAGE_TOO_LARGE, "a submission of %zu octets: over %zu",
                                record_octets(sub), SUBMISSION_MAX_OCTETS);
    /* Refused here: what the store does not take would fail the others of its round, too. */
    size_t terms = store_terms_octets(&sub->terms);
    if (terms > STORE_ENTRY_MAX_OCTETS)
        return error_reason_new(
            REASON_MESSAGE_TOO_LARGE,
            "a submission whose lineage takes %zu octets in the index: over %zu", terms,
            STORE_ENTRY_MAX_OCTETS);
    return NULL;
}

/* why_closed says why the log takes nothing now, or NULL. The lock is held. */
static struct error *why_closed(const struct tlog *t) {
    if (t->state == TLOG_FAILED)
        return error_reason_new(REASON_ROUND_FAILED, "the log failed and must restart");
    if (t->draining) return error_reason_new(REASON_SHUTTING_DOWN, "the log is stopping");
    if (t->disk_low)
        return error_reason_new(REASON_DISK_RESERVE_REACHED, "the disk is nearly full");
    if (t->state != TLOG_SERVING)
        return error_reason_new(REASON_LOG_READ_ONLY, "the log is read-only: %s", t->why);
    return NULL;
}

/* why_not says why the log takes no submission of `octets`, or NULL. The lock is held. */
static struct error *why_not(const struct tlog *t, size_t octets) {
    TRY(why_closed(t));
    if (t->queue_count >= t->options.queue_max || octets > QUEUE_MAX_OCTETS - t->queue_octets)
        return error_reason_new(REASON_QUEUE_FULL, "the log's queue is full");
    return NULL;
}

struct error *tlog_require_serving(struct tlog *t) {
    log_lock(t);
    struct error *err = why_closed(t);
    log_unlock(t);
    return err;
}

/* enqueue wakes the sequencer where it may wait for a submission: it does so with an empty queue
 * alone. Under the lock: once that is free the submission may be answered, and the log freed,
 * before this thread goes on. The lock is held. */
static void enqueue(struct tlog *t, struct tlog_submission *sub, size_t octets) {
    bool was_empty = t->queue_last == NULL;
    sub->next = NULL;
    if (was_empty)
        t->queue_first = sub;
    else
        t->queue_last->next = sub;
    t->queue_last = sub;
    t->queue_count++;
    t->queue_octets += octets;
    if (was_empty) ASSERT(pthread_cond_signal(&t->work) == 0);
}

struct error *tlog_submit(struct tlog *t, struct tlog_submission *sub) {
    TRY(check_submission(sub));
    size_t octets = octets_of(sub);
    log_lock(t);
    struct error *err = why_not(t, octets);
    if (err == NULL) enqueue(t, sub, octets);
    metric_queue("log", t->queue_count);
    log_unlock(t);
    return err;
}

/* take_from_queue moves a round's worth from the queue, which is not empty, to `r`. The lock is
 * held. */
static void take_from_queue(struct tlog *t, struct round *r) {
    struct tlog_submission *last = t->queue_first;
    size_t octets = octets_of(last);
    uint32_t count = 1;
    r->taken = last;
    while (last->next != NULL && count < t->options.round_entries_max &&
           octets < ROUND_MAX_OCTETS) {
        last = last->next;
        octets += octets_of(last);
        count++;
    }
    t->queue_first = last->next;
    last->next = NULL;
    if (t->queue_first == NULL) t->queue_last = NULL;
    t->queue_count -= count;
    t->queue_octets -= octets;
    metric_queue("log", t->queue_count);
    r->doomed = t->state == TLOG_FAILED;
}

/* --- the disk */

void log_check_disk(struct tlog *t) {
    struct statvfs fs;
    if (statvfs(t->data_dir.text, &fs) != 0) return; /* nothing known: writes tell */
    uint64_t free_octets = (uint64_t)fs.f_bavail * fs.f_frsize;
    bool low = free_octets < t->options.disk_reserve;
    metric_set(METRIC_DISK_FREE, free_octets);
    log_lock(t);
    bool changed = low != t->disk_low && t->state != TLOG_FAILED;
    if (changed) {
        t->disk_low = low;
        t->state = low ? TLOG_READ_ONLY : TLOG_SERVING;
        (void)snprintf(t->why, sizeof t->why, "%s",
                       low ? "the disk of the data directory has reached its reserve" : "");
    }
    log_unlock(t);
    if (!changed) return;
    metric_set(METRIC_READ_ONLY, low ? 1 : 0);
    log_event(low ? LOG_ERROR : LOG_INFO, low ? "disk_reserve_reached" : "disk_reserve_restored",
              LOG_U64("free", free_octets), LOG_U64("reserve", t->options.disk_reserve));
}

static void tick(struct tlog *t) {
    log_check_disk(t);
    metric_set(METRIC_STORE_BYTES, kv_size_octets(store_kv(t->store)));
}

/* --- from thread to thread */

static void hand_over(struct tlog *t, struct handoff *h, struct round *r) {
    log_lock(t);
    while (h->round != NULL) ASSERT(pthread_cond_wait(&h->changed, &t->lock) == 0);
    h->round = r;
    log_unlock(t);
    ASSERT(pthread_cond_signal(&h->changed) == 0);
}

static void hand_no_more(struct tlog *t, struct handoff *h) {
    log_lock(t);
    h->closed = true;
    log_unlock(t);
    ASSERT(pthread_cond_signal(&h->changed) == 0);
}

/* take_over waits for the next round; NULL at the end. */
static struct round *take_over(struct tlog *t, struct handoff *h) {
    log_lock(t);
    while (h->round == NULL && !h->closed) ASSERT(pthread_cond_wait(&h->changed, &t->lock) == 0);
    struct round *r = MOVE(h->round);
    log_unlock(t);
    if (r != NULL) ASSERT(pthread_cond_signal(&h->changed) == 0);
    return r;
}

/* --- the sequencer's thread */

static struct timespec next_tick(void) {
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at); /* cannot fail with a valid id */
    at.tv_sec += TICK_S;
    return at;
}

/* next_round waits for work and a free round, and takes both; NULL at the end. */
static struct round *next_round(struct tlog *t) {
    struct round *r = &t->rounds[t->turn];
    struct timespec at = next_tick();
    log_lock(t);
    while (t->queue_first == NULL || r->busy) {
        if (t->stopping && t->queue_first == NULL) {
            log_unlock(t);
            return NULL;
        }
        int rc = pthread_cond_timedwait(&t->work, &t->lock, &at);
        ASSERT(rc == 0 || rc == ETIMEDOUT);
        if (rc == 0) continue;
        log_unlock(t);
        tick(t);
        at = next_tick();
        log_lock(t);
    }
    take_from_queue(t, r);
    r->busy = true;
    log_unlock(t);
    t->turn = (t->turn + 1) % ROUNDS;
    return r;
}

static void *sequencer_main(void *arg) {
    struct tlog *t = arg;
    for (struct round *r = next_round(t); r != NULL; r = next_round(t)) {
        round_build(t, r);
        log_step(t, "built");
        hand_over(t, &t->built, r);
    }
    hand_no_more(t, &t->built);
    return NULL;
}

/* --- the committer's and the anchorer's threads */

static void *committer_main(void *arg) {
    struct tlog *t = arg;
    for (struct round *r = take_over(t, &t->built); r != NULL; r = take_over(t, &t->built)) {
        round_commit(t, r);
        hand_over(t, &t->committed, r);
    }
    hand_no_more(t, &t->committed);
    return NULL;
}

static void give_back(struct tlog *t, struct round *r) {
    log_lock(t);
    r->busy = false;
    log_unlock(t);
    ASSERT(pthread_cond_signal(&t->work) == 0);
    ASSERT(pthread_cond_broadcast(&t->quiet) == 0);
}

static void *anchorer_main(void *arg) {
    struct tlog *t = arg;
    for (struct round *r = take_over(t, &t->committed); r != NULL;
         r = take_over(t, &t->committed)) {
        round_finish(t, r);
        give_back(t, r);
    }
    return NULL;
}

/* --- start and stop */

static struct error *start(pthread_t *thread, void *(*fn)(void *arg), struct tlog *t) {
    int rc = pthread_create(thread, NULL, fn, t);
    if (rc == 0) return NULL;
    return error_new(ERROR_UNAVAILABLE, "start a thread: %s", strerror(rc));
}

/* join waits for the first `count` threads: each of them ends after the one behind it. */
static void join(struct tlog *t, unsigned count) {
    for (unsigned i = 0; i < count; i++) ASSERT(pthread_join(t->threads[i], NULL) == 0);
}

struct error *sequencer_start(struct tlog *t) {
    static void *(*const mains[THREADS])(void *arg) = {anchorer_main, committer_main,
                                                       sequencer_main};
    struct handoff *const inlets[THREADS - 1] = {&t->committed, &t->built};
    unsigned started = 0;
    struct error *err = pool_init(&t->pool, t->options.workers);
    if (err != NULL) return err;
    while (err == NULL && started < THREADS) {
        err = start(&t->threads[started], mains[started], t);
        if (err == NULL) started++;
    }
    t->running = err == NULL;
    metric_queue("log", 0);
    if (err == NULL) return NULL;
    if (started > 0) hand_no_more(t, inlets[started - 1]);
    join(t, started);
    pool_done(&t->pool);
    return err;
}

void sequencer_stop(struct tlog *t) {
    if (!t->running) return;
    log_lock(t);
    t->stopping = true;
    ASSERT(pthread_cond_broadcast(&t->work) == 0);
    log_unlock(t);
    join(t, THREADS); /* with an empty queue */
    pool_done(&t->pool);
    t->running = false;
}

static bool is_busy(const struct tlog *t) {
    for (unsigned i = 0; i < ROUNDS; i++)
        if (t->rounds[i].busy) return true;
    return t->queue_first != NULL;
}

void tlog_drain(struct tlog *t) {
    log_lock(t);
    t->draining = true;
    while (is_busy(t)) ASSERT(pthread_cond_wait(&t->quiet, &t->lock) == 0);
    log_unlock(t);
    struct error *err = kv_flush(store_kv(t->store));
    if (err == NULL) return;
    log_event(LOG_WARN, "flush_failed", LOG_ERR("error", err));
    error_ignore(err, "the write-ahead log has it all");
}

/* --- watchers */

void tlog_watch(struct tlog *t, struct tlog_watcher *w) {
    log_lock(t);
    w->next = t->watchers; /* in front: who walks the list now does not meet it */
    t->watchers = w;
    log_unlock(t);
}

void tlog_unwatch(struct tlog *t, struct tlog_watcher *w) {
    log_lock(t);
    while (t->notifying) ASSERT(pthread_cond_wait(&t->quiet, &t->lock) == 0);
    struct tlog_watcher **at = &t->watchers;
    while (*at != NULL && *at != w) at = &(*at)->next;
    if (*at != NULL) *at = w->next;
    log_unlock(t);
}
