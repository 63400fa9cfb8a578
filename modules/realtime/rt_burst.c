/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* How fast an org publishes, see rt_burst.h. */
#include "rt_burst.h"

#define SECOND APR_TIME_C(1000000)

/* Make the second that now is in the running one */
static void roll(rt_burst *burst, apr_time_t now)
{
    apr_time_t past = now - burst->since;

    if (past < 0 || past >= 2 * SECOND) {
        burst->since = now;
        burst->now = burst->before = 0;
    }
    else if (past >= SECOND) {
        burst->since += SECOND;
        burst->before = burst->now;
        burst->now = 0;
    }
}

void rt_burst_count(rt_burst *burst, apr_time_t now)
{
    roll(burst, now);
    burst->now++;
}

apr_uint32_t rt_burst_rate(const rt_burst *burst, apr_time_t now)
{
    rt_burst rolled = *burst;
    apr_uint64_t left;

    roll(&rolled, now);
    left = (apr_uint64_t)(SECOND - (now - rolled.since));
    return rolled.now + (apr_uint32_t)((apr_uint64_t)rolled.before * left / SECOND);
}

rt_burst_range rt_burst_linger(const rt_burst_tiers *tiers, apr_uint32_t rate)
{
    static const rt_burst_range ranges[] = { { 0, 0 }, { 0, 50 }, { 50, 150 }, { 150, 400 } };
    int tier = 0;

    while (tier < RT_BURST_TIERS && rate >= tiers->from[tier]) {
        tier++;
    }
    return ranges[tier];
}
