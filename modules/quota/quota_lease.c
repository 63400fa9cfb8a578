/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Leases of streams: one is a place among the user's and one among the organisation's streams, for
 * as long as a poll lasts. Giving it back takes no lock, since the thread that answers parked polls
 * does it; what nobody gives back goes with the request's pool, or with the child
 * (quota_children.c). Where no lock is to be had in time the stream is not counted: the caps of
 * mod_realtime_lp hold in any case. */
#include "quota.h"

#include "og_clock.h"

#include <apr_general.h>
#include <apr_strings.h>

#define LOCK_WITHIN  apr_time_from_msec(100)
#define HANDLERS_MAX 8

/* r->pool. A lease belongs to one thread at a time, as its request does. */
struct quota_lease {
    int n, held;
    quota_counter *counters[QUOTA_CHARGES_MAX];
};

/* What taking came to. */
typedef enum { TAKEN, FULL, LATE } taking;

/* process: handlers whose requests are streams; filled when modules are loaded */
static const char *handlers[HANDLERS_MAX];
static int handler_count;

static void quota_streams_by(const char *handler)
{
    if (handler_count < HANDLERS_MAX) {
        handlers[handler_count++] = handler;
    }
}

int quota_is_stream(const char *handler)
{
    int i;

    for (i = 0; handler && i < handler_count; i++) {
        if (!strcmp(handlers[i], handler)) {
            return 1;
        }
    }
    return 0;
}

/* Held before the first count and until behind the last: a child that dies between two of them is
 * looked through, and nothing stays. */
static void hold(quota_lease *lease)
{
    atomic_fetch_add(&quota_segment_owner(quota_child())->held, 1);
    lease->held = 1;
}

static void quota_lease_give(quota_lease *lease)
{
    while (lease && lease->n) {
        quota_streams_leave(lease->counters[--lease->n]);
    }
    if (lease && lease->held) {
        lease->held = 0;
        atomic_fetch_sub(&quota_segment_owner(quota_child())->held, 1);
    }
}

static apr_status_t give(void *lease)
{
    quota_lease_give(lease);
    return APR_SUCCESS;
}

/* One place, under its part's lock */
static taking take(quota_lease *lease, int cell, const char *subject, apr_int64_t most)
{
    const char *policy = quota_policy_name(cell);
    apr_uint64_t parts[2], key;
    quota_counter *counter;
    int is_shared, shard;

    parts[0] = quota_segment_hash(policy, strlen(policy));
    parts[1] = quota_segment_hash(subject, strlen(subject));
    key = quota_segment_hash(parts, sizeof(parts));
    shard = quota_shard_of(key);
    if (!quota_segment_lock(shard, LOCK_WITHIN)) {
        return LATE;
    }
    counter = quota_streams_join(quota_segment_streams(shard), key, (apr_uint32_t)quota_child(),
                                 most, (apr_uint64_t)cell, &is_shared);
    quota_segment_unlock(shard);
    if (is_shared) {
        quota_segment_overflowed(1, subject);
    }
    if (!counter) {
        return FULL;
    }
    lease->counters[lease->n++] = counter;
    return TAKEN;
}

/* All places, or none and *cell is the policy whose there were none of. */
static taking take_all(quota_lease *lease, const quota_dir_conf *conf,
                       const quota_subject *subjects, int n, int is_dry, int *cell)
{
    int i;

    hold(lease);
    for (i = 0; i < n; i++) {
        int here = quota_cell(QUOTA_STREAM, subjects[i].scope);
        const quota_rate *rate = quota_rate_of(conf, here);
        taking got = rate ? take(lease, here, subjects[i].name, rate->limit) : TAKEN;

        if (got == FULL) {
            *cell = here;
            got = is_dry ? take(lease, here, subjects[i].name, APR_INT64_MAX) : FULL;
        }
        if (got != TAKEN) {
            quota_lease_give(lease);
            return got;
        }
    }
    if (!lease->n) {
        quota_lease_give(lease); /* nothing is limited here */
    }
    return TAKEN;
}

/* Seconds, jittered, so that a cohort that was refused spreads. */
static int pause_of(void)
{
    unsigned char random = 0;

    apr_generate_random_bytes(&random, sizeof(random));
    return 2 + random % 4;
}

static void refuse(request_rec *r, int cell, quota_refusal *refusal)
{
    int seconds = pause_of();

    atomic_fetch_add(&quota_segment_counters()->streams_refused, 1);
    quota_note(r, apr_pstrcat(r->pool, "refused ", quota_policy_name(cell), NULL));
    refusal->code = "stream_limit_exceeded";
    refusal->detail = quota_wait_sentence(r->pool, "Too many streams are open", seconds);
    refusal->details = quota_details(r->pool, quota_policy_type(cell), seconds, 0);
    refusal->retry_after = seconds;
}

static int quota_lease_take(request_rec *r, quota_lease **lease, quota_refusal *refusal)
{
    const quota_dir_conf *conf = quota_dir(r);
    quota_lease *own = apr_pcalloc(r->pool, sizeof(*own));
    quota_subject subjects[QUOTA_CHARGES_MAX];
    int n, cell = -1;
    taking got;

    *lease = NULL;
    if (conf->enabled != 1 || quota_child() < 0) {
        return 1;
    }
    n = quota_caller(r, subjects);
    if (quota_segment_reap_now(og_clock_mono())) {
        quota_children_reap();
    }
    got = take_all(own, conf, subjects, n, 0, &cell);
    if (got == FULL) {
        quota_children_reap(); /* nobody is refused for a child that is gone */
        cell = -1;
        got = take_all(own, conf, subjects, n, conf->dry_run == 1, &cell);
    }
    if (got == FULL) {
        refuse(r, cell, refusal);
        return 0;
    }
    if (got == LATE) {
        atomic_fetch_add(&quota_segment_counters()->undecided, 1);
        quota_note(r, "undecided");
    }
    else if (cell >= 0) {
        atomic_fetch_add(&quota_segment_counters()->dry, 1);
        quota_note(r, apr_pstrcat(r->pool, "dry-run ", quota_policy_name(cell), NULL));
    }
    if (own->n) {
        apr_pool_cleanup_register(r->pool, own, give, apr_pool_cleanup_null);
        *lease = own;
    }
    return 1;
}

void quota_lease_register(apr_pool_t *p)
{
    handler_count = 0; /* a module may stay loaded over a reload */
    APR_REGISTER_OPTIONAL_FN(quota_streams_by);
    APR_REGISTER_OPTIONAL_FN(quota_lease_take);
    APR_REGISTER_OPTIONAL_FN(quota_lease_give);
}
