/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  idem_shards.h
 * @brief Tables of keys, each behind a lock of its own, in one piece of shared memory
 *
 * Pure. Layout, offsets and numbers only:
 *
 *   IDEM_SHARDS shards, each on a cache line of its own: its lock | idem_table
 *
 * A shard's lock guards its table and nothing else; who inherits it from a dead holder undoes what
 * that left half done. It is held for a few copies of memory, never across I/O or while waiting for
 * another lock.
 */
#ifndef IDEM_SHARDS_H
#define IDEM_SHARDS_H

#include "idem_table.h"

#define IDEM_SHARDS 16

/** Where they are. Not in shared memory: each process may have it mapped elsewhere. */
typedef struct idem_shards {
    char *at;                   /**< the first one; set by who has the memory */
    apr_size_t size, table_at;  /**< of a shard; of the table in it */
    apr_uint64_t slots, blocks; /**< of a table */
} idem_shards;

/** Up to the next cache line. */
static inline apr_size_t idem_shards_aligned(apr_size_t size)
{
    return (size + 63) & ~(apr_size_t)63;
}

/** Sizes for so much memory, all but `at`: a sixth on keys, the rest on answers, so that one of
 * about 1000 bytes fills a key's share. */
void idem_shards_plan(idem_shards *shards, apr_int64_t memory);

/** Bytes of all. */
apr_size_t idem_shards_bytes(const idem_shards *shards);

/** Make locks and tables, once, in zeroed memory. @return 1, or 0 when there are no locks */
int idem_shards_make(const idem_shards *shards);

/** The shard of a key. */
int idem_shards_of(const unsigned char id[IDEM_TABLE_ID]);

/** Its table, whole, under its lock. @return APR_SUCCESS, or why it is not to be had in time */
apr_status_t idem_shards_take(const idem_shards *shards, int shard, apr_interval_time_t within,
                              idem_table **table);

void idem_shards_give(const idem_shards *shards, int shard);

#endif /* IDEM_SHARDS_H */
