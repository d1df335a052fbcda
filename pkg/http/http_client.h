/*
 * http_client: the client's side of HTTP/2: many calls over one connection, on a net loop. All
 * callbacks run on the loop's thread, never inside the function that asked for them.
 */
#ifndef HTTP_HTTP_CLIENT_H
#define HTTP_HTTP_CLIENT_H

#include "base/bytes.h"
#include "base/error.h"
#include "http/http.h"

struct http_client;
struct http_client_call;

struct http_client_options {
    const char *host;
    uint16_t port;
    struct net_tls *tls;      /* net_tls_client_new */
    uint32_t open_timeout_ms; /* resolving, connecting, handshake */
    uint32_t stall_timeout_ms;
    size_t head_max; /* octets of a response's head and trailers: hostile servers */
    /* The connection stands; calls made earlier go out now. May be NULL. */
    void (*on_open)(void *ctx);
    /* The connection is gone, after every call's on_done; the client must still be freed. */
    void (*on_closed)(void *ctx, const struct error *why);
    void *ctx;
};

/* http_client_new begins to connect. Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *http_client_new(struct net_loop *loop,
                                       const struct http_client_options *options,
                                       struct http_client **out);

/* http_client_close says goodbye and closes once the calls have ended; on_closed follows. */
void http_client_close(struct http_client *c);

/* http_client_free closes at once, without any further callback, and frees; calls are gone. NULL is
 * allowed. Not inside a callback of its own, but for on_closed. */
void http_client_free(struct http_client *c);
DEFINE_CLEANUP(struct http_client, http_client_free);

/* http_client_usable says whether a new call may go out: not after GOAWAY or the end. */
bool http_client_usable(const struct http_client *c);

struct http_client_events {
    /* The response's head is there. May be NULL. */
    void (*on_head)(void *ctx, struct http_client_call *call, int status);
    void (*on_data)(void *ctx, struct http_client_call *call, struct bytes data);
    /* Exactly once, last; the call is gone when it returns. `why` is NULL where the response came
     * whole. Errors: UNAVAILABLE (connection gone, stream refused), CANCELLED, RESOURCE_EXHAUSTED,
     * INTERNAL by the peer's reset code. */
    void (*on_done)(void *ctx, struct http_client_call *call, const struct error *why);
};

struct http_client_request {
    const char *method;
    const char *path;
    const struct http_field *fields; /* at most 30, beside the pseudo fields */
    size_t field_count;
    struct bytes body; /* whole; copied */
};

/* http_client_send makes a call. Beyond the server's limit of streams it waits for its turn.
 * Errors: UNAVAILABLE if the connection takes no more; RESOURCE_EXHAUSTED. */
MUST_USE struct error *http_client_send(struct http_client *c,
                                        const struct http_client_request *request,
                                        const struct http_client_events *events, void *ctx,
                                        struct http_client_call **out);

/* http_client_cancel resets the stream; on_done does not run, the call is gone. */
void http_client_cancel(struct http_client_call *call);

/* http_client_field returns a field of the trailers or, failing that, of the head; {NULL, 0} if
 * there is none. Valid in the call's callbacks. */
struct bytes http_client_field(const struct http_client_call *call, const char *name);
int http_client_status(const struct http_client_call *call);

/* http_client_ping sends a PING and runs `fn` when it is answered; one at a time. */
void http_client_ping(struct http_client *c, void (*fn)(void *ctx), void *ctx);

#endif
