/* From a submission to its receipt. What is under the signature is built once; the index terms are
 * read back from those very octets (submit.c). The tree of a document lives only while it is
 * checked and hashed: it takes many times the document's octets, and the request has its bound. */
#include "service/internal.h"

static struct error *authorise(const struct service_attest *req) {
    const struct principal *p = req->principal;
    TRY(principal_require(p, SCOPE_ATTEST));
    if (p->predicate_type_count == 0) return NULL;
    struct text type = intoto_predicate_type(&req->submission);
    for (size_t i = 0; i < p->predicate_type_count; i++)
        if (text_equal(type, p->predicate_types[i])) return NULL;
    return error_reason_new(REASON_SCOPE_RESTRICTED,
                            "this token may not attest predicate type \"" BYTES_FMT "\"",
                            BYTES_ARG(type));
}

/* The key that repeats are found by: scoped to the principal, and given keys apart from default
 * ones. */
static struct sha256 dedup_key(const char *kind, struct text principal, struct bytes key) {
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, (struct bytes){(const uint8_t *)kind, strlen(kind) + 1});
    sha256_update(&ctx, bytes_of_text(principal));
    sha256_update(&ctx, (struct bytes){(const uint8_t *)"", 1});
    sha256_update(&ctx, key);
    return sha256_final(&ctx);
}

static struct error *set_keys(struct service *s, struct service_attest *req) {
    CLEANUP(buf_done) struct buf jcs;
    buf_init(&jcs, STORE_ENTRY_MAX_OCTETS);
    TRY(intoto_put_caller_jcs(&jcs, &req->submission, s->options.limits.predicate_max));
    struct text key = req->idempotency_key;
    if (key.len > s->options.limits.idempotency_key_max)
        return error_field_new("idempotency_key", "longer than %zu octets",
                               s->options.limits.idempotency_key_max);
    req->entry.content = sha256_of(buf_bytes(&jcs));
    if (key.len > 0) {
        req->entry.dedup_key = dedup_key("given", req->principal->name, bytes_of_text(key));
        req->entry.dedup_ttl_ms = 0;
    } else {
        req->entry.dedup_key =
            dedup_key("content", req->principal->name, sha256_bytes(&req->entry.content));
        req->entry.dedup_ttl_ms = SERVICE_DEFAULT_KEY_TTL_MS;
    }
    return NULL;
}

static struct error *check(struct service *s, struct service_attest *req) {
    const struct json_limits limits = {.depth_max = s->options.limits.json_depth_max,
                                       .octets_max = s->options.limits.predicate_max};
    CLEANUP(arena_done) struct arena tree;
    arena_init(&tree, service_tree_max(limits.octets_max));
    TRY(intoto_check(&tree, &req->submission, &limits));
    TRY(set_keys(s, req));
    if (req->submission.kind == INTOTO_PREDICATE_OCTETS) req->submission.tree = NULL;
    return NULL;
}

static struct error *put_statement(struct service *s, const struct service_attest *req,
                                   struct bytes *out) {
    const struct intoto_server_fields fields = {
        .principal = req->principal->name,
        .method = req->principal->method,
        .builder_id = text_of_cstr(s->builder_id),
        .received_ms = clock_unix_ms(s->options.clock),
    };
    CLEANUP(buf_done) struct buf payload; /* grows by doubling: not in the request's memory */
    buf_init(&payload, STORE_ENTRY_MAX_OCTETS);
    TRY(intoto_put_statement(&payload, &req->submission, &fields));
    *out = arena_copy(req->arena, buf_bytes(&payload));
    return out->data == NULL ? error_nomem() : NULL;
}

/* Runs on a thread of the log's; the request's arena is ours until `ready` was called. */
static void on_logged(struct tlog_submission *entry, struct error *err) {
    struct service_attest *req = entry->ctx;
    if (err == NULL && !entry->existing) {
        struct bytes note = {(const uint8_t *)entry->checkpoint_v1, entry->checkpoint_v1_len};
        note = arena_copy(req->arena, note);
        entry->checkpoint_v1 = (const char *)note.data;
        if (note.data == NULL) err = error_nomem();
    }
    req->err = err;
    req->ready(req);
}

struct error *service_attest_begin(struct service *s, struct service_attest *req,
                                   bool *out_pending) {
    bool found = false;
    struct bytes payload;
    req->service = s;
    req->err = NULL;
    req->entry = (struct tlog_submission){.done = on_logged, .ctx = req};
    TRY(authorise(req));
    TRY(check(s, req));
    TRY(service_require_serving(s));
    TRY(service_find_repeat(s, &req->entry, &found));
    if (found) {
        *out_pending = false;
        return NULL;
    }
    TRY(put_statement(s, req, &payload));
    TRY(quota_charge(s->quota, s->options.clock, req->principal->name, payload.len));
    TRY(service_sign_entry(s, req->arena, STORE_ENTRY_ATTESTATION, payload, &req->entry));
    TRY(tlog_submit(s->options.tlog, &req->entry)); /* from here on the request may be elsewhere */
    *out_pending = true;
    return NULL;
}

static struct error *finish_existing(struct service_attest *req, struct service_attested *out) {
    struct store_entry entry;
    struct service *s = req->service;
    TRY(service_read_entry(s, req->arena, req->entry.index, &entry));
    TRY(service_receipt_stored(s, req->arena, &entry, &out->receipt));
    out->index = entry.index;
    out->tree_size = entry.tree_size;
    out->leaf_hash = merkle_leaf_hash(entry.leaf);
    out->existing = true;
    return NULL;
}

static struct error *finish_fresh(struct service_attest *req, struct service_attested *out) {
    const struct tlog_submission *entry = &req->entry;
    struct bytes note = {(const uint8_t *)entry->checkpoint_v1, entry->checkpoint_v1_len};
    TRY(service_receipt_fresh(req->service, req->arena, entry, note, &out->receipt));
    out->index = entry->index;
    out->tree_size = entry->tree_size;
    out->leaf_hash = entry->leaf_hash;
    return NULL;
}

struct error *service_attest_finish(struct service_attest *req, struct service_attested *out) {
    struct service_attested result = {0};
    struct error *err = MOVE(req->err);
    if (err != NULL) return err;
    if (req->entry.existing)
        TRY(finish_existing(req, &result));
    else
        TRY(finish_fresh(req, &result));
    *out = result;
    return NULL;
}
