/*
 * fuzz_statement: the input is read twice: as signed payload octets, and as a caller's document.
 * A document that is accepted cannot change what the statement around it says: type, subjects,
 * submitter and the document itself read back as they went in.
 */
#include <stdlib.h>

#include "intoto/intoto.h"
#include "lineage/lineage.h"

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TYPE TEXT_LIT("https://p.example/v1")
#define PRINCIPAL TEXT_LIT("token:fuzz")

static const struct json_limits limits = {.depth_max = 64, .octets_max = (size_t)1 << 20};
static const struct json_limits read_limits = {.depth_max = INTOTO_STATEMENT_DEPTH_MAX,
                                               .octets_max = (size_t)8 << 20};

static struct bytes jcs(struct arena *arena, const struct json_value *v) {
    struct buf b;
    buf_init_arena(&b, arena, (size_t)64 << 20);
    struct json_writer w = json_writer_of(&b);
    json_put_jcs(&w, v);
    CHECK(!b.failed);
    return buf_bytes(&b);
}

/* Edges come in order, none twice, to well-formed nodes. */
static void check_edges(struct arena *arena, const struct intoto_statement *st, struct bytes in) {
    const struct lineage_edge *edges;
    size_t count = 0;
    struct error *err = lineage_edges(arena, st, in, &edges, &count);
    for (size_t i = 0; err == NULL && i < count; i++) {
        const struct lineage_edge *e = &edges[i];
        CHECK(e->kind != LINEAGE_KIND_UNSET && lineage_node_check(e->to));
        CHECK(i == 0 || bytes_compare(bytes_of_text(e[-1].from), bytes_of_text(e->from)) < 0 ||
              bytes_compare(bytes_of_text(e[-1].to), bytes_of_text(e->to)) < 0 ||
              e[-1].kind < e->kind);
    }
    error_free(err);
}

static void as_payload(struct arena *arena, struct bytes in) {
    struct intoto_statement st;
    struct error *err = intoto_statement_parse(arena, in, &read_limits, &st);
    if (err == NULL) {
        CHECK(st.predicate_type.len > 0 && st.predicate->type == JSON_OBJECT);
        CHECK(st.subject_count > 0 && st.subject_count <= INTOTO_SUBJECTS_MAX);
        for (size_t i = 0; i < st.subject_count; i++) {
            CHECK(st.subjects[i].digest_count > 0);
            CHECK(st.subjects[i].digest_count <= INTOTO_DIGESTS_MAX);
        }
        check_edges(arena, &st, in);
    }
    error_free(err);
}

static void as_document(struct arena *arena, struct bytes in) {
    static const struct intoto_digest digest[] = {
        {TEXT_LIT("sha256"),
         TEXT_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")}};
    static const struct intoto_resource subject[] = {{.digests = digest, .digest_count = 1}};
    static const struct intoto_server_fields server = {.principal = PRINCIPAL,
                                                       .method = TEXT_LIT("token")};
    struct intoto_submission sub = {.subjects = subject,
                                    .subject_count = 1,
                                    .kind = INTOTO_PREDICATE_OCTETS,
                                    .octets = in,
                                    .predicate_type = TYPE};
    struct intoto_statement st;
    struct buf b;
    buf_init_arena(&b, arena, (size_t)64 << 20);
    struct error *err = intoto_check(arena, &sub, &limits);
    if (err != NULL) {
        CHECK(error_code(err) == ERROR_INVALID_ARGUMENT);
        error_free(err);
        return;
    }
    CHECK(intoto_put_statement(&b, &sub, &server) == NULL);
    CHECK(intoto_statement_parse(arena, buf_bytes(&b), &read_limits, &st) == NULL);
    CHECK(text_equal(st.predicate_type, TYPE));
    CHECK(text_equal(st.submitter_principal, PRINCIPAL));
    CHECK(st.subject_count == 1 && st.subjects[0].digest_count == 1);
    CHECK(text_equal(st.subjects[0].digests[0].value, digest[0].value));
    CHECK(bytes_equal(jcs(arena, st.predicate), jcs(arena, sub.tree)));
    buf_init_arena(&b, arena, (size_t)64 << 20);
    CHECK(intoto_put_caller_jcs(&b, &sub, SIZE_MAX) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct bytes in = {data, size};
    arena_init(&arena, (size_t)512 << 20);
    as_payload(&arena, in);
    as_document(&arena, in);
    arena_done(&arena);
    return 0;
}
