#include "tlog/pool.h"

#include <string.h>

#include "base/assert.h"

/* Below this many items, waking a thread costs more than it saves. */
#define SHARED_MIN ((size_t)4)

static void work_through(struct pool *p) {
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->count) return;
        p->each(p->ctx, i);
    }
}

static void *thread_main(void *arg) {
    struct pool *p = arg;
    uint64_t seen = 0;
    ASSERT(pthread_mutex_lock(&p->lock) == 0);
    while (!p->stopping) {
        if (!p->open || p->jobs == seen) {
            ASSERT(pthread_cond_wait(&p->work, &p->lock) == 0);
            continue;
        }
        seen = p->jobs;
        p->working++;
        ASSERT(pthread_mutex_unlock(&p->lock) == 0);
        work_through(p);
        ASSERT(pthread_mutex_lock(&p->lock) == 0);
        if (--p->working == 0) ASSERT(pthread_cond_signal(&p->ended) == 0);
    }
    ASSERT(pthread_mutex_unlock(&p->lock) == 0);
    return NULL;
}

struct error *pool_init(struct pool *p, unsigned threads) {
    *p = (struct pool){0};
    ASSERT(pthread_mutex_init(&p->lock, NULL) == 0);
    ASSERT(pthread_cond_init(&p->work, NULL) == 0);
    ASSERT(pthread_cond_init(&p->ended, NULL) == 0);
    for (unsigned i = 0; i < threads && i < POOL_THREADS_MAX; i++) {
        int rc = pthread_create(&p->threads[i], NULL, thread_main, p);
        if (rc != 0) {
            pool_done(p);
            return error_new(ERROR_UNAVAILABLE, "start a thread: %s", strerror(rc));
        }
        p->thread_count++;
    }
    return NULL;
}

void pool_done(struct pool *p) {
    ASSERT(pthread_mutex_lock(&p->lock) == 0);
    p->stopping = true;
    ASSERT(pthread_cond_broadcast(&p->work) == 0);
    ASSERT(pthread_mutex_unlock(&p->lock) == 0);
    for (unsigned i = 0; i < p->thread_count; i++) ASSERT(pthread_join(p->threads[i], NULL) == 0);
    (void)pthread_cond_destroy(&p->ended);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->lock);
}

void pool_run(struct pool *p, size_t count, void (*each)(void *ctx, size_t i), void *ctx) {
    if (p->thread_count == 0 || count < SHARED_MIN) {
        for (size_t i = 0; i < count; i++) each(ctx, i);
        return;
    }
    ASSERT(pthread_mutex_lock(&p->lock) == 0);
    ASSERT(!p->open && p->working == 0);
    p->count = count;
    p->each = each;
    p->ctx = ctx;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    p->jobs++;
    p->open = true;
    ASSERT(pthread_cond_broadcast(&p->work) == 0);
    ASSERT(pthread_mutex_unlock(&p->lock) == 0);

    work_through(p);

    ASSERT(pthread_mutex_lock(&p->lock) == 0);
    p->open = false; /* who wakes up only now has nothing to do */
    while (p->working > 0) ASSERT(pthread_cond_wait(&p->ended, &p->lock) == 0);
    ASSERT(pthread_mutex_unlock(&p->lock) == 0);
}
