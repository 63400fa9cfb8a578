/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table of algorithms, see tenant_alg.h. */
#include "tenant_alg.h"

#include <string.h>

/* In the order in which a key without "alg" is given one: the first row that fits */
static const tenant_alg algs[] = {
    { "RS256", TENANT_KTY_RSA, "SHA256", 0, NULL, NULL, 0, 0 },
    { "RS384", TENANT_KTY_RSA, "SHA384", 0, NULL, NULL, 0, 0 },
    { "RS512", TENANT_KTY_RSA, "SHA512", 0, NULL, NULL, 0, 0 },
    { "PS256", TENANT_KTY_RSA, "SHA256", 1, NULL, NULL, 0, 0 },
    { "PS384", TENANT_KTY_RSA, "SHA384", 1, NULL, NULL, 0, 0 },
    { "PS512", TENANT_KTY_RSA, "SHA512", 1, NULL, NULL, 0, 0 },
    { "ES256", TENANT_KTY_EC, "SHA256", 0, "P-256", "P-256", 32, 64 },
    { "ES384", TENANT_KTY_EC, "SHA384", 0, "P-384", "P-384", 48, 96 },
    { "EdDSA", TENANT_KTY_OKP, NULL, 0, "Ed25519", "ED25519", 0, 64 },
    { "HS256", TENANT_KTY_OCT, "SHA256", 0, NULL, NULL, 0, 32 },
    { "HS384", TENANT_KTY_OCT, "SHA384", 0, NULL, NULL, 0, 48 },
    { "HS512", TENANT_KTY_OCT, "SHA512", 0, NULL, NULL, 0, 64 },
};

#define ALG_COUNT (sizeof(algs) / sizeof(algs[0]))

const tenant_alg *tenant_alg_find(const char *name)
{
    apr_size_t i;

    for (i = 0; i < ALG_COUNT; i++) {
        if (!strcmp(algs[i].name, name)) {
            return &algs[i];
        }
    }
    return NULL;
}

const tenant_alg *tenant_alg_of_key(tenant_kty kty, const char *curve)
{
    apr_size_t i;

    for (i = 0; i < ALG_COUNT; i++) {
        if (algs[i].kty == kty && (!algs[i].curve || (curve && !strcmp(algs[i].curve, curve)))) {
            return &algs[i];
        }
    }
    return NULL;
}
