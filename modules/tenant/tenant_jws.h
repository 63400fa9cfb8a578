/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_jws.h
 * @brief Compact JWS (RFC 7515): three segments, one header, one verified signature
 *
 * Pure: bytes and keys in, payload or a reason out.
 */
#ifndef TENANT_JWS_H
#define TENANT_JWS_H

#include <jansson.h>

#include "tenant_jwks.h"

/** Longest token, and longest header segment, in characters. */
#define TENANT_TOKEN_MAX  8192
#define TENANT_HEADER_MAX 2048

/** Why a caller is refused (decisions.md 3), in the order in which it is found out. */
typedef enum tenant_reason {
    TENANT_OK,
    TENANT_MISSING,
    TENANT_MALFORMED,
    TENANT_ALGORITHM,
    TENANT_KEY,
    TENANT_SIGNATURE,
    TENANT_ISSUER,
    TENANT_AUDIENCE,
    TENANT_EXPIRED,
    TENANT_NOT_YET_VALID,
    TENANT_CLAIMS,
    TENANT_REVOKED
} tenant_reason;

/** The reason as a 401's details.reason says it. */
const char *tenant_reason_name(tenant_reason reason);

/**
 * Verify a compact JWS and parse its payload.
 * @param sets     NULL-ended list of key sets, searched in order
 * @param payload  the payload's object, owned by p
 */
tenant_reason tenant_jws_verify(const json_t **payload, apr_pool_t *p, const char *token,
                                apr_size_t len, const tenant_keyset *const *sets);

#endif /* TENANT_JWS_H */
