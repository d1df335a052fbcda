/*
 * Key hints, checking a note's signatures, and verifier keys.
 *
 *   log id     Ed25519  SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key (32))
 *              P-256    SHA-256(SubjectPublicKeyInfo DER): no name in it
 *   hint       the first four octets of the log id, big-endian
 *   vkey       name "+" hex(hint) "+" base64(0x01 ‖ public key (32))
 */
#include "base/assert.h"
#include "base/reader.h"
#include "codec/codec.h"
#include "note/note.h"

#define ALGORITHM_ED25519 0x01
#define ED25519_OCTETS ((size_t)32)

/* What stands before the 32 octets of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, 4). */
static const uint8_t ed25519_spki_prefix[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

struct sha256 note_log_id_ed25519(struct bytes name, struct bytes public_raw32) {
    /* SPEC c2sp-signed-note Ed25519 signatures: "key ID = SHA-256(key name || 0x0A || 0x01 ||
     * 32-byte Ed25519 public key)[:4]" */
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, name);
    sha256_update(&ctx, BYTES_LIT("\n\x01"));
    sha256_update(&ctx, public_raw32);
    return sha256_final(&ctx);
}

struct sha256 note_log_id_spki(struct bytes spki) {
    return sha256_of(spki);
}

uint32_t note_hint(const struct sha256 *log_id) {
    struct reader r = reader_of(sha256_bytes(log_id));
    return reader_u32be(&r, "hint");
}

static uint32_t hint_of_key(struct bytes name, const struct public_key *key) {
    struct sha256 id = public_key_algorithm(key) == KEY_ED25519
                           ? note_log_id_ed25519(name, public_key_raw(key))
                           : note_log_id_spki(public_key_spki(key));
    return note_hint(&id);
}

struct error *note_verify(const struct note *note, struct bytes name, const struct public_key *key,
                          bool *out_valid) {
    uint32_t hint = hint_of_key(name, key);
    bool valid = false;
    for (size_t i = 0; i < note->signature_count; i++) {
        const struct note_signature *s = &note->signatures[i];
        /* SPEC c2sp-signed-note Signatures: "Verifiers MUST ignore signatures from unknown keys,
         * even if they share a name or ID (but not both) with a known key. If the key name and ID
         * match a known key, verifiers MUST verify the signature." */
        if (s->key_hint != hint || !bytes_equal(s->name, name)) continue;
        TRY(public_key_verify(key, note->text, s->sig, &valid));
        if (!valid) break;
    }
    *out_valid = valid;
    return NULL;
}

void note_put_vkey(struct buf *out, struct bytes name, const struct public_key *ed25519) {
    struct bytes raw = public_key_raw(ed25519);
    ASSERT(raw.len == ED25519_OCTETS && note_name_is_valid(name));
    uint8_t typed[1 + ED25519_OCTETS] = {ALGORITHM_ED25519};
    memcpy(typed + 1, raw.data, raw.len);
    buf_put(out, name);
    buf_printf(out, "+%08x+", hint_of_key(name, ed25519));
    base64_put(out, (struct bytes){typed, sizeof typed});
}

/* key_of_typed makes the key of 0x01 ‖ 32 octets. */
static struct error *key_of_typed(struct bytes typed, struct public_key **out) {
    if (typed.len != 1 + ED25519_OCTETS || typed.data[0] != ALGORITHM_ED25519)
        return error_new(ERROR_INVALID_ARGUMENT, "verifier key: not an Ed25519 key");
    uint8_t spki[sizeof ed25519_spki_prefix + ED25519_OCTETS];
    memcpy(spki, ed25519_spki_prefix, sizeof ed25519_spki_prefix);
    memcpy(spki + sizeof ed25519_spki_prefix, typed.data + 1, ED25519_OCTETS);
    return public_key_from_spki((struct bytes){spki, sizeof spki}, out);
}

static struct error *decode_key(struct bytes base64, struct public_key **out) {
    struct arena arena;
    struct bytes typed = {0};
    arena_init(&arena, 1024);
    struct error *err = base64.len > 256
                            ? error_new(ERROR_INVALID_ARGUMENT, "verifier key: too long")
                            : base64_decode(&arena, base64, BASE64_STANDARD, &typed);
    if (err == NULL) err = key_of_typed(typed, out);
    arena_done(&arena);
    return err;
}

struct error *note_vkey_parse(struct bytes in, struct bytes *out_name,
                              struct public_key **out_key) {
    struct reader r = reader_of(in);
    struct bytes name = reader_until(&r, '+', "key name");
    struct bytes hint_hex = reader_until(&r, '+', "key hint");
    struct bytes base64 = reader_take(&r, r.rest.len, "key");
    TRY(reader_finish(&r, "verifier key"));
    uint8_t hint[4];
    if (!note_name_is_valid(name) || !hex_decode(hint_hex, hint, sizeof hint))
        return error_new(ERROR_INVALID_ARGUMENT, "verifier key: bad name or hint");

    CLEANUP(public_key_freep) struct public_key *key = NULL;
    TRY(decode_key(base64, &key));
    struct reader h = reader_of((struct bytes){hint, sizeof hint});
    if (reader_u32be(&h, "hint") != hint_of_key(name, key))
        return error_new(ERROR_INVALID_ARGUMENT, "verifier key: the hint is not of this key");
    *out_name = name;
    *out_key = MOVE(key);
    return NULL;
}
