/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "rt_wheel.h"

#define MS 1000

static rt_wheel wheel;
static int told;
static rt_wheel_item *last;

static void take(rt_wheel_item *item)
{
    rt_wheel_remove(item);
    last = item;
    told++;
}

static void leave(rt_wheel_item *item)
{
    last = item;
    told++;
}

static int start(void **state)
{
    memset(&wheel, 0, sizeof(wheel));
    rt_wheel_start(&wheel, 1000 * MS);
    told = 0;
    last = NULL;
    return 0;
}

static void hang(rt_wheel_item *item, apr_time_t at)
{
    memset(item, 0, sizeof(*item));
    item->at = at;
    rt_wheel_add(&wheel, item);
}

static void each_is_told_of_at_its_time_and_not_before(void **state)
{
    rt_wheel_item item[3];

    hang(&item[0], 1500 * MS);
    hang(&item[1], 1501 * MS);
    hang(&item[2], 1250 * MS + 1);
    rt_wheel_turn(&wheel, 1250 * MS, take);
    assert_int_equal(told, 0);
    rt_wheel_turn(&wheel, 1250 * MS + RT_WHEEL_TICK, take);
    assert_int_equal(told, 1);
    assert_ptr_equal(last, &item[2]);
    rt_wheel_turn(&wheel, 1500 * MS, take);
    assert_int_equal(told, 2);
    assert_ptr_equal(last, &item[0]);
    rt_wheel_turn(&wheel, 1510 * MS, take);
    assert_int_equal(told, 3);
    rt_wheel_turn(&wheel, 90000 * MS, take);
    assert_int_equal(told, 3);
}

static void what_is_past_is_due_at_the_next_tick(void **state)
{
    rt_wheel_item item;

    hang(&item, 10 * MS);
    rt_wheel_turn(&wheel, 1000 * MS + RT_WHEEL_TICK - 1, take);
    assert_int_equal(told, 0);
    rt_wheel_turn(&wheel, 1000 * MS + RT_WHEEL_TICK, take);
    assert_int_equal(told, 1);
}

static void what_was_removed_is_not_told_of(void **state)
{
    rt_wheel_item item[3];
    int i;

    for (i = 0; i < 3; i++) {
        hang(&item[i], 1100 * MS);
    }
    rt_wheel_remove(&item[1]);
    rt_wheel_remove(&item[1]);
    rt_wheel_turn(&wheel, 1100 * MS, take);
    assert_int_equal(told, 2);
}

static void who_is_not_removed_is_told_of_once_a_round(void **state)
{
    rt_wheel_item item;

    hang(&item, 1100 * MS);
    rt_wheel_turn(&wheel, 1100 * MS, leave);
    rt_wheel_turn(&wheel, 1200 * MS, leave);
    assert_int_equal(told, 1);
    rt_wheel_turn(&wheel, 1100 * MS + RT_WHEEL_TICKS * RT_WHEEL_TICK, leave);
    assert_int_equal(told, 2);
}

static void a_time_beyond_a_round_is_passed_over_until_it_comes(void **state)
{
    rt_wheel_item item;

    hang(&item, 1100 * MS + RT_WHEEL_TICKS * RT_WHEEL_TICK);
    rt_wheel_turn(&wheel, 1200 * MS, take);
    assert_int_equal(told, 0);
    rt_wheel_turn(&wheel, 1100 * MS + RT_WHEEL_TICKS * RT_WHEEL_TICK, take);
    assert_int_equal(told, 1);
}

static void a_wheel_that_stood_still_misses_nobody(void **state)
{
    rt_wheel_item item[50];
    int i;

    for (i = 0; i < 50; i++) {
        hang(&item[i], (1000 + i * 700) * MS);
    }
    rt_wheel_turn(&wheel, 10000000 * (apr_time_t)MS, take);
    assert_int_equal(told, 50);
    hang(&item[0], 10000000 * (apr_time_t)MS + 1);
    rt_wheel_turn(&wheel, 10000010 * (apr_time_t)MS, take);
    assert_int_equal(told, 51);
}

static void it_says_when_to_turn_it_next(void **state)
{
    rt_wheel_item item[2];

    assert_int_equal(rt_wheel_next(&wheel, 1000 * MS + 9 * RT_WHEEL_TICK - 1),
                     1000 * MS + 9 * RT_WHEEL_TICK);
    hang(&item[0], 1040 * MS + 1);
    assert_int_equal(rt_wheel_next(&wheel, 1040 * MS), 1040 * MS);
    assert_int_equal(rt_wheel_next(&wheel, 1050 * MS), 1040 * MS + RT_WHEEL_TICK);
    hang(&item[1], 10 * MS);
    assert_int_equal(rt_wheel_next(&wheel, 1050 * MS), 1000 * MS + RT_WHEEL_TICK);
    rt_wheel_turn(&wheel, 1020 * MS, take);
    assert_int_equal(rt_wheel_next(&wheel, 1050 * MS), 1040 * MS + RT_WHEEL_TICK);
    /* it stood still: what was missed is due now, and a time that is past says so */
    assert_int_equal(rt_wheel_next(&wheel, 1010 * MS), 1020 * MS + RT_WHEEL_TICK);
}

#define wheel_test(fn) cmocka_unit_test_setup(fn, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        wheel_test(each_is_told_of_at_its_time_and_not_before),
        wheel_test(what_is_past_is_due_at_the_next_tick),
        wheel_test(what_was_removed_is_not_told_of),
        wheel_test(who_is_not_removed_is_told_of_once_a_round),
        wheel_test(a_time_beyond_a_round_is_passed_over_until_it_comes),
        wheel_test(a_wheel_that_stood_still_misses_nobody),
        wheel_test(it_says_when_to_turn_it_next),
    };

    return unit_run(tests);
}
