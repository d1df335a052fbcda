/* Reading receipts is total, and says the same of a text and of what it rebuilds: no octet of a
 * receipt is passed over. What verifies under the golden trust files rebuilds and verifies again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bundle/bundle.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_BYTES ((size_t)8 << 20)
#define INPUT_MAX ((size_t)64 << 10)

static void require(bool holds) {
    if (!holds) __builtin_trap();
}

static struct bytes file_of(struct arena *arena, const char *path) {
    FILE *f = fopen(path, "rb");
    require(f != NULL);
    uint8_t *data = arena_alloc(arena, INPUT_MAX);
    require(data != NULL);
    size_t n = fread(data, 1, INPUT_MAX, f);
    (void)fclose(f);
    return (struct bytes){data, n};
}

static const struct trust *golden_trust(void) {
    static struct trust trust;
    if (trust.log_count > 0) return &trust;
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    struct error *err = trust_load(file_of(&arena, "testdata/bundle/trusted_root.json"),
                                   file_of(&arena, "testdata/bundle/signing-keys.json"), &trust);
    require(err == NULL);
    arena_done(&arena);
    return &trust;
}

static struct bytes jcs_of(struct arena *arena, struct bytes text) {
    struct json_value *v = arena_alloc(arena, sizeof *v);
    require(v != NULL);
    require(json_parse(arena, text, &JSON_LIMITS_DEFAULT, v) == NULL);
    struct buf out;
    buf_init_arena(&out, arena, ARENA_BYTES);
    struct json_writer w = json_writer_of(&out);
    json_put_jcs(&w, v);
    require(buf_finish(&out, "jcs") == NULL);
    return buf_bytes(&out);
}

static bool verifies(struct arena *arena, struct bytes text) {
    struct bundle_verification v = {0};
    CLEANUP(error_freep)
    struct error *err = bundle_verify(arena, text, golden_trust(), NULL, (struct bytes){0}, &v);
    if (err != NULL) return false;
    require((v.verdict == BUNDLE_VERIFIED) == (v.reason[0] == '\0'));
    if (v.verdict == BUNDLE_VERIFIED) require(v.statement.submitter_principal.len > 0);
    return v.verdict == BUNDLE_VERIFIED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    struct bytes text = {data, size};
    struct arena arena;
    arena_init(&arena, ARENA_BYTES);
    bool verified = verifies(&arena, text);
    struct bundle_receipt r;
    struct error *err = bundle_read_receipt(&arena, text, &r);
    require(!verified || err == NULL);
    if (err == NULL) {
        struct buf rebuilt;
        buf_init_arena(&rebuilt, &arena, ARENA_BYTES);
        bundle_put_receipt(&rebuilt, &r);
        require(buf_finish(&rebuilt, "receipt") == NULL);
        require(bytes_equal(jcs_of(&arena, text), jcs_of(&arena, buf_bytes(&rebuilt))));
        require(verifies(&arena, buf_bytes(&rebuilt)) == verified);
    }
    error_free(err);
    arena_done(&arena);
    return 0;
}
