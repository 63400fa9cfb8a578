/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The buckets of Redis beside those of this host, which modules/quota/quota_gcra.c is: the same
 * charges get the same verdicts. Redis has a clock of its own, so the two may differ by what a call
 * took, and by no more. */
#include "redis_link.h"

#include <signal.h>

#include "og_redis_bucket.h"
#include "quota_gcra.h"

#define RATES   150
#define CHARGES 25

/* xorshift: the same row each time */
static apr_uint64_t number(apr_uint64_t below)
{
    static apr_uint64_t seed = 88172645463325252;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Small numbers as often as large ones */
static apr_int64_t up_to(apr_int64_t max)
{
    apr_int64_t bound = (apr_int64_t)1 << number(21);

    return 1 + (apr_int64_t)number((apr_uint64_t)(bound < max ? bound : max));
}

static quota_charge random_charge(void)
{
    quota_charge charge = { "write-user", "user:1:1", up_to(QUOTA_LIMIT_MAX),
                            (1 + (apr_int64_t)number(86400)) * APR_USEC_PER_SEC,
                            up_to(QUOTA_LIMIT_MAX), 1 };

    return charge;
}

static void same(const quota_verdict *a, const quota_verdict *b)
{
    assert_int_equal(a->allowed, b->allowed);
    assert_int_equal(a->remaining, b->remaining);
    assert_int_equal(a->retry_after, b->retry_after);
    assert_int_equal(a->next, b->next);
    assert_int_equal(a->reset, b->reset);
}

/* What a debt means: to the digit. */
static void verdicts_are_equal(void **state)
{
    int i;

    for (i = 0; i < 200000; i++) {
        quota_charge charge = random_charge();
        quota_verdict ours, theirs;
        og_redis_bucket bucket;
        apr_int64_t now = (apr_int64_t)number(APR_INT64_C(1) << 60), debt;
        quota_gcra rate;

        charge.cost = up_to(QUOTA_LIMIT_MAX);
        quota_gcra_init(&rate, charge.limit, charge.period, charge.burst);
        og_redis_bucket_init(&bucket, &charge);
        assert_int_equal(bucket.interval, rate.interval);
        assert_int_equal(bucket.depth, rate.depth);
        debt = number(4) ? (apr_int64_t)number((apr_uint64_t)rate.depth + 1) : 0;
        quota_gcra_look(&rate, now + debt, now, charge.cost, &theirs);
        og_redis_bucket_say(&bucket, debt, 0, &ours);
        same(&ours, &theirs);
        if (theirs.allowed) {
            apr_int64_t full_at = quota_gcra_charge(&rate, now + debt, now, charge.cost);

            quota_gcra_left(&rate, full_at, now, &theirs);
            og_redis_bucket_say(&bucket, debt + bucket.need, 1, &ours);
            same(&ours, &theirs);
        }
    }
}

/* One bucket of Redis and its model here. */
typedef struct pair {
    quota_charge charge;
    quota_gcra rate;
    apr_int64_t full_at; /* the model's, on our clock */
    apr_int64_t slack;   /* nanoseconds that the two may differ by */
} pair;

/* @return 0: too close to tell */
static int charge_both(pair *both)
{
    apr_int64_t before = og_clock_mono() * 1000, took;
    quota_verdict real, model;

    assert_int_equal(og_redis_quota.decide(&both->charge, 1, &real, MS(5000)), APR_SUCCESS);
    took = og_clock_mono() * 1000 - before;
    both->slack = both->slack < 2 * took + 4000 ? 2 * took + 4000 : both->slack;
    quota_gcra_look(&both->rate, both->full_at, before, both->charge.cost, &model);
    if (real.allowed != model.allowed) {
        apr_int64_t need = both->rate.interval * both->charge.cost;
        apr_int64_t room = both->rate.depth - (both->full_at - before);

        assert_true(llabs(need - room) <= both->slack);
        return 0;
    }
    if (model.allowed) {
        both->full_at = quota_gcra_charge(&both->rate, both->full_at, before, both->charge.cost);
        quota_gcra_left(&both->rate, both->full_at, before, &model);
    }
    assert_true(llabs(real.reset - model.reset) <= both->slack / 1000 + 1);
    assert_true(llabs(real.retry_after - model.retry_after) <= both->slack / 1000 + 1);
    assert_true(llabs(real.remaining - model.remaining) <= both->slack / both->rate.interval + 1);
    return 1;
}

static void give_both(pair *both)
{
    assert_int_equal(og_redis_quota.give_back(&both->charge, 1, MS(5000)), APR_SUCCESS);
    both->full_at = quota_gcra_give_back(&both->rate, both->full_at, og_clock_mono() * 1000,
                                         both->charge.cost);
}

static void charges_are_equal(void **state)
{
    og_redis_link *link = link_of(*state, 1, 1000);
    int i, j, told = 0;

    wait_until(ping(link) == OG_REDIS_OK);
    for (i = 0; i < RATES; i++) {
        pair both = { random_charge() };

        both.charge.subject = apr_psprintf(*state, "user:%d:%d", (int)getpid(), i);
        quota_gcra_init(&both.rate, both.charge.limit, both.charge.period, both.charge.burst);
        for (j = 0; j < CHARGES; j++) {
            both.charge.cost = up_to(both.charge.burst + 1);
            if (both.charge.cost > QUOTA_LIMIT_MAX) {
                both.charge.cost = QUOTA_LIMIT_MAX;
            }
            if (!charge_both(&both)) {
                break;
            }
            told++;
            if (!number(5)) {
                give_both(&both);
            }
        }
    }
    assert_true(told > RATES * CHARGES / 2); /* or nothing was shown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(verdicts_are_equal),
        unit_pool_test(charges_are_equal),
    };

    signal(SIGPIPE, SIG_IGN);
    return unit_run(tests);
}
