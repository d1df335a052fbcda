/*
 * `anchor accept`: an operator says that (size, root) is the log's head, where an anchor is missing
 * or damaged. It is never a way around a readable one.
 *
 * Each anchor is made whole or not at all. If we stop after the first, the second is still missing,
 * and the command can be given again.
 */
#include <inttypes.h>

#include "obs/obs.h"
#include "tlog/internal.h"

static struct error *check_head(struct tlog *t, uint64_t size, const struct sha256 *root) {
    TRY(log_check_tree(t));
    if (t->head.size != size || !sha256_equal(&t->head.root, root))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the store has %" PRIu64 " entries with another size or root than given",
                         t->head.size);
    return NULL;
}

static struct error *make(struct tlog *t, const struct found_anchor *a, struct bytes checkpoint) {
    if (a->state == ANCHOR_GOOD) return NULL;
    struct anchor_value value = {.size = t->head.size,
                                 .root = t->head.root,
                                 .origin = log_origin(t),
                                 .checkpoint = checkpoint};
    TRY(anchor_create(a->path, a->state, &value));
    log_event(LOG_WARN, "anchor_accepted", LOG_CSTR("path", a->path), LOG_U64("size", value.size));
    return NULL;
}

static struct error *accept(struct tlog *t, struct arena *arena, uint64_t size,
                            const struct sha256 *root) {
    struct found_anchor inner;
    struct found_anchor outer;
    struct bytes checkpoint = {0};
    TRY(log_load_head(t));
    TRY(log_stored_checkpoint(t, arena, &checkpoint));
    TRY(check_head(t, size, root));
    TRY(log_find_anchor(t, arena, t->anchor_inner.text, &inner));
    TRY(log_find_anchor(t, arena, t->anchor_outer.text, &outer));
    if (inner.state == ANCHOR_GOOD && outer.state == ANCHOR_GOOD)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "both anchors are readable: there is nothing to accept");
    TRY(log_check_anchor(t, &inner));
    TRY(log_check_anchor(t, &outer));
    if (t->state == TLOG_READ_ONLY) /* the tree does not agree with itself, or with an anchor */
        return error_new(ERROR_FAILED_PRECONDITION, "%s", t->why);
    if (checkpoint.len == 0)
        return error_new(ERROR_FAILED_PRECONDITION, "the log was never started");
    TRY(make(t, &inner, checkpoint));
    return make(t, &outer, checkpoint);
}

struct error *tlog_anchor_accept(struct store *store, const struct signer *signer,
                                 const struct tlog_options *options, uint64_t size,
                                 const struct sha256 *root) {
    struct tlog t;
    struct arena arena;
    arena_init(&arena, (size_t)1 << 20);
    struct error *err = log_base_init(&t, store, signer, options);
    if (err == NULL) err = accept(&t, &arena, size, root);
    log_base_done(&t);
    arena_done(&arena);
    return err;
}
