/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "rt_burst.h"

#define MS 1000
#define T0 (90000 * (apr_time_t)MS)

static const rt_burst_tiers tiers = { { 3, 10, 50 } };

static void a_quiet_org_has_a_rate_of_what_it_just_published(void **state)
{
    rt_burst burst = { 0 };
    int i;

    assert_int_equal(rt_burst_rate(&burst, T0), 0);
    for (i = 0; i < 5; i++) {
        rt_burst_count(&burst, T0 + i * 3000 * MS);
        assert_int_equal(rt_burst_rate(&burst, T0 + i * 3000 * MS), 1);
    }
    assert_int_equal(rt_burst_rate(&burst, T0 + 14000 * MS), 0);
}

static void a_burst_counts_and_is_forgotten_after_two_seconds_at_most(void **state)
{
    rt_burst burst = { 0 };
    int i;

    for (i = 1; i <= 100; i++) {
        rt_burst_count(&burst, T0);
        assert_int_equal(rt_burst_rate(&burst, T0), i);
    }
    assert_int_equal(rt_burst_rate(&burst, T0 + 999 * MS), 100);
    assert_int_equal(rt_burst_rate(&burst, T0 + 1000 * MS), 100);
    assert_int_equal(rt_burst_rate(&burst, T0 + 1250 * MS), 75);
    assert_int_equal(rt_burst_rate(&burst, T0 + 1999 * MS), 0);
    assert_int_equal(rt_burst_rate(&burst, T0 + 2000 * MS), 0);
    assert_int_equal(rt_burst_rate(&burst, T0 + 3600000 * (apr_time_t)MS), 0);
}

static void a_steady_org_has_its_rate_at_any_time(void **state)
{
    rt_burst burst = { 0 };
    int i;

    for (i = 0; i < 1000; i++) { /* 50 a second */
        apr_time_t now = T0 + i * 20 * MS;

        rt_burst_count(&burst, now);
        if (i >= 100) {
            assert_in_range(rt_burst_rate(&burst, now), 49, 51);
            assert_in_range(rt_burst_rate(&burst, now + 19 * MS), 48, 51);
        }
    }
}

static void a_clock_that_was_set_back_begins_anew(void **state)
{
    rt_burst burst = { 0 };
    int i;

    for (i = 0; i < 100; i++) {
        rt_burst_count(&burst, T0);
    }
    assert_int_equal(rt_burst_rate(&burst, T0 - 1), 0);
    rt_burst_count(&burst, T0 - 1);
    assert_int_equal(rt_burst_rate(&burst, T0), 1);
}

static void linger_grows_by_tiers(void **state)
{
    static const struct {
        apr_uint32_t rate;
        int from, to;
    } cases[] = { { 0, 0, 0 }, { 1, 0, 0 }, { 2, 0, 0 }, { 3, 0, 50 }, { 9, 0, 50 },
                  { 10, 50, 150 },
                  { 49, 50, 150 }, { 50, 150, 400 }, { 4294967295U, 150, 400 } };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rt_burst_range range = rt_burst_linger(&tiers, cases[i].rate);

        assert_int_equal(range.from, cases[i].from);
        assert_int_equal(range.to, cases[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_org_has_a_rate_of_what_it_just_published),
        cmocka_unit_test(a_burst_counts_and_is_forgotten_after_two_seconds_at_most),
        cmocka_unit_test(a_steady_org_has_its_rate_at_any_time),
        cmocka_unit_test(a_clock_that_was_set_back_begins_anew),
        cmocka_unit_test(linger_grows_by_tiers),
    };

    return unit_run(tests);
}
