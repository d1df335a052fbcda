/* Each line is found first and then judged, so that a head is judged line by line as it comes: a
 * request that can never be sound is refused before its sender has to time out. */
#include "http/http1.h"

static bool is_tchar(uint8_t c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct bytes b) {
    for (size_t i = 0; i < b.len; i++) {
        if (!is_tchar(b.data[i])) return false;
    }
    return b.len > 0;
}

/* SPEC rfc9110 5.5: field-vchar = VCHAR / obs-text, with SP and HTAB between. */
static bool is_field_octet(uint8_t c) { return c == '\t' || (c >= ' ' && c != 0x7f); }

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct bytes trim(struct bytes b) {
    while (b.len > 0 && (b.data[0] == ' ' || b.data[0] == '\t')) {
        b.data++;
        b.len--;
    }
    while (b.len > 0 && (b.data[b.len - 1] == ' ' || b.data[b.len - 1] == '\t')) b.len--;
    return b;
}

/* next_line takes a line and its CRLF off `*in`. SPEC rfc9112 2.2: "A recipient of such a bare CR
 * MUST consider that element to be invalid"; a bare LF, which it lets us take for an end of line,
 * is refused as well. */
static enum http1_result next_line(struct bytes *in, struct bytes *out) {
    for (size_t i = 0; i < in->len; i++) {
        uint8_t c = in->data[i];
        if (c == '\r') {
            if (i + 1 == in->len) return HTTP1_MORE;
            if (in->data[i + 1] != '\n') return HTTP1_REFUSED;
            *out = (struct bytes){in->data, i};
            *in = (struct bytes){in->data + i + 2, in->len - i - 2};
            return HTTP1_DONE;
        }
        if (!is_field_octet(c)) return HTTP1_REFUSED;
    }
    return HTTP1_MORE;
}

static struct bytes take_word(struct bytes *line) {
    size_t n = 0;
    while (n < line->len && line->data[n] != ' ') n++;
    struct bytes word = {line->data, n};
    size_t skip = n < line->len ? n + 1 : n; /* exactly one space */
    *line = (struct bytes){line->data + skip, line->len - skip};
    return word;
}

static int check_version(struct bytes v) {
    if (bytes_equal(v, BYTES_LIT("HTTP/1.1"))) return 0;
    bool shaped = v.len == 8 && bytes_start_with(v, BYTES_LIT("HTTP/")) && v.data[5] >= '0' &&
                  v.data[5] <= '9' && v.data[6] == '.' && v.data[7] >= '0' && v.data[7] <= '9';
    return shaped ? 505 : 400;
}

/* is_host checks `uri-host [ ":" port ]` (SPEC rfc9110 7.2, rfc3986 3.2.2) by its octets. An empty
 * one says that the target has no authority. */
static bool is_host(struct bytes b) {
    size_t end = b.len;
    while (end > 0 && b.data[end - 1] >= '0' && b.data[end - 1] <= '9') end--;
    bool port = end > 0 && b.data[end - 1] == ':';
    if (port && b.len - end > 5) return false;
    struct bytes name = {b.data, port ? end - 1 : b.len};
    bool literal = name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']';
    if (literal) name = (struct bytes){name.data + 1, name.len - 2};
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool alnum = hex_value(c) >= 0 || (lower(c) > 'f' && lower(c) <= 'z');
        if (alnum || (literal && c == ':')) continue;
        if (c == 0 || strchr("-._~%!$&'()*+,;=", c) == NULL) return false;
    }
    return true;
}

/* The functions below return 0 or the status that refuses the request. */

/* SPEC rfc9112 3.2.2: "a server MUST accept the absolute-form in requests", and its authority
 * counts for the Host field's. */
static int split_absolute(struct http1_head *h) {
    size_t scheme = bytes_start_with_nocase(h->target, "https://")  ? 8
                    : bytes_start_with_nocase(h->target, "http://") ? 7
                                                                    : 0;
    if (scheme == 0) return 400;
    size_t end = scheme;
    while (end < h->target.len && h->target.data[end] != '/' && h->target.data[end] != '?') end++;
    h->authority = (struct bytes){h->target.data + scheme, end - scheme};
    h->target = (struct bytes){h->target.data + end, h->target.len - end};
    if (h->target.len == 0) h->target = BYTES_LIT("/");
    if (h->authority.len == 0 || !is_host(h->authority)) return 400;
    return h->target.data[0] == '/' ? 0 : 400;
}

static int read_request_line(struct bytes line, struct http1_head *h) {
    h->method = take_word(&line);
    h->target = take_word(&line);
    if (!is_token(h->method) || h->method.len > 20 || h->target.len == 0) return 400;
    for (size_t i = 0; i < h->target.len; i++) {
        uint8_t c = h->target.data[i];
        if (c <= ' ' || c >= 0x7f || c == '#') return 400;
    }
    int status = h->target.data[0] == '/' ? 0 : split_absolute(h);
    return status == 0 ? check_version(line) : status;
}

static int read_content_length(struct http1_head *h, struct bytes value) {
    if (h->framing != HTTP1_NO_BODY) return 400; /* repeated, or beside Transfer-Encoding */
    uint64_t n = 0;
    if (value.len == 0 || value.len > 18) return 400;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') return 400;
        n = n * 10 + (uint64_t)(value.data[i] - '0');
    }
    h->framing = HTTP1_LENGTH;
    h->content_length = n;
    return 0;
}

/* SPEC rfc9112 6.1: "A server that receives a request message with a transfer coding it does not
 * understand SHOULD respond with 501 (Not Implemented)." */
static int read_transfer_encoding(struct http1_head *h, struct bytes value) {
    if (h->framing != HTTP1_NO_BODY) return 400;
    if (!bytes_equal_nocase(value, "chunked")) return 501;
    h->framing = HTTP1_CHUNKED;
    return 0;
}

static void read_connection(struct http1_head *h, struct bytes value) {
    while (value.len > 0) {
        size_t n = 0;
        while (n < value.len && value.data[n] != ',') n++;
        struct bytes word = trim((struct bytes){value.data, n});
        if (bytes_equal_nocase(word, "close")) h->close = true;
        if (n < value.len) n++;
        value = (struct bytes){value.data + n, value.len - n};
    }
}

/* SPEC rfc9110 10.1.1: "A server that receives an Expect field value containing a member other than
 * 100-continue MAY respond with a 417 (Expectation Failed) status code". */
static int read_known_field(struct http1_head *h, const struct http_field *f) {
    if (bytes_equal_nocase(f->name, "content-length")) return read_content_length(h, f->value);
    if (bytes_equal_nocase(f->name, "transfer-encoding")) {
        return read_transfer_encoding(h, f->value);
    }
    if (bytes_equal_nocase(f->name, "connection")) read_connection(h, f->value);
    if (bytes_equal_nocase(f->name, "expect")) {
        if (!bytes_equal_nocase(f->value, "100-continue")) return 417;
        h->expect_continue = true;
    }
    if (bytes_equal_nocase(f->name, "host")) {
        if (h->host.data != NULL || !is_host(f->value)) return 400;
        h->host = f->value;
    }
    return 0;
}

/* SPEC rfc9112 5.1: "No whitespace is allowed between the field name and colon." A line that begins
 * with white space (obs-fold) has no token before its colon either. */
static int read_field(struct bytes line, struct http1_head *h) {
    if (h->field_count == HTTP1_FIELDS_MAX) return 431;
    size_t colon = 0;
    while (colon < line.len && line.data[colon] != ':') colon++;
    if (colon == line.len) return 400;
    struct http_field *f = &h->fields[h->field_count];
    *f = (struct http_field){
        .name = {line.data, colon},
        .value = trim((struct bytes){line.data + colon + 1, line.len - colon - 1}),
    };
    if (!is_token(f->name)) return 400;
    h->field_count++;
    return read_known_field(h, f);
}

static enum http1_result refuse(struct http1_head *h, int status) {
    h->status = status;
    return HTTP1_REFUSED;
}

enum http1_result http1_head_read(struct bytes in, size_t max, struct http1_head *out,
                                  size_t *out_used) {
    struct bytes rest = {in.data, in.len < max ? in.len : max};
    struct bytes line = {0};
    memset(out, 0, offsetof(struct http1_head, fields));
    /* SPEC rfc9112 2.2: "a server ... SHOULD ignore at least one empty line (CRLF) received prior
     * to the request-line." */
    if (bytes_start_with(rest, BYTES_LIT("\r\n")))
        rest = (struct bytes){rest.data + 2, rest.len - 2};
    enum http1_result r = next_line(&rest, &line);
    if (r == HTTP1_REFUSED) return refuse(out, 400);
    size_t line_len = r == HTTP1_DONE ? line.len : rest.len;
    if (line_len > HTTP1_LINE_MAX) return refuse(out, 414);
    int status = r == HTTP1_DONE ? read_request_line(line, out) : 0;
    while (r == HTTP1_DONE && status == 0) {
        r = next_line(&rest, &line);
        if (r == HTTP1_REFUSED) return refuse(out, 400);
        if (r == HTTP1_DONE && line.len == 0) {
            /* SPEC rfc9112 3.2: "A server MUST respond with a 400 (Bad Request) status code to any
             * HTTP/1.1 request message that lacks a Host header field" */
            if (out->host.data == NULL) return refuse(out, 400);
            *out_used = (size_t)(rest.data - in.data);
            return HTTP1_DONE;
        }
        if (r == HTTP1_DONE) status = read_field(line, out);
    }
    if (status != 0) return refuse(out, status);
    return in.len >= max ? refuse(out, 431) : HTTP1_MORE;
}

/* --- chunked bodies
 *
 * chunk      = SIZE *(;EXT) CR LF  DATA  CR LF
 * last-chunk = "0" *(;EXT) CR LF  *(trailer line CR LF)  CR LF
 */
enum chunk_state {
    CHUNK_SIZE = 0, /* line_len counts the line's octets */
    CHUNK_EXT,
    CHUNK_LINE_LF,
    CHUNK_BODY,
    CHUNK_BODY_CR,
    CHUNK_BODY_LF,
    CHUNK_TRAILER, /* at the start of a line where line_len is 0 */
    CHUNK_TRAILER_LF,
    CHUNK_DONE,
};

static bool size_octet(struct http1_chunked *c, uint8_t o) {
    int v = hex_value(o);
    if (v >= 0) {
        if (c->line_len > 12) return false; /* digits: 2^48 octets are enough */
        c->left = c->left * 16 + (uint64_t)v;
        return true;
    }
    if (c->line_len == 1) return false; /* no digit before it */
    if (o == ';') c->state = CHUNK_EXT;
    if (o == '\r') c->state = CHUNK_LINE_LF;
    return o == ';' || o == '\r';
}

static bool line_lf(struct http1_chunked *c, uint8_t o) {
    c->last = c->left == 0;
    c->state = c->last ? CHUNK_TRAILER : CHUNK_BODY;
    c->line_len = 0;
    return o == '\n';
}

static bool trailer_octet(struct http1_chunked *c, uint8_t o) {
    if (++c->trailers_len > HTTP1_TRAILERS_MAX) return false;
    if (o == '\r') {
        c->state = CHUNK_TRAILER_LF;
        return true;
    }
    c->line_len++;
    return c->line_len == 1 ? is_tchar(o) : is_field_octet(o);
}

/* step takes one octet that is not part of the body; false refuses it. */
static bool step(struct http1_chunked *c, uint8_t o) {
    switch ((enum chunk_state)c->state) {
        case CHUNK_SIZE:
            c->line_len++;
            return size_octet(c, o);
        case CHUNK_EXT:
            if (++c->line_len > HTTP1_CHUNK_LINE_MAX) return false;
            if (o == '\r') c->state = CHUNK_LINE_LF;
            return o == '\r' || is_field_octet(o);
        case CHUNK_LINE_LF:
            return line_lf(c, o);
        case CHUNK_BODY_CR:
            c->state = CHUNK_BODY_LF;
            return o == '\r';
        case CHUNK_BODY_LF:
            c->state = CHUNK_SIZE;
            return o == '\n';
        case CHUNK_TRAILER:
            return trailer_octet(c, o);
        case CHUNK_TRAILER_LF:
            c->state = c->line_len == 0 ? CHUNK_DONE : CHUNK_TRAILER;
            c->line_len = 0;
            return o == '\n';
        case CHUNK_BODY:
        case CHUNK_DONE:
            break;
    }
    return false;
}

enum http1_result http1_chunked_read(struct http1_chunked *c, struct bytes *in, struct bytes *out) {
    while (c->state != CHUNK_DONE) {
        if (in->len == 0) return HTTP1_MORE;
        if (c->state == CHUNK_BODY) {
            size_t n = in->len < c->left ? in->len : (size_t)c->left;
            *out = (struct bytes){in->data, n};
            *in = (struct bytes){in->data + n, in->len - n};
            c->left -= n;
            if (c->left == 0) c->state = CHUNK_BODY_CR;
            return HTTP1_DATA;
        }
        uint8_t o = in->data[0];
        *in = (struct bytes){in->data + 1, in->len - 1};
        if (!step(c, o)) return HTTP1_REFUSED;
    }
    return HTTP1_DONE;
}
