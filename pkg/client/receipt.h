/* client/receipt: what the server hands back is verified before it is believed. Internal. */
#ifndef CLIENT_RECEIPT_H
#define CLIENT_RECEIPT_H

#include "client/trust.h"

/* cli_trust gives the server's pinned trust; where none is saved yet it is fetched and pinned, and
 * standard error says so. Owned by the caller. */
MUST_USE struct error *cli_trust(struct cli *cli, struct trust **out);

/* cli_fetch_trust asks the server. */
MUST_USE struct error *cli_fetch_trust(struct cli *cli, struct trust_files *out);

struct receipt_check {
    struct bytes receipt;
    uint64_t index;                 /* that the server said */
    const struct subject *subjects; /* all must be in it */
    size_t subject_count;
    const char *predicate_type; /* NULL: any */
};

/* cli_check_receipt verifies by the pinned trust; a key that is not in it is looked for once more
 * at the server, which may add but not change. What is wrong goes to standard error. `out` is set
 * where *out_good and lives in `arena`. */
MUST_USE struct error *cli_check_receipt(struct cli *cli, struct arena *arena,
                                         const struct receipt_check *check,
                                         struct bundle_verification *out, bool *out_good);

#endif
