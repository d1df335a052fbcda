/*
 * The configuration:  {"server":..,"ca":..,"token_file":..}, each a text, each may be missing.
 * The last trust:     a path and "\n".
 * The monitor's:      {"origin":..,"treeSize":"..","rootHash":"<base64>","checkpoint":<the signed
 *                     note>}. The note alone is read back; the rest is for people.
 */
#include "client/state.h"

#define DEPTH_MAX 4

/* A C string of `in`: what would end before its end is refused, not cut. */
static struct error *copy_text(struct arena *arena, struct bytes in, const char **out) {
    struct text text;
    if (!text_of_bytes(in, &text))
        return error_new(ERROR_INVALID_ARGUMENT, "a text holds a NUL or is not UTF-8");
    struct bytes copy = arena_copy(arena, in);
    if (copy.data == NULL) return error_nomem();
    *out = (const char *)copy.data;
    return NULL;
}

static const char **member(struct state_config *c, struct bytes name) {
    if (bytes_equal(name, BYTES_LIT("server"))) return &c->server;
    if (bytes_equal(name, BYTES_LIT("ca"))) return &c->ca;
    if (bytes_equal(name, BYTES_LIT("token_file"))) return &c->token_file;
    return NULL;
}

struct error *state_read_config(struct arena *arena, struct bytes octets,
                                struct state_config *out) {
    const struct json_limits limits = {.depth_max = DEPTH_MAX, .octets_max = STATE_CONFIG_MAX};
    struct state_config config = {0};
    struct json_value json;
    TRY(json_parse(arena, octets, &limits, &json));
    if (json.type != JSON_OBJECT) return error_new(ERROR_INVALID_ARGUMENT, "not a JSON object");
    for (size_t i = 0; i < json.object.count; i++) {
        const struct json_member *m = &json.object.members[i];
        const char **value = member(&config, m->name);
        if (value == NULL || m->value.type != JSON_STRING)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "`" BYTES_FMT "` is not one of the texts server, ca, token_file",
                             BYTES_ARG(m->name));
        TRY(copy_text(arena, m->value.string, value));
    }
    *out = config;
    return NULL;
}

struct error *state_read_path(struct arena *arena, struct bytes octets, const char **out) {
    if (octets.len > 0 && octets.data[octets.len - 1] == '\n') octets.len--;
    if (octets.len == 0) return error_new(ERROR_INVALID_ARGUMENT, "names no file");
    if (memchr(octets.data, 0, octets.len) != NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "a path holds a NUL");
    struct bytes copy = arena_copy(arena, octets);
    if (copy.data == NULL) return error_nomem();
    *out = (const char *)copy.data;
    return NULL;
}

struct error *state_read_monitor(struct arena *arena, const struct trust *trust,
                                 struct bytes octets, struct head *out, char why[256],
                                 bool *out_good) {
    const struct json_limits limits = {.depth_max = DEPTH_MAX, .octets_max = STATE_MONITOR_MAX};
    struct json_value json;
    TRY(json_parse(arena, octets, &limits, &json));
    struct bytes note = json_string(json_get(&json, "checkpoint"));
    return head_check(arena, trust, note, out, why, out_good);
}

void state_put_monitor(struct buf *out, struct bytes origin, const struct head *head) {
    struct json_writer w = json_writer_of(out);
    json_object_begin(&w);
    json_key(&w, "origin");
    json_put_string(&w, origin);
    json_key(&w, "treeSize");
    json_put_u64_string(&w, head->size);
    json_key(&w, "rootHash");
    json_put_base64(&w, sha256_bytes(&head->root));
    json_key(&w, "checkpoint");
    json_put_string(&w, head->checkpoint);
    json_object_end(&w);
    buf_put_u8(out, '\n');
}
