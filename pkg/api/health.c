/*
 * grpc.health.v1. Every service that reflection lists has a status; "" stands for the whole server.
 * While the log takes no writes, what writes to it is NOT_SERVING, reading goes on.
 */
#include "api/internal.h"
#include "grpc/health/v1/health.pb-c.h"

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;
#define STATUS(x) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##x

/* Those that need the log to take writes. */
static const char *const writers[] = {"", "attestd.v1.Attestations", "attestd.v1.Gate"};

static bool is_known(const struct api *a, struct bytes service) {
    size_t count = 0;
    const struct text *services = msg_services(a->schema, &count);
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(bytes_of_text(services[i]), service)) return true;
    }
    return service.len == 0;
}

static bool is_writer(struct bytes service) {
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        if (bytes_equal(service, bytes_of_cstr(writers[i]))) return true;
    }
    return false;
}

static serving_status status_of(const struct api *a, struct bytes service) {
    char why[256];
    if (!is_known(a, service)) return STATUS(SERVICE_UNKNOWN);
    if (atomic_load(&a->draining)) return STATUS(NOT_SERVING);
    if (is_writer(service) && !service_serving(a->options.service, why, sizeof why)) {
        return STATUS(NOT_SERVING);
    }
    return STATUS(SERVING);
}

struct error *api_health_check(struct api_call *c) {
    const Grpc__Health__V1__HealthCheckRequest *q =
        (const Grpc__Health__V1__HealthCheckRequest *)c->request;
    serving_status status = status_of(c->api, bytes_of_cstr(q->service));
    if (status == STATUS(SERVICE_UNKNOWN)) {
        return error_new(ERROR_NOT_FOUND, "there is no service of that name");
    }
    struct api_maker mk = {.arena = c->arena};
    Grpc__Health__V1__HealthCheckResponse *r =
        api_make(&mk, &grpc__health__v1__health_check_response__descriptor);
    TRY(api_made(&mk));
    r->status = status;
    c->response = &r->base;
    return NULL;
}

/* --- Watch: looks now and then, sends what has changed */

struct health_watch {
    struct api *api;
    struct rpc_call *rpc;
    struct bytes service;
    const struct principal *principal; /* NULL: a stranger */
    struct net_timer timer;
    serving_status sent;
};

static void end(struct health_watch *w, struct error *err) {
    net_timer_stop(rpc_call_loop(w->rpc), &w->timer);
    rpc_call_finish(w->rpc, err);
}

static struct error *send_status(struct health_watch *w, serving_status status) {
    Grpc__Health__V1__HealthCheckResponse r = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    r.status = status;
    struct arena arena;
    arena_init(&arena, 4096);
    struct bytes message;
    struct error *err = api_encode(w->api, w->rpc, &arena, &r.base, &message);
    if (err == NULL) rpc_call_send(w->rpc, message);
    arena_done(&arena);
    if (err == NULL) w->sent = status;
    return err;
}

static struct error *look(struct health_watch *w) {
    if (w->principal != NULL && !tokens_is_valid(w->api->options.tokens, w->principal)) {
        return error_reason_new(REASON_CREDENTIALS_INVALID, "the token has ended");
    }
    serving_status status = status_of(w->api, w->service);
    if (status != w->sent && rpc_call_writable(w->rpc)) TRY(send_status(w, status));
    if (!atomic_load(&w->api->draining)) return NULL;
    return error_reason_new(REASON_SHUTTING_DOWN, "the server is stopping");
}

static void on_timer(struct net_timer *timer) {
    struct health_watch *w =
        (struct health_watch *)(void *)((char *)timer - offsetof(struct health_watch, timer));
    struct error *err = look(w);
    if (err != NULL) {
        end(w, err);
    } else {
        net_timer_start(rpc_call_loop(w->rpc), timer, API_STREAM_CHECK_MS);
    }
}

static void on_cancel(struct rpc_call *rpc, void *ctx) {
    (void)rpc;
    end(ctx, error_new(ERROR_CANCELLED, "the caller went away"));
}

void api_health_watch(struct api_call *c) {
    const Grpc__Health__V1__HealthCheckRequest *q =
        (const Grpc__Health__V1__HealthCheckRequest *)c->request;
    struct health_watch *w = arena_alloc(c->arena, sizeof *w);
    if (w == NULL) {
        rpc_call_finish(c->rpc, error_nomem());
        return;
    }
    w->api = c->api;
    w->rpc = c->rpc;
    w->service = bytes_of_cstr(q->service);
    w->principal = c->principal;
    w->timer.fn = on_timer;
    w->sent = STATUS(UNKNOWN);
    rpc_call_on_cancel(c->rpc, on_cancel, w);
    on_timer(&w->timer);
}
