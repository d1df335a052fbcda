#include "tlog_rig.h"

static struct rig rig;

static void setup(void) { rig_init(&rig, false); }
static void teardown(void) { rig_done(&rig); }

/* --- rounds and receipts */

START_TEST(test_an_empty_log_has_signed_checkpoints) {
    struct arena arena;
    struct bytes v1, c2sp;
    struct sha256 root;
    struct sha256 empty = merkle_empty_root();
    arena_init(&arena, 1 << 16);
    rig_open(&rig);
    ck_assert_int_eq(tlog_state(rig.log), TLOG_SERVING);
    ck_assert_uint_eq(tlog_head(rig.log).size, 0);
    ok(tlog_checkpoint(rig.log, &arena, 0, &v1, &c2sp, &root));
    ck_assert(sha256_equal(&root, &empty));
    check_note(v1, RIG_ORIGIN " - 42", signer_public(rig.signer, SIGNER_LOG_V1), 0, &empty);
    check_note(c2sp, RIG_ORIGIN, signer_public(rig.signer, SIGNER_LOG_C2SP), 0, &empty);
    arena_done(&arena);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 0);
}
END_TEST

START_TEST(test_one_entry_gets_a_receipt) {
    rig_open(&rig);
    struct sub *sub = rig_log(&rig, 1);
    ok(MOVE(sub->err));
    ck_assert_uint_eq(sub->s.index, 0);
    ck_assert_uint_eq(sub->s.tree_size, 1);
    ck_assert_int_eq(sub->s.integrated_s, RIG_START_MS / 1000);
    check_receipt(&rig, sub);
    sub_free(sub);
}
END_TEST

#define MANY 1000

/* check_against_naive: the log's roots, at every size, are those of a frontier that is fed with the
 * leaves in the order of their indexes; and any two sizes are consistent. */
static void check_against_naive(struct sub **by_index) {
    struct merkle_frontier f = {0};
    struct sha256 before = merkle_empty_root();
    struct arena arena;
    arena_init(&arena, 64 << 20);
    for (uint64_t i = 0; i < MANY; i++) {
        struct sha256 leaf = merkle_leaf_hash(by_index[i]->s.leaf);
        struct bytes v1, c2sp;
        struct sha256 root;
        struct merkle_proof proof;
        merkle_append(&f, &leaf, NULL, NULL);
        struct sha256 want = merkle_root(&f);
        ok(tlog_checkpoint(rig.log, &arena, i + 1, &v1, &c2sp, &root));
        ck_assert(sha256_equal(&root, &want));
        check_note(c2sp, RIG_ORIGIN, signer_public(rig.signer, SIGNER_LOG_C2SP), i + 1, &want);
        if (i > 0) {
            ok(tlog_consistency(rig.log, i, i + 1, &proof));
            ck_assert(
                merkle_verify_consistency(i, i + 1, proof.hashes, proof.count, &before, &want));
        }
        before = want;
    }
    struct sha256 head = tlog_head(rig.log).root;
    ck_assert(sha256_equal(&head, &before));
    arena_done(&arena);
}

START_TEST(test_a_thousand_entries_in_several_rounds_are_the_naive_tree) {
    static struct sub *subs[MANY];
    static struct sub *by_index[MANY];
    rig_open(&rig);
    for (uint64_t n = 0; n < MANY; n++) subs[n] = sub_new(&rig, n);
    for (uint64_t n = 0; n < MANY; n++) ok(sub_try(subs[n]));
    rig_wait(&rig);
    uint64_t rounds = 0;
    uint64_t last_size = 0;
    for (uint64_t n = 0; n < MANY; n++) {
        ok(MOVE(subs[n]->err));
        ck_assert_uint_lt(subs[n]->s.index, MANY);
        ck_assert_ptr_null(by_index[subs[n]->s.index]);
        by_index[subs[n]->s.index] = subs[n];
        check_receipt(&rig, subs[n]);
    }
    for (uint64_t i = 0; i < MANY; i++) {
        if (by_index[i]->s.tree_size != last_size) rounds++;
        last_size = by_index[i]->s.tree_size;
    }
    ck_assert_uint_ge(rounds, MANY / 256 + 1);
    check_against_naive(by_index);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, MANY);
    rig_open_log(&rig); /* and the next start agrees */
    ck_assert_int_eq(tlog_state(rig.log), TLOG_SERVING);
    ck_assert_uint_eq(tlog_head(rig.log).size, MANY);
    for (uint64_t n = 0; n < MANY; n++) {
        check_stored(&rig, subs[n]);
        sub_free(subs[n]);
    }
}
END_TEST

START_TEST(test_submissions_keep_their_order) {
    struct sub *subs[100];
    rig_open(&rig);
    for (uint64_t n = 0; n < 100; n++) subs[n] = sub_new(&rig, n);
    for (uint64_t n = 0; n < 100; n++) ok(sub_try(subs[n]));
    rig_wait(&rig);
    for (uint64_t n = 0; n < 100; n++) {
        ck_assert_uint_eq(subs[n]->s.index, n);
        sub_free(subs[n]);
    }
}
END_TEST

/* --- repeats */

START_TEST(test_a_repeat_gives_the_first_entry) {
    rig_open(&rig);
    struct sub *first = rig_log(&rig, 7);
    struct sub *other = rig_log(&rig, 8);
    struct sub *again = rig_log(&rig, 7);
    ok(MOVE(again->err));
    ck_assert(again->s.existing);
    ck_assert_uint_eq(again->s.index, first->s.index);
    ck_assert_uint_eq(tlog_head(rig.log).size, 2);
    check_stored(&rig, again);
    sub_free(first);
    sub_free(other);
    sub_free(again);
}
END_TEST

START_TEST(test_repeats_in_flight_join) {
    gate_arm(&rig, "committed");
    rig_open(&rig);
    gate_shut();
    struct sub *subs[6];
    for (size_t i = 0; i < 6; i++) subs[i] = sub_new(&rig, 7); /* six times the same */
    ok(sub_try(subs[0]));
    gate_await(); /* the first is committed, and not anchored */
    for (size_t i = 1; i < 6; i++) ok(sub_try(subs[i]));
    struct sub *fresh = sub_new(&rig, 8);
    struct sub *fresh_again = sub_new(&rig, 8);
    ok(sub_try(fresh));
    ok(sub_try(fresh_again));
    (void)pthread_mutex_lock(&rig.lock);
    ck_assert_uint_eq(rig.waiting, 8); /* nobody is told before the anchors hold it */
    (void)pthread_mutex_unlock(&rig.lock);
    gate_open();
    rig_wait(&rig);
    ck_assert_uint_eq(tlog_head(rig.log).size, 2);
    for (size_t i = 0; i < 6; i++) {
        ok(MOVE(subs[i]->err));
        ck_assert(subs[i]->s.existing == (i > 0));
        ck_assert_uint_eq(subs[i]->s.index, 0);
        sub_free(subs[i]);
    }
    ok(MOVE(fresh->err));
    ok(MOVE(fresh_again->err));
    ck_assert(!fresh->s.existing && fresh_again->s.existing);
    ck_assert_uint_eq(fresh_again->s.index, 1);
    sub_free(fresh);
    sub_free(fresh_again);
}
END_TEST

START_TEST(test_a_repeat_joins_what_is_built_and_not_yet_written) {
    gate_arm(&rig, "committing");
    rig_open(&rig);
    gate_shut();
    struct sub *first = sub_new(&rig, 1);
    struct sub *again = sub_new(&rig, 1);
    ok(sub_try(first));
    gate_await(); /* its signatures are made; the store knows nothing of it */
    ok(sub_try(again));
    gate_await_built(2);
    gate_open();
    rig_wait(&rig);
    ck_assert_uint_eq(tlog_head(rig.log).size, 1);
    ck_assert(!first->s.existing && again->s.existing);
    ck_assert_uint_eq(again->s.index, 0);
    sub_free(first);
    sub_free(again);
}
END_TEST

START_TEST(test_a_repeat_joins_what_was_built_two_rounds_before) {
    gate_arm(&rig, "committing");
    rig_open(&rig);
    gate_shut();
    struct sub *subs[3] = {sub_new(&rig, 1), sub_new(&rig, 2), sub_new(&rig, 1)};
    ok(sub_try(subs[0]));
    gate_await(); /* the store knows nothing of it, nor will it of the next */
    for (unsigned i = 1; i < 3; i++) {
        ok(sub_try(subs[i]));
        gate_await_built(i + 1);
    }
    gate_open();
    rig_wait(&rig);
    ck_assert_uint_eq(tlog_head(rig.log).size, 2);
    ck_assert(!subs[0]->s.existing && !subs[1]->s.existing && subs[2]->s.existing);
    ck_assert_uint_eq(subs[2]->s.index, subs[0]->s.index);
    for (size_t i = 0; i < 3; i++) sub_free(subs[i]);
}
END_TEST

START_TEST(test_rounds_are_committed_while_the_one_before_is_anchored) {
    gate_arm(&rig, "anchor_inner");
    rig_open(&rig);
    gate_shut();
    struct sub *subs[3];
    for (uint64_t i = 0; i < 3; i++) subs[i] = sub_new(&rig, i);
    ok(sub_try(subs[0]));
    gate_await();
    for (unsigned i = 1; i < 3; i++) {
        ok(sub_try(subs[i]));
        gate_await_built(i + 1);
    }
    while (metric_get(METRIC_ANCHOR_LAG) < 3) (void)usleep(100); /* all are in the store */
    (void)pthread_mutex_lock(&rig.lock);
    ck_assert_uint_eq(rig.waiting, 3); /* nobody is told before the anchors hold it */
    (void)pthread_mutex_unlock(&rig.lock);
    ck_assert_uint_eq(tlog_head(rig.log).size, 0);
    gate_open();
    rig_wait(&rig);
    ck_assert_uint_eq(metric_get(METRIC_ANCHOR_LAG), 0);
    for (uint64_t i = 0; i < 3; i++) { /* in their order */
        ck_assert_uint_eq(subs[i]->s.index, i);
        ck_assert_uint_eq(subs[i]->s.tree_size, i + 1);
        check_receipt(&rig, subs[i]);
        sub_free(subs[i]);
    }
}
END_TEST

START_TEST(test_a_key_with_other_content_is_refused) {
    gate_arm(&rig, "committed");
    rig_open(&rig);
    struct sub *first = rig_log(&rig, 7);
    struct sub *reuse = sub_new(&rig, 8);
    reuse->s.dedup_key = first->s.dedup_key;
    ok(sub_try(reuse));
    rig_wait(&rig);
    fails(MOVE(reuse->err), ERROR_FAILED_PRECONDITION, REASON_IDEMPOTENCY_KEY_REUSED);
    sub_free(reuse);

    gate_shut(); /* the same while the first is in flight, and in the same round */
    struct sub *flying = sub_new(&rig, 9);
    ok(sub_try(flying));
    gate_await();
    struct sub *late[2] = {sub_new(&rig, 10), sub_new(&rig, 11)};
    for (size_t i = 0; i < 2; i++) {
        late[i]->s.dedup_key = flying->s.dedup_key;
        ok(sub_try(late[i]));
    }
    gate_open();
    rig_wait(&rig);
    for (size_t i = 0; i < 2; i++) {
        fails(MOVE(late[i]->err), ERROR_FAILED_PRECONDITION, REASON_IDEMPOTENCY_KEY_REUSED);
        sub_free(late[i]);
    }
    ck_assert_uint_eq(tlog_head(rig.log).size, 2);
    sub_free(flying);
    sub_free(first);
}
END_TEST

static struct sub *log_with_ttl(uint64_t n, int64_t ttl_ms) {
    struct sub *sub = sub_new(&rig, n);
    sub->s.dedup_ttl_ms = ttl_ms;
    ok(sub_try(sub));
    rig_wait(&rig);
    ok(MOVE(sub->err));
    return sub;
}

START_TEST(test_a_default_key_expires_and_a_given_one_does_not) {
    static const struct {
        int64_t ttl_ms;
        int64_t after_ms;
        bool existing;
    } cases[] = {{DAY_MS, DAY_MS - 1, true}, {DAY_MS, DAY_MS, false}, {0, 1000 * DAY_MS, true}};
    rig_open(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sub_free(log_with_ttl(i, cases[i].ttl_ms));
        atomic_fetch_add(&rig.now_ms, cases[i].after_ms);
        struct sub *again = log_with_ttl(i, cases[i].ttl_ms);
        ck_assert_msg(again->s.existing == cases[i].existing, "case %zu", i);
        sub_free(again);
    }
}
END_TEST

START_TEST(test_an_expired_key_counts_from_the_newest_entry) {
    rig_open(&rig);
    sub_free(log_with_ttl(1, DAY_MS));
    atomic_fetch_add(&rig.now_ms, DAY_MS);
    struct sub *second = log_with_ttl(1, DAY_MS);
    ck_assert(!second->s.existing);
    atomic_fetch_add(&rig.now_ms, DAY_MS / 2);
    struct sub *third = log_with_ttl(1, DAY_MS);
    ck_assert(third->s.existing);
    ck_assert_uint_eq(third->s.index, second->s.index);
    sub_free(second);
    sub_free(third);
}
END_TEST

/* --- time */

START_TEST(test_time_never_goes_back) {
    rig_open(&rig);
    static const int64_t steps_ms[] = {0, 5000, -3600000, 1000, 3700000, -1, -DAY_MS};
    int64_t last = 0;
    for (uint64_t i = 0; i < sizeof steps_ms / sizeof *steps_ms; i++) {
        atomic_fetch_add(&rig.now_ms, steps_ms[i]);
        struct sub *sub = rig_log(&rig, i);
        ok(MOVE(sub->err));
        ck_assert_int_ge(sub->s.integrated_s, last);
        ck_assert_int_ge(sub->s.integrated_s, atomic_load(&rig.now_ms) / 1000);
        last = sub->s.integrated_s;
        sub_free(sub);
    }
    rig_close_log(&rig);
    atomic_store(&rig.now_ms, 0); /* also over a restart */
    rig_open_log(&rig);
    struct sub *sub = rig_log(&rig, 100);
    ck_assert_int_ge(sub->s.integrated_s, last);
    sub_free(sub);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 8);
}
END_TEST

/* --- bounds */

static bool queue_shows_none(void) {
    CLEANUP(buf_done) struct buf out;
    buf_init(&out, (size_t)1 << 20);
    metrics_put(&out);
    buf_put_u8(&out, 0);
    ck_assert(!out.failed);
    return strstr((char *)out.data, "attestd_queue_depth{queue=\"log\"} 0\n") != NULL;
}

START_TEST(test_a_full_queue_is_refused) {
    gate_arm(&rig, "committed");
    rig.options.queue_max = 8;
    rig.options.round_entries_max = 4;
    rig_open(&rig);
    gate_shut();
    struct sub *subs[40];
    size_t taken = 0;
    size_t refused = 0;
    for (uint64_t i = 0; i < 40; i++) {
        subs[i] = sub_new(&rig, i);
        struct error *err = sub_try(subs[i]);
        if (err == NULL) {
            taken++;
            continue;
        }
        fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_QUEUE_FULL);
        refused++;
    }
    ck_assert_uint_ge(taken, 8);
    ck_assert_uint_le(taken, 8 + 3 * 4); /* the queue, and three rounds on their way */
    ck_assert_uint_gt(refused, 0);
    gate_open();
    rig_wait(&rig);
    ck_assert(queue_shows_none()); /* what was taken has left it */
    ck_assert_uint_eq(tlog_head(rig.log).size, taken);
    for (size_t i = 0; i < 40; i++) sub_free(subs[i]);
}
END_TEST

static uint8_t big[8 << 20]; /* one payload for many submissions */

static struct sub *sub_big(uint64_t n) {
    struct sub *sub = sub_new(&rig, n);
    sub->s.payload = (struct bytes){big, sizeof big - 65536 - 4096};
    return sub;
}

START_TEST(test_the_queue_is_bounded_in_octets) {
    gate_arm(&rig, "taken");
    rig_open(&rig);
    gate_shut();
    struct sub *subs[60] = {sub_new(&rig, 0)};
    size_t taken = 1;
    ok(sub_try(subs[0]));
    gate_await();
    for (struct error *err = NULL; err == NULL && taken < 60; taken++) {
        subs[taken] = sub_big(taken);
        err = sub_try(subs[taken]);
        if (err != NULL) {
            fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_QUEUE_FULL);
            break;
        }
    }
    ck_assert_uint_ge(taken, 30); /* of eight MiB each, in a queue of 256 MiB */
    ck_assert_uint_lt(taken, 35);
    kv_mem_fail(store_kv(rig.store), 0, false); /* do not write them all */
    gate_open();
    rig_wait(&rig);
    for (size_t i = 0; i <= taken; i++) sub_free(subs[i]);
}
END_TEST

START_TEST(test_a_round_is_bounded_in_octets) {
    gate_arm(&rig, "taken");
    rig_open(&rig);
    gate_shut();
    struct sub *subs[6] = {sub_new(&rig, 0)};
    ok(sub_try(subs[0]));
    gate_await();
    for (uint64_t i = 1; i < 6; i++) {
        subs[i] = sub_big(i);
        ok(sub_try(subs[i]));
    }
    gate_open();
    rig_wait(&rig);
    for (uint64_t i = 0; i < 6; i++) ok(MOVE(subs[i]->err));
    ck_assert_uint_eq(subs[0]->s.tree_size, 1);
    ck_assert_uint_eq(subs[3]->s.tree_size, 4); /* three reach 16 MiB */
    ck_assert_uint_eq(subs[5]->s.tree_size, 6);
    for (uint64_t i = 0; i < 6; i++) sub_free(subs[i]);
}
END_TEST

START_TEST(test_a_leaf_that_no_bundle_can_hold_is_refused) {
    static uint8_t octets[(8 << 20) + 1];
    rig_open(&rig);
    struct sub *sub = sub_new(&rig, 1);
    struct bytes leaf = sub->s.leaf;
    sub->s.leaf = (struct bytes){octets, 65536};
    fails(sub_try(sub), ERROR_INVALID_ARGUMENT, REASON_NONE);
    sub->s.leaf = leaf;
    sub->s.payload = (struct bytes){octets, sizeof octets};
    fails(sub_try(sub), ERROR_RESOURCE_EXHAUSTED, REASON_MESSAGE_TOO_LARGE);
    sub_free(sub);
}
END_TEST

START_TEST(test_the_disk_reserve_makes_it_read_only_and_room_ends_that) {
    char why[256];
    rig.options.disk_reserve = 1;
    rig_open(&rig);
    sub_free(rig_log(&rig, 0));
    ck_assert_int_eq(unlink(rig.path_disk), 0);
    ck_assert_int_eq(symlink("/proc", rig.path_disk), 0); /* no room there at all */
    struct sub *sub = rig_log(&rig, 1);                   /* taken, and then refused: not written */
    fails(MOVE(sub->err), ERROR_RESOURCE_EXHAUSTED, REASON_DISK_RESERVE_REACHED);
    sub->is_done = false;
    ck_assert_int_eq(tlog_state(rig.log), TLOG_READ_ONLY);
    tlog_why(rig.log, why, sizeof why);
    ck_assert_ptr_nonnull(strstr(why, "reserve"));
    fails(sub_try(sub), ERROR_RESOURCE_EXHAUSTED, REASON_DISK_RESERVE_REACHED);
    ck_assert_int_eq(unlink(rig.path_disk), 0);
    ck_assert_int_eq(symlink("/tmp", rig.path_disk), 0);
    for (int i = 0; i < 500 && tlog_state(rig.log) != TLOG_SERVING; i++) (void)usleep(10000);
    ck_assert_int_eq(tlog_state(rig.log), TLOG_SERVING);
    tlog_why(rig.log, why, sizeof why);
    ck_assert_str_eq(why, "");
    ok(sub_try(sub));
    rig_wait(&rig);
    ok(MOVE(sub->err));
    check_receipt(&rig, sub);
    sub_free(sub);
}
END_TEST

START_TEST(test_repeats_of_what_a_full_disk_refused_are_refused_too) {
    gate_arm(&rig, "taken");
    rig.options.disk_reserve = 1;
    rig_open(&rig);
    sub_free(rig_log(&rig, 0));
    gate_shut();
    struct sub *first = sub_new(&rig, 1);
    ok(sub_try(first));
    gate_await(); /* these four wait in the queue while the disk fills */
    struct sub *subs[4] = {sub_new(&rig, 2), sub_new(&rig, 2), sub_new(&rig, 3), sub_new(&rig, 0)};
    subs[2]->s.dedup_key = subs[0]->s.dedup_key;
    for (size_t i = 0; i < 4; i++) ok(sub_try(subs[i]));
    ck_assert_int_eq(unlink(rig.path_disk), 0);
    ck_assert_int_eq(symlink("/proc", rig.path_disk), 0);
    gate_open();
    rig_wait(&rig);
    fails(MOVE(first->err), ERROR_RESOURCE_EXHAUSTED, REASON_DISK_RESERVE_REACHED);
    for (size_t i = 0; i < 3; i++)
        fails(MOVE(subs[i]->err), ERROR_RESOURCE_EXHAUSTED, REASON_DISK_RESERVE_REACHED);
    ok(MOVE(subs[3]->err)); /* what is logged is logged */
    ck_assert(subs[3]->s.existing && subs[3]->s.index == 0);
    for (size_t i = 0; i < 4; i++) sub_free(subs[i]);
    sub_free(first);
}
END_TEST

/* --- reading */

START_TEST(test_sizes_between_rounds_and_beyond) {
    struct arena arena;
    struct bytes v1, c2sp;
    struct sha256 root;
    arena_init(&arena, 1 << 20);
    rig_open(&rig);
    rig_log_many(&rig, 0, 20);
    for (uint64_t n = 0; n <= 20; n++) { /* 0: who saw the log empty is not shown more */
        ok(tlog_checkpoint(rig.log, &arena, n, &v1, &c2sp, &root));
        check_note(v1, RIG_ORIGIN " - 42", signer_public(rig.signer, SIGNER_LOG_V1), n, &root);
        check_note(c2sp, RIG_ORIGIN, signer_public(rig.signer, SIGNER_LOG_C2SP), n, &root);
    }
    struct merkle_proof proof;
    fails(tlog_checkpoint(rig.log, &arena, 21, &v1, &c2sp, &root), ERROR_OUT_OF_RANGE,
          REASON_TREE_SIZE_IN_FUTURE);
    fails(tlog_inclusion(rig.log, 0, 21, &proof), ERROR_OUT_OF_RANGE, REASON_TREE_SIZE_IN_FUTURE);
    fails(tlog_inclusion(rig.log, 20, 20, &proof), ERROR_OUT_OF_RANGE, REASON_NONE);
    fails(tlog_inclusion(rig.log, 0, 0, &proof), ERROR_OUT_OF_RANGE, REASON_NONE);
    fails(tlog_consistency(rig.log, 1, 21, &proof), ERROR_OUT_OF_RANGE, REASON_TREE_SIZE_IN_FUTURE);
    fails(tlog_consistency(rig.log, 0, 20, &proof), ERROR_OUT_OF_RANGE, REASON_NONE);
    arena_done(&arena);
}
END_TEST

static bool get_tile(struct arena *arena, unsigned level, uint64_t index, unsigned width,
                     bool entries, struct bytes *out) {
    struct merkle_tile tile = {level, index, width, entries};
    bool found = false;
    ok(tlog_tile(rig.log, arena, &tile, &found, out));
    return found;
}

/* SPEC c2sp-tlog-tiles Log entries, SPEC c2sp-tlog-tiles Partial tiles */
START_TEST(test_tiles_and_bundles_of_every_width) {
    struct arena arena;
    struct bytes tile, bundle, full;
    arena_init(&arena, 64 << 20);
    rig_open(&rig);
    rig_log_many(&rig, 0, 515);
    ck_assert(get_tile(&arena, 0, 0, 256, false, &full));
    ck_assert_uint_eq(full.len, 8192);
    for (unsigned w = 1; w <= 255; w++) { /* a partial one is the beginning of the full one */
        ck_assert(get_tile(&arena, 0, 0, w, false, &tile));
        ck_assert_uint_eq(tile.len, w * 32);
        ck_assert_int_eq(memcmp(tile.data, full.data, tile.len), 0);
    }
    ck_assert(get_tile(&arena, 0, 2, 3, false, &tile));
    ck_assert(!get_tile(&arena, 0, 2, 4, false, &tile));
    ck_assert(!get_tile(&arena, 0, 2, 256, false, &tile));
    ck_assert(!get_tile(&arena, 0, 3, 1, false, &tile));
    ck_assert(get_tile(&arena, 1, 0, 2, false, &tile));
    ck_assert(!get_tile(&arena, 1, 0, 3, false, &tile));
    ck_assert(!get_tile(&arena, 2, 0, 1, false, &tile));
    ck_assert(!get_tile(&arena, 0, 0, 0, false, &tile));

    static const unsigned widths[] = {1, 3, 255, 256};
    for (size_t i = 0; i < 4; i++) {
        ck_assert(get_tile(&arena, 0, 1, widths[i], true, &bundle));
        ck_assert(get_tile(&arena, 0, 1, widths[i], false, &tile));
        struct reader r = reader_of(bundle);
        for (unsigned e = 0; e < widths[i]; e++) {
            uint16_t len = reader_u16be(&r, "length");
            struct sha256 leaf = merkle_leaf_hash(reader_take(&r, len, "entry"));
            ck_assert_int_eq(memcmp(tile.data + 32 * e, leaf.octets, 32), 0);
        }
        ok(reader_finish(&r, "bundle"));
    }
    ck_assert(!get_tile(&arena, 0, 2, 4, true, &bundle));
    arena_done(&arena);
}
END_TEST

static _Atomic uint64_t watched_size;
static _Atomic unsigned watched_calls;

/* await_calls waits for the calls of a round whose submissions have been answered. */
static void await_calls(unsigned calls) {
    for (int i = 0; i < 5000 && atomic_load(&watched_calls) < calls; i++) (void)usleep(1000);
    ck_assert_uint_eq(atomic_load(&watched_calls), calls);
}

static void watch(void *ctx, uint64_t size) {
    (void)ctx;
    atomic_store(&watched_size, size);
    atomic_fetch_add(&watched_calls, 1);
}

START_TEST(test_watchers_are_told_until_they_leave) {
    struct tlog_watcher a = {.fn = watch};
    struct tlog_watcher b = {.fn = watch};
    rig_open(&rig);
    tlog_watch(rig.log, &a);
    tlog_watch(rig.log, &b);
    sub_free(rig_log(&rig, 1));
    await_calls(2);
    ck_assert_uint_eq(atomic_load(&watched_size), 1);
    tlog_unwatch(rig.log, &a);
    sub_free(rig_log(&rig, 2));
    await_calls(3);
    tlog_unwatch(rig.log, &b);
    sub_free(rig_log(&rig, 3));
    tlog_drain(rig.log);
    ck_assert_uint_eq(atomic_load(&watched_calls), 3);
    ck_assert_uint_eq(atomic_load(&watched_size), 2);
}
END_TEST

static _Atomic bool slow_began;
static _Atomic bool slow_ended;

static void watch_slowly(void *ctx, uint64_t size) {
    (void)ctx;
    (void)size;
    atomic_store(&slow_began, true);
    (void)usleep(50000);
    atomic_store(&slow_ended, true);
}

START_TEST(test_unwatching_waits_for_the_call_that_runs) {
    struct tlog_watcher w = {.fn = watch_slowly};
    rig_open(&rig);
    tlog_watch(rig.log, &w);
    sub_free(rig_log(&rig, 1));
    while (!atomic_load(&slow_began)) (void)usleep(100);
    tlog_unwatch(rig.log, &w);
    ck_assert(atomic_load(&slow_ended));
}
END_TEST

START_TEST(test_draining_answers_all_and_takes_no_more) {
    struct sub *subs[50];
    rig_open(&rig);
    for (uint64_t i = 0; i < 50; i++) subs[i] = sub_new(&rig, i);
    for (uint64_t i = 0; i < 50; i++) ok(sub_try(subs[i]));
    tlog_drain(rig.log);
    for (uint64_t i = 0; i < 50; i++) {
        ck_assert(subs[i]->is_done);
        ok(MOVE(subs[i]->err));
    }
    subs[0]->is_done = false;
    fails(sub_try(subs[0]), ERROR_UNAVAILABLE, REASON_SHUTTING_DOWN);
    for (uint64_t i = 0; i < 50; i++) sub_free(subs[i]);
}
END_TEST

static _Atomic bool let_go;

/* Opens the gate a while after the log has begun to drain. */
static void *open_when_draining(void *arg) {
    struct error *err = NULL;
    (void)arg;
    while (err == NULL) err = tlog_require_serving(rig.log);
    fails(err, ERROR_UNAVAILABLE, REASON_SHUTTING_DOWN);
    (void)usleep(20000);
    atomic_store(&let_go, true);
    gate_open();
    return NULL;
}

START_TEST(test_draining_waits_for_whichever_round_is_on_its_way) {
    gate_arm(&rig, "anchor_inner");
    rig_open_store(&rig);
    for (uint64_t turn = 0; turn < 3; turn++) {
        pthread_t opener;
        rig_open_log(&rig);
        for (uint64_t n = 0; n < turn; n++) sub_free(rig_log(&rig, 10 * turn + n));
        struct sub *sub = sub_new(&rig, 10 * turn + 9);
        atomic_store(&let_go, false);
        gate_shut();
        ok(sub_try(sub));
        gate_await();
        ck_assert_int_eq(pthread_create(&opener, NULL, open_when_draining, NULL), 0);
        tlog_drain(rig.log);
        ck_assert(atomic_load(&let_go) && sub->is_done);
        ck_assert_int_eq(pthread_join(opener, NULL), 0);
        ok(MOVE(sub->err));
        sub_free(sub);
        rig_close_log(&rig);
    }
}
END_TEST

/* --- waking: every signal of this program comes through here; a broadcast does as much */

static _Thread_local bool watch_signals;
static unsigned signals_watched;
static _Atomic bool looked;

static void *look_at_head(void *arg) {
    (void)arg;
    (void)tlog_head(rig.log); /* waits while anybody holds the lock */
    atomic_store(&looked, true);
    return NULL;
}

int pthread_cond_signal(pthread_cond_t *cond) {
    pthread_t onlooker;
    if (!watch_signals) return pthread_cond_broadcast(cond);
    watch_signals = false;
    signals_watched++;
    atomic_store(&looked, false);
    ck_assert_int_eq(pthread_create(&onlooker, NULL, look_at_head, NULL), 0);
    for (int i = 0; i < 100 && !atomic_load(&looked); i++) (void)usleep(1000);
    ck_assert_msg(!atomic_load(&looked), "the log could have answered, and been freed, by now");
    ck_assert_int_eq(pthread_detach(onlooker), 0);
    return pthread_cond_broadcast(cond);
}

START_TEST(test_who_submits_has_left_the_log_when_it_can_answer) {
    rig_open(&rig);
    watch_signals = true;
    struct sub *sub = rig_log(&rig, 1);
    ck_assert_uint_eq(signals_watched, 1);
    while (!atomic_load(&looked)) (void)usleep(100);
    ok(MOVE(sub->err));
    sub_free(sub);
}
END_TEST

/* --- many submitters at once */

static void *submit_some(void *arg) {
    uint64_t first = *(uint64_t *)arg;
    for (uint64_t n = first; n < first + 100; n++) {
        struct sub *sub = sub_new(&rig, n % 350); /* the threads' ranges overlap: repeats */
        struct error *err = sub_try(sub);
        ck_assert(err == NULL);
        (void)pthread_mutex_lock(&rig.lock);
        while (!sub->is_done) (void)pthread_cond_wait(&rig.answered, &rig.lock);
        (void)pthread_mutex_unlock(&rig.lock);
        ck_assert(sub->err == NULL);
        if (!sub->s.existing) check_receipt(&rig, sub);
        check_stored(&rig, sub);
        sub_free(sub);
    }
    return NULL;
}

START_TEST(test_threads_that_submit_and_read_at_once) {
    pthread_t threads[5];
    uint64_t firsts[5];
    rig_open(&rig);
    for (uint64_t i = 0; i < 5; i++) {
        firsts[i] = i * 70;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_some, &firsts[i]), 0);
    }
    for (size_t i = 0; i < 5; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(tlog_head(rig.log).size, 350);
    rig_close_log(&rig);
    rig_fsck_is_clean(&rig, 350);
}
END_TEST

static Suite *tlog_suite(void) {
    Suite *s = suite_create("tlog");
    TCase *tc = tcase_create("rounds");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_an_empty_log_has_signed_checkpoints);
    tcase_add_test(tc, test_one_entry_gets_a_receipt);
    tcase_add_test(tc, test_a_thousand_entries_in_several_rounds_are_the_naive_tree);
    tcase_add_test(tc, test_submissions_keep_their_order);
    tcase_add_test(tc, test_a_repeat_gives_the_first_entry);
    tcase_add_test(tc, test_repeats_in_flight_join);
    tcase_add_test(tc, test_a_repeat_joins_what_is_built_and_not_yet_written);
    tcase_add_test(tc, test_a_repeat_joins_what_was_built_two_rounds_before);
    tcase_add_test(tc, test_rounds_are_committed_while_the_one_before_is_anchored);
    tcase_add_test(tc, test_a_key_with_other_content_is_refused);
    tcase_add_test(tc, test_a_default_key_expires_and_a_given_one_does_not);
    tcase_add_test(tc, test_an_expired_key_counts_from_the_newest_entry);
    tcase_add_test(tc, test_time_never_goes_back);
    tcase_add_test(tc, test_a_full_queue_is_refused);
    tcase_add_test(tc, test_the_queue_is_bounded_in_octets);
    tcase_add_test(tc, test_a_round_is_bounded_in_octets);
    tcase_add_test(tc, test_a_leaf_that_no_bundle_can_hold_is_refused);
    tcase_add_test(tc, test_the_disk_reserve_makes_it_read_only_and_room_ends_that);
    tcase_add_test(tc, test_repeats_of_what_a_full_disk_refused_are_refused_too);
    tcase_add_test(tc, test_sizes_between_rounds_and_beyond);
    tcase_add_test(tc, test_tiles_and_bundles_of_every_width);
    tcase_add_test(tc, test_watchers_are_told_until_they_leave);
    tcase_add_test(tc, test_unwatching_waits_for_the_call_that_runs);
    tcase_add_test(tc, test_draining_answers_all_and_takes_no_more);
    tcase_add_test(tc, test_draining_waits_for_whichever_round_is_on_its_way);
    tcase_add_test(tc, test_who_submits_has_left_the_log_when_it_can_answer);
    tcase_add_test(tc, test_threads_that_submit_and_read_at_once);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(tlog_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
