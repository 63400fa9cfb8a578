/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The verified-claims cache, see tenant_cache.h. Sets of four slots; a set is chosen by a keyed hash
 * of the token's end, its signature, which no two tokens of an issuer share, so that nobody can tell
 * which tokens share a set. Only who knows that end gets as far as a comparison with the whole: its
 * time tells nobody anything of a token that he does not have. Slots hold copies, no pointers into
 * any request. Each stripe's lock covers the sets of its number and is held for a copy's time. */
#include "tenant_cache.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "og_mac.h"

#define WAYS    4
#define SETS    (TENANT_CACHE_SLOTS / WAYS)
#define STRIPES 16

/* Characters of a token's end: of its signature, enough that no two tokens have the same */
#define END 24

typedef struct {
    tenant_claims claims;           /* its pointers are not used; expires 0: free slot */
    char role[TENANT_ROLE_MAX + 1];
    char session[TENANT_SESSION_MAX + 1];
    apr_int64_t properties[TENANT_CACHE_PROPERTIES_MAX];
} caller;

typedef struct {
    apr_uint64_t hash;
    apr_time_t used;                /* last time it was put or got */
    apr_uint64_t against[TENANT_CACHE_AGAINST];
    apr_size_t len;                 /* of the token */
    caller who;
    char proof[TENANT_CACHE_TOKEN_MAX];
} slot;

struct tenant_cache {
    apr_thread_mutex_t *locks[STRIPES];
    unsigned char seed[APR_SIPHASH_KSIZE];
    slot *slots;                    /* a slot: under the lock of its set's stripe */
};

/* Where to look for a token, and what has to stand there. */
typedef struct {
    apr_uint64_t hash;
    const char *proof;              /* the token, or its digest */
    apr_size_t len;
    unsigned char digest[OG_SHA256_LEN];
} search;

static apr_status_t release(void *slots)
{
    free(slots);
    return APR_SUCCESS;
}

tenant_cache *tenant_cache_make(apr_pool_t *p, const unsigned char seed[APR_SIPHASH_KSIZE])
{
    tenant_cache *cache = apr_pcalloc(p, sizeof(*cache));
    int i;

    memcpy(cache->seed, seed, APR_SIPHASH_KSIZE);
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

/* One word for all settings, which are nobody's to choose: the same token, held against others, is
 * to be found in another set. */
static apr_uint64_t fold(const apr_uint64_t against[TENANT_CACHE_AGAINST])
{
    apr_uint64_t word = 0;
    int i;

    for (i = 0; i < TENANT_CACHE_AGAINST; i++) {
        word = (word << 7 | word >> 57) ^ against[i];
    }
    return word;
}

/* @return 0 when OpenSSL fails */
static int prepare(search *for_it, const tenant_cache *cache, const tenant_cache_key *key)
{
    apr_size_t end = key->len < END ? key->len : END;
    struct {
        apr_uint64_t against;
        char end[END];
    } place = { fold(key->against), { 0 } };

    memcpy(place.end, key->token + key->len - end, end);
    for_it->hash = apr_siphash24(&place, sizeof(place), cache->seed);
    for_it->proof = key->token;
    for_it->len = key->len;
    if (key->len > TENANT_CACHE_TOKEN_MAX) {
        for_it->proof = (const char *)for_it->digest;
        for_it->len = sizeof(for_it->digest);
        return og_sha256(for_it->digest, key->token, key->len);
    }
    return 1;
}

static slot *set_of(const tenant_cache *cache, const search *for_it)
{
    return &cache->slots[for_it->hash % SETS * WAYS];
}

static apr_thread_mutex_t *lock_of(const tenant_cache *cache, const search *for_it)
{
    return cache->locks[for_it->hash % SETS % STRIPES];
}

static int is_for(const slot *s, const search *for_it, const tenant_cache_key *key)
{
    return s->hash == for_it->hash && s->len == key->len
           && !memcmp(s->against, key->against, sizeof(s->against))
           && !memcmp(s->proof, for_it->proof, for_it->len);
}

/* What is behind the properties is not copied. */
static apr_size_t size_of(const caller *who)
{
    return offsetof(caller, properties)
           + (apr_size_t)who->claims.property_count * sizeof(who->properties[0]);
}

int tenant_cache_get(tenant_cache *cache, const tenant_cache_key *key, apr_time_t now,
                     tenant_claims *claims, apr_pool_t *p)
{
    apr_thread_mutex_t *lock;
    int way, found = 0;
    search for_it;
    caller copy;
    slot *set;

    if (!prepare(&for_it, cache, key)) {
        return 0;
    }
    set = set_of(cache, &for_it);
    lock = lock_of(cache, &for_it);
    apr_thread_mutex_lock(lock);
    for (way = 0; way < WAYS && !found; way++) {
        if (set[way].who.claims.expires > now && is_for(&set[way], &for_it, key)) {
            set[way].used = now;
            memcpy(&copy, &set[way].who, size_of(&set[way].who));
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

static void fill(slot *s, const search *for_it, const tenant_cache_key *key, apr_time_t now,
                 const tenant_claims *claims)
{
    memset(s, 0, sizeof(*s));
    s->hash = for_it->hash;
    s->used = now;
    memcpy(s->against, key->against, sizeof(s->against));
    s->len = key->len;
    memcpy(s->proof, for_it->proof, for_it->len);
    s->who.claims = *claims;
    apr_cpystrn(s->who.role, claims->role, sizeof(s->who.role));
    apr_cpystrn(s->who.session, claims->session ? claims->session : "", sizeof(s->who.session));
    if (claims->property_count) {
        memcpy(s->who.properties, claims->properties,
               (apr_size_t)claims->property_count * sizeof(s->who.properties[0]));
    }
}

void tenant_cache_put(tenant_cache *cache, const tenant_cache_key *key, apr_time_t now,
                      const tenant_claims *claims)
{
    apr_thread_mutex_t *lock;
    search for_it;
    slot *set, *victim;
    int way;

    if (claims->property_count > TENANT_CACHE_PROPERTIES_MAX || !prepare(&for_it, cache, key)) {
        return;
    }
    set = victim = set_of(cache, &for_it);
    lock = lock_of(cache, &for_it);
    apr_thread_mutex_lock(lock);
    for (way = 0; way < WAYS; way++) {
        /* two threads may verify one token at a time: the second finds the first's entry */
        if (set[way].who.claims.expires <= now || is_for(&set[way], &for_it, key)) {
            victim = &set[way];
            break;
        }
        if (set[way].used < victim->used) {
            victim = &set[way];
        }
    }
    fill(victim, &for_it, key, now, claims);
    apr_thread_mutex_unlock(lock);
}
