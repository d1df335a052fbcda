/* fuzz_manifest: no accepted manifest names a file outside the backup, or one twice; what was
 * accepted is written in one form, which reads back as the same. */
#include <stdlib.h>

#include "instance/instance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

static void check_path(struct text path) {
    size_t slashes = 0;
    CHECK(path.len > 0 && path.data[0] != '/' && path.data[0] != '.');
    for (size_t i = 0; i < path.len; i++) {
        slashes += path.data[i] == '/';
        CHECK(path.data[i] > ' ' && path.data[i] < 0x7f);
        if (path.data[i] == '/') CHECK(i + 1 < path.len && path.data[i + 1] != '.');
    }
    CHECK(slashes <= 1);
}

static struct bytes write(struct arena *arena, const struct manifest *m) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)16 << 20);
    manifest_put(&b, m);
    CHECK(!b.failed);
    return buf_bytes(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    arena_init(&arena, (size_t)128 << 20);
    struct manifest m, again;
    CLEANUP(error_freep)
    struct error *err = manifest_parse(&arena, (struct bytes){data, size}, &m);
    if (err == NULL) {
        for (size_t i = 0; i < m.file_count; i++) {
            check_path(m.files[i].path);
            if (i > 0)
                CHECK(bytes_compare(bytes_of_text(m.files[i - 1].path),
                                    bytes_of_text(m.files[i].path)) < 0);
        }
        struct bytes text = write(&arena, &m);
        CHECK(manifest_parse(&arena, text, &again) == NULL);
        CHECK(bytes_equal(write(&arena, &again), text));
    }
    arena_done(&arena);
    return 0;
}
