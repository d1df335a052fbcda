/* policy: what loads and what does not; globs; cases; lint. Decisions: test_policy_decide.c. */
#include <check.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "policy/policy.h"

#define HEAD "apiVersion: attestd/v1\nkind: Policy\nname: p\n"
#define RULE                                                                                       \
    "require:\n- name: r\n  predicateType: https://example.com/t/v1\n  signers: "                  \
    "[\"token:ci-*\"]\n"
#define PROV                                                                                       \
    "require:\n- name: r\n  predicateType: https://slsa.dev/provenance/v1\n  signers: [\"*\"]\n"
#define BUILDERS "apiVersion: attestd/v1\nkind: Builders\nlevels:\n"

/* The example of INTERFACE.md 5, word for word. */
static const char example[] =
    "apiVersion: attestd/v1\n"
    "kind: Policy\n"
    "name: production-images\n"
    "select:\n"
    "  environments: [production]          # globs; missing = every environment\n"
    "  subjects: [\"registry.example/*\"]    # globs on the subject's name\n"
    "mode: enforce                         # or warn: results are shown, never deny\n"
    "require:\n"
    "  - name: built-by-us\n"
    "    predicateType: https://slsa.dev/provenance/v1\n"
    "    builders: [\"https://attestd.example/builder/submitted/v1\"]\n"
    "    signers: [\"token:ci-*\"]\n"
    "    source: { repository: \"git+https://git.example/shop**\", ref: \"refs/heads/main\", "
    "assurance: declared }\n"
    "    minimumLevel: 1\n"
    "    maxAge: 30d\n"
    "  - name: tests-passed\n"
    "    predicateType: https://in-toto.io/attestation/test-result/v0.1\n"
    "    signers: [\"token:ci-*\"]\n"
    "    where: { result: PASSED }\n"
    "guidance: \"Build from main with the release pipeline; see "
    "https://runbooks.example/deploy\"\n";

static struct error *load_one(const char *name, struct bytes octets, struct policy_set **out) {
    struct policy_file file = {text_of_cstr(name), octets};
    return policy_set_load(&file, 1, out);
}

/* --- globs */
static const struct {
    const char *pattern, *value;
    bool match;
} globs[] = {
    {"a", "a", true},
    {"a", "A", false},
    {"a", "ab", false},
    {"*", "token:ci-1", true},
    {"*", "a/b", false},
    {"*", "", false}, /* what was not given satisfies nothing */
    {"**", "", false},
    {"**", "a/b/c", true},
    {"token:ci-*", "token:ci-1", true},
    {"token:ci-*", "token:ci-", true},
    {"token:ci-*", "token:ci", false},
    {"token:ci-*", "token:ci-1/x", false},
    {"token:ci-*", "xtoken:ci-1", false},
    {"registry.example/*", "registry.example/shop", true},
    {"registry.example/*", "registry.example/team/shop", false},
    {"registry.example/**", "registry.example/team/shop", true},
    {"registry.example/*/shop", "registry.example/team/shop", true},
    {"registry.example/*/shop", "registry.example/a/b/shop", false},
    {"**/shop", "a/b/shop", true},
    {"a*b*c", "aXbYbZc", true},
    {"a*b*c", "aXc", false},
    {"**a*b/c", "x/a/ab/c", true},
    {"a?c", "abc", false}, /* only stars are special */
    {"a?c", "a?c", true},
    {"[ab]", "a", false},
    {"a.c", "abc", false},
    {"", "a", false}, /* refused patterns match nothing */
    {"***", "a", false},
};

START_TEST(test_globs) {
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        bool got =
            policy_glob_match(bytes_of_cstr(globs[i].pattern), bytes_of_cstr(globs[i].value));
        ck_assert_msg(got == globs[i].match, "%s on %s", globs[i].pattern, globs[i].value);
    }
}
END_TEST

static bool naive(const char *p, const char *v) {
    if (*p == '\0') return *v == '\0';
    if (p[0] == '*' && p[1] == '*') return naive(p + 2, v) || (*v != '\0' && naive(p, v + 1));
    if (*p == '*') return naive(p + 1, v) || (*v != '\0' && *v != '/' && naive(p, v + 1));
    return *v == *p && naive(p + 1, v + 1);
}

static void spell(char *out, unsigned n, unsigned len, const char *letters) {
    for (unsigned i = 0; i < len; i++, n /= 3) out[i] = letters[n % 3];
    out[len] = '\0';
}

START_TEST(test_globs_agree_with_a_naive_matcher) {
    static const unsigned powers[] = {1, 3, 9, 27, 81, 243, 729};
    char p[8], v[8];
    for (unsigned pl = 1; pl <= 6; pl++) {
        for (unsigned pi = 0; pi < powers[pl]; pi++) {
            spell(p, pi, pl, "a/*");
            if (policy_glob_check(bytes_of_cstr(p)) != NULL) continue;
            for (unsigned vl = 1; vl <= 5; vl++) {
                for (unsigned vi = 0; vi < powers[vl]; vi++) {
                    spell(v, vi, vl, "ab/");
                    bool got = policy_glob_match(bytes_of_cstr(p), bytes_of_cstr(v));
                    ck_assert_msg(got == naive(p, v), "%s on %s", p, v);
                }
            }
        }
    }
}
END_TEST

/* A backtracking matcher would need longer than the age of the universe. */
START_TEST(test_globs_take_linear_time) {
    enum { LEN = 1 << 20 };
    uint8_t *value = alloc_zero(LEN, 1);
    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < LEN; i++) value[i] = i % 2 == 0 ? 'a' : 'b';
    struct bytes v = {value, LEN};
    ck_assert(!policy_glob_match(BYTES_LIT("**a**b**a**b**a**b**a**b**a**b**a**b**c"), v));
    ck_assert(!policy_glob_match(BYTES_LIT("*a*b*a*b*a*b*a*b*a*b*a*b*a*b*a*b*a*b*c"), v));
    alloc_free(value);
}
END_TEST

/* --- loading */
START_TEST(test_the_example_loads) {
    CLEANUP(policy_set_freep) struct policy_set *set = NULL;
    ck_assert_ptr_null(load_one("production-images.yaml", bytes_of_cstr(example), &set));
    ck_assert_uint_eq(policy_set_count(set), 1);
}
END_TEST

START_TEST(test_no_file_is_an_empty_set) {
    CLEANUP(policy_set_freep) struct policy_set *set = NULL;
    ck_assert_ptr_null(policy_set_load(NULL, 0, &set));
    ck_assert_uint_eq(policy_set_count(set), 0);
}
END_TEST

static const struct {
    const char *text;
    const char *says; /* in the message */
} refused[] = {
    {"", "empty"},
    {"# nothing\n", "empty"},
    {"just text\n", "must be a map"},
    {"[]\n", "must be a map"},
    {"{}\n", "is empty"},
    {"a: [\n", "p.yaml:2: not YAML"},
    {HEAD RULE "colour: red\n", "p.yaml:8: `policy` has no key `colour`"},
    {HEAD RULE "name: q\n", "p.yaml:8: `name` is repeated; it stands on line 3"},
    {HEAD "\"name\": q\n" RULE, "is repeated"}, /* the same key in another spelling */
    {HEAD RULE "---\na: 1\n", "second document"},
    {"%YAML 1.1\n---\n" HEAD RULE, "directives"},
    {HEAD "select: &a {environments: [x]}\n" RULE, "anchors"},
    {HEAD "guidance: *a\n" RULE, "aliases"},
    {HEAD "guidance: !!str x\n" RULE, "tags"},
    {HEAD "guidance: !x y\n" RULE, "tags"},
    {HEAD "guidance: \"a\\0b\"\n" RULE, "NUL"},
    {HEAD "guidance: \xff\n" RULE, "UTF-8"},
    {HEAD "? [a]\n: b\n" RULE, "key must be plain text"},
    {HEAD "guidance: [a]\n" RULE, "must be one text, not a list"},
    {HEAD "guidance: {a: b}\n" RULE, "must be one text, not a map"},
    {HEAD "guidance:\n" RULE, "`guidance` is empty"},
    {HEAD "guidance: \"\"\n" RULE, "`guidance` is empty"},
    {HEAD "guidance: null\n" RULE, "`guidance` is empty"},
    {"apiVersion: attestd/v2\nkind: Policy\nname: p\n" RULE, "must be \"attestd/v1\""},
    {"apiVersion: attestd/v1\nkind: Builders\nname: p\n" RULE, "must be \"Policy\""},
    {"kind: Policy\nname: p\n" RULE, "`policy` lacks `apiVersion`"},
    {"apiVersion: attestd/v1\nname: p\n" RULE, "`policy` lacks `kind`"},
    {"apiVersion: attestd/v1\nkind: Policy\n" RULE, "`policy` lacks `name`"},
    {"apiVersion: attestd/v1\nkind: Policy\nname: a b\n" RULE, "`name` must be letters"},
    {HEAD, "`policy` lacks `require`"},
    {HEAD "require: []\n", "`require` is an empty list"},
    {HEAD "require: {}\n", "must be a list"},
    {HEAD "require:\n- {}\n", "`rule` is empty"},
    {HEAD "require:\n- x\n", "must be a map"},
    {HEAD "select: {}\n" RULE, "`select` is empty"},
    {HEAD "select: {environments: []}\n" RULE, "`environments` is an empty list"},
    {HEAD "select: {subjects: []}\n" RULE, "`subjects` is an empty list"},
    {HEAD "select: {subjects: [\"\"]}\n" RULE, "`subjects` is empty"},
    {HEAD "select: {subjects: [\"a***\"]}\n" RULE, "\"***\""},
    {HEAD "select: {subject: [a]}\n" RULE, "has no key `subject`"},
    {HEAD "mode: Warn\n" RULE, "must be \"enforce\" or \"warn\""},
    {HEAD "require:\n- name: r\n  predicateType: t\n", "`rule` lacks `signers`"},
    {HEAD "require:\n- name: r\n  predicateType: t\n  signers: []\n", "`signers` is an empty list"},
    {HEAD "require:\n- name: r\n  signers: [a]\n", "`rule` lacks `predicateType`"},
    {HEAD "require:\n- predicateType: t\n  signers: [a]\n", "`rule` lacks `name`"},
    {HEAD RULE "- name: r\n  predicateType: t\n  signers: [a]\n", "rule `r` stands on line 5"},
    {HEAD RULE "  builders: [b]\n", "`builders` needs predicateType"},
    {HEAD RULE "  minimumLevel: 1\n", "`minimumLevel` needs predicateType"},
    {HEAD RULE "  source: {repository: x}\n", "`source` needs predicateType"},
    {HEAD PROV "  builders: []\n", "`builders` is an empty list"},
    {HEAD PROV "  source: {}\n", "`source` is empty"},
    {HEAD PROV "  source: {ref: x}\n", "`source` lacks `repository`"},
    {HEAD PROV "  source: {repository: x, assurance: attested}\n", "must be \"declared\""},
    {HEAD PROV "  minimumLevel: 0\n", "from 1 to 3"},
    {HEAD PROV "  minimumLevel: 4\n", "from 1 to 3"},
    {HEAD PROV "  minimumLevel: -1\n", "from 1 to 3"},
    {HEAD PROV "  minimumLevel: \"1\"\n", "from 1 to 3"},
    {HEAD PROV "  maxAge: 0d\n", "above zero"},
    {HEAD PROV "  maxAge: 30\n", "a time like"},
    {HEAD PROV "  maxAge: -1d\n", "a time like"},
    {HEAD PROV "  maxAge: 999999999999d\n", "a time like"},
    {HEAD PROV "  decisionKey: true\n", "`decisionKey` needs predicateType"},
    {HEAD PROV "  decisionKey: yes\n", "true or false"},
    {HEAD RULE "  where: {}\n", "`where` is empty"},
    {HEAD RULE "  where: {a: {b: c}}\n", "dotted path"},
    {HEAD RULE "  where: {a: [b]}\n", "compares one value"},
    {HEAD RULE "  where: {a..b: c}\n", "not a dotted path"},
    {HEAD RULE "  where: {.a: c}\n", "not a dotted path"},
    {HEAD RULE "  where: {a.: c}\n", "not a dotted path"},
    {HEAD RULE "  where: {a: null}\n", "quote it"},
    {HEAD RULE "  where: {a: yes}\n", "quote it"},
    {HEAD RULE "  where: {a: 1.5}\n", "quote it"},
    {HEAD RULE "  where: {a: 0x10}\n", "quote it"},
    {HEAD RULE "  where: {a: 007}\n", "quote it"},
    {HEAD RULE "  where: {a: .inf}\n", "quote it"},
    {HEAD RULE "  where: {a: 99999999999999999999}\n", "quote it"},
};

START_TEST(test_what_does_not_load_says_where_and_why) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct policy_set *set = NULL;
        char text[1024];
        CLEANUP(error_freep)
        struct error *err = load_one("p.yaml", bytes_of_cstr(refused[i].text), &set);
        ck_assert_msg(err != NULL, "loaded: %s", refused[i].text);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert_ptr_null(set);
        error_text(err, text, sizeof text);
        ck_assert_msg(strstr(text, "p.yaml:") == text, "no file: %s", text);
        ck_assert_msg(strstr(text, refused[i].says) != NULL, "%s\nsays: %s", refused[i].text, text);
    }
}
END_TEST

static const char *const accepted[] = {
    HEAD RULE,
    HEAD RULE "  where: {a.b.0: \"yes\", c: -5, d: true, e: PASSED, f: v1.2, g: \"1.5\"}\n",
    HEAD RULE "  where:\n    a: >\n      folded\n",
    HEAD RULE "mode: warn\n",
    HEAD "select: {environments: [\"prod-*\"]}\n" RULE,
    HEAD PROV "  source: {repository: \"git+https://g/**\"}\n  maxAge: 90m\n  minimumLevel: 3\n",
    HEAD
    "require:\n- name: r\n  predicateType: https://slsa.dev/verification_summary/v1\n"
    "  signers: [a]\n  decisionKey: true\n",
};

START_TEST(test_what_loads) {
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct policy_set *set = NULL;
        char text[1024] = "";
        struct error *err = load_one("p.yaml", bytes_of_cstr(accepted[i]), &set);
        if (err != NULL) error_text(err, text, sizeof text);
        ck_assert_msg(err == NULL, "%s\nsays: %s", accepted[i], text);
        policy_set_free(set);
    }
}
END_TEST

static const struct {
    const char *text;
    const char *says; /* NULL: loads */
} builders[] = {
    {BUILDERS "- {signers: [a], builders: [\"https://ci/b\"], level: 3}\n", NULL},
    {BUILDERS " []\n", "empty list"},
    {"apiVersion: attestd/v1\nkind: Policy\nlevels:\n- {signers: [a], builders: [b], level: 1}\n",
     "must be \"Builders\""},
    {BUILDERS "- {signers: [], builders: [b], level: 1}\n", "empty list"},
    {BUILDERS "- {builders: [b], level: 1}\n", "lacks `signers`"},
    {BUILDERS "- {signers: [a], level: 1}\n", "lacks `builders`"},
    {BUILDERS "- {signers: [a], builders: [b]}\n", "lacks `level`"},
    {BUILDERS "- {signers: [a], builders: [b], level: 4}\n", "from 1 to 3"},
    {BUILDERS "- {signers: [a], builders: [\"https://x/builder/submitted/v1\"], level: 2}\n",
     "never counts above level 1"},
};

START_TEST(test_builders) {
    for (size_t i = 0; i < sizeof builders / sizeof *builders; i++) {
        struct policy_set *set = NULL;
        char text[1024] = "";
        struct error *err = load_one("builders.yaml", bytes_of_cstr(builders[i].text), &set);
        if (err != NULL) error_text(err, text, sizeof text);
        ck_assert_msg((err == NULL) == (builders[i].says == NULL), "%s\nsays: %s", builders[i].text,
                      text);
        if (err != NULL) ck_assert_msg(strstr(text, builders[i].says) != NULL, "%s", text);
        error_free(err);
        policy_set_free(set);
    }
}
END_TEST

START_TEST(test_names_are_one_policy_each_and_cases_are_no_policy) {
    struct policy_file twice[] = {{TEXT_LIT("a.yaml"), BYTES_LIT(HEAD RULE)},
                                  {TEXT_LIT("b.yaml"), BYTES_LIT(HEAD RULE)}};
    struct policy_set *set = NULL;
    CLEANUP(error_freep) struct error *err = policy_set_load(twice, 2, &set);
    ck_assert_ptr_nonnull(err);
    ck_assert_ptr_nonnull(strstr(error_message(err), "stands in a.yaml already"));

    struct policy_file same[] = {{TEXT_LIT("a.yaml"), BYTES_LIT(HEAD RULE)},
                                 {TEXT_LIT("a.yaml"), BYTES_LIT(HEAD RULE)}};
    CLEANUP(error_freep) struct error *err2 = policy_set_load(same, 2, &set);
    ck_assert_ptr_nonnull(err2);

    CLEANUP(error_freep)
    struct error *err3 = load_one("a.test.yaml", BYTES_LIT(HEAD RULE), &set);
    ck_assert_ptr_nonnull(err3);
}
END_TEST

/* The octets hashed are laid out by hand here: u64be(len) name u64be(len) octets, by name. */
START_TEST(test_the_digest_covers_names_and_octets_in_order_of_name) {
    static const char q[] = "apiVersion: attestd/v1\nkind: Policy\nname: q\n" RULE;
    struct policy_file ab[] = {{TEXT_LIT("b.yaml"), BYTES_LIT(HEAD RULE)},
                               {TEXT_LIT("a.yaml"), bytes_of_cstr(q)}};
    struct policy_file ba[] = {ab[1], ab[0]};
    struct policy_set *s1 = NULL, *s2 = NULL;
    ck_assert_ptr_null(policy_set_load(ab, 2, &s1));
    ck_assert_ptr_null(policy_set_load(ba, 2, &s2));
    struct buf want;
    buf_init(&want, 1 << 16);
    for (size_t i = 0; i < 2; i++) {
        buf_put_u64be(&want, ba[i].name.len);
        buf_put_text(&want, ba[i].name);
        buf_put_u64be(&want, ba[i].octets.len);
        buf_put(&want, ba[i].octets);
    }
    struct sha256 digest = sha256_of(buf_bytes(&want));
    ck_assert(sha256_equal(policy_set_digest(s1), &digest));
    ck_assert(sha256_equal(policy_set_digest(s2), &digest));
    buf_done(&want);
    policy_set_free(s1);
    policy_set_free(s2);
}
END_TEST

/* --- hostile input */
START_TEST(test_deep_nesting_is_refused_quickly) {
    enum { LEN = 200 << 10 };
    static const char *const fills[] = {"[", "{a: ", "- ", "{"};
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        struct buf b;
        buf_init(&b, 256 << 10);
        while (b.len < LEN) buf_put_cstr(&b, fills[f]);
        struct policy_set *set = NULL;
        clock_t before = clock();
        CLEANUP(error_freep) struct error *err = load_one("p.yaml", buf_bytes(&b), &set);
        ck_assert_ptr_nonnull(err);
        ck_assert_msg(clock() - before < 5 * CLOCKS_PER_SEC, "took long: %s", fills[f]);
        buf_done(&b);
    }
}
END_TEST

START_TEST(test_bounds) {
    struct buf b;
    struct policy_set *set = NULL;
    buf_init(&b, 1 << 20);
    buf_put_cstr(&b, HEAD RULE "# ");
    while (b.len <= (256 << 10)) buf_put_u8(&b, 'x');
    CLEANUP(error_freep) struct error *large = load_one("p.yaml", buf_bytes(&b), &set);
    ck_assert_ptr_nonnull(large);
    ck_assert_ptr_nonnull(strstr(error_message(large), "larger than 262144 octets"));

    buf_clear(&b);
    buf_put_cstr(&b, HEAD "select: {environments: [");
    for (int i = 0; i < 4097; i++) buf_put_cstr(&b, "a,");
    buf_put_cstr(&b, "]}\n" RULE);
    CLEANUP(error_freep) struct error *items = load_one("p.yaml", buf_bytes(&b), &set);
    ck_assert_ptr_nonnull(items);
    ck_assert_ptr_nonnull(strstr(error_message(items), "more than 4096 items"));

    buf_clear(&b);
    buf_put_cstr(&b, HEAD RULE "  where: {");
    for (int i = 0; i < 257; i++) buf_printf(&b, "k%d: v,", i);
    buf_put_cstr(&b, "}\n");
    CLEANUP(error_freep) struct error *keys = load_one("p.yaml", buf_bytes(&b), &set);
    ck_assert_ptr_nonnull(keys);
    ck_assert_ptr_nonnull(strstr(error_message(keys), "more than 256 keys"));
    buf_done(&b);
}
END_TEST

/* YAML has no end mark, so a cut file may load; then it must still allow nothing for nothing. */
START_TEST(test_a_cut_policy_never_allows_without_evidence) {
    struct policy_question q = {.environment = TEXT_LIT("production"),
                                .subject_name = TEXT_LIT("registry.example/shop")};
    size_t loaded = 0;
    for (size_t n = 0; n < sizeof example - 1; n++) {
        CLEANUP(policy_set_freep) struct policy_set *set = NULL;
        struct policy_outcome out;
        struct arena arena;
        struct error *err = load_one("p.yaml", (struct bytes){(const uint8_t *)example, n}, &set);
        if (err != NULL) {
            error_free(err);
            continue;
        }
        loaded++;
        arena_init(&arena, 1 << 20);
        ck_assert_ptr_null(policy_decide(&arena, set, &q, NULL, 0, &out));
        ck_assert_int_eq(out.decision, POLICY_DENY);
        arena_done(&arena);
    }
    ck_assert_uint_gt(loaded, 0);
}
END_TEST

START_TEST(test_loading_survives_every_allocation_failure) {
    for (long n = 0;; n++) {
        struct policy_set *set = NULL;
        (void)alloc_fail_after(n);
        struct error *err = load_one("p.yaml", bytes_of_cstr(example), &set);
        (void)alloc_fail_after(-1);
        if (err == NULL) {
            policy_set_free(set);
            ck_assert_int_gt(n, 2);
            break;
        }
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        ck_assert_ptr_null(set);
        error_free(err);
    }
}
END_TEST

/* --- cases */
#define CASE                                                                                       \
    "cases:\n- name: c\n  now: 2026-01-02T00:00:00Z\n  environment: production\n"                  \
    "  subject: {name: registry.example/shop, digest: {sha256: \"aa\"}}\n"

START_TEST(test_cases_load) {
    static const char text[] = CASE
        "  evidence: [ { statement: file.json, signer: \"token:ci-1\", loggedAt: "
        "2026-01-01T00:00:00Z } ]\n"
        "  expect: ALLOW\n"
        "- name: d\n  now: 2026-01-02T00:00:00.5Z\n  environment: e\n"
        "  subject: {digest: {sha256: bb, sha512: cc}}\n  evidence: []\n  expect: DENY\n"
        "  deniedBy: [a, b]\n";
    struct policy_file file = {TEXT_LIT("p.test.yaml"), bytes_of_cstr(text)};
    struct arena arena;
    const struct policy_case *cases = NULL;
    size_t count = 0;
    arena_init(&arena, 1 << 20);
    ck_assert_ptr_null(policy_cases_load(&arena, &file, &cases, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert(text_equal(cases[0].name, TEXT_LIT("c")));
    ck_assert(text_equal(cases[0].question.subject_name, TEXT_LIT("registry.example/shop")));
    ck_assert(text_equal(cases[0].question.environment, TEXT_LIT("production")));
    ck_assert_int_eq(cases[0].question.now_ms, INT64_C(1767312000000));
    ck_assert_uint_eq(cases[0].evidence_count, 1);
    ck_assert(text_equal(cases[0].evidence[0].statement_file, TEXT_LIT("file.json")));
    ck_assert(text_equal(cases[0].evidence[0].signer, TEXT_LIT("token:ci-1")));
    ck_assert_int_eq(cases[0].evidence[0].logged_ms, INT64_C(1767225600000));
    ck_assert_int_eq(cases[0].expect, POLICY_ALLOW);
    ck_assert_uint_eq(cases[1].question.digest_count, 2);
    ck_assert_uint_eq(cases[1].question.subject_name.len, 0);
    ck_assert_int_eq(cases[1].question.now_ms % 1000, 500);
    ck_assert_int_eq(cases[1].expect, POLICY_DENY);
    ck_assert_uint_eq(cases[1].denied_by_count, 2);
    ck_assert_uint_eq(cases[1].line, 8);
    arena_done(&arena);
}
END_TEST

START_TEST(test_cases_that_do_not_load) {
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"cases: []\n", "empty list"},
        {CASE "  evidence: []\n", "lacks `expect`"},
        {CASE "  expect: allow\n", "must be \"DENY\" or \"ALLOW\""},
        {CASE "  expect: ALLOW\n  deniedBy: [a]\n", "needs `expect: DENY`"},
        {CASE "  expect: DENY\n  evidence: [{statement: ../x, signer: a, loggedAt: "
              "2026-01-01T00:00:00Z}]\n",
         "beside this one"},
        {CASE "  expect: DENY\n  evidence: [{statement: .x, signer: a, loggedAt: "
              "2026-01-01T00:00:00Z}]\n",
         "beside this one"},
        {CASE "  expect: DENY\n  evidence: [{statement: x, signer: a, loggedAt: yesterday}]\n",
         "must be a time"},
        {CASE "  expect: DENY\n  extra: 1\n", "no key `extra`"},
        {"cases:\n- name: c\n  now: 2026-01-02T00:00:00Z\n  environment: e\n  expect: DENY\n"
         "  subject: {digest: {sha256: AA}}\n",
         "lower-case hexadecimal"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct policy_file file = {TEXT_LIT("p.test.yaml"), bytes_of_cstr(bad[i].text)};
        struct arena arena;
        const struct policy_case *cases = NULL;
        size_t count = 0;
        arena_init(&arena, 1 << 20);
        CLEANUP(error_freep) struct error *err = policy_cases_load(&arena, &file, &cases, &count);
        ck_assert_msg(err != NULL, "loaded: %s", bad[i].text);
        ck_assert_msg(strstr(error_message(err), bad[i].says) != NULL, "%s", error_message(err));
        arena_done(&arena);
    }
}
END_TEST

START_TEST(test_a_case_is_judged_by_decision_and_by_who_denies) {
    struct policy_rule_result rules[] = {
        {.rule = TEXT_LIT("a"), .result = POLICY_FAIL},
        {.rule = TEXT_LIT("b"), .result = POLICY_PASS},
        {.rule = TEXT_LIT("w"), .result = POLICY_FAIL, .warn_only = true},
    };
    struct policy_outcome out = {.decision = POLICY_DENY, .rules = rules, .rule_count = 3};
    const struct text a[] = {TEXT_LIT("a")}, b[] = {TEXT_LIT("b")}, w[] = {TEXT_LIT("w")};
    struct policy_case c = {.expect = POLICY_DENY};
    char why[256];
    policy_case_judge(&c, &out, why, sizeof why);
    ck_assert_str_eq(why, "");
    c.expect = POLICY_ALLOW;
    policy_case_judge(&c, &out, why, sizeof why);
    ck_assert_str_eq(why, "expected ALLOW, got DENY");
    c = (struct policy_case){.expect = POLICY_DENY, .denied_by = a, .denied_by_count = 1};
    policy_case_judge(&c, &out, why, sizeof why);
    ck_assert_str_eq(why, "");
    c.denied_by = b;
    policy_case_judge(&c, &out, why, sizeof why);
    ck_assert_str_eq(why, "expected `b` to deny; it does not");
    c.denied_by = w;
    policy_case_judge(&c, &out, why, sizeof why);
    ck_assert_str_eq(why, "expected `w` to deny; it does not");
    rules[1].result = POLICY_ERROR;
    c.denied_by = a;
    policy_case_judge(&c, &out, why, sizeof why);
    ck_assert_ptr_nonnull(strstr(why, "`b` denies too"));
}
END_TEST

/* --- signers: ["*"] says anyone with the scope; nothing else lets "*" cross a "/" */
static bool allows(const char *signers, const char *signer) {
    static const struct intoto_digest digest = {TEXT_LIT("sha256"), TEXT_LIT("00")};
    struct intoto_resource subject = {.digests = &digest, .digest_count = 1};
    struct json_value predicate = {.type = JSON_NULL};
    struct intoto_statement statement = {.predicate_type = TEXT_LIT("https://example.com/t/v1"),
                                         .subjects = &subject,
                                         .subject_count = 1,
                                         .predicate = &predicate};
    struct policy_evidence e = {.statement = &statement, .signer = text_of_cstr(signer)};
    struct policy_question q = {.digests = &digest, .digest_count = 1};
    struct policy_outcome out;
    struct policy_set *set = NULL;
    struct arena arena;
    char text[512];
    (void)snprintf(text, sizeof text,
                   HEAD
                   "require:\n- {name: r, predicateType: https://example.com/t/v1, signers: %s}\n",
                   signers);
    arena_init(&arena, 1 << 20);
    ck_assert_ptr_null(load_one("p.yaml", bytes_of_cstr(text), &set));
    ck_assert_ptr_null(policy_decide(&arena, set, &q, &e, 1, &out));
    bool wanted = policy_wants_signer(set, &q, statement.predicate_type, e.signer);
    ck_assert_int_eq(wanted, out.decision == POLICY_ALLOW); /* what counts is looked for */
    policy_set_free(set);
    arena_done(&arena);
    return out.decision == POLICY_ALLOW;
}

START_TEST(test_a_star_alone_means_any_signer) {
    ck_assert(allows("[\"*\"]", "token:ci-1"));
    ck_assert(allows("[\"*\"]", "token:team/ci"));
    ck_assert(allows("[other, \"*\"]", "token:team/ci"));
    ck_assert(!allows("[\"*\"]", ""));
    ck_assert(!allows("[\"token:*\"]", "token:team/ci"));
    ck_assert(allows("[\"token:**\"]", "token:team/ci"));
}
END_TEST

/* --- lint */
START_TEST(test_lint_names_what_is_probably_not_meant) {
    static const char text[] = HEAD
        "mode: warn\nselect: {subjects: [\"**\"]}\nrequire:\n"
        "- {name: open, predicateType: https://slsa.dev/provenance/v1, signers: [\"*\"]}\n"
        "- {name: vsa, predicateType: https://slsa.dev/verification_summary/v1, signers: [a], "
        "maxAge: 1d}\n"
        "- {name: any, predicateType: https://slsa.dev/verification_summary/v1, signers: [a], "
        "maxAge: 1d, decisionKey: true}\n";
    static const char *const want[] = {
        "p.yaml:1: policy `p`: mode warn",
        "select.subjects",
        "no guidance",
        "p.yaml:7: rule `open`: signers",
        "rule `open`: no maxAge",
        "rule `open`: no builders",
        "rule `open`: no source",
        "rule `vsa`: never passes",
        "rule `any`: a summary for any environment counts",
    };
    CLEANUP(policy_set_freep) struct policy_set *set = NULL;
    const struct text *found = NULL;
    size_t count = 0;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    ck_assert_ptr_null(load_one("p.yaml", bytes_of_cstr(text), &set));
    ck_assert_ptr_null(policy_lint(&arena, set, &found, &count));
    ck_assert_uint_eq(count, sizeof want / sizeof *want);
    for (size_t i = 0; i < count; i++) {
        char line[512];
        (void)snprintf(line, sizeof line, BYTES_FMT, BYTES_ARG(found[i]));
        ck_assert_msg(strstr(line, want[i]) != NULL, "%s is not in: %s", want[i], line);
    }
    arena_done(&arena);
}
END_TEST

START_TEST(test_lint_is_silent_on_the_example) {
    CLEANUP(policy_set_freep) struct policy_set *set = NULL;
    const struct text *found = NULL;
    size_t count = 0;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    ck_assert_ptr_null(load_one("p.yaml", bytes_of_cstr(example), &set));
    ck_assert_ptr_null(policy_lint(&arena, set, &found, &count));
    ck_assert_uint_eq(count, 1); /* tests-passed has no maxAge */
    arena_done(&arena);
}
END_TEST

static Suite *policy_suite(void) {
    Suite *s = suite_create("policy");
    TCase *tc = tcase_create("load");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_globs);
    tcase_add_test(tc, test_globs_agree_with_a_naive_matcher);
    tcase_add_test(tc, test_globs_take_linear_time);
    tcase_add_test(tc, test_the_example_loads);
    tcase_add_test(tc, test_no_file_is_an_empty_set);
    tcase_add_test(tc, test_what_does_not_load_says_where_and_why);
    tcase_add_test(tc, test_what_loads);
    tcase_add_test(tc, test_builders);
    tcase_add_test(tc, test_names_are_one_policy_each_and_cases_are_no_policy);
    tcase_add_test(tc, test_the_digest_covers_names_and_octets_in_order_of_name);
    tcase_add_test(tc, test_deep_nesting_is_refused_quickly);
    tcase_add_test(tc, test_bounds);
    tcase_add_test(tc, test_a_cut_policy_never_allows_without_evidence);
    tcase_add_test(tc, test_loading_survives_every_allocation_failure);
    tcase_add_test(tc, test_cases_load);
    tcase_add_test(tc, test_cases_that_do_not_load);
    tcase_add_test(tc, test_a_case_is_judged_by_decision_and_by_who_denies);
    tcase_add_test(tc, test_a_star_alone_means_any_signer);
    tcase_add_test(tc, test_lint_names_what_is_probably_not_meant);
    tcase_add_test(tc, test_lint_is_silent_on_the_example);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(policy_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
