/* Building messages in an arena, with one question at the end instead of one at each field. */
#include "api/internal.h"

struct error *api_made(struct api_maker *mk) {
    return MOVE(mk->failed);
}

void api_make_fail(struct api_maker *mk, struct error *err) {
    if (mk->failed == NULL) {
        mk->failed = err;
    } else {
        error_ignore(err, "the first failure is the one to tell");
    }
}

static void *allocate(struct api_maker *mk, size_t size) {
    void *p = mk->failed == NULL ? arena_alloc(mk->arena, size == 0 ? 1 : size) : NULL;
    if (p == NULL && mk->failed == NULL) {
        api_make_fail(mk, error_reason_new(REASON_MESSAGE_TOO_LARGE,
                                           "the answer does not fit into a request's memory"));
    }
    return p;
}

void *api_make(struct api_maker *mk, const ProtobufCMessageDescriptor *type) {
    ProtobufCMessage *m = allocate(mk, type->sizeof_message);
    if (m != NULL) protobuf_c_message_init(type, m);
    return m;
}

void *api_make_array(struct api_maker *mk, size_t count, size_t size) {
    return allocate(mk, count * size);
}

void *api_make_list(struct api_maker *mk, size_t count) {
    return allocate(mk, count * sizeof(void *));
}

char *api_make_text(struct api_maker *mk, struct bytes utf8) {
    /* protobuf-c's own empty string: what is not set. */
    char *unset = (char *)(uintptr_t)protobuf_c_empty_string;
    if (utf8.len == 0) return unset;
    struct text ignored;
    if (!text_of_bytes(utf8, &ignored)) {
        api_make_fail(mk, error_new(ERROR_INTERNAL, "a text that a message cannot hold"));
        return unset;
    }
    char *copy = allocate(mk, utf8.len + 1);
    if (copy == NULL) return unset;
    memcpy(copy, utf8.data, utf8.len);
    return copy;
}

ProtobufCBinaryData api_make_octets(struct api_maker *mk, struct bytes octets) {
    uint8_t *copy = octets.len == 0 ? NULL : allocate(mk, octets.len);
    if (copy == NULL) return (ProtobufCBinaryData){0, NULL};
    memcpy(copy, octets.data, octets.len);
    return (ProtobufCBinaryData){octets.len, copy};
}

Google__Protobuf__Timestamp *api_make_time(struct api_maker *mk, int64_t unix_ms) {
    Google__Protobuf__Timestamp *t = api_make(mk, &google__protobuf__timestamp__descriptor);
    if (t == NULL) return NULL;
    int64_t ms = unix_ms % 1000;
    if (ms < 0) ms += 1000; /* nanos count forwards, also before 1970 */
    t->seconds = (unix_ms - ms) / 1000;
    t->nanos = (int32_t)ms * 1000000;
    return t;
}
