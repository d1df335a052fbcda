/*
 * What a decision stands on: for each predicate type that a matching policy names, the entries
 * about the subject's sha256 (other algorithms may name a subject, they are never evidence) by
 * those whom a rule about that type trusts. What anybody else submitted can satisfy no rule, so
 * that no amount of it may stand in the way: a little of it is read when all else was, so that the
 * answer can say whose it is.
 */
#include <stdlib.h>

#include "service/decide.h"

/* Whom rules about `type` trust. */
struct whom {
    const struct policy_set *set;
    const struct policy_question *question;
    struct text type;
};

static bool is_trusted(void *ctx, struct text submitter) {
    const struct whom *t = ctx;
    return policy_wants_signer(t->set, t->question, t->type, submitter);
}

static struct text sha256_term(struct arena *arena, const struct intoto_resource *subject) {
    for (size_t i = 0; i < subject->digest_count; i++) {
        const struct intoto_digest *d = &subject->digests[i];
        if (!text_equal(d->algorithm, TEXT_LIT("sha256"))) continue;
        char *p = arena_alloc(arena, 7 + d->value.len);
        if (p == NULL) break;
        memcpy(p, "sha256:", 7);
        memcpy(p + 7, d->value.data, d->value.len);
        return (struct text){p, 7 + d->value.len};
    }
    return (struct text){0};
}

static int by_index(const void *a, const void *b) {
    const uint64_t *ia = a, *ib = b;
    return (*ia > *ib) - (*ia < *ib);
}

static struct error *append(struct arena *arena, struct decide_indexes *list, const uint64_t *more,
                            size_t count) {
    uint64_t *all = arena_alloc(arena, (list->count + count + 1) * sizeof *all);
    if (all == NULL) return error_nomem();
    if (list->count > 0) memcpy(all, list->items, list->count * sizeof *all);
    if (count > 0) memcpy(all + list->count, more, count * sizeof *all);
    list->items = all;
    list->count += count;
    if (list->count > 1) qsort(all, list->count, sizeof *all, by_index);
    return NULL;
}

struct error *decide_find(struct service *s, const struct service_decide *req,
                          const struct policy_set *set, const struct policy_question *question,
                          struct decide_found *out) {
    const struct text *types = NULL;
    size_t type_count = 0;
    struct whom whom = {.set = set, .question = question};
    struct store_evidence q = {.subject = sha256_term(req->arena, &req->subject),
                               .below = req->result.tree_size,
                               .max = s->options.limits.evidence_max,
                               .wants = is_trusted,
                               .ctx = &whom};
    if (q.subject.len == 0) return error_nomem();
    TRY(policy_predicate_types(req->arena, set, question, &types, &type_count));
    for (size_t t = 0; t < type_count; t++) {
        struct store_evidence_found f = {0};
        q.predicate_type = whom.type = types[t];
        TRY(store_find_evidence(s->options.store, NULL, req->arena, &q, &f));
        out->cut = out->cut || f.cut;
        TRY(append(req->arena, &out->trusted, f.indexes, f.count));
        TRY(append(req->arena, &out->others, f.others, f.other_count));
    }
    return NULL;
}

static struct error *hash_envelope(const struct store_entry *entry, struct sha256 *out) {
    CLEANUP(buf_done) struct buf text;
    struct dsse_envelope env = {.payload_type = BYTES_LIT(DSSE_INTOTO_TYPE),
                                .payload = entry->payload,
                                .signature_count = 1};
    env.signatures[0].sig = entry->signature;
    buf_init(&text, SERVICE_RECEIPT_MAX);
    dsse_put_envelope(&text, &env);
    TRY(buf_finish(&text, "envelope"));
    *out = sha256_of(buf_bytes(&text));
    return NULL;
}

static struct error *read_one(struct arena *arena, const struct store_entry *entry,
                              struct policy_evidence *item, struct sha256 *envelope_hash) {
    const struct json_limits limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                       .octets_max = STORE_ENTRY_MAX_OCTETS};
    struct intoto_statement *st = arena_alloc(arena, sizeof *st);
    if (st == NULL) return error_nomem();
    TRY(service_stored(intoto_statement_parse(arena, entry->payload, &limits, st), entry->index));
    TRY(hash_envelope(entry, envelope_hash));
    *item = (struct policy_evidence){
        .index = entry->index,
        .statement = st,
        .signer = st->submitter_principal,
        .logged_ms = entry->integrated_s * 1000,
        .decision_key = entry->kind == STORE_ENTRY_DECISION,
    };
    return NULL;
}

/* Reads of `list` from the newest back, so that what does not fit is the oldest, in front of what
 * `out` holds; *out_whole says that all did. */
static struct error *read_list(struct service *s, struct arena *arena,
                               const struct decide_indexes *list, size_t *octets,
                               struct decide_evidence *out, bool *out_whole) {
    *out_whole = true;
    for (size_t at = list->count; at > 0; at--) {
        struct store_entry entry;
        TRY(service_read_entry(s, arena, list->items[at - 1], &entry));
        *octets += entry.payload.len;
        *out_whole = *octets <= DECIDE_EVIDENCE_OCTETS_MAX;
        if (!*out_whole) return NULL;
        TRY(read_one(arena, &entry, out->items - 1, out->envelope_hashes - 1));
        out->items--;
        out->envelope_hashes--;
        out->count++;
    }
    return NULL;
}

struct error *decide_read(struct service *s, struct arena *arena, const struct decide_found *found,
                          struct decide_evidence *out) {
    size_t count = found->trusted.count + found->others.count;
    struct policy_evidence *items = arena_alloc(arena, (count + 1) * sizeof *items);
    struct sha256 *hashes = arena_alloc(arena, (count + 1) * sizeof *hashes);
    bool whole = false;
    bool ignored = false;
    size_t octets = 0;
    if (items == NULL || hashes == NULL) return error_nomem();
    struct decide_evidence e = {.items = items + count, .envelope_hashes = hashes + count};
    TRY(read_list(s, arena, &found->trusted, &octets, &e, &whole));
    e.cut = found->cut || !whole;
    if (whole) TRY(read_list(s, arena, &found->others, &octets, &e, &ignored));
    *out = e;
    return NULL;
}
