/* intoto_support: limits, digests, one subject, and a provenance with every field: for the suites
 * of pkg/intoto. */
#ifndef TESTS_INTOTO_SUPPORT_H
#define TESTS_INTOTO_SUPPORT_H

#include <check.h>

#include "base/buf.h"
#include "intoto/intoto.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA1 "1111111111111111111111111111111111111111"
#define T(s) TEXT_LIT(s)
#define ARENA_MAX ((size_t)64 << 20)

static const struct json_limits limits = {.depth_max = 64, .octets_max = (size_t)2 << 20};
static const struct json_limits read_limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                               .octets_max = (size_t)8 << 20};

static const struct intoto_digest digest_a[] = {{T("sha256"), T(HEX_A)}};
static const struct intoto_digest digest_b[] = {
    {T("sha512"), T(HEX_B HEX_B)}, {T("sha256"), T(HEX_B)}, {T("gitCommit"), T(SHA1)}};
static const struct intoto_resource one_subject[] = {
    {.name = T("shop"), .digests = digest_a, .digest_count = 1}};

static const struct intoto_server_fields server = {
    .principal = T("token:ci-1"),
    .method = T("token"),
    .builder_id = T("https://a.example/builder/submitted/v1"),
    .received_ms = 1767323045678,
};

static inline struct json_value *tree_of(struct arena *arena, const char *text) {
    struct json_value *v = arena_alloc(arena, sizeof *v);
    struct json_limits deep = {.depth_max = JSON_DEPTH_CAP, .octets_max = (size_t)2 << 20};
    ck_assert_ptr_null(json_parse(arena, bytes_of_cstr(text), &deep, v));
    return v;
}

static inline struct bytes statement_of(struct arena *arena, const struct intoto_submission *sub) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)8 << 20);
    ck_assert_ptr_null(intoto_put_statement(&b, sub, &server));
    return buf_bytes(&b);
}

/* A provenance with every field set. */
static inline struct intoto_submission full_provenance(struct arena *arena) {
    static const struct intoto_digest git[] = {{T("gitCommit"), T(SHA1)}};
    static struct intoto_resource subjects[2], materials[2], logs[1];
    subjects[0] = (struct intoto_resource){.name = T("shop \"x\""),
                                           .digests = digest_b,
                                           .digest_count = 3,
                                           .annotations = tree_of(arena, "{\"z\":1,\"a\":[]}")};
    subjects[1] = (struct intoto_resource){.digests = digest_a, .digest_count = 1};
    materials[0] =
        (struct intoto_resource){.uri = T("git+https://git.example/shop@refs/heads/main"),
                                 .digests = git,
                                 .digest_count = 1,
                                 .annotations = tree_of(arena, "{\"role\":\"code\"}")};
    materials[1] = (struct intoto_resource){.name = T("base"),
                                            .content = BYTES_LIT("hi\n"),
                                            .has_content = true,
                                            .download_location = T("https://d.example/b"),
                                            .media_type = T("text/plain")};
    logs[0] = (struct intoto_resource){.uri = T("https://l.example/1")};
    return (struct intoto_submission){
        .subjects = subjects,
        .subject_count = 2,
        .kind = INTOTO_PREDICATE_PROVENANCE,
        .provenance = {.build_type = T("https://b.example/make/v1"),
                       .external_parameters = tree_of(arena, "{\"target\":\"all\",\"n\":[1,2.5]}"),
                       .internal_parameters = tree_of(arena, "{\"runner\":7,\"attempt\":1}"),
                       .resolved_dependencies = materials,
                       .resolved_dependency_count = 2,
                       .byproducts = logs,
                       .byproduct_count = 1,
                       .invocation_id = T("run/7"),
                       .started_on = {true, 1767323000, 0},
                       .finished_on = {true, 1767323044, 500000000}},
    };
}

static inline struct intoto_submission of_octets(const char *octets) {
    return (struct intoto_submission){.subjects = one_subject,
                                      .subject_count = 1,
                                      .kind = INTOTO_PREDICATE_OCTETS,
                                      .octets = bytes_of_cstr(octets),
                                      .predicate_type = T("https://p.example/v1")};
}

#endif
