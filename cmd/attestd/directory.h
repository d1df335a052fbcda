/* directory: what the commands on a stopped data directory have in common: flags in, options of the
 * instance out. */
#ifndef ATTESTD_DIRECTORY_H
#define ATTESTD_DIRECTORY_H

#include "commands.h"
#include "settings.h"

#define DIRECTORY_FLAGS_MAX 12

/* One command line, being read. The caller's storage; directory_done frees. */
struct directory {
    struct flag_value values[DIRECTORY_FLAGS_MAX];
    struct flags flags;
    struct arena arena;
    struct config config;
    struct file_path data;
    struct instance_options instance;
};

struct directory_command {
    const struct flag *flags;
    size_t flag_count;
    size_t operand_max;
    const char *usage;
    const char *example;
};

/* directory_read reads argv. False: the command is over, with *out_code, because --help was asked
 * for or something is wrong with the command line, which was said. */
MUST_USE bool directory_read(struct directory *d, const struct directory_command *command, int argc,
                             char **argv, int *out_code);
void directory_done(struct directory *d);

#endif
