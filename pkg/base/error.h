/*
 * error: the only way a function in this program reports that it could not do its work.
 *
 * A fallible function returns `struct error *`: NULL on success, otherwise an immutable error
 * that the caller owns and must pass up (TRY, error_wrap), free (error_free) or drop with a reason
 * (error_ignore). Errors carry no thread or global state, so they may be handed to another thread.
 *
 * A negative answer is not an error: see "Verdicts" in README.md.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/reason.h"

/* The canonical gRPC codes with gRPC's own numbers, so the mapping to a status is the identity. */
enum error_code {
    ERROR_CANCELLED = 1,
    ERROR_UNKNOWN = 2,
    ERROR_INVALID_ARGUMENT = 3,
    ERROR_DEADLINE_EXCEEDED = 4,
    ERROR_NOT_FOUND = 5,
    ERROR_ALREADY_EXISTS = 6,
    ERROR_PERMISSION_DENIED = 7,
    ERROR_RESOURCE_EXHAUSTED = 8,
    ERROR_FAILED_PRECONDITION = 9,
    ERROR_ABORTED = 10,
    ERROR_OUT_OF_RANGE = 11,
    ERROR_UNIMPLEMENTED = 12,
    ERROR_INTERNAL = 13,
    ERROR_UNAVAILABLE = 14,
    ERROR_DATA_LOSS = 15,
    ERROR_UNAUTHENTICATED = 16,
};

struct error;

/* MUST_USE marks a result that the compiler makes the caller look at. */
#define MUST_USE __attribute__((__warn_unused_result__))

/* error_new returns a new error; `fmt` is one lower-case clause, without the caller's context. */
#define error_new(code, ...) error_new_at(__FILE__, __LINE__, (code), __VA_ARGS__)

/* error_wrap returns an error with the code, reason, field and retry hint of `cause`, which it
 * takes, and context in front. */
#define error_wrap(cause, ...) error_wrap_at(__FILE__, __LINE__, (cause), __VA_ARGS__)

/* error_recode is error_wrap with another code, where the inner code would lie up here (a
 * NOT_FOUND of a file is not a NOT_FOUND of the caller's thing). The inner reason is dropped. */
#define error_recode(cause, code, ...)                                                             \
    error_recode_at(__FILE__, __LINE__, (cause), (code), __VA_ARGS__)

/* error_reason_new returns an error with a reason of base/reason.h and that reason's code. */
#define error_reason_new(reason, ...) error_reason_new_at(__FILE__, __LINE__, (reason), __VA_ARGS__)

/* error_field_new returns INVALID_ARGUMENT with reason INVALID_FIELD for one field of a request.
 * `field` is the path as the caller wrote it ("subject[2].digest"); it is copied, cut at 63
 * octets. */
#define error_field_new(field, ...) error_field_new_at(__FILE__, __LINE__, (field), __VA_ARGS__)

MUST_USE struct error *error_new_at(const char *file, int line, enum error_code code,
                                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
MUST_USE struct error *error_wrap_at(const char *file, int line, struct error *cause,
                                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));
MUST_USE struct error *error_recode_at(const char *file, int line, struct error *cause,
                                       enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
MUST_USE struct error *error_reason_new_at(const char *file, int line, enum reason reason,
                                           const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
MUST_USE struct error *error_field_new_at(const char *file, int line, const char *field,
                                          const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* error_retry_after says that a retry may succeed after `ms`; `err` is returned. */
MUST_USE struct error *error_retry_after(struct error *err, uint32_t ms);

/* error_nomem returns the static out-of-memory error; it needs no memory and no free. */
MUST_USE struct error *error_nomem(void);

enum error_code error_code(const struct error *err);

/* error_code_name returns the upper-case name of a code, as gRPC writes it ("NOT_FOUND"). */
const char *error_code_name(enum error_code code);

/* error_message returns the outermost message. What of a chain a remote client may see is
 * decided in one place, rpc/status.c: all of it where the client is at fault, else nothing. */
const char *error_message(const struct error *err);

/* error_cause returns the error that `err` wraps, or NULL. The cause is owned by `err`. */
const struct error *error_cause(const struct error *err);

/* error_reason returns the reason of `err` or, failing that, of the nearest cause that has one;
 * REASON_NONE if none has. */
enum reason error_reason(const struct error *err);

/* error_field returns the field path of `err` or of the nearest cause with one, else "". */
const char *error_field(const struct error *err);

/* error_retry_ms returns what error_retry_after said of `err` or of the nearest cause, else 0. */
uint32_t error_retry_ms(const struct error *err);

/* error_file and error_line tell where `err` was made, for the one log line about it. */
const char *error_file(const struct error *err);
int error_line(const struct error *err);

/* error_text writes "message: cause: cause" into `out`, always NUL-terminated, cut at `size`. */
void error_text(const struct error *err, char *out, size_t size);

/* error_ignore frees `err`. `why` says, for the reader, why dropping it is right. */
void error_ignore(struct error *err, const char *why);

/* error_free frees `err` and its causes. NULL is allowed. */
void error_free(struct error *err);
DEFINE_CLEANUP(struct error, error_free);

/* TRY returns from the calling function with the error of `expr`, if any. The only control-flow
 * macro in the program. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        struct error *try_err_ = (expr);                                                           \
        if (try_err_ != NULL) return try_err_;                                                     \
    } while (0)

#endif
