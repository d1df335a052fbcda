/* attest log checkpoint|proof|consistency|entries: what is needed to check the log; each checked
 * here before it is printed. */
#include <stdio.h>

#include "attestd/v1/log.pb-c.h"
#include "base/reader.h"
#include "client/connection.h"
#include "client/head.h"
#include "client/receipt.h"
#include "codec/codec.h"

#define PAGE_SIZE 1000
#define PAGE_OCTETS_MAX ((size_t)256 << 20)

static const struct method get_checkpoint = {
    .path = "/attestd.v1.Log/GetCheckpoint",
    .request = &attestd__v1__get_checkpoint_request__descriptor,
    .response = &attestd__v1__get_checkpoint_response__descriptor,
};
static const struct method get_inclusion = {
    .path = "/attestd.v1.Log/GetInclusionProof",
    .request = &attestd__v1__get_inclusion_proof_request__descriptor,
    .response = &attestd__v1__get_inclusion_proof_response__descriptor,
};
static const struct method get_entries = {
    .path = "/attestd.v1.Log/GetEntries",
    .request = &attestd__v1__get_entries_request__descriptor,
    .response = &attestd__v1__get_entries_response__descriptor,
};

static struct error *word_u64(struct cli *cli, size_t i, const char *what, uint64_t *out) {
    if (bytes_to_u64(bytes_of_cstr(cli->args.words[i]), out)) return NULL;
    return cli_usage(cli, "%s must be a number, not `%.64s`", what, cli->args.words[i]);
}

static void refuse(struct cli *cli, const char *why) {
    cli_note(cli, "attest: ");
    cli_put(cli->io->err, bytes_of_cstr(why));
    cli_note(cli, "\nKeep what you have and tell whoever runs the log.\n");
}

static void print_hash(struct cli *cli, const char *name, const ProtobufCBinaryData *hash) {
    struct buf hex;
    buf_init_arena(&hex, &cli->arena, 256);
    hex_put(&hex, (struct bytes){hash->data, hash->len});
    cli_field(cli, name, buf_bytes(&hex));
}

/* --- checkpoint */
struct error *run_log_checkpoint(struct cli *cli, int *out_exit) {
    CLEANUP(trust_closep) struct trust *trust = NULL;
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    struct head head;
    char why[256];
    bool good = false;
    TRY(cli_trust(cli, &trust));
    cli_request_begin(cli, &r);
    TRY(cli_call(cli, &get_checkpoint, &r, &m));
    const Attestd__V1__GetCheckpointResponse *c = (const Attestd__V1__GetCheckpointResponse *)m;
    struct bytes note = bytes_of_cstr(c->checkpoint);
    TRY(head_check(&cli->arena, trust, note, &head, why, &good));
    *out_exit = good ? CLI_EXIT_YES : CLI_EXIT_NO;
    if (!good) {
        refuse(cli, why);
        return NULL;
    }
    if (cli->json) return cli_print(cli, m);
    (void)fwrite(note.data, 1, note.len, cli->io->out);
    return NULL;
}

/* --- proof */
static bool proof_holds(const Attestd__V1__GetInclusionProofResponse *p, uint64_t index,
                        const struct head *head) {
    struct sha256 leaf, hashes[MERKLE_PROOF_MAX];
    if (p->leaf_hash.len != sizeof leaf.octets || p->n_hashes > MERKLE_PROOF_MAX) return false;
    memcpy(leaf.octets, p->leaf_hash.data, sizeof leaf.octets);
    for (size_t i = 0; i < p->n_hashes; i++) {
        if (p->hashes[i].len != sizeof hashes[i].octets) return false;
        memcpy(hashes[i].octets, p->hashes[i].data, sizeof hashes[i].octets);
    }
    return p->tree_size == head->size &&
           merkle_verify_inclusion(index, head->size, &leaf, hashes, p->n_hashes, &head->root);
}

static void print_proof(struct cli *cli, const Attestd__V1__GetInclusionProofResponse *p,
                        uint64_t index) {
    cli_colour(cli, COLOUR_GOOD, "proved");
    cli_say(cli, ": entry %llu is in the tree of %llu\n", (unsigned long long)index,
            (unsigned long long)p->tree_size);
    print_hash(cli, "leaf hash", &p->leaf_hash);
    for (size_t i = 0; i < p->n_hashes; i++) print_hash(cli, i == 0 ? "path" : "", &p->hashes[i]);
}

struct error *run_log_proof(struct cli *cli, int *out_exit) {
    CLEANUP(trust_closep) struct trust *trust = NULL;
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    struct head head;
    uint64_t index = 0, size = 0;
    char why[256];
    bool good = false;
    TRY(word_u64(cli, 0, "INDEX", &index));
    TRY(args_u64(&cli->args, "tree-size", 0, &size));
    TRY(cli_trust(cli, &trust));
    cli_request_begin(cli, &r);
    cli_request_u64(&r, "index", index);
    cli_request_u64(&r, "treeSize", size);
    TRY(cli_call(cli, &get_inclusion, &r, &m));
    const Attestd__V1__GetInclusionProofResponse *p =
        (const Attestd__V1__GetInclusionProofResponse *)m;
    TRY(head_check(&cli->arena, trust, bytes_of_cstr(p->checkpoint), &head, why, &good));
    const char *wrong = NULL;
    if (good && !proof_holds(p, index, &head)) wrong = "the proof does not lead to the signed root";
    if (good && size != 0 && head.size != size)
        wrong = "the proof is of another size than was asked";
    if (wrong != NULL) {
        good = false;
        (void)snprintf(why, sizeof why, "%s", wrong);
    }
    *out_exit = good ? CLI_EXIT_YES : CLI_EXIT_NO;
    if (!good)
        refuse(cli, why);
    else if (cli->json)
        TRY(cli_print(cli, m));
    else
        print_proof(cli, p, index);
    return NULL;
}

/* --- consistency */
struct error *run_log_consistency(struct cli *cli, int *out_exit) {
    CLEANUP(trust_closep) struct trust *trust = NULL;
    const struct ProtobufCMessage *proof = NULL;
    struct head old, new;
    uint64_t old_size = 0, new_size = 0;
    char why[256];
    bool good = false;
    TRY(word_u64(cli, 0, "OLD", &old_size));
    TRY(word_u64(cli, 1, "NEW", &new_size));
    if (old_size == 0 || old_size > new_size)
        return cli_usage(cli, "OLD must be at least 1 and no larger than NEW");
    TRY(cli_trust(cli, &trust));
    TRY(head_fetch(cli, trust, old_size, &old, why, &good));
    if (good) TRY(head_fetch(cli, trust, new_size, &new, why, &good));
    if (good) TRY(head_extends(cli, &old, &new, why, &good, &proof));
    *out_exit = good ? CLI_EXIT_YES : CLI_EXIT_NO;
    if (!good) {
        refuse(cli, why);
        return NULL;
    }
    if (cli->json) return cli_print(cli, proof);
    cli_colour(cli, COLOUR_GOOD, "consistent");
    cli_say(cli, ": the tree of %llu extends the tree of %llu\n", (unsigned long long)new_size,
            (unsigned long long)old_size);
    return NULL;
}

/* --- entries: one line each, page by page, so that any range fits in memory */
static struct error *print_entry(struct cli *cli, const Attestd__V1__Entry *e) {
    struct buf b;
    buf_init_arena(&b, cli_arena(cli), CLI_MESSAGE_MAX);
    struct json_writer w = json_writer_of(&b);
    json_object_begin(&w);
    json_key(&w, "index");
    json_put_u64_string(&w, e->index);
    json_key(&w, "leaf");
    json_put_base64(&w, (struct bytes){e->leaf.data, e->leaf.len});
    json_object_end(&w);
    TRY(buf_finish(&b, "entry"));
    cli_json(cli, buf_bytes(&b));
    return NULL;
}

static struct error *fetch_page(struct cli *cli, uint64_t start, uint64_t end,
                                const Attestd__V1__GetEntriesResponse **out) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    cli_request_begin(cli, &r);
    cli_request_u64(&r, "start", start);
    cli_request_u64(&r, "end", end - start > PAGE_SIZE ? start + PAGE_SIZE : end);
    TRY(cli_call(cli, &get_entries, &r, &m));
    *out = (const Attestd__V1__GetEntriesResponse *)m;
    if ((*out)->n_entries == 0)
        return error_new(ERROR_INTERNAL, "the server gave no entries from %llu on",
                         (unsigned long long)start);
    return NULL;
}

static struct error *print_page(struct cli *cli, uint64_t *start, uint64_t end) {
    const Attestd__V1__GetEntriesResponse *page = NULL;
    TRY(fetch_page(cli, *start, end, &page));
    for (size_t i = 0; i < page->n_entries; i++) TRY(print_entry(cli, page->entries[i]));
    *start += page->n_entries;
    return NULL;
}

struct error *run_log_entries(struct cli *cli, int *out_exit) {
    uint64_t start = 0, end = 0;
    TRY(word_u64(cli, 0, "START", &start));
    TRY(word_u64(cli, 1, "END", &end));
    if (start >= end) return cli_usage(cli, "START must be below END: the range is [START, END)");
    if (cli->json) { /* one document: one page, as the RPC gives it */
        const Attestd__V1__GetEntriesResponse *page = NULL;
        if (end - start > PAGE_SIZE)
            return cli_usage(cli, "--json takes at most %d entries; without it, one a line",
                             PAGE_SIZE);
        TRY(fetch_page(cli, start, end, &page));
        *out_exit = CLI_EXIT_YES;
        return cli_print(cli, &page->base);
    }
    while (start < end) {
        struct arena arena;
        arena_init(&arena, PAGE_OCTETS_MAX);
        cli->scratch = &arena;
        struct error *err = print_page(cli, &start, end);
        cli->scratch = NULL;
        arena_done(&arena);
        TRY(err);
        cli_begin_deadline(cli);
    }
    *out_exit = CLI_EXIT_YES;
    return NULL;
}
