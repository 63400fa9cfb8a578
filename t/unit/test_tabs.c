/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "rt_tabs.h"

#define WAYS 8

static rt_tabs *make(apr_uint32_t buckets)
{
    return rt_tabs_init(calloc(1, rt_tabs_bytes(buckets)), buckets);
}

static void tickets_ascend(void **state)
{
    rt_tabs *tabs = make(1);
    apr_uint64_t first = rt_tabs_draw(tabs), second = rt_tabs_draw(tabs);

    assert_true(first > 0 && second > first);
    free(tabs);
}

static void a_newer_poll_replaces_the_one_that_stays(void **state)
{
    rt_tabs *tabs = make(4);
    apr_uint64_t older = rt_tabs_draw(tabs), newer;

    assert_int_equal(rt_tabs_look(tabs, 7, older, 0), RT_TABS_NEWEST);
    assert_int_equal(rt_tabs_look(tabs, 7, older, 1), RT_TABS_NEWEST);
    assert_int_equal(rt_tabs_look(tabs, 7, older, 1), RT_TABS_NEWEST);
    newer = rt_tabs_draw(tabs);
    assert_int_equal(rt_tabs_look(tabs, 7, newer, 0), RT_TABS_REPLACES);
    assert_int_equal(rt_tabs_look(tabs, 7, newer, 1), RT_TABS_NEWEST);
    assert_int_equal(rt_tabs_look(tabs, 7, older, 1), RT_TABS_REPLACED);
    assert_int_equal(rt_tabs_look(tabs, 8, older, 1), RT_TABS_NEWEST);
    free(tabs);
}

/* One that is answered at once stays for nobody, but the older one has heard of it */
static void a_poll_that_does_not_stay_replaces_as_well(void **state)
{
    rt_tabs *tabs = make(4);
    apr_uint64_t older = rt_tabs_draw(tabs), newer = rt_tabs_draw(tabs);

    rt_tabs_look(tabs, 7, older, 1);
    assert_int_equal(rt_tabs_look(tabs, 7, newer, 0), RT_TABS_REPLACES);
    assert_int_equal(rt_tabs_look(tabs, 7, older, 1), RT_TABS_REPLACED);
    free(tabs);
}

static void who_leaves_is_replaced_by_nobody(void **state)
{
    rt_tabs *tabs = make(4);
    apr_uint64_t first = rt_tabs_draw(tabs), second = rt_tabs_draw(tabs);

    rt_tabs_look(tabs, 7, first, 1);
    rt_tabs_leave(tabs, 7, first);
    assert_int_equal(rt_tabs_look(tabs, 7, second, 0), RT_TABS_NEWEST);
    assert_int_equal(rt_tabs_look(tabs, 7, second, 1), RT_TABS_NEWEST);
    rt_tabs_leave(tabs, 7, first); /* the replaced one's leaving is not the newer one's */
    rt_tabs_leave(tabs, 8, second);
    assert_int_equal(rt_tabs_look(tabs, 7, first, 1), RT_TABS_REPLACED);
    free(tabs);
}

/* Two polls with tickets 1 and 2 each look twice, first not to stay, then to stay, and a third time
 * when they are rung; in every order of these six looks one stays: the newer */
static void in_any_order_exactly_the_newer_stays(void **state)
{
    int order, i, done[2], stays[2];

    for (order = 0; order < 64; order++) {
        rt_tabs *tabs = make(1);
        apr_uint64_t ticket[2] = { 0 };

        if (__builtin_popcount((unsigned)order) != 3) {
            free(tabs);
            continue;
        }
        done[0] = done[1] = 0;
        stays[0] = stays[1] = 1;
        for (i = 0; i < 6; i++) {
            int who = order >> i & 1;

            ticket[who] = ticket[who] ? ticket[who] : rt_tabs_draw(tabs);
            if (stays[who]
                && rt_tabs_look(tabs, 9, ticket[who], done[who]++ > 0) == RT_TABS_REPLACED) {
                stays[who] = 0;
            }
        }
        /* whoever was told that it replaces rings the other, which looks once more */
        for (i = 0; i < 2; i++) {
            stays[i] = stays[i] && rt_tabs_look(tabs, 9, ticket[i], 1) != RT_TABS_REPLACED;
        }
        assert_int_equal(stays[0], ticket[0] > ticket[1]);
        assert_int_equal(stays[1], ticket[1] > ticket[0]);
        free(tabs);
    }
}

static void a_full_bucket_forgets_its_oldest(void **state)
{
    rt_tabs *tabs = make(1);
    apr_uint64_t key, ticket[WAYS + 2];

    for (key = 1; key <= WAYS + 1; key++) {
        ticket[key] = rt_tabs_draw(tabs);
        assert_int_equal(rt_tabs_look(tabs, key, ticket[key], 1), RT_TABS_NEWEST);
    }
    for (key = 2; key <= WAYS + 1; key++) {
        assert_int_equal(rt_tabs_look(tabs, key, rt_tabs_draw(tabs), 0), RT_TABS_REPLACES);
    }
    assert_int_equal(rt_tabs_look(tabs, 1, rt_tabs_draw(tabs), 0), RT_TABS_NEWEST);
    rt_tabs_leave(tabs, 5, rt_tabs_draw(tabs) - 1); /* harmless: not its ticket */
    free(tabs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets_ascend),
        cmocka_unit_test(a_newer_poll_replaces_the_one_that_stays),
        cmocka_unit_test(a_poll_that_does_not_stay_replaces_as_well),
        cmocka_unit_test(who_leaves_is_replaced_by_nobody),
        cmocka_unit_test(in_any_order_exactly_the_newer_stays),
        cmocka_unit_test(a_full_bucket_forgets_its_oldest),
    };

    return unit_run(tests);
}
