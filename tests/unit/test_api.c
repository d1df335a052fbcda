#include "api_world.h"
#include "codec/codec.h"

static struct world w;

static void setup(void) {
    w = (struct world){.open = API_OPEN_ALL, .ready = true};
    world_open(&w);
}
static void teardown(void) { world_close(&w); }

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ATTEST "/attestd.v1.Attestations/Attest"
#define BATCH "/attestd.v1.Attestations/AttestBatch"
#define GET "/attestd.v1.Attestations/Get"
#define LIST "/attestd.v1.Attestations/List"
#define DECIDE "/attestd.v1.Gate/Decide"
#define DECIDE_BATCH "/attestd.v1.Gate/DecideBatch"
#define TRACE "/attestd.v1.Lineage/Trace"

static const char provenance[] =
    "{\"subject\":[{\"name\":\"app\",\"digest\":{\"sha256\":\"" SHA_A
    "\"},"
    "\"annotations\":{\"n\":1,\"s\":\"\",\"l\":[true,null,{\"x\":-0.5}]}}],"
    "\"provenance\":{\"buildType\":\"https://b.test/1\",\"externalParameters\":{\"ref\":\"main\"},"
    "\"resolvedDependencies\":[{\"uri\":\"git+https://g.test/r\",\"name\":\"src\","
    "\"digest\":{\"sha256\":\"" SHA_B
    "\"}}],\"invocationId\":\"run-1\","
    "\"startedOn\":\"2025-12-31T23:59:00Z\",\"finishedOn\":\"2025-12-31T23:59:30.25Z\"}}";

static const char other[] = "{\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A
                            "\"}}],"
                            "\"predicateType\":\"https://t.test/v1\",\"json\":{\"a\":[1,\"x\"]}}";

/* --- the table */

START_TEST(test_the_table_is_what_the_protos_say) {
    struct rpc_options options = {0};
    size_t count = 0;
    api_rpc_options(w.api, &options);
    const struct msg_method *methods = msg_methods(w.schema, &count);
    ck_assert_uint_eq(options.method_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct rpc_method *found = NULL;
        for (size_t k = 0; k < options.method_count; k++) {
            struct bytes path = bytes_of_cstr(options.methods[k].path);
            if (bytes_equal(path, bytes_of_text(methods[i].path))) found = &options.methods[k];
        }
        ck_assert_msg(found != NULL, "%s is not served", methods[i].path.data);
        ck_assert(found->server_streaming == methods[i].server_streaming);
        ck_assert(found->client_streaming == methods[i].client_streaming);
    }
}
END_TEST

/* --- attest, get, list */

START_TEST(test_provenance_comes_back_as_it_was_submitted) {
    const char *answer = ask(&w, ATTEST, provenance);
    ck_assert_str_eq(at(&w, answer, "index"), "0");
    ck_assert_str_eq(at(&w, answer, "treeSize"), "1");
    const char *receipt = at(&w, answer, "receipt");
    ck_assert_str_eq(at(&w, receipt, "mediaType"), "application/vnd.dev.sigstore.bundle.v0.3+json");

    struct bytes payload;
    const char *base64 = at(&w, receipt, "dsseEnvelope.payload");
    ok(base64_decode(&w.arena, bytes_of_cstr(base64), BASE64_STANDARD, &payload));
    const char *statement = (const char *)arena_copy(&w.arena, payload).data;
    ck_assert_str_eq(at(&w, statement, "predicateType"), INTOTO_PROVENANCE_V1);
    ck_assert_str_eq(at(&w, statement, "predicate.buildDefinition.buildType"), "https://b.test/1");
    ck_assert_str_eq(at(&w, statement, "predicate.buildDefinition.externalParameters.ref"), "main");
    ck_assert_str_eq(at(&w, statement, "predicate.buildDefinition.resolvedDependencies.0.uri"),
                     "git+https://g.test/r");
    ck_assert_str_eq(at(&w, statement, "predicate.runDetails.metadata.invocationId"), "run-1");
    ck_assert_str_eq(at(&w, statement, "predicate.runDetails.metadata.finishedOn"),
                     "2025-12-31T23:59:30.250Z");
    ck_assert_str_eq(at(&w, statement, "subject.0.annotations.attestd_submitter.principal"),
                     "token:all");

    const char *got = ask(&w, GET, "{\"index\":\"0\"}");
    ck_assert_str_eq(at(&w, got, "attestation.receipt"), receipt);
    ck_assert_str_eq(at(&w, got, "attestation.signer"), "token:all");
    ck_assert_str_eq(at(&w, got, "attestation.loggedAt"), "2026-01-01T00:00:00Z");
    ck_assert_str_eq(at(&w, got, "attestation.subject.0.name"), "app");
    ck_assert_str_eq(at(&w, got, "attestation.subject.0.digest.sha256"), SHA_A);
    struct json_value root = parsed(&w, got);
    const struct json_value *s = json_at(&root, BYTES_LIT("attestation.subject.0.annotations.s"));
    ck_assert(s != NULL && s->type == JSON_STRING && s->string.len == 0);
    const struct json_value *x =
        json_at(&root, BYTES_LIT("attestation.subject.0.annotations.l.2.x"));
    ck_assert(x != NULL && x->type == JSON_DOUBLE && x->number == -0.5);
}
END_TEST

START_TEST(test_a_repeat_is_the_first_entry) {
    const char *first = ask(&w, ATTEST, other);
    const char *again = ask(&w, ATTEST, other);
    ck_assert_str_eq(at(&w, first, "receipt"), at(&w, again, "receipt"));
    ck_assert_ptr_nonnull(strstr(again, "\"existing\":true"));
    ck_assert_ptr_nonnull(strstr(first, "\"existing\":false"));
}
END_TEST

/* On a worker: what is logged, what repeats it, and what is refused. */
START_TEST(test_a_large_submission_is_answered_as_a_small_one) {
    struct buf json;
    struct buf base64;
    struct buf document;
    buf_init(&json, 1 << 20);
    buf_init(&base64, 1 << 20);
    buf_init(&document, 1 << 20);
    buf_put_cstr(&document, "{\"a\":\"");
    for (int i = 0; i < 100000; i++) buf_put_u8(&document, 'x');
    buf_put_cstr(&document, "\"}");
    base64_put(&base64, buf_bytes(&document));
    buf_printf(&json,
               "{\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A
               "\"}}],\"predicateType\":\"https://example.com/t\",\"jsonBytes\":\"%.*s\"}",
               (int)base64.len, (const char *)base64.data);
    buf_put_u8(&json, 0);
    const char *first = ask(&w, ATTEST, (const char *)json.data);
    const char *again = ask(&w, ATTEST, (const char *)json.data);
    ck_assert_str_eq(at(&w, first, "index"), at(&w, again, "index"));
    ck_assert_str_eq(at(&w, first, "receipt"), at(&w, again, "receipt"));
    ck_assert_ptr_nonnull(strstr(again, "\"existing\":true"));
    char *type = strstr((char *)json.data, "https://");
    memcpy(type, "HTTPS,//", 8); /* no URI any more */
    (void)refused(&w, ATTEST, (const char *)json.data, ERROR_INVALID_ARGUMENT,
                  REASON_INVALID_FIELD);
    buf_done(&json);
    buf_done(&base64);
    buf_done(&document);
}
END_TEST

START_TEST(test_get_by_leaf_hash_and_list) {
    const char *first = ask(&w, ATTEST, other);
    (void)ask(&w, ATTEST, provenance);
    char query[256];
    (void)snprintf(query, sizeof query, "{\"leafHash\":\"%s\"}", at(&w, first, "leafHash"));
    ck_assert_str_eq(at(&w, ask(&w, GET, query), "attestation.predicateType"), "https://t.test/v1");

    const char *all = ask(&w, LIST, "{\"digest\":\"sha256:" SHA_A "\"}");
    ck_assert_uint_eq(length_at(&w, all, "attestations"), 2);
    ck_assert_str_eq(at(&w, all, "treeSize"), "2");
    ck_assert_str_eq(at(&w, all, "attestations.0.receipt"), "");
    ck_assert_ptr_nonnull(strstr(at(&w, all, "checkpoint"), RIG_ORIGIN "\n2\n"));

    const char *one = ask(&w, LIST,
                          "{\"digest\":\"sha256:" SHA_A
                          "\",\"predicateType\":"
                          "\"https://t.test/v1\",\"includeReceipts\":true}");
    ck_assert_uint_eq(length_at(&w, one, "attestations"), 1);
    ck_assert_str_eq(at(&w, one, "attestations.0.receipt"), at(&w, first, "receipt"));

    const char *page = ask(&w, LIST, "{\"digest\":\"sha256:" SHA_A "\",\"pageSize\":1}");
    ck_assert_uint_eq(length_at(&w, page, "attestations"), 1);
    (void)snprintf(query, sizeof query,
                   "{\"digest\":\"sha256:" SHA_A "\",\"pageSize\":1,\"pageToken\":\"%s\"}",
                   at(&w, page, "nextPageToken"));
    const char *next = ask(&w, LIST, query);
    ck_assert_uint_eq(length_at(&w, next, "attestations"), 1);
    ck_assert_str_ne(at(&w, page, "attestations.0.index"), at(&w, next, "attestations.0.index"));
}
END_TEST

/* --- what is refused, and how it is told */

static const struct {
    const char *path;
    const char *json;
    const char *field;
} invalid[] = {
    {ATTEST, "{}", ""},
    {ATTEST, "{\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A "\"}}]}", ""},
    {ATTEST,
     "{\"subject\":[{\"digest\":{\"sha256\":\"AB\"}}],\"json\":{},\"predicateType\":\"https://t\"}",
     "subject[0].digest"},
    {GET, "{}", "key"},
    {GET, "{\"leafHash\":\"AA==\"}", "leaf_hash"},
    {DECIDE, "{}", "subject"},
    {BATCH, "{}", "requests"},
    {DECIDE_BATCH, "{}", "requests"},
    {TRACE, "{\"digest\":\"sha256:" SHA_A "\"}", "direction"},
    {TRACE, "{\"digest\":\"sha256:" SHA_A "\",\"direction\":77}", "direction"},
    {"/attestd.v1.Admin/CreateToken", "{\"name\":\"x\",\"scopes\":[\"read\",\"root\"]}", "scopes"},
    {"/attestd.v1.Admin/CreateToken",
     "{\"name\":\"x\",\"scopes\":[\"read\"],\"expiresAt\":\"1969-12-31T00:00:00Z\"}", "expires_at"},
};

START_TEST(test_invalid_fields_are_named) {
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        struct rpc_client_result r = refused(&w, invalid[i].path, invalid[i].json,
                                             ERROR_INVALID_ARGUMENT, REASON_INVALID_FIELD);
        if (invalid[i].field[0] != '\0') {
            ck_assert_msg(strncmp(r.field, invalid[i].field, strlen(invalid[i].field)) == 0,
                          "%s: field %s", invalid[i].json, r.field);
        }
        ck_assert_str_ne(r.request_id, "");
    }
}
END_TEST

START_TEST(test_other_refusals_carry_their_reason) {
    refused(&w, ATTEST,
            "{\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A
            "\"}}],\"json\":{},"
            "\"predicateType\":\"https://slsa.dev/provenance/v1\"}",
            ERROR_INVALID_ARGUMENT, REASON_PREDICATE_TYPE_RESERVED);
    refused(&w, GET, "{\"index\":\"99\"}", ERROR_NOT_FOUND, REASON_ENTRY_NOT_FOUND);
    refused(&w, LIST, "{\"asOfTreeSize\":\"99\"}", ERROR_OUT_OF_RANGE, REASON_TREE_SIZE_IN_FUTURE);
    refused(&w, LIST, "{\"pageToken\":\"zzz\"}", ERROR_INVALID_ARGUMENT, REASON_PAGE_TOKEN_INVALID);
    refused(&w, "/attestd.v1.Admin/ListTokens", "{\"pageToken\":\"zzz\"}", ERROR_INVALID_ARGUMENT,
            REASON_PAGE_TOKEN_INVALID);
    refused(&w, "/attestd.v1.Admin/RevokeToken", "{\"id\":\"zzz\"}", ERROR_NOT_FOUND,
            REASON_TOKEN_NOT_FOUND);
    refused(&w, "/attestd.v1.Admin/CreateToken", "{\"name\":\"all\",\"scopes\":[\"read\"]}",
            ERROR_ALREADY_EXISTS, REASON_TOKEN_NAME_TAKEN);
}
END_TEST

START_TEST(test_malformed_messages_are_refused_before_anything_else) {
    static const struct {
        const char *name;
        struct bytes wire;
    } malformed[] = {
        {"cut short", BYTES_LIT("\x0a\x05")},
        {"NUL in a string", BYTES_LIT("\x2a\x03"
                                      "a\0b")},
        {"bad UTF-8", BYTES_LIT("\x2a\x01\xff")},
        {"a digest twice", BYTES_LIT("\x0a\x0a\x1a\x03\x0a\x01\x61\x1a\x03\x0a\x01\x61")},
        {"group", BYTES_LIT("\x7b\x7c")},
    };
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct bytes out;
        struct rpc_client_result r = call_raw(&w, w.token.text, ATTEST, malformed[i].wire, &out);
        ck_assert_msg(r.code == ERROR_INVALID_ARGUMENT, "%s: %d", malformed[i].name, r.code);
        ck_assert_str_eq(r.reason, "MALFORMED_MESSAGE");
    }
}
END_TEST

START_TEST(test_values_that_json_cannot_say_are_refused) {
    static const struct bytes structs[] = {
        BYTES_LIT("\x0a\x05\x0a\x01"
                  "a\x12\x00"), /* no kind */
        BYTES_LIT("\x0a\x0e\x0a\x01"
                  "a\x12\x09\x11\0\0\0\0\0\0\xf8\x7f"), /* NaN */
        BYTES_LIT("\x0a\x12\x0a\x01"
                  "a\x12\x0d\x32\x0b\x0a\x09\x11\0\0\0\0\0\0\xf0\xff"), /* -Infinity in a list */
        BYTES_LIT("\x0a\x03\x0a\x01"
                  "a"), /* no value */
    };
    for (size_t i = 0; i < sizeof structs / sizeof *structs; i++) {
        struct buf wire;
        buf_init_arena(&wire, &w.arena, 4096);
        buf_put(&wire, BYTES_LIT("\x0a\x4c\x1a\x4a\x0a\x06sha256\x12\x40" SHA_A));
        buf_put(&wire, BYTES_LIT("\x2a\x09https://t\x1a"));
        buf_put_u8(&wire, (uint8_t)structs[i].len);
        buf_put(&wire, structs[i]);
        struct bytes out;
        struct rpc_client_result r = call_raw(&w, w.token.text, ATTEST, buf_bytes(&wire), &out);
        ck_assert_msg(r.code == ERROR_INVALID_ARGUMENT, "%zu: %d %s", i, r.code, r.message);
        ck_assert_str_eq(r.reason, "INVALID_FIELD");
        ck_assert_str_eq(r.field, "json");
    }
}
END_TEST

START_TEST(test_times_out_of_range_are_refused) {
    /* provenance.started_on.seconds = 2^40 */
    struct buf wire;
    buf_init_arena(&wire, &w.arena, 4096);
    buf_put(&wire, BYTES_LIT("\x0a\x4c\x1a\x4a\x0a\x06sha256\x12\x40" SHA_A));
    buf_put(&wire, BYTES_LIT("\x12\x0e\x0a\x03"
                             "x:y\x3a\x07\x08\x80\x80\x80\x80\x80\x20"));
    struct bytes out;
    struct rpc_client_result r = call_raw(&w, w.token.text, ATTEST, buf_bytes(&wire), &out);
    ck_assert_int_eq(r.code, ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(r.field, "provenance.started_on");
    /* CreateToken.expires_at.seconds = 2^40 */
    r = call_raw(&w, w.token.text, "/attestd.v1.Admin/CreateToken",
                 BYTES_LIT("\x0a\x01x\x12\x04read\x32\x07\x08\x80\x80\x80\x80\x80\x20"), &out);
    ck_assert_int_eq(r.code, ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(r.field, "expires_at");
}
END_TEST

START_TEST(test_what_the_gate_is_asked_about_can_be_said_too) {
    /* subject.annotations {"a": NaN} */
    struct buf wire;
    buf_init_arena(&wire, &w.arena, 4096);
    buf_put(&wire, BYTES_LIT("\x0a\x5e\x1a\x4a\x0a\x06sha256\x12\x40" SHA_A));
    buf_put(&wire, BYTES_LIT("\x3a\x10\x0a\x0e\x0a\x01"
                             "a\x12\x09\x11\0\0\0\0\0\0\xf8\x7f"));
    struct bytes out;
    struct rpc_client_result r = call_raw(&w, w.token.text, DECIDE, buf_bytes(&wire), &out);
    ck_assert_int_eq(r.code, ERROR_INVALID_ARGUMENT);
    ck_assert_str_eq(r.field, "subject.annotations");
}
END_TEST

/* --- who may */

static const struct {
    const char *path;
    unsigned scope; /* that it needs; 0: open */
} methods[] = {
    {ATTEST, SCOPE_ATTEST},
    {BATCH, SCOPE_ATTEST},
    {GET, SCOPE_READ},
    {LIST, SCOPE_READ},
    {TRACE, SCOPE_READ},
    {DECIDE, SCOPE_GATE},
    {DECIDE_BATCH, SCOPE_GATE},
    {"/attestd.v1.Attestations/Watch", SCOPE_READ},
    {"/attestd.v1.Log/GetInclusionProof", SCOPE_READ},
    {"/attestd.v1.Log/GetConsistencyProof", SCOPE_READ},
    {"/attestd.v1.Log/GetCheckpoint", SCOPE_READ},
    {"/attestd.v1.Log/GetEntries", SCOPE_READ},
    {"/attestd.v1.Admin/CreateToken", SCOPE_ADMIN},
    {"/attestd.v1.Admin/ListTokens", SCOPE_ADMIN},
    {"/attestd.v1.Admin/RevokeToken", SCOPE_ADMIN},
    {"/attestd.v1.Admin/Backup", SCOPE_ADMIN},
    {"/attestd.v1.Trust/GetTrust", 0},
    {"/grpc.health.v1.Health/Check", 0},
};

START_TEST(test_every_method_asks_for_its_scope_and_no_other) {
    static const enum scope scopes[] = {SCOPE_ATTEST, SCOPE_READ, SCOPE_GATE, SCOPE_ADMIN};
    for (size_t s = 0; s < 4; s++) {
        struct token_text token;
        (void)world_token(&w, scope_name(scopes[s]), scopes[s], &token);
        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
            if (methods[i].scope == 0 || methods[i].scope == (unsigned)scopes[s]) continue;
            struct rpc_client_result r = call(&w, token.text, methods[i].path, "{}", NULL);
            ck_assert_msg(r.code == ERROR_PERMISSION_DENIED, "%s with %s: %d", methods[i].path,
                          scope_name(scopes[s]), r.code);
            ck_assert_str_eq(r.reason, "SCOPE_MISSING");
        }
    }
}
END_TEST

START_TEST(test_strangers_reach_only_what_is_open) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct rpc_client_result r = call(&w, NULL, methods[i].path, "{}", NULL);
        if (methods[i].scope == 0) {
            ck_assert_msg(r.code == 0, "%s: %d %s", methods[i].path, r.code, r.message);
            continue;
        }
        ck_assert_msg(r.code == ERROR_UNAUTHENTICATED, "%s: %d", methods[i].path, r.code);
        ck_assert_str_eq(r.reason, "CREDENTIALS_MISSING");
    }
}
END_TEST

START_TEST(test_wrong_tokens_are_refused_alike) {
    struct token_text revoked;
    const struct principal *p = world_token(&w, "gone", SCOPES_ALL, &revoked);
    ok(tokens_revoke(w.tokens, TEXT_LIT("test"), p->token_id));
    char flipped[sizeof w.token.text];
    memcpy(flipped, w.token.text, sizeof flipped);
    flipped[TOKEN_TEXT_LEN - 1] = flipped[TOKEN_TEXT_LEN - 1] == '0' ? '1' : '0';
    const char *const tokens[] = {"x", revoked.text, flipped, "attestd_0123456789abcdef_00"};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        struct rpc_client_result r = call(&w, tokens[i], GET, "{}", NULL);
        ck_assert_int_eq(r.code, ERROR_UNAUTHENTICATED);
        ck_assert_str_eq(r.reason, "CREDENTIALS_INVALID");
    }
}
END_TEST

/* SPEC rfc9110 11.1: "uses a case-insensitive token to identify the authentication scheme" */
START_TEST(test_the_scheme_is_bearer_in_any_case) {
    char good[256], spaced[256], basic[256], digest[256];
    (void)snprintf(good, sizeof good, "bEARER %s", w.token.text);
    (void)snprintf(spaced, sizeof spaced, "Bearer   %s", w.token.text);
    (void)snprintf(basic, sizeof basic, "Basic %s", w.token.text);
    (void)snprintf(digest, sizeof digest, "Digest %s", w.token.text);
    const char *const headers[] = {good, spaced, basic, "Bearer", digest};
    static const int status[] = {404, 404, 401, 401, 401}; /* ENTRY_NOT_FOUND: it was let in */
    for (size_t i = 0; i < sizeof status / sizeof *status; i++) {
        const struct http_field fields[] = {
            HTTP_FIELD("authorization", bytes_of_cstr(headers[i])),
            HTTP_FIELD("content-type", BYTES_LIT("application/json"))};
        const struct http_client_request request = {.method = "POST",
                                                    .path = GET,
                                                    .fields = fields,
                                                    .field_count = 2,
                                                    .body = BYTES_LIT("{\"index\":99}")};
        struct fetched f;
        fetch_request(&w, w.port, &request, &f);
        ck_assert_msg(f.status == status[i], "%s: %d", headers[i], f.status);
        buf_done(&f.body);
    }
}
END_TEST

/* --- Connect */

START_TEST(test_connect_speaks_canonical_json) {
    struct fetched f;
    const char *answer = post_json(&w, ATTEST, w.token.text, other, &f);
    ck_assert_int_eq(f.status, 200);
    ck_assert_str_eq(f.content_type, "application/json");
    ck_assert_str_eq(at(&w, answer, "index"), "0");
    answer = post_json(&w, "/attestd.v1.Log/GetCheckpoint", w.token.text, "{}", &f);
    ck_assert_str_eq(at(&w, answer, "treeSize"), "1");
    ck_assert_uint_eq(strlen(at(&w, answer, "rootHash")), 44);
    answer = post_json(&w, GET, w.token.text, "{\"indeks\":1}", &f);
    ck_assert_int_eq(f.status, 400);
    ck_assert_str_eq(at(&w, answer, "code"), "invalid_argument");
    ck_assert_str_eq(at(&w, answer, "details.0.type"), "google.rpc.ErrorInfo");
    ck_assert_ptr_nonnull(strstr(answer, "indeks"));
}
END_TEST

/* --- batches */

/* batch_of makes `n` requests; every third lacks its subject. */
static const char *batch_of(size_t n) {
    struct buf b;
    buf_init_arena(&b, &w.arena, (size_t)4 << 20);
    buf_put_cstr(&b, "{\"requests\":[");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "%s{\"predicateType\":\"https://t.test/v1\",\"json\":{\"i\":%zu}",
                   i == 0 ? "" : ",", i);
        if (i % 3 != 2) buf_put_cstr(&b, ",\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A "\"}}]");
        buf_put_cstr(&b, "}");
    }
    buf_put_cstr(&b, "]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "batch"));
    return (const char *)b.data;
}

START_TEST(test_each_item_of_a_batch_has_its_own_result) {
    static const size_t sizes[] = {1, 2, 16, 17, 300, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        const char *answer = ask(&w, BATCH, batch_of(n));
        ck_assert_uint_eq(length_at(&w, answer, "results"), n);
        struct json_value root = parsed(&w, answer);
        const struct json_value *results = json_get(&root, "results");
        for (size_t i = 0; i < n; i++) {
            const struct json_value *response = json_get(&results->array.items[i], "response");
            const struct json_value *error = json_get(&results->array.items[i], "error");
            ck_assert((response != NULL) == (i % 3 != 2));
            ck_assert((error != NULL) == (i % 3 == 2));
            if (error == NULL) continue;
            const struct json_value *reason = json_at(error, BYTES_LIT("details.0.reason"));
            ck_assert(bytes_equal(json_string(reason), BYTES_LIT("INVALID_FIELD")));
        }
    }
    /* Results stand in the order of the requests: Get of an item's index has its predicate. */
    const char *again = ask(&w, BATCH, batch_of(1000));
    char path[64], query[64];
    (void)snprintf(path, sizeof path, "results.%d.response.index", 997);
    (void)snprintf(query, sizeof query, "{\"index\":\"%s\"}", at(&w, again, path));
    const char *receipt = at(&w, ask(&w, GET, query), "attestation.receipt");
    struct bytes payload;
    const char *base64 = at(&w, receipt, "dsseEnvelope.payload");
    ok(base64_decode(&w.arena, bytes_of_cstr(base64), BASE64_STANDARD, &payload));
    const char *statement = (const char *)arena_copy(&w.arena, payload).data;
    ck_assert_ptr_nonnull(strstr(statement, "{\"i\":997}"));
}
END_TEST

START_TEST(test_a_batch_is_bounded) {
    struct rpc_client_result r =
        refused(&w, BATCH, batch_of(1001), ERROR_INVALID_ARGUMENT, REASON_INVALID_FIELD);
    ck_assert_str_eq(r.field, "requests");
}
END_TEST

START_TEST(test_a_batch_whose_caller_goes_away_ends_quietly) {
    struct bytes wire = wire_of(&w, "attestd.v1.AttestBatchRequest", batch_of(600));
    for (int i = 0; i < 5; i++) {
        struct rpc_client_result r;
        struct bytes out;
        struct rpc_client *c = world_client(&w, w.token.text);
        const struct rpc_client_request request = {.path = BATCH, .message = wire, .timeout_ms = 5};
        ok(rpc_client_unary(c, &w.arena, &request, &out, &r));
        rpc_client_free(c);
    }
    ck_assert_uint_eq(length_at(&w, ask(&w, BATCH, batch_of(600)), "results"), 600);
}
END_TEST

/* --- the gate */

static void load_policy(void) {
    static const char yaml[] =
        "apiVersion: attestd/v1\n"
        "kind: Policy\n"
        "name: built\n"
        "mode: enforce\n"
        "require:\n"
        "  - name: provenance\n"
        "    predicateType: https://slsa.dev/provenance/v1\n"
        "    signers: [\"token:*\"]\n"
        "guidance: \"build it\"\n";
    const struct policy_file file = {TEXT_LIT("built.yaml"), bytes_of_cstr(yaml)};
    struct policy_set *set = NULL;
    ok(policy_set_load(&file, 1, &set));
    ok(service_set_policies(w.service, set));
}

static const char question_a[] = "{\"subject\":{\"name\":\"app\",\"digest\":{\"sha256\":\"" SHA_A
                                 "\"}},\"environment\":\"prod\",\"attributes\":{\"who\":\"me\"}}";
static const char question_b[] = "{\"subject\":{\"name\":\"app\",\"digest\":{\"sha256\":\"" SHA_B
                                 "\"}},\"environment\":\"prod\",\"dryRun\":true}";

START_TEST(test_decisions_say_what_was_found) {
    load_policy();
    (void)ask(&w, ATTEST, provenance);
    const char *yes = ask(&w, DECIDE, question_a);
    ck_assert_str_eq(at(&w, yes, "decision"), "ALLOW");
    ck_assert_str_eq(at(&w, yes, "rules.0.result"), "PASS");
    ck_assert_str_eq(at(&w, yes, "rules.0.evidence.0"), "0");
    ck_assert_str_eq(at(&w, yes, "index"), "1");
    ck_assert_str_ne(at(&w, yes, "receipt"), "");
    ck_assert_str_eq(at(&w, yes, "evaluatedAt"), "2026-01-01T00:00:00Z");
    const char *no = ask(&w, DECIDE, question_b);
    ck_assert_str_eq(at(&w, no, "decision"), "DENY");
    ck_assert_str_eq(at(&w, no, "rules.0.result"), "FAIL");
    ck_assert_str_eq(at(&w, no, "guidance"), "build it");
    ck_assert_str_eq(at(&w, no, "receipt"), "");
    ck_assert_str_eq(at(&w, no, "index"), "0");
}
END_TEST

static const char *questions(size_t n) {
    struct buf b;
    buf_init_arena(&b, &w.arena, (size_t)1 << 20);
    buf_put_cstr(&b, "{\"requests\":[");
    for (size_t i = 0; i < n; i++) {
        const char *const items[] = {question_a, question_b, "{}"};
        buf_printf(&b, "%s%s", i == 0 ? "" : ",", items[i % 3]);
    }
    buf_put_cstr(&b, "]}");
    buf_put_u8(&b, 0);
    ok(buf_finish(&b, "questions"));
    return (const char *)b.data;
}

START_TEST(test_a_batch_of_decisions) {
    load_policy();
    (void)ask(&w, ATTEST, provenance);
    const char *answer = ask(&w, DECIDE_BATCH, questions(200));
    ck_assert_uint_eq(length_at(&w, answer, "results"), 200);
    ck_assert_str_eq(at(&w, answer, "results.198.response.decision"), "ALLOW");
    ck_assert_str_eq(at(&w, answer, "results.199.response.decision"), "DENY");
    ck_assert_str_eq(at(&w, answer, "results.197.error.details.0.reason"), "INVALID_FIELD");
}
END_TEST

static void *decide_many(void *wire) {
    struct arena own;
    struct bytes out;
    struct rpc_client_result r;
    arena_init(&own, MEMORY_MAX);
    struct rpc_client *c = world_client(&w, w.token.text);
    const struct rpc_client_request request = {.path = DECIDE_BATCH,
                                               .message = *(struct bytes *)wire};
    ok(rpc_client_unary(c, &own, &request, &out, &r));
    struct ProtobufCMessage *m = NULL;
    struct bytes json;
    const struct ProtobufCMessageDescriptor *t =
        msg_type_by_name(w.schema, BYTES_LIT("attestd.v1.DecideBatchResponse"));
    ck_assert_int_eq(r.code, 0);
    ok(msg_unpack(w.schema, &own, t, out, &MSG_LIMITS_DEFAULT, &m));
    ok(msg_to_json(w.schema, &own, m, &json));
    const char *text = (const char *)arena_copy(&own, json).data;
    ck_assert_ptr_null(strstr(text, "QUEUE_FULL"));
    rpc_client_free(c);
    arena_done(&own);
    return NULL;
}

START_TEST(test_batches_leave_room_in_the_queue_for_each_other) {
    load_policy();
    for (size_t i = 0; i < 64; i++) { /* so much evidence that workers look at it */
        char json[512];
        (void)snprintf(json, sizeof json,
                       "{\"subject\":[{\"digest\":{\"sha256\":\"" SHA_A
                       "\"}}],"
                       "\"provenance\":{\"buildType\":\"https://b.test/1\","
                       "\"externalParameters\":{\"n\":%zu}}}",
                       i);
        (void)ask(&w, ATTEST, json);
    }
    struct bytes wire = wire_of(&w, "attestd.v1.DecideBatchRequest", questions(1000));
    hold_workers(&w);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, decide_many, &wire), 0);
    /* Meanwhile they begin what they may: more turns than all of it would take. */
    for (size_t i = 0; i < 300; i++) (void)ask(&w, "/grpc.health.v1.Health/Check", "{}");
    let_go();
    for (size_t i = 0; i < 4; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

/* --- lineage, log, trust, admin */

START_TEST(test_trace_goes_both_ways) {
    (void)ask(&w, ATTEST, provenance);
    const char *up = ask(&w, TRACE, "{\"digest\":\"sha256:" SHA_A "\",\"direction\":\"UP\"}");
    ck_assert_uint_eq(length_at(&w, up, "nodes"), 2);
    ck_assert_str_eq(at(&w, up, "nodes.0.kind"), "artifact");
    ck_assert_str_eq(at(&w, up, "nodes.1.kind"), "material");
    ck_assert_str_eq(at(&w, up, "edges.0.kind"), "built-from");
    ck_assert_str_eq(at(&w, up, "edges.0.assurance"), "declared");
    ck_assert_str_eq(at(&w, up, "edges.0.toDigest"), "sha256:" SHA_B);
    const char *down = ask(&w, TRACE, "{\"digest\":\"sha256:" SHA_B "\",\"direction\":\"DOWN\"}");
    ck_assert_str_eq(at(&w, down, "nodes.1.digest"), "sha256:" SHA_A);
    refused(&w, TRACE, "{\"digest\":\"sha256:" SHA_A "\",\"direction\":\"UP\",\"kinds\":[\"x\"]}",
            ERROR_INVALID_ARGUMENT, REASON_INVALID_FIELD);
}
END_TEST

START_TEST(test_the_log_proves_itself) {
    const char *first = ask(&w, ATTEST, other);
    (void)ask(&w, ATTEST, provenance);
    const char *cp = ask(&w, "/attestd.v1.Log/GetCheckpoint", "{}");
    ck_assert_str_eq(at(&w, cp, "treeSize"), "2");
    ck_assert_ptr_nonnull(strstr(at(&w, cp, "checkpointV1"), RIG_ORIGIN " - 42\n2\n"));
    const char *proof = ask(&w, "/attestd.v1.Log/GetInclusionProof", "{\"index\":0}");
    ck_assert_str_eq(at(&w, proof, "leafHash"), at(&w, first, "leafHash"));
    ck_assert_uint_eq(length_at(&w, proof, "hashes"), 1);
    const char *c = ask(&w, "/attestd.v1.Log/GetConsistencyProof", "{\"oldSize\":1,\"newSize\":2}");
    ck_assert_uint_eq(length_at(&w, c, "hashes"), 1);
    const char *entries = ask(&w, "/attestd.v1.Log/GetEntries", "{\"start\":0,\"end\":2}");
    ck_assert_uint_eq(length_at(&w, entries, "entries"), 2);
    struct bytes leaf;
    const char *base64 = at(&w, entries, "entries.0.leaf");
    ok(base64_decode(&w.arena, bytes_of_cstr(base64), BASE64_STANDARD, &leaf));
    struct sha256 hash = merkle_leaf_hash(leaf);
    struct bytes told;
    base64 = at(&w, first, "leafHash");
    ok(base64_decode(&w.arena, bytes_of_cstr(base64), BASE64_STANDARD, &told));
    ck_assert(bytes_equal(told, (struct bytes){hash.octets, 32}));
}
END_TEST

START_TEST(test_tokens_are_made_listed_and_revoked) {
    const char *made = ask(&w, "/attestd.v1.Admin/CreateToken",
                           "{\"name\":\"ci\",\"scopes\":[\"attest\",\"read\"],\"predicateTypes\":"
                           "[\"https://t.test/v1\"],\"expiresAt\":\"2026-02-01T00:00:00.5Z\"}");
    const char *secret = at(&w, made, "secret");
    ck_assert_int_eq(strncmp(secret, "attestd_", 8), 0);
    ck_assert_str_eq(at(&w, made, "token.expiresAt"), "2026-02-01T00:00:00.500Z");
    ck_assert_str_eq(at(&w, made, "token.scopes.1"), "read");
    ck_assert_int_eq(call(&w, secret, ATTEST, other, NULL).code, 0);
    ck_assert_str_eq(call(&w, secret, ATTEST, provenance, NULL).reason, "SCOPE_RESTRICTED");

    const char *list = ask(&w, "/attestd.v1.Admin/ListTokens", "{\"pageSize\":1}");
    ck_assert_uint_eq(length_at(&w, list, "tokens"), 1);
    char query[128];
    (void)snprintf(query, sizeof query, "{\"pageSize\":1,\"pageToken\":\"%s\"}",
                   at(&w, list, "nextPageToken"));
    const char *rest = ask(&w, "/attestd.v1.Admin/ListTokens", query);
    ck_assert_uint_eq(length_at(&w, rest, "tokens"), 1);
    ck_assert_str_eq(at(&w, rest, "nextPageToken"), "");
    ck_assert_ptr_null(strstr(list, secret));
    (void)snprintf(query, sizeof query, "{\"pageToken\":\"%s\"}", at(&w, list, "tokens.0.id"));
    refused(&w, "/attestd.v1.Admin/ListTokens", query, ERROR_INVALID_ARGUMENT,
            REASON_PAGE_TOKEN_INVALID); /* a page token is the server's to make */

    (void)snprintf(query, sizeof query, "{\"id\":\"%s\"}", at(&w, made, "token.id"));
    const char *gone = ask(&w, "/attestd.v1.Admin/RevokeToken", query);
    ck_assert_str_eq(at(&w, gone, "token.revokedAt"), "2026-01-01T00:00:00Z");
    ck_assert_int_eq(call(&w, secret, ATTEST, other, NULL).code, ERROR_UNAUTHENTICATED);
}
END_TEST

START_TEST(test_a_backup_tells_where_it_is) {
    const char *answer = ask(&w, "/attestd.v1.Admin/Backup", "{}");
    ck_assert_str_eq(at(&w, answer, "path"), "/backups/one");
    ck_assert_str_eq(at(&w, answer, "treeSize"), "7");
}
END_TEST

START_TEST(test_the_face_is_made_whole_or_not_at_all) {
    const struct api_options options = {.service = w.service, .tokens = w.tokens};
    for (long n = 0;; n++) {
        struct api *another = NULL;
        (void)alloc_fail_after(n);
        struct error *err = api_new(&options, &another);
        (void)alloc_fail_after(-1);
        if (err == NULL) {
            api_free(another);
            break;
        }
        ck_assert_ptr_null(another);
        fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_NONE);
    }
}
END_TEST

static Suite *api_suite(void) {
    Suite *s = suite_create("api");
    TCase *tc = tcase_create("api");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_the_table_is_what_the_protos_say);
    tcase_add_test(tc, test_the_face_is_made_whole_or_not_at_all);
    tcase_add_test(tc, test_provenance_comes_back_as_it_was_submitted);
    tcase_add_test(tc, test_a_repeat_is_the_first_entry);
    tcase_add_test(tc, test_a_large_submission_is_answered_as_a_small_one);
    tcase_add_test(tc, test_get_by_leaf_hash_and_list);
    tcase_add_test(tc, test_invalid_fields_are_named);
    tcase_add_test(tc, test_other_refusals_carry_their_reason);
    tcase_add_test(tc, test_malformed_messages_are_refused_before_anything_else);
    tcase_add_test(tc, test_values_that_json_cannot_say_are_refused);
    tcase_add_test(tc, test_times_out_of_range_are_refused);
    tcase_add_test(tc, test_what_the_gate_is_asked_about_can_be_said_too);
    tcase_add_test(tc, test_every_method_asks_for_its_scope_and_no_other);
    tcase_add_test(tc, test_strangers_reach_only_what_is_open);
    tcase_add_test(tc, test_wrong_tokens_are_refused_alike);
    tcase_add_test(tc, test_the_scheme_is_bearer_in_any_case);
    tcase_add_test(tc, test_connect_speaks_canonical_json);
    tcase_add_test(tc, test_each_item_of_a_batch_has_its_own_result);
    tcase_add_test(tc, test_a_batch_is_bounded);
    tcase_add_test(tc, test_a_batch_whose_caller_goes_away_ends_quietly);
    tcase_add_test(tc, test_decisions_say_what_was_found);
    tcase_add_test(tc, test_a_batch_of_decisions);
    tcase_add_test(tc, test_batches_leave_room_in_the_queue_for_each_other);
    tcase_add_test(tc, test_trace_goes_both_ways);
    tcase_add_test(tc, test_the_log_proves_itself);
    tcase_add_test(tc, test_tokens_are_made_listed_and_revoked);
    tcase_add_test(tc, test_a_backup_tells_where_it_is);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(api_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
