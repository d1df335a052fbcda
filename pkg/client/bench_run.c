/*
 * The engine: lanes (connections) of slots (streams) on one loop. Without a rate every slot sends
 * again when it is answered. With one, request i is due at start + i / rate whatever the server
 * does; it is sent by the first free slot, and its latency counts from when it was due. A thread
 * of its own keeps the time, since a loop's timers are a millisecond wide.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/bench.h"
#include "crypto/secret.h"
#include "rpc/rpc_client.h"

#define CALL_TIMEOUT_MS 30000
#define TICK_MIN_US 50      /* the time keeper wakes no more often */
#define LANE_REST_US 100000 /* after a connection was lost */

struct engine;

struct slot {
    struct slot *next; /* free */
    struct lane *lane;
    uint64_t due_us;
    uint64_t sequence;
    bool answered;
};

struct lane {
    struct engine *engine;
    struct rpc_client *client;
    struct slot *slots;
    struct slot *free;
    size_t busy;
    uint64_t rest_until_us;
};

struct engine {
    struct bench *b;
    struct net_loop *loop;
    struct net_tls *tls;
    struct rpc_client_options options;
    struct lane *lanes;
    size_t lane_count;
    size_t next_lane;
    size_t busy;
    uint64_t sent;
    uint64_t start_us, end_us, last_us;
    bool stopping;
    struct error *failed; /* owned */

    struct net_post tick;
    atomic_bool tick_posted;
    atomic_bool over; /* tells the time keeper */
};

static uint64_t now_us(void) { return clock_mono_us(&clock_system); }

/* --- sending */
static uint64_t due_at(const struct engine *e, uint64_t i) {
    return e->start_us + (uint64_t)((__uint128_t)i * 1000000 / e->b->options.rate);
}

static bool is_due(const struct engine *e, uint64_t now) {
    if (now >= e->end_us) return false;
    if (e->b->options.subjects > 0 && e->sent >= e->b->options.subjects) return false;
    return e->b->options.rate == 0 || due_at(e, e->sent) <= now;
}

static bool lane_ready(const struct lane *l, uint64_t now) {
    if (l->free == NULL || l->client == NULL || now < l->rest_until_us) return false;
    return rpc_client_usable(l->client);
}

/* Connects lost lanes again, once their calls have ended. Runs from posts alone: a client must not
 * be freed inside a callback. */
static void revive_lanes(struct engine *e, uint64_t now) {
    for (size_t i = 0; i < e->lane_count; i++) {
        struct lane *l = &e->lanes[i];
        if (l->busy > 0 || now < l->rest_until_us) continue;
        if (l->client != NULL && rpc_client_usable(l->client)) continue;
        rpc_client_free(MOVE(l->client));
        struct error *err = rpc_client_new(e->loop, &e->options, &l->client);
        if (err != NULL) l->rest_until_us = now + LANE_REST_US;
        error_ignore(err, "the lane rests and is tried again");
    }
}

static struct lane *pick_lane(struct engine *e, uint64_t now) {
    for (size_t i = 0; i < e->lane_count; i++) {
        struct lane *l = &e->lanes[(e->next_lane + i) % e->lane_count];
        if (!lane_ready(l, now)) continue;
        e->next_lane = (e->next_lane + i + 1) % e->lane_count;
        return l;
    }
    return NULL;
}

static void count_error(struct engine *e, const char *what) {
    e->b->errors++;
    if (e->b->first_error[0] == '\0')
        (void)snprintf(e->b->first_error, sizeof e->b->first_error, "%s", what);
}

static const struct rpc_client_events events;

static void send_on(struct lane *l, uint64_t now) {
    struct engine *e = l->engine;
    struct slot *s = l->free;
    struct rpc_client_call *call = NULL;
    l->free = s->next;
    s->due_us = e->b->options.rate == 0 ? now : due_at(e, e->sent);
    s->sequence = e->sent++;
    s->answered = false;
    const struct rpc_client_request request = {.path = e->b->work->path,
                                               .message = e->b->work->make(e->b, s->sequence),
                                               .timeout_ms = CALL_TIMEOUT_MS};
    struct error *err = rpc_client_start(l->client, &request, &events, s, &call);
    if (err == NULL) {
        e->busy++;
        l->busy++;
        return;
    }
    count_error(e, error_message(err));
    error_ignore(err, "counted");
    s->next = l->free;
    l->free = s;
    l->rest_until_us = now + LANE_REST_US;
}

static void stop_if_over(struct engine *e) {
    uint64_t now = now_us();
    bool exhausted = e->b->options.subjects > 0 && e->sent >= e->b->options.subjects;
    if (e->busy > 0 || (now < e->end_us && !exhausted) || e->stopping) return;
    e->stopping = true;
    net_loop_stop(e->loop);
}

static void send_due(struct engine *e) {
    for (uint64_t now = now_us(); is_due(e, now); now = now_us()) {
        struct lane *l = pick_lane(e, now);
        if (l == NULL) break;
        send_on(l, now);
    }
    stop_if_over(e);
}

/* --- answers */
static void keep_sample(struct bench *b, uint64_t sequence, struct bytes message) {
    if (sequence % BENCH_SAMPLE_EVERY != 0) return;
    struct sample *s = &b->samples[sequence / BENCH_SAMPLE_EVERY % BENCH_SAMPLES_MAX];
    alloc_free(s->octets);
    *s = (struct sample){sequence, alloc_copy(message.data, message.len), message.len};
}

static void on_message(void *ctx, struct rpc_client_call *call, struct bytes message) {
    struct slot *s = ctx;
    (void)call;
    s->answered = true;
    keep_sample(s->lane->engine->b, s->sequence, message);
}

static void on_done(void *ctx, struct rpc_client_call *call,
                    const struct rpc_client_result *result) {
    struct slot *s = ctx;
    struct lane *l = s->lane;
    struct engine *e = l->engine;
    (void)call;
    uint64_t now = now_us();
    e->busy--;
    l->busy--;
    s->next = l->free;
    l->free = s;
    e->last_us = now;
    if (result->code == 0 && s->answered) {
        e->b->done++;
        histogram_add(&e->b->latencies, now > s->due_us ? now - s->due_us : 0);
    } else {
        count_error(e, result->message);
        if (!result->answered) l->rest_until_us = now + LANE_REST_US;
    }
    send_due(e);
}

static const struct rpc_client_events events = {.on_message = on_message, .on_done = on_done};

/* --- time */
static void on_tick(struct net_post *post) {
    struct engine *e = (struct engine *)(void *)((uint8_t *)post - offsetof(struct engine, tick));
    atomic_store(&e->tick_posted, false);
    if (e->stopping) return;
    revive_lanes(e, now_us());
    send_due(e);
}

static void sleep_until(uint64_t us) {
    struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Wakes the loop for every due request; without a rate only now and then, for lanes that rest and
 * for the end. */
static void *keep_time(void *arg) {
    struct engine *e = arg;
    uint64_t step = e->b->options.rate == 0 ? 10000 : 1000000 / e->b->options.rate;
    if (step < TICK_MIN_US) step = TICK_MIN_US;
    for (uint64_t at = e->start_us; !atomic_load(&e->over); at += step) {
        sleep_until(at);
        if (!atomic_exchange(&e->tick_posted, true)) net_loop_post(e->loop, &e->tick);
    }
    return NULL;
}

/* --- before the clock starts: every connection stands and was used once */
static void on_warm_message(void *ctx, struct rpc_client_call *call, struct bytes message) {
    (void)ctx;
    (void)call;
    (void)message;
}

static void on_warm_done(void *ctx, struct rpc_client_call *call,
                         const struct rpc_client_result *result) {
    struct engine *e = ctx;
    (void)call;
    if (result->code != 0 && e->failed == NULL) e->failed = rpc_client_error(result);
    if (--e->busy == 0) net_loop_stop(e->loop);
}

static const struct rpc_client_events warm_events = {.on_message = on_warm_message,
                                                     .on_done = on_warm_done};

static struct error *warm_up(struct engine *e) {
    const struct rpc_client_request request = {
        .path = "/grpc.health.v1.Health/Check", .message = {0}, .timeout_ms = CALL_TIMEOUT_MS};
    for (size_t i = 0; i < e->lane_count; i++) {
        struct rpc_client_call *call = NULL;
        TRY(rpc_client_new(e->loop, &e->options, &e->lanes[i].client));
        TRY(rpc_client_start(e->lanes[i].client, &request, &warm_events, e, &call));
        e->busy++;
    }
    net_loop_run(e->loop);
    return MOVE(e->failed);
}

/* --- all of it */
static struct error *make_lanes(struct engine *e) {
    const struct bench_options *o = &e->b->options;
    e->lane_count = (size_t)o->connections;
    e->lanes = arena_alloc(&e->b->cli->arena, e->lane_count * sizeof *e->lanes);
    if (e->lanes == NULL) return error_nomem();
    for (size_t i = 0; i < e->lane_count; i++) {
        struct lane *l = &e->lanes[i];
        l->engine = e;
        l->slots = arena_alloc(&e->b->cli->arena, o->streams * sizeof *l->slots);
        if (l->slots == NULL) return error_nomem();
        for (uint64_t s = 0; s < o->streams; s++) {
            l->slots[s] = (struct slot){.next = l->free, .lane = l};
            l->free = &l->slots[s];
        }
    }
    return NULL;
}

static struct error *measure(struct engine *e) {
    pthread_t keeper;
    e->start_us = e->last_us = now_us() + 1000;
    e->end_us = e->start_us + (uint64_t)e->b->options.duration_ms * 1000;
    if (pthread_create(&keeper, NULL, keep_time, e) != 0)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no thread could be made");
    net_loop_run(e->loop);
    atomic_store(&e->over, true);
    (void)pthread_join(keeper, NULL);
    e->b->elapsed_us = e->last_us > e->start_us ? e->last_us - e->start_us : 1;
    return NULL;
}

struct error *bench_run(struct bench *b) {
    struct engine e = {.b = b, .tick = {.fn = on_tick}};
    struct token_room room;
    struct error *err = net_loop_new(&e.loop);
    if (err == NULL) err = connection_options(b->cli, &room, &e.tls, &e.options);
    if (err == NULL) err = make_lanes(&e);
    if (err == NULL) err = warm_up(&e);
    if (err == NULL) err = measure(&e);
    for (size_t i = 0; i < e.lane_count && e.lanes != NULL; i++) rpc_client_free(e.lanes[i].client);
    secret_wipe(&room, sizeof room);
    net_loop_free(e.loop);
    net_tls_free(e.tls);
    return err;
}
