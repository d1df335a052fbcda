/* fsck: what its two files share: entries are checked one by one on all workers (fsck_entry.c), the
 * tree and everything above them in order (fsck.c). */
#ifndef TLOG_FSCK_H
#define TLOG_FSCK_H

#include "tlog/internal.h"

/* X(enumerator, what a person reads behind "entry N: ") */
#define FSCK_TABLE(X)                                                                              \
    X(MISSING, "is missing or damaged")                                                            \
    X(KIND, "is of no known kind")                                                                 \
    X(LEAF, "its leaf is not that of its payload and signature")                                   \
    X(SIGNATURE, "its statement's signature does not verify")                                      \
    X(SET, "its signed entry timestamp does not verify")                                           \
    X(STATEMENT, "its payload is no statement that this version can read")                         \
    X(ROWS, "rows that it should be found by are missing or differ")

enum fsck_problem {
#define FSCK_ENUM(e, text) FSCK_##e,
    FSCK_TABLE(FSCK_ENUM)
#undef FSCK_ENUM
        FSCK_PROBLEM_COUNT
};

/* What the check of one entry found. */
struct fsck_entry {
    uint64_t index;
    uint32_t problems; /* bits of enum fsck_problem */
    uint64_t rows_missing;
    struct sha256 leaf_hash; /* where it is not missing */
    int64_t integrated_s;
    uint64_t tree_size;
    struct store_check rows;
    struct error *err; /* owned: could not tell */
};

/* fsck_check_entry checks out->index on its own. Thread-safe. */
void fsck_check_entry(const struct tlog *t, const struct kv_snapshot *snap, struct fsck_entry *out);

#endif
