/* What a start makes of what it finds: crashes at every step, databases that lost something or are
 * older copies, anchors that are missing, damaged or another's. */
#include <stdarg.h>
#include <sys/wait.h>

#include "tlog_rig.h"

#define CRASHED 42

static struct rig rig;

static void setup_rocksdb(void) { rig_init(&rig, true); }
static void setup_memory(void) { rig_init(&rig, false); }
static void teardown(void) { rig_done(&rig); }

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...) {
    char command[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
}

/* --- crashes */

static atomic_int calls_left; /* three threads count it */

static void crash(void *ctx, const char *step) {
    (void)ctx;
    (void)step;
    if (atomic_fetch_sub(&calls_left, 1) == 1) _exit(CRASHED);
}

/* child_logs opens the log in a process of its own and logs three lots, without a clean end. */
static int child_logs(int calls, int fd) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        rig.ack_fd = fd + 1;
        rig.options.after_write = crash;
        calls_left = calls;
        rig_open(&rig);
        rig_log_many(&rig, 0, 3);
        rig_log_many(&rig, 3, 300);
        rig_log_many(&rig, 303, 2);
        _exit(EXIT_SUCCESS);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* check_acks: every entry that was acknowledged is there, as it was acknowledged. */
static uint64_t check_acks(int fd) {
    struct ack ack;
    uint64_t count = 0;
    while (read(fd, &ack, sizeof ack) == sizeof ack) {
        struct arena arena;
        struct store_entry e;
        struct merkle_proof p;
        bool found = false;
        struct tlog_head head = tlog_head(rig.log);
        arena_init(&arena, 1 << 20);
        ok(store_get_entry(rig.store, NULL, &arena, ack.index, &found, &e));
        ck_assert(found);
        struct sha256 leaf = merkle_leaf_hash(e.leaf);
        ck_assert(sha256_equal(&leaf, &ack.leaf_hash));
        ok(tlog_inclusion(rig.log, ack.index, ack.tree_size, &p));
        ck_assert(
            merkle_verify_inclusion(ack.index, ack.tree_size, &leaf, p.hashes, p.count, &ack.root));
        ok(tlog_consistency(rig.log, ack.tree_size, head.size, &p));
        ck_assert(merkle_verify_consistency(ack.tree_size, head.size, p.hashes, p.count, &ack.root,
                                            &head.root));
        arena_done(&arena);
        count++;
    }
    return count;
}

__attribute__((unused)) static bool crash_at(int calls) { /* by no test under TSan */
    int fds[2];
    char dir[64];
    ck_assert_int_eq(pipe(fds), 0);
    (void)snprintf(dir, sizeof dir, "%s", rig.dir);
    int status = child_logs(calls, fds[1]);
    ck_assert_msg(status == CRASHED || status == EXIT_SUCCESS, "call %d: exit %d", calls, status);
    (void)close(fds[1]);

    rig_open(&rig);
    ck_assert_msg(tlog_state(rig.log) == TLOG_SERVING, "after call %d", calls);
    uint64_t acked = check_acks(fds[0]);
    ck_assert_uint_le(acked, tlog_head(rig.log).size);
    if (status == EXIT_SUCCESS) ck_assert_uint_eq(acked, 305);
    rig_log_many(&rig, 0, 306); /* all again: each is there once, whatever was there before */
    ck_assert_uint_eq(tlog_head(rig.log).size, 306);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 306);
    rig_close(&rig);
    (void)close(fds[0]);
    run("rm -rf %s/db %s/anchor %s/outer", dir, dir, dir);
    return status == CRASHED;
}

#ifndef __SANITIZE_THREAD__
START_TEST(test_a_crash_after_any_step_loses_nothing) {
    int calls = 1;
    while (crash_at(calls)) calls++;
    ck_assert_int_ge(calls, 3 + 3 * 5); /* opening, and at least three rounds */
}
END_TEST
#endif

static void crash_at_commit(void *ctx, const char *step) {
    (void)ctx;
    if (strcmp(step, "committed") == 0 && atomic_fetch_sub(&calls_left, 1) == 1) _exit(CRASHED);
}

START_TEST(test_a_store_ahead_of_its_anchors_is_anchored_again) {
    pid_t pid = fork();
    if (pid == 0) {
        rig.options.after_write = crash_at_commit;
        calls_left = 2;
        rig_open(&rig);
        sub_free(rig_log(&rig, 0));
        sub_free(rig_log(&rig, 1));
        _exit(EXIT_FAILURE);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(WEXITSTATUS(status), CRASHED);
    rig_open(&rig);
    is_serving(&rig, 2);
    rig_close(&rig);
    run("rm -rf %s/db && cp -r %s/outer %s/outer.was", rig.dir, rig.dir, rig.dir);
    rig_open(&rig); /* the anchors had been brought up to the second entry: now they bind */
    is_read_only(&rig, "entries 0 to 1 are missing");
}
END_TEST

/* --- databases that lost something */

static void log_and_close(uint64_t first, uint64_t count) {
    rig_open(&rig);
    rig_log_many(&rig, first, count);
    rig_close(&rig);
}

START_TEST(test_a_rolled_back_database_is_read_only) {
    struct arena arena;
    struct bytes v1, c2sp;
    struct sha256 root;
    arena_init(&arena, 1 << 20);
    log_and_close(0, 10);
    run("cp -r %s/db %s/db.old", rig.dir, rig.dir);
    log_and_close(10, 10);
    run("rm -rf %s/db && mv %s/db.old %s/db", rig.dir, rig.dir, rig.dir);
    for (int start = 0; start < 2; start++) { /* and stays so */
        rig_open(&rig);
        is_read_only(&rig, "entries 10 to 19 are missing");
        ck_assert_uint_eq(tlog_head(rig.log).size, 10); /* what is there is served */
        ok(tlog_checkpoint(rig.log, &arena, 10, &v1, &c2sp, &root));
        check_note(c2sp, RIG_ORIGIN, signer_public(rig.signer, SIGNER_LOG_C2SP), 10, &root);
        rig_close_log(&rig);
        struct fsck_lines lines;
        (void)rig_fsck(&rig, &lines);
        ck_assert_msg(strstr(lines.text, "entries 10 to 19 are missing") != NULL, "%s", lines.text);
        rig_close(&rig);
    }
    arena_done(&arena);
}
END_TEST

START_TEST(test_a_rolled_back_directory_is_read_only) {
    log_and_close(0, 10);
    run("cp -r %s/db %s/db.old && cp %s/anchor %s/anchor.old", rig.dir, rig.dir, rig.dir, rig.dir);
    log_and_close(10, 10);
    run("cd %s && rm -rf db && mv db.old db && mv anchor.old anchor", rig.dir);
    rig_open(&rig); /* only the outer anchor knows */
    is_read_only(&rig, "outer/anchor: entries 10 to 19 are missing");
}
END_TEST

START_TEST(test_the_inner_anchor_binds_too) {
    log_and_close(0, 10);
    run("cp -r %s/db %s/db.old && cp %s/outer/anchor %s/outer.old", rig.dir, rig.dir, rig.dir,
        rig.dir);
    log_and_close(10, 10);
    run("cd %s && rm -rf db && mv db.old db && mv outer.old outer/anchor", rig.dir);
    rig_open(&rig);
    is_read_only(&rig, "entries 10 to 19 are missing");
}
END_TEST

START_TEST(test_anchors_that_are_behind_are_brought_up) {
    log_and_close(0, 10);
    run("cd %s && cp anchor anchor.old && cp outer/anchor outer.old", rig.dir);
    log_and_close(10, 10);
    run("cd %s && mv anchor.old anchor && mv outer.old outer/anchor", rig.dir);
    rig_open(&rig);
    is_serving(&rig, 20);
}
END_TEST

/* crash_with_wal logs entries in a child that does not close: they are in the write-ahead log. */
static void crash_with_wal(void) {
    pid_t pid = fork();
    if (pid == 0) {
        rig_open(&rig);
        rig_log_many(&rig, 0, 5);
        sub_free(rig_log(&rig, 5));
        _exit(EXIT_SUCCESS);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

START_TEST(test_a_deleted_write_ahead_log_is_noticed) {
    struct arena arena;
    struct bytes v1, c2sp;
    struct sha256 root;
    crash_with_wal();
    run("rm %s/db/*.log", rig.dir);
    rig_open(&rig);
    is_read_only(&rig, "entries 0 to 5 are missing");
    arena_init(&arena, 1 << 20);
    fails(tlog_checkpoint(rig.log, &arena, 0, &v1, &c2sp, &root), ERROR_FAILED_PRECONDITION,
          REASON_LOG_READ_ONLY); /* no second checkpoint of size 0 is signed */
    arena_done(&arena);
}
END_TEST

START_TEST(test_a_write_ahead_log_that_lost_its_end_is_noticed) {
    crash_with_wal();
    run("f=$(ls -S %s/db/*.log | head -n 1) && truncate -s -100 $f", rig.dir);
    rig_open(&rig);
    is_read_only(&rig, "entries 5 to 5 are missing");
}
END_TEST

START_TEST(test_another_tree_of_the_same_size_is_read_only) {
    log_and_close(0, 10);
    run("cd %s && mv anchor anchor.a && mv outer/anchor outer.a && rm -rf db", rig.dir);
    log_and_close(100, 10);
    run("cd %s && mv anchor.a anchor && mv outer.a outer/anchor", rig.dir);
    rig_open(&rig);
    is_read_only(&rig, "the first 10 entries of the store are not those that were anchored");
}
END_TEST

START_TEST(test_another_tree_that_is_larger_is_read_only) {
    log_and_close(0, 10);
    run("cd %s && mv anchor anchor.a && mv outer/anchor outer.a && rm -rf db", rig.dir);
    log_and_close(100, 300);
    run("cd %s && mv anchor.a anchor && mv outer.a outer/anchor", rig.dir);
    rig_open(&rig);
    is_read_only(&rig, "the first 10 entries of the store are not those that were anchored");
}
END_TEST

/* --- anchors, on memory: the store stays, the log is opened again and again */

static void start_with(uint64_t entries) {
    rig_open(&rig);
    rig_log_many(&rig, 0, entries);
    rig_close_log(&rig);
}

static void exists(const char *path, bool want) { ck_assert((access(path, F_OK) == 0) == want); }

START_TEST(test_a_missing_outer_anchor_is_made_anew) {
    start_with(5);
    uint64_t made = metric_get(METRIC_ANCHOR_CREATED);
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    rig_open_log(&rig);
    is_serving(&rig, 5);
    exists(rig.path_outer, true);
    ck_assert_uint_eq(metric_get(METRIC_ANCHOR_CREATED), made + 1);
    rig_log_many(&rig, 5, 5);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 10);
}
END_TEST

START_TEST(test_a_required_outer_anchor_that_is_missing_makes_it_read_only) {
    rig.options.anchor_required = true;
    start_with(5); /* an empty log may make it */
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    rig_open_log(&rig);
    is_read_only(&rig, "anchor.required");
    exists(rig.path_outer, false);
}
END_TEST

START_TEST(test_a_missing_inner_anchor_is_made_anew) {
    start_with(5);
    ck_assert_int_eq(unlink(rig.path_inner), 0);
    rig_open_log(&rig);
    is_serving(&rig, 5);
    exists(rig.path_inner, true);
}
END_TEST

START_TEST(test_without_any_anchor_it_is_read_only) {
    start_with(5);
    ck_assert_int_eq(unlink(rig.path_inner), 0);
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    rig_open_log(&rig);
    is_read_only(&rig, "no anchor is left");
    exists(rig.path_inner, false);
    exists(rig.path_outer, false);
    rig_close_log(&rig);
    FILE *f = fopen(rig.path_inner, "wb"); /* nor by a damaged one alone */
    ck_assert(f != NULL && fclose(f) == 0);
    rig_open_log(&rig);
    is_read_only(&rig, "no anchor is left");
    exists(rig.path_outer, false);
}
END_TEST

#define SLOT 4096
#define ANCHOR 8192

static void load(const char *path, uint8_t out[ANCHOR]) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(out, 1, ANCHOR, f), ANCHOR);
    (void)fclose(f);
}

static void save(const char *path, const uint8_t *in, size_t len) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(in, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

/* newest_slot is where the higher sequence stands. */
static size_t newest_slot(const uint8_t file[ANCHOR]) {
    return memcmp(file + 8, file + SLOT + 8, 8) > 0 ? 0 : SLOT;
}

/* seal_slot makes the hash of a slot right again. */
static void seal_slot(uint8_t slot[SLOT]) {
    struct sha256 hash = sha256_of((struct bytes){slot, SLOT - 32});
    memcpy(slot + SLOT - 32, hash.octets, 32);
}

static uint64_t u64_at(const uint8_t *octets) {
    struct reader r = reader_of((struct bytes){octets, 8});
    return reader_u64be(&r, "number");
}

START_TEST(test_slots_are_written_in_turn) {
    uint8_t file[ANCHOR];
    const char *const paths[] = {rig.path_inner, rig.path_outer};
    rig_open(&rig);
    for (uint64_t n = 0; n < 6; n++) {
        sub_free(rig_log(&rig, n));
        for (size_t i = 0; i < 2; i++) {
            load(paths[i], file);
            size_t newest = newest_slot(file);
            size_t older = SLOT - newest;
            ck_assert_uint_eq(u64_at(file + newest + 16), n + 1); /* sizes */
            ck_assert_uint_eq(u64_at(file + older + 16), n);
            ck_assert_uint_eq(u64_at(file + newest + 8), u64_at(file + older + 8) + 1);
        }
    }
}
END_TEST

START_TEST(test_a_slot_at_the_end_of_all_sequences_does_not_count) {
    uint8_t file[ANCHOR];
    start_with(3);
    load(rig.path_outer, file);
    memcpy(file + SLOT, file, SLOT);
    memset(file, 0, SLOT);
    memset(file + SLOT + 8, 0xff, 8);
    seal_slot(file + SLOT);
    save(rig.path_outer, file, sizeof file);
    rig_open_log(&rig);
    is_read_only(&rig, "is damaged");
}
END_TEST

static uint8_t overtaking[ANCHOR];

static void overtake(void *ctx, const char *step) {
    (void)ctx;
    if (strcmp(step, "anchor_inner_created") != 0) return;
    FILE *f = fopen(rig.path_outer, "r+b"); /* the same file, as another process has it open */
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(overtaking, 1, ANCHOR, f), ANCHOR);
    (void)fclose(f);
}

START_TEST(test_an_anchor_that_moves_while_it_is_taken_is_noticed) {
    uint8_t before[ANCHOR];
    rig_open(&rig);
    sub_free(rig_log(&rig, 0));
    load(rig.path_outer, before);
    sub_free(rig_log(&rig, 1));
    rig_close_log(&rig);
    load(rig.path_outer, overtaking);
    save(rig.path_outer, before, ANCHOR);
    ck_assert_int_eq(unlink(rig.path_inner), 0);
    rig.options.after_write = overtake;
    fails(tlog_open(rig.store, rig.signer, &rig.options, &rig.log), ERROR_FAILED_PRECONDITION,
          REASON_NONE);
}
END_TEST

START_TEST(test_a_torn_slot_costs_one_round_and_no_more) {
    uint8_t good[ANCHOR];
    uint8_t torn[ANCHOR];
    rig_open(&rig);
    for (uint64_t n = 0; n < 3; n++) sub_free(rig_log(&rig, n));
    rig_close_log(&rig);
    load(rig.path_outer, good);
    size_t newest = newest_slot(good);
    for (size_t at = 0; at < SLOT; at += at < 64 ? 1 : 61) { /* the new slot fails from here on */
        memcpy(torn, good, sizeof torn);
        memset(torn + newest + at, 0xff, SLOT - at);
        save(rig.path_outer, torn, sizeof torn);
        rig_open_log(&rig);
        is_serving(&rig, 3); /* by the slot before, and the inner anchor */
        rig_close_log(&rig);
        save(rig.path_inner, torn, sizeof torn);
        save(rig.path_outer, torn, sizeof torn);
        rig_open_log(&rig);
        is_serving(&rig, 3);
        rig_close_log(&rig);
    }
}
END_TEST

START_TEST(test_every_flipped_octet_of_a_slot_makes_it_count_for_nothing) {
    uint8_t good[ANCHOR];
    uint8_t flipped[ANCHOR];
    rig_open(&rig);
    for (uint64_t n = 0; n < 3; n++) sub_free(rig_log(&rig, n));
    rig_close_log(&rig);
    load(rig.path_outer, good);
    for (size_t at = 0; at < SLOT; at += at < 128 ? 1 : 37) {
        memcpy(flipped, good, sizeof flipped); /* in both slots: then the anchor is damaged */
        flipped[at] ^= 1;
        flipped[SLOT + at] ^= 1;
        save(rig.path_outer, flipped, sizeof flipped);
        rig_open_log(&rig);
        is_read_only(&rig, "is damaged");
        rig_close_log(&rig);
    }
}
END_TEST

START_TEST(test_an_anchor_of_another_length_is_damaged) {
    static const size_t lengths[] = {0, 1, 8, 4095, 4096, 4097, 8191, 8193};
    uint8_t good[ANCHOR + 1] = {0};
    start_with(3);
    load(rig.path_outer, good);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        save(rig.path_outer, good, lengths[i]);
        rig_open_log(&rig);
        is_read_only(&rig, "is damaged");
        rig_close_log(&rig);
    }
    save(rig.path_outer, good, ANCHOR);
    save(rig.path_inner, good, 100); /* an inner one is made anew beside a good outer one */
    rig_open_log(&rig);
    is_serving(&rig, 3);
}
END_TEST

START_TEST(test_slots_in_each_others_place_do_not_count) {
    uint8_t good[ANCHOR];
    uint8_t swapped[ANCHOR];
    start_with(3);
    load(rig.path_outer, good);
    memcpy(swapped, good + SLOT, SLOT);
    memcpy(swapped + SLOT, good, SLOT);
    save(rig.path_outer, swapped, sizeof swapped);
    rig_open_log(&rig);
    is_read_only(&rig, "is damaged");
}
END_TEST

START_TEST(test_an_anchor_whose_parts_contradict_each_other_does_not_pass) {
    static const size_t parts[] = {16 + 7, 24, 60}; /* size, root, origin: not the checkpoint's */
    uint8_t file[ANCHOR];
    start_with(3);
    load(rig.path_outer, file);
    for (size_t i = 0; i < 3; i++) {
        uint8_t bad[ANCHOR];
        memcpy(bad, file, sizeof bad);
        for (size_t slot = 0; slot < ANCHOR; slot += SLOT) {
            bad[slot + parts[i]] ^= 1;
            seal_slot(bad + slot);
        }
        save(rig.path_outer, bad, sizeof bad);
        rig_open_log(&rig);
        is_read_only(&rig, "is of another log");
        rig_close_log(&rig);
    }
}
END_TEST

START_TEST(test_an_anchor_of_another_log_makes_it_read_only) {
    struct rig other;
    rig_init(&other, false);
    rig_open(&other);
    rig_close_log(&other);
    start_with(3);
    run("cp %s %s", other.path_outer, rig.path_outer);
    rig_open_log(&rig);
    is_read_only(&rig, "is of another log");
    rig_done(&other);
}
END_TEST

START_TEST(test_other_keys_or_another_name_do_not_open_it) {
    struct signer *own = rig.signer;
    struct signer *other = NULL;
    start_with(3);
    ok(signer_generate(&other));
    fails(tlog_open(rig.store, other, &rig.options, &rig.log), ERROR_FAILED_PRECONDITION,
          REASON_NONE);
    rig.options.origin = BYTES_LIT("other.test");
    fails(tlog_open(rig.store, own, &rig.options, &rig.log), ERROR_FAILED_PRECONDITION,
          REASON_NONE);
    rig.options.origin = BYTES_LIT(RIG_ORIGIN);
    rig.options.tree_id = 43;
    fails(tlog_open(rig.store, own, &rig.options, &rig.log), ERROR_FAILED_PRECONDITION,
          REASON_NONE);
    signer_free(other);
}
END_TEST

START_TEST(test_two_logs_cannot_hold_one_anchor) {
    struct tlog *second = NULL;
    struct store *copy = NULL;
    struct kv *kv = NULL;
    rig_open(&rig);
    ok(kv_mem_new(&kv));
    ok(store_open(kv, &copy)); /* another directory, with the same keys and outer anchor */
    char inner[128];
    (void)snprintf(inner, sizeof inner, "%s/inner-of-copy", rig.dir);
    struct tlog_options options = rig.options;
    options.anchor_inner = inner;
    fails(tlog_open(copy, rig.signer, &options, &second), ERROR_FAILED_PRECONDITION, REASON_NONE);
    ck_assert_ptr_null(second);
    rig_log_many(&rig, 0, 2); /* the first one goes on */
    store_free(copy);
}
END_TEST

/* The first one starts, and acknowledges, between the second one's look for anchors and its own. */
static struct tlog_options first_options;
static void first_starts(void *ctx, const char *step) {
    (void)ctx;
    if (rig.log != NULL || strcmp(step, "empty_committed") != 0) return;
    ok(tlog_open(rig.store, rig.signer, &first_options, &rig.log));
    struct sub *sub = rig_log(&rig, 0);
    ok(MOVE(sub->err));
    sub_free(sub);
}

START_TEST(test_of_two_logs_that_start_at_once_one_makes_the_anchor) {
    struct tlog *second = NULL;
    struct store *copy = NULL;
    struct kv *kv = NULL;
    rig_open_store(&rig);
    first_options = rig.options;
    ok(kv_mem_new(&kv));
    ok(store_open(kv, &copy));
    char inner[128];
    (void)snprintf(inner, sizeof inner, "%s/inner-of-copy", rig.dir);
    struct tlog_options options = rig.options;
    options.anchor_inner = inner;
    options.after_write = first_starts;
    fails(tlog_open(copy, rig.signer, &options, &second), ERROR_FAILED_PRECONDITION, REASON_NONE);
    ck_assert_ptr_null(second);
    rig_log_many(&rig, 1, 2); /* the first one's anchor is its own */
    store_free(copy);
}
END_TEST

/* --- accepting */

static struct error *accept_head(int64_t size_off, bool other_root) {
    struct store_head *head = alloc_zero(1, sizeof *head);
    ok(store_get_head(rig.store, NULL, head));
    struct sha256 root = head->root;
    uint64_t size = head->frontier.size + (uint64_t)size_off;
    alloc_free(head);
    if (other_root) root.octets[31] ^= 1;
    return tlog_anchor_accept(rig.store, rig.signer, &rig.options, size, &root);
}

START_TEST(test_accepting_takes_exactly_the_stored_head) {
    rig.options.anchor_required = true;
    start_with(5);
    fails(accept_head(0, false), ERROR_FAILED_PRECONDITION, REASON_NONE); /* nothing is missing */
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    fails(accept_head(-1, false), ERROR_FAILED_PRECONDITION, REASON_NONE);
    fails(accept_head(1, false), ERROR_FAILED_PRECONDITION, REASON_NONE);
    fails(accept_head(0, true), ERROR_FAILED_PRECONDITION, REASON_NONE);
    exists(rig.path_outer, false);
    ok(accept_head(0, false));
    rig_open_log(&rig);
    is_serving(&rig, 5);
    rig_log_many(&rig, 5, 2);
}
END_TEST

START_TEST(test_accepting_mends_a_damaged_anchor_and_the_loss_of_both) {
    start_with(5);
    save(rig.path_outer, (const uint8_t *)"x", 1);
    rig_open_log(&rig);
    is_read_only(&rig, "is damaged");
    rig_close_log(&rig);
    ok(accept_head(0, false));
    rig_open_log(&rig);
    is_serving(&rig, 5);
    rig_close_log(&rig);
    ck_assert_int_eq(unlink(rig.path_inner), 0);
    ck_assert_int_eq(unlink(rig.path_outer), 0);
    ok(accept_head(0, false));
    rig_open_log(&rig);
    is_serving(&rig, 5);
}
END_TEST

START_TEST(test_accepting_is_no_way_around_a_readable_anchor) {
    log_and_close(0, 5);
    run("cp -r %s/db %s/db.old", rig.dir, rig.dir);
    log_and_close(5, 5);
    run("cd %s && rm -rf db && mv db.old db && rm outer/anchor", rig.dir);
    rig_open_store(&rig); /* five entries; the inner anchor says ten */
    fails(accept_head(0, false), ERROR_FAILED_PRECONDITION, REASON_NONE);
    exists(rig.path_outer, false);
    run("cd %s && mv anchor outer/anchor", rig.dir); /* now the outer one says it */
    fails(accept_head(0, false), ERROR_FAILED_PRECONDITION, REASON_NONE);
    exists(rig.path_inner, false);
}
END_TEST

static Suite *tlog_recover_suite(void) {
    Suite *s = suite_create("tlog_recover");
    TCase *disk = tcase_create("rocksdb");
    tcase_add_checked_fixture(disk, setup_rocksdb, teardown);
    tcase_set_timeout(disk, 300);
#ifndef __SANITIZE_THREAD__ /* its runtime dies of threads that a forked child starts */
    tcase_add_test(disk, test_a_crash_after_any_step_loses_nothing);
#endif
    tcase_add_test(disk, test_a_store_ahead_of_its_anchors_is_anchored_again);
    tcase_add_test(disk, test_a_rolled_back_database_is_read_only);
    tcase_add_test(disk, test_a_rolled_back_directory_is_read_only);
    tcase_add_test(disk, test_the_inner_anchor_binds_too);
    tcase_add_test(disk, test_anchors_that_are_behind_are_brought_up);
    tcase_add_test(disk, test_a_deleted_write_ahead_log_is_noticed);
    tcase_add_test(disk, test_a_write_ahead_log_that_lost_its_end_is_noticed);
    tcase_add_test(disk, test_another_tree_of_the_same_size_is_read_only);
    tcase_add_test(disk, test_another_tree_that_is_larger_is_read_only);
    tcase_add_test(disk, test_accepting_is_no_way_around_a_readable_anchor);
    suite_add_tcase(s, disk);
    TCase *memory = tcase_create("memory");
    tcase_add_checked_fixture(memory, setup_memory, teardown);
    tcase_set_timeout(memory, 120);
    tcase_add_test(memory, test_a_missing_outer_anchor_is_made_anew);
    tcase_add_test(memory, test_a_required_outer_anchor_that_is_missing_makes_it_read_only);
    tcase_add_test(memory, test_a_missing_inner_anchor_is_made_anew);
    tcase_add_test(memory, test_without_any_anchor_it_is_read_only);
    tcase_add_test(memory, test_slots_are_written_in_turn);
    tcase_add_test(memory, test_a_slot_at_the_end_of_all_sequences_does_not_count);
    tcase_add_test(memory, test_an_anchor_that_moves_while_it_is_taken_is_noticed);
    tcase_add_test(memory, test_a_torn_slot_costs_one_round_and_no_more);
    tcase_add_test(memory, test_every_flipped_octet_of_a_slot_makes_it_count_for_nothing);
    tcase_add_test(memory, test_an_anchor_of_another_length_is_damaged);
    tcase_add_test(memory, test_slots_in_each_others_place_do_not_count);
    tcase_add_test(memory, test_an_anchor_whose_parts_contradict_each_other_does_not_pass);
    tcase_add_test(memory, test_an_anchor_of_another_log_makes_it_read_only);
    tcase_add_test(memory, test_other_keys_or_another_name_do_not_open_it);
    tcase_add_test(memory, test_two_logs_cannot_hold_one_anchor);
    tcase_add_test(memory, test_of_two_logs_that_start_at_once_one_makes_the_anchor);
    tcase_add_test(memory, test_accepting_takes_exactly_the_stored_head);
    tcase_add_test(memory, test_accepting_mends_a_damaged_anchor_and_the_loss_of_both);
    suite_add_tcase(s, memory);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(tlog_recover_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
