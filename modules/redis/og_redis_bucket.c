/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the debt of a bucket means, see og_redis_bucket.h. */
#include "og_redis_bucket.h"

static apr_int64_t within(apr_int64_t value, apr_int64_t min, apr_int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

/* Of two that are not negative */
static apr_int64_t product(apr_int64_t a, apr_int64_t b)
{
    apr_int64_t found;

    return __builtin_mul_overflow(a, b, &found) || found > OG_REDIS_BUCKET_FOREVER
               ? OG_REDIS_BUCKET_FOREVER
               : found;
}

/* Rounded up: whoever comes back then is not refused for a rest */
static apr_interval_time_t microseconds(apr_int64_t nanoseconds)
{
    return nanoseconds / 1000 + (nanoseconds % 1000 != 0);
}

void og_redis_bucket_init(og_redis_bucket *bucket, const quota_charge *charge)
{
    apr_int64_t limit = within(charge->limit, 1, QUOTA_LIMIT_MAX);
    apr_int64_t period = within(charge->period, APR_USEC_PER_SEC, 86400 * APR_USEC_PER_SEC) * 1000;

    bucket->interval = (period + limit - 1) / limit;
    bucket->depth = product(bucket->interval, within(charge->burst, 1, QUOTA_LIMIT_MAX));
    bucket->need = product(bucket->interval, within(charge->cost, 1, QUOTA_LIMIT_MAX));
}

void og_redis_bucket_say(const og_redis_bucket *bucket, apr_int64_t debt, int charged,
                         quota_verdict *verdict)
{
    apr_int64_t room = bucket->depth - debt;

    verdict->remaining = room > 0 ? room / bucket->interval : 0;
    verdict->next = debt > 0 ? microseconds(
                                   product(verdict->remaining + 1, bucket->interval) - room)
                             : 0;
    verdict->reset = microseconds(debt);
    verdict->allowed = charged || bucket->need <= room;
    verdict->retry_after = verdict->allowed ? 0 : microseconds(bucket->need - room);
}
