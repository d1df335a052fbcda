/* gRPC's octets: frames, timeouts, percent encoding. The first octet is the step in which frames
 * come. Properties: messages do not depend on the step; no message is over the maximum; what was
 * percent-encoded decodes to itself; a timeout that is read is no larger than its text allows. */
#include <stdlib.h>

#include "base/assert.h"
#include "rpc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX ((size_t)300)

struct run {
    uint64_t sum;
    size_t messages;
    enum rpc_frame result;
};

static struct run run_frames(struct bytes in, size_t step) {
    struct rpc_frames f;
    struct run run = {0};
    rpc_frames_init(&f, MESSAGE_MAX);
    for (size_t at = 0; at < in.len && run.result <= RPC_FRAME_MESSAGE; at += step) {
        struct bytes piece = {in.data + at, in.len - at < step ? in.len - at : step};
        struct bytes m = {0};
        while ((run.result = rpc_frames_read(&f, &piece, &m)) == RPC_FRAME_MESSAGE) {
            ASSERT(m.data != NULL && m.len <= MESSAGE_MAX);
            run.messages++;
            for (size_t i = 0; i < m.len; i++) run.sum = run.sum * 31 + m.data[i];
            run.sum = run.sum * 31 + m.len;
        }
        if (run.result == RPC_FRAME_MORE) ASSERT(piece.len == 0);
    }
    ASSERT(rpc_frames_held(&f) <= MESSAGE_MAX + RPC_FRAME_HEAD);
    rpc_frames_done(&f);
    return run;
}

static void fuzz_text(struct bytes in) {
    struct buf enc;
    struct buf dec;
    buf_init(&enc, 3 * in.len + 1);
    buf_init(&dec, in.len + 1);
    rpc_percent_put(&enc, in);
    for (size_t i = 0; i < enc.len; i++) ASSERT(enc.data[i] >= ' ' && enc.data[i] <= '~');
    rpc_percent_decode(&dec, buf_bytes(&enc));
    ASSERT(bytes_equal(buf_bytes(&dec), in));
    buf_clear(&dec);
    rpc_percent_decode(&dec, in); /* of anything: never longer */
    ASSERT(!dec.failed && dec.len <= in.len);
    buf_done(&enc);
    buf_done(&dec);
    uint64_t us = 0;
    if (rpc_timeout_parse(in, &us)) ASSERT(in.len >= 2 && in.len <= 9);
    if (rpc_connect_timeout_parse(in, &us)) ASSERT(in.len <= 10 && us <= 9999999999000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct bytes in = {data + 1, size - 1};
    struct run whole = run_frames(in, in.len == 0 ? 1 : in.len);
    struct run pieces = run_frames(in, (size_t)data[0] % 7 + 1);
    ASSERT(whole.result == pieces.result && whole.messages == pieces.messages);
    ASSERT(whole.sum == pieces.sum);
    fuzz_text(in);
    return 0;
}
