/* Tokens stand in one array ordered by id: few changes, a look-up with every request. A token is
 * never freed before its registry, so principals may be borrowed for as long as that lives. */
#include "service/token.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "codec/codec.h"
#include "crypto/secret.h"
#include "obs/obs.h"

#define RECORD_PREFIX "token/"
#define RECORD_MAX ((size_t)1 << 20)
#define SECRET_LEN 32
#define TOKEN_HEAD "attestd_"

struct token {
    char id[TOKEN_ID_LEN + 1];
    struct token_record record; /* immutable; revoked_ms below is the one that counts */
    struct principal principal;
    atomic_bool live;           /* stored: until then it only holds its name */
    _Atomic int64_t revoked_ms; /* 0: not revoked */
};

struct tokens {
    struct store *store;
    const struct clock *clock;
    const struct entropy *entropy;
    pthread_rwlock_t lock;
    struct arena arena;   /* guarded by: lock; all tokens and their texts */
    struct token **items; /* owned; guarded by: lock; ascending by id */
    size_t count;         /* guarded by: lock */
    size_t cap;           /* guarded by: lock */
};

/* --- the array */

/* Where `id` is, or belongs. */
static size_t place_of(const struct tokens *t, struct text id) {
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(bytes_of_cstr(t->items[middle]->id), bytes_of_text(id)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Caller holds the lock. NULL: there is none. */
static struct token *find(const struct tokens *t, struct text id) {
    size_t at = place_of(t, id);
    if (at == t->count || !text_equal(text_of_cstr(t->items[at]->id), id)) return NULL;
    return t->items[at];
}

static struct token *find_locked(struct tokens *t, struct text id) {
    (void)pthread_rwlock_rdlock(&t->lock);
    struct token *token = find(t, id);
    (void)pthread_rwlock_unlock(&t->lock);
    return token != NULL && atomic_load(&token->live) ? token : NULL;
}

static struct error *insert(struct tokens *t, struct token *token) {
    if (t->count == TOKENS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "there are %zu tokens: no more", TOKENS_MAX);
    if (t->count == t->cap) {
        size_t cap = t->cap == 0 ? 16 : t->cap * 2;
        struct token **items = alloc_resize(t->items, cap * sizeof(struct token *));
        if (items == NULL) return error_nomem();
        t->items = items;
        t->cap = cap;
    }
    size_t at = place_of(t, text_of_cstr(token->id));
    memmove(t->items + at + 1, t->items + at, (t->count - at) * sizeof(struct token *));
    t->items[at] = token;
    t->count++;
    return NULL;
}

/* --- making one in memory; the caller holds the lock for writing */

static bool copy_text(struct arena *arena, struct text in, struct text *out) {
    struct bytes copy = arena_copy(arena, bytes_of_text(in));
    *out = (struct text){(const char *)copy.data, copy.len};
    return copy.data != NULL;
}

static bool copy_list(struct arena *arena, const struct text *in, size_t count,
                      const struct text **out) {
    struct text *items = arena_alloc(arena, (count + 1) * sizeof *items);
    if (items == NULL) return false;
    for (size_t i = 0; i < count; i++)
        if (!copy_text(arena, in[i], &items[i])) return false;
    *out = items;
    return true;
}

static bool copy_record(struct arena *arena, const struct token_record *in,
                        struct token_record *out) {
    *out = *in;
    return copy_list(arena, in->predicate_types, in->predicate_type_count, &out->predicate_types) &&
           copy_list(arena, in->environments, in->environment_count, &out->environments) &&
           copy_list(arena, in->subjects, in->subject_count, &out->subjects);
}

/* The principal's name is "token:<name>"; the record's name is its tail. */
static bool set_names(struct arena *arena, struct token *token, struct text name) {
    static const struct text head = {"token:", 6};
    char *text = arena_alloc(arena, head.len + name.len + 1);
    if (text == NULL) return false;
    memcpy(text, head.data, head.len);
    memcpy(text + head.len, name.data, name.len);
    token->principal.name = (struct text){text, head.len + name.len};
    token->record.name = (struct text){text + head.len, name.len};
    return true;
}

static struct error *token_new(struct tokens *t, const struct token_record *record,
                               struct token **out) {
    struct token *token = arena_alloc(&t->arena, sizeof *token);
    if (token == NULL || !copy_record(&t->arena, record, &token->record) ||
        !set_names(&t->arena, token, record->name))
        return error_nomem();
    token_id(record->name, token->id);
    const struct token_record *r = &token->record;
    struct principal *p = &token->principal;
    p->method = text_of_cstr("token");
    p->token_id = text_of_cstr(token->id);
    p->scopes = r->scopes;
    p->predicate_types = r->predicate_types;
    p->predicate_type_count = r->predicate_type_count;
    p->environments = r->environments;
    p->environment_count = r->environment_count;
    p->subjects = r->subjects;
    p->subject_count = r->subject_count;
    p->expires_ms = r->expires_ms;
    atomic_init(&token->live, false);
    atomic_init(&token->revoked_ms, r->revoked_ms);
    TRY(insert(t, token));
    *out = token;
    return NULL;
}

/* --- opening */

struct loading {
    struct tokens *tokens;
    struct error *err;
};

static struct error *load(struct tokens *t, struct bytes key, struct bytes value) {
    struct arena scratch;
    arena_init(&scratch, 8 * RECORD_MAX);
    struct token_record record;
    struct token *token = NULL;
    char want[sizeof RECORD_PREFIX + TOKEN_ID_LEN] = RECORD_PREFIX;
    struct error *err = token_record_parse(&scratch, value, &record);
    if (err == NULL) {
        token_id(record.name, want + sizeof RECORD_PREFIX - 1);
        if (!bytes_equal(key, bytes_of_cstr(want)))
            err = error_new(ERROR_INVALID_ARGUMENT, "token record: under another token's id");
    }
    if (err == NULL) err = token_new(t, &record, &token);
    if (err == NULL) atomic_store(&token->live, true);
    arena_done(&scratch);
    return err;
}

static bool load_each(void *ctx, struct bytes key, struct bytes value) {
    struct loading *loading = ctx;
    loading->err = load(loading->tokens, key, value);
    return loading->err == NULL;
}

static struct error *load_all(struct tokens *t) {
    struct loading loading = {.tokens = t};
    struct error *err =
        store_scan_records(t->store, KV_IDENTITY, BYTES_LIT(RECORD_PREFIX), load_each, &loading);
    if (err != NULL) {
        error_free(loading.err);
        return err;
    }
    if (loading.err == NULL) return NULL;
    if (error_code(loading.err) != ERROR_INVALID_ARGUMENT) return loading.err;
    return error_recode(loading.err, ERROR_FAILED_PRECONDITION,
                        "a stored token is not one that this version writes: use the version that "
                        "wrote it, or restore a backup");
}

struct error *tokens_open(struct store *store, const struct clock *clock,
                          const struct entropy *entropy, struct tokens **out) {
    CLEANUP(tokens_freep) struct tokens *t = alloc_zero(1, sizeof *t);
    if (t == NULL) return error_nomem();
    t->store = store;
    t->clock = clock;
    t->entropy = entropy;
    arena_init(&t->arena, TOKENS_MEMORY_MAX);
    int rc = pthread_rwlock_init(&t->lock, NULL);
    ASSERT(rc == 0); /* the default kind has no way to fail */
    TRY(load_all(t));
    *out = MOVE(t);
    return NULL;
}

void tokens_free(struct tokens *t) {
    if (t == NULL) return;
    (void)pthread_rwlock_destroy(&t->lock);
    arena_done(&t->arena);
    alloc_free(t->items);
    alloc_free(t);
}

/* --- changing */

/* Errors: the store's; the outcome is unknown then. */
static struct error *write_record(struct tokens *t, const struct token *token) {
    char key[sizeof RECORD_PREFIX + TOKEN_ID_LEN];
    (void)snprintf(key, sizeof key, RECORD_PREFIX "%s", token->id);
    struct token_record record = token->record;
    record.revoked_ms = atomic_load(&token->revoked_ms);
    struct buf value;
    buf_init(&value, RECORD_MAX);
    token_record_put(&value, &record);
    struct error *err = buf_finish(&value, "token record");
    if (err == NULL)
        err = store_put_record(t->store, KV_IDENTITY, bytes_of_cstr(key), buf_bytes(&value));
    buf_done(&value);
    return err;
}

static struct error *text_new(struct tokens *t, struct text name, struct token_text *out) {
    static const char digits[] = "0123456789abcdef";
    uint8_t secret[SECRET_LEN];
    char id[TOKEN_ID_LEN + 1];
    TRY(entropy_fill(t->entropy, secret, sizeof secret));
    token_id(name, id);
    int at = snprintf(out->text, sizeof out->text, TOKEN_HEAD "%s_", id);
    for (size_t i = 0; i < SECRET_LEN; i++) {
        out->text[at++] = digits[secret[i] >> 4];
        out->text[at++] = digits[secret[i] & 15];
    }
    out->text[at] = '\0';
    secret_wipe(secret, sizeof secret);
    return NULL;
}

/* Takes the name: from here on nobody else gets it, whatever becomes of the writing. */
static struct error *reserve(struct tokens *t, const struct token_record *record,
                             struct token **out) {
    char id[TOKEN_ID_LEN + 1];
    token_id(record->name, id);
    (void)pthread_rwlock_wrlock(&t->lock);
    struct error *err = NULL;
    if (find(t, text_of_cstr(id)) != NULL)
        err = error_reason_new(REASON_TOKEN_NAME_TAKEN, "there is or was a token \"" BYTES_FMT "\"",
                               BYTES_ARG(record->name));
    else
        err = token_new(t, record, out);
    (void)pthread_rwlock_unlock(&t->lock);
    return err;
}

/* The record is written outside the lock: a slow disk must not stop requests. */
struct error *tokens_create(struct tokens *t, struct text by, const struct token_record *request,
                            struct token_text *out_text, const struct principal **out_principal) {
    struct token_record record = *request;
    record.created_ms = clock_unix_ms(t->clock);
    record.revoked_ms = 0;
    if (record.expires_ms == 0) record.expires_ms = record.created_ms + TOKEN_LIFE_DEFAULT_MS;
    TRY(token_record_check(&record));
    struct token_text text;
    TRY(text_new(t, record.name, &text));
    record.hash = sha256_of(bytes_of_cstr(text.text));
    struct token *token = NULL;
    struct error *err = reserve(t, &record, &token);
    if (err == NULL) err = write_record(t, token);
    if (err == NULL) {
        atomic_store(&token->live, true);
        *out_text = text;
        *out_principal = &token->principal;
        log_event(LOG_INFO, "token_created", LOG_CSTR("id", token->id),
                  LOG_STR("principal", bytes_of_text(token->principal.name)),
                  LOG_STR("by", bytes_of_text(by)));
    }
    secret_wipe(&text, sizeof text);
    return err;
}

/* Invalid first, stored second: what cannot be written still bites in this process. */
struct error *tokens_revoke(struct tokens *t, struct text by, struct text id) {
    struct token *token = find_locked(t, id);
    if (token == NULL)
        return error_reason_new(REASON_TOKEN_NOT_FOUND, "no token has the id \"" BYTES_FMT "\"",
                                BYTES_ARG(id));
    int64_t never = 0;
    bool first =
        atomic_compare_exchange_strong(&token->revoked_ms, &never, clock_unix_ms(t->clock));
    TRY(write_record(t, token));
    if (first)
        log_event(LOG_INFO, "token_revoked", LOG_CSTR("id", token->id),
                  LOG_STR("principal", bytes_of_text(token->principal.name)),
                  LOG_STR("by", bytes_of_text(by)));
    return NULL;
}

/* --- asking */

static bool is_valid(const struct tokens *t, struct token *token) {
    return atomic_load(&token->revoked_ms) == 0 &&
           clock_unix_ms(t->clock) < token->record.expires_ms;
}

/* Where the id stands in a token's text; false where that cannot be one. The rest of the form is
 * not looked at: the hash of the whole text decides. */
static bool id_of(struct bytes bearer, struct text *out) {
    const struct bytes head = BYTES_LIT(TOKEN_HEAD);
    if (bearer.len != TOKEN_TEXT_LEN || !bytes_start_with(bearer, head)) return false;
    *out = (struct text){(const char *)bearer.data + head.len, TOKEN_ID_LEN};
    return true;
}

struct error *tokens_authenticate(struct tokens *t, struct bytes bearer,
                                  const struct principal **out) {
    static const struct sha256 nobody; /* no text hashes to zeros */
    struct text id = {0};
    struct token *token = id_of(bearer, &id) ? find_locked(t, id) : NULL;
    struct sha256 hash = sha256_of(bearer);
    const struct sha256 *want = token == NULL ? &nobody : &token->record.hash;
    bool same = secret_equal(sha256_bytes(&hash), sha256_bytes(want));
    if (token == NULL || !same || !is_valid(t, token))
        return error_reason_new(REASON_CREDENTIALS_INVALID,
                                "the token is unknown, revoked or expired");
    *out = &token->principal;
    return NULL;
}

bool tokens_is_valid(struct tokens *t, const struct principal *p) {
    struct token *token = find_locked(t, p->token_id);
    return token != NULL && &token->principal == p && is_valid(t, token);
}

static struct token_info info_of(struct token *token) {
    return (struct token_info){&token->principal, token->record.name, token->record.created_ms,
                               atomic_load(&token->revoked_ms)};
}

bool tokens_get(struct tokens *t, struct text id, struct token_info *out) {
    struct token *token = find_locked(t, id);
    if (token != NULL) *out = info_of(token);
    return token != NULL;
}

/* Caller holds the lock. */
static size_t list(const struct tokens *t, struct text after, size_t max, struct token_info *out) {
    size_t count = 0;
    size_t at = place_of(t, after);
    if (at < t->count && text_equal(text_of_cstr(t->items[at]->id), after)) at++;
    for (; at < t->count && count < max; at++)
        if (atomic_load(&t->items[at]->live)) out[count++] = info_of(t->items[at]);
    return count;
}

struct error *tokens_list(struct tokens *t, struct arena *arena, struct text after, size_t max,
                          const struct token_info **out, size_t *out_count) {
    if (max > TOKENS_MAX) max = TOKENS_MAX;
    struct token_info *items = arena_alloc(arena, (max + 1) * sizeof *items);
    if (items == NULL) return error_nomem();
    (void)pthread_rwlock_rdlock(&t->lock);
    *out_count = list(t, after, max, items);
    (void)pthread_rwlock_unlock(&t->lock);
    *out = items;
    return NULL;
}

/* --- warning */

static bool expires_soon(const struct tokens *t, struct token *token) {
    const int64_t week_ms = (int64_t)7 * 86400000;
    const struct token_record *r = &token->record;
    int64_t life_ms = r->expires_ms - r->created_ms;
    return life_ms >= week_ms && is_valid(t, token) &&
           clock_unix_ms(t->clock) - r->created_ms >= life_ms / 3 * 2;
}

static struct token *item_at(struct tokens *t, size_t at) {
    (void)pthread_rwlock_rdlock(&t->lock);
    struct token *token = at < t->count ? t->items[at] : NULL;
    (void)pthread_rwlock_unlock(&t->lock);
    return token;
}

/* One made meanwhile moves the others: at worst one is said twice, or the next day. */
void tokens_warn(struct tokens *t) {
    struct token *token = NULL;
    for (size_t at = 0; (token = item_at(t, at)) != NULL; at++) {
        if (!atomic_load(&token->live) || !expires_soon(t, token)) continue;
        struct buf when;
        buf_init(&when, 64);
        time_put(&when, token->record.expires_ms);
        log_event(LOG_WARN, "token_expires_soon", LOG_CSTR("id", token->id),
                  LOG_STR("principal", bytes_of_text(token->principal.name)),
                  LOG_STR("expires", buf_bytes(&when)));
        buf_done(&when);
    }
}
