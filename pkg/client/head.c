#include "client/head.h"

#include <stdio.h>

#include "attestd/v1/log.pb-c.h"
#include "client/connection.h"
#include "note/note.h"

static const struct method get_checkpoint = {
    .path = "/attestd.v1.Log/GetCheckpoint",
    .request = &attestd__v1__get_checkpoint_request__descriptor,
    .response = &attestd__v1__get_checkpoint_response__descriptor,
};
static const struct method get_consistency = {
    .path = "/attestd.v1.Log/GetConsistencyProof",
    .request = &attestd__v1__get_consistency_proof_request__descriptor,
    .response = &attestd__v1__get_consistency_proof_response__descriptor,
};

static void say_why(char why[256], const char *text) { (void)snprintf(why, 256, "%s", text); }

/* One form of a checkpoint, signed under the log's name by one of its keys of `algorithm`. */
static struct error *check_form(struct arena *arena, const struct trust *trust, struct bytes text,
                                enum key_algorithm algorithm, struct checkpoint *out,
                                bool *out_good) {
    struct note note;
    *out_good = false;
    TRY(note_parse(arena, text, &note));
    TRY(checkpoint_parse(note.text, algorithm == KEY_ED25519, out));
    for (size_t i = 0; i < trust->log_count && !*out_good; i++) {
        if (public_key_algorithm(trust->logs[i].key) != algorithm) continue;
        TRY(note_verify(&note, trust->origin, trust->logs[i].key, out_good));
    }
    return NULL;
}

/* Malformed is an answer here: the server said it. */
static struct error *answer(struct error *err, const char *what, char why[256], bool *out_good) {
    if (err == NULL || error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    (void)snprintf(why, 256, "%s is malformed: %s", what, error_message(err));
    error_ignore(err, "malformed is an answer");
    *out_good = false;
    return NULL;
}

struct error *head_check(struct arena *arena, const struct trust *trust, struct bytes checkpoint,
                         struct head *out, char why[256], bool *out_good) {
    struct checkpoint c = {0};
    say_why(why, "the checkpoint is not signed by the log's key");
    TRY(answer(check_form(arena, trust, checkpoint, KEY_ED25519, &c, out_good), "the checkpoint",
               why, out_good));
    if (*out_good && !bytes_equal(c.origin, trust->origin)) {
        *out_good = false;
        say_why(why, "the checkpoint is of another log");
    }
    if (*out_good) *out = (struct head){c.size, c.root, checkpoint};
    return NULL;
}

/* The v1 form is signed under the log's name; its first line is "<name> - <tree id>". */
static bool is_v1_origin(struct bytes name, struct bytes origin) {
    const struct bytes dash = BYTES_LIT(" - ");
    if (!bytes_start_with(name, origin)) return false;
    return bytes_start_with((struct bytes){name.data + origin.len, name.len - origin.len}, dash);
}

static struct error *check_v1(struct cli *cli, const struct trust *trust, struct bytes text,
                              const struct head *head, char why[256], bool *out_good) {
    struct checkpoint c = {0};
    say_why(why, "the v1 checkpoint is not signed by the log's key");
    TRY(answer(check_form(cli_arena(cli), trust, text, KEY_P256, &c, out_good), "the v1 checkpoint",
               why, out_good));
    if (!*out_good) return NULL;
    *out_good = is_v1_origin(c.origin, trust->origin) && c.size == head->size &&
                sha256_equal(&c.root, &head->root);
    if (!*out_good) say_why(why, "the two forms of the checkpoint do not agree");
    return NULL;
}

struct error *head_fetch(struct cli *cli, const struct trust *trust, uint64_t size,
                         struct head *out, char why[256], bool *out_good) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    struct head head = {0};
    cli_request_begin(cli, &r);
    cli_request_u64(&r, "treeSize", size);
    TRY(cli_call(cli, &get_checkpoint, &r, &m));
    const Attestd__V1__GetCheckpointResponse *c = (const Attestd__V1__GetCheckpointResponse *)m;
    TRY(head_check(cli_arena(cli), trust, bytes_of_cstr(c->checkpoint), &head, why, out_good));
    if (!*out_good) return NULL;
    TRY(check_v1(cli, trust, bytes_of_cstr(c->checkpoint_v1), &head, why, out_good));
    if (*out_good && size != 0 && head.size != size) {
        *out_good = false;
        say_why(why, "the checkpoint is of another size than was asked");
    }
    if (*out_good) *out = head;
    return NULL;
}

static bool read_hashes(const Attestd__V1__GetConsistencyProofResponse *r,
                        struct merkle_proof *out) {
    if (r->n_hashes > MERKLE_PROOF_MAX) return false;
    for (size_t i = 0; i < r->n_hashes; i++) {
        if (r->hashes[i].len != sizeof out->hashes[i].octets) return false;
        memcpy(out->hashes[i].octets, r->hashes[i].data, sizeof out->hashes[i].octets);
    }
    out->count = r->n_hashes;
    return true;
}

struct error *head_extends(struct cli *cli, const struct head *old, const struct head *new,
                           char why[256], bool *out_good,
                           const struct ProtobufCMessage **out_proof) {
    struct merkle_proof proof = {0};
    if (out_proof != NULL) *out_proof = NULL;
    *out_good = old->size == 0;
    if (*out_good) return NULL; /* everything extends the empty log */
    if (old->size > new->size) {
        (void)snprintf(why, 256, "the log shrank from %llu entries to %llu",
                       (unsigned long long)old->size, (unsigned long long)new->size);
        return NULL;
    }
    if (old->size < new->size || out_proof != NULL) {
        struct request r;
        const struct ProtobufCMessage *m = NULL;
        cli_request_begin(cli, &r);
        cli_request_u64(&r, "oldSize", old->size);
        cli_request_u64(&r, "newSize", new->size);
        TRY(cli_call(cli, &get_consistency, &r, &m));
        if (!read_hashes((const Attestd__V1__GetConsistencyProofResponse *)m, &proof)) {
            say_why(why, "the consistency proof is malformed");
            return NULL;
        }
        if (out_proof != NULL) *out_proof = m;
    }
    *out_good = merkle_verify_consistency(old->size, new->size, proof.hashes, proof.count,
                                          &old->root, &new->root);
    if (!*out_good)
        (void)snprintf(why, 256, "the log forked: size %llu does not extend size %llu",
                       (unsigned long long)new->size, (unsigned long long)old->size);
    return NULL;
}
