#include "rpc/wire.h"

#include "codec/codec.h"

/* --- frames */

void rpc_frames_init(struct rpc_frames *f, size_t message_max) {
    *f = (struct rpc_frames){0};
    buf_init(&f->message, message_max);
}

void rpc_frames_done(struct rpc_frames *f) { buf_done(&f->message); }

bool rpc_frames_at_rest(const struct rpc_frames *f) { return f->head_len == 0; }

size_t rpc_frames_held(const struct rpc_frames *f) {
    if (f->head_len < RPC_FRAME_HEAD) return f->head_len;
    return f->head_len + f->message.len;
}

void rpc_frame_head(uint8_t out[RPC_FRAME_HEAD], size_t len) {
    out[0] = 0;
    for (size_t i = 0; i < 4; i++) out[1 + i] = (uint8_t)(len >> (8 * (3 - i)));
}

static enum rpc_frame read_head(struct rpc_frames *f, struct bytes *in) {
    while (f->head_len < RPC_FRAME_HEAD) {
        if (in->len == 0) return RPC_FRAME_MORE;
        f->head[f->head_len++] = in->data[0];
        *in = (struct bytes){in->data + 1, in->len - 1};
    }
    if (f->head[0] == 1) return RPC_FRAME_COMPRESSED;
    if (f->head[0] != 0) return RPC_FRAME_BAD_FLAG;
    size_t len = 0;
    for (size_t i = 1; i < RPC_FRAME_HEAD; i++) len = len << 8 | f->head[i];
    if (len > f->message.max) return RPC_FRAME_TOO_LARGE;
    f->left = len;
    buf_clear(&f->message);
    return RPC_FRAME_MESSAGE;
}

static void take(struct bytes *in, size_t n) { *in = (struct bytes){in->data + n, in->len - n}; }

enum rpc_frame rpc_frames_read(struct rpc_frames *f, struct bytes *in, struct bytes *out) {
    if (f->head_len < RPC_FRAME_HEAD) {
        enum rpc_frame r = read_head(f, in);
        if (r != RPC_FRAME_MESSAGE) return r;
        if (f->left <= in->len) { /* all there: no copy */
            *out = (struct bytes){f->left == 0 ? f->head : in->data, f->left};
            take(in, f->left);
            f->head_len = 0;
            return RPC_FRAME_MESSAGE;
        }
    }
    size_t n = f->left < in->len ? f->left : in->len;
    buf_put(&f->message, (struct bytes){in->data, n});
    if (f->message.failed) return RPC_FRAME_NO_MEMORY; /* the length was checked */
    take(in, n);
    f->left -= n;
    if (f->left > 0) return RPC_FRAME_MORE;
    f->head_len = 0;
    *out = buf_bytes(&f->message);
    return RPC_FRAME_MESSAGE;
}

/* --- timeouts */

static bool digits(struct bytes in, size_t max, uint64_t *out) {
    if (in.len == 0 || in.len > max) return false;
    uint64_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] < '0' || in.data[i] > '9') return false;
        n = n * 10 + (uint64_t)(in.data[i] - '0');
    }
    *out = n;
    return true;
}

/* SPEC grpc PROTOCOL-HTTP2: TimeoutValue is a "positive integer as ASCII string of at most 8
 * digits". Zero is sent by clients whose deadline has just passed; it has passed here too. */
bool rpc_timeout_parse(struct bytes in, uint64_t *out_us) {
    uint64_t n = 0;
    if (in.len < 2 || !digits((struct bytes){in.data, in.len - 1}, 8, &n)) return false;
    switch (in.data[in.len - 1]) {
        case 'H':
            *out_us = n * 3600 * 1000000;
            return true;
        case 'M':
            *out_us = n * 60 * 1000000;
            return true;
        case 'S':
            *out_us = n * 1000000;
            return true;
        case 'm':
            *out_us = n * 1000;
            return true;
        case 'u':
            *out_us = n;
            return true;
        case 'n':
            *out_us = n / 1000;
            return true;
        default:
            return false;
    }
}

void rpc_timeout_put(struct buf *out, uint32_t ms) {
    bool fits = ms <= 99999999;
    buf_put_dec(out, fits ? ms : ms / 1000 + 1);
    buf_put_cstr(out, fits ? "m" : "S");
}

bool rpc_connect_timeout_parse(struct bytes in, uint64_t *out_us) {
    uint64_t ms = 0;
    if (!digits(in, 10, &ms)) return false;
    *out_us = ms * 1000;
    return true;
}

/* --- grpc-message. SPEC grpc PROTOCOL-HTTP2: Percent-Byte-Unencoded is %x20-24 / %x26-7E. */

void rpc_percent_put(struct buf *out, struct bytes in) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.data[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            buf_put_u8(out, c);
        } else {
            buf_put_u8(out, '%');
            buf_put_u8(out, (uint8_t)hex[c >> 4]);
            buf_put_u8(out, (uint8_t)hex[c & 15]);
        }
    }
}

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void rpc_percent_decode(struct buf *out, struct bytes in) {
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.data[i];
        int hi = c == '%' && in.len - i > 2 ? hex_value(in.data[i + 1]) : -1;
        int lo = hi >= 0 ? hex_value(in.data[i + 2]) : -1;
        if (lo >= 0) {
            c = (uint8_t)(hi << 4 | lo);
            i += 2;
        }
        buf_put_u8(out, c);
    }
}

/* SPEC grpc PROTOCOL-HTTP2: "Implementations MUST accept padded and un-padded values and should
 * emit un-padded values." */
void rpc_base64_put(struct buf *out, struct bytes in) {
    size_t before = out->len;
    base64_put(out, in);
    if (out->failed) return;
    while (out->len > before && out->data[out->len - 1] == '=') out->len--;
}

/* --- Connect's names and HTTP statuses of the codes, in the order of gRPC's numbers */

static const struct {
    const char *name;
    int status;
} connect_codes[] = {
    {"", 200},
    {"canceled", 499},
    {"unknown", 500},
    {"invalid_argument", 400},
    {"deadline_exceeded", 504},
    {"not_found", 404},
    {"already_exists", 409},
    {"permission_denied", 403},
    {"resource_exhausted", 429},
    {"failed_precondition", 400},
    {"aborted", 409},
    {"out_of_range", 400},
    {"unimplemented", 501},
    {"internal", 500},
    {"unavailable", 503},
    {"data_loss", 500},
    {"unauthenticated", 401},
};

static size_t code_index(int code) {
    bool known = code >= 0 && (size_t)code < sizeof connect_codes / sizeof *connect_codes;
    return known ? (size_t)code : (size_t)ERROR_UNKNOWN;
}

const char *rpc_connect_code(int code) { return connect_codes[code_index(code)].name; }
int rpc_connect_http_status(int code) { return connect_codes[code_index(code)].status; }
