/*
 * Messages to domain values and back. Recursion over Struct is bounded by the depth that msg lets
 * through (MSG_DEPTH_MAX), and over trees by that of the statement they were read from.
 */
#include <math.h>
#include <stdio.h>

#include "api/internal.h"
#include "base/assert.h"

#define TIME_SECONDS_MIN INT64_C(-62135596800) /* year 1 */
#define TIME_SECONDS_MAX INT64_C(253402300799) /* end of year 9999 */
#define FIELD_MAX 64
#define TREE_DEPTH_MAX (INTOTO_STATEMENT_DEPTH_MAX + 1)

/* --- Struct to JSON */

static struct error *object_of(struct arena *arena, const Google__Protobuf__Struct *s,
                               const char *field, struct json_value *out);

static struct error *array_of(struct arena *arena, const Google__Protobuf__ListValue *list,
                              const char *field, struct json_value *out);

static struct error *value_of(struct arena *arena, const Google__Protobuf__Value *v,
                              const char *field, struct json_value *out) {
    switch (v == NULL ? GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET : v->kind_case) {
        case GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE:
            *out = (struct json_value){.type = JSON_NULL};
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
            if (!isfinite(v->number_value)) {
                return error_field_new(field, "holds a number that is not finite");
            }
            *out = (struct json_value){.type = JSON_DOUBLE, .number = v->number_value};
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
            *out =
                (struct json_value){.type = JSON_STRING, .string = bytes_of_cstr(v->string_value)};
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
            *out = (struct json_value){.type = JSON_BOOL, .boolean = v->bool_value != 0};
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
            return object_of(arena, v->struct_value, field, out);
        case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
            return array_of(arena, v->list_value, field, out);
        default:
            return error_field_new(field, "holds a google.protobuf.Value without a kind");
    }
}

static struct error *array_of(struct arena *arena, const Google__Protobuf__ListValue *list,
                              const char *field, struct json_value *out) {
    struct json_value *items = arena_alloc(arena, (list->n_values + 1) * sizeof *items);
    if (items == NULL) return error_nomem();
    for (size_t i = 0; i < list->n_values; i++) {
        TRY(value_of(arena, list->values[i], field, &items[i]));
    }
    *out = (struct json_value){.type = JSON_ARRAY};
    out->array.items = items;
    out->array.count = list->n_values;
    return NULL;
}

static struct error *object_of(struct arena *arena, const Google__Protobuf__Struct *s,
                               const char *field, struct json_value *out) {
    struct json_member *members = arena_alloc(arena, (s->n_fields + 1) * sizeof *members);
    if (members == NULL) return error_nomem();
    for (size_t i = 0; i < s->n_fields; i++) {
        members[i].name = bytes_of_cstr(s->fields[i]->key);
        TRY(value_of(arena, s->fields[i]->value, field, &members[i].value));
    }
    *out = (struct json_value){.type = JSON_OBJECT};
    out->object.members = members;
    out->object.count = s->n_fields;
    return NULL;
}

struct error *api_json_of(struct arena *arena, const Google__Protobuf__Struct *s, const char *field,
                          const struct json_value **out) {
    *out = NULL;
    if (s == NULL) return NULL;
    struct json_value *object = arena_alloc(arena, sizeof *object);
    if (object == NULL) return error_nomem();
    TRY(object_of(arena, s, field, object));
    *out = object;
    return NULL;
}

/* --- JSON to Struct */

static Google__Protobuf__Value *make_value(struct api_maker *mk, const struct json_value *v,
                                           unsigned depth);

static Google__Protobuf__ListValue *make_list(struct api_maker *mk, const struct json_value *v,
                                              unsigned depth) {
    Google__Protobuf__ListValue *list = api_make(mk, &google__protobuf__list_value__descriptor);
    Google__Protobuf__Value **values = api_make_list(mk, v->array.count);
    if (list == NULL || values == NULL) return NULL;
    for (size_t i = 0; i < v->array.count; i++) {
        values[i] = make_value(mk, &v->array.items[i], depth);
        if (values[i] == NULL) return NULL;
    }
    list->values = values;
    list->n_values = v->array.count;
    return list;
}

static Google__Protobuf__Struct__FieldsEntry *make_entry(struct api_maker *mk,
                                                         const struct json_member *member,
                                                         unsigned depth) {
    Google__Protobuf__Struct__FieldsEntry *entry =
        api_make(mk, &google__protobuf__struct__fields_entry__descriptor);
    if (entry == NULL) return NULL;
    entry->key = api_make_text(mk, member->name);
    entry->value = make_value(mk, &member->value, depth);
    return entry->value == NULL ? NULL : entry;
}

static Google__Protobuf__Struct *make_object(struct api_maker *mk, const struct json_value *v,
                                             unsigned depth) {
    Google__Protobuf__Struct *s = api_make(mk, &google__protobuf__struct__descriptor);
    Google__Protobuf__Struct__FieldsEntry **entries = api_make_list(mk, v->object.count);
    if (s == NULL || entries == NULL) return NULL;
    for (size_t i = 0; i < v->object.count; i++) {
        entries[i] = make_entry(mk, &v->object.members[i], depth);
        if (entries[i] == NULL) return NULL;
    }
    s->fields = entries;
    s->n_fields = v->object.count;
    return s;
}

static void set_number(Google__Protobuf__Value *out, double v) {
    out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    out->number_value = v;
}

/* set_string: protobuf-c drops a oneof's string that is its own empty one, so this one is a copy
 * even where it is empty. */
static void set_string(struct api_maker *mk, Google__Protobuf__Value *out, struct bytes string) {
    out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    out->string_value = string.len > 0 ? api_make_text(mk, string) : api_make_array(mk, 1, 1);
}

static Google__Protobuf__Value *make_value(struct api_maker *mk, const struct json_value *v,
                                           unsigned depth) {
    Google__Protobuf__Value *out = api_make(mk, &google__protobuf__value__descriptor);
    if (out == NULL) return NULL;
    ASSERT(depth < TREE_DEPTH_MAX);
    switch (v->type) {
        case JSON_NULL:
            out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
            break;
        case JSON_BOOL:
            out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
            out->bool_value = v->boolean;
            break;
        case JSON_INT:
            set_number(out, (double)v->integer);
            break;
        case JSON_UINT:
            set_number(out, (double)v->unsigned_integer);
            break;
        case JSON_DOUBLE:
            set_number(out, v->number);
            break;
        case JSON_STRING:
            set_string(mk, out, v->string);
            break;
        case JSON_ARRAY:
            out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
            out->list_value = make_list(mk, v, depth + 1);
            break;
        case JSON_OBJECT:
            out->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
            out->struct_value = make_object(mk, v, depth + 1);
            break;
    }
    return mk->failed == NULL ? out : NULL;
}

Google__Protobuf__Struct *api_make_struct(struct api_maker *mk, const struct json_value *object) {
    if (object == NULL || object->type != JSON_OBJECT) return NULL;
    return make_object(mk, object, 0);
}

/* --- times */

struct error *api_time_of(const Google__Protobuf__Timestamp *t, const char *field,
                          struct intoto_time *out) {
    *out = (struct intoto_time){.set = t != NULL};
    if (t == NULL) return NULL;
    if (t->seconds < TIME_SECONDS_MIN || t->seconds > TIME_SECONDS_MAX)
        return error_field_new(field, "is not between the years 1 and 9999");
    if (t->nanos < 0 || t->nanos > 999999999)
        return error_field_new(field, "its nanos are not between 0 and 999,999,999");
    out->seconds = t->seconds;
    out->nanos = t->nanos;
    return NULL;
}

/* --- resource descriptors */

struct error *api_resource_of(struct arena *arena, const Attestd__V1__ResourceDescriptor *d,
                              const char *field, struct intoto_resource *out) {
    struct intoto_digest *digests = arena_alloc(arena, (d->n_digest + 1) * sizeof *digests);
    if (digests == NULL) return error_nomem();
    for (size_t i = 0; i < d->n_digest; i++) {
        digests[i] = (struct intoto_digest){.algorithm = api_text(d->digest[i]->key),
                                            .value = api_text(d->digest[i]->value)};
    }
    char path[FIELD_MAX];
    (void)snprintf(path, sizeof path, "%.40s.annotations", field);
    const struct json_value *annotations;
    TRY(api_json_of(arena, d->annotations, path, &annotations));
    *out = (struct intoto_resource){.name = api_text(d->name),
                                    .uri = api_text(d->uri),
                                    .digests = digests,
                                    .digest_count = d->n_digest,
                                    .content = {d->content.data, d->content.len},
                                    .has_content = d->content.len > 0,
                                    .download_location = api_text(d->download_location),
                                    .media_type = api_text(d->media_type),
                                    .annotations = annotations};
    return NULL;
}

struct error *api_resources_of(struct arena *arena, Attestd__V1__ResourceDescriptor *const *list,
                               size_t count, const char *field,
                               const struct intoto_resource **out) {
    struct intoto_resource *resources = arena_alloc(arena, (count + 1) * sizeof *resources);
    if (resources == NULL) return error_nomem();
    for (size_t i = 0; i < count; i++) {
        char path[FIELD_MAX];
        (void)snprintf(path, sizeof path, "%.24s[%zu]", field, i);
        TRY(api_resource_of(arena, list[i], path, &resources[i]));
    }
    *out = resources;
    return NULL;
}

static Attestd__V1__ResourceDescriptor__DigestEntry *make_digest(struct api_maker *mk,
                                                                 const struct intoto_digest *d) {
    Attestd__V1__ResourceDescriptor__DigestEntry *entry =
        api_make(mk, &attestd__v1__resource_descriptor__digest_entry__descriptor);
    if (entry == NULL) return NULL;
    entry->key = api_make_text(mk, bytes_of_text(d->algorithm));
    entry->value = api_make_text(mk, bytes_of_text(d->value));
    return entry;
}

static Attestd__V1__ResourceDescriptor *make_resource(struct api_maker *mk,
                                                      const struct intoto_resource *r) {
    Attestd__V1__ResourceDescriptor *d =
        api_make(mk, &attestd__v1__resource_descriptor__descriptor);
    Attestd__V1__ResourceDescriptor__DigestEntry **digests = api_make_list(mk, r->digest_count);
    if (d == NULL || digests == NULL) return NULL;
    for (size_t i = 0; i < r->digest_count; i++) digests[i] = make_digest(mk, &r->digests[i]);
    d->digest = digests;
    d->n_digest = r->digest_count;
    d->name = api_make_text(mk, bytes_of_text(r->name));
    d->uri = api_make_text(mk, bytes_of_text(r->uri));
    d->content = api_make_octets(mk, r->content);
    d->download_location = api_make_text(mk, bytes_of_text(r->download_location));
    d->media_type = api_make_text(mk, bytes_of_text(r->media_type));
    d->annotations = api_make_struct(mk, r->annotations);
    return d;
}

Attestd__V1__ResourceDescriptor **api_make_resources(struct api_maker *mk,
                                                     const struct intoto_resource *list,
                                                     size_t count) {
    Attestd__V1__ResourceDescriptor **out = api_make_list(mk, count);
    for (size_t i = 0; i < count && mk->failed == NULL; i++) out[i] = make_resource(mk, &list[i]);
    return out;
}

Attestd__V1__Attestation *api_make_attestation(struct api_maker *mk,
                                               const struct service_attestation *a) {
    Attestd__V1__Attestation *out = api_make(mk, &attestd__v1__attestation__descriptor);
    if (out == NULL) return NULL;
    out->index = a->index;
    out->predicate_type = api_make_text(mk, bytes_of_text(a->statement.predicate_type));
    out->subject = api_make_resources(mk, a->statement.subjects, a->statement.subject_count);
    out->n_subject = a->statement.subject_count;
    out->signer = api_make_text(mk, bytes_of_text(a->statement.submitter_principal));
    out->logged_at = api_make_time(mk, a->logged_s * 1000);
    out->builder_id = api_make_text(mk, bytes_of_text(a->statement.builder_id));
    out->receipt = api_make_text(mk, a->receipt);
    return out;
}
