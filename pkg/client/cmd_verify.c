/* attest verify: a receipt, checked without a network. */
#include <stdio.h>

#include "base/clock.h"
#include "client/trust.h"
#include "codec/codec.h"
#include "model/model.h"

#define VERIFY_ARENA_MAX ((size_t)192 << 20)

/* What of SUBJECT was compared with a receipt that verifies. */
enum compared {
    COMPARED_NOTHING = 0, /* it does not verify */
    COMPARED_DIGEST,      /* of a file, or as given */
    COMPARED_ROOT,        /* of a directory, with a statement that lists no files */
    COMPARED_FILES,       /* of a directory, name by name with its manifest */
};
static const char *const compared_names[] = {"", "digest", "root", "files"};

struct verifying {
    struct cli *cli;
    char about[80]; /* "sha256:<hex>" */
    struct sha256 digest;
    const struct model *model; /* of a directory, else NULL */
    struct trust *trust;
    struct bytes receipt;
    struct bundle_verification result;
    bool manifest;      /* the receipt's, and it is the directory's */
    int64_t max_age_ms; /* 0: not asked */
};

static enum compared compared(const struct verifying *v) {
    if (v->result.verdict != BUNDLE_VERIFIED) return COMPARED_NOTHING;
    if (v->model == NULL) return COMPARED_DIGEST;
    return v->manifest ? COMPARED_FILES : COMPARED_ROOT;
}

static void put_subjects(struct json_writer *w, const struct intoto_statement *st) {
    json_array_begin(w);
    for (size_t i = 0; i < st->subject_count; i++) {
        const struct intoto_resource *s = &st->subjects[i];
        json_object_begin(w);
        json_key(w, "name");
        json_put_string(w, bytes_of_text(s->name));
        json_key(w, "digest");
        json_object_begin(w);
        for (size_t j = 0; j < s->digest_count; j++) {
            json_key_bytes(w, bytes_of_text(s->digests[j].algorithm));
            json_put_string(w, bytes_of_text(s->digests[j].value));
        }
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_text(struct json_writer *w, const char *key, struct bytes value) {
    json_key(w, key);
    json_put_string(w, value);
}

static struct error *print_json(struct verifying *v) {
    const struct bundle_verification *r = &v->result;
    bool good = r->verdict == BUNDLE_VERIFIED;
    struct buf b;
    buf_init_arena(&b, &v->cli->arena, CLI_RECEIPT_MAX);
    struct json_writer w = json_writer_of(&b);
    json_object_begin(&w);
    json_key(&w, "verified");
    json_put_bool(&w, good);
    put_text(&w, "reason", bytes_of_cstr(r->reason));
    json_key(&w, "index");
    json_put_u64_string(&w, r->index);
    json_key(&w, "treeSize");
    json_put_u64_string(&w, r->tree_size);
    put_text(&w, "predicateType", bytes_of_text(r->statement.predicate_type));
    json_key(&w, "subject");
    put_subjects(&w, &r->statement);
    put_text(&w, "builderId", bytes_of_text(r->statement.builder_id));
    put_text(&w, "signer", bytes_of_text(r->statement.submitter_principal));
    put_text(&w, "loggedAt",
             bytes_of_cstr(good ? cli_time(&v->cli->arena, r->integrated_s * 1000) : ""));
    put_text(&w, "compared", bytes_of_cstr(compared_names[compared(v)]));
    json_object_end(&w);
    TRY(buf_finish(&b, "answer"));
    cli_json(v->cli, buf_bytes(&b));
    return NULL;
}

static void print_for_people(struct verifying *v) {
    struct cli *cli = v->cli;
    const struct bundle_verification *r = &v->result;
    if (r->verdict != BUNDLE_VERIFIED) {
        cli_colour(cli, COLOUR_BAD, "NOT VERIFIED");
        cli_say(cli, ": ");
        cli_put(cli->io->out, bytes_of_cstr(r->reason));
        cli_say(cli, "\n");
        return;
    }
    cli_colour(cli, COLOUR_GOOD, "verified");
    cli_say(cli, ": entry %llu of the log ", (unsigned long long)r->index);
    cli_put(cli->io->out, v->trust->origin);
    cli_say(cli, "\n");
    cli_field(cli, "logged", bytes_of_cstr(cli_time(&cli->arena, r->integrated_s * 1000)));
    cli_field(cli, "says", bytes_of_text(r->statement.predicate_type));
    cli_field(cli, "about", bytes_of_cstr(v->about));
    if (compared(v) == COMPARED_FILES)
        cli_field(cli, "compared", BYTES_LIT("every file's name and digest"));
    if (compared(v) == COMPARED_ROOT)
        cli_field(cli, "compared",
                  BYTES_LIT("the root alone, which does not bind the names of the files; a receipt "
                            "over `attest model manifest` does"));
    cli_field(cli, "submitted", bytes_of_text(r->statement.submitter_principal));
    if (r->statement.builder_id.len > 0)
        cli_field(cli, "builder", bytes_of_text(r->statement.builder_id));
}

static struct error *load_subject(struct verifying *v) {
    struct subject s = {0};
    TRY(subject_parse(&v->cli->arena, v->cli->args.words[0], &s));
    v->model = s.model;
    (void)snprintf(v->about, sizeof v->about, "%s:%s", s.algorithm, s.digest);
    if (hex_decode(bytes_of_cstr(s.digest), v->digest.octets, sizeof v->digest.octets)) return NULL;
    return error_new(ERROR_INTERNAL, "the subject's digest is no sha256");
}

static struct error *load(struct verifying *v) {
    struct cli *cli = v->cli;
    const char *receipt = args_value(&cli->args, "receipt");
    const char *path = args_value(&cli->args, "trust");
    struct trust_files files;
    const char *type = args_value(&cli->args, "predicate-type");
    if (receipt == NULL) return cli_usage(cli, "which receipt? --receipt FILE");
    /* as an unset variable leaves it: no type would be any type */
    if (type != NULL && type[0] == '\0') return cli_usage(cli, "--predicate-type is empty");
    TRY(args_duration(&cli->args, "max-age", 0, &v->max_age_ms));
    TRY(load_subject(v));
    TRY(cli_read_file(&cli->arena, receipt, CLI_RECEIPT_MAX, &v->receipt));
    if (path == NULL) TRY(trust_path_of_last(cli, &path));
    cli->advice = "Copy FILE and FILE.keys.json of `attest trust` here, or run it.";
    TRY(trust_read(&cli->arena, path, &files));
    cli->advice = NULL;
    struct error *err = trust_open(&files, &v->trust);
    return err == NULL ? NULL : error_wrap(err, "%s", path);
}

/* A refusal keeps nothing of the receipt but the reason. */
static void check_age(struct verifying *v) {
    int64_t age_ms = clock_unix_ms(&clock_system) - v->result.integrated_s * 1000;
    if (v->result.verdict != BUNDLE_VERIFIED || v->max_age_ms == 0 || age_ms <= v->max_age_ms)
        return;
    const char *when = cli_time(&v->cli->arena, v->result.integrated_s * 1000);
    v->result = (struct bundle_verification){.verdict = BUNDLE_REFUSED};
    (void)snprintf(v->result.reason, sizeof v->result.reason,
                   "it was logged %s, longer ago than --max-age", when);
}

/* A model's root does not bind the names of its files: where the statement is the model's manifest,
 * every name and digest is compared (OMS v1.0, 6.5). */
static struct error *check_manifest(struct verifying *v, struct arena *arena) {
    const struct intoto_statement *st = &v->result.statement;
    struct model signed_model;
    struct text why = {0};
    bool same = false;
    if (v->result.verdict != BUNDLE_VERIFIED || v->model == NULL) return NULL;
    if (!text_equal(st->predicate_type, TEXT_LIT(MODEL_PREDICATE_TYPE))) return NULL;
    struct error *err = model_read_predicate(arena, st->predicate, &signed_model);
    if (err != NULL && error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    bool readable = err == NULL;
    error_ignore(err, "a manifest that cannot be read is a refusal");
    if (readable) TRY(model_compare(arena, &signed_model, v->model, &same, &why));
    v->manifest = same;
    if (same) return NULL;
    v->result = (struct bundle_verification){.verdict = BUNDLE_REFUSED};
    (void)snprintf(v->result.reason, sizeof v->result.reason,
                   "the directory is not the manifest's"
                   ": " BYTES_FMT,
                   BYTES_ARG(why));
    return NULL;
}

static struct error *verify(struct verifying *v, struct arena *arena, int *out_exit) {
    const char *type = args_value(&v->cli->args, "predicate-type");
    struct bytes wanted = bytes_of_cstr(type == NULL ? "" : type);
    TRY(bundle_verify(arena, v->receipt, v->trust, &v->digest, wanted, &v->result));
    TRY(check_manifest(v, arena));
    check_age(v);
    if (v->cli->json)
        TRY(print_json(v));
    else
        print_for_people(v);
    *out_exit = v->result.verdict == BUNDLE_VERIFIED ? CLI_EXIT_YES : CLI_EXIT_NO;
    return NULL;
}

struct error *run_verify(struct cli *cli, int *out_exit) {
    struct verifying v = {.cli = cli};
    struct arena arena;
    struct error *err = load(&v);
    arena_init(&arena, VERIFY_ARENA_MAX);
    if (err == NULL) err = verify(&v, &arena, out_exit);
    arena_done(&arena);
    trust_close(v.trust);
    return err;
}
