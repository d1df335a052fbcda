/*
 * Hashing and the frontier. Octets that are hashed:
 *
 *   leaf       0x00 ‖ the leaf's octets
 *   node       0x01 ‖ left (32) ‖ right (32)
 *   empty tree nothing
 *
 * The prefixes keep a leaf from being passed off as a node and the other way round (RFC 6962, 2.1:
 * "this domain separation is required to give second preimage resistance").
 */
#include "merkle/merkle.h"

#include "base/assert.h"

struct sha256 merkle_leaf_hash(struct bytes leaf) {
    /* SPEC rfc6962 2.1: "MTH({d(0)}) = SHA-256(0x00 || d(0))." */
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, BYTES_LIT("\0"));
    sha256_update(&ctx, leaf);
    return sha256_final(&ctx);
}

struct sha256 merkle_node_hash(const struct sha256 *left, const struct sha256 *right) {
    /* SPEC rfc6962 2.1: "MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))" */
    uint8_t in[1 + 2 * sizeof left->octets];
    in[0] = 1;
    memcpy(in + 1, left->octets, sizeof left->octets);
    memcpy(in + 1 + sizeof left->octets, right->octets, sizeof right->octets);
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, (struct bytes){in, sizeof in});
    return sha256_final(&ctx);
}

struct sha256 merkle_empty_root(void) {
    /* SPEC rfc6962 2.1: "The hash of an empty list is the hash of an empty string" */
    return sha256_of((struct bytes){0});
}

void merkle_append(struct merkle_frontier *f, const struct sha256 *leaf,
                   void (*on_node)(void *ctx, unsigned level, uint64_t index,
                                   const struct sha256 *hash),
                   void *ctx) {
    ASSERT(f->size < MERKLE_SIZE_MAX);
    struct sha256 hash = *leaf;
    uint64_t index = f->size;
    unsigned level = 0;
    if (on_node != NULL) on_node(ctx, level, index, &hash);
    while ((index & 1) != 0) { /* a left sibling waits: together they are a node one level up */
        hash = merkle_node_hash(&f->edge[level], &hash);
        index >>= 1;
        level++;
        if (on_node != NULL) on_node(ctx, level, index, &hash);
    }
    f->edge[level] = hash;
    f->size++;
}

struct sha256 merkle_root(const struct merkle_frontier *f) {
    if (f->size == 0) return merkle_empty_root();
    unsigned level = (unsigned)__builtin_ctzll(f->size);
    struct sha256 root = f->edge[level];
    for (level++; level < 64; level++) {
        if ((f->size >> level & 1) != 0) root = merkle_node_hash(&f->edge[level], &root);
    }
    return root;
}
