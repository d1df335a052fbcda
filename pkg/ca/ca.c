/*
 * The files, in the order in which they are written:
 *
 *   file        what                                      if we stop behind it
 *   ca.key      the CA's key, sealed                      creating: the folder is unfinished, which
 *   ca.pem      the CA's certificate                      instance/ sees and starts again
 *   server.key  the server's key, sealed                  key and certificate do not match: the
 * next server.pem  the server's certificate                  open issues both anew
 *
 * Each key is sealed (crypto/seal.c) under a secret derived for it.
 */
#include "ca/ca.h"

#include <arpa/inet.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "crypto/x509.h"
#include "file/file.h"

#define DAY_S ((int64_t)86400)
#define CA_LIFE_S (3650 * DAY_S)
#define SERVER_LIFE_S (90 * DAY_S)
#define BACKDATE_S ((int64_t)3600) /* for clients whose clock is a little slow */
#define KEY_FILE_MAX ((size_t)4096)
#define NAMES_MAX ((size_t)48) /* ours and the caller's; below X509_NAMES_MAX */

#define CA_LABEL "attestd key tls-ca"
#define SERVER_LABEL "attestd key tls-server"

struct names {
    struct text dns[NAMES_MAX];
    size_t dns_count;
    struct x509_ip ips[NAMES_MAX];
    size_t ip_count;
};

struct ca {
    struct file_path dir;
    const struct clock *clock;
    struct arena arena; /* the names */
    struct names names;
    struct secret *server_wrap;
    struct x509_key *ca_key;
    struct buf ca_pem;
    struct x509_life ca_life;
    struct buf chain_pem;
    struct secret *key_pem;
    struct x509_life life; /* of the server's certificate */
};

static struct x509_names x509_names_of(const struct names *n) {
    return (struct x509_names){n->dns, n->dns_count, n->ips, n->ip_count};
}

static int64_t now_s(const struct clock *clock) { return clock_unix_ms(clock) / 1000; }

/* --- names */

static bool parse_ip(struct text name, struct x509_ip *out) {
    char text[INET6_ADDRSTRLEN];
    if (name.len == 0 || name.len >= sizeof text) return false;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    if (inet_pton(AF_INET, text, out->octets) == 1)
        out->len = 4;
    else if (inet_pton(AF_INET6, text, out->octets) == 1)
        out->len = 16;
    else
        return false;
    return true;
}

static void add_ip(struct names *names, const struct x509_ip *ip) {
    for (size_t i = 0; i < names->ip_count; i++)
        if (names->ips[i].len == ip->len && memcmp(names->ips[i].octets, ip->octets, ip->len) == 0)
            return;
    names->ips[names->ip_count++] = *ip;
}

static void add_dns(struct names *names, struct text dns) {
    for (size_t i = 0; i < names->dns_count; i++)
        if (text_equal(names->dns[i], dns)) return;
    names->dns[names->dns_count++] = dns;
}

/* Reads the caller's names behind the loopback's; DNS names are borrowed. */
static struct error *read_names(const struct ca_options *o, struct names *out) {
    static const struct text always[] = {{"localhost", 9}, {"127.0.0.1", 9}, {"::1", 3}};
    const size_t always_count = sizeof always / sizeof *always;
    if (o->name_count > NAMES_MAX - always_count)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %zu names for the server",
                         NAMES_MAX - always_count);
    *out = (struct names){0};
    for (size_t i = 0; i < always_count + o->name_count; i++) {
        struct text name = i < always_count ? always[i] : o->names[i - always_count];
        struct x509_ip ip = {0};
        if (parse_ip(name, &ip))
            add_ip(out, &ip);
        else if (x509_is_dns_name(name))
            add_dns(out, name);
        else
            return error_new(ERROR_INVALID_ARGUMENT,
                             "\"" BYTES_FMT
                             "\" is neither a host name in lower case nor an address",
                             BYTES_ARG(name));
    }
    return NULL;
}

/* --- files */

static struct error *save_key(const char *dir, const char *name, const struct x509_key *key,
                              const struct secret *wrap, enum file_over over) {
    struct file_path path;
    struct bytes sealed = {0};
    struct arena arena;
    arena_init(&arena, KEY_FILE_MAX);
    struct error *err = file_path_join(dir, name, &path);
    if (err == NULL) err = x509_key_seal(key, wrap, &arena, &sealed);
    if (err == NULL) err = file_write(path.text, sealed, 0600, over);
    arena_done(&arena);
    return err;
}

static struct error *load_key(const char *dir, const char *name, const struct secret *wrap,
                              struct x509_key **out) {
    struct file_path path;
    struct bytes sealed = {0};
    struct arena arena;
    arena_init(&arena, 2 * KEY_FILE_MAX);
    struct error *err = file_path_join(dir, name, &path);
    if (err == NULL) err = file_read(&arena, path.text, KEY_FILE_MAX, &sealed);
    if (err == NULL) {
        err = x509_key_unseal(sealed, wrap, out);
        if (err != NULL) err = error_wrap(err, "key file %s", path.text);
    }
    arena_done(&arena);
    return err;
}

static struct error *load_pem(const char *dir, const char *name, struct buf *out) {
    struct file_path path;
    struct bytes pem = {0};
    struct arena arena;
    arena_init(&arena, 2 * X509_PEM_MAX);
    struct error *err = file_path_join(dir, name, &path);
    if (err == NULL) err = file_read(&arena, path.text, X509_PEM_MAX, &pem);
    if (err == NULL) {
        buf_put(out, pem);
        err = buf_finish(out, name);
    }
    arena_done(&arena);
    return err;
}

static struct error *save_pem(const char *dir, const char *name, const struct buf *pem,
                              enum file_over over) {
    struct file_path path;
    TRY(file_path_join(dir, name, &path));
    return file_write(path.text, buf_bytes(pem), 0644, over);
}

/* --- issuing */

/* A server certificate from now on, but not beyond the CA's own life. */
static struct error *issue(const struct ca *ca, struct x509_key **out_key, struct buf *out_pem,
                           struct x509_life *out_life) {
    int64_t now = now_s(ca->clock);
    struct x509_life life = {now - BACKDATE_S, now + SERVER_LIFE_S};
    if (life.not_after_s > ca->ca_life.not_after_s) life.not_after_s = ca->ca_life.not_after_s;
    if (life.not_before_s < ca->ca_life.not_before_s) life.not_before_s = ca->ca_life.not_before_s;
    if (life.not_after_s <= now)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the local CA has expired: set tls.certificate and tls.key, or restore "
                         "into a new directory");
    CLEANUP(x509_key_freep) struct x509_key *key = NULL;
    TRY(x509_key_generate(&key));
    struct x509_issuer issuer = {buf_bytes(&ca->ca_pem), ca->ca_key};
    struct x509_names names = x509_names_of(&ca->names);
    TRY(x509_put_leaf(out_pem, &issuer, key, &life, &names));
    *out_key = MOVE(key);
    *out_life = life;
    return NULL;
}

/* Issues, writes both files, and only then changes what the server shows. */
static struct error *renew(struct ca *ca, struct buf *pem) {
    CLEANUP(x509_key_freep) struct x509_key *key = NULL;
    CLEANUP(secret_freep) struct secret *key_pem = NULL;
    struct x509_life life;
    TRY(issue(ca, &key, pem, &life));
    TRY(x509_key_pem(key, &key_pem));
    TRY(save_key(ca->dir.text, "server.key", key, ca->server_wrap, FILE_REPLACE));
    TRY(save_pem(ca->dir.text, "server.pem", pem, FILE_REPLACE));
    struct buf old = ca->chain_pem;
    ca->chain_pem = *pem;
    *pem = old;
    secret_free(ca->key_pem);
    ca->key_pem = MOVE(key_pem);
    ca->life = life;
    return NULL;
}

static struct error *renew_now(struct ca *ca) {
    struct buf pem;
    buf_init(&pem, X509_PEM_MAX);
    struct error *err = renew(ca, &pem);
    buf_done(&pem);
    return err == NULL ? NULL : error_wrap(err, "renew the server's certificate");
}

static bool is_due(const struct ca *ca) {
    int64_t now = now_s(ca->clock);
    int64_t whole = ca->life.not_after_s - ca->life.not_before_s;
    return now < ca->life.not_before_s || now - ca->life.not_before_s >= whole / 3 * 2;
}

struct error *ca_renew_if_due(struct ca *ca, bool *out_renewed) {
    bool due = is_due(ca);
    if (due) TRY(renew_now(ca));
    *out_renewed = due;
    return NULL;
}

/* --- creating and opening */

static struct error *ca_new(const struct ca_options *o, struct ca **out) {
    CLEANUP(ca_freep) struct ca *ca = alloc_zero(1, sizeof *ca);
    if (ca == NULL) return error_nomem();
    ca->clock = o->clock;
    arena_init(&ca->arena, NAMES_MAX * 512);
    buf_init(&ca->ca_pem, X509_PEM_MAX);
    buf_init(&ca->chain_pem, X509_PEM_MAX);
    TRY(file_path_absolute(o->dir, &ca->dir));
    TRY(read_names(o, &ca->names));
    for (size_t i = 0; i < ca->names.dns_count; i++) {
        struct bytes copy = arena_copy(&ca->arena, bytes_of_text(ca->names.dns[i]));
        if (copy.data == NULL) return error_nomem();
        ca->names.dns[i] = (struct text){(const char *)copy.data, copy.len};
    }
    TRY(secret_derive(o->wrap, SERVER_LABEL, &ca->server_wrap));
    *out = MOVE(ca);
    return NULL;
}

struct error *ca_create(const struct ca_options *options) {
    CLEANUP(ca_freep) struct ca *ca = NULL;
    CLEANUP(secret_freep) struct secret *wrap = NULL;
    TRY(ca_new(options, &ca));
    TRY(secret_derive(options->wrap, CA_LABEL, &wrap));
    TRY(x509_key_generate(&ca->ca_key));
    int64_t now = now_s(options->clock);
    ca->ca_life = (struct x509_life){now - BACKDATE_S, now + CA_LIFE_S};
    struct x509_names names = x509_names_of(&ca->names);
    TRY(x509_put_ca(&ca->ca_pem, ca->ca_key, &ca->ca_life, &names));
    TRY(save_key(ca->dir.text, "ca.key", ca->ca_key, wrap, FILE_NEW));
    TRY(save_pem(ca->dir.text, "ca.pem", &ca->ca_pem, FILE_NEW));
    return renew_now(ca);
}

/* The CA's own files cannot be made anew: clients trust them. */
static struct error *load_ca(struct ca *ca, const struct secret *wrap) {
    TRY(load_key(ca->dir.text, "ca.key", wrap, &ca->ca_key));
    TRY(load_pem(ca->dir.text, "ca.pem", &ca->ca_pem));
    TRY(x509_read_life(buf_bytes(&ca->ca_pem), &ca->ca_life));
    return NULL;
}

/* Reads key and certificate; *out_good says whether they go together and verify now. */
static struct error *load_server(struct ca *ca, bool *out_good) {
    CLEANUP(x509_key_freep) struct x509_key *key = NULL;
    TRY(load_key(ca->dir.text, "server.key", ca->server_wrap, &key));
    TRY(load_pem(ca->dir.text, "server.pem", &ca->chain_pem));
    TRY(x509_read_life(buf_bytes(&ca->chain_pem), &ca->life));
    TRY(x509_key_pem(key, &ca->key_pem));
    return x509_check_leaf(buf_bytes(&ca->chain_pem), key, buf_bytes(&ca->ca_pem), now_s(ca->clock),
                           out_good);
}

/* What is missing, malformed or sealed under another secret was interrupted or damaged; only a
 * failure of the machine is handed on. */
static bool can_be_made_anew(const struct error *err) {
    enum error_code code = error_code(err);
    return code == ERROR_NOT_FOUND || code == ERROR_INVALID_ARGUMENT ||
           code == ERROR_FAILED_PRECONDITION;
}

struct error *ca_open(const struct ca_options *options, struct ca **out) {
    CLEANUP(ca_freep) struct ca *ca = NULL;
    CLEANUP(secret_freep) struct secret *wrap = NULL;
    TRY(ca_new(options, &ca));
    TRY(secret_derive(options->wrap, CA_LABEL, &wrap));
    struct error *err = load_ca(ca, wrap);
    if (err != NULL && can_be_made_anew(err))
        return error_recode(err, ERROR_FAILED_PRECONDITION,
                            "the local CA in %s does not open: restore it from a backup",
                            ca->dir.text);
    if (err != NULL) return err;

    bool good = false;
    err = load_server(ca, &good);
    if (err != NULL && !can_be_made_anew(err)) return err;
    error_ignore(err, "a server certificate that does not read is issued anew");
    if (!good || is_due(ca)) TRY(renew_now(ca));
    *out = MOVE(ca);
    return NULL;
}

struct bytes ca_cert_pem(const struct ca *ca) {
    return buf_bytes(&ca->ca_pem);
}
struct bytes ca_chain_pem(const struct ca *ca) {
    return buf_bytes(&ca->chain_pem);
}
struct bytes ca_key_pem(const struct ca *ca) {
    return secret_view(ca->key_pem);
}
int64_t ca_expiry_s(const struct ca *ca) { return ca->life.not_after_s; }

void ca_free(struct ca *ca) {
    if (ca == NULL) return;
    buf_done(&ca->ca_pem);
    buf_done(&ca->chain_pem);
    secret_free(ca->key_pem);
    secret_free(ca->server_wrap);
    x509_key_free(ca->ca_key);
    arena_done(&ca->arena);
    alloc_free(ca);
}
