#include "base/alloc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Per thread, so that a test that makes one thread's allocations fail leaves the others alone. */
static _Thread_local long budget = -1; /* allocations left before failing; negative: unlimited */
static _Thread_local long served;

static bool may_allocate(void) {
    if (budget == 0) return false;
    if (budget > 0) budget--;
    served++;
    return true;
}

void *alloc_zero(size_t count, size_t size) { return may_allocate() ? calloc(count, size) : NULL; }

void *alloc_resize(void *p, size_t size) { return may_allocate() ? realloc(p, size) : NULL; }

void *alloc_copy(const void *p, size_t len) {
    if (len == (size_t)-1 || !may_allocate()) return NULL;
    char *copy = malloc(len + 1);
    if (copy == NULL) return NULL;
    if (len > 0) memcpy(copy, p, len);
    copy[len] = '\0';
    return copy;
}

void alloc_free(void *p) { free(p); }

long alloc_fail_after(long n) {
    long was = served;
    served = 0;
    budget = n;
    return was;
}
