/* A model's manifest as JSON. What is read is written, and read again as the same model. */
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct error *read_manifest(struct arena *arena, struct bytes text, struct model *out) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json_value v;
    TRY(json_parse(arena, text, &limits, &v));
    return model_read_predicate(arena, &v, out);
}

static struct error *round_trip(struct arena *arena, struct bytes text) {
    struct model first, second;
    TRY(read_manifest(arena, text, &first));
    if (first.count == 0) __builtin_trap();
    struct buf again;
    buf_init_arena(&again, arena, (size_t)4 << 20);
    model_put_predicate(&again, &first);
    TRY(buf_finish(&again, "manifest"));
    struct error *err = read_manifest(arena, buf_bytes(&again), &second);
    if (err != NULL && error_code(err) == ERROR_INVALID_ARGUMENT) __builtin_trap();
    TRY(err);
    bool same = false;
    struct text why;
    TRY(model_compare(arena, &first, &second, &same, &why));
    if (!same) __builtin_trap();
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    arena_init(&arena, (size_t)16 << 20);
    error_free(round_trip(&arena, (struct bytes){data, size}));
    arena_done(&arena);
    return 0;
}
