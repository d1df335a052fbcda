/* What rpc's server files share. A call is owned by its reactor's thread; `posts` alone is touched
 * by others. */
#ifndef RPC_INTERNAL_H
#define RPC_INTERNAL_H

#include <stdatomic.h>

#include "base/assert.h"
#include "msg/msg.h"
#include "rpc/rpc.h"
#include "rpc/wire.h"

#define RPC_POSTS_MAX 4
#define RPC_REQUEST_ID_LEN 21                   /* 8 hex of the process, "-", 12 hex of the call */
#define RPC_GRPC_MESSAGE_MAX ((size_t)3 * 1024) /* percent-encoded */
#define RPC_DETAILS_MAX ((size_t)8192)

struct rpc_server {
    struct rpc_options options;
    const struct rpc_method **by_path; /* sorted */
    struct http_handler handler;
    uint32_t process_id; /* random: request ids of two runs differ */
    atomic_uint_fast64_t next_id;
    struct arena_budget memory;          /* of all calls of known callers */
    struct arena_budget stranger_memory; /* of all others */
};

struct rpc_post {
    struct net_post post;
    struct rpc_call *call;
    void (*fn)(struct rpc_call *call, void *arg);
    void *arg;
    atomic_bool taken;
};

struct rpc_call {
    struct rpc_server *server;
    struct http_exchange *x; /* NULL once finished */
    struct net_loop *loop;
    const struct rpc_method *method; /* NULL: unknown path */
    enum rpc_protocol protocol;
    enum rpc_codec codec;
    struct arena arena;
    struct rpc_frames frames; /* gRPC */
    struct buf body;      /* Connect: the message; gRPC streams: what waits while not writable */
    struct bytes message; /* the one request message; in frames, body or arena */
    struct net_timer deadline;
    uint64_t deadline_us; /* monotone; UINT64_MAX: none */
    uint64_t began_us;
    void *user;
    void (*on_writable)(struct rpc_call *call, void *ctx);
    void *writable_ctx;
    void (*on_cancel)(struct rpc_call *call, void *ctx);
    void *cancel_ctx;
    struct error *early; /* how the call ended for the peer before the handler finished it */
    struct rpc_post posts[RPC_POSTS_MAX];
    atomic_uint holders; /* the call, each post on its way, and who is inside a callback */
    bool has_message, handled, cancelled, answered, head_sent, sent, at_end;
    char request_id[RPC_REQUEST_ID_LEN + 1];
};

/* call.c */
MUST_USE struct rpc_call *call_new(struct rpc_server *s, struct http_exchange *x);
/* call_trust lifts the limits for strangers, before anything was kept: the caller is known. */
void call_trust(struct rpc_call *call);
/* call_hold keeps the call's memory (not its arena) until call_drop, which says whether the call
 * has not been finished. Only the loop's thread may ask. */
void call_hold(struct rpc_call *call);
bool call_drop(struct rpc_call *call);
/* call_refuse ends a call that its handler has not seen, or tells it so and answers early. */
void call_refuse(struct rpc_call *call, struct error *err);
/* call_abort is call_refuse for a peer that is gone. */
void call_abort(struct rpc_call *call);
void call_start_deadline(struct rpc_call *call, uint64_t timeout_us);

/* request.c: what comes in */
void request_begin(struct rpc_call *call);
void request_body(struct rpc_call *call, struct bytes chunk);
void request_end(struct rpc_call *call);
void request_writable(struct rpc_call *call);

/* respond.c: what goes out; nothing once `answered` */
void respond_message(struct rpc_call *call, struct bytes message);
/* respond_end ends the response with OK (NULL) or the status of `err`. */
void respond_end(struct rpc_call *call, const struct error *err);
/* respond_unsupported refuses a content type that is none of ours: HTTP 415. */
void respond_unsupported(struct http_exchange *x);

#endif
