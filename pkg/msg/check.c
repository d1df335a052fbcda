/*
 * The wire check. protobuf-c unpacks by recursion without a bound, cuts strings at NUL, takes bad
 * UTF-8 and silently truncates long tags; so nothing reaches it that has not passed here. A cursor
 * and a stack of ends, no recursion:
 *
 *   message = field*
 *   field   = tag value             tag = varint(number << 3 | type), at most 5 octets
 *   value   = varint                type 0, at most 10 octets, 64 bits
 *           | 8 octets              type 1
 *           | varint(len) len octets   type 2: string, bytes, message, packed elements
 *           | 4 octets              type 5          (3 and 4, groups, and 6 and 7 are refused)
 *
 * A singular message may come once: others merge the second into the first, protobuf-c tries to and
 * fails where a oneof is unset in both.
 *
 * Implements: protobuf encoding, https://protobuf.dev/programming-guides/encoding/.
 */
#include "base/assert.h"
#include "codec/codec.h"
#include "msg/internal.h"

#define NUMBER_MAX (((uint64_t)1 << 29) - 1)
#define TAG_OCTETS_MAX 5

struct frame {
    const struct msg_type *type;
    const uint8_t *end;
    size_t depth;
    uint64_t seen; /* singular message fields, by their place in the type */
};

struct check {
    struct bytes rest; /* up to the end of the innermost message */
    struct frame frames[MSG_FRAMES_MAX];
    size_t frame_count;
    size_t fields_left;
    const struct msg_limits *limits;
    const char *bad; /* what was wrong, once something was */
};

static bool refuse(struct check *c, const char *what) {
    c->bad = what;
    return false;
}

static bool take(struct check *c, uint64_t len, struct bytes *out) {
    if (len > c->rest.len) return refuse(c, "a value is cut short");
    *out = (struct bytes){c->rest.data, (size_t)len};
    c->rest = (struct bytes){c->rest.data + len, c->rest.len - (size_t)len};
    return true;
}

/* take_short_varint takes one of at most five octets, which is all that protobuf-c reads of tags
 * and lengths: it would take the same octets for something else. */
static bool take_short_varint(struct check *c, uint64_t *out) {
    size_t before = c->rest.len;
    if (!varint_get(&c->rest, out) || before - c->rest.len > TAG_OCTETS_MAX) {
        return refuse(c, "a tag or length is malformed");
    }
    return true;
}

static bool take_len(struct check *c, struct bytes *out) {
    uint64_t len = 0;
    return take_short_varint(c, &len) && take(c, len, out);
}

static bool count_field(struct check *c, size_t n) {
    if (n > c->fields_left) return refuse(c, "too many fields");
    c->fields_left -= n;
    return true;
}

/* --- what a field's type asks for */

static unsigned wire_type_of(ProtobufCType type) {
    switch (type) {
        case PROTOBUF_C_TYPE_SFIXED32:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_FLOAT:
            return PROTOBUF_C_WIRE_TYPE_32BIT;
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
            return PROTOBUF_C_WIRE_TYPE_64BIT;
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
            return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        default:
            return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

static bool check_packed(struct check *c, const struct msg_field *field, struct bytes elements) {
    unsigned wire_type = wire_type_of(field->pb->type);
    if (wire_type != PROTOBUF_C_WIRE_TYPE_VARINT) {
        size_t size = wire_type == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
        if (elements.len % size != 0) return refuse(c, "packed elements are cut short");
        return count_field(c, elements.len / size);
    }
    while (elements.len > 0) {
        size_t before = elements.len;
        uint64_t value = 0;
        if (!varint_get(&elements, &value)) return refuse(c, "a packed element is malformed");
        /* protobuf-c takes each octet of packed bools for an element. */
        if (field->pb->type == PROTOBUF_C_TYPE_BOOL && (before - elements.len != 1 || value > 1)) {
            return refuse(c, "a packed bool is neither 0 nor 1");
        }
        if (!count_field(c, 1)) return false;
    }
    return true;
}

static bool mark_seen(struct check *c, struct frame *outer, const struct msg_field *field) {
    if (field->pb->label == PROTOBUF_C_LABEL_REPEATED) return true;
    size_t place = (size_t)(field - outer->type->fields);
    ASSERT(place < 64);
    if ((outer->seen >> place & 1) != 0) return refuse(c, "a singular message comes twice");
    outer->seen |= UINT64_C(1) << place;
    return true;
}

static bool enter(struct check *c, const struct msg_field *field, struct bytes inner) {
    struct frame *outer = &c->frames[c->frame_count - 1];
    const struct msg_type *type = field->type;
    size_t depth = outer->depth + msg_type_depth(type);
    if (!mark_seen(c, outer, field)) return false;
    if (depth > c->limits->depth_max) return refuse(c, "nested too deep");
    ASSERT(c->frame_count < MSG_FRAMES_MAX);
    /* What follows it is read again once it has ended, from its end on. */
    c->frames[c->frame_count++] =
        (struct frame){.type = type, .end = inner.data + inner.len, .depth = depth};
    c->rest = inner;
    return true;
}

static bool check_len_value(struct check *c, const struct msg_field *field) {
    struct bytes value;
    if (!take_len(c, &value)) return false;
    if (field == NULL || field->pb->type == PROTOBUF_C_TYPE_BYTES) return true;
    if (field->type != NULL) return enter(c, field, value);
    if (field->pb->type != PROTOBUF_C_TYPE_STRING) return check_packed(c, field, value);
    struct text ignored;
    return text_of_bytes(value, &ignored) || refuse(c, "a string is not UTF-8 or holds a NUL");
}

static bool check_value(struct check *c, const struct msg_field *field, unsigned wire_type) {
    uint64_t ignored = 0;
    struct bytes value;
    switch (wire_type) {
        case PROTOBUF_C_WIRE_TYPE_VARINT:
            return varint_get(&c->rest, &ignored) || refuse(c, "a varint is malformed");
        case PROTOBUF_C_WIRE_TYPE_64BIT:
            return take(c, 8, &value);
        case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
            return check_len_value(c, field);
        case PROTOBUF_C_WIRE_TYPE_32BIT:
            return take(c, 4, &value);
        default:
            return refuse(c, "a group or an unknown wire type");
    }
}

/* SPEC proto-encoding packed: "parsers must be able to parse repeated fields that were compiled as
 * packed as if they were not packed, and vice versa" */
static bool wire_type_fits(const struct msg_field *field, unsigned wire_type) {
    unsigned want = wire_type_of(field->pb->type);
    if (wire_type == want) return true;
    return field->pb->label == PROTOBUF_C_LABEL_REPEATED &&
           wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
}

static bool check_field(struct check *c, const struct msg_type *type) {
    uint64_t tag = 0;
    if (!take_short_varint(c, &tag)) return false;
    uint64_t number = tag >> 3;
    if (number == 0 || number > NUMBER_MAX) return refuse(c, "a field number is out of range");
    if (!count_field(c, 1)) return false;
    const struct msg_field *field = msg_field_by_number(type, (uint32_t)number);
    unsigned wire_type = tag & 7;
    if (field != NULL && !wire_type_fits(field, wire_type)) {
        return refuse(c, "a field has the wire type of another");
    }
    return check_value(c, field, wire_type);
}

/* step reads one field, or leaves the innermost message where it ends. */
static bool step(struct check *c) {
    const struct frame *top = &c->frames[c->frame_count - 1];
    if (c->rest.len > 0) return check_field(c, top->type);
    const uint8_t *at = top->end;
    c->frame_count--;
    if (c->frame_count > 0) {
        c->rest = (struct bytes){at, (size_t)(c->frames[c->frame_count - 1].end - at)};
    }
    return true;
}

struct error *msg_check(const struct msg_schema *s, const ProtobufCMessageDescriptor *type,
                        struct bytes wire, const struct msg_limits *limits) {
    ASSERT(limits->depth_max >= 1 && limits->depth_max <= MSG_DEPTH_MAX);
    if (wire.len == 0) return NULL;
    struct check c;
    c.rest = wire;
    const struct msg_type *root = msg_type_of(s, type);
    c.frames[0] =
        (struct frame){.type = root, .end = wire.data + wire.len, .depth = msg_type_depth(root)};
    c.frame_count = 1;
    c.fields_left = limits->fields_max;
    c.limits = limits;
    c.bad = NULL;
    while (c.frame_count > 0) {
        if (step(&c)) continue;
        size_t offset = (size_t)(c.rest.data - wire.data);
        return error_reason_new(REASON_MALFORMED_MESSAGE, "%s: %s, before octet %zu", type->name,
                                c.bad, offset);
    }
    return NULL;
}
