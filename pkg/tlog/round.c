/*
 * Building a round. Until it is handed over nothing of it is durable, and until the last check
 * nothing of the sequencer's own state has changed: what fails here is answered, and the log goes
 * on. The exception is a check that can only fail because memory is damaged: then the log stops.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "obs/obs.h"
#include "tlog/internal.h"

/* --- storage */

struct error *round_init(struct round *r, struct tlog *t) {
    size_t max = t->options.round_entries_max;
    *r = (struct round){.log = t, .table_size = 16};
    while (r->table_size < 2 * max) r->table_size *= 2;
    r->slots = alloc_zero(max, sizeof *r->slots);
    r->answers = alloc_zero(max, sizeof *r->answers);
    r->table = alloc_zero(r->table_size, sizeof *r->table);
    buf_init(&r->v1, NOTE_MAX_OCTETS);
    buf_init(&r->c2sp, NOTE_MAX_OCTETS);
    if (r->slots == NULL || r->answers == NULL || r->table == NULL) return error_nomem();
    TRY(growth_init(&r->growth, max));
    return store_round_new(t->store, &r->batch);
}

void round_forget(struct round *r) {
    for (size_t i = 0; i < r->slot_count; i++)
        secret_wipe(&r->slots[i].set, sizeof r->slots[i].set);
    if (r->v1.cap > 0) secret_wipe(r->v1.data, r->v1.cap);
    if (r->c2sp.cap > 0) secret_wipe(r->c2sp.data, r->c2sp.cap);
    buf_clear(&r->v1);
    buf_clear(&r->c2sp);
    if (r->batch != NULL) store_round_clear(r->batch);
}

void round_done(struct round *r) {
    store_round_free(r->batch);
    growth_done(&r->growth);
    buf_done(&r->v1);
    buf_done(&r->c2sp);
    alloc_free(r->table);
    alloc_free(r->answers);
    alloc_free(r->slots);
    *r = (struct round){0};
}

static void round_clear(struct round *r) {
    memset(r->table, 0, r->table_size * sizeof *r->table);
    r->slot_count = 0;
    r->answer_count = 0;
    buf_clear(&r->v1);
    buf_clear(&r->c2sp);
    ASSERT(store_round_octets(r->batch) == 0); /* written, or forgotten */
    r->durable = false;
}

/* --- who is new, who repeats */

/* find_slot gives the place in the table where `key` is or belongs: SHA-256 values spread by
 * themselves, and who submits cannot choose them (they hash the principal, too). */
static uint32_t *find_slot(const struct round *r, const struct sha256 *key) {
    uint64_t hash = 0;
    memcpy(&hash, key->octets, sizeof hash);
    for (size_t at = (size_t)hash & (r->table_size - 1);; at = (at + 1) & (r->table_size - 1)) {
        uint32_t *place = &r->table[at];
        if (*place == 0 || sha256_equal(&r->slots[*place - 1].dedup_key, key)) return place;
    }
}

static void add_answer(struct round *r, struct tlog_submission *sub, uint64_t index,
                       struct error *err) {
    ASSERT(r->answer_count < r->log->options.round_entries_max);
    r->answers[r->answer_count++] = (struct answer){.sub = sub, .index = index, .err = err};
}

static void add_repeat(struct round *r, struct tlog_submission *sub, uint64_t index,
                       const struct sha256 *content) {
    struct error *err = NULL;
    if (!sha256_equal(&sub->content, content))
        err = error_reason_new(REASON_IDEMPOTENCY_KEY_REUSED,
                               "the idempotency key was used for other content");
    add_answer(r, sub, index, err);
}

static bool has_expired(const struct tlog_submission *sub, int64_t logged_ms, int64_t now_ms) {
    return sub->dedup_ttl_ms > 0 && now_ms - logged_ms >= sub->dedup_ttl_ms;
}

/* find_in_flight looks into a round of this process. One that was committed since is still right,
 * and one that failed takes this round with it. */
static bool find_in_flight(const struct round *in, struct round *r, struct tlog_submission *sub) {
    uint32_t place = *find_slot(in, &sub->dedup_key);
    if (place == 0 || has_expired(sub, in->now_ms, r->now_ms)) return false;
    const struct slot *s = &in->slots[place - 1];
    uint64_t first = in == r ? r->log->frontier.size : in->growth.before.size;
    add_repeat(r, sub, first + place - 1, &s->content);
    return true;
}

/* place_one makes `sub` a new slot of the round or an answer. The newest entry of its key counts,
 * so rounds are asked from this one backwards. What came before the oldest of them is in the store:
 * the object of this round was the last of those, and was given back when it was answered. */
static void place_one(struct tlog *t, struct round *r, struct tlog_submission *sub) {
    unsigned own = (unsigned)(r - t->rounds);
    for (unsigned back = 0; back < ROUNDS; back++)
        if (find_in_flight(&t->rounds[(own + ROUNDS - back) % ROUNDS], r, sub)) return;

    struct store_dedup d;
    bool found = false;
    struct error *err = store_get_dedup(t->store, &sub->dedup_key, &found, &d);
    if (err != NULL) {
        add_answer(r, sub, 0, error_recode(err, ERROR_UNAVAILABLE, "look for an earlier entry"));
    } else if (found && !has_expired(sub, d.logged_ms, r->now_ms)) {
        add_repeat(r, sub, d.index, &d.content);
    } else {
        *find_slot(r, &sub->dedup_key) = (uint32_t)r->slot_count + 1;
        r->slots[r->slot_count++] =
            (struct slot){.sub = sub, .dedup_key = sub->dedup_key, .content = sub->content};
    }
}

/* refuse_all gives every slot, and whoever repeats one, an answer with `reason`; frees `err`, which
 * says why. The table forgets them: nobody can repeat what is not logged. */
static void refuse_all(struct round *r, enum reason reason, struct error *err) {
    char text[256];
    error_text(err, text, sizeof text);
    for (size_t i = 0; i < r->answer_count; i++) {
        if (r->answers[i].index < r->log->frontier.size) continue;
        error_ignore(r->answers[i].err, "it spoke of an entry that is not to be");
        r->answers[i].err = error_reason_new(reason, "%s", text);
    }
    for (size_t i = 0; i < r->slot_count; i++)
        add_answer(r, r->slots[i].sub, 0, error_reason_new(reason, "%s", text));
    round_forget(r);
    r->slot_count = 0;
    memset(r->table, 0, r->table_size * sizeof *r->table);
    error_ignore(err, "given to each submission");
}

/* --- the entries: hashes and signatures, on all workers */

static void hash_and_sign(void *ctx, size_t i) {
    struct round *r = ctx;
    struct slot *s = &r->slots[i];
    s->leaf_hash = merkle_leaf_hash(s->sub->leaf);
    s->err = signer_sign_set(r->log->signer, s->sub->leaf, r->after.integrated_s,
                             r->log->frontier.size + i, &s->set);
}

/* prove_and_check hashes the leaf a second time, from the octets that will be stored, and proves
 * by another path than the frontier's that this hash stands at its index under the new root: one
 * flipped bit in a hash, once signed, cannot be mended (Yeti 2022). */
static void prove_and_check(void *ctx, size_t i) {
    struct round *r = ctx;
    struct slot *s = &r->slots[i];
    struct merkle_source src = growth_source(&r->growth);
    uint64_t index = r->growth.before.size + i;
    s->err = merkle_prove_inclusion(&src, index, r->after.size, &s->sub->proof);
    if (s->err != NULL) return;
    struct sha256 again = merkle_leaf_hash(s->sub->leaf);
    if (!merkle_verify_inclusion(index, r->after.size, &again, s->sub->proof.hashes,
                                 s->sub->proof.count, &r->after.root))
        s->err = error_new(ERROR_DATA_LOSS,
                           "entry %" PRIu64
                           " hashes differently twice: memory "
                           "is damaged",
                           index);
}

/* for_slots runs `each` on every slot and gives the first error. */
static struct error *for_slots(struct tlog *t, struct round *r, void (*each)(void *ctx, size_t i)) {
    struct error *first = NULL;
    pool_run(&t->pool, r->slot_count, each, r);
    for (size_t i = 0; i < r->slot_count; i++) {
        struct error *err = MOVE(r->slots[i].err);
        if (first == NULL)
            first = err;
        else
            error_ignore(err, "the first one is told");
    }
    return first;
}

/* --- the tree */

/* check_prefix proves, before anything is signed, that the tree of the last round is a prefix of
 * this one's: two signed trees that are not consistent would be a fork. */
static struct error *check_prefix(const struct tlog *t, struct round *r) {
    if (r->growth.before.size == 0) return NULL;
    struct merkle_source src = growth_source(&r->growth);
    struct merkle_proof proof;
    TRY(merkle_prove_consistency(&src, r->growth.before.size, r->after.size, &proof));
    /* SPEC c2sp-tlog-checkpoint Signatures: "A log MUST not sign any checkpoint which is
     * inconsistent with any checkpoint it previously signed." */
    if (!merkle_verify_consistency(r->growth.before.size, r->after.size, proof.hashes, proof.count,
                                   &t->root, &r->after.root))
        return error_new(ERROR_DATA_LOSS,
                         "the tree of %" PRIu64 " is no prefix of that of %" PRIu64
                         ": memory is damaged",
                         r->growth.before.size, r->after.size);
    return NULL;
}

static void grow(struct tlog *t, struct round *r) {
    growth_begin(&r->growth, &t->frontier, r->slot_count);
    for (size_t i = 0; i < r->slot_count; i++) growth_append(&r->growth, &r->slots[i].leaf_hash);
    r->after.size = r->growth.after.size;
    r->after.root = merkle_root(&r->growth.after);
}

static struct error *sign_checkpoints(struct tlog *t, struct round *r) {
    TRY(signer_put_checkpoint_v1(t->signer, &r->v1, log_origin(t), t->options.tree_id,
                                 r->after.size, &r->after.root));
    TRY(signer_put_checkpoint_c2sp(t->signer, &r->c2sp, log_origin(t), r->after.size,
                                   &r->after.root));
    uint8_t *nul = buf_reserve(&r->v1, 1); /* behind it, not counted */
    if (nul != NULL) *nul = 0;
    TRY(buf_finish(&r->v1, "checkpoint"));
    return buf_finish(&r->c2sp, "checkpoint");
}

/* --- the batch */

static struct error *put_entry(struct round *r, size_t i) {
    const struct slot *s = &r->slots[i];
    struct store_entry entry = {
        .index = r->growth.before.size + i,
        .kind = s->sub->kind,
        .integrated_s = r->after.integrated_s,
        .tree_size = r->after.size,
        .payload = s->sub->payload,
        .signature = s->sub->signature,
        .set = signature_bytes(&s->set),
        .leaf = s->sub->leaf,
    };
    struct store_dedup dedup = {
        .index = entry.index, .content = s->content, .logged_ms = r->now_ms};
    TRY(store_round_entry(r->batch, &entry, &s->sub->terms));
    store_round_dedup(r->batch, &s->dedup_key, &dedup);
    return NULL;
}

static void put_tiles(struct tlog *t, struct round *r) {
    struct sha256 tile[MERKLE_TILE_WIDTH];
    for (unsigned level = 0; level < TREE_LEVELS; level++) {
        uint64_t from = growth_first(&r->growth, 8 * level) / MERKLE_TILE_WIDTH;
        uint64_t to = (r->after.size >> (8 * level)) / MERKLE_TILE_WIDTH;
        for (uint64_t index = from; index < to; index++) {
            edge_tile(t->edge, &r->growth, level, index, tile);
            store_round_tile(r->batch, level, index, tile);
        }
    }
}

static struct error *fill_batch(struct tlog *t, struct round *r) {
    for (size_t i = 0; i < r->slot_count; i++) TRY(put_entry(r, i));
    put_tiles(t, r);
    struct store_head head = {
        .frontier = r->growth.after, .root = r->after.root, .integrated_s = r->after.integrated_s};
    store_round_head(r->batch, &head);
    store_round_checkpoint(r->batch, r->after.size, buf_bytes(&r->v1), buf_bytes(&r->c2sp));
    return NULL;
}

/* --- all of it */

/* assemble does everything but change the sequencer's state. *out_damaged: memory is not to be
 * trusted any more. */
static struct error *assemble(struct tlog *t, struct round *r, bool *out_damaged) {
    r->after.integrated_s = r->now_ms / 1000;
    TRY(for_slots(t, r, hash_and_sign));
    log_step(t, "hashed");
    grow(t, r);

    struct error *err = check_prefix(t, r);
    if (err == NULL) err = for_slots(t, r, prove_and_check);
    *out_damaged = err != NULL;
    if (err != NULL) return err;
    TRY(sign_checkpoints(t, r));
    return fill_batch(t, r);
}

static void adopt(struct tlog *t, const struct round *r) {
    edge_grow(t->edge, &r->growth);
    t->frontier = r->growth.after;
    t->root = r->after.root;
    t->integrated_s = r->after.integrated_s;
}

static bool disk_is_low(struct tlog *t) {
    log_check_disk(t);
    log_lock(t);
    bool low = t->disk_low;
    log_unlock(t);
    return low;
}

void round_build(struct tlog *t, struct round *r) {
    round_clear(r);
    log_step(t, "taken");
    r->begun_us = clock_mono_us(t->options.clock);
    r->now_ms = clock_unix_ms(t->options.clock);
    /* The time never goes back: a receipt's time must not precede that of an entry below it. */
    if (r->now_ms / 1000 < t->integrated_s) r->now_ms = t->integrated_s * 1000;
    struct tlog_submission *next = NULL;
    for (struct tlog_submission *sub = MOVE(r->taken); sub != NULL; sub = next) {
        next = sub->next;
        if (r->doomed)
            add_answer(r, sub, 0, NULL); /* the anchorer answers for the failed log */
        else
            place_one(t, r, sub);
    }
    if (r->slot_count == 0) return;
    if (disk_is_low(t)) {
        refuse_all(r, REASON_DISK_RESERVE_REACHED,
                   error_new(ERROR_RESOURCE_EXHAUSTED, "the disk is nearly full"));
        return;
    }
    bool damaged = false;
    struct error *err = assemble(t, r, &damaged);
    if (err == NULL) {
        adopt(t, r);
        return;
    }
    log_event(LOG_ERROR, "round_not_built", LOG_U64("entries", r->slot_count),
              LOG_ERR("error", err));
    if (damaged) log_fail(t, "a check before signing failed", err);
    refuse_all(r, REASON_ROUND_FAILED, err);
}
