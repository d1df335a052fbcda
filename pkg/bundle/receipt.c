/*
 * The receipt, in this order, without white space (64-bit numbers are strings, octets standard
 * base64):
 *   {"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
 *    "verificationMaterial":{
 *      "publicKey":{"hint":hex SHA-256 of the key's PEM},
 *      "tlogEntries":[{
 *        "logIndex","logId":{"keyId"},"kindVersion":{"kind":"dsse","version":"0.0.1"},
 *        "integratedTime","inclusionPromise":{"signedEntryTimestamp"},
 *        "inclusionProof":{"logIndex","rootHash","treeSize","hashes":[..],
 *                          "checkpoint":{"envelope": v1-form signed note}},
 *        "canonicalizedBody"}]},
 *    "dsseEnvelope":{"payload","payloadType":"application/vnd.in-toto+json",
 *                    "signatures":[{"keyid":"","sig"}]}}
 * Read back: the same members, all of them and no other, in any order.
 */
#include "bundle/bundle.h"
#include "codec/codec.h"
#include "internal.h"

struct dsse_envelope envelope_of(const struct bundle_receipt *r) {
    return (struct dsse_envelope){.payload_type = BYTES_LIT(DSSE_INTOTO_TYPE),
                                  .payload = r->payload,
                                  .signature_count = 1,
                                  .signatures = {{.sig = r->signature}}};
}

static void put_proof(struct json_writer *w, const struct bundle_receipt *r) {
    json_key(w, "inclusionProof");
    json_object_begin(w);
    json_key(w, "logIndex");
    json_put_u64_string(w, r->index);
    json_key(w, "rootHash");
    json_put_base64(w, sha256_bytes(&r->root));
    json_key(w, "treeSize");
    json_put_u64_string(w, r->tree_size);
    json_key(w, "hashes");
    json_array_begin(w);
    for (size_t i = 0; i < r->proof.count; i++)
        json_put_base64(w, sha256_bytes(&r->proof.hashes[i]));
    json_array_end(w);
    json_key(w, "checkpoint");
    json_object_begin(w);
    json_key(w, "envelope");
    json_put_string(w, r->checkpoint_v1);
    json_object_end(w);
    json_object_end(w);
}

static void put_entry(struct json_writer *w, const struct bundle_receipt *r) {
    json_object_begin(w);
    json_key(w, "logIndex");
    json_put_u64_string(w, r->index);
    json_key(w, "logId");
    json_object_begin(w);
    json_key(w, "keyId");
    json_put_base64(w, sha256_bytes(&r->log_id));
    json_object_end(w);
    json_key(w, "kindVersion");
    json_object_begin(w);
    json_key(w, "kind");
    json_put_cstr(w, "dsse");
    json_key(w, "version");
    json_put_cstr(w, "0.0.1");
    json_object_end(w);
    json_key(w, "integratedTime");
    json_put_u64_string(w, (uint64_t)r->integrated_s);
    json_key(w, "inclusionPromise");
    json_object_begin(w);
    json_key(w, "signedEntryTimestamp");
    json_put_base64(w, r->set);
    json_object_end(w);
    put_proof(w, r);
    json_key(w, "canonicalizedBody");
    json_put_base64(w, r->leaf);
    json_object_end(w);
}

void bundle_put_receipt(struct buf *out, const struct bundle_receipt *r) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "mediaType");
    json_put_cstr(&w, RECEIPT_MEDIA_TYPE);
    json_key(&w, "verificationMaterial");
    json_object_begin(&w);
    json_key(&w, "publicKey");
    json_object_begin(&w);
    json_key(&w, "hint");
    json_put_cstr(&w, r->key_hint);
    json_object_end(&w);
    json_key(&w, "tlogEntries");
    json_array_begin(&w);
    put_entry(&w, r);
    json_array_end(&w);
    json_object_end(&w);
    json_key(&w, "dsseEnvelope"); /* last, so that the writer needs no comma after it */
    struct dsse_envelope env = envelope_of(r);
    dsse_put_envelope(out, &env);
    json_object_end(&w);
}

static void read_hint(struct form *f, const struct json_value *material,
                      struct bundle_receipt *out) {
    struct bytes hint = form_string(f, form_object(f, material, "publicKey", 1), "hint");
    if (hint.len != 64 || !hex_is_lower(hint)) {
        form_fail(f, "hint", "not a SHA-256 in lower-case hexadecimal");
        return;
    }
    memcpy(out->key_hint, hint.data, hint.len);
    out->key_hint[64] = '\0';
}

static void read_proof(struct form *f, const struct json_value *entry, struct bundle_receipt *out) {
    const struct json_value *proof = form_object(f, entry, "inclusionProof", 5);
    if (form_u64(f, proof, "logIndex") != out->index)
        form_fail(f, "inclusionProof.logIndex", "not the entry's index");
    out->root = form_sha256(f, proof, "rootHash");
    out->tree_size = form_u64(f, proof, "treeSize");
    const struct json_value *hashes = form_array(f, proof, "hashes", 0, MERKLE_PROOF_MAX);
    out->proof.count = hashes == NULL ? 0 : hashes->array.count;
    for (size_t i = 0; i < out->proof.count; i++)
        out->proof.hashes[i] = form_sha256_item(f, hashes, i);
    out->checkpoint_v1 = form_string(f, form_object(f, proof, "checkpoint", 1), "envelope");
}

static void read_entry(struct form *f, const struct json_value *material,
                       struct bundle_receipt *out) {
    const struct json_value *entries = form_array(f, material, "tlogEntries", 1, 1);
    const struct json_value *entry = form_item(f, entries, 0, 7);
    out->index = form_u64(f, entry, "logIndex");
    out->log_id = form_sha256(f, form_object(f, entry, "logId", 1), "keyId");
    const struct json_value *kind = form_object(f, entry, "kindVersion", 2);
    form_literal(f, kind, "kind", "dsse");
    form_literal(f, kind, "version", "0.0.1");
    uint64_t integrated_s = form_u64(f, entry, "integratedTime");
    if (integrated_s == 0 || integrated_s > INT64_MAX)
        form_fail(f, "integratedTime", "out of range");
    out->integrated_s = (int64_t)integrated_s;
    const struct json_value *promise = form_object(f, entry, "inclusionPromise", 1);
    out->set = form_base64(f, promise, "signedEntryTimestamp");
    read_proof(f, entry, out);
    out->leaf = form_base64(f, entry, "canonicalizedBody");
}

static void read_envelope(struct form *f, const struct json_value *root,
                          struct bundle_receipt *out) {
    const struct json_value *env = form_object(f, root, "dsseEnvelope", 3);
    out->payload = form_base64(f, env, "payload");
    form_literal(f, env, "payloadType", DSSE_INTOTO_TYPE);
    const struct json_value *signature = form_item(f, form_array(f, env, "signatures", 1, 1), 0, 2);
    form_literal(f, signature, "keyid", "");
    out->signature = form_base64(f, signature, "sig");
}

struct error *bundle_read_receipt(struct arena *arena, struct bytes receipt,
                                  struct bundle_receipt *out) {
    struct bundle_receipt r = {0};
    struct form f = {.arena = arena};
    const struct json_value *root = form_parse(&f, receipt, BUNDLE_OCTETS_MAX, 3);
    form_literal(&f, root, "mediaType", RECEIPT_MEDIA_TYPE);
    const struct json_value *material = form_object(&f, root, "verificationMaterial", 2);
    read_hint(&f, material, &r);
    read_entry(&f, material, &r);
    read_envelope(&f, root, &r);
    TRY(form_finish(&f));
    *out = r;
    return NULL;
}

struct error *bundle_get_envelope(struct arena *arena, struct bytes receipt, struct bytes *out) {
    struct bundle_receipt r;
    TRY(bundle_read_receipt(arena, receipt, &r));
    struct buf octets;
    buf_init_arena(&octets, arena, BUNDLE_OCTETS_MAX);
    struct dsse_envelope env = envelope_of(&r);
    dsse_put_envelope(&octets, &env);
    TRY(buf_finish(&octets, "the envelope"));
    *out = buf_bytes(&octets);
    return NULL;
}
