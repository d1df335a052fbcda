/* internal: how msg sees a type: protobuf-c's descriptor, and what it leaves out. */
#ifndef MSG_INTERNAL_H
#define MSG_INTERNAL_H

#include <protobuf-c/protobuf-c.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "msg/msg.h"

/* The types whose JSON form is their own. */
enum msg_known {
    MSG_KNOWN_NONE = 0,
    MSG_KNOWN_ANY,
    MSG_KNOWN_DURATION,
    MSG_KNOWN_LIST_VALUE,
    MSG_KNOWN_STRUCT,
    MSG_KNOWN_TIMESTAMP,
    MSG_KNOWN_VALUE,
};

struct msg_field {
    const ProtobufCFieldDescriptor *pb;
    struct text json_name;
    const struct msg_type *type; /* of a message field, else NULL */
    bool is_map;                 /* repeated, of entries with a string key */
};

struct msg_type {
    const ProtobufCMessageDescriptor *pb;
    struct text name;         /* full: "attestd.v1.Edge" */
    struct msg_field *fields; /* pb->n_fields, in order of number, as pb->fields */
    enum msg_known known;
    bool is_entry;   /* of a map */
    bool maps_below; /* it or a type it can hold has a map */
};

struct msg_file {
    struct text name;
    struct bytes octets; /* in the embedded set */
    const Google__Protobuf__FileDescriptorProto *parsed;
};

struct msg_schema {
    struct arena arena;
    struct msg_type *types; /* ascending by address of their descriptor */
    size_t type_count;
    struct msg_file *files;
    size_t file_count;
    struct text *services;
    size_t service_count;
    struct msg_method *methods;
    size_t method_count;
};

/* A message nests at most this deep in protobuf-c's eyes: of three in a row at least one counts
 * in the limit's eyes (msg_type_depth). */
#define MSG_FRAMES_MAX (3 * MSG_DEPTH_MAX + 3)

/* A descriptor of every service, and of the messages that no method reaches; NULL ends each. */
extern const ProtobufCServiceDescriptor *const msg_root_services[];
extern const ProtobufCMessageDescriptor *const msg_root_messages[];

/* The messages that an Any may hold; NULL ends them. */
extern const ProtobufCMessageDescriptor *const msg_detail_types[];

/* msg_type_of finds the type of a descriptor, which must be one of the schema's. */
const struct msg_type *msg_type_of(const struct msg_schema *s,
                                   const ProtobufCMessageDescriptor *pb);

/* msg_detail_type finds the type that an Any's type URL names, NULL if it is no detail. */
const struct msg_type *msg_detail_type(const struct msg_schema *s, struct bytes type_url);

/* msg_field_by_number finds a field, NULL if `type` has none of that number. */
const struct msg_field *msg_field_by_number(const struct msg_type *type, uint32_t number);

/* msg_type_depth is how much a type adds to the depth. A map's entries and google.protobuf.Value
 * are the wire's form of one level of JSON and add nothing: so both forms have one limit. */
static inline size_t msg_type_depth(const struct msg_type *type) {
    return type->is_entry || type->known == MSG_KNOWN_VALUE ? 0 : 1;
}

/* msg_files_read fills files, services and methods from the parsed set. */
MUST_USE struct error *msg_files_read(struct msg_schema *s,
                                      const Google__Protobuf__FileDescriptorSet *set,
                                      struct bytes octets);

/* msg_allocator makes protobuf-c allocate from `arena`; its free does nothing. */
ProtobufCAllocator msg_allocator(struct arena *arena);

/* msg_new returns an empty message of `pb` in `arena`, or NULL. */
ProtobufCMessage *msg_new(struct arena *arena, const ProtobufCMessageDescriptor *pb);

/* Where a field's value is, and its quantifier: the count of a repeated field (size_t) or the case
 * of a oneof (uint32_t). */
static inline void *msg_member(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f) {
    return (char *)m + f->offset;
}
static inline const void *msg_member_const(const ProtobufCMessage *m,
                                           const ProtobufCFieldDescriptor *f) {
    return (const char *)m + f->offset;
}
static inline size_t *msg_count(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f) {
    return (size_t *)(void *)((char *)m + f->quantifier_offset);
}
static inline size_t msg_count_const(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f) {
    return *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
}
static inline uint32_t *msg_case(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f) {
    return (uint32_t *)(void *)((char *)m + f->quantifier_offset);
}
static inline bool msg_is_oneof(const ProtobufCFieldDescriptor *f) {
    return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* msg_is_set says whether a message field or a oneof's member is there. */
bool msg_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* msg_element_size is the size of one value of a repeated field in protobuf-c's array. */
size_t msg_element_size(ProtobufCType type);

/* msg_too_large is the error of a full arena. */
MUST_USE struct error *msg_too_large(void);

#endif
