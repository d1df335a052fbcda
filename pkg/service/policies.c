/* The folder is opened once and everything is read through its descriptor, so that a name that
 * changes meanwhile cannot lead elsewhere: openat with O_NOFOLLOW, then fstat on what was opened.
 */
#include "service/policies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static void close_fdp(int *fd) {
    if (*fd >= 0) (void)close(*fd);
}

static void closedirp(DIR **d) {
    if (*d != NULL) (void)closedir(*d);
}

static struct error *refuse(const char *dir, const char *name, const char *why) {
    return error_new(ERROR_FAILED_PRECONDITION, "policies: %s/%s: %s", dir, name, why);
}

struct folder {
    const char *path;
    int fd;
    enum policies_reader reader;
};

/* An owner may write whatever the mode says: chmod is theirs. */
static bool owned_by_others(const struct folder *f, const struct stat *st) {
    return f->reader == POLICIES_OBEYED && st->st_uid != 0 && st->st_uid != geteuid();
}

static struct error *check_mode(const struct folder *f, const char *name, int fd, mode_t type,
                                off_t *out_size) {
    struct stat st;
    if (fstat(fd, &st) != 0) return refuse(f->path, name, strerror(errno));
    if ((st.st_mode & S_IFMT) != type)
        return refuse(f->path, name, type == S_IFREG ? "not a regular file" : "not a directory");
    if (owned_by_others(f, &st))
        return refuse(f->path, name, "owned by another user; chown it to root or the server's");
    /* One's own group is not "others": a checkout under umask 002 is group-writable. */
    bool by_group = (st.st_mode & S_IWGRP) != 0 && st.st_gid != getegid();
    if (by_group || (st.st_mode & S_IWOTH) != 0)
        return refuse(f->path, name, "writable by others; chmod go-w");
    *out_size = st.st_size;
    return NULL;
}

static struct error *read_all(struct arena *arena, int fd, size_t max, struct bytes *out) {
    uint8_t *data = arena_alloc(arena, max + 1);
    if (data == NULL) return error_nomem();
    size_t len = 0;
    while (len <= max) {
        ssize_t n = read(fd, data + len, max + 1 - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_new(ERROR_UNAVAILABLE, "read: %s", strerror(errno));
        if (n == 0) break;
        len += (size_t)n;
    }
    if (len > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "changed or larger than %zu octets", max);
    *out = (struct bytes){data, len};
    return NULL;
}

static struct error *read_at(struct arena *arena, const struct folder *f, const char *name,
                             size_t max, struct bytes *out) {
    CLEANUP(close_fdp) int fd = openat(f->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    const char *dir = f->path;
    off_t size = 0;
    if (fd < 0 && errno == ELOOP) return refuse(dir, name, "is a link; put the file itself there");
    if (fd < 0) return refuse(dir, name, strerror(errno));
    TRY(check_mode(f, name, fd, S_IFREG, &size));
    if (size < 0 || (uint64_t)size > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "policies: %s/%s: larger than %zu octets", dir,
                         name, max);
    struct error *err = read_all(arena, fd, (size_t)size, out);
    return err == NULL ? NULL : error_wrap(err, "policies: %s/%s", dir, name);
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), e = strlen(end);
    return n > e && strcmp(name + n - e, end) == 0;
}

static int by_name(const void *a, const void *b) {
    const struct policy_file *fa = a, *fb = b;
    return bytes_compare(bytes_of_text(fa->name), bytes_of_text(fb->name));
}

struct listing {
    struct policy_file files[POLICIES_FILES_MAX];
    size_t count;
};

/* The names of the *.yaml entries, sorted. */
static struct error *list_names(struct arena *arena, DIR *d, const char *dir, struct listing *out) {
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (e == NULL && errno != 0) return refuse(dir, "", strerror(errno));
        if (e == NULL) break;
        if (!ends_with(e->d_name, ".yaml") || e->d_name[0] == '.') continue;
        if (out->count == POLICIES_FILES_MAX)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "policies: %s: more than %d files", dir,
                             POLICIES_FILES_MAX);
        struct bytes name = arena_copy(arena, bytes_of_cstr(e->d_name));
        if (name.data == NULL) return error_nomem();
        if (!text_of_bytes(name, &out->files[out->count].name))
            return refuse(dir, e->d_name, "the name is not UTF-8");
        out->count++;
    }
    qsort(out->files, out->count, sizeof out->files[0], by_name);
    return NULL;
}

static struct error *read_listed(struct arena *arena, const struct folder *f,
                                 const struct listing *names, struct policies_dir *out) {
    struct policy_file *policies = arena_alloc(arena, (names->count + 1) * sizeof *policies);
    struct policy_file *tests = arena_alloc(arena, (names->count + 1) * sizeof *tests);
    struct policies_dir dirs = {.policies = policies, .tests = tests};
    if (policies == NULL || tests == NULL) return error_nomem();
    for (size_t i = 0; i < names->count; i++) {
        struct policy_file file = names->files[i];
        TRY(read_at(arena, f, file.name.data, POLICY_FILE_MAX, &file.octets));
        if (ends_with(file.name.data, ".test.yaml"))
            tests[dirs.test_count++] = file;
        else
            policies[dirs.policy_count++] = file;
    }
    *out = dirs;
    return NULL;
}

static void listing_freep(struct listing **l) { alloc_free(*l); }

struct error *policies_read_dir(struct arena *arena, const char *dir, enum policies_reader reader,
                                bool may_be_missing, struct policies_dir *out) {
    off_t size = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && may_be_missing) {
        *out = (struct policies_dir){0};
        return NULL;
    }
    if (fd < 0)
        return refuse(dir, "", errno == ENOTDIR ? "a link, or no directory" : strerror(errno));
    CLEANUP(closedirp) DIR *d = fdopendir(fd); /* owns fd from here on */
    if (d == NULL) {
        (void)close(fd);
        return error_nomem();
    }
    const struct folder f = {.path = dir, .fd = fd, .reader = reader};
    TRY(check_mode(&f, "", fd, S_IFDIR, &size));
    CLEANUP(listing_freep) struct listing *names = alloc_zero(1, sizeof *names);
    if (names == NULL) return error_nomem();
    TRY(list_names(arena, d, dir, names));
    return read_listed(arena, &f, names, out);
}

struct error *policies_read_file(struct arena *arena, const char *dir, struct text name, size_t max,
                                 struct bytes *out) {
    struct bytes copy = arena_copy(arena, bytes_of_text(name));
    if (copy.data == NULL) return error_nomem();
    if (name.len == 0 || memchr(name.data, '/', name.len) != NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "policies: a file name must not hold \"/\"");
    CLEANUP(close_fdp) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return refuse(dir, "", strerror(errno));
    const struct folder f = {.path = dir, .fd = fd, .reader = POLICIES_TRIED};
    return read_at(arena, &f, (const char *)copy.data, max, out);
}
