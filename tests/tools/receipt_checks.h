/* receipt_checks: what the suites on receipts and on trust files share: one log, made once before
 * Check forks, and words for what must verify and what must not. */
#ifndef TESTS_RECEIPT_CHECKS_H
#define TESTS_RECEIPT_CHECKS_H

#include <check.h>
#include <stdlib.h>

#include "codec/codec.h"
#include "log_fixture.h"

#define SUBJECT_HEX "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
#define SUBMITTER                                                                                  \
    "\"annotations\":{\"attestd_submitter\":{\"method\":\"token\",\"principal\":\"token:ci\"}},"
#define STATEMENT(type, submitter)                                                                 \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{},\"predicateType\":\"" type    \
    "\",\"subject\":[{" submitter "\"digest\":{\"sha256\":\"" SUBJECT_HEX                          \
    "\"},\"name\":\"foo\"}]}"
#define PAYLOAD STATEMENT("https://example.com/t/v1", SUBMITTER)
#define VSA STATEMENT(INTOTO_VSA_V1, SUBMITTER)
#define NOBODYS STATEMENT("https://example.com/t/v1", "")
#define NO_METHOD                                                                                  \
    STATEMENT("https://example.com/t/v1",                                                          \
              "\"annotations\":{\"attestd_submitter\":{\"principal\":\"token:ci\"}},")
#define NO_PRINCIPAL                                                                               \
    STATEMENT("https://example.com/t/v1",                                                          \
              "\"annotations\":{\"attestd_submitter\":{\"method\":\"token\"}},")
#define LOGGED_S (FIXTURE_START_S + 1000)
#define ENTRIES 12
#define AT 6 /* the entry that most tests look at */

static struct fixture fx;
static struct trust trust;

#define OK(expr)                                                                                   \
    do {                                                                                           \
        struct error *ok_err_ = (expr);                                                            \
        char ok_text_[256] = "";                                                                   \
        if (ok_err_ != NULL) error_text(ok_err_, ok_text_, sizeof ok_text_);                       \
        ck_assert_msg(ok_err_ == NULL, "%s: %s", #expr, ok_text_);                                 \
    } while (0)

static inline struct bytes root_file(void) {
    struct buf out;
    buf_init_arena(&out, &fx.arena, TRUST_OCTETS_MAX);
    struct trust_source source = fixture_trust(&fx);
    trust_put_root(&out, &source);
    OK(buf_finish(&out, "root"));
    return buf_bytes(&out);
}

static inline struct bytes keys_file(void) {
    struct buf out;
    buf_init_arena(&out, &fx.arena, TRUST_OCTETS_MAX);
    struct trust_source source = fixture_trust(&fx);
    trust_put_signing_keys(&out, &source);
    OK(buf_finish(&out, "keys"));
    return buf_bytes(&out);
}

/* Made once, before Check forks: tests change copies alone. */
static inline void make_log(void) {
    OK(fixture_init(&fx));
    for (size_t i = 0; i < ENTRIES; i++)
        OK(fixture_add(&fx, FIXTURE_ATTESTATION, BYTES_LIT(PAYLOAD), LOGGED_S + (int64_t)i));
    OK(trust_load(root_file(), keys_file(), &trust));
}

static inline void end_log(void) {
    trust_done(&trust);
    fixture_done(&fx);
}

static inline struct bundle_receipt receipt_of(size_t index, size_t size) {
    struct bundle_receipt r;
    OK(fixture_receipt(&fx, index, size, &r));
    return r;
}

static inline struct bytes text_of(const struct bundle_receipt *r) {
    struct buf out;
    buf_init_arena(&out, &fx.arena, (size_t)1 << 20);
    bundle_put_receipt(&out, r);
    OK(buf_finish(&out, "receipt"));
    return buf_bytes(&out);
}

static inline struct sha256 subject(void) {
    struct sha256 hash;
    ck_assert(hex_decode(BYTES_LIT(SUBJECT_HEX), hash.octets, sizeof hash.octets));
    return hash;
}

static inline struct bundle_verification verify_for(struct bytes text, const struct trust *by,
                                                    const struct sha256 *about, struct bytes type) {
    struct arena arena;
    arena_init(&arena, (size_t)4 << 20);
    struct bundle_verification v = {.verdict = (enum bundle_verdict)77};
    OK(bundle_verify(&arena, text, by, about, type, &v));
    ck_assert_int_eq(v.verdict == BUNDLE_VERIFIED, v.reason[0] == '\0');
    v.statement = (struct intoto_statement){0}; /* they live in the arena */
    v.checkpoint = (struct bytes){0};
    arena_done(&arena);
    return v;
}

static inline struct bundle_verification verify(struct bytes text) {
    return verify_for(text, &trust, NULL, (struct bytes){0});
}

static inline void refuses(struct bytes text, const char *why) {
    struct bundle_verification v = verify(text);
    ck_assert_msg(v.verdict == BUNDLE_REFUSED, "verified: %s", why);
    ck_assert_msg(strstr(v.reason, why) != NULL, "refused for \"%s\", not \"%s\"", v.reason, why);
}

static inline void refuses_values(const struct bundle_receipt *r, const char *why) {
    refuses(text_of(r), why);
}

static inline void accepts(struct bytes text) {
    struct bundle_verification v = verify(text);
    ck_assert_msg(v.verdict == BUNDLE_VERIFIED, "refused: %s", v.reason);
}

/* `text` with the first `find` behind the first `after` replaced. */
static inline struct bytes replaced_after(struct bytes text, const char *after, const char *find,
                                          const char *by) {
    char *copy = (char *)arena_copy(&fx.arena, text).data;
    ck_assert_ptr_nonnull(copy);
    char *from = strstr(copy, after);
    ck_assert_msg(from != NULL, "no %s", after);
    char *at = strstr(from, find);
    ck_assert_msg(at != NULL, "no %s", find);
    struct buf out;
    buf_init_arena(&out, &fx.arena, (size_t)1 << 20);
    buf_put(&out, (struct bytes){(uint8_t *)copy, (size_t)(at - copy)});
    buf_put_cstr(&out, by);
    buf_put_cstr(&out, at + strlen(find));
    OK(buf_finish(&out, "replaced"));
    return buf_bytes(&out);
}

static inline struct bytes replaced(struct bytes text, const char *find, const char *by) {
    return replaced_after(text, "", find, by);
}

#endif
