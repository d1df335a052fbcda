/*
 * The walk. A queue of (node, direction) makes it breadth first; a node enters it once a direction,
 * so cycles end. An edge is known by both its ends: walking BOTH ways it can be met from each, and
 * is shown once (only cycles do that: sorted out at the end).
 */
#include <stdlib.h>

#include "lineage/internal.h"
#include "lineage/lineage.h"

#define ASK_EVERY 256 /* edges looked at between two questions whether to stop */

struct visited {
    bool queued[2]; /* by direction: [0] down, [1] up */
};

struct step {
    uint32_t node;
    uint32_t depth;
    bool up;
};

struct walk {
    struct arena *arena;
    const struct lineage_query *query;
    struct text_set set;
    struct lineage_node *nodes;
    struct visited *visited;
    size_t node_count;
    size_t node_cap;
    struct lineage_result_edge *edges;
    size_t edge_count;
    size_t edge_cap;
    struct step *queue; /* room for each node twice */
    size_t queue_count;
    struct step at; /* what is being expanded */
    size_t seen;    /* edges looked at */
    bool truncated;
    bool ended; /* a bound of the whole walk was met */
    bool full;  /* the arena */
};

/* --- growing lists: what was outgrown stays in the arena, at most as much again */

static void *grow(struct arena *arena, void *old, size_t count, size_t cap, size_t size) {
    void *p = arena_alloc(arena, cap * size);
    if (p != NULL && count > 0) memcpy(p, old, count * size);
    return p;
}

static bool room_for_node(struct walk *w) {
    if (w->node_count < w->node_cap) return true;
    size_t n = w->node_count, cap = n == 0 ? 64 : 2 * n;
    w->nodes = grow(w->arena, w->nodes, n, cap, sizeof *w->nodes);
    w->visited = grow(w->arena, w->visited, n, cap, sizeof *w->visited);
    w->queue = grow(w->arena, w->queue, w->queue_count, 2 * cap, sizeof *w->queue);
    w->node_cap = cap;
    return w->nodes != NULL && w->visited != NULL && w->queue != NULL;
}

static bool room_for_edge(struct walk *w) {
    if (w->edge_count < w->edge_cap) return true;
    size_t cap = w->edge_count == 0 ? 64 : 2 * w->edge_count;
    w->edges = grow(w->arena, w->edges, w->edge_count, cap, sizeof *w->edges);
    w->edge_cap = cap;
    return w->edges != NULL;
}

static bool copy_text(struct arena *arena, struct text in, struct text *out) {
    struct bytes copy = arena_copy(arena, bytes_of_text(in));
    *out = (struct text){(const char *)copy.data, copy.len};
    return copy.data != NULL;
}

/* --- nodes */

static void enqueue(struct walk *w, uint32_t node, uint32_t depth, bool up) {
    if (w->visited[node].queued[up]) return;
    w->visited[node].queued[up] = true;
    w->queue[w->queue_count++] = (struct step){node, depth, up};
}

/* Finds or makes the node of a text that lives only for this call. A new one beyond nodes_max ends
 * the walk. Answers whether there is one. */
static bool meet(struct walk *w, struct text digest, uint32_t depth, uint32_t *out) {
    if (text_set_find(&w->set, digest, out)) return true;
    if (w->node_count == w->query->nodes_max) {
        w->truncated = w->ended = true;
        return false;
    }
    struct text copy;
    if (!room_for_node(w) || !copy_text(w->arena, digest, &copy) ||
        !text_set_add(&w->set, copy, (uint32_t)w->node_count)) {
        w->full = true;
        return false;
    }
    *out = (uint32_t)w->node_count;
    w->nodes[w->node_count] = (struct lineage_node){.digest = copy, .depth = depth};
    w->visited[w->node_count++] = (struct visited){{false, false}};
    return true;
}

static bool name(struct walk *w, uint32_t node, struct text name) {
    if (name.len == 0 || w->nodes[node].name.len > 0) return true;
    if (!copy_text(w->arena, name, &w->nodes[node].name)) w->full = true;
    return !w->full;
}

/* --- edges */

static bool is_wanted(const struct walk *w, const struct lineage_found *e) {
    if (e->index >= w->query->as_of) return false;
    bool wanted = w->query->kind_count == 0;
    for (size_t i = 0; i < w->query->kind_count; i++)
        wanted = wanted || w->query->kinds[i] == e->kind;
    return wanted;
}

static bool must_end(struct walk *w) {
    w->seen++;
    bool asked = w->query->stop != NULL && w->seen % ASK_EVERY == 0;
    if (w->seen > LINEAGE_EDGES_SEEN_MAX || (asked && w->query->stop(w->query->stop_ctx)))
        w->truncated = w->ended = true;
    return w->ended;
}

static bool show(struct walk *w, const struct lineage_found *e, uint32_t other) {
    if (w->edge_count == w->query->edges_max) {
        w->truncated = w->ended = true;
        return false;
    }
    if (!room_for_edge(w)) {
        w->full = true;
        return false;
    }
    uint32_t from = w->at.up ? w->at.node : other, to = w->at.up ? other : w->at.node;
    w->edges[w->edge_count++] = (struct lineage_result_edge){.from_node = from,
                                                             .to_node = to,
                                                             .kind = e->kind,
                                                             .assurance = e->assurance,
                                                             .index = e->index};
    return true;
}

/* One edge of the node being expanded; false ends its expansion. */
static bool on_edge(void *ctx, const struct lineage_found *e) {
    struct walk *w = ctx;
    uint32_t other = 0;
    if (must_end(w)) return false;
    if (!is_wanted(w, e)) return true;
    if (w->at.depth == w->query->depth) { /* the last ring: more exists, and that is all we ask */
        w->truncated = true;
        return false;
    }
    if (!meet(w, e->other, w->at.depth + 1, &other)) return false;
    if (!show(w, e, other) || !name(w, other, e->other_name)) return false;
    enqueue(w, other, w->at.depth + 1, w->at.up);
    return true;
}

static struct error *expand(struct walk *w, const struct lineage_source *src) {
    if (w->at.depth == w->query->depth && w->truncated) return NULL; /* nothing left to learn */
    TRY(src->edges(src->ctx, w->nodes[w->at.node].digest, w->at.up, on_edge, w));
    return w->full ? error_nomem() : NULL;
}

/* --- the whole */

static int by_all(const void *a, const void *b) {
    const struct lineage_result_edge *const *pa = a, *const *pb = b;
    const struct lineage_result_edge *ea = *pa, *eb = *pb;
    const uint64_t ka[] = {ea->from_node, ea->to_node, ea->kind, ea->index};
    const uint64_t kb[] = {eb->from_node, eb->to_node, eb->kind, eb->index};
    for (size_t i = 0; i < sizeof ka / sizeof *ka; i++)
        if (ka[i] != kb[i]) return ka[i] < kb[i] ? -1 : 1;
    return ea < eb ? -1 : ea > eb;
}

static bool same_edge(const struct lineage_result_edge *a, const struct lineage_result_edge *b) {
    return a->from_node == b->from_node && a->to_node == b->to_node && a->kind == b->kind &&
           a->index == b->index;
}

/* Drops the second of two equal edges and keeps the order of the rest. */
static struct error *drop_repeated(struct walk *w) {
    size_t n = w->edge_count, kept = 0;
    const struct lineage_result_edge **sorted = arena_alloc(w->arena, (n + 1) * sizeof *sorted);
    bool *repeated = arena_alloc(w->arena, n + 1);
    if (sorted == NULL || repeated == NULL) return error_nomem();
    for (size_t i = 0; i < n; i++) sorted[i] = &w->edges[i];
    if (n > 1) qsort(sorted, n, sizeof *sorted, by_all);
    for (size_t i = 1; i < n; i++)
        repeated[sorted[i] - w->edges] = same_edge(sorted[i - 1], sorted[i]);
    for (size_t i = 0; i < n; i++)
        if (!repeated[i]) w->edges[kept++] = w->edges[i];
    w->edge_count = kept;
    return NULL;
}

/* What an edge tells of its two ends; unset: nothing. */
static const struct {
    enum lineage_node_kind from, to;
} ends[] = {
    [LINEAGE_BUILT_FROM] = {LINEAGE_NODE_ARTIFACT, LINEAGE_NODE_MATERIAL},
    [LINEAGE_CONTAINS] = {LINEAGE_NODE_MODEL, LINEAGE_NODE_FILE},
    [LINEAGE_DERIVED_AS] = {LINEAGE_NODE_MODEL, LINEAGE_NODE_MODEL},
    [LINEAGE_TRAINED_ON] = {LINEAGE_NODE_MODEL, LINEAGE_NODE_DATASET},
    [LINEAGE_DESCRIBED_BY] = {LINEAGE_NODE_UNSET, LINEAGE_NODE_ATTESTATION},
};

static void set_kind(struct lineage_node *node, enum lineage_node_kind kind) {
    if (kind > node->kind) node->kind = kind;
}

static void tell_kinds(struct walk *w) {
    for (size_t i = 0; i < w->edge_count; i++) {
        const struct lineage_result_edge *e = &w->edges[i];
        if ((size_t)e->kind >= sizeof ends / sizeof *ends) continue;
        set_kind(&w->nodes[e->from_node], ends[e->kind].from);
        set_kind(&w->nodes[e->to_node], ends[e->kind].to);
    }
    for (size_t i = 0; i < w->node_count; i++)
        if (w->nodes[i].kind == LINEAGE_NODE_UNSET) w->nodes[i].kind = LINEAGE_NODE_ARTIFACT;
}

static struct error *check_query(const struct lineage_query *q) {
    if (q->direction == LINEAGE_DIRECTION_UNSET)
        return error_field_new("direction", "direction: one of UP, DOWN and BOTH is needed");
    if (q->depth == 0 || q->depth > LINEAGE_DEPTH_MAX)
        return error_field_new("depth", "depth: not 1 to %d", LINEAGE_DEPTH_MAX);
    if (q->nodes_max == 0 || q->nodes_max > LINEAGE_NODES_MAX ||
        q->edges_max > LINEAGE_EDGES_SHOWN_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "trace: bounds out of range");
    return NULL;
}

static struct error *start(struct walk *w) {
    uint32_t node = 0;
    if (!meet(w, w->query->start, 0, &node)) return error_nomem();
    if (w->query->direction != LINEAGE_DOWN) enqueue(w, node, 0, true);
    if (w->query->direction != LINEAGE_UP) enqueue(w, node, 0, false);
    return NULL;
}

struct error *lineage_trace(struct arena *arena, const struct lineage_source *src,
                            const struct lineage_query *query, struct lineage_result *out) {
    struct walk w = {.arena = arena, .query = query, .set = {.arena = arena}};
    TRY(check_query(query));
    TRY(start(&w));
    for (size_t i = 0; i < w.queue_count && !w.ended; i++) {
        w.at = w.queue[i];
        TRY(expand(&w, src));
    }
    if (query->direction == LINEAGE_BOTH) TRY(drop_repeated(&w));
    for (size_t i = 0; i < w.edge_count; i++) {
        w.edges[i].from = w.nodes[w.edges[i].from_node].digest;
        w.edges[i].to = w.nodes[w.edges[i].to_node].digest;
    }
    tell_kinds(&w);
    *out = (struct lineage_result){.nodes = w.nodes,
                                   .node_count = w.node_count,
                                   .edges = w.edges,
                                   .edge_count = w.edge_count,
                                   .truncated = w.truncated};
    return NULL;
}
