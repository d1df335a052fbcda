/* settings: from flags and the configuration file to what a command opens DATA with. */
#ifndef ATTESTD_SETTINGS_H
#define ATTESTD_SETTINGS_H

#include "config/config.h"
#include "flags.h"
#include "instance/instance.h"

#define SETTINGS_ARENA_MAX ((size_t)4 << 20)

/* Flags of every command that opens DATA. */
#define SETTINGS_FLAG_DATA                                                                         \
    { "--data", "DIR", "data directory; default: config's, else see --help", 1 }
#define SETTINGS_FLAG_CONFIG                                                                       \
    { "--config", "FILE", "configuration, YAML", 1 }
#define SETTINGS_FLAG_PASSPHRASE                                                                   \
    { "--key-passphrase-file", "FILE", "passphrase of the keys at rest", 1 }
#define SETTINGS_FLAG_ANCHOR                                                                       \
    { "--anchor", "FILE", "outer anchor", 1 }

/* settings_config reads the file of --config, if given, and over it every flag of `f` that is a key
 * of the configuration; texts are in `arena`. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *settings_config(const struct flags *f, struct arena *arena,
                                       struct config *out);

/* settings_instance fills `out`, which borrows from `config` and `data`. What the instance says
 * goes to standard error. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *settings_instance(const struct config *config, struct file_path *data,
                                         struct instance_options *out);

#endif
