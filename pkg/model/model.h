/*
 * model: what a machine-learning model is as a subject: its files in order of name, the SHA-256 of
 * each, and the root over those. Pure: folders and files come through a seam.
 * Implements: OpenSSF model-signing v1.0, method "files", hash sha256, links refused.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "json/json.h"

#define MODEL_PREDICATE_TYPE "https://model_signing/signature/v1.0"
#define MODEL_FILES_MAX ((size_t)1000000)
#define MODEL_DEPTH_MAX 64 /* folders in folders */
#define MODEL_PATH_MAX ((size_t)4095)

struct model_file {
    struct text name; /* relative to the model, "/" between parts; a NUL stands behind it */
    uint64_t octets;  /* 0 where it was read from a manifest */
    struct sha256 digest;
};

struct model {
    struct model_file *files; /* in code-point order of names */
    size_t count;             /* at least 1 */
    uint64_t octets;          /* of all files */
    struct sha256 root;       /* the subject's sha256. It does not bind names: compare manifests */
    struct text *ignored;     /* paths whose files are no part of it; in order */
    size_t ignored_count;
};

enum model_node {
    MODEL_NODE_UNSET = 0,
    MODEL_NODE_FILE, /* regular */
    MODEL_NODE_FOLDER,
    MODEL_NODE_LINK,
    MODEL_NODE_OTHER, /* pipe, socket, device */
};

struct model_entry {
    struct bytes name; /* one part: no "/", not "." or ".." */
    enum model_node node;
    uint64_t octets; /* of a file */
};

/* The seam. Paths are relative to the model; "" is its top folder. */
struct model_source {
    /* list tells `each` of every entry of `folder`, in any order, and returns its first error. */
    struct error *(*list)(void *ctx, struct text folder,
                          struct error *(*each)(void *each_ctx, const struct model_entry *entry),
                          void *each_ctx);
    /* read gives the octets of a file to `chunk`, front to back, following no link. It is an error
     * if the file changes meanwhile, or is no regular file. */
    struct error *(*read)(void *ctx, struct text path,
                          void (*chunk)(void *chunk_ctx, struct bytes octets), void *chunk_ctx);
    void *ctx;
};

/* model_list finds the files: everything in `out` but digests, root and the sum of octets. What
 * lies under the four git paths at the top (.git, .gitattributes, .github, .gitignore) or under a
 * path of `ignore` (relative; a trailing "/" is allowed) is passed over.
 * Errors: INVALID_ARGUMENT for a link or any other node than file and folder, a name that is not
 * UTF-8, a model without a file, a path to ignore that is not in the model; RESOURCE_EXHAUSTED over
 * the limits; the source's. */
MUST_USE struct error *model_list(struct arena *arena, const struct model_source *src,
                                  const struct text *ignore, size_t ignore_count,
                                  struct model *out);

/* model_hash_file reads one file of a listed model and sets its digest and octets. Different files
 * may be hashed by different threads at once, where the source allows it. */
MUST_USE struct error *model_hash_file(const struct model_source *src, struct model_file *file);

/* model_finish sets root and octets once every file is hashed. */
void model_finish(struct model *m);

/* model_digest does all three, one file after the other. */
MUST_USE struct error *model_digest(struct arena *arena, const struct model_source *src,
                                    const struct text *ignore, size_t ignore_count,
                                    struct model *out);

/* model_put_predicate writes the manifest as a predicate of MODEL_PREDICATE_TYPE: one line of
 * canonical JSON (RFC 8785). Its subject is one: {"sha256": root}. */
void model_put_predicate(struct buf *out, const struct model *m);

/* model_read_predicate reads such a manifest, of whatever maker, in any order of names; the root is
 * over the order it stands in. Errors: INVALID_ARGUMENT if it is malformed, empty, names a path
 * twice or one outside of the model, or is of another method or hash. */
MUST_USE struct error *model_read_predicate(struct arena *arena, const struct json_value *predicate,
                                            struct model *out);

/* model_compare answers whether `have` (hashed here) is what `want` (a manifest) says: the same
 * names with the same digests, and nothing ignored but what `have` ignored, too. Where not,
 * `*out_why` is one clause for a person, in `arena`. Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *model_compare(struct arena *arena, const struct model *want,
                                     const struct model *have, bool *out_same,
                                     struct text *out_why);

#endif
