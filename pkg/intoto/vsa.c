/*
 * The summary, members in JCS order:
 *   {"_type","predicate":{"attestd_decision","inputAttestations":[..],"policy":{"digest","uri"},
 *      "resourceUri","slsaVersion","timeVerified","verificationResult","verifiedLevels":[one],
 *      "verifier":{"id","version":{"attestd"}}},
 *    "predicateType","subject":[one, with annotations.attestd_submitter]}
 * SPEC slsa verification_summary "Parsing rules": "Consumers MUST ignore unrecognized fields."
 */
#include "codec/codec.h"
#include "intoto/internal.h"

#define SLSA_VERSION "1.2"

static void put_field(struct json_writer *w, const char *key, struct text value) {
    json_key(w, key);
    json_put_string(w, bytes_of_text(value));
}

static void put_inputs(struct json_writer *w, const struct intoto_vsa *vsa) {
    const struct resource_extras none = {0};
    json_key(w, "inputAttestations");
    json_array_begin(w);
    for (size_t i = 0; i < vsa->input_attestation_count; i++)
        put_resource(w, &vsa->input_attestations[i], &none);
    json_array_end(w);
}

static void put_policy(struct json_writer *w, const struct intoto_vsa *vsa) {
    json_key(w, "policy");
    json_object_begin(w);
    json_key(w, "digest");
    json_object_begin(w);
    put_field(w, "sha256", vsa->policy_sha256);
    json_object_end(w);
    put_field(w, "uri", vsa->policy_uri);
    json_object_end(w);
}

static void put_verifier(struct json_writer *w, const struct intoto_vsa *vsa) {
    json_key(w, "verifier");
    json_object_begin(w);
    put_field(w, "id", vsa->verifier_id);
    if (vsa->verifier_version.len > 0) {
        json_key(w, "version");
        json_object_begin(w);
        put_field(w, "attestd", vsa->verifier_version);
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_predicate(struct json_writer *w, const struct intoto_vsa *vsa) {
    json_key(w, "predicate");
    json_object_begin(w);
    if (vsa->extension != NULL) {
        json_key(w, "attestd_decision");
        json_put_jcs(w, vsa->extension);
    }
    put_inputs(w, vsa);
    put_policy(w, vsa);
    put_field(w, "resourceUri", vsa->resource_uri);
    put_field(w, "slsaVersion", TEXT_LIT(SLSA_VERSION));
    json_key(w, "timeVerified");
    buf_put_u8(w->out, '"');
    time_put(w->out, vsa->time_verified_ms);
    buf_put_u8(w->out, '"');
    w->comma = true;
    put_field(w, "verificationResult", vsa->passed ? TEXT_LIT("PASSED") : TEXT_LIT("FAILED"));
    json_key(w, "verifiedLevels");
    json_array_begin(w);
    json_put_string(w, bytes_of_text(vsa->verified_level));
    json_array_end(w);
    put_verifier(w, vsa);
    json_object_end(w);
}

struct error *intoto_put_vsa(struct buf *out, const struct intoto_vsa *vsa) {
    struct json_writer w = json_writer_of(out);
    const struct intoto_resource subject = {.name = vsa->subject_name,
                                            .digests = vsa->subject_digests,
                                            .digest_count = vsa->subject_digest_count};
    struct submitter submitter;
    submitter_init(&submitter, vsa->principal, vsa->method);
    const struct resource_extras extras = {.name_by_digest = true, .member = &submitter.member};
    json_object_begin(&w);
    json_key(&w, "_type");
    json_put_cstr(&w, INTOTO_STATEMENT_V1);
    put_predicate(&w, vsa);
    json_key(&w, "predicateType");
    json_put_cstr(&w, INTOTO_VSA_V1);
    json_key(&w, "subject");
    json_array_begin(&w);
    put_resource(&w, &subject, &extras);
    json_array_end(&w);
    json_object_end(&w);
    return buf_finish(out, "verification summary");
}
