#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_support.h"

/* --- HTTP/1.1, octet by octet where step is 1 */

static int raw_connect(const struct world *w) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(http_port_number(w->port)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    struct timeval t = {.tv_sec = 10};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

struct talk {
    int fd;
    const char *say;
    size_t say_len, step;
    struct net_loop *loop;
    char heard[65536];
    size_t heard_len;
    bool shut; /* half-close after speaking */
};

static void *talk_main(void *arg) {
    struct talk *t = arg;
    for (size_t i = 0; i < t->say_len; i += t->step) {
        size_t n = t->say_len - i < t->step ? t->say_len - i : t->step;
        if (send(t->fd, t->say + i, n, MSG_NOSIGNAL) < 0) break;
    }
    if (t->shut) (void)shutdown(t->fd, SHUT_WR);
    for (;;) {
        ssize_t n = recv(t->fd, t->heard + t->heard_len, sizeof t->heard - 1 - t->heard_len, 0);
        if (n <= 0) break;
        t->heard_len += (size_t)n;
    }
    (void)close(t->fd);
    net_loop_stop(t->loop);
    return NULL;
}

/* talk_to says `say` to a plain port and returns all that came until the server closed. */
static const char *talk_to(struct world *w, const char *say, size_t step) {
    static struct talk t;
    t = (struct talk){
        .fd = raw_connect(w), .say = say, .say_len = strlen(say), .step = step, .loop = w->loop};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, talk_main, &t), 0);
    net_loop_run(w->loop);
    (void)pthread_join(thread, NULL);
    t.heard[t.heard_len] = '\0';
    return t.heard;
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *p = strstr(text, what); p != NULL; p = strstr(p + 1, what)) n++;
    return n;
}

#define H "Host: a\r\n"
#define LAST "GET /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n"

static const struct {
    const char *name, *say, *expect; /* one that must be in what is heard */
    int responses;
} talks[] = {
    {"one request", LAST, "\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", 1},
    {"pipelined", "GET /hello HTTP/1.1\r\n" H "\r\nGET /empty HTTP/1.1\r\n" H "\r\n" LAST, "204",
     3},
    {"body by length", "POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nabcd" LAST, "abcd", 2},
    {"body in chunks",
     "POST /echo HTTP/1.1\r\n" H
     "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n" LAST,
     "content-length: 4\r\n\r\nabcdHTTP", 2},
    {"refused before the body",
     "POST /refuse HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
     "connection: close\r\n\r\nwho are you", 1},
    {"head", "HEAD /hello HTTP/1.1\r\n" H "\r\n" LAST, "HTTP/1.1 200", 2},
    {"not found", "GET /x HTTP/1.1\r\n" H "\r\n" LAST, "HTTP/1.1 404 Not Found\r\n", 2},
    /* SPEC rfc9110 15.5.6, SPEC rfc9112 4 */
    {"method", "DELETE /echo HTTP/1.1\r\n" H "\r\n" LAST, "allow: POST\r\n", 2},
    {"two authorizations",
     "POST /echo HTTP/1.1\r\n" H "Authorization: a\r\nauthorization: b\r\n\r\n" LAST,
     "HTTP/1.1 400", 2},
    /* neither its end nor what follows can be told, but it is answered */
    {"no chunk", "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n" LAST,
     "HTTP/1.1 400 Bad Request\r\n", 1},
    {"no chunk after the answer",
     "POST /refuse HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n" LAST,
     "connection: close\r\n\r\nwho are you", 1},
    {"empty lines between", "GET /hello HTTP/1.1\r\n" H "\r\n\r\n" LAST, "hello", 2},
    {"absolute", "GET http://a/hello HTTP/1.1\r\n" H "\r\n" LAST, "hello", 2},
    {"garbage", "hello?\r\n\r\n" LAST, "HTTP/1.1 400 Bad Request\r\n", 1},
    {"smuggling",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" LAST,
     "HTTP/1.1 400", 1},
    {"version", "GET / HTTP/1.0\r\n" H "\r\n", "HTTP/1.1 505", 1},
};

START_TEST(test_h1_answers_each_request_in_turn) {
    for (size_t step = 1; step <= 4096; step = step == 1 ? 7 : step * 64) {
        struct world w = {0};
        open_world(&w, false);
        const char *heard = talk_to(&w, talks[_i].say, step);
        ck_assert_msg(count(heard, "HTTP/1.1 ") == talks[_i].responses &&
                          strstr(heard, talks[_i].expect) != NULL,
                      "%s (step %zu): heard\n%s", talks[_i].name, step, heard);
        close_world(&w);
    }
}
END_TEST

START_TEST(test_h1_streams_in_chunks_with_backpressure) {
    struct world w = {0};
    open_world(&w, false);
    static struct talk t;
    t = (struct talk){.fd = raw_connect(&w), .loop = w.loop, .step = 1000};
    t.say = "GET /big HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    t.say_len = strlen(t.say);
    (void)send(t.fd, t.say, t.say_len, 0);
    size_t total = 0;
    char head[12] = "";
    for (;;) {
        run_for(&w, 1);
        ssize_t n = recv(t.fd, t.heard, sizeof t.heard, MSG_DONTWAIT);
        if (n > 11 && total == 0) memcpy(head, t.heard, 11);
        if (n == 0) break;
        if (n > 0) total += (size_t)n;
    }
    (void)close(t.fd);
    ck_assert_str_eq(head, "HTTP/1.1 20");
    ck_assert_uint_gt(total, BIG);
    ck_assert_uint_lt(total, BIG + BIG / 50);
    close_world(&w);
}
END_TEST

START_TEST(test_h1_half_closed_peers_get_what_is_ready_and_no_more) {
    struct world w = {0};
    open_world(&w, false);
    static struct talk t;
    t = (struct talk){.fd = raw_connect(&w), .loop = w.loop, .step = 1000, .shut = true};
    t.say = "GET /hello HTTP/1.1\r\n" H "\r\n";
    t.say_len = strlen(t.say);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, talk_main, &t), 0);
    net_loop_run(w.loop);
    (void)pthread_join(thread, NULL);
    ck_assert_ptr_nonnull(strstr(t.heard, "hello"));
    close_world(&w);
}
END_TEST

START_TEST(test_h1_an_expected_body_is_asked_for) {
    struct world w = {0};
    open_world(&w, false);
    int fd = raw_connect(&w);
    const char *say =
        "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    (void)send(fd, say, strlen(say), 0);
    run_for(&w, 50);
    char c[400] = "";
    ck_assert_int_eq(recv(fd, c, sizeof c - 1, MSG_DONTWAIT), 25);
    ck_assert_str_eq(c, "HTTP/1.1 100 Continue\r\n\r\n");
    (void)send(fd, "ab", 2, 0);
    run_for(&w, 50);
    ck_assert_int_gt(recv(fd, c, sizeof c - 1, MSG_DONTWAIT), 25);
    ck_assert_ptr_nonnull(strstr(c, "content-length: 2\r\n\r\nab"));
    (void)close(fd);
    close_world(&w);
}
END_TEST

START_TEST(test_h1_a_peer_that_goes_away_aborts_its_request) {
    struct world w = {0};
    open_world(&w, false);
    int fd = raw_connect(&w);
    const char *say = "POST /keep HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n";
    (void)send(fd, say, strlen(say), 0);
    while (app.kept == NULL) run_for(&w, 5);
    (void)close(fd);
    while (app.aborted == 0) run_for(&w, 5);
    http_release(app.kept);
    close_world(&w);
}
END_TEST

START_TEST(test_h1_drain_closes_idle_connections_and_finishes_busy_ones) {
    struct world w = {0};
    open_world(&w, false);
    int idle = raw_connect(&w);
    int busy = raw_connect(&w);
    const char *say = "POST /keep HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n";
    (void)send(busy, say, strlen(say), 0);
    while (app.kept == NULL) run_for(&w, 5);
    http_port_drain(w.port, 10000, on_drained, &w);
    run_for(&w, 20);
    char c[200] = "";
    ck_assert_int_eq(recv(idle, c, 1, MSG_DONTWAIT), 0);
    (void)close(idle);
    http_reply(app.kept, 200, "text/plain", BYTES_LIT("late"));
    run_for(&w, 20);
    ck_assert_int_gt(recv(busy, c, sizeof c - 1, MSG_DONTWAIT), 0);
    ck_assert_ptr_nonnull(strstr(c, "connection: close\r\n\r\nlate"));
    (void)close(busy);
    while (!w.drained) net_loop_run(w.loop);
    close_world(&w);
}
END_TEST

/* --- slow peers */

START_TEST(test_slow_heads_and_bodies_are_cut) {
    limits.head_ms = 300;
    limits.stranger_body_ms = 300;
    struct world w = {0};
    open_world(&w, false);
    int head = raw_connect(&w);
    int body = raw_connect(&w);
    (void)send(head, "GET / HT", 8, 0);
    const char *say = "POST /echo HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc";
    (void)send(body, say, strlen(say), 0);
    run_for(&w, 2000);
    char c[400] = "";
    ck_assert_int_eq(recv(head, c, 1, MSG_DONTWAIT), 0);
    ck_assert_int_gt(recv(body, c, sizeof c - 1, MSG_DONTWAIT), 0);
    ck_assert_ptr_nonnull(strstr(c, "HTTP/1.1 408"));
    ck_assert_uint_eq(app.overruns, 1);
    (void)close(head);
    (void)close(body);
    close_world(&w);
}
END_TEST

/* A handler that takes no body holds none of it: that is no pause between two messages. */
START_TEST(test_a_body_that_nobody_takes_is_cut_too) {
    limits.stranger_body_ms = 300;
    struct world w = {0};
    open_world(&w, false);
    int fd = raw_connect(&w);
    const char *say = "POST /keep HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\na";
    (void)send(fd, say, strlen(say), 0);
    while (app.aborted == 0) run_for(&w, 5);
    http_release(app.kept);
    run_for(&w, 50);
    char c[400] = "";
    ck_assert_int_gt(recv(fd, c, sizeof c - 1, MSG_DONTWAIT), 0);
    ck_assert_ptr_nonnull(strstr(c, "HTTP/1.1 408"));
    (void)close(fd);
    close_world(&w);
}
END_TEST

static Suite *http_h1_suite(void) {
    Suite *s = suite_create("http_h1");
    TCase *tc = tcase_create("h1");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, test_h1_answers_each_request_in_turn, 0,
                        (int)(sizeof talks / sizeof *talks));
    tcase_add_test(tc, test_h1_streams_in_chunks_with_backpressure);
    tcase_add_test(tc, test_h1_half_closed_peers_get_what_is_ready_and_no_more);
    tcase_add_test(tc, test_h1_an_expected_body_is_asked_for);
    tcase_add_test(tc, test_h1_a_peer_that_goes_away_aborts_its_request);
    tcase_add_test(tc, test_h1_drain_closes_idle_connections_and_finishes_busy_ones);
    tcase_add_test(tc, test_slow_heads_and_bodies_are_cut);
    tcase_add_test(tc, test_a_body_that_nobody_takes_is_cut_too);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(http_h1_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
