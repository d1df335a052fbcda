#include "directory.h"

#include "base/assert.h"

static struct error *read_all(struct directory *d, int argc, char **argv) {
    TRY(flags_parse(&d->flags, argc, argv));
    if (d->flags.help) return NULL;
    TRY(settings_config(&d->flags, &d->arena, &d->config));
    return settings_instance(&d->config, &d->data, &d->instance);
}

bool directory_read(struct directory *d, const struct directory_command *command, int argc,
                    char **argv, int *out_code) {
    ASSERT(command->flag_count <= DIRECTORY_FLAGS_MAX);
    *d = (struct directory){0};
    d->flags = (struct flags){.flags = command->flags,
                              .flag_count = command->flag_count,
                              .values = d->values,
                              .operand_max = command->operand_max};
    arena_init(&d->arena, SETTINGS_ARENA_MAX);
    struct error *err = read_all(d, argc, argv);
    if (err != NULL) {
        *out_code = report(err, EXIT_USAGE);
        return false;
    }
    if (!d->flags.help) return true;
    flags_print_help(stdout, &d->flags, command->usage, command->example);
    *out_code = EXIT_CLEAN;
    return false;
}

void directory_done(struct directory *d) { arena_done(&d->arena); }
