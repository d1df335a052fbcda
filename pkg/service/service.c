#include "service/service.h"

#include <stdio.h>

#include "base/alloc.h"
#include "service/internal.h"

#define TRUST_MAX ((size_t)64 << 10)

static struct error *set_names(struct service *s) {
    struct bytes origin = s->options.origin;
    if (origin.len == 0 || origin.len >= sizeof s->origin)
        return error_new(ERROR_INVALID_ARGUMENT, "the origin has %zu octets; want 1 to %zu",
                         origin.len, sizeof s->origin - 1);
    memcpy(s->origin, origin.data, origin.len);
    s->options.origin = (struct bytes){(const uint8_t *)s->origin, origin.len};
    (void)snprintf(s->builder_id, sizeof s->builder_id, "https://%s/builder/submitted/v1",
                   s->origin);
    (void)snprintf(s->verifier_id, sizeof s->verifier_id, "https://%s/verifier/v1", s->origin);
    return NULL;
}

static struct error *set_trust(struct service *s) {
    const struct signer *signer = s->options.signer;
    const struct trust_source src = {
        .origin = s->options.origin,
        .log_v1 = signer_public(signer, SIGNER_LOG_V1),
        .log_c2sp = signer_public(signer, SIGNER_LOG_C2SP),
        .attestation = signer_public(signer, SIGNER_ATTESTATION),
        .decision = signer_public(signer, SIGNER_DECISION),
        .valid_from_s = s->options.created_s,
    };
    bundle_key_hint(src.attestation, s->attestation_hint);
    bundle_key_hint(src.decision, s->decision_hint);
    buf_init(&s->trusted_root, TRUST_MAX);
    buf_init(&s->signing_keys, TRUST_MAX);
    trust_put_root(&s->trusted_root, &src);
    trust_put_signing_keys(&s->signing_keys, &src);
    TRY(buf_finish(&s->trusted_root, "trusted root"));
    return buf_finish(&s->signing_keys, "signing keys");
}

struct error *service_new(const struct service_options *options, struct service **out) {
    CLEANUP(service_freep) struct service *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    s->options = *options;
    (void)pthread_mutex_init(&s->policies_lock, NULL);
    TRY(set_names(s));
    TRY(set_trust(s));
    TRY(entropy_fill(options->entropy, s->page_key, sizeof s->page_key));
    TRY(quota_new(options->limits.quota_per_second, options->limits.quota_octets_day, &s->quota));
    TRY(workers_start(&s->workers, options->limits.workers, options->limits.jobs_max));
    *out = MOVE(s);
    return NULL;
}

void service_free(struct service *s) {
    if (s == NULL) return;
    workers_stop(&s->workers);
    service_policies_unref(s->policies);
    quota_free(s->quota);
    buf_done(&s->trusted_root);
    buf_done(&s->signing_keys);
    (void)pthread_mutex_destroy(&s->policies_lock);
    alloc_free(s);
}

const struct service_limits *service_limits(const struct service *s) { return &s->options.limits; }

struct error *service_set_policies(struct service *s, struct policy_set *set) {
    struct service_policies *fresh = alloc_zero(1, sizeof *fresh);
    if (fresh == NULL) return error_nomem();
    fresh->set = set;
    atomic_init(&fresh->refs, 1);
    (void)pthread_mutex_lock(&s->policies_lock);
    struct service_policies *old = s->policies;
    s->policies = fresh;
    (void)pthread_mutex_unlock(&s->policies_lock);
    service_policies_unref(old);
    return NULL;
}

struct service_policies *service_policies_ref(struct service *s) {
    (void)pthread_mutex_lock(&s->policies_lock);
    struct service_policies *p = s->policies;
    if (p != NULL) atomic_fetch_add(&p->refs, 1);
    (void)pthread_mutex_unlock(&s->policies_lock);
    return p;
}

void service_policies_unref(struct service_policies *p) {
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1) return;
    policy_set_free(p->set);
    alloc_free(p);
}

bool service_serving(struct service *s, char *why, size_t size) {
    if (tlog_state(s->options.tlog) == TLOG_SERVING) return true;
    tlog_why(s->options.tlog, why, size);
    return false;
}

struct error *service_submit_job(struct service *s, struct service_job *job) {
    return workers_submit(&s->workers, job);
}

struct service_trust service_trust(const struct service *s) {
    return (struct service_trust){
        .trusted_root = buf_bytes(&s->trusted_root),
        .signing_key_pem = public_key_pem(signer_public(s->options.signer, SIGNER_ATTESTATION)),
        .signing_keys = buf_bytes(&s->signing_keys),
    };
}

struct error *principal_require(const struct principal *p, enum scope scope) {
    static const struct {
        enum scope scope;
        const char *name;
    } names[] = {{SCOPE_ATTEST, "attest"},
                 {SCOPE_READ, "read"},
                 {SCOPE_GATE, "gate"},
                 {SCOPE_ADMIN, "admin"}};
    const char *name = "";
    if ((p->scopes & (unsigned)scope) != 0) return NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].scope == scope) name = names[i].name;
    return error_reason_new(REASON_SCOPE_MISSING, "this call needs a token with the scope \"%s\"",
                            name);
}
