/*
 * The statement, members in JCS order. What is in <> only the server's form has:
 *   {"_type",
 *    "predicate": provenance {
 *      "buildDefinition":{"buildType","externalParameters",
 *                         "internalParameters":{<attestd_receivedOn>},
 *                         "resolvedDependencies":[..]},
 *      "runDetails":{<"builder":{"id"}>,"byproducts":[..],
 *                    "metadata":{"finishedOn","invocationId","startedOn"}}}
 *      or a tree in JCS form, or (server's form) the caller's octets as they are,
 *    "predicateType",
 *    "subject":[{"annotations":{<attestd_submitter>},"digest",<"name">,..}]}
 */
#include "codec/codec.h"
#include "intoto/internal.h"

struct text intoto_predicate_type(const struct intoto_submission *sub) {
    return sub->kind == INTOTO_PREDICATE_PROVENANCE ? TEXT_LIT(INTOTO_PROVENANCE_V1)
                                                    : sub->predicate_type;
}

static void put_subjects(struct json_writer *w, const struct intoto_submission *sub,
                         const struct intoto_server_fields *server) {
    struct submitter submitter;
    struct resource_extras extras = {.name_by_digest = server != NULL};
    if (server != NULL) {
        submitter_init(&submitter, server->principal, server->method);
        extras.member = &submitter.member;
    }
    json_key(w, "subject");
    json_array_begin(w);
    for (size_t i = 0; i < sub->subject_count; i++) {
        put_resource(w, &sub->subjects[i], &extras);
        extras.member = NULL; /* the first one alone carries the submitter */
    }
    json_array_end(w);
}

static void put_resources(struct json_writer *w, const char *key,
                          const struct intoto_resource *list, size_t count) {
    const struct resource_extras none = {0};
    if (count == 0) return;
    json_key(w, key);
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) put_resource(w, &list[i], &none);
    json_array_end(w);
}

static void put_internal_parameters(struct json_writer *w, const struct json_value *own,
                                    const struct intoto_server_fields *server) {
    if (server == NULL && own == NULL) return;
    json_key(w, "internalParameters");
    if (server == NULL) {
        json_put_jcs(w, own);
        return;
    }
    CLEANUP(buf_done) struct buf time;
    buf_init(&time, 64);
    time_put(&time, server->received_ms);
    if (time.failed) w->out->failed = true;
    struct json_member received = {BYTES_LIT("attestd_receivedOn"),
                                   json_of_string(buf_bytes(&time))};
    json_put_jcs_with(w, own, &received);
}

static void put_build_definition(struct json_writer *w, const struct intoto_provenance *p,
                                 const struct intoto_server_fields *server) {
    json_key(w, "buildDefinition");
    json_object_begin(w);
    json_key(w, "buildType");
    json_put_string(w, bytes_of_text(p->build_type));
    json_key(w, "externalParameters");
    json_put_jcs_with(w, p->external_parameters, NULL);
    put_internal_parameters(w, p->internal_parameters, server);
    put_resources(w, "resolvedDependencies", p->resolved_dependencies,
                  p->resolved_dependency_count);
    json_object_end(w);
}

static void put_time(struct json_writer *w, const char *key, const struct intoto_time *t) {
    if (!t->set) return;
    json_key(w, key);
    buf_put_u8(w->out, '"');
    time_put_nanos(w->out, t->seconds, t->nanos);
    buf_put_u8(w->out, '"');
    w->comma = true;
}

static void put_metadata(struct json_writer *w, const struct intoto_provenance *p) {
    if (p->invocation_id.len == 0 && !p->started_on.set && !p->finished_on.set) return;
    json_key(w, "metadata");
    json_object_begin(w);
    put_time(w, "finishedOn", &p->finished_on);
    if (p->invocation_id.len > 0) {
        json_key(w, "invocationId");
        json_put_string(w, bytes_of_text(p->invocation_id));
    }
    put_time(w, "startedOn", &p->started_on);
    json_object_end(w);
}

static void put_run_details(struct json_writer *w, const struct intoto_provenance *p,
                            const struct intoto_server_fields *server) {
    json_key(w, "runDetails");
    json_object_begin(w);
    if (server != NULL) {
        json_key(w, "builder");
        json_object_begin(w);
        json_key(w, "id");
        json_put_string(w, bytes_of_text(server->builder_id));
        json_object_end(w);
    }
    put_resources(w, "byproducts", p->byproducts, p->byproduct_count);
    put_metadata(w, p);
    json_object_end(w);
}

static void put_predicate(struct json_writer *w, const struct intoto_submission *sub,
                          const struct intoto_server_fields *server) {
    if (sub->kind == INTOTO_PREDICATE_OCTETS && server != NULL) {
        json_put_raw(w, sub->octets); /* what is signed is what was sent, digit by digit */
    } else if (sub->kind != INTOTO_PREDICATE_PROVENANCE) {
        json_put_jcs(w, sub->tree);
    } else {
        json_object_begin(w);
        put_build_definition(w, &sub->provenance, server);
        put_run_details(w, &sub->provenance, server);
        json_object_end(w);
    }
}

/* *out_octets: of the predicate. */
static struct error *put(struct buf *out, const struct intoto_submission *sub,
                         const struct intoto_server_fields *server, size_t *out_octets) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "_type");
    json_put_cstr(&w, INTOTO_STATEMENT_V1);
    json_key(&w, "predicate");
    size_t before = out->len;
    put_predicate(&w, sub, server);
    *out_octets = out->len - before;
    json_key(&w, "predicateType");
    json_put_string(&w, bytes_of_text(intoto_predicate_type(sub)));
    put_subjects(&w, sub, server);
    json_object_end(&w);
    return buf_finish(out, "statement");
}

struct error *intoto_put_caller_jcs(struct buf *out, const struct intoto_submission *sub,
                                    size_t predicate_max) {
    const char *field = sub->kind == INTOTO_PREDICATE_PROVENANCE ? "provenance" : "json";
    size_t octets = 0;
    TRY(put(out, sub, NULL, &octets));
    if (sub->kind != INTOTO_PREDICATE_OCTETS && octets > predicate_max)
        return error_field_new(field, "%s: larger than %zu octets of JSON", field, predicate_max);
    return NULL;
}

struct error *intoto_put_statement(struct buf *out, const struct intoto_submission *sub,
                                   const struct intoto_server_fields *server) {
    size_t octets = 0;
    return put(out, sub, server, &octets);
}
