/* What a caller may submit. Paths in errors are the request's own names (proto/attestd/v1). */
#include <stdio.h>

#include "codec/codec.h"
#include "intoto/internal.h"

/* Where in the request: "subject[2]", or "subject" where there is but one. A path is written only
 * when something is wrong with it. */
struct place {
    const char *list;
    size_t index;
    bool indexed;
};

static struct error *refuse(const struct place *at, const char *member, const char *why) {
    char field[128];
    if (at->indexed)
        (void)snprintf(field, sizeof field, "%s[%zu]%s", at->list, at->index, member);
    else
        (void)snprintf(field, sizeof field, "%s%s", at->list, member);
    return error_field_new(field, "%s: %s", field, why);
}

static struct error *refuse_field(const char *field, const char *why) {
    const struct place at = {.list = field};
    return refuse(&at, "", why);
}

static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* --- texts */

/* Names and URIs are printed for people: no control characters, and a bound. */
static const char *text_fault(struct text t) {
    if (t.len > INTOTO_TEXT_MAX) return "longer than 4,096 octets";
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.data[i] < 0x20 || t.data[i] == 0x7f)
            return "holds a control character";
    return NULL;
}

/* SPEC rfc3986 3: "URI = scheme ":" hier-part"; and a scheme begins with a letter. */
static bool is_uri(struct text t) {
    size_t i = 0;
    while (i < t.len && (is_alphanumeric(t.data[i]) || strchr("+-.", t.data[i]) != NULL)) i++;
    if (i == 0 || i + 1 >= t.len || t.data[i] != ':') return false;
    if (!is_alphanumeric(t.data[0]) || (t.data[0] >= '0' && t.data[0] <= '9')) return false;
    for (; i < t.len; i++)
        if (t.data[i] <= ' ' || t.data[i] > '~' || strchr("\"<>\\^`{|}", t.data[i]) != NULL)
            return false;
    return true;
}

/* Types that only the server's own fields may fill, whatever their version and their letters'
 * case. */
static const char *const reserved_types[] = {
    "https://slsa.dev/provenance",
    "https://in-toto.io/provenance",
    "https://slsa.dev/verification_summary",
};

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool is_below(struct text type, const char *prefix) {
    size_t n = strlen(prefix);
    if (type.len < n) return false;
    for (size_t i = 0; i < n; i++)
        if (lower(type.data[i]) != prefix[i]) return false;
    return type.len == n || (!is_alphanumeric(type.data[n]) && strchr("-_", type.data[n]) == NULL);
}

static bool is_reserved_type(struct text type) {
    for (size_t i = 0; i < sizeof reserved_types / sizeof *reserved_types; i++)
        if (is_below(type, reserved_types[i])) return true;
    return false;
}

/* --- trees */

struct tree_rules {
    size_t depth_max;
    bool readable_numbers; /* the tree is written by us: what is written must read back */
};

#define RESERVED_PREFIX "attestd_"

static bool is_reserved_name(struct bytes name) {
    return bytes_start_with(name, BYTES_LIT(RESERVED_PREFIX));
}

static bool holds_annotations(struct bytes name) {
    return bytes_equal(name, BYTES_LIT("annotations")) ||
           bytes_equal(name, BYTES_LIT("internalParameters"));
}

static const char *tree_fault(const struct json_value *v, const struct tree_rules *rules,
                              size_t depth, bool guarded);

static const char *members_fault(const struct json_value *v, const struct tree_rules *rules,
                                 size_t depth, bool guarded) {
    const char *fault = NULL;
    for (size_t i = 0; i < v->object.count && fault == NULL; i++) {
        const struct json_member *m = &v->object.members[i];
        if (guarded && is_reserved_name(m->name))
            return "names that begin with \"" RESERVED_PREFIX "\" are the server's";
        fault = tree_fault(&m->value, rules, depth, guarded || holds_annotations(m->name));
    }
    return fault;
}

/* What is wrong with `v`, or NULL. `guarded` says that this is, or lies in, annotations or internal
 * parameters. Recursion ends at the rules' depth. */
static const char *tree_fault(const struct json_value *v, const struct tree_rules *rules,
                              size_t depth, bool guarded) {
    const char *fault = NULL;
    if (v->type == JSON_DOUBLE && rules->readable_numbers && !json_double_is_readable(v->number))
        return "holds a number that JSON integers of 64 bits cannot carry; send it as a string, or "
               "the document as json_bytes";
    if (v->type != JSON_ARRAY && v->type != JSON_OBJECT) return NULL;
    if (depth == rules->depth_max) return "nested too deep";
    if (v->type == JSON_OBJECT) return members_fault(v, rules, depth + 1, guarded);
    for (size_t i = 0; i < v->array.count && fault == NULL; i++)
        fault = tree_fault(&v->array.items[i], rules, depth + 1, guarded);
    return fault;
}

/* An optional object of the caller's. */
static const char *object_fault(const struct json_value *v, const struct json_limits *limits,
                                bool guarded) {
    const struct tree_rules rules = {.depth_max = limits->depth_max, .readable_numbers = true};
    if (v == NULL) return NULL;
    if (v->type != JSON_OBJECT) return "not an object";
    return tree_fault(v, &rules, 0, guarded);
}

/* --- digests */

/* SPEC in-toto digest_set.md: "hex-encoded"; lower-case, with the lengths that each has. Others are
 * an open set: any printable value. */
static const struct {
    const char *algorithm;
    size_t len, other_len;
} hex_algorithms[] = {
    {"sha256", 64, 0},     {"sha224", 56, 0},     {"sha384", 96, 0},   {"sha512", 128, 0},
    {"sha512_224", 56, 0}, {"sha512_256", 64, 0}, {"sha3_224", 56, 0}, {"sha3_256", 64, 0},
    {"sha3_384", 96, 0},   {"sha3_512", 128, 0},  {"sha1", 40, 0},     {"md5", 32, 0},
    {"ripemd160", 40, 0},  {"sm3", 64, 0},        {"blake3", 64, 0},   {"gitCommit", 40, 64},
    {"gitTree", 40, 64},   {"gitBlob", 40, 64},   {"gitTag", 40, 64},
};

static const char *algorithm_fault(struct text algorithm) {
    if (algorithm.len == 0) return "an algorithm has no name";
    if (algorithm.len > INTOTO_ALGORITHM_MAX) return "the name of an algorithm is too long";
    for (size_t i = 0; i < algorithm.len; i++)
        if (!is_alphanumeric(algorithm.data[i]) && strchr("_.-", algorithm.data[i]) == NULL)
            return "the name of an algorithm holds other than letters, digits, \"_\", \".\", \"-\"";
    return NULL;
}

static const char *value_fault(const struct intoto_digest *d) {
    if (d->value.len == 0 || d->value.len > INTOTO_DIGEST_VALUE_MAX)
        return "a value is empty or longer than 512 octets";
    for (size_t i = 0; i < d->value.len; i++)
        if (d->value.data[i] <= ' ' || d->value.data[i] > '~')
            return "a value holds a space or something that is not printable ASCII";
    for (size_t i = 0; i < sizeof hex_algorithms / sizeof *hex_algorithms; i++) {
        if (!text_equal(d->algorithm, text_of_cstr(hex_algorithms[i].algorithm))) continue;
        bool fits =
            d->value.len == hex_algorithms[i].len || d->value.len == hex_algorithms[i].other_len;
        if (!fits || !hex_is_lower(bytes_of_text(d->value)))
            return "a value is not its algorithm's number of lower-case hexadecimal digits";
    }
    return NULL;
}

const char *intoto_digest_fault(const struct intoto_digest *digest) {
    const char *fault = algorithm_fault(digest->algorithm);
    return fault == NULL ? value_fault(digest) : fault;
}

static const char *digests_fault(const struct intoto_resource *r) {
    if (r->digest_count > INTOTO_DIGESTS_MAX) return "more than 32 algorithms";
    for (size_t i = 0; i < r->digest_count; i++) {
        const char *fault = intoto_digest_fault(&r->digests[i]);
        if (fault != NULL) return fault;
        for (size_t j = 0; j < i; j++)
            if (text_equal(r->digests[i].algorithm, r->digests[j].algorithm))
                return "an algorithm is repeated";
    }
    return NULL;
}

/* --- descriptors */

static struct error *check_resource(const struct intoto_resource *r, const struct place *at,
                                    const struct json_limits *limits) {
    const struct {
        const char *member, *fault;
    } faults[] = {
        {".name", text_fault(r->name)},
        {".uri", text_fault(r->uri)},
        {".digest", digests_fault(r)},
        {".download_location", text_fault(r->download_location)},
        {".media_type", text_fault(r->media_type)},
        {".annotations", object_fault(r->annotations, limits, true)},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i].fault != NULL) return refuse(at, faults[i].member, faults[i].fault);
    return NULL;
}

static struct error *check_subject(const struct intoto_resource *r, const struct place *at,
                                   const struct json_limits *limits) {
    TRY(check_resource(r, at, limits));
    if (intoto_sha256(r).len == 0)
        return refuse(at, ".digest", "sha256 is missing: every subject needs one");
    return NULL;
}

/* SPEC in-toto resource_descriptor.md: "A ResourceDescriptor MUST specify one of uri, digest or
 * content at a minimum." */
static struct error *check_dependencies(const struct intoto_resource *list, size_t count,
                                        const char *name, const struct json_limits *limits) {
    for (size_t i = 0; i < count; i++) {
        const struct place at = {.list = name, .index = i, .indexed = true};
        if (list[i].uri.len == 0 && list[i].digest_count == 0 && !list[i].has_content)
            return refuse(&at, "", "none of uri, digest and content is set");
        TRY(check_resource(&list[i], &at, limits));
    }
    return NULL;
}

struct error *intoto_check_subject(const struct intoto_resource *subject, const char *field,
                                   const struct json_limits *limits) {
    const struct place at = {.list = field};
    return check_subject(subject, &at, limits);
}

static struct error *check_subjects(const struct intoto_submission *sub,
                                    const struct json_limits *limits) {
    if (sub->subject_count == 0) return refuse_field("subject", "at least one is needed");
    if (sub->subject_count > INTOTO_SUBJECTS_MAX) return refuse_field("subject", "more than 1,024");
    for (size_t i = 0; i < sub->subject_count; i++) {
        const struct place at = {.list = "subject", .index = i, .indexed = true};
        TRY(check_subject(&sub->subjects[i], &at, limits));
    }
    return NULL;
}

/* --- predicates */

#define SECONDS_FIRST (-62135596800) /* 0001-01-01T00:00:00Z */
#define SECONDS_LAST 253402300799    /* 9999-12-31T23:59:59Z */

static const char *time_fault(const struct intoto_time *t) {
    if (!t->set) return NULL;
    bool ok = t->seconds >= SECONDS_FIRST && t->seconds <= SECONDS_LAST && t->nanos >= 0 &&
              t->nanos < 1000000000;
    return ok ? NULL : "outside the years 1 to 9999";
}

/* SPEC slsa-v1.2 build-provenance: buildType is a TypeURI and required. */
static const char *build_type_fault(struct text type) {
    if (type.len == 0) return "missing";
    const char *fault = text_fault(type);
    return fault == NULL && !is_uri(type) ? "not a URI" : fault;
}

static struct error *check_provenance(const struct intoto_provenance *p,
                                      const struct json_limits *limits) {
    const struct {
        const char *field, *fault;
    } faults[] = {
        {"provenance.build_type", build_type_fault(p->build_type)},
        {"provenance.external_parameters", object_fault(p->external_parameters, limits, false)},
        {"provenance.internal_parameters", object_fault(p->internal_parameters, limits, true)},
        {"provenance.invocation_id", text_fault(p->invocation_id)},
        {"provenance.started_on", time_fault(&p->started_on)},
        {"provenance.finished_on", time_fault(&p->finished_on)},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i].fault != NULL) return refuse_field(faults[i].field, faults[i].fault);
    TRY(check_dependencies(p->resolved_dependencies, p->resolved_dependency_count,
                           "provenance.resolved_dependencies", limits));
    return check_dependencies(p->byproducts, p->byproduct_count, "provenance.byproducts", limits);
}

static struct error *check_type(struct text type) {
    if (type.len == 0) return refuse_field("predicate_type", "missing");
    if (type.len > INTOTO_TEXT_MAX) return refuse_field("predicate_type", "too long");
    if (!is_uri(type)) return refuse_field("predicate_type", "not a URI");
    if (is_reserved_type(type))
        return error_reason_new(REASON_PREDICATE_TYPE_RESERVED,
                                "predicate_type: " BYTES_FMT " is reserved", BYTES_ARG(type));
    return NULL;
}

static struct error *check_tree(const struct json_value *tree, const char *field,
                                const struct tree_rules *rules) {
    if (tree == NULL || tree->type != JSON_OBJECT) return refuse_field(field, "not an object");
    const char *fault = tree_fault(tree, rules, 0, false);
    return fault == NULL ? NULL : refuse_field(field, fault);
}

/* An error of the document itself is the caller's field; want of memory is not. */
static struct error *parse_octets(struct arena *arena, struct bytes octets,
                                  const struct json_limits *limits, const struct json_value **out) {
    struct json_value *tree = arena_alloc(arena, sizeof *tree);
    if (tree == NULL) return error_nomem();
    struct error *err = json_parse(arena, octets, limits, tree);
    if (err == NULL) {
        *out = tree;
        return NULL;
    }
    if (error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    struct error *refused = refuse_field("json_bytes", error_message(err));
    error_ignore(err, "its message is in the refusal");
    return refused;
}

static struct error *check_other(struct arena *arena, struct intoto_submission *sub,
                                 const struct json_limits *limits) {
    bool octets = sub->kind == INTOTO_PREDICATE_OCTETS;
    const struct tree_rules rules = {.depth_max = limits->depth_max, .readable_numbers = !octets};
    TRY(check_type(sub->predicate_type));
    if (octets) TRY(parse_octets(arena, sub->octets, limits, &sub->tree));
    TRY(check_tree(sub->tree, octets ? "json_bytes" : "json", &rules));
    if (text_equal(sub->predicate_type, TEXT_LIT(INTOTO_MODEL_SIGNATURE_V1)) &&
        sub->subject_count != 1)
        return refuse_field("subject", "a model signature has exactly one");
    return NULL;
}

struct error *intoto_check(struct arena *arena, struct intoto_submission *sub,
                           const struct json_limits *limits) {
    TRY(check_subjects(sub, limits));
    switch (sub->kind) {
        case INTOTO_PREDICATE_UNSET:
            break;
        case INTOTO_PREDICATE_PROVENANCE:
            if (sub->predicate_type.len > 0 &&
                !text_equal(sub->predicate_type, TEXT_LIT(INTOTO_PROVENANCE_V1)))
                return refuse_field("predicate_type", "goes with json or json_bytes alone");
            return check_provenance(&sub->provenance, limits);
        case INTOTO_PREDICATE_TREE:
        case INTOTO_PREDICATE_OCTETS:
            return check_other(arena, sub, limits);
    }
    return refuse_field("predicate", "one of provenance, json and json_bytes is needed");
}
