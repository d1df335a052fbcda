#include "base/bytes.h"

/* The number of octets of the well-formed sequence at `p` (RFC 3629, 4), 0 if there is none. */
static size_t sequence_len(const uint8_t *p, size_t left) {
    static const struct {
        uint8_t first_min, first_max, second_min, second_max, len;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (p[0] < 0x80) return 1;
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if (p[0] < forms[f].first_min || p[0] > forms[f].first_max) continue;
        if (left < forms[f].len) return 0;
        if (p[1] < forms[f].second_min || p[1] > forms[f].second_max) return 0;
        for (size_t i = 2; i < forms[f].len; i++)
            if ((p[i] & 0xC0) != 0x80) return 0;
        return forms[f].len;
    }
    return 0;
}

bool bytes_are_utf8(struct bytes b) {
    size_t i = 0;
    while (i < b.len) {
        if (b.len - i >= 8) { /* eight ASCII octets at a time */
            uint64_t word;
            memcpy(&word, b.data + i, sizeof word);
            if ((word & 0x8080808080808080U) == 0) {
                i += 8;
                continue;
            }
        }
        size_t n = sequence_len(b.data + i, b.len - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

bool text_of_bytes(struct bytes b, struct text *out) {
    if (!bytes_are_utf8(b) || (b.len > 0 && memchr(b.data, 0, b.len) != NULL)) return false;
    *out = (struct text){(const char *)b.data, b.len};
    return true;
}

static uint8_t to_lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

bool bytes_start_with_nocase(struct bytes b, const char *lower) {
    size_t i = 0;
    while (i < b.len && lower[i] != '\0' && to_lower(b.data[i]) == (uint8_t)lower[i]) i++;
    return lower[i] == '\0';
}

bool bytes_equal_nocase(struct bytes b, const char *lower) {
    return bytes_start_with_nocase(b, lower) && strlen(lower) == b.len;
}
