/* Suite of pkg/intoto: the octets that are signed, and reading them back. What callers may submit:
 * test_intoto_check.c. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "intoto_support.h"

static struct bytes caller_jcs_of(struct arena *arena, const struct intoto_submission *sub) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)8 << 20);
    ck_assert_ptr_null(intoto_put_caller_jcs(&b, sub, SIZE_MAX));
    return buf_bytes(&b);
}

static void expect_text(struct bytes got, const char *want) {
    ck_assert_msg(bytes_equal(got, bytes_of_cstr(want)), "\n%.*s\n%s", (int)got.len,
                  (const char *)got.data, want);
}

/* --- the octets that are signed */

#define FULL_HEAD                                                                                  \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"buildDefinition\":{"          \
    "\"buildType\":\"https://b.example/make/v1\","                                                 \
    "\"externalParameters\":{\"n\":[1,2.5],\"target\":\"all\"},"                                   \
    "\"internalParameters\":{\"attempt\":1,"
#define FULL_MATERIALS                                                                             \
    "\"runner\":7},\"resolvedDependencies\":["                                                     \
    "{\"annotations\":{\"role\":\"code\"},\"digest\":{\"gitCommit\":\"" SHA1                       \
    "\"},"                                                                                         \
    "\"uri\":\"git+https://git.example/shop@refs/heads/main\"},"                                   \
    "{\"content\":\"aGkK\",\"downloadLocation\":\"https://d.example/b\","                          \
    "\"mediaType\":\"text/plain\",\"name\":\"base\"}]},\"runDetails\":{"
#define FULL_TAIL                                                                                  \
    "\"byproducts\":[{\"uri\":\"https://l.example/1\"}],"                                          \
    "\"metadata\":{\"finishedOn\":\"2026-01-02T03:04:04.500Z\",\"invocationId\":\"run/7\","        \
    "\"startedOn\":\"2026-01-02T03:03:20Z\"}}},"                                                   \
    "\"predicateType\":\"https://slsa.dev/provenance/"                                             \
    "v1\",\"subject\":[{\"annotations\":{\"a\":[],"
#define FULL_DIGESTS                                                                               \
    "\"z\":1},\"digest\":{\"gitCommit\":\"" SHA1 "\",\"sha256\":\"" HEX_B                          \
    "\",\"sha512\":\"" HEX_B HEX_B                                                                 \
    "\"},\"name\":\"shop \\\"x\\\"\"},{\"digest\":{\"sha256\":\"" HEX_A "\"}"

START_TEST(test_provenance_statement_has_all_fields_in_canonical_order) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = full_provenance(&arena);
    ck_assert_ptr_null(intoto_check(&arena, &sub, &limits));
    expect_text(
        statement_of(&arena, &sub), FULL_HEAD
        "\"attestd_receivedOn\":\"2026-01-02T03:04:05.678Z\"," FULL_MATERIALS
        "\"builder\":{\"id\":\"https://a.example/builder/submitted/v1\"}," FULL_TAIL
        "\"attestd_submitter\":{\"method\":\"token\",\"principal\":\"token:ci-1\"}," FULL_DIGESTS
        ",\"name\":\"sha256:" HEX_A "\"}]}");
    arena_done(&arena);
}
END_TEST

START_TEST(test_caller_form_is_the_same_without_the_servers_fields) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = full_provenance(&arena);
    expect_text(caller_jcs_of(&arena, &sub), FULL_HEAD FULL_MATERIALS FULL_TAIL FULL_DIGESTS "}]}");
    arena_done(&arena);
}
END_TEST

/* Unset equals empty (SLSA provenance, "Parsing rules"); required members stay. */
START_TEST(test_smallest_provenance) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = {.subjects = one_subject,
                                    .subject_count = 1,
                                    .kind = INTOTO_PREDICATE_PROVENANCE,
                                    .provenance = {.build_type = T("b:t")}};
    ck_assert_ptr_null(intoto_check(&arena, &sub, &limits));
    expect_text(statement_of(&arena, &sub),
                "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"buildDefinition\":"
                "{\"buildType\":\"b:t\",\"externalParameters\":{},\"internalParameters\":{"
                "\"attestd_receivedOn\":\"2026-01-02T03:04:05.678Z\"}},\"runDetails\":{\"builder\":"
                "{\"id\":\"https://a.example/builder/submitted/v1\"}}},"
                "\"predicateType\":\"https://slsa.dev/provenance/v1\",\"subject\":[{\"annotations\""
                ":{\"attestd_submitter\":{\"method\":\"token\",\"principal\":\"token:ci-1\"}},"
                "\"digest\":{\"sha256\":\"" HEX_A "\"},\"name\":\"shop\"}]}");
    arena_done(&arena);
}
END_TEST

#define OCTETS " { \"b\": 1.0e2,\n \"a\":\"\\u00e9\", \"big\": 1e20 } "

START_TEST(test_octets_are_spliced_as_given_and_hashed_in_canonical_form) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = {.subjects = one_subject,
                                    .subject_count = 1,
                                    .kind = INTOTO_PREDICATE_OCTETS,
                                    .octets = BYTES_LIT(OCTETS),
                                    .predicate_type = T("https://p.example/v1")};
    ck_assert_ptr_null(intoto_check(&arena, &sub, &limits));
    expect_text(statement_of(&arena, &sub),
                "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":" OCTETS
                ",\"predicateType\":\"https://p.example/v1\",\"subject\":[{\"annotations\":"
                "{\"attestd_submitter\":{\"method\":\"token\",\"principal\":\"token:ci-1\"}},"
                "\"digest\":{\"sha256\":\"" HEX_A "\"},\"name\":\"shop\"}]}");
    expect_text(caller_jcs_of(&arena, &sub),
                "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":"
                "{\"a\":\"\xc3\xa9\",\"b\":100,\"big\":100000000000000000000},"
                "\"predicateType\":\"https://p.example/v1\",\"subject\":[{"
                "\"digest\":{\"sha256\":\"" HEX_A "\"},\"name\":\"shop\"}]}");
    arena_done(&arena);
}
END_TEST

START_TEST(test_trees_are_written_in_canonical_form) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = {.subjects = one_subject,
                                    .subject_count = 1,
                                    .kind = INTOTO_PREDICATE_TREE,
                                    .tree = tree_of(&arena, "{\"b\":1.0,\"a\":{\"d\":0,\"c\":1}}"),
                                    .predicate_type = T("https://p.example/v1")};
    ck_assert_ptr_null(intoto_check(&arena, &sub, &limits));
    struct intoto_submission same = sub;
    same.kind = INTOTO_PREDICATE_OCTETS;
    same.octets = BYTES_LIT("{\"a\":{\"c\":1,\"d\":0},\"b\":1}");
    ck_assert_ptr_null(intoto_check(&arena, &same, &limits));
    ck_assert(bytes_equal(statement_of(&arena, &sub), statement_of(&arena, &same)));
    arena_done(&arena);
}
END_TEST

/* --- reading back */

static struct error *parse(struct arena *arena, struct bytes payload,
                           struct intoto_statement *out) {
    return intoto_statement_parse(arena, payload, &read_limits, out);
}

START_TEST(test_statement_reads_back) {
    struct intoto_statement st;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = full_provenance(&arena);
    ck_assert_ptr_null(parse(&arena, statement_of(&arena, &sub), &st));
    ck_assert(text_equal(st.predicate_type, T(INTOTO_PROVENANCE_V1)));
    ck_assert(text_equal(st.builder_id, server.builder_id));
    ck_assert(text_equal(st.submitter_principal, server.principal));
    ck_assert(text_equal(st.submitter_method, server.method));
    ck_assert_uint_eq(st.subject_count, 2);
    ck_assert(text_equal(st.subjects[0].name, T("shop \"x\"")));
    ck_assert_uint_eq(st.subjects[0].digest_count, 3);
    ck_assert(text_equal(st.subjects[1].name, T("sha256:" HEX_A)));
    ck_assert(text_equal(st.subjects[1].digests[0].value, T(HEX_A)));
    struct intoto_resource material;
    ck_assert_ptr_null(intoto_resource_from_json(
        &arena, json_at(st.predicate, BYTES_LIT("buildDefinition.resolvedDependencies.1")),
        &material));
    ck_assert(material.has_content && bytes_equal(material.content, BYTES_LIT("hi\n")));
    ck_assert(text_equal(material.download_location, T("https://d.example/b")));
    ck_assert(text_equal(material.media_type, T("text/plain")));
    ck_assert_ptr_null(intoto_resource_from_json(
        &arena, json_at(st.predicate, BYTES_LIT("buildDefinition.resolvedDependencies.0")),
        &material));
    ck_assert(text_equal(material.uri, T("git+https://git.example/shop@refs/heads/main")));
    ck_assert(!material.has_content);
    arena_done(&arena);
}
END_TEST

START_TEST(test_the_head_is_all_but_the_predicate_and_borrows_nothing) {
    struct intoto_statement st;
    struct arena arena, kept;
    arena_init(&arena, ARENA_MAX);
    arena_init(&kept, ARENA_MAX);
    struct intoto_submission sub = full_provenance(&arena);
    ck_assert_ptr_null(intoto_statement_head(&kept, statement_of(&arena, &sub), &read_limits, &st));
    arena_done(&arena); /* under ASan, a view left behind is found */
    ck_assert_uint_eq(st.predicate->object.count, 0);
    ck_assert(text_equal(st.predicate_type, T(INTOTO_PROVENANCE_V1)));
    ck_assert(text_equal(st.builder_id, server.builder_id));
    ck_assert(text_equal(st.submitter_principal, server.principal));
    ck_assert(text_equal(st.submitter_method, server.method));
    ck_assert_uint_eq(st.subject_count, 2);
    ck_assert(text_equal(st.subjects[0].name, T("shop \"x\"")));
    ck_assert(text_equal(st.subjects[0].digests[0].value, T(SHA1)));
    ck_assert_int_eq(json_get(st.subjects[0].annotations, "z")->integer, 1);
    arena_done(&kept);
}
END_TEST

/* A list of large documents needs little memory of whoever asked for it. */
START_TEST(test_the_head_of_a_large_statement_is_small) {
    struct intoto_statement st;
    struct arena arena, kept;
    struct buf b;
    arena_init(&arena, ARENA_MAX);
    arena_init(&kept, 8192);
    buf_init_arena(&b, &arena, (size_t)8 << 20);
    buf_put_cstr(&b,
                 "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicateType\":\"t:\","
                 "\"subject\":[{\"digest\":{\"a\":\"b\"},\"content\":\"aGkK\"}],"
                 "\"predicate\":{\"a\":[0");
    for (int i = 0; i < 500000; i++) buf_put_cstr(&b, ",0");
    buf_put_cstr(&b, "]}}");
    ck_assert_ptr_null(intoto_statement_head(&kept, buf_bytes(&b), &read_limits, &st));
    ck_assert(bytes_equal(st.subjects[0].content, BYTES_LIT("hi\n")));
    arena_done(&arena);
    arena_done(&kept);
}
END_TEST

#define SUBJECT "[{\"digest\":{\"sha256\":\"" HEX_A "\"}}]"
#define BEGIN "{\"_type\":\"https://in-toto.io/Statement/v1\""
#define REST ",\"predicateType\":\"t:\",\"subject\":" SUBJECT

static const char *const read_accepted[] = {
    BEGIN REST "}",                                /* SPEC in-toto statement.md */
    BEGIN REST ",\"predicate\":null}",             /* SPEC in-toto statement.md */
    BEGIN REST ",\"predicate\":{},\"extra\":[1]}", /* unknown members are ignored */
    BEGIN
    ",\"predicateType\":\"t:\",\"subject\":[{\"name\":\"n\",\"new\":1,\"uri\":null,\"digest\""
    ":{\"x\":\"y\"}}]}",
};

static const char *const read_refused[] = {
    "[]",
    "{}",
    BEGIN "}",
    "{\"_type\":\"https://in-toto.io/Statement/v0.1\"" REST "}",
    "{\"_type\":1" REST "}",
    BEGIN ",\"subject\":" SUBJECT "}",
    BEGIN ",\"predicateType\":\"\",\"subject\":" SUBJECT "}",
    BEGIN ",\"predicateType\":\"t:\\u0000\",\"subject\":" SUBJECT "}",
    BEGIN ",\"predicateType\":\"t:\"}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":{}}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[1]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{}}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"sha256\":1}}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"sha256\":\"\\u0000\"}}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":[],\"name\":\"\"}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"a\":\"b\"},\"name\":1}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"a\":\"b\"},\"content\":\"!\"}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"a\":\"b\"},\"content\":1}]}",
    BEGIN ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"a\":\"b\"},\"annotations\":1}]}",
    BEGIN
    ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"a\":\"b\"},\"annotations\":"
    "{\"attestd_submitter\":1}}]}",
    BEGIN
    ",\"predicateType\":\"t:\",\"subject\":[{\"digest\":{\"a\":\"b\"},\"annotations\":"
    "{\"attestd_submitter\":{\"principal\":7}}}]}",
    BEGIN REST ",\"predicate\":[]}",
    BEGIN REST ",\"predicate\":{\"a\":1,\"a\":2}}",
    BEGIN ",\"predicateType\":\"https://slsa.dev/provenance/v1\",\"subject\":" SUBJECT
          ",\"predicate\":{\"runDetails\":{\"builder\":{\"id\":1}}}}",
};

START_TEST(test_what_is_read_and_what_is_refused) {
    struct arena arena;
    for (size_t i = 0; i < sizeof read_accepted / sizeof *read_accepted; i++) {
        struct intoto_statement st;
        arena_init(&arena, ARENA_MAX);
        ck_assert_ptr_null(parse(&arena, bytes_of_cstr(read_accepted[i]), &st));
        ck_assert_ptr_nonnull(st.predicate);
        ck_assert_int_eq(st.predicate->type, JSON_OBJECT);
        ck_assert_uint_eq(st.submitter_principal.len, 0);
        arena_done(&arena);
    }
    for (size_t i = 0; i < sizeof read_refused / sizeof *read_refused; i++) {
        struct intoto_statement st = {.subject_count = 7};
        arena_init(&arena, ARENA_MAX);
        CLEANUP(error_freep)
        struct error *err = parse(&arena, bytes_of_cstr(read_refused[i]), &st);
        ck_assert_msg(err != NULL, "accepted %s", read_refused[i]);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert_uint_eq(st.subject_count, 7); /* untouched on failure */
        arena_done(&arena);
    }
}
END_TEST

/* What a document says about builders is not what provenance says. */
START_TEST(test_builder_ids_are_read_from_provenance_alone) {
    struct intoto_statement st;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(
        parse(&arena,
              BYTES_LIT(BEGIN REST ",\"predicate\":{\"runDetails\":{\"builder\":{\"id\":"
                                   "\"https://b.example\"}}}}"),
              &st));
    ck_assert_uint_eq(st.builder_id.len, 0);
    arena_done(&arena);
}
END_TEST

START_TEST(test_subjects_and_digests_are_counted_when_read) {
    static const size_t counts[] = {INTOTO_SUBJECTS_MAX, INTOTO_SUBJECTS_MAX + 1,
                                    INTOTO_DIGESTS_MAX, INTOTO_DIGESTS_MAX + 1};
    for (size_t i = 0; i < 4; i++) {
        struct intoto_statement st;
        struct arena arena;
        struct buf b;
        arena_init(&arena, ARENA_MAX);
        buf_init_arena(&b, &arena, 1 << 20);
        buf_put_cstr(&b, BEGIN ",\"predicateType\":\"t:\",\"subject\":[");
        if (i >= 2) buf_put_cstr(&b, "{\"digest\":{");
        for (size_t k = 0; k < counts[i]; k++)
            if (i < 2)
                buf_printf(&b, "%s{\"digest\":{\"x%zu\":\"y\"}}", k == 0 ? "" : ",", k);
            else
                buf_printf(&b, "%s\"x%zu\":\"y\"", k == 0 ? "" : ",", k);
        buf_put_cstr(&b, i < 2 ? "]}" : "}}]}");
        CLEANUP(error_freep) struct error *err = parse(&arena, buf_bytes(&b), &st);
        ck_assert((err == NULL) == (i % 2 == 0));
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_every_truncation_of_a_statement_is_refused) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = full_provenance(&arena);
    struct bytes whole = statement_of(&arena, &sub);
    for (size_t n = 0; n < whole.len; n++) {
        struct intoto_statement st;
        CLEANUP(error_freep)
        struct error *err = parse(&arena, (struct bytes){whole.data, n}, &st);
        ck_assert_msg(err != NULL, "accepted the first %zu octets", n);
    }
    arena_done(&arena);
}
END_TEST

/* --- verification summaries. SPEC slsa verification_summary "Fields" */

static struct intoto_vsa a_summary(const struct json_value *extension) {
    static const struct intoto_resource inputs[] = {{.digests = digest_a, .digest_count = 1}};
    return (struct intoto_vsa){
        .subject_name = T("registry.example/shop"),
        .subject_digests = digest_a,
        .subject_digest_count = 1,
        .verifier_id = T("https://a.example/verifier/v1"),
        .verifier_version = T("0.1.0"),
        .time_verified_ms = 1767323045000,
        .resource_uri = T("registry.example/shop"),
        .policy_uri = T("https://a.example/policies"),
        .policy_sha256 = T(HEX_B),
        .input_attestations = inputs,
        .input_attestation_count = 1,
        .passed = true,
        .verified_level = T("SLSA_BUILD_LEVEL_1"),
        .extension = extension,
        .principal = T("token:gate"),
        .method = T("token"),
    };
}

#define SUMMARY_TAIL                                                                               \
    "\"policy\":{\"digest\":{\"sha256\":\"" HEX_B                                                  \
    "\"},\"uri\":\"https://a.example/policies\"},"                                                 \
    "\"resourceUri\":\"registry.example/shop\",\"slsaVersion\":\"1.2\","                           \
    "\"timeVerified\":\"2026-01-02T03:04:05Z\","
#define SUMMARY_END                                                                                \
    "\"verifier\":{\"id\":\"https://a.example/verifier/v1\",\"version\":{\"attestd\":\"0.1.0\"}}"  \
    "},\"predicateType\":\"https://slsa.dev/verification_summary/v1\",\"subject\":["               \
    "{\"annotations\":{\"attestd_submitter\":{\"method\":\"token\",\"principal\":\"token:gate\"}"  \
    "},\"digest\":{\"sha256\":\"" HEX_A "\"},\"name\":\"registry.example/shop\"}]}"

START_TEST(test_summary_has_all_required_fields) {
    struct arena arena;
    struct buf b;
    arena_init(&arena, ARENA_MAX);
    buf_init(&b, 4096);
    struct intoto_vsa vsa = a_summary(tree_of(&arena, "{\"b\":1,\"a\":[]}"));
    ck_assert_ptr_null(intoto_put_vsa(&b, &vsa));
    expect_text(buf_bytes(&b),
                "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{"
                "\"attestd_decision\":{\"a\":[],\"b\":1},"
                "\"inputAttestations\":[{\"digest\":{\"sha256\":\"" HEX_A "\"}}]," SUMMARY_TAIL
                "\"verificationResult\":\"PASSED\",\"verifiedLevels\":[\"SLSA_BUILD_LEVEL_1\"]"
                "," SUMMARY_END);
    buf_clear(&b);
    vsa.extension = NULL;
    vsa.passed = false;
    vsa.verified_level = T("FAILED");
    vsa.input_attestation_count = 0;
    ck_assert_ptr_null(intoto_put_vsa(&b, &vsa));
    expect_text(buf_bytes(&b),
                "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{"
                "\"inputAttestations\":[]," SUMMARY_TAIL
                "\"verificationResult\":\"FAILED\",\"verifiedLevels\":[\"FAILED\"]," SUMMARY_END);
    struct intoto_statement st;
    ck_assert_ptr_null(parse(&arena, buf_bytes(&b), &st));
    ck_assert(text_equal(st.submitter_principal, T("token:gate")));
    arena_done(&arena);
    buf_done(&b);
}
END_TEST

/* --- memory */

static struct error *whole(const struct json_value *wide) {
    struct arena arena;
    struct buf b;
    struct intoto_statement st;
    struct intoto_submission sub = of_octets("{\"a\":1}");
    struct intoto_resource subject = one_subject[0];
    subject.annotations = wide;
    sub.subjects = &subject;
    arena_init(&arena, ARENA_MAX);
    buf_init(&b, 1 << 16);
    struct error *err = intoto_check(&arena, &sub, &limits);
    if (err == NULL) err = intoto_put_statement(&b, &sub, &server);
    if (err == NULL) err = parse(&arena, buf_bytes(&b), &st);
    if (err == NULL) err = intoto_statement_head(&arena, buf_bytes(&b), &read_limits, &st);
    buf_done(&b);
    buf_init(&b, 1 << 16);
    sub.kind = INTOTO_PREDICATE_PROVENANCE;
    sub.provenance = (struct intoto_provenance){.build_type = T("t")};
    if (err == NULL) err = intoto_put_statement(&b, &sub, &server);
    buf_done(&b);
    arena_done(&arena);
    return err;
}

START_TEST(test_survives_every_allocation_failure) {
    struct json_member members[40];
    char names[40][8];
    for (size_t i = 0; i < 40; i++) {
        (void)snprintf(names[i], sizeof names[i], "k%zu", 99 - i);
        members[i] = (struct json_member){bytes_of_cstr(names[i]), json_of_int(1)};
    }
    struct json_value wide = json_of_object(members, 40);
    (void)alloc_fail_after(-1);
    ck_assert_ptr_null(whole(&wide));
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 6);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = whole(&wide);
        (void)alloc_fail_after(-1);
        ck_assert_msg(err != NULL, "%ld of %ld", n, needed);
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
    }
}
END_TEST

static Suite *intoto_suite(void) {
    Suite *s = suite_create("intoto");
    TCase *tc = tcase_create("intoto");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_provenance_statement_has_all_fields_in_canonical_order);
    tcase_add_test(tc, test_caller_form_is_the_same_without_the_servers_fields);
    tcase_add_test(tc, test_smallest_provenance);
    tcase_add_test(tc, test_octets_are_spliced_as_given_and_hashed_in_canonical_form);
    tcase_add_test(tc, test_trees_are_written_in_canonical_form);
    tcase_add_test(tc, test_statement_reads_back);
    tcase_add_test(tc, test_the_head_is_all_but_the_predicate_and_borrows_nothing);
    tcase_add_test(tc, test_the_head_of_a_large_statement_is_small);
    tcase_add_test(tc, test_what_is_read_and_what_is_refused);
    tcase_add_test(tc, test_builder_ids_are_read_from_provenance_alone);
    tcase_add_test(tc, test_subjects_and_digests_are_counted_when_read);
    tcase_add_test(tc, test_every_truncation_of_a_statement_is_refused);
    tcase_add_test(tc, test_summary_has_all_required_fields);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(intoto_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
