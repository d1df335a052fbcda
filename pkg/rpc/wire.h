/* rpc/wire: the octets of gRPC and Connect that are not HTTP's: message frames, timeouts,
 * percent-encoded messages, code names. Pure.
 * Implements: gRPC's PROTOCOL-HTTP2.md; the Connect protocol, "Unary". */
#ifndef RPC_WIRE_H
#define RPC_WIRE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

#define RPC_FRAME_HEAD 5 /* compressed flag, then the length as u32be */

/* Reads length-prefixed messages out of octets that come in pieces. */
struct rpc_frames {
    uint8_t head[RPC_FRAME_HEAD];
    size_t head_len;
    size_t left; /* octets of the message still to come, once head_len is full */
    struct buf message;
};

enum rpc_frame {
    RPC_FRAME_MORE = 0, /* all octets were taken */
    RPC_FRAME_MESSAGE,
    RPC_FRAME_COMPRESSED, /* a flag that asks for decompression: UNIMPLEMENTED */
    RPC_FRAME_BAD_FLAG,
    RPC_FRAME_TOO_LARGE, /* announces more than the maximum: nothing was allocated for it */
    RPC_FRAME_NO_MEMORY,
};

void rpc_frames_init(struct rpc_frames *f, size_t message_max);
void rpc_frames_done(struct rpc_frames *f);

/* rpc_frames_read takes octets off the front of `*in`. MESSAGE: `*out` is one whole message, never
 * with a NULL pointer, valid until the next read; call again. Any result but MORE and MESSAGE is
 * final. */
enum rpc_frame rpc_frames_read(struct rpc_frames *f, struct bytes *in, struct bytes *out);

/* rpc_frames_at_rest says that no message is half-read. */
bool rpc_frames_at_rest(const struct rpc_frames *f);

/* rpc_frames_held is how many octets of a half-read message are kept. */
size_t rpc_frames_held(const struct rpc_frames *f);

/* rpc_frame_head writes a frame's head for a message of `len` octets. */
void rpc_frame_head(uint8_t out[RPC_FRAME_HEAD], size_t len);

/* rpc_timeout_parse reads a grpc-timeout ("100m"): 1 to 8 digits and a unit, nothing else; at most
 * what 2^53 microseconds hold. False, and nothing written, otherwise. */
MUST_USE bool rpc_timeout_parse(struct bytes in, uint64_t *out_us);

/* rpc_timeout_put appends a grpc-timeout of `ms` milliseconds, rounded up where 8 digits need it.
 */
void rpc_timeout_put(struct buf *out, uint32_t ms);

/* rpc_connect_timeout_parse reads connect-timeout-ms: 1 to 10 digits. */
MUST_USE bool rpc_connect_timeout_parse(struct bytes in, uint64_t *out_us);

/* rpc_percent_put appends `in` as a grpc-message; rpc_percent_decode undoes it, leaving what is not
 * well-formed as it is. */
void rpc_percent_put(struct buf *out, struct bytes in);
void rpc_percent_decode(struct buf *out, struct bytes in);

/* base64 without padding, as -bin metadata is sent. */
void rpc_base64_put(struct buf *out, struct bytes in);

const char *rpc_connect_code(int code); /* "not_found" */
int rpc_connect_http_status(int code);  /* 404 */

#endif
