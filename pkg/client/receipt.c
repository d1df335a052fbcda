#include "client/receipt.h"

#include <stdio.h>

#include "attestd/v1/trust.pb-c.h"
#include "client/connection.h"
#include "codec/codec.h"

static const struct method get_trust = {
    .path = "/attestd.v1.Trust/GetTrust",
    .request = &attestd__v1__get_trust_request__descriptor,
    .response = &attestd__v1__get_trust_response__descriptor,
};

struct error *cli_fetch_trust(struct cli *cli, struct trust_files *out) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    cli_request_begin(cli, &r);
    TRY(cli_call(cli, &get_trust, &r, &m));
    const Attestd__V1__GetTrustResponse *t = (const Attestd__V1__GetTrustResponse *)m;
    out->root = bytes_of_cstr(t->trusted_root);
    out->keys = bytes_of_cstr(t->signing_keys);
    return NULL;
}

/* Where the folder cannot be written, or there is none, the keys serve this command alone. */
static void note_not_pinned(struct cli *cli, const char *why) {
    cli_note(cli, "attest: the server's keys are used but not pinned: %s\n", why);
}

static struct error *fetch_and_pin(struct cli *cli, const char *path, struct trust_files *out) {
    bool refused = false, first = !path_exists(path);
    char text[512];
    TRY(cli_fetch_trust(cli, out));
    struct error *err = trust_pin(cli, path, out, &refused);
    if (refused && err == NULL)
        err = error_new(ERROR_FAILED_PRECONDITION,
                        "the server's keys are not the ones that were pinned");
    if (refused) return err;
    if (err == NULL) err = trust_remember_first(cli, path);
    if (err == NULL) {
        if (first)
            cli_note(cli, "attest: pinned the keys of %s in %s\n", cli->settings.server, path);
        return NULL;
    }
    error_text(err, text, sizeof text);
    note_not_pinned(cli, text);
    error_ignore(err, "said; the answer can be checked all the same");
    return NULL;
}

struct error *cli_trust(struct cli *cli, struct trust **out) {
    const char *path = "the server's keys";
    struct trust_files files;
    if (!settings_has_state_dir()) {
        note_not_pinned(cli, "neither HOME nor XDG_STATE_HOME is set");
        TRY(cli_fetch_trust(cli, &files));
    } else {
        TRY(trust_path_of_server(cli, &path));
        bool pinned = path_exists(path);
        cli->advice = pinned ? TRUST_PIN_ADVICE : NULL;
        TRY(pinned ? trust_read(&cli->arena, path, &files) : fetch_and_pin(cli, path, &files));
    }
    struct error *err = trust_open(&files, out);
    if (err != NULL) return error_wrap(err, "%s", path);
    cli->advice = NULL;
    return NULL;
}

static bool has_subject(const struct intoto_statement *st, const struct subject *s) {
    for (size_t i = 0; i < st->subject_count; i++) {
        for (size_t j = 0; j < st->subjects[i].digest_count; j++) {
            const struct intoto_digest *d = &st->subjects[i].digests[j];
            if (bytes_equal(bytes_of_text(d->algorithm), bytes_of_cstr(s->algorithm)) &&
                bytes_equal(bytes_of_text(d->value), bytes_of_cstr(s->digest)))
                return true;
        }
    }
    return false;
}

/* A receipt that verifies but is of something else would be as bad as none. */
static void check_content(const struct receipt_check *c, struct bundle_verification *v) {
    const char *why = NULL;
    if (v->verdict != BUNDLE_VERIFIED) return;
    if (v->index != c->index) why = "it is of another entry than the server said";
    for (size_t i = 0; i < c->subject_count; i++) {
        if (!has_subject(&v->statement, &c->subjects[i])) why = "it lacks a subject that was asked";
    }
    if (why == NULL) return;
    *v = (struct bundle_verification){.verdict = BUNDLE_REFUSED};
    (void)snprintf(v->reason, sizeof v->reason, "%s", why);
}

static struct error *verify(struct arena *arena, const struct receipt_check *c,
                            const struct trust *trust, struct bundle_verification *out) {
    struct bytes type = bytes_of_cstr(c->predicate_type == NULL ? "" : c->predicate_type);
    TRY(bundle_verify(arena, c->receipt, trust, NULL, type, out));
    check_content(c, out);
    return NULL;
}

struct error *cli_check_receipt(struct cli *cli, struct arena *arena,
                                const struct receipt_check *check, struct bundle_verification *out,
                                bool *out_good) {
    CLEANUP(trust_closep) struct trust *trust = NULL;
    TRY(cli_trust(cli, &trust));
    TRY(verify(arena, check, trust, out));
    /* perhaps by a key that was added since */
    if (out->verdict != BUNDLE_VERIFIED && settings_has_state_dir()) {
        const char *path = NULL;
        struct trust_files files;
        trust_close(MOVE(trust));
        TRY(trust_path_of_server(cli, &path));
        TRY(fetch_and_pin(cli, path, &files));
        TRY(trust_open(&files, &trust));
        TRY(verify(arena, check, trust, out));
    }
    *out_good = out->verdict == BUNDLE_VERIFIED;
    if (*out_good) return NULL;
    cli_note(cli, "attest: the server's receipt does NOT verify: ");
    cli_put(cli->io->err, bytes_of_cstr(out->reason));
    cli_note(cli, "\nKeep it and tell whoever runs the server; do not rely on it.\n");
    return NULL;
}
