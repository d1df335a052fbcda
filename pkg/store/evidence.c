/*
 * Finding what a decision may stand on. The rows of one subject and type stand together by who
 * submitted, so that a submitter nobody trusts costs one seek, however much there is of him: else
 * whoever may submit anything could hide the evidence of others behind his own.
 */
#include <stdlib.h>

#include "store/internal.h"

#define SUBMITTERS_MAX ((size_t)512) /* looked at for one subject and type: a seek each */
#define ROWS_PER_FOUND                                                                             \
    ((size_t)10)                /* read for each that may be listed: who asks may be a reactor */
#define OTHERS_MAX ((size_t)16) /* kept of submitters who are not wanted */

struct gather {
    const struct store_evidence *query;
    struct sha256 both; /* subject and type */
    struct sha256 submitter;
    bool any; /* `submitter` is set */
    size_t submitters;
    size_t rows;
    size_t seen;              /* of the submitter being read */
    struct index_list newest; /* of them: a ring once it holds query->max */
    struct index_list found;
    uint64_t others[OTHERS_MAX];
    size_t other_count;
    bool cut;
};

static struct error *keep_newest(struct gather *g, uint64_t index) {
    size_t at = g->seen++ % g->query->max;
    if (at == g->newest.count) return index_list_add(&g->newest, index);
    g->newest.items[at] = index;
    return NULL;
}

/* After a submitter's rows: what the ring holds is kept. */
static struct error *end_submitter(struct gather *g) {
    g->cut = g->cut || g->seen > g->query->max;
    for (size_t i = 0; i < g->newest.count; i++) TRY(index_list_add(&g->found, g->newest.items[i]));
    g->seen = 0;
    g->newest.count = 0;
    return NULL;
}

/* Begins with the submitter of a row; *out_wanted says whether his rows are to be read. */
static struct error *begin_submitter(struct gather *g, const struct store_key *k,
                                     struct bytes value, bool *out_wanted) {
    struct text name = {0};
    TRY(damaged(evidence_decode(value, &name), "evidence row"));
    struct sha256 digest = term_digest(name);
    if (!sha256_equal(&digest, &k->other))
        return error_new(ERROR_DATA_LOSS,
                         "stored evidence row names another submitter than its key");
    g->submitter = k->other;
    g->any = true;
    g->submitters++;
    *out_wanted = g->query->wants(g->query->ctx, name);
    if (!*out_wanted && k->number < g->query->below && g->other_count < OTHERS_MAX)
        g->others[g->other_count++] = k->number;
    return NULL;
}

static bool at_limit(struct gather *g) {
    if (g->submitters <= SUBMITTERS_MAX && g->rows <= ROWS_PER_FOUND * g->query->max) return false;
    g->cut = true;
    return true;
}

/* Reads rows until the end (*out_more false) or the first one of a submitter who is not wanted. */
static struct error *read_rows(struct kv *kv, struct kv_iter *it, struct gather *g,
                               bool *out_more) {
    struct bytes key, value;
    *out_more = false;
    while (kv_iter_next(kv, it, &key, &value)) {
        struct store_key k;
        if (!store_key_parse(KV_INDEX, key, &k))
            return error_new(ERROR_DATA_LOSS, "stored index row with a malformed key");
        if (!g->any || !sha256_equal(&g->submitter, &k.other)) {
            bool wanted = false;
            TRY(end_submitter(g));
            TRY(begin_submitter(g, &k, value, &wanted));
            *out_more = !wanted;
        }
        g->rows++;
        if (*out_more || at_limit(g)) return NULL;
        if (k.number < g->query->below) TRY(keep_newest(g, k.number));
    }
    return kv_iter_error(kv, it);
}

/* The first key behind all of the last submitter; false: there can be none. */
static bool next_submitter(struct gather *g) {
    for (size_t i = sizeof g->submitter.octets; i > 0; i--)
        if (++g->submitter.octets[i - 1] != 0) return true;
    return false;
}

static struct error *walk(struct store *s, const struct kv_snapshot *snap, struct gather *g) {
    struct sha256 last;
    memset(&last, 0xff, sizeof last);
    struct row_key upper = key_evidence(&g->both, &last, UINT64_MAX);
    bool more = true;
    while (more && !at_limit(g)) {
        struct row_key lower = key_evidence(&g->both, &g->submitter, 0);
        struct kv_iter *it = NULL;
        g->any = false;
        TRY(kv_iter_new(s->kv, snap, KV_INDEX, row_key_bytes(&lower), row_key_bytes(&upper), &it));
        struct error *err = read_rows(s->kv, it, g, &more);
        kv_iter_free(s->kv, it);
        TRY(err);
        more = more && next_submitter(g);
    }
    return end_submitter(g);
}

static int by_index(const void *a, const void *b) {
    const uint64_t *ia = a, *ib = b;
    return (*ia > *ib) - (*ia < *ib);
}

struct error *store_find_evidence(struct store *s, const struct kv_snapshot *snap,
                                  struct arena *arena, const struct store_evidence *query,
                                  struct store_evidence_found *out) {
    ASSERT(query->max > 0 && s->schema == STORE_SCHEMA);
    struct gather *g = arena_alloc(arena, sizeof *g);
    if (g == NULL) return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for the entries found");
    *g = (struct gather){.query = query, .newest = {.arena = arena}, .found = {.arena = arena}};
    g->both = subject_type_digest(query->subject, query->predicate_type);
    TRY(walk(s, snap, g));
    if (g->found.count > 1) qsort(g->found.items, g->found.count, sizeof *g->found.items, by_index);
    *out = (struct store_evidence_found){.indexes = g->found.items,
                                         .count = g->found.count,
                                         .others = g->others,
                                         .other_count = g->other_count,
                                         .cut = g->cut};
    return NULL;
}
