/* A call's life. It begins with the request's head; its handler sees it when the message is there
 * and ends it, once, whatever happens to the peer meanwhile. What ends it earlier for the peer (a
 * deadline, a reset) is answered at once, told to the handler by on_cancel, and remembered in
 * `early` for observe.
 *
 * Posts from other threads lie in the call. One that arrives when the call has been finished is
 * dropped; the call's memory waits for it (`holders`), its arena does not. */
#include "base/alloc.h"
#include "base/clock.h"
#include "rpc/internal.h"

void call_hold(struct rpc_call *call) { (void)atomic_fetch_add(&call->holders, 1); }

bool call_drop(struct rpc_call *call) {
    bool there = call->x != NULL;
    if (atomic_fetch_sub(&call->holders, 1) == 1) alloc_free(call);
    return there;
}

static void on_deadline(struct net_timer *timer) {
    struct rpc_call *call =
        (struct rpc_call *)((char *)timer - offsetof(struct rpc_call, deadline));
    call_refuse(call, error_new(ERROR_DEADLINE_EXCEEDED, "the deadline has passed"));
}

static void name_call(struct rpc_call *call) {
    static const char hex[] = "0123456789abcdef";
    uint64_t n = atomic_fetch_add(&call->server->next_id, 1);
    uint32_t p = call->server->process_id;
    for (int i = 7; i >= 0; i--, p >>= 4) call->request_id[i] = hex[p & 15];
    call->request_id[8] = '-';
    for (int i = RPC_REQUEST_ID_LEN - 1; i > 8; i--, n >>= 4) call->request_id[i] = hex[n & 15];
}

struct rpc_call *call_new(struct rpc_server *s, struct http_exchange *x) {
    struct rpc_call *call = alloc_zero(1, sizeof *call);
    if (call == NULL) return NULL;
    call->server = s;
    call->x = x;
    call->loop = http_loop(x);
    call->deadline.fn = on_deadline;
    call->deadline_us = UINT64_MAX;
    call->began_us = clock_mono_us(&clock_system);
    arena_init_within(&call->arena, s->options.arena_max, &s->stranger_memory);
    rpc_frames_init(&call->frames, s->options.message_max);
    buf_init(&call->body, s->options.message_max);
    atomic_init(&call->holders, 1);
    name_call(call);
    http_set_user(x, call);
    return call;
}

void call_trust(struct rpc_call *call) {
    struct rpc_server *s = call->server;
    ASSERT(call->arena.blocks == NULL);
    arena_init_within(&call->arena, s->options.arena_max, &s->memory);
    http_trust_body(call->x);
}

void call_start_deadline(struct rpc_call *call, uint64_t timeout_us) {
    call->deadline_us = call->began_us + timeout_us;
    /* The loop's clock is of the turn's beginning and in whole milliseconds: one more, lest the
     * timer be early. */
    net_timer_start(call->loop, &call->deadline, timeout_us / 1000 + 1);
}

/* end_call frees what is the call's own. */
static void end_call(struct rpc_call *call, const struct error *err) {
    if (call->server->options.observe != NULL) {
        uint64_t micros = clock_mono_us(&clock_system) - call->began_us;
        call->server->options.observe(call->server->options.ctx, call, call->method, err, micros);
    }
    net_timer_stop(call->loop, &call->deadline);
    http_set_user(call->x, NULL);
    http_release(MOVE(call->x));
    rpc_frames_done(&call->frames);
    buf_done(&call->body);
    arena_done(&call->arena);
    (void)call_drop(call);
}

void rpc_call_finish(struct rpc_call *call, struct error *err) {
    ASSERT(net_loop_here(call->loop) && call->x != NULL);
    CLEANUP(error_freep) struct error *own = err;
    CLEANUP(error_freep) struct error *early = MOVE(call->early);
    respond_end(call, own);
    end_call(call, early != NULL ? early : own);
}

void call_refuse(struct rpc_call *call, struct error *err) {
    if (!call->handled) {
        rpc_call_finish(call, err);
        return;
    }
    if (call->cancelled) {
        error_ignore(err, "the call was ended for the peer already");
        return;
    }
    respond_end(call, err);
    call->early = err;
    call->cancelled = true;
    net_timer_stop(call->loop, &call->deadline);
    if (call->on_cancel != NULL) call->on_cancel(call, call->cancel_ctx);
}

void call_abort(struct rpc_call *call) {
    call->answered = true; /* nobody is there to answer */
    call_refuse(call, error_new(ERROR_CANCELLED, "the peer went away"));
}

/* --- what the api calls */

void rpc_call_send(struct rpc_call *call, struct bytes message) {
    ASSERT(net_loop_here(call->loop) && call->x != NULL);
    ASSERT(call->method->server_streaming || !call->sent || call->answered);
    respond_message(call, message);
}

bool rpc_call_writable(const struct rpc_call *call) { return http_writable(call->x); }

void rpc_call_on_writable(struct rpc_call *call, void (*fn)(struct rpc_call *call, void *ctx),
                          void *ctx) {
    call->on_writable = fn;
    call->writable_ctx = ctx;
}

void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(struct rpc_call *call, void *ctx),
                        void *ctx) {
    call->on_cancel = fn;
    call->cancel_ctx = ctx;
}

bool rpc_call_cancelled(const struct rpc_call *call) { return call->cancelled; }
struct arena *rpc_call_arena(struct rpc_call *call) {
    return &call->arena;
}
enum rpc_codec rpc_call_codec(const struct rpc_call *call) { return call->codec; }
enum rpc_protocol rpc_call_protocol(const struct rpc_call *call) { return call->protocol; }
const char *rpc_call_request_id(const struct rpc_call *call) { return call->request_id; }
const struct rpc_method *rpc_call_method(const struct rpc_call *call) { return call->method; }
struct net_loop *rpc_call_loop(const struct rpc_call *call) {
    return call->loop;
}
void rpc_call_set_user(struct rpc_call *call, void *user) { call->user = user; }
void *rpc_call_user(const struct rpc_call *call) { return call->user; }

struct bytes rpc_call_metadata(const struct rpc_call *call, const char *name) {
    return http_request_field(call->x, name);
}

uint64_t rpc_call_time_left_us(const struct rpc_call *call) {
    if (call->deadline_us == UINT64_MAX) return UINT64_MAX;
    uint64_t now = clock_mono_us(&clock_system);
    return now >= call->deadline_us ? 0 : call->deadline_us - now;
}

static void run_post(struct net_post *post) {
    struct rpc_post *p = (struct rpc_post *)post;
    struct rpc_call *call = p->call;
    void (*fn)(struct rpc_call *, void *) = p->fn;
    void *arg = p->arg;
    atomic_store(&p->taken, false);
    if (call->x != NULL) fn(call, arg);
    (void)call_drop(call);
}

void rpc_call_post(struct rpc_call *call, void (*fn)(struct rpc_call *call, void *arg), void *arg) {
    struct rpc_post *p = NULL;
    for (size_t i = 0; i < RPC_POSTS_MAX && p == NULL; i++) {
        if (!atomic_exchange(&call->posts[i].taken, true)) p = &call->posts[i];
    }
    ASSERT(p != NULL); /* more than RPC_POSTS_MAX on their way */
    p->call = call;
    p->fn = fn;
    p->arg = arg;
    p->post.fn = run_post;
    call_hold(call);
    net_loop_post(call->loop, &p->post);
}
