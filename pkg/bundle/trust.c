/*
 * The two trust files (the trusted root is Sigstore's protos/sigstore_trustroot.proto, version 0.1:
 * the one that every client reads):
 *   {"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1",
 *    "tlogs":[{"baseUrl":"https://<origin>","hashAlgorithm":"SHA2_256",
 *              "publicKey":{"rawBytes":base64 SPKI,"keyDetails","validFor":{"start"[,"end"]}},
 *              "logId":{"keyId":base64}},..],
 *    "certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}
 *   {"mediaType":"application/vnd.attestd.signing-keys+json;version=1",
 *    "keys":[{"hint":hex,"purpose":"attestation"|"decision","algorithm","publicKeyPem",
 *             "validFor":{"start"[,"end"]}},..]}
 * keyDetails and algorithm: "PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519" (logs alone).
 * Log id: P-256: SHA-256(SPKI); Ed25519: SHA-256(origin, LF, 0x01, key), as in C2SP signed notes.
 */
#include "codec/codec.h"
#include "internal.h"
#include "note/note.h"

#define TRUST_ARENA_BYTES ((size_t)4 << 20)

static const char *key_details(const struct public_key *key) {
    return public_key_algorithm(key) == KEY_P256 ? KEY_DETAILS_P256 : KEY_DETAILS_ED25519;
}

static struct sha256 log_id_of(struct bytes origin, const struct public_key *key) {
    return public_key_algorithm(key) == KEY_P256 ? note_log_id_spki(public_key_spki(key))
                                                 : note_log_id_ed25519(origin, public_key_raw(key));
}

/* --- writing */
static void put_window(struct json_writer *w, int64_t from_s) {
    json_key(w, "validFor");
    json_object_begin(w);
    json_key(w, "start");
    buf_put_cstr(w->out, "\""); /* a time needs no escape */
    time_put_nanos(w->out, from_s, 0);
    buf_put_cstr(w->out, "\"");
    json_object_end(w);
}

static void put_log(struct json_writer *w, const struct trust_source *src,
                    const struct public_key *key) {
    json_object_begin(w);
    json_key(w, "baseUrl");
    buf_put_cstr(w->out, "\"https://"); /* a host name needs no escape */
    buf_put(w->out, src->origin);
    buf_put_cstr(w->out, "\"");
    w->comma = true;
    json_key(w, "hashAlgorithm");
    json_put_cstr(w, "SHA2_256");
    json_key(w, "publicKey");
    json_object_begin(w);
    json_key(w, "rawBytes");
    json_put_base64(w, public_key_spki(key));
    json_key(w, "keyDetails");
    json_put_cstr(w, key_details(key));
    put_window(w, src->valid_from_s);
    json_object_end(w);
    json_key(w, "logId");
    json_object_begin(w);
    json_key(w, "keyId");
    struct sha256 id = log_id_of(src->origin, key);
    json_put_base64(w, sha256_bytes(&id));
    json_object_end(w);
    json_object_end(w);
}

void trust_put_root(struct buf *out, const struct trust_source *src) {
    /* Written though empty: sigstore-python asks for the members (reference, 2.1). */
    static const char *const empty[] = {"certificateAuthorities", "ctlogs", "timestampAuthorities"};
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "mediaType");
    json_put_cstr(&w, TRUSTED_ROOT_MEDIA_TYPE);
    json_key(&w, "tlogs");
    json_array_begin(&w);
    put_log(&w, src, src->log_v1);
    put_log(&w, src, src->log_c2sp);
    json_array_end(&w);
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        json_key(&w, empty[i]);
        json_array_begin(&w);
        json_array_end(&w);
    }
    json_object_end(&w);
}

static const char *const purposes[] = {
    [TRUST_PURPOSE_ATTESTATION] = "attestation",
    [TRUST_PURPOSE_DECISION] = "decision",
};

static void put_key(struct json_writer *w, enum trust_purpose purpose, const struct public_key *key,
                    int64_t from_s) {
    char hint[65];
    bundle_key_hint(key, hint);
    json_object_begin(w);
    json_key(w, "hint");
    json_put_cstr(w, hint);
    json_key(w, "purpose");
    json_put_cstr(w, purposes[purpose]);
    json_key(w, "algorithm");
    json_put_cstr(w, key_details(key));
    json_key(w, "publicKeyPem");
    json_put_string(w, public_key_pem(key));
    put_window(w, from_s);
    json_object_end(w);
}

void trust_put_signing_keys(struct buf *out, const struct trust_source *src) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "mediaType");
    json_put_cstr(&w, SIGNING_KEYS_MEDIA_TYPE);
    json_key(&w, "keys");
    json_array_begin(&w);
    put_key(&w, TRUST_PURPOSE_ATTESTATION, src->attestation, src->valid_from_s);
    put_key(&w, TRUST_PURPOSE_DECISION, src->decision, src->valid_from_s);
    json_array_end(&w);
    json_object_end(&w);
}

/* --- reading */

/* The host of "https://<host>": no port, path, user or query, since the host alone is what a
 * checkpoint's signature line carries. */
static struct bytes host_of(struct form *f, struct bytes url) {
    const struct bytes scheme = BYTES_LIT("https://");
    if (f->err != NULL) return (struct bytes){0};
    struct bytes host = {0};
    if (bytes_start_with(url, scheme))
        host = (struct bytes){url.data + scheme.len, url.len - scheme.len};
    bool ok = host.len > 0 && host.len <= 253;
    for (size_t i = 0; i < host.len && ok; i++) {
        uint8_t c = host.data[i];
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    }
    if (!ok) form_fail(f, "baseUrl", "not https:// and a host name in lower case");
    return host;
}

/* Takes what a key reader gave; the reader's error, if any, becomes the form's. */
static void keep_key_error(struct form *f, struct error *err, const char *what) {
    if (err != NULL) f->err = error_wrap(err, "%s", what);
}

static void check_log(struct form *f, struct trust *t, struct bytes host, struct bytes details) {
    struct trust_log *log = &t->logs[t->log_count - 1];
    if (!bytes_equal(details, bytes_of_cstr(key_details(log->key))))
        form_fail(f, "keyDetails", "not the key's algorithm");
    struct sha256 id = log_id_of(host, log->key);
    if (!sha256_equal(&id, &log->log_id)) form_fail(f, "logId", "not the key's");
    if (t->log_count > 1 && !bytes_equal(host, t->origin))
        form_fail(f, "baseUrl", "logs of more than one origin");
    for (size_t i = 0; i + 1 < t->log_count; i++) {
        if (sha256_equal(&t->logs[i].log_id, &id)) form_fail(f, "tlogs", "a log occurs twice");
    }
    t->origin = host;
}

static void read_log(struct form *f, const struct json_value *tlog, struct trust *t) {
    struct trust_log *log = &t->logs[t->log_count];
    log->base_url = form_string(f, tlog, "baseUrl");
    struct bytes host = host_of(f, log->base_url);
    form_literal(f, tlog, "hashAlgorithm", "SHA2_256");
    log->log_id = form_sha256(f, form_object(f, tlog, "logId", 1), "keyId");
    const struct json_value *key = form_object(f, tlog, "publicKey", 3);
    form_window(f, key, &log->valid_from_s, &log->valid_until_s);
    struct bytes details = form_string(f, key, "keyDetails");
    struct bytes spki = form_base64(f, key, "rawBytes");
    if (f->err != NULL) return;
    keep_key_error(f, public_key_from_spki(spki, &log->key), "rawBytes");
    if (f->err != NULL) return;
    t->log_count++; /* from here on trust_done frees the key */
    check_log(f, t, host, details);
}

static struct error *read_root(struct trust *t, struct bytes text) {
    struct form f = {.arena = &t->arena};
    const struct json_value *root = form_parse(&f, text, TRUST_OCTETS_MAX, 5);
    form_literal(&f, root, "mediaType", TRUSTED_ROOT_MEDIA_TYPE);
    (void)form_array(&f, root, "certificateAuthorities", 0, SIZE_MAX);
    (void)form_array(&f, root, "ctlogs", 0, SIZE_MAX);
    (void)form_array(&f, root, "timestampAuthorities", 0, SIZE_MAX);
    const struct json_value *logs = form_array(&f, root, "tlogs", 1, TRUST_KEYS_MAX);
    size_t count = logs == NULL ? 0 : logs->array.count;
    for (size_t i = 0; i < count; i++) read_log(&f, form_item(&f, logs, i, 4), t);
    return form_finish(&f);
}

static enum trust_purpose purpose_of(struct bytes name) {
    for (size_t i = 1; i < sizeof purposes / sizeof *purposes; i++) {
        if (bytes_equal(name, bytes_of_cstr(purposes[i]))) return (enum trust_purpose)i;
    }
    return TRUST_PURPOSE_UNSET;
}

static void check_key(struct form *f, struct trust *t, struct bytes hint) {
    struct trust_key *key = &t->keys[t->key_count - 1];
    if (key->purpose == TRUST_PURPOSE_UNSET) form_fail(f, "purpose", "unknown");
    if (public_key_algorithm(key->key) != KEY_P256) form_fail(f, "publicKeyPem", "not P-256");
    bundle_key_hint(key->key, key->hint);
    if (!bytes_equal(hint, bytes_of_cstr(key->hint))) form_fail(f, "hint", "not the key's");
    for (size_t i = 0; i + 1 < t->key_count; i++) {
        if (strcmp(t->keys[i].hint, key->hint) == 0) form_fail(f, "keys", "a key occurs twice");
    }
}

static void read_key(struct form *f, const struct json_value *item, struct trust *t) {
    struct trust_key *key = &t->keys[t->key_count];
    struct bytes hint = form_string(f, item, "hint");
    key->purpose = purpose_of(form_string(f, item, "purpose"));
    form_literal(f, item, "algorithm", KEY_DETAILS_P256);
    form_window(f, item, &key->valid_from_s, &key->valid_until_s);
    struct bytes pem = form_string(f, item, "publicKeyPem");
    if (f->err != NULL) return;
    keep_key_error(f, public_key_from_pem(pem, &key->key), "publicKeyPem");
    if (f->err != NULL) return;
    t->key_count++;
    check_key(f, t, hint);
}

static struct error *read_signing_keys(struct trust *t, struct bytes text) {
    struct form f = {.arena = &t->arena};
    const struct json_value *root = form_parse(&f, text, TRUST_OCTETS_MAX, 2);
    form_literal(&f, root, "mediaType", SIGNING_KEYS_MEDIA_TYPE);
    const struct json_value *keys = form_array(&f, root, "keys", 1, TRUST_KEYS_MAX);
    size_t count = keys == NULL ? 0 : keys->array.count;
    for (size_t i = 0; i < count; i++) read_key(&f, form_item(&f, keys, i, 5), t);
    return form_finish(&f);
}

struct error *trust_load(struct bytes trusted_root, struct bytes signing_keys, struct trust *out) {
    CLEANUP(trust_done) struct trust t = {.now_s = INT64_MAX};
    arena_init(&t.arena, TRUST_ARENA_BYTES);
    struct error *err = read_root(&t, trusted_root);
    if (err != NULL) return error_wrap(err, "trusted root");
    err = read_signing_keys(&t, signing_keys);
    if (err != NULL) return error_wrap(err, "signing keys");
    *out = t;
    t = (struct trust){0};
    return NULL;
}

void trust_done(struct trust *t) {
    for (size_t i = 0; i < t->log_count; i++) public_key_free(t->logs[i].key);
    for (size_t i = 0; i < t->key_count; i++) public_key_free(t->keys[i].key);
    arena_done(&t->arena);
    *t = (struct trust){0};
}
