#include "service/internal.h"
#include "store/terms.h"

#define ENVELOPE_TYPE BYTES_LIT(DSSE_INTOTO_TYPE)

struct error *service_require_serving(struct service *s) {
    char why[256];
    if (service_serving(s, why, sizeof why)) return NULL;
    enum reason reason =
        tlog_state(s->options.tlog) == TLOG_FAILED ? REASON_ROUND_FAILED : REASON_LOG_READ_ONLY;
    return error_reason_new(reason, "%s", why);
}

struct error *service_sign_entry(struct service *s, struct arena *arena, enum store_entry_kind kind,
                                 struct bytes payload, struct tlog_submission *entry) {
    enum signer_purpose purpose =
        kind == STORE_ENTRY_DECISION ? SIGNER_DECISION : SIGNER_ATTESTATION;
    struct signature *sig = arena_alloc(arena, sizeof *sig);
    struct dsse_envelope *env = arena_alloc(arena, sizeof *env);
    struct buf leaf;
    if (sig == NULL || env == NULL) return error_nomem();
    TRY(store_terms_of_payload(arena, payload, &entry->terms)); /* what is refused is not signed */
    TRY(signer_sign_statement(s->options.signer, purpose, payload, sig));
    env->payload_type = ENVELOPE_TYPE;
    env->payload = payload;
    env->signature_count = 1;
    env->signatures[0] = (struct dsse_signature){.sig = signature_bytes(sig)};
    buf_init_arena(&leaf, arena, 4096);
    TRY(bundle_put_leaf(&leaf, env, signer_public(s->options.signer, purpose)));
    TRY(buf_finish(&leaf, "leaf"));
    entry->kind = kind;
    entry->payload = payload;
    entry->signature = signature_bytes(sig);
    entry->leaf = buf_bytes(&leaf);
    return NULL;
}

struct error *service_find_repeat(struct service *s, struct tlog_submission *entry,
                                  bool *out_found) {
    struct store_dedup seen;
    bool found = false;
    TRY(store_get_dedup(s->options.store, &entry->dedup_key, &found, &seen));
    /* Not yet published: the sequencer joins it, and answers when the anchors hold it too. */
    if (found && seen.index >= tlog_head(s->options.tlog).size) found = false;
    int64_t age_ms = found ? clock_unix_ms(s->options.clock) - seen.logged_ms : 0;
    if (found && entry->dedup_ttl_ms != 0 && age_ms >= entry->dedup_ttl_ms) found = false;
    if (found && !sha256_equal(&seen.content, &entry->content))
        return error_reason_new(REASON_IDEMPOTENCY_KEY_REUSED,
                                "this idempotency key was used for other content (entry %llu)",
                                (unsigned long long)seen.index);
    entry->existing = found;
    if (found) entry->index = seen.index;
    *out_found = found;
    return NULL;
}
