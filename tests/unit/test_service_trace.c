/* Suite of pkg/service: lineage: walks, what nodes are called, and pages. */
#include "service_rig.h"

static void expect_trace(struct rig *rig, struct service_trace q, const char *want) {
    struct buf got;
    buf_init(&got, 1 << 16);
    for (;;) {
        struct service_traced t;
        struct arena arena;
        static char token[256];
        arena_init(&arena, CALL_ARENA_MAX);
        ok(service_trace(rig->service, &ci, &arena, &q, &t));
        for (size_t i = 0; i < t.result.node_count; i++)
            buf_printf(&got, BYTES_FMT "/%u ", BYTES_ARG(t.result.nodes[i].name),
                       t.result.nodes[i].depth);
        buf_printf(&got, "%zu%s ", t.result.edge_count, t.result.truncated ? "..." : "");
        ck_assert_uint_gt(t.checkpoint.len, 0);
        ck_assert_uint_lt(t.next_page_token.len, sizeof token);
        if (t.next_page_token.len > 0) memcpy(token, t.next_page_token.data, t.next_page_token.len);
        q.page_token = (struct text){token, t.next_page_token.len};
        arena_done(&arena);
        if (q.page_token.len == 0) break;
    }
    ck_assert_msg(bytes_equal(buf_bytes(&got), bytes_of_cstr(want)), "\n%.*s\n%s", (int)got.len,
                  (const char *)got.data, want);
    buf_done(&got);
}

START_TEST(test_trace_up_down_as_of_and_by_kind) {
    struct rig rig;
    struct arena arena;
    static const struct text built[] = {T("built-from")};
    static const struct text described[] = {T("described-by")};
    static const struct text unknown[] = {T("built-by")};
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_trace q = {.digest = rig_node(&arena, 7), .direction = LINEAGE_UP};
    expect_trace(&rig, q, "artifact-7/0 artifact-8/1 artifact-9/2 artifact-10/3 3 ");
    q.as_of = 9; /* before 9 was attested: its maker is not known, the name of 9 is 8's word */
    expect_trace(&rig, q, "artifact-7/0 artifact-8/1 artifact-9/2 2 ");
    q.as_of = 0;
    q.depth = 2;
    expect_trace(&rig, q, "artifact-7/0 artifact-8/1 artifact-9/2 2... ");
    q = (struct service_trace){.digest = rig_node(&arena, 2), .direction = LINEAGE_DOWN};
    expect_trace(&rig, q, "artifact-2/0 artifact-1/1 artifact-0/2 2 ");
    q = (struct service_trace){
        .digest = rig_node(&arena, 0), .direction = LINEAGE_UP, .depth = 1, .kinds = built};
    q.kind_count = 1;
    expect_trace(&rig, q, "artifact-0/0 artifact-1/1 1... ");
    struct service_traced t;
    q.kinds = described;
    ok(service_trace(rig.service, &ci, &arena, &q, &t));
    ck_assert_uint_eq(t.result.node_count, 7);
    ck_assert_uint_eq(t.result.edge_count, 6);
    ck_assert(!t.result.truncated);
    for (size_t i = 1; i < 7; i++) /* what they are called is their type */
        ck_assert(bytes_start_with(bytes_of_text(t.result.nodes[i].name), BYTES_LIT("https://")));
    q.kinds = unknown;
    q.kind_count = 1;
    fails_field(service_trace(rig.service, &ci, &arena, &q, &t), "kinds");
    q.kind_count = 0;
    q.depth = 65;
    fails_field(service_trace(rig.service, &ci, &arena, &q, &t), "depth");
    q.depth = 1;
    q.direction = LINEAGE_DIRECTION_UNSET;
    fails_field(service_trace(rig.service, &ci, &arena, &q, &t), "direction");
    q.direction = LINEAGE_UP;
    q.digest = T("sha256:a");
    fails_field(service_trace(rig.service, &ci, &arena, &q, &t), "digest");
    q.digest = rig_node(&arena, 1);
    q.as_of = 18;
    fails(service_trace(rig.service, &ci, &arena, &q, &t), ERROR_OUT_OF_RANGE,
          REASON_TREE_SIZE_IN_FUTURE);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* What nobody attested to, but something was built from, has a name seen from there, too. */
START_TEST(test_a_material_is_called_what_its_products_call_it) {
    struct rig rig;
    struct arena arena;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_trace q = {
        .digest = rig_node(&arena, 10), .direction = LINEAGE_DOWN, .depth = 1};
    expect_trace(&rig, q, "artifact-10/0 artifact-9/1 1... ");
    q.direction = LINEAGE_BOTH;
    expect_trace(&rig, q, "artifact-10/0 artifact-9/1 1... ");
    q.direction = LINEAGE_UP;
    expect_trace(&rig, q, "artifact-10/0 0 ");
    q.direction = LINEAGE_DOWN;
    q.as_of = 9; /* before 9 was attested: nothing names 10 */
    expect_trace(&rig, q, "/0 0 ");
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* Nor does it matter that a product's own statement knows it by its digest alone. */
START_TEST(test_an_unnamed_product_is_called_what_others_call_it) {
    struct rig rig;
    struct arena arena;
    struct call c;
    rig_init(&rig);
    rig_open(&rig);
    call_init(&c, &ci);
    call_provenance(&c, 1, 2);
    struct intoto_resource unnamed = c.req.submission.subjects[0];
    unnamed.name = (struct text){0};
    c.req.submission.subjects = &unnamed;
    ok(call_run(&rig, &c));
    call_done(&c);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_trace q = {.digest = rig_node(&arena, 2), .direction = LINEAGE_DOWN};
    expect_trace(&rig, q, "artifact-2/0 /1 1 ");
    (void)rig_attest(&rig, 0, 1);
    expect_trace(&rig, q, "artifact-2/0 artifact-1/1 artifact-0/2 2 ");
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_trace_pages_show_each_edge_once) {
    struct rig rig;
    struct arena arena;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_trace q = {.digest = rig_node(&arena, 5), .direction = LINEAGE_UP, .depth = 64};
    q.page_size = 2;
    expect_trace(&rig, q,
                 "artifact-5/0 artifact-6/1 1 artifact-7/2 artifact-8/3 2 artifact-9/4 "
                 "artifact-10/5 2 ");
    q.page_size = 5;
    expect_trace(&rig, q,
                 "artifact-5/0 artifact-6/1 artifact-7/2 artifact-8/3 artifact-9/4 4 "
                 "artifact-10/5 1 ");
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* --- pages */

/* One statement: artifacts [n, n + count) from artifacts [m, m + count), every one from each. */
static void grid(struct rig *rig, uint64_t n, uint64_t m, size_t count, const char *run) {
    struct call c;
    call_init(&c, &ci);
    call_provenance(&c, n, n);
    struct intoto_resource *subjects = arena_alloc(&c.arena, count * sizeof *subjects);
    struct intoto_resource *materials = arena_alloc(&c.arena, count * sizeof *materials);
    for (size_t i = 0; i < count; i++) {
        subjects[i] = rig_resource(&c.arena, n + i);
        materials[i] = rig_resource(&c.arena, m + i);
    }
    c.req.submission.subjects = subjects;
    c.req.submission.subject_count = count;
    c.req.submission.provenance.resolved_dependencies = materials;
    c.req.submission.provenance.resolved_dependency_count = count;
    c.req.submission.provenance.invocation_id = text_of_cstr(run);
    ok(call_run(rig, &c));
    call_done(&c);
}

struct joined {
    struct arena arena; /* of all pages */
    struct text nodes[512];
    size_t node_count;
    struct lineage_result_edge edges[40000];
    size_t edge_count, page_count;
    size_t heaviest; /* octets of the texts of one page */
};

static bool is_given(const struct joined *j, struct text digest) {
    bool given = false;
    for (size_t i = 0; i < j->node_count; i++) given = given || text_equal(j->nodes[i], digest);
    return given;
}

static void join_page(struct joined *j, const struct lineage_result *page) {
    size_t octets = 0;
    for (size_t i = 0; i < page->node_count; i++) {
        ck_assert_uint_lt(j->node_count, sizeof j->nodes / sizeof *j->nodes);
        ck_assert(!is_given(j, page->nodes[i].digest));
        octets += page->nodes[i].digest.len + page->nodes[i].name.len;
        j->nodes[j->node_count++] = page->nodes[i].digest;
    }
    for (size_t i = 0; i < page->edge_count; i++) {
        ck_assert_uint_lt(j->edge_count, sizeof j->edges / sizeof *j->edges);
        octets += page->edges[i].from.len + page->edges[i].to.len;
        j->edges[j->edge_count++] = page->edges[i];
    }
    if (octets > j->heaviest) j->heaviest = octets;
    j->page_count++;
}

/* Follows the pages to the end; an edge stands with its nodes or behind them. */
static void join(struct rig *rig, struct service_trace q, struct joined *j) {
    arena_init(&j->arena, (size_t)512 << 20);
    j->node_count = j->edge_count = j->page_count = j->heaviest = 0;
    do {
        struct service_traced t;
        ok(service_trace(rig->service, &ci, &j->arena, &q, &t));
        size_t before = j->edge_count;
        join_page(j, &t.result);
        ck_assert(!t.result.truncated);
        for (size_t i = before; i < j->edge_count && i < before + 50; i++) /* some: this is slow */
            ck_assert(is_given(j, j->edges[i].from) && is_given(j, j->edges[i].to));
        q.page_token = t.next_page_token;
    } while (q.page_token.len > 0);
}

static void expect_same(const struct joined *a, const struct joined *b) {
    ck_assert_uint_eq(a->node_count, b->node_count);
    ck_assert_uint_eq(a->edge_count, b->edge_count);
    for (size_t i = 0; i < a->node_count; i++) ck_assert(text_equal(a->nodes[i], b->nodes[i]));
    for (size_t i = 0; i < a->edge_count; i++) {
        const struct lineage_result_edge *ea = &a->edges[i], *eb = &b->edges[i];
        ck_assert(text_equal(ea->from, eb->from) && text_equal(ea->to, eb->to));
        ck_assert_uint_eq(ea->index, eb->index);
    }
}

/* With cycles, with edges to what was met long before, and with many between two nodes. */
START_TEST(test_pages_of_a_trace_join_to_the_whole) {
    static struct joined whole, pages;
    struct rig rig;
    struct arena arena;
    rig_init(&rig);
    rig_open(&rig);
    for (uint64_t n = 0; n < 12; n++) {
        (void)rig_attest(&rig, n, (n * 5 + 1) % 12);
        (void)rig_attest(&rig, n, (n * n + 3) % 13);
    }
    for (uint64_t n = 0; n < 8; n += 2) grid(&rig, n, n + 1, 2, "run");
    arena_init(&arena, CALL_ARENA_MAX);
    for (int direction = LINEAGE_UP; direction <= LINEAGE_BOTH; direction++) {
        struct service_trace q = {.digest = rig_node(&arena, 0),
                                  .direction = (enum lineage_direction)direction,
                                  .depth = 64,
                                  .page_size = 1000};
        join(&rig, q, &whole);
        ck_assert_uint_eq(whole.page_count, 1);
        ck_assert_uint_gt(whole.node_count, 10);
        for (q.page_size = 1; q.page_size < 15; q.page_size++) {
            join(&rig, q, &pages);
            ck_assert_uint_ge(pages.page_count, (whole.node_count - 1) / q.page_size + 1);
            expect_same(&pages, &whole);
            arena_done(&pages.arena);
        }
        arena_done(&whole.arena);
    }
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* Few nodes with many edges must not make a page that clients do not take: 4 MiB. */
START_TEST(test_a_page_of_a_trace_is_bounded_in_octets) {
    enum { SIDE = 64, RUNS = 8, EDGES = RUNS * SIDE * SIDE + SIDE };
    static struct joined pages;
    struct rig rig;
    struct arena arena;
    rig_init(&rig);
    rig_open(&rig);
    for (int i = 0; i < RUNS; i++) {
        char run[16];
        (void)snprintf(run, sizeof run, "run-%d", i);
        grid(&rig, 100, 200, SIDE, run);
    }
    for (uint64_t n = 0; n < SIDE; n++) (void)rig_attest(&rig, 1, 100 + n);
    arena_init(&arena, CALL_ARENA_MAX);
    const struct service_trace q = {
        .digest = rig_node(&arena, 1), .direction = LINEAGE_UP, .page_size = 1000};
    join(&rig, q, &pages);
    ck_assert_uint_eq(pages.node_count, 1 + 2 * SIDE);
    ck_assert_uint_eq(pages.edge_count, EDGES);
    ck_assert_uint_le(pages.heaviest, 512 << 10);
    ck_assert_uint_le(pages.page_count, 20); /* and they are not small for it */
    for (size_t i = 1; i < EDGES; i++) {     /* all differ: between two nodes, by their entry */
        const struct lineage_result_edge *a = &pages.edges[i - 1], *b = &pages.edges[i];
        if (text_equal(a->from, b->from) && text_equal(a->to, b->to))
            ck_assert_uint_lt(a->index, b->index);
    }
    arena_done(&pages.arena);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_a_trace_ends_at_its_deadline) {
    struct rig rig;
    struct arena arena;
    struct service_traced t;
    rig_init(&rig);
    rig_open(&rig);
    for (uint64_t n = 1; n <= 300; n++) (void)rig_attest(&rig, n, 0);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_trace q = {.digest = rig_node(&arena, 0), .direction = LINEAGE_DOWN};
    q.deadline_us = 1; /* past already; looked at now and then */
    ok(service_trace(rig.service, &ci, &arena, &q, &t));
    ck_assert(t.result.truncated);
    q.deadline_us = UINT64_MAX;
    q.page_size = 1000;
    ok(service_trace(rig.service, &ci, &arena, &q, &t));
    ck_assert(!t.result.truncated);
    ck_assert_uint_eq(t.result.node_count, 301);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_pages_of_a_trace_are_of_one_tree_size) {
    struct rig rig;
    struct arena arena;
    struct service_traced t;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_trace q = {
        .digest = rig_node(&arena, 5), .direction = LINEAGE_UP, .page_size = 2};
    ok(service_trace(rig.service, &ci, &arena, &q, &t));
    ck_assert_uint_eq(t.tree_size, 17);
    q.page_token = t.next_page_token;
    (void)rig_attest(&rig, 70, 71);
    ok(service_trace(rig.service, &ci, &arena, &q, &t));
    ck_assert_uint_eq(t.tree_size, 17);
    q.as_of = 18;
    fails_field(service_trace(rig.service, &ci, &arena, &q, &t), "as_of_tree_size");
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

static Suite *service_trace_suite(void) {
    Suite *s = suite_create("service_trace");
    TCase *tc = tcase_create("trace");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_trace_up_down_as_of_and_by_kind);
    tcase_add_test(tc, test_a_material_is_called_what_its_products_call_it);
    tcase_add_test(tc, test_an_unnamed_product_is_called_what_others_call_it);
    tcase_add_test(tc, test_trace_pages_show_each_edge_once);
    tcase_add_test(tc, test_pages_of_a_trace_join_to_the_whole);
    tcase_add_test(tc, test_a_page_of_a_trace_is_bounded_in_octets);
    tcase_add_test(tc, test_a_trace_ends_at_its_deadline);
    tcase_add_test(tc, test_pages_of_a_trace_are_of_one_tree_size);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(service_trace_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
