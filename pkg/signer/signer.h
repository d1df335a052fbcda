/*
 * signer: the only place where private keys are used. It signs typed things, never octets that a
 * caller made up: our PAE of an in-toto payload, a SET, a checkpoint. One key per purpose. A
 * process of its own must remain a local change. Thread-safe.
 */
#ifndef SIGNER_SIGNER_H
#define SIGNER_SIGNER_H

#include "base/error.h"
#include "crypto/key.h"
#include "merkle/merkle.h"

enum signer_purpose {
    SIGNER_ATTESTATION, /* P-256: statements submitted by others */
    SIGNER_DECISION,    /* P-256: the gate's summaries */
    SIGNER_LOG_V1,      /* P-256: v1-form checkpoints and SETs */
    SIGNER_LOG_C2SP,    /* Ed25519: C2SP checkpoints */
    SIGNER_PURPOSE_COUNT,
};

struct signer;

/* signer_generate makes four new keys. signer_load reads `dir`/<purpose>.key, sealed under `wrap`;
 * signer_save writes them (0600, written whole, fsynced, folder too; never over an existing file).
 * Errors: FAILED_PRECONDITION if a file does not open with `wrap`; NOT_FOUND, INVALID_ARGUMENT,
 * UNAVAILABLE. */
MUST_USE struct error *signer_generate(struct signer **out);
MUST_USE struct error *signer_load(const char *dir, const struct secret *wrap, struct signer **out);
MUST_USE struct error *signer_save(const struct signer *s, const char *dir,
                                   const struct secret *wrap);

/* signer_public borrows; owned by `s`. */
const struct public_key *signer_public(const struct signer *s, enum signer_purpose purpose);

/* signer_sign_statement signs the DSSE PAE of an in-toto payload. `purpose` is ATTESTATION or
 * DECISION (asserted). The signer itself builds the PAE. */
MUST_USE struct error *signer_sign_statement(const struct signer *s, enum signer_purpose purpose,
                                             struct bytes payload, struct signature *out);

/* signer_sign_set signs a signed entry timestamp with the log-v1 key. */
MUST_USE struct error *signer_sign_set(const struct signer *s, struct bytes leaf,
                                       int64_t integrated_s, uint64_t index, struct signature *out);

/* signer_put_checkpoint_v1 appends the signed note "<origin> - <tree id>" with one P-256 line, and
 * signer_put_checkpoint_c2sp the C2SP one with an Ed25519 line. */
MUST_USE struct error *signer_put_checkpoint_v1(const struct signer *s, struct buf *out,
                                                struct bytes origin, uint64_t tree_id,
                                                uint64_t size, const struct sha256 *root);
MUST_USE struct error *signer_put_checkpoint_c2sp(const struct signer *s, struct buf *out,
                                                  struct bytes origin, uint64_t size,
                                                  const struct sha256 *root);

/* signer_log_id is SHA-256 of the log-v1 key's SPKI. */
const struct sha256 *signer_log_id(const struct signer *s);

void signer_free(struct signer *s);
DEFINE_CLEANUP(struct signer, signer_free);

#endif
