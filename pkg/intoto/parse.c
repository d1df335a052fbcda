/* Reading signed octets back. Unknown members are ignored (in-toto: "Parsing rules"), members that
 * are known must have their type; null counts as unset (SLSA: "unset == null == empty"). */
#include "codec/codec.h"
#include "intoto/internal.h"

static struct error *refuse(const char *what, const char *why) {
    return error_new(ERROR_INVALID_ARGUMENT, "statement: %s: %s", what, why);
}

static const struct json_value *get(const struct json_value *object, const char *name) {
    const struct json_value *v = json_get(object, name);
    return v != NULL && v->type == JSON_NULL ? NULL : v;
}

static struct error *read_text(const struct json_value *object, const char *name,
                               struct text *out) {
    const struct json_value *v = get(object, name);
    if (v == NULL) return NULL;
    if (v->type != JSON_STRING || !text_of_bytes(v->string, out))
        return refuse(name, "not a string without NUL");
    return NULL;
}

static struct error *read_digests(struct arena *arena, const struct json_value *json,
                                  struct intoto_resource *out) {
    const struct json_value *set = get(json, "digest");
    if (set == NULL) return NULL;
    if (set->type != JSON_OBJECT) return refuse("digest", "not an object");
    if (set->object.count > INTOTO_DIGESTS_MAX) return refuse("digest", "more than 32 algorithms");
    struct intoto_digest *digests = arena_alloc(arena, set->object.count * sizeof *digests);
    if (digests == NULL) return error_nomem();
    for (size_t i = 0; i < set->object.count; i++) {
        const struct json_member *m = &set->object.members[i];
        if (m->value.type != JSON_STRING || !text_of_bytes(m->name, &digests[i].algorithm) ||
            !text_of_bytes(m->value.string, &digests[i].value))
            return refuse("digest", "not of strings without NUL");
    }
    out->digests = digests;
    out->digest_count = set->object.count;
    return NULL;
}

static struct error *read_content(struct arena *arena, const struct json_value *json,
                                  struct intoto_resource *out) {
    const struct json_value *v = get(json, "content");
    if (v == NULL) return NULL;
    if (v->type != JSON_STRING) return refuse("content", "not a string");
    out->has_content = true;
    return base64_decode(arena, v->string, BASE64_ANY, &out->content);
}

struct error *intoto_resource_from_json(struct arena *arena, const struct json_value *json,
                                        struct intoto_resource *out) {
    struct intoto_resource r = {0};
    if (json->type != JSON_OBJECT) return refuse("descriptor", "not an object");
    TRY(read_text(json, "name", &r.name));
    TRY(read_text(json, "uri", &r.uri));
    TRY(read_text(json, "downloadLocation", &r.download_location));
    TRY(read_text(json, "mediaType", &r.media_type));
    TRY(read_digests(arena, json, &r));
    TRY(read_content(arena, json, &r));
    r.annotations = get(json, "annotations");
    if (r.annotations != NULL && r.annotations->type != JSON_OBJECT)
        return refuse("annotations", "not an object");
    *out = r;
    return NULL;
}

/* SPEC in-toto statement.md: "Each entry MUST have digest set." */
static struct error *read_subjects(struct arena *arena, const struct json_value *root,
                                   struct intoto_statement *out) {
    const struct json_value *list = get(root, "subject");
    if (list == NULL || list->type != JSON_ARRAY || list->array.count == 0)
        return refuse("subject", "missing, empty or not an array");
    if (list->array.count > INTOTO_SUBJECTS_MAX) return refuse("subject", "more than 1,024");
    struct intoto_resource *subjects = arena_alloc(arena, list->array.count * sizeof *subjects);
    if (subjects == NULL) return error_nomem();
    for (size_t i = 0; i < list->array.count; i++) {
        TRY(intoto_resource_from_json(arena, &list->array.items[i], &subjects[i]));
        if (subjects[i].digest_count == 0) return refuse("subject", "one has no digest");
    }
    out->subjects = subjects;
    out->subject_count = list->array.count;
    return NULL;
}

static struct error *read_submitter(struct intoto_statement *out) {
    const struct json_value *v = get(out->subjects[0].annotations, "attestd_submitter");
    if (v == NULL) return NULL;
    if (v->type != JSON_OBJECT) return refuse("attestd_submitter", "not an object");
    TRY(read_text(v, "principal", &out->submitter_principal));
    return read_text(v, "method", &out->submitter_method);
}

static struct error *read_builder(struct intoto_statement *out) {
    if (!text_equal(out->predicate_type, TEXT_LIT(INTOTO_PROVENANCE_V1))) return NULL;
    const struct json_value *builder = get(get(out->predicate, "runDetails"), "builder");
    return builder == NULL ? NULL : read_text(builder, "id", &out->builder_id);
}

static const struct json_value empty = {.type = JSON_OBJECT};

static struct error *read_statement(struct arena *arena, const struct json_value *root,
                                    struct intoto_statement *out) {
    struct text type = {0};
    if (root->type != JSON_OBJECT) return refuse("the whole", "not an object");
    TRY(read_text(root, "_type", &type));
    if (!text_equal(type, TEXT_LIT(INTOTO_STATEMENT_V1)))
        return refuse("_type", "not " INTOTO_STATEMENT_V1);
    TRY(read_text(root, "predicateType", &out->predicate_type));
    if (out->predicate_type.len == 0) return refuse("predicateType", "missing");
    out->predicate = get(root, "predicate");
    if (out->predicate == NULL)
        out->predicate = &empty; /* SPEC in-toto statement.md: "Unset is treated
                                  * the same as set-but-empty." */
    if (out->predicate->type != JSON_OBJECT) return refuse("predicate", "not an object");
    TRY(read_subjects(arena, root, out));
    TRY(read_submitter(out));
    return read_builder(out);
}

struct error *intoto_statement_parse(struct arena *arena, struct bytes payload,
                                     const struct json_limits *limits,
                                     struct intoto_statement *out) {
    struct json_value *root = arena_alloc(arena, sizeof *root);
    struct intoto_statement st = {0};
    if (root == NULL) return error_nomem();
    TRY(json_parse(arena, payload, limits, root));
    TRY(read_statement(arena, root, &st));
    *out = st;
    return NULL;
}

/* --- the head alone */

static struct error *copy_text(struct arena *arena, struct text *t) {
    struct bytes copy = arena_copy(arena, bytes_of_text(*t));
    *t = (struct text){(const char *)copy.data, copy.len};
    return copy.data == NULL ? error_nomem() : NULL;
}

static struct error *copy_digests(struct arena *arena, struct intoto_resource *r) {
    struct intoto_digest *digests = arena_alloc(arena, r->digest_count * sizeof *digests);
    if (digests == NULL) return error_nomem();
    for (size_t i = 0; i < r->digest_count; i++) {
        digests[i] = r->digests[i];
        TRY(copy_text(arena, &digests[i].algorithm));
        TRY(copy_text(arena, &digests[i].value));
    }
    r->digests = digests;
    return NULL;
}

static struct error *copy_annotations(struct arena *arena, struct intoto_resource *r) {
    if (r->annotations == NULL) return NULL;
    struct json_value *copy = arena_alloc(arena, sizeof *copy);
    if (copy == NULL) return error_nomem();
    TRY(json_copy(arena, r->annotations, copy));
    r->annotations = copy;
    return NULL;
}

static struct error *copy_resource(struct arena *arena, struct intoto_resource *r) {
    struct text *texts[] = {&r->name, &r->uri, &r->download_location, &r->media_type};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) TRY(copy_text(arena, texts[i]));
    TRY(copy_digests(arena, r));
    TRY(copy_annotations(arena, r));
    if (r->has_content) r->content = arena_copy(arena, r->content);
    return r->has_content && r->content.data == NULL ? error_nomem() : NULL;
}

static struct error *copy_head(struct arena *arena, struct intoto_statement *st) {
    struct text *texts[] = {&st->predicate_type, &st->builder_id, &st->submitter_principal,
                            &st->submitter_method};
    struct intoto_resource *subjects = arena_alloc(arena, st->subject_count * sizeof *subjects);
    if (subjects == NULL) return error_nomem();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) TRY(copy_text(arena, texts[i]));
    for (size_t i = 0; i < st->subject_count; i++) {
        subjects[i] = st->subjects[i];
        TRY(copy_resource(arena, &subjects[i]));
    }
    st->subjects = subjects;
    st->predicate = &empty;
    return NULL;
}

/* A tree takes up to 13 times its text: an array of one-digit numbers. */
#define TREE_OCTETS_PER_OCTET 16

struct error *intoto_statement_head(struct arena *arena, struct bytes payload,
                                    const struct json_limits *limits,
                                    struct intoto_statement *out) {
    CLEANUP(arena_done) struct arena whole;
    arena_init(&whole, ((size_t)64 << 10) + payload.len * TREE_OCTETS_PER_OCTET);
    struct intoto_statement st;
    TRY(intoto_statement_parse(&whole, payload, limits, &st));
    TRY(copy_head(arena, &st));
    *out = st;
    return NULL;
}
