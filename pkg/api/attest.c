/* Attest and AttestBatch: a submission waits for its round without holding a thread. A large one is
 * checked, hashed and signed on a worker, also as an item of a batch: 2 MiB of JSON take most of a
 * second. */
#include "api/internal.h"

#define INLINE_OCTETS_MAX ((size_t)64 << 10) /* of a message: about a millisecond */
#define ITEM_OCTETS_MAX ((size_t)16 << 10)   /* of an item of a larger one: a turn begins several */
#define ATTEST_WINDOW 1024 /* items of one batch in the log's queue at once: a round's worth */

/* --- request to submission */

static struct error *provenance_of(struct arena *arena, const Attestd__V1__Provenance *p,
                                   struct intoto_provenance *out) {
    *out = (struct intoto_provenance){
        .build_type = api_text(p->build_type),
        .resolved_dependency_count = p->n_resolved_dependencies,
        .byproduct_count = p->n_byproducts,
        .invocation_id = api_text(p->invocation_id),
    };
    TRY(api_json_of(arena, p->external_parameters, "provenance.external_parameters",
                    &out->external_parameters));
    TRY(api_json_of(arena, p->internal_parameters, "provenance.internal_parameters",
                    &out->internal_parameters));
    TRY(api_resources_of(arena, p->resolved_dependencies, p->n_resolved_dependencies,
                         "resolved_dependencies", &out->resolved_dependencies));
    TRY(api_resources_of(arena, p->byproducts, p->n_byproducts, "byproducts", &out->byproducts));
    TRY(api_time_of(p->started_on, "provenance.started_on", &out->started_on));
    return api_time_of(p->finished_on, "provenance.finished_on", &out->finished_on);
}

static struct error *submission_of(struct arena *arena, const Attestd__V1__AttestRequest *r,
                                   struct intoto_submission *out) {
    *out = (struct intoto_submission){.subject_count = r->n_subject,
                                      .predicate_type = api_text(r->predicate_type)};
    TRY(api_resources_of(arena, r->subject, r->n_subject, "subject", &out->subjects));
    switch (r->predicate_case) {
        case ATTESTD__V1__ATTEST_REQUEST__PREDICATE_PROVENANCE:
            out->kind = INTOTO_PREDICATE_PROVENANCE;
            return provenance_of(arena, r->provenance, &out->provenance);
        case ATTESTD__V1__ATTEST_REQUEST__PREDICATE_JSON:
            out->kind = INTOTO_PREDICATE_TREE;
            return api_json_of(arena, r->json, "json", &out->tree);
        case ATTESTD__V1__ATTEST_REQUEST__PREDICATE_JSON_BYTES:
            out->kind = INTOTO_PREDICATE_OCTETS;
            out->octets = (struct bytes){r->json_bytes.data, r->json_bytes.len};
            return NULL;
        default:
            return NULL; /* the use case says that there is none */
    }
}

static struct error *begin(struct api_call *c, const Attestd__V1__AttestRequest *request,
                           struct service_attest *req, bool *out_pending) {
    TRY(submission_of(req->arena, request, &req->submission));
    req->principal = c->principal;
    req->idempotency_key = api_text(request->idempotency_key);
    return service_attest_begin(c->api->options.service, req, out_pending);
}

static Attestd__V1__AttestResponse *make_response(struct api_maker *mk,
                                                  const struct service_attested *got) {
    Attestd__V1__AttestResponse *r = api_make(mk, &attestd__v1__attest_response__descriptor);
    if (r == NULL) return NULL;
    r->index = got->index;
    r->tree_size = got->tree_size;
    r->leaf_hash = api_make_octets(mk, (struct bytes){got->leaf_hash.octets, 32});
    r->receipt = api_make_text(mk, got->receipt);
    r->existing = got->existing;
    return r;
}

/* --- one */

struct attest_call {
    struct service_job job; /* first: of a large one */
    struct api_call *call;
    struct service_attest req;
};

static void end_one(struct attest_call *one) {
    struct api_call *c = one->call;
    struct service_attested got;
    struct error *err = service_attest_finish(&one->req, &got);
    struct api_maker mk = {.arena = c->arena};
    if (err == NULL) {
        c->response = (ProtobufCMessage *)make_response(&mk, &got);
        err = api_made(&mk);
    }
    api_call_end(c, err);
}

static void one_posted(struct rpc_call *rpc, void *arg) {
    (void)rpc;
    end_one(arg);
}

static void one_ready(struct service_attest *req) {
    struct attest_call *one = req->ctx;
    rpc_call_post(one->call->rpc, one_posted, one);
}

static void begun_posted(struct rpc_call *rpc, void *arg) {
    struct attest_call *one = arg;
    struct error *err = MOVE(one->call->err);
    (void)rpc;
    if (err == NULL)
        end_one(one);
    else
        api_call_end(one->call, err);
}

static const Attestd__V1__AttestRequest *request_of(const struct api_call *c) {
    return (const Attestd__V1__AttestRequest *)c->request;
}

static void begin_on_a_worker(struct service_job *job) {
    struct attest_call *one = (struct attest_call *)job;
    struct api_call *c = one->call;
    bool pending = false;
    struct error *err = begin(c, request_of(c), &one->req, &pending);
    if (pending) return; /* one_ready was called or will be; the call may be gone */
    c->err = err;
    rpc_call_post(c->rpc, begun_posted, one);
}

void api_attest(struct api_call *c) {
    struct attest_call *one = arena_alloc(c->arena, sizeof *one);
    if (one == NULL) {
        api_call_end(c, error_nomem());
        return;
    }
    one->call = c;
    one->req.arena = c->arena;
    one->req.ready = one_ready;
    one->req.ctx = one;
    bool pending = false;
    struct error *err = NULL;
    if (c->message_octets > INLINE_OCTETS_MAX) {
        pending = true;
        one->job.run = begin_on_a_worker;
        err = service_submit_job(c->api->options.service, &one->job);
    } else {
        err = begin(c, request_of(c), &one->req, &pending);
    }
    if (err != NULL) {
        api_call_end(c, err);
    } else if (!pending) {
        end_one(one);
    }
}

/* --- many */

static void item_ready(struct service_attest *req) { api_batch_ready(req->ctx); }

static const Attestd__V1__AttestBatchRequest *batch_of(const struct api_call *c) {
    return (const Attestd__V1__AttestBatchRequest *)c->request;
}

static bool is_large(const struct api_call *c, size_t index) {
    const Attestd__V1__AttestRequest *item = batch_of(c)->requests[index];
    return c->message_octets > INLINE_OCTETS_MAX &&
           protobuf_c_message_get_packed_size(&item->base) > ITEM_OCTETS_MAX;
}

static struct error *begin_item(struct api_call *c, struct api_batch_item *item,
                                bool *out_pending) {
    const Attestd__V1__AttestBatchRequest *request = batch_of(c);
    item->attest = (struct service_attest){.arena = &item->arena, .ready = item_ready, .ctx = item};
    return begin(c, request->requests[item->index], &item->attest, out_pending);
}

static struct error *finish_item(struct api_call *c, struct api_batch_item *item,
                                 struct api_maker *mk, ProtobufCMessage **out) {
    (void)c;
    struct service_attested got;
    TRY(service_attest_finish(&item->attest, &got));
    *out = (ProtobufCMessage *)make_response(mk, &got);
    return api_made(mk);
}

static ProtobufCMessage *assemble(struct api_maker *mk, ProtobufCMessage *const *responses,
                                  Google__Rpc__Status *const *errors, size_t count) {
    Attestd__V1__AttestBatchResponse *out =
        api_make(mk, &attestd__v1__attest_batch_response__descriptor);
    Attestd__V1__AttestBatchResponse__Item **items = api_make_list(mk, count);
    for (size_t i = 0; i < count && mk->failed == NULL; i++) {
        items[i] = api_make(mk, &attestd__v1__attest_batch_response__item__descriptor);
        if (items[i] == NULL) return NULL;
        if (responses[i] != NULL) {
            items[i]->result_case = ATTESTD__V1__ATTEST_BATCH_RESPONSE__ITEM__RESULT_RESPONSE;
            items[i]->response = (Attestd__V1__AttestResponse *)responses[i];
        } else {
            items[i]->result_case = ATTESTD__V1__ATTEST_BATCH_RESPONSE__ITEM__RESULT_ERROR;
            items[i]->error = errors[i];
        }
    }
    if (mk->failed != NULL) return NULL;
    out->results = items;
    out->n_results = count;
    return &out->base;
}

void api_attest_batch(struct api_call *c) {
    static const struct api_batch_kind kind = {ATTEST_WINDOW, is_large, begin_item, finish_item,
                                               assemble};
    api_batch_start(c, &kind, batch_of(c)->n_requests);
}
