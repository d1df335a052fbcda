/* One row a principal that ever submitted in this process, in an open table by hash of the name.
 * The number of principals is bounded by the number of tokens, so the table is too. */
#include "base/alloc.h"
#include "codec/codec.h"
#include "service/internal.h"

#define DAY_MS INT64_C(86400000)

#define ROWS_FIRST ((size_t)64)

struct quota_row {
    char *name; /* owned; NULL: free */
    size_t name_len;
    uint64_t second; /* by clock_mono_us */
    uint64_t in_second;
    int64_t day; /* since 1970, UTC */
    uint64_t octets_in_day;
};

struct quota {
    pthread_mutex_t lock; /* guards all below; held for a look-up */
    uint64_t per_second, octets_day;
    struct quota_row *rows;
    size_t size; /* a power of two */
    size_t used;
};

struct error *quota_new(uint64_t per_second, uint64_t octets_day, struct quota **out) {
    struct quota *q = alloc_zero(1, sizeof *q);
    if (q == NULL) return error_nomem();
    q->rows = alloc_zero(ROWS_FIRST, sizeof *q->rows);
    if (q->rows == NULL) {
        alloc_free(q);
        return error_nomem();
    }
    (void)pthread_mutex_init(&q->lock, NULL);
    q->per_second = per_second;
    q->octets_day = octets_day;
    q->size = ROWS_FIRST;
    *out = q;
    return NULL;
}

void quota_free(struct quota *q) {
    if (q == NULL) return;
    for (size_t i = 0; i < q->size; i++) alloc_free(q->rows[i].name);
    (void)pthread_mutex_destroy(&q->lock);
    alloc_free(q->rows);
    alloc_free(q);
}

/* FNV-1a: the names are those of tokens, which an administrator chose; not a hostile input. */
static size_t slot_of(const struct quota_row *rows, size_t size, struct text name) {
    uint64_t h = 0xCBF29CE484222325U;
    for (size_t i = 0; i < name.len; i++) h = (h ^ (uint8_t)name.data[i]) * 0x100000001B3U;
    size_t i = (size_t)h & (size - 1);
    while (rows[i].name != NULL && !text_equal((struct text){rows[i].name, rows[i].name_len}, name))
        i = (i + 1) & (size - 1);
    return i;
}

static bool grow(struct quota *q) {
    size_t size = q->size * 2;
    struct quota_row *rows = alloc_zero(size, sizeof *rows);
    if (rows == NULL) return false;
    for (size_t i = 0; i < q->size; i++) {
        if (q->rows[i].name == NULL) continue;
        struct text name = {q->rows[i].name, q->rows[i].name_len};
        rows[slot_of(rows, size, name)] = q->rows[i];
    }
    alloc_free(q->rows);
    q->rows = rows;
    q->size = size;
    return true;
}

/* The row of `name`, made if need be; NULL when memory is out. */
static struct quota_row *row_of(struct quota *q, struct text name) {
    size_t i = slot_of(q->rows, q->size, name);
    if (q->rows[i].name != NULL) return &q->rows[i];
    if (q->used * 2 >= q->size) {
        if (!grow(q)) return NULL;
        i = slot_of(q->rows, q->size, name);
    }
    q->rows[i].name = alloc_copy(name.data, name.len);
    if (q->rows[i].name == NULL) return NULL;
    q->rows[i].name_len = name.len;
    q->used++;
    return &q->rows[i];
}

static struct error *charge(struct quota *q, struct quota_row *row, const struct clock *clock,
                            uint64_t octets) {
    uint64_t second = clock_mono_us(clock) / 1000000;
    int64_t now_ms = clock_unix_ms(clock);
    int64_t day = now_ms / DAY_MS;
    if (row->second != second) {
        row->second = second;
        row->in_second = 0;
    }
    if (row->day != day) {
        row->day = day;
        row->octets_in_day = 0;
    }
    if (row->in_second >= q->per_second)
        return error_reason_new(REASON_QUOTA_EXCEEDED, "%llu submissions in this second",
                                (unsigned long long)row->in_second);
    if (octets > q->octets_day - row->octets_in_day)
        return error_retry_after(error_reason_new(REASON_QUOTA_EXCEEDED, "%llu octets today (UTC)",
                                                  (unsigned long long)row->octets_in_day),
                                 (uint32_t)((day + 1) * DAY_MS - now_ms));
    row->in_second++;
    row->octets_in_day += octets;
    return NULL;
}

struct error *quota_charge(struct quota *q, const struct clock *clock, struct text principal,
                           uint64_t octets) {
    (void)pthread_mutex_lock(&q->lock);
    struct quota_row *row = row_of(q, principal);
    struct error *err = row == NULL ? error_nomem() : charge(q, row, clock, octets);
    (void)pthread_mutex_unlock(&q->lock);
    return err;
}
