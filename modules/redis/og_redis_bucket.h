/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_redis_bucket.h
 * @brief The numbers of a token bucket that Redis keeps, equal to those of mod_quota's own
 *
 * Pure. A bucket is one number, its debt in nanoseconds: what is missing until it is full again.
 * A charge adds an interval for each unit of its cost, and is allowed while that stays within the
 * depth. The script adds and compares, and what a verdict says is worked out here. Spans are capped
 * at OG_REDIS_BUCKET_FOREVER, so nothing wraps.
 */
#ifndef OG_REDIS_BUCKET_H
#define OG_REDIS_BUCKET_H

#include "mod_quota.h"

/** Nanoseconds: 73 years. */
#define OG_REDIS_BUCKET_FOREVER (APR_INT64_MAX / 4)

/** A charge, in nanoseconds. */
typedef struct og_redis_bucket {
    apr_int64_t interval; /**< of one unit */
    apr_int64_t depth;    /**< of the full bucket */
    apr_int64_t need;     /**< of this charge */
} og_redis_bucket;

/** Numbers out of quota_charge's bounds are taken as the nearest bound. */
void og_redis_bucket_init(og_redis_bucket *bucket, const quota_charge *charge);

/** What a bucket with this debt says. @param charged  the debt has the charge already */
void og_redis_bucket_say(const og_redis_bucket *bucket, apr_int64_t debt, int charged,
                         quota_verdict *verdict);

#endif /* OG_REDIS_BUCKET_H */
