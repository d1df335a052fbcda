/* policy/internal: the YAML reader, the loaded form of a set, and the table of rule kinds. */
#ifndef POLICY_INTERNAL_H
#define POLICY_INTERNAL_H

#include "policy/policy.h"

/* --- YAML text -> tree. libyaml's events only: see doc.c for what is refused. */
#define DOC_OCTETS_MAX ((size_t)256 << 10)
#define DOC_DEPTH_MAX 64   /* nesting: libyaml is quadratic in it */
#define DOC_KEYS_MAX 256   /* of one mapping: finding repeats is quadratic */
#define DOC_ITEMS_MAX 4096 /* of one list */

enum doc_kind { DOC_UNSET = 0, DOC_SCALAR, DOC_LIST, DOC_MAP };

struct doc_node {
    enum doc_kind kind;
    unsigned line; /* from 1 */
    bool plain;    /* a scalar without quotes */
    struct text scalar;
    struct doc_node *first; /* items of a list; keys of a map */
    struct doc_node *last;
    struct doc_node *next;  /* sibling */
    struct doc_node *value; /* of a key */
    size_t count;
};

/* doc_read reads the one document of `file` into `arena`. Errors: INVALID_ARGUMENT with file and
 * line; RESOURCE_EXHAUSTED. */
MUST_USE struct error *doc_read(struct arena *arena, const struct policy_file *file,
                                const struct doc_node **out);

/* doc_error makes "<file>:<line>: ...", INVALID_ARGUMENT. */
#define doc_error(file, line, ...) doc_error_at(__FILE__, __LINE__, (file), (line), __VA_ARGS__)
MUST_USE struct error *doc_error_at(const char *src, int src_line, struct text file, unsigned line,
                                    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* --- tree -> structs, by tables */
enum field_type {
    FIELD_TEXT,     /* struct text, not empty */
    FIELD_GLOB,     /* struct text, a well-formed pattern */
    FIELD_TEXTS,    /* struct text_list, not empty */
    FIELD_GLOBS,    /* struct text_list, not empty, well-formed patterns */
    FIELD_COUNT,    /* uint64_t within min..max */
    FIELD_DURATION, /* int64_t milliseconds, above 0 */
    FIELD_TIME,     /* int64_t milliseconds since 1970 */
    FIELD_FLAG,     /* bool: true or false */
    FIELD_NAME,     /* int: index into `names` */
    FIELD_DIGESTS,  /* struct digest_list: algorithm: value */
    FIELD_WHERE,    /* struct where_list: dotted path: scalar */
    FIELD_OBJECT,   /* the struct of `schema`, in place */
    FIELD_OBJECTS,  /* struct object_list of `schema`'s structs */
};

struct field {
    const char *key;
    enum field_type type;
    bool required;
    bool may_be_empty; /* of FIELD_OBJECTS alone: an empty list loads */
    size_t offset;     /* in the struct of the schema */
    uint64_t min, max;
    const char *const *names; /* ends in NULL */
    const struct schema *schema;
};

/* Every decoded struct begins with this. */
struct decoded {
    unsigned line;
    uint32_t present; /* bit i: field i of the schema was given */
};

struct decoder {
    struct arena *arena; /* of what is decoded */
    struct text file;
};

struct schema {
    const char *what; /* for messages: "policy" */
    const struct field *fields;
    size_t field_count; /* at most 32 */
    size_t stride;      /* octets from one field to the next; 0: they stand side by side */
    size_t size;        /* of the struct */
    /* What the table cannot say; NULL: nothing. Runs when every field is there. */
    struct error *(*check)(const struct decoder *d, void *object);
};

struct text_list {
    const struct text *items;
    size_t count;
};
struct digest_list {
    const struct intoto_digest *items;
    size_t count;
};
struct object_list {
    const void *items;
    size_t count;
};

enum where_type { WHERE_TEXT, WHERE_INT, WHERE_FLAG };
struct where {
    struct text path;
    enum where_type type;
    struct text text;
    int64_t integer;
    bool flag;
};
struct where_list {
    const struct where *items;
    size_t count;
};

/* schema_decode fills `out`, a zeroed struct of `schema`, from `node`. It copies: nothing borrows
 * from the tree. Errors: INVALID_ARGUMENT with file and line; RESOURCE_EXHAUSTED. */
MUST_USE struct error *schema_decode(const struct decoder *d, const struct schema *schema,
                                     const struct doc_node *node, void *out);

static inline bool decoded_has(const struct decoded *d, unsigned field) {
    return (d->present >> field & 1) != 0;
}

/* --- the loaded form */
enum assurance { ASSURANCE_DECLARED = 0 };

struct source_rule {
    struct decoded decoded;
    struct text repository;
    struct text ref; /* empty: any */
    int assurance;
};

struct rule {
    struct decoded decoded;
    struct text name;
    struct text predicate_type;
    bool decision_key;
    struct text_list signers;
    struct text_list builders;
    struct source_rule source;
    uint64_t minimum_level;
    int64_t max_age_ms;
    struct where_list where;
    struct text expected; /* for a person; written at load */
};

struct selection {
    struct decoded decoded;
    struct text_list environments; /* count 0: every one */
    struct text_list subjects;
};

enum mode { MODE_ENFORCE = 0, MODE_WARN };

struct policy {
    struct decoded decoded;
    int api_version;
    int kind;
    struct text name;
    struct selection select;
    int mode;
    struct object_list require; /* struct rule */
    struct text guidance;
    struct text file;
};

struct level_row {
    struct decoded decoded;
    struct text_list signers;
    struct text_list builders;
    uint64_t level;
};

struct policy_set {
    struct arena arena;
    const struct policy *policies; /* in order of file name */
    size_t count;
    struct object_list levels; /* struct level_row */
    struct text levels_file;
    struct sha256 digest;
};

static inline const struct rule *policy_rules(const struct policy *p) { return p->require.items; }

extern const struct schema rule_schema; /* rules.c */

/* policy_name_check: names stand in metrics, logs and test files. */
MUST_USE struct error *policy_name_check(const struct decoder *d, unsigned line, struct text name);

/* glob_any answers whether one of `globs` matches `value`. */
bool glob_any(const struct text_list *globs, struct text value);
/* rule_takes_signer: does one of the rule's signers stand for `signer`? */
bool rule_takes_signer(const struct rule *r, struct text signer);

/* --- rules: see rules.c for the table */
enum check_result {
    CHECK_NO = 0, /* the evidence does not satisfy */
    CHECK_YES,
    CHECK_ERROR, /* cannot be told from this evidence */
};

struct check {
    const struct policy_set *set;
    const struct rule *rule;
    const struct policy_evidence *evidence; /* of the rule's predicate type */
    int64_t now_ms;
};

/* rule_check applies every field of the rule: NO if one says no, else ERROR if one cannot tell,
 * else YES. `out_steps` counts the fields that hold: more is nearer. */
enum check_result rule_check(const struct check *c, unsigned *out_steps);

/* rule_put_observed appends, for a person, what the evidence has where it does not hold, or
 * (`all`) everywhere. */
void rule_put_observed(struct buf *out, const struct check *c, bool all);

/* evidence_level is the SLSA build level of a piece of provenance by the (signer, builder) table;
 * 0 where it is none or names no builder. */
unsigned evidence_level(const struct policy_set *set, const struct policy_evidence *e);

/* builder_is_submitted: the builder ids under which attestd signs what a caller says. */
bool builder_is_submitted(struct text builder_id);

#define OBSERVED_OCTETS_MAX ((size_t)4096)

/* policy_put_quoted appends `value` in double quotes, cut at 120 octets, with control characters
 * and broken ends replaced: what comes out of a statement is the submitter's and meets terminals.
 */
void policy_put_quoted(struct buf *out, struct bytes value);
void policy_put_globs(struct buf *out, const struct text_list *globs); /* "a or b" */

/* --- where provenance says what it was built from (source.c) */
struct declared_source {
    struct text repository; /* empty: none is declared */
    struct text ref;
    bool ambiguous; /* several repositories, and nothing says which is the source */
};
/* Borrows from the predicate; `ref` may view the tail of a URI. */
struct declared_source source_of(const struct json_value *predicate);

/* source_repository_matches compares with "git+" in front of neither. */
bool source_repository_matches(struct text glob, struct text repository);

#endif
