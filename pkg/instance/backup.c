/*
 * A backup is built in <dir>/partial-<log id> and then takes its name: <dir> may be that of several
 * instances, each of which may be at it.
 *
 *   1 instance.json, keys, tls, anchor are copied    if we stop before 5: a partial-... that
 * nothing 2 the database's own checkpoint                  reads and this instance's next one
 * removes 3 it is opened once, which gives the tree size 4 manifest.json, and everything synced 5
 * rename, sync of <dir>                          from here on it is there, whole
 *
 * The anchor is copied before the database, so that the copy's database is never behind it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "codec/codec.h"
#include "instance/internal.h"

#define PARTIAL "partial-"
#define PATH_MAX_IN_BACKUP ((size_t)256)
#define NAMES_TRIED 60

struct job {
    const struct instance *i;
    struct arena arena;
    struct file_path dir, partial;
    struct manifest_file *files; /* in the arena */
    size_t file_count;
    uint64_t tree_size;
};

static void dir_closep(DIR **dir) {
    if (*dir != NULL) (void)closedir(*dir);
}

/* --- the list of files */

static struct error *note_file(struct job *job, const char *name,
                               const struct manifest_file *hashed) {
    if (job->file_count == MANIFEST_FILES_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a backup of more than %zu files",
                         MANIFEST_FILES_MAX);
    struct bytes path = arena_copy(&job->arena, bytes_of_cstr(name));
    if (path.data == NULL) return error_nomem();
    struct manifest_file *f = &job->files[job->file_count++];
    *f = *hashed;
    f->path = (struct text){(const char *)path.data, path.len};
    return NULL;
}

static int by_path(const void *a, const void *b) {
    const struct manifest_file *x = a, *y = b;
    return bytes_compare(bytes_of_text(x->path), bytes_of_text(y->path));
}

/* --- copying */

static struct error *copy_one(struct job *job, const char *name) {
    struct file_path from, to;
    struct manifest_file hashed = {0};
    TRY(file_path_join(job->i->data.text, name, &from));
    TRY(file_path_join(job->partial.text, name, &to));
    TRY(copy_hashed(from.text, to.text, &hashed));
    return note_file(job, name, &hashed);
}

static struct error *copy_if_there(struct job *job, const char *name) {
    struct file_path from;
    bool exists = false;
    TRY(file_path_join(job->i->data.text, name, &from));
    TRY(file_exists(from.text, &exists));
    return exists ? copy_one(job, name) : NULL;
}

/* Calls `each` with "folder/name" for every file below `root`/folder. */
static struct error *each_file(struct job *job, const char *root, const char *folder,
                               struct error *(*each)(struct job *job, const char *name)) {
    struct file_path path;
    TRY(file_path_join(root, folder, &path));
    CLEANUP(dir_closep) DIR *dir = opendir(path.text);
    if (dir == NULL) return file_errno(errno, "open", path.text);
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) return errno == 0 ? NULL : file_errno(errno, "list", path.text);
        if (e->d_name[0] == '.' || strstr(e->d_name, ".tmp-") != NULL) continue;
        char name[PATH_MAX_IN_BACKUP];
        int n = snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
        if (n < 0 || (size_t)n >= sizeof name)
            return error_new(ERROR_INTERNAL, "%s: a name too long", path.text);
        TRY(each(job, name));
    }
}

static struct error *hash_one(struct job *job, const char *name) {
    struct file_path path;
    struct manifest_file hashed = {0};
    TRY(file_path_join(job->partial.text, name, &path));
    TRY(copy_hash(path.text, &hashed));
    return note_file(job, name, &hashed);
}

static struct error *copy_folder(struct job *job, const char *folder) {
    struct file_path to;
    TRY(file_path_join(job->partial.text, folder, &to));
    TRY(file_make_dir(to.text, 0700));
    TRY(each_file(job, job->i->data.text, folder, copy_one));
    return file_sync_dir(to.text);
}

static struct error *copy_files(struct job *job, bool with_secret) {
    TRY(copy_one(job, FACTS_FILE));
    TRY(copy_folder(job, "keys"));
    TRY(copy_folder(job, "tls"));
    TRY(copy_if_there(job, "anchor"));
    if (with_secret) TRY(copy_if_there(job, SECRET_FILE));
    return NULL;
}

/* A copy that does not open, or not to this instance's facts, is none. */
static struct error *open_copy(struct job *job, const char *db) {
    struct file_path path;
    struct bytes facts = {0};
    TRY(file_path_join(job->partial.text, FACTS_FILE, &path));
    TRY(file_read(&job->arena, path.text, FACTS_MAX, &facts));
    struct kv_rocksdb_options options = KV_ROCKSDB_DEFAULTS;
    options.read_only = true;
    CLEANUP(store_freep) struct store *store = NULL;
    struct store_head head;
    TRY(database_open(db, &options, facts, &store));
    TRY(store_get_head(store, NULL, &head));
    job->tree_size = head.frontier.size;
    return NULL;
}

static struct error *copy_database(struct job *job) {
    struct file_path db;
    TRY(file_path_join(job->partial.text, "db", &db));
    TRY(kv_checkpoint(store_kv(job->i->store), db.text));
    struct error *err = open_copy(job, db.text);
    if (err != NULL)
        return error_recode(err, ERROR_DATA_LOSS, "the copy of the database does not open");
    return each_file(job, job->partial.text, "db", hash_one);
}

static struct error *write_manifest(struct job *job) {
    struct file_path path;
    struct buf out;
    TRY(file_path_join(job->partial.text, MANIFEST_FILE, &path));
    qsort(job->files, job->file_count, sizeof *job->files, by_path);
    const struct manifest m = {job->i->facts.origin, clock_unix_ms(job->i->options.clock),
                               job->tree_size, job->files, job->file_count};
    buf_init_arena(&out, &job->arena, MANIFEST_MAX);
    manifest_put(&out, &m);
    TRY(buf_finish(&out, MANIFEST_FILE));
    return file_write(path.text, buf_bytes(&out), 0600, FILE_NEW);
}

static struct error *name_at(const struct job *job, time_t at, struct file_path *out) {
    char name[64];
    struct tm tm;
    if (gmtime_r(&at, &tm) == NULL || strftime(name, 32, "%Y%m%dT%H%M%SZ", &tm) == 0)
        return error_new(ERROR_INTERNAL, "the clock tells no time");
    size_t len = strlen(name);
    (void)snprintf(name + len, sizeof name - len, "-%llu", (unsigned long long)job->tree_size);
    return file_path_join(job->dir.text, name, out);
}

/* Where the name of this second is taken, that of a later one is as good. */
static struct error *give_name(const struct job *job, struct instance_backed_up *out) {
    time_t now = (time_t)(clock_unix_ms(job->i->options.clock) / 1000);
    struct instance_backed_up made = {.tree_size = job->tree_size};
    for (int later = 0; later < NAMES_TRIED; later++) {
        TRY(name_at(job, now + later, &made.path));
        if (rename(job->partial.text, made.path.text) == 0) {
            *out = made;
            return file_sync_dir(job->dir.text);
        }
        if (errno != ENOTEMPTY && errno != EEXIST) break;
    }
    return file_errno(errno, "name", made.path.text);
}

static struct error *name_partial(struct job *job) {
    struct buf name;
    buf_init_arena(&name, &job->arena, 128);
    buf_put_cstr(&name, PARTIAL);
    hex_put(&name, sha256_bytes(&job->i->facts.log_id));
    buf_put_u8(&name, 0);
    TRY(buf_finish(&name, "name of a backup"));
    return file_path_join(job->dir.text, (const char *)name.data, &job->partial);
}

static struct error *run(struct job *job, const struct instance_backup *request,
                         struct instance_backed_up *out) {
    const char *dir = request->dir;
    if (dir == NULL || dir[0] == '\0') dir = job->i->backups.text;
    TRY(file_path_absolute(dir, &job->dir));
    TRY(file_make_dirs(job->dir.text, 0700));
    TRY(name_partial(job));
    TRY(tree_remove(job->partial.text));
    TRY(file_make_dir(job->partial.text, 0700));
    job->files = arena_alloc(&job->arena, MANIFEST_FILES_MAX * sizeof *job->files);
    if (job->files == NULL) return error_nomem();
    TRY(copy_files(job, request->with_secret));
    TRY(copy_database(job));
    TRY(write_manifest(job));
    return give_name(job, out);
}

static struct error *run_or_clean(struct job *job, const struct instance_backup *request,
                                  struct instance_backed_up *out) {
    struct error *err = run(job, request, out);
    if (err != NULL && job->partial.text[0] != '\0')
        error_ignore(tree_remove(job->partial.text), "the next backup removes it");
    return err;
}

struct error *instance_backup(struct instance *i, const struct instance_backup *request,
                              struct instance_backed_up *out) {
    if (atomic_exchange(&i->backup_runs, true))
        return error_new(ERROR_ABORTED, "another backup is running");
    struct job job = {.i = i};
    arena_init(&job.arena, 4 * MANIFEST_MAX);
    struct error *err = run_or_clean(&job, request, out);
    arena_done(&job.arena);
    atomic_store(&i->backup_runs, false);
    return err == NULL ? NULL : error_wrap(err, "backup");
}

/* --- the secret, afterwards */

static struct error *read_manifest(struct arena *arena, const char *path, struct manifest *out) {
    struct bytes json = {0};
    struct error *err = file_read(arena, path, MANIFEST_MAX, &json);
    if (err != NULL && error_code(err) == ERROR_NOT_FOUND)
        return error_recode(err, ERROR_INVALID_ARGUMENT, "no backup");
    if (err != NULL) return err;
    return manifest_parse(arena, json, out);
}

static struct error *write_with(struct arena *arena, const char *path, struct manifest m,
                                const struct manifest_file *secret) {
    struct buf out;
    struct manifest_file *files = arena_alloc(arena, (m.file_count + 1) * sizeof *files);
    if (files == NULL) return error_nomem();
    memcpy(files, m.files, m.file_count * sizeof *files);
    files[m.file_count++] = *secret;
    qsort(files, m.file_count, sizeof *files, by_path);
    m.files = files;
    buf_init_arena(&out, arena, MANIFEST_MAX);
    manifest_put(&out, &m);
    TRY(buf_finish(&out, MANIFEST_FILE));
    return file_write(path, buf_bytes(&out), 0600, FILE_REPLACE);
}

struct error *instance_backup_add_secret(const char *data, const char *backup) {
    struct file_path from, to, path;
    struct manifest m = {0};
    struct manifest_file secret = {0};
    bool exists = false;
    CLEANUP(arena_donep) struct arena arena;
    arena_init(&arena, 64 * MANIFEST_MAX);
    TRY(file_path_join(data, SECRET_FILE, &from));
    TRY(file_path_join(backup, SECRET_FILE, &to));
    TRY(file_path_join(backup, MANIFEST_FILE, &path));
    TRY(file_exists(from.text, &exists));
    if (!exists) return NULL;
    TRY(read_manifest(&arena, path.text, &m)); /* first: a secret is not left just anywhere */
    TRY(copy_hashed(from.text, to.text, &secret));
    secret.path = text_of_cstr(SECRET_FILE);
    return write_with(&arena, path.text, m, &secret);
}
