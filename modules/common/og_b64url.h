/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_b64url.h
 * @brief base64url without padding (RFC 4648 5), strict
 *
 * Pure. One encoding for each byte string: a decoder that took padding, other alphabets, white
 * space or stray trailing bits would let one token have several spellings.
 */
#ifndef OG_B64URL_H
#define OG_B64URL_H

#include <apr.h>

/** Characters that len bytes encode to. */
static inline apr_size_t og_b64url_encoded_len(apr_size_t len)
{
    return len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0);
}

/** Bytes that len characters may decode to, at most. */
static inline apr_size_t og_b64url_decoded_max(apr_size_t len)
{
    return len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0);
}

/**
 * Encode.
 * @param out  og_b64url_encoded_len(len) characters; not NUL-terminated
 * @return characters written
 */
apr_size_t og_b64url_encode(char *out, const unsigned char *src, apr_size_t len);

/**
 * Decode.
 * @param out      room for og_b64url_decoded_max(len) bytes
 * @param written  bytes written, set on success
 * @return 1 when src is the canonical encoding of something, else 0
 */
int og_b64url_decode(unsigned char *out, apr_size_t *written, const char *src, apr_size_t len);

#endif /* OG_B64URL_H */
