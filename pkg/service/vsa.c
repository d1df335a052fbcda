/*
 * The record of a decision: a SLSA verification summary whose inputAttestations are all entries
 * that were read for it (digest: SHA-256 of the bare envelope as `attest get INDEX --dsse` prints
 * it), and in predicate.attestd_decision what SLSA has no field for:
 *   {"attributes":{..},"decision","environment","evaluatedAt","rules":[{"evidence":[..],"expected",
 *    "observed","policy","result","rule","warnOnly"}],"treeSize"}
 */
#include <stdlib.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "service/decide.h"

static const char *const result_names[] = {
    [POLICY_RESULT_UNSET] = "UNSET", [POLICY_PASS] = "PASS",     [POLICY_FAIL] = "FAIL",
    [POLICY_ERROR] = "ERROR",        [POLICY_EXEMPT] = "EXEMPT", [POLICY_SKIP] = "SKIP",
};

static void put_text_member(struct json_writer *w, const char *name, struct text value) {
    json_key(w, name);
    json_put_string(w, bytes_of_text(value));
}

static void put_rule(struct json_writer *w, const struct policy_rule_result *r) {
    json_object_begin(w);
    json_key(w, "evidence");
    json_array_begin(w);
    for (size_t i = 0; i < r->evidence_count; i++) json_put_u64_string(w, r->evidence[i]);
    json_array_end(w);
    put_text_member(w, "expected", r->expected);
    put_text_member(w, "observed", r->observed);
    put_text_member(w, "policy", r->policy);
    json_key(w, "result");
    json_put_cstr(w, result_names[r->result]);
    put_text_member(w, "rule", r->rule);
    json_key(w, "warnOnly");
    json_put_bool(w, r->warn_only);
    json_object_end(w);
}

static void put_decision(struct buf *out, const struct service_decide *req) {
    const struct policy_outcome *o = &req->result.outcome;
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "attributes");
    json_object_begin(&w);
    for (size_t i = 0; i < req->attribute_count; i++) {
        json_key_bytes(&w, bytes_of_text(req->attributes[i].algorithm));
        json_put_string(&w, bytes_of_text(req->attributes[i].value));
    }
    json_object_end(&w);
    json_key(&w, "decision");
    json_put_cstr(&w, o->decision == POLICY_ALLOW ? "ALLOW" : "DENY");
    put_text_member(&w, "environment", req->environment);
    json_key(&w, "evaluatedAt");
    json_put_u64_string(&w, (uint64_t)req->result.evaluated_ms);
    json_key(&w, "rules");
    json_array_begin(&w);
    for (size_t i = 0; i < o->rule_count; i++) put_rule(&w, &o->rules[i]);
    json_array_end(&w);
    json_key(&w, "treeSize");
    json_put_u64_string(&w, req->result.tree_size);
    json_object_end(&w);
}

static struct error *extension(const struct service_decide *req, struct json_value **out) {
    const struct json_limits limits = {.depth_max = 16, .octets_max = STORE_ENTRY_MAX_OCTETS};
    struct buf text;
    struct json_value *tree = arena_alloc(req->arena, sizeof *tree);
    if (tree == NULL) return error_nomem();
    buf_init_arena(&text, req->arena, STORE_ENTRY_MAX_OCTETS);
    put_decision(&text, req);
    TRY(buf_finish(&text, "decision"));
    TRY(json_parse(req->arena, buf_bytes(&text), &limits, tree));
    *out = tree;
    return NULL;
}

static struct error *hex_text(struct arena *arena, const struct sha256 *h, struct text *out) {
    struct buf hex;
    buf_init_arena(&hex, arena, 64);
    hex_put(&hex, sha256_bytes(h));
    TRY(buf_finish(&hex, "digest"));
    *out = (struct text){(const char *)hex.data, hex.len};
    return NULL;
}

static struct error *print_text(struct arena *arena, struct text *out, const char *origin,
                                const char *path, uint64_t number) {
    struct buf text;
    buf_init_arena(&text, arena, 1024);
    buf_printf(&text, "https://%s/%s", origin, path);
    if (number != UINT64_MAX) buf_put_dec(&text, number);
    TRY(buf_finish(&text, "uri"));
    *out = (struct text){(const char *)text.data, text.len};
    return NULL;
}

static struct error *inputs(struct service *s, struct arena *arena,
                            const struct decide_evidence *evidence, struct intoto_vsa *vsa) {
    struct intoto_resource *list = arena_alloc(arena, (evidence->count + 1) * sizeof *list);
    struct intoto_digest *digests = arena_alloc(arena, (evidence->count + 1) * sizeof *digests);
    if (list == NULL || digests == NULL) return error_nomem();
    for (size_t i = 0; i < evidence->count; i++) {
        digests[i].algorithm = TEXT_LIT("sha256");
        TRY(hex_text(arena, &evidence->envelope_hashes[i], &digests[i].value));
        TRY(print_text(arena, &list[i].uri, s->origin, "entry/", evidence->items[i].index));
        list[i].digests = &digests[i];
        list[i].digest_count = 1;
    }
    vsa->input_attestations = list;
    vsa->input_attestation_count = evidence->count;
    return NULL;
}

/* SLSA v1.2 verification_summary: "verifiedLevels ... or FAILED". */
static struct text level_of(const struct policy_outcome *o) {
    static const char *const levels[] = {"SLSA_BUILD_LEVEL_0", "SLSA_BUILD_LEVEL_1",
                                         "SLSA_BUILD_LEVEL_2", "SLSA_BUILD_LEVEL_3"};
    if (o->decision != POLICY_ALLOW) return TEXT_LIT("FAILED");
    return text_of_cstr(levels[o->level < 3 ? o->level : 3]);
}

static struct error *resource_uri(struct arena *arena, const struct intoto_resource *subject,
                                  struct text *out) {
    struct buf text;
    if (subject->name.len > 0) {
        *out = subject->name;
        return NULL;
    }
    buf_init_arena(&text, arena, 1024);
    for (size_t i = 0; i < subject->digest_count; i++) {
        if (!text_equal(subject->digests[i].algorithm, TEXT_LIT("sha256"))) continue;
        buf_put_cstr(&text, "sha256:");
        buf_put_text(&text, subject->digests[i].value);
    }
    TRY(buf_finish(&text, "resource uri"));
    *out = (struct text){(const char *)text.data, text.len};
    return NULL;
}

/* The digest that evidence was found by, and no other: any other in the question is the asker's
 * word alone, and must not be signed as verified beside it. NULL: the question was not checked. */
static const struct intoto_digest *decided_digest(const struct intoto_resource *subject) {
    for (size_t i = 0; i < subject->digest_count; i++)
        if (text_equal(subject->digests[i].algorithm, TEXT_LIT("sha256")))
            return &subject->digests[i];
    return NULL;
}

struct error *decide_put_vsa(struct service *s, const struct service_decide *req,
                             const struct policy_set *set, const struct decide_evidence *evidence,
                             struct bytes *out) {
    struct json_value *tree = NULL;
    struct buf payload;
    struct intoto_vsa vsa = {
        .subject_name = req->subject.name,
        .subject_digests = decided_digest(&req->subject),
        .subject_digest_count = 1,
        .verifier_id = text_of_cstr(s->verifier_id),
        .time_verified_ms = req->result.evaluated_ms,
        .passed = req->result.outcome.decision == POLICY_ALLOW,
        .verified_level = level_of(&req->result.outcome),
        .principal = req->principal->name,
        .method = req->principal->method,
    };
    ASSERT(vsa.subject_digests != NULL); /* checked: a subject has a sha256 */
    TRY(resource_uri(req->arena, &req->subject, &vsa.resource_uri));
    TRY(print_text(req->arena, &vsa.policy_uri, s->origin, "policies", UINT64_MAX));
    TRY(hex_text(req->arena, policy_set_digest(set), &vsa.policy_sha256));
    TRY(inputs(s, req->arena, evidence, &vsa));
    TRY(extension(req, &tree));
    vsa.extension = tree;
    buf_init_arena(&payload, req->arena, STORE_ENTRY_MAX_OCTETS);
    TRY(intoto_put_vsa(&payload, &vsa));
    TRY(buf_finish(&payload, "summary"));
    *out = buf_bytes(&payload);
    return NULL;
}

/* --- what makes two decisions the same */

static void add_text(struct sha256_ctx *ctx, struct text t) { /* length first: no ambiguity */
    uint8_t len[8];
    for (size_t i = 0; i < sizeof len; i++) len[i] = (uint8_t)((uint64_t)t.len >> (56 - 8 * i));
    sha256_update(ctx, (struct bytes){len, sizeof len});
    sha256_update(ctx, bytes_of_text(t));
}

static void add_u64(struct sha256_ctx *ctx, uint64_t v) {
    uint8_t octets[8];
    for (size_t i = 0; i < sizeof octets; i++) octets[i] = (uint8_t)(v >> (56 - 8 * i));
    sha256_update(ctx, (struct bytes){octets, sizeof octets});
}

static int by_key(const void *a, const void *b) {
    const struct intoto_digest *da = a, *db = b;
    return bytes_compare(bytes_of_text(da->algorithm), bytes_of_text(db->algorithm));
}

/* A map has no order: attributes are hashed by key. Without memory they are hashed as they came,
 * which can only make two equal decisions look different. */
static void add_attributes(struct sha256_ctx *ctx, const struct service_decide *req) {
    const struct intoto_digest *list = req->attributes;
    struct intoto_digest *sorted =
        arena_alloc(req->arena, (req->attribute_count + 1) * sizeof *sorted);
    if (sorted != NULL && req->attribute_count > 0) {
        memcpy(sorted, list, req->attribute_count * sizeof *sorted);
        qsort(sorted, req->attribute_count, sizeof *sorted, by_key);
        list = sorted;
    }
    add_u64(ctx, req->attribute_count);
    for (size_t i = 0; i < req->attribute_count; i++) {
        add_text(ctx, list[i].algorithm);
        add_text(ctx, list[i].value);
    }
}

struct sha256 decide_content(const struct service_decide *req, const struct policy_set *set,
                             const struct decide_evidence *evidence, struct bytes subject_jcs) {
    const struct policy_outcome *o = &req->result.outcome;
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    add_text(&ctx, TEXT_LIT("decision"));
    add_text(&ctx, req->principal->name);
    add_text(&ctx, (struct text){(const char *)subject_jcs.data, subject_jcs.len});
    add_text(&ctx, req->environment);
    add_attributes(&ctx, req);
    sha256_update(&ctx, sha256_bytes(policy_set_digest(set)));
    add_u64(&ctx, evidence->count);
    for (size_t i = 0; i < evidence->count; i++) add_u64(&ctx, evidence->items[i].index);
    add_u64(&ctx, (uint64_t)o->decision);
    add_u64(&ctx, o->rule_count);
    for (size_t i = 0; i < o->rule_count; i++) {
        add_text(&ctx, o->rules[i].policy);
        add_text(&ctx, o->rules[i].rule);
        add_u64(&ctx, (uint64_t)o->rules[i].result);
    }
    return sha256_final(&ctx);
}
