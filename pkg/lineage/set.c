/*
 * The crit-bit tree. A text's key is its octets and then an infinite run of zeros; texts hold no
 * NUL octet, so no key is the beginning of another. Inner nodes stand in order of position along
 * every path: an octet's index, and within it the highest bit in which the two sides differ.
 */
#include "base/assert.h"
#include "lineage/internal.h"

struct leaf {
    struct text text;
    uint32_t number;
};

struct inner {
    struct text_set_child sides[2];
    size_t octet; /* where the two sides differ first */
    uint8_t bit;  /* one bit */
};

static uint8_t octet_at(struct text t, size_t i) { return i < t.len ? (uint8_t)t.data[i] : 0; }

static unsigned side_of(const struct inner *n, struct text t) {
    return (octet_at(t, n->octet) & n->bit) != 0;
}

static const struct leaf *closest(const struct text_set_child *at, struct text t) {
    while (at->inner) {
        const struct inner *n = at->p;
        at = &n->sides[side_of(n, t)];
    }
    return at->p;
}

static uint8_t highest_bit(uint8_t v) {
    uint8_t bit = 0x80;
    while ((v & bit) == 0) bit = (uint8_t)(bit >> 1);
    return bit;
}

/* The fork goes before the first inner node on the path that looks at a later position. */
static void insert(struct text_set_child *at, struct inner *fork, struct leaf *leaf) {
    while (at->inner) {
        struct inner *n = at->p;
        if (n->octet > fork->octet || (n->octet == fork->octet && n->bit < fork->bit)) break;
        at = &n->sides[side_of(n, leaf->text)];
    }
    unsigned side = side_of(fork, leaf->text);
    fork->sides[side] = (struct text_set_child){leaf, false};
    fork->sides[1 - side] = *at;
    *at = (struct text_set_child){fork, true};
}

bool text_set_find(const struct text_set *set, struct text t, uint32_t *out_number) {
    if (set->root.p == NULL) return false;
    const struct leaf *leaf = closest(&set->root, t);
    if (!text_equal(leaf->text, t)) return false;
    *out_number = leaf->number;
    return true;
}

bool text_set_add(struct text_set *set, struct text t, uint32_t number) {
    struct leaf *leaf = arena_alloc(set->arena, sizeof *leaf);
    if (leaf == NULL) return false;
    *leaf = (struct leaf){t, number};
    if (set->root.p == NULL) {
        set->root.p = leaf;
        return true;
    }
    struct inner *fork = arena_alloc(set->arena, sizeof *fork);
    if (fork == NULL) return false;
    struct text near = closest(&set->root, t)->text;
    while (octet_at(near, fork->octet) == octet_at(t, fork->octet)) {
        ASSERT(fork->octet < near.len || fork->octet < t.len); /* else they are equal */
        fork->octet++;
    }
    fork->bit = highest_bit(octet_at(near, fork->octet) ^ octet_at(t, fork->octet));
    insert(&set->root, fork, leaf);
    return true;
}
