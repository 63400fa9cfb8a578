/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_clock.h
 * @brief The two clocks
 *
 * Intervals (deadlines, time-outs, TTLs, buckets) are counted on the monotonic clock, which no
 * administrator and no NTP step moves; it is the same for all processes of this host until it
 * reboots. Wall time is for what people and tokens say: exp, Date, the edges of days.
 */
#ifndef OG_CLOCK_H
#define OG_CLOCK_H

#include <apr_time.h>

/** Microseconds on CLOCK_MONOTONIC. */
apr_time_t og_clock_mono(void);

/** Microseconds since 1970 on the wall clock. */
apr_time_t og_clock_wall(void);

#endif /* OG_CLOCK_H */
