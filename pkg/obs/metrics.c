/* Counters and gauges are one atomic each; families with labels are fixed tables, filled in the
 * order in which label values are first seen, so their number is bounded whatever callers send. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "obs/obs.h"

#define METHODS_MAX 64
#define CODES_MAX 17
#define QUEUES_MAX 8
#define POLICIES_MAX 256
#define LABEL_MAX 128

static _Atomic uint64_t plain[METRIC_COUNT_];

void metric_set(enum metric m, uint64_t v) {
    atomic_store_explicit(&plain[m], v, memory_order_relaxed);
}
void metric_add(enum metric m, uint64_t v) {
    atomic_fetch_add_explicit(&plain[m], v, memory_order_relaxed);
}
uint64_t metric_get(enum metric m) { return atomic_load_explicit(&plain[m], memory_order_relaxed); }

/* Upper bounds in microseconds; the last bucket is +Inf. */
static const uint64_t time_bounds[] = {100,     250,     500,     1000,    2500,   5000,
                                       10000,   25000,   50000,   100000,  250000, 500000,
                                       1000000, 2500000, 5000000, 10000000};
#define TIME_BOUNDS (sizeof time_bounds / sizeof *time_bounds)
static const uint64_t entry_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
#define ENTRY_BOUNDS (sizeof entry_bounds / sizeof *entry_bounds)

struct histogram {
    _Atomic uint64_t buckets[TIME_BOUNDS + 1];
    _Atomic uint64_t sum;
};

static void observe(struct histogram *h, const uint64_t *bounds, size_t count, uint64_t v) {
    size_t i = 0;
    while (i < count && v > bounds[i]) i++;
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, v, memory_order_relaxed);
}

struct method_metric {
    _Atomic(const char *) name; /* a literal of the RPC table */
    _Atomic uint64_t codes[CODES_MAX];
    struct histogram seconds;
};
static struct method_metric methods[METHODS_MAX];
static struct histogram round_seconds;
static struct histogram round_entries;
static struct {
    _Atomic(const char *) name;
    _Atomic uint64_t depth;
} queues[QUEUES_MAX];

/* guarded by: policy_lock (names); the counts are atomic */
static pthread_mutex_t policy_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[LABEL_MAX];
    _Atomic uint64_t allow, deny;
} policies[POLICIES_MAX];
static size_t policy_count;

void metric_rpc(const char *method, int code, uint64_t micros) {
    for (size_t i = 0; i < METHODS_MAX; i++) {
        const char *seen = atomic_load(&methods[i].name);
        if (seen == NULL && atomic_compare_exchange_strong(&methods[i].name, &seen, method))
            seen = method;
        if (seen != method && strcmp(seen, method) != 0) continue;
        size_t c = code < 0 || code >= CODES_MAX ? 2 : (size_t)code;
        atomic_fetch_add_explicit(&methods[i].codes[c], 1, memory_order_relaxed);
        observe(&methods[i].seconds, time_bounds, TIME_BOUNDS, micros);
        return;
    }
}

void metric_round(uint64_t micros, uint64_t entries) {
    _Static_assert(ENTRY_BOUNDS <= TIME_BOUNDS, "one histogram type serves both");
    observe(&round_seconds, time_bounds, TIME_BOUNDS, micros);
    observe(&round_entries, entry_bounds, ENTRY_BOUNDS, entries);
}

void metric_queue(const char *queue, uint64_t depth) {
    for (size_t i = 0; i < QUEUES_MAX; i++) {
        const char *seen = atomic_load(&queues[i].name);
        if (seen == NULL && atomic_compare_exchange_strong(&queues[i].name, &seen, queue))
            seen = queue;
        if (seen != queue && strcmp(seen, queue) != 0) continue;
        atomic_store_explicit(&queues[i].depth, depth, memory_order_relaxed);
        return;
    }
}

void metric_decision(struct bytes policy, bool allow) {
    size_t len = policy.len < LABEL_MAX ? policy.len : LABEL_MAX - 1;
    (void)pthread_mutex_lock(&policy_lock);
    size_t i = 0;
    while (i < policy_count &&
           (strlen(policies[i].name) != len || memcmp(policies[i].name, policy.data, len) != 0))
        i++;
    if (i == policy_count && policy_count < POLICIES_MAX) {
        if (len > 0) memcpy(policies[i].name, policy.data, len);
        policies[i].name[len] = '\0';
        policy_count++;
    }
    (void)pthread_mutex_unlock(&policy_lock);
    if (i == POLICIES_MAX) return; /* over the bound: not counted, the table is full */
    atomic_fetch_add_explicit(allow ? &policies[i].allow : &policies[i].deny, 1,
                              memory_order_relaxed);
}

static void put_head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_seconds(struct buf *out, uint64_t micros) {
    buf_printf(out, "%llu.%06llu", (unsigned long long)(micros / 1000000),
               (unsigned long long)(micros % 1000000));
}

/* `label` is "method=\"…\"" or empty; `time` says that bounds are microseconds, shown as seconds.
 */
static void put_histogram(struct buf *out, const char *name, const char *label, bool time,
                          const struct histogram *h) {
    const uint64_t *bounds = time ? time_bounds : entry_bounds;
    size_t count = time ? TIME_BOUNDS : ENTRY_BOUNDS;
    const char *comma = label[0] == '\0' ? "" : ",";
    const char *open = label[0] == '\0' ? "" : "{";
    const char *close = label[0] == '\0' ? "" : "}";
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s%sle=\"", name, label, comma);
        if (time)
            put_seconds(out, bounds[i]);
        else
            buf_put_dec(out, bounds[i]);
        buf_printf(out, "\"} %llu\n", (unsigned long long)total);
    }
    total += atomic_load_explicit(&h->buckets[count], memory_order_relaxed);
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, comma,
               (unsigned long long)total);
    buf_printf(out, "%s_sum%s%s%s ", name, open, label, close);
    if (time)
        put_seconds(out, atomic_load_explicit(&h->sum, memory_order_relaxed));
    else
        buf_put_dec(out, atomic_load_explicit(&h->sum, memory_order_relaxed));
    buf_printf(out, "\n%s_count%s%s%s %llu\n", name, open, label, close, (unsigned long long)total);
}

static void put_rpc(struct buf *out) {
    static const char *const names[CODES_MAX] = {"OK",
                                                 "CANCELLED",
                                                 "UNKNOWN",
                                                 "INVALID_ARGUMENT",
                                                 "DEADLINE_EXCEEDED",
                                                 "NOT_FOUND",
                                                 "ALREADY_EXISTS",
                                                 "PERMISSION_DENIED",
                                                 "RESOURCE_EXHAUSTED",
                                                 "FAILED_PRECONDITION",
                                                 "ABORTED",
                                                 "OUT_OF_RANGE",
                                                 "UNIMPLEMENTED",
                                                 "INTERNAL",
                                                 "UNAVAILABLE",
                                                 "DATA_LOSS",
                                                 "UNAUTHENTICATED"};
    put_head(out, "attestd_rpc_requests_total", "counter", "Calls by method and code.");
    for (size_t i = 0; i < METHODS_MAX; i++) {
        const char *name = atomic_load(&methods[i].name);
        for (size_t c = 0; name != NULL && c < CODES_MAX; c++) {
            uint64_t n = atomic_load_explicit(&methods[i].codes[c], memory_order_relaxed);
            if (n == 0) continue;
            buf_printf(out, "attestd_rpc_requests_total{method=\"%s\",code=\"%s\"} %llu\n", name,
                       names[c], (unsigned long long)n);
        }
    }
    put_head(out, "attestd_rpc_seconds", "histogram", "Time of calls by method.");
    for (size_t i = 0; i < METHODS_MAX; i++) {
        const char *name = atomic_load(&methods[i].name);
        char label[LABEL_MAX];
        if (name == NULL) continue;
        struct buf b;
        buf_init(&b, sizeof label - 1);
        buf_printf(&b, "method=\"%s\"", name);
        if (!b.failed && b.len > 0) {
            memcpy(label, b.data, b.len);
            label[b.len] = '\0';
            put_histogram(out, "attestd_rpc_seconds", label, true, &methods[i].seconds);
        }
        buf_done(&b);
    }
}

/* A label value: backslash, quote and newline escaped (Prometheus text format). */
static void put_label_value(struct buf *out, const char *s) {
    for (; *s != '\0'; s++) {
        if (*s == '\\' || *s == '"')
            buf_put_u8(out, '\\');
        else if (*s == '\n') {
            buf_put_cstr(out, "\\n");
            continue;
        }
        buf_put_u8(out, (uint8_t)*s);
    }
}

static void put_decisions(struct buf *out) {
    put_head(out, "attestd_decisions_total", "counter", "Decisions by policy.");
    (void)pthread_mutex_lock(&policy_lock);
    for (size_t i = 0; i < policy_count; i++) {
        for (int allow = 0; allow < 2; allow++) {
            uint64_t n = atomic_load(allow ? &policies[i].allow : &policies[i].deny);
            if (n == 0) continue;
            buf_put_cstr(out, "attestd_decisions_total{policy=\"");
            put_label_value(out, policies[i].name);
            buf_printf(out, "\",decision=\"%s\"} %llu\n", allow ? "ALLOW" : "DENY",
                       (unsigned long long)n);
        }
    }
    (void)pthread_mutex_unlock(&policy_lock);
}

void metrics_put(struct buf *out) {
#define TYPE_GAUGE "gauge"
#define TYPE_COUNTER "counter"
#define METRIC_PUT(e, name, type, help)                                                            \
    put_head(out, name, TYPE_##type, help);                                                        \
    buf_printf(out, "%s %llu\n", name, (unsigned long long)metric_get(METRIC_##e));
    METRIC_TABLE(METRIC_PUT)
#undef METRIC_PUT
    put_head(out, "attestd_queue_depth", "gauge", "Work waiting, by queue.");
    for (size_t i = 0; i < QUEUES_MAX; i++) {
        const char *name = atomic_load(&queues[i].name);
        if (name == NULL) continue;
        buf_printf(out, "attestd_queue_depth{queue=\"%s\"} %llu\n", name,
                   (unsigned long long)atomic_load(&queues[i].depth));
    }
    put_head(out, "attestd_log_round_seconds", "histogram", "Time of a round of the log.");
    put_histogram(out, "attestd_log_round_seconds", "", true, &round_seconds);
    put_head(out, "attestd_log_round_entries", "histogram", "Entries of a round of the log.");
    put_histogram(out, "attestd_log_round_entries", "", false, &round_entries);
    put_rpc(out);
    put_decisions(out);
}
