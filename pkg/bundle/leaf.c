/*
 * The leaf, JCS (canonicalizedBody; hex in hashes, base64 elsewhere):
 *   {"apiVersion":"0.0.1","kind":"dsse","spec":{
 *     "envelopeHash":{"algorithm":"sha256","value":hex SHA-256 of the JCS of the envelope},
 *     "payloadHash":{"algorithm":"sha256","value":hex SHA-256 of the payload octets},
 *     "signatures":[{"signature":base64 DER,"verifier":base64 of the PEM with its last newline}]}}
 * What the SET signs, JCS: {"body":base64 leaf,"integratedTime":n,"logID":hex,"logIndex":n}
 */
#include "base/assert.h"
#include "bundle/bundle.h"
#include "json/json.h"

static void put_hash(struct json_writer *w, const char *name, const struct sha256 *hash) {
    json_key(w, name);
    json_object_begin(w);
    json_key(w, "algorithm");
    json_put_cstr(w, "sha256");
    json_key(w, "value");
    json_put_hex(w, sha256_bytes(hash));
    json_object_end(w);
}

static struct error *hash_envelope(const struct dsse_envelope *env, struct sha256 *out) {
    CLEANUP(buf_done) struct buf octets;
    buf_init(&octets, BUNDLE_OCTETS_MAX);
    dsse_put_envelope(&octets, env);
    TRY(buf_finish(&octets, "the envelope"));
    *out = sha256_of(buf_bytes(&octets));
    return NULL;
}

struct error *bundle_put_leaf(struct buf *out, const struct dsse_envelope *env,
                              const struct public_key *key) {
    ASSERT(env->signature_count == 1);
    struct sha256 envelope_hash;
    TRY(hash_envelope(env, &envelope_hash));
    struct sha256 payload_hash = sha256_of(env->payload);

    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "apiVersion");
    json_put_cstr(&w, "0.0.1");
    json_key(&w, "kind");
    json_put_cstr(&w, "dsse");
    json_key(&w, "spec");
    json_object_begin(&w);
    put_hash(&w, "envelopeHash", &envelope_hash);
    put_hash(&w, "payloadHash", &payload_hash);
    json_key(&w, "signatures");
    json_array_begin(&w);
    json_object_begin(&w);
    json_key(&w, "signature");
    json_put_base64(&w, env->signatures[0].sig);
    json_key(&w, "verifier");
    json_put_base64(&w, public_key_pem(key));
    json_object_end(&w);
    json_array_end(&w);
    json_object_end(&w);
    json_object_end(&w);
    return buf_finish(out, "the leaf");
}

void bundle_put_set_payload(struct buf *out, struct bytes leaf, int64_t integrated_s,
                            const struct sha256 *log_id, uint64_t index) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "body");
    json_put_base64(&w, leaf);
    json_key(&w, "integratedTime");
    json_put_int(&w, integrated_s);
    json_key(&w, "logID");
    json_put_hex(&w, sha256_bytes(log_id));
    json_key(&w, "logIndex");
    json_put_uint(&w, index);
    json_object_end(&w);
}

void bundle_key_hint(const struct public_key *key, char out[65]) {
    static const char digits[] = "0123456789abcdef";
    struct sha256 hash = sha256_of(public_key_pem(key));
    for (size_t i = 0; i < sizeof hash.octets; i++) {
        out[2 * i] = digits[hash.octets[i] >> 4];
        out[2 * i + 1] = digits[hash.octets[i] & 15];
    }
    out[64] = '\0';
}
