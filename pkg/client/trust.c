/*
 * Trust files. What was fetched first is what counts: later fetches may add keys, never drop or
 * change one. FILE is a Sigstore trusted root (the log's keys), FILE.keys.json our signing keys.
 *
 * $XDG_STATE_HOME/attest/<host>:<port>.json   the server's, pinned
 * $XDG_STATE_HOME/attest/last-trust           path of the FILE that `attest trust` saved last
 */
#include "client/trust.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "client/state.h"
#include "file/file.h"

#define LAST_TRUST "last-trust"

/* A server's clock may be ahead of ours by this much before we call its receipts future. */
#define CLOCK_SKEW_S 300

/* --- comparing */
struct report {
    void (*each)(void *ctx, const char *line);
    void *ctx;
};

static void tell(const struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(const struct report *r, const char *fmt, ...) {
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    r->each(r->ctx, line);
}

static bool same_key(const struct public_key *a, const struct public_key *b) {
    return bytes_equal(public_key_spki(a), public_key_spki(b));
}

static void log_name(const struct trust_log *log, char out[17]) {
    for (size_t i = 0; i < 8; i++) (void)snprintf(out + 2 * i, 3, "%02x", log->log_id.octets[i]);
}

static const struct trust_log *find_log(const struct trust *t, const struct trust_log *like) {
    for (size_t i = 0; i < t->log_count; i++) {
        if (sha256_equal(&t->logs[i].log_id, &like->log_id)) return &t->logs[i];
    }
    return NULL;
}

static const struct trust_key *find_key(const struct trust *t, const struct trust_key *like) {
    for (size_t i = 0; i < t->key_count; i++) {
        if (strcmp(t->keys[i].hint, like->hint) == 0) return &t->keys[i];
    }
    return NULL;
}

static bool log_kept(const struct trust_log *saved, const struct trust *in,
                     const struct report *r) {
    const struct trust_log *now = find_log(in, saved);
    char name[17];
    log_name(saved, name);
    if (now == NULL) {
        tell(r, "the log key %s was dropped", name);
        return false;
    }
    if (same_key(now->key, saved->key) && bytes_equal(now->base_url, saved->base_url) &&
        now->valid_from_s == saved->valid_from_s && now->valid_until_s == saved->valid_until_s)
        return true;
    tell(r, "the log key %s was changed", name);
    return false;
}

static const char *purpose_name(enum trust_purpose p) {
    return p == TRUST_PURPOSE_DECISION ? "decision" : "attestation";
}

static bool key_kept(const struct trust_key *saved, const struct trust *in,
                     const struct report *r) {
    const struct trust_key *now = find_key(in, saved);
    if (now == NULL) {
        tell(r, "the %s key %.16s was dropped", purpose_name(saved->purpose), saved->hint);
        return false;
    }
    if (same_key(now->key, saved->key) && now->purpose == saved->purpose &&
        now->valid_from_s == saved->valid_from_s && now->valid_until_s == saved->valid_until_s)
        return true;
    tell(r, "the %s key %.16s was changed", purpose_name(saved->purpose), saved->hint);
    return false;
}

enum trust_change client_compare_trust(const struct trust *saved, const struct trust *fetched,
                                       void (*each)(void *ctx, const char *line), void *ctx) {
    const struct report r = {each, ctx};
    ASSERT(saved != NULL && fetched != NULL);
    bool kept = bytes_equal(saved->origin, fetched->origin);
    bool added = false;
    if (!kept)
        tell(&r, "the origin was " BYTES_FMT " and is " BYTES_FMT, BYTES_ARG(saved->origin),
             BYTES_ARG(fetched->origin));
    for (size_t i = 0; i < saved->log_count; i++)
        kept = log_kept(&saved->logs[i], fetched, &r) && kept;
    for (size_t i = 0; i < saved->key_count; i++)
        kept = key_kept(&saved->keys[i], fetched, &r) && kept;
    for (size_t i = 0; i < fetched->log_count; i++) {
        char name[17];
        log_name(&fetched->logs[i], name);
        if (find_log(saved, &fetched->logs[i]) != NULL) continue;
        tell(&r, "the log key %s was added", name);
        added = true;
    }
    for (size_t i = 0; i < fetched->key_count; i++) {
        const struct trust_key *k = &fetched->keys[i];
        if (find_key(saved, k) != NULL) continue;
        tell(&r, "the %s key %.16s was added", purpose_name(k->purpose), k->hint);
        added = true;
    }
    if (!kept) return TRUST_CHANGE_REFUSED;
    return added ? TRUST_CHANGE_ADDED : TRUST_CHANGE_NONE;
}

/* --- files */
static struct error *join(struct arena *arena, const char *a, const char *b, const char *c,
                          const char **out) {
    struct buf path;
    buf_init_arena(&path, arena, PATH_MAX);
    buf_put_cstr(&path, a);
    buf_put_cstr(&path, b);
    buf_put_cstr(&path, c);
    buf_put_u8(&path, '\0');
    TRY(buf_finish(&path, "path"));
    *out = (const char *)path.data;
    return NULL;
}

struct error *trust_path_of_server(struct cli *cli, const char **out) {
    const char *dir = NULL;
    char name[300];
    TRY(settings_state_dir(&cli->arena, &dir));
    (void)snprintf(name, sizeof name, "/%.250s:%u.json", cli->settings.host, cli->settings.port);
    return join(&cli->arena, dir, name, "", out);
}

struct error *trust_path_of_last(struct cli *cli, const char **out) {
    const char *dir = NULL, *pointer = NULL;
    struct bytes path;
    TRY(settings_state_dir(&cli->arena, &dir));
    TRY(join(&cli->arena, dir, "/", LAST_TRUST, &pointer));
    if (!path_exists(pointer)) {
        cli->advice = "Run `attest trust` once, or name the file with --trust.";
        return error_new(ERROR_NOT_FOUND, "no trust is saved yet");
    }
    TRY(cli_read_file(&cli->arena, pointer, PATH_MAX, &path));
    struct error *err = state_read_path(&cli->arena, path, out);
    return err == NULL ? NULL : error_wrap(err, "%s", pointer);
}

struct error *trust_read(struct arena *arena, const char *path, struct trust_files *out) {
    const char *keys = NULL;
    TRY(join(arena, path, ".keys.json", "", &keys));
    TRY(cli_read_file(arena, path, TRUST_OCTETS_MAX, &out->root));
    return cli_read_file(arena, keys, TRUST_OCTETS_MAX, &out->keys);
}

struct error *trust_open(const struct trust_files *files, struct trust **out) {
    struct trust *t = alloc_zero(1, sizeof *t);
    if (t == NULL) return error_nomem();
    struct error *err = trust_load(files->root, files->keys, t);
    if (err != NULL) {
        alloc_free(t);
        return err;
    }
    t->now_s = clock_unix_ms(&clock_system) / 1000 + CLOCK_SKEW_S;
    *out = t;
    return NULL;
}

void trust_close(struct trust *t) {
    if (t == NULL) return;
    trust_done(t);
    alloc_free(t);
}

/* An absolute path, for the pointer: the next command may run elsewhere. */
static struct error *absolute(struct arena *arena, const char *path, const char **out) {
    char *real = realpath(path, NULL);
    if (real == NULL) return error_new(ERROR_UNKNOWN, "cannot resolve %s", path);
    *out = cli_cstr(arena, bytes_of_cstr(real));
    free(real);
    return NULL;
}

struct error *trust_remember(struct cli *cli, const char *path) {
    const char *dir = NULL, *pointer = NULL, *whole = NULL;
    struct buf line;
    TRY(settings_state_dir(&cli->arena, &dir));
    TRY(file_make_dirs(dir, 0700));
    TRY(join(&cli->arena, dir, "/", LAST_TRUST, &pointer));
    TRY(absolute(&cli->arena, path, &whole));
    buf_init_arena(&line, &cli->arena, PATH_MAX + 1);
    buf_put_cstr(&line, whole);
    buf_put_u8(&line, '\n');
    TRY(buf_finish(&line, "path"));
    return cli_write_file(pointer, buf_bytes(&line), 0600);
}

struct error *trust_remember_first(struct cli *cli, const char *path) {
    const char *dir = NULL, *pointer = NULL;
    TRY(settings_state_dir(&cli->arena, &dir));
    TRY(join(&cli->arena, dir, "/", LAST_TRUST, &pointer));
    return path_exists(pointer) ? NULL : trust_remember(cli, path);
}

static struct error *make_folder_of(struct arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) return NULL;
    struct bytes dir = {(const uint8_t *)path, (size_t)(slash - path)};
    return file_make_dirs(cli_cstr(arena, dir), 0700);
}

static void note_line(void *ctx, const char *line) {
    struct cli *cli = ctx;
    cli_note(cli, "trust: ");
    cli_put(cli->io->err, bytes_of_cstr(line));
    cli_note(cli, "\n");
}

/* What is saved at `path`, to compare with. A first pin that was stopped left the keys alone, and
 * so does who removes one of the two files: those keys still count, with the root that was fetched.
 */
static struct error *read_saved(struct cli *cli, const char *path, const char *keys_path,
                                const struct trust_files *fetched, bool whole, struct trust **out) {
    struct trust_files files = {.root = fetched->root};
    cli->advice = TRUST_PIN_ADVICE;
    if (whole)
        TRY(trust_read(&cli->arena, path, &files));
    else
        TRY(cli_read_file(&cli->arena, keys_path, TRUST_OCTETS_MAX, &files.keys));
    struct error *err = trust_open(&files, out);
    if (err != NULL) return error_wrap(err, "%s", path);
    cli->advice = NULL;
    return NULL;
}

struct error *trust_compare(struct cli *cli, const char *path, const struct trust_files *fetched,
                            enum trust_change *out) {
    CLEANUP(trust_closep) struct trust *now = NULL;
    CLEANUP(trust_closep) struct trust *saved = NULL;
    const char *keys = NULL;
    struct error *err = trust_open(fetched, &now);
    if (err != NULL) return error_wrap(err, "the server's trust files");
    TRY(join(&cli->arena, path, ".keys.json", "", &keys));
    bool whole = path_exists(path);
    *out = TRUST_CHANGE_ADDED;
    if (!whole && !path_exists(keys)) return NULL;
    TRY(read_saved(cli, path, keys, fetched, whole, &saved));
    enum trust_change change = client_compare_trust(saved, now, note_line, cli);
    if (whole || change == TRUST_CHANGE_REFUSED) *out = change;
    return NULL;
}

struct error *trust_pin(struct cli *cli, const char *path, const struct trust_files *fetched,
                        bool *out_refused) {
    const char *keys = NULL;
    enum trust_change change = TRUST_CHANGE_UNSET;
    TRY(join(&cli->arena, path, ".keys.json", "", &keys));
    struct error *err = trust_compare(cli, path, fetched, &change);
    *out_refused = err != NULL || change == TRUST_CHANGE_REFUSED;
    if (*out_refused) return err;
    if (change == TRUST_CHANGE_NONE) return NULL;
    TRY(make_folder_of(&cli->arena, path));
    TRY(cli_write_file(keys, fetched->keys, 0644));
    return cli_write_file(path, fetched->root, 0644);
}
