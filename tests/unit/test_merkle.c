#include <check.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "codec/codec.h"
#include "crypto/secret.h"
#include "json/json.h"
#include "merkle/merkle.h"

#define CONFORMANCE "../shared/conformance/merkle/"
#define ORACLE_MAX 300U

/* --- the naive oracle: RFC 6962, 2.1, by its own recursion, over leaves that are all different */
static struct sha256 leaves[ORACLE_MAX];
static struct sha256 memo[ORACLE_MAX + 1][ORACLE_MAX + 1];
static bool known[ORACLE_MAX + 1][ORACLE_MAX + 1];

static uint64_t largest_power_below(uint64_t n) {
    uint64_t k = 1;
    while (k * 2 < n) k *= 2;
    return k;
}

static struct sha256 mth(uint64_t from, uint64_t to) {
    if (from == to) return merkle_empty_root();
    if (to - from == 1) return leaves[from];
    if (!known[from][to]) {
        uint64_t k = largest_power_below(to - from);
        struct sha256 left = mth(from, from + k);
        struct sha256 right = mth(from + k, to);
        memo[from][to] = merkle_node_hash(&left, &right);
        known[from][to] = true;
    }
    return memo[from][to];
}

static void naive_path(uint64_t m, uint64_t from, uint64_t to, struct merkle_proof *out) {
    if (to - from == 1) return;
    uint64_t k = largest_power_below(to - from);
    if (m < k) {
        naive_path(m, from, from + k, out);
        out->hashes[out->count++] = mth(from + k, to);
    } else {
        naive_path(m - k, from + k, to, out);
        out->hashes[out->count++] = mth(from, from + k);
    }
}

static void naive_subproof(uint64_t m, uint64_t from, uint64_t to, bool whole,
                           struct merkle_proof *out) {
    if (m == to - from) {
        if (!whole) out->hashes[out->count++] = mth(from, to);
        return;
    }
    uint64_t k = largest_power_below(to - from);
    if (m <= k) {
        naive_subproof(m, from, from + k, whole, out);
        out->hashes[out->count++] = mth(from + k, to);
    } else {
        naive_subproof(m - k, from + k, to, false, out);
        out->hashes[out->count++] = mth(from, from + k);
    }
}

static struct error *oracle_node(void *ctx, unsigned level, uint64_t index, struct sha256 *out) {
    uint64_t limit = *(uint64_t *)ctx;
    uint64_t from = index << level;
    uint64_t to = (index + 1) << level;
    ck_assert_msg(to <= limit, "asked for an incomplete node (%u, %ju) of %ju", level,
                  (uintmax_t)index, (uintmax_t)limit);
    *out = mth(from, to);
    return NULL;
}

static void setup(void) {
    ck_assert_ptr_null(crypto_init());
    for (size_t i = 0; i < ORACLE_MAX; i++) {
        uint8_t octets[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        leaves[i] = merkle_leaf_hash((struct bytes){octets, sizeof octets});
    }
}

static bool proofs_equal(const struct merkle_proof *a, const struct merkle_proof *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!sha256_equal(&a->hashes[i], &b->hashes[i])) return false;
    }
    return true;
}

/* --- a sparse tree: every leaf is the same but one, so that any size can be asked for */
struct sparse {
    uint64_t special;
    uint64_t size;
    struct sha256 common[64];
    struct sha256 on_path[64]; /* of the subtree with the special leaf, where complete */
};

static void sparse_init(struct sparse *s, uint64_t special, uint64_t size) {
    *s = (struct sparse){.special = special, .size = size};
    s->common[0] = merkle_leaf_hash(BYTES_LIT("common"));
    s->on_path[0] = merkle_leaf_hash(BYTES_LIT("special"));
    for (unsigned l = 1; l < 64; l++) {
        const struct sha256 *other = &s->common[l - 1];
        bool right = (special >> (l - 1) & 1) != 0;
        s->common[l] = merkle_node_hash(other, other);
        s->on_path[l] = right ? merkle_node_hash(other, &s->on_path[l - 1])
                              : merkle_node_hash(&s->on_path[l - 1], other);
    }
}

static struct error *sparse_node(void *ctx, unsigned level, uint64_t index, struct sha256 *out) {
    const struct sparse *s = ctx;
    ck_assert_msg((index + 1) << level <= s->size, "asked for (%u, %ju) of %ju", level,
                  (uintmax_t)index, (uintmax_t)s->size);
    *out = index == s->special >> level ? s->on_path[level] : s->common[level];
    return NULL;
}

/* SPEC rfc6962 2.1 */
START_TEST(test_hashes_are_those_of_the_rfc) {
    struct sha256 want;
    ck_assert(
        hex_decode(BYTES_LIT("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                   want.octets, sizeof want.octets));
    struct sha256 got = merkle_empty_root();
    ck_assert(sha256_equal(&got, &want));
    ck_assert(
        hex_decode(BYTES_LIT("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
                   want.octets, sizeof want.octets));
    got = merkle_leaf_hash((struct bytes){0});
    ck_assert(sha256_equal(&got, &want));
    /* "Empty node hash" of the CT test data: node of "N123" and "N456" is over other sizes; what
     * counts here is the prefix: a leaf of the same 65 octets must differ from the node. */
    uint8_t as_leaf[64] = {0};
    struct sha256 zero = {{0}};
    got = merkle_node_hash(&zero, &zero);
    want = merkle_leaf_hash((struct bytes){as_leaf, sizeof as_leaf});
    ck_assert(!sha256_equal(&got, &want));
}
END_TEST

/* The tree that Certificate Transparency's own tests use (RFC 6962's reference code). */
static const struct {
    struct bytes leaf;
    const char *root_hex; /* of the tree up to and with this leaf */
} ct_tree[] = {
    {BYTES_LIT(""), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {BYTES_LIT("\x00"), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {BYTES_LIT("\x10"), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {BYTES_LIT("\x20\x21"), "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {BYTES_LIT("\x30\x31"), "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {BYTES_LIT("\x40\x41\x42\x43"),
     "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {BYTES_LIT("\x50\x51\x52\x53\x54\x55\x56\x57"),
     "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {BYTES_LIT("\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"),
     "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

START_TEST(test_roots_are_those_of_certificate_transparency) {
    struct merkle_frontier f = {0};
    for (size_t i = 0; i < sizeof ct_tree / sizeof *ct_tree; i++) {
        struct sha256 want;
        struct sha256 leaf = merkle_leaf_hash(ct_tree[i].leaf);
        merkle_append(&f, &leaf, NULL, NULL);
        struct sha256 got = merkle_root(&f);
        ck_assert(hex_decode(bytes_of_cstr(ct_tree[i].root_hex), want.octets, sizeof want.octets));
        ck_assert_msg(sha256_equal(&got, &want), "size %zu", i + 1);
        ck_assert_uint_eq(f.size, i + 1);
    }
}
END_TEST

static struct {
    unsigned level;
    uint64_t index;
    struct sha256 hash;
} told[2 * ORACLE_MAX];
static size_t told_count;

static void tell(void *ctx, unsigned level, uint64_t index, const struct sha256 *hash) {
    ck_assert_ptr_eq(ctx, told);
    told[told_count].level = level;
    told[told_count].index = index;
    told[told_count++].hash = *hash;
}

START_TEST(test_every_size_has_the_roots_and_nodes_of_the_oracle) {
    struct merkle_frontier f = {0};
    struct sha256 root = merkle_root(&f);
    struct sha256 want = mth(0, 0);
    ck_assert(sha256_equal(&root, &want));
    for (uint64_t n = 1; n <= ORACLE_MAX; n++) {
        told_count = 0;
        merkle_append(&f, &leaves[n - 1], tell, told);
        root = merkle_root(&f);
        want = mth(0, n);
        ck_assert_msg(sha256_equal(&root, &want), "size %ju", (uintmax_t)n);
        ck_assert_uint_eq(told_count, 1 + (size_t)__builtin_ctzll(n));
        for (unsigned l = 0; l < told_count; l++) {
            ck_assert_uint_eq(told[l].level, l);
            ck_assert_uint_eq(told[l].index, (n >> l) - 1);
            want = mth(told[l].index << l, (told[l].index + 1) << l);
            ck_assert(sha256_equal(&told[l].hash, &want));
        }
    }
}
END_TEST

START_TEST(test_every_frontier_read_back_continues_the_tree) {
    struct merkle_frontier grown = {0};
    for (uint64_t n = 0; n <= ORACLE_MAX; n++) {
        struct merkle_source src = {oracle_node, &n};
        struct merkle_frontier read;
        ck_assert_ptr_null(merkle_frontier_at(&src, n, &read));
        ck_assert_uint_eq(read.size, n);
        struct sha256 a = merkle_root(&read);
        struct sha256 b = merkle_root(&grown);
        ck_assert_msg(sha256_equal(&a, &b), "size %ju", (uintmax_t)n);
        if (n == ORACLE_MAX) break;
        merkle_append(&read, &leaves[n], NULL, NULL);
        merkle_append(&grown, &leaves[n], NULL, NULL);
        a = merkle_root(&read);
        b = merkle_root(&grown);
        ck_assert_msg(sha256_equal(&a, &b), "after size %ju", (uintmax_t)n);
    }
}
END_TEST

START_TEST(test_every_inclusion_proof_is_the_oracles_and_verifies) {
    for (uint64_t n = 1; n <= ORACLE_MAX; n++) {
        struct merkle_source src = {oracle_node, &n};
        struct sha256 root = mth(0, n);
        for (uint64_t i = 0; i < n; i++) {
            struct merkle_proof got;
            struct merkle_proof want = {.count = 0};
            ck_assert_ptr_null(merkle_prove_inclusion(&src, i, n, &got));
            naive_path(i, 0, n, &want);
            ck_assert_msg(proofs_equal(&got, &want), "%ju of %ju", (uintmax_t)i, (uintmax_t)n);
            ck_assert(merkle_verify_inclusion(i, n, &leaves[i], got.hashes, got.count, &root));
        }
    }
}
END_TEST

START_TEST(test_every_consistency_proof_is_the_oracles_and_verifies) {
    for (uint64_t n = 1; n <= ORACLE_MAX; n++) {
        struct merkle_source src = {oracle_node, &n};
        struct sha256 new_root = mth(0, n);
        for (uint64_t m = 1; m <= n; m++) {
            struct merkle_proof got;
            struct merkle_proof want = {.count = 0};
            struct sha256 old_root = mth(0, m);
            ck_assert_ptr_null(merkle_prove_consistency(&src, m, n, &got));
            naive_subproof(m, 0, n, true, &want);
            ck_assert_msg(proofs_equal(&got, &want), "%ju to %ju", (uintmax_t)m, (uintmax_t)n);
            ck_assert(merkle_verify_consistency(m, n, got.hashes, got.count, &old_root, &new_root));
        }
    }
}
END_TEST

/* refused_inclusion: every bit of every hash, of the leaf and of the root; every other count of
 * hashes; every other index and neighbouring size. */
static void refused_inclusion(uint64_t i, uint64_t n, struct sha256 leaf, struct merkle_proof *p,
                              struct sha256 root) {
    for (size_t bit = 0; bit < (p->count + 2) * 256; bit++) {
        struct sha256 *at = bit / 256 < p->count    ? &p->hashes[bit / 256]
                            : bit / 256 == p->count ? &leaf
                                                    : &root;
        at->octets[bit % 256 / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert(!merkle_verify_inclusion(i, n, &leaf, p->hashes, p->count, &root));
        at->octets[bit % 256 / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t count = 0; count <= MERKLE_PROOF_MAX; count++) {
        bool ok = merkle_verify_inclusion(i, n, &leaf, p->hashes, count, &root);
        ck_assert(ok == (count == p->count));
    }
    for (uint64_t other = 0; other < n + 3; other++) {
        bool ok = merkle_verify_inclusion(other, n, &leaf, p->hashes, p->count, &root);
        ck_assert(ok == (other == i));
    }
}

/* SPEC rfc9162 2.1.3.2 */
START_TEST(test_wrong_inclusion_proofs_are_refused) {
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 33};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t n = sizes[s];
        struct merkle_source src = {oracle_node, &n};
        for (uint64_t i = 0; i < n; i++) {
            struct merkle_proof p = {.count = 0};
            ck_assert_ptr_null(merkle_prove_inclusion(&src, i, n, &p));
            refused_inclusion(i, n, leaves[i], &p, mth(0, n));
        }
    }
}
END_TEST

static void refused_consistency(uint64_t m, uint64_t n, struct merkle_proof *p,
                                struct sha256 old_root, struct sha256 new_root) {
    for (size_t bit = 0; bit < (p->count + 2) * 256; bit++) {
        struct sha256 *at = bit / 256 < p->count    ? &p->hashes[bit / 256]
                            : bit / 256 == p->count ? &old_root
                                                    : &new_root;
        at->octets[bit % 256 / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert(!merkle_verify_consistency(m, n, p->hashes, p->count, &old_root, &new_root));
        at->octets[bit % 256 / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t count = 0; count <= MERKLE_PROOF_MAX; count++) {
        bool ok = merkle_verify_consistency(m, n, p->hashes, count, &old_root, &new_root);
        ck_assert(ok == (count == p->count));
    }
    if (m == n) return; /* equal roots prove equal trees of any one size */
    for (uint64_t other = 0; other < n + 3; other++) {
        bool ok = merkle_verify_consistency(other, n, p->hashes, p->count, &old_root, &new_root);
        ck_assert(ok == (other == m));
    }
}

/* SPEC rfc9162 2.1.4.2 */
START_TEST(test_wrong_consistency_proofs_are_refused) {
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 33};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t n = sizes[s];
        struct merkle_source src = {oracle_node, &n};
        for (uint64_t m = 1; m <= n; m++) {
            struct merkle_proof p = {.count = 0};
            ck_assert_ptr_null(merkle_prove_consistency(&src, m, n, &p));
            refused_consistency(m, n, &p, mth(0, m), mth(0, n));
        }
    }
}
END_TEST

START_TEST(test_trees_of_equal_size_and_other_root_are_not_consistent) {
    struct sha256 a = mth(0, 5);
    struct sha256 b = mth(1, 6);
    ck_assert(merkle_verify_consistency(5, 5, NULL, 0, &a, &a));
    ck_assert(!merkle_verify_consistency(5, 5, NULL, 0, &a, &b));
    ck_assert(!merkle_verify_consistency(0, 5, NULL, 0, &a, &a));
    ck_assert(!merkle_verify_consistency(6, 5, NULL, 0, &a, &a));
}
END_TEST

static const uint64_t edges[] = {255,
                                 256,
                                 257,
                                 65535,
                                 65536,
                                 65537,
                                 (1ULL << 24) - 1,
                                 1ULL << 24,
                                 (1ULL << 24) + 1,
                                 (1ULL << 40) - 1,
                                 1ULL << 40,
                                 (1ULL << 40) + 1,
                                 (1ULL << 56) + 1,
                                 MERKLE_SIZE_MAX - 1,
                                 MERKLE_SIZE_MAX};

static void check_sparse(uint64_t special, uint64_t size) {
    struct sparse s;
    struct merkle_frontier f;
    struct merkle_proof p;
    sparse_init(&s, special, size);
    struct merkle_source src = {sparse_node, &s};
    ck_assert_ptr_null(merkle_frontier_at(&src, size, &f));
    struct sha256 root = merkle_root(&f);
    ck_assert_ptr_null(merkle_prove_inclusion(&src, special, size, &p));
    ck_assert(merkle_verify_inclusion(special, size, &s.on_path[0], p.hashes, p.count, &root));
    ck_assert(!merkle_verify_inclusion(special, size, &s.common[0], p.hashes, p.count, &root));
    ck_assert(!merkle_verify_inclusion(special ^ 1, size, &s.on_path[0], p.hashes, p.count, &root));

    for (size_t e = 0; e < sizeof edges / sizeof *edges && edges[e] <= size; e++) {
        struct merkle_frontier old;
        ck_assert_ptr_null(merkle_frontier_at(&src, edges[e], &old));
        struct sha256 old_root = merkle_root(&old);
        ck_assert_ptr_null(merkle_prove_consistency(&src, edges[e], size, &p));
        ck_assert(merkle_verify_consistency(edges[e], size, p.hashes, p.count, &old_root, &root));
        if (edges[e] == size) continue;
        ck_assert(
            !merkle_verify_consistency(edges[e] + 1, size, p.hashes, p.count, &old_root, &root));
        ck_assert(!merkle_verify_consistency(edges[e], size, p.hashes, p.count, &root, &root));
    }
}

START_TEST(test_sizes_around_powers_of_256_and_huge_indexes) {
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++) {
        uint64_t n = edges[e];
        const uint64_t specials[] = {0, 1, n / 3, n / 2, n - 2, n - 1};
        for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
            check_sparse(specials[i], n);
    }
}
END_TEST

START_TEST(test_proofs_of_63_and_64_hashes_verify) {
    struct sparse s;
    struct sha256 path[64];
    sparse_init(&s, 0, 0);
    for (unsigned k = 0; k < 63; k++) path[k] = s.common[k];
    uint64_t size = 1ULL << 63;
    ck_assert(merkle_verify_inclusion(0, size, &s.on_path[0], path, 63, &s.on_path[63]));
    ck_assert(!merkle_verify_inclusion(0, size, &s.on_path[0], path, 62, &s.on_path[63]));
    ck_assert(!merkle_verify_inclusion(1, size, &s.on_path[0], path, 63, &s.on_path[63]));

    /* 2^63 + 1 leaves: leaf 0 has 63 siblings and the last leaf beside the root of the rest. */
    path[63] = s.common[0];
    struct sha256 root = merkle_node_hash(&s.on_path[63], &s.common[0]);
    ck_assert(merkle_verify_inclusion(0, size + 1, &s.on_path[0], path, 64, &root));
    ck_assert(merkle_verify_inclusion(size, size + 1, &s.common[0], &s.on_path[63], 1, &root));
    ck_assert(merkle_verify_consistency(size, size + 1, &s.common[0], 1, &s.on_path[63], &root));
    ck_assert(!merkle_verify_inclusion(UINT64_MAX, UINT64_MAX, &s.common[0], path, 64, &root));
    ck_assert(!merkle_verify_inclusion(UINT64_MAX, 1, &s.common[0], path, 0, &s.common[0]));
    ck_assert(!merkle_verify_inclusion(0, 0, &s.common[0], path, 0, &s.common[0]));
}
END_TEST

START_TEST(test_proving_refuses_what_is_out_of_range) {
    uint64_t n = 7;
    struct merkle_source src = {oracle_node, &n};
    struct merkle_proof p = {.count = 42};
    struct merkle_frontier f = {.size = 42};
    struct error *errors[] = {
        merkle_prove_inclusion(&src, 7, 7, &p),
        merkle_prove_inclusion(&src, 0, 0, &p),
        merkle_prove_inclusion(&src, 0, MERKLE_SIZE_MAX + 1, &p),
        merkle_prove_consistency(&src, 0, 7, &p),
        merkle_prove_consistency(&src, 8, 7, &p),
        merkle_prove_consistency(&src, 1, MERKLE_SIZE_MAX + 1, &p),
        merkle_frontier_at(&src, MERKLE_SIZE_MAX + 1, &f),
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        ck_assert_msg(errors[i] != NULL, "accepted case %zu", i);
        ck_assert_int_eq(error_code(errors[i]), ERROR_OUT_OF_RANGE);
        error_free(errors[i]);
    }
    ck_assert_uint_eq(p.count, 42); /* untouched on failure */
    ck_assert_uint_eq(f.size, 42);
}
END_TEST

static struct error *failing_node(void *ctx, unsigned level, uint64_t index, struct sha256 *out) {
    int *left = ctx;
    (void)level;
    (void)index;
    if ((*left)-- == 0) return error_new(ERROR_DATA_LOSS, "planted");
    *out = leaves[0];
    return NULL;
}

START_TEST(test_every_failure_of_the_source_comes_through) {
    for (int after = 0; after < 7; after++) { /* 87 = 0b1010111: five perfect subtrees */
        int left[3] = {after, after, after};
        struct merkle_proof p = {.count = 42};
        struct merkle_frontier f = {.size = 42};
        struct error *errors[] = {
            merkle_prove_inclusion(&(struct merkle_source){failing_node, &left[0]}, 5, 87, &p),
            merkle_prove_consistency(&(struct merkle_source){failing_node, &left[1]}, 44, 87, &p),
            merkle_frontier_at(&(struct merkle_source){failing_node, &left[2]}, 87, &f),
        };
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
            if (i == 2 && after >= 5) {
                ck_assert_ptr_null(errors[i]);
                continue;
            }
            ck_assert_ptr_nonnull(errors[i]);
            ck_assert_int_eq(error_code(errors[i]), ERROR_DATA_LOSS);
            error_free(errors[i]);
        }
        ck_assert_uint_eq(p.count, 42);
        ck_assert_uint_eq(f.size, after >= 5 ? 87 : 42);
    }
}
END_TEST

/* --- tiles */
static const struct {
    const char *path;
    struct merkle_tile tile;
} tiles[] = {
    {"0/000", {0, 0, 256, false}},
    {"0/001", {0, 1, 256, false}},
    {"1/000.p/1", {1, 0, 1, false}},
    {"0/x001/x234/067", {0, 1234067, 256, false}},
    {"0/x001/x234/067.p/8", {0, 1234067, 8, false}},
    {"entries/000", {0, 0, 256, true}},
    {"entries/x001/000.p/255", {0, 1000, 255, true}},
    {"0/999", {0, 999, 256, false}},
    {"0/x001/000", {0, 1000, 256, false}},
    {"0/x999/999", {0, 999999, 256, false}},
    {"7/000", {7, 0, 256, false}},
    {"6/063", {6, 63, 256, false}},
    {"0/x018/x014/x398/x509/x481/983", {0, (1ULL << 54) - 1, 256, false}},
};

START_TEST(test_tile_paths_read_and_write) {
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        struct merkle_tile got = {0};
        ck_assert_msg(merkle_tile_parse(bytes_of_cstr(tiles[i].path), &got), "%s", tiles[i].path);
        ck_assert_uint_eq(got.level, tiles[i].tile.level);
        ck_assert_uint_eq(got.index, tiles[i].tile.index);
        ck_assert_uint_eq(got.width, tiles[i].tile.width);
        ck_assert(got.entries == tiles[i].tile.entries);
        struct buf out;
        buf_init(&out, 128);
        merkle_tile_path(&out, &tiles[i].tile);
        ck_assert(bytes_equal(buf_bytes(&out), bytes_of_cstr(tiles[i].path)));
        buf_done(&out);
    }
}
END_TEST

static const char *const bad_tiles[] = {
    "",
    "/",
    "0",
    "0/",
    "0/0",
    "0/00",
    "0/0000",
    "0/x000",
    "0/x000/000",
    "0/x000/001",
    "0/x001",
    "0/x001/",
    "0/x001/x002",
    "0/001/002",
    "0/x001/02",
    "0/x001/0002",
    "0/001/",
    "0//001",
    "/0/001",
    "00/001",
    "01/001",
    "8/000",
    "63/000",
    "-1/000",
    "x/000",
    "0/-01",
    "0/+01",
    "0/ 01",
    "0/0x1",
    "0/00a",
    "0/X001/000",
    "0/000.p",
    "0/000.p/",
    "0/000.p/0",
    "0/000.p/256",
    "0/000.p/00",
    "0/000.p/01",
    "0/000.p/1/",
    "0/000.p/1 ",
    "0/000.p/-1",
    "0/000.p/+1",
    "0/000.p/1000000000000000000000",
    "0/000.P/1",
    "0/000.p/1.p/1",
    "0/x001.p/1/000",
    "entries",
    "entries/",
    "entries/0/000",
    "entries/00",
    "entriesx/000",
    "0/entries/000",
    "0/000/",
    "0/000?",
    "0/000%2e",
    "7/001",
    "6/064",
    "0/x018/x014/x398/x509/x481/984",
    "0/x999/x999/x999/x999/x999/999",
    "0/x001/x000/x000/x000/x000/x000/000",
    "0/x018/x446/x744/x073/x709/x551/616",
};

/* SPEC c2sp-tlog-tiles Merkle Tree */
START_TEST(test_other_tile_paths_are_refused) {
    for (size_t i = 0; i < sizeof bad_tiles / sizeof *bad_tiles; i++) {
        struct merkle_tile got = {.level = 42};
        ck_assert_msg(!merkle_tile_parse(bytes_of_cstr(bad_tiles[i]), &got), "accepted \"%s\"",
                      bad_tiles[i]);
        ck_assert_uint_eq(got.level, 42);
    }
    struct merkle_tile got;
    ck_assert(!merkle_tile_parse(BYTES_LIT("0/00\0"), &got));
    ck_assert(!merkle_tile_parse(BYTES_LIT("0/000\0"), &got));
}
END_TEST

START_TEST(test_every_truncation_of_a_tile_path_is_another_tile_or_none) {
    struct bytes whole = BYTES_LIT("entries/x001/x234/067.p/128");
    for (size_t n = 0; n < whole.len; n++) {
        struct merkle_tile tile;
        struct bytes cut = {whole.data, n};
        if (!merkle_tile_parse(cut, &tile)) continue;
        struct buf out;
        buf_init(&out, 128);
        merkle_tile_path(&out, &tile);
        ck_assert(bytes_equal(buf_bytes(&out), cut)); /* "….p/12", "….p/1", the full tile */
        buf_done(&out);
    }
}
END_TEST

START_TEST(test_tile_widths) {
    static const struct {
        unsigned level;
        uint64_t index;
        uint64_t size;
        unsigned width;
    } cases[] = {
        {0, 0, 0, 0},
        {0, 0, 1, 1},
        {0, 0, 255, 255},
        {0, 0, 256, 256},
        {0, 1, 256, 0},
        {1, 0, 255, 0},
        {1, 0, 256, 1},
        {0, 272, 70000, 256},
        {0, 273, 70000, 112},
        {0, 274, 70000, 0},
        {1, 0, 70000, 256},
        {1, 1, 70000, 17},
        {2, 0, 70000, 1},
        {2, 1, 70000, 0},
        {3, 0, 70000, 0},
        {7, 0, 70000, 0},
        {7, 0, MERKLE_SIZE_MAX, 64},
        {8, 0, MERKLE_SIZE_MAX, 0},
        {0, UINT64_MAX, 70000, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(
            merkle_tile_width(cases[i].level, cases[i].index, cases[i].size) == cases[i].width,
            "case %zu", i);
}
END_TEST

/* --- cases of transparency-dev/merkle */
static struct bytes read_file(const char *path) {
    static uint8_t octets[1 << 20];
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "missing %s", path);
    size_t len = fread(octets, 1, sizeof octets, f);
    (void)fclose(f);
    ck_assert(len > 0 && len < sizeof octets);
    return (struct bytes){octets, len};
}

/* take_hash decodes base64. What is not 32 octets long can be no hash: it becomes one that fits
 * nothing. */
static struct sha256 take_hash(struct arena *arena, const struct json_value *v) {
    struct bytes in = {0};
    struct sha256 out;
    ck_assert_ptr_null(base64_decode(arena, json_string(v), BASE64_STANDARD, &in));
    if (in.len != sizeof out.octets) return sha256_of(in);
    memcpy(out.octets, in.data, sizeof out.octets);
    return out;
}

struct conformance_case {
    struct sha256 hashes[128];
    size_t count;
    bool want_error;
    struct bytes name;
};

static void read_case(struct arena *arena, const struct json_value *line,
                      struct conformance_case *out) {
    const struct json_value *proof = json_get(line, "proof");
    const struct json_value *want = json_get(line, "wantErr");
    ck_assert(proof != NULL && want != NULL && want->type == JSON_BOOL);
    out->count = proof->type == JSON_NULL ? 0 : proof->array.count;
    ck_assert_uint_le(out->count, sizeof out->hashes / sizeof *out->hashes);
    for (size_t i = 0; i < out->count; i++)
        out->hashes[i] = take_hash(arena, &proof->array.items[i]);
    out->want_error = want->boolean;
    out->name = json_string(json_get(line, "case"));
}

static bool run_inclusion(struct arena *arena, const struct json_value *line,
                          const struct conformance_case *c) {
    uint64_t index;
    uint64_t size;
    ck_assert(json_u64(json_get(line, "leafIdx"), &index));
    ck_assert(json_u64(json_get(line, "treeSize"), &size));
    struct sha256 leaf = take_hash(arena, json_get(line, "leafHash"));
    struct sha256 root = take_hash(arena, json_get(line, "root"));
    return merkle_verify_inclusion(index, size, &leaf, c->hashes, c->count, &root);
}

static bool run_consistency(struct arena *arena, const struct json_value *line,
                            const struct conformance_case *c) {
    uint64_t size1;
    uint64_t size2;
    ck_assert(json_u64(json_get(line, "size1"), &size1));
    ck_assert(json_u64(json_get(line, "size2"), &size2));
    struct sha256 root1 = take_hash(arena, json_get(line, "root1"));
    struct sha256 root2 = take_hash(arena, json_get(line, "root2"));
    return merkle_verify_consistency(size1, size2, c->hashes, c->count, &root1, &root2);
}

static size_t run_file(const char *path,
                       bool (*run)(struct arena *arena, const struct json_value *line,
                                   const struct conformance_case *c)) {
    struct bytes rest = read_file(path);
    size_t cases = 0;
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        struct bytes text = {rest.data, end == NULL ? rest.len : (size_t)(end - rest.data)};
        struct arena arena;
        struct json_value line;
        struct conformance_case c;
        arena_init(&arena, 1 << 20);
        ck_assert_ptr_null(json_parse(&arena, text, &JSON_LIMITS_DEFAULT, &line));
        read_case(&arena, &line, &c);
        ck_assert_msg(run(&arena, &line, &c) == !c.want_error, BYTES_FMT, BYTES_ARG(c.name));
        arena_done(&arena);
        size_t used = text.len + (end == NULL ? 0 : 1);
        rest = (struct bytes){rest.data + used, rest.len - used};
        cases++;
    }
    return cases;
}

START_TEST(test_conformance_inclusion) {
    ck_assert_uint_gt(run_file(CONFORMANCE "inclusion.jsonl", run_inclusion), 50);
}
END_TEST

START_TEST(test_conformance_consistency) {
    ck_assert_uint_gt(run_file(CONFORMANCE "consistency.jsonl", run_consistency), 50);
}
END_TEST

static Suite *merkle_suite(void) {
    Suite *s = suite_create("merkle");
    TCase *tc = tcase_create("merkle");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_hashes_are_those_of_the_rfc);
    tcase_add_test(tc, test_roots_are_those_of_certificate_transparency);
    tcase_add_test(tc, test_every_size_has_the_roots_and_nodes_of_the_oracle);
    tcase_add_test(tc, test_every_frontier_read_back_continues_the_tree);
    tcase_add_test(tc, test_every_inclusion_proof_is_the_oracles_and_verifies);
    tcase_add_test(tc, test_every_consistency_proof_is_the_oracles_and_verifies);
    tcase_add_test(tc, test_wrong_inclusion_proofs_are_refused);
    tcase_add_test(tc, test_wrong_consistency_proofs_are_refused);
    tcase_add_test(tc, test_trees_of_equal_size_and_other_root_are_not_consistent);
    tcase_add_test(tc, test_sizes_around_powers_of_256_and_huge_indexes);
    tcase_add_test(tc, test_proofs_of_63_and_64_hashes_verify);
    tcase_add_test(tc, test_proving_refuses_what_is_out_of_range);
    tcase_add_test(tc, test_every_failure_of_the_source_comes_through);
    tcase_add_test(tc, test_tile_paths_read_and_write);
    tcase_add_test(tc, test_other_tile_paths_are_refused);
    tcase_add_test(tc, test_every_truncation_of_a_tile_path_is_another_tile_or_none);
    tcase_add_test(tc, test_tile_widths);
    tcase_add_test(tc, test_conformance_inclusion);
    tcase_add_test(tc, test_conformance_consistency);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(merkle_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
