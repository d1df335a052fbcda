/* The strict HTTP/1.1 reader. The first octet chooses what is read: a head or a chunked body.
 * Properties: reading octet by octet gives what reading at once gives; a head that was read, read
 * again alone, is the same; no octet of a name, method or target is a separator. */
#include <stdlib.h>

#include "base/assert.h"
#include "http/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_head(const struct http1_head *h) {
    ASSERT(h->method.len > 0 && h->target.len > 0 && h->target.data[0] == '/');
    ASSERT(h->host.data != NULL && h->field_count <= HTTP1_FIELDS_MAX);
    for (size_t i = 0; i < h->field_count; i++) {
        struct bytes n = h->fields[i].name;
        struct bytes v = h->fields[i].value;
        ASSERT(n.len > 0);
        for (size_t k = 0; k < n.len; k++) ASSERT(n.data[k] > ' ' && n.data[k] != ':');
        for (size_t k = 0; k < v.len; k++) ASSERT(v.data[k] != '\r' && v.data[k] != '\n');
    }
}

static void fuzz_head(struct bytes in) {
    static struct http1_head h;
    static struct http1_head again;
    size_t used = 0;
    enum http1_result r = http1_head_read(in, 4096, &h, &used);
    if (r == HTTP1_DONE) {
        check_head(&h);
        size_t n = 0;
        ASSERT(http1_head_read((struct bytes){in.data, used}, 4096, &again, &n) == HTTP1_DONE);
        ASSERT(n == used && again.field_count == h.field_count);
        ASSERT(again.content_length == h.content_length && again.framing == h.framing);
        for (size_t k = 0; k < used; k++) { /* every truncation wants more */
            ASSERT(http1_head_read((struct bytes){in.data, k}, 4096, &again, &n) == HTTP1_MORE);
        }
    }
    if (r == HTTP1_REFUSED) ASSERT(h.status >= 400 && h.status <= 505);
    if (r == HTTP1_MORE) ASSERT(in.len < 4096);
}

struct run {
    uint64_t sum; /* of the body's octets and their places */
    size_t body_len, taken;
    enum http1_result result;
};

static struct run run_chunks(struct bytes in, size_t step) {
    struct http1_chunked c = {0};
    struct run run = {0};
    struct bytes feed = {in.data, 0};
    for (;;) {
        struct bytes piece = {0};
        run.result = http1_chunked_read(&c, &feed, &piece);
        for (size_t i = 0; i < piece.len; i++) run.sum += piece.data[i] * ++run.body_len;
        run.taken = (size_t)(feed.data - in.data);
        if (run.result == HTTP1_DATA) {
            ASSERT(piece.len > 0);
            continue;
        }
        if (run.result != HTTP1_MORE || run.taken == in.len) return run;
        ASSERT(feed.len == 0);
        feed.len = in.len - run.taken < step ? in.len - run.taken : step;
    }
}

static void fuzz_chunks(struct bytes in) {
    struct run whole = run_chunks(in, in.len);
    struct run slow = run_chunks(in, 1);
    ASSERT(whole.result == slow.result && whole.sum == slow.sum);
    ASSERT(whole.body_len == slow.body_len && whole.taken == slow.taken);
    ASSERT(whole.body_len <= in.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct bytes in = {data + 1, size - 1};
    if (data[0] % 2 == 0) {
        fuzz_head(in);
    } else {
        fuzz_chunks(in);
    }
    return 0;
}
