/* fuzz_wire: the first octet chooses a type. What the check refuses is not unpacked; what it lets
 * through unpacks, or is refused for a map's key, but never fails for another reason; the message
 * packs into octets that pass again and pack the same; and its JSON, where it has one, reads back.
 */
#include <stdlib.h>

#include "msg/msg.h"

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)
#define ARENA_MAX ((size_t)1 << 30)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "attestd.v1.AttestRequest",
    "attestd.v1.AttestBatchRequest",
    "attestd.v1.DecideRequest",
    "attestd.v1.TraceResponse",
    "attestd.v1.DecideResponse",
    "attestd.v1.GetRequest",
    "attestd.v1.CreateTokenRequest",
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.rpc.Status",
    "google.rpc.ErrorInfo",
    "grpc.health.v1.HealthCheckRequest",
    "grpc.reflection.v1.ServerReflectionRequest",
};

static const struct msg_schema *schema(void) {
    static struct msg_schema *once;
    if (once == NULL) CHECK(msg_schema_new(&once) == NULL);
    return once;
}

static void check_json(struct arena *arena, const struct ProtobufCMessageDescriptor *type,
                       const struct ProtobufCMessage *m) {
    struct bytes json, again;
    struct ProtobufCMessage *back = NULL;
    CLEANUP(error_freep) struct error *err = msg_to_json(schema(), arena, m, &json);
    if (err != NULL) {
        CHECK(error_code(err) == ERROR_INVALID_ARGUMENT);
        return;
    }
    CHECK(msg_from_json(schema(), arena, type, json, &back) == NULL);
    CHECK(msg_to_json(schema(), arena, back, &again) == NULL);
    CHECK(bytes_equal(json, again));
}

static void check_octets(struct arena *arena, const struct ProtobufCMessageDescriptor *type,
                         const struct ProtobufCMessage *m) {
    struct bytes wire, again;
    struct ProtobufCMessage *back = NULL;
    CHECK(msg_pack(arena, m, &wire) == NULL);
    CHECK(msg_check(schema(), type, wire, &MSG_LIMITS_DEFAULT) == NULL);
    CHECK(msg_unpack(schema(), arena, type, wire, &MSG_LIMITS_DEFAULT, &back) == NULL);
    CHECK(msg_pack(arena, back, &again) == NULL);
    CHECK(bytes_equal(wire, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const char *name = names[data[0] % (sizeof names / sizeof *names)];
    const struct ProtobufCMessageDescriptor *type = msg_type_by_name(schema(), bytes_of_cstr(name));
    CHECK(type != NULL);
    struct bytes wire = {data + 1, size - 1};
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct ProtobufCMessage *m = NULL;
    struct error *checked = msg_check(schema(), type, wire, &MSG_LIMITS_DEFAULT);
    struct error *unpacked = msg_unpack(schema(), &arena, type, wire, &MSG_LIMITS_DEFAULT, &m);
    CHECK(checked == NULL || unpacked != NULL);
    CHECK(unpacked == NULL || error_reason(unpacked) == REASON_MALFORMED_MESSAGE);
    if (unpacked == NULL) {
        check_octets(&arena, type, m);
        check_json(&arena, type, m);
    }
    error_free(checked);
    error_free(unpacked);
    arena_done(&arena);
    return 0;
}
