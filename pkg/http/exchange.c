/* One request and its response, whatever the protocol. An exchange has two holders: the protocol
 * (`attached`) and the handler (until `released`); it is freed when both have let go. So a handler
 * whose peer vanished can go on to its own end, and its work still counts against the
 * connection. */
#include "base/alloc.h"
#include "http/internal.h"

#define FIELD_OVERHEAD 32 /* SPEC rfc9113 6.5.2: "plus an overhead of 32 octets for each field" */
#define FIELDS_FIRST 16
#define STRANGERS_PART 4            /* of the totals: http.h */
#define ARENA_EXTRA ((size_t)65536) /* views, trailers, rounding */

struct http_exchange *exchange_new(struct http_conn *c) {
    struct http_exchange *x = alloc_zero(1, sizeof *x);
    if (x == NULL) return NULL;
    const struct http_limits *l = &c->port->server->limits;
    arena_init(&x->arena, 2 * l->header_list_max + ARENA_EXTRA);
    buf_init(&x->out, l->response_max);
    x->conn = c;
    x->port = c->port;
    x->handler = &http_nobody;
    x->attached = true;
    x->released = true; /* until a handler has it */
    x->stranger = true;
    (void)atomic_fetch_add(&x->port->server->strangers, 1);
    x->body_ms = x->send_ms = net_loop_now_ms(c->port->loop);
    x->next = c->exchanges;
    if (x->next != NULL) x->next->prev = x;
    c->exchanges = x;
    c->exchange_count++;
    c->port->exchange_count++;
    port_tick_start(c->port);
    net_conn_busy(c->net, true);
    return x;
}

static void unlink_exchange(struct http_exchange *x) {
    struct http_conn *c = x->conn;
    if (c == NULL) return;
    if (x->next != NULL) x->next->prev = x->prev;
    if (x->prev != NULL) {
        x->prev->next = x->next;
    } else {
        c->exchanges = x->next;
    }
    x->next = x->prev = NULL;
    x->conn = NULL;
    c->exchange_count--;
    if (c->exchange_count > 0 || c->net == NULL) return;
    net_conn_busy(c->net, false);
    net_conn_wake(c->net); /* one that is drained, or whose peer has gone, is over */
}

static void no_stranger(struct http_exchange *x) {
    if (!x->stranger) return;
    x->stranger = false;
    (void)atomic_fetch_sub(&x->port->server->strangers, 1);
}

/* forget_head frees what is kept of a request that nobody looks at any more: its stream may stay on
 * until its body has come or its response has left. Trailers that have not left lie there too. */
static void forget_head(struct http_exchange *x) {
    if (!x->released || x->trailer_count > 0) return;
    arena_done(&x->arena);
    x->fields = NULL;
    x->request = (struct http_request){.http2 = x->request.http2};
    no_stranger(x);
}

/* What waits is counted for the exchange's connection and for the server. */
static void count_waiting(struct http_exchange *x, size_t more, size_t less) {
    struct http_server *s = x->port->server;
    if (x->conn != NULL) x->conn->response_held += more - less; /* modulo 2^64: a difference */
    (void)atomic_fetch_add(&s->response_held, more - less);
    if (!x->trusted) (void)atomic_fetch_add(&s->stranger_response_held, more - less);
}

/* The same of what is held of the request's body. */
static void count_body(struct http_exchange *x, size_t more, size_t less) {
    struct http_server *s = x->port->server;
    x->body_held += more - less;
    if (x->conn != NULL) x->conn->body_held += more - less;
    (void)atomic_fetch_add(&s->body_held, more - less);
    if (!x->trusted) (void)atomic_fetch_add(&s->stranger_body_held, more - less);
}

static void free_if_done(struct http_exchange *x) {
    if (x->attached || !x->released) return;
    struct http_port *p = x->port;
    count_waiting(x, 0, exchange_waiting(x));
    no_stranger(x);
    unlink_exchange(x);
    arena_done(&x->arena);
    buf_done(&x->out);
    alloc_free(x);
    p->exchange_count--;
    port_check(p);
}

/* --- the head */

bool exchange_count(struct http_exchange *x, size_t octets) {
    x->head_octets += octets + FIELD_OVERHEAD;
    if (x->head_octets > x->port->server->limits.header_list_max) x->too_large = true;
    return !x->too_large;
}

static bool grow_fields(struct http_exchange *x) {
    if (x->request.field_count < x->field_room) return true;
    size_t room = x->field_room == 0 ? FIELDS_FIRST : 2 * x->field_room;
    struct http_field *f = arena_alloc(&x->arena, room * sizeof *f);
    if (f == NULL) return false;
    if (x->request.field_count > 0) memcpy(f, x->fields, x->request.field_count * sizeof *f);
    x->fields = f;
    x->request.fields = f;
    x->field_room = room;
    return true;
}

bool exchange_field(struct http_exchange *x, struct bytes name, struct bytes value) {
    if (!exchange_count(x, name.len + value.len)) return true;
    if (!grow_fields(x)) return false;
    struct bytes n = arena_copy(&x->arena, name);
    struct bytes v = arena_copy(&x->arena, value);
    if (n.data == NULL || v.data == NULL) return false;
    x->fields[x->request.field_count++] = (struct http_field){.name = n, .value = v};
    return true;
}

void exchange_set_target(struct http_exchange *x, struct bytes target) {
    const uint8_t *q = target.len == 0 ? NULL : memchr(target.data, '?', target.len);
    size_t path_len = q == NULL ? target.len : (size_t)(q - target.data);
    x->request.path = (struct bytes){target.data, path_len};
    if (q != NULL) x->request.query = (struct bytes){q + 1, target.len - path_len - 1};
}

/* Of these a second one would let two readers of the head disagree. */
static bool has_repeats(const struct http_exchange *x) {
    static const char *const single[] = {"host", "content-length", "content-type", "authorization"};
    for (size_t s = 0; s < sizeof single / sizeof *single; s++) {
        int seen = 0;
        for (size_t i = 0; i < x->request.field_count; i++) {
            if (bytes_equal(x->fields[i].name, bytes_of_cstr(single[s])) && ++seen > 1) return true;
        }
    }
    return false;
}

static bool route_has_path(const struct http_route *r, struct bytes path) {
    struct bytes want = bytes_of_cstr(r->path);
    return r->prefix ? bytes_start_with(path, want) : bytes_equal(path, want);
}

/* is_best answers whether no other route has a longer path that fits: a resource of its own is not
 * reached by the methods of the prefix that it lies under. */
static bool is_best(const struct http_exchange *x, const struct http_route *r) {
    const struct http_server *s = x->port->server;
    if (!route_has_path(r, x->request.path)) return false;
    for (size_t i = 0; i < s->route_count; i++) {
        if (!route_has_path(&s->routes[i], x->request.path)) continue;
        if (strlen(s->routes[i].path) > strlen(r->path)) return false;
    }
    return true;
}

/* find_route sets the handler; else the status to refuse with. SPEC rfc9110 9.1: "All
 * general-purpose servers MUST support the methods GET and HEAD." */
static int find_route(struct http_exchange *x) {
    const struct http_server *s = x->port->server;
    int status = 404;
    x->head_method = bytes_equal(x->request.method, BYTES_LIT("HEAD"));
    struct bytes method = x->head_method ? BYTES_LIT("GET") : x->request.method;
    for (size_t i = 0; i < s->route_count; i++) {
        const struct http_route *r = &s->routes[i];
        if (!is_best(x, r)) continue;
        if (r->method == NULL || bytes_equal(method, bytes_of_cstr(r->method))) {
            x->handler = r->handler;
            return 0;
        }
        status = 405;
    }
    return status;
}

/* allowed_methods lists what the path is served by. SPEC rfc9110 15.5.6: "The origin server MUST
 * generate an Allow header field in a 405 response". */
static struct bytes allowed_methods(struct http_exchange *x) {
    struct buf b;
    buf_init_arena(&b, &x->arena, 256);
    const struct http_server *s = x->port->server;
    for (size_t i = 0; i < s->route_count; i++) {
        if (!is_best(x, &s->routes[i])) continue;
        if (b.len > 0) buf_put_cstr(&b, ", ");
        buf_put_cstr(&b, s->routes[i].method);
    }
    return buf_bytes(&b);
}

static const char *reason_phrase(int status) {
    switch (status) {
        case 400:
            return "bad request\n";
        case 404:
            return "not found\n";
        case 405:
            return "method not allowed\n";
        case 408:
            return "the request took too long\n";
        case 413:
            return "the request is too large\n";
        case 414:
            return "the request target is too long\n";
        case 417:
            return "the expectation cannot be met\n";
        case 431:
            return "the request's head is too large\n";
        case 501:
            return "the transfer coding is not one of ours\n";
        case 503:
            return "the server is busy\n";
        case 505:
            return "HTTP version not supported\n";
        default:
            return "error\n";
    }
}

void exchange_answer(struct http_exchange *x, int status) {
    if (x->responded) return;
    struct http_field fields[2] = {
        HTTP_FIELD("content-type", BYTES_LIT("text/plain; charset=utf-8")),
        HTTP_FIELD("allow", ((struct bytes){0})),
    };
    if (status == 405) fields[1].value = allowed_methods(x);
    http_respond(x, status, fields, status == 405 ? 2 : 1);
    forget_head(x);
    http_write(x, bytes_of_cstr(reason_phrase(status)));
    http_end(x, NULL, 0);
}

void exchange_begin(struct http_exchange *x) {
    ASSERT(x->released && x->attached);
    int status = x->too_large ? 431 : has_repeats(x) ? 400 : find_route(x);
    if (status != 0) {
        exchange_answer(x, status);
        return;
    }
    x->released = false;
    if (x->handler->on_request != NULL) x->handler->on_request(x->handler->ctx, x);
}

/* --- the request's body */

/* An overrun ends the body for the handler; if it does not answer, we do. */
static void overrun(struct http_exchange *x, enum http_overrun what) {
    x->overrun = true;
    if (x->released) return;
    if (x->handler->on_overrun != NULL) x->handler->on_overrun(x->handler->ctx, x, what);
    if (x->responded || x->released) return;
    static const int statuses[] = {
        [HTTP_BODY_TOO_LARGE] = 413, [HTTP_BODY_TOO_SLOW] = 408, [HTTP_BODY_MALFORMED] = 400};
    exchange_answer(x, statuses[what]);
    x->aborted = true;
    if (x->handler->on_aborted != NULL) x->handler->on_aborted(x->handler->ctx, x);
}

void exchange_malformed(struct http_exchange *x) {
    if (!x->overrun && !x->ended) overrun(x, HTTP_BODY_MALFORMED);
}

bool exchange_outlives_eof(const struct http_exchange *x, bool gone) {
    return x->ended || (!gone && x->request_ended && !x->responded);
}

static bool may_hold(const struct http_exchange *x, size_t len) {
    const struct http_server *s = x->port->server;
    const struct http_limits *l = &s->limits;
    if (!x->trusted &&
        (x->body_held + len > l->stranger_body_max ||
         atomic_load(&s->stranger_body_held) + len > l->total_body_max / STRANGERS_PART)) {
        return false;
    }
    return x->conn->body_held + len <= l->connection_body_max &&
           atomic_load(&s->body_held) + len <= l->total_body_max;
}

static void give_window(struct http_exchange *x, size_t len) {
    if (x->attached && len > 0) x->conn->protocol->give_window(x, len);
}

/* Nobody wants it: after the response ended, or with a handler that takes none. The peer gets
 * window for a little of it, so that one that only reads when it has sent all comes to reading. */
static void drop_body(struct http_exchange *x, size_t len) {
    x->body_dropped += len;
    if (x->body_dropped <= x->port->server->limits.stranger_body_max) give_window(x, len);
}

void exchange_body(struct http_exchange *x, struct bytes chunk) {
    if (chunk.len == 0) return;
    x->body_seen += chunk.len;
    if (x->released || x->ended || x->overrun || x->handler->on_body == NULL) {
        drop_body(x, chunk.len);
        return;
    }
    if (!may_hold(x, chunk.len)) {
        overrun(x, HTTP_BODY_TOO_LARGE);
        return;
    }
    count_body(x, chunk.len, 0);
    if (x->trusted) x->body_ms = net_loop_now_ms(x->port->loop);
    if (x->paused) {
        x->window_owed += chunk.len;
    } else {
        give_window(x, chunk.len);
    }
    x->handler->on_body(x->handler->ctx, x, chunk);
}

void exchange_end(struct http_exchange *x) {
    x->request_ended = true;
    if (x->released || x->overrun || x->handler->on_end == NULL) return;
    x->handler->on_end(x->handler->ctx, x);
}

void http_body_held(struct http_exchange *x, size_t len) {
    ASSERT(len <= x->body_held);
    count_body(x, 0, x->body_held - len);
    x->body_ms = net_loop_now_ms(x->port->loop);
}

void http_pause_body(struct http_exchange *x, bool paused) {
    x->paused = paused;
    if (paused) return;
    give_window(x, x->window_owed);
    x->window_owed = 0;
    x->body_ms = net_loop_now_ms(x->port->loop);
}

void http_trust_body(struct http_exchange *x) {
    if (x->trusted) return;
    struct http_server *s = x->port->server;
    (void)atomic_fetch_sub(&s->stranger_body_held, x->body_held);
    (void)atomic_fetch_sub(&s->stranger_response_held, exchange_waiting(x));
    x->trusted = true;
    no_stranger(x);
}

bool http_crowded(const struct http_exchange *x) {
    const struct http_server *s = x->port->server;
    return x->stranger && atomic_load(&s->strangers) > s->limits.strangers_max;
}

/* --- the response */

static bool can_send(const struct http_exchange *x) {
    ASSERT(net_loop_here(x->port->loop));
    return x->attached && !x->aborted && !x->broken;
}

static void respond(struct http_exchange *x, int status, const struct http_field *fields, size_t n,
                    bool only) {
    ASSERT(!x->responded && n <= HTTP_FIELDS_OUT_MAX);
    x->responded = true;
    x->send_ms = net_loop_now_ms(x->port->loop);
    if (only) x->ended = true;
    if (can_send(x)) x->conn->protocol->respond(x, status, fields, n, only);
}

void http_respond(struct http_exchange *x, int status, const struct http_field *fields,
                  size_t field_count) {
    respond(x, status, fields, field_count, false);
}

void http_respond_only(struct http_exchange *x, int status, const struct http_field *fields,
                       size_t field_count) {
    respond(x, status, fields, field_count, true);
}

static bool may_wait(const struct http_exchange *x, size_t len) {
    const struct http_server *s = x->port->server;
    const struct http_limits *l = &s->limits;
    if (!x->trusted &&
        atomic_load(&s->stranger_response_held) + len > l->total_response_max / STRANGERS_PART) {
        return false;
    }
    return x->conn->response_held + len <= l->connection_response_max &&
           atomic_load(&s->response_held) + len <= l->total_response_max;
}

/* give_up resets the stream; the handler is told by on_aborted when that has come about. */
static void give_up(struct http_exchange *x) {
    x->broken = true;
    x->conn->protocol->reset(x);
}

void http_write(struct http_exchange *x, struct bytes data) {
    ASSERT(x->responded && !x->ended);
    if (!can_send(x) || x->head_method) return;
    if (exchange_waiting(x) == 0) x->send_ms = net_loop_now_ms(x->port->loop);
    if (x->out_sent > 0 && data.len > x->out.cap - x->out.len) { /* move up before growing */
        memmove(x->out.data, x->out.data + x->out_sent, exchange_waiting(x));
        x->out.len -= x->out_sent;
        x->out_sent = 0;
    }
    if (!may_wait(x, data.len)) {
        give_up(x);
        return;
    }
    buf_put(&x->out, data);
    if (x->out.failed) {
        give_up(x);
        return;
    }
    count_waiting(x, data.len, 0);
    if (!http_writable(x)) x->want_writable = x->conn->writable_owed = true;
    x->conn->protocol->resume(x);
}

size_t exchange_waiting(const struct http_exchange *x) { return x->out.len - x->out_sent; }
bool http_writable(const struct http_exchange *x) {
    size_t waiting = exchange_waiting(x);
    if (waiting == 0) return true;
    return waiting < HTTP_WRITABLE_BYTES && x->conn != NULL &&
           x->conn->response_held < x->port->server->limits.connection_response_soft;
}

/* copy_trailers keeps the trailers until the body has left. */
static bool copy_trailers(struct http_exchange *x, const struct http_field *trailers, size_t n) {
    if (n == 0) return true;
    struct http_field *t = arena_alloc(&x->arena, n * sizeof *t);
    if (t == NULL) return false;
    for (size_t i = 0; i < n; i++) {
        t[i] = trailers[i];
        t[i].name = arena_copy(&x->arena, trailers[i].name);
        t[i].value = arena_copy(&x->arena, trailers[i].value);
        if (t[i].name.data == NULL || t[i].value.data == NULL) return false;
    }
    x->trailers = t;
    x->trailer_count = n;
    return true;
}

void http_end(struct http_exchange *x, const struct http_field *trailers, size_t trailer_count) {
    ASSERT(x->responded && !x->ended && trailer_count <= HTTP_FIELDS_OUT_MAX);
    x->ended = true;
    if (!can_send(x)) return;
    if (!copy_trailers(x, trailers, trailer_count)) {
        x->conn->protocol->reset(x);
        return;
    }
    x->conn->protocol->resume(x);
}

void http_reply(struct http_exchange *x, int status, const char *content_type, struct bytes body) {
    struct http_field type = HTTP_FIELD("content-type", bytes_of_cstr(content_type));
    http_respond(x, status, &type, 1);
    http_write(x, body);
    http_end(x, NULL, 0);
    http_release(x);
}

void http_reset(struct http_exchange *x) {
    bool send = can_send(x);
    x->ended = true;
    if (send) x->conn->protocol->reset(x);
}

size_t exchange_take(struct http_exchange *x, uint8_t *out, size_t max) {
    size_t n = exchange_waiting(x);
    if (n > max) n = max;
    if (n == 0) return 0;
    memcpy(out, x->out.data + x->out_sent, n);
    x->out_sent += n;
    count_waiting(x, 0, n);
    x->send_ms = net_loop_now_ms(x->port->loop);
    if (exchange_waiting(x) == 0) {
        x->out_sent = 0;
        buf_clear(&x->out);
    }
    return n;
}

static void tell_writable(struct http_exchange *x) {
    x->want_writable = false;
    if (x->released || x->ended || x->aborted || x->handler->on_writable == NULL) return;
    x->handler->on_writable(x->handler->ctx, x);
}

void conn_tell_writable(struct http_conn *c) {
    if (!c->writable_owed) return;
    c->writable_owed = false;
    struct http_exchange *next = NULL;
    for (struct http_exchange *x = c->exchanges; x != NULL; x = next) {
        next = x->next; /* the handler may release x, and x alone */
        if (!x->want_writable) continue;
        if (http_writable(x)) {
            tell_writable(x);
        } else {
            c->writable_owed = true;
        }
    }
}

/* --- the end */

void exchange_detach(struct http_exchange *x) {
    ASSERT(x->attached);
    bool tell = !x->released && !x->ended && !x->aborted;
    if (!x->sent) x->aborted = true;
    if (tell && x->handler->on_aborted != NULL) x->handler->on_aborted(x->handler->ctx, x);
    x->attached = false; /* only now: a release inside on_aborted must not free it yet */
    free_if_done(x);
}

void http_release(struct http_exchange *x) {
    ASSERT(!x->released && net_loop_here(x->port->loop));
    http_body_held(x, 0);
    if (!x->ended) http_reset(x);
    x->released = true;
    forget_head(x);
    free_if_done(x);
}

static bool body_is_late(const struct http_exchange *x, uint64_t now) {
    const struct http_limits *l = &x->port->server->limits;
    if (x->request_ended || x->overrun || x->paused || now < x->body_ms) return false;
    bool takes = x->handler->on_body != NULL; /* else nothing is ever held */
    if (takes && x->body_seen > 0 && x->body_held == 0) return false; /* between two messages */
    return now - x->body_ms >= (x->trusted ? l->body_ms : l->stranger_body_ms);
}

/* exchange_tick looks at the clocks: a body that does not come, a response that does not leave, and
 * a body that goes on after the response has ended. */
void exchange_tick(struct http_exchange *x, uint64_t now) {
    const struct http_limits *l = &x->port->server->limits;
    if (!x->attached || now < x->send_ms) return;
    uint64_t quiet_ms = now - x->send_ms;
    bool stalled = exchange_waiting(x) > 0 && quiet_ms >= l->send_ms;
    bool goes_on = x->sent && !x->request_ended && quiet_ms >= l->stranger_body_ms;
    if (stalled || goes_on) {
        x->conn->protocol->reset(x);
    } else if (!x->ended && !x->released && body_is_late(x, now)) {
        overrun(x, HTTP_BODY_TOO_SLOW);
    }
}

/* --- views */

const struct http_request *http_request(const struct http_exchange *x) { return &x->request; }

struct bytes http_request_field(const struct http_exchange *x, const char *name) {
    struct bytes want = bytes_of_cstr(name);
    for (size_t i = 0; i < x->request.field_count; i++) {
        if (bytes_equal(x->fields[i].name, want)) return x->fields[i].value;
    }
    return (struct bytes){0};
}

void http_set_user(struct http_exchange *x, void *user) { x->user = user; }
void *http_user(const struct http_exchange *x) { return x->user; }
struct net_loop *http_loop(const struct http_exchange *x) {
    return x->port->loop;
}
bool http_aborted(const struct http_exchange *x) { return x->aborted || x->broken || !x->attached; }
