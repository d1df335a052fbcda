/* The policy reader and the decision. Asserted: loading never crashes and takes no more than its
 * bounds; what loads decides; without evidence nothing is allowed, but by policies that all say
 * mode: warn; and a set is what its octets are (the same digest twice). */
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct intoto_digest digest = {TEXT_LIT("sha256"),
                                            TEXT_LIT("00000000000000000000000000000000"
                                                     "00000000000000000000000000000000")};

static void must(bool holds) {
    if (!holds) __builtin_trap();
}

static bool all_warn(const struct policy_outcome *out) {
    for (size_t i = 0; i < out->rule_count; i++) {
        if (!out->rules[i].warn_only) return false;
    }
    return out->rule_count > 0;
}

static void ask(const struct policy_set *set, struct text name, struct text environment) {
    struct json_value empty = {.type = JSON_OBJECT};
    struct intoto_resource subject = {.digests = &digest, .digest_count = 1};
    struct intoto_statement st = {.predicate_type = TEXT_LIT(INTOTO_PROVENANCE_V1),
                                  .subjects = &subject,
                                  .subject_count = 1,
                                  .predicate = &empty,
                                  .builder_id = TEXT_LIT("https://b")};
    struct policy_evidence e = {.statement = &st, .signer = TEXT_LIT("token:ci")};
    struct policy_question q = {
        .subject_name = name, .digests = &digest, .digest_count = 1, .environment = environment};
    struct policy_outcome out;
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    error_free(policy_decide(&arena, set, &q, &e, 1, &out));
    struct error *err = policy_decide(&arena, set, &q, NULL, 0, &out);
    if (err == NULL) must(out.decision == POLICY_DENY || all_warn(&out));
    error_free(err);
    arena_done(&arena);
}

static void load(struct text name, struct bytes octets) {
    struct policy_file file = {name, octets};
    CLEANUP(policy_set_freep) struct policy_set *set = NULL;
    CLEANUP(policy_set_freep) struct policy_set *again = NULL;
    CLEANUP(error_freep) struct error *err = policy_set_load(&file, 1, &set);
    if (err != NULL) return;
    must(policy_set_load(&file, 1, &again) == NULL);
    must(sha256_equal(policy_set_digest(set), policy_set_digest(again)));
    ask(set, TEXT_LIT("registry.example/shop"), TEXT_LIT("production"));
    ask(set, (struct text){0}, TEXT_LIT("staging"));
    struct arena arena;
    const struct text *found = NULL;
    size_t count = 0;
    arena_init(&arena, (size_t)64 << 20);
    error_free(policy_lint(&arena, set, &found, &count));
    arena_done(&arena);
}

static void load_cases(struct bytes octets) {
    struct policy_file file = {TEXT_LIT("p.test.yaml"), octets};
    const struct policy_case *cases = NULL;
    size_t count = 0;
    struct arena arena;
    arena_init(&arena, (size_t)128 << 20);
    struct error *err = policy_cases_load(&arena, &file, &cases, &count);
    if (err == NULL) must(count > 0 && cases[0].name.len > 0);
    error_free(err);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes octets = {data, size};
    load(TEXT_LIT("p.yaml"), octets);
    load(TEXT_LIT("builders.yaml"), octets);
    load_cases(octets);
    return 0;
}
