/* internal: names and lists, shared by the files of model. */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include "model/model.h"

/* path_is_inside: parts between single slashes, none of them empty, "." or "..". */
bool path_is_inside(struct bytes path);

/* A list of files that grows in the arena; `files` moves while it does. */
struct file_list {
    struct arena *arena;
    struct model_file *files;
    size_t count;
    size_t cap;
};
MUST_USE struct error *file_list_add(struct file_list *l, struct text name, uint64_t octets);

/* model_sort puts files into code-point order, which is that of their octets in UTF-8. False if two
 * have the same name. */
bool model_sort(struct model *m);

/* model_root is the digest over the digests, in the order the files stand in. */
struct sha256 model_root(const struct model *m);

#endif
