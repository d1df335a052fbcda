/*
 * After a failed write the log signs nothing more (crash-only): the process replaces itself once by
 * a fresh one, which starts from what is stored. A second failure within a minute ends it: a disk
 * that fails again and again must not be hammered, and after an fsync error the page cache may lie.
 */
#include "commands.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/reader.h"
#include "flags.h"
#include "obs/obs.h"
#include "server.h"
#include "settings.h"

#define RESTART_ENV "ATTESTD_RESTARTED_AT" /* seconds since 1970 of the last self-restart */
#define RESTART_QUIET_S 60

static const struct flag flag_table[] = {
    {"--data", "DIR", "data directory (default: see attestd init --help)", 1},
    {"--listen", "ADDR:PORT", "service, TLS (default 127.0.0.1:8443; port 0 picks one)", 1},
    {"--ops-listen", "ADDR:PORT", "health and metrics, plain (default 127.0.0.1:9464)", 1},
    {"--config", "FILE", "configuration, YAML", 1},
    {"--policies", "DIR", "policy directory (default DATA/policies)", 1},
    {"--anchor", "FILE", "outer anchor", 1},
    {"--key-passphrase-file", "FILE", "passphrase of the keys at rest", 1},
};
#define FLAGS (sizeof flag_table / sizeof *flag_table)

/* For the start, and for SIGHUP; ctx is the flags. */
static struct error *read_config(void *ctx, struct arena *arena, struct config *out) {
    return settings_config(ctx, arena, out);
}

/* An empty directory is initialised as by `attestd init`. */
static struct error *init_if_empty(const struct server_options *o) {
    enum instance_state state;
    const struct instance_init init = {.listen = o->config.listen};
    TRY(instance_look(o->instance.data, &state));
    return state == INSTANCE_EMPTY ? instance_init(&o->instance, &init) : NULL;
}

static bool may_restart(void) {
    const char *at = getenv(RESTART_ENV);
    uint64_t last = 0;
    int64_t now = clock_unix_ms(&clock_system) / 1000;
    if (at != NULL && bytes_to_u64(bytes_of_cstr(at), &last) &&
        now - (int64_t)last < RESTART_QUIET_S)
        return false;
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)now);
    return setenv(RESTART_ENV, text, 1) == 0;
}

/* Nothing is closed or flushed on the way: what is stored is what the next start goes by. */
static int start_anew(int argc, char **argv) {
    char *args[64] = {"attestd"};
    int count = 1;
    if (!may_restart()) {
        log_event(LOG_ERROR, "not_restarting",
                  LOG_CSTR("why", "the log failed again within a minute; look at the disk"));
        _exit(EXIT_OTHER);
    }
    for (int i = 0; i < argc && count < 63; i++) args[count++] = argv[i];
    log_event(LOG_WARN, "restarting", LOG_CSTR("why", "the log failed; starting from the store"));
    (void)execv("/proc/self/exe", args);
    _exit(EXIT_OTHER);
}

static int run(struct server_options *options, int argc, char **argv) {
    bool failed = false;
    struct server *server = NULL;
    struct error *err = server_check(&options->config);
    if (err == NULL) err = init_if_empty(options);
    if (err == NULL) err = server_open(options, &server);
    if (err != NULL) return report(err, exit_of(err));
    err = server_run(server, &failed);
    if (failed && err != NULL) _exit(report(err, EXIT_OTHER)); /* as start_anew, but to the end */
    if (failed) return start_anew(argc, argv);
    server_free(server);
    return err == NULL ? EXIT_CLEAN : report(err, exit_of(err));
}

int serve_main(int argc, char **argv) {
    struct flag_value values[FLAGS] = {0};
    struct flags flags = {.flags = flag_table, .flag_count = FLAGS, .values = values};
    struct server_options options = {.reload = read_config, .ctx = &flags};
    struct file_path data;
    struct arena arena;
    server_hold_hangups(true);
    struct error *err = flags_parse(&flags, argc, argv);
    if (err != NULL) return report(err, EXIT_USAGE);
    if (flags.help) {
        flags_print_help(stdout, &flags, "attestd serve [flags]",
                         "attestd serve --data /tmp/attestd-demo --listen 127.0.0.1:0");
        return report_output(EXIT_CLEAN, EXIT_OTHER);
    }
    arena_init(&arena, SETTINGS_ARENA_MAX);
    err = read_config(&flags, &arena, &options.config);
    if (err == NULL) err = settings_instance(&options.config, &data, &options.instance);
    int code = err == NULL ? run(&options, argc, argv) : report(err, EXIT_USAGE);
    arena_done(&arena);
    return code;
}
