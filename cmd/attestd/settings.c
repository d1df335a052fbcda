#include "settings.h"

#include <stdio.h>

#define CONFIG_FILE_MAX ((size_t)256 << 10)

static const struct {
    const char *flag, *key;
} flag_keys[] = {
    {"--data", "data"},
    {"--listen", "listen"},
    {"--ops-listen", "ops.listen"},
    {"--policies", "policies"},
    {"--anchor", "anchor.file"},
    {"--key-passphrase-file", "key.passphrase_file"},
};

static struct error *set_from_flag(const struct flags *f, struct arena *arena, size_t i,
                                   struct config *config) {
    const char *value = flags_find(f, flag_keys[i].flag);
    if (value == NULL) return NULL;
    return config_set(arena, config, bytes_of_cstr(flag_keys[i].key), bytes_of_cstr(value));
}

struct error *settings_config(const struct flags *f, struct arena *arena, struct config *out) {
    const char *file = flags_find(f, "--config");
    struct config config;
    struct bytes yaml;
    config_default(&config);
    if (file != NULL) {
        struct error *err = file_read_given(arena, file, CONFIG_FILE_MAX, &yaml);
        if (err != NULL)
            return error_recode(err, ERROR_INVALID_ARGUMENT, "the configuration does not read");
        TRY(config_load(arena, yaml, file, &config));
    }
    for (size_t i = 0; i < sizeof flag_keys / sizeof *flag_keys; i++)
        TRY(set_from_flag(f, arena, i, &config));
    TRY(config_check(&config));
    *out = config;
    return NULL;
}

static void say(void *ctx, const char *line) {
    (void)ctx;
    (void)fprintf(stderr, "%s\n", line);
}

struct error *settings_instance(const struct config *config, struct file_path *data,
                                struct instance_options *out) {
    const char *dir = config->data;
    if (dir[0] == '\0') {
        TRY(instance_default_data(data));
        dir = data->text;
    }
    *out = (struct instance_options){.data = dir,
                                     .passphrase_file = config->key_passphrase_file,
                                     .anchor = config->anchor_file,
                                     .db = KV_ROCKSDB_DEFAULTS,
                                     .clock = &clock_system,
                                     .entropy = &entropy_system,
                                     .say = say};
    out->db.block_cache_octets = config->store_cache;
    out->db.memtable_octets = config->store_memtables;
    out->db.wal_octets = config->store_wal;
    return NULL;
}
