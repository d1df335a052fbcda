/*
 * note: signed notes and checkpoints, in the C2SP form (Ed25519) and in the Rekor v1 form (P-256,
 * one signature line). Pure; signing is done elsewhere: here notes are laid out, read and checked.
 * Implements: C2SP signed-note, tlog-checkpoint; reference rekor pkg/util/signed_note.go (v1 form).
 */
#ifndef NOTE_NOTE_H
#define NOTE_NOTE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/hash.h"
#include "crypto/key.h"

#define NOTE_SIGNATURES_MAX 16
#define NOTE_OCTETS_MAX ((size_t)64 << 10)
#define NOTE_SIGNATURE_MAX ((size_t)2560) /* octets: room for an ML-DSA-44 cosignature */

/* note_name_is_valid says whether `name` may name a key, and so be an origin of ours: UTF-8, not
 * empty, no Unicode space, no control octet, no '+'. */
bool note_name_is_valid(struct bytes name);

/* struct checkpoint is a parsed body; views borrow from the text. */
struct checkpoint {
    struct bytes origin; /* first line; never empty */
    uint64_t size;       /* leaves */
    struct sha256 root;
};

struct note_signature {
    struct bytes name;
    uint32_t key_hint; /* the first four octets, big-endian */
    struct bytes sig;  /* what follows the hint, decoded */
};

struct note {
    struct bytes text; /* the signed octets, with their final newline */
    size_t signature_count;
    struct note_signature signatures[NOTE_SIGNATURES_MAX];
};

/* note_parse reads a signed note; `*out` borrows from `in` and `arena`.
 * Errors: INVALID_ARGUMENT. */
MUST_USE struct error *note_parse(struct arena *arena, struct bytes in, struct note *out);

/* checkpoint_parse reads a checkpoint body (note text). Extension lines are accepted where
 * `allow_extensions` (C2SP), refused else. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *checkpoint_parse(struct bytes text, bool allow_extensions,
                                        struct checkpoint *out);

/* checkpoint_put_body appends "<origin>\n<size>\n<base64 root>\n". */
void checkpoint_put_body(struct buf *out, struct bytes origin, uint64_t size,
                         const struct sha256 *root);

/* note_put_signature appends "\n" if it is the first line, and the line of `name` with the base64
 * of hint and `sig`. `first` says that the blank line must come before it. `name` is valid and
 * `sig` neither empty nor over NOTE_SIGNATURE_MAX (asserted). */
void note_put_signature(struct buf *out, bool first, struct bytes name, uint32_t key_hint,
                        struct bytes sig);

/* note_hint_ed25519: SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)[:4] (C2SP). note_hint_spki:
 * SHA-256(SPKI)[:4] (Rekor v1, and C2SP's type 0x02). note_log_id_* are the 32 octets of it. */
struct sha256 note_log_id_ed25519(struct bytes name, struct bytes public_raw32);
struct sha256 note_log_id_spki(struct bytes spki);
uint32_t note_hint(const struct sha256 *log_id);

/* note_verify answers whether `note` has a valid signature by `key` under `name`. A note with a
 * line of that name and hint whose signature fails is a "no". */
MUST_USE struct error *note_verify(const struct note *note, struct bytes name,
                                   const struct public_key *key, bool *out_valid);

/* note_put_vkey (asserts an Ed25519 key and a valid name) appends the verifier key line
 * "name+hex8(hint)+base64(0x01 ‖ key)" (C2SP); note_vkey_parse reads one: the name borrows from
 * `in`, the key is owned by the caller. */
void note_put_vkey(struct buf *out, struct bytes name, const struct public_key *ed25519);
MUST_USE struct error *note_vkey_parse(struct bytes in, struct bytes *out_name,
                                       struct public_key **out_key);

#endif
