/*
 * token: API tokens: how one reads, what is stored of it, and who its bearer is. All tokens that
 * ever were are held in memory, revoked ones too: names are unique for ever. Thread-safe.
 *
 * A token reads "attestd_<id>_<secret>": 16 and 64 lower-case hexadecimal digits, so that secret
 * scanners can find it. The secret is 256 random bits; stored is the SHA-256 of the whole text. The
 * id is public: the first 8 octets of SHA-256(name), so that one record, written in one piece,
 * holds both the token and the name.
 */
#ifndef SERVICE_TOKEN_H
#define SERVICE_TOKEN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "service/principal.h"
#include "store/store.h"

#define TOKENS_MAX ((size_t)65536)                     /* ever made: all are held in memory */
#define TOKENS_MEMORY_MAX ((size_t)64 << 20)           /* of all of them together */
#define TOKEN_NAME_MAX ((size_t)128)                   /* octets */
#define TOKEN_LIST_MAX ((size_t)64)                    /* restrictions of one kind */
#define TOKEN_RESTRICTION_MAX ((size_t)512)            /* octets of one */
#define TOKEN_LIFE_DEFAULT_MS ((int64_t)90 * 86400000) /* where no expiry is asked for */
#define TOKEN_ID_LEN ((size_t)16)                      /* digits */
#define TOKEN_TEXT_LEN (sizeof "attestd_" - 1 + TOKEN_ID_LEN + 1 + 64)

/* The whole token, secret included: shown or written once, then wiped (secret_wipe). */
struct token_text {
    char text[TOKEN_TEXT_LEN + 1];
};

/* --- scopes by name: "attest", "read", "gate", "admin" */
MUST_USE bool scope_parse(struct text name, enum scope *out);
const char *scope_name(enum scope scope);
#define SCOPES_ALL ((unsigned)(SCOPE_ATTEST | SCOPE_READ | SCOPE_GATE | SCOPE_ADMIN))

/* --- what is stored: one JSON object a token, in the identity family under "token/<id>". */
struct token_record {
    struct text name; /* letters, digits and "._-/", the first a letter or digit */
    struct sha256 hash;
    unsigned scopes;
    const struct text *predicate_types; /* exact; restrict attest */
    size_t predicate_type_count;
    const struct text *environments; /* globs; restrict gate */
    size_t environment_count;
    const struct text *subjects; /* globs on the subject's name; restrict gate */
    size_t subject_count;
    int64_t created_ms;
    int64_t expires_ms;
    int64_t revoked_ms; /* 0: not revoked */
};

/* token_record_put appends a record; token_record_parse reads one into `arena`. An unknown member
 * is refused: it may be a restriction of a later version. Errors: INVALID_ARGUMENT;
 * RESOURCE_EXHAUSTED. */
void token_record_put(struct buf *out, const struct token_record *record);
MUST_USE struct error *token_record_parse(struct arena *arena, struct bytes json,
                                          struct token_record *out);

/* token_record_check says what is wrong with a record or a request (hash and creation are not
 * looked at). Errors: INVALID_ARGUMENT INVALID_FIELD with the field as CreateTokenRequest names it.
 */
MUST_USE struct error *token_record_check(const struct token_record *record);

/* token_id writes the id that goes with a name, NUL-terminated. */
void token_id(struct text name, char out[TOKEN_ID_LEN + 1]);

/* --- all tokens of an instance */
struct tokens;

/* tokens_open reads all records. Nothing is taken; all three must outlive it. Errors:
 * FAILED_PRECONDITION if a record is not of this version; the store's. */
MUST_USE struct error *tokens_open(struct store *store, const struct clock *clock,
                                   const struct entropy *entropy, struct tokens **out);
void tokens_free(struct tokens *t);
DEFINE_CLEANUP(struct tokens, tokens_free);

/* tokens_create makes the token that `request` describes (hash, creation and revocation are set
 * here; an expiry of 0 is TOKEN_LIFE_DEFAULT_MS from now). `by` is the principal that asked, for
 * the log line; the text is the caller's to show and wipe. *out_principal is owned by `t`. Errors:
 * INVALID_ARGUMENT INVALID_FIELD; ALREADY_EXISTS TOKEN_NAME_TAKEN; RESOURCE_EXHAUSTED; UNAVAILABLE
 * (the name may be taken by then). */
MUST_USE struct error *tokens_create(struct tokens *t, struct text by,
                                     const struct token_record *request,
                                     struct token_text *out_text,
                                     const struct principal **out_principal);

/* tokens_authenticate answers who bears `bearer` (the token's text, as sent). The principal is
 * owned by `t` and lives as long. Takes the same time whichever octet of a secret is wrong. Errors:
 * UNAUTHENTICATED CREDENTIALS_INVALID, the same for unknown, wrong, revoked and expired. */
MUST_USE struct error *tokens_authenticate(struct tokens *t, struct bytes bearer,
                                           const struct principal **out);

/* tokens_is_valid says whether a principal of `t` may still act: for streams that run on. */
bool tokens_is_valid(struct tokens *t, const struct principal *p);

/* tokens_revoke makes the token invalid at once, and durably when it returns NULL; doing so again
 * changes nothing. Errors: NOT_FOUND TOKEN_NOT_FOUND; UNAVAILABLE: invalid in this process, and to
 * be revoked again. */
MUST_USE struct error *tokens_revoke(struct tokens *t, struct text by, struct text id);

/* tokens_warn logs `token_expires_soon` for each valid token that has two thirds of its life behind
 * it and was made for a week or more: for a timer, once a day. */
void tokens_warn(struct tokens *t);

struct token_info {
    const struct principal *principal; /* owned by the tokens */
    struct text name;                  /* without "token:" */
    int64_t created_ms;
    int64_t revoked_ms; /* 0: not revoked */
};

/* tokens_get finds one by id. tokens_list gives at most `max` in order of id, from behind `after`
 * (empty: from the first), in `arena`. */
MUST_USE bool tokens_get(struct tokens *t, struct text id, struct token_info *out);
MUST_USE struct error *tokens_list(struct tokens *t, struct arena *arena, struct text after,
                                   size_t max, const struct token_info **out, size_t *out_count);

#endif
