/* The one file that sees simdjson (no exceptions). simdjson checks the text (RFC 8259, UTF-8,
 * surrogates, 64-bit integers, no byte-order mark) and leaves a tape; the tree is built from it in
 * one pass. All strings share one block, as they cannot be longer than the text. */
#include <simdjson.h>
#include <charconv>

#define _Static_assert static_assert /* g++ does not know C's spelling */
extern "C" {
#include "json/internal.h"
}

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

/* A parser holds about 15 octets for each of its capacity. Texts of common size use a parser that
 * each thread keeps (no result depends on it), larger ones a parser for that call alone: the memory
 * kept is bounded by threads * 1 MiB, whatever was read. */
constexpr size_t kept_octets = size_t(64) << 10;

/* simdjson's own count stops here, and the items must be counted. */
constexpr size_t count_saturated = 0xFFFFFF;

struct builder {
    struct arena *arena;
    uint8_t *strings; /* room for all strings of the text; the next free octet */
    struct bytes *why;
};

struct bytes literal(const char *s) {
    return bytes_of_cstr(s);
}

struct bytes describe(simdjson::error_code code) {
    switch (code) {
        case simdjson::DEPTH_ERROR:
            return literal("nested too deep");
        case simdjson::EMPTY:
            return literal("no value");
        case simdjson::UTF8_ERROR:
            return literal("not UTF-8");
        case simdjson::STRING_ERROR:
            return literal("a string has a bad escape or lone surrogate");
        case simdjson::UNCLOSED_STRING:
            return literal("a string does not end");
        case simdjson::UNESCAPED_CHARS:
            return literal("a string holds a control character");
        case simdjson::NUMBER_ERROR:
            return literal("a number is malformed, an integer beyond 64 bits, or beyond a double");
        case simdjson::T_ATOM_ERROR:
        case simdjson::F_ATOM_ERROR:
        case simdjson::N_ATOM_ERROR:
            return literal("a word other than true, false, null");
        default:
            return literal("commas, colons or brackets do not match up");
    }
}

struct bytes put_string(builder &b, std::string_view s) {
    if (!s.empty()) memcpy(b.strings, s.data(), s.size());
    struct bytes out = {b.strings, s.size()};
    b.strings += s.size();
    return out;
}

template <typename Container>
size_t count_of(const Container &c) {
    size_t n = c.size();
    if (n < count_saturated) return n;
    n = 0;
    for (auto it = c.begin(); it != c.end(); ++it) n++;
    return n;
}

json_shim_result build(builder &b, element e, size_t depth_left, struct json_value *out);

json_shim_result build_array(builder &b, simdjson::dom::array array, size_t depth_left,
                             struct json_value *out) {
    size_t count = count_of(array), i = 0;
    auto *items = static_cast<json_value *>(arena_alloc(b.arena, count * sizeof(json_value)));
    if (items == nullptr) return JSON_SHIM_NO_MEMORY;
    for (element e : array) {
        json_shim_result r = build(b, e, depth_left, &items[i++]);
        if (r != JSON_SHIM_OK) return r;
    }
    out->array.items = items;
    out->array.count = count;
    return JSON_SHIM_OK;
}

json_shim_result build_object(builder &b, simdjson::dom::object object, size_t depth_left,
                              struct json_value *out) {
    size_t count = count_of(object), i = 0;
    auto *members = static_cast<json_member *>(arena_alloc(b.arena, count * sizeof(json_member)));
    if (members == nullptr) return JSON_SHIM_NO_MEMORY;
    for (auto field : object) {
        members[i].name = put_string(b, field.key);
        json_shim_result r = build(b, field.value, depth_left, &members[i++].value);
        if (r != JSON_SHIM_OK) return r;
    }
    const struct json_member *duplicate = nullptr;
    if (!json_find_duplicate(members, count, &duplicate)) return JSON_SHIM_NO_MEMORY;
    if (duplicate != nullptr) {
        *b.why = duplicate->name;
        return JSON_SHIM_DUPLICATE;
    }
    out->object.members = members;
    out->object.count = count;
    return JSON_SHIM_OK;
}

/* Recursion is bounded by the caller's limit, which json_parse holds under JSON_DEPTH_CAP. */
json_shim_result build_container(builder &b, element e, size_t depth_left, struct json_value *out) {
    if (depth_left == 0) {
        *b.why = describe(simdjson::DEPTH_ERROR);
        return JSON_SHIM_MALFORMED;
    }
    if (out->type == JSON_ARRAY)
        return build_array(b, e.get_array().value_unsafe(), depth_left - 1, out);
    return build_object(b, e.get_object().value_unsafe(), depth_left - 1, out);
}

/* `out` is zeroed memory of the arena. */
json_shim_result build(builder &b, element e, size_t depth_left, struct json_value *out) {
    switch (e.type()) {
        case element_type::NULL_VALUE:
            out->type = JSON_NULL;
            break;
        case element_type::BOOL:
            out->type = JSON_BOOL;
            out->boolean = e.get_bool().value_unsafe();
            break;
        case element_type::INT64:
            out->type = JSON_INT;
            out->integer = e.get_int64().value_unsafe();
            break;
        case element_type::UINT64:
            out->type = JSON_UINT;
            out->unsigned_integer = e.get_uint64().value_unsafe();
            break;
        case element_type::DOUBLE:
            out->type = JSON_DOUBLE;
            out->number = e.get_double().value_unsafe();
            break;
        case element_type::STRING:
            out->type = JSON_STRING;
            out->string = put_string(b, e.get_string().value_unsafe());
            break;
        case element_type::ARRAY:
            out->type = JSON_ARRAY;
            return build_container(b, e, depth_left, out);
        case element_type::OBJECT:
            out->type = JSON_OBJECT;
            return build_container(b, e, depth_left, out);
    }
    return JSON_SHIM_OK;
}

json_shim_result parse_with(simdjson::dom::parser &parser, struct arena *arena, struct bytes text,
                            size_t depth_max, struct json_value *out, struct bytes *why) {
    element root;
    auto code = parser.parse(text.data, text.len, true).get(root);
    if (code == simdjson::MEMALLOC) return JSON_SHIM_NO_MEMORY;
    if (code != simdjson::SUCCESS) {
        *why = describe(code);
        return JSON_SHIM_MALFORMED;
    }
    builder b = {arena, static_cast<uint8_t *>(arena_alloc(arena, text.len)), why};
    if (b.strings == nullptr) return JSON_SHIM_NO_MEMORY;
    struct json_value value = {};
    json_shim_result r = build(b, root, depth_max, &value);
    if (r == JSON_SHIM_OK) *out = value;
    return r;
}

} /* namespace */

extern "C" json_shim_result json_shim_parse(struct arena *arena, struct bytes text,
                                            size_t depth_max, struct json_value *out,
                                            struct bytes *out_why) {
    static thread_local simdjson::dom::parser kept;
    if (text.len > kept_octets) {
        simdjson::dom::parser once;
        return parse_with(once, arena, text, depth_max, out, out_why);
    }
    if (kept.capacity() < kept_octets && kept.allocate(kept_octets) != simdjson::SUCCESS)
        return JSON_SHIM_NO_MEMORY;
    return parse_with(kept, arena, text, depth_max, out, out_why);
}

extern "C" size_t json_shim_shortest(double v, char out[JSON_SHORTEST_MAX]) {
    auto r = std::to_chars(out, out + JSON_SHORTEST_MAX, v, std::chars_format::scientific);
    return static_cast<size_t>(r.ptr - out);
}
