/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tenant_cache.h
 * @brief Claims of tokens that were verified before, so that a signature is checked once a child
 *
 * Pure. Bounded: at most sets * TENANT_CACHE_WAYS entries, each 300 bytes longer than its token, as
 * a rule, and below two KiB. An entry is for the token itself, all bytes of it, and for all that it
 * was verified against, so what changes (keys, rules) makes old entries unreachable instead of
 * needing to find them. An entry is never returned at or after its token's expiry.
 */
#ifndef TENANT_CACHE_H
#define TENANT_CACHE_H

#include <apr_siphash.h>

#include "tenant_token.h"

/** Sets of a child: more callers than one has connections, since callers that come by turns and are
 * more than there are places would all be verified each time. */
#define TENANT_CACHE_SETS 8192
#define TENANT_CACHE_WAYS 4
/** Longer tokens stand there by their SHA-256. */
#define TENANT_CACHE_TOKEN_MAX 1024
/** Callers with more properties are verified each time. */
#define TENANT_CACHE_PROPERTIES_MAX 64
/** Words of what a token is verified against. */
#define TENANT_CACHE_AGAINST 12

typedef struct tenant_cache tenant_cache;

/** What a verification is of. Read-only. */
typedef struct tenant_cache_key {
    const char *token;
    apr_size_t len;
    apr_uint64_t against[TENANT_CACHE_AGAINST]; /**< settings, by address; versions of keys */
} tenant_cache_key;

/**
 * @param seed  random
 * @param sets  a power of two is not needed
 * @return a cache that lives as long as p, or NULL without memory
 */
tenant_cache *tenant_cache_make(apr_pool_t *p, const unsigned char seed[APR_SIPHASH_KSIZE],
                                apr_size_t sets);

/** @return 1 and *claims (copied into p), or 0. Any thread. */
int tenant_cache_get(tenant_cache *cache, const tenant_cache_key *key, apr_time_t now,
                     tenant_claims *claims, apr_pool_t *p);

/** Remember, in place of an expired or the least recently used entry. Any thread. */
void tenant_cache_put(tenant_cache *cache, const tenant_cache_key *key, apr_time_t now,
                      const tenant_claims *claims);

#endif /* TENANT_CACHE_H */
