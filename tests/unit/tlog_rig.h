/* tlog_rig: a log in a folder of its own, on memory or RocksDB, with a clock that is set by hand;
 * submissions that are real statements; and what every receipt must satisfy. For test_tlog*. */
#ifndef TESTS_TLOG_RIG_H
#define TESTS_TLOG_RIG_H

#include <check.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "bundle/bundle.h"
#include "codec/codec.h"
#include "crypto/secret.h"
#include "dsse/dsse.h"
#include "note/note.h"
#include "obs/obs.h"
#include "store/terms.h"
#include "tlog/tlog.h"

#define RIG_ORIGIN "log.test"
#define RIG_TREE_ID 42
#define RIG_START_MS (1767225600000LL) /* 2026-01-01T00:00:00Z */
#define DAY_MS (86400LL * 1000)

struct rig {
    char dir[64];
    char path_db[96];
    char path_inner[96];
    char path_outer[96];
    char path_disk[96]; /* a link: what it points to is the disk whose room is watched */
    bool rocksdb;
    struct signer *signer;
    struct store *store;
    struct tlog *log;
    struct tlog_options options;
    struct clock clock;
    _Atomic int64_t now_ms;

    int ack_fd; /* 1 + the descriptor that acknowledged entries are written to; 0: none */

    pthread_mutex_t lock;
    pthread_cond_t answered;
    size_t waiting; /* guarded by: lock; submissions without answer */
};

/* What a caller remembers of an acknowledged entry, outside of the log. */
struct ack {
    uint64_t n;
    uint64_t index;
    uint64_t tree_size;
    struct sha256 leaf_hash;
    struct sha256 root;
};

/* One submission, alive until sub_free. */
struct sub {
    struct tlog_submission s;
    struct rig *rig;
    uint64_t n;
    struct arena arena;
    struct signature sig;
    bool is_done;          /* guarded by: rig->lock */
    struct error *err;     /* owned; guarded by: rig->lock until is_done */
    char checkpoint[2048]; /* a copy */
};

static inline void ok(struct error *err) {
    char text[512] = "";
    if (err != NULL) error_text(err, text, sizeof text);
    ck_assert_msg(err == NULL, "%s", text);
}

/* fails checks that `err` has `code` and `reason`, and frees it. */
static inline void fails(struct error *err, enum error_code code, enum reason reason) {
    ck_assert_msg(err != NULL, "succeeded");
    char text[512];
    error_text(err, text, sizeof text);
    ck_assert_msg(error_code(err) == code, "%s: %s", error_code_name(error_code(err)), text);
    ck_assert_msg(error_reason(err) == reason, "%s: %s", reason_name(error_reason(err)), text);
    error_free(err);
}

static inline int64_t rig_unix_ms(void *ctx) { return atomic_load(&((struct rig *)ctx)->now_ms); }
static inline uint64_t rig_mono_us(void *ctx) {
    (void)ctx;
    return clock_mono_us(&clock_system);
}

static inline void rig_paths(struct rig *rig, const char *dir) {
    (void)snprintf(rig->dir, sizeof rig->dir, "%s", dir);
    (void)snprintf(rig->path_db, sizeof rig->path_db, "%s/db", dir);
    (void)snprintf(rig->path_inner, sizeof rig->path_inner, "%s/anchor", dir);
    (void)snprintf(rig->path_outer, sizeof rig->path_outer, "%s/outer/anchor", dir);
    (void)snprintf(rig->path_disk, sizeof rig->path_disk, "%s/disk", dir);
}

static inline void rig_init(struct rig *rig, bool rocksdb) {
    char dir[] = "/tmp/attestd-tlog-XXXXXX";
    *rig = (struct rig){.rocksdb = rocksdb};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    rig_paths(rig, dir);
    ck_assert_int_eq(symlink("/tmp", rig->path_disk), 0);
    log_set_level(LOG_ERROR + 1);
    ok(crypto_init());
    ok(signer_generate(&rig->signer));
    ck_assert_int_eq(pthread_mutex_init(&rig->lock, NULL), 0);
    ck_assert_int_eq(pthread_cond_init(&rig->answered, NULL), 0);
    atomic_store(&rig->now_ms, RIG_START_MS);
    rig->clock = (struct clock){rig_unix_ms, rig_mono_us, rig};
    rig->options = (struct tlog_options){.origin = BYTES_LIT(RIG_ORIGIN),
                                         .tree_id = RIG_TREE_ID,
                                         .anchor_inner = rig->path_inner,
                                         .anchor_outer = rig->path_outer,
                                         .data_dir = rig->path_disk,
                                         .round_entries_max = 256,
                                         .queue_max = 4096,
                                         .workers = 2,
                                         .clock = &rig->clock};
}

static inline void rig_open_store(struct rig *rig) {
    struct kv *kv = NULL;
    struct kv_rocksdb_options options = KV_ROCKSDB_DEFAULTS;
    if (rig->rocksdb)
        ok(kv_rocksdb_open(rig->path_db, &options, &kv));
    else
        ok(kv_mem_new(&kv));
    ok(store_open(kv, &rig->store));
}

static inline void rig_open_log(struct rig *rig) {
    ok(tlog_open(rig->store, rig->signer, &rig->options, &rig->log));
}

static inline void rig_close_log(struct rig *rig) { tlog_free(MOVE(rig->log)); }

static inline void rig_close(struct rig *rig) {
    rig_close_log(rig);
    store_free(MOVE(rig->store));
}

static inline void rig_open(struct rig *rig) {
    rig_open_store(rig);
    rig_open_log(rig);
}

static inline int rig_remove_one(const char *path, const struct stat *st, int type,
                                 struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void rig_remove(const char *dir) {
    (void)nftw(dir, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void rig_done(struct rig *rig) {
    rig_close(rig);
    signer_free(rig->signer);
    (void)pthread_cond_destroy(&rig->answered);
    (void)pthread_mutex_destroy(&rig->lock);
    rig_remove(rig->dir);
}

/* --- submissions */

static inline void sub_done(struct tlog_submission *s, struct error *err) {
    struct sub *sub = s->ctx;
    struct rig *rig = sub->rig;
    if (err == NULL && !s->existing) {
        ck_assert_uint_lt(s->checkpoint_v1_len, sizeof sub->checkpoint);
        ck_assert_uint_eq(strlen(s->checkpoint_v1), s->checkpoint_v1_len);
        memcpy(sub->checkpoint, s->checkpoint_v1, s->checkpoint_v1_len + 1);
        struct ack ack = {sub->n, s->index, s->tree_size, s->leaf_hash, s->root};
        if (rig->ack_fd > 0) ck_assert_int_eq(write(rig->ack_fd - 1, &ack, sizeof ack), sizeof ack);
    }
    (void)pthread_mutex_lock(&rig->lock);
    ck_assert(!sub->is_done);
    sub->err = err;
    sub->is_done = true;
    rig->waiting--;
    (void)pthread_cond_broadcast(&rig->answered);
    (void)pthread_mutex_unlock(&rig->lock);
}

static inline struct bytes sub_payload(struct sub *sub, uint64_t n) {
    struct buf out;
    struct sha256 digest = sha256_of((struct bytes){(const uint8_t *)&n, sizeof n});
    struct sha256 material = sha256_of(sha256_bytes(&digest));
    buf_init_arena(&out, &sub->arena, 1 << 16);
    buf_put_cstr(&out,
                 "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{"
                 "\"buildDefinition\":{\"buildType\":\"https://x.test/b\",\"externalParameters\":"
                 "{},\"resolvedDependencies\":[{\"digest\":{\"sha256\":\"");
    hex_put(&out, sha256_bytes(&material));
    buf_put_cstr(&out,
                 "\"}}]},\"runDetails\":{\"builder\":{\"id\":\"https://x.test/builder\"}}},"
                 "\"predicateType\":\"https://slsa.dev/provenance/v1\",\"subject\":[{"
                 "\"annotations\":{\"attestd_submitter\":{\"method\":\"token\",\"principal\":"
                 "\"token:ci\"}},\"digest\":{\"sha256\":\"");
    hex_put(&out, sha256_bytes(&digest));
    buf_printf(&out, "\"},\"name\":\"artifact-%llu\"}]}", (unsigned long long)n);
    ok(buf_finish(&out, "payload"));
    return buf_bytes(&out);
}

/* sub_new makes submission `n`: its content and its key are n's. */
static inline struct sub *sub_new(struct rig *rig, uint64_t n) {
    struct sub *sub = alloc_zero(1, sizeof *sub);
    ck_assert_ptr_nonnull(sub);
    sub->rig = rig;
    sub->n = n;
    arena_init(&sub->arena, 1 << 22);
    struct tlog_submission *s = &sub->s;
    s->kind = n % 5 == 4 ? STORE_ENTRY_DECISION : STORE_ENTRY_ATTESTATION;
    enum signer_purpose purpose = n % 5 == 4 ? SIGNER_DECISION : SIGNER_ATTESTATION;
    s->payload = sub_payload(sub, n);
    ok(signer_sign_statement(rig->signer, purpose, s->payload, &sub->sig));
    s->signature = signature_bytes(&sub->sig);
    struct dsse_envelope env = {.payload_type = BYTES_LIT(DSSE_INTOTO_TYPE),
                                .payload = s->payload,
                                .signature_count = 1,
                                .signatures = {{.sig = s->signature}}};
    struct buf leaf;
    buf_init_arena(&leaf, &sub->arena, 1 << 16);
    ok(bundle_put_leaf(&leaf, &env, signer_public(rig->signer, purpose)));
    s->leaf = buf_bytes(&leaf);
    ok(store_terms_of_payload(&sub->arena, s->payload, &s->terms));
    s->dedup_key = sha256_of(s->payload);
    s->content = s->dedup_key;
    s->done = sub_done;
    s->ctx = sub;
    return sub;
}

static inline void sub_free(struct sub *sub) {
    if (sub == NULL) return;
    error_free(sub->err);
    arena_done(&sub->arena);
    alloc_free(sub);
}

static inline struct error *sub_try(struct sub *sub) {
    (void)pthread_mutex_lock(&sub->rig->lock);
    sub->rig->waiting++;
    (void)pthread_mutex_unlock(&sub->rig->lock);
    struct error *err = tlog_submit(sub->rig->log, &sub->s);
    if (err == NULL) return NULL;
    (void)pthread_mutex_lock(&sub->rig->lock);
    sub->rig->waiting--;
    (void)pthread_mutex_unlock(&sub->rig->lock);
    return err;
}

static inline void rig_wait(struct rig *rig) {
    (void)pthread_mutex_lock(&rig->lock);
    while (rig->waiting > 0) (void)pthread_cond_wait(&rig->answered, &rig->lock);
    (void)pthread_mutex_unlock(&rig->lock);
}

/* rig_log logs submission `n` and waits. */
static inline struct sub *rig_log(struct rig *rig, uint64_t n) {
    struct sub *sub = sub_new(rig, n);
    ok(sub_try(sub));
    rig_wait(rig);
    return sub;
}

/* rig_log_many logs submissions first .. first + count - 1, in as many rounds as they make. */
static inline void rig_log_many(struct rig *rig, uint64_t first, uint64_t count) {
    struct sub **subs = alloc_zero(count, sizeof *subs);
    for (uint64_t i = 0; i < count; i++) subs[i] = sub_new(rig, first + i);
    for (uint64_t i = 0; i < count; i++) ok(sub_try(subs[i]));
    rig_wait(rig);
    for (uint64_t i = 0; i < count; i++) {
        ok(MOVE(subs[i]->err));
        sub_free(subs[i]);
    }
    alloc_free(subs);
}

/* --- a gate: holds one of the log's threads at a step until it is opened */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *step;
    bool shut;
    bool reached;
    unsigned built; /* rounds so far */
};
static struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void gate_step(void *ctx, const char *step) {
    struct gate *g = ctx;
    (void)pthread_mutex_lock(&g->lock);
    if (strcmp(step, "built") == 0) g->built++;
    (void)pthread_cond_broadcast(&g->changed);
    if (strcmp(step, g->step) == 0) {
        g->reached = true;
        (void)pthread_cond_broadcast(&g->changed);
        while (g->shut) (void)pthread_cond_wait(&g->changed, &g->lock);
    }
    (void)pthread_mutex_unlock(&g->lock);
}

static inline void gate_arm(struct rig *rig, const char *step) {
    rig->options.after_write = gate_step;
    rig->options.after_write_ctx = &gate;
    gate.step = step;
    gate.shut = false;
    gate.reached = false;
    gate.built = 0;
}

/* gate_await_built waits until `rounds` rounds were built since the gate was armed. */
static inline void gate_await_built(unsigned rounds) {
    (void)pthread_mutex_lock(&gate.lock);
    while (gate.built < rounds) (void)pthread_cond_wait(&gate.changed, &gate.lock);
    (void)pthread_mutex_unlock(&gate.lock);
}

static inline void gate_shut(void) {
    (void)pthread_mutex_lock(&gate.lock);
    gate.shut = true;
    gate.reached = false;
    (void)pthread_mutex_unlock(&gate.lock);
}

static inline void gate_await(void) {
    (void)pthread_mutex_lock(&gate.lock);
    while (!gate.reached) (void)pthread_cond_wait(&gate.changed, &gate.lock);
    (void)pthread_mutex_unlock(&gate.lock);
}

static inline void gate_open(void) {
    (void)pthread_mutex_lock(&gate.lock);
    gate.shut = false;
    (void)pthread_cond_broadcast(&gate.changed);
    (void)pthread_mutex_unlock(&gate.lock);
}

/* --- what must hold of every receipt */

/* check_note: `text` is a note by `key` of exactly (origin, size, root). */
static inline void check_note(struct bytes in, const char *origin, const struct public_key *key,
                              uint64_t size, const struct sha256 *root) {
    struct arena arena;
    struct note note;
    struct checkpoint cp;
    bool valid = false;
    arena_init(&arena, 1 << 16);
    ok(note_parse(&arena, in, &note));
    ok(note_verify(&note, BYTES_LIT(RIG_ORIGIN), key, &valid));
    ck_assert(valid);
    ck_assert_uint_eq(note.signature_count, 1);
    ok(checkpoint_parse(note.text, false, &cp));
    ck_assert(bytes_equal(cp.origin, bytes_of_cstr(origin)));
    ck_assert_uint_eq(cp.size, size);
    ck_assert(sha256_equal(&cp.root, root));
    arena_done(&arena);
}

static inline void check_set(const struct rig *rig, struct bytes leaf, int64_t integrated_s,
                             uint64_t index, struct bytes set) {
    struct buf text;
    bool valid = false;
    buf_init(&text, 1 << 20);
    bundle_put_set_payload(&text, leaf, integrated_s, signer_log_id(rig->signer), index);
    ok(public_key_verify(signer_public(rig->signer, SIGNER_LOG_V1), buf_bytes(&text), set, &valid));
    ck_assert(valid);
    buf_done(&text);
}

/* check_stored: the entry reads back, and its receipt can be made again. */
static inline void check_stored(struct rig *rig, const struct sub *sub) {
    struct arena arena;
    struct store_entry e;
    struct merkle_proof proof;
    struct bytes v1;
    struct bytes c2sp;
    struct sha256 root;
    bool found = false;
    arena_init(&arena, 1 << 20);
    ok(store_get_entry(rig->store, NULL, &arena, sub->s.index, &found, &e));
    ck_assert(found && bytes_equal(e.payload, sub->s.payload) && e.kind == sub->s.kind);
    ok(tlog_checkpoint(rig->log, &arena, e.tree_size, &v1, &c2sp, &root));
    ok(tlog_inclusion(rig->log, e.index, e.tree_size, &proof));
    struct sha256 leaf = merkle_leaf_hash(e.leaf);
    ck_assert(
        merkle_verify_inclusion(e.index, e.tree_size, &leaf, proof.hashes, proof.count, &root));
    check_set(rig, e.leaf, e.integrated_s, e.index, e.set);
    if (!sub->s.existing) { /* a repeat was signed anew, in vain */
        ck_assert(bytes_equal(e.leaf, sub->s.leaf) && bytes_equal(e.signature, sub->s.signature));
        ck_assert(bytes_equal(v1, bytes_of_cstr(sub->checkpoint)));
        ck_assert(bytes_equal(e.set, signature_bytes(&sub->s.set)));
        ck_assert_uint_eq(e.tree_size, sub->s.tree_size);
    }
    arena_done(&arena);
}

static inline void check_receipt(struct rig *rig, const struct sub *sub) {
    const struct tlog_submission *s = &sub->s;
    struct sha256 leaf = merkle_leaf_hash(s->leaf);
    ck_assert(sha256_equal(&leaf, &s->leaf_hash));
    ck_assert(merkle_verify_inclusion(s->index, s->tree_size, &leaf, s->proof.hashes,
                                      s->proof.count, &s->root));
    check_set(rig, s->leaf, s->integrated_s, s->index, signature_bytes(&s->set));
    check_note(bytes_of_cstr(sub->checkpoint), RIG_ORIGIN " - 42",
               signer_public(rig->signer, SIGNER_LOG_V1), s->tree_size, &s->root);
    check_stored(rig, sub);
}

/* --- what a start says */

static inline void is_read_only(struct rig *rig, const char *because) {
    char why[512];
    struct sub *sub = sub_new(rig, 5000);
    ck_assert_int_eq(tlog_state(rig->log), TLOG_READ_ONLY);
    tlog_why(rig->log, why, sizeof why);
    ck_assert_msg(strstr(why, because) != NULL, "%s", why);
    fails(sub_try(sub), ERROR_FAILED_PRECONDITION, REASON_LOG_READ_ONLY);
    sub_free(sub);
}

static inline void is_serving(struct rig *rig, uint64_t size) {
    char why[512];
    tlog_why(rig->log, why, sizeof why);
    ck_assert_msg(tlog_state(rig->log) == TLOG_SERVING, "%s", why);
    ck_assert_uint_eq(tlog_head(rig->log).size, size);
}

/* --- rows by hand */

static inline struct bytes key_of(struct arena *arena, const struct store_key *key) {
    struct buf out;
    buf_init_arena(&out, arena, 256);
    store_key_put(&out, key);
    return buf_bytes(&out);
}

static inline struct bytes get_raw(struct rig *rig, struct arena *arena, enum kv_family family,
                                   struct bytes key) {
    bool found = false;
    struct bytes value = {0};
    ok(kv_get(store_kv(rig->store), NULL, family, key, arena, &found, &value));
    ck_assert(found);
    return value;
}

/* set_raw puts a row, or takes it away where `value` has no data. */
static inline void set_raw(struct rig *rig, enum kv_family family, struct bytes key,
                           struct bytes value) {
    struct kv *kv = store_kv(rig->store);
    struct kv_batch *b = kv_batch_new(kv);
    if (value.data == NULL)
        kv_batch_delete(kv, b, family, key);
    else
        kv_batch_put(kv, b, family, key, value);
    ok(kv_write(kv, b));
    kv_batch_free(kv, b);
}

static inline struct bytes flipped(struct arena *arena, struct bytes in, size_t at) {
    struct bytes copy = arena_copy(arena, in);
    ((uint8_t *)copy.data)[at] ^= 1;
    return copy;
}

static inline struct store_entry entry_at(struct rig *rig, struct arena *arena, uint64_t index) {
    struct store_entry e;
    bool found = false;
    ok(store_get_entry(rig->store, NULL, arena, index, &found, &e));
    ck_assert(found);
    return e;
}

static inline struct bytes entry_record(struct arena *arena, const struct store_entry *e) {
    struct buf value;
    buf_init_arena(&value, arena, 1 << 20);
    store_entry_encode(&value, e);
    return buf_bytes(&value);
}

static inline void put_checkpoint(struct rig *rig, uint64_t size, struct bytes v1,
                                  struct bytes c2sp) {
    CLEANUP(store_round_freep) struct store_round *r = NULL;
    ok(store_round_new(rig->store, &r));
    store_round_checkpoint(r, size, v1, c2sp);
    ok(store_round_commit(r));
}

/* --- fsck */

struct fsck_lines {
    size_t problems;
    char text[1 << 17];
    size_t len;
};

static inline void fsck_line(void *ctx, bool problem, const char *line) {
    struct fsck_lines *l = ctx;
    if (problem) l->problems++;
    int n =
        snprintf(l->text + l->len, sizeof l->text - l->len, "%s%s\n", problem ? "! " : "", line);
    if (n > 0 && (size_t)n < sizeof l->text - l->len) l->len += (size_t)n;
}

static inline struct tlog_fsck_report rig_fsck(struct rig *rig, struct fsck_lines *lines) {
    struct tlog_fsck_report report = {0};
    *lines = (struct fsck_lines){0};
    ok(tlog_fsck(rig->store, rig->signer, &rig->options, fsck_line, lines, &report));
    ck_assert_uint_eq(report.problems, lines->problems);
    return report;
}

static inline void rig_fsck_is_clean(struct rig *rig, uint64_t entries) {
    struct fsck_lines lines;
    struct tlog_fsck_report report = rig_fsck(rig, &lines);
    ck_assert_msg(report.problems == 0, "%s", lines.text);
    ck_assert_uint_eq(report.entries, entries);
}

#endif
