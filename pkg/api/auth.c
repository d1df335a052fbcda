/* Who calls: `authorization: Bearer <token>`, checked on HEADERS, before a body is kept. */
#include "api/internal.h"

#define SCHEME_LEN (sizeof "Bearer " - 1)

struct error *api_bearer(const struct api *a, struct bytes header, unsigned scope,
                         const struct principal **out) {
    if (header.len == 0) {
        return error_reason_new(REASON_CREDENTIALS_MISSING, "this call needs a bearer token");
    }
    /* SPEC rfc9110 11.1: "uses a case-insensitive token to identify the authentication scheme" */
    if (!bytes_start_with_nocase(header, "bearer ")) {
        return error_reason_new(REASON_CREDENTIALS_INVALID,
                                "the authorization field is not of the form \"Bearer <token>\"");
    }
    struct bytes bearer = {header.data + SCHEME_LEN, header.len - SCHEME_LEN};
    while (bearer.len > 0 && bearer.data[0] == ' ') /* SPEC rfc6750 2.1: "Bearer" 1*SP b64token */
        bearer = (struct bytes){bearer.data + 1, bearer.len - 1};
    const struct principal *p = NULL;
    TRY(tokens_authenticate(a->options.tokens, bearer, &p));
    if (scope != 0) TRY(principal_require(p, (enum scope)scope));
    *out = p;
    return NULL;
}

const struct principal *api_recognise(const struct api *a, struct bytes header) {
    const struct principal *p = NULL;
    if (header.len == 0) return NULL;
    struct error *err = api_bearer(a, header, 0, &p);
    error_ignore(err, "a stranger, where strangers are answered");
    return p;
}

struct error *api_authenticate(void *ctx, struct rpc_call *rpc, const struct rpc_method *m) {
    const struct api *a = ctx;
    const struct api_method *method = &api_table[m->cookie];
    struct bytes bearer = rpc_call_metadata(rpc, "authorization");
    const struct principal *p = NULL;
    if ((method->open & a->options.open) != 0) {
        p = api_recognise(a, bearer);
    } else {
        TRY(api_bearer(a, bearer, method->scope, &p));
    }
    rpc_call_set_user(rpc, (void *)(uintptr_t)p); /* owned by tokens, which outlive calls */
    return NULL;
}
