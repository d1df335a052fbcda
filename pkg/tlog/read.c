/* Reading the log: checkpoints, proofs and tiles of the published head, from any thread. */
#include <inttypes.h>

#include "note/note.h"
#include "tlog/internal.h"

/* check_size refuses a size that the log has not reached. */
static struct error *check_size(struct tlog *t, uint64_t size, struct tlog_head *out_head) {
    *out_head = tlog_head(t);
    if (size <= out_head->size) return NULL;
    return error_reason_new(REASON_TREE_SIZE_IN_FUTURE,
                            "the log has %" PRIu64 " entries, not yet %" PRIu64, out_head->size,
                            size);
}

/* --- checkpoints */

/* root_of_note reads the root from a stored note. */
static struct error *root_of_note(struct arena *arena, struct bytes c2sp, uint64_t size,
                                  struct sha256 *out) {
    struct note note;
    struct checkpoint cp = {0};
    struct error *err = note_parse(arena, c2sp, &note);
    if (err == NULL) err = checkpoint_parse(note.text, true, &cp);
    if (err != NULL)
        return error_recode(err, ERROR_DATA_LOSS, "stored checkpoint of %" PRIu64, size);
    if (cp.size != size)
        return error_new(ERROR_DATA_LOSS, "the checkpoint stored for %" PRIu64 " is of %" PRIu64,
                         size, cp.size);
    *out = cp.root;
    return NULL;
}

/* sign_past signs the checkpoints of a size between rounds, after a proof that it is a prefix of
 * what was signed for the head. */
static struct error *sign_past(struct tlog *t, struct arena *arena, uint64_t size,
                               const struct tlog_head *head, struct bytes *v1, struct bytes *c2sp,
                               struct sha256 *root) {
    struct sha256 past;
    struct buf notes[2];
    bool prefix = false;
    TRY(tree_root(&t->tree, size, &past));
    TRY(tree_prefix(&t->tree, size, &past, head->size, &head->root, &prefix));
    if (!prefix)
        return error_new(ERROR_DATA_LOSS,
                         "the tree of %" PRIu64 " is no prefix of that of %" PRIu64, size,
                         head->size);
    for (size_t i = 0; i < 2; i++) buf_init_arena(&notes[i], arena, NOTE_MAX_OCTETS);
    TRY(signer_put_checkpoint_v1(t->signer, &notes[0], log_origin(t), t->options.tree_id, size,
                                 &past));
    TRY(signer_put_checkpoint_c2sp(t->signer, &notes[1], log_origin(t), size, &past));
    for (size_t i = 0; i < 2; i++) TRY(buf_finish(&notes[i], "checkpoint"));
    *v1 = buf_bytes(&notes[0]);
    *c2sp = buf_bytes(&notes[1]);
    *root = past;
    return NULL;
}

struct error *tlog_checkpoint(struct tlog *t, struct arena *arena, uint64_t size, struct bytes *v1,
                              struct bytes *c2sp, struct sha256 *root) {
    struct tlog_head head;
    struct bytes stored_v1 = {0};
    struct bytes stored_c2sp = {0};
    bool found = false;
    TRY(check_size(t, size, &head));
    TRY(store_get_checkpoint(t->store, arena, size, &found, &stored_v1, &stored_c2sp));
    if (found) {
        TRY(root_of_note(arena, stored_c2sp, size, root));
        *v1 = stored_v1;
        *c2sp = stored_c2sp;
        return NULL;
    }
    switch (tlog_state(t)) {
        case TLOG_SERVING:
            return sign_past(t, arena, size, &head, v1, c2sp, root);
        case TLOG_FAILED:
            return error_reason_new(REASON_ROUND_FAILED, "the log failed and must restart");
        default:
            return error_reason_new(
                REASON_LOG_READ_ONLY,
                "no checkpoint of %" PRIu64 " is stored, and none is signed now", size);
    }
}

/* --- proofs */

struct error *tlog_inclusion(struct tlog *t, uint64_t index, uint64_t size,
                             struct merkle_proof *out) {
    struct tlog_head head;
    struct tree_reader r;
    TRY(check_size(t, size, &head));
    tree_reader_init(&r, &t->tree);
    struct merkle_source src = tree_source(&r);
    struct error *err = merkle_prove_inclusion(&src, index, size, out);
    tree_reader_done(&r);
    return err;
}

struct error *tlog_consistency(struct tlog *t, uint64_t old_size, uint64_t new_size,
                               struct merkle_proof *out) {
    struct tlog_head head;
    struct tree_reader r;
    TRY(check_size(t, new_size, &head));
    tree_reader_init(&r, &t->tree);
    struct merkle_source src = tree_source(&r);
    struct error *err = merkle_prove_consistency(&src, old_size, new_size, out);
    tree_reader_done(&r);
    return err;
}

/* --- tiles */

struct error *tlog_tile(struct tlog *t, struct arena *arena, const struct merkle_tile *tile,
                        bool *found, struct bytes *out) {
    struct tlog_head head = tlog_head(t);
    /* SPEC c2sp-tlog-tiles Partial tiles: "Logs MUST serve partial tiles corresponding to tree
     * sizes for which a checkpoint was produced": every width up to today's is one. */
    if (tile->width == 0 || tile->width > merkle_tile_width(tile->level, tile->index, head.size)) {
        *found = false;
        return NULL;
    }
    struct bytes octets = {0};
    TRY(tree_tile(&t->tree, arena, tile, &octets));
    *found = true;
    *out = octets;
    return NULL;
}
