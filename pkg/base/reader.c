#include "base/reader.h"

void reader_fail(struct reader *r, const char *what) {
    if (r->failed == NULL) r->failed = what;
    r->rest = (struct bytes){0};
}

struct bytes reader_take(struct reader *r, size_t n, const char *what) {
    if (r->failed != NULL || n > r->rest.len) {
        reader_fail(r, what);
        return (struct bytes){0};
    }
    struct bytes taken = {r->rest.data, n};
    r->rest.data = n == 0 ? r->rest.data : r->rest.data + n;
    r->rest.len -= n;
    return taken;
}

static uint64_t take_be(struct reader *r, size_t octets, const char *what) {
    struct bytes in = reader_take(r, octets, what);
    uint64_t v = 0;
    for (size_t i = 0; i < in.len; i++) v = v << 8 | in.data[i];
    return v;
}

uint8_t reader_u8(struct reader *r, const char *what) { return (uint8_t)take_be(r, 1, what); }
uint16_t reader_u16be(struct reader *r, const char *what) { return (uint16_t)take_be(r, 2, what); }
uint32_t reader_u32be(struct reader *r, const char *what) { return (uint32_t)take_be(r, 4, what); }
uint64_t reader_u64be(struct reader *r, const char *what) { return take_be(r, 8, what); }

void reader_expect(struct reader *r, struct bytes want, const char *what) {
    if (!bytes_equal(reader_take(r, want.len, what), want)) reader_fail(r, what);
}

struct bytes reader_until(struct reader *r, uint8_t stop, const char *what) {
    const uint8_t *end = r->rest.len == 0 ? NULL : memchr(r->rest.data, stop, r->rest.len);
    if (r->failed != NULL || end == NULL) {
        reader_fail(r, what);
        return (struct bytes){0};
    }
    struct bytes taken = {r->rest.data, (size_t)(end - r->rest.data)};
    r->rest = (struct bytes){end + 1, r->rest.len - taken.len - 1};
    return taken;
}

struct bytes reader_line(struct reader *r, const char *what) {
    return reader_until(r, '\n', what);
}

bool bytes_to_u64(struct bytes in, uint64_t *out) {
    uint64_t value = 0;
    if (in.len == 0 || (in.data[0] == '0' && in.len > 1)) return false;
    for (size_t i = 0; i < in.len; i++) {
        unsigned digit = (unsigned)in.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

uint64_t reader_u64_line(struct reader *r, const char *what) {
    uint64_t value = 0;
    if (!bytes_to_u64(reader_line(r, what), &value)) reader_fail(r, what);
    return value;
}

struct error *reader_finish(const struct reader *r, const char *what) {
    if (r->failed != NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: bad or missing %s", what, r->failed);
    if (r->rest.len != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: %zu trailing octets", what, r->rest.len);
    return NULL;
}
