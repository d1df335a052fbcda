/* Servers, ports and what both protocols share of a connection. */
#include <time.h>

#include "base/alloc.h"
#include "http/internal.h"

const struct http_limits http_limits_default = {
    .header_list_max = (size_t)16 * 1024,
    .streams_max = 100,
    .stream_window = 256 * 1024,
    .connection_window = 1024 * 1024,
    .strangers_max = 2048,
    .stranger_body_max = (size_t)16 * 1024,
    .stranger_body_ms = 5000,
    .connection_body_max = (size_t)16 << 20,
    .total_body_max = (size_t)256 << 20,
    .body_ms = 30000,
    .head_ms = 10000,
    .send_ms = 30000,
    .response_max = (size_t)16 << 20,
    .connection_response_soft = (size_t)1 << 20,
    .connection_response_max = (size_t)64 << 20,
    .total_response_max = (size_t)512 << 20,
    .resets_burst = 200,
    .resets_per_s = 33,
    .own_resets_burst = 200,
    .own_resets_per_s = 20,
    .control_burst = 1000,
    .control_per_s = 100,
    .acks_max = 200,
    .continuations_max = 8,
    .settings_max = 32,
};

const struct http_handler http_nobody = {0};

struct error *http_server_new(const struct http_limits *limits, const struct http_route *routes,
                              size_t route_count, struct http_server **out) {
    CLEANUP(http_server_freep) struct http_server *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    s->limits = *limits;
    s->routes = alloc_copy(routes, route_count * sizeof *routes);
    if (s->routes == NULL) return error_nomem();
    s->route_count = route_count;
    *out = MOVE(s);
    return NULL;
}

void http_server_free(struct http_server *s) {
    if (s == NULL) return;
    ASSERT(atomic_load(&s->ports) == 0);
    alloc_free(s->routes);
    alloc_free(s);
}

/* --- connections */

void conn_init(struct http_conn *c, const struct http_protocol *protocol, struct http_port *p,
               struct net_conn *net) {
    c->protocol = protocol;
    c->port = p;
    c->net = net;
    c->next = p->conns;
    if (c->next != NULL) c->next->prev = c;
    p->conns = c;
}

void conn_closed(struct http_conn *c) {
    struct http_port *p = c->port;
    c->net = NULL;
    while (c->exchanges != NULL) {
        struct http_exchange *x = c->exchanges;
        if (x->attached) {
            exchange_detach(x); /* may free it, or leave it to its handler */
        } else {
            c->exchanges = x->next; /* not released: goes on without a connection */
            if (x->next != NULL) x->next->prev = NULL;
            x->next = NULL;
            x->conn = NULL;
        }
    }
    if (c->next != NULL) c->next->prev = c->prev;
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        p->conns = c->next;
    }
    c->protocol->free(c);
    port_check(p);
}

static void on_accept(void *ctx, struct net_conn *net) {
    struct http_port *p = ctx;
    bool ok = net_conn_alpn(net) == NET_ALPN_H2 ? h2_open(p, net) : h1_open(p, net);
    if (!ok) net_conn_close(net);
}

/* --- ports */

static void on_tick(struct net_timer *t) {
    struct http_port *p = (struct http_port *)((char *)t - offsetof(struct http_port, tick));
    uint64_t now = net_loop_now_ms(p->loop);
    bool heads = false;
    for (struct http_conn *c = p->conns; c != NULL; c = c->next) {
        struct http_exchange *next = NULL;
        for (struct http_exchange *x = c->exchanges; x != NULL; x = next) {
            next = x->next; /* a tick ends at most its own exchange */
            exchange_tick(x, now);
        }
        if (c->head_from_ms == 0) continue;
        heads = true;
        if (now - c->head_from_ms >= p->server->limits.head_ms) net_conn_close(c->net);
    }
    if (heads || p->exchange_count > 0) net_timer_start(p->loop, &p->tick, HTTP_TICK_MS);
}

void port_tick_start(struct http_port *p) {
    if (!p->tick.armed) net_timer_start(p->loop, &p->tick, HTTP_TICK_MS);
}

const char *port_date(struct http_port *p) {
    uint64_t now_s = (uint64_t)time(NULL);
    if (now_s == p->date_s) return p->date;
    struct tm tm;
    time_t t = (time_t)now_s;
    (void)gmtime_r(&t, &tm);
    (void)strftime(p->date, sizeof p->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    p->date_s = now_s;
    return p->date;
}

struct error *http_port_open(struct http_server *s, struct net_loop *loop,
                             const struct net_listen_options *listen, struct http_port **out) {
    struct http_port *p = alloc_zero(1, sizeof *p);
    if (p == NULL) return error_nomem();
    p->server = s;
    p->loop = loop;
    p->budget = listen->budget;
    p->tick.fn = on_tick;
    struct net_listen_options o = *listen;
    o.on_accept = on_accept;
    o.ctx = p;
    struct error *err = net_listen(loop, &o, &p->listener);
    if (err != NULL) {
        alloc_free(p);
        return err;
    }
    p->number = net_listener_port(p->listener);
    (void)atomic_fetch_add(&s->ports, 1);
    *out = p;
    return NULL;
}

uint16_t http_port_number(const struct http_port *p) { return p->number; }

static void destroy(struct http_port *p) {
    net_timer_stop(p->loop, &p->tick);
    net_timer_stop(p->loop, &p->grace);
    (void)atomic_fetch_sub(&p->server->ports, 1);
    alloc_free(p);
}

static void on_drained(struct net_post *post) {
    struct http_port *p = (struct http_port *)((char *)post - offsetof(struct http_port, drained));
    p->done(p->done_ctx);
}

void port_check(struct http_port *p) {
    if (p->conns != NULL || p->exchange_count > 0) return;
    if (p->freed) {
        destroy(p);
    } else if (p->draining && !p->told) {
        p->told = true;
        net_timer_stop(p->loop, &p->grace);
        p->drained.fn = on_drained;
        net_loop_post(p->loop, &p->drained);
    }
}

static void close_all(struct http_port *p) {
    for (struct http_conn *c = p->conns; c != NULL; c = c->next) net_conn_close(c->net);
}

static void on_grace_over(struct net_timer *t) {
    close_all((struct http_port *)((char *)t - offsetof(struct http_port, grace)));
}

static void stop_listening(struct http_port *p) { net_listener_close(MOVE(p->listener)); }

void http_port_drain(struct http_port *p, uint32_t grace_ms, void (*done)(void *ctx), void *ctx) {
    ASSERT(!p->draining && net_loop_here(p->loop));
    stop_listening(p);
    p->draining = true;
    p->done = done;
    p->done_ctx = ctx;
    p->grace.fn = on_grace_over;
    net_timer_start(p->loop, &p->grace, grace_ms);
    for (struct http_conn *c = p->conns; c != NULL; c = c->next) c->protocol->drain(c);
    port_check(p);
}

/* Connections that are closed here are freed at the end of the loop's turn, or by net_loop_free;
 * the port goes with the last of them and the last exchange. */
void http_port_free(struct http_port *p) {
    if (p == NULL) return;
    ASSERT(!p->freed && net_loop_here(p->loop));
    stop_listening(p);
    p->freed = true;
    close_all(p);
    port_check(p);
}
