/* What fsck finds: one planted damage after the other, each named, each mended before the next. */
#include "tlog_rig.h"

#define ENTRIES 300

static struct rig rig;
static struct arena arena; /* of one test */

static void setup(void) {
    rig_init(&rig, false);
    arena_init(&arena, (size_t)256 << 20);
    rig_open(&rig);
    rig_log_many(&rig, 0, ENTRIES);
    rig_close_log(&rig);
}

static void teardown(void) {
    arena_done(&arena);
    rig_done(&rig);
}

/* finds checks that fsck tells of a problem with `what` in its line. */
static void finds(const char *what) {
    struct fsck_lines lines;
    struct tlog_fsck_report report = rig_fsck(&rig, &lines);
    ck_assert_msg(report.problems > 0, "\"%s\" was not found", what);
    const char *at = strstr(lines.text, what);
    ck_assert_msg(at != NULL, "no \"%s\" in:\n%.1500s", what, lines.text);
}

/* finds_in_row puts `bad` in the place of a row, looks, and puts the row back. */
static void finds_in_row(enum kv_family family, struct bytes key, struct bytes bad,
                         const char *what) {
    struct bytes good = get_raw(&rig, &arena, family, key);
    set_raw(&rig, family, key, bad);
    finds(what);
    set_raw(&rig, family, key, good);
    rig_fsck_is_clean(&rig, ENTRIES);
}

/* --- entries */

static void finds_in_entry(const struct store_entry *bad, const char *what) {
    struct store_key key = {.family = KV_ENTRY, .number = bad->index};
    finds_in_row(KV_ENTRY, key_of(&arena, &key), entry_record(&arena, bad), what);
}

START_TEST(test_a_sound_log_has_no_problem) {
    struct fsck_lines lines;
    struct tlog_fsck_report report = rig_fsck(&rig, &lines);
    ck_assert_msg(report.problems == 0 && !report.outer_missing, "%s", lines.text);
    ck_assert_uint_eq(report.entries, ENTRIES);
    struct store_head head;
    ok(store_get_head(rig.store, NULL, &head));
    ck_assert(sha256_equal(&report.root, &head.root));
}
END_TEST

START_TEST(test_every_part_of_an_entry_is_checked) {
    for (uint64_t index = 0; index < ENTRIES; index += 149) {
        struct store_entry good = entry_at(&rig, &arena, index);
        struct store_entry bad = good;
        bad.payload = flipped(&arena, good.payload, 10);
        finds_in_entry(&bad, "its statement's signature does not verify");
        bad = good;
        bad.payload = flipped(&arena, good.payload, good.payload.len - 1);
        finds_in_entry(&bad, "its payload is no statement");
        bad = good;
        bad.signature = flipped(&arena, good.signature, good.signature.len - 1);
        finds_in_entry(&bad, "its statement's signature does not verify");
        bad = good;
        bad.leaf = flipped(&arena, good.leaf, 20);
        finds_in_entry(&bad, "its leaf is not that of its payload and signature");
        bad = good;
        bad.set = flipped(&arena, good.set, good.set.len - 1);
        finds_in_entry(&bad, "its signed entry timestamp does not verify");
        bad = good;
        bad.integrated_s++;
        finds_in_entry(&bad, "its signed entry timestamp does not verify");
        bad = good;
        bad.tree_size++;
        finds_in_entry(&bad, "! "); /* of the entry, or of a checkpoint that there is not */
        bad = good;
        bad.tree_size = ENTRIES + 1;
        finds_in_entry(&bad, "its round's size");
        bad = good;
        bad.kind =
            good.kind == STORE_ENTRY_DECISION ? STORE_ENTRY_ATTESTATION : STORE_ENTRY_DECISION;
        finds_in_entry(&bad, "its leaf is not that of its payload and signature");
    }
}
END_TEST

START_TEST(test_time_that_goes_back_is_found) {
    struct store_entry bad = entry_at(&rig, &arena, 200);
    bad.integrated_s--;
    finds_in_entry(&bad, "entry 200: its time is before that of the entry below it");
}
END_TEST

START_TEST(test_another_sound_entry_in_the_place_of_one_is_found) {
    struct store_entry bad = entry_at(&rig, &arena, 17);
    bad.index = 16;
    finds_in_entry(&bad, "the stored head is not that of the 300 entries");
}
END_TEST

START_TEST(test_missing_and_surplus_entries_are_found) {
    struct store_key key = {.family = KV_ENTRY, .number = 100};
    struct bytes none = {0};
    finds_in_row(KV_ENTRY, key_of(&arena, &key), none, "entry 100: is missing");
    key.number = ENTRIES - 1;
    finds_in_row(KV_ENTRY, key_of(&arena, &key), none, "entry 299: is missing");
    finds_in_row(KV_ENTRY, key_of(&arena, &key), BYTES_LIT("not a record"),
                 "entry 299: is missing");

    struct store_entry surplus = entry_at(&rig, &arena, 5);
    surplus.index = ENTRIES;
    key.number = ENTRIES;
    set_raw(&rig, KV_ENTRY, key_of(&arena, &key), entry_record(&arena, &surplus));
    finds("entry");
    set_raw(&rig, KV_ENTRY, key_of(&arena, &key), none);
    rig_fsck_is_clean(&rig, ENTRIES);
}
END_TEST

/* --- tree */

START_TEST(test_tiles_are_checked) {
    struct store_key key = {.family = KV_TILE};
    struct bytes tile = get_raw(&rig, &arena, KV_TILE, key_of(&arena, &key));
    for (size_t at = 0; at < tile.len; at += 1021)
        finds_in_row(KV_TILE, key_of(&arena, &key), flipped(&arena, tile, at),
                     "tile 0 of level 0 is not that of its entries");
    finds_in_row(KV_TILE, key_of(&arena, &key), (struct bytes){0}, "tile 0 of level 0 is missing");
    key.number = 1; /* a partial tile is never stored */
    set_raw(&rig, KV_TILE, key_of(&arena, &key), tile);
    finds("tile");
    set_raw(&rig, KV_TILE, key_of(&arena, &key), (struct bytes){0});
}
END_TEST

START_TEST(test_the_head_is_checked) {
    struct store_key key = {.family = KV_META, .kind = 'H'};
    struct bytes head = get_raw(&rig, &arena, KV_META, key_of(&arena, &key));
    struct store_head decoded;
    ok(store_get_head(rig.store, NULL, &decoded));
    size_t found = 0;
    for (size_t at = 0; at < head.len; at += 7) {
        set_raw(&rig, KV_META, key_of(&arena, &key), flipped(&arena, head, at));
        struct fsck_lines lines = {0};
        struct tlog_fsck_report report = {0};
        CLEANUP(error_freep)
        struct error *err =
            tlog_fsck(rig.store, rig.signer, &rig.options, fsck_line, &lines, &report);
        ck_assert_msg(err != NULL || report.problems > 0, "octet %zu of the head", at);
        found++;
        set_raw(&rig, KV_META, key_of(&arena, &key), head);
    }
    ck_assert_uint_gt(found, 5);
    rig_fsck_is_clean(&rig, ENTRIES);
}
END_TEST

/* --- checkpoints */

static bool keep_largest(void *ctx, uint64_t size, struct bytes v1, struct bytes c2sp) {
    (void)v1;
    (void)c2sp;
    *(uint64_t *)ctx = size;
    return true;
}

START_TEST(test_checkpoints_are_checked) {
    static const uint64_t sizes[] = {0, ENTRIES};
    for (size_t i = 0; i < 2; i++) {
        struct store_key key = {.family = KV_META, .kind = 'C', .number = sizes[i]};
        struct bytes v1, c2sp;
        bool found = false;
        ok(store_get_checkpoint(rig.store, &arena, sizes[i], &found, &v1, &c2sp));
        ck_assert(found);
        struct bytes good = get_raw(&rig, &arena, KV_META, key_of(&arena, &key));
        put_checkpoint(&rig, sizes[i], flipped(&arena, v1, 3), c2sp);
        finds("not that of its entries, or not by this log");
        put_checkpoint(&rig, sizes[i], v1, flipped(&arena, c2sp, c2sp.len - 10));
        finds("not that of its entries, or not by this log");
        put_checkpoint(&rig, sizes[i], c2sp, c2sp);
        finds("not that of its entries, or not by this log");
        put_checkpoint(&rig, sizes[i], (struct bytes){0}, c2sp);
        finds("not that of its entries, or not by this log");
        set_raw(&rig, KV_META, key_of(&arena, &key), (struct bytes){0});
        finds("is missing");
        set_raw(&rig, KV_META, key_of(&arena, &key), good);
        rig_fsck_is_clean(&rig, ENTRIES);
    }
}
END_TEST

START_TEST(test_a_checkpoint_of_no_round_is_found) {
    uint64_t largest = 0;
    ok(store_scan_checkpoints(rig.store, NULL, keep_largest, &largest));
    ck_assert_uint_eq(largest, ENTRIES);
    struct bytes v1, c2sp;
    bool taken = true;
    uint64_t size = ENTRIES;
    while (taken) ok(store_get_checkpoint(rig.store, &arena, --size, &taken, &v1, &c2sp));
    put_checkpoint(&rig, size, BYTES_LIT("x"), BYTES_LIT("y"));
    finds("checkpoints are stored for");
}
END_TEST

START_TEST(test_a_signed_checkpoint_of_another_tree_is_found) {
    struct buf v1, c2sp;
    struct sha256 other = merkle_leaf_hash(BYTES_LIT("other"));
    buf_init_arena(&v1, &arena, 4096);
    buf_init_arena(&c2sp, &arena, 4096);
    ok(signer_put_checkpoint_v1(rig.signer, &v1, BYTES_LIT(RIG_ORIGIN), RIG_TREE_ID, ENTRIES,
                                &other));
    ok(signer_put_checkpoint_c2sp(rig.signer, &c2sp, BYTES_LIT(RIG_ORIGIN), ENTRIES, &other));
    put_checkpoint(&rig, ENTRIES, buf_bytes(&v1), buf_bytes(&c2sp));
    finds("the checkpoint of size 300 is not that of its entries");
}
END_TEST

/* --- indexes and edges */

/* first_row gives the key of some row of a family. */
static struct bytes some_row(enum kv_family family, size_t skip) {
    struct kv *kv = store_kv(rig.store);
    struct kv_iter *it = NULL;
    struct bytes key = {0};
    struct bytes value;
    ok(kv_iter_new(kv, NULL, family, (struct bytes){0}, (struct bytes){0}, &it));
    for (size_t i = 0; i <= skip; i++) ck_assert(kv_iter_next(kv, it, &key, &value));
    key = arena_copy(&arena, key);
    kv_iter_free(kv, it);
    return key;
}

START_TEST(test_missing_rows_of_indexes_and_edges_are_found) {
    for (size_t skip = 0; skip < 1200; skip += 311) {
        finds_in_row(KV_INDEX, some_row(KV_INDEX, skip), (struct bytes){0},
                     "rows that it should be found by are missing or differ");
    }
    for (size_t skip = 0; skip < 600; skip += 271) {
        struct bytes key = some_row(KV_EDGE, skip);
        finds_in_row(KV_EDGE, key, (struct bytes){0},
                     "rows that it should be found by are missing or differ");
        struct bytes value = get_raw(&rig, &arena, KV_EDGE, key);
        finds_in_row(KV_EDGE, key, flipped(&arena, value, value.len - 1), "differ");
    }
}
END_TEST

START_TEST(test_surplus_rows_are_found) {
    static const enum kv_family families[] = {KV_INDEX, KV_EDGE};
    for (size_t i = 0; i < 2; i++) {
        struct bytes key = some_row(families[i], 5);
        struct bytes value = get_raw(&rig, &arena, families[i], key);
        if (value.data == NULL) value = BYTES_LIT("");
        struct bytes other = flipped(&arena, key, 5); /* of a term that the entry does not have */
        set_raw(&rig, families[i], other, value);
        struct fsck_lines lines;
        ck_assert_uint_gt(rig_fsck(&rig, &lines).problems, 0);
        set_raw(&rig, families[i], other, (struct bytes){0});
        rig_fsck_is_clean(&rig, ENTRIES);
    }
}
END_TEST

START_TEST(test_a_dedup_row_beyond_the_log_is_found) {
    struct sha256 key = sha256_of(BYTES_LIT("nobody"));
    CLEANUP(store_round_freep) struct store_round *r = NULL;
    ok(store_round_new(rig.store, &r));
    store_round_dedup(r, &key, &(struct store_dedup){.index = ENTRIES});
    ok(store_round_commit(r));
    finds("dedup");
}
END_TEST

/* --- anchors */

static void copy_file(const char *from, const char *to) {
    static uint8_t octets[8192];
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    ck_assert(in != NULL && out != NULL);
    ck_assert_uint_eq(fread(octets, 1, sizeof octets, in), sizeof octets);
    ck_assert_uint_eq(fwrite(octets, 1, sizeof octets, out), sizeof octets);
    (void)fclose(in);
    ck_assert_int_eq(fclose(out), 0);
}

START_TEST(test_anchors_are_checked) {
    struct fsck_lines lines;
    char kept[128];
    (void)snprintf(kept, sizeof kept, "%s/kept", rig.dir);
    copy_file(rig.path_outer, kept);
    ck_assert_int_eq(unlink(rig.path_outer), 0); /* named, and no disagreement */
    struct tlog_fsck_report report = rig_fsck(&rig, &lines);
    ck_assert(report.problems == 0 && report.outer_missing);
    ck_assert_ptr_nonnull(strstr(lines.text, "is missing"));

    ck_assert_int_eq(truncate(rig.path_inner, 100), 0);
    finds("is damaged");
    ck_assert_int_eq(unlink(rig.path_inner), 0);
    finds("anchor is missing");
    copy_file(kept, rig.path_inner);
    copy_file(kept, rig.path_outer);
    rig_fsck_is_clean(&rig, ENTRIES);
    ck_assert_int_eq(truncate(rig.path_outer, 100), 0);
    finds("is damaged");
}
END_TEST

START_TEST(test_an_anchor_ahead_and_one_of_another_tree_are_found) {
    struct rig other;
    rig_init(&other, false);
    signer_free(other.signer);
    other.signer = rig.signer;
    rig_open(&other);
    rig_log_many(&other, 1000, ENTRIES);
    rig_close_log(&other);
    copy_file(other.path_outer, rig.path_outer);
    finds("has another root for size 300");
    rig_open_log(&other);
    rig_log_many(&other, 2000, 1);
    rig_close_log(&other);
    copy_file(other.path_outer, rig.path_outer);
    finds("entries 300 to 300 are missing");
    other.signer = NULL;
    rig_done(&other);
}
END_TEST

START_TEST(test_an_anchor_by_other_keys_is_found) {
    struct rig other;
    rig_init(&other, false);
    rig_open(&other);
    rig_close_log(&other);
    copy_file(other.path_outer, rig.path_outer);
    finds("is of another log");
    rig_done(&other);
}
END_TEST

START_TEST(test_other_keys_make_everything_a_problem) {
    struct signer *own = rig.signer;
    struct signer *other = NULL;
    ok(signer_generate(&other));
    rig.signer = other;
    finds("its signed entry timestamp does not verify");
    finds("its statement's signature does not verify");
    finds("is of another log");
    rig.signer = own;
    signer_free(other);
}
END_TEST

START_TEST(test_a_log_that_was_never_started_has_no_problem) {
    rig_close(&rig);
    ck_assert_int_eq(unlink(rig.path_inner), 0);
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    rig_open_store(&rig);
    struct fsck_lines lines;
    struct tlog_fsck_report report = rig_fsck(&rig, &lines);
    ck_assert_msg(report.problems == 0 && report.entries == 0, "%s", lines.text);
}
END_TEST

static struct error *run_fsck(void) {
    struct fsck_lines lines = {0};
    struct tlog_fsck_report report = {0};
    return tlog_fsck(rig.store, rig.signer, &rig.options, fsck_line, &lines, &report);
}

START_TEST(test_fsck_survives_every_allocation_failure) {
    rig.options.workers = 0;
    (void)alloc_fail_after(-1);
    ok(run_fsck());
    long needed = alloc_fail_after(-1);
    for (long n = 0; n < needed; n += n < 60 ? 1 : 1 + needed / 97) {
        (void)alloc_fail_after(n);
        struct error *err = run_fsck();
        (void)alloc_fail_after(-1);
        fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_NONE);
    }
    rig_fsck_is_clean(&rig, ENTRIES);
}
END_TEST

static Suite *tlog_fsck_suite(void) {
    Suite *s = suite_create("tlog_fsck");
    TCase *tc = tcase_create("fsck");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, test_a_sound_log_has_no_problem);
    tcase_add_test(tc, test_every_part_of_an_entry_is_checked);
    tcase_add_test(tc, test_time_that_goes_back_is_found);
    tcase_add_test(tc, test_another_sound_entry_in_the_place_of_one_is_found);
    tcase_add_test(tc, test_missing_and_surplus_entries_are_found);
    tcase_add_test(tc, test_tiles_are_checked);
    tcase_add_test(tc, test_the_head_is_checked);
    tcase_add_test(tc, test_checkpoints_are_checked);
    tcase_add_test(tc, test_a_checkpoint_of_no_round_is_found);
    tcase_add_test(tc, test_a_signed_checkpoint_of_another_tree_is_found);
    tcase_add_test(tc, test_missing_rows_of_indexes_and_edges_are_found);
    tcase_add_test(tc, test_surplus_rows_are_found);
    tcase_add_test(tc, test_a_dedup_row_beyond_the_log_is_found);
    tcase_add_test(tc, test_anchors_are_checked);
    tcase_add_test(tc, test_an_anchor_ahead_and_one_of_another_tree_are_found);
    tcase_add_test(tc, test_an_anchor_by_other_keys_is_found);
    tcase_add_test(tc, test_other_keys_make_everything_a_problem);
    tcase_add_test(tc, test_a_log_that_was_never_started_has_no_problem);
    tcase_add_test(tc, test_fsck_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(tlog_fsck_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
