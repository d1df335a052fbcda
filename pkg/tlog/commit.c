/*
 * Committing a round: three durable steps, in this order, and only then anybody hears of it. The
 * committer takes the first while the anchorer takes the others for the round before.
 *
 *   1 the batch: entries, indexes, full tiles, frontier, both checkpoints, in one synced write
 *     If we stop before it: the log is as it was, the round's signatures died with the process.
 *     If we stop after it: the store is ahead of both anchors by this round, and by those before it
 *     that are not anchored yet: at most two, since no round is taken before the third one back was
 *     answered. That is the window that a crash leaves; the next start checks that the anchors'
 *     tree is a prefix and re-anchors. Whoever submitted heard nothing, retries, and finds the
 *     entry by its key.
 *   2 the inner anchor
 *     Both anchors are written, then synced one after the other: the second one's octets travel
 *     while the first is waited for. If we stop after it: the outer anchor may be one round behind,
 *     or torn in the slot being written, which binds less and no wrong.
 *   3 the outer anchor
 *     If we stop after it: as after 1, but that nothing of this round is left for the next start.
 *   4 publish: the head, then the answers. Nothing durable.
 *
 * The anchors come second, so that they are never ahead of the store unless the store lost
 * something. They come before the answers, so that whatever anybody was told is anchored. If any
 * step fails, its outcome is unknown (a failed fsync may have written all or nothing): the log is
 * FAILED, this round and every later one is answered UNAVAILABLE, also where its batch is in the
 * store by then, and no step is tried again. A round before it, durable and on its way to its
 * anchors, still gets there: nothing of what failed is below it.
 */
#include <inttypes.h>

#include "base/assert.h"
#include "obs/obs.h"
#include "tlog/internal.h"

static bool has_failed(struct tlog *t) {
    log_lock(t);
    bool failed = t->state == TLOG_FAILED;
    log_unlock(t);
    return failed;
}

struct error *anchor_both(struct tlog *t, const struct tlog_head *head, struct bytes checkpoint) {
    struct anchor_value value = {
        .size = head->size, .root = head->root, .origin = log_origin(t), .checkpoint = checkpoint};
    TRY(anchor_write(&t->inner, &value));
    TRY(anchor_write(&t->outer, &value));
    TRY(anchor_sync(&t->inner));
    log_step(t, "anchor_inner");
    TRY(anchor_sync(&t->outer));
    log_step(t, "anchor_outer");
    return NULL;
}

static void publish(struct tlog *t, struct round *r) {
    tree_grow(&t->tree, &r->growth); /* first: who reads the new head finds its nodes */
    log_lock(t);
    ASSERT(r->after.size == t->head.size + r->slot_count);
    ASSERT(r->after.integrated_s >= t->head.integrated_s);
    t->head = r->after;
    metric_set(METRIC_ANCHOR_LAG, t->stored_size - t->head.size);
    log_unlock(t);
    metric_set(METRIC_LOG_SIZE, r->after.size);
    metric_round(clock_mono_us(t->options.clock) - r->begun_us, r->slot_count);
}

static void answer_slot(const struct round *r, size_t i) {
    const struct slot *s = &r->slots[i];
    struct tlog_submission *sub = s->sub;
    sub->index = r->growth.before.size + i;
    sub->existing = false;
    sub->tree_size = r->after.size;
    sub->integrated_s = r->after.integrated_s;
    sub->set = s->set;
    sub->leaf_hash = s->leaf_hash;
    sub->root = r->after.root;
    sub->checkpoint_v1 = (const char *)r->v1.data;
    sub->checkpoint_v1_len = r->v1.len;
    sub->done(sub, NULL); /* it may be gone now */
}

static void answer_repeat(struct answer *a) {
    struct tlog_submission *sub = a->sub;
    sub->index = a->index;
    sub->existing = true;
    sub->done(sub, MOVE(a->err));
}

static void answer_all(struct round *r) {
    for (size_t i = 0; i < r->slot_count; i++) answer_slot(r, i);
    for (size_t i = 0; i < r->answer_count; i++) answer_repeat(&r->answers[i]);
}

static struct error *round_failed(void) {
    return error_reason_new(REASON_ROUND_FAILED, "the round could not be made durable");
}

static void fail_all(struct round *r) {
    round_forget(r);
    for (size_t i = 0; i < r->slot_count; i++)
        r->slots[i].sub->done(r->slots[i].sub, round_failed());
    for (size_t i = 0; i < r->answer_count; i++) {
        error_ignore(MOVE(r->answers[i].err), "the log's failure comes first");
        r->answers[i].sub->done(r->answers[i].sub, round_failed());
    }
}

static void notify(struct tlog *t, uint64_t size) {
    log_lock(t);
    t->notifying = true;
    struct tlog_watcher *first = t->watchers;
    log_unlock(t);
    for (struct tlog_watcher *w = first; w != NULL; w = w->next) w->fn(w->ctx, size);
    log_lock(t);
    t->notifying = false;
    ASSERT(pthread_cond_broadcast(&t->quiet) == 0);
    log_unlock(t);
}

static void write_failed(struct tlog *t, struct error *err) {
    log_fail(t, "a write failed", err);
    error_ignore(err, "told by the log's state");
}

void round_commit(struct tlog *t, struct round *r) {
    if (has_failed(t)) return; /* it is not durable: the anchorer fails it in its turn */
    if (r->slot_count > 0) {
        log_step(t, "committing");
        struct error *err = store_round_commit(r->batch);
        if (err != NULL) {
            write_failed(t, err);
            return;
        }
        log_step(t, "committed");
        store_round_clear(r->batch); /* written: a large one gives its memory back */
        log_lock(t);
        t->stored_size = r->after.size;
        metric_set(METRIC_ANCHOR_LAG, t->stored_size - t->head.size);
        log_unlock(t);
    }
    r->durable = true;
}

/* anchor makes the anchors reach a durable round. */
static void anchor(struct tlog *t, const struct round *r) {
    struct error *err = anchor_both(t, &r->after, buf_bytes(&r->c2sp));
    if (err == NULL) return;
    t->anchor_failed = true;
    write_failed(t, err);
}

void round_finish(struct tlog *t, struct round *r) {
    if (r->durable && r->slot_count > 0 && !t->anchor_failed) anchor(t, r);
    if (!r->durable || t->anchor_failed) {
        fail_all(r);
        return;
    }
    if (r->slot_count == 0) { /* repeats alone: what they repeat is anchored by now */
        answer_all(r);
        return;
    }
    publish(t, r);
    answer_all(r);
    notify(t, r->after.size);
}
