/* store's values: first octet which, the rest a value as the database might give it back. Reading
 * gives DATA_LOSS or a value; an entry that is read is written again as the same octets. */
#include "codec/codec.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct error *err) {
    if (err != NULL && error_code(err) != ERROR_DATA_LOSS) __builtin_trap();
    error_free(err);
}

static void fuzz_entry(struct bytes value) {
    uint64_t index = 0; /* what the record says of itself, so that this check is passed */
    for (size_t i = 2; i < 10 && i < value.len; i++) index = index << 8 | value.data[i];
    struct store_entry entry;
    CLEANUP(error_freep) struct error *err = store_entry_decode(value, index, &entry);
    if (err != NULL) return;
    struct buf again;
    buf_init(&again, value.len);
    store_entry_encode(&again, &entry);
    if (!bytes_equal(buf_bytes(&again), value)) __builtin_trap();
    buf_done(&again);
}

static void put(struct store *s, enum kv_family family, struct bytes key, struct bytes value) {
    struct kv_batch *b = kv_batch_new(store_kv(s));
    if (b == NULL) return;
    kv_batch_put(store_kv(s), b, family, key, value);
    check(kv_write(store_kv(s), b));
    kv_batch_free(store_kv(s), b);
}

static bool each_checkpoint(void *ctx, uint64_t size, struct bytes v1, struct bytes c2sp) {
    if (size != 1 || v1.len + c2sp.len > *(size_t *)ctx) __builtin_trap();
    return true;
}

static bool each_edge(void *ctx, const struct lineage_found *e) {
    if (e->index != 1 || e->other.len > *(size_t *)ctx) __builtin_trap();
    return true;
}

static void fuzz_edge(struct store *s, struct bytes value, size_t size) {
    uint8_t key[74] = {1};
    struct sha256 node = sha256_of(BYTES_LIT("a"));
    memcpy(key + 1, node.octets, sizeof node.octets);
    key[33] = LINEAGE_BUILT_FROM;
    memcpy(key + 34, node.octets, sizeof node.octets);
    key[73] = 1;
    put(s, KV_EDGE, (struct bytes){key, sizeof key}, value);
    struct store_lineage ctx = {.store = s};
    struct lineage_source src = store_lineage_source(&ctx);
    check(src.edges(src.ctx, TEXT_LIT("a"), true, each_edge, &size));
}

static bool is_whom_the_key_names(void *ctx, struct text submitter) {
    (void)ctx;
    if (!text_equal(submitter, TEXT_LIT("token:t"))) __builtin_trap();
    return true;
}

/* The key holds the hash of who submitted: no value may name anybody else. */
static void fuzz_evidence(struct store *s, struct bytes value) {
    struct sha256 both[2] = {sha256_of(BYTES_LIT("a")), sha256_of(BYTES_LIT("type"))};
    struct store_key key = {.family = KV_INDEX, .kind = 8, .number = 1};
    struct store_evidence_found found;
    struct arena arena;
    struct buf octets;
    key.digest = sha256_of((struct bytes){both[0].octets, sizeof both});
    key.other = sha256_of(BYTES_LIT("token:t"));
    buf_init(&octets, 100);
    store_key_put(&octets, &key);
    put(s, KV_INDEX, buf_bytes(&octets), value);
    buf_done(&octets);
    arena_init(&arena, 1 << 16);
    const struct store_evidence q = {.subject = TEXT_LIT("a"),
                                     .predicate_type = TEXT_LIT("type"),
                                     .below = 2,
                                     .max = 1,
                                     .wants = is_whom_the_key_names};
    check(store_find_evidence(s, NULL, &arena, &q, &found));
    arena_done(&arena);
}

static void fuzz_stored(struct store *s, uint8_t which, struct bytes value, size_t size) {
    static const uint8_t checkpoint_key[] = {'C', 0, 0, 0, 0, 0, 0, 0, 1};
    struct sha256 zero = {{0}};
    struct store_head head;
    struct store_dedup dedup;
    bool found;
    switch (which) {
        case 0:
            put(s, KV_META, BYTES_LIT("H"), value);
            check(store_get_head(s, NULL, &head));
            break;
        case 1:
            put(s, KV_META, (struct bytes){checkpoint_key, sizeof checkpoint_key}, value);
            check(store_scan_checkpoints(s, NULL, each_checkpoint, &size));
            break;
        case 2:
            put(s, KV_DEDUP, sha256_bytes(&zero), value);
            check(store_get_dedup(s, &zero, &found, &dedup));
            break;
        case 3:
            fuzz_edge(s, value, size);
            break;
        default:
            fuzz_evidence(s, value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct bytes value = {data + 1, size - 1};
    if (data[0] % 6 == 4) {
        fuzz_entry(value);
        return 0;
    }
    struct kv *kv = NULL;
    CLEANUP(store_freep) struct store *s = NULL;
    check(kv_mem_new(&kv));
    check(store_open(kv, &s));
    fuzz_stored(s, data[0] % 6, value, size);
    return 0;
}
