/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_token.h
 * @brief A bearer token's bytes, keys and a time in; a caller's claims or a reason out
 *
 * Pure. The rules are http-semantics.md 3's: issuer, audience and expiry are mandatory, ids are
 * canonical, 30 s of skew for nbf and iat and none for exp.
 */
#ifndef TENANT_TOKEN_H
#define TENANT_TOKEN_H

#include <apr_time.h>

#include "tenant_jws.h"
#include "tenant_key.h"

#define TENANT_SKEW_SECONDS   30
#define TENANT_ROLE_MAX       64   /**< characters */
#define TENANT_SESSION_MAX    128  /**< characters */
#define TENANT_PROPERTIES_MAX 4096

/** The claims whose names a directive may change (TenantClaim). */
typedef enum tenant_claim {
    TENANT_CLAIM_ORG,
    TENANT_CLAIM_USER,
    TENANT_CLAIM_ROLE,
    TENANT_CLAIM_PROPERTIES,
    TENANT_CLAIM_SESSION,
    TENANT_CLAIMS_COUNT
} tenant_claim;

/** What a token must say. Read-only. */
typedef struct tenant_rules {
    const char *issuer;
    const apr_array_header_t *audiences;             /**< const char *, one must be in aud */
    const char *names[TENANT_CLAIMS_COUNT];
    const apr_array_header_t *all_properties_roles;  /**< const char * */
} tenant_rules;

/** Who a verified token speaks for. Strings and properties live in the caller's pool. */
typedef struct tenant_claims {
    apr_int64_t org;                /**< 0: an admin without one */
    apr_int64_t user;
    const char *role;
    const char *session;            /**< NULL: none */
    const apr_int64_t *properties;  /**< ascending, no duplicates */
    int property_count;
    int all_properties;
    apr_time_t issued;              /**< 0: not said */
    apr_time_t expires;
    apr_uint64_t revision;          /**< of the revocations that they passed (tenant_revoke.c) */
    char key[TENANT_KEY_HEX + 1];   /**< partition key; "": not derived yet (tenant_identity.c) */
    char permissions[TENANT_PERMISSIONS_HEX + 1]; /**< likewise */
} tenant_claims;

/** @return whether text could be a role: 1..TENANT_ROLE_MAX of letters, digits, '_', '-', '.' */
int tenant_role_ok(const char *text);

/** @return whether text could be a session: 1..TENANT_SESSION_MAX of visible ASCII */
int tenant_session_ok(const char *text);

/**
 * Verify.
 * @param sets  NULL-ended list of key sets
 * @param now   wall clock
 * @return TENANT_OK and *claims, else why not
 */
tenant_reason tenant_token_verify(tenant_claims *claims, apr_pool_t *p, const char *token,
                                  apr_size_t len, const tenant_keyset *const *sets,
                                  const tenant_rules *rules, apr_time_t now);

#endif /* TENANT_TOKEN_H */
