/* fuzz_facts: accepted facts of an instance keep their bounds, and are written in one form, which
 * reads back as the same. */
#include <stdlib.h>

#include "crypto/x509.h"
#include "instance/instance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

static struct bytes write(struct arena *arena, const struct instance_facts *facts) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)4 << 20);
    facts_put(&b, facts);
    CHECK(!b.failed);
    return buf_bytes(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    struct instance_facts facts, again;
    CLEANUP(error_freep)
    struct error *err = facts_parse(&arena, (struct bytes){data, size}, &facts);
    if (err == NULL) {
        CHECK(x509_is_dns_name(facts.origin));
        CHECK(facts.tree_id > 0 && facts.tree_id <= INT64_MAX && facts.created_ms >= 0);
        struct bytes text = write(&arena, &facts);
        CHECK(facts_parse(&arena, text, &again) == NULL);
        CHECK(bytes_equal(write(&arena, &again), text));
    }
    arena_done(&arena);
    return 0;
}
