/* What an entry is found by: its rows in `index` and `edge`. One list for writing and for checking,
 * so that a check can never look for other rows than are written. */
#include "store/internal.h"

#define FIXED_ROWS ((size_t)4) /* leaf hash, time, predicate type, submitter */

struct rows {
    uint32_t schema;
    const struct store_entry *entry;
    struct buf *scratch;
    const struct row_sink *sink;
};

size_t store_terms_octets(const struct store_terms *terms) {
    const size_t per_row = ROW_KEY_MAX + 16; /* lengths and versions */
    size_t sum = (FIXED_ROWS + 2 * terms->subject_count + terms->material_count) * per_row;
    sum += terms->subject_count * terms->submitter.len;
    for (size_t i = 0; i < terms->edge_count; i++) {
        const struct lineage_edge *e = &terms->edges[i];
        sum += 2 * per_row + e->from.len + e->to.len + e->to_name.len;
    }
    return sum;
}

static void index_row(const struct rows *r, uint8_t kind, const struct sha256 *digest) {
    struct row_key k = key_index(kind, digest, r->entry->index);
    r->sink->put(r->sink->ctx, KV_INDEX, row_key_bytes(&k), (struct bytes){0});
}

static void term_row(const struct rows *r, enum store_index kind, struct text term) {
    struct sha256 digest = term_digest(term);
    index_row(r, (uint8_t)kind, &digest);
}

/* What a decision may stand on. */
static void evidence_row(const struct rows *r, const struct store_terms *terms, size_t subject) {
    struct sha256 both = subject_type_digest(terms->subjects[subject], terms->predicate_type);
    if (r->schema == 1) {
        index_row(r, INDEX_SUBJECT_TYPE_1, &both);
        return;
    }
    struct sha256 submitter = term_digest(terms->submitter);
    struct row_key k = key_evidence(&both, &submitter, r->entry->index);
    buf_clear(r->scratch);
    evidence_encode(r->scratch, terms->submitter);
    r->sink->put(r->sink->ctx, KV_INDEX, row_key_bytes(&k), buf_bytes(r->scratch));
}

static void edge_row(const struct rows *r, const struct store_key *key,
                     const struct edge_value *value) {
    struct row_key k = key_edge(key);
    buf_clear(r->scratch);
    edge_encode(r->scratch, value);
    r->sink->put(r->sink->ctx, KV_EDGE, row_key_bytes(&k), buf_bytes(r->scratch));
}

/* An edge stands once a direction. What the statement calls the material is known seen from the
 * product; it does not say what the product is called. */
static void edge_rows(const struct rows *r, const struct lineage_edge *e) {
    ASSERT(e->kind != LINEAGE_KIND_UNSET && e->assurance != LINEAGE_ASSURANCE_UNSET);
    struct sha256 from = term_digest(e->from);
    struct sha256 to = term_digest(e->to);
    struct store_key key = {.family = KV_EDGE,
                            .kind = (uint8_t)e->kind,
                            .up = true,
                            .number = r->entry->index,
                            .digest = from,
                            .other = to};
    struct edge_value value = {.assurance = e->assurance, .other = e->to, .other_name = e->to_name};
    edge_row(r, &key, &value);

    key.up = false;
    key.digest = to;
    key.other = from;
    value.other = e->from;
    value.other_name = (struct text){0};
    edge_row(r, &key, &value);
}

void rows_of_entry(uint32_t schema, const struct store_entry *entry,
                   const struct store_terms *terms, struct buf *scratch,
                   const struct row_sink *sink) {
    struct rows r = {schema, entry, scratch, sink};
    struct sha256 leaf_hash = merkle_leaf_hash(entry->leaf);
    index_row(&r, INDEX_LEAF_HASH, &leaf_hash);
    struct sha256 time = time_digest(entry->integrated_s);
    index_row(&r, STORE_INDEX_TIME, &time);
    term_row(&r, STORE_INDEX_PREDICATE_TYPE, terms->predicate_type);
    term_row(&r, STORE_INDEX_SUBMITTER, terms->submitter);
    for (size_t i = 0; i < terms->subject_count; i++) {
        term_row(&r, STORE_INDEX_SUBJECT, terms->subjects[i]);
        evidence_row(&r, terms, i);
    }
    for (size_t i = 0; i < terms->material_count; i++)
        term_row(&r, STORE_INDEX_MATERIAL, terms->materials[i]);
    for (size_t i = 0; i < terms->edge_count; i++) edge_rows(&r, &terms->edges[i]);
}
