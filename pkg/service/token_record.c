/*
 * One token's record, JSON without white space, members in this order, all of them required:
 *
 *   {"v":1,"name":"ci","hash":"<64 hex>","scopes":["attest"],"predicateTypes":[],"environments":[],
 *    "subjects":[],"createdMs":1,"expiresMs":2,"revokedMs":0}
 *
 * hash is the SHA-256 of the token's text. Times are milliseconds since 1970.
 */
#include <stdio.h>

#include "codec/codec.h"
#include "json/json.h"
#include "policy/policy.h"
#include "service/token.h"

#define RECORD_VERSION 1
#define TIME_MAX_MS 253402300799999 /* the last millisecond of year 9999 */

static const struct {
    enum scope scope;
    const char *name;
} scopes[] = {
    {SCOPE_ATTEST, "attest"}, {SCOPE_READ, "read"}, {SCOPE_GATE, "gate"}, {SCOPE_ADMIN, "admin"}};

#define SCOPE_COUNT (sizeof scopes / sizeof *scopes)

bool scope_parse(struct text name, enum scope *out) {
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        if (!text_equal(name, text_of_cstr(scopes[i].name))) continue;
        *out = scopes[i].scope;
        return true;
    }
    return false;
}

const char *scope_name(enum scope scope) {
    for (size_t i = 0; i < SCOPE_COUNT; i++)
        if (scopes[i].scope == scope) return scopes[i].name;
    return "";
}

void token_id(struct text name, char out[TOKEN_ID_LEN + 1]) {
    static const char digits[] = "0123456789abcdef";
    struct sha256 h = sha256_of(bytes_of_text(name));
    for (size_t i = 0; i < TOKEN_ID_LEN; i++)
        out[i] = digits[i % 2 == 0 ? h.octets[i / 2] >> 4 : h.octets[i / 2] & 15];
    out[TOKEN_ID_LEN] = '\0';
}

/* --- checking */

static bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static struct error *check_name(struct text name) {
    bool good = name.len > 0 && name.len <= TOKEN_NAME_MAX && is_alphanumeric(name.data[0]);
    for (size_t i = 0; good && i < name.len; i++)
        good = is_alphanumeric(name.data[i]) || memchr("._-/", name.data[i], 4) != NULL;
    if (good) return NULL;
    return error_field_new("name",
                           "a token's name is 1 to %zu letters, digits, \".\", \"_\", \"-\" or "
                           "\"/\", the first a letter or digit",
                           TOKEN_NAME_MAX);
}

struct restriction {
    const char *field;
    const struct text *items;
    size_t count;
    enum scope scope; /* what it restricts */
    bool globs;
};

static struct error *check_item(const struct restriction *r, size_t i) {
    char field[48];
    (void)snprintf(field, sizeof field, "%s[%zu]", r->field, i);
    struct text item = r->items[i];
    if (item.len == 0 || item.len > TOKEN_RESTRICTION_MAX)
        return error_field_new(field, "1 to %zu octets", TOKEN_RESTRICTION_MAX);
    const char *wrong = r->globs ? policy_glob_check(bytes_of_text(item)) : NULL;
    if (wrong != NULL) return error_field_new(field, "%s", wrong);
    return NULL;
}

/* A restriction of a scope that the token does not have would read as if it had it. */
static struct error *check_restriction(const struct restriction *r, unsigned token_scopes) {
    if (r->count > TOKEN_LIST_MAX)
        return error_field_new(r->field, "more than %zu", TOKEN_LIST_MAX);
    if (r->count > 0 && (token_scopes & r->scope) == 0)
        return error_field_new(r->field, "restricts the scope %s, which the token does not have",
                               scope_name(r->scope));
    for (size_t i = 0; i < r->count; i++) TRY(check_item(r, i));
    return NULL;
}

struct error *token_record_check(const struct token_record *t) {
    const struct restriction restrictions[] = {
        {"predicate_types", t->predicate_types, t->predicate_type_count, SCOPE_ATTEST, false},
        {"environments", t->environments, t->environment_count, SCOPE_GATE, true},
        {"subjects", t->subjects, t->subject_count, SCOPE_GATE, true},
    };
    TRY(check_name(t->name));
    if (t->scopes == 0 || (t->scopes & ~SCOPES_ALL) != 0)
        return error_field_new("scopes", "at least one of attest, read, gate and admin");
    for (size_t i = 0; i < sizeof restrictions / sizeof *restrictions; i++)
        TRY(check_restriction(&restrictions[i], t->scopes));
    if (t->expires_ms <= t->created_ms || t->expires_ms > TIME_MAX_MS)
        return error_field_new("expires_at", "not in the future, or beyond the year 9999");
    return NULL;
}

/* --- writing */

static void put_list(struct json_writer *w, const char *key, const struct text *items,
                     size_t count) {
    json_key(w, key);
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) json_put_string(w, bytes_of_text(items[i]));
    json_array_end(w);
}

void token_record_put(struct buf *out, const struct token_record *t) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "v");
    json_put_int(&w, RECORD_VERSION);
    json_key(&w, "name");
    json_put_string(&w, bytes_of_text(t->name));
    json_key(&w, "hash");
    json_put_hex(&w, sha256_bytes(&t->hash));
    json_key(&w, "scopes");
    json_array_begin(&w);
    for (size_t i = 0; i < SCOPE_COUNT; i++)
        if ((t->scopes & scopes[i].scope) != 0) json_put_cstr(&w, scopes[i].name);
    json_array_end(&w);
    put_list(&w, "predicateTypes", t->predicate_types, t->predicate_type_count);
    put_list(&w, "environments", t->environments, t->environment_count);
    put_list(&w, "subjects", t->subjects, t->subject_count);
    json_key(&w, "createdMs");
    json_put_int(&w, t->created_ms);
    json_key(&w, "expiresMs");
    json_put_int(&w, t->expires_ms);
    json_key(&w, "revokedMs");
    json_put_int(&w, t->revoked_ms);
    json_object_end(&w);
}

/* --- reading */

static const char *const members[] = {
    "v",        "name",      "hash",      "scopes",   "predicateTypes", "environments",
    "subjects", "createdMs", "expiresMs", "revokedMs"};

static struct error *malformed(const char *what) {
    return error_new(ERROR_INVALID_ARGUMENT, "token record: %s", what);
}

/* Each member once, and no other: the reader has refused repeated names. */
static bool has_exactly_ours(const struct json_value *v) {
    if (v->type != JSON_OBJECT || v->object.count != sizeof members / sizeof *members) return false;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_get(v, members[i]) == NULL) return false;
    return true;
}

static struct error *read_text(const struct json_value *v, struct text *out) {
    if (v->type != JSON_STRING || !text_of_bytes(v->string, out)) return malformed("not a text");
    return NULL;
}

static struct error *read_list(struct arena *arena, const struct json_value *v,
                               const struct text **out, size_t *out_count) {
    if (v->type != JSON_ARRAY) return malformed("not a list");
    if (v->array.count > TOKEN_LIST_MAX) return malformed("too long a list");
    struct text *items = arena_alloc(arena, (v->array.count + 1) * sizeof *items);
    if (items == NULL) return error_nomem();
    for (size_t i = 0; i < v->array.count; i++) TRY(read_text(&v->array.items[i], &items[i]));
    *out = items;
    *out_count = v->array.count;
    return NULL;
}

static struct error *read_scopes(const struct json_value *v, unsigned *out) {
    unsigned mask = 0;
    if (v->type != JSON_ARRAY) return malformed("scopes");
    for (size_t i = 0; i < v->array.count; i++) {
        struct text name;
        enum scope scope;
        TRY(read_text(&v->array.items[i], &name));
        if (!scope_parse(name, &scope) || (mask & scope) != 0) return malformed("scopes");
        mask |= scope;
    }
    *out = mask;
    return NULL;
}

static struct error *read_time(const struct json_value *v, int64_t *out) {
    if (v->type != JSON_INT || v->integer < 0 || v->integer > TIME_MAX_MS)
        return malformed("not a time");
    *out = v->integer;
    return NULL;
}

static struct error *read_members(struct arena *arena, const struct json_value *v,
                                  struct token_record *t) {
    TRY(read_text(json_get(v, "name"), &t->name));
    if (!hex_decode(json_string(json_get(v, "hash")), t->hash.octets, sizeof t->hash.octets))
        return malformed("hash");
    TRY(read_scopes(json_get(v, "scopes"), &t->scopes));
    TRY(read_list(arena, json_get(v, "predicateTypes"), &t->predicate_types,
                  &t->predicate_type_count));
    TRY(read_list(arena, json_get(v, "environments"), &t->environments, &t->environment_count));
    TRY(read_list(arena, json_get(v, "subjects"), &t->subjects, &t->subject_count));
    TRY(read_time(json_get(v, "createdMs"), &t->created_ms));
    TRY(read_time(json_get(v, "expiresMs"), &t->expires_ms));
    return read_time(json_get(v, "revokedMs"), &t->revoked_ms);
}

struct error *token_record_parse(struct arena *arena, struct bytes json, struct token_record *out) {
    struct json_value v;
    struct token_record t = {0};
    TRY(json_parse(arena, json, &JSON_LIMITS_DEFAULT, &v));
    uint64_t version = 0;
    if (!json_u64(json_get(&v, "v"), &version) || version != RECORD_VERSION)
        return malformed("of an unknown version");
    if (!has_exactly_ours(&v)) return malformed("members missing or unknown");
    TRY(read_members(arena, &v, &t));
    TRY(token_record_check(&t));
    *out = t;
    return NULL;
}
