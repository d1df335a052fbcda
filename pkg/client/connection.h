/* client/connection: calls to attestd, tried again while it is unavailable. Internal to client/. */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "client/internal.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

#define CLI_MESSAGE_MAX ((size_t)64 << 20) /* of a response: 1,000 entries with their receipts */

struct method {
    const char *path; /* "/attestd.v1.Gate/Decide" */
    const struct ProtobufCMessageDescriptor *request;
    const struct ProtobufCMessageDescriptor *response;
    bool once; /* a repeat might act twice: not tried again once it was sent */
};

/* A request is written as JSON and becomes a message by the schema. */
struct request {
    struct buf json;
    struct json_writer w;
};
void cli_request_begin(struct cli *cli, struct request *r); /* opens the object */
void cli_request_text(struct request *r, const char *key, const char *value);
void cli_request_u64(struct request *r, const char *key, uint64_t value);
void cli_request_flag(struct request *r, const char *key, bool value);

/* cli_call closes the object, sends it and gives the response, in cli_arena. UNAVAILABLE
 * is tried again, with the same request and so the same idempotency key, until --timeout is over.
 * Errors: the server's, with reason and request id; UNAVAILABLE; DEADLINE_EXCEEDED. */
MUST_USE struct error *cli_call(struct cli *cli, const struct method *method, struct request *r,
                                const struct ProtobufCMessage **out);

/* connection_ready makes schema and connection, as the first call would. */
MUST_USE struct error *connection_ready(struct cli *cli);

/* cli_begin_deadline gives --timeout to the calls that follow, together. */
void cli_begin_deadline(struct cli *cli);

/* cli_print prints `m` as the one JSON document of --json. */
MUST_USE struct error *cli_print(struct cli *cli, const struct ProtobufCMessage *m);

/* --- for `attest bench`, which makes its own clients */
#define TOKEN_OCTETS_MAX ((size_t)1024)
struct token_room {
    uint8_t octets[TOKEN_OCTETS_MAX];
};
/* connection_options fills `out`, which borrows the token from `room`: wipe that (secret_wipe) when
 * the clients are made. *out_tls is owned by the caller. */
struct rpc_client_options;
struct net_tls;
MUST_USE struct error *connection_options(struct cli *cli, struct token_room *room,
                                          struct net_tls **out_tls, struct rpc_client_options *out);

void connection_free(struct connection *c);

#endif
