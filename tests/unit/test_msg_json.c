#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "attestd/v1/attestations.pb-c.h"
#include "attestd/v1/gate.pb-c.h"
#include "attestd/v1/lineage.pb-c.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "msg/msg.h"

#define ARENA_MAX ((size_t)16 << 20)
#define ATTEST &attestd__v1__attest_request__descriptor
#define ANSWER &attestd__v1__attest_response__descriptor
#define GET &attestd__v1__get_request__descriptor
#define LIST &attestd__v1__list_request__descriptor
#define DECIDE &attestd__v1__decide_request__descriptor
#define RULE &attestd__v1__rule_result__descriptor
#define TRACE &attestd__v1__trace_request__descriptor
#define DESCRIPTOR &attestd__v1__resource_descriptor__descriptor
#define STRUCT &google__protobuf__struct__descriptor
#define VALUE &google__protobuf__value__descriptor
#define LIST_VALUE &google__protobuf__list_value__descriptor
#define TIMESTAMP &google__protobuf__timestamp__descriptor
#define DURATION &google__protobuf__duration__descriptor
#define ANY &google__protobuf__any__descriptor
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

static void assert_no_error(struct error *err, const char *about) {
    char text[512] = "";
    if (err != NULL) error_text(err, text, sizeof text);
    ck_assert_msg(err == NULL, "%s: %s", about, text);
}

static const char *print(const ProtobufCMessage *m, const char *about) {
    struct bytes json;
    assert_no_error(msg_to_json(schema, &arena, m, &json), about);
    return (const char *)arena_copy(&arena, json).data;
}

static ProtobufCMessage *parse(const type *t, const char *json) {
    ProtobufCMessage *m = NULL;
    assert_no_error(msg_from_json(schema, &arena, t, bytes_of_cstr(json), &m), json);
    return m;
}

static const struct {
    const type *t;
    const char *in;
    const char *canonical; /* NULL: as `in` */
} accepted[] = {
    /* names: lowerCamelCase and original; defaults are printed, oneofs and messages not */
    {LIST, "{}",
     "{\"digest\":\"\",\"predicateType\":\"\",\"asOfTreeSize\":\"0\",\"includeReceipts\":false,"
     "\"pageSize\":0,\"pageToken\":\"\"}"},
    {LIST, "{\"as_of_tree_size\":\"18446744073709551615\",\"include_receipts\":true}",
     "{\"digest\":\"\",\"predicateType\":\"\",\"asOfTreeSize\":\"18446744073709551615\","
     "\"includeReceipts\":true,\"pageSize\":0,\"pageToken\":\"\"}"},
    {ATTEST, "{}", "{\"subject\":[],\"predicateType\":\"\",\"idempotencyKey\":\"\"}"},
    {DESCRIPTOR, "{}",
     "{\"name\":\"\",\"uri\":\"\",\"digest\":{},\"content\":\"\",\"downloadLocation\":\"\","
     "\"mediaType\":\"\"}"},
    {GET, "{}", NULL},
    {GET, "{\"index\":\"0\"}", NULL},
    {GET, "{\"index\":0}", "{\"index\":\"0\"}"},
    {GET, "{\"leafHash\":\"\"}", NULL},
    /* null is unset */
    {GET, "{\"index\":null,\"leafHash\":\"AA==\"}", "{\"leafHash\":\"AA==\"}"},
    {ATTEST, "{\"subject\":null,\"provenance\":null,\"json\":{},\"predicateType\":null}",
     "{\"subject\":[],\"json\":{},\"predicateType\":\"\",\"idempotencyKey\":\"\"}"},
    {DECIDE, "{\"attributes\":null,\"dryRun\":null}",
     "{\"environment\":\"\",\"attributes\":{},\"dryRun\":false}"},
    /* numbers: as numbers, strings, and whole in any notation */
    {GET, "{\"index\":\"7\"}", NULL},
    {GET, "{\"index\":1e3}", "{\"index\":\"1000\"}"},
    {GET, "{\"index\":1.0}", "{\"index\":\"1\"}"},
    {GET, "{\"index\":\"1e3\"}", "{\"index\":\"1000\"}"},
    {GET, "{\"index\":-0}", "{\"index\":\"0\"}"},
    {GET, "{\"index\":-0.0}", "{\"index\":\"0\"}"},
    /* octets: both alphabets, padding optional */
    {GET, "{\"leafHash\":\"-_-_\"}", "{\"leafHash\":\"+/+/\"}"},
    {GET, "{\"leafHash\":\"+/8\"}", "{\"leafHash\":\"+/8=\"}"},
    /* enums: by name, by number, and a number that nobody knows */
    {RULE, "{\"result\":\"EXEMPT\",\"evidence\":[1,\"2\"]}",
     "{\"policy\":\"\",\"rule\":\"\",\"result\":\"EXEMPT\",\"expected\":\"\",\"observed\":\"\","
     "\"evidence\":[\"1\",\"2\"],\"guidance\":\"\",\"warnOnly\":false}"},
    {TRACE, "{\"direction\":2}",
     "{\"digest\":\"\",\"direction\":\"DOWN\",\"depth\":0,\"asOfTreeSize\":\"0\",\"kinds\":[],"
     "\"pageSize\":0,\"pageToken\":\"\"}"},
    {TRACE, "{\"direction\":77,\"kinds\":[\"a\"]}",
     "{\"digest\":\"\",\"direction\":77,\"depth\":0,\"asOfTreeSize\":\"0\",\"kinds\":[\"a\"],"
     "\"pageSize\":0,\"pageToken\":\"\"}"},
    /* maps */
    {DECIDE, "{\"attributes\":{\"a\":\"\",\"\":\"b\"}}",
     "{\"environment\":\"\",\"attributes\":{\"a\":\"\",\"\":\"b\"},\"dryRun\":false}"},
    /* Struct, Value, ListValue: the JSON they stand for, empty strings and nulls with it */
    {STRUCT, "{\"a\":null,\"b\":[null,[],{},\"\",true,-1.5],\"\":{\"x\":\"\\u00e9\\n\"}}",
     "{\"a\":null,\"b\":[null,[],{},\"\",true,-1.5],\"\":{\"x\":\"\xc3\xa9\\n\"}}"},
    {VALUE, "null", NULL},
    {VALUE, "\"\"", NULL},
    {VALUE, "1e2", "100"},
    {VALUE, "9007199254740993", "9007199254740992"}, /* numbers are doubles */
    {VALUE, "1e20", "1.0000000000000000e+20"},       /* as an integer it would be over 64 bits */
    {VALUE, "-9223372036854775808", "-9.2233720368547758e+18"},
    {VALUE, "1e21", "1e+21"},
    {LIST_VALUE, "[1,2]", NULL},
    {DESCRIPTOR, "{\"annotations\":{}}",
     "{\"name\":\"\",\"uri\":\"\",\"digest\":{},\"content\":\"\",\"downloadLocation\":\"\","
     "\"mediaType\":\"\",\"annotations\":{}}"},
    /* times */
    {TIMESTAMP, "\"2026-01-02T03:04:05Z\"", NULL},
    {TIMESTAMP, "\"2026-01-02T03:04:05.1+01:00\"", "\"2026-01-02T02:04:05.100Z\""},
    {TIMESTAMP, "\"0001-01-01T00:00:00Z\"", NULL},
    {TIMESTAMP, "\"9999-12-31T23:59:59.999999999Z\"", NULL},
    {DURATION, "\"0s\"", NULL},
    {DURATION, "\"-0.5s\"", "\"-0.500s\""},
    {DURATION, "\"1.000001s\"", NULL},
    {DURATION, "\"1.000000001s\"", NULL},
    {DURATION, "\"-315576000000.999999999s\"", NULL},
    /* Any of the three details; the type need not come first */
    {STATUS,
     "{\"code\":3,\"details\":[{\"reason\":\"R\",\"@type\":"
     "\"type.googleapis.com/google.rpc.ErrorInfo\"}]}",
     "{\"code\":3,\"message\":\"\",\"details\":[{\"@type\":"
     "\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"R\",\"domain\":\"\","
     "\"metadata\":{}}]}"},
    {ANY, "{\"@type\":\"x/google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"}", NULL},
    {ANY, "{\"@type\":\"x/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"f\"}]}",
     "{\"@type\":\"x/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"f\","
     "\"description\":\"\"}]}"},
};

START_TEST(test_json_is_read_and_printed_canonically) {
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const char *want = accepted[i].canonical == NULL ? accepted[i].in : accepted[i].canonical;
        ProtobufCMessage *m = parse(accepted[i].t, accepted[i].in);
        ck_assert_str_eq(print(m, accepted[i].in), want);
        ck_assert_str_eq(print(parse(accepted[i].t, want), want), want);
        /* the same through the wire */
        struct bytes wire;
        ck_assert_ptr_null(msg_pack(&arena, m, &wire));
        assert_no_error(msg_unpack(schema, &arena, accepted[i].t, wire, &MSG_LIMITS_DEFAULT, &m),
                        want);
        ck_assert_str_eq(print(m, want), want);
    }
}
END_TEST

static const struct {
    const char *name;
    const type *t;
    const char *json;
} refused[] = {
    {"no JSON", GET, ""},
    {"two values", GET, "{}{}"},
    {"no object", GET, "[]"},
    {"null for a message", GET, "null"},
    {"unknown name", GET, "{\"indeks\":1}"},
    {"another case", GET, "{\"Index\":1}"},
    {"unknown name with null", GET, "{\"indeks\":null}"},
    {"a name twice", GET, "{\"index\":1,\"index\":1}"},
    {"both names of a field", GET, "{\"leafHash\":\"\",\"leaf_hash\":\"\"}"},
    {"both names, one null", LIST, "{\"pageSize\":null,\"page_size\":1}"},
    {"two members of a oneof", GET, "{\"index\":1,\"leafHash\":\"\"}"},
    {"two members of a oneof in a request", ATTEST, "{\"json\":{},\"provenance\":{}}"},
    {"a key twice", DECIDE, "{\"attributes\":{\"a\":\"b\",\"a\":\"c\"}}"},
    {"a key twice by escape", DECIDE, "{\"attributes\":{\"a\":\"b\",\"\\u0061\":\"c\"}}"},
    {"a key twice in a Struct", STRUCT, "{\"a\":1,\"a\":2}"},
    {"NUL in a string", LIST, "{\"digest\":\"a\\u0000b\"}"},
    {"NUL in a key", DECIDE, "{\"attributes\":{\"a\\u0000\":\"b\"}}"},
    {"NUL in a Struct's key", STRUCT, "{\"a\\u0000\":1}"},
    {"NUL in a Value", VALUE, "\"\\u0000\""},
    {"lone surrogate", LIST, "{\"digest\":\"\\ud800\"}"},
    {"bad UTF-8", LIST, "{\"digest\":\"\xff\"}"},
    {"null in an array", RULE, "{\"evidence\":[null]}"},
    {"null in an array of messages", ATTEST, "{\"subject\":[null]}"},
    {"null in a map", DECIDE, "{\"attributes\":{\"a\":null}}"},
    {"number for a string", LIST, "{\"digest\":1}"},
    {"string for a bool", LIST, "{\"includeReceipts\":\"true\"}"},
    {"number for a bool", LIST, "{\"includeReceipts\":1}"},
    {"object for an array", ATTEST, "{\"subject\":{}}"},
    {"array for an object", DECIDE, "{\"attributes\":[]}"},
    {"array for a message", DECIDE, "{\"subject\":[]}"},
    {"string for an array", RULE, "{\"evidence\":\"1\"}"},
    {"negative for unsigned", GET, "{\"index\":-1}"},
    {"negative string for unsigned", GET, "{\"index\":\"-1\"}"},
    {"over 64 bits", GET, "{\"index\":\"18446744073709551616\"}"},
    {"over 64 bits as a double", GET, "{\"index\":1e20}"},
    {"over 32 bits", LIST, "{\"pageSize\":4294967296}"},
    {"a fraction", GET, "{\"index\":1.5}"},
    {"a fraction as string", GET, "{\"index\":\"1.5\"}"},
    {"an empty number", GET, "{\"index\":\"\"}"},
    {"space before a number", GET, "{\"index\":\" 1\"}"},
    {"space after a number", GET, "{\"index\":\"1 \"}"},
    {"hexadecimal", GET, "{\"index\":\"0x1\"}"},
    {"leading zero", GET, "{\"index\":\"01\"}"},
    {"plus sign", GET, "{\"index\":\"+1\"}"},
    {"object for a number", GET, "{\"index\":{}}"},
    {"array in a string for a number", GET, "{\"index\":\"[1]\"}"},
    {"NaN for an integer", GET, "{\"index\":\"NaN\"}"},
    {"unknown name of an enum", TRACE, "{\"direction\":\"SIDEWAYS\"}"},
    {"another case of an enum", TRACE, "{\"direction\":\"up\"}"},
    {"number of an enum as a fraction", TRACE, "{\"direction\":1.5}"},
    {"number of an enum over 32 bits", TRACE, "{\"direction\":2147483648}"},
    {"no base64", GET, "{\"leafHash\":\"!!\"}"},
    {"base64 cut short", GET, "{\"leafHash\":\"A\"}"},
    {"base64 with an object", GET, "{\"leafHash\":{}}"},
    {"time without zone", TIMESTAMP, "\"2026-01-02T03:04:05\""},
    {"time as number", TIMESTAMP, "1"},
    {"time as object", TIMESTAMP, "{\"seconds\":1}"},
    {"year 0", TIMESTAMP, "\"0000-12-31T23:59:59Z\""},
    {"year 10000", TIMESTAMP, "\"10000-01-01T00:00:00Z\""},
    {"offset past year 1", TIMESTAMP, "\"0001-01-01T00:00:00+01:00\""},
    {"30 February", TIMESTAMP, "\"2026-02-30T00:00:00Z\""},
    {"duration without unit", DURATION, "\"1\""},
    {"duration of nothing", DURATION, "\"s\""},
    {"duration of a sign", DURATION, "\"-s\""},
    {"duration of a point", DURATION, "\"1.s\""},
    {"duration with a plus", DURATION, "\"+1s\""},
    {"duration with two signs", DURATION, "\"--1s\""},
    {"duration with a sign behind the point", DURATION, "\"0.-5s\""},
    {"duration in ten digits", DURATION, "\"0.0000000001s\""},
    {"duration out of range", DURATION, "\"315576000001s\""},
    {"duration as number", DURATION, "1"},
    {"Any without a type", ANY, "{}"},
    {"Any of null type", ANY, "{\"@type\":null}"},
    {"Any of another type", ANY, "{\"@type\":\"x/google.protobuf.Struct\"}"},
    {"Any without a slash", ANY, "{\"@type\":\"google.rpc.ErrorInfo\"}"},
    {"Any with an unknown name", ANY, "{\"@type\":\"x/google.rpc.ErrorInfo\",\"value\":\"\"}"},
    {"Any that is no object", ANY, "[]"},
};

START_TEST(test_other_json_is_refused) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ProtobufCMessage *m = NULL;
        CLEANUP(error_freep)
        struct error *err =
            msg_from_json(schema, &arena, refused[i].t, bytes_of_cstr(refused[i].json), &m);
        ck_assert_msg(err != NULL, "accepted: %s", refused[i].name);
        ck_assert_ptr_null(m);
        ck_assert_msg(error_reason(err) == REASON_MALFORMED_MESSAGE, "%s: code %d", refused[i].name,
                      (int)error_code(err));
    }
}
END_TEST

START_TEST(test_the_path_is_in_the_error) {
    ProtobufCMessage *m = NULL;
    char text[256];
    CLEANUP(error_freep)
    struct error *err = msg_from_json(schema, &arena, ATTEST,
                                      BYTES_LIT("{\"subject\":[{},{\"digest\":{\"a\":1}}]}"), &m);
    ck_assert_ptr_nonnull(err);
    error_text(err, text, sizeof text);
    ck_assert_str_eq(text, "subject: [1]: digest: a: expected a string");
}
END_TEST

/* nested_json is `levels` of "[" and "]" around nothing. */
static struct bytes nested_json(size_t levels) {
    char *text = arena_alloc(&arena, levels * 2);
    memset(text, '[', levels);
    memset(text + levels, ']', levels);
    return (struct bytes){(const uint8_t *)text, levels * 2};
}

START_TEST(test_depth_is_bounded) {
    ProtobufCMessage *m = NULL;
    struct bytes wire;
    ck_assert_ptr_null(msg_from_json(schema, &arena, VALUE, nested_json(MSG_DEPTH_MAX), &m));
    ck_assert_ptr_null(msg_pack(&arena, m, &wire));
    ck_assert_ptr_null(msg_check(schema, VALUE, wire, &MSG_LIMITS_DEFAULT));
    static const size_t deep[] = {MSG_DEPTH_MAX + 1, 1000, 100000};
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        CLEANUP(error_freep)
        struct error *err = msg_from_json(schema, &arena, VALUE, nested_json(deep[i]), &m);
        ck_assert_msg(error_reason(err) == REASON_MALFORMED_MESSAGE, "depth %zu", deep[i]);
    }
}
END_TEST

static void assert_unprintable(const char *name, const ProtobufCMessage *m) {
    struct bytes json = {0};
    CLEANUP(error_freep) struct error *err = msg_to_json(schema, &arena, m, &json);
    ck_assert_msg(err != NULL, "printed: %s", name);
    ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
    ck_assert_ptr_null(json.data);
}

START_TEST(test_what_has_no_json_form_is_not_printed) {
    static const struct {
        int64_t seconds;
        int32_t nanos;
    } bad[] = {{INT64_C(-62135596801), 0},
               {INT64_C(253402300800), 0},
               {0, -1},
               {0, 1000000000},
               {INT64_MAX, 0},
               {INT64_MIN, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        t.seconds = bad[i].seconds;
        t.nanos = bad[i].nanos;
        assert_unprintable("time", &t.base);
    }
    Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
    d.seconds = INT64_C(315576000001);
    assert_unprintable("long duration", &d.base);
    d.seconds = INT64_MIN;
    assert_unprintable("longest duration", &d.base);
    d.seconds = 1;
    d.nanos = -1;
    assert_unprintable("duration of two signs", &d.base);
    d.seconds = 0;
    d.nanos = INT32_MIN;
    assert_unprintable("duration of too many nanoseconds", &d.base);

    /* SPEC struct.proto Value: "absence of any variant indicates an error" */
    Google__Protobuf__Value v = GOOGLE__PROTOBUF__VALUE__INIT;
    assert_unprintable("Value without a kind", &v.base);
    v.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    v.number_value = NAN;
    assert_unprintable("NaN", &v.base);
    v.number_value = -INFINITY;
    assert_unprintable("infinity", &v.base);

    char other[] = "type.googleapis.com/google.protobuf.Duration";
    char info[] = "type.googleapis.com/google.rpc.ErrorInfo";
    uint8_t octets[] = {0x0a, 0x01, 0xff};
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    assert_unprintable("Any without a type", &any.base);
    any.type_url = other;
    assert_unprintable("Any of another type", &any.base);
    any.type_url = info;
    any.value = (ProtobufCBinaryData){sizeof octets, octets};
    assert_unprintable("Any of malformed octets", &any.base);

    Google__Protobuf__Struct__FieldsEntry entry = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT;
    Google__Protobuf__Struct__FieldsEntry *entries[] = {&entry};
    Google__Protobuf__Struct s = GOOGLE__PROTOBUF__STRUCT__INIT;
    s.n_fields = 1;
    s.fields = entries;
    assert_unprintable("entry without a value", &s.base);
}
END_TEST

START_TEST(test_an_empty_string_in_a_oneof_survives_the_wire) {
    /* protobuf-c drops a oneof's string that is its own static empty one. */
    ProtobufCMessage *m = parse(STRUCT, "{\"a\":\"\"}");
    struct bytes wire;
    ck_assert_ptr_null(msg_pack(&arena, m, &wire));
    ck_assert(bytes_equal(wire, BYTES_LIT("\x0a\x07\x0a\x01"
                                          "a\x12\x02\x1a\x00")));
}
END_TEST

START_TEST(test_a_full_arena_is_no_fault_of_the_message) {
    static const char json[] =
        "{\"subject\":[{\"digest\":{\"sha256\":\"ab\"},\"content\":\"AAEC\"}],"
        "\"json\":{\"a\":[1,\"x\",null]},\"predicateType\":\"https://t\"}";
    bool fitted = false;
    for (size_t max = 0; max < 16384; max += 16) {
        struct arena small;
        arena_init(&small, max);
        ProtobufCMessage *m = NULL;
        struct bytes out;
        struct error *err = msg_from_json(schema, &small, ATTEST, bytes_of_cstr(json), &m);
        if (err == NULL) err = msg_to_json(schema, &small, m, &out);
        arena_done(&small);
        fitted = fitted || err == NULL;
        if (err != NULL) ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        error_free(err);
    }
    ck_assert(fitted);
}
END_TEST

static Suite *msg_json_suite(void) {
    Suite *s = suite_create("msg_json");
    TCase *tc = tcase_create("json");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_json_is_read_and_printed_canonically);
    tcase_add_test(tc, test_other_json_is_refused);
    tcase_add_test(tc, test_the_path_is_in_the_error);
    tcase_add_test(tc, test_depth_is_bounded);
    tcase_add_test(tc, test_what_has_no_json_form_is_not_printed);
    tcase_add_test(tc, test_an_empty_string_in_a_oneof_survives_the_wire);
    tcase_add_test(tc, test_a_full_arena_is_no_fault_of_the_message);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(msg_json_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
