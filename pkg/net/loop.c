/* The loop: libuv's, with four things of ours around it: posts (a lock-free stack that is reversed
 * when taken, so they run in order), timers (timer.c), the end of a turn (connections that wrote
 * are flushed once, those that closed are freed, before the loop sleeps) and a tick for the
 * timeouts of connections. */
#include <sched.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/internal.h"

struct net_thread {
    pthread_t id;
    struct net_loop *loop;
};

static void run_posts(struct net_loop *loop) {
    struct net_post *newest = atomic_exchange(&loop->posts, NULL);
    struct net_post *oldest = NULL;
    while (newest != NULL) {
        struct net_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct net_post *next = oldest->next; /* fn may free or reuse the post */
        oldest->fn(oldest);
        oldest = next;
    }
}

static void on_wakeup(uv_async_t *handle) {
    struct net_loop *loop = handle->data;
    run_posts(loop);
    if (atomic_exchange(&loop->stop, false)) uv_stop(&loop->uv);
}

static void on_again(uv_idle_t *handle) { (void)handle; /* keeps the poll from sleeping */ }

static void free_closed(struct net_loop *loop) {
    while (loop->closing != NULL) {
        struct net_conn *c = loop->closing;
        loop->closing = c->closing_next;
        conn_free(c);
    }
}

static void end_turn(struct net_loop *loop) {
    struct net_conn *c = loop->dirty;
    loop->dirty = NULL;
    while (c != NULL) {
        struct net_conn *next = c->dirty_next;
        c->dirty = false;
        conn_turn_end(c);
        c = next;
    }
    free_closed(loop);
    timers_arm(loop);
    if (loop->dirty != NULL) {
        (void)uv_idle_start(&loop->again, on_again);
    } else {
        (void)uv_idle_stop(&loop->again);
    }
}

static void on_turn(uv_prepare_t *handle) { end_turn(handle->data); }

static void on_tick(uv_timer_t *handle) {
    struct net_loop *loop = handle->data;
    struct net_conn *next = NULL;
    for (struct net_conn *c = loop->conns; c != NULL; c = next) {
        next = c->next; /* conn_tick may close c, which only marks it */
        conn_tick(c);
    }
    if (loop->conns == NULL) (void)uv_timer_stop(handle);
}

void loop_tick(struct net_loop *loop) {
    if (uv_is_active((uv_handle_t *)&loop->tick)) return;
    (void)uv_timer_start(&loop->tick, on_tick, NET_TICK_MS, NET_TICK_MS);
}

/* Handles never fail to start once initialised; libuv returns errors for closing handles only. */
static int init_handles(struct net_loop *loop) {
    int rc = uv_async_init(&loop->uv, &loop->wakeup, on_wakeup);
    if (rc != 0) return rc;
    (void)uv_prepare_init(&loop->uv, &loop->turn);
    (void)uv_idle_init(&loop->uv, &loop->again);
    (void)uv_timer_init(&loop->uv, &loop->timer);
    (void)uv_timer_init(&loop->uv, &loop->tick);
    loop->wakeup.data = loop->turn.data = loop->again.data = loop;
    loop->timer.data = loop->tick.data = loop;
    return uv_prepare_start(&loop->turn, on_turn);
}

struct error *net_loop_new(struct net_loop **out) {
    struct net_loop *loop = alloc_zero(1, sizeof *loop);
    uint8_t *read_buffer = loop == NULL ? NULL : alloc_zero(1, NET_READ_BYTES);
    if (read_buffer == NULL) {
        alloc_free(loop);
        return error_nomem();
    }
    loop->read_buffer = read_buffer;
    int rc = uv_loop_init(&loop->uv);
    bool looped = rc == 0;
    if (rc == 0) rc = init_handles(loop);
    if (rc != 0) {
        if (looped) (void)uv_loop_close(&loop->uv); /* nothing was opened in it */
        alloc_free(read_buffer);
        alloc_free(loop);
        return error_new(ERROR_RESOURCE_EXHAUSTED, "make an event loop: %s", uv_strerror(rc));
    }
    *out = loop;
    return NULL;
}

bool net_loop_here(const struct net_loop *loop) {
    return !atomic_load(&loop->running) || pthread_equal(loop->thread, pthread_self());
}

uint64_t net_loop_now_ms(const struct net_loop *loop) { return uv_now(&loop->uv); }

void net_loop_run(struct net_loop *loop) {
    ASSERT(!atomic_load(&loop->running));
    loop->thread = pthread_self();
    atomic_store(&loop->running, true);
    uv_update_time(&loop->uv);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    end_turn(loop); /* what the last turn wrote leaves */
    atomic_store(&loop->running, false);
}

/* The loop may be freed as soon as what a thread posted has run, while that thread is still on its
 * way out of here: net_loop_free waits until nobody is. */
static void enter(struct net_loop *loop) { (void)atomic_fetch_add(&loop->visitors, 1); }
static void leave(struct net_loop *loop) { (void)atomic_fetch_sub(&loop->visitors, 1); }

void net_loop_stop(struct net_loop *loop) {
    enter(loop);
    atomic_store(&loop->stop, true);
    (void)uv_async_send(&loop->wakeup);
    leave(loop);
}

void net_loop_post(struct net_loop *loop, struct net_post *post) {
    enter(loop);
    struct net_post *head = atomic_load(&loop->posts);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak(&loop->posts, &head, post));
    /* Whoever found the stack empty wakes the loop; for the others somebody already has. */
    if (head == NULL) (void)uv_async_send(&loop->wakeup);
    leave(loop);
}

static void on_signal(uv_signal_t *handle, int signum) {
    struct net_signal *s = handle->data;
    s->fn(s->ctx, signum);
}

struct error *net_loop_on_signal(struct net_loop *loop, int signum,
                                 void (*fn)(void *ctx, int signum), void *ctx) {
    ASSERT(net_loop_here(loop));
    if (loop->signal_count == NET_SIGNALS_MAX) {
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d signals", NET_SIGNALS_MAX);
    }
    struct net_signal *s = &loop->signals[loop->signal_count];
    int rc = uv_signal_init(&loop->uv, &s->handle);
    if (rc != 0) return error_new(ERROR_INTERNAL, "watch a signal: %s", uv_strerror(rc));
    loop->signal_count++;
    s->handle.data = s;
    s->fn = fn;
    s->ctx = ctx;
    rc = uv_signal_start(&s->handle, on_signal, signum);
    if (rc != 0) {
        return error_new(ERROR_INTERNAL, "watch signal %d: %s", signum, uv_strerror(rc));
    }
    return NULL;
}

static void close_handles(struct net_loop *loop) {
    uv_close((uv_handle_t *)&loop->wakeup, NULL);
    uv_close((uv_handle_t *)&loop->turn, NULL);
    uv_close((uv_handle_t *)&loop->again, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->tick, NULL);
    for (size_t i = 0; i < loop->signal_count; i++) {
        uv_close((uv_handle_t *)&loop->signals[i].handle, NULL);
    }
}

void net_loop_free(struct net_loop *loop) {
    if (loop == NULL) return;
    ASSERT(!atomic_load(&loop->running) && loop->listener_count == 0);
    while (atomic_load(&loop->visitors) > 0) (void)sched_yield(); /* a few instructions away */
    run_posts(loop);
    while (loop->conns != NULL || loop->closing != NULL) {
        while (loop->conns != NULL) net_conn_close(loop->conns); /* which takes it off the list */
        free_closed(loop); /* on_closed may have opened or posted more */
        run_posts(loop);
    }
    ASSERT(loop->timers == NULL);
    close_handles(loop);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
    }
    int rc = uv_loop_close(&loop->uv);
    ASSERT(rc == 0);
    alloc_free(loop->read_buffer);
    alloc_free(loop);
}

static void *thread_main(void *arg) {
    struct net_thread *t = arg;
    net_loop_run(t->loop);
    return NULL;
}

struct error *net_thread_start(struct net_loop *loop, struct net_thread **out) {
    struct net_thread *t = alloc_zero(1, sizeof *t);
    if (t == NULL) return error_nomem();
    t->loop = loop;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int rc = pthread_create(&t->id, NULL, thread_main, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        alloc_free(t);
        return error_new(ERROR_RESOURCE_EXHAUSTED, "start a thread: error %d", rc);
    }
    *out = t;
    return NULL;
}

void net_thread_join(struct net_thread *thread) {
    if (thread == NULL) return;
    (void)pthread_join(thread->id, NULL);
    alloc_free(thread);
}
