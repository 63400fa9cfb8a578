/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table of tabs, see rt_tabs.h. */
#include "rt_tabs.h"

#include "og_hooks.h"

#define WAYS 8

typedef struct entry {
    apr_uint64_t key;
    apr_uint64_t ticket; /* 0: free. Whoever dies between two stores leaves it free */
} entry;

struct rt_tabs {
    apr_uint64_t buckets;
    apr_uint64_t drawn;
    entry entries[];
};

apr_size_t rt_tabs_bytes(apr_uint32_t buckets)
{
    return sizeof(rt_tabs) + (apr_size_t)buckets * WAYS * sizeof(entry);
}

rt_tabs *rt_tabs_init(void *block, apr_uint32_t buckets)
{
    rt_tabs *tabs = block;

    tabs->buckets = buckets;
    return tabs;
}

apr_uint64_t rt_tabs_draw(rt_tabs *tabs)
{
    return ++tabs->drawn;
}

/* The key's entry, or NULL; *victim then is a free one of its bucket, or the oldest */
static entry *find(rt_tabs *tabs, apr_uint64_t key, entry **victim)
{
    entry *at = tabs->entries + key % tabs->buckets * WAYS, *end = at + WAYS;

    for (*victim = at; at < end; at++) {
        if (at->ticket && at->key == key) {
            return at;
        }
        if (at->ticket < (*victim)->ticket) {
            *victim = at;
        }
    }
    return NULL;
}

/* In this order, whatever the compiler would like better */
static void set_ticket(entry *at, apr_uint64_t ticket)
{
    __atomic_store_n(&at->ticket, ticket, __ATOMIC_SEQ_CST);
    og_hooks_crash_point();
}

rt_tabs_verdict rt_tabs_look(rt_tabs *tabs, apr_uint64_t key, apr_uint64_t ticket, int stays)
{
    entry *victim, *known = find(tabs, key, &victim);

    if (known) {
        if (known->ticket > ticket) {
            return RT_TABS_REPLACED;
        }
        if (known->ticket < ticket) {
            set_ticket(known, ticket);
            return RT_TABS_REPLACES;
        }
    }
    else if (stays) {
        set_ticket(victim, 0);
        victim->key = key;
        og_hooks_crash_point();
        set_ticket(victim, ticket);
    }
    return RT_TABS_NEWEST;
}

void rt_tabs_leave(rt_tabs *tabs, apr_uint64_t key, apr_uint64_t ticket)
{
    entry *unused, *known = find(tabs, key, &unused);

    if (known && known->ticket == ticket) {
        set_ticket(known, 0);
    }
}
