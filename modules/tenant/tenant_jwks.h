/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_jwks.h
 * @brief Keys that verify tokens: from a JWKS text (RFC 7517) or a shared secret
 *
 * Pure. A key is pinned to one algorithm when it is loaded; a token never chooses (B01, B02).
 * A key set is read-only once made, so any number of threads may use it.
 */
#ifndef TENANT_JWKS_H
#define TENANT_JWKS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <openssl/types.h>

#include "tenant_alg.h"

#define TENANT_JWKS_KEYS_MAX   64
#define TENANT_JWKS_BYTES_MAX  (256 * 1024)
#define TENANT_KID_MAX         256
#define TENANT_RSA_BITS_MIN    2048
#define TENANT_RSA_BITS_MAX    8192
#define TENANT_SECRET_MIN      32

typedef struct tenant_key {
    const char *kid;
    const tenant_alg *alg;
    EVP_PKEY *pkey;               /**< NULL for a secret */
    const unsigned char *secret;  /**< NULL for a public key */
    apr_size_t secret_len;
} tenant_key;

/** Keys by kid. pool: owns everything; no lock, read-only after it was made. */
typedef struct tenant_keyset {
    apr_array_header_t *keys;     /**< tenant_key */
    int kid_optional;             /**< a token may go without kid: one secret, nothing else */
} tenant_keyset;

/** An empty set in p. */
tenant_keyset *tenant_keyset_make(apr_pool_t *p);

/** The key of exactly this name, or NULL. */
const tenant_key *tenant_keyset_find(const tenant_keyset *set, const char *kid);

/**
 * Parse a JWKS. Keys for other uses (use, key_ops) and of kinds that we don't know are skipped, as
 * RFC 7517 5 asks; a key that is ours but wrong (no or double kid, weak, private) refuses the
 * whole text, and so does a text without any key for us.
 * @return NULL and *set (from p), or what is wrong (from p)
 */
const char *tenant_jwks_parse(tenant_keyset **set, apr_pool_t *p, const char *text,
                              apr_size_t len);

/**
 * Add a shared secret.
 * @param alg     "HS256", "HS384" or "HS512"
 * @param secret  at least TENANT_SECRET_MIN bytes; copied
 * @return NULL, or what is wrong (from p)
 */
const char *tenant_keyset_add_secret(tenant_keyset *set, apr_pool_t *p, const char *kid,
                                     const char *alg, const char *secret, apr_size_t len);

#endif /* TENANT_JWKS_H */
