/* Files -> set: the tables of `kind: Policy` and `kind: Builders`, and the set's digest. */
#include <stddef.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "codec/codec.h"
#include "policy/internal.h"

#define SET_OCTETS_MAX ((size_t)256 << 20)  /* of memory: 1,000 files at their largest fit */
#define TREE_OCTETS_MAX ((size_t)128 << 20) /* one file's tree: "[[[[" is 96 octets an octet */
#define FILES_MAX ((size_t)1000)
#define NAME_OCTETS_MAX ((size_t)63)
#define BUILDERS_FILE "builders.yaml"

static const char *const api_versions[] = {"attestd/v1", NULL};
static const char *const policy_kinds[] = {"Policy", NULL};
static const char *const builders_kinds[] = {"Builders", NULL};
static const char *const modes[] = {"enforce", "warn", NULL}; /* order of enum mode */

struct builders {
    struct decoded decoded;
    int api_version;
    int kind;
    struct object_list levels;
};

struct error *policy_name_check(const struct decoder *d, unsigned line, struct text name) {
    bool sound = name.len <= NAME_OCTETS_MAX;
    for (size_t i = 0; i < name.len && sound; i++) {
        char c = name.data[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        sound = word || (i > 0 && (c == '-' || c == '_' || c == '.'));
    }
    if (sound) return NULL;
    return doc_error(d->file, line,
                     "`name` must be letters, digits, \"-\", \"_\" and \".\", at most %zu",
                     NAME_OCTETS_MAX);
}

static struct error *check_policy(const struct decoder *d, void *object) {
    struct policy *p = object;
    const struct rule *rules = policy_rules(p);
    TRY(policy_name_check(d, p->decoded.line, p->name));
    for (size_t i = 0; i < p->require.count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (text_equal(rules[i].name, rules[j].name))
                return doc_error(d->file, rules[i].decoded.line,
                                 "rule `" BYTES_FMT "` stands on line %u already",
                                 BYTES_ARG(rules[i].name), rules[j].decoded.line);
        }
    }
    return NULL;
}

/* A row that could only ever mean submitted builders, above level 1, is a mistake. */
static struct error *check_level_row(const struct decoder *d, void *object) {
    const struct level_row *row = object;
    for (size_t i = 0; i < row->builders.count && row->level > 1; i++) {
        if (builder_is_submitted(row->builders.items[i]))
            return doc_error(d->file, row->decoded.line,
                             "submitted provenance never counts above level 1");
    }
    return NULL;
}

static const struct field selection_fields[] = {
    {.key = "environments",
     .type = FIELD_GLOBS,
     .offset = offsetof(struct selection, environments)},
    {.key = "subjects", .type = FIELD_GLOBS, .offset = offsetof(struct selection, subjects)},
};
static const struct schema selection_schema = {.what = "select",
                                               .fields = selection_fields,
                                               .field_count = 2,
                                               .size = sizeof(struct selection)};

#define AT(member) .offset = offsetof(struct policy, member)
static const struct field policy_fields[] = {
    {.key = "apiVersion",
     .type = FIELD_NAME,
     .names = api_versions,
     .required = true,
     AT(api_version)},
    {.key = "kind", .type = FIELD_NAME, .names = policy_kinds, .required = true, AT(kind)},
    {.key = "name", .type = FIELD_TEXT, .required = true, AT(name)},
    {.key = "select", .type = FIELD_OBJECT, .schema = &selection_schema, AT(select)},
    {.key = "mode", .type = FIELD_NAME, .names = modes, AT(mode)},
    {.key = "require",
     .type = FIELD_OBJECTS,
     .schema = &rule_schema,
     .required = true,
     AT(require)},
    {.key = "guidance", .type = FIELD_TEXT, AT(guidance)},
};
#undef AT
static const struct schema policy_schema = {.what = "policy",
                                            .fields = policy_fields,
                                            .field_count = 7,
                                            .size = sizeof(struct policy),
                                            .check = check_policy};

#define AT(member) .offset = offsetof(struct level_row, member)
static const struct field level_fields[] = {
    {.key = "signers", .type = FIELD_GLOBS, .required = true, AT(signers)},
    {.key = "builders", .type = FIELD_GLOBS, .required = true, AT(builders)},
    {.key = "level", .type = FIELD_COUNT, .min = 1, .max = 3, .required = true, AT(level)},
};
#undef AT
static const struct schema level_schema = {.what = "level",
                                           .fields = level_fields,
                                           .field_count = 3,
                                           .size = sizeof(struct level_row),
                                           .check = check_level_row};

#define AT(member) .offset = offsetof(struct builders, member)
static const struct field builders_fields[] = {
    {.key = "apiVersion",
     .type = FIELD_NAME,
     .names = api_versions,
     .required = true,
     AT(api_version)},
    {.key = "kind", .type = FIELD_NAME, .names = builders_kinds, .required = true, AT(kind)},
    {.key = "levels", .type = FIELD_OBJECTS, .schema = &level_schema, .required = true, AT(levels)},
};
#undef AT
static const struct schema builders_schema = {.what = BUILDERS_FILE,
                                              .fields = builders_fields,
                                              .field_count = 3,
                                              .size = sizeof(struct builders)};

/* --- loading */
static bool is_builders(const struct policy_file *f) {
    return text_equal(f->name, TEXT_LIT(BUILDERS_FILE));
}

static bool is_test(struct text name) {
    const struct text end = TEXT_LIT(".test.yaml");
    return name.len >= end.len && memcmp(name.data + name.len - end.len, end.data, end.len) == 0;
}

static void tree_donep(struct arena **tree) { arena_done(*tree); }

static struct error *decode_file(const struct decoder *d, const struct schema *schema,
                                 const struct policy_file *file, void *out) {
    CLEANUP(tree_donep) struct arena *tree = &(struct arena){0};
    const struct doc_node *root = NULL;
    arena_init(tree, TREE_OCTETS_MAX);
    TRY(doc_read(tree, file, &root));
    return schema_decode(d, schema, root, out);
}

static struct error *load_file(struct policy_set *set, struct policy *policies,
                               const struct policy_file *file) {
    struct decoder d = {.arena = &set->arena};
    struct bytes name = arena_copy(&set->arena, bytes_of_text(file->name));
    if (name.data == NULL) return error_nomem();
    d.file = (struct text){(const char *)name.data, name.len};
    if (is_test(file->name))
        return error_new(ERROR_INVALID_ARGUMENT, BYTES_FMT ": cases are not policies",
                         BYTES_ARG(file->name));
    if (is_builders(file)) {
        struct builders builders = {0};
        TRY(decode_file(&d, &builders_schema, file, &builders));
        set->levels = builders.levels;
        set->levels_file = d.file;
        return NULL;
    }
    struct policy *p = &policies[set->count];
    TRY(decode_file(&d, &policy_schema, file, p));
    p->file = d.file;
    for (size_t i = 0; i < set->count; i++) {
        if (text_equal(policies[i].name, p->name))
            return doc_error(d.file, p->decoded.line,
                             "policy `" BYTES_FMT "` stands in " BYTES_FMT " already",
                             BYTES_ARG(p->name), BYTES_ARG(policies[i].file));
    }
    set->count++;
    return NULL;
}

static void digest_part(struct sha256_ctx *ctx, struct bytes part) {
    uint8_t len[8];
    for (unsigned i = 0; i < 8; i++) len[i] = (uint8_t)((uint64_t)part.len >> (56 - 8 * i));
    sha256_update(ctx, (struct bytes){len, sizeof len});
    sha256_update(ctx, part);
}

static struct sha256 digest_of(const struct policy_file *const *files, size_t count) {
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    for (size_t i = 0; i < count; i++) {
        digest_part(&ctx, bytes_of_text(files[i]->name));
        digest_part(&ctx, files[i]->octets);
    }
    return sha256_final(&ctx);
}

static int by_name(const void *a, const void *b) {
    const struct policy_file *const *fa = a, *const *fb = b;
    return bytes_compare(bytes_of_text((*fa)->name), bytes_of_text((*fb)->name));
}

/* Fills `sorted` with pointers to the files in order of name. */
static struct error *sort_files(const struct policy_file *files, size_t count,
                                const struct policy_file **sorted) {
    for (size_t i = 0; i < count; i++) sorted[i] = &files[i];
    qsort(sorted, count, sizeof(void *), by_name);
    for (size_t i = 1; i < count; i++) {
        if (text_equal(sorted[i]->name, sorted[i - 1]->name))
            return error_new(ERROR_INVALID_ARGUMENT, "policies: " BYTES_FMT " is given twice",
                             BYTES_ARG(sorted[i]->name));
    }
    return NULL;
}

struct error *policy_set_load(const struct policy_file *files, size_t count,
                              struct policy_set **out) {
    CLEANUP(policy_set_freep) struct policy_set *set = alloc_zero(1, sizeof *set);
    if (set == NULL) return error_nomem();
    if (count > FILES_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "policies: more than %zu files", FILES_MAX);
    arena_init(&set->arena, SET_OCTETS_MAX);
    const struct policy_file **sorted = arena_alloc(&set->arena, (count + 1) * sizeof(void *));
    struct policy *policies = arena_alloc(&set->arena, (count + 1) * sizeof *policies);
    if (sorted == NULL || policies == NULL) return error_nomem();
    set->policies = policies;
    TRY(sort_files(files, count, sorted));
    for (size_t i = 0; i < count; i++) TRY(load_file(set, policies, sorted[i]));
    set->digest = digest_of(sorted, count);
    *out = MOVE(set);
    return NULL;
}

const struct sha256 *policy_set_digest(const struct policy_set *set) { return &set->digest; }
size_t policy_set_count(const struct policy_set *set) { return set->count; }

void policy_set_free(struct policy_set *set) {
    if (set == NULL) return;
    arena_done(&set->arena);
    alloc_free(set);
}
