/*
 * rpc: gRPC over HTTP/2 and Connect (unary) over HTTP/1.1 and HTTP/2, over opaque octets: framing,
 * status, deadlines, metadata, cancellation. Knows no message. A call lives on one reactor's
 * thread; what other threads finish comes back through rpc_call_post.
 */
#ifndef RPC_RPC_H
#define RPC_RPC_H

#include "base/arena.h"
#include "base/error.h"
#include "http/http.h"

struct rpc_call;
struct rpc_server;

enum rpc_codec { RPC_CODEC_UNSET = 0, RPC_CODEC_PROTO, RPC_CODEC_JSON };
enum rpc_protocol { RPC_PROTOCOL_UNSET = 0, RPC_GRPC, RPC_CONNECT_UNARY };

struct rpc_method {
    const char *path; /* "/attestd.v1.Attestations/Attest" */
    bool server_streaming;
    bool client_streaming;
    uint32_t cookie; /* the api's own, e.g. index into its table */
    /* Runs on the reactor when the one request message is there. Must end with exactly one
     * rpc_call_finish (now or later). With client_streaming it runs for each request message as it
     * comes (data is not NULL, also of an empty one) and once at half-close with {NULL, 0}; never
     * after finish or on_cancel, and not while the call is not writable, so that answers cannot
     * pile up. The call's arena lives as long as the call: use one of your own for each message. */
    void (*handle)(void *ctx, struct rpc_call *call, struct bytes message);
};

struct rpc_options {
    const struct rpc_method *methods;
    size_t method_count;
    void *ctx; /* handed to handle, authenticate and observe */
    /* Runs on HEADERS, before a body octet is kept. An error refuses the call; bodies of refused
     * calls are read and dropped within the limits for strangers (16 KiB, 5 s). */
    struct error *(*authenticate)(void *ctx, struct rpc_call *call, const struct rpc_method *m);
    /* Runs once per call at its end: for metrics and the one log line. err is NULL for OK; m is
     * NULL where the path is no method's. */
    void (*observe)(void *ctx, struct rpc_call *call, const struct rpc_method *m,
                    const struct error *err, uint64_t micros);
    size_t message_max;           /* 4 MiB */
    size_t arena_max;             /* per call; 16 MiB */
    size_t memory_max;            /* of the arenas of all calls together: one may be small and there
                                     are many; 512 MiB. Strangers' (no user was set) count apart, up
                                     to a quarter of it: they take no room from known callers */
    uint32_t deadline_default_ms; /* unary; 30,000 */
};

MUST_USE struct error *rpc_server_new(const struct rpc_options *options, struct rpc_server **out);
/* rpc_server_handler is what http is given for POST paths of services; valid as long as the server,
 * which must outlive the http ports. Paths of no method are answered UNIMPLEMENTED. */
const struct http_handler *rpc_server_handler(const struct rpc_server *s);
void rpc_server_free(struct rpc_server *s);
DEFINE_CLEANUP(struct rpc_server, rpc_server_free);

struct arena *rpc_call_arena(struct rpc_call *call); /* freed when the call ends */
enum rpc_codec rpc_call_codec(const struct rpc_call *call);
enum rpc_protocol rpc_call_protocol(const struct rpc_call *call);
/* The first value of a request's metadata; `name` is lower-case. {NULL, 0} if there is none. */
struct bytes rpc_call_metadata(const struct rpc_call *call, const char *name);
const char *rpc_call_request_id(const struct rpc_call *call);
const struct rpc_method *rpc_call_method(const struct rpc_call *call);
/* The loop of the call's reactor: for timers of the api's own. */
struct net_loop *rpc_call_loop(const struct rpc_call *call);
/* Microseconds left until the deadline; UINT64_MAX without one; 0 past it. */
uint64_t rpc_call_time_left_us(const struct rpc_call *call);
/* One pointer of the api's, for the principal. */
void rpc_call_set_user(struct rpc_call *call, void *user);
void *rpc_call_user(const struct rpc_call *call);

/* rpc_call_send sends one response message (copied). Unary: at most once, before finish. Streaming:
 * as often as wanted while rpc_call_writable; on_writable says when again. */
void rpc_call_send(struct rpc_call *call, struct bytes message);
bool rpc_call_writable(const struct rpc_call *call);
/* The callbacks run on the reactor; on_cancel when the peer went away or the deadline passed: the
 * call must still be finished. */
void rpc_call_on_writable(struct rpc_call *call, void (*fn)(struct rpc_call *call, void *ctx),
                          void *ctx);
void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(struct rpc_call *call, void *ctx),
                        void *ctx);
bool rpc_call_cancelled(const struct rpc_call *call);

/* rpc_call_finish ends the call with OK (NULL) or the status of `err`, which it takes. The call and
 * its arena are gone when it returns. */
void rpc_call_finish(struct rpc_call *call, struct error *err);

/* rpc_call_post runs fn(call, arg) on the call's reactor, later. From any thread; the call must not
 * have been finished. At most 4 of a call are on their way at once. One that arrives when the call
 * has been finished meanwhile is dropped: its `arg` must not own anything then. */
void rpc_call_post(struct rpc_call *call, void (*fn)(struct rpc_call *call, void *arg), void *arg);

/* rpc_status_public is what a client is told: code, message and details. In status.c alone. */
struct rpc_status {
    enum error_code code;
    char message[1024];
};
void rpc_status_public(const struct error *err, const char *request_id, struct rpc_status *out);

/* rpc_status_details adds the details, for a status inside a message (an item of a batch) too.
 * `out` borrows from `err` and `status`. */
struct msg_status;
void rpc_status_details(const struct error *err, const struct rpc_status *status,
                        struct msg_status *out);

#endif
