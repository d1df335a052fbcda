/* attest provenance, attest attest: submitting, and keeping the receipt. */
#include <stdio.h>

#include "attestd/v1/attestations.pb-c.h"
#include "client/connection.h"
#include "client/receipt.h"
#include "codec/codec.h"
#include "file/file.h"
#include "intoto/intoto.h"

#define RECEIPT_NAMES_MAX 1000

static const struct method submit = {
    .path = "/attestd.v1.Attestations/Attest",
    .request = &attestd__v1__attest_request__descriptor,
    .response = &attestd__v1__attest_response__descriptor,
};

struct submitting {
    struct cli *cli;
    struct subject *subjects;
    size_t subject_count;
    const char *predicate_type;
    struct request request;
    const Attestd__V1__AttestResponse *response;
    bool verified;
    const char *saved; /* where the receipt is */
};

/* --- the request */
static void put_text(struct json_writer *w, const char *key, const char *value) {
    if (value == NULL || value[0] == '\0') return;
    json_key(w, key);
    json_put_cstr(w, value);
}

static void put_resource(struct json_writer *w, const struct subject *s) {
    json_object_begin(w);
    put_text(w, "name", s->name);
    put_text(w, "uri", s->uri);
    json_key(w, "digest");
    json_object_begin(w);
    json_key_bytes(w, bytes_of_cstr(s->algorithm));
    json_put_cstr(w, s->digest);
    json_object_end(w);
    if (s->role != NULL) {
        json_key(w, "annotations");
        json_object_begin(w);
        put_text(w, "role", s->role);
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_subjects(struct submitting *s) {
    json_key(&s->request.w, "subject");
    json_array_begin(&s->request.w);
    for (size_t i = 0; i < s->subject_count; i++) put_resource(&s->request.w, &s->subjects[i]);
    json_array_end(&s->request.w);
}

static struct error *put_params(struct submitting *s) {
    struct cli *cli = s->cli;
    struct json_writer *w = &s->request.w;
    size_t at = 0;
    json_key(w, "externalParameters");
    json_object_begin(w);
    for (const char *p; (p = args_next(&cli->args, "param", &at)) != NULL;) {
        const char *equals = strchr(p, '=');
        if (equals == NULL || equals == p)
            return cli_usage(cli, "--param `%.100s` must be KEY=VALUE", p);
        json_key_bytes(w, (struct bytes){(const uint8_t *)p, (size_t)(equals - p)});
        json_put_cstr(w, equals + 1);
    }
    json_object_end(w);
    return NULL;
}

static struct error *put_materials(struct submitting *s) {
    struct json_writer *w = &s->request.w;
    size_t at = 0;
    json_key(w, "resolvedDependencies");
    json_array_begin(w);
    for (const char *m; (m = args_next(&s->cli->args, "material", &at)) != NULL;) {
        struct subject material;
        TRY(material_parse(&s->cli->arena, m, &material));
        put_resource(w, &material);
    }
    json_array_end(w);
    return NULL;
}

static struct error *put_time(struct submitting *s, const char *option, const char *key) {
    const char *value = args_value(&s->cli->args, option);
    int64_t seconds = 0;
    int32_t nanos = 0;
    if (value == NULL) return NULL;
    if (!time_parse(bytes_of_cstr(value), &seconds, &nanos))
        return cli_usage(s->cli, "--%s must be a time like 2026-01-02T15:04:05Z", option);
    put_text(&s->request.w, key, value);
    return NULL;
}

static struct error *put_provenance(struct submitting *s) {
    struct cli *cli = s->cli;
    const char *type = args_value(&cli->args, "build-type");
    if (type == NULL) return cli_usage(cli, "what kind of build? --build-type URI");
    json_key(&s->request.w, "provenance");
    json_object_begin(&s->request.w);
    put_text(&s->request.w, "buildType", type);
    TRY(put_params(s));
    TRY(put_materials(s));
    put_text(&s->request.w, "invocationId", args_value(&cli->args, "invocation"));
    TRY(put_time(s, "started", "startedOn"));
    TRY(put_time(s, "finished", "finishedOn"));
    json_object_end(&s->request.w);
    return NULL;
}

static struct error *put_document(struct submitting *s) {
    struct cli *cli = s->cli;
    const char *path = args_value(&cli->args, "predicate");
    struct bytes octets;
    if (s->predicate_type == NULL)
        return cli_usage(cli, "what kind of statement? --predicate-type URI");
    if (path == NULL) return cli_usage(cli, "what does it say? --predicate FILE");
    TRY(cli_read_file(&cli->arena, path, CLI_DOCUMENT_MAX, &octets));
    json_key(&s->request.w, "jsonBytes"); /* the very octets of the file are signed */
    json_put_base64(&s->request.w, octets);
    put_text(&s->request.w, "predicateType", s->predicate_type);
    return NULL;
}

/* --- the receipt */
static struct error *save_by_default_name(struct submitting *s, struct bytes receipt) {
    struct arena *arena = &s->cli->arena;
    for (unsigned n = 1; n <= RECEIPT_NAMES_MAX; n++) {
        const char *name = subject_file_name(arena, &s->subjects[0], n);
        struct bytes there;
        s->saved = name;
        struct error *err = cli_create_file(name, receipt, 0644);
        if (err == NULL || error_code(err) != ERROR_ALREADY_EXISTS) return err;
        error_ignore(err, "it is kept already, or it is another file: then the next name");
        err = cli_read_file(arena, name, CLI_RECEIPT_MAX, &there);
        bool same = err == NULL && bytes_equal(there, receipt);
        error_ignore(err, "then it is another file");
        if (same) return NULL;
    }
    return error_new(ERROR_FAILED_PRECONDITION, "%u receipts of this name are here already",
                     RECEIPT_NAMES_MAX);
}

static struct error *save(struct submitting *s) {
    struct cli *cli = s->cli;
    const char *path = args_value(&cli->args, "out");
    struct bytes receipt = bytes_of_cstr(s->response->receipt);
    if (path == NULL) {
        TRY(save_by_default_name(s, receipt));
    } else if (strcmp(path, "-") == 0) {
        s->saved = NULL;
        cli_json(cli, receipt);
    } else {
        TRY(cli_write_file(path, receipt, 0644));
        s->saved = path;
    }
    return NULL;
}

/* Whatever fails from here on: the entry is there. */
static void advise_logged(struct submitting *s) {
    struct cli *cli = s->cli;
    struct buf b;
    buf_init_arena(&b, &cli->arena, 256);
    buf_printf(&b, "The statement is logged, as entry %llu; `attest get %llu` gives its receipt.",
               (unsigned long long)s->response->index, (unsigned long long)s->response->index);
    cli->advice = cli_cstr(&cli->arena, buf_bytes(&b));
}

static void print_for_people(struct submitting *s, const struct bundle_verification *v) {
    struct cli *cli = s->cli;
    char line[128];
    if (s->saved == NULL) return; /* standard output is the receipt */
    cli_colour(cli, COLOUR_GOOD, s->response->existing ? "already logged" : "logged");
    cli_say(cli, " as entry %llu\n", (unsigned long long)s->response->index);
    for (size_t i = 0; i < s->subject_count; i++) {
        (void)snprintf(line, sizeof line, "sha256:%s", s->subjects[i].digest);
        cli_field(cli, i == 0 ? "about" : "", bytes_of_cstr(line));
    }
    cli_field(cli, "says", bytes_of_text(v->statement.predicate_type));
    cli_field(cli, "submitted", bytes_of_text(v->statement.submitter_principal));
    if (v->statement.builder_id.len > 0)
        cli_field(cli, "builder", bytes_of_text(v->statement.builder_id));
    cli_field(cli, "receipt", bytes_of_cstr(s->saved));
}

static struct error *send(struct submitting *s, int *out_exit) {
    struct cli *cli = s->cli;
    const struct ProtobufCMessage *m = NULL;
    struct bundle_verification v;
    CLEANUP(trust_closep) struct trust *trust = NULL;
    TRY(cli_trust(cli, &trust)); /* before: without it no receipt could be verified */
    TRY(cli_call(cli, &submit, &s->request, &m));
    s->response = (const Attestd__V1__AttestResponse *)m;
    const struct receipt_check check = {.receipt = bytes_of_cstr(s->response->receipt),
                                        .index = s->response->index,
                                        .subjects = s->subjects,
                                        .subject_count = s->subject_count,
                                        .predicate_type = s->predicate_type};
    struct error *err = cli_check_receipt(cli, &cli->arena, &check, &v, &s->verified);
    advise_logged(s);
    TRY(err);
    *out_exit = CLI_EXIT_NO;
    if (!s->verified) return NULL;
    TRY(save(s));
    if (cli->json)
        TRY(cli_print(cli, m));
    else
        print_for_people(s, &v);
    *out_exit = CLI_EXIT_YES;
    return NULL; /* the advice stays, for standard output that cannot be written */
}

static struct error *begin(struct submitting *s) {
    const char *out = args_value(&s->cli->args, "out");
    if (s->cli->json && out != NULL && strcmp(out, "-") == 0)
        return cli_usage(s->cli, "--json and --out - both want standard output");
    TRY(subjects_load(s->cli, &s->subjects, &s->subject_count));
    cli_request_begin(s->cli, &s->request);
    put_subjects(s);
    return NULL;
}

struct error *run_provenance(struct cli *cli, int *out_exit) {
    struct submitting s = {.cli = cli, .predicate_type = INTOTO_PROVENANCE_V1};
    TRY(begin(&s));
    TRY(put_provenance(&s));
    return send(&s, out_exit);
}

struct error *run_attest(struct cli *cli, int *out_exit) {
    struct submitting s = {.cli = cli, .predicate_type = args_value(&cli->args, "predicate-type")};
    TRY(begin(&s));
    TRY(put_document(&s));
    return send(&s, out_exit);
}
