/* alloc: the program's only caller of malloc, so that tests can make the n-th allocation fail. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* alloc_zero returns `count` zeroed objects of `size` bytes, or NULL. The caller owns them. */
void *alloc_zero(size_t count, size_t size) __attribute__((__malloc__));

/* alloc_resize grows or shrinks `p` (NULL: a new block) to `size` > 0 bytes; new bytes are not
 * set. Returns NULL and leaves `p` as it was when memory is out. */
void *alloc_resize(void *p, size_t size) __attribute__((__warn_unused_result__));

/* alloc_copy returns an owned copy of `len` bytes at `p` with a NUL behind it, or NULL. */
void *alloc_copy(const void *p, size_t len) __attribute__((__malloc__));

void alloc_free(void *p);

/* alloc_fail_after makes the allocation after `n` further ones, and all later ones, of the calling
 * thread fail. A negative `n` turns failing off. Tests only; returns how many of this thread
 * succeeded since its last call. */
long alloc_fail_after(long n);

#endif
