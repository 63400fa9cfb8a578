/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_tabs.h
 * @brief Which poll is the newest of its browser tab
 *
 * Pure. Each poll of a tab draws a ticket; the table says of a tab whose poll is parked what the
 * newest ticket is. A poll that finds a newer one than its own is replaced: whichever order the
 * polls look in, the one with the newest ticket stays, and no other.
 *
 * A table in a block of shared memory, called under the owner's lock: buckets of a few entries, no
 * chains, nothing to repair. A full bucket forgets its oldest: that tab's older poll, if there is
 * one, then waits on beside a newer one, until its own end.
 */
#ifndef RT_TABS_H
#define RT_TABS_H

#include <apr.h>

typedef struct rt_tabs rt_tabs;

/** What became of a poll that asked. */
typedef enum {
    RT_TABS_REPLACED, /* a newer one is there */
    RT_TABS_NEWEST,   /* it is the newest, as far as is known the only one */
    RT_TABS_REPLACES  /* it is the newest now, and an older one has to be told */
} rt_tabs_verdict;

/** Bytes of a table of so many buckets. */
apr_size_t rt_tabs_bytes(apr_uint32_t buckets);

/** Make an empty table in a block of zeros. */
rt_tabs *rt_tabs_init(void *block, apr_uint32_t buckets);

/** A ticket newer than all before. */
apr_uint64_t rt_tabs_draw(rt_tabs *tabs);

/** A poll with this ticket looks; stays: it is to be found by newer ones. key is a hash of
 * the tab. */
rt_tabs_verdict rt_tabs_look(rt_tabs *tabs, apr_uint64_t key, apr_uint64_t ticket, int stays);

/** It waits no more. */
void rt_tabs_leave(rt_tabs *tabs, apr_uint64_t key, apr_uint64_t ticket);

#endif /* RT_TABS_H */
