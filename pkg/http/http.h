/*
 * http: the server's side of HTTP/2 (nghttp2) and HTTP/1.1 (our own strict reader, http1.h) behind
 * one exchange: a request and its response. ALPN chooses; a plain port speaks HTTP/1.1 alone.
 *
 * A server (routes and limits) is immutable and shared by all threads. A port is a server on one
 * loop: it, its connections and its exchanges belong to the loop's thread, where every callback
 * runs.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/bytes.h"
#include "base/error.h"
#include "net/net.h"

struct http_exchange;
struct http_server;
struct http_port;

struct http_field {
    struct bytes name;  /* lower-case */
    struct bytes value; /* without CR, LF and NUL */
    bool once;          /* differs each time: kept out of the compression table */
};

/* HTTP_FIELD makes a field of a literal name. */
#define HTTP_FIELD(n, v) ((struct http_field){.name = BYTES_LIT(n), .value = (v)})

struct http_request {
    struct bytes method;    /* "POST" */
    struct bytes path;      /* begins with "/"; no query; not decoded */
    struct bytes query;     /* after the first "?" */
    struct bytes authority; /* :authority or Host */
    const struct http_field *fields;
    size_t field_count;
    bool http2;
};

enum http_overrun {
    HTTP_BODY_TOO_LARGE = 1, /* more octets held than the caller may */
    HTTP_BODY_TOO_SLOW,      /* the body does not come */
    HTTP_BODY_MALFORMED,     /* its chunks are none */
};

/* What serves a route. Callbacks that are NULL are passed over. An exchange that a route took is
 * the handler's until it calls http_release, which it must exactly once, also after on_aborted. No
 * callback follows that. */
struct http_handler {
    void *ctx;
    /* The head is there. */
    void (*on_request)(void *ctx, struct http_exchange *x);
    /* Octets of the body, valid for the call. NULL: bodies are dropped. */
    void (*on_body)(void *ctx, struct http_exchange *x, struct bytes chunk);
    /* The request is complete. */
    void (*on_end)(void *ctx, struct http_exchange *x);
    /* http_writable has become true again. */
    void (*on_writable)(void *ctx, struct http_exchange *x);
    /* A limit on the body was reached, or it is malformed: nothing more of it will come. The
     * handler may answer in its own form; if it does not, 413, 408 or 400 is sent and on_aborted
     * follows. */
    void (*on_overrun)(void *ctx, struct http_exchange *x, enum http_overrun what);
    /* The peer reset the stream or the connection is gone: what is sent from now on is dropped. */
    void (*on_aborted)(void *ctx, struct http_exchange *x);
};

/* Of the routes that fit a path the longest decide, by their methods, the first that fits. */
struct http_route {
    const char *method; /* "GET" serves HEAD too; NULL: any */
    const char *path;
    bool prefix; /* matches all paths that begin so */
    const struct http_handler *handler;
};

/* Every bound that a peer can push against, with what it stops. Of the two totals exchanges without
 * http_trust_body get a quarter, together: strangers who hold all that they can leave the rest to
 * callers who are known. */
struct http_limits {
    size_t header_list_max;     /* octets of a head, counted as RFC 9113 6.5.2: HPACK bombs, huge
                                   heads; answered 431, or four times as many by the end of the
                                   connection */
    uint32_t streams_max;       /* a connection; streams whose work is not done yet count although
                                   they were reset: rapid reset (CVE-2023-44487) */
    uint32_t stream_window;     /* octets a stream may have in flight */
    uint32_t connection_window; /* octets a connection may have in flight */
    uint32_t strangers_max;     /* requests of strangers under way, over all connections of the
                                   server; http_crowded: many streams that stay, each with its head
                                   and whatever a handler keeps for it */
    size_t stranger_body_max;   /* octets held before http_trust_body: unauthenticated bodies */
    uint32_t stranger_body_ms;  /* and how long they may take */
    size_t connection_body_max; /* octets of bodies held for a connection: many large bodies */
    size_t total_body_max;      /* the same over all connections of the server */
    uint32_t body_ms;           /* a body must come along: slow writers (slowloris) */
    uint32_t head_ms;           /* a head must be complete: slow heads, CONTINUATION that stops */
    uint32_t send_ms;           /* a response must come along: readers that open no window */
    size_t response_max;        /* octets of one response that wait for the peer */
    size_t connection_response_soft; /* octets of a connection's responses beyond which only
                                        exchanges with nothing waiting are writable: many streams
                                        that nobody reads */
    size_t connection_response_max;  /* beyond which a write resets its exchange */
    size_t total_response_max;       /* the same over all connections of the server */
    uint32_t resets_burst;           /* resets by the peer: rapid reset, before it costs work */
    uint32_t resets_per_s;
    uint32_t own_resets_burst; /* resets that the peer made us send: MadeYouReset
                                  (CVE-2025-8671), which nghttp2 1.52 does not count */
    uint32_t own_resets_per_s;
    uint32_t control_burst; /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown frames and
                               empty DATA beyond one for each frame of useful work: control
                               frame floods (CVE-2019-9512, 9513, 9515, 9518) */
    uint32_t control_per_s;
    size_t acks_max;          /* answers to PING and SETTINGS that wait: peers that do not read
                                 them (CVE-2019-9512) */
    size_t continuations_max; /* CONTINUATION frames of a head (CVE-2024-28182) */
    size_t settings_max;      /* entries of a SETTINGS frame (CVE-2020-11080) */
};
extern const struct http_limits http_limits_default;

/* http_server_new makes a server of `routes` (copied; first match wins; paths and handlers are
 * borrowed). What no route matches is answered 404, or 405 where the path is served by another
 * method. */
MUST_USE struct error *http_server_new(const struct http_limits *limits,
                                       const struct http_route *routes, size_t route_count,
                                       struct http_server **out);
/* http_server_free frees; all ports must be gone. NULL is allowed. */
void http_server_free(struct http_server *s);
DEFINE_CLEANUP(struct http_server, http_server_free);

/* http_port_open listens on `loop` as `listen` says (its on_accept and ctx are http's).
 * Errors: net_listen's. */
MUST_USE struct error *http_port_open(struct http_server *s, struct net_loop *loop,
                                      const struct net_listen_options *listen,
                                      struct http_port **out);
uint16_t http_port_number(const struct http_port *p);

/* http_port_drain stops taking connections, tells peers to go away (GOAWAY, Connection: close) and
 * lets what is in flight finish; connections left after `grace_ms` are closed. `done` runs once,
 * when no connection and no unreleased exchange is left; never inside the call. */
void http_port_drain(struct http_port *p, uint32_t grace_ms, void (*done)(void *ctx), void *ctx);

/* http_port_free frees a port that is drained, or closes all its connections at once; exchanges
 * that are not released then keep its memory until they are. NULL is allowed. Not inside a
 * callback of one of its exchanges. */
void http_port_free(struct http_port *p);

/* --- an exchange, for its handler */

const struct http_request *http_request(const struct http_exchange *x);

/* http_request_field returns the value of the first field called `name` (lower-case), {NULL, 0}
 * if there is none. host, content-length, content-type and authorization come at most once: heads
 * with more are refused. */
struct bytes http_request_field(const struct http_exchange *x, const char *name);
void http_set_user(struct http_exchange *x, void *user);
void *http_user(const struct http_exchange *x);
struct net_loop *http_loop(const struct http_exchange *x);
bool http_aborted(const struct http_exchange *x);

/* http_trust_body lifts the limits for strangers, of the response too: the caller is known. */
void http_trust_body(struct http_exchange *x);

/* http_crowded says that there are more strangers than strangers_max, the caller of `x` among them:
 * a handler that would keep `x` refuses it. */
bool http_crowded(const struct http_exchange *x);

/* http_body_held tells that the handler holds only `len` octets of body still, which makes room in
 * the limits and restarts the body's clock. After release it holds none. */
void http_body_held(struct http_exchange *x, size_t len);

/* http_pause_body lets the peer's window run dry; what is in flight (stream_window) still comes. */
void http_pause_body(struct http_exchange *x, bool paused);

/* http_respond sends the response's head; body and end follow. At most 30 fields. */
void http_respond(struct http_exchange *x, int status, const struct http_field *fields,
                  size_t field_count);

/* http_respond_only sends a response that has no body: on HTTP/2 one frame. */
void http_respond_only(struct http_exchange *x, int status, const struct http_field *fields,
                       size_t field_count);

/* http_write queues octets of the body (copied). Over the limits of what may wait, or without
 * memory, it resets the exchange: the handler is told by on_aborted. */
void http_write(struct http_exchange *x, struct bytes data);

/* http_writable says that more may be written: nothing waits, or less than 64 KiB and the
 * connection is under its soft limit. */
bool http_writable(const struct http_exchange *x);

/* http_end ends the response; trailers (at most 30 fields) are sent on HTTP/2 alone. */
void http_end(struct http_exchange *x, const struct http_field *trailers, size_t trailer_count);

/* http_reply is a whole response with a body. Releases `x`. */
void http_reply(struct http_exchange *x, int status, const char *content_type, struct bytes body);

/* http_reset gives the exchange up: RST_STREAM, or the connection's end. on_aborted does not run.
 */
void http_reset(struct http_exchange *x);

/* http_release ends the handler's use of `x`; a response that has not ended is reset. What was
 * viewed of the request is gone. */
void http_release(struct http_exchange *x);

#endif
