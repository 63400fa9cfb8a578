/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Hashes and macs, see og_mac.h. */
#include "og_mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/* process: NULL unless og_mac_fetch was called; OpenSSL frees what was fetched with itself */
static EVP_MD *sha256;
static EVP_MAC *hmac;

void og_mac_fetch(void)
{
    if (!sha256) {
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    }
    if (!hmac) {
        hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    }
}

int og_sha256(unsigned char out[OG_SHA256_LEN], const void *data, apr_size_t len)
{
    return EVP_Digest(data, len, out, NULL, sha256 ? sha256 : EVP_sha256(), NULL) == 1;
}

static int sign(EVP_MAC *mac, unsigned char out[OG_SHA256_LEN], const void *key, apr_size_t key_len,
                const void *data, apr_size_t len)
{
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    OSSL_PARAM params[2];
    size_t out_len = 0;
    int made;

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();
    made = ctx && EVP_MAC_init(ctx, key, key_len, params) == 1
           && EVP_MAC_update(ctx, data, len) == 1
           && EVP_MAC_final(ctx, out, &out_len, OG_SHA256_LEN) == 1 && out_len == OG_SHA256_LEN;
    EVP_MAC_CTX_free(ctx);
    return made;
}

int og_hmac_sha256(unsigned char out[OG_SHA256_LEN], const void *key, apr_size_t key_len,
                   const void *data, apr_size_t len)
{
    EVP_MAC *mac = hmac;
    int made;

    if (!key_len) {
        return 0;
    }
    if (!mac) {
        mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    }
    made = sign(mac, out, key, key_len, data, len);
    if (mac != hmac) {
        EVP_MAC_free(mac);
    }
    return made;
}

void og_hex(char *out, const unsigned char *src, apr_size_t len)
{
    static const char digits[] = "0123456789abcdef";
    apr_size_t i;

    for (i = 0; i < len; i++) {
        *out++ = digits[src[i] >> 4];
        *out++ = digits[src[i] & 0x0f];
    }
    *out = '\0';
}

int og_equal(const void *a, const void *b, apr_size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
