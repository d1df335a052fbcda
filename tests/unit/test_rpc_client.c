/* The client's half against the server's, each on its own thread; and calls that other threads
 * finish while their peers come and go. */
#include <pthread.h>
#include <stdio.h>

#include "msg/msg.h"
#include "rpc/rpc_client.h"
#include "rpc_support.h"

#define WORKERS 2

/* --- a server on a thread of its own, with workers */

static struct {
    struct rpc_world w;
    struct net_thread *thread;
    struct net_loop *workers[WORKERS];
    struct net_thread *worker_threads[WORKERS];
    atomic_uint next;
    atomic_uint finished;
    uint16_t port;
} served;

struct job {
    struct net_post post;
    struct rpc_call *call;
    struct bytes message;
};

static void job_done(struct rpc_call *call, void *arg) {
    struct job *j = arg;
    rpc_call_send(call, j->message);
    (void)atomic_fetch_add(&served.finished, 1);
    rpc_call_finish(call, NULL);
}

static void job_note(struct rpc_call *call, void *arg) { /* owns nothing: may be dropped */
    (void)call;
    (void)arg;
}

static void job_run(struct net_post *post) {
    struct job *j = (struct job *)post;
    struct rpc_call *call = j->call;
    rpc_call_post(call, job_note, NULL);
    rpc_call_post(call, job_done, j); /* from here on the call may be gone */
}

static void work(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    struct job *j = arena_alloc(rpc_call_arena(call), sizeof *j);
    ck_assert_ptr_nonnull(j);
    *j = (struct job){.call = call, .message = message, .post.fn = job_run};
    unsigned n = atomic_fetch_add(&served.next, 1);
    net_loop_post(served.workers[n % WORKERS], &j->post);
}

static const struct rpc_method worked_methods[] = {
    {.path = "/t.T/Work", .handle = work},
    {.path = "/t.T/Echo", .handle = echo_message},
    {.path = "/t.T/Fail", .handle = fail_as_asked},
    {.path = "/t.T/Keep", .handle = keep},
    {.path = "/t.T/Stream", .handle = stream, .server_streaming = true},
};

static void setup(void) {
    memset(&served, 0, sizeof served);
    struct rpc_world *w = &served.w;
    w->server_tls = tls_server_good();
    w->client_tls = tls_client("testdata/tls/ca.pem");
    struct rpc_options o = service_options;
    o.methods = worked_methods;
    o.method_count = sizeof worked_methods / sizeof *worked_methods;
    ck_assert_ptr_null(net_loop_new(&w->loop));
    ck_assert_ptr_null(rpc_server_new(&o, &w->rpc));
    const struct http_route routes[] = {{"POST", "/", true, rpc_server_handler(w->rpc)}};
    ck_assert_ptr_null(http_server_new(&http_limits_default, routes, 1, &w->http));
    w->budget.max = 100;
    const struct net_listen_options listen = {.address = "127.0.0.1",
                                              .tls = w->server_tls,
                                              .budget = &w->budget,
                                              .handshake_timeout_ms = 5000,
                                              .stall_timeout_ms = 20000};
    ck_assert_ptr_null(http_port_open(w->http, w->loop, &listen, &w->port));
    served.port = http_port_number(w->port);
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_ptr_null(net_loop_new(&served.workers[i]));
        ck_assert_ptr_null(net_thread_start(served.workers[i], &served.worker_threads[i]));
    }
    ck_assert_ptr_null(net_thread_start(w->loop, &served.thread));
}

static void on_drained(void *ctx) { net_loop_stop(ctx); }
static void drain(struct net_post *post) {
    (void)post;
    http_port_drain(served.w.port, 100, on_drained, served.w.loop);
}

static void teardown(void) {
    struct net_post post = {.fn = drain};
    net_loop_post(served.w.loop, &post);
    net_thread_join(served.thread); /* waits for every call that is still worked on */
    for (int i = 0; i < WORKERS; i++) {
        net_loop_stop(served.workers[i]);
        net_thread_join(served.worker_threads[i]);
        net_loop_free(served.workers[i]);
    }
    rpc_world_close(&served.w);
}

static struct rpc_client_options options(const char *token) {
    return (struct rpc_client_options){.host = "localhost",
                                       .port = served.port,
                                       .tls = served.w.client_tls,
                                       .token = bytes_of_cstr(token)};
}

/* --- blocking */

START_TEST(test_blocking_calls_bring_messages_and_statuses) {
    CLEANUP(msg_schema_freep) struct msg_schema *schema = NULL;
    ck_assert_ptr_null(msg_schema_new(&schema));
    struct rpc_client_options o = options("good");
    o.schema = schema;
    CLEANUP(rpc_client_freep) struct rpc_client *c = NULL;
    ck_assert_ptr_null(rpc_client_dial(&o, &c));
    struct arena a;
    arena_init(&a, (size_t)64 << 20);
    struct rpc_client_result r;
    struct bytes out = {0};
    struct rpc_client_request q = {"/t.T/Work", BYTES_LIT("hello"), 5000};
    ck_assert_ptr_null(rpc_client_unary(c, &a, &q, &out, &r));
    ck_assert_int_eq(r.code, 0);
    ck_assert(r.answered && strlen(r.request_id) == 21);
    ck_assert(bytes_equal(out, BYTES_LIT("hello")));
    ck_assert_ptr_null(rpc_client_error(&r));

    q = (struct rpc_client_request){"/t.T/Fail", BYTES_LIT("f"), 5000};
    ck_assert_ptr_null(rpc_client_unary(c, &a, &q, &out, &r));
    ck_assert_int_eq(r.code, ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(r.reason, "INVALID_FIELD");
    ck_assert_str_eq(r.field, "subject[2].digest");
    ck_assert_str_eq(r.message, "subject[2].digest: is not hexadecimal \xc3\xa4 100%");
    CLEANUP(error_freep) struct error *field = rpc_client_error(&r);
    ck_assert_int_eq(error_reason(field), REASON_INVALID_FIELD);
    ck_assert_ptr_nonnull(strstr(error_message(field), r.request_id));

    q.message = BYTES_LIT("q");
    ck_assert_ptr_null(rpc_client_unary(c, &a, &q, &out, &r));
    ck_assert_str_eq(r.reason, "QUEUE_FULL");
    ck_assert_uint_eq(r.retry_ms, 50);
    q.message = BYTES_LIT("i");
    ck_assert_ptr_null(rpc_client_unary(c, &a, &q, &out, &r));
    CLEANUP(error_freep) struct error *internal = rpc_client_error(&r);
    ck_assert_int_eq(error_code(internal), ERROR_INTERNAL);
    ck_assert_ptr_eq(strstr(strstr(error_message(internal), "(request ") + 1, "(request "), NULL);
    arena_done(&a);
}
END_TEST

static bool count_messages(void *ctx, struct bytes message) {
    ck_assert_uint_eq(message.len, STREAM_BYTES);
    return ++*(size_t *)ctx < 10;
}
static bool take_all(void *ctx, struct bytes message) {
    (void)message;
    ++*(size_t *)ctx;
    return true;
}

START_TEST(test_blocking_streams_end_or_are_given_up) {
    struct rpc_client_options o = options("good");
    CLEANUP(rpc_client_freep) struct rpc_client *c = NULL;
    ck_assert_ptr_null(rpc_client_dial(&o, &c));
    struct arena a;
    arena_init(&a, 100000);
    struct rpc_client_result r;
    size_t n = 0;
    const struct rpc_client_request q = {"/t.T/Stream", BYTES_LIT(""), 20000};
    const struct rpc_client_each all = {take_all, &n};
    ck_assert_ptr_null(rpc_client_stream(c, &a, &q, &all, &r));
    ck_assert_int_eq(r.code, 0);
    ck_assert_uint_eq(n, STREAM_COUNT);
    n = 0;
    const struct rpc_client_each ten = {count_messages, &n};
    ck_assert_ptr_null(rpc_client_stream(c, &a, &q, &ten, &r));
    ck_assert_int_eq(r.code, ERROR_CANCELLED);
    ck_assert_uint_eq(n, 10);
    arena_done(&a);
}
END_TEST

START_TEST(test_blocking_calls_fail_in_their_own_way) {
    struct arena a;
    arena_init(&a, 100000);
    struct rpc_client_result r;
    struct bytes out = BYTES_LIT("x");
    struct rpc_client_options o = options("bad");
    CLEANUP(rpc_client_freep) struct rpc_client *refused = NULL;
    ck_assert_ptr_null(rpc_client_dial(&o, &refused));
    struct rpc_client_request q = {"/t.T/Echo", BYTES_LIT("x"), 5000};
    ck_assert_ptr_null(rpc_client_unary(refused, &a, &q, &out, &r));
    ck_assert_int_eq(r.code, ERROR_UNAUTHENTICATED);
    ck_assert_ptr_null(out.data);
    q = (struct rpc_client_request){"/t.T/Keep", BYTES_LIT("x"), 50};
    o = options("good");
    CLEANUP(rpc_client_freep) struct rpc_client *late = NULL;
    ck_assert_ptr_null(rpc_client_dial(&o, &late));
    ck_assert_ptr_null(rpc_client_unary(late, &a, &q, &out, &r));
    ck_assert_int_eq(r.code, ERROR_DEADLINE_EXCEEDED);
    o.port = 1;          /* nobody there */
    q.timeout_ms = 5000; /* which a busy machine, too, finds out in time */
    CLEANUP(rpc_client_freep) struct rpc_client *nobody = NULL;
    ck_assert_ptr_null(rpc_client_dial(&o, &nobody));
    for (int i = 0; i < 2; i++) { /* it dials again each time */
        ck_assert_ptr_null(rpc_client_unary(nobody, &a, &q, &out, &r));
        ck_assert_int_eq(r.code, ERROR_UNAVAILABLE);
        ck_assert(!r.answered);
    }
    arena_done(&a);
}
END_TEST

static void finish_kept(struct net_post *post) {
    (void)post;
    if (service.kept != NULL) rpc_call_finish(service.kept, NULL);
    service.kept = NULL;
}

static void teardown_kept(void) {
    static struct net_post post = {.fn = finish_kept};
    net_loop_post(served.w.loop, &post);
    teardown();
}

/* --- random cancellation while workers finish calls */

struct storm {
    struct net_loop *loop;
    struct rpc_client *client;
    struct rpc_client_call *calls[64];
    uint32_t seed;
    int rounds;
    size_t done;
    struct net_timer timer;
};

struct storm_call {
    struct storm *storm;
    size_t slot;
};
static struct storm_call storm_calls[64];

static void storm_message(void *ctx, struct rpc_client_call *call, struct bytes message) {
    (void)ctx;
    (void)call;
    ck_assert_uint_eq(message.len, 2000);
}

static void storm_done(void *ctx, struct rpc_client_call *call, const struct rpc_client_result *r) {
    (void)call;
    struct storm_call *c = ctx;
    ck_assert_msg(r->code == 0 || r->code == ERROR_UNAVAILABLE, "%d %s", r->code, r->message);
    c->storm->calls[c->slot] = NULL;
    c->storm->done++;
}

static const struct rpc_client_events storm_events = {.on_message = storm_message,
                                                      .on_done = storm_done};

static uint32_t storm_random(struct storm *s) {
    s->seed = s->seed * 1664525 + 1013904223;
    return s->seed >> 16;
}

static void storm_turn(struct net_timer *t) {
    struct storm *s = (struct storm *)((char *)t - offsetof(struct storm, timer));
    static const uint8_t body[2000];
    if (s->rounds-- == 0) {
        net_loop_stop(s->loop);
        return;
    }
    for (size_t i = 0; i < 64; i++) {
        uint32_t n = storm_random(s);
        if (s->calls[i] != NULL && n % 3 == 0) {
            rpc_client_cancel(MOVE(s->calls[i]));
        } else if (s->calls[i] == NULL) {
            storm_calls[i] = (struct storm_call){s, i};
            const struct rpc_client_request q = {"/t.T/Work", {body, sizeof body}, 10000};
            struct error *err =
                rpc_client_start(s->client, &q, &storm_events, &storm_calls[i], &s->calls[i]);
            error_ignore(err, "the server's guard may have ended the connection");
        }
    }
    if (storm_random(s) % 16 == 0 || !rpc_client_usable(s->client)) { /* a whole client dies */
        rpc_client_free(MOVE(s->client));
        memset(s->calls, 0, sizeof s->calls);
        struct rpc_client_options o = options("good");
        ck_assert_ptr_null(rpc_client_new(s->loop, &o, &s->client));
    }
    net_timer_start(s->loop, t, storm_random(s) % 3);
}

START_TEST(test_calls_finished_by_workers_survive_any_cancellation) {
    struct storm s = {.seed = 42, .rounds = 300, .timer = {.fn = storm_turn}};
    ck_assert_ptr_null(net_loop_new(&s.loop));
    struct rpc_client_options o = options("good");
    ck_assert_ptr_null(rpc_client_new(s.loop, &o, &s.client));
    net_timer_start(s.loop, &s.timer, 0);
    net_loop_run(s.loop);
    rpc_client_free(s.client);
    net_loop_free(s.loop);
    ck_assert_uint_gt(s.done, 100);
    ck_assert_uint_gt(atomic_load(&served.finished), 100);
}
END_TEST

static Suite *rpc_client_suite(void) {
    Suite *s = suite_create("rpc_client");
    TCase *tc = tcase_create("threads");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_blocking_calls_bring_messages_and_statuses);
    tcase_add_test(tc, test_blocking_streams_end_or_are_given_up);
    tcase_add_test(tc, test_calls_finished_by_workers_survive_any_cancellation);
    suite_add_tcase(s, tc);
    tc = tcase_create("failing");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown_kept);
    tcase_add_test(tc, test_blocking_calls_fail_in_their_own_way);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(rpc_client_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
