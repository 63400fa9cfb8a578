/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Buckets by key, see quota_table.h. */
#include "quota_table.h"

#include "og_hooks.h"

/* Slots that a key may have: eight lines of the processor's cache, whatever keys are sent (B35) */
#define NEIGHBOURS 32

apr_size_t quota_table_bytes(apr_uint32_t slots)
{
    return sizeof(quota_table) + slots * sizeof(quota_slot);
}

void quota_table_init(quota_table *table, apr_uint32_t slots)
{
    table->slots = slots;
}

apr_int64_t *quota_table_bucket(quota_table *table, apr_uint64_t key, apr_uint64_t policy,
                                apr_int64_t now, int *is_shared)
{
    apr_uint32_t near = table->slots < NEIGHBOURS ? table->slots : NEIGHBOURS, i;
    apr_uint32_t first = (apr_uint32_t)((key >> 32) % table->slots);
    quota_slot *free_one = NULL;
    apr_int64_t *shared = &table->shared[policy % QUOTA_TABLE_SHARED];

    *is_shared = 0;
    for (i = 0; i < near; i++) {
        quota_slot *slot = &table->slot[(first + i) % table->slots];

        if (slot->key == key && slot->full_at) {
            slot->full_at = slot->full_at < now ? now : slot->full_at;
            return &slot->full_at;
        }
        if (!free_one && slot->full_at < now) {
            free_one = slot;
        }
    }
    if (!free_one) {
        *is_shared = 1;
        return shared;
    }
    free_one->key = key;
    og_hooks_crash_point();
    free_one->full_at = now;
    return &free_one->full_at;
}
