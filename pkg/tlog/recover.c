/*
 * Opening: is what is stored what was acknowledged? The database cannot say it alone: its log of
 * writes may lose its end without a word, and a copy of it is as good as itself. So the tree is
 * recomputed (tree_load), and must reach both anchors and agree with them:
 *
 *   inner         outer         what follows
 *   good          good          the higher one binds; both must be prefixes of the stored tree
 *   good          missing       outer made anew, loudly; with anchor_required read-only instead
 *   missing, bad  good          inner made anew
 *   any           bad           read-only until `anchor accept`
 *   missing, bad  missing       read-only until `anchor accept`; an empty log makes both
 *
 * A store that is ahead of its anchors, by up to three rounds, is what a crash between batch and
 * anchor leaves: the anchors are brought up before anything is signed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "note/note.h"
#include "obs/obs.h"
#include "tlog/internal.h"

/* note_is answers whether `in` is a note by `key` whose text is exactly `text`. */
static struct error *note_is(const struct tlog *t, struct arena *arena, struct bytes in,
                             const struct public_key *key, struct bytes text, bool *out_good) {
    struct note note;
    bool valid = false;
    struct error *err = note_parse(arena, in, &note);
    if (err != NULL && error_code(err) == ERROR_INVALID_ARGUMENT) {
        error_ignore(err, "what does not read is not the note");
        *out_good = false;
        return NULL;
    }
    if (err == NULL) err = note_verify(&note, log_origin(t), key, &valid);
    if (err == NULL) *out_good = valid && bytes_equal(note.text, text);
    return err;
}

/* put_text puts the body of one of the two forms. */
static struct error *put_text(const struct tlog *t, struct buf *out, bool v1, uint64_t size,
                              const struct sha256 *root) {
    char origin[ANCHOR_ORIGIN_MAX + 32];
    int len = v1 ? snprintf(origin, sizeof origin, "%s - %" PRIu64, t->origin, t->options.tree_id)
                 : snprintf(origin, sizeof origin, "%s", t->origin);
    ASSERT(len > 0 && (size_t)len < sizeof origin);
    checkpoint_put_body(out, bytes_of_cstr(origin), size, root);
    return buf_finish(out, "checkpoint");
}

static struct error *check_form(const struct tlog *t, bool v1, uint64_t size,
                                const struct sha256 *root, struct bytes in, bool *out_good) {
    struct arena arena;
    struct buf text;
    enum signer_purpose purpose = v1 ? SIGNER_LOG_V1 : SIGNER_LOG_C2SP;
    arena_init(&arena, (size_t)1 << 20);
    buf_init_arena(&text, &arena, NOTE_MAX_OCTETS);
    struct error *err = put_text(t, &text, v1, size, root);
    if (err == NULL)
        err = note_is(t, &arena, in, signer_public(t->signer, purpose), buf_bytes(&text), out_good);
    arena_done(&arena);
    return err;
}

struct error *checkpoint_check(const struct tlog *t, uint64_t size, const struct sha256 *root,
                               struct bytes v1, struct bytes c2sp, bool *out_good) {
    bool good_v1 = false;
    bool good_c2sp = false;
    TRY(check_form(t, true, size, root, v1, &good_v1));
    TRY(check_form(t, false, size, root, c2sp, &good_c2sp));
    *out_good = good_v1 && good_c2sp;
    return NULL;
}

struct error *log_find_anchor(const struct tlog *t, struct arena *arena, const char *path,
                              struct found_anchor *out) {
    struct found_anchor a = {.path = path};
    TRY(anchor_read(arena, path, &a.state, &a.value));
    if (a.state == ANCHOR_GOOD) {
        TRY(check_form(t, false, a.value.size, &a.value.root, a.value.checkpoint, &a.ours));
        a.ours = a.ours && bytes_equal(a.value.origin, log_origin(t));
    }
    *out = a;
    return NULL;
}

/* --- the stored tree */

/* load_head reads the head and rebuilds it from tiles and entries. What cannot be rebuilt makes
 * the log read-only, with the stored head as it stands. */
struct error *log_load_head(struct tlog *t) {
    struct store_head *head = alloc_zero(1, sizeof *head);
    if (head == NULL) return error_nomem();
    struct error *err = store_get_head(t->store, NULL, head);
    if (err == NULL) {
        t->frontier = head->frontier;
        t->root = head->root;
        t->integrated_s = head->integrated_s;
        t->head = (struct tlog_head){head->frontier.size, head->root, head->integrated_s};
        t->stored_size = head->frontier.size;
    }
    alloc_free(head);
    return err;
}

struct error *log_check_tree(struct tlog *t) {
    struct error *err = tree_load(&t->tree, t->head.size);
    struct sha256 root = {{0}};
    if (err == NULL) err = tree_root(&t->tree, t->head.size, &root);
    if (err != NULL && error_code(err) == ERROR_DATA_LOSS) {
        char text[256];
        error_text(err, text, sizeof text);
        log_seal(t, "the stored tree cannot be rebuilt: %s; run `attestd fsck`", text);
        error_ignore(err, "the log is read-only because of it");
        return NULL;
    }
    TRY(err);
    struct sha256 of_frontier = merkle_root(&t->frontier);
    if (!sha256_equal(&root, &t->head.root) || !sha256_equal(&of_frontier, &t->head.root))
        log_seal(t,
                 "the %" PRIu64 " stored entries do not give the stored root; run `attestd fsck`",
                 t->head.size);
    return NULL;
}

/* stored_checkpoint gives the C2SP note of the head. An empty view: there is none yet. Errors:
 * FAILED_PRECONDITION: it is of another log or key. */
struct error *log_stored_checkpoint(struct tlog *t, struct arena *arena, struct bytes *out) {
    struct bytes v1 = {0};
    struct bytes c2sp = {0};
    bool found = false;
    bool good = false;
    TRY(store_get_checkpoint(t->store, arena, t->head.size, &found, &v1, &c2sp));
    if (!found) {
        if (t->head.size > 0)
            log_seal(t, "the checkpoint of the %" PRIu64 " stored entries is missing",
                     t->head.size);
        *out = (struct bytes){0};
        return NULL;
    }
    TRY(checkpoint_check(t, t->head.size, &t->head.root, v1, c2sp, &good));
    if (!good)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the stored checkpoint is not by this origin, tree id and keys: they are "
                         "another log's, or it is damaged");
    *out = c2sp;
    return NULL;
}

/* --- the anchors */

/* check_against seals the log if it does not reach a good anchor, or contradicts it. */
struct error *log_check_anchor(struct tlog *t, const struct found_anchor *a) {
    if (a->state != ANCHOR_GOOD) return NULL;
    if (!a->ours) {
        log_seal(t, "the anchor %s is of another log", a->path);
        return NULL;
    }
    if (a->value.size > t->head.size) {
        log_seal(t,
                 "the store holds %" PRIu64 " entries, but %" PRIu64
                 " were anchored in %s: entries "
                 "%" PRIu64 " to %" PRIu64 " are missing",
                 t->head.size, a->value.size, a->path, t->head.size, a->value.size - 1);
        return NULL;
    }
    bool prefix = false;
    if (t->state == TLOG_READ_ONLY) return NULL; /* the tree cannot be asked */
    TRY(tree_prefix(&t->tree, a->value.size, &a->value.root, t->head.size, &t->head.root, &prefix));
    if (!prefix)
        log_seal(
            t, "the first %" PRIu64 " entries of the store are not those that were anchored in %s",
            a->value.size, a->path);
    return NULL;
}

/* check_missing applies the table at the head of this file. */
static void check_missing(struct tlog *t, const struct found_anchor *inner,
                          const struct found_anchor *outer) {
    bool empty = t->head.size == 0;
    if (outer->state == ANCHOR_UNREADABLE)
        log_seal(t, "the anchor %s is damaged; see `attestd anchor accept`", outer->path);
    if (outer->state != ANCHOR_MISSING) return;
    if (inner->state == ANCHOR_UNREADABLE || (inner->state == ANCHOR_MISSING && !empty))
        log_seal(t,
                 "no anchor is left to compare with: %s is missing, and %s %s; see `attestd anchor "
                 "accept`",
                 outer->path, inner->path,
                 inner->state == ANCHOR_MISSING ? "is too" : "is damaged");
    if (t->options.anchor_required && !empty)
        log_seal(
            t, "the anchor %s is missing, and anchor.required is set; see `attestd anchor accept`",
            outer->path);
}

/* hold opens one anchor for writing, making it where there is no good one. */
static struct error *hold(struct tlog *t, const struct found_anchor *a, struct bytes checkpoint,
                          struct anchor *out) {
    uint64_t sequence = a->value.sequence;
    if (a->state != ANCHOR_GOOD) {
        struct anchor_value value = {.size = t->head.size,
                                     .root = t->head.root,
                                     .origin = log_origin(t),
                                     .checkpoint = checkpoint};
        TRY(anchor_create(a->path, a->state, &value));
        log_step(t, out == &t->inner ? "anchor_inner_created" : "anchor_outer_created");
        sequence = ANCHOR_FIRST_SEQUENCE;
        if (out == &t->outer && t->head.size > 0) {
            metric_add(METRIC_ANCHOR_CREATED, 1);
            log_event(LOG_WARN, "anchor_created", LOG_CSTR("path", a->path),
                      LOG_U64("size", t->head.size));
        }
    }
    return anchor_open(a->path, sequence, out);
}

static bool is_at_head(const struct tlog *t, const struct found_anchor *a) {
    return a->state != ANCHOR_GOOD || /* just made */
           (a->value.size == t->head.size && sha256_equal(&a->value.root, &t->head.root));
}

/* first_checkpoint signs and stores the checkpoint of the empty log.
 * If we stop after it: the next start finds it, and makes the anchors. */
static struct error *first_checkpoint(struct tlog *t, struct arena *arena, struct bytes *out) {
    CLEANUP(store_round_freep) struct store_round *batch = NULL;
    struct store_head *head = arena_alloc(arena, sizeof *head);
    struct buf v1;
    struct buf c2sp;
    if (head == NULL) return error_nomem();
    ASSERT(t->head.size == 0);
    buf_init_arena(&v1, arena, NOTE_MAX_OCTETS);
    buf_init_arena(&c2sp, arena, NOTE_MAX_OCTETS);
    t->head.root = t->root = head->root = merkle_empty_root();
    TRY(signer_put_checkpoint_v1(t->signer, &v1, log_origin(t), t->options.tree_id, 0, &t->root));
    TRY(signer_put_checkpoint_c2sp(t->signer, &c2sp, log_origin(t), 0, &t->root));
    TRY(buf_finish(&v1, "checkpoint"));
    TRY(buf_finish(&c2sp, "checkpoint"));
    TRY(store_round_new(t->store, &batch));
    store_round_head(batch, head);
    store_round_checkpoint(batch, 0, buf_bytes(&v1), buf_bytes(&c2sp));
    TRY(store_round_commit(batch));
    log_step(t, "empty_committed");
    *out = buf_bytes(&c2sp);
    return NULL;
}

/* take_anchors opens both anchors of a log that serves, and brings them up to its head. */
static struct error *take_anchors(struct tlog *t, struct arena *arena,
                                  const struct found_anchor *inner,
                                  const struct found_anchor *outer, struct bytes checkpoint) {
    if (checkpoint.len == 0) TRY(first_checkpoint(t, arena, &checkpoint));
    TRY(hold(t, inner, checkpoint, &t->inner));
    TRY(hold(t, outer, checkpoint, &t->outer));
    if (is_at_head(t, inner) && is_at_head(t, outer)) return NULL;
    log_event(LOG_INFO, "log_reanchored", LOG_U64("size", t->head.size));
    return anchor_both(t, &t->head, checkpoint);
}

struct error *log_recover(struct tlog *t, struct arena *arena) {
    struct found_anchor inner;
    struct found_anchor outer;
    struct bytes checkpoint = {0};
    TRY(log_load_head(t));
    TRY(log_stored_checkpoint(t, arena, &checkpoint));
    TRY(log_check_tree(t));
    TRY(log_find_anchor(t, arena, t->anchor_inner.text, &inner));
    TRY(log_find_anchor(t, arena, t->anchor_outer.text, &outer));
    const struct found_anchor *higher = inner.value.size > outer.value.size ? &inner : &outer;
    const struct found_anchor *lower = higher == &inner ? &outer : &inner;
    TRY(log_check_anchor(t, higher));
    TRY(log_check_anchor(t, lower));
    check_missing(t, &inner, &outer);
    if (t->state == TLOG_READ_ONLY) return NULL;
    return take_anchors(t, arena, &inner, &outer, checkpoint);
}
