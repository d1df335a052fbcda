/* fuzz_token: a stored token that is accepted keeps the rules of a request for one, is written in
 * one form, and that form reads back as the same token. */
#include <stdlib.h>

#include "service/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

static struct bytes write(struct arena *arena, const struct token_record *record) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)4 << 20);
    token_record_put(&b, record);
    CHECK(!b.failed);
    return buf_bytes(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    struct token_record record, again;
    CLEANUP(error_freep)
    struct error *err = token_record_parse(&arena, (struct bytes){data, size}, &record);
    if (err == NULL) {
        CHECK(token_record_check(&record) == NULL);
        CHECK(record.name.len > 0 && record.scopes != 0 && record.expires_ms > record.created_ms);
        struct bytes text = write(&arena, &record);
        CHECK(token_record_parse(&arena, text, &again) == NULL);
        CHECK(bytes_equal(write(&arena, &again), text));
    }
    arena_done(&arena);
    return 0;
}
