/* attestd init and attestd restore: filling an empty data directory. */
#include <stdio.h>

#include "directory.h"

static const struct flag init_flags[] = {
    SETTINGS_FLAG_DATA,
    {"--origin", "HOST", "the log's name, for ever; default: this machine's", 1},
    {"--tls-name", "NAME", "host name or address for the server's certificate; may come again",
     FLAG_VALUES_MAX},
    SETTINGS_FLAG_PASSPHRASE,
    SETTINGS_FLAG_CONFIG,
};

static const struct directory_command init_command = {
    init_flags, sizeof init_flags / sizeof *init_flags, 0,
    "attestd init [--data DIR] [--origin HOST] [--tls-name NAME]...",
    "attestd init --data /tmp/attestd-demo --origin attest.example --tls-name build7.example"};

static struct error *init(const struct directory *d) {
    struct text names[FLAG_VALUES_MAX];
    const struct flag_value *given = flags_all(&d->flags, "--tls-name");
    for (size_t i = 0; i < given->count; i++)
        if (!text_of_bytes(bytes_of_cstr(given->values[i]), &names[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "--tls-name is not UTF-8");
    const struct instance_init init = {.origin = flags_get(&d->flags, "--origin"),
                                       .tls_names = names,
                                       .tls_name_count = given->count,
                                       .listen = d->config.listen};
    return instance_init(&d->instance, &init);
}

int init_main(int argc, char **argv) {
    struct directory d;
    int code = EXIT_OTHER;
    if (directory_read(&d, &init_command, argc, argv, &code)) {
        struct error *err = init(&d);
        code = err == NULL ? EXIT_CLEAN : report(err, exit_of(err));
    }
    directory_done(&d);
    return code;
}

static const struct flag restore_flags[] = {
    SETTINGS_FLAG_DATA,
    {"--secret-file", "FILE", "the old DATA/secret, where the backup does not hold it", 1},
    SETTINGS_FLAG_PASSPHRASE,
    SETTINGS_FLAG_CONFIG,
};

static const struct directory_command restore_command = {
    restore_flags, sizeof restore_flags / sizeof *restore_flags, 1,
    "attestd restore BACKUP [--data DIR] [--secret-file FILE]",
    "attestd restore /backups/20260102T030405Z-42 --data /tmp/attestd-new --secret-file "
    "old/secret"};

static struct error *restore(const struct directory *d) {
    uint64_t tree_size = 0;
    if (d->flags.operand_count != 1)
        return error_new(ERROR_INVALID_ARGUMENT, "which backup? attestd restore BACKUP --data DIR");
    const struct instance_restore request = {.backup = d->flags.operands[0],
                                             .secret_file = flags_get(&d->flags, "--secret-file")};
    return instance_restore(&d->instance, &request, &tree_size);
}

int restore_main(int argc, char **argv) {
    struct directory d;
    int code = EXIT_OTHER;
    if (directory_read(&d, &restore_command, argc, argv, &code)) {
        struct error *err = restore(&d);
        code = err == NULL ? EXIT_CLEAN : report(err, exit_of(err));
    }
    directory_done(&d);
    return code;
}
