/* Requests: the head decides protocol, codec and deadline, then who may call; the body gives the
 * message; its end hands it to the method. With client streaming every message is handed on as it
 * comes, while the answers keep up. */
#include "rpc/internal.h"

/* --- the head */

/* SPEC connect: connect-protocol-version must be "1"; servers may, and we do, take a request
 * without it, so that plain JSON clients need not know Connect. */
static struct error *check_connect_head(const struct rpc_call *call) {
    struct bytes version = rpc_call_metadata(call, "connect-protocol-version");
    if (version.data != NULL && !bytes_equal(version, BYTES_LIT("1"))) {
        return error_field_new("connect-protocol-version", "only 1 is spoken");
    }
    struct bytes coding = rpc_call_metadata(call, "content-encoding");
    if (coding.len > 0 && !bytes_equal(coding, BYTES_LIT("identity"))) {
        return error_new(ERROR_UNIMPLEMENTED, "content-encoding: only identity is spoken");
    }
    return NULL;
}

static struct error *read_deadline(struct rpc_call *call) {
    bool grpc = call->protocol == RPC_GRPC;
    const char *name = grpc ? "grpc-timeout" : "connect-timeout-ms";
    struct bytes text = rpc_call_metadata(call, name);
    uint64_t us = 0;
    if (text.data == NULL) {
        bool stream = call->method != NULL &&
                      (call->method->server_streaming || call->method->client_streaming);
        us = (uint64_t)call->server->options.deadline_default_ms * 1000;
        if (!stream && us > 0) call_start_deadline(call, us);
        return NULL;
    }
    if (!(grpc ? rpc_timeout_parse(text, &us) : rpc_connect_timeout_parse(text, &us))) {
        return error_field_new(name, "malformed");
    }
    call_start_deadline(call, us);
    return NULL;
}

/* begin runs the checks of the head in their order: what is asked for, how long it may take, who
 * asks. */
static struct error *begin(struct rpc_call *call) {
    const struct rpc_options *o = &call->server->options;
    TRY(read_deadline(call));
    if (call->protocol == RPC_CONNECT_UNARY) TRY(check_connect_head(call));
    if (call->method == NULL) {
        return error_new(ERROR_UNIMPLEMENTED, "no such method: " BYTES_FMT,
                         BYTES_ARG(http_request(call->x)->path));
    }
    if (o->authenticate != NULL) TRY(o->authenticate(o->ctx, call, call->method));
    if (call->user != NULL) {
        call_trust(call);
    } else if (http_crowded(call->x)) {
        return error_new(ERROR_RESOURCE_EXHAUSTED,
                         "too many requests without credentials are under way: come again later");
    }
    return NULL;
}

void request_begin(struct rpc_call *call) {
    struct error *err = begin(call);
    if (err != NULL) rpc_call_finish(call, err);
}

/* --- the body */

static struct error *too_large(const struct rpc_call *call) {
    return error_reason_new(REASON_MESSAGE_TOO_LARGE, "the message is larger than %zu octets",
                            call->server->options.message_max);
}

static struct error *frame_error(const struct rpc_call *call, enum rpc_frame r) {
    switch (r) {
        case RPC_FRAME_COMPRESSED:
            return error_new(ERROR_UNIMPLEMENTED, "grpc-encoding: only identity is spoken");
        case RPC_FRAME_BAD_FLAG:
            return error_reason_new(REASON_MALFORMED_MESSAGE,
                                    "a message's compressed flag is not 0 or 1");
        case RPC_FRAME_TOO_LARGE:
            return too_large(call);
        default:
            return error_nomem();
    }
}

/* hand_on gives a message to the method; false if that ended the call. */
static bool hand_on(struct rpc_call *call, struct bytes message) {
    call_hold(call);
    call->handled = true;
    call->method->handle(call->server->options.ctx, call, message);
    return call_drop(call);
}

/* keep_message keeps the one message of a unary request until the request's end. */
static struct error *keep_message(struct rpc_call *call, struct bytes message) {
    if (call->has_message) {
        return error_new(ERROR_UNIMPLEMENTED, "more than one request message");
    }
    call->has_message = true;
    if (message.data == call->frames.message.data && message.len > 0) { /* stays where it is */
        call->message = message;
        return NULL;
    }
    buf_put(&call->body, message);
    call->message = buf_bytes(&call->body);
    return buf_finish(&call->body, "request message");
}

/* read_unary reads frames; on error the call must be refused. */
static struct error *read_unary(struct rpc_call *call, struct bytes chunk) {
    for (;;) {
        struct bytes message = {0};
        enum rpc_frame r = rpc_frames_read(&call->frames, &chunk, &message);
        if (r == RPC_FRAME_MORE) return NULL;
        if (r != RPC_FRAME_MESSAGE) return frame_error(call, r);
        TRY(keep_message(call, message));
    }
}

/* read_stream hands on whole messages while the answers keep up; false if the call has ended, or
 * ended for the peer. What it could not take is left in `*chunk`. */
static bool read_stream(struct rpc_call *call, struct bytes *chunk) {
    while (!call->cancelled && http_writable(call->x)) {
        struct bytes message = {0};
        enum rpc_frame r = rpc_frames_read(&call->frames, chunk, &message);
        if (r == RPC_FRAME_MORE) return true;
        if (r != RPC_FRAME_MESSAGE) {
            call_refuse(call, frame_error(call, r));
            return false;
        }
        if (!hand_on(call, message)) return false;
    }
    return true;
}

static bool is_stream(const struct rpc_call *call) { return call->method->client_streaming; }

/* The request has ended and all of its messages were handed on. */
static void finish_stream(struct rpc_call *call) {
    if (!call->at_end || call->body.len > 0 || call->cancelled) return;
    call->at_end = false; /* once */
    if (!rpc_frames_at_rest(&call->frames)) {
        call_refuse(call,
                    error_reason_new(REASON_MALFORMED_MESSAGE, "the last message is cut short"));
        return;
    }
    (void)hand_on(call, (struct bytes){0});
}

/* stream_on reads on in what waits and then `chunk`. What is left waits until the answers have
 * left; meanwhile the peer gets no more window. */
static void stream_on(struct rpc_call *call, struct bytes chunk) {
    struct buf waiting = call->body;
    call->body = (struct buf){.max = waiting.max};
    buf_put(&waiting, chunk);
    struct bytes rest = buf_bytes(&waiting);
    bool failed = waiting.failed;
    bool there = failed || read_stream(call, &rest);
    if (there && !failed) {
        buf_put(&call->body, rest);
        failed = call->body.failed;
    }
    if (there && !failed) {
        http_body_held(call->x, call->body.len + rpc_frames_held(&call->frames));
        http_pause_body(call->x, call->body.len > 0);
        finish_stream(call);
    } else if (there) {
        call_refuse(call, error_nomem());
    }
    buf_done(&waiting);
}

void request_body(struct rpc_call *call, struct bytes chunk) {
    if (call->cancelled) return;
    struct error *err = NULL;
    if (call->protocol == RPC_CONNECT_UNARY) {
        buf_put(&call->body, chunk);
        if (call->body.failed) err = call->body.over_max ? too_large(call) : error_nomem();
    } else if (is_stream(call)) {
        stream_on(call, chunk);
    } else {
        err = read_unary(call, chunk);
    }
    if (err != NULL) call_refuse(call, err);
}

static struct error *check_whole(struct rpc_call *call) {
    if (call->protocol == RPC_CONNECT_UNARY) {
        call->message = buf_bytes(&call->body);
        return NULL;
    }
    if (!rpc_frames_at_rest(&call->frames)) {
        return error_reason_new(REASON_MALFORMED_MESSAGE, "the message is cut short");
    }
    if (!call->has_message) return error_new(ERROR_UNIMPLEMENTED, "no request message");
    return NULL;
}

void request_end(struct rpc_call *call) {
    if (call->cancelled) return;
    if (is_stream(call)) {
        call->at_end = true;
        finish_stream(call);
        return;
    }
    struct error *err = check_whole(call);
    if (err != NULL) {
        rpc_call_finish(call, err);
        return;
    }
    (void)hand_on(call, call->message);
}

void request_writable(struct rpc_call *call) {
    if (call->cancelled) return;
    call_hold(call);
    if (call->on_writable != NULL) call->on_writable(call, call->writable_ctx);
    if (!call_drop(call)) return;
    if (is_stream(call) && call->body.len > 0) stream_on(call, (struct bytes){0});
}
