#include "store/terms.h"

#include <stdlib.h>

#include "intoto/intoto.h"

static int by_octets(const void *a, const void *b) {
    const struct text *ta = a, *tb = b;
    return bytes_compare(bytes_of_text(*ta), bytes_of_text(*tb));
}

static size_t sort_unique(struct text *terms, size_t count) {
    size_t kept = 0;
    if (count == 0) return 0;
    qsort(terms, count, sizeof *terms, by_octets);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !text_equal(terms[i], terms[kept - 1])) terms[kept++] = terms[i];
    return kept;
}

static struct error *put_term(struct arena *arena, const struct intoto_digest *d,
                              struct text *out) {
    size_t len = d->algorithm.len + 1 + d->value.len;
    char *p = arena_alloc(arena, len);
    if (p == NULL) return error_nomem();
    if (d->algorithm.len > 0) memcpy(p, d->algorithm.data, d->algorithm.len);
    p[d->algorithm.len] = ':';
    if (d->value.len > 0) memcpy(p + d->algorithm.len + 1, d->value.data, d->value.len);
    *out = (struct text){p, len};
    return NULL;
}

static struct error *list_subjects(struct arena *arena, const struct intoto_statement *st,
                                   struct store_terms *out) {
    size_t count = 0;
    for (size_t i = 0; i < st->subject_count; i++) count += st->subjects[i].digest_count;
    struct text *terms = arena_alloc(arena, (count + 1) * sizeof *terms);
    if (terms == NULL) return error_nomem();
    size_t at = 0;
    for (size_t i = 0; i < st->subject_count; i++)
        for (size_t k = 0; k < st->subjects[i].digest_count; k++)
            TRY(put_term(arena, &st->subjects[i].digests[k], &terms[at++]));
    out->subjects = terms;
    out->subject_count = sort_unique(terms, at);
    return NULL;
}

static struct error *list_materials(struct arena *arena, struct store_terms *out) {
    struct text *terms = arena_alloc(arena, (out->edge_count + 1) * sizeof *terms);
    if (terms == NULL) return error_nomem();
    size_t at = 0;
    for (size_t i = 0; i < out->edge_count; i++)
        if (out->edges[i].kind != LINEAGE_DESCRIBED_BY) terms[at++] = out->edges[i].to;
    out->materials = terms;
    out->material_count = sort_unique(terms, at);
    return NULL;
}

struct error *store_terms_of_payload(struct arena *arena, struct bytes payload,
                                     struct store_terms *out) {
    const struct json_limits limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                       .octets_max = STORE_ENTRY_MAX_OCTETS};
    struct intoto_statement st;
    TRY(intoto_statement_parse(arena, payload, &limits, &st));
    struct store_terms terms = {.predicate_type = st.predicate_type,
                                .submitter = st.submitter_principal};
    TRY(lineage_edges(arena, &st, payload, &terms.edges, &terms.edge_count));
    TRY(list_subjects(arena, &st, &terms));
    TRY(list_materials(arena, &terms));
    *out = terms;
    return NULL;
}
