/*
 * Message to canonical JSON, driven by the schema. Recursion is bounded by MSG_FRAMES_MAX, which
 * no message that came through msg_unpack or msg_from_json passes.
 *
 *   int64, uint64 …   "123"             bytes        standard base64, padded
 *   enum              its name          Timestamp    "2026-01-02T03:04:05.678Z"
 *   float, double     number, or "NaN", "Infinity", "-Infinity"
 *   map               object            Duration     "1.500s"
 *   Struct, Value, ListValue: the JSON they stand for
 *   Any               {"@type": url, fields of the detail…}
 *
 * Implements: ProtoJSON, https://protobuf.dev/programming-guides/json/.
 */
#include <math.h>
#include <stdio.h>

#include "codec/codec.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "json/json.h"
#include "msg/internal.h"
#include "msg/json_ranges.h"

#define JSON_OUT_MAX ((size_t)256 << 20)

struct printer {
    const struct msg_schema *schema;
    struct arena *arena;
    struct json_writer w;
    unsigned depth;
};

static struct error *put_message(struct printer *p, const struct msg_type *type,
                                 const ProtobufCMessage *m);

static struct error *no_form(const char *what) {
    return error_new(ERROR_INVALID_ARGUMENT, "%s has no JSON form", what);
}

/* --- scalars */

/* put_finite: between 64 bits and 1e21 ECMAScript writes an integer that our own reader refuses, so
 * there the exponent is written. */
static void put_finite(struct printer *p, double v) {
    char text[40];
    if (json_double_is_readable(v)) {
        json_put_double(&p->w, v);
        return;
    }
    (void)snprintf(text, sizeof text, "%.16e", v); /* 17 digits say which double it is */
    json_put_raw(&p->w, bytes_of_cstr(text));
}

static void put_double(struct printer *p, double v) {
    if (isnan(v)) {
        json_put_cstr(&p->w, "NaN");
    } else if (isinf(v)) {
        json_put_cstr(&p->w, v > 0 ? "Infinity" : "-Infinity");
    } else {
        put_finite(p, v);
    }
}

static void put_int64(struct printer *p, int64_t v) {
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)v);
    json_put_cstr(&p->w, text);
}

static void put_enum(struct printer *p, const ProtobufCEnumDescriptor *type, int32_t v) {
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, v);
    if (value == NULL) {
        json_put_int(&p->w, v); /* one that a later version has added */
    } else {
        json_put_cstr(&p->w, value->name);
    }
}

static void put_scalar(struct printer *p, const ProtobufCFieldDescriptor *f, const void *member) {
    switch (f->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
            json_put_int(&p->w, *(const int32_t *)member);
            return;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
            json_put_uint(&p->w, *(const uint32_t *)member);
            return;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
            put_int64(p, *(const int64_t *)member);
            return;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
            json_put_u64_string(&p->w, *(const uint64_t *)member);
            return;
        case PROTOBUF_C_TYPE_FLOAT:
            put_double(p, (double)*(const float *)member);
            return;
        case PROTOBUF_C_TYPE_DOUBLE:
            put_double(p, *(const double *)member);
            return;
        case PROTOBUF_C_TYPE_BOOL:
            json_put_bool(&p->w, *(const protobuf_c_boolean *)member != 0);
            return;
        case PROTOBUF_C_TYPE_ENUM:
            put_enum(p, f->descriptor, *(const int32_t *)member);
            return;
        case PROTOBUF_C_TYPE_STRING:
            json_put_cstr(&p->w, *(char *const *)member);
            return;
        case PROTOBUF_C_TYPE_BYTES: {
            const ProtobufCBinaryData *octets = member;
            json_put_base64(&p->w, (struct bytes){octets->data, octets->len});
            return;
        }
        case PROTOBUF_C_TYPE_MESSAGE:
            return; /* put_value's */
    }
}

static struct error *put_value(struct printer *p, const struct msg_field *field,
                               const void *member) {
    if (field->type != NULL) {
        return put_message(p, field->type, *(ProtobufCMessage *const *)member);
    }
    put_scalar(p, field->pb, member);
    return NULL;
}

/* --- fields */

static struct error *put_map(struct printer *p, const struct msg_field *field,
                             const ProtobufCMessage *m) {
    size_t count = msg_count_const(m, field->pb);
    ProtobufCMessage *const *entries =
        *(ProtobufCMessage *const *const *)msg_member_const(m, field->pb);
    const struct msg_field *key = &field->type->fields[0];
    const struct msg_field *value = &field->type->fields[1];
    json_object_begin(&p->w);
    for (size_t i = 0; i < count; i++) {
        const char *name = *(char *const *)msg_member_const(entries[i], key->pb);
        json_key_bytes(&p->w, bytes_of_cstr(name));
        if (value->type != NULL && !msg_is_set(entries[i], value->pb)) {
            return no_form("a map's entry without a value");
        }
        TRY(put_value(p, value, msg_member_const(entries[i], value->pb)));
    }
    json_object_end(&p->w);
    return NULL;
}

static struct error *put_array(struct printer *p, const struct msg_field *field,
                               const ProtobufCMessage *m) {
    size_t count = msg_count_const(m, field->pb);
    size_t size = msg_element_size(field->pb->type);
    const char *elements = *(const char *const *)msg_member_const(m, field->pb);
    json_array_begin(&p->w);
    for (size_t i = 0; i < count; i++) TRY(put_value(p, field, elements + i * size));
    json_array_end(&p->w);
    return NULL;
}

static struct error *put_repeated(struct printer *p, const struct msg_field *field,
                                  const ProtobufCMessage *m) {
    return field->is_map ? put_map(p, field, m) : put_array(p, field, m);
}

static struct error *put_fields(struct printer *p, const struct msg_type *type,
                                const ProtobufCMessage *m) {
    for (unsigned i = 0; i < type->pb->n_fields; i++) {
        const struct msg_field *field = &type->fields[i];
        bool repeated = field->pb->label == PROTOBUF_C_LABEL_REPEATED;
        if (!repeated && !msg_is_set(m, field->pb)) continue;
        json_key_bytes(&p->w, bytes_of_text(field->json_name));
        if (repeated) {
            TRY(put_repeated(p, field, m));
        } else {
            TRY(put_value(p, field, msg_member_const(m, field->pb)));
        }
    }
    return NULL;
}

/* --- the types with a form of their own */

static struct error *put_timestamp(struct printer *p, const Google__Protobuf__Timestamp *t) {
    if (t->seconds < TIMESTAMP_SECONDS_MIN || t->seconds > TIMESTAMP_SECONDS_MAX || t->nanos < 0 ||
        t->nanos > NANOS_MAX) {
        return no_form("a Timestamp out of range");
    }
    struct buf b;
    buf_init_arena(&b, p->arena, 64);
    time_put_nanos(&b, t->seconds, t->nanos);
    TRY(buf_finish(&b, "timestamp"));
    json_put_string(&p->w, buf_bytes(&b));
    return NULL;
}

static bool duration_in_range(const Google__Protobuf__Duration *d) {
    if (d->seconds < -DURATION_SECONDS_MAX || d->seconds > DURATION_SECONDS_MAX) return false;
    if (d->nanos < -NANOS_MAX || d->nanos > NANOS_MAX) return false;
    return !(d->seconds > 0 && d->nanos < 0) && !(d->seconds < 0 && d->nanos > 0);
}

static struct error *put_duration(struct printer *p, const Google__Protobuf__Duration *d) {
    if (!duration_in_range(d)) return no_form("a Duration out of range");
    bool negative = d->seconds < 0 || d->nanos < 0;
    unsigned nanos = (unsigned)(d->nanos < 0 ? -d->nanos : d->nanos);
    struct buf b;
    buf_init_arena(&b, p->arena, 64);
    buf_printf(&b, "%s%lld", negative ? "-" : "",
               (long long)(d->seconds < 0 ? -d->seconds : d->seconds));
    if (nanos % 1000 != 0) {
        buf_printf(&b, ".%09u", nanos);
    } else if (nanos % 1000000 != 0) {
        buf_printf(&b, ".%06u", nanos / 1000);
    } else if (nanos != 0) {
        buf_printf(&b, ".%03u", nanos / 1000000);
    }
    buf_put_cstr(&b, "s");
    TRY(buf_finish(&b, "duration"));
    json_put_string(&p->w, buf_bytes(&b));
    return NULL;
}

static struct error *put_json_value(struct printer *p, const struct msg_type *type,
                                    const Google__Protobuf__Value *v) {
    switch (v->kind_case) {
        case GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE:
            json_put_null(&p->w);
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
            if (!isfinite(v->number_value)) return no_form("a Value that is no finite number");
            put_finite(p, v->number_value);
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
            json_put_cstr(&p->w, v->string_value);
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
            json_put_bool(&p->w, v->bool_value != 0);
            return NULL;
        case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
            return put_value(p, msg_field_by_number(type, v->kind_case), &v->struct_value);
        default:
            /* SPEC struct.proto Value: "absence of any variant indicates an error" */
            return no_form("a Value without a kind");
    }
}

static struct error *put_any(struct printer *p, const Google__Protobuf__Any *any) {
    const struct msg_type *type = msg_detail_type(p->schema, bytes_of_cstr(any->type_url));
    if (type == NULL) return no_form("an Any of an unknown type");
    ProtobufCMessage *inner = NULL;
    TRY(msg_unpack(p->schema, p->arena, type->pb, (struct bytes){any->value.data, any->value.len},
                   &MSG_LIMITS_DEFAULT, &inner));
    json_object_begin(&p->w);
    json_key(&p->w, "@type");
    json_put_cstr(&p->w, any->type_url);
    TRY(put_fields(p, type, inner));
    json_object_end(&p->w);
    return NULL;
}

static struct error *put_by_type(struct printer *p, const struct msg_type *type,
                                 const ProtobufCMessage *m) {
    switch (type->known) {
        case MSG_KNOWN_ANY:
            return put_any(p, (const Google__Protobuf__Any *)m);
        case MSG_KNOWN_DURATION:
            return put_duration(p, (const Google__Protobuf__Duration *)m);
        case MSG_KNOWN_TIMESTAMP:
            return put_timestamp(p, (const Google__Protobuf__Timestamp *)m);
        case MSG_KNOWN_VALUE:
            return put_json_value(p, type, (const Google__Protobuf__Value *)m);
        case MSG_KNOWN_STRUCT: /* their only field */
        case MSG_KNOWN_LIST_VALUE:
            return put_repeated(p, &type->fields[0], m);
        case MSG_KNOWN_NONE:
            break;
    }
    json_object_begin(&p->w);
    TRY(put_fields(p, type, m));
    json_object_end(&p->w);
    return NULL;
}

static struct error *put_message(struct printer *p, const struct msg_type *type,
                                 const ProtobufCMessage *m) {
    if (++p->depth > MSG_FRAMES_MAX) {
        return error_new(ERROR_INVALID_ARGUMENT, "a message nests too deep for JSON");
    }
    struct error *err = put_by_type(p, type, m);
    p->depth--;
    return err;
}

struct error *msg_to_json(const struct msg_schema *s, struct arena *arena,
                          const ProtobufCMessage *m, struct bytes *out) {
    struct buf b;
    buf_init_arena(&b, arena, JSON_OUT_MAX);
    struct printer p = {.schema = s, .arena = arena, .w = json_writer_of(&b)};
    TRY(put_message(&p, msg_type_of(s, m->descriptor), m));
    TRY(buf_finish(&b, "JSON message"));
    *out = buf_bytes(&b);
    return NULL;
}
