/* Reading: Get, List, Trace, the log's proofs, trust. Answers are one snapshot's; the use cases
 * authorise. */
#include "api/internal.h"
#include "attestd/v1/lineage.pb-c.h"
#include "attestd/v1/log.pb-c.h"
#include "attestd/v1/trust.pb-c.h"

static struct service *service_of(const struct api_call *c) { return c->api->options.service; }

/* respond takes what was made, or the first failure to make it. */
static struct error *respond(struct api_call *c, struct api_maker *mk, void *response) {
    TRY(api_made(mk));
    c->response = response;
    return NULL;
}

/* --- attestations */

static struct error *get_key_of(const Attestd__V1__GetRequest *r, struct service_get *out) {
    switch (r->key_case) {
        case ATTESTD__V1__GET_REQUEST__KEY_INDEX:
            *out = (struct service_get){.index = r->index};
            return NULL;
        case ATTESTD__V1__GET_REQUEST__KEY_LEAF_HASH:
            *out = (struct service_get){.by_leaf_hash = true};
            if (r->leaf_hash.len != sizeof out->leaf_hash.octets) {
                return error_field_new("leaf_hash", "is not of 32 octets");
            }
            memcpy(out->leaf_hash.octets, r->leaf_hash.data, sizeof out->leaf_hash.octets);
            return NULL;
        default:
            return error_field_new("key", "is missing: give index or leaf_hash");
    }
}

struct error *api_get(struct api_call *c) {
    struct service_get key;
    TRY(get_key_of((const Attestd__V1__GetRequest *)c->request, &key));
    struct service_attestation got;
    uint64_t tree_size = 0;
    TRY(service_get(service_of(c), c->principal, c->arena, &key, &got, &tree_size));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__GetResponse *r = api_make(&mk, &attestd__v1__get_response__descriptor);
    if (r != NULL) {
        r->attestation = api_make_attestation(&mk, &got);
        r->tree_size = tree_size;
    }
    return respond(c, &mk, r);
}

struct error *api_list(struct api_call *c) {
    const Attestd__V1__ListRequest *q = (const Attestd__V1__ListRequest *)c->request;
    const struct service_list query = {.digest = api_text(q->digest),
                                       .predicate_type = api_text(q->predicate_type),
                                       .as_of = q->as_of_tree_size,
                                       .receipts = q->include_receipts != 0,
                                       .page_size = q->page_size,
                                       .page_token = api_text(q->page_token)};
    struct service_listed got;
    TRY(service_list(service_of(c), c->principal, c->arena, &query, &got));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__ListResponse *r = api_make(&mk, &attestd__v1__list_response__descriptor);
    Attestd__V1__Attestation **items = api_make_list(&mk, got.count);
    for (size_t i = 0; i < got.count && mk.failed == NULL; i++) {
        items[i] = api_make_attestation(&mk, &got.items[i]);
    }
    if (r != NULL) {
        r->attestations = items;
        r->n_attestations = got.count;
        r->tree_size = got.tree_size;
        r->checkpoint = api_make_text(&mk, got.checkpoint);
        r->next_page_token = api_make_text(&mk, bytes_of_text(got.next_page_token));
    }
    return respond(c, &mk, r);
}

/* --- lineage */

static struct error *trace_of(const struct api_call *c, struct service_trace *out) {
    const Attestd__V1__TraceRequest *q = (const Attestd__V1__TraceRequest *)c->request;
    struct text *kinds = arena_alloc(c->arena, (q->n_kinds + 1) * sizeof *kinds);
    if (kinds == NULL) return error_nomem();
    for (size_t i = 0; i < q->n_kinds; i++) kinds[i] = api_text(q->kinds[i]);
    uint64_t left = rpc_call_time_left_us(c->rpc);
    uint64_t now = clock_mono_us(c->api->options.clock);
    *out = (struct service_trace){.digest = api_text(q->digest),
                                  .depth = q->depth,
                                  .as_of = q->as_of_tree_size,
                                  .kinds = kinds,
                                  .kind_count = q->n_kinds,
                                  .page_size = q->page_size,
                                  .page_token = api_text(q->page_token),
                                  .deadline_us = left > UINT64_MAX - now ? UINT64_MAX : now + left};
    /* Numbers that are none of these stay unset, which the use case refuses. */
    if (q->direction == ATTESTD__V1__TRACE_REQUEST__DIRECTION__UP) out->direction = LINEAGE_UP;
    if (q->direction == ATTESTD__V1__TRACE_REQUEST__DIRECTION__DOWN) out->direction = LINEAGE_DOWN;
    if (q->direction == ATTESTD__V1__TRACE_REQUEST__DIRECTION__BOTH) out->direction = LINEAGE_BOTH;
    return NULL;
}

static Attestd__V1__Node *make_node(struct api_maker *mk, const struct lineage_node *node) {
    Attestd__V1__Node *n = api_make(mk, &attestd__v1__node__descriptor);
    if (n == NULL) return NULL;
    n->digest = api_make_text(mk, bytes_of_text(node->digest));
    n->name = api_make_text(mk, bytes_of_text(node->name));
    n->kind = api_make_text(mk, bytes_of_cstr(lineage_node_kind_name(node->kind)));
    n->depth = node->depth;
    return n;
}

static Attestd__V1__Edge *make_edge(struct api_maker *mk, const struct lineage_result_edge *edge) {
    Attestd__V1__Edge *e = api_make(mk, &attestd__v1__edge__descriptor);
    if (e == NULL) return NULL;
    e->from_digest = api_make_text(mk, bytes_of_text(edge->from));
    e->to_digest = api_make_text(mk, bytes_of_text(edge->to));
    e->kind = api_make_text(mk, bytes_of_cstr(lineage_kind_name(edge->kind)));
    e->assurance = api_make_text(mk, bytes_of_cstr(lineage_assurance_name(edge->assurance)));
    e->index = edge->index;
    return e;
}

static Attestd__V1__TraceResponse *make_trace(struct api_maker *mk,
                                              const struct service_traced *got) {
    const struct lineage_result *result = &got->result;
    Attestd__V1__TraceResponse *r = api_make(mk, &attestd__v1__trace_response__descriptor);
    Attestd__V1__Node **nodes = api_make_list(mk, result->node_count);
    Attestd__V1__Edge **edges = api_make_list(mk, result->edge_count);
    if (r == NULL || nodes == NULL || edges == NULL) return NULL;
    for (size_t i = 0; i < result->node_count; i++) nodes[i] = make_node(mk, &result->nodes[i]);
    for (size_t i = 0; i < result->edge_count; i++) edges[i] = make_edge(mk, &result->edges[i]);
    r->nodes = nodes;
    r->n_nodes = result->node_count;
    r->edges = edges;
    r->n_edges = result->edge_count;
    r->truncated = result->truncated;
    r->next_page_token = api_make_text(mk, bytes_of_text(got->next_page_token));
    r->tree_size = got->tree_size;
    r->checkpoint = api_make_text(mk, got->checkpoint);
    return r;
}

struct error *api_trace(struct api_call *c) {
    struct service_trace query;
    TRY(trace_of(c, &query));
    struct service_traced got;
    TRY(service_trace(service_of(c), c->principal, c->arena, &query, &got));
    struct api_maker mk = {.arena = c->arena};
    return respond(c, &mk, make_trace(&mk, &got));
}

/* --- log */

struct error *api_get_checkpoint(struct api_call *c) {
    const Attestd__V1__GetCheckpointRequest *q =
        (const Attestd__V1__GetCheckpointRequest *)c->request;
    struct service_checkpoint got;
    TRY(service_checkpoint(service_of(c), c->arena, q->tree_size, &got));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__GetCheckpointResponse *r =
        api_make(&mk, &attestd__v1__get_checkpoint_response__descriptor);
    if (r != NULL) {
        r->checkpoint = api_make_text(&mk, got.c2sp);
        r->checkpoint_v1 = api_make_text(&mk, got.v1);
        r->tree_size = got.tree_size;
        r->root_hash = api_make_octets(&mk, (struct bytes){got.root.octets, 32});
    }
    return respond(c, &mk, r);
}

static ProtobufCBinaryData *make_hashes(struct api_maker *mk, const struct merkle_proof *proof) {
    ProtobufCBinaryData *hashes = api_make_array(mk, proof->count, sizeof *hashes);
    for (size_t i = 0; i < proof->count && hashes != NULL; i++) {
        hashes[i] = api_make_octets(mk, (struct bytes){proof->hashes[i].octets, 32});
    }
    return hashes;
}

struct error *api_get_inclusion_proof(struct api_call *c) {
    const Attestd__V1__GetInclusionProofRequest *q =
        (const Attestd__V1__GetInclusionProofRequest *)c->request;
    struct service_proof got;
    TRY(service_inclusion(service_of(c), c->principal, c->arena, q->index, q->tree_size, &got));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__GetInclusionProofResponse *r =
        api_make(&mk, &attestd__v1__get_inclusion_proof_response__descriptor);
    if (r != NULL) {
        r->leaf_hash = api_make_octets(&mk, (struct bytes){got.leaf_hash.octets, 32});
        r->hashes = make_hashes(&mk, &got.proof);
        r->n_hashes = got.proof.count;
        r->tree_size = got.tree_size;
        r->checkpoint = api_make_text(&mk, got.checkpoint);
    }
    return respond(c, &mk, r);
}

struct error *api_get_consistency_proof(struct api_call *c) {
    const Attestd__V1__GetConsistencyProofRequest *q =
        (const Attestd__V1__GetConsistencyProofRequest *)c->request;
    struct merkle_proof got;
    TRY(service_consistency(service_of(c), c->principal, q->old_size, q->new_size, &got));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__GetConsistencyProofResponse *r =
        api_make(&mk, &attestd__v1__get_consistency_proof_response__descriptor);
    if (r != NULL) {
        r->hashes = make_hashes(&mk, &got);
        r->n_hashes = got.count;
    }
    return respond(c, &mk, r);
}

struct error *api_get_entries(struct api_call *c) {
    const Attestd__V1__GetEntriesRequest *q = (const Attestd__V1__GetEntriesRequest *)c->request;
    const struct service_entry *got = NULL;
    size_t count = 0;
    uint64_t tree_size = 0;
    TRY(service_entries(service_of(c), c->principal, c->arena, q->start, q->end, &got, &count,
                        &tree_size));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__GetEntriesResponse *r =
        api_make(&mk, &attestd__v1__get_entries_response__descriptor);
    Attestd__V1__Entry **entries = api_make_list(&mk, count);
    for (size_t i = 0; i < count && mk.failed == NULL; i++) {
        entries[i] = api_make(&mk, &attestd__v1__entry__descriptor);
        if (entries[i] == NULL) break;
        entries[i]->index = got[i].index;
        entries[i]->leaf = api_borrow(got[i].leaf);
    }
    if (r != NULL) {
        r->entries = entries;
        r->n_entries = count;
        r->tree_size = tree_size;
    }
    return respond(c, &mk, r);
}

/* --- trust */

struct error *api_get_trust(struct api_call *c) {
    struct service_trust trust = service_trust(service_of(c));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__GetTrustResponse *r = api_make(&mk, &attestd__v1__get_trust_response__descriptor);
    if (r != NULL) {
        r->trusted_root = api_make_text(&mk, trust.trusted_root);
        r->signing_key_pem = api_make_text(&mk, trust.signing_key_pem);
        r->signing_keys = api_make_text(&mk, trust.signing_keys);
    }
    return respond(c, &mk, r);
}
