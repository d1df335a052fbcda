/*
 * The keys' files, below the folder that the caller names:
 *
 *   file             purpose             algorithm
 *   attestation.key  SIGNER_ATTESTATION  P-256
 *   decision.key     SIGNER_DECISION     P-256
 *   log-v1.key       SIGNER_LOG_V1       P-256
 *   log-c2sp.key     SIGNER_LOG_C2SP     Ed25519
 *
 * Each is sealed (crypto/seal.c) under a secret of its own, derived from the caller's by the
 * purpose's label: so a file under another's name does not open, and who can write to the folder
 * without knowing the secret cannot make the gate sign with the attestation key.
 */
#include "signer/signer.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "bundle/bundle.h"
#include "dsse/dsse.h"
#include "file/file.h"
#include "note/note.h"

#define KEY_FILE_MAX ((size_t)4096)
/* What PAE, SET and checkpoint add to what they carry; the base64 of a leaf is counted apart. */
#define FRAME_MAX ((size_t)1024)

static const struct {
    const char *file;
    const char *label;
    enum key_algorithm algorithm;
} purposes[SIGNER_PURPOSE_COUNT] = {
    [SIGNER_ATTESTATION] = {"attestation.key", "attestd key attestation", KEY_P256},
    [SIGNER_DECISION] = {"decision.key", "attestd key decision", KEY_P256},
    [SIGNER_LOG_V1] = {"log-v1.key", "attestd key log-v1", KEY_P256},
    [SIGNER_LOG_C2SP] = {"log-c2sp.key", "attestd key log-c2sp", KEY_ED25519},
};

struct signer {
    struct signing_key *keys[SIGNER_PURPOSE_COUNT]; /* owned */
    struct sha256 log_id;
};

/* --- making, loading, saving */

static struct signer *complete(struct signer *s) {
    s->log_id = note_log_id_spki(public_key_spki(signer_public(s, SIGNER_LOG_V1)));
    return s;
}

struct error *signer_generate(struct signer **out) {
    CLEANUP(signer_freep) struct signer *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    for (size_t i = 0; i < SIGNER_PURPOSE_COUNT; i++)
        TRY(signing_key_generate(purposes[i].algorithm, &s->keys[i]));
    *out = complete(MOVE(s));
    return NULL;
}

static struct error *load_key(struct arena *arena, const char *path, size_t purpose,
                              const struct secret *wrap, struct signing_key **out) {
    CLEANUP(secret_freep) struct secret *own = NULL;
    CLEANUP(signing_key_freep) struct signing_key *key = NULL;
    struct bytes sealed = {0};
    TRY(secret_derive(wrap, purposes[purpose].label, &own));
    TRY(file_read(arena, path, KEY_FILE_MAX, &sealed));
    struct error *err = signing_key_unseal(sealed, own, &key);
    if (err != NULL) return error_wrap(err, "key file %s", path);
    if (public_key_algorithm(signing_key_public(key)) != purposes[purpose].algorithm)
        return error_new(ERROR_INVALID_ARGUMENT, "key file %s: another algorithm's key", path);
    *out = MOVE(key);
    return NULL;
}

struct error *signer_load(const char *dir, const struct secret *wrap, struct signer **out) {
    CLEANUP(signer_freep) struct signer *s = alloc_zero(1, sizeof *s);
    if (s == NULL) return error_nomem();
    struct error *err = NULL;
    for (size_t i = 0; i < SIGNER_PURPOSE_COUNT && err == NULL; i++) {
        struct file_path path;
        struct arena arena;
        arena_init(&arena, 2 * KEY_FILE_MAX);
        err = file_path_join(dir, purposes[i].file, &path);
        if (err == NULL) err = load_key(&arena, path.text, i, wrap, &s->keys[i]);
        arena_done(&arena);
    }
    if (err != NULL) return err;
    *out = complete(MOVE(s));
    return NULL;
}

static struct error *save_key(struct arena *arena, const struct signer *s, size_t purpose,
                              const char *path, const struct secret *wrap) {
    CLEANUP(secret_freep) struct secret *own = NULL;
    struct bytes sealed = {0};
    TRY(secret_derive(wrap, purposes[purpose].label, &own));
    TRY(signing_key_seal(s->keys[purpose], own, arena, &sealed));
    return file_write(path, sealed, 0600, FILE_NEW);
}

struct error *signer_save(const struct signer *s, const char *dir, const struct secret *wrap) {
    struct error *err = NULL;
    for (size_t i = 0; i < SIGNER_PURPOSE_COUNT && err == NULL; i++) {
        struct file_path path;
        struct arena arena;
        arena_init(&arena, KEY_FILE_MAX);
        err = file_path_join(dir, purposes[i].file, &path);
        if (err == NULL) err = save_key(&arena, s, i, path.text, wrap);
        arena_done(&arena);
    }
    return err;
}

const struct public_key *signer_public(const struct signer *s, enum signer_purpose purpose) {
    ASSERT(purpose < SIGNER_PURPOSE_COUNT);
    return signing_key_public(s->keys[purpose]);
}

const struct sha256 *signer_log_id(const struct signer *s) { return &s->log_id; }

void signer_free(struct signer *s) {
    if (s == NULL) return;
    for (size_t i = 0; i < SIGNER_PURPOSE_COUNT; i++) signing_key_free(s->keys[i]);
    alloc_free(s);
}

/* --- signing */

/* Signs what `message` holds, and frees it. `what` names it for errors. */
static struct error *sign(const struct signer *s, enum signer_purpose purpose, struct buf *message,
                          const char *what, struct signature *out) {
    struct error *err = buf_finish(message, what);
    if (err == NULL) err = signing_key_sign(s->keys[purpose], buf_bytes(message), out);
    buf_done(message);
    return err;
}

struct error *signer_sign_statement(const struct signer *s, enum signer_purpose purpose,
                                    struct bytes payload, struct signature *out) {
    ASSERT(purpose == SIGNER_ATTESTATION || purpose == SIGNER_DECISION);
    struct buf pae;
    buf_init(&pae, payload.len + FRAME_MAX);
    dsse_put_pae(&pae, BYTES_LIT(DSSE_INTOTO_TYPE), payload);
    return sign(s, purpose, &pae, "statement", out);
}

struct error *signer_sign_set(const struct signer *s, struct bytes leaf, int64_t integrated_s,
                              uint64_t index, struct signature *out) {
    struct buf payload;
    buf_init(&payload, leaf.len / 3 * 4 + FRAME_MAX);
    bundle_put_set_payload(&payload, leaf, integrated_s, &s->log_id, index);
    return sign(s, SIGNER_LOG_V1, &payload, "signed entry timestamp", out);
}

struct note_line {
    struct bytes name;
    uint32_t key_hint;
    enum signer_purpose purpose;
};

/* Signs the checkpoint body in `note`, puts the signature line behind it and all of it into `out`,
 * which stays as it was on failure. */
static struct error *put_note(const struct signer *s, struct buf *note,
                              const struct note_line *line, struct buf *out) {
    TRY(buf_finish(note, "checkpoint"));
    struct signature sig;
    TRY(signing_key_sign(s->keys[line->purpose], buf_bytes(note), &sig));
    note_put_signature(note, true, line->name, line->key_hint, signature_bytes(&sig));
    TRY(buf_finish(note, "checkpoint"));
    buf_put(out, buf_bytes(note));
    return buf_finish(out, "checkpoint");
}

struct error *signer_put_checkpoint_v1(const struct signer *s, struct buf *out, struct bytes origin,
                                       uint64_t tree_id, uint64_t size, const struct sha256 *root) {
    struct buf first_line, note;
    buf_init(&first_line, NOTE_OCTETS_MAX);
    buf_init(&note, NOTE_OCTETS_MAX);
    buf_put(&first_line, origin);
    buf_put_cstr(&first_line, " - ");
    buf_put_dec(&first_line, tree_id);
    struct error *err = buf_finish(&first_line, "checkpoint");
    struct note_line line = {origin, note_hint(&s->log_id), SIGNER_LOG_V1};
    if (err == NULL) {
        checkpoint_put_body(&note, buf_bytes(&first_line), size, root);
        err = put_note(s, &note, &line, out);
    }
    buf_done(&first_line);
    buf_done(&note);
    return err;
}

struct error *signer_put_checkpoint_c2sp(const struct signer *s, struct buf *out,
                                         struct bytes origin, uint64_t size,
                                         const struct sha256 *root) {
    struct bytes raw = public_key_raw(signer_public(s, SIGNER_LOG_C2SP));
    struct sha256 log_id = note_log_id_ed25519(origin, raw);
    struct note_line line = {origin, note_hint(&log_id), SIGNER_LOG_C2SP};
    struct buf note;
    buf_init(&note, NOTE_OCTETS_MAX);
    checkpoint_put_body(&note, origin, size, root);
    struct error *err = put_note(s, &note, &line, out);
    buf_done(&note);
    return err;
}
