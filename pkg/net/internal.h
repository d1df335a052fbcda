/* What net's files share. Everything here is owned by the loop's thread. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <uv.h>

#include "base/buf.h"
#include "net/net.h"

#define NET_SIGNALS_MAX 8
#define NET_READ_BYTES ((size_t)65536)
#define NET_TICK_MS 500 /* how often the timeouts of connections are looked at */

struct net_signal {
    uv_signal_t handle;
    void (*fn)(void *ctx, int signum);
    void *ctx;
};

struct net_loop {
    uv_loop_t uv;
    uv_async_t wakeup; /* posts and stop */
    uv_prepare_t turn; /* end of a turn: flushes dirty connections before the loop sleeps */
    uv_idle_t again;   /* active while a connection wants another turn without a poll event */
    uv_timer_t timer;  /* the earliest of `timers` */
    uv_timer_t tick;   /* active while there are connections */
    struct net_signal signals[NET_SIGNALS_MAX];
    size_t signal_count;
    struct net_timer *timers; /* pairing heap, earliest on top */
    struct net_conn *conns;   /* all of this loop */
    struct net_conn *dirty;   /* to be flushed at the end of the turn */
    struct net_conn *closing; /* to be freed at the end of the turn */
    size_t listener_count;
    _Atomic(struct net_post *) posts; /* newest first; pushed by any thread */
    atomic_uint visitors;             /* threads inside net_loop_post or net_loop_stop */
    atomic_bool stop;
    atomic_bool running;
    pthread_t thread;     /* valid while running */
    uint8_t *read_buffer; /* NET_READ_BYTES, shared by the connections: one reads at a time */
};

/* loop.c */
/* loop_tick starts the tick that looks at the timeouts of connections. */
void loop_tick(struct net_loop *loop);

/* timer.c */
void timers_run(struct net_loop *loop);
void timers_arm(struct net_loop *loop);

/* tls.c */
/* tls_session makes the TLS state of one connection over `socket`, which it borrows; `host` is the
 * name to verify, NULL on a server. The connection must keep its share of `tls` (tls_share) as long
 * as the session. */
struct bio_socket;
MUST_USE struct error *tls_session(struct net_tls *tls, struct bio_socket *socket, const char *host,
                                   SSL **out);
enum net_alpn tls_alpn(const SSL *ssl);
/* tls_error says why the last operation on `ssl`, which returned `rc`, failed, and empties
 * OpenSSL's queue. */
MUST_USE struct error *tls_error(const SSL *ssl, int rc, const char *what);
struct net_tls *tls_share(struct net_tls *tls);

/* bio.c */
/* What OpenSSL reads by. One call of it reads on as long as records come that hold no data (key
 * updates), so a peer that sends only those would keep the loop for ever: each call gets
 * BIO_CALL_OCTETS, of which two of the largest records are made, and then finds the socket empty.
 */
#define BIO_CALL_OCTETS ((size_t)2 * SSL3_RT_MAX_PACKET_SIZE)
struct bio_socket {
    int fd; /* the connection owns it */
    size_t left;
};
/* bio_method_new makes a kind of BIO over a socket that, unlike OpenSSL's own, never raises
 * SIGPIPE. Freed by BIO_meth_free, after every BIO of it. NULL when memory is out. */
BIO_METHOD *bio_method_new(void);
BIO *bio_of_socket(const BIO_METHOD *method, struct bio_socket *socket);

enum conn_state {
    CONN_CONNECTING = 0, /* resolving or connecting */
    CONN_HANDSHAKE,
    CONN_OPEN,
    CONN_FINISHING, /* sending what is queued, then goodbye */
    CONN_LINGERING, /* goodbye said; dropping what still comes */
    CONN_CLOSED,    /* on loop->closing, freed at the end of the turn */
};

/* A poll handle lives until libuv lets go of it, which may be after its connection. */
struct conn_poll {
    uv_poll_t handle;
    struct net_conn *conn;
};

struct net_conn {
    struct net_loop *loop;
    struct net_conn *next, *prev; /* loop->conns */
    struct net_conn *dirty_next;
    struct net_conn *closing_next;
    struct conn_poll *poll; /* owned until conn_unpoll; NULL: none */
    const struct net_events *events;
    void *ctx;
    struct net_budget *budget; /* to give back to; NULL on connects */
    void (*on_accept)(void *ctx, struct net_conn *conn);
    void *accept_ctx;
    struct net_tls *tls; /* our share; NULL: plain */
    SSL *ssl;
    struct bio_socket socket;      /* of ssl */
    struct connecting *connecting; /* connect.c; NULL once connected */
    struct error *why;
    struct buf out; /* what waits to leave, from out_sent on */
    size_t out_sent;
    size_t stall_sent;  /* octets sent since stall_from_ms */
    size_t linger_left; /* octets still dropped while lingering */
    uint64_t state_ms;  /* when `state` was entered */
    uint64_t active_ms; /* when octets last came or left */
    uint64_t stall_from_ms;
    uint32_t open_timeout_ms, idle_timeout_ms, stall_timeout_ms;
    int fd;
    int polled; /* the events asked of libuv */
    enum conn_state state;
    bool dirty, wake, paused, busy;
    bool want_write;   /* the socket was full */
    bool read_blocked; /* OpenSSL must write before it can read on */
    bool read_again;   /* more may be had without a poll event */
    bool eof;
    bool gone; /* on_eof was told so */
    char peer[INET6_ADDRSTRLEN + 8];
};

/* conn.c */
/* conn_new makes a connection without a socket and puts it on the loop's list. */
MUST_USE struct error *conn_new(struct net_loop *loop, struct net_conn **out);
/* conn_poll_fd begins to poll `fd`, which it takes on success. */
MUST_USE struct error *conn_poll_fd(struct net_conn *conn, int fd, int events);
/* conn_unpoll stops polling and closes the socket. */
void conn_unpoll(struct net_conn *conn);
/* conn_begin goes from a connected socket to the handshake, or straight to open. */
void conn_begin(struct net_conn *conn, const char *host);
void conn_set_state(struct net_conn *conn, enum conn_state state);
void conn_poll_update(struct net_conn *conn);
void conn_mark_dirty(struct net_conn *conn);
/* conn_turn_end reads what is buffered and flushes. */
void conn_turn_end(struct net_conn *conn);
void conn_tick(struct net_conn *conn);
/* conn_fail closes `conn` because of `why` (NULL: in good order), which it takes. */
void conn_fail(struct net_conn *conn, struct error *why);
/* conn_free ends a closed connection: tells on_closed, frees. */
void conn_free(struct net_conn *conn);
void conn_set_peer(struct net_conn *conn, const struct sockaddr *sa);

/* conn_io.c */
void conn_handshake(struct net_conn *conn);
void conn_read(struct net_conn *conn);
void conn_flush(struct net_conn *conn);
void conn_say_goodbye(struct net_conn *conn);

/* connect.c */
/* connect_ready is called when the socket of a connecting `conn` became writable. */
void connect_ready(struct net_conn *conn);
/* connect_drop lets go of what connecting holds. */
void connect_drop(struct net_conn *conn);

#endif
