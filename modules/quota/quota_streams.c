/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Streams by key and child, see quota_streams.h. */
#include "quota_streams.h"

#include "og_hooks.h"

/* Besides one for each child, counters that a key may look at */
#define NEIGHBOURS 32

apr_size_t quota_streams_bytes(apr_uint32_t counters, apr_uint32_t children)
{
    return sizeof(quota_streams)
           + ((apr_size_t)QUOTA_STREAMS_SHARED * children + counters) * sizeof(quota_counter);
}

void quota_streams_init(quota_streams *streams, apr_uint32_t counters, apr_uint32_t children)
{
    streams->counters = counters;
    streams->children = children;
}

/* A key's counter in a child, or one that is free for it; and how many streams it has in all. */
static quota_counter *find(quota_streams *streams, apr_uint64_t key, apr_uint32_t child,
                           apr_uint64_t *sum)
{
    quota_counter *own = streams->counter + QUOTA_STREAMS_SHARED * streams->children;
    apr_uint32_t near = NEIGHBOURS + streams->children, i;
    apr_uint32_t first = (apr_uint32_t)((key >> 32) % streams->counters);
    quota_counter *mine = NULL, *free_one = NULL;

    near = near < streams->counters ? near : streams->counters;
    *sum = 0;
    for (i = 0; i < near; i++) {
        quota_counter *counter = &own[(first + i) % streams->counters];
        apr_uint32_t count = atomic_load(&counter->count);

        if (count && counter->key == key) {
            *sum += count;
            mine = counter->child == child ? counter : mine;
        }
        if (!count && !free_one) {
            free_one = counter;
        }
    }
    return mine ? mine : free_one;
}

/* The counter of a child among those that keys share, and what all children have there. */
static quota_counter *find_shared(quota_streams *streams, apr_uint64_t policy, apr_uint32_t child,
                                  apr_uint64_t *sum)
{
    quota_counter *row = streams->counter + policy % QUOTA_STREAMS_SHARED * streams->children;
    apr_uint32_t i;

    *sum = 0;
    for (i = 0; i < streams->children; i++) {
        *sum += atomic_load(&row[i].count);
    }
    return &row[child];
}

quota_counter *quota_streams_join(quota_streams *streams, apr_uint64_t key, apr_uint32_t child,
                                  apr_int64_t most, apr_uint64_t policy, int *is_shared)
{
    apr_uint64_t sum;
    quota_counter *counter = find(streams, key, child, &sum);

    *is_shared = !counter;
    if (!counter) {
        counter = find_shared(streams, policy, child, &sum);
    }
    if (sum >= (apr_uint64_t)most) {
        return NULL;
    }
    /* of a free one; one of ours may have become free meanwhile, and is ours all the same */
    counter->key = key;
    counter->child = child;
    og_hooks_crash_point();
    atomic_fetch_add(&counter->count, 1);
    og_hooks_crash_point();
    return counter;
}

void quota_streams_leave(quota_counter *counter)
{
    unsigned int count = atomic_load(&counter->count);

    /* not below 0: of a child that was taken for dead while its last threads ended */
    while (count && !atomic_compare_exchange_weak(&counter->count, &count, count - 1)) {
    }
}

void quota_streams_forget(quota_streams *streams, apr_uint32_t child)
{
    apr_uint32_t all = QUOTA_STREAMS_SHARED * streams->children + streams->counters, i;

    for (i = 0; i < all; i++) {
        if (streams->counter[i].child == child) {
            atomic_store(&streams->counter[i].count, 0);
        }
    }
}
