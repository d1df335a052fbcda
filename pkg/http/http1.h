/*
 * http1: the octets of HTTP/1.1 requests (RFC 9112). Pure. Stricter than the standard where
 * leniency lets two readers of the same octets disagree: no bare CR or LF, no folded lines, no
 * white space before the colon, no repeated Host, Content-Length or Transfer-Encoding, never
 * Content-Length with Transfer-Encoding.
 */
#ifndef HTTP_HTTP1_H
#define HTTP_HTTP1_H

#include "http/http.h"

#define HTTP1_FIELDS_MAX 512     /* of 32 octets and more each: header_list_max is reached before */
#define HTTP1_LINE_MAX 8192      /* of a request line: 414 */
#define HTTP1_CHUNK_LINE_MAX 256 /* of a chunk's size and extensions */
#define HTTP1_TRAILERS_MAX 4096

enum http1_result {
    HTTP1_MORE = 0, /* sound so far, not complete */
    HTTP1_DATA,     /* http1_chunked_read: a piece of the body */
    HTTP1_DONE,
    HTTP1_REFUSED,
};

enum http1_framing { HTTP1_NO_BODY = 0, HTTP1_LENGTH, HTTP1_CHUNKED };

/* A request's head; everything borrows from the octets that were read. */
struct http1_head {
    struct bytes method;
    struct bytes target;    /* begins with "/" */
    struct bytes authority; /* of an absolute-form target; counts for Host's. data NULL: none */
    struct bytes host;
    size_t field_count;
    enum http1_framing framing;
    uint64_t content_length; /* with HTTP1_LENGTH; may be 0 */
    bool close;              /* Connection: close */
    bool expect_continue;
    int status; /* with HTTP1_REFUSED: what to answer (400, 414, 417, 431, 501, 505) */
    /* Last, and set up to field_count alone: a head is read anew with every piece that comes. Names
     * as received, values without outer blanks. */
    struct http_field fields[HTTP1_FIELDS_MAX];
};

/* http1_head_read reads one head of at most `max` octets off the front of `in`. DONE: `*out` is
 * filled and `*out_used` octets were read. MORE: every octet so far may begin a head. REFUSED: only
 * out->status is meaningful. */
enum http1_result http1_head_read(struct bytes in, size_t max, struct http1_head *out,
                                  size_t *out_used);

/* Where a chunked body stands; start from zero. */
struct http1_chunked {
    uint64_t left; /* octets of this chunk still to come; while its line is read, its size so far */
    uint32_t line_len;
    uint32_t trailers_len;
    uint8_t state;
    bool last; /* the chunk of size 0 was read: trailers follow */
};

/* http1_chunked_read takes octets off the front of `*in`. DATA: `*out` is a piece of the body, of
 * at least one octet; call again. MORE: all of `*in` was taken. DONE: the body is over, and `*in`
 * is what follows it. Extensions and trailers are read and dropped. */
enum http1_result http1_chunked_read(struct http1_chunked *c, struct bytes *in, struct bytes *out);

#endif
