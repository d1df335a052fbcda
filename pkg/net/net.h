/*
 * net: event loops, timers, sockets and TLS 1.3. A loop belongs to the one thread that runs it, and
 * so do its connections, listeners and timers; only net_loop_post, net_loop_stop, net_tls_reload
 * and the budget are for any thread. Callbacks run on the loop's thread, never inside the call that
 * registered them.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct net_loop;
struct net_conn;
struct net_listener;
struct net_tls;
struct net_thread;

/* --- loops ------------------------------------------------------------------------------------ */

MUST_USE struct error *net_loop_new(struct net_loop **out);

/* net_loop_run runs `loop` on the calling thread, which owns it meanwhile, until net_loop_stop. It
 * may be run again afterwards. */
void net_loop_run(struct net_loop *loop);

/* net_loop_stop makes net_loop_run return at the end of its turn; from any thread. A stop that
 * comes before the run ends that run at once. */
void net_loop_stop(struct net_loop *loop);

/* net_loop_free runs what was posted, closes what connections are left (their on_closed runs) and
 * frees. The loop must not be running, and its listeners must be closed. Threads that are just
 * leaving net_loop_post or net_loop_stop are waited for; none may enter any more. */
void net_loop_free(struct net_loop *loop);
DEFINE_CLEANUP(struct net_loop, net_loop_free);

/* net_loop_here says whether the calling thread may touch what `loop` owns: it runs the loop, or
 * no thread does. */
bool net_loop_here(const struct net_loop *loop);

/* net_loop_now_ms is the monotone time at which the current turn began. */
uint64_t net_loop_now_ms(const struct net_loop *loop);

/* A post is a message to a loop. It lies in the sender's storage and is the loop's until `fn`
 * runs. */
struct net_post {
    struct net_post *next;
    void (*fn)(struct net_post *post);
};

/* net_loop_post runs post->fn on the loop's thread, in the order of posting; from any thread,
 * never fails. */
void net_loop_post(struct net_loop *loop, struct net_post *post);

/* net_loop_on_signal runs `fn` on `loop` whenever `signum` comes; at most 8 a loop.
 * Errors: RESOURCE_EXHAUSTED; INTERNAL. */
MUST_USE struct error *net_loop_on_signal(struct net_loop *loop, int signum,
                                          void (*fn)(void *ctx, int signum), void *ctx);

/* net_thread_start runs `loop` on a thread of its own, with all signals blocked there. */
MUST_USE struct error *net_thread_start(struct net_loop *loop, struct net_thread **out);

/* net_thread_join waits for the thread's net_loop_run to return, and frees. NULL is allowed. */
void net_thread_join(struct net_thread *thread);

/* --- timers ----------------------------------------------------------------------------------- */

/* A timer lies in the owner's storage; a zeroed one is disarmed. Free its storage only when it is
 * disarmed: after net_timer_stop, or in `fn` and later. Arming is a few nanoseconds. */
struct net_timer {
    void (*fn)(struct net_timer *timer);
    uint64_t due_ms;
    /* Owned by timer.c: links of a pairing heap. */
    struct net_timer *child, *next, *prev;
    bool armed;
};

/* net_timer_start arms `timer` to run `fn` once, `after_ms` from now; an armed one is moved. */
void net_timer_start(struct net_loop *loop, struct net_timer *timer, uint64_t after_ms);
void net_timer_stop(struct net_loop *loop, struct net_timer *timer);

/* --- TLS -------------------------------------------------------------------------------------- */

enum net_alpn { NET_ALPN_NONE = 0, NET_ALPN_H2, NET_ALPN_HTTP11 };

/* net_tls_server_new makes a TLS 1.3 server context that speaks h2 and http/1.1 by ALPN, from a
 * certificate chain (leaf first) and its unencrypted private key, both PEM. No session tickets:
 * resumption costs a server as much as a handshake. The caller wipes its copy of the key.
 * Errors: FAILED_PRECONDITION if they do not parse or do not belong together. */
MUST_USE struct error *net_tls_server_new(struct bytes chain_pem, struct bytes key_pem,
                                          struct net_tls **out);

/* net_tls_reload changes what new connections get; from any thread. On error nothing changes. */
MUST_USE struct error *net_tls_reload(struct net_tls *tls, struct bytes chain_pem,
                                      struct bytes key_pem);

/* net_tls_expiry_s is when the certificate that new connections get expires, in seconds since 1970;
 * from any thread. */
int64_t net_tls_expiry_s(struct net_tls *tls);

/* net_tls_client_new makes a TLS 1.3 client context that offers h2 and trusts the certificates of
 * the PEM file `ca_file` alone. Errors: FAILED_PRECONDITION if the file has none. */
MUST_USE struct error *net_tls_client_new(const char *ca_file, struct net_tls **out);

/* net_tls_free drops the caller's share; connections keep theirs. NULL is allowed. */
void net_tls_free(struct net_tls *tls);
DEFINE_CLEANUP(struct net_tls, net_tls_free);

/* --- connections ------------------------------------------------------------------------------ */

struct net_events {
    /* The connection may be used: the TLS handshake is done. Connects only; a listener has
     * on_accept. */
    void (*on_open)(void *ctx, struct net_conn *conn);
    /* Octets came; `data` is valid for the call. */
    void (*on_data)(void *ctx, struct bytes data);
    /* The peer will send nothing more. NULL: the connection is closed. Under TLS it comes with its
     * close_notify, after which it may read on, and once more with `gone` set if its socket is shut
     * too: then most likely nobody reads. Without TLS that is the same event, once. */
    void (*on_eof)(void *ctx, bool gone);
    /* There is room: write up to net_conn_room octets. Runs at the end of the turn of a
     * net_conn_wake, and again after what it wrote has left, until it writes nothing. */
    void (*on_writable)(void *ctx);
    /* Nothing came or left for idle_timeout_ms. NULL: the connection is closed. */
    void (*on_idle)(void *ctx);
    /* Runs exactly once, last; `conn` is gone when it returns. `why` is NULL where this side or
     * the peer closed in good order. Also without an on_open before it. */
    void (*on_closed)(void *ctx, const struct error *why);
};

/* How many connections may be open at once, over all listeners that share it. */
struct net_budget {
    atomic_uint open;
    uint32_t max;
};

struct net_listen_options {
    const char *address; /* numeric IPv4 or IPv6 */
    uint16_t port;       /* 0 picks a free one */
    /* The port is one that another loop's listener already has: both take connections. The first
     * listener of a port is exclusive, so that a second process is refused. */
    bool join;
    struct net_tls *tls;           /* NULL: plain TCP. Shared with the listener */
    struct net_budget *budget;     /* connections over it are closed at once: descriptor and memory
                                      exhaustion. Must outlive the loop */
    uint32_t handshake_timeout_ms; /* half-open TLS connections (slowloris) */
    uint32_t idle_timeout_ms;      /* peers that went away without a word; 0: never */
    uint32_t stall_timeout_ms;     /* slow readers: 16 KiB of our output must leave in this time */
    /* Runs when a connection is ready; must call net_conn_attach, or the connection is closed. */
    void (*on_accept)(void *ctx, struct net_conn *conn);
    void *ctx;
};

/* net_listen begins to take connections on `loop`, at most 64 a turn. Out of descriptors it drops
 * one caller with its spare descriptor and then rests for 100 ms: it never spins.
 * Errors: UNAVAILABLE if the address is in use or not ours; INVALID_ARGUMENT if it is none. */
MUST_USE struct error *net_listen(struct net_loop *loop, const struct net_listen_options *options,
                                  struct net_listener **out);
uint16_t net_listener_port(const struct net_listener *listener);

/* net_listener_close stops taking connections and frees; those open stay. NULL is allowed. */
void net_listener_close(struct net_listener *listener);

struct net_connect_options {
    const char *host; /* name or numeric address; a certificate must name it */
    uint16_t port;
    struct net_tls *tls;       /* NULL: plain TCP */
    uint32_t open_timeout_ms;  /* resolving, connecting and handshake together */
    uint32_t idle_timeout_ms;  /* 0: never */
    uint32_t stall_timeout_ms; /* as with a listener */
    const struct net_events *events;
    void *ctx;
};

/* net_connect begins to connect; on_open or on_closed follows, never inside the call.
 * Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *net_connect(struct net_loop *loop, const struct net_connect_options *options,
                                   struct net_conn **out);

void net_conn_attach(struct net_conn *conn, const struct net_events *events, void *ctx);
struct net_loop *net_conn_loop(const struct net_conn *conn);
enum net_alpn net_conn_alpn(const struct net_conn *conn);

/* net_conn_peer is the peer's numeric address and port, for log lines. */
const char *net_conn_peer(const struct net_conn *conn);

/* net_conn_write queues `data` (copied); it leaves at the end of the turn, in as few records as can
 * be. More than 2 MiB queued, or no memory, closes the connection. */
void net_conn_write(struct net_conn *conn, struct bytes data);
void net_conn_wake(struct net_conn *conn);

/* net_conn_room is how many octets on_writable should write at most; 0 while 64 KiB are queued. */
size_t net_conn_room(const struct net_conn *conn);
size_t net_conn_queued(const struct net_conn *conn);

/* net_conn_pause stops reading, so that the peer's sends come to rest; net_conn_resume goes on. */
void net_conn_pause(struct net_conn *conn);
void net_conn_resume(struct net_conn *conn);

/* net_conn_busy says whether work is under way, which suspends the idle timeout. */
void net_conn_busy(struct net_conn *conn, bool busy);

/* net_conn_finish sends what is queued, then says goodbye and closes; what the peer still sends is
 * dropped for at most 2 s, so that a reset does not destroy our last words. */
void net_conn_finish(struct net_conn *conn);

/* net_conn_close closes at once; on_closed runs later. */
void net_conn_close(struct net_conn *conn);

#endif
