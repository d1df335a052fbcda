/*
 * A batch: items begin in order, a few a turn so that the reactor serves others too, large ones on
 * a worker, at most a window of them under way; each is finished as it becomes ready, its memory
 * freed at once, and its result kept. The answer leaves when all are done.
 *
 * Items that became ready lie on a list until the reactor takes them all. Who puts the first one on
 * an empty list posts, once; nobody else touches the batch after the item is on the list, and it
 * is taken off by that post alone. So a batch cannot end under the hands of another thread, and at
 * most two posts of a call are on their way: this one, and a turn to come, during which only that
 * turn begins items.
 */
#include "api/internal.h"

#define BEGIN_PER_TURN 16
#define LARGE_WINDOW 16 /* large ones under way: others need workers too */

struct api_batch {
    struct api_call *call;
    const struct api_batch_kind *kind;
    struct arena results; /* items and responses */
    struct api_batch_item *items;
    ProtobufCMessage **responses;
    Google__Rpc__Status **errors;
    size_t count;
    size_t begun;
    size_t done;
    size_t large;       /* of those under way */
    bool waits;         /* for an item of its own to be done: the workers' queue was full */
    bool next_is_large; /* the item that begins next */
    bool continues;     /* a post of take_turn is on its way */
    _Atomic(struct api_batch_item *) ready; /* newest first */
};

/* --- results */

static struct error *status_of(struct api_batch *b, const struct error *err,
                               Google__Rpc__Status **out) {
    struct api_call *c = b->call;
    struct rpc_status public;
    rpc_status_public(err, rpc_call_request_id(c->rpc), &public);
    struct msg_status status;
    rpc_status_details(err, &public, &status);
    struct buf wire;
    buf_init_arena(&wire, &b->results, (size_t)64 << 10);
    msg_put_status(&wire, &status);
    TRY(buf_finish(&wire, "status"));
    ProtobufCMessage *m = NULL;
    TRY(msg_unpack(c->api->schema, &b->results, &google__rpc__status__descriptor, buf_bytes(&wire),
                   &MSG_LIMITS_DEFAULT, &m));
    *out = (Google__Rpc__Status *)m;
    return NULL;
}

/* settle keeps the result of one item. Without room for even its status it stays without either,
 * and the batch fails as a whole. */
static void settle(struct api_batch *b, struct api_batch_item *item, struct error *err) {
    struct api_maker mk = {.arena = &b->results};
    if (err == NULL) err = b->kind->finish(b->call, item, &mk, &b->responses[item->index]);
    arena_done(&item->arena);
    b->done++;
    if (item->is_large) b->large--;
    if (err == NULL) return;
    b->responses[item->index] = NULL;
    struct error *unsaid = status_of(b, err, &b->errors[item->index]);
    if (unsaid != NULL) error_ignore(unsaid, "the batch fails for want of memory");
    error_free(err);
}

static struct error *answer(struct api_batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        if (b->responses[i] == NULL && b->errors[i] == NULL) {
            return error_reason_new(REASON_MESSAGE_TOO_LARGE,
                                    "the results of the batch do not fit; send smaller ones");
        }
    }
    struct api_call *c = b->call;
    struct api_maker mk = {.arena = &b->results};
    const ProtobufCMessage *m = b->kind->assemble(&mk, b->responses, b->errors, b->count);
    TRY(api_made(&mk));
    return api_encode(c->api, c->rpc, &b->results, m, &c->encoded);
}

static void end(struct api_batch *b) {
    struct rpc_call *rpc = b->call->rpc;
    struct error *err = answer(b);
    if (err == NULL) rpc_call_send(rpc, b->call->encoded); /* copies */
    arena_done(&b->results);
    rpc_call_finish(rpc, err);
}

/* --- turns */

static size_t under_way(const struct api_batch *b) { return b->begun - b->done; }

/* aim looks at the item that is next to begin. */
static void aim(struct api_batch *b) {
    b->next_is_large =
        b->begun < b->count && b->kind->is_large != NULL && b->kind->is_large(b->call, b->begun);
}

static bool may_begin(const struct api_batch *b) {
    if (b->begun == b->count || b->waits || under_way(b) >= b->kind->window) return false;
    return !b->next_is_large || b->large < LARGE_WINDOW;
}

static void begin_on_a_worker(struct service_job *job) {
    struct api_batch_item *item = (struct api_batch_item *)job;
    struct api_batch *b = item->batch;
    bool pending = false;
    struct error *err = b->kind->begin(b->call, item, &pending);
    if (pending) return; /* api_batch_ready was called or will be; the batch may be gone */
    item->unbegun = err;
    api_batch_ready(item);
}

static struct error *begin_one(struct api_batch *b, struct api_batch_item *item,
                               bool *out_pending) {
    if (rpc_call_cancelled(b->call->rpc)) {
        return error_new(ERROR_CANCELLED, "nobody waits for the batch any more");
    }
    if (!item->is_large) return b->kind->begin(b->call, item, out_pending);
    item->job.run = begin_on_a_worker;
    *out_pending = true;
    return service_submit_job(b->call->api->options.service, &item->job);
}

/* put_back takes an item back for which the workers have no room now, if another of the batch is
 * under way, whose end brings the next turn. Nothing was done for it yet. */
static bool put_back(struct api_batch *b, struct api_batch_item *item, struct error *err) {
    if (err == NULL || !item->is_large || under_way(b) == 1) return false;
    if (error_reason(err) != REASON_QUEUE_FULL) return false;
    error_ignore(err, "it is begun later");
    arena_done(&item->arena);
    b->begun--;
    b->large--;
    b->next_is_large = b->waits = true;
    return true;
}

static void begin_some(struct api_batch *b) {
    for (size_t n = 0; n < BEGIN_PER_TURN && may_begin(b); n++) {
        struct api_batch_item *item = &b->items[b->begun];
        *item =
            (struct api_batch_item){.batch = b, .index = b->begun++, .is_large = b->next_is_large};
        if (item->is_large) b->large++;
        aim(b);
        arena_init_within(&item->arena, API_ITEM_MEMORY_MAX, b->call->arena->budget);
        bool pending = false;
        struct error *err = begin_one(b, item, &pending);
        if (put_back(b, item, err)) return;
        if (err != NULL || !pending) settle(b, item, err);
    }
}

static void take_turn(struct rpc_call *rpc, void *arg) {
    struct api_batch *b = arg;
    b->continues = false;
    begin_some(b);
    if (b->done == b->count) {
        end(b);
    } else if (may_begin(b)) {
        b->continues = true;
        rpc_call_post(rpc, take_turn, b);
    }
}

static void ready_posted(struct rpc_call *rpc, void *arg) {
    struct api_batch *b = arg;
    struct api_batch_item *item = atomic_exchange(&b->ready, NULL);
    b->waits = false;
    while (item != NULL) {
        struct api_batch_item *next = item->next_ready;
        settle(b, item, MOVE(item->unbegun));
        item = next;
    }
    if (!b->continues) take_turn(rpc, b);
}

void api_batch_ready(struct api_batch_item *item) {
    struct api_batch *b = item->batch;
    struct rpc_call *rpc = b->call->rpc;
    struct api_batch_item *head = atomic_load(&b->ready);
    do {
        item->next_ready = head;
    } while (!atomic_compare_exchange_weak(&b->ready, &head, item));
    if (head == NULL) rpc_call_post(rpc, ready_posted, b);
}

/* --- the beginning */

static struct error *prepare(struct api_batch *b) {
    b->items = arena_alloc(&b->results, b->count * sizeof *b->items);
    b->responses = arena_alloc(&b->results, b->count * sizeof(ProtobufCMessage *));
    b->errors = arena_alloc(&b->results, b->count * sizeof(Google__Rpc__Status *));
    if (b->items == NULL || b->responses == NULL || b->errors == NULL) return error_nomem();
    return NULL;
}

void api_batch_start(struct api_call *c, const struct api_batch_kind *kind, size_t count) {
    size_t max = service_limits(c->api->options.service)->batch_max;
    if (count == 0 || count > max) {
        api_call_end(
            c, error_field_new("requests", "holds %zu items; 1 to %zu are taken", count, max));
        return;
    }
    struct api_batch *b = arena_alloc(c->arena, sizeof *b);
    if (b == NULL) {
        api_call_end(c, error_nomem());
        return;
    }
    b->call = c;
    b->kind = kind;
    b->count = count;
    arena_init_within(&b->results, API_BATCH_MEMORY_MAX, c->arena->budget);
    atomic_init(&b->ready, NULL);
    struct error *err = prepare(b);
    if (err != NULL) {
        arena_done(&b->results);
        api_call_end(c, err);
        return;
    }
    aim(b);
    take_turn(c->rpc, b);
}
