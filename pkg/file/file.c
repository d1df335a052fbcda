/*
 * Writing, and what a stop leaves behind:
 *
 *   1 make path.tmp-XXXXXX (0600), write, fchmod     path as it was; a stray temporary file
 *   2 fsync the file                                 the same
 *   3 rename over path, or link to it (FILE_NEW)     path old or new, whole either way
 *   4 fsync the folder                               path new, also after a power failure
 */
#include "file/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

static void fd_closep(int *fd) {
    if (*fd >= 0) (void)close(*fd); /* what counts was fsynced or only read */
}

static enum error_code code_of(int number) {
    switch (number) {
        case ENOENT:
        case ENOTDIR:
            return ERROR_NOT_FOUND;
        case EEXIST:
        case ENOTEMPTY:
            return ERROR_ALREADY_EXISTS;
        case EACCES:
        case EPERM:
        case EROFS:
            return ERROR_PERMISSION_DENIED;
        case ELOOP:
        case EISDIR:
        case ENAMETOOLONG:
            return ERROR_INVALID_ARGUMENT;
        default:
            return ERROR_UNAVAILABLE;
    }
}

struct error *file_errno(int number, const char *verb, const char *path) {
    return error_new(code_of(number), "%s %s: %s", verb, path, strerror(number));
}

/* --- paths */

struct error *file_path_join(const char *dir, const char *name, struct file_path *out) {
    struct file_path path;
    int n = snprintf(path.text, sizeof path.text, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof path.text)
        return error_new(ERROR_INVALID_ARGUMENT, "path too long: %.100s/...", dir);
    *out = path;
    return NULL;
}

struct error *file_path_absolute(const char *path, struct file_path *out) {
    char here[FILE_PATH_MAX];
    if (path[0] != '/') {
        if (getcwd(here, sizeof here) == NULL) return file_errno(errno, "find", "working folder");
        return file_path_join(here, path, out);
    }
    if (strlen(path) >= sizeof out->text)
        return error_new(ERROR_INVALID_ARGUMENT, "path too long: %.100s...", path);
    memcpy(out->text, path, strlen(path) + 1);
    return NULL;
}

/* The folder that holds `path`: "." for a bare name, "/" for one below the root. */
static struct error *parent_of(const char *path, struct file_path *out) {
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= sizeof out->text)
        return error_new(ERROR_INVALID_ARGUMENT, "path too long: %.100s...", path);
    if (len == 0) {
        out->text[0] = slash == NULL ? '.' : '/';
        out->text[1] = '\0';
        return NULL;
    }
    memcpy(out->text, path, len);
    out->text[len] = '\0';
    return NULL;
}

/* --- reading */

/* `links` is O_NOFOLLOW or 0. */
static struct error *open_regular(const char *path, int links, size_t max, int *out_fd,
                                  size_t *out_size) {
    /* NONBLOCK: a pipe of that name must not hang us before fstat finds it out. */
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | links);
    if (fd < 0) return file_errno(errno, "open", path);
    struct stat st;
    if (fstat(fd, &st) != 0) return file_errno(errno, "look at", path);
    if (!S_ISREG(st.st_mode)) return error_new(ERROR_INVALID_ARGUMENT, "%s is no file", path);
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is larger than %zu octets", path, max);
    *out_size = (size_t)st.st_size;
    *out_fd = fd;
    fd = -1;
    return NULL;
}

/* Reads exactly `len` octets and no more: a file that changes meanwhile is an error. */
static struct error *read_exactly(int fd, const char *path, uint8_t *out, size_t len) {
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, out + got, len - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_errno(errno, "read", path);
        if (n == 0) return error_new(ERROR_UNAVAILABLE, "%s shrank while it was read", path);
        got += (size_t)n;
    }
    uint8_t more;
    ssize_t n = read(fd, &more, 1);
    if (n < 0) return file_errno(errno, "read", path);
    if (n > 0) return error_new(ERROR_UNAVAILABLE, "%s grew while it was read", path);
    return NULL;
}

static struct error *read_file(struct arena *arena, const char *path, int links, size_t max,
                               struct bytes *out) {
    CLEANUP(fd_closep) int fd = -1;
    size_t size = 0;
    TRY(open_regular(path, links, max, &fd, &size));
    uint8_t *data = arena_alloc(arena, size + 1);
    if (data == NULL) return error_nomem();
    TRY(read_exactly(fd, path, data, size));
    *out = (struct bytes){data, size};
    return NULL;
}

struct error *file_read(struct arena *arena, const char *path, size_t max, struct bytes *out) {
    return read_file(arena, path, O_NOFOLLOW, max, out);
}

struct error *file_read_given(struct arena *arena, const char *path, size_t max,
                              struct bytes *out) {
    return read_file(arena, path, 0, max, out);
}

struct error *file_read_secret(const char *path, size_t max, struct secret **out) {
    CLEANUP(fd_closep) int fd = -1;
    size_t size = 0;
    TRY(open_regular(path, 0, max, &fd, &size));
    if (size == 0) return error_new(ERROR_INVALID_ARGUMENT, "%s is empty", path);
    CLEANUP(secret_freep) struct secret *s = NULL;
    uint8_t *fill = NULL;
    TRY(secret_alloc(size, &s, &fill));
    TRY(read_exactly(fd, path, fill, size));
    secret_lock(s);
    *out = MOVE(s);
    return NULL;
}

/* --- writing */

static struct error *write_all(int fd, const char *path, struct bytes content) {
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_errno(n < 0 ? errno : EIO, "write", path);
        content = (struct bytes){content.data + n, content.len - (size_t)n};
    }
    return NULL;
}

/* Step 3. A link never falls on a name that is taken, which rename does. */
static struct error *give_name(const char *temporary, const char *path, enum file_over over) {
    if (over == FILE_REPLACE)
        return rename(temporary, path) == 0 ? NULL : file_errno(errno, "replace", path);
    if (link(temporary, path) != 0) return file_errno(errno, "make", path);
    if (unlink(temporary) != 0) return file_errno(errno, "remove", temporary);
    return NULL;
}

static struct error *write_steps(const char *temporary, int fd, const char *path,
                                 struct bytes content, enum file_over over) {
    TRY(write_all(fd, path, content));
    if (fsync(fd) != 0) return file_errno(errno, "sync", path);
    TRY(give_name(temporary, path, over));
    struct file_path parent;
    TRY(parent_of(path, &parent));
    return file_sync_dir(parent.text);
}

struct error *file_write(const char *path, struct bytes content, mode_t mode, enum file_over over) {
    struct file_path temporary;
    int n = snprintf(temporary.text, sizeof temporary.text, "%s.tmp-XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof temporary.text)
        return error_new(ERROR_INVALID_ARGUMENT, "path too long: %.100s...", path);
    CLEANUP(fd_closep) int fd = mkostemp(temporary.text, O_CLOEXEC);
    if (fd < 0) return file_errno(errno, "make", path);
    struct error *err = NULL;
    if (fchmod(fd, mode) != 0) err = file_errno(errno, "set the mode of", path);
    if (err == NULL) err = write_steps(temporary.text, fd, path, content, over);
    if (err != NULL) (void)unlink(temporary.text); /* gone already where step 3 was done */
    return err;
}

struct error *file_remove(const char *path) {
    if (unlink(path) != 0) return errno == ENOENT ? NULL : file_errno(errno, "remove", path);
    struct file_path parent;
    TRY(parent_of(path, &parent));
    return file_sync_dir(parent.text);
}

/* --- folders */

struct error *file_sync_dir(const char *path) {
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return file_errno(errno, "open", path);
    if (fsync(fd) != 0) return file_errno(errno, "sync", path);
    return NULL;
}

struct error *file_make_dir(const char *path, mode_t mode) {
    struct stat st;
    if (mkdir(path, mode) != 0) {
        if (errno != EEXIST) return file_errno(errno, "make", path);
        if (stat(path, &st) != 0) return file_errno(errno, "look at", path);
        return S_ISDIR(st.st_mode) ? NULL
                                   : error_new(ERROR_ALREADY_EXISTS, "%s is no folder", path);
    }
    struct file_path parent;
    TRY(parent_of(path, &parent));
    return file_sync_dir(parent.text);
}

struct error *file_make_dirs(const char *path, mode_t mode) {
    struct file_path part;
    size_t len = strlen(path);
    if (len >= sizeof part.text)
        return error_new(ERROR_INVALID_ARGUMENT, "path too long: %.100s...", path);
    memcpy(part.text, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part.text[i] != '/') continue;
        part.text[i] = '\0';
        TRY(file_make_dir(part.text, 0755));
        part.text[i] = '/';
    }
    return file_make_dir(path, mode);
}

struct error *file_exists(const char *path, bool *out) {
    struct stat st;
    bool there = lstat(path, &st) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR) return file_errno(errno, "look at", path);
    *out = there;
    return NULL;
}

static void dir_closep(DIR **dir) {
    if (*dir != NULL) (void)closedir(*dir);
}

struct error *file_dir_is_empty(const char *path, bool *out) {
    CLEANUP(dir_closep) DIR *dir = opendir(path);
    if (dir == NULL && errno != ENOENT) return file_errno(errno, "open", path);
    bool empty = true;
    errno = 0;
    while (dir != NULL && empty) {
        const struct dirent *e = readdir(dir);
        if (e == NULL) break;
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    }
    if (empty && errno != 0 && dir != NULL) return file_errno(errno, "list", path);
    *out = empty;
    return NULL;
}

/* --- standard input, output and error */

struct error *file_hold_standard(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
        /* The wrong direction on purpose; the lowest free number is this one. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return file_errno(errno, "open", "/dev/null");
    }
    return NULL;
}
