/* attest token create|list|revoke. The secret is shown once and written nowhere but to --out. */
#include <stdio.h>

#include "attestd/v1/admin.pb-c.h"
#include "base/clock.h"
#include "client/connection.h"
#include "codec/codec.h"

#define PAGE_SIZE 1000
#define PAGES_MAX 1024

static const struct method create = {
    .path = "/attestd.v1.Admin/CreateToken",
    .request = &attestd__v1__create_token_request__descriptor,
    .response = &attestd__v1__create_token_response__descriptor,
    .once = true, /* names are unique for ever: a repeat would fail and hide the first's secret */
};
static const struct method list = {
    .path = "/attestd.v1.Admin/ListTokens",
    .request = &attestd__v1__list_tokens_request__descriptor,
    .response = &attestd__v1__list_tokens_response__descriptor,
};
static const struct method revoke = {
    .path = "/attestd.v1.Admin/RevokeToken",
    .request = &attestd__v1__revoke_token_request__descriptor,
    .response = &attestd__v1__revoke_token_response__descriptor,
};

static const char *time_of(struct cli *cli, const Google__Protobuf__Timestamp *t) {
    return t == NULL ? "" : cli_time(&cli->arena, t->seconds * 1000);
}

/* --- create */
static void put_list(struct cli *cli, struct request *r, const char *option, const char *key) {
    size_t at = 0;
    json_key(&r->w, key);
    json_array_begin(&r->w);
    for (const char *v; (v = args_next(&cli->args, option, &at)) != NULL;) json_put_cstr(&r->w, v);
    json_array_end(&r->w);
}

/* "--scope attest,read", once or several times. */
static struct error *put_scopes(struct cli *cli, struct request *r) {
    size_t at = 0, count = 0;
    json_key(&r->w, "scopes");
    json_array_begin(&r->w);
    for (const char *v; (v = args_next(&cli->args, "scope", &at)) != NULL;) {
        for (const char *from = v;;) {
            const char *comma = strchr(from, ',');
            size_t len = comma == NULL ? strlen(from) : (size_t)(comma - from);
            if (len == 0) return cli_usage(cli, "--scope `%.100s` names an empty scope", v);
            json_put_string(&r->w, (struct bytes){(const uint8_t *)from, len});
            count++;
            if (comma == NULL) break;
            from = comma + 1;
        }
    }
    json_array_end(&r->w);
    if (count == 0) return cli_usage(cli, "what may it do? --scope attest, read, gate or admin");
    return NULL;
}

static struct error *print_created(struct cli *cli, const struct ProtobufCMessage *m) {
    const Attestd__V1__CreateTokenResponse *t = (const Attestd__V1__CreateTokenResponse *)m;
    const char *path = args_value(&cli->args, "out");
    struct buf line;
    if (t->token == NULL) return error_new(ERROR_INTERNAL, "the response has no token");
    buf_init_arena(&line, &cli->arena, 4096);
    buf_put_cstr(&line, t->secret);
    buf_put_u8(&line, '\n');
    TRY(buf_finish(&line, "token"));
    cli->advice =
        "The token is made and nobody has it: revoke it (`attest token list`), take a new name.";
    bool saved = path != NULL && strcmp(path, "-") != 0;
    if (saved) TRY(cli_write_file(path, buf_bytes(&line), 0600));
    if (saved) cli->advice = NULL; /* else it is of standard output */
    if (cli->json) return cli_print(cli, m);
    cli_note(cli, "token %s (id %s) until %s", t->token->name, t->token->id,
             time_of(cli, t->token->expires_at));
    cli_note(cli, path == NULL ? ". It is shown this once:\n" : "\n");
    if (path == NULL || strcmp(path, "-") == 0)
        (void)fwrite(line.data, 1, line.len, cli->io->out);
    else
        cli_say(cli, "%s\n", path);
    return NULL;
}

struct error *run_token_create(struct cli *cli, int *out_exit) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    int64_t ttl_ms = 0;
    TRY(args_duration(&cli->args, "expires", 0, &ttl_ms));
    cli_request_begin(cli, &r);
    cli_request_text(&r, "name", cli->args.words[0]);
    TRY(put_scopes(cli, &r));
    put_list(cli, &r, "predicate-type", "predicateTypes");
    put_list(cli, &r, "environment", "environments");
    put_list(cli, &r, "subject", "subjects");
    if (ttl_ms > 0)
        cli_request_text(&r, "expiresAt",
                         cli_time(&cli->arena, clock_unix_ms(&clock_system) + ttl_ms));
    cli->advice =
        "If it was made after all, `attest token list` shows it: revoke it, take a new name.";
    struct error *err = cli_call(cli, &create, &r, &m);
    bool unknown = err != NULL && (error_code(err) == ERROR_UNAVAILABLE ||
                                   error_code(err) == ERROR_DEADLINE_EXCEEDED);
    if (!unknown) cli->advice = NULL;
    TRY(err);
    TRY(print_created(cli, m));
    *out_exit = CLI_EXIT_YES;
    return NULL;
}

/* --- list */
struct pages {
    const Attestd__V1__ListTokensResponse *page[PAGES_MAX];
    size_t count;
};

static struct error *list_all(struct cli *cli, struct pages *p,
                              Attestd__V1__ListTokensResponse *out) {
    const char *token = NULL;
    size_t total = 0, n = 0;
    do {
        struct request r;
        const struct ProtobufCMessage *m = NULL;
        cli_request_begin(cli, &r);
        cli_request_u64(&r, "pageSize", PAGE_SIZE);
        cli_request_text(&r, "pageToken", token);
        TRY(cli_call(cli, &list, &r, &m));
        p->page[p->count] = (const Attestd__V1__ListTokensResponse *)m;
        token = p->page[p->count]->next_page_token;
        total += p->page[p->count++]->n_tokens;
    } while (token[0] != '\0' && p->count < PAGES_MAX);
    *out = *p->page[0];
    out->tokens = cli_list(&cli->arena, total);
    if (out->tokens == NULL) return error_nomem();
    for (size_t i = 0; i < p->count; i++) {
        for (size_t j = 0; j < p->page[i]->n_tokens; j++) out->tokens[n++] = p->page[i]->tokens[j];
    }
    out->n_tokens = n;
    out->next_page_token = p->page[p->count - 1]->next_page_token;
    return NULL;
}

static void put_words(struct cli *cli, char **words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0) cli_say(cli, ",");
        cli_put(cli->io->out, bytes_of_cstr(words[i]));
    }
}

static void print_token(struct cli *cli, const Attestd__V1__Token *t) {
    cli_say(cli, "%-18s ", t->id);
    cli_put(cli->io->out, bytes_of_cstr(t->name));
    cli_say(cli, "  ");
    put_words(cli, t->scopes, t->n_scopes);
    if (t->revoked_at != NULL)
        cli_say(cli, "  revoked %s\n", time_of(cli, t->revoked_at));
    else
        cli_say(cli, "  until %s\n", time_of(cli, t->expires_at));
}

struct error *run_token_list(struct cli *cli, int *out_exit) {
    struct pages *p = arena_alloc(&cli->arena, sizeof *p);
    Attestd__V1__ListTokensResponse all;
    if (p == NULL) return error_nomem();
    TRY(list_all(cli, p, &all));
    if (cli->json) TRY(cli_print(cli, &all.base));
    for (size_t i = 0; i < all.n_tokens && !cli->json; i++) print_token(cli, all.tokens[i]);
    *out_exit = CLI_EXIT_YES;
    return NULL;
}

/* --- revoke */
struct error *run_token_revoke(struct cli *cli, int *out_exit) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    cli_request_begin(cli, &r);
    cli_request_text(&r, "id", cli->args.words[0]);
    TRY(cli_call(cli, &revoke, &r, &m));
    const Attestd__V1__RevokeTokenResponse *t = (const Attestd__V1__RevokeTokenResponse *)m;
    if (cli->json)
        TRY(cli_print(cli, m));
    else if (t->token != NULL)
        cli_say(cli, "revoked %s (%s); it works nowhere any more\n", t->token->id, t->token->name);
    *out_exit = CLI_EXIT_YES;
    return NULL;
}
