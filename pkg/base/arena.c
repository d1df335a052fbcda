/* Blocks double from 4 KiB to 64 KiB, so a request of common size costs one or two allocations;
 * what is larger than half a block gets one of its own. The bound is on what was handed out. */
#include "base/arena.h"

#include <stdalign.h>

#include "base/alloc.h"

#define BLOCK_MIN_BYTES ((size_t)4096)
#define BLOCK_MAX_BYTES ((size_t)65536)

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    max_align_t data[];
};

void arena_init(struct arena *a, size_t max_bytes) { arena_init_within(a, max_bytes, NULL); }

void arena_init_within(struct arena *a, size_t max_bytes, struct arena_budget *budget) {
    *a = (struct arena){.max_bytes = max_bytes, .budget = budget};
}

static size_t weight(size_t block_size) { return sizeof(struct arena_block) + block_size; }

/* The builtins, not <stdatomic.h>: the header is read by C++ too. */
static bool take_budget(struct arena_budget *budget, size_t bytes) {
    if (budget == NULL) return true;
    size_t used = __atomic_load_n(&budget->used_bytes, __ATOMIC_RELAXED);
    do {
        if (used > budget->max_bytes || bytes > budget->max_bytes - used) return false;
    } while (!__atomic_compare_exchange_n(&budget->used_bytes, &used, used + bytes, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

static void give_budget(struct arena_budget *budget, size_t bytes) {
    if (budget != NULL) (void)__atomic_fetch_sub(&budget->used_bytes, bytes, __ATOMIC_RELAXED);
}

static struct arena_block *block_new(struct arena *a, size_t need) {
    size_t size = BLOCK_MIN_BYTES;
    if (a->blocks != NULL && a->blocks->size >= BLOCK_MIN_BYTES) size = a->blocks->size * 2;
    if (size > BLOCK_MAX_BYTES) size = BLOCK_MAX_BYTES;
    bool own = need > size / 2;
    if (own) size = need;

    if (!take_budget(a->budget, weight(size))) return NULL;
    struct arena_block *b = alloc_zero(1, weight(size));
    if (b == NULL) {
        give_budget(a->budget, weight(size));
        return NULL;
    }
    b->size = size;
    if (own && a->blocks != NULL) { /* keep the roomy block in front */
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        b->next = a->blocks;
        a->blocks = b;
    }
    return b;
}

static size_t padded(size_t size) {
    const size_t align = alignof(max_align_t);
    return (size + align - 1) & ~(align - 1);
}

void *arena_alloc(struct arena *a, size_t size) {
    if (size > a->max_bytes - a->used_bytes) return NULL; /* used <= max always holds */
    size_t taken = padded(size);
    if (taken < size || taken > a->max_bytes - a->used_bytes) return NULL;

    struct arena_block *b = a->blocks;
    if (b == NULL || taken > b->size - b->used) b = block_new(a, taken);
    if (b == NULL) return NULL;
    void *p = (char *)b->data + b->used;
    b->used += taken;
    a->used_bytes += taken;
    return p;
}

bool arena_extend(struct arena *a, const void *p, size_t size, size_t new_size) {
    struct arena_block *b = a->blocks;
    if (b == NULL || padded(size) > b->used) return false;
    if ((const char *)p != (const char *)b->data + (b->used - padded(size))) return false;
    size_t more = padded(new_size) - padded(size);
    if (padded(new_size) < new_size || more > b->size - b->used ||
        more > a->max_bytes - a->used_bytes)
        return false;
    b->used += more;
    a->used_bytes += more;
    return true;
}

struct bytes arena_copy(struct arena *a, struct bytes in) {
    uint8_t *p = in.len == SIZE_MAX ? NULL : arena_alloc(a, in.len + 1);
    if (p == NULL) return (struct bytes){0};
    if (in.len > 0) memcpy(p, in.data, in.len);
    return (struct bytes){p, in.len};
}

void arena_done(struct arena *a) {
    while (a->blocks != NULL) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        give_budget(a->budget, weight(b->size));
        alloc_free(b);
    }
    *a = (struct arena){0};
}
