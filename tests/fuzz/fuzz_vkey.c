/* fuzz_vkey: a verifier key that is accepted is laid out from its parts as the very octets that
 * were read, its hint is the one that C2SP derives from name and key, and no octet of it may
 * change. The input is a line; then its first 32 octets are a key and the others a name, laid out
 * with the hint that nobody would guess. */
#include <stdio.h>
#include <stdlib.h>

#include "note/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY ((size_t)32)
#define NAME_MAX_OCTETS ((size_t)200)

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

static bool reads(struct bytes in) {
    struct bytes name;
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    CLEANUP(error_freep) struct error *err = note_vkey_parse(in, &name, &key);
    CHECK((err == NULL) == (key != NULL));
    if (err != NULL) CHECK(error_code(err) == ERROR_INVALID_ARGUMENT);
    return err == NULL;
}

static void check_parts(struct bytes in) {
    struct bytes name;
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    CLEANUP(buf_done) struct buf again;
    char hint[9];
    buf_init(&again, NOTE_OCTETS_MAX * 2);
    CHECK(note_vkey_parse(in, &name, &key) == NULL);
    CHECK(note_name_is_valid(name) && public_key_algorithm(key) == KEY_ED25519);
    struct sha256 id = note_log_id_ed25519(name, public_key_raw(key));
    (void)snprintf(hint, sizeof hint, "%08x", note_hint(&id));
    CHECK(memcmp(in.data + name.len + 1, hint, 8) == 0);
    note_put_vkey(&again, name, key);
    CHECK(bytes_equal(buf_bytes(&again), in));
}

static void check_changes(struct bytes in) {
    uint8_t copy[NAME_MAX_OCTETS + 64];
    if (in.len > sizeof copy) return;
    memcpy(copy, in.data, in.len);
    for (size_t i = 0; i < in.len; i++) {
        CHECK(!reads((struct bytes){copy, i}));
        copy[i] ^= (uint8_t)(1U << (in.len + i) % 8);
        CHECK(!reads((struct bytes){copy, in.len}));
        copy[i] = in.data[i];
    }
}

static void check(struct bytes in) {
    if (!reads(in)) return;
    check_parts(in);
    check_changes(in);
}

/* What stands before the octets of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, 4). */
static const uint8_t prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static void lay_out(const uint8_t raw[KEY], struct bytes name) {
    uint8_t spki[sizeof prefix + KEY];
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    CLEANUP(buf_done) struct buf line;
    buf_init(&line, NOTE_OCTETS_MAX);
    if (!note_name_is_valid(name) || name.len > NAME_MAX_OCTETS) return;
    memcpy(spki, prefix, sizeof prefix);
    memcpy(spki + sizeof prefix, raw, KEY);
    CLEANUP(error_freep)
    struct error *err = public_key_from_spki((struct bytes){spki, sizeof spki}, &key);
    if (err != NULL) return; /* no point of the curve, or not of the prime-order group */
    note_put_vkey(&line, name, key);
    CHECK(reads(buf_bytes(&line)));
    check(buf_bytes(&line));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check((struct bytes){data, size});
    if (size > KEY) lay_out(data, (struct bytes){data + KEY, size - KEY});
    return 0;
}
