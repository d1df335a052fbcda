#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "attestd/v1/attestations.pb-c.h"
#include "attestd/v1/gate.pb-c.h"
#include "base/alloc.h"
#include "codec/codec.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "msg/msg.h"

#define ARENA_MAX ((size_t)16 << 20)
#define ATTEST &attestd__v1__attest_request__descriptor
#define DECIDE &attestd__v1__decide_request__descriptor
#define RULE &attestd__v1__rule_result__descriptor
#define DESCRIPTOR &attestd__v1__resource_descriptor__descriptor
#define STRUCT &google__protobuf__struct__descriptor
#define VALUE &google__protobuf__value__descriptor
#define STATUS &google__rpc__status__descriptor

typedef ProtobufCMessageDescriptor type;

static struct msg_schema *schema;
static struct arena arena;

static void setup(void) {
    ck_assert_ptr_null(msg_schema_new(&schema));
    arena_init(&arena, ARENA_MAX);
}
static void teardown(void) {
    msg_schema_free(schema);
    arena_done(&arena);
}

static struct error *unpack(const type *t, struct bytes wire, ProtobufCMessage **out) {
    return msg_unpack(schema, &arena, t, wire, &MSG_LIMITS_DEFAULT, out);
}

static void assert_malformed(const char *name, const type *t, struct bytes wire) {
    ProtobufCMessage *m = NULL;
    CLEANUP(error_freep) struct error *err = unpack(t, wire, &m);
    ck_assert_msg(err != NULL, "accepted: %s", name);
    ck_assert_ptr_null(m);
    ck_assert_msg(error_code(err) == ERROR_INVALID_ARGUMENT, "%s: %s", name, error_message(err));
    ck_assert_int_eq(error_reason(err), REASON_MALFORMED_MESSAGE);
}

/* A request with every kind of field that a request can have. */
static struct bytes full_request(void) {
    static const char json[] =
        "{\"subject\":[{\"name\":\"n\",\"digest\":{\"sha256\":\"ab\",\"sha512\":\"cd\"},"
        "\"content\":\"AAEC\",\"annotations\":{\"a\":[null,true,1.5,\"s\",{\"b\":{}}]}}],"
        "\"provenance\":{\"buildType\":\"https://b\",\"externalParameters\":{\"x\":\"y\"},"
        "\"resolvedDependencies\":[{\"uri\":\"u\"}],\"startedOn\":\"2026-01-02T03:04:05.5Z\"},"
        "\"idempotencyKey\":\"k\"}";
    ProtobufCMessage *m = NULL;
    struct bytes wire;
    ck_assert_ptr_null(msg_from_json(schema, &arena, ATTEST, bytes_of_cstr(json), &m));
    ck_assert_ptr_null(msg_pack(&arena, m, &wire));
    return wire;
}

START_TEST(test_a_message_round_trips) {
    struct bytes wire = full_request();
    ProtobufCMessage *m = NULL;
    struct bytes again;
    ck_assert_ptr_null(unpack(ATTEST, wire, &m));
    ck_assert_ptr_null(msg_pack(&arena, m, &again));
    ck_assert(bytes_equal(wire, again));
    const Attestd__V1__AttestRequest *r = (const Attestd__V1__AttestRequest *)m;
    ck_assert_uint_eq(r->n_subject, 1);
    ck_assert_str_eq(r->subject[0]->digest[1]->key, "sha512");
    ck_assert_int_eq(r->predicate_case, ATTESTD__V1__ATTEST_REQUEST__PREDICATE_PROVENANCE);
    ck_assert_str_eq(r->idempotency_key, "k");
}
END_TEST

START_TEST(test_an_empty_message_is_one) {
    ProtobufCMessage *m = NULL;
    ck_assert_ptr_null(unpack(ATTEST, (struct bytes){NULL, 0}, &m));
    ck_assert_str_eq(((Attestd__V1__AttestRequest *)m)->idempotency_key, "");
    struct bytes wire;
    ck_assert_ptr_null(msg_pack(&arena, m, &wire));
    ck_assert_uint_eq(wire.len, 0);
}
END_TEST

static const struct {
    const char *name;
    const type *t;
    struct bytes wire;
} refused[] = {
    {"tag cut short", ATTEST, BYTES_LIT("\x80")},
    {"field number 0", ATTEST, BYTES_LIT("\x02\x00")},
    {"field number of 30 bits", ATTEST, BYTES_LIT("\x80\x80\x80\x80\x10\x00")},
    {"tag in six octets", ATTEST, BYTES_LIT("\xaa\x80\x80\x80\x80\x00\x00")},
    {"length in six octets", ATTEST, BYTES_LIT("\x2a\x80\x80\x80\x80\x80\x00")},
    {"length of 2^31", ATTEST, BYTES_LIT("\x2a\x80\x80\x80\x80\x08")},
    {"length missing", ATTEST, BYTES_LIT("\x2a")},
    {"value missing", ATTEST, BYTES_LIT("\x2a\x01")},
    {"length past the inner end", ATTEST, BYTES_LIT("\x0a\x02\x0a\x01\x41")},
    {"group", ATTEST, BYTES_LIT("\x7b\x7c")},
    {"end of a group", ATTEST, BYTES_LIT("\x7c")},
    {"wire type 6", ATTEST, BYTES_LIT("\x7e")},
    {"wire type 7", ATTEST, BYTES_LIT("\x7f")},
    {"unknown 64-bit cut short", ATTEST, BYTES_LIT("\x79\1\2\3\4\5\6\7")},
    {"unknown 32-bit cut short", ATTEST, BYTES_LIT("\x7d\1\2\3")},
    {"unknown varint without end", ATTEST, BYTES_LIT("\x78\x80\x80")},
    {"unknown varint of 65 bits", ATTEST,
     BYTES_LIT("\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")},
    {"unknown varint of 11 octets", ATTEST,
     BYTES_LIT("\x78\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
    {"NUL in a string", ATTEST,
     BYTES_LIT("\x2a\x03"
               "a\0b")},
    {"NUL at the end of a string", ATTEST,
     BYTES_LIT("\x2a\x02"
               "a\0")},
    {"continuation octet alone", ATTEST, BYTES_LIT("\x2a\x01\x80")},
    {"overlong form", ATTEST, BYTES_LIT("\x2a\x02\xc0\xaf")},
    {"surrogate", ATTEST, BYTES_LIT("\x2a\x03\xed\xa0\x80")},
    {"character cut short", ATTEST, BYTES_LIT("\x2a\x02\xe2\x82")},
    {"bad UTF-8 in a map's key", DESCRIPTOR, BYTES_LIT("\x1a\x03\x0a\x01\xff")},
    {"NUL in a map's value", DESCRIPTOR,
     BYTES_LIT("\x1a\x06\x0a\x01"
               "a\x12\x01\0")},
    {"string as varint", ATTEST, BYTES_LIT("\x28\x01")},
    {"string as 64-bit", ATTEST, BYTES_LIT("\x29\1\2\3\4\5\6\7\x08")},
    {"message as varint", ATTEST, BYTES_LIT("\x08\x01")},
    {"bool as string", DECIDE, BYTES_LIT("\x22\x01\x01")},
    {"enum as 32-bit", RULE, BYTES_LIT("\x1d\1\0\0\0")},
    {"double as varint", VALUE, BYTES_LIT("\x10\x01")},
    {"packed element without end", RULE, BYTES_LIT("\x32\x02\x01\x80")},
    {"unpacked element as 32-bit", RULE, BYTES_LIT("\x35\1\0\0\0")},
    {"the same key twice", DESCRIPTOR, BYTES_LIT("\x1a\x03\x0a\x01\x61\x1a\x03\x0a\x01\x61")},
    {"the same key apart", DESCRIPTOR,
     BYTES_LIT("\x1a\x03\x0a\x01\x61\x1a\x03\x0a\x01\x62\x0a\x01n\x1a\x03\x0a\x01\x61")},
    {"no key twice", DESCRIPTOR, BYTES_LIT("\x1a\x00\x1a\x00")},
    {"an empty key and none", DESCRIPTOR, BYTES_LIT("\x1a\x02\x0a\x00\x1a\x00")},
    {"the same key below", DECIDE, BYTES_LIT("\x0a\x0a\x1a\x03\x0a\x01\x61\x1a\x03\x0a\x01\x61")},
    {"the same key in a Struct", DESCRIPTOR,
     BYTES_LIT("\x3a\x0a\x0a\x03\x0a\x01\x61\x0a\x03\x0a\x01\x61")},
    {"a singular message twice", DECIDE, BYTES_LIT("\x0a\x00\x0a\x00")},
    {"a oneof's message twice", ATTEST, BYTES_LIT("\x12\x00\x12\x00")},
    {"a oneof's message again", ATTEST, BYTES_LIT("\x12\x00\x22\x00\x12\x00")},
    {"a map's value twice", STRUCT, BYTES_LIT("\x0a\x04\x12\x00\x12\x00")},
};

START_TEST(test_malformed_octets_are_refused) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_malformed(refused[i].name, refused[i].t, refused[i].wire);
}
END_TEST

START_TEST(test_unknown_fields_are_stepped_over) {
    /* 15: varint, 64-bit, octets that are no UTF-8 and look like a group, 32-bit */
    struct bytes wire =
        BYTES_LIT("\x78\xff\x01\x79\1\2\3\4\5\6\7\x08\x7a\x03\x7b\xff\0\x7d\1\2\3\4\x32\x01k");
    ProtobufCMessage *m = NULL;
    ck_assert_ptr_null(unpack(ATTEST, wire, &m));
    ck_assert_str_eq(((Attestd__V1__AttestRequest *)m)->idempotency_key, "k");
}
END_TEST

/* SPEC proto-encoding packed: "parsers must be able to parse repeated fields that were compiled as
 * packed as if they were not packed, and vice versa" */
START_TEST(test_repeated_numbers_come_packed_and_not) {
    ProtobufCMessage *m = NULL;
    ck_assert_ptr_null(unpack(RULE, BYTES_LIT("\x30\x07\x32\x03\x01\xac\x02\x30\x08"), &m));
    const Attestd__V1__RuleResult *r = (const Attestd__V1__RuleResult *)m;
    ck_assert_uint_eq(r->n_evidence, 4);
    ck_assert_uint_eq(r->evidence[0], 7);
    ck_assert_uint_eq(r->evidence[2], 300);
    ck_assert_uint_eq(r->evidence[3], 8);
}
END_TEST

START_TEST(test_of_a_oneof_the_last_member_counts) {
    ProtobufCMessage *m = NULL;
    struct bytes wire = BYTES_LIT(
        "\x12\x05\x0a\x03"
        "abc\x22\x02{}");
    ck_assert_ptr_null(unpack(ATTEST, wire, &m));
    const Attestd__V1__AttestRequest *r = (const Attestd__V1__AttestRequest *)m;
    ck_assert_int_eq(r->predicate_case, ATTESTD__V1__ATTEST_REQUEST__PREDICATE_JSON_BYTES);
    ck_assert_uint_eq(r->json_bytes.len, 2);
}
END_TEST

/* --- depth */

/* nested wraps `inner` in `levels` fields, whose one-octet tags are `tags` in turn, innermost
 * first. */
static struct bytes nested(struct bytes tags, size_t levels, struct bytes inner) {
    size_t max = inner.len + levels * 8;
    uint8_t *data = arena_alloc(&arena, max);
    size_t at = max - inner.len;
    memcpy(data + at, inner.data, inner.len);
    for (size_t i = 0; i < levels; i++) {
        uint8_t head[8];
        struct buf b = {.data = head, .cap = sizeof head, .max = sizeof head};
        buf_put_u8(&b, tags.data[i % tags.len]);
        varint_put(&b, max - at);
        at -= b.len;
        memcpy(data + at, head, b.len);
    }
    return (struct bytes){data + at, max - at};
}

/* struct_nested is the Struct of {"":{"":…{}}} with `levels` objects: around each inner one
 * Value.struct_value, FieldsEntry.value, Struct.fields. */
static struct bytes struct_nested(size_t levels) {
    return nested(BYTES_LIT("\x2a\x12\x0a"), (levels - 1) * 3, BYTES_LIT(""));
}

START_TEST(test_depth_is_counted_as_jsons) {
    ProtobufCMessage *m = NULL;
    ck_assert_ptr_null(unpack(STRUCT, struct_nested(MSG_DEPTH_MAX), &m));
    struct bytes json;
    ck_assert_ptr_null(msg_to_json(schema, &arena, m, &json));
    ck_assert_ptr_null(msg_from_json(schema, &arena, STRUCT, json, &m));
    struct bytes wire;
    ck_assert_ptr_null(msg_pack(&arena, m, &wire));
    ck_assert(bytes_equal(wire, struct_nested(MSG_DEPTH_MAX)));
    assert_malformed("one level more", STRUCT, struct_nested(MSG_DEPTH_MAX + 1));
}
END_TEST

START_TEST(test_messages_nested_100000_deep_are_refused) {
    const size_t deep = 100000;
    assert_malformed("lists in lists", VALUE, nested(BYTES_LIT("\x0a\x32"), deep, BYTES_LIT("")));
    assert_malformed("objects in objects", STRUCT, struct_nested(deep));
    assert_malformed("where a request holds them", ATTEST,
                     nested(BYTES_LIT("\x1a"), 1, struct_nested(deep)));
    /* An unknown field is octets: what it holds nests for nobody. */
    ProtobufCMessage *m = NULL;
    ck_assert_ptr_null(unpack(ATTEST, nested(BYTES_LIT("\x7a"), deep, BYTES_LIT("")), &m));
}
END_TEST

/* --- bounds */

START_TEST(test_the_number_of_fields_is_bounded) {
    struct msg_limits limits = {.depth_max = 4, .fields_max = 3};
    struct bytes three = BYTES_LIT("\x32\x02\x01\x02"), four = BYTES_LIT("\x32\x03\x01\x02\x03");
    ck_assert_ptr_null(msg_check(schema, RULE, three, &limits));
    CLEANUP(error_freep) struct error *packed = msg_check(schema, RULE, four, &limits);
    ck_assert_int_eq(error_reason(packed), REASON_MALFORMED_MESSAGE);
    CLEANUP(error_freep)
    struct error *fields = msg_check(schema, RULE, BYTES_LIT("\x40\0\x40\0\x40\0\x40\0"), &limits);
    ck_assert_int_eq(error_reason(fields), REASON_MALFORMED_MESSAGE);
}
END_TEST

START_TEST(test_a_full_arena_is_told_apart_from_malformed_octets) {
    struct bytes wire = full_request();
    for (size_t max = 0; max < 4096; max += 16) {
        struct arena small;
        arena_init(&small, max);
        ProtobufCMessage *m = NULL;
        CLEANUP(error_freep)
        struct error *err = msg_unpack(schema, &small, ATTEST, wire, &MSG_LIMITS_DEFAULT, &m);
        arena_done(&small);
        if (err == NULL) continue;
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        ck_assert_int_eq(error_reason(err), REASON_MESSAGE_TOO_LARGE);
        ck_assert_uint_lt(max, 4000);
    }
}
END_TEST

START_TEST(test_amplification_ends_at_the_arenas_bound) {
    /* 20,000 octets of empty subjects want 34 times as much. */
    struct buf b;
    buf_init_arena(&b, &arena, 1 << 20);
    for (size_t i = 0; i < 10000; i++) buf_put(&b, BYTES_LIT("\x0a\x00"));
    struct arena small;
    arena_init(&small, 32 << 10);
    ProtobufCMessage *m = NULL;
    CLEANUP(error_freep)
    struct error *err = msg_unpack(schema, &small, ATTEST, buf_bytes(&b), &MSG_LIMITS_DEFAULT, &m);
    arena_done(&small);
    ck_assert_int_eq(error_reason(err), REASON_MESSAGE_TOO_LARGE);
}
END_TEST

START_TEST(test_many_keys_are_compared_in_time) {
    struct buf b;
    buf_init_arena(&b, &arena, 4 << 20);
    for (unsigned i = 0; i < 50000; i++) {
        buf_put(&b, BYTES_LIT("\x1a\x07\x0a\x05"));
        buf_printf(&b, "%05u", i * 7919 % 50000);
    }
    ProtobufCMessage *m = NULL;
    struct arena large;
    arena_init(&large, 64 << 20);
    ck_assert_ptr_null(
        msg_unpack(schema, &large, DESCRIPTOR, buf_bytes(&b), &MSG_LIMITS_DEFAULT, &m));
    buf_put(&b, BYTES_LIT("\x1a\x07\x0a\x05"
                          "00777"));
    CLEANUP(error_freep)
    struct error *err =
        msg_unpack(schema, &large, DESCRIPTOR, buf_bytes(&b), &MSG_LIMITS_DEFAULT, &m);
    arena_done(&large);
    ck_assert_int_eq(error_reason(err), REASON_MALFORMED_MESSAGE);
}
END_TEST

/* --- sweeps */

START_TEST(test_every_truncation_is_refused_or_whole) {
    struct bytes wire = full_request();
    size_t accepted = 0;
    for (size_t n = 0; n < wire.len; n++) {
        uint8_t *exact = malloc(n + 1); /* so that ASan sees a read too far */
        memcpy(exact, wire.data, n);
        ProtobufCMessage *m = NULL;
        struct bytes again;
        CLEANUP(error_freep) struct error *err = unpack(ATTEST, (struct bytes){exact, n}, &m);
        free(exact);
        if (err != NULL) {
            ck_assert_int_eq(error_reason(err), REASON_MALFORMED_MESSAGE);
            continue;
        }
        accepted++; /* between two fields of the outermost message */
        ck_assert_ptr_null(msg_pack(&arena, m, &again));
        ck_assert_uint_eq(again.len, n);
    }
    ck_assert_uint_eq(accepted, 3);
}
END_TEST

START_TEST(test_no_flipped_bit_crashes) {
    struct bytes wire = full_request();
    for (size_t i = 0; i < wire.len * 8; i++) {
        struct arena own;
        arena_init(&own, ARENA_MAX);
        struct bytes copy = arena_copy(&own, wire);
        ((uint8_t *)(uintptr_t)copy.data)[i / 8] ^= (uint8_t)(1 << (i % 8));
        ProtobufCMessage *m = NULL;
        CLEANUP(error_freep)
        struct error *err = msg_unpack(schema, &own, ATTEST, copy, &MSG_LIMITS_DEFAULT, &m);
        ck_assert(err == NULL || error_code(err) == ERROR_INVALID_ARGUMENT);
        arena_done(&own);
    }
}
END_TEST

static struct error *whole_way(struct bytes wire) {
    struct arena own;
    arena_init(&own, ARENA_MAX);
    ProtobufCMessage *m = NULL;
    struct bytes out = {0};
    struct error *err = msg_unpack(schema, &own, ATTEST, wire, &MSG_LIMITS_DEFAULT, &m);
    if (err == NULL) err = msg_pack(&own, m, &out);
    if (err == NULL) err = msg_to_json(schema, &own, m, &out);
    if (err == NULL) err = msg_from_json(schema, &own, ATTEST, out, &m);
    arena_done(&own);
    return err;
}

START_TEST(test_survives_every_allocation_failure) {
    struct bytes wire = full_request();
    (void)alloc_fail_after(-1);
    ck_assert_ptr_null(whole_way(wire));
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 1);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = whole_way(wire);
        (void)alloc_fail_after(-1);
        ck_assert_msg(err != NULL, "no error at allocation %ld", n);
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
    }
    for (long n = 0;; n++) {
        struct msg_schema *another = NULL;
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = msg_schema_new(&another);
        (void)alloc_fail_after(-1);
        msg_schema_free(another);
        if (err == NULL) break;
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
    }
}
END_TEST

/* --- google.rpc.Status */

static struct bytes put_status(const struct msg_status *status) {
    struct buf b;
    buf_init_arena(&b, &arena, 1 << 16);
    msg_put_status(&b, status);
    ck_assert_ptr_null(buf_finish(&b, "status"));
    return buf_bytes(&b);
}

START_TEST(test_a_status_round_trips_with_its_details) {
    struct msg_status in = {.code = 3,
                            .message = BYTES_LIT("bad"),
                            .reason = "INVALID_FIELD",
                            .field = "subject[0]",
                            .field_description = "no digest",
                            .retry_ms = 1500};
    struct msg_status back;
    ck_assert_ptr_null(msg_get_status(schema, &arena, put_status(&in), &back));
    ck_assert_int_eq(back.code, 3);
    ck_assert(bytes_equal(back.message, in.message));
    ck_assert_str_eq(back.reason, in.reason);
    ck_assert_str_eq(back.field, in.field);
    ck_assert_str_eq(back.field_description, in.field_description);
    ck_assert_uint_eq(back.retry_ms, 1500);

    struct msg_status bare = {.code = 13};
    ck_assert(bytes_equal(put_status(&bare), BYTES_LIT("\x08\x0d")));
    ck_assert_ptr_null(msg_get_status(schema, &arena, put_status(&bare), &back));
    ck_assert_str_eq(back.reason, "");
    ck_assert_uint_eq(back.retry_ms, 0);
}
END_TEST

START_TEST(test_a_status_has_the_octets_of_the_generated_message) {
    struct msg_status in = {.code = 9, .message = BYTES_LIT("m\xc3\xa9"), .reason = "R"};
    ProtobufCMessage *m = NULL;
    struct bytes again;
    ck_assert_ptr_null(unpack(STATUS, put_status(&in), &m));
    ck_assert_ptr_null(msg_pack(&arena, m, &again));
    ck_assert(bytes_equal(again, put_status(&in)));
    const Google__Rpc__Status *s = (const Google__Rpc__Status *)m;
    ck_assert_str_eq(s->details[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    struct bytes value = {s->details[0]->value.data, s->details[0]->value.len};
    ck_assert(bytes_equal(value, BYTES_LIT("\x0a\x01R\x12\x07"
                                           "attestd")));
}
END_TEST

START_TEST(test_a_status_is_utf8_whatever_it_quotes) {
    char huge[5000];
    memset(huge, 'x', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    struct msg_status in = {.code = 3,
                            .message = BYTES_LIT("a\xff\0b\xe2\x82"),
                            .reason = huge,
                            .field = "f\xc3",
                            .field_description = huge,
                            .retry_ms = UINT32_MAX};
    struct msg_status back;
    ck_assert_ptr_null(msg_get_status(schema, &arena, put_status(&in), &back));
    ck_assert(bytes_equal(back.message, BYTES_LIT("a??b??")));
    ck_assert_str_eq(back.field, "f?");
    ck_assert_uint_eq(strlen(back.reason), 1024);
}
END_TEST

START_TEST(test_details_of_others_are_passed_over) {
    struct msg_status back;
    /* an unknown type, an ErrorInfo of another domain, a RetryInfo without a delay */
    struct bytes wire = BYTES_LIT(
        "\x08\x05\x1a\x06\x0a\x04/a.b"
        "\x1a\x31\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x05"
        "\x0a\x03"
        "foo"
        "\x1a\x2a\x0a\x28type.googleapis.com/google.rpc.RetryInfo");
    ck_assert_ptr_null(msg_get_status(schema, &arena, wire, &back));
    ck_assert_int_eq(back.code, 5);
    ck_assert_str_eq(back.reason, "");
    ck_assert_uint_eq(back.retry_ms, 0);
    CLEANUP(error_freep)
    struct error *err = msg_get_status(schema, &arena, BYTES_LIT("\x12\x01\xff"), &back);
    ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(test_connect_details_are_type_and_unpadded_value) {
    struct buf b;
    buf_init_arena(&b, &arena, 4096);
    struct msg_status in = {.code = 8, .reason = "R", .retry_ms = 250};
    msg_put_connect_details(&b, &in);
    ck_assert(bytes_equal(buf_bytes(&b),
                          BYTES_LIT("[{\"type\":\"google.rpc.ErrorInfo\","
                                    "\"value\":\"CgFSEgdhdHRlc3Rk\"},"
                                    "{\"type\":\"google.rpc.RetryInfo\",\"value\":\"CgUQgOWadw\"}"
                                    "]")));
    buf_clear(&b);
    msg_put_connect_details(&b, &(struct msg_status){.code = 1});
    ck_assert(bytes_equal(buf_bytes(&b), BYTES_LIT("[]")));
}
END_TEST

/* --- descriptors */

static Google__Protobuf__FileDescriptorProto *parse_file(struct bytes octets) {
    Google__Protobuf__FileDescriptorProto *file =
        google__protobuf__file_descriptor_proto__unpack(NULL, octets.len, octets.data);
    ck_assert_ptr_nonnull(file);
    return file;
}

START_TEST(test_a_file_comes_first_with_all_its_imports_behind) {
    struct bytes files[MSG_FILES_MAX];
    size_t n = msg_file_by_name(schema, BYTES_LIT("attestd/v1/attestations.proto"), files);
    static const char *const want[] = {
        "attestd/v1/attestations.proto", "attestd/v1/resource.proto",
        "google/protobuf/struct.proto",  "google/protobuf/timestamp.proto",
        "google/rpc/status.proto",       "google/protobuf/any.proto"};
    ck_assert_uint_eq(n, sizeof want / sizeof *want);
    for (size_t i = 0; i < n; i++) {
        Google__Protobuf__FileDescriptorProto *file = parse_file(files[i]);
        ck_assert_str_eq(file->name, want[i]);
        google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
    }
    ck_assert_uint_eq(msg_file_by_name(schema, BYTES_LIT("attestd/v1/none.proto"), files), 0);
}
END_TEST

START_TEST(test_symbols_lead_to_their_file) {
    static const char *const found[][2] = {
        {"attestd.v1.Gate", "attestd/v1/gate.proto"},
        {"attestd.v1.Gate.Decide", "attestd/v1/gate.proto"},
        {"attestd.v1.DecideBatchResponse.Item", "attestd/v1/gate.proto"},
        {"attestd.v1.DecideResponse.Decision", "attestd/v1/gate.proto"},
        {"attestd.v1.DecideResponse.ALLOW", "attestd/v1/gate.proto"},
        {"attestd.v1.DecideResponse.guidance", "attestd/v1/gate.proto"},
        {"google.rpc.BadRequest.FieldViolation.field", "google/rpc/error_details.proto"},
        {"google.protobuf.Timestamp", "google/protobuf/timestamp.proto"},
        {"grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"},
        {"grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"},
    };
    struct bytes files[MSG_FILES_MAX];
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        size_t n = msg_file_by_symbol(schema, bytes_of_cstr(found[i][0]), files);
        ck_assert_msg(n > 0, "%s not found", found[i][0]);
        Google__Protobuf__FileDescriptorProto *file = parse_file(files[0]);
        ck_assert_str_eq(file->name, found[i][1]);
        google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
    }
    static const char *const missing[] = {"",
                                          "attestd.v1",
                                          "attestd.v1.",
                                          "attestd.v1.Gat",
                                          "attestd.v1.Gate.",
                                          "attestd.v1.Gate.Decid",
                                          "attestd.v1.DecideRequest.none",
                                          "attestd.v1.DecideRequest.subject.name",
                                          ".attestd.v1.Gate"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        ck_assert_uint_eq(msg_file_by_symbol(schema, bytes_of_cstr(missing[i]), files), 0);
    ck_assert(msg_has_message(schema, BYTES_LIT("attestd.v1.AttestBatchResponse.Item")));
    ck_assert(!msg_has_message(schema, BYTES_LIT("attestd.v1.Gate")));
    ck_assert(!msg_has_message(schema, BYTES_LIT("attestd.v1.DecideResponse.Decision")));
}
END_TEST

START_TEST(test_services_and_methods_are_listed) {
    size_t services = 0, methods = 0, streams = 0, safe = 0;
    (void)msg_services(schema, &services);
    const struct msg_method *m = msg_methods(schema, &methods);
    ck_assert_uint_eq(services, 9);
    for (size_t i = 0; i < methods; i++) {
        if (m[i].server_streaming) streams++;
        if (m[i].no_side_effects) safe++;
        ck_assert_ptr_nonnull(msg_type_by_name(schema, bytes_of_text(m[i].input)));
        ck_assert_ptr_nonnull(msg_type_by_name(schema, bytes_of_text(m[i].output)));
    }
    ck_assert_uint_eq(methods, 21);
    ck_assert_uint_eq(streams, 4); /* two Watch, two reflections */
    ck_assert_uint_eq(safe, 8);
    ck_assert(bytes_equal(bytes_of_text(m[0].path), BYTES_LIT("/attestd.v1.Admin/CreateToken")));
}
END_TEST

/* collect_missing counts the messages of one level that have no type. */
static size_t count_missing(const char *prefix, Google__Protobuf__DescriptorProto **messages,
                            size_t count) {
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        char name[256];
        (void)snprintf(name, sizeof name, "%s.%s", prefix, messages[i]->name);
        if (msg_type_by_name(schema, bytes_of_cstr(name)) == NULL) {
            ck_assert_msg(strncmp(name, "google.protobuf.", 16) == 0, "no type for %s", name);
            missing++;
        }
        missing += count_missing(name, messages[i]->nested_type, messages[i]->n_nested_type);
    }
    return missing;
}

START_TEST(test_every_message_of_proto_has_a_type) {
    size_t methods = 0;
    const struct msg_method *m = msg_methods(schema, &methods);
    for (size_t i = 0; i < methods; i++) {
        struct bytes files[MSG_FILES_MAX];
        size_t n = msg_file_by_symbol(schema, bytes_of_text(m[i].input), files);
        ck_assert_uint_gt(n, 0);
        for (size_t k = 0; k < n; k++) {
            Google__Protobuf__FileDescriptorProto *file = parse_file(files[k]);
            (void)count_missing(file->package, file->message_type, file->n_message_type);
            google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
        }
    }
}
END_TEST

static Suite *msg_suite(void) {
    Suite *s = suite_create("msg");
    TCase *tc = tcase_create("msg");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_a_message_round_trips);
    tcase_add_test(tc, test_an_empty_message_is_one);
    tcase_add_test(tc, test_malformed_octets_are_refused);
    tcase_add_test(tc, test_unknown_fields_are_stepped_over);
    tcase_add_test(tc, test_repeated_numbers_come_packed_and_not);
    tcase_add_test(tc, test_of_a_oneof_the_last_member_counts);
    tcase_add_test(tc, test_depth_is_counted_as_jsons);
    tcase_add_test(tc, test_messages_nested_100000_deep_are_refused);
    tcase_add_test(tc, test_the_number_of_fields_is_bounded);
    tcase_add_test(tc, test_a_full_arena_is_told_apart_from_malformed_octets);
    tcase_add_test(tc, test_amplification_ends_at_the_arenas_bound);
    tcase_add_test(tc, test_many_keys_are_compared_in_time);
    tcase_add_test(tc, test_every_truncation_is_refused_or_whole);
    tcase_add_test(tc, test_no_flipped_bit_crashes);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    tcase_add_test(tc, test_a_status_round_trips_with_its_details);
    tcase_add_test(tc, test_a_status_has_the_octets_of_the_generated_message);
    tcase_add_test(tc, test_a_status_is_utf8_whatever_it_quotes);
    tcase_add_test(tc, test_details_of_others_are_passed_over);
    tcase_add_test(tc, test_connect_details_are_type_and_unpadded_value);
    tcase_add_test(tc, test_a_file_comes_first_with_all_its_imports_behind);
    tcase_add_test(tc, test_symbols_lead_to_their_file);
    tcase_add_test(tc, test_services_and_methods_are_listed);
    tcase_add_test(tc, test_every_message_of_proto_has_a_type);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(msg_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
