/* The ops port: alive, ready, metrics. Plain HTTP, for the machine that looks after the process. */
#include "api/internal.h"
#include "obs/obs.h"

#define METRICS_MAX ((size_t)1 << 20)
#define WHY_MAX 512
#define TEXT_PLAIN "text/plain; charset=utf-8"

static void on_healthz(void *ctx, struct http_exchange *x) {
    (void)ctx;
    http_reply(x, 200, TEXT_PLAIN, BYTES_LIT("ok\n"));
}

/* is_ready writes one line for each thing that is asked, so that an operator sees all at once. */
static bool is_ready(struct api *a, struct buf *out) {
    char why[WHY_MAX] = "";
    bool ready = service_serving(a->options.service, why, sizeof why);
    if (why[0] != '\0') buf_printf(out, "log: %s\n", why);
    if (atomic_load(&a->draining)) {
        ready = false;
        buf_put_cstr(out, "the server is stopping\n");
    }
    why[0] = '\0';
    if (a->options.ready != NULL && !a->options.ready(a->options.ctx, why, sizeof why)) {
        ready = false;
    }
    if (why[0] != '\0') buf_printf(out, "%s\n", why);
    return ready;
}

static void on_readyz(void *ctx, struct http_exchange *x) {
    struct buf out;
    buf_init(&out, (size_t)4 * WHY_MAX);
    bool ready = is_ready(ctx, &out);
    buf_put_cstr(&out, ready ? "ready\n" : "not ready\n");
    http_reply(x, ready ? 200 : 503, TEXT_PLAIN, buf_bytes(&out));
    buf_done(&out);
}

static void on_metrics(void *ctx, struct http_exchange *x) {
    struct api *a = ctx;
    if (a->options.refresh_metrics != NULL) a->options.refresh_metrics(a->options.ctx);
    struct buf out;
    buf_init(&out, METRICS_MAX);
    metrics_put(&out);
    if (out.failed) {
        http_reply(x, 500, TEXT_PLAIN, BYTES_LIT("out of memory\n"));
    } else {
        http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&out));
    }
    buf_done(&out);
}

void api_ops_init(struct api *a) {
    a->healthz = api_get_handler(a, on_healthz);
    a->readyz = api_get_handler(a, on_readyz);
    a->metrics = api_get_handler(a, on_metrics);
}

size_t api_ops_routes(const struct api *a, struct http_route out[API_ROUTES_MAX]) {
    const struct http_route routes[] = {
        {"GET", "/healthz", false, &a->healthz},
        {"GET", "/readyz", false, &a->readyz},
        {"GET", "/metrics", false, &a->metrics},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) out[i] = routes[i];
    return sizeof routes / sizeof *routes;
}
