/* service's own: not for other modules. */
#ifndef SERVICE_INTERNAL_H
#define SERVICE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "bundle/bundle.h"
#include "service/service.h"

#define SERVICE_HOST_MAX 256
#define SERVICE_RECEIPT_MAX BUNDLE_OCTETS_MAX
#define SERVICE_PAGE_DEFAULT 100U
#define SERVICE_PAGE_MAX 1000U
#define SERVICE_DEFAULT_KEY_TTL_MS ((int64_t)24 * 3600 * 1000)
#define SERVICE_DECISION_TTL_MS ((int64_t)60 * 1000)

/* A policy set in use, counted: a decision that began keeps its set whatever SIGHUP does. */
struct service_policies {
    struct policy_set *set;
    atomic_uint refs;
};

struct service_workers {
    pthread_mutex_t lock; /* guards the fields below; never held while a job runs */
    pthread_cond_t wake;
    struct service_job *first, *last;
    uint32_t queued;
    uint32_t max;
    bool stopping;
    pthread_t *threads; /* owned */
    uint32_t thread_count;
};

struct quota;

struct service {
    struct service_options options;
    char origin[SERVICE_HOST_MAX];
    char builder_id[SERVICE_HOST_MAX + 64];
    char verifier_id[SERVICE_HOST_MAX + 64];
    char attestation_hint[65];
    char decision_hint[65];
    uint8_t page_key[32]; /* random a process: a page token does not outlive it */
    struct buf trusted_root;
    struct buf signing_keys;
    pthread_mutex_t policies_lock; /* guards `policies`: the pointer, held for a look */
    struct service_policies *policies;
    struct quota *quota;
    struct service_workers workers;
};

/* --- workers.c */
MUST_USE struct error *workers_start(struct service_workers *w, uint32_t threads, uint32_t max);
MUST_USE struct error *workers_submit(struct service_workers *w, struct service_job *job);
void workers_stop(struct service_workers *w); /* runs what is queued, then joins */

/* --- quota.c: submissions a second and octets a day, each principal; in memory, so a restart
 * forgives. Thread-safe. */
MUST_USE struct error *quota_new(uint64_t per_second, uint64_t octets_day, struct quota **out);
/* Errors: RESOURCE_EXHAUSTED QUOTA_EXCEEDED. */
MUST_USE struct error *quota_charge(struct quota *q, const struct clock *clock,
                                    struct text principal, uint64_t octets);
void quota_free(struct quota *q);

/* --- policies in use */
struct service_policies *service_policies_ref(struct service *s);
void service_policies_unref(struct service_policies *p);

/* --- receipt.c: the receipts of an entry, in `arena`. The one for a fresh entry takes what the
 * round gave; the one for a stored entry is the same octets. */
MUST_USE struct error *service_receipt_fresh(struct service *s, struct arena *arena,
                                             const struct tlog_submission *entry,
                                             struct bytes checkpoint_v1, struct bytes *out);
MUST_USE struct error *service_receipt_stored(struct service *s, struct arena *arena,
                                              const struct store_entry *entry, struct bytes *out);

/* --- submit.c: from a statement's octets to an entry that the log can take */
MUST_USE struct error *service_sign_entry(struct service *s, struct arena *arena,
                                          enum store_entry_kind kind, struct bytes payload,
                                          struct tlog_submission *entry);
/* Whether an earlier entry with entry->dedup_key is published and still counts; then entry->index
 * and entry->existing are set. Errors: FAILED_PRECONDITION IDEMPOTENCY_KEY_REUSED; the store's. */
MUST_USE struct error *service_find_repeat(struct service *s, struct tlog_submission *entry,
                                           bool *out_found);
/* FAILED_PRECONDITION LOG_READ_ONLY or UNAVAILABLE unless writes are taken. */
MUST_USE struct error *service_require_serving(struct service *s);

/* --- read.c */

/* service_read_entry reads an entry that is known to be there: DATA_LOSS if it is not. */
MUST_USE struct error *service_read_entry(struct service *s, struct arena *arena, uint64_t index,
                                          struct store_entry *out);

/* What reading a stored statement gave: that it does not read back is not the caller's fault.
 * Takes `err`. */
MUST_USE struct error *service_stored(struct error *err, uint64_t index);

/* What the tree of a text of `octets` may take: 13 times the text at worst (an array of digits). */
static inline size_t service_tree_max(size_t octets) { return ((size_t)64 << 10) + 16 * octets; }

/* The page size that is served: 0 is the default; more than the most is the most (AIP-158). */
static inline uint32_t service_page_size(uint32_t asked) {
    if (asked == 0) return SERVICE_PAGE_DEFAULT;
    return asked < SERVICE_PAGE_MAX ? asked : SERVICE_PAGE_MAX;
}

/* --- page.c: page tokens: what a query began with, authenticated and pinned. */
struct page {
    uint64_t tree_size;
    uint64_t next;       /* where to go on */
    struct sha256 query; /* of the query: a token does not serve another one */
};
MUST_USE struct error *page_put(const struct service *s, struct arena *arena,
                                const struct page *page, struct text *out);
MUST_USE struct error *page_parse(const struct service *s, struct arena *arena, struct text token,
                                  const struct sha256 *query, struct page *out);

#endif
