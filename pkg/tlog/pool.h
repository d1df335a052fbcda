/* pool: threads that work through one array beside the caller, who waits for the end of it. */
#ifndef TLOG_POOL_H
#define TLOG_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define POOL_THREADS_MAX 64

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a job has come, or the end */
    pthread_cond_t ended; /* the last thread has left the job */
    pthread_t threads[POOL_THREADS_MAX];
    unsigned thread_count;
    uint64_t jobs;      /* guarded by: lock; how many there were */
    bool open;          /* guarded by: lock; the job may still be joined */
    bool stopping;      /* guarded by: lock */
    unsigned working;   /* guarded by: lock; threads in the job */
    atomic_size_t next; /* the next item to take */
    size_t count;       /* set before the job is open */
    void (*each)(void *ctx, size_t i);
    void *ctx;
};

/* pool_init starts `threads` (at most POOL_THREADS_MAX; 0: the caller works alone). */
MUST_USE struct error *pool_init(struct pool *p, unsigned threads);
void pool_done(struct pool *p);

/* pool_run calls `each` for 0 .. count - 1, from any of the threads and the caller's own, and
 * returns when all have returned. One caller at a time. */
void pool_run(struct pool *p, size_t count, void (*each)(void *ctx, size_t i), void *ctx);

#endif
