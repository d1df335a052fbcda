/*
 * reader: reads a view front to back. The first failed read makes the reader fail for good; from
 * then on every read gives zero or the empty view, so a parser reads like the grammar it
 * implements and asks once, at the end, whether all of it held (reader_finish).
 */
#ifndef BASE_READER_H
#define BASE_READER_H

#include "base/bytes.h"
#include "base/error.h"

struct reader {
    struct bytes rest;
    const char *failed; /* what was expected at the first failure; NULL while sound */
};

static inline struct reader reader_of(struct bytes in) { return (struct reader){.rest = in}; }

/* reader_fail makes the reader fail for good: for a caller's own rule about what it read. */
void reader_fail(struct reader *r, const char *what);

/* reader_take takes exactly `n` octets. */
struct bytes reader_take(struct reader *r, size_t n, const char *what);

uint8_t reader_u8(struct reader *r, const char *what);
uint16_t reader_u16be(struct reader *r, const char *what);
uint32_t reader_u32be(struct reader *r, const char *what);
uint64_t reader_u64be(struct reader *r, const char *what);

/* reader_expect takes exactly the octets of `want`. */
void reader_expect(struct reader *r, struct bytes want, const char *what);

/* reader_until takes up to the octet `stop` (not included, and consumed). Fails if there is none.
 */
struct bytes reader_until(struct reader *r, uint8_t stop, const char *what);

/* reader_line takes up to the next '\n' (not included, and consumed). Fails if there is none. */
struct bytes reader_line(struct reader *r, const char *what);

/* reader_u64_line takes a decimal number: no sign, no leading zero, no overflow, the whole line. */
uint64_t reader_u64_line(struct reader *r, const char *what);

/* reader_finish returns NULL if every read held and nothing is left over, else
 * INVALID_ARGUMENT. `what` names the whole, for the message. */
MUST_USE struct error *reader_finish(const struct reader *r, const char *what);

/* bytes_to_u64 reads all of `in` as a decimal number as reader_u64_line does; false, and `*out`
 * untouched, if it is none. */
MUST_USE bool bytes_to_u64(struct bytes in, uint64_t *out);

#endif
