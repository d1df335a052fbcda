/* service_rig: a service over a log on memory, with clocks that are set by hand; calls that wait
 * for their answer; and what every receipt must satisfy. For test_service*. */
#ifndef TESTS_SERVICE_RIG_H
#define TESTS_SERVICE_RIG_H

#include <check.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bundle/bundle.h"
#include "codec/codec.h"
#include "crypto/secret.h"
#include "obs/obs.h"
#include "service/service.h"

#define T(s) TEXT_LIT(s)
#define RIG_ORIGIN "log.test"
#define RIG_BUILDER "https://log.test/builder/submitted/v1"
#define RIG_START_MS (1767225600000LL) /* 2026-01-01T00:00:00Z */
#define MINUTE_MS (60000LL)
#define DAY_MS (86400LL * 1000)
#define CALL_ARENA_MAX ((size_t)16 << 20) /* as rpc gives */
#define TYPE "https://p.example/v1"

struct rig {
    char dir[64], inner[96], outer[96];
    struct kv *kv; /* the store's */
    struct signer *signer;
    struct store *store;
    struct tlog *log;
    struct service *service;
    struct tlog_options log_options;
    struct service_options options;
    struct clock clock;
    _Atomic int64_t now_ms;
    _Atomic uint64_t mono_us;
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

static inline void fails_field(struct error *err, const char *field) {
    ck_assert_msg(err != NULL, "accepted, expected refusal of %s", field);
    ck_assert_str_eq(error_field(err), field);
    fails(err, ERROR_INVALID_ARGUMENT, REASON_INVALID_FIELD);
}

static inline int64_t rig_unix_ms(void *ctx) { return atomic_load(&((struct rig *)ctx)->now_ms); }
static inline uint64_t rig_mono_us(void *ctx) { return atomic_load(&((struct rig *)ctx)->mono_us); }

static inline void rig_open(struct rig *rig) {
    ok(kv_mem_new(&rig->kv));
    ok(store_open(rig->kv, &rig->store));
    ok(tlog_open(rig->store, rig->signer, &rig->log_options, &rig->log));
    rig->options.store = rig->store;
    rig->options.tlog = rig->log;
    ok(service_new(&rig->options, &rig->service));
}

static inline void rig_close(struct rig *rig) {
    service_free(MOVE(rig->service));
    tlog_free(MOVE(rig->log));
    store_free(MOVE(rig->store));
}

static inline void rig_init(struct rig *rig) {
    char dir[] = "/tmp/attestd-service-XXXXXX";
    *rig = (struct rig){0};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(rig->dir, sizeof rig->dir, "%s", dir);
    (void)snprintf(rig->inner, sizeof rig->inner, "%s/anchor", dir);
    (void)snprintf(rig->outer, sizeof rig->outer, "%s/outer/anchor", dir);
    log_set_level(LOG_ERROR + 1);
    ok(crypto_init());
    ok(signer_generate(&rig->signer));
    atomic_store(&rig->now_ms, RIG_START_MS);
    atomic_store(&rig->mono_us, 1000000);
    rig->clock = (struct clock){rig_unix_ms, rig_mono_us, rig};
    rig->log_options = (struct tlog_options){.origin = BYTES_LIT(RIG_ORIGIN),
                                             .tree_id = 42,
                                             .anchor_inner = rig->inner,
                                             .anchor_outer = rig->outer,
                                             .data_dir = rig->dir,
                                             .round_entries_max = 256,
                                             .queue_max = 4096,
                                             .workers = 1,
                                             .clock = &rig->clock};
    rig->options = (struct service_options){.signer = rig->signer,
                                            .clock = &rig->clock,
                                            .entropy = &entropy_system,
                                            .origin = BYTES_LIT(RIG_ORIGIN),
                                            .created_s = RIG_START_MS / 1000,
                                            .limits = SERVICE_LIMITS_DEFAULT};
}

static inline int rig_remove_one(const char *path, const struct stat *st, int type,
                                 struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void rig_done(struct rig *rig) {
    rig_close(rig);
    signer_free(rig->signer);
    (void)nftw(rig->dir, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- who asks */

#define ALL_SCOPES (SCOPE_ATTEST | SCOPE_READ | SCOPE_GATE)
static const struct principal ci = {
    .name = T("token:ci-1"), .method = T("token"), .scopes = ALL_SCOPES};
static const struct principal other = {
    .name = T("token:ci-2"), .method = T("token"), .scopes = ALL_SCOPES};
static const struct principal nobody = {.name = T("token:none"), .method = T("token")};

/* --- submissions */

static inline struct text rig_hex(struct arena *arena, uint64_t n) {
    struct buf b;
    struct sha256 h = sha256_of((struct bytes){(const uint8_t *)&n, sizeof n});
    buf_init_arena(&b, arena, 64);
    hex_put(&b, sha256_bytes(&h));
    ok(buf_finish(&b, "hex"));
    return (struct text){(const char *)b.data, b.len};
}

/* The node "sha256:<hex>" of artifact `n`. */
static inline struct text rig_node(struct arena *arena, uint64_t n) {
    struct buf b;
    buf_init_arena(&b, arena, 80);
    buf_put_cstr(&b, "sha256:");
    buf_put_text(&b, rig_hex(arena, n));
    return (struct text){(const char *)b.data, b.len};
}

static inline struct intoto_resource rig_resource(struct arena *arena, uint64_t n) {
    struct intoto_digest *d = arena_alloc(arena, sizeof *d);
    struct buf name;
    buf_init_arena(&name, arena, 64);
    buf_printf(&name, "artifact-%llu", (unsigned long long)n);
    *d = (struct intoto_digest){T("sha256"), rig_hex(arena, n)};
    return (struct intoto_resource){
        .name = {(const char *)name.data, name.len}, .digests = d, .digest_count = 1};
}

/* A call of attest, alive until call_done. */
struct call {
    struct service_attest req;
    struct service_attested out;
    struct arena arena;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_ready; /* guarded by: lock */
};

static inline void call_ready(struct service_attest *req) {
    struct call *c = req->ctx;
    (void)pthread_mutex_lock(&c->lock);
    c->is_ready = true;
    (void)pthread_cond_signal(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

static inline void call_init(struct call *c, const struct principal *p) {
    *c = (struct call){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    arena_init(&c->arena, CALL_ARENA_MAX);
    c->req =
        (struct service_attest){.arena = &c->arena, .principal = p, .ready = call_ready, .ctx = c};
}

static inline void call_done(struct call *c) { arena_done(&c->arena); }

static inline void call_subject(struct call *c, uint64_t n) {
    struct intoto_resource *subject = arena_alloc(&c->arena, sizeof *subject);
    *subject = rig_resource(&c->arena, n);
    c->req.submission.subjects = subject;
    c->req.submission.subject_count = 1;
}

/* Artifact `n` was built from artifact `material` (itself: from nothing). */
static inline void call_provenance(struct call *c, uint64_t n, uint64_t material) {
    call_subject(c, n);
    c->req.submission.kind = INTOTO_PREDICATE_PROVENANCE;
    c->req.submission.provenance = (struct intoto_provenance){.build_type = T("https://b.test/v1")};
    if (material == n) return;
    struct intoto_resource *from = arena_alloc(&c->arena, sizeof *from);
    *from = rig_resource(&c->arena, material);
    c->req.submission.provenance.resolved_dependencies = from;
    c->req.submission.provenance.resolved_dependency_count = 1;
}

static inline void call_document(struct call *c, uint64_t n, const char *type, const char *json) {
    call_subject(c, n);
    c->req.submission.kind = INTOTO_PREDICATE_OCTETS;
    c->req.submission.predicate_type = text_of_cstr(type);
    c->req.submission.octets = bytes_of_cstr(json);
}

/* call_run asks and waits. */
static inline struct error *call_run(struct rig *rig, struct call *c) {
    bool pending = false;
    c->is_ready = false;
    TRY(service_attest_begin(rig->service, &c->req, &pending));
    (void)pthread_mutex_lock(&c->lock);
    while (pending && !c->is_ready) (void)pthread_cond_wait(&c->changed, &c->lock);
    (void)pthread_mutex_unlock(&c->lock);
    return service_attest_finish(&c->req, &c->out);
}

static inline uint64_t rig_attest(struct rig *rig, uint64_t n, uint64_t material) {
    struct call c;
    call_init(&c, &ci);
    call_provenance(&c, n, material);
    ok(call_run(rig, &c));
    uint64_t index = c.out.index;
    call_done(&c);
    return index;
}

static inline uint64_t rig_document(struct rig *rig, uint64_t n, const char *type,
                                    const char *json) {
    struct call c;
    call_init(&c, &ci);
    call_document(&c, n, type, json);
    ok(call_run(rig, &c));
    uint64_t index = c.out.index;
    call_done(&c);
    return index;
}

/* A log of provenance chains and documents: artifact n from n + 1, for n = 0 to 9; then documents
 * of two types about artifact 0, then one about artifact 50. */
static inline void rig_fill(struct rig *rig) {
    rig_init(rig);
    rig_open(rig);
    for (uint64_t n = 0; n < 10; n++) (void)rig_attest(rig, n, n + 1);
    for (int i = 0; i < 6; i++) {
        char json[32];
        (void)snprintf(json, sizeof json, "{\"i\":%d}", i);
        (void)rig_document(rig, 0, i % 2 == 0 ? TYPE : "https://q.example/v1", json);
    }
    (void)rig_document(rig, 50, TYPE, "{}");
    ck_assert_uint_eq(tlog_head(rig->log).size, 17);
}

/* rig_verify checks a receipt offline, as its holder would with the published trust files. */
static inline void rig_verify(struct rig *rig, struct arena *arena, struct bytes receipt,
                              struct bundle_verification *out) {
    struct service_trust files = service_trust(rig->service);
    struct trust trust;
    ok(trust_load(files.trusted_root, files.signing_keys, &trust));
    ok(bundle_verify(arena, receipt, &trust, NULL, (struct bytes){0}, out));
    trust_done(&trust);
    ck_assert_msg(out->verdict == BUNDLE_VERIFIED, "%s", out->reason);
}

#endif
