/* Files of the person who runs the command. What must survive a crash goes through file/. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "client/internal.h"
#include "file/file.h"

#define CHUNK_OCTETS ((size_t)1 << 20)

static void close_fdp(int *fd) {
    if (*fd > STDIN_FILENO) (void)close(*fd);
}
static void buf_donep(struct buf **b) { buf_done(*b); }

bool path_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool path_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static struct error *read_all(int fd, const char *path, size_t max, struct buf *out) {
    while (out->len <= max) {
        uint8_t *room = buf_reserve(out, CHUNK_OCTETS);
        if (room == NULL) return buf_finish(out, path);
        ssize_t n = read(fd, room, CHUNK_OCTETS);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_errno(errno, "read", path);
        if (n == 0) return NULL;
        buf_added(out, (size_t)n);
    }
    return error_new(ERROR_RESOURCE_EXHAUSTED, "%s: larger than %zu octets", path, max);
}

/* Not file_read_given: pipes and standard input are files to a shell. */
struct error *cli_read_file(struct arena *arena, const char *path, size_t max, struct bytes *out) {
    struct buf b;
    CLEANUP(buf_donep) struct buf *octets = &b;
    bool standard_input = strcmp(path, "-") == 0;
    buf_init(octets, max + 2 * CHUNK_OCTETS);
    CLEANUP(close_fdp) int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return file_errno(errno, "open", path);
    TRY(read_all(fd, path, max, octets));
    struct bytes copy = arena_copy(arena, buf_bytes(octets));
    if (copy.data == NULL) return error_nomem();
    *out = copy;
    return NULL;
}

/* A pipe or device is written to; renaming over it would destroy it. */
static struct error *write_through(const char *path, struct bytes octets) {
    CLEANUP(close_fdp) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return file_errno(errno, "open", path);
    while (octets.len > 0) {
        ssize_t n = write(fd, octets.data, octets.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_errno(errno, "write", path);
        octets = (struct bytes){octets.data + n, octets.len - (size_t)n};
    }
    return NULL;
}

/* A stop (Ctrl-C) while a file is written waits until it is whole, so that no part of it, perhaps
 * of a secret, is left under another name. */
static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
#define STOPS (sizeof stops / sizeof *stops)
static volatile sig_atomic_t stop_held;

static void hold_stop(int signum) { stop_held = signum; }

static struct error *write_whole(const char *path, struct bytes octets, mode_t mode,
                                 enum file_over over) {
    struct sigaction before[STOPS];
    const struct sigaction hold = {.sa_handler = hold_stop, .sa_flags = SA_RESTART};
    stop_held = 0;
    for (size_t i = 0; i < STOPS; i++) (void)sigaction(stops[i], &hold, &before[i]);
    struct error *err = file_write(path, octets, mode, over);
    for (size_t i = 0; i < STOPS; i++) (void)sigaction(stops[i], &before[i], NULL);
    if (stop_held != 0) (void)raise(stop_held); /* ignored where it was before */
    return err;
}

struct error *cli_write_file(const char *path, struct bytes octets, mode_t mode) {
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) return write_through(path, octets);
    return write_whole(path, octets, mode, FILE_REPLACE);
}

struct error *cli_create_file(const char *path, struct bytes octets, mode_t mode) {
    return write_whole(path, octets, mode, FILE_NEW);
}

/* --- hashing */
static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static struct error *hash_fd(int fd, const char *path, struct sha256 *out, uint64_t *out_octets) {
    struct sha256_ctx ctx;
    uint8_t *chunk = alloc_zero(1, CHUNK_OCTETS);
    uint64_t total = 0;
    struct error *err = chunk == NULL ? error_nomem() : NULL;
    sha256_init(&ctx);
    while (err == NULL) {
        ssize_t n = read(fd, chunk, CHUNK_OCTETS);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            err = file_errno(errno, "read", path);
            break;
        }
        sha256_update(&ctx, (struct bytes){chunk, (size_t)n});
        total += (uint64_t)n;
    }
    alloc_free(chunk);
    TRY(err);
    *out = sha256_final(&ctx);
    *out_octets = total;
    return NULL;
}

struct error *cli_hash_file(const char *path, struct sha256 *out) {
    struct stat before, after;
    struct sha256 digest;
    uint64_t octets = 0;
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &before) != 0) return file_errno(errno, "open", path);
    if (!S_ISREG(before.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no regular file", path);
    TRY(hash_fd(fd, path, &digest, &octets));
    if (fstat(fd, &after) != 0) return file_errno(errno, "stat", path);
    if (!same_file(&before, &after) || octets != (uint64_t)before.st_size)
        return error_new(ERROR_ABORTED, "%s changed while it was hashed", path);
    *out = digest;
    return NULL;
}
