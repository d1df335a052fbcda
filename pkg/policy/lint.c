/* What loads but is probably not meant. Advice: each finding is right for someone. */
#include <stdarg.h>

#include "base/arena.h"
#include "policy/internal.h"

#define FINDINGS_MAX 1000

struct findings {
    struct arena *arena;
    struct text *items;
    size_t count;
    bool failed; /* memory */
};

static void add(struct findings *f, struct text file, unsigned line, const char *what,
                struct text name, const char *why) {
    struct buf out;
    if (f->count == FINDINGS_MAX || f->failed) return;
    buf_init_arena(&out, f->arena, 1024);
    buf_printf(&out, BYTES_FMT ":%u: %s `" BYTES_FMT "`: %s", BYTES_ARG(file), line, what,
               BYTES_ARG(name), why);
    f->failed = out.failed;
    f->items[f->count++] = (struct text){(const char *)out.data, out.len};
}

static bool matches_anything(const struct text_list *globs) {
    for (size_t i = 0; i < globs->count; i++) {
        if (text_equal(globs->items[i], TEXT_LIT("*"))) return true;
        if (text_equal(globs->items[i], TEXT_LIT("**"))) return true;
    }
    return false;
}

static bool has_condition(const struct rule *r, struct text path) {
    for (size_t i = 0; i < r->where.count; i++) {
        if (text_equal(r->where.items[i].path, path)) return true;
    }
    return false;
}

static void lint_rule(struct findings *f, const struct policy *p, const struct rule *r) {
    const unsigned line = r->decoded.line;
    bool provenance = text_equal(r->predicate_type, TEXT_LIT(INTOTO_PROVENANCE_V1));
    bool summary = text_equal(r->predicate_type, TEXT_LIT(INTOTO_VSA_V1));
    if (matches_anything(&r->signers))
        add(f, p->file, line, "rule", r->name,
            "signers \"*\": anyone with the scope `attest` satisfies it");
    if (r->max_age_ms == 0)
        add(f, p->file, line, "rule", r->name, "no maxAge: evidence counts however old it is");
    if (provenance && r->builders.count == 0)
        add(f, p->file, line, "rule", r->name, "no builders: provenance of any builder counts");
    if (provenance && r->source.repository.len == 0)
        add(f, p->file, line, "rule", r->name, "no source: a build of any repository counts");
    if (r->source.repository.len > 0 && r->source.ref.len == 0)
        add(f, p->file, line, "rule", r->name, "source without ref: any branch counts");
    if (summary && !r->decision_key)
        add(f, p->file, line, "rule", r->name,
            "never passes: the gate's own summaries need `decisionKey: true`");
    if (r->decision_key && !has_condition(r, TEXT_LIT("attestd_decision.environment")))
        add(f, p->file, line, "rule", r->name,
            "a summary for any environment counts; add where: "
            "{attestd_decision.environment: NAME}");
}

static void lint_policy(struct findings *f, const struct policy *p) {
    const unsigned line = p->decoded.line;
    if (p->mode == MODE_WARN)
        add(f, p->file, line, "policy", p->name,
            "mode warn never denies: where no other policy matches, everything is allowed");
    if (p->select.environments.count == 0 && p->select.subjects.count == 0)
        add(f, p->file, line, "policy", p->name, "no select: applies to every request");
    if (matches_anything(&p->select.subjects))
        add(f, p->file, line, "policy", p->name,
            "select.subjects \"*\" misses names with \"/\" or (\"**\") requests without a name; "
            "leave it out to mean everything");
    if (p->guidance.len == 0)
        add(f, p->file, line, "policy", p->name,
            "no guidance: who is denied is not told what to do");
    for (size_t i = 0; i < p->require.count; i++) lint_rule(f, p, &policy_rules(p)[i]);
}

static void lint_levels(struct findings *f, const struct policy_set *set) {
    const struct text submitted = TEXT_LIT("https://attestd.example/builder/submitted/v1");
    const struct level_row *rows = set->levels.items;
    for (size_t i = 0; i < set->levels.count; i++) {
        const struct level_row *row = &rows[i];
        if (matches_anything(&row->signers) && row->level > 1)
            add(f, set->levels_file, row->decoded.line, "level of", row->builders.items[0],
                "signers \"*\": anyone may claim this builder; a level is a (signer, builder) "
                "pair");
        if (row->level > 1 && glob_any(&row->builders, submitted))
            add(f, set->levels_file, row->decoded.line, "level of", row->builders.items[0],
                "also matches submitted builders, which count level 1 whatever stands here");
    }
}

struct error *policy_lint(struct arena *arena, const struct policy_set *set,
                          const struct text **out, size_t *out_count) {
    struct findings f = {.arena = arena,
                         .items = arena_alloc(arena, FINDINGS_MAX * sizeof *f.items)};
    if (f.items == NULL) return error_nomem();
    for (size_t i = 0; i < set->count; i++) lint_policy(&f, &set->policies[i]);
    lint_levels(&f, set);
    if (f.failed) return error_nomem();
    *out = f.items;
    *out_count = f.count;
    return NULL;
}
