/* fuzz_json: whatever is accepted keeps its meaning: its canonical form reads back to itself, and
 * the tree's own order has the same canonical form. */
#include <stdlib.h>

#include "json/json.h"

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Doubles from 2^64 to 1e21 are canonically written as integers that the reader refuses. */
static bool is_readable(const struct json_value *v) {
    bool ok = v->type != JSON_DOUBLE || json_double_is_readable(v->number);
    if (v->type == JSON_STRING) CHECK(bytes_are_utf8(v->string));
    if (v->type == JSON_ARRAY)
        for (size_t i = 0; i < v->array.count; i++) ok = is_readable(&v->array.items[i]) && ok;
    if (v->type == JSON_OBJECT)
        for (size_t i = 0; i < v->object.count; i++) {
            const struct json_member *m = &v->object.members[i];
            CHECK(bytes_are_utf8(m->name));
            ok = is_readable(&m->value) && ok;
        }
    return ok;
}

static struct bytes write(struct arena *arena, const struct json_value *v, bool canonical) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)64 << 20);
    struct json_writer w = json_writer_of(&b);
    if (canonical)
        json_put_jcs(&w, v);
    else
        json_put_value(&w, v);
    CHECK(!b.failed);
    return buf_bytes(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_limits limits = {.depth_max = 64, .octets_max = (size_t)1 << 20};
    struct json_limits loose = {.depth_max = 64, .octets_max = (size_t)64 << 20};
    struct arena arena;
    struct json_value v, again;
    arena_init(&arena, (size_t)512 << 20);
    struct error *err = json_parse(&arena, (struct bytes){data, size}, &limits, &v);
    if (err == NULL) {
        struct bytes canonical = write(&arena, &v, true);
        struct bytes plain = write(&arena, &v, false);
        bool readable = is_readable(&v);
        err = json_parse(&arena, canonical, &loose, &again);
        CHECK((err == NULL) == readable);
        if (err == NULL) {
            CHECK(bytes_equal(write(&arena, &again, true), canonical));
            CHECK(bytes_equal(write(&arena, &again, false), canonical));
            CHECK(json_parse(&arena, plain, &loose, &again) == NULL);
            CHECK(bytes_equal(write(&arena, &again, true), canonical));
        }
    }
    error_free(err);
    arena_done(&arena);
    return 0;
}
