/* TLS contexts. A net_tls is shared by reference: its owner, its listeners and every connection
 * have a share, because sessions use its BIO method. The SSL_CTX inside is swapped whole by
 * net_tls_reload; sessions keep the one they began with. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/internal.h"

struct net_tls {
    atomic_uint shares;
    pthread_mutex_t lock; /* guards the pointer ctx; never held across I/O */
    SSL_CTX *ctx;         /* guarded by: lock */
    BIO_METHOD *bio;
    bool client;
};

static void ctx_freep(SSL_CTX **p) { SSL_CTX_free(*p); }
static void bio_freep(BIO **p) { BIO_free(*p); }
static void x509_freep(X509 **p) { X509_free(*p); }
static void pkey_freep(EVP_PKEY **p) { EVP_PKEY_free(*p); }

static struct error *openssl_error(enum error_code code, const char *what) {
    char text[200] = "no reason given";
    unsigned long e = ERR_peek_last_error();
    if (e != 0) ERR_error_string_n(e, text, sizeof text);
    ERR_clear_error();
    return error_new(code, "%s: %s", what, text);
}

struct error *tls_error(const SSL *ssl, int rc, const char *what) {
    int kind = SSL_get_error(ssl, rc);
    long verify = SSL_get_verify_result(ssl);
    if (kind == SSL_ERROR_SSL && verify != X509_V_OK) {
        ERR_clear_error();
        return error_new(ERROR_UNAVAILABLE, "%s: the peer's certificate does not verify: %s", what,
                         X509_verify_cert_error_string(verify));
    }
    if (kind == SSL_ERROR_SSL) return openssl_error(ERROR_UNAVAILABLE, what);
    ERR_clear_error();
    return error_new(ERROR_UNAVAILABLE, "%s: the peer closed the connection", what);
}

/* Our preference decides; a client that offers neither is refused with an alert, as RFC 7301
 * asks. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg) {
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    (void)ssl;
    (void)arg;
    int rc =
        SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof ours - 1, in, in_len);
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

enum net_alpn tls_alpn(const SSL *ssl) {
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &name, &len);
    struct bytes alpn = {name, len};
    if (bytes_equal(alpn, BYTES_LIT("h2"))) return NET_ALPN_H2;
    return bytes_equal(alpn, BYTES_LIT("http/1.1")) ? NET_ALPN_HTTP11 : NET_ALPN_NONE;
}

static struct error *ctx_new(const SSL_METHOD *method, SSL_CTX **out) {
    CLEANUP(ctx_freep) SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set1_groups_list(ctx, "X25519:P-256")) {
        return openssl_error(ERROR_INTERNAL, "make a TLS context");
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record in one recv instead of two */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* Many peers close without a close_notify. Both protocols above frame their messages and so see
     * a cut by themselves. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    *out = MOVE(ctx);
    return NULL;
}

/* Without a callback OpenSSL would ask for the passphrase of an encrypted key on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *ctx) {
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)ctx;
    return 0;
}

static struct error *use_chain(SSL_CTX *ctx, struct bytes pem) {
    CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (bio == NULL) return error_nomem();
    CLEANUP(x509_freep) X509 *leaf = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    if (leaf == NULL || !SSL_CTX_use_certificate(ctx, leaf)) {
        return openssl_error(ERROR_FAILED_PRECONDITION, "read the server certificate");
    }
    for (;;) {
        X509 *ca = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        if (ca == NULL) break;
        if (!SSL_CTX_add0_chain_cert(ctx, ca)) {
            X509_free(ca);
            return openssl_error(ERROR_FAILED_PRECONDITION, "use the certificate chain");
        }
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (!at_end) return openssl_error(ERROR_FAILED_PRECONDITION, "read the certificate chain");
    ERR_clear_error();
    return NULL;
}

static struct error *use_key(SSL_CTX *ctx, struct bytes pem) {
    CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    if (bio == NULL) return error_nomem();
    CLEANUP(pkey_freep) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    /* With the certificate set before, this refuses a key that does not belong to it. */
    if (key == NULL || !SSL_CTX_use_PrivateKey(ctx, key)) {
        return openssl_error(ERROR_FAILED_PRECONDITION, "use the server's private key");
    }
    return NULL;
}

static struct error *server_ctx(struct bytes chain_pem, struct bytes key_pem, SSL_CTX **out) {
    if (chain_pem.len > INT32_MAX || key_pem.len > INT32_MAX) {
        return error_new(ERROR_FAILED_PRECONDITION, "certificate or key: far too large");
    }
    CLEANUP(ctx_freep) SSL_CTX *ctx = NULL;
    TRY(ctx_new(TLS_server_method(), &ctx));
    TRY(use_chain(ctx, chain_pem));
    TRY(use_key(ctx, key_pem));
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    *out = MOVE(ctx);
    return NULL;
}

static struct error *client_ctx(const char *ca_file, SSL_CTX **out) {
    static const unsigned char offer[] = "\x02h2";
    CLEANUP(ctx_freep) SSL_CTX *ctx = NULL;
    TRY(ctx_new(TLS_client_method(), &ctx));
    if (!SSL_CTX_load_verify_file(ctx, ca_file)) {
        struct error *err = openssl_error(ERROR_FAILED_PRECONDITION, "no certificates");
        return error_wrap(err, "read the CA file %s", ca_file);
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_alpn_protos(ctx, offer, sizeof offer - 1) != 0) return error_nomem();
    *out = MOVE(ctx);
    return NULL;
}

/* tls_of takes `ctx` only on success. */
static struct error *tls_of(SSL_CTX *ctx, bool client, struct net_tls **out) {
    CLEANUP(net_tls_freep) struct net_tls *tls = alloc_zero(1, sizeof *tls);
    if (tls == NULL) return error_nomem();
    atomic_init(&tls->shares, 1);
    (void)pthread_mutex_init(&tls->lock, NULL); /* cannot fail without attributes */
    tls->client = client;
    tls->bio = bio_method_new();
    if (tls->bio == NULL) return error_nomem();
    tls->ctx = ctx;
    *out = MOVE(tls);
    return NULL;
}

struct error *net_tls_server_new(struct bytes chain_pem, struct bytes key_pem,
                                 struct net_tls **out) {
    CLEANUP(ctx_freep) SSL_CTX *ctx = NULL;
    TRY(server_ctx(chain_pem, key_pem, &ctx));
    TRY(tls_of(ctx, false, out));
    ctx = NULL; /* taken */
    return NULL;
}

struct error *net_tls_client_new(const char *ca_file, struct net_tls **out) {
    CLEANUP(ctx_freep) SSL_CTX *ctx = NULL;
    TRY(client_ctx(ca_file, &ctx));
    TRY(tls_of(ctx, true, out));
    ctx = NULL; /* taken */
    return NULL;
}

struct error *net_tls_reload(struct net_tls *tls, struct bytes chain_pem, struct bytes key_pem) {
    ASSERT(!tls->client);
    CLEANUP(ctx_freep) SSL_CTX *ctx = NULL;
    TRY(server_ctx(chain_pem, key_pem, &ctx));
    (void)pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->ctx;
    tls->ctx = ctx;
    (void)pthread_mutex_unlock(&tls->lock);
    ctx = old; /* freed at the end; sessions hold it by reference */
    return NULL;
}

int64_t net_tls_expiry_s(struct net_tls *tls) {
    ASSERT(!tls->client);
    struct tm tm = {0};
    (void)pthread_mutex_lock(&tls->lock);
    int ok = ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(tls->ctx)), &tm);
    (void)pthread_mutex_unlock(&tls->lock);
    return ok == 1 ? timegm(&tm) : 0; /* not a time: as if it had expired */
}

struct net_tls *tls_share(struct net_tls *tls) {
    (void)atomic_fetch_add(&tls->shares, 1);
    return tls;
}

void net_tls_free(struct net_tls *tls) {
    if (tls == NULL || atomic_fetch_sub(&tls->shares, 1) != 1) return;
    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->bio);
    (void)pthread_mutex_destroy(&tls->lock);
    alloc_free(tls);
}

static bool is_numeric(const char *host) {
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* SPEC rfc6125 6.4: a name is matched against dNSName, an address against iPAddress; partial
 * wildcards ("w*.example") are refused. */
static bool set_peer_name(SSL *ssl, const char *host) {
    if (is_numeric(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct error *tls_session(struct net_tls *tls, struct bio_socket *socket, const char *host,
                          SSL **out) {
    ASSERT(tls->client == (host != NULL));
    ERR_clear_error();
    (void)pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->ctx);
    (void)pthread_mutex_unlock(&tls->lock);
    BIO *bio = ssl == NULL ? NULL : bio_of_socket(tls->bio, socket);
    if (bio == NULL || (host != NULL && !set_peer_name(ssl, host))) {
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return error_nomem();
    }
    SSL_set_bio(ssl, bio, bio); /* takes both uses of the one reference */
    if (host != NULL) {
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    *out = ssl;
    return NULL;
}
