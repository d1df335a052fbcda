/* client: the `attest` command: arguments in, calls to attestd or work on files, an answer for a
 * person or (--json) a program, and an exit code. One command a process; not thread-safe. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdio.h>

#include "bundle/bundle.h"

struct client_io {
    FILE *in;
    FILE *out;
    FILE *err;
    bool out_colour; /* a terminal that shows colours */
    bool err_colour;
};

/* client_main runs the command of `argv` (argv[0] is the program). Returns the exit code:
 * 0 yes or done; 1 the answer is no; 2 anything else. */
int client_main(int argc, char **argv, const struct client_io *io);

/* --- trust, pinned at first fetch */
enum trust_change {
    TRUST_CHANGE_UNSET = 0,
    TRUST_CHANGE_REFUSED, /* something saved was dropped or changed: nothing may be saved */
    TRUST_CHANGE_NONE,
    TRUST_CHANGE_ADDED,
};

/* client_compare_trust answers whether `fetched` may replace `saved`: every log and key that was
 * saved must be there as it was, window and purpose included, and the origin must be the same.
 * `each` is told, in one line a time, what was dropped, changed or added. */
enum trust_change client_compare_trust(const struct trust *saved, const struct trust *fetched,
                                       void (*each)(void *ctx, const char *line), void *ctx);

#endif
