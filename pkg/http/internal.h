/* What http's server files share. Everything here is owned by the port's loop thread, but for the
 * atomic counters of the server. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "http/http.h"

#define HTTP_FIELDS_OUT_MAX 30
#define HTTP_WRITABLE_BYTES ((size_t)65536)
#define HTTP_TICK_MS 500
#define HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

struct http_server {
    struct http_limits limits;
    struct http_route *routes; /* owned */
    size_t route_count;
    atomic_size_t body_held;                                  /* octets, over all ports */
    atomic_size_t response_held;                              /* the same of responses that wait */
    atomic_size_t stranger_body_held, stranger_response_held; /* of them, of untrusted exchanges */
    atomic_uint strangers; /* exchanges that keep a head and are not trusted */
    atomic_uint ports;
};

struct http_port {
    struct http_server *server;
    struct net_loop *loop;
    struct net_listener *listener; /* NULL once draining */
    struct net_budget *budget;
    struct net_timer tick;   /* armed while there are exchanges or unfinished heads */
    struct net_timer grace;  /* of a drain */
    struct net_post drained; /* `done` runs from the loop, not from what ended last */
    struct http_conn *conns;
    size_t exchange_count; /* not freed yet */
    void (*done)(void *ctx);
    void *done_ctx;
    uint64_t date_s; /* what `date` says, in Unix seconds */
    char date[HTTP_DATE_LEN + 1];
    uint16_t number;
    bool draining, told, freed;
};

/* The two protocols; `x` is attached in all of them. */
struct http_protocol {
    /* Sends a head; with `only`, of a response without a body. */
    void (*respond)(struct http_exchange *x, int status, const struct http_field *fields,
                    size_t field_count, bool only);
    /* More of the body waits, or it has ended. */
    void (*resume)(struct http_exchange *x);
    void (*reset)(struct http_exchange *x);
    /* The peer may send `len` more octets of body. */
    void (*give_window)(struct http_exchange *x, size_t len);
    void (*drain)(struct http_conn *c);
    void (*free)(struct http_conn *c);
};

struct http_conn {
    const struct http_protocol *protocol;
    struct http_port *port;
    struct net_conn *net; /* NULL once closed */
    struct http_conn *next, *prev;
    struct http_exchange *exchanges; /* attached, or not yet released */
    size_t exchange_count;
    size_t body_held;
    size_t response_held;  /* octets of responses that wait */
    bool writable_owed;    /* some exchange wants on_writable */
    uint64_t head_from_ms; /* when the unfinished head began; 0: there is none */
};

struct http_exchange {
    struct http_exchange *next, *prev; /* conn->exchanges */
    struct http_conn *conn;            /* NULL once the connection is gone */
    struct http_port *port;
    const struct http_handler *handler;
    void *user;
    struct arena arena; /* the request's head, the trailers */
    struct http_request request;
    struct http_field *fields; /* in arena; what request.fields views */
    size_t field_room;
    size_t head_octets;
    struct buf out; /* the response's body, from out_sent on */
    size_t out_sent;
    struct http_field *trailers; /* in arena */
    size_t trailer_count;
    size_t body_held;    /* by the handler */
    size_t body_seen;    /* ever */
    size_t body_dropped; /* after nobody wanted it */
    size_t window_owed;  /* while paused */
    uint64_t body_ms;    /* the body's clock */
    uint64_t send_ms;    /* the response's clock: when it last came along */
    int32_t stream_id;
    bool attached; /* the protocol still has it */
    bool released; /* the handler has not */
    bool aborted, trusted, paused, overrun;
    bool stranger; /* counts among the server's */
    bool request_ended, responded, ended;
    bool head_method;   /* HEAD: no body is sent */
    bool grpc;          /* HTTP/2: the response is gRPC's */
    bool sent;          /* the end of the response was handed to the connection */
    bool deferred;      /* HTTP/2: nghttp2 waits for more body */
    bool want_writable; /* on_writable is owed once less waits */
    bool broken;        /* was reset by us; the handler is told when the stream is gone */
    bool too_large;     /* the head */
};

/* server.c */
extern const struct http_handler http_nobody; /* has no callbacks: for our own answers */
void conn_init(struct http_conn *c, const struct http_protocol *protocol, struct http_port *p,
               struct net_conn *net);
/* conn_closed aborts the exchanges and frees `c`, whose socket is gone. */
void conn_closed(struct http_conn *c);
void port_tick_start(struct http_port *p);
/* port_check runs what a drain waits for. */
void port_check(struct http_port *p);
const char *port_date(struct http_port *p);

/* exchange.c */
MUST_USE struct http_exchange *exchange_new(struct http_conn *c); /* NULL: no memory */
/* exchange_field keeps a copy of one field; false if memory is out. Past the limit it only marks
 * the head as too large. */
MUST_USE bool exchange_field(struct http_exchange *x, struct bytes name, struct bytes value);
/* exchange_count counts octets of the head against the limit; false, and marked, past it. */
bool exchange_count(struct http_exchange *x, size_t octets);
void exchange_set_target(struct http_exchange *x, struct bytes target);
/* exchange_begin gives the exchange, whose head is complete, to its handler. */
void exchange_begin(struct http_exchange *x);
void exchange_body(struct http_exchange *x, struct bytes chunk);
void exchange_end(struct http_exchange *x);
/* exchange_malformed ends a body whose octets make no sense. */
void exchange_malformed(struct http_exchange *x);
/* exchange_outlives_eof says whether a peer that sends nothing more still gets its answer: one that
 * is ready, or, unless its socket is shut too (`gone`), that of a whole request. A response that
 * goes on (a stream) is not kept up: that nobody reads it any more would not be noticed. */
bool exchange_outlives_eof(const struct http_exchange *x, bool gone);
/* exchange_take moves up to `max` octets of the response's body to `out`; returns how many. */
size_t exchange_take(struct http_exchange *x, uint8_t *out, size_t max);
size_t exchange_waiting(const struct http_exchange *x);
/* conn_tell_writable runs on_writable of the exchanges to which it is owed and that have room. */
void conn_tell_writable(struct http_conn *c);
/* exchange_detach ends the protocol's use of `x`, and tells the handler if it was not done. */
void exchange_detach(struct http_exchange *x);
/* exchange_answer answers with a short text, in place of a handler. */
void exchange_answer(struct http_exchange *x, int status);
void exchange_tick(struct http_exchange *x, uint64_t now);

/* h2.c, h1.c: make the connection's state and attach it to `net`; false if memory is out. */
MUST_USE bool h2_open(struct http_port *p, struct net_conn *net);
MUST_USE bool h1_open(struct http_port *p, struct net_conn *net);

/* guard.c: a budget that fills with time and with useful work. */
struct guard {
    uint32_t left;
    uint64_t filled_ms;
};
void guard_init(struct guard *g, uint32_t burst, uint64_t now_ms);
/* guard_spend takes one; false if there is none left. */
MUST_USE bool guard_spend(struct guard *g, uint32_t burst, uint32_t per_s, uint64_t now_ms);
void guard_earn(struct guard *g, uint32_t burst);

#endif
