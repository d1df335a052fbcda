/* store over both forms of kv. The formats themselves and damage stand in test_store_format.c. */
#include "base/alloc.h"
#include "base/buf.h"
#include "kv_support.h"
#include "store/store.h"

static struct store *new_store(int form) {
    struct kv *kv = new_kv(form);
    struct store *s = NULL;
    ok(store_open(kv, &s));
    return s;
}

/* --- a little log: entry i has a subject of its own, and shares a material, type and submitter */

static struct text subjects[64][1];
static char subject_names[64][24];
static const struct text material[] = {TEXT_LIT("sha256:aaaa"), TEXT_LIT("gitCommit:bbbb")};

static struct store_terms terms_of(unsigned i) {
    (void)snprintf(subject_names[i], sizeof subject_names[i], "sha256:%04u", i);
    subjects[i][0] = text_of_cstr(subject_names[i]);
    return (struct store_terms){
        .predicate_type =
            i % 2 == 0 ? TEXT_LIT("https://example/even") : TEXT_LIT("https://example/odd"),
        .submitter = TEXT_LIT("token:ci-1"),
        .subjects = subjects[i],
        .subject_count = 1,
        .materials = material,
        .material_count = 2,
    };
}

static struct store_entry entry_of(unsigned i) {
    static char leaf[64][24];
    (void)snprintf(leaf[i], sizeof leaf[i], "leaf %u", i);
    return (struct store_entry){.index = i,
                                .kind = STORE_ENTRY_ATTESTATION,
                                .integrated_s = 1000 + i / 4,
                                .tree_size = i + 1,
                                .payload = BYTES_LIT("{\"payload\":1}"),
                                .signature = BYTES_LIT("signature"),
                                .set = BYTES_LIT("set"),
                                .leaf = bytes_of_cstr(leaf[i])};
}

static void add_entries(struct store *s, unsigned from, unsigned below) {
    struct store_round *r = NULL;
    ok(store_round_new(s, &r));
    for (unsigned i = from; i < below; i++) {
        struct store_terms terms = terms_of(i);
        struct store_entry entry = entry_of(i);
        ok(store_round_entry(r, &entry, &terms));
    }
    ok(store_round_commit(r));
    store_round_free(r);
}

/* found writes what store_find gives as "1 2 3". */
static const char *found(struct store *s, const struct kv_snapshot *snap, enum store_index kind,
                         const char *term, uint64_t from, uint64_t below, size_t max) {
    static char text[1024];
    struct arena arena;
    arena_init(&arena, 1 << 16);
    const uint64_t *list = NULL;
    size_t count = 0;
    ok(store_find(s, snap, &arena, kind, text_of_cstr(term), from, below, max, &list, &count));
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%llu", i == 0 ? "" : " ",
                               (unsigned long long)list[i]);
    arena_done(&arena);
    return text;
}

#define ALL UINT64_MAX

/* --- evidence */

static void raw_put(struct kv *kv, enum kv_family family, struct bytes key, struct bytes value) {
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(kv, b, family, key, value);
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
}

/* Entry i of `count`: about one subject, by the submitter that the pattern names. */
static void add_evidence(struct store *s, const char *const *submitters, unsigned count) {
    struct store_round *r = NULL;
    ok(store_round_new(s, &r));
    for (unsigned i = 0; i < count; i++) {
        struct store_terms terms = terms_of(0);
        struct store_entry entry = entry_of(i);
        terms.submitter = text_of_cstr(submitters[i]);
        ok(store_round_entry(r, &entry, &terms));
    }
    ok(store_round_commit(r));
    store_round_free(r);
}

static bool is_ci(void *ctx, struct text submitter) {
    unsigned *asked = ctx;
    if (asked != NULL) ++*asked;
    return bytes_start_with(bytes_of_text(submitter), BYTES_LIT("token:ci"));
}

static void put_list(char text[256], const uint64_t *list, size_t count) {
    size_t at = strlen(text);
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, 256 - at, " %llu", (unsigned long long)list[i]);
}

/* evidence gives "<wanted> | <others>", and " cut". */
static const char *evidence(struct store *s, const char *subject, const char *type, uint64_t below,
                            size_t max, unsigned *asked) {
    static char text[256];
    struct arena arena;
    struct store_evidence_found f = {0};
    const struct store_evidence q = {
        text_of_cstr(subject), text_of_cstr(type), below, max, is_ci, asked};
    arena_init(&arena, 1 << 16);
    ok(store_find_evidence(s, NULL, &arena, &q, &f));
    text[0] = '\0';
    put_list(text, f.indexes, f.count);
    (void)strcat(text, " |");
    put_list(text, f.others, f.other_count);
    if (f.cut) (void)strcat(text, " cut");
    arena_done(&arena);
    return text;
}

START_TEST(test_evidence_is_of_one_subject_and_one_type) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_entries(s, 0, 8);
    ck_assert_str_eq(evidence(s, "sha256:0003", "https://example/odd", ALL, 10, NULL), " 3 |");
    ck_assert_str_eq(evidence(s, "sha256:0003", "https://example/even", ALL, 10, NULL), " |");
    ck_assert_str_eq(evidence(s, "sha256:0003", "https://example/odd", 3, 10, NULL), " |");
    ck_assert_str_eq(evidence(s, "sha256:000", "3https://example/odd", ALL, 10, NULL), " |");
}
END_TEST

START_TEST(test_evidence_is_the_newest_of_each_submitter_who_is_wanted) {
    static const char *const by[] = {"token:ci-1", "token:x",    "token:ci-2", "token:ci-1",
                                     "token:x",    "token:ci-1", "token:y",    "token:ci-2"};
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_evidence(s, by, 8);
#define EVIDENCE(below, max) evidence(s, "sha256:0000", "https://example/even", below, max, NULL)
    const char *all = EVIDENCE(ALL, 10);
    ck_assert_msg(strcmp(all, " 0 2 3 5 7 | 1 6") == 0 || strcmp(all, " 0 2 3 5 7 | 6 1") == 0,
                  "%s", all); /* submitters in the order of their hashes */
    ck_assert_str_eq(EVIDENCE(6, 3), " 0 2 3 5 | 1");
    all = EVIDENCE(6, 2);
    ck_assert_str_eq(all, " 2 3 5 | 1 cut");
    ck_assert_str_eq(EVIDENCE(3, 1), " 0 2 | 1");
    ck_assert_str_eq(EVIDENCE(0, 1), " |");
#undef EVIDENCE
}
END_TEST

/* However much a submitter whom nobody trusts has logged: he is asked about once. */
START_TEST(test_evidence_of_others_costs_one_look) {
    const char *by[64];
    unsigned asked = 0;
    CLEANUP(store_freep) struct store *s = new_store(_i);
    for (unsigned i = 0; i < 64; i++) by[i] = i == 20 ? "token:ci-1" : "token:flood";
    add_evidence(s, by, 64);
    ck_assert_str_eq(evidence(s, "sha256:0000", "https://example/even", ALL, 1, &asked), " 20 | 0");
    ck_assert_uint_eq(asked, 2);
}
END_TEST

START_TEST(test_evidence_under_another_name_than_its_key_is_data_loss) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_entries(s, 0, 1);
    struct store_key key = {.family = KV_INDEX, .kind = 8};
    struct sha256 both[2] = {sha256_of(BYTES_LIT("sha256:0000")),
                             sha256_of(BYTES_LIT("https://example/even"))};
    key.digest = sha256_of((struct bytes){both[0].octets, sizeof both});
    key.other = sha256_of(BYTES_LIT("token:ci-1"));
    struct buf octets;
    struct arena arena;
    struct store_evidence_found f = {0};
    const struct store_evidence q = {
        TEXT_LIT("sha256:0000"), TEXT_LIT("https://example/even"), ALL, 10, is_ci, NULL};
    arena_init(&arena, 1 << 16);
    buf_init(&octets, 100);
    store_key_put(&octets, &key);
    ok(store_find_evidence(s, NULL, &arena, &q, &f));
    ck_assert_uint_eq(f.count, 1);
    raw_put(store_kv(s), KV_INDEX, buf_bytes(&octets), BYTES_LIT("\1\0\0\0\7token:x"));
    fails(store_find_evidence(s, NULL, &arena, &q, &f), ERROR_DATA_LOSS);
    raw_put(store_kv(s), KV_INDEX, buf_bytes(&octets), BYTES_LIT(""));
    fails(store_find_evidence(s, NULL, &arena, &q, &f), ERROR_DATA_LOSS);
    buf_done(&octets);
    arena_done(&arena);
}
END_TEST

START_TEST(test_an_entry_is_read_back_as_it_was) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_entries(s, 0, 3);
    struct arena arena;
    arena_init(&arena, 1 << 16);
    bool there = false;
    struct store_entry got = {0};
    ok(store_get_entry(s, NULL, &arena, 1, &there, &got));
    struct store_entry want = entry_of(1);
    ck_assert(there && got.index == 1 && got.kind == want.kind);
    ck_assert(got.integrated_s == want.integrated_s && got.tree_size == want.tree_size);
    ck_assert(bytes_equal(got.payload, want.payload) && bytes_equal(got.leaf, want.leaf));
    ck_assert(bytes_equal(got.signature, want.signature) && bytes_equal(got.set, want.set));
    ok(store_get_entry(s, NULL, &arena, 3, &there, &got));
    ck_assert(!there);
    arena_done(&arena);
}
END_TEST

START_TEST(test_an_entry_is_found_by_every_term) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_entries(s, 0, 5);
    add_entries(s, 5, 8);
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBJECT, "sha256:0003", 0, ALL, 10), "3");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBJECT, "sha256:000", 0, ALL, 10), "");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBJECT, "sha256:aaaa", 0, ALL, 10), "");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_MATERIAL, "sha256:aaaa", 0, ALL, 10),
                     "0 1 2 3 4 5 6 7");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_MATERIAL, "gitCommit:bbbb", 6, ALL, 10), "6 7");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_PREDICATE_TYPE, "https://example/odd", 0, ALL, 10),
                     "1 3 5 7");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 2, 5, 10), "2 3 4");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 2, 5, 2), "2 3");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 5, 5, 2), "");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 6, 5, 2), "");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 0, ALL, 0), "");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "", 0, ALL, 9), "");
}
END_TEST

START_TEST(test_entries_are_found_by_the_time_they_were_logged) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_entries(s, 0, 12); /* four a second from 1000 on */
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_TIME, "", 1001, 1002, 99), "4 5 6 7");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_TIME, "", 1001, ALL, 99), "4 5 6 7 8 9 10 11");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_TIME, "", 0, ALL, 3), "0 1 2");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_TIME, "", 1003, ALL, 3), "");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_TIME, "", ALL, ALL, 3), "");
}
END_TEST

START_TEST(test_an_answer_is_of_its_snapshot) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_entries(s, 0, 2);
    struct kv_snapshot *snap = kv_snapshot_new(store_kv(s));
    add_entries(s, 2, 4);
    ck_assert_str_eq(found(s, snap, STORE_INDEX_SUBMITTER, "token:ci-1", 0, ALL, 9), "0 1");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 0, ALL, 9), "0 1 2 3");
    struct arena arena;
    arena_init(&arena, 1 << 16);
    bool there = true;
    struct store_entry got;
    ok(store_get_entry(s, snap, &arena, 2, &there, &got));
    ck_assert(!there);
    arena_done(&arena);
    kv_snapshot_free(store_kv(s), snap);
}
END_TEST

START_TEST(test_an_entry_is_found_by_its_leaf_hash) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_entries(s, 0, 4);
    struct arena arena;
    arena_init(&arena, 1 << 12);
    struct store_entry entry = entry_of(2);
    struct sha256 hash = merkle_leaf_hash(entry.leaf);
    bool there = false;
    uint64_t index = 99;
    ok(store_get_by_leaf_hash(s, &arena, &hash, &there, &index));
    ck_assert(there && index == 2);
    hash.octets[31] ^= 1;
    index = 99;
    ok(store_get_by_leaf_hash(s, &arena, &hash, &there, &index));
    ck_assert(!there && index == 99);
    arena_done(&arena);
}
END_TEST

START_TEST(test_head_tiles_checkpoints_and_dedup_are_read_back) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    struct store_head head = {0};
    ok(store_get_head(s, NULL, &head));
    struct sha256 empty = merkle_empty_root();
    ck_assert(head.frontier.size == 0 && sha256_equal(&head.root, &empty));
    ck_assert_int_eq(head.integrated_s, 0);

    struct sha256 leaf = merkle_leaf_hash(BYTES_LIT("x"));
    for (int i = 0; i < 1000; i++) merkle_append(&head.frontier, &leaf, NULL, NULL);
    head.root = merkle_root(&head.frontier);
    head.integrated_s = 1700000000;
    struct sha256 tile[MERKLE_TILE_WIDTH];
    for (int i = 0; i < MERKLE_TILE_WIDTH; i++) tile[i] = leaf;
    struct sha256 key = sha256_of(BYTES_LIT("key"));
    struct store_dedup dedup = {7, sha256_of(BYTES_LIT("content")), 1700000000123};

    struct store_round *r = NULL;
    ok(store_round_new(s, &r));
    store_round_head(r, &head);
    store_round_tile(r, 1, 2, tile);
    store_round_dedup(r, &key, &dedup);
    store_round_checkpoint(r, 1000, BYTES_LIT("v1 form"), BYTES_LIT("c2sp form"));
    ck_assert_uint_gt(store_round_octets(r), sizeof tile);
    struct store_head before;
    ok(store_get_head(s, NULL, &before));
    ck_assert_uint_eq(before.frontier.size, 0); /* nothing before the commit */
    ok(store_round_commit(r));
    store_round_clear(r);
    ck_assert_uint_eq(store_round_octets(r), 0);
    ok(store_round_commit(r)); /* now empty */
    store_round_free(r);

    struct store_head got = {0};
    ok(store_get_head(s, NULL, &got));
    ck_assert(got.frontier.size == 1000 && got.integrated_s == head.integrated_s);
    ck_assert(sha256_equal(&got.root, &head.root));
    merkle_append(&got.frontier, &leaf, NULL, NULL);
    merkle_append(&head.frontier, &leaf, NULL, NULL);
    struct sha256 next = merkle_root(&got.frontier), want = merkle_root(&head.frontier);
    ck_assert(sha256_equal(&next, &want));
    struct arena arena;
    arena_init(&arena, 1 << 16);
    bool there = false;
    struct bytes v = {0}, w = {0};
    ok(store_get_tile(s, &arena, 1, 2, &there, &v));
    ck_assert(there && bytes_equal(v, (struct bytes){(const uint8_t *)tile, sizeof tile}));
    ok(store_get_tile(s, &arena, 2, 1, &there, &v));
    ck_assert(!there);
    ok(store_get_checkpoint(s, &arena, 1000, &there, &v, &w));
    ck_assert(there && bytes_equal(v, BYTES_LIT("v1 form")) &&
              bytes_equal(w, BYTES_LIT("c2sp form")));
    ok(store_get_checkpoint(s, &arena, 999, &there, &v, &w));
    ck_assert(!there);
    struct store_dedup d = {0};
    ok(store_get_dedup(s, &key, &there, &d));
    ck_assert(there && d.index == 7 && d.logged_ms == 1700000000123);
    ck_assert(sha256_equal(&d.content, &dedup.content));
    key.octets[0] ^= 1;
    ok(store_get_dedup(s, &key, &there, &d));
    ck_assert(!there);
    arena_done(&arena);
}
END_TEST

static bool note_size(void *ctx, uint64_t size, struct bytes v1, struct bytes c2sp) {
    char *text = ctx;
    size_t at = strlen(text);
    (void)snprintf(text + at, 256 - at, "%llu:" BYTES_FMT BYTES_FMT " ", (unsigned long long)size,
                   BYTES_ARG(v1), BYTES_ARG(c2sp));
    return size < 300;
}

START_TEST(test_checkpoints_are_listed_by_size) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    struct store_round *r = NULL;
    ok(store_round_new(s, &r));
    static const uint64_t sizes[] = {300, 2, 1000, 256, 0};
    for (int i = 0; i < 5; i++) store_round_checkpoint(r, sizes[i], BYTES_LIT("a"), BYTES_LIT("b"));
    ok(store_round_commit(r));
    store_round_free(r);
    ok(store_put_record(s, KV_META, BYTES_LIT("C"), BYTES_LIT("no checkpoint")));
    char text[256] = "";
    ok(store_scan_checkpoints(s, NULL, note_size, text));
    ck_assert_str_eq(text, "0:ab 2:ab 256:ab 300:ab ");
}
END_TEST

/* --- edges */

static const struct lineage_edge edges[] = {
    {TEXT_LIT("sha256:app"), TEXT_LIT("sha256:lib"), TEXT_LIT("libfoo"), LINEAGE_BUILT_FROM,
     LINEAGE_DECLARED},
    {TEXT_LIT("sha256:app"), TEXT_LIT("gitCommit:cafe"), TEXT_LIT("source"), LINEAGE_BUILT_FROM,
     LINEAGE_ATTESTED},
    {TEXT_LIT("sha256:app"), TEXT_LIT("sha256:bom"), TEXT_LIT(""), LINEAGE_DESCRIBED_BY,
     LINEAGE_ATTESTED},
    {TEXT_LIT("sha256:app"), TEXT_LIT("sha256:lib"), TEXT_LIT("libfoo again"), LINEAGE_BUILT_FROM,
     LINEAGE_DECLARED},
};

static void add_edges(struct store *s, uint64_t index) {
    struct store_round *r = NULL;
    ok(store_round_new(s, &r));
    struct store_terms terms = {.edges = edges, .edge_count = 4};
    struct store_entry entry = entry_of((unsigned)index);
    ok(store_round_entry(r, &entry, &terms));
    ok(store_round_commit(r));
    store_round_free(r);
}

struct seen {
    char text[1024];
    int left; /* how many more to take */
};

static bool see(void *ctx, const struct lineage_found *e) {
    struct seen *s = ctx;
    size_t at = strlen(s->text);
    (void)snprintf(s->text + at, sizeof s->text - at, BYTES_FMT "(" BYTES_FMT ")/%d/%d@%llu ",
                   BYTES_ARG(e->other), BYTES_ARG(e->other_name), (int)e->kind, (int)e->assurance,
                   (unsigned long long)e->index);
    return --s->left > 0;
}

static const char *edges_of(struct store *s, const char *node, bool up, int max) {
    static struct seen seen;
    seen = (struct seen){.left = max};
    struct store_lineage ctx = {.store = s};
    struct lineage_source src = store_lineage_source(&ctx);
    ok(src.edges(src.ctx, text_of_cstr(node), up, see, &seen));
    return seen.text;
}

START_TEST(test_edges_are_found_from_both_ends) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    add_edges(s, 3);
    add_edges(s, 9);
    const char *up = edges_of(s, "sha256:app", true, 99);
    ck_assert_ptr_nonnull(
        strstr(up, "sha256:lib(libfoo again)/1/1@3 sha256:lib(libfoo again)/1/1@9 "));
    ck_assert_ptr_nonnull(strstr(up, "gitCommit:cafe(source)/1/2@3 gitCommit:cafe(source)/1/2@9 "));
    ck_assert_ptr_nonnull(strstr(up, "sha256:bom()/5/2@3 sha256:bom()/5/2@9 "));
    ck_assert_uint_eq(strlen(up), 2 * strlen("sha256:lib(libfoo again)/1/1@3 "
                                             "gitCommit:cafe(source)/1/2@3 sha256:bom()/5/2@3 "));
    ck_assert_str_eq(edges_of(s, "sha256:lib", false, 99),
                     "sha256:app()/1/1@3 sha256:app()/1/1@9 ");
    ck_assert_str_eq(edges_of(s, "sha256:lib", true, 99), "");
    ck_assert_str_eq(edges_of(s, "sha256:app", false, 99), "");
    ck_assert_str_eq(edges_of(s, "sha256:lib", false, 1), "sha256:app()/1/1@3 ");
    ck_assert_str_eq(edges_of(s, "sha256:li", false, 99), "");
}
END_TEST

static bool count_questions(void *ctx) {
    ++*(unsigned *)ctx;
    return false;
}

START_TEST(test_a_walk_of_old_edges_can_be_stopped_among_newer_ones) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    struct store_round *r = NULL;
    const struct store_terms terms = {.edges = edges, .edge_count = 4};
    ok(store_round_new(s, &r));
    for (unsigned i = 0; i < 600; i++) {
        struct store_entry entry = entry_of(0);
        entry.index = i;
        entry.tree_size = i + 1;
        ok(store_round_entry(r, &entry, &terms));
    }
    ok(store_round_commit(r));
    store_round_free(r);

    struct store_lineage ctx = {.store = s};
    struct lineage_source src = store_lineage_source(&ctx);
    struct lineage_result result;
    struct arena arena;
    unsigned questions = 0;
    const struct lineage_query q = {.start = TEXT_LIT("sha256:lib"),
                                    .direction = LINEAGE_DOWN,
                                    .depth = 1,
                                    .nodes_max = 9,
                                    .edges_max = 9,
                                    .as_of = 1,
                                    .stop = count_questions,
                                    .stop_ctx = &questions};
    arena_init(&arena, 1 << 20);
    ok(lineage_trace(&arena, &src, &q, &result));
    ck_assert_uint_eq(result.edge_count, 1);
    ck_assert_uint_eq(result.edges[0].index, 0);
    ck_assert_uint_eq(questions, 600 / 256);
    arena_done(&arena);
}
END_TEST

START_TEST(test_an_entry_whose_lineage_is_too_large_is_refused_whole) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    enum { MANY = 2000 };
    static struct lineage_edge many[MANY];
    static char name[1 << 14];
    memset(name, 'n', sizeof name);
    for (int i = 0; i < MANY; i++) {
        many[i] = edges[0];
        many[i].to_name = (struct text){name, sizeof name};
    }
    struct store_round *r = NULL;
    ok(store_round_new(s, &r));
    struct store_terms terms = {.edges = many, .edge_count = MANY};
    struct store_entry entry = entry_of(0);
    fails(store_round_entry(r, &entry, &terms), ERROR_RESOURCE_EXHAUSTED);
    terms.edge_count = 1;
    static uint8_t payload[STORE_ENTRY_MAX_OCTETS];
    entry.payload = (struct bytes){payload, sizeof payload};
    fails(store_round_entry(r, &entry, &terms), ERROR_RESOURCE_EXHAUSTED);
    ok(store_round_commit(r));
    store_round_free(r);
    ck_assert_str_eq(edges_of(s, "sha256:app", true, 9), "");
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_TIME, "", 0, ALL, 9), "");
}
END_TEST

/* --- small records */

static bool note_record(void *ctx, struct bytes key, struct bytes value) {
    char *text = ctx;
    size_t at = strlen(text);
    (void)snprintf(text + at, 256 - at, BYTES_FMT "=" BYTES_FMT " ", BYTES_ARG(key),
                   BYTES_ARG(value));
    return strcmp(text + at, "stop=1 ") != 0;
}

static const char *records(struct store *s, enum kv_family family, struct bytes prefix) {
    static char text[256];
    text[0] = '\0';
    ok(store_scan_records(s, family, prefix, note_record, text));
    return text;
}

START_TEST(test_records_are_put_got_and_listed) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    static const enum kv_family families[] = {KV_IDENTITY, KV_META, KV_POLICY, KV_DECISION};
    for (int i = 0; i < 4; i++) {
        enum kv_family f = families[i];
        ok(store_put_record(s, f, BYTES_LIT("token/b"), BYTES_LIT("2")));
        ok(store_put_record(s, f, BYTES_LIT("token/a"), BYTES_LIT("1")));
        ok(store_put_record(s, f, BYTES_LIT("token/\xff\xff"), BYTES_LIT("3")));
        ok(store_put_record(s, f, BYTES_LIT("token0"), BYTES_LIT("4")));
        ok(store_put_record(s, f, BYTES_LIT(""), BYTES_LIT("0")));
        ok(store_put_record(s, f, BYTES_LIT("token/a"), BYTES_LIT("one")));
        ck_assert_str_eq(records(s, f, BYTES_LIT("token/")),
                         "token/a=one token/b=2 token/\xff\xff=3 ");
        ck_assert_str_eq(records(s, f, BYTES_LIT("token/\xff")), "token/\xff\xff=3 ");
        ck_assert_str_eq(records(s, f, BYTES_LIT("\xff")), "");
        ck_assert_str_eq(records(s, f, BYTES_LIT("")),
                         "=0 token/a=one token/b=2 token/\xff\xff=3 token0=4 ");
        ok(store_put_record(s, f, BYTES_LIT("stop"), BYTES_LIT("1")));
        ck_assert_str_eq(records(s, f, BYTES_LIT("")), "=0 stop=1 ");
        struct arena arena;
        arena_init(&arena, 1 << 12);
        bool there = false;
        struct bytes got = {0};
        ok(store_get_record(s, f, BYTES_LIT("token/b"), &arena, &there, &got));
        ck_assert(there && bytes_equal(got, BYTES_LIT("2")));
        ok(store_get_record(s, f, BYTES_LIT("token/"), &arena, &there, &got));
        ck_assert(!there);
        arena_done(&arena);
    }
    struct store_head head; /* records of meta do not touch its other rows */
    ok(store_get_head(s, NULL, &head));
    ck_assert_uint_eq(head.frontier.size, 0);
}
END_TEST

/* --- schema */

START_TEST(test_an_unknown_schema_is_refused) {
    static const struct {
        struct bytes schema;
        enum error_code code;
    } cases[] = {
        {BYTES_LIT("\0\0\0\3"), ERROR_FAILED_PRECONDITION},
        {BYTES_LIT("\0\0\0\0"), ERROR_FAILED_PRECONDITION},
        {BYTES_LIT("\xff\xff\xff\xff"), ERROR_FAILED_PRECONDITION},
        {BYTES_LIT("\0\0\1"), ERROR_DATA_LOSS},
        {BYTES_LIT("\0\0\0\2\0"), ERROR_DATA_LOSS},
        {BYTES_LIT(""), ERROR_DATA_LOSS},
    };
    CLEANUP(kv_closep) struct kv *kv = new_kv(_i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        raw_put(kv, KV_META, BYTES_LIT("S"), cases[i].schema);
        struct store *s = NULL;
        fails(store_open(kv, &s), cases[i].code);
        ck_assert_ptr_null(s); /* and kv is still ours */
    }
}
END_TEST

START_TEST(test_data_without_a_schema_is_refused) {
    for (int f = 0; f < KV_FAMILY_COUNT; f++) {
        CLEANUP(kv_closep) struct kv *kv = NULL;
        ok(kv_mem_new(&kv));
        raw_put(kv, (enum kv_family)f, BYTES_LIT("x"), BYTES_LIT("y"));
        struct store *s = NULL;
        fails(store_open(kv, &s), ERROR_FAILED_PRECONDITION);
    }
}
END_TEST

START_TEST(test_what_was_committed_is_there_after_reopening) {
    struct store *s = new_store(ROCKS);
    add_entries(s, 0, 4);
    store_free(s);
    s = new_store(ROCKS);
    ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 0, ALL, 9), "0 1 2 3");
    store_free(s);
}
END_TEST

/* --- failures */

START_TEST(test_a_failed_commit_is_there_whole_or_not_at_all) {
    for (int applied = 0; applied < 2; applied++) {
        CLEANUP(store_freep) struct store *s = new_store(MEM);
        add_entries(s, 0, 2);
        kv_mem_fail(store_kv(s), 0, applied != 0);
        struct store_round *r = NULL;
        ok(store_round_new(s, &r));
        struct store_terms terms = terms_of(2);
        struct store_entry entry = entry_of(2);
        ok(store_round_entry(r, &entry, &terms));
        fails(store_round_commit(r), ERROR_UNAVAILABLE);
        fails(store_put_record(s, KV_IDENTITY, BYTES_LIT("k"), BYTES_LIT("v")), ERROR_UNAVAILABLE);
        store_round_free(r);
        const char *want = applied ? "0 1 2" : "0 1";
        ck_assert_str_eq(found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 0, ALL, 9), want);
        ck_assert_str_eq(found(s, NULL, STORE_INDEX_TIME, "", 0, ALL, 9), want);
    }
}
END_TEST

static struct error *write_all(struct store *s) {
    CLEANUP(store_round_freep) struct store_round *r = NULL;
    TRY(store_round_new(s, &r));
    struct store_terms terms = terms_of(1);
    terms.edges = edges;
    terms.edge_count = 4;
    struct store_entry entry = entry_of(1);
    TRY(store_round_entry(r, &entry, &terms));
    struct store_head head = {.frontier = {.size = 2}, .integrated_s = 5};
    store_round_head(r, &head);
    store_round_checkpoint(r, 2, BYTES_LIT("a"), BYTES_LIT("b"));
    struct store_dedup d = {.index = 1, .logged_ms = 1};
    store_round_dedup(r, &head.root, &d);
    TRY(store_round_commit(r));
    return store_put_record(s, KV_IDENTITY, BYTES_LIT("k"), BYTES_LIT("v"));
}

static bool take(void *ctx, const struct lineage_found *e) {
    ++*(int *)ctx;
    return e != NULL;
}

static bool take_record(void *ctx, struct bytes key, struct bytes value) {
    ++*(int *)ctx;
    return key.len + value.len > 0;
}

static struct error *read_some(struct store *s, struct arena *arena, int *count) {
    bool there = false;
    struct store_entry entry;
    struct store_head head;
    struct store_dedup d;
    struct bytes a, b;
    const uint64_t *list;
    size_t n = 0;
    TRY(store_get_entry(s, NULL, arena, 1, &there, &entry));
    TRY(store_get_head(s, NULL, &head));
    TRY(store_get_dedup(s, &head.root, &there, &d));
    TRY(store_get_checkpoint(s, arena, 2, &there, &a, &b));
    TRY(store_find(s, NULL, arena, STORE_INDEX_SUBMITTER, TEXT_LIT("token:ci-1"), 0, ALL, 9, &list,
                   &n));
    struct sha256 hash = merkle_leaf_hash(entry.leaf);
    uint64_t index = 0;
    TRY(store_get_by_leaf_hash(s, arena, &hash, &there, &index));
    struct store_lineage ctx = {.store = s};
    struct lineage_source src = store_lineage_source(&ctx);
    TRY(src.edges(src.ctx, TEXT_LIT("sha256:app"), true, take, count));
    struct text name, none;
    TRY(store_material_name(&ctx, arena, TEXT_LIT("sha256:lib"), 2, &name));
    ck_assert(text_equal(name, TEXT_LIT("libfoo again")));
    TRY(store_material_name(&ctx, arena, TEXT_LIT("sha256:lib"), 1, &none)); /* not known yet */
    ck_assert_uint_eq(none.len, 0);
    return store_scan_records(s, KV_IDENTITY, BYTES_LIT("k"), take_record, count);
}

static struct error *read_all(struct store *s) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    int count = 0;
    struct error *err = read_some(s, &arena, &count);
    arena_done(&arena);
    if (err == NULL) ck_assert_int_eq(count, 4);
    return err;
}

START_TEST(test_writing_survives_every_allocation_failure) {
    for (long n = 0;; n++) {
        CLEANUP(store_freep) struct store *s = NULL;
        struct kv *kv = NULL;
        ok(kv_mem_new(&kv));
        ok(store_open(kv, &s));
        (void)alloc_fail_after(n);
        struct error *err = write_all(s);
        (void)alloc_fail_after(-1);
        const char *list = found(s, NULL, STORE_INDEX_SUBMITTER, "token:ci-1", 0, ALL, 9);
        const char *up = edges_of(s, "sha256:app", true, 9);
        struct store_head head;
        ok(store_get_head(s, NULL, &head));
        if (err == NULL) {
            ck_assert_int_gt(n, 10);
            return;
        }
        fails(err, ERROR_RESOURCE_EXHAUSTED);
        ck_assert((list[0] != '\0') == (up[0] != '\0')); /* whole or absent */
        ck_assert((list[0] != '\0') == (head.frontier.size == 2));
    }
}
END_TEST

START_TEST(test_reading_survives_every_allocation_failure) {
    CLEANUP(store_freep) struct store *s = new_store(_i);
    ok(write_all(s));
    ok(read_all(s));
    for (long n = 0;; n++) {
        (void)alloc_fail_after(n);
        struct error *err = read_all(s);
        (void)alloc_fail_after(-1);
        if (err == NULL) {
            ck_assert_int_gt(n, 5);
            return;
        }
        fails(err, ERROR_RESOURCE_EXHAUSTED);
    }
}
END_TEST

START_TEST(test_opening_survives_every_allocation_failure) {
    for (long n = 0;; n++) {
        struct kv *kv = NULL;
        struct store *s = NULL;
        ok(kv_mem_new(&kv));
        (void)alloc_fail_after(n);
        struct error *err = store_open(kv, &s);
        (void)alloc_fail_after(-1);
        if (err == NULL) {
            store_free(s);
            ck_assert_int_gt(n, 3);
            return;
        }
        fails(err, ERROR_RESOURCE_EXHAUSTED);
        kv_close(kv);
    }
}
END_TEST

static Suite *store_suite(void) {
    Suite *s = suite_create("store");
    TCase *both = tcase_create("both forms");
    tcase_add_checked_fixture(both, make_folder, remove_folder);
    tcase_set_timeout(both, 120);
#define BOTH(test) tcase_add_loop_test(both, test, 0, FORMS)
    BOTH(test_an_entry_is_read_back_as_it_was);
    BOTH(test_an_entry_is_found_by_every_term);
    BOTH(test_entries_are_found_by_the_time_they_were_logged);
    BOTH(test_an_answer_is_of_its_snapshot);
    BOTH(test_an_entry_is_found_by_its_leaf_hash);
    BOTH(test_head_tiles_checkpoints_and_dedup_are_read_back);
    BOTH(test_checkpoints_are_listed_by_size);
    BOTH(test_edges_are_found_from_both_ends);
    BOTH(test_a_walk_of_old_edges_can_be_stopped_among_newer_ones);
    BOTH(test_an_entry_whose_lineage_is_too_large_is_refused_whole);
    BOTH(test_records_are_put_got_and_listed);
    BOTH(test_an_unknown_schema_is_refused);
    BOTH(test_reading_survives_every_allocation_failure);
    BOTH(test_evidence_is_of_one_subject_and_one_type);
    BOTH(test_evidence_is_the_newest_of_each_submitter_who_is_wanted);
    BOTH(test_evidence_of_others_costs_one_look);
    BOTH(test_evidence_under_another_name_than_its_key_is_data_loss);
    tcase_add_test(both, test_data_without_a_schema_is_refused);
    tcase_add_test(both, test_what_was_committed_is_there_after_reopening);
    tcase_add_test(both, test_a_failed_commit_is_there_whole_or_not_at_all);
    tcase_add_test(both, test_writing_survives_every_allocation_failure);
    tcase_add_test(both, test_opening_survives_every_allocation_failure);
    suite_add_tcase(s, both);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(store_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
