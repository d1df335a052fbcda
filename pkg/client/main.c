/* Finds the command, runs it, and turns what comes back into words and an exit code. */
#include <stdio.h>
#include <stdlib.h>

#include "client/connection.h"
#include "client/internal.h"
#include "crypto/secret.h"
#include "msg/msg.h"

#define VERSION "0.1.0"

#define LOCAL_ADVICE "Look at the path, at who may use it, and at the room on its disk."

/* What a person can do about an error that no command knew better about. */
static const char *todo_of(const struct cli *cli, const struct error *err) {
    const char *advice = reason_advice(error_reason(err));
    if (advice[0] != '\0') return advice;
    if (cli == NULL || !cli->calling) { /* of this machine's files: file_errno's codes */
        enum error_code code = error_code(err);
        return code == ERROR_UNAVAILABLE || code == ERROR_PERMISSION_DENIED ? LOCAL_ADVICE : "";
    }
    switch (error_code(err)) {
        case ERROR_UNAVAILABLE:
            return "Is attestd running, are --server and --ca right? `curl -k SERVER/checkpoint` "
                   "asks.";
        case ERROR_DEADLINE_EXCEEDED:
            return "Give it longer with --timeout.";
        case ERROR_UNAUTHENTICATED:
            return "Name a token file with --token-file or ATTEST_TOKEN_FILE.";
        case ERROR_PERMISSION_DENIED:
            return "Use a token that has the scope this needs.";
        default:
            return "";
    }
}

static void print_error(const struct client_io *io, const struct cli *cli, struct error *err) {
    char text[2048];
    error_text(err, text, sizeof text);
    const char *advice = cli != NULL && cli->advice != NULL ? cli->advice : todo_of(cli, err);
    (void)fprintf(io->err, "%sattest:%s ", io->err_colour ? "\033[31m" : "",
                  io->err_colour ? "\033[0m" : "");
    cli_put(io->err, bytes_of_cstr(text));
    (void)fprintf(io->err, "\n");
    if (advice[0] != '\0')
        (void)fprintf(io->err, "%s\n", advice);
    else if (cli != NULL)
        (void)fprintf(io->err, "See `attest %s --help`.\n", cli->command->name);
    error_ignore(err, "said to the person");
}

static struct error *run(struct cli *cli, int argc, char **argv, int *out_exit) {
    struct error *err = args_parse(&cli->arena, cli->command, argc, argv, &cli->args);
    if (err != NULL) {
        struct error *same = cli_usage(cli, "%s", error_message(err));
        error_ignore(err, "said again, with where to look");
        return same;
    }
    if (args_has(&cli->args, "help")) {
        help_command(cli->io->out, cli->command);
        *out_exit = CLI_EXIT_YES;
        return NULL;
    }
    cli->json = args_has(&cli->args, "json");
    TRY(crypto_init());
    if (cli->command->server) TRY(settings_load(cli, &cli->settings));
    return cli->command->run(cli, out_exit);
}

static int run_command(const struct command *command, int argc, char **argv,
                       const struct client_io *io) {
    struct cli cli = {.io = io, .command = command};
    int code = CLI_EXIT_UNKNOWN;
    arena_init(&cli.arena, CLI_ARENA_MAX);
    struct error *err = run(&cli, argc, argv, &code);
    if (err == NULL) err = cli_flush(io);
    if (err != NULL) {
        code = CLI_EXIT_UNKNOWN;
        (void)fflush(io->out);
        print_error(io, &cli, err);
    }
    connection_free(cli.connection);
    msg_schema_free(cli.schema);
    arena_done(&cli.arena);
    return code;
}

static int unknown_command(const struct client_io *io, int argc, char **argv) {
    char words[160];
    bool family = argc > 1 && help_is_family(argv[0]);
    (void)snprintf(words, sizeof words, "%.64s%s%.64s", argv[0], family ? " " : "",
                   family ? argv[1] : "");
    const char *near = command_suggest(words);
    (void)fprintf(io->err, "attest: there is no command `%s`%s%s%s\n", words,
                  near == NULL ? "" : "; did you mean `", near == NULL ? "" : near,
                  near == NULL ? "" : "`?");
    (void)fprintf(io->err, "See `attest %s%s--help`.\n", family ? argv[0] : "", family ? " " : "");
    return CLI_EXIT_UNKNOWN;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* `attest`, `attest --help`, `attest help COMMAND`, `attest --version`, `attest log`. */
static bool answer_about_itself(int argc, char **argv, const struct client_io *io, int *out) {
    int words = 0;
    *out = CLI_EXIT_YES;
    if (argc == 0 || (is_help(argv[0]) && argc == 1)) {
        help_all(argc == 0 ? io->err : io->out);
        if (argc == 0) *out = CLI_EXIT_UNKNOWN;
        return true;
    }
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "version") == 0) {
        (void)fprintf(io->out, "attest %s\n", VERSION);
        return true;
    }
    bool help = is_help(argv[0]);
    int at = help ? 1 : 0;
    const struct command *c = command_find(argc - at, argv + at, &words);
    if (c != NULL && help) {
        help_command(io->out, c);
        return true;
    }
    bool family_alone = argc == at + 1 || (argc == at + 2 && is_help(argv[at + 1]));
    if (c != NULL || !help_is_family(argv[at]) || !family_alone) return false;
    bool asked = help || argc == at + 2;
    help_family(asked ? io->out : io->err, argv[at]);
    if (!asked) *out = CLI_EXIT_UNKNOWN;
    return true;
}

int client_main(int argc, char **argv, const struct client_io *io) {
    int words = 0, code = CLI_EXIT_UNKNOWN;
    if (argc > 0) {
        argc--;
        argv++;
    }
    if (answer_about_itself(argc, argv, io, &code)) {
        struct error *err = cli_flush(io);
        if (err == NULL) return code;
        print_error(io, NULL, err);
        return CLI_EXIT_UNKNOWN;
    }
    const struct command *c = command_find(argc, argv, &words);
    if (c == NULL) return unknown_command(io, argc, argv);
    return run_command(c, argc - words, argv + words, io);
}
