/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* base64url, see og_b64url.h. Not constant-time: it decodes public parts of tokens and cursors. */
#include "og_b64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '-') {
        return 62;
    }
    return c == '_' ? 63 : -1;
}

apr_size_t og_b64url_encode(char *out, const unsigned char *src, apr_size_t len)
{
    char *start = out;
    apr_uint32_t group = 0;
    unsigned int bits = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        group = (group << 8 | src[i]) & 0xffff;
        for (bits += 8; bits >= 6; bits -= 6) {
            *out++ = alphabet[group >> (bits - 6) & 0x3f];
        }
    }
    if (bits) {
        *out++ = alphabet[group << (6 - bits) & 0x3f];
    }
    return (apr_size_t)(out - start);
}

int og_b64url_decode(unsigned char *out, apr_size_t *written, const char *src, apr_size_t len)
{
    unsigned char *start = out;
    apr_uint32_t group = 0;
    unsigned int bits = 0;
    apr_size_t i;

    if (len % 4 == 1) {
        return 0;
    }
    for (i = 0; i < len; i++) {
        int value = value_of(src[i]);

        if (value < 0) {
            return 0;
        }
        group = (group << 6 | (apr_uint32_t)value) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (unsigned char)(group >> bits);
        }
    }
    /* the last character's spare bits must be zero, else two texts would mean the same bytes */
    if (group & ((1u << bits) - 1)) {
        return 0;
    }
    *written = (apr_size_t)(out - start);
    return 1;
}
