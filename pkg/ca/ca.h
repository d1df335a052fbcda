/*
 * ca: the local certificate authority and the server's certificate, in a folder of files. The
 * certificate is renewed at two thirds of its life. Not thread-safe: one owner.
 */
#ifndef CA_CA_H
#define CA_CA_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "crypto/secret.h"

struct ca;

struct ca_options {
    const char *dir;           /* of its files; must be there */
    const struct secret *wrap; /* the instance's; keys are sealed under secrets derived from it */
    const struct clock *clock; /* must outlive the ca */
    const struct text *names;  /* host names and addresses of the server, beside the loopback's */
    size_t name_count;         /* that are always in (localhost, 127.0.0.1, ::1) */
};

/* ca_create makes the CA (ten years, for the DNS names of `names` and no others) and the server's
 * first certificate. Never over existing files. Errors: INVALID_ARGUMENT for a name that is neither
 * host name nor address, or too many; ALREADY_EXISTS; UNAVAILABLE. */
MUST_USE struct error *ca_create(const struct ca_options *options);

/* ca_open reads the files, and issues a certificate anew where it is due, damaged or does not match
 * its key (a renewal that was interrupted). `*out` borrows options->clock.
 * Errors: FAILED_PRECONDITION if the CA's own files are missing, foreign, or the CA has expired;
 * UNAVAILABLE. */
MUST_USE struct error *ca_open(const struct ca_options *options, struct ca **out);

/* ca_renew_if_due issues a new certificate and key where two thirds of the old one's life are over,
 * and says so; ca_chain_pem and ca_key_pem change then. On failure the old ones stay. Cheap where
 * nothing is due: for a timer. Errors: FAILED_PRECONDITION once the CA has expired; UNAVAILABLE. */
MUST_USE struct error *ca_renew_if_due(struct ca *ca, bool *out_renewed);

/* The views are owned by `ca` and hold until the next renewal; ca_cert_pem always. */
struct bytes ca_cert_pem(const struct ca *ca);  /* what clients trust */
struct bytes ca_chain_pem(const struct ca *ca); /* what the server shows */
struct bytes ca_key_pem(const struct ca *ca);   /* secret: for the TLS library alone */

/* ca_expiry_s is when the server's certificate ends, in seconds since 1970. */
int64_t ca_expiry_s(const struct ca *ca);

void ca_free(struct ca *ca);
DEFINE_CLEANUP(struct ca, ca_free);

#endif
