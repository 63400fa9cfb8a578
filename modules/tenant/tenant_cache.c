/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The verified-claims cache, see tenant_cache.h. Sets of four slots; a set is chosen by a keyed
 * hash of the token's end, its signature, which no two tokens of an issuer share, so that nobody
 * can tell which tokens share a set. Only who knows that end gets as far as a comparison with the
 * whole: its time tells nobody anything of a token that he does not have. Entries are as long as
 * what they hold: a child with 10,000 parked polls has as many callers. Each stripe's lock covers
 * the sets of its number and is held for a copy's time. */
#include "tenant_cache.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "og_mac.h"

#define WAYS    TENANT_CACHE_WAYS
#define STRIPES 16

/* Characters of a token's end: of its signature, enough that no two tokens have the same */
#define END 24

/* Bytes of what claims point to, at most: properties first, then role and, if there is
 * one, session */
#define ROOM_MAX                                                                                   \
    (TENANT_CACHE_PROPERTIES_MAX * sizeof(apr_int64_t) + TENANT_ROLE_MAX + 1 + TENANT_SESSION_MAX  \
     + 1)

/* One token's caller. */
typedef struct {
    apr_time_t used;      /* last time it was put or got */
    apr_uint64_t against[TENANT_CACHE_AGAINST];
    tenant_claims claims; /* its pointers are not used, but for session: NULL or not */
    apr_size_t len;       /* of the token */
    apr_size_t size;      /* of what claims point to, in room; the token's proof is behind it */
    apr_int64_t room[];
} entry;

typedef struct {
    apr_uint64_t hash;
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
    const tenant_cache_key *key;
    apr_uint64_t hash;
    const char *proof; /* the token, or its digest */
    apr_size_t proof_len;
    unsigned char digest[OG_SHA256_LEN];
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
    apr_size_t end = key->len < END ? key->len : END, set;
    struct {
        apr_uint64_t against;
        char end[END];
    } place = { fold(key->against), { 0 } };

    memcpy(place.end, key->token + key->len - end, end);
    for_it->key = key;
    for_it->hash = apr_siphash24(&place, sizeof(place), cache->seed);
    set = for_it->hash % cache->sets;
    for_it->set = &cache->slots[set * WAYS];
    for_it->lock = cache->locks[set % STRIPES];
    for_it->proof = key->token;
    for_it->proof_len = key->len;
    if (key->len > TENANT_CACHE_TOKEN_MAX) {
        for_it->proof = (const char *)for_it->digest;
        for_it->proof_len = sizeof(for_it->digest);
        return og_sha256(for_it->digest, key->token, key->len);
    }
    return 1;
}

static int is_for(const entry *who, const search *for_it)
{
    return who->len == for_it->key->len
           && !memcmp(who->against, for_it->key->against, sizeof(who->against))
           && !memcmp((const char *)who->room + who->size, for_it->proof, for_it->proof_len);
}

/* Under lock: the token's slot, or NULL */
static slot *find(const search *for_it)
{
    slot *set = for_it->set;
    int way;

    for (way = 0; way < WAYS; way++) {
        if (set[way].who && set[way].hash == for_it->hash && is_for(set[way].who, for_it)) {
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
    entry *who = size <= ROOM_MAX ? malloc(sizeof(entry) + size + for_it->proof_len)
                                  : NULL;
    char *room;

    if (!who) {
        return NULL;
    }
    who->used = now;
    memcpy(who->against, for_it->key->against, sizeof(who->against));
    who->len = for_it->key->len;
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
    memcpy(room + size, for_it->proof, for_it->proof_len);
    return who;
}

/* Under lock: the slot of an entry that there is (two threads may verify one token at a time), or
 * is least missed */
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
