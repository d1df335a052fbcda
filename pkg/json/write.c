/* Writing: strings as RFC 8785, 3.2.2.2 (the shortest escapes), numbers as ECMAScript. */
#include <math.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "json/internal.h"

static void before_value(struct json_writer *w) {
    if (w->comma) buf_put_u8(w->out, ',');
    w->comma = true;
}

static void begin(struct json_writer *w, uint8_t bracket) {
    before_value(w);
    buf_put_u8(w->out, bracket);
    w->comma = false;
}

static void end(struct json_writer *w, uint8_t bracket) {
    buf_put_u8(w->out, bracket);
    w->comma = true;
}

void json_object_begin(struct json_writer *w) { begin(w, '{'); }
void json_object_end(struct json_writer *w) { end(w, '}'); }
void json_array_begin(struct json_writer *w) { begin(w, '['); }
void json_array_end(struct json_writer *w) { end(w, ']'); }

static bool is_plain(uint8_t c) { return c >= 0x20 && c != '"' && c != '\\'; }

static void put_escape(struct buf *out, uint8_t c) {
    static const char named[] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                 ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (c < sizeof named && named[c] != '\0') {
        uint8_t pair[2] = {'\\', (uint8_t)named[c]};
        buf_put(out, (struct bytes){pair, sizeof pair});
        return;
    }
    buf_put(out, BYTES_LIT("\\u00"));
    hex_put(out, (struct bytes){&c, 1});
}

static void put_quoted(struct buf *out, struct bytes s) {
    buf_put_u8(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t plain = i;
        while (plain < s.len && is_plain(s.data[plain])) plain++;
        buf_put(out, (struct bytes){s.data + i, plain - i});
        if (plain < s.len) put_escape(out, s.data[plain]);
        i = plain + 1;
    }
    buf_put_u8(out, '"');
}

void json_key_bytes(struct json_writer *w, struct bytes name) {
    before_value(w);
    put_quoted(w->out, name);
    buf_put_u8(w->out, ':');
    w->comma = false;
}

void json_key(struct json_writer *w, const char *name) { json_key_bytes(w, bytes_of_cstr(name)); }

void json_put_string(struct json_writer *w, struct bytes utf8) {
    before_value(w);
    put_quoted(w->out, utf8);
}

void json_put_cstr(struct json_writer *w, const char *s) { json_put_string(w, bytes_of_cstr(s)); }

void json_put_raw(struct json_writer *w, struct bytes json) {
    before_value(w);
    buf_put(w->out, json);
}

void json_put_bool(struct json_writer *w, bool v) {
    json_put_raw(w, v ? BYTES_LIT("true") : BYTES_LIT("false"));
}

void json_put_null(struct json_writer *w) { json_put_raw(w, BYTES_LIT("null")); }

void json_put_uint(struct json_writer *w, uint64_t v) {
    before_value(w);
    buf_put_dec(w->out, v);
}

void json_put_int(struct json_writer *w, int64_t v) {
    before_value(w);
    if (v < 0) buf_put_u8(w->out, '-');
    buf_put_dec(w->out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void json_put_u64_string(struct json_writer *w, uint64_t v) {
    before_value(w);
    buf_put_u8(w->out, '"');
    buf_put_dec(w->out, v);
    buf_put_u8(w->out, '"');
}

void json_put_base64(struct json_writer *w, struct bytes in) {
    before_value(w);
    buf_put_u8(w->out, '"');
    base64_put(w->out, in);
    buf_put_u8(w->out, '"');
}

void json_put_hex(struct json_writer *w, struct bytes in) {
    before_value(w);
    buf_put_u8(w->out, '"');
    hex_put(w->out, in);
    buf_put_u8(w->out, '"');
}

/* --- numbers: the digits come from the shim as d[.ddd]e±dd, the form is ECMAScript's */

struct decimal { /* 0.d1d2d3… * 10^point */
    char digits[JSON_SHORTEST_MAX];
    int count;
    int point;
};

static struct decimal decimal_of(double positive) {
    char text[JSON_SHORTEST_MAX];
    size_t len = json_shim_shortest(positive, text), at = 0;
    struct decimal d = {.point = 1};
    for (; at < len && text[at] != 'e'; at++)
        if (text[at] != '.') d.digits[d.count++] = text[at];
    ASSERT(at + 2 < len); /* e, sign, digits */
    bool negative = text[at + 1] == '-';
    int exponent = 0;
    for (at += 2; at < len; at++) exponent = exponent * 10 + (text[at] - '0');
    d.point += negative ? -exponent : exponent;
    return d;
}

static void put_zeros(struct buf *out, int n) {
    for (int i = 0; i < n; i++) buf_put_u8(out, '0');
}

static void put_digits(struct buf *out, const struct decimal *d, int from, int to) {
    if (to > from)
        buf_put(out, (struct bytes){(const uint8_t *)d->digits + from, (size_t)(to - from)});
}

static void put_exponent(struct buf *out, const struct decimal *d) {
    int exponent = d->point - 1;
    put_digits(out, d, 0, 1);
    if (d->count > 1) buf_put_u8(out, '.');
    put_digits(out, d, 1, d->count);
    buf_put_cstr(out, exponent < 0 ? "e-" : "e+");
    buf_put_dec(out, (uint64_t)(exponent < 0 ? -exponent : exponent));
}

/* SPEC rfc8785 3.2.2.3: "ECMAScript builds on the IEEE 754 double-precision standard for
 * representing JSON number data": ECMA-262, Number::toString, steps 6 to 10. */
static void put_number(struct buf *out, double v) {
    ASSERT(isfinite(v));
    if (v == 0) { /* -0 too */
        buf_put_u8(out, '0');
        return;
    }
    if (v < 0) buf_put_u8(out, '-');
    const struct decimal d = decimal_of(fabs(v));
    if (d.point > 21 || d.point < -5) {
        put_exponent(out, &d);
    } else if (d.point <= 0) {
        buf_put_cstr(out, "0.");
        put_zeros(out, -d.point);
        put_digits(out, &d, 0, d.count);
    } else if (d.count <= d.point) {
        put_digits(out, &d, 0, d.count);
        put_zeros(out, d.point - d.count);
    } else {
        put_digits(out, &d, 0, d.point);
        buf_put_u8(out, '.');
        put_digits(out, &d, d.point, d.count);
    }
}

void json_put_double(struct json_writer *w, double v) {
    before_value(w);
    put_number(w->out, v);
}

bool json_double_is_readable(double v) {
    /* -2^63 itself is written -9223372036854776000, which is below int64. */
    const double below = -9223372036854775808.0, above = 18446744073709551616.0; /* 2^64 */
    if (!isfinite(v)) return false;
    return (v > below && v < above) || fabs(v) >= 1e21;
}
