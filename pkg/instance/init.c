/* Making a data directory: everything is built in the stage (stage.c), in any order, and its
 * instance.json is written last. */
#include <stdio.h>

#include "codec/codec.h"
#include "crypto/x509.h"
#include "instance/internal.h"
#include "service/token.h"

#define FIRST_TOKEN "admin"
#define CONFIG_MAX ((size_t)64 << 10)

struct making {
    const struct instance_options *options;
    const struct instance_init *init;
    struct arena arena;
    struct file_path data, stage;
    struct machine_names machine;
    struct text names[INSTANCE_NAMES_MAX + 2]; /* the facts' */
    struct instance_facts facts;
    struct secret *wrap;
    struct signer *signer;
    int64_t token_expires_ms;
};

/* --- facts */

static struct error *choose_names(struct making *m) {
    size_t n = 0;
    if (m->init->tls_name_count > INSTANCE_NAMES_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu TLS names", INSTANCE_NAMES_MAX);
    if (m->machine.host[0] != '\0') m->names[n++] = text_of_cstr(m->machine.host);
    if (strcmp(m->machine.host, m->machine.full) != 0)
        m->names[n++] = text_of_cstr(m->machine.full);
    for (size_t i = 0; i < m->init->tls_name_count; i++) m->names[n++] = m->init->tls_names[i];
    m->facts.tls_names = m->names;
    m->facts.tls_name_count = n;
    return NULL;
}

static struct error *choose_origin(struct making *m) {
    const char *origin = m->init->origin;
    if (origin == NULL || origin[0] == '\0') origin = m->machine.full;
    if (origin[0] == '\0') {
        origin = "localhost";
        instance_say(m->options,
                     "warning: this machine has no name: the log's origin is \"localhost\", for "
                     "ever; --origin HOST gives another");
    }
    m->facts.origin = text_of_cstr(origin);
    if (x509_is_dns_name(m->facts.origin)) return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "origin \"%.256s\": not a host name in lower case",
                     origin);
}

static struct error *choose_tree_id(struct making *m) {
    uint8_t octets[8];
    TRY(entropy_fill(m->options->entropy, octets, sizeof octets));
    uint64_t id = 0;
    for (size_t i = 0; i < sizeof octets; i++) id = id << 8 | octets[i];
    id &= INT64_MAX;
    m->facts.tree_id = id == 0 ? 1 : id;
    return NULL;
}

/* --- the parts */

static struct error *write_staged(const struct making *m, const char *name, struct bytes content,
                                  mode_t mode) {
    struct file_path path;
    TRY(file_path_join(m->stage.text, name, &path));
    return file_write(path.text, content, mode, FILE_NEW);
}

static struct error *make_keys(struct making *m) {
    struct file_path keys;
    TRY(file_path_join(m->stage.text, "keys", &keys));
    TRY(wrap_make(m->options, &m->facts, &m->wrap));
    if (!m->facts.has_passphrase) TRY(write_staged(m, SECRET_FILE, secret_view(m->wrap), 0600));
    TRY(signer_generate(&m->signer));
    TRY(signer_save(m->signer, keys.text, m->wrap));
    m->facts.log_id = *signer_log_id(m->signer);
    return NULL;
}

static struct error *make_certificates(struct making *m) {
    struct file_path tls, pem;
    struct bytes content = {0};
    TRY(file_path_join(m->stage.text, "tls", &tls));
    const struct ca_options options = {tls.text, m->wrap, m->options->clock, m->facts.tls_names,
                                       m->facts.tls_name_count};
    TRY(ca_create(&options));
    TRY(file_path_join(tls.text, "ca.pem", &pem));
    TRY(file_read(&m->arena, pem.text, CONFIG_MAX, &content));
    return write_staged(m, "client/ca.pem", content, 0644);
}

static struct error *write_token(const struct making *m, const struct token_text *text) {
    char line[TOKEN_TEXT_LEN + 2];
    int n = snprintf(line, sizeof line, "%s\n", text->text);
    struct error *err = write_staged(m, "client/admin.token",
                                     (struct bytes){(const uint8_t *)line, (size_t)n}, 0600);
    secret_wipe(line, sizeof line);
    return err;
}

static struct error *make_token(struct making *m, struct store *store) {
    CLEANUP(tokens_freep) struct tokens *tokens = NULL;
    TRY(tokens_open(store, m->options->clock, m->options->entropy, &tokens));
    const struct token_record request = {.name = TEXT_LIT(FIRST_TOKEN), .scopes = SCOPES_ALL};
    struct token_text text;
    const struct principal *p = NULL;
    TRY(tokens_create(tokens, TEXT_LIT("init"), &request, &text, &p));
    m->token_expires_ms = p->expires_ms;
    struct error *err = write_token(m, &text);
    secret_wipe(&text, sizeof text);
    return err;
}

static struct error *fill_database(struct making *m, struct store *store, struct bytes facts) {
    struct sha256 digest = sha256_of(facts);
    TRY(store_put_record(store, KV_META, FACTS_DIGEST_KEY, sha256_bytes(&digest)));
    TRY(make_token(m, store));
    return kv_flush(store_kv(store));
}

static struct error *make_database(struct making *m, struct bytes facts) {
    struct file_path db;
    struct kv *kv = NULL;
    TRY(file_path_join(m->stage.text, "db", &db));
    TRY(kv_rocksdb_open(db.text, &m->options->db, &kv));
    CLEANUP(store_freep) struct store *store = NULL;
    struct error *err = store_open(kv, &store);
    if (err != NULL) {
        kv_close(kv);
        return err;
    }
    return fill_database(m, store, facts);
}

static struct error *make_config(struct making *m, struct bytes *out) {
    const char *listen = m->init->listen;
    struct buf config;
    buf_init_arena(&config, &m->arena, CONFIG_MAX);
    client_config_put(&config, m->data.text, listen == NULL ? INSTANCE_LISTEN_DEFAULT : listen);
    TRY(buf_finish(&config, "client/config.json"));
    *out = buf_bytes(&config);
    return write_staged(m, "client/config.json", *out, 0600);
}

static struct error *build(struct making *m, struct bytes *out_config) {
    struct buf facts;
    TRY(make_keys(m));
    TRY(make_certificates(m));
    buf_init_arena(&facts, &m->arena, FACTS_MAX);
    facts_put(&facts, &m->facts);
    TRY(buf_finish(&facts, FACTS_FILE));
    TRY(make_database(m, buf_bytes(&facts)));
    TRY(make_config(m, out_config));
    return write_staged(m, FACTS_FILE, buf_bytes(&facts), 0600);
}

static void report(const struct making *m) {
    CLEANUP(buf_donep) struct buf text;
    buf_init(&text, 256);
    hex_put(&text, sha256_bytes(&m->facts.log_id));
    buf_put_u8(&text, ' ');
    time_put(&text, m->token_expires_ms);
    buf_put_u8(&text, '\0');
    if (text.failed) return;
    const char *data = m->data.text;
    instance_say(m->options, "initialised %s: origin " BYTES_FMT ", tree id %llu, log id %.64s",
                 data, BYTES_ARG(m->facts.origin), (unsigned long long)m->facts.tree_id,
                 (const char *)text.data);
    instance_say(
        m->options,
        "admin token with every scope, until %s: %s/client/admin.token; make narrower ones, then "
        "revoke it",
        (const char *)text.data + 65, data);
    if (!m->facts.has_passphrase)
        instance_say(
            m->options,
            "warning: the keys are sealed under %s/secret, which protects copies of the database, "
            "not of this directory; --key-passphrase-file does both",
            data);
}

/* Caller holds DATA. */
static struct error *make(struct making *m) {
    struct bytes config = {0};
    TRY(data_must_be_empty(m->data.text)); /* still */
    TRY(stage_begin(m->data.text, &m->stage));
    TRY(build(m, &config));
    TRY(stage_finish(m->data.text));
    report(m);
    return user_config_write(m->options, config);
}

static void making_donep(struct making *m) {
    signer_free(m->signer);
    secret_free(m->wrap);
    arena_done(&m->arena);
}

struct error *instance_init(const struct instance_options *options,
                            const struct instance_init *init) {
    CLEANUP(making_donep) struct making m = {.options = options, .init = init};
    arena_init(&m.arena, 16 * FACTS_MAX);
    TRY(file_path_absolute(options->data, &m.data));
    machine_names(&m.machine);
    TRY(choose_names(&m));
    TRY(choose_origin(&m));
    TRY(choose_tree_id(&m));
    m.facts.created_ms = clock_unix_ms(options->clock);
    TRY(data_must_be_empty(m.data.text));
    TRY(file_make_dirs(m.data.text, 0700));
    CLEANUP(fd_closep) int lock = -1;
    TRY(data_lock(m.data.text, false, &lock));
    return make(&m);
}
