/* DATA/lock: held by flock(2) as long as the process lives, so that a crash frees it; its content,
 * "<pid>\n", is for people. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/reader.h"
#include "instance/internal.h"

#define LOCK_FILE "lock"

/* The id in the file; -1 where there is none to read. */
static int64_t holder_of(int fd) {
    uint8_t text[24];
    ssize_t n = pread(fd, text, sizeof text, 0);
    uint64_t pid = 0;
    if (n < 2 || text[n - 1] != '\n') return -1;
    if (!bytes_to_u64((struct bytes){text, (size_t)n - 1}, &pid) || pid > INT32_MAX) return -1;
    return (int64_t)pid;
}

static struct error *held(const char *data, int fd) {
    int64_t pid = holder_of(fd);
    if (pid > 0)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "%s is held by process %lld: stop it first, or give another --data", data,
                         (long long)pid);
    return error_new(ERROR_FAILED_PRECONDITION,
                     "%s is held by another process: stop it first, or give another --data", data);
}

static struct error *write_pid(int fd, const char *path) {
    struct buf text;
    buf_init(&text, 24);
    buf_put_dec(&text, (uint64_t)getpid());
    buf_put_u8(&text, '\n');
    struct error *err = buf_finish(&text, "pid");
    if (err == NULL &&
        (ftruncate(fd, 0) != 0 || pwrite(fd, text.data, text.len, 0) != (ssize_t)text.len))
        err = file_errno(errno, "write", path);
    buf_done(&text);
    return err;
}

/* A snapshot may lie on a read-only disk: then there is nobody to keep out who could write. */
static int open_lock(const char *path, bool read_only, bool *out_writable) {
    *out_writable = true;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 || !read_only || (errno != EROFS && errno != EACCES)) return fd;
    *out_writable = false;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

struct error *data_lock(const char *data, bool read_only, int *out_fd) {
    struct file_path path;
    TRY(file_path_join(data, LOCK_FILE, &path));
    bool writable = false;
    CLEANUP(fd_closep) int fd = open_lock(path.text, read_only, &writable);
    if (fd < 0 && !(errno == ENOENT && !writable)) return file_errno(errno, "open", path.text);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? held(data, fd) : file_errno(errno, "lock", path.text);
    if (fd >= 0 && writable) TRY(write_pid(fd, path.text));
    *out_fd = fd;
    fd = -1;
    return NULL;
}

struct error *instance_holder(const char *data, int64_t *out_pid) {
    struct file_path path;
    TRY(file_path_join(data, LOCK_FILE, &path));
    CLEANUP(fd_closep) int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR) return file_errno(errno, "open", path.text);
    *out_pid = 0;
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0) return NULL;
    if (errno != EWOULDBLOCK) return file_errno(errno, "lock", path.text);
    *out_pid = holder_of(fd);
    return NULL;
}
