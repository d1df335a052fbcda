/* Suite of pkg/service: the gate: who may ask, what is looked at, what is recorded. */
#include "service_rig.h"

#define TEST_TYPE "https://in-toto.io/attestation/test-result/v0.1"
#define NAME "registry.example/shop"

#define POLICY                                                                                     \
    "apiVersion: attestd/v1\nkind: Policy\nname: images\n"                                         \
    "select:\n  environments: [production]\n  subjects: [\"registry.example/*\"]\n"                \
    "require:\n- name: built\n  predicateType: " INTOTO_PROVENANCE_V1                              \
    "\n  signers: [\"token:ci-*\"]\n- name: tested\n  predicateType: " TEST_TYPE                   \
    "\n  signers: [\"token:ci-*\"]\n  where: { result: PASSED }\nguidance: Ask the release "       \
    "team.\n"

static void set_policy(struct rig *rig, const char *text) {
    const struct policy_file file = {T("images.yaml"), bytes_of_cstr(text)};
    struct policy_set *set = NULL;
    ok(policy_set_load(&file, 1, &set));
    ok(service_set_policies(rig->service, set));
}

static void gate_init(struct rig *rig) {
    rig_init(rig);
    rig_open(rig);
    set_policy(rig, POLICY);
}

/* A call of the gate, alive until ask_done. */
struct ask {
    struct service_decide req;
    struct service_decided out;
    struct arena arena;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_ready; /* guarded by: lock */
    bool was_pending;
};

static void ask_ready(struct service_decide *req) {
    struct ask *a = req->ctx;
    (void)pthread_mutex_lock(&a->lock);
    a->is_ready = true;
    (void)pthread_cond_signal(&a->changed);
    (void)pthread_mutex_unlock(&a->lock);
}

static void ask_init(struct ask *a, const struct principal *p, uint64_t n) {
    *a = (struct ask){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    arena_init(&a->arena, CALL_ARENA_MAX);
    a->req = (struct service_decide){.arena = &a->arena,
                                     .principal = p,
                                     .subject = rig_resource(&a->arena, n),
                                     .environment = T("production"),
                                     .ready = ask_ready,
                                     .ctx = a};
    a->req.subject.name = T(NAME);
}

static void ask_done(struct ask *a) { arena_done(&a->arena); }

static struct error *ask_run(struct rig *rig, struct ask *a) {
    bool pending = false;
    a->is_ready = false;
    TRY(service_decide_begin(rig->service, &a->req, &pending));
    a->was_pending = pending;
    (void)pthread_mutex_lock(&a->lock);
    while (pending && !a->is_ready) (void)pthread_cond_wait(&a->changed, &a->lock);
    (void)pthread_mutex_unlock(&a->lock);
    return service_decide_finish(&a->req, &a->out);
}

static enum policy_decision dry_run(struct rig *rig, uint64_t n) {
    struct ask a;
    ask_init(&a, &ci, n);
    a.req.dry_run = true;
    ok(ask_run(rig, &a));
    enum policy_decision d = a.out.outcome.decision;
    ask_done(&a);
    return d;
}

/* All that artifact `n` needs to be allowed: entries `*first` and the next. */
static uint64_t vouch(struct rig *rig, uint64_t n) {
    uint64_t first = rig_attest(rig, n, n + 100);
    (void)rig_document(rig, n, TEST_TYPE, "{\"result\":\"PASSED\"}");
    return first;
}

/* --- answers */

START_TEST(test_allow_needs_every_rule_and_says_what_it_stands_on) {
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_DENY);
    (void)rig_attest(&rig, 1, 2);
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_DENY);
    (void)rig_document(&rig, 1, TEST_TYPE, "{\"result\":\"FAILED\"}");
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_DENY);
    (void)rig_document(&rig, 2, TEST_TYPE, "{\"result\":\"PASSED\"}"); /* another artifact's */
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_DENY);
    (void)rig_document(&rig, 1, TEST_TYPE, "{\"result\":\"PASSED\"}");

    ask_init(&a, &ci, 1);
    a.req.dry_run = true;
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_ALLOW);
    ck_assert(!a.out.recorded);
    ck_assert_uint_eq(a.out.receipt.len, 0);
    ck_assert_uint_eq(a.out.tree_size, 4);
    ck_assert_int_eq(a.out.evaluated_ms, RIG_START_MS);
    ck_assert_uint_eq(a.out.outcome.rule_count, 2);
    ck_assert_int_eq(a.out.outcome.rules[0].result, POLICY_PASS);
    ck_assert_uint_eq(a.out.outcome.rules[0].evidence[0], 0);
    ck_assert_uint_eq(a.out.outcome.rules[1].evidence[0], 3);
    ask_done(&a);
    ck_assert_uint_eq(tlog_head(rig.log).size, 4); /* a dry run leaves nothing */
    rig_done(&rig);
}
END_TEST

/* Asks the gate between a round's write and its anchors: on the log's own thread. */
static struct rig *between;
static enum policy_decision answer;

static void ask_between(void *ctx, const char *step) {
    (void)ctx;
    if (between != NULL && strcmp(step, "committed") == 0) answer = dry_run(between, 1);
}

START_TEST(test_what_is_written_but_not_yet_anchored_is_no_evidence) {
    struct rig rig;
    rig_init(&rig);
    rig.log_options.after_write = ask_between;
    rig_open(&rig);
    set_policy(&rig, POLICY);
    (void)rig_attest(&rig, 1, 101);
    between = &rig;
    answer = POLICY_ALLOW; /* as if nobody had asked */
    (void)rig_document(&rig, 1, TEST_TYPE, "{\"result\":\"PASSED\"}");
    between = NULL;
    ck_assert_int_eq(answer, POLICY_DENY);
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_ALLOW);
    rig_done(&rig);
}
END_TEST

START_TEST(test_deny_gives_reason_and_guidance_that_outlive_the_policies) {
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    ask_init(&a, &ci, 1);
    a.req.dry_run = true;
    ok(ask_run(&rig, &a));
    set_policy(&rig, POLICY); /* the set that decided is gone: ASan watches */
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY);
    ck_assert(text_equal(a.out.outcome.guidance, T("Ask the release team.")));
    ck_assert(text_equal(a.out.outcome.rules[0].policy, T("images")));
    ck_assert(text_equal(a.out.outcome.rules[0].rule, T("built")));
    ck_assert_int_eq(a.out.outcome.rules[0].result, POLICY_FAIL);
    ck_assert_uint_gt(a.out.outcome.rules[0].observed.len, 0);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_new_policies_count_from_the_next_decision_on) {
    struct rig rig;
    gate_init(&rig);
    (void)rig_attest(&rig, 1, 2);
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_DENY);
    set_policy(&rig,
               "apiVersion: attestd/v1\nkind: Policy\nname: images\nrequire:\n- name: built\n"
               "  predicateType: " INTOTO_PROVENANCE_V1 "\n  signers: [\"token:ci-*\"]\n");
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_ALLOW);
    set_policy(&rig, POLICY);
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_DENY);
    rig_done(&rig);
}
END_TEST

START_TEST(test_what_no_policy_selects_is_denied) {
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    ask_init(&a, &ci, 1);
    a.req.dry_run = true;
    a.req.environment = T("staging");
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY);
    a.req.environment = T("production");
    a.req.subject.name = T(""); /* matches no policy with select.subjects */
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY);
    a.req.subject.name = T(NAME);
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_ALLOW);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* --- who may ask, and for what */

START_TEST(test_scopes_of_the_gate) {
    static const struct text environments[] = {T("stag*"), T("production")};
    static const struct text subjects[] = {T("registry.example/sh*")};
    static const struct principal restricted = {.name = T("token:g"),
                                                .method = T("token"),
                                                .scopes = SCOPE_GATE,
                                                .environments = environments,
                                                .environment_count = 2,
                                                .subjects = subjects,
                                                .subject_count = 1};
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    ask_init(&a, &nobody, 1);
    fails(ask_run(&rig, &a), ERROR_PERMISSION_DENIED, REASON_SCOPE_MISSING);
    a.req.principal = &restricted;
    a.req.dry_run = true;
    ok(ask_run(&rig, &a));
    a.req.environment = T("staging");
    ok(ask_run(&rig, &a));
    a.req.environment = T("dev");
    fails(ask_run(&rig, &a), ERROR_PERMISSION_DENIED, REASON_SCOPE_RESTRICTED);
    a.req.environment = T("production");
    a.req.subject.name = T("registry.example/other");
    fails(ask_run(&rig, &a), ERROR_PERMISSION_DENIED, REASON_SCOPE_RESTRICTED);
    a.req.subject.name = T("");
    fails(ask_run(&rig, &a), ERROR_PERMISSION_DENIED, REASON_SCOPE_RESTRICTED);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_malformed_questions) {
    struct rig rig;
    struct ask a;
    struct intoto_digest many[65];
    static char large[1100];
    memset(large, 'x', sizeof large - 1);
    gate_init(&rig);
    ask_init(&a, &ci, 1);
    a.req.environment = T("");
    fails_field(ask_run(&rig, &a), "environment");
    a.req.environment = (struct text){large, 257};
    fails_field(ask_run(&rig, &a), "environment");
    a.req.environment = T("production");
    for (size_t i = 0; i < 65; i++) many[i] = (struct intoto_digest){T("k"), T("v")};
    a.req.attributes = many;
    a.req.attribute_count = 65;
    fails_field(ask_run(&rig, &a), "attributes");
    many[0].value = text_of_cstr(large);
    a.req.attribute_count = 1;
    fails_field(ask_run(&rig, &a), "attributes");
    a.req.attribute_count = 0;
    a.req.subject.digest_count = 0;
    fails_field(ask_run(&rig, &a), "subject.digest");
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_no_answer_without_policies_or_from_a_log_with_gaps) {
    struct rig rig;
    struct ask a;
    rig_init(&rig);
    rig_open(&rig);
    ask_init(&a, &ci, 1);
    a.req.dry_run = true;
    fails(ask_run(&rig, &a), ERROR_FAILED_PRECONDITION, REASON_NONE);
    (void)rig_attest(&rig, 1, 2);
    rig_close(&rig);
    rig_open(&rig); /* behind its anchor */
    set_policy(&rig, POLICY);
    fails(ask_run(&rig, &a), ERROR_FAILED_PRECONDITION, REASON_LOG_READ_ONLY);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_a_decision_that_cannot_be_logged_is_an_error_and_no_answer) {
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    kv_mem_fail(rig.kv, 0, false);
    ask_init(&a, &ci, 1);
    fails(ask_run(&rig, &a), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY); /* untouched */
    ck_assert_uint_eq(a.out.receipt.len, 0);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* --- the record */

static struct bytes string_at(const struct json_value *root, const char *path) {
    return json_string(json_at(root, bytes_of_cstr(path)));
}

static void expect_string(const struct json_value *root, const char *path, const char *want) {
    struct bytes got = string_at(root, path);
    ck_assert_msg(bytes_equal(got, bytes_of_cstr(want)), "%s: " BYTES_FMT, path, BYTES_ARG(got));
}

/* A digest that nothing vouched for must not be signed as verified beside the one that evidence was
 * found by: whoever verifies by it would take another artifact for this one. */
START_TEST(test_the_summary_names_no_digest_but_the_one_decided_by) {
    static const char borrowed[] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct rig rig;
    struct ask a;
    struct bundle_verification v;
    gate_init(&rig);
    vouch(&rig, 1);
    ask_init(&a, &ci, 1);
    struct intoto_digest digests[] = {{T("sha512"), text_of_cstr(borrowed)},
                                      a.req.subject.digests[0]};
    a.req.subject.digests = digests;
    a.req.subject.digest_count = 2;
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_ALLOW);
    rig_verify(&rig, &a.arena, a.out.receipt, &v);
    ck_assert_uint_eq(v.statement.subject_count, 1);
    ck_assert_uint_eq(v.statement.subjects[0].digest_count, 1);
    ck_assert(text_equal(v.statement.subjects[0].digests[0].algorithm, T("sha256")));
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_a_decision_is_recorded_as_a_summary_that_verifies) {
    static const struct intoto_digest attributes[] = {{T("commit"), T("c0ffee")}};
    struct rig rig;
    struct ask a;
    struct bundle_verification v;
    gate_init(&rig);
    uint64_t first = vouch(&rig, 1);
    ask_init(&a, &ci, 1);
    a.req.attributes = attributes;
    a.req.attribute_count = 1;
    ok(ask_run(&rig, &a));
    ck_assert(a.out.recorded);
    ck_assert_uint_eq(a.out.index, first + 2);
    rig_verify(&rig, &a.arena, a.out.receipt, &v);
    ck_assert_int_eq(v.purpose, TRUST_PURPOSE_DECISION);
    ck_assert_uint_eq(v.index, a.out.index);
    ck_assert(text_equal(v.statement.predicate_type, T(INTOTO_VSA_V1)));
    ck_assert(text_equal(v.statement.submitter_principal, ci.name));
    ck_assert(text_equal(v.statement.subjects[0].name, T(NAME)));
    const struct json_value *p = v.statement.predicate;
    expect_string(p, "verificationResult", "PASSED");
    expect_string(p, "verifiedLevels.0", "SLSA_BUILD_LEVEL_1");
    expect_string(p, "resourceUri", NAME);
    expect_string(p, "verifier.id", "https://" RIG_ORIGIN "/verifier/v1");
    expect_string(p, "timeVerified", "2026-01-01T00:00:00Z");
    ck_assert_uint_gt(string_at(p, "policy.uri").len, 0);
    ck_assert_uint_eq(string_at(p, "policy.digest.sha256").len, 64);
    expect_string(p, "attestd_decision.environment", "production");
    expect_string(p, "attestd_decision.attributes.commit", "c0ffee");
    expect_string(p, "attestd_decision.decision", "ALLOW");
    expect_string(p, "attestd_decision.treeSize", "2");
    expect_string(p, "attestd_decision.rules.0.rule", "built");
    expect_string(p, "attestd_decision.rules.0.result", "PASS");
    expect_string(p, "attestd_decision.rules.0.evidence.0", "0");
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* SPEC slsa verification_summary: "MUST contain information on all the attestations used"; the
 * digest is that of the bare envelope, which anyone can export from the receipt. */
START_TEST(test_input_attestations_are_complete_and_can_be_recomputed) {
    struct rig rig;
    struct ask a;
    struct bundle_verification v;
    gate_init(&rig);
    uint64_t first = vouch(&rig, 1);
    ask_init(&a, &ci, 1);
    ok(ask_run(&rig, &a));
    rig_verify(&rig, &a.arena, a.out.receipt, &v);
    const struct json_value *inputs = json_get(v.statement.predicate, "inputAttestations");
    ck_assert_uint_eq(inputs->array.count, 2);
    bool found[2] = {false, false};
    for (size_t i = 0; i < 2; i++) {
        struct service_attestation evidence;
        struct bytes envelope;
        struct buf hex;
        uint64_t size;
        const struct service_get key = {.index = first + i};
        ok(service_get(rig.service, &ci, &a.arena, &key, &evidence, &size));
        ok(bundle_get_envelope(&a.arena, evidence.receipt, &envelope));
        struct sha256 h = sha256_of(envelope);
        buf_init_arena(&hex, &a.arena, 64);
        hex_put(&hex, sha256_bytes(&h));
        for (size_t k = 0; k < 2; k++)
            found[i] = found[i] || bytes_equal(string_at(&inputs->array.items[k], "digest.sha256"),
                                               buf_bytes(&hex));
    }
    ck_assert(found[0] && found[1]);
    expect_string(v.statement.predicate, "inputAttestations.0.uri", "https://log.test/entry/0");
    expect_string(v.statement.predicate, "inputAttestations.1.uri", "https://log.test/entry/1");
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_a_deny_is_recorded_as_failed) {
    struct rig rig;
    struct ask a;
    struct bundle_verification v;
    gate_init(&rig);
    ask_init(&a, &ci, 1);
    a.req.subject.name = T("");
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY);
    ck_assert(a.out.recorded);
    rig_verify(&rig, &a.arena, a.out.receipt, &v);
    expect_string(v.statement.predicate, "verificationResult", "FAILED");
    expect_string(v.statement.predicate, "verifiedLevels.0", "FAILED");
    ck_assert(bytes_start_with(string_at(v.statement.predicate, "resourceUri"),
                               BYTES_LIT("sha256:"))); /* without a name: its digest */
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* Asks as `a` is set up; the index of the record. */
static uint64_t record_index(struct rig *rig, struct ask *a) {
    ok(ask_run(rig, a));
    ck_assert(a->out.recorded);
    return a->out.index;
}

START_TEST(test_the_same_decision_within_a_minute_is_the_same_record) {
    static const struct intoto_digest ab[] = {{T("a"), T("1")}, {T("b"), T("2")}};
    static const struct intoto_digest ba[] = {{T("b"), T("2")}, {T("a"), T("1")}};
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    ask_init(&a, &ci, 1);
    uint64_t first = record_index(&rig, &a);
    struct bytes receipt = a.out.receipt;
    atomic_fetch_add(&rig.now_ms, 59000);
    ck_assert_uint_eq(record_index(&rig, &a), first);
    ck_assert(bytes_equal(a.out.receipt, receipt));
    a.req.attributes = ab;
    a.req.attribute_count = 2;
    uint64_t with = record_index(&rig, &a);
    ck_assert_uint_ne(with, first);
    a.req.attributes = ba; /* a map has no order */
    ck_assert_uint_eq(record_index(&rig, &a), with);
    a.req.attribute_count = 0;
    atomic_fetch_add(&rig.now_ms, 2000);
    ck_assert_uint_gt(record_index(&rig, &a), with); /* over a minute later */
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_another_question_is_another_record) {
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    ask_init(&a, &ci, 1);
    uint64_t last = record_index(&rig, &a);
    a.req.principal = &other;
    ck_assert_uint_eq(record_index(&rig, &a), ++last);
    a.req.principal = &ci;
    a.req.subject.name = T("registry.example/shop2");
    ck_assert_uint_eq(record_index(&rig, &a), ++last);
    a.req.subject.name = T(NAME);
    a.req.environment = T("staging");
    ck_assert_uint_eq(record_index(&rig, &a), ++last);
    a.req.environment = T("production");
    (void)rig_document(&rig, 1, TEST_TYPE, "{\"result\":\"PASSED\",\"url\":\"u\"}"); /* evidence */
    ck_assert_uint_eq(record_index(&rig, &a), last + 2);
    set_policy(&rig, POLICY "# another text\n");
    ck_assert_uint_eq(record_index(&rig, &a), last + 3);
    ck_assert_uint_eq(record_index(&rig, &a), last + 3);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* A name in the question must not be able to stand for the end of one field and the begin of the
 * next: records are told apart by all of it. */
START_TEST(test_fields_of_a_question_do_not_run_together) {
    static const struct intoto_digest one[] = {{T("a"), T("bc")}};
    static const struct intoto_digest two[] = {{T("ab"), T("c")}};
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    ask_init(&a, &ci, 1);
    a.req.attributes = one;
    a.req.attribute_count = 1;
    uint64_t first = record_index(&rig, &a);
    a.req.attributes = two;
    ck_assert_uint_ne(record_index(&rig, &a), first);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_records_count_against_the_quota_and_dry_runs_do_not) {
    struct rig rig;
    struct ask a;
    rig_init(&rig);
    rig.options.limits.quota_per_second = 1;
    rig_open(&rig);
    set_policy(&rig, POLICY);
    ask_init(&a, &ci, 1);
    uint64_t first = record_index(&rig, &a);
    ck_assert_uint_eq(record_index(&rig, &a), first); /* a repeat costs nothing */
    a.req.environment = T("staging");
    fails(ask_run(&rig, &a), ERROR_RESOURCE_EXHAUSTED, REASON_QUOTA_EXCEEDED);
    a.req.dry_run = true;
    ok(ask_run(&rig, &a));
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* --- the gate's own summaries are no evidence unless a rule says so */

START_TEST(test_own_summaries_count_only_where_a_rule_names_the_decision_key) {
    struct rig rig;
    struct ask a;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    ask_init(&a, &ci, 1);
    (void)record_index(&rig, &a);
    set_policy(&rig,
               "apiVersion: attestd/v1\nkind: Policy\nname: p\nrequire:\n- name: r\n"
               "  predicateType: " INTOTO_VSA_V1 "\n  signers: [\"token:ci-*\"]\n");
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_DENY);
    set_policy(&rig,
               "apiVersion: attestd/v1\nkind: Policy\nname: p\nrequire:\n- name: r\n"
               "  predicateType: " INTOTO_VSA_V1
               "\n  signers: [\"token:ci-*\"]\n  decisionKey: true\n");
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_ALLOW);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* --- much evidence */

START_TEST(test_much_evidence_is_decided_on_a_worker) {
    struct rig rig;
    struct ask a;
    struct bundle_verification v;
    gate_init(&rig);
    for (int i = 0; i < 40; i++) {
        char json[64];
        (void)snprintf(json, sizeof json, "{\"result\":\"PASSED\",\"i\":%d}", i);
        (void)rig_document(&rig, 1, TEST_TYPE, json);
    }
    ask_init(&a, &ci, 1);
    a.req.dry_run = true;
    ok(ask_run(&rig, &a));
    ck_assert(a.was_pending);
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY); /* nobody said who built it */
    (void)rig_attest(&rig, 1, 2);
    a.req.dry_run = false;
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_ALLOW);
    rig_verify(&rig, &a.arena, a.out.receipt, &v);
    ck_assert_uint_eq(json_get(v.statement.predicate, "inputAttestations")->array.count, 41);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

START_TEST(test_more_evidence_than_is_read_is_an_error_and_denies) {
    struct rig rig;
    struct ask a;
    rig_init(&rig);
    rig.options.limits.evidence_max = 5;
    rig_open(&rig);
    set_policy(&rig, POLICY);
    (void)rig_attest(&rig, 1, 2);
    for (int i = 0; i < 6; i++) {
        char json[64];
        (void)snprintf(json, sizeof json, "{\"result\":\"FAILED\",\"i\":%d}", i);
        (void)rig_document(&rig, 1, TEST_TYPE, json);
    }
    ask_init(&a, &ci, 1);
    a.req.dry_run = true;
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY);
    ck_assert_int_eq(a.out.outcome.rules[0].result, POLICY_PASS);
    ck_assert_int_eq(a.out.outcome.rules[1].result, POLICY_ERROR);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* Whoever may submit can log what he likes about an artifact; in front of the evidence of those
 * whom a rule trusts it does not stand. */
START_TEST(test_a_flood_by_somebody_nobody_trusts_hides_nothing) {
    static const struct principal stranger = {
        .name = T("token:stranger"), .method = T("token"), .scopes = SCOPE_ATTEST};
    struct rig rig;
    struct ask a;
    rig_init(&rig);
    rig.options.limits.evidence_max = 5;
    rig_open(&rig);
    set_policy(&rig, POLICY);
    for (int i = 0; i < 40; i++) {
        char json[64];
        struct call c;
        if (i == 20) (void)vouch(&rig, 1);
        (void)snprintf(json, sizeof json, "{\"result\":\"FAILED\",\"i\":%d}", i);
        call_init(&c, &stranger);
        call_document(&c, 1, TEST_TYPE, json);
        ok(call_run(&rig, &c));
        call_done(&c);
    }
    ck_assert_int_eq(dry_run(&rig, 1), POLICY_ALLOW);
    ask_init(&a, &ci, 2); /* where nothing else is known, the answer says whose it is */
    struct call c;
    call_init(&c, &stranger);
    call_document(&c, 2, TEST_TYPE, "{\"result\":\"PASSED\"}");
    ok(call_run(&rig, &c));
    a.req.dry_run = true;
    ok(ask_run(&rig, &a));
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY);
    ck_assert_int_eq(a.out.outcome.rules[1].result, POLICY_FAIL);
    ck_assert_ptr_nonnull(memmem(a.out.outcome.rules[1].observed.data,
                                 a.out.outcome.rules[1].observed.len, "token:stranger", 14));
    ck_assert_uint_eq(a.out.outcome.rules[1].evidence[0], c.out.index);
    call_done(&c);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* Large documents as evidence: their trees take many times their size, and there are several. */
START_TEST(test_large_evidence_is_bounded_and_its_newest_is_read) {
    struct rig rig;
    struct ask a;
    char *json = alloc_zero(1, (size_t)1 << 21);
    gate_init(&rig);
    for (int i = 0; i < 6; i++) {
        const char *result = i == 5 ? "PASSED" : "FAILED";
        if (i == 3) (void)rig_attest(&rig, 1, 2);
        int at = snprintf(json, 128, "{\"result\":\"%s\",\"i\":%d,\"a\":[0", result, i);
        for (size_t k = 0; k < 950000; k++, at += 2) memcpy(json + at, ",0", 2);
        memcpy(json + at, "]}", 3);
        (void)rig_document(&rig, 1, TEST_TYPE, json);
    }
    ask_init(&a, &ci, 1);
    a.req.dry_run = true;
    ok(ask_run(&rig, &a)); /* what it needs is among the newest */
    ck_assert_int_eq(a.out.outcome.decision, POLICY_ALLOW);
    set_policy(&rig,
               "apiVersion: attestd/v1\nkind: Policy\nname: p\nrequire:\n- name: r\n"
               "  predicateType: " TEST_TYPE "\n  signers: [\"token:ci-*\"]\n  where: { i: 0 }\n");
    ok(ask_run(&rig, &a)); /* among the oldest, which was not read */
    ck_assert_int_eq(a.out.outcome.decision, POLICY_DENY);
    ck_assert_int_eq(a.out.outcome.rules[0].result, POLICY_ERROR);
    alloc_free(json);
    ask_done(&a);
    rig_done(&rig);
}
END_TEST

/* --- policies change while decisions run; TSan and ASan watch */

static void *swap_policies(void *arg) {
    for (int i = 0; i < 200; i++) set_policy(arg, i % 2 == 0 ? POLICY : POLICY "# other\n");
    return NULL;
}

START_TEST(test_policies_are_replaced_while_decisions_run) {
    struct rig rig;
    pthread_t thread;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, swap_policies, &rig), 0);
    for (int i = 0; i < 300; i++) ck_assert_int_eq(dry_run(&rig, 1), POLICY_ALLOW);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    rig_done(&rig);
}
END_TEST

/* --- want of memory is never an allow */

START_TEST(test_survives_every_allocation_failure_of_the_calling_thread) {
    struct rig rig;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    size_t good = 0;
    for (long n = 0; good < 3; n++) {
        struct ask a;
        bool pending = false;
        ask_init(&a, &ci, 1);
        atomic_fetch_add(&rig.now_ms, 2 * MINUTE_MS); /* a new record each time */
        (void)alloc_fail_after(n);
        struct error *err = service_decide_begin(rig.service, &a.req, &pending);
        (void)alloc_fail_after(-1);
        ck_assert_int_lt(n, 1000);
        if (err != NULL) {
            fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_NONE);
            good = 0;
        } else {
            (void)pthread_mutex_lock(&a.lock);
            while (pending && !a.is_ready) (void)pthread_cond_wait(&a.changed, &a.lock);
            (void)pthread_mutex_unlock(&a.lock);
            ok(service_decide_finish(&a.req, &a.out));
            ck_assert_int_eq(a.out.outcome.decision, POLICY_ALLOW);
            good++;
        }
        ask_done(&a);
    }
    rig_done(&rig);
}
END_TEST

/* The request's arena at every size: full is an error, at whatever point, and never an allow. */
START_TEST(test_survives_a_full_arena_at_every_point) {
    static const struct intoto_digest attributes[] = {{T("commit"), T("c0ffee")}};
    struct rig rig;
    struct arena subject;
    bool done = false;
    gate_init(&rig);
    (void)vouch(&rig, 1);
    arena_init(&subject, CALL_ARENA_MAX);
    for (size_t max = 0; !done; max += 48) {
        struct ask a;
        ask_init(&a, &ci, 1);
        a.req.subject = rig_resource(&subject, 1);
        a.req.subject.name = T(NAME);
        a.req.attributes = attributes;
        a.req.attribute_count = 1;
        arena_done(&a.arena);
        arena_init(&a.arena, max);
        atomic_fetch_add(&rig.now_ms, 2 * MINUTE_MS);
        struct error *err = ask_run(&rig, &a);
        ck_assert_uint_lt(max, 1 << 17);
        done = err == NULL;
        if (!done) fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_NONE);
        ask_done(&a);
    }
    arena_done(&subject);
    rig_done(&rig);
}
END_TEST

static Suite *service_gate_suite(void) {
    Suite *s = suite_create("service_gate");
    TCase *tc = tcase_create("gate");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_allow_needs_every_rule_and_says_what_it_stands_on);
    tcase_add_test(tc, test_what_is_written_but_not_yet_anchored_is_no_evidence);
    tcase_add_test(tc, test_deny_gives_reason_and_guidance_that_outlive_the_policies);
    tcase_add_test(tc, test_new_policies_count_from_the_next_decision_on);
    tcase_add_test(tc, test_what_no_policy_selects_is_denied);
    tcase_add_test(tc, test_scopes_of_the_gate);
    tcase_add_test(tc, test_malformed_questions);
    tcase_add_test(tc, test_no_answer_without_policies_or_from_a_log_with_gaps);
    tcase_add_test(tc, test_a_decision_that_cannot_be_logged_is_an_error_and_no_answer);
    tcase_add_test(tc, test_the_summary_names_no_digest_but_the_one_decided_by);
    tcase_add_test(tc, test_a_decision_is_recorded_as_a_summary_that_verifies);
    tcase_add_test(tc, test_input_attestations_are_complete_and_can_be_recomputed);
    tcase_add_test(tc, test_a_deny_is_recorded_as_failed);
    tcase_add_test(tc, test_the_same_decision_within_a_minute_is_the_same_record);
    tcase_add_test(tc, test_another_question_is_another_record);
    tcase_add_test(tc, test_fields_of_a_question_do_not_run_together);
    tcase_add_test(tc, test_records_count_against_the_quota_and_dry_runs_do_not);
    tcase_add_test(tc, test_own_summaries_count_only_where_a_rule_names_the_decision_key);
    tcase_add_test(tc, test_much_evidence_is_decided_on_a_worker);
    tcase_add_test(tc, test_more_evidence_than_is_read_is_an_error_and_denies);
    tcase_add_test(tc, test_a_flood_by_somebody_nobody_trusts_hides_nothing);
    tcase_add_test(tc, test_large_evidence_is_bounded_and_its_newest_is_read);
    tcase_add_test(tc, test_policies_are_replaced_while_decisions_run);
    tcase_add_test(tc, test_survives_every_allocation_failure_of_the_calling_thread);
    tcase_add_test(tc, test_survives_a_full_arena_at_every_point);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(service_gate_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
