/* Which server, which certificate authority, which token: the flag, else the environment, else the
 * file that `attestd init` writes. Each of the three is looked up by itself. */
#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"
#include "client/internal.h"

#define CONFIG_OCTETS_MAX ((size_t)64 << 10)

static const struct {
    const char *option;
    const char *environment;
    const char *key;
} sources[] = {
    {"server", "ATTEST_SERVER", "server"},
    {"ca", "ATTEST_CA", "ca"},
    {"token-file", "ATTEST_TOKEN_FILE", "token_file"},
};

static const char *environment(const char *name) {
    const char *v = getenv(name);
    return v == NULL || v[0] == '\0' ? NULL : v;
}

static struct error *join(struct arena *arena, const char *a, const char *b, const char **out) {
    struct buf path;
    buf_init_arena(&path, arena, 4096);
    buf_put_cstr(&path, a);
    buf_put_cstr(&path, b);
    buf_put_u8(&path, '\0');
    TRY(buf_finish(&path, "path"));
    *out = (const char *)path.data;
    return NULL;
}

/* <XDG variable>/<below>, else ~/<home>/<below>. */
static struct error *xdg(struct arena *arena, const char *variable, const char *home,
                         const char *below, const char **out) {
    const char *base = environment(variable);
    if (base == NULL) {
        const char *h = environment("HOME");
        if (h == NULL)
            return error_new(ERROR_FAILED_PRECONDITION, "neither HOME nor %s is set", variable);
        TRY(join(arena, h, home, &base));
    }
    return join(arena, base, below, out);
}

bool settings_has_state_dir(void) {
    return environment("XDG_STATE_HOME") != NULL || environment("HOME") != NULL;
}

struct error *settings_state_dir(struct arena *arena, const char **out) {
    return xdg(arena, "XDG_STATE_HOME", "/.local/state", "/attest", out);
}

/* The file's object; JSON_NULL where there is no file. One that is named must be there; a service
 * without a home has none. */
static struct error *read_config(struct cli *cli, struct json_value *out, const char **out_path) {
    struct json_limits limits = {.depth_max = 4, .octets_max = CONFIG_OCTETS_MAX};
    const char *path = environment("ATTEST_CONFIG");
    bool named = path != NULL;
    *out = (struct json_value){.type = JSON_NULL};
    *out_path = "~/.config/attest/config.json";
    if (!named && environment("XDG_CONFIG_HOME") == NULL && environment("HOME") == NULL)
        return NULL;
    if (!named) TRY(xdg(&cli->arena, "XDG_CONFIG_HOME", "/.config", "/attest/config.json", &path));
    *out_path = path;
    if (!named && !path_exists(path)) return NULL;
    struct bytes octets;
    TRY(cli_read_file(&cli->arena, path, CONFIG_OCTETS_MAX, &octets));
    struct error *err = json_parse(&cli->arena, octets, &limits, out);
    if (err != NULL) return error_wrap(err, "%s", path);
    if (out->type != JSON_OBJECT)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: not a JSON object", path);
    return NULL;
}

static struct error *check_keys(const struct json_value *config, const char *path) {
    for (size_t i = 0; config->type == JSON_OBJECT && i < config->object.count; i++) {
        const struct json_member *m = &config->object.members[i];
        bool known = false;
        for (size_t s = 0; s < sizeof sources / sizeof *sources; s++)
            known = known || bytes_equal(m->name, bytes_of_cstr(sources[s].key));
        if (!known || m->value.type != JSON_STRING)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "%s: `" BYTES_FMT "` is not one of the texts server, ca, token_file",
                             path, BYTES_ARG(m->name));
    }
    return NULL;
}

struct error *settings_parse_server(struct arena *arena, const char *server, const char **out_host,
                                    uint16_t *out_port) {
    const struct bytes scheme = BYTES_LIT("https://");
    struct bytes rest = bytes_of_cstr(server);
    uint64_t port = 443;
    if (!bytes_start_with(rest, scheme))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the server must be https://HOST:PORT, not `%.200s`", server);
    rest = (struct bytes){rest.data + scheme.len, rest.len - scheme.len};
    if (rest.len > 0 && rest.data[rest.len - 1] == '/') rest.len--;
    struct bytes host = rest;
    const uint8_t *close = rest.len == 0 ? NULL : memchr(rest.data, ']', rest.len);
    bool six = rest.len > 0 && rest.data[0] == '[' && close != NULL;
    size_t from = six ? (size_t)(close - rest.data) : 0;
    const uint8_t *colon = rest.len == 0 ? NULL : memchr(rest.data + from, ':', rest.len - from);
    bool sound = true;
    if (colon != NULL) {
        host.len = (size_t)(colon - rest.data);
        sound = bytes_to_u64((struct bytes){colon + 1, rest.len - host.len - 1}, &port) &&
                port > 0 && port < 65536;
    }
    if (six) host = (struct bytes){host.data + 1, from - 1};
    if (!sound || host.len == 0 || memchr(host.data, '/', host.len) != NULL)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the server must be https://HOST:PORT, not `%.200s`", server);
    *out_host = cli_cstr(arena, host);
    *out_port = (uint16_t)port;
    return NULL;
}

struct error *settings_load(struct cli *cli, struct settings *out) {
    const char *values[3] = {NULL, NULL, NULL};
    struct json_value config;
    const char *path = "";
    TRY(read_config(cli, &config, &path));
    TRY(check_keys(&config, path));
    for (size_t i = 0; i < 3; i++) {
        values[i] = args_value(&cli->args, sources[i].option);
        if (values[i] == NULL) values[i] = environment(sources[i].environment);
        if (values[i] == NULL && json_get(&config, sources[i].key) != NULL)
            values[i] = cli_cstr(&cli->arena, json_string(json_get(&config, sources[i].key)));
    }
    struct settings s = {.server = values[0], .ca = values[1], .token_file = values[2]};
    if (s.server == NULL) {
        cli->advice =
            "Name it with --server or ATTEST_SERVER, or let `attestd init` write the file.";
        return error_new(ERROR_INVALID_ARGUMENT, "no server is named, and there is no %s", path);
    }
    TRY(settings_parse_server(&cli->arena, s.server, &s.host, &s.port));
    *out = s;
    return NULL;
}
