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
    struct arena *arena;
    struct sha256 both; /* subject and type */
    struct sha256 submitter;
    bool any; /* `submitter` is set */
    size_t submitters;
    size_t rows;
    uint64_t *newest; /* a ring of query->max for the submitter being read */
    size_t seen;      /* of the submitter being read */
    uint64_t *found;
    size_t found_count, found_cap;
    uint64_t others[OTHERS_MAX];
    size_t other_count;
    bool cut;
};

/* After a submitter's rows: what the ring holds is kept. */
static struct error *end_submitter(struct gather *g) {
    size_t count = g->seen < g->query->max ? g->seen : g->query->max;
    if (count < g->seen) g->cut = true;
    g->seen = 0;
    if (count == 0) return NULL;
    if (g->found_cap - g->found_count < count) {
        size_t cap = 2 * (g->found_count + count);
        uint64_t *found = arena_alloc(g->arena, cap * sizeof *found);
        if (found == NULL)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for the entries found");
        if (g->found_count > 0) memcpy(found, g->found, g->found_count * sizeof *found);
        g->found = found;
        g->found_cap = cap;
    }
    memcpy(g->found + g->found_count, g->newest, count * sizeof *g->newest);
    g->found_count += count;
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
        if (k.number < g->query->below) g->newest[g->seen++ % g->query->max] = k.number;
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
    uint64_t *newest = arena_alloc(arena, query->max * sizeof *newest);
    if (g == NULL || newest == NULL)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "no room for the entries found");
    *g = (struct gather){.query = query, .arena = arena, .newest = newest};
    g->both = subject_type_digest(query->subject, query->predicate_type);
    TRY(walk(s, snap, g));
    if (g->found_count > 1) qsort(g->found, g->found_count, sizeof *g->found, by_index);
    *out = (struct store_evidence_found){.indexes = g->found,
                                         .count = g->found_count,
                                         .others = g->others,
                                         .other_count = g->other_count,
                                         .cut = g->cut};
    return NULL;
}
