/* Suite of pkg/service: how many entries one answer looks at, whatever it finds among them. */
#include "service_rig.h"

#define OTHER_TYPE "https://q.example/v1"
#define LIST_LOOK 4096 /* read.c's */
#define WATCH_LOOK 64  /* read.c's */
#define WAVE 512       /* submissions under way at once */

static struct call calls[WAVE];

static void wait_for(struct call *c) {
    (void)pthread_mutex_lock(&c->lock);
    while (!c->is_ready) (void)pthread_cond_wait(&c->changed, &c->lock);
    (void)pthread_mutex_unlock(&c->lock);
    ok(service_attest_finish(&c->req, &c->out));
    call_done(c);
}

/* Logs `count` documents of TYPE about artifact 0. */
static void fill(struct rig *rig, unsigned count) {
    for (unsigned from = 0; from < count; from += WAVE) {
        unsigned n = count - from < WAVE ? count - from : WAVE;
        for (unsigned i = 0; i < n; i++) {
            char json[32];
            bool pending = false;
            (void)snprintf(json, sizeof json, "{\"i\":%u}", from + i);
            call_init(&calls[i], &ci);
            call_document(&calls[i], 0, TYPE, json);
            ok(service_attest_begin(rig->service, &calls[i].req, &pending));
            ck_assert(pending);
        }
        for (unsigned i = 0; i < n; i++) wait_for(&calls[i]);
    }
}

/* An answer looks at 4,096 candidates; what comes behind them is the next page's, though this one
 * has room. */
START_TEST(test_a_page_looks_at_a_bounded_number_of_entries) {
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    rig_init(&rig);
    rig_open(&rig);
    fill(&rig, LIST_LOOK - 1);
    ck_assert_uint_eq(rig_document(&rig, 0, OTHER_TYPE, "{}"), LIST_LOOK - 1);
    ck_assert_uint_eq(rig_document(&rig, 0, OTHER_TYPE, "{\"second\":1}"), LIST_LOOK);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_list q = {.digest = rig_node(&arena, 0), .predicate_type = T(OTHER_TYPE)};
    ok(service_list(rig.service, &ci, &arena, &q, &listed));
    ck_assert_uint_eq(listed.count, 1);
    ck_assert_uint_eq(listed.items[0].index, LIST_LOOK - 1);
    ck_assert_uint_gt(listed.next_page_token.len, 0);
    q.page_token = listed.next_page_token;
    ok(service_list(rig.service, &ci, &arena, &q, &listed));
    ck_assert_uint_eq(listed.count, 1);
    ck_assert_uint_eq(listed.items[0].index, LIST_LOOK);
    ck_assert_uint_eq(listed.next_page_token.len, 0);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_a_turn_of_a_watch_looks_at_a_bounded_number_of_entries) {
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    uint64_t from = 0;
    rig_init(&rig);
    rig_open(&rig);
    fill(&rig, WATCH_LOOK + 1);
    arena_init(&arena, CALL_ARENA_MAX);
    ok(service_watch_read(rig.service, &ci, &arena, T(TYPE), &from, 1000, &listed));
    ck_assert_uint_eq(listed.count, WATCH_LOOK);
    ck_assert_uint_eq(from, WATCH_LOOK);
    ok(service_watch_read(rig.service, &ci, &arena, T(TYPE), &from, 1000, &listed));
    ck_assert_uint_eq(listed.count, 1);
    ck_assert_uint_eq(from, WATCH_LOOK + 1);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

static Suite *look_suite(void) {
    Suite *s = suite_create("service_look");
    TCase *tc = tcase_create("look");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_a_page_looks_at_a_bounded_number_of_entries);
    tcase_add_test(tc, test_a_turn_of_a_watch_looks_at_a_bounded_number_of_entries);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(look_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
