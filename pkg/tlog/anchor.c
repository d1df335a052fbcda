/*
 * The file: two slots of 4,096 octets. A slot:
 *
 *   offset  octets
 *        0       8  "attanch" 0x01
 *        8       8  sequence, u64be; a slot stands where sequence mod 2 says
 *       16       8  size, u64be
 *       24      32  root
 *       56       2  length of origin, u16be
 *       58       2  length of checkpoint, u16be
 *       60       -  origin, checkpoint, then zeros
 *     4064      32  SHA-256 of the 4,064 octets before it
 *
 * Writing. The older slot is overwritten in place (anchor_write), then fdatasync (anchor_sync). If
 * we stop before the sync, the older slot is old, new or torn; torn, its hash is wrong and it
 * counts for nothing. The newer one is not touched: a reader finds the head before this round or
 * the head of it. Nobody was told of this round yet, so either is right. The file never changes its
 * length, so that there is no metadata that fdatasync might leave behind.
 *
 * Making. The whole file is written beside its name and renamed (file_write): if we stop, the old
 * file or none is there. Where there was none it is linked instead, which fails if there is one by
 * now: of two copies of one directory that start at once, the second would take away the anchor of
 * the first, and sign another tree than what that may have acknowledged by then.
 */
#include "tlog/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/reader.h"

#define SLOT_OCTETS ((size_t)4096)
#define HASH_OCTETS ((size_t)32)
#define HASHED_OCTETS (SLOT_OCTETS - HASH_OCTETS)
#define FILE_OCTETS (2 * SLOT_OCTETS)
#define MAGIC BYTES_LIT("attanch\x01")

struct error *anchor_put_slot(struct buf *out, const struct anchor_value *v) {
    static const uint8_t zeros[SLOT_OCTETS];
    size_t start = out->len;
    ASSERT(v->origin.len <= ANCHOR_ORIGIN_MAX && v->checkpoint.len <= ANCHOR_CHECKPOINT_MAX);
    buf_put(out, MAGIC);
    buf_put_u64be(out, v->sequence);
    buf_put_u64be(out, v->size);
    buf_put(out, sha256_bytes(&v->root));
    buf_put_u16be(out, (uint16_t)v->origin.len);
    buf_put_u16be(out, (uint16_t)v->checkpoint.len);
    buf_put(out, v->origin);
    buf_put(out, v->checkpoint);
    buf_put(out, (struct bytes){zeros, HASHED_OCTETS - (out->len - start)});
    TRY(buf_finish(out, "anchor slot"));
    struct sha256 hash = sha256_of((struct bytes){out->data + start, HASHED_OCTETS});
    buf_put(out, sha256_bytes(&hash));
    return buf_finish(out, "anchor slot");
}

/* take_slot reads the slot at place `place`; false where it is not a good one. */
static bool take_slot(struct bytes slot, unsigned place, struct anchor_value *out) {
    struct sha256 want = sha256_of((struct bytes){slot.data, HASHED_OCTETS});
    struct bytes hash = {slot.data + HASHED_OCTETS, HASH_OCTETS};
    if (!bytes_equal(hash, sha256_bytes(&want))) return false;

    struct reader r = reader_of((struct bytes){slot.data, HASHED_OCTETS});
    struct anchor_value v = {0};
    reader_expect(&r, MAGIC, "magic");
    v.sequence = reader_u64be(&r, "sequence");
    v.size = reader_u64be(&r, "size");
    struct bytes root = reader_take(&r, sizeof v.root.octets, "root");
    uint16_t origin_len = reader_u16be(&r, "origin length");
    uint16_t checkpoint_len = reader_u16be(&r, "checkpoint length");
    v.origin = reader_take(&r, origin_len, "origin");
    v.checkpoint = reader_take(&r, checkpoint_len, "checkpoint");
    bool good = r.failed == NULL && v.sequence % 2 == place && v.sequence != UINT64_MAX &&
                origin_len <= ANCHOR_ORIGIN_MAX && checkpoint_len <= ANCHOR_CHECKPOINT_MAX;
    for (size_t i = 0; i < r.rest.len; i++) good = good && r.rest.data[i] == 0;
    if (!good) return false;
    memcpy(v.root.octets, root.data, root.len);
    *out = v;
    return true;
}

bool anchor_parse(struct bytes file, struct anchor_value *out) {
    struct anchor_value slots[2];
    bool good[2] = {false, false};
    for (unsigned i = 0; i < 2 && file.len == FILE_OCTETS; i++)
        good[i] = take_slot((struct bytes){file.data + i * SLOT_OCTETS, SLOT_OCTETS}, i, &slots[i]);
    if (!good[0] && !good[1]) return false;
    bool second = good[1] && (!good[0] || slots[1].sequence > slots[0].sequence);
    *out = slots[second ? 1 : 0];
    return true;
}

struct error *anchor_read(struct arena *arena, const char *path, enum anchor_state *out_state,
                          struct anchor_value *out) {
    struct bytes file = {0};
    struct error *err = file_read(arena, path, FILE_OCTETS, &file);
    enum anchor_state state = ANCHOR_UNREADABLE;
    if (err != NULL) {
        if (error_code(err) == ERROR_NOT_FOUND)
            state = ANCHOR_MISSING;
        else if (error_code(err) != ERROR_INVALID_ARGUMENT) /* larger, or no regular file */
            return err;
        error_ignore(err, "said by the state");
    }
    if (anchor_parse(file, out)) state = ANCHOR_GOOD;
    *out_state = state;
    return NULL;
}

/* make_folder makes the folder that holds `path`. */
static struct error *make_folder(const char *path) {
    struct file_path folder;
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) return NULL; /* the working folder, or the root */
    size_t len = (size_t)(slash - path);
    if (len >= sizeof folder.text)
        return error_new(ERROR_INVALID_ARGUMENT, "path too long: %.100s...", path);
    memcpy(folder.text, path, len);
    folder.text[len] = '\0';
    return file_make_dirs(folder.text, 0700);
}

struct error *anchor_create(const char *path, enum anchor_state was,
                            const struct anchor_value *value) {
    struct arena arena;
    struct buf file;
    struct anchor_value v = *value;
    ASSERT(was != ANCHOR_GOOD);
    TRY(make_folder(path));
    arena_init(&arena, 4 * FILE_OCTETS);
    buf_init_arena(&file, &arena, FILE_OCTETS);
    v.sequence = ANCHOR_FIRST_SEQUENCE;
    struct error *err = anchor_put_slot(&file, &v);
    v.sequence = ANCHOR_FIRST_SEQUENCE - 1;
    if (err == NULL) err = anchor_put_slot(&file, &v);
    if (err == NULL)
        err = file_write(path, buf_bytes(&file), 0600,
                         was == ANCHOR_MISSING ? FILE_NEW : FILE_REPLACE);
    arena_done(&arena);
    if (err == NULL || error_code(err) != ERROR_ALREADY_EXISTS) return err;
    return error_recode(err, ERROR_FAILED_PRECONDITION,
                        "another process made the anchor %s meanwhile", path);
}

/* still_named says whether `fd` is what `path` names: it was locked after it was opened, and may
 * have been replaced in between. */
static bool still_named(int fd, const char *path) {
    struct stat open_one;
    struct stat named;
    return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/* unchanged says whether the newest slot is still `sequence`, now that nobody else may write. */
static struct error *unchanged(const char *path, uint64_t sequence, bool *out) {
    struct arena arena;
    enum anchor_state state = ANCHOR_MISSING;
    struct anchor_value value = {0};
    arena_init(&arena, 4 * FILE_OCTETS);
    struct error *err = anchor_read(&arena, path, &state, &value);
    if (err == NULL) *out = state == ANCHOR_GOOD && value.sequence == sequence;
    arena_done(&arena);
    return err;
}

struct error *anchor_open(const char *path, uint64_t sequence, struct anchor *out) {
    struct anchor a = {.fd = -1, .sequence = sequence};
    bool same = false;
    TRY(file_path_absolute(path, &a.path));
    a.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (a.fd < 0) return file_errno(errno, "open", path);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool locked = fcntl(a.fd, F_OFD_SETLK, &lock) == 0 && still_named(a.fd, path);
    struct error *err = locked ? unchanged(path, sequence, &same) : NULL;
    if (err == NULL && !same)
        err = error_new(ERROR_FAILED_PRECONDITION, "another process holds the anchor %s", path);
    if (err != NULL) {
        anchor_close(&a);
        return err;
    }
    *out = a;
    return NULL;
}

static struct error *write_at(const struct anchor *a, struct bytes in, off_t offset) {
    for (size_t done = 0; done < in.len;) {
        ssize_t n = pwrite(a->fd, in.data + done, in.len - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return file_errno(n < 0 ? errno : EIO, "write", a->path.text);
        done += (size_t)n;
    }
    /* A hint alone: what goes wrong on the way is told by the sync. */
    (void)sync_file_range(a->fd, offset, (off_t)in.len, SYNC_FILE_RANGE_WRITE);
    return NULL;
}

struct error *anchor_write(struct anchor *a, const struct anchor_value *value) {
    struct arena arena;
    struct buf slot;
    struct anchor_value v = *value;
    v.sequence = a->sequence + 1;
    arena_init(&arena, 4 * SLOT_OCTETS);
    buf_init_arena(&slot, &arena, SLOT_OCTETS);
    struct error *err = anchor_put_slot(&slot, &v);
    if (err == NULL) err = write_at(a, buf_bytes(&slot), (off_t)((v.sequence % 2) * SLOT_OCTETS));
    arena_done(&arena);
    return err;
}

struct error *anchor_sync(struct anchor *a) {
    if (fdatasync(a->fd) != 0) return file_errno(errno, "sync", a->path.text);
    if (!still_named(a->fd, a->path.text)) /* nobody would find what we wrote */
        return error_new(ERROR_FAILED_PRECONDITION, "the anchor %s was removed or replaced",
                         a->path.text);
    a->sequence++;
    return NULL;
}

void anchor_close(struct anchor *a) {
    if (a->fd >= 0) (void)close(a->fd); /* every write was synced; this gives the lock back */
    a->fd = -1;
}
