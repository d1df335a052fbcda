/*
 * modeldir: a model's folder on disk as model's source, and its digest with all cores in use. Files
 * are opened beneath the folder without following any link, and one that changes while it is hashed
 * is an error.
 */
#ifndef MODELDIR_MODELDIR_H
#define MODELDIR_MODELDIR_H

#include "model/model.h"

#define MODELDIR_THREADS_MAX 16

struct modeldir_options {
    const struct text *ignore; /* relative paths, beside the four git paths */
    size_t ignore_count;
    unsigned threads; /* 0: as many as there are processors */
};

/* modeldir_digest hashes the model in folder `path` (a link to one is followed: it is what the
 * caller named). Errors: NOT_FOUND; INVALID_ARGUMENT if it is no folder, or model_list refuses what
 * is in it; PERMISSION_DENIED; ABORTED if a file changed meanwhile; UNAVAILABLE for the rest of
 * I/O; RESOURCE_EXHAUSTED. */
MUST_USE struct error *modeldir_digest(struct arena *arena, const char *path,
                                       const struct modeldir_options *options, struct model *out);

/* modeldir_open gives the folder as a source, for one thread after the other or several at once;
 * modeldir_close ends it. Errors: as above. */
struct modeldir;
MUST_USE struct error *modeldir_open(const char *path, struct modeldir **out);
struct model_source modeldir_source(struct modeldir *d);
void modeldir_close(struct modeldir *d);
DEFINE_CLEANUP(struct modeldir, modeldir_close);

#endif
