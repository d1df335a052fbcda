/* Timers in a pairing heap whose links lie in the timers themselves: arming cannot fail, and a
 * timer's storage is free the moment it is disarmed (a uv_timer_t would have to be closed first,
 * a turn later). One uv_timer a loop wakes up for the earliest.
 *
 * Heap: a node's `child` is its first child, `next` its next sibling, `prev` the sibling before it
 * or, for a first child, its parent. The root has neither. */
#include "base/assert.h"
#include "net/internal.h"

static struct net_timer *meld(struct net_timer *a, struct net_timer *b) {
    if (a == NULL) return b;
    if (b == NULL) return a;
    if (b->due_ms < a->due_ms) {
        struct net_timer *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL) a->child->prev = b;
    a->child = b;
    return a;
}

/* meld_siblings merges a list of siblings into one heap: pairs from the left, then those from the
 * right. Iterative: a loop may have tens of thousands of timers. */
static struct net_timer *meld_siblings(struct net_timer *first) {
    struct net_timer *pairs = NULL; /* last pair first, linked by next */
    while (first != NULL) {
        struct net_timer *a = first;
        struct net_timer *b = a->next;
        first = b == NULL ? NULL : b->next;
        a->next = a->prev = NULL;
        if (b != NULL) b->next = b->prev = NULL;
        struct net_timer *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    struct net_timer *root = NULL;
    while (pairs != NULL) {
        struct net_timer *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void heap_remove(struct net_loop *loop, struct net_timer *t) {
    if (t == loop->timers) {
        loop->timers = meld_siblings(t->child);
    } else {
        if (t->prev->child == t) {
            t->prev->child = t->next;
        } else {
            t->prev->next = t->next;
        }
        if (t->next != NULL) t->next->prev = t->prev;
        loop->timers = meld(loop->timers, meld_siblings(t->child));
    }
    t->child = t->next = t->prev = NULL;
    t->armed = false;
}

void net_timer_stop(struct net_loop *loop, struct net_timer *timer) {
    ASSERT(net_loop_here(loop));
    if (timer->armed) heap_remove(loop, timer);
}

void net_timer_start(struct net_loop *loop, struct net_timer *timer, uint64_t after_ms) {
    ASSERT(timer->fn != NULL);
    net_timer_stop(loop, timer);
    timer->due_ms = net_loop_now_ms(loop) + after_ms;
    timer->armed = true;
    loop->timers = meld(loop->timers, timer);
}

static void on_timer(uv_timer_t *handle) { timers_run(handle->data); }

/* Only what was due when the turn began runs, so that a timer armed again with 0 ms cannot keep
 * the loop from its sockets. */
void timers_run(struct net_loop *loop) {
    uint64_t now = net_loop_now_ms(loop);
    for (int i = 0; i < 4096 && loop->timers != NULL && loop->timers->due_ms <= now; i++) {
        struct net_timer *t = loop->timers;
        heap_remove(loop, t);
        t->fn(t);
    }
}

/* Called before the loop sleeps: most timers are disarmed before they are due, so the uv_timer is
 * touched once a turn and not once a timer. */
void timers_arm(struct net_loop *loop) {
    if (loop->timers == NULL) {
        (void)uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t now = net_loop_now_ms(loop);
    uint64_t due = loop->timers->due_ms;
    (void)uv_timer_start(&loop->timer, on_timer, due > now ? due - now : 0, 0);
}
