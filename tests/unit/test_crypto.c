#include <check.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#include "base/alloc.h"
#include "codec/codec.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include "crypto/secret.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void ok(struct error *err) {
    if (err == NULL) return;
    char text[512];
    error_text(err, text, sizeof text);
    error_free(err);
    ck_abort_msg("unexpected error: %s", text);
}

static void refused(struct error *err, enum error_code code, const char *what) {
    ck_assert_msg(err != NULL, "accepted: %s", what);
    ck_assert_msg(error_code(err) == code, "%s: code %d, not %d: %s", what, (int)error_code(err),
                  (int)code, error_message(err));
    error_free(err);
}

static struct bytes unhex(const char *hex, uint8_t *out) {
    size_t len = strlen(hex) / 2;
    ck_assert_msg(hex_decode(bytes_of_cstr(hex), out, len), "bad hex in the test: %s", hex);
    return (struct bytes){out, len};
}

static void same_hex(struct bytes got, const char *want) {
    uint8_t octets[256];
    struct bytes w = unhex(want, octets);
    ck_assert_uint_eq(got.len, w.len);
    ck_assert_mem_eq(got.data, w.data, w.len);
}

static struct secret *secret_lit(const char *text) {
    struct secret *s = NULL;
    ok(secret_of(bytes_of_cstr(text), &s));
    return s;
}

/* --- hashes */

/* FIPS 180-4's examples (NIST "SHA256.pdf"), and the empty message. */
static const struct {
    const char *in, *want;
} sha_vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

START_TEST(test_sha256_gives_the_published_digests) {
    for (size_t i = 0; i < COUNT(sha_vectors); i++) {
        struct sha256 h = sha256_of(bytes_of_cstr(sha_vectors[i].in));
        same_hex(sha256_bytes(&h), sha_vectors[i].want);
    }
    struct sha256_ctx ctx; /* a million times "a", in uneven pieces */
    uint8_t a[997];
    memset(a, 'a', sizeof a);
    sha256_init(&ctx);
    for (size_t left = 1000000; left > 0;) {
        size_t n = left < sizeof a ? left : sizeof a;
        sha256_update(&ctx, (struct bytes){a, n});
        left -= n;
    }
    struct sha256 h = sha256_final(&ctx);
    same_hex(sha256_bytes(&h), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(test_sha256_does_not_depend_on_how_the_input_is_cut) {
    uint8_t in[200];
    for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)i;
    struct sha256 want = sha256_of((struct bytes){in, sizeof in});
    for (size_t cut = 0; cut <= sizeof in; cut++) {
        struct sha256_ctx ctx;
        sha256_init(&ctx);
        sha256_update(&ctx, (struct bytes){in, cut});
        sha256_update(&ctx, (struct bytes){0});
        sha256_update(&ctx, (struct bytes){in + cut, sizeof in - cut});
        struct sha256 got = sha256_final(&ctx);
        ck_assert(sha256_equal(&got, &want));
    }
}
END_TEST

/* RFC 4231, 4.2 to 4.8 (4.6, a truncated output, left out). */
static const struct {
    const char *key, *in, *want;
} hmac_vectors[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
     "dddddddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
     "cdcdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d20486173682"
     "04b6579204669727374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
};

/* SPEC rfc2104 2: short and long keys, blocks and digests. */
START_TEST(test_hmac_gives_the_published_codes) {
    for (size_t i = 0; i < COUNT(hmac_vectors); i++) {
        uint8_t key[256], in[256];
        struct sha256 h =
            hmac_sha256(unhex(hmac_vectors[i].key, key), unhex(hmac_vectors[i].in, in));
        same_hex(sha256_bytes(&h), hmac_vectors[i].want);
    }
}
END_TEST

START_TEST(test_secret_equal_compares_every_octet_and_the_length) {
    uint8_t a[32] = {0}, b[32] = {0};
    ck_assert(secret_equal((struct bytes){a, 32}, (struct bytes){b, 32}));
    ck_assert(secret_equal((struct bytes){0}, (struct bytes){a, 0}));
    ck_assert(!secret_equal((struct bytes){a, 32}, (struct bytes){b, 31}));
    for (size_t bit = 0; bit < 256; bit++) {
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert(!secret_equal((struct bytes){a, 32}, (struct bytes){b, 32}));
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

/* --- secrets */

START_TEST(test_secrets_are_copies_and_random_ones_differ) {
    uint8_t octets[4] = {1, 2, 3, 4};
    CLEANUP(secret_freep) struct secret *s = NULL;
    ok(secret_of((struct bytes){octets, sizeof octets}, &s));
    secret_wipe(octets, sizeof octets);
    same_hex((struct bytes){octets, sizeof octets}, "00000000");
    same_hex(secret_view(s), "01020304");

    CLEANUP(secret_freep) struct secret *a = NULL;
    CLEANUP(secret_freep) struct secret *b = NULL;
    ok(secret_random(32, &a));
    ok(secret_random(32, &b));
    ck_assert(!bytes_equal(secret_view(a), secret_view(b)));
    struct secret *none = NULL;
    refused(secret_of((struct bytes){0}, &none), ERROR_INVALID_ARGUMENT, "an empty secret");
}
END_TEST

/* The expected value is the argon2 reference implementation's (argon2-cffi 25.1: type ID, t=2,
 * m=65536 KiB, p=1). */
START_TEST(test_a_passphrase_is_stretched_by_argon2id_interactive) {
    uint8_t salt[16];
    for (size_t i = 0; i < sizeof salt; i++) salt[i] = (uint8_t)i;
    CLEANUP(secret_freep) struct secret *s = NULL;
    ok(secret_from_passphrase(BYTES_LIT("correct horse"), salt, &s));
    same_hex(secret_view(s), "9aab5a81db651bf866ff7b6169794d2ad9bb00f3d95177925a5fca692a34dbd1");
    struct secret *none = NULL;
    refused(secret_from_passphrase((struct bytes){0}, salt, &none), ERROR_INVALID_ARGUMENT,
            "an empty passphrase");
}
END_TEST

START_TEST(test_derived_secrets_are_the_hmac_of_their_label) {
    CLEANUP(secret_freep) struct secret *master = secret_lit("Jefe");
    CLEANUP(secret_freep) struct secret *s = NULL;
    ok(secret_derive(master, "what do ya want for nothing?", &s));
    same_hex(secret_view(s), hmac_vectors[1].want);
}
END_TEST

/* --- public keys */

#define P256_SPKI_PREFIX "3059301306072a8648ce3d020106082a8648ce3d030107034200"
#define ED25519_SPKI_PREFIX "302a300506032b6570032100"

/* RFC 6979, A.2.5: the key, and two signatures as DER. */
#define RFC6979_SCALAR "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define RFC6979_POINT                                                                              \
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e956" \
    "28bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define RFC6979_SAMPLE                                                                             \
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d"   \
    "657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define RFC6979_TEST                                                                               \
    "3045022100f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d383670220019f4113742a2b" \
    "14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"

/* RFC 8032, 7.1: tests 1 to 3. */
static const struct {
    const char *seed, *raw, *message, *sig;
} ed25519_vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
};

static struct public_key *key_of_hex(const char *prefix, const char *rest) {
    char hex[256];
    uint8_t octets[128];
    (void)snprintf(hex, sizeof hex, "%s%s", prefix, rest);
    struct public_key *key = NULL;
    ok(public_key_from_spki(unhex(hex, octets), &key));
    return key;
}

START_TEST(test_published_signatures_verify) {
    CLEANUP(public_key_freep) struct public_key *p256 = key_of_hex(P256_SPKI_PREFIX, RFC6979_POINT);
    uint8_t sig[128];
    bool valid = false;
    ok(public_key_verify(p256, BYTES_LIT("sample"), unhex(RFC6979_SAMPLE, sig), &valid));
    ck_assert(valid);
    valid = false;
    ok(public_key_verify(p256, BYTES_LIT("test"), unhex(RFC6979_TEST, sig), &valid));
    ck_assert(valid);
    ok(public_key_verify(p256, BYTES_LIT("test"), unhex(RFC6979_SAMPLE, sig), &valid));
    ck_assert(!valid);
    for (size_t i = 0; i < COUNT(ed25519_vectors); i++) {
        CLEANUP(public_key_freep)
        struct public_key *key = key_of_hex(ED25519_SPKI_PREFIX, ed25519_vectors[i].raw);
        uint8_t message[8];
        same_hex(public_key_raw(key), ed25519_vectors[i].raw);
        ok(public_key_verify(key, unhex(ed25519_vectors[i].message, message),
                             unhex(ed25519_vectors[i].sig, sig), &valid));
        ck_assert(valid);
    }
}
END_TEST

/* `openssl ec -pubin -pubout` and `openssl pkey -pubin -pubout` of the two RFC keys. */
static const char p256_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n"
    "Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
    "-----END PUBLIC KEY-----\n";
static const char ed25519_pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";

START_TEST(test_a_public_key_has_one_pem_text) {
    const struct {
        const char *pem;
        enum key_algorithm algorithm;
    } keys[] = {{p256_pem, KEY_P256}, {ed25519_pem, KEY_ED25519}};
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct bytes pem = bytes_of_cstr(keys[i].pem);
        CLEANUP(public_key_freep) struct public_key *key = NULL;
        ok(public_key_from_pem(pem, &key));
        ck_assert_int_eq(public_key_algorithm(key), keys[i].algorithm);
        ck_assert(bytes_equal(public_key_pem(key), pem));
        ck_assert_uint_eq(public_key_raw(key).len, keys[i].algorithm == KEY_P256 ? 0 : 32);
        CLEANUP(public_key_freep) struct public_key *again = NULL;
        ok(public_key_from_spki(public_key_spki(key), &again));
        ck_assert(bytes_equal(public_key_pem(again), pem));
    }
}
END_TEST

static const struct {
    const char *name, *pem;
} rejected_pem[] = {
    {"empty", ""},
    {"no end", "-----BEGIN PUBLIC KEY-----\nMCow\n"},
    {"another label", "-----BEGIN EC PUBLIC KEY-----\nMCow\n-----END EC PUBLIC KEY-----\n"},
    {"text in front",
     "key:\n-----BEGIN PUBLIC "
     "KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
     "\n-----END PUBLIC KEY-----\n"},
    {"text behind",
     "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
     "\n-----END PUBLIC KEY-----\n\n"},
    {"no final newline",
     "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
     "\n-----END PUBLIC KEY-----"},
    {"carriage returns",
     "-----BEGIN PUBLIC KEY-----\r\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
     "\r\n-----END PUBLIC KEY-----\r\n"},
    {"wrapped elsewhere",
     "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2Vw\nAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
     "\n-----END PUBLIC KEY-----\n"},
    {"an empty line",
     "-----BEGIN PUBLIC KEY-----\n\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
     "\n-----END PUBLIC KEY-----\n"},
    {"URL-safe digits",
     "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="
     "\n-----END PUBLIC KEY-----\n"},
};

/* SPEC rfc7468 2: one way to wrap, and nothing around it. */
START_TEST(test_any_other_pem_text_is_refused) {
    struct public_key *key = NULL;
    for (size_t i = 0; i < COUNT(rejected_pem); i++)
        refused(public_key_from_pem(bytes_of_cstr(rejected_pem[i].pem), &key),
                ERROR_INVALID_ARGUMENT, rejected_pem[i].name);
    for (size_t n = 0; n < sizeof p256_pem - 1; n++)
        refused(public_key_from_pem((struct bytes){(const uint8_t *)p256_pem, n}, &key),
                ERROR_INVALID_ARGUMENT, "a truncated PEM");
    ck_assert_ptr_null(key);
}
END_TEST

static const struct {
    const char *name, *hex;
} rejected_spki[] = {
    {"nothing", ""},
    {"compressed point",
     "3039301306072a8648ce3d020106082a8648ce3d030107032200"
     "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"},
    {"off the curve", P256_SPKI_PREFIX
     "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e956"
     "28bc64f2f1b20c2d7e9f5177a3c294d4462298"},
    {"coordinates not below the prime", P256_SPKI_PREFIX
     "04ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
     "ffffffffffffffffffffffffffffffffffffff"},
    {"a hybrid point", P256_SPKI_PREFIX
     "0760fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e956"
     "28bc64f2f1b20c2d7e9f5177a3c294d4462299"},
    {"trailing octet", P256_SPKI_PREFIX RFC6979_POINT "00"},
    {"Ed25519 of small order",
     ED25519_SPKI_PREFIX "0100000000000000000000000000000000000000000000000000000000000000"},
    {"Ed25519 not canonical",
     ED25519_SPKI_PREFIX "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Ed25519 with parameters",
     "302c300706032b65700500032100"
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
};

/* SPEC sec1 2.3.4: what is off the curve is invalid. SPEC rfc8410 4: no parameters. */
START_TEST(test_other_keys_and_bad_points_are_refused) {
    uint8_t octets[128];
    struct public_key *key = NULL;
    for (size_t i = 0; i < COUNT(rejected_spki); i++)
        refused(public_key_from_spki(unhex(rejected_spki[i].hex, octets), &key),
                ERROR_INVALID_ARGUMENT, rejected_spki[i].name);
    struct bytes spki = unhex(P256_SPKI_PREFIX RFC6979_POINT, octets);
    for (size_t n = 0; n < spki.len; n++)
        refused(public_key_from_spki((struct bytes){octets, n}, &key), ERROR_INVALID_ARGUMENT,
                "a truncated SPKI");
    for (size_t bit = 0; bit < spki.len * 8; bit++) { /* the curve equation finds them all */
        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(public_key_from_spki(spki, &key), ERROR_INVALID_ARGUMENT, "a flipped SPKI");
        octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_ptr_null(key);
}
END_TEST

/* --- signatures */

START_TEST(test_what_is_signed_verifies_and_nothing_else_does) {
    for (enum key_algorithm alg = KEY_P256; alg <= KEY_ED25519; alg++) {
        CLEANUP(signing_key_freep) struct signing_key *key = NULL;
        CLEANUP(signing_key_freep) struct signing_key *other = NULL;
        ok(signing_key_generate(alg, &key));
        ok(signing_key_generate(alg, &other));
        const struct public_key *pub = signing_key_public(key);
        ck_assert_int_eq(public_key_algorithm(pub), alg);
        ck_assert(!bytes_equal(public_key_spki(pub), public_key_spki(signing_key_public(other))));

        uint8_t text[64] = "what was said";
        struct bytes message = {text, sizeof text};
        struct signature sig;
        ok(signing_key_sign(key, message, &sig));
        bool valid = false;
        ok(public_key_verify(pub, message, signature_bytes(&sig), &valid));
        ck_assert(valid);
        ok(public_key_verify(signing_key_public(other), message, signature_bytes(&sig), &valid));
        ck_assert(!valid);
        for (size_t bit = 0; bit < sig.len * 8; bit++) {
            sig.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
            valid = true;
            ok(public_key_verify(pub, message, signature_bytes(&sig), &valid));
            ck_assert_msg(!valid, "accepted a signature with bit %zu changed", bit);
            sig.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t bit = 0; bit < sizeof text * 8; bit++) {
            text[bit / 8] ^= (uint8_t)(1 << bit % 8);
            valid = true;
            ok(public_key_verify(pub, message, signature_bytes(&sig), &valid));
            ck_assert_msg(!valid, "accepted a message with bit %zu changed", bit);
            text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t n = 0; n < sig.len; n++) {
            valid = true;
            ok(public_key_verify(pub, message, (struct bytes){sig.octets, n}, &valid));
            ck_assert_msg(!valid, "accepted the first %zu octets of a signature", n);
        }
        ok(public_key_verify(pub, message, signature_bytes(&sig), &valid));
        ck_assert(valid); /* the contexts still work after all those */
    }
}
END_TEST

/* The "sample" signature in other words than DER's: each is a "no" and none an error. */
static const struct {
    const char *name, *hex;
} malformed_der[] = {
    {"trailing octet", RFC6979_SAMPLE "00"},
    {"length in two octets",
     "308146022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d"
     "657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {"padded integer",
     "304702220000efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d"
     "657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {"padded integer of 32 octets",
     "3046022100f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367022100019f4113742a2"
     "b"
     "14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"},
    {"negative integer",
     "30450220efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d"
     "657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {"one integer", "3023022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"},
    {"zero r and s", "3006020100020100"},
    {"empty integers", "300402000200"},
    {"s is the order",
     "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100ffffffff0000"
     "0000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"},
    {"not a sequence", "3146"},
    {"nothing", ""},
};

/* SPEC x690 10.1: lengths in one octet where one is enough. */
START_TEST(test_a_malformed_ecdsa_signature_is_a_no) {
    CLEANUP(public_key_freep) struct public_key *key = key_of_hex(P256_SPKI_PREFIX, RFC6979_POINT);
    for (size_t i = 0; i < COUNT(malformed_der); i++) {
        uint8_t octets[128];
        bool valid = true;
        ok(public_key_verify(key, BYTES_LIT("sample"), unhex(malformed_der[i].hex, octets),
                             &valid));
        ck_assert_msg(!valid, "accepted: %s", malformed_der[i].name);
    }
}
END_TEST

struct crowd {
    const struct signing_key *key;
    unsigned failures; /* of this thread */
};

static void *sign_and_verify(void *arg) {
    struct crowd *c = arg;
    for (uint32_t i = 0; i < 100; i++) {
        struct signature sig;
        bool valid = false;
        struct bytes message = {(const uint8_t *)&i, sizeof i};
        struct error *err = signing_key_sign(c->key, message, &sig);
        if (err == NULL)
            err = public_key_verify(signing_key_public(c->key), message, signature_bytes(&sig),
                                    &valid);
        c->failures += err != NULL || !valid;
        error_free(err);
    }
    return NULL;
}

START_TEST(test_many_threads_share_one_key) {
    for (enum key_algorithm alg = KEY_P256; alg <= KEY_ED25519; alg++) {
        CLEANUP(signing_key_freep) struct signing_key *key = NULL;
        ok(signing_key_generate(alg, &key));
        pthread_t threads[12]; /* more than the pool keeps */
        struct crowd crowds[COUNT(threads)];
        for (size_t i = 0; i < COUNT(threads); i++) {
            crowds[i] = (struct crowd){.key = key};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, sign_and_verify, &crowds[i]), 0);
        }
        for (size_t i = 0; i < COUNT(threads); i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
            ck_assert_uint_eq(crowds[i].failures, 0);
        }
    }
}
END_TEST

/* --- sealed keys */

static const char wrap_text[] = "0123456789abcdef0123456789ABCDEF";

/* The layout of seal.c, written down a second time with libsodium alone. */
static struct bytes sealed_by_hand(uint8_t kind, const char *content_hex, uint8_t out[81]) {
    uint8_t plain[33] = {kind};
    (void)unhex(content_hex, plain + 1);
    memcpy(out, "attkey1\n", 8);
    memset(out + 8, 7, 24);
    ck_assert_int_eq(
        crypto_secretbox_easy(out + 32, plain, sizeof plain, out + 8, (const uint8_t *)wrap_text),
        0);
    return (struct bytes){out, 81};
}

START_TEST(test_the_sealed_layout_is_the_documented_one) {
    CLEANUP(secret_freep) struct secret *wrap = secret_lit(wrap_text);
    uint8_t sealed[81], sig_octets[128];
    for (size_t i = 0; i < COUNT(ed25519_vectors); i++) {
        CLEANUP(signing_key_freep) struct signing_key *key = NULL;
        ok(signing_key_unseal(sealed_by_hand(2, ed25519_vectors[i].seed, sealed), wrap, &key));
        same_hex(public_key_raw(signing_key_public(key)), ed25519_vectors[i].raw);
        struct signature sig;
        uint8_t message[8];
        ok(signing_key_sign(key, unhex(ed25519_vectors[i].message, message), &sig));
        struct bytes want = unhex(ed25519_vectors[i].sig, sig_octets);
        ck_assert(bytes_equal(signature_bytes(&sig), want));
    }
    CLEANUP(signing_key_freep) struct signing_key *key = NULL;
    ok(signing_key_unseal(sealed_by_hand(1, RFC6979_SCALAR, sealed), wrap, &key));
    same_hex(public_key_spki(signing_key_public(key)), P256_SPKI_PREFIX RFC6979_POINT);
}
END_TEST

START_TEST(test_a_sealed_key_comes_back_the_same) {
    CLEANUP(secret_freep) struct secret *wrap = secret_lit(wrap_text);
    struct arena arena;
    arena_init(&arena, 4096);
    for (enum key_algorithm alg = KEY_P256; alg <= KEY_ED25519; alg++) {
        CLEANUP(signing_key_freep) struct signing_key *key = NULL;
        CLEANUP(signing_key_freep) struct signing_key *back = NULL;
        struct bytes one, two;
        ok(signing_key_generate(alg, &key));
        ok(signing_key_seal(key, wrap, &arena, &one));
        ok(signing_key_seal(key, wrap, &arena, &two));
        ck_assert(!bytes_equal(one, two)); /* a fresh nonce each time */
        ok(signing_key_unseal(one, wrap, &back));
        ck_assert(bytes_equal(public_key_spki(signing_key_public(key)),
                              public_key_spki(signing_key_public(back))));
        struct signature sig;
        bool valid = false;
        ok(signing_key_sign(back, BYTES_LIT("m"), &sig));
        ok(public_key_verify(signing_key_public(key), BYTES_LIT("m"), signature_bytes(&sig),
                             &valid));
        ck_assert(valid);
    }
    arena_done(&arena);
}
END_TEST

/* SPEC fips186-4 B.4.2: a private key is neither 0 nor at or above the order. */
START_TEST(test_a_changed_or_foreign_sealed_key_does_not_open) {
    CLEANUP(secret_freep) struct secret *wrap = secret_lit(wrap_text);
    CLEANUP(secret_freep) struct secret *foreign = secret_lit("another secret of 32 octets.....");
    uint8_t sealed[82];
    struct bytes whole = sealed_by_hand(1, RFC6979_SCALAR, sealed);
    struct signing_key *key = NULL;
    refused(signing_key_unseal(whole, foreign, &key), ERROR_FAILED_PRECONDITION, "foreign");
    for (size_t n = 0; n < whole.len; n++)
        refused(signing_key_unseal((struct bytes){sealed, n}, wrap, &key), ERROR_INVALID_ARGUMENT,
                "a truncated sealed key");
    refused(signing_key_unseal((struct bytes){sealed, 82}, wrap, &key), ERROR_INVALID_ARGUMENT,
            "a sealed key with an octet behind it");
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(signing_key_unseal(whole, wrap, &key),
                bit < 64 ? ERROR_INVALID_ARGUMENT : ERROR_FAILED_PRECONDITION, "a flipped bit");
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    const struct {
        const char *name, *content;
        uint8_t kind;
    } bad[] = {
        {"kind 0", RFC6979_SCALAR, 0},
        {"a certificate's key", RFC6979_SCALAR, 3},
        {"an unknown kind", RFC6979_SCALAR, 4},
        {"the scalar 0", "0000000000000000000000000000000000000000000000000000000000000000", 1},
        {"the order", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 1},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        refused(signing_key_unseal(sealed_by_hand(bad[i].kind, bad[i].content, sealed), wrap, &key),
                ERROR_INVALID_ARGUMENT, bad[i].name);
    ck_assert_ptr_null(key);
}
END_TEST

/* --- memory */

static struct error *use_everything(void) {
    struct arena arena;
    arena_init(&arena, 1 << 16);
    CLEANUP(secret_freep) struct secret *wrap = NULL;
    CLEANUP(signing_key_freep) struct signing_key *key = NULL;
    CLEANUP(signing_key_freep) struct signing_key *back = NULL;
    CLEANUP(public_key_freep) struct public_key *pub = NULL;
    struct bytes sealed = {0};
    struct error *err = secret_of(bytes_of_cstr(wrap_text), &wrap);
    if (err == NULL) err = signing_key_generate(KEY_P256, &key);
    if (err == NULL) err = signing_key_seal(key, wrap, &arena, &sealed);
    if (err == NULL) err = signing_key_unseal(sealed, wrap, &back);
    if (err == NULL) err = public_key_from_pem(bytes_of_cstr(ed25519_pem), &pub);
    arena_done(&arena);
    return err;
}

START_TEST(test_every_allocation_failure_is_an_error) {
    (void)alloc_fail_after(-1);
    ok(use_everything());
    long needed = alloc_fail_after(-1);
    ck_assert_int_gt(needed, 10);
    for (long n = 0; n < needed; n++) {
        (void)alloc_fail_after(n);
        struct error *err = use_everything();
        (void)alloc_fail_after(-1);
        refused(err, ERROR_RESOURCE_EXHAUSTED, "without memory");
    }
}
END_TEST

static void setup(void) { ok(crypto_init()); }

static Suite *crypto_suite(void) {
    Suite *s = suite_create("crypto");
    TCase *tc = tcase_create("crypto");
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_sha256_gives_the_published_digests);
    tcase_add_test(tc, test_sha256_does_not_depend_on_how_the_input_is_cut);
    tcase_add_test(tc, test_hmac_gives_the_published_codes);
    tcase_add_test(tc, test_secret_equal_compares_every_octet_and_the_length);
    tcase_add_test(tc, test_secrets_are_copies_and_random_ones_differ);
    tcase_add_test(tc, test_a_passphrase_is_stretched_by_argon2id_interactive);
    tcase_add_test(tc, test_derived_secrets_are_the_hmac_of_their_label);
    tcase_add_test(tc, test_published_signatures_verify);
    tcase_add_test(tc, test_a_public_key_has_one_pem_text);
    tcase_add_test(tc, test_any_other_pem_text_is_refused);
    tcase_add_test(tc, test_other_keys_and_bad_points_are_refused);
    tcase_add_test(tc, test_what_is_signed_verifies_and_nothing_else_does);
    tcase_add_test(tc, test_a_malformed_ecdsa_signature_is_a_no);
    tcase_add_test(tc, test_many_threads_share_one_key);
    tcase_add_test(tc, test_the_sealed_layout_is_the_documented_one);
    tcase_add_test(tc, test_a_sealed_key_comes_back_the_same);
    tcase_add_test(tc, test_a_changed_or_foreign_sealed_key_does_not_open);
    tcase_add_test(tc, test_every_allocation_failure_is_an_error);
    suite_add_tcase(s, tc);
    return s;
}

int main(void) {
    SRunner *sr = srunner_create(crypto_suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
