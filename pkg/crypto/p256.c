/* P-256 keys as OpenSSL objects. A private key is its scalar, which lies in a struct secret and, as
 * a number, in OpenSSL's secure heap; the contexts that sign with it are made once and reused. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <sodium.h>

#include "base/assert.h"
#include "crypto/internal.h"

/* SubjectPublicKeyInfo of an uncompressed point (RFC 5480, 2): SEQUENCE { SEQUENCE {
 * id-ecPublicKey, prime256v1 }, BIT STRING of 66 octets } up to where the point begins. */
const uint8_t p256_spki_prefix[P256_SPKI_PREFIX_LEN] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

static const uint8_t order[P256_SCALAR_LEN] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

static void pkey_freep(EVP_PKEY **p) { EVP_PKEY_free(*p); }
static void pkey_ctx_freep(EVP_PKEY_CTX **p) { EVP_PKEY_CTX_free(*p); }
static void bn_freep(BIGNUM **p) { BN_clear_free(*p); }
static void group_freep(EC_GROUP **p) { EC_GROUP_free(*p); }
static void point_freep(EC_POINT **p) { EC_POINT_free(*p); }
static void bld_freep(OSSL_PARAM_BLD **p) { OSSL_PARAM_BLD_free(*p); }
static void params_freep(OSSL_PARAM **p) { OSSL_PARAM_free(*p); }

void ctx_pool_init(struct ctx_pool *p, EVP_PKEY *pkey, int (*init)(EVP_PKEY_CTX *ctx)) {
    *p = (struct ctx_pool){.pkey = pkey, .init = init};
    int rc = pthread_mutex_init(&p->lock, NULL);
    ASSERT(rc == 0); /* the default kind has no way to fail */
}

static struct error *ctx_new(const struct ctx_pool *p, EVP_PKEY_CTX **out) {
    CLEANUP(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->pkey, NULL);
    if (ctx == NULL || p->init(ctx) <= 0) return openssl_error("make a P-256 context");
    *out = MOVE(ctx);
    return NULL;
}

struct error *ctx_pool_take(struct ctx_pool *p, EVP_PKEY_CTX **out) {
    EVP_PKEY_CTX *ctx = NULL;
    (void)pthread_mutex_lock(&p->lock);
    if (p->idle_count > 0) ctx = p->idle[--p->idle_count];
    (void)pthread_mutex_unlock(&p->lock);
    if (ctx == NULL) return ctx_new(p, out);
    *out = ctx;
    return NULL;
}

void ctx_pool_give(struct ctx_pool *p, EVP_PKEY_CTX *ctx) {
    (void)pthread_mutex_lock(&p->lock);
    bool keep = p->idle_count < CTX_POOL_IDLE_MAX;
    if (keep) p->idle[p->idle_count++] = ctx;
    (void)pthread_mutex_unlock(&p->lock);
    if (!keep) EVP_PKEY_CTX_free(ctx);
}

void ctx_pool_done(struct ctx_pool *p) {
    if (p->pkey == NULL) return; /* never initialised */
    for (size_t i = 0; i < p->idle_count; i++) EVP_PKEY_CTX_free(p->idle[i]);
    (void)pthread_mutex_destroy(&p->lock);
    EVP_PKEY_free(p->pkey);
    *p = (struct ctx_pool){0};
}

/* sodium_compare reads little-endian numbers, in time that does not depend on them. */
static bool scalar_in_range(const uint8_t scalar[P256_SCALAR_LEN]) {
    uint8_t a[P256_SCALAR_LEN];
    uint8_t n[P256_SCALAR_LEN];
    for (size_t i = 0; i < P256_SCALAR_LEN; i++) {
        a[i] = scalar[P256_SCALAR_LEN - 1 - i];
        n[i] = order[P256_SCALAR_LEN - 1 - i];
    }
    bool ok = !sodium_is_zero(a, sizeof a) && sodium_compare(a, n, sizeof a) < 0;
    secret_wipe(a, sizeof a);
    return ok;
}

/* SPEC fips186-4 B.4.2: "Key Pair Generation by Testing Candidates". One candidate in 2^32 is not
 * below the order; four in a row mean a broken generator. */
struct error *p256_scalar_new(struct secret **out) {
    for (int attempt = 0; attempt < 4; attempt++) {
        CLEANUP(secret_freep) struct secret *s = NULL;
        TRY(secret_random(P256_SCALAR_LEN, &s));
        if (!scalar_in_range(secret_view(s).data)) continue;
        *out = MOVE(s);
        return NULL;
    }
    return error_new(ERROR_INTERNAL, "the random number generator is broken");
}

/* The public point of `d`, which is on the secure heap. */
static struct error *public_point(const BIGNUM *d, uint8_t out[P256_POINT_LEN]) {
    CLEANUP(group_freep) EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    if (group == NULL) return openssl_error("P-256 group");
    CLEANUP(point_freep) EC_POINT *q = EC_POINT_new(group);
    if (q == NULL || EC_POINT_mul(group, q, d, NULL, NULL, NULL) != 1 ||
        EC_POINT_point2oct(group, q, POINT_CONVERSION_UNCOMPRESSED, out, P256_POINT_LEN, NULL) !=
            P256_POINT_LEN)
        return openssl_error("P-256 public key");
    return NULL;
}

/* `d` may be NULL: a public key. */
static struct error *pkey_of(const BIGNUM *d, struct bytes point, EVP_PKEY **out) {
    CLEANUP(bld_freep) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bld == NULL ||
        !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ||
        !OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) ||
        (d != NULL && !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d)))
        return openssl_error("P-256 parameters");
    CLEANUP(params_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    CLEANUP(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0)
        return openssl_error("P-256 parameters");
    CLEANUP(pkey_freep) EVP_PKEY *pkey = NULL;
    int selection = d == NULL ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR;
    if (EVP_PKEY_fromdata(ctx, &pkey, selection, params) <= 0) return openssl_error("P-256 key");
    *out = MOVE(pkey);
    return NULL;
}

struct error *p256_from_scalar(struct bytes scalar, EVP_PKEY **out,
                               uint8_t out_point[P256_POINT_LEN]) {
    ASSERT(scalar.len == P256_SCALAR_LEN);
    if (!scalar_in_range(scalar.data))
        return error_new(ERROR_INVALID_ARGUMENT, "not a P-256 private key");
    CLEANUP(bn_freep) BIGNUM *d = BN_secure_new();
    if (d == NULL || BN_bin2bn(scalar.data, P256_SCALAR_LEN, d) == NULL)
        return openssl_error("P-256 private key");
    BN_set_flags(d, BN_FLG_CONSTTIME);
    uint8_t point[P256_POINT_LEN];
    TRY(public_point(d, point));
    TRY(pkey_of(d, (struct bytes){point, sizeof point}, out));
    memcpy(out_point, point, sizeof point);
    return NULL;
}

/* P-256 has cofactor 1: what is on the curve is in the group.
 * SPEC sec1 2.3.4: "If [the equation does not hold], output 'invalid' and stop". */
static struct error *check_on_curve(struct bytes octets) {
    CLEANUP(group_freep) EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    if (group == NULL) return openssl_error("P-256 group");
    CLEANUP(point_freep) EC_POINT *q = EC_POINT_new(group);
    if (q == NULL) return openssl_error("P-256 point");
    if (EC_POINT_oct2point(group, q, octets.data, octets.len, NULL) == 1) return NULL;
    CLEANUP(error_freep) struct error *err = openssl_error("P-256 point");
    if (error_code(err) == ERROR_RESOURCE_EXHAUSTED) return MOVE(err);
    return error_new(ERROR_INVALID_ARGUMENT, "not a point of P-256");
}

struct error *p256_from_point(struct bytes point, EVP_PKEY **out) {
    if (point.len != P256_POINT_LEN || point.data[0] != POINT_CONVERSION_UNCOMPRESSED)
        return error_new(ERROR_INVALID_ARGUMENT, "not an uncompressed P-256 point");
    TRY(check_on_curve(point));
    return pkey_of(NULL, point, out);
}
