/*
 * reason: the machine-readable reasons of errors that leave the process as
 * google.rpc.ErrorInfo{reason, domain: "attestd"}. One table: the names, the code that goes with
 * each, and what a person should do; docs/errors.md and the status details come from it.
 */
#ifndef BASE_REASON_H
#define BASE_REASON_H

/* X(name, gRPC code, what to do) */
#define REASON_TABLE(X)                                                                            \
    X(INVALID_FIELD, 3, "Correct the field named in the BadRequest detail.")                       \
    X(MALFORMED_MESSAGE, 3, "Send a well-formed message of the method's request type.")            \
    X(PREDICATE_TYPE_RESERVED, 3,                                                                  \
      "Send SLSA provenance in the `provenance` field; the server alone issues summaries.")        \
    X(PAGE_TOKEN_INVALID, 3, "Start again without a page token.")                                  \
    X(IDEMPOTENCY_KEY_REUSED, 9, "Use a new key for new content.")                                 \
    X(LOG_READ_ONLY, 9, "The log does not take writes; see /readyz and docs/operations.md.")       \
    X(TOKEN_NAME_TAKEN, 6, "Names are unique for ever; choose another.")                           \
    X(ENTRY_NOT_FOUND, 5, "Check the index or leaf hash, and the server you asked.")               \
    X(TOKEN_NOT_FOUND, 5, "List the tokens to find the id.")                                       \
    X(TREE_SIZE_IN_FUTURE, 11, "Ask for a tree size that the log has reached.")                    \
    X(QUEUE_FULL, 8, "Retry after the delay in RetryInfo, with the same idempotency key.")         \
    X(QUOTA_EXCEEDED, 8, "This principal's quota is used up; retry after the delay in RetryInfo.") \
    X(MESSAGE_TOO_LARGE, 8, "Make the message smaller, or raise the server's limit.")              \
    X(DISK_RESERVE_REACHED, 8, "The server's disk is nearly full; free or add space.")             \
    X(CREDENTIALS_MISSING, 16, "Send `authorization: Bearer <token>`.")                            \
    X(CREDENTIALS_INVALID, 16, "The token is unknown, revoked or expired; get a new one.")         \
    X(SCOPE_MISSING, 7, "Use a token that has the scope this call needs.")                         \
    X(SCOPE_RESTRICTED, 7,                                                                         \
      "This token's scope does not reach this predicate type, environment "                        \
      "or subject.")                                                                               \
    X(ROUND_FAILED, 14, "The outcome is unknown; retry with the same idempotency key.")            \
    X(SHUTTING_DOWN, 14, "The server is stopping; retry.")

enum reason {
    REASON_NONE = 0,
#define REASON_ENUM(name, code, advice) REASON_##name,
    REASON_TABLE(REASON_ENUM)
#undef REASON_ENUM
        REASON_COUNT_
};

/* reason_name returns "LOG_READ_ONLY" and so on; "" for REASON_NONE. */
const char *reason_name(enum reason reason);

/* reason_code returns the gRPC code that goes with `reason`; 2 (UNKNOWN) for REASON_NONE. */
int reason_code(enum reason reason);

/* reason_advice returns what to do about it; "" for REASON_NONE. */
const char *reason_advice(enum reason reason);

#endif
