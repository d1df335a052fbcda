/*
 * anchor: the log's head in a small file of its own, outside the database, so that a database
 * which lost its end, or an older copy of it, is noticed. Two slots that are written in turn: a
 * torn write costs the slot being written, never the newest one before it.
 */
#ifndef TLOG_ANCHOR_H
#define TLOG_ANCHOR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "file/file.h"

#define ANCHOR_ORIGIN_MAX ((size_t)255)
#define ANCHOR_CHECKPOINT_MAX ((size_t)3072) /* octets of a C2SP note with one signature */
#define ANCHOR_FIRST_SEQUENCE ((uint64_t)2)  /* of a file just made */

enum anchor_state {
    ANCHOR_MISSING = 0, /* no file of that name */
    ANCHOR_UNREADABLE,  /* a file without one good slot */
    ANCHOR_GOOD,
};

struct anchor_value {
    uint64_t sequence; /* of writes; the higher slot counts */
    uint64_t size;
    struct sha256 root;
    struct bytes origin;
    struct bytes checkpoint; /* the C2SP note of (origin, size, root) */
};

/* anchor_put_slot appends the 4,096 octets of a slot; `value`'s origin and checkpoint are within
 * their maxima (asserted). anchor_parse gives the newest good slot of a file's octets, borrowing
 * from them; false: there is none. */
MUST_USE struct error *anchor_put_slot(struct buf *out, const struct anchor_value *value);
MUST_USE bool anchor_parse(struct bytes file, struct anchor_value *out);

/* anchor_read reads the newest good slot of `path`; views live in `arena`. Errors: UNAVAILABLE,
 * PERMISSION_DENIED: it is not known whether there is one. */
MUST_USE struct error *anchor_read(struct arena *arena, const char *path,
                                   enum anchor_state *out_state, struct anchor_value *out);

/* An anchor that is open for writing; the caller's storage. fd < 0: not open. */
struct anchor {
    int fd;            /* locked: one process holds it */
    uint64_t sequence; /* of the newest slot */
    struct file_path path;
};

/* anchor_create makes `path` anew with `value` in both slots, durably; folders above it too. `was`
 * is what anchor_read found: an unreadable file is replaced, a missing one is not if it is there by
 * now. Errors: FAILED_PRECONDITION: another process made it meanwhile; UNAVAILABLE. */
MUST_USE struct error *anchor_create(const char *path, enum anchor_state was,
                                     const struct anchor_value *value);

/* anchor_open opens and locks a file that anchor_read found good, `sequence` being its newest.
 * Errors: FAILED_PRECONDITION if another process holds it; UNAVAILABLE. */
MUST_USE struct error *anchor_open(const char *path, uint64_t sequence, struct anchor *out);

/* anchor_write puts `value` (its sequence is set here) into the older slot and sends it on its way
 * to the disk; anchor_sync returns when it is there. Two steps, so that two anchors are on their
 * way at once. After an error of either the anchor must not be written again. */
MUST_USE struct error *anchor_write(struct anchor *a, const struct anchor_value *value);
MUST_USE struct error *anchor_sync(struct anchor *a);

void anchor_close(struct anchor *a);

#endif
