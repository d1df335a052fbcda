/* codec: hexadecimal, base64, RFC 3339 time and protobuf varints. Pure. Decoders are strict: one
 * text for one value, or the caller's bytes are refused. */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

struct arena;

/* hex_put appends `in` as lower-case hexadecimal. */
void hex_put(struct buf *out, struct bytes in);

/* hex_decode reads exactly `len` octets from 2 * len lower-case digits. False, and `out` not
 * meaningful, where `in` is anything else. */
MUST_USE bool hex_decode(struct bytes in, uint8_t *out, size_t len);

/* hex_is_lower says whether `in` is a non-empty, even number of lower-case hexadecimal digits. */
bool hex_is_lower(struct bytes in);

/* base64_put appends `in` in standard base64 with padding (RFC 4648, 4). */
void base64_put(struct buf *out, struct bytes in);

/* base64_len is the length of the padded base64 of `len` octets. */
static inline size_t base64_len(size_t len) { return (len + 2) / 3 * 4; }

enum base64_form {
    BASE64_STANDARD, /* padded, standard alphabet; unused bits zero: one text for one value */
    BASE64_ANY,      /* standard or URL-safe alphabet, padding optional (DSSE, protobuf JSON) */
};

/* base64_decode reads `in` into memory of `arena`. Errors: INVALID_ARGUMENT if `in` is not of
 * `form`; RESOURCE_EXHAUSTED if the arena is full. */
MUST_USE struct error *base64_decode(struct arena *arena, struct bytes in, enum base64_form form,
                                     struct bytes *out);

/* time_put appends `unix_ms` as RFC 3339 UTC with "Z"; milliseconds are written only where they
 * are not zero. Years 1 to 9999; anything else writes the nearest bound. */
void time_put(struct buf *out, int64_t unix_ms);

/* time_put_nanos is the same with nanoseconds, in 0, 3, 6 or 9 digits (protobuf's JSON form). */
void time_put_nanos(struct buf *out, int64_t unix_seconds, int32_t nanos);

/* time_parse reads RFC 3339 with "Z" or an offset and at most 9 fraction digits. False, and
 * nothing written, where it is malformed or outside years 1 to 9999. */
MUST_USE bool time_parse(struct bytes in, int64_t *out_unix_seconds, int32_t *out_nanos);

/* duration_parse reads "30d", "12h", "5m", "10s", "250ms" (one number, one unit) into
 * milliseconds; false where it is anything else or over 100 years. */
MUST_USE bool duration_parse(struct bytes in, int64_t *out_ms);

/* varint_put appends `v` as a protobuf base-128 varint. */
void varint_put(struct buf *out, uint64_t v);

/* varint_get takes a varint off the front of `*in`. False where it is cut short or over 64 bits. */
MUST_USE bool varint_get(struct bytes *in, uint64_t *out);

#endif
