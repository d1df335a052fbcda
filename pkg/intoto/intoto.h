/*
 * intoto: in-toto Statement v1 and its SLSA predicates: building the octets that are signed, and
 * reading signed octets back. Pure. All views borrow from what they were read from or the arena.
 * Implements: in-toto attestation framework v1, statement.md, resource_descriptor.md,
 * digest_set.md; SLSA v1.2 provenance v1 and verification_summary v1.
 */
#ifndef INTOTO_INTOTO_H
#define INTOTO_INTOTO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "json/json.h"

#define INTOTO_STATEMENT_V1 "https://in-toto.io/Statement/v1"
#define INTOTO_PROVENANCE_V1 "https://slsa.dev/provenance/v1"
#define INTOTO_VSA_V1 "https://slsa.dev/verification_summary/v1"
#define INTOTO_MODEL_SIGNATURE_V1 "https://model_signing/signature/v1.0"
#define INTOTO_SUBJECTS_MAX 1024 /* verifiers stop there */
#define INTOTO_DIGESTS_MAX 32    /* a descriptor; verifiers stop there */
#define INTOTO_TEXT_MAX 4096     /* octets of a name, URI, media type, id */
#define INTOTO_ALGORITHM_MAX 64
#define INTOTO_DIGEST_VALUE_MAX 512

/* What a statement may be nested beyond a caller's own limit: a document of depth 64 is at most
 * five levels down in it. */
#define INTOTO_STATEMENT_DEPTH_MAX ((size_t)80)

struct intoto_digest {
    struct text algorithm; /* "sha256", "gitCommit", … an open set */
    struct text value;
};

/* intoto_digest_fault says what is wrong with a digest, or NULL: algorithms are an open set of
 * names without ":"; values are printable, and those of well-known algorithms have their number of
 * lower-case hexadecimal digits. */
const char *intoto_digest_fault(const struct intoto_digest *digest);

/* A ResourceDescriptor. Unset texts have len 0; annotations is NULL or an object. */
struct intoto_resource {
    struct text name;
    struct text uri;
    const struct intoto_digest *digests;
    size_t digest_count;
    struct bytes content;
    bool has_content;
    struct text download_location;
    struct text media_type;
    const struct json_value *annotations;
};

struct intoto_time {
    bool set;
    int64_t seconds; /* since 1970 */
    int32_t nanos;
};

/* SLSA provenance v1 as the caller declares it; builder.id and attestd_receivedOn are ours. */
struct intoto_provenance {
    struct text build_type;
    const struct json_value
        *external_parameters; /* object; NULL is written as {}: unset == empty */
    const struct json_value *internal_parameters; /* object or NULL */
    const struct intoto_resource *resolved_dependencies;
    size_t resolved_dependency_count;
    const struct intoto_resource *byproducts;
    size_t byproduct_count;
    struct text invocation_id;
    struct intoto_time started_on;
    struct intoto_time finished_on;
};

enum intoto_predicate_kind {
    INTOTO_PREDICATE_UNSET = 0,
    INTOTO_PREDICATE_PROVENANCE,
    INTOTO_PREDICATE_TREE,   /* a JSON tree: written as JCS */
    INTOTO_PREDICATE_OCTETS, /* exact JSON octets: spliced as given */
};

/* What a caller submits, decoded and not yet checked. */
struct intoto_submission {
    const struct intoto_resource *subjects;
    size_t subject_count;
    enum intoto_predicate_kind kind;
    struct intoto_provenance provenance;
    const struct json_value *tree;
    struct bytes octets;
    struct text predicate_type; /* for TREE and OCTETS */
};

/* intoto_predicate_type is what the statement of `sub` will say. */
struct text intoto_predicate_type(const struct intoto_submission *sub);

/* What the server adds: inside the signed payload, not only beside it. */
struct intoto_server_fields {
    struct text principal; /* "token:ci-1" */
    struct text method;    /* how it was authenticated: "token" */
    struct text builder_id;
    int64_t received_ms; /* since 1970; internalParameters.attestd_receivedOn */
};

/* intoto_check checks what the caller sent: at least one and at most INTOTO_SUBJECTS_MAX subjects
 * (one alone for a model signature: its verifier takes no other), each with a sha256 of 64
 * lower-case hex digits; well-formed digests everywhere; predicate present and an object;
 * predicate_type and build_type URIs, and the first not reserved; trees within `limits` and of
 * numbers that can be read back; no `attestd_` key in annotations or internal parameters, at any
 * depth.
 * `octets` is parsed here, once, into `arena` under `limits`, and `sub->tree` set to it.
 * Errors: INVALID_ARGUMENT with the field path and reason INVALID_FIELD or
 * PREDICATE_TYPE_RESERVED; RESOURCE_EXHAUSTED if the arena is full. */
MUST_USE struct error *intoto_check(struct arena *arena, struct intoto_submission *sub,
                                    const struct json_limits *limits);

/* intoto_check_subject checks one subject by the same rules; `field` is its path in the request. */
MUST_USE struct error *intoto_check_subject(const struct intoto_resource *subject,
                                            const char *field, const struct json_limits *limits);

/* intoto_put_caller_jcs appends the JCS form of the statement before the server adds its fields:
 * the default idempotency key is its SHA-256. `sub` has passed intoto_check. Errors:
 * INVALID_ARGUMENT INVALID_FIELD if the predicate, where it is not octets (whose length
 * intoto_check bounds), takes more than `predicate_max`. */
MUST_USE struct error *intoto_put_caller_jcs(struct buf *out, const struct intoto_submission *sub,
                                             size_t predicate_max);

/* intoto_put_resource appends one descriptor in JCS form, as the caller gave it. */
void intoto_put_resource(struct buf *out, const struct intoto_resource *resource);

/* intoto_put_statement appends the statement to be signed: compact JSON, JCS order except spliced
 * octets; every subject named (default: "sha256:<hex>"); subject[0].annotations.attestd_submitter =
 * {"method","principal"}. `sub` has passed intoto_check. */
MUST_USE struct error *intoto_put_statement(struct buf *out, const struct intoto_submission *sub,
                                            const struct intoto_server_fields *server);

/* A statement read back from its signed octets. */
struct intoto_statement {
    struct text predicate_type;
    const struct intoto_resource *subjects;
    size_t subject_count;
    const struct json_value *predicate; /* an object; never NULL: unset reads as empty */
    struct text builder_id;             /* provenance: runDetails.builder.id, else empty */
    struct text submitter_principal;    /* attestd_submitter of subject[0], else empty */
    struct text submitter_method;
};

/* intoto_statement_parse reads payload octets. Statement v0.1 is not accepted; unknown members are
 * ignored, known ones of another type are not. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
MUST_USE struct error *intoto_statement_parse(struct arena *arena, struct bytes payload,
                                              const struct json_limits *limits,
                                              struct intoto_statement *out);

/* intoto_statement_head reads as intoto_statement_parse does, and keeps all but the predicate,
 * which is left empty: for lists, whose memory must not grow with other people's documents. The
 * whole is read in memory of its own, given back here. `*out` borrows from `arena` alone. */
MUST_USE struct error *intoto_statement_head(struct arena *arena, struct bytes payload,
                                             const struct json_limits *limits,
                                             struct intoto_statement *out);

/* intoto_resource_from_json reads one descriptor (a member of resolvedDependencies and the like);
 * unknown members are ignored. */
MUST_USE struct error *intoto_resource_from_json(struct arena *arena, const struct json_value *json,
                                                 struct intoto_resource *out);

/* A SLSA verification summary, as the gate issues it. */
struct intoto_vsa {
    struct text subject_name;
    const struct intoto_digest *subject_digests;
    size_t subject_digest_count;
    struct text verifier_id;
    struct text verifier_version; /* may be empty */
    int64_t time_verified_ms;
    struct text resource_uri;
    struct text policy_uri;
    struct text policy_sha256;                        /* hex */
    const struct intoto_resource *input_attestations; /* each with a digest */
    size_t input_attestation_count;
    bool passed;
    struct text verified_level;         /* "SLSA_BUILD_LEVEL_1" or, not passed, "FAILED" */
    const struct json_value *extension; /* NULL, or written as predicate.attestd_decision */
    struct text principal;              /* who asked: subject[0].annotations.attestd_submitter */
    struct text method;
};

/* intoto_put_vsa appends the statement of a VSA, JCS form. Implements: SLSA v1.2,
 * verification_summary.md; all required fields. */
MUST_USE struct error *intoto_put_vsa(struct buf *out, const struct intoto_vsa *vsa);

#endif
