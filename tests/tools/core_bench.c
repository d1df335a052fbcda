/*
 * core_bench DATA COUNT [IN_FLIGHT]: submits COUNT distinct statements of the size that `attest
 * bench submit` sends through the service in this process: the same checks, signatures, round, sync
 * and receipt, without network and codec. Prints one JSON object. DATA is opened, or made; it is
 * also how a store of a million entries is filled.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/reader.h"
#include "codec/codec.h"
#include "instance/instance.h"
#include "obs/obs.h"
#include "service/service.h"

#define ARENA_MAX ((size_t)4 << 20)
#define SUBMITTERS 2 /* threads, as a server has reactors */

struct slot {
    struct arena arena;
    struct service_attest req;
    struct worker *worker;
    struct slot *next; /* in worker->ready */
    uint64_t begun_us;
    bool fresh; /* never used: not to be finished */
};

struct worker {
    pthread_t thread;
    struct service *service;
    pthread_mutex_t lock; /* guards `ready` */
    pthread_cond_t wake;
    struct slot *ready; /* finished by the log, or never used */
    struct slot *slots;
    size_t slot_count;
    uint64_t from, count; /* which statements are its */
    uint64_t salt;
    uint64_t *latencies_us; /* count of them */
    uint64_t done;
};

static void die(struct error *err, const char *what) {
    char text[512];
    if (err == NULL) return;
    error_text(err, text, sizeof text);
    (void)fprintf(stderr, "core_bench: %s: %s\n", what, text);
    exit(EXIT_FAILURE);
}

static const struct principal bench = {
    .name = {"token:bench", 11}, .method = {"token", 5}, .scopes = SCOPE_ATTEST | SCOPE_READ};

static void on_ready(struct service_attest *req) {
    struct slot *slot = req->ctx;
    struct worker *w = slot->worker;
    (void)pthread_mutex_lock(&w->lock);
    slot->next = w->ready;
    w->ready = slot;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

static struct slot *take_ready(struct worker *w) {
    (void)pthread_mutex_lock(&w->lock);
    while (w->ready == NULL) (void)pthread_cond_wait(&w->wake, &w->lock);
    struct slot *slot = w->ready;
    w->ready = slot->next;
    (void)pthread_mutex_unlock(&w->lock);
    return slot;
}

/* A provenance about a digest that nobody saw before, with three materials. */
static struct text hex_of(struct arena *arena, uint64_t salt, uint64_t n) {
    struct buf hex;
    uint64_t seed[2] = {salt, n};
    struct sha256 h = sha256_of((struct bytes){(const uint8_t *)seed, sizeof seed});
    buf_init_arena(&hex, arena, 64);
    hex_put(&hex, sha256_bytes(&h));
    return (struct text){(const char *)hex.data, hex.len};
}

static struct intoto_resource *resources(struct arena *arena, uint64_t salt, uint64_t n,
                                         size_t count) {
    struct intoto_resource *r = arena_alloc(arena, count * sizeof *r);
    struct intoto_digest *d = arena_alloc(arena, count * sizeof *d);
    if (r == NULL || d == NULL) die(error_nomem(), "statement");
    for (size_t i = 0; i < count; i++) {
        d[i] = (struct intoto_digest){TEXT_LIT("sha256"), hex_of(arena, salt + i, n)};
        r[i] = (struct intoto_resource){.name = TEXT_LIT("registry.example/bench/artifact"),
                                        .digests = &d[i],
                                        .digest_count = 1};
    }
    return r;
}

static void submit(struct worker *w, struct slot *slot, uint64_t n) {
    bool pending = false;
    struct arena *a = &slot->arena;
    arena_init(a, ARENA_MAX);
    slot->fresh = false;
    slot->req =
        (struct service_attest){.arena = a, .principal = &bench, .ready = on_ready, .ctx = slot};
    slot->req.submission = (struct intoto_submission){
        .subjects = resources(a, w->salt, n, 1),
        .subject_count = 1,
        .kind = INTOTO_PREDICATE_PROVENANCE,
        .provenance = {.build_type = TEXT_LIT("https://example.com/bench/v1"),
                       .resolved_dependencies = resources(a, w->salt + 1000, n % 1000, 3),
                       .resolved_dependency_count = 3,
                       .invocation_id = TEXT_LIT("https://ci.example/runs/1")},
    };
    slot->begun_us = clock_mono_us(&clock_system);
    die(service_attest_begin(w->service, &slot->req, &pending), "begin");
    if (!pending) on_ready(&slot->req);
}

static void finish(struct worker *w, struct slot *slot) {
    struct service_attested result;
    if (slot->fresh) return;
    die(service_attest_finish(&slot->req, &result), "finish");
    w->latencies_us[w->done++] = clock_mono_us(&clock_system) - slot->begun_us;
    arena_done(&slot->arena);
}

static void *work(void *arg) {
    struct worker *w = arg;
    for (size_t i = 0; i < w->slot_count; i++) {
        w->slots[i].worker = w;
        w->slots[i].fresh = true;
        w->slots[i].next = w->ready;
        w->ready = &w->slots[i];
    }
    for (uint64_t n = 0; n < w->count; n++) {
        struct slot *slot = take_ready(w);
        finish(w, slot);
        submit(w, slot, w->from + n);
    }
    while (w->done < w->count) finish(w, take_ready(w));
    return NULL;
}

static int by_value(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void run(struct service *service, uint64_t count, size_t in_flight) {
    struct worker workers[SUBMITTERS] = {0};
    uint64_t *all = alloc_zero((size_t)count, sizeof *all);
    uint64_t share = count / SUBMITTERS, salt = 0;
    if (all == NULL) die(error_nomem(), "latencies");
    die(entropy_fill(&entropy_system, (uint8_t *)&salt, sizeof salt), "salt");
    uint64_t begun = clock_mono_us(&clock_system);
    for (size_t i = 0; i < SUBMITTERS; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){.service = service, .from = share * i, .count = share, .salt = salt};
        w->latencies_us = all + share * i;
        w->slot_count = in_flight / SUBMITTERS == 0 ? 1 : in_flight / SUBMITTERS;
        w->slots = alloc_zero(w->slot_count, sizeof *w->slots);
        if (w->slots == NULL) die(error_nomem(), "slots");
        (void)pthread_mutex_init(&w->lock, NULL);
        (void)pthread_cond_init(&w->wake, NULL);
        if (pthread_create(&w->thread, NULL, work, w) != 0) exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < SUBMITTERS; i++) (void)pthread_join(workers[i].thread, NULL);
    uint64_t total = share * SUBMITTERS, took = clock_mono_us(&clock_system) - begun;
    qsort(all, (size_t)total, sizeof *all, by_value);
    (void)printf(
        "{\"workload\":\"core\",\"achievedPerSecond\":%.0f,\"p50Ms\":%.3f,\"p90Ms\":%.3f,"
        "\"p99Ms\":%.3f,\"p999Ms\":%.3f,\"errors\":0,\"entries\":%llu}\n",
        (double)total * 1e6 / (double)took, (double)all[total / 2] / 1000,
        (double)all[total * 9 / 10] / 1000, (double)all[total * 99 / 100] / 1000,
        (double)all[total * 999 / 1000] / 1000, (unsigned long long)total);
    for (size_t i = 0; i < SUBMITTERS; i++) alloc_free(workers[i].slots);
    alloc_free(all);
}

struct core {
    struct instance *instance;
    struct tlog *tlog;
    struct service *service;
};

static void open_instance(struct core *c, const char *data) {
    enum instance_state state;
    const struct instance_init init = {0};
    char anchor[4096]; /* where tests/bench/run.sh has the server look */
    (void)snprintf(anchor, sizeof anchor, "%s.anchor", data);
    const struct instance_options options = {.data = data,
                                             .anchor = anchor,
                                             .db = KV_ROCKSDB_DEFAULTS,
                                             .clock = &clock_system,
                                             .entropy = &entropy_system};
    die(instance_look(data, &state), "look");
    if (state == INSTANCE_EMPTY) die(instance_init(&options, &init), "init");
    die(instance_open(&options, &c->instance), "open");
}

static void open_core(struct core *c, const char *data) {
    open_instance(c, data);
    const struct instance_facts *facts = instance_facts(c->instance);
    const struct tlog_options log = {.origin = bytes_of_text(facts->origin),
                                     .tree_id = facts->tree_id,
                                     .anchor_inner = instance_anchor_inner(c->instance),
                                     .anchor_outer = instance_anchor_outer(c->instance),
                                     .data_dir = instance_data(c->instance),
                                     .round_entries_max = 1024,
                                     .queue_max = 8192,
                                     .workers = 2,
                                     .clock = &clock_system};
    struct store *store = instance_store(c->instance);
    die(tlog_open(store, instance_signer(c->instance), &log, &c->tlog), "log");
    const struct service_options options = {.store = store,
                                            .tlog = c->tlog,
                                            .signer = instance_signer(c->instance),
                                            .clock = &clock_system,
                                            .entropy = &entropy_system,
                                            .origin = bytes_of_text(facts->origin),
                                            .created_s = facts->created_ms / 1000,
                                            .limits = SERVICE_LIMITS_DEFAULT};
    die(service_new(&options, &c->service), "service");
}

static void close_core(struct core *c) {
    tlog_drain(c->tlog);
    tlog_free(c->tlog);
    service_free(c->service);
    instance_free(c->instance);
}

int main(int argc, char **argv) {
    uint64_t count = 0, in_flight = 512;
    struct core core = {0};
    bool ok = argc >= 3 && bytes_to_u64(bytes_of_cstr(argv[2]), &count) && count >= SUBMITTERS;
    if (ok && argc == 4) ok = bytes_to_u64(bytes_of_cstr(argv[3]), &in_flight) && in_flight > 0;
    if (!ok) {
        (void)fprintf(stderr, "usage: core_bench DATA COUNT [IN_FLIGHT]\n");
        return EXIT_FAILURE;
    }
    log_set_level(LOG_WARN);
    die(crypto_init(), "crypto");
    open_core(&core, argv[1]);
    run(core.service, count, (size_t)in_flight);
    close_core(&core);
    return EXIT_SUCCESS;
}
