/* store's formats: every key and value is read back in one way alone, damage is DATA_LOSS, and a
 * check finds the row that is missing, altered or too many. */
#include "base/alloc.h"
#include "base/buf.h"
#include "codec/codec.h"
#include "kv_support.h"
#include "store/store.h"
#include "store/terms.h"

static struct store *new_store(void) {
    struct kv *kv = NULL;
    ok(kv_mem_new(&kv));
    struct store *s = NULL;
    ok(store_open(kv, &s));
    return s;
}

static void raw_put(struct store *s, enum kv_family family, struct bytes key, struct bytes value) {
    struct kv *kv = store_kv(s);
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(kv, b, family, key, value);
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
}

static void raw_delete(struct store *s, enum kv_family family, struct bytes key) {
    struct kv *kv = store_kv(s);
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_delete(kv, b, family, key);
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
}

/* --- keys */

#define H1 "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
#define H2 "f1f2f3f4f5f6f7f8f9fafbfcfdfeff000000000000000000000000000000000f"
#define ZEROS "000000000000000000000000000000000000000000000000"

/* The table of keys.c, written out once by hand: a changed layout needs a new schema. */
static const struct {
    enum kv_family family;
    const char *hex;
} good_keys[] = {
    {KV_META, "53"},
    {KV_META, "48"},
    {KV_META, "430000000000000102"},
    {KV_META, "52"},
    {KV_META, "52746f6b656e"},
    {KV_ENTRY, "0000000000000000"},
    {KV_ENTRY, "3fffffffffffffff"},
    {KV_TILE, "000000000000000007"},
    {KV_TILE, "070000000000000007"},
    {KV_DEDUP, H1},
    {KV_INDEX, "01" H1 "0000000000000005"},
    {KV_INDEX, "04" H2 "0000000000000005"},
    {KV_INDEX, "05" ZEROS "00000000650000000000000000000005"},
    {KV_INDEX, "06" H1 "0000000000000005"},
    {KV_INDEX, "07" H1 "0000000000000005"},
    {KV_INDEX, "08" H1 H2 "0000000000000005"},
    {KV_EDGE, "01" H1 "01" H2 "0000000000000005"},
    {KV_EDGE, "02" H2 "05" H1 "0000000000000005"},
    {KV_POLICY, "52"},
    {KV_DECISION, "5200ff"},
    {KV_IDENTITY, "52746f6b656e2f61"},
};

static const struct {
    enum kv_family family;
    const char *hex;
} bad_keys[] = {
    {KV_META, ""},
    {KV_META, "5300"},
    {KV_META, "58"},
    {KV_META, "434000000000000000"},
    {KV_ENTRY, "4000000000000000"},
    {KV_TILE, "080000000000000007"},
    {KV_INDEX, "00" H1 "0000000000000005"},
    {KV_INDEX, "08" H1 "0000000000000005"},
    {KV_INDEX, "08" H1 H2 "4000000000000000"},
    {KV_INDEX, "09" H1 "0000000000000005"},
    {KV_INDEX, "01" H1 "4000000000000000"},
    {KV_INDEX, "05" H1 "0000000000000005"},
    {KV_INDEX, "05" ZEROS "80000000000000000000000000000005"},
    {KV_EDGE, "00" H1 "01" H2 "0000000000000005"},
    {KV_EDGE, "03" H1 "01" H2 "0000000000000005"},
    {KV_EDGE, "01" H1 "00" H2 "0000000000000005"},
    {KV_EDGE, "01" H1 "06" H2 "0000000000000005"},
    {KV_EDGE, "01" H1 "01" H2 "ffffffffffffffff"},
    {KV_POLICY, ""},
    {KV_IDENTITY, "53"},
};

static struct bytes unhex(const char *hex, uint8_t *room) {
    size_t len = strlen(hex) / 2;
    if (len > 0) ck_assert(hex_decode(bytes_of_cstr(hex), room, len));
    return (struct bytes){room, len};
}

static bool is_record(enum kv_family family, struct bytes key) {
    return family >= KV_POLICY || (family == KV_META && key.len > 0 && key.data[0] == 'R');
}

START_TEST(test_a_key_is_taken_apart_and_put_together_again) {
    uint8_t room[128];
    struct bytes octets = unhex(good_keys[_i].hex, room);
    struct store_key key;
    ck_assert(store_key_parse(good_keys[_i].family, octets, &key));
    struct buf again;
    buf_init(&again, 1000);
    store_key_put(&again, &key);
    ck_assert(bytes_equal(buf_bytes(&again), octets));
    buf_done(&again);
    if (is_record(good_keys[_i].family, octets)) return; /* of any length */
    for (size_t n = 0; n < octets.len; n++)
        ck_assert(!store_key_parse(good_keys[_i].family, (struct bytes){room, n}, &key));
    ck_assert(!store_key_parse(good_keys[_i].family, (struct bytes){room, octets.len + 1}, &key));
}
END_TEST

START_TEST(test_a_key_that_is_not_ours_is_refused) {
    uint8_t room[128];
    struct store_key key = {.number = 77};
    struct bytes octets = unhex(bad_keys[_i].hex, room);
    ck_assert_msg(!store_key_parse(bad_keys[_i].family, octets, &key), "%s", bad_keys[_i].hex);
    ck_assert_uint_eq(key.number, 77);
}
END_TEST

/* --- the entry record */

#define ENTRY_HEX                                                                                  \
    "0101"                                                                                         \
    "0000000000000007"                                                                             \
    "0000000065000000"                                                                             \
    "0000000000000009"                                                                             \
    "0000000270610000000273690000000173000000036c6561"

START_TEST(test_the_entry_record_has_the_octets_of_its_table) {
    struct store_entry entry = {.index = 7,
                                .kind = STORE_ENTRY_ATTESTATION,
                                .integrated_s = 0x65000000,
                                .tree_size = 9,
                                .payload = BYTES_LIT("pa"),
                                .signature = BYTES_LIT("si"),
                                .set = BYTES_LIT("s"),
                                .leaf = BYTES_LIT("lea")};
    struct buf out;
    buf_init(&out, 1000);
    store_entry_encode(&out, &entry);
    uint8_t room[128];
    ck_assert(bytes_equal(buf_bytes(&out), unhex(ENTRY_HEX, room)));
    buf_done(&out);
}
END_TEST

START_TEST(test_every_truncation_and_addition_of_an_entry_record_is_refused) {
    uint8_t room[128] = {0};
    struct bytes octets = unhex(ENTRY_HEX, room);
    struct store_entry entry;
    ok(store_entry_decode(octets, 7, &entry));
    for (size_t n = 0; n < octets.len; n++)
        fails(store_entry_decode((struct bytes){room, n}, 7, &entry), ERROR_INVALID_ARGUMENT);
    fails(store_entry_decode((struct bytes){room, octets.len + 1}, 7, &entry),
          ERROR_INVALID_ARGUMENT);
}
END_TEST

/* offsets: version 0, kind 1, index 2..9, time 10..17, tree size 18..25, length of payload 26.. */
static const struct {
    size_t at;
    uint8_t octet;
} entry_damage[] = {{0, 0},     {0, 2},         {1, 0},  {1, 3},     {2, 1}, {9, 8},
                    {10, 0x80}, {18, 0x40 | 1}, {25, 7}, {26, 0xff}, {29, 3}};

START_TEST(test_a_damaged_entry_record_is_refused) {
    uint8_t room[128] = {0};
    struct bytes octets = unhex(ENTRY_HEX, room);
    room[entry_damage[_i].at] = entry_damage[_i].octet;
    struct store_entry entry = {.index = 55};
    fails(store_entry_decode(octets, 7, &entry), ERROR_INVALID_ARGUMENT);
    ck_assert_uint_eq(entry.index, 55);
}
END_TEST

START_TEST(test_a_flipped_bit_in_an_entry_record_is_refused_or_another_record) {
    uint8_t room[128] = {0};
    struct bytes octets = unhex(ENTRY_HEX, room);
    for (size_t bit = 0; bit < 8 * octets.len; bit++) {
        room[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct store_entry entry;
        struct error *err = store_entry_decode(octets, 7, &entry);
        if (err == NULL) {
            struct buf again;
            buf_init(&again, 1000);
            store_entry_encode(&again, &entry);
            ck_assert(bytes_equal(buf_bytes(&again), octets));
            buf_done(&again);
        }
        error_free(err);
        room[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

/* --- values as they are stored: the raw row of each kind, and how it is read */

static struct error *read_head(struct store *s) {
    struct store_head head;
    return store_get_head(s, NULL, &head);
}

static struct error *read_entry(struct store *s) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    bool there;
    struct store_entry entry;
    struct error *err = store_get_entry(s, NULL, &arena, 7, &there, &entry);
    arena_done(&arena);
    return err;
}

static struct error *read_dedup(struct store *s) {
    struct sha256 key;
    ck_assert(hex_decode(BYTES_LIT(H1), key.octets, sizeof key.octets));
    bool there;
    struct store_dedup d;
    return store_get_dedup(s, &key, &there, &d);
}

static struct error *read_checkpoint(struct store *s) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    bool there;
    struct bytes v1, c2sp;
    struct error *err = store_get_checkpoint(s, &arena, 0x102, &there, &v1, &c2sp);
    arena_done(&arena);
    return err;
}

static bool note_checkpoint(void *ctx, uint64_t size, struct bytes v1, struct bytes c2sp) {
    (void)ctx;
    return size + v1.len + c2sp.len > 0;
}

static struct error *read_checkpoints(struct store *s) {
    return store_scan_checkpoints(s, NULL, note_checkpoint, NULL);
}

static struct error *read_tile(struct store *s) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    bool there;
    struct bytes tile;
    struct error *err = store_get_tile(s, &arena, 0, 7, &there, &tile);
    arena_done(&arena);
    return err;
}

static bool any_edge(void *ctx, const struct lineage_found *e) {
    (void)ctx;
    return e->other.len > 0;
}

static struct error *read_edges(struct store *s) {
    struct store_lineage ctx = {.store = s};
    struct lineage_source src = store_lineage_source(&ctx);
    return src.edges(src.ctx, TEXT_LIT("a"), true, any_edge, NULL);
}

#define SHA_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define SHA_B "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"

static const struct {
    enum kv_family family;
    const char *key;
    const char *value; /* hex; NULL: 8192 zero octets */
    struct error *(*read)(struct store *s);
} rows[] = {
    {KV_META, "48", "0100000000000000030000000065000000" H1 H1 H2, read_head},
    {KV_META, "430000000000000102", "0100000002763100000002c2c2", read_checkpoint},
    {KV_META, "430000000000000102", "0100000002763100000002c2c2", read_checkpoints},
    {KV_ENTRY, "0000000000000007", ENTRY_HEX, read_entry},
    {KV_TILE, "000000000000000007", NULL, read_tile},
    {KV_DEDUP, H1, "0100000000000000070000018bcfe56800" H2, read_dedup},
    {KV_EDGE, "01" SHA_A "01" SHA_B "0000000000000005", "01020000000162000000026e31", read_edges},
};

START_TEST(test_a_damaged_value_is_data_loss) {
    CLEANUP(store_freep) struct store *s = new_store();
    static uint8_t room[8193];
    uint8_t key_room[128];
    struct bytes key = unhex(rows[_i].key, key_room);
    memset(room, 0, sizeof room);
    struct bytes value =
        rows[_i].value == NULL ? (struct bytes){room, 8192} : unhex(rows[_i].value, room);
    raw_put(s, rows[_i].family, key, value);
    ok(rows[_i].read(s));
    size_t step = value.len > 1000 ? 511 : 1;
    for (size_t n = 0; n < value.len; n += step) {
        raw_put(s, rows[_i].family, key, (struct bytes){room, n});
        fails(rows[_i].read(s), ERROR_DATA_LOSS);
    }
    raw_put(s, rows[_i].family, key, (struct bytes){room, value.len + 1});
    fails(rows[_i].read(s), ERROR_DATA_LOSS);
    if (rows[_i].value == NULL) return; /* a tile is hashes alone */
    room[0] = 2;                        /* a version to come */
    raw_put(s, rows[_i].family, key, value);
    fails(rows[_i].read(s), ERROR_DATA_LOSS);
}
END_TEST

START_TEST(test_an_edge_that_names_another_node_than_its_key_is_data_loss) {
    CLEANUP(store_freep) struct store *s = new_store();
    uint8_t key[128], value[64];
    raw_put(s, KV_EDGE, unhex("01" SHA_A "01" SHA_A "0000000000000005", key),
            unhex("01020000000162000000026e31", value));
    fails(read_edges(s), ERROR_DATA_LOSS);
}
END_TEST

START_TEST(test_a_malformed_key_among_rows_is_data_loss) {
    CLEANUP(store_freep) struct store *s = new_store();
    uint8_t room[128];
    raw_put(s, KV_EDGE, unhex("01" SHA_A "01" SHA_B "00000000000005", room), BYTES_LIT("x"));
    fails(read_edges(s), ERROR_DATA_LOSS);
    raw_put(s, KV_INDEX,
            unhex("01" SHA_A "0000000000000005"
                  "00",
                  room),
            BYTES_LIT(""));
    struct arena arena;
    arena_init(&arena, 1 << 12);
    const uint64_t *list;
    size_t n;
    fails(store_find(s, NULL, &arena, STORE_INDEX_SUBJECT, TEXT_LIT("a"), 0, UINT64_MAX, 9, &list,
                     &n),
          ERROR_DATA_LOSS);
    arena_done(&arena);
    raw_put(s, KV_META, unhex("4301", room), BYTES_LIT(""));
    fails(read_checkpoints(s), ERROR_DATA_LOSS);
}
END_TEST

/* --- checking */

static const struct text subjects[] = {TEXT_LIT("sha256:a"), TEXT_LIT("sha256:a"),
                                       TEXT_LIT("sha512:a")};
static const struct text materials[] = {TEXT_LIT("sha256:b")};
static const struct lineage_edge edges[] = {
    {TEXT_LIT("sha256:a"), TEXT_LIT("sha256:b"), TEXT_LIT("b"), LINEAGE_BUILT_FROM,
     LINEAGE_DECLARED},
    {TEXT_LIT("sha256:a"), TEXT_LIT("sha256:b"), TEXT_LIT("b, too"), LINEAGE_BUILT_FROM,
     LINEAGE_DECLARED},
    {TEXT_LIT("sha512:a"), TEXT_LIT("sha256:b"), TEXT_LIT("b"), LINEAGE_BUILT_FROM,
     LINEAGE_DECLARED},
};
static const struct store_terms terms = {.predicate_type = TEXT_LIT("https://example/t"),
                                         .submitter = TEXT_LIT("token:t"),
                                         .subjects = subjects,
                                         .subject_count = 3,
                                         .materials = materials,
                                         .material_count = 1,
                                         .edges = edges,
                                         .edge_count = 3};
enum { LOG_SIZE = 3, INDEX_ROWS = 9, EDGE_ROWS = 4 }; /* rows: of each entry */

static struct store_entry entry_of(uint64_t index) {
    static const char *const leaves[LOG_SIZE] = {"leaf 0", "leaf 1", "leaf 2"};
    return (struct store_entry){.index = index,
                                .kind = STORE_ENTRY_ATTESTATION,
                                .integrated_s = 1000,
                                .tree_size = LOG_SIZE,
                                .leaf = bytes_of_cstr(leaves[index])};
}

static struct store *small_log(void) {
    struct store *s = new_store();
    struct store_round *r = NULL;
    ok(store_round_new(s, &r));
    struct store_head head = {0};
    for (uint64_t i = 0; i < LOG_SIZE; i++) {
        struct store_entry entry = entry_of(i);
        ok(store_round_entry(r, &entry, &terms));
        struct sha256 leaf = merkle_leaf_hash(entry.leaf);
        merkle_append(&head.frontier, &leaf, NULL, NULL);
    }
    head.root = merkle_root(&head.frontier);
    store_round_head(r, &head);
    struct store_dedup d = {.index = 1};
    store_round_dedup(r, &head.root, &d);
    store_round_checkpoint(r, LOG_SIZE, BYTES_LIT("a"), BYTES_LIT("b"));
    ok(store_round_commit(r));
    store_round_free(r);
    ok(store_put_record(s, KV_IDENTITY, BYTES_LIT("t"), BYTES_LIT("v")));
    return s;
}

static void count_line(void *ctx, const char *line) {
    ck_assert_uint_gt(strlen(line), 0);
    ++*(uint64_t *)ctx;
}

/* problems counts what a whole check finds. */
static uint64_t problems(struct store *s) {
    struct store_check sum = {0};
    uint64_t found = 0;
    for (uint64_t i = 0; i < LOG_SIZE; i++) {
        struct store_entry entry = entry_of(i);
        uint64_t missing = 0;
        ok(store_check_entry(s, NULL, &entry, &terms, &sum, &missing));
        found += missing;
    }
    ck_assert_uint_eq(sum.index_rows, (uint64_t)LOG_SIZE * INDEX_ROWS);
    ck_assert_uint_eq(sum.edge_rows, (uint64_t)LOG_SIZE * EDGE_ROWS);
    ok(store_check_rows(s, NULL, LOG_SIZE, &sum, count_line, &found));
    return found;
}

START_TEST(test_a_sound_log_has_no_problems) {
    CLEANUP(store_freep) struct store *s = small_log();
    ck_assert_uint_eq(problems(s), 0);
    CLEANUP(store_freep) struct store *empty = new_store();
    struct store_check sum = {0};
    uint64_t found = 0;
    ok(store_check_rows(empty, NULL, 0, &sum, count_line, &found));
    ck_assert_uint_eq(found, 0);
}
END_TEST

/* Takes away, alters or adds one row at a time, of every family that a log's entries fill. */
START_TEST(test_a_missing_or_altered_row_is_found) {
    static const enum kv_family families[] = {KV_ENTRY, KV_INDEX, KV_EDGE};
    CLEANUP(store_freep) struct store *s = small_log();
    struct kv *kv = store_kv(s);
    int tried = 0;
    for (int f = 0; f < 3; f++) {
        struct kv_iter *it = NULL;
        ok(kv_iter_new(kv, NULL, families[f], (struct bytes){0}, (struct bytes){0}, &it));
        struct bytes key, value;
        while (kv_iter_next(kv, it, &key, &value)) {
            raw_delete(s, families[f], key);
            ck_assert_uint_gt(problems(s), 0);
            raw_put(s, families[f], key, BYTES_LIT("other"));
            ck_assert_uint_gt(problems(s), 0);
            raw_put(s, families[f], key, value);
            ck_assert_uint_eq(problems(s), 0);
            tried++;
        }
        kv_iter_free(kv, it);
    }
    ck_assert_int_eq(tried, LOG_SIZE * (1 + INDEX_ROWS + EDGE_ROWS));
}
END_TEST

static const struct {
    enum kv_family family;
    const char *key;
    const char *value;
} strange_rows[] = {
    {KV_ENTRY, "0000000000000003", ENTRY_HEX},
    {KV_ENTRY, "00", ""},
    {KV_INDEX, "01" H1 "0000000000000003", ""}, /* beyond the log */
    {KV_INDEX, "01" H1 "0000000000000001", ""}, /* nothing asks for it */
    {KV_INDEX, "01", ""},
    {KV_EDGE, "01" SHA_A "01" SHA_B "0000000000000001", "01020000000162000000026e31"},
    {KV_EDGE, "01" SHA_A "01" SHA_B "0000000000000003", "01020000000162000000026e31"},
    {KV_TILE, "000000000000000000", ""},
    {KV_DEDUP, H1, "0100000000000000030000018bcfe56800" H2}, /* of an entry that is not there */
    {KV_META, "430000000000000102", "0100000002763100000002c2c2"},
    {KV_META, "58", ""},
    {KV_IDENTITY, "58", ""},
};

START_TEST(test_a_row_too_many_is_found) {
    CLEANUP(store_freep) struct store *s = small_log();
    uint8_t key[128], value[128];
    raw_put(s, strange_rows[_i].family, unhex(strange_rows[_i].key, key),
            unhex(strange_rows[_i].value, value));
    ck_assert_uint_gt(problems(s), 0);
}
END_TEST

/* --- older schemas */

#define OLD_SIZE 3
#define STATEMENT(n)                                                                               \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"n\":" n                       \
    "},\"predicateType\":\"https://example/t\",\"subject\":[{\"annotations\":{"                    \
    "\"attestd_submitter\":{\"method\":\"token\",\"principal\":\"token:t\"}},\"digest\":{"         \
    "\"sha256\":\"" H1 "\"},\"name\":\"a\"}]}"
#define SUBJECT "sha256:" H1

static const char *const statements[OLD_SIZE] = {STATEMENT("0"), STATEMENT("1"), STATEMENT("2")};

static struct store_entry real_entry(uint64_t index) {
    struct store_entry e = entry_of(index);
    e.payload = bytes_of_cstr(statements[index]);
    return e;
}

/* index_row gives the key of a row of kind 7 (schema 1) or 8 that the statements ask for. */
static struct bytes index_row(struct buf *out, uint8_t kind, uint64_t index) {
    struct sha256 both[2] = {sha256_of(BYTES_LIT(SUBJECT)),
                             sha256_of(BYTES_LIT("https://example/t"))};
    struct store_key key = {.family = KV_INDEX, .kind = kind, .number = index};
    key.digest = sha256_of((struct bytes){both[0].octets, sizeof both});
    key.other = sha256_of(BYTES_LIT("token:t"));
    buf_clear(out);
    store_key_put(out, &key);
    return buf_bytes(out);
}

/* A log as a program of schema 1 left it. */
static struct store *old_log(void) {
    struct store *s = new_store();
    struct store_round *r = NULL;
    struct store_head head = {0};
    struct buf key;
    buf_init(&key, 100);
    ok(store_round_new(s, &r));
    for (uint64_t i = 0; i < OLD_SIZE; i++) {
        struct store_entry entry = real_entry(i);
        struct store_terms t;
        struct arena arena;
        arena_init(&arena, 1 << 20);
        ok(store_terms_of_payload(&arena, entry.payload, &t));
        ok(store_round_entry(r, &entry, &t));
        arena_done(&arena);
        struct sha256 leaf = merkle_leaf_hash(entry.leaf);
        merkle_append(&head.frontier, &leaf, NULL, NULL);
    }
    head.root = merkle_root(&head.frontier);
    store_round_head(r, &head);
    ok(store_round_commit(r));
    store_round_free(r);
    for (uint64_t i = 0; i < OLD_SIZE; i++) {
        raw_delete(s, KV_INDEX, index_row(&key, 8, i));
        raw_put(s, KV_INDEX, index_row(&key, 7, i), (struct bytes){0});
    }
    raw_put(s, KV_META, BYTES_LIT("S"), BYTES_LIT("\0\0\0\1"));
    buf_done(&key);
    return s;
}

/* The same rows, seen by a program that has just started. */
static struct store *reopened(struct store *s) {
    struct store *again = NULL;
    ok(store_open(store_kv(s), &again));
    alloc_free(s); /* not its kv */
    return again;
}

static uint64_t old_problems(struct store *s) {
    struct store_check sum = {0};
    uint64_t found = 0;
    for (uint64_t i = 0; i < OLD_SIZE; i++) {
        struct store_entry entry = real_entry(i);
        struct store_terms t;
        struct arena arena;
        uint64_t missing = 0;
        arena_init(&arena, 1 << 20);
        ok(store_terms_of_payload(&arena, entry.payload, &t));
        ok(store_check_entry(s, NULL, &entry, &t, &sum, &missing));
        arena_done(&arena);
        found += missing;
    }
    ok(store_check_rows(s, NULL, OLD_SIZE, &sum, count_line, &found));
    return found;
}

static bool anybody(void *ctx, struct text submitter) {
    (void)ctx;
    return text_equal(submitter, TEXT_LIT("token:t"));
}

static size_t evidence_count(struct store *s) {
    struct arena arena;
    struct store_evidence_found f = {0};
    const struct store_evidence q = {
        TEXT_LIT(SUBJECT), TEXT_LIT("https://example/t"), UINT64_MAX, 10, anybody, NULL};
    arena_init(&arena, 1 << 16);
    ok(store_find_evidence(s, NULL, &arena, &q, &f));
    arena_done(&arena);
    return f.count;
}

START_TEST(test_schema_1_is_checked_as_it_is_and_brought_up) {
    struct store *s = reopened(old_log());
    bool changed = false;
    ck_assert_uint_eq(old_problems(s), 0);
    ok(store_upgrade(s, &changed));
    ck_assert(changed);
    ck_assert_uint_eq(old_problems(s), 0);
    ck_assert_uint_eq(evidence_count(s), OLD_SIZE);
    s = reopened(s);
    ok(store_upgrade(s, &changed));
    ck_assert(!changed);
    ck_assert_uint_eq(evidence_count(s), OLD_SIZE);
    store_free(s);
}
END_TEST

/* Stopped at its n-th write, applied or not, it goes on at the next opening. */
START_TEST(test_an_upgrade_that_was_cut_short_begins_anew) {
    for (long n = 0; n < 2; n++) {
        struct store *s = reopened(old_log());
        bool changed = false;
        kv_mem_fail(store_kv(s), n, _i == 1);
        fails(store_upgrade(s, &changed), ERROR_UNAVAILABLE);
        kv_mem_fail(store_kv(s), -1, false);
        s = reopened(s);
        ok(store_upgrade(s, &changed));
        ck_assert_uint_eq(old_problems(s), 0);
        ck_assert_uint_eq(evidence_count(s), OLD_SIZE);
        store_free(s);
    }
}
END_TEST

static Suite *store_format_suite(void) {
    Suite *s = suite_create("store format");
    TCase *tc = tcase_create("format");
#define EACH(test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof *table))
    EACH(test_a_key_is_taken_apart_and_put_together_again, good_keys);
    EACH(test_a_key_that_is_not_ours_is_refused, bad_keys);
    tcase_add_test(tc, test_the_entry_record_has_the_octets_of_its_table);
    tcase_add_test(tc, test_every_truncation_and_addition_of_an_entry_record_is_refused);
    EACH(test_a_damaged_entry_record_is_refused, entry_damage);
    tcase_add_test(tc, test_a_flipped_bit_in_an_entry_record_is_refused_or_another_record);
    EACH(test_a_damaged_value_is_data_loss, rows);
    tcase_add_test(tc, test_an_edge_that_names_another_node_than_its_key_is_data_loss);
    tcase_add_test(tc, test_a_malformed_key_among_rows_is_data_loss);
    tcase_add_test(tc, test_a_sound_log_has_no_problems);
    tcase_add_test(tc, test_a_missing_or_altered_row_is_found);
    tcase_add_test(tc, test_schema_1_is_checked_as_it_is_and_brought_up);
    tcase_add_loop_test(tc, test_an_upgrade_that_was_cut_short_begins_anew, 0, 2);
    EACH(test_a_row_too_many_is_found, strange_rows);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(store_format_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
