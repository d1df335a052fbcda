/* HTTP/1.1 connections: one request after the other. What comes while a request is being served
 * waits in `in`, which is bounded by not reading on; http1.c reads the octets. */
#include "base/alloc.h"
#include "http/http1.h"
#include "http/internal.h"

#define IN_EXTRA ((size_t)65536) /* one read of the socket beyond a head */

struct h1 {
    struct http_conn base; /* first: a http_conn of this protocol is a struct h1 */
    struct buf in;         /* octets not yet read, from in_used on */
    size_t in_used;
    struct buf head;         /* of the response, until its framing is known */
    struct http_exchange *x; /* being served; NULL: the next head is awaited */
    enum http1_framing framing;
    uint64_t length_left;
    struct http1_chunked chunked;
    bool advancing; /* h1_advance runs: callbacks must not start it again */
    bool head_sent; /* of the response */
    bool chunks;    /* the response's body is sent in chunks */
    bool close;     /* after this response */
    bool expect;    /* 100 Continue is owed */
    bool eof;       /* the peer sends nothing more */
    bool gone;      /* nor, most likely, does it read */
    bool finished;
};

static struct h1 *h1_of(struct http_conn *c) { return (struct h1 *)c; }

static size_t head_max(const struct h1 *h) { return h->base.port->server->limits.header_list_max; }

static struct bytes unread(const struct h1 *h) {
    return (struct bytes){h->in.data + h->in_used, h->in.len - h->in_used};
}

static void used(struct h1 *h, size_t n) {
    h->in_used += n;
    if (h->in_used < h->in.len) return;
    h->in_used = 0;
    buf_clear(&h->in);
}

/* --- the response */

static const char *phrase_of(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 413:
            return "Content Too Large";
        case 415:
            return "Unsupported Media Type";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 503:
            return "Service Unavailable";
        default:
            return ""; /* SPEC rfc9112 4: "A client SHOULD ignore the reason-phrase" */
    }
}

static void put_field(struct buf *b, struct bytes name, struct bytes value) {
    buf_put(b, name);
    buf_put_cstr(b, ": ");
    buf_put(b, value);
    buf_put_cstr(b, "\r\n");
}

static bool has_body(const struct http_exchange *x, int status) {
    return !x->head_method && status >= 200 && status != 204 && status != 304;
}

static void h1_respond(struct http_exchange *x, int status, const struct http_field *fields,
                       size_t field_count, bool only) {
    struct h1 *h = h1_of(x->conn);
    (void)only;
    buf_put_cstr(&h->head, "HTTP/1.1 ");
    buf_put_dec(&h->head, (uint64_t)status);
    buf_put_cstr(&h->head, " ");
    buf_put_cstr(&h->head, phrase_of(status));
    buf_put_cstr(&h->head, "\r\n");
    for (size_t i = 0; i < field_count; i++) put_field(&h->head, fields[i].name, fields[i].value);
    put_field(&h->head, BYTES_LIT("date"), bytes_of_cstr(port_date(x->port)));
    if (!has_body(x, status)) x->head_method = true; /* what is written is dropped */
    h->expect = false;
    net_conn_wake(h->base.net);
}

/* send_head ends the head with its framing: known now that the response has ended or has begun to
 * leave. A request whose body has not come whole leaves the connection unusable. */
static bool send_head(struct h1 *h, struct http_exchange *x) {
    bool last = h->eof && unread(h).len == 0;
    if (!x->request_ended || h->base.port->draining || last) h->close = true;
    if (x->ended && !x->head_method) {
        buf_put_cstr(&h->head, "content-length: ");
        buf_put_dec(&h->head, exchange_waiting(x));
        buf_put_cstr(&h->head, "\r\n");
    } else if (!x->head_method) {
        h->chunks = true;
        buf_put_cstr(&h->head, "transfer-encoding: chunked\r\n");
    }
    if (h->close) buf_put_cstr(&h->head, "connection: close\r\n");
    buf_put_cstr(&h->head, "\r\n");
    struct error *err = buf_finish(&h->head, "response head");
    if (err != NULL) {
        error_ignore(err, "the peer sees the connection closed");
        net_conn_close(h->base.net);
        return false;
    }
    net_conn_write(h->base.net, buf_bytes(&h->head));
    buf_clear(&h->head);
    h->head_sent = true;
    return true;
}

static void send_piece(struct h1 *h, struct http_exchange *x) {
    uint8_t piece[16384];
    size_t room = net_conn_room(h->base.net);
    size_t n = exchange_take(x, piece, room < sizeof piece ? room : sizeof piece);
    if (n == 0) return;
    char line[32];
    struct buf size;
    buf_init(&size, sizeof line);
    if (h->chunks) buf_printf(&size, "%zx\r\n", n);
    net_conn_write(h->base.net, buf_bytes(&size));
    buf_done(&size);
    net_conn_write(h->base.net, (struct bytes){piece, n});
    if (h->chunks) net_conn_write(h->base.net, BYTES_LIT("\r\n"));
}

static void h1_advance(struct h1 *h);

static void finish(struct h1 *h) {
    h->finished = true;
    net_conn_finish(h->base.net);
}

/* served ends the exchange; the connection is ready for the next one, or done. */
static void served(struct h1 *h) {
    struct http_exchange *x = MOVE(h->x);
    bool close = h->close || !x->request_ended;
    x->sent = true;
    exchange_detach(x);
    h->head_sent = h->chunks = false;
    if (close) {
        finish(h);
        return;
    }
    h1_advance(h);
    if (!h->eof || h->finished) return;
    if (h->x == NULL || !exchange_outlives_eof(h->x, h->gone)) finish(h);
}

static void h1_on_writable(void *ctx) {
    struct h1 *h = ctx;
    struct http_exchange *x = h->x;
    if (h->finished || x == NULL) return;
    if (h->expect) {
        h->expect = false;
        net_conn_write(h->base.net, BYTES_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (!x->responded) return;
    if (!h->head_sent && !send_head(h, x)) return;
    while (exchange_waiting(x) > 0 && net_conn_room(h->base.net) > 0) send_piece(h, x);
    conn_tell_writable(&h->base);
    if (h->x != x || !x->ended || exchange_waiting(x) > 0) return;
    if (h->chunks) net_conn_write(h->base.net, BYTES_LIT("0\r\n\r\n"));
    served(h);
}

static void h1_resume(struct http_exchange *x) { net_conn_wake(x->conn->net); }
static void h1_reset(struct http_exchange *x) { net_conn_close(x->conn->net); }
static void h1_give_window(struct http_exchange *x, size_t len) {
    (void)len;
    net_conn_resume(x->conn->net);
}

static void h1_drain(struct http_conn *c) {
    struct h1 *h = h1_of(c);
    h->close = true;
    if (h->x == NULL) net_conn_finish(c->net);
}

static void h1_free(struct http_conn *c) {
    struct h1 *h = h1_of(c);
    buf_done(&h->in);
    buf_done(&h->head);
    alloc_free(h);
}

static const struct http_protocol h1_protocol = {
    .respond = h1_respond,
    .resume = h1_resume,
    .reset = h1_reset,
    .give_window = h1_give_window,
    .drain = h1_drain,
    .free = h1_free,
};

/* --- the request */

/* refuse answers a head that is none, and closes: what follows cannot be told apart. */
static void refuse(struct h1 *h, struct http_exchange *x, int status) {
    h->close = true;
    h->x = x;
    exchange_answer(x, status);
}

static bool keep_fields(struct http_exchange *x, const struct http1_head *head) {
    x->request.method = arena_copy(&x->arena, head->method);
    struct bytes target = arena_copy(&x->arena, head->target);
    if (x->request.method.data == NULL || target.data == NULL) return false;
    (void)exchange_count(x, head->method.len + target.len);
    exchange_set_target(x, target);
    for (size_t i = 0; i < head->field_count; i++) {
        char lower[256];
        struct bytes name = head->fields[i].name;
        if (name.len > sizeof lower) {
            x->too_large = true;
            return true;
        }
        for (size_t k = 0; k < name.len; k++) {
            char c = (char)name.data[k];
            lower[k] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        }
        struct bytes low = {(const uint8_t *)lower, name.len};
        if (!exchange_field(x, low, head->fields[i].value)) return false;
    }
    x->request.authority = http_request_field(x, "host");
    if (head->authority.data == NULL) return true;
    x->request.authority = arena_copy(&x->arena, head->authority);
    return x->request.authority.data != NULL;
}

static void begin(struct h1 *h, struct http_exchange *x, const struct http1_head *head) {
    h->x = x;
    h->framing = head->framing;
    h->length_left = head->content_length;
    h->chunked = (struct http1_chunked){0};
    if (head->close) h->close = true;
    bool body = head->framing == HTTP1_CHUNKED || head->content_length > 0;
    if (!body) x->request_ended = true; /* known before the handler may answer */
    exchange_begin(x);
    if (h->x != x) return;
    /* SPEC rfc9110 10.1.1: "A server that ... MUST NOT send a 100 (Continue) response ... if it has
     * already ... responded"; a final status tells the client to keep its body. */
    h->expect = body && head->expect_continue && !x->responded;
    if (h->expect) net_conn_wake(h->base.net);
    if (!body) exchange_end(x);
}

/* read_head makes the next exchange; false if more octets are needed. */
static bool read_head(struct h1 *h) {
    struct http1_head head;
    size_t n = 0;
    struct bytes in = unread(h);
    if (in.len == 0) {
        h->base.head_from_ms = 0;
        return false;
    }
    enum http1_result r = http1_head_read(in, head_max(h), &head, &n);
    if (r == HTTP1_MORE) {
        if (h->base.head_from_ms == 0) h->base.head_from_ms = net_loop_now_ms(h->base.port->loop);
        port_tick_start(h->base.port);
        return false;
    }
    h->base.head_from_ms = 0;
    struct http_exchange *x = exchange_new(&h->base);
    if (x == NULL || (r == HTTP1_DONE && !keep_fields(x, &head))) {
        net_conn_close(h->base.net); /* no memory */
        return false;
    }
    if (r == HTTP1_REFUSED) {
        refuse(h, x, head.status);
        return false;
    }
    begin(h, x, &head);
    used(h, n); /* after begin: `head` borrows from the octets */
    return true;
}

static bool body_ended(struct h1 *h, struct http_exchange *x) {
    exchange_end(x);
    return h->x == x;
}

/* read_body hands on what has come of the body; false if more is needed. */
static bool read_body(struct h1 *h) {
    struct http_exchange *x = h->x;
    struct bytes in = unread(h);
    struct bytes piece = {0};
    enum http1_result r = HTTP1_DONE;
    if (h->framing == HTTP1_CHUNKED) {
        r = http1_chunked_read(&h->chunked, &in, &piece);
    } else if (h->length_left > 0) {
        size_t n = in.len < h->length_left ? in.len : (size_t)h->length_left;
        piece = (struct bytes){in.data, n};
        in = (struct bytes){in.data + n, in.len - n};
        h->length_left -= n;
        r = n > 0 ? HTTP1_DATA : HTTP1_MORE;
    }
    if (r == HTTP1_REFUSED) { /* neither its end nor what follows can be told */
        h->close = true;
        exchange_malformed(x);
        if (h->x == x && !x->ended) net_conn_close(h->base.net);
        return false;
    }
    if (r == HTTP1_DATA) exchange_body(x, piece);
    if (h->x == x) used(h, unread(h).len - in.len);
    if (r == HTTP1_DONE) return body_ended(h, x);
    return r == HTTP1_DATA;
}

/* A peer may send on while its request is being served, but no more than one head's worth waits. */
static void regulate(struct h1 *h) {
    bool full = h->x != NULL && unread(h).len > head_max(h);
    bool held = h->x != NULL && h->x->paused && !h->x->request_ended;
    if (full || held) {
        net_conn_pause(h->base.net);
    } else {
        net_conn_resume(h->base.net);
    }
}

static void h1_advance(struct h1 *h) {
    if (h->advancing) return;
    h->advancing = true;
    bool more = true;
    while (more && !h->finished) {
        if (h->x == NULL) {
            more = read_head(h);
        } else {
            more = !h->x->request_ended && !(h->x->ended && h->close) && read_body(h);
        }
    }
    h->advancing = false;
    if (!h->finished) regulate(h);
}

static void h1_on_data(void *ctx, struct bytes data) {
    struct h1 *h = ctx;
    if (h->finished) return;
    if (h->in_used > 0) { /* move up before growing */
        size_t left = unread(h).len;
        memmove(h->in.data, h->in.data + h->in_used, left);
        h->in.len = left;
        h->in_used = 0;
    }
    buf_put(&h->in, data);
    struct error *err = buf_finish(&h->in, "octets of requests");
    if (err != NULL) {
        error_ignore(err, "the peer sees the connection closed");
        net_conn_close(h->base.net);
        return;
    }
    h1_advance(h);
}

/* The peer will send nothing more, but may read on (SPEC rfc8446 6.1: its close_notify "does not
 * have any effect on its read side"): whole requests are still answered, also those that wait in
 * `in`. */
static void h1_on_eof(void *ctx, bool gone) {
    struct h1 *h = ctx;
    h->eof = true;
    h->gone = gone;
    if (h->x == NULL || !exchange_outlives_eof(h->x, gone)) net_conn_close(h->base.net);
}

static void h1_on_closed(void *ctx, const struct error *why) {
    (void)why;
    struct h1 *h = ctx;
    h->x = NULL;
    conn_closed(&h->base);
}

static const struct net_events h1_events = {.on_data = h1_on_data,
                                            .on_eof = h1_on_eof,
                                            .on_writable = h1_on_writable,
                                            .on_closed = h1_on_closed};

bool h1_open(struct http_port *p, struct net_conn *net) {
    struct h1 *h = alloc_zero(1, sizeof *h);
    if (h == NULL) return false;
    conn_init(&h->base, &h1_protocol, p, net);
    buf_init(&h->in, 2 * head_max(h) + 2 * IN_EXTRA);
    buf_init(&h->head, 16384);
    net_conn_attach(net, &h1_events, h);
    return true;
}
