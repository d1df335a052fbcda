/* attest lineage: what it came from, what came from it. */
#include <stdio.h>

#include "attestd/v1/lineage.pb-c.h"
#include "client/connection.h"
#include "codec/codec.h"

#define PAGE_SIZE 1000
#define PAGES_MAX 1024

static const struct method trace = {
    .path = "/attestd.v1.Lineage/Trace",
    .request = &attestd__v1__trace_request__descriptor,
    .response = &attestd__v1__trace_response__descriptor,
};

/* The pages of one answer, joined into the first. */
struct pages {
    const Attestd__V1__TraceResponse *page[PAGES_MAX];
    size_t count;
    Attestd__V1__TraceResponse all;
};

static struct error *join_pages(struct arena *arena, struct pages *p) {
    size_t nodes = 0, edges = 0;
    for (size_t i = 0; i < p->count; i++) {
        nodes += p->page[i]->n_nodes;
        edges += p->page[i]->n_edges;
    }
    p->all = *p->page[0];
    p->all.nodes = cli_list(arena, nodes);
    p->all.edges = cli_list(arena, edges);
    if (p->all.nodes == NULL || p->all.edges == NULL) return error_nomem();
    p->all.n_nodes = p->all.n_edges = 0;
    for (size_t i = 0; i < p->count; i++) {
        const Attestd__V1__TraceResponse *t = p->page[i];
        for (size_t j = 0; j < t->n_nodes; j++) p->all.nodes[p->all.n_nodes++] = t->nodes[j];
        for (size_t j = 0; j < t->n_edges; j++) p->all.edges[p->all.n_edges++] = t->edges[j];
        p->all.truncated = p->all.truncated || t->truncated;
    }
    p->all.next_page_token = p->page[p->count - 1]->next_page_token;
    return NULL;
}

static struct error *direction_of(struct cli *cli, const char **out) {
    bool up = args_has(&cli->args, "up"), down = args_has(&cli->args, "down");
    bool both = args_has(&cli->args, "both");
    if (up + down + both > 1) return cli_usage(cli, "one of --up, --down and --both");
    *out = up ? "UP" : down ? "DOWN" : "BOTH";
    return NULL;
}

static struct error *trace_all(struct cli *cli, const char *digest, struct pages *p) {
    const char *token = NULL, *direction = NULL;
    uint64_t depth = 0;
    TRY(direction_of(cli, &direction));
    TRY(args_u64(&cli->args, "depth", 0, &depth));
    if (depth > 64) return cli_usage(cli, "--depth is at most 64");
    do {
        struct request r;
        const struct ProtobufCMessage *m = NULL;
        cli_request_begin(cli, &r);
        cli_request_text(&r, "digest", digest);
        cli_request_text(&r, "direction", direction);
        cli_request_u64(&r, "depth", depth);
        cli_request_u64(&r, "pageSize", PAGE_SIZE);
        cli_request_text(&r, "pageToken", token);
        TRY(cli_call(cli, &trace, &r, &m));
        const Attestd__V1__TraceResponse *page = (const Attestd__V1__TraceResponse *)m;
        p->page[p->count++] = page;
        token = page->next_page_token;
    } while (token[0] != '\0' && p->count < PAGES_MAX);
    return join_pages(&cli->arena, p);
}

/* --- for people: every edge, in the order of the answer (nearest first) */
static int by_digest(const void *a, const void *b) {
    const Attestd__V1__Node *const *na = a, *const *nb = b;
    return strcmp((*na)->digest, (*nb)->digest);
}

static const Attestd__V1__Node *find_node(const Attestd__V1__TraceResponse *t, char *digest) {
    Attestd__V1__Node key = {.digest = digest};
    const Attestd__V1__Node *wanted = &key;
    Attestd__V1__Node **at = bsearch(&wanted, t->nodes, t->n_nodes, sizeof(void *), by_digest);
    return at == NULL ? NULL : *at;
}

static void print_node(struct cli *cli, const Attestd__V1__TraceResponse *t, char *digest) {
    const Attestd__V1__Node *n = find_node(t, digest);
    if (n != NULL && n->name[0] != '\0') {
        cli_put(cli->io->out, bytes_of_cstr(n->name));
        cli_say(cli, " ");
    }
    cli_put(cli->io->out, bytes_of_cstr(digest));
}

static void print_edge(struct cli *cli, const Attestd__V1__TraceResponse *t,
                       const Attestd__V1__Edge *e) {
    char by[96];
    (void)snprintf(by, sizeof by, "  %.48s, entry %llu", e->assurance,
                   (unsigned long long)e->index);
    cli_say(cli, "  %-12.32s ", e->kind);
    print_node(cli, t, e->to_digest);
    cli_colour(cli, COLOUR_DIM, by);
    cli_say(cli, "\n");
}

/* Sorts the nodes: only their names are wanted here. */
static void print_for_people(struct cli *cli, const Attestd__V1__TraceResponse *t,
                             const char *digest) {
    const char *from = "";
    qsort(t->nodes, t->n_nodes, sizeof(void *), by_digest);
    for (size_t i = 0; i < t->n_edges; i++) {
        if (strcmp(from, t->edges[i]->from_digest) != 0) {
            print_node(cli, t, t->edges[i]->from_digest);
            cli_say(cli, "\n");
        }
        from = t->edges[i]->from_digest;
        print_edge(cli, t, t->edges[i]);
    }
    if (t->n_edges == 0) cli_say(cli, "no edges of %s are known\n", digest);
    cli_say(cli, "%zu digests, %zu edges, complete up to tree size %llu%s\n", t->n_nodes,
            t->n_edges, (unsigned long long)t->tree_size,
            t->truncated ? "; CUT SHORT by a bound: there is more (--depth)" : "");
}

struct error *run_lineage(struct cli *cli, int *out_exit) {
    struct subject s;
    struct pages *p = arena_alloc(&cli->arena, sizeof *p);
    struct buf digest;
    if (p == NULL) return error_nomem();
    TRY(subject_parse(&cli->arena, cli->args.words[0], &s));
    buf_init_arena(&digest, &cli->arena, 512);
    buf_printf(&digest, "%s:%s", s.algorithm, s.digest);
    TRY(buf_finish(&digest, "digest"));
    const char *text = cli_cstr(&cli->arena, buf_bytes(&digest));
    TRY(trace_all(cli, text, p));
    if (cli->json)
        TRY(cli_print(cli, &p->all.base));
    else
        print_for_people(cli, &p->all, text);
    *out_exit = CLI_EXIT_YES;
    return NULL;
}
