/*
 * api: what the service looks like from outside: the table of RPCs (path, types, scope, how it
 * runs), messages to domain values and back, authentication of bearers, health, reflection, and the
 * plain GET routes. Immutable but for draining; any reactor may run its callbacks.
 */
#ifndef API_API_H
#define API_API_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "http/http.h"
#include "rpc/rpc.h"
#include "service/service.h"
#include "service/token.h"

/* What answers without credentials; each can be closed. */
enum api_open {
    API_OPEN_CHECKPOINT = 1 << 0, /* /checkpoint */
    API_OPEN_TILES = 1 << 1,
    API_OPEN_TRUST = 1 << 2,      /* trust files, Trust.GetTrust */
    API_OPEN_HEALTH = 1 << 3,     /* closed: any valid token */
    API_OPEN_REFLECTION = 1 << 4, /* closed: any valid token */
};
#define API_OPEN_ALL 31u

struct api_options {
    struct service *service;
    struct tokens *tokens;
    const struct clock *clock;
    unsigned open; /* of enum api_open */
    /* Makes a backup below the configured directory; on a worker. NULL: UNIMPLEMENTED. */
    struct error *(*backup)(void *ctx, struct arena *arena, struct text *out_path,
                            uint64_t *out_tree_size);
    /* What else /readyz asks; `why` is one line, also shown where it answers true. May be NULL. */
    bool (*ready)(void *ctx, char *why, size_t size);
    /* Brings gauges up to date before /metrics is written. May be NULL. */
    void (*refresh_metrics)(void *ctx);
    void *ctx; /* for the three */
};

struct api;

/* api_new: nothing of the options is taken; all must outlive it. Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *api_new(const struct api_options *options, struct api **out);
void api_free(struct api *a); /* after the servers that use it */
DEFINE_CLEANUP(struct api, api_free);

/* api_rpc_options sets methods, ctx, authenticate and observe; the limits are the caller's. */
void api_rpc_options(struct api *a, struct rpc_options *out);

/* api_routes writes the routes of the service's port, `rpc` for the services among them;
 * api_ops_routes those of the ops port. Both return how many. */
#define API_ROUTES_MAX 8
size_t api_routes(const struct api *a, const struct http_handler *rpc,
                  struct http_route out[API_ROUTES_MAX]);
size_t api_ops_routes(const struct api *a, struct http_route out[API_ROUTES_MAX]);

/* api_drain ends running streams within a second: UNAVAILABLE SHUTTING_DOWN. Any thread. */
void api_drain(struct api *a);

#endif
