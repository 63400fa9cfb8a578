/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The verified-claims cache, see tenant_cache.h. Sets of four slots; a set is chosen by a keyed hash
 * of the digest, so that nobody can tell which tokens share one. Entries are as long as what they hold:
 * most callers have a few properties, and a child with 10,000 parked polls has as many callers. Each
 * stripe's lock covers the sets of its number and is held for a copy's time. */
#include "tenant_cache.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "og_mac.h"

#define WAYS    TENANT_CACHE_WAYS
#define STRIPES 16

/* Bytes of what claims point to, at most: properties first, then role and, if there is one, session */
#define ROOM_MAX                                                                                   \
    (TENANT_CACHE_PROPERTIES_MAX * sizeof(apr_int64_t) + TENANT_ROLE_MAX + 1 + TENANT_SESSION_MAX + 1)

/* One token's caller. */
typedef struct {
    unsigned char digest[OG_SHA256_LEN]; /* of the token, and of what it was held against */
    apr_time_t used;                     /* last time it was put or got */
    tenant_claims claims;                /* its pointers are not used, but for session: NULL or not */
    apr_size_t size;                     /* of the room */
    apr_int64_t room[];
} entry;

typedef struct {
    apr_uint64_t hash; /* of the digest */
    entry *who;        /* malloc'ed; NULL: free */
} slot;

struct tenant_cache {
    apr_thread_mutex_t *locks[STRIPES];
    unsigned char seed[APR_SIPHASH_KSIZE];
    apr_size_t sets;
    slot *slots;       /* a slot and its entry: under the lock of its set's stripe */
};

/* Where to look for a token, and what has to stand there. */
typedef struct {
    unsigned char digest[OG_SHA256_LEN];
    apr_uint64_t hash;
    slot *set;
    apr_thread_mutex_t *lock;
} search;

static apr_status_t release(void *data)
{
    tenant_cache *cache = data;
    apr_size_t i;

    for (i = 0; i < cache->sets * WAYS; i++) {
        free(cache->slots[i].who);
    }
    free(cache->slots);
    return APR_SUCCESS;
}

tenant_cache *tenant_cache_make(apr_pool_t *p, const unsigned char seed[APR_SIPHASH_KSIZE],
                                apr_size_t sets)
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
    cache->sets = sets;
    cache->slots = calloc(sets * WAYS, sizeof(slot));
    if (!cache->slots) {
        return NULL;
    }
    apr_pool_cleanup_register(p, cache, release, apr_pool_cleanup_null);
    return cache;
}

/* @return 0 when OpenSSL fails */
static int prepare(search *for_it, const tenant_cache *cache, const tenant_cache_key *key)
{
    apr_size_t set;

    if (!og_sha256_two(for_it->digest, key->against, sizeof(key->against), key->token, key->len)) {
        return 0;
    }
    for_it->hash = apr_siphash24(for_it->digest, sizeof(for_it->digest), cache->seed);
    set = for_it->hash % cache->sets;
    for_it->set = &cache->slots[set * WAYS];
    for_it->lock = cache->locks[set % STRIPES];
    return 1;
}

/* Under lock: the token's slot, or NULL */
static slot *find(const search *for_it)
{
    slot *set = for_it->set;
    int way;

    for (way = 0; way < WAYS; way++) {
        if (set[way].who && set[way].hash == for_it->hash
            && !memcmp(set[way].who->digest, for_it->digest, sizeof(for_it->digest))) {
            return &set[way];
        }
    }
    return NULL;
}

/* Have the claims point into a room that lives as long as they do. */
static void furnish(tenant_claims *claims, const void *room)
{
    claims->properties = room;
    claims->role = (const char *)(claims->properties + claims->property_count);
    if (claims->session) {
        claims->session = claims->role + strlen(claims->role) + 1;
    }
}

int tenant_cache_get(tenant_cache *cache, const tenant_cache_key *key, apr_time_t now,
                     tenant_claims *claims, apr_pool_t *p)
{
    char room[ROOM_MAX];
    apr_size_t size = 0;
    search for_it;
    slot *at;

    if (!prepare(&for_it, cache, key)) {
        return 0;
    }
    apr_thread_mutex_lock(for_it.lock);
    at = find(&for_it);
    if (at && at->who->claims.expires > now) {
        at->who->used = now;
        *claims = at->who->claims;
        size = at->who->size;
        memcpy(room, at->who->room, size);
    }
    apr_thread_mutex_unlock(for_it.lock);
    if (size) {
        furnish(claims, apr_pmemdup(p, room, size));
    }
    return size != 0;
}

/* NULL without memory */
static entry *make(const search *for_it, apr_time_t now, const tenant_claims *claims)
{
    apr_size_t properties = (apr_size_t)claims->property_count * sizeof(claims->properties[0]);
    apr_size_t role = strlen(claims->role) + 1;
    apr_size_t session = claims->session ? strlen(claims->session) + 1 : 0;
    apr_size_t size = properties + role + session;
    entry *who = size <= ROOM_MAX ? malloc(sizeof(entry) + size) : NULL;
    char *room;

    if (!who) {
        return NULL;
    }
    memcpy(who->digest, for_it->digest, sizeof(who->digest));
    who->used = now;
    who->claims = *claims;
    who->size = size;
    room = (char *)who->room;
    if (properties) {
        memcpy(room, claims->properties, properties);
    }
    memcpy(room + properties, claims->role, role);
    if (session) {
        memcpy(room + properties + role, claims->session, session);
    }
    return who;
}

/* Under lock: the slot of an entry that there is (two threads may verify one token at a time), or is
 * least missed */
static slot *choose(const search *for_it, apr_time_t now)
{
    slot *set = for_it->set, *victim = find(for_it);
    int way;

    for (way = 0; way < WAYS && !victim; way++) {
        if (!set[way].who || set[way].who->claims.expires <= now) {
            victim = &set[way];
        }
    }
    if (!victim) {
        victim = set;
        for (way = 1; way < WAYS; way++) {
            victim = set[way].who->used < victim->who->used ? &set[way] : victim;
        }
    }
    return victim;
}

void tenant_cache_put(tenant_cache *cache, const tenant_cache_key *key, apr_time_t now,
                      const tenant_claims *claims)
{
    search for_it;
    entry *who, *before;
    slot *victim;

    if (claims->property_count > TENANT_CACHE_PROPERTIES_MAX || !prepare(&for_it, cache, key)) {
        return;
    }
    who = make(&for_it, now, claims);
    if (!who) {
        return;
    }
    apr_thread_mutex_lock(for_it.lock);
    victim = choose(&for_it, now);
    before = victim->who;
    victim->hash = for_it.hash;
    victim->who = who;
    apr_thread_mutex_unlock(for_it.lock);
    free(before);
}
