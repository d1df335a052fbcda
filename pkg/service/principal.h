/* principal: who a call is from, as authenticated, and what it may do. */
#ifndef SERVICE_PRINCIPAL_H
#define SERVICE_PRINCIPAL_H

#include "base/bytes.h"
#include "base/error.h"

/* No scope implies another. */
enum scope {
    SCOPE_ATTEST = 1 << 0,
    SCOPE_READ = 1 << 1,
    SCOPE_GATE = 1 << 2,
    SCOPE_ADMIN = 1 << 3,
};

/* Immutable once made; who owns it is said by who hands it out. Empty lists do not restrict. */
struct principal {
    struct text name;   /* "token:<name>": unique for ever; what is signed into payloads */
    struct text method; /* "token" */
    struct text token_id;
    unsigned scopes;                    /* of enum scope */
    const struct text *predicate_types; /* exact; restrict `attest` */
    size_t predicate_type_count;
    const struct text *environments; /* globs; restrict `gate` */
    size_t environment_count;
    const struct text *subjects; /* globs on the subject's name; restrict `gate` */
    size_t subject_count;
    int64_t expires_ms;
};

/* principal_require answers NULL, or PERMISSION_DENIED with reason SCOPE_MISSING. */
MUST_USE struct error *principal_require(const struct principal *p, enum scope scope);

#endif
