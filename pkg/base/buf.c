#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/assert.h"

#define BUF_FIRST_BYTES ((size_t)256)

void buf_init(struct buf *b, size_t max) { *b = (struct buf){.max = max}; }

void buf_init_arena(struct buf *b, struct arena *arena, size_t max) {
    *b = (struct buf){.max = max, .arena = arena};
}

static bool grow(struct buf *b, size_t need) {
    size_t cap = b->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->cap;
    while (cap < need) cap = cap > b->max / 2 ? b->max : cap * 2;
    uint8_t *data = NULL;
    if (b->arena == NULL) {
        data = alloc_resize(b->data, cap);
    } else if (b->data != NULL && arena_extend(b->arena, b->data, b->cap, cap)) {
        data = b->data;
    } else {
        data = arena_alloc(b->arena, cap);
        if (data != NULL && b->len > 0) memcpy(data, b->data, b->len);
    }
    if (data == NULL) return false;
    b->data = data;
    b->cap = cap;
    return true;
}

uint8_t *buf_reserve(struct buf *b, size_t n) {
    if (b->failed) return NULL;
    if (n > b->max - b->len) {
        b->failed = b->over_max = true;
        return NULL;
    }
    if ((b->data == NULL || n > b->cap - b->len) && !grow(b, b->len + n)) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->len;
}

void buf_added(struct buf *b, size_t n) {
    ASSERT(n <= b->cap - b->len);
    b->len += n;
}

void buf_put(struct buf *b, struct bytes in) {
    if (in.len == 0) return;
    uint8_t *p = buf_reserve(b, in.len);
    if (p == NULL) return;
    memcpy(p, in.data, in.len);
    b->len += in.len;
}

void buf_put_text(struct buf *b, struct text in) { buf_put(b, bytes_of_text(in)); }
void buf_put_cstr(struct buf *b, const char *s) { buf_put(b, bytes_of_cstr(s)); }
void buf_put_u8(struct buf *b, uint8_t v) { buf_put(b, (struct bytes){&v, 1}); }

static void put_be(struct buf *b, uint64_t v, size_t octets) {
    uint8_t out[8];
    for (size_t i = 0; i < octets; i++) out[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
    buf_put(b, (struct bytes){out, octets});
}

void buf_put_u16be(struct buf *b, uint16_t v) { put_be(b, v, 2); }
void buf_put_u32be(struct buf *b, uint32_t v) { put_be(b, v, 4); }
void buf_put_u64be(struct buf *b, uint64_t v) { put_be(b, v, 8); }

void buf_put_dec(struct buf *b, uint64_t v) {
    uint8_t out[20];
    size_t at = sizeof out;
    do {
        out[--at] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    buf_put(b, (struct bytes){out + at, sizeof out - at});
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    uint8_t *p = buf_reserve(b, (size_t)n + 1); /* vsnprintf writes a NUL, which is not kept */
    if (p == NULL) return;
    va_start(ap, fmt);
    (void)vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void buf_clear(struct buf *b) {
    b->len = 0;
    b->failed = b->over_max = false;
}

void buf_clear_to(struct buf *b, size_t keep) {
    ASSERT(b->arena == NULL);
    if (b->cap > keep) {
        alloc_free(b->data);
        b->data = NULL;
        b->cap = 0;
    }
    buf_clear(b);
}

struct error *buf_finish(const struct buf *b, const char *what) {
    if (!b->failed) return NULL;
    if (!b->over_max) return error_nomem();
    return error_new(ERROR_RESOURCE_EXHAUSTED, "%s: larger than %zu octets", what, b->max);
}

uint8_t *buf_take(struct buf *b) {
    ASSERT(b->arena == NULL && !b->failed);
    uint8_t *data = b->data;
    *b = (struct buf){.max = b->max};
    return data;
}

void buf_done(struct buf *b) {
    if (b->arena == NULL) alloc_free(b->data);
    *b = (struct buf){0};
}
