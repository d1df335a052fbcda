/* fuzz_note: a note that is accepted is laid out from its parts as the very octets that were read,
 * and checking it against a key that did not sign it says no. */
#include <stdlib.h>

#include "base/arena.h"
#include "note/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(expr)                                                                                \
    do {                                                                                           \
        if (!(expr)) abort();                                                                      \
    } while (0)

/* The key of C2SP's example: what it signed is one text that is easy to leave out. */
static const char vkey[] = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

static void check_layout(struct bytes in, const struct note *note) {
    struct buf out;
    buf_init(&out, NOTE_OCTETS_MAX);
    buf_put(&out, note->text);
    for (size_t i = 0; i < note->signature_count; i++) {
        const struct note_signature *s = &note->signatures[i];
        if (s->sig.len > NOTE_SIGNATURE_MAX) break;
        note_put_signature(&out, i == 0, s->name, s->key_hint, s->sig);
        if (i + 1 == note->signature_count) CHECK(bytes_equal(buf_bytes(&out), in));
    }
    buf_done(&out);
}

static void check_verdict(const struct note *note) {
    static struct public_key *key;
    static struct bytes name;
    if (key == NULL) CHECK(note_vkey_parse(bytes_of_cstr(vkey), &name, &key) == NULL);
    bool valid = true;
    CHECK(note_verify(note, name, key, &valid) == NULL);
    CHECK(!valid || bytes_equal(note->text, BYTES_LIT("This is an example message.\n")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    struct arena arena;
    struct note note;
    arena_init(&arena, NOTE_OCTETS_MAX);
    CLEANUP(error_freep) struct error *err = note_parse(&arena, in, &note);
    if (err == NULL) {
        CHECK(note.signature_count >= 1 && note.signature_count <= NOTE_SIGNATURES_MAX);
        check_layout(in, &note);
        check_verdict(&note);
    }
    arena_done(&arena);
    return 0;
}
