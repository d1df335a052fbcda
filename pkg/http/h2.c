/* HTTP/2 connections on nghttp2 1.52. The library checks framing, HPACK and the shape of messages;
 * the budgets that it lacks are ours (guard.c), and so is the lifetime of a stream's work. Frames
 * are made only when the socket has room: what waits for a slow peer is its streams' bodies. */
#include "base/alloc.h"
#include "http/h2_common.h"
#include "http/internal.h"

#define FIRST_UNKNOWN_FRAME 10 /* after CONTINUATION */
#define HEAD_TIMES 4           /* header_list_max: what is larger is not read to be answered 431 */

struct h2 {
    struct http_conn base; /* first: a http_conn of this protocol is a struct h2 */
    nghttp2_session *session;
    struct guard resets;     /* RST_STREAM received */
    struct guard own_resets; /* RST_STREAM sent */
    struct guard control;    /* frames without useful work */
    size_t head_octets;      /* of the head that is being read */
    bool failed;             /* the session is broken: only closing is left */
    bool eof;                /* the peer sends nothing more */
};

static struct h2 *h2_of(struct http_conn *c) { return (struct h2 *)c; }
static const struct http_limits *limits_of(const struct h2 *h) {
    return &h->base.port->server->limits;
}
static uint64_t now_of(const struct h2 *h) { return net_loop_now_ms(h->base.port->loop); }

static struct http_exchange *stream_of(struct h2 *h, int32_t id) {
    return nghttp2_session_get_stream_user_data(h->session, id);
}

/* too_much ends a connection whose peer spends our work for nothing. */
static void too_much(struct h2 *h) {
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
    net_conn_wake(h->base.net);
}

/* --- what comes in */

/* A head must come to its end in time. SPEC rfc9113 6.10: nothing comes between a HEADERS frame
 * without END_HEADERS and its CONTINUATION frames, so any other frame ends it too. */
static void watch_head(struct h2 *h, const nghttp2_frame_hd *hd) {
    bool ends = (hd->flags & NGHTTP2_FLAG_END_HEADERS) != 0;
    if (hd->type == NGHTTP2_HEADERS && !ends) {
        h->base.head_from_ms = now_of(h);
        port_tick_start(h->base.port);
    } else if (hd->type != NGHTTP2_CONTINUATION || ends) {
        h->base.head_from_ms = 0;
    }
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user) {
    (void)session;
    struct h2 *h = user;
    const struct http_limits *l = limits_of(h);
    bool useful = hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION ||
                  (hd->type == NGHTTP2_DATA && hd->length > 0);
    bool last = hd->type == NGHTTP2_DATA && (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0;
    watch_head(h, hd);
    if (hd->type == NGHTTP2_RST_STREAM) {
        if (!guard_spend(&h->resets, l->resets_burst, l->resets_per_s, now_of(h))) too_much(h);
    } else if (useful) {
        guard_earn(&h->control, l->control_burst);
    } else if (!last && !guard_spend(&h->control, l->control_burst, l->control_per_s, now_of(h))) {
        too_much(h);
    }
    return 0;
}

static void refuse_stream(struct h2 *h, int32_t id, uint32_t code) {
    (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, code);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct h2 *h = user;
    h->head_octets = 0;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    int32_t id = frame->hd.stream_id;
    if (h->base.exchange_count >= limits_of(h)->streams_max) {
        refuse_stream(h, id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    struct http_exchange *x = exchange_new(&h->base);
    if (x == NULL) {
        refuse_stream(h, id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    x->stream_id = id;
    x->request.http2 = true;
    (void)nghttp2_session_set_stream_user_data(session, id, x); /* the stream was just opened */
    return 0;
}

static bool keep_pseudo(struct http_exchange *x, struct bytes name, struct bytes value) {
    if (!exchange_count(x, name.len + value.len)) return true;
    struct bytes copy = arena_copy(&x->arena, value);
    if (copy.data == NULL) return false;
    if (bytes_equal(name, BYTES_LIT(":method"))) x->request.method = copy;
    if (bytes_equal(name, BYTES_LIT(":authority"))) x->request.authority = copy;
    if (bytes_equal(name, BYTES_LIT(":path"))) exchange_set_target(x, copy);
    return true;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user) {
    (void)session;
    (void)flags;
    struct h2 *h = user;
    struct http_exchange *x = stream_of(h, frame->hd.stream_id);
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
    nghttp2_vec v = nghttp2_rcbuf_get_buf(value);
    /* An octet may stand for a field of 4 KiB, which nghttp2 examines each time before we see it;
     * after this result it examines no more of the head. */
    h->head_octets += n.len + v.len;
    if (h->head_octets > HEAD_TIMES * limits_of(h)->header_list_max) {
        too_much(h);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (x == NULL || x->too_large) return 0;
    struct bytes nb = {n.base, n.len};
    struct bytes vb = {v.base, v.len};
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) { /* trailers: counted, not kept */
        return exchange_count(x, n.len + v.len) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    bool kept = n.len > 0 && n.base[0] == ':' ? keep_pseudo(x, nb, vb) : exchange_field(x, nb, vb);
    return kept ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    (void)session;
    struct h2 *h = user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    struct http_exchange *x = stream_of(h, frame->hd.stream_id);
    bool head = frame->hd.type == NGHTTP2_HEADERS;
    if (x != NULL && head && frame->headers.cat == NGHTTP2_HCAT_REQUEST) exchange_begin(x);
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (x != NULL && ended && !x->request_ended) exchange_end(x);
    return 0;
}

/* The connection's window is given back at once, for all streams share it; a stream's own window
 * as its exchange takes the octets. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user) {
    (void)flags;
    struct h2 *h = user;
    if (nghttp2_session_consume_connection(session, len) == NGHTTP2_ERR_NOMEM) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    struct http_exchange *x = stream_of(h, id);
    if (x != NULL) exchange_body(x, (struct bytes){data, len});
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    (void)code;
    struct h2 *h = user;
    struct http_exchange *x = stream_of(h, id);
    if (x == NULL) return 0;
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    exchange_detach(x);
    return 0;
}

/* Frames of unknown types are ignored, as RFC 9113 4.1 asks; only frames of types that we say we
 * want come by on_begin_frame, where they are counted. */
static int ignore_extension(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                            void *user) {
    (void)session;
    (void)payload;
    (void)hd;
    (void)user;
    return NGHTTP2_ERR_CANCEL;
}

/* --- what goes out */

/* The answer went out before the request's body had come. RFC 9113 8.1 allows a reset with NO_ERROR
 * then, and a gRPC client, which has its status, needs it: grpc-go abandons the rest of the body
 * without a word, and the stream would count against its limit until the body's clock runs out. To
 * other clients (curl) a reset is an error even behind a whole response: their body is drained. So
 * is that of what a gRPC client may not have sent, whatever it called itself: an HTTP error (415)
 * must not be lost in a reset. */
static void let_go(nghttp2_session *session, const struct http_exchange *x, int32_t id) {
    if (x->request_ended || !x->grpc) return;
    /* Without memory for the frame the body's clock ends the stream. */
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct h2 *h = user;
    const struct http_limits *l = limits_of(h);
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR) {
        /* Whoever makes us reset streams one after the other gets work done for nothing as surely
         * as one who resets them himself. */
        if (!guard_spend(&h->own_resets, l->own_resets_burst, l->own_resets_per_s, now_of(h))) {
            too_much(h);
        }
        return 0;
    }
    if (frame->hd.type == NGHTTP2_DATA) guard_earn(&h->control, l->control_burst);
    struct http_exchange *x = stream_of(h, frame->hd.stream_id);
    if (x != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
        (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
        x->sent = true;
        x->send_ms = now_of(h);
        let_go(session, x, frame->hd.stream_id);
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t max,
                         uint32_t *flags, nghttp2_data_source *source, void *user) {
    (void)user;
    struct http_exchange *x = source->ptr;
    size_t n = exchange_take(x, out, max);
    if (exchange_waiting(x) > 0) return (ssize_t)n;
    if (!x->ended) {
        x->deferred = n == 0;
        return n == 0 ? NGHTTP2_ERR_DEFERRED : (ssize_t)n;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (x->trailer_count > 0) {
        nghttp2_nv nv[HTTP_FIELDS_OUT_MAX];
        for (size_t i = 0; i < x->trailer_count; i++) {
            const struct http_field *t = &x->trailers[i];
            nv[i] = h2_nv(t->name, t->value, t->once);
        }
        if (nghttp2_submit_trailer(session, id, nv, x->trailer_count) != 0) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t)n;
}

static void h2_respond(struct http_exchange *x, int status, const struct http_field *fields,
                       size_t field_count, bool only) {
    struct h2 *h = h2_of(x->conn);
    nghttp2_nv nv[HTTP_FIELDS_OUT_MAX + 2];
    char digits[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                      (char)('0' + status % 10)};
    size_t n = 0;
    nv[n++] = h2_nv(BYTES_LIT(":status"), (struct bytes){(const uint8_t *)digits, 3}, false);
    for (size_t i = 0; i < field_count; i++) {
        nv[n++] = h2_nv(fields[i].name, fields[i].value, fields[i].once);
        x->grpc |= bytes_equal(fields[i].name, BYTES_LIT("content-type")) &&
                   bytes_start_with(fields[i].value, BYTES_LIT("application/grpc"));
    }
    nv[n++] = h2_nv(BYTES_LIT("date"), bytes_of_cstr(port_date(x->port)), false);
    nghttp2_data_provider body = {.source = {.ptr = x}, .read_callback = read_body};
    int rc = nghttp2_submit_response(h->session, x->stream_id, nv, n,
                                     only || x->head_method ? NULL : &body);
    if (rc != 0) refuse_stream(h, x->stream_id, NGHTTP2_INTERNAL_ERROR);
    net_conn_wake(h->base.net);
}

static void h2_resume(struct http_exchange *x) {
    struct h2 *h = h2_of(x->conn);
    if (x->deferred) {
        x->deferred = false;
        if (nghttp2_session_resume_data(h->session, x->stream_id) == NGHTTP2_ERR_NOMEM) {
            refuse_stream(h, x->stream_id, NGHTTP2_INTERNAL_ERROR);
        }
    }
    net_conn_wake(h->base.net);
}

/* A response that has left whole is followed by NO_ERROR (SPEC rfc9113 8.1: "the server MAY request
 * that the client abort transmission of a request without error by sending a RST_STREAM with an
 * error code of NO_ERROR"). */
static void h2_reset(struct http_exchange *x) {
    struct h2 *h = h2_of(x->conn);
    refuse_stream(h, x->stream_id, x->sent ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
    net_conn_wake(h->base.net);
}

static void h2_give_window(struct http_exchange *x, size_t len) {
    struct h2 *h = h2_of(x->conn);
    (void)nghttp2_session_consume_stream(h->session, x->stream_id, len); /* a stream that closed */
    net_conn_wake(h->base.net);
}

/* SPEC rfc9113 6.8: a server SHOULD send a GOAWAY with 2^31-1 and NO_ERROR, and after at least one
 * round trip another with the last stream it took. The second goes with the connection's end: new
 * streams are taken until then, as the peer may have sent them before it knew. */
static void h2_drain(struct http_conn *c) {
    struct h2 *h = h2_of(c);
    (void)nghttp2_submit_shutdown_notice(h->session);
    net_conn_wake(c->net);
}

static void h2_free(struct http_conn *c) {
    struct h2 *h = h2_of(c);
    nghttp2_session_del(h->session);
    alloc_free(h);
}

static const struct http_protocol h2_protocol = {
    .respond = h2_respond,
    .resume = h2_resume,
    .reset = h2_reset,
    .give_window = h2_give_window,
    .drain = h2_drain,
    .free = h2_free,
};

/* --- the connection */

static void h2_on_data(void *ctx, struct bytes data) {
    struct h2 *h = ctx;
    if (h->failed) return;
    ssize_t rc = nghttp2_session_mem_recv(h->session, data.data, data.len);
    if (rc < 0) { /* not HTTP/2 at all, a flood, or no memory */
        h->failed = true;
        net_conn_finish(h->base.net);
        return;
    }
    net_conn_wake(h->base.net);
}

/* SPEC rfc8446 6.1: a close_notify "does not have any effect on its read side". */
static void h2_on_eof(void *ctx, bool gone) {
    struct h2 *h = ctx;
    h->eof = true;
    for (struct http_exchange *x = h->base.exchanges; x != NULL; x = x->next)
        if (x->attached && !exchange_outlives_eof(x, gone))
            refuse_stream(h, x->stream_id, NGHTTP2_CANCEL);
    net_conn_wake(h->base.net);
}

/* A drained connection, or one whose peer sends nothing more, is over when its streams are. */
static bool is_over(const struct h2 *h) {
    if (h->failed) return true;
    if ((h->eof || h->base.port->draining) && h->base.exchange_count == 0) return true;
    return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

static void h2_on_writable(void *ctx) {
    struct h2 *h = ctx;
    struct net_conn *net = h->base.net;
    while (!h->failed && net_conn_room(net) > 0) {
        const uint8_t *data = NULL;
        ssize_t n = nghttp2_session_mem_send(h->session, &data);
        if (n < 0) h->failed = true;
        if (n <= 0) break;
        net_conn_write(net, (struct bytes){data, (size_t)n});
    }
    conn_tell_writable(&h->base);
    /* A peer that does not read is not read from either: its frames make no more answers. */
    if (net_conn_room(net) == 0) {
        net_conn_pause(net);
    } else {
        net_conn_resume(net);
    }
    if (!is_over(h)) return;
    if (!h->failed && h->base.port->draining && net_conn_room(net) > 0) {
        const uint8_t *data = NULL;
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        ssize_t n = nghttp2_session_mem_send(h->session, &data);
        if (n > 0) net_conn_write(net, (struct bytes){data, (size_t)n});
    }
    net_conn_finish(net);
}

static void h2_on_idle(void *ctx) {
    struct h2 *h = ctx;
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
    net_conn_wake(h->base.net);
}

static void h2_on_closed(void *ctx, const struct error *why) {
    (void)why;
    struct h2 *h = ctx;
    conn_closed(&h->base);
}

static const struct net_events h2_events = {.on_data = h2_on_data,
                                            .on_eof = h2_on_eof,
                                            .on_writable = h2_on_writable,
                                            .on_idle = h2_on_idle,
                                            .on_closed = h2_on_closed};

static int make_session(struct h2 *h, nghttp2_session_callbacks *cb, nghttp2_option *o) {
    nghttp2_mem mem = h2_mem();
    const struct http_limits *l = limits_of(h);
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_unpack_extension_callback(cb, ignore_extension);
    for (int type = FIRST_UNKNOWN_FRAME; type <= UINT8_MAX; type++) {
        nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
    }
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1); /* keeps no memory of streams that are over */
    nghttp2_option_set_max_outbound_ack(o, l->acks_max);
    nghttp2_option_set_max_settings(o, l->settings_max);
    nghttp2_option_set_max_continuations(o, l->continuations_max);
    nghttp2_option_set_stream_reset_rate_limit(o, l->resets_burst, l->resets_per_s);
    return nghttp2_session_server_new3(&h->session, cb, h, o, &mem);
}

static int send_settings(struct h2 *h) {
    const struct http_limits *l = limits_of(h);
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->header_list_max},
    };
    int rc = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries, 3);
    if (rc != 0) return rc;
    return nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)l->connection_window);
}

static int start_session(struct h2 *h) {
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *o = NULL;
    int rc = nghttp2_session_callbacks_new(&cb);
    if (rc == 0) rc = nghttp2_option_new(&o);
    if (rc == 0) rc = make_session(h, cb, o);
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cb);
    return rc == 0 ? send_settings(h) : rc;
}

bool h2_open(struct http_port *p, struct net_conn *net) {
    struct h2 *h = alloc_zero(1, sizeof *h);
    if (h == NULL) return false;
    h->base.port = p;
    if (start_session(h) != 0) {
        nghttp2_session_del(h->session);
        alloc_free(h);
        return false;
    }
    conn_init(&h->base, &h2_protocol, p, net);
    const struct http_limits *l = limits_of(h);
    guard_init(&h->resets, l->resets_burst, now_of(h));
    guard_init(&h->own_resets, l->own_resets_burst, now_of(h));
    guard_init(&h->control, l->control_burst, now_of(h));
    net_conn_attach(net, &h2_events, h);
    net_conn_wake(net);
    return true;
}
