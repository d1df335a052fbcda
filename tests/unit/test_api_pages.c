/* Suite of pkg/api: pages on the wire: what they weigh, and that they join to the whole. gRPC's
 * clients take 4 MiB unless they are told to take more. */
#include "api_world.h"
#include "codec/codec.h"

#define ATTEST "/attestd.v1.Attestations/Attest"
#define TRACE "/attestd.v1.Lineage/Trace"
#define CREATE_TOKEN "/attestd.v1.Admin/CreateToken"
#define LIST_TOKENS "/attestd.v1.Admin/ListTokens"
#define TAKEN_MAX ((size_t)4 << 20)

static struct world w;

static void setup(void) {
    w = (struct world){.open = API_OPEN_ALL, .ready = true};
    world_open(&w);
}
static void teardown(void) { world_close(&w); }

static void begin_anew(void) { /* answers are large */
    arena_done(&w.arena);
    arena_init(&w.arena, MEMORY_MAX);
}

/* --- one page: its octets as the codec writes them, and the same as JSON */

static size_t grpc_page(const char *path, const char *request, const char **out) {
    const struct msg_method *m = method_of(&w, path);
    struct bytes wire, text;
    struct ProtobufCMessage *answer = NULL;
    struct rpc_client_result r =
        call_raw(&w, w.token.text, path, wire_of(&w, m->input.data, request), &wire);
    ck_assert_msg(r.code == 0, "%d %s", r.code, r.message);
    ok(msg_unpack(w.schema, &w.arena, msg_type_by_name(w.schema, bytes_of_text(m->output)), wire,
                  &MSG_LIMITS_DEFAULT, &answer));
    ok(msg_to_json(w.schema, &w.arena, answer, &text));
    *out = (const char *)arena_copy(&w.arena, text).data;
    return wire.len;
}

static size_t connect_page(const char *path, const char *request, const char **out) {
    struct fetched f;
    *out = post_json(&w, path, w.token.text, request, &f);
    ck_assert_msg(f.status == 200, "%d", f.status);
    return strlen(*out);
}

struct sums {
    size_t items, others; /* of the two lists that are named */
    size_t heaviest;
    size_t pages;
};

/* follow asks for page after page with `request`, whose last member is to come. */
static struct sums follow(bool connect, const char *path, const char *request,
                          const char *const lists[2]) {
    struct sums s = {0};
    char token[256] = "", whole[1024];
    do {
        const char *answer;
        (void)snprintf(whole, sizeof whole, "%s,\"pageToken\":\"%s\"}", request, token);
        size_t octets = (connect ? connect_page : grpc_page)(path, whole, &answer);
        if (octets > s.heaviest) s.heaviest = octets;
        struct json_value v = parsed(&w, answer);
        s.items += json_get(&v, lists[0])->array.count;
        s.others += lists[1] == NULL ? 0 : json_get(&v, lists[1])->array.count;
        struct bytes next = json_string(json_get(&v, "nextPageToken"));
        ck_assert_uint_lt(next.len, sizeof token);
        (void)snprintf(token, sizeof token, BYTES_FMT, BYTES_ARG(next));
        s.pages++;
        begin_anew();
    } while (token[0] != '\0');
    return s;
}

/* --- lineage */

static struct buf begin_request(void) {
    struct buf b;
    buf_init_arena(&b, &w.arena, (size_t)8 << 20);
    return b;
}

static void send(struct buf *b) {
    buf_put_u8(b, 0);
    ok(buf_finish(b, "request"));
    (void)ask(&w, ATTEST, (const char *)b->data);
    begin_anew();
}

static void put_digests(struct buf *b, const char *member, unsigned first, unsigned count) {
    buf_printf(b, "\"%s\":[", member);
    for (unsigned i = 0; i < count; i++)
        buf_printf(b, "%s{\"digest\":{\"sha256\":\"%064x\"}}", i == 0 ? "" : ",", first + i);
    buf_put_u8(b, ']');
}

/* Artifacts [n, n + count) were built from [m, m + made_of). */
static void attest(unsigned n, unsigned count, unsigned m, unsigned made_of) {
    static unsigned run;
    struct buf b = begin_request();
    buf_put_u8(&b, '{');
    put_digests(&b, "subject", n, count);
    buf_printf(&b, ",\"provenance\":{\"buildType\":\"https://b.test/1\",\"invocationId\":\"%u\",",
               run++);
    put_digests(&b, "resolvedDependencies", m, made_of);
    buf_put_cstr(&b, "}}");
    send(&b);
}

/* Model `n` contains files [m, m + count), each called `name`. */
static void attest_model(unsigned n, unsigned m, unsigned count, const char *name) {
    struct buf b = begin_request();
    buf_put_u8(&b, '{');
    put_digests(&b, "subject", n, 1);
    buf_put_cstr(&b,
                 ",\"predicateType\":\"" INTOTO_MODEL_SIGNATURE_V1 "\",\"json\":{\"resources\":[");
    for (unsigned i = 0; i < count; i++)
        buf_printf(&b, "%s{\"name\":\"%s\",\"algorithm\":\"sha256\",\"digest\":\"%064x\"}",
                   i == 0 ? "" : ",", name, m + i);
    buf_put_cstr(&b, "]}}");
    send(&b);
}

static const char *const nodes_and_edges[2] = {"nodes", "edges"};

static void trace_request(unsigned n, char out[256]) {
    (void)snprintf(out, 256, "{\"digest\":\"sha256:%064x\",\"direction\":\"UP\",\"pageSize\":1000",
                   n);
}

START_TEST(test_many_edges_between_few_nodes_come_in_pages) {
    enum { RUNS = 8, SIDE = 64 };
    char request[256];
    for (unsigned i = 0; i < RUNS; i++) attest(100, SIDE, 200, SIDE);
    attest(1, 1, 100, SIDE);
    trace_request(1, request);
    for (int connect = 0; connect < 2; connect++) {
        struct sums s = follow(connect != 0, TRACE, request, nodes_and_edges);
        ck_assert_uint_eq(s.items, 1 + 2 * SIDE);
        ck_assert_uint_eq(s.others, RUNS * SIDE * SIDE + SIDE);
        ck_assert_uint_gt(s.pages, 1);
        ck_assert_uint_lt(s.heaviest, TAKEN_MAX / 4);
    }
}
END_TEST

/* Names are other people's: here of what JSON writes as six octets each. */
START_TEST(test_long_names_come_in_pages) {
    enum { MODELS = 12, FILES = 80, OCTETS = 4000 };
    char request[256];
    char *name = alloc_zero(6, OCTETS + 1);
    for (size_t i = 0; i < OCTETS; i++) memcpy(name + 6 * i, "\\u0001", 6);
    for (unsigned i = 0; i < MODELS; i++) attest_model(1, 100 + i * FILES, FILES, name);
    alloc_free(name);
    trace_request(1, request);
    for (int connect = 0; connect < 2; connect++) {
        struct sums s = follow(connect != 0, TRACE, request, nodes_and_edges);
        ck_assert_uint_eq(s.items, 1 + MODELS * FILES);
        ck_assert_uint_eq(s.others, MODELS * FILES);
        ck_assert_uint_lt(s.heaviest, connect != 0 ? TAKEN_MAX : TAKEN_MAX / 4);
    }
}
END_TEST

/* --- tokens */

/* A token with as many restrictions as there may be, of 255 octets each: 48 KiB. */
static void create_heavy_token(unsigned number) {
    static const char *const lists[] = {"predicateTypes", "environments", "subjects"};
    struct buf b = begin_request();
    buf_printf(&b, "{\"name\":\"t%u\",\"scopes\":[\"attest\",\"gate\"]", number);
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        buf_printf(&b, ",\"%s\":[", lists[k]);
        for (unsigned i = 0; i < TOKEN_LIST_MAX; i++)
            buf_printf(&b, "%s\"x:%0*u\"", i == 0 ? "" : ",", 253, i);
        buf_put_u8(&b, ']');
    }
    buf_put_cstr(&b, "}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "request"));
    (void)ask(&w, CREATE_TOKEN, (const char *)b.data);
    begin_anew();
}

START_TEST(test_tokens_with_many_restrictions_come_in_pages) {
    enum { TOKENS = 100 };
    static const char *const lists[2] = {"tokens", NULL};
    for (unsigned i = 0; i < TOKENS; i++) create_heavy_token(i);
    for (int connect = 0; connect < 2; connect++) {
        struct sums s = follow(connect != 0, LIST_TOKENS, "{\"pageSize\":1000", lists);
        ck_assert_uint_eq(s.items, TOKENS + 1);
        ck_assert_uint_gt(s.pages, 1);
        ck_assert_uint_lt(s.heaviest, TAKEN_MAX / 2);
    }
}
END_TEST

static Suite *api_pages_suite(void) {
    Suite *s = suite_create("api_pages");
    TCase *tc = tcase_create("pages");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_many_edges_between_few_nodes_come_in_pages);
    tcase_add_test(tc, test_long_names_come_in_pages);
    tcase_add_test(tc, test_tokens_with_many_restrictions_come_in_pages);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(api_pages_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
