#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc_support.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
#define MSG_ABC "\0\0\0\0\3abc"

/* --- the wire */

START_TEST(test_frames_come_whole_at_every_split) {
    struct bytes in = BYTES_LIT("\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\5defgh\0");
    for (size_t step = 1; step <= in.len; step++) {
        struct rpc_frames f;
        rpc_frames_init(&f, 5);
        char seen[64] = "";
        for (size_t at = 0; at < in.len; at += step) {
            struct bytes piece = {in.data + at, in.len - at < step ? in.len - at : step};
            struct bytes m = {0};
            enum rpc_frame r;
            while ((r = rpc_frames_read(&f, &piece, &m)) == RPC_FRAME_MESSAGE) {
                ck_assert_ptr_nonnull(m.data);
                strncat(seen, (const char *)m.data, m.len);
                strcat(seen, ";");
            }
            ck_assert_int_eq(r, RPC_FRAME_MORE);
        }
        ck_assert_str_eq(seen, "abc;;defgh;");
        ck_assert_uint_eq(rpc_frames_held(&f), 1);
        ck_assert(!rpc_frames_at_rest(&f));
        rpc_frames_done(&f);
    }
}
END_TEST

START_TEST(test_frames_that_lie_are_refused_before_memory_is_taken) {
    static const struct {
        struct bytes in;
        enum rpc_frame result;
    } cases[] = {
        {BYTES_LIT("\1\0\0\0\1a"), RPC_FRAME_COMPRESSED},
        {BYTES_LIT("\2\0\0\0\1a"), RPC_FRAME_BAD_FLAG},
        {BYTES_LIT("\0\xff\xff\xff\xff"), RPC_FRAME_TOO_LARGE},
        {BYTES_LIT("\0\0\0\0\6"), RPC_FRAME_TOO_LARGE},
        {BYTES_LIT("\0\0\0\0\5a"), RPC_FRAME_MORE},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct rpc_frames f;
        rpc_frames_init(&f, 5);
        struct bytes in = cases[i].in;
        struct bytes m = {0};
        ck_assert_int_eq(rpc_frames_read(&f, &in, &m), cases[i].result);
        rpc_frames_done(&f);
    }
}
END_TEST

/* SPEC grpc PROTOCOL-HTTP2 */
START_TEST(test_timeouts_are_read_strictly) {
    static const struct {
        const char *text;
        bool ok;
        uint64_t us;
    } cases[] = {
        {"1H", true, 3600000000}, {"2M", true, 120000000},
        {"3S", true, 3000000},    {"100m", true, 100000},
        {"7u", true, 7},          {"2500n", true, 2},
        {"0m", true, 0},          {"99999999H", true, 99999999ull * 3600000000ull},
        {"", false, 0},           {"m", false, 0},
        {"1", false, 0},          {"123456789m", false, 0},
        {"-1m", false, 0},        {"+1m", false, 0},
        {" 1m", false, 0},        {"1m ", false, 0},
        {"1ms", false, 0},        {"1h", false, 0},
        {"1.5S", false, 0},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        uint64_t us = 77;
        bool ok = rpc_timeout_parse(bytes_of_cstr(cases[i].text), &us);
        ck_assert_msg(ok == cases[i].ok && us == (ok ? cases[i].us : 77), "%s", cases[i].text);
    }
    uint64_t us = 0;
    ck_assert(rpc_connect_timeout_parse(BYTES_LIT("1500"), &us) && us == 1500000);
    ck_assert(!rpc_connect_timeout_parse(BYTES_LIT("12345678901"), &us));
    ck_assert(!rpc_connect_timeout_parse(BYTES_LIT(""), &us));
    for (uint64_t ms = 1; ms < UINT32_MAX; ms = ms * 3 + 1) {
        struct buf b;
        buf_init(&b, 32);
        rpc_timeout_put(&b, (uint32_t)ms);
        ck_assert(rpc_timeout_parse(buf_bytes(&b), &us) && us >= ms * 1000);
        buf_done(&b);
    }
}
END_TEST

START_TEST(test_messages_survive_percent_encoding) {
    uint8_t all[256];
    for (int i = 0; i < 256; i++) all[i] = (uint8_t)i;
    struct buf enc;
    struct buf dec;
    buf_init(&enc, 1000);
    buf_init(&dec, 1000);
    rpc_percent_put(&enc, (struct bytes){all, sizeof all});
    for (size_t i = 0; i < enc.len; i++) ck_assert(enc.data[i] >= ' ' && enc.data[i] <= '~');
    rpc_percent_decode(&dec, buf_bytes(&enc));
    ck_assert(bytes_equal(buf_bytes(&dec), (struct bytes){all, sizeof all}));
    buf_clear(&dec);
    rpc_percent_decode(&dec, BYTES_LIT("100% %zz %4 %41"));
    ck_assert(bytes_equal(buf_bytes(&dec), BYTES_LIT("100% %zz %4 A")));
    buf_done(&enc);
    buf_done(&dec);
}
END_TEST

START_TEST(test_only_client_faults_are_told_in_full) {
    for (int code = 1; code <= 16; code++) {
        CLEANUP(error_freep)
        struct error *err = error_wrap(error_new((enum error_code)code, "inner"), "outer");
        struct rpc_status s;
        rpc_status_public(err, "the-id", &s);
        bool ours = code == ERROR_UNKNOWN || code == ERROR_INTERNAL || code == ERROR_UNAVAILABLE ||
                    code == ERROR_DATA_LOSS;
        ck_assert_int_eq(s.code, code);
        ck_assert((strstr(s.message, "inner") != NULL) == !ours);
        ck_assert((strstr(s.message, "the-id") != NULL) == ours);
    }
}
END_TEST

/* --- gRPC */

static void expect(struct raw *r, const char *status, const char *what) {
    raw_call(r);
    ck_assert_msg(r->status == 200 && strcmp(r->grpc_status, status) == 0,
                  "%s: HTTP %d, grpc-status %s (%s)", what, r->status, r->grpc_status, r->message);
    ck_assert_uint_eq(strlen(r->id), 21);
    buf_done(&r->data);
}

START_TEST(test_unary_messages_come_back) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = raw_grpc(&w, "/t.T/Echo", BYTES_LIT(MSG_ABC));
    raw_call(&r);
    ck_assert_str_eq(r.grpc_status, "0");
    ck_assert_str_eq(r.type, "application/grpc+proto");
    ck_assert(bytes_equal(buf_bytes(&r.data), BYTES_LIT(MSG_ABC)));
    ck_assert_uint_eq(service.observed, 1);
    buf_done(&r.data);
    struct raw empty = raw_grpc(&w, "/t.T/Echo", BYTES_LIT("\0\0\0\0\0"));
    expect(&empty, "0", "empty message");
    rpc_world_close(&w);
}
END_TEST

static const struct {
    const char *name, *path;
    struct bytes body;
    const char *field, *value, *status;
} refusals[] = {
    {"compressed", "/t.T/Echo", BYTES_LIT("\1\0\0\0\3abc"), "grpc-encoding", "gzip", "12"},
    {"bad flag", "/t.T/Echo", BYTES_LIT("\3\0\0\0\3abc"), NULL, NULL, "3"},
    {"too large", "/t.T/Echo", BYTES_LIT("\0\0\x40\0\1a"), NULL, NULL, "8"},
    {"4 GiB", "/t.T/Echo", BYTES_LIT("\0\xff\xff\xff\xff"), NULL, NULL, "8"},
    {"two messages", "/t.T/Echo", BYTES_LIT(MSG_ABC MSG_ABC), NULL, NULL, "12"},
    {"no message", "/t.T/Echo", {NULL, 0}, NULL, NULL, "12"},
    {"cut head", "/t.T/Echo", BYTES_LIT("\0\0\0"), NULL, NULL, "3"},
    {"cut message", "/t.T/Echo", BYTES_LIT("\0\0\0\0\3ab"), NULL, NULL, "3"},
    {"no method", "/t.T/None", BYTES_LIT(MSG_ABC), NULL, NULL, "12"},
    {"no service", "/", BYTES_LIT(MSG_ABC), NULL, NULL, "12"},
    {"bad timeout", "/t.T/Echo", BYTES_LIT(MSG_ABC), "grpc-timeout", "1", "3"},
    {"timeout of zero", "/t.T/Keep", BYTES_LIT(MSG_ABC), "grpc-timeout", "0m", "4"},
    {"bad token", "/t.T/Echo", BYTES_LIT(MSG_ABC), "authorization", "Bearer bad", "16"},
};

START_TEST(test_calls_that_cannot_be_served_get_a_status) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = raw_grpc(&w, refusals[_i].path, refusals[_i].body);
    if (refusals[_i].field != NULL) raw_add(&r, refusals[_i].field, refusals[_i].value);
    expect(&r, refusals[_i].status, refusals[_i].name);
    if (service.kept != NULL) rpc_call_finish(service.kept, NULL);
    ck_assert_uint_eq(service.observed, 1);
    ck_assert_int_eq(service.last_code, atoi(refusals[_i].status));
    rpc_world_close(&w);
}
END_TEST

static const struct {
    const char *type;
    int status;
} types[] = {
    {"application/grpc+proto", 200},
    {"application/grpc;x=y", 200},
    {"application/grpc+json", 415},
    {"application/grpc-web", 415},
    {"text/plain", 415},
    {"", 415},
    {"application/json", 200},
    {"application/json; charset=utf-8", 200},
    {"application/proto", 200},
    {"Application/JSON", 200},
    {"APPLICATION/GRPC", 200},
    {"application/connect+json", 415},
};

/* What no content type would make answer is not there, whatever was sent. */
START_TEST(test_an_unknown_path_is_not_found_in_any_type) {
    static const char *const any[] = {"text/plain", "", "application/json"};
    struct rpc_world w = {0};
    rpc_world_open(&w);
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        struct raw r = {.w = &w, .path = "/nowhere", .body = BYTES_LIT("{}")};
        raw_add(&r, "content-type", any[i]);
        raw_call(&r);
        ck_assert_msg(r.status == 404, "%s: %d", any[i], r.status);
        buf_done(&r.data);
    }
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_content_types_choose_the_protocol) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = {.w = &w, .path = "/t.T/Echo", .body = BYTES_LIT(MSG_ABC)};
    raw_add(&r, "content-type", types[_i].type);
    raw_call(&r);
    ck_assert_msg(r.status == types[_i].status, "%s: %d", types[_i].type, r.status);
    buf_done(&r.data);
    struct raw s = {.w = &w, .path = "/t.T/Stream", .body = BYTES_LIT("{}")};
    raw_add(&s, "content-type", "application/json"); /* a stream, asked for as unary */
    raw_call(&s);
    ck_assert_int_eq(s.status, 415);
    buf_done(&s.data);
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_errors_carry_reason_field_and_retry) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw f = raw_grpc(&w, "/t.T/Fail", BYTES_LIT("\0\0\0\0\1f"));
    expect(&f, "3", "field");
    ck_assert_str_eq(f.message, "subject[2].digest: is not hexadecimal %C3%A4 100%25");
    ck_assert_uint_gt(strlen(f.details), 20);
    ck_assert_ptr_null(strchr(f.details, '='));
    struct raw i = raw_grpc(&w, "/t.T/Fail", BYTES_LIT("\0\0\0\0\1i"));
    expect(&i, "13", "internal");
    ck_assert_ptr_null(strstr(i.message, "secret"));
    ck_assert_ptr_nonnull(strstr(i.message, i.id));
    struct raw q = raw_grpc(&w, "/t.T/Fail", BYTES_LIT("\0\0\0\0\1q"));
    expect(&q, "8", "queue");
    ck_assert_uint_gt(strlen(q.details), 20);
    struct raw d = raw_grpc(&w, "/t.T/Fail", BYTES_LIT("\0\0\0\0\1r"));
    expect(&d, "14", "round");
    ck_assert_ptr_null(strstr(d.message, "secret"));
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_a_deadline_ends_the_call_for_the_peer_and_tells_the_handler) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = raw_grpc(&w, "/t.T/Keep", BYTES_LIT(MSG_ABC));
    raw_add(&r, "grpc-timeout", "30m");
    expect(&r, "4", "deadline");
    ck_assert_uint_eq(service.cancelled, 1);
    ck_assert(rpc_call_cancelled(service.kept));
    ck_assert_uint_eq(rpc_call_time_left_us(service.kept), 0);
    ck_assert_uint_eq(service.observed, 0);
    /* the handler's: another thread of its may be filling it while the peer is answered */
    ck_assert_uint_eq(rpc_call_arena(service.kept)->used_bytes, 0);
    rpc_call_send(service.kept, BYTES_LIT("late"));
    rpc_call_finish(service.kept, NULL);
    ck_assert_uint_eq(service.observed, 1);
    ck_assert_int_eq(service.last_code, ERROR_DEADLINE_EXCEEDED);
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_a_unary_call_that_names_no_deadline_gets_the_servers) {
    struct rpc_world w = {.deadline_default_ms = 30};
    rpc_world_open(&w);
    struct raw grpc = raw_grpc(&w, "/t.T/Keep", BYTES_LIT(MSG_ABC));
    expect(&grpc, "4", "deadline");
    rpc_call_finish(service.kept, NULL);
    rpc_world_close(&w);
}
END_TEST

static void stop_after(struct net_timer *t) {
    struct {
        struct net_timer timer;
        struct net_loop *loop;
    } *stop = (void *)t;
    net_loop_stop(stop->loop);
}

static void run_for(struct rpc_world *w, uint64_t ms) {
    struct {
        struct net_timer timer;
        struct net_loop *loop;
    } stop = {.timer = {.fn = stop_after}, .loop = w->loop};
    net_timer_start(w->loop, &stop.timer, ms);
    net_loop_run(w->loop);
    net_timer_stop(w->loop, &stop.timer);
}

START_TEST(test_a_reset_tells_the_handler_which_still_finishes) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = raw_grpc(&w, "/t.T/Keep", BYTES_LIT(MSG_ABC));
    struct http_client_call *k = raw_start(&r);
    while (service.kept == NULL) run_for(&w, 5);
    http_client_cancel(k);
    while (service.cancelled == 0) run_for(&w, 5);
    rpc_call_send(service.kept, BYTES_LIT("late"));
    rpc_call_finish(service.kept, error_new(ERROR_INTERNAL, "later still"));
    ck_assert_int_eq(service.last_code, ERROR_CANCELLED);
    buf_done(&r.data);
    rpc_world_close(&w);
}
END_TEST

static struct rpc_call *keep_one(struct rpc_world *w, struct raw *r, bool known) {
    service.kept = NULL;
    *r = raw_grpc(w, "/t.T/Keep", BYTES_LIT(MSG_ABC));
    if (known) raw_add(r, "authorization", "Bearer good");
    (void)raw_start(r);
    while (service.kept == NULL) run_for(w, 5);
    return service.kept;
}

/* Each may have 16 MiB, and all together 20. */
START_TEST(test_the_memory_of_all_calls_together_has_a_bound) {
    const size_t much = (size_t)12 << 20;
    struct rpc_world w = {0};
    struct raw r[2];
    rpc_world_open(&w);
    struct rpc_call *first = keep_one(&w, &r[0], true);
    struct rpc_call *second = keep_one(&w, &r[1], true);
    ck_assert_ptr_nonnull(arena_alloc(rpc_call_arena(first), much));
    ck_assert_ptr_null(arena_alloc(rpc_call_arena(second), much));
    rpc_call_finish(first, NULL);
    ck_assert_ptr_nonnull(arena_alloc(rpc_call_arena(second), much));
    rpc_call_finish(second, NULL);
    while (!r[0].done || !r[1].done) net_loop_run(w.loop);
    for (int i = 0; i < 2; i++) buf_done(&r[i].data);
    rpc_world_close(&w);
}
END_TEST

/* Of 20 MiB a quarter, and that beside the 20. */
START_TEST(test_strangers_take_no_memory_from_known_callers) {
    const size_t quarter = (size_t)5 << 20;
    struct rpc_world w = {0};
    struct raw r[3];
    rpc_world_open(&w);
    struct rpc_call *first = keep_one(&w, &r[0], false);
    struct rpc_call *second = keep_one(&w, &r[1], false);
    struct rpc_call *known = keep_one(&w, &r[2], true);
    ck_assert_ptr_null(arena_alloc(rpc_call_arena(first), quarter));
    ck_assert_ptr_nonnull(arena_alloc(rpc_call_arena(first), quarter - 100));
    ck_assert_ptr_null(arena_alloc(rpc_call_arena(second), 1));
    ck_assert_ptr_nonnull(arena_alloc(rpc_call_arena(known), 3 * quarter));
    rpc_call_finish(first, NULL);
    ck_assert_ptr_nonnull(arena_alloc(rpc_call_arena(second), 1));
    rpc_call_finish(second, NULL);
    rpc_call_finish(known, NULL);
    while (!r[0].done || !r[1].done || !r[2].done) net_loop_run(w.loop);
    for (int i = 0; i < 3; i++) buf_done(&r[i].data);
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_streams_keep_to_the_readers_pace) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = raw_grpc(&w, "/t.T/Stream", BYTES_LIT(MSG_ABC));
    raw_call(&r);
    ck_assert_str_eq(r.grpc_status, "0");
    ck_assert_uint_eq(r.data.len, STREAM_COUNT * (STREAM_BYTES + RPC_FRAME_HEAD));
    buf_done(&r.data);
    struct raw c = raw_grpc(&w, "/t.T/Stream", BYTES_LIT(MSG_ABC));
    struct http_client_call *k = raw_start(&c);
    while (c.data.len == 0) run_for(&w, 1);
    http_client_cancel(k);
    while (service.cancelled == 0) run_for(&w, 5);
    ck_assert_int_eq(service.last_code, ERROR_CANCELLED);
    buf_done(&c.data);
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_request_streams_are_handed_on_message_by_message) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = raw_grpc(&w, "/t.T/Each", BYTES_LIT(MSG_ABC "\0\0\0\0\0" MSG_ABC));
    raw_call(&r);
    ck_assert_str_eq(r.grpc_status, "0");
    ck_assert(
        bytes_equal(buf_bytes(&r.data), BYTES_LIT(MSG_ABC "\0\0\0\0\0" MSG_ABC "\0\0\0\0\3end")));
    buf_done(&r.data);
    struct raw s = raw_grpc(&w, "/t.T/Each", BYTES_LIT(MSG_ABC "\0\0\0\0\4stop" MSG_ABC));
    expect(&s, "10", "stopped by the method");
    struct raw c = raw_grpc(&w, "/t.T/Each", BYTES_LIT(MSG_ABC "\0\0\0\0\4st"));
    expect(&c, "3", "cut short");
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_answers_that_pile_up_hold_back_the_requests) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct buf body;
    buf_init(&body, (size_t)8 << 20);
    static uint8_t message[RPC_FRAME_HEAD + 5000];
    rpc_frame_head(message, 5000);
    for (int i = 0; i < 800; i++) buf_put(&body, (struct bytes){message, sizeof message});
    struct raw r = raw_grpc(&w, "/t.T/Each", buf_bytes(&body));
    raw_add(&r, "authorization", "Bearer good");
    raw_call(&r);
    ck_assert_str_eq(r.grpc_status, "0");
    ck_assert_uint_eq(r.data.len, body.len + 8);
    buf_done(&r.data);
    buf_done(&body);
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_strangers_and_known_callers_have_their_limits) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    static uint8_t message[RPC_FRAME_HEAD + ((size_t)4 << 20)];
    rpc_frame_head(message, (size_t)4 << 20);
    struct raw known = raw_grpc(&w, "/t.T/Echo", (struct bytes){message, sizeof message});
    raw_add(&known, "authorization", "Bearer good");
    raw_call(&known);
    ck_assert_str_eq(known.grpc_status, "0");
    ck_assert_uint_eq(known.data.len, sizeof message);
    buf_done(&known.data);
    rpc_frame_head(message, 100000);
    struct bytes part = {message, RPC_FRAME_HEAD + 100000};
    struct raw stranger = raw_grpc(&w, "/t.T/Echo", part);
    expect(&stranger, "8", "stranger");
    struct raw refused = raw_grpc(&w, "/t.T/Echo", part);
    raw_add(&refused, "authorization", "Bearer bad");
    expect(&refused, "16", "refused, with a body");
    ck_assert_uint_eq(service.calls, 1);
    rpc_world_close(&w);
}
END_TEST

/* --- Connect */

static const struct {
    const char *name, *path;
    struct bytes body;
    const char *field, *value;
    int status;
    const char *expect;
} connects[] = {
    {"json", "/t.T/Echo", BYTES_LIT("{\"a\":1}"), NULL, NULL, 200, "{\"a\":1}"},
    {"empty", "/t.T/Echo", {NULL, 0}, NULL, NULL, 200, ""},
    {"version", "/t.T/Echo", BYTES_LIT("{}"), "connect-protocol-version", "1", 200, "{}"},
    /* SPEC connect: "connect-protocol-version" */
    {"other version", "/t.T/Echo", BYTES_LIT("{}"), "connect-protocol-version", "2", 400,
     "{\"code\":\"invalid_argument\",\"message\":\"connect-protocol-version: only 1 is spoken\","},
    {"compressed", "/t.T/Echo", BYTES_LIT("{}"), "content-encoding", "gzip", 501, "unimplemented"},
    {"identity", "/t.T/Echo", BYTES_LIT("{}"), "content-encoding", "identity", 200, "{}"},
    {"field", "/t.T/Fail", BYTES_LIT("f"), NULL, NULL, 400, "\"type\":\"google.rpc.BadRequest\""},
    {"reason", "/t.T/Fail", BYTES_LIT("f"), NULL, NULL, 400, "\"type\":\"google.rpc.ErrorInfo\""},
    {"internal", "/t.T/Fail", BYTES_LIT("i"), NULL, NULL, 500,
     "\"internal\",\"message\":\"the ser"},
    {"queue", "/t.T/Fail", BYTES_LIT("q"), NULL, NULL, 429, "\"type\":\"google.rpc.RetryInfo\""},
    {"7 seconds", "/t.T/Fail", BYTES_LIT("w"), NULL, NULL, 429, "\"value\":\"CgIIBw\""},
    {"not found", "/t.T/Fail", BYTES_LIT("n"), NULL, NULL, 404, "\"not_found\""},
    {"no method", "/t.T/None", BYTES_LIT("{}"), NULL, NULL, 404, "\"unimplemented\""},
    {"bad timeout", "/t.T/Echo", BYTES_LIT("{}"), "connect-timeout-ms", "1s", 400, "malformed"},
    {"deadline", "/t.T/Keep", BYTES_LIT("{}"), "connect-timeout-ms", "20", 504,
     "deadline_exceeded"},
    /* SPEC rfc9110 15.5.2 */
    {"token", "/t.T/Echo", BYTES_LIT("{}"), "authorization", "Bearer x", 401, "unauthenticated"},
};

START_TEST(test_connect_unary_over_h2) {
    struct rpc_world w = {0};
    rpc_world_open(&w);
    struct raw r = {.w = &w, .path = connects[_i].path, .body = connects[_i].body};
    raw_add(&r, "content-type", "application/json");
    if (connects[_i].field != NULL) raw_add(&r, connects[_i].field, connects[_i].value);
    raw_call(&r);
    buf_put_u8(&r.data, 0);
    ck_assert_msg(
        r.status == connects[_i].status && strstr((char *)r.data.data, connects[_i].expect) != NULL,
        "%s: %d %s", connects[_i].name, r.status, (char *)r.data.data);
    ck_assert_str_eq(r.type, "application/json");
    ck_assert_uint_eq(strlen(r.id), 21);
    if (service.kept != NULL) rpc_call_finish(service.kept, NULL);
    buf_done(&r.data);
    rpc_world_close(&w);
}
END_TEST

static int plain_connect(struct rpc_world *w) {
    service = (struct service){0};
    ck_assert_ptr_null(rpc_world_serve(w)); /* without TLS: HTTP/1.1 */
    w->guard.fn = rpc_stuck;
    net_timer_start(w->loop, &w->guard, RPC_GUARD_MS);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(http_port_number(w->port)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

START_TEST(test_connect_unary_over_http11) {
    struct rpc_world w = {0};
    int fd = plain_connect(&w);
    const char *say =
        "POST /t.T/Echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        "Content-Length: 2\r\n\r\n{}"
        "POST /t.T/Fail HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n1\r\nn\r\n0\r\n\r\n"
        "POST /t.T/Echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n"
        "Content-Length: 0\r\n\r\n";
    (void)send(fd, say, strlen(say), 0);
    char c[4000] = "";
    for (size_t n = 0; strstr(c, "HTTP/1.1 415") == NULL;) { /* gRPC needs HTTP/2 */
        run_for(&w, 5);
        ssize_t got = recv(fd, c + n, sizeof c - 1 - n, MSG_DONTWAIT);
        if (got > 0) n += (size_t)got;
    }
    ck_assert_ptr_nonnull(strstr(c, "content-length: 2\r\n\r\n{}HTTP/1.1 404"));
    ck_assert_ptr_nonnull(strstr(c, "{\"code\":\"not_found\",\"message\":\"nothing there\"}HTTP"));
    (void)close(fd);
    rpc_world_close(&w);
}
END_TEST

START_TEST(test_a_call_whose_message_never_comes_ends_by_itself) {
    struct rpc_world w = {0};
    int fd = plain_connect(&w);
    const char *say =
        "POST /t.T/Echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        "Content-Length: 9\r\n\r\n{}";
    (void)send(fd, say, strlen(say), 0);
    run_for(&w, 50);
    ck_assert_uint_eq(service.observed, 0);
    (void)close(fd);
    while (service.observed == 0) run_for(&w, 5);
    ck_assert_int_eq(service.last_code, ERROR_CANCELLED);
    ck_assert_uint_eq(service.calls, 0);
    rpc_world_close(&w);
}
END_TEST

/* --- memory */

static struct error *call_once(struct rpc_world *w, struct raw *r) {
    TRY(rpc_world_serve(w));
    TRY(rpc_world_connect(w));
    const struct http_client_request q = {"POST", r->path, r->fields, r->field_count, r->body};
    struct http_client_call *k = NULL;
    buf_init(&r->data, 10000);
    return http_client_send(w->client, &q, &raw_events, r, &k);
}

START_TEST(test_survives_every_allocation_failure) {
    struct net_tls *server_tls = tls_server_good();
    struct net_tls *client_tls = tls_client("testdata/tls/ca.pem");
    const char *paths[] = {"/t.T/Echo", "/t.T/Fail", "/t.T/Each"};
    for (int i = 0; i < COUNT(paths); i++) {
        bool served = false;
        for (long n = 0; !served; n++) {
            ck_assert_int_lt(n, 3000);
            struct rpc_world w = {.server_tls = server_tls, .client_tls = client_tls};
            struct raw r = raw_grpc(&w, paths[i], BYTES_LIT("\0\0\0\0\1f"));
            (void)alloc_fail_after(n);
            CLEANUP(error_freep) struct error *err = call_once(&w, &r);
            while (err == NULL && !r.done) net_loop_run(w.loop);
            (void)alloc_fail_after(-1);
            served = !r.failed && strcmp(r.grpc_status, i == 1 ? "3" : "0") == 0 &&
                     (i != 1 || r.details[0] != '\0');
            buf_done(&r.data);
            w.server_tls = w.client_tls = NULL;
            rpc_world_close(&w);
        }
    }
    net_tls_free(server_tls);
    net_tls_free(client_tls);
}
END_TEST

static Suite *rpc_suite(void) {
    Suite *s = suite_create("rpc");
    TCase *tc = tcase_create("wire");
    tcase_add_test(tc, test_frames_come_whole_at_every_split);
    tcase_add_test(tc, test_frames_that_lie_are_refused_before_memory_is_taken);
    tcase_add_test(tc, test_timeouts_are_read_strictly);
    tcase_add_test(tc, test_messages_survive_percent_encoding);
    tcase_add_test(tc, test_only_client_faults_are_told_in_full);
    suite_add_tcase(s, tc);
    tc = tcase_create("grpc");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_unary_messages_come_back);
    tcase_add_loop_test(tc, test_calls_that_cannot_be_served_get_a_status, 0, COUNT(refusals));
    tcase_add_loop_test(tc, test_content_types_choose_the_protocol, 0, COUNT(types));
    tcase_add_test(tc, test_an_unknown_path_is_not_found_in_any_type);
    tcase_add_test(tc, test_errors_carry_reason_field_and_retry);
    tcase_add_test(tc, test_a_deadline_ends_the_call_for_the_peer_and_tells_the_handler);
    tcase_add_test(tc, test_a_unary_call_that_names_no_deadline_gets_the_servers);
    tcase_add_test(tc, test_a_reset_tells_the_handler_which_still_finishes);
    tcase_add_test(tc, test_the_memory_of_all_calls_together_has_a_bound);
    tcase_add_test(tc, test_strangers_take_no_memory_from_known_callers);
    tcase_add_test(tc, test_streams_keep_to_the_readers_pace);
    tcase_add_test(tc, test_request_streams_are_handed_on_message_by_message);
    tcase_add_test(tc, test_answers_that_pile_up_hold_back_the_requests);
    tcase_add_test(tc, test_strangers_and_known_callers_have_their_limits);
    suite_add_tcase(s, tc);
    tc = tcase_create("connect");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_connect_unary_over_h2, 0, COUNT(connects));
    tcase_add_test(tc, test_connect_unary_over_http11);
    tcase_add_test(tc, test_a_call_whose_message_never_comes_ends_by_itself);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(rpc_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
