/*
 * From schema 1 to 2. Evidence stood in rows (7, subject and type, index) without a value; now it
 * stands in rows of kind 8, by submitter (keys.c). Each batch gives some entries their new rows and
 * takes the old ones; the last one says that the schema is 2.
 *
 * If we stop in between: the schema is still 1, so the next opening begins again from the first
 * entry; what is put and taken a second time is the same. Until then a check counts rows wrong.
 */
#include "store/internal.h"
#include "store/terms.h"

#define BATCH_ENTRIES 256U

struct upgrade {
    struct store *store;
    struct kv_batch *batch;
    struct buf value;
};

static void replace_rows(struct upgrade *u, uint64_t index, const struct store_terms *terms) {
    struct kv *kv = u->store->kv;
    struct sha256 submitter = term_digest(terms->submitter);
    buf_clear(&u->value);
    evidence_encode(&u->value, terms->submitter);
    for (size_t i = 0; i < terms->subject_count; i++) {
        struct sha256 both = subject_type_digest(terms->subjects[i], terms->predicate_type);
        struct row_key old = key_index(INDEX_SUBJECT_TYPE_1, &both, index);
        struct row_key new = key_evidence(&both, &submitter, index);
        kv_batch_delete(kv, u->batch, KV_INDEX, row_key_bytes(&old));
        kv_batch_put(kv, u->batch, KV_INDEX, row_key_bytes(&new), buf_bytes(&u->value));
    }
}

static struct error *upgrade_entry(struct upgrade *u, uint64_t index) {
    CLEANUP(arena_done) struct arena arena;
    struct store_entry entry;
    struct store_terms terms;
    bool found = false;
    arena_init(&arena, 16 * STORE_ENTRY_MAX_OCTETS);
    TRY(store_get_entry(u->store, NULL, &arena, index, &found, &entry));
    if (!found)
        return error_new(ERROR_DATA_LOSS, "entry %llu is missing", (unsigned long long)index);
    TRY(damaged(store_terms_of_payload(&arena, entry.payload, &terms), "entry"));
    replace_rows(u, index, &terms);
    return buf_finish(&u->value, "evidence row");
}

static struct error *upgrade_some(struct upgrade *u, uint64_t from, uint64_t to) {
    kv_batch_clear(u->store->kv, u->batch);
    for (uint64_t i = from; i < to; i++) TRY(upgrade_entry(u, i));
    return kv_write(u->store->kv, u->batch);
}

static struct error *upgrade_all(struct upgrade *u) {
    struct store_head head;
    TRY(store_get_head(u->store, NULL, &head));
    uint64_t size = head.frontier.size;
    for (uint64_t at = 0; at < size; at += BATCH_ENTRIES)
        TRY(upgrade_some(u, at, size - at < BATCH_ENTRIES ? size : at + BATCH_ENTRIES));
    TRY(write_schema(u->store->kv));
    u->store->schema = STORE_SCHEMA;
    return NULL;
}

struct error *store_upgrade(struct store *s, bool *out_changed) {
    struct upgrade u = {.store = s};
    if (s->schema == STORE_SCHEMA) {
        *out_changed = false;
        return NULL;
    }
    u.batch = kv_batch_new(s->kv);
    if (u.batch == NULL) return error_nomem();
    buf_init(&u.value, STORE_ENTRY_MAX_OCTETS);
    struct error *err = upgrade_all(&u);
    buf_done(&u.value);
    kv_batch_free(s->kv, u.batch);
    TRY(err);
    *out_changed = true;
    return NULL;
}
