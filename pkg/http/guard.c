/* Token buckets, in whole tokens: what is left over of a second stays in filled_ms. */
#include "http/internal.h"

void guard_init(struct guard *g, uint32_t burst, uint64_t now_ms) {
    *g = (struct guard){.left = burst, .filled_ms = now_ms};
}

static void fill(struct guard *g, uint32_t burst, uint32_t per_s, uint64_t now_ms) {
    uint64_t gained = (now_ms - g->filled_ms) * per_s / 1000;
    if (gained == 0) return;
    g->filled_ms = now_ms;
    g->left = gained > burst - g->left ? burst : g->left + (uint32_t)gained;
}

bool guard_spend(struct guard *g, uint32_t burst, uint32_t per_s, uint64_t now_ms) {
    fill(g, burst, per_s, now_ms);
    if (g->left == 0) return false;
    g->left--;
    return true;
}

void guard_earn(struct guard *g, uint32_t burst) {
    if (g->left < burst) g->left++;
}
