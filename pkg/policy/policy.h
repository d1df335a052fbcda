/*
 * policy: (policies, evidence, question, now) -> decision. Pure: files come in as octets. Fail
 * closed: what does not load is an error at load; what cannot be evaluated is ERROR and denies;
 * no matching policy denies; an empty list never satisfies. Immutable after loading; thread-safe.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/arena.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "intoto/intoto.h"

struct policy_set;

/* policy_glob_match answers whether `pattern` matches all of `value`: "*" stands for any octets but
 * "/", "**" for any octets; every other octet stands for itself. An empty value is matched by
 * nothing, so that "not given" never satisfies. Linear in the value's length; a pattern that
 * policy_glob_check refuses matches nothing. */
bool policy_glob_match(struct bytes pattern, struct bytes value);

/* policy_glob_check says what is wrong with a pattern (empty, too long, "***"), or NULL. */
const char *policy_glob_check(struct bytes pattern);

struct policy_file {
    struct text name; /* base name, for messages: "production-images.yaml" */
    struct bytes octets;
};

/* policy_set_load reads the files of a directory (policies and builders.yaml; *.test.yaml are not
 * given here), in any order. Errors: INVALID_ARGUMENT with file, line and what to do;
 * RESOURCE_EXHAUSTED. The set's digest is SHA-256 over, in order of name, each file's
 * u64be(name length) ‖ name ‖ u64be(octets length) ‖ octets. No file at all loads: such a set
 * denies everything. */
MUST_USE struct error *policy_set_load(const struct policy_file *files, size_t count,
                                       struct policy_set **out);
const struct sha256 *policy_set_digest(const struct policy_set *set);
size_t policy_set_count(const struct policy_set *set);
void policy_set_free(struct policy_set *set);
DEFINE_CLEANUP(struct policy_set, policy_set_free);

/* One verified entry about the subject. All of it comes from signed octets or from the log. */
struct policy_evidence {
    uint64_t index;
    const struct intoto_statement *statement; /* NULL: it could not be read, and rules that nothing
                                                 else satisfies are ERROR */
    struct text signer; /* principal, as authenticated: from the signed payload */
    int64_t logged_ms;
    bool decision_key; /* signed by the decision key: one of the gate's own summaries */
};

struct policy_question {
    struct text subject_name; /* may be empty: matches no policy with select.subjects */
    const struct intoto_digest *digests;
    size_t digest_count;
    struct text environment;
    int64_t now_ms;
};

enum policy_result {
    POLICY_RESULT_UNSET = 0, /* numbers are the wire's */
    POLICY_PASS = 1,
    POLICY_FAIL = 2,
    POLICY_ERROR = 3,
    POLICY_EXEMPT = 4,
    POLICY_SKIP = 5,
};

struct policy_rule_result {
    struct text policy;
    struct text rule;
    enum policy_result result;
    struct text expected; /* for a person */
    struct text observed;
    const uint64_t *evidence; /* log indexes: PASS: the one it stands on; else what was looked at,
                                 newest first, at most POLICY_EVIDENCE_SHOWN_MAX */
    size_t evidence_count;
    struct text guidance;
    bool warn_only;
};

#define POLICY_EVIDENCE_SHOWN_MAX 16

enum policy_decision { POLICY_DENY = 0, POLICY_ALLOW };

struct policy_outcome {
    enum policy_decision decision;
    const struct policy_rule_result *rules;
    size_t rule_count;
    struct text guidance; /* of the first policy that denies; where none matches, why none does */
    unsigned level;       /* SLSA build level of the evidence that rules passed on; 0: none */
};

/* policy_decide evaluates all policies that match. The outcome borrows from `arena` and `set`.
 * Errors: RESOURCE_EXHAUSTED only: everything about the evidence is a rule result. */
MUST_USE struct error *policy_decide(struct arena *arena, const struct policy_set *set,
                                     const struct policy_question *question,
                                     const struct policy_evidence *evidence, size_t count,
                                     struct policy_outcome *out);

/* policy_predicate_types lists the predicate types that the policies matching `question` name, so
 * that only such evidence need be read. */
MUST_USE struct error *policy_predicate_types(struct arena *arena, const struct policy_set *set,
                                              const struct policy_question *question,
                                              const struct text **out, size_t *out_count);

/* policy_wants_signer answers whether a rule about `predicate_type` of a policy that matches
 * `question` takes what `signer` submitted: evidence of all others can satisfy nothing. */
bool policy_wants_signer(const struct policy_set *set, const struct policy_question *question,
                         struct text predicate_type, struct text signer);

/* --- cases (<name>.test.yaml) */
enum policy_case_key { POLICY_CASE_KEY_UNSAID, POLICY_CASE_KEY_OTHER, POLICY_CASE_KEY_DECISION };
struct policy_case_evidence {
    struct text statement_file;
    struct text signer;
    int64_t logged_ms;
    enum policy_case_key key; /* unsaid: the decision key's if it is a verification summary */
};
struct policy_case {
    struct text name;
    struct policy_question question; /* now included */
    const struct policy_case_evidence *evidence;
    size_t evidence_count;
    enum policy_decision expect;
    const struct text *denied_by; /* rules that must be the ones that fail; count 0: not asked */
    size_t denied_by_count;
    unsigned line;
};
/* policy_cases_load reads the cases of one file into `arena`. Errors: INVALID_ARGUMENT with file,
 * line and what to do; RESOURCE_EXHAUSTED. */
MUST_USE struct error *policy_cases_load(struct arena *arena, const struct policy_file *file,
                                         const struct policy_case **out, size_t *out_count);

/* policy_case_judge says in `why` (NUL-terminated, cut at `size`) how `outcome` differs from what
 * the case expects; "" if it does not. */
void policy_case_judge(const struct policy_case *c, const struct policy_outcome *outcome, char *why,
                       size_t size);

/* policy_lint lists what loads but is probably not meant: `signers: ["*"]`, no maxAge, a warn
 * mode. One view a finding, for a person: "<file>:<line>: ...". */
MUST_USE struct error *policy_lint(struct arena *arena, const struct policy_set *set,
                                   const struct text **out, size_t *out_count);

#endif
