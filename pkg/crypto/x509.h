/*
 * x509: the certificates of the local CA: one self-signed CA that may issue server certificates
 * for given names only, and those certificates. P-256 with SHA-256 throughout. Pure: times are
 * given. Thread-safe.
 * Implements: RFC 5280, 4.1 and 4.2 (profile of a CA and of an end entity).
 */
#ifndef CRYPTO_X509_H
#define CRYPTO_X509_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/secret.h"

#define X509_NAMES_MAX 64            /* a handshake carries them all */
#define X509_PEM_MAX ((size_t)65536) /* octets of a certificate file */

/* A key of a certificate: apart from the signing keys of key.h, so that neither serves as the
 * other. */
struct x509_key;

MUST_USE struct error *x509_key_generate(struct x509_key **out);

/* x509_key_seal and x509_key_unseal are signing_key_seal and signing_key_unseal for these keys. */
MUST_USE struct error *x509_key_seal(const struct x509_key *key, const struct secret *wrap,
                                     struct arena *arena, struct bytes *out);
MUST_USE struct error *x509_key_unseal(struct bytes sealed, const struct secret *wrap,
                                       struct x509_key **out);

/* x509_key_pem writes the key as PKCS#8 PEM into a secret: for the TLS library, never for a file.
 */
MUST_USE struct error *x509_key_pem(const struct x509_key *key, struct secret **out);

void x509_key_free(struct x509_key *key);
DEFINE_CLEANUP(struct x509_key, x509_key_free);

/* Both ends are inside, in seconds since 1970. */
struct x509_life {
    int64_t not_before_s;
    int64_t not_after_s;
};

struct x509_ip {
    uint8_t octets[16];
    size_t len; /* 4 or 16 */
};

struct x509_names {
    const struct text *dns; /* as x509_is_dns_name accepts */
    size_t dns_count;
    const struct x509_ip *ips;
    size_t ip_count;
};

/* x509_is_dns_name says whether `name` is a host name in lower case: labels of letters, digits,
 * "-" and "_", at most 63 octets each and 253 together, no wildcard and no final dot. */
bool x509_is_dns_name(struct text name);

/* x509_put_ca appends the PEM of a self-signed CA of path length 0 that may certify only the DNS
 * names of `names` and what is below them (critical). Addresses are left unconstrained on purpose:
 * BoringSSL's clients refuse any chain with an iPAddress constraint; `names->ips` is not used.
 * Errors: INVALID_ARGUMENT for no DNS name, a bad one, or too many; RESOURCE_EXHAUSTED; INTERNAL.
 */
MUST_USE struct error *x509_put_ca(struct buf *out, const struct x509_key *key,
                                   const struct x509_life *life, const struct x509_names *names);

struct x509_issuer {
    struct bytes ca_pem;
    const struct x509_key *key;
};

/* x509_put_leaf appends the PEM of a server certificate (serverAuth) with `names` as subject
 * alternative names. Errors: INVALID_ARGUMENT for no name, a bad one or too many, and for a
 * `ca_pem` that is none; RESOURCE_EXHAUSTED; INTERNAL. */
MUST_USE struct error *x509_put_leaf(struct buf *out, const struct x509_issuer *issuer,
                                     const struct x509_key *key, const struct x509_life *life,
                                     const struct x509_names *names);

/* x509_read_life reads the life of the first certificate in `pem`. Errors: INVALID_ARGUMENT. */
MUST_USE struct error *x509_read_life(struct bytes pem, struct x509_life *out);

/* x509_check_leaf answers whether the first certificate in `leaf_pem` holds `key` and verifies at
 * `at_s` as a TLS server's under `ca_pem` (chain, purpose, constraints, life).
 * Errors: INVALID_ARGUMENT if either is no certificate; RESOURCE_EXHAUSTED; INTERNAL. */
MUST_USE struct error *x509_check_leaf(struct bytes leaf_pem, const struct x509_key *key,
                                       struct bytes ca_pem, int64_t at_s, bool *out_good);

#endif
