/* client: a server that lies. It has the log's true keys, and answers with receipts, summaries,
 * checkpoints and proofs that are sound by themselves but not what was asked: nothing of it may
 * come out as exit 0. Each command is shown to be content with the truth first. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tools/log_fixture.h"
#include "client/client.h"
#include "codec/codec.h"
#include "intoto/intoto.h"
#include "msg/msg.h"
#include "rpc/rpc.h"
#include "tls_support.h"

#define OK(expr) ck_assert_ptr_null(expr)
#define SHA_HI "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4" /* of "hi" */
#define SHA_NO "0000000000000000000000000000000000000000000000000000000000000000"

/* --- the liar: one prepared answer a method */
enum { ATTEST, GET, DECIDE, TRUST, CHECKPOINT, INCLUSION, CONSISTENCY, METHODS };

static const char *const types[METHODS] = {
    "attestd.v1.AttestResponse",
    "attestd.v1.GetResponse",
    "attestd.v1.DecideResponse",
    "attestd.v1.GetTrustResponse",
    "attestd.v1.GetCheckpointResponse",
    "attestd.v1.GetInclusionProofResponse",
    "attestd.v1.GetConsistencyProofResponse",
};

static struct {
    pthread_mutex_t lock;
    struct bytes answers[METHODS]; /* guarded by: lock */
    struct msg_schema *schema;
    struct net_loop *loop;
    struct net_thread *thread;
    struct rpc_server *rpc;
    struct http_server *http;
    struct http_port *port;
    struct net_tls *tls;
    struct net_budget budget;
} liar = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void answer(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    (void)message;
    (void)pthread_mutex_lock(&liar.lock);
    rpc_call_send(call, liar.answers[rpc_call_method(call)->cookie]);
    (void)pthread_mutex_unlock(&liar.lock);
    rpc_call_finish(call, NULL);
}

static struct error *let_in(void *ctx, struct rpc_call *call, const struct rpc_method *m) {
    (void)ctx;
    (void)m;
    rpc_call_set_user(call, &liar);
    return NULL;
}

static void observe(void *ctx, struct rpc_call *call, const struct rpc_method *m,
                    const struct error *err, uint64_t micros) {
    (void)ctx;
    (void)call;
    (void)m;
    (void)err;
    (void)micros;
}

static const struct rpc_method methods[METHODS] = {
    {.path = "/attestd.v1.Attestations/Attest", .handle = answer, .cookie = ATTEST},
    {.path = "/attestd.v1.Attestations/Get", .handle = answer, .cookie = GET},
    {.path = "/attestd.v1.Gate/Decide", .handle = answer, .cookie = DECIDE},
    {.path = "/attestd.v1.Trust/GetTrust", .handle = answer, .cookie = TRUST},
    {.path = "/attestd.v1.Log/GetCheckpoint", .handle = answer, .cookie = CHECKPOINT},
    {.path = "/attestd.v1.Log/GetInclusionProof", .handle = answer, .cookie = INCLUSION},
    {.path = "/attestd.v1.Log/GetConsistencyProof", .handle = answer, .cookie = CONSISTENCY},
};

static void serve(void) {
    const struct rpc_options options = {.methods = methods,
                                        .method_count = METHODS,
                                        .authenticate = let_in,
                                        .observe = observe,
                                        .message_max = (size_t)4 << 20,
                                        .arena_max = (size_t)16 << 20,
                                        .memory_max = (size_t)512 << 20,
                                        .deadline_default_ms = 30000};
    liar.tls = tls_server_good();
    OK(net_loop_new(&liar.loop));
    OK(rpc_server_new(&options, &liar.rpc));
    const struct http_route routes[] = {{"POST", "/", true, rpc_server_handler(liar.rpc)}};
    OK(http_server_new(&http_limits_default, routes, 1, &liar.http));
    liar.budget.max = 100;
    const struct net_listen_options listen = {.address = "127.0.0.1",
                                              .tls = liar.tls,
                                              .budget = &liar.budget,
                                              .handshake_timeout_ms = 5000,
                                              .idle_timeout_ms = 60000,
                                              .stall_timeout_ms = 20000};
    OK(http_port_open(liar.http, liar.loop, &listen, &liar.port));
    char server[64];
    (void)snprintf(server, sizeof server, "https://localhost:%u", http_port_number(liar.port));
    (void)setenv("ATTEST_SERVER", server, 1);
    (void)setenv("ATTEST_CA", "testdata/tls/ca.pem", 1);
    OK(net_thread_start(liar.loop, &liar.thread));
}

static void stop(void) {
    net_loop_stop(liar.loop);
    net_thread_join(liar.thread);
    http_port_free(liar.port);
    net_loop_free(liar.loop);
    http_server_free(liar.http);
    rpc_server_free(liar.rpc);
    net_tls_free(liar.tls);
}

/* --- what it says: JSON, made into a message */
static struct fixture fx;
static char folder[] = "/tmp/test-liar.XXXXXX";

static void json_begin(struct json_writer *w, struct buf *b) {
    buf_init_arena(b, &fx.arena, 1 << 20);
    *w = json_writer_of(b);
    json_object_begin(w);
}

static void say(int method, struct buf *json, struct json_writer *w) {
    struct ProtobufCMessage *m = NULL;
    struct bytes wire;
    json_object_end(w);
    OK(buf_finish(json, "json"));
    const struct ProtobufCMessageDescriptor *type =
        msg_type_by_name(liar.schema, bytes_of_cstr(types[method]));
    ck_assert_ptr_nonnull(type);
    OK(msg_from_json(liar.schema, &fx.arena, type, buf_bytes(json), &m));
    OK(msg_pack(&fx.arena, m, &wire));
    (void)pthread_mutex_lock(&liar.lock);
    liar.answers[method] = wire;
    (void)pthread_mutex_unlock(&liar.lock);
}

static void put(struct json_writer *w, const char *key, struct bytes value) {
    json_key(w, key);
    json_put_string(w, value);
}

static void put_octets(struct json_writer *w, const char *key, struct bytes value) {
    json_key(w, key);
    json_put_base64(w, value);
}

static void put_number(struct json_writer *w, const char *key, uint64_t value) {
    json_key(w, key);
    json_put_u64_string(w, value);
}

static struct bytes receipt_of(size_t entry, size_t size) {
    struct bundle_receipt r;
    struct buf text;
    OK(fixture_receipt(&fx, entry, size, &r));
    buf_init_arena(&text, &fx.arena, 1 << 20);
    bundle_put_receipt(&text, &r);
    return buf_bytes(&text);
}

static void say_attested(uint64_t index, struct bytes receipt) {
    struct json_writer w;
    struct buf b;
    json_begin(&w, &b);
    put_number(&w, "index", index);
    put_number(&w, "treeSize", fx.count);
    put(&w, "receipt", receipt);
    say(ATTEST, &b, &w);
}

static void say_got(uint64_t index, const char *type, struct bytes receipt) {
    struct json_writer w;
    struct buf b;
    json_begin(&w, &b);
    json_key(&w, "attestation");
    json_object_begin(&w);
    put_number(&w, "index", index);
    put(&w, "predicateType", bytes_of_cstr(type));
    put(&w, "receipt", receipt);
    json_object_end(&w);
    say(GET, &b, &w);
}

static void say_decided(const char *decision, uint64_t index, struct bytes receipt) {
    struct json_writer w;
    struct buf b;
    json_begin(&w, &b);
    put(&w, "decision", bytes_of_cstr(decision));
    put_number(&w, "index", index);
    put(&w, "receipt", receipt);
    say(DECIDE, &b, &w);
}

static void say_trust(void) {
    struct trust_source source = fixture_trust(&fx);
    struct json_writer w;
    struct buf b, root, keys;
    buf_init_arena(&root, &fx.arena, 1 << 20);
    buf_init_arena(&keys, &fx.arena, 1 << 20);
    trust_put_root(&root, &source);
    trust_put_signing_keys(&keys, &source);
    json_begin(&w, &b);
    put(&w, "trustedRoot", buf_bytes(&root));
    put(&w, "signingKeyPem", public_key_pem(fixture_public(&fx, FIXTURE_ATTESTATION)));
    put(&w, "signingKeys", buf_bytes(&keys));
    say(TRUST, &b, &w);
}

/* A C2SP checkpoint, signed under the log's name whatever its first line says. */
static struct bytes c2sp(const char *origin, uint64_t size, const struct sha256 *root) {
    struct buf body;
    struct signature sig;
    struct bytes name = BYTES_LIT(FIXTURE_ORIGIN);
    buf_init_arena(&body, &fx.arena, 4096);
    checkpoint_put_body(&body, bytes_of_cstr(origin), size, root);
    OK(signing_key_sign(fx.keys[FIXTURE_LOG_C2SP], buf_bytes(&body), &sig));
    struct sha256 id =
        note_log_id_ed25519(name, public_key_raw(fixture_public(&fx, FIXTURE_LOG_C2SP)));
    note_put_signature(&body, true, name, note_hint(&id), signature_bytes(&sig));
    OK(buf_finish(&body, "note"));
    return buf_bytes(&body);
}

static void say_checkpoint_of(struct bytes note, uint64_t v1_size, const struct sha256 *v1_root) {
    struct json_writer w;
    struct buf b;
    struct bytes v1;
    OK(fixture_checkpoint(&fx, FIXTURE_CHECKPOINT_ORIGIN, v1_size, v1_root, &v1));
    json_begin(&w, &b);
    put(&w, "checkpoint", note);
    put(&w, "checkpointV1", v1);
    put_number(&w, "treeSize", fx.count);
    say(CHECKPOINT, &b, &w);
}

static void say_checkpoint(struct bytes note, uint64_t v1_size) {
    struct sha256 root = fixture_root(&fx, v1_size);
    say_checkpoint_of(note, v1_size, &root);
}

/* The proof of `entry` in the tree of `size`, its first `drop` hashes left out, that says it is of
 * `said`. */
static void say_inclusion(size_t entry, size_t size, struct bytes note, size_t drop, size_t said) {
    struct merkle_source source = {fixture_source, &fx};
    struct merkle_proof proof;
    struct json_writer w;
    struct buf b;
    OK(merkle_prove_inclusion(&source, entry, size, &proof));
    json_begin(&w, &b);
    put_octets(&w, "leafHash", sha256_bytes(&fx.entries[entry].leaf_hash));
    json_key(&w, "hashes");
    json_array_begin(&w);
    for (size_t i = drop; i < proof.count; i++) json_put_base64(&w, sha256_bytes(&proof.hashes[i]));
    json_array_end(&w);
    put_number(&w, "treeSize", said);
    put(&w, "checkpoint", note);
    say(INCLUSION, &b, &w);
}

/* --- the log: 0 about "hi", 1 about something else, 2 a passed summary, 3 a failed one, 4 a passed
 * one about something else */
#define SUBJECT(digest)                                                                            \
    "\"subject\":[{\"annotations\":{\"attestd_submitter\":{\"method\":\"token\",\"principal\":"    \
    "\"token:ci\"}},\"digest\":{\"sha256\":\"" digest "\"},\"name\":\"a\"}]"
#define STATEMENT(digest)                                                                          \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{},\"predicateType\":"           \
    "\"https://p.example/v1\"," SUBJECT(digest) "}"
#define SUMMARY(digest, result)                                                                    \
    "{\"_type\":\"https://in-toto.io/Statement/"                                                   \
    "v1\",\"predicate\":{\"verificationResult\":\"" result                                         \
    "\"},\"predicateType\":\"" INTOTO_VSA_V1 "\"," SUBJECT(digest) "}"

static const char *path_in(const char *name) {
    static char paths[4][256];
    static unsigned next;
    char *p = paths[next++ % 4];
    (void)snprintf(p, 256, "%s/%s", folder, name);
    return p;
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(path_in(name), "wb");
    ck_assert_ptr_nonnull(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static void setup(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)setenv("XDG_STATE_HOME", folder, 1);
    (void)setenv("XDG_CONFIG_HOME", folder, 1);
    (void)unsetenv("ATTEST_CONFIG");
    (void)unsetenv("ATTEST_TOKEN_FILE");
    OK(fixture_init(&fx));
    OK(msg_schema_new(&liar.schema));
    int64_t at = FIXTURE_START_S + 60;
    OK(fixture_add(&fx, FIXTURE_ATTESTATION, BYTES_LIT(STATEMENT(SHA_HI)), at));
    OK(fixture_add(&fx, FIXTURE_ATTESTATION, BYTES_LIT(STATEMENT(SHA_NO)), at));
    OK(fixture_add(&fx, FIXTURE_DECISION, BYTES_LIT(SUMMARY(SHA_HI, "PASSED")), at));
    OK(fixture_add(&fx, FIXTURE_DECISION, BYTES_LIT(SUMMARY(SHA_HI, "FAILED")), at));
    OK(fixture_add(&fx, FIXTURE_DECISION, BYTES_LIT(SUMMARY(SHA_NO, "PASSED")), at));
    write_file("hi.txt", "hi");
    write_file("p.json", "{}");
    say_trust();
    serve();
}

static void teardown(void) {
    char command[300];
    stop();
    fixture_done(&fx);
    msg_schema_free(liar.schema);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* --- asking */
static char *said_out, *said_err;

static int run(int argc, char **argv) {
    size_t out_len = 0, err_len = 0;
    free(said_out);
    free(said_err);
    struct client_io io = {.in = stdin,
                           .out = open_memstream(&said_out, &out_len),
                           .err = open_memstream(&said_err, &err_len)};
    int code = client_main(argc, argv, &io);
    (void)fclose(io.out);
    (void)fclose(io.err);
    return code;
}

#define RUN(...)                                                                                   \
    run((int)(sizeof((char *[]){"attest", __VA_ARGS__}) / sizeof(char *)),                         \
        (char *[]){"attest", __VA_ARGS__, NULL})

static int attest(void) {
    return RUN("attest", (char *)path_in("hi.txt"), "--predicate-type", "https://p.example/v1",
               "--predicate", (char *)path_in("p.json"), "--out", (char *)path_in("out.json"));
}

static bool was_written(const char *name) { return access(path_in(name), F_OK) == 0; }

START_TEST(test_receipts_of_something_else_are_not_taken) {
    say_attested(1, receipt_of(0, 5)); /* of another entry than it says */
    ck_assert_int_eq(attest(), 1);
    ck_assert_ptr_nonnull(strstr(said_err, "another entry"));
    say_attested(1, receipt_of(1, 5)); /* about another subject */
    ck_assert_int_eq(attest(), 1);
    ck_assert_ptr_nonnull(strstr(said_err, "lacks a subject"));
    say_attested(2, receipt_of(2, 5)); /* another type */
    ck_assert_int_eq(attest(), 1);
    struct bytes cut = receipt_of(0, 5);
    say_attested(0, (struct bytes){cut.data, cut.len - 1});
    ck_assert_int_eq(attest(), 1);
    say_attested(0, BYTES_LIT(""));
    ck_assert_int_eq(attest(), 1);
    ck_assert(!was_written("out.json"));
    say_attested(0, receipt_of(0, 5)); /* the truth */
    ck_assert_int_eq(attest(), 0);
    ck_assert(was_written("out.json"));
}
END_TEST

START_TEST(test_get_verifies_before_it_delivers) {
    say_got(0, "https://p.example/v1", receipt_of(1, 5));
    ck_assert_int_eq(RUN("get", "0", "--out", (char *)path_in("got.json")), 1);
    say_got(0, "https://p.example/other", receipt_of(0, 5));
    ck_assert_int_eq(RUN("get", "0", "--out", (char *)path_in("got.json")), 1);
    ck_assert(!was_written("got.json"));
    say_got(0, "https://p.example/v1", receipt_of(0, 5));
    ck_assert_int_eq(RUN("get", "0", "--out", (char *)path_in("got.json")), 0);
    ck_assert(was_written("got.json"));
}
END_TEST

static int gate(void) { return RUN("gate", "sha256:" SHA_HI, "--environment", "e"); }

START_TEST(test_a_decision_is_what_its_signed_summary_says) {
    say_decided("ALLOW", 2, receipt_of(2, 5));
    ck_assert_int_eq(gate(), 0);
    say_decided("DENY", 3, receipt_of(3, 5));
    ck_assert_int_eq(gate(), 1);
    say_decided("ALLOW", 3, receipt_of(3, 5)); /* a refusal, told as leave */
    ck_assert_int_eq(gate(), 2);
    say_decided("DENY", 2, receipt_of(2, 5));
    ck_assert_int_eq(gate(), 2);
    say_decided("ALLOW", 4, receipt_of(4, 5)); /* leave for something else */
    ck_assert_int_eq(gate(), 2);
    say_decided("ALLOW", 0, receipt_of(0, 5)); /* no summary at all */
    ck_assert_int_eq(gate(), 2);
    say_decided("ALLOW", 0, BYTES_LIT(""));
    ck_assert_int_eq(gate(), 2);
    say_decided("DECISION_UNSPECIFIED", 3, receipt_of(3, 5));
    ck_assert_int_eq(gate(), 1);
}
END_TEST

START_TEST(test_checkpoints_of_another_log_are_not_believed) {
    struct sha256 root = fixture_root(&fx, 5), other = fixture_root(&fx, 4);
    say_checkpoint(c2sp(FIXTURE_ORIGIN, 5, &root), 5);
    ck_assert_int_eq(RUN("log", "checkpoint"), 0);
    ck_assert_int_eq(RUN("log", "monitor", "--once"), 0);
    say_checkpoint(c2sp("other.test", 5, &root), 5); /* our key, another log's line */
    ck_assert_int_eq(RUN("log", "checkpoint"), 1);
    ck_assert_int_eq(RUN("log", "monitor", "--once"), 1);
    say_checkpoint(c2sp(FIXTURE_ORIGIN, 5, &other), 5); /* the two forms differ */
    ck_assert_int_eq(RUN("log", "monitor", "--once"), 1);
    say_checkpoint(c2sp(FIXTURE_ORIGIN, 5, &root), 4);
    ck_assert_int_eq(RUN("log", "monitor", "--once"), 1);
    say_checkpoint_of(c2sp(FIXTURE_ORIGIN, 5, &root), 4, &root);
    ck_assert_int_eq(RUN("log", "monitor", "--once"), 1);
    struct bytes cut = c2sp(FIXTURE_ORIGIN, 5, &root);
    say_checkpoint((struct bytes){cut.data, cut.len - 10}, 5);
    ck_assert_int_eq(RUN("log", "checkpoint"), 1);
}
END_TEST

/* It has one head, and gives it out whichever is asked for: it would extend itself. */
START_TEST(test_heads_of_another_size_than_was_asked_are_refused) {
    struct sha256 root = fixture_root(&fx, 5);
    say_checkpoint(c2sp(FIXTURE_ORIGIN, 5, &root), 5);
    ck_assert_int_eq(RUN("log", "consistency", "5", "5"), 0);
    ck_assert_int_eq(RUN("log", "consistency", "3", "5"), 1);
    ck_assert_ptr_nonnull(strstr(said_err, "of another size than was asked"));
    ck_assert_int_eq(RUN("log", "consistency", "5", "6"), 1);
    ck_assert_ptr_nonnull(strstr(said_err, "of another size than was asked"));
}
END_TEST

START_TEST(test_proofs_that_prove_nothing_are_refused) {
    struct sha256 root = fixture_root(&fx, 5);
    struct bytes note = c2sp(FIXTURE_ORIGIN, 5, &root);
    say_inclusion(1, 5, note, 0, 5);
    ck_assert_int_eq(RUN("log", "proof", "1"), 0);
    ck_assert_int_eq(RUN("log", "proof", "2"), 1); /* the proof of another entry */
    ck_assert_int_eq(RUN("log", "proof", "1", "--tree-size", "5"), 0);
    ck_assert_int_eq(RUN("log", "proof", "1", "--tree-size", "4"), 1); /* of another than asked */
    ck_assert_ptr_nonnull(strstr(said_err, "of another size than was asked"));
    say_inclusion(1, 5, note, 1, 5);
    ck_assert_int_eq(RUN("log", "proof", "1"), 1);
    say_inclusion(1, 4, note, 0, 4); /* of another size than the checkpoint */
    ck_assert_int_eq(RUN("log", "proof", "1"), 1);
    say_inclusion(1, 5, note, 0, 4); /* and one that says so of itself */
    ck_assert_int_eq(RUN("log", "proof", "1"), 1);
}
END_TEST

static Suite *liar_suite(void) {
    Suite *s = suite_create("client_liar");
    TCase *tc = tcase_create("lies");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_receipts_of_something_else_are_not_taken);
    tcase_add_test(tc, test_get_verifies_before_it_delivers);
    tcase_add_test(tc, test_a_decision_is_what_its_signed_summary_says);
    tcase_add_test(tc, test_checkpoints_of_another_log_are_not_believed);
    tcase_add_test(tc, test_heads_of_another_size_than_was_asked_are_refused);
    tcase_add_test(tc, test_proofs_that_prove_nothing_are_refused);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(liar_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
