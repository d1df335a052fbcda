/* fuzz_anchor: a slot counts only if its hash fits and it stands in its place, the newest of two
 * counts, and what counts is laid out again as the very octets that were read. The input is a file
 * as it is; then its halves are what two slots hold, with the hash that nobody would guess. */
#include <stdlib.h>

#include "tlog/anchor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOT ((size_t)4096)
#define HASHED (SLOT - 32)

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

static void check_layout(struct bytes slot, const struct anchor_value *v) {
    struct buf again;
    buf_init(&again, SLOT);
    CHECK(anchor_put_slot(&again, v) == NULL);
    CHECK(bytes_equal(buf_bytes(&again), slot));
    buf_done(&again);
}

/* The sequence of slot `i` where it stands alone; 0 where it does not count (1 and 2 are the first
 * that are written, 0 has no use). */
static uint64_t alone(const uint8_t file[2 * SLOT], size_t i, size_t flip) {
    uint8_t one[2 * SLOT] = {0};
    struct anchor_value v;
    memcpy(one + i * SLOT, file + i * SLOT, SLOT);
    if (flip < 8 * SLOT) one[i * SLOT + flip / 8] ^= (uint8_t)(1U << flip % 8);
    if (!anchor_parse((struct bytes){one, sizeof one}, &v)) return 0;
    CHECK(v.sequence % 2 == i);
    return v.sequence;
}

static void check_file(struct bytes file, size_t flip) {
    struct anchor_value v;
    if (!anchor_parse(file, &v)) return;
    CHECK(file.len == 2 * SLOT);
    size_t i = v.sequence % 2;
    struct bytes slot = {file.data + i * SLOT, SLOT};
    struct sha256 hash = sha256_of((struct bytes){slot.data, HASHED});
    CHECK(memcmp(slot.data + HASHED, hash.octets, sizeof hash.octets) == 0);
    CHECK(v.sequence >= alone(file.data, 0, SIZE_MAX) &&
          v.sequence >= alone(file.data, 1, SIZE_MAX));
    CHECK(v.sequence == 0 || alone(file.data, i, flip % (8 * SLOT)) == 0);
    check_layout(slot, &v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t file[2 * SLOT] = {0};
    check_file((struct bytes){data, size}, size);
    for (size_t i = 0; i < 2 && size > 0; i++) {
        size_t from = i * (size / 2), len = size / 2 < HASHED ? size / 2 : HASHED;
        memcpy(file + i * SLOT, data + from, len);
        struct sha256 hash = sha256_of((struct bytes){file + i * SLOT, HASHED});
        memcpy(file + i * SLOT + HASHED, hash.octets, sizeof hash.octets);
    }
    check_file((struct bytes){file, sizeof file}, size * 31);
    return 0;
}
