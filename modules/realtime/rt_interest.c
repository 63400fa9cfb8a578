/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table of who waits, see rt_interest.h. */
#include "rt_interest.h"

#include <string.h>

#include "og_hooks.h"

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

apr_uint32_t rt_interest_buckets(apr_uint64_t keys)
{
    return (apr_uint32_t)(keys * 2 / WAYS) + 1;
}

/* One of a key's two buckets: their numbers are of different bits of it */
static entry *bucket_of(const rt_interest *table, apr_uint64_t key, int which)
{
    return (entry *)table->entries + (which ? key >> 32 : key) % table->buckets * WAYS;
}

static entry *find(const rt_interest *table, apr_uint64_t key)
{
    int which, i;

    for (which = 0; which < 2; which++) {
        entry *at = bucket_of(table, key, which);

        for (i = 0; i < WAYS; i++) {
            if (at[i].count && at[i].key == key) {
                return &at[i];
            }
        }
    }
    return NULL;
}

/* A free entry of the emptier bucket, or NULL */
static entry *find_free(const rt_interest *table, apr_uint64_t key)
{
    entry *best = NULL;
    int which, i, most = 0;

    for (which = 0; which < 2; which++) {
        entry *at = bucket_of(table, key, which), *one = NULL;
        int n = 0;

        for (i = 0; i < WAYS; i++) {
            n += !at[i].count;
            one = at[i].count ? one : &at[i];
        }
        if (n > most) {
            most = n;
            best = one;
        }
    }
    return best;
}

int rt_interest_join(rt_interest *table, apr_uint64_t key, int child)
{
    entry *at = find(table, key);

    if (!at) {
        at = find_free(table, key);
        if (!at) {
            return 0;
        }
        memset(at, 0, sizeof(*at));
        og_hooks_crash_point();
        at->key = key;
    }
    if (at->waiting[child] == UINT16_MAX) {
        return 0;
    }
    og_hooks_crash_point();
    at->waiting[child]++;
    og_hooks_crash_point();
    at->count++;
    og_hooks_crash_point();
    return 1;
}

void rt_interest_leave(rt_interest *table, apr_uint64_t key, int child)
{
    entry *at = find(table, key);

    if (at && at->waiting[child]) {
        at->waiting[child]--;
        og_hooks_crash_point();
        at->count--;
        og_hooks_crash_point();
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

/* From the children's counts, so that one that died between two stores leaves nothing behind. */
static void add_up(entry *at)
{
    apr_uint32_t count = 0;
    int child;

    for (child = 0; child < RT_CHILDREN; child++) {
        count += at->waiting[child];
    }
    if (at->count != count) { /* a page that nobody wrote to stays nobody's */
        og_hooks_crash_point();
        at->count = count;
        og_hooks_crash_point();
    }
}

void rt_interest_forget(rt_interest *table, int child)
{
    apr_uint64_t i;

    for (i = 0; i < table->buckets * WAYS; i++) {
        if (table->entries[i].waiting[child]) {
            table->entries[i].waiting[child] = 0;
        }
        add_up(&table->entries[i]);
    }
}

void rt_interest_recount(rt_interest *table, int child, apr_uint16_t (*waiting)(apr_uint64_t key))
{
    apr_uint64_t i;

    for (i = 0; i < table->buckets * WAYS; i++) {
        entry *at = &table->entries[i];

        if (at->waiting[child]) {
            at->waiting[child] = waiting(at->key);
            add_up(at);
        }
    }
}
