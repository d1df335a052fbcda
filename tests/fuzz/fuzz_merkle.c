/*
 * fuzz_merkle: verifying is total and strict, and what is proved verifies.
 *
 *   0  u64 a   index, or old size
 *   8  u64 b   size, or new size
 *  16  u8      how many hashes of the rest the proof has
 *  17  32 * n  leaf hash or old root; root; then the proof
 */
#include <stdlib.h>

#include "base/reader.h"
#include "merkle/merkle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

#define HASHES_MAX 255

/* A tree whose leaves differ by index, without storage; only for small subtrees. */
static struct sha256 node_of(unsigned level, uint64_t index) {
    if (level == 0) {
        uint8_t octets[8];
        for (unsigned i = 0; i < 8; i++) octets[i] = (uint8_t)(index >> (8 * i));
        return merkle_leaf_hash((struct bytes){octets, sizeof octets});
    }
    struct sha256 left = node_of(level - 1, 2 * index);
    struct sha256 right = node_of(level - 1, 2 * index + 1);
    return merkle_node_hash(&left, &right);
}

static struct error *source_node(void *ctx, unsigned level, uint64_t index, struct sha256 *out) {
    uint64_t limit = *(uint64_t *)ctx;
    CHECK((index + 1) << level <= limit);
    *out = node_of(level, index);
    return NULL;
}

static void check_verdicts(uint64_t a, uint64_t b, const struct sha256 *first,
                           const struct sha256 *root, const struct sha256 *proof, size_t count) {
    struct sha256 other = *root;
    other.octets[31] ^= 1;
    if (merkle_verify_inclusion(a, b, first, proof, count, root)) {
        CHECK(!merkle_verify_inclusion(a, b, first, proof, count, &other));
        CHECK(count == 0 || !merkle_verify_inclusion(a, b, first, proof, count - 1, root));
        CHECK(!merkle_verify_inclusion(b, b, first, proof, count, root));
    }
    if (merkle_verify_consistency(a, b, proof, count, first, root)) {
        CHECK(!merkle_verify_consistency(a, b, proof, count, first, &other));
        CHECK(count == 0 || !merkle_verify_consistency(a, b, proof, count - 1, first, root));
        CHECK(a != b || sha256_equal(first, root));
    }
}

/* check_proofs: what is proved in a tree of b % 64 leaves verifies, and the fuzzer's own proof
 * verifies there only if it is the same. */
static void check_proofs(uint64_t a, uint64_t b, const struct sha256 *proof, size_t count) {
    uint64_t size = 1 + b % 64;
    uint64_t index = a % size;
    struct merkle_source src = {source_node, &size};
    struct merkle_frontier f;
    struct merkle_proof p;
    CHECK(merkle_frontier_at(&src, size, &f) == NULL);
    struct sha256 root = merkle_root(&f);
    struct sha256 leaf = node_of(0, index);
    CHECK(merkle_prove_inclusion(&src, index, size, &p) == NULL);
    CHECK(merkle_verify_inclusion(index, size, &leaf, p.hashes, p.count, &root));
    bool same = count == p.count;
    for (size_t i = 0; same && i < count; i++) same = sha256_equal(&proof[i], &p.hashes[i]);
    CHECK(merkle_verify_inclusion(index, size, &leaf, proof, count, &root) == same);

    CHECK(merkle_frontier_at(&src, index + 1, &f) == NULL);
    struct sha256 old_root = merkle_root(&f);
    CHECK(merkle_prove_consistency(&src, index + 1, size, &p) == NULL);
    CHECK(merkle_verify_consistency(index + 1, size, p.hashes, p.count, &old_root, &root));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader r = reader_of((struct bytes){data, size});
    uint64_t a = reader_u64be(&r, "a");
    uint64_t b = reader_u64be(&r, "b");
    size_t want = reader_u8(&r, "count");
    static struct sha256 hashes[2 + HASHES_MAX];
    size_t have = 0;
    while (have < 2 + want && r.rest.len >= 32 && r.failed == NULL) {
        struct bytes in = reader_take(&r, 32, "hash");
        memcpy(hashes[have++].octets, in.data, 32);
    }
    if (have < 2) return 0;
    check_verdicts(a, b, &hashes[0], &hashes[1], hashes + 2, have - 2);
    check_proofs(a, b, hashes + 2, have - 2);
    return 0;
}
