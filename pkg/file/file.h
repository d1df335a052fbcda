/*
 * file: small files and folders that must survive a crash: read whole within a bound, written whole
 * or not at all. Paths are NUL-terminated. Nothing here keeps state; thread-safe.
 */
#ifndef FILE_FILE_H
#define FILE_FILE_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "crypto/secret.h"

#define FILE_PATH_MAX 4096 /* octets, with the NUL: Linux's own bound */

struct file_path {
    char text[FILE_PATH_MAX];
};

/* file_path_join writes "dir/name". Errors: INVALID_ARGUMENT if it is too long. */
MUST_USE struct error *file_path_join(const char *dir, const char *name, struct file_path *out);

/* file_path_absolute writes `path` as seen from the root: behind the working folder unless it
 * begins with "/"; links and dots are left as they are. Errors: INVALID_ARGUMENT, UNAVAILABLE. */
MUST_USE struct error *file_path_absolute(const char *path, struct file_path *out);

/* file_read reads a regular file of at most `max` octets into `arena`. A last component that is a
 * link is refused. file_read_given does the same for a path that the operator named, and follows
 * links: Kubernetes and others mount certificates and passphrases as such. file_read_secret reads
 * like file_read_given into a secret of its own; an empty file is refused.
 * Errors: NOT_FOUND; PERMISSION_DENIED; INVALID_ARGUMENT if it is no regular file, a link, or
 * larger; UNAVAILABLE for the rest of I/O; RESOURCE_EXHAUSTED. */
MUST_USE struct error *file_read(struct arena *arena, const char *path, size_t max,
                                 struct bytes *out);
MUST_USE struct error *file_read_given(struct arena *arena, const char *path, size_t max,
                                       struct bytes *out);
MUST_USE struct error *file_read_secret(const char *path, size_t max, struct secret **out);

enum file_over {
    FILE_NEW,     /* ALREADY_EXISTS where there is something of that name */
    FILE_REPLACE, /* whatever is there is replaced */
};

/* file_write makes `path` hold `content`, with exactly `mode`. When it returns NULL that is
 * durable. After an error, or a crash, `path` is as it was or wholly new: never in between. A crash
 * may leave a `path`.tmp-?????? behind that nothing reads.
 * Errors: ALREADY_EXISTS, PERMISSION_DENIED, NOT_FOUND (the folder), UNAVAILABLE. */
MUST_USE struct error *file_write(const char *path, struct bytes content, mode_t mode,
                                  enum file_over over);

/* file_remove removes `path`, durably. That it was not there is no error. */
MUST_USE struct error *file_remove(const char *path);

/* file_make_dir makes one folder, durably: NULL also where it is there already. file_make_dirs
 * makes the missing ones above it too (0755 for those). Errors: as file_write. */
MUST_USE struct error *file_make_dir(const char *path, mode_t mode);
MUST_USE struct error *file_make_dirs(const char *path, mode_t mode);

/* file_sync_dir makes the names in a folder durable. */
MUST_USE struct error *file_sync_dir(const char *path);

/* file_exists says whether there is anything of that name; UNAVAILABLE if that cannot be told. */
MUST_USE struct error *file_exists(const char *path, bool *out);

/* file_dir_is_empty says whether a folder has no entry; one that is not there is empty. */
MUST_USE struct error *file_dir_is_empty(const char *path, bool *out);

/* file_hold_standard opens what of standard input, output and error was closed by who started this
 * process, such that reading or writing there fails as it would have: else the next file or socket
 * takes the number, and what is printed goes into it. Call it before anything is opened.
 * Errors: UNAVAILABLE. */
MUST_USE struct error *file_hold_standard(void);

/* file_errno turns `number` (an errno) into an error "verb path: why" with the codes above. */
MUST_USE struct error *file_errno(int number, const char *verb, const char *path);

#endif
