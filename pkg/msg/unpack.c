/*
 * Octets to message and back. A key that a map has twice is refused on the unpacked message, where
 * its entries lie side by side: on the wire they may be far apart. (protobuf-c keeps both, others
 * keep the last: two readers of one message must not see different digests.)
 */
#include "base/assert.h"
#include "msg/internal.h"

/* --- memory */

static void *arena_hook_alloc(void *arena, size_t size) {
    return arena_alloc(arena, size == 0 ? 1 : size);
}
static void arena_hook_free(void *arena, void *p) {
    (void)arena;
    (void)p;
}

ProtobufCAllocator msg_allocator(struct arena *arena) {
    return (ProtobufCAllocator){arena_hook_alloc, arena_hook_free, arena};
}

ProtobufCMessage *msg_new(struct arena *arena, const ProtobufCMessageDescriptor *pb) {
    ProtobufCMessage *m = arena_alloc(arena, pb->sizeof_message);
    if (m != NULL) protobuf_c_message_init(pb, m);
    return m;
}

struct error *msg_too_large(void) {
    return error_reason_new(REASON_MESSAGE_TOO_LARGE,
                            "the message does not fit into the memory of a request");
}

size_t msg_element_size(ProtobufCType type) {
    switch (type) {
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_DOUBLE:
            return 8;
        case PROTOBUF_C_TYPE_BOOL:
            return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
            return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
            return sizeof(ProtobufCBinaryData);
        default:
            return 4;
    }
}

/* --- maps */

static const char *entry_key(const ProtobufCMessage *entry) {
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
    return *(char *const *)msg_member_const(entry, key);
}

/* sift_down restores the heap below `i`. */
static void sift_down(const char **keys, size_t i, size_t count) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= count) return;
        if (child + 1 < count && strcmp(keys[child], keys[child + 1]) < 0) child++;
        if (strcmp(keys[i], keys[child]) >= 0) return;
        const char *moved = keys[i];
        keys[i] = keys[child];
        keys[child] = moved;
        i = child;
    }
}

/* sort_keys is a heap sort: n log n for every input, and no memory (qsort takes some). */
static void sort_keys(const char **keys, size_t count) {
    for (size_t i = count / 2; i-- > 0;) sift_down(keys, i, count);
    for (size_t n = count; n > 1; n--) {
        const char *largest = keys[0];
        keys[0] = keys[n - 1];
        keys[n - 1] = largest;
        sift_down(keys, 0, n - 1);
    }
}

static struct error *check_map(struct arena *arena, const ProtobufCMessage *m,
                               const struct msg_field *field) {
    size_t count = msg_count_const(m, field->pb);
    if (count < 2) return NULL;
    ProtobufCMessage *const *entries =
        *(ProtobufCMessage *const *const *)msg_member_const(m, field->pb);
    const char **keys = arena_alloc(arena, count * sizeof *keys);
    if (keys == NULL) return msg_too_large();
    for (size_t i = 0; i < count; i++) keys[i] = entry_key(entries[i]);
    sort_keys(keys, count);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(keys[i - 1], keys[i]) != 0) continue;
        return error_reason_new(REASON_MALFORMED_MESSAGE, "%s.%s: the key \"%.64s\" comes twice",
                                m->descriptor->name, field->pb->name, keys[i]);
    }
    return NULL;
}

struct position {
    const struct msg_type *type;
    const ProtobufCMessage *m;
    unsigned field;
    size_t element;
};

/* next_inner gives the next message inside `at` that can hold a map, and moves on; NULL at the
 * end. */
static const ProtobufCMessage *next_inner(struct position *at) {
    for (; at->field < at->type->pb->n_fields; at->field++, at->element = 0) {
        const struct msg_field *field = &at->type->fields[at->field];
        if (field->type == NULL || !field->type->maps_below) continue;
        if (field->pb->label == PROTOBUF_C_LABEL_REPEATED) {
            if (at->element >= msg_count_const(at->m, field->pb)) continue;
            return (*(ProtobufCMessage *const *const *)msg_member_const(at->m,
                                                                        field->pb))[at->element++];
        }
        if (at->element > 0 || !msg_is_set(at->m, field->pb)) continue;
        at->element = 1;
        return *(ProtobufCMessage *const *)msg_member_const(at->m, field->pb);
    }
    return NULL;
}

static struct error *check_own_maps(struct arena *arena, const struct position *at) {
    for (unsigned i = 0; i < at->type->pb->n_fields; i++) {
        if (at->type->fields[i].is_map) TRY(check_map(arena, at->m, &at->type->fields[i]));
    }
    return NULL;
}

/* check_maps walks the message without recursion; the wire check has bounded its depth. */
static struct error *check_maps(const struct msg_schema *s, struct arena *arena,
                                const ProtobufCMessage *root) {
    struct position stack[MSG_FRAMES_MAX];
    stack[0] = (struct position){.type = msg_type_of(s, root->descriptor), .m = root};
    if (!stack[0].type->maps_below) return NULL;
    TRY(check_own_maps(arena, &stack[0]));
    for (size_t n = 1; n > 0;) {
        const ProtobufCMessage *inner = next_inner(&stack[n - 1]);
        if (inner == NULL) {
            n--;
            continue;
        }
        ASSERT(n < MSG_FRAMES_MAX);
        stack[n] = (struct position){.type = msg_type_of(s, inner->descriptor), .m = inner};
        TRY(check_own_maps(arena, &stack[n]));
        n++;
    }
    return NULL;
}

/* --- the public side */

struct error *msg_unpack(const struct msg_schema *s, struct arena *arena,
                         const ProtobufCMessageDescriptor *type, struct bytes wire,
                         const struct msg_limits *limits, ProtobufCMessage **out) {
    TRY(msg_check(s, type, wire, limits));
    ProtobufCAllocator allocator = msg_allocator(arena);
    const uint8_t *data = wire.data != NULL ? wire.data : (const uint8_t *)"";
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &allocator, wire.len, data);
    if (m == NULL) return msg_too_large(); /* after the check nothing else is left */
    TRY(check_maps(s, arena, m));
    *out = m;
    return NULL;
}

struct error *msg_pack(struct arena *arena, const ProtobufCMessage *m, struct bytes *out) {
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *data = arena_alloc(arena, size + 1);
    if (data == NULL) return msg_too_large();
    size_t packed = protobuf_c_message_pack(m, data);
    ASSERT(packed == size);
    *out = (struct bytes){data, size};
    return NULL;
}
