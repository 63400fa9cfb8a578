/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_cache.h
 * @brief Claims of tokens that were verified before, so that a signature is checked once a child
 *
 * Pure. Fixed size; keyed by a salted SHA-256 over the token and all that it was verified against,
 * so what changes (keys, rules) makes old entries unreachable instead of needing to find them. An
 * entry is never returned at or after its token's expiry.
 */
#ifndef TENANT_CACHE_H
#define TENANT_CACHE_H

#include "tenant_token.h"

#define TENANT_CACHE_KEY   32    /**< bytes of a key */
#define TENANT_CACHE_SLOTS 4096
/** Callers with more properties are verified each time. */
#define TENANT_CACHE_PROPERTIES_MAX 64

typedef struct tenant_cache tenant_cache;

/** @return a cache that lives as long as p, or NULL without memory */
tenant_cache *tenant_cache_make(apr_pool_t *p);

/** @return 1 and *claims (copied into p), or 0. Any thread. */
int tenant_cache_get(tenant_cache *cache, const unsigned char key[TENANT_CACHE_KEY],
                     apr_time_t now, tenant_claims *claims, apr_pool_t *p);

/** Remember, in place of an expired or the least recently used entry. Any thread. */
void tenant_cache_put(tenant_cache *cache, const unsigned char key[TENANT_CACHE_KEY],
                      apr_time_t now, const tenant_claims *claims);

#endif /* TENANT_CACHE_H */
