/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Log-linear counts, see og_histogram.h. */
#include "og_histogram.h"

#define EXACT 64 /* values with a bucket of their own: 2^6 */
#define PARTS 32 /* of each power of two from there on */

/* Children share it: a counter with a hidden lock would be none across processes. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics without a lock");

static int log2_of(apr_uint64_t value)
{
    return 63 - __builtin_clzll(value);
}

static int bucket_of(apr_uint64_t value)
{
    int power;

    if (value < EXACT) {
        return (int)value;
    }
    power = log2_of(value);
    return EXACT + (power - 6) * PARTS + (int)(value >> (power - 5)) - PARTS;
}

apr_uint64_t og_histogram_top(int bucket)
{
    int shift = (bucket - EXACT) / PARTS + 1;
    apr_uint64_t part = (apr_uint64_t)((bucket - EXACT) % PARTS + PARTS);

    return bucket < EXACT ? (apr_uint64_t)bucket : ((part + 1) << shift) - 1;
}

void og_histogram_add(og_histogram *histogram, apr_uint64_t value)
{
    unsigned long long max = atomic_load(&histogram->max);

    if (value > OG_HISTOGRAM_MOST) {
        value = OG_HISTOGRAM_MOST;
    }
    /* before its bucket, and read behind those: no copy has a value above its maximum */
    while (value > max && !atomic_compare_exchange_weak(&histogram->max, &max, value)) {
    }
    atomic_fetch_add(&histogram->buckets[bucket_of(value)], 1);
}

void og_histogram_read(og_histogram *histogram, og_histogram_copy *copy)
{
    int i;

    copy->count = 0;
    for (i = 0; i < OG_HISTOGRAM_BUCKETS; i++) {
        copy->buckets[i] = atomic_load(&histogram->buckets[i]);
        copy->count += copy->buckets[i];
    }
    copy->max = atomic_load(&histogram->max);
}

apr_int64_t og_histogram_quantile(const og_histogram_copy *copy, int per_mille)
{
    apr_uint64_t rank = (copy->count * (apr_uint64_t)per_mille + 999) / 1000, seen = 0, middle;
    int i = 0;

    if (!copy->count) {
        return -1;
    }
    for (seen = copy->buckets[0]; seen < rank; seen += copy->buckets[i]) {
        i++;
    }
    middle = i < EXACT ? (apr_uint64_t)i : (og_histogram_top(i - 1) + 1 + og_histogram_top(i)) / 2;
    return (apr_int64_t)(middle < copy->max ? middle : copy->max);
}
