/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table of who waits, see rt_interest.h. */
#include "rt_interest.h"

#include <string.h>

#define WAYS 8

typedef struct entry {
    apr_uint64_t key;
    apr_uint32_t count; /* of all children; 0: free */
    apr_uint32_t unused;
    apr_uint16_t waiting[RT_CHILDREN];
} entry;

struct rt_interest {
    apr_uint64_t buckets;
    entry entries[];
};

apr_size_t rt_interest_bytes(apr_uint32_t buckets)
{
    return sizeof(rt_interest) + (apr_size_t)buckets * WAYS * sizeof(entry);
}

rt_interest *rt_interest_init(void *block, apr_uint32_t buckets)
{
    rt_interest *table = block;

    table->buckets = buckets;
    return table;
}

static entry *bucket_of(const rt_interest *table, apr_uint64_t key)
{
    return (entry *)table->entries + key % table->buckets * WAYS;
}

static entry *find(const rt_interest *table, apr_uint64_t key)
{
    entry *at = bucket_of(table, key), *end = at + WAYS;

    while (at < end && !(at->count && at->key == key)) {
        at++;
    }
    return at < end ? at : NULL;
}

int rt_interest_join(rt_interest *table, apr_uint64_t key, int child)
{
    entry *at = find(table, key), *end;

    if (!at) {
        at = bucket_of(table, key);
        end = at + WAYS;
        while (at < end && at->count) {
            at++;
        }
        if (at == end) {
            return 0;
        }
        memset(at, 0, sizeof(*at));
        at->key = key;
    }
    if (at->waiting[child] == UINT16_MAX) {
        return 0;
    }
    at->waiting[child]++;
    at->count++;
    return 1;
}

void rt_interest_leave(rt_interest *table, apr_uint64_t key, int child)
{
    entry *at = find(table, key);

    if (at && at->waiting[child]) {
        at->waiting[child]--;
        at->count--;
    }
}

apr_uint32_t rt_interest_count(const rt_interest *table, apr_uint64_t key)
{
    const entry *at = find(table, key);

    return at ? at->count : 0;
}

apr_uint32_t rt_interest_children(const rt_interest *table, apr_uint64_t key)
{
    const entry *at = find(table, key);
    apr_uint32_t children = 0;
    int i;

    for (i = 0; at && i < RT_CHILDREN; i++) {
        children |= (apr_uint32_t)(at->waiting[i] != 0) << i;
    }
    return children;
}

/* Counts are made anew, so that a child that died between two of them leaves nothing behind. */
void rt_interest_forget(rt_interest *table, int child)
{
    apr_uint64_t i;
    int other;

    for (i = 0; i < table->buckets * WAYS; i++) {
        entry *at = &table->entries[i];

        at->waiting[child] = 0;
        at->count = 0;
        for (other = 0; other < RT_CHILDREN; other++) {
            at->count += at->waiting[other];
        }
    }
}
