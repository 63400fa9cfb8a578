/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The verified-claims cache, see tenant_cache.h. Sets of four slots; a set is chosen by bits of
 * the key, a salted hash, so that nobody can tell which tokens share one. Slots hold copies, no
 * pointers into any request. Each stripe's lock covers the sets of its number and is held for a
 * copy's time. */
#include "tenant_cache.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>
#include <string.h>

#define WAYS    4
#define SETS    (TENANT_CACHE_SLOTS / WAYS)
#define STRIPES 16

typedef struct {
    unsigned char key[TENANT_CACHE_KEY];
    apr_time_t used;                /* last time it was put or got */
    tenant_claims claims;           /* its pointers are not used; expires 0: free slot */
    char role[TENANT_ROLE_MAX + 1];
    char session[TENANT_SESSION_MAX + 1];
    apr_int64_t properties[TENANT_CACHE_PROPERTIES_MAX];
} slot;

struct tenant_cache {
    apr_thread_mutex_t *locks[STRIPES];
    slot *slots;                    /* a slot: under the lock of its set's stripe */
};

static apr_status_t release(void *slots)
{
    free(slots);
    return APR_SUCCESS;
}

tenant_cache *tenant_cache_make(apr_pool_t *p)
{
    tenant_cache *cache = apr_pcalloc(p, sizeof(*cache));
    int i;

    for (i = 0; i < STRIPES; i++) {
        if (apr_thread_mutex_create(&cache->locks[i], APR_THREAD_MUTEX_DEFAULT, p)
            != APR_SUCCESS) {
            return NULL;
        }
    }
    /* not from the pool: calloc's pages cost nothing until they are used */
    cache->slots = calloc(TENANT_CACHE_SLOTS, sizeof(slot));
    if (!cache->slots) {
        return NULL;
    }
    apr_pool_cleanup_register(p, cache->slots, release, apr_pool_cleanup_null);
    return cache;
}

static unsigned int set_of(const unsigned char *key)
{
    return ((unsigned int)key[0] << 8 | key[1]) % SETS;
}

int tenant_cache_get(tenant_cache *cache, const unsigned char key[TENANT_CACHE_KEY],
                     apr_time_t now, tenant_claims *claims, apr_pool_t *p)
{
    unsigned int set = set_of(key), way;
    apr_thread_mutex_t *lock = cache->locks[set % STRIPES];
    slot copy;
    int found = 0;

    apr_thread_mutex_lock(lock);
    for (way = 0; way < WAYS && !found; way++) {
        slot *s = &cache->slots[set * WAYS + way];

        if (s->claims.expires > now && !memcmp(s->key, key, TENANT_CACHE_KEY)) {
            s->used = now;
            copy = *s;
            found = 1;
        }
    }
    apr_thread_mutex_unlock(lock);
    if (!found) {
        return 0;
    }
    *claims = copy.claims;
    claims->role = apr_pstrdup(p, copy.role);
    claims->session = copy.session[0] ? apr_pstrdup(p, copy.session) : NULL;
    claims->properties = apr_pmemdup(p, copy.properties,
                                     (apr_size_t)copy.claims.property_count
                                         * sizeof(copy.properties[0]));
    return 1;
}

void tenant_cache_put(tenant_cache *cache, const unsigned char key[TENANT_CACHE_KEY],
                      apr_time_t now, const tenant_claims *claims)
{
    unsigned int set = set_of(key), way;
    apr_thread_mutex_t *lock = cache->locks[set % STRIPES];
    slot *victim = &cache->slots[set * WAYS];

    if (claims->property_count > TENANT_CACHE_PROPERTIES_MAX) {
        return;
    }
    apr_thread_mutex_lock(lock);
    for (way = 0; way < WAYS; way++) {
        slot *s = &cache->slots[set * WAYS + way];

        /* two threads may verify one token at a time: the second finds the first's entry */
        if (s->claims.expires <= now || !memcmp(s->key, key, TENANT_CACHE_KEY)) {
            victim = s;
            break;
        }
        if (s->used < victim->used) {
            victim = s;
        }
    }
    memset(victim, 0, sizeof(*victim));
    memcpy(victim->key, key, TENANT_CACHE_KEY);
    victim->used = now;
    victim->claims = *claims;
    apr_cpystrn(victim->role, claims->role, sizeof(victim->role));
    apr_cpystrn(victim->session, claims->session ? claims->session : "", sizeof(victim->session));
    if (claims->property_count) {
        memcpy(victim->properties, claims->properties,
               (apr_size_t)claims->property_count * sizeof(victim->properties[0]));
    }
    apr_thread_mutex_unlock(lock);
}
