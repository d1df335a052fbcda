/* bytes: borrowed, immutable views. A view never owns; who owns the octets is said where a view
 * is stored. {NULL, 0} is the empty view and is valid everywhere. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t len; /* in octets */
};

/* struct text is a view that is known to be valid UTF-8 without NUL. Only what has been checked
 * is a text: the wire check, text_of_bytes and literals make them. */
struct text {
    const char *data;
    size_t len; /* in octets */
};

#define BYTES_LIT(s) ((struct bytes){(const uint8_t *)("" s), sizeof(s) - 1})
#define TEXT_LIT(s) ((struct text){("" s), sizeof(s) - 1})

/* BYTES_FMT and BYTES_ARG print a view (bytes or text) that is known to hold text, cut at 256
 * octets. */
#define BYTES_FMT "%.*s"
#define BYTES_ARG(b) (int)((b).len > 256 ? 256 : (b).len), (const char *)(b).data

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* bytes_compare orders as memcmp does, a prefix before what it begins. */
static inline int bytes_compare(struct bytes a, struct bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.data, b.data, n);
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool bytes_start_with(struct bytes b, struct bytes prefix) {
    return b.len >= prefix.len && (prefix.len == 0 || memcmp(b.data, prefix.data, prefix.len) == 0);
}

/* bytes_equal_nocase and bytes_start_with_nocase compare ASCII without regard to case; `lower` is
 * lower-case. */
bool bytes_equal_nocase(struct bytes b, const char *lower);
bool bytes_start_with_nocase(struct bytes b, const char *lower);

static inline struct bytes bytes_of_text(struct text t) {
    return (struct bytes){(const uint8_t *)t.data, t.len};
}

static inline bool text_equal(struct text a, struct text b) {
    return bytes_equal(bytes_of_text(a), bytes_of_text(b));
}

/* bytes_of_cstr and text_of_cstr view a NUL-terminated string without its NUL; the text form is
 * for literals and checked paths alone. */
static inline struct bytes bytes_of_cstr(const char *s) {
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}
static inline struct text text_of_cstr(const char *s) { return (struct text){s, strlen(s)}; }

/* bytes_are_utf8 says whether `b` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms).
 * NUL is valid UTF-8: text_of_bytes refuses it. */
bool bytes_are_utf8(struct bytes b);

/* text_of_bytes views `b` as text. False, and `*out` untouched, where it is not UTF-8 or holds
 * a NUL. */
bool text_of_bytes(struct bytes b, struct text *out);

#endif
