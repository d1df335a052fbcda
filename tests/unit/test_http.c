#include "http_support.h"

/* --- HTTP/2 */

/* SPEC rfc9110 9.1, SPEC rfc9110 15.5.6 */
START_TEST(test_h2_serves_routes_with_bodies_and_trailers) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    struct call a = {.w = &w};
    run_call(&a, "POST", "/echo?q=1", BYTES_LIT("body"));
    ck_assert_int_eq(a.status, 200);
    ck_assert(bytes_equal(buf_bytes(&a.body), BYTES_LIT("body")));
    ck_assert(a.trailer && !a.failed);
    static const struct {
        const char *method, *path;
        int status;
    } cases[] = {
        {"GET", "/hello", 200},    {"HEAD", "/hello", 200},    {"GET", "/empty", 204},
        {"GET", "/tile/0/1", 200}, {"GET", "/none", 404},      {"POST", "/hello", 405},
        {"GET", "/echo", 405},     {"DELETE", "/tile/x", 405}, {"GET", "/hello/", 404},
        {"POST", "/under/x", 200}, {"GET", "/under/one", 200}, {"POST", "/under/one", 405},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call c = {.w = &w};
        run_call(&c, cases[i].method, cases[i].path, (struct bytes){0});
        ck_assert_msg(c.status == cases[i].status, "%s %s: %d", cases[i].method, cases[i].path,
                      c.status);
        ck_assert(!c.failed);
        buf_done(&c.body);
    }
    buf_done(&a.body);
    close_world(&w);
}
END_TEST

START_TEST(test_h2_many_streams_and_large_bodies_share_a_connection) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    static uint8_t large[(size_t)2 << 20];
    for (size_t i = 0; i < sizeof large; i++) large[i] = (uint8_t)(i * 7);
    static struct call calls[150]; /* more than streams_max: the rest waits its turn */
    size_t left = 150;
    for (size_t i = 0; i < 150; i++) {
        calls[i] = (struct call){.w = &w, .left = &left};
        if (i % 50 == 0) {
            (void)start_call(&calls[i], "GET", "/big", (struct bytes){0}, true);
        } else {
            size_t len = i % 20 == 1 ? sizeof large : i;
            (void)start_call(&calls[i], "POST", "/echo", (struct bytes){large, len}, true);
        }
    }
    net_loop_run(w.loop);
    for (size_t i = 0; i < 150; i++) {
        size_t want = i % 50 == 0 ? BIG : i % 20 == 1 ? sizeof large : i;
        ck_assert_msg(!calls[i].failed, "call %zu: %d", i, calls[i].why);
        ck_assert_uint_eq(calls[i].body.len, want);
        if (i % 50 != 0 && want > 0) ck_assert(memcmp(calls[i].body.data, large, want) == 0);
        buf_done(&calls[i].body);
    }
    close_world(&w);
}
END_TEST

/* SPEC rfc9113 8.1 */
START_TEST(test_h2_strangers_get_little_room_for_bodies) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    static const uint8_t body[100000];
    size_t left = 3;
    struct call fits = {.w = &w, .left = &left};
    struct call over = {.w = &w, .left = &left};
    struct call refused = {.w = &w, .left = &left};
    (void)start_call(&fits, "POST", "/echo", (struct bytes){body, 16384}, false);
    (void)start_call(&over, "POST", "/echo", (struct bytes){body, 16385}, false);
    (void)start_call(&refused, "POST", "/refuse", (struct bytes){body, sizeof body}, false);
    net_loop_run(w.loop);
    ck_assert_int_eq(fits.status, 200);
    ck_assert_int_eq(over.status, 413);
    ck_assert_int_eq(refused.status, 401); /* a response, not a bare reset */
    ck_assert_uint_eq(refused.body.len, 12);
    ck_assert_uint_eq(app.overruns, 1);
    buf_done(&fits.body);
    buf_done(&over.body);
    buf_done(&refused.body);
    close_world(&w);
}
END_TEST

/* The connection's window is 64 KiB: what nobody took of a body would be missing from it. */
START_TEST(test_h2_refused_bodies_cost_the_connection_no_window) {
    static const uint8_t body[60000];
    limits.connection_window = 65536;
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    for (int i = 0; i < 20; i++) {
        struct call refused = {.w = &w};
        run_call(&refused, "POST", i % 2 ? "/refuse" : "/none", (struct bytes){body, sizeof body});
        ck_assert_int_eq(refused.status, i % 2 ? 401 : 404);
        ck_assert(!refused.failed);
        buf_done(&refused.body);
    }
    struct call served = {.w = &w};
    run_call(&served, "POST", "/echo", (struct bytes){body, sizeof body});
    ck_assert_int_eq(served.status, 200);
    buf_done(&served.body);
    close_world(&w);
}
END_TEST

/* A stream's window is 20,000 octets, and up to 16,384 more are taken to be dropped. */
START_TEST(test_h2_a_refused_body_is_read_on_a_little_and_no_more) {
    static const uint8_t body[100000];
    static const size_t sizes[] = {30000, 36385, sizeof body};
    for (int i = 0; i < 3; i++) {
        limits.stream_window = 20000;
        limits.stranger_body_ms = i == 0 ? 2 * GUARD_MS : 500;
        struct world w = {0};
        open_world(&w, true);
        open_client(&w);
        size_t left = 1;
        struct call first = {.w = &w}, c = {.w = &w, .left = &left};
        run_call(&first, "GET", "/hello", (struct bytes){0}); /* now it knows our settings */
        (void)start_call(&c, "POST", "/refuse", (struct bytes){body, sizes[i]}, false);
        run_for(&w, 200);
        if (i > 0) ck_assert(!c.done); /* it waits for its clock */
        while (!c.done) run_for(&w, 20);
        ck_assert_int_eq(c.status, 401);
        ck_assert(!c.failed);
        buf_done(&first.body);
        buf_done(&c.body);
        close_world(&w);
    }
}
END_TEST

static void two_bodies_do_not_fit(void) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    static const uint8_t body[200000];
    size_t left = 2;
    struct call calls[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = (struct call){.w = &w, .left = &left};
        (void)start_call(&calls[i], "POST", "/echo", (struct bytes){body, sizeof body}, true);
    }
    net_loop_run(w.loop);
    ck_assert_uint_ge(app.overruns, 1);
    ck_assert(calls[0].status == 413 || calls[1].status == 413);
    buf_done(&calls[0].body);
    buf_done(&calls[1].body);
    close_world(&w);
}

START_TEST(test_h2_bodies_of_one_connection_are_bounded) {
    limits.connection_body_max = 300000;
    two_bodies_do_not_fit();
}
END_TEST

START_TEST(test_h2_bodies_of_all_connections_are_bounded) {
    limits.total_body_max = 300000;
    two_bodies_do_not_fit();
}
END_TEST

START_TEST(test_h2_responses_over_the_limits_are_reset) {
    static const uint8_t body[200000];
    for (int i = 0; i < 3; i++) {
        setup();
        if (i == 0) limits.response_max = 100000;
        if (i == 1) limits.connection_response_max = 100000;
        if (i == 2) limits.total_response_max = 100000;
        struct world w = {0};
        open_world(&w, true);
        open_client(&w);
        struct call c = {.w = &w};
        run_call(&c, "POST", "/echo", (struct bytes){body, sizeof body});
        ck_assert_msg(c.failed, "limit %d", i);
        ck_assert_uint_eq(app.open, 0);
        struct call small = {.w = &w};
        run_call(&small, "POST", "/echo", (struct bytes){body, 1000});
        ck_assert_int_eq(small.status, 200);
        ck_assert_uint_eq(small.body.len, 1000);
        buf_done(&c.body);
        buf_done(&small.body);
        close_world(&w);
    }
}
END_TEST

/* Of both totals a quarter is for strangers: 25,000. */
START_TEST(test_h2_strangers_leave_room_for_known_callers) {
    static const uint8_t body[60000];
    limits.total_body_max = limits.total_response_max = 100000;
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    size_t left = 2;
    struct call holder = {.w = &w, .left = &left};
    struct call stranger = {.w = &w, .left = &left};
    struct call known = {.w = &w};
    (void)start_call(&holder, "POST", "/hold", (struct bytes){body, 16000}, false);
    while (app.held < 16000) run_for(&w, 5);
    left = 1;
    (void)start_call(&stranger, "POST", "/echo", (struct bytes){body, 10000}, false);
    net_loop_run(w.loop);
    ck_assert_int_eq(stranger.status, 413);
    run_call(&known, "POST", "/echo", (struct bytes){body, sizeof body});
    ck_assert_int_eq(known.status, 200);
    ck_assert_uint_eq(known.body.len, sizeof body);
    http_respond(app.kept, 200, NULL, 0);
    http_write(app.kept, (struct bytes){body, 25001});
    ck_assert(http_aborted(app.kept));
    http_release(app.kept);
    buf_done(&holder.body);
    buf_done(&stranger.body);
    buf_done(&known.body);
    close_world(&w);
}
END_TEST

static int status_of(struct world *w, const char *path, bool known) {
    size_t left = 1;
    struct call c = {.w = w, .left = &left};
    (void)start_call(&c, "POST", path, BYTES_LIT("abc"), known);
    net_loop_run(w->loop);
    buf_done(&c.body);
    return c.status;
}

/* Two strangers' requests are under way, which is all that may be. What is answered at once is no
 * more of them, although its stream stays until its body has come. */
START_TEST(test_h2_strangers_under_way_are_bounded) {
    limits.strangers_max = 2;
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    size_t left = 2;
    struct call calls[2];
    struct http_exchange *kept[2];
    for (size_t i = 0; i < 2; i++) {
        calls[i] = (struct call){.w = &w, .left = &left};
        ck_assert_int_eq(status_of(&w, "/echo", false), 200);
        (void)start_call(&calls[i], "POST", "/keep", BYTES_LIT("abc"), false);
        while (app.kept_count == i) run_for(&w, 5);
        kept[i] = app.kept;
    }
    ck_assert_int_eq(status_of(&w, "/echo", false), 503);
    ck_assert_int_eq(status_of(&w, "/refuse", false), 401);
    ck_assert_int_eq(status_of(&w, "/none", false), 404);
    ck_assert_int_eq(status_of(&w, "/echo", true), 200);
    http_trust_body(kept[0]);
    ck_assert_int_eq(status_of(&w, "/echo", false), 200);
    for (size_t i = 0; i < 2; i++) http_reply(kept[i], 200, "text/plain", BYTES_LIT("at last"));
    net_loop_run(w.loop);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(calls[i].status, 200);
        buf_done(&calls[i].body);
    }
    close_world(&w);
}
END_TEST

/* SPEC rfc9113 6.5.2 */
START_TEST(test_h2_a_large_head_is_refused) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    static char value[16300];
    memset(value, 'v', sizeof value);
    const struct http_field fields[] = {
        HTTP_FIELD("x", ((struct bytes){(uint8_t *)value, sizeof value}))};
    size_t left = 1;
    struct call c = {.w = &w, .left = &left};
    struct http_client_call *k = NULL;
    const struct http_client_request r = {"GET", "/hello", fields, 1, {0}};
    ck_assert_ptr_null(http_client_send(w.client, &r, &call_events, &c, &k));
    net_loop_run(w.loop);
    ck_assert_int_eq(c.status, 431);
    buf_done(&c.body);
    close_world(&w);
}
END_TEST

START_TEST(test_h2_a_head_many_times_too_large_ends_the_connection) {
    limits.header_list_max = 1000;
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    static char value[4000];
    memset(value, 'v', sizeof value);
    static const size_t sizes[] = {2000, sizeof value};
    for (int i = 0; i < 2; i++) {
        const struct http_field fields[] = {
            HTTP_FIELD("x", ((struct bytes){(uint8_t *)value, sizes[i]}))};
        size_t left = 1;
        struct call c = {.w = &w, .left = &left};
        struct http_client_call *k = NULL;
        const struct http_client_request r = {"GET", "/hello", fields, 1, {0}};
        ck_assert_ptr_null(http_client_send(w.client, &r, &call_events, &c, &k));
        net_loop_run(w.loop);
        ck_assert_int_eq(c.status, i == 0 ? 431 : 0);
        ck_assert(c.failed == (i == 1));
        buf_done(&c.body);
    }
    while (!w.client_closed) run_for(&w, 5);
    close_world(&w);
}
END_TEST

START_TEST(test_h2_a_cancelled_call_is_told_and_its_work_still_counts) {
    limits.streams_max = 5;
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    size_t left = 100;
    struct call c = {.w = &w, .left = &left};
    static struct http_exchange *kept[5];
    for (size_t i = 0; i < 5; i++) {
        struct http_client_call *k = start_call(&c, "POST", "/keep", BYTES_LIT("x"), true);
        while (app.kept_count <= i) run_for(&w, 5);
        kept[i] = app.kept;
        http_client_cancel(k);
        while (app.aborted <= i) run_for(&w, 5);
        ck_assert(http_aborted(kept[i]));
    }
    struct call refused = {.w = &w};
    run_call(&refused, "GET", "/hello", (struct bytes){0});
    ck_assert(refused.failed);
    ck_assert_int_eq(refused.why, ERROR_UNAVAILABLE); /* REFUSED_STREAM: safe to retry */
    http_respond(kept[0], 200, NULL, 0);              /* dropped */
    http_write(kept[0], BYTES_LIT("late"));
    http_end(kept[0], NULL, 0);
    for (size_t i = 0; i < 5; i++) http_release(kept[i]);
    struct call served = {.w = &w};
    run_call(&served, "GET", "/hello", (struct bytes){0});
    ck_assert_int_eq(served.status, 200);
    buf_done(&served.body);
    close_world(&w);
}
END_TEST

START_TEST(test_h2_cancelling_at_any_moment_is_safe) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    static const uint8_t body[70000];
    size_t left = SIZE_MAX;
    struct call c = {.w = &w, .left = &left};
    uint32_t seed = 7;
    for (int round = 0; round < 40; round++) {
        struct http_client_call *k[8];
        for (int i = 0; i < 8; i++) {
            k[i] = start_call(&c, i % 2 ? "POST" : "GET", i % 2 ? "/echo" : "/big",
                              (struct bytes){body, i % 2 ? sizeof body : 0}, true);
        }
        seed = seed * 1664525 + 1013904223;
        if (round % 4 != 0) run_for(&w, (seed >> 16) % 3);
        if (c.done) break; /* one was faster: its handle is gone */
        for (int i = 0; i < 8; i++) http_client_cancel(k[i]);
    }
    buf_done(&c.body);
    close_world(&w);
}
END_TEST

START_TEST(test_h2_a_client_may_die_with_work_under_way) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    size_t left = 100;
    struct call c = {.w = &w, .left = &left};
    (void)start_call(&c, "POST", "/keep", BYTES_LIT("x"), true);
    (void)start_call(&c, "GET", "/big", (struct bytes){0}, true);
    while (app.kept == NULL) run_for(&w, 5);
    http_client_free(MOVE(w.client));
    while (app.aborted < 2) run_for(&w, 5);
    http_respond_only(app.kept, 200, NULL, 0);
    http_release(app.kept);
    buf_done(&c.body);
    close_world(&w);
}
END_TEST

static void on_pong(void *ctx) { net_loop_stop(ctx); }

START_TEST(test_h2_pings_are_answered) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    for (int i = 0; i < 50; i++) {
        http_client_ping(w.client, on_pong, w.loop);
        net_loop_run(w.loop);
    }
    close_world(&w);
}
END_TEST

/* SPEC rfc9113 6.8 */
START_TEST(test_h2_drain_finishes_what_is_in_flight) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    size_t left = 2;
    struct call kept = {.w = &w, .left = &left};
    struct call streamed = {.w = &w, .left = &left};
    (void)start_call(&kept, "POST", "/keep", BYTES_LIT("x"), true);
    (void)start_call(&streamed, "GET", "/big", (struct bytes){0}, true);
    while (app.kept == NULL) run_for(&w, 5);
    http_port_drain(w.port, 10000, on_drained, &w);
    run_for(&w, 50);
    ck_assert(!w.drained);
    ck_assert(!http_client_usable(w.client)); /* GOAWAY came */
    http_reply(app.kept, 200, "text/plain", BYTES_LIT("late"));
    while (!w.drained || !w.client_closed) net_loop_run(w.loop);
    ck_assert_int_eq(kept.status, 200);
    ck_assert(!kept.failed && !streamed.failed);
    ck_assert_uint_eq(streamed.body.len, BIG);
    buf_done(&kept.body);
    buf_done(&streamed.body);
    close_world(&w);
}
END_TEST

START_TEST(test_drain_is_bounded) {
    struct world w = {0};
    open_world(&w, true);
    open_client(&w);
    size_t left = 1;
    struct call c = {.w = &w, .left = &left};
    (void)start_call(&c, "POST", "/keep", BYTES_LIT("x"), true);
    while (app.kept == NULL) run_for(&w, 5);
    http_port_drain(w.port, 50, on_drained, &w);
    while (!c.done) run_for(&w, 5);
    ck_assert(c.failed && !w.drained); /* the work still runs: the port waits for it */
    http_release(app.kept);
    while (!w.drained) net_loop_run(w.loop);
    close_world(&w);
}
END_TEST

/* --- slow readers */

START_TEST(test_h2_a_response_that_does_not_leave_is_given_up) {
    limits.send_ms = 300;
    struct world w = {0};
    open_world(&w, true);
    struct world reader = {.port = w.port, .client_tls = w.client_tls};
    ck_assert_ptr_null(net_loop_new(&reader.loop)); /* a loop that stops running */
    open_client(&reader);
    struct net_thread *server = NULL;
    net_timer_stop(w.loop, &w.guard);
    ck_assert_ptr_null(net_thread_start(w.loop, &server));
    size_t left = SIZE_MAX;
    struct call c = {.w = &reader, .left = &left};
    (void)start_call(&c, "GET", "/big", (struct bytes){0}, true);
    while (c.body.len == 0) run_for(&reader, 1);
    struct world other = {0};
    ck_assert_ptr_null(net_loop_new(&other.loop));
    for (int i = 0; i < 100 && atomic_load(&app.aborted) == 0; i++) run_for(&other, 50);
    net_loop_stop(w.loop);
    net_thread_join(server);
    ck_assert_uint_eq(app.aborted, 1);
    http_client_free(reader.client);
    net_loop_free(reader.loop);
    net_loop_free(other.loop);
    buf_done(&c.body);
    close_world(&w);
}
END_TEST

/* --- memory */

static struct error *serve_once(struct world *w, struct call *c, size_t *left) {
    TRY(net_loop_new(&w->loop));
    TRY(http_server_new(&limits, routes, sizeof routes / sizeof *routes, &w->server));
    const struct net_listen_options listen = {.address = "127.0.0.1",
                                              .tls = w->server_tls,
                                              .budget = &w->budget,
                                              .handshake_timeout_ms = 5000};
    TRY(http_port_open(w->server, w->loop, &listen, &w->port));
    const struct http_client_options o = {.host = "127.0.0.1",
                                          .port = http_port_number(w->port),
                                          .tls = w->client_tls,
                                          .open_timeout_ms = 5000,
                                          .head_max = 8192};
    TRY(http_client_new(w->loop, &o, &w->client));
    const struct http_client_request r = {"GET", "/hello", NULL, 0, {0}};
    struct http_client_call *k = NULL;
    c->left = left;
    return http_client_send(w->client, &r, &call_events, c, &k);
}

START_TEST(test_survives_every_allocation_failure) {
    struct net_tls *server_tls = tls_server_good();
    struct net_tls *client_tls = tls_client("testdata/tls/ca.pem");
    bool served = false;
    for (long n = 0; !served; n++) {
        ck_assert_int_lt(n, 2000);
        struct world w = {.server_tls = server_tls, .client_tls = client_tls, .budget = {.max = 9}};
        size_t left = 1;
        struct call c = {.w = &w};
        buf_init(&c.body, 1000);
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = serve_once(&w, &c, &left);
        if (err == NULL) {
            w.guard.fn = stuck;
            net_timer_start(w.loop, &w.guard, GUARD_MS);
            net_loop_run(w.loop); /* on_done comes in any case */
            net_timer_stop(w.loop, &w.guard);
            served = !c.failed && c.status == 200 && c.body.len == 5;
        }
        (void)alloc_fail_after(-1);
        buf_done(&c.body);
        http_client_free(w.client);
        http_port_free(w.port);
        net_loop_free(w.loop);
        http_server_free(w.server);
        ck_assert_uint_eq(atomic_load(&w.budget.open), 0);
    }
    net_tls_free(server_tls);
    net_tls_free(client_tls);
}
END_TEST

static Suite *http_suite(void) {
    Suite *s = suite_create("http");
    TCase *tc = tcase_create("h2");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_h2_serves_routes_with_bodies_and_trailers);
    tcase_add_test(tc, test_h2_many_streams_and_large_bodies_share_a_connection);
    tcase_add_test(tc, test_h2_strangers_get_little_room_for_bodies);
    tcase_add_test(tc, test_h2_bodies_of_one_connection_are_bounded);
    tcase_add_test(tc, test_h2_bodies_of_all_connections_are_bounded);
    tcase_add_test(tc, test_h2_responses_over_the_limits_are_reset);
    tcase_add_test(tc, test_h2_refused_bodies_cost_the_connection_no_window);
    tcase_add_test(tc, test_h2_a_refused_body_is_read_on_a_little_and_no_more);
    tcase_add_test(tc, test_h2_strangers_leave_room_for_known_callers);
    tcase_add_test(tc, test_h2_strangers_under_way_are_bounded);
    tcase_add_test(tc, test_h2_a_large_head_is_refused);
    tcase_add_test(tc, test_h2_a_head_many_times_too_large_ends_the_connection);
    tcase_add_test(tc, test_h2_a_cancelled_call_is_told_and_its_work_still_counts);
    tcase_add_test(tc, test_h2_cancelling_at_any_moment_is_safe);
    tcase_add_test(tc, test_h2_a_client_may_die_with_work_under_way);
    tcase_add_test(tc, test_h2_pings_are_answered);
    tcase_add_test(tc, test_h2_drain_finishes_what_is_in_flight);
    tcase_add_test(tc, test_drain_is_bounded);
    tcase_add_test(tc, test_h2_a_response_that_does_not_leave_is_given_up);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(http_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
