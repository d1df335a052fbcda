#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define ERROR_MESSAGE_MAX 384
#define ERROR_FIELD_MAX 64

struct error {
    enum error_code code;
    enum reason reason;
    bool immortal; /* static storage: never freed */
    int line;
    uint32_t retry_ms;
    const char *file;
    struct error *cause; /* owned, may be NULL */
    char field[ERROR_FIELD_MAX];
    char message[ERROR_MESSAGE_MAX];
};

static struct error nomem = {
    .code = ERROR_RESOURCE_EXHAUSTED,
    .immortal = true,
    .file = __FILE__,
    .message = "out of memory",
};

struct error *error_nomem(void) {
    return &nomem;
}

/* make builds an error. Without memory the cause itself is returned: the first truth is kept. */
static struct error *make(const char *file, int line, enum error_code code, struct error *cause,
                          const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));

static struct error *make(const char *file, int line, enum error_code code, struct error *cause,
                          const char *fmt, va_list ap) {
    struct error *err = alloc_zero(1, sizeof *err);
    if (err == NULL) return cause != NULL ? cause : error_nomem();
    *err = (struct error){.code = code, .line = line, .file = file, .cause = cause};
    (void)vsnprintf(err->message, sizeof err->message, fmt, ap); /* truncation is acceptable */
    return err;
}

struct error *error_new_at(const char *file, int line, enum error_code code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct error *err = make(file, line, code, NULL, fmt, ap);
    va_end(ap);
    return err;
}

struct error *error_wrap_at(const char *file, int line, struct error *cause, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct error *err = make(file, line, cause->code, cause, fmt, ap);
    va_end(ap);
    return err;
}

struct error *error_recode_at(const char *file, int line, struct error *cause, enum error_code code,
                              const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    struct error *err = make(file, line, code, NULL, fmt, ap);
    va_end(ap);
    if (err->immortal) return cause;
    err->cause = cause;
    return err;
}

struct error *error_reason_new_at(const char *file, int line, enum reason reason, const char *fmt,
                                  ...) {
    va_list ap;
    va_start(ap, fmt);
    struct error *err = make(file, line, (enum error_code)reason_code(reason), NULL, fmt, ap);
    va_end(ap);
    if (!err->immortal) err->reason = reason;
    return err;
}

struct error *error_field_new_at(const char *file, int line, const char *field, const char *fmt,
                                 ...) {
    va_list ap;
    va_start(ap, fmt);
    struct error *err = make(file, line, ERROR_INVALID_ARGUMENT, NULL, fmt, ap);
    va_end(ap);
    if (err->immortal) return err;
    err->reason = REASON_INVALID_FIELD;
    (void)snprintf(err->field, sizeof err->field, "%s", field);
    return err;
}

struct error *error_retry_after(struct error *err, uint32_t ms) {
    if (!err->immortal) err->retry_ms = ms;
    return err;
}

static const char *const code_names[] = {
    [0] = "OK",
    [ERROR_CANCELLED] = "CANCELLED",
    [ERROR_UNKNOWN] = "UNKNOWN",
    [ERROR_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [ERROR_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [ERROR_NOT_FOUND] = "NOT_FOUND",
    [ERROR_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [ERROR_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [ERROR_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [ERROR_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [ERROR_ABORTED] = "ABORTED",
    [ERROR_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [ERROR_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [ERROR_INTERNAL] = "INTERNAL",
    [ERROR_UNAVAILABLE] = "UNAVAILABLE",
    [ERROR_DATA_LOSS] = "DATA_LOSS",
    [ERROR_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *error_code_name(enum error_code code) {
    size_t i = (size_t)code;
    return i < sizeof code_names / sizeof *code_names ? code_names[i] : "UNKNOWN";
}

enum error_code error_code(const struct error *err) { return err->code; }
const char *error_message(const struct error *err) { return err->message; }
const struct error *error_cause(const struct error *err) { return err->cause; }
const char *error_file(const struct error *err) { return err->file; }
int error_line(const struct error *err) { return err->line; }

enum reason error_reason(const struct error *err) {
    for (; err != NULL; err = err->cause) {
        if (err->reason != REASON_NONE) return err->reason;
        if (err->cause != NULL && err->cause->code != err->code) break; /* recoded: starts anew */
    }
    return REASON_NONE;
}

const char *error_field(const struct error *err) {
    for (; err != NULL; err = err->cause)
        if (err->field[0] != '\0') return err->field;
    return "";
}

uint32_t error_retry_ms(const struct error *err) {
    for (; err != NULL; err = err->cause)
        if (err->retry_ms != 0) return err->retry_ms;
    return 0;
}

void error_text(const struct error *err, char *out, size_t size) {
    size_t used = 0;
    if (size == 0) return;
    out[0] = '\0';
    for (; err != NULL && used + 1 < size; err = err->cause) {
        const char *sep = used == 0 ? "" : ": ";
        int n = snprintf(out + used, size - used, "%s%s", sep, err->message);
        if (n < 0) return;
        used += (size_t)n;
    }
}

void error_ignore(struct error *err, const char *why) {
    (void)why; /* for the reader of the call */
    error_free(err);
}

void error_free(struct error *err) {
    while (err != NULL && !err->immortal) {
        struct error *cause = err->cause;
        alloc_free(err);
        err = cause;
    }
}
