#include "codec/codec.h"

void hex_put(struct buf *out, struct bytes in) {
    static const char digits[] = "0123456789abcdef";
    uint8_t *p = in.len > SIZE_MAX / 2 ? NULL : buf_reserve(out, in.len * 2);
    if (p == NULL) return;
    for (size_t i = 0; i < in.len; i++) {
        p[2 * i] = (uint8_t)digits[in.data[i] >> 4];
        p[2 * i + 1] = (uint8_t)digits[in.data[i] & 15];
    }
    buf_added(out, in.len * 2);
}

static int digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool hex_decode(struct bytes in, uint8_t *out, size_t len) {
    if (in.len % 2 != 0 || in.len / 2 != len) return false;
    for (size_t i = 0; i < len; i++) {
        int high = digit(in.data[2 * i]);
        int low = digit(in.data[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool hex_is_lower(struct bytes in) {
    if (in.len == 0 || in.len % 2 != 0) return false;
    for (size_t i = 0; i < in.len; i++)
        if (digit(in.data[i]) < 0) return false;
    return true;
}
