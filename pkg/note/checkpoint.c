/*
 * Checkpoint bodies: the text of a signed tree head.
 *
 *   origin       not empty, up to 0x0A
 *   size         decimal, no leading zero, 0x0A
 *   root         base64 of 32 octets, 0x0A
 *   extensions   not empty each, up to 0x0A (C2SP alone; the v1 form has none)
 */
#include "base/reader.h"
#include "codec/codec.h"
#include "note/note.h"

/* decode_root reads the base64 of one hash without memory that outlives it. */
static struct error *decode_root(struct bytes base64, struct sha256 *out) {
    struct arena arena;
    struct bytes root = {0};
    if (base64.len != base64_len(sizeof out->octets))
        return error_new(ERROR_INVALID_ARGUMENT, "checkpoint: root hash of another length");
    arena_init(&arena, 256);
    struct error *err = base64_decode(&arena, base64, BASE64_STANDARD, &root);
    if (err == NULL && root.len != sizeof out->octets)
        err = error_new(ERROR_INVALID_ARGUMENT, "checkpoint: root hash of another length");
    if (err == NULL) memcpy(out->octets, root.data, sizeof out->octets);
    arena_done(&arena);
    return err;
}

struct error *checkpoint_parse(struct bytes text, bool allow_extensions, struct checkpoint *out) {
    struct reader r = reader_of(text);
    struct checkpoint cp = {0};

    cp.origin = reader_line(&r, "origin");
    cp.size = reader_u64_line(&r, "tree size");
    struct bytes root = reader_line(&r, "root hash");
    while (allow_extensions && r.failed == NULL && r.rest.len > 0) {
        /* SPEC c2sp-tlog-checkpoint Note text: "Extension lines, if any, MUST be non-empty." */
        if (reader_line(&r, "extension line").len == 0) reader_fail(&r, "extension line");
    }
    TRY(reader_finish(&r, "checkpoint"));
    /* SPEC c2sp-tlog-checkpoint Note text: "The origin MUST be non-empty, and it SHOULD be a
     * schema-less URL" */
    if (cp.origin.len == 0) return error_new(ERROR_INVALID_ARGUMENT, "checkpoint: empty origin");
    TRY(decode_root(root, &cp.root));

    *out = cp;
    return NULL;
}

void checkpoint_put_body(struct buf *out, struct bytes origin, uint64_t size,
                         const struct sha256 *root) {
    buf_put(out, origin);
    buf_put_cstr(out, "\n");
    buf_put_dec(out, size);
    buf_put_cstr(out, "\n");
    base64_put(out, sha256_bytes(root));
    buf_put_cstr(out, "\n");
}
