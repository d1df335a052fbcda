/* api_world: the whole service on memory, behind TLS on loopback, and clients of it: for
 * test_api*. The server runs on a thread of its own, the clients on the test's. */
#ifndef TESTS_API_WORLD_H
#define TESTS_API_WORLD_H

#include "api/api.h"
#include "http/http_client.h"
#include "msg/msg.h"
#include "rpc/rpc_client.h"
#include "tlog_rig.h"
#include "tls_support.h"

#define MEMORY_MAX ((size_t)256 << 20)

struct world {
    struct rig rig;
    struct service *service;
    struct tokens *tokens;
    struct api *api;
    struct rpc_server *rpc;
    struct http_server *http;
    struct http_server *ops_http;
    struct http_port *port;
    struct http_port *ops_port;
    struct net_tls *server_tls;
    struct net_tls *client_tls;
    struct net_budget budget;
    struct net_loop *loop;
    struct net_thread *thread;
    struct msg_schema *schema;
    struct arena arena;      /* for answers */
    struct token_text token; /* all scopes */
    const struct principal *principal;
    unsigned open; /* set before world_open, as what follows */
    uint64_t disk_reserve;
    size_t total_response_max; /* of the service's port; 0: the default */
    bool no_strangers;         /* one is too many */
    const char *gate;          /* step that the log's gate is armed for; NULL: no gate */
    uint32_t log_queue;        /* 0: the rig's */
    uint32_t worker_queue;     /* 0: the default, as beneath */
    size_t batch_max;
    bool ready;
};

static inline bool world_ready(void *ctx, char *why, size_t size) {
    (void)snprintf(why, size, "policies: as asked");
    return ((struct world *)ctx)->ready;
}

static inline struct error *world_backup(void *ctx, struct arena *arena, struct text *out_path,
                                         uint64_t *out_tree_size) {
    (void)ctx;
    (void)arena;
    *out_path = TEXT_LIT("/backups/one");
    *out_tree_size = 7;
    return NULL;
}

/* world_token makes a token with `scopes` and gives its text. */
static inline const struct principal *world_token(struct world *w, const char *name,
                                                  unsigned scopes, struct token_text *out) {
    const struct token_record request = {.name = text_of_cstr(name), .scopes = scopes};
    const struct principal *p = NULL;
    ok(tokens_create(w->tokens, TEXT_LIT("test"), &request, out, &p));
    return p;
}

static inline void world_serve(struct world *w) {
    struct http_route routes[API_ROUTES_MAX];
    struct rpc_options options = {.message_max = (size_t)4 << 20,
                                  .arena_max = (size_t)16 << 20,
                                  .memory_max = (size_t)512 << 20,
                                  .deadline_default_ms = 30000};
    api_rpc_options(w->api, &options);
    ok(rpc_server_new(&options, &w->rpc));
    size_t n = api_routes(w->api, rpc_server_handler(w->rpc), routes);
    struct http_limits limits = http_limits_default;
    if (w->total_response_max > 0) limits.total_response_max = w->total_response_max;
    if (w->no_strangers) limits.strangers_max = 0;
    ok(http_server_new(&limits, routes, n, &w->http));
    n = api_ops_routes(w->api, routes);
    ok(http_server_new(&http_limits_default, routes, n, &w->ops_http));
    w->server_tls = tls_server_good();
    w->client_tls = tls_client("testdata/tls/ca.pem");
    w->budget.max = 64;
    struct net_listen_options listen = {.address = "127.0.0.1",
                                        .tls = w->server_tls,
                                        .budget = &w->budget,
                                        .handshake_timeout_ms = 10000,
                                        .stall_timeout_ms = 60000};
    ok(net_loop_new(&w->loop));
    ok(http_port_open(w->http, w->loop, &listen, &w->port));
    ok(http_port_open(w->ops_http, w->loop, &listen, &w->ops_port));
    ok(net_thread_start(w->loop, &w->thread));
}

static inline struct service_limits world_limits(const struct world *w) {
    struct service_limits limits = SERVICE_LIMITS_DEFAULT;
    if (w->batch_max != 0) limits.batch_max = w->batch_max;
    if (w->worker_queue != 0) limits.jobs_max = w->worker_queue;
    return limits;
}

static inline void world_open(struct world *w) {
    rig_init(&w->rig, false);
    w->rig.options.disk_reserve = w->disk_reserve;
    if (w->log_queue != 0) w->rig.options.queue_max = w->log_queue;
    if (w->gate != NULL) gate_arm(&w->rig, w->gate);
    rig_open(&w->rig);
    const struct service_options service = {.store = w->rig.store,
                                            .tlog = w->rig.log,
                                            .signer = w->rig.signer,
                                            .clock = &w->rig.clock,
                                            .entropy = &entropy_system,
                                            .origin = BYTES_LIT(RIG_ORIGIN),
                                            .created_s = RIG_START_MS / 1000 - 3600,
                                            .limits = world_limits(w)};
    ok(service_new(&service, &w->service));
    ok(tokens_open(w->rig.store, &w->rig.clock, &entropy_system, &w->tokens));
    const struct api_options api = {.service = w->service,
                                    .tokens = w->tokens,
                                    .clock = &w->rig.clock,
                                    .open = w->open,
                                    .backup = world_backup,
                                    .ready = world_ready,
                                    .ctx = w};
    ok(api_new(&api, &w->api));
    ok(msg_schema_new(&w->schema));
    arena_init(&w->arena, MEMORY_MAX);
    w->principal = world_token(w, "all", SCOPES_ALL, &w->token);
    world_serve(w);
}

static inline void world_close(struct world *w) {
    net_loop_stop(w->loop);
    net_thread_join(w->thread);
    http_port_free(w->port);
    http_port_free(w->ops_port);
    net_loop_free(w->loop);
    http_server_free(w->http);
    http_server_free(w->ops_http);
    rpc_server_free(w->rpc);
    service_free(w->service);
    api_free(w->api);
    tokens_free(w->tokens);
    msg_schema_free(w->schema);
    net_tls_free(w->server_tls);
    net_tls_free(w->client_tls);
    arena_done(&w->arena);
    rig_done(&w->rig);
}

/* --- RPCs, blocking */

static inline struct rpc_client *world_client(struct world *w, const char *token) {
    struct rpc_client *c = NULL;
    const struct rpc_client_options options = {
        .host = "127.0.0.1",
        .port = http_port_number(w->port),
        .tls = w->client_tls,
        .token = token == NULL ? (struct bytes){0} : bytes_of_cstr(token),
        .schema = w->schema};
    ok(rpc_client_dial(&options, &c));
    return c;
}

/* A call of `path` with a request given as JSON, by the type that the table says. */
static inline struct bytes wire_of(struct world *w, const char *type, const char *json) {
    struct ProtobufCMessage *m = NULL;
    struct bytes wire;
    const struct ProtobufCMessageDescriptor *t = msg_type_by_name(w->schema, bytes_of_cstr(type));
    ck_assert_msg(t != NULL, "%s", type);
    ok(msg_from_json(w->schema, &w->arena, t, bytes_of_cstr(json), &m));
    ok(msg_pack(&w->arena, m, &wire));
    return wire;
}

static inline const struct msg_method *method_of(struct world *w, const char *path) {
    size_t count = 0;
    const struct msg_method *methods = msg_methods(w->schema, &count);
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal(bytes_of_text(methods[i].path), bytes_of_cstr(path))) return &methods[i];
    }
    ck_abort_msg("no method %s", path);
}

static inline struct rpc_client_result call_raw(struct world *w, const char *token,
                                                const char *path, struct bytes message,
                                                struct bytes *out) {
    struct rpc_client_result result;
    struct rpc_client *c = world_client(w, token);
    const struct rpc_client_request request = {
        .path = path, .message = message, .timeout_ms = 20000};
    ok(rpc_client_unary(c, &w->arena, &request, out, &result));
    rpc_client_free(c);
    return result;
}

static inline struct rpc_client_result call(struct world *w, const char *token, const char *path,
                                            const char *json, const char **out_json) {
    const struct msg_method *m = method_of(w, path);
    struct bytes wire = {0};
    struct bytes text;
    struct rpc_client_result result =
        call_raw(w, token, path, wire_of(w, m->input.data, json), &wire);
    if (out_json == NULL || result.code != 0) return result;
    struct ProtobufCMessage *answer = NULL;
    const struct ProtobufCMessageDescriptor *t =
        msg_type_by_name(w->schema, bytes_of_text(m->output));
    ok(msg_unpack(w->schema, &w->arena, t, wire, &MSG_LIMITS_DEFAULT, &answer));
    ok(msg_to_json(w->schema, &w->arena, answer, &text));
    *out_json = (const char *)arena_copy(&w->arena, text).data;
    return result;
}

/* ask is a call with all scopes that must succeed; the answer as JSON. */
static inline const char *ask(struct world *w, const char *path, const char *json) {
    const char *answer = NULL;
    struct rpc_client_result r = call(w, w->token.text, path, json, &answer);
    ck_assert_msg(r.code == 0, "%s: %d %s", path, r.code, r.message);
    return answer;
}

/* refused is a call with all scopes that must fail so. */
static inline struct rpc_client_result refused(struct world *w, const char *path, const char *json,
                                               enum error_code code, enum reason reason) {
    struct rpc_client_result r = call(w, w->token.text, path, json, NULL);
    ck_assert_msg(r.code == (int)code, "%s %s: %d %s", path, json, r.code, r.message);
    ck_assert_str_eq(r.reason, reason_name(reason));
    return r;
}

static inline struct json_value parsed(struct world *w, const char *json) {
    struct json_value v;
    ok(json_parse(&w->arena, bytes_of_cstr(json), &JSON_LIMITS_DEFAULT, &v));
    return v;
}

/* at follows a dotted path in an answer and gives its string; "" where there is none. */
static inline const char *at(struct world *w, const char *json, const char *path) {
    struct json_value root = parsed(w, json);
    const struct json_value *v = json_at(&root, bytes_of_cstr(path));
    if (v == NULL || v->type != JSON_STRING) return "";
    return (const char *)arena_copy(&w->arena, v->string).data;
}

static inline size_t length_at(struct world *w, const char *json, const char *path) {
    struct json_value root = parsed(w, json);
    const struct json_value *v = json_at(&root, bytes_of_cstr(path));
    ck_assert_msg(v != NULL && v->type == JSON_ARRAY, "no array at %s", path);
    return v->array.count;
}

/* --- plain HTTP/2 requests, blocking */

struct fetched {
    struct net_loop *loop;
    int status;
    char content_type[128], cache[128], allow[64], message[256];
    struct buf body;
    bool done;
};

static inline void copy_field(const struct http_client_call *c, const char *name, char *out,
                              size_t size) {
    struct bytes v = http_client_field(c, name);
    (void)snprintf(out, size, BYTES_FMT, BYTES_ARG(v));
}
static inline void fetched_data(void *ctx, struct http_client_call *c, struct bytes data) {
    (void)c;
    buf_put(&((struct fetched *)ctx)->body, data);
}
static inline void fetched_done(void *ctx, struct http_client_call *c, const struct error *why) {
    struct fetched *f = ctx;
    ck_assert_ptr_null(why);
    f->status = http_client_status(c);
    copy_field(c, "content-type", f->content_type, sizeof f->content_type);
    copy_field(c, "cache-control", f->cache, sizeof f->cache);
    copy_field(c, "allow", f->allow, sizeof f->allow);
    copy_field(c, "grpc-status", f->message, sizeof f->message);
    f->done = true;
    net_loop_stop(f->loop);
}

static inline void fetch_request(struct world *w, struct http_port *port,
                                 const struct http_client_request *request, struct fetched *f) {
    static const struct http_client_events events = {.on_data = fetched_data,
                                                     .on_done = fetched_done};
    *f = (struct fetched){0};
    buf_init(&f->body, (size_t)64 << 20);
    const struct http_client_options options = {.host = "127.0.0.1",
                                                .port = http_port_number(port),
                                                .tls = w->client_tls,
                                                .open_timeout_ms = 10000,
                                                .stall_timeout_ms = 10000,
                                                .head_max = 65536};
    struct http_client *c = NULL;
    struct http_client_call *call_ = NULL;
    ok(net_loop_new(&f->loop));
    ok(http_client_new(f->loop, &options, &c));
    ok(http_client_send(c, request, &events, f, &call_));
    net_loop_run(f->loop);
    ck_assert(f->done);
    http_client_free(c);
    net_loop_free(f->loop);
}

static inline void fetch(struct world *w, struct http_port *port, const char *path,
                         const char *token, struct fetched *f) {
    char header[256];
    (void)snprintf(header, sizeof header, "Bearer %s", token == NULL ? "" : token);
    const struct http_field fields[] = {HTTP_FIELD("authorization", bytes_of_cstr(header))};
    const struct http_client_request request = {
        .method = "GET", .path = path, .fields = fields, .field_count = token == NULL ? 0 : 1};
    fetch_request(w, port, &request, f);
}

static inline const char *body_of(struct world *w, struct fetched *f) {
    const char *text = (const char *)arena_copy(&w->arena, buf_bytes(&f->body)).data;
    buf_done(&f->body);
    return text;
}

/* post_json is a Connect call. */
static inline const char *post_json(struct world *w, const char *path, const char *token,
                                    const char *json, struct fetched *f) {
    char header[256];
    (void)snprintf(header, sizeof header, "Bearer %s", token);
    const struct http_field fields[] = {HTTP_FIELD("authorization", bytes_of_cstr(header)),
                                        HTTP_FIELD("content-type", BYTES_LIT("application/json"))};
    const struct http_client_request request = {.method = "POST",
                                                .path = path,
                                                .fields = fields,
                                                .field_count = 2,
                                                .body = bytes_of_cstr(json)};
    fetch_request(w, w->port, &request, f);
    return body_of(w, f);
}

/* --- the workers, held until a test lets them go */
static struct held {
    struct service_job jobs[2];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count; /* guarded by: lock; workers that stand still */
    bool free;    /* guarded by: lock */
} held = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void hold(struct service_job *job) {
    (void)job;
    (void)pthread_mutex_lock(&held.lock);
    held.count++;
    (void)pthread_cond_broadcast(&held.changed);
    while (!held.free) (void)pthread_cond_wait(&held.changed, &held.lock);
    held.count--;
    (void)pthread_mutex_unlock(&held.lock);
}

/* hold_workers returns when they do, and no job of theirs is in the queue. */
static inline void hold_workers(struct world *w) {
    held.free = false;
    for (size_t i = 0; i < 2; i++) {
        held.jobs[i].run = hold;
        ok(service_submit_job(w->service, &held.jobs[i]));
    }
    (void)pthread_mutex_lock(&held.lock);
    while (held.count < 2) (void)pthread_cond_wait(&held.changed, &held.lock);
    (void)pthread_mutex_unlock(&held.lock);
}

static inline void let_go(void) {
    (void)pthread_mutex_lock(&held.lock);
    held.free = true;
    (void)pthread_cond_broadcast(&held.changed);
    (void)pthread_mutex_unlock(&held.lock);
}

#endif
