/*
 * service: the use cases, knowing no transport: attest, get, list, watch, decide, trace, log and
 * trust reads. Every function authorises for itself. Thread-safe but where said.
 *
 * What needs the sequencer is in two halves: `begin` checks, builds and signs on the caller's
 * thread and either has the result at once (*out_pending false) or calls `ready` once, later, on
 * another thread; the caller then goes back to its own thread and calls `finish`. `ready` must not
 * block and must not call finish.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/error.h"
#include "intoto/intoto.h"
#include "lineage/lineage.h"
#include "policy/policy.h"
#include "service/principal.h"
#include "signer/signer.h"
#include "store/store.h"
#include "tlog/tlog.h"

struct service;

struct service_limits {
    size_t predicate_max;       /* 2 MiB: one submission's document */
    size_t json_depth_max;      /* 64: stack exhaustion */
    size_t batch_max;           /* 1,000 items: one call that holds a reactor */
    size_t idempotency_key_max; /* 128 octets */
    uint64_t quota_per_second;  /* submissions a principal; 50,000 */
    uint64_t quota_octets_day;  /* 64 GiB a principal: a log never forgets */
    uint32_t workers;           /* 2 */
    uint32_t jobs_max;          /* 1,024 queued: RESOURCE_EXHAUSTED, QUEUE_FULL */
    uint32_t evidence_max;      /* 1,000 entries read for one decision; more is an ERROR result */
};

#define SERVICE_LIMITS_DEFAULT                                                                     \
    ((struct service_limits){.predicate_max = (size_t)2 << 20,                                     \
                             .json_depth_max = 64,                                                 \
                             .batch_max = 1000,                                                    \
                             .idempotency_key_max = 128,                                           \
                             .quota_per_second = 50000,                                            \
                             .quota_octets_day = (uint64_t)64 << 30,                               \
                             .workers = 2,                                                         \
                             .jobs_max = 1024,                                                     \
                             .evidence_max = 1000})

struct service_options {
    struct store *store;
    struct tlog *tlog;
    const struct signer *signer;
    const struct clock *clock;
    const struct entropy *entropy;
    struct bytes origin; /* copied; builder.id and verifier.id come from it */
    int64_t created_s;   /* of the instance: start of the keys' validity */
    struct service_limits limits;
};

/* None of the options' objects is taken; all must outlive the service. Starts the workers. */
MUST_USE struct error *service_new(const struct service_options *options, struct service **out);
void service_free(struct service *s); /* joins the workers */
DEFINE_CLEANUP(struct service, service_free);

const struct service_limits *service_limits(const struct service *s);

/* service_set_policies takes `set` (on success) and uses it for decisions that begin from now on.
 * Errors: RESOURCE_EXHAUSTED; the set in use stays. */
MUST_USE struct error *service_set_policies(struct service *s, struct policy_set *set);

/* service_serving says whether writes are taken; *out_why is a sentence in `why` else. */
bool service_serving(struct service *s, char *why, size_t size);

/* --- work that may take more than a millisecond, on the workers */
struct service_job {
    struct service_job *next;
    void (*run)(struct service_job *job); /* on a worker */
};
/* Errors: RESOURCE_EXHAUSTED QUEUE_FULL; UNAVAILABLE SHUTTING_DOWN. */
MUST_USE struct error *service_submit_job(struct service *s, struct service_job *job);

/* --- attest */
struct service_attested {
    uint64_t index;
    uint64_t tree_size;
    struct sha256 leaf_hash;
    struct bytes receipt; /* JSON text, in the request's arena */
    bool existing;
};

struct service_attest {
    /* set by the caller */
    struct arena *arena; /* the request's; used by one thread at a time */
    const struct principal *principal;
    struct intoto_submission submission;
    struct text idempotency_key; /* empty: default */
    void (*ready)(struct service_attest *req);
    void *ctx;
    /* the service's own */
    struct tlog_submission entry;
    struct service *service;
    struct error *err; /* owned until finish */
};

/* Errors of begin (then there is no ready): INVALID_ARGUMENT INVALID_FIELD,
 * PREDICATE_TYPE_RESERVED; PERMISSION_DENIED SCOPE_MISSING, SCOPE_RESTRICTED; RESOURCE_EXHAUSTED
 * QUOTA_EXCEEDED, QUEUE_FULL; FAILED_PRECONDITION IDEMPOTENCY_KEY_REUSED, LOG_READ_ONLY;
 * UNAVAILABLE. finish gives the round's own, and must be called once after a begin without error.
 */
MUST_USE struct error *service_attest_begin(struct service *s, struct service_attest *req,
                                            bool *out_pending);
MUST_USE struct error *service_attest_finish(struct service_attest *req,
                                             struct service_attested *out);

/* --- reading (scope read). Results live in `arena`. */
struct service_attestation {
    uint64_t index;
    struct intoto_statement statement; /* subjects, predicate type, builder id, submitter */
    int64_t logged_s;
    struct bytes receipt; /* empty unless asked for */
    size_t octets;        /* of the statement that was read for it */
};

struct service_get {
    bool by_leaf_hash;
    uint64_t index;
    struct sha256 leaf_hash;
};
/* Errors: NOT_FOUND ENTRY_NOT_FOUND. */
MUST_USE struct error *service_get(struct service *s, const struct principal *p,
                                   struct arena *arena, const struct service_get *key,
                                   struct service_attestation *out, uint64_t *out_tree_size);

struct service_list {
    struct text digest; /* "alg:value"; empty: any */
    struct text predicate_type;
    uint64_t as_of; /* 0: current */
    bool receipts;
    uint32_t page_size; /* 0: 100; at most 1,000 */
    struct text page_token;
};
struct service_listed {
    const struct service_attestation *items;
    size_t count;
    uint64_t tree_size;
    struct bytes checkpoint; /* C2SP, of tree_size */
    struct text next_page_token;
};
MUST_USE struct error *service_list(struct service *s, const struct principal *p,
                                    struct arena *arena, const struct service_list *query,
                                    struct service_listed *out);

/* service_watch_read gives entries from *from on, at most `max`, with the predicate type (empty:
 * all), and moves *from behind what was looked at: little, for it runs on reactors. Nothing new is
 * a count of 0 and *from where it was. */
MUST_USE struct error *service_watch_read(struct service *s, const struct principal *p,
                                          struct arena *arena, struct text predicate_type,
                                          uint64_t *from, size_t max, struct service_listed *out);
/* service_watch and service_unwatch: tlog_watch's; `fn` runs on a thread of the log's. */
void service_watch(struct service *s, struct tlog_watcher *w);
void service_unwatch(struct service *s, struct tlog_watcher *w);

struct service_trace {
    struct text digest;
    enum lineage_direction direction; /* UNSET: INVALID_ARGUMENT */
    uint32_t depth;                   /* 0: 5; at most 64 */
    uint64_t as_of;
    const struct text *kinds;
    size_t kind_count;
    uint32_t page_size;
    struct text page_token;
    uint64_t deadline_us; /* by clock_mono_us: the walk ends then, truncated */
};
struct service_traced {
    struct lineage_result result;
    struct text next_page_token;
    uint64_t tree_size;
    struct bytes checkpoint;
};
MUST_USE struct error *service_trace(struct service *s, const struct principal *p,
                                     struct arena *arena, const struct service_trace *query,
                                     struct service_traced *out);

/* service_put_page_token and service_read_page_token: the page token of the list of API tokens
 * (token.h), which goes on behind `after`, the number that an id's digits are. Errors of reading:
 * INVALID_ARGUMENT PAGE_TOKEN_INVALID. */
MUST_USE struct error *service_put_page_token(struct service *s, struct arena *arena,
                                              uint64_t after, struct text *out);
MUST_USE struct error *service_read_page_token(struct service *s, struct arena *arena,
                                               struct text token, uint64_t *out_after);

struct service_entry {
    uint64_t index;
    struct bytes leaf;
};
MUST_USE struct error *service_entries(struct service *s, const struct principal *p,
                                       struct arena *arena, uint64_t start, uint64_t end,
                                       const struct service_entry **out, size_t *out_count,
                                       uint64_t *out_tree_size);
struct service_proof {
    struct sha256 leaf_hash;
    struct merkle_proof proof;
    uint64_t tree_size;
    struct bytes checkpoint;
};
MUST_USE struct error *service_inclusion(struct service *s, const struct principal *p,
                                         struct arena *arena, uint64_t index, uint64_t tree_size,
                                         struct service_proof *out);
MUST_USE struct error *service_consistency(struct service *s, const struct principal *p,
                                           uint64_t old_size, uint64_t new_size,
                                           struct merkle_proof *out);
struct service_checkpoint {
    struct bytes c2sp, v1;
    uint64_t tree_size;
    struct sha256 root;
};
/* For anyone: no principal. */
MUST_USE struct error *service_checkpoint(struct service *s, struct arena *arena,
                                          uint64_t tree_size, struct service_checkpoint *out);
MUST_USE struct error *service_tile(struct service *s, struct arena *arena,
                                    const struct merkle_tile *tile, bool *found, struct bytes *out);
struct service_trust {
    struct bytes trusted_root, signing_key_pem, signing_keys; /* owned by the service */
};
struct service_trust service_trust(const struct service *s);

/* --- decide (scope gate) */
struct service_decided {
    struct policy_outcome outcome;
    uint64_t tree_size;
    int64_t evaluated_ms;
    bool recorded;
    uint64_t index;
    struct bytes receipt;
};
struct service_decide {
    /* set by the caller */
    struct arena *arena;
    const struct principal *principal;
    struct intoto_resource subject;
    struct text environment;
    const struct intoto_digest *attributes; /* key and value as given */
    size_t attribute_count;
    bool dry_run;
    void (*ready)(struct service_decide *req);
    void *ctx;
    /* the service's own */
    struct tlog_submission entry;
    struct service *service;
    struct service_decided result;
    struct error *err;
};
MUST_USE struct error *service_decide_begin(struct service *s, struct service_decide *req,
                                            bool *out_pending);
MUST_USE struct error *service_decide_finish(struct service_decide *req,
                                             struct service_decided *out);

#endif
