/*
 * One connection a command. A call that ends UNAVAILABLE may or may not have been carried out; the
 * same request again finds what the first one did (the default idempotency key is a hash of its
 * content), so it is repeated until --timeout is over: 0.1 s, 0.2 s, ... 2 s apart, or as the
 * server asks.
 */
#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "crypto/secret.h"
#include "msg/msg.h"
#include "rpc/rpc_client.h"

#include "attestd/v1/attestations.pb-c.h" /* protobuf-c's types come with generated messages */

#define REQUEST_OCTETS_MAX ((size_t)16 << 20)
#define TIMEOUT_DEFAULT_MS 30000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 2000
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

struct connection {
    struct net_tls *tls;
    struct rpc_client *client;
};

/* --- requests */
void cli_request_begin(struct cli *cli, struct request *r) {
    buf_init_arena(&r->json, cli_arena(cli), REQUEST_OCTETS_MAX);
    r->w = json_writer_of(&r->json);
    json_object_begin(&r->w);
}
void cli_request_text(struct request *r, const char *key, const char *value) {
    if (value == NULL) return;
    json_key(&r->w, key);
    json_put_cstr(&r->w, value);
}
void cli_request_u64(struct request *r, const char *key, uint64_t value) {
    json_key(&r->w, key);
    json_put_u64_string(&r->w, value);
}
void cli_request_flag(struct request *r, const char *key, bool value) {
    json_key(&r->w, key);
    json_put_bool(&r->w, value);
}

/* --- connecting */
static void close_fdp(int *fd) {
    if (*fd > STDIN_FILENO) (void)close(*fd);
}

/* Reads the one line of a token file into `room`: it is wiped by who calls, and never in an arena.
 */
static struct error *read_token(const char *path, uint8_t room[TOKEN_OCTETS_MAX],
                                struct bytes *out) {
    bool standard_input = strcmp(path, "-") == 0;
    CLEANUP(close_fdp) int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    if (fd < 0)
        return error_new(ERROR_FAILED_PRECONDITION, "token file %s: %s", path, strerror(errno));
    while (len < TOKEN_OCTETS_MAX) {
        ssize_t n = read(fd, room + len, TOKEN_OCTETS_MAX - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return error_new(ERROR_FAILED_PRECONDITION, "token file %s: %s", path, strerror(errno));
        if (n == 0) break;
        len += (size_t)n;
    }
    bool sound = len < TOKEN_OCTETS_MAX;
    if (len > 0 && room[len - 1] == '\n') len--;
    if (len > 0 && room[len - 1] == '\r') len--;
    for (size_t i = 0; i < len; i++) sound = sound && room[i] > 0x20 && room[i] < 0x7f;
    if (!sound || len == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "token file %s: not one line with a token", path);
    *out = (struct bytes){room, len};
    return NULL;
}

struct error *connection_options(struct cli *cli, struct token_room *room, struct net_tls **out_tls,
                                 struct rpc_client_options *out) {
    const struct settings *s = &cli->settings;
    struct bytes token = {0};
    if (cli->schema == NULL) TRY(msg_schema_new(&cli->schema));
    if (s->token_file != NULL) TRY(read_token(s->token_file, room->octets, &token));
    struct error *err = net_tls_client_new(s->ca == NULL ? SYSTEM_CA : s->ca, out_tls);
    if (err != NULL) {
        cli->advice = "Name the server's certificate authority with --ca or ATTEST_CA.";
        return error_wrap(err, "certificate authority %s", s->ca == NULL ? SYSTEM_CA : s->ca);
    }
    *out = (struct rpc_client_options){.host = s->host,
                                       .port = s->port,
                                       .tls = *out_tls,
                                       .token = token,
                                       .schema = cli->schema,
                                       .message_max = CLI_MESSAGE_MAX};
    return NULL;
}

void connection_free(struct connection *c) {
    if (c == NULL) return;
    rpc_client_free(c->client);
    net_tls_free(c->tls);
    alloc_free(c);
}
DEFINE_CLEANUP(struct connection, connection_free);

struct error *connection_ready(struct cli *cli) {
    struct token_room room;
    struct rpc_client_options options;
    if (cli->connection != NULL) return NULL;
    TRY(args_duration(&cli->args, "timeout", TIMEOUT_DEFAULT_MS, &cli->timeout_ms));
    cli_begin_deadline(cli);
    CLEANUP(connection_freep) struct connection *c = alloc_zero(1, sizeof *c);
    if (c == NULL) return error_nomem();
    struct error *err = connection_options(cli, &room, &c->tls, &options);
    if (err == NULL) err = rpc_client_dial(&options, &c->client);
    secret_wipe(&room, sizeof room);
    TRY(err);
    cli->connection = MOVE(c);
    return NULL;
}

/* --- calling */
void cli_begin_deadline(struct cli *cli) {
    cli->deadline_ms = (int64_t)(clock_mono_us(&clock_system) / 1000) + cli->timeout_ms;
}

static int64_t left_ms(const struct cli *cli) {
    int64_t left = cli->deadline_ms - (int64_t)(clock_mono_us(&clock_system) / 1000);
    return left < 0 ? 0 : left;
}

/* Half of the pause is random: many jobs that lost one server must not come back as one. */
static void pause_for(int64_t ms) {
    uint8_t r = 0;
    error_ignore(entropy_fill(&entropy_system, &r, 1), "then the pause is shorter, no more");
    ms = ms / 2 + ms / 2 * r / 255;
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static struct error *call_once(struct cli *cli, const char *path, struct bytes wire,
                               struct bytes *out, struct rpc_client_result *result) {
    int64_t left = left_ms(cli);
    const struct rpc_client_request request = {
        .path = path, .message = wire, .timeout_ms = left == 0 ? 1 : (uint32_t)left};
    return rpc_client_unary(cli->connection->client, cli_arena(cli), &request, out, result);
}

static struct error *call_until_answered(struct cli *cli, const struct method *m, struct bytes wire,
                                         struct bytes *out) {
    int64_t pause_ms = PAUSE_FIRST_MS;
    struct rpc_client_result before = {0};
    for (unsigned attempt = 1;; attempt++) {
        struct rpc_client_result result = {0};
        TRY(call_once(cli, m->path, wire, out, &result));
        if (result.code == 0) return NULL;
        /* What was in the way until then says more than that the time is over. */
        if (result.code == ERROR_DEADLINE_EXCEEDED && before.code != 0) result = before;
        before = result;
        int64_t wait_ms = result.retry_ms > 0 ? (int64_t)result.retry_ms : pause_ms;
        bool again = result.code == ERROR_UNAVAILABLE && !m->once && wait_ms < left_ms(cli);
        if (!again) {
            struct error *err = rpc_client_error(&result);
            return attempt > 1 ? error_wrap(err, "tried %u times", attempt) : err;
        }
        if (attempt == 1)
            cli_note(cli, "attest: %s is unavailable; trying again for %lld s\n",
                     cli->settings.server, (long long)((left_ms(cli) + 999) / 1000));
        pause_for(wait_ms);
        pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
    }
}

struct error *cli_call(struct cli *cli, const struct method *m, struct request *r,
                       const struct ProtobufCMessage **out) {
    struct ProtobufCMessage *message = NULL;
    struct bytes wire, answer;
    const struct msg_limits limits = MSG_LIMITS_DEFAULT;
    json_object_end(&r->w);
    TRY(buf_finish(&r->json, "request"));
    TRY(connection_ready(cli));
    struct error *err =
        msg_from_json(cli->schema, cli_arena(cli), m->request, buf_bytes(&r->json), &message);
    if (err != NULL) { /* what was given twice, or is not UTF-8 */
        struct error *same = cli_usage(cli, "%s", error_message(err));
        error_ignore(err, "said again, with where to look");
        return same;
    }
    TRY(msg_pack(cli_arena(cli), message, &wire));
    cli->calling = true;
    TRY(call_until_answered(cli, m, wire, &answer));
    cli->calling = false;
    message = NULL;
    err = msg_unpack(cli->schema, cli_arena(cli), m->response, answer, &limits, &message);
    if (err != NULL)
        return error_recode(err, ERROR_INTERNAL, "%s sent no valid response", cli->settings.server);
    *out = message;
    return NULL;
}

struct error *cli_print(struct cli *cli, const struct ProtobufCMessage *m) {
    struct bytes json;
    TRY(msg_to_json(cli->schema, cli_arena(cli), m, &json));
    cli_json(cli, json);
    return NULL;
}
