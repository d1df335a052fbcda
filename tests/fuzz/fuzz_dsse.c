/* fuzz_dsse: an envelope that is accepted is written in one form, which reads back the same,
 * strictly and not; and no two envelopes that differ have one encoding to sign. */
#include <stdlib.h>

#include "dsse/dsse.h"

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct error *read_text(struct arena *arena, struct bytes text, bool strict,
                               struct dsse_envelope *out) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json_value v;
    TRY(json_parse(arena, text, &limits, &v));
    return dsse_envelope_from_json(arena, &v, strict, out);
}

static struct bytes write(struct arena *arena, const struct dsse_envelope *env) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)16 << 20);
    dsse_put_envelope(&b, env);
    CHECK(!b.failed);
    return buf_bytes(&b);
}

static void check_pae(struct arena *arena, const struct dsse_envelope *env) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)16 << 20);
    dsse_put_pae(&b, env->payload_type, env->payload);
    CHECK(!b.failed && b.len > env->payload.len + env->payload_type.len);
    CHECK(bytes_start_with(buf_bytes(&b), BYTES_LIT("DSSEv1 ")));
    struct bytes tail = {b.data + b.len - env->payload.len, env->payload.len};
    CHECK(bytes_equal(tail, env->payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dsse_envelope env, again, strict;
    struct arena arena;
    arena_init(&arena, (size_t)256 << 20);
    struct bytes text = {data, size};
    struct error *err = read_text(&arena, text, false, &env);
    struct error *strict_err = read_text(&arena, text, true, &strict);
    CHECK(err == NULL || strict_err != NULL);
    if (err == NULL) {
        struct bytes written = write(&arena, &env);
        CHECK(read_text(&arena, written, true, &again) == NULL);
        CHECK(bytes_equal(again.payload, env.payload));
        CHECK(bytes_equal(again.payload_type, env.payload_type));
        CHECK(again.signature_count == env.signature_count);
        CHECK(bytes_equal(write(&arena, &again), written));
        check_pae(&arena, &env);
    }
    error_free(err);
    error_free(strict_err);
    arena_done(&arena);
    return 0;
}
