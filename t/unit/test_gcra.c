/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "quota_gcra.h"

#define SECOND APR_INT64_C(1000000000)
#define MINUTE (60 * SECOND)

static quota_gcra rate_of(apr_int64_t limit, int seconds, apr_int64_t burst)
{
    quota_gcra rate;

    quota_gcra_init(&rate, limit, seconds * APR_USEC_PER_SEC, burst);
    return rate;
}

static int allowed(const quota_gcra *rate, apr_int64_t *full_at, apr_int64_t now)
{
    quota_verdict verdict;

    quota_gcra_look(rate, *full_at, now, 1, &verdict);
    if (verdict.allowed) {
        *full_at = quota_gcra_charge(rate, *full_at, now, 1);
    }
    return verdict.allowed;
}

static void a_full_bucket_gives_its_burst_and_then_its_rate(void **state)
{
    quota_gcra rate = rate_of(100, 60, 20);
    apr_int64_t full_at = 0, now = 5 * SECOND;
    int i;

    for (i = 0; i < 20; i++) {
        assert_true(allowed(&rate, &full_at, now));
    }
    assert_false(allowed(&rate, &full_at, now));
    assert_false(allowed(&rate, &full_at, now + 600 * 1000000 - 1));
    assert_true(allowed(&rate, &full_at, now + 600 * 1000000));
    assert_false(allowed(&rate, &full_at, now + 600 * 1000000));
}

static void a_verdict_counts_down_and_says_when(void **state)
{
    quota_gcra rate = rate_of(60, 60, 3);
    quota_verdict verdict;
    apr_int64_t full_at = 0, now = SECOND;

    quota_gcra_look(&rate, full_at, now, 1, &verdict);
    assert_true(verdict.allowed && verdict.remaining == 3 && !verdict.next && !verdict.reset);
    full_at = quota_gcra_charge(&rate, full_at, now, 1);
    quota_gcra_left(&rate, full_at, now, &verdict);
    assert_true(verdict.allowed && verdict.remaining == 2);
    assert_int_equal(verdict.next, APR_USEC_PER_SEC);
    assert_int_equal(verdict.reset, APR_USEC_PER_SEC);
    full_at = quota_gcra_charge(&rate, full_at, now, 2);
    quota_gcra_look(&rate, full_at, now + SECOND / 4, 1, &verdict);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.remaining, 0);
    assert_int_equal(verdict.retry_after, 750000);
    assert_int_equal(verdict.next, 750000);
    assert_int_equal(verdict.reset, 2750000);
    /* who comes back when he was told to is let in */
    quota_gcra_look(&rate, full_at, now + SECOND, 1, &verdict);
    assert_true(verdict.allowed && !verdict.retry_after);
}

static void retry_after_is_never_too_early(void **state)
{
    int limit;

    for (limit = 1; limit < 2000; limit += 7) {
        quota_gcra rate = rate_of(limit, 7, 1);
        apr_int64_t full_at = quota_gcra_charge(&rate, 0, 12345, 1);
        quota_verdict verdict;

        quota_gcra_look(&rate, full_at, 12345, 1, &verdict);
        assert_false(verdict.allowed);
        quota_gcra_look(&rate, full_at, 12345 + verdict.retry_after * 1000, 1, &verdict);
        assert_true(verdict.allowed);
    }
}

/* issue 5.2: at most limit + burst, at least limit less a hundredth, however the clients come */
static void admitted_over_ten_minutes_is_the_limit(void **state)
{
    static const struct {
        apr_int64_t limit;
        int period;
        apr_int64_t burst;
    } cases[] = { { 100, 60, 20 },   { 100, 60, 100 }, { 7, 3, 1 },   { 1, 1, 1 },
                  { 500, 60, 500 },  { 1000000, 60, 1 }, { 999983, 60, 5 }, { 300, 60, 10 } };
    apr_size_t c;

    for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        quota_gcra rate = rate_of(cases[c].limit, cases[c].period, cases[c].burst);
        apr_int64_t full_at = 0, now = SECOND, end = now + 10 * MINUTE, admitted = 0;
        apr_int64_t limit = cases[c].limit * 600 / cases[c].period;
        apr_int64_t step = rate.interval / 3 + 1;

        for (; now < end; now += step) {
            admitted += allowed(&rate, &full_at, now);
        }
        assert_true(admitted <= limit + cases[c].burst);
        assert_true(admitted >= limit - limit / 100);
    }
}

static void given_back_is_as_never_taken(void **state)
{
    quota_gcra rate = rate_of(10, 60, 5);
    apr_int64_t now = SECOND, full_at = quota_gcra_charge(&rate, 0, now, 3), before = full_at;

    full_at = quota_gcra_give_back(&rate, quota_gcra_charge(&rate, full_at, now, 2), now, 2);
    assert_int_equal(full_at, before);
    /* never more than full */
    full_at = quota_gcra_give_back(&rate, full_at, now, QUOTA_LIMIT_MAX);
    assert_int_equal(full_at, now);
    assert_int_equal(quota_gcra_give_back(&rate, 0, now, 1), now);
}

static void nothing_wraps(void **state)
{
    static const apr_int64_t odd[] = { APR_INT64_MIN, -1, 0, 1, 2, 1000000, APR_INT64_MAX / 2,
                                       APR_INT64_MAX - 1, APR_INT64_MAX };
    const int n = sizeof(odd) / sizeof(odd[0]);
    int limit, period, burst, full, cost;

    for (limit = 0; limit < n; limit++) {
        for (period = 0; period < n; period++) {
            for (burst = 0; burst < n; burst++) {
                quota_gcra rate;

                quota_gcra_init(&rate, odd[limit], odd[period], odd[burst]);
                assert_true(rate.interval >= 1000 && rate.depth >= rate.interval);
                assert_true(rate.depth <= QUOTA_GCRA_FOREVER);
                for (full = 0; full < n; full++) {
                    for (cost = 0; cost < n; cost++) {
                        quota_verdict verdict;
                        apr_int64_t now = 1000 * SECOND;
                        apr_int64_t then = quota_gcra_charge(&rate, odd[full], now, odd[cost]);

                        assert_true(then > now && then >= odd[full] / 4);
                        assert_true(quota_gcra_give_back(&rate, then, now, odd[cost]) >= now);
                        quota_gcra_look(&rate, odd[full], now, odd[cost], &verdict);
                        assert_true(verdict.remaining >= 0 && verdict.next >= 0);
                        assert_true(verdict.retry_after >= 0 && verdict.reset >= 0);
                        assert_true(verdict.allowed == !verdict.retry_after);
                    }
                }
            }
        }
    }
}

/* a bucket that a charge would never fit in, and one whose time is past the end */
static void what_can_never_be_is_refused(void **state)
{
    quota_gcra rate = rate_of(1, 86400, 1);
    quota_verdict verdict;

    quota_gcra_look(&rate, 0, SECOND, 2, &verdict);
    assert_false(verdict.allowed);
    assert_true(verdict.retry_after > 0);
    quota_gcra_look(&rate, APR_INT64_MAX, SECOND, 1, &verdict);
    assert_false(verdict.allowed);
    assert_true(verdict.retry_after > 86400 * APR_USEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_its_burst_and_then_its_rate),
        cmocka_unit_test(a_verdict_counts_down_and_says_when),
        cmocka_unit_test(retry_after_is_never_too_early),
        cmocka_unit_test(admitted_over_ten_minutes_is_the_limit),
        cmocka_unit_test(given_back_is_as_never_taken),
        cmocka_unit_test(nothing_wraps),
        cmocka_unit_test(what_can_never_be_is_refused),
    };

    return unit_run(tests);
}
