#include "base/arena.h"
#include "codec/codec.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *out, struct bytes in) {
    size_t len = in.len > SIZE_MAX / 2 ? SIZE_MAX : base64_len(in.len);
    uint8_t *p = buf_reserve(out, len);
    if (p == NULL) return;
    size_t i = 0;
    for (; i + 3 <= in.len; i += 3, p += 4) {
        uint32_t v = (uint32_t)in.data[i] << 16 | (uint32_t)in.data[i + 1] << 8 | in.data[i + 2];
        p[0] = (uint8_t)alphabet[v >> 18];
        p[1] = (uint8_t)alphabet[v >> 12 & 63];
        p[2] = (uint8_t)alphabet[v >> 6 & 63];
        p[3] = (uint8_t)alphabet[v & 63];
    }
    if (i < in.len) {
        bool two = in.len - i == 2;
        uint32_t v = (uint32_t)in.data[i] << 16 | (two ? (uint32_t)in.data[i + 1] << 8 : 0);
        p[0] = (uint8_t)alphabet[v >> 18];
        p[1] = (uint8_t)alphabet[v >> 12 & 63];
        p[2] = two ? (uint8_t)alphabet[v >> 6 & 63] : '=';
        p[3] = '=';
    }
    buf_added(out, len);
}

/* Six bits of `c`, or -1. */
static int sextet(uint8_t c, enum base64_form form) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || (form == BASE64_ANY && c == '-')) return 62;
    if (c == '/' || (form == BASE64_ANY && c == '_')) return 63;
    return -1;
}

/* The digits of `in` without padding; false where the padding is not as `form` wants it. */
static bool strip_padding(struct bytes *in, enum base64_form form) {
    size_t padding = 0;
    while (padding < 2 && padding < in->len && in->data[in->len - 1 - padding] == '=') padding++;
    bool padded = in->len % 4 == 0;
    if (form == BASE64_STANDARD && !padded) return false;
    if (padding > 0 && !padded) return false;
    in->len -= padding;
    return in->len % 4 != 1;
}

struct error *base64_decode(struct arena *arena, struct bytes in, enum base64_form form,
                            struct bytes *out) {
    if (!strip_padding(&in, form)) return error_new(ERROR_INVALID_ARGUMENT, "not base64: length");
    size_t len = in.len / 4 * 3 + (in.len % 4 == 0 ? 0 : in.len % 4 - 1);
    uint8_t *data = arena_alloc(arena, len + 1);
    if (data == NULL) return error_nomem();

    uint32_t bits = 0;
    size_t held = 0; /* bits not yet written */
    size_t at = 0;
    for (size_t i = 0; i < in.len; i++) {
        int six = sextet(in.data[i], form);
        if (six < 0) return error_new(ERROR_INVALID_ARGUMENT, "not base64: octet %zu", i);
        bits = bits << 6 | (uint32_t)six;
        held += 6;
        if (held >= 8) {
            held -= 8;
            data[at++] = (uint8_t)(bits >> held);
        }
    }
    if ((bits & ((1U << held) - 1)) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "not base64: unused bits are set");
    *out = (struct bytes){data, at};
    return NULL;
}
