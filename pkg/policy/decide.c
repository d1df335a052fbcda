/*
 * The decision. A request is denied unless a policy matches it, and every rule of every enforcing
 * policy that matches passes. A rule passes if one piece of evidence about the very subject
 * satisfies it; so taking evidence away can only deny, and evidence about something else is not
 * looked at. A result that is not PASS says what came nearest.
 */
#include "base/arena.h"
#include "base/assert.h"
#include "policy/internal.h"

/* --- does it concern the request? */
static bool selects(const struct policy *p, const struct policy_question *q) {
    const struct selection *s = &p->select;
    if (s->environments.count > 0 && !glob_any(&s->environments, q->environment)) return false;
    return s->subjects.count == 0 || glob_any(&s->subjects, q->subject_name);
}

static struct text digest_value(const struct intoto_digest *digests, size_t count,
                                struct text algorithm) {
    for (size_t i = 0; i < count; i++) {
        if (text_equal(digests[i].algorithm, algorithm)) return digests[i].value;
    }
    return (struct text){0};
}

/* Same artifact: an algorithm that still binds agrees, and none of them disagrees. Weak ones
 * (sha1, md5, gitCommit) never count: two artifacts may share them. */
static bool same_artifact(const struct policy_question *q, const struct intoto_resource *subject) {
    static const char *const strong[] = {"sha256", "sha384", "sha512"};
    bool agrees = false;
    for (size_t i = 0; i < sizeof strong / sizeof *strong; i++) {
        struct text alg = text_of_cstr(strong[i]);
        struct text a = digest_value(q->digests, q->digest_count, alg);
        struct text b = digest_value(subject->digests, subject->digest_count, alg);
        if (a.len == 0 || b.len == 0) continue;
        if (!text_equal(a, b)) return false;
        agrees = true;
    }
    return agrees;
}

static bool is_about(const struct policy_question *q, const struct policy_evidence *e) {
    if (e->statement == NULL) return true; /* found under the subject; more cannot be said */
    for (size_t i = 0; i < e->statement->subject_count; i++) {
        if (same_artifact(q, &e->statement->subjects[i])) return true;
    }
    return false;
}

/* --- one rule */
struct deciding {
    struct arena *arena;
    const struct policy_set *set;
    const struct policy_question *question;
    const struct policy_evidence *const *evidence; /* about the subject */
    size_t count;
};

/* What was seen while looking for evidence of one rule. */
struct search {
    const struct policy_evidence *best; /* satisfies; the highest level, then the newest */
    unsigned best_level;
    const struct policy_evidence *nearest; /* does not; the most fields hold, then the newest */
    unsigned nearest_steps;
    size_t found; /* of the rule's type */
    size_t unclear;
    size_t unreadable;
    uint64_t shown[POLICY_EVIDENCE_SHOWN_MAX]; /* newest first */
    size_t shown_count;
};

static void show(struct search *s, uint64_t index) {
    size_t at = s->shown_count;
    if (at < POLICY_EVIDENCE_SHOWN_MAX)
        s->shown_count++;
    else if (s->shown[--at] >= index)
        return;
    for (; at > 0 && s->shown[at - 1] < index; at--) s->shown[at] = s->shown[at - 1];
    s->shown[at] = index;
}

static void consider(const struct deciding *d, const struct rule *rule,
                     const struct policy_evidence *e, struct search *s) {
    struct check c = {.set = d->set, .rule = rule, .evidence = e, .now_ms = d->question->now_ms};
    unsigned steps = 0;
    enum check_result r = rule_check(&c, &steps);
    if (r == CHECK_YES) {
        unsigned level = evidence_level(d->set, e);
        bool better = s->best == NULL || level > s->best_level ||
                      (level == s->best_level && e->index > s->best->index);
        if (!better) return;
        s->best = e;
        s->best_level = level;
        return;
    }
    if (r == CHECK_ERROR) s->unclear++;
    bool nearer = s->nearest == NULL || steps > s->nearest_steps ||
                  (steps == s->nearest_steps && e->index > s->nearest->index);
    if (!nearer) return;
    s->nearest = e;
    s->nearest_steps = steps;
}

static void search(const struct deciding *d, const struct rule *rule, struct search *s) {
    for (size_t i = 0; i < d->count; i++) {
        const struct policy_evidence *e = d->evidence[i];
        bool readable = e->statement != NULL;
        if (readable && !text_equal(e->statement->predicate_type, rule->predicate_type)) continue;
        s->found++;
        show(s, e->index);
        if (readable)
            consider(d, rule, e, s);
        else
            s->unreadable++;
    }
}

static void put_observed(struct buf *out, const struct deciding *d, const struct rule *rule,
                         const struct search *s) {
    struct check c = {.set = d->set, .rule = rule, .now_ms = d->question->now_ms};
    if (s->best != NULL) {
        c.evidence = s->best;
        buf_printf(out, "#%llu: ", (unsigned long long)s->best->index);
        rule_put_observed(out, &c, true);
        return;
    }
    if (s->found == 0) {
        buf_put_cstr(out, "no attestation of this type about this digest");
        return;
    }
    buf_printf(out, "%zu of this type, none satisfies", s->found);
    if (s->unreadable > 0) buf_printf(out, "; %zu cannot be read", s->unreadable);
    if (s->unclear > 0) buf_printf(out, "; %zu cannot be judged", s->unclear);
    if (s->nearest == NULL) return;
    c.evidence = s->nearest;
    buf_printf(out, "; nearest #%llu: ", (unsigned long long)s->nearest->index);
    rule_put_observed(out, &c, false);
}

static struct error *copy_indexes(struct arena *arena, const struct search *s,
                                  struct policy_rule_result *out) {
    size_t count = s->best != NULL ? 1 : s->shown_count;
    uint64_t *indexes = arena_alloc(arena, (count + 1) * sizeof *indexes);
    if (indexes == NULL) return error_nomem();
    if (s->best != NULL)
        indexes[0] = s->best->index;
    else if (count > 0)
        memcpy(indexes, s->shown, count * sizeof *indexes);
    out->evidence = indexes;
    out->evidence_count = count;
    return NULL;
}

static struct error *decide_rule(const struct deciding *d, const struct policy *p,
                                 const struct rule *rule, struct policy_rule_result *out,
                                 unsigned *level) {
    struct search s = {0};
    struct buf observed;
    search(d, rule, &s);
    buf_init_arena(&observed, d->arena, OBSERVED_OCTETS_MAX);
    put_observed(&observed, d, rule, &s);
    TRY(buf_finish(&observed, "observed"));
    TRY(copy_indexes(d->arena, &s, out));
    out->policy = p->name;
    out->rule = rule->name;
    out->expected = rule->expected;
    out->observed = (struct text){(const char *)observed.data, observed.len};
    out->guidance = p->guidance;
    out->warn_only = p->mode == MODE_WARN;
    out->result = s.unclear + s.unreadable > 0 ? POLICY_ERROR : POLICY_FAIL;
    if (s.best == NULL) return NULL;
    out->result = POLICY_PASS;
    if (s.best_level > *level) *level = s.best_level;
    return NULL;
}

/* --- all of it */
struct tally {
    size_t matched;                   /* policies */
    size_t denied;                    /* enforcing ones with a rule that does not pass */
    struct policy_rule_result *rules; /* room for every rule of the set */
    size_t rule_count;
    struct text guidance;
    unsigned level;
};

static struct error *decide_policy(const struct deciding *d, const struct policy *p,
                                   struct tally *t) {
    size_t failed = 0;
    ASSERT(p->require.count > 0); /* an empty list does not load: "all of none" must not pass */
    for (size_t i = 0; i < p->require.count; i++) {
        struct policy_rule_result *r = &t->rules[t->rule_count++];
        TRY(decide_rule(d, p, &policy_rules(p)[i], r, &t->level));
        if (r->result != POLICY_PASS) failed++;
    }
    t->matched++;
    if (failed == 0 || p->mode == MODE_WARN) return NULL;
    t->denied++;
    if (t->guidance.len == 0) t->guidance = p->guidance;
    return NULL;
}

static struct error *explain_none(const struct deciding *d, struct tally *t) {
    struct buf out;
    buf_init_arena(&out, d->arena, OBSERVED_OCTETS_MAX);
    buf_put_cstr(&out, d->set->count == 0 ? "No policy is loaded, so nothing is allowed into "
                                          : "No policy selects environment ");
    policy_put_quoted(&out, bytes_of_text(d->question->environment));
    if (d->question->subject_name.len > 0) {
        buf_put_cstr(&out, " with subject name ");
        policy_put_quoted(&out, bytes_of_text(d->question->subject_name));
    } else {
        buf_put_cstr(&out, " without a subject name (policies with select.subjects go by name)");
    }
    buf_put_cstr(&out, ". Ask whoever keeps the policies to add one.");
    TRY(buf_finish(&out, "guidance"));
    t->guidance = (struct text){(const char *)out.data, out.len};
    return NULL;
}

static size_t rules_of(const struct policy_set *set) {
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++) n += set->policies[i].require.count;
    return n;
}

static struct error *keep_relevant(struct deciding *d, const struct policy_evidence *evidence,
                                   size_t count) {
    const struct policy_evidence **kept = arena_alloc(d->arena, (count + 1) * sizeof(void *));
    if (kept == NULL) return error_nomem();
    for (size_t i = 0; i < count; i++) {
        if (is_about(d->question, &evidence[i])) kept[d->count++] = &evidence[i];
    }
    d->evidence = kept;
    return NULL;
}

struct error *policy_decide(struct arena *arena, const struct policy_set *set,
                            const struct policy_question *question,
                            const struct policy_evidence *evidence, size_t count,
                            struct policy_outcome *out) {
    struct deciding d = {.arena = arena, .set = set, .question = question};
    struct tally t = {.rules = arena_alloc(arena, (rules_of(set) + 1) * sizeof *t.rules)};
    if (t.rules == NULL) return error_nomem();
    TRY(keep_relevant(&d, evidence, count));
    for (size_t i = 0; i < set->count; i++) {
        if (selects(&set->policies[i], question)) TRY(decide_policy(&d, &set->policies[i], &t));
    }
    if (t.matched == 0) TRY(explain_none(&d, &t));

    struct policy_outcome outcome = {.decision = POLICY_DENY,
                                     .rules = t.rules,
                                     .rule_count = t.rule_count,
                                     .guidance = t.guidance,
                                     .level = t.level};
    if (t.matched > 0 && t.denied == 0) outcome.decision = POLICY_ALLOW;
    *out = outcome;
    return NULL;
}

static void add_type(const struct text *type, struct text *list, size_t *count) {
    for (size_t i = 0; i < *count; i++) {
        if (text_equal(list[i], *type)) return;
    }
    list[(*count)++] = *type;
}

struct error *policy_predicate_types(struct arena *arena, const struct policy_set *set,
                                     const struct policy_question *question,
                                     const struct text **out, size_t *out_count) {
    struct text *list = arena_alloc(arena, (rules_of(set) + 1) * sizeof *list);
    size_t count = 0;
    if (list == NULL) return error_nomem();
    for (size_t i = 0; i < set->count; i++) {
        const struct policy *p = &set->policies[i];
        if (!selects(p, question)) continue;
        for (size_t j = 0; j < p->require.count; j++)
            add_type(&policy_rules(p)[j].predicate_type, list, &count);
    }
    *out = list;
    *out_count = count;
    return NULL;
}

static bool rule_wants(const struct rule *r, struct text predicate_type, struct text signer) {
    return text_equal(r->predicate_type, predicate_type) && rule_takes_signer(r, signer);
}

bool policy_wants_signer(const struct policy_set *set, const struct policy_question *question,
                         struct text predicate_type, struct text signer) {
    for (size_t i = 0; i < set->count; i++) {
        const struct policy *p = &set->policies[i];
        if (!selects(p, question)) continue;
        for (size_t j = 0; j < p->require.count; j++)
            if (rule_wants(&policy_rules(p)[j], predicate_type, signer)) return true;
    }
    return false;
}
