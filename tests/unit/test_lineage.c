/* Suite of pkg/lineage: edges of every kind of statement; walks over graphs in memory. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "crypto/hash.h"
#include "lineage/lineage.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HEX_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define SHA1 "1111111111111111111111111111111111111111"
#define T(s) TEXT_LIT(s)
#define ARENA_MAX ((size_t)64 << 20)

static const struct json_limits limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                          .octets_max = (size_t)8 << 20};

#define STATEMENT(type, predicate)                                                                 \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"s\",\"digest\":{"     \
    "\"sha256\":\"" HEX_A "\",\"gitCommit\":\"" SHA1 "\"}},{\"digest\":{\"sha256\":\"" HEX_A       \
    "\"}}],\"predicateType\":\"" type "\",\"predicate\":" predicate "}"

#define PROVENANCE(materials)                                                                      \
    STATEMENT(INTOTO_PROVENANCE_V1,                                                                \
              "{\"buildDefinition\":{\"resolvedDependencies\":" materials "}}")

#define MODEL(resources)                                                                           \
    STATEMENT(INTOTO_MODEL_SIGNATURE_V1, "{\"serialization\":{},\"resources\":" resources "}")

struct edges {
    const struct lineage_edge *list;
    size_t count;
};

static struct error *edges_of(struct arena *arena, const char *payload, struct edges *out) {
    struct intoto_statement st;
    TRY(intoto_statement_parse(arena, bytes_of_cstr(payload), &limits, &st));
    return lineage_edges(arena, &st, bytes_of_cstr(payload), &out->list, &out->count);
}

/* Edges as "from kind to name" lines. */
static void expect_edges(const char *payload, const char *want) {
    struct arena arena;
    struct edges edges;
    struct buf b;
    arena_init(&arena, ARENA_MAX);
    buf_init(&b, 1 << 16);
    ck_assert_ptr_null(edges_of(&arena, payload, &edges));
    for (size_t i = 0; i < edges.count; i++) {
        const struct lineage_edge *e = &edges.list[i];
        buf_printf(&b, BYTES_FMT " %s " BYTES_FMT " " BYTES_FMT "\n", BYTES_ARG(e->from),
                   lineage_kind_name(e->kind), BYTES_ARG(e->to), BYTES_ARG(e->to_name));
        ck_assert_int_eq(e->assurance, LINEAGE_DECLARED);
    }
    ck_assert_msg(bytes_equal(buf_bytes(&b), bytes_of_cstr(want)), "\n%.*s\n%s", (int)b.len,
                  (const char *)b.data, want);
    buf_done(&b);
    arena_done(&arena);
}

#define S1 "gitCommit:" SHA1
#define S2 "sha256:" HEX_A
#define MB "sha256:" HEX_B
#define MC "sha256:" HEX_C

START_TEST(test_provenance_edges_by_role) {
    expect_edges(PROVENANCE("[{\"uri\":\"u:b\",\"digest\":{\"sha256\":\"" HEX_B "\"},"
                            "\"annotations\":{\"role\":\"base-model\"}},"
                            "{\"name\":\"c\",\"uri\":\"u:c\",\"digest\":{\"sha256\":\"" HEX_C
                            "\"},\"annotations\":{\"role\":\"dataset\"}}]"),
                 S1 " derived-as " MB " u:b\n" S1 " trained-on " MC " c\n" S2 " derived-as " MB
                    " u:b\n" S2 " trained-on " MC " c\n");
    expect_edges(PROVENANCE("[{\"uri\":\"u:b\",\"digest\":{\"sha256\":\"" HEX_B "\"},"
                            "\"annotations\":{\"role\":\"tokenizer\"}},"
                            "{\"uri\":\"u:c\",\"digest\":{\"sha256\":\"" HEX_C
                            "\"},\"annotations\":{\"role\":7}}]"),
                 S1 " built-from " MB " u:b\n" S1 " built-from " MC " u:c\n" S2 " built-from " MB
                    " u:b\n" S2 " built-from " MC " u:c\n");
}
END_TEST

START_TEST(test_every_digest_of_a_material_is_a_node_and_none_makes_no_edge) {
    expect_edges(PROVENANCE("[{\"uri\":\"u:x\"},{\"name\":\"m\",\"digest\":{\"sha256\":\"" HEX_B
                            "\",\"sha1\":\"" SHA1 "\"}}]"),
                 S1 " built-from sha1:" SHA1 " m\n" S1 " built-from " MB " m\n" S2
                    " built-from sha1:" SHA1 " m\n" S2 " built-from " MB " m\n");
    expect_edges(PROVENANCE("[]"), "");
    expect_edges(PROVENANCE("null"), "");
    expect_edges(STATEMENT(INTOTO_PROVENANCE_V1, "{}"), "");
}
END_TEST

START_TEST(test_a_material_listed_twice_is_one_edge_with_its_first_name) {
    expect_edges(PROVENANCE("[{\"name\":\"first\",\"digest\":{\"sha256\":\"" HEX_B "\"}},"
                            "{\"name\":\"second\",\"digest\":{\"sha256\":\"" HEX_B "\"}},"
                            "{\"name\":\"third\",\"digest\":{\"sha256\":\"" HEX_B "\"},"
                            "\"annotations\":{\"role\":\"dataset\"}}]"),
                 S1 " built-from " MB " first\n" S1 " trained-on " MB " third\n" S2
                    " built-from " MB " first\n" S2 " trained-on " MB " third\n");
}
END_TEST

START_TEST(test_model_signature_contains_its_files) {
    expect_edges(
        MODEL("[{\"name\":\"a.bin\",\"algorithm\":\"sha256\",\"digest\":\"" HEX_B "\"},"
              "{\"name\":\"b.bin:0:5\",\"algorithm\":\"blake3\",\"digest\":\"" HEX_C "\"}]"),
        S1 " contains blake3:" HEX_C " b.bin:0:5\n" S1 " contains " MB " a.bin\n" S2
           " contains blake3:" HEX_C " b.bin:0:5\n" S2 " contains " MB " a.bin\n");
}
END_TEST

START_TEST(test_other_attestations_describe_their_subjects) {
    static const char *const described[] = {
        STATEMENT("https://cyclonedx.org/bom", "{}"),
        STATEMENT("https://spdx.dev/Document/v2.3", "{}"),
        STATEMENT("https://in-toto.io/attestation/test-result/v0.1", "{}"),
        STATEMENT("https://in-toto.io/attestation/vulns/v0.2", "{}"),
        STATEMENT("https://any.example/thing", "{\"resources\":7}"),
    };
    for (size_t i = 0; i < sizeof described / sizeof *described; i++) {
        struct arena arena;
        struct edges edges;
        char node[80];
        arena_init(&arena, ARENA_MAX);
        ck_assert_ptr_null(edges_of(&arena, described[i], &edges));
        struct sha256 digest = sha256_of(bytes_of_cstr(described[i]));
        int at = snprintf(node, sizeof node, "sha256:");
        for (size_t j = 0; j < 32; j++, at += 2)
            (void)snprintf(node + at, 3, "%02x", digest.octets[j]);
        ck_assert_uint_eq(edges.count, 2);
        ck_assert_int_eq(edges.list[1].kind, LINEAGE_DESCRIBED_BY);
        ck_assert(text_equal(edges.list[1].from, T(S2)));
        ck_assert(text_equal(edges.list[1].to, text_of_cstr(node)));
        ck_assert(edges.list[1].to_name.len > 0); /* the predicate type */
        arena_done(&arena);
    }
    expect_edges(STATEMENT("https://slsa.dev/verification_summary/v1", "{}"), "");
    expect_edges(STATEMENT("https://in-toto.io/attestation/svr/v0.2", "{}"), "");
}
END_TEST

static void expect_refused(const char *payload, enum error_code code, enum reason reason) {
    struct arena arena;
    struct edges edges = {.count = 7};
    arena_init(&arena, ARENA_MAX);
    CLEANUP(error_freep) struct error *err = edges_of(&arena, payload, &edges);
    ck_assert_msg(err != NULL, "accepted %s", payload);
    ck_assert_int_eq(error_code(err), code);
    if (reason != REASON_NONE)
        ck_assert_str_eq(reason_name(error_reason(err)), reason_name(reason));
    ck_assert_uint_eq(edges.count, 7);
    arena_done(&arena);
}

START_TEST(test_malformed_lists_are_refused) {
    static const char *const payloads[] = {
        PROVENANCE("{}"),
        PROVENANCE("[1]"),
        PROVENANCE("[{\"digest\":{\"sha256\":\"x\"}}]"),
        PROVENANCE("[{\"digest\":{\"a:b\":\"x\"}}]"),
        MODEL("null"),
        MODEL("{}"),
        MODEL("[{}]"),
        MODEL("[1]"),
        MODEL("[{\"name\":\"\\u0000\",\"algorithm\":\"sha256\",\"digest\":\"" HEX_B "\"}]"),
        MODEL("[{\"name\":\"a\",\"algorithm\":\"sha256\",\"digest\":\"" SHA1 "\"}]"),
        MODEL("[{\"name\":\"a\",\"algorithm\":\"\",\"digest\":\"" HEX_B "\"}]"),
    };
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        expect_refused(payloads[i], ERROR_INVALID_ARGUMENT,
                       strstr(payloads[i], INTOTO_MODEL_SIGNATURE_V1) == NULL
                           ? REASON_NONE
                           : REASON_INVALID_FIELD);
}
END_TEST

START_TEST(test_too_many_edges_are_refused_and_never_cut) {
    static const int counts[] = {LINEAGE_EDGES_MAX / 2, LINEAGE_EDGES_MAX / 2 + 1};
    for (size_t i = 0; i < 2; i++) {
        struct arena arena;
        struct edges edges;
        struct buf b;
        arena_init(&arena, ARENA_MAX);
        buf_init(&b, (size_t)8 << 20);
        buf_put_cstr(&b, "[");
        for (int j = 0; j < counts[i]; j++)
            buf_printf(&b, "%s{\"digest\":{\"sha256\":\"%064x\"}}", j == 0 ? "" : ",", j);
        buf_put_cstr(&b, "]");
        buf_put_u8(&b, 0);
        struct buf payload;
        buf_init(&payload, (size_t)8 << 20);
        buf_printf(&payload,
                   "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{"
                   "\"sha256\":\"" HEX_A
                   "\",\"x\":\"y\"}}],\"predicateType\":\"%s\",\"predicate\":"
                   "{\"buildDefinition\":{\"resolvedDependencies\":%s}}}",
                   INTOTO_PROVENANCE_V1, (const char *)b.data);
        buf_put_u8(&payload, 0);
        if (i == 0) {
            ck_assert_ptr_null(edges_of(&arena, (const char *)payload.data, &edges));
            ck_assert_uint_eq(edges.count, LINEAGE_EDGES_MAX);
        } else {
            expect_refused((const char *)payload.data, ERROR_RESOURCE_EXHAUSTED,
                           REASON_MESSAGE_TOO_LARGE);
        }
        buf_done(&payload);
        buf_done(&b);
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_names_of_kinds_and_nodes) {
    ck_assert_str_eq(lineage_kind_name(LINEAGE_TRAINED_ON), "trained-on");
    ck_assert_str_eq(lineage_kind_name(LINEAGE_KIND_UNSET), "");
    ck_assert_int_eq(lineage_kind_from_name(BYTES_LIT("described-by")), LINEAGE_DESCRIBED_BY);
    ck_assert_int_eq(lineage_kind_from_name(BYTES_LIT("")), LINEAGE_KIND_UNSET);
    ck_assert_int_eq(lineage_kind_from_name(BYTES_LIT("built-fro")), LINEAGE_KIND_UNSET);
    ck_assert_str_eq(lineage_assurance_name(LINEAGE_DECLARED), "declared");
    ck_assert(lineage_node_check(T(S2)));
    ck_assert(lineage_node_check(T("arn:aws:x:y")));
    ck_assert(!lineage_node_check(T("")));
    ck_assert(!lineage_node_check(T("sha256")));
    ck_assert(!lineage_node_check(T("sha256:")));
    ck_assert(!lineage_node_check(T(":a")));
    ck_assert(!lineage_node_check(T("sha256:xyz")));
}
END_TEST

/* --- walks over a graph in memory: edges of short texts, in the order of the table */

struct graph_edge {
    const char *from, *to;
    uint64_t index;
    enum lineage_kind kind;
};

struct graph {
    const struct graph_edge *edges;
    size_t count;
    size_t asked; /* how many edges were handed out */
    bool broken;
};

static struct error *graph_edges(void *ctx, struct text node, bool up,
                                 bool (*each)(void *each_ctx, const struct lineage_found *edge),
                                 void *each_ctx) {
    struct graph *g = ctx;
    if (g->broken) return error_new(ERROR_UNAVAILABLE, "broken");
    for (size_t i = 0; i < g->count; i++) {
        const struct graph_edge *e = &g->edges[i];
        char other[16] = {0}; /* holds until each returns, and no longer */
        if (!text_equal(node, text_of_cstr(up ? e->from : e->to))) continue;
        (void)snprintf(other, sizeof other, "%s", up ? e->to : e->from);
        struct lineage_found found = {
            .other = text_of_cstr(other),
            .other_name = up ? text_of_cstr("called") : (struct text){0},
            .kind = e->kind == LINEAGE_KIND_UNSET ? LINEAGE_BUILT_FROM : e->kind,
            .assurance = LINEAGE_DECLARED,
            .index = e->index,
        };
        g->asked++;
        bool more = each(each_ctx, &found);
        memset(other, 'x', sizeof other - 1);
        if (!more) break;
    }
    return NULL;
}

static struct lineage_query query_of(const char *start, enum lineage_direction direction,
                                     uint32_t depth) {
    return (struct lineage_query){.start = text_of_cstr(start),
                                  .direction = direction,
                                  .depth = depth,
                                  .nodes_max = LINEAGE_NODES_MAX,
                                  .edges_max = LINEAGE_EDGES_SHOWN_MAX,
                                  .as_of = UINT64_MAX};
}

static void put_result(struct buf *b, const struct lineage_result *r) {
    for (size_t i = 0; i < r->node_count; i++)
        buf_printf(b, "%s" BYTES_FMT "%u", i == 0 ? "" : " ", BYTES_ARG(r->nodes[i].digest),
                   r->nodes[i].depth);
    buf_put_cstr(b, " |");
    for (size_t i = 0; i < r->edge_count; i++)
        buf_printf(b, " " BYTES_FMT BYTES_FMT "%u", BYTES_ARG(r->edges[i].from),
                   BYTES_ARG(r->edges[i].to), (unsigned)r->edges[i].index);
    buf_put_cstr(b, r->truncated ? " ..." : "");
}

/* Nodes with depth, then edges with index, then "..." where truncated. */
static void expect_walk(struct graph *g, const struct lineage_query *q, const char *want) {
    struct lineage_source src = {graph_edges, g};
    struct lineage_result r;
    struct arena arena;
    struct buf b;
    arena_init(&arena, ARENA_MAX);
    buf_init(&b, 1 << 16);
    ck_assert_ptr_null(lineage_trace(&arena, &src, q, &r));
    put_result(&b, &r);
    for (size_t i = 0; i < r.edge_count; i++) {
        ck_assert_uint_lt(r.edges[i].from_node, r.node_count);
        ck_assert(text_equal(r.nodes[r.edges[i].to_node].digest, r.edges[i].to));
    }
    ck_assert_msg(bytes_equal(buf_bytes(&b), bytes_of_cstr(want)), "\n%.*s\n%s", (int)b.len,
                  (const char *)b.data, want);
    buf_done(&b);
    arena_done(&arena);
}

/* d <- b <- a and d <- c <- a: a was built from b and c, both from d; e too was built from d. */
static const struct graph_edge diamond[] = {
    {"a", "b", 1, 0}, {"a", "c", 1, 0}, {"b", "d", 2, 0}, {"c", "d", 3, 0}, {"e", "d", 4, 0},
};

START_TEST(test_diamond) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_query q = query_of("a", LINEAGE_UP, 5);
    expect_walk(&g, &q, "a0 b1 c1 d2 | ab1 ac1 bd2 cd3");
    q = query_of("d", LINEAGE_DOWN, 5);
    expect_walk(&g, &q, "d0 b1 c1 e1 a2 | bd2 cd3 ed4 ab1 ac1");
    q = query_of("z", LINEAGE_UP, 5);
    expect_walk(&g, &q, "z0 |");
}
END_TEST

static void expect_kinds(struct graph *g, const struct lineage_query *q, const char *want) {
    struct lineage_source src = {graph_edges, g};
    struct lineage_result r;
    struct arena arena;
    struct buf b;
    arena_init(&arena, ARENA_MAX);
    buf_init(&b, 1 << 16);
    ck_assert_ptr_null(lineage_trace(&arena, &src, q, &r));
    for (size_t i = 0; i < r.node_count; i++)
        buf_printf(&b, BYTES_FMT ":%s ", BYTES_ARG(r.nodes[i].digest),
                   lineage_node_kind_name(r.nodes[i].kind));
    ck_assert_msg(bytes_equal(buf_bytes(&b), bytes_of_cstr(want)), "\n%.*s\n%s", (int)b.len,
                  (const char *)b.data, want);
    buf_done(&b);
    arena_done(&arena);
}

/* m was derived from n and trained on d; it contains f; s describes it; an image i was built from m
 * and from c, and c from b. */
START_TEST(test_nodes_are_what_their_edges_tell) {
    static const struct graph_edge edges[] = {
        {"i", "m", 0, LINEAGE_BUILT_FROM}, {"i", "c", 0, LINEAGE_BUILT_FROM},
        {"m", "n", 1, LINEAGE_DERIVED_AS}, {"m", "d", 1, LINEAGE_TRAINED_ON},
        {"m", "f", 2, LINEAGE_CONTAINS},   {"m", "s", 3, LINEAGE_DESCRIBED_BY},
        {"c", "b", 4, LINEAGE_BUILT_FROM},
    };
    struct graph g = {edges, sizeof edges / sizeof *edges, 0, false};
    struct lineage_query q = query_of("i", LINEAGE_UP, 5);
    expect_kinds(
        &g, &q, "i:artifact m:model c:artifact n:model d:dataset f:file s:attestation b:material ");
    q = query_of("d", LINEAGE_DOWN, 5);
    expect_kinds(&g, &q, "d:dataset m:model i:artifact ");
    q = query_of("z", LINEAGE_UP, 5);
    expect_kinds(&g, &q, "z:artifact ");
    ck_assert_str_eq(lineage_node_kind_name(LINEAGE_NODE_UNSET), "");
}
END_TEST

START_TEST(test_both_ways_is_ancestors_and_descendants_but_no_siblings) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_query q = query_of("b", LINEAGE_BOTH, 5);
    expect_walk(&g, &q, "b0 d1 a1 | bd2 ab1"); /* not c, not e */
}
END_TEST

START_TEST(test_cycles_end) {
    static const struct graph_edge edges[] = {
        {"a", "b", 1, 0}, {"b", "c", 2, 0}, {"c", "a", 3, 0}, {"a", "a", 4, 0}};
    struct graph g = {edges, 4, 0, false};
    struct lineage_query q = query_of("a", LINEAGE_UP, 64);
    expect_walk(&g, &q, "a0 b1 c2 | ab1 aa4 bc2 ca3");
    q = query_of("a", LINEAGE_BOTH, 64);
    expect_walk(&g, &q, "a0 b1 c1 | ab1 aa4 ca3 bc2"); /* each edge once, though met from both */
}
END_TEST

START_TEST(test_depth_bounds_and_says_so) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_query q = query_of("a", LINEAGE_UP, 1);
    expect_walk(&g, &q, "a0 b1 c1 | ab1 ac1 ...");
    q.depth = 2; /* all of it: nothing beyond, so not truncated */
    expect_walk(&g, &q, "a0 b1 c1 d2 | ab1 ac1 bd2 cd3");
}
END_TEST

START_TEST(test_as_of_leaves_out_later_entries) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_query q = query_of("d", LINEAGE_DOWN, 5);
    q.as_of = 4;
    expect_walk(&g, &q, "d0 b1 c1 a2 | bd2 cd3 ab1 ac1");
    q.as_of = 3;
    expect_walk(&g, &q, "d0 b1 a2 | bd2 ab1");
    q.as_of = 0;
    expect_walk(&g, &q, "d0 |");
    q = query_of("a", LINEAGE_UP, 1); /* what is later does not make it truncated */
    q.as_of = 2;
    expect_walk(&g, &q, "a0 b1 c1 | ab1 ac1");
}
END_TEST

START_TEST(test_kinds_are_chosen) {
    static const struct graph_edge edges[] = {{"a", "b", 1, LINEAGE_DERIVED_AS},
                                              {"a", "c", 2, LINEAGE_TRAINED_ON},
                                              {"b", "d", 3, LINEAGE_BUILT_FROM}};
    static const enum lineage_kind kinds[] = {LINEAGE_DERIVED_AS, LINEAGE_BUILT_FROM};
    struct graph g = {edges, 3, 0, false};
    struct lineage_query q = query_of("a", LINEAGE_UP, 5);
    q.kinds = kinds;
    q.kind_count = 1;
    expect_walk(&g, &q, "a0 b1 | ab1");
    q.kind_count = 2;
    expect_walk(&g, &q, "a0 b1 d2 | ab1 bd3");
}
END_TEST

START_TEST(test_nodes_and_edges_are_bounded) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_query q = query_of("a", LINEAGE_UP, 5);
    q.nodes_max = 3;
    expect_walk(&g, &q, "a0 b1 c1 | ab1 ac1 ...");
    q.nodes_max = 4;
    expect_walk(&g, &q, "a0 b1 c1 d2 | ab1 ac1 bd2 cd3");
    q.edges_max = 3;
    expect_walk(&g, &q, "a0 b1 c1 d2 | ab1 ac1 bd2 ...");
    q.edges_max = 4;
    expect_walk(&g, &q, "a0 b1 c1 d2 | ab1 ac1 bd2 cd3");
}
END_TEST

#define WIDE 20000

/* A base with 20,000 products, found by number. */
static struct error *wide_edges(void *ctx, struct text node, bool up,
                                bool (*each)(void *each_ctx, const struct lineage_found *edge),
                                void *each_ctx) {
    struct graph *g = ctx;
    if (up || !text_equal(node, T("base"))) return NULL;
    for (size_t i = 0; i < g->count; i++) {
        char other[24];
        (void)snprintf(other, sizeof other, "p%zu", i % WIDE);
        struct lineage_found found = {
            .other = text_of_cstr(other), .kind = LINEAGE_BUILT_FROM, .index = i};
        g->asked++;
        if (!each(each_ctx, &found)) break;
    }
    return NULL;
}

START_TEST(test_super_nodes_are_bounded_in_nodes_edges_and_edges_looked_at) {
    struct graph g = {.count = WIDE};
    struct lineage_source src = {wide_edges, &g};
    struct lineage_query q = query_of("base", LINEAGE_DOWN, 5);
    struct lineage_result r;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(lineage_trace(&arena, &src, &q, &r));
    ck_assert_uint_eq(r.node_count, LINEAGE_NODES_MAX);
    ck_assert(r.truncated);
    ck_assert_uint_eq(g.asked, LINEAGE_NODES_MAX);

    g = (struct graph){.count = (size_t)2 * LINEAGE_EDGES_SEEN_MAX};
    q.as_of = 1; /* one edge is wanted, two million are looked through, but not all of them */
    ck_assert_ptr_null(lineage_trace(&arena, &src, &q, &r));
    ck_assert_uint_eq(r.edge_count, 1);
    ck_assert(r.truncated);
    ck_assert_uint_eq(g.asked, LINEAGE_EDGES_SEEN_MAX + 1);
    arena_done(&arena);
}
END_TEST

static bool stop_at_once(void *ctx) {
    (*(int *)ctx)++;
    return true;
}

START_TEST(test_a_walk_can_be_stopped) {
    struct graph g = {.count = WIDE};
    struct lineage_source src = {wide_edges, &g};
    struct lineage_query q = query_of("base", LINEAGE_DOWN, 5);
    struct lineage_result r;
    struct arena arena;
    int asked = 0;
    q.stop = stop_at_once;
    q.stop_ctx = &asked;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(lineage_trace(&arena, &src, &q, &r));
    ck_assert(r.truncated);
    ck_assert_int_eq(asked, 1);
    ck_assert_uint_lt(r.node_count, 1000);
    arena_done(&arena);
}
END_TEST

/* Pages rely on it: with cycles and both ways, where an edge can be met from either end, too. */
START_TEST(test_what_a_walk_that_ends_early_shows_comes_first_in_the_whole) {
    static const struct graph_edge cyclic[] = {
        {"a", "b", 1, 0}, {"b", "c", 2, 0}, {"c", "a", 3, 0}, {"a", "a", 4, 0}, {"d", "b", 5, 0},
        {"a", "b", 6, 0}, {"e", "a", 7, 0}, {"c", "e", 8, 0}, {"e", "d", 9, 0}, {"c", "f", 9, 0},
    };
    struct graph g = {cyclic, sizeof cyclic / sizeof *cyclic, 0, false};
    struct lineage_source src = {graph_edges, &g};
    struct lineage_query q = query_of("a", LINEAGE_BOTH, 64);
    struct lineage_result whole, r;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(lineage_trace(&arena, &src, &q, &whole));
    ck_assert_uint_eq(whole.edge_count, g.count);
    for (q.edges_max = 0; q.edges_max < 2 * g.count; q.edges_max++) {
        ck_assert_ptr_null(lineage_trace(&arena, &src, &q, &r));
        ck_assert_uint_le(r.edge_count, whole.edge_count);
        for (size_t i = 0; i < r.node_count; i++)
            ck_assert(text_equal(r.nodes[i].digest, whole.nodes[i].digest));
        for (size_t i = 0; i < r.edge_count; i++) {
            ck_assert_uint_eq(r.edges[i].from_node, whole.edges[i].from_node);
            ck_assert_uint_eq(r.edges[i].to_node, whole.edges[i].to_node);
            ck_assert_uint_eq(r.edges[i].index, whole.edges[i].index);
        }
    }
    arena_done(&arena);
}
END_TEST

/* Random graphs against the definition: the least fixed point, found by going round and round. */
START_TEST(test_walks_agree_with_a_naive_oracle) {
    uint64_t state = 7;
    for (int round = 0; round < 300; round++) {
        static char names[12][8];
        struct graph_edge edges[24];
        unsigned near[12];
        for (size_t i = 0; i < 12; i++) (void)snprintf(names[i], 8, "n%zu", i);
        size_t from[24], to[24];
        for (size_t i = 0; i < 24; i++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            from[i] = (state >> 33) % 12;
            to[i] = (state >> 45) % 12;
            edges[i] = (struct graph_edge){names[from[i]], names[to[i]], i, LINEAGE_BUILT_FROM};
        }
        for (size_t i = 0; i < 12; i++) near[i] = i == 0 ? 0 : 99;
        for (int again = 0; again < 12; again++)
            for (size_t i = 0; i < 24; i++)
                if (near[from[i]] + 1 < near[to[i]]) near[to[i]] = near[from[i]] + 1;

        struct graph g = {edges, 24, 0, false};
        struct lineage_source src = {graph_edges, &g};
        struct lineage_query q = query_of("n0", LINEAGE_UP, 64);
        struct lineage_result r;
        struct arena arena;
        arena_init(&arena, ARENA_MAX);
        ck_assert_ptr_null(lineage_trace(&arena, &src, &q, &r));
        size_t reached = 0, shown = 0;
        for (size_t i = 0; i < 12; i++) reached += near[i] < 99;
        for (size_t i = 0; i < 24; i++) shown += near[from[i]] < 99;
        ck_assert_uint_eq(r.node_count, reached);
        ck_assert_uint_eq(r.edge_count, shown);
        for (size_t i = 0; i < r.node_count; i++) {
            size_t n = (size_t)strtoul(r.nodes[i].digest.data + 1, NULL, 10);
            ck_assert_uint_eq(r.nodes[i].depth, near[n]);
        }
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_names_come_from_the_edges) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_source src = {graph_edges, &g};
    struct lineage_query q = query_of("a", LINEAGE_UP, 1);
    struct lineage_result r;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(lineage_trace(&arena, &src, &q, &r));
    ck_assert_uint_eq(r.nodes[0].name.len, 0);
    ck_assert(text_equal(r.nodes[1].name, T("called")));
    arena_done(&arena);
}
END_TEST

START_TEST(test_bad_queries_and_broken_sources_are_errors) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_source src = {graph_edges, &g};
    struct lineage_query queries[5];
    for (size_t i = 0; i < 5; i++) queries[i] = query_of("a", LINEAGE_UP, 5);
    queries[0].direction = LINEAGE_DIRECTION_UNSET;
    queries[1].depth = 0;
    queries[2].depth = LINEAGE_DEPTH_MAX + 1;
    queries[3].nodes_max = 0;
    queries[4].edges_max = LINEAGE_EDGES_SHOWN_MAX + 1;
    struct arena arena;
    struct lineage_result r = {.node_count = 7};
    arena_init(&arena, ARENA_MAX);
    for (size_t i = 0; i < 5; i++) {
        CLEANUP(error_freep) struct error *err = lineage_trace(&arena, &src, &queries[i], &r);
        ck_assert_ptr_nonnull(err);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
    }
    struct lineage_query q = query_of("a", LINEAGE_UP, 5);
    g.broken = true;
    CLEANUP(error_freep) struct error *err = lineage_trace(&arena, &src, &q, &r);
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(error_code(err), ERROR_UNAVAILABLE);
    ck_assert_uint_eq(r.node_count, 7);
    arena_done(&arena);
}
END_TEST

static struct error *everything(size_t arena_max) {
    struct graph g = {diamond, 5, 0, false};
    struct lineage_source src = {graph_edges, &g};
    struct lineage_query q = query_of("b", LINEAGE_BOTH, 5);
    struct lineage_result r;
    struct edges edges;
    struct arena arena;
    arena_init(&arena, arena_max);
    struct error *err =
        edges_of(&arena, PROVENANCE("[{\"digest\":{\"sha256\":\"" HEX_B "\"}}]"), &edges);
    if (err == NULL) err = edges_of(&arena, STATEMENT("t:", "{}"), &edges);
    if (err == NULL) err = lineage_trace(&arena, &src, &q, &r);
    arena_done(&arena);
    return err;
}

START_TEST(test_survives_want_of_memory_at_every_point) {
    (void)alloc_fail_after(-1);
    ck_assert_ptr_null(everything(ARENA_MAX));
    long needed = alloc_fail_after(-1);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = everything(ARENA_MAX);
        (void)alloc_fail_after(-1);
        ck_assert_ptr_nonnull(err);
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
    }
    size_t max = 0;
    for (struct error *err = everything(max); err != NULL; err = everything(max += 16)) {
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        error_free(err);
    }
    ck_assert_uint_gt(max, 4096);
}
END_TEST

static Suite *lineage_suite(void) {
    Suite *s = suite_create("lineage");
    TCase *tc = tcase_create("lineage");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_provenance_edges_by_role);
    tcase_add_test(tc, test_every_digest_of_a_material_is_a_node_and_none_makes_no_edge);
    tcase_add_test(tc, test_a_material_listed_twice_is_one_edge_with_its_first_name);
    tcase_add_test(tc, test_model_signature_contains_its_files);
    tcase_add_test(tc, test_other_attestations_describe_their_subjects);
    tcase_add_test(tc, test_malformed_lists_are_refused);
    tcase_add_test(tc, test_too_many_edges_are_refused_and_never_cut);
    tcase_add_test(tc, test_names_of_kinds_and_nodes);
    tcase_add_test(tc, test_diamond);
    tcase_add_test(tc, test_nodes_are_what_their_edges_tell);
    tcase_add_test(tc, test_both_ways_is_ancestors_and_descendants_but_no_siblings);
    tcase_add_test(tc, test_cycles_end);
    tcase_add_test(tc, test_depth_bounds_and_says_so);
    tcase_add_test(tc, test_as_of_leaves_out_later_entries);
    tcase_add_test(tc, test_kinds_are_chosen);
    tcase_add_test(tc, test_nodes_and_edges_are_bounded);
    tcase_add_test(tc, test_super_nodes_are_bounded_in_nodes_edges_and_edges_looked_at);
    tcase_add_test(tc, test_a_walk_can_be_stopped);
    tcase_add_test(tc, test_what_a_walk_that_ends_early_shows_comes_first_in_the_whole);
    tcase_add_test(tc, test_walks_agree_with_a_naive_oracle);
    tcase_add_test(tc, test_names_come_from_the_edges);
    tcase_add_test(tc, test_bad_queries_and_broken_sources_are_errors);
    tcase_add_test(tc, test_survives_want_of_memory_at_every_point);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(lineage_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
