/*
 * Watch: entries as they are logged, as fast as the client reads them. Each turn reads a few
 * entries and sends them, in as much memory as a unary call may take: what Get answers must not end
 * a watch. A client that reads slowly is waited for (on_writable), a log that has nothing new too
 * (the log's watcher posts). A timer looks whether the token still holds and whether the server
 * stops.
 *
 * The log's watcher runs on a thread of the log's. It is removed before the call ends; a post of
 * it that is on its way then is dropped by rpc.
 */
#include "api/internal.h"

#define READ_PER_TURN 16

struct watch {
    struct api *api;
    struct rpc_call *rpc;
    const struct principal *principal;
    struct text predicate_type;
    uint64_t next; /* index to read from */
    struct tlog_watcher watcher;
    struct net_timer timer;
    atomic_bool posted; /* a post of on_posted is on its way */
};

static struct watch *watch_of_timer(struct net_timer *timer) {
    return (struct watch *)(void *)((char *)timer - offsetof(struct watch, timer));
}

static void end(struct watch *w, struct error *err) {
    net_timer_stop(rpc_call_loop(w->rpc), &w->timer);
    service_unwatch(w->api->options.service, &w->watcher);
    rpc_call_finish(w->rpc, err);
}

/* --- sending */

static struct error *send_one(struct watch *w, struct arena *arena,
                              const struct service_attestation *a, uint64_t tree_size) {
    struct api_maker mk = {.arena = arena};
    Attestd__V1__WatchResponse *r = api_make(&mk, &attestd__v1__watch_response__descriptor);
    if (r != NULL) {
        r->attestation = api_make_attestation(&mk, a);
        r->tree_size = tree_size;
    }
    TRY(api_made(&mk));
    struct bytes message;
    TRY(api_encode(w->api, w->rpc, arena, &r->base, &message));
    rpc_call_send(w->rpc, message);
    return NULL;
}

/* send_some reads and sends; *out_more says that there may be more at once. */
static struct error *send_some(struct watch *w, struct arena *arena, bool *out_more) {
    struct service_listed got;
    uint64_t before = w->next;
    TRY(service_watch_read(w->api->options.service, w->principal, arena, w->predicate_type,
                           &w->next, READ_PER_TURN, &got));
    for (size_t i = 0; i < got.count; i++) {
        TRY(send_one(w, arena, &got.items[i], got.tree_size));
    }
    *out_more = w->next != before;
    return NULL;
}

static void post(struct watch *w);

static void pump(struct watch *w) {
    if (!rpc_call_writable(w->rpc)) return;
    struct arena arena;
    arena_init_within(&arena, rpc_call_arena(w->rpc)->max_bytes, rpc_call_arena(w->rpc)->budget);
    bool more = false;
    struct error *err = send_some(w, &arena, &more);
    arena_done(&arena);
    if (err != NULL) {
        end(w, err);
    } else if (more) {
        post(w); /* others' turn in between */
    }
}

static void on_posted(struct rpc_call *rpc, void *arg) {
    (void)rpc;
    struct watch *w = arg;
    atomic_store(&w->posted, false);
    pump(w);
}

static void post(struct watch *w) {
    if (!atomic_exchange(&w->posted, true)) rpc_call_post(w->rpc, on_posted, w);
}

/* --- what wakes it */

static void on_round(void *ctx, uint64_t size) {
    (void)size;
    post(ctx);
}

static void on_writable(struct rpc_call *rpc, void *ctx) {
    (void)rpc;
    pump(ctx);
}

static void on_cancel(struct rpc_call *rpc, void *ctx) {
    (void)rpc;
    end(ctx, error_new(ERROR_CANCELLED, "the caller went away"));
}

static void on_timer(struct net_timer *timer) {
    struct watch *w = watch_of_timer(timer);
    if (!tokens_is_valid(w->api->options.tokens, w->principal)) {
        end(w, error_reason_new(REASON_CREDENTIALS_INVALID, "the token has ended"));
    } else if (atomic_load(&w->api->draining)) {
        end(w, error_reason_new(REASON_SHUTTING_DOWN, "the server is stopping"));
    } else {
        net_timer_start(rpc_call_loop(w->rpc), timer, API_STREAM_CHECK_MS);
    }
}

void api_watch(struct api_call *c) {
    const Attestd__V1__WatchRequest *request = (const Attestd__V1__WatchRequest *)c->request;
    struct watch *w = arena_alloc(c->arena, sizeof *w);
    if (w == NULL) {
        rpc_call_finish(c->rpc, error_nomem());
        return;
    }
    w->api = c->api;
    w->rpc = c->rpc;
    w->principal = c->principal;
    w->predicate_type = api_text(request->predicate_type);
    w->next = request->from_index;
    w->watcher = (struct tlog_watcher){.fn = on_round, .ctx = w};
    w->timer.fn = on_timer;
    atomic_init(&w->posted, false);
    rpc_call_on_writable(c->rpc, on_writable, w);
    rpc_call_on_cancel(c->rpc, on_cancel, w);
    net_timer_start(rpc_call_loop(c->rpc), &w->timer, API_STREAM_CHECK_MS);
    service_watch(c->api->options.service, &w->watcher);
    pump(w);
}
