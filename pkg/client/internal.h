/* client/internal: what the commands share. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "client/client.h"
#include "crypto/hash.h"
#include "json/json.h"

#define CLI_ARENA_MAX ((size_t)1 << 30)
#define CLI_RECEIPT_MAX ((size_t)8 << 20)
#define CLI_DOCUMENT_MAX ((size_t)4 << 20)
#define CLI_EXIT_YES 0
#define CLI_EXIT_NO 1
#define CLI_EXIT_UNKNOWN 2

struct cli;

/* --- arguments (args.c): "--name value", "--name=value", "--switch", words; "--" ends options */
struct option {
    const char *name;  /* without dashes */
    const char *value; /* how help writes it; NULL: a switch */
    const char *help;
    bool many; /* may come more than once */
};

#define COMMAND_OPTIONS_MAX 12

struct command {
    const char *name;  /* "gate", "log proof" */
    const char *group; /* what a person wants to do: the heading in `attest --help` */
    const char *usage; /* behind the name */
    const char *summary;
    const char *about;                          /* a paragraph for --help; may be NULL */
    struct option options[COMMAND_OPTIONS_MAX]; /* ends with a NULL name */
    bool server;                                /* also takes the options that name a server */
    int words_min, words_max;
    const char *example; /* a command line that runs: the end of --help */
    struct error *(*run)(struct cli *cli, int *out_exit);
};

/* The table (commands.c), ended by a NULL name. */
extern const struct command commands[];
/* Options of every command that talks to a server, and of every command. */
extern const struct option server_options[];
extern const struct option common_options[];

#define ARGS_MAX 4096 /* given options, and words: of one command line */

struct args {
    const struct option **options; /* of each given value */
    const char **values;           /* NULL for switches */
    size_t count;
    const char **words;
    size_t word_count;
};

/* args_parse reads what stands behind the command's name. Errors: INVALID_ARGUMENT with what to
 * write instead. */
MUST_USE struct error *args_parse(struct arena *arena, const struct command *command, int argc,
                                  char **argv, struct args *out);
bool args_has(const struct args *args, const char *name);
const char *args_value(const struct args *args, const char *name); /* NULL: not given */
/* args_next gives the values of `name` one by one, in order; *at starts as 0. NULL: no more. */
const char *args_next(const struct args *args, const char *name, size_t *at);
/* args_u64 reads a number; `otherwise` where not given. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *args_u64(const struct args *args, const char *name, uint64_t otherwise,
                                uint64_t *out);
/* args_duration reads "30s" into milliseconds; `otherwise` where not given. */
MUST_USE struct error *args_duration(const struct args *args, const char *name, int64_t otherwise,
                                     int64_t *out_ms);

/* command_find finds the command that `argv` begins with; *out_words is how many words it took. */
const struct command *command_find(int argc, char **argv, int *out_words);
/* command_suggest is the name of the command nearest to a mistyped one, or NULL. */
const char *command_suggest(const char *word);
void help_all(FILE *out);
void help_family(FILE *out, const char *family); /* "log": its commands */
bool help_is_family(const char *word);
void help_command(FILE *out, const struct command *command);

/* --- settings (settings.c): flag, then environment, then file */
struct settings {
    const char *server; /* as given: "https://host:port" */
    const char *host;
    uint16_t port;
    const char *ca;
    const char *token_file;
};
MUST_USE struct error *settings_load(struct cli *cli, struct settings *out);
/* settings_parse_server splits "https://host[:port]"; the host is in `arena`. */
MUST_USE struct error *settings_parse_server(struct arena *arena, const char *server,
                                             const char **out_host, uint16_t *out_port);
/* settings_state_dir is $XDG_STATE_HOME/attest (~/.local/state/attest). Errors: FAILED_PRECONDITION
 * where settings_has_state_dir says that there is neither. */
bool settings_has_state_dir(void);
MUST_USE struct error *settings_state_dir(struct arena *arena, const char **out);

/* --- files (files.c) */
bool path_exists(const char *path);
bool path_is_dir(const char *path);
/* cli_read_file reads a file, pipe or ("-") standard input. */
MUST_USE struct error *cli_read_file(struct arena *arena, const char *path, size_t max,
                                     struct bytes *out);
/* cli_write_file replaces a file whole, or not at all; a pipe or device is written to. */
MUST_USE struct error *cli_write_file(const char *path, struct bytes octets, mode_t mode);
/* cli_create_file makes one that is not there yet. Errors: ALREADY_EXISTS. */
MUST_USE struct error *cli_create_file(const char *path, struct bytes octets, mode_t mode);
/* cli_hash_file hashes a regular file; one that changes meanwhile is an error. */
MUST_USE struct error *cli_hash_file(const char *path, struct sha256 *out);

/* --- the command being run */
struct msg_schema;
struct connection;

struct cli {
    struct arena arena;
    const struct client_io *io;
    const struct command *command;
    struct args args;
    bool json;
    const char *advice; /* what to do about the error that run returns; NULL: by its code */
    struct settings settings;
    struct msg_schema *schema;     /* owned; made when first needed */
    struct connection *connection; /* owned; NULL until the first call */
    struct arena *scratch; /* NULL, or where calls put their messages: of one round of a loop */
    bool calling; /* in a call, or the last one failed: errors are the server's or the way's */
    int64_t timeout_ms;  /* --timeout; set with the connection */
    int64_t deadline_ms; /* by the monotone clock, of all calls together */
};

static inline struct arena *cli_arena(struct cli *cli) {
    return cli->scratch != NULL ? cli->scratch : &cli->arena;
}

/* --- output (out.c). What comes from others is printed through cli_put: nothing in it that a
 * terminal obeys reaches one. */
void cli_say(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_note(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_put(FILE *out, struct bytes text);
/* cli_field prints "  name      text\n". */
void cli_field(struct cli *cli, const char *name, struct bytes text);
enum colour { COLOUR_NONE = 0, COLOUR_GOOD, COLOUR_BAD, COLOUR_DIM };
void cli_colour(struct cli *cli, enum colour colour, const char *text);
/* cli_json prints one JSON document and a newline. */
void cli_json(struct cli *cli, struct bytes json);
/* cli_flush says whether all that was printed until now could be written. Errors: UNAVAILABLE. */
MUST_USE struct error *cli_flush(const struct client_io *io);
MUST_USE struct error *cli_usage(struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *cli_time(struct arena *arena, int64_t unix_ms); /* RFC 3339 */
/* cli_list returns room for `count` pointers, NULLs; NULL if the arena is full. */
void *cli_list(struct arena *arena, size_t count);
const char *cli_cstr(struct arena *arena, struct bytes b); /* NUL-terminated copy; "" if full */

/* --- subjects and materials (subject.c) */
struct model;
struct subject {
    const char *name;
    const char *algorithm;     /* "sha256" for subjects */
    const char *digest;        /* lower-case hex */
    const char *uri;           /* materials: else NULL */
    const char *role;          /* materials: else NULL */
    const char *file;          /* of a file or directory: its base name; else NULL */
    const struct model *model; /* of a directory: its files; else NULL */
};
/* subject_parse reads a SUBJECT: a file, a directory (a model), or [NAME@]sha256:HEX. */
MUST_USE struct error *subject_parse(struct arena *arena, const char *word, struct subject *out);
/* material_parse reads [role=NAME,]FILE|DIR|URI@ALG:HEX. */
MUST_USE struct error *material_parse(struct arena *arena, const char *word, struct subject *out);
/* subject_file_name is what a receipt about it is called without --out: "<base>.sigstore.json", by
 * the file's own name, else by NAME or the digest. */
const char *subject_file_name(struct arena *arena, const struct subject *s, unsigned attempt);
/* subjects_load reads all words of the command, with --name. */
MUST_USE struct error *subjects_load(struct cli *cli, struct subject **out, size_t *out_count);

/* --- the commands, by file */
struct error *run_provenance(struct cli *cli, int *out_exit);
struct error *run_attest(struct cli *cli, int *out_exit);
struct error *run_list(struct cli *cli, int *out_exit);
struct error *run_get(struct cli *cli, int *out_exit);
struct error *run_lineage(struct cli *cli, int *out_exit);
struct error *run_gate(struct cli *cli, int *out_exit);
struct error *run_model_digest(struct cli *cli, int *out_exit);
struct error *run_model_manifest(struct cli *cli, int *out_exit);
struct error *run_log_checkpoint(struct cli *cli, int *out_exit);
struct error *run_log_proof(struct cli *cli, int *out_exit);
struct error *run_log_consistency(struct cli *cli, int *out_exit);
struct error *run_log_entries(struct cli *cli, int *out_exit);
struct error *run_log_monitor(struct cli *cli, int *out_exit);
struct error *run_trust(struct cli *cli, int *out_exit);
struct error *run_token_create(struct cli *cli, int *out_exit);
struct error *run_token_list(struct cli *cli, int *out_exit);
struct error *run_token_revoke(struct cli *cli, int *out_exit);
struct error *run_bench(struct cli *cli, int *out_exit);
struct error *run_policy_test(struct cli *cli, int *out_exit);
struct error *run_policy_lint(struct cli *cli, int *out_exit);
struct error *run_verify(struct cli *cli, int *out_exit);

#endif
