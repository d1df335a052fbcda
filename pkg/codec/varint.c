#include "codec/codec.h"

void varint_put(struct buf *out, uint64_t v) {
    while (v >= 0x80) {
        buf_put_u8(out, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_put_u8(out, (uint8_t)v);
}

bool varint_get(struct bytes *in, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < in->len && i < 10; i++) {
        uint8_t octet = in->data[i];
        if (i == 9 && octet > 1) return false; /* past 64 bits */
        value |= (uint64_t)(octet & 0x7F) << (7 * i);
        if (octet >= 0x80) continue;
        *in = (struct bytes){in->data + i + 1, in->len - i - 1};
        *out = value;
        return true;
    }
    return false;
}
