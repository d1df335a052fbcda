/*
 * buf: a growing octet string with a bound. Failure is sticky: once a write would pass the bound or
 * memory is out, later writes do nothing and buf_finish says so once. Not thread-safe: one owner.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"
#include "base/error.h"

struct arena;

struct buf {
    uint8_t *data; /* owned: heap, or borrowed from the arena of buf_init_arena */
    size_t len;
    size_t cap;
    size_t max;          /* len never passes it */
    struct arena *arena; /* NULL: heap */
    bool failed;
    bool over_max; /* failed because of `max`, not for want of memory */
};

/* buf_init starts an empty heap buffer of at most `max` octets; allocates nothing yet. */
void buf_init(struct buf *b, size_t max);

/* buf_init_arena does the same with memory of `arena`, which must outlive what is built. */
void buf_init_arena(struct buf *b, struct arena *arena, size_t max);

void buf_put(struct buf *b, struct bytes in);
void buf_put_text(struct buf *b, struct text in);
void buf_put_cstr(struct buf *b, const char *s);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16be(struct buf *b, uint16_t v);
void buf_put_u32be(struct buf *b, uint32_t v);
void buf_put_u64be(struct buf *b, uint64_t v);
void buf_put_dec(struct buf *b, uint64_t v); /* decimal, no leading zeros */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* buf_reserve makes room for `n` more octets and returns where they begin, or NULL (failed). The
 * caller writes up to `n` of them and says how many with buf_added. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);

/* buf_clear empties `b` and its failure, and keeps its memory. */
void buf_clear(struct buf *b);

/* buf_clear_to does the same, but frees the memory if that is more than `keep` octets: what is used
 * again and again would hold for ever what it once needed. Not for arena buffers. */
void buf_clear_to(struct buf *b, size_t keep);

/* buf_bytes views what was written; valid until the next write or buf_done. */
static inline struct bytes buf_bytes(const struct buf *b) {
    return (struct bytes){b->data, b->len};
}

/* buf_finish returns NULL if every write held, else RESOURCE_EXHAUSTED. `what` names the whole. */
MUST_USE struct error *buf_finish(const struct buf *b, const char *what);

/* buf_take returns the heap octets, now owned by the caller (alloc_free), and empties `b`. NULL if
 * nothing was written. Not for arena buffers. */
uint8_t *buf_take(struct buf *b);

/* buf_done frees; a zeroed buf is allowed. */
void buf_done(struct buf *b);

#endif
