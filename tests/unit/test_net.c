#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tls_support.h"

#define GUARD_MS 20000 /* a test that takes longer is stuck */

/* One side of a connection, as the tests see it. */
struct side {
    struct net_loop *loop;
    struct net_conn *conn;
    size_t received;
    size_t to_send; /* octets that on_writable still has to write */
    uint8_t expect; /* the next octet's value: the stream counts up */
    uint8_t next;
    bool opened, closed, echo, finish_after_data, stop_on_close, corrupt;
    bool exact; /* on_writable fills the room to the octet */
    enum error_code why;
    char why_text[256];
    enum net_alpn alpn;
};

struct world {
    struct net_loop *loop;
    struct net_listener *listener;
    struct net_tls *server_tls;
    struct net_tls *client_tls;
    struct net_budget budget;
    struct net_timer guard;
    struct side server;
    struct side client;
    size_t accepted;
};

static void on_data(void *ctx, struct bytes data) {
    struct side *s = ctx;
    for (size_t i = 0; i < data.len; i++) s->corrupt |= data.data[i] != s->expect++;
    s->received += data.len;
    if (s->echo) net_conn_write(s->conn, data);
    if (s->echo && net_conn_room(s->conn) == 0) net_conn_pause(s->conn);
    if (s->finish_after_data) {
        net_conn_write(s->conn, BYTES_LIT("bye"));
        net_conn_finish(s->conn);
    }
}

static void on_writable(void *ctx) {
    struct side *s = ctx;
    if (s->echo) net_conn_resume(s->conn);
    uint8_t chunk[1000];
    while (s->to_send > 0 && net_conn_room(s->conn) > 0) {
        size_t n = s->to_send < sizeof chunk ? s->to_send : sizeof chunk;
        if (s->exact && n > net_conn_room(s->conn)) n = net_conn_room(s->conn);
        for (size_t i = 0; i < n; i++) chunk[i] = s->next++;
        net_conn_write(s->conn, (struct bytes){chunk, n});
        s->to_send -= n;
    }
}

static void on_closed(void *ctx, const struct error *why) {
    struct side *s = ctx;
    ck_assert(!s->closed);
    s->closed = true;
    s->conn = NULL;
    if (why != NULL) {
        s->why = error_code(why);
        error_text(why, s->why_text, sizeof s->why_text);
    }
    if (s->stop_on_close) net_loop_stop(s->loop);
}

static void on_open(void *ctx, struct net_conn *conn) {
    struct side *s = ctx;
    s->opened = true;
    s->alpn = net_conn_alpn(conn);
    net_conn_wake(conn);
}

static const struct net_events events = {
    .on_open = on_open, .on_data = on_data, .on_writable = on_writable, .on_closed = on_closed};

static void on_accept(void *ctx, struct net_conn *conn) {
    struct world *w = ctx;
    w->accepted++;
    if (w->server.conn != NULL) return; /* a second one is nobody's: it is closed */
    w->server.loop = w->loop;
    w->server.conn = conn;
    w->server.alpn = net_conn_alpn(conn);
    net_conn_attach(conn, &events, &w->server);
    net_conn_wake(conn);
}

static void stuck(struct net_timer *t) {
    (void)t;
    ck_abort_msg("nothing happened for %d ms", GUARD_MS);
}

static struct net_listen_options listen_options(struct world *w) {
    return (struct net_listen_options){
        .address = "127.0.0.1",
        .tls = w->server_tls,
        .budget = &w->budget,
        .handshake_timeout_ms = 5000,
        .idle_timeout_ms = 5000,
        .stall_timeout_ms = 5000,
        .on_accept = on_accept,
        .ctx = w,
    };
}

static void world_open(struct world *w, bool tls) {
    ck_assert_ptr_null(net_loop_new(&w->loop));
    if (tls) {
        w->server_tls = tls_server_good();
        w->client_tls = tls_client("testdata/tls/ca.pem");
    }
    w->budget.max = 10;
    w->guard.fn = stuck;
    net_timer_start(w->loop, &w->guard, GUARD_MS);
    w->client.loop = w->loop;
}

static void world_listen(struct world *w) {
    struct net_listen_options o = listen_options(w);
    ck_assert_ptr_null(net_listen(w->loop, &o, &w->listener));
}

static void world_connect(struct world *w, const char *host) {
    struct net_connect_options o = {.host = host,
                                    .port = net_listener_port(w->listener),
                                    .tls = w->client_tls,
                                    .open_timeout_ms = 5000,
                                    .stall_timeout_ms = 5000,
                                    .events = &events,
                                    .ctx = &w->client};
    ck_assert_ptr_null(net_connect(w->loop, &o, &w->client.conn));
}

static void world_close(struct world *w) {
    net_listener_close(w->listener);
    net_timer_stop(w->loop, &w->guard);
    net_loop_free(w->loop);
    net_tls_free(w->server_tls);
    net_tls_free(w->client_tls);
    ck_assert_uint_eq(atomic_load(&w->budget.open), 0);
}

/* --- loops */

struct counted_post {
    struct net_post post;
    unsigned sender, number;
};
static struct {
    struct net_loop *loop;
    unsigned next[4];
    unsigned seen;
    struct counted_post posts[4][1000];
} posting;

static void count_post(struct net_post *p) {
    struct counted_post *c = (struct counted_post *)p;
    ck_assert(net_loop_here(posting.loop));
    ck_assert_uint_eq(c->number, posting.next[c->sender]++);
    if (++posting.seen == 4000) net_loop_stop(posting.loop);
}

static void *send_posts(void *arg) {
    unsigned sender = *(unsigned *)arg;
    for (unsigned i = 0; i < 1000; i++) {
        struct counted_post *c = &posting.posts[sender][i];
        c->sender = sender;
        c->number = i;
        c->post.fn = count_post;
        net_loop_post(posting.loop, &c->post);
    }
    return NULL;
}

START_TEST(test_posts_of_each_thread_run_in_order) {
    ck_assert_ptr_null(net_loop_new(&posting.loop));
    struct net_thread *loop_thread = NULL;
    ck_assert_ptr_null(net_thread_start(posting.loop, &loop_thread));
    pthread_t threads[4];
    unsigned ids[4] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_posts, &ids[i]), 0);
    }
    for (int i = 0; i < 4; i++) (void)pthread_join(threads[i], NULL);
    net_thread_join(loop_thread);
    ck_assert_uint_eq(posting.seen, 4000);
    net_loop_free(posting.loop);
}
END_TEST

START_TEST(test_a_stop_before_the_run_ends_it) {
    struct net_loop *loop = NULL;
    ck_assert_ptr_null(net_loop_new(&loop));
    net_loop_stop(loop);
    net_loop_run(loop);
    net_loop_free(loop);
}
END_TEST

static struct net_loop *signal_loop;
static void got_signal(void *ctx, int signum) {
    *(int *)ctx = signum;
    net_loop_stop(signal_loop);
}

START_TEST(test_signals_come_to_the_loop) {
    int got = 0;
    ck_assert_ptr_null(net_loop_new(&signal_loop));
    ck_assert_ptr_null(net_loop_on_signal(signal_loop, SIGUSR1, got_signal, &got));
    (void)kill(getpid(), SIGUSR1);
    net_loop_run(signal_loop);
    ck_assert_int_eq(got, SIGUSR1);
    net_loop_free(signal_loop);
}
END_TEST

#define TIMERS 2000
struct ordered_timer {
    struct net_timer timer;
    bool stopped;
};
static struct {
    struct net_loop *loop;
    struct ordered_timer timers[TIMERS];
    uint64_t last_due;
    int ran, expected;
} timing;

static void run_timer(struct net_timer *t) {
    ck_assert(!((struct ordered_timer *)t)->stopped);
    ck_assert_uint_ge(t->due_ms, timing.last_due);
    ck_assert_uint_ge(net_loop_now_ms(timing.loop), t->due_ms);
    timing.last_due = t->due_ms;
    if (++timing.ran == timing.expected) net_loop_stop(timing.loop);
}

START_TEST(test_timers_run_in_order_and_stopped_ones_do_not) {
    ck_assert_ptr_null(net_loop_new(&timing.loop));
    uint32_t seed = 1;
    for (int i = 0; i < TIMERS; i++) {
        seed = seed * 1664525 + 1013904223;
        timing.timers[i].timer.fn = run_timer;
        net_timer_start(timing.loop, &timing.timers[i].timer, (seed >> 16) % 50);
    }
    timing.expected = TIMERS;
    for (int i = 0; i < TIMERS; i += 3) {
        timing.timers[i].stopped = true;
        net_timer_stop(timing.loop, &timing.timers[i].timer);
        timing.expected--;
    }
    for (int i = 1; i < TIMERS; i += 3) { /* moved while armed */
        net_timer_start(timing.loop, &timing.timers[i].timer, (unsigned)i % 60);
    }
    net_loop_run(timing.loop);
    ck_assert_int_eq(timing.ran, timing.expected);
    net_loop_free(timing.loop);
}
END_TEST

/* --- connections; each with _i 0: plain, 1: TLS */

#define MANY ((size_t)3 << 20)

START_TEST(test_octets_are_echoed_with_backpressure) {
    struct world w = {0};
    world_open(&w, _i == 1);
    world_listen(&w);
    world_connect(&w, "localhost");
    w.server.echo = true;
    w.client.to_send = MANY;
    while (w.client.received < MANY) {
        net_loop_stop(w.loop);
        net_loop_run(w.loop);
        ck_assert_msg(!w.client.closed, "%s", w.client.why_text);
        if (w.server.conn != NULL) {
            ck_assert_uint_le(net_conn_queued(w.server.conn), 200000);
            net_conn_wake(w.server.conn);
        }
    }
    ck_assert_uint_eq(w.client.received, MANY);
    ck_assert(!w.client.corrupt && !w.server.corrupt && w.client.opened);
    ck_assert_int_eq(w.client.alpn, _i == 1 ? NET_ALPN_H2 : NET_ALPN_NONE);
    ck_assert_int_eq(w.server.alpn, w.client.alpn);
    world_close(&w);
    ck_assert(w.client.closed && w.server.closed);
}
END_TEST

START_TEST(test_last_words_arrive_though_the_peer_sends_on) {
    struct world w = {0};
    world_open(&w, _i == 1);
    world_listen(&w);
    world_connect(&w, "127.0.0.1");
    w.server.finish_after_data = true;
    w.client.to_send = 300000;
    w.client.stop_on_close = true;
    net_loop_run(w.loop);
    ck_assert_uint_eq(w.client.received, 3);
    world_close(&w);
}
END_TEST

static const struct {
    const char *name, *ca, *chain, *key, *host;
} bad_peers[] = {
    /* SPEC rfc6125 6.4 */
    {"unknown issuer", "testdata/tls/other-ca.pem", "testdata/tls/server.pem",
     "testdata/tls/server.key", "localhost"},
    {"other name", "testdata/tls/ca.pem", "testdata/tls/other.pem", "testdata/tls/other.key",
     "localhost"},
    {"other address", "testdata/tls/ca.pem", "testdata/tls/other.pem", "testdata/tls/other.key",
     "127.0.0.1"},
};

START_TEST(test_a_peer_that_does_not_verify_is_refused) {
    struct world w = {0};
    world_open(&w, false);
    w.server_tls = tls_server(bad_peers[_i].chain, bad_peers[_i].key);
    w.client_tls = tls_client(bad_peers[_i].ca);
    world_listen(&w);
    world_connect(&w, bad_peers[_i].host);
    w.client.stop_on_close = true;
    net_loop_run(w.loop);
    ck_assert_msg(!w.client.opened, "accepted: %s", bad_peers[_i].name);
    ck_assert_int_eq(w.client.why, ERROR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(w.client.why_text, "does not verify"));
    world_close(&w);
}
END_TEST

static int raw_connect(const struct world *w) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(net_listener_port(w->listener)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* --- other peoples' clients: OpenSSL, blocking, on a thread of its own */

struct foreign {
    struct net_loop *loop;
    const char *alpn; /* wire form; NULL: none offered */
    int version;      /* the only one offered */
    int fd;
    bool shaken;
};

static void *foreign_main(void *arg) {
    struct foreign *f = arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    (void)SSL_CTX_set_min_proto_version(ctx, f->version);
    (void)SSL_CTX_set_max_proto_version(ctx, f->version);
    SSL *ssl = SSL_new(ctx);
    if (f->alpn != NULL) {
        (void)SSL_set_alpn_protos(ssl, (const unsigned char *)f->alpn, (unsigned)strlen(f->alpn));
    }
    (void)SSL_set_fd(ssl, f->fd);
    f->shaken = SSL_connect(ssl) == 1;
    char c;
    if (f->shaken) (void)SSL_read(ssl, &c, 1); /* until the server closes */
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    (void)close(f->fd);
    net_loop_stop(f->loop);
    return NULL;
}

static const struct {
    const char *name, *alpn;
    int version;
    bool accepted;
    enum net_alpn chosen;
} foreigners[] = {
    {"both", "\x08http/1.1\x02h2", TLS1_3_VERSION, true, NET_ALPN_H2},
    {"http/1.1", "\x08http/1.1", TLS1_3_VERSION, true, NET_ALPN_HTTP11},
    {"no ALPN", NULL, TLS1_3_VERSION, true, NET_ALPN_NONE},
    {"another protocol", "\x04spdy", TLS1_3_VERSION, false, NET_ALPN_NONE},
    {"TLS 1.2", "\x02h2", TLS1_2_VERSION, false, NET_ALPN_NONE},
};

START_TEST(test_what_a_client_offers_decides) {
    struct world w = {0};
    world_open(&w, true);
    struct net_listen_options o = listen_options(&w);
    o.idle_timeout_ms = 100;
    ck_assert_ptr_null(net_listen(w.loop, &o, &w.listener));
    struct foreign f = {w.loop, foreigners[_i].alpn, foreigners[_i].version, raw_connect(&w),
                        false};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, foreign_main, &f), 0);
    net_loop_run(w.loop);
    (void)pthread_join(thread, NULL);
    ck_assert_msg((w.accepted == 1) == foreigners[_i].accepted, "%s", foreigners[_i].name);
    ck_assert_int_eq(w.server.alpn, foreigners[_i].chosen);
    world_close(&w);
}
END_TEST

START_TEST(test_reload_changes_what_new_connections_get) {
    struct world w = {0};
    world_open(&w, true);
    world_listen(&w);
    uint8_t chain[4096];
    uint8_t key[4096];
    struct bytes c = file_read("testdata/tls/other.pem", chain, sizeof chain);
    struct bytes k = file_read("testdata/tls/server.key", key, sizeof key);
    CLEANUP(error_freep) struct error *err = net_tls_reload(w.server_tls, c, k);
    ck_assert_ptr_nonnull(err); /* the key is another's: the old pair stays */
    ck_assert_int_eq(error_code(err), ERROR_FAILED_PRECONDITION);
    k = file_read("testdata/tls/other.key", key, sizeof key);
    ck_assert_ptr_null(net_tls_reload(w.server_tls, c, k));
    world_connect(&w, "localhost");
    w.client.stop_on_close = true;
    net_loop_run(w.loop);
    ck_assert_ptr_nonnull(strstr(w.client.why_text, "does not verify"));
    world_close(&w);
}
END_TEST

START_TEST(test_expiry_is_the_certificates) {
    struct net_tls *tls = tls_server_good();
    ck_assert_int_eq(net_tls_expiry_s(tls), 4949123921); /* openssl x509 -enddate */
    net_tls_free(tls);
}
END_TEST

START_TEST(test_files_that_hold_no_certificates_are_refused) {
    struct net_tls *tls = NULL;
    CLEANUP(error_freep) struct error *a = net_tls_client_new("testdata/tls/none.pem", &tls);
    ck_assert_int_eq(error_code(a), ERROR_FAILED_PRECONDITION);
    CLEANUP(error_freep) struct error *b = net_tls_client_new("testdata/tls/server.key", &tls);
    ck_assert_int_eq(error_code(b), ERROR_FAILED_PRECONDITION);
    uint8_t chain[4096];
    struct bytes c = file_read("testdata/tls/server.pem", chain, sizeof chain);
    CLEANUP(error_freep) struct error *d = net_tls_server_new(c, BYTES_LIT(""), &tls);
    ck_assert_int_eq(error_code(d), ERROR_FAILED_PRECONDITION);
    CLEANUP(error_freep) struct error *e = net_tls_server_new(BYTES_LIT("x"), c, &tls);
    ck_assert_int_eq(error_code(e), ERROR_FAILED_PRECONDITION);
    ck_assert_ptr_null(tls);
}
END_TEST

START_TEST(test_nobody_listening_is_unavailable) {
    struct world w = {0};
    world_open(&w, false);
    world_listen(&w);
    struct net_connect_options o = {.host = "127.0.0.1",
                                    .port = net_listener_port(w.listener),
                                    .open_timeout_ms = 5000,
                                    .events = &events,
                                    .ctx = &w.client};
    net_listener_close(MOVE(w.listener));
    ck_assert_ptr_null(net_connect(w.loop, &o, &w.client.conn));
    w.client.stop_on_close = true;
    net_loop_run(w.loop);
    ck_assert_int_eq(w.client.why, ERROR_UNAVAILABLE);
    ck_assert(!w.client.opened);
    world_close(&w);
}
END_TEST

START_TEST(test_a_port_is_exclusive_but_for_those_that_join) {
    struct world w = {0};
    world_open(&w, false);
    world_listen(&w);
    struct net_listen_options o = listen_options(&w);
    o.port = net_listener_port(w.listener);
    struct net_listener *second = NULL;
    CLEANUP(error_freep) struct error *err = net_listen(w.loop, &o, &second);
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(error_code(err), ERROR_UNAVAILABLE);
    o.join = true;
    ck_assert_ptr_null(net_listen(w.loop, &o, &second));
    ck_assert_uint_eq(net_listener_port(second), o.port);
    net_listener_close(second);
    o.join = false;
    o.address = "localhost";
    CLEANUP(error_freep) struct error *name = net_listen(w.loop, &o, &second);
    ck_assert_int_eq(error_code(name), ERROR_INVALID_ARGUMENT);
    world_close(&w);
}
END_TEST

/* --- limits */

static void stop_loop(struct net_timer *t) { net_loop_stop(*(struct net_loop **)(t + 1)); }

static void run_for(struct world *w, uint64_t ms) {
    struct {
        struct net_timer timer;
        struct net_loop *loop;
    } stop = {.timer = {.fn = stop_loop}, .loop = w->loop};
    net_timer_start(w->loop, &stop.timer, ms);
    net_loop_run(w->loop);
    net_timer_stop(w->loop, &stop.timer);
}

static bool is_closed_by_peer(int fd) {
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

START_TEST(test_connections_over_the_budget_are_closed) {
    struct world w = {0};
    world_open(&w, true);
    w.budget.max = 3;
    world_listen(&w);
    int fds[5];
    for (int i = 0; i < 5; i++) fds[i] = raw_connect(&w);
    run_for(&w, 50);
    int closed = 0;
    for (int i = 0; i < 5; i++) closed += is_closed_by_peer(fds[i]);
    ck_assert_int_eq(closed, 2);
    ck_assert_uint_eq(atomic_load(&w.budget.open), 3);
    for (int i = 0; i < 5; i++) (void)close(fds[i]);
    world_close(&w);
}
END_TEST

START_TEST(test_a_handshake_that_does_not_come_is_cut) {
    struct world w = {0};
    world_open(&w, true);
    struct net_listen_options o = listen_options(&w);
    o.handshake_timeout_ms = 100;
    ck_assert_ptr_null(net_listen(w.loop, &o, &w.listener));
    int fd = raw_connect(&w);
    run_for(&w, 1500);
    ck_assert(is_closed_by_peer(fd));
    (void)close(fd);
    world_close(&w);
}
END_TEST

/* A handshake in steps, for this thread is the server's too. */
static SSL *open_session(struct world *w, SSL_CTX *ctx) {
    static const unsigned char h2[] = "\x02h2";
    int fd = raw_connect(w);
    SSL *ssl = SSL_new(ctx);
    ck_assert(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
    ck_assert_int_eq(SSL_set_alpn_protos(ssl, h2, sizeof h2 - 1), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (SSL_connect(ssl) != 1) run_for(w, 5);
    while (w->server.conn == NULL) run_for(w, 5);
    return ssl;
}

static void update_keys(SSL *ssl, int times) {
    for (int i = 0; i < times; i++) {
        ck_assert_int_eq(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        ck_assert_int_eq(SSL_do_handshake(ssl), 1);
    }
}

START_TEST(test_key_updates_without_end_are_cut) {
    struct world w = {0};
    world_open(&w, true);
    world_listen(&w);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = open_session(&w, ctx);
    for (int i = 0; i < 5; i++) { /* some are nobody's fault */
        update_keys(ssl, 20);
        const char octet = (char)i;
        ck_assert_int_eq(SSL_write(ssl, &octet, 1), 1);
        while (w.server.received <= (size_t)i) run_for(&w, 5);
    }
    update_keys(ssl, 1500);
    while (!w.server.closed) run_for(&w, 5);
    ck_assert_int_eq(w.server.why, ERROR_RESOURCE_EXHAUSTED);
    (void)close(SSL_get_fd(ssl));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    world_close(&w);
}
END_TEST

START_TEST(test_an_idle_connection_is_closed_and_a_busy_one_is_not) {
    struct world w = {0};
    world_open(&w, false);
    struct net_listen_options o = listen_options(&w);
    o.idle_timeout_ms = 100;
    ck_assert_ptr_null(net_listen(w.loop, &o, &w.listener));
    int fd = raw_connect(&w);
    run_for(&w, 50);
    ck_assert_ptr_nonnull(w.server.conn);
    net_conn_busy(w.server.conn, true);
    run_for(&w, 1500);
    ck_assert(!w.server.closed);
    net_conn_busy(w.server.conn, false);
    run_for(&w, 1500);
    ck_assert(w.server.closed && is_closed_by_peer(fd));
    (void)close(fd);
    world_close(&w);
}
END_TEST

START_TEST(test_a_peer_that_does_not_read_is_cut) {
    struct world w = {0};
    world_open(&w, false);
    struct net_listen_options o = listen_options(&w);
    o.stall_timeout_ms = 300;
    ck_assert_ptr_null(net_listen(w.loop, &o, &w.listener));
    w.server.to_send = (size_t)64 << 20;
    w.server.stop_on_close = true;
    int fd = raw_connect(&w);
    net_loop_run(w.loop);
    ck_assert_int_eq(w.server.why, ERROR_DEADLINE_EXCEEDED);
    (void)close(fd);
    world_close(&w);
}
END_TEST

/* It reads in bursts, so the queue is full to the octet when a part of it has left. */
START_TEST(test_a_slow_reader_gets_all_of_an_owner_that_fills_the_room) {
    struct world w = {0};
    world_open(&w, false);
    world_listen(&w);
    static char drop[50000];
    const size_t all = (size_t)20 << 20;
    w.server.to_send = all;
    w.server.exact = true;
    int fd = raw_connect(&w);
    for (size_t got = 0; got < all;) {
        ck_assert_msg(!w.server.closed, "%zu octets came", got);
        ssize_t n = recv(fd, drop, sizeof drop, MSG_DONTWAIT);
        if (n > 0) got += (size_t)n;
        run_for(&w, n > 0 ? 0 : 1);
    }
    (void)close(fd);
    world_close(&w);
}
END_TEST

START_TEST(test_out_of_descriptors_the_listener_does_not_spin) {
    struct world w = {0};
    world_open(&w, false);
    world_listen(&w);
    int clients[6];
    for (int i = 0; i < 6; i++) clients[i] = raw_connect(&w);
    int top = dup(0); /* the lowest free descriptor: the limit leaves none */
    struct rlimit before;
    (void)getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit none = {(rlim_t)top, before.rlim_max};
    (void)close(top);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct rusage a;
    struct rusage b;
    (void)getrusage(RUSAGE_SELF, &a);
    run_for(&w, 1000);
    (void)getrusage(RUSAGE_SELF, &b);
    (void)setrlimit(RLIMIT_NOFILE, &before);
    int64_t cpu_us = (b.ru_utime.tv_sec - a.ru_utime.tv_sec) * 1000000 +
                     (b.ru_utime.tv_usec - a.ru_utime.tv_usec) +
                     (b.ru_stime.tv_sec - a.ru_stime.tv_sec) * 1000000 +
                     (b.ru_stime.tv_usec - a.ru_stime.tv_usec);
    ck_assert_int_lt(cpu_us, 300000);
    ck_assert_uint_eq(w.accepted, 0);
    int shed = 0;
    for (int i = 0; i < 6; i++) shed += is_closed_by_peer(clients[i]);
    ck_assert_int_gt(shed, 0);
    int late = raw_connect(&w); /* and it recovers */
    run_for(&w, 300);
    ck_assert_uint_gt(w.accepted, 0);
    for (int i = 0; i < 6; i++) (void)close(clients[i]);
    (void)close(late);
    world_close(&w);
}
END_TEST

/* --- memory */

static struct error *listen_and_connect(struct world *w) {
    w->server_tls = w->client_tls = NULL;
    TRY(net_loop_new(&w->loop));
    struct net_listen_options o = listen_options(w);
    TRY(net_listen(w->loop, &o, &w->listener));
    struct net_connect_options c = {.host = "127.0.0.1",
                                    .port = net_listener_port(w->listener),
                                    .open_timeout_ms = 5000,
                                    .events = &events,
                                    .ctx = &w->client};
    return net_connect(w->loop, &c, &w->client.conn);
}

START_TEST(test_survives_every_allocation_failure) {
    for (long n = 0; n < 30; n++) {
        struct world w = {0};
        w.budget.max = 10;
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = listen_and_connect(&w);
        if (err != NULL) ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        w.client.loop = w.loop;
        w.client.to_send = 100;
        if (w.loop != NULL) run_for(&w, 10);
        (void)alloc_fail_after(-1);
        net_listener_close(w.listener);
        net_loop_free(w.loop);
        ck_assert_uint_eq(atomic_load(&w.budget.open), 0);
    }
}
END_TEST

static Suite *net_suite(void) {
    Suite *s = suite_create("net");
    TCase *tc = tcase_create("loop");
    tcase_add_test(tc, test_posts_of_each_thread_run_in_order);
    tcase_add_test(tc, test_a_stop_before_the_run_ends_it);
    tcase_add_test(tc, test_signals_come_to_the_loop);
    tcase_add_test(tc, test_timers_run_in_order_and_stopped_ones_do_not);
    suite_add_tcase(s, tc);
    tc = tcase_create("connections");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_octets_are_echoed_with_backpressure, 0, 2);
    tcase_add_loop_test(tc, test_last_words_arrive_though_the_peer_sends_on, 0, 2);
    tcase_add_loop_test(tc, test_a_peer_that_does_not_verify_is_refused, 0,
                        (int)(sizeof bad_peers / sizeof *bad_peers));
    tcase_add_loop_test(tc, test_what_a_client_offers_decides, 0,
                        (int)(sizeof foreigners / sizeof *foreigners));
    tcase_add_test(tc, test_reload_changes_what_new_connections_get);
    tcase_add_test(tc, test_expiry_is_the_certificates);
    tcase_add_test(tc, test_files_that_hold_no_certificates_are_refused);
    tcase_add_test(tc, test_nobody_listening_is_unavailable);
    tcase_add_test(tc, test_a_port_is_exclusive_but_for_those_that_join);
    suite_add_tcase(s, tc);
    tc = tcase_create("limits");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_connections_over_the_budget_are_closed);
    tcase_add_test(tc, test_a_handshake_that_does_not_come_is_cut);
    tcase_add_test(tc, test_key_updates_without_end_are_cut);
    tcase_add_test(tc, test_an_idle_connection_is_closed_and_a_busy_one_is_not);
    tcase_add_test(tc, test_a_peer_that_does_not_read_is_cut);
    tcase_add_test(tc, test_a_slow_reader_gets_all_of_an_owner_that_fills_the_room);
    tcase_add_test(tc, test_out_of_descriptors_the_listener_does_not_spin);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(net_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
