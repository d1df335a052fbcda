/* Reading: every answer is of one snapshot and states the tree size that it is complete up to. What
 * is not yet published (committed, but its anchors not yet synced) is not shown. */
#include "service/internal.h"

static struct error *in_future(uint64_t size, uint64_t head) {
    return error_reason_new(REASON_TREE_SIZE_IN_FUTURE,
                            "tree size %llu is beyond the log's %llu entries",
                            (unsigned long long)size, (unsigned long long)head);
}

static struct error *not_found(uint64_t index, uint64_t size) {
    return error_reason_new(REASON_ENTRY_NOT_FOUND, "no entry %llu in a log of %llu",
                            (unsigned long long)index, (unsigned long long)size);
}

/* `size` 0 means current; more than the head is an error. */
static struct error *pin_size(struct service *s, uint64_t size, uint64_t *out) {
    uint64_t head = tlog_head(s->options.tlog).size;
    if (size > head) return in_future(size, head);
    *out = size == 0 ? head : size;
    return NULL;
}

struct error *service_read_entry(struct service *s, struct arena *arena, uint64_t index,
                                 struct store_entry *out) {
    bool found = false;
    TRY(store_get_entry(s->options.store, NULL, arena, index, &found, out));
    if (!found)
        return error_new(ERROR_DATA_LOSS, "entry %llu should be there and is not",
                         (unsigned long long)index);
    return NULL;
}

struct error *service_stored(struct error *err, uint64_t index) {
    if (err == NULL || error_code(err) != ERROR_INVALID_ARGUMENT) return err;
    return error_recode(err, ERROR_DATA_LOSS, "entry %llu does not read back",
                        (unsigned long long)index);
}

static bool is_wanted(const struct service_list *q, const struct service_attestation *a) {
    return q->predicate_type.len == 0 || text_equal(a->statement.predicate_type, q->predicate_type);
}

/* Reads entry `index` without its predicate, and in memory of its own: what an answer takes must
 * not grow with the documents that others submitted. The receipt is made if `q` asks for it and
 * wants the entry. */
static struct error *describe(struct service *s, struct arena *arena, uint64_t index,
                              const struct service_list *q, struct service_attestation *out) {
    const struct json_limits limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                       .octets_max = STORE_ENTRY_MAX_OCTETS};
    CLEANUP(arena_done) struct arena whole;
    struct store_entry entry;
    arena_init(&whole, 2 * STORE_ENTRY_MAX_OCTETS);
    TRY(service_read_entry(s, &whole, index, &entry));
    struct service_attestation a = {
        .index = index, .logged_s = entry.integrated_s, .octets = entry.payload.len};
    TRY(service_stored(intoto_statement_head(arena, entry.payload, &limits, &a.statement), index));
    if (q->receipts && is_wanted(q, &a)) TRY(service_receipt_stored(s, arena, &entry, &a.receipt));
    *out = a;
    return NULL;
}

struct error *service_get(struct service *s, const struct principal *p, struct arena *arena,
                          const struct service_get *key, struct service_attestation *out,
                          uint64_t *out_tree_size) {
    const struct service_list whole = {.receipts = true};
    uint64_t index = key->index;
    bool found = true;
    TRY(principal_require(p, SCOPE_READ));
    uint64_t head = tlog_head(s->options.tlog).size;
    if (key->by_leaf_hash)
        TRY(store_get_by_leaf_hash(s->options.store, arena, &key->leaf_hash, &found, &index));
    if (!found)
        return error_reason_new(REASON_ENTRY_NOT_FOUND,
                                "no entry with this leaf hash in a log "
                                "of %llu",
                                (unsigned long long)head);
    if (index >= head) return not_found(index, head);
    TRY(describe(s, arena, index, &whole, out));
    *out_tree_size = head;
    return NULL;
}

/* --- list */

static struct sha256 query_hash(const struct service_list *q) {
    struct sha256_ctx ctx;
    const uint8_t flags[2] = {'L', q->receipts};
    sha256_init(&ctx);
    sha256_update(&ctx, (struct bytes){flags, sizeof flags});
    sha256_update(&ctx, bytes_of_text(q->digest));
    sha256_update(&ctx, (struct bytes){(const uint8_t *)"", 1});
    sha256_update(&ctx, bytes_of_text(q->predicate_type));
    return sha256_final(&ctx);
}

static struct error *list_start(struct service *s, struct arena *arena,
                                const struct service_list *q, struct page *out) {
    struct page page = {.query = query_hash(q)};
    if (q->page_token.len > 0) {
        TRY(page_parse(s, arena, q->page_token, &page.query, &page));
        if (q->as_of != 0 && q->as_of != page.tree_size)
            return error_field_new("as_of_tree_size", "differs from the page token's tree size");
    } else {
        TRY(pin_size(s, q->as_of, &page.tree_size));
    }
    *out = page;
    return NULL;
}

static struct error *check_digest_term(struct text digest) {
    if (digest.len == 0 || lineage_node_check(digest)) return NULL;
    return error_field_new("digest", "want \"<algorithm>:<value>\", well-formed");
}

/* The next candidates by the most selective index that the query names. */
static struct error *candidates(struct service *s, struct arena *arena,
                                const struct service_list *q, const struct page *page, size_t max,
                                const uint64_t **out, size_t *out_count) {
    uint64_t *all;
    if (q->digest.len > 0)
        return store_find(s->options.store, NULL, arena, STORE_INDEX_SUBJECT, q->digest, page->next,
                          page->tree_size, max, out, out_count);
    if (q->predicate_type.len > 0)
        return store_find(s->options.store, NULL, arena, STORE_INDEX_PREDICATE_TYPE,
                          q->predicate_type, page->next, page->tree_size, max, out, out_count);
    uint64_t left = page->tree_size - page->next;
    size_t count = left < max ? (size_t)left : max;
    all = arena_alloc(arena, (count + 1) * sizeof *all);
    if (all == NULL) return error_nomem();
    for (size_t i = 0; i < count; i++) all[i] = page->next + i;
    *out = all;
    *out_count = count;
    return NULL;
}

/* Bounds of one answer beside page_size: the memory of what was looked at, how many candidates that
 * are, and the octets of theirs, which cost the time. Subjects are other people's: a few may take
 * as much as a thousand others. A page may be shorter than asked for, or empty; the token goes on
 * where it stopped. A watch has turns on a reactor, and others wait for it. */
#define LIST_OCTETS_MAX ((size_t)3 << 20)
#define LIST_LOOK_MAX 4096U
#define LIST_READ_MAX ((size_t)32 << 20)
#define WATCH_LOOK_MAX 64U
#define WATCH_READ_MAX ((size_t)1 << 20)

struct listing {
    struct service_attestation *items;
    size_t count, max;
    size_t octets; /* of the memory that `looked` entries took, no less than they weigh */
    size_t looked, look_max;
    size_t read, read_max; /* octets of their statements */
    bool stopped;          /* the next one would not fit */
};

static struct error *list_one(struct service *s, struct arena *arena, const struct service_list *q,
                              uint64_t index, struct listing *l) {
    struct service_attestation a;
    size_t before = arena->used_bytes;
    TRY(describe(s, arena, index, q, &a));
    size_t octets = l->octets + (arena->used_bytes - before);
    l->stopped = l->looked > 0 && octets > LIST_OCTETS_MAX;
    if (l->stopped) return NULL;
    l->octets = octets;
    l->looked++;
    l->read += a.octets;
    if (is_wanted(q, &a)) l->items[l->count++] = a;
    return NULL;
}

static bool list_full(const struct listing *l) {
    return l->count == l->max || l->looked >= l->look_max || l->read >= l->read_max ||
           l->octets >= LIST_OCTETS_MAX;
}

/* Fills `l` from page->next on and moves it; *more says that the walk stopped before the end. */
static struct error *list_fill(struct service *s, struct arena *arena, const struct service_list *q,
                               struct page *page, struct listing *l, bool *more) {
    *more = false;
    while (page->next < page->tree_size) {
        const uint64_t *found;
        size_t count;
        TRY(candidates(s, arena, q, page, l->max - l->count + 1, &found, &count));
        if (count == 0) return NULL;
        for (size_t i = 0; i < count; i++) {
            l->stopped = list_full(l);
            if (!l->stopped) TRY(list_one(s, arena, q, found[i], l));
            page->next = l->stopped ? found[i] : found[i] + 1;
            *more = l->stopped;
            if (l->stopped) return NULL;
        }
    }
    return NULL;
}

static struct error *checkpoint_of(struct service *s, struct arena *arena, uint64_t size,
                                   struct bytes *out) {
    struct bytes v1;
    struct sha256 root;
    return tlog_checkpoint(s->options.tlog, arena, size, &v1, out, &root);
}

struct error *service_list(struct service *s, const struct principal *p, struct arena *arena,
                           const struct service_list *query, struct service_listed *out) {
    struct page page;
    bool more;
    TRY(principal_require(p, SCOPE_READ));
    TRY(check_digest_term(query->digest));
    uint32_t size = service_page_size(query->page_size);
    TRY(list_start(s, arena, query, &page));
    struct listing l = {.max = size, .look_max = LIST_LOOK_MAX, .read_max = LIST_READ_MAX};
    l.items = arena_alloc(arena, (size_t)size * sizeof *l.items);
    if (l.items == NULL) return error_nomem();
    TRY(list_fill(s, arena, query, &page, &l, &more));
    struct service_listed listed = {
        .items = l.items, .count = l.count, .tree_size = page.tree_size};
    TRY(checkpoint_of(s, arena, page.tree_size, &listed.checkpoint));
    if (more) TRY(page_put(s, arena, &page, &listed.next_page_token));
    *out = listed;
    return NULL;
}

/* --- watch */

struct error *service_watch_read(struct service *s, const struct principal *p, struct arena *arena,
                                 struct text predicate_type, uint64_t *from, size_t max,
                                 struct service_listed *out) {
    const struct service_list q = {.predicate_type = predicate_type};
    bool more;
    TRY(principal_require(p, SCOPE_READ));
    uint64_t head = tlog_head(s->options.tlog).size;
    struct page page = {.tree_size = head, .next = *from < head ? *from : head};
    struct listing l = {.max = max, .look_max = WATCH_LOOK_MAX, .read_max = WATCH_READ_MAX};
    l.items = arena_alloc(arena, (max + 1) * sizeof *l.items);
    if (l.items == NULL) return error_nomem();
    TRY(list_fill(s, arena, &q, &page, &l, &more));
    if (more)
        *from = page.next;
    else if (*from < head)
        *from = head;
    *out = (struct service_listed){.items = l.items, .count = l.count, .tree_size = head};
    return NULL;
}

void service_watch(struct service *s, struct tlog_watcher *w) { tlog_watch(s->options.tlog, w); }
void service_unwatch(struct service *s, struct tlog_watcher *w) {
    tlog_unwatch(s->options.tlog, w);
}

/* --- the log */

/* The leaf of entry `index`, without the document that it is of: see describe. */
static struct error *read_leaf(struct service *s, struct arena *arena, uint64_t index,
                               struct service_entry *out) {
    CLEANUP(arena_done) struct arena whole;
    struct store_entry entry;
    arena_init(&whole, 2 * STORE_ENTRY_MAX_OCTETS);
    TRY(service_read_entry(s, &whole, index, &entry));
    struct bytes leaf = arena_copy(arena, entry.leaf);
    if (leaf.data == NULL) return error_nomem();
    *out = (struct service_entry){.index = index, .leaf = leaf};
    return NULL;
}

struct error *service_entries(struct service *s, const struct principal *p, struct arena *arena,
                              uint64_t start, uint64_t end, const struct service_entry **out,
                              size_t *out_count, uint64_t *out_tree_size) {
    TRY(principal_require(p, SCOPE_READ));
    uint64_t head = tlog_head(s->options.tlog).size;
    if (start > end) return error_field_new("start", "is beyond end");
    if (end - start > SERVICE_PAGE_MAX)
        return error_field_new("end", "at most %u entries a call", SERVICE_PAGE_MAX);
    if (end > head)
        return error_reason_new(REASON_TREE_SIZE_IN_FUTURE,
                                "the log has %llu entries, fewer than were asked for",
                                (unsigned long long)head);
    struct service_entry *entries = arena_alloc(arena, (size_t)(end - start + 1) * sizeof *entries);
    if (entries == NULL) return error_nomem();
    for (uint64_t i = start; i < end; i++) TRY(read_leaf(s, arena, i, &entries[i - start]));
    *out = entries;
    *out_count = (size_t)(end - start);
    *out_tree_size = head;
    return NULL;
}

struct error *service_inclusion(struct service *s, const struct principal *p, struct arena *arena,
                                uint64_t index, uint64_t tree_size, struct service_proof *out) {
    struct service_proof proof = {0};
    struct store_entry entry;
    TRY(principal_require(p, SCOPE_READ));
    TRY(pin_size(s, tree_size, &proof.tree_size));
    if (index >= proof.tree_size) return not_found(index, proof.tree_size);
    TRY(service_read_entry(s, arena, index, &entry));
    proof.leaf_hash = merkle_leaf_hash(entry.leaf);
    TRY(tlog_inclusion(s->options.tlog, index, proof.tree_size, &proof.proof));
    TRY(checkpoint_of(s, arena, proof.tree_size, &proof.checkpoint));
    *out = proof;
    return NULL;
}

struct error *service_consistency(struct service *s, const struct principal *p, uint64_t old_size,
                                  uint64_t new_size, struct merkle_proof *out) {
    uint64_t pinned = 0;
    TRY(principal_require(p, SCOPE_READ));
    TRY(pin_size(s, new_size, &pinned));
    if (old_size > pinned) return error_field_new("old_size", "is beyond new_size");
    if (old_size == 0 || old_size == pinned) { /* everything extends the empty tree and itself */
        out->count = 0;
        return NULL;
    }
    return tlog_consistency(s->options.tlog, old_size, pinned, out);
}

struct error *service_checkpoint(struct service *s, struct arena *arena, uint64_t tree_size,
                                 struct service_checkpoint *out) {
    struct service_checkpoint cp = {0};
    TRY(pin_size(s, tree_size, &cp.tree_size));
    TRY(tlog_checkpoint(s->options.tlog, arena, cp.tree_size, &cp.v1, &cp.c2sp, &cp.root));
    *out = cp;
    return NULL;
}

struct error *service_tile(struct service *s, struct arena *arena, const struct merkle_tile *tile,
                           bool *found, struct bytes *out) {
    return tlog_tile(s->options.tlog, arena, tile, found, out);
}
