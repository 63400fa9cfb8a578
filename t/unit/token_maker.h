/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the tests of keys and tokens sign with: fresh key pairs, their JWKs, and signatures. */
#ifndef TOKEN_MAKER_H
#define TOKEN_MAKER_H

#include <apr_pools.h>
#include <openssl/evp.h>

#define MAKER_SECRET "0123456789abcdef0123456789abcdef"

/* A key pair of an algorithm's kind; dropped with p. bits: of RSA keys */
EVP_PKEY *maker_key(apr_pool_t *p, const char *alg, int bits);

/* "kty":…,"n":… and so on: the public members of a JWK, without braces. */
const char *maker_members(apr_pool_t *p, const char *alg, EVP_PKEY *key);

const char *maker_b64(apr_pool_t *p, const void *bytes, apr_size_t len);

/* The raw JWS signature of text as alg makes it; for HS the key is secret. */
const unsigned char *maker_sign(apr_pool_t *p, const char *alg, EVP_PKEY *key, const char *secret,
                                apr_size_t secret_len, const char *text, apr_size_t *len);

/* header.payload.signature of JSON texts */
const char *maker_token(apr_pool_t *p, const char *header, const char *payload, const char *alg,
                        EVP_PKEY *key);

#endif /* TOKEN_MAKER_H */
