/* The object itself, what rpc is told of the table, and the one look at every call's end. */
#include "api/internal.h"
#include "base/alloc.h"
#include "obs/obs.h"

/* --- the end of every call */

static enum log_level level_of(const struct error *err) {
    if (err == NULL) return LOG_DEBUG;
    switch (error_code(err)) {
        case ERROR_UNKNOWN:
        case ERROR_INTERNAL:
        case ERROR_DATA_LOSS:
            return LOG_ERROR;
        case ERROR_UNAVAILABLE:
        case ERROR_RESOURCE_EXHAUSTED:
            return LOG_WARN;
        default:
            return LOG_INFO;
    }
}

static void observe(void *ctx, struct rpc_call *rpc, const struct rpc_method *m,
                    const struct error *err, uint64_t micros) {
    (void)ctx;
    /* Paths that are not in the table come from strangers: none may become a label. */
    const char *method = m == NULL ? "unknown" : m->path + 1;
    int code = err == NULL ? 0 : (int)error_code(err);
    metric_rpc(method, code, micros);
    const struct principal *p = m == NULL ? NULL : rpc_call_user(rpc);
    const struct bytes nobody = BYTES_LIT("");
    log_event(level_of(err), err == NULL ? "rpc_done" : "rpc_failed", LOG_CSTR("method", method),
              LOG_CSTR("code", err == NULL ? "OK" : error_code_name(error_code(err))),
              LOG_CSTR("request_id", rpc_call_request_id(rpc)),
              LOG_STR("principal", p == NULL ? nobody : bytes_of_text(p->name)),
              LOG_U64("micros", micros), LOG_ERR("error", err));
}

/* --- the object */

static struct error *make_methods(struct api *a) {
    a->methods = alloc_zero(api_table_count, sizeof *a->methods);
    if (a->methods == NULL) return error_nomem();
    for (size_t i = 0; i < api_table_count; i++) {
        a->methods[i] = (struct rpc_method){.path = api_table[i].path,
                                            .server_streaming = api_table[i].server_streaming,
                                            .client_streaming = api_table[i].client_streaming,
                                            .cookie = (uint32_t)i,
                                            .handle = api_handle};
    }
    return NULL;
}

struct error *api_new(const struct api_options *options, struct api **out) {
    CLEANUP(api_freep) struct api *a = alloc_zero(1, sizeof *a);
    if (a == NULL) return error_nomem();
    a->options = *options;
    atomic_init(&a->draining, false);
    TRY(msg_schema_new(&a->schema));
    TRY(make_methods(a));
    api_get_init(a);
    api_ops_init(a);
    *out = MOVE(a);
    return NULL;
}

void api_free(struct api *a) {
    if (a == NULL) return;
    msg_schema_free(a->schema);
    alloc_free(a->methods);
    alloc_free(a);
}

void api_rpc_options(struct api *a, struct rpc_options *out) {
    out->methods = a->methods;
    out->method_count = api_table_count;
    out->ctx = a;
    out->authenticate = api_authenticate;
    out->observe = observe;
}

void api_drain(struct api *a) { atomic_store(&a->draining, true); }
