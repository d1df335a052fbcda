#include "dsse/dsse.h"

#include "codec/codec.h"

/* SPEC dsse protocol.md "Signature Definition": "PAE(type, body) = "DSSEv1" + SP + LEN(type) + SP +
 * type + SP + LEN(body) + SP + body"; "LEN(s) = ASCII decimal encoding of the byte length of s,
 * with no leading zeros" */
void dsse_put_pae(struct buf *out, struct bytes payload_type, struct bytes payload) {
    buf_put_cstr(out, "DSSEv1 ");
    buf_put_dec(out, payload_type.len);
    buf_put_u8(out, ' ');
    buf_put(out, payload_type);
    buf_put_u8(out, ' ');
    buf_put_dec(out, payload.len);
    buf_put_u8(out, ' ');
    buf_put(out, payload);
}

void dsse_put_envelope(struct buf *out, const struct dsse_envelope *env) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "payload");
    json_put_base64(&w, env->payload);
    json_key(&w, "payloadType");
    json_put_string(&w, env->payload_type);
    json_key(&w, "signatures");
    json_array_begin(&w);
    for (size_t i = 0; i < env->signature_count; i++) {
        json_object_begin(&w);
        json_key(&w, "keyid");
        json_put_string(&w, env->signatures[i].keyid);
        json_key(&w, "sig");
        json_put_base64(&w, env->signatures[i].sig);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

static struct error *refuse(const char *why) {
    return error_new(ERROR_INVALID_ARGUMENT, "envelope: %s", why);
}

/* How many of `names` (ended by NULL) `object` has; where that is all it has, nothing is unknown.
 */
static bool has_only(const struct json_value *object, const char *const *names) {
    size_t known = 0;
    for (; *names != NULL; names++) known += json_get(object, *names) != NULL;
    return known == object->object.count;
}

static bool is_string(const struct json_value *v) { return v != NULL && v->type == JSON_STRING; }

static struct error *read_signature(struct arena *arena, const struct json_value *json, bool strict,
                                    struct dsse_signature *out) {
    static const char *const names[] = {"sig", "keyid", NULL};
    if (json->type != JSON_OBJECT) return refuse("a signature is not an object");
    if (strict && !has_only(json, names)) return refuse("unknown field in a signature");
    const struct json_value *sig = json_get(json, "sig"), *keyid = json_get(json, "keyid");
    if (!is_string(sig) || sig->string.len == 0) return refuse("sig is missing or not a string");
    if (keyid != NULL && !is_string(keyid)) return refuse("keyid is not a string");
    TRY(base64_decode(arena, sig->string, BASE64_ANY, &out->sig));
    out->keyid = json_string(keyid);
    return NULL;
}

struct error *dsse_envelope_from_json(struct arena *arena, const struct json_value *json,
                                      bool strict, struct dsse_envelope *out) {
    static const char *const names[] = {"payload", "payloadType", "signatures", NULL};
    if (json->type != JSON_OBJECT) return refuse("not an object");
    if (strict && !has_only(json, names)) return refuse("unknown field");
    const struct json_value *payload = json_get(json, "payload");
    const struct json_value *type = json_get(json, "payloadType");
    const struct json_value *signatures = json_get(json, "signatures");
    if (!is_string(payload)) return refuse("payload is missing or not a string");
    if (!is_string(type) || type->string.len == 0)
        return refuse("payloadType is missing or not a string");
    if (signatures == NULL || signatures->type != JSON_ARRAY)
        return refuse("signatures are missing or not an array");
    if (signatures->array.count == 0) return refuse("no signature");
    if (signatures->array.count > DSSE_SIGNATURES_MAX) return refuse("too many signatures");

    struct dsse_envelope env = {.payload_type = type->string,
                                .signature_count = signatures->array.count};
    TRY(base64_decode(arena, payload->string, BASE64_ANY, &env.payload));
    for (size_t i = 0; i < env.signature_count; i++)
        TRY(read_signature(arena, &signatures->array.items[i], strict, &env.signatures[i]));
    *out = env;
    return NULL;
}
