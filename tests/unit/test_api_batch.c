/* Batches while the log or the workers stand still: how many items are under way at once, and what
 * becomes of those that were not begun when their caller goes away. */
#include <pthread.h>

#include "api_world.h"
#include "attestd/v1/attestations.pb-c.h"
#include "attestd/v1/gate.pb-c.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ATTEST "/attestd.v1.Attestations/Attest"
#define BATCH "/attestd.v1.Attestations/AttestBatch"
#define DECIDE_BATCH "/attestd.v1.Gate/DecideBatch"
#define ATTEST_WINDOW 1024 /* attest.c's */
#define DECIDE_WINDOW 64   /* gate.c's */
#define LARGE_WINDOW 16    /* batch.c's */
#define EVIDENCE 20        /* of one subject: so much that workers look at it */
#define ITEMS 3000

static struct world w;

/* Both queues hold a window and no item more. */
static void setup(void) {
    w = (struct world){.open = API_OPEN_ALL,
                       .ready = true,
                       .gate = "taken",
                       .log_queue = ATTEST_WINDOW,
                       .worker_queue = DECIDE_WINDOW,
                       .batch_max = ITEMS};
    world_open(&w);
}
static void setup_narrow(void) {
    w = (struct world){
        .open = API_OPEN_ALL, .ready = true, .worker_queue = LARGE_WINDOW / 2, .batch_max = ITEMS};
    world_open(&w);
}
static void teardown(void) { world_close(&w); }

/* turn_reactor returns when the reactor has done all that it was to do `times` times over. */
static void turn_reactor(unsigned times) {
    for (unsigned i = 0; i < times; i++) (void)ask(&w, "/grpc.health.v1.Health/Check", "{}");
}

/* counter is the value of the metric whose line begins with `line`; 0 where there is none. */
static uint64_t counter(const char *line) {
    struct buf out;
    uint64_t value = 0;
    buf_init(&out, (size_t)1 << 20);
    metrics_put(&out);
    buf_put_u8(&out, 0);
    ok(buf_finish(&out, "metrics"));
    const char *at_line = strstr((const char *)out.data, line);
    if (at_line != NULL) {
        struct bytes rest = bytes_of_cstr(at_line + strlen(line) + 1);
        rest.len = (size_t)(strchr(at_line, '\n') - (at_line + strlen(line) + 1));
        ck_assert(bytes_to_u64(rest, &value));
    }
    buf_done(&out);
    return value;
}

#define LOG_QUEUE "attestd_queue_depth{queue=\"log\"}"
#define CALLS "attestd_rpc_requests_total{method=\"attestd.v1."

/* Calls of both batches that ended for their caller before they were done: the deadline is kept on
 * both sides, and either may be first. */
static uint64_t given_up(void) {
    return counter(CALLS "Attestations/AttestBatch\",code=\"DEADLINE_EXCEEDED\"}") +
           counter(CALLS "Attestations/AttestBatch\",code=\"CANCELLED\"}") +
           counter(CALLS "Gate/DecideBatch\",code=\"DEADLINE_EXCEEDED\"}") +
           counter(CALLS "Gate/DecideBatch\",code=\"CANCELLED\"}");
}

/* --- a batch on a thread of its own */
struct batch {
    const char *path;
    struct bytes wire;
    uint32_t timeout_ms;
    struct arena arena;
    struct rpc_client_result result;
    struct bytes answer;
    pthread_t thread;
    atomic_bool is_done;
};

static void *run_batch(void *arg) {
    struct batch *b = arg;
    arena_init(&b->arena, MEMORY_MAX);
    struct rpc_client *c = world_client(&w, w.token.text);
    const struct rpc_client_request request = {
        .path = b->path, .message = b->wire, .timeout_ms = b->timeout_ms};
    ok(rpc_client_unary(c, &b->arena, &request, &b->answer, &b->result));
    rpc_client_free(c);
    atomic_store(&b->is_done, true);
    return NULL;
}

static void batch_start(struct batch *b) {
    ck_assert_int_eq(pthread_create(&b->thread, NULL, run_batch, b), 0);
}

static void batch_join(struct batch *b) { ck_assert_int_eq(pthread_join(b->thread, NULL), 0); }

static const struct ProtobufCMessage *answer_of(const struct batch *b, const char *type) {
    struct ProtobufCMessage *m = NULL;
    ck_assert_msg(b->result.code == 0, "%d: %s", b->result.code, b->result.message);
    const struct ProtobufCMessageDescriptor *t = msg_type_by_name(w.schema, bytes_of_cstr(type));
    ok(msg_unpack(w.schema, &w.arena, t, b->answer, &MSG_LIMITS_DEFAULT, &m));
    return m;
}

/* Each item has its response: none found a queue full. */
static void check_attested(const struct batch *b) {
    const Attestd__V1__AttestBatchResponse *r =
        (const Attestd__V1__AttestBatchResponse *)answer_of(b, "attestd.v1.AttestBatchResponse");
    ck_assert_uint_eq(r->n_results, ITEMS);
    for (size_t i = 0; i < r->n_results; i++)
        ck_assert_msg(
            r->results[i]->result_case == ATTESTD__V1__ATTEST_BATCH_RESPONSE__ITEM__RESULT_RESPONSE,
            "%zu: %s", i, r->results[i]->error->message);
}

static void check_decided(const struct batch *b) {
    const Attestd__V1__DecideBatchResponse *r =
        (const Attestd__V1__DecideBatchResponse *)answer_of(b, "attestd.v1.DecideBatchResponse");
    ck_assert_uint_eq(r->n_results, ITEMS);
    for (size_t i = 0; i < r->n_results; i++)
        ck_assert_msg(
            r->results[i]->result_case == ATTESTD__V1__DECIDE_BATCH_RESPONSE__ITEM__RESULT_RESPONSE,
            "%zu: %s", i, r->results[i]->error->message);
}

/* --- the log stands still: it has taken one entry, and holds it */
static void attest_one(unsigned n) {
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A
                   "\"}}],"
                   "\"provenance\":{\"buildType\":\"https://b.test/1\","
                   "\"externalParameters\":{\"n\":%u}}}",
                   n);
    (void)ask(&w, ATTEST, json);
}

static void *attest_first(void *arg) {
    (void)arg;
    struct arena own;
    struct bytes out;
    struct rpc_client_result r;
    arena_init(&own, MEMORY_MAX);
    struct rpc_client *c = world_client(&w, w.token.text);
    const struct rpc_client_request request = {.path = ATTEST, .message = *(struct bytes *)arg};
    ok(rpc_client_unary(c, &own, &request, &out, &r));
    ck_assert_int_eq(r.code, 0);
    rpc_client_free(c);
    arena_done(&own);
    return NULL;
}

static struct bytes many(size_t count) {
    struct buf b;
    buf_init_arena(&b, &w.arena, (size_t)4 << 20);
    buf_put_cstr(&b, "{\"requests\":[");
    for (size_t i = 0; i < count; i++)
        buf_printf(&b,
                   "%s{\"predicateType\":\"https://t.test/v1\",\"json\":{\"i\":%zu},\"subject\":[{"
                   "\"digest\":{\"sha256\":\"" SHA_A "\"}}]}",
                   i == 0 ? "" : ",", i);
    buf_put_cstr(&b, "]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "batch"));
    return wire_of(&w, "attestd.v1.AttestBatchRequest", (const char *)b.data);
}

static pthread_t hold_log(void) {
    static struct bytes wire;
    pthread_t thread;
    wire = wire_of(&w, "attestd.v1.AttestRequest",
                   "{\"predicateType\":\"https://t.test/v1\",\"json\":{},\"subject\":[{\"digest\":"
                   "{\"sha256\":\"" SHA_A "\"}}]}");
    gate_shut();
    ck_assert_int_eq(pthread_create(&thread, NULL, attest_first, &wire), 0);
    gate_await();
    return thread;
}

START_TEST(test_a_batch_fills_the_logs_queue_with_a_window_of_items) {
    struct batch b = {.path = BATCH, .wire = many(ITEMS)};
    pthread_t first = hold_log();
    batch_start(&b);
    while (counter(LOG_QUEUE) < ATTEST_WINDOW) turn_reactor(1);
    turn_reactor(20);
    ck_assert_uint_eq(counter(LOG_QUEUE), ATTEST_WINDOW);
    gate_open();
    batch_join(&b);
    ck_assert_int_eq(pthread_join(first, NULL), 0);
    check_attested(&b);
    arena_done(&b.arena);
    ck_assert_uint_eq(tlog_head(w.rig.log).size, 1 + ITEMS);
}
END_TEST

START_TEST(test_of_a_batch_whose_caller_went_away_nothing_more_is_logged) {
    struct batch b = {.path = BATCH, .wire = many(ITEMS), .timeout_ms = 2000};
    uint64_t before = given_up();
    pthread_t first = hold_log();
    batch_start(&b);
    while (counter(LOG_QUEUE) < ATTEST_WINDOW && !atomic_load(&b.is_done)) turn_reactor(1);
    batch_join(&b);
    ck_assert_int_eq(b.result.code, ERROR_DEADLINE_EXCEEDED);
    arena_done(&b.arena);
    turn_reactor(2);
    uint64_t begun = counter(LOG_QUEUE);
    ck_assert_uint_gt(begun, 0);
    ck_assert_uint_le(begun, ATTEST_WINDOW);
    ck_assert_uint_eq(given_up(), before); /* what was begun is waited for */
    gate_open();
    ck_assert_int_eq(pthread_join(first, NULL), 0);
    while (given_up() == before) turn_reactor(1);
    ck_assert_uint_eq(tlog_head(w.rig.log).size, 1 + begun);
    attest_one(1); /* the log goes on */
    ck_assert_uint_eq(tlog_head(w.rig.log).size, 2 + begun);
}
END_TEST

/* --- the workers stand still */
static void load_policy(void) {
    static const char yaml[] =
        "apiVersion: attestd/v1\nkind: Policy\nname: built\nrequire:\n"
        "  - name: provenance\n"
        "    predicateType: https://slsa.dev/provenance/v1\n"
        "    signers: [\"token:*\"]\n";
    const struct policy_file file = {TEXT_LIT("built.yaml"), bytes_of_cstr(yaml)};
    struct policy_set *set = NULL;
    ok(policy_set_load(&file, 1, &set));
    ok(service_set_policies(w.service, set));
}

static struct bytes questions(size_t count) {
    struct buf b;
    buf_init_arena(&b, &w.arena, (size_t)4 << 20);
    buf_put_cstr(&b, "{\"requests\":[");
    for (size_t i = 0; i < count; i++)
        buf_printf(&b,
                   "%s{\"subject\":{\"digest\":{\"sha256\":\"" SHA_A
                   "\"}},\"environment\":\"prod\",\"dryRun\":true}",
                   i == 0 ? "" : ",");
    buf_put_cstr(&b, "]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "questions"));
    return wire_of(&w, "attestd.v1.DecideBatchRequest", (const char *)b.data);
}

#define DECIDED "attestd_decisions_total{policy=\"built\",decision=\"ALLOW\"}"

START_TEST(test_a_batch_fills_the_workers_queue_with_a_window_of_questions) {
    load_policy();
    for (unsigned i = 0; i < EVIDENCE; i++) attest_one(i);
    struct batch b = {.path = DECIDE_BATCH, .wire = questions(ITEMS)};
    hold_workers(&w);
    batch_start(&b);
    turn_reactor(40); /* more turns than all of a window would take */
    let_go();
    batch_join(&b);
    check_decided(&b);
    arena_done(&b.arena);
}
END_TEST

START_TEST(test_of_a_batch_whose_caller_went_away_nothing_more_is_decided) {
    load_policy();
    for (unsigned i = 0; i < EVIDENCE; i++) attest_one(i);
    struct batch b = {.path = DECIDE_BATCH, .wire = questions(ITEMS), .timeout_ms = 2000};
    uint64_t before = given_up(), decided = counter(DECIDED);
    hold_workers(&w);
    batch_start(&b);
    batch_join(&b);
    ck_assert_int_eq(b.result.code, ERROR_DEADLINE_EXCEEDED);
    arena_done(&b.arena);
    turn_reactor(2);
    ck_assert_uint_eq(given_up(), before);
    let_go();
    while (given_up() == before) turn_reactor(1);
    ck_assert_uint_gt(counter(DECIDED), decided);
    ck_assert_uint_le(counter(DECIDED), decided + DECIDE_WINDOW);
}
END_TEST

/* --- large items are begun on the workers */
#define LARGE_ITEMS 100              /* more than the workers' queue holds */
#define LARGE_OCTETS ((size_t)20000) /* attest.c's ITEM_OCTETS_MAX and more */

/* `large` items, of which the middle one is refused, then one small one. */
static struct bytes large(size_t count) {
    struct buf b;
    buf_init_arena(&b, &w.arena, (size_t)4 << 20);
    buf_put_cstr(&b, "{\"requests\":[");
    for (size_t i = 0; i <= count; i++) {
        const char *type =
            i == count / 2 ? "https://slsa.dev/verification_summary/v1" : "https://t.test/v1";
        buf_printf(&b, "%s{\"predicateType\":\"%s\",\"json\":{\"i\":%zu,\"pad\":\"",
                   i == 0 ? "" : ",", type, i);
        for (size_t n = 0; i < count && n < LARGE_OCTETS; n += 10) buf_put_cstr(&b, "0123456789");
        buf_put_cstr(&b, "\"},\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A "\"}}]}");
    }
    buf_put_cstr(&b, "]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "large"));
    return wire_of(&w, "attestd.v1.AttestBatchRequest", (const char *)b.data);
}

static void check_large(struct batch *b) {
    const Attestd__V1__AttestBatchResponse *r =
        (const Attestd__V1__AttestBatchResponse *)answer_of(b, "attestd.v1.AttestBatchResponse");
    ck_assert_uint_eq(r->n_results, LARGE_ITEMS + 1);
    for (size_t i = 0; i < r->n_results; i++) {
        const Attestd__V1__AttestBatchResponse__Item *item = r->results[i];
        if (i == LARGE_ITEMS / 2) {
            ck_assert_int_eq(item->result_case,
                             ATTESTD__V1__ATTEST_BATCH_RESPONSE__ITEM__RESULT_ERROR);
            ck_assert_int_eq(item->error->code, ERROR_INVALID_ARGUMENT);
        } else {
            ck_assert_int_eq(item->result_case,
                             ATTESTD__V1__ATTEST_BATCH_RESPONSE__ITEM__RESULT_RESPONSE);
        }
    }
    arena_done(&b->arena);
}

/* One of so many octets that it is begun on a worker. */
static struct bytes large_one(void) {
    struct buf b;
    buf_init_arena(&b, &w.arena, (size_t)4 << 20);
    buf_put_cstr(&b, "{\"predicateType\":\"https://t.test/v1\",\"json\":{\"pad\":\"");
    for (size_t n = 0; n < 4 * LARGE_OCTETS; n += 10) buf_put_cstr(&b, "0123456789");
    buf_put_cstr(&b, "\"},\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A "\"}}]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "large one"));
    return wire_of(&w, "attestd.v1.AttestRequest", (const char *)b.data);
}

/* Meanwhile other callers' large ones find room in the workers' queue. */
START_TEST(test_large_items_of_a_batch_are_begun_by_workers) {
    struct batch b = {.path = BATCH, .wire = large(LARGE_ITEMS)};
    struct batch other = {.path = ATTEST, .wire = large_one(), .timeout_ms = 500};
    hold_workers(&w);
    batch_start(&b);
    turn_reactor(20);
    ck_assert(!atomic_load(&b.is_done));
    (void)run_batch(&other);
    ck_assert_int_eq(other.result.code, ERROR_DEADLINE_EXCEEDED); /* not: QUEUE_FULL */
    arena_done(&other.arena);
    ck_assert_uint_eq(tlog_head(w.rig.log).size, 0);
    let_go();
    batch_join(&b);
    check_large(&b);
    while (tlog_head(w.rig.log).size < LARGE_ITEMS + 1) turn_reactor(1);
}
END_TEST

/* Its own fill the workers' queue: it waits for them, instead of being refused. */
START_TEST(test_large_items_wait_for_room_among_the_workers) {
    struct batch b = {.path = BATCH, .wire = large(LARGE_ITEMS)};
    hold_workers(&w);
    batch_start(&b);
    turn_reactor(20);
    ck_assert(!atomic_load(&b.is_done));
    let_go();
    batch_join(&b);
    check_large(&b);
    ck_assert_uint_eq(tlog_head(w.rig.log).size, LARGE_ITEMS);
}
END_TEST

/* --- how many items */
START_TEST(test_a_batch_of_questions_is_bounded_as_one_of_attestations_is) {
    load_policy();
    struct batch b = {.path = DECIDE_BATCH, .wire = questions(ITEMS + 1)};
    (void)run_batch(&b);
    ck_assert_int_eq(b.result.code, ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(b.result.field, "requests");
    arena_done(&b.arena);
    b.wire = questions(ITEMS);
    (void)run_batch(&b);
    check_decided(&b);
    arena_done(&b.arena);
}
END_TEST

static Suite *batch_suite(void) {
    Suite *s = suite_create("api_batch");
    TCase *tc = tcase_create("batch");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_a_batch_fills_the_logs_queue_with_a_window_of_items);
    tcase_add_test(tc, test_of_a_batch_whose_caller_went_away_nothing_more_is_logged);
    tcase_add_test(tc, test_a_batch_fills_the_workers_queue_with_a_window_of_questions);
    tcase_add_test(tc, test_of_a_batch_whose_caller_went_away_nothing_more_is_decided);
    tcase_add_test(tc, test_large_items_of_a_batch_are_begun_by_workers);
    tcase_add_test(tc, test_a_batch_of_questions_is_bounded_as_one_of_attestations_is);
    suite_add_tcase(s, tc);
    tc = tcase_create("narrow");
    tcase_add_checked_fixture(tc, setup_narrow, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_large_items_wait_for_room_among_the_workers);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(batch_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
