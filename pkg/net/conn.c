/* A connection's life: connecting, handshake, open, finishing, lingering, closed. Closing only
 * marks: the connection is told and freed at the end of the turn, so that no callback finds it gone
 * under its feet. conn_io.c moves the octets. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/internal.h"

#define OUT_MAX ((size_t)2 << 20)
#define OUT_HIGH ((size_t)65536)
#define LINGER_MS 2000
#define LINGER_BYTES ((size_t)1 << 20)
#define USER_TIMEOUT_MS 60000 /* unacknowledged octets: the peer is gone */
#define KEEPALIVE_AFTER_S 60  /* without octets, and then the probes: the peer is gone in 2 min */
#define KEEPALIVE_EVERY_S 15
#define KEEPALIVE_PROBES 4

struct error *conn_new(struct net_loop *loop, struct net_conn **out) {
    ASSERT(net_loop_here(loop));
    struct net_conn *c = alloc_zero(1, sizeof *c);
    if (c == NULL) return error_nomem();
    c->loop = loop;
    c->fd = -1;
    c->state_ms = c->active_ms = net_loop_now_ms(loop);
    c->linger_left = LINGER_BYTES;
    buf_init(&c->out, OUT_MAX);
    c->next = loop->conns;
    if (c->next != NULL) c->next->prev = c;
    loop->conns = c;
    loop_tick(loop);
    *out = c;
    return NULL;
}

void conn_free(struct net_conn *c) {
    ASSERT(c->state == CONN_CLOSED && c->poll == NULL);
    if (c->budget != NULL) (void)atomic_fetch_sub(&c->budget->open, 1);
    if (c->events != NULL) c->events->on_closed(c->ctx, c->why);
    if (c->dirty) { /* still on the list of this or the next turn */
        struct net_conn **p = &c->loop->dirty;
        while (*p != c) p = &(*p)->dirty_next;
        *p = c->dirty_next;
    }
    SSL_free(c->ssl);
    net_tls_free(c->tls);
    error_free(c->why);
    buf_done(&c->out);
    alloc_free(c);
}

static void unlink_conn(struct net_conn *c) {
    if (c->next != NULL) c->next->prev = c->prev;
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        c->loop->conns = c->next;
    }
    c->next = c->prev = NULL;
}

void conn_fail(struct net_conn *c, struct error *why) {
    if (c->state == CONN_CLOSED) {
        error_ignore(why, "closed already, for an earlier reason");
        return;
    }
    conn_set_state(c, CONN_CLOSED);
    c->why = why;
    connect_drop(c);
    conn_unpoll(c);
    unlink_conn(c);
    c->closing_next = c->loop->closing;
    c->loop->closing = c;
}

void conn_set_state(struct net_conn *c, enum conn_state state) {
    c->state = state;
    c->state_ms = net_loop_now_ms(c->loop);
}

void conn_set_peer(struct net_conn *c, const struct sockaddr *sa) {
    char host[INET6_ADDRSTRLEN] = "?";
    uint16_t port = 0;
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        port = ntohs(in->sin_port);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        port = ntohs(in6->sin6_port);
    }
    (void)snprintf(c->peer, sizeof c->peer, "%s:%u", host, port);
}

/* --- polling */

static void on_poll_gone(uv_handle_t *handle) { alloc_free(handle->data); }

void conn_unpoll(struct net_conn *c) {
    if (c->poll == NULL) return;
    struct conn_poll *p = MOVE(c->poll);
    p->conn = NULL;
    (void)uv_poll_stop(&p->handle);
    uv_close((uv_handle_t *)&p->handle, on_poll_gone);
    (void)close(c->fd);
    c->fd = -1;
    c->polled = 0;
}

/* The peer's socket is shut, after its close_notify had come. */
static void conn_gone(struct net_conn *c) {
    if (c->state != CONN_OPEN || !c->eof || c->gone) return;
    c->gone = true;
    c->events->on_eof(c->ctx, true);
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    struct net_conn *c = ((struct conn_poll *)handle->data)->conn;
    if (c == NULL) return;
    if (status < 0) { /* libuv stopped polling because of an error; reading shows which */
        c->polled = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    switch (c->state) {
        case CONN_CONNECTING:
            connect_ready(c);
            return;
        case CONN_HANDSHAKE:
            c->want_write = false;
            conn_handshake(c);
            break;
        default:
            if ((events & UV_WRITABLE) != 0) c->want_write = false;
            if ((events & UV_DISCONNECT) != 0) conn_gone(c);
            if ((events & UV_READABLE) != 0 || c->read_blocked) conn_read(c);
            if (c->state != CONN_CLOSED && (events & UV_WRITABLE) != 0) conn_mark_dirty(c);
            break;
    }
    if (c->state != CONN_CLOSED && status < 0 && (c->paused || c->eof)) {
        conn_fail(c, error_new(ERROR_UNAVAILABLE, "the connection was reset"));
    }
    conn_poll_update(c);
}

/* Small replies must not wait for acknowledgements; peers that died must be noticed, also under a
 * stream that is open for days. A socket that refuses an option works without it. */
static void tune_socket(int fd) {
    static const struct {
        int level, option, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_AFTER_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        (void)setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(int));
    }
}

struct error *conn_poll_fd(struct net_conn *c, int fd, int events) {
    ASSERT(c->poll == NULL);
    struct conn_poll *p = alloc_zero(1, sizeof *p);
    if (p == NULL) return error_nomem();
    int rc = uv_poll_init(&c->loop->uv, &p->handle, fd);
    if (rc != 0) {
        alloc_free(p);
        return error_new(ERROR_RESOURCE_EXHAUSTED, "poll a socket: %s", uv_strerror(rc));
    }
    p->handle.data = p;
    p->conn = c;
    c->poll = p;
    c->fd = fd;
    tune_socket(fd);
    c->polled = events;
    (void)uv_poll_start(&p->handle, events, on_poll);
    return NULL;
}

void conn_poll_update(struct net_conn *c) {
    if (c->poll == NULL || c->state == CONN_CONNECTING) return;
    bool reading = c->state != CONN_FINISHING && !c->paused && !c->eof;
    bool half_closed = c->state == CONN_OPEN && c->eof && !c->gone;
    int want = (reading ? UV_READABLE : 0) | (c->want_write || c->read_blocked ? UV_WRITABLE : 0) |
               (half_closed ? UV_DISCONNECT : 0);
    if (want == c->polled) return;
    c->polled = want;
    (void)uv_poll_start(&c->poll->handle, want, on_poll); /* with 0 it stops */
}

/* --- opening */

static void open_conn(struct net_conn *c) {
    conn_set_state(c, CONN_OPEN);
    c->active_ms = c->state_ms;
    if (c->on_accept != NULL) {
        c->on_accept(c->accept_ctx, c);
    } else if (c->events->on_open != NULL) {
        c->events->on_open(c->ctx, c);
    }
    if (c->state == CONN_CLOSED) return;
    if (c->events == NULL) {
        conn_fail(c, NULL); /* nobody wants it */
        return;
    }
    c->read_again = true; /* the handshake's last read may have brought more */
    conn_mark_dirty(c);
}

void conn_handshake(struct net_conn *c) {
    c->socket.left = BIO_CALL_OCTETS;
    int rc = SSL_do_handshake(c->ssl);
    if (rc == 1) {
        open_conn(c);
        return;
    }
    int kind = SSL_get_error(c->ssl, rc);
    if (kind == SSL_ERROR_WANT_READ) return;
    if (kind == SSL_ERROR_WANT_WRITE) {
        c->want_write = true;
        return;
    }
    conn_fail(c, tls_error(c->ssl, rc, "TLS handshake"));
}

void conn_begin(struct net_conn *c, const char *host) {
    if (c->tls == NULL) {
        open_conn(c);
        conn_poll_update(c);
        return;
    }
    c->socket.fd = c->fd;
    struct error *err = tls_session(c->tls, &c->socket, host, &c->ssl);
    if (err != NULL) {
        conn_fail(c, err);
        return;
    }
    c->state = CONN_HANDSHAKE; /* state_ms stays: one timeout covers connecting and handshake */
    if (host != NULL) conn_handshake(c);
    conn_poll_update(c);
}

/* --- turns and timeouts */

void conn_mark_dirty(struct net_conn *c) {
    if (c->dirty || c->state == CONN_CLOSED) return;
    c->dirty = true;
    c->dirty_next = c->loop->dirty;
    c->loop->dirty = c;
}

void conn_turn_end(struct net_conn *c) {
    if (c->state == CONN_CLOSED) return;
    if (c->read_again && !c->paused) conn_read(c);
    if (c->state == CONN_OPEN || c->state == CONN_FINISHING) conn_flush(c);
    if (c->state != CONN_CLOSED) conn_poll_update(c);
}

static bool passed(uint64_t now, uint64_t from, uint32_t limit_ms) {
    return limit_ms != 0 && now - from >= limit_ms;
}

static void tick_open(struct net_conn *c, uint64_t now) {
    if (net_conn_queued(c) > 0) {
        if (passed(now, c->stall_from_ms, c->stall_timeout_ms)) {
            conn_fail(c, error_new(ERROR_DEADLINE_EXCEEDED, "the peer reads too slowly"));
        }
        return;
    }
    if (c->state != CONN_OPEN || c->busy || !passed(now, c->active_ms, c->idle_timeout_ms)) return;
    if (c->events->on_idle == NULL) {
        conn_fail(c, NULL);
        return;
    }
    c->active_ms = now; /* once an idle period */
    c->events->on_idle(c->ctx);
}

void conn_tick(struct net_conn *c) {
    uint64_t now = net_loop_now_ms(c->loop);
    switch (c->state) {
        case CONN_CONNECTING:
        case CONN_HANDSHAKE:
            if (passed(now, c->state_ms, c->open_timeout_ms)) {
                conn_fail(c, error_new(ERROR_DEADLINE_EXCEEDED, c->state == CONN_HANDSHAKE
                                                                    ? "TLS handshake: too slow"
                                                                    : "connect: too slow"));
            }
            return;
        case CONN_LINGERING:
            if (passed(now, c->state_ms, LINGER_MS)) conn_fail(c, NULL);
            return;
        default:
            tick_open(c, now);
            return;
    }
}

/* --- what the owner calls */

void net_conn_attach(struct net_conn *c, const struct net_events *events, void *ctx) {
    ASSERT(events->on_data != NULL && events->on_closed != NULL);
    c->events = events;
    c->ctx = ctx;
}

struct net_loop *net_conn_loop(const struct net_conn *c) {
    return c->loop;
}
enum net_alpn net_conn_alpn(const struct net_conn *c) {
    return c->ssl == NULL ? NET_ALPN_NONE : tls_alpn(c->ssl);
}
const char *net_conn_peer(const struct net_conn *c) { return c->peer; }
size_t net_conn_queued(const struct net_conn *c) { return c->out.len - c->out_sent; }
size_t net_conn_room(const struct net_conn *c) {
    size_t queued = net_conn_queued(c);
    return c->state != CONN_OPEN || queued >= OUT_HIGH ? 0 : OUT_HIGH - queued;
}

static void make_room(struct net_conn *c, size_t need) {
    if (c->out_sent == 0 || need <= c->out.cap - c->out.len) return;
    memmove(c->out.data, c->out.data + c->out_sent, net_conn_queued(c));
    c->out.len -= c->out_sent;
    c->out_sent = 0;
}

void net_conn_write(struct net_conn *c, struct bytes data) {
    ASSERT(net_loop_here(c->loop));
    if (c->state != CONN_OPEN || data.len == 0) return;
    if (net_conn_queued(c) == 0) c->stall_from_ms = net_loop_now_ms(c->loop);
    make_room(c, data.len);
    buf_put(&c->out, data);
    struct error *err = buf_finish(&c->out, "octets that wait for the peer");
    if (err != NULL) {
        conn_fail(c, err);
        return;
    }
    conn_mark_dirty(c);
}

void net_conn_wake(struct net_conn *c) {
    ASSERT(net_loop_here(c->loop));
    if (c->events == NULL || c->events->on_writable == NULL) return;
    c->wake = true;
    conn_mark_dirty(c);
}

void net_conn_pause(struct net_conn *c) {
    if (c->state != CONN_OPEN || c->paused) return;
    c->paused = true;
    conn_mark_dirty(c);
}

void net_conn_resume(struct net_conn *c) {
    if (!c->paused) return;
    c->paused = false;
    c->read_again = true; /* OpenSSL may hold octets that no poll event will announce */
    conn_mark_dirty(c);
}

void net_conn_busy(struct net_conn *c, bool busy) {
    if (c->busy && !busy) c->active_ms = net_loop_now_ms(c->loop);
    c->busy = busy;
}

void net_conn_finish(struct net_conn *c) {
    ASSERT(net_loop_here(c->loop));
    if (c->state != CONN_OPEN) {
        if (c->state < CONN_OPEN) conn_fail(c, NULL);
        return;
    }
    conn_set_state(c, CONN_FINISHING);
    conn_mark_dirty(c);
}

void net_conn_close(struct net_conn *c) {
    ASSERT(net_loop_here(c->loop));
    conn_fail(c, NULL);
}
