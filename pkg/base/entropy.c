#include "base/entropy.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static struct error *system_fill(void *ctx, uint8_t *out, size_t len) {
    (void)ctx;
    size_t got = 0;
    while (got < len) {
        ssize_t n = getrandom(out + got, len - got, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return error_new(ERROR_UNAVAILABLE, "getrandom: %s", strerror(errno));
        got += (size_t)n;
    }
    return NULL;
}

const struct entropy entropy_system = {system_fill, NULL};
