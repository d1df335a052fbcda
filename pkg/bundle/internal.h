/* What the files of bundle/ share. form: reading JSON whose form is pinned: every member named,
 * none beside them, one notation a value. The first failure is kept (sticky, as in base/reader) and
 * given out by form_finish. */
#ifndef BUNDLE_INTERNAL_H
#define BUNDLE_INTERNAL_H

#include "base/arena.h"
#include "base/error.h"
#include "bundle/bundle.h"
#include "json/json.h"

#define KEY_DETAILS_P256 "PKIX_ECDSA_P256_SHA_256"
#define KEY_DETAILS_ED25519 "PKIX_ED25519"
#define RECEIPT_MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define TRUSTED_ROOT_MEDIA_TYPE "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
#define SIGNING_KEYS_MEDIA_TYPE "application/vnd.attestd.signing-keys+json;version=1"

/* envelope_of is the envelope of a receipt: one signature, no key id. It borrows. */
struct dsse_envelope envelope_of(const struct bundle_receipt *r);

struct form {
    struct arena *arena;
    struct error *err; /* owned; NULL while sound */
};

/* form_parse reads `text` as one object of exactly `members` members. NULL once failed, as all
 * functions below that give a value. */
const struct json_value *form_parse(struct form *f, struct bytes text, size_t octets_max,
                                    size_t members);

/* form_fail keeps INVALID_ARGUMENT for a caller's own rule about `what`. */
void form_fail(struct form *f, const char *what, const char *why);

/* form_object gives member `name` of `parent`, an object of exactly `members` members; the caller
 * reads every one of them by name, so that an unknown one cannot hide. */
const struct json_value *form_object(struct form *f, const struct json_value *parent,
                                     const char *name, size_t members);

/* form_item gives item `i` of `array`, an object of exactly `members` members. */
const struct json_value *form_item(struct form *f, const struct json_value *array, size_t i,
                                   size_t members);

/* form_array gives member `name` of `parent`, an array of `min` to `max` items. */
const struct json_value *form_array(struct form *f, const struct json_value *parent,
                                    const char *name, size_t min, size_t max);

/* A member that is a string: any, exactly `want`, a decimal number of 64 bits, standard base64, or
 * base64 of 32 octets. */
struct bytes form_string(struct form *f, const struct json_value *parent, const char *name);
void form_literal(struct form *f, const struct json_value *parent, const char *name,
                  const char *want);
uint64_t form_u64(struct form *f, const struct json_value *parent, const char *name);
struct bytes form_base64(struct form *f, const struct json_value *parent, const char *name);
struct sha256 form_sha256(struct form *f, const struct json_value *parent, const char *name);

/* form_sha256_item gives item `i` of `array`, base64 of 32 octets. */
struct sha256 form_sha256_item(struct form *f, const struct json_value *array, size_t i);

/* form_window reads the member "validFor", {"start"[,"end"]} in RFC 3339, both inclusive, into
 * whole seconds; without an end, INT64_MAX. */
void form_window(struct form *f, const struct json_value *parent, int64_t *out_from_s,
                 int64_t *out_until_s);

/* form_finish gives out the first failure, if any. */
MUST_USE struct error *form_finish(struct form *f);

#endif
