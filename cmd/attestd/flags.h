/* flags: a command's flags as one const table, and its --help from the same table. */
#ifndef ATTESTD_FLAGS_H
#define ATTESTD_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

#define FLAG_VALUES_MAX 32 /* of one flag that may come again */

/* What a flag was given. A switch has a count and no values. */
struct flag_value {
    const char *values[FLAG_VALUES_MAX]; /* borrowed from argv; the last one given is in force */
    size_t count;
};

struct flag {
    const char *name; /* "--data" */
    const char *arg;  /* "DIR"; NULL: a switch */
    const char *help;
    size_t max; /* how often it may come */
};

/* flags_parse reads argv[1..] into `values`, one for each of `flags`; "--name value" and
 * "--name=value". What is no flag is an operand; more than `operand_max` is an error. "--help" sets
 * *help and ends the reading. Errors: INVALID_ARGUMENT, saying what to do. */
struct flags {
    const struct flag *flags;
    size_t flag_count;
    struct flag_value *values;
    const char *operands[4]; /* borrowed from argv */
    size_t operand_count;
    size_t operand_max;
    int help;
};
bool flags_is_help(const char *word); /* "--help" or "-h" */
MUST_USE struct error *flags_parse(struct flags *f, int argc, char **argv);

/* flags_get returns the value in force, or NULL; flags_all every value. The command has the flag.
 */
const char *flags_get(const struct flags *f, const char *name);
/* flags_find does the same for a flag that this command may not have. */
const char *flags_find(const struct flags *f, const char *name);
const struct flag_value *flags_all(const struct flags *f, const char *name);

/* flags_print_help prints "usage", the flags, and `example`. */
void flags_print_help(FILE *out, const struct flags *f, const char *usage, const char *example);

#endif
