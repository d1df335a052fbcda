#include "service/token.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "obs/obs.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define DAY_MS ((int64_t)86400000)
#define BORN_MS ((int64_t)1780000000000)
#define T(s) TEXT_LIT(s)

static int64_t now_ms;
static int64_t fake_unix_ms(void *ctx) {
    (void)ctx;
    return now_ms;
}
static uint64_t fake_mono_us(void *ctx) {
    (void)ctx;
    return (uint64_t)now_ms * 1000;
}
static const struct clock fake_clock = {fake_unix_ms, fake_mono_us, NULL};

static void ok(struct error *err) {
    if (err == NULL) return;
    char text[512];
    error_text(err, text, sizeof text);
    error_free(err);
    ck_abort_msg("unexpected error: %s", text);
}

static void refused(struct error *err, enum error_code code, enum reason reason, const char *what) {
    ck_assert_msg(err != NULL, "accepted: %s", what);
    ck_assert_msg(error_code(err) == code && error_reason(err) == reason, "%s: %s %s: %s", what,
                  error_code_name(error_code(err)), reason_name(error_reason(err)),
                  error_message(err));
    error_free(err);
}

static void invalid(struct error *err, const char *what) {
    refused(err, ERROR_UNAUTHENTICATED, REASON_CREDENTIALS_INVALID, what);
}

static struct kv *kv; /* the store's */
static struct store *store;
static struct tokens *tokens;

static void setup(void) {
    log_set_level(LOG_ERROR);
    now_ms = BORN_MS;
    ok(kv_mem_new(&kv));
    ok(store_open(kv, &store));
    ok(tokens_open(store, &fake_clock, &entropy_system, &tokens));
}

static void teardown(void) {
    tokens_free(tokens);
    store_free(store);
}

static void reopen(void) {
    tokens_free(tokens);
    tokens = NULL;
    ok(tokens_open(store, &fake_clock, &entropy_system, &tokens));
}

static struct token_record request_of(const char *name, unsigned scopes) {
    return (struct token_record){.name = text_of_cstr(name), .scopes = scopes};
}

static struct token_text create(const char *name, unsigned scopes) {
    struct token_record request = request_of(name, scopes);
    struct token_text text;
    const struct principal *p = NULL;
    ok(tokens_create(tokens, T("test"), &request, &text, &p));
    return text;
}

static struct error *authenticate(const struct token_text *text, const struct principal **p) {
    return tokens_authenticate(tokens, bytes_of_cstr(text->text), p);
}

/* --- bearers */

START_TEST(test_a_bearer_is_who_the_token_was_made_for) {
    static const struct text types[] = {{"https://slsa.dev/provenance/v1", 30}, {"x", 1}};
    static const struct text environments[] = {{"prod*", 5}};
    static const struct text subjects[] = {{"registry.example/**", 19}};
    const struct token_record request = {
        .name = T("ci-1"),
        .scopes = SCOPE_ATTEST | SCOPE_GATE,
        .predicate_types = types,
        .predicate_type_count = 2,
        .environments = environments,
        .environment_count = 1,
        .subjects = subjects,
        .subject_count = 1,
        .expires_ms = BORN_MS + DAY_MS,
    };
    struct token_text text;
    const struct principal *made = NULL;
    ok(tokens_create(tokens, T("test"), &request, &text, &made));
    ck_assert_uint_eq(strlen(text.text), 89);
    for (int round = 0; round < 2; round++) { /* from memory, then from the store */
        const struct principal *p = NULL;
        ok(authenticate(&text, &p));
        ck_assert(text_equal(p->name, T("token:ci-1")));
        ck_assert(text_equal(p->method, T("token")));
        ck_assert_uint_eq(p->scopes, SCOPE_ATTEST | SCOPE_GATE);
        ck_assert_uint_eq(p->predicate_type_count, 2);
        ck_assert(text_equal(p->predicate_types[0], types[0]));
        ck_assert(text_equal(p->predicate_types[1], types[1]));
        ck_assert_uint_eq(p->environment_count, 1);
        ck_assert(text_equal(p->environments[0], environments[0]));
        ck_assert_uint_eq(p->subject_count, 1);
        ck_assert(text_equal(p->subjects[0], subjects[0]));
        ck_assert_int_eq(p->expires_ms, BORN_MS + DAY_MS);
        ck_assert(tokens_is_valid(tokens, p));
        ck_assert(memcmp(text.text + 8, p->token_id.data, p->token_id.len) == 0);
        reopen();
    }
}
END_TEST

START_TEST(test_every_other_text_is_refused_alike) {
    struct token_text text = create("ci", SCOPE_READ);
    const struct principal *p = NULL;
    for (size_t n = 0; n < TOKEN_TEXT_LEN; n++)
        invalid(tokens_authenticate(tokens, (struct bytes){(uint8_t *)text.text, n}, &p), "short");
    invalid(tokens_authenticate(tokens, (struct bytes){(uint8_t *)text.text, 90}, &p), "long");
    for (size_t bit = 0; bit < TOKEN_TEXT_LEN * 8; bit++) {
        text.text[bit / 8] = (char)(text.text[bit / 8] ^ 1 << bit % 8);
        invalid(authenticate(&text, &p), "a flipped bit");
        text.text[bit / 8] = (char)(text.text[bit / 8] ^ 1 << bit % 8);
    }
    for (size_t i = 25; i < TOKEN_TEXT_LEN; i++) { /* well-formed, another secret */
        char was = text.text[i];
        text.text[i] = was == '0' ? '1' : '0';
        invalid(authenticate(&text, &p), "another digit");
        text.text[i] = was;
    }
    ck_assert_ptr_null(p);
    ok(authenticate(&text, &p));
}
END_TEST

START_TEST(test_a_token_of_one_name_does_not_open_another) {
    struct token_text a = create("a", SCOPE_READ), b = create("b", SCOPE_ADMIN);
    memcpy(a.text + 8, b.text + 8, TOKEN_ID_LEN); /* b's id with a's secret */
    const struct principal *p = NULL;
    invalid(authenticate(&a, &p), "a mixed token");
}
END_TEST

START_TEST(test_two_tokens_never_share_a_secret) {
    struct token_text a = create("a", SCOPE_READ), b = create("b", SCOPE_READ);
    ck_assert_str_ne(a.text + 25, b.text + 25);
}
END_TEST

START_TEST(test_the_secret_is_not_stored) {
    struct token_text text = create("ci", SCOPE_READ);
    struct kv_iter *it = NULL;
    struct bytes key, value;
    size_t rows = 0;
    ok(kv_iter_new(kv, NULL, KV_IDENTITY, (struct bytes){0}, (struct bytes){0}, &it));
    while (kv_iter_next(kv, it, &key, &value)) {
        ck_assert_ptr_null(memmem(value.data, value.len, text.text + 25, 16));
        struct sha256 hash = sha256_of(bytes_of_cstr(text.text));
        char hex[65];
        for (size_t i = 0; i < 32; i++) (void)snprintf(hex + 2 * i, 3, "%02x", hash.octets[i]);
        ck_assert_ptr_nonnull(memmem(value.data, value.len, hex, 64));
        rows++;
    }
    ok(kv_iter_error(kv, it));
    kv_iter_free(kv, it);
    ck_assert_uint_eq(rows, 1);
}
END_TEST

/* --- life */

START_TEST(test_a_token_expires_to_the_millisecond) {
    struct token_text text = create("ci", SCOPE_READ);
    const struct principal *p = NULL;
    now_ms = BORN_MS + TOKEN_LIFE_DEFAULT_MS - 1;
    ok(authenticate(&text, &p));
    ck_assert(tokens_is_valid(tokens, p));
    now_ms++;
    ck_assert(!tokens_is_valid(tokens, p));
    invalid(authenticate(&text, &p), "an expired token");
}
END_TEST

/* How often the log speaks of the token "ci" in a round of warnings at `when_ms`. */
static size_t warnings_at(int64_t when_ms) {
    char text[4096] = {0};
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    log_set_fd(pipes[1]);
    log_set_level(LOG_WARN);
    now_ms = when_ms;
    tokens_warn(tokens);
    log_set_level(LOG_ERROR);
    log_set_fd(STDERR_FILENO);
    (void)close(pipes[1]);
    ck_assert_int_ge(read(pipes[0], text, sizeof text - 1), 0);
    (void)close(pipes[0]);
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "token:ci\"")) != NULL; at++) count++;
    return count;
}

START_TEST(test_a_token_that_ends_soon_is_said_from_two_thirds_of_its_life_on) {
    struct token_record day = request_of("short", SCOPE_READ);
    day.expires_ms = BORN_MS + DAY_MS;
    struct token_text text;
    const struct principal *p = NULL;
    ok(tokens_create(tokens, T("test"), &day, &text, &p));
    (void)create("ci", SCOPE_READ);
    ck_assert_uint_eq(warnings_at(BORN_MS + 60 * DAY_MS - 1), 0);
    ck_assert_uint_eq(warnings_at(BORN_MS + 60 * DAY_MS), 1);
    ck_assert_uint_eq(warnings_at(BORN_MS + 90 * DAY_MS), 0); /* over: nothing to do any more */
    char id[TOKEN_ID_LEN + 1];
    token_id(T("ci"), id);
    ok(tokens_revoke(tokens, T("test"), text_of_cstr(id)));
    ck_assert_uint_eq(warnings_at(BORN_MS + 60 * DAY_MS), 0);
}
END_TEST

START_TEST(test_a_revoked_token_is_refused_now_and_after_a_restart) {
    struct token_text text = create("ci", SCOPE_READ), other = create("other", SCOPE_READ);
    const struct principal *p = NULL;
    ok(authenticate(&text, &p));
    struct text id = p->token_id;
    now_ms += 5;
    ok(tokens_revoke(tokens, T("test"), id));
    ck_assert(!tokens_is_valid(tokens, p));
    invalid(authenticate(&text, &p), "a revoked token");
    now_ms += 5;
    ok(tokens_revoke(tokens, T("test"), id)); /* again: nothing new */
    struct token_info info;
    ck_assert(tokens_get(tokens, id, &info));
    ck_assert_int_eq(info.revoked_ms, BORN_MS + 5);

    char kept[TOKEN_ID_LEN + 1];
    token_id(T("ci"), kept);
    reopen();
    invalid(authenticate(&text, &p), "a revoked token");
    ck_assert(tokens_get(tokens, text_of_cstr(kept), &info));
    ck_assert_int_eq(info.revoked_ms, BORN_MS + 5);
    ok(authenticate(&other, &p));
    refused(tokens_revoke(tokens, T("test"), T("0123456789abcdef")), ERROR_NOT_FOUND,
            REASON_TOKEN_NOT_FOUND, "an unknown id");
    refused(tokens_revoke(tokens, T("test"), T("")), ERROR_NOT_FOUND, REASON_TOKEN_NOT_FOUND,
            "no id");
}
END_TEST

START_TEST(test_names_are_unique_for_ever) {
    (void)create("ci", SCOPE_READ);
    struct token_record request = request_of("ci", SCOPE_READ);
    struct token_text text;
    const struct principal *p = NULL;
    char id[TOKEN_ID_LEN + 1];
    token_id(T("ci"), id);
    for (int i = 0; i < 3; i++) {
        refused(tokens_create(tokens, T("test"), &request, &text, &p), ERROR_ALREADY_EXISTS,
                REASON_TOKEN_NAME_TAKEN, "a name that is taken");
        if (i == 0) ok(tokens_revoke(tokens, T("test"), text_of_cstr(id)));
        if (i == 1) reopen();
    }
}
END_TEST

/* --- what may be asked for */

static const struct text one_type[] = {{"https://x/y", 11}};
static const struct text one_glob[] = {{"prod*", 5}};
static const struct text empty_item[] = {{"", 0}};
static const struct text bad_glob[] = {{"***", 3}};
static char long_octets[TOKEN_RESTRICTION_MAX + 1];
static const struct text long_item[] = {{long_octets, sizeof long_octets}};
static struct text many[TOKEN_LIST_MAX + 1];
#define NAME_129                                                                                   \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                             \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *field;
    struct token_record request;
} bad_requests[] = {
    {"name", {.name = {"", 0}, .scopes = SCOPE_READ}},
    {"name", {.name = {"a b", 3}, .scopes = SCOPE_READ}},
    {"name", {.name = {"-a", 2}, .scopes = SCOPE_READ}},
    {"name", {.name = {"a*", 2}, .scopes = SCOPE_READ}},
    {"name", {.name = {"a:b", 3}, .scopes = SCOPE_READ}},
    {"name", {.name = {"\xc3\xa9", 2}, .scopes = SCOPE_READ}},
    {"name", {.name = {NAME_129, 129}, .scopes = SCOPE_READ}},
    {"scopes", {.name = {"a", 1}}},
    {"scopes", {.name = {"a", 1}, .scopes = 16}},
    {"predicate_types",
     {{"a", 1}, .scopes = 1, .predicate_types = many, .predicate_type_count = 65}},
    {"predicate_types",
     {{"a", 1}, .scopes = 4, .predicate_types = one_type, .predicate_type_count = 1}},
    {"predicate_types[0]",
     {{"a", 1}, .scopes = 1, .predicate_types = empty_item, .predicate_type_count = 1}},
    {"predicate_types[0]",
     {{"a", 1}, .scopes = 1, .predicate_types = long_item, .predicate_type_count = 1}},
    {"environments", {{"a", 1}, .scopes = 3, .environments = one_glob, .environment_count = 1}},
    {"environments[0]", {{"a", 1}, .scopes = 4, .environments = bad_glob, .environment_count = 1}},
    {"subjects", {{"a", 1}, .scopes = 3, .subjects = one_glob, .subject_count = 1}},
    {"subjects[0]", {{"a", 1}, .scopes = 4, .subjects = empty_item, .subject_count = 1}},
    {"expires_at", {{"a", 1}, .scopes = 1, .expires_ms = BORN_MS}},
    {"expires_at", {{"a", 1}, .scopes = 1, .expires_ms = -1}},
    {"expires_at", {{"a", 1}, .scopes = 1, .expires_ms = 253402300800000}},
};

START_TEST(test_bad_requests_make_no_token_and_name_the_field) {
    for (size_t i = 0; i < COUNT(many); i++) many[i] = one_type[0];
    memset(long_octets, 'a', sizeof long_octets);
    for (size_t i = 0; i < COUNT(bad_requests); i++) {
        struct token_text text;
        const struct principal *p = NULL;
        struct error *err = tokens_create(tokens, T("test"), &bad_requests[i].request, &text, &p);
        ck_assert_msg(err != NULL, "accepted: %zu %s", i, bad_requests[i].field);
        ck_assert_str_eq(error_field(err), bad_requests[i].field);
        refused(err, ERROR_INVALID_ARGUMENT, REASON_INVALID_FIELD, bad_requests[i].field);
    }
    (void)create("a", SCOPES_ALL); /* the name is still free */
}
END_TEST

START_TEST(test_scopes_have_one_name_each) {
    static const char *const names[] = {"attest", "read", "gate", "admin"};
    for (unsigned i = 0; i < COUNT(names); i++) {
        enum scope scope;
        ck_assert(scope_parse(text_of_cstr(names[i]), &scope));
        ck_assert_uint_eq(scope, 1U << i);
        ck_assert_str_eq(scope_name(scope), names[i]);
    }
    enum scope none = SCOPE_READ;
    ck_assert(!scope_parse(T(""), &none));
    ck_assert(!scope_parse(T("Admin"), &none));
    ck_assert(!scope_parse(T("admins"), &none));
}
END_TEST

/* --- lists */

START_TEST(test_lists_give_every_token_once_in_pages) {
    for (int i = 0; i < 50; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        (void)create(name, SCOPE_READ);
    }
    for (size_t page = 1; page < 60; page += 7) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct text after = {0};
        size_t seen = 0;
        for (;;) {
            const struct token_info *items = NULL;
            size_t count = 0;
            ok(tokens_list(tokens, &arena, after, page, &items, &count));
            for (size_t i = 0; i < count; i++) {
                struct text id = items[i].principal->token_id;
                ck_assert(bytes_compare(bytes_of_text(after), bytes_of_text(id)) < 0);
                after = id;
            }
            seen += count;
            if (count < page) break;
        }
        ck_assert_uint_eq(seen, 50);
        arena_done(&arena);
    }
}
END_TEST

/* --- records */

static const char good_record[] =
    "{\"v\":1,\"name\":\"ci\",\"hash\":"
    "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
    "\"scopes\":[\"attest\",\"gate\"],\"predicateTypes\":[\"x\"],\"environments\":[\"prod\"],"
    "\"subjects\":[],\"createdMs\":1,\"expiresMs\":2,\"revokedMs\":0}";

static struct error *parse(struct bytes text, struct token_record *out) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct error *err = token_record_parse(&arena, text, out);
    arena_done(&arena);
    return err;
}

START_TEST(test_a_record_is_written_as_documented_and_no_part_of_it_may_lack) {
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct token_record record;
    struct buf out;
    buf_init(&out, 4096);
    ok(token_record_parse(&arena, bytes_of_cstr(good_record), &record));
    token_record_put(&out, &record);
    ck_assert(bytes_equal(buf_bytes(&out), bytes_of_cstr(good_record)));
    buf_done(&out);
    arena_done(&arena);
    for (size_t n = 0; n < sizeof good_record - 1; n++)
        refused(parse((struct bytes){(const uint8_t *)good_record, n}, &record),
                ERROR_INVALID_ARGUMENT, REASON_NONE, "a truncated record");
}
END_TEST

static const struct {
    const char *old, *new;
} changes[] = {
    {"\"v\":1", "\"v\":2"},
    {"\"v\":1,", ""},
    {"\"revokedMs\":0", "\"revokedMs\":0,\"onlyFrom\":[\"10.0.0.0/8\"]"}, /* a later restriction */
    {"\"subjects\":[],", ""},
    {"\"subjects\":[]", "\"subjects\":null"},
    {"\"subjects\":[]", "\"subjects\":[1]"},
    {"\"subjects\":[]", "\"subjects\":[\"a\\u0000\"]"},
    {"\"attest\",", "\"attest\",\"gate\","},
    {"\"attest\",", "\"root\","},
    {"\"attest\",", ""}, /* predicateTypes without attest */
    {"\"createdMs\":1", "\"createdMs\":-1"},
    {"\"createdMs\":1", "\"createdMs\":\"1\""},
    {"\"createdMs\":1", "\"createdMs\":2"},
    {"\"expiresMs\":2", "\"expiresMs\":2.5"},
    {"\"name\":\"ci\"", "\"name\":\"c i\""},
    {"e3b0c4", "E3b0c4"},
    {"e3b0c4", "e3b0"},
};

START_TEST(test_a_record_of_another_kind_is_refused) {
    for (size_t i = 0; i < COUNT(changes); i++) {
        char text[1024];
        const char *at = strstr(good_record, changes[i].old);
        ck_assert_ptr_nonnull(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good_record), good_record,
                       changes[i].new, at + strlen(changes[i].old));
        struct token_record record;
        struct error *err = parse(bytes_of_cstr(text), &record);
        ck_assert_msg(err != NULL, "accepted: %s", text);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        error_free(err);
    }
}
END_TEST

START_TEST(test_an_unknown_or_misplaced_record_keeps_the_instance_closed) {
    struct tokens *none = NULL;
    ok(store_put_record(store, KV_IDENTITY, BYTES_LIT("token/0123456789abcdef"),
                        bytes_of_cstr(good_record)));
    refused(tokens_open(store, &fake_clock, &entropy_system, &none), ERROR_FAILED_PRECONDITION,
            REASON_NONE, "a record under another's id");
    ok(store_put_record(store, KV_IDENTITY, BYTES_LIT("token/0123456789abcdef"),
                        BYTES_LIT("{\"v\":2}")));
    refused(tokens_open(store, &fake_clock, &entropy_system, &none), ERROR_FAILED_PRECONDITION,
            REASON_NONE, "a later version");
    ck_assert_ptr_null(none);
}
END_TEST

/* --- failures */

START_TEST(test_a_token_that_could_not_be_stored_is_not_valid) {
    struct token_record request = request_of("ci", SCOPE_READ);
    struct token_text text = {"untouched"};
    const struct principal *p = NULL;
    kv_mem_fail(kv, 0, false);
    refused(tokens_create(tokens, T("test"), &request, &text, &p), ERROR_UNAVAILABLE, REASON_NONE,
            "a failing store");
    kv_mem_fail(kv, -1, false);
    ck_assert_str_eq(text.text, "untouched");
    ck_assert_ptr_null(p);
    char id[TOKEN_ID_LEN + 1];
    token_id(T("ci"), id);
    struct token_info info;
    ck_assert(!tokens_get(tokens, text_of_cstr(id), &info));
}
END_TEST

START_TEST(test_a_revocation_that_could_not_be_stored_bites_and_can_be_repeated) {
    struct token_text text = create("ci", SCOPE_READ);
    const struct principal *p = NULL;
    ok(authenticate(&text, &p));
    kv_mem_fail(kv, 0, false);
    refused(tokens_revoke(tokens, T("test"), p->token_id), ERROR_UNAVAILABLE, REASON_NONE,
            "a failing store");
    kv_mem_fail(kv, -1, false);
    invalid(authenticate(&text, &p), "a revoked token");
    ok(tokens_revoke(tokens, T("test"), p->token_id));
    reopen();
    invalid(authenticate(&text, &p), "a revoked token");
}
END_TEST

static struct error *whole_life(const char *name) {
    struct token_record request = request_of(name, SCOPES_ALL);
    struct token_text text;
    const struct principal *p = NULL;
    struct tokens *again = NULL;
    struct error *err = tokens_create(tokens, T("test"), &request, &text, &p);
    if (err == NULL) err = authenticate(&text, &p);
    if (err == NULL) err = tokens_revoke(tokens, T("test"), p->token_id);
    if (err == NULL) err = tokens_open(store, &fake_clock, &entropy_system, &again);
    tokens_free(again);
    return err;
}

START_TEST(test_every_allocation_failure_is_an_error) {
    (void)alloc_fail_after(-1);
    ok(whole_life("first"));
    long needed = alloc_fail_after(-1) + 8;
    long failures = 0;
    for (long n = 0; n < needed; n++) {
        char name[24];
        (void)snprintf(name, sizeof name, "n%ld", n);
        (void)alloc_fail_after(n);
        struct error *err = whole_life(name);
        (void)alloc_fail_after(-1);
        failures += err != NULL;
        if (err != NULL) {
            bool known =
                error_code(err) == ERROR_RESOURCE_EXHAUSTED || error_code(err) == ERROR_UNAVAILABLE;
            ck_assert_msg(known, "%s", error_message(err));
        }
        error_free(err);
    }
    ck_assert_int_gt(failures, 5);
}
END_TEST

static struct error *no_entropy(void *ctx, uint8_t *out, size_t len) {
    (void)ctx, (void)out, (void)len;
    return error_new(ERROR_UNAVAILABLE, "none");
}

START_TEST(test_without_random_octets_there_is_no_token) {
    static const struct entropy dry = {no_entropy, NULL};
    CLEANUP(tokens_freep) struct tokens *t = NULL;
    struct token_record request = request_of("ci", SCOPE_READ);
    struct token_text text;
    const struct principal *p = NULL;
    ok(tokens_open(store, &fake_clock, &dry, &t));
    refused(tokens_create(t, T("test"), &request, &text, &p), ERROR_UNAVAILABLE, REASON_NONE,
            "dry");
    (void)create("ci", SCOPE_READ); /* and the name was not used up */
}
END_TEST

/* --- threads */

static void *create_same_names(void *arg) {
    size_t *made = arg;
    for (int i = 0; i < 50; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        struct token_record request = request_of(name, SCOPE_READ);
        struct token_text text;
        const struct principal *p = NULL;
        struct error *err = tokens_create(tokens, T("test"), &request, &text, &p);
        *made += err == NULL;
        if (err == NULL) err = authenticate(&text, &p);
        error_free(err);
    }
    return NULL;
}

START_TEST(test_of_many_threads_one_gets_a_name) {
    pthread_t threads[4];
    size_t made[COUNT(threads)] = {0}, sum = 0;
    for (size_t i = 0; i < COUNT(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, create_same_names, &made[i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        sum += made[i];
    }
    ck_assert_uint_eq(sum, 50);
}
END_TEST

static Suite *token_suite(void) {
    Suite *s = suite_create("token");
    TCase *tc = tcase_create("token");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_a_bearer_is_who_the_token_was_made_for);
    tcase_add_test(tc, test_every_other_text_is_refused_alike);
    tcase_add_test(tc, test_a_token_of_one_name_does_not_open_another);
    tcase_add_test(tc, test_two_tokens_never_share_a_secret);
    tcase_add_test(tc, test_the_secret_is_not_stored);
    tcase_add_test(tc, test_a_token_expires_to_the_millisecond);
    tcase_add_test(tc, test_a_token_that_ends_soon_is_said_from_two_thirds_of_its_life_on);
    tcase_add_test(tc, test_a_revoked_token_is_refused_now_and_after_a_restart);
    tcase_add_test(tc, test_names_are_unique_for_ever);
    tcase_add_test(tc, test_bad_requests_make_no_token_and_name_the_field);
    tcase_add_test(tc, test_scopes_have_one_name_each);
    tcase_add_test(tc, test_lists_give_every_token_once_in_pages);
    tcase_add_test(tc, test_a_record_is_written_as_documented_and_no_part_of_it_may_lack);
    tcase_add_test(tc, test_a_record_of_another_kind_is_refused);
    tcase_add_test(tc, test_an_unknown_or_misplaced_record_keeps_the_instance_closed);
    tcase_add_test(tc, test_a_token_that_could_not_be_stored_is_not_valid);
    tcase_add_test(tc, test_a_revocation_that_could_not_be_stored_bites_and_can_be_repeated);
    tcase_add_test(tc, test_every_allocation_failure_is_an_error);
    tcase_add_test(tc, test_without_random_octets_there_is_no_token);
    tcase_add_test(tc, test_of_many_threads_one_gets_a_name);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(token_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
