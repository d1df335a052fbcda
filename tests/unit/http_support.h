/* A small application behind http, and the world of a test: a server and clients on one loop. */
#ifndef HTTP_SUPPORT_H
#define HTTP_SUPPORT_H

#include <check.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "http/http_client.h"
#include "tls_support.h"

#define GUARD_MS 20000
#define BIG ((size_t)5 << 20)

/* --- a small application */

struct request {
    struct buf body;
    size_t left; /* of a streamed response */
    bool overran;
};

static struct app {
    atomic_size_t open, aborted, overruns;
    struct http_exchange *kept; /* of /keep: released when a test says so */
    size_t kept_count;
    size_t held; /* octets that came for /hold */
} app;

static inline struct request *request_new(struct http_exchange *x) {
    struct request *r = alloc_zero(1, sizeof *r);
    ck_assert_ptr_nonnull(r);
    buf_init(&r->body, (size_t)32 << 20);
    http_set_user(x, r);
    app.open++;
    return r;
}

static inline void request_free(struct http_exchange *x) {
    struct request *r = http_user(x);
    buf_done(&r->body);
    alloc_free(r);
    app.open--;
}

static inline void done(struct http_exchange *x) {
    request_free(x);
    http_release(x);
}

static inline void on_request(void *ctx, struct http_exchange *x) {
    (void)ctx;
    if (bytes_equal(http_request_field(x, "authorization"), BYTES_LIT("good"))) http_trust_body(x);
    if (http_crowded(x)) {
        http_reply(x, 503, "text/plain", BYTES_LIT("too many\n"));
    } else {
        (void)request_new(x);
    }
}

static inline void on_body(void *ctx, struct http_exchange *x, struct bytes chunk) {
    (void)ctx;
    buf_put(&((struct request *)http_user(x))->body, chunk);
}

static inline void on_echo_end(void *ctx, struct http_exchange *x) {
    (void)ctx;
    struct request *r = http_user(x);
    const struct http_field head[] = {HTTP_FIELD("x-query", http_request(x)->query)};
    const struct http_field trailer[] = {HTTP_FIELD("x-trailer", BYTES_LIT("yes"))};
    http_respond(x, 200, head, 1);
    http_write(x, buf_bytes(&r->body));
    http_end(x, trailer, 1);
    done(x);
}

static inline void on_overrun(void *ctx, struct http_exchange *x, enum http_overrun what) {
    (void)ctx;
    (void)what;
    ((struct request *)http_user(x))->overran = true;
    app.overruns++;
}

static inline void on_aborted(void *ctx, struct http_exchange *x) {
    (void)ctx;
    app.aborted++;
    done(x);
}

static inline void stream_on(struct http_exchange *x) {
    struct request *r = http_user(x);
    static const uint8_t zeros[10000];
    while (r->left > 0 && http_writable(x)) {
        size_t n = r->left < sizeof zeros ? r->left : sizeof zeros;
        http_write(x, (struct bytes){zeros, n});
        r->left -= n;
    }
    if (r->left > 0) return;
    http_end(x, NULL, 0);
    done(x);
}

static inline void on_big(void *ctx, struct http_exchange *x) {
    (void)ctx;
    request_new(x)->left = BIG;
    http_respond(x, 200, NULL, 0);
    stream_on(x);
}

static inline void on_big_writable(void *ctx, struct http_exchange *x) {
    (void)ctx;
    stream_on(x);
}

static inline void on_hello(void *ctx, struct http_exchange *x) {
    (void)ctx;
    http_reply(x, 200, "text/plain", BYTES_LIT("hello"));
}

static inline void on_empty(void *ctx, struct http_exchange *x) {
    (void)ctx;
    http_respond_only(x, 204, NULL, 0);
    http_release(x);
}

/* Refuses at once, as an authentication on HEADERS does. */
static inline void on_refuse(void *ctx, struct http_exchange *x) {
    (void)ctx;
    http_reply(x, 401, "text/plain", BYTES_LIT("who are you\n"));
}

/* Keeps the exchange although its peer went away: work that cannot be called off. */
static inline void on_keep(void *ctx, struct http_exchange *x) {
    (void)ctx;
    app.kept = x;
    app.kept_count++;
}
static inline void on_keep_aborted(void *ctx, struct http_exchange *x) {
    (void)ctx;
    (void)x;
    app.aborted++;
}

/* Keeps it, and says nothing of having done with the body. */
static inline void on_hold_body(void *ctx, struct http_exchange *x, struct bytes chunk) {
    (void)ctx;
    (void)x;
    app.held += chunk.len;
}

static const struct http_handler echo = {.on_request = on_request,
                                         .on_body = on_body,
                                         .on_end = on_echo_end,
                                         .on_overrun = on_overrun,
                                         .on_aborted = on_aborted};
static const struct http_handler big = {
    .on_request = on_big, .on_writable = on_big_writable, .on_aborted = on_aborted};
static const struct http_handler hello = {.on_request = on_hello};
static const struct http_handler empty = {.on_request = on_empty};
static const struct http_handler refuse = {.on_request = on_refuse};
static const struct http_handler keep = {.on_request = on_keep, .on_aborted = on_keep_aborted};
static const struct http_handler hold = {
    .on_request = on_keep, .on_body = on_hold_body, .on_aborted = on_keep_aborted};
static const struct http_route routes[] = {
    {"POST", "/echo", false, &echo},      {"GET", "/big", false, &big},
    {"GET", "/hello", false, &hello},     {"GET", "/empty", false, &empty},
    {"POST", "/refuse", false, &refuse},  {"POST", "/keep", false, &keep},
    {"GET", "/tile/", true, &hello},      {"POST", "/under/", true, &hello},
    {"GET", "/under/one", false, &hello}, {"POST", "/hold", false, &hold},
};

/* --- the world of a test: a server and clients on one loop */

struct world {
    struct net_loop *loop;
    struct http_server *server;
    struct http_port *port;
    struct net_tls *server_tls, *client_tls;
    struct net_budget budget;
    struct net_timer guard;
    struct http_client *client;
    bool client_open, client_closed, drained;
};

static inline void stuck(struct net_timer *t) {
    (void)t;
    ck_abort_msg("nothing happened for %d ms", GUARD_MS);
}

static struct http_limits limits;

static inline void open_world(struct world *w, bool tls) {
    ck_assert_ptr_null(net_loop_new(&w->loop));
    ck_assert_ptr_null(
        http_server_new(&limits, routes, sizeof routes / sizeof *routes, &w->server));
    if (tls) {
        w->server_tls = tls_server_good();
        w->client_tls = tls_client("testdata/tls/ca.pem");
    }
    w->budget.max = 100;
    w->guard.fn = stuck;
    net_timer_start(w->loop, &w->guard, GUARD_MS);
    const struct net_listen_options listen = {.address = "127.0.0.1",
                                              .tls = w->server_tls,
                                              .budget = &w->budget,
                                              .handshake_timeout_ms = 5000,
                                              .idle_timeout_ms = 5000,
                                              .stall_timeout_ms = 5000};
    ck_assert_ptr_null(http_port_open(w->server, w->loop, &listen, &w->port));
}

static inline void close_world(struct world *w) {
    http_client_free(w->client);
    http_port_free(w->port);
    net_timer_stop(w->loop, &w->guard);
    net_loop_free(w->loop);
    http_server_free(w->server);
    net_tls_free(w->server_tls);
    net_tls_free(w->client_tls);
    ck_assert_uint_eq(app.open, 0);
    ck_assert_uint_eq(atomic_load(&w->budget.open), 0);
}

static inline void setup(void) {
    limits = http_limits_default;
    app = (struct app){0};
}

static inline void on_client_open(void *ctx) { ((struct world *)ctx)->client_open = true; }
static inline void on_client_closed(void *ctx, const struct error *why) {
    (void)why;
    struct world *w = ctx;
    w->client_closed = true;
    net_loop_stop(w->loop);
}

static inline void open_client(struct world *w) {
    const struct http_client_options o = {.host = "localhost",
                                          .port = http_port_number(w->port),
                                          .tls = w->client_tls,
                                          .open_timeout_ms = 5000,
                                          .stall_timeout_ms = 5000,
                                          .head_max = 8192,
                                          .on_open = on_client_open,
                                          .on_closed = on_client_closed,
                                          .ctx = w};
    ck_assert_ptr_null(http_client_new(w->loop, &o, &w->client));
}

struct call {
    struct world *w;
    struct buf body;
    int status;
    bool done, failed, trailer;
    enum error_code why;
    size_t *left; /* stops the loop when it comes to zero */
};

static inline void on_call_data(void *ctx, struct http_client_call *k, struct bytes data) {
    (void)k;
    buf_put(&((struct call *)ctx)->body, data);
}

static inline void on_call_done(void *ctx, struct http_client_call *k, const struct error *why) {
    struct call *c = ctx;
    c->done = true;
    c->failed = why != NULL;
    if (why != NULL) c->why = error_code(why);
    c->status = http_client_status(k);
    c->trailer = bytes_equal(http_client_field(k, "x-trailer"), BYTES_LIT("yes"));
    if (--*c->left == 0) net_loop_stop(c->w->loop);
}

static const struct http_client_events call_events = {.on_data = on_call_data,
                                                      .on_done = on_call_done};

static inline struct http_client_call *start_call(struct call *c, const char *method,
                                                  const char *path, struct bytes body,
                                                  bool trusted) {
    const struct http_field fields[] = {
        HTTP_FIELD("authorization", trusted ? BYTES_LIT("good") : BYTES_LIT("bad"))};
    const struct http_client_request r = {method, path, fields, 1, body};
    struct http_client_call *k = NULL;
    if (c->body.max == 0) buf_init(&c->body, (size_t)32 << 20);
    ck_assert_ptr_null(http_client_send(c->w->client, &r, &call_events, c, &k));
    return k;
}

static inline void run_call(struct call *c, const char *method, const char *path,
                            struct bytes body) {
    size_t left = 1;
    c->left = &left;
    (void)start_call(c, method, path, body, true);
    net_loop_run(c->w->loop);
    ck_assert(c->done);
}

static inline void after(struct net_timer *t) {
    struct {
        struct net_timer timer;
        struct net_loop *loop;
    } *stop = (void *)t;
    net_loop_stop(stop->loop);
}

static inline void run_for(struct world *w, uint64_t ms) {
    struct {
        struct net_timer timer;
        struct net_loop *loop;
    } stop = {.timer = {.fn = after}, .loop = w->loop};
    net_timer_start(w->loop, &stop.timer, ms);
    net_loop_run(w->loop);
    net_timer_stop(w->loop, &stop.timer);
}

static inline void on_drained(void *ctx) {
    struct world *w = ctx;
    ck_assert(!w->drained);
    w->drained = true;
    net_loop_stop(w->loop);
}

#endif
