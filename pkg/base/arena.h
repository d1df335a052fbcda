/* arena: memory for one request, bounded and freed as a whole. Not thread-safe: one owner. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/* A bound that arenas share: {.max_bytes = N}, in storage that outlives them. Any thread. */
struct arena_budget {
    size_t used_bytes; /* of the blocks of all arenas within it; changed atomically (arena.c) */
    size_t max_bytes;
};

struct arena {
    struct arena_block *blocks;  /* newest first; the newest has the free room */
    size_t used_bytes;           /* handed out so far, padding included */
    size_t max_bytes;            /* used_bytes never passes it; set by arena_init */
    struct arena_budget *budget; /* NULL: none */
};

void arena_init(struct arena *a, size_t max_bytes);

/* arena_init_within does the same for an arena whose blocks also count against `budget` (NULL: as
 * arena_init), until arena_done. */
void arena_init_within(struct arena *a, size_t max_bytes, struct arena_budget *budget);

/* arena_alloc returns `size` zeroed bytes, aligned for any type and valid until arena_done, or
 * NULL if the arena would pass a bound of its own or of its budget, or memory is out. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((__malloc__));

/* arena_extend grows `p`, of `size` bytes, in place to `new_size`, which is no less, with zeroes.
 * It can where `p` was the last that arena_alloc gave out and its block has room; else, or past the
 * arena's bound, it changes nothing and returns false. */
bool arena_extend(struct arena *a, const void *p, size_t size, size_t new_size);

/* arena_copy returns a copy of `in` in `a` with a NUL behind it (not counted in len); data is NULL
 * if the arena would pass its bound or memory is out. An empty `in` gives a non-NULL pointer. */
struct bytes arena_copy(struct arena *a, struct bytes in);

/* arena_done frees all memory of `a`. A zeroed arena is allowed. */
void arena_done(struct arena *a);

#endif
