#include "base/alloc.h"
#include "service/internal.h"

static struct service_job *take(struct service_workers *w) {
    struct service_job *job = NULL;
    (void)pthread_mutex_lock(&w->lock);
    while (w->first == NULL && !w->stopping) (void)pthread_cond_wait(&w->wake, &w->lock);
    job = w->first;
    if (job != NULL) {
        w->first = job->next;
        if (w->first == NULL) w->last = NULL;
        w->queued--;
    }
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

static void *work(void *arg) {
    struct service_workers *w = arg;
    for (struct service_job *job = take(w); job != NULL; job = take(w)) job->run(job);
    return NULL;
}

struct error *workers_start(struct service_workers *w, uint32_t threads, uint32_t max) {
    w->max = max;
    w->threads = alloc_zero(threads == 0 ? 1 : threads, sizeof *w->threads);
    if (w->threads == NULL) return error_nomem();
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->wake, NULL);
    for (uint32_t i = 0; i < threads; i++) {
        int rc = pthread_create(&w->threads[i], NULL, work, w);
        if (rc != 0)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "workers: thread: %s", strerror(rc));
        w->thread_count++;
    }
    return NULL;
}

struct error *workers_submit(struct service_workers *w, struct service_job *job) {
    struct error *err = NULL;
    job->next = NULL;
    (void)pthread_mutex_lock(&w->lock);
    if (w->stopping) {
        err = error_reason_new(REASON_SHUTTING_DOWN, "the server is stopping");
    } else if (w->queued >= w->max) {
        err = error_reason_new(REASON_QUEUE_FULL, "%u jobs wait", w->queued);
    } else {
        if (w->last == NULL)
            w->first = job;
        else
            w->last->next = job;
        w->last = job;
        w->queued++;
        (void)pthread_cond_signal(&w->wake);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return err;
}

void workers_stop(struct service_workers *w) {
    if (w->threads == NULL) return;
    (void)pthread_mutex_lock(&w->lock);
    w->stopping = true;
    (void)pthread_cond_broadcast(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < w->thread_count; i++) (void)pthread_join(w->threads[i], NULL);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->wake);
    alloc_free(w->threads);
    *w = (struct service_workers){0};
}
