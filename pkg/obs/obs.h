/*
 * obs: log events and metrics. Floors 6 and up only. A log line is a constant event name and typed,
 * escaped fields as one JSON object a line on standard error; secrets, tokens and payloads have no
 * type here. Metrics are one table; no label ever holds a digest, name or principal. Thread-safe.
 */
#ifndef OBS_OBS_H
#define OBS_OBS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

enum log_level { LOG_DEBUG = 0, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_field_type { LOG_FIELD_END = 0, LOG_FIELD_STR, LOG_FIELD_U64, LOG_FIELD_ERR };

struct log_field {
    enum log_field_type type;
    const char *name; /* a literal */
    struct bytes str; /* escaped, cut at 512 octets */
    uint64_t u64;
    const struct error *err; /* chain, reason, file and line; NULL: the field is left out */
};

#define LOG_STR(n, b) ((struct log_field){.type = LOG_FIELD_STR, .name = (n), .str = (b)})
#define LOG_CSTR(n, s) LOG_STR(n, bytes_of_cstr(s))
#define LOG_U64(n, v) ((struct log_field){.type = LOG_FIELD_U64, .name = (n), .u64 = (v)})
#define LOG_ERR(n, e) ((struct log_field){.type = LOG_FIELD_ERR, .name = (n), .err = (e)})

/* log_event writes one line; `event` is a literal ("round_failed"). An event name is limited to
 * 100 lines a second; what was left out is counted and said. */
#define log_event(level, event, ...)                                                               \
    log_event_fields((level), (event),                                                             \
                     (const struct log_field[]){__VA_ARGS__, {.type = LOG_FIELD_END}})
void log_event_fields(enum log_level level, const char *event, const struct log_field *fields);
void log_set_level(enum log_level level);
void log_set_fd(int fd); /* standard error by default */

/* X(enumerator, prometheus name, type, help). Labelled families are listed beneath. */
#define METRIC_TABLE(X)                                                                            \
    X(LOG_SIZE, "attestd_log_size", GAUGE, "Entries in the log.")                                  \
    X(ANCHOR_LAG, "attestd_anchor_lag_entries", GAUGE, "Entries committed but not yet anchored.")  \
    X(ANCHOR_CREATED, "attestd_anchor_created", COUNTER,                                           \
      "Outer anchors made anew because none was found.")                                           \
    X(DISK_FREE, "attestd_disk_free_bytes", GAUGE, "Free octets on the data directory's disk.")    \
    X(STORE_BYTES, "attestd_store_bytes", GAUGE, "Octets of the store's files.")                   \
    X(TLS_EXPIRY, "attestd_tls_certificate_expiry_seconds", GAUGE,                                 \
      "Unix time at which the server certificate expires.")                                        \
    X(READ_ONLY, "attestd_read_only", GAUGE, "1 while the log takes no writes.")                   \
    X(POLICY_RELOAD_FAILED, "attestd_policy_reload_failed", GAUGE,                                 \
      "1 while the policy directory does not load and the old set is kept.")                       \
    X(LOG_LINES_DROPPED, "attestd_log_lines_dropped_total", COUNTER, "Log lines over the rate.")   \
    X(CONNECTIONS, "attestd_connections", GAUGE, "Open connections.")

enum metric {
#define METRIC_ENUM(e, name, type, help) METRIC_##e,
    METRIC_TABLE(METRIC_ENUM)
#undef METRIC_ENUM
        METRIC_COUNT_
};

void metric_set(enum metric m, uint64_t v);
void metric_add(enum metric m, uint64_t v);
uint64_t metric_get(enum metric m);

/* Labelled and distribution metrics, each a closed set of label values. */
void metric_rpc(const char *method, int code, uint64_t micros); /* requests_total, seconds */
void metric_round(uint64_t micros, uint64_t entries);           /* log_round_seconds, _entries */
void metric_queue(const char *queue, uint64_t depth);           /* queue_depth{queue} */
void metric_decision(struct bytes policy, bool allow); /* decisions_total{policy,decision} */

/* metrics_put appends the Prometheus text form. */
void metrics_put(struct buf *out);

#endif
