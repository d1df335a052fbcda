/*
 * attest log monitor: one more pair of eyes on the log. It remembers the largest tree that it saw,
 * and says so when the log no longer extends it, or the tree that a receipt was made for.
 *
 * Its state (state.c) keeps the signed note as evidence: two notes of one log that do not fit
 * together convict it.
 */
#include <stdio.h>
#include <time.h>

#include "client/connection.h"
#include "client/head.h"
#include "client/receipt.h"
#include "client/state.h"
#include "codec/codec.h"
#include "file/file.h"

#define ROUND_OCTETS_MAX ((size_t)256 << 20)
#define INTERVAL_DEFAULT_MS 10000

struct monitor {
    struct cli *cli;
    struct trust *trust;
    const char *state_path;
    struct head seen; /* size 0: nothing yet. Its root outlives a round; its note does not */
    bool unverified;  /* a receipt that was given is none of this log */
    char why[256];
};

/* --- state */
static struct error *state_path(struct cli *cli, const char **out) {
    const char *dir = NULL;
    struct buf b;
    *out = args_value(&cli->args, "state");
    if (*out != NULL) return NULL;
    TRY(settings_state_dir(&cli->arena, &dir));
    TRY(file_make_dirs(dir, 0700));
    buf_init_arena(&b, &cli->arena, 4096);
    buf_printf(&b, "%s/%s:%u.monitor.json", dir, cli->settings.host, cli->settings.port);
    TRY(buf_finish(&b, "path"));
    *out = cli_cstr(&cli->arena, buf_bytes(&b));
    return NULL;
}

/* A state that cannot be read is an error, never a fresh start: forgetting is what an attacker
 * would want of us. The stored note must still verify. */
static struct error *load_state(struct monitor *m) {
    struct bytes octets;
    bool good = false;
    if (!path_exists(m->state_path)) return NULL;
    TRY(cli_read_file(&m->cli->arena, m->state_path, STATE_MONITOR_MAX, &octets));
    struct error *err =
        state_read_monitor(&m->cli->arena, m->trust, octets, &m->seen, m->why, &good);
    if (err != NULL) return error_wrap(err, "%s", m->state_path);
    if (!good)
        return error_new(ERROR_FAILED_PRECONDITION, "%s is not of this log: %s", m->state_path,
                         m->why);
    return NULL;
}

static struct error *save_state(struct monitor *m, const struct head *head) {
    struct buf b;
    buf_init_arena(&b, cli_arena(m->cli), STATE_MONITOR_MAX);
    state_put_monitor(&b, m->trust->origin, head);
    TRY(buf_finish(&b, "state"));
    TRY(cli_write_file(m->state_path, buf_bytes(&b), 0600));
    m->seen = (struct head){.size = head->size, .root = head->root};
    return NULL;
}

/* --- one look at the log */
static struct error *check_receipt(struct monitor *m, const char *path, const struct head *now,
                                   bool *out_good) {
    struct bundle_verification v;
    struct bytes receipt;
    TRY(cli_read_file(cli_arena(m->cli), path, CLI_RECEIPT_MAX, &receipt));
    TRY(bundle_verify(cli_arena(m->cli), receipt, m->trust, NULL, (struct bytes){0}, &v));
    if (v.verdict != BUNDLE_VERIFIED) { /* anybody can make one: it does not convict the log */
        cli_note(m->cli, "attest: %s does not verify, and says nothing of this log: ", path);
        cli_put(m->cli->io->err, bytes_of_cstr(v.reason));
        cli_note(m->cli, "\n");
        m->unverified = true;
        *out_good = true;
        return NULL;
    }
    const struct head then = {.size = v.tree_size, .root = v.root};
    char why[256] = "";
    TRY(head_extends(m->cli, &then, now, why, out_good, NULL));
    if (!*out_good) (void)snprintf(m->why, sizeof m->why, "%.60s: %.150s", path, why);
    return NULL;
}

static struct error *look(struct monitor *m, struct head *now, bool *out_good) {
    size_t at = 0;
    TRY(head_fetch(m->cli, m->trust, 0, now, m->why, out_good));
    if (*out_good) TRY(head_extends(m->cli, &m->seen, now, m->why, out_good, NULL));
    for (const char *path; *out_good && (path = args_next(&m->cli->args, "receipt", &at)) != NULL;)
        TRY(check_receipt(m, path, now, out_good));
    for (size_t i = 0; *out_good && i < m->cli->args.word_count; i++)
        TRY(check_receipt(m, m->cli->args.words[i], now, out_good));
    /* A log that is convicted moves no state: what was seen before is the evidence. */
    if (*out_good && (now->size > m->seen.size || !path_exists(m->state_path)))
        TRY(save_state(m, now));
    return NULL;
}

static struct error *report(struct monitor *m, const struct head *now, bool good) {
    struct cli *cli = m->cli;
    struct buf root, json;
    buf_init_arena(&root, cli_arena(cli), 128);
    base64_put(&root, sha256_bytes(&now->root));
    buf_init_arena(&json, cli_arena(cli), 1024);
    struct json_writer w = json_writer_of(&json);
    json_object_begin(&w);
    json_key(&w, "consistent");
    json_put_bool(&w, good);
    json_key(&w, "treeSize");
    json_put_u64_string(&w, now->size);
    json_key(&w, "rootHash");
    json_put_string(&w, buf_bytes(&root));
    json_object_end(&w);
    TRY(buf_finish(&json, "report"));
    if (!good) {
        cli_note(cli, "attest: VIOLATION: ");
        cli_put(cli->io->err, bytes_of_cstr(m->why));
        cli_note(cli, "\nKeep %s and the receipts, and tell others who use this log.\n",
                 m->state_path);
    }
    if (cli->json) {
        cli_json(cli, buf_bytes(&json));
    } else if (good) {
        cli_colour(cli, COLOUR_GOOD, "consistent");
        cli_say(cli, ": %llu entries, root " BYTES_FMT "\n", (unsigned long long)now->size,
                BYTES_ARG(buf_bytes(&root)));
    }
    return cli_flush(cli->io);
}

static struct error *round_of(struct monitor *m, bool *out_good) {
    struct arena arena;
    struct head now = {0};
    arena_init(&arena, ROUND_OCTETS_MAX);
    m->cli->scratch = &arena;
    cli_begin_deadline(m->cli);
    struct error *err = look(m, &now, out_good);
    if (err == NULL) err = report(m, &now, *out_good);
    m->cli->scratch = NULL;
    arena_done(&arena);
    return err;
}

/* A server that cannot be reached is no violation: it is looked at again. What this machine refuses
 * (state, standard output) ends the monitor: it would see nothing, or tell nobody. */
static struct error *follow(struct monitor *m, int64_t interval_ms, bool *out_good) {
    const struct timespec pause = {.tv_sec = interval_ms / 1000,
                                   .tv_nsec = interval_ms % 1000 * 1000000};
    for (;;) {
        struct error *err = round_of(m, out_good);
        bool away =
            err != NULL && m->cli->calling &&
            (error_code(err) == ERROR_UNAVAILABLE || error_code(err) == ERROR_DEADLINE_EXCEEDED);
        if (err != NULL && !away) return err;
        if (away) cli_note(m->cli, "attest: %s cannot be reached\n", m->cli->settings.server);
        error_ignore(err, "said; asked again later");
        if (!away && (!*out_good || m->unverified)) return NULL;
        (void)nanosleep(&pause, NULL);
    }
}

struct error *run_log_monitor(struct cli *cli, int *out_exit) {
    struct monitor m = {.cli = cli};
    CLEANUP(trust_closep) struct trust *trust = NULL;
    int64_t interval_ms = 0;
    bool good = false;
    if (cli->args.word_count > 0 && !args_has(&cli->args, "receipt"))
        return error_new(ERROR_INVALID_ARGUMENT, "`attest log monitor` does not take `%.64s`",
                         cli->args.words[0]);
    TRY(args_duration(&cli->args, "interval", INTERVAL_DEFAULT_MS, &interval_ms));
    TRY(state_path(cli, &m.state_path));
    TRY(cli_trust(cli, &trust));
    m.trust = trust;
    TRY(load_state(&m));
    if (args_has(&cli->args, "once"))
        TRY(round_of(&m, &good));
    else
        TRY(follow(&m, interval_ms, &good));
    *out_exit = good && !m.unverified ? CLI_EXIT_YES : CLI_EXIT_NO;
    return NULL;
}
