/* The walk of lineage.h over the store's edges. It is the same for every page of one query, because
 * entries below the pinned tree size never change: a page is a slice of it. */
#include "service/internal.h"

#define TRACE_DEPTH_DEFAULT 5U

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
    if (!lineage_node_check(q->digest))
        return error_field_new("digest", "want \"<algorithm>:<value>\"");
    if (q->direction == LINEAGE_DIRECTION_UNSET)
        return error_field_new("direction", "want UP, DOWN or BOTH");
    if (q->depth > LINEAGE_DEPTH_MAX)
        return error_field_new("depth", "at most %d", LINEAGE_DEPTH_MAX);
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

/* --- names: edges say what a product's maker calls its materials. What no edge on the way names is
 * called as the oldest entry about it says, or else, where it came into a walk that goes down, as
 * whoever made something from it says. */

static bool is_node(const struct intoto_digest *d, struct text node) {
    size_t len = d->algorithm.len;
    return node.len == len + 1 + d->value.len && memcmp(node.data, d->algorithm.data, len) == 0 &&
           node.data[len] == ':' && memcmp(node.data + len + 1, d->value.data, d->value.len) == 0;
}

static struct text name_in(const struct intoto_statement *st, struct text node) {
    for (size_t i = 0; i < st->subject_count; i++) {
        const struct intoto_resource *r = &st->subjects[i];
        for (size_t k = 0; k < r->digest_count; k++)
            if (is_node(&r->digests[k], node) && !text_equal(r->name, node)) return r->name;
    }
    return (struct text){0};
}

static struct error *name_as_subject(struct service *s, struct arena *arena, uint64_t below,
                                     struct text node, struct text *out) {
    const struct json_limits limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                       .octets_max = STORE_ENTRY_MAX_OCTETS};
    struct store_entry entry;
    struct intoto_statement st;
    const uint64_t *index;
    size_t count = 0;
    TRY(store_find(s->options.store, NULL, arena, STORE_INDEX_SUBJECT, node, 0, below, 1, &index,
                   &count));
    if (count == 0) return NULL; /* nobody attested to it */
    TRY(service_read_entry(s, arena, index[0], &entry));
    TRY(service_stored(intoto_statement_head(arena, entry.payload, &limits, &st), index[0]));
    *out = name_in(&st, node);
    return NULL;
}

static struct error *name_node(struct service *s, struct arena *arena, uint64_t below,
                               struct lineage_node *node) {
    const struct store_lineage edges = {.store = s->options.store};
    CLEANUP(arena_done) struct arena whole;
    struct text name = {0};
    arena_init(&whole, 2 * STORE_ENTRY_MAX_OCTETS);
    if (node->name.len > 0) return NULL;
    TRY(name_as_subject(s, &whole, below, node->digest, &name));
    if (name.len == 0) TRY(store_material_name(&edges, &whole, node->digest, below, &name));
    struct bytes copy = arena_copy(arena, bytes_of_text(name));
    if (copy.data == NULL) return error_nomem();
    node->name = (struct text){(const char *)copy.data, copy.len};
    return NULL;
}

/* --- pages: what the walk showed is one sequence, its edges as it met them, each behind those of
 * its two nodes that were not there before. A page is a run of it: every node and every edge stands
 * on one page, an edge with or behind both its nodes. A walk that time ended early gives a
 * beginning of the same sequence, so even then a page begins where the one before it ended. */

/* Octets of a page, an eighth of what gRPC's clients take by default: there may be five edges a
 * node, and names are other people's, whose every octet can be six in JSON. More than that is only
 * a node that is larger alone. */
#define TRACE_OCTETS_MAX ((size_t)512 << 10)
#define NODE_OCTETS ((size_t)64)  /* beside its texts, in JSON, the larger form */
#define EDGE_OCTETS ((size_t)128) /* the same */

struct filling {
    struct service *service;
    struct arena *arena;
    uint64_t tree_size;
    const struct lineage_result *all;
    size_t node, edge; /* of `all`: those before are on this page or on one before it */
    struct lineage_node *nodes;
    size_t nodes_max;
    struct lineage_result page;
    size_t octets;
};

static bool at_end(const struct filling *f) {
    return f->node == f->all->node_count && f->edge == f->all->edge_count;
}

static bool is_node_next(const struct filling *f) {
    if (f->edge == f->all->edge_count) return true;
    const struct lineage_result_edge *e = &f->all->edges[f->edge];
    return f->node <= e->from_node || f->node <= e->to_node;
}

static void step(struct filling *f) {
    size_t *next = is_node_next(f) ? &f->node : &f->edge;
    ++*next;
}

static bool has_room(struct filling *f, size_t octets) {
    bool fits = f->octets == 0 || f->octets + octets <= TRACE_OCTETS_MAX;
    if (fits) f->octets += octets;
    return fits;
}

static struct error *put_node(struct filling *f, bool *out_put) {
    struct lineage_node node = f->all->nodes[f->node];
    *out_put = false;
    if (f->page.node_count == f->nodes_max) return NULL;
    TRY(name_node(f->service, f->arena, f->tree_size, &node));
    if (!has_room(f, NODE_OCTETS + node.digest.len + node.name.len)) return NULL;
    f->nodes[f->page.node_count++] = node;
    *out_put = true;
    return NULL;
}

static bool put_edge(struct filling *f) {
    const struct lineage_result_edge *e = &f->all->edges[f->edge];
    if (!has_room(f, EDGE_OCTETS + e->from.len + e->to.len)) return false;
    if (f->page.edge_count++ == 0) f->page.edges = e;
    return true;
}

/* Fills the page that begins at page->next, and moves that; *out_more: there is another. */
static struct error *fill_page(struct filling *f, struct page *page, bool *out_more) {
    bool put = true;
    f->nodes = arena_alloc(f->arena, f->nodes_max * sizeof *f->nodes);
    if (f->nodes == NULL) return error_nomem();
    f->page.nodes = f->nodes;
    f->page.truncated = f->all->truncated;
    for (uint64_t i = 0; i < page->next && !at_end(f); i++) step(f);
    while (!at_end(f)) {
        if (is_node_next(f))
            TRY(put_node(f, &put));
        else
            put = put_edge(f);
        if (!put) break;
        step(f);
        page->next++;
    }
    *out_more = !at_end(f);
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
    struct store_lineage ctx = {.store = s->options.store};
    const struct lineage_source src = store_lineage_source(&ctx);
    const struct lineage_query walk = {
        .start = query->digest,
        .direction = query->direction,
        .depth = query->depth == 0 ? TRACE_DEPTH_DEFAULT : query->depth,
        .nodes_max = LINEAGE_NODES_MAX,
        .edges_max = LINEAGE_EDGES_SHOWN_MAX,
        .as_of = page.tree_size,
        .kinds = kinds,
        .kind_count = query->kind_count,
        .stop = query->deadline_us == 0 ? NULL : past,
        .stop_ctx = &deadline,
    };
    TRY(lineage_trace(arena, &src, &walk, &all));
    struct filling f = {.service = s,
                        .arena = arena,
                        .tree_size = page.tree_size,
                        .all = &all,
                        .nodes_max = service_page_size(query->page_size)};
    bool more = false;
    TRY(fill_page(&f, &page, &more));
    struct service_traced traced = {.result = f.page, .tree_size = page.tree_size};
    if (more) TRY(page_put(s, arena, &page, &traced.next_page_token));
    struct bytes v1;
    struct sha256 root;
    TRY(tlog_checkpoint(s->options.tlog, arena, page.tree_size, &v1, &traced.checkpoint, &root));
    *out = traced;
    return NULL;
}
