/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  quota_table.h
 * @brief Buckets by key in memory that is given, of a fixed size
 *
 * Pure; its caller holds the lock. A slot is a key and the time at which its bucket is full again;
 * a bucket that is full is the same as none, so its slot is free for another key. A bucket in debt
 * is never evicted: where all slots of a key's neighbourhood are, the key shares one of a few
 * buckets for those who came too late. Layout, for shared memory:
 *
 *     quota_table | quota_slot[slots]
 *
 * A process may die between any two writes: a slot's key is written while the slot is free.
 */
#ifndef QUOTA_TABLE_H
#define QUOTA_TABLE_H

#include <apr.h>

#define QUOTA_TABLE_SHARED 16

typedef struct quota_slot {
    apr_uint64_t key;
    apr_int64_t full_at; /**< nanoseconds; free before now */
} quota_slot;

typedef struct quota_table {
    apr_uint32_t slots;
    apr_uint32_t unused;
    apr_int64_t shared[QUOTA_TABLE_SHARED]; /**< full_at of the buckets that keys share */
    quota_slot slot[];
} quota_table;

apr_size_t quota_table_bytes(apr_uint32_t slots);

/** In zeroed memory. @param slots  1 or more */
void quota_table_init(quota_table *table, apr_uint32_t slots);

/**
 * The bucket of a key; one that was not there is made, full at now. It keeps its slot for the rest
 * of this now.
 * @param policy  which of the shared ones, when there is no slot
 * @param is_shared  set: no slot was to be had
 * @return where its full_at stands
 */
apr_int64_t *quota_table_bucket(quota_table *table, apr_uint64_t key, apr_uint64_t policy,
                                apr_int64_t now, int *is_shared);

#endif /* QUOTA_TABLE_H */
