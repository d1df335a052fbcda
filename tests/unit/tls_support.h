/* Reading the test certificates of testdata/tls. */
#ifndef TLS_SUPPORT_H
#define TLS_SUPPORT_H

#include <check.h>
#include <stdio.h>

#include "net/net.h"

static inline struct bytes file_read(const char *path, uint8_t *out, size_t size) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    size_t n = fread(out, 1, size, f);
    (void)fclose(f);
    ck_assert_uint_lt(n, size);
    return (struct bytes){out, n};
}

static inline struct net_tls *tls_server(const char *chain, const char *key) {
    uint8_t a[4096];
    uint8_t b[4096];
    struct net_tls *tls = NULL;
    ck_assert_ptr_null(
        net_tls_server_new(file_read(chain, a, sizeof a), file_read(key, b, sizeof b), &tls));
    return tls;
}

static inline struct net_tls *tls_server_good(void) {
    return tls_server("testdata/tls/server.pem", "testdata/tls/server.key");
}

static inline struct net_tls *tls_client(const char *ca) {
    struct net_tls *tls = NULL;
    ck_assert_ptr_null(net_tls_client_new(ca, &tls));
    return tls;
}

#endif
