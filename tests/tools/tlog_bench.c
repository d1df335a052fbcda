/*
 * tlog_bench DATA COUNT [IN_FLIGHT [THREADS [WORKERS [OCTETS]]]]: statements of about OCTETS
 * (2,048) are built, signed and logged in this process, COUNT of them, IN_FLIGHT (512) at a time,
 * by THREADS (1) submitters. DATA must not exist, or be a folder that an earlier run made. Prints
 * one JSON object: entries a second and the latency from handing over to the answer. An entry is
 * answered when the store and both anchors have it on disk.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "bundle/bundle.h"
#include "codec/codec.h"
#include "crypto/secret.h"
#include "dsse/dsse.h"
#include "file/file.h"
#include "obs/obs.h"
#include "store/terms.h"
#include "tlog/tlog.h"

#define ARENA_OCTETS ((size_t)1 << 20)

struct bench {
    struct signer *signer;
    struct store *store;
    struct tlog *log;
    uint64_t count, in_flight, threads, workers, octets;
    uint64_t salt;

    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct item *free_items; /* guarded by: lock */
    uint64_t next;           /* guarded by: lock; statement */
    uint64_t answered;       /* guarded by: lock */
    uint64_t *latencies_us;  /* count of them */
};

struct item {
    struct tlog_submission sub;
    struct bench *bench;
    struct item *next;
    struct arena arena;
    struct signature sig;
    uint64_t begun_us;
};

static void must(struct error *err, const char *what) {
    char text[512];
    if (err == NULL) return;
    error_text(err, text, sizeof text);
    (void)fprintf(stderr, "tlog_bench: %s: %s\n", what, text);
    exit(EXIT_FAILURE);
}

static void on_done(struct tlog_submission *sub, struct error *err) {
    struct item *it = sub->ctx;
    struct bench *b = it->bench;
    must(err, "log");
    uint64_t took = clock_mono_us(&clock_system) - it->begun_us;
    (void)pthread_mutex_lock(&b->lock);
    b->latencies_us[b->answered++] = took;
    it->next = b->free_items;
    b->free_items = it;
    (void)pthread_cond_signal(&b->freed);
    (void)pthread_mutex_unlock(&b->lock);
}

/* --- one statement, as a pipeline would make it */

static void put_statement(struct buf *out, const struct bench *b, uint64_t n) {
    uint64_t seed[2] = {b->salt, n};
    struct sha256 digest = sha256_of((struct bytes){(const uint8_t *)seed, sizeof seed});
    struct sha256 material = sha256_of(sha256_bytes(&digest));
    buf_put_cstr(out,
                 "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{"
                 "\"buildDefinition\":{\"buildType\":\"https://bench.test/build\","
                 "\"externalParameters\":{\"padding\":\"");
    while (out->len + 600 < b->octets) buf_put_cstr(out, "0123456789abcdef");
    buf_put_cstr(out, "\"},\"resolvedDependencies\":[{\"digest\":{\"sha256\":\"");
    hex_put(out, sha256_bytes(&material));
    buf_put_cstr(out,
                 "\"}}]},\"runDetails\":{\"builder\":{\"id\":\"https://bench.test/builder\"}}},"
                 "\"predicateType\":\"https://slsa.dev/provenance/v1\",\"subject\":[{"
                 "\"annotations\":{\"attestd_submitter\":{\"method\":\"token\",\"principal\":"
                 "\"token:bench\"}},\"digest\":{\"sha256\":\"");
    hex_put(out, sha256_bytes(&digest));
    buf_printf(out, "\"},\"name\":\"artifact-%llu\"}]}", (unsigned long long)n);
}

static void prepare(struct item *it, uint64_t n) {
    struct bench *b = it->bench;
    struct tlog_submission *s = &it->sub;
    struct buf payload;
    struct buf leaf;
    arena_done(&it->arena);
    arena_init(&it->arena, ARENA_OCTETS);
    *s = (struct tlog_submission){
        .kind = STORE_ENTRY_ATTESTATION, .done = on_done, .ctx = it, .dedup_ttl_ms = 86400000};
    buf_init_arena(&payload, &it->arena, ARENA_OCTETS / 4);
    put_statement(&payload, b, n);
    s->payload = buf_bytes(&payload);
    must(signer_sign_statement(b->signer, SIGNER_ATTESTATION, s->payload, &it->sig), "sign");
    s->signature = signature_bytes(&it->sig);
    struct dsse_envelope env = {.payload_type = BYTES_LIT(DSSE_INTOTO_TYPE),
                                .payload = s->payload,
                                .signature_count = 1,
                                .signatures = {{.sig = s->signature}}};
    buf_init_arena(&leaf, &it->arena, ARENA_OCTETS / 4);
    must(bundle_put_leaf(&leaf, &env, signer_public(b->signer, SIGNER_ATTESTATION)), "leaf");
    must(buf_finish(&leaf, "leaf"), "leaf");
    s->leaf = buf_bytes(&leaf);
    must(store_terms_of_payload(&it->arena, s->payload, &s->terms), "terms");
    s->content = s->dedup_key = sha256_of(s->payload);
}

static struct item *take(struct bench *b, uint64_t *out_n) {
    (void)pthread_mutex_lock(&b->lock);
    while (b->free_items == NULL && b->next < b->count)
        (void)pthread_cond_wait(&b->freed, &b->lock);
    struct item *it = b->next < b->count ? b->free_items : NULL;
    if (it != NULL) {
        b->free_items = it->next;
        *out_n = b->next++;
    } else {
        (void)pthread_cond_broadcast(&b->freed); /* the others end, too */
    }
    (void)pthread_mutex_unlock(&b->lock);
    return it;
}

static void *submit(void *arg) {
    struct bench *b = arg;
    uint64_t n = 0;
    for (struct item *it = take(b, &n); it != NULL; it = take(b, &n)) {
        prepare(it, n);
        it->begun_us = clock_mono_us(&clock_system);
        must(tlog_submit(b->log, &it->sub), "submit");
    }
    return NULL;
}

/* --- the log */

static void open_signer(struct bench *b, const char *dir) {
    struct secret *wrap = NULL;
    static const uint8_t fixed[32] = {1}; /* a bench's keys protect nothing */
    must(secret_of((struct bytes){fixed, sizeof fixed}, &wrap), "secret");
    struct error *err = signer_load(dir, wrap, &b->signer);
    if (err != NULL && error_code(err) == ERROR_NOT_FOUND) {
        error_ignore(err, "the first run makes them");
        must(signer_generate(&b->signer), "keys");
        err = signer_save(b->signer, dir, wrap);
    }
    must(err, "keys");
    secret_free(wrap);
}

static void open_log(struct bench *b, const char *dir) {
    struct file_path db;
    struct file_path inner;
    struct file_path outer;
    struct kv *kv = NULL;
    struct kv_rocksdb_options options = KV_ROCKSDB_DEFAULTS;
    must(file_make_dirs(dir, 0700), "folder");
    must(file_path_join(dir, "db", &db), "path");
    must(file_path_join(dir, "anchor", &inner), "path");
    must(file_path_join(dir, "outer-anchor", &outer), "path");
    open_signer(b, dir);
    must(kv_rocksdb_open(db.text, &options, &kv), "open");
    must(store_open(kv, &b->store), "open");
    struct tlog_options log = {.origin = BYTES_LIT("bench.test"),
                               .tree_id = 1,
                               .anchor_inner = inner.text,
                               .anchor_outer = outer.text,
                               .data_dir = dir,
                               .round_entries_max = 1024,
                               .queue_max = 8192,
                               .workers = (uint32_t)b->workers,
                               .clock = &clock_system};
    must(tlog_open(b->store, b->signer, &log, &b->log), "open");
    if (tlog_state(b->log) != TLOG_SERVING) {
        char why[512];
        tlog_why(b->log, why, sizeof why);
        must(error_new(ERROR_FAILED_PRECONDITION, "%s", why), "open");
    }
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void run(struct bench *b) {
    pthread_t threads[64];
    uint64_t first = tlog_head(b->log).size;
    uint64_t begun = clock_mono_us(&clock_system);
    for (uint64_t i = 0; i < b->threads; i++)
        if (pthread_create(&threads[i], NULL, submit, b) != 0) exit(EXIT_FAILURE);
    for (uint64_t i = 0; i < b->threads; i++) (void)pthread_join(threads[i], NULL);
    tlog_drain(b->log);
    double seconds = (double)(clock_mono_us(&clock_system) - begun) / 1e6;
    qsort(b->latencies_us, b->count, sizeof *b->latencies_us, compare_u64);
    printf(
        "{\"entries\":%llu,\"inFlight\":%llu,\"seconds\":%.3f,\"perSecond\":%.0f,"
        "\"p50Ms\":%.3f,\"p90Ms\":%.3f,\"p99Ms\":%.3f,\"size\":%llu}\n",
        (unsigned long long)b->count, (unsigned long long)b->in_flight, seconds,
        (double)(tlog_head(b->log).size - first) / seconds,
        (double)b->latencies_us[b->count / 2] / 1e3,
        (double)b->latencies_us[b->count * 9 / 10] / 1e3,
        (double)b->latencies_us[b->count * 99 / 100] / 1e3,
        (unsigned long long)tlog_head(b->log).size);
}

static uint64_t number(int argc, char **argv, int at, uint64_t otherwise, uint64_t max) {
    uint64_t v = otherwise;
    if (argc > at && (!bytes_to_u64(bytes_of_cstr(argv[at]), &v) || v > max)) {
        (void)fprintf(stderr, "tlog_bench: %s is no number up to %llu\n", argv[at],
                      (unsigned long long)max);
        exit(2);
    }
    return v;
}

int main(int argc, char **argv) {
    struct bench b = {.salt = clock_mono_us(&clock_system)};
    if (argc < 3) {
        (void)fprintf(stderr,
                      "usage: tlog_bench DATA COUNT [IN_FLIGHT [THREADS [WORKERS [OCTETS]]]]\n");
        return 2;
    }
    b.count = number(argc, argv, 2, 0, 100000000);
    b.in_flight = number(argc, argv, 3, 512, 8192);
    b.threads = number(argc, argv, 4, 1, 64);
    b.workers = number(argc, argv, 5, 1, 64);
    b.octets = number(argc, argv, 6, 2048, 65536);
    if (b.count == 0 || b.in_flight == 0 || b.threads == 0) return 2;
    (void)pthread_mutex_init(&b.lock, NULL);
    (void)pthread_cond_init(&b.freed, NULL);
    log_set_level(LOG_WARN);
    must(crypto_init(), "crypto");
    open_log(&b, argv[1]);
    struct item *items = alloc_zero(b.in_flight, sizeof *items);
    b.latencies_us = alloc_zero(b.count, sizeof *b.latencies_us);
    if (items == NULL || b.latencies_us == NULL) must(error_nomem(), "memory");
    for (uint64_t i = 0; i < b.in_flight; i++) {
        items[i].bench = &b;
        items[i].next = b.free_items;
        b.free_items = &items[i];
    }
    run(&b);
    tlog_free(b.log);
    store_free(b.store);
    signer_free(b.signer);
    for (uint64_t i = 0; i < b.in_flight; i++) arena_done(&items[i].arena);
    alloc_free(items);
    alloc_free(b.latencies_us);
    return EXIT_SUCCESS;
}
