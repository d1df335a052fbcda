/* Decide and DecideBatch. */
#include "attestd/v1/gate.pb-c.h"

#include "api/internal.h"

#define DECIDE_WINDOW 64 /* items of one batch in the workers' queue at once: it is for all */

/* --- request to question */

static struct error *begin(struct api_call *c, const Attestd__V1__DecideRequest *request,
                           struct service_decide *req, bool *out_pending) {
    if (request->subject == NULL) return error_field_new("subject", "is missing");
    TRY(api_resource_of(req->arena, request->subject, "subject", &req->subject));
    size_t count = request->n_attributes;
    struct intoto_digest *attributes = arena_alloc(req->arena, (count + 1) * sizeof *attributes);
    if (attributes == NULL) return error_nomem();
    for (size_t i = 0; i < count; i++) {
        attributes[i] = (struct intoto_digest){.algorithm = api_text(request->attributes[i]->key),
                                               .value = api_text(request->attributes[i]->value)};
    }
    req->attributes = attributes;
    req->attribute_count = count;
    req->principal = c->principal;
    req->environment = api_text(request->environment);
    req->dry_run = request->dry_run != 0;
    return service_decide_begin(c->api->options.service, req, out_pending);
}

/* --- decision to response */

static Attestd__V1__RuleResult *make_rule(struct api_maker *mk,
                                          const struct policy_rule_result *rule) {
    Attestd__V1__RuleResult *r = api_make(mk, &attestd__v1__rule_result__descriptor);
    uint64_t *evidence = api_make_array(mk, rule->evidence_count, sizeof *evidence);
    if (r == NULL || evidence == NULL) return NULL;
    for (size_t i = 0; i < rule->evidence_count; i++) evidence[i] = rule->evidence[i];
    r->policy = api_make_text(mk, bytes_of_text(rule->policy));
    r->rule = api_make_text(mk, bytes_of_text(rule->rule));
    r->result = (Attestd__V1__RuleResult__Result)rule->result;
    r->expected = api_make_text(mk, bytes_of_text(rule->expected));
    r->observed = api_make_text(mk, bytes_of_text(rule->observed));
    r->evidence = evidence;
    r->n_evidence = rule->evidence_count;
    r->guidance = api_make_text(mk, bytes_of_text(rule->guidance));
    r->warn_only = rule->warn_only;
    return r;
}

static Attestd__V1__DecideResponse *make_response(struct api_maker *mk,
                                                  const struct service_decided *got) {
    const struct policy_outcome *outcome = &got->outcome;
    Attestd__V1__DecideResponse *r = api_make(mk, &attestd__v1__decide_response__descriptor);
    Attestd__V1__RuleResult **rules = api_make_list(mk, outcome->rule_count);
    if (r == NULL || rules == NULL) return NULL;
    for (size_t i = 0; i < outcome->rule_count; i++) rules[i] = make_rule(mk, &outcome->rules[i]);
    r->decision = ATTESTD__V1__DECIDE_RESPONSE__DECISION__DENY;
    r->rules = rules;
    r->n_rules = outcome->rule_count;
    r->tree_size = got->tree_size;
    r->evaluated_at = api_make_time(mk, got->evaluated_ms);
    r->guidance = api_make_text(mk, bytes_of_text(outcome->guidance));
    if (got->recorded) {
        r->index = got->index;
        r->receipt = api_make_text(mk, got->receipt);
    }
    if (outcome->decision == POLICY_ALLOW && mk->failed == NULL) {
        r->decision = ATTESTD__V1__DECIDE_RESPONSE__DECISION__ALLOW;
    }
    return r;
}

/* --- one */

struct decide_call {
    struct api_call *call;
    struct service_decide req;
};

static void end_one(struct decide_call *one) {
    struct api_call *c = one->call;
    struct service_decided got;
    struct error *err = service_decide_finish(&one->req, &got);
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

static void one_ready(struct service_decide *req) {
    struct decide_call *one = req->ctx;
    rpc_call_post(one->call->rpc, one_posted, one);
}

void api_decide(struct api_call *c) {
    struct decide_call *one = arena_alloc(c->arena, sizeof *one);
    if (one == NULL) {
        api_call_end(c, error_nomem());
        return;
    }
    one->call = c;
    one->req.arena = c->arena;
    one->req.ready = one_ready;
    one->req.ctx = one;
    bool pending = false;
    struct error *err =
        begin(c, (const Attestd__V1__DecideRequest *)c->request, &one->req, &pending);
    if (err != NULL) {
        api_call_end(c, err);
    } else if (!pending) {
        end_one(one);
    }
}

/* --- many */

static void item_ready(struct service_decide *req) { api_batch_ready(req->ctx); }

static struct error *begin_item(struct api_call *c, struct api_batch_item *item,
                                bool *out_pending) {
    const Attestd__V1__DecideBatchRequest *request =
        (const Attestd__V1__DecideBatchRequest *)c->request;
    item->decide = (struct service_decide){.arena = &item->arena, .ready = item_ready, .ctx = item};
    return begin(c, request->requests[item->index], &item->decide, out_pending);
}

static struct error *finish_item(struct api_call *c, struct api_batch_item *item,
                                 struct api_maker *mk, ProtobufCMessage **out) {
    (void)c;
    struct service_decided got;
    TRY(service_decide_finish(&item->decide, &got));
    *out = (ProtobufCMessage *)make_response(mk, &got);
    return api_made(mk);
}

static ProtobufCMessage *assemble(struct api_maker *mk, ProtobufCMessage *const *responses,
                                  Google__Rpc__Status *const *errors, size_t count) {
    Attestd__V1__DecideBatchResponse *out =
        api_make(mk, &attestd__v1__decide_batch_response__descriptor);
    Attestd__V1__DecideBatchResponse__Item **items = api_make_list(mk, count);
    for (size_t i = 0; i < count && mk->failed == NULL; i++) {
        items[i] = api_make(mk, &attestd__v1__decide_batch_response__item__descriptor);
        if (items[i] == NULL) return NULL;
        if (responses[i] != NULL) {
            items[i]->result_case = ATTESTD__V1__DECIDE_BATCH_RESPONSE__ITEM__RESULT_RESPONSE;
            items[i]->response = (Attestd__V1__DecideResponse *)responses[i];
        } else {
            items[i]->result_case = ATTESTD__V1__DECIDE_BATCH_RESPONSE__ITEM__RESULT_ERROR;
            items[i]->error = errors[i];
        }
    }
    if (mk->failed != NULL) return NULL;
    out->results = items;
    out->n_results = count;
    return &out->base;
}

void api_decide_batch(struct api_call *c) {
    static const struct api_batch_kind kind = {DECIDE_WINDOW, NULL, begin_item, finish_item,
                                               assemble};
    api_batch_start(c, &kind, ((const Attestd__V1__DecideBatchRequest *)c->request)->n_requests);
}
