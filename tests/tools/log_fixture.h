/* log_fixture: a small transparency log in memory, made by the product's own functions: keys,
 * entries, receipts of any entry at any later size, trust files. For the tests of receipts. */
#ifndef TESTS_LOG_FIXTURE_H
#define TESTS_LOG_FIXTURE_H

#include "base/alloc.h"
#include "bundle/bundle.h"
#include "note/note.h"

#define FIXTURE_ORIGIN "attestd.test"
#define FIXTURE_CHECKPOINT_ORIGIN "attestd.test - 4611686018427387905"
#define FIXTURE_ENTRIES_MAX 300
#define FIXTURE_START_S 1767225600 /* 2026-01-01T00:00:00Z: the keys are valid from here */

enum fixture_key { FIXTURE_ATTESTATION, FIXTURE_DECISION, FIXTURE_LOG_V1, FIXTURE_LOG_C2SP };

struct fixture_entry {
    enum fixture_key purpose;
    struct bytes payload;
    struct signature signature;
    struct bytes leaf;
    struct sha256 leaf_hash;
    int64_t integrated_s;
    struct signature set;
};

struct fixture {
    struct arena arena;
    struct signing_key *keys[4]; /* by enum fixture_key */
    size_t count;
    struct fixture_entry entries[FIXTURE_ENTRIES_MAX];
};

static inline struct error *fixture_init(struct fixture *f) {
    *f = (struct fixture){0};
    arena_init(&f->arena, (size_t)64 << 20);
    TRY(crypto_init());
    TRY(signing_key_generate(KEY_P256, &f->keys[FIXTURE_ATTESTATION]));
    TRY(signing_key_generate(KEY_P256, &f->keys[FIXTURE_DECISION]));
    TRY(signing_key_generate(KEY_P256, &f->keys[FIXTURE_LOG_V1]));
    return signing_key_generate(KEY_ED25519, &f->keys[FIXTURE_LOG_C2SP]);
}

static inline void fixture_done(struct fixture *f) {
    for (size_t i = 0; i < 4; i++) signing_key_free(f->keys[i]);
    arena_done(&f->arena);
}

static inline const struct public_key *fixture_public(const struct fixture *f,
                                                      enum fixture_key which) {
    return signing_key_public(f->keys[which]);
}

/* fixture_sign_statement signs the PAE of `payload`. */
static inline struct error *fixture_sign_statement(struct fixture *f, enum fixture_key which,
                                                   struct bytes payload, struct signature *out) {
    struct buf pae;
    buf_init_arena(&pae, &f->arena, (size_t)1 << 20);
    dsse_put_pae(&pae, BYTES_LIT(DSSE_INTOTO_TYPE), payload);
    TRY(buf_finish(&pae, "pae"));
    return signing_key_sign(f->keys[which], buf_bytes(&pae), out);
}

static inline struct sha256 fixture_log_id(const struct fixture *f) {
    return note_log_id_spki(public_key_spki(fixture_public(f, FIXTURE_LOG_V1)));
}

/* fixture_log puts `leaf`, of the statement signed into `e`, into the log, with its SET. */
static inline struct error *fixture_log(struct fixture *f, struct bytes leaf) {
    struct fixture_entry *e = &f->entries[f->count];
    struct sha256 log_id = fixture_log_id(f);
    struct buf set;
    buf_init_arena(&set, &f->arena, (size_t)2 << 20);
    bundle_put_set_payload(&set, leaf, e->integrated_s, &log_id, f->count);
    TRY(buf_finish(&set, "set"));
    TRY(signing_key_sign(f->keys[FIXTURE_LOG_V1], buf_bytes(&set), &e->set));
    e->leaf = leaf;
    e->leaf_hash = merkle_leaf_hash(leaf);
    f->count++;
    return NULL;
}

/* fixture_add signs `payload` (borrowed while `f` lives), and logs it at `integrated_s`. */
static inline struct error *fixture_add(struct fixture *f, enum fixture_key which,
                                        struct bytes payload, int64_t integrated_s) {
    struct fixture_entry *e = &f->entries[f->count];
    *e = (struct fixture_entry){.purpose = which, .payload = payload, .integrated_s = integrated_s};
    TRY(fixture_sign_statement(f, which, payload, &e->signature));
    struct dsse_envelope env = {.payload_type = BYTES_LIT(DSSE_INTOTO_TYPE),
                                .payload = payload,
                                .signature_count = 1,
                                .signatures = {{.sig = signature_bytes(&e->signature)}}};
    struct buf leaf;
    buf_init_arena(&leaf, &f->arena, (size_t)1 << 20);
    TRY(bundle_put_leaf(&leaf, &env, fixture_public(f, which)));
    return fixture_log(f, buf_bytes(&leaf));
}

/* The root of the leaves [from, from + width) of a perfect subtree, by the definition. */
static inline struct sha256 fixture_node(const struct fixture *f, size_t from, size_t width) {
    if (width == 1) return f->entries[from].leaf_hash;
    struct sha256 left = fixture_node(f, from, width / 2);
    struct sha256 right = fixture_node(f, from + width / 2, width / 2);
    return merkle_node_hash(&left, &right);
}

static inline struct error *fixture_source(void *ctx, unsigned level, uint64_t index,
                                           struct sha256 *out) {
    *out = fixture_node(ctx, (size_t)(index << level), (size_t)1 << level);
    return NULL;
}

static inline struct sha256 fixture_root(const struct fixture *f, size_t size) {
    struct merkle_frontier frontier = {0};
    for (size_t i = 0; i < size; i++)
        merkle_append(&frontier, &f->entries[i].leaf_hash, NULL, NULL);
    return merkle_root(&frontier);
}

/* fixture_note signs a note over `text` with the log's P-256 key, one line under `name`. */
static inline struct error *fixture_note(struct fixture *f, struct bytes text, struct bytes name,
                                         struct bytes *out) {
    struct signature sig;
    TRY(signing_key_sign(f->keys[FIXTURE_LOG_V1], text, &sig));
    struct sha256 log_id = fixture_log_id(f);
    struct buf note;
    buf_init_arena(&note, &f->arena, 4096);
    buf_put(&note, text);
    note_put_signature(&note, true, name, note_hint(&log_id), signature_bytes(&sig));
    *out = buf_bytes(&note);
    return buf_finish(&note, "note");
}

/* fixture_checkpoint gives a signed v1-form checkpoint, in memory of the fixture. */
static inline struct error *fixture_checkpoint(struct fixture *f, const char *origin, uint64_t size,
                                               const struct sha256 *root, struct bytes *out) {
    struct buf body;
    buf_init_arena(&body, &f->arena, 4096);
    checkpoint_put_body(&body, bytes_of_cstr(origin), size, root);
    TRY(buf_finish(&body, "checkpoint"));
    return fixture_note(f, buf_bytes(&body), BYTES_LIT(FIXTURE_ORIGIN), out);
}

/* fixture_receipt fills in the receipt of entry `index` in the tree of `size` leaves; it borrows
 * from `f`. */
static inline struct error *fixture_receipt(struct fixture *f, size_t index, size_t size,
                                            struct bundle_receipt *out) {
    const struct fixture_entry *e = &f->entries[index];
    struct merkle_source source = {fixture_source, f};
    *out = (struct bundle_receipt){
        .payload = e->payload,
        .signature = signature_bytes(&e->signature),
        .leaf = e->leaf,
        .log_id = fixture_log_id(f),
        .index = index,
        .integrated_s = e->integrated_s,
        .set = signature_bytes(&e->set),
        .tree_size = size,
        .root = fixture_root(f, size),
    };
    bundle_key_hint(fixture_public(f, e->purpose), out->key_hint);
    TRY(merkle_prove_inclusion(&source, index, size, &out->proof));
    return fixture_checkpoint(f, FIXTURE_CHECKPOINT_ORIGIN, size, &out->root, &out->checkpoint_v1);
}

static inline struct trust_source fixture_trust(const struct fixture *f) {
    return (struct trust_source){
        .origin = BYTES_LIT(FIXTURE_ORIGIN),
        .log_v1 = fixture_public(f, FIXTURE_LOG_V1),
        .log_c2sp = fixture_public(f, FIXTURE_LOG_C2SP),
        .attestation = fixture_public(f, FIXTURE_ATTESTATION),
        .decision = fixture_public(f, FIXTURE_DECISION),
        .valid_from_s = FIXTURE_START_S,
    };
}

#endif
