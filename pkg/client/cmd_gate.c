/* attest gate: may this go there? And if not: what is missing, and who can mend it how. */
#include <stdio.h>

#include "attestd/v1/gate.pb-c.h"
#include "client/connection.h"
#include "client/receipt.h"
#include "intoto/intoto.h"

static const struct method decide = {
    .path = "/attestd.v1.Gate/Decide",
    .request = &attestd__v1__decide_request__descriptor,
    .response = &attestd__v1__decide_response__descriptor,
};

struct asking {
    struct cli *cli;
    struct subject subject;
    const char *environment;
    const Attestd__V1__DecideResponse *answer;
};

static struct error *put_attributes(struct asking *a, struct request *r) {
    size_t at = 0;
    json_key(&r->w, "attributes");
    json_object_begin(&r->w);
    for (const char *p; (p = args_next(&a->cli->args, "attribute", &at)) != NULL;) {
        const char *equals = strchr(p, '=');
        if (equals == NULL || equals == p)
            return cli_usage(a->cli, "--attribute `%.100s` must be KEY=VALUE", p);
        json_key_bytes(&r->w, (struct bytes){(const uint8_t *)p, (size_t)(equals - p)});
        json_put_cstr(&r->w, equals + 1);
    }
    json_object_end(&r->w);
    return NULL;
}

static struct error *ask(struct asking *a, const struct ProtobufCMessage **out) {
    struct request r;
    cli_request_begin(a->cli, &r);
    json_key(&r.w, "subject");
    json_object_begin(&r.w);
    cli_request_text(&r, "name", a->subject.name);
    json_key(&r.w, "digest");
    json_object_begin(&r.w);
    cli_request_text(&r, "sha256", a->subject.digest);
    json_object_end(&r.w);
    json_object_end(&r.w);
    cli_request_text(&r, "environment", a->environment);
    TRY(put_attributes(a, &r));
    cli_request_flag(&r, "dryRun", args_has(&a->cli->args, "dry-run"));
    TRY(cli_call(a->cli, &decide, &r, out));
    a->answer = (const Attestd__V1__DecideResponse *)*out;
    return NULL;
}

/* The summary must say what the answer says, of the very subject, and verify. */
static struct error *check_summary(struct asking *a, bool *out_good) {
    struct bundle_verification v;
    const struct receipt_check check = {.receipt = bytes_of_cstr(a->answer->receipt),
                                        .index = a->answer->index,
                                        .subjects = &a->subject,
                                        .subject_count = 1,
                                        .predicate_type = INTOTO_VSA_V1};
    bool dry = args_has(&a->cli->args, "dry-run");
    *out_good = dry;
    if (dry) return NULL;
    TRY(cli_check_receipt(a->cli, &a->cli->arena, &check, &v, out_good));
    if (!*out_good) return NULL;
    bool allow = a->answer->decision == ATTESTD__V1__DECIDE_RESPONSE__DECISION__ALLOW;
    struct bytes result = json_string(json_get(v.statement.predicate, "verificationResult"));
    *out_good = v.purpose == TRUST_PURPOSE_DECISION &&
                bytes_equal(result, allow ? BYTES_LIT("PASSED") : BYTES_LIT("FAILED"));
    if (!*out_good) cli_note(a->cli, "attest: the signed summary does not say what was answered\n");
    return NULL;
}

/* --- for people */
static void put(struct cli *cli, const char *text) {
    if (!cli->json) cli_put(cli->io->out, bytes_of_cstr(text));
}

static bool passes(const Attestd__V1__RuleResult *r) {
    return r->result == ATTESTD__V1__RULE_RESULT__RESULT__PASS ||
           r->result == ATTESTD__V1__RULE_RESULT__RESULT__EXEMPT ||
           r->result == ATTESTD__V1__RULE_RESULT__RESULT__SKIP;
}

static const char *result_name(const Attestd__V1__RuleResult *r) {
    static const char *const names[] = {"?", "PASS", "FAIL", "ERROR", "EXEMPT", "SKIP"};
    return r->result >= 0 && r->result < 6 ? names[r->result] : "?";
}

static void put_evidence(struct cli *cli, const Attestd__V1__RuleResult *r) {
    if (r->n_evidence == 0) return;
    cli_say(cli, "        looked at ");
    for (size_t i = 0; i < r->n_evidence; i++)
        cli_say(cli, "%s#%llu", i == 0 ? "" : ", ", (unsigned long long)r->evidence[i]);
    cli_say(cli, "\n");
}

/* Who can mend a rule that does not pass depends on why it does not. */
static void put_remedy(struct cli *cli, const Attestd__V1__RuleResult *r) {
    bool error = r->result == ATTESTD__V1__RULE_RESULT__RESULT__ERROR;
    cli_say(cli, "        mend it   ");
    if (error)
        cli_say(cli,
                "the evidence cannot be judged as it is: whoever submitted it attests again\n");
    else if (r->n_evidence == 0)
        cli_say(cli,
                "nobody attested this yet: whom the rule accepts (\"submitted by\") runs "
                "`attest provenance` or `attest attest`\n");
    else
        cli_say(cli,
                "what there is does not hold: whom the rule accepts (\"submitted by\") makes "
                "it hold and attests again\n");
}

static void put_rule(struct asking *a, const Attestd__V1__RuleResult *r, bool explain) {
    struct cli *cli = a->cli;
    bool good = passes(r);
    cli_say(cli, "  ");
    cli_colour(cli, good ? COLOUR_GOOD : r->warn_only ? COLOUR_NONE : COLOUR_BAD, result_name(r));
    cli_say(cli, "  ");
    put(cli, r->policy);
    cli_say(cli, "/");
    put(cli, r->rule);
    cli_say(cli, "%s\n", r->warn_only ? " (only a warning)" : "");
    if (!explain && good) return;
    cli_say(cli, "        asked     ");
    put(cli, r->expected);
    cli_say(cli, "\n        found     ");
    put(cli, r->observed);
    cli_say(cli, "\n");
    if (!explain) return;
    put_evidence(cli, r);
    if (!good) put_remedy(cli, r);
}

static void put_question(struct asking *a, bool allow) {
    struct cli *cli = a->cli;
    cli_colour(cli, allow ? COLOUR_GOOD : COLOUR_BAD, allow ? "ALLOW" : "DENY");
    cli_say(cli, "  ");
    put(cli, a->subject.name);
    cli_say(cli, "%ssha256:%s into ", a->subject.name[0] == '\0' ? "" : "@", a->subject.digest);
    put(cli, a->environment);
    cli_say(cli, "\n");
}

static void print_for_people(struct asking *a, bool allow) {
    struct cli *cli = a->cli;
    const Attestd__V1__DecideResponse *d = a->answer;
    bool explain = args_has(&cli->args, "explain");
    put_question(a, allow);
    for (size_t i = 0; i < d->n_rules; i++) {
        if (explain || !passes(d->rules[i])) put_rule(a, d->rules[i], explain);
    }
    if (d->n_rules == 0) cli_say(cli, "  no policy matches, and what no policy allows is denied\n");
    if (!allow && d->guidance[0] != '\0') {
        cli_say(cli, "  what to do: ");
        put(cli, d->guidance);
        cli_say(cli, "\n");
    }
    cli_say(cli, "  evidence complete up to tree size %llu", (unsigned long long)d->tree_size);
    if (args_has(&cli->args, "dry-run"))
        cli_say(cli, "; a dry run: not recorded\n");
    else
        cli_say(cli, "; recorded as entry %llu\n", (unsigned long long)d->index);
}

struct error *run_gate(struct cli *cli, int *out_exit) {
    struct asking a = {.cli = cli, .environment = args_value(&cli->args, "environment")};
    struct subject *subjects = NULL;
    const struct ProtobufCMessage *m = NULL;
    size_t count = 0;
    bool good = false;
    if (a.environment == NULL) return cli_usage(cli, "into which environment? --environment NAME");
    TRY(subjects_load(cli, &subjects, &count));
    a.subject = subjects[0];
    TRY(ask(&a, &m));
    TRY(check_summary(&a, &good));
    /* An answer whose record does not verify is no answer that one may act on. */
    if (!good) return error_new(ERROR_DATA_LOSS, "the decision cannot be relied on");
    bool allow = a.answer->decision == ATTESTD__V1__DECIDE_RESPONSE__DECISION__ALLOW;
    if (cli->json)
        TRY(cli_print(cli, m));
    else
        print_for_people(&a, allow);
    *out_exit = allow ? CLI_EXIT_YES : CLI_EXIT_NO;
    return NULL;
}
