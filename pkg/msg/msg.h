/*
 * msg: protobuf messages at the edge: the check of wire octets before protobuf-c sees them,
 * unpacking into an arena, canonical JSON both ways, google.rpc.Status, and the embedded
 * descriptor set. Pure. A schema is immutable once made: any thread may use it.
 *
 * Only msg, api and client know generated messages; others see octets.
 */
#ifndef MSG_MSG_H
#define MSG_MSG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

/* The types of proto/ with what protobuf-c's descriptors lack: JSON names, maps, files. */
struct msg_schema;

/* msg_schema_new reads the embedded descriptor set, once for the process's life.
 * Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *msg_schema_new(struct msg_schema **out);
void msg_schema_free(struct msg_schema *s);
DEFINE_CLEANUP(struct msg_schema, msg_schema_free);

struct msg_limits {
    size_t depth_max;  /* nesting, counted as JSON's: stack exhaustion in protobuf-c. 64 */
    size_t fields_max; /* in the whole message, each packed element one: memory and time. */
};

#define MSG_DEPTH_MAX 64
#define MSG_LIMITS_DEFAULT                                                                         \
    ((struct msg_limits){.depth_max = MSG_DEPTH_MAX, .fields_max = (size_t)1 << 20})

/* msg_check says whether `wire` is a well-formed message of `type`: every length within bounds,
 * known fields with their wire type (packed or not), strings UTF-8 without NUL, singular messages
 * once, depth and number of fields under `limits`. Unknown fields are stepped over; groups are
 * refused. Errors: INVALID_ARGUMENT MALFORMED_MESSAGE. */
MUST_USE struct error *msg_check(const struct msg_schema *s,
                                 const struct ProtobufCMessageDescriptor *type, struct bytes wire,
                                 const struct msg_limits *limits);

/* msg_unpack checks `wire`, unpacks it into `arena` and then refuses maps with a key twice. The
 * message does not borrow from `wire`; never free it but with the arena.
 * Errors: msg_check's; RESOURCE_EXHAUSTED MESSAGE_TOO_LARGE if the arena is full. */
MUST_USE struct error *msg_unpack(const struct msg_schema *s, struct arena *arena,
                                  const struct ProtobufCMessageDescriptor *type, struct bytes wire,
                                  const struct msg_limits *limits, struct ProtobufCMessage **out);

/* msg_pack writes the wire octets of `m` into `arena`. Errors: RESOURCE_EXHAUSTED. */
MUST_USE struct error *msg_pack(struct arena *arena, const struct ProtobufCMessage *m,
                                struct bytes *out);

/* msg_from_json reads one message in protobuf's JSON form: lowerCamelCase or original names;
 * unknown and duplicate names refused. Errors: INVALID_ARGUMENT MALFORMED_MESSAGE with the path;
 * RESOURCE_EXHAUSTED MESSAGE_TOO_LARGE. */
MUST_USE struct error *msg_from_json(const struct msg_schema *s, struct arena *arena,
                                     const struct ProtobufCMessageDescriptor *type,
                                     struct bytes json, struct ProtobufCMessage **out);

/* msg_to_json writes `m` in protobuf's canonical JSON form into `arena`: lowerCamelCase; scalar,
 * enum, repeated and map fields always, unset messages and oneof members not.
 * Errors: RESOURCE_EXHAUSTED; INVALID_ARGUMENT where a message has no JSON form (a Timestamp out
 * of range, a Value without a kind, an Any of another type than the three details). */
MUST_USE struct error *msg_to_json(const struct msg_schema *s, struct arena *arena,
                                   const struct ProtobufCMessage *m, struct bytes *out);

/* --- google.rpc.Status. Details are written for what is set: ErrorInfo where `reason` is not
 * empty (domain "attestd"), BadRequest where `field` is not empty, RetryInfo where retry_ms > 0. */
struct msg_status {
    int code;
    struct bytes message; /* UTF-8 without NUL */
    const char *reason;
    const char *field;
    const char *field_description;
    uint32_t retry_ms;
};

/* msg_put_status appends the wire octets of the google.rpc.Status (grpc-status-details-bin, before
 * its base64). Failure is the buf's. */
void msg_put_status(struct buf *out, const struct msg_status *status);

/* msg_put_connect_details appends the JSON array of a Connect error's "details": objects of type
 * (full name) and value (base64 without padding). "[]" if there are none. */
void msg_put_connect_details(struct buf *out, const struct msg_status *status);

/* msg_get_status reads what msg_put_status wrote, or another server's Status: details of other
 * types or domains are passed over, of several the first counts. Texts are in `arena`; "" where
 * absent. Errors: msg_unpack's. */
MUST_USE struct error *msg_get_status(const struct msg_schema *s, struct arena *arena,
                                      struct bytes wire, struct msg_status *out);

/* --- the embedded descriptor set, for reflection */
#define MSG_FILES_MAX 32

/* msg_file_by_name finds "attestd/v1/gate.proto", msg_file_by_symbol the file that defines a full
 * name (of a service, method, message, field, enum or its value). Both write the
 * FileDescriptorProto octets of that file and, after it, of all that it imports, each once, and
 * return how many: 0 if there is no such file. The octets are constants. */
size_t msg_file_by_name(const struct msg_schema *s, struct bytes name,
                        struct bytes out[MSG_FILES_MAX]);
size_t msg_file_by_symbol(const struct msg_schema *s, struct bytes symbol,
                          struct bytes out[MSG_FILES_MAX]);

/* msg_has_message says whether a message of this full name is defined. */
bool msg_has_message(const struct msg_schema *s, struct bytes full_name);

/* msg_type_by_name finds the type of a full name among those that can be read and written, which
 * are all but the messages of descriptor.proto; NULL if there is none. */
const struct ProtobufCMessageDescriptor *msg_type_by_name(const struct msg_schema *s,
                                                          struct bytes full_name);

/* msg_services lists the full names of all services, in the order of their files. */
const struct text *msg_services(const struct msg_schema *s, size_t *out_count);

struct msg_method {
    struct text path; /* "/attestd.v1.Gate/Decide" */
    struct text input;
    struct text output; /* full names, without a dot in front */
    bool client_streaming;
    bool server_streaming;
    bool no_side_effects; /* by the idempotency_level option */
};
const struct msg_method *msg_methods(const struct msg_schema *s, size_t *out_count);

#endif
