/* A store that does not agree with itself: found at the start, or when it is read. */
#include "tlog_rig.h"

static struct rig rig;
static struct arena arena; /* of one test */

static void setup(void) {
    rig_init(&rig, false);
    arena_init(&arena, (size_t)64 << 20);
}

static void teardown(void) {
    arena_done(&arena);
    rig_done(&rig);
}

static void start_with(uint64_t entries) {
    rig_open(&rig);
    rig_log_many(&rig, 0, entries);
    rig_close_log(&rig);
}

/* seen_at_start puts `bad` in the place of a row: the next start is read-only because of it; and
 * serves again when the row is back. */
static void seen_at_start(enum kv_family family, const struct store_key *key, struct bytes bad,
                          const char *because) {
    struct bytes octets = key_of(&arena, key);
    struct bytes good = get_raw(&rig, &arena, family, octets);
    struct tlog_head head;
    set_raw(&rig, family, octets, bad);
    rig_open_log(&rig);
    is_read_only(&rig, because);
    head = tlog_head(rig.log);
    rig_close_log(&rig);
    set_raw(&rig, family, octets, good);
    rig_open_log(&rig);
    is_serving(&rig, head.size);
    rig_close_log(&rig);
}

static struct bytes stored_tile(uint64_t index) {
    struct store_key key = {.family = KV_TILE, .number = index};
    return get_raw(&rig, &arena, KV_TILE, key_of(&arena, &key));
}

START_TEST(test_a_tile_below_the_right_edge) {
    struct store_key key = {.family = KV_TILE};
    start_with(600);
    for (key.number = 0; key.number < 2; key.number++) {
        seen_at_start(KV_TILE, &key, flipped(&arena, stored_tile(key.number), 5000), "fsck");
        seen_at_start(KV_TILE, &key, (struct bytes){0}, "is missing");
    }
}
END_TEST

START_TEST(test_an_entry_under_the_last_full_tile) {
    struct store_key key = {.family = KV_ENTRY, .number = 100};
    start_with(300);
    struct store_entry bad = entry_at(&rig, &arena, 101);
    bad.index = 100;
    seen_at_start(KV_ENTRY, &key, entry_record(&arena, &bad),
                  "entry 100 is not what tile 0 was made of");
    seen_at_start(KV_ENTRY, &key, (struct bytes){0}, "entry 100 is missing");
}
END_TEST

START_TEST(test_an_entry_behind_the_last_full_tile) {
    struct store_key key = {.family = KV_ENTRY, .number = 280};
    start_with(300);
    struct store_entry bad = entry_at(&rig, &arena, 281);
    bad.index = 280;
    seen_at_start(KV_ENTRY, &key, entry_record(&arena, &bad),
                  "the 300 stored entries do not give the stored root");
}
END_TEST

START_TEST(test_a_frontier_that_is_not_the_trees) {
    CLEANUP(store_round_freep) struct store_round *r = NULL;
    struct store_key key = {.family = KV_META, .kind = 'H'};
    start_with(5);
    struct bytes good = get_raw(&rig, &arena, KV_META, key_of(&arena, &key));
    struct store_head *head = arena_alloc(&arena, sizeof *head);
    ok(store_get_head(rig.store, NULL, head));
    head->frontier.edge[2].octets[0] ^= 1; /* what the next round would be built on */
    ok(store_round_new(rig.store, &r));
    store_round_head(r, head);
    ok(store_round_commit(r));
    struct tlog *log = NULL;
    struct error *err = tlog_open(rig.store, rig.signer, &rig.options, &log);
    if (err == NULL) { /* the store may refuse such a head by itself */
        rig.log = log;
        is_read_only(&rig, "do not give the stored root");
        rig_close_log(&rig);
    }
    error_free(err);
    set_raw(&rig, KV_META, key_of(&arena, &key), good);
    rig_open_log(&rig);
    is_serving(&rig, 5);
}
END_TEST

START_TEST(test_a_head_without_its_checkpoint) {
    struct store_key key = {.family = KV_META, .kind = 'C', .number = 5};
    start_with(5);
    seen_at_start(KV_META, &key, (struct bytes){0}, "the checkpoint of the 5 stored entries");
}
END_TEST

START_TEST(test_a_head_with_a_checkpoint_that_does_not_verify) {
    struct store_key key = {.family = KV_META, .kind = 'C', .number = 5};
    struct bytes v1, c2sp;
    bool found = false;
    start_with(5);
    ok(store_get_checkpoint(rig.store, &arena, 5, &found, &v1, &c2sp));
    struct bytes bad[][2] = {{flipped(&arena, v1, v1.len - 9), c2sp},
                             {v1, flipped(&arena, c2sp, c2sp.len - 9)},
                             {(struct bytes){0}, c2sp},
                             {c2sp, c2sp},
                             {v1, v1}};
    struct bytes good = get_raw(&rig, &arena, KV_META, key_of(&arena, &key));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_checkpoint(&rig, 5, bad[i][0], bad[i][1]);
        fails(tlog_open(rig.store, rig.signer, &rig.options, &rig.log), ERROR_FAILED_PRECONDITION,
              REASON_NONE);
    }
    set_raw(&rig, KV_META, key_of(&arena, &key), good);
    rig_open_log(&rig);
    is_serving(&rig, 5);
}
END_TEST

START_TEST(test_reading_what_is_missing_fails_softly) {
    struct store_key key = {.family = KV_TILE};
    struct merkle_proof p;
    struct bytes out;
    bool found = false;
    start_with(300);
    set_raw(&rig, KV_TILE, key_of(&arena, &key), (struct bytes){0});
    rig_open_log(&rig);
    is_read_only(&rig, "is missing");
    fails(tlog_inclusion(rig.log, 0, 300, &p), ERROR_DATA_LOSS, REASON_NONE);
    fails(tlog_tile(rig.log, &arena, &(struct merkle_tile){.width = 256}, &found, &out),
          ERROR_DATA_LOSS, REASON_NONE);
    fails(tlog_tile(rig.log, &arena, &(struct merkle_tile){.index = 1, .width = 44}, &found, &out),
          ERROR_DATA_LOSS, REASON_NONE);
}
END_TEST

START_TEST(test_no_checkpoint_is_signed_for_what_is_no_prefix) {
    struct store_key key = {.family = KV_TILE};
    struct bytes v1, c2sp;
    struct sha256 root;
    bool stored = true;
    uint64_t size = 250;
    start_with(300);
    rig_open_log(&rig);
    while (stored) ok(store_get_checkpoint(rig.store, &arena, --size, &stored, &v1, &c2sp));
    ok(tlog_checkpoint(rig.log, &arena, size, &v1, &c2sp, &root));
    set_raw(&rig, KV_TILE, key_of(&arena, &key), flipped(&arena, stored_tile(0), 40));
    fails(tlog_checkpoint(rig.log, &arena, size, &v1, &c2sp, &root), ERROR_DATA_LOSS, REASON_NONE);
}
END_TEST

START_TEST(test_a_checkpoint_stored_for_another_size_is_not_given_out) {
    struct bytes v1, c2sp;
    struct sha256 root;
    start_with(3);
    rig_open_log(&rig);
    ok(tlog_checkpoint(rig.log, &arena, 3, &v1, &c2sp, &root));
    put_checkpoint(&rig, 2, v1, c2sp);
    fails(tlog_checkpoint(rig.log, &arena, 2, &v1, &c2sp, &root), ERROR_DATA_LOSS, REASON_NONE);
    put_checkpoint(&rig, 2, v1, BYTES_LIT("no note"));
    fails(tlog_checkpoint(rig.log, &arena, 2, &v1, &c2sp, &root), ERROR_DATA_LOSS, REASON_NONE);
}
END_TEST

START_TEST(test_accepting_takes_no_store_that_contradicts_itself) {
    struct store_key key = {.family = KV_TILE};
    start_with(300);
    struct store_head *head = arena_alloc(&arena, sizeof *head);
    ok(store_get_head(rig.store, NULL, head));
    struct bytes good = stored_tile(0);
    set_raw(&rig, KV_TILE, key_of(&arena, &key), flipped(&arena, good, 5000));
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    fails(tlog_anchor_accept(rig.store, rig.signer, &rig.options, 300, &head->root),
          ERROR_FAILED_PRECONDITION, REASON_NONE);
    ck_assert_int_ne(access(rig.path_outer, F_OK), 0);
    set_raw(&rig, KV_TILE, key_of(&arena, &key), good);
    ok(tlog_anchor_accept(rig.store, rig.signer, &rig.options, 300, &head->root));
}
END_TEST

static Suite *tlog_damage_suite(void) {
    Suite *s = suite_create("tlog_damage");
    TCase *tc = tcase_create("damage");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_a_tile_below_the_right_edge);
    tcase_add_test(tc, test_an_entry_under_the_last_full_tile);
    tcase_add_test(tc, test_an_entry_behind_the_last_full_tile);
    tcase_add_test(tc, test_a_frontier_that_is_not_the_trees);
    tcase_add_test(tc, test_a_head_without_its_checkpoint);
    tcase_add_test(tc, test_a_head_with_a_checkpoint_that_does_not_verify);
    tcase_add_test(tc, test_reading_what_is_missing_fails_softly);
    tcase_add_test(tc, test_no_checkpoint_is_signed_for_what_is_no_prefix);
    tcase_add_test(tc, test_a_checkpoint_stored_for_another_size_is_not_given_out);
    tcase_add_test(tc, test_accepting_takes_no_store_that_contradicts_itself);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(tlog_damage_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
