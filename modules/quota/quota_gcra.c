/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Token buckets, see quota_gcra.h. */
#include "quota_gcra.h"

#define FOREVER QUOTA_GCRA_FOREVER

static apr_int64_t bounded(apr_int64_t value, apr_int64_t min, apr_int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

/* Of two that are not negative */
static apr_int64_t times(apr_int64_t a, apr_int64_t b)
{
    apr_int64_t product;

    return __builtin_mul_overflow(a, b, &product) || product > FOREVER ? FOREVER : product;
}

static apr_int64_t debt_of(apr_int64_t full_at, apr_int64_t now)
{
    apr_int64_t debt;

    if (full_at <= now) {
        return 0;
    }
    return __builtin_sub_overflow(full_at, now, &debt) || debt > FOREVER ? FOREVER : debt;
}

/* Microseconds, rounded up: who comes back then is not refused for a rest */
static apr_interval_time_t span_of(apr_int64_t nanoseconds)
{
    return nanoseconds / 1000 + (nanoseconds % 1000 != 0);
}

void quota_gcra_init(quota_gcra *rate, apr_int64_t limit, apr_interval_time_t period,
                     apr_int64_t burst)
{
    limit = bounded(limit, 1, QUOTA_LIMIT_MAX);
    period = bounded(period, APR_USEC_PER_SEC, 86400 * APR_USEC_PER_SEC);
    rate->interval = (period * 1000 + limit - 1) / limit;
    rate->depth = times(rate->interval, bounded(burst, 1, QUOTA_LIMIT_MAX));
}

/* All of a verdict but whether a charge is allowed */
static void describe(const quota_gcra *rate, apr_int64_t debt, quota_verdict *verdict)
{
    apr_int64_t room = rate->depth - debt;

    verdict->remaining = room > 0 ? room / rate->interval : 0;
    /* one more needs the room of one more; a full bucket has no more */
    verdict->next = debt ? span_of(times(verdict->remaining + 1, rate->interval) - room) : 0;
    verdict->reset = span_of(debt);
}

void quota_gcra_look(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                     apr_int64_t cost, quota_verdict *verdict)
{
    apr_int64_t debt = debt_of(full_at, now), room = rate->depth - debt;
    apr_int64_t need = times(rate->interval, bounded(cost, 1, QUOTA_LIMIT_MAX));

    describe(rate, debt, verdict);
    verdict->allowed = need <= room;
    verdict->retry_after = verdict->allowed ? 0 : span_of(need - room);
}

void quota_gcra_left(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                     quota_verdict *verdict)
{
    describe(rate, debt_of(full_at, now), verdict);
    verdict->allowed = 1;
    verdict->retry_after = 0;
}

/* now plus a debt, at most the end of time */
static apr_int64_t after(apr_int64_t now, apr_int64_t debt)
{
    apr_int64_t at;

    return __builtin_add_overflow(now, debt, &at) ? APR_INT64_MAX : at;
}

apr_int64_t quota_gcra_charge(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                              apr_int64_t cost)
{
    apr_int64_t debt = debt_of(full_at, now);

    debt += times(rate->interval, bounded(cost, 1, QUOTA_LIMIT_MAX)); /* twice FOREVER is no wrap */
    return after(now, bounded(debt, 0, FOREVER));
}

apr_int64_t quota_gcra_give_back(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                                 apr_int64_t cost)
{
    apr_int64_t debt = debt_of(full_at, now);

    debt -= times(rate->interval, bounded(cost, 1, QUOTA_LIMIT_MAX));
    return after(now, bounded(debt, 0, FOREVER));
}
