/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Hashes and macs, see og_mac.h. A thread of a child keeps one context for all that it hashes: to
 * make one costs OpenSSL 3 more than hashing a token. The mac is RFC 2104's own two hashes for the
 * same reason: EVP_MAC looks its digest up by name and allocates six times, each time. */
#include "og_mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#define BLOCK 64 /* SHA-256's */

/* process: NULL unless og_mac_fetch was called; OpenSSL frees what was fetched with itself */
static EVP_MD *sha256;
static pthread_key_t contexts; /* there where sha256 is */

static void give_up(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

void og_mac_fetch(void)
{
    if (!sha256 && pthread_key_create(&contexts, give_up) == 0) {
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    }
}

/* This thread's, or one to be freed. NULL without memory. */
static EVP_MD_CTX *context(void)
{
    EVP_MD_CTX *ctx = sha256 ? pthread_getspecific(contexts) : NULL;

    if (!ctx) {
        ctx = EVP_MD_CTX_new();
        if (sha256 && pthread_setspecific(contexts, ctx) != 0) {
            EVP_MD_CTX_free(ctx);
            ctx = NULL;
        }
    }
    return ctx;
}

int og_sha256_two(unsigned char out[OG_SHA256_LEN], const void *first, apr_size_t first_len,
                  const void *second, apr_size_t second_len)
{
    EVP_MD_CTX *ctx = context();
    int made = ctx && EVP_DigestInit_ex(ctx, sha256 ? sha256 : EVP_sha256(), NULL) == 1
               && EVP_DigestUpdate(ctx, first, first_len) == 1
               && EVP_DigestUpdate(ctx, second, second_len) == 1
               && EVP_DigestFinal_ex(ctx, out, NULL) == 1;

    if (!sha256) {
        EVP_MD_CTX_free(ctx);
    }
    return made;
}

int og_sha256(unsigned char out[OG_SHA256_LEN], const void *data, apr_size_t len)
{
    return og_sha256_two(out, data, len, "", 0);
}

static void blend(unsigned char block[BLOCK], unsigned char with)
{
    int i;

    for (i = 0; i < BLOCK; i++) {
        block[i] ^= with;
    }
}

int og_hmac_sha256(unsigned char out[OG_SHA256_LEN], const void *key, apr_size_t key_len,
                   const void *data, apr_size_t len)
{
    unsigned char block[BLOCK] = { 0 }, inner[OG_SHA256_LEN];
    int made = key_len > 0;

    if (key_len > BLOCK) {
        made = og_sha256(block, key, key_len);
    }
    else if (key_len) {
        memcpy(block, key, key_len);
    }
    blend(block, 0x36);
    made = made && og_sha256_two(inner, block, BLOCK, data, len);
    blend(block, 0x36 ^ 0x5c);
    made = made && og_sha256_two(out, block, BLOCK, inner, OG_SHA256_LEN);
    OPENSSL_cleanse(block, sizeof(block));
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
