/*
 * preload.so: a disk that fails on demand, for a server that does not know it. FAULT_TRIGGER names
 * a file; while it is there, the next matching call fails once and removes it. It holds one line:
 *
 *   sync PART    the next fsync or fdatasync of a file whose path holds PART gives EIO, having
 *                synced or not: nobody can tell
 *   write PART   the next write to such a file writes the half; the one behind it gives ENOSPC
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int take_trigger(const char *kind, int fd) {
    const char *trigger = getenv("FAULT_TRIGGER");
    char line[256] = "", path[4096], link[64];
    if (trigger == NULL || access(trigger, F_OK) != 0) return 0;
    FILE *f = fopen(trigger, "r");
    if (f == NULL) return 0;
    char *got = fgets(line, sizeof line, f);
    (void)fclose(f);
    size_t kind_len = strlen(kind);
    if (got == NULL || strncmp(line, kind, kind_len) != 0 || line[kind_len] != ' ') return 0;
    char *part = line + kind_len + 1;
    part[strcspn(part, "\n")] = '\0';
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = '\0';
    return strstr(path, part) != NULL && unlink(trigger) == 0;
}

int fsync(int fd);
int fsync(int fd) {
    static int (*real)(int);
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (!take_trigger("sync", fd)) return real(fd);
    errno = EIO;
    return -1;
}

int fdatasync(int fd);
int fdatasync(int fd) {
    static int (*real)(int);
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (!take_trigger("sync", fd)) return real(fd);
    (void)real(fd);
    errno = EIO;
    return -1;
}

static ssize_t (*real_write)(int, const void *, size_t);

ssize_t write(int fd, const void *octets, size_t len) {
    static __thread int torn = -1; /* the descriptor whose next write finds the disk full */
    if (real_write == NULL)
        real_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (torn == fd) {
        torn = -1;
        errno = ENOSPC;
        return -1;
    }
    if (len < 2 || !take_trigger("write", fd)) return real_write(fd, octets, len);
    torn = fd;
    return real_write(fd, octets, len / 2);
}
