/*
 * DATA/instance.json, mode 0600, made once:
 *
 *   {"version":1,"origin":"log.example","treeId":"4611686018427387905","createdMs":1780000000000,
 *    "logId":"<64 hex>","keySalt":"<32 hex>","tlsNames":["build7","10.1.2.3"]}
 *
 * treeId is 1 to 2^63-1; logId the SHA-256 of the log-v1 key's SPKI; keySalt the passphrase's, or
 * "" where the keys are sealed under DATA/secret; tlsNames what the server's certificate names
 * beside the loopback. The SHA-256 of the file stands in the database (meta family, "instance").
 */
#include "codec/codec.h"
#include "crypto/x509.h"
#include "instance/internal.h"
#include "json/json.h"

#define FACTS_VERSION 1

static const char *const members[] = {"version", "origin",  "treeId",  "createdMs",
                                      "logId",   "keySalt", "tlsNames"};
#define MEMBER_COUNT (sizeof members / sizeof *members)

void facts_put(struct buf *out, const struct instance_facts *facts) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "version");
    json_put_int(&w, FACTS_VERSION);
    json_key(&w, "origin");
    json_put_string(&w, bytes_of_text(facts->origin));
    json_key(&w, "treeId");
    json_put_u64_string(&w, facts->tree_id);
    json_key(&w, "createdMs");
    json_put_int(&w, facts->created_ms);
    json_key(&w, "logId");
    json_put_hex(&w, sha256_bytes(&facts->log_id));
    json_key(&w, "keySalt");
    json_put_hex(&w, (struct bytes){facts->salt, facts->has_passphrase ? sizeof facts->salt : 0});
    json_key(&w, "tlsNames");
    json_array_begin(&w);
    for (size_t i = 0; i < facts->tls_name_count; i++)
        json_put_string(&w, bytes_of_text(facts->tls_names[i]));
    json_array_end(&w);
    json_object_end(&w);
    buf_put_u8(out, '\n');
}

static struct error *malformed(const char *what) {
    return error_new(ERROR_INVALID_ARGUMENT, FACTS_FILE ": bad or missing %s", what);
}

static bool has_exactly_ours(const struct json_value *v) {
    if (v->type != JSON_OBJECT || v->object.count != MEMBER_COUNT) return false;
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        if (json_get(v, members[i]) == NULL) return false;
    return true;
}

static struct error *read_names(struct arena *arena, const struct json_value *v,
                                struct instance_facts *out) {
    if (v->type != JSON_ARRAY || v->array.count > INSTANCE_NAMES_MAX + 2)
        return malformed("tlsNames");
    struct text *names = arena_alloc(arena, (v->array.count + 1) * sizeof *names);
    if (names == NULL) return error_nomem();
    for (size_t i = 0; i < v->array.count; i++)
        if (!text_of_bytes(json_string(&v->array.items[i]), &names[i]) || names[i].len == 0)
            return malformed("tlsNames");
    out->tls_names = names;
    out->tls_name_count = v->array.count;
    return NULL;
}

struct error *facts_parse(struct arena *arena, struct bytes json, struct instance_facts *out) {
    struct json_value v;
    struct instance_facts f = {0};
    uint64_t version = 0, created = 0;
    TRY(json_parse(arena, json, &JSON_LIMITS_DEFAULT, &v));
    if (!json_u64(json_get(&v, "version"), &version) || version != FACTS_VERSION)
        return malformed("version: it is another program version's");
    if (!has_exactly_ours(&v)) return malformed("members");
    if (!text_of_bytes(json_string(json_get(&v, "origin")), &f.origin) ||
        !x509_is_dns_name(f.origin))
        return malformed("origin");
    if (!json_u64(json_get(&v, "treeId"), &f.tree_id) || f.tree_id == 0 || f.tree_id > INT64_MAX)
        return malformed("treeId");
    if (!json_u64(json_get(&v, "createdMs"), &created) || created > INT64_MAX)
        return malformed("createdMs");
    f.created_ms = (int64_t)created;
    if (!hex_decode(json_string(json_get(&v, "logId")), f.log_id.octets, sizeof f.log_id.octets))
        return malformed("logId");
    struct bytes salt = json_string(json_get(&v, "keySalt"));
    f.has_passphrase = salt.len > 0;
    if (f.has_passphrase && !hex_decode(salt, f.salt, sizeof f.salt)) return malformed("keySalt");
    TRY(read_names(arena, json_get(&v, "tlsNames"), &f));
    *out = f;
    return NULL;
}
