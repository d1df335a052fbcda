/* Which server, which certificate authority, which token: the flag, else the environment, else the
 * file that `attestd init` writes. Each of the three is looked up by itself. */
#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"
#include "client/state.h"

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

/* The file, empty where there is none. One that is named must be there; a service without a home
 * has none. */
static struct error *read_config(struct cli *cli, struct state_config *out, const char **out_path) {
    const char *path = environment("ATTEST_CONFIG");
    bool named = path != NULL;
    *out_path = "~/.config/attest/config.json";
    if (!named && environment("XDG_CONFIG_HOME") == NULL && environment("HOME") == NULL)
        return NULL;
    if (!named) TRY(xdg(&cli->arena, "XDG_CONFIG_HOME", "/.config", "/attest/config.json", &path));
    *out_path = path;
    if (!named && !path_exists(path)) return NULL;
    struct bytes octets;
    TRY(cli_read_file(&cli->arena, path, STATE_CONFIG_MAX, &octets));
    struct error *err = state_read_config(&cli->arena, octets, out);
    return err == NULL ? NULL : error_wrap(err, "%s", path);
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
    if (six) {
        sound = sound && host.len == from + 1; /* nothing between "]" and ":" */
        host = (struct bytes){host.data + 1, from - 1};
    }
    if (!sound || host.len == 0 || memchr(host.data, '/', host.len) != NULL)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the server must be https://HOST:PORT, not `%.200s`", server);
    *out_host = cli_cstr(arena, host);
    *out_port = (uint16_t)port;
    return NULL;
}

static const char *value_of(const struct cli *cli, const char *option, const char *variable,
                            const char *of_file) {
    const char *value = args_value(&cli->args, option);
    if (value == NULL) value = environment(variable);
    return value == NULL ? of_file : value;
}

struct error *settings_load(struct cli *cli, struct settings *out) {
    struct state_config file = {0};
    const char *path = "";
    TRY(read_config(cli, &file, &path));
    struct settings s = {
        .server = value_of(cli, "server", "ATTEST_SERVER", file.server),
        .ca = value_of(cli, "ca", "ATTEST_CA", file.ca),
        .token_file = value_of(cli, "token-file", "ATTEST_TOKEN_FILE", file.token_file)};
    if (s.server == NULL) {
        cli->advice =
            "Name it with --server or ATTEST_SERVER, or let `attestd init` write the file.";
        return error_new(ERROR_INVALID_ARGUMENT, "no server is named, and there is no %s", path);
    }
    TRY(settings_parse_server(&cli->arena, s.server, &s.host, &s.port));
    *out = s;
    return NULL;
}
