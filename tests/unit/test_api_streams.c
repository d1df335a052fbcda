/* Streams, health, reflection, and the plain routes. */
#include <pthread.h>

#include "api_world.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

static struct world w;

static void setup(void) {
    w = (struct world){.open = API_OPEN_ALL, .ready = true};
    world_open(&w);
}
static void setup_closed(void) {
    w = (struct world){.open = 0, .ready = true};
    world_open(&w);
}
static void setup_read_only(void) {
    w = (struct world){.open = API_OPEN_ALL, .ready = true, .disk_reserve = UINT64_MAX / 2};
    world_open(&w);
}
/* Strangers' part of the total is too small for an answer; the whole is not. */
static void setup_crowded(void) {
    w = (struct world){.open = API_OPEN_ALL, .ready = true, .total_response_max = 1200};
    world_open(&w);
}
static void setup_full(void) {
    w = (struct world){.open = API_OPEN_ALL, .ready = true, .no_strangers = true};
    world_open(&w);
}
static void teardown(void) { world_close(&w); }

#define WATCH "/attestd.v1.Attestations/Watch"
#define ATTEST "/attestd.v1.Attestations/Attest"
#define CHECK "/grpc.health.v1.Health/Check"
#define HEALTH_WATCH "/grpc.health.v1.Health/Watch"
#define REFLECT "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define REFLECT_ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

static void submit(unsigned n, const char *predicate_type) {
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"subject\":[{\"digest\":{\"sha256\":\"%064x\"}}],"
                   "\"predicateType\":\"%s\",\"json\":{\"n\":%u}}",
                   n, predicate_type, n);
    (void)ask(&w, ATTEST, json);
}

/* --- a stream on a thread of its own */

struct stream {
    const char *path;
    struct bytes request;
    const char *output; /* type */
    const char *token;
    size_t stop_after; /* messages; 0: until the server ends it */
    uint32_t timeout_ms;

    pthread_t thread;
    struct arena arena;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;               /* guarded by: lock */
    struct bytes messages[512]; /* guarded by: lock */
    struct rpc_client_result result;
};

static bool on_message(void *ctx, struct bytes message) {
    struct stream *s = ctx;
    (void)pthread_mutex_lock(&s->lock);
    if (s->count < 512) s->messages[s->count] = arena_copy(&s->arena, message);
    s->count++;
    bool more = s->stop_after == 0 || s->count < s->stop_after;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
    return more;
}

static void *run_stream(void *arg) {
    struct stream *s = arg;
    struct rpc_client *c = world_client(&w, s->token);
    const struct rpc_client_request request = {
        .path = s->path, .message = s->request, .timeout_ms = s->timeout_ms};
    const struct rpc_client_each each = {on_message, s};
    struct arena own;
    arena_init(&own, 1 << 20);
    ok(rpc_client_stream(c, &own, &request, &each, &s->result));
    /* Texts live in `own`: keep what the tests look at. */
    s->result.reason = (const char *)arena_copy(&s->arena, bytes_of_cstr(s->result.reason)).data;
    s->result.message = (const char *)arena_copy(&s->arena, bytes_of_cstr(s->result.message)).data;
    arena_done(&own);
    rpc_client_free(c);
    return NULL;
}

static void stream_init(struct stream *s) {
    arena_init(&s->arena, MEMORY_MAX);
    ck_assert_int_eq(pthread_mutex_init(&s->lock, NULL), 0);
    ck_assert_int_eq(pthread_cond_init(&s->changed, NULL), 0);
}

static void stream_start(struct stream *s) {
    stream_init(s);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, run_stream, s), 0);
}

static void stream_await(struct stream *s, size_t count) {
    (void)pthread_mutex_lock(&s->lock);
    while (s->count < count) (void)pthread_cond_wait(&s->changed, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
}

static void stream_join(struct stream *s) { ck_assert_int_eq(pthread_join(s->thread, NULL), 0); }

static void stream_done(struct stream *s) {
    arena_done(&s->arena);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->changed);
}

static const char *json_of(const char *type, struct bytes wire) {
    struct ProtobufCMessage *m = NULL;
    struct bytes json;
    const struct ProtobufCMessageDescriptor *t = msg_type_by_name(w.schema, bytes_of_cstr(type));
    ok(msg_unpack(w.schema, &w.arena, t, wire, &MSG_LIMITS_DEFAULT, &m));
    ok(msg_to_json(w.schema, &w.arena, m, &json));
    return (const char *)arena_copy(&w.arena, json).data;
}

static struct stream watch_stream(const char *json, const char *token, size_t stop_after) {
    return (struct stream){.path = WATCH,
                           .request = wire_of(&w, "attestd.v1.WatchRequest", json),
                           .token = token,
                           .stop_after = stop_after};
}

static const char *watched(struct stream *s, size_t i, const char *path) {
    return at(&w, json_of("attestd.v1.WatchResponse", s->messages[i]), path);
}

/* --- Watch */

START_TEST(test_watch_sends_what_is_there_and_then_what_comes) {
    for (unsigned i = 0; i < 40; i++) submit(i, "https://t.test/v1");
    static struct stream s;
    s = watch_stream("{\"fromIndex\":10}", w.token.text, 35);
    stream_start(&s);
    stream_await(&s, 30);
    for (unsigned i = 40; i < 45; i++) submit(i, "https://t.test/v1");
    stream_join(&s);
    for (size_t i = 0; i < 35; i++) {
        char index[16];
        (void)snprintf(index, sizeof index, "%zu", i + 10);
        ck_assert_str_eq(watched(&s, i, "attestation.index"), index);
    }
    ck_assert_str_eq(watched(&s, 0, "attestation.signer"), "token:all");
    ck_assert_str_eq(watched(&s, 0, "attestation.receipt"), "");
    stream_done(&s);
}
END_TEST

START_TEST(test_watch_filters_by_predicate_type) {
    for (unsigned i = 0; i < 100; i++)
        submit(i, i % 25 == 24 ? "https://t.test/b" : "https://t.test/a");
    static struct stream s;
    s = watch_stream("{\"predicateType\":\"https://t.test/b\"}", w.token.text, 5);
    stream_start(&s);
    stream_await(&s, 4);
    submit(100, "https://t.test/a");
    submit(101, "https://t.test/b");
    stream_join(&s);
    ck_assert_str_eq(watched(&s, 3, "attestation.index"), "99");
    ck_assert_str_eq(watched(&s, 4, "attestation.index"), "101");
    stream_done(&s);
}
END_TEST

START_TEST(test_revocation_ends_a_running_stream_within_a_second) {
    struct token_text token;
    const struct principal *p = world_token(&w, "watcher", SCOPE_READ, &token);
    submit(1, "https://t.test/v1");
    static struct stream s;
    s = watch_stream("{}", token.text, 0);
    stream_start(&s);
    stream_await(&s, 1);
    uint64_t before = clock_mono_us(&clock_system);
    ok(tokens_revoke(w.tokens, TEXT_LIT("test"), p->token_id));
    stream_join(&s);
    ck_assert_uint_lt(clock_mono_us(&clock_system) - before, 1000000);
    ck_assert_int_eq(s.result.code, ERROR_UNAUTHENTICATED);
    ck_assert_str_eq(s.result.reason, "CREDENTIALS_INVALID");
    stream_done(&s);
}
END_TEST

START_TEST(test_expiry_ends_a_running_stream) {
    struct token_text token;
    (void)world_token(&w, "short", SCOPE_READ, &token);
    submit(1, "https://t.test/v1");
    static struct stream s;
    s = watch_stream("{}", token.text, 0);
    stream_start(&s);
    stream_await(&s, 1);
    atomic_fetch_add(&w.rig.now_ms, 91 * DAY_MS);
    stream_join(&s);
    ck_assert_int_eq(s.result.code, ERROR_UNAUTHENTICATED);
    stream_done(&s);
}
END_TEST

START_TEST(test_draining_ends_streams) {
    static struct stream s, h;
    s = watch_stream("{}", w.token.text, 0);
    h = (struct stream){.path = HEALTH_WATCH,
                        .request = wire_of(&w, "grpc.health.v1.HealthCheckRequest", "{}")};
    submit(1, "https://t.test/v1");
    stream_start(&s);
    stream_start(&h);
    stream_await(&s, 1);
    stream_await(&h, 1);
    api_drain(w.api);
    stream_join(&s);
    stream_join(&h);
    ck_assert_int_eq(s.result.code, ERROR_UNAVAILABLE);
    ck_assert_str_eq(s.result.reason, "SHUTTING_DOWN");
    ck_assert_int_eq(h.result.code, ERROR_UNAVAILABLE);
    ck_assert_uint_eq(h.count, 2);
    ck_assert_str_eq(at(&w, json_of("grpc.health.v1.HealthCheckResponse", h.messages[1]), "status"),
                     "NOT_SERVING");
    stream_done(&s);
    stream_done(&h);
}
END_TEST

START_TEST(test_watchers_that_go_away_leave_the_log_alone) {
    submit(1, "https://t.test/v1");
    for (unsigned i = 0; i < 20; i++) {
        static struct stream s;
        s = watch_stream("{}", w.token.text, 1);
        stream_start(&s);
        submit(100 + i, "https://t.test/v1"); /* rounds while it ends */
        stream_join(&s);
        stream_done(&s);
    }
    submit(2, "https://t.test/v1");
}
END_TEST

START_TEST(test_a_watch_past_its_deadline_ends) {
    static struct stream s;
    s = watch_stream("{}", w.token.text, 0);
    s.timeout_ms = 200;
    stream_start(&s);
    stream_join(&s);
    ck_assert_int_eq(s.result.code, ERROR_DEADLINE_EXCEEDED);
    submit(2, "https://t.test/v1");
    stream_done(&s);
}
END_TEST

START_TEST(test_a_watch_from_beyond_the_end_waits) {
    submit(0, "https://t.test/v1");
    static struct stream s;
    s = watch_stream("{\"fromIndex\":2}", w.token.text, 1);
    stream_start(&s);
    submit(1, "https://t.test/v1");
    submit(2, "https://t.test/v1");
    stream_join(&s);
    ck_assert_str_eq(watched(&s, 0, "attestation.index"), "2");
    stream_done(&s);
}
END_TEST

/* submit_large logs a statement of 1,024 subjects: more than 150 KB in a watch. */
static void submit_large(unsigned n) {
    struct buf b;
    buf_init(&b, (size_t)1 << 20);
    buf_put_cstr(&b, "{\"predicateType\":\"https://t.test/v1\",\"json\":{},\"subject\":[");
    for (unsigned i = 0; i < 1024; i++) {
        buf_printf(&b, "%s{\"name\":\"%0*u\",\"digest\":{\"sha256\":\"%064x\"}}", i == 0 ? "" : ",",
                   64, i, n * 1024 + i);
    }
    buf_put_cstr(&b, "]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "request"));
    (void)ask(&w, ATTEST, (const char *)b.data);
    buf_done(&b);
}

/* submit_annotated logs a statement whose annotations decode to some thirty times their octets. */
static void submit_annotated(unsigned n) {
    struct buf b;
    buf_init(&b, (size_t)1 << 20);
    buf_printf(&b,
               "{\"predicateType\":\"https://t.test/v1\",\"json\":{},\"subject\":[{\"digest\":"
               "{\"sha256\":\"%064x\"},\"annotations\":{\"a\":[0",
               n);
    for (unsigned i = 1; i < 50000; i++) buf_put_cstr(&b, ",0");
    buf_put_cstr(&b, "]}}]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "request"));
    (void)ask(&w, ATTEST, (const char *)b.data);
    buf_done(&b);
}

START_TEST(test_large_annotations_do_not_end_a_watch) {
    enum { ALL = 16 };
    static struct stream s;
    for (unsigned i = 0; i < ALL; i++) submit_annotated(i);
    s = watch_stream("{}", w.token.text, ALL);
    stream_start(&s);
    stream_join(&s);
    ck_assert_uint_eq(s.count, ALL);
    stream_done(&s);
}
END_TEST

START_TEST(test_a_slow_reader_is_waited_for_and_misses_nothing) {
    enum { LARGE = 120, ALL = LARGE + 40 }; /* over 16 MiB: what a response may have waiting */
    static struct stream s;
    for (unsigned i = 0; i < LARGE; i++) submit_large(i);
    s = watch_stream("{}", w.token.text, ALL);
    stream_init(&s);
    (void)pthread_mutex_lock(&s.lock); /* the reader stops at its first message */
    ck_assert_int_eq(pthread_create(&s.thread, NULL, run_stream, &s), 0);
    for (unsigned i = LARGE; i < ALL; i++) submit(i, "https://t.test/v1"); /* others are served */
    (void)pthread_mutex_unlock(&s.lock);
    stream_join(&s);
    ck_assert_uint_eq(s.count, ALL);
    for (size_t i = LARGE; i < ALL; i++) {
        char index[16];
        (void)snprintf(index, sizeof index, "%zu", i);
        ck_assert_str_eq(watched(&s, i, "attestation.index"), index);
    }
    stream_done(&s);
}
END_TEST

/* --- health */

static const char *health(const char *service) {
    char json[128];
    const char *answer = NULL;
    (void)snprintf(json, sizeof json, "{\"service\":\"%s\"}", service);
    struct rpc_client_result r = call(&w, NULL, CHECK, json, &answer);
    if (r.code == ERROR_NOT_FOUND) return "NOT_FOUND";
    ck_assert_int_eq(r.code, 0);
    return at(&w, answer, "status");
}

START_TEST(test_health_by_service) {
    static const char *const serving[] = {"",
                                          "attestd.v1.Attestations",
                                          "attestd.v1.Gate",
                                          "attestd.v1.Log",
                                          "attestd.v1.Trust",
                                          "attestd.v1.Lineage",
                                          "attestd.v1.Admin",
                                          "grpc.health.v1.Health",
                                          "grpc.reflection.v1.ServerReflection"};
    for (size_t i = 0; i < sizeof serving / sizeof *serving; i++)
        ck_assert_str_eq(health(serving[i]), "SERVING");
    static const char *const unknown[] = {"Gate", "attestd.v1", "attestd.v1.Gate.Decide", "x"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        ck_assert_str_eq(health(unknown[i]), "NOT_FOUND");
}
END_TEST

START_TEST(test_health_while_read_only) {
    ck_assert_str_eq(health(""), "NOT_SERVING");
    ck_assert_str_eq(health("attestd.v1.Attestations"), "NOT_SERVING");
    ck_assert_str_eq(health("attestd.v1.Gate"), "NOT_SERVING");
    ck_assert_str_eq(health("attestd.v1.Log"), "SERVING");
    ck_assert_str_eq(health("attestd.v1.Trust"), "SERVING");
    ck_assert_str_eq(health("attestd.v1.Lineage"), "SERVING");
    const char *question = "{\"subject\":{\"digest\":{\"sha256\":\"ab\"}},\"dryRun\":true}";
    struct rpc_client_result r = call(&w, w.token.text, "/attestd.v1.Gate/Decide", question, NULL);
    ck_assert_int_ne(r.code, 0);
    struct fetched f;
    fetch(&w, w.ops_port, "/readyz", NULL, &f);
    ck_assert_int_eq(f.status, 503);
    ck_assert_ptr_nonnull(strstr(body_of(&w, &f), "log: "));
}
END_TEST

START_TEST(test_health_watch_tells_the_state_at_once) {
    static const char *const services[][2] = {{"{}", "SERVING"},
                                              {"{\"service\":\"x\"}", "SERVICE_UNKNOWN"}};
    for (size_t i = 0; i < 2; i++) {
        static struct stream s;
        s = (struct stream){
            .path = HEALTH_WATCH,
            .request = wire_of(&w, "grpc.health.v1.HealthCheckRequest", services[i][0]),
            .stop_after = 1};
        stream_start(&s);
        stream_join(&s);
        const char *json = json_of("grpc.health.v1.HealthCheckResponse", s.messages[0]);
        ck_assert_str_eq(at(&w, json, "status"), services[i][1]);
        stream_done(&s);
    }
}
END_TEST

/* --- reflection */

/* reflect sends messages one after another in one body, and gives the answers as JSON. */
static size_t reflect(const char *path, const char *const *requests, size_t count,
                      const char *answers[8]) {
    struct buf body;
    buf_init_arena(&body, &w.arena, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        struct bytes wire = wire_of(&w, "grpc.reflection.v1.ServerReflectionRequest", requests[i]);
        buf_put_u8(&body, 0);
        buf_put_u32be(&body, (uint32_t)wire.len);
        buf_put(&body, wire);
    }
    const struct http_field fields[] = {HTTP_FIELD("content-type", BYTES_LIT("application/grpc")),
                                        HTTP_FIELD("te", BYTES_LIT("trailers"))};
    const struct http_client_request request = {.method = "POST",
                                                .path = path,
                                                .fields = fields,
                                                .field_count = 2,
                                                .body = buf_bytes(&body)};
    struct fetched f;
    fetch_request(&w, w.port, &request, &f);
    ck_assert_str_eq(f.message, "0");
    struct reader r = reader_of(buf_bytes(&f.body));
    size_t n = 0;
    while (r.rest.len > 0 && n < 8) {
        ck_assert_uint_eq(reader_u8(&r, "flag"), 0);
        uint32_t len = reader_u32be(&r, "length");
        answers[n++] =
            json_of("grpc.reflection.v1.ServerReflectionResponse", reader_take(&r, len, "message"));
    }
    ok(reader_finish(&r, "body"));
    buf_done(&f.body);
    return n;
}

START_TEST(test_reflection_answers_each_message_in_turn) {
    static const char *const requests[] = {
        "{\"listServices\":\"\"}",
        "{\"host\":\"h\",\"fileContainingSymbol\":\"attestd.v1.Gate\"}",
        "{\"fileByFilename\":\"google/rpc/status.proto\"}",
        "{\"fileByFilename\":\"none.proto\"}",
        "{\"fileContainingExtension\":{\"containingType\":\"x\",\"extensionNumber\":1}}",
        "{\"allExtensionNumbersOfType\":\"attestd.v1.Edge\"}",
        "{\"allExtensionNumbersOfType\":\"attestd.v1.None\"}",
        "{}",
    };
    static const char *const paths[] = {REFLECT, REFLECT_ALPHA};
    for (size_t p = 0; p < 2; p++) {
        const char *a[8];
        ck_assert_uint_eq(reflect(paths[p], requests, 8, a), 8);
        ck_assert_uint_eq(length_at(&w, a[0], "listServicesResponse.service"), 9);
        ck_assert_str_eq(at(&w, a[0], "listServicesResponse.service.0.name"), "attestd.v1.Admin");
        ck_assert_str_eq(at(&w, a[1], "originalRequest.fileContainingSymbol"), "attestd.v1.Gate");
        ck_assert_str_eq(at(&w, a[1], "validHost"), "h");
        ck_assert_uint_eq(length_at(&w, a[1], "fileDescriptorResponse.fileDescriptorProto"), 6);
        ck_assert_uint_eq(length_at(&w, a[2], "fileDescriptorResponse.fileDescriptorProto"), 2);
        ck_assert_ptr_nonnull(strstr(a[3], "\"errorCode\":5"));
        ck_assert_ptr_nonnull(strstr(a[4], "\"errorCode\":5"));
        ck_assert_str_eq(at(&w, a[5], "allExtensionNumbersResponse.baseTypeName"),
                         "attestd.v1.Edge");
        ck_assert_ptr_nonnull(strstr(a[6], "\"errorCode\":5"));
        ck_assert_ptr_nonnull(strstr(a[7], "\"errorCode\":3"));
    }
}
END_TEST

/* --- plain GET */

START_TEST(test_the_checkpoint_and_tiles_are_anyones) {
    struct fetched f;
    fetch(&w, w.port, "/checkpoint", NULL, &f);
    ck_assert_int_eq(f.status, 200); /* of an empty log, too */
    ck_assert_ptr_nonnull(strstr(body_of(&w, &f), RIG_ORIGIN "\n0\n"));
    for (unsigned i = 0; i < 3; i++) submit(i, "https://t.test/v1");
    fetch(&w, w.port, "/checkpoint", NULL, &f);
    ck_assert_str_eq(f.content_type, "text/plain; charset=utf-8");
    ck_assert_str_eq(f.cache, "no-cache");
    ck_assert_ptr_nonnull(strstr(body_of(&w, &f), RIG_ORIGIN "\n3\n"));

    fetch(&w, w.port, "/tile/0/000.p/3", NULL, &f);
    ck_assert_int_eq(f.status, 200);
    ck_assert_str_eq(f.content_type, "application/octet-stream");
    ck_assert_ptr_nonnull(strstr(f.cache, "immutable"));
    ck_assert_uint_eq(f.body.len, 96);
    buf_done(&f.body);
    fetch(&w, w.port, "/tile/entries/000.p/3", NULL, &f);
    ck_assert_int_eq(f.status, 200);
    struct reader r = reader_of(buf_bytes(&f.body));
    for (unsigned i = 0; i < 3; i++) (void)reader_take(&r, reader_u16be(&r, "length"), "leaf");
    ok(reader_finish(&r, "bundle"));
    buf_done(&f.body);

    static const char *const missing[] = {"/tile/0/000", "/tile/0/000.p/4", "/tile/1/000.p/1",
                                          "/tile/",      "/tile/x",         "/tile/0/0",
                                          "/checkpoints"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        fetch(&w, w.port, missing[i], NULL, &f);
        ck_assert_msg(f.status == 404, "%s: %d", missing[i], f.status);
        buf_done(&f.body);
    }
}
END_TEST

/* SPEC rfc9110 10.2.1: Allow "lists the set of methods advertised as supported by the target
 * resource". */
START_TEST(test_a_405_names_the_methods_of_its_resource) {
    static const struct {
        const char *method, *path;
        int status;
        const char *allow;
    } asked[] = {
        {"GET", ATTEST, 405, "POST"},          {"PUT", ATTEST, 405, "POST"},
        {"OPTIONS", ATTEST, 405, "POST"},      {"POST", "/checkpoint", 405, "GET"},
        {"DELETE", "/checkpoint", 405, "GET"}, {"PUT", "/tile/0/000", 405, "GET"},
        {"PUT", "/nowhere", 404, ""},          {"POST", "/nowhere", 404, ""},
        {"HEAD", "/nowhere", 404, ""},         {"HEAD", "/checkpoint", 200, ""},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const struct http_client_request request = {.method = asked[i].method,
                                                    .path = asked[i].path};
        struct fetched f;
        fetch_request(&w, w.port, &request, &f);
        ck_assert_msg(f.status == asked[i].status && strcmp(f.allow, asked[i].allow) == 0,
                      "%s %s: %d, allow: %s", asked[i].method, asked[i].path, f.status, f.allow);
        buf_done(&f.body);
    }
}
END_TEST

START_TEST(test_trust_files_are_those_of_the_rpc) {
    const char *trust = ask(&w, "/attestd.v1.Trust/GetTrust", "{}");
    static const char *const files[][3] = {
        {"/trusted_root.json", "trustedRoot", "application/json"},
        {"/signing-keys.json", "signingKeys", "application/json"},
        {"/signing-key.pem", "signingKeyPem", "application/x-pem-file"}};
    for (size_t i = 0; i < 3; i++) {
        struct fetched f;
        fetch(&w, w.port, files[i][0], NULL, &f);
        ck_assert_int_eq(f.status, 200);
        ck_assert_str_eq(f.content_type, files[i][2]);
        ck_assert_str_eq(body_of(&w, &f), at(&w, trust, files[i][1]));
    }
}
END_TEST

static const char *const closable[] = {"/checkpoint", "/tile/0/000.p/1", "/trusted_root.json",
                                       "/signing-keys.json", "/signing-key.pem"};

START_TEST(test_what_is_closed_asks_for_a_token_that_may_read) {
    submit(1, "https://t.test/v1");
    struct token_text attest;
    (void)world_token(&w, "a", SCOPE_ATTEST, &attest);
    for (size_t i = 0; i < sizeof closable / sizeof *closable; i++) {
        const char *const tokens[] = {NULL, "x", attest.text, w.token.text};
        static const int status[] = {401, 401, 403, 200};
        for (size_t k = 0; k < 4; k++) {
            struct fetched f;
            fetch(&w, w.port, closable[i], tokens[k], &f);
            ck_assert_msg(f.status == status[k], "%s: %d", closable[i], f.status);
            buf_done(&f.body);
        }
    }
    static const char *const rpcs[] = {CHECK, "/attestd.v1.Log/GetCheckpoint",
                                       "/attestd.v1.Trust/GetTrust"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(call(&w, NULL, rpcs[i], "{}", NULL).code, ERROR_UNAUTHENTICATED);
        ck_assert_int_eq(call(&w, w.token.text, rpcs[i], "{}", NULL).code, 0);
    }
    struct bytes out;
    ck_assert_int_eq(call_raw(&w, NULL, REFLECT, BYTES_LIT(""), &out).code, ERROR_UNAUTHENTICATED);
}
END_TEST

/* A health check of 20,000 octets is more than a stranger may send, and no more than a caller may.
 */
START_TEST(test_a_known_caller_is_no_stranger_where_anybody_may_come) {
    static char json[20100];
    struct token_text none, revoked;
    (void)world_token(&w, "none", SCOPE_ATTEST, &none); /* no scope is asked for there */
    const struct principal *gone = world_token(&w, "gone", SCOPES_ALL, &revoked);
    ok(tokens_revoke(w.tokens, TEXT_LIT("test"), gone->token_id));
    (void)snprintf(json, sizeof json, "{\"service\":\"%020000d\"}", 0);
    const char *const strangers[] = {NULL, "x", revoked.text};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(call(&w, strangers[i], CHECK, json, NULL).code, ERROR_RESOURCE_EXHAUSTED);
        ck_assert_int_eq(call(&w, strangers[i], CHECK, "{}", NULL).code, 0);
    }
    ck_assert_int_eq(call(&w, none.text, CHECK, json, NULL).code, ERROR_NOT_FOUND);
}
END_TEST

START_TEST(test_a_known_reader_is_no_stranger) {
    struct fetched f;
    fetch(&w, w.port, "/signing-keys.json", w.token.text, &f);
    ck_assert_int_eq(f.status, 200);
    ck_assert_uint_gt(f.body.len, w.total_response_max / 4);
    buf_done(&f.body);
}
END_TEST

START_TEST(test_one_stranger_too_many_is_refused_and_a_known_caller_is_not) {
    static const char *const rpcs[] = {CHECK, "/attestd.v1.Trust/GetTrust"};
    static const char *const paths[] = {"/checkpoint", "/trusted_root.json", "/tile/0/000.p/1"};
    submit(1, "https://t.test/v1");
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(call(&w, NULL, rpcs[i], "{}", NULL).code, ERROR_RESOURCE_EXHAUSTED);
        ck_assert_int_eq(call(&w, w.token.text, rpcs[i], "{}", NULL).code, 0);
    }
    for (size_t i = 0; i < 3; i++) {
        struct fetched f;
        fetch(&w, w.port, paths[i], NULL, &f);
        ck_assert_int_eq(f.status, 503);
        buf_done(&f.body);
        fetch(&w, w.port, paths[i], w.token.text, &f);
        ck_assert_int_eq(f.status, 200);
        buf_done(&f.body);
    }
}
END_TEST

/* --- ops */

START_TEST(test_the_ops_port_tells_how_it_is) {
    struct fetched f;
    (void)ask(&w, CHECK, "{}");
    fetch(&w, w.ops_port, "/healthz", NULL, &f);
    ck_assert_int_eq(f.status, 200);
    buf_done(&f.body);
    fetch(&w, w.ops_port, "/readyz", NULL, &f);
    ck_assert_int_eq(f.status, 200);
    ck_assert_str_eq(body_of(&w, &f), "policies: as asked\nready\n");
    w.ready = false;
    fetch(&w, w.ops_port, "/readyz", NULL, &f);
    ck_assert_int_eq(f.status, 503);
    ck_assert_str_eq(body_of(&w, &f), "policies: as asked\nnot ready\n");
    w.ready = true;
    api_drain(w.api);
    fetch(&w, w.ops_port, "/readyz", NULL, &f);
    ck_assert_int_eq(f.status, 503);
    buf_done(&f.body);
    fetch(&w, w.ops_port, "/metrics", NULL, &f);
    ck_assert_str_eq(f.content_type, "text/plain; version=0.0.4; charset=utf-8");
    const char *metrics = body_of(&w, &f);
    ck_assert_ptr_nonnull(
        strstr(metrics, "attestd_rpc_requests_total{method=\"grpc.health.v1.Health/Check\""));
    /* The ops routes are not the service's, and the other way round. */
    fetch(&w, w.port, "/metrics", NULL, &f);
    ck_assert_int_ne(f.status, 200);
    buf_done(&f.body);
    fetch(&w, w.ops_port, "/checkpoint", NULL, &f);
    ck_assert_int_eq(f.status, 404);
    buf_done(&f.body);
}
END_TEST

static Suite *streams_suite(void) {
    Suite *s = suite_create("api_streams");
    TCase *tc = tcase_create("open");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_watch_sends_what_is_there_and_then_what_comes);
    tcase_add_test(tc, test_watch_filters_by_predicate_type);
    tcase_add_test(tc, test_revocation_ends_a_running_stream_within_a_second);
    tcase_add_test(tc, test_expiry_ends_a_running_stream);
    tcase_add_test(tc, test_draining_ends_streams);
    tcase_add_test(tc, test_watchers_that_go_away_leave_the_log_alone);
    tcase_add_test(tc, test_a_watch_past_its_deadline_ends);
    tcase_add_test(tc, test_a_watch_from_beyond_the_end_waits);
    tcase_add_test(tc, test_large_annotations_do_not_end_a_watch);
    tcase_add_test(tc, test_a_slow_reader_is_waited_for_and_misses_nothing);
    tcase_add_test(tc, test_health_by_service);
    tcase_add_test(tc, test_health_watch_tells_the_state_at_once);
    tcase_add_test(tc, test_reflection_answers_each_message_in_turn);
    tcase_add_test(tc, test_the_checkpoint_and_tiles_are_anyones);
    tcase_add_test(tc, test_a_405_names_the_methods_of_its_resource);
    tcase_add_test(tc, test_trust_files_are_those_of_the_rpc);
    tcase_add_test(tc, test_a_known_caller_is_no_stranger_where_anybody_may_come);
    tcase_add_test(tc, test_the_ops_port_tells_how_it_is);
    suite_add_tcase(s, tc);
    TCase *closed = tcase_create("closed");
    tcase_add_checked_fixture(closed, setup_closed, teardown);
    tcase_set_timeout(closed, 120);
    tcase_add_test(closed, test_what_is_closed_asks_for_a_token_that_may_read);
    suite_add_tcase(s, closed);
    TCase *read_only = tcase_create("read-only");
    tcase_add_checked_fixture(read_only, setup_read_only, teardown);
    tcase_set_timeout(read_only, 120);
    tcase_add_test(read_only, test_health_while_read_only);
    suite_add_tcase(s, read_only);
    TCase *crowded = tcase_create("crowded");
    tcase_add_checked_fixture(crowded, setup_crowded, teardown);
    tcase_set_timeout(crowded, 120);
    tcase_add_test(crowded, test_a_known_reader_is_no_stranger);
    suite_add_tcase(s, crowded);
    TCase *full = tcase_create("full");
    tcase_add_checked_fixture(full, setup_full, teardown);
    tcase_set_timeout(full, 120);
    tcase_add_test(full, test_one_stranger_too_many_is_refused_and_a_known_caller_is_not);
    suite_add_tcase(s, full);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(streams_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
