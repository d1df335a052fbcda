/* fuzz_config: what loads has every value within the bounds of its row, and is written back and
 * read again as the same; what does not load changes nothing. */
#include <stdlib.h>

#include "codec/codec.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

/* Every code point as an escape: no octet of the value means anything to YAML. */
static void put_quoted(struct buf *out, const char *value) {
    const uint8_t *p = (const uint8_t *)value;
    buf_put_u8(out, '"');
    while (*p != '\0') {
        uint32_t point = *p < 0x80 ? *p : *p < 0xe0 ? *p & 0x1fU : *p < 0xf0 ? *p & 0xfU : *p & 7U;
        for (p++; (*p & 0xc0) == 0x80; p++) point = point << 6 | (*p & 0x3fU);
        buf_printf(out, "\\U%08x", point);
    }
    buf_put_u8(out, '"');
}

static void put_TEXT(struct buf *out, const char *value, uint64_t min, uint64_t max) {
    struct text text;
    CHECK(text_of_bytes(bytes_of_cstr(value), &text) && text.len >= min && text.len <= max);
    put_quoted(out, value);
}
static void put_FLAG(struct buf *out, bool value, uint64_t min, uint64_t max) {
    uint8_t octet;
    memcpy(&octet, &value, sizeof octet);
    CHECK(octet >= min && octet <= max);
    buf_put_cstr(out, value ? "true" : "false");
}
static void put_COUNT(struct buf *out, uint64_t value, uint64_t min, uint64_t max) {
    CHECK(value >= min && value <= max);
    buf_printf(out, "%llu", (unsigned long long)value);
}
static void put_SIZE(struct buf *out, uint64_t value, uint64_t min, uint64_t max) {
    put_COUNT(out, value, min, max);
}
static void put_TIME(struct buf *out, uint64_t value, uint64_t min, uint64_t max) {
    put_COUNT(out, value, min, max);
    buf_put_cstr(out, "ms");
}

static struct bytes write(struct arena *arena, const struct config *c) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)1 << 20);
#define PUT(type, field, key, def, min, max, reload, help)                                         \
    buf_put_cstr(&b, key ": ");                                                                    \
    put_##type(&b, c->field, min, max);                                                            \
    buf_put_cstr(&b, "\n");
    CONFIG_TABLE(PUT)
#undef PUT
    CHECK(!b.failed);
    return buf_bytes(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct config config, again, untouched;
    arena_init(&arena, (size_t)16 << 20);
    config_default(&config);
    config_default(&again);
    untouched = config;
    struct error *err = config_load(&arena, (struct bytes){data, size}, "fuzz", &config);
    if (err == NULL) {
        struct bytes text = write(&arena, &config);
        CHECK(config_load(&arena, text, "again", &again) == NULL);
        CHECK(bytes_equal(write(&arena, &again), text));
        error_free(config_check(&config));
    } else {
        CHECK(error_code(err) == ERROR_INVALID_ARGUMENT);
        CHECK(memcmp(&config, &untouched, sizeof config) == 0);
    }
    error_free(err);
    arena_done(&arena);
    return 0;
}
