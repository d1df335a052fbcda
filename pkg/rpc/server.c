/* The http handler: tells protocols and codecs apart, finds methods, and passes what http reports
 * to the call. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/entropy.h"
#include "rpc/internal.h"

#define STRANGERS_PART 4 /* rpc.h: memory_max */

static int compare_methods(const void *a, const void *b) {
    const struct rpc_method *const *x = a;
    const struct rpc_method *const *y = b;
    return bytes_compare(bytes_of_cstr((*x)->path), bytes_of_cstr((*y)->path));
}

static const struct rpc_method *find_method(const struct rpc_server *s, struct bytes path) {
    size_t low = 0;
    size_t high = s->options.method_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = bytes_compare(path, bytes_of_cstr(s->by_path[mid]->path));
        if (c == 0) return s->by_path[mid];
        if (c < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}

/* media_type cuts the parameters off a content type ("application/json; charset=utf-8"). */
static struct bytes media_type(struct bytes value) {
    size_t n = 0;
    while (n < value.len && value.data[n] != ';') n++;
    while (n > 0 && (value.data[n - 1] == ' ' || value.data[n - 1] == '\t')) n--;
    return (struct bytes){value.data, n};
}

struct dialect {
    enum rpc_protocol protocol;
    enum rpc_codec codec;
};

/* dialect_of is unset for what we do not speak. gRPC needs HTTP/2, for its trailers. SPEC rfc9110
 * 8.3.1: "The type and subtype tokens are case-insensitive." */
static struct dialect dialect_of(const struct http_exchange *x) {
    struct bytes type = media_type(http_request_field(x, "content-type"));
    bool grpc = bytes_equal_nocase(type, "application/grpc") ||
                bytes_equal_nocase(type, "application/grpc+proto");
    if (grpc && http_request(x)->http2) return (struct dialect){RPC_GRPC, RPC_CODEC_PROTO};
    if (bytes_equal_nocase(type, "application/proto")) {
        return (struct dialect){RPC_CONNECT_UNARY, RPC_CODEC_PROTO};
    }
    if (bytes_equal_nocase(type, "application/json")) {
        return (struct dialect){RPC_CONNECT_UNARY, RPC_CODEC_JSON};
    }
    return (struct dialect){0};
}

static void on_request(void *ctx, struct http_exchange *x) {
    struct rpc_server *s = ctx;
    struct dialect d = dialect_of(x);
    const struct rpc_method *m = find_method(s, http_request(x)->path);
    bool stream = m != NULL && (m->server_streaming || m->client_streaming);
    if (m == NULL && d.protocol == RPC_PROTOCOL_UNSET) { /* no type would make it answer */
        http_reply(x, 404, "text/plain; charset=utf-8", BYTES_LIT("not found\n"));
        return;
    }
    if (d.protocol == RPC_PROTOCOL_UNSET || (stream && d.protocol == RPC_CONNECT_UNARY)) {
        respond_unsupported(x);
        return;
    }
    struct rpc_call *call = call_new(s, x);
    if (call == NULL) {
        http_reply(x, 503, "text/plain; charset=utf-8", BYTES_LIT("out of memory\n"));
        return;
    }
    call->method = m;
    call->protocol = d.protocol;
    call->codec = d.codec;
    request_begin(call);
}

static void on_body(void *ctx, struct http_exchange *x, struct bytes chunk) {
    (void)ctx;
    request_body(http_user(x), chunk);
}

static void on_end(void *ctx, struct http_exchange *x) {
    (void)ctx;
    request_end(http_user(x));
}

static void on_writable(void *ctx, struct http_exchange *x) {
    (void)ctx;
    request_writable(http_user(x));
}

static void on_overrun(void *ctx, struct http_exchange *x, enum http_overrun what) {
    (void)ctx;
    struct rpc_call *call = http_user(x);
    switch (what) {
        case HTTP_BODY_TOO_SLOW:
            call_refuse(call,
                        error_new(ERROR_DEADLINE_EXCEEDED, "the request takes too long to come"));
            return;
        case HTTP_BODY_MALFORMED:
            call_refuse(call, error_reason_new(REASON_MALFORMED_MESSAGE,
                                               "the request's chunks are malformed"));
            return;
        case HTTP_BODY_TOO_LARGE:
            call_refuse(call,
                        error_reason_new(REASON_MESSAGE_TOO_LARGE,
                                         "the request is larger than this caller may send now"));
            return;
    }
}

static void on_aborted(void *ctx, struct http_exchange *x) {
    (void)ctx;
    call_abort(http_user(x));
}

struct error *rpc_server_new(const struct rpc_options *options, struct rpc_server **out) {
    CLEANUP(rpc_server_freep) struct rpc_server *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    s->options = *options;
    s->by_path = alloc_zero(options->method_count, sizeof(struct rpc_method *));
    if (s->by_path == NULL) return error_nomem();
    for (size_t i = 0; i < options->method_count; i++) s->by_path[i] = &options->methods[i];
    qsort(s->by_path, options->method_count, sizeof(struct rpc_method *), compare_methods);
    uint8_t id[4];
    TRY(entropy_fill(&entropy_system, id, sizeof id));
    memcpy(&s->process_id, id, sizeof id);
    atomic_init(&s->next_id, 1);
    s->memory.max_bytes = options->memory_max;
    s->stranger_memory.max_bytes = options->memory_max / STRANGERS_PART;
    s->handler = (struct http_handler){.ctx = s,
                                       .on_request = on_request,
                                       .on_body = on_body,
                                       .on_end = on_end,
                                       .on_writable = on_writable,
                                       .on_overrun = on_overrun,
                                       .on_aborted = on_aborted};
    *out = MOVE(s);
    return NULL;
}

const struct http_handler *rpc_server_handler(const struct rpc_server *s) { return &s->handler; }

void rpc_server_free(struct rpc_server *s) {
    if (s == NULL) return;
    alloc_free(s->by_path);
    alloc_free(s);
}
