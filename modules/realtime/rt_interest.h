/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_interest.h
 * @brief Which children have polls waiting for which org: whom a publisher has to ring
 *
 * Pure. A table in a block of shared memory, called under the owner's lock: buckets of a few
 * entries, no chains, nothing to repair. A key is a keyed hash of domain and org; two orgs that
 * share one are woken together, and each reads its own events. An entry without waiting polls is
 * free. A key may stand in either of two buckets, and is put into the emptier one: a table of
 * rt_interest_buckets() has room for as many keys as it was made for, as good as always. Where both
 * are full of others, a poll can't wait and is paced instead.
 */
#ifndef RT_INTEREST_H
#define RT_INTEREST_H

#include <apr.h>

/** Children that can have polls waiting at a time, those of the last generation included. */
#define RT_CHILDREN 32

typedef struct rt_interest rt_interest;

/** Buckets of a table for so many keys: twice the room, since chance does not fill
 * buckets evenly. */
apr_uint32_t rt_interest_buckets(apr_uint64_t keys);

/** Bytes of a table of so many buckets. */
apr_size_t rt_interest_bytes(apr_uint32_t buckets);

/** Make an empty table in a block of zeros. */
rt_interest *rt_interest_init(void *block, apr_uint32_t buckets);

/** One more poll of a child waits. @return 1, or 0 when there is no room */
int rt_interest_join(rt_interest *table, apr_uint64_t key, int child);

/** One less. */
void rt_interest_leave(rt_interest *table, apr_uint64_t key, int child);

/** Polls that wait for a key, in all children. */
apr_uint32_t rt_interest_count(const rt_interest *table, apr_uint64_t key);

/** A bit for each child with polls that wait for a key. */
apr_uint32_t rt_interest_children(const rt_interest *table, apr_uint64_t key);

/** A child is gone, and its polls with it. */
void rt_interest_forget(rt_interest *table, int child);

/** Set what a child has waiting to what it counts itself; keys with none are not asked for. */
void rt_interest_recount(rt_interest *table, int child, apr_uint16_t (*waiting)(apr_uint64_t key));

#endif /* RT_INTEREST_H */
