/*
 * The memory form of kv, for tests: one skip list a family, of versions.
 *
 * A node is one version of one key: (key ascending, sequence descending). Nodes never change and
 * are never freed before the store is closed, so views into them hold, and a snapshot is just a
 * sequence number. Links change under the write lock and are followed under the read lock.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/reader.h"
#include "kv/kv.h"

#define LEVELS 16 /* of a skip list with one in four going up: good for 4^16 versions */
#define BATCH_MAX_OCTETS ((size_t)1 << 30)
#define SEQ_NEWEST UINT64_MAX

struct node {
    uint64_t seq;
    size_t key_len;
    size_t value_len;
    bool deleted;
    unsigned height;
    struct node *waiting; /* while a batch is being applied: the next of its nodes */
    enum kv_family family;
    struct node *next[]; /* `height` of them; then key, then value */
};

struct kv_mem {
    struct kv kv; /* first */
    pthread_rwlock_t lock;
    struct node *heads[KV_FAMILY_COUNT]; /* guarded by: lock */
    uint64_t seq;                        /* guarded by: lock; of the newest version */
    uint64_t octets;                     /* guarded by: lock */
    uint64_t dice;                       /* guarded by: lock; for heights */
    long fail_after;                     /* guarded by: lock; writes until failing; < 0: never */
    bool fail_applied;                   /* guarded by: lock */
    bool failed;                         /* guarded by: lock */
};

struct kv_batch {
    struct buf ops; /* each: family, deleted (octets), lengths (u64be), key, value */
};

struct kv_snapshot {
    uint64_t seq;
};

struct kv_iter {
    struct kv_mem *mem;
    uint64_t seq;
    enum kv_family family;
    const struct node *at; /* NULL before the first */
    bool ended;
    size_t lower_len, upper_len;
    uint8_t bounds[];
};

static const struct kv_ops kv_mem_ops;

static struct kv_mem *mem_of(struct kv *kv) {
    ASSERT(kv->ops == &kv_mem_ops);
    return (struct kv_mem *)kv;
}

static void lock_read(struct kv_mem *m) { ASSERT(pthread_rwlock_rdlock(&m->lock) == 0); }
static void lock_write(struct kv_mem *m) { ASSERT(pthread_rwlock_wrlock(&m->lock) == 0); }
static void unlock(struct kv_mem *m) { ASSERT(pthread_rwlock_unlock(&m->lock) == 0); }

/* --- the list */

static size_t links_size(unsigned height) { return height * sizeof(struct node *); }

static uint8_t *node_octets(const struct node *n) {
    return (uint8_t *)n + sizeof *n + links_size(n->height);
}

static struct bytes node_key(const struct node *n) {
    return (struct bytes){node_octets(n), n->key_len};
}

static struct bytes node_value(const struct node *n) {
    return (struct bytes){node_octets(n) + n->key_len, n->value_len};
}

static struct node *node_new(unsigned height, struct bytes key, struct bytes value) {
    size_t size = sizeof(struct node) + links_size(height) + key.len + value.len;
    struct node *n = alloc_zero(1, size);
    if (n == NULL) return NULL;
    n->height = height;
    n->key_len = key.len;
    n->value_len = value.len;
    if (key.len > 0) memcpy(node_octets(n), key.data, key.len);
    if (value.len > 0) memcpy(node_octets(n) + key.len, value.data, value.len);
    return n;
}

/* before says whether `n` stands before the place of (key, seq). */
static bool before(const struct node *n, struct bytes key, uint64_t seq) {
    int c = bytes_compare(node_key(n), key);
    return c < 0 || (c == 0 && n->seq > seq);
}

/* find_place gives the last node before (key, seq) of every level, and returns the one behind. */
static struct node *find_place(struct node *head, struct bytes key, uint64_t seq,
                               struct node *out_before[LEVELS]) {
    struct node *n = head;
    for (unsigned level = LEVELS; level-- > 0;) {
        while (n->next[level] != NULL && before(n->next[level], key, seq)) n = n->next[level];
        if (out_before != NULL) out_before[level] = n;
    }
    return n->next[0];
}

static unsigned throw_height(struct kv_mem *m) {
    unsigned height = 1;
    m->dice ^= m->dice << 13; /* xorshift64 */
    m->dice ^= m->dice >> 7;
    m->dice ^= m->dice << 17;
    for (uint64_t bits = m->dice; height < LEVELS && (bits & 3) == 0; bits >>= 2) height++;
    return height;
}

static void insert(struct kv_mem *m, struct node *n) {
    struct node *prev[LEVELS];
    (void)find_place(m->heads[n->family], node_key(n), n->seq, prev);
    for (unsigned level = 0; level < n->height; level++) {
        n->next[level] = prev[level]->next[level];
        prev[level]->next[level] = n;
    }
    m->octets += n->key_len + n->value_len;
}

/* visible returns the version of n's key that `seq` sees, or NULL; `n` is its newest version. */
static const struct node *visible(const struct node *n, uint64_t seq) {
    struct bytes key = node_key(n);
    for (; n != NULL && bytes_equal(node_key(n), key); n = n->next[0]) {
        if (n->seq <= seq) return n->deleted ? NULL : n;
    }
    return NULL;
}

/* --- reading */

static struct error *mem_get(struct kv *kv, const struct kv_snapshot *snap, enum kv_family family,
                             struct bytes key, struct arena *arena, bool *found,
                             struct bytes *out) {
    struct kv_mem *m = mem_of(kv);
    lock_read(m);
    const struct node *n =
        find_place(m->heads[family], key, snap == NULL ? SEQ_NEWEST : snap->seq, NULL);
    bool there = n != NULL && bytes_equal(node_key(n), key) && !n->deleted;
    unlock(m);
    *found = there;
    if (!there) return NULL;
    struct bytes copy = arena_copy(arena, node_value(n));
    if (copy.data == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a stored value");
    *out = copy;
    return NULL;
}

static uint64_t newest(struct kv_mem *m) {
    lock_read(m);
    uint64_t seq = m->seq;
    unlock(m);
    return seq;
}

static struct error *mem_iter_new(struct kv *kv, const struct kv_snapshot *snap,
                                  enum kv_family family, struct bytes lower, struct bytes upper,
                                  struct kv_iter **out) {
    struct kv_iter *it = alloc_zero(1, sizeof *it + lower.len + upper.len);
    if (it == NULL) return error_nomem();
    it->mem = mem_of(kv);
    it->family = family;
    it->lower_len = lower.len;
    it->upper_len = upper.len;
    if (lower.len > 0) memcpy(it->bounds, lower.data, lower.len);
    if (upper.len > 0) memcpy(it->bounds + lower.len, upper.data, upper.len);
    it->seq = snap == NULL ? newest(it->mem) : snap->seq;
    *out = it;
    return NULL;
}

/* next_key returns the first version of the key behind that of `n`. */
static const struct node *next_key(const struct node *n) {
    struct bytes key = node_key(n);
    do {
        n = n->next[0];
    } while (n != NULL && bytes_equal(node_key(n), key));
    return n;
}

static const struct node *iter_step(const struct kv_iter *it) {
    struct bytes lower = {it->bounds, it->lower_len};
    const struct node *n = it->at == NULL
                               ? find_place(it->mem->heads[it->family], lower, SEQ_NEWEST, NULL)
                               : next_key(it->at);
    const struct node *seen = NULL;
    for (; n != NULL && seen == NULL; n = next_key(n)) seen = visible(n, it->seq);
    return seen;
}

static bool mem_iter_next(struct kv_iter *it, struct bytes *key, struct bytes *value) {
    if (it->ended) return false;
    lock_read(it->mem);
    const struct node *n = iter_step(it);
    unlock(it->mem);
    struct bytes upper = {it->bounds + it->lower_len, it->upper_len};
    it->ended = n == NULL || (upper.len > 0 && bytes_compare(node_key(n), upper) >= 0);
    if (it->ended) return false;
    it->at = n;
    *key = node_key(n);
    *value = node_value(n);
    return true;
}

static struct error *mem_iter_error(struct kv_iter *it) {
    (void)it; /* memory does not fail */
    return NULL;
}

static void mem_iter_free(struct kv_iter *it) { alloc_free(it); }

static struct kv_snapshot *mem_snapshot_new(struct kv *kv) {
    struct kv_snapshot *s = alloc_zero(1, sizeof *s);
    if (s != NULL) s->seq = newest(mem_of(kv));
    return s;
}

static void mem_snapshot_free(struct kv *kv, struct kv_snapshot *snap) {
    (void)kv;
    alloc_free(snap);
}

/* --- writing */

static struct kv_batch *mem_batch_new(struct kv *kv) {
    (void)kv;
    struct kv_batch *b = alloc_zero(1, sizeof *b);
    if (b != NULL) buf_init(&b->ops, BATCH_MAX_OCTETS);
    return b;
}

static void batch_op(struct kv_batch *b, enum kv_family family, bool deleted, struct bytes key,
                     struct bytes value) {
    buf_put_u8(&b->ops, (uint8_t)family);
    buf_put_u8(&b->ops, deleted);
    buf_put_u64be(&b->ops, key.len);
    buf_put_u64be(&b->ops, value.len);
    buf_put(&b->ops, key);
    buf_put(&b->ops, value);
}

static void mem_batch_put(struct kv_batch *b, enum kv_family family, struct bytes key,
                          struct bytes value) {
    batch_op(b, family, false, key, value);
}

static void mem_batch_delete(struct kv_batch *b, enum kv_family family, struct bytes key) {
    batch_op(b, family, true, key, (struct bytes){0});
}

static void mem_batch_clear(struct kv_batch *b) { buf_clear(&b->ops); }

static void mem_batch_free(struct kv_batch *b) {
    buf_done(&b->ops);
    alloc_free(b);
}

static void free_waiting(struct node *n) {
    while (n != NULL) {
        struct node *next = n->waiting;
        alloc_free(n);
        n = next;
    }
}

/* make_nodes makes all nodes of the batch before the first is linked, so that a batch is applied
 * wholly or, for want of memory, not at all. */
static struct error *make_nodes(struct kv_mem *m, const struct kv_batch *b, struct node **out) {
    struct reader r = reader_of(buf_bytes(&b->ops));
    struct node *first = NULL;
    struct node **last = &first;
    while (r.rest.len > 0) {
        enum kv_family family = reader_u8(&r, "family");
        bool deleted = reader_u8(&r, "kind") != 0;
        uint64_t key_len = reader_u64be(&r, "key length");
        uint64_t value_len = reader_u64be(&r, "value length");
        struct bytes key = reader_take(&r, key_len, "key");
        struct bytes value = reader_take(&r, value_len, "value");
        ASSERT(r.failed == NULL && family < KV_FAMILY_COUNT);
        struct node *n = node_new(throw_height(m), key, value);
        if (n == NULL) {
            free_waiting(first);
            return error_nomem();
        }
        n->family = family;
        n->deleted = deleted;
        *last = n;
        last = &n->waiting;
    }
    *out = first;
    return NULL;
}

static struct error *apply(struct kv_mem *m, const struct kv_batch *b) {
    struct node *first = NULL;
    TRY(make_nodes(m, b, &first));
    for (struct node *n = first; n != NULL; n = n->waiting) {
        n->seq = ++m->seq; /* a later operation of the batch on the same key wins */
        insert(m, n);
    }
    return NULL;
}

static struct error *write_locked(struct kv_mem *m, const struct kv_batch *b) {
    if (m->failed) return error_new(ERROR_UNAVAILABLE, "an earlier write failed");
    if (m->fail_after != 0) {
        if (m->fail_after > 0) m->fail_after--;
        return apply(m, b);
    }
    m->failed = true;
    if (m->fail_applied) TRY(apply(m, b));
    return error_new(ERROR_UNAVAILABLE, "the write failed");
}

static struct error *mem_write(struct kv *kv, struct kv_batch *b) {
    struct kv_mem *m = mem_of(kv);
    TRY(buf_finish(&b->ops, "write batch"));
    lock_write(m);
    struct error *err = write_locked(m, b);
    unlock(m);
    return err;
}

void kv_mem_fail(struct kv *kv, long n, bool applied) {
    struct kv_mem *m = mem_of(kv);
    lock_write(m);
    m->fail_after = n;
    m->fail_applied = applied;
    m->failed = false;
    unlock(m);
}

/* --- the whole */

static struct error *mem_checkpoint(struct kv *kv, const char *dir) {
    (void)kv;
    return error_new(ERROR_UNIMPLEMENTED, "a store in memory is not copied to %s", dir);
}

static struct error *mem_flush(struct kv *kv) {
    (void)kv; /* nothing stands behind memory */
    return NULL;
}

static uint64_t mem_size(struct kv *kv) {
    struct kv_mem *m = mem_of(kv);
    lock_read(m);
    uint64_t octets = m->octets;
    unlock(m);
    return octets;
}

static void mem_close(struct kv *kv) {
    struct kv_mem *m = mem_of(kv);
    for (int i = 0; i < KV_FAMILY_COUNT; i++) {
        for (struct node *n = m->heads[i]; n != NULL;) {
            struct node *next = n->next[0];
            alloc_free(n);
            n = next;
        }
    }
    (void)pthread_rwlock_destroy(&m->lock); /* nobody holds it: the caller closes last */
    alloc_free(m);
}

static const struct kv_ops kv_mem_ops = {
    .get = mem_get,
    .batch_new = mem_batch_new,
    .batch_put = mem_batch_put,
    .batch_delete = mem_batch_delete,
    .batch_clear = mem_batch_clear,
    .batch_free = mem_batch_free,
    .write = mem_write,
    .iter_new = mem_iter_new,
    .iter_next = mem_iter_next,
    .iter_error = mem_iter_error,
    .iter_free = mem_iter_free,
    .snapshot_new = mem_snapshot_new,
    .snapshot_free = mem_snapshot_free,
    .checkpoint = mem_checkpoint,
    .flush = mem_flush,
    .size_octets = mem_size,
    .close = mem_close,
};

struct error *kv_mem_new(struct kv **out) {
    struct kv_mem *m = alloc_zero(1, sizeof *m);
    if (m == NULL) return error_nomem();
    m->kv.ops = &kv_mem_ops;
    m->dice = UINT64_C(0x9e3779b97f4a7c15);
    m->fail_after = -1;
    ASSERT(pthread_rwlock_init(&m->lock, NULL) == 0); /* fails only for want of kernel memory */
    for (int i = 0; i < KV_FAMILY_COUNT; i++) {
        m->heads[i] = node_new(LEVELS, (struct bytes){0}, (struct bytes){0});
        if (m->heads[i] == NULL) {
            mem_close(&m->kv);
            return error_nomem();
        }
    }
    *out = &m->kv;
    return NULL;
}
