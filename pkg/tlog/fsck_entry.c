/* One entry: everything about it is made again from its payload and signature, and compared. */
#include "bundle/bundle.h"
#include "dsse/dsse.h"
#include "store/terms.h"
#include "tlog/fsck.h"

#define ARENA_OCTETS (16 * STORE_ENTRY_MAX_OCTETS)
#define TEXT_OCTETS (2 * STORE_ENTRY_MAX_OCTETS) /* PAE, SET payload: base64 of what is stored */

static void note_problem(struct fsck_entry *out, enum fsck_problem problem) {
    out->problems |= 1U << problem;
}

static const struct public_key *key_of_kind(const struct tlog *t, enum store_entry_kind kind) {
    switch (kind) {
        case STORE_ENTRY_ATTESTATION:
            return signer_public(t->signer, SIGNER_ATTESTATION);
        case STORE_ENTRY_DECISION:
            return signer_public(t->signer, SIGNER_DECISION);
        default:
            return NULL;
    }
}

static struct error *check_leaf(struct arena *arena, const struct store_entry *entry,
                                const struct public_key *key, struct fsck_entry *out) {
    struct buf leaf;
    struct dsse_envelope *env = arena_alloc(arena, sizeof *env);
    if (env == NULL) return error_nomem();
    env->payload_type = BYTES_LIT(DSSE_INTOTO_TYPE);
    env->payload = entry->payload;
    env->signature_count = 1;
    env->signatures[0].sig = entry->signature;
    buf_init_arena(&leaf, arena, TEXT_OCTETS);
    TRY(bundle_put_leaf(&leaf, env, key));
    TRY(buf_finish(&leaf, "leaf"));
    if (!bytes_equal(buf_bytes(&leaf), entry->leaf)) note_problem(out, FSCK_LEAF);
    return NULL;
}

static struct error *check_signatures(const struct tlog *t, struct arena *arena,
                                      const struct store_entry *entry, const struct public_key *key,
                                      struct fsck_entry *out) {
    struct buf text;
    bool valid = false;
    buf_init_arena(&text, arena, TEXT_OCTETS);
    dsse_put_pae(&text, BYTES_LIT(DSSE_INTOTO_TYPE), entry->payload);
    TRY(buf_finish(&text, "PAE"));
    TRY(public_key_verify(key, buf_bytes(&text), entry->signature, &valid));
    if (!valid) note_problem(out, FSCK_SIGNATURE);

    buf_init_arena(&text, arena, TEXT_OCTETS);
    bundle_put_set_payload(&text, entry->leaf, entry->integrated_s, signer_log_id(t->signer),
                           entry->index);
    TRY(buf_finish(&text, "SET payload"));
    TRY(public_key_verify(signer_public(t->signer, SIGNER_LOG_V1), buf_bytes(&text), entry->set,
                          &valid));
    if (!valid) note_problem(out, FSCK_SET);
    return NULL;
}

static struct error *check_rows(const struct tlog *t, const struct kv_snapshot *snap,
                                struct arena *arena, const struct store_entry *entry,
                                struct fsck_entry *out) {
    struct store_terms terms;
    struct error *err = store_terms_of_payload(arena, entry->payload, &terms);
    if (err != NULL && error_code(err) == ERROR_INVALID_ARGUMENT) {
        error_ignore(err, "it is the finding");
        note_problem(out, FSCK_STATEMENT);
        return NULL;
    }
    TRY(err);
    TRY(store_check_entry(t->store, snap, entry, &terms, &out->rows, &out->rows_missing));
    if (out->rows_missing > 0) note_problem(out, FSCK_ROWS);
    return NULL;
}

static struct error *check(const struct tlog *t, const struct kv_snapshot *snap,
                           struct arena *arena, struct fsck_entry *out) {
    struct store_entry entry;
    bool found = false;
    TRY(store_get_entry(t->store, snap, arena, out->index, &found, &entry));
    if (!found) {
        note_problem(out, FSCK_MISSING);
        return NULL;
    }
    out->leaf_hash = merkle_leaf_hash(entry.leaf);
    out->integrated_s = entry.integrated_s;
    out->tree_size = entry.tree_size;
    const struct public_key *key = key_of_kind(t, entry.kind);
    if (key == NULL) {
        note_problem(out, FSCK_KIND);
    } else {
        TRY(check_leaf(arena, &entry, key, out));
        TRY(check_signatures(t, arena, &entry, key, out));
    }
    return check_rows(t, snap, arena, &entry, out);
}

void fsck_check_entry(const struct tlog *t, const struct kv_snapshot *snap,
                      struct fsck_entry *out) {
    struct arena arena;
    arena_init(&arena, ARENA_OCTETS);
    struct error *err = check(t, snap, &arena, out);
    if (err != NULL && error_code(err) == ERROR_DATA_LOSS) {
        error_ignore(err, "damage is the finding");
        note_problem(out, FSCK_MISSING);
    } else {
        out->err = err;
    }
    arena_done(&arena);
}
