/* Suite of pkg/service: attesting. Reading: test_service_read.c; lineage: test_service_trace.c; the
 * gate: test_service_gate.c. */
#include "service_rig.h"

START_TEST(test_an_attestation_gives_a_receipt_that_verifies_offline) {
    struct rig rig;
    struct call c;
    struct bundle_verification v;
    rig_init(&rig);
    rig_open(&rig);
    call_init(&c, &ci);
    call_provenance(&c, 1, 2);
    ok(call_run(&rig, &c));
    ck_assert_uint_eq(c.out.index, 0);
    ck_assert_uint_eq(c.out.tree_size, 1);
    ck_assert(!c.out.existing);
    rig_verify(&rig, &c.arena, c.out.receipt, &v);
    ck_assert_uint_eq(v.index, 0);
    ck_assert_uint_eq(v.tree_size, 1);
    ck_assert_int_eq(v.purpose, TRUST_PURPOSE_ATTESTATION);
    ck_assert(sha256_equal(&v.root, &c.out.leaf_hash)); /* a tree of one */
    ck_assert(text_equal(v.statement.submitter_principal, ci.name));
    ck_assert(text_equal(v.statement.submitter_method, ci.method));
    ck_assert(text_equal(v.statement.builder_id, T(RIG_BUILDER)));
    const struct json_value *received = json_at(
        v.statement.predicate, BYTES_LIT("buildDefinition.internalParameters.attestd_receivedOn"));
    ck_assert(bytes_equal(json_string(received), BYTES_LIT("2026-01-01T00:00:00Z")));
    call_done(&c);
    rig_done(&rig);
}
END_TEST

START_TEST(test_documents_are_signed_as_sent) {
    struct rig rig;
    struct call c;
    struct bundle_verification v;
    rig_init(&rig);
    rig_open(&rig);
    call_init(&c, &ci);
    call_document(&c, 1, TYPE, "{ \"n\": 1.50 }");
    ok(call_run(&rig, &c));
    rig_verify(&rig, &c.arena, c.out.receipt, &v);
    ck_assert(text_equal(v.statement.predicate_type, T(TYPE)));
    struct bytes envelope;
    ok(bundle_get_envelope(&c.arena, c.out.receipt, &envelope));
    struct buf base64; /* of a part of the payload that begins on a boundary of three octets */
    buf_init(&base64, 256);
    base64_put(&base64,
               BYTES_LIT("{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{ \"n\": "
                         "1.50 }"));
    ck_assert_ptr_nonnull(memmem(envelope.data, envelope.len, base64.data, base64.len - 4));
    buf_done(&base64);
    call_done(&c);
    rig_done(&rig);
}
END_TEST

/* The limits of a document and of a call's memory go together, whatever the document holds: here
 * nothing but digits, whose tree is 13 times the text. */
START_TEST(test_the_largest_document_fits_into_a_calls_memory) {
    struct rig rig;
    struct call c;
    struct bundle_verification v;
    size_t size = SERVICE_LIMITS_DEFAULT.predicate_max;
    char *json = alloc_zero(1, size + 2);
    rig_init(&rig);
    rig_open(&rig);
    memset(json, ' ', size);
    memcpy(json, "{\"a\":[0", 7);
    for (size_t at = 7; at + 4 <= size; at += 2) memcpy(json + at, ",0", 2);
    memcpy(json + size - 2, "]}", 2);
    call_init(&c, &ci);
    arena_done(&c.arena);
    arena_init(&c.arena, (size_t)8 << 20);
    call_document(&c, 1, TYPE, json);
    ok(call_run(&rig, &c));
    struct arena whole;
    arena_init(&whole, (size_t)256 << 20);
    rig_verify(&rig, &whole, c.out.receipt, &v);
    arena_done(&whole);
    json[size - 1] = ' ';
    json[size] = '}';
    call_document(&c, 1, TYPE, json);
    fails_field(call_run(&rig, &c), "json_bytes");
    alloc_free(json);
    call_done(&c);
    rig_done(&rig);
}
END_TEST

/* --- repeats */

static void expect_same(const struct call *a, const struct call *b) {
    ck_assert(b->out.existing);
    ck_assert_uint_eq(a->out.index, b->out.index);
    ck_assert_uint_eq(a->out.tree_size, b->out.tree_size);
    ck_assert(sha256_equal(&a->out.leaf_hash, &b->out.leaf_hash));
    ck_assert(bytes_equal(a->out.receipt, b->out.receipt));
}

/* In whatever form a predicate comes: what it takes in the log counts. */
START_TEST(test_predicates_are_bounded_in_every_form) {
    static const char document[] = "{\"a\":\"\\u0001\\u0001\"}";
    static const char provenance[] =
        "{\"buildDefinition\":{\"buildType\":\"https://b.test/v1\","
        "\"externalParameters\":{}},\"runDetails\":{}}";
    static const struct json_member a = {
        {(const uint8_t *)"a", 1}, {.type = JSON_STRING, .string = {(const uint8_t *)"\1\1", 2}}};
    static const struct json_value tree = {.type = JSON_OBJECT, .object = {&a, 1}};
    for (int form = 0; form < 3; form++) {
        size_t octets = form == 2 ? sizeof provenance - 1 : sizeof document - 1;
        for (size_t less = 0; less <= 1; less++) {
            struct rig rig;
            struct call c;
            rig_init(&rig);
            rig.options.limits.predicate_max = octets - less;
            rig_open(&rig);
            call_init(&c, &ci);
            call_document(&c, 1, TYPE, document);
            if (form == 1) c.req.submission.kind = INTOTO_PREDICATE_TREE;
            if (form == 1) c.req.submission.tree = &tree;
            if (form == 2) call_provenance(&c, 1, 1);
            if (form == 2) c.req.submission.predicate_type = T("");
            static const char *const fields[] = {"json_bytes", "json", "provenance"};
            if (less == 0)
                ok(call_run(&rig, &c));
            else
                fails_field(call_run(&rig, &c), fields[form]);
            call_done(&c);
            rig_done(&rig);
        }
    }
}
END_TEST

START_TEST(test_the_same_submission_gives_the_same_receipt) {
    struct rig rig;
    struct call first, again, spaced, later, foreign;
    rig_init(&rig);
    rig_open(&rig);
    call_init(&first, &ci);
    call_document(&first, 1, TYPE, "{\"a\":1,\"b\":[]}");
    ok(call_run(&rig, &first));
    (void)rig_attest(&rig, 7, 8); /* the log moves on: the receipt does not */
    atomic_fetch_add(&rig.now_ms, 5000);

    call_init(&again, &ci);
    call_document(&again, 1, TYPE, "{\"a\":1,\"b\":[]}");
    ok(call_run(&rig, &again));
    expect_same(&first, &again);
    call_init(&spaced, &ci); /* white space and order are not content */
    call_document(&spaced, 1, TYPE, " {\"b\": [ ],\n\"a\":1.0}");
    ok(call_run(&rig, &spaced));
    expect_same(&first, &spaced);
    call_init(&foreign, &other); /* keys are scoped to the principal */
    call_document(&foreign, 1, TYPE, "{\"a\":1,\"b\":[]}");
    ok(call_run(&rig, &foreign));
    ck_assert(!foreign.out.existing);

    atomic_fetch_add(&rig.now_ms, DAY_MS - 5001);
    call_init(&later, &ci);
    call_document(&later, 1, TYPE, "{\"a\":1,\"b\":[]}");
    ok(call_run(&rig, &later));
    expect_same(&first, &later);
    call_done(&later);
    atomic_fetch_add(&rig.now_ms, 1001); /* integrated times are whole seconds */
    call_init(&later, &ci);              /* a rebuild a day later is fresh evidence */
    call_document(&later, 1, TYPE, "{\"a\":1,\"b\":[]}");
    ok(call_run(&rig, &later));
    ck_assert(!later.out.existing);
    ck_assert_uint_gt(later.out.index, first.out.index);

    call_done(&first);
    call_done(&again);
    call_done(&spaced);
    call_done(&later);
    call_done(&foreign);
    rig_done(&rig);
}
END_TEST

static void run_with_key(struct rig *rig, struct call *c, const struct principal *p, uint64_t n,
                         const char *key) {
    call_init(c, p);
    call_document(c, n, TYPE, "{}");
    c->req.idempotency_key = text_of_cstr(key);
    ok(call_run(rig, c));
}

START_TEST(test_a_given_key_holds_for_ever_and_for_its_content_alone) {
    struct rig rig;
    struct call first, again, refused, foreign, unkeyed;
    rig_init(&rig);
    rig_open(&rig);
    run_with_key(&rig, &first, &ci, 1, "build-1");
    atomic_fetch_add(&rig.now_ms, 400 * DAY_MS);
    run_with_key(&rig, &again, &ci, 1, "build-1");
    expect_same(&first, &again);
    run_with_key(&rig, &foreign, &other, 2, "build-1");
    ck_assert(!foreign.out.existing);
    call_init(&refused, &ci);
    call_document(&refused, 2, TYPE, "{}");
    refused.req.idempotency_key = T("build-1");
    fails(call_run(&rig, &refused), ERROR_FAILED_PRECONDITION, REASON_IDEMPOTENCY_KEY_REUSED);
    call_init(&unkeyed, &ci); /* given keys and default ones are apart */
    call_document(&unkeyed, 1, TYPE, "{}");
    ok(call_run(&rig, &unkeyed));
    ck_assert(!unkeyed.out.existing);
    call_done(&first);
    call_done(&again);
    call_done(&foreign);
    call_done(&refused);
    call_done(&unkeyed);
    rig_done(&rig);
}
END_TEST

START_TEST(test_idempotency_keys_are_bounded) {
    struct rig rig;
    struct call c;
    static char key[130];
    memset(key, 'k', 129);
    rig_init(&rig);
    rig_open(&rig);
    call_init(&c, &ci);
    call_document(&c, 1, TYPE, "{}");
    c.req.idempotency_key = text_of_cstr(key);
    fails_field(call_run(&rig, &c), "idempotency_key");
    c.req.idempotency_key.len = 128;
    ok(call_run(&rig, &c));
    call_done(&c);
    rig_done(&rig);
}
END_TEST

/* --- what is refused, and leaves nothing in the log */

START_TEST(test_scopes) {
    static const struct text only[] = {T("https://only.example/v1"), T(INTOTO_PROVENANCE_V1)};
    static const struct principal restricted = {.name = T("token:r"),
                                                .method = T("token"),
                                                .scopes = SCOPE_ATTEST,
                                                .predicate_types = only,
                                                .predicate_type_count = 2};
    struct rig rig;
    struct call c;
    rig_init(&rig);
    rig_open(&rig);
    call_init(&c, &nobody);
    call_provenance(&c, 1, 2);
    fails(call_run(&rig, &c), ERROR_PERMISSION_DENIED, REASON_SCOPE_MISSING);
    c.req.principal = &restricted;
    call_document(&c, 1, "https://only.example/v1.1", "{}");
    fails(call_run(&rig, &c), ERROR_PERMISSION_DENIED, REASON_SCOPE_RESTRICTED);
    call_document(&c, 1, "https://only.example/v1", "{}");
    ok(call_run(&rig, &c));
    c.req.submission.predicate_type = (struct text){0};
    call_provenance(&c, 1, 2);
    ok(call_run(&rig, &c));
    ck_assert_uint_eq(tlog_head(rig.log).size, 2);
    call_done(&c);
    rig_done(&rig);
}
END_TEST

START_TEST(test_bad_submissions_leave_nothing) {
    struct rig rig;
    struct call c;
    rig_init(&rig);
    rig_open(&rig);
    call_init(&c, &ci);
    call_document(&c, 1, INTOTO_PROVENANCE_V1, "{}");
    fails(call_run(&rig, &c), ERROR_INVALID_ARGUMENT, REASON_PREDICATE_TYPE_RESERVED);
    call_document(&c, 1, TYPE, "[]");
    fails_field(call_run(&rig, &c), "json_bytes");
    call_document(&c, 1, TYPE, "{\"annotations\":{\"attestd_submitter\":{}}}");
    fails_field(call_run(&rig, &c), "json_bytes");
    c.req.submission.subject_count = 0;
    fails_field(call_run(&rig, &c), "subject");
    /* what the indexes cannot take is refused before it is signed */
    call_document(&c, 1, INTOTO_MODEL_SIGNATURE_V1, "{\"resources\":[{\"name\":\"a\"}]}");
    fails_field(call_run(&rig, &c), "resources[0]");
    ck_assert_uint_eq(tlog_head(rig.log).size, 0);
    call_done(&c);
    rig_done(&rig);
}
END_TEST

/* --- quotas */

static struct error *attest_as(struct rig *rig, const struct principal *p, uint64_t n) {
    struct call c;
    call_init(&c, p);
    call_document(&c, n, TYPE, "{}");
    struct error *err = call_run(rig, &c);
    call_done(&c);
    return err;
}

/* Every subject was built from every material, and each edge names its material: the rows are many
 * times the statement. */
static void call_lineage(struct call *c, size_t subjects, size_t materials, size_t name_len) {
    struct intoto_resource *from = arena_alloc(&c->arena, materials * sizeof *from);
    struct intoto_resource *made = arena_alloc(&c->arena, subjects * sizeof *made);
    struct text name = {arena_alloc(&c->arena, name_len), name_len};
    memset((char *)(uintptr_t)name.data, 'n', name_len);
    for (size_t i = 0; i < subjects; i++) made[i] = rig_resource(&c->arena, 1000 + i);
    for (size_t i = 0; i < materials; i++) {
        from[i] = rig_resource(&c->arena, 2000 + i);
        from[i].name = name;
    }
    c->req.submission.subjects = made;
    c->req.submission.subject_count = subjects;
    c->req.submission.kind = INTOTO_PREDICATE_PROVENANCE;
    c->req.submission.provenance = (struct intoto_provenance){
        .build_type = T("https://b.test/v1"),
        .resolved_dependencies = from,
        .resolved_dependency_count = materials,
    };
}

START_TEST(test_a_lineage_that_no_round_can_hold_is_refused_before_it_joins_one) {
    struct rig rig;
    struct call c;
    rig_init(&rig);
    rig_open(&rig);
    call_init(&c, &ci);
    c.arena.max_bytes = (size_t)64 << 20; /* as attestd gives */
    call_lineage(&c, 64, 64, INTOTO_TEXT_MAX);
    fails(call_run(&rig, &c), ERROR_RESOURCE_EXHAUSTED, REASON_MESSAGE_TOO_LARGE);
    call_done(&c);
    rig_attest(&rig, 1, 1);
    rig_done(&rig);
}
END_TEST

START_TEST(test_submissions_a_second_are_bounded_for_each_principal) {
    struct rig rig;
    rig_init(&rig);
    rig.options.limits.quota_per_second = 2;
    rig_open(&rig);
    ok(attest_as(&rig, &ci, 1));
    ok(attest_as(&rig, &ci, 2));
    fails(attest_as(&rig, &ci, 3), ERROR_RESOURCE_EXHAUSTED, REASON_QUOTA_EXCEEDED);
    ok(attest_as(&rig, &ci, 2)); /* a repeat costs nothing */
    ok(attest_as(&rig, &other, 3));
    atomic_fetch_add(&rig.mono_us, 1000000);
    ok(attest_as(&rig, &ci, 3));
    ck_assert_uint_eq(tlog_head(rig.log).size, 4);
    rig_done(&rig);
}
END_TEST

START_TEST(test_octets_a_day_are_bounded_for_each_principal) {
    struct rig rig;
    rig_init(&rig);
    rig.options.limits.quota_octets_day = 800; /* a statement here has about 300 */
    rig_open(&rig);
    ok(attest_as(&rig, &ci, 1));
    ok(attest_as(&rig, &ci, 2));
    struct error *err = attest_as(&rig, &ci, 3);
    int64_t now_ms = atomic_load(&rig.now_ms);
    ck_assert_uint_eq(error_retry_ms(err), (uint32_t)(DAY_MS - now_ms % DAY_MS)); /* midnight */
    fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_QUOTA_EXCEEDED);
    ok(attest_as(&rig, &other, 3));
    atomic_fetch_add(&rig.now_ms, DAY_MS);
    ok(attest_as(&rig, &ci, 3));
    rig_done(&rig);
}
END_TEST

START_TEST(test_many_principals_have_their_own_rows) {
    struct rig rig;
    char names[200][24];
    struct principal p[200];
    rig_init(&rig);
    rig.options.limits.quota_per_second = 1;
    rig_open(&rig);
    for (size_t i = 0; i < 200; i++) {
        (void)snprintf(names[i], sizeof names[i], "token:p%zu", i);
        p[i] = ci;
        p[i].name = text_of_cstr(names[i]);
        ok(attest_as(&rig, &p[i], 1));
    }
    for (size_t i = 0; i < 200; i++)
        fails(attest_as(&rig, &p[i], 2), ERROR_RESOURCE_EXHAUSTED, REASON_QUOTA_EXCEEDED);
    rig_done(&rig);
}
END_TEST

/* --- a log that does not take writes */

START_TEST(test_a_failed_write_is_unavailable_and_stays_so) {
    struct rig rig;
    char why[256];
    rig_init(&rig);
    rig_open(&rig);
    ok(attest_as(&rig, &ci, 1));
    ck_assert(service_serving(rig.service, why, sizeof why));
    kv_mem_fail(rig.kv, 0, false);
    fails(attest_as(&rig, &ci, 2), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    fails(attest_as(&rig, &ci, 3), ERROR_UNAVAILABLE, REASON_ROUND_FAILED);
    fails(attest_as(&rig, &ci, 1), ERROR_UNAVAILABLE, REASON_ROUND_FAILED); /* a repeat too */
    ck_assert(!service_serving(rig.service, why, sizeof why));
    ck_assert_uint_gt(strlen(why), 0);
    rig_done(&rig);
}
END_TEST

START_TEST(test_behind_its_anchor_the_log_is_read_only) {
    struct rig rig;
    char why[256];
    rig_init(&rig);
    rig_open(&rig);
    ok(attest_as(&rig, &ci, 1));
    rig_close(&rig);
    rig_open(&rig); /* an empty store, and an anchor that has seen an entry */
    ck_assert(!service_serving(rig.service, why, sizeof why));
    fails(attest_as(&rig, &ci, 1), ERROR_FAILED_PRECONDITION, REASON_LOG_READ_ONLY);
    rig_done(&rig);
}
END_TEST

/* --- many at once */

#define THREADS 6
#define EACH 40

struct crowd {
    struct rig *rig;
    uint64_t first;
    uint64_t indexes[EACH];
};

static void *submit_all(void *arg) {
    struct crowd *crowd = arg;
    for (uint64_t i = 0; i < EACH; i++) {
        struct call c;
        struct bundle_verification v;
        call_init(&c, &ci);
        call_document(&c, crowd->first + i, TYPE, "{}");
        ok(call_run(crowd->rig, &c));
        rig_verify(crowd->rig, &c.arena, c.out.receipt, &v);
        ck_assert_uint_eq(v.index, c.out.index);
        crowd->indexes[i] = c.out.index;
        call_done(&c);
    }
    return NULL;
}

static void run_crowd(struct rig *rig, struct crowd crowds[THREADS], uint64_t apart) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.rig = rig, .first = 1000 + i * apart};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_all, &crowds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

START_TEST(test_each_of_many_submissions_has_its_own_place) {
    struct rig rig;
    struct crowd crowds[THREADS];
    bool seen[THREADS * EACH] = {false};
    rig_init(&rig);
    rig_open(&rig);
    run_crowd(&rig, crowds, 1000);
    ck_assert_uint_eq(tlog_head(rig.log).size, THREADS * EACH);
    for (size_t i = 0; i < THREADS; i++)
        for (size_t j = 0; j < EACH; j++) {
            ck_assert(!seen[crowds[i].indexes[j]]);
            seen[crowds[i].indexes[j]] = true;
        }
    rig_done(&rig);
}
END_TEST

START_TEST(test_the_same_submission_many_times_at_once_is_one_entry) {
    struct rig rig;
    struct crowd crowds[THREADS];
    rig_init(&rig);
    rig_open(&rig);
    run_crowd(&rig, crowds, 0);
    ck_assert_uint_eq(tlog_head(rig.log).size, EACH);
    for (size_t i = 1; i < THREADS; i++)
        for (size_t j = 0; j < EACH; j++)
            ck_assert_uint_eq(crowds[i].indexes[j], crowds[0].indexes[j]);
    rig_done(&rig);
}
END_TEST

/* --- workers */

struct job {
    struct service_job job;
    pthread_mutex_t *lock;
    pthread_cond_t *changed;
    size_t *ran, *blocked;
    bool *open;
};

static void run_job(struct service_job *j) {
    struct job *job = (struct job *)j;
    (void)pthread_mutex_lock(job->lock);
    ++*job->blocked;
    (void)pthread_cond_broadcast(job->changed);
    while (!*job->open) (void)pthread_cond_wait(job->changed, job->lock);
    ++*job->ran;
    (void)pthread_cond_broadcast(job->changed);
    (void)pthread_mutex_unlock(job->lock);
}

START_TEST(test_the_workers_queue_is_bounded_and_runs_all_it_took) {
    struct rig rig;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    size_t ran = 0, blocked = 0;
    bool open = false;
    struct job jobs[4];
    rig_init(&rig);
    rig.options.limits.workers = 1;
    rig.options.limits.jobs_max = 2;
    rig_open(&rig);
    for (size_t i = 0; i < 4; i++)
        jobs[i] = (struct job){{.run = run_job}, &lock, &changed, &ran, &blocked, &open};
    ok(service_submit_job(rig.service, &jobs[0].job));
    (void)pthread_mutex_lock(&lock);
    while (blocked == 0) (void)pthread_cond_wait(&changed, &lock); /* off the queue */
    (void)pthread_mutex_unlock(&lock);
    ok(service_submit_job(rig.service, &jobs[1].job));
    ok(service_submit_job(rig.service, &jobs[2].job));
    fails(service_submit_job(rig.service, &jobs[3].job), ERROR_RESOURCE_EXHAUSTED,
          REASON_QUEUE_FULL);
    (void)pthread_mutex_lock(&lock);
    open = true;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
    rig_close(&rig); /* joins */
    ck_assert_uint_eq(ran, 3);
    rig_open(&rig);
    rig_done(&rig);
}
END_TEST

/* --- memory. The sequencer's own allocations are its suite's. */

START_TEST(test_survives_every_allocation_failure_of_the_calling_thread) {
    struct rig rig;
    rig_init(&rig);
    rig_open(&rig);
    for (uint64_t n = 0, done = 0; done < 3;
         n++) { /* three sizes of luck beyond the last failure */
        struct call c;
        bool pending = false;
        call_init(&c, &ci);
        call_provenance(&c, n, n + 1);
        (void)alloc_fail_after((long)n);
        struct error *err = service_attest_begin(rig.service, &c.req, &pending);
        (void)alloc_fail_after(-1);
        ck_assert_uint_lt(n, 1000);
        if (err != NULL) {
            fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_NONE);
            done = 0;
        } else {
            (void)pthread_mutex_lock(&c.lock);
            while (pending && !c.is_ready) (void)pthread_cond_wait(&c.changed, &c.lock);
            (void)pthread_mutex_unlock(&c.lock);
            struct bundle_verification v;
            ok(service_attest_finish(&c.req, &c.out));
            rig_verify(&rig, &c.arena, c.out.receipt, &v);
            done++;
        }
        call_done(&c);
    }
    rig_done(&rig);
}
END_TEST

/* The request's arena at every size: full is an error, at whatever point. */
START_TEST(test_survives_a_full_arena_at_every_point) {
    struct rig rig;
    struct arena subject;
    bool done = false;
    rig_init(&rig);
    rig_open(&rig);
    arena_init(&subject, CALL_ARENA_MAX);
    for (size_t max = 0; !done; max += 48) {
        struct call c;
        const struct intoto_resource r[2] = {rig_resource(&subject, max),
                                             rig_resource(&subject, max + 1)};
        call_init(&c, &ci);
        arena_done(&c.arena);
        arena_init(&c.arena, max);
        c.req.submission = (struct intoto_submission){
            .subjects = &r[0],
            .subject_count = 1,
            .kind = INTOTO_PREDICATE_PROVENANCE,
            .provenance = {.build_type = T("b:t"),
                           .resolved_dependencies = &r[1],
                           .resolved_dependency_count = 1},
        };
        struct error *err = call_run(&rig, &c);
        ck_assert_uint_lt(max, 1 << 17);
        done = err == NULL;
        if (!done) fails(err, ERROR_RESOURCE_EXHAUSTED, REASON_NONE);
        call_done(&c);
    }
    arena_done(&subject);
    rig_done(&rig);
}
END_TEST

static Suite *service_suite(void) {
    Suite *s = suite_create("service");
    TCase *tc = tcase_create("attest");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_an_attestation_gives_a_receipt_that_verifies_offline);
    tcase_add_test(tc, test_documents_are_signed_as_sent);
    tcase_add_test(tc, test_the_largest_document_fits_into_a_calls_memory);
    tcase_add_test(tc, test_predicates_are_bounded_in_every_form);
    tcase_add_test(tc, test_the_same_submission_gives_the_same_receipt);
    tcase_add_test(tc, test_a_given_key_holds_for_ever_and_for_its_content_alone);
    tcase_add_test(tc, test_idempotency_keys_are_bounded);
    tcase_add_test(tc, test_scopes);
    tcase_add_test(tc, test_bad_submissions_leave_nothing);
    tcase_add_test(tc, test_a_lineage_that_no_round_can_hold_is_refused_before_it_joins_one);
    tcase_add_test(tc, test_submissions_a_second_are_bounded_for_each_principal);
    tcase_add_test(tc, test_octets_a_day_are_bounded_for_each_principal);
    tcase_add_test(tc, test_many_principals_have_their_own_rows);
    tcase_add_test(tc, test_a_failed_write_is_unavailable_and_stays_so);
    tcase_add_test(tc, test_behind_its_anchor_the_log_is_read_only);
    tcase_add_test(tc, test_each_of_many_submissions_has_its_own_place);
    tcase_add_test(tc, test_the_same_submission_many_times_at_once_is_one_entry);
    tcase_add_test(tc, test_the_workers_queue_is_bounded_and_runs_all_it_took);
    tcase_add_test(tc, test_survives_every_allocation_failure_of_the_calling_thread);
    tcase_add_test(tc, test_survives_a_full_arena_at_every_point);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(service_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
