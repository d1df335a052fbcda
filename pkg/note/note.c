/*
 * Signed notes. The octets:
 *
 *   text         any UTF-8 but control octets; ends in 0x0A; may hold blank lines itself
 *   0x0A         the last blank line of the whole
 *   one line for each signature:
 *     E2 80 94 20  em dash, space
 *     key name     up to the next 0x20
 *     0x20
 *     base64(key hint (4, big-endian) ‖ signature), 0x0A
 *
 * What is signed is the text with its final 0x0A, without the blank line.
 */
#include "note/note.h"

#include "base/assert.h"
#include "base/reader.h"
#include "codec/codec.h"

#define SIGNATURE_PREFIX "\xe2\x80\x94 "
#define HINT_OCTETS ((size_t)4)

/* The UTF-8 forms of what Unicode calls White_Space, beyond ASCII's. */
static const char *const wide_spaces[] = {
    "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
    "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
    "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
    "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
};

static bool starts_with_space(struct bytes in) {
    for (size_t i = 0; i < sizeof wide_spaces / sizeof *wide_spaces; i++) {
        if (bytes_start_with(in, bytes_of_cstr(wide_spaces[i]))) return true;
    }
    return false;
}

bool note_name_is_valid(struct bytes name) {
    /* SPEC c2sp-signed-note Format: "Key names MUST be non-empty and MUST NOT contain any Unicode
     * spaces or plus (U+002B) characters." */
    if (name.len == 0 || !bytes_are_utf8(name)) return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] == '+') return false;
        if (starts_with_space((struct bytes){name.data + i, name.len - i})) return false;
    }
    return true;
}

/* check_octets refuses what no part of a note may hold. */
static struct error *check_octets(struct bytes in) {
    if (in.len > NOTE_OCTETS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "note: over %zu octets", NOTE_OCTETS_MAX);
    /* SPEC c2sp-signed-note Format: "Signed notes MUST be valid UTF-8 and MUST NOT contain any
     * ASCII control characters (those below U+0020) other than newline." */
    if (!bytes_are_utf8(in)) return error_new(ERROR_INVALID_ARGUMENT, "note: not UTF-8");
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] < ' ' && in.data[i] != '\n')
            return error_new(ERROR_INVALID_ARGUMENT, "note: control octet at %zu", i);
    }
    return NULL;
}

/* split cuts `in` at its last blank line: the text keeps its newline, the lines follow. */
static struct error *split(struct bytes in, struct bytes *out_text, struct bytes *out_lines) {
    /* SPEC c2sp-signed-note Format: "The note text MAY contain empty lines; the text is separated
     * from the signatures by the last empty line in the note." */
    for (size_t i = in.len; i >= 2; i--) {
        if (in.data[i - 1] != '\n' || in.data[i - 2] != '\n') continue;
        *out_text = (struct bytes){in.data, i - 1};
        *out_lines = (struct bytes){in.data + i, in.len - i};
        return out_text->len > 1 ? NULL : error_new(ERROR_INVALID_ARGUMENT, "note: empty text");
    }
    return error_new(ERROR_INVALID_ARGUMENT, "note: no blank line before the signatures");
}

static struct error *read_signature(struct arena *arena, struct bytes line,
                                    struct note_signature *out) {
    struct reader r = reader_of(line);
    reader_expect(&r, BYTES_LIT(SIGNATURE_PREFIX), "em dash");
    struct bytes name = reader_until(&r, ' ', "key name");
    struct bytes base64 = reader_take(&r, r.rest.len, "signature");
    TRY(reader_finish(&r, "note: signature line"));
    if (!note_name_is_valid(name))
        return error_new(ERROR_INVALID_ARGUMENT, "note: signature line: bad key name");

    struct bytes blob = {0};
    struct error *err = base64_decode(arena, base64, BASE64_STANDARD, &blob);
    if (err != NULL) return error_wrap(err, "note: signature line");
    struct reader b = reader_of(blob);
    uint32_t hint = reader_u32be(&b, "key hint");
    if (b.failed != NULL || b.rest.len == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "note: signature line: cut short");
    *out = (struct note_signature){.name = name, .key_hint = hint, .sig = b.rest};
    return NULL;
}

struct error *note_parse(struct arena *arena, struct bytes in, struct note *out) {
    struct note note = {0};
    struct bytes lines = {0};
    TRY(check_octets(in));
    TRY(split(in, &note.text, &lines));
    if (lines.len == 0) return error_new(ERROR_INVALID_ARGUMENT, "note: no signature");

    struct reader r = reader_of(lines);
    while (r.rest.len > 0) {
        struct bytes line = reader_line(&r, "newline after a signature");
        if (r.failed != NULL) break;
        /* SPEC c2sp-signed-note Format: "Verifiers SHOULD apply a maximum limit to the number of
         * signatures in a note [...], but MUST accept at least up to 16 signatures." */
        if (note.signature_count == NOTE_SIGNATURES_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "note: over %d signatures",
                             NOTE_SIGNATURES_MAX);
        TRY(read_signature(arena, line, &note.signatures[note.signature_count]));
        note.signature_count++;
    }
    TRY(reader_finish(&r, "note"));
    *out = note;
    return NULL;
}

void note_put_signature(struct buf *out, bool first, struct bytes name, uint32_t key_hint,
                        struct bytes sig) {
    ASSERT(sig.len > 0 && sig.len <= NOTE_SIGNATURE_MAX);
    ASSERT(note_name_is_valid(name)); /* never write what note_parse would refuse */
    uint8_t blob[HINT_OCTETS + NOTE_SIGNATURE_MAX];
    for (unsigned i = 0; i < HINT_OCTETS; i++) blob[i] = (uint8_t)(key_hint >> (24 - 8 * i));
    memcpy(blob + HINT_OCTETS, sig.data, sig.len);
    if (first) buf_put_cstr(out, "\n");
    buf_put_cstr(out, SIGNATURE_PREFIX);
    buf_put(out, name);
    buf_put_cstr(out, " ");
    base64_put(out, (struct bytes){blob, HINT_OCTETS + sig.len});
    buf_put_cstr(out, "\n");
}
