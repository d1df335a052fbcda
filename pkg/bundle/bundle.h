/*
 * bundle: receipts. Building and verifying a Sigstore bundle v0.3 in the pinned form of
 * docs/formats.md, the Rekor v1 `dsse 0.0.1` leaf, the SET payload, and trust files. Pure.
 * Stricter than Sigstore's own verifiers: SET, proof, checkpoint, envelope hash and submitter are
 * all required.
 */
#ifndef BUNDLE_BUNDLE_H
#define BUNDLE_BUNDLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/key.h"
#include "dsse/dsse.h"
#include "intoto/intoto.h"
#include "merkle/merkle.h"

#define BUNDLE_OCTETS_MAX ((size_t)16 << 20) /* of a receipt's text: memory */

/* bundle_put_leaf appends the canonicalizedBody of an envelope with one signature by `key`: the
 * octets that are the log's leaf. envelopeHash is over the JCS form of the envelope.
 * Implements: rekor pkg/types/dsse v0.0.1, RFC 8785. */
MUST_USE struct error *bundle_put_leaf(struct buf *out, const struct dsse_envelope *env,
                                       const struct public_key *key);

/* bundle_put_set_payload appends what a signed entry timestamp signs: JCS of
 * {"body","integratedTime", "logID","logIndex"}. `log_id` is SHA-256 of the log-v1 key's SPKI. */
void bundle_put_set_payload(struct buf *out, struct bytes leaf, int64_t integrated_s,
                            const struct sha256 *log_id, uint64_t index);

/* bundle_key_hint is hex(SHA-256(PEM text)) in `out`, NUL-terminated. */
void bundle_key_hint(const struct public_key *key, char out[65]);

struct bundle_receipt {
    struct bytes payload;   /* statement octets; payload type is in-toto */
    struct bytes signature; /* DER, over the PAE */
    char key_hint[65];
    struct bytes leaf;
    struct sha256 log_id;
    uint64_t index;
    int64_t integrated_s;
    struct bytes set; /* DER */
    uint64_t tree_size;
    struct sha256 root;
    struct merkle_proof proof;
    struct bytes checkpoint_v1; /* the signed note */
};

/* bundle_put_receipt appends the receipt's JSON text. The same values give the same octets. */
void bundle_put_receipt(struct buf *out, const struct bundle_receipt *r);

/* bundle_read_receipt reads a receipt without verifying anything: exactly the members that
 * bundle_put_receipt writes, each value in its one notation; white space and the order of members
 * are free, so that a receipt that went through a JSON tool is still one. `*out` borrows from
 * `arena`, which needs four times the receipt's length.
 * Errors: INVALID_ARGUMENT; RESOURCE_EXHAUSTED. */
MUST_USE struct error *bundle_read_receipt(struct arena *arena, struct bytes receipt,
                                           struct bundle_receipt *out);

/* --- trust */
#define TRUST_KEYS_MAX 64                    /* of logs, and of signing keys: a small table */
#define TRUST_OCTETS_MAX ((size_t)256 << 10) /* of each file */

enum trust_purpose { TRUST_PURPOSE_UNSET = 0, TRUST_PURPOSE_ATTESTATION, TRUST_PURPOSE_DECISION };

struct trust_key {
    enum trust_purpose purpose;
    char hint[65];
    struct public_key *key; /* owned by the trust */
    int64_t valid_from_s;
    int64_t valid_until_s; /* INT64_MAX: open; inclusive */
};

struct trust_log {
    struct bytes base_url;
    struct sha256 log_id;
    struct public_key *key; /* owned by the trust */
    int64_t valid_from_s;
    int64_t valid_until_s;
};

struct trust {
    struct arena arena;
    struct trust_log logs[TRUST_KEYS_MAX];
    size_t log_count;
    struct trust_key keys[TRUST_KEYS_MAX];
    size_t key_count;
    struct bytes origin; /* host of the logs' base URL: all logs have the same */
    /* The verifier's clock and its tolerance, set by the caller after trust_load: a receipt logged
     * later is refused. INT64_MAX, as trust_load leaves it: no clock. */
    int64_t now_s;
};

/* trust_load reads a trusted root and a signing-keys file: at least one log and one key, log ids
 * and hints recomputed from the keys, none twice. Certificate authorities, CT logs and timestamp
 * authorities are not looked at: no receipt of ours rests on them. The caller's storage; trust_done
 * frees. Errors: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
MUST_USE struct error *trust_load(struct bytes trusted_root, struct bytes signing_keys,
                                  struct trust *out);
void trust_done(struct trust *t);

/* trust_put_root and trust_put_signing_keys append the two files. Windows are open-ended. */
struct trust_source {
    struct bytes origin;
    const struct public_key *log_v1;   /* P-256 */
    const struct public_key *log_c2sp; /* Ed25519 */
    const struct public_key *attestation;
    const struct public_key *decision;
    int64_t valid_from_s;
};
void trust_put_root(struct buf *out, const struct trust_source *src);
void trust_put_signing_keys(struct buf *out, const struct trust_source *src);

/* --- verifying */
enum bundle_verdict {
    BUNDLE_REFUSED = 0,
    BUNDLE_VERIFIED,
};

/* Below `reason` everything is set only when verified: nothing of a refused receipt is handed on.
 */
struct bundle_verification {
    enum bundle_verdict verdict;
    char reason[256]; /* why refused, for a person; empty when verified */
    uint64_t index;
    uint64_t tree_size;
    struct sha256 root;
    int64_t integrated_s;
    enum trust_purpose purpose;
    struct intoto_statement statement; /* borrows from the arena */
    struct bytes checkpoint;           /* v1 form; borrows from the arena */
};

/* bundle_verify checks `receipt` offline against `trust`: form, key by hint and window, DSSE
 * signature, leaf rebuilt and equal, envelope hash, SET, inclusion proof, checkpoint signature and
 * that its origin, size and root are the proof's, submitter inside, a decision key for summaries
 * and an attestation key for the rest. When `subject_sha256` is not NULL it must be among the
 * subjects; when `predicate_type` is not empty it must be equal. `arena` needs sixteen times the
 * receipt's length.
 * A refusal is an answer. Errors: RESOURCE_EXHAUSTED, INTERNAL: could not tell. */
MUST_USE struct error *bundle_verify(struct arena *arena, struct bytes receipt,
                                     const struct trust *trust, const struct sha256 *subject_sha256,
                                     struct bytes predicate_type, struct bundle_verification *out);

/* bundle_get_envelope returns the bare envelope (JCS) of a receipt: for clients that take no
 * bundle. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *bundle_get_envelope(struct arena *arena, struct bytes receipt,
                                           struct bytes *out);

#endif
