/* Outgoing connections: resolve, try each address in turn, then handshake. The resolver's request
 * cannot be called off once it runs, so it lies in storage of its own that outlives the connection
 * where need be. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/internal.h"

struct connecting {
    uv_getaddrinfo_t request;
    struct net_conn *conn; /* NULL: it was closed meanwhile */
    struct addrinfo *found;
    struct addrinfo *next; /* to be tried */
    char *host;
    bool resolving;
};

static void connecting_free(struct connecting *k) {
    if (k->found != NULL) uv_freeaddrinfo(k->found);
    alloc_free(k->host);
    alloc_free(k);
}

void connect_drop(struct net_conn *c) {
    if (c->connecting == NULL) return;
    struct connecting *k = MOVE(c->connecting);
    k->conn = NULL;
    if (!k->resolving) connecting_free(k);
}

/* try_address begins to connect to one address; false if that failed at once. */
static bool try_address(struct net_conn *c, const struct addrinfo *a) {
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool begun = connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS;
    int why = errno;
    struct error *err = begun ? conn_poll_fd(c, fd, UV_WRITABLE) : NULL;
    if (begun && err == NULL) {
        conn_set_peer(c, a->ai_addr);
        return true;
    }
    error_ignore(err, "the next address is tried; the last failure is reported by try_next");
    (void)close(fd);
    errno = why;
    return false;
}

static void try_next(struct net_conn *c, int last_errno) {
    struct connecting *k = c->connecting;
    while (k->next != NULL) {
        struct addrinfo *a = k->next;
        k->next = a->ai_next;
        if (try_address(c, a)) return;
        last_errno = errno;
    }
    errno = last_errno;
    conn_fail(c, error_new(ERROR_UNAVAILABLE, "connect to %s: %m", k->host));
}

void connect_ready(struct net_conn *c) {
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0) why = errno;
    if (why != 0) {
        conn_unpoll(c);
        try_next(c, why);
        return;
    }
    struct connecting *k = MOVE(c->connecting);
    conn_begin(c, k->host);
    connecting_free(k);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct connecting *k = request->data;
    k->resolving = false;
    k->found = found;
    if (k->conn == NULL) {
        connecting_free(k);
        return;
    }
    if (status != 0) {
        conn_fail(k->conn,
                  error_new(ERROR_UNAVAILABLE, "resolve %s: %s", k->host, uv_strerror(status)));
        return;
    }
    k->next = found;
    try_next(k->conn, EADDRNOTAVAIL);
}

static struct error *begin(struct net_conn *c, const struct net_connect_options *o) {
    struct connecting *k = alloc_zero(1, sizeof *k);
    if (k == NULL) return error_nomem();
    k->conn = c;
    c->connecting = k;
    k->host = alloc_copy(o->host, strlen(o->host));
    if (k->host == NULL) return error_nomem();
    char port[8];
    (void)snprintf(port, sizeof port, "%u", o->port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    k->request.data = k;
    int rc = uv_getaddrinfo(&c->loop->uv, &k->request, on_resolved, k->host, port, &hints);
    if (rc != 0) return error_new(ERROR_UNAVAILABLE, "resolve %s: %s", o->host, uv_strerror(rc));
    k->resolving = true;
    return NULL;
}

struct error *net_connect(struct net_loop *loop, const struct net_connect_options *options,
                          struct net_conn **out) {
    struct net_conn *c = NULL;
    TRY(conn_new(loop, &c));
    c->open_timeout_ms = options->open_timeout_ms;
    c->idle_timeout_ms = options->idle_timeout_ms;
    c->stall_timeout_ms = options->stall_timeout_ms;
    if (options->tls != NULL) c->tls = tls_share(options->tls);
    struct error *err = begin(c, options);
    if (err != NULL) {
        conn_fail(c, NULL); /* without events nobody is told; freed at the end of the turn */
        return err;
    }
    net_conn_attach(c, options->events, options->ctx);
    *out = c;
    return NULL;
}
