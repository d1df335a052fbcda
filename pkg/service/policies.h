/* policies: reading a policy directory: for the server at start and on SIGHUP, and for `attest
 * policy test|lint`. */
#ifndef SERVICE_POLICIES_H
#define SERVICE_POLICIES_H

#include "base/arena.h"
#include "base/error.h"
#include "policy/policy.h"

#define POLICIES_FILES_MAX 1000
#define POLICY_FILE_MAX ((size_t)256 << 10)

struct policies_dir {
    const struct policy_file *policies; /* and builders.yaml; in order of name */
    size_t policy_count;
    const struct policy_file *tests; /* *.test.yaml */
    size_t test_count;
};

enum policies_reader {
    POLICIES_TRIED =
        0, /* tested or linted: owners say nothing, for who tests need not be who serves */
    POLICIES_OBEYED, /* served: folder and files must be root's or this process's user's */
};

/* policies_read_dir reads the *.yaml files of `dir` once: regular files, links refused, neither the
 * folder nor a file writable by others or a foreign group; other names are passed over. A folder
 * that does not exist reads as empty where `may_be_missing`. Errors: FAILED_PRECONDITION with the
 * name and what to do; RESOURCE_EXHAUSTED over the bounds. */
MUST_USE struct error *policies_read_dir(struct arena *arena, const char *dir,
                                         enum policies_reader reader, bool may_be_missing,
                                         struct policies_dir *out);

/* policies_read_file reads one file of `dir` (a case's statement) under the rules for
 * POLICIES_TRIED, at most `max` octets. `name` has no "/". */
MUST_USE struct error *policies_read_file(struct arena *arena, const char *dir, struct text name,
                                          size_t max, struct bytes *out);

#endif
