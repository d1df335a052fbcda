/*
 * json: a strict, bounded reader into an arena tree (RFC 8259; I-JSON where it is stricter), a
 * writer, and the canonical form (RFC 8785). Pure. Thread-safe.
 *
 * Refused: duplicate names in an object (compared after unescaping), anything but one value,
 * invalid UTF-8, lone surrogates, a byte-order mark, integers outside 64 bits, depth or size over
 * the limits.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

enum json_type {
    JSON_NULL = 0,
    JSON_BOOL,
    JSON_INT,  /* an integer literal within int64 */
    JSON_UINT, /* an integer literal above int64, within uint64 */
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* A value borrows everything from the arena that it was read into. Strings are octets: valid
 * UTF-8, unescaped, and may hold NUL. */
struct json_value {
    enum json_type type;
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_integer;
        double number;
        struct bytes string;
        struct {
            const struct json_value *items;
            size_t count;
        } array;
        struct {
            const struct json_member *members; /* in the order of the text */
            size_t count;
        } object;
    };
};

struct json_member {
    struct bytes name;
    struct json_value value;
};

struct json_limits {
    size_t depth_max;  /* nesting of arrays and objects; 64 by default: stack exhaustion */
    size_t octets_max; /* of the text: memory */
};

/* No reader in the program builds a deeper tree, and no limit may be set above it: walks over trees
 * may recurse. */
#define JSON_DEPTH_CAP ((size_t)512)

#define JSON_LIMITS_DEFAULT ((struct json_limits){.depth_max = 64, .octets_max = (size_t)4 << 20})

/* json_parse reads the one value in `text` into `arena`. The tree does not borrow from `text`. Each
 * thread keeps up to 1 MiB for the next call; no result depends on it.
 * Errors: INVALID_ARGUMENT with what is wrong; RESOURCE_EXHAUSTED if the arena or memory is full.
 */
MUST_USE struct error *json_parse(struct arena *arena, struct bytes text,
                                  const struct json_limits *limits, struct json_value *out);

/* json_get returns the member `name` of `object`, or NULL if there is none or it is no object. */
const struct json_value *json_get(const struct json_value *object, const char *name);

/* json_at follows a dotted path ("runDetails.builder.id"; a number indexes an array), or NULL.
 * Names that hold a dot cannot be reached. */
const struct json_value *json_at(const struct json_value *root, struct bytes path);

/* json_string returns the string of `v`, or the empty view if `v` is NULL or no string. */
struct bytes json_string(const struct json_value *v);

/* json_copy copies `v`, and all that it borrows, into `arena`. Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *json_copy(struct arena *arena, const struct json_value *v,
                                 struct json_value *out);

/* Values made in code; they borrow what they are given. */
static inline struct json_value json_of_string(struct bytes utf8) {
    return (struct json_value){.type = JSON_STRING, .string = utf8};
}
static inline struct json_value json_of_int(int64_t v) {
    return (struct json_value){.type = JSON_INT, .integer = v};
}
static inline struct json_value json_of_bool(bool v) {
    return (struct json_value){.type = JSON_BOOL, .boolean = v};
}
static inline struct json_value json_of_array(const struct json_value *items, size_t count) {
    return (struct json_value){.type = JSON_ARRAY, .array = {items, count}};
}
static inline struct json_value json_of_object(const struct json_member *members, size_t count) {
    return (struct json_value){.type = JSON_OBJECT, .object = {members, count}};
}

/* json_u64 reads a non-negative integer, given as a number or (canonical protobuf) as a decimal
 * string. */
MUST_USE bool json_u64(const struct json_value *v, uint64_t *out);

/* --- writing. A writer puts commas and colons; it borrows `out`. Failure is the buf's. */
struct json_writer {
    struct buf *out;
    bool comma; /* the next value in this container needs one */
};

static inline struct json_writer json_writer_of(struct buf *out) {
    return (struct json_writer){.out = out, .comma = false};
}
void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *name);         /* a literal that needs no escape */
void json_key_bytes(struct json_writer *w, struct bytes name);  /* escaped */
void json_put_string(struct json_writer *w, struct bytes utf8); /* RFC 8785 escapes */
void json_put_cstr(struct json_writer *w, const char *s);
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
void json_put_int(struct json_writer *w, int64_t v);
void json_put_uint(struct json_writer *w, uint64_t v);
void json_put_u64_string(struct json_writer *w, uint64_t v); /* "123": protobuf's 64-bit form */
void json_put_double(struct json_writer *w, double v); /* ECMAScript's shortest; finite only */
void json_put_base64(struct json_writer *w, struct bytes in); /* standard, padded, quoted */
void json_put_hex(struct json_writer *w, struct bytes in);    /* lower-case, quoted */
void json_put_raw(struct json_writer *w, struct bytes json);  /* one value, spliced as it is */
void json_put_value(struct json_writer *w, const struct json_value *v); /* in the tree's order */

/* json_put_jcs writes `v` in the canonical form: members sorted by UTF-16 code units, numbers as
 * ECMAScript writes them, no white space.
 * Integers beyond 2^53 are written with all their digits: RFC 8785 sends numbers through a double,
 * and we must not lose digits of what is hashed. A double from 2^64 up to 1e21 is written as the
 * integer that ECMAScript writes, which json_parse refuses: see json_double_is_readable.
 * Implements: RFC 8785. */
void json_put_jcs(struct json_writer *w, const struct json_value *v);

/* json_double_is_readable says whether `v` is finite and what json_put_double writes for it can be
 * read back by json_parse. */
bool json_double_is_readable(double v);

/* json_put_jcs_with writes `object` (NULL: an empty one) in the canonical form with one member
 * more, which it must not have already. */
void json_put_jcs_with(struct json_writer *w, const struct json_value *object,
                       const struct json_member *extra);

#endif
