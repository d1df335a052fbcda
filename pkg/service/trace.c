/* The walk of lineage.h over the store's edges. It is the same for every page of one query, because
 * entries below the pinned tree size never change: a page is a slice of its nodes. */
#include <stdlib.h>

#include "base/assert.h"
#include "service/internal.h"

#define TRACE_DEPTH_DEFAULT 5U
#define TRACE_DEPTH_MAX 64U
#define TRACE_NODES_MAX 10000U
#define TRACE_EDGES_MAX 50000U

struct deadline {
    const struct clock *clock;
    uint64_t at_us;
};

static bool past(void *ctx) {
    const struct deadline *d = ctx;
    return clock_mono_us(d->clock) >= d->at_us;
}

static struct sha256 query_hash(const struct service_trace *q, uint32_t depth) {
    struct sha256_ctx ctx;
    const uint8_t head[3] = {'T', (uint8_t)q->direction, (uint8_t)depth};
    sha256_init(&ctx);
    sha256_update(&ctx, (struct bytes){head, sizeof head});
    sha256_update(&ctx, bytes_of_text(q->digest));
    for (size_t i = 0; i < q->kind_count; i++) {
        sha256_update(&ctx, BYTES_LIT("\0"));
        sha256_update(&ctx, bytes_of_text(q->kinds[i]));
    }
    return sha256_final(&ctx);
}

static struct error *read_kinds(struct arena *arena, const struct service_trace *q,
                                const enum lineage_kind **out) {
    enum lineage_kind *kinds = arena_alloc(arena, (q->kind_count + 1) * sizeof *kinds);
    if (kinds == NULL) return error_nomem();
    for (size_t i = 0; i < q->kind_count; i++) {
        kinds[i] = lineage_kind_from_name(bytes_of_text(q->kinds[i]));
        if (kinds[i] == LINEAGE_KIND_UNSET)
            return error_field_new("kinds", "unknown kind \"" BYTES_FMT "\"",
                                   BYTES_ARG(q->kinds[i]));
    }
    *out = kinds;
    return NULL;
}

static struct error *check(const struct service_trace *q) {
    const char *colon = q->digest.len == 0 ? NULL : memchr(q->digest.data, ':', q->digest.len);
    if (colon == NULL || colon == q->digest.data || colon + 1 == q->digest.data + q->digest.len)
        return error_field_new("digest", "want \"<algorithm>:<value>\"");
    if (q->direction == LINEAGE_DIRECTION_UNSET)
        return error_field_new("direction", "want UP, DOWN or BOTH");
    if (q->depth > TRACE_DEPTH_MAX) return error_field_new("depth", "at most %u", TRACE_DEPTH_MAX);
    return NULL;
}

static struct error *start(struct service *s, struct arena *arena, const struct service_trace *q,
                           struct page *out) {
    uint64_t head = tlog_head(s->options.tlog).size;
    struct page page = {.tree_size = q->as_of == 0 ? head : q->as_of};
    page.query = query_hash(q, q->depth == 0 ? TRACE_DEPTH_DEFAULT : q->depth);
    if (q->page_token.len > 0) TRY(page_parse(s, arena, q->page_token, &page.query, &page));
    if (page.tree_size > head)
        return error_reason_new(REASON_TREE_SIZE_IN_FUTURE,
                                "tree size %llu is beyond the log's %llu entries",
                                (unsigned long long)page.tree_size, (unsigned long long)head);
    if (q->as_of != 0 && q->as_of != page.tree_size)
        return error_field_new("as_of_tree_size", "differs from the page token's tree size");
    *out = page;
    return NULL;
}

struct place {
    struct text digest;
    size_t at;
};

static int by_digest(const void *a, const void *b) {
    const struct place *pa = a, *pb = b;
    return bytes_compare(bytes_of_text(pa->digest), bytes_of_text(pb->digest));
}

static size_t place_of(const struct place *places, size_t count, struct text digest) {
    const struct place key = {.digest = digest};
    const struct place *found = bsearch(&key, places, count, sizeof key, by_digest);
    ASSERT(found != NULL); /* both ends of every edge are among the nodes */
    return found->at;
}

/* Keeps of `all` the nodes [from, from + size), and the edges whose later end is among them: each
 * edge stands on exactly one page, with or behind both its nodes. */
static struct error *slice(struct arena *arena, const struct lineage_result *all, size_t from,
                           size_t size, struct lineage_result *out) {
    struct lineage_result_edge *edges = arena_alloc(arena, (all->edge_count + 1) * sizeof *edges);
    struct place *places = arena_alloc(arena, (all->node_count + 1) * sizeof *places);
    if (edges == NULL || places == NULL) return error_nomem();
    for (size_t i = 0; i < all->node_count; i++)
        places[i] = (struct place){all->nodes[i].digest, i};
    qsort(places, all->node_count, sizeof *places, by_digest);
    *out = (struct lineage_result){
        .nodes = all->nodes + from, .edges = edges, .truncated = all->truncated};
    out->node_count = all->node_count - from < size ? all->node_count - from : size;
    for (size_t i = 0; i < all->edge_count; i++) {
        size_t a = place_of(places, all->node_count, all->edges[i].from);
        size_t b = place_of(places, all->node_count, all->edges[i].to);
        size_t later = a > b ? a : b;
        if (later >= from && later < from + out->node_count)
            edges[out->edge_count++] = all->edges[i];
    }
    return NULL;
}

struct error *service_trace(struct service *s, const struct principal *p, struct arena *arena,
                            const struct service_trace *query, struct service_traced *out) {
    struct deadline deadline = {s->options.clock, query->deadline_us};
    struct lineage_result all;
    struct page page;
    const enum lineage_kind *kinds = NULL;
    TRY(principal_require(p, SCOPE_READ));
    TRY(check(query));
    TRY(read_kinds(arena, query, &kinds));
    TRY(start(s, arena, query, &page));
    struct store_lineage ctx = {.store = s->options.store, .as_of = page.tree_size};
    const struct lineage_source src = store_lineage_source(&ctx);
    const struct lineage_query walk = {
        .start = query->digest,
        .direction = query->direction,
        .depth = query->depth == 0 ? TRACE_DEPTH_DEFAULT : query->depth,
        .nodes_max = TRACE_NODES_MAX,
        .edges_max = TRACE_EDGES_MAX,
        .as_of = page.tree_size,
        .kinds = kinds,
        .kind_count = query->kind_count,
        .stop = query->deadline_us == 0 ? NULL : past,
        .stop_ctx = &deadline,
    };
    TRY(lineage_trace(arena, &src, &walk, &all));
    size_t from = page.next < all.node_count ? (size_t)page.next : all.node_count;
    struct service_traced traced = {.tree_size = page.tree_size};
    TRY(slice(arena, &all, from, service_page_size(query->page_size), &traced.result));
    page.next = from + traced.result.node_count;
    if (page.next < all.node_count) TRY(page_put(s, arena, &page, &traced.next_page_token));
    struct bytes v1;
    struct sha256 root;
    TRY(tlog_checkpoint(s->options.tlog, arena, page.tree_size, &v1, &traced.checkpoint, &root));
    *out = traced;
    return NULL;
}
