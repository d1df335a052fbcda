/* commands: the daemon's subcommands. Each takes argv with its own name first and returns the exit
 * code: 0 clean, 2 usage or configuration, 3 refuses what is in the data directory, 1 else. */
#ifndef ATTESTD_COMMANDS_H
#define ATTESTD_COMMANDS_H

#include "base/error.h"

enum { EXIT_CLEAN = 0, EXIT_OTHER = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };

#define ATTESTD_VERSION "0.1.0"

int serve_main(int argc, char **argv);
int init_main(int argc, char **argv);
int fsck_main(int argc, char **argv);
int backup_main(int argc, char **argv);
int restore_main(int argc, char **argv);
int token_create_main(int argc, char **argv);
int anchor_accept_main(int argc, char **argv);
int config_check_main(int argc, char **argv);
int version_main(int argc, char **argv);

/* report prints "attestd: <what went wrong>" on standard error, frees `err`, and returns `code`. */
int report(struct error *err, int code);

/* exit_of is the exit code that goes with an error: the caller's words (2), what is in the data
 * directory (3), else 1. */
int exit_of(const struct error *err);

/* report_output is `code`, or, where standard output did not take all that was printed, says so and
 * gives `lost` for a code that was clean. */
int report_output(int code, int lost);

#endif
