/* Peers that say close_notify and read on: whole requests are answered, and a peer whose socket is
 * shut as well is taken for gone. The client here is OpenSSL on a thread of its own. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_support.h"

#define H1_KEEP "POST /keep HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
#define H1_HELLO "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

/* The preface, empty SETTINGS, and on stream 1 the whole request "POST /keep" (SPEC rfc7541 A: 3 is
 * :method POST, 7 :scheme https, 4 :path, 1 :authority). */
static const char h2_keep[] =
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    "\0\0\0\4\0\0\0\0\0"
    "\0\0\x0c\1\5\0\0\0\1\x83\x87\4\5/keep\x41\1a";

struct peer {
    int fd;
    SSL *ssl;
    const char *protocol; /* ALPN: its length, then its octets */
    struct bytes say;
    bool shut; /* the socket too, behind the close_notify */
    atomic_bool done;
    char heard[65536];
    size_t heard_len;
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

/* Says it, says close_notify, and hears until the server closes. */
static void *peer_main(void *arg) {
    struct peer *p = arg;
    int n = SSL_connect(p->ssl);
    if (n == 1) n = SSL_write(p->ssl, p->say.data, (int)p->say.len);
    if (n > 0) (void)SSL_shutdown(p->ssl);
    if (p->shut) (void)shutdown(p->fd, SHUT_WR);
    while (n > 0 && p->heard_len < sizeof p->heard) {
        n = SSL_read(p->ssl, p->heard + p->heard_len, (int)(sizeof p->heard - p->heard_len));
        if (n > 0) p->heard_len += (size_t)n;
    }
    atomic_store(&p->done, true);
    return NULL;
}

static bool heard(const struct peer *p, const char *text) {
    return memmem(p->heard, p->heard_len, text, strlen(text)) != NULL;
}

/* run_peer plays `p` against a server; the request that /keep keeps is answered after it has said
 * all, unless its peer is taken for gone. */
static void run_peer(struct peer *p) {
    struct world w = {0};
    pthread_t thread;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    open_world(&w, true);
    connect_peer(&w, p, ctx);
    ck_assert_int_eq(pthread_create(&thread, NULL, peer_main, p), 0);
    if (memmem(p->say.data, p->say.len, "/keep", 5) != NULL) {
        while (app.kept == NULL) run_for(&w, 5);
        run_for(&w, 50); /* the close_notify has come */
        if (p->shut) {
            while (app.aborted == 0) run_for(&w, 5);
            http_release(app.kept);
        } else {
            ck_assert_uint_eq(app.aborted, 0);
            http_reply(app.kept, 200, "text/plain", BYTES_LIT("late"));
        }
    }
    while (!atomic_load(&p->done)) run_for(&w, 5);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    SSL_free(p->ssl);
    SSL_CTX_free(ctx);
    (void)close(p->fd);
    close_world(&w);
}

START_TEST(test_h1_a_half_closed_peer_is_answered) {
    static struct peer p = {.protocol = "\x08http/1.1",
                            .say = {(const uint8_t *)H1_KEEP, sizeof H1_KEEP - 1}};
    run_peer(&p);
    ck_assert(heard(&p, "connection: close\r\n\r\nlate"));
}
END_TEST

START_TEST(test_h1_all_pipelined_requests_of_a_half_closed_peer_are_answered) {
    static const char say[] = H1_KEEP H1_HELLO H1_HELLO "GET /hel";
    static struct peer p = {.protocol = "\x08http/1.1",
                            .say = {(const uint8_t *)say, sizeof say - 1}};
    run_peer(&p);
    size_t n = 0;
    for (const char *at = p.heard;
         (at = memmem(at, (size_t)(p.heard + p.heard_len - at), "HTTP/1.1 200", 12)) != NULL; at++)
        n++;
    ck_assert_uint_eq(n, 3);
    ck_assert(heard(&p, "late"));
}
END_TEST

START_TEST(test_h1_a_part_of_a_request_is_not_answered) {
    static const char say[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcd";
    static struct peer p = {.protocol = "\x08http/1.1",
                            .say = {(const uint8_t *)say, sizeof say - 1}};
    run_peer(&p);
    ck_assert_uint_eq(p.heard_len, 0);
}
END_TEST

START_TEST(test_h1_a_peer_whose_socket_is_shut_is_gone) {
    static struct peer p = {.protocol = "\x08http/1.1",
                            .shut = true,
                            .say = {(const uint8_t *)H1_KEEP, sizeof H1_KEEP - 1}};
    run_peer(&p);
    ck_assert_uint_eq(p.heard_len, 0);
}
END_TEST

START_TEST(test_h2_a_half_closed_peer_is_answered) {
    static struct peer p = {.protocol = "\2h2",
                            .say = {(const uint8_t *)h2_keep, sizeof h2_keep - 1}};
    run_peer(&p);
    ck_assert(heard(&p, "late"));
}
END_TEST

START_TEST(test_h2_a_peer_whose_socket_is_shut_is_gone) {
    static struct peer p = {
        .protocol = "\2h2", .shut = true, .say = {(const uint8_t *)h2_keep, sizeof h2_keep - 1}};
    run_peer(&p);
    ck_assert(!heard(&p, "late"));
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
    tcase_add_test(tc, test_h1_a_peer_whose_socket_is_shut_is_gone);
    tcase_add_test(tc, test_h2_a_half_closed_peer_is_answered);
    tcase_add_test(tc, test_h2_a_peer_whose_socket_is_shut_is_gone);
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
