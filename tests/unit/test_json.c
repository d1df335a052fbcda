/* Suite of pkg/json: JSONTestSuite and the RFC 8785 data replayed, limits, lookups, writing. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "json/json.h"

#define PARSING "../shared/conformance/json/parsing"
#define JCS_INPUT "../shared/conformance/json/jcs/input"
#define JCS_OUTPUT "../shared/conformance/json/jcs/output"
#define ARENA_MAX ((size_t)64 << 20)

static struct bytes read_file(struct arena *arena, const char *folder, const char *name) {
    char path[512];
    struct buf b;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    buf_init_arena(&b, arena, (size_t)8 << 20);
    for (;;) {
        uint8_t *room = buf_reserve(&b, 4096);
        ck_assert_ptr_nonnull(room);
        size_t n = fread(room, 1, 4096, f);
        buf_added(&b, n);
        if (n == 0) break;
    }
    (void)fclose(f);
    return buf_bytes(&b);
}

static struct error *parse(struct arena *arena, struct bytes text, struct json_value *out) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    return json_parse(arena, text, &limits, out);
}

/* The text form of `v`, in the arena: canonical, or in the tree's order. */
static struct bytes written(struct arena *arena, const struct json_value *v, bool canonical) {
    struct buf b;
    buf_init_arena(&b, arena, ARENA_MAX);
    struct json_writer w = json_writer_of(&b);
    if (canonical)
        json_put_jcs(&w, v);
    else
        json_put_value(&w, v);
    ck_assert_ptr_null(buf_finish(&b, "written"));
    return buf_bytes(&b);
}

static void expect_jcs(const char *text, const char *canonical) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(parse(&arena, bytes_of_cstr(text), &v));
    struct bytes got = written(&arena, &v, true);
    ck_assert_msg(bytes_equal(got, bytes_of_cstr(canonical)), "%s gave " BYTES_FMT ", not %s", text,
                  BYTES_ARG(got), canonical);
    arena_done(&arena);
}

static void expect_refused(struct bytes text, const struct json_limits *limits, const char *what) {
    struct arena arena;
    struct json_value v = {.type = JSON_BOOL};
    arena_init(&arena, ARENA_MAX);
    CLEANUP(error_freep) struct error *err = json_parse(&arena, text, limits, &v);
    ck_assert_msg(err != NULL, "accepted: %s", what);
    ck_assert_msg(error_code(err) == ERROR_INVALID_ARGUMENT, "%s: %s", what, error_message(err));
    ck_assert_int_eq(v.type, JSON_BOOL); /* untouched on failure */
    arena_done(&arena);
}

/* --- others' cases */

static bool refused_on_purpose(const char *name) {
    return strcmp(name, "y_object_duplicated_key.json") == 0 ||
           strcmp(name, "y_object_duplicated_key_and_value.json") == 0;
}

static void replay(const char *name, int counts[3]) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, ARENA_MAX);
    struct bytes text = read_file(&arena, PARSING, name);
    CLEANUP(error_freep) struct error *err = parse(&arena, text, &v);
    if (name[0] == 'y' && !refused_on_purpose(name))
        ck_assert_msg(err == NULL, "refused %s: %s", name, err == NULL ? "" : error_message(err));
    if (name[0] == 'n' || refused_on_purpose(name)) ck_assert_msg(err != NULL, "accepted %s", name);
    counts[name[0] == 'y' ? 0 : name[0] == 'n' ? 1 : 2]++;
    arena_done(&arena);
}

START_TEST(test_json_test_suite) {
    int counts[3] = {0};
    DIR *d = opendir(PARSING);
    ck_assert_msg(d != NULL, "no folder " PARSING);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (e->d_name[0] != '.') replay(e->d_name, counts);
    (void)closedir(d);
    ck_assert_int_eq(counts[0], 95); /* y_: all of the suite's; an emptied folder must not pass */
    ck_assert_int_eq(counts[1], 188);
    ck_assert_int_eq(counts[2], 35);
}
END_TEST

START_TEST(test_jcs_data_gives_equal_octets) {
    static const char *const names[] = {"arrays.json",  "french.json", "structures.json",
                                        "unicode.json", "values.json", "weird.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct arena arena;
        struct json_value v;
        arena_init(&arena, ARENA_MAX);
        struct bytes want = read_file(&arena, JCS_OUTPUT, names[i]);
        ck_assert_ptr_null(parse(&arena, read_file(&arena, JCS_INPUT, names[i]), &v));
        struct bytes got = written(&arena, &v, true);
        ck_assert_msg(bytes_equal(got, want), "%s: " BYTES_FMT, names[i], BYTES_ARG(got));
        arena_done(&arena);
    }
}
END_TEST

/* --- numbers. SPEC rfc8785 3.2.2.3; the table is its appendix B. */

static const struct {
    uint64_t bits;
    const char *text;
} numbers[] = {
    {0x0000000000000000, "0"},
    {0x8000000000000000, "0"},
    {0x0000000000000001, "5e-324"},
    {0x8000000000000001, "-5e-324"},
    {0x7fefffffffffffff, "1.7976931348623157e+308"},
    {0xffefffffffffffff, "-1.7976931348623157e+308"},
    {0x4340000000000000, "9007199254740992"},
    {0xc340000000000000, "-9007199254740992"},
    {0x4430000000000000, "295147905179352830000"},
    {0x44b52d02c7e14af5, "9.999999999999997e+22"},
    {0x44b52d02c7e14af6, "1e+23"},
    {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
    {0x444b1ae4d6e2ef4e, "999999999999999700000"},
    {0x444b1ae4d6e2ef4f, "999999999999999900000"},
    {0x444b1ae4d6e2ef50, "1e+21"},
    {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
    {0x3eb0c6f7a0b5ed8d, "0.000001"},
    {0x41b3de4355555553, "333333333.3333332"},
    {0x41b3de4355555554, "333333333.33333325"},
    {0x41b3de4355555555, "333333333.3333333"},
    {0x41b3de4355555556, "333333333.3333334"},
    {0x41b3de4355555557, "333333333.33333343"},
    {0xbecbf647612f3696, "-0.0000033333333333333333"},
    {0x43143ff3c1cb0959, "1424953923781206.2"},
};

static double double_of(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void put_double(double v, char out[64]) {
    struct buf b;
    buf_init(&b, 64);
    struct json_writer w = json_writer_of(&b);
    json_put_double(&w, v);
    ck_assert_ptr_null(buf_finish(&b, "number"));
    (void)snprintf(out, 64, BYTES_FMT, BYTES_ARG(buf_bytes(&b)));
    buf_done(&b);
}

START_TEST(test_doubles_are_written_as_ecmascript_does) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[64];
        put_double(double_of(numbers[i].bits), text);
        ck_assert_str_eq(text, numbers[i].text);
    }
}
END_TEST

START_TEST(test_doubles_read_back_as_they_were) {
    uint64_t state = 1;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        state = state * 6364136223846793005U + 1442695040888963407U;
        double v = double_of(state ^ (state >> 29));
        if (!(v - v == 0)) continue; /* not finite */
        put_double(v, text);
        double back = strtod(text, NULL);
        ck_assert_msg(back == v, "%s", text);
    }
}
END_TEST

START_TEST(test_readable_doubles_are_those_that_json_parse_reads) {
    static const double edges[] = {0x1p63,
                                   -0x1p63,
                                   0x1p64,
                                   -0x1p64,
                                   0x1.fffffffffffffp63,
                                   1e20,
                                   1e21,
                                   -1e21,
                                   1.5,
                                   1e300,
                                   -0x1.fffffffffffffp62,
                                   0x1p53,
                                   999999999999999900000.0};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        struct arena arena;
        struct json_value v;
        char text[64];
        arena_init(&arena, 4096);
        put_double(edges[i], text);
        CLEANUP(error_freep) struct error *err = parse(&arena, bytes_of_cstr(text), &v);
        ck_assert_msg((err == NULL) == json_double_is_readable(edges[i]), "%s", text);
        arena_done(&arena);
    }
    ck_assert(!json_double_is_readable(double_of(0x7ff0000000000000)));
    ck_assert(!json_double_is_readable(double_of(0x7ff8000000000000)));
}
END_TEST

START_TEST(test_integers_keep_all_digits) {
    expect_jcs("9007199254740993", "9007199254740993");
    expect_jcs("-9223372036854775808", "-9223372036854775808");
    expect_jcs("9223372036854775807", "9223372036854775807");
    expect_jcs("18446744073709551615", "18446744073709551615");
    expect_jcs("-0", "0");
    expect_jcs("-0.0", "0");
    expect_jcs("1.0", "1");
    expect_jcs("1E3", "1000");
}
END_TEST

/* --- what is refused */

static const struct {
    const char *what;
    struct bytes text;
} refused[] = {
    {"nothing", {NULL, 0}},
    {"blank", BYTES_LIT(" \n")},
    {"two values", BYTES_LIT("1 2")},
    {"byte-order mark", BYTES_LIT("\xef\xbb\xbf{}")},
    {"integer over uint64", BYTES_LIT("18446744073709551616")},
    {"integer under int64", BYTES_LIT("-9223372036854775809")},
    {"over double", BYTES_LIT("1e400")},
    {"lone high surrogate", BYTES_LIT("\"\\ud800\"")},
    {"high surrogate and letter", BYTES_LIT("\"\\ud800\\u0041\"")},
    {"two high surrogates", BYTES_LIT("\"\\ud800\\ud800\"")},
    {"lone low surrogate", BYTES_LIT("\"\\udc00\"")},
    {"surrogate in UTF-8", BYTES_LIT("\"\xed\xa0\x80\"")},
    {"overlong", BYTES_LIT("\"\xc0\x80\"")},
    {"NUL behind", BYTES_LIT("{}\0")},
    {"raw NUL in a string", BYTES_LIT("\"a\0b\"")},
    /* SPEC rfc8259 4 */
    {"repeated name", BYTES_LIT("{\"a\":1,\"a\":1}")},
    {"repeated name, escaped", BYTES_LIT("{\"a\":1,\"\\u0061\":2}")},
    {"repeated name, deep", BYTES_LIT("[{\"x\":{\"\":1,\"b\":2,\"\":3}}]")},
    {"NaN", BYTES_LIT("NaN")},
    {"comment", BYTES_LIT("{}//")},
    {"single quotes", BYTES_LIT("{'a':1}")},
};

START_TEST(test_refused) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_refused(refused[i].text, &limits, refused[i].what);
}
END_TEST

#define DOCUMENT                                                                                   \
    "{\"a\":[1,-2,18446744073709551615,1.5e3,true,false,null],\"b\":{\"\\u0000\\ud83d\\ude00\":\"" \
    "\xc3\xa9\\n\"},\"c\":\"\"}"

START_TEST(test_every_truncation_is_refused) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    for (size_t n = 0; n < sizeof DOCUMENT - 1; n++)
        expect_refused((struct bytes){(const uint8_t *)DOCUMENT, n}, &limits, "a prefix");
}
END_TEST

static void nest(struct buf *b, size_t depth, const char *open, const char *close) {
    buf_clear(b);
    for (size_t i = 0; i < depth; i++) buf_put_cstr(b, open);
    for (size_t i = 0; i < depth; i++) buf_put_cstr(b, close);
}

START_TEST(test_depth_is_bounded) {
    struct json_limits limits = {.depth_max = 64, .octets_max = 4096};
    struct arena arena;
    struct json_value v;
    struct buf b;
    buf_init(&b, 1 << 20);
    arena_init(&arena, ARENA_MAX);
    nest(&b, 64, "[", "]");
    ck_assert_ptr_null(json_parse(&arena, buf_bytes(&b), &limits, &v));
    nest(&b, 65, "[", "]");
    expect_refused(buf_bytes(&b), &limits, "65 arrays");
    buf_clear(&b);
    for (int i = 0; i < 65; i++) buf_put_cstr(&b, "{\"a\":");
    buf_put_u8(&b, '1');
    for (int i = 0; i < 65; i++) buf_put_u8(&b, '}');
    expect_refused(buf_bytes(&b), &limits, "65 objects");
    limits.octets_max = 1 << 20;
    limits.depth_max = JSON_DEPTH_CAP;
    nest(&b, 100000, "[", "]");
    expect_refused(buf_bytes(&b), &limits, "100,000 arrays");
    nest(&b, JSON_DEPTH_CAP, "[", "]");
    ck_assert_ptr_null(json_parse(&arena, buf_bytes(&b), &limits, &v));
    ck_assert(bytes_equal(written(&arena, &v, true), buf_bytes(&b)));
    arena_done(&arena);
    buf_done(&b);
}
END_TEST

START_TEST(test_size_is_bounded) {
    struct json_limits limits = {.depth_max = 4, .octets_max = 3};
    struct arena arena;
    struct json_value v;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(json_parse(&arena, BYTES_LIT("123"), &limits, &v));
    expect_refused(BYTES_LIT("1234"), &limits, "four octets");
    arena_done(&arena);
}
END_TEST

/* --- trees */

START_TEST(test_parse_gives_every_type) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(parse(&arena, BYTES_LIT(DOCUMENT), &v));
    ck_assert_int_eq(v.type, JSON_OBJECT);
    ck_assert_uint_eq(v.object.count, 3);
    ck_assert_int_eq(json_at(&v, BYTES_LIT("a.0"))->integer, 1);
    ck_assert_int_eq(json_at(&v, BYTES_LIT("a.1"))->integer, -2);
    ck_assert_int_eq(json_at(&v, BYTES_LIT("a.2"))->type, JSON_UINT);
    ck_assert_uint_eq(json_at(&v, BYTES_LIT("a.2"))->unsigned_integer, UINT64_MAX);
    ck_assert(json_at(&v, BYTES_LIT("a.3"))->number == 1500);
    ck_assert(json_at(&v, BYTES_LIT("a.4"))->boolean);
    ck_assert_int_eq(json_at(&v, BYTES_LIT("a.5"))->type, JSON_BOOL);
    ck_assert_int_eq(json_at(&v, BYTES_LIT("a.6"))->type, JSON_NULL);
    const struct json_member *m = &json_get(&v, "b")->object.members[0];
    ck_assert(bytes_equal(m->name, BYTES_LIT("\0\xf0\x9f\x98\x80"))); /* octets, NUL and all */
    ck_assert(bytes_equal(json_string(&m->value), BYTES_LIT("\xc3\xa9\n")));
    ck_assert_uint_eq(json_string(json_get(&v, "c")).len, 0);
    arena_done(&arena);
}
END_TEST

START_TEST(test_lookups_of_what_is_not_there) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(parse(&arena, BYTES_LIT("{\"a\":[1],\"b\":{\"\":2}}"), &v));
    ck_assert_ptr_null(json_get(&v, "z"));
    ck_assert_ptr_null(json_get(NULL, "a"));
    ck_assert_ptr_null(json_get(json_get(&v, "a"), "a"));
    ck_assert_ptr_null(json_at(&v, BYTES_LIT("a.1")));
    ck_assert_ptr_null(json_at(&v, BYTES_LIT("a.00")));
    ck_assert_ptr_null(json_at(&v, BYTES_LIT("a.-0")));
    ck_assert_ptr_null(json_at(&v, BYTES_LIT("a.0.x")));
    ck_assert_ptr_null(json_at(&v, BYTES_LIT("")));
    ck_assert_ptr_nonnull(json_at(&v, BYTES_LIT("b.")));
    ck_assert_uint_eq(json_string(json_get(&v, "a")).len, 0);
    ck_assert_uint_eq(json_string(NULL).len, 0);
    arena_done(&arena);
}
END_TEST

START_TEST(test_u64_takes_numbers_and_decimal_strings) {
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},     {"\"0\"", true, 0},   {"18446744073709551615", true, UINT64_MAX},
        {"-1", false, 0},   {"\"-1\"", false, 0}, {"\"18446744073709551615\"", true, UINT64_MAX},
        {"1.5", false, 0},  {"\"01\"", false, 0}, {"\"18446744073709551616\"", false, 0},
        {"true", false, 0}, {"\"\"", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        struct json_value v;
        uint64_t got = 0;
        arena_init(&arena, 4096);
        ck_assert_ptr_null(parse(&arena, bytes_of_cstr(cases[i].text), &v));
        ck_assert_msg(json_u64(&v, &got) == cases[i].ok, "%s", cases[i].text);
        ck_assert_uint_eq(got, cases[i].value);
        arena_done(&arena);
    }
    uint64_t got = 7;
    ck_assert(!json_u64(NULL, &got));
    ck_assert_uint_eq(got, 7);
}
END_TEST

static void put_wide(struct buf *b, int count, const char *last) {
    buf_clear(b);
    buf_put_u8(b, '{');
    for (int i = 0; i < count; i++) buf_printf(b, "\"same long beginning %d\":%d,", i, i);
    buf_printf(b, "\"%s\":0}", last);
}

START_TEST(test_duplicates_are_found_in_objects_of_every_width) {
    static const int widths[] = {1, 15, 16, 17, 32, 33, 1000, 50000};
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct buf b;
    buf_init(&b, (size_t)4 << 20);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        struct arena arena;
        struct json_value v;
        char last[64];
        arena_init(&arena, ARENA_MAX);
        put_wide(&b, widths[i], "other");
        ck_assert_ptr_null(parse(&arena, buf_bytes(&b), &v));
        ck_assert_uint_eq(v.object.count, (size_t)widths[i] + 1);
        (void)snprintf(last, sizeof last, "same long beginning %d", widths[i] / 2);
        put_wide(&b, widths[i], last);
        expect_refused(buf_bytes(&b), &limits, "a repeated name");
        arena_done(&arena);
    }
    buf_done(&b);
}
END_TEST

/* --- writing */

START_TEST(test_writer_puts_commas_and_escapes) {
    struct buf b;
    buf_init(&b, 4096);
    struct json_writer w = json_writer_of(&b);
    json_object_begin(&w);
    json_key(&w, "a");
    json_array_begin(&w);
    json_put_null(&w);
    json_put_bool(&w, true);
    json_put_int(&w, INT64_MIN);
    json_put_uint(&w, UINT64_MAX);
    json_put_u64_string(&w, 7);
    json_array_end(&w);
    json_key_bytes(&w, BYTES_LIT("\"\\/\b\f\n\r\t\x01\x1f\x7f\0\xe2\x82\xac"));
    json_put_base64(&w, BYTES_LIT("\xff\xee"));
    json_key(&w, "h");
    json_put_hex(&w, BYTES_LIT("\xff\x00"));
    json_key(&w, "r");
    json_put_raw(&w, BYTES_LIT("{ }"));
    json_key(&w, "e");
    json_object_begin(&w);
    json_object_end(&w);
    json_key(&w, "s");
    json_put_cstr(&w, "");
    json_object_end(&w);
    struct bytes want = BYTES_LIT(
        "{\"a\":[null,true,-9223372036854775808,18446744073709551615,\"7\"],"
        "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000\xe2\x82\xac\":\"/+4=\",\"h\":\"ff00\","
        "\"r\":{ },\"e\":{},\"s\":\"\"}");
    ck_assert_msg(bytes_equal(buf_bytes(&b), want), BYTES_FMT, BYTES_ARG(buf_bytes(&b)));
    buf_done(&b);
}
END_TEST

START_TEST(test_put_value_keeps_the_order_of_the_text) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, ARENA_MAX);
    struct bytes text = BYTES_LIT("{\"b\":[1,{}],\"a\":{\"z\":\"\",\"y\":null}}");
    ck_assert_ptr_null(parse(&arena, text, &v));
    ck_assert(bytes_equal(written(&arena, &v, false), text));
    arena_done(&arena);
}
END_TEST

/* SPEC rfc8785 3.2.3: "formatted as arrays of UTF-16 code units" */
START_TEST(test_names_are_sorted_by_utf16_code_units) {
    expect_jcs(
        "{\"\\ufb33\":1,\"\\ud83d\\ude00\":2,\"\\ud7ff\":3,\"\\ue000\":4,\"\\uffff\":5,\"1\":6,"
        "\"\\u0080\":7,\"\":8,\"10\":9,\"\\udbff\\udfff\":10}",
        "{\"\":8,\"1\":6,\"10\":9,\"\xc2\x80\":7,\"\xed\x9f\xbf\":3,\"\xf0\x9f\x98\x80\":2,"
        "\"\xf4\x8f\xbf\xbf\":10,\"\xee\x80\x80\":4,\"\xef\xac\xb3\":1,\"\xef\xbf\xbf\":5}");
}
END_TEST

START_TEST(test_wide_objects_are_sorted) {
    struct arena arena;
    struct json_value v, again;
    struct buf b;
    buf_init(&b, (size_t)1 << 20);
    arena_init(&arena, ARENA_MAX);
    buf_put_u8(&b, '{');
    for (int i = 0; i < 500; i++) buf_printf(&b, "\"%d\":0,", (i * 7919) % 1009);
    buf_put_cstr(&b, "\"x\":1}");
    ck_assert_ptr_null(parse(&arena, buf_bytes(&b), &v));
    ck_assert_ptr_null(parse(&arena, written(&arena, &v, true), &again));
    ck_assert_uint_eq(again.object.count, 501);
    for (size_t i = 1; i < again.object.count; i++)
        ck_assert_int_lt(
            bytes_compare(again.object.members[i - 1].name, again.object.members[i].name), 0);
    arena_done(&arena);
    buf_done(&b);
}
END_TEST

START_TEST(test_one_member_more_is_sorted_in) {
    struct arena arena;
    struct json_value v;
    struct buf b;
    struct json_member extra = {BYTES_LIT("m"), json_of_bool(true)};
    buf_init(&b, 4096);
    arena_init(&arena, ARENA_MAX);
    struct json_writer w = json_writer_of(&b);
    json_array_begin(&w);
    json_put_jcs_with(&w, NULL, &extra);
    ck_assert_ptr_null(parse(&arena, BYTES_LIT("{\"z\":1,\"a\":{\"d\":0,\"c\":0}}"), &v));
    json_put_jcs_with(&w, &v, &extra);
    json_array_end(&w);
    ck_assert(bytes_equal(
        buf_bytes(&b), BYTES_LIT("[{\"m\":true},{\"a\":{\"c\":0,\"d\":0},\"m\":true,\"z\":1}]")));
    arena_done(&arena);
    buf_done(&b);
}
END_TEST

START_TEST(test_a_copy_borrows_nothing) {
    struct arena first, second;
    struct json_value v, copy;
    arena_init(&first, ARENA_MAX);
    arena_init(&second, ARENA_MAX);
    ck_assert_ptr_null(parse(&first, BYTES_LIT(DOCUMENT), &v));
    struct bytes want = written(&second, &v, false);
    ck_assert_ptr_null(json_copy(&second, &v, &copy));
    arena_done(&first); /* under ASan, a view left behind is found */
    ck_assert(bytes_equal(written(&second, &copy, false), want));
    arena_done(&second);
}
END_TEST

/* --- memory */

START_TEST(test_a_full_arena_is_resource_exhausted_at_every_bound) {
    struct arena arena;
    struct json_value v;
    arena_init(&arena, ARENA_MAX);
    ck_assert_ptr_null(parse(&arena, BYTES_LIT(DOCUMENT), &v));
    size_t needed = arena.used_bytes;
    arena_done(&arena);
    for (size_t max = 0; max <= needed; max++) {
        arena_init(&arena, max);
        CLEANUP(error_freep) struct error *err = parse(&arena, BYTES_LIT(DOCUMENT), &v);
        ck_assert_msg((err == NULL) == (max == needed), "%zu of %zu", max, needed);
        if (err != NULL) ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        arena_done(&arena);
    }
}
END_TEST

/* Parses a wide object and writes it: every allocation of parse, sort and write. */
static struct error *parse_and_write(struct bytes text) {
    struct arena arena;
    struct json_value v;
    struct buf b;
    buf_init(&b, 1 << 20);
    arena_init(&arena, ARENA_MAX);
    struct error *err = parse(&arena, text, &v);
    if (err == NULL) {
        struct json_writer w = json_writer_of(&b);
        json_put_jcs(&w, &v);
        err = buf_finish(&b, "JCS");
    }
    if (err == NULL) err = json_copy(&arena, &v, &v);
    arena_done(&arena);
    buf_done(&b);
    return err;
}

START_TEST(test_survives_every_allocation_failure) {
    struct buf b;
    buf_init(&b, 1 << 20);
    put_wide(&b, 200, "other");
    (void)alloc_fail_after(-1);
    ck_assert_ptr_null(parse_and_write(buf_bytes(&b)));
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 3);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = parse_and_write(buf_bytes(&b));
        (void)alloc_fail_after(-1);
        ck_assert_ptr_nonnull(err);
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
    }
    buf_done(&b);
}
END_TEST

START_TEST(test_large_texts_do_not_disturb_small_ones) {
    struct arena arena;
    struct json_value v;
    struct buf b;
    buf_init(&b, (size_t)4 << 20);
    arena_init(&arena, ARENA_MAX);
    buf_put_u8(&b, '[');
    for (int i = 0; i < 40000; i++) buf_put_cstr(&b, "12345,");
    buf_put_cstr(&b, "\"end\"]");
    ck_assert_ptr_null(parse(&arena, buf_bytes(&b), &v));
    ck_assert_uint_eq(v.array.count, 40001);
    ck_assert(bytes_equal(json_string(&v.array.items[40000]), BYTES_LIT("end")));
    ck_assert_ptr_null(parse(&arena, BYTES_LIT("12"), &v));
    ck_assert_int_eq(v.integer, 12);
    arena_done(&arena);
    buf_done(&b);
}
END_TEST

static Suite *json_suite(void) {
    Suite *s = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_json_test_suite);
    tcase_add_test(tc, test_jcs_data_gives_equal_octets);
    tcase_add_test(tc, test_doubles_are_written_as_ecmascript_does);
    tcase_add_test(tc, test_doubles_read_back_as_they_were);
    tcase_add_test(tc, test_readable_doubles_are_those_that_json_parse_reads);
    tcase_add_test(tc, test_integers_keep_all_digits);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_every_truncation_is_refused);
    tcase_add_test(tc, test_depth_is_bounded);
    tcase_add_test(tc, test_size_is_bounded);
    tcase_add_test(tc, test_parse_gives_every_type);
    tcase_add_test(tc, test_lookups_of_what_is_not_there);
    tcase_add_test(tc, test_u64_takes_numbers_and_decimal_strings);
    tcase_add_test(tc, test_duplicates_are_found_in_objects_of_every_width);
    tcase_add_test(tc, test_writer_puts_commas_and_escapes);
    tcase_add_test(tc, test_put_value_keeps_the_order_of_the_text);
    tcase_add_test(tc, test_names_are_sorted_by_utf16_code_units);
    tcase_add_test(tc, test_wide_objects_are_sorted);
    tcase_add_test(tc, test_one_member_more_is_sorted_in);
    tcase_add_test(tc, test_a_copy_borrows_nothing);
    tcase_add_test(tc, test_a_full_arena_is_resource_exhausted_at_every_bound);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    tcase_add_test(tc, test_large_texts_do_not_disturb_small_ones);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(json_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
