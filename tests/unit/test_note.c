#include <check.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "codec/codec.h"
#include "crypto/secret.h"
#include "merkle/merkle.h"
#include "note/note.h"

#define ROOT_B64 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define BODY "example.com/log\n42\n" ROOT_B64 "\n"
#define LINE "\xe2\x80\x94 example.com/log AAECA3NpZ25hdHVyZQ==\n" /* 00010203 "signature" */

static struct arena arena;

static void setup(void) {
    ck_assert_ptr_null(crypto_init());
    arena_init(&arena, 1 << 20);
}

static void teardown(void) { arena_done(&arena); }

static struct bytes load(const char *name) {
    char path[256];
    static uint8_t octets[8][4096];
    static size_t next;
    (void)snprintf(path, sizeof path, "testdata/note/%s", name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "missing %s", path);
    uint8_t *into = octets[next++ % 8];
    size_t len = fread(into, 1, sizeof octets[0], f);
    (void)fclose(f);
    ck_assert(len > 0 && len < sizeof octets[0]);
    return (struct bytes){into, len};
}

static bool verifies(struct bytes in, struct bytes name, const struct public_key *key) {
    struct note note;
    bool valid = false;
    struct error *err = note_parse(&arena, in, &note);
    if (err == NULL) err = note_verify(&note, name, key, &valid);
    bool ok = err == NULL && valid;
    error_free(err);
    return ok;
}

/* --- vectors */
static const struct {
    const char *note;
    const char *vkey;
    struct bytes name;
    size_t signatures;
} ed25519_notes[] = {
    {"c2sp-example.note", "c2sp-example.vkey", BYTES_LIT("example.com/foo"), 1},
    {"go-two.note", "go-peter.vkey", BYTES_LIT("PeterNeumann"), 2},
    {"go-two.note", "go-enoch.vkey", BYTES_LIT("EnochRoot"), 2},
};

/* SPEC c2sp-signed-note Ed25519 signatures */
START_TEST(test_notes_of_others_verify) {
    for (size_t i = 0; i < sizeof ed25519_notes / sizeof *ed25519_notes; i++) {
        struct bytes name;
        CLEANUP(public_key_freep) struct public_key *key = NULL;
        struct bytes vkey = load(ed25519_notes[i].vkey);
        ck_assert_ptr_null(note_vkey_parse(vkey, &name, &key));
        ck_assert(bytes_equal(name, ed25519_notes[i].name));
        struct note note;
        struct bytes in = load(ed25519_notes[i].note);
        ck_assert_ptr_null(note_parse(&arena, in, &note));
        ck_assert_uint_eq(note.signature_count, ed25519_notes[i].signatures);
        ck_assert(verifies(in, name, key));
        ck_assert(!verifies(in, BYTES_LIT("another"), key));

        struct buf out;
        buf_init(&out, 256);
        note_put_vkey(&out, name, key);
        ck_assert(bytes_equal(buf_bytes(&out), vkey));
        buf_done(&out);
    }
}
END_TEST

static const struct {
    const char *note;
    const char *pem;
    struct bytes name;
    struct bytes origin;
    uint64_t size;
    bool extensions;
} checkpoints[] = {
    {"rekor-v1.note", "rekor-v1.pem", BYTES_LIT("rekor.sigstore.dev"),
     BYTES_LIT("rekor.sigstore.dev - 1193050959916656506"), 33786589, false},
    {"rekor-v1-timestamp.note", "rekor-v1-staging.pem", BYTES_LIT("rekor.sigstage.dev"),
     BYTES_LIT("rekor.sigstage.dev - 8050909264565447525"), 11574656, true},
    {"rekor-v2-cosigned.note", "rekor-v2.pem", BYTES_LIT("log2025-alpha1.rekor.sigstage.dev"),
     BYTES_LIT("log2025-alpha1.rekor.sigstage.dev"), 736, false},
};

START_TEST(test_checkpoints_of_others_verify_and_read) {
    for (size_t i = 0; i < sizeof checkpoints / sizeof *checkpoints; i++) {
        CLEANUP(public_key_freep) struct public_key *key = NULL;
        ck_assert_ptr_null(public_key_from_pem(load(checkpoints[i].pem), &key));
        struct bytes in = load(checkpoints[i].note);
        ck_assert_msg(verifies(in, checkpoints[i].name, key), "%s", checkpoints[i].note);
        struct note note;
        struct checkpoint cp;
        ck_assert_ptr_null(note_parse(&arena, in, &note));
        ck_assert_ptr_null(checkpoint_parse(note.text, true, &cp));
        ck_assert(bytes_equal(cp.origin, checkpoints[i].origin));
        ck_assert_uint_eq(cp.size, checkpoints[i].size);
        CLEANUP(error_freep) struct error *err = checkpoint_parse(note.text, false, &cp);
        ck_assert_msg((err != NULL) == checkpoints[i].extensions, "%s", checkpoints[i].note);
    }
}
END_TEST

/* --- laying out what is read back */
START_TEST(test_a_note_laid_out_reads_back) {
    CLEANUP(signing_key_freep) struct signing_key *ed = NULL;
    CLEANUP(signing_key_freep) struct signing_key *p256 = NULL;
    ck_assert_ptr_null(signing_key_generate(KEY_ED25519, &ed));
    ck_assert_ptr_null(signing_key_generate(KEY_P256, &p256));
    const struct public_key *ed_pub = signing_key_public(ed);
    const struct public_key *p256_pub = signing_key_public(p256);
    struct bytes name = BYTES_LIT("example.com/log");
    struct sha256 ed_id = note_log_id_ed25519(name, public_key_raw(ed_pub));
    struct sha256 p256_id = note_log_id_spki(public_key_spki(p256_pub));
    struct sha256 root = merkle_empty_root();

    struct buf out;
    struct signature sig;
    buf_init(&out, 4096);
    checkpoint_put_body(&out, name, 0, &root);
    ck_assert(bytes_equal(buf_bytes(&out), BYTES_LIT("example.com/log\n0\n" ROOT_B64 "\n")));
    size_t text_len = out.len;
    ck_assert_ptr_null(signing_key_sign(ed, buf_bytes(&out), &sig));
    note_put_signature(&out, true, name, note_hint(&ed_id), signature_bytes(&sig));
    struct bytes text = {out.data, text_len};
    ck_assert_ptr_null(signing_key_sign(p256, text, &sig));
    note_put_signature(&out, false, name, note_hint(&p256_id), signature_bytes(&sig));
    ck_assert_ptr_null(buf_finish(&out, "note"));

    ck_assert(verifies(buf_bytes(&out), name, ed_pub));
    ck_assert(verifies(buf_bytes(&out), name, p256_pub));
    struct note note;
    struct checkpoint cp;
    ck_assert_ptr_null(note_parse(&arena, buf_bytes(&out), &note));
    ck_assert_uint_eq(note.signature_count, 2);
    ck_assert_uint_eq(note.signatures[0].key_hint, note_hint(&ed_id));
    ck_assert_uint_eq(note.signatures[1].key_hint, note_hint(&p256_id));
    ck_assert_ptr_null(checkpoint_parse(note.text, false, &cp));
    ck_assert(sha256_equal(&cp.root, &root));
    buf_done(&out);
}
END_TEST

START_TEST(test_text_may_hold_blank_lines) {
    struct note note;
    ck_assert_ptr_null(note_parse(&arena, BYTES_LIT("a\n\nb\n\n\n" LINE), &note));
    ck_assert(bytes_equal(note.text, BYTES_LIT("a\n\nb\n\n")));
    ck_assert_uint_eq(note.signature_count, 1);
    ck_assert_uint_eq(note.signatures[0].key_hint, 0x00010203);
    ck_assert(bytes_equal(note.signatures[0].sig, BYTES_LIT("signature")));
    ck_assert(bytes_equal(note.signatures[0].name, BYTES_LIT("example.com/log")));
}
END_TEST

#define DASH "\xe2\x80\x94 "
static const struct {
    const char *why;
    struct bytes in;
} bad_notes[] = {
    {"empty", {NULL, 0}},
    {"no signature part", BYTES_LIT(BODY)},
    {"no signature", BYTES_LIT(BODY "\n")},
    {"no text", BYTES_LIT("\n" LINE)},
    {"empty text", BYTES_LIT("\n\n" LINE)},
    {"no blank line", BYTES_LIT(BODY LINE)},
    {"no final newline", BYTES_LIT("t\n\n" DASH "n AAECA3NpZw==")},
    {"NUL", BYTES_LIT("t\0\n\n" LINE)},
    {"tab", BYTES_LIT("t\t\n\n" LINE)},
    {"carriage return", BYTES_LIT("t\r\n\n" LINE)},
    {"bad UTF-8", BYTES_LIT("\xff\n\n" LINE)},
    {"surrogate", BYTES_LIT("\xed\xa0\x80\n\n" LINE)},
    {"hyphen for em dash", BYTES_LIT("t\n\n- n AAECA3NpZw==\n")},
    {"en dash", BYTES_LIT("t\n\n\xe2\x80\x93 n AAECA3NpZw==\n")},
    {"no space after the dash", BYTES_LIT("t\n\n\xe2\x80\x94n AAECA3NpZw==\n")},
    {"two spaces", BYTES_LIT("t\n\n" DASH "n  AAECA3NpZw==\n")},
    {"space behind", BYTES_LIT("t\n\n" DASH "n AAECA3NpZw== \n")},
    {"no name", BYTES_LIT("t\n\n" DASH " AAECA3NpZw==\n")},
    {"name with plus", BYTES_LIT("t\n\n" DASH "a+b AAECA3NpZw==\n")},
    {"name with no-break space", BYTES_LIT("t\n\n" DASH "a\xc2\xa0"
                                           "b AAECA3NpZw==\n")},
    {"name with ideographic space", BYTES_LIT("t\n\n" DASH "\xe3\x80\x80 AAECA3NpZw==\n")},
    {"name with line separator", BYTES_LIT("t\n\n" DASH "a\xe2\x80\xa8 AAECA3NpZw==\n")},
    {"no signature octets", BYTES_LIT("t\n\n" DASH "n AAECAw==\n")},
    {"half a hint", BYTES_LIT("t\n\n" DASH "n AAE=\n")},
    {"empty base64", BYTES_LIT("t\n\n" DASH "n \n")},
    {"unpadded base64", BYTES_LIT("t\n\n" DASH "n AAECA3NpZw\n")},
    {"URL-safe base64", BYTES_LIT("t\n\n" DASH "n AAECA3Np_-==\n")},
    {"unused bits set", BYTES_LIT("t\n\n" DASH "n AAECA3NpZx==\n")},
    {"line behind", BYTES_LIT("t\n\n" LINE "x\n")},
    {"line between", BYTES_LIT("t\n\n" LINE "x\n" LINE)},
};

/* SPEC c2sp-signed-note Format */
START_TEST(test_malformed_notes_are_refused) {
    for (size_t i = 0; i < sizeof bad_notes / sizeof *bad_notes; i++) {
        struct note note = {.signature_count = 42};
        CLEANUP(error_freep) struct error *err = note_parse(&arena, bad_notes[i].in, &note);
        ck_assert_msg(err != NULL, "accepted: %s", bad_notes[i].why);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert_uint_eq(note.signature_count, 42);
    }
}
END_TEST

static struct error *parse_with_lines(size_t lines, struct note *note) {
    struct buf in;
    buf_init(&in, 1 << 20);
    buf_put_cstr(&in, "t\n\n");
    for (size_t i = 0; i < lines; i++) buf_put_cstr(&in, LINE);
    struct error *err = note_parse(&arena, buf_bytes(&in), note);
    buf_done(&in);
    return err;
}

START_TEST(test_sixteen_signatures_are_read_and_seventeen_refused) {
    struct note note;
    ck_assert_ptr_null(parse_with_lines(16, &note));
    ck_assert_uint_eq(note.signature_count, 16);
    CLEANUP(error_freep) struct error *err = parse_with_lines(17, &note);
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
}
END_TEST

START_TEST(test_a_note_over_the_limit_is_refused) {
    static uint8_t octets[NOTE_OCTETS_MAX + 1];
    memset(octets, 'x', sizeof octets);
    struct bytes tail = BYTES_LIT("\n\n" LINE);
    memcpy(octets + sizeof octets - tail.len, tail.data, tail.len);
    struct note note;
    ck_assert_ptr_null(note_parse(&arena, (struct bytes){octets + 1, NOTE_OCTETS_MAX}, &note));
    CLEANUP(error_freep)
    struct error *err = note_parse(&arena, (struct bytes){octets, sizeof octets}, &note);
    ck_assert_ptr_nonnull(err);
}
END_TEST

START_TEST(test_every_truncation_is_refused_or_has_fewer_lines) {
    struct bytes whole = load("go-two.note");
    for (size_t n = 0; n < whole.len; n++) {
        struct note note;
        CLEANUP(error_freep)
        struct error *err = note_parse(&arena, (struct bytes){whole.data, n}, &note);
        bool whole_lines = n > 0 && err == NULL;
        if (whole_lines) ck_assert_uint_eq(note.signature_count, 1);
        ck_assert_msg(err != NULL || whole.data[n - 1] == '\n', "accepted %zu octets", n);
    }
}
END_TEST

/* every_flip_is_refused flips each bit of a note with one signature: neither text nor line may
 * change in one bit and still verify. */
static void every_flip_is_refused(struct bytes in, struct bytes name,
                                  const struct public_key *key) {
    uint8_t octets[4096];
    memcpy(octets, in.data, in.len);
    ck_assert(verifies((struct bytes){octets, in.len}, name, key));
    for (size_t bit = 0; bit < in.len * 8; bit++) {
        octets[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_msg(!verifies((struct bytes){octets, in.len}, name, key), "bit %zu", bit);
        octets[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

START_TEST(test_every_bit_flip_is_refused) {
    struct bytes name;
    CLEANUP(public_key_freep) struct public_key *ed = NULL;
    CLEANUP(public_key_freep) struct public_key *p256 = NULL;
    ck_assert_ptr_null(note_vkey_parse(load("c2sp-example.vkey"), &name, &ed));
    every_flip_is_refused(load("c2sp-example.note"), name, ed);
    ck_assert_ptr_null(public_key_from_pem(load("rekor-v1.pem"), &p256));
    every_flip_is_refused(load("rekor-v1.note"), BYTES_LIT("rekor.sigstore.dev"), p256);
}
END_TEST

START_TEST(test_a_bad_signature_of_a_known_key_spoils_a_good_one) {
    struct bytes name;
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    ck_assert_ptr_null(note_vkey_parse(load("c2sp-example.vkey"), &name, &key));
    struct bytes good = load("c2sp-example.note");
    struct buf in;
    buf_init(&in, 4096);
    buf_put(&in, good);
    buf_put(&in, (struct bytes){good.data + 29, good.len - 29}); /* the same line again */
    ck_assert(verifies(buf_bytes(&in), name, key));
    in.data[in.len - 20] ^= 1; /* the second is another base64 now, or none */
    ck_assert(!verifies(buf_bytes(&in), name, key));
    in.data[in.len - 20] ^= 1;
    in.data[29 + 60] = in.data[29 + 60] == 'A' ? 'B' : 'A'; /* the first is bad, the second good */
    ck_assert(!verifies(buf_bytes(&in), name, key));
    buf_done(&in);
}
END_TEST

/* SPEC c2sp-signed-note Signatures */
START_TEST(test_unknown_signatures_are_ignored) {
    struct bytes name;
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    ck_assert_ptr_null(note_vkey_parse(load("c2sp-example.vkey"), &name, &key));
    struct buf in;
    buf_init(&in, 4096);
    buf_put(&in, load("c2sp-example.note"));
    buf_put_cstr(&in, DASH "example.com/foo AAECA3NpZw==\n"); /* its name, another hint */
    buf_put_cstr(&in, DASH "example.com/bar Uw2QOnNpZw==\n"); /* its hint, another name */
    ck_assert(verifies(buf_bytes(&in), name, key));
    buf_done(&in);
    ck_assert(!verifies(BYTES_LIT("t\n\n" DASH "example.com/foo AAECA3NpZw==\n"), name, key));
}
END_TEST

/* --- checkpoint bodies */
START_TEST(test_checkpoint_reads_every_field) {
    struct checkpoint cp;
    struct sha256 root = merkle_empty_root();
    ck_assert_ptr_null(checkpoint_parse(BYTES_LIT(BODY), false, &cp));
    ck_assert(bytes_equal(cp.origin, BYTES_LIT("example.com/log")));
    ck_assert_uint_eq(cp.size, 42);
    ck_assert(sha256_equal(&cp.root, &root));
    ck_assert_ptr_null(
        checkpoint_parse(BYTES_LIT("o\n18446744073709551615\n" ROOT_B64 "\n"), false, &cp));
    ck_assert_uint_eq(cp.size, UINT64_MAX);
}
END_TEST

START_TEST(test_extension_lines_only_where_allowed) {
    struct checkpoint cp = {.size = 7};
    struct bytes one = BYTES_LIT(BODY "ext 1\next 2\n");
    CLEANUP(error_freep) struct error *err = checkpoint_parse(one, false, &cp);
    ck_assert_ptr_nonnull(err);
    ck_assert_uint_eq(cp.size, 7);
    ck_assert_ptr_null(checkpoint_parse(one, true, &cp));
    ck_assert_uint_eq(cp.size, 42);
}
END_TEST

static const struct {
    const char *why;
    struct bytes in;
} bad_checkpoints[] = {
    {"empty", {NULL, 0}},
    {"empty origin", BYTES_LIT("\n42\n" ROOT_B64 "\n")},
    {"no size", BYTES_LIT("o\n")},
    {"empty size", BYTES_LIT("o\n\n" ROOT_B64 "\n")},
    {"leading zero", BYTES_LIT("o\n042\n" ROOT_B64 "\n")},
    {"two zeros", BYTES_LIT("o\n00\n" ROOT_B64 "\n")},
    {"plus", BYTES_LIT("o\n+42\n" ROOT_B64 "\n")},
    {"minus", BYTES_LIT("o\n-42\n" ROOT_B64 "\n")},
    {"space", BYTES_LIT("o\n42 \n" ROOT_B64 "\n")},
    {"hexadecimal", BYTES_LIT("o\n0x2a\n" ROOT_B64 "\n")},
    {"overflow", BYTES_LIT("o\n18446744073709551616\n" ROOT_B64 "\n")},
    {"no root", BYTES_LIT("o\n42\n")},
    {"empty root", BYTES_LIT("o\n42\n\n")},
    {"root of 31 octets", BYTES_LIT("o\n42\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==\n")},
    {"root of 33 octets", BYTES_LIT("o\n42\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFVV\n")},
    {"root unpadded", BYTES_LIT("o\n42\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n")},
    {"root with unused bits", BYTES_LIT("o\n42\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n")},
    {"root in hex", BYTES_LIT("o\n42\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b\n")},
    {"no final newline", BYTES_LIT("o\n42\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")},
    {"extension without newline", BYTES_LIT(BODY "x")},
    {"empty extension line", BYTES_LIT(BODY "\n")},
    {"empty line between", BYTES_LIT(BODY "x\n\ny\n")},
};

/* SPEC c2sp-tlog-checkpoint Note text */
START_TEST(test_malformed_checkpoints_are_refused) {
    for (size_t i = 0; i < sizeof bad_checkpoints / sizeof *bad_checkpoints; i++) {
        struct checkpoint cp = {.size = 7};
        CLEANUP(error_freep)
        struct error *err = checkpoint_parse(bad_checkpoints[i].in, true, &cp);
        ck_assert_msg(err != NULL, "accepted: %s", bad_checkpoints[i].why);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert_uint_eq(cp.size, 7);
    }
}
END_TEST

START_TEST(test_every_truncation_of_a_checkpoint_is_refused) {
    struct bytes whole = BYTES_LIT(BODY);
    for (size_t n = 0; n < whole.len; n++) {
        struct checkpoint cp;
        CLEANUP(error_freep)
        struct error *err = checkpoint_parse((struct bytes){whole.data, n}, true, &cp);
        ck_assert_msg(err != NULL, "accepted the first %zu octets", n);
    }
}
END_TEST

/* --- verifier keys */
static const char *const bad_vkeys[] = {
    "",
    "example.com/foo",
    "example.com/foo+530d903a",
    "example.com/foo+530d903a+",
    "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530d903a0+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAA==",
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3Q==",
    "example.com/foo+530d903a+!ekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
};

START_TEST(test_malformed_verifier_keys_are_refused) {
    for (size_t i = 0; i < sizeof bad_vkeys / sizeof *bad_vkeys; i++) {
        struct bytes name = {0};
        struct public_key *key = NULL;
        CLEANUP(error_freep)
        struct error *err = note_vkey_parse(bytes_of_cstr(bad_vkeys[i]), &name, &key);
        ck_assert_msg(err != NULL, "accepted \"%s\"", bad_vkeys[i]);
        ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
        ck_assert(key == NULL && name.data == NULL);
    }
}
END_TEST

START_TEST(test_a_verifier_key_of_a_bad_name_is_refused_though_its_hint_is_right) {
    static const char *const names[] = {"a b", "a\xc2\xa0", "\xff", "a\n"};
    struct bytes good;
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    struct bytes vkey = load("c2sp-example.vkey");
    ck_assert_ptr_null(note_vkey_parse(vkey, &good, &key));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf in;
        struct bytes name;
        struct public_key *read = NULL;
        struct sha256 id = note_log_id_ed25519(bytes_of_cstr(names[i]), public_key_raw(key));
        buf_init(&in, 256);
        buf_printf(&in, "%s+%08x", names[i], note_hint(&id));
        buf_put(&in, (struct bytes){vkey.data + good.len + 9, vkey.len - good.len - 9});
        CLEANUP(error_freep) struct error *err = note_vkey_parse(buf_bytes(&in), &name, &read);
        ck_assert_msg(err != NULL && read == NULL, "accepted \"%s\"", names[i]);
        buf_done(&in);
    }
}
END_TEST

START_TEST(test_every_truncation_of_a_verifier_key_is_refused) {
    struct bytes whole = load("c2sp-example.vkey");
    for (size_t n = 0; n < whole.len; n++) {
        struct bytes name;
        struct public_key *key = NULL;
        CLEANUP(error_freep)
        struct error *err = note_vkey_parse((struct bytes){whole.data, n}, &name, &key);
        ck_assert_msg(err != NULL, "accepted the first %zu octets", n);
    }
}
END_TEST

static struct error *read_all(struct bytes in, struct bytes vkey) {
    struct arena local;
    struct note note;
    struct checkpoint cp;
    struct bytes name = {0};
    bool valid = false;
    CLEANUP(public_key_freep) struct public_key *key = NULL;
    arena_init(&local, 1 << 16);
    struct error *err = note_parse(&local, in, &note);
    if (err == NULL) err = note_vkey_parse(vkey, &name, &key);
    if (err == NULL) err = note_verify(&note, name, key, &valid);
    if (err == NULL) err = checkpoint_parse(BYTES_LIT(BODY), false, &cp);
    if (err == NULL) ck_assert(valid);
    arena_done(&local);
    return err;
}

START_TEST(test_survives_every_allocation_failure) {
    struct bytes in = load("c2sp-example.note");
    struct bytes vkey = load("c2sp-example.vkey");
    ck_assert_ptr_null(read_all(in, vkey));
    (void)alloc_fail_after(-1);
    ck_assert_ptr_null(read_all(in, vkey));
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 0);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        CLEANUP(error_freep) struct error *err = read_all(in, vkey);
        (void)alloc_fail_after(-1);
        ck_assert_ptr_nonnull(err);
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
    }
}
END_TEST

static Suite *note_suite(void) {
    Suite *s = suite_create("note");
    TCase *tc = tcase_create("note");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_notes_of_others_verify);
    tcase_add_test(tc, test_checkpoints_of_others_verify_and_read);
    tcase_add_test(tc, test_a_note_laid_out_reads_back);
    tcase_add_test(tc, test_text_may_hold_blank_lines);
    tcase_add_test(tc, test_malformed_notes_are_refused);
    tcase_add_test(tc, test_sixteen_signatures_are_read_and_seventeen_refused);
    tcase_add_test(tc, test_a_note_over_the_limit_is_refused);
    tcase_add_test(tc, test_every_truncation_is_refused_or_has_fewer_lines);
    tcase_add_test(tc, test_every_bit_flip_is_refused);
    tcase_add_test(tc, test_a_bad_signature_of_a_known_key_spoils_a_good_one);
    tcase_add_test(tc, test_unknown_signatures_are_ignored);
    tcase_add_test(tc, test_checkpoint_reads_every_field);
    tcase_add_test(tc, test_extension_lines_only_where_allowed);
    tcase_add_test(tc, test_malformed_checkpoints_are_refused);
    tcase_add_test(tc, test_every_truncation_of_a_checkpoint_is_refused);
    tcase_add_test(tc, test_malformed_verifier_keys_are_refused);
    tcase_add_test(tc, test_a_verifier_key_of_a_bad_name_is_refused_though_its_hint_is_right);
    tcase_add_test(tc, test_every_truncation_of_a_verifier_key_is_refused);
    tcase_add_test(tc, test_survives_every_allocation_failure);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(note_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
