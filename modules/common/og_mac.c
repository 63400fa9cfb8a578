/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Hashes and macs, see og_mac.h. */
#include "og_mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

/* process: fetched once, since looking an algorithm up costs more than hashing a token. OpenSSL
 * keeps what was fetched as long as itself. */
static EVP_MD *sha256;
static EVP_MAC *hmac;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

int og_sha256(unsigned char out[OG_SHA256_LEN], const void *data, apr_size_t len)
{
    pthread_once(&fetched, fetch);
    return sha256 && EVP_Digest(data, len, out, NULL, sha256, NULL) == 1;
}

int og_hmac_sha256(unsigned char out[OG_SHA256_LEN], const void *key, apr_size_t key_len,
                   const void *data, apr_size_t len)
{
    OSSL_PARAM params[2];
    EVP_MAC_CTX *ctx;
    size_t out_len = 0;
    int made;

    pthread_once(&fetched, fetch);
    ctx = key_len && hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    if (!ctx) {
        return 0;
    }
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();
    made = EVP_MAC_init(ctx, key, key_len, params) == 1 && EVP_MAC_update(ctx, data, len) == 1
           && EVP_MAC_final(ctx, out, &out_len, OG_SHA256_LEN) == 1 && out_len == OG_SHA256_LEN;
    EVP_MAC_CTX_free(ctx);
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
