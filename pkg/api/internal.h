/* internal: one call on its way through api, and the tools of its handlers. */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include <stdatomic.h>

#include "api/api.h"
#include "attestd/v1/attestations.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "msg/msg.h"

/* The bounds of what handlers hold, each beside the resource it guards. */
#define API_BATCH_MEMORY_MAX ((size_t)64 << 20) /* results of one batch */
#define API_ITEM_MEMORY_MAX ((size_t)16 << 20)  /* one item of a batch, while it is worked on */
#define API_STREAM_CHECK_MS 500 /* revocation, draining and health reach streams within it */

struct api_call;

enum api_place {
    API_INLINE = 0, /* on the reactor: under a millisecond */
    API_WORKER,
};

/* One row of the RPC table. Exactly one of run, start and message is set. */
struct api_method {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    unsigned scope; /* of enum scope; 0: any principal */
    unsigned open;  /* of enum api_open; 0: never without credentials */
    bool server_streaming;
    bool client_streaming;
    enum api_place place;
    /* A unary call that is done when it returns: sets c->response. */
    struct error *(*run)(struct api_call *c);
    /* Takes over: ends with api_call_end or, a stream, with rpc_call_finish. */
    void (*start)(struct api_call *c);
    /* A request stream: runs for each message. */
    void (*message)(struct api *a, struct rpc_call *rpc, struct bytes message);
};

extern const struct api_method api_table[];
extern const size_t api_table_count;

struct api {
    struct api_options options;
    struct msg_schema *schema;
    struct rpc_method *methods; /* api_table_count; cookie: index into api_table */
    struct http_handler checkpoint;
    struct http_handler tile;
    struct http_handler trust;
    struct http_handler other;
    struct http_handler healthz;
    struct http_handler readyz;
    struct http_handler metrics;
    atomic_bool draining;
};

/* Lives in the call's arena. */
struct api_call {
    struct api *api;
    struct rpc_call *rpc;
    const struct api_method *method;
    struct arena *arena;
    const struct principal *principal; /* NULL: a stranger, on an open method */
    const ProtobufCMessage *request;
    size_t message_octets; /* of the request, as it came */
    const ProtobufCMessage *response;
    struct bytes encoded;
    struct error *err; /* owned, on its way from a worker */
    struct service_job job;
};

/* --- call.c */
void api_handle(void *ctx, struct rpc_call *rpc, struct bytes message);

/* api_decode reads a request in the call's codec. api_encode writes a message in it. */
MUST_USE struct error *api_decode(const struct api *a, const struct rpc_call *rpc,
                                  struct arena *arena, const ProtobufCMessageDescriptor *type,
                                  struct bytes message, const ProtobufCMessage **out);
MUST_USE struct error *api_encode(const struct api *a, const struct rpc_call *rpc,
                                  struct arena *arena, const ProtobufCMessage *m,
                                  struct bytes *out);

/* api_call_end sends c->response and finishes, or finishes with `err`, which it takes. */
void api_call_end(struct api_call *c, struct error *err);

/* --- auth.c */
struct error *api_authenticate(void *ctx, struct rpc_call *rpc, const struct rpc_method *m);

/* api_bearer answers who bears the authorization field `header`, and that it has `scope`. */
MUST_USE struct error *api_bearer(const struct api *a, struct bytes header, unsigned scope,
                                  const struct principal **out);

/* api_recognise answers who bears `header` where anybody may come: NULL for a stranger, also one
 * with a token that is not valid. Who is known does not count against the limits for strangers. */
const struct principal *api_recognise(const struct api *a, struct bytes header);

/* --- make.c: building responses in an arena. Failure is sticky: api_made asks once, at the end. */
struct api_maker {
    struct arena *arena;
    struct error *failed; /* the first failure; owned until api_made */
};
MUST_USE struct error *api_made(struct api_maker *mk);
void api_make_fail(struct api_maker *mk, struct error *err);                  /* takes err */
void *api_make(struct api_maker *mk, const ProtobufCMessageDescriptor *type); /* NULL: failed */
void *api_make_array(struct api_maker *mk, size_t count, size_t size);        /* NULL: failed */
void *api_make_list(struct api_maker *mk, size_t count);      /* of pointers. NULL: failed */
char *api_make_text(struct api_maker *mk, struct bytes utf8); /* copies */
ProtobufCBinaryData api_make_octets(struct api_maker *mk, struct bytes octets); /* copies */
Google__Protobuf__Timestamp *api_make_time(struct api_maker *mk, int64_t unix_ms);

/* api_borrow views octets that outlive the response. */
static inline ProtobufCBinaryData api_borrow(struct bytes octets) {
    return (ProtobufCBinaryData){octets.len, (uint8_t *)(uintptr_t)octets.data};
}

/* --- convert.c: messages to domain values and back */

/* api_text views a string of a message: the check of messages has made sure that it is a text. */
static inline struct text api_text(const char *s) { return text_of_cstr(s); }

/* api_json_of gives the JSON object that `s` stands for; NULL for NULL. `field` is for the
 * error. Errors: INVALID_ARGUMENT INVALID_FIELD for a Value without a kind or not finite. */
MUST_USE struct error *api_json_of(struct arena *arena, const Google__Protobuf__Struct *s,
                                   const char *field, const struct json_value **out);
Google__Protobuf__Struct *api_make_struct(struct api_maker *mk, const struct json_value *object);

MUST_USE struct error *api_time_of(const Google__Protobuf__Timestamp *t, const char *field,
                                   struct intoto_time *out);

MUST_USE struct error *api_resource_of(struct arena *arena,
                                       const Attestd__V1__ResourceDescriptor *d, const char *field,
                                       struct intoto_resource *out);
/* api_resources_of reads `count` descriptors; `field` is the name of the repeated field. */
MUST_USE struct error *api_resources_of(struct arena *arena,
                                        Attestd__V1__ResourceDescriptor *const *list, size_t count,
                                        const char *field, const struct intoto_resource **out);
Attestd__V1__ResourceDescriptor **api_make_resources(struct api_maker *mk,
                                                     const struct intoto_resource *list,
                                                     size_t count);
Attestd__V1__Attestation *api_make_attestation(struct api_maker *mk,
                                               const struct service_attestation *a);

/* --- batch.c: many items, each with its own result */
struct api_batch_item {
    struct service_job job;            /* first: of a large one */
    struct api_batch_item *next_ready; /* the list's */
    struct api_batch *batch;
    struct arena arena;    /* from begin to finish */
    struct error *unbegun; /* why a large one was not begun */
    size_t index;
    bool is_large;
    union {
        struct service_attest attest;
        struct service_decide decide;
    };
};

struct api_batch_kind {
    size_t window; /* items under way at once */
    /* Whether to begin it takes so long that a worker has to; NULL: never. */
    bool (*is_large)(const struct api_call *c, size_t index);
    /* Decode item `index` of the request and begin it; *out_pending: api_batch_ready follows. */
    struct error *(*begin)(struct api_call *c, struct api_batch_item *item, bool *out_pending);
    /* The response of one item, or its error. Messages go to `mk`, which outlives the item. */
    struct error *(*finish)(struct api_call *c, struct api_batch_item *item, struct api_maker *mk,
                            ProtobufCMessage **out);
    /* The whole response out of the items' (NULL: see errors). */
    ProtobufCMessage *(*assemble)(struct api_maker *mk, ProtobufCMessage *const *responses,
                                  Google__Rpc__Status *const *errors, size_t count);
};

/* api_batch_start runs `count` items and ends the call. */
void api_batch_start(struct api_call *c, const struct api_batch_kind *kind, size_t count);

/* api_batch_ready tells that a pending item can be finished; from any thread. */
void api_batch_ready(struct api_batch_item *item);

/* --- the handlers of the table */
void api_attest(struct api_call *c);
void api_attest_batch(struct api_call *c);
void api_decide(struct api_call *c);
void api_decide_batch(struct api_call *c);
void api_watch(struct api_call *c);
struct error *api_get(struct api_call *c);
struct error *api_list(struct api_call *c);
struct error *api_trace(struct api_call *c);
struct error *api_get_checkpoint(struct api_call *c);
struct error *api_get_inclusion_proof(struct api_call *c);
struct error *api_get_consistency_proof(struct api_call *c);
struct error *api_get_entries(struct api_call *c);
struct error *api_get_trust(struct api_call *c);
struct error *api_create_token(struct api_call *c);
struct error *api_list_tokens(struct api_call *c);
struct error *api_revoke_token(struct api_call *c);
struct error *api_backup(struct api_call *c);
struct error *api_health_check(struct api_call *c);
void api_health_watch(struct api_call *c);
void api_reflect(struct api *a, struct rpc_call *rpc, struct bytes message);

/* --- get.c, ops.c */

/* api_get_handler answers a GET in one go, when it is complete. */
struct http_handler api_get_handler(struct api *a, void (*on_end)(void *, struct http_exchange *));
void api_get_init(struct api *a);
void api_ops_init(struct api *a);

#endif
