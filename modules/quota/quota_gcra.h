/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  quota_gcra.h
 * @brief A token bucket as one number: the time at which it is full again (GCRA)
 *
 * Pure. A bucket of depth D that gives one charge every I is full from full_at on; before, it is in
 * debt by full_at - now. A charge adds I to the debt and is allowed while that stays within D. Over
 * any time T at most T / I + D / I charges are allowed. I is rounded up to a nanosecond: a limit is
 * never exceeded, and reached to a thousandth at the largest. Nothing wraps: what would be past the
 * end of time is the end of time (B38).
 */
#ifndef QUOTA_GCRA_H
#define QUOTA_GCRA_H

#include "mod_quota.h"

/** Nanoseconds that a debt, and a depth, never pass: 73 years. */
#define QUOTA_GCRA_FOREVER (APR_INT64_MAX / 4)

/** A rate, in nanoseconds. */
typedef struct quota_gcra {
    apr_int64_t interval; /**< one charge's */
    apr_int64_t depth;    /**< of the full bucket */
} quota_gcra;

/** Numbers out of quota_charge's bounds are taken as the nearest bound. */
void quota_gcra_init(quota_gcra *rate, apr_int64_t limit, apr_interval_time_t period,
                     apr_int64_t burst);

/**
 * What a bucket says to a charge that it was not charged.
 * @param full_at,now  nanoseconds of one clock
 */
void quota_gcra_look(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                     apr_int64_t cost, quota_verdict *verdict);

/** What is left behind the charge: verdict of a bucket that was just charged, and allowed. */
void quota_gcra_left(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                     quota_verdict *verdict);

/** @return the new full_at */
apr_int64_t quota_gcra_charge(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                              apr_int64_t cost);
apr_int64_t quota_gcra_give_back(const quota_gcra *rate, apr_int64_t full_at, apr_int64_t now,
                                 apr_int64_t cost);

#endif /* QUOTA_GCRA_H */
