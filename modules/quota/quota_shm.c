/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The buckets of this host: the store "shm", and what decides where another store does not answer.
 *
 * All charges of a request are decided under the locks of all their buckets, so that no other sees
 * half of them. Time is read behind the locks: whoever holds one has the latest. */
#include "quota.h"

#include "og_clock.h"
#include "og_hooks.h"
#include "quota_gcra.h"

#include <apr_strings.h>

/* One charge on its way */
typedef struct bucket {
    quota_gcra rate;
    apr_uint64_t policy; /* hash of name and rate: which of the shared buckets */
    apr_uint64_t key;    /* … and of the subject */
    int shard;
    apr_int64_t *full_at;
} bucket;

static void prepare(bucket *own, const quota_charge *charge)
{
    char text[256];
    /* two rates of a policy are two buckets: a debt of one says nothing about the other */
    int len = apr_snprintf(text, sizeof(text), "%s %" APR_INT64_T_FMT " %" APR_INT64_T_FMT
                           " %" APR_INT64_T_FMT, charge->policy, charge->limit,
                           (apr_int64_t)charge->period, charge->burst);

    own->policy = quota_segment_hash(text, (apr_size_t)len);
    len += apr_snprintf(text + len, sizeof(text) - (apr_size_t)len, " %s", charge->subject);
    own->key = quota_segment_hash(text, (apr_size_t)len);
    own->shard = quota_shard_of(own->key);
    quota_gcra_init(&own->rate, charge->limit, charge->period, charge->burst);
}

/* The next shard above one among the buckets', or QUOTA_SHARDS. */
static int next_shard(const bucket *buckets, int n, int above)
{
    int next = QUOTA_SHARDS, i;

    for (i = 0; i < n; i++) {
        if (buckets[i].shard > above && buckets[i].shard < next) {
            next = buckets[i].shard;
        }
    }
    return next;
}

/* Give the locks of shards below one. */
static void unlock(const bucket *buckets, int n, int below)
{
    int shard = -1;

    while ((shard = next_shard(buckets, n, shard)) < below) {
        quota_segment_unlock(shard);
    }
}

/* Take the locks, ascending. 1, or 0 and none is held. */
static int lock(const bucket *buckets, int n, apr_interval_time_t within)
{
    apr_time_t until = og_clock_mono() + within;
    int shard = -1;

    while ((shard = next_shard(buckets, n, shard)) < QUOTA_SHARDS) {
        apr_time_t left = until - og_clock_mono();

        if (!quota_segment_lock(shard, left > 0 ? left : 0)) {
            unlock(buckets, n, shard);
            return 0;
        }
    }
    return 1;
}

/* Where each bucket stands. @return how many of them are shared, the table being full */
static int find(bucket *buckets, int n, apr_int64_t now)
{
    int count = 0, is_shared, i;

    for (i = 0; i < n; i++) {
        buckets[i].full_at = quota_table_bucket(quota_segment_table(buckets[i].shard),
                                                buckets[i].key, buckets[i].policy, now, &is_shared);
        count += is_shared;
    }
    return count;
}

/* @return whether all are allowed */
static int look(const bucket *buckets, const quota_charge *charges, int n, apr_int64_t now,
                quota_verdict *verdicts)
{
    int all = 1, i;

    for (i = 0; i < n; i++) {
        quota_gcra_look(&buckets[i].rate, *buckets[i].full_at, now, charges[i].cost, &verdicts[i]);
        all = all && verdicts[i].allowed;
    }
    return all;
}

static void charge(bucket *buckets, const quota_charge *charges, int n, apr_int64_t now,
                   quota_verdict *verdicts)
{
    int i;

    for (i = 0; i < n; i++) {
        *buckets[i].full_at = quota_gcra_charge(&buckets[i].rate, *buckets[i].full_at, now,
                                                charges[i].cost);
        quota_gcra_left(&buckets[i].rate, *buckets[i].full_at, now, &verdicts[i]);
        og_hooks_crash_point();
    }
}

/* The buckets of charges, locked. 1, or 0: their locks were not to be had. */
static int take(bucket buckets[QUOTA_CHARGES_MAX], const quota_charge *charges, int n,
                apr_interval_time_t within)
{
    int i;

    memset(buckets, 0, QUOTA_CHARGES_MAX * sizeof(*buckets));
    for (i = 0; i < n; i++) {
        prepare(&buckets[i], &charges[i]);
    }
    return lock(buckets, n, within);
}

static apr_status_t decide(const quota_charge *charges, int n, quota_verdict *verdicts,
                           apr_interval_time_t within)
{
    bucket buckets[QUOTA_CHARGES_MAX];
    apr_int64_t now;
    int shared;

    if (!take(buckets, charges, n, within)) {
        return APR_TIMEUP;
    }
    now = og_clock_mono() * 1000;
    shared = find(buckets, n, now);
    if (look(buckets, charges, n, now, verdicts)) {
        charge(buckets, charges, n, now, verdicts);
    }
    unlock(buckets, n, QUOTA_SHARDS);
    if (shared) {
        quota_segment_overflowed(shared, charges[n - 1].subject);
    }
    return APR_SUCCESS;
}

static apr_status_t give_back(const quota_charge *charges, int n, apr_interval_time_t within)
{
    bucket buckets[QUOTA_CHARGES_MAX];
    apr_int64_t now;
    int i;

    if (!take(buckets, charges, n, within)) {
        return APR_TIMEUP;
    }
    now = og_clock_mono() * 1000;
    find(buckets, n, now);
    for (i = 0; i < n; i++) {
        *buckets[i].full_at = quota_gcra_give_back(&buckets[i].rate, *buckets[i].full_at, now,
                                                   charges[i].cost);
        og_hooks_crash_point();
    }
    unlock(buckets, n, QUOTA_SHARDS);
    return APR_SUCCESS;
}

const quota_store quota_shm = { NULL, decide, give_back };
