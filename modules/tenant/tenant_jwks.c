/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* JWKS text to keys, see tenant_jwks.h. Nothing here fetches anything: jku, x5u and the like are
 * not even looked at. */
#include "tenant_jwks.h"

#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "og_b64url.h"
#include "og_json.h"

tenant_keyset *tenant_keyset_make(apr_pool_t *p)
{
    tenant_keyset *set = apr_pcalloc(p, sizeof(*set));

    set->keys = apr_array_make(p, 8, sizeof(tenant_key));
    return set;
}

const tenant_key *tenant_keyset_find(const tenant_keyset *set, const char *kid)
{
    const tenant_key *keys = (const tenant_key *)set->keys->elts;
    int i;

    for (i = 0; i < set->keys->nelts; i++) {
        if (!strcmp(keys[i].kid, kid)) {
            return &keys[i];
        }
    }
    return NULL;
}

const char *tenant_keyset_add_secret(tenant_keyset *set, apr_pool_t *p, const char *kid,
                                     const char *alg, const char *secret, apr_size_t len)
{
    const tenant_alg *row = tenant_alg_find(alg);
    tenant_key *key;

    if (!row || row->kty != TENANT_KTY_OCT) {
        return apr_psprintf(p, "expected HS256, HS384 or HS512, not \"%.40s\"", alg);
    }
    if (!*kid || strlen(kid) > TENANT_KID_MAX) {
        return apr_psprintf(p, "expected a name of 1 to %d characters", TENANT_KID_MAX);
    }
    if (tenant_keyset_find(set, kid)) {
        return apr_psprintf(p, "there is a secret named \"%s\" already", kid);
    }
    if (set->keys->nelts >= TENANT_JWKS_KEYS_MAX) {
        return apr_psprintf(p, "expected at most %d secrets", TENANT_JWKS_KEYS_MAX);
    }
    if (len < TENANT_SECRET_MIN) {
        return apr_psprintf(p, "expected a secret of at least %d bytes, not %" APR_SIZE_T_FMT,
                            TENANT_SECRET_MIN, len);
    }
    key = apr_array_push(set->keys);
    key->kid = apr_pstrdup(p, kid);
    key->alg = row;
    key->secret = apr_pmemdup(p, secret, len);
    key->secret_len = len;
    set->kid_optional = set->keys->nelts == 1;
    return NULL;
}

/* A member that is a string, or NULL. */
static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* The bytes of a base64url member, or NULL. */
static unsigned char *bytes_of(apr_pool_t *p, const json_t *jwk, const char *name,
                               apr_size_t *len)
{
    const char *text = text_of(jwk, name);
    unsigned char *bytes;
    apr_size_t coded;

    if (!text) {
        return NULL;
    }
    coded = strlen(text);
    bytes = apr_palloc(p, og_b64url_decoded_max(coded) + 1);
    return og_b64url_decode(bytes, len, text, coded) && *len ? bytes : NULL;
}

static apr_status_t free_pkey(void *pkey)
{
    EVP_PKEY_free(pkey);
    return APR_SUCCESS;
}

/* A public key of these parameters, checked by OpenSSL (a point off its curve is refused). */
static EVP_PKEY *pkey_of(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY_CTX *check = NULL;
    EVP_PKEY *pkey = NULL;

    if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1
        || !(check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL))
        || EVP_PKEY_public_check(check) != 1) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
        ERR_clear_error();
    }
    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static const char *load_rsa(tenant_key *key, apr_pool_t *p, const json_t *jwk)
{
    apr_size_t n_len = 0, e_len = 0;
    unsigned char *n_bytes = bytes_of(p, jwk, "n", &n_len);
    unsigned char *e_bytes = bytes_of(p, jwk, "e", &e_len);
    OSSL_PARAM_BLD *bld;
    OSSL_PARAM *params = NULL;
    BIGNUM *n, *e;
    int bits;

    if (!n_bytes || !e_bytes || n_len > TENANT_RSA_BITS_MAX / 8 + 1 || e_len > 8) {
        return "its n or e is missing or not a base64url number of a usable size";
    }
    n = BN_bin2bn(n_bytes, (int)n_len, NULL);
    e = BN_bin2bn(e_bytes, (int)e_len, NULL);
    bits = n ? BN_num_bits(n) : 0;
    if (bits >= TENANT_RSA_BITS_MIN && bits <= TENANT_RSA_BITS_MAX) {
        bld = OSSL_PARAM_BLD_new();
        if (bld && e && BN_is_odd(e) && !BN_is_one(e)
            && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1
            && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
            params = OSSL_PARAM_BLD_to_param(bld);
        }
        key->pkey = pkey_of("RSA", params);
        OSSL_PARAM_free(params);
        OSSL_PARAM_BLD_free(bld);
    }
    BN_free(n);
    BN_free(e);
    if (bits < TENANT_RSA_BITS_MIN || bits > TENANT_RSA_BITS_MAX) {
        return apr_psprintf(p, "expected an RSA key of %d to %d bits, not %d", TENANT_RSA_BITS_MIN,
                            TENANT_RSA_BITS_MAX, bits);
    }
    return key->pkey ? NULL : "its n and e are no RSA key";
}

static const char *load_ec(tenant_key *key, apr_pool_t *p, const json_t *jwk)
{
    unsigned char point[1 + 2 * 48];
    apr_size_t half = key->alg->half, x_len = 0, y_len = 0;
    unsigned char *x = bytes_of(p, jwk, "x", &x_len), *y = bytes_of(p, jwk, "y", &y_len);
    OSSL_PARAM params[3];

    if (!x || !y || x_len != half || y_len != half) {
        return apr_psprintf(p, "expected x and y of %" APR_SIZE_T_FMT " bytes each", half);
    }
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, x, half);
    memcpy(point + 1 + half, y, half);
    /* OpenSSL only reads the group's name */
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                 (char *)key->alg->group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half);
    params[2] = OSSL_PARAM_construct_end();
    key->pkey = pkey_of("EC", params);
    return key->pkey ? NULL : "its x and y are no point of the curve";
}

static const char *load_okp(tenant_key *key, apr_pool_t *p, const json_t *jwk)
{
    apr_size_t x_len = 0;
    unsigned char *x = bytes_of(p, jwk, "x", &x_len);

    if (!x || x_len != 32) {
        return "expected x of 32 bytes";
    }
    key->pkey = EVP_PKEY_new_raw_public_key_ex(NULL, key->alg->group, NULL, x, x_len);
    return key->pkey ? NULL : "its x is no Ed25519 key";
}

/* Whether the key is for signatures, as far as it says. */
static int verifies(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops");
    apr_size_t i;

    if (use && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0)) {
        return 0;
    }
    if (!ops) {
        return 1;
    }
    for (i = 0; i < json_array_size(ops); i++) {
        const char *op = json_string_value(json_array_get(ops, i));

        if (op && !strcmp(op, "verify")) {
            return 1;
        }
    }
    return 0;
}

/* The key's only algorithm: what "alg" says, else what its kind implies. NULL: not for us. */
static const tenant_alg *pinned(const json_t *jwk)
{
    static const struct {
        const char *name;
        tenant_kty kty;
    } kinds[] = { { "RSA", TENANT_KTY_RSA }, { "EC", TENANT_KTY_EC }, { "OKP", TENANT_KTY_OKP } };
    const char *kty = text_of(jwk, "kty"), *curve = text_of(jwk, "crv");
    const json_t *alg = json_object_get(jwk, "alg");
    const tenant_alg *row;
    apr_size_t i;

    for (i = 0; kty && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, kty) != 0) {
            continue;
        }
        row = alg ? tenant_alg_find(json_is_string(alg) ? json_string_value(alg) : "")
                  : tenant_alg_of_key(kinds[i].kty, curve);
        if (!row || row->kty != kinds[i].kty
            || (row->curve && (!curve || strcmp(row->curve, curve) != 0))) {
            return NULL;
        }
        return row;
    }
    return NULL;
}

static const char *add_jwk(tenant_keyset *set, apr_pool_t *p, const json_t *jwk)
{
    const char *kid = text_of(jwk, "kid"), *why;
    tenant_key key = { NULL };

    if (json_object_get(jwk, "d") || json_object_get(jwk, "k")) {
        return "it is a private or shared key: only public keys belong into a JWKS";
    }
    key.alg = pinned(jwk);
    if (!key.alg || !verifies(jwk)) {
        return NULL;
    }
    if (!kid || !*kid || strlen(kid) > TENANT_KID_MAX) {
        return apr_psprintf(p, "expected a kid of 1 to %d characters", TENANT_KID_MAX);
    }
    if (tenant_keyset_find(set, kid)) {
        return apr_psprintf(p, "its kid \"%s\" stands there twice", kid);
    }
    why = key.alg->kty == TENANT_KTY_RSA  ? load_rsa(&key, p, jwk)
          : key.alg->kty == TENANT_KTY_EC ? load_ec(&key, p, jwk)
                                          : load_okp(&key, p, jwk);
    if (why) {
        ERR_clear_error();
        return why;
    }
    apr_pool_cleanup_register(p, key.pkey, free_pkey, apr_pool_cleanup_null);
    key.kid = apr_pstrdup(p, kid);
    *(tenant_key *)apr_array_push(set->keys) = key;
    return NULL;
}

const char *tenant_jwks_parse(tenant_keyset **set, apr_pool_t *p, const char *text, apr_size_t len)
{
    tenant_keyset *made = tenant_keyset_make(p);
    const json_t *root, *keys;
    const char *why = NULL;
    apr_size_t i;

    if (len > TENANT_JWKS_BYTES_MAX) {
        return apr_psprintf(p, "expected at most %d bytes", TENANT_JWKS_BYTES_MAX);
    }
    root = og_json_load(p, text, len, &why);
    if (!root) {
        return why;
    }
    keys = json_object_get(root, "keys");
    if (!json_is_array(keys)) {
        return "expected a JWKS: an object with an array \"keys\"";
    }
    if (json_array_size(keys) > TENANT_JWKS_KEYS_MAX) {
        return apr_psprintf(p, "expected at most %d keys", TENANT_JWKS_KEYS_MAX);
    }
    for (i = 0; i < json_array_size(keys); i++) {
        const json_t *jwk = json_array_get(keys, i);

        why = json_is_object(jwk) ? add_jwk(made, p, jwk) : "it is not an object";
        if (why) {
            return apr_psprintf(p, "key %" APR_SIZE_T_FMT ": %s", i + 1, why);
        }
    }
    if (!made->keys->nelts) {
        return "it has no key that verifies signatures";
    }
    *set = made;
    return NULL;
}
