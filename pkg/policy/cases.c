/* <name>.test.yaml: questions with evidence and the decision that is expected. */
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "policy/internal.h"

static const char *const decisions[] = {"DENY", "ALLOW", NULL}; /* order of policy_decision */

static const char *const keys[] = {"", "false", "true", NULL}; /* order of policy_case_key */

struct case_evidence {
    struct decoded decoded;
    struct text statement;
    struct text signer;
    int64_t logged_ms;
    int decision_key; /* enum policy_case_key */
};

struct case_subject {
    struct decoded decoded;
    struct text name;
    struct digest_list digest;
};

struct case_yaml {
    struct decoded decoded;
    struct text name;
    int64_t now_ms;
    struct text environment;
    struct case_subject subject;
    struct object_list evidence; /* struct case_evidence */
    int expect;
    struct text_list denied_by;
};

struct cases_file {
    struct decoded decoded;
    struct object_list cases; /* struct case_yaml */
};

/* A statement stands beside its case: no path leads elsewhere. */
static struct error *check_evidence(const struct decoder *d, void *object) {
    const struct case_evidence *e = object;
    if (e->statement.data[0] != '.' && memchr(e->statement.data, '/', e->statement.len) == NULL)
        return NULL;
    return doc_error(d->file, e->decoded.line,
                     "`statement` must be the name of a file beside this one");
}

static struct error *check_case(const struct decoder *d, void *object) {
    const struct case_yaml *c = object;
    if (c->denied_by.count > 0 && c->expect == POLICY_ALLOW)
        return doc_error(d->file, c->decoded.line, "`deniedBy` needs `expect: DENY`");
    return NULL;
}

#define AT(member) .offset = offsetof(struct case_evidence, member)
static const struct field evidence_fields[] = {
    {.key = "statement", .type = FIELD_TEXT, .required = true, AT(statement)},
    {.key = "signer", .type = FIELD_TEXT, .required = true, AT(signer)},
    {.key = "loggedAt", .type = FIELD_TIME, .required = true, AT(logged_ms)},
    {.key = "decisionKey", .type = FIELD_NAME, .names = keys, AT(decision_key)},
};
#undef AT
static const struct schema evidence_schema = {.what = "evidence",
                                              .fields = evidence_fields,
                                              .field_count = 4,
                                              .size = sizeof(struct case_evidence),
                                              .check = check_evidence};

#define AT(member) .offset = offsetof(struct case_subject, member)
static const struct field subject_fields[] = {
    {.key = "name", .type = FIELD_TEXT, AT(name)},
    {.key = "digest", .type = FIELD_DIGESTS, .required = true, AT(digest)},
};
#undef AT
static const struct schema subject_schema = {.what = "subject",
                                             .fields = subject_fields,
                                             .field_count = 2,
                                             .size = sizeof(struct case_subject)};

#define AT(member) .offset = offsetof(struct case_yaml, member)
static const struct field case_fields[] = {
    {.key = "name", .type = FIELD_TEXT, .required = true, AT(name)},
    {.key = "now", .type = FIELD_TIME, .required = true, AT(now_ms)},
    {.key = "environment", .type = FIELD_TEXT, .required = true, AT(environment)},
    {.key = "subject",
     .type = FIELD_OBJECT,
     .schema = &subject_schema,
     .required = true,
     AT(subject)},
    {.key = "evidence",
     .type = FIELD_OBJECTS,
     .schema = &evidence_schema,
     .may_be_empty = true,
     AT(evidence)},
    {.key = "expect", .type = FIELD_NAME, .names = decisions, .required = true, AT(expect)},
    {.key = "deniedBy", .type = FIELD_TEXTS, AT(denied_by)},
};
#undef AT
static const struct schema case_schema = {.what = "case",
                                          .fields = case_fields,
                                          .field_count = 7,
                                          .size = sizeof(struct case_yaml),
                                          .check = check_case};

static const struct field cases_fields[] = {
    {.key = "cases",
     .type = FIELD_OBJECTS,
     .schema = &case_schema,
     .required = true,
     .offset = offsetof(struct cases_file, cases)},
};
static const struct schema cases_schema = {.what = "test file",
                                           .fields = cases_fields,
                                           .field_count = 1,
                                           .size = sizeof(struct cases_file)};

static struct error *convert(struct arena *arena, const struct case_yaml *in,
                             struct policy_case *out) {
    struct policy_case_evidence *evidence =
        arena_alloc(arena, (in->evidence.count + 1) * sizeof *evidence);
    if (evidence == NULL) return error_nomem();
    const struct case_evidence *items = in->evidence.items;
    for (size_t i = 0; i < in->evidence.count; i++) {
        evidence[i] =
            (struct policy_case_evidence){.statement_file = items[i].statement,
                                          .signer = items[i].signer,
                                          .logged_ms = items[i].logged_ms,
                                          .key = (enum policy_case_key)items[i].decision_key};
    }
    *out = (struct policy_case){
        .name = in->name,
        .question = {.subject_name = in->subject.name,
                     .digests = in->subject.digest.items,
                     .digest_count = in->subject.digest.count,
                     .environment = in->environment,
                     .now_ms = in->now_ms},
        .evidence = evidence,
        .evidence_count = in->evidence.count,
        .expect = in->expect == POLICY_ALLOW ? POLICY_ALLOW : POLICY_DENY,
        .denied_by = in->denied_by.items,
        .denied_by_count = in->denied_by.count,
        .line = in->decoded.line,
    };
    return NULL;
}

struct error *policy_cases_load(struct arena *arena, const struct policy_file *file,
                                const struct policy_case **out, size_t *out_count) {
    struct decoder d = {.arena = arena, .file = file->name};
    const struct doc_node *root = NULL;
    struct cases_file parsed = {0};
    TRY(doc_read(arena, file, &root));
    TRY(schema_decode(&d, &cases_schema, root, &parsed));
    const struct case_yaml *items = parsed.cases.items;
    struct policy_case *cases = arena_alloc(arena, parsed.cases.count * sizeof *cases);
    if (cases == NULL) return error_nomem();
    for (size_t i = 0; i < parsed.cases.count; i++) TRY(convert(arena, &items[i], &cases[i]));
    *out = cases;
    *out_count = parsed.cases.count;
    return NULL;
}

/* --- judging */
static bool denies(const struct policy_rule_result *r) {
    return r->result != POLICY_PASS && !r->warn_only;
}

static bool names(const struct policy_case *c, struct text rule) {
    for (size_t i = 0; i < c->denied_by_count; i++) {
        if (text_equal(c->denied_by[i], rule)) return true;
    }
    return false;
}

static bool failed(const struct policy_outcome *o, struct text rule) {
    for (size_t i = 0; i < o->rule_count; i++) {
        if (denies(&o->rules[i]) && text_equal(o->rules[i].rule, rule)) return true;
    }
    return false;
}

void policy_case_judge(const struct policy_case *c, const struct policy_outcome *outcome, char *why,
                       size_t size) {
    why[0] = '\0';
    if (outcome->decision != c->expect) {
        (void)snprintf(why, size, "expected %s, got %s", decisions[c->expect],
                       decisions[outcome->decision]);
        return;
    }
    for (size_t i = 0; i < c->denied_by_count; i++) {
        if (failed(outcome, c->denied_by[i])) continue;
        (void)snprintf(why, size, "expected `" BYTES_FMT "` to deny; it does not",
                       BYTES_ARG(c->denied_by[i]));
        return;
    }
    for (size_t i = 0; i < outcome->rule_count && c->denied_by_count > 0; i++) {
        const struct policy_rule_result *r = &outcome->rules[i];
        if (!denies(r) || names(c, r->rule)) continue;
        (void)snprintf(why, size, "`" BYTES_FMT "` denies too: " BYTES_FMT, BYTES_ARG(r->rule),
                       BYTES_ARG(r->observed));
        return;
    }
}
