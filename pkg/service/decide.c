/*
 * The gate. The answer is made from what is published below one tree size (evidence.c). Rules ask
 * for at least one good statement, so evidence that was not read can only turn an allow into a
 * deny; where that happened, the deny is an ERROR.
 */
#include "service/decide.h"

#include "obs/obs.h"

#define INLINE_EVIDENCE_MAX ((size_t)16) /* more is work for a worker: over a millisecond */
#define ENVIRONMENT_MAX ((size_t)256)
#define ATTRIBUTES_MAX ((size_t)64)
#define ATTRIBUTE_OCTETS_MAX ((size_t)1024)

static bool any_glob(const struct text *globs, size_t count, struct text value) {
    for (size_t i = 0; i < count; i++)
        if (policy_glob_match(bytes_of_text(globs[i]), bytes_of_text(value))) return true;
    return count == 0;
}

static struct error *authorise(const struct service_decide *req) {
    const struct principal *p = req->principal;
    TRY(principal_require(p, SCOPE_GATE));
    if (!any_glob(p->environments, p->environment_count, req->environment))
        return error_reason_new(REASON_SCOPE_RESTRICTED,
                                "this token may not ask for environment \"" BYTES_FMT "\"",
                                BYTES_ARG(req->environment));
    if (!any_glob(p->subjects, p->subject_count, req->subject.name))
        return error_reason_new(REASON_SCOPE_RESTRICTED,
                                "this token may not ask about subject \"" BYTES_FMT "\"",
                                BYTES_ARG(req->subject.name));
    return NULL;
}

static struct error *check(struct service *s, const struct service_decide *req) {
    const struct json_limits limits = {.depth_max = s->options.limits.json_depth_max,
                                       .octets_max = s->options.limits.predicate_max};
    TRY(intoto_check_subject(&req->subject, "subject", &limits));
    if (req->environment.len == 0) return error_field_new("environment", "is missing");
    if (req->environment.len > ENVIRONMENT_MAX)
        return error_field_new("environment", "longer than %zu octets", ENVIRONMENT_MAX);
    if (req->attribute_count > ATTRIBUTES_MAX)
        return error_field_new("attributes", "more than %zu", ATTRIBUTES_MAX);
    for (size_t i = 0; i < req->attribute_count; i++)
        if (req->attributes[i].algorithm.len + req->attributes[i].value.len > ATTRIBUTE_OCTETS_MAX)
            return error_field_new("attributes", "one is longer than %zu octets",
                                   ATTRIBUTE_OCTETS_MAX);
    return NULL;
}

/* --- deciding */

/* Where not all evidence was read, what failed for want of evidence could not be told. */
static struct error *mark_cut(struct arena *arena, struct policy_outcome *outcome) {
    struct policy_rule_result *rules =
        arena_alloc(arena, (outcome->rule_count + 1) * sizeof *rules);
    if (rules == NULL) return error_nomem();
    for (size_t i = 0; i < outcome->rule_count; i++) {
        rules[i] = outcome->rules[i];
        if (rules[i].result != POLICY_FAIL) continue;
        rules[i].result = POLICY_ERROR;
        rules[i].observed = TEXT_LIT("more evidence than the limits allow; not all was read");
    }
    outcome->rules = rules;
    return NULL;
}

static struct error *own_text(struct arena *arena, struct text *t) {
    struct bytes copy = arena_copy(arena, bytes_of_text(*t));
    if (copy.data == NULL) return error_nomem();
    *t = (struct text){(const char *)copy.data, copy.len};
    return NULL;
}

static struct error *own_indexes(struct arena *arena, struct policy_rule_result *rule) {
    uint64_t *copy = arena_alloc(arena, (rule->evidence_count + 1) * sizeof *copy);
    if (copy == NULL) return error_nomem();
    if (rule->evidence_count > 0) memcpy(copy, rule->evidence, rule->evidence_count * sizeof *copy);
    rule->evidence = copy;
    return NULL;
}

/* Copies what the outcome borrows: from the memory of the evidence, and from the policy set, which
 * may be replaced before the answer is sent. */
static struct error *own_outcome(struct arena *arena, struct policy_outcome *outcome) {
    struct policy_rule_result *rules =
        arena_alloc(arena, (outcome->rule_count + 1) * sizeof *rules);
    if (rules == NULL) return error_nomem();
    for (size_t i = 0; i < outcome->rule_count; i++) {
        rules[i] = outcome->rules[i];
        TRY(own_text(arena, &rules[i].policy));
        TRY(own_text(arena, &rules[i].rule));
        TRY(own_text(arena, &rules[i].expected));
        TRY(own_text(arena, &rules[i].observed));
        TRY(own_text(arena, &rules[i].guidance));
        TRY(own_indexes(arena, &rules[i]));
    }
    outcome->rules = rules;
    return own_text(arena, &outcome->guidance);
}

static void count_decision(const struct policy_outcome *outcome) {
    bool allow = outcome->decision == POLICY_ALLOW;
    if (outcome->rule_count == 0) metric_decision(BYTES_LIT("(none matches)"), false);
    for (size_t i = 0; i < outcome->rule_count; i++) { /* rules of one policy stand together */
        struct text policy = outcome->rules[i].policy;
        if (i == 0 || !text_equal(policy, outcome->rules[i - 1].policy))
            metric_decision(bytes_of_text(policy), allow);
    }
}

static void on_logged(struct tlog_submission *entry, struct error *err) {
    struct service_decide *req = entry->ctx;
    if (err == NULL && !entry->existing) {
        struct bytes note = {(const uint8_t *)entry->checkpoint_v1, entry->checkpoint_v1_len};
        note = arena_copy(req->arena, note);
        entry->checkpoint_v1 = (const char *)note.data;
        if (note.data == NULL) err = error_nomem();
    }
    req->err = err;
    req->ready(req);
}

/* Signs and submits the decision, unless the same one is recorded within the last minute. */
static struct error *record(struct service *s, struct service_decide *req,
                            const struct policy_set *set, const struct decide_evidence *evidence,
                            bool *out_pending) {
    struct buf subject;
    struct bytes payload;
    bool found = false;
    buf_init_arena(&subject, req->arena, STORE_ENTRY_MAX_OCTETS);
    intoto_put_resource(&subject, &req->subject);
    TRY(buf_finish(&subject, "subject"));
    req->entry = (struct tlog_submission){.done = on_logged, .ctx = req};
    req->entry.content = decide_content(req, set, evidence, buf_bytes(&subject));
    req->entry.dedup_key = req->entry.content;
    req->entry.dedup_ttl_ms = SERVICE_DECISION_TTL_MS;
    req->result.recorded = true;
    TRY(service_find_repeat(s, &req->entry, &found));
    if (found) {
        *out_pending = false;
        return NULL;
    }
    TRY(decide_put_vsa(s, req, set, evidence, &payload));
    TRY(quota_charge(s->quota, s->options.clock, req->principal->name, payload.len));
    TRY(service_sign_entry(s, req->arena, STORE_ENTRY_DECISION, payload, &req->entry));
    TRY(tlog_submit(s->options.tlog, &req->entry)); /* from here on the request may be elsewhere */
    *out_pending = true;
    return NULL;
}

static struct policy_question question_of(const struct service_decide *req) {
    return (struct policy_question){
        .subject_name = req->subject.name,
        .digests = req->subject.digests,
        .digest_count = req->subject.digest_count,
        .environment = req->environment,
        .now_ms = req->result.evaluated_ms,
    };
}

static struct error *evaluate(struct service *s, struct service_decide *req,
                              const struct policy_set *set, const struct decide_found *found,
                              bool *out_pending) {
    CLEANUP(arena_done) struct arena work; /* the evidence: gone when it is decided */
    struct decide_evidence evidence;
    const struct policy_question question = question_of(req);
    arena_init(&work, service_tree_max(2 * DECIDE_EVIDENCE_OCTETS_MAX) + STORE_ENTRY_MAX_OCTETS);
    TRY(decide_read(s, &work, found, &evidence));
    struct policy_outcome *outcome = &req->result.outcome;
    TRY(policy_decide(&work, set, &question, evidence.items, evidence.count, outcome));
    if (evidence.cut && outcome->decision != POLICY_ALLOW) TRY(mark_cut(&work, outcome));
    TRY(own_outcome(req->arena, outcome));
    count_decision(outcome);
    *out_pending = false;
    if (req->dry_run) return NULL;
    return record(s, req, set, &evidence, out_pending);
}

/* --- on a worker, where there is much evidence */

struct decide_job {
    struct service_job job;
    struct service_decide *req;
    struct service_policies *policies; /* one reference */
    struct decide_found found;
};

static void run_job(struct service_job *job) {
    struct decide_job *d = (struct decide_job *)job; /* its first member */
    struct service_decide *req = d->req;
    struct service_policies *policies = d->policies;
    bool pending = false;
    struct error *err = evaluate(req->service, req, policies->set, &d->found, &pending);
    service_policies_unref(policies);
    if (pending) return; /* the request, and the arena that `d` lies in, may be gone */
    req->err = err;
    req->ready(req);
}

static struct error *hand_to_worker(struct service *s, struct service_decide *req,
                                    const struct decide_found *found,
                                    struct service_policies **policies) {
    struct decide_job *d = arena_alloc(req->arena, sizeof *d);
    if (d == NULL) return error_nomem();
    *d = (struct decide_job){.job = {.run = run_job}, .req = req, .found = *found};
    d->policies = *policies;
    TRY(service_submit_job(s, &d->job));
    *policies = NULL; /* the job's now */
    return NULL;
}

static void unrefp(struct service_policies **p) { service_policies_unref(*p); }

struct error *service_decide_begin(struct service *s, struct service_decide *req,
                                   bool *out_pending) {
    struct decide_found found = {0};
    req->service = s;
    req->err = NULL;
    req->result = (struct service_decided){0};
    req->entry = (struct tlog_submission){0};
    TRY(authorise(req));
    TRY(check(s, req));
    TRY(service_require_serving(s)); /* a dry run too: a log behind its anchor has gaps */
    CLEANUP(unrefp) struct service_policies *policies = service_policies_ref(s);
    if (policies == NULL) return error_new(ERROR_FAILED_PRECONDITION, "no policies are loaded yet");
    req->result.tree_size = tlog_head(s->options.tlog).size;
    req->result.evaluated_ms = clock_unix_ms(s->options.clock);
    const struct policy_question question = question_of(req);
    TRY(decide_find(s, req, policies->set, &question, &found));
    if (found.trusted.count + found.others.count <= INLINE_EVIDENCE_MAX)
        return evaluate(s, req, policies->set, &found, out_pending);
    *out_pending = true;
    return hand_to_worker(s, req, &found, &policies);
}

static struct error *finish_recorded(struct service_decide *req) {
    struct service *s = req->service;
    struct tlog_submission *e = &req->entry;
    struct store_entry stored;
    req->result.index = e->index;
    if (!e->existing) {
        struct bytes note = {(const uint8_t *)e->checkpoint_v1, e->checkpoint_v1_len};
        return service_receipt_fresh(s, req->arena, e, note, &req->result.receipt);
    }
    TRY(service_read_entry(s, req->arena, e->index, &stored));
    return service_receipt_stored(s, req->arena, &stored, &req->result.receipt);
}

struct error *service_decide_finish(struct service_decide *req, struct service_decided *out) {
    struct error *err = MOVE(req->err);
    if (err != NULL) return err;
    if (req->result.recorded) TRY(finish_recorded(req));
    *out = req->result;
    return NULL;
}
