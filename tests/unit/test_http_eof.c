/* Peers that say close_notify and read on: whole requests are answered, and a peer whose socket is
 * shut as well is taken for gone. The client here is OpenSSL on a thread of its own. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "http_support.h"

#define H1_KEEP "POST /keep HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
#define H1_HELLO "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

/* The preface, empty SETTINGS, and on stream 1 a request (SPEC rfc7541 A: 2 is :method GET, 3 POST,
 * 7 :scheme https, 4 :path, 1 :authority): flags 5 end it, 4 leave its body to come. */
#define H2_HEAD "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
static const char h2_keep[] = H2_HEAD "\0\0\x0c\1\5\0\0\0\1\x83\x87\4\5/keep\x41\1a";
static const char h2_unended[] = H2_HEAD "\0\0\x0c\1\4\0\0\0\1\x83\x87\4\5/keep\x41\1a";
static const char h2_hello[] = H2_HEAD "\0\0\x0d\1\5\0\0\0\1\x82\x87\4\6/hello\x41\1a";
static const char h2_big[] = H2_HEAD "\0\0\x0b\1\5\0\0\0\1\x82\x87\4\4/big\x41\1a";

enum ending {
    CLOSE_NOTIFY, /* and reads on */
    SHUT,         /* close_notify, and the socket's FIN */
    RESET,        /* close_notify, then RST */
};

struct peer {
    int fd;
    SSL *ssl;
    const char *protocol; /* ALPN: its length, then its octets */
    struct bytes say;
    enum ending ending;
    bool unanswered;  /* what /keep keeps is aborted */
    atomic_bool kept; /* the server has its request */
    atomic_bool done;
    char heard[65536]; /* the first of it */
    size_t heard_len;
    size_t total;
};

static void connect_peer(const struct world *w, struct peer *p, SSL_CTX *ctx) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(http_port_number(w->port)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(p->fd, (struct sockaddr *)&a, sizeof a), 0);
    p->ssl = SSL_new(ctx);
    ck_assert_ptr_nonnull(p->ssl);
    ck_assert_int_eq(
        SSL_set_alpn_protos(p->ssl, (const uint8_t *)p->protocol, (unsigned)strlen(p->protocol)),
        0);
    ck_assert_int_eq(SSL_set_fd(p->ssl, p->fd), 1);
}

static void reset(int fd) {
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

/* Says it, says close_notify, and hears until the server closes. */
static void *peer_main(void *arg) {
    static char piece[65536];
    struct peer *p = arg;
    int n = SSL_connect(p->ssl);
    if (n == 1) n = SSL_write(p->ssl, p->say.data, (int)p->say.len);
    if (n > 0) (void)SSL_shutdown(p->ssl);
    if (p->ending == SHUT) (void)shutdown(p->fd, SHUT_WR);
    if (p->ending == RESET) {
        while (!atomic_load(&p->kept)) (void)usleep(1000);
        reset(p->fd);
        n = 0;
    }
    while (n > 0) {
        n = SSL_read(p->ssl, piece, sizeof piece);
        size_t got = n > 0 ? (size_t)n : 0;
        size_t room = sizeof p->heard - p->heard_len, kept = room < got ? room : got;
        memcpy(p->heard + p->heard_len, piece, kept);
        p->heard_len += kept;
        p->total += got;
    }
    atomic_store(&p->done, true);
    return NULL;
}

static bool heard(const struct peer *p, const char *text) {
    return memmem(p->heard, p->heard_len, text, strlen(text)) != NULL;
}

/* The request that /keep keeps is answered after its peer has said all, or was aborted by then. */
static void serve_keep(struct world *w, struct peer *p) {
    while (app.kept == NULL) run_for(w, 5);
    atomic_store(&p->kept, true);
    if (p->unanswered) {
        while (app.aborted == 0) run_for(w, 5);
        http_release(app.kept);
        return;
    }
    run_for(w, 50); /* the close_notify has come */
    ck_assert_uint_eq(app.aborted, 0);
    http_reply(app.kept, 200, "text/plain", BYTES_LIT("late"));
}

/* run_peer plays `p` against a server, which must let the connection go without waiting for a
 * clock: the shortest is of 5 seconds. */
static void run_peer(struct peer *p) {
    struct world w = {0};
    pthread_t thread;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    open_world(&w, true);
    connect_peer(&w, p, ctx);
    ck_assert_int_eq(pthread_create(&thread, NULL, peer_main, p), 0);
    if (memmem(p->say.data, p->say.len, "/keep", 5) != NULL) serve_keep(&w, p);
    uint64_t from_ms = net_loop_now_ms(w.loop);
    while (!atomic_load(&p->done) || atomic_load(&w.budget.open) > 0) run_for(&w, 5);
    ck_assert_uint_lt(net_loop_now_ms(w.loop) - from_ms, 3000);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    SSL_free(p->ssl);
    SSL_CTX_free(ctx);
    if (p->ending != RESET) (void)close(p->fd);
    close_world(&w);
}

#define SAY(text)                                                                                  \
    { (const uint8_t *)(text), sizeof(text) - 1 }
#define H1 "\x08http/1.1"
#define H2 "\2h2"

START_TEST(test_h1_a_half_closed_peer_is_answered) {
    static struct peer p = {.protocol = H1, .say = SAY(H1_KEEP)};
    run_peer(&p);
    ck_assert(heard(&p, "connection: close\r\n\r\nlate"));
}
END_TEST

START_TEST(test_h1_all_pipelined_requests_of_a_half_closed_peer_are_answered) {
    static struct peer p = {.protocol = H1, .say = SAY(H1_KEEP H1_HELLO H1_HELLO "GET /hel")};
    run_peer(&p);
    size_t n = 0;
    const char *end = p.heard + p.heard_len;
    for (const char *at = p.heard;
         (at = memmem(at, (size_t)(end - at), "HTTP/1.1 200", 12)) != NULL; at++)
        n++;
    ck_assert_uint_eq(n, 3);
    ck_assert(heard(&p, "late"));
}
END_TEST

#define H1_PART "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcd"

START_TEST(test_h1_a_part_of_a_request_is_not_answered) {
    static struct peer p = {.protocol = H1, .say = SAY(H1_PART)};
    run_peer(&p);
    ck_assert_uint_eq(p.heard_len, 0);
}
END_TEST

START_TEST(test_h1_a_part_behind_a_whole_request_does_not_keep_the_connection) {
    static struct peer p = {.protocol = H1, .say = SAY(H1_KEEP H1_PART)};
    run_peer(&p);
    ck_assert(heard(&p, "late"));
    ck_assert(!heard(&p, "408"));
}
END_TEST

static void expect_gone(const char *protocol, struct bytes say) {
    static const enum ending endings[] = {SHUT, RESET};
    for (size_t i = 0; i < 2; i++) {
        static struct peer p;
        p = (struct peer){
            .protocol = protocol, .ending = endings[i], .unanswered = true, .say = say};
        app = (struct app){0};
        run_peer(&p);
        ck_assert(!heard(&p, "late"));
    }
}

START_TEST(test_a_peer_that_has_gone_is_not_answered) {
    expect_gone(H1, (struct bytes)SAY(H1_KEEP));
    expect_gone(H2, (struct bytes)SAY(h2_keep));
}
END_TEST

START_TEST(test_what_is_ready_leaves_and_a_stream_ends) {
    static const struct {
        const char *protocol;
        struct bytes hello, big;
    } peers[] = {{H1, SAY(H1_HELLO), SAY("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")},
                 {H2, SAY(h2_hello), SAY(h2_big)}};
    for (size_t i = 0; i < 2; i++) {
        static struct peer ready, stream;
        ready = (struct peer){.protocol = peers[i].protocol, .ending = SHUT, .say = peers[i].hello};
        run_peer(&ready);
        ck_assert(heard(&ready, "hello"));
        stream = (struct peer){.protocol = peers[i].protocol, .say = peers[i].big};
        run_peer(&stream);
        ck_assert_uint_lt(stream.total, BIG);
    }
}
END_TEST

START_TEST(test_h2_a_half_closed_peer_is_answered) {
    static struct peer p = {.protocol = H2, .say = SAY(h2_keep)};
    run_peer(&p);
    ck_assert(heard(&p, "late"));
}
END_TEST

START_TEST(test_h2_a_part_of_a_request_is_not_answered) {
    static struct peer p = {.protocol = H2, .unanswered = true, .say = SAY(h2_unended)};
    run_peer(&p);
    ck_assert(!heard(&p, "late"));
}
END_TEST

/* An answer that is ready and has not left yet: its peer may read it, also when its socket is shut.
 */
START_TEST(test_what_outlives_the_end_of_its_input) {
    const struct http_exchange ready = {.request_ended = true, .responded = true, .ended = true};
    const struct http_exchange refused = {.responded = true, .ended = true}; /* before its body */
    const struct http_exchange waiting = {.request_ended = true};
    const struct http_exchange stream = {.request_ended = true, .responded = true};
    const struct http_exchange part = {.request_ended = false};
    ck_assert(exchange_outlives_eof(&ready, false) && exchange_outlives_eof(&ready, true));
    ck_assert(exchange_outlives_eof(&refused, false) && exchange_outlives_eof(&refused, true));
    ck_assert(exchange_outlives_eof(&waiting, false) && !exchange_outlives_eof(&waiting, true));
    ck_assert(!exchange_outlives_eof(&stream, false) && !exchange_outlives_eof(&stream, true));
    ck_assert(!exchange_outlives_eof(&part, false) && !exchange_outlives_eof(&part, true));
}
END_TEST

static Suite *http_eof_suite(void) {
    Suite *s = suite_create("http_eof");
    TCase *tc = tcase_create("eof");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_h1_a_half_closed_peer_is_answered);
    tcase_add_test(tc, test_h1_all_pipelined_requests_of_a_half_closed_peer_are_answered);
    tcase_add_test(tc, test_h1_a_part_of_a_request_is_not_answered);
    tcase_add_test(tc, test_h1_a_part_behind_a_whole_request_does_not_keep_the_connection);
    tcase_add_test(tc, test_a_peer_that_has_gone_is_not_answered);
    tcase_add_test(tc, test_what_is_ready_leaves_and_a_stream_ends);
    tcase_add_test(tc, test_h2_a_half_closed_peer_is_answered);
    tcase_add_test(tc, test_h2_a_part_of_a_request_is_not_answered);
    tcase_add_test(tc, test_what_outlives_the_end_of_its_input);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(http_eof_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
