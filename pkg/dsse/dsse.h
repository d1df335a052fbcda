/*
 * dsse: the Dead Simple Signing Envelope. Pure.
 * Implements: DSSE v1.0.2, protocol.md and envelope.md.
 */
#ifndef DSSE_DSSE_H
#define DSSE_DSSE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "json/json.h"

#define DSSE_SIGNATURES_MAX 16
#define DSSE_INTOTO_TYPE "application/vnd.in-toto+json"

struct dsse_signature {
    struct bytes keyid; /* unauthenticated: for finding a key, never for a decision */
    struct bytes sig;   /* decoded */
};

struct dsse_envelope {
    struct bytes payload_type;
    struct bytes payload; /* decoded; the very octets that were signed */
    size_t signature_count;
    struct dsse_signature signatures[DSSE_SIGNATURES_MAX];
};

/* dsse_put_pae appends the pre-authentication encoding, which is what is signed. */
void dsse_put_pae(struct buf *out, struct bytes payload_type, struct bytes payload);

/* dsse_put_envelope appends the bare envelope as JSON in JCS form:
 * {"payload":"..","payloadType":"..","signatures":[{"keyid":"","sig":".."}]}. The octets are the
 * ones that envelopeHash is over. */
void dsse_put_envelope(struct buf *out, const struct dsse_envelope *env);

/* dsse_envelope_from_json reads an envelope; it borrows from `arena` and what `json` borrows from.
 * Standard and URL-safe base64 are accepted. Errors: INVALID_ARGUMENT if a field is missing (keyid
 * may be), empty (payload and keyid may be), of another type, unknown (where `strict`), or there is
 * no signature or more than DSSE_SIGNATURES_MAX; RESOURCE_EXHAUSTED if the arena is full. */
MUST_USE struct error *dsse_envelope_from_json(struct arena *arena, const struct json_value *json,
                                               bool strict, struct dsse_envelope *out);

#endif
