/* fuzz_msg_json: the first octet chooses a type. JSON that is read prints, and what was printed
 * reads and prints the same; through the wire, which accepts it, too. */
#include <stdlib.h>

#include "msg/msg.h"

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)
#define ARENA_MAX ((size_t)1 << 30)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "attestd.v1.AttestRequest",      "attestd.v1.AttestBatchRequest", "attestd.v1.DecideRequest",
    "attestd.v1.TraceResponse",      "attestd.v1.DecideResponse",     "attestd.v1.GetRequest",
    "attestd.v1.CreateTokenRequest", "google.protobuf.Struct",        "google.protobuf.Value",
    "google.protobuf.Timestamp",     "google.protobuf.Duration",      "google.rpc.Status",
};

static const struct msg_schema *schema(void) {
    static struct msg_schema *once;
    if (once == NULL) CHECK(msg_schema_new(&once) == NULL);
    return once;
}

static void check_message(struct arena *arena, const struct ProtobufCMessageDescriptor *type,
                          const struct ProtobufCMessage *m) {
    struct bytes json, again, wire;
    struct ProtobufCMessage *back = NULL;
    CHECK(msg_to_json(schema(), arena, m, &json) == NULL);
    CHECK(msg_from_json(schema(), arena, type, json, &back) == NULL);
    CHECK(msg_to_json(schema(), arena, back, &again) == NULL);
    CHECK(bytes_equal(json, again));
    CHECK(msg_pack(arena, m, &wire) == NULL);
    CHECK(msg_unpack(schema(), arena, type, wire, &MSG_LIMITS_DEFAULT, &back) == NULL);
    CHECK(msg_to_json(schema(), arena, back, &again) == NULL);
    CHECK(bytes_equal(json, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const char *name = names[data[0] % (sizeof names / sizeof *names)];
    const struct ProtobufCMessageDescriptor *type = msg_type_by_name(schema(), bytes_of_cstr(name));
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    struct ProtobufCMessage *m = NULL;
    struct error *err =
        msg_from_json(schema(), &arena, type, (struct bytes){data + 1, size - 1}, &m);
    if (err == NULL) check_message(&arena, type, m);
    CHECK(err == NULL || error_reason(err) == REASON_MALFORMED_MESSAGE);
    error_free(err);
    arena_done(&arena);
    return 0;
}
