/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_burst.h
 * @brief How fast an org publishes of late, and how long its polls linger for that (P§21)
 *
 * Pure. A count of two seconds, the last and the running one: what of the last one is more than a
 * second ago is taken off in proportion. Called under the lock of whatever holds it.
 */
#ifndef RT_BURST_H
#define RT_BURST_H

#include <apr_time.h>

#define RT_BURST_TIERS 3

/** Zeroed, nothing was published. */
typedef struct rt_burst {
    apr_time_t since;           /* monotonic: when the running second began */
    apr_uint32_t now, before;   /* events in it, and in the one before */
} rt_burst;

/** Events of a second from which on each tier of linger applies, ascending. */
typedef struct rt_burst_tiers {
    apr_int64_t from[RT_BURST_TIERS];
} rt_burst_tiers;

/** Milliseconds, both included. */
typedef struct rt_burst_range {
    int from, to;
} rt_burst_range;

/** One more event. */
void rt_burst_count(rt_burst *burst, apr_time_t now);

/** Events of the second up to now. */
apr_uint32_t rt_burst_rate(const rt_burst *burst, apr_time_t now);

/** Between which times polls linger: 0 and 0 below the first tier. */
rt_burst_range rt_burst_linger(const rt_burst_tiers *tiers, apr_uint32_t rate);

#endif /* RT_BURST_H */
