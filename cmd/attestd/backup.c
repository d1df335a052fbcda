/* attestd backup: by the server that holds DATA, through its Admin service, or directly where none
 * does. Prints the path of what it made. */
#include <stdio.h>

#include "base/reader.h"
#include "directory.h"
#include "json/json.h"
#include "msg/msg.h"
#include "rpc/rpc_client.h"

#define TIMEOUT_MS 3600000U /* a large database takes its time to be hashed */
#define FILE_MAX ((size_t)64 << 10)

static const struct flag backup_flags[] = {
    SETTINGS_FLAG_DATA,
    {"--with-secret", NULL, "DATA/secret too: whoever has the backup can sign as this log", 1},
    {"--token-file", "FILE", "token with the scope admin; default DATA/client/admin.token", 1},
    {"--ca", "FILE", "certificates that the server is trusted by; default DATA/client/ca.pem", 1},
    SETTINGS_FLAG_PASSPHRASE,
    SETTINGS_FLAG_CONFIG,
};

static const struct directory_command backup_command = {
    backup_flags, sizeof backup_flags / sizeof *backup_flags, 0,
    "attestd backup [--data DIR] [--with-secret]", "attestd backup --data /tmp/attestd-demo"};

/* --- through the server */

struct remote {
    char host[256];
    uint16_t port;
    const char *ca;
    struct secret *token;
    struct net_tls *tls;
    struct msg_schema *schema;
    struct rpc_client *client;
};

static void remote_donep(struct remote *r) {
    rpc_client_free(r->client);
    msg_schema_free(r->schema);
    net_tls_free(r->tls);
    secret_free(r->token);
}

/* "https://HOST:PORT", as the server itself wrote it into DATA/client/config.json. */
static struct error *read_address(struct directory *d, struct remote *r) {
    struct file_path path;
    struct bytes text = {0};
    struct json_value v;
    uint64_t port = 0;
    const struct bytes scheme = BYTES_LIT("https://");
    TRY(file_path_join(d->instance.data, "client/config.json", &path));
    TRY(file_read(&d->arena, path.text, FILE_MAX, &text));
    TRY(json_parse(&d->arena, text, &JSON_LIMITS_DEFAULT, &v));
    struct bytes server = json_string(json_get(&v, "server"));
    const uint8_t *colon = server.len == 0 ? NULL : memrchr(server.data, ':', server.len);
    if (!bytes_start_with(server, scheme) || colon == NULL)
        return error_new(ERROR_INVALID_ARGUMENT, "%s names no server", path.text);
    struct bytes digits = {colon + 1, (size_t)(server.data + server.len - colon) - 1};
    struct bytes host = {server.data + scheme.len, (size_t)(colon - server.data) - scheme.len};
    if (host.len > 1 && host.data[0] == '[') host = (struct bytes){host.data + 1, host.len - 2};
    if (!bytes_to_u64(digits, &port) || port > 65535 || host.len >= sizeof r->host)
        return error_new(ERROR_INVALID_ARGUMENT, "%s names no server", path.text);
    memcpy(r->host, host.data, host.len);
    r->host[host.len] = '\0';
    r->port = (uint16_t)port;
    return NULL;
}

static struct error *read_token(const struct directory *d, struct remote *r) {
    struct file_path path;
    const char *file = flags_get(&d->flags, "--token-file");
    TRY(file_path_join(d->instance.data, "client/admin.token", &path));
    return file_read_secret(file == NULL ? path.text : file, 1024, &r->token);
}

static struct error *connect_to(struct directory *d, struct remote *r) {
    struct file_path ca;
    const char *given = flags_get(&d->flags, "--ca");
    TRY(read_address(d, r));
    TRY(read_token(d, r));
    TRY(file_path_join(d->instance.data, "client/ca.pem", &ca));
    TRY(net_tls_client_new(given == NULL ? ca.text : given, &r->tls));
    TRY(msg_schema_new(&r->schema));
    struct bytes token = secret_view(r->token);
    if (token.data[token.len - 1] == '\n') token.len--;
    const struct rpc_client_options options = {
        .host = r->host, .port = r->port, .tls = r->tls, .token = token, .schema = r->schema};
    return rpc_client_dial(&options, &r->client);
}

/* The request has no fields: its message is empty. */
static struct error *ask(struct remote *r, struct arena *arena, struct json_value *out) {
    const struct rpc_client_request request = {.path = "/attestd.v1.Admin/Backup",
                                               .timeout_ms = TIMEOUT_MS};
    struct rpc_client_result result = {0};
    struct bytes wire = {0}, json = {0};
    struct ProtobufCMessage *m = NULL;
    TRY(rpc_client_unary(r->client, arena, &request, &wire, &result));
    TRY(rpc_client_error(&result));
    TRY(msg_unpack(r->schema, arena,
                   msg_type_by_name(r->schema, BYTES_LIT("attestd.v1.BackupResponse")), wire,
                   &MSG_LIMITS_DEFAULT, &m));
    TRY(msg_to_json(r->schema, arena, m, &json));
    return json_parse(arena, json, &JSON_LIMITS_DEFAULT, out);
}

static struct error *take_path(struct bytes path, struct file_path *out) {
    if (path.len == 0 || path.len >= sizeof out->text || memchr(path.data, 0, path.len) != NULL)
        return error_new(ERROR_INTERNAL, "the server names no path");
    memcpy(out->text, path.data, path.len);
    out->text[path.len] = '\0';
    return NULL;
}

static struct error *back_up_remotely(struct directory *d, bool with_secret,
                                      struct file_path *out) {
    CLEANUP(remote_donep) struct remote r = {0};
    struct json_value answer;
    struct error *err = connect_to(d, &r);
    if (err == NULL) err = ask(&r, &d->arena, &answer);
    if (err != NULL) return error_wrap(err, "the server that holds %s", d->instance.data);
    TRY(take_path(json_string(json_get(&answer, "path")), out));
    return with_secret ? instance_backup_add_secret(d->instance.data, out->text) : NULL;
}

/* --- directly */

static struct error *back_up_directly(const struct directory *d, bool with_secret,
                                      struct file_path *out) {
    CLEANUP(instance_freep) struct instance *i = NULL;
    struct instance_backed_up made;
    const struct instance_backup request = {d->config.backup_dir, with_secret};
    TRY(instance_open(&d->instance, &i));
    TRY(instance_backup(i, &request, &made));
    *out = made.path;
    return NULL;
}

static struct error *back_up(struct directory *d) {
    struct file_path made, secret;
    bool holds = false; /* under a passphrase there is no secret to put in */
    int64_t pid = 0;
    bool with_secret = flags_all(&d->flags, "--with-secret")->count > 0;
    TRY(instance_holder(d->instance.data, &pid));
    TRY(pid == 0 ? back_up_directly(d, with_secret, &made)
                 : back_up_remotely(d, with_secret, &made));
    TRY(file_path_join(made.text, "secret", &secret));
    TRY(file_exists(secret.text, &holds));
    (void)fprintf(stderr,
                  holds ? "warning: it holds DATA/secret: whoever has this backup can sign as "
                          "this log\n"
                        : "it holds no secret: restoring needs DATA/secret or the "
                          "passphrase\n");
    (void)printf("%s\n", made.text);
    return NULL;
}

int backup_main(int argc, char **argv) {
    struct directory d;
    int code = EXIT_OTHER;
    if (directory_read(&d, &backup_command, argc, argv, &code)) {
        struct error *err = back_up(&d);
        code = err == NULL ? EXIT_CLEAN : report(err, exit_of(err));
    }
    directory_done(&d);
    return code;
}
