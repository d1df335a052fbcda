/* Listening sockets. The first listener of a port binds without SO_REUSEPORT, so that a second
 * server on the port is refused, and sets it afterwards, so that our other loops may join. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/internal.h"

#define ACCEPTS_A_TURN 64
#define BACKLOG 1024
#define REST_MS 100 /* after the process ran out of descriptors */

union address {
    struct sockaddr sa;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

struct net_listener {
    struct net_loop *loop;
    uv_poll_t poll;
    struct net_listen_options options; /* address is not kept */
    struct net_timer rest;
    int fd;
    int spare_fd; /* given up for a moment to take and drop a caller; -1 while lost */
    uint16_t port;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void resume(struct net_timer *timer) {
    struct net_listener *l =
        (struct net_listener *)((char *)timer - offsetof(struct net_listener, rest));
    (void)uv_poll_start(&l->poll, UV_READABLE, on_poll);
}

static int open_spare(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

/* Out of descriptors: the caller at the head of the queue is told so by a close instead of waiting,
 * and the listener rests, for a level-triggered poll would report it again at once. */
static void shed(struct net_listener *l) {
    if (l->spare_fd >= 0) {
        (void)close(l->spare_fd);
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) (void)close(fd);
    }
    l->spare_fd = open_spare();
    (void)uv_poll_stop(&l->poll);
    net_timer_start(l->loop, &l->rest, REST_MS);
}

static bool budget_take(struct net_budget *b) {
    if (atomic_fetch_add(&b->open, 1) < b->max) return true;
    (void)atomic_fetch_sub(&b->open, 1);
    return false;
}

static struct error *adopt(struct net_listener *l, int fd, const union address *from) {
    struct net_conn *c = NULL;
    TRY(conn_new(l->loop, &c));
    c->budget = l->options.budget; /* from here on conn_free gives it back */
    c->on_accept = l->options.on_accept;
    c->accept_ctx = l->options.ctx;
    c->open_timeout_ms = l->options.handshake_timeout_ms;
    c->idle_timeout_ms = l->options.idle_timeout_ms;
    c->stall_timeout_ms = l->options.stall_timeout_ms;
    if (l->options.tls != NULL) c->tls = tls_share(l->options.tls);
    conn_set_peer(c, &from->sa);
    struct error *err = conn_poll_fd(c, fd, UV_READABLE);
    if (err != NULL) {
        (void)close(fd);
        conn_fail(c, err);
        return NULL;
    }
    conn_begin(c, NULL);
    return NULL;
}

static void take(struct net_listener *l, int fd, const union address *from) {
    if (!budget_take(l->options.budget)) {
        (void)close(fd);
        return;
    }
    struct error *err = adopt(l, fd, from);
    if (err == NULL) return;
    error_ignore(err, "no memory for a connection: the caller sees it closed");
    (void)atomic_fetch_sub(&l->options.budget->open, 1);
    (void)close(fd);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)events;
    struct net_listener *l = poll->data;
    if (status < 0) {
        shed(l);
        return;
    }
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        union address from = {0};
        socklen_t len = sizeof from;
        int fd = accept4(l->fd, &from.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(l, fd, &from);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            shed(l);
            return;
        } /* else: this caller is gone already (ECONNABORTED and the like); take the next */
    }
}

static struct error *parse_address(const char *text, uint16_t port, union address *out,
                                   socklen_t *out_len) {
    *out = (union address){0};
    if (inet_pton(AF_INET, text, &out->in4.sin_addr) == 1) {
        out->in4.sin_family = AF_INET;
        out->in4.sin_port = htons(port);
        *out_len = sizeof out->in4;
        return NULL;
    }
    if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) == 1) {
        out->in6.sin6_family = AF_INET6;
        out->in6.sin6_port = htons(port);
        *out_len = sizeof out->in6;
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no numeric IP address", text);
}

static int set_on(int fd, int level, int option) {
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on);
}

/* bind_socket makes a listening socket. SO_REUSEADDR lets a restart bind beside connections that
 * still wait for their last segments; it does not let two listeners share a port. */
static struct error *bind_socket(const struct net_listen_options *o, int *out, uint16_t *out_port) {
    union address addr;
    socklen_t len = 0;
    TRY(parse_address(o->address, o->port, &addr, &len));
    int fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return error_new(ERROR_RESOURCE_EXHAUSTED, "make a socket: %m");
    bool ok = set_on(fd, SOL_SOCKET, SO_REUSEADDR) == 0;
    if (addr.sa.sa_family == AF_INET6) ok = ok && set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    if (o->join) ok = ok && set_on(fd, SOL_SOCKET, SO_REUSEPORT) == 0;
    ok = ok && bind(fd, &addr.sa, len) == 0;
    if (!o->join) ok = ok && set_on(fd, SOL_SOCKET, SO_REUSEPORT) == 0;
    ok = ok && listen(fd, BACKLOG) == 0 && getsockname(fd, &addr.sa, &len) == 0;
    if (!ok) {
        struct error *err =
            error_new(ERROR_UNAVAILABLE, "listen on %s port %u: %m", o->address, o->port);
        (void)close(fd);
        return err;
    }
    *out = fd;
    *out_port = ntohs(addr.sa.sa_family == AF_INET ? addr.in4.sin_port : addr.in6.sin6_port);
    return NULL;
}

struct error *net_listen(struct net_loop *loop, const struct net_listen_options *options,
                         struct net_listener **out) {
    ASSERT(net_loop_here(loop) && options->budget != NULL && options->on_accept != NULL);
    struct net_listener *l = alloc_zero(1, sizeof *l);
    if (l == NULL) return error_nomem();
    l->loop = loop;
    l->options = *options;
    l->options.address = NULL;
    l->rest.fn = resume;
    struct error *err = bind_socket(options, &l->fd, &l->port);
    if (err != NULL) {
        alloc_free(l);
        return err;
    }
    int rc = uv_poll_init(&loop->uv, &l->poll, l->fd);
    if (rc != 0) {
        (void)close(l->fd);
        alloc_free(l);
        return error_new(ERROR_RESOURCE_EXHAUSTED, "poll a socket: %s", uv_strerror(rc));
    }
    l->poll.data = l;
    l->spare_fd = open_spare();
    if (options->tls != NULL) (void)tls_share(options->tls);
    loop->listener_count++;
    (void)uv_poll_start(&l->poll, UV_READABLE, on_poll);
    *out = l;
    return NULL;
}

uint16_t net_listener_port(const struct net_listener *listener) { return listener->port; }

static void on_gone(uv_handle_t *handle) { alloc_free(handle->data); }

void net_listener_close(struct net_listener *listener) {
    if (listener == NULL) return;
    struct net_loop *loop = listener->loop;
    ASSERT(net_loop_here(loop));
    net_timer_stop(loop, &listener->rest);
    loop->listener_count--;
    (void)uv_poll_stop(&listener->poll);
    (void)close(listener->fd);
    if (listener->spare_fd >= 0) (void)close(listener->spare_fd);
    net_tls_free(listener->options.tls);
    uv_close((uv_handle_t *)&listener->poll, on_gone);
}
