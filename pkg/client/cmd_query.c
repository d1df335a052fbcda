/* attest list, get, lineage: what the log knows. */
#include <stdio.h>

#include "attestd/v1/attestations.pb-c.h"
#include "base/reader.h"
#include "client/connection.h"
#include "client/receipt.h"
#include "codec/codec.h"

#define PAGE_SIZE 1000
#define PAGES_MAX 1024

static const struct method list_method = {
    .path = "/attestd.v1.Attestations/List",
    .request = &attestd__v1__list_request__descriptor,
    .response = &attestd__v1__list_response__descriptor,
};
static const struct method get_method = {
    .path = "/attestd.v1.Attestations/Get",
    .request = &attestd__v1__get_request__descriptor,
    .response = &attestd__v1__get_response__descriptor,
};

static const char *time_of(struct cli *cli, const Google__Protobuf__Timestamp *t) {
    return t == NULL ? "" : cli_time(&cli->arena, t->seconds * 1000);
}

/* --- list */
static const char *digest_of(struct cli *cli, const struct subject *s) {
    struct buf b;
    buf_init_arena(&b, &cli->arena, 512);
    buf_printf(&b, "%s:%s", s->algorithm, s->digest);
    return cli_cstr(&cli->arena, buf_bytes(&b));
}

/* The pages of one answer, joined into the first. */
struct pages {
    const Attestd__V1__ListResponse *page[PAGES_MAX];
    size_t count;
    Attestd__V1__ListResponse all;
};

static struct error *join_pages(struct arena *arena, struct pages *p) {
    size_t total = 0;
    for (size_t i = 0; i < p->count; i++) total += p->page[i]->n_attestations;
    p->all = *p->page[0];
    p->all.attestations = cli_list(arena, total);
    if (p->all.attestations == NULL) return error_nomem();
    p->all.n_attestations = 0;
    for (size_t i = 0; i < p->count; i++) {
        for (size_t j = 0; j < p->page[i]->n_attestations; j++)
            p->all.attestations[p->all.n_attestations++] = p->page[i]->attestations[j];
    }
    p->all.next_page_token = p->page[p->count - 1]->next_page_token; /* "" but over PAGES_MAX */
    return NULL;
}

static struct error *list_all(struct cli *cli, const char *digest, uint64_t as_of,
                              struct pages *p) {
    const char *token = NULL;
    do {
        struct request r;
        const struct ProtobufCMessage *m = NULL;
        cli_request_begin(cli, &r);
        cli_request_text(&r, "digest", digest);
        cli_request_text(&r, "predicateType", args_value(&cli->args, "predicate-type"));
        cli_request_u64(&r, "asOfTreeSize", as_of);
        cli_request_u64(&r, "pageSize", PAGE_SIZE);
        cli_request_text(&r, "pageToken", token);
        TRY(cli_call(cli, &list_method, &r, &m));
        const Attestd__V1__ListResponse *page = (const Attestd__V1__ListResponse *)m;
        p->page[p->count++] = page;
        token = page->next_page_token;
    } while (token[0] != '\0' && p->count < PAGES_MAX);
    return join_pages(&cli->arena, p);
}

static void print_row(struct cli *cli, const Attestd__V1__Attestation *a) {
    cli_say(cli, "%8llu  %-24s  ", (unsigned long long)a->index, time_of(cli, a->logged_at));
    if (cli->json) return;
    cli_put(cli->io->out, bytes_of_cstr(a->predicate_type));
    cli_say(cli, "  ");
    cli_put(cli->io->out, bytes_of_cstr(a->signer));
    cli_say(cli, "\n");
}

struct error *run_list(struct cli *cli, int *out_exit) {
    struct subject s;
    uint64_t as_of = 0;
    struct pages *p = arena_alloc(&cli->arena, sizeof *p);
    if (p == NULL) return error_nomem();
    const char *type = args_value(&cli->args, "predicate-type");
    if (type != NULL && type[0] == '\0') return cli_usage(cli, "--predicate-type is empty");
    TRY(subject_parse(&cli->arena, cli->args.words[0], &s));
    TRY(args_u64(&cli->args, "as-of", 0, &as_of));
    TRY(list_all(cli, digest_of(cli, &s), as_of, p));
    if (cli->json) {
        TRY(cli_print(cli, &p->all.base));
    } else {
        for (size_t i = 0; i < p->all.n_attestations; i++) print_row(cli, p->all.attestations[i]);
        cli_say(cli, "%zu about %s, complete up to tree size %llu%s\n", p->all.n_attestations,
                digest_of(cli, &s), (unsigned long long)p->all.tree_size,
                p->all.next_page_token[0] == '\0' ? "" : "; there are MORE");
    }
    *out_exit = CLI_EXIT_YES;
    return NULL;
}

/* --- get */
static struct error *put_key(struct cli *cli, struct request *r) {
    struct bytes word = bytes_of_cstr(cli->args.words[0]);
    struct sha256 hash;
    const struct bytes prefix = BYTES_LIT("sha256:");
    if (bytes_start_with(word, prefix)) {
        struct bytes hex = {word.data + prefix.len, word.len - prefix.len};
        if (!hex_decode(hex, hash.octets, sizeof hash.octets))
            return cli_usage(cli, "a leaf hash is sha256: and 64 lower-case hexadecimal digits");
        json_key(&r->w, "leafHash");
        json_put_base64(&r->w, sha256_bytes(&hash));
        return NULL;
    }
    uint64_t index = 0;
    if (!bytes_to_u64(word, &index))
        return cli_usage(cli, "`%.100s` is no index and no sha256:LEAFHASH", cli->args.words[0]);
    cli_request_u64(r, "index", index);
    return NULL;
}

/* Writes to --out, else (a bare envelope) to standard output. */
static struct error *deliver(struct cli *cli, const Attestd__V1__Attestation *a,
                             const char **out_path) {
    const char *path = args_value(&cli->args, "out");
    bool dsse = args_has(&cli->args, "dsse");
    struct bytes octets = bytes_of_cstr(a->receipt);
    if (dsse) TRY(bundle_get_envelope(&cli->arena, octets, &octets));
    *out_path = path;
    if (path == NULL && !dsse) return NULL;
    if (path != NULL && strcmp(path, "-") != 0) return cli_write_file(path, octets, 0644);
    *out_path = "-";
    cli_json(cli, octets);
    return NULL;
}

static void print_attestation(struct cli *cli, const Attestd__V1__Attestation *a,
                              const char *path) {
    cli_colour(cli, COLOUR_GOOD, "verified");
    cli_say(cli, ": entry %llu\n", (unsigned long long)a->index);
    cli_field(cli, "logged", bytes_of_cstr(time_of(cli, a->logged_at)));
    cli_field(cli, "says", bytes_of_cstr(a->predicate_type));
    for (size_t i = 0; i < a->n_subject; i++) {
        for (size_t j = 0; j < a->subject[i]->n_digest; j++) {
            const struct subject s = {.algorithm = a->subject[i]->digest[j]->key,
                                      .digest = a->subject[i]->digest[j]->value};
            cli_field(cli, i + j == 0 ? "about" : "", bytes_of_cstr(digest_of(cli, &s)));
        }
    }
    cli_field(cli, "submitted", bytes_of_cstr(a->signer));
    if (a->builder_id[0] != '\0') cli_field(cli, "builder", bytes_of_cstr(a->builder_id));
    if (path != NULL) cli_field(cli, "saved", bytes_of_cstr(path));
}

/* Nothing there is an answer: exit 1. */
static bool is_not_found(struct cli *cli, struct error *err) {
    if (err == NULL || error_reason(err) != REASON_ENTRY_NOT_FOUND) return false;
    cli_note(cli, "attest: no such entry\n");
    error_ignore(err, "nothing found is the answer");
    return true;
}

static bool json_and_out_collide(const struct cli *cli) {
    const char *path = args_value(&cli->args, "out");
    bool to_standard_output = path == NULL ? args_has(&cli->args, "dsse") : strcmp(path, "-") == 0;
    return cli->json && to_standard_output;
}

struct error *run_get(struct cli *cli, int *out_exit) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    struct bundle_verification v;
    const char *path = NULL;
    bool good = false;
    *out_exit = CLI_EXIT_NO;
    if (json_and_out_collide(cli))
        return cli_usage(cli, "--json and this --out both want standard output");
    cli_request_begin(cli, &r);
    TRY(put_key(cli, &r));
    struct error *err = cli_call(cli, &get_method, &r, &m);
    if (is_not_found(cli, err)) return NULL;
    TRY(err);
    const Attestd__V1__GetResponse *response = (const Attestd__V1__GetResponse *)m;
    const Attestd__V1__Attestation *a = response->attestation;
    if (a == NULL) return error_new(ERROR_INTERNAL, "the response has no attestation");
    const struct receipt_check check = {.receipt = bytes_of_cstr(a->receipt),
                                        .index = a->index,
                                        .predicate_type = a->predicate_type};
    TRY(cli_check_receipt(cli, &cli->arena, &check, &v, &good));
    if (!good) return NULL;
    TRY(deliver(cli, a, &path));
    if (cli->json)
        TRY(cli_print(cli, m));
    else if (path == NULL || strcmp(path, "-") != 0)
        print_attestation(cli, a, path);
    *out_exit = CLI_EXIT_YES;
    return NULL;
}
