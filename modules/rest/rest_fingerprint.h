/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_fingerprint.h
 * @brief What makes two requests under one Idempotency-Key the same (http-semantics.md 8)
 *
 * Pure. SHA-256 over the SHA-256 of each part, so that no text in one part can pass for another
 * part. The body counts byte by byte: other white space is another request.
 */
#ifndef REST_FINGERPRINT_H
#define REST_FINGERPRINT_H

#include "mod_idempotency.h"

typedef struct rest_fingerprint {
    const char *method;
    const char *route;     /**< what the path means: a route's pattern, or site and path */
    const char *query;     /**< as sent; NULL: none */
    const char *type;      /**< Content-Type as sent; its parameters do not count. NULL: none */
    const char *body;
    apr_size_t body_len;
} rest_fingerprint;

/** @return 1, or 0 when OpenSSL fails. */
int rest_fingerprint_make(unsigned char out[IDEMPOTENCY_FINGERPRINT_LEN], apr_pool_t *p,
                          const rest_fingerprint *parts);

/**
 * A query that stands for all its spellings: unreserved characters are not escaped, escapes have
 * large digits, parameters are ordered by name (those of one name stay as they are), empty ones are
 * dropped. What is no escape stays as it is.
 */
const char *rest_fingerprint_query(apr_pool_t *p, const char *query);

#endif /* REST_FINGERPRINT_H */
