/*
 * The workloads.
 *
 *   submit   provenance of a new subject; answers: the receipt must verify and be of that subject
 *   gate     a decision about a subject that nobody asked about before; with --subjects each was
 *            attested before the clock started, else nothing is known about it. Answers: a
 * decision, and (recorded) a summary that verifies and is of that subject read     the statements
 * about one of up to 1,000 subjects that are in the log; answers: they are about that subject
 */
#include <stdio.h>

#include "attestd/v1/attestations.pb-c.h"
#include "attestd/v1/gate.pb-c.h"
#include "attestd/v1/log.pb-c.h"
#include "client/bench.h"
#include "client/receipt.h"
#include "codec/codec.h"
#include "intoto/intoto.h"
#include "msg/msg.h"

#define HOLE "0000000000000000000000000000000000000000000000000000000000000000"
#define READ_SUBJECTS_MAX 1000
#define PREPARE_BATCH 500
#define CHECK_ARENA_MAX ((size_t)192 << 20)

static const struct method attest = {
    .path = "/attestd.v1.Attestations/Attest",
    .request = &attestd__v1__attest_request__descriptor,
    .response = &attestd__v1__attest_response__descriptor,
};
static const struct method attest_batch = {
    .path = "/attestd.v1.Attestations/AttestBatch",
    .request = &attestd__v1__attest_batch_request__descriptor,
    .response = &attestd__v1__attest_batch_response__descriptor,
};
static const struct method decide = {
    .path = "/attestd.v1.Gate/Decide",
    .request = &attestd__v1__decide_request__descriptor,
    .response = &attestd__v1__decide_response__descriptor,
};
static const struct method list = {
    .path = "/attestd.v1.Attestations/List",
    .request = &attestd__v1__list_request__descriptor,
    .response = &attestd__v1__list_response__descriptor,
};
static const struct method get = {
    .path = "/attestd.v1.Attestations/Get",
    .request = &attestd__v1__get_request__descriptor,
    .response = &attestd__v1__get_response__descriptor,
};
static const struct method get_checkpoint = {
    .path = "/attestd.v1.Log/GetCheckpoint",
    .request = &attestd__v1__get_checkpoint_request__descriptor,
    .response = &attestd__v1__get_checkpoint_response__descriptor,
};

void bench_digest(const struct bench *b, uint64_t sequence, char out[65]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t in[sizeof b->seed + sizeof sequence];
    memcpy(in, b->seed, sizeof b->seed);
    memcpy(in + sizeof b->seed, &sequence, sizeof sequence);
    struct sha256 h = sha256_of((struct bytes){in, sizeof in});
    for (size_t i = 0; i < sizeof h.octets; i++) {
        out[2 * i] = digits[h.octets[i] >> 4];
        out[2 * i + 1] = digits[h.octets[i] & 15];
    }
    out[64] = '\0';
}

/* --- templates: the wire octets of one request, with holes where the subject's digest goes. The
 * digest has always the same length, so every request is as well-formed as the first. */
static struct error *make_template(struct bench *b, const struct method *m, struct request *r) {
    struct ProtobufCMessage *message = NULL;
    struct bytes wire;
    struct template *t = &b->template;
    json_object_end(&r->w);
    TRY(buf_finish(&r->json, "template"));
    TRY(msg_from_json(b->cli->schema, &b->cli->arena, m->request, buf_bytes(&r->json), &message));
    TRY(msg_pack(&b->cli->arena, message, &wire));
    struct bytes own = arena_copy(&b->cli->arena, wire);
    if (own.data == NULL) return error_nomem();
    *t = (struct template){.wire = (uint8_t *)own.data, .len = own.len};
    for (size_t at = 0; at + 64 <= t->len && t->hole_count < TEMPLATE_HOLES_MAX; at++) {
        if (memcmp(t->wire + at, HOLE, 64) == 0) t->holes[t->hole_count++] = at;
    }
    return NULL;
}

static struct bytes fill_template(struct template *t, const char digest[65]) {
    for (size_t i = 0; i < t->hole_count; i++) memcpy(t->wire + t->holes[i], digest, 64);
    return (struct bytes){t->wire, t->len};
}

static struct bytes make_distinct(struct bench *b, uint64_t sequence) {
    char digest[65];
    bench_digest(b, sequence, digest);
    return fill_template(&b->template, digest);
}

/* --- submit */
static void put_subject(struct json_writer *w, const char *digest) {
    json_object_begin(w);
    json_key(w, "name");
    json_put_cstr(w, "bench.example/subject");
    json_key(w, "digest");
    json_object_begin(w);
    json_key(w, "sha256");
    json_put_cstr(w, digest);
    json_object_end(w);
    json_object_end(w);
}

static void put_text(struct json_writer *w, const char *key, const char *value) {
    json_key(w, key);
    json_put_cstr(w, value);
}

/* An ordinary build: two parameters, a source and a base image, about 1 KiB of statement. */
static void put_provenance(struct json_writer *w, const char *digest) {
    json_key(w, "subject");
    json_array_begin(w);
    put_subject(w, digest);
    json_array_end(w);
    json_key(w, "provenance");
    json_object_begin(w);
    put_text(w, "buildType", "https://bench.example/build/v1");
    json_key(w, "externalParameters");
    json_object_begin(w);
    put_text(w, "repository", "git+https://git.bench.example/shop");
    put_text(w, "ref", "refs/heads/main");
    json_object_end(w);
    json_key(w, "resolvedDependencies");
    json_array_begin(w);
    json_object_begin(w);
    put_text(w, "uri", "git+https://git.bench.example/shop@refs/heads/main");
    json_key(w, "digest");
    json_object_begin(w);
    put_text(w, "gitCommit", "4d8f2c1b9a7e6d5c4b3a29180716253443526170");
    json_object_end(w);
    json_object_end(w);
    json_object_begin(w);
    put_text(w, "uri", "pkg:oci/base?repository_url=registry.bench.example");
    json_key(w, "digest");
    json_object_begin(w);
    put_text(w, "sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    json_object_end(w);
    json_object_end(w);
    json_array_end(w);
    put_text(w, "invocationId", "https://ci.bench.example/runs/4711");
    json_object_end(w);
}

static struct error *prepare_submit(struct bench *b) {
    struct request r;
    cli_request_begin(b->cli, &r);
    put_provenance(&r.w, HOLE);
    return make_template(b, &attest, &r);
}

static struct error *unpack(struct bench *b, struct arena *arena, const struct method *m,
                            const struct sample *s, const struct ProtobufCMessage **out) {
    const struct msg_limits limits = MSG_LIMITS_DEFAULT;
    const struct bytes wire = {s->octets, s->len};
    struct ProtobufCMessage *message = NULL;
    TRY(msg_unpack(b->cli->schema, arena, m->response, wire, &limits, &message));
    *out = message;
    return NULL;
}

static struct error *check_receipt(struct bench *b, struct arena *arena, uint64_t sequence,
                                   const char *receipt, bool *out_good) {
    char digest[65];
    struct sha256 subject;
    struct bundle_verification v;
    bench_digest(b, sequence, digest);
    if (!hex_decode(bytes_of_cstr(digest), subject.octets, sizeof subject.octets))
        return error_new(ERROR_INTERNAL, "the digest is none");
    TRY(bundle_verify(arena, bytes_of_cstr(receipt), b->trust, &subject, (struct bytes){0}, &v));
    *out_good = v.verdict == BUNDLE_VERIFIED;
    if (!*out_good) (void)snprintf(b->first_error, sizeof b->first_error, "%s", v.reason);
    return NULL;
}

static struct error *check_submit_in(struct bench *b, struct arena *arena, const struct sample *s,
                                     bool *out_good) {
    const struct ProtobufCMessage *m = NULL;
    TRY(unpack(b, arena, &attest, s, &m));
    const Attestd__V1__AttestResponse *r = (const Attestd__V1__AttestResponse *)m;
    return check_receipt(b, arena, s->sequence, r->receipt, out_good);
}

static struct error *in_own_arena(struct bench *b, const struct sample *s, bool *out_good,
                                  struct error *(*check)(struct bench *b, struct arena *arena,
                                                         const struct sample *s, bool *out_good)) {
    struct arena arena;
    arena_init(&arena, CHECK_ARENA_MAX);
    struct error *err = check(b, &arena, s, out_good);
    arena_done(&arena);
    return err;
}

static struct error *check_submit(struct bench *b, const struct sample *s, bool *out_good) {
    return in_own_arena(b, s, out_good, check_submit_in);
}

/* --- gate */
static struct error *attest_some(struct bench *b, uint64_t from, uint64_t to) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    cli_request_begin(b->cli, &r);
    json_key(&r.w, "requests");
    json_array_begin(&r.w);
    for (uint64_t i = from; i < to; i++) {
        char digest[65];
        bench_digest(b, i, digest);
        json_object_begin(&r.w);
        put_provenance(&r.w, digest);
        json_object_end(&r.w);
    }
    json_array_end(&r.w);
    cli_begin_deadline(b->cli);
    TRY(cli_call(b->cli, &attest_batch, &r, &m));
    const Attestd__V1__AttestBatchResponse *answer = (const Attestd__V1__AttestBatchResponse *)m;
    for (size_t i = 0; i < answer->n_results; i++) {
        if (answer->results[i]->result_case !=
            ATTESTD__V1__ATTEST_BATCH_RESPONSE__ITEM__RESULT_RESPONSE)
            return error_new(ERROR_ABORTED, "a subject could not be attested before the run");
    }
    return NULL;
}

static struct error *attest_subjects(struct bench *b) {
    for (uint64_t at = 0; at < b->options.subjects; at += PREPARE_BATCH) {
        uint64_t end = at + PREPARE_BATCH;
        struct arena arena;
        arena_init(&arena, (size_t)256 << 20);
        b->cli->scratch = &arena;
        struct error *err =
            attest_some(b, at, end > b->options.subjects ? b->options.subjects : end);
        b->cli->scratch = NULL;
        arena_done(&arena);
        TRY(err);
    }
    return NULL;
}

static struct error *prepare_gate(struct bench *b) {
    struct request r;
    TRY(attest_subjects(b));
    cli_request_begin(b->cli, &r);
    json_key(&r.w, "subject");
    put_subject(&r.w, HOLE);
    cli_request_text(&r, "environment", b->options.environment);
    cli_request_flag(&r, "dryRun", b->options.dry_run);
    return make_template(b, &decide, &r);
}

static struct error *check_gate_in(struct bench *b, struct arena *arena, const struct sample *s,
                                   bool *out_good) {
    const struct ProtobufCMessage *m = NULL;
    TRY(unpack(b, arena, &decide, s, &m));
    const Attestd__V1__DecideResponse *r = (const Attestd__V1__DecideResponse *)m;
    *out_good = r->decision == ATTESTD__V1__DECIDE_RESPONSE__DECISION__ALLOW ||
                r->decision == ATTESTD__V1__DECIDE_RESPONSE__DECISION__DENY;
    if (!*out_good || b->options.dry_run) return NULL;
    return check_receipt(b, arena, s->sequence, r->receipt, out_good);
}

static struct error *check_gate(struct bench *b, const struct sample *s, bool *out_good) {
    return in_own_arena(b, s, out_good, check_gate_in);
}

/* --- read */
static struct error *add_digest_of(struct bench *b, uint64_t index) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    cli_request_begin(b->cli, &r);
    cli_request_u64(&r, "index", index);
    TRY(cli_call(b->cli, &get, &r, &m));
    const Attestd__V1__Attestation *a = ((const Attestd__V1__GetResponse *)m)->attestation;
    if (a == NULL || a->n_subject == 0) return NULL;
    for (size_t i = 0; i < a->subject[0]->n_digest; i++) {
        if (strcmp(a->subject[0]->digest[i]->key, "sha256") != 0) continue;
        if (strlen(a->subject[0]->digest[i]->value) != 64) continue;
        b->digests[b->digest_count++] =
            cli_cstr(&b->cli->arena, bytes_of_cstr(a->subject[0]->digest[i]->value));
        break;
    }
    return NULL;
}

static struct error *log_size(struct bench *b, uint64_t *out) {
    struct request r;
    const struct ProtobufCMessage *m = NULL;
    cli_request_begin(b->cli, &r);
    TRY(cli_call(b->cli, &get_checkpoint, &r, &m));
    *out = ((const Attestd__V1__GetCheckpointResponse *)m)->tree_size;
    return NULL;
}

/* Subjects from all over the log, so that no cache holds the answer to all. */
static struct error *prepare_read(struct bench *b) {
    struct request r;
    uint64_t size = 0;
    TRY(log_size(b, &size));
    if (size == 0) return error_new(ERROR_FAILED_PRECONDITION, "the log is empty: submit first");
    uint64_t count = size < READ_SUBJECTS_MAX ? size : READ_SUBJECTS_MAX;
    b->digests = arena_alloc(&b->cli->arena, count * sizeof *b->digests);
    if (b->digests == NULL) return error_nomem();
    cli_begin_deadline(b->cli);
    for (uint64_t i = 0; i < count; i++) {
        struct arena arena;
        arena_init(&arena, CHECK_ARENA_MAX);
        b->cli->scratch = &arena;
        struct error *err = add_digest_of(b, (uint64_t)((__uint128_t)i * size / count));
        b->cli->scratch = NULL;
        arena_done(&arena);
        TRY(err);
    }
    if (b->digest_count == 0)
        return error_new(ERROR_FAILED_PRECONDITION, "no entry has a sha256 subject");
    cli_request_begin(b->cli, &r);
    cli_request_text(&r, "digest", "sha256:" HOLE);
    return make_template(b, &list, &r);
}

static struct bytes make_read(struct bench *b, uint64_t sequence) {
    return fill_template(&b->template, b->digests[sequence % b->digest_count]);
}

static bool is_about(const Attestd__V1__Attestation *a, const char *digest) {
    for (size_t i = 0; i < a->n_subject; i++) {
        for (size_t j = 0; j < a->subject[i]->n_digest; j++) {
            if (strcmp(a->subject[i]->digest[j]->value, digest) == 0) return true;
        }
    }
    return false;
}

static struct error *check_read_in(struct bench *b, struct arena *arena, const struct sample *s,
                                   bool *out_good) {
    const struct ProtobufCMessage *m = NULL;
    TRY(unpack(b, arena, &list, s, &m));
    const Attestd__V1__ListResponse *r = (const Attestd__V1__ListResponse *)m;
    *out_good = r->n_attestations > 0;
    for (size_t i = 0; i < r->n_attestations; i++)
        *out_good =
            *out_good && is_about(r->attestations[i], b->digests[s->sequence % b->digest_count]);
    return NULL;
}

static struct error *check_read(struct bench *b, const struct sample *s, bool *out_good) {
    return in_own_arena(b, s, out_good, check_read_in);
}

const struct workload workloads[] = {
    {"submit", "/attestd.v1.Attestations/Attest", prepare_submit, make_distinct, check_submit},
    {"gate", "/attestd.v1.Gate/Decide", prepare_gate, make_distinct, check_gate},
    {"read", "/attestd.v1.Attestations/List", prepare_read, make_read, check_read},
    {0},
};
