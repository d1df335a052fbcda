/*
 * Plain GET on the service's port: the checkpoint, tiles and trust files, for whoever verifies
 * without our RPCs (C2SP tlog-tiles). Each may be closed, and then asks for a bearer.
 *
 * Tiles are read on a worker: one that is not full is put together out of its leaves.
 */
#include "api/internal.h"
#include "base/alloc.h"
#include "obs/obs.h"

#define TILE_PREFIX "/tile/"
#define TILE_MEMORY_MAX ((size_t)32 << 20) /* an entry bundle: 256 leaves of at most 64 KiB */
#define REPLY_MEMORY_MAX ((size_t)1 << 20)

#define CACHE_FOR_EVER "public, max-age=31536000, immutable"
#define CACHE_NOTHING "no-cache"

/* --- answering */

static int http_status_of(enum error_code code) {
    switch (code) {
        case ERROR_INVALID_ARGUMENT:
            return 400;
        case ERROR_UNAUTHENTICATED:
            return 401;
        case ERROR_PERMISSION_DENIED:
            return 403;
        case ERROR_NOT_FOUND:
        case ERROR_OUT_OF_RANGE:
            return 404;
        case ERROR_RESOURCE_EXHAUSTED:
        case ERROR_FAILED_PRECONDITION:
        case ERROR_UNAVAILABLE:
            return 503;
        default:
            return 500;
    }
}

static void reply(struct http_exchange *x, const char *type, const char *cache, struct bytes body) {
    const struct http_field fields[] = {
        HTTP_FIELD("content-type", bytes_of_cstr(type)),
        HTTP_FIELD("cache-control", bytes_of_cstr(cache)),
        HTTP_FIELD("x-content-type-options", BYTES_LIT("nosniff")),
    };
    http_respond(x, 200, fields, sizeof fields / sizeof *fields);
    http_write(x, body);
    http_end(x, NULL, 0);
    http_release(x);
}

/* refuse tells the caller what was their fault, else the kind of failure alone. Takes `err`. */
static void refuse(struct http_exchange *x, struct error *err) {
    int status = http_status_of(error_code(err));
    const char *text = status >= 500 ? error_code_name(error_code(err)) : error_message(err);
    if (status >= 500) {
        log_event(LOG_ERROR, "get_failed", LOG_STR("path", http_request(x)->path),
                  LOG_ERR("error", err));
    }
    if (status == 401) {
        const struct http_field challenge = HTTP_FIELD("www-authenticate", BYTES_LIT("Bearer"));
        http_respond_only(x, status, &challenge, 1);
        http_release(x);
    } else {
        http_reply(x, status, "text/plain; charset=utf-8", bytes_of_cstr(text));
    }
    error_free(err);
}

static struct error *may_read(const struct api *a, const struct http_exchange *x, unsigned open) {
    if ((a->options.open & open) != 0) return NULL;
    const struct principal *p = NULL;
    return api_bearer(a, http_request_field(x, "authorization"), SCOPE_READ, &p);
}

/* on_head waits for the request's end. Who is known does not count as a stranger meanwhile. */
static void on_head(void *ctx, struct http_exchange *x) {
    if (api_recognise(ctx, http_request_field(x, "authorization")) != NULL) {
        http_trust_body(x);
    } else if (http_crowded(x)) {
        http_reply(x, 503, "text/plain; charset=utf-8", BYTES_LIT("too many requests\n"));
    }
}

static void release(void *ctx, struct http_exchange *x) {
    (void)ctx;
    http_release(x);
}

struct http_handler api_get_handler(struct api *a, void (*on_end)(void *, struct http_exchange *)) {
    return (struct http_handler){
        .ctx = a, .on_request = on_head, .on_end = on_end, .on_aborted = release};
}

/* --- /checkpoint */

static struct error *read_checkpoint(const struct api *a, const struct http_exchange *x,
                                     struct arena *arena, struct service_checkpoint *out) {
    TRY(may_read(a, x, API_OPEN_CHECKPOINT));
    return service_checkpoint(a->options.service, arena, 0, out);
}

static void on_checkpoint(void *ctx, struct http_exchange *x) {
    struct arena arena;
    arena_init(&arena, REPLY_MEMORY_MAX);
    struct service_checkpoint checkpoint;
    struct error *err = read_checkpoint(ctx, x, &arena, &checkpoint);
    if (err == NULL) {
        reply(x, "text/plain; charset=utf-8", CACHE_NOTHING, checkpoint.c2sp);
    } else {
        refuse(x, err);
    }
    arena_done(&arena);
}

/* --- trust files */

static struct bytes trust_file(const struct api *a, struct bytes path, const char **out_type) {
    struct service_trust trust = service_trust(a->options.service);
    *out_type = "application/json";
    if (bytes_equal(path, BYTES_LIT("/trusted_root.json"))) return trust.trusted_root;
    if (bytes_equal(path, BYTES_LIT("/signing-keys.json"))) return trust.signing_keys;
    *out_type = "application/x-pem-file";
    return trust.signing_key_pem;
}

static void on_trust(void *ctx, struct http_exchange *x) {
    struct error *err = may_read(ctx, x, API_OPEN_TRUST);
    if (err != NULL) {
        refuse(x, err);
        return;
    }
    const char *type = NULL;
    struct bytes body = trust_file(ctx, http_request(x)->path, &type);
    reply(x, type, CACHE_NOTHING, body);
}

/* --- tiles: to a worker and back */

struct tile_read {
    const struct api *api;
    struct http_exchange *x;
    struct net_loop *loop;
    struct merkle_tile tile;
    struct arena arena;
    struct service_job job;
    struct net_post post;
    bool found;
    struct bytes octets;
    struct error *err; /* owned */
};

static void tile_done(struct net_post *post) {
    struct tile_read *t =
        (struct tile_read *)(void *)((char *)post - offsetof(struct tile_read, post));
    if (t->err == NULL && !t->found) {
        t->err = error_new(ERROR_NOT_FOUND, "the log has no such tile yet");
    }
    if (t->err != NULL) {
        refuse(t->x, MOVE(t->err));
    } else {
        /* A tile of one width never changes, be it full or not. */
        reply(t->x, "application/octet-stream", CACHE_FOR_EVER, t->octets);
    }
    arena_done(&t->arena);
    alloc_free(t);
}

static void tile_job(struct service_job *job) {
    struct tile_read *t =
        (struct tile_read *)(void *)((char *)job - offsetof(struct tile_read, job));
    t->err = service_tile(t->api->options.service, &t->arena, &t->tile, &t->found, &t->octets);
    net_loop_post(t->loop, &t->post); /* the last touch of `t` */
}

static struct error *begin_tile(const struct api *a, struct http_exchange *x) {
    TRY(may_read(a, x, API_OPEN_TILES));
    struct bytes path = http_request(x)->path;
    struct bytes rest = {path.data + sizeof TILE_PREFIX - 1, path.len - (sizeof TILE_PREFIX - 1)};
    struct merkle_tile tile;
    if (!merkle_tile_parse(rest, &tile)) {
        return error_new(ERROR_NOT_FOUND, "this is no path of a tile");
    }
    struct tile_read *t = alloc_zero(1, sizeof *t);
    if (t == NULL) return error_nomem();
    t->api = a;
    t->x = x;
    t->loop = http_loop(x);
    t->tile = tile;
    arena_init(&t->arena, TILE_MEMORY_MAX);
    t->job.run = tile_job;
    t->post.fn = tile_done;
    http_set_user(x, t);
    struct error *err = service_submit_job(a->options.service, &t->job);
    if (err == NULL) return NULL;
    http_set_user(x, NULL);
    arena_done(&t->arena);
    alloc_free(t);
    return err;
}

static void on_tile(void *ctx, struct http_exchange *x) {
    struct error *err = begin_tile(ctx, x);
    if (err != NULL) refuse(x, err);
}

static void on_tile_aborted(void *ctx, struct http_exchange *x) {
    (void)ctx;
    if (http_user(x) == NULL) http_release(x); /* else tile_done does */
}

/* --- every other path */

static bool is_rpc(struct bytes path) {
    for (size_t i = 0; i < api_table_count; i++) {
        if (bytes_equal(path, bytes_of_cstr(api_table[i].path))) return true;
    }
    return false;
}

/* on_other: an RPC's path takes POST, the others lead nowhere. */
static void on_other(void *ctx, struct http_exchange *x) {
    (void)ctx;
    if (!is_rpc(http_request(x)->path)) {
        refuse(x, error_new(ERROR_NOT_FOUND, "there is nothing here"));
        return;
    }
    const struct http_field allow = HTTP_FIELD("allow", BYTES_LIT("POST"));
    http_respond_only(x, 405, &allow, 1);
    http_release(x);
}

/* --- the public side */

void api_get_init(struct api *a) {
    a->checkpoint = api_get_handler(a, on_checkpoint);
    a->trust = api_get_handler(a, on_trust);
    a->tile = api_get_handler(a, on_tile);
    a->tile.on_aborted = on_tile_aborted;
    a->other = api_get_handler(a, on_other);
}

size_t api_routes(const struct api *a, const struct http_handler *rpc,
                  struct http_route out[API_ROUTES_MAX]) {
    const struct http_route routes[] = {
        {"GET", "/checkpoint", false, &a->checkpoint},
        {"GET", TILE_PREFIX, true, &a->tile},
        {"GET", "/trusted_root.json", false, &a->trust},
        {"GET", "/signing-keys.json", false, &a->trust},
        {"GET", "/signing-key.pem", false, &a->trust},
        {"POST", "/", true, rpc},
        {NULL, "/", true, &a->other},
    };
    _Static_assert(sizeof routes / sizeof *routes <= API_ROUTES_MAX, "more room");
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) out[i] = routes[i];
    return sizeof routes / sizeof *routes;
}
