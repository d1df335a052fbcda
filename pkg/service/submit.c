#include "service/internal.h"
#include "store/terms.h"

#define ENVELOPE_TYPE BYTES_LIT(DSSE_INTOTO_TYPE)
#define TERMS_MAX ((size_t)8 << 20) /* of LINEAGE_EDGES_MAX edges and what they are made from */

struct error *service_require_serving(struct service *s) {
    return tlog_require_serving(s->options.tlog);
}

/* --- terms, copied out of the tree that they were read from */

static struct error *copy_text(struct arena *arena, struct text *t) {
    struct bytes copy = arena_copy(arena, bytes_of_text(*t));
    *t = (struct text){(const char *)copy.data, copy.len};
    return copy.data == NULL ? error_nomem() : NULL;
}

static struct error *copy_texts(struct arena *arena, const struct text **list, size_t count) {
    struct text *copy = arena_alloc(arena, (count + 1) * sizeof *copy);
    if (copy == NULL) return error_nomem();
    for (size_t i = 0; i < count; i++) {
        copy[i] = (*list)[i];
        TRY(copy_text(arena, &copy[i]));
    }
    *list = copy;
    return NULL;
}

static struct error *copy_edges(struct arena *arena, struct store_terms *terms) {
    struct lineage_edge *copy = arena_alloc(arena, (terms->edge_count + 1) * sizeof *copy);
    if (copy == NULL) return error_nomem();
    for (size_t i = 0; i < terms->edge_count; i++) {
        copy[i] = terms->edges[i];
        TRY(copy_text(arena, &copy[i].from));
        TRY(copy_text(arena, &copy[i].to));
        TRY(copy_text(arena, &copy[i].to_name));
    }
    terms->edges = copy;
    return NULL;
}

static struct error *read_terms(struct arena *arena, struct bytes payload,
                                struct store_terms *out) {
    CLEANUP(arena_done) struct arena tree;
    struct store_terms terms;
    arena_init(&tree, service_tree_max(payload.len) + TERMS_MAX);
    TRY(store_terms_of_payload(&tree, payload, &terms));
    TRY(copy_text(arena, &terms.predicate_type));
    TRY(copy_text(arena, &terms.submitter));
    TRY(copy_texts(arena, &terms.subjects, terms.subject_count));
    TRY(copy_texts(arena, &terms.materials, terms.material_count));
    TRY(copy_edges(arena, &terms));
    *out = terms;
    return NULL;
}

struct error *service_sign_entry(struct service *s, struct arena *arena, enum store_entry_kind kind,
                                 struct bytes payload, struct tlog_submission *entry) {
    enum signer_purpose purpose =
        kind == STORE_ENTRY_DECISION ? SIGNER_DECISION : SIGNER_ATTESTATION;
    struct signature *sig = arena_alloc(arena, sizeof *sig);
    struct dsse_envelope *env = arena_alloc(arena, sizeof *env);
    struct buf leaf;
    if (sig == NULL || env == NULL) return error_nomem();
    TRY(read_terms(arena, payload, &entry->terms)); /* what is refused is not signed */
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
