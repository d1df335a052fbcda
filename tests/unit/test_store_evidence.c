/* store: the bounds of finding evidence, over both forms of kv. What is found within them stands in
 * test_store.c. */
#include "base/alloc.h"
#include "base/buf.h"
#include "kv_support.h"
#include "store/store.h"

#define SUBJECT "sha256:aaaa"
#define TYPE "https://example/v1"
#define SUBMITTERS 512 /* evidence.c's SUBMITTERS_MAX */
#define ROWS 10        /* evidence.c's ROWS_PER_FOUND */
#define OTHERS 16      /* evidence.c's OTHERS_MAX */

static struct store *new_store(int form) {
    struct kv *kv = new_kv(form);
    struct store *s = NULL;
    ok(store_open(kv, &s));
    return s;
}

/* add logs entry `index` about the subject, by `submitter`. */
static void add(struct store_round *r, unsigned index, const char *submitter) {
    static const struct text subject[] = {TEXT_LIT(SUBJECT)};
    char leaf[24];
    (void)snprintf(leaf, sizeof leaf, "leaf %u", index);
    const struct store_terms terms = {.predicate_type = TEXT_LIT(TYPE),
                                      .submitter = text_of_cstr(submitter),
                                      .subjects = subject,
                                      .subject_count = 1};
    const struct store_entry entry = {.index = index,
                                      .kind = STORE_ENTRY_ATTESTATION,
                                      .integrated_s = 1000,
                                      .tree_size = index + 1,
                                      .payload = BYTES_LIT("{}"),
                                      .signature = BYTES_LIT("signature"),
                                      .set = BYTES_LIT("set"),
                                      .leaf = bytes_of_cstr(leaf)};
    ok(store_round_entry(r, &entry, &terms));
}

/* Entries from .. below - 1, each by "<prefix><index>". */
static void add_each(struct store *s, unsigned from, unsigned below, const char *prefix) {
    struct store_round *r = NULL;
    char submitter[32];
    ok(store_round_new(s, &r));
    for (unsigned i = from; i < below; i++) {
        (void)snprintf(submitter, sizeof submitter, "%s%u", prefix, i);
        add(r, i, submitter);
    }
    ok(store_round_commit(r));
    store_round_free(r);
}

static bool is_ci(void *ctx, struct text submitter) {
    ++*(unsigned *)ctx;
    return bytes_start_with(bytes_of_text(submitter), BYTES_LIT("token:ci"));
}

/* The answer; it lives in `arena`. *asked is how many submitters were looked at. */
static struct store_evidence_found find(struct store *s, struct arena *arena, size_t max,
                                        unsigned *asked) {
    struct store_evidence_found f = {0};
    const struct store_evidence q = {
        TEXT_LIT(SUBJECT), TEXT_LIT(TYPE), UINT64_MAX, max, is_ci, asked};
    *asked = 0;
    ok(store_find_evidence(s, NULL, arena, &q, &f));
    return f;
}

/* How many of "<prefix>0" .. have a hash that ends in 0xff: behind them the next one's first key
 * has a carry. */
static unsigned carries(const char *prefix, unsigned count) {
    unsigned n = 0;
    char submitter[32];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(submitter, sizeof submitter, "%s%u", prefix, i);
        n += sha256_of(bytes_of_cstr(submitter)).octets[31] == 0xff;
    }
    return n;
}

START_TEST(test_submitters_whom_nobody_trusts_are_looked_at_once_each_up_to_a_bound) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    struct arena arena;
    unsigned asked = 0;
    arena_init(&arena, 1 << 20);
    ck_assert_uint_gt(carries("token:x", SUBMITTERS), 0);
    add_each(s, 0, SUBMITTERS, "token:x");
    struct store_evidence_found f = find(s, &arena, 1000, &asked);
    ck_assert_uint_eq(asked, SUBMITTERS);
    ck_assert_uint_eq(f.count, 0);
    ck_assert_uint_eq(f.other_count, OTHERS);
    ck_assert(!f.cut);
    add_each(s, SUBMITTERS, SUBMITTERS + 1, "token:x"); /* one too many: it is said */
    f = find(s, &arena, 1000, &asked);
    ck_assert(f.cut);
    add_each(s, SUBMITTERS + 1, 2 * SUBMITTERS, "token:x");
    f = find(s, &arena, 1000, &asked);
    ck_assert_uint_eq(asked, SUBMITTERS + 1);
    ck_assert(f.cut);
    arena_done(&arena);
}
END_TEST

/* Of those who are wanted each has one entry, and one may be listed of each. */
START_TEST(test_rows_of_many_who_are_trusted_are_read_up_to_a_bound) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    struct arena arena;
    unsigned asked = 0;
    arena_init(&arena, 1 << 20);
    add_each(s, 0, ROWS, "token:ci-");
    struct store_evidence_found f = find(s, &arena, 1, &asked);
    ck_assert_uint_eq(f.count, ROWS);
    ck_assert(!f.cut);
    add_each(s, ROWS, ROWS + 1, "token:ci-");
    f = find(s, &arena, 1, &asked);
    ck_assert_uint_eq(f.count, ROWS);
    ck_assert(f.cut);
    add_each(s, ROWS + 1, 10 * ROWS, "token:ci-");
    f = find(s, &arena, 1, &asked);
    ck_assert_uint_eq(f.count, ROWS);
    ck_assert_uint_eq(asked, ROWS + 1);
    ck_assert(f.cut);
    f = find(s, &arena, 10, &asked);
    ck_assert_uint_eq(f.count, 10 * ROWS);
    ck_assert(!f.cut);
    arena_done(&arena);
}
END_TEST

static Suite *evidence_suite(void) {
    Suite *s = suite_create("store_evidence");
    TCase *tc = tcase_create("both forms");
    tcase_add_checked_fixture(tc, make_folder, remove_folder);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(
        tc, test_submitters_whom_nobody_trusts_are_looked_at_once_each_up_to_a_bound, 0, FORMS);
    tcase_add_loop_test(tc, test_rows_of_many_who_are_trusted_are_read_up_to_a_bound, 0, FORMS);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(evidence_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
