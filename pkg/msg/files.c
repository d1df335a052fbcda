/* What reflection serves: files as protoc wrote them, octet for octet, never packed anew.
 *
 *   FileDescriptorSet = (0x0a varint(len) FileDescriptorProto)*      field 1, length-delimited
 */
#include "base/assert.h"
#include "codec/codec.h"
#include "msg/internal.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;
typedef Google__Protobuf__MethodDescriptorProto method_proto;

#define FILE_TAG 0x0a

static bool is(struct bytes name, const char *want) {
    return bytes_equal(name, bytes_of_cstr(want));
}

/* strip takes `prefix` and a dot off the front of `name`. */
static bool strip(struct bytes name, const char *prefix, struct bytes *out) {
    struct bytes p = bytes_of_cstr(prefix);
    if (!bytes_start_with(name, p) || name.len <= p.len || name.data[p.len] != '.') return false;
    *out = (struct bytes){name.data + p.len + 1, name.len - p.len - 1};
    return true;
}

/* --- reading the set */

static struct error *read_spans(struct msg_schema *s,
                                const Google__Protobuf__FileDescriptorSet *set,
                                struct bytes octets) {
    ASSERT(set->n_file <= MSG_FILES_MAX);
    s->files = arena_alloc(&s->arena, set->n_file * sizeof *s->files);
    if (s->files == NULL) return error_nomem();
    for (; s->file_count < set->n_file; s->file_count++) {
        ASSERT(octets.len > 0 && octets.data[0] == FILE_TAG);
        octets = (struct bytes){octets.data + 1, octets.len - 1};
        uint64_t len = 0;
        ASSERT(varint_get(&octets, &len) && len <= octets.len);
        s->files[s->file_count] =
            (struct msg_file){.name = text_of_cstr(set->file[s->file_count]->name),
                              .octets = {octets.data, (size_t)len},
                              .parsed = set->file[s->file_count]};
        octets = (struct bytes){octets.data + len, octets.len - (size_t)len};
    }
    ASSERT(octets.len == 0);
    return NULL;
}

/* put_text builds a NUL-terminated text in the schema's arena out of three parts. */
static struct error *put_text(struct msg_schema *s, const char *const parts[5], struct text *out) {
    struct buf b;
    buf_init_arena(&b, &s->arena, 1024);
    for (size_t i = 0; i < 5; i++) buf_put_cstr(&b, parts[i]);
    buf_put_u8(&b, 0);
    TRY(buf_finish(&b, "name"));
    *out = (struct text){(const char *)b.data, b.len - 1};
    return NULL;
}

static struct error *read_method(struct msg_schema *s, struct text service,
                                 const method_proto *method) {
    struct msg_method *out = &s->methods[s->method_count];
    TRY(put_text(s, (const char *const[]){"/", service.data, "/", method->name, ""}, &out->path));
    out->input = text_of_cstr(method->input_type + 1); /* behind the dot */
    out->output = text_of_cstr(method->output_type + 1);
    out->client_streaming = method->client_streaming;
    out->server_streaming = method->server_streaming;
    out->no_side_effects = method->options != NULL &&
                           method->options->idempotency_level ==
                               GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS;
    s->method_count++;
    return NULL;
}

static struct error *read_service(struct msg_schema *s, const file_proto *file,
                                  const service_proto *service) {
    struct text *name = &s->services[s->service_count];
    TRY(put_text(s, (const char *const[]){file->package, ".", service->name, "", ""}, name));
    s->service_count++;
    for (size_t i = 0; i < service->n_method; i++) {
        TRY(read_method(s, *name, service->method[i]));
    }
    return NULL;
}

struct error *msg_files_read(struct msg_schema *s, const Google__Protobuf__FileDescriptorSet *set,
                             struct bytes octets) {
    TRY(read_spans(s, set, octets));
    size_t services = 0;
    size_t methods = 0;
    for (size_t i = 0; i < set->n_file; i++) {
        services += set->file[i]->n_service;
        for (size_t k = 0; k < set->file[i]->n_service; k++) {
            methods += set->file[i]->service[k]->n_method;
        }
    }
    s->services = arena_alloc(&s->arena, services * sizeof *s->services);
    s->methods = arena_alloc(&s->arena, methods * sizeof *s->methods);
    if (s->services == NULL || s->methods == NULL) return error_nomem();
    for (size_t i = 0; i < set->n_file; i++) {
        for (size_t k = 0; k < set->file[i]->n_service; k++) {
            TRY(read_service(s, set->file[i], set->file[i]->service[k]));
        }
    }
    return NULL;
}

/* --- who defines a symbol */

static bool service_defines(const file_proto *file, struct bytes name) {
    for (size_t i = 0; i < file->n_service; i++) {
        const service_proto *service = file->service[i];
        if (is(name, service->name)) return true;
        struct bytes method;
        if (!strip(name, service->name, &method)) continue;
        for (size_t k = 0; k < service->n_method; k++) {
            if (is(method, service->method[k]->name)) return true;
        }
    }
    return false;
}

/* Names in one scope: a file's or a message's. The values of an enum are its siblings. */
struct scope {
    message_proto *const *messages;
    size_t message_count;
    enum_proto *const *enums;
    size_t enum_count;
};

static bool enum_defines(const struct scope *scope, struct bytes name) {
    for (size_t i = 0; i < scope->enum_count; i++) {
        if (is(name, scope->enums[i]->name)) return true;
        for (size_t k = 0; k < scope->enums[i]->n_value; k++) {
            if (is(name, scope->enums[i]->value[k]->name)) return true;
        }
    }
    return false;
}

static bool message_has_field(const message_proto *message, struct bytes name) {
    for (size_t i = 0; i < message->n_field; i++) {
        if (is(name, message->field[i]->name)) return true;
    }
    return false;
}

/* find_in walks "Outer.Inner.name" down from `scope`; a message found at the end is *out_message,
 * which is NULL for another kind of thing. */
static bool find_in(struct scope scope, struct bytes name, const message_proto **out_message) {
    *out_message = NULL;
    for (;;) {
        if (enum_defines(&scope, name)) return true;
        const message_proto *inner = NULL;
        for (size_t i = 0; i < scope.message_count && inner == NULL; i++) {
            if (is(name, scope.messages[i]->name)) {
                *out_message = scope.messages[i];
                return true;
            }
            if (strip(name, scope.messages[i]->name, &name)) inner = scope.messages[i];
        }
        if (inner == NULL) return false;
        if (message_has_field(inner, name)) return true;
        scope = (struct scope){inner->nested_type, inner->n_nested_type, inner->enum_type,
                               inner->n_enum_type};
    }
}

static bool file_defines(const file_proto *file, struct bytes symbol,
                         const message_proto **out_message) {
    struct bytes name;
    *out_message = NULL;
    if (!strip(symbol, file->package, &name)) return false;
    if (service_defines(file, name)) return true;
    struct scope top = {file->message_type, file->n_message_type, file->enum_type,
                        file->n_enum_type};
    return find_in(top, name, out_message);
}

/* --- the public side */

static const struct msg_file *file_named(const struct msg_schema *s, struct bytes name) {
    for (size_t i = 0; i < s->file_count; i++) {
        if (bytes_equal(bytes_of_text(s->files[i].name), name)) return &s->files[i];
    }
    return NULL;
}

static void add_once(const struct msg_file *file, const struct msg_file *list[MSG_FILES_MAX],
                     size_t *count) {
    for (size_t i = 0; i < *count; i++) {
        if (list[i] == file) return;
    }
    list[(*count)++] = file;
}

static size_t with_imports(const struct msg_schema *s, const struct msg_file *file,
                           struct bytes out[MSG_FILES_MAX]) {
    const struct msg_file *list[MSG_FILES_MAX] = {file};
    size_t count = 1;
    for (size_t i = 0; i < count; i++) { /* grows while it is walked */
        out[i] = list[i]->octets;
        for (size_t k = 0; k < list[i]->parsed->n_dependency; k++) {
            const struct msg_file *import =
                file_named(s, bytes_of_cstr(list[i]->parsed->dependency[k]));
            ASSERT(import != NULL);
            add_once(import, list, &count);
        }
    }
    return count;
}

size_t msg_file_by_name(const struct msg_schema *s, struct bytes name,
                        struct bytes out[MSG_FILES_MAX]) {
    const struct msg_file *file = file_named(s, name);
    return file == NULL ? 0 : with_imports(s, file, out);
}

size_t msg_file_by_symbol(const struct msg_schema *s, struct bytes symbol,
                          struct bytes out[MSG_FILES_MAX]) {
    const message_proto *ignored;
    for (size_t i = 0; i < s->file_count; i++) {
        if (file_defines(s->files[i].parsed, symbol, &ignored)) {
            return with_imports(s, &s->files[i], out);
        }
    }
    return 0;
}

bool msg_has_message(const struct msg_schema *s, struct bytes full_name) {
    const message_proto *message = NULL;
    for (size_t i = 0; i < s->file_count && message == NULL; i++) {
        (void)file_defines(s->files[i].parsed, full_name, &message);
    }
    return message != NULL;
}

const struct text *msg_services(const struct msg_schema *s, size_t *out_count) {
    *out_count = s->service_count;
    return s->services;
}

const struct msg_method *msg_methods(const struct msg_schema *s, size_t *out_count) {
    *out_count = s->method_count;
    return s->methods;
}
