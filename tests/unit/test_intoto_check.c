/* Suite of pkg/intoto: what callers may submit. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "intoto_support.h"

static struct error *parse(struct arena *arena, struct bytes payload,
                           struct intoto_statement *out) {
    return intoto_statement_parse(arena, payload, &read_limits, out);
}

/* Checks `sub`; it must be refused for `field` with INVALID_FIELD. */
static void expect_field(struct intoto_submission sub, const char *field) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    CLEANUP(error_freep) struct error *err = intoto_check(&arena, &sub, &limits);
    ck_assert_msg(err != NULL, "accepted, expected refusal of %s", field);
    ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(error_field(err), field);
    ck_assert_int_eq(error_reason(err), REASON_INVALID_FIELD);
    arena_done(&arena);
}

static void expect_accepted(struct intoto_submission sub, const char *what) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    CLEANUP(error_freep) struct error *err = intoto_check(&arena, &sub, &limits);
    ck_assert_msg(err == NULL, "%s: %s", what, err == NULL ? "" : error_message(err));
    arena_done(&arena);
}

static struct intoto_submission of_subject(const struct intoto_resource *subject) {
    struct intoto_submission sub = of_octets("{}");
    sub.subjects = subject;
    return sub;
}

START_TEST(test_subjects_are_counted) {
    static struct intoto_resource many[INTOTO_SUBJECTS_MAX + 1];
    struct intoto_submission sub = of_octets("{}");
    for (size_t i = 0; i <= INTOTO_SUBJECTS_MAX; i++) many[i] = one_subject[0];
    sub.subjects = many;
    sub.subject_count = 0;
    expect_field(sub, "subject");
    sub.subject_count = INTOTO_SUBJECTS_MAX + 1;
    expect_field(sub, "subject");
    sub.subject_count = INTOTO_SUBJECTS_MAX;
    expect_accepted(sub, "1,024 subjects");
}
END_TEST

static const struct {
    const char *algorithm, *value;
    bool ok;
} digests[] = {
    {"sha256", HEX_B, false}, /* twice */
    {"sha512", HEX_A HEX_B, true},
    {"sha512", HEX_A, false},
    {"sha384", HEX_A "cccccccccccccccccccccccccccccccc", true},
    {"sha1", SHA1, true},
    {"sha1", "111111111111111111111111111111111111111A", false},
    {"gitCommit", SHA1, true},
    {"gitCommit", HEX_A, true},
    {"gitCommit", "abc", false},
    {"gce_image_id", "8970095005306000053", true},
    {"arn", "arn:aws:x::1:y/z", true},
    {"dirHash1", "h1:0a==", true},
    {"blake3", HEX_A, true},
    {"x", "", false},
    {"x", "a b", false},
    {"x", "\xc3\xa9", false},
    {"x", "a\n", false},
    {"", "a", false},
    {"a:b", "a", false},
    {"a b", "a", false},
    {"\xc3\xa9", "a", false},
};

/* SPEC in-toto digest_set.md */
START_TEST(test_digests) {
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
        struct intoto_digest two[2] = {
            digest_a[0], {text_of_cstr(digests[i].algorithm), text_of_cstr(digests[i].value)}};
        struct intoto_resource subject = {.digests = two, .digest_count = 2};
        if (digests[i].ok)
            expect_accepted(of_subject(&subject), digests[i].algorithm);
        else
            expect_field(of_subject(&subject), "subject[0].digest");
    }
}
END_TEST

static const struct {
    const char *algorithm, *value;
} not_a_sha256[] = {
    {"sha256", "aa"},
    {"sha256", HEX_A "a"},
    {"sha256", "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"sha256", "gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    {"SHA256", HEX_A},
    {"sha512", HEX_A HEX_A},
};

START_TEST(test_every_subject_needs_a_sha256) {
    for (size_t i = 0; i < sizeof not_a_sha256 / sizeof *not_a_sha256; i++) {
        struct intoto_digest d = {text_of_cstr(not_a_sha256[i].algorithm),
                                  text_of_cstr(not_a_sha256[i].value)};
        struct intoto_resource two[2] = {one_subject[0], {.digests = &d, .digest_count = 1}};
        struct intoto_submission sub = of_subject(two);
        sub.subject_count = 2;
        expect_field(sub, "subject[1].digest");
    }
    struct intoto_resource none = {.name = T("n")};
    expect_field(of_subject(&none), "subject[0].digest");
}
END_TEST

START_TEST(test_digests_are_counted) {
    struct intoto_digest many[INTOTO_DIGESTS_MAX + 1];
    char names[INTOTO_DIGESTS_MAX + 1][8];
    many[0] = digest_a[0];
    for (size_t i = 1; i <= INTOTO_DIGESTS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "x%zu", i);
        many[i] = (struct intoto_digest){text_of_cstr(names[i]), T("v")};
    }
    struct intoto_resource subject = {.digests = many, .digest_count = INTOTO_DIGESTS_MAX};
    expect_accepted(of_subject(&subject), "32 digests");
    subject.digest_count++;
    expect_field(of_subject(&subject), "subject[0].digest");
}
END_TEST

static const struct {
    const char *type;
    bool ok, reserved;
} types[] = {
    {"https://in-toto.io/attestation/test-result/v0.1", true, false},
    {"https://cyclonedx.org/bom", true, false},
    {"urn:x", true, false},
    {"https://slsa.dev/provenance-like/v1", true, false},
    {"https://in-toto.io/attestation/link/v0.3", true, false},
    {"https://a.example/xxxxxxxxx/y", true, false}, /* ends a word where reserved types do */
    {"https://a.example/xxxxxxxxxxx/y", true, false},
    {"https://a.example/xxxxxxxxxxxxxxxxxxx/y", true, false},
    {"", false, false},
    {"no scheme", false, false},
    {"chainloop.dev/attestation/v0.2", false, false},
    {"1x:y", false, false}, /* SPEC rfc3986 3 */
    {"https:", false, false},
    {"https://a b", false, false},
    {"https://\xc3\xa9.example/", false, false},
    {"https://a.example/\"", false, false},
    {"https://slsa.dev/provenance/v1", false, true},
    {"https://slsa.dev/provenance/v0.2", false, true},
    {"https://slsa.dev/provenance/v1.0", false, true},
    {"https://slsa.dev/provenance", false, true},
    {"https://SLSA.dev/Provenance/v1", false, true},
    {"https://slsa.dev/provenance?v1", false, true},
    {"https://in-toto.io/Provenance/v0.1", false, true},
    {"https://slsa.dev/verification_summary/v1", false, true},
    {"https://slsa.dev/verification_summary/v0.2", false, true},
};

START_TEST(test_predicate_types) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct arena arena;
        struct intoto_submission sub = of_octets("{}");
        sub.predicate_type = text_of_cstr(types[i].type);
        arena_init(&arena, ARENA_MAX);
        CLEANUP(error_freep) struct error *err = intoto_check(&arena, &sub, &limits);
        ck_assert_msg((err == NULL) == types[i].ok, "%s", types[i].type);
        if (err != NULL) {
            ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
            ck_assert_int_eq(error_reason(err), types[i].reserved ? REASON_PREDICATE_TYPE_RESERVED
                                                                  : REASON_INVALID_FIELD);
        }
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_names_have_bounds) {
    static char name[INTOTO_TEXT_MAX + 2];
    memset(name, 'x', sizeof name);
    name[1] = ':';
    struct intoto_submission sub = of_octets("{}");
    sub.predicate_type = (struct text){name, INTOTO_TEXT_MAX};
    expect_accepted(sub, "a long type");
    sub.predicate_type.len++;
    expect_field(sub, "predicate_type");
    struct intoto_digest two[2] = {digest_a[0], {{name + 2, INTOTO_ALGORITHM_MAX}, T("v")}};
    struct intoto_resource subject = {.digests = two, .digest_count = 2};
    expect_accepted(of_subject(&subject), "a long algorithm");
    two[1].algorithm.len++;
    expect_field(of_subject(&subject), "subject[0].digest");
    two[1] = (struct intoto_digest){T("x"), {name + 2, INTOTO_DIGEST_VALUE_MAX}};
    expect_accepted(of_subject(&subject), "a long value");
    two[1].value.len++;
    expect_field(of_subject(&subject), "subject[0].digest");
}
END_TEST

START_TEST(test_want_of_memory_is_not_the_callers_fault) {
    struct arena arena;
    struct intoto_submission sub = of_octets("{\"a\":[1,2,3]}");
    for (size_t max = 0; max < 200; max += 8) {
        arena_init(&arena, max);
        CLEANUP(error_freep) struct error *err = intoto_check(&arena, &sub, &limits);
        ck_assert(err == NULL || error_code(err) == ERROR_RESOURCE_EXHAUSTED);
        ck_assert(err != NULL || max > 64);
        arena_done(&arena);
    }
}
END_TEST

/* The same rule for trees: another kind must not be another door. */
START_TEST(test_reserved_types_are_refused_as_trees_too) {
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission sub = of_octets("{}");
    sub.kind = INTOTO_PREDICATE_TREE;
    sub.tree = tree_of(&arena, "{}");
    sub.predicate_type = T("https://slsa.dev/provenance/v1");
    CLEANUP(error_freep) struct error *err = intoto_check(&arena, &sub, &limits);
    ck_assert_int_eq(error_reason(err), REASON_PREDICATE_TYPE_RESERVED);
    arena_done(&arena);
}
END_TEST

START_TEST(test_documents_are_json_objects_within_limits) {
    static const char *const refused[] = {
        "", "[]", "1", "{", "{}{}", "{\"a\":1,\"a\":2}", "{\"a\":18446744073709551616}", "\xff",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_field(of_octets(refused[i]), "json_bytes");
    char deep[400] = {0};
    for (int i = 0; i < 64; i++) memcpy(deep + 5 * i, "{\"a\":", 5);
    deep[320] = '1';
    memset(deep + 321, '}', 64);
    expect_accepted(of_octets(deep), "64 deep");
    memmove(deep + 5, deep, 385);
    memcpy(deep, "{\"a\":", 5);
    deep[390] = '}';
    expect_field(of_octets(deep), "json_bytes");
    struct arena arena; /* trees come from elsewhere, and have the same bound */
    arena_init(&arena, ARENA_MAX);
    struct intoto_submission tree = of_octets("{}");
    tree.kind = INTOTO_PREDICATE_TREE;
    tree.tree = tree_of(&arena, deep);
    expect_field(tree, "json");
    struct intoto_resource subject = one_subject[0];
    subject.annotations = tree.tree;
    expect_field(of_subject(&subject), "subject[0].annotations");
    arena_done(&arena);
    struct intoto_submission sub = of_octets("{}");
    sub.kind = INTOTO_PREDICATE_UNSET;
    expect_field(sub, "predicate");
    sub.kind = INTOTO_PREDICATE_TREE;
    expect_field(sub, "json");
}
END_TEST

/* A document of the greatest depth still reads back from inside its statement. */
START_TEST(test_deepest_accepted_trees_read_back) {
    struct arena arena;
    struct intoto_statement st;
    char deep[400] = {0};
    arena_init(&arena, ARENA_MAX);
    for (int i = 0; i < 64; i++) memcpy(deep + 5 * i, "{\"a\":", 5);
    deep[320] = '1';
    memset(deep + 321, '}', 64);
    struct intoto_submission sub = full_provenance(&arena);
    struct intoto_resource material = {.uri = T("u:"), .annotations = tree_of(&arena, deep)};
    sub.provenance.resolved_dependencies = &material;
    sub.provenance.resolved_dependency_count = 1;
    ck_assert_ptr_null(intoto_check(&arena, &sub, &limits));
    ck_assert_ptr_null(parse(&arena, statement_of(&arena, &sub), &st));
    sub = of_octets(deep);
    ck_assert_ptr_null(intoto_check(&arena, &sub, &limits));
    ck_assert_ptr_null(parse(&arena, statement_of(&arena, &sub), &st));
    arena_done(&arena);
}
END_TEST

START_TEST(test_numbers_that_cannot_be_read_back_are_refused_in_trees) {
    static const double numbers[] = {1e20, -1e19, INFINITY, NAN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct json_member m = {BYTES_LIT("n"), {.type = JSON_DOUBLE, .number = numbers[i]}};
        struct json_value tree = json_of_object(&m, 1);
        struct intoto_submission sub = of_octets("{}");
        sub.kind = INTOTO_PREDICATE_TREE;
        sub.tree = &tree;
        expect_field(sub, "json");
        struct intoto_resource subject = one_subject[0];
        subject.annotations = &tree;
        expect_field(of_subject(&subject), "subject[0].annotations");
    }
    expect_accepted(of_octets("{\"n\":1e20}"), "a number whose digits are kept");
}
END_TEST

static const char *const reserved_annotations[] = {
    "{\"attestd_submitter\":{\"principal\":\"token:admin\"}}",
    "{\"attestd_x\":1}",
    "{\"a\":{\"b\":[{\"attestd_\":null}]}}",
};

START_TEST(test_annotations_must_not_hold_the_servers_names) {
    for (size_t i = 0; i < sizeof reserved_annotations / sizeof *reserved_annotations; i++) {
        struct arena arena;
        arena_init(&arena, ARENA_MAX);
        const struct json_value *bad = tree_of(&arena, reserved_annotations[i]);
        struct intoto_resource subjects[2] = {one_subject[0], one_subject[0]};
        subjects[1].annotations = bad;
        struct intoto_submission sub = of_subject(subjects);
        sub.subject_count = 2;
        expect_field(sub, "subject[1].annotations");

        struct intoto_resource materials[2] = {{.uri = T("u:")},
                                               {.uri = T("u:"), .annotations = bad}};
        sub = full_provenance(&arena);
        sub.provenance.resolved_dependencies = materials;
        expect_field(sub, "provenance.resolved_dependencies[1].annotations");
        sub = full_provenance(&arena);
        sub.provenance.byproducts = &materials[1];
        expect_field(sub, "provenance.byproducts[0].annotations");
        sub = full_provenance(&arena);
        sub.provenance.internal_parameters = bad;
        expect_field(sub, "provenance.internal_parameters");
        sub = full_provenance(&arena);
        sub.provenance.external_parameters = bad;
        expect_accepted(sub, "external parameters are the caller's own");
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_annotations_inside_documents_must_not_hold_them_either) {
    expect_field(of_octets("{\"configuration\":[{\"annotations\":{\"attestd_submitter\":1}}]}"),
                 "json_bytes");
    expect_field(of_octets("{\"x\":{\"internalParameters\":{\"y\":{\"attestd_z\":1}}}}"),
                 "json_bytes");
    expect_accepted(of_octets("{\"attestd_x\":1,\"annotations\":{\"my_attestd_\":1}}"),
                    "names elsewhere");
}
END_TEST

START_TEST(test_other_fields) {
    static char long_name[INTOTO_TEXT_MAX + 1];
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    memset(long_name, 'n', sizeof long_name);
    struct intoto_resource subject = one_subject[0];
    subject.name = (struct text){long_name, INTOTO_TEXT_MAX};
    expect_accepted(of_subject(&subject), "a long name");
    subject.name.len++;
    expect_field(of_subject(&subject), "subject[0].name");
    subject.name = T("a\nb");
    expect_field(of_subject(&subject), "subject[0].name");
    subject.name = T("n");
    subject.uri = T("\x7f");
    expect_field(of_subject(&subject), "subject[0].uri");
    subject.uri = T("");
    subject.annotations = tree_of(&arena, "[]");
    expect_field(of_subject(&subject), "subject[0].annotations");

    struct intoto_submission sub = full_provenance(&arena);
    sub.provenance.build_type = T("");
    expect_field(sub, "provenance.build_type");
    /* SPEC slsa-v1.2 build-provenance: a TypeURI */
    static const char *const no_uris[] = {"make", "make v1", "1https://ci.example/make",
                                          "https://ci.example/a b", "https://ci.example/\u00e4"};
    for (size_t i = 0; i < sizeof no_uris / sizeof *no_uris; i++) {
        sub.provenance.build_type = text_of_cstr(no_uris[i]);
        expect_field(sub, "provenance.build_type");
    }
    sub.provenance.build_type = T("tag:ci.example,2026:make");
    expect_accepted(sub, "any URI");
    sub = full_provenance(&arena);
    sub.provenance.external_parameters = tree_of(&arena, "[]");
    expect_field(sub, "provenance.external_parameters");
    sub = full_provenance(&arena);
    sub.provenance.started_on = (struct intoto_time){true, 253402300800, 0};
    expect_field(sub, "provenance.started_on");
    sub = full_provenance(&arena);
    sub.provenance.finished_on = (struct intoto_time){true, 0, -1};
    expect_field(sub, "provenance.finished_on");
    /* SPEC in-toto resource_descriptor.md */
    sub.provenance.finished_on.set = false; /* then the rest is nobody's word */
    expect_accepted(sub, "a time that is not set");
    struct intoto_resource nothing = {.name = T("only a name")};
    sub = full_provenance(&arena);
    sub.provenance.byproducts = &nothing;
    expect_field(sub, "provenance.byproducts[0]");
    sub = full_provenance(&arena);
    sub.predicate_type = T("https://p.example/v1");
    expect_field(sub, "predicate_type");
    sub.predicate_type = T(INTOTO_PROVENANCE_V1);
    expect_accepted(sub, "the type that it is");
    arena_done(&arena);
}
END_TEST

START_TEST(test_a_model_signature_has_one_subject) {
    struct intoto_resource two[2] = {one_subject[0], one_subject[0]};
    struct intoto_submission sub = of_subject(two);
    sub.predicate_type = T(INTOTO_MODEL_SIGNATURE_V1);
    expect_accepted(sub, "one subject");
    sub.subject_count = 2;
    expect_field(sub, "subject");
}
END_TEST

START_TEST(test_one_subject_alone) {
    struct intoto_resource subject = {.name = T("n"), .digests = digest_b, .digest_count = 1};
    ck_assert_ptr_null(intoto_check_subject(one_subject, "subject", &limits));
    CLEANUP(error_freep) struct error *err = intoto_check_subject(&subject, "subject", &limits);
    ck_assert_str_eq(error_field(err), "subject.digest");
    struct buf b;
    buf_init(&b, 1024);
    intoto_put_resource(&b, one_subject);
    ck_assert(bytes_equal(buf_bytes(&b),
                          BYTES_LIT("{\"digest\":{\"sha256\":\"" HEX_A "\"},\"name\":\"shop\"}")));
    buf_done(&b);
}
END_TEST

static Suite *intoto_check_suite(void) {
    Suite *s = suite_create("intoto_check");
    TCase *tc = tcase_create("check");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_subjects_are_counted);
    tcase_add_test(tc, test_digests);
    tcase_add_test(tc, test_every_subject_needs_a_sha256);
    tcase_add_test(tc, test_digests_are_counted);
    tcase_add_test(tc, test_predicate_types);
    tcase_add_test(tc, test_names_have_bounds);
    tcase_add_test(tc, test_want_of_memory_is_not_the_callers_fault);
    tcase_add_test(tc, test_reserved_types_are_refused_as_trees_too);
    tcase_add_test(tc, test_documents_are_json_objects_within_limits);
    tcase_add_test(tc, test_deepest_accepted_trees_read_back);
    tcase_add_test(tc, test_numbers_that_cannot_be_read_back_are_refused_in_trees);
    tcase_add_test(tc, test_annotations_must_not_hold_the_servers_names);
    tcase_add_test(tc, test_annotations_inside_documents_must_not_hold_them_either);
    tcase_add_test(tc, test_other_fields);
    tcase_add_test(tc, test_a_model_signature_has_one_subject);
    tcase_add_test(tc, test_one_subject_alone);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(intoto_check_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
