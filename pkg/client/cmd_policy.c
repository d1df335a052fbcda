/* attest policy test|lint: without a server, with the server's own code. */
#include <stdio.h>

#include "client/internal.h"
#include "intoto/intoto.h"
#include "service/policies.h"

#define STATEMENT_OCTETS_MAX ((size_t)4 << 20)
#define CASE_ARENA_MAX ((size_t)128 << 20)

struct testing {
    struct cli *cli;
    const char *dir;
    struct policies_dir files;
    struct json_writer json;
    unsigned passed, failed;
};

static struct text without_end(struct text name, const char *end) {
    size_t n = strlen(end);
    return (struct text){name.data, name.len < n ? 0 : name.len - n};
}

/* The set that a file of cases is about: the policy of the same name with builders.yaml; where
 * there is none of that name, all policies. */
static struct error *load_set_of(struct testing *t, const struct policy_file *test,
                                 struct policy_set **out, bool *out_all) {
    struct text name = without_end(test->name, ".test.yaml");
    struct policy_file few[2];
    size_t count = 0;
    for (size_t i = 0; i < t->files.policy_count; i++) {
        const struct policy_file *f = &t->files.policies[i];
        if (text_equal(without_end(f->name, ".yaml"), name)) few[count++] = *f;
    }
    *out_all = count == 0;
    if (count == 0) return policy_set_load(t->files.policies, t->files.policy_count, out);
    for (size_t i = 0; i < t->files.policy_count; i++) {
        if (text_equal(t->files.policies[i].name, TEXT_LIT("builders.yaml")) && count < 2)
            few[count++] = t->files.policies[i];
    }
    return policy_set_load(few, count, out);
}

static struct error *load_evidence(struct arena *arena, const char *dir,
                                   const struct policy_case *c, struct policy_evidence **out) {
    struct policy_evidence *evidence =
        arena_alloc(arena, (c->evidence_count + 1) * sizeof *evidence);
    struct intoto_statement *statements =
        arena_alloc(arena, (c->evidence_count + 1) * sizeof *statements);
    if (evidence == NULL || statements == NULL) return error_nomem();
    for (size_t i = 0; i < c->evidence_count; i++) {
        const struct policy_case_evidence *e = &c->evidence[i];
        struct json_limits limits = JSON_LIMITS_DEFAULT;
        struct bytes octets;
        TRY(policies_read_file(arena, dir, e->statement_file, STATEMENT_OCTETS_MAX, &octets));
        struct error *err = intoto_statement_parse(arena, octets, &limits, &statements[i]);
        if (err != NULL) return error_wrap(err, "%s/" BYTES_FMT, dir, BYTES_ARG(e->statement_file));
        bool of_gate = e->key == POLICY_CASE_KEY_DECISION;
        if (e->key == POLICY_CASE_KEY_UNSAID) /* nobody but the gate can have one logged */
            of_gate = text_equal(statements[i].predicate_type, TEXT_LIT(INTOTO_VSA_V1));
        evidence[i] = (struct policy_evidence){.index = i,
                                               .statement = &statements[i],
                                               .signer = e->signer,
                                               .logged_ms = e->logged_ms,
                                               .decision_key = of_gate};
    }
    *out = evidence;
    return NULL;
}

static void show_rules(struct cli *cli, const struct policy_outcome *out) {
    static const char *const names[] = {"?", "PASS", "FAIL", "ERROR", "EXEMPT", "SKIP"};
    for (size_t i = 0; i < out->rule_count; i++) {
        const struct policy_rule_result *r = &out->rules[i];
        cli_say(cli, "       %-5s " BYTES_FMT "%s: ", names[r->result], BYTES_ARG(r->rule),
                r->warn_only ? " (warn)" : "");
        if (!cli->json) cli_put(cli->io->out, bytes_of_text(r->observed));
        cli_say(cli, "\n");
    }
}

static void report(struct testing *t, const struct policy_file *file, const struct policy_case *c,
                   const struct policy_outcome *out, const char *why) {
    bool good = why[0] == '\0';
    good ? t->passed++ : t->failed++;
    json_object_begin(&t->json);
    json_key(&t->json, "file");
    json_put_string(&t->json, bytes_of_text(file->name));
    json_key(&t->json, "case");
    json_put_string(&t->json, bytes_of_text(c->name));
    json_key(&t->json, "passed");
    json_put_bool(&t->json, good);
    json_key(&t->json, "why");
    json_put_cstr(&t->json, why);
    json_object_end(&t->json);
    cli_colour(t->cli, good ? COLOUR_GOOD : COLOUR_BAD, good ? "  ok   " : "  FAIL ");
    if (!t->cli->json) cli_put(t->cli->io->out, bytes_of_text(c->name));
    cli_say(t->cli, "\n");
    if (good) return;
    cli_say(t->cli, "       " BYTES_FMT ":%u: %s\n", BYTES_ARG(file->name), c->line, why);
    show_rules(t->cli, out);
}

static struct error *run_case(struct testing *t, const struct policy_file *file,
                              const struct policy_set *set, const struct policy_case *c,
                              struct arena *arena) {
    struct policy_evidence *evidence = NULL;
    struct policy_outcome out;
    char why[512];
    struct error *err = load_evidence(arena, t->dir, c, &evidence);
    if (err != NULL) return error_wrap(err, BYTES_FMT ":%u", BYTES_ARG(file->name), c->line);
    TRY(policy_decide(arena, set, &c->question, evidence, c->evidence_count, &out));
    policy_case_judge(c, &out, why, sizeof why);
    report(t, file, c, &out, why);
    return NULL;
}

static struct error *run_cases(struct testing *t, const struct policy_file *file,
                               const struct policy_set *set) {
    const struct policy_case *cases = NULL;
    size_t count = 0;
    TRY(policy_cases_load(&t->cli->arena, file, &cases, &count));
    for (size_t i = 0; i < count; i++) {
        struct arena arena;
        arena_init(&arena, CASE_ARENA_MAX);
        struct error *err = run_case(t, file, set, &cases[i], &arena);
        arena_done(&arena);
        if (err != NULL) return err;
    }
    return NULL;
}

static struct error *run_file(struct testing *t, const struct policy_file *file) {
    CLEANUP(policy_set_freep) struct policy_set *set = NULL;
    bool all = false;
    TRY(load_set_of(t, file, &set, &all));
    cli_say(t->cli, BYTES_FMT "%s\n", BYTES_ARG(file->name),
            all ? " (no policy of that name: against all policies)" : "");
    return run_cases(t, file, set);
}

/* A policy without a case is said: what nobody tests is what fails. */
static void note_untested(struct testing *t) {
    for (size_t i = 0; i < t->files.policy_count; i++) {
        struct text name = without_end(t->files.policies[i].name, ".yaml");
        bool tested = text_equal(name, TEXT_LIT("builders"));
        for (size_t j = 0; j < t->files.test_count && !tested; j++)
            tested = text_equal(without_end(t->files.tests[j].name, ".test.yaml"), name);
        if (!tested)
            cli_note(t->cli, "%s/" BYTES_FMT ".yaml has no cases (" BYTES_FMT ".test.yaml)\n",
                     t->dir, BYTES_ARG(name), BYTES_ARG(name));
    }
}

static void buf_donep(struct buf **b) { buf_done(*b); }

struct error *run_policy_test(struct cli *cli, int *out_exit) {
    struct buf b;
    CLEANUP(buf_donep) struct buf *json = &b;
    buf_init(json, (size_t)64 << 20);
    struct testing t = {.cli = cli, .dir = cli->args.words[0], .json = json_writer_of(json)};
    CLEANUP(policy_set_freep) struct policy_set *whole = NULL;
    TRY(policies_read_dir(&cli->arena, t.dir, POLICIES_TRIED, false, &t.files));
    cli->advice = "Correct the file; `attest policy lint` says more.";
    TRY(policy_set_load(t.files.policies, t.files.policy_count, &whole)); /* names once in all */
    json_object_begin(&t.json);
    json_key(&t.json, "cases");
    json_array_begin(&t.json);
    for (size_t i = 0; i < t.files.test_count; i++) TRY(run_file(&t, &t.files.tests[i]));
    json_array_end(&t.json);
    json_key(&t.json, "passed");
    json_put_uint(&t.json, t.passed);
    json_key(&t.json, "failed");
    json_put_uint(&t.json, t.failed);
    json_object_end(&t.json);
    note_untested(&t);
    cli->advice = "Put cases into NAME.test.yaml beside NAME.yaml; policies/ has examples.";
    if (t.passed + t.failed == 0)
        return error_new(ERROR_NOT_FOUND, "%s has no cases, so nothing was tested", t.dir);
    TRY(buf_finish(json, "report"));
    if (cli->json) cli_json(cli, buf_bytes(json));
    cli_say(cli, "%u passed, %u failed\n", t.passed, t.failed);
    *out_exit = t.failed == 0 ? CLI_EXIT_YES : CLI_EXIT_NO;
    return NULL;
}

static struct error *lint_files(struct cli *cli, const struct policies_dir *files,
                                const struct text **out, size_t *out_count, size_t *out_policies) {
    CLEANUP(policy_set_freep) struct policy_set *set = NULL;
    TRY(policy_set_load(files->policies, files->policy_count, &set));
    *out_policies = policy_set_count(set); /* builders.yaml is none */
    for (size_t i = 0; i < files->test_count; i++) {
        const struct policy_case *cases = NULL;
        size_t count = 0;
        TRY(policy_cases_load(&cli->arena, &files->tests[i], &cases, &count));
    }
    return policy_lint(&cli->arena, set, out, out_count);
}

static struct error *print_findings(struct cli *cli, const char *refused,
                                    const struct text *findings, size_t count) {
    struct buf b;
    buf_init_arena(&b, &cli->arena, (size_t)4 << 20);
    struct json_writer w = json_writer_of(&b);
    json_object_begin(&w);
    json_key(&w, "loads");
    json_put_bool(&w, refused[0] == '\0');
    json_key(&w, "error");
    json_put_cstr(&w, refused);
    json_key(&w, "findings");
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        json_put_string(&w, bytes_of_text(findings[i]));
        cli_say(cli, BYTES_FMT "\n", BYTES_ARG(findings[i]));
    }
    json_array_end(&w);
    json_object_end(&w);
    TRY(buf_finish(&b, "report"));
    if (cli->json) cli_json(cli, buf_bytes(&b));
    return NULL;
}

struct error *run_policy_lint(struct cli *cli, int *out_exit) {
    const char *dir = cli->args.words[0];
    struct policies_dir files;
    const struct text *findings = NULL;
    size_t count = 0, policies = 0;
    char refused[1024] = "";
    TRY(policies_read_dir(&cli->arena, dir, POLICIES_TRIED, false, &files));
    struct error *err = lint_files(cli, &files, &findings, &count, &policies);
    if (err != NULL && error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    if (err != NULL) error_text(err, refused, sizeof refused);
    error_ignore(err, "that it does not load is the answer");
    TRY(print_findings(cli, refused, findings, count));
    if (refused[0] != '\0')
        cli_say(cli, "does not load: %s\n", refused);
    else
        cli_say(cli, "policies: %zu, all load; things to look at: %zu\n", policies, count);
    *out_exit = refused[0] == '\0' ? CLI_EXIT_YES : CLI_EXIT_NO;
    return NULL;
}
