/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_alg.h
 * @brief The signature algorithms we verify (RFC 7518 3.1, RFC 8037), one row each
 *
 * Pure. "none" is not here, so no code path knows it.
 */
#ifndef TENANT_ALG_H
#define TENANT_ALG_H

#include <apr.h>

typedef enum tenant_kty {
    TENANT_KTY_RSA,
    TENANT_KTY_EC,
    TENANT_KTY_OKP,
    TENANT_KTY_OCT
} tenant_kty;

typedef struct tenant_alg {
    const char *name;        /**< as "alg" says it; case counts */
    tenant_kty kty;          /**< the only kind of key that may verify it */
    const char *digest;      /**< OpenSSL's name, NULL where the algorithm has its own */
    int pss;                 /**< RSA-PSS rather than PKCS #1 v1.5 */
    const char *curve;       /**< "crv" of its keys, NULL: none */
    const char *group;       /**< OpenSSL's name of that curve */
    apr_size_t half;         /**< EC: bytes of a coordinate; others: 0 */
    apr_size_t signature;    /**< bytes of a signature; 0: the key's size decides (RSA) */
} tenant_alg;

/** The row of a name, or NULL. */
const tenant_alg *tenant_alg_find(const char *name);

/** What a key without "alg" is pinned to: by curve, RS256 for RSA; NULL for a foreign curve. */
const tenant_alg *tenant_alg_of_key(tenant_kty kty, const char *curve);

#endif /* TENANT_ALG_H */
