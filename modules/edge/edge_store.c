/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Shards and their locks, see edge_store.h. */
#include "edge_store.h"

#include "edge_shard.h"
#include "og_hooks.h"
#include "og_lock.h"

#include <errno.h>
#include <string.h>

/* A shard holds as many of the largest entries at least */
#define LARGEST_PER_SHARD 4

struct edge_store {
    apr_uint64_t shards_at, shard_size; /* bytes */
    apr_uint32_t shards, largest;       /* largest: blocks */
    unsigned char seed[APR_SIPHASH_KSIZE];
    edge_store_counts counts;
};

/* What is known of a key: its shard, locked, and its hash there */
typedef struct place {
    pthread_mutex_t *lock;
    edge_shard *shard;
    apr_uint32_t hash;
} place;

#define LOCK_SIZE 64

static char *shard_of(const edge_store *store, apr_uint32_t number)
{
    return (char *)store + store->shards_at + (apr_size_t)number * store->shard_size;
}

/* Large entries make shards fewer. */
static apr_uint32_t shards_for(apr_size_t bytes, apr_size_t largest)
{
    apr_uint32_t shards = EDGE_STORE_SHARDS;
    apr_size_t least = (LARGEST_PER_SHARD + 1) * largest; /* the one is for what is no block */

    if (least < EDGE_STORE_BYTES_MIN / 2) {
        least = EDGE_STORE_BYTES_MIN / 2;
    }
    while (shards > 1 && bytes / shards < least) {
        shards /= 2;
    }
    return shards;
}

edge_store *edge_store_init(void *block, apr_size_t bytes, apr_size_t largest,
                            const unsigned char seed[APR_SIPHASH_KSIZE])
{
    edge_store *store = block;
    apr_size_t wanted = largest / EDGE_STORE_BLOCK + 1;
    apr_uint32_t blocks, i;

    store->shards_at = (sizeof(*store) + 63) & ~(apr_size_t)63;
    store->shards = shards_for(bytes, largest);
    store->shard_size = ((bytes - store->shards_at) / store->shards) & ~(apr_uint64_t)63;
    blocks = edge_shard_blocks(store->shard_size - LOCK_SIZE);
    store->largest = wanted < blocks / LARGEST_PER_SHARD ? (apr_uint32_t)wanted
                                                         : blocks / LARGEST_PER_SHARD;
    memcpy(store->seed, seed, APR_SIPHASH_KSIZE);
    for (i = 0; i < store->shards; i++) {
        if (og_lock_init((pthread_mutex_t *)shard_of(store, i)) != 0) {
            return NULL;
        }
        edge_shard_init((edge_shard *)(shard_of(store, i) + LOCK_SIZE), blocks, seed);
    }
    return store;
}

apr_size_t edge_store_largest(const edge_store *store)
{
    return (apr_size_t)store->largest * EDGE_STORE_BLOCK;
}

edge_store_counts *edge_store_counted(edge_store *store)
{
    return &store->counts;
}

static void count(atomic_ullong *what, unsigned n)
{
    atomic_fetch_add_explicit(what, n, memory_order_relaxed);
}

/* @return 1: held */
static int lock_shard(edge_store *store, place *at, apr_uint32_t number,
                      apr_interval_time_t within)
{
    int rc;

    at->lock = (pthread_mutex_t *)shard_of(store, number);
    at->shard = (edge_shard *)(shard_of(store, number) + LOCK_SIZE);
    rc = og_lock_take(at->lock, within);
    if (rc == EOWNERDEAD) {
        edge_shard_empty(at->shard);
        count(&store->counts.emptied, 1);
        rc = og_lock_repaired(at->lock);
    }
    if (rc) {
        count(&store->counts.timeouts, within > 0);
        return 0;
    }
    og_hooks_crash_point();
    return 1;
}

static int lock_key(edge_store *store, place *at, const unsigned char *key)
{
    apr_uint64_t hash = apr_siphash24(key, EDGE_STORE_KEY, store->seed);

    at->hash = (apr_uint32_t)hash;
    return lock_shard(store, at, (apr_uint32_t)((hash >> 32) % store->shards), EDGE_STORE_WAIT);
}

static void unlock(const place *at)
{
    og_hooks_crash_point();
    og_lock_give(at->lock);
}

int edge_store_find(edge_store *store, const unsigned char key[EDGE_STORE_KEY], edge_entry *entry)
{
    edge_slot *slot;
    place at;

    if (!lock_key(store, &at, key)) {
        return 0;
    }
    slot = edge_shard_find(at.shard, at.hash, key);
    if (slot) {
        slot->was_used = 1;
        *entry = slot->entry;
    }
    unlock(&at);
    return slot != NULL;
}

int edge_store_copy(edge_store *store, const unsigned char key[EDGE_STORE_KEY],
                    apr_uint64_t version, void *out, apr_size_t len)
{
    const edge_slot *slot;
    place at;
    int same;

    if (!lock_key(store, &at, key)) {
        return 0;
    }
    slot = edge_shard_find(at.shard, at.hash, key);
    same = slot && slot->entry.version == version && len <= slot->entry.len;
    if (same) {
        edge_shard_copy(at.shard, slot, out, len);
    }
    unlock(&at);
    return same;
}

/* @return 0 when the parts together are too large */
static int measure(const edge_store *store, const struct iovec *parts, int n, apr_uint32_t *len)
{
    apr_size_t sum = 0;
    int i;

    for (i = 0; i < n; i++) {
        if (parts[i].iov_len > edge_store_largest(store) - sum) {
            return 0;
        }
        sum += parts[i].iov_len;
    }
    *len = (apr_uint32_t)sum;
    return 1;
}

int edge_store_put(edge_store *store, const unsigned char key[EDGE_STORE_KEY],
                   const edge_entry *entry, const struct iovec *parts, int n, apr_time_t now)
{
    edge_entry own = *entry;
    unsigned evicted;
    place at;

    if (!measure(store, parts, n, &own.len) || own.head_len > own.len) {
        count(&store->counts.too_large, 1);
        return 0;
    }
    if (!lock_key(store, &at, key)) {
        return 0;
    }
    evicted = edge_shard_put(at.shard, at.hash, key, &own, parts, n, now);
    unlock(&at);
    count(&store->counts.stored, 1);
    count(&store->counts.evicted, evicted);
    return 1;
}

int edge_store_drop(edge_store *store, const unsigned char key[EDGE_STORE_KEY],
                    apr_uint64_t version)
{
    edge_slot *slot;
    place at;
    int same;

    if (!lock_key(store, &at, key)) {
        return 0;
    }
    slot = edge_shard_find(at.shard, at.hash, key);
    same = slot && slot->entry.version == version;
    if (same) {
        edge_shard_drop(at.shard, slot);
    }
    unlock(&at);
    return same;
}

void edge_store_used(edge_store *store, edge_store_use *use)
{
    apr_uint32_t i;
    place at;

    memset(use, 0, sizeof(*use));
    for (i = 0; i < store->shards; i++) {
        if (lock_shard(store, &at, i, 0)) {
            use->entries += at.shard->used_slots;
            use->bytes += (apr_uint64_t)at.shard->used_blocks * EDGE_STORE_BLOCK;
            use->size += (apr_uint64_t)at.shard->blocks * EDGE_STORE_BLOCK;
            unlock(&at);
        }
    }
}

int edge_store_is_whole(edge_store *store)
{
    int whole = 1;
    apr_uint32_t i;
    place at;

    for (i = 0; i < store->shards; i++) {
        if (!lock_shard(store, &at, i, EDGE_STORE_WAIT)) {
            return 0;
        }
        whole = whole && edge_shard_is_whole(at.shard);
        unlock(&at);
    }
    return whole;
}
