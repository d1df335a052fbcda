#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_fail(const char *expr, const char *file, int line) {
    (void)fprintf(stderr, "attestd: assertion failed: %s (%s:%d)\n", expr, file, line);
    abort();
}
