#include "server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "api/api.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/reader.h"
#include "notify.h"
#include "obs/obs.h"
#include "service/policies.h"

#define REACTORS_MAX 64
#define TICK_MS 1000U
#define RENEW_EVERY_TICKS 3600U
#define WARN_EVERY_TICKS 86400U
#define PEM_MAX ((size_t)256 << 10)
#define POLICIES_ARENA_MAX ((size_t)256 << 20)
#define DESCRIPTORS_KEPT 768U /* the store's files (512 in its tables), the ops port, loops */
#define CONNECTIONS_MIN 16U
#define CALL_ARENA_TIMES 16U /* of the largest message: decoding amplifies (docs/decisions) */

struct reactor {
    struct server *server;
    struct net_loop *loop;
    struct net_thread *thread;
    struct http_port *port;
    struct net_post drain;
};

struct server {
    struct server_options options;
    struct config config; /* as at the start, but for the level and the two paths below */
    struct file_path tls_certificate, tls_key; /* of the operator's own; in force */
    struct instance *instance;
    struct ca *ca; /* NULL: certificate of the operator's own */
    struct tlog *tlog;
    struct service *service;
    struct tokens *tokens;
    struct api *api;
    struct rpc_server *rpc;
    struct http_server *http;
    struct http_server *ops_http;
    struct net_tls *tls;
    struct net_budget budget, ops_budget;
    struct net_loop *main;
    struct http_port *ops_port;
    struct net_timer tick;
    uint32_t ticks;
    struct reactor reactors[REACTORS_MAX];
    size_t reactor_count;
    atomic_uint draining;        /* reactors whose ports are not drained yet */
    struct net_post all_drained; /* to the main loop */
    bool stopping;
    bool failed;
    atomic_bool policies_failed; /* the last reload did not load; the old set is in force */
    char listen[300], ops[300];  /* really bound */
};

/* --- addresses */

struct address {
    char host[256];
    uint16_t port;
};

/* "127.0.0.1:8443", "[::1]:0", "localhost:8443": the last colon divides. */
static struct error *address_parse(const char *text, struct address *out) {
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || !bytes_to_u64(bytes_of_cstr(colon + 1), &port) || port > 65535)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\": want ADDRESS:PORT", text);
    const char *host = text;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof out->host)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\": want ADDRESS:PORT", text);
    memcpy(out->host, host, len);
    out->host[len] = '\0';
    if (strcmp(out->host, "localhost") == 0) memcpy(out->host, "127.0.0.1", 10);
    out->port = (uint16_t)port;
    uint8_t numeric[16];
    if (inet_pton(AF_INET, out->host, numeric) == 1 || inet_pton(AF_INET6, out->host, numeric) == 1)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "\"%s\": want a numeric address", text);
}

static void address_print(const struct address *a, uint16_t port, char *out, size_t size) {
    bool v6 = strchr(a->host, ':') != NULL;
    (void)snprintf(out, size, "%s%s%s:%u", v6 ? "[" : "", a->host, v6 ? "]" : "", port);
}

struct error *server_check(const struct config *config) {
    struct address address;
    TRY(address_parse(config->listen, &address));
    return address_parse(config->ops_listen, &address);
}

/* --- policies, TLS, metrics: also on SIGHUP and by timer */

static struct error *load_policies(struct server *s) {
    const char *dir = s->config.policies;
    bool own = dir[0] != '\0';
    struct arena arena;
    struct policies_dir files;
    struct policy_set *set = NULL;
    arena_init(&arena, POLICIES_ARENA_MAX);
    if (!own) dir = instance_policies(s->instance);
    struct error *err = policies_read_dir(&arena, dir, POLICIES_OBEYED, !own, &files);
    if (err == NULL)
        err = policy_set_load(files.policies, files.policy_count, &set);
    else /* a link, one that others may write, a file too large: as bad as what it says */
        err = error_recode(err, ERROR_INVALID_ARGUMENT, "the policies do not load");
    arena_done(&arena);
    if (err != NULL) return err;
    size_t count = policy_set_count(set);
    err = service_set_policies(s->service, set);
    if (err != NULL) {
        policy_set_free(set);
        return err;
    }
    log_event(LOG_INFO, "policies_loaded", LOG_CSTR("directory", dir), LOG_U64("count", count));
    return NULL;
}

/* Reads the operator's own certificate or takes the CA's, and hands both halves to `use`. */
static struct error *with_certificate(struct server *s,
                                      struct error *(*use)(struct server *s, struct bytes chain,
                                                           struct bytes key)) {
    if (s->ca != NULL) return use(s, ca_chain_pem(s->ca), ca_key_pem(s->ca));
    struct arena arena;
    struct bytes chain = {0};
    CLEANUP(secret_freep) struct secret *key = NULL;
    arena_init(&arena, PEM_MAX + 4096);
    struct error *err = file_read_given(&arena, s->tls_certificate.text, PEM_MAX, &chain);
    if (err == NULL) err = file_read_secret(s->tls_key.text, PEM_MAX, &key);
    if (err == NULL) err = use(s, chain, secret_view(key));
    arena_done(&arena);
    if (err == NULL) return NULL;
    return error_recode(err, ERROR_INVALID_ARGUMENT,
                        "tls.certificate %s with tls.key %s does not serve",
                        s->tls_certificate.text, s->tls_key.text);
}

static struct error *make_tls(struct server *s, struct bytes chain, struct bytes key) {
    return net_tls_server_new(chain, key, &s->tls);
}

static struct error *reload_tls(struct server *s, struct bytes chain, struct bytes key) {
    return net_tls_reload(s->tls, chain, key);
}

static void renew_certificate(struct server *s) {
    bool renewed = false;
    if (s->ca == NULL) return;
    struct error *err = ca_renew_if_due(s->ca, &renewed);
    if (err == NULL && renewed) err = with_certificate(s, reload_tls);
    if (err != NULL) {
        log_event(LOG_ERROR, "certificate_renewal_failed", LOG_ERR("error", err));
        error_ignore(err, "the old certificate still serves; the next tick tries again");
    } else if (renewed) {
        log_event(LOG_INFO, "certificate_renewed",
                  LOG_U64("expires", (uint64_t)ca_expiry_s(s->ca)));
    }
}

static void refresh_metrics(void *ctx) {
    struct server *s = ctx;
    struct statvfs fs;
    if (statvfs(instance_data(s->instance), &fs) == 0)
        metric_set(METRIC_DISK_FREE, (uint64_t)fs.f_bavail * fs.f_frsize);
    metric_set(METRIC_STORE_BYTES, kv_size_octets(store_kv(instance_store(s->instance))));
    metric_set(METRIC_LOG_SIZE, tlog_head(s->tlog).size);
    metric_set(METRIC_READ_ONLY, tlog_state(s->tlog) != TLOG_SERVING);
    metric_set(METRIC_CONNECTIONS, atomic_load(&s->budget.open));
    metric_set(METRIC_POLICY_RELOAD_FAILED, atomic_load(&s->policies_failed));
    metric_set(METRIC_TLS_EXPIRY, (uint64_t)net_tls_expiry_s(s->tls));
}

static bool is_ready(void *ctx, char *why, size_t size) {
    struct server *s = ctx;
    if (atomic_load(&s->policies_failed))
        (void)snprintf(why, size,
                       "the policy directory did not load at the last SIGHUP; the old set is in "
                       "force");
    return true;
}

static struct error *make_backup(void *ctx, struct arena *arena, struct text *out_path,
                                 uint64_t *out_tree_size) {
    struct server *s = ctx;
    const struct instance_backup request = {.dir = s->config.backup_dir};
    struct instance_backed_up done;
    TRY(instance_backup(s->instance, &request, &done));
    struct bytes path = arena_copy(arena, bytes_of_cstr(done.path.text));
    if (path.data == NULL) return error_nomem();
    if (!text_of_bytes(path, out_path))
        return error_new(ERROR_INTERNAL, "the backup's path is not UTF-8");
    *out_tree_size = done.tree_size;
    return NULL;
}

static void set_log_level(const char *level) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(level, names[i]) == 0) log_set_level((enum log_level)i);
}

static void reload_policies(struct server *s) {
    struct error *err = load_policies(s);
    atomic_store(&s->policies_failed, err != NULL);
    if (err == NULL) return;
    log_event(LOG_ERROR, "policies_reload_failed", LOG_ERR("error", err));
    error_ignore(err, "the old set stays in force; /readyz and a metric say so");
}

static void say_needs_restart(const struct server *s, const struct config *fresh) {
    struct buf keys;
    buf_init(&keys, 8192);
    config_needs_restart(&keys, &s->config, fresh);
    if (keys.len > 0) log_event(LOG_WARN, "needs_restart", LOG_STR("keys", buf_bytes(&keys)));
    buf_done(&keys);
}

/* Keeps own copies of the two paths: the configuration that they came from goes away. */
static struct error *take_tls_paths(struct server *s, const struct config *c) {
    TRY(file_path_absolute(c->tls_certificate, &s->tls_certificate));
    return file_path_absolute(c->tls_key, &s->tls_key);
}

static struct error *reload_certificate(struct server *s, const struct config *fresh) {
    bool own = fresh->tls_certificate[0] != '\0';
    if (own != (s->ca == NULL)) {
        log_event(LOG_WARN, "needs_restart", LOG_CSTR("keys", "tls.certificate"));
        return NULL;
    }
    if (!own) return NULL; /* the CA's is renewed by itself */
    TRY(take_tls_paths(s, fresh));
    return with_certificate(s, reload_tls);
}

static struct error *reload_config(struct server *s, struct arena *arena) {
    struct config fresh;
    TRY(s->options.reload(s->options.ctx, arena, &fresh));
    say_needs_restart(s, &fresh);
    set_log_level(fresh.log_level);
    return reload_certificate(s, &fresh);
}

/* Takes over the keys marked RELOAD; the others stay as they are until a restart. */
static void reload(struct server *s) {
    struct arena arena;
    arena_init(&arena, (size_t)4 << 20);
    struct error *err = reload_config(s, &arena);
    if (err != NULL) {
        log_event(LOG_ERROR, "config_reload_failed", LOG_ERR("error", err));
        error_ignore(err, "what is in force stays in force");
    }
    arena_done(&arena);
    reload_policies(s);
}

/* --- building */

static struct error *open_log(struct server *s) {
    const struct instance_facts *facts = instance_facts(s->instance);
    const struct tlog_options options = {
        .origin = bytes_of_text(facts->origin),
        .tree_id = facts->tree_id,
        .anchor_inner = instance_anchor_inner(s->instance),
        .anchor_outer = instance_anchor_outer(s->instance),
        .anchor_required = s->config.anchor_required,
        .disk_reserve = s->config.disk_reserve,
        .data_dir = instance_data(s->instance),
        .round_entries_max = (uint32_t)s->config.round_entries_max,
        .queue_max = (uint32_t)s->config.queue_max,
        .workers = (uint32_t)s->config.workers,
        .clock = &clock_system,
    };
    TRY(tlog_open(instance_store(s->instance), instance_signer(s->instance), &options, &s->tlog));
    char why[512];
    tlog_why(s->tlog, why, sizeof why);
    if (tlog_state(s->tlog) != TLOG_SERVING)
        log_event(LOG_ERROR, "read_only", LOG_CSTR("why", why));
    return NULL;
}

static struct error *make_service(struct server *s) {
    const struct instance_facts *facts = instance_facts(s->instance);
    const struct config *c = &s->config;
    struct service_options options = {
        .store = instance_store(s->instance),
        .tlog = s->tlog,
        .signer = instance_signer(s->instance),
        .clock = &clock_system,
        .entropy = &entropy_system,
        .origin = bytes_of_text(facts->origin),
        .created_s = facts->created_ms / 1000,
        .limits = SERVICE_LIMITS_DEFAULT,
    };
    options.limits.predicate_max = (size_t)c->predicate_max;
    options.limits.json_depth_max = (size_t)c->json_depth_max;
    options.limits.batch_max = (size_t)c->batch_max;
    options.limits.idempotency_key_max = (size_t)c->idempotency_key_max;
    options.limits.quota_per_second = c->quota_per_second;
    options.limits.quota_octets_day = c->quota_octets_day;
    options.limits.workers = (uint32_t)c->workers;
    options.limits.evidence_max = (uint32_t)c->evidence_max;
    TRY(service_new(&options, &s->service));
    TRY(tokens_open(options.store, &clock_system, &entropy_system, &s->tokens));
    return load_policies(s);
}

static unsigned open_parts(const struct config *c) {
    return (c->open_checkpoint ? API_OPEN_CHECKPOINT : 0u) | (c->open_tiles ? API_OPEN_TILES : 0u) |
           (c->open_trust ? API_OPEN_TRUST : 0u) | (c->open_health ? API_OPEN_HEALTH : 0u) |
           (c->open_reflection ? API_OPEN_REFLECTION : 0u);
}

static struct error *make_face(struct server *s) {
    struct http_route routes[API_ROUTES_MAX];
    struct rpc_options rpc = {0};
    struct http_limits limits = http_limits_default;
    const struct api_options options = {
        .service = s->service,
        .tokens = s->tokens,
        .clock = &clock_system,
        .open = open_parts(&s->config),
        .backup = make_backup,
        .ready = is_ready,
        .refresh_metrics = refresh_metrics,
        .ctx = s,
    };
    TRY(api_new(&options, &s->api));
    api_rpc_options(s->api, &rpc);
    rpc.message_max = (size_t)s->config.message_max;
    rpc.arena_max = (size_t)s->config.message_max * CALL_ARENA_TIMES;
    rpc.memory_max = (size_t)s->config.memory_max;
    rpc.deadline_default_ms = (uint32_t)s->config.deadline_ms;
    TRY(rpc_server_new(&rpc, &s->rpc));
    limits.header_list_max = (size_t)s->config.header_list_max;
    limits.streams_max = (uint32_t)s->config.streams_max;
    limits.strangers_max = (uint32_t)s->config.strangers_max;
    size_t count = api_routes(s->api, rpc_server_handler(s->rpc), routes);
    TRY(http_server_new(&limits, routes, count, &s->http));
    count = api_ops_routes(s->api, routes);
    return http_server_new(&limits, routes, count, &s->ops_http);
}

static struct error *make_loops(struct server *s) {
    TRY(net_loop_new(&s->main));
    for (size_t i = 0; i < s->config.reactors; i++) {
        s->reactors[i].server = s;
        TRY(net_loop_new(&s->reactors[i].loop));
        s->reactor_count++;
    }
    return NULL;
}

struct error *server_open(const struct server_options *options, struct server **out) {
    CLEANUP(server_freep) struct server *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    s->options = *options;
    s->config = options->config;
    set_log_level(s->config.log_level);
    TRY(instance_open(&options->instance, &s->instance));
    TRY(open_log(s));
    TRY(make_service(s));
    if (s->config.tls_certificate[0] == '\0')
        TRY(instance_open_ca(s->instance, &s->ca));
    else
        TRY(take_tls_paths(s, &s->config));
    TRY(with_certificate(s, make_tls));
    TRY(make_face(s));
    TRY(make_loops(s));
    *out = MOVE(s);
    return NULL;
}

/* --- running */

/* A connection must not take the descriptor of the store's next file: a write that fails is the end
 * of the log. So the process takes what descriptors it may have, and fewer connections than it was
 * told where these do not suffice. */
static uint32_t connections_max(const struct server *s) {
    uint32_t want = (uint32_t)s->config.connections_max;
    rlim_t need = (rlim_t)want + DESCRIPTORS_KEPT;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) return want;
    limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to the hard limit is always allowed */
    if (limit.rlim_cur >= need) return want;
    rlim_t left = limit.rlim_cur > DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT : 0;
    uint32_t max = left > CONNECTIONS_MIN ? (uint32_t)left : CONNECTIONS_MIN;
    log_event(LOG_WARN, "connections_limited", LOG_U64("connections", max),
              LOG_U64("descriptors", limit.rlim_cur));
    return max;
}

static struct error *open_ports(struct server *s) {
    struct address address, ops;
    TRY(address_parse(s->config.listen, &address));
    TRY(address_parse(s->config.ops_listen, &ops));
    s->budget.max = connections_max(s);
    s->ops_budget.max = 64;
    struct net_listen_options listen = {
        .address = address.host,
        .port = address.port,
        .tls = s->tls,
        .budget = &s->budget,
        .handshake_timeout_ms = (uint32_t)s->config.handshake_ms,
        .idle_timeout_ms = (uint32_t)s->config.idle_ms,
        .stall_timeout_ms = 30000,
    };
    for (size_t i = 0; i < s->reactor_count; i++) {
        struct reactor *r = &s->reactors[i];
        TRY(http_port_open(s->http, r->loop, &listen, &r->port));
        listen.port = http_port_number(r->port);
        listen.join = true;
    }
    struct net_listen_options ops_listen = listen;
    ops_listen.address = ops.host;
    ops_listen.port = ops.port;
    ops_listen.join = false;
    ops_listen.tls = NULL;
    ops_listen.budget = &s->ops_budget;
    TRY(http_port_open(s->ops_http, s->main, &ops_listen, &s->ops_port));
    address_print(&address, listen.port, s->listen, sizeof s->listen);
    address_print(&ops, http_port_number(s->ops_port), s->ops, sizeof s->ops);
    return NULL;
}

static void on_all_drained(struct net_post *post) {
    struct server *s =
        (struct server *)((char *)post - offsetof(struct server, all_drained)); /* its member */
    net_loop_stop(s->main);
}

static void on_port_drained(void *ctx) {
    struct server *s = ctx;
    if (atomic_fetch_sub(&s->draining, 1) != 1) return;
    s->all_drained.fn = on_all_drained;
    net_loop_post(s->main, &s->all_drained);
}

static void drain_reactor(struct net_post *post) {
    struct reactor *r =
        (struct reactor *)((char *)post - offsetof(struct reactor, drain)); /* its member */
    http_port_drain(r->port, (uint32_t)r->server->config.drain_ms, on_port_drained, r->server);
}

/* Stops taking connections, ends streams, and lets what is in flight finish. */
static void begin_stop(struct server *s) {
    if (s->stopping) return;
    s->stopping = true;
    log_event(LOG_INFO, "stopping", LOG_U64("drain_ms", s->config.drain_ms));
    notify("STOPPING=1");
    atomic_store(&s->draining, (unsigned)s->reactor_count);
    api_drain(s->api);
    for (size_t i = 0; i < s->reactor_count; i++) {
        s->reactors[i].drain.fn = drain_reactor;
        net_loop_post(s->reactors[i].loop, &s->reactors[i].drain);
    }
}

static void on_signal(void *ctx, int signum) {
    struct server *s = ctx;
    if (signum != SIGHUP) {
        begin_stop(s);
        return;
    }
    log_event(LOG_INFO, "reloading", LOG_U64("signal", (uint64_t)signum));
    reload(s);
}

static void on_tick(struct net_timer *timer) {
    struct server *s =
        (struct server *)((char *)timer - offsetof(struct server, tick)); /* its member */
    refresh_metrics(s);
    if (++s->ticks % RENEW_EVERY_TICKS == 0) renew_certificate(s);
    if (s->ticks % WARN_EVERY_TICKS == 0) tokens_warn(s->tokens);
    if (tlog_state(s->tlog) == TLOG_FAILED && !s->failed) {
        char why[512];
        tlog_why(s->tlog, why, sizeof why);
        s->failed = true;
        log_event(LOG_ERROR, "log_failed", LOG_CSTR("why", why));
        net_loop_stop(s->main); /* the log answers what is in flight, or nobody does */
        return;
    }
    net_timer_start(s->main, &s->tick, TICK_MS);
}

void server_hold_hangups(bool hold) {
    sigset_t hangup;
    (void)sigemptyset(&hangup); /* neither can fail with a valid signal */
    (void)sigaddset(&hangup, SIGHUP);
    (void)pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &hangup, NULL);
}

static struct error *start(struct server *s) {
    TRY(open_ports(s));
    TRY(net_loop_on_signal(s->main, SIGTERM, on_signal, s));
    TRY(net_loop_on_signal(s->main, SIGINT, on_signal, s));
    TRY(net_loop_on_signal(s->main, SIGHUP, on_signal, s));
    /* Before any thread takes a connection (they wait in the backlog): what fails from there on
     * would fail with calls in flight. */
    TRY(instance_publish(s->instance, s->listen, s->ops));
    refresh_metrics(s);
    tokens_warn(s->tokens);
    s->tick.fn = on_tick;
    net_timer_start(s->main, &s->tick, TICK_MS);
    for (size_t i = 0; i < s->reactor_count; i++)
        TRY(net_thread_start(s->reactors[i].loop, &s->reactors[i].thread));
    return NULL;
}

static void stop_reactors(struct server *s) {
    for (size_t i = 0; i < s->reactor_count; i++) {
        if (s->reactors[i].thread == NULL) continue;
        net_loop_stop(s->reactors[i].loop);
        net_thread_join(s->reactors[i].thread);
        s->reactors[i].thread = NULL;
    }
}

struct error *server_run(struct server *s, bool *out_failed) {
    TRY(start(s));
    (void)fprintf(stderr, "ready listen=%s ops=%s\n", s->listen, s->ops);
    notify("READY=1");
    server_hold_hangups(false);
    net_loop_run(s->main);
    server_hold_hangups(true);
    /* It may have failed since the last tick, with the calls that the drain waited for. */
    *out_failed = s->failed || tlog_state(s->tlog) == TLOG_FAILED;
    if (*out_failed && s->stopping)
        return error_new(ERROR_UNAVAILABLE, "the log failed while the server was stopping");
    if (*out_failed) return NULL; /* nothing more is written: the process starts anew */
    net_timer_stop(s->main, &s->tick);
    stop_reactors(s);
    tlog_drain(s->tlog);
    return instance_unpublish(s->instance);
}

void server_free(struct server *s) {
    if (s == NULL) return;
    stop_reactors(s);
    if (s->main != NULL) net_timer_stop(s->main, &s->tick);
    for (size_t i = 0; i < s->reactor_count; i++) http_port_free(s->reactors[i].port);
    http_port_free(s->ops_port);
    for (size_t i = 0; i < s->reactor_count; i++) net_loop_free(s->reactors[i].loop);
    net_loop_free(s->main);
    http_server_free(s->http);
    http_server_free(s->ops_http);
    rpc_server_free(s->rpc);
    api_free(s->api);
    net_tls_free(s->tls);
    tlog_free(s->tlog); /* before the service: its last rounds call back into it */
    service_free(s->service);
    tokens_free(s->tokens);
    ca_free(s->ca);
    instance_free(s->instance);
    alloc_free(s);
}
