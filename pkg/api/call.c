/*
 * A unary call on its way: decode, run (here or on a worker), encode, send. While a worker has it
 * the call's arena is the worker's; a call is finished on its reactor alone.
 */
#include "api/internal.h"

struct error *api_decode(const struct api *a, const struct rpc_call *rpc, struct arena *arena,
                         const ProtobufCMessageDescriptor *type, struct bytes message,
                         const ProtobufCMessage **out) {
    ProtobufCMessage *m = NULL;
    if (rpc_call_codec(rpc) == RPC_CODEC_JSON) {
        TRY(msg_from_json(a->schema, arena, type, message, &m));
    } else {
        TRY(msg_unpack(a->schema, arena, type, message, &MSG_LIMITS_DEFAULT, &m));
    }
    *out = m;
    return NULL;
}

struct error *api_encode(const struct api *a, const struct rpc_call *rpc, struct arena *arena,
                         const ProtobufCMessage *m, struct bytes *out) {
    if (rpc_call_codec(rpc) != RPC_CODEC_JSON) return msg_pack(arena, m, out);
    struct error *err = msg_to_json(a->schema, arena, m, out);
    /* What we cannot print is not the caller's fault. */
    if (err == NULL || error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    return error_recode(err, ERROR_INTERNAL, "print the response");
}

static void finish(struct api_call *c, struct error *err) {
    if (err == NULL) rpc_call_send(c->rpc, c->encoded);
    rpc_call_finish(c->rpc, err);
}

void api_call_end(struct api_call *c, struct error *err) {
    if (err == NULL) err = api_encode(c->api, c->rpc, c->arena, c->response, &c->encoded);
    finish(c, err);
}

/* --- on a worker */

static void back_on_the_reactor(struct rpc_call *rpc, void *arg) {
    (void)rpc;
    struct api_call *c = arg;
    finish(c, MOVE(c->err));
}

static void run_on_a_worker(struct service_job *job) {
    struct api_call *c = (struct api_call *)(void *)((char *)job - offsetof(struct api_call, job));
    c->err = c->method->run(c);
    if (c->err == NULL) c->err = api_encode(c->api, c->rpc, c->arena, c->response, &c->encoded);
    rpc_call_post(c->rpc, back_on_the_reactor, c); /* the last touch of `c` */
}

static void run(struct api_call *c) {
    if (c->method->start != NULL) {
        c->method->start(c);
        return;
    }
    if (c->method->place == API_INLINE) {
        api_call_end(c, c->method->run(c));
        return;
    }
    c->job.run = run_on_a_worker;
    struct error *err = service_submit_job(c->api->options.service, &c->job);
    if (err != NULL) rpc_call_finish(c->rpc, err);
}

/* --- on the reactor */

void api_handle(void *ctx, struct rpc_call *rpc, struct bytes message) {
    struct api *a = ctx;
    const struct api_method *method = &api_table[rpc_call_method(rpc)->cookie];
    if (method->message != NULL) {
        method->message(a, rpc, message);
        return;
    }
    struct arena *arena = rpc_call_arena(rpc);
    struct api_call *c = arena_alloc(arena, sizeof *c);
    if (c == NULL) {
        rpc_call_finish(rpc, error_nomem());
        return;
    }
    c->api = a;
    c->rpc = rpc;
    c->method = method;
    c->arena = arena;
    c->principal = rpc_call_user(rpc);
    c->message_octets = message.len;
    struct error *err = api_decode(a, rpc, arena, method->request, message, &c->request);
    if (err != NULL) {
        rpc_call_finish(rpc, err);
        return;
    }
    run(c);
}
