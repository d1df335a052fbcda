/* What happens when a write, memory or the machine fails under a log that runs. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>

#include "tlog_rig.h"

static struct rig rig;

/* --- syncs: this program's own fdatasync is the one that the log and RocksDB call */

enum synced { INNER, OUTER, DATABASE, SYNCED };
static atomic_uint syncs[SYNCED];
static atomic_int failing = SYNCED; /* whose next sync fails; SYNCED: nobody's */

static int whose(int fd) {
    char link[64], path[256];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 4) return SYNCED;
    path[n] = '\0';
    if (strcmp(path, rig.path_inner) == 0) return INNER;
    if (strcmp(path, rig.path_outer) == 0) return OUTER;
    return strcmp(path + n - 4, ".log") == 0 ? DATABASE : SYNCED;
}

int fdatasync(int fd);
int fdatasync(int fd) {
    int who = whose(fd);
    if (who != SYNCED) {
        atomic_fetch_add(&syncs[who], 1);
        if (atomic_compare_exchange_strong(&failing, &who, SYNCED)) {
            errno = EIO;
            return -1;
        }
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* --- threads: so is its pthread_create */

static int threads_left = -1; /* that can be started before one fails; below 0: all can */

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg),
                   void *arg) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (threads_left >= 0 && threads_left-- == 0) return EAGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attr, fn, arg);
}

static void setup(void) { rig_init(&rig, false); }
static void teardown(void) { rig_done(&rig); }

/* log_and_fail submits `n` and expects that the round fails; nothing of it has come out. */
static void log_and_fail(uint64_t n) {
    struct sub *sub = rig_log(&rig, n);
    fails(MOVE(sub->err), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    ck_assert_uint_eq(sub->s.set.len, 0);
    ck_assert_ptr_null(sub->s.checkpoint_v1);
    sub_free(sub);
}

START_TEST(test_an_answer_comes_after_the_database_and_both_anchors_are_synced) {
    rig.rocksdb = true;
    rig_open(&rig);
    for (int i = 0; i < SYNCED; i++) atomic_store(&syncs[i], 0);
    rig_log_many(&rig, 0, 1);
    for (int i = 0; i < SYNCED; i++)
        ck_assert_msg(atomic_load(&syncs[i]) > 0, "nothing synced %d", i);
    rig_close(&rig);
}
END_TEST

static int remove_write_ahead_logs(void) {
    int removed = 0;
    DIR *d = opendir(rig.path_db);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 4, ".log") != 0) continue;
        ck_assert_int_eq(unlinkat(dirfd(d), e->d_name, 0), 0);
        removed++;
    }
    (void)closedir(d);
    return removed;
}

START_TEST(test_a_log_that_is_closed_has_flushed_what_it_wrote) {
    rig.rocksdb = true;
    rig_open(&rig);
    rig_log_many(&rig, 0, 3);
    rig_close(&rig);
    ck_assert_int_gt(remove_write_ahead_logs(), 0);
    rig_open(&rig); /* RocksDB does not flush when it is closed */
    ck_assert_uint_eq(tlog_head(rig.log).size, 3);
    ck_assert_int_eq(tlog_state(rig.log), TLOG_SERVING);
    rig_close(&rig);
}
END_TEST

START_TEST(test_a_sync_that_fails_fails_the_round) {
    rig.rocksdb = true;
    for (int i = 0; i < SYNCED; i++) {
        rig_open(&rig);
        atomic_store(&failing, i);
        log_and_fail((uint64_t)i);
        ck_assert_int_eq(atomic_load(&failing), SYNCED);
        ck_assert_int_eq(tlog_state(rig.log), TLOG_FAILED);
        rig_close(&rig);
    }
}
END_TEST

static void check_failed_for_good(void) {
    struct arena arena;
    struct bytes v1, c2sp;
    struct sha256 root;
    char why[256];
    arena_init(&arena, 1 << 20);
    ck_assert_int_eq(tlog_state(rig.log), TLOG_FAILED);
    tlog_why(rig.log, why, sizeof why);
    ck_assert_ptr_nonnull(strstr(why, "restart"));
    struct sub *sub = sub_new(&rig, 999);
    fails(sub_try(sub), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    sub_free(sub);
    struct tlog_head head = tlog_head(rig.log);
    for (uint64_t n = 1; n <= head.size; n++) { /* what is stored, not what would be signed */
        bool stored = false;
        ok(store_get_checkpoint(rig.store, &arena, n, &stored, &v1, &c2sp));
        struct error *err = tlog_checkpoint(rig.log, &arena, n, &v1, &c2sp, &root);
        if (stored)
            ok(err);
        else
            fails(err, ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    }
    arena_done(&arena);
}

START_TEST(test_after_a_failed_write_nothing_is_signed) {
    for (int applied = 0; applied < 2; applied++) {
        rig_open(&rig);
        rig_log_many(&rig, 0, 3);
        kv_mem_fail(store_kv(rig.store), 0, applied == 1);
        log_and_fail(3);
        ck_assert_uint_eq(tlog_head(rig.log).size, 3);
        check_failed_for_good();
        rig_close_log(&rig);
        kv_mem_fail(store_kv(rig.store), -1, false);

        rig_open_log(&rig); /* the next process: what is stored decides */
        ck_assert_int_eq(tlog_state(rig.log), TLOG_SERVING);
        ck_assert_uint_eq(tlog_head(rig.log).size, applied == 1 ? 4 : 3);
        struct sub *again = rig_log(&rig, 3); /* the retry finds its entry, or is logged */
        ok(MOVE(again->err));
        ck_assert(again->s.existing == (applied == 1));
        ck_assert_uint_eq(again->s.index, 3);
        check_stored(&rig, again);
        sub_free(again);
        rig_close_log(&rig);
        rig_fsck_is_clean(&rig, 4);
        rig_close(&rig);
        (void)unlink(rig.path_inner);
        (void)unlink(rig.path_outer);
    }
}
END_TEST

START_TEST(test_a_failing_round_takes_those_built_on_it_with_it) {
    gate_arm(&rig, "committed");
    rig.options.round_entries_max = 4;
    rig_open(&rig);
    rig_log_many(&rig, 0, 2);
    struct sub *subs[12];
    for (uint64_t i = 0; i < 12; i++) subs[i] = sub_new(&rig, 10 + i);
    gate_shut();
    ok(sub_try(subs[0]));
    gate_await(); /* one round is on its way to its anchors; others are built on it meanwhile */
    for (uint64_t i = 1; i < 12; i++) ok(sub_try(subs[i]));
    kv_mem_fail(store_kv(rig.store), 0, true);
    gate_open();
    rig_wait(&rig);
    ok(MOVE(subs[0]->err));
    check_receipt(&rig, subs[0]);
    for (uint64_t i = 1; i < 12; i++) {
        fails(MOVE(subs[i]->err), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
        ck_assert_uint_eq(subs[i]->s.set.len, 0);
    }
    ck_assert_uint_eq(tlog_head(rig.log).size, 3);
    rig_close_log(&rig);
    kv_mem_fail(store_kv(rig.store), -1, false);
    rig_open_log(&rig);
    uint64_t size = tlog_head(rig.log).size; /* the failed round was applied; none after it */
    ck_assert(size > 3 && size <= 7);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, size);
    for (uint64_t i = 0; i < 12; i++) sub_free(subs[i]);
}
END_TEST

START_TEST(test_a_failing_anchor_takes_the_rounds_committed_behind_it) {
    gate_arm(&rig, "anchor_inner");
    rig_open(&rig);
    rig_log_many(&rig, 0, 2);
    struct sub *subs[3] = {sub_new(&rig, 10), sub_new(&rig, 11), sub_new(&rig, 12)};
    gate_shut();
    ok(sub_try(subs[0]));
    gate_await();
    struct store_head *stored = alloc_zero(1, sizeof *stored);
    for (uint64_t i = 1; i < 3; i++) { /* each in a round of its own */
        ok(sub_try(subs[i]));
        while (stored->frontier.size < 3 + i) ok(store_get_head(rig.store, NULL, stored));
    }
    alloc_free(stored);
    atomic_store(&failing, OUTER); /* this one alone: the next would succeed if it were tried */
    gate_open();
    rig_wait(&rig);
    for (size_t i = 0; i < 3; i++) {
        fails(MOVE(subs[i]->err), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
        ck_assert_uint_eq(subs[i]->s.set.len, 0);
        sub_free(subs[i]);
    }
    ck_assert_uint_eq(tlog_head(rig.log).size, 2);
    check_failed_for_good();
    rig_close_log(&rig);
    rig_open_log(&rig); /* all are stored, and are anchored now: who retries finds them */
    ck_assert_int_eq(tlog_state(rig.log), TLOG_SERVING);
    ck_assert_uint_eq(tlog_head(rig.log).size, 5);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 5);
}
END_TEST

START_TEST(test_repeats_of_a_failing_round_fail_too) {
    gate_arm(&rig, "hashed");
    rig_open(&rig);
    rig_log_many(&rig, 0, 2);
    gate_shut();
    struct sub *first = sub_new(&rig, 5);
    struct sub *repeat = sub_new(&rig, 5);
    struct sub *reuse = sub_new(&rig, 6);
    reuse->s.dedup_key = first->s.dedup_key;
    ok(sub_try(first));
    gate_await();
    ok(sub_try(repeat));
    ok(sub_try(reuse));
    kv_mem_fail(store_kv(rig.store), 0, false);
    gate_open();
    rig_wait(&rig);
    fails(MOVE(first->err), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    fails(MOVE(repeat->err), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    fails(MOVE(reuse->err), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    sub_free(first);
    sub_free(repeat);
    sub_free(reuse);
}
END_TEST

START_TEST(test_a_removed_anchor_fails_the_round) {
    rig_open(&rig);
    rig_log_many(&rig, 0, 2);
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    log_and_fail(2);
    check_failed_for_good();
}
END_TEST

/* --- damaged memory: caught before anything is signed */

static uint8_t *flip_at;
static void flip_octet(void *ctx, const char *step) {
    (void)ctx;
    if (flip_at != NULL && strcmp(step, "hashed") == 0) *flip_at ^= 1;
}

START_TEST(test_a_leaf_that_changes_under_the_hash_stops_the_log) {
    rig.options.after_write = flip_octet;
    flip_at = NULL;
    rig_open(&rig);
    rig_log_many(&rig, 0, 5);
    struct sub *sub = sub_new(&rig, 5);
    flip_at = (uint8_t *)sub->s.leaf.data + sub->s.leaf.len / 2;
    ok(sub_try(sub));
    rig_wait(&rig);
    fails(MOVE(sub->err), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    sub_free(sub);
    check_failed_for_good();
    ck_assert_uint_eq(tlog_head(rig.log).size, 5);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 5); /* nothing was written */
}
END_TEST

static bool flip_tree;
static void flip_frontier(void *ctx, const char *step) {
    (void)ctx;
    if (flip_tree && strcmp(step, "hashed") == 0) tlog_flip_frontier(rig.log);
}

/* SPEC c2sp-tlog-checkpoint Signatures */
START_TEST(test_a_tree_that_is_no_continuation_is_not_signed) {
    rig.options.after_write = flip_frontier;
    flip_tree = false;
    rig_open(&rig);
    rig_log_many(&rig, 0, 5);
    flip_tree = true;
    log_and_fail(5);
    check_failed_for_good();
    ck_assert_uint_eq(tlog_head(rig.log).size, 5);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 5);
}
END_TEST

/* --- memory that runs out */

static long fail_from;
static void starve(void *ctx, const char *step) {
    (void)ctx;
    if (strcmp(step, "hashed") == 0) (void)alloc_fail_after(fail_from);
    if (strcmp(step, "taken") == 0) (void)alloc_fail_after(-1);
}

START_TEST(test_a_round_without_memory_is_refused_and_the_log_goes_on) {
    rig.options.after_write = starve;
    rig.options.workers = 0;
    fail_from = -1;
    rig_open(&rig);
    rig_log_many(&rig, 0, 3);
    uint64_t size = 3;
    bool succeeded = false;
    for (fail_from = 0; !succeeded && fail_from < 500; fail_from++) {
        struct sub *sub = rig_log(&rig, 100);
        succeeded = sub->err == NULL;
        ck_assert(succeeded || error_code(sub->err) == ERROR_UNAVAILABLE ||
                  error_code(sub->err) == ERROR_RESOURCE_EXHAUSTED); /* no memory to say more */
        ck_assert_int_ne(tlog_state(rig.log), TLOG_READ_ONLY);
        sub_free(sub);
        if (tlog_state(rig.log) != TLOG_FAILED) continue;
        rig_close_log(&rig); /* it ran out in the batch: the write itself gave an error */
        rig_open_log(&rig);
        ck_assert_uint_eq(tlog_head(rig.log).size, size);
    }
    ck_assert(succeeded && fail_from > 1);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, size + 1);
}
END_TEST

START_TEST(test_opening_survives_every_allocation_failure) {
    rig_open(&rig);
    rig_log_many(&rig, 0, 300);
    rig_close_log(&rig);
    (void)alloc_fail_after(-1);
    rig_open_log(&rig);
    long needed = alloc_fail_after(-1);
    rig_close_log(&rig);
    ck_assert_int_gt(needed, 20);
    for (long n = 0; n < needed; n += 1 + needed / 97) { /* most of them read entries */
        (void)alloc_fail_after(n);
        struct error *err = tlog_open(rig.store, rig.signer, &rig.options, &rig.log);
        (void)alloc_fail_after(-1);
        fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_NONE);
        ck_assert_ptr_null(rig.log);
    }
    rig_open_log(&rig);
    ck_assert_int_eq(tlog_state(rig.log), TLOG_SERVING);
}
END_TEST

START_TEST(test_options_out_of_range_are_refused) {
    rig_open_store(&rig);
    struct tlog_options good = rig.options;
    struct tlog_options bad[5] = {good, good, good, good, good};
    bad[0].origin = BYTES_LIT("a b");
    bad[1].origin = (struct bytes){0};
    bad[2].round_entries_max = 0;
    bad[3].queue_max = 0;
    bad[4].workers = 1000;
    for (size_t i = 0; i < 5; i++)
        fails(tlog_open(rig.store, rig.signer, &bad[i], &rig.log), ERROR_INVALID_ARGUMENT,
              REASON_NONE);
}
END_TEST

START_TEST(test_opening_ends_what_it_started_when_a_thread_cannot_be) {
    rig_open_store(&rig);
    for (int n = 0; n < 2 + 3; n++) { /* workers, and those that carry a round */
        threads_left = n;
        struct error *err = tlog_open(rig.store, rig.signer, &rig.options, &rig.log);
        ck_assert_int_eq(threads_left, -1);
        fails(err, ERROR_UNAVAILABLE, REASON_NONE);
        ck_assert_ptr_null(rig.log);
    }
    rig_open_log(&rig);
    rig_log_many(&rig, 0, 3);
}
END_TEST

static Suite *tlog_faults_suite(void) {
    Suite *s = suite_create("tlog_faults");
    TCase *tc = tcase_create("faults");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_an_answer_comes_after_the_database_and_both_anchors_are_synced);
    tcase_add_test(tc, test_a_log_that_is_closed_has_flushed_what_it_wrote);
    tcase_add_test(tc, test_a_sync_that_fails_fails_the_round);
    tcase_add_test(tc, test_after_a_failed_write_nothing_is_signed);
    tcase_add_test(tc, test_a_failing_round_takes_those_built_on_it_with_it);
    tcase_add_test(tc, test_a_failing_anchor_takes_the_rounds_committed_behind_it);
    tcase_add_test(tc, test_repeats_of_a_failing_round_fail_too);
    tcase_add_test(tc, test_a_removed_anchor_fails_the_round);
    tcase_add_test(tc, test_a_leaf_that_changes_under_the_hash_stops_the_log);
    tcase_add_test(tc, test_a_tree_that_is_no_continuation_is_not_signed);
    tcase_add_test(tc, test_a_round_without_memory_is_refused_and_the_log_goes_on);
    tcase_add_test(tc, test_opening_survives_every_allocation_failure);
    tcase_add_test(tc, test_options_out_of_range_are_refused);
    tcase_add_test(tc, test_opening_ends_what_it_started_when_a_thread_cannot_be);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(tlog_faults_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
