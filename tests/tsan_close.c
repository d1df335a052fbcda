/* Linked into every program of `make SAN=thread`: lets ThreadSanitizer see libuv close descriptors.
 * libuv closes its own (a loop's epoll and eventfd) by syscall(SYS_close), which no interceptor
 * sees. The next socket that gets the number then looks like a race with whoever used it before.
 * Here such a close goes through close(), as it does by libuv's own hand where clang builds it; all
 * other calls are handed on. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long syscall_fn(long number, ...);

static syscall_fn *next_syscall(void) {
    static syscall_fn *_Atomic found;
    syscall_fn *fn = atomic_load(&found);
    if (fn == NULL) {
        fn = (syscall_fn *)dlsym(RTLD_NEXT, "syscall");
        if (fn == NULL) abort(); /* libc without it */
        atomic_store(&found, fn);
    }
    return fn;
}

long syscall(long number, ...) {
    long a[6]; /* as many as a system call can have; those that were not given are not looked at */
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_close) return close((int)a[0]);
    return next_syscall()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
