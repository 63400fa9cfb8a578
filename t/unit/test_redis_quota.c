/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The quota store "redis" against a real Redis. */
#include "redis_link.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static const apr_interval_time_t minute = 60 * APR_USEC_PER_SEC;

/* Buckets of a test's own: what the others charged is not in them */
static const char *fresh(apr_pool_t *p)
{
    static int number;

    return apr_psprintf(p, "user:%d:%d", (int)getpid(), ++number);
}

static quota_charge charge_of(const char *policy, const char *subject, apr_int64_t limit,
                              apr_interval_time_t period, apr_int64_t burst, apr_int64_t cost)
{
    quota_charge charge = { policy, subject, limit, period, burst, cost };

    return charge;
}

static void decided(const quota_charge *charges, int n, quota_verdict *verdicts)
{
    assert_int_equal(og_redis_quota.decide(charges, n, verdicts, MS(1000)), APR_SUCCESS);
}

static void up(apr_pool_t *p)
{
    og_redis_link *link = link_of(p, 4, 1000);

    wait_until(ping(link) == OG_REDIS_OK);
}

static void a_bucket_gives_its_burst_and_no_more(void **state)
{
    quota_charge charge = charge_of("write-user", fresh(*state), 1, minute, 5, 1);
    quota_verdict v;
    int i;

    up(*state);
    for (i = 4; i >= 0; i--) {
        decided(&charge, 1, &v);
        assert_true(v.allowed);
        assert_int_equal(v.remaining, i);
        assert_int_equal(v.retry_after, 0);
    }
    decided(&charge, 1, &v);
    assert_false(v.allowed);
    assert_int_equal(v.remaining, 0);
    assert_in_range(v.retry_after, 1, minute);
    assert_in_range(v.reset, 4 * minute, 5 * minute);
    decided(&charge, 1, &v);
    assert_in_range(v.reset, 4 * minute, 5 * minute); /* a refusal is not charged */
}

static void all_buckets_are_charged_or_none(void **state)
{
    quota_charge charges[3] = {
        charge_of("write-user", fresh(*state), 10, minute, 10, 1),
        charge_of("write-org", fresh(*state), 2, 86400 * APR_USEC_PER_SEC, 2, 1),
        charge_of("write-address", fresh(*state), 1000000, APR_USEC_PER_SEC, 1000000, 1),
    };
    quota_verdict v[3];

    up(*state);
    decided(charges, 3, v);
    assert_int_equal(v[0].remaining, 9);
    assert_int_equal(v[1].remaining, 1);
    decided(charges, 3, v);
    assert_true(v[0].allowed && v[1].allowed && v[2].allowed);
    decided(charges, 3, v);
    assert_true(v[0].allowed && !v[1].allowed && v[2].allowed); /* each for itself */
    assert_int_equal(v[0].remaining, 8);
    assert_true(v[1].retry_after > 40000 * APR_USEC_PER_SEC);
    decided(charges, 1, v);
    assert_int_equal(v[0].remaining, 7);
}

static void what_is_given_back_is_there_and_no_more(void **state)
{
    quota_charge charge = charge_of("read-user", fresh(*state), 10, minute, 10, 3);
    quota_verdict v;

    up(*state);
    decided(&charge, 1, &v);
    decided(&charge, 1, &v);
    assert_int_equal(v.remaining, 4);
    assert_int_equal(og_redis_quota.give_back(&charge, 1, MS(1000)), APR_SUCCESS);
    assert_int_equal(og_redis_quota.give_back(&charge, 1, MS(1000)), APR_SUCCESS);
    assert_int_equal(og_redis_quota.give_back(&charge, 1, MS(1000)), APR_SUCCESS);
    decided(&charge, 1, &v);
    assert_int_equal(v.remaining, 7); /* of ten: what was too much went nowhere */
}

static void more_than_a_bucket_holds_is_never_allowed(void **state)
{
    quota_charge charge = charge_of("read-user", fresh(*state), 10, minute, 5, 6);
    quota_verdict v;

    up(*state);
    decided(&charge, 1, &v);
    assert_false(v.allowed);
    assert_int_equal(v.remaining, 5);
    assert_int_equal(v.retry_after, minute / 10);
    assert_int_equal(v.reset, 0);
}

static void a_bucket_fills_with_time(void **state)
{
    quota_charge charge = charge_of("read-user", fresh(*state), 20, APR_USEC_PER_SEC, 2, 2);
    quota_verdict v;
    apr_time_t start;

    up(*state);
    decided(&charge, 1, &v);
    start = og_clock_mono();
    do {
        decided(&charge, 1, &v);
    } while (!v.allowed && ms_since(start) < 5000);
    assert_true(v.allowed);
    assert_in_range(ms_since(start), 90, 5000); /* 100 ms, less what the first answer's way took */
}

static void rates_and_subjects_have_buckets_of_their_own(void **state)
{
    const char *subject = fresh(*state);
    quota_charge charges[] = {
        charge_of("write-user", subject, 1, minute, 1, 1),
        charge_of("read-user", subject, 1, minute, 1, 1),
        charge_of("write-user", subject, 2, minute, 1, 1),
        charge_of("write-user", subject, 1, 2 * minute, 1, 1),
        charge_of("write-user", subject, 1, minute, 2, 1),
        charge_of("write-user", apr_pstrcat(*state, subject, ":1", NULL), 1, minute, 1, 1),
        charge_of("write-user", apr_pstrcat(*state, "1:", subject, NULL), 1, minute, 1, 1),
    };
    quota_verdict v;
    int i;

    up(*state);
    for (i = 0; i < 7; i++) {
        decided(&charges[i], 1, &v);
        assert_true(v.allowed);
    }
    decided(&charges[0], 1, &v);
    assert_false(v.allowed);
}

/* The largest that directives allow: 2^53 nanoseconds are 104 days, and these are 2700 years */
static void the_largest_numbers_wrap_nowhere(void **state)
{
    quota_charge charge = charge_of("sign-org", fresh(*state), 1, 86400 * APR_USEC_PER_SEC,
                                    QUOTA_LIMIT_MAX, 20000);
    quota_verdict v;

    up(*state);
    decided(&charge, 1, &v);
    assert_true(v.allowed);
    assert_int_equal(v.reset, 20000 * 86400 * APR_USEC_PER_SEC); /* exactly */
    decided(&charge, 1, &v);
    assert_false(v.allowed); /* past the end of time, which the depth is capped at */
    assert_true(v.retry_after > 0);
}

static void keys_expire_when_the_bucket_is_full(void **state)
{
    og_redis_link *link = link_of(*state, 1, 1000);
    quota_charge charge = charge_of("write-user", fresh(*state), 10, minute, 10, 1);
    const char *key = apr_psprintf(*state, "quota:write-user:10/60000000/10:%s", charge.subject);
    quota_verdict v;
    redisReply *reply;

    wait_until(ping(link) == OG_REDIS_OK);
    decided(&charge, 1, &v);
    assert_int_equal(ask(link, apr_pstrcat(*state, "PTTL ", key, NULL), 1000, &reply), OG_REDIS_OK);
    assert_in_range(reply->integer, 1, 6000);
    freeReplyObject(reply);
    assert_int_equal(og_redis_quota.give_back(&charge, 1, MS(1000)), APR_SUCCESS);
    assert_int_equal(ask(link, apr_pstrcat(*state, "EXISTS ", key, NULL), 1000, &reply),
                     OG_REDIS_OK);
    assert_int_equal(reply->integer, 0);
    freeReplyObject(reply);
}

/* A clock that was set back by a day left a bucket that is full tomorrow */
static void a_clock_that_goes_back_costs_the_depth_at_most(void **state)
{
    og_redis_link *link = link_of(*state, 1, 1000);
    quota_charge charge = charge_of("write-user", fresh(*state), 10, minute, 10, 1);
    const char *argv[3] = {
        "SET", apr_psprintf(*state, "quota:write-user:10/60000000/10:%s", charge.subject),
        apr_psprintf(*state, "%" APR_INT64_T_FMT " 5",
                     (apr_int64_t)apr_time_sec(og_clock_wall()) + 86400)
    };
    size_t lens[3] = { 3, strlen(argv[1]), strlen(argv[2]) };
    og_redis_command set = { 3, argv, lens, 0, NULL };
    quota_verdict v;
    redisReply *reply;

    wait_until(ping(link) == OG_REDIS_OK);
    assert_int_equal(og_redis_link_ask(link, &set, og_clock_mono() + MS(1000), &reply),
                     OG_REDIS_OK);
    freeReplyObject(reply);
    decided(&charge, 1, &v);
    assert_false(v.allowed);
    assert_int_equal(v.reset, minute);
}

#define THREADS 8
#define TRIES   40

typedef struct racer {
    quota_charge charge;
    int allowed;
} racer;

static void *race(void *data)
{
    racer *own = data;
    quota_verdict v;
    int i;

    for (i = 0; i < TRIES; i++) {
        if (og_redis_quota.decide(&own->charge, 1, &v, MS(10000)) == APR_SUCCESS) {
            own->allowed += v.allowed;
        }
    }
    return NULL;
}

static void many_at_once_get_the_burst_together(void **state)
{
    const char *subject = fresh(*state);
    racer racers[THREADS];
    pthread_t threads[THREADS];
    int i, all = 0;

    up(*state);
    for (i = 0; i < THREADS; i++) {
        racers[i] = (racer){ charge_of("write-org", subject, 1, 86400 * APR_USEC_PER_SEC, 100, 1),
                             0 };
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        all += racers[i].allowed;
    }
    assert_int_equal(all, 100);
}

static void no_redis_is_an_error_at_once(void **state)
{
    quota_charge charge = charge_of("write-user", "user:1:1", 1, minute, 1, 1);
    quota_verdict v;

    og_redis_script_use(NULL, "");
    assert_int_not_equal(og_redis_quota.decide(&charge, 1, &v, MS(1000)), APR_SUCCESS);
    assert_int_not_equal(og_redis_quota.give_back(&charge, 1, MS(1000)), APR_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(a_bucket_gives_its_burst_and_no_more),
        unit_pool_test(all_buckets_are_charged_or_none),
        unit_pool_test(what_is_given_back_is_there_and_no_more),
        unit_pool_test(more_than_a_bucket_holds_is_never_allowed),
        unit_pool_test(a_bucket_fills_with_time),
        unit_pool_test(rates_and_subjects_have_buckets_of_their_own),
        unit_pool_test(the_largest_numbers_wrap_nowhere),
        unit_pool_test(keys_expire_when_the_bucket_is_full),
        unit_pool_test(a_clock_that_goes_back_costs_the_depth_at_most),
        unit_pool_test(many_at_once_get_the_burst_together),
        unit_pool_test(no_redis_is_an_error_at_once),
    };

    signal(SIGPIPE, SIG_IGN);
    return unit_run(tests);
}
