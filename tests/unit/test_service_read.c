/* Suite of pkg/service: reading: entries, lists and their page tokens, watching, the log. Lineage
 * is in test_service_trace.c. */
#include "merkle/merkle.h"
#include "note/note.h"
#include "service_rig.h"

/* --- get */

START_TEST(test_get_by_index_and_by_leaf_hash) {
    struct rig rig;
    struct arena arena;
    struct service_attestation a, b;
    struct bundle_verification v;
    uint64_t size;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_get key = {.index = 3};
    ok(service_get(rig.service, &ci, &arena, &key, &a, &size));
    ck_assert_uint_eq(size, 17);
    ck_assert_uint_eq(a.index, 3);
    ck_assert_int_eq(a.logged_s, RIG_START_MS / 1000);
    ck_assert(text_equal(a.statement.predicate_type, T(INTOTO_PROVENANCE_V1)));
    ck_assert(text_equal(a.statement.builder_id, T(RIG_BUILDER)));
    ck_assert(text_equal(a.statement.submitter_principal, ci.name));
    ck_assert(text_equal(a.statement.subjects[0].name, T("artifact-3")));
    rig_verify(&rig, &arena, a.receipt, &v);
    ck_assert_uint_eq(v.index, 3);

    struct service_proof proof;
    ok(service_inclusion(rig.service, &ci, &arena, 3, 0, &proof));
    key = (struct service_get){.by_leaf_hash = true, .leaf_hash = proof.leaf_hash};
    ok(service_get(rig.service, &ci, &arena, &key, &b, &size));
    ck_assert_uint_eq(b.index, 3);
    ck_assert(bytes_equal(a.receipt, b.receipt));
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_what_is_not_there_is_not_found) {
    struct rig rig;
    struct arena arena;
    struct service_attestation a;
    uint64_t size;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_get key = {.index = 17};
    fails(service_get(rig.service, &ci, &arena, &key, &a, &size), ERROR_NOT_FOUND,
          REASON_ENTRY_NOT_FOUND);
    key.index = UINT64_MAX;
    fails(service_get(rig.service, &ci, &arena, &key, &a, &size), ERROR_NOT_FOUND,
          REASON_ENTRY_NOT_FOUND);
    key.by_leaf_hash = true;
    fails(service_get(rig.service, &ci, &arena, &key, &a, &size), ERROR_NOT_FOUND,
          REASON_ENTRY_NOT_FOUND);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_reading_needs_its_scope) {
    struct rig rig;
    struct arena arena;
    struct service_attestation a;
    struct service_listed listed;
    struct service_traced traced;
    struct service_proof proof;
    struct merkle_proof consistency;
    const struct service_entry *entries;
    size_t count;
    uint64_t size = 0;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    const struct service_get key = {.index = 3};
    const struct service_list list = {.page_size = 1};
    const struct service_trace trace = {.digest = rig_node(&arena, 0), .direction = LINEAGE_UP};
    struct error *errs[] = {
        service_get(rig.service, &nobody, &arena, &key, &a, &size),
        service_list(rig.service, &nobody, &arena, &list, &listed),
        service_watch_read(rig.service, &nobody, &arena, T(""), &size, 1, &listed),
        service_trace(rig.service, &nobody, &arena, &trace, &traced),
        service_entries(rig.service, &nobody, &arena, 0, 1, &entries, &count, &size),
        service_inclusion(rig.service, &nobody, &arena, 0, 0, &proof),
        service_consistency(rig.service, &nobody, 1, 2, &consistency),
    };
    for (size_t i = 0; i < sizeof errs / sizeof *errs; i++)
        fails(errs[i], ERROR_PERMISSION_DENIED, REASON_SCOPE_MISSING);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* --- list */

/* Lists page by page; the indexes, in order, as text. */
static void expect_list(struct rig *rig, struct service_list q, const char *want) {
    struct arena arena;
    struct buf got;
    buf_init(&got, 4096);
    for (;;) {
        struct service_listed listed;
        arena_init(&arena, CALL_ARENA_MAX);
        ok(service_list(rig->service, &ci, &arena, &q, &listed));
        for (size_t i = 0; i < listed.count; i++)
            buf_printf(&got, "%s%u", got.len == 0 ? "" : " ", (unsigned)listed.items[i].index);
        ck_assert_uint_le(listed.count, q.page_size == 0 ? 100 : q.page_size);
        struct note note;
        struct checkpoint cp;
        ok(note_parse(&arena, listed.checkpoint, &note));
        ok(checkpoint_parse(note.text, true, &cp));
        ck_assert_uint_eq(cp.size, listed.tree_size);
        static char token[256];
        ck_assert_uint_lt(listed.next_page_token.len, sizeof token);
        if (listed.next_page_token.len > 0)
            memcpy(token, listed.next_page_token.data, listed.next_page_token.len);
        q.page_token = (struct text){token, listed.next_page_token.len};
        arena_done(&arena);
        if (q.page_token.len == 0) break;
        (void)rig_document(rig, 0, TYPE, "{\"late\":1}"); /* the pages are of one tree size */
        atomic_fetch_add(&rig->now_ms, 2 * DAY_MS);
    }
    ck_assert_msg(bytes_equal(buf_bytes(&got), bytes_of_cstr(want)), "%.*s, not %s", (int)got.len,
                  (const char *)got.data, want);
    buf_done(&got);
}

START_TEST(test_list_by_digest_type_both_and_neither) {
    struct rig rig;
    struct arena arena;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct text zero = rig_node(&arena, 0);
    expect_list(&rig, (struct service_list){.digest = zero}, "0 10 11 12 13 14 15");
    expect_list(&rig, (struct service_list){.predicate_type = T(TYPE)}, "10 12 14 16");
    expect_list(&rig, (struct service_list){.digest = zero, .predicate_type = T(TYPE)}, "10 12 14");
    expect_list(&rig, (struct service_list){0}, "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
    expect_list(&rig, (struct service_list){.digest = zero, .as_of = 12}, "0 10 11");
    expect_list(&rig, (struct service_list){.digest = rig_node(&arena, 99)}, "");
    expect_list(&rig, (struct service_list){.predicate_type = T("x:y")}, "");
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_pages_join_to_the_whole_of_one_tree_size) {
    struct rig rig;
    struct arena arena;
    for (uint32_t size = 1; size <= 8; size++) {
        rig_fill(&rig);
        arena_init(&arena, CALL_ARENA_MAX);
        struct text zero = rig_node(&arena, 0);
        expect_list(&rig, (struct service_list){.digest = zero, .page_size = size},
                    "0 10 11 12 13 14 15");
        rig_done(&rig);
        rig_fill(&rig);
        expect_list(
            &rig,
            (struct service_list){.digest = zero, .predicate_type = T(TYPE), .page_size = size},
            "10 12 14");
        rig_done(&rig);
        rig_fill(&rig);
        expect_list(&rig, (struct service_list){.as_of = 9, .page_size = size},
                    "0 1 2 3 4 5 6 7 8");
        arena_done(&arena);
        rig_done(&rig);
    }
}
END_TEST

START_TEST(test_receipts_are_listed_where_asked_for) {
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    struct bundle_verification v;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_list q = {.predicate_type = T(TYPE)};
    ok(service_list(rig.service, &ci, &arena, &q, &listed));
    ck_assert_uint_eq(listed.items[0].receipt.len, 0);
    q.receipts = true;
    ok(service_list(rig.service, &ci, &arena, &q, &listed));
    for (size_t i = 0; i < listed.count; i++) {
        rig_verify(&rig, &arena, listed.items[i].receipt, &v);
        ck_assert_uint_eq(v.index, listed.items[i].index);
    }
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* Other people's documents must not decide whether a list can be read, and one call of a reader who
 * finds nothing must not read them all. */
START_TEST(test_lists_of_large_documents_need_little_memory) {
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    char *json = alloc_zero(1, 700001);
    rig_init(&rig);
    rig_open(&rig);
    for (int i = 0; i < 50; i++) {
        memset(json, ' ', 700000);
        int at = snprintf(json, 700001, "{\"i\":%d,\"a\":[0", i);
        for (int k = 0; k < 300000; k++) memcpy(json + at + 2 * k, ",0", 2);
        memcpy(json + 699998, "]}", 3);
        json[at + 600000] = ' ';
        (void)rig_document(&rig, 1, TYPE, json);
    }
    arena_init(&arena, (size_t)1 << 20);
    const struct service_list q = {.digest = rig_node(&arena, 1)};
    ok(service_list(rig.service, &ci, &arena, &q, &listed));
    ck_assert_uint_ge(listed.count, 40);
    ck_assert_uint_lt(listed.count, 50);
    const struct service_list none = {.digest = q.digest, .predicate_type = T("x:none")};
    ok(service_list(rig.service, &ci, &arena, &none, &listed));
    ck_assert_uint_eq(listed.count, 0);
    ck_assert_uint_gt(listed.next_page_token.len, 0);
    uint64_t from = 0;
    ok(service_watch_read(rig.service, &ci, &arena, T(""), &from, 16, &listed));
    ck_assert_uint_eq(from, 2);
    arena_done(&arena);

    arena_init(&arena, CALL_ARENA_MAX); /* with receipts a page ends before it is too heavy */
    const struct service_list heavy = {.digest = rig_node(&arena, 1), .receipts = true};
    ok(service_list(rig.service, &ci, &arena, &heavy, &listed));
    ck_assert_uint_gt(listed.count, 0);
    ck_assert_uint_lt(listed.count, 40);
    ck_assert_uint_gt(listed.next_page_token.len, 0);
    arena_done(&arena);
    alloc_free(json);
    rig_done(&rig);
}
END_TEST

/* Logs an entry about artifact 1 whose subject alone takes `octets`. */
static void fill_heavy(struct rig *rig, const char *type, size_t octets, unsigned number) {
    struct call c;
    char json[32];
    call_init(&c, &ci);
    (void)snprintf(json, sizeof json, "{\"i\":%u}", number);
    call_document(&c, 1, type, json);
    struct intoto_resource *subject = arena_alloc(&c.arena, sizeof *subject);
    *subject = c.req.submission.subjects[0];
    subject->content = (struct bytes){arena_alloc(&c.arena, octets), octets};
    subject->has_content = true;
    c.req.submission.subjects = subject;
    ok(call_run(rig, &c));
    call_done(&c);
}

/* Nor must other people's subjects, and an answer stays within what clients take: 4 MiB. */
START_TEST(test_lists_of_large_subjects_come_in_pages) {
    enum { MANY = 14 };
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    rig_init(&rig);
    rig_open(&rig);
    for (unsigned i = 0; i < MANY; i++)
        fill_heavy(&rig, i < MANY - 2 ? "https://q.example/v1" : TYPE, 1400000, i);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_list q = {.digest = rig_node(&arena, 1)};
    expect_list(&rig, q, "0 1 2 3 4 5 6 7 8 9 10 11 12 13");
    q.predicate_type = T(TYPE);
    expect_list(&rig, q, "12 13");
    q.receipts = true;
    expect_list(&rig, q, "12 13");
    ok(service_list(rig.service, &ci, &arena, &(struct service_list){.receipts = true}, &listed));
    ck_assert_uint_eq(listed.count, 1);
    arena_done(&arena);

    for (uint64_t from = 0, seen = 0; seen < MANY; seen += listed.count) {
        arena_init(&arena, CALL_ARENA_MAX);
        ok(service_watch_read(rig.service, &ci, &arena, T(""), &from, 16, &listed));
        ck_assert_uint_gt(listed.count, 0);
        ck_assert_uint_eq(listed.items[0].index, seen);
        arena_done(&arena);
    }
    rig_done(&rig);
}
END_TEST

START_TEST(test_bad_list_queries) {
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    static const char *const digests[] = {"sha256", "sha256:", ":a", "sha256:xy", "a b:c"};
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
        const struct service_list q = {.digest = text_of_cstr(digests[i])};
        fails_field(service_list(rig.service, &ci, &arena, &q, &listed), "digest");
    }
    const struct service_list future = {.as_of = 18};
    fails(service_list(rig.service, &ci, &arena, &future, &listed), ERROR_OUT_OF_RANGE,
          REASON_TREE_SIZE_IN_FUTURE);
    const struct service_list large = {.page_size = UINT32_MAX};
    ok(service_list(rig.service, &ci, &arena, &large, &listed));
    ck_assert_uint_eq(listed.count, 17);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* --- page tokens */

START_TEST(test_page_tokens_are_authenticated_and_bound_to_their_query) {
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    struct service_list q = {.digest = rig_node(&arena, 0), .page_size = 2};
    ok(service_list(rig.service, &ci, &arena, &q, &listed));
    ck_assert_uint_gt(listed.next_page_token.len, 0);
    size_t len = listed.next_page_token.len;
    char token[256];
    for (size_t i = 0; i < len * 8; i++) { /* every bit */
        memcpy(token, listed.next_page_token.data, len);
        token[i / 8] = (char)(token[i / 8] ^ (1 << (i % 8)));
        q.page_token = (struct text){token, len};
        struct service_listed unused;
        fails(service_list(rig.service, &ci, &arena, &q, &unused), ERROR_INVALID_ARGUMENT,
              REASON_PAGE_TOKEN_INVALID);
    }
    for (size_t cut = 1; cut < len; cut++) { /* every truncation */
        q.page_token = (struct text){listed.next_page_token.data, cut};
        struct service_listed unused;
        fails(service_list(rig.service, &ci, &arena, &q, &unused), ERROR_INVALID_ARGUMENT,
              REASON_PAGE_TOKEN_INVALID);
    }
    memcpy(token, listed.next_page_token.data, len); /* and nothing behind it */
    memcpy(token + len, "AAAA", 4);
    q.page_token = (struct text){token, len + 4};
    struct service_listed none;
    fails(service_list(rig.service, &ci, &arena, &q, &none), ERROR_INVALID_ARGUMENT,
          REASON_PAGE_TOKEN_INVALID);
    struct service_list others[4];
    for (size_t i = 0; i < 4; i++) {
        others[i] = q;
        others[i].page_token = listed.next_page_token;
    }
    others[0].digest = rig_node(&arena, 1);
    others[1].predicate_type = T(TYPE);
    others[2].receipts = true;
    others[3].digest = (struct text){0};
    for (size_t i = 0; i < 4; i++) {
        struct service_listed unused;
        fails(service_list(rig.service, &ci, &arena, &others[i], &unused), ERROR_INVALID_ARGUMENT,
              REASON_PAGE_TOKEN_INVALID);
    }
    struct service_trace trace = {
        .digest = q.digest, .direction = LINEAGE_UP, .page_token = listed.next_page_token};
    struct service_traced traced;
    fails(service_trace(rig.service, &ci, &arena, &trace, &traced), ERROR_INVALID_ARGUMENT,
          REASON_PAGE_TOKEN_INVALID);
    q.page_token = listed.next_page_token;
    q.as_of = 5;
    fails_field(service_list(rig.service, &ci, &arena, &q, &listed), "as_of_tree_size");
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* --- watch */

START_TEST(test_watching_goes_on_where_it_was) {
    struct rig rig;
    struct arena arena;
    struct service_listed listed;
    uint64_t from = 0;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    ok(service_watch_read(rig.service, &ci, &arena, T(TYPE), &from, 3, &listed));
    ck_assert_uint_eq(listed.count, 3);
    ck_assert_uint_eq(listed.items[2].index, 14);
    ck_assert_uint_le(from, 16);
    ok(service_watch_read(rig.service, &ci, &arena, T(TYPE), &from, 3, &listed));
    ck_assert_uint_eq(listed.count, 1);
    ck_assert_uint_eq(listed.items[0].index, 16);
    ck_assert_uint_eq(from, 17);
    ok(service_watch_read(rig.service, &ci, &arena, T(TYPE), &from, 3, &listed));
    ck_assert_uint_eq(listed.count, 0);
    (void)rig_document(&rig, 51, "https://q.example/v1", "{}");
    (void)rig_document(&rig, 51, TYPE, "{}");
    ok(service_watch_read(rig.service, &ci, &arena, T(TYPE), &from, 3, &listed));
    ck_assert_uint_eq(listed.count, 1);
    ck_assert_uint_eq(listed.items[0].index, 18);
    ck_assert_uint_eq(from, 19);
    from = 100; /* of a log that is not so far yet: nothing, and not moved back */
    ok(service_watch_read(rig.service, &ci, &arena, T(""), &from, 3, &listed));
    ck_assert_uint_eq(listed.count, 0);
    ck_assert_uint_eq(from, 100);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

struct seen {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t size;
};

static void on_round(void *ctx, uint64_t size) {
    struct seen *seen = ctx;
    (void)pthread_mutex_lock(&seen->lock);
    seen->size = size;
    (void)pthread_cond_signal(&seen->changed);
    (void)pthread_mutex_unlock(&seen->lock);
}

START_TEST(test_watchers_hear_of_rounds_until_they_are_removed) {
    struct rig rig;
    struct seen seen = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct tlog_watcher w = {.fn = on_round, .ctx = &seen};
    rig_fill(&rig);
    service_watch(rig.service, &w);
    (void)rig_document(&rig, 60, TYPE, "{}");
    (void)pthread_mutex_lock(&seen.lock);
    while (seen.size < 18) (void)pthread_cond_wait(&seen.changed, &seen.lock);
    (void)pthread_mutex_unlock(&seen.lock);
    service_unwatch(rig.service, &w);
    (void)rig_document(&rig, 61, TYPE, "{}");
    ck_assert_uint_eq(seen.size, 18);
    rig_done(&rig);
}
END_TEST

/* --- the log */

/* What GetEntries takes must not grow with the documents that others submitted. */
START_TEST(test_entries_of_large_documents_fit_into_a_call) {
    enum { DOCUMENTS = 10, OCTETS = 2 << 20 };
    struct rig rig;
    struct arena arena;
    const struct service_entry *entries;
    size_t count;
    uint64_t size;
    char *json = alloc_zero(1, OCTETS);
    rig_init(&rig);
    rig_open(&rig);
    memset(json, 'a', OCTETS - 1);
    memcpy(json, "{\"x\":\"", 6);
    memcpy(json + OCTETS - 3, "\"}", 2);
    for (uint64_t i = 0; i < DOCUMENTS; i++) rig_document(&rig, i, TYPE, json);
    arena_init(&arena, CALL_ARENA_MAX);
    ok(service_entries(rig.service, &ci, &arena, 0, DOCUMENTS, &entries, &count, &size));
    ck_assert_uint_eq(count, DOCUMENTS);
    ck_assert_uint_lt(arena.used_bytes, 64 << 10);
    arena_done(&arena);
    alloc_free(json);
    rig_done(&rig);
}
END_TEST

START_TEST(test_entries_are_the_leaves_of_the_tree) {
    struct rig rig;
    struct arena arena;
    struct service_checkpoint cp;
    const struct service_entry *entries;
    struct merkle_frontier f = {0};
    size_t count;
    uint64_t size;
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    ok(service_entries(rig.service, &ci, &arena, 0, 17, &entries, &count, &size));
    ck_assert_uint_eq(count, 17);
    ck_assert_uint_eq(size, 17);
    for (size_t i = 0; i < count; i++) {
        struct sha256 leaf = merkle_leaf_hash(entries[i].leaf);
        ck_assert_uint_eq(entries[i].index, i);
        merkle_append(&f, &leaf, NULL, NULL);
    }
    struct sha256 root = merkle_root(&f);
    ok(service_checkpoint(rig.service, &arena, 0, &cp));
    ck_assert_uint_eq(cp.tree_size, 17);
    ck_assert(sha256_equal(&cp.root, &root));
    ok(service_entries(rig.service, &ci, &arena, 5, 5, &entries, &count, &size));
    ck_assert_uint_eq(count, 0);
    fails_field(service_entries(rig.service, &ci, &arena, 6, 5, &entries, &count, &size), "start");
    fails_field(service_entries(rig.service, &ci, &arena, 0, 1001, &entries, &count, &size), "end");
    fails(service_entries(rig.service, &ci, &arena, 0, 18, &entries, &count, &size),
          ERROR_OUT_OF_RANGE, REASON_TREE_SIZE_IN_FUTURE);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_proofs_hold_for_every_index_and_size) {
    struct rig rig;
    struct arena arena;
    struct service_checkpoint cps[18];
    rig_fill(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    for (uint64_t n = 1; n <= 17; n++) ok(service_checkpoint(rig.service, &arena, n, &cps[n]));
    for (uint64_t n = 1; n <= 17; n++) {
        for (uint64_t i = 0; i < n; i++) {
            struct service_proof p;
            ok(service_inclusion(rig.service, &ci, &arena, i, n, &p));
            ck_assert_uint_eq(p.tree_size, n);
            ck_assert(merkle_verify_inclusion(i, n, &p.leaf_hash, p.proof.hashes, p.proof.count,
                                              &cps[n].root));
            ck_assert(bytes_equal(p.checkpoint, cps[n].c2sp));
            struct merkle_proof c;
            ok(service_consistency(rig.service, &ci, i + 1, n, &c));
            ck_assert(merkle_verify_consistency(i + 1, n, c.hashes, c.count, &cps[i + 1].root,
                                                &cps[n].root));
        }
    }
    struct service_proof p;
    struct merkle_proof c;
    ok(service_consistency(rig.service, &ci, 0, 5, &c));
    ck_assert_uint_eq(c.count, 0);
    fails(service_inclusion(rig.service, &ci, &arena, 5, 5, &p), ERROR_NOT_FOUND,
          REASON_ENTRY_NOT_FOUND);
    fails(service_inclusion(rig.service, &ci, &arena, 5, 18, &p), ERROR_OUT_OF_RANGE,
          REASON_TREE_SIZE_IN_FUTURE);
    fails(service_consistency(rig.service, &ci, 5, 18, &c), ERROR_OUT_OF_RANGE,
          REASON_TREE_SIZE_IN_FUTURE);
    fails_field(service_consistency(rig.service, &ci, 6, 5, &c), "old_size");
    fails(service_checkpoint(rig.service, &arena, 18, &cps[0]), ERROR_OUT_OF_RANGE,
          REASON_TREE_SIZE_IN_FUTURE);
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

START_TEST(test_an_empty_log_answers) {
    struct rig rig;
    struct arena arena;
    struct service_checkpoint cp;
    struct service_listed listed;
    rig_init(&rig);
    rig_open(&rig);
    arena_init(&arena, CALL_ARENA_MAX);
    ok(service_checkpoint(rig.service, &arena, 0, &cp));
    ck_assert_uint_eq(cp.tree_size, 0);
    ck_assert_uint_gt(cp.c2sp.len, 0);
    const struct service_list all = {.page_size = 10};
    ok(service_list(rig.service, &ci, &arena, &all, &listed));
    ck_assert_uint_eq(listed.count, 0);
    struct service_trust trust = service_trust(rig.service);
    ck_assert(bytes_start_with(trust.signing_key_pem, BYTES_LIT("-----BEGIN PUBLIC KEY-----")));
    arena_done(&arena);
    rig_done(&rig);
}
END_TEST

/* Everything that reads, in one arena. */
static struct error *read_all(struct rig *rig, struct arena *arena, struct text node) {
    static const struct text kinds[] = {T("built-from")};
    const struct service_get key = {.index = 3};
    const struct service_list list = {.page_size = 3, .receipts = true};
    const struct service_trace trace = {
        .digest = node, .direction = LINEAGE_BOTH, .page_size = 2, .kinds = kinds, .kind_count = 1};
    struct service_attestation a;
    struct service_listed listed;
    struct service_traced traced;
    struct service_proof proof;
    const struct service_entry *entries;
    size_t count;
    uint64_t size, from = 0;
    TRY(service_get(rig->service, &ci, arena, &key, &a, &size));
    TRY(service_list(rig->service, &ci, arena, &list, &listed));
    TRY(service_watch_read(rig->service, &ci, arena, T(""), &from, 3, &listed));
    TRY(service_trace(rig->service, &ci, arena, &trace, &traced));
    TRY(service_entries(rig->service, &ci, arena, 0, 3, &entries, &count, &size));
    return service_inclusion(rig->service, &ci, arena, 0, 0, &proof);
}

START_TEST(test_a_full_arena_is_an_error_at_every_point) {
    struct rig rig;
    struct arena names;
    bool done = false;
    rig_fill(&rig);
    arena_init(&names, 4096);
    for (size_t max = 0; !done; max += 80) {
        struct arena arena;
        arena_init(&arena, max);
        struct error *err = read_all(&rig, &arena, rig_node(&names, 5));
        done = err == NULL;
        error_free(err);
        ck_assert_uint_lt(max, 1 << 18);
        arena_done(&arena);
        arena_done(&names);
        arena_init(&names, 4096);
    }
    arena_done(&names);
    rig_done(&rig);
}
END_TEST

static Suite *service_read_suite(void) {
    Suite *s = suite_create("service_read");
    TCase *tc = tcase_create("read");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_get_by_index_and_by_leaf_hash);
    tcase_add_test(tc, test_what_is_not_there_is_not_found);
    tcase_add_test(tc, test_reading_needs_its_scope);
    tcase_add_test(tc, test_list_by_digest_type_both_and_neither);
    tcase_add_test(tc, test_pages_join_to_the_whole_of_one_tree_size);
    tcase_add_test(tc, test_receipts_are_listed_where_asked_for);
    tcase_add_test(tc, test_lists_of_large_documents_need_little_memory);
    tcase_add_test(tc, test_lists_of_large_subjects_come_in_pages);
    tcase_add_test(tc, test_bad_list_queries);
    tcase_add_test(tc, test_page_tokens_are_authenticated_and_bound_to_their_query);
    tcase_add_test(tc, test_watching_goes_on_where_it_was);
    tcase_add_test(tc, test_watchers_hear_of_rounds_until_they_are_removed);
    tcase_add_test(tc, test_entries_are_the_leaves_of_the_tree);
    tcase_add_test(tc, test_entries_of_large_documents_fit_into_a_call);
    tcase_add_test(tc, test_proofs_hold_for_every_index_and_size);
    tcase_add_test(tc, test_an_empty_log_answers);
    tcase_add_test(tc, test_a_full_arena_is_an_error_at_every_point);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(service_read_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
