/* kv through both of its forms. What is RocksDB's own stands in test_kv_files.c. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "kv_support.h"

START_TEST(test_get_gives_what_was_put_in_its_family_alone) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    put(kv, KV_META, "a", "1");
    ck_assert(holds(kv, NULL, KV_META, "a", "1"));
    ck_assert(holds(kv, NULL, KV_ENTRY, "a", NULL));
    ck_assert(holds(kv, NULL, KV_META, "b", NULL));
    ck_assert(holds(kv, NULL, KV_META, "", NULL));
    put(kv, KV_META, "a", "2");
    ck_assert(holds(kv, NULL, KV_META, "a", "2"));
    drop(kv, KV_META, "a");
    ck_assert(holds(kv, NULL, KV_META, "a", NULL));
    drop(kv, KV_META, "never there");
    put(kv, KV_META, "empty", "");
    ck_assert(holds(kv, NULL, KV_META, "empty", ""));
}
END_TEST

START_TEST(test_every_family_takes_any_octets) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    static const uint8_t key_octets[] = {0, 0xff, 0, 'k', 0};
    struct bytes key = {key_octets, sizeof key_octets};
    struct buf value; /* over the size from which blob files hold it */
    buf_init(&value, 100000);
    for (int i = 0; i < 100000; i++) buf_put_u8(&value, (uint8_t)(i * 7 + i / 251));
    struct kv_batch *b = kv_batch_new(kv);
    for (int f = 0; f < KV_FAMILY_COUNT; f++)
        kv_batch_put(kv, b, (enum kv_family)f, key, buf_bytes(&value));
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
    ok(kv_flush(kv));
    ck_assert_uint_gt(kv_size_octets(kv), 100000);
    for (int f = 0; f < KV_FAMILY_COUNT; f++) {
        struct arena arena;
        arena_init(&arena, 200000);
        bool found = false;
        struct bytes got;
        ok(kv_get(kv, NULL, (enum kv_family)f, key, &arena, &found, &got));
        ck_assert(found && bytes_equal(got, buf_bytes(&value)));
        arena_done(&arena);
    }
    buf_done(&value);
}
END_TEST

START_TEST(test_get_is_bounded_by_the_arena) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    put(kv, KV_META, "k", "a value longer than the arena has room for");
    struct arena arena;
    arena_init(&arena, 16);
    bool found = false;
    struct bytes got = {0};
    fails(kv_get(kv, NULL, KV_META, BYTES_LIT("k"), &arena, &found, &got),
          ERROR_RESOURCE_EXHAUSTED);
    ck_assert_ptr_null(got.data);
    arena_done(&arena);
}
END_TEST

START_TEST(test_iteration_is_ordered_and_bounded) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    static const char *const keys[] = {"b", "a\xff", "aa", "a", "ab", "c", "b\x01", "aaa"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) put(kv, KV_TILE, keys[i], "v");
    ck_assert_str_eq(listing(kv, NULL, KV_TILE, "", ""),
                     "a=v aa=v aaa=v ab=v a\xff=v b=v b\x01=v c=v");
    ck_assert_str_eq(listing(kv, NULL, KV_TILE, "aa", "b"), "aa=v aaa=v ab=v a\xff=v");
    ck_assert_str_eq(listing(kv, NULL, KV_TILE, "b", ""), "b=v b\x01=v c=v");
    ck_assert_str_eq(listing(kv, NULL, KV_TILE, "", "aa"), "a=v");
    ck_assert_str_eq(listing(kv, NULL, KV_TILE, "d", ""), "");
    ck_assert_str_eq(listing(kv, NULL, KV_TILE, "b", "b"), "");
    ck_assert_str_eq(listing(kv, NULL, KV_TILE, "c", "a"), "");
    ck_assert_str_eq(listing(kv, NULL, KV_ENTRY, "", ""), "");
}
END_TEST

START_TEST(test_iteration_skips_what_was_deleted_or_replaced) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    for (const char *k = "abcdefgh"; *k != '\0'; k++) put(kv, KV_DEDUP, (char[]){*k, 0}, "1");
    for (const char *k = "acdh"; *k != '\0'; k++) drop(kv, KV_DEDUP, (char[]){*k, 0});
    put(kv, KV_DEDUP, "e", "2");
    put(kv, KV_DEDUP, "c", "3");
    ck_assert_str_eq(listing(kv, NULL, KV_DEDUP, "", ""), "b=1 c=3 e=2 f=1 g=1");
    ok(kv_flush(kv));
    ck_assert_str_eq(listing(kv, NULL, KV_DEDUP, "", ""), "b=1 c=3 e=2 f=1 g=1");
}
END_TEST

/* Ranges inside one prefix take another way through RocksDB than those across prefixes. */
START_TEST(test_ranges_of_prefixed_families_inside_and_across_prefixes) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    char key[64];
    for (int round = 0; round < 3; round++) { /* files and memtables */
        for (char c = 'p'; c <= 'r'; c++) {
            (void)snprintf(key, sizeof key, "%.32s%c%02d", "00000000000000000000000000000000", c,
                           round);
            put(kv, KV_INDEX, key, (char[]){c, 0});
        }
        if (round < 2) ok(kv_flush(kv));
    }
#define P "00000000000000000000000000000000"
    ck_assert_str_eq(listing(kv, NULL, KV_INDEX, P "q01", P "q9"), P "q01=q " P "q02=q");
    ck_assert_str_eq(listing(kv, NULL, KV_INDEX, P "q", P "q02"), P "q00=q " P "q01=q");
    ck_assert_str_eq(listing(kv, NULL, KV_INDEX, P "p02", P "q01"), P "p02=p " P "q00=q");
    ck_assert_str_eq(listing(kv, NULL, KV_INDEX, P "s0", P "s9"), "");
    ck_assert_str_eq(listing(kv, NULL, KV_INDEX, P "r01", ""), P "r01=r " P "r02=r");
    ck_assert_str_eq(listing(kv, NULL, KV_INDEX, "", P "p01"), P "p00=p");
}
END_TEST

START_TEST(test_bounds_are_copied) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    for (const char *k = "abcd"; *k != '\0'; k++) put(kv, KV_META, (char[]){*k, 0}, "1");
    char lower[] = "b";
    char upper[] = "d";
    struct kv_iter *it = NULL;
    ok(kv_iter_new(kv, NULL, KV_META, bytes_of_cstr(lower), bytes_of_cstr(upper), &it));
    lower[0] = upper[0] = 'a';
    struct bytes key, value;
    int count = 0;
    while (kv_iter_next(kv, it, &key, &value)) count++;
    ok(kv_iter_error(kv, it));
    kv_iter_free(kv, it);
    ck_assert_int_eq(count, 2);
}
END_TEST

START_TEST(test_a_snapshot_stays_as_it_was) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    put(kv, KV_META, "a", "1");
    put(kv, KV_ENTRY, "b", "1");
    struct kv_snapshot *snap = kv_snapshot_new(kv);
    ck_assert_ptr_nonnull(snap);
    put(kv, KV_META, "a", "2");
    put(kv, KV_META, "c", "2");
    drop(kv, KV_ENTRY, "b");
    ok(kv_flush(kv));
    ck_assert(holds(kv, snap, KV_META, "a", "1"));
    ck_assert(holds(kv, snap, KV_META, "c", NULL));
    ck_assert(holds(kv, snap, KV_ENTRY, "b", "1"));
    ck_assert_str_eq(listing(kv, snap, KV_META, "", ""), "a=1");
    ck_assert_str_eq(listing(kv, snap, KV_ENTRY, "", ""), "b=1");
    ck_assert_str_eq(listing(kv, NULL, KV_META, "", ""), "a=2 c=2");
    kv_snapshot_free(kv, snap);
    ck_assert(holds(kv, NULL, KV_META, "a", "2"));
}
END_TEST

START_TEST(test_an_iterator_sees_one_state) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    put(kv, KV_META, "a", "1");
    put(kv, KV_META, "c", "1");
    struct kv_iter *it = NULL;
    ok(kv_iter_new(kv, NULL, KV_META, (struct bytes){0}, (struct bytes){0}, &it));
    put(kv, KV_META, "b", "2");
    drop(kv, KV_META, "c");
    struct bytes key, value;
    ck_assert(kv_iter_next(kv, it, &key, &value) && bytes_equal(key, BYTES_LIT("a")));
    ck_assert(kv_iter_next(kv, it, &key, &value) && bytes_equal(key, BYTES_LIT("c")));
    ck_assert(!kv_iter_next(kv, it, &key, &value));
    kv_iter_free(kv, it);
}
END_TEST

START_TEST(test_a_batch_copies_is_reused_and_its_last_word_counts) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    struct kv_batch *b = kv_batch_new(kv);
    ok(kv_write(kv, b)); /* an empty batch is no error */
    char key[] = "k";
    char value[] = "1";
    kv_batch_put(kv, b, KV_META, bytes_of_cstr(key), bytes_of_cstr(value));
    key[0] = 'x';
    value[0] = '9';
    kv_batch_put(kv, b, KV_META, BYTES_LIT("twice"), BYTES_LIT("1"));
    kv_batch_put(kv, b, KV_META, BYTES_LIT("twice"), BYTES_LIT("2"));
    kv_batch_put(kv, b, KV_META, BYTES_LIT("gone"), BYTES_LIT("1"));
    kv_batch_delete(kv, b, KV_META, BYTES_LIT("gone"));
    kv_batch_delete(kv, b, KV_META, BYTES_LIT("back"));
    kv_batch_put(kv, b, KV_META, BYTES_LIT("back"), BYTES_LIT("1"));
    ck_assert_str_eq(listing(kv, NULL, KV_META, "", ""), "");
    ok(kv_write(kv, b));
    ck_assert_str_eq(listing(kv, NULL, KV_META, "", ""), "back=1 k=1 twice=2");
    kv_batch_clear(kv, b);
    kv_batch_put(kv, b, KV_META, BYTES_LIT("new"), BYTES_LIT("1"));
    ok(kv_write(kv, b));
    ck_assert_str_eq(listing(kv, NULL, KV_META, "", ""), "back=1 k=1 new=1 twice=2");
    kv_batch_free(kv, b);
}
END_TEST

/* A model of a few keys, driven by a fixed pseudo-random sequence: both forms must agree with it.
 */
START_TEST(test_agrees_with_a_table_over_many_random_operations) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    enum { KEYS = 40, STEPS = 400 };
    int table[KEYS] = {0}; /* 0: absent */
    uint32_t dice = 12345;
    for (int step = 1; step <= STEPS; step++) {
        struct kv_batch *b = kv_batch_new(kv);
        for (int op = 0; op < 5; op++) {
            dice = dice * 1664525 + 1013904223;
            int k = (int)((dice >> 16) % KEYS);
            char key[8], value[16];
            (void)snprintf(key, sizeof key, "k%02d", k);
            (void)snprintf(value, sizeof value, "%d", step);
            if ((dice & 0xc00) == 0) {
                kv_batch_delete(kv, b, KV_EDGE, bytes_of_cstr(key));
                table[k] = 0;
            } else {
                kv_batch_put(kv, b, KV_EDGE, bytes_of_cstr(key), bytes_of_cstr(value));
                table[k] = step;
            }
        }
        ok(kv_write(kv, b));
        kv_batch_free(kv, b);
        if (step % 150 == 0) ok(kv_flush(kv));
        if (step % 50 != 0) continue;
        char want[4096] = "";
        size_t at = 0;
        for (int k = 0; k < KEYS; k++) {
            if (table[k] == 0) continue;
            at += (size_t)snprintf(want + at, sizeof want - at, "%sk%02d=%d", at == 0 ? "" : " ", k,
                                   table[k]);
        }
        ck_assert_str_eq(listing(kv, NULL, KV_EDGE, "", ""), want);
    }
}
END_TEST

/* --- atomicity under readers: a batch of two families is seen whole or not at all */

struct watch {
    struct kv *kv;
    atomic_bool stop;
    int torn;
};

static void *watch_batches(void *arg) {
    struct watch *w = arg;
    while (!w->stop) {
        struct kv_snapshot *snap = kv_snapshot_new(w->kv);
        struct arena arena;
        arena_init(&arena, 1 << 12);
        bool found[2] = {false, false};
        struct bytes got[2] = {{0}, {0}};
        ok(kv_get(w->kv, snap, KV_META, BYTES_LIT("n"), &arena, &found[0], &got[0]));
        ok(kv_get(w->kv, snap, KV_IDENTITY, BYTES_LIT("n"), &arena, &found[1], &got[1]));
        if (found[0] != found[1] || !bytes_equal(got[0], got[1])) w->torn++;
        arena_done(&arena);
        kv_snapshot_free(w->kv, snap);
    }
    return NULL;
}

START_TEST(test_a_batch_is_seen_whole_or_not_at_all) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    struct watch w = {.kv = kv};
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, watch_batches, &w), 0);
    for (int n = 0; n < 200; n++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", n);
        struct kv_batch *b = kv_batch_new(kv);
        kv_batch_put(kv, b, KV_META, BYTES_LIT("n"), bytes_of_cstr(value));
        kv_batch_put(kv, b, KV_IDENTITY, BYTES_LIT("n"), bytes_of_cstr(value));
        ok(kv_write(kv, b));
        kv_batch_free(kv, b);
    }
    w.stop = true;
    ck_assert_int_eq(pthread_join(reader, NULL), 0);
    ck_assert_int_eq(w.torn, 0);
}
END_TEST

static void *write_many(void *arg) {
    struct kv *kv = arg;
    for (int n = 0; n < 50; n++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%lx/%d", (unsigned long)pthread_self(), n);
        put(kv, KV_META, key, "v");
    }
    return NULL;
}

START_TEST(test_writers_of_several_threads_take_turns) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, kv), 0);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    struct kv_iter *it = NULL;
    ok(kv_iter_new(kv, NULL, KV_META, (struct bytes){0}, (struct bytes){0}, &it));
    int count = 0;
    struct bytes key, value;
    while (kv_iter_next(kv, it, &key, &value)) count++;
    kv_iter_free(kv, it);
    ck_assert_int_eq(count, 200);
}
END_TEST

/* --- allocation failures: an error or the right answer, never half a batch */

static struct error *one_of_everything(struct kv *kv) {
    struct kv_batch *b = kv_batch_new(kv);
    if (b == NULL) return error_nomem();
    kv_batch_put(kv, b, KV_META, BYTES_LIT("a"), BYTES_LIT("1"));
    kv_batch_put(kv, b, KV_ENTRY, BYTES_LIT("b"), BYTES_LIT("2"));
    struct error *err = kv_write(kv, b);
    kv_batch_free(kv, b);
    TRY(err);
    struct kv_snapshot *snap = kv_snapshot_new(kv);
    if (snap == NULL) return error_nomem();
    struct arena arena;
    arena_init(&arena, 1 << 12);
    bool found = false;
    struct bytes got, key;
    err = kv_get(kv, snap, KV_META, BYTES_LIT("a"), &arena, &found, &got);
    struct kv_iter *it = NULL;
    if (err == NULL) err = kv_iter_new(kv, snap, KV_ENTRY, BYTES_LIT("a"), (struct bytes){0}, &it);
    if (err == NULL && !kv_iter_next(kv, it, &key, &got)) err = kv_iter_error(kv, it);
    kv_iter_free(kv, it);
    arena_done(&arena);
    kv_snapshot_free(kv, snap);
    return err;
}

START_TEST(test_survives_every_allocation_failure) {
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    (void)alloc_fail_after(-1);
    ok(one_of_everything(kv));
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 3);
    for (long n = 0; n < needed; n++) {
        drop(kv, KV_META, "a");
        drop(kv, KV_ENTRY, "b");
        (void)alloc_fail_after(n);
        struct error *err = one_of_everything(kv);
        (void)alloc_fail_after(-1);
        fails(err, ERROR_RESOURCE_EXHAUSTED);
        ck_assert(holds(kv, NULL, KV_META, "a", NULL) == holds(kv, NULL, KV_ENTRY, "b", NULL));
    }
}
END_TEST

static struct error *open_form(int form, struct kv **out) {
    return form == MEM ? kv_mem_new(out) : open_rocks("alloc", false, out);
}

START_TEST(test_opening_survives_every_allocation_failure) {
    for (long n = 0;; n++) {
        struct kv *kv = NULL;
        (void)alloc_fail_after(n);
        struct error *err = open_form(_i, &kv);
        (void)alloc_fail_after(-1);
        if (err == NULL) {
            kv_close(kv);
            ck_assert_int_gt(n, 0);
            return;
        }
        fails(err, ERROR_RESOURCE_EXHAUSTED);
        ck_assert_ptr_null(kv);
    }
}
END_TEST

/* --- the memory form's own: failing writes */

START_TEST(test_mem_fails_on_demand_applied_or_not) {
    for (int applied = 0; applied < 2; applied++) {
        CLEANUP(kv_closep) struct kv *kv = new_kv(MEM);
        kv_mem_fail(kv, 1, applied != 0);
        put(kv, KV_META, "a", "1");
        struct kv_batch *b = kv_batch_new(kv);
        kv_batch_put(kv, b, KV_META, BYTES_LIT("b"), BYTES_LIT("1"));
        fails(kv_write(kv, b), ERROR_UNAVAILABLE);
        kv_batch_clear(kv, b);
        kv_batch_put(kv, b, KV_META, BYTES_LIT("c"), BYTES_LIT("1"));
        fails(kv_write(kv, b), ERROR_UNAVAILABLE);
        ck_assert_str_eq(listing(kv, NULL, KV_META, "", ""), applied ? "a=1 b=1" : "a=1");
        kv_mem_fail(kv, -1, false);
        ok(kv_write(kv, b));
        kv_batch_free(kv, b);
    }
    CLEANUP(kv_closep) struct kv *kv = new_kv(MEM);
    fails(kv_checkpoint(kv, "/nowhere"), ERROR_UNIMPLEMENTED);
}
END_TEST

static Suite *kv_suite(void) {
    Suite *s = suite_create("kv");
    TCase *both = tcase_create("both forms");
    tcase_add_checked_fixture(both, make_folder, remove_folder);
    tcase_set_timeout(both, 120);
#define BOTH(test) tcase_add_loop_test(both, test, 0, FORMS)
    BOTH(test_get_gives_what_was_put_in_its_family_alone);
    BOTH(test_every_family_takes_any_octets);
    BOTH(test_get_is_bounded_by_the_arena);
    BOTH(test_iteration_is_ordered_and_bounded);
    BOTH(test_iteration_skips_what_was_deleted_or_replaced);
    BOTH(test_ranges_of_prefixed_families_inside_and_across_prefixes);
    BOTH(test_bounds_are_copied);
    BOTH(test_a_snapshot_stays_as_it_was);
    BOTH(test_an_iterator_sees_one_state);
    BOTH(test_a_batch_copies_is_reused_and_its_last_word_counts);
    BOTH(test_agrees_with_a_table_over_many_random_operations);
    BOTH(test_a_batch_is_seen_whole_or_not_at_all);
    BOTH(test_writers_of_several_threads_take_turns);
    BOTH(test_survives_every_allocation_failure);
    BOTH(test_opening_survives_every_allocation_failure);
    suite_add_tcase(s, both);
    TCase *own = tcase_create("memory");
    tcase_add_test(own, test_mem_fails_on_demand_applied_or_not);
    suite_add_tcase(s, own);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(kv_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
