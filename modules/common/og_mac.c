/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Hashes and macs, see og_mac.h. */
#include "og_mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

int og_sha256(unsigned char out[OG_SHA256_LEN], const void *data, apr_size_t len)
{
    return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1;
}

int og_hmac_sha256(unsigned char out[OG_SHA256_LEN], const void *key, apr_size_t key_len,
                   const void *data, apr_size_t len)
{
    size_t out_len = 0;

    if (!key_len) {
        return 0;
    }
    return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_len, data, len, out,
                     OG_SHA256_LEN, &out_len) != NULL
           && out_len == OG_SHA256_LEN;
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
