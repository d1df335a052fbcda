/*
 * lineage: typed edges from statements, and bounded traversal over an iterator seam. Pure.
 * Nodes are digests. An edge goes from the product to what it came from; its kinds are one table.
 */
#ifndef LINEAGE_LINEAGE_H
#define LINEAGE_LINEAGE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "intoto/intoto.h"

/* X(enumerator, name, octet stored on disk: never renumber) */
#define LINEAGE_KIND_TABLE(X)                                                                      \
    X(BUILT_FROM, "built-from", 1)                                                                 \
    X(CONTAINS, "contains", 2)                                                                     \
    X(DERIVED_AS, "derived-as", 3)                                                                 \
    X(TRAINED_ON, "trained-on", 4)                                                                 \
    X(DESCRIBED_BY, "described-by", 5)

enum lineage_kind {
    LINEAGE_KIND_UNSET = 0,
#define LINEAGE_ENUM(e, name, octet) LINEAGE_##e = (octet),
    LINEAGE_KIND_TABLE(LINEAGE_ENUM)
#undef LINEAGE_ENUM
};

const char *lineage_kind_name(enum lineage_kind kind);       /* "" for unknown */
enum lineage_kind lineage_kind_from_name(struct bytes name); /* UNSET for unknown */

enum lineage_assurance {
    LINEAGE_ASSURANCE_UNSET = 0,
    LINEAGE_DECLARED = 1, /* the submitter said so */
    LINEAGE_ATTESTED = 2, /* verified by us */
    LINEAGE_INFERRED = 3,
};
const char *lineage_assurance_name(enum lineage_assurance a);

/* A node is "algorithm:value" as text: "sha256:ab…". */
struct lineage_edge {
    struct text from;
    struct text to;
    struct text to_name; /* what the asserting statement calls the material; may be empty */
    enum lineage_kind kind;
    enum lineage_assurance assurance;
};

#define LINEAGE_EDGES_MAX 4096 /* per statement */

/* lineage_edges reads the edges that a statement asserts, every (subject digest, material digest)
 * pair, into `arena`, in order of (from, to, kind), none twice (of two names the first counts):
 *   provenance v1 resolvedDependencies: built-from; with annotations.role base-model derived-as,
 *   dataset trained-on. model signature resources[]: contains. Verification summaries and results
 *   (verification_summary, svr): none. All other types describe: described-by, from the subject to
 *   the node "sha256:<hex SHA-256 of the payload octets>", named by the predicate type.
 * A material without a digest makes no edge. All are DECLARED: the submitter says so.
 * Errors: INVALID_ARGUMENT INVALID_FIELD, a path within the predicate, if a list of materials or
 * resources is malformed; RESOURCE_EXHAUSTED MESSAGE_TOO_LARGE over LINEAGE_EDGES_MAX (never
 * silently cut); RESOURCE_EXHAUSTED if the arena is full. */
MUST_USE struct error *lineage_edges(struct arena *arena, const struct intoto_statement *st,
                                     struct bytes payload, const struct lineage_edge **out,
                                     size_t *out_count);

/* lineage_node_check answers whether `node` is "algorithm:value" with a well-formed digest. */
bool lineage_node_check(struct text node);

/* --- traversal */
enum lineage_direction {
    LINEAGE_DIRECTION_UNSET = 0,
    LINEAGE_UP,   /* what it came from */
    LINEAGE_DOWN, /* what came from it */
    LINEAGE_BOTH,
};

struct lineage_found {
    struct text other;
    struct text other_name;
    enum lineage_kind kind;
    enum lineage_assurance assurance;
    uint64_t index; /* of the entry that asserted it */
};

/* The seam: calls `each` for every edge of `node` in one direction, in a stable order; `each`
 * returns false to stop. Texts hold until `each` returns. */
struct lineage_source {
    struct error *(*edges)(void *ctx, struct text node, bool up,
                           bool (*each)(void *each_ctx, const struct lineage_found *edge),
                           void *each_ctx);
    void *ctx;
};

#define LINEAGE_DEPTH_MAX 64
#define LINEAGE_NODES_MAX 10000
#define LINEAGE_EDGES_SHOWN_MAX 50000
#define LINEAGE_EDGES_SEEN_MAX 1000000 /* looked at in one walk, shown or not: super-nodes */

struct lineage_query {
    struct text start;
    enum lineage_direction direction;
    uint32_t depth;     /* 1..LINEAGE_DEPTH_MAX */
    uint32_t nodes_max; /* 1..LINEAGE_NODES_MAX */
    uint32_t edges_max; /* up to LINEAGE_EDGES_SHOWN_MAX */
    uint64_t as_of;     /* entries below this index only */
    const enum lineage_kind *kinds;
    size_t kind_count;       /* 0: all */
    bool (*stop)(void *ctx); /* NULL, or asked now and then: true ends it, truncated */
    void *stop_ctx;
};

/* What a node is, as the edges shown tell: of several the last of this table counts. */
#define LINEAGE_NODE_TABLE(X)                                                                      \
    X(MATERIAL, "material")       /* something was built from it */                                \
    X(ARTIFACT, "artifact")       /* it was built, or no edge tells */                             \
    X(FILE, "file")               /* a model contains it */                                        \
    X(DATASET, "dataset")         /* a model was trained on it */                                  \
    X(MODEL, "model")             /* it contains files, was trained, or a model derives from it */ \
    X(ATTESTATION, "attestation") /* it describes another */

enum lineage_node_kind {
    LINEAGE_NODE_UNSET = 0,
#define LINEAGE_NODE_ENUM(e, name) LINEAGE_NODE_##e,
    LINEAGE_NODE_TABLE(LINEAGE_NODE_ENUM)
#undef LINEAGE_NODE_ENUM
};

const char *lineage_node_kind_name(enum lineage_node_kind kind); /* "" for unknown */

struct lineage_node {
    struct text digest;
    struct text name;
    uint32_t depth;              /* fewest edges from the start */
    enum lineage_node_kind kind; /* never unset in a result */
};

struct lineage_result_edge {
    struct text from, to;
    uint32_t from_node, to_node; /* where they are among the nodes */
    enum lineage_kind kind;
    enum lineage_assurance assurance;
    uint64_t index;
};

struct lineage_result {
    const struct lineage_node *nodes; /* breadth first; nodes[0] is the start */
    size_t node_count;
    const struct lineage_result_edge *edges; /* as they were met, and with them new nodes */
    size_t edge_count;
    bool truncated; /* a bound was met, depth too: more exists than is shown */
};

/* lineage_trace walks breadth first, each node once a direction (cycles are safe). BOTH is what the
 * start came from and what came from it, never a zigzag: two products of one base are no relatives.
 * Order is that of the source: the same edges give the same result, and the nodes and edges of a
 * walk that is stopped are the first of those.
 * Errors: INVALID_ARGUMENT for a query out of its bounds, RESOURCE_EXHAUSTED (arena), the source's.
 */
MUST_USE struct error *lineage_trace(struct arena *arena, const struct lineage_source *src,
                                     const struct lineage_query *query, struct lineage_result *out);

#endif
