/*
 * mint DIR: makes a log in memory and writes what a server would hand out for it into DIR, by the
 * product's own functions, for other people's verifiers to judge:
 *   attestation.pem decision.pem trusted_root.json signing-keys.json artifact
 *   first-entry.sigstore.json   entry 0 of a log of one: index "0", no hashes
 *   provenance.sigstore.json    SLSA provenance of artifact, in the middle of the log
 *   model/ model.sigstore.json  a model's manifest, predicate https://model_signing/signature/v1.0
 *   summary.sigstore.json summary.dsse.json   a decision: with its receipt, and the bare envelope
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "codec/codec.h"
#include "log_fixture.h"

#define OCTETS_MAX ((size_t)1 << 20)
#define NOW_MS ((int64_t)NOW_S * 1000)
#define NOW_S (FIXTURE_START_S + 3600)
#define OTHERS 20 /* entries beside the ones that are written */

static const struct intoto_server_fields server = {
    .principal = TEXT_LIT("token:ci-1"),
    .method = TEXT_LIT("token"),
    .builder_id = TEXT_LIT("https://" FIXTURE_ORIGIN "/builder/submitted/v1"),
    .received_ms = NOW_MS,
};

static struct buf buffer(struct fixture *f) {
    struct buf out;
    buf_init_arena(&out, &f->arena, OCTETS_MAX);
    return out;
}

static struct error *write_file(const char *dir, const char *name, struct bytes in) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) return error_new(ERROR_UNAVAILABLE, "cannot write %s", path);
    size_t n = in.len == 0 ? 0 : fwrite(in.data, 1, in.len, file);
    if (fclose(file) != 0 || n != in.len)
        return error_new(ERROR_UNAVAILABLE, "cannot write all of %s", path);
    return NULL;
}

static struct error *hex_of(struct fixture *f, const struct sha256 *hash, struct text *out) {
    struct buf hex;
    buf_init_arena(&hex, &f->arena, 64);
    hex_put(&hex, sha256_bytes(hash));
    TRY(buf_finish(&hex, "hex"));
    *out = (struct text){(const char *)hex.data, hex.len};
    return NULL;
}

static struct error *json_of(struct fixture *f, const char *text, const struct json_value **out) {
    struct json_value *v = arena_alloc(&f->arena, sizeof *v);
    if (v == NULL) return error_nomem();
    TRY(json_parse(&f->arena, bytes_of_cstr(text), &JSON_LIMITS_DEFAULT, v));
    *out = v;
    return NULL;
}

/* A submission's way through the server, less the network and the store. */
static struct error *submit(struct fixture *f, struct intoto_submission *sub) {
    TRY(intoto_check(&f->arena, sub, &JSON_LIMITS_DEFAULT));
    struct buf payload = buffer(f);
    TRY(intoto_put_statement(&payload, sub, &server));
    TRY(buf_finish(&payload, "statement"));
    return fixture_add(f, FIXTURE_ATTESTATION, buf_bytes(&payload), NOW_S);
}

static struct error *submit_provenance(struct fixture *f, const char *name,
                                       const struct sha256 *hash) {
    struct intoto_digest digest = {.algorithm = TEXT_LIT("sha256")};
    TRY(hex_of(f, hash, &digest.value));
    struct intoto_resource subject = {
        .name = text_of_cstr(name), .digests = &digest, .digest_count = 1};
    struct intoto_digest commit = {.algorithm = TEXT_LIT("gitCommit"),
                                   .value = TEXT_LIT("4888419c0ffee4888419c0ffee4888419c0ffee0")};
    struct intoto_resource source = {
        .uri = TEXT_LIT("git+https://git.example/shop"), .digests = &commit, .digest_count = 1};
    struct intoto_submission sub = {
        .subjects = &subject,
        .subject_count = 1,
        .kind = INTOTO_PREDICATE_PROVENANCE,
        .provenance = {.build_type = TEXT_LIT("https://example.com/build/v1"),
                       .resolved_dependencies = &source,
                       .resolved_dependency_count = 1,
                       .invocation_id = TEXT_LIT("run/\xC3\xA9/17"),
                       .started_on = {.set = true, .seconds = NOW_S - 60},
                       .finished_on = {.set = true, .seconds = NOW_S - 1, .nanos = 500000000}},
    };
    TRY(json_of(f, "{\"ref\":\"refs/heads/main\",\"weight\":0.1}",
                &sub.provenance.external_parameters));
    return submit(f, &sub);
}

/* Implements: OMS, model_signing 1.1.1: the subject is the hash of the files' digests, in order. */
static struct error *submit_model(struct fixture *f, const char *dir) {
    static const char *const names[] = {"config.json", "weights.bin"};
    char path[512];
    (void)snprintf(path, sizeof path, "%s/model", dir);
    (void)mkdir(path, 0777);
    struct buf predicate = buffer(f);
    struct sha256_ctx root;
    sha256_init(&root);
    buf_put_cstr(&predicate,
                 "{\"serialization\":{\"method\":\"files\",\"hash_type\":\"sha256\","
                 "\"allow_symlinks\":false},\"resources\":[");
    for (size_t i = 0; i < 2; i++) {
        TRY(write_file(path, names[i], bytes_of_cstr(names[i])));
        struct sha256 digest = sha256_of(bytes_of_cstr(names[i]));
        sha256_update(&root, sha256_bytes(&digest));
        buf_printf(&predicate, "%s{\"algorithm\":\"sha256\",\"name\":\"%s\",\"digest\":\"",
                   i == 0 ? "" : ",", names[i]);
        hex_put(&predicate, sha256_bytes(&digest));
        buf_put_cstr(&predicate, "\"}");
    }
    buf_put_cstr(&predicate, "]}");
    TRY(buf_finish(&predicate, "predicate"));
    struct sha256 hash = sha256_final(&root);
    struct intoto_digest digest = {.algorithm = TEXT_LIT("sha256")};
    TRY(hex_of(f, &hash, &digest.value));
    struct intoto_resource subject = {
        .name = TEXT_LIT("model"), .digests = &digest, .digest_count = 1};
    struct intoto_submission sub = {
        .subjects = &subject,
        .subject_count = 1,
        .kind = INTOTO_PREDICATE_OCTETS,
        .octets = buf_bytes(&predicate),
        .predicate_type = TEXT_LIT("https://model_signing/signature/v1.0"),
    };
    return submit(f, &sub);
}

static struct error *decide(struct fixture *f, const struct sha256 *hash) {
    struct intoto_digest digest = {.algorithm = TEXT_LIT("sha256")};
    TRY(hex_of(f, hash, &digest.value));
    struct intoto_resource evidence = {
        .uri = TEXT_LIT("https://" FIXTURE_ORIGIN "/log/7"), .digests = &digest, .digest_count = 1};
    struct intoto_vsa vsa = {
        .subject_name = TEXT_LIT("registry.example/shop"),
        .subject_digests = &digest,
        .subject_digest_count = 1,
        .verifier_id = TEXT_LIT("https://" FIXTURE_ORIGIN "/verifier/v1"),
        .verifier_version = TEXT_LIT("0.1.0"),
        .time_verified_ms = NOW_MS,
        .resource_uri = TEXT_LIT("registry.example/shop"),
        .policy_uri = TEXT_LIT("https://" FIXTURE_ORIGIN "/policies"),
        .policy_sha256 = digest.value,
        .input_attestations = &evidence,
        .input_attestation_count = 1,
        .passed = true,
        .verified_level = TEXT_LIT("SLSA_BUILD_LEVEL_1"),
        .principal = TEXT_LIT("token:gate"),
        .method = TEXT_LIT("token"),
    };
    struct buf payload = buffer(f);
    TRY(intoto_put_vsa(&payload, &vsa));
    TRY(buf_finish(&payload, "summary"));
    return fixture_add(f, FIXTURE_DECISION, buf_bytes(&payload), NOW_S);
}

static struct error *write_receipt(struct fixture *f, const char *dir, const char *name,
                                   size_t index, size_t size) {
    struct bundle_receipt r;
    TRY(fixture_receipt(f, index, size, &r));
    struct buf text = buffer(f);
    bundle_put_receipt(&text, &r);
    TRY(buf_finish(&text, name));
    char file[128];
    (void)snprintf(file, sizeof file, "%s.sigstore.json", name);
    TRY(write_file(dir, file, buf_bytes(&text)));
    struct bytes envelope = {0};
    TRY(bundle_get_envelope(&f->arena, buf_bytes(&text), &envelope));
    (void)snprintf(file, sizeof file, "%s.dsse.json", name);
    return write_file(dir, file, envelope);
}

static struct error *write_trust(struct fixture *f, const char *dir) {
    struct trust_source source = fixture_trust(f);
    struct buf root = buffer(f);
    trust_put_root(&root, &source);
    TRY(buf_finish(&root, "trusted root"));
    TRY(write_file(dir, "trusted_root.json", buf_bytes(&root)));
    struct buf keys = buffer(f);
    trust_put_signing_keys(&keys, &source);
    TRY(buf_finish(&keys, "signing keys"));
    TRY(write_file(dir, "signing-keys.json", buf_bytes(&keys)));
    TRY(write_file(dir, "attestation.pem", public_key_pem(source.attestation)));
    return write_file(dir, "decision.pem", public_key_pem(source.decision));
}

static struct error *mint(struct fixture *f, const char *dir) {
    const struct bytes artifact = BYTES_LIT("an artifact\n");
    struct sha256 hash = sha256_of(artifact);
    TRY(fixture_init(f));
    TRY(write_trust(f, dir));
    TRY(write_file(dir, "artifact", artifact));
    TRY(submit_provenance(f, "artifact", &hash));
    TRY(write_receipt(f, dir, "first-entry", 0, 1));
    for (size_t i = 1; i <= OTHERS; i++) {
        struct sha256 other = sha256_of((struct bytes){(const uint8_t *)&i, sizeof i});
        TRY(submit_provenance(f, "", &other));
    }
    TRY(submit_provenance(f, "artifact", &hash));
    TRY(submit_model(f, dir));
    TRY(decide(f, &hash));
    TRY(submit_provenance(f, "artifact", &hash));
    TRY(write_receipt(f, dir, "provenance", OTHERS + 1, f->count));
    TRY(write_receipt(f, dir, "model", OTHERS + 2, f->count));
    return write_receipt(f, dir, "summary", OTHERS + 3, f->count);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: mint DIR\n");
        return 2;
    }
    static struct fixture f;
    CLEANUP(error_freep) struct error *err = mint(&f, argv[1]);
    fixture_done(&f);
    if (err == NULL) return EXIT_SUCCESS;
    char text[256];
    error_text(err, text, sizeof text);
    (void)fprintf(stderr, "mint: %s\n", text);
    return EXIT_FAILURE;
}
