/*
 * The JSON forms of scalars and times, read. Numbers may come as numbers or as strings, integers
 * also as 1e3 or 1.0; a string must be exactly one JSON number, so " 1" and "0x1" are none.
 */
#include <float.h>
#include <math.h>

#include "base/reader.h"
#include "codec/codec.h"
#include "msg/json_in.h"
#include "msg/json_ranges.h"

#define TWO_TO_63 9223372036854775808.0
#define TWO_TO_64 18446744073709551616.0

/* --- numbers */

static bool is_number(const struct json_value *v) {
    return v->type == JSON_INT || v->type == JSON_UINT || v->type == JSON_DOUBLE;
}

double json_in_as_double(const struct json_value *number) {
    if (number->type == JSON_INT) return (double)number->integer;
    if (number->type == JSON_UINT) return (double)number->unsigned_integer;
    return number->number;
}

/* unquote gives the number that `json` is or, as a string, holds. */
static struct error *unquote(struct json_in *in, const struct json_value *json,
                             struct json_value *out) {
    if (is_number(json)) {
        *out = *json;
        return NULL;
    }
    struct bytes text = json_string(json);
    bool begins =
        text.len > 0 && (text.data[0] == '-' || (text.data[0] >= '0' && text.data[0] <= '9'));
    bool ends = begins && text.data[text.len - 1] >= '0' && text.data[text.len - 1] <= '9';
    if (!ends) return json_in_refuse("expected a number");
    struct json_limits limits = {.depth_max = 1, .octets_max = text.len};
    struct error *err = json_parse(in->arena, text, &limits, out);
    if (err == NULL && is_number(out)) return NULL;
    if (err != NULL && error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    error_free(err);
    return json_in_refuse("expected a number");
}

static struct error *read_signed(struct json_in *in, const struct json_value *json, int64_t min,
                                 int64_t max, int64_t *out) {
    struct json_value number = {.type = JSON_NULL};
    TRY(unquote(in, json, &number));
    if (number.type == JSON_DOUBLE) {
        double d = number.number;
        if (d < -TWO_TO_63 || d >= TWO_TO_63 || d != trunc(d)) {
            return json_in_refuse("expected an integer");
        }
        number = (struct json_value){.type = JSON_INT, .integer = (int64_t)d};
    }
    if (number.type != JSON_INT || number.integer < min || number.integer > max) {
        return json_in_refuse("an integer out of range");
    }
    *out = number.integer;
    return NULL;
}

static struct error *read_unsigned(struct json_in *in, const struct json_value *json, uint64_t max,
                                   uint64_t *out) {
    struct json_value number = {.type = JSON_NULL};
    TRY(unquote(in, json, &number));
    if (number.type == JSON_DOUBLE) {
        double d = number.number;
        if (d < 0 || d >= TWO_TO_64 || d != trunc(d)) return json_in_refuse("expected an integer");
        number = (struct json_value){.type = JSON_UINT, .unsigned_integer = (uint64_t)d};
    }
    if (number.type == JSON_INT && number.integer < 0) {
        return json_in_refuse("an integer out of range");
    }
    uint64_t v = number.type == JSON_INT ? (uint64_t)number.integer : number.unsigned_integer;
    if (v > max) return json_in_refuse("an integer out of range");
    *out = v;
    return NULL;
}

static struct error *read_double(struct json_in *in, const struct json_value *json, double max,
                                 double *out) {
    struct bytes text = json_string(json);
    double d = 0;
    if (bytes_equal(text, BYTES_LIT("NaN"))) {
        d = NAN;
    } else if (bytes_equal(text, BYTES_LIT("Infinity"))) {
        d = INFINITY;
    } else if (bytes_equal(text, BYTES_LIT("-Infinity"))) {
        d = -INFINITY;
    } else {
        struct json_value number = {.type = JSON_NULL};
        TRY(unquote(in, json, &number));
        d = json_in_as_double(&number);
        if (fabs(d) > max) return json_in_refuse("a number out of range");
    }
    *out = d;
    return NULL;
}

/* --- the other scalars */

static struct error *read_enum(struct json_in *in, const ProtobufCEnumDescriptor *type,
                               const struct json_value *json, int32_t *out) {
    if (json->type == JSON_STRING) {
        for (unsigned i = 0; i < type->n_value_names; i++) {
            const ProtobufCEnumValueIndex *name = &type->values_by_name[i];
            if (!bytes_equal(json->string, bytes_of_cstr(name->name))) continue;
            *out = type->values[name->index].value;
            return NULL;
        }
        return json_in_refuse("unknown name of an enum");
    }
    int64_t v = 0;
    TRY(read_signed(in, json, INT32_MIN, INT32_MAX, &v));
    *out = (int32_t)v;
    return NULL;
}

static struct error *read_octets(struct json_in *in, const struct json_value *json,
                                 ProtobufCBinaryData *out) {
    if (json->type != JSON_STRING) return json_in_refuse("expected base64");
    struct bytes octets;
    struct error *err = base64_decode(in->arena, json->string, BASE64_ANY, &octets);
    if (err != NULL && error_code(err) == ERROR_INVALID_ARGUMENT) {
        error_free(err);
        return json_in_refuse("expected base64");
    }
    TRY(err);
    *out = (ProtobufCBinaryData){octets.len, (uint8_t *)(uintptr_t)octets.data};
    return NULL;
}

static struct error *read_bool(const struct json_value *json, protobuf_c_boolean *out) {
    if (json->type != JSON_BOOL) return json_in_refuse("expected true or false");
    *out = json->boolean;
    return NULL;
}

static struct error *read_integer(struct json_in *in, ProtobufCType type,
                                  const struct json_value *json, void *member) {
    int64_t v = 0;
    uint64_t u = 0;
    switch (type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
            TRY(read_signed(in, json, INT32_MIN, INT32_MAX, &v));
            *(int32_t *)member = (int32_t)v;
            return NULL;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
            TRY(read_unsigned(in, json, UINT32_MAX, &u));
            *(uint32_t *)member = (uint32_t)u;
            return NULL;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
            return read_unsigned(in, json, UINT64_MAX, member);
        default:
            return read_signed(in, json, INT64_MIN, INT64_MAX, member);
    }
}

struct error *json_in_scalar(struct json_in *in, const ProtobufCFieldDescriptor *field,
                             const struct json_value *json, void *member) {
    double d = 0;
    switch (field->type) {
        case PROTOBUF_C_TYPE_STRING:
            if (json->type != JSON_STRING) return json_in_refuse("expected a string");
            return json_in_string(in, json->string, member);
        case PROTOBUF_C_TYPE_BYTES:
            return read_octets(in, json, member);
        case PROTOBUF_C_TYPE_BOOL:
            return read_bool(json, member);
        case PROTOBUF_C_TYPE_ENUM:
            return read_enum(in, field->descriptor, json, member);
        case PROTOBUF_C_TYPE_DOUBLE:
            return read_double(in, json, DBL_MAX, member);
        case PROTOBUF_C_TYPE_FLOAT:
            TRY(read_double(in, json, FLT_MAX, &d));
            *(float *)member = (float)d;
            return NULL;
        default:
            return read_integer(in, field->type, json, member);
    }
}

/* --- times */

struct error *json_in_timestamp(const struct json_value *json, Google__Protobuf__Timestamp *out) {
    if (json->type != JSON_STRING || !time_parse(json->string, &out->seconds, &out->nanos)) {
        return json_in_refuse("expected an RFC 3339 time");
    }
    return NULL;
}

/* read_fraction reads one to nine digits after the point. */
static bool read_fraction(struct bytes digits, int32_t *out_nanos) {
    if (digits.len == 0 || digits.len > 9) return false;
    int32_t nanos = 0;
    for (size_t i = 0; i < 9; i++) {
        int32_t digit = 0;
        if (i < digits.len) {
            if (digits.data[i] < '0' || digits.data[i] > '9') return false;
            digit = digits.data[i] - '0';
        }
        nanos = nanos * 10 + digit;
    }
    *out_nanos = nanos;
    return true;
}

static bool read_duration(struct bytes text, Google__Protobuf__Duration *out) {
    if (text.len < 2 || text.data[text.len - 1] != 's') return false;
    text.len--;
    bool negative = text.data[0] == '-';
    if (negative) text = (struct bytes){text.data + 1, text.len - 1};
    const uint8_t *point = text.len == 0 ? NULL : memchr(text.data, '.', text.len);
    size_t whole = point == NULL ? text.len : (size_t)(point - text.data);
    uint64_t seconds = 0;
    int32_t nanos = 0;
    if (!bytes_to_u64((struct bytes){text.data, whole}, &seconds)) return false;
    if (seconds > (uint64_t)DURATION_SECONDS_MAX) return false;
    if (point != NULL && !read_fraction((struct bytes){point + 1, text.len - whole - 1}, &nanos)) {
        return false;
    }
    out->seconds = negative ? -(int64_t)seconds : (int64_t)seconds;
    out->nanos = negative ? -nanos : nanos;
    return true;
}

struct error *json_in_duration(const struct json_value *json, Google__Protobuf__Duration *out) {
    if (json->type != JSON_STRING || !read_duration(json->string, out)) {
        return json_in_refuse("expected a duration in seconds");
    }
    return NULL;
}
