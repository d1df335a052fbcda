/*
 * JSON to message, driven by the schema: the strict reader of json/ makes a tree, and the tree
 * fills a message. Recursion is bounded by the reader's depth, which is the wire check's.
 *
 * null: unset, but a value for google.protobuf.Value; refused inside arrays and maps.
 * Refused beside what json/ refuses: unknown names, a field under both its names, two members of
 * one oneof, NUL in strings (protobuf-c's would end there).
 *
 * Implements: ProtoJSON, https://protobuf.dev/programming-guides/json/.
 */
#include "msg/json_in.h"

#include "base/assert.h"
#include "codec/codec.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/struct.pb-c.h"

static struct error *read_message(struct json_in *in, const struct msg_type *type,
                                  const struct json_value *json, ProtobufCMessage **out);

struct error *json_in_refuse(const char *what) {
    return error_reason_new(REASON_MALFORMED_MESSAGE, "%s", what);
}

struct error *json_in_string(struct json_in *in, struct bytes string, char **out) {
    struct text ignored;
    if (!text_of_bytes(string, &ignored)) return json_in_refuse("a string holds a NUL");
    struct bytes copy = arena_copy(in->arena, string);
    if (copy.data == NULL) return msg_too_large();
    *out = (char *)(uintptr_t)copy.data;
    return NULL;
}

static bool is_null_unset(const struct msg_field *field, const struct json_value *json) {
    if (json->type != JSON_NULL) return false;
    bool takes_null = field->type != NULL && field->type->known == MSG_KNOWN_VALUE &&
                      field->pb->label != PROTOBUF_C_LABEL_REPEATED;
    return !takes_null;
}

static struct error *read_value(struct json_in *in, const struct msg_field *field,
                                const struct json_value *json, void *member) {
    if (field->type == NULL) return json_in_scalar(in, field->pb, json, member);
    ProtobufCMessage *m = NULL;
    TRY(read_message(in, field->type, json, &m));
    *(ProtobufCMessage **)member = m;
    return NULL;
}

/* --- repeated fields */

static struct error *read_entry(struct json_in *in, const struct msg_type *type,
                                const struct json_member *pair, ProtobufCMessage **out) {
    ProtobufCMessage *entry = msg_new(in->arena, type->pb);
    if (entry == NULL) return msg_too_large();
    TRY(json_in_string(in, pair->name, msg_member(entry, type->fields[0].pb)));
    TRY(read_value(in, &type->fields[1], &pair->value, msg_member(entry, type->fields[1].pb)));
    *out = entry;
    return NULL;
}

static struct error *wrap_member(struct error *cause, struct bytes name) {
    return cause == NULL ? NULL : error_wrap(cause, BYTES_FMT, BYTES_ARG(name));
}

static struct error *read_map(struct json_in *in, const struct msg_field *field,
                              const struct json_value *json, ProtobufCMessage *m) {
    if (json->type != JSON_OBJECT) return json_in_refuse("expected an object");
    size_t count = json->object.count;
    ProtobufCMessage **entries = arena_alloc(in->arena, (count + 1) * sizeof(ProtobufCMessage *));
    if (entries == NULL) return msg_too_large();
    for (size_t i = 0; i < count; i++) {
        const struct json_member *pair = &json->object.members[i];
        TRY(wrap_member(read_entry(in, field->type, pair, &entries[i]), pair->name));
    }
    *(ProtobufCMessage ***)msg_member(m, field->pb) = entries;
    *msg_count(m, field->pb) = count;
    return NULL;
}

static struct error *read_array(struct json_in *in, const struct msg_field *field,
                                const struct json_value *json, ProtobufCMessage *m) {
    if (json->type != JSON_ARRAY) return json_in_refuse("expected an array");
    size_t count = json->array.count;
    size_t size = msg_element_size(field->pb->type);
    char *elements = arena_alloc(in->arena, (count + 1) * size);
    if (elements == NULL) return msg_too_large();
    for (size_t i = 0; i < count; i++) {
        struct error *err = read_value(in, field, &json->array.items[i], elements + i * size);
        if (err != NULL) return error_wrap(err, "[%zu]", i);
    }
    *(char **)msg_member(m, field->pb) = elements;
    *msg_count(m, field->pb) = count;
    return NULL;
}

static struct error *read_repeated(struct json_in *in, const struct msg_field *field,
                                   const struct json_value *json, ProtobufCMessage *m) {
    return field->is_map ? read_map(in, field, json, m) : read_array(in, field, json, m);
}

/* --- fields */

static const struct msg_field *field_named(const struct msg_type *type, struct bytes name) {
    for (unsigned i = 0; i < type->pb->n_fields; i++) {
        const struct msg_field *field = &type->fields[i];
        if (bytes_equal(name, bytes_of_text(field->json_name))) return field;
        if (bytes_equal(name, bytes_of_cstr(field->pb->name))) return field;
    }
    return NULL;
}

static struct error *read_field(struct json_in *in, const struct msg_field *field,
                                const struct json_value *json, ProtobufCMessage *m) {
    if (is_null_unset(field, json)) return NULL;
    if (field->pb->label == PROTOBUF_C_LABEL_REPEATED) return read_repeated(in, field, json, m);
    if (msg_is_oneof(field->pb)) {
        uint32_t *which = msg_case(m, field->pb);
        if (*which != 0) return json_in_refuse("a second member of one oneof");
        *which = field->pb->id;
    }
    return read_value(in, field, json, msg_member(m, field->pb));
}

/* read_fields reads every member but `skip` (NULL: none). */
static struct error *read_fields(struct json_in *in, const struct msg_type *type,
                                 const struct json_value *json, const char *skip,
                                 ProtobufCMessage *m) {
    if (json->type != JSON_OBJECT) return json_in_refuse("expected an object");
    uint64_t seen = 0;
    ASSERT(type->pb->n_fields <= 64);
    for (size_t i = 0; i < json->object.count; i++) {
        const struct json_member *pair = &json->object.members[i];
        if (skip != NULL && bytes_equal(pair->name, bytes_of_cstr(skip))) continue;
        const struct msg_field *field = field_named(type, pair->name);
        if (field == NULL) return wrap_member(json_in_refuse("unknown field"), pair->name);
        uint64_t bit = UINT64_C(1) << (field - type->fields);
        if ((seen & bit) != 0) return wrap_member(json_in_refuse("comes twice"), pair->name);
        seen |= bit;
        TRY(wrap_member(read_field(in, field, &pair->value, m), pair->name));
    }
    return NULL;
}

/* --- the types with a form of their own */

static struct error *read_json_value(struct json_in *in, const struct msg_type *type,
                                     const struct json_value *json, Google__Protobuf__Value *v) {
    switch (json->type) {
        case JSON_NULL:
            v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
            return NULL;
        case JSON_BOOL:
            v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
            v->bool_value = json->boolean;
            return NULL;
        case JSON_INT:
        case JSON_UINT:
        case JSON_DOUBLE:
            v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
            v->number_value = json_in_as_double(json);
            return NULL;
        case JSON_STRING:
            v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
            return json_in_string(in, json->string, &v->string_value);
        case JSON_ARRAY:
            v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
            return read_value(in, msg_field_by_number(type, v->kind_case), json, &v->list_value);
        case JSON_OBJECT:
            v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
            return read_value(in, msg_field_by_number(type, v->kind_case), json, &v->struct_value);
    }
    return json_in_refuse("not JSON");
}

static struct error *read_any(struct json_in *in, const struct json_value *json,
                              Google__Protobuf__Any *any) {
    const struct json_value *url = json_get(json, "@type");
    if (url == NULL || url->type != JSON_STRING) return json_in_refuse("an Any needs \"@type\"");
    const struct msg_type *type = msg_detail_type(in->schema, url->string);
    if (type == NULL) return json_in_refuse("an Any of an unknown type");
    ProtobufCMessage *inner = msg_new(in->arena, type->pb);
    if (inner == NULL) return msg_too_large();
    TRY(read_fields(in, type, json, "@type", inner));
    TRY(json_in_string(in, url->string, &any->type_url));
    struct bytes packed;
    TRY(msg_pack(in->arena, inner, &packed));
    any->value = (ProtobufCBinaryData){packed.len, (uint8_t *)(uintptr_t)packed.data};
    return NULL;
}

static struct error *read_by_type(struct json_in *in, const struct msg_type *type,
                                  const struct json_value *json, ProtobufCMessage *m) {
    switch (type->known) {
        case MSG_KNOWN_ANY:
            return read_any(in, json, (Google__Protobuf__Any *)m);
        case MSG_KNOWN_DURATION:
            return json_in_duration(json, (Google__Protobuf__Duration *)m);
        case MSG_KNOWN_TIMESTAMP:
            return json_in_timestamp(json, (Google__Protobuf__Timestamp *)m);
        case MSG_KNOWN_VALUE:
            return read_json_value(in, type, json, (Google__Protobuf__Value *)m);
        case MSG_KNOWN_STRUCT: /* their only field */
        case MSG_KNOWN_LIST_VALUE:
            return read_repeated(in, &type->fields[0], json, m);
        case MSG_KNOWN_NONE:
            break;
    }
    return read_fields(in, type, json, NULL, m);
}

static struct error *read_message(struct json_in *in, const struct msg_type *type,
                                  const struct json_value *json, ProtobufCMessage **out) {
    ProtobufCMessage *m = msg_new(in->arena, type->pb);
    if (m == NULL) return msg_too_large();
    TRY(read_by_type(in, type, json, m));
    *out = m;
    return NULL;
}

/* as_malformed gives what json/ refused the reason that a caller of ours expects. */
static struct error *as_malformed(struct error *err) {
    if (err == NULL || error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    char text[256];
    error_text(err, text, sizeof text);
    error_free(err);
    return json_in_refuse(text);
}

struct error *msg_from_json(const struct msg_schema *s, struct arena *arena,
                            const ProtobufCMessageDescriptor *type, struct bytes json,
                            ProtobufCMessage **out) {
    struct json_in in = {.schema = s, .arena = arena};
    /* The transport has bounded the octets already. */
    struct json_limits limits = {.depth_max = MSG_DEPTH_MAX, .octets_max = json.len};
    struct json_value root;
    TRY(as_malformed(json_parse(arena, json, &limits, &root)));
    return read_message(&in, msg_type_of(s, type), &root, out);
}
