/* Hashing and copying files of any size; a file that changes meanwhile is caught by its digest. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "instance/internal.h"

#define BLOCK ((size_t)256 << 10)

/* A secret may have passed through. */
static void block_freep(uint8_t **p) {
    if (*p != NULL) secret_wipe(*p, BLOCK);
    alloc_free(*p);
}

static struct error *write_block(int fd, const char *path, const uint8_t *data, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, data + at, len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_errno(n < 0 ? errno : EIO, "write", path);
        at += (size_t)n;
    }
    return NULL;
}

struct pipe_ends {
    int from, to; /* to < 0: only hashed */
    const char *from_path, *to_path;
};

static struct error *pump(const struct pipe_ends *ends, struct manifest_file *out) {
    CLEANUP(block_freep) uint8_t *block = alloc_zero(1, BLOCK);
    if (block == NULL) return error_nomem();
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    uint64_t size = 0;
    for (;;) {
        ssize_t n = read(ends->from, block, BLOCK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_errno(errno, "read", ends->from_path);
        if (n == 0) break;
        sha256_update(&ctx, (struct bytes){block, (size_t)n});
        size += (uint64_t)n;
        if (ends->to >= 0) TRY(write_block(ends->to, ends->to_path, block, (size_t)n));
    }
    out->size = size;
    out->sha256 = sha256_final(&ctx);
    return NULL;
}

static struct error *open_source(const char *path, int *out) {
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return file_errno(errno, "open", path);
    struct stat st;
    if (fstat(fd, &st) != 0) return file_errno(errno, "look at", path);
    if (!S_ISREG(st.st_mode)) return error_new(ERROR_INVALID_ARGUMENT, "%s is no file", path);
    *out = fd;
    fd = -1;
    return NULL;
}

struct error *copy_hash(const char *path, struct manifest_file *out) {
    CLEANUP(fd_closep) int from = -1;
    TRY(open_source(path, &from));
    return pump(&(struct pipe_ends){from, -1, path, NULL}, out);
}

struct error *copy_hashed(const char *from_path, const char *to_path, struct manifest_file *out) {
    CLEANUP(fd_closep) int from = -1;
    TRY(open_source(from_path, &from));
    CLEANUP(fd_closep)
    int to = open(to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0) return file_errno(errno, "make", to_path);
    TRY(pump(&(struct pipe_ends){from, to, from_path, to_path}, out));
    return fsync(to) == 0 ? NULL : file_errno(errno, "sync", to_path);
}
