/*
 * The table of rule kinds. Each row is a key of a rule in YAML, and says how one piece of evidence
 * is checked by it, what it expects and what was found, in words. A rule holds if one piece of
 * evidence of its predicate type satisfies all its rows.
 *
 * Checks have three answers and combine as Kleene's logic does: NO beats ERROR beats YES within a
 * piece of evidence; YES beats ERROR beats NO among them. So what is taken away can only deny.
 */
#include <stddef.h>

#include "base/assert.h"
#include "codec/codec.h"
#include "policy/internal.h"

#define LISTED_MAX 5 /* globs or conditions of a rule that are spelled out in a message */

/* Evidence may seem logged a little in the future when the server's clock was set back; by more
 * than this its age cannot be told. */
#define CLOCK_SKEW_MS ((int64_t)60000)

struct rule_kind {
    struct field field;
    bool always;          /* checked even where the key is not given */
    bool provenance_only; /* means something for SLSA provenance alone */
    enum check_result (*check)(const struct check *c); /* NULL: nothing of the evidence */
    void (*observe)(struct buf *out, const struct check *c);
    void (*expect)(struct buf *out, const struct rule *r);
};

/* --- words */
void policy_put_quoted(struct buf *out, struct bytes value) {
    const size_t max = 120;
    size_t n = value.len < max ? value.len : max;
    while (n > 0 && n < value.len && (value.data[n] & 0xc0) == 0x80) n--; /* whole characters */
    buf_put_u8(out, '"');
    for (size_t i = 0; i < n; i++) {
        uint8_t c = value.data[i];
        bool c1 = c == 0xc2 && i + 1 < n && value.data[i + 1] < 0xa0; /* U+0080 to U+009F */
        if (c1) i++;
        buf_put_u8(out, c < 0x20 || c == 0x7f || c1 ? '?' : c);
    }
    buf_put_cstr(out, n < value.len ? "...\"" : "\"");
}

void policy_put_globs(struct buf *out, const struct text_list *globs) {
    for (size_t i = 0; i < globs->count && i < LISTED_MAX; i++) {
        if (i > 0) buf_put_cstr(out, " or ");
        policy_put_quoted(out, bytes_of_text(globs->items[i]));
    }
    if (globs->count > LISTED_MAX) buf_printf(out, " or %zu more", globs->count - LISTED_MAX);
}

static void put_duration(struct buf *out, int64_t ms) {
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (ms % units[i].ms != 0) continue;
        buf_put_dec(out, (uint64_t)(ms / units[i].ms));
        buf_put_cstr(out, units[i].unit);
        return;
    }
}

/* --- predicateType */
static enum check_result check_type(const struct check *c) {
    return text_equal(c->evidence->statement->predicate_type, c->rule->predicate_type) ? CHECK_YES
                                                                                       : CHECK_NO;
}
static void observe_type(struct buf *out, const struct check *c) {
    policy_put_quoted(out, bytes_of_text(c->evidence->statement->predicate_type));
}
static void expect_type(struct buf *out, const struct rule *r) {
    policy_put_quoted(out, bytes_of_text(r->predicate_type));
}

/* --- decisionKey: the gate's own summaries count only where they are asked for, and then only
 * those that passed.
 * SPEC slsa-v1.2 verification_summary: a consumer checks that verificationResult is PASSED. */
static bool summary_passed(const struct check *c) {
    const struct json_value *v = json_get(c->evidence->statement->predicate, "verificationResult");
    return bytes_equal(json_string(v), BYTES_LIT("PASSED"));
}
static enum check_result check_key(const struct check *c) {
    if (c->rule->decision_key != c->evidence->decision_key) return CHECK_NO;
    return !c->rule->decision_key || summary_passed(c) ? CHECK_YES : CHECK_NO;
}
static void observe_key(struct buf *out, const struct check *c) {
    if (c->evidence->decision_key != c->rule->decision_key)
        buf_put_cstr(out, c->evidence->decision_key
                              ? "one of the gate's own summaries, and the rule has no decisionKey"
                              : "not signed by the decision key");
    else if (c->rule->decision_key)
        buf_put_cstr(out, summary_passed(c) ? "a passed summary" : "a summary that did not pass");
    else
        buf_put_cstr(out, "signed by the attestation key");
}
static void expect_key(struct buf *out, const struct rule *r) {
    if (r->decision_key) buf_put_cstr(out, "a passed summary of the gate's own");
}

/* --- signers: "*" alone says that anyone with the scope is meant, also one whose name holds a "/",
 * which no "*" crosses otherwise */
bool rule_takes_signer(const struct rule *r, struct text signer) {
    for (size_t i = 0; i < r->signers.count && signer.len > 0; i++) {
        if (text_equal(r->signers.items[i], TEXT_LIT("*"))) return true;
    }
    return glob_any(&r->signers, signer);
}
static enum check_result check_signers(const struct check *c) {
    return rule_takes_signer(c->rule, c->evidence->signer) ? CHECK_YES : CHECK_NO;
}
static void observe_signers(struct buf *out, const struct check *c) {
    buf_put_cstr(out, "submitted by ");
    policy_put_quoted(out, bytes_of_text(c->evidence->signer));
}
static void expect_signers(struct buf *out, const struct rule *r) {
    buf_put_cstr(out, "submitted by ");
    policy_put_globs(out, &r->signers);
}

/* --- builders */
static enum check_result check_builders(const struct check *c) {
    return glob_any(&c->rule->builders, c->evidence->statement->builder_id) ? CHECK_YES : CHECK_NO;
}
static void observe_builders(struct buf *out, const struct check *c) {
    buf_put_cstr(out, "builder ");
    policy_put_quoted(out, bytes_of_text(c->evidence->statement->builder_id));
}
static void expect_builders(struct buf *out, const struct rule *r) {
    buf_put_cstr(out, "builder ");
    policy_put_globs(out, &r->builders);
}

/* --- source */
static enum check_result check_source(const struct check *c) {
    const struct source_rule *want = &c->rule->source;
    struct declared_source s = source_of(c->evidence->statement->predicate);
    if (s.ambiguous) return CHECK_ERROR;
    if (!source_repository_matches(want->repository, s.repository)) return CHECK_NO;
    if (want->ref.len == 0) return CHECK_YES;
    return policy_glob_match(bytes_of_text(want->ref), bytes_of_text(s.ref)) ? CHECK_YES : CHECK_NO;
}
static void observe_source(struct buf *out, const struct check *c) {
    struct declared_source s = source_of(c->evidence->statement->predicate);
    if (s.ambiguous) {
        buf_put_cstr(out,
                     "several git dependencies and no externalParameters that say which one "
                     "is the source");
        return;
    }
    buf_put_cstr(out, s.repository.len == 0 ? "no source declared" : "declared source ");
    if (s.repository.len == 0) return;
    policy_put_quoted(out, bytes_of_text(s.repository));
    buf_put_cstr(out, s.ref.len == 0 ? " without ref" : " at ");
    if (s.ref.len > 0) policy_put_quoted(out, bytes_of_text(s.ref));
}
static void expect_source(struct buf *out, const struct rule *r) {
    buf_put_cstr(out, "declared source ");
    policy_put_quoted(out, bytes_of_text(r->source.repository));
    if (r->source.ref.len == 0) return;
    buf_put_cstr(out, " at ");
    policy_put_quoted(out, bytes_of_text(r->source.ref));
}

/* --- minimumLevel */
bool builder_is_submitted(struct text builder_id) {
    return policy_glob_match(BYTES_LIT("**/builder/submitted/*"), bytes_of_text(builder_id));
}

/* SPEC slsa-v1.2 verifying-artifacts: the level is looked up by (signer, builder.id) in the roots
 * of trust, and is 1 where they do not say. */
unsigned evidence_level(const struct policy_set *set, const struct policy_evidence *e) {
    const struct intoto_statement *st = e->statement;
    if (st == NULL || st->builder_id.len == 0) return 0;
    if (!text_equal(st->predicate_type, TEXT_LIT(INTOTO_PROVENANCE_V1))) return 0;
    uint64_t level = 1;
    const struct level_row *rows = set->levels.items;
    for (size_t i = 0; i < set->levels.count; i++) {
        if (rows[i].level <= level || !glob_any(&rows[i].signers, e->signer)) continue;
        if (glob_any(&rows[i].builders, st->builder_id)) level = rows[i].level;
    }
    return builder_is_submitted(st->builder_id) ? 1 : (unsigned)level;
}

static enum check_result check_level(const struct check *c) {
    return evidence_level(c->set, c->evidence) >= c->rule->minimum_level ? CHECK_YES : CHECK_NO;
}
static void observe_level(struct buf *out, const struct check *c) {
    buf_printf(out, "SLSA build level %u", evidence_level(c->set, c->evidence));
}
static void expect_level(struct buf *out, const struct rule *r) {
    buf_printf(out, "SLSA build level %u or higher", (unsigned)r->minimum_level);
}

/* --- maxAge: by the log's time alone; a time in the body is the submitter's */
static enum check_result check_age(const struct check *c) {
    int64_t logged = c->evidence->logged_ms;
    if (logged - CLOCK_SKEW_MS > c->now_ms) return CHECK_ERROR;
    return c->now_ms - logged <= c->rule->max_age_ms ? CHECK_YES : CHECK_NO;
}
static void observe_age(struct buf *out, const struct check *c) {
    buf_put_cstr(out, "logged ");
    time_put(out, c->evidence->logged_ms);
    if (check_age(c) == CHECK_ERROR) {
        buf_put_cstr(out, ", which is after now: ");
        time_put(out, c->now_ms);
    }
}
static void expect_age(struct buf *out, const struct rule *r) {
    buf_put_cstr(out, "logged within ");
    put_duration(out, r->max_age_ms);
}

/* --- where: no such field, or one of another type, does not satisfy */
static bool where_holds(const struct where *w, const struct json_value *predicate) {
    const struct json_value *v = json_at(predicate, bytes_of_text(w->path));
    if (v == NULL) return false;
    switch (w->type) {
        case WHERE_TEXT:
            return v->type == JSON_STRING && bytes_equal(v->string, bytes_of_text(w->text));
        case WHERE_FLAG:
            return v->type == JSON_BOOL && v->boolean == w->flag;
        case WHERE_INT: /* JSON has one kind of number: 1.0 is 1 */
            if (v->type == JSON_INT) return v->integer == w->integer;
            return v->type == JSON_DOUBLE && w->integer > -((int64_t)1 << 53) &&
                   w->integer < ((int64_t)1 << 53) && v->number >= (double)w->integer &&
                   v->number <= (double)w->integer;
    }
    return false;
}

static enum check_result check_where(const struct check *c) {
    for (size_t i = 0; i < c->rule->where.count; i++) {
        if (!where_holds(&c->rule->where.items[i], c->evidence->statement->predicate))
            return CHECK_NO;
    }
    return CHECK_YES;
}

static void put_value(struct buf *out, const struct json_value *v) {
    if (v == NULL)
        buf_put_cstr(out, "missing");
    else if (v->type == JSON_STRING)
        policy_put_quoted(out, v->string);
    else if (v->type == JSON_BOOL)
        buf_put_cstr(out, v->boolean ? "true" : "false");
    else if (v->type == JSON_INT)
        buf_printf(out, "%lld", (long long)v->integer);
    else
        buf_put_cstr(out, v->type == JSON_OBJECT  ? "an object"
                          : v->type == JSON_ARRAY ? "a list"
                          : v->type == JSON_NULL  ? "null"
                                                  : "another number");
}

/* Shows the conditions that do not hold; where all do, all. */
static void observe_where(struct buf *out, const struct check *c) {
    const struct json_value *predicate = c->evidence->statement->predicate;
    bool all = check_where(c) == CHECK_YES;
    size_t shown = 0;
    for (size_t i = 0; i < c->rule->where.count && shown < LISTED_MAX; i++) {
        const struct where *w = &c->rule->where.items[i];
        if (!all && where_holds(w, predicate)) continue;
        if (shown++ > 0) buf_put_cstr(out, ", ");
        buf_printf(out, BYTES_FMT " is ", BYTES_ARG(w->path));
        put_value(out, json_at(predicate, bytes_of_text(w->path)));
    }
}

static void expect_where(struct buf *out, const struct rule *r) {
    for (size_t i = 0; i < r->where.count && i < LISTED_MAX; i++) {
        const struct where *w = &r->where.items[i];
        buf_printf(out, "%s" BYTES_FMT " is ", i == 0 ? "" : ", ", BYTES_ARG(w->path));
        if (w->type == WHERE_TEXT)
            policy_put_quoted(out, bytes_of_text(w->text));
        else if (w->type == WHERE_INT)
            buf_printf(out, "%lld", (long long)w->integer);
        else
            buf_put_cstr(out, w->flag ? "true" : "false");
    }
    if (r->where.count > LISTED_MAX)
        buf_printf(out, " and %zu more conditions", r->where.count - LISTED_MAX);
}

/* --- the table */
static const char *const assurances[] = {"declared", NULL};

static const struct field source_fields[] = {
    {.key = "repository",
     .type = FIELD_GLOB,
     .required = true,
     .offset = offsetof(struct source_rule, repository)},
    {.key = "ref", .type = FIELD_GLOB, .offset = offsetof(struct source_rule, ref)},
    {.key = "assurance",
     .type = FIELD_NAME,
     .names = assurances,
     .offset = offsetof(struct source_rule, assurance)},
};
static const struct schema source_schema = {.what = "source",
                                            .fields = source_fields,
                                            .field_count = 3,
                                            .size = sizeof(struct source_rule)};

#define AT(member) .offset = offsetof(struct rule, member)
static const struct rule_kind kinds[] = {
    {.field = {.key = "name", .type = FIELD_TEXT, .required = true, AT(name)}},
    {.field = {.key = "predicateType", .type = FIELD_TEXT, .required = true, AT(predicate_type)},
     .always = true,
     .check = check_type,
     .observe = observe_type,
     .expect = expect_type},
    {.field = {.key = "decisionKey", .type = FIELD_FLAG, AT(decision_key)},
     .always = true,
     .check = check_key,
     .observe = observe_key,
     .expect = expect_key},
    {.field = {.key = "signers", .type = FIELD_GLOBS, .required = true, AT(signers)},
     .always = true,
     .check = check_signers,
     .observe = observe_signers,
     .expect = expect_signers},
    {.field = {.key = "builders", .type = FIELD_GLOBS, AT(builders)},
     .provenance_only = true,
     .check = check_builders,
     .observe = observe_builders,
     .expect = expect_builders},
    {.field = {.key = "source", .type = FIELD_OBJECT, .schema = &source_schema, AT(source)},
     .provenance_only = true,
     .check = check_source,
     .observe = observe_source,
     .expect = expect_source},
    {.field = {.key = "minimumLevel", .type = FIELD_COUNT, .min = 1, .max = 3, AT(minimum_level)},
     .provenance_only = true,
     .check = check_level,
     .observe = observe_level,
     .expect = expect_level},
    {.field = {.key = "where", .type = FIELD_WHERE, AT(where)},
     .check = check_where,
     .observe = observe_where,
     .expect = expect_where},
    {.field = {.key = "maxAge", .type = FIELD_DURATION, AT(max_age_ms)},
     .check = check_age,
     .observe = observe_age,
     .expect = expect_age},
};
#undef AT
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

static bool applies(const struct rule *r, size_t kind) {
    if (kinds[kind].check == NULL) return false;
    return kinds[kind].always || decoded_has(&r->decoded, (unsigned)kind);
}

static void put_expected(struct buf *out, const struct rule *r) {
    bool first = true;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].expect == NULL || !decoded_has(&r->decoded, (unsigned)i)) continue;
        if (!first) buf_put_cstr(out, ", ");
        first = false;
        kinds[i].expect(out, r);
    }
}

static struct error *check_rule(const struct decoder *d, void *object) {
    struct rule *r = object;
    bool provenance = text_equal(r->predicate_type, TEXT_LIT(INTOTO_PROVENANCE_V1));
    TRY(policy_name_check(d, r->decoded.line, r->name));
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (!kinds[i].provenance_only || provenance || !decoded_has(&r->decoded, (unsigned)i))
            continue;
        return doc_error(d->file, r->decoded.line, "`%s` needs predicateType %s",
                         kinds[i].field.key, INTOTO_PROVENANCE_V1);
    }
    if (r->decision_key && !text_equal(r->predicate_type, TEXT_LIT(INTOTO_VSA_V1)))
        return doc_error(d->file, r->decoded.line, "`decisionKey` needs predicateType %s",
                         INTOTO_VSA_V1);
    struct buf out;
    buf_init_arena(&out, d->arena, OBSERVED_OCTETS_MAX * 2);
    put_expected(&out, r);
    TRY(buf_finish(&out, "rule"));
    r->expected = (struct text){(const char *)out.data, out.len};
    return NULL;
}

const struct schema rule_schema = {.what = "rule",
                                   .fields = &kinds[0].field,
                                   .field_count = KIND_COUNT,
                                   .stride = sizeof(struct rule_kind),
                                   .size = sizeof(struct rule),
                                   .check = check_rule};

enum check_result rule_check(const struct check *c, unsigned *out_steps) {
    enum check_result all = CHECK_YES;
    unsigned steps = 0;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (!applies(c->rule, i)) continue;
        enum check_result one = kinds[i].check(c);
        if (one == CHECK_YES)
            steps++;
        else if (one == CHECK_NO || all == CHECK_YES)
            all = one;
    }
    *out_steps = steps;
    return all;
}

void rule_put_observed(struct buf *out, const struct check *c, bool all) {
    bool first = true;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (!applies(c->rule, i)) continue;
        if (all ? !decoded_has(&c->rule->decoded, (unsigned)i) : kinds[i].check(c) == CHECK_YES)
            continue;
        if (!first) buf_put_cstr(out, ", ");
        first = false;
        kinds[i].observe(out, c);
    }
}
