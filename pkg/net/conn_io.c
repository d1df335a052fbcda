/* Moving octets: reading into the loop's one buffer, writing from the connection's queue. Both are
 * bounded a turn, so that one busy peer does not keep the others waiting. */
#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "net/internal.h"

#define READS_A_TURN 16
#define FILLS_A_TURN 8
#define TLS_RECORD_BYTES ((size_t)16384)
#define STALL_BYTES ((size_t)16384) /* progress that counts: net.h */
#define KEEP_BYTES ((size_t)65536)  /* a larger empty queue gives its memory back */

enum io { IO_MOVED, IO_BLOCKED, IO_EOF, IO_FAILED };

static enum io tls_result(struct net_conn *c, int rc, const char *what, struct error **out_why) {
    switch (SSL_get_error(c->ssl, rc)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return IO_BLOCKED;
        case SSL_ERROR_ZERO_RETURN:
            return IO_EOF;
        default:
            *out_why = tls_error(c->ssl, rc, what);
            return IO_FAILED;
    }
}

static enum io read_some(struct net_conn *c, size_t *out_len, struct error **out_why) {
    if (c->ssl != NULL) {
        ERR_clear_error();
        c->socket.left = BIO_CALL_OCTETS;
        int rc = SSL_read_ex(c->ssl, c->loop->read_buffer, NET_READ_BYTES, out_len);
        if (rc == 1) return IO_MOVED;
        enum io io = tls_result(c, rc, "read", out_why);
        if (io == IO_BLOCKED && c->socket.left == 0) { /* not one octet of data in them */
            *out_why = error_new(ERROR_RESOURCE_EXHAUSTED, "a flood of TLS records without data");
            return IO_FAILED;
        }
        c->read_blocked = io == IO_BLOCKED && SSL_want_write(c->ssl);
        return io;
    }
    ssize_t n = recv(c->fd, c->loop->read_buffer, NET_READ_BYTES, 0);
    if (n == 0) return IO_EOF;
    if (n > 0) {
        *out_len = (size_t)n;
        return IO_MOVED;
    }
    if (errno == EAGAIN || errno == EINTR) return IO_BLOCKED;
    *out_why = error_new(ERROR_UNAVAILABLE, "read: %m");
    return IO_FAILED;
}

static void reached_eof(struct net_conn *c) {
    c->eof = true;
    c->gone = c->ssl == NULL;
    if (c->state != CONN_OPEN || c->events->on_eof == NULL) {
        conn_fail(c, NULL);
        return;
    }
    c->events->on_eof(c->ctx, c->gone);
}

/* What comes after our goodbye is dropped, straight from the socket. */
static void drop_input(struct net_conn *c) {
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = recv(c->fd, c->loop->read_buffer, NET_READ_BYTES, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0 || (size_t)n > c->linger_left) {
            conn_fail(c, NULL);
            return;
        }
        c->linger_left -= (size_t)n;
    }
}

static bool may_read(const struct net_conn *c) {
    return c->state == CONN_OPEN && !c->paused && !c->eof;
}

void conn_read(struct net_conn *c) {
    c->read_again = false;
    if (c->state == CONN_LINGERING) {
        drop_input(c);
        return;
    }
    for (int i = 0; may_read(c); i++) {
        if (i == READS_A_TURN) { /* the others first */
            c->read_again = true;
            conn_mark_dirty(c);
            return;
        }
        size_t len = 0;
        struct error *why = NULL;
        switch (read_some(c, &len, &why)) {
            case IO_MOVED:
                c->active_ms = net_loop_now_ms(c->loop);
                c->events->on_data(c->ctx, (struct bytes){c->loop->read_buffer, len});
                break;
            case IO_BLOCKED:
                return;
            case IO_EOF:
                reached_eof(c);
                return;
            case IO_FAILED:
                conn_fail(c, why);
                return;
        }
        /* A short read emptied the socket: no need to be told so by another recv. */
        if (c->ssl == NULL && len < NET_READ_BYTES) return;
    }
}

static enum io write_some(struct net_conn *c, size_t *out_len, struct error **out_why) {
    const uint8_t *data = c->out.data + c->out_sent;
    size_t len = net_conn_queued(c);
    if (c->ssl != NULL) {
        if (len > TLS_RECORD_BYTES) len = TLS_RECORD_BYTES;
        ERR_clear_error();
        c->socket.left = BIO_CALL_OCTETS;
        int rc = SSL_write_ex(c->ssl, data, len, out_len);
        return rc == 1 ? IO_MOVED : tls_result(c, rc, "write", out_why);
    }
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0) {
        *out_len = (size_t)n;
        return IO_MOVED;
    }
    if (errno == EAGAIN || errno == EINTR) return IO_BLOCKED;
    *out_why = error_new(ERROR_UNAVAILABLE, "write: %m");
    return IO_FAILED;
}

static void count_sent(struct net_conn *c, size_t len) {
    uint64_t now = net_loop_now_ms(c->loop);
    c->active_ms = now;
    c->out_sent += len;
    c->stall_sent += len;
    if (c->stall_sent >= STALL_BYTES) {
        c->stall_sent = 0;
        c->stall_from_ms = now;
    }
    if (net_conn_queued(c) > 0) return;
    c->out_sent = c->stall_sent = 0;
    buf_clear(&c->out);
    if (c->out.cap > KEEP_BYTES) {
        size_t max = c->out.max;
        buf_done(&c->out);
        buf_init(&c->out, max);
    }
}

/* send_queued writes until the queue is empty (true) or the socket is full or broken (false). */
static bool send_queued(struct net_conn *c) {
    while (net_conn_queued(c) > 0) {
        size_t len = 0;
        struct error *why = NULL;
        enum io io = write_some(c, &len, &why);
        if (io == IO_BLOCKED) {
            c->want_write = true;
            return false;
        }
        if (io != IO_MOVED) {
            conn_fail(c, why);
            return false;
        }
        count_sent(c, len);
    }
    return true;
}

/* fill asks the owner for more; whoever wrote is asked again once that has left. */
static void fill(struct net_conn *c) {
    if (!c->wake || net_conn_room(c) == 0) return;
    size_t before = net_conn_queued(c); /* not out.len: room for as much as has left leaves it be */
    c->wake = false;
    c->events->on_writable(c->ctx);
    if (net_conn_queued(c) != before) c->wake = true;
}

void conn_say_goodbye(struct net_conn *c) {
    if (c->ssl != NULL) {
        ERR_clear_error();
        (void)SSL_shutdown(c->ssl); /* best effort: the close_notify; we do not wait for theirs */
        ERR_clear_error();
    }
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) {
        conn_fail(c, NULL);
        return;
    }
    conn_set_state(c, CONN_LINGERING);
    c->paused = c->want_write = false;
    drop_input(c);
}

void conn_flush(struct net_conn *c) {
    if (c->want_write) return;
    for (int i = 0; i < FILLS_A_TURN; i++) {
        fill(c);
        if (c->state == CONN_CLOSED || net_conn_queued(c) == 0) break;
        if (!send_queued(c)) return;
    }
    if (c->state == CONN_FINISHING && net_conn_queued(c) == 0) {
        conn_say_goodbye(c);
    } else if (c->wake) {
        conn_mark_dirty(c);
    }
}
