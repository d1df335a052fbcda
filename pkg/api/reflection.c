/*
 * Reflection, v1 and v1alpha: the two differ in the package's name alone, so one reading and one
 * writing serve both. Each message of the stream is answered before the next is read, out of an
 * arena of its own: a stream may be long.
 */
#include "api/internal.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

#define MESSAGE_MEMORY_MAX ((size_t)1 << 20)

typedef Grpc__Reflection__V1__ServerReflectionRequest request;
typedef Grpc__Reflection__V1__ServerReflectionResponse response;
#define ASKED(x) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##x
#define ANSWER(x) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##x

static void refuse(struct api_maker *mk, response *r, enum error_code code, const char *what) {
    Grpc__Reflection__V1__ErrorResponse *e =
        api_make(mk, &grpc__reflection__v1__error_response__descriptor);
    if (e == NULL) return;
    e->error_code = (int32_t)code;
    e->error_message = api_make_text(mk, bytes_of_cstr(what));
    r->message_response_case = ANSWER(ERROR_RESPONSE);
    r->error_response = e;
}

static void answer_files(struct api_maker *mk, response *r, const struct bytes files[MSG_FILES_MAX],
                         size_t count) {
    if (count == 0) {
        refuse(mk, r, ERROR_NOT_FOUND, "there is no such file or symbol");
        return;
    }
    Grpc__Reflection__V1__FileDescriptorResponse *f =
        api_make(mk, &grpc__reflection__v1__file_descriptor_response__descriptor);
    ProtobufCBinaryData *octets = api_make_array(mk, count, sizeof *octets);
    if (f == NULL || octets == NULL) return;
    for (size_t i = 0; i < count; i++) octets[i] = api_borrow(files[i]);
    f->file_descriptor_proto = octets;
    f->n_file_descriptor_proto = count;
    r->message_response_case = ANSWER(FILE_DESCRIPTOR_RESPONSE);
    r->file_descriptor_response = f;
}

static void answer_services(const struct api *a, struct api_maker *mk, response *r) {
    size_t count = 0;
    const struct text *services = msg_services(a->schema, &count);
    Grpc__Reflection__V1__ListServiceResponse *l =
        api_make(mk, &grpc__reflection__v1__list_service_response__descriptor);
    Grpc__Reflection__V1__ServiceResponse **list = api_make_list(mk, count);
    if (l == NULL || list == NULL) return;
    for (size_t i = 0; i < count; i++) {
        list[i] = api_make(mk, &grpc__reflection__v1__service_response__descriptor);
        if (list[i] == NULL) return;
        list[i]->name = api_make_text(mk, bytes_of_text(services[i]));
    }
    l->service = list;
    l->n_service = count;
    r->message_response_case = ANSWER(LIST_SERVICES_RESPONSE);
    r->list_services_response = l;
}

/* answer_extensions: proto/ has none, so each type's list is empty. */
static void answer_extensions(const struct api *a, struct api_maker *mk, response *r,
                              const char *type) {
    if (!msg_has_message(a->schema, bytes_of_cstr(type))) {
        refuse(mk, r, ERROR_NOT_FOUND, "there is no message of that name");
        return;
    }
    Grpc__Reflection__V1__ExtensionNumberResponse *e =
        api_make(mk, &grpc__reflection__v1__extension_number_response__descriptor);
    if (e == NULL) return;
    e->base_type_name = api_make_text(mk, bytes_of_cstr(type));
    r->message_response_case = ANSWER(ALL_EXTENSION_NUMBERS_RESPONSE);
    r->all_extension_numbers_response = e;
}

static void answer(const struct api *a, struct api_maker *mk, const request *q, response *r) {
    struct bytes files[MSG_FILES_MAX];
    size_t count = 0;
    switch (q->message_request_case) {
        case ASKED(FILE_BY_FILENAME):
            count = msg_file_by_name(a->schema, bytes_of_cstr(q->file_by_filename), files);
            answer_files(mk, r, files, count);
            return;
        case ASKED(FILE_CONTAINING_SYMBOL):
            count = msg_file_by_symbol(a->schema, bytes_of_cstr(q->file_containing_symbol), files);
            answer_files(mk, r, files, count);
            return;
        case ASKED(FILE_CONTAINING_EXTENSION):
            refuse(mk, r, ERROR_NOT_FOUND, "there are no extensions");
            return;
        case ASKED(ALL_EXTENSION_NUMBERS_OF_TYPE):
            answer_extensions(a, mk, r, q->all_extension_numbers_of_type);
            return;
        case ASKED(LIST_SERVICES):
            answer_services(a, mk, r);
            return;
        default:
            refuse(mk, r, ERROR_INVALID_ARGUMENT, "the request asks for nothing");
            return;
    }
}

static struct error *reflect(const struct api *a, struct rpc_call *rpc, struct arena *arena,
                             struct bytes message) {
    const ProtobufCMessage *m = NULL;
    TRY(api_decode(a, rpc, arena, &grpc__reflection__v1__server_reflection_request__descriptor,
                   message, &m));
    const request *q = (const request *)m;
    struct api_maker mk = {.arena = arena};
    response *r = api_make(&mk, &grpc__reflection__v1__server_reflection_response__descriptor);
    if (r != NULL) {
        r->valid_host = q->host;
        r->original_request = (request *)(uintptr_t)q;
        answer(a, &mk, q, r);
    }
    TRY(api_made(&mk));
    struct bytes encoded;
    TRY(api_encode(a, rpc, arena, &r->base, &encoded));
    rpc_call_send(rpc, encoded);
    return NULL;
}

static struct error *may_go_on(const struct api *a, const struct rpc_call *rpc) {
    const struct principal *p = rpc_call_user(rpc);
    if (p != NULL && !tokens_is_valid(a->options.tokens, p)) {
        return error_reason_new(REASON_CREDENTIALS_INVALID, "the token has ended");
    }
    if (!atomic_load(&a->draining)) return NULL;
    return error_reason_new(REASON_SHUTTING_DOWN, "the server is stopping");
}

static void on_cancel(struct rpc_call *rpc, void *ctx) {
    (void)ctx;
    rpc_call_finish(rpc, error_new(ERROR_CANCELLED, "the caller went away"));
}

void api_reflect(struct api *a, struct rpc_call *rpc, struct bytes message) {
    if (message.data == NULL) { /* half-close */
        rpc_call_finish(rpc, NULL);
        return;
    }
    rpc_call_on_cancel(rpc, on_cancel, NULL);
    struct error *err = may_go_on(a, rpc);
    struct arena arena;
    arena_init(&arena, MESSAGE_MEMORY_MAX);
    if (err == NULL) err = reflect(a, rpc, &arena, message);
    arena_done(&arena);
    if (err != NULL) rpc_call_finish(rpc, err);
}
