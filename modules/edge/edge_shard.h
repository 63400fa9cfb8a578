/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_shard.h
 * @brief One shard of edge_store: its index, its lists, its blocks
 *
 * Pure. Everything here runs under the shard's lock, which is the store's business. Layout and
 * rules: edge_store.h. What was never used since the shard was emptied is in no list, but behind a
 * mark (fresh_*), so that emptying writes two arrays of buckets and nothing else.
 */
#ifndef EDGE_SHARD_H
#define EDGE_SHARD_H

#include "edge_store.h"

/** The two lists that a slot is in, oldest first. */
enum { EDGE_IN_SHARD, EDGE_IN_OWNER, EDGE_LISTS };

typedef struct edge_list {
    apr_uint32_t first, last;
} edge_list;

typedef struct edge_slot {
    unsigned char key[EDGE_STORE_KEY];
    edge_entry entry;
    apr_uint32_t hash;
    apr_uint32_t owner;
    apr_uint32_t first, count; /* blocks */
    apr_uint32_t chain;        /* next in its bucket, or of the free ones */
    apr_uint32_t was_used;     /* since it was last looked at by who wanted room */
    struct {
        apr_uint32_t prev, next;
    } link[EDGE_LISTS];
} edge_slot;

typedef struct edge_owner {
    apr_uint64_t id;
    apr_uint32_t chain;  /* next in its bucket, or of the free ones */
    apr_uint32_t blocks; /* that its entries hold */
    edge_list entries;
    apr_uint32_t is_hog; /* it holds more than its share, and is among the shard's hogs */
    apr_uint32_t unused;
} edge_owner;

typedef struct edge_shard {
    unsigned char seed[APR_SIPHASH_KSIZE];
    apr_uint64_t version;  /* the last one that was given; emptying does not turn it back */
    apr_uint64_t next_at, slots_at, owners_at, blocks_at; /* offsets from here */
    apr_uint32_t slots, blocks, buckets;
    apr_uint32_t used_slots, used_blocks;
    apr_uint32_t free_slot, free_owner, free_block;       /* chains */
    apr_uint32_t fresh_slot, fresh_owner, fresh_block;    /* how many were ever used */
    apr_uint32_t hogs, hog[EDGE_STORE_SHARE];
    edge_list order;
    apr_uint32_t bucket[];                                /* those of slots, then those of owners */
} edge_shard;

/** @param bytes  of the shard, all of which are used for a shard of as many blocks as fit */
apr_uint32_t edge_shard_blocks(apr_size_t bytes);

/** In zeroed memory. */
void edge_shard_init(edge_shard *shard, apr_uint32_t blocks,
                     const unsigned char seed[APR_SIPHASH_KSIZE]);

/** Whatever state a holder that died has left it in. */
void edge_shard_empty(edge_shard *shard);

/** @param hash  the key's */
edge_slot *edge_shard_find(edge_shard *shard, apr_uint32_t hash, const unsigned char *key);

/** Its first bytes. */
void edge_shard_copy(const edge_shard *shard, const edge_slot *slot, char *out, apr_size_t len);

void edge_shard_drop(edge_shard *shard, edge_slot *slot);

/**
 * @param entry  its len is that of the parts together, and fits into the shard
 * @return how many entries had to go before their time
 */
unsigned edge_shard_put(edge_shard *shard, apr_uint32_t hash, const unsigned char *key,
                        const edge_entry *entry, const struct iovec *parts, int n, apr_time_t now);

/** Whether lists, chains and sums agree. */
int edge_shard_is_whole(const edge_shard *shard);

#endif /* EDGE_SHARD_H */
