#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/http1.h"

#define MAX ((size_t)16384)
#define HOST "Host: a.example\r\n"
#define HEAD(rest) "GET / HTTP/1.1\r\n" HOST rest "\r\n"

static enum http1_result read_all(struct bytes in, struct http1_head *h) {
    size_t used = 0;
    enum http1_result r = http1_head_read(in, MAX, h, &used);
    if (r == HTTP1_DONE) ck_assert_uint_eq(used, in.len);
    return r;
}

START_TEST(test_a_head_is_read_whole) {
    struct bytes in = BYTES_LIT(
        "POST /a/b?c=d HTTP/1.1\r\nHost: a.example:8443\r\nContent-Length: 12\r\n"
        "X-Empty:\r\nX-Blank: \t b \t\r\nExpect: 100-Continue\r\nConnection: keep-alive, CLOSE\r\n"
        "\r\nrest");
    struct http1_head h;
    size_t used = 0;
    ck_assert_int_eq(http1_head_read(in, MAX, &h, &used), HTTP1_DONE);
    ck_assert_uint_eq(used, in.len - 4);
    ck_assert(bytes_equal(h.method, BYTES_LIT("POST")));
    ck_assert(bytes_equal(h.target, BYTES_LIT("/a/b?c=d")));
    ck_assert(bytes_equal(h.host, BYTES_LIT("a.example:8443")));
    ck_assert_uint_eq(h.field_count, 6);
    ck_assert(bytes_equal(h.fields[2].name, BYTES_LIT("X-Empty")));
    ck_assert_uint_eq(h.fields[2].value.len, 0);
    ck_assert(bytes_equal(h.fields[3].value, BYTES_LIT("b")));
    ck_assert_int_eq(h.framing, HTTP1_LENGTH);
    ck_assert_uint_eq(h.content_length, 12);
    ck_assert(h.expect_continue && h.close);
}
END_TEST

START_TEST(test_an_absolute_target_names_path_and_authority) {
    static const struct {
        const char *target, *path, *authority;
    } targets[] = {
        {"http://a.example/x/y?z", "/x/y?z", "a.example"},
        {"HTTPS://A.example:8443", "/", "A.example:8443"},
        {"/x", "/x", ""},
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        char head[200];
        struct http1_head h;
        (void)snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: other\r\n\r\n",
                       targets[i].target);
        ck_assert_int_eq(read_all(bytes_of_cstr(head), &h), HTTP1_DONE);
        ck_assert(bytes_equal(h.target, bytes_of_cstr(targets[i].path)));
        ck_assert(bytes_equal(h.authority, bytes_of_cstr(targets[i].authority)));
    }
}
END_TEST

static const struct {
    const char *name;
    struct bytes head;
    enum http1_framing framing;
} accepted[] = {
    {"plain", BYTES_LIT(HEAD("")), HTTP1_NO_BODY},
    {"empty host", BYTES_LIT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), HTTP1_NO_BODY},
    {"length zero", BYTES_LIT(HEAD("Content-Length: 0\r\n")), HTTP1_LENGTH},
    {"leading zero", BYTES_LIT(HEAD("Content-Length: 007\r\n")), HTTP1_LENGTH},
    {"chunked", BYTES_LIT(HEAD("Transfer-Encoding: Chunked\r\n")), HTTP1_CHUNKED},
    {"odd method", BYTES_LIT("M-SEARCH /x HTTP/1.1\r\n" HOST "\r\n"), HTTP1_NO_BODY},
    /* SPEC rfc9110 5.5 */
    {"octets above 127 in a value", BYTES_LIT(HEAD("X: \xc3\xa4\r\n")), HTTP1_NO_BODY},
    /* SPEC rfc9112 2.2, 3.2.2 */
    {"empty line first", BYTES_LIT("\r\n" HEAD("")), HTTP1_NO_BODY},
    {"absolute target", BYTES_LIT("GET https://a.example:8443/ HTTP/1.1\r\n" HOST "\r\n"),
     HTTP1_NO_BODY},
    {"address as host", BYTES_LIT("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n"),
     HTTP1_NO_BODY},
    {"connection without close", BYTES_LIT(HEAD("Connection: closed, ,\r\n")), HTTP1_NO_BODY},
};

START_TEST(test_sound_heads_are_accepted) {
    struct http1_head h;
    ck_assert_msg(read_all(accepted[_i].head, &h) == HTTP1_DONE, "refused: %s", accepted[_i].name);
    ck_assert_int_eq(h.framing, accepted[_i].framing);
    ck_assert(!h.close);
}
END_TEST

START_TEST(test_every_truncation_of_a_sound_head_wants_more) {
    struct bytes in = accepted[_i].head;
    struct http1_head h;
    for (size_t n = 0; n < in.len; n++) {
        enum http1_result r = read_all((struct bytes){in.data, n}, &h);
        ck_assert_msg(r == HTTP1_MORE, "%s: the first %zu octets gave %d", accepted[_i].name, n, r);
    }
}
END_TEST

static const struct {
    const char *name;
    struct bytes head;
    int status;
} rejected[] = {
    /* SPEC rfc9112 2.2 */
    {"bare LF", BYTES_LIT("GET / HTTP/1.1\nHost: a\n\n"), 400},
    {"bare CR", BYTES_LIT(HEAD("X: a\rb\r\n")), 400},
    {"NUL", BYTES_LIT(HEAD("X: a\0b\r\n")), 400},
    /* SPEC rfc9112 5.1 */
    {"folded line", BYTES_LIT(HEAD("X: a\r\n b\r\n")), 400},
    {"folded with a colon", BYTES_LIT(HEAD("X: a\r\n b: c\r\n")), 400},
    {"blank before colon", BYTES_LIT(HEAD("X : a\r\n")), 400},
    {"no colon", BYTES_LIT(HEAD("X\r\n")), 400},
    {"empty name", BYTES_LIT(HEAD(": a\r\n")), 400},
    {"two empty lines first", BYTES_LIT("\r\n\r\n" HEAD("")), 400},
    {"two spaces", BYTES_LIT("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"tab", BYTES_LIT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"trailing space", BYTES_LIT("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400},
    {"no version", BYTES_LIT("GET /\r\n" HOST "\r\n"), 400},
    {"lower-case version", BYTES_LIT("GET / http/1.1\r\n" HOST "\r\n"), 400},
    {"older version", BYTES_LIT("GET / HTTP/1.0\r\n" HOST "\r\n"), 505},
    {"preface of HTTP/2", BYTES_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400},
    {"absolute target of nobody", BYTES_LIT("GET http:///x HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"absolute target of somebody", BYTES_LIT("GET http://u@a/x HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"other scheme", BYTES_LIT("GET ftp://a/x HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"authority target", BYTES_LIT("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"asterisk", BYTES_LIT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"fragment", BYTES_LIT("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"octets above 127 in the target", BYTES_LIT("GET /\xc3 HTTP/1.1\r\n" HOST "\r\n"), 400},
    /* SPEC rfc9112 3.2 */
    {"no host", BYTES_LIT("GET / HTTP/1.1\r\n\r\n"), 400},
    {"blank in host", BYTES_LIT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
    {"path in host", BYTES_LIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
    {"query in host", BYTES_LIT("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"), 400},
    {"user in host", BYTES_LIT("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400},
    {"open bracket in host", BYTES_LIT("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400},
    {"bare address in host", BYTES_LIT("GET / HTTP/1.1\r\nHost: ::1:8443\r\n\r\n"), 400},
    {"long port", BYTES_LIT("GET / HTTP/1.1\r\nHost: a:100000\r\n\r\n"), 400},
    {"two hosts", BYTES_LIT(HEAD(HOST)), 400},
    {"two lengths", BYTES_LIT(HEAD("Content-Length: 1\r\nContent-Length: 1\r\n")), 400},
    {"list of lengths", BYTES_LIT(HEAD("Content-Length: 1, 1\r\n")), 400},
    {"signed length", BYTES_LIT(HEAD("Content-Length: +1\r\n")), 400},
    {"negative length", BYTES_LIT(HEAD("Content-Length: -1\r\n")), 400},
    {"hexadecimal length", BYTES_LIT(HEAD("Content-Length: 0x1\r\n")), 400},
    {"empty length", BYTES_LIT(HEAD("Content-Length:\r\n")), 400},
    {"huge length", BYTES_LIT(HEAD("Content-Length: 99999999999999999999\r\n")), 400},
    {"length and chunked", BYTES_LIT(HEAD("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")),
     400},
    {"chunked and length", BYTES_LIT(HEAD("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n")),
     400},
    {"chunked twice",
     BYTES_LIT(HEAD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), 400},
    /* SPEC rfc9112 6.1 */
    {"gzip, chunked", BYTES_LIT(HEAD("Transfer-Encoding: gzip, chunked\r\n")), 501},
    {"identity", BYTES_LIT(HEAD("Transfer-Encoding: identity\r\n")), 501},
    /* SPEC rfc9110 10.1.1 */
    {"other expectation", BYTES_LIT(HEAD("Expect: 200-ok\r\n")), 417},
    {"long method", BYTES_LIT("ABCDEFGHIJKLMNOPQRSTU / HTTP/1.1\r\n" HOST "\r\n"), 400},
};

START_TEST(test_unsound_heads_are_refused) {
    struct http1_head h;
    ck_assert_msg(read_all(rejected[_i].head, &h) == HTTP1_REFUSED, "accepted: %s",
                  rejected[_i].name);
    ck_assert_msg(h.status == rejected[_i].status, "%s: %d", rejected[_i].name, h.status);
}
END_TEST

static struct bytes long_head(size_t target_len, size_t fields, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "GET /");
    for (size_t i = 1; i < target_len; i++) out[n++] = 'a';
    n += (size_t)snprintf(out + n, size - n, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < fields; i++) n += (size_t)snprintf(out + n, size - n, "X: b\r\n");
    n += (size_t)snprintf(out + n, size - n, "\r\n");
    return (struct bytes){(uint8_t *)out, n};
}

START_TEST(test_heads_over_the_limits_are_refused) {
    static char text[40000];
    struct http1_head h;
    ck_assert_int_eq(read_all(long_head(8000, 0, text, sizeof text), &h), HTTP1_DONE);
    ck_assert_int_eq(read_all(long_head(8200, 0, text, sizeof text), &h), HTTP1_REFUSED);
    ck_assert_int_eq(h.status, 414);
    ck_assert_int_eq(read_all(long_head(1, HTTP1_FIELDS_MAX - 1, text, sizeof text), &h),
                     HTTP1_DONE);
    ck_assert_int_eq(read_all(long_head(1, HTTP1_FIELDS_MAX, text, sizeof text), &h),
                     HTTP1_REFUSED);
    ck_assert_int_eq(h.status, 431);
    memset(text, 'a', sizeof text);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    ck_assert_int_eq(read_all((struct bytes){(uint8_t *)text, MAX}, &h), HTTP1_REFUSED);
    ck_assert_int_eq(h.status, 431);
    ck_assert_int_eq(read_all((struct bytes){(uint8_t *)text, MAX - 1}, &h), HTTP1_MORE);
}
END_TEST

/* --- chunked bodies */

static enum http1_result read_chunks(struct bytes in, size_t step, char *out, size_t *out_len,
                                     size_t *out_left) {
    struct http1_chunked c = {0};
    *out_len = 0;
    struct bytes feed = {in.data, 0};
    for (;;) {
        struct bytes piece = {0};
        enum http1_result r = http1_chunked_read(&c, &feed, &piece);
        if (r == HTTP1_DATA) {
            ck_assert_uint_gt(piece.len, 0);
            memcpy(out + *out_len, piece.data, piece.len);
            *out_len += piece.len;
            continue;
        }
        size_t taken = (size_t)(feed.data - in.data);
        *out_left = in.len - taken;
        if (r != HTTP1_MORE || taken == in.len) return r;
        ck_assert_uint_eq(feed.len, 0);
        feed.len = in.len - taken < step ? in.len - taken : step;
    }
}

#define CHUNKS "3\r\nabc\r\n00a;x=\"y\"\r\n0123456789\r\n0;last\r\nTrailer: x\r\nB:\r\n\r\n"

START_TEST(test_chunks_are_joined_at_every_step_size) {
    struct bytes in = BYTES_LIT(CHUNKS "GET");
    for (size_t step = 1; step <= in.len; step++) {
        char out[64];
        size_t n = 0;
        size_t left = 0;
        ck_assert_int_eq(read_chunks(in, step, out, &n, &left), HTTP1_DONE);
        ck_assert(bytes_equal((struct bytes){(uint8_t *)out, n}, BYTES_LIT("abc0123456789")));
        ck_assert_uint_le(left, 3);
    }
}
END_TEST

START_TEST(test_every_truncation_of_chunks_wants_more) {
    struct bytes in = BYTES_LIT(CHUNKS);
    char out[64];
    size_t n = 0;
    size_t left = 0;
    for (size_t len = 0; len < in.len; len++) {
        ck_assert_int_eq(read_chunks((struct bytes){in.data, len}, len + 1, out, &n, &left),
                         HTTP1_MORE);
    }
}
END_TEST

static const struct bytes bad_chunks[] = {
    BYTES_LIT("\r\n"),
    BYTES_LIT("x\r\n"),
    BYTES_LIT("-1\r\n"),
    BYTES_LIT("0x1\r\n"),
    BYTES_LIT(" 1\r\na\r\n"),
    BYTES_LIT("1 \r\na\r\n"),
    BYTES_LIT("1\na\r\n"),
    BYTES_LIT("1\r\nab\r\n"),
    BYTES_LIT("1\r\na\n"),
    BYTES_LIT("1\rxa"),
    BYTES_LIT("1;\n"),
    BYTES_LIT("0\r\n a: b\r\n"),
    BYTES_LIT("0\r\na: b\n\r\n"),
    BYTES_LIT("fffffffffffff\r\n"),
    BYTES_LIT("0\r\n\rx"),
    BYTES_LIT("1;a\x01\r\n"),
};

START_TEST(test_unsound_chunks_are_refused) {
    char out[64];
    size_t n = 0;
    size_t left = 0;
    ck_assert_int_eq(read_chunks(bad_chunks[_i], 64, out, &n, &left), HTTP1_REFUSED);
}
END_TEST

START_TEST(test_long_extensions_and_trailers_are_refused) {
    static char text[8000];
    static char out[8000];
    size_t n = 0;
    size_t left = 0;
    memset(text, 'a', sizeof text);
    memcpy(text, "1;", 2);
    struct bytes in = {(uint8_t *)text, 300};
    ck_assert_int_eq(read_chunks(in, 300, out, &n, &left), HTTP1_REFUSED);
    memcpy(text, "0\r\n", 3);
    in.len = sizeof text;
    ck_assert_int_eq(read_chunks(in, sizeof text, out, &n, &left), HTTP1_REFUSED);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static Suite *http1_suite(void) {
    Suite *s = suite_create("http1");
    TCase *tc = tcase_create("head");
    tcase_add_test(tc, test_a_head_is_read_whole);
    tcase_add_test(tc, test_an_absolute_target_names_path_and_authority);
    tcase_add_loop_test(tc, test_sound_heads_are_accepted, 0, COUNT(accepted));
    tcase_add_loop_test(tc, test_every_truncation_of_a_sound_head_wants_more, 0, COUNT(accepted));
    tcase_add_loop_test(tc, test_unsound_heads_are_refused, 0, COUNT(rejected));
    tcase_add_test(tc, test_heads_over_the_limits_are_refused);
    suite_add_tcase(s, tc);
    tc = tcase_create("chunked");
    tcase_add_test(tc, test_chunks_are_joined_at_every_step_size);
    tcase_add_test(tc, test_every_truncation_of_chunks_wants_more);
    tcase_add_loop_test(tc, test_unsound_chunks_are_refused, 0, COUNT(bad_chunks));
    tcase_add_test(tc, test_long_extensions_and_trailers_are_refused);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(http1_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
