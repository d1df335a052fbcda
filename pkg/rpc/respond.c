/* Responses in both protocols. gRPC: messages in DATA, status in trailers, or in the head alone
 * where there was no message. Connect: the message as the body, an error as JSON with an HTTP
 * status.
 *
 * The call's arena is not touched here: when a deadline ends a call for its peer, a worker or the
 * log may be filling that arena at this moment. */
#include "codec/codec.h"
#include "json/json.h"
#include "rpc/internal.h"

#define STATUS_MEMORY_MAX (RPC_GRPC_MESSAGE_MAX + 16 * RPC_DETAILS_MAX) /* buffers that double */

static const char *content_type(const struct rpc_call *call) {
    if (call->protocol == RPC_GRPC) return "application/grpc+proto";
    return call->codec == RPC_CODEC_JSON ? "application/json" : "application/proto";
}

static struct http_field id_field(const struct rpc_call *call) {
    struct http_field f = HTTP_FIELD("x-request-id", bytes_of_cstr(call->request_id));
    f.once = true;
    return f;
}

static void send_head(struct rpc_call *call) {
    const struct http_field fields[] = {
        HTTP_FIELD("content-type", bytes_of_cstr(content_type(call))),
        id_field(call),
        HTTP_FIELD("grpc-accept-encoding", BYTES_LIT("identity")),
    };
    http_respond(call->x, 200, fields, call->protocol == RPC_GRPC ? 3 : 2);
    call->head_sent = true;
}

void respond_message(struct rpc_call *call, struct bytes message) {
    if (call->answered) return;
    if (!call->head_sent) send_head(call);
    call->sent = true;
    if (call->protocol == RPC_GRPC) {
        uint8_t head[RPC_FRAME_HEAD];
        rpc_frame_head(head, message.len);
        http_write(call->x, (struct bytes){head, sizeof head});
    }
    http_write(call->x, message);
}

/* --- gRPC's end */

struct trailers {
    struct http_field fields[6];
    size_t count;
    struct buf message;
    struct buf details;
};

static void add(struct trailers *t, struct http_field f) { t->fields[t->count++] = f; }

/* Details that memory does not suffice for are left out: the code is what a client needs. */
static void put_details(struct arena *arena, struct trailers *t, const struct msg_status *d) {
    bool any = d->reason[0] != '\0' || d->field[0] != '\0' || d->retry_ms > 0;
    if (!any) return;
    struct buf wire;
    buf_init_arena(&wire, arena, RPC_DETAILS_MAX);
    msg_put_status(&wire, d);
    rpc_base64_put(&t->details, buf_bytes(&wire));
    if (wire.failed || t->details.failed) return;
    struct http_field f = HTTP_FIELD("grpc-status-details-bin", buf_bytes(&t->details));
    f.once = true;
    add(t, f);
}

static void put_status(struct rpc_call *call, struct arena *arena, struct trailers *t,
                       const struct error *err) {
    struct rpc_status status;
    struct msg_status details;
    rpc_status_public(err, call->request_id, &status);
    rpc_status_details(err, &status, &details);
    static const char *const numbers[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                          "9", "10", "11", "12", "13", "14", "15", "16"};
    add(t, HTTP_FIELD("grpc-status", bytes_of_cstr(numbers[status.code])));
    rpc_percent_put(&t->message, bytes_of_cstr(status.message));
    if (!t->message.failed && t->message.len > 0) {
        add(t, HTTP_FIELD("grpc-message", buf_bytes(&t->message)));
        t->fields[t->count - 1].once = true;
    }
    put_details(arena, t, &details);
}

static void end_grpc(struct rpc_call *call, struct arena *arena, const struct error *err) {
    struct trailers t = {.count = 0};
    buf_init_arena(&t.message, arena, RPC_GRPC_MESSAGE_MAX);
    buf_init_arena(&t.details, arena, 2 * RPC_DETAILS_MAX);
    bool only = !call->head_sent && err != NULL;
    if (!call->head_sent && !only) send_head(call); /* a stream of nothing, ended with OK */
    if (only) {
        add(&t, HTTP_FIELD("content-type", bytes_of_cstr(content_type(call))));
        add(&t, id_field(call));
        add(&t, HTTP_FIELD("grpc-accept-encoding", BYTES_LIT("identity")));
    }
    if (err == NULL) {
        add(&t, HTTP_FIELD("grpc-status", BYTES_LIT("0")));
    } else {
        put_status(call, arena, &t, err);
    }
    if (only) {
        http_respond_only(call->x, 200, t.fields, t.count);
    } else {
        http_end(call->x, t.fields, t.count);
    }
}

/* --- Connect's end */

static void put_error_json(struct rpc_call *call, struct arena *arena, struct buf *out,
                           const struct error *err) {
    struct rpc_status status;
    struct msg_status details;
    rpc_status_public(err, call->request_id, &status);
    rpc_status_details(err, &status, &details);
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "code");
    json_put_cstr(&w, rpc_connect_code((int)status.code));
    json_key(&w, "message");
    struct bytes message = bytes_of_cstr(status.message);
    json_put_string(&w, bytes_are_utf8(message) ? message : BYTES_LIT("invalid request"));
    struct buf list;
    buf_init_arena(&list, arena, 2 * RPC_DETAILS_MAX);
    msg_put_connect_details(&list, &details);
    if (!list.failed && list.len > 2) {
        json_key(&w, "details");
        json_put_raw(&w, buf_bytes(&list));
    }
    json_object_end(&w);
}

static void end_connect(struct rpc_call *call, struct arena *arena, const struct error *err) {
    if (err == NULL) {
        if (!call->head_sent) send_head(call); /* an empty message */
        http_end(call->x, NULL, 0);
        return;
    }
    if (call->head_sent) { /* a message and an error: the client must see neither as whole */
        http_reset(call->x);
        return;
    }
    struct buf json;
    buf_init_arena(&json, arena, 4 * RPC_DETAILS_MAX);
    put_error_json(call, arena, &json, err);
    int code = (int)error_code(err);
    int status = call->method == NULL ? 404 : rpc_connect_http_status(code);
    /* SPEC rfc9110 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate
     * header field" */
    const struct http_field fields[] = {
        HTTP_FIELD("content-type", BYTES_LIT("application/json")),
        id_field(call),
        HTTP_FIELD("www-authenticate", BYTES_LIT("Bearer")),
    };
    http_respond(call->x, status, fields, status == 401 ? 3 : 2);
    http_write(call->x, buf_bytes(&json));
    http_end(call->x, NULL, 0);
}

void respond_end(struct rpc_call *call, const struct error *err) {
    if (call->answered) return;
    call->answered = true;
    struct arena arena; /* http copies what it is given */
    arena_init(&arena, STATUS_MEMORY_MAX);
    if (call->protocol == RPC_GRPC) {
        end_grpc(call, &arena, err);
    } else {
        end_connect(call, &arena, err);
    }
    arena_done(&arena);
}

/* SPEC grpc PROTOCOL-HTTP2: "If Content-Type does not begin with "application/grpc", gRPC servers
 * SHOULD respond with HTTP status of 415 (Unsupported Media Type)." */
void respond_unsupported(struct http_exchange *x) {
    const struct http_field fields[] = {
        HTTP_FIELD("accept-post",
                   BYTES_LIT("application/grpc, application/grpc+proto, application/proto, "
                             "application/json")),
    };
    http_respond_only(x, 415, fields, 1);
    http_release(x);
}
