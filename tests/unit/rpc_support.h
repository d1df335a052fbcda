/* A small service behind rpc, and a server with raw HTTP/2 calls to it on one loop. */
#ifndef RPC_SUPPORT_H
#define RPC_SUPPORT_H

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "codec/codec.h"
#include "http/http_client.h"
#include "rpc/rpc.h"
#include "rpc/wire.h"
#include "tls_support.h"

#define RPC_GUARD_MS 30000
#define STREAM_COUNT 400 /* messages of /t.T/Stream */
#define STREAM_BYTES ((size_t)40000)

static struct service {
    atomic_size_t calls, observed, cancelled;
    atomic_int last_code;  /* as observed; 0: OK */
    struct rpc_call *kept; /* of /t.T/Keep */
} service;

static inline void on_cancel_count(struct rpc_call *call, void *ctx) {
    (void)call;
    (void)ctx;
    service.cancelled++;
}

static inline void on_cancel_finish(struct rpc_call *call, void *ctx) {
    on_cancel_count(call, ctx);
    rpc_call_finish(call, NULL);
}

static inline void echo_message(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    service.calls++;
    rpc_call_send(call, message);
    rpc_call_finish(call, NULL);
}

/* Fails as the message says: its first octet is a letter. */
static inline void fail_as_asked(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    struct error *err = NULL;
    switch (message.len == 0 ? 0 : message.data[0]) {
        case 'f':
            err = error_field_new("subject[2].digest", "is not hexadecimal \xc3\xa4 100%%");
            break;
        case 'i':
            err = error_wrap(error_new(ERROR_INTERNAL, "secret path"), "more secrets");
            break;
        case 'q':
            err = error_reason_new(REASON_QUEUE_FULL, "the queue is full");
            break;
        case 'w':
            err = error_reason_new(REASON_QUOTA_EXCEEDED, "no more today");
            err = error_wrap(error_retry_after(err, 7000), "wait");
            break;
        case 'r':
            err = error_reason_new(REASON_ROUND_FAILED, "secret disk");
            break;
        default:
            err = error_new(ERROR_NOT_FOUND, "%s", "nothing there");
            break;
    }
    rpc_call_finish(call, err);
}

static inline void keep(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    (void)message;
    service.kept = call;
    rpc_call_on_cancel(call, on_cancel_count, NULL);
}

static inline void stream_on(struct rpc_call *call, void *ctx) {
    (void)ctx;
    static const uint8_t zeros[STREAM_BYTES];
    uintptr_t sent = (uintptr_t)rpc_call_user(call) - 1;
    while (sent < STREAM_COUNT && rpc_call_writable(call)) {
        rpc_call_send(call, (struct bytes){zeros, sizeof zeros});
        sent++;
    }
    rpc_call_set_user(call, (void *)(sent + 1));
    if (sent == STREAM_COUNT) rpc_call_finish(call, NULL);
}

static inline void stream(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    (void)message;
    rpc_call_set_user(call, (void *)(uintptr_t)1);
    rpc_call_on_writable(call, stream_on, NULL);
    rpc_call_on_cancel(call, on_cancel_finish, NULL);
    stream_on(call, NULL);
}

/* Answers each message as it comes, and the end with "end". */
static inline void each(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    rpc_call_on_cancel(call, on_cancel_finish, NULL);
    ck_assert(rpc_call_writable(call) && !rpc_call_cancelled(call));
    if (message.data == NULL) {
        rpc_call_send(call, BYTES_LIT("end"));
        rpc_call_finish(call, NULL);
    } else if (bytes_equal(message, BYTES_LIT("stop"))) {
        rpc_call_finish(call, error_new(ERROR_ABORTED, "asked to stop"));
    } else {
        rpc_call_send(call, message);
    }
}

static const struct rpc_method service_methods[] = {
    {.path = "/t.T/Echo", .handle = echo_message},
    {.path = "/t.T/Fail", .handle = fail_as_asked},
    {.path = "/t.T/Keep", .handle = keep},
    {.path = "/t.T/Stream", .handle = stream, .server_streaming = true},
    {.path = "/t.T/Each", .handle = each, .server_streaming = true, .client_streaming = true},
};

static inline struct error *service_authenticate(void *ctx, struct rpc_call *call,
                                                 const struct rpc_method *m) {
    (void)ctx;
    (void)m;
    struct bytes bearer = rpc_call_metadata(call, "authorization");
    if (bearer.data == NULL) return NULL; /* a stranger */
    if (!bytes_equal(bearer, BYTES_LIT("Bearer good"))) {
        return error_reason_new(REASON_CREDENTIALS_INVALID, "the token is unknown");
    }
    rpc_call_set_user(call, (void *)(uintptr_t)1);
    return NULL;
}

static inline void service_observe(void *ctx, struct rpc_call *call, const struct rpc_method *m,
                                   const struct error *err, uint64_t micros) {
    (void)ctx;
    (void)m;
    (void)micros;
    ck_assert_uint_eq(strlen(rpc_call_request_id(call)), 21);
    service.observed++;
    service.last_code = err == NULL ? 0 : (int)error_code(err);
}

static const struct rpc_options service_options = {
    .methods = service_methods,
    .method_count = sizeof service_methods / sizeof *service_methods,
    .authenticate = service_authenticate,
    .observe = service_observe,
    .message_max = (size_t)4 << 20,
    .arena_max = (size_t)16 << 20,
    .memory_max = (size_t)20 << 20,
    .deadline_default_ms = 30000,
};

struct rpc_world {
    struct net_loop *loop;
    struct rpc_server *rpc;
    struct http_server *http;
    struct http_port *port;
    struct net_tls *server_tls, *client_tls;
    struct net_budget budget;
    struct net_timer guard;
    struct http_client *client;
    uint32_t deadline_default_ms; /* 0: service_options' own */
};

static inline void rpc_stuck(struct net_timer *t) {
    (void)t;
    ck_abort_msg("nothing happened for %d ms", RPC_GUARD_MS);
}

static inline struct error *rpc_world_serve(struct rpc_world *w) {
    TRY(net_loop_new(&w->loop));
    struct rpc_options options = service_options;
    if (w->deadline_default_ms != 0) options.deadline_default_ms = w->deadline_default_ms;
    TRY(rpc_server_new(&options, &w->rpc));
    const struct http_route routes[] = {{"POST", "/", true, rpc_server_handler(w->rpc)}};
    TRY(http_server_new(&http_limits_default, routes, 1, &w->http));
    w->budget.max = 100;
    const struct net_listen_options listen = {.address = "127.0.0.1",
                                              .tls = w->server_tls,
                                              .budget = &w->budget,
                                              .handshake_timeout_ms = 5000,
                                              .idle_timeout_ms = 60000,
                                              .stall_timeout_ms = 20000};
    return http_port_open(w->http, w->loop, &listen, &w->port);
}

static inline struct error *rpc_world_connect(struct rpc_world *w) {
    const struct http_client_options o = {.host = "localhost",
                                          .port = http_port_number(w->port),
                                          .tls = w->client_tls,
                                          .open_timeout_ms = 5000,
                                          .stall_timeout_ms = 5000,
                                          .head_max = 32768};
    return http_client_new(w->loop, &o, &w->client);
}

static inline void rpc_world_open(struct rpc_world *w) {
    service = (struct service){0};
    w->server_tls = tls_server_good();
    w->client_tls = tls_client("testdata/tls/ca.pem");
    ck_assert_ptr_null(rpc_world_serve(w));
    ck_assert_ptr_null(rpc_world_connect(w));
    w->guard.fn = rpc_stuck;
    net_timer_start(w->loop, &w->guard, RPC_GUARD_MS);
}

static inline void rpc_world_close(struct rpc_world *w) {
    http_client_free(w->client);
    http_port_free(w->port);
    if (w->loop != NULL) net_timer_stop(w->loop, &w->guard);
    net_loop_free(w->loop);
    http_server_free(w->http);
    rpc_server_free(w->rpc);
    net_tls_free(w->server_tls);
    net_tls_free(w->client_tls);
}

/* --- raw calls */

struct raw {
    struct rpc_world *w;
    const char *path;
    struct http_field fields[6];
    size_t field_count;
    struct bytes body;
    /* What came back. */
    int status;
    char grpc_status[8], message[256], details[1024], type[64], id[32];
    struct buf data;
    bool done, failed;
};

static inline void raw_keep(const struct http_client_call *k, const char *name, char *out,
                            size_t size) {
    struct bytes v = http_client_field(k, name);
    size_t n = v.len < size - 1 ? v.len : size - 1;
    if (n > 0) memcpy(out, v.data, n);
    out[n] = '\0';
}

static inline void raw_data(void *ctx, struct http_client_call *k, struct bytes data) {
    (void)k;
    buf_put(&((struct raw *)ctx)->data, data);
}

static inline void raw_done(void *ctx, struct http_client_call *k, const struct error *why) {
    struct raw *r = ctx;
    r->done = true;
    r->failed = why != NULL;
    r->status = http_client_status(k);
    raw_keep(k, "grpc-status", r->grpc_status, sizeof r->grpc_status);
    raw_keep(k, "grpc-message", r->message, sizeof r->message);
    raw_keep(k, "grpc-status-details-bin", r->details, sizeof r->details);
    raw_keep(k, "content-type", r->type, sizeof r->type);
    raw_keep(k, "x-request-id", r->id, sizeof r->id);
    net_loop_stop(r->w->loop);
}

static const struct http_client_events raw_events = {.on_data = raw_data, .on_done = raw_done};

static inline struct http_client_call *raw_start(struct raw *r) {
    struct http_client_call *k = NULL;
    const struct http_client_request q = {"POST", r->path, r->fields, r->field_count, r->body};
    buf_init(&r->data, (size_t)64 << 20);
    ck_assert_ptr_null(http_client_send(r->w->client, &q, &raw_events, r, &k));
    return k;
}

static inline void raw_call(struct raw *r) {
    (void)raw_start(r);
    while (!r->done) net_loop_run(r->w->loop);
}

static inline struct raw raw_grpc(struct rpc_world *w, const char *path, struct bytes body) {
    struct raw r = {.w = w, .path = path, .body = body};
    r.fields[r.field_count++] = HTTP_FIELD("content-type", BYTES_LIT("application/grpc"));
    r.fields[r.field_count++] = HTTP_FIELD("te", BYTES_LIT("trailers"));
    return r;
}

static inline void raw_add(struct raw *r, const char *name, const char *value) {
    r->fields[r->field_count++] =
        (struct http_field){.name = bytes_of_cstr(name), .value = bytes_of_cstr(value)};
}

#endif
