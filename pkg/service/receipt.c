#include "codec/codec.h"
#include "service/internal.h"

static const char *hint_of(const struct service *s, enum store_entry_kind kind) {
    return kind == STORE_ENTRY_DECISION ? s->decision_hint : s->attestation_hint;
}

static struct error *put(const struct service *s, struct arena *arena, enum store_entry_kind kind,
                         struct bundle_receipt *r, struct bytes *out) {
    struct buf text;
    memcpy(r->key_hint, hint_of(s, kind), sizeof r->key_hint);
    r->log_id = *signer_log_id(s->options.signer);
    /* Two base64 texts, the proof's hashes, the note with its newlines escaped, and names: a bound
     * that is close, so that a large receipt takes no more than it has. */
    size_t size = base64_len(r->payload.len) + base64_len(r->leaf.len) + (size_t)3 * 1024 +
                  r->proof.count * 48 + r->checkpoint_v1.len * 2;
    if (size > SERVICE_RECEIPT_MAX) size = SERVICE_RECEIPT_MAX;
    buf_init_arena(&text, arena, size);
    if (buf_reserve(&text, size) == NULL) return buf_finish(&text, "receipt");
    bundle_put_receipt(&text, r);
    TRY(buf_finish(&text, "receipt"));
    *out = buf_bytes(&text);
    return NULL;
}

struct error *service_receipt_fresh(struct service *s, struct arena *arena,
                                    const struct tlog_submission *entry, struct bytes checkpoint_v1,
                                    struct bytes *out) {
    struct bundle_receipt r = {
        .payload = entry->payload,
        .signature = entry->signature,
        .leaf = entry->leaf,
        .index = entry->index,
        .integrated_s = entry->integrated_s,
        .set = signature_bytes(&entry->set),
        .tree_size = entry->tree_size,
        .root = entry->root,
        .proof = entry->proof,
        .checkpoint_v1 = checkpoint_v1,
    };
    return put(s, arena, entry->kind, &r, out);
}

struct error *service_receipt_stored(struct service *s, struct arena *arena,
                                     const struct store_entry *entry, struct bytes *out) {
    struct bundle_receipt r = {
        .payload = entry->payload,
        .signature = entry->signature,
        .leaf = entry->leaf,
        .index = entry->index,
        .integrated_s = entry->integrated_s,
        .set = entry->set,
        .tree_size = entry->tree_size,
    };
    struct bytes c2sp;
    TRY(tlog_inclusion(s->options.tlog, entry->index, entry->tree_size, &r.proof));
    TRY(tlog_checkpoint(s->options.tlog, arena, entry->tree_size, &r.checkpoint_v1, &c2sp,
                        &r.root));
    return put(s, arena, entry->kind, &r, out);
}
