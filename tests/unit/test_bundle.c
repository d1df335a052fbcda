#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "../tools/receipt_checks.h"
#include "base/alloc.h"
#include "codec/codec.h"

/* --- building */

START_TEST(test_the_leaf_is_the_pinned_octets) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct dsse_envelope env = {.payload_type = BYTES_LIT(DSSE_INTOTO_TYPE),
                                .payload = r.payload,
                                .signature_count = 1,
                                .signatures = {{.sig = r.signature}}};
    struct buf envelope;
    buf_init_arena(&envelope, &fx.arena, 65536);
    buf_put_cstr(&envelope, "{\"payload\":\"");
    base64_put(&envelope, r.payload);
    buf_put_cstr(&envelope,
                 "\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":"
                 "[{\"keyid\":\"\",\"sig\":\"");
    base64_put(&envelope, r.signature);
    buf_put_cstr(&envelope, "\"}]}");
    struct sha256 envelope_hash = sha256_of(buf_bytes(&envelope));
    struct sha256 payload_hash = sha256_of(r.payload);

    struct buf want;
    buf_init_arena(&want, &fx.arena, 65536);
    buf_put_cstr(&want,
                 "{\"apiVersion\":\"0.0.1\",\"kind\":\"dsse\",\"spec\":{\"envelopeHash\":{"
                 "\"algorithm\":\"sha256\",\"value\":\"");
    hex_put(&want, sha256_bytes(&envelope_hash));
    buf_put_cstr(&want, "\"},\"payloadHash\":{\"algorithm\":\"sha256\",\"value\":\"");
    hex_put(&want, sha256_bytes(&payload_hash));
    buf_put_cstr(&want, "\"},\"signatures\":[{\"signature\":\"");
    base64_put(&want, r.signature);
    buf_put_cstr(&want, "\",\"verifier\":\"");
    base64_put(&want, public_key_pem(fixture_public(&fx, FIXTURE_ATTESTATION)));
    buf_put_cstr(&want, "\"}]}}");

    struct buf got;
    buf_init_arena(&got, &fx.arena, 65536);
    OK(bundle_put_leaf(&got, &env, fixture_public(&fx, FIXTURE_ATTESTATION)));
    ck_assert(bytes_equal(buf_bytes(&got), buf_bytes(&want)));
}
END_TEST

static const struct { /* the pinned text of the first entry, with what varies taken out */
    const char *text;
} first_entry[] = {
    {"{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{"
     "\"publicKey\":{\"hint\":\""},
    {"\"},\"tlogEntries\":[{\"logIndex\":\"0\",\"logId\":{\"keyId\":\""},
    {"\"},\"kindVersion\":{\"kind\":\"dsse\",\"version\":\"0.0.1\"},\"integratedTime\":"
     "\"1767226600\",\"inclusionPromise\":{\"signedEntryTimestamp\":\""},
    {"\"},\"inclusionProof\":{\"logIndex\":\"0\",\"rootHash\":\""},
    {"\",\"treeSize\":\"1\",\"hashes\":[],\"checkpoint\":{\"envelope\":\"attestd.test - "
     "4611686018427387905\\n1\\n"},
    {"\\n\\n\xE2\x80\x94 attestd.test "},
    {"\\n\"}},\"canonicalizedBody\":\""},
    {"\"}]},\"dsseEnvelope\":{\"payload\":\""},
    {"\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[{\"keyid\":\"\","
     "\"sig\":\""},
    {"\"}]}}"},
};

START_TEST(test_the_first_entry_prints_its_zeros_and_its_empty_list) {
    struct bundle_receipt r = receipt_of(0, 1);
    struct bytes text = text_of(&r);
    const char *at = (const char *)arena_copy(&fx.arena, text).data;
    for (size_t i = 0; i < sizeof first_entry / sizeof *first_entry; i++) {
        const char *found = strstr(at, first_entry[i].text);
        ck_assert_msg(found != NULL, "missing: %s", first_entry[i].text);
        ck_assert_msg(i > 0 || found == at, "something stands before the first octets");
        ck_assert_msg(memchr(at, '{', (size_t)(found - at)) == NULL, "more before part %zu", i);
        at = found + strlen(first_entry[i].text);
    }
    ck_assert_str_eq(at, "");
    accepts(text);
}
END_TEST

START_TEST(test_the_hint_is_the_hash_of_the_pem) {
    char hint[65];
    bundle_key_hint(fixture_public(&fx, FIXTURE_DECISION), hint);
    struct sha256 hash = sha256_of(public_key_pem(fixture_public(&fx, FIXTURE_DECISION)));
    struct buf hex;
    buf_init_arena(&hex, &fx.arena, 64);
    hex_put(&hex, sha256_bytes(&hash));
    ck_assert(bytes_equal(buf_bytes(&hex), bytes_of_cstr(hint)));
}
END_TEST

/* --- what verifies */

START_TEST(test_every_entry_verifies_at_every_size_and_rebuilds_to_the_same_octets) {
    for (size_t size = 1; size <= ENTRIES; size++) {
        for (size_t index = 0; index < size; index++) {
            struct bundle_receipt r = receipt_of(index, size);
            struct bytes text = text_of(&r);
            struct bundle_verification v = verify(text);
            ck_assert_msg(v.verdict == BUNDLE_VERIFIED, "%zu of %zu: %s", index, size, v.reason);
            ck_assert_uint_eq(v.index, index);
            ck_assert_uint_eq(v.tree_size, size);
            ck_assert_int_eq(v.integrated_s, LOGGED_S + (int64_t)index);
            ck_assert(sha256_equal(&v.root, &r.root));
            ck_assert_int_eq(v.purpose, TRUST_PURPOSE_ATTESTATION);

            struct bundle_receipt read;
            OK(bundle_read_receipt(&fx.arena, text, &read));
            ck_assert(bytes_equal(text_of(&read), text));
        }
    }
}
END_TEST

START_TEST(test_a_verified_receipt_hands_out_its_statement_and_checkpoint) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bundle_verification v;
    struct sha256 about = subject();
    OK(bundle_verify(&fx.arena, text_of(&r), &trust, &about, BYTES_LIT("https://example.com/t/v1"),
                     &v));
    ck_assert_int_eq(v.verdict, BUNDLE_VERIFIED);
    ck_assert_uint_eq(v.statement.subject_count, 1);
    ck_assert(text_equal(v.statement.submitter_principal, TEXT_LIT("token:ci")));
    ck_assert(bytes_equal(v.checkpoint, r.checkpoint_v1));
}
END_TEST

START_TEST(test_white_space_and_the_order_of_members_are_free) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    struct buf spaced;
    buf_init_arena(&spaced, &fx.arena, 65536);
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"') inside = !inside; /* the form has no escaped quote */
        buf_put_u8(&spaced, c);
        if (!inside && strchr("{}[]:,\"", c) != NULL) buf_put_cstr(&spaced, "\r\n\t ");
    }
    accepts(buf_bytes(&spaced));
    accepts(replaced(replaced(text, "{\"kind\":\"dsse\",\"version\":\"0.0.1\"}", "@"), "@",
                     "{\"version\":\"0.0.1\",\"kind\":\"dsse\"}"));
    accepts(replaced(text, "\"keyid\":\"\"", "\"\\u006beyid\":\"\""));
}
END_TEST

START_TEST(test_the_bare_envelope_is_what_the_leaf_hashes) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes envelope = {0};
    OK(bundle_get_envelope(&fx.arena, text_of(&r), &envelope));
    struct sha256 hash = sha256_of(envelope);
    struct json_value leaf;
    OK(json_parse(&fx.arena, r.leaf, &JSON_LIMITS_DEFAULT, &leaf));
    struct buf hex;
    buf_init_arena(&hex, &fx.arena, 64);
    hex_put(&hex, sha256_bytes(&hash));
    ck_assert(bytes_equal(json_string(json_at(&leaf, BYTES_LIT("spec.envelopeHash.value"))),
                          buf_bytes(&hex)));
    CLEANUP(error_freep)
    struct error *err = bundle_get_envelope(&fx.arena, BYTES_LIT("{}"), &envelope);
    ck_assert_int_eq(error_code(err), ERROR_INVALID_ARGUMENT);
}
END_TEST

/* --- what does not: the text */

START_TEST(test_every_truncation_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    for (size_t n = 0; n < text.len; n++)
        ck_assert_int_eq(verify((struct bytes){text.data, n}).verdict, BUNDLE_REFUSED);
}
END_TEST

/* There is no harmless octet: structure, names and fixed texts are compared, numbers are checked
 * against what is signed, and hexadecimal and base64 have one notation for a value. */
START_TEST(test_every_single_bit_flip_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    uint8_t *copy = (uint8_t *)arena_copy(&fx.arena, text).data;
    for (size_t bit = 0; bit < 8 * text.len; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct bundle_verification v = verify((struct bytes){copy, text.len});
        ck_assert_msg(v.verdict == BUNDLE_REFUSED, "bit %zu of octet %zu (%c) verified", bit % 8,
                      bit / 8, text.data[bit / 8]);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    accepts((struct bytes){copy, text.len});
}
END_TEST

START_TEST(test_unknown_missing_and_repeated_members_are_refused_everywhere) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    size_t objects = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '{') continue;
        objects++;
        struct bytes head = {text.data, i + 1};
        struct bytes tail = {text.data + i + 1, text.len - i - 1};
        size_t name = (size_t)((uint8_t *)memchr(tail.data + 1, '"', tail.len - 1) - tail.data) + 1;
        const struct bytes inserted[] = {
            BYTES_LIT("\"x\":1,"), BYTES_LIT("\"\":null,"), {tail.data, name}};
        for (size_t k = 0; k < 3; k++) {
            struct buf out;
            buf_init_arena(&out, &fx.arena, 65536);
            buf_put(&out, head);
            buf_put(&out, inserted[k]);
            if (k == 2) buf_put_cstr(&out, ":null,"); /* the first member, twice */
            buf_put(&out, tail);
            refuses(buf_bytes(&out), "");
        }
    }
    ck_assert_uint_eq(objects, 11);
    const char *copy = (const char *)arena_copy(&fx.arena, text).data;
    for (const char *at = copy; (at = strstr(at, "\":")) != NULL; at += 2) {
        size_t i = (size_t)(at - copy);
        uint8_t *renamed = (uint8_t *)arena_copy(&fx.arena, text).data;
        renamed[i - 1] = '_'; /* the last letter of a name */
        refuses((struct bytes){renamed, text.len}, "");
    }
}
END_TEST

static const struct {
    const char *after, *find, *by, *why;
} notations[] = {
    {"", ".v0.3+json", "+json;version=0.3", "mediaType"},
    {"", "bundle.v0.3", "bundle.v0.2", "mediaType"},
    {"", "\"hint\":\"", "\"hint\":\"0", "hint: not a SHA-256"},
    {"", "\"hint\":\"", "\"hint\":\"00\",\"x\":\"", "publicKey: a member"},
    {"", "\"logId\":{", "\"logId\":[{},", "JSON"},
    {"", "\"kindVersion\":{\"kind\":\"dsse\",\"version\":\"0.0.1\"}", "\"kindVersion\":[1,2]",
     "kindVersion: not an object"},
    {"tlogEntries", "\"logIndex\":\"6\"", "\"logIndex\":6", "logIndex: not a string"},
    {"tlogEntries", "\"logIndex\":\"6\"", "\"logIndex\":\"06\"", "logIndex: not a number"},
    {"tlogEntries", "\"logIndex\":\"6\"", "\"logIndex\":\"+6\"", "logIndex: not a number"},
    {"tlogEntries", "\"logIndex\":\"6\"", "\"logIndex\":\" 6\"", "logIndex: not a number"},
    {"tlogEntries", "\"logIndex\":\"6\"", "\"logIndex\":\"18446744073709551622\"",
     "logIndex: not a number"},
    {"tlogEntries", "\"logIndex\":\"6\"", "\"logIndex\":\"7\"", "not the entry's index"},
    {"inclusionProof", "\"logIndex\":\"6\"", "\"logIndex\":\"7\"", "not the entry's index"},
    {"inclusionProof", "\"treeSize\":\"12\"", "\"treeSize\":\"13\"", "tree size"},
    {"", "\"integratedTime\":\"", "\"integratedTime\":\"-", "integratedTime: not a number"},
    {"", "\"1767226606\"", "\"0\"", "integratedTime: out of range"},
    {"", "\"1767226606\"", "\"9223372036854775808\"", "integratedTime: out of range"},
    {"", "\"kind\":\"dsse\"", "\"kind\":\"intoto\"", "kind: not the expected"},
    {"", "\"version\":\"0.0.1\"", "\"version\":\"0.0.2\"", "version: not the expected"},
    {"", "\"keyid\":\"\"", "\"keyid\":\"a\"", "keyid: not the expected"},
    {"", "\"keyid\":\"\"", "\"keyid\":null", "keyid: not a string"},
    {"", "vnd.in-toto+json", "vnd.in-toto+jsoN", "payloadType: not the expected"},
    {"", "\"tlogEntries\":[{", "\"tlogEntries\":[{},{", "tlogEntries: too few or too many"},
    {"", "\"signatures\":[{", "\"signatures\":[{\"keyid\":\"\",\"sig\":\"AA==\"},{",
     "signatures: too few or too many"},
    {"", "\"signatures\":[{", "\"signatures\":[],\"x\":[{", "dsseEnvelope: a member"},
    {"", "\"hashes\":[", "\"hashes\":[null,", "an item: not a string"},
    {"", "\"hashes\":[", "\"hashes\":[{},", "an item: not a string"},
    {"", "\"hashes\":[\"", "\"hashes\":[\"AAAA\",\"", "an item: not 32 octets"},
    {"", "\"keyId\":\"", "\"keyId\":\"AAAA", "keyId: not 32 octets"},
    {"canonicalizedBody", "\":\"", "\":\" ", "canonicalizedBody: not base64"},
    {"canonicalizedBody", "\":\"", "\":\"\\n", "canonicalizedBody: not base64"},
    {"\"sig\"", "\":\"M", "\":\"=M", "sig: not base64"},
    {"signedEntryTimestamp", "\":\"", "\":\"\\u0000", "signedEntryTimestamp: not base64"},
    {"\"envelope\"", "\\n\"", "\"", "checkpoint"},
    {"\"envelope\"", "\\n\"", "\\n\\n\"", "checkpoint"},
    {"\"envelope\"", "\\n\"", "\\n\xE2\x80\x94 attestd.test AAAAAAA=\\n\"", "one signature"},
    {"\"envelope\"", "attestd.test - 4", "attestd.test - 04", "checkpoint"},
    {"", "{\"mediaType\"", "[{\"mediaType\"", "JSON"},
    {"dsseEnvelope", "]}}", "]}} x", "JSON"},
    {"dsseEnvelope", "]}}", "]}}{}", "JSON"},
};

START_TEST(test_other_notations_are_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    accepts(text);
    for (size_t i = 0; i < sizeof notations / sizeof *notations; i++)
        refuses(replaced_after(text, notations[i].after, notations[i].find, notations[i].by),
                notations[i].why);
    struct bundle_receipt first = receipt_of(0, 1);
    uint8_t *bare = (uint8_t *)arena_copy(&fx.arena, text_of(&first)).data;
    refuses(
        replaced((struct bytes){bare, strlen((char *)bare)}, "\"hashes\":[]", "\"hashes\":\"\""),
        "hashes: not an array");
}
END_TEST

START_TEST(test_base64_has_one_notation) {
    /* Of a few receipts one holds each of these in some signed place. */
    size_t seen[3] = {0};
    for (size_t i = 0; i < ENTRIES; i++) {
        struct bundle_receipt r = receipt_of(i, ENTRIES);
        struct bytes text = text_of(&r);
        const char *const from[] = {"+", "/", "=\""};
        const char *const to[] = {"-", "_", "\""};
        for (size_t k = 0; k < 3; k++) {
            char *copy = (char *)arena_copy(&fx.arena, text).data;
            char *at = strstr(copy, "signedEntryTimestamp");
            char *end = strchr(at + 25, '"');
            char *found = strstr(at + 25, from[k]);
            if (found == NULL || found > end) continue;
            seen[k]++;
            refuses(replaced_after(text, "signedEntryTimestamp\":\"", from[k], to[k]),
                    "signedEntryTimestamp");
        }
    }
    ck_assert(seen[0] > 0 && seen[1] > 0);
}
END_TEST

START_TEST(test_a_receipt_over_the_bound_is_refused_unread) {
    struct arena arena;
    arena_init(&arena, 0);
    uint8_t *big = alloc_zero(1, BUNDLE_OCTETS_MAX + 1);
    ck_assert_ptr_nonnull(big);
    struct bundle_verification v;
    OK(bundle_verify(&arena, (struct bytes){big, BUNDLE_OCTETS_MAX + 1}, &trust, NULL,
                     (struct bytes){0}, &v));
    ck_assert_int_eq(v.verdict, BUNDLE_REFUSED);
    ck_assert_ptr_nonnull(strstr(v.reason, "larger than"));
    alloc_free(big);
}
END_TEST

/* --- what does not: one true value in the place of another */

START_TEST(test_a_stripped_or_foreign_set_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes set = r.set;
    struct bytes text = text_of(&r);
    r.set = (struct bytes){0};
    refuses_values(&r, "timestamp");
    r.set = receipt_of(AT + 1, ENTRIES).set;
    refuses_values(&r, "timestamp");
    struct signature other;
    OK(signing_key_sign(fx.keys[FIXTURE_ATTESTATION], set, &other));
    r.set = signature_bytes(&other);
    refuses_values(&r, "timestamp");
    r.set = set;
    r.integrated_s++;
    refuses_values(&r, "timestamp");
    struct buf promise;
    buf_init_arena(&promise, &fx.arena, 4096);
    buf_put_cstr(&promise, "\"inclusionPromise\":{\"signedEntryTimestamp\":\"");
    base64_put(&promise, set);
    buf_put_cstr(&promise, "\"},");
    buf_put_u8(&promise, '\0');
    OK(buf_finish(&promise, "promise"));
    refuses(replaced(text, (const char *)promise.data, ""), "member");
}
END_TEST

START_TEST(test_a_foreign_proof_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct merkle_proof proof = r.proof;
    r.proof = receipt_of(AT + 1, ENTRIES).proof;
    refuses_values(&r, "inclusion proof");
    r.proof = proof;
    r.proof.count--;
    refuses_values(&r, "inclusion proof");
    r.proof = proof;
    r.proof.hashes[r.proof.count++] = r.root;
    refuses_values(&r, "inclusion proof");
    r.proof = proof;
    struct sha256 first = proof.hashes[0];
    r.proof.hashes[0] = proof.hashes[1];
    r.proof.hashes[1] = first;
    refuses_values(&r, "inclusion proof");
}
END_TEST

START_TEST(test_a_checkpoint_of_another_size_root_or_log_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES - 1);
    r.checkpoint_v1 = receipt_of(AT, ENTRIES).checkpoint_v1;
    refuses_values(&r, "checkpoint");

    r = receipt_of(0, 3); /* the path of leaf 0 is the same in a tree of 4 */
    r.tree_size = 4;
    refuses_values(&r, "another tree size");

    r = receipt_of(AT, ENTRIES);
    struct sha256 zero = {0};
    OK(fixture_checkpoint(&fx, FIXTURE_CHECKPOINT_ORIGIN, ENTRIES, &zero, &r.checkpoint_v1));
    refuses_values(&r, "another root hash");

    const char *const origins[] = {"other.test - 1",    "attestd.test",      "attestd.test - ",
                                   "attestd.test - 1x", "attestd.test1 - 1", "attestd.test -1"};
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
        OK(fixture_checkpoint(&fx, origins[i], ENTRIES, &r.root, &r.checkpoint_v1));
        refuses_values(&r, "checkpoint");
    }
    OK(fixture_checkpoint(&fx, "attestd.test - 1", ENTRIES, &r.root, &r.checkpoint_v1));
    accepts(text_of(&r)); /* no file of ours names the tree id: it is the log's own business */
}
END_TEST

static struct bytes body_of(const struct bundle_receipt *r, const char *behind) {
    struct buf body;
    buf_init_arena(&body, &fx.arena, 4096);
    checkpoint_put_body(&body, BYTES_LIT(FIXTURE_CHECKPOINT_ORIGIN), r->tree_size, &r->root);
    buf_put_cstr(&body, behind);
    OK(buf_finish(&body, "body"));
    return buf_bytes(&body);
}

START_TEST(test_a_checkpoint_is_signed_once_by_the_log_under_its_name) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes good = r.checkpoint_v1;
    OK(fixture_note(&fx, body_of(&r, ""), BYTES_LIT("other.test"), &r.checkpoint_v1));
    refuses_values(&r, "signature");
    OK(fixture_note(&fx, body_of(&r, "an extension\n"), BYTES_LIT(FIXTURE_ORIGIN),
                    &r.checkpoint_v1));
    refuses_values(&r, "checkpoint");

    struct sha256 log_id = fixture_log_id(&fx);
    struct signature forged;
    OK(signing_key_sign(fx.keys[FIXTURE_DECISION], body_of(&r, ""), &forged));
    struct buf note;
    buf_init_arena(&note, &fx.arena, 4096);
    buf_put(&note, body_of(&r, ""));
    note_put_signature(&note, true, BYTES_LIT(FIXTURE_ORIGIN), note_hint(&log_id),
                       signature_bytes(&forged));
    r.checkpoint_v1 = buf_bytes(&note);
    refuses_values(&r, "signature");

    struct buf two; /* a second, true line: older clients refuse it, and so do we */
    buf_init_arena(&two, &fx.arena, 4096);
    buf_put(&two, good);
    struct signature sig;
    OK(signing_key_sign(fx.keys[FIXTURE_LOG_V1], body_of(&r, ""), &sig));
    note_put_signature(&two, false, BYTES_LIT(FIXTURE_ORIGIN), note_hint(&log_id),
                       signature_bytes(&sig));
    r.checkpoint_v1 = buf_bytes(&two);
    refuses_values(&r, "exactly one signature");
}
END_TEST

START_TEST(test_another_key_or_signature_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    char hint[65];
    memcpy(hint, r.key_hint, sizeof hint);
    bundle_key_hint(fixture_public(&fx, FIXTURE_DECISION), r.key_hint);
    refuses_values(&r, "signature");
    bundle_key_hint(fixture_public(&fx, FIXTURE_LOG_V1), r.key_hint);
    refuses_values(&r, "signing key");
    memcpy(r.key_hint, hint, sizeof hint);
    struct signature other;
    OK(fixture_sign_statement(&fx, FIXTURE_DECISION, r.payload, &other));
    r.signature = signature_bytes(&other);
    refuses_values(&r, "signature");
    r = receipt_of(AT, ENTRIES);
    r.payload = BYTES_LIT(NOBODYS);
    refuses_values(&r, "signature");
    struct sha256 unknown = sha256_of(BYTES_LIT("no log"));
    r = receipt_of(AT, ENTRIES);
    r.log_id = unknown;
    refuses_values(&r, "log is not among");
    r.log_id = note_log_id_ed25519(BYTES_LIT(FIXTURE_ORIGIN),
                                   public_key_raw(fixture_public(&fx, FIXTURE_LOG_C2SP)));
    refuses_values(&r, "entries of this form");
}
END_TEST

/* An entry that the log signed and holds, whose leaf is of something else. */
START_TEST(test_a_leaf_of_another_envelope_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    const char *leaf = (const char *)arena_copy(&fx.arena, r.leaf).data;
    const char *const fields[] = {"envelopeHash\":{\"algorithm\":\"sha256\",\"value\":\"",
                                  "payloadHash\":{\"algorithm\":\"sha256\",\"value\":\"",
                                  "\"signature\":\"M", "\"verifier\":\"L"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct bytes changed = arena_copy(&fx.arena, r.leaf);
        size_t at = (size_t)(strstr(leaf, fields[i]) - leaf) + strlen(fields[i]);
        ((uint8_t *)changed.data)[at] ^= 1;
        fx.entries[fx.count] = fx.entries[AT];
        OK(fixture_log(&fx, changed));
        struct bundle_receipt logged = receipt_of(fx.count - 1, fx.count);
        refuses_values(&logged, "not of this envelope");
    }
}
END_TEST

static struct bytes logged(enum fixture_key which, struct bytes payload, int64_t at_s) {
    OK(fixture_add(&fx, which, payload, at_s));
    struct bundle_receipt r = receipt_of(fx.count - 1, fx.count);
    return text_of(&r);
}

START_TEST(test_the_submitter_must_be_inside) {
    refuses(logged(FIXTURE_ATTESTATION, BYTES_LIT(NOBODYS), LOGGED_S), "who submitted");
    refuses(logged(FIXTURE_ATTESTATION, BYTES_LIT(NO_METHOD), LOGGED_S), "who submitted");
    refuses(logged(FIXTURE_ATTESTATION, BYTES_LIT(NO_PRINCIPAL), LOGGED_S), "who submitted");
    refuses(logged(FIXTURE_ATTESTATION, BYTES_LIT("{\"_type\":1}"), LOGGED_S), "statement");
    refuses(logged(FIXTURE_ATTESTATION, BYTES_LIT("not json"), LOGGED_S), "statement");
}
END_TEST

START_TEST(test_each_key_signs_its_own_kind_of_statement) {
    refuses(logged(FIXTURE_ATTESTATION, BYTES_LIT(VSA), LOGGED_S), "predicate type");
    refuses(logged(FIXTURE_DECISION, BYTES_LIT(PAYLOAD), LOGGED_S), "predicate type");
    struct bundle_verification v = verify(logged(FIXTURE_DECISION, BYTES_LIT(VSA), LOGGED_S));
    ck_assert_int_eq(v.verdict, BUNDLE_VERIFIED);
    ck_assert_int_eq(v.purpose, TRUST_PURPOSE_DECISION);
}
END_TEST

START_TEST(test_subject_and_predicate_type_are_compared) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    struct sha256 about = subject();
    ck_assert_int_eq(verify_for(text, &trust, &about, (struct bytes){0}).verdict, BUNDLE_VERIFIED);
    about.octets[31] ^= 1;
    ck_assert_int_eq(verify_for(text, &trust, &about, (struct bytes){0}).verdict, BUNDLE_REFUSED);
    const struct bytes types[] = {BYTES_LIT("https://example.com/t/v2"),
                                  BYTES_LIT("https://example.com/t/v"),
                                  BYTES_LIT("https://example.com/t/v1\0")};
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(verify_for(text, &trust, NULL, types[i]).verdict, BUNDLE_REFUSED);
}
END_TEST

START_TEST(test_a_receipt_of_another_server_is_refused) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    struct bytes root = root_file();
    struct bytes keys = keys_file();
    static struct fixture ours;
    ours = fx;
    OK(fixture_init(&fx)); /* other keys */
    struct bytes other_root = root_file();
    struct bytes other_keys = keys_file();
    struct trust other;
    OK(trust_load(other_root, other_keys, &other));
    ck_assert_int_eq(verify_for(text, &other, NULL, (struct bytes){0}).verdict, BUNDLE_REFUSED);
    trust_done(&other);
    OK(trust_load(root, other_keys, &other));
    ck_assert_int_eq(verify_for(text, &other, NULL, (struct bytes){0}).verdict, BUNDLE_REFUSED);
    trust_done(&other);
    OK(trust_load(other_root, keys, &other));
    ck_assert_int_eq(verify_for(text, &other, NULL, (struct bytes){0}).verdict, BUNDLE_REFUSED);
    trust_done(&other);
    fixture_done(&fx);
    fx = ours;
}
END_TEST

/* --- time */

static enum bundle_verdict verdict_at(struct bytes root, struct bytes keys, int64_t logged_s,
                                      int64_t now_s) {
    struct trust t;
    OK(trust_load(root, keys, &t));
    t.now_s = now_s;
    struct bytes text = logged(FIXTURE_ATTESTATION, BYTES_LIT(PAYLOAD), logged_s);
    enum bundle_verdict verdict = verify_for(text, &t, NULL, (struct bytes){0}).verdict;
    trust_done(&t);
    return verdict;
}

START_TEST(test_an_entry_from_the_future_is_refused) {
    struct bytes root = root_file();
    struct bytes keys = keys_file();
    ck_assert_int_eq(verdict_at(root, keys, LOGGED_S, LOGGED_S - 1), BUNDLE_REFUSED);
    ck_assert_int_eq(verdict_at(root, keys, LOGGED_S, LOGGED_S), BUNDLE_VERIFIED);
}
END_TEST

START_TEST(test_windows_of_log_and_key_are_inclusive) {
#define START "\"start\":\"2026-01-01T00:00:00Z\""
    struct bytes files[2] = {root_file(), keys_file()};
    ck_assert_int_eq(verdict_at(files[0], files[1], FIXTURE_START_S, INT64_MAX), BUNDLE_VERIFIED);
    ck_assert_int_eq(verdict_at(files[0], files[1], FIXTURE_START_S - 1, INT64_MAX),
                     BUNDLE_REFUSED);
    for (size_t which = 0; which < 2; which++) {
        struct bytes f[2] = {files[0], files[1]};
        f[which] = replaced(files[which], START, START ",\"end\":\"2026-01-01T00:00:10.5Z\"");
        ck_assert_int_eq(verdict_at(f[0], f[1], FIXTURE_START_S + 10, INT64_MAX), BUNDLE_VERIFIED);
        ck_assert_int_eq(verdict_at(f[0], f[1], FIXTURE_START_S + 11, INT64_MAX), BUNDLE_REFUSED);
        f[which] = replaced(files[which], START, "\"start\":\"2026-01-01T00:00:09.5Z\"");
        ck_assert_int_eq(verdict_at(f[0], f[1], FIXTURE_START_S + 9, INT64_MAX), BUNDLE_REFUSED);
        ck_assert_int_eq(verdict_at(f[0], f[1], FIXTURE_START_S + 10, INT64_MAX), BUNDLE_VERIFIED);
    }
}
END_TEST

/* --- want of memory */

START_TEST(test_want_of_memory_is_never_a_verdict) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    struct bytes root = root_file();
    struct bytes keys = keys_file();
    size_t failures = 0;
    for (long n = 0;; n++) {
        struct arena arena;
        arena_init(&arena, (size_t)4 << 20);
        struct trust t = {0};
        struct bundle_verification v = {.verdict = BUNDLE_REFUSED};
        (void)alloc_fail_after(n);
        struct error *err = trust_load(root, keys, &t);
        if (err == NULL) err = bundle_verify(&arena, text, &t, NULL, (struct bytes){0}, &v);
        (void)alloc_fail_after(-1);
        trust_done(&t);
        arena_done(&arena);
        if (err == NULL) {
            ck_assert_int_eq(v.verdict, BUNDLE_VERIFIED);
            break;
        }
        ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        error_free(err);
        failures++;
    }
    ck_assert_uint_gt(failures, 5);
}
END_TEST

START_TEST(test_a_small_arena_is_never_a_verdict) {
    struct bundle_receipt r = receipt_of(AT, ENTRIES);
    struct bytes text = text_of(&r);
    bool verified = false;
    for (size_t max = 0; !verified; max += 512) {
        struct arena arena;
        arena_init(&arena, max);
        struct bundle_verification v;
        CLEANUP(error_freep)
        struct error *err = bundle_verify(&arena, text, &trust, NULL, (struct bytes){0}, &v);
        if (err == NULL) ck_assert_int_eq(v.verdict, BUNDLE_VERIFIED);
        if (err != NULL) ck_assert_int_eq(error_code(err), ERROR_RESOURCE_EXHAUSTED);
        verified = err == NULL;
        arena_done(&arena);
        ck_assert_uint_lt(max, 16 * text.len);
    }
}
END_TEST

/* --- others' receipts */

#define CASES "../shared/conformance/sigstore/cases"

static struct bytes file_of(const char *path) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    uint8_t *data = arena_alloc(&fx.arena, (size_t)1 << 20);
    ck_assert_ptr_nonnull(data);
    size_t n = fread(data, 1, (size_t)1 << 20, f);
    (void)fclose(f);
    ck_assert_uint_lt(n, (size_t)1 << 20);
    return (struct bytes){data, n};
}

static struct json_value json_of(const char *path) {
    struct json_value v;
    OK(json_parse(&fx.arena, file_of(path), &JSON_LIMITS_DEFAULT, &v));
    return v;
}

static struct bytes octets_at(const struct json_value *v, const char *path) {
    struct bytes out = {0};
    OK(base64_decode(&fx.arena, json_string(json_at(v, bytes_of_cstr(path))), BASE64_STANDARD,
                     &out));
    return out;
}

/* Rekor's own signed entry timestamps are over the octets that we build. */
START_TEST(test_the_set_payload_is_rekors) {
    static const struct {
        const char *bundle, *root;
        bool valid;
    } cases[] = {
        {CASES "/managed-key-and-trusted-root/bundle.sigstore.json",
         CASES "/managed-key-and-trusted-root/trusted_root.json", true},
        {CASES "/happy-path-intoto-in-dsse-v3/bundle.sigstore.json",
         CASES "/../default_trusted_root.json", true},
        {CASES "/set-invalid-signature_fail/bundle.sigstore.json",
         CASES "/../default_trusted_root.json", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_value bundle = json_of(cases[i].bundle);
        struct json_value root = json_of(cases[i].root);
        const struct json_value *entry =
            json_at(&bundle, BYTES_LIT("verificationMaterial.tlogEntries.0"));
        CLEANUP(public_key_freep) struct public_key *key = NULL;
        OK(public_key_from_spki(octets_at(&root, "tlogs.0.publicKey.rawBytes"), &key));
        struct sha256 log_id = note_log_id_spki(public_key_spki(key));
        ck_assert(bytes_equal(octets_at(entry, "logId.keyId"), sha256_bytes(&log_id)));
        uint64_t index = 0;
        uint64_t integrated_s = 0;
        ck_assert(json_u64(json_get(entry, "logIndex"), &index));
        ck_assert(json_u64(json_get(entry, "integratedTime"), &integrated_s));
        struct buf payload;
        buf_init_arena(&payload, &fx.arena, (size_t)1 << 20);
        bundle_put_set_payload(&payload, octets_at(entry, "canonicalizedBody"),
                               (int64_t)integrated_s, &log_id, index);
        bool valid = !cases[i].valid;
        OK(public_key_verify(key, buf_bytes(&payload),
                             octets_at(entry, "inclusionPromise.signedEntryTimestamp"), &valid));
        ck_assert_msg(valid == cases[i].valid, "%s", cases[i].bundle);
    }
}
END_TEST

/* None of them is of our form, managed keys included (those are hashedrekord messages): each is
 * refused for its form, good and bad alike. */
START_TEST(test_bundles_of_other_forms_are_refused) {
    DIR *dir = opendir(CASES);
    ck_assert_msg(dir != NULL, "no " CASES);
    size_t count = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.') continue;
        char path[512];
        (void)snprintf(path, sizeof path, CASES "/%s/bundle.sigstore.json", e->d_name);
        refuses(file_of(path), "not a receipt of this form");
        count++;
    }
    (void)closedir(dir);
    ck_assert_uint_eq(count, 47);
}
END_TEST

/* What the first release issued. These octets never change: see testdata/bundle/README.md. */
START_TEST(test_receipts_of_the_first_release_verify) {
    static const char *const names[] = {"first-entry", "provenance", "model", "summary"};
    struct trust t;
    OK(trust_load(file_of("testdata/bundle/trusted_root.json"),
                  file_of("testdata/bundle/signing-keys.json"), &t));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "testdata/bundle/%s.sigstore.json", names[i]);
        struct bytes text = file_of(path);
        struct bundle_verification v = verify_for(text, &t, NULL, (struct bytes){0});
        ck_assert_msg(v.verdict == BUNDLE_VERIFIED, "%s: %s", path, v.reason);
        struct bundle_receipt r;
        OK(bundle_read_receipt(&fx.arena, text, &r));
        ck_assert_msg(bytes_equal(text_of(&r), text), "%s rebuilds to other octets", path);
    }
    trust_done(&t);
}
END_TEST

static Suite *bundle_suite(void) {
    Suite *s = suite_create("bundle");
    TCase *tc = tcase_create("bundle");
    tcase_add_unchecked_fixture(tc, make_log, end_log);
    tcase_set_timeout(tc, 240); /* the sweep of bit flips, under sanitizers */
    tcase_add_test(tc, test_the_leaf_is_the_pinned_octets);
    tcase_add_test(tc, test_the_first_entry_prints_its_zeros_and_its_empty_list);
    tcase_add_test(tc, test_the_hint_is_the_hash_of_the_pem);
    tcase_add_test(tc, test_every_entry_verifies_at_every_size_and_rebuilds_to_the_same_octets);
    tcase_add_test(tc, test_a_verified_receipt_hands_out_its_statement_and_checkpoint);
    tcase_add_test(tc, test_white_space_and_the_order_of_members_are_free);
    tcase_add_test(tc, test_the_bare_envelope_is_what_the_leaf_hashes);
    tcase_add_test(tc, test_every_truncation_is_refused);
    tcase_add_test(tc, test_every_single_bit_flip_is_refused);
    tcase_add_test(tc, test_unknown_missing_and_repeated_members_are_refused_everywhere);
    tcase_add_test(tc, test_other_notations_are_refused);
    tcase_add_test(tc, test_base64_has_one_notation);
    tcase_add_test(tc, test_a_receipt_over_the_bound_is_refused_unread);
    tcase_add_test(tc, test_a_stripped_or_foreign_set_is_refused);
    tcase_add_test(tc, test_a_foreign_proof_is_refused);
    tcase_add_test(tc, test_a_checkpoint_of_another_size_root_or_log_is_refused);
    tcase_add_test(tc, test_a_checkpoint_is_signed_once_by_the_log_under_its_name);
    tcase_add_test(tc, test_another_key_or_signature_is_refused);
    tcase_add_test(tc, test_a_leaf_of_another_envelope_is_refused);
    tcase_add_test(tc, test_the_submitter_must_be_inside);
    tcase_add_test(tc, test_each_key_signs_its_own_kind_of_statement);
    tcase_add_test(tc, test_subject_and_predicate_type_are_compared);
    tcase_add_test(tc, test_a_receipt_of_another_server_is_refused);
    tcase_add_test(tc, test_an_entry_from_the_future_is_refused);
    tcase_add_test(tc, test_windows_of_log_and_key_are_inclusive);
    tcase_add_test(tc, test_want_of_memory_is_never_a_verdict);
    tcase_add_test(tc, test_a_small_arena_is_never_a_verdict);
    tcase_add_test(tc, test_the_set_payload_is_rekors);
    tcase_add_test(tc, test_bundles_of_other_forms_are_refused);
    tcase_add_test(tc, test_receipts_of_the_first_release_verify);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(bundle_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
