/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* See token_maker.h. Written against OpenSSL directly, not with mod_tenant's code: a mistake there
 * must not meet the same mistake here. */
#include "unit.h"
#include "token_maker.h"

#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "og_b64url.h"

static apr_status_t drop(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

EVP_PKEY *maker_key(apr_pool_t *p, const char *alg, int bits)
{
    EVP_PKEY *key = !strcmp(alg, "EdDSA")   ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                    : !strcmp(alg, "ES256") ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                    : !strcmp(alg, "ES384") ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384")
                                            : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);

    assert_non_null(key);
    apr_pool_cleanup_register(p, key, drop, apr_pool_cleanup_null);
    return key;
}

const char *maker_b64(apr_pool_t *p, const void *bytes, apr_size_t len)
{
    char *text = apr_pcalloc(p, og_b64url_encoded_len(len) + 1);

    og_b64url_encode(text, bytes, len);
    return text;
}

static const char *number(apr_pool_t *p, EVP_PKEY *key, const char *name, int width)
{
    unsigned char bytes[1024];
    BIGNUM *n = NULL;

    assert_true(EVP_PKEY_get_bn_param(key, name, &n));
    if (!width) {
        width = BN_num_bytes(n);
    }
    assert_int_equal(BN_bn2binpad(n, bytes, width), width);
    BN_free(n);
    return maker_b64(p, bytes, (apr_size_t)width);
}

const char *maker_members(apr_pool_t *p, const char *alg, EVP_PKEY *key)
{
    int width = !strcmp(alg, "ES384") ? 48 : 32;
    unsigned char raw[32];
    size_t raw_len = sizeof(raw);

    if (!strcmp(alg, "EdDSA")) {
        assert_true(EVP_PKEY_get_raw_public_key(key, raw, &raw_len));
        return apr_psprintf(p, "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"",
                            maker_b64(p, raw, raw_len));
    }
    if (alg[0] == 'E') {
        return apr_psprintf(p, "\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"",
                            width == 48 ? "P-384" : "P-256",
                            number(p, key, OSSL_PKEY_PARAM_EC_PUB_X, width),
                            number(p, key, OSSL_PKEY_PARAM_EC_PUB_Y, width));
    }
    return apr_psprintf(p, "\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"",
                        number(p, key, OSSL_PKEY_PARAM_RSA_N, 0),
                        number(p, key, OSSL_PKEY_PARAM_RSA_E, 0));
}

/* DER to r || s */
static const unsigned char *raw_ec(apr_pool_t *p, const unsigned char *der, size_t der_len,
                                   int half)
{
    unsigned char *raw = apr_pcalloc(p, 2 * (apr_size_t)half);
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)der_len);

    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, half), half);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, half), half);
    ECDSA_SIG_free(sig);
    return raw;
}

const unsigned char *maker_sign(apr_pool_t *p, const char *alg, EVP_PKEY *key, const char *secret,
                                apr_size_t secret_len, const char *text, apr_size_t *len)
{
    const char *digest = !strcmp(alg, "EdDSA") ? NULL : apr_pstrcat(p, "SHA", alg + 2, NULL);
    unsigned char *out = apr_pcalloc(p, 1024);
    const unsigned char *in = (const unsigned char *)text;
    EVP_PKEY_CTX *ctx;
    EVP_MD_CTX *md;
    size_t out_len = 1024;
    int half = !strcmp(alg, "ES256") ? 32 : !strcmp(alg, "ES384") ? 48 : 0;

    if (alg[0] == 'H') {
        /* HMAC of an empty key is possible here: what a confused verifier would accept (B02) */
        assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, secret_len ? secret : "",
                                  secret_len, in, strlen(text), out, 1024, &out_len));
        *len = out_len;
        return out;
    }
    md = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(md, &ctx, digest, NULL, NULL, key, NULL), 1);
    if (alg[0] == 'P') {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    assert_int_equal(EVP_DigestSign(md, out, &out_len, in, strlen(text)), 1);
    EVP_MD_CTX_free(md);
    *len = half ? 2 * (apr_size_t)half : out_len;
    return half ? raw_ec(p, out, out_len, half) : out;
}

const char *maker_token(apr_pool_t *p, const char *header, const char *payload, const char *alg,
                        EVP_PKEY *key)
{
    const char *text = apr_pstrcat(p, maker_b64(p, header, strlen(header)), ".",
                                   maker_b64(p, payload, strlen(payload)), NULL);
    const unsigned char *signature;
    apr_size_t len;

    signature = maker_sign(p, alg, key, MAKER_SECRET, strlen(MAKER_SECRET), text, &len);
    return apr_pstrcat(p, text, ".", maker_b64(p, signature, len), NULL);
}
