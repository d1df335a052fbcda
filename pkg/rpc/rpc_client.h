/*
 * rpc_client: the client's half of gRPC over http_client: unary and server-streaming calls of
 * opaque octets over one connection. Two ways to use it: on a net loop with callbacks (many calls
 * at once: `attest bench`), or blocking (one call at a time: the CLI), where the client runs a loop
 * of its own inside the call.
 */
#ifndef RPC_RPC_CLIENT_H
#define RPC_RPC_CLIENT_H

#include "base/arena.h"
#include "base/error.h"
#include "net/net.h"

struct msg_schema;
struct rpc_client;
struct rpc_client_call;

struct rpc_client_options {
    const char *host;
    uint16_t port;
    struct net_tls *tls;             /* net_tls_client_new; must outlive the client */
    struct bytes token;              /* bearer; copied; {NULL, 0}: none */
    const struct msg_schema *schema; /* to read status details; NULL: they are not read */
    size_t message_max;              /* of a response; 0: 64 MiB */
    uint32_t open_timeout_ms;        /* resolving, connecting, handshake; 0: 10 s */
};

/* How a call ended. Texts are valid in on_done, or as long as the arena of a blocking call. */
struct rpc_client_result {
    int code;               /* of gRPC; 0: OK */
    const char *message;    /* "" if there is none */
    const char *reason;     /* ErrorInfo of domain "attestd"; "" if there is none */
    const char *field;      /* BadRequest's first violation; "" if there is none */
    uint32_t retry_ms;      /* RetryInfo; 0 if there is none */
    const char *request_id; /* x-request-id of the response; "" if there is none */
    bool answered;          /* the server ended it; false: the connection or the deadline did */
};

/* rpc_client_error makes an error of a result: NULL where it is OK; else the code, and the reason
 * where we know it, with message and request id as text. */
MUST_USE struct error *rpc_client_error(const struct rpc_client_result *result);

/* --- on a loop; everything runs on its thread */

MUST_USE struct error *rpc_client_new(struct net_loop *loop,
                                      const struct rpc_client_options *options,
                                      struct rpc_client **out);
/* rpc_client_free closes the connection; calls end without a callback. NULL is allowed. Not inside
 * a callback. */
void rpc_client_free(struct rpc_client *c);
DEFINE_CLEANUP(struct rpc_client, rpc_client_free);

/* rpc_client_usable says whether the connection takes another call; if not, make a new client. */
bool rpc_client_usable(const struct rpc_client *c);

struct rpc_client_events {
    /* One response message, valid for the call. Unary: exactly one before an OK. */
    void (*on_message)(void *ctx, struct rpc_client_call *call, struct bytes message);
    /* Exactly once, last, never inside rpc_client_start; the call is gone when it returns. */
    void (*on_done)(void *ctx, struct rpc_client_call *call,
                    const struct rpc_client_result *result);
};

struct rpc_client_request {
    const char *path; /* "/attestd.v1.Gate/Decide" */
    struct bytes message;
    uint32_t timeout_ms; /* 0: none. Goes to the server as grpc-timeout and is kept here too */
};

/* rpc_client_start makes a call; the message is copied. Errors: UNAVAILABLE if the connection takes
 * no more; RESOURCE_EXHAUSTED. */
MUST_USE struct error *rpc_client_start(struct rpc_client *c,
                                        const struct rpc_client_request *request,
                                        const struct rpc_client_events *events, void *ctx,
                                        struct rpc_client_call **out);

/* rpc_client_cancel gives a call up; on_done does not run, the call is gone. Not inside its own
 * on_message. */
void rpc_client_cancel(struct rpc_client_call *call);

/* --- blocking; on a client of rpc_client_dial alone, from the thread that made it */

/* rpc_client_dial makes a client with a loop of its own. It connects with the first call, and again
 * with a later one if the connection was lost. */
MUST_USE struct error *rpc_client_dial(const struct rpc_client_options *options,
                                       struct rpc_client **out);

/* rpc_client_unary makes one call and waits. `*out` and `*out_result` are in `arena`; `*out` is
 * {NULL, 0} unless the code is 0. Errors: RESOURCE_EXHAUSTED (memory) alone: how the call ended is
 * in `*out_result`. */
MUST_USE struct error *rpc_client_unary(struct rpc_client *c, struct arena *arena,
                                        const struct rpc_client_request *request, struct bytes *out,
                                        struct rpc_client_result *out_result);

/* Sees the messages of a blocking stream; returns false to give the call up, which ends it with
 * CANCELLED. */
struct rpc_client_each {
    bool (*fn)(void *ctx, struct bytes message);
    void *ctx;
};

/* rpc_client_stream makes one server-streaming call and waits for its end. */
MUST_USE struct error *rpc_client_stream(struct rpc_client *c, struct arena *arena,
                                         const struct rpc_client_request *request,
                                         const struct rpc_client_each *each,
                                         struct rpc_client_result *out_result);

#endif
