/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_mac.h
 * @brief SHA-256, HMAC-SHA-256, hexadecimal and constant-time comparison, on OpenSSL 3
 *
 * Pure; safe from any thread, but for og_mac_fetch.
 */
#ifndef OG_MAC_H
#define OG_MAC_H

#include <apr.h>

#define OG_SHA256_LEN 32

/**
 * Look the algorithms up once, for as long as the process lasts: that costs more than hashing a
 * token. For a child before it has threads (rest_mac.h); in the parent, which unloads modules at a
 * reload, what was fetched would be lost each time.
 */
void og_mac_fetch(void);

/** @return 1, or 0 when OpenSSL fails (out is then undefined). */
int og_sha256(unsigned char out[OG_SHA256_LEN], const void *data, apr_size_t len);

/** The same of two parts, one behind the other. */
int og_sha256_two(unsigned char out[OG_SHA256_LEN], const void *first, apr_size_t first_len,
                  const void *second, apr_size_t second_len);

/** @return 1, or 0 when OpenSSL fails. An empty key is refused: it would sign for anyone. */
int og_hmac_sha256(unsigned char out[OG_SHA256_LEN], const void *key, apr_size_t key_len,
                   const void *data, apr_size_t len);

/** Lower-case hex of src into out: 2 * len characters and a NUL. */
void og_hex(char *out, const unsigned char *src, apr_size_t len);

/** Equality in a time that depends on len alone. For every mac, signature, key and tag. */
int og_equal(const void *a, const void *b, apr_size_t len);

#endif /* OG_MAC_H */
