/* The schema joins two views of one type: protobuf-c's descriptor, which knows offsets, and the
 * descriptor set, which knows JSON names and maps. Joined once, by full name. Types are found by
 * the address of their descriptor, which every message carries. */
#include "base/alloc.h"
#include "base/assert.h"
#include "msg/internal.h"

/* build/gen/descriptors.c */
extern const uint8_t descriptor_set[];
extern const size_t descriptor_set_len;

#define SCHEMA_MAX ((size_t)4 << 20)
#define TYPES_MAX 256
#define NAME_MAX_LEN 256

/* --- collecting descriptors */

struct collection {
    const ProtobufCMessageDescriptor *items[TYPES_MAX];
    size_t count;
};

static void collect(struct collection *c, const ProtobufCMessageDescriptor *pb) {
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i] == pb) return;
    }
    ASSERT(c->count < TYPES_MAX);
    c->items[c->count++] = pb;
}

static void collect_all(struct collection *c) {
    for (size_t i = 0; msg_root_services[i] != NULL; i++) {
        const ProtobufCServiceDescriptor *service = msg_root_services[i];
        for (unsigned m = 0; m < service->n_methods; m++) {
            collect(c, service->methods[m].input);
            collect(c, service->methods[m].output);
        }
    }
    for (size_t i = 0; msg_root_messages[i] != NULL; i++) collect(c, msg_root_messages[i]);
    for (size_t i = 0; i < c->count; i++) { /* grows while it is walked */
        for (unsigned f = 0; f < c->items[i]->n_fields; f++) {
            const ProtobufCFieldDescriptor *field = &c->items[i]->fields[f];
            if (field->type == PROTOBUF_C_TYPE_MESSAGE) collect(c, field->descriptor);
        }
    }
}

static void sort_by_address(struct collection *c) {
    for (size_t i = 1; i < c->count; i++) {
        const ProtobufCMessageDescriptor *pb = c->items[i];
        size_t at = i;
        for (; at > 0 && (uintptr_t)c->items[at - 1] > (uintptr_t)pb; at--) {
            c->items[at] = c->items[at - 1];
        }
        c->items[at] = pb;
    }
}

/* --- finding a type's entry in the descriptor set */

/* after_prefix takes `prefix` and a dot off the front of `*name`. */
static bool after_prefix(struct bytes *name, const char *prefix) {
    struct bytes p = bytes_of_cstr(prefix);
    if (!bytes_start_with(*name, p) || name->len <= p.len || name->data[p.len] != '.') return false;
    *name = (struct bytes){name->data + p.len + 1, name->len - p.len - 1};
    return true;
}

/* find_message walks "Outer.Inner" down from the top of a file. */
static const Google__Protobuf__DescriptorProto *find_message(
    const Google__Protobuf__FileDescriptorProto *file, struct bytes name) {
    Google__Protobuf__DescriptorProto *const *level = file->message_type;
    size_t count = file->n_message_type;
    size_t i = 0;
    while (i < count) {
        if (bytes_equal(name, bytes_of_cstr(level[i]->name))) return level[i];
        if (!after_prefix(&name, level[i]->name)) {
            i++;
            continue;
        }
        count = level[i]->n_nested_type;
        level = level[i]->nested_type;
        i = 0;
    }
    return NULL;
}

static const Google__Protobuf__DescriptorProto *find_descriptor(
    const Google__Protobuf__FileDescriptorSet *set, const char *full_name) {
    for (size_t i = 0; i < set->n_file; i++) {
        struct bytes name = bytes_of_cstr(full_name);
        if (!after_prefix(&name, set->file[i]->package)) continue;
        const Google__Protobuf__DescriptorProto *found = find_message(set->file[i], name);
        if (found != NULL) return found;
    }
    return NULL;
}

/* --- joining */

static enum msg_known known_of(const char *name) {
    static const struct {
        const char *name;
        enum msg_known known;
    } table[] = {
        {"google.protobuf.Any", MSG_KNOWN_ANY},
        {"google.protobuf.Duration", MSG_KNOWN_DURATION},
        {"google.protobuf.ListValue", MSG_KNOWN_LIST_VALUE},
        {"google.protobuf.Struct", MSG_KNOWN_STRUCT},
        {"google.protobuf.Timestamp", MSG_KNOWN_TIMESTAMP},
        {"google.protobuf.Value", MSG_KNOWN_VALUE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, name) == 0) return table[i].known;
    }
    return MSG_KNOWN_NONE;
}

static const char *json_name_of(const Google__Protobuf__DescriptorProto *proto, uint32_t number) {
    for (size_t i = 0; i < proto->n_field; i++) {
        if ((uint32_t)proto->field[i]->number == number) return proto->field[i]->json_name;
    }
    return NULL;
}

static struct error *join_fields(struct msg_schema *s, struct msg_type *type,
                                 const Google__Protobuf__DescriptorProto *proto) {
    ASSERT(type->pb->n_fields == proto->n_field);
    type->fields = arena_alloc(&s->arena, (type->pb->n_fields + 1) * sizeof *type->fields);
    if (type->fields == NULL) return error_nomem();
    for (unsigned i = 0; i < type->pb->n_fields; i++) {
        struct msg_field *field = &type->fields[i];
        field->pb = &type->pb->fields[i];
        const char *json_name = json_name_of(proto, field->pb->id);
        ASSERT(json_name != NULL && json_name[0] != '\0');
        field->json_name = text_of_cstr(json_name);
        if (field->pb->type == PROTOBUF_C_TYPE_MESSAGE) {
            field->type = msg_type_of(s, field->pb->descriptor);
        }
    }
    return NULL;
}

/* mark_maps needs every type's is_entry. A map's key is a string in all of proto/: other keys
 * would need their own comparison. */
static void mark_maps(struct msg_schema *s) {
    for (size_t t = 0; t < s->type_count; t++) {
        struct msg_type *type = &s->types[t];
        for (unsigned i = 0; i < type->pb->n_fields; i++) {
            struct msg_field *field = &type->fields[i];
            field->is_map = field->type != NULL && field->type->is_entry;
            if (!field->is_map) continue;
            ASSERT(field->type->pb->n_fields == 2);
            ASSERT(field->type->pb->fields[0].type == PROTOBUF_C_TYPE_STRING);
            type->maps_below = true;
        }
    }
}

static bool holds_maps(const struct msg_type *type) {
    for (unsigned i = 0; i < type->pb->n_fields; i++) {
        const struct msg_type *inner = type->fields[i].type;
        if (inner != NULL && inner->maps_below) return true;
    }
    return type->maps_below;
}

/* spread_maps_below repeats until nothing changes: types refer to each other in circles. */
static void spread_maps_below(struct msg_schema *s) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t t = 0; t < s->type_count; t++) {
            bool holds = holds_maps(&s->types[t]);
            changed = changed || holds != s->types[t].maps_below;
            s->types[t].maps_below = holds;
        }
    }
}

static struct error *join(struct msg_schema *s, const Google__Protobuf__FileDescriptorSet *set) {
    struct collection all = {0};
    collect_all(&all);
    sort_by_address(&all);
    s->types = arena_alloc(&s->arena, all.count * sizeof *s->types);
    if (s->types == NULL) return error_nomem();
    s->type_count = all.count;
    for (size_t i = 0; i < all.count; i++) s->types[i].pb = all.items[i];

    for (size_t i = 0; i < all.count; i++) {
        struct msg_type *type = &s->types[i];
        const Google__Protobuf__DescriptorProto *proto = find_descriptor(set, type->pb->name);
        ASSERT(proto != NULL);
        type->name = text_of_cstr(type->pb->name);
        type->known = known_of(type->pb->name);
        type->is_entry = proto->options != NULL && proto->options->map_entry;
        TRY(join_fields(s, type, proto));
    }
    mark_maps(s);
    spread_maps_below(s);
    return NULL;
}

/* --- the public side */

struct error *msg_schema_new(struct msg_schema **out) {
    CLEANUP(msg_schema_freep) struct msg_schema *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    arena_init(&s->arena, SCHEMA_MAX);
    /* Our own constant: it needs no check. */
    ProtobufCAllocator allocator = msg_allocator(&s->arena);
    Google__Protobuf__FileDescriptorSet *set = google__protobuf__file_descriptor_set__unpack(
        &allocator, descriptor_set_len, descriptor_set);
    if (set == NULL) return error_nomem();
    TRY(join(s, set));
    TRY(msg_files_read(s, set, (struct bytes){descriptor_set, descriptor_set_len}));
    *out = MOVE(s);
    return NULL;
}

void msg_schema_free(struct msg_schema *s) {
    if (s == NULL) return;
    arena_done(&s->arena);
    alloc_free(s);
}

const struct msg_type *msg_type_of(const struct msg_schema *s,
                                   const ProtobufCMessageDescriptor *pb) {
    size_t low = 0;
    size_t high = s->type_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)s->types[middle].pb < (uintptr_t)pb) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    ASSERT(low < s->type_count && s->types[low].pb == pb);
    return &s->types[low];
}

const ProtobufCMessageDescriptor *msg_type_by_name(const struct msg_schema *s,
                                                   struct bytes full_name) {
    for (size_t i = 0; i < s->type_count; i++) {
        if (bytes_equal(bytes_of_text(s->types[i].name), full_name)) return s->types[i].pb;
    }
    return NULL;
}

const struct msg_type *msg_detail_type(const struct msg_schema *s, struct bytes type_url) {
    for (size_t i = 0; msg_detail_types[i] != NULL; i++) {
        struct bytes name = bytes_of_cstr(msg_detail_types[i]->name);
        if (type_url.len <= name.len) continue;
        struct bytes tail = {type_url.data + type_url.len - name.len, name.len};
        if (tail.data[-1] == '/' && bytes_equal(tail, name)) {
            return msg_type_of(s, msg_detail_types[i]);
        }
    }
    return NULL;
}

const struct msg_field *msg_field_by_number(const struct msg_type *type, uint32_t number) {
    size_t low = 0;
    size_t high = type->pb->n_fields;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (type->pb->fields[middle].id == number) return &type->fields[middle];
        if (type->pb->fields[middle].id < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool msg_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f) {
    if (msg_is_oneof(f)) {
        const void *which = (const char *)m + f->quantifier_offset;
        if (*(const uint32_t *)which != f->id) return false;
    }
    if (f->type != PROTOBUF_C_TYPE_MESSAGE) return true;
    return *(ProtobufCMessage *const *)msg_member_const(m, f) != NULL;
}
