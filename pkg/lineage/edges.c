/*
 * From a statement to nodes and edges. What each predicate type asserts is one table; the first
 * prefix that fits counts:
 *
 *   provenance/v1            materials: predicate.buildDefinition.resolvedDependencies[]
 *   model signature          materials: predicate.resources[]
 *   verification results     none
 *   anything else            described-by the attestation itself
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/codec.h"
#include "crypto/hash.h"
#include "lineage/lineage.h"

#define NODE_MAX (INTOTO_ALGORITHM_MAX + 1 + INTOTO_DIGEST_VALUE_MAX)

const char *lineage_kind_name(enum lineage_kind kind) {
    switch (kind) {
        case LINEAGE_KIND_UNSET:
            break;
#define KIND_NAME(e, name, octet)                                                                  \
    case LINEAGE_##e:                                                                              \
        return name;
            LINEAGE_KIND_TABLE(KIND_NAME)
#undef KIND_NAME
    }
    return "";
}

const char *lineage_node_kind_name(enum lineage_node_kind kind) {
    switch (kind) {
        case LINEAGE_NODE_UNSET:
            break;
#define NODE_KIND_NAME(e, name)                                                                    \
    case LINEAGE_NODE_##e:                                                                         \
        return name;
            LINEAGE_NODE_TABLE(NODE_KIND_NAME)
#undef NODE_KIND_NAME
    }
    return "";
}

enum lineage_kind lineage_kind_from_name(struct bytes name) {
#define KIND_FROM(e, text, octet)                                                                  \
    if (bytes_equal(name, BYTES_LIT(text))) return LINEAGE_##e;
    LINEAGE_KIND_TABLE(KIND_FROM)
#undef KIND_FROM
    return LINEAGE_KIND_UNSET;
}

const char *lineage_assurance_name(enum lineage_assurance a) {
    switch (a) {
        case LINEAGE_ASSURANCE_UNSET:
            break;
        case LINEAGE_DECLARED:
            return "declared";
        case LINEAGE_ATTESTED:
            return "attested";
        case LINEAGE_INFERRED:
            return "inferred";
    }
    return "";
}

bool lineage_node_check(struct text node) {
    const char *colon = node.len == 0 ? NULL : memchr(node.data, ':', node.len);
    if (colon == NULL) return false;
    size_t algorithm = (size_t)(colon - node.data);
    const struct intoto_digest d = {.algorithm = {node.data, algorithm},
                                    .value = {colon + 1, node.len - algorithm - 1}};
    return intoto_digest_fault(&d) == NULL;
}

/* --- what a statement is about, and what it came from */

struct material {
    struct text node;
    struct text name;
    enum lineage_kind kind;
    size_t order; /* in the statement */
};

struct reading {
    struct arena *arena;
    const struct intoto_statement *st;
    struct bytes payload;
    struct text *subjects;
    size_t subject_count;
    struct material *materials;
    size_t material_count;
    size_t material_cap;
};

static struct error *make_node(struct arena *arena, struct text algorithm, struct text value,
                               struct text *out) {
    struct buf b;
    buf_init_arena(&b, arena, NODE_MAX);
    if (buf_reserve(&b, algorithm.len + 1 + value.len) == NULL) return buf_finish(&b, "node");
    buf_put_text(&b, algorithm);
    buf_put_u8(&b, ':');
    buf_put_text(&b, value);
    *out = (struct text){(const char *)b.data, b.len};
    return NULL;
}

static int by_text(const void *a, const void *b) {
    const struct text *ta = a, *tb = b;
    return bytes_compare(bytes_of_text(*ta), bytes_of_text(*tb));
}

static size_t unique_texts(struct text *list, size_t count) {
    size_t kept = 0;
    if (count > 1) qsort(list, count, sizeof *list, by_text);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !text_equal(list[kept - 1], list[i])) list[kept++] = list[i];
    return kept;
}

static struct error *read_subjects(struct reading *r) {
    size_t count = 0;
    for (size_t i = 0; i < r->st->subject_count; i++) count += r->st->subjects[i].digest_count;
    r->subjects = arena_alloc(r->arena, (count + 1) * sizeof *r->subjects);
    if (r->subjects == NULL) return error_nomem();
    for (size_t i = 0; i < r->st->subject_count; i++) {
        const struct intoto_resource *s = &r->st->subjects[i];
        for (size_t j = 0; j < s->digest_count; j++)
            TRY(make_node(r->arena, s->digests[j].algorithm, s->digests[j].value,
                          &r->subjects[r->subject_count++]));
    }
    r->subject_count = unique_texts(r->subjects, r->subject_count);
    return NULL;
}

static struct error *add_material(struct reading *r, struct text node, struct text name,
                                  enum lineage_kind kind) {
    if (r->material_count == r->material_cap) {
        size_t cap = r->material_cap == 0 ? 16 : 2 * r->material_cap;
        struct material *grown = arena_alloc(r->arena, cap * sizeof *grown);
        if (grown == NULL) return error_nomem();
        if (r->material_count > 0) memcpy(grown, r->materials, r->material_count * sizeof *grown);
        r->materials = grown;
        r->material_cap = cap;
    }
    r->materials[r->material_count] =
        (struct material){.node = node, .name = name, .kind = kind, .order = r->material_count};
    r->material_count++;
    return NULL;
}

static struct error *refuse(const char *what, size_t index, const char *why) {
    char field[64];
    (void)snprintf(field, sizeof field, "%s[%zu]", what, index);
    return error_field_new(field, "%s: %s", field, why);
}

/* --- provenance */

static const struct {
    const char *role;
    enum lineage_kind kind;
} roles[] = {
    {"base-model", LINEAGE_DERIVED_AS},
    {"dataset", LINEAGE_TRAINED_ON},
};

static enum lineage_kind kind_of(const struct intoto_resource *r) {
    struct bytes role = json_string(json_get(r->annotations, "role"));
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (bytes_equal(role, bytes_of_cstr(roles[i].role))) return roles[i].kind;
    return LINEAGE_BUILT_FROM;
}

static struct error *add_dependency(struct reading *r, const struct json_value *json, size_t i) {
    struct intoto_resource d;
    TRY(intoto_resource_from_json(r->arena, json, &d));
    for (size_t j = 0; j < d.digest_count; j++) {
        struct text node;
        const char *fault = intoto_digest_fault(&d.digests[j]);
        if (fault != NULL) return refuse("resolvedDependencies", i, fault);
        TRY(make_node(r->arena, d.digests[j].algorithm, d.digests[j].value, &node));
        TRY(add_material(r, node, d.name.len > 0 ? d.name : d.uri, kind_of(&d)));
    }
    return NULL;
}

static struct error *read_provenance(struct reading *r) {
    const struct json_value *list =
        json_at(r->st->predicate, BYTES_LIT("buildDefinition.resolvedDependencies"));
    if (list == NULL || list->type == JSON_NULL) return NULL;
    if (list->type != JSON_ARRAY)
        return error_field_new("resolvedDependencies", "resolvedDependencies: not an array");
    for (size_t i = 0; i < list->array.count; i++) TRY(add_dependency(r, &list->array.items[i], i));
    return NULL;
}

/* --- model signatures: {"resources":[{"name","algorithm","digest"}]} */

static struct error *add_file(struct reading *r, const struct json_value *json, size_t i) {
    struct intoto_digest d = {{0}, {0}};
    struct text name = {0}, node;
    if (!text_of_bytes(json_string(json_get(json, "name")), &name) ||
        !text_of_bytes(json_string(json_get(json, "algorithm")), &d.algorithm) ||
        !text_of_bytes(json_string(json_get(json, "digest")), &d.value))
        return refuse("resources", i, "name, algorithm or digest holds NUL");
    const char *fault = intoto_digest_fault(&d);
    if (fault != NULL) return refuse("resources", i, fault);
    TRY(make_node(r->arena, d.algorithm, d.value, &node));
    return add_material(r, node, name, LINEAGE_CONTAINS);
}

static struct error *read_model(struct reading *r) {
    const struct json_value *list = json_get(r->st->predicate, "resources");
    if (list == NULL || list->type != JSON_ARRAY)
        return error_field_new("resources", "resources: missing or not an array");
    for (size_t i = 0; i < list->array.count; i++) TRY(add_file(r, &list->array.items[i], i));
    return NULL;
}

/* --- everything else */

static struct error *read_nothing(struct reading *r) {
    (void)r;
    return NULL;
}

static struct error *read_description(struct reading *r) {
    struct sha256 digest = sha256_of(r->payload);
    struct text node;
    struct buf hex;
    buf_init_arena(&hex, r->arena, 2 * sizeof digest.octets);
    hex_put(&hex, sha256_bytes(&digest));
    TRY(buf_finish(&hex, "digest"));
    const struct text value = {(const char *)hex.data, hex.len};
    TRY(make_node(r->arena, TEXT_LIT("sha256"), value, &node));
    return add_material(r, node, r->st->predicate_type, LINEAGE_DESCRIBED_BY);
}

static const struct {
    const char *prefix;
    bool whole; /* the type is the prefix and nothing more */
    struct error *(*read)(struct reading *r);
} types[] = {
    {INTOTO_PROVENANCE_V1, true, read_provenance},
    {INTOTO_MODEL_SIGNATURE_V1, true, read_model},
    {"https://slsa.dev/verification_summary/", false, read_nothing},
    {"https://in-toto.io/attestation/svr/", false, read_nothing},
    {"", false, read_description},
};

static struct error *read_materials(struct reading *r) {
    struct bytes type = bytes_of_text(r->st->predicate_type);
    size_t i = 0;
    for (;; i++) {
        struct bytes prefix = bytes_of_cstr(types[i].prefix);
        if (bytes_start_with(type, prefix) && (!types[i].whole || type.len == prefix.len)) break;
    }
    return types[i].read(r);
}

static int by_node(const void *a, const void *b) {
    const struct material *ma = a, *mb = b;
    int c = bytes_compare(bytes_of_text(ma->node), bytes_of_text(mb->node));
    if (c != 0) return c;
    if (ma->kind != mb->kind) return ma->kind < mb->kind ? -1 : 1;
    return ma->order < mb->order ? -1 : 1;
}

static void unique_materials(struct reading *r) {
    size_t kept = 0;
    struct material *list = r->materials;
    if (r->material_count > 1) qsort(list, r->material_count, sizeof *list, by_node);
    for (size_t i = 0; i < r->material_count; i++)
        if (kept == 0 || list[kept - 1].kind != list[i].kind ||
            !text_equal(list[kept - 1].node, list[i].node))
            list[kept++] = list[i];
    r->material_count = kept;
}

static struct error *join(const struct reading *r, const struct lineage_edge **out,
                          size_t *out_count) {
    if (r->material_count > 0 && r->subject_count > LINEAGE_EDGES_MAX / r->material_count)
        return error_reason_new(REASON_MESSAGE_TOO_LARGE,
                                "%zu subject digests times %zu materials are more than %d edges; "
                                "attest to fewer at a time",
                                r->subject_count, r->material_count, LINEAGE_EDGES_MAX);
    size_t count = 0;
    struct lineage_edge *edges =
        arena_alloc(r->arena, (r->subject_count * r->material_count + 1) * sizeof *edges);
    if (edges == NULL) return error_nomem();
    for (size_t i = 0; i < r->subject_count; i++) {
        for (size_t j = 0; j < r->material_count; j++) {
            const struct material *m = &r->materials[j];
            edges[count++] = (struct lineage_edge){.from = r->subjects[i],
                                                   .to = m->node,
                                                   .to_name = m->name,
                                                   .kind = m->kind,
                                                   .assurance = LINEAGE_DECLARED};
        }
    }
    *out = edges;
    *out_count = count;
    return NULL;
}

struct error *lineage_edges(struct arena *arena, const struct intoto_statement *st,
                            struct bytes payload, const struct lineage_edge **out,
                            size_t *out_count) {
    struct reading r = {.arena = arena, .st = st, .payload = payload};
    TRY(read_subjects(&r));
    TRY(read_materials(&r));
    unique_materials(&r);
    return join(&r, out, out_count);
}
