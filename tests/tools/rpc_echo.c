/* rpc_echo PORT REACTORS: a server of nothing but echoes, for trying clients, loads and abuse on
 * net, http and rpc alone. TLS with testdata/tls on 127.0.0.1:PORT (0: any), and plain HTTP/1.1 on
 * another port with GET /hello; both are printed. SIGTERM drains. Run from the repository's root.
 *
 *   /echo.v1.Echo/Unary   the message again
 *   /echo.v1.Echo/Slow    the same, after as many ms as the message says in decimal
 *   /echo.v1.Echo/Worker  the same, by way of another thread
 *   /echo.v1.Echo/Fail    INVALID_ARGUMENT with details
 *   /echo.v1.Echo/Stream  the message 100 times
 *   /echo.v1.Echo/Each    each message as it comes (bidirectional)
 *
 * A bearer of "good" makes a caller known; any other is refused; none is a stranger. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/reader.h"
#include "rpc/rpc.h"

#define REACTORS_MAX 16
#define STREAM_MESSAGES 100

static struct {
    struct net_loop *worker; /* a loop used as a worker: what is posted to it takes its time */
    struct net_loop *main;
    struct http_port *ports[REACTORS_MAX + 1];
    struct net_loop *loops[REACTORS_MAX];
    struct net_post drains[REACTORS_MAX];
    size_t reactors, drained;
} app;

static void echo(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    rpc_call_send(call, message);
    rpc_call_finish(call, NULL);
}

static void fail_field(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    (void)message;
    rpc_call_finish(call, error_field_new("subject[0].digest", "not \xc3\xa4 digest"));
}

/* --- Slow: a timer a call */

struct slow {
    struct net_timer timer;
    struct rpc_call *call;
    struct bytes message;
};

static void slow_end(struct slow *s) {
    struct rpc_call *call = s->call;
    net_timer_stop(rpc_call_loop(call), &s->timer);
    rpc_call_send(call, s->message);
    rpc_call_finish(call, NULL);
}

static void slow_due(struct net_timer *t) { slow_end((struct slow *)t); }
static void slow_cancel(struct rpc_call *call, void *ctx) {
    (void)call;
    slow_end(ctx);
}

static void slow(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    uint64_t ms = 100;
    (void)!bytes_to_u64(message, &ms);
    struct slow *s = arena_alloc(rpc_call_arena(call), sizeof *s);
    if (s == NULL) {
        rpc_call_finish(call, error_nomem());
        return;
    }
    s->timer.fn = slow_due;
    s->call = call;
    s->message = arena_copy(rpc_call_arena(call), message);
    rpc_call_on_cancel(call, slow_cancel, s);
    net_timer_start(rpc_call_loop(call), &s->timer, ms < 60000 ? ms : 60000);
}

/* --- Worker: to another thread and back */

struct job {
    struct net_post post;
    struct rpc_call *call;
    struct bytes message;
};

static void job_done(struct rpc_call *call, void *arg) {
    struct job *j = arg;
    rpc_call_send(call, j->message);
    rpc_call_finish(call, NULL);
}

static void job_run(struct net_post *post) {
    struct job *j = (struct job *)post;
    rpc_call_post(j->call, job_done, j);
}

static void worker(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    struct job *j = arena_alloc(rpc_call_arena(call), sizeof *j);
    if (j == NULL) {
        rpc_call_finish(call, error_nomem());
        return;
    }
    j->call = call;
    j->message = message;
    j->post.fn = job_run;
    net_loop_post(app.worker, &j->post);
}

/* --- streams */

struct stream {
    struct bytes message;
    size_t sent;
};

static void stream_on(struct rpc_call *call, void *ctx) {
    struct stream *s = ctx;
    while (s->sent < STREAM_MESSAGES && rpc_call_writable(call)) {
        rpc_call_send(call, s->message);
        s->sent++;
    }
    if (s->sent == STREAM_MESSAGES) rpc_call_finish(call, NULL);
}

static void finish_now(struct rpc_call *call, void *ctx) {
    (void)ctx;
    rpc_call_finish(call, NULL);
}

static void stream(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    struct stream *s = arena_alloc(rpc_call_arena(call), sizeof *s);
    if (s == NULL) {
        rpc_call_finish(call, error_nomem());
        return;
    }
    s->message = arena_copy(rpc_call_arena(call), message);
    rpc_call_on_writable(call, stream_on, s);
    rpc_call_on_cancel(call, finish_now, NULL);
    stream_on(call, s);
}

static void each(void *ctx, struct rpc_call *call, struct bytes message) {
    (void)ctx;
    rpc_call_on_cancel(call, finish_now, NULL);
    if (message.data != NULL) {
        rpc_call_send(call, message);
    } else {
        rpc_call_finish(call, NULL);
    }
}

static const struct rpc_method methods[] = {
    {.path = "/echo.v1.Echo/Unary", .handle = echo},
    {.path = "/echo.v1.Echo/Slow", .handle = slow},
    {.path = "/echo.v1.Echo/Worker", .handle = worker},
    {.path = "/echo.v1.Echo/Fail", .handle = fail_field},
    {.path = "/echo.v1.Echo/Stream", .handle = stream, .server_streaming = true},
    {.path = "/echo.v1.Echo/Each",
     .handle = each,
     .server_streaming = true,
     .client_streaming = true},
};

static struct error *authenticate(void *ctx, struct rpc_call *call, const struct rpc_method *m) {
    (void)ctx;
    (void)m;
    struct bytes bearer = rpc_call_metadata(call, "authorization");
    if (bearer.data == NULL) return NULL;
    if (!bytes_equal(bearer, BYTES_LIT("Bearer good"))) {
        return error_reason_new(REASON_CREDENTIALS_INVALID, "the token is unknown");
    }
    rpc_call_set_user(call, &app);
    return NULL;
}

static const struct rpc_options options = {
    .methods = methods,
    .method_count = sizeof methods / sizeof *methods,
    .authenticate = authenticate,
    .message_max = (size_t)4 << 20,
    .arena_max = (size_t)16 << 20,
    .memory_max = (size_t)512 << 20,
    .deadline_default_ms = 30000,
};

static void hello(void *ctx, struct http_exchange *x) {
    (void)ctx;
    http_reply(x, 200, "text/plain", BYTES_LIT("hello\n"));
}

/* --- the process */

static struct bytes read_file(const char *path, uint8_t *out, size_t size) {
    FILE *f = fopen(path, "rb");
    ASSERT(f != NULL);
    size_t n = fread(out, 1, size, f);
    (void)fclose(f);
    return (struct bytes){out, n};
}

static void on_drained(void *ctx) { net_loop_stop(ctx); }

static void drain(struct net_post *post) {
    size_t i = (size_t)(post - app.drains);
    http_port_drain(app.ports[i], 5000, on_drained, app.loops[i]);
}

static void on_signal(void *ctx, int signum) {
    (void)ctx;
    (void)signum;
    for (size_t i = 0; i < app.reactors; i++) {
        app.drains[i].fn = drain;
        net_loop_post(app.loops[i], &app.drains[i]);
    }
    net_loop_stop(app.main);
}

static struct error *serve(uint16_t port, struct http_server *rpc, struct http_server *ops,
                           struct net_tls *tls) {
    static struct net_budget budget = {.max = 1024};
    struct net_listen_options listen = {.address = "127.0.0.1",
                                        .port = port,
                                        .tls = tls,
                                        .budget = &budget,
                                        .handshake_timeout_ms = 10000,
                                        .idle_timeout_ms = 300000,
                                        .stall_timeout_ms = 30000};
    for (size_t i = 0; i < app.reactors; i++) {
        TRY(net_loop_new(&app.loops[i]));
        TRY(http_port_open(rpc, app.loops[i], &listen, &app.ports[i]));
        listen.port = http_port_number(app.ports[0]);
        listen.join = true;
    }
    listen = (struct net_listen_options){.address = "127.0.0.1",
                                         .budget = &budget,
                                         .idle_timeout_ms = 300000,
                                         .stall_timeout_ms = 30000};
    return http_port_open(ops, app.main, &listen, &app.ports[app.reactors]);
}

static struct error *run(uint16_t port) {
    uint8_t chain[4096];
    uint8_t key[4096];
    struct net_tls *tls = NULL;
    struct rpc_server *rpc = NULL;
    struct http_server *http = NULL;
    struct http_server *ops = NULL;
    static const struct http_handler hello_handler = {.on_request = hello};
    TRY(net_tls_server_new(read_file("testdata/tls/server.pem", chain, sizeof chain),
                           read_file("testdata/tls/server.key", key, sizeof key), &tls));
    TRY(rpc_server_new(&options, &rpc));
    const struct http_route routes[] = {{"GET", "/hello", false, &hello_handler},
                                        {"POST", "/", true, rpc_server_handler(rpc)}};
    TRY(http_server_new(&http_limits_default, routes, 2, &http));
    TRY(http_server_new(&http_limits_default, routes, 1, &ops));
    TRY(net_loop_new(&app.main));
    TRY(net_loop_new(&app.worker));
    TRY(serve(port, http, ops, tls));
    TRY(net_loop_on_signal(app.main, SIGTERM, on_signal, NULL));
    TRY(net_loop_on_signal(app.main, SIGINT, on_signal, NULL));
    struct net_thread *threads[REACTORS_MAX + 1] = {0};
    for (size_t i = 0; i < app.reactors; i++) {
        TRY(net_thread_start(app.loops[i], &threads[i]));
    }
    TRY(net_thread_start(app.worker, &threads[app.reactors]));
    printf("tls %u plain %u\n", http_port_number(app.ports[0]),
           http_port_number(app.ports[app.reactors]));
    (void)fflush(stdout);
    net_loop_run(app.main);
    for (size_t i = 0; i < app.reactors; i++) net_thread_join(threads[i]);
    net_loop_stop(app.worker);
    net_thread_join(threads[app.reactors]);
    for (size_t i = 0; i <= app.reactors; i++) http_port_free(app.ports[i]);
    for (size_t i = 0; i < app.reactors; i++) net_loop_free(app.loops[i]);
    net_loop_free(app.main);
    net_loop_free(app.worker);
    http_server_free(http);
    http_server_free(ops);
    rpc_server_free(rpc);
    net_tls_free(tls);
    return NULL;
}

int main(int argc, char **argv) {
    uint64_t port = 0;
    uint64_t reactors = 1;
    bool ok = argc < 2 || bytes_to_u64(bytes_of_cstr(argv[1]), &port);
    ok = ok && (argc < 3 || bytes_to_u64(bytes_of_cstr(argv[2]), &reactors));
    if (!ok || port > UINT16_MAX || reactors < 1 || reactors > REACTORS_MAX) {
        fprintf(stderr, "usage: rpc_echo PORT REACTORS\n");
        return 2;
    }
    app.reactors = (size_t)reactors;
    struct error *err = run((uint16_t)port);
    if (err == NULL) return 0;
    char text[256];
    error_text(err, text, sizeof text);
    fprintf(stderr, "rpc_echo: %s\n", text);
    error_free(err);
    return 1;
}
