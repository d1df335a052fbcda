/* attest trust: the files that receipts are verified with. */
#include <stdio.h>

#include "attestd/v1/trust.pb-c.h"
#include "client/connection.h"
#include "client/receipt.h"
#include "note/note.h"

static const struct method get_trust = {
    .path = "/attestd.v1.Trust/GetTrust",
    .request = &attestd__v1__get_trust_request__descriptor,
    .response = &attestd__v1__get_trust_response__descriptor,
};

static bool wants_root(const struct cli *cli) {
    const char *path = args_value(&cli->args, "out");
    return path != NULL && strcmp(path, "-") == 0;
}

static bool wants_print(const struct cli *cli) {
    return args_has(&cli->args, "key") || args_has(&cli->args, "log-vkey") || wants_root(cli);
}

static struct error *check_usage(struct cli *cli) {
    bool key = args_has(&cli->args, "key"), vkey = args_has(&cli->args, "log-vkey");
    if (!wants_print(cli)) return NULL;
    if (key + vkey + wants_root(cli) + cli->json > 1)
        return cli_usage(cli, "one of --key, --log-vkey, --out - and --json");
    if (!wants_root(cli) && args_has(&cli->args, "out"))
        return cli_usage(cli, "--key and --log-vkey print and save nothing: leave --out away");
    return NULL;
}

/* The line that C2SP tools want: name, hash and key of the log's Ed25519 key. */
static struct error *print_vkey(struct cli *cli, const struct trust *t) {
    struct buf b;
    buf_init_arena(&b, &cli->arena, 1024);
    for (size_t i = t->log_count; i > 0 && b.len == 0; i--) { /* the newest */
        const struct trust_log *log = &t->logs[i - 1];
        if (public_key_algorithm(log->key) == KEY_ED25519) note_put_vkey(&b, t->origin, log->key);
    }
    TRY(buf_finish(&b, "verifier key"));
    if (b.len == 0) return error_new(ERROR_NOT_FOUND, "the server names no Ed25519 log key");
    (void)fwrite(b.data, 1, b.len, cli->io->out);
    if (b.data[b.len - 1] != '\n') (void)fputc('\n', cli->io->out);
    return NULL;
}

static void say_refused(struct cli *cli, const char *path) {
    cli_note(cli, "attest: the server's keys are not the ones saved in %s; nothing is %s\n", path,
             wants_print(cli) ? "printed" : "saved");
    cli_note(
        cli,
        "Ask whoever runs it, over another channel, before you remove it and its .keys.json.\n");
}

/* What is printed or saved elsewhere is believed, so it has to be what was pinned, where there is a
 * pin. */
static struct error *check_pin(struct cli *cli, const struct trust_files *files,
                               bool *out_refused) {
    const char *path = NULL;
    enum trust_change change = TRUST_CHANGE_UNSET;
    if (!settings_has_state_dir()) return NULL;
    TRY(trust_path_of_server(cli, &path));
    TRY(trust_compare(cli, path, files, &change));
    *out_refused = change == TRUST_CHANGE_REFUSED;
    if (*out_refused) say_refused(cli, path);
    return NULL;
}

/* --key, --log-vkey and --out - print and save nothing. */
static struct error *print_only(struct cli *cli, const Attestd__V1__GetTrustResponse *r,
                                const struct trust_files *files, int *out_exit) {
    CLEANUP(trust_closep) struct trust *t = NULL;
    bool refused = false;
    struct error *err = trust_open(files, &t); /* never print what does not hold together */
    if (err != NULL) return error_wrap(err, "the server's trust files");
    TRY(check_pin(cli, files, &refused));
    *out_exit = refused ? CLI_EXIT_NO : CLI_EXIT_YES;
    if (refused) return NULL;
    if (args_has(&cli->args, "log-vkey")) return print_vkey(cli, t);
    bool key = args_has(&cli->args, "key");
    struct bytes text = bytes_of_cstr(key ? r->signing_key_pem : r->trusted_root);
    (void)fwrite(text.data, 1, text.len, cli->io->out);
    return NULL;
}

/* Without a home there is nowhere to remember it: --trust FILE then says it each time. */
static struct error *remember(struct cli *cli, const char *path) {
    if (settings_has_state_dir()) return trust_remember(cli, path);
    cli_note(cli, "attest: neither HOME nor XDG_STATE_HOME is set: verify needs --trust %s\n",
             path);
    return NULL;
}

struct error *run_trust(struct cli *cli, int *out_exit) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    const char *path = args_value(&cli->args, "out");
    bool refused = false;
    TRY(check_usage(cli));
    cli_request_begin(cli, &r);
    TRY(cli_call(cli, &get_trust, &r, &m));
    const Attestd__V1__GetTrustResponse *t = (const Attestd__V1__GetTrustResponse *)m;
    const struct trust_files files = {bytes_of_cstr(t->trusted_root),
                                      bytes_of_cstr(t->signing_keys)};
    *out_exit = CLI_EXIT_YES;
    if (wants_print(cli)) return print_only(cli, t, &files, out_exit);
    if (path == NULL) /* the pin itself */
        TRY(trust_path_of_server(cli, &path));
    else
        TRY(check_pin(cli, &files, &refused));
    *out_exit = CLI_EXIT_NO;
    if (refused) return NULL;
    TRY(trust_pin(cli, path, &files, &refused));
    if (refused) {
        say_refused(cli, path);
        return NULL;
    }
    *out_exit = CLI_EXIT_YES;
    TRY(remember(cli, path));
    if (cli->json) return cli_print(cli, m);
    cli_say(cli, "%s\n%s.keys.json\n", path, path);
    return NULL;
}
