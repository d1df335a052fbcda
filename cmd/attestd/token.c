/* attestd token create: a token made in a stopped directory, for when the admin token is lost. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codec/codec.h"
#include "directory.h"
#include "service/token.h"

static const struct flag token_flags[] = {
    SETTINGS_FLAG_DATA,
    {"--scope", "S[,S]", "attest, read, gate, admin; default: all four", FLAG_VALUES_MAX},
    {"--expires", "90d", "how long it is valid; default 90d", 1},
    {"--out", "FILE", "write it there (0600), instead of to standard output", 1},
    SETTINGS_FLAG_PASSPHRASE,
    SETTINGS_FLAG_CONFIG,
};

static const struct directory_command token_command = {
    token_flags, sizeof token_flags / sizeof *token_flags, 1,
    "attestd token create [NAME] [--data DIR] [--scope S[,S]] [--expires 90d] [--out FILE]",
    "attestd token create admin-2 --data /tmp/attestd-demo --out "
    "/tmp/attestd-demo/client/admin.token"};

struct wish {
    char name[64];
    struct token_record record;
};

static struct error *add_scopes(const char *list, unsigned *scopes) {
    for (const char *at = list;;) {
        const char *comma = strchr(at, ',');
        struct text name = {at, comma == NULL ? strlen(at) : (size_t)(comma - at)};
        enum scope scope;
        if (!scope_parse(name, &scope))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "--scope %s: the scopes are attest, read, gate and admin", list);
        *scopes |= scope;
        if (comma == NULL) return NULL;
        at = comma + 1;
    }
}

/* Names are unique for ever, so that a second lost token needs a second name. */
static struct error *default_name(char out[64]) {
    time_t now = (time_t)(clock_unix_ms(&clock_system) / 1000);
    struct tm tm;
    if (gmtime_r(&now, &tm) == NULL || strftime(out, 64, "admin-%Y%m%dT%H%M%SZ", &tm) == 0)
        return error_new(ERROR_INTERNAL, "the clock tells no time");
    return NULL;
}

static struct error *read_wish(const struct directory *d, struct wish *out) {
    *out = (struct wish){0};
    TRY(default_name(out->name));
    struct bytes name =
        bytes_of_cstr(d->flags.operand_count == 0 ? out->name : d->flags.operands[0]);
    if (!text_of_bytes(name, &out->record.name))
        return error_new(ERROR_INVALID_ARGUMENT, "the name is not UTF-8");
    const struct flag_value *scopes = flags_all(&d->flags, "--scope");
    if (scopes->count == 0) out->record.scopes = SCOPES_ALL;
    for (size_t i = 0; i < scopes->count; i++)
        TRY(add_scopes(scopes->values[i], &out->record.scopes));
    const char *expires = flags_get(&d->flags, "--expires");
    int64_t life_ms = TOKEN_LIFE_DEFAULT_MS;
    if (expires != NULL && !duration_parse(bytes_of_cstr(expires), &life_ms))
        return error_new(ERROR_INVALID_ARGUMENT, "--expires %s: write 90d, 12h, 30m", expires);
    out->record.expires_ms = clock_unix_ms(&clock_system) + life_ms;
    return NULL;
}

static struct error *hand_over(const char *path, const struct token_text *text) {
    char line[TOKEN_TEXT_LEN + 2];
    int n = snprintf(line, sizeof line, "%s\n", text->text);
    struct error *err = NULL;
    if (path != NULL)
        err =
            file_write(path, (struct bytes){(const uint8_t *)line, (size_t)n}, 0600, FILE_REPLACE);
    else if (fwrite(line, 1, (size_t)n, stdout) != (size_t)n || fflush(stdout) != 0)
        err = error_new(ERROR_UNAVAILABLE, "standard output does not take the token");
    secret_wipe(line, sizeof line);
    return err;
}

static struct error *create(const struct directory *d, const struct wish *wish) {
    CLEANUP(instance_freep) struct instance *i = NULL;
    CLEANUP(tokens_freep) struct tokens *tokens = NULL;
    TRY(instance_open(&d->instance, &i));
    TRY(tokens_open(instance_store(i), &clock_system, &entropy_system, &tokens));
    struct token_text text;
    const struct principal *p = NULL;
    TRY(tokens_create(tokens, TEXT_LIT("offline"), &wish->record, &text, &p));
    struct error *err = hand_over(flags_get(&d->flags, "--out"), &text);
    secret_wipe(&text, sizeof text);
    (void)fprintf(stderr, "made " BYTES_FMT " (id " BYTES_FMT ")%s\n", BYTES_ARG(p->name),
                  BYTES_ARG(p->token_id),
                  err == NULL ? "" : ", and nobody has it: revoke it, take a new name");
    return err;
}

int token_create_main(int argc, char **argv) {
    struct directory d;
    struct wish wish;
    int code = EXIT_OTHER;
    if (directory_read(&d, &token_command, argc, argv, &code)) {
        struct error *err = read_wish(&d, &wish);
        if (err == NULL) err = create(&d, &wish);
        code = err == NULL ? EXIT_CLEAN : report(err, exit_of(err));
    }
    directory_done(&d);
    return code;
}
