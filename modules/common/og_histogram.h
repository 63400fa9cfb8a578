/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_histogram.h
 * @brief Counts of values by size, from which quantiles come with an error of at most 1.6 %
 *
 * Pure. Log-linear: each value below 64 has a bucket of its own, each power of two above it is cut
 * into 32 of the same width, so the middle of a bucket is never further than 1/64 from what was
 * counted there. Zeroed memory is an empty histogram. No lock: processes that share the memory add
 * to it at once, each addition is one atomic increment (and rarely one of the maximum), and one
 * that dies in the middle loses its own value at most.
 */
#ifndef OG_HISTOGRAM_H
#define OG_HISTOGRAM_H

#include <apr.h>
#include <stdatomic.h>

/** What is larger counts as this; in microseconds more than an hour. */
#define OG_HISTOGRAM_MOST APR_UINT64_C(0xffffffff)

#define OG_HISTOGRAM_BUCKETS (64 + (32 - 6) * 32)

typedef struct og_histogram {
    atomic_ullong max;
    atomic_ullong buckets[OG_HISTOGRAM_BUCKETS];
} og_histogram;

/** A histogram at one moment, the caller's own. */
typedef struct og_histogram_copy {
    apr_uint64_t count, max;
    apr_uint64_t buckets[OG_HISTOGRAM_BUCKETS];
} og_histogram_copy;

void og_histogram_add(og_histogram *histogram, apr_uint64_t value);

void og_histogram_read(og_histogram *histogram, og_histogram_copy *copy);

/**
 * The value that so many of a thousand do not exceed (nearest rank), or -1 where there is none.
 * @param per_mille  500 for the median, 1 to 1000
 */
apr_int64_t og_histogram_quantile(const og_histogram_copy *copy, int per_mille);

/** The largest value that a bucket takes. */
apr_uint64_t og_histogram_top(int bucket);

#endif /* OG_HISTOGRAM_H */
