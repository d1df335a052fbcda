/*
 * Globs run as a set of states, one bit a pattern position: bit i says that the first i octets of
 * the pattern can match what was read so far. So the cost is linear in the value whatever the
 * pattern: a submitter chooses names and must not choose our running time.
 */
#include "policy/internal.h"

#define GLOB_OCTETS_MAX ((size_t)255)
#define STATE_WORDS ((GLOB_OCTETS_MAX + 1) / 64)

struct states {
    uint64_t words[STATE_WORDS];
};

const char *policy_glob_check(struct bytes pattern) {
    if (pattern.len == 0) return "empty pattern";
    if (pattern.len > GLOB_OCTETS_MAX) return "pattern longer than 255 octets";
    size_t run = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        run = pattern.data[i] == '*' ? run + 1 : 0;
        if (run == 3) return "\"***\" means nothing; \"*\" does not cross \"/\", \"**\" does";
    }
    return NULL;
}

static bool is_double(struct bytes p, size_t i) {
    return i + 1 < p.len && p.data[i] == '*' && p.data[i + 1] == '*';
}

/* Adds position `i`, and those behind the stars there, which may stand for nothing. */
static void enter(struct states *s, struct bytes p, size_t i) {
    for (;;) {
        s->words[i / 64] |= (uint64_t)1 << (i % 64);
        if (i >= p.len || p.data[i] != '*') return;
        i += is_double(p, i) ? 2 : 1;
    }
}

static bool step(const struct states *from, struct bytes p, uint8_t octet, struct states *to) {
    *to = (struct states){0};
    bool any = false;
    for (size_t w = 0; w < STATE_WORDS; w++) {
        for (uint64_t bits = from->words[w]; bits != 0; bits &= bits - 1) {
            size_t i = w * 64 + (size_t)__builtin_ctzll(bits);
            if (i >= p.len) continue;
            bool star = p.data[i] == '*';
            if (star ? octet == '/' && !is_double(p, i) : octet != p.data[i]) continue;
            enter(to, p, star ? i : i + 1);
            any = true;
        }
    }
    return any;
}

bool policy_glob_match(struct bytes pattern, struct bytes value) {
    if (value.len == 0 || policy_glob_check(pattern) != NULL) return false;
    size_t fixed = 0; /* most patterns begin with plain text, and most values differ there */
    while (fixed < pattern.len && pattern.data[fixed] != '*') fixed++;
    if (!bytes_start_with(value, (struct bytes){pattern.data, fixed})) return false;

    struct states now = {0};
    enter(&now, pattern, fixed);
    for (size_t i = fixed; i < value.len; i++) {
        struct states next;
        if (!step(&now, pattern, value.data[i], &next)) return false;
        now = next;
    }
    return (now.words[pattern.len / 64] >> (pattern.len % 64) & 1) != 0;
}

bool glob_any(const struct text_list *globs, struct text value) {
    for (size_t i = 0; i < globs->count; i++) {
        if (policy_glob_match(bytes_of_text(globs->items[i]), bytes_of_text(value))) return true;
    }
    return false;
}
