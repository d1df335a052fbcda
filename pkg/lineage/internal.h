/* internal: the set of nodes that a walk has met. */
#ifndef LINEAGE_INTERNAL_H
#define LINEAGE_INTERNAL_H

#include "base/arena.h"
#include "base/bytes.h"

/* A crit-bit tree in an arena: looking up costs the length of the text, whatever texts an attacker
 * chose; a hash table without a secret could be flooded. */
struct text_set_child { /* a leaf, or an inner node */
    void *p;            /* NULL while the set is empty */
    bool inner;
};

struct text_set {
    struct arena *arena;
    struct text_set_child root;
};

/* text_set_find answers whether `t` is in the set, and gives its number. */
bool text_set_find(const struct text_set *set, struct text t, uint32_t *out_number);

/* text_set_add enters `t`, which is not in the set and is borrowed for as long as the set lives.
 * False where the arena is full. */
__attribute__((__warn_unused_result__)) bool text_set_add(struct text_set *set, struct text t,
                                                          uint32_t number);

#endif
