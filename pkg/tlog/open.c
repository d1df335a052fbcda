/* The life of a log: options, opening, closing, and what everybody may ask. */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "note/note.h"
#include "obs/obs.h"
#include "tlog/internal.h"

void log_lock(const struct tlog *t) {
    ASSERT(pthread_mutex_lock((pthread_mutex_t *)&t->lock) == 0);
}

void log_unlock(const struct tlog *t) {
    ASSERT(pthread_mutex_unlock((pthread_mutex_t *)&t->lock) == 0);
}

void log_step(const struct tlog *t, const char *step) {
    if (t->options.after_write != NULL) t->options.after_write(t->options.after_write_ctx, step);
}

void log_fail(struct tlog *t, const char *what, const struct error *err) {
    char text[256];
    error_text(err, text, sizeof text);
    log_lock(t);
    bool first = t->state != TLOG_FAILED;
    if (first) (void)snprintf(t->why, sizeof t->why, "%s: %s; restart the server", what, text);
    t->state = TLOG_FAILED;
    log_unlock(t);
    metric_set(METRIC_READ_ONLY, 1);
    if (first) log_event(LOG_ERROR, "log_failed", LOG_CSTR("what", what), LOG_ERR("error", err));
}

void log_seal(struct tlog *t, const char *fmt, ...) {
    if (t->state == TLOG_READ_ONLY) return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(t->why, sizeof t->why, fmt, args);
    va_end(args);
    t->state = TLOG_READ_ONLY;
}

static struct error *copy_options(struct tlog *t, const struct tlog_options *options) {
    if (!note_name_is_valid(options->origin) || options->origin.len > ANCHOR_ORIGIN_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "the origin cannot name a log");
    t->options = *options;
    memcpy(t->origin, options->origin.data, options->origin.len);
    t->options.origin = log_origin(t);
    TRY(file_path_absolute(options->anchor_inner, &t->anchor_inner));
    TRY(file_path_absolute(options->anchor_outer, &t->anchor_outer));
    TRY(file_path_absolute(options->data_dir == NULL ? "." : options->data_dir, &t->data_dir));
    t->options.anchor_inner = t->anchor_inner.text;
    t->options.anchor_outer = t->anchor_outer.text;
    t->options.data_dir = t->data_dir.text;
    return NULL;
}

struct error *log_base_init(struct tlog *t, struct store *store, const struct signer *signer,
                            const struct tlog_options *options) {
    pthread_condattr_t monotonic;
    *t = (struct tlog){.store = store, .signer = signer, .state = TLOG_SERVING};
    t->inner.fd = t->outer.fd = -1;
    ASSERT(pthread_mutex_init(&t->lock, NULL) == 0);
    ASSERT(pthread_condattr_init(&monotonic) == 0);
    ASSERT(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_cond_init(&t->work, &monotonic) == 0);
    ASSERT(pthread_cond_init(&t->built.changed, NULL) == 0);
    ASSERT(pthread_cond_init(&t->committed.changed, NULL) == 0);
    ASSERT(pthread_cond_init(&t->quiet, NULL) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    tree_init(&t->tree, store);
    return copy_options(t, options);
}

void log_base_done(struct tlog *t) {
    anchor_close(&t->outer);
    anchor_close(&t->inner);
    tree_done(&t->tree);
    (void)pthread_cond_destroy(&t->quiet);
    (void)pthread_cond_destroy(&t->committed.changed);
    (void)pthread_cond_destroy(&t->built.changed);
    (void)pthread_cond_destroy(&t->work);
    (void)pthread_mutex_destroy(&t->lock);
}

static struct error *prepare(struct tlog *t) {
    const struct tlog_options *o = &t->options;
    if (o->round_entries_max == 0 || o->round_entries_max > ROUND_ENTRIES_LIMIT ||
        o->queue_max == 0 || o->workers > POOL_THREADS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "a limit of the log is out of range");
    t->edge = alloc_zero(1, sizeof *t->edge);
    if (t->edge == NULL) return error_nomem();
    *t->edge = t->tree.edge; /* no thread yet */
    for (unsigned i = 0; i < ROUNDS; i++) TRY(round_init(&t->rounds[i], t));
    return NULL;
}

struct error *tlog_open(struct store *store, const struct signer *signer,
                        const struct tlog_options *options, struct tlog **out) {
    struct arena arena;
    CLEANUP(tlog_freep) struct tlog *t = alloc_zero(1, sizeof *t);
    if (t == NULL) return error_nomem();
    TRY(log_base_init(t, store, signer, options));
    arena_init(&arena, (size_t)1 << 20);
    struct error *err = log_recover(t, &arena);
    arena_done(&arena);
    TRY(err);
    metric_set(METRIC_LOG_SIZE, t->head.size);
    metric_set(METRIC_READ_ONLY, t->state == TLOG_SERVING ? 0 : 1);
    if (t->state == TLOG_SERVING) {
        TRY(prepare(t));
        log_check_disk(t);
        TRY(sequencer_start(t));
        log_event(LOG_INFO, "log_opened", LOG_U64("size", t->head.size));
    } else {
        log_event(LOG_ERROR, "log_read_only", LOG_U64("size", t->head.size),
                  LOG_CSTR("why", t->why));
    }
    *out = MOVE(t);
    return NULL;
}

void tlog_free(struct tlog *t) {
    if (t == NULL) return;
    if (t->running) tlog_drain(t);
    sequencer_stop(t);
    for (unsigned i = 0; i < ROUNDS; i++) round_done(&t->rounds[i]);
    alloc_free(t->edge);
    log_base_done(t);
    alloc_free(t);
}

enum tlog_state tlog_state(const struct tlog *t) {
    log_lock(t);
    enum tlog_state state = t->state;
    log_unlock(t);
    return state;
}

void tlog_why(struct tlog *t, char *out, size_t size) {
    log_lock(t);
    (void)snprintf(out, size, "%s", t->why);
    log_unlock(t);
}

struct tlog_head tlog_head(struct tlog *t) {
    log_lock(t);
    struct tlog_head head = t->head;
    log_unlock(t);
    return head;
}

void tlog_flip_frontier(struct tlog *t) {
    ASSERT(t->frontier.size > 0);
    t->frontier.edge[__builtin_ctzll(t->frontier.size)].octets[0] ^= 1;
}
