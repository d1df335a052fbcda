/* What a client is told of an error, decided here alone. Where the client is at fault, it gets the
 * whole chain, which names its own input; where we are, a fixed text and the request id, under
 * which an operator finds the log line: our paths, peers and states are no client's business. */
#include <stdio.h>

#include "rpc/internal.h"

static bool is_clients_fault(enum error_code code) {
    switch (code) {
        case ERROR_CANCELLED:
        case ERROR_INVALID_ARGUMENT:
        case ERROR_DEADLINE_EXCEEDED:
        case ERROR_NOT_FOUND:
        case ERROR_ALREADY_EXISTS:
        case ERROR_PERMISSION_DENIED:
        case ERROR_RESOURCE_EXHAUSTED:
        case ERROR_FAILED_PRECONDITION:
        case ERROR_ABORTED:
        case ERROR_OUT_OF_RANGE:
        case ERROR_UNIMPLEMENTED:
        case ERROR_UNAUTHENTICATED:
            return true;
        case ERROR_UNKNOWN:
        case ERROR_INTERNAL:
        case ERROR_UNAVAILABLE:
        case ERROR_DATA_LOSS:
            return false;
    }
    return false;
}

/* When a retry may succeed, in milliseconds; 0: not by waiting. */
static uint32_t retry_ms_of(const struct error *err) {
    uint32_t told = error_retry_ms(err);
    if (told != 0) return told;
    switch (error_reason(err)) {
        case REASON_QUEUE_FULL:
            return 50;
        case REASON_ROUND_FAILED:
            return 200;
        case REASON_QUOTA_EXCEEDED:
        case REASON_SHUTTING_DOWN:
            return 1000;
        default:
            return 0;
    }
}

/* put_text says what was wrong with the request, and in which field where there is one: readers of
 * the message alone would ask what "is missing". */
static void put_text(const struct error *err, char *out, size_t size) {
    const char *field = error_field(err);
    size_t len = strlen(field);
    error_text(err, out, size);
    if (len == 0 || strncmp(out, field, len) == 0 || len + 2 >= size) return;
    (void)snprintf(out, size, "%s: ", field);
    error_text(err, out + len + 2, size - len - 2);
}

void rpc_status_public(const struct error *err, const char *request_id, struct rpc_status *out) {
    *out = (struct rpc_status){.code = error_code(err)};
    enum reason reason = error_reason(err);
    if (is_clients_fault(out->code)) {
        put_text(err, out->message, sizeof out->message);
    } else if (reason != REASON_NONE) {
        (void)snprintf(out->message, sizeof out->message, "%s (request %s)", reason_advice(reason),
                       request_id);
    } else {
        const char *what =
            out->code == ERROR_UNAVAILABLE ? "the server cannot do this now" : "the server failed";
        (void)snprintf(out->message, sizeof out->message, "%s (request %s)", what, request_id);
    }
}

void rpc_status_details(const struct error *err, const struct rpc_status *status,
                        struct msg_status *out) {
    enum reason reason = error_reason(err);
    *out = (struct msg_status){
        .code = (int)status->code,
        .message = bytes_of_cstr(status->message),
        .reason = reason_name(reason),
        .field = error_field(err),
        .field_description = status->message,
        .retry_ms = retry_ms_of(err),
    };
}
