/* gRPC calls over http_client. A call's answer is put together in `ending`: by the trailers, or by
 * what went wrong on the way. The deadline is kept on both sides; here it also covers servers that
 * do not answer at all. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/reader.h"
#include "codec/codec.h"
#include "http/http_client.h"
#include "msg/msg.h"
#include "rpc/rpc_client.h"
#include "rpc/wire.h"

#define MESSAGE_MAX_DEFAULT ((size_t)64 << 20)
#define OPEN_TIMEOUT_MS 10000
#define STALL_TIMEOUT_MS 30000
#define HEAD_MAX ((size_t)32768)
#define RESULT_ARENA_MAX ((size_t)256 * 1024)

struct rpc_client {
    struct net_loop *loop;
    struct net_loop *own_loop;         /* of a dialled client; else NULL */
    struct http_client *http;          /* NULL: dial again */
    struct rpc_client_options options; /* host and token are owned copies */
    char *host;
    char *authorization; /* "Bearer ..."; NULL: none. Wiped by rpc_client_free */
    size_t authorization_len;
    struct rpc_client_call *calls;
};

struct rpc_client_call {
    struct rpc_client_call *next, *prev;
    struct rpc_client *client;
    struct http_client_call *http; /* NULL once over */
    const struct rpc_client_events *events;
    void *ctx;
    struct rpc_frames frames;
    struct net_timer deadline;
    struct arena arena; /* of the result */
    const char *broken; /* what of the response is not gRPC; NULL: nothing */
    int broken_code;
};

/* --- results */

static const char *text_in(struct arena *arena, struct bytes in) {
    struct bytes copy = arena_copy(arena, in);
    return copy.data == NULL ? "" : (const char *)copy.data;
}

static struct rpc_client_result result_of(int code, const char *message) {
    return (struct rpc_client_result){
        .code = code, .message = message, .reason = "", .field = "", .request_id = ""};
}

/* As gRPC's http-grpc-status-mapping.md has it: a response without grpc-status is mapped by its
 * HTTP status. */
static int code_of_http(int status) {
    switch (status) {
        case 400:
            return ERROR_INTERNAL;
        case 401:
            return ERROR_UNAUTHENTICATED;
        case 403:
            return ERROR_PERMISSION_DENIED;
        case 404:
            return ERROR_UNIMPLEMENTED;
        case 429:
        case 502:
        case 503:
        case 504:
            return ERROR_UNAVAILABLE;
        default:
            return ERROR_UNKNOWN;
    }
}

static void read_details(struct rpc_client_call *k, struct rpc_client_result *r) {
    const struct msg_schema *schema = k->client->options.schema;
    struct bytes text = http_client_field(k->http, "grpc-status-details-bin");
    if (schema == NULL || text.len == 0) return;
    struct bytes wire = {0};
    struct msg_status status = {0};
    struct error *err = base64_decode(&k->arena, text, BASE64_ANY, &wire);
    if (err == NULL) err = msg_get_status(schema, &k->arena, wire, &status);
    if (err != NULL) {
        error_ignore(err, "details are an extra: code and message stand without them");
        return;
    }
    r->reason = status.reason;
    r->field = status.field;
    r->retry_ms = status.retry_ms;
}

static struct rpc_client_result read_trailers(struct rpc_client_call *k) {
    struct bytes status = http_client_field(k->http, "grpc-status");
    uint64_t code = ERROR_UNKNOWN;
    struct rpc_client_result r = result_of(ERROR_UNKNOWN, "");
    if (status.data == NULL) {
        char text[64];
        int http = http_client_status(k->http);
        (void)snprintf(text, sizeof text, "no gRPC status; HTTP status %d", http);
        r.code = code_of_http(http);
        r.message = text_in(&k->arena, bytes_of_cstr(text));
    } else {
        r.code = bytes_to_u64(status, &code) && code <= 16 ? (int)code : ERROR_UNKNOWN;
        struct buf message;
        buf_init_arena(&message, &k->arena, HEAD_MAX);
        rpc_percent_decode(&message, http_client_field(k->http, "grpc-message"));
        r.message = text_in(&k->arena, buf_bytes(&message));
        read_details(k, &r);
    }
    r.request_id = text_in(&k->arena, http_client_field(k->http, "x-request-id"));
    r.answered = true;
    return r;
}

struct error *rpc_client_error(const struct rpc_client_result *r) {
    if (r->code == 0) return NULL;
    const char *id = r->request_id;
    const char *open = id[0] == '\0' ? "" : " (request ";
    const char *close = id[0] == '\0' ? "" : ")";
    bool said = strstr(r->message, "(request ") != NULL; /* the server did already */
    if (said) open = id = close = "";
    for (int i = 1; i < REASON_COUNT_; i++) {
        if (strcmp(reason_name((enum reason)i), r->reason) != 0) continue;
        return error_reason_new((enum reason)i, "%s%s%s%s", r->message, open, id, close);
    }
    return error_new((enum error_code)r->code, "%s%s%s%s", r->message, open, id, close);
}

/* --- calls */

static void call_free(struct rpc_client_call *k) {
    struct rpc_client *c = k->client;
    if (k->next != NULL) k->next->prev = k->prev;
    if (k->prev != NULL) {
        k->prev->next = k->next;
    } else {
        c->calls = k->next;
    }
    net_timer_stop(c->loop, &k->deadline);
    rpc_frames_done(&k->frames);
    arena_done(&k->arena);
    alloc_free(k);
}

static void finish(struct rpc_client_call *k, const struct rpc_client_result *r) {
    net_timer_stop(k->client->loop, &k->deadline);
    k->events->on_done(k->ctx, k, r);
    call_free(k);
}

/* stop ends a call from this side; the server is told by a reset. */
static void stop(struct rpc_client_call *k, int code, const char *message) {
    struct http_client_call *http = MOVE(k->http);
    if (http != NULL) http_client_cancel(http);
    struct rpc_client_result r = result_of(code, message);
    finish(k, &r);
}

static void on_deadline(struct net_timer *timer) {
    struct rpc_client_call *k =
        (struct rpc_client_call *)((char *)timer - offsetof(struct rpc_client_call, deadline));
    stop(k, ERROR_DEADLINE_EXCEEDED, "the deadline has passed");
}

static void break_off(struct rpc_client_call *k, int code, const char *why) {
    k->broken = why;
    k->broken_code = code;
}

static void on_head(void *ctx, struct http_client_call *http, int status) {
    struct rpc_client_call *k = ctx;
    struct bytes type = http_client_field(http, "content-type");
    if (status == 200 && !bytes_start_with(type, BYTES_LIT("application/grpc"))) {
        break_off(k, ERROR_UNKNOWN, "the server's answer is not gRPC");
    }
}

static void on_data(void *ctx, struct http_client_call *http, struct bytes data) {
    struct rpc_client_call *k = ctx;
    if (http_client_status(http) != 200) return; /* an error page */
    while (k->broken == NULL) {
        struct bytes message = {0};
        enum rpc_frame r = rpc_frames_read(&k->frames, &data, &message);
        if (r == RPC_FRAME_MORE) return;
        if (r == RPC_FRAME_TOO_LARGE || r == RPC_FRAME_NO_MEMORY) {
            break_off(k, ERROR_RESOURCE_EXHAUSTED, "the server's message is too large");
        } else if (r != RPC_FRAME_MESSAGE) {
            break_off(k, ERROR_INTERNAL, "the server's message is compressed or malformed");
        } else {
            k->events->on_message(k->ctx, k, message);
        }
    }
}

static void on_http_done(void *ctx, struct http_client_call *http, const struct error *why) {
    struct rpc_client_call *k = ctx;
    struct rpc_client_result r;
    if (k->broken != NULL) {
        r = result_of(k->broken_code, k->broken);
    } else if (why != NULL && http_client_field(http, "grpc-status").data == NULL) {
        r = result_of((int)error_code(why), error_message(why));
    } else {
        r = read_trailers(k);
        if (r.code == 0 && !rpc_frames_at_rest(&k->frames)) {
            r = result_of(ERROR_INTERNAL, "the server's last message is cut short");
        }
    }
    k->http = NULL; /* gone when we return */
    finish(k, &r);
}

static const struct http_client_events http_events = {
    .on_head = on_head, .on_data = on_data, .on_done = on_http_done};

static struct error *frame_message(struct bytes message, struct buf *out) {
    buf_init(out, message.len + RPC_FRAME_HEAD);
    uint8_t head[RPC_FRAME_HEAD];
    rpc_frame_head(head, message.len);
    buf_put(out, (struct bytes){head, sizeof head});
    buf_put(out, message);
    return buf_finish(out, "request message");
}

static struct error *send_call(struct rpc_client_call *k, const struct rpc_client_request *r) {
    struct rpc_client *c = k->client;
    char timeout_text[16];
    struct buf timeout;
    buf_init_arena(&timeout, &k->arena, sizeof timeout_text);
    rpc_timeout_put(&timeout, r->timeout_ms);
    struct http_field fields[5] = {
        HTTP_FIELD("content-type", BYTES_LIT("application/grpc+proto")),
        HTTP_FIELD("te", BYTES_LIT("trailers")),
        HTTP_FIELD("user-agent", BYTES_LIT("attest")),
    };
    size_t n = 3;
    if (c->authorization != NULL) {
        fields[n] =
            HTTP_FIELD("authorization",
                       ((struct bytes){(const uint8_t *)c->authorization, c->authorization_len}));
        n++;
    }
    if (r->timeout_ms > 0) fields[n++] = HTTP_FIELD("grpc-timeout", buf_bytes(&timeout));
    struct buf body;
    struct error *err = frame_message(r->message, &body);
    const struct http_client_request q = {"POST", r->path, fields, n, buf_bytes(&body)};
    if (err == NULL) err = http_client_send(c->http, &q, &http_events, k, &k->http);
    buf_done(&body);
    return err;
}

struct error *rpc_client_start(struct rpc_client *c, const struct rpc_client_request *request,
                               const struct rpc_client_events *events, void *ctx,
                               struct rpc_client_call **out) {
    if (c->http == NULL) return error_new(ERROR_UNAVAILABLE, "the connection was closed");
    struct rpc_client_call *k = alloc_zero(1, sizeof *k);
    if (k == NULL) return error_nomem();
    k->client = c;
    k->events = events;
    k->ctx = ctx;
    k->deadline.fn = on_deadline;
    arena_init(&k->arena, RESULT_ARENA_MAX);
    rpc_frames_init(&k->frames, c->options.message_max);
    k->next = c->calls;
    if (k->next != NULL) k->next->prev = k;
    c->calls = k;
    struct error *err = send_call(k, request);
    if (err != NULL) {
        call_free(k);
        return err;
    }
    if (request->timeout_ms > 0) net_timer_start(c->loop, &k->deadline, request->timeout_ms);
    *out = k;
    return NULL;
}

void rpc_client_cancel(struct rpc_client_call *call) {
    struct http_client_call *http = MOVE(call->http);
    if (http != NULL) http_client_cancel(http);
    call_free(call);
}

/* --- clients */

static struct error *copy_options(struct rpc_client *c, const struct rpc_client_options *o) {
    c->options = *o;
    if (o->message_max == 0) c->options.message_max = MESSAGE_MAX_DEFAULT;
    if (o->open_timeout_ms == 0) c->options.open_timeout_ms = OPEN_TIMEOUT_MS;
    c->options.token = (struct bytes){0};
    c->host = alloc_copy(o->host, strlen(o->host));
    if (c->host == NULL) return error_nomem();
    if (o->token.len == 0) return NULL;
    static const char bearer[] = "Bearer ";
    c->authorization = alloc_zero(1, sizeof bearer + o->token.len);
    if (c->authorization == NULL) return error_nomem();
    memcpy(c->authorization, bearer, sizeof bearer - 1);
    memcpy(c->authorization + sizeof bearer - 1, o->token.data, o->token.len);
    c->authorization_len = sizeof bearer - 1 + o->token.len;
    return NULL;
}

static struct error *open_http(struct rpc_client *c) {
    const struct http_client_options o = {.host = c->host,
                                          .port = c->options.port,
                                          .tls = c->options.tls,
                                          .open_timeout_ms = c->options.open_timeout_ms,
                                          .stall_timeout_ms = STALL_TIMEOUT_MS,
                                          .head_max = HEAD_MAX};
    return http_client_new(c->loop, &o, &c->http);
}

struct error *rpc_client_new(struct net_loop *loop, const struct rpc_client_options *options,
                             struct rpc_client **out) {
    CLEANUP(rpc_client_freep) struct rpc_client *c = alloc_zero(1, sizeof *c);
    if (c == NULL) return error_nomem();
    c->loop = loop;
    TRY(copy_options(c, options));
    TRY(open_http(c));
    *out = MOVE(c);
    return NULL;
}

void rpc_client_free(struct rpc_client *c) {
    if (c == NULL) return;
    while (c->calls != NULL) rpc_client_cancel(c->calls);
    http_client_free(c->http);
    net_loop_free(c->own_loop);
    alloc_free(c->host);
    if (c->authorization != NULL) explicit_bzero(c->authorization, c->authorization_len);
    alloc_free(c->authorization);
    alloc_free(c);
}

bool rpc_client_usable(const struct rpc_client *c) {
    return c->http != NULL && http_client_usable(c->http);
}

/* --- blocking */

struct waiting {
    struct rpc_client *client;
    struct arena *arena;
    const struct rpc_client_each *each; /* NULL: unary */
    struct rpc_client_result *out;
    struct bytes message;
    struct net_timer give_up;
    struct rpc_client_call *call;
    size_t messages;
    bool done, no_memory;
};

struct error *rpc_client_dial(const struct rpc_client_options *options, struct rpc_client **out) {
    CLEANUP(rpc_client_freep) struct rpc_client *c = alloc_zero(1, sizeof *c);
    if (c == NULL) return error_nomem();
    TRY(net_loop_new(&c->own_loop));
    c->loop = c->own_loop;
    TRY(copy_options(c, options));
    *out = MOVE(c);
    return NULL;
}

/* A stream is given up after the callback that asked for it: a call may not end inside its own
 * frames. */
static void on_give_up(struct net_timer *timer) {
    struct waiting *w = (struct waiting *)((char *)timer - offsetof(struct waiting, give_up));
    if (!w->done) stop(w->call, ERROR_CANCELLED, "given up");
}

static void on_message(void *ctx, struct rpc_client_call *call, struct bytes message) {
    (void)call;
    struct waiting *w = ctx;
    w->messages++;
    if (w->each != NULL) {
        if (w->give_up.armed || w->each->fn(w->each->ctx, message)) return;
        net_timer_start(w->client->loop, &w->give_up, 0);
        return;
    }
    w->message = arena_copy(w->arena, message);
    if (w->message.data == NULL) w->no_memory = true;
}

static void on_done(void *ctx, struct rpc_client_call *call, const struct rpc_client_result *r) {
    (void)call;
    struct waiting *w = ctx;
    w->done = true;
    *w->out = *r;
    w->out->message = text_in(w->arena, bytes_of_cstr(r->message));
    w->out->reason = text_in(w->arena, bytes_of_cstr(r->reason));
    w->out->field = text_in(w->arena, bytes_of_cstr(r->field));
    w->out->request_id = text_in(w->arena, bytes_of_cstr(r->request_id));
    net_loop_stop(w->client->loop);
}

static const struct rpc_client_events waiting_events = {.on_message = on_message,
                                                        .on_done = on_done};

/* A connection that is lost or said goodbye is replaced; the call itself is never sent twice. */
static struct error *connect_again(struct rpc_client *c) {
    if (rpc_client_usable(c)) return NULL;
    http_client_free(MOVE(c->http));
    return open_http(c);
}

static struct error *wait_for(struct waiting *w, const struct rpc_client_request *request) {
    struct rpc_client *c = w->client;
    ASSERT(c->own_loop != NULL);
    w->give_up.fn = on_give_up;
    TRY(connect_again(c));
    TRY(rpc_client_start(c, request, &waiting_events, w, &w->call));
    while (!w->done) net_loop_run(c->loop);
    net_timer_stop(c->loop, &w->give_up);
    return w->no_memory ? error_nomem() : NULL;
}

struct error *rpc_client_unary(struct rpc_client *c, struct arena *arena,
                               const struct rpc_client_request *request, struct bytes *out,
                               struct rpc_client_result *out_result) {
    struct rpc_client_result result = {0};
    struct waiting w = {.client = c, .arena = arena, .out = &result};
    TRY(wait_for(&w, request));
    bool one = w.messages == 1;
    if (result.code == 0 && !one) result = result_of(ERROR_INTERNAL, "not one response message");
    *out = result.code == 0 ? w.message : (struct bytes){0};
    *out_result = result;
    return NULL;
}

struct error *rpc_client_stream(struct rpc_client *c, struct arena *arena,
                                const struct rpc_client_request *request,
                                const struct rpc_client_each *each,
                                struct rpc_client_result *out_result) {
    struct rpc_client_result result = {0};
    struct waiting w = {.client = c, .arena = arena, .each = each, .out = &result};
    TRY(wait_for(&w, request));
    *out_result = result;
    return NULL;
}
