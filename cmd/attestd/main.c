/* attestd: provenance attestations under a transparency log, in one process. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "commands.h"
#include "config/config.h"
#include "crypto/secret.h"
#include "file/file.h"
#include "flags.h"
#include "server.h"

#ifdef __SANITIZE_ADDRESS__
#define DUMPABLE 1 /* LeakSanitizer traces its own process */
#else
#define DUMPABLE 0
#endif

struct command {
    const char *name;
    const char *second; /* the second word, or NULL */
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"serve", NULL, serve_main, "run the server; an empty data directory is initialised first"},
    {"init", NULL, init_main, "make a data directory: keys, certificates, a first token"},
    {"fsck", NULL, fsck_main, "recompute a stopped log from its entries and compare everything"},
    {"backup", NULL, backup_main, "copy the data directory, while it is served or stopped"},
    {"restore", NULL, restore_main, "fill an empty data directory from a backup"},
    {"token", "create", token_create_main, "make a token offline, when the admin token is lost"},
    {"anchor", "accept", anchor_accept_main, "make a missing outer anchor of a stopped log"},
    {"config", "check", config_check_main, "read a configuration and say what is wrong with it"},
    {"version", NULL, version_main, "print the version"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

int report(struct error *err, int code) {
    char text[2048];
    error_text(err, text, sizeof text);
    (void)fprintf(stderr, "attestd: %s\n", text);
    error_free(err);
    return code;
}

int exit_of(const struct error *err) {
    switch (error_code(err)) {
        case ERROR_INVALID_ARGUMENT:
            return EXIT_USAGE;
        case ERROR_FAILED_PRECONDITION:
        case ERROR_DATA_LOSS:
            return EXIT_REFUSED;
        default:
            return EXIT_OTHER;
    }
}

int report_output(int code, int lost) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    clearerr(stdout); /* said once */
    int said = report(error_new(ERROR_UNAVAILABLE, "standard output cannot be written"), lost);
    return code == EXIT_CLEAN ? said : code;
}

int version_main(int argc, char **argv) {
    if (argc == 2 && flags_is_help(argv[1])) {
        (void)printf("usage: attestd version\n");
        return EXIT_CLEAN;
    }
    if (argc > 1)
        return report(error_new(ERROR_INVALID_ARGUMENT, "version takes no arguments"), EXIT_USAGE);
    (void)printf("attestd %s\n", ATTESTD_VERSION);
    return EXIT_CLEAN;
}

static struct error *check_file(const char *file) {
    struct arena arena;
    struct bytes yaml;
    struct config config;
    arena_init(&arena, (size_t)4 << 20);
    config_default(&config);
    struct error *err = NULL;
    if (file != NULL) {
        err = file_read_given(&arena, file, (size_t)256 << 10, &yaml);
        if (err == NULL) err = config_load(&arena, yaml, file, &config);
    }
    if (err == NULL) err = config_check(&config);
    if (err == NULL) err = server_check(&config);
    arena_done(&arena);
    return err;
}

int config_check_main(int argc, char **argv) {
    static const struct flag table[] = {{"--config", "FILE", "configuration, YAML", 1}};
    struct flag_value values[1] = {0};
    struct flags flags = {.flags = table, .flag_count = 1, .values = values};
    struct error *err = flags_parse(&flags, argc, argv);
    if (err != NULL) return report(err, EXIT_USAGE);
    if (flags.help) {
        struct buf keys;
        buf_init(&keys, (size_t)1 << 16);
        config_put_help(&keys);
        flags_print_help(stdout, &flags, "attestd config check [--config FILE]",
                         "attestd config check --config /etc/attestd/attestd.yaml");
        (void)printf("\nkeys [default]:\n%.*s", (int)keys.len, (const char *)keys.data);
        buf_done(&keys);
        return EXIT_CLEAN;
    }
    err = check_file(flags_get(&flags, "--config"));
    if (err != NULL) return report(err, EXIT_USAGE);
    (void)printf("ok\n");
    return EXIT_CLEAN;
}

static int usage(FILE *out, int code) {
    (void)fprintf(out, "usage: attestd COMMAND [flags]\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s%s%s", commands[i].name,
                       commands[i].second == NULL ? "" : " ",
                       commands[i].second == NULL ? "" : commands[i].second);
        (void)fprintf(out, "  %-16s %s\n", name, commands[i].help);
    }
    (void)fprintf(out,
                  "\nattestd COMMAND --help says more.\n\nexample:\n"
                  "  attestd serve --data /tmp/attestd-demo --listen 127.0.0.1:0\n");
    return code;
}

/* What this process writes is its owner's alone, and what it holds is in no core dump: a signature
 * of a round that failed must die with the process. The limit alone does not keep a dump from a
 * core_pattern that is a program; not being dumpable does, and it keeps other processes of the same
 * user from reading keys out of this one's memory. */
static void harden(void) {
    const struct rlimit none = {0, 0};
    (void)umask(0077);
    (void)setrlimit(RLIMIT_CORE, &none);             /* lowering a limit is always allowed */
    (void)prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0); /* cannot fail with these values */
}

/* Large blocks are mapped and go back when they are freed. By itself malloc raises this threshold
 * to what was freed last: after a few documents of megabytes it kept 250 MB, with this 58 MB. And
 * arenas do not multiply with the machine's cores. */
static void bound_heap(void) {
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
    (void)mallopt(M_ARENA_MAX, 8);
}

int main(int argc, char **argv) {
    harden();
    bound_heap();
    struct error *err = file_hold_standard();
    if (err != NULL) return report(err, EXIT_OTHER);
    if (argc < 2) return usage(stderr, EXIT_USAGE);
    if (flags_is_help(argv[1]) || strcmp(argv[1], "help") == 0)
        return report_output(usage(stdout, EXIT_CLEAN), EXIT_OTHER);
    if (strcmp(argv[1], "--version") == 0) return report_output(version_main(1, argv), EXIT_OTHER);
    err = crypto_init();
    if (err != NULL) return report(err, EXIT_OTHER);
    bool family = false; /* "token" */
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        int words = c->second == NULL ? 1 : 2;
        if (strcmp(argv[1], c->name) != 0) continue;
        family = true;
        if (words == 2 && (argc < 3 || strcmp(argv[2], c->second) != 0)) continue;
        int code = c->run(argc - words, argv + words);
        return c->run == serve_main ? code : report_output(code, EXIT_OTHER);
    }
    if (family && argc == 3 && flags_is_help(argv[2]))
        return report_output(usage(stdout, EXIT_CLEAN), EXIT_OTHER);
    (void)fprintf(stderr, "attestd: unknown command \"%s%s%s\"\n\n", argv[1],
                  family && argc > 2 ? " " : "", family && argc > 2 ? argv[2] : "");
    return usage(stderr, EXIT_USAGE);
}
