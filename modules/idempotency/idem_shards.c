/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Shards of tables, see idem_shards.h. */
#include "idem_shards.h"

#include <errno.h>

#include "og_lock.h"

void idem_shards_plan(idem_shards *shards, apr_int64_t memory)
{
    apr_size_t each = (apr_size_t)memory / IDEM_SHARDS, none = idem_table_bytes(0, 0);

    shards->slots = each / 6 / (idem_table_bytes(1, 0) - none);
    shards->blocks = (each - each / 6) / (idem_table_bytes(0, 1) - none);
    shards->table_at = idem_shards_aligned(sizeof(pthread_mutex_t));
    shards->size =
        idem_shards_aligned(shards->table_at + idem_table_bytes(shards->slots, shards->blocks));
}

apr_size_t idem_shards_bytes(const idem_shards *shards)
{
    return IDEM_SHARDS * shards->size;
}

static pthread_mutex_t *lock_of(const idem_shards *shards, int shard)
{
    return (pthread_mutex_t *)(shards->at + (apr_size_t)shard * shards->size);
}

static idem_table *table_of(const idem_shards *shards, int shard)
{
    return (idem_table *)((char *)lock_of(shards, shard) + shards->table_at);
}

int idem_shards_make(const idem_shards *shards)
{
    int i;

    for (i = 0; i < IDEM_SHARDS; i++) {
        if (og_lock_init(lock_of(shards, i)) != 0) {
            return 0;
        }
        idem_table_init(table_of(shards, i), shards->slots, shards->blocks);
    }
    return 1;
}

/* By its last byte: its first ones choose the bucket. */
int idem_shards_of(const unsigned char id[IDEM_TABLE_ID])
{
    return id[IDEM_TABLE_ID - 1] % IDEM_SHARDS;
}

apr_status_t idem_shards_take(const idem_shards *shards, int shard, apr_interval_time_t within,
                              idem_table **table)
{
    int rc = og_lock_take(lock_of(shards, shard), within);

    *table = table_of(shards, shard);
    if (rc == EOWNERDEAD) {
        idem_table_repair(*table);
        rc = og_lock_repaired(lock_of(shards, shard));
    }
    return rc == 0 ? APR_SUCCESS : APR_FROM_OS_ERROR(rc);
}

void idem_shards_give(const idem_shards *shards, int shard)
{
    og_lock_give(lock_of(shards, shard));
}
