/* Every opening goes through openat2(2) from the model's own folder: the kernel refuses a link in
 * any part of the path, and any way out. Whether a file changed is seen from its size, inode and
 * both times, before and after; reading exactly as many octets as it had is checked, too. */
#include "modeldir/modeldir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "file/file.h"

#define CHUNK_OCTETS ((size_t)256 << 10) /* half of a core's second-level cache, or less */

struct modeldir {
    int fd;
};

static void close_fdp(int *fd) {
    if (*fd >= 0) (void)close(*fd); /* only read from */
}

/* beneath opens `path` of the model. */
static struct error *beneath(const struct modeldir *d, struct text path, int flags, int *out) {
    struct open_how how = {
        .flags = (unsigned)(flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    const char *name = path.len == 0 ? "." : path.data;
    long fd = syscall(SYS_openat2, d->fd, name, &how, sizeof how);
    if (fd < 0 && errno == ELOOP)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is a link, or lies behind one", name);
    if (fd < 0) return file_errno(errno, "open", name);
    *out = (int)fd;
    return NULL;
}

/* --- listing */

static enum model_node node_of(mode_t mode) {
    if (S_ISREG(mode)) return MODEL_NODE_FILE;
    if (S_ISDIR(mode)) return MODEL_NODE_FOLDER;
    return S_ISLNK(mode) ? MODEL_NODE_LINK : MODEL_NODE_OTHER;
}

static struct error *tell(DIR *dir, const struct dirent *e,
                          struct error *(*each)(void *each_ctx, const struct model_entry *entry),
                          void *each_ctx) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) return NULL;
    struct stat st;
    if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return file_errno(errno, "look at", e->d_name);
    struct model_entry entry = {.name = bytes_of_cstr(e->d_name),
                                .node = node_of(st.st_mode),
                                .octets = (uint64_t)st.st_size};
    return each(each_ctx, &entry);
}

static struct error *list_folder(void *ctx, struct text folder,
                                 struct error *(*each)(void *each_ctx,
                                                       const struct model_entry *entry),
                                 void *each_ctx) {
    int fd = -1;
    TRY(beneath(ctx, folder, O_DIRECTORY, &fd));
    DIR *dir = fdopendir(fd); /* takes fd */
    if (dir == NULL) {
        (void)close(fd);
        return error_nomem();
    }
    struct error *err = NULL;
    errno = 0;
    for (const struct dirent *e = readdir(dir); e != NULL && err == NULL; e = readdir(dir)) {
        err = tell(dir, e, each, each_ctx);
        errno = 0;
    }
    if (err == NULL && errno != 0) err = file_errno(errno, "list", folder.data);
    (void)closedir(dir);
    return err;
}

/* --- reading */

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

struct sink {
    void (*chunk)(void *chunk_ctx, struct bytes octets);
    void *chunk_ctx;
};

static struct error *read_whole(int fd, struct text path, const struct sink *sink,
                                uint64_t *out_octets) {
    uint8_t *room = alloc_zero(1, CHUNK_OCTETS);
    if (room == NULL) return error_nomem();
    struct error *err = NULL;
    uint64_t octets = 0;
    while (err == NULL) {
        ssize_t n = read(fd, room, CHUNK_OCTETS);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) err = file_errno(errno, "read", path.data);
        if (n <= 0) break;
        sink->chunk(sink->chunk_ctx, (struct bytes){room, (size_t)n});
        octets += (uint64_t)n;
    }
    alloc_free(room);
    if (err == NULL) *out_octets = octets;
    return err;
}

static struct error *read_file(void *ctx, struct text path,
                               void (*chunk)(void *chunk_ctx, struct bytes octets),
                               void *chunk_ctx) {
    CLEANUP(close_fdp) int fd = -1;
    struct stat before, after;
    TRY(beneath(ctx, path, 0, &fd));
    if (fstat(fd, &before) != 0) return file_errno(errno, "look at", path.data);
    if (!S_ISREG(before.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no regular file", path.data);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only advice */
    struct sink sink = {chunk, chunk_ctx};
    uint64_t octets = 0;
    TRY(read_whole(fd, path, &sink, &octets));
    if (fstat(fd, &after) != 0) return file_errno(errno, "look at", path.data);
    if (!same_file(&before, &after) || octets != (uint64_t)before.st_size)
        return error_new(ERROR_ABORTED, "%s changed while it was hashed", path.data);
    return NULL;
}

struct error *modeldir_open(const char *path, struct modeldir **out) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR)
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no folder", path);
    if (fd < 0) return file_errno(errno, "open", path);
    struct modeldir *d = alloc_zero(1, sizeof *d);
    if (d == NULL) {
        (void)close(fd);
        return error_nomem();
    }
    d->fd = fd;
    *out = d;
    return NULL;
}

struct model_source modeldir_source(struct modeldir *d) {
    return (struct model_source){.list = list_folder, .read = read_file, .ctx = d};
}

void modeldir_close(struct modeldir *d) {
    if (d == NULL) return;
    close_fdp(&d->fd);
    alloc_free(d);
}

/* --- on all cores: each thread takes the largest file that is left, so that the last to end is
 * not one that was begun last */

struct job {
    const struct model_source *src;
    struct model_file **order; /* largest first */
    size_t count;
    atomic_size_t next;
    atomic_bool stop;
    struct error *err; /* guarded by: lock; the first */
    pthread_mutex_t lock;
};

static void keep_first(struct job *job, struct error *err) {
    atomic_store(&job->stop, true);
    (void)pthread_mutex_lock(&job->lock); /* a plain mutex: cannot fail */
    if (job->err == NULL)
        job->err = err;
    else
        error_ignore(err, "one failure is enough to fail the whole");
    (void)pthread_mutex_unlock(&job->lock);
}

static void *hash_files(void *arg) {
    struct job *job = arg;
    while (!atomic_load(&job->stop)) {
        size_t i = atomic_fetch_add(&job->next, 1);
        if (i >= job->count) break;
        struct error *err = model_hash_file(job->src, job->order[i]);
        if (err != NULL) keep_first(job, err);
    }
    return NULL;
}

static int compare_sizes(const void *a, const void *b) {
    const struct model_file *x = *(struct model_file *const *)a;
    const struct model_file *y = *(struct model_file *const *)b;
    return (x->octets < y->octets) - (x->octets > y->octets);
}

static size_t threads_for(const struct modeldir_options *options, size_t files) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = options->threads != 0 ? options->threads : cores < 1 ? 1 : (size_t)cores;
    if (n > MODELDIR_THREADS_MAX) n = MODELDIR_THREADS_MAX;
    return n < files ? n : files;
}

/* The caller's thread works, too; a thread that cannot be had is done without. */
static struct error *hash_all(struct job *job, size_t threads) {
    pthread_t ids[MODELDIR_THREADS_MAX];
    size_t started = 0;
    for (size_t i = 1; i < threads; i++) {
        if (pthread_create(&ids[started], NULL, hash_files, job) == 0) started++;
    }
    (void)hash_files(job);
    for (size_t i = 0; i < started; i++) (void)pthread_join(ids[i], NULL); /* ours, joined once */
    return job->err;
}

static struct error *hash_model(struct arena *arena, const struct model_source *src,
                                const struct modeldir_options *options, struct model *m) {
    struct job job = {.src = src, .count = m->count, .lock = PTHREAD_MUTEX_INITIALIZER};
    job.order = arena_alloc(arena, m->count * sizeof(struct model_file *));
    if (job.order == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for a model");
    for (size_t i = 0; i < m->count; i++) job.order[i] = &m->files[i];
    qsort(job.order, job.count, sizeof(struct model_file *), compare_sizes);
    TRY(hash_all(&job, threads_for(options, m->count)));
    model_finish(m);
    return NULL;
}

struct error *modeldir_digest(struct arena *arena, const char *path,
                              const struct modeldir_options *options, struct model *out) {
    CLEANUP(modeldir_closep) struct modeldir *d = NULL;
    TRY(modeldir_open(path, &d));
    struct model_source src = modeldir_source(d);
    struct model m;
    TRY(model_list(arena, &src, options->ignore, options->ignore_count, &m));
    TRY(hash_model(arena, &src, options, &m));
    *out = m;
    return NULL;
}
