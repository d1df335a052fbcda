/* Admin: tokens and backups, for the scope `admin` alone. */
#include <stdio.h>

#include "api/internal.h"
#include "attestd/v1/admin.pb-c.h"
#include "base/assert.h"
#include "codec/codec.h"
#include "crypto/secret.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define PAGE_OCTETS_MAX                                                                            \
    ((size_t)1 << 20) /* of tokens: clients take 4 MiB; one is 100 KiB at most */

static struct tokens *tokens_of(const struct api_call *c) { return c->api->options.tokens; }

/* --- tokens */

static char **make_texts(struct api_maker *mk, const struct text *texts, size_t count) {
    char **out = api_make_list(mk, count);
    for (size_t i = 0; i < count && out != NULL; i++) {
        out[i] = api_make_text(mk, bytes_of_text(texts[i]));
    }
    return out;
}

static void set_scopes(struct api_maker *mk, Attestd__V1__Token *t, unsigned scopes) {
    struct text names[8];
    size_t count = 0;
    for (unsigned bit = 1; bit <= SCOPES_ALL; bit <<= 1) {
        if ((scopes & bit) != 0) names[count++] = text_of_cstr(scope_name((enum scope)bit));
    }
    t->scopes = make_texts(mk, names, count);
    t->n_scopes = count;
}

static Attestd__V1__Token *make_token(struct api_maker *mk, const struct token_info *info) {
    const struct principal *p = info->principal;
    Attestd__V1__Token *t = api_make(mk, &attestd__v1__token__descriptor);
    if (t == NULL) return NULL;
    t->id = api_make_text(mk, bytes_of_text(p->token_id));
    t->name = api_make_text(mk, bytes_of_text(info->name));
    set_scopes(mk, t, p->scopes);
    t->predicate_types = make_texts(mk, p->predicate_types, p->predicate_type_count);
    t->n_predicate_types = p->predicate_type_count;
    t->environments = make_texts(mk, p->environments, p->environment_count);
    t->n_environments = p->environment_count;
    t->subjects = make_texts(mk, p->subjects, p->subject_count);
    t->n_subjects = p->subject_count;
    t->created_at = api_make_time(mk, info->created_ms);
    t->expires_at = api_make_time(mk, p->expires_ms);
    if (info->revoked_ms != 0) t->revoked_at = api_make_time(mk, info->revoked_ms);
    return t;
}

static struct error *texts_of(struct arena *arena, char *const *strings, size_t count,
                              const struct text **out) {
    struct text *texts = arena_alloc(arena, (count + 1) * sizeof *texts);
    if (texts == NULL) return error_nomem();
    for (size_t i = 0; i < count; i++) texts[i] = api_text(strings[i]);
    *out = texts;
    return NULL;
}

static struct error *record_of(struct arena *arena, const Attestd__V1__CreateTokenRequest *q,
                               struct token_record *out) {
    *out = (struct token_record){.name = api_text(q->name),
                                 .predicate_type_count = q->n_predicate_types,
                                 .environment_count = q->n_environments,
                                 .subject_count = q->n_subjects};
    for (size_t i = 0; i < q->n_scopes; i++) {
        enum scope scope;
        if (!scope_parse(api_text(q->scopes[i]), &scope)) {
            return error_field_new("scopes", "holds \"%.32s\"; attest, read, gate and admin exist",
                                   q->scopes[i]);
        }
        out->scopes |= (unsigned)scope;
    }
    TRY(texts_of(arena, q->predicate_types, q->n_predicate_types, &out->predicate_types));
    TRY(texts_of(arena, q->environments, q->n_environments, &out->environments));
    TRY(texts_of(arena, q->subjects, q->n_subjects, &out->subjects));
    struct intoto_time expires;
    TRY(api_time_of(q->expires_at, "expires_at", &expires));
    if (!expires.set) return NULL;
    out->expires_ms = expires.seconds * 1000 + expires.nanos / 1000000;
    if (out->expires_ms <= 0) return error_field_new("expires_at", "is past");
    return NULL;
}

/* respond_created builds the answer that holds the secret. It is wiped where it can be: what leaves
 * through TLS is copied on the way. */
static struct error *respond_created(struct api_call *c, const struct principal *p,
                                     const struct token_text *secret) {
    struct token_info info;
    if (!tokens_get(tokens_of(c), p->token_id, &info)) {
        return error_new(ERROR_INTERNAL, "the new token cannot be found");
    }
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__CreateTokenResponse *r =
        api_make(&mk, &attestd__v1__create_token_response__descriptor);
    if (r != NULL) {
        r->token = make_token(&mk, &info);
        r->secret = api_make_text(&mk, bytes_of_cstr(secret->text));
    }
    TRY(api_made(&mk));
    c->response = &r->base;
    return NULL;
}

struct error *api_create_token(struct api_call *c) {
    TRY(principal_require(c->principal, SCOPE_ADMIN));
    struct token_record record;
    TRY(record_of(c->arena, (const Attestd__V1__CreateTokenRequest *)c->request, &record));
    struct token_text secret;
    const struct principal *p = NULL;
    TRY(tokens_create(tokens_of(c), c->principal->name, &record, &secret, &p));
    struct error *err = respond_created(c, p, &secret);
    secret_wipe(&secret, sizeof secret);
    return err;
}

/* --- page tokens: the id of the last token shown, whose digits are a number's */

static struct error *after_of(const struct api_call *c, const char *page_token, struct text *out) {
    uint64_t after = 0;
    struct text token = api_text(page_token);
    *out = (struct text){0};
    if (token.len == 0) return NULL;
    TRY(service_read_page_token(c->api->options.service, c->arena, token, &after));
    char *id = arena_alloc(c->arena, TOKEN_ID_LEN + 1);
    if (id == NULL) return error_nomem();
    (void)snprintf(id, TOKEN_ID_LEN + 1, "%016llx", (unsigned long long)after);
    *out = text_of_cstr(id);
    return NULL;
}

static struct error *next_of(const struct api_call *c, const char *id, struct text *out) {
    uint8_t octets[TOKEN_ID_LEN / 2];
    uint64_t after = 0;
    if (!hex_decode(bytes_of_cstr(id), octets, sizeof octets))
        return error_new(ERROR_INTERNAL, "a token's id is not hexadecimal");
    for (size_t i = 0; i < sizeof octets; i++) after = after << 8 | octets[i];
    return service_put_page_token(c->api->options.service, c->arena, after, out);
}

/* Makes tokens of `infos` until a page is full, in number or in what they take. */
static size_t make_page(struct api_maker *mk, const struct token_info *infos, size_t count,
                        Attestd__V1__Token **list) {
    size_t shown = 0, before = mk->arena->used_bytes;
    while (shown < count && mk->failed == NULL &&
           mk->arena->used_bytes - before < PAGE_OCTETS_MAX) {
        list[shown] = make_token(mk, &infos[shown]);
        shown++;
    }
    return shown;
}

struct error *api_list_tokens(struct api_call *c) {
    TRY(principal_require(c->principal, SCOPE_ADMIN));
    const Attestd__V1__ListTokensRequest *q = (const Attestd__V1__ListTokensRequest *)c->request;
    size_t page = q->page_size == 0 ? PAGE_DEFAULT : q->page_size;
    if (page > PAGE_MAX) page = PAGE_MAX;
    struct text after = {0};
    TRY(after_of(c, q->page_token, &after));
    const struct token_info *infos = NULL;
    size_t count = 0; /* one more than a page says that there is a next one */
    TRY(tokens_list(tokens_of(c), c->arena, after, page + 1, &infos, &count));

    struct text next = {0};
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__ListTokensResponse *r =
        api_make(&mk, &attestd__v1__list_tokens_response__descriptor);
    Attestd__V1__Token **list = api_make_list(&mk, page);
    size_t shown = make_page(&mk, infos, count > page ? page : count, list);
    TRY(api_made(&mk));
    r->tokens = list;
    r->n_tokens = shown;
    if (count > shown) TRY(next_of(c, list[shown - 1]->id, &next));
    r->next_page_token = api_make_text(&mk, bytes_of_text(next));
    TRY(api_made(&mk));
    c->response = &r->base;
    return NULL;
}

struct error *api_revoke_token(struct api_call *c) {
    TRY(principal_require(c->principal, SCOPE_ADMIN));
    const Attestd__V1__RevokeTokenRequest *q = (const Attestd__V1__RevokeTokenRequest *)c->request;
    TRY(tokens_revoke(tokens_of(c), c->principal->name, api_text(q->id)));
    struct token_info info;
    if (!tokens_get(tokens_of(c), api_text(q->id), &info)) {
        return error_new(ERROR_INTERNAL, "the revoked token cannot be found");
    }
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__RevokeTokenResponse *r =
        api_make(&mk, &attestd__v1__revoke_token_response__descriptor);
    if (r != NULL) r->token = make_token(&mk, &info);
    TRY(api_made(&mk));
    c->response = &r->base;
    return NULL;
}

/* --- backups */

struct error *api_backup(struct api_call *c) {
    TRY(principal_require(c->principal, SCOPE_ADMIN));
    const struct api_options *o = &c->api->options;
    if (o->backup == NULL) return error_new(ERROR_UNIMPLEMENTED, "this server makes no backups");
    struct text path = {0};
    uint64_t tree_size = 0;
    TRY(o->backup(o->ctx, c->arena, &path, &tree_size));
    struct api_maker mk = {.arena = c->arena};
    Attestd__V1__BackupResponse *r = api_make(&mk, &attestd__v1__backup_response__descriptor);
    if (r != NULL) {
        r->path = api_make_text(&mk, bytes_of_text(path));
        r->tree_size = tree_size;
    }
    TRY(api_made(&mk));
    c->response = &r->base;
    return NULL;
}
