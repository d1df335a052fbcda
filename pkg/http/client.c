/* The client's side of HTTP/2. Its nghttp2 session lives as long as the client, so calls can be
 * made before the connection stands; frames leave when the socket has room, as on the server's
 * side. */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "http/h2_common.h"
#include "http/http_client.h"

#define FIELDS_OUT_MAX 30
#define STREAM_WINDOW ((int32_t)1 << 20)
#define CONNECTION_WINDOW ((int32_t)16 << 20)
#define FIELD_OVERHEAD 32

struct http_client {
    struct net_loop *loop;
    struct net_conn *net; /* NULL once closed */
    nghttp2_session *session;
    struct http_client_options options; /* host is not kept */
    struct http_client_call *calls;
    char *authority;
    void (*on_pong)(void *ctx);
    void *pong_ctx;
    bool open, closing;
};

struct field {
    struct field *next;
    struct bytes name, value;
};

struct http_client_call {
    struct http_client_call *next, *prev;
    struct http_client *client;
    const struct http_client_events *events;
    void *ctx;
    struct arena arena;   /* the response's fields */
    struct field *fields; /* latest first: trailers before the head's */
    uint8_t *body;
    size_t body_len, body_sent;
    size_t head_octets;
    int32_t stream_id;
    int status;
    bool told_head, ended;
};

static void call_free(struct http_client_call *k) {
    struct http_client *c = k->client;
    if (k->next != NULL) k->next->prev = k->prev;
    if (k->prev != NULL) {
        k->prev->next = k->next;
    } else {
        c->calls = k->next;
    }
    arena_done(&k->arena);
    alloc_free(k->body);
    alloc_free(k);
    if (c->net != NULL) net_conn_busy(c->net, c->calls != NULL);
}

static struct http_client_call *call_of(nghttp2_session *s, int32_t id) {
    return nghttp2_session_get_stream_user_data(s, id);
}

static void call_done(struct http_client_call *k, const struct error *why) {
    k->events->on_done(k->ctx, k, why);
    call_free(k);
}

/* --- nghttp2's callbacks */

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user) {
    (void)flags;
    (void)user;
    struct http_client_call *k = call_of(s, frame->hd.stream_id);
    if (k == NULL) return 0;
    k->head_octets += name_len + value_len + FIELD_OVERHEAD;
    struct field *f = NULL;
    if (k->head_octets <= k->client->options.head_max) f = arena_alloc(&k->arena, sizeof *f);
    if (f == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the stream is reset */
    f->name = arena_copy(&k->arena, (struct bytes){name, name_len});
    f->value = arena_copy(&k->arena, (struct bytes){value, value_len});
    if (f->name.data == NULL || f->value.data == NULL) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    f->next = k->fields;
    k->fields = f;
    return 0;
}

static int status_of(struct bytes b) {
    if (b.len != 3) return 0;
    int n = 0;
    for (size_t i = 0; i < 3; i++) n = n * 10 + (b.data[i] - '0');
    return n >= 100 && n <= 999 ? n : 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user) {
    struct http_client *c = user;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        void (*fn)(void *ctx) = MOVE(c->on_pong);
        if (fn != NULL) fn(c->pong_ctx);
        return 0;
    }
    struct http_client_call *k = call_of(s, frame->hd.stream_id);
    if (k == NULL) return 0;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !k->told_head) {
        k->status = status_of(http_client_field(k, ":status"));
        if (k->status >= 200) {
            k->told_head = true;
            if (k->events->on_head != NULL) k->events->on_head(k->ctx, k, k->status);
            k = call_of(s, frame->hd.stream_id); /* it may have been cancelled */
        }
    }
    bool ends = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (k != NULL && end && ends) k->ended = true;
    return 0;
}

static int on_data_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *user) {
    (void)flags;
    (void)user;
    struct http_client_call *k = call_of(s, id);
    if (k != NULL) k->events->on_data(k->ctx, k, (struct bytes){data, len});
    return 0;
}

/* The codes of gRPC's PROTOCOL-HTTP2, "Errors". */
static enum error_code code_of_reset(uint32_t h2) {
    switch (h2) {
        case NGHTTP2_REFUSED_STREAM:
            return ERROR_UNAVAILABLE;
        case NGHTTP2_CANCEL:
            return ERROR_CANCELLED;
        case NGHTTP2_ENHANCE_YOUR_CALM:
            return ERROR_RESOURCE_EXHAUSTED;
        case NGHTTP2_INADEQUATE_SECURITY:
            return ERROR_PERMISSION_DENIED;
        default:
            return ERROR_INTERNAL;
    }
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *user) {
    (void)user;
    struct http_client_call *k = call_of(s, id);
    if (k == NULL) return 0;
    (void)nghttp2_session_set_stream_user_data(s, id, NULL);
    CLEANUP(error_freep) struct error *why = NULL;
    if (!k->ended) {
        why = error_new(code_of_reset(code), "the server reset the stream: %s",
                        nghttp2_http2_strerror(code));
    }
    call_done(k, why);
    return 0;
}

static ssize_t read_request(nghttp2_session *s, int32_t id, uint8_t *out, size_t max,
                            uint32_t *flags, nghttp2_data_source *source, void *user) {
    (void)s;
    (void)id;
    (void)user;
    struct http_client_call *k = source->ptr;
    size_t n = k->body_len - k->body_sent;
    if (n > max) n = max;
    if (n > 0) memcpy(out, k->body + k->body_sent, n);
    k->body_sent += n;
    if (k->body_sent == k->body_len) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* --- the connection */

static void on_net_data(void *ctx, struct bytes data) {
    struct http_client *c = ctx;
    if (nghttp2_session_mem_recv(c->session, data.data, data.len) < 0) {
        net_conn_close(c->net);
        return;
    }
    net_conn_wake(c->net);
}

static void on_net_writable(void *ctx) {
    struct http_client *c = ctx;
    while (net_conn_room(c->net) > 0) {
        const uint8_t *data = NULL;
        ssize_t n = nghttp2_session_mem_send(c->session, &data);
        if (n < 0) {
            net_conn_close(c->net);
            return;
        }
        if (n == 0) break;
        net_conn_write(c->net, (struct bytes){data, (size_t)n});
    }
    bool idle = !nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session);
    if (idle || (c->closing && c->calls == NULL)) net_conn_finish(c->net);
}

static void on_net_open(void *ctx, struct net_conn *net) {
    struct http_client *c = ctx;
    if (c->options.tls != NULL && net_conn_alpn(net) != NET_ALPN_H2) {
        net_conn_close(net); /* not a server of HTTP/2 */
        return;
    }
    c->open = true;
    net_conn_wake(net);
    if (c->options.on_open != NULL) c->options.on_open(c->options.ctx);
}

static void on_net_closed(void *ctx, const struct error *why) {
    struct http_client *c = ctx;
    c->net = NULL;
    CLEANUP(error_freep)
    struct error *gone = why != NULL ? error_new(ERROR_UNAVAILABLE, "%s", error_message(why))
                                     : error_new(ERROR_UNAVAILABLE, "the connection was closed");
    while (c->calls != NULL) {
        struct http_client_call *k = c->calls;
        (void)nghttp2_session_set_stream_user_data(c->session, k->stream_id, NULL);
        call_done(k, k->ended ? NULL : gone);
    }
    if (c->options.on_closed != NULL) c->options.on_closed(c->options.ctx, why);
}

static const struct net_events net_events = {.on_open = on_net_open,
                                             .on_data = on_net_data,
                                             .on_writable = on_net_writable,
                                             .on_closed = on_net_closed};

/* A client that was freed while its connection still closes is told nothing. */
static void ignore_data(void *ctx, struct bytes data) {
    (void)ctx;
    (void)data;
}
static void ignore_closed(void *ctx, const struct error *why) {
    (void)ctx;
    (void)why;
}
static const struct net_events no_events = {.on_data = ignore_data, .on_closed = ignore_closed};

static int make_session(struct http_client *c, nghttp2_session_callbacks *cb, nghttp2_option *o) {
    nghttp2_mem mem = h2_mem();
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_option_set_no_closed_streams(o, 1);
    int rc = nghttp2_session_client_new3(&c->session, cb, c, o, &mem);
    if (rc != 0) return rc;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)STREAM_WINDOW},
    };
    rc = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, entries, 2);
    if (rc != 0) return rc;
    return nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_WINDOW);
}

static struct error *start_session(struct http_client *c) {
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *o = NULL;
    int rc = nghttp2_session_callbacks_new(&cb);
    if (rc == 0) rc = nghttp2_option_new(&o);
    if (rc == 0) rc = make_session(c, cb, o);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cb);
    return rc == 0 ? NULL : error_nomem();
}

static struct error *set_authority(struct http_client *c, const char *host, uint16_t port) {
    struct buf b;
    buf_init(&b, 512);
    bool v6 = strchr(host, ':') != NULL;
    buf_printf(&b, v6 ? "[%s]:%u" : "%s:%u", host, port);
    buf_put_u8(&b, 0);
    struct error *err = buf_finish(&b, "host name");
    if (err == NULL) c->authority = (char *)buf_take(&b);
    buf_done(&b);
    return err;
}

struct error *http_client_new(struct net_loop *loop, const struct http_client_options *options,
                              struct http_client **out) {
    CLEANUP(http_client_freep) struct http_client *c = alloc_zero(1, sizeof *c);
    if (c == NULL) return error_nomem();
    c->loop = loop;
    c->options = *options;
    c->options.host = NULL;
    TRY(set_authority(c, options->host, options->port));
    TRY(start_session(c));
    const struct net_connect_options o = {
        .host = options->host,
        .port = options->port,
        .tls = options->tls,
        .open_timeout_ms = options->open_timeout_ms,
        .stall_timeout_ms = options->stall_timeout_ms,
        .events = &net_events,
        .ctx = c,
    };
    TRY(net_connect(loop, &o, &c->net));
    *out = MOVE(c);
    return NULL;
}

void http_client_close(struct http_client *c) {
    c->closing = true;
    if (c->net == NULL) return;
    if (c->calls == NULL) {
        (void)nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
    }
    net_conn_wake(c->net);
}

void http_client_free(struct http_client *c) {
    if (c == NULL) return;
    ASSERT(net_loop_here(c->loop));
    if (c->net != NULL) {
        net_conn_attach(c->net, &no_events, NULL);
        net_conn_close(c->net);
        c->net = NULL;
    }
    while (c->calls != NULL) call_free(c->calls);
    nghttp2_session_del(c->session);
    alloc_free(c->authority);
    alloc_free(c);
}

bool http_client_usable(const struct http_client *c) {
    return c->net != NULL && !c->closing && nghttp2_session_check_request_allowed(c->session) != 0;
}

/* --- calls */

static int32_t submit(struct http_client_call *k, const struct http_client_request *r) {
    nghttp2_nv nv[FIELDS_OUT_MAX + 4];
    size_t n = 0;
    nv[n++] = h2_nv(BYTES_LIT(":method"), bytes_of_cstr(r->method), false);
    nv[n++] = h2_nv(BYTES_LIT(":scheme"), BYTES_LIT("https"), false);
    nv[n++] = h2_nv(BYTES_LIT(":path"), bytes_of_cstr(r->path), false);
    nv[n++] = h2_nv(BYTES_LIT(":authority"), bytes_of_cstr(k->client->authority), false);
    for (size_t i = 0; i < r->field_count; i++) {
        nv[n++] = h2_nv(r->fields[i].name, r->fields[i].value, r->fields[i].once);
    }
    nghttp2_data_provider body = {.source = {.ptr = k}, .read_callback = read_request};
    return nghttp2_submit_request(k->client->session, NULL, nv, n, k->body_len > 0 ? &body : NULL,
                                  k);
}

struct error *http_client_send(struct http_client *c, const struct http_client_request *request,
                               const struct http_client_events *events, void *ctx,
                               struct http_client_call **out) {
    ASSERT(net_loop_here(c->loop) && request->field_count <= FIELDS_OUT_MAX);
    if (!http_client_usable(c)) {
        return error_new(ERROR_UNAVAILABLE, "the connection takes no more calls");
    }
    struct http_client_call *k = alloc_zero(1, sizeof *k);
    if (k == NULL) return error_nomem();
    k->client = c;
    k->events = events;
    k->ctx = ctx;
    arena_init(&k->arena, 4 * c->options.head_max);
    k->next = c->calls;
    if (k->next != NULL) k->next->prev = k;
    c->calls = k;
    k->body = request->body.len == 0 ? NULL : alloc_copy(request->body.data, request->body.len);
    k->body_len = request->body.len;
    bool ok = k->body_len == 0 || k->body != NULL;
    k->stream_id = ok ? submit(k, request) : NGHTTP2_ERR_NOMEM;
    if (k->stream_id < 0) {
        call_free(k);
        return error_nomem();
    }
    net_conn_busy(c->net, true);
    net_conn_wake(c->net);
    *out = k;
    return NULL;
}

/* A call may be cancelled inside its own callback, while nghttp2 still holds the stream: only its
 * user data leads back here, and that is cut. A request that has not left yet is never sent. */
void http_client_cancel(struct http_client_call *call) {
    struct http_client *c = call->client;
    ASSERT(net_loop_here(c->loop));
    (void)nghttp2_session_set_stream_user_data(c->session, call->stream_id, NULL);
    (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
    if (c->net != NULL) net_conn_wake(c->net);
    call_free(call);
}

struct bytes http_client_field(const struct http_client_call *call, const char *name) {
    struct bytes want = bytes_of_cstr(name);
    for (const struct field *f = call->fields; f != NULL; f = f->next) {
        if (bytes_equal(f->name, want)) return f->value;
    }
    return (struct bytes){0};
}

int http_client_status(const struct http_client_call *call) { return call->status; }

void http_client_ping(struct http_client *c, void (*fn)(void *ctx), void *ctx) {
    if (c->net == NULL) return;
    c->on_pong = fn;
    c->pong_ctx = ctx;
    (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
    net_conn_wake(c->net);
}
