/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_store.h
 * @brief Responses by key in one bounded block of shared memory
 *
 * Pure. A key is 16 bytes that stand for a text; what is kept is opaque. Layout, numbers and
 * offsets only:
 *
 *     edge_store | shard 0 | shard 1 | …
 *     a shard: head with its lock | buckets | owners' buckets | next[blocks] | slots | owners
 *              | blocks
 *
 * Slots, owners and blocks are counted from 1, 0 is none. An entry is a slot and a chain of blocks
 * of EDGE_STORE_BLOCK bytes; there is a slot, and an owner, for every four blocks. A key's shard
 * and bucket are chosen by a keyed hash of it, so that no client can choose texts whose keys
 * meet (B35).
 *
 * A shard's robust lock guards all of it, is waited for at most EDGE_STORE_WAIT, and is held for
 * one entry's bytes being copied: never for an allocation, never for I/O. Whoever takes it behind a
 * holder that died empties the shard: this is a cache, and half an entry would be worse than none.
 *
 * Fairness: an entry has an owner, its organisation. When a shard is full, an owner that holds more
 * than an EDGE_STORE_SHARE-th of its blocks, or would with what is to be stored, gives up its own
 * entries first (the largest such owner, where there are more). Otherwise anybody's may go. Among
 * those that may, the oldest goes that was not used since it was last looked at (second chance).
 */
#ifndef EDGE_STORE_H
#define EDGE_STORE_H

#include <apr_siphash.h>
#include <apr_time.h>
#include <stdatomic.h>
#include <sys/uio.h>

#define EDGE_STORE_KEY    16
#define EDGE_STORE_BLOCK  1024
#define EDGE_STORE_SHARDS 64
#define EDGE_STORE_SHARE  8
#define EDGE_STORE_WAIT   apr_time_from_msec(20)

/** What is known of an entry besides its bytes. */
typedef struct edge_entry {
    apr_uint64_t owner;
    apr_uint64_t epoch;
    apr_uint64_t version;  /**< of this entry, no other ever has it; set by the store */
    apr_time_t stored;     /**< monotonic */
    apr_time_t until;      /**< monotonic: nobody wants it from then on */
    apr_uint32_t kind;     /**< the caller's */
    apr_uint32_t head_len; /**< bytes that the caller calls its head, the first ones */
    apr_uint32_t len;      /**< all bytes, the head included */
    apr_uint32_t unused;
} edge_entry;

/** What happened since the store was made. */
typedef struct edge_store_counts {
    atomic_ullong stored;
    atomic_ullong evicted;   /**< before their time, for others */
    atomic_ullong too_large; /**< not stored */
    atomic_ullong timeouts;  /**< a lock was not to be had */
    atomic_ullong emptied;   /**< shards, behind a holder that died */
} edge_store_counts;

typedef struct edge_store edge_store;

/** The fewest bytes that edge_store_init() takes. */
#define EDGE_STORE_BYTES_MIN ((apr_size_t)1 << 18)

/**
 * Make an empty store in a block (64-byte aligned, zeroed).
 * @param bytes  of the block, EDGE_STORE_BYTES_MIN at least
 * @param largest  bytes of the largest entry; a quarter of a shard is the most, so that large ones
 *                 make shards fewer
 * @return NULL when a lock can't be made
 */
edge_store *edge_store_init(void *block, apr_size_t bytes, apr_size_t largest,
                            const unsigned char seed[APR_SIPHASH_KSIZE]);

/** Bytes of the largest entry that is taken. */
apr_size_t edge_store_largest(const edge_store *store);

edge_store_counts *edge_store_counted(edge_store *store);

/** @return 1 and *entry; 0: there is none, or its lock was not to be had */
int edge_store_find(edge_store *store, const unsigned char key[EDGE_STORE_KEY], edge_entry *entry);

/**
 * Copy the first bytes of an entry that was found.
 * @return 0 when that version of it is gone, or its lock was not to be had
 */
int edge_store_copy(edge_store *store, const unsigned char key[EDGE_STORE_KEY],
                    apr_uint64_t version, void *out, apr_size_t len);

/**
 * Keep an entry, in place of the one there was under the key.
 * @param entry  version and len are not looked at
 * @param parts  its bytes
 * @param now  monotonic
 * @return 1; 0: it is too large, or the lock was not to be had
 */
int edge_store_put(edge_store *store, const unsigned char key[EDGE_STORE_KEY],
                   const edge_entry *entry, const struct iovec *parts, int n, apr_time_t now);

/** Drop an entry that was found. @return 0 when that version of it is gone already, or its lock was
 * not to be had */
int edge_store_drop(edge_store *store, const unsigned char key[EDGE_STORE_KEY],
                    apr_uint64_t version);

/** What is in a store now. */
typedef struct edge_store_use {
    apr_uint64_t entries;
    apr_uint64_t bytes; /**< of blocks that are used */
    apr_uint64_t size;  /**< of all blocks */
} edge_store_use;

/** Sum up; a shard whose lock is not to be had at once is left out. */
void edge_store_used(edge_store *store, edge_store_use *use);

/** Whether a shard's lists, chains and sums agree with each other: for tests. */
int edge_store_is_whole(edge_store *store);

#endif /* EDGE_STORE_H */
