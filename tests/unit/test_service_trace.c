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
