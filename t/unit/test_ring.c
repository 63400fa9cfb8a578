/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

static int ring_up(void **state)
{
    *state = rt_ring_init(malloc(rt_ring_bytes(SLOTS, DATA)), SLOTS, DATA, 1, seed);
    return 0;
}

static int ring_down(void **state)
{
    free(*state);
    return 0;
}

static void a_full_ring_keeps_each_orgs_newest_in_order(void **state)
{
    rt_ring *ring = *state;
    int last[5] = { 0 }, i, org;
    apr_uint64_t at[KEEP], id, before = 0;
    rt_ring_usage usage = { 0 };

    rt_ring_use(ring, &usage);
    assert_int_equal(usage.bytes_used + usage.slots_used + usage.evicted, 0);
    memset(&usage, 0, sizeof(usage));
    for (i = 1; i <= 5000; i++) {
        org = 1 + i * i % 5;
        assert_int_equal(add(ring, org, i, &keep, &id), APR_SUCCESS);
        assert_true(id > before);
        before = id;
        last[org - 1] = i;
    }
    rt_ring_use(ring, &usage);
    assert_true(usage.evicted > 4000 && usage.slots == SLOTS && usage.slots_used == 3);
    assert_true(usage.bytes <= DATA && usage.bytes_used <= usage.bytes
                && usage.bytes_used > usage.bytes / 2);
    for (org = 1; org <= 5; org++) {
        rt_ring_key key = key_of(org);
        int gap, n = rt_ring_scan(ring, &key, 0, &keep, at, &gap), newer = last[org - 1];

        if (!newer) {
            assert_int_equal(n, 0);
            continue;
        }
        assert_true(n > 1 && gap);
        assert_int_equal(number_of(rt_ring_record(ring, at[0]), org), newer);
        for (i = 1; i < n; i++) {
            int older = number_of(rt_ring_record(ring, at[i]), org);

            assert_true(older < newer);
            newer = older;
        }
    }
}

static void only_a_reader_who_missed_something_sees_a_gap(void **state)
{
    rt_ring_keep few = { 3, 1000, 0 };
    rt_ring *ring = *state;
    rt_ring_key key = key_of(7), silent = key_of(8);
    apr_uint64_t at[KEEP], id[6];
    int gap, i;

    assert_int_equal(rt_ring_scan(ring, &key, 0, &few, at, &gap), 0);
    assert_int_equal(gap, 0);
    for (i = 1; i <= 5; i++) {
        add(ring, 7, i, &few, &id[i]);
    }
    assert_int_equal(rt_ring_scan(ring, &key, id[2], &few, at, &gap), 3);
    assert_int_equal(gap, 0);
    assert_int_equal(rt_ring_scan(ring, &key, id[1], &few, at, &gap), 3);
    assert_int_equal(gap, 1);
    assert_int_equal(rt_ring_scan(ring, &key, id[5], &few, at, &gap), 0);
    assert_int_equal(gap, 0);
    assert_int_equal(rt_ring_scan(ring, &key, id[5] + 1, &few, at, &gap), 0);
    assert_int_equal(gap, 1);
    assert_int_equal(rt_ring_scan(ring, &silent, id[1], &few, at, &gap), 0);
    assert_int_equal(gap, 0);
    few.now = 1000; /* as old as may be, then one older */
    assert_int_equal(rt_ring_scan(ring, &key, id[4], &few, at, &gap), 1);
    assert_int_equal(gap, 0);
    few.now = 1001;
    assert_int_equal(rt_ring_scan(ring, &key, id[4], &few, at, &gap), 0);
    assert_int_equal(gap, 1);
    assert_int_equal(rt_ring_scan(ring, &key, id[5], &few, at, &gap), 0);
    assert_int_equal(gap, 0);
}

/* More orgs than slots: the one whose slot was taken is told, never shown another's events */
static void an_org_that_lost_its_slot_sees_a_gap(void **state)
{
    rt_ring *ring = *state;
    apr_uint64_t at[KEEP], id[501];
    rt_ring_usage usage = { 0 };
    int org, gap, lost = 0;

    for (org = 1; org <= 500; org++) {
        assert_int_equal(add(ring, org, org, &keep, &id[org]), APR_SUCCESS);
    }
    for (org = 1; org <= 500; org++) {
        rt_ring_key key = key_of(org);
        int n = rt_ring_scan(ring, &key, id[org] - 1, &keep, at, &gap);

        assert_true(n == 1 || gap);
        if (n == 1) {
            assert_int_equal(number_of(rt_ring_record(ring, at[0]), org), org);
        }
        lost += n == 0;
    }
    assert_true(lost >= 500 - SLOTS);
    rt_ring_use(ring, &usage);
    assert_true(usage.slots_used <= SLOTS && usage.slots_used >= (apr_uint64_t)(500 - lost));
}

static void a_known_event_id_is_dropped_within_its_org_and_domain(void **state)
{
    rt_ring *ring = *state;
    rt_ring_key other = { "tickets", 1 };
    rt_ring_event event = { 0, "a.b", "e1", NULL, "{}", 2 };
    apr_uint64_t first, id;

    assert_int_equal(add(ring, 1, 1, &keep, &first), APR_SUCCESS);
    assert_int_equal(add(ring, 1, 1, &keep, &id), APR_EEXIST);
    assert_true(id == first);
    assert_int_equal(add(ring, 2, 1, &keep, &id), APR_SUCCESS);
    assert_int_equal(rt_ring_append(ring, &other, &event, &keep, &id), APR_SUCCESS);
}

static void what_does_not_fit_is_refused(void **state)
{
    rt_ring *ring = *state;
    rt_ring_key key = { "a-domain-with-a-name-of-32-chars", 1 }, good = key_of(1);
    rt_ring_event event = { 0, "a.b", "e1", NULL, "", DATA };
    apr_uint64_t id;

    assert_int_equal(rt_ring_append(ring, &key, &event, &keep, &id), APR_EINVAL);
    assert_int_equal(rt_ring_append(ring, &good, &event, &keep, &id), APR_ENOSPC);
    assert_true(rt_ring_last_id(ring) == 0);
}

static void fill_again(rt_ring *ring, int orgs)
{
    apr_uint64_t id;
    int org;

    for (org = 1; org <= orgs; org++) {
        assert_int_equal(add(ring, org, orgs + org, &keep, &id), APR_SUCCESS);
    }
}

static void idle_slots_are_given_back_some_a_call_and_never_in_silence(void **state)
{
    rt_ring_keep later = { KEEP, 1000, 500 };
    rt_ring_key polled = key_of(3), told = key_of(5), gone = key_of(9);
    rt_ring *ring = *state;
    apr_uint64_t at[KEEP], id, newest;
    int gap;

    fill(ring, 10); /* more would share windows, and take one another's slots */
    assert_int_equal(found_or_missed(ring, 10), 10);
    assert_int_equal(rt_ring_give_back(ring, SLOTS, 0), 0); /* used at 0 is not before 0 */
    assert_int_equal(rt_ring_visit(ring, &polled, &later, &newest), 1);
    assert_int_equal(add(ring, 5, 11, &later, &id), APR_SUCCESS);
    assert_int_equal(rt_ring_give_back(ring, SLOTS, 500), 8);
    assert_int_equal(found_or_missed(ring, 10), 2);
    assert_int_equal(rt_ring_scan(ring, &told, 4, &keep, at, &gap), 2);
    assert_int_equal(gap, 0);
    /* who has all of it misses nothing, whether the slot is there or not */
    assert_int_equal(rt_ring_scan(ring, &gone, 11, &keep, at, &gap), 0);
    assert_int_equal(gap, 0);
    /* an org that comes back has its new events, and no hole where the old ones were */
    assert_int_equal(add(ring, 9, 12, &later, &id), APR_SUCCESS);
    assert_int_equal(rt_ring_scan(ring, &gone, 8, &later, at, &gap), 1);
    assert_int_equal(gap, 1);
    assert_int_equal(rt_ring_scan(ring, &gone, 11, &later, at, &gap), 1);
    assert_int_equal(gap, 0);
    assert_int_equal(rt_ring_visit(ring, &gone, &later, &newest),
                     1); /* the burst before is forgotten */
    assert_int_equal(newest, id);
    assert_int_equal(rt_ring_give_back(ring, 2 * SLOTS, 501), 3);
    assert_int_equal(rt_ring_give_back(ring, SLOTS, 501), 0);
}

/* A call looks at 64 slots, and the next goes on */
static void a_call_looks_at_some_slots_and_the_next_goes_on(void **state)
{
    rt_ring *ring = rt_ring_init(malloc(rt_ring_bytes(4 * SLOTS, DATA)), 4 * SLOTS, DATA, 1, seed);
    apr_uint32_t given = 0, once;
    int i;

    fill(ring, 40);
    for (i = 0; i < 4; i++) {
        once = rt_ring_give_back(ring, SLOTS, 1);
        assert_in_range(once, 1, 39);
        given += once;
    }
    assert_int_equal(given, 40);
    assert_int_equal(found_or_missed(ring, 40), 0);
    fill_again(ring, 40);
    assert_int_equal(rt_ring_give_back(ring, 4 * SLOTS, 1), 40);
    free(ring);
}

/* Nobody who published nothing can have lived where these two did, but by chance: 8 of 64 places
 * each */
static void what_is_given_back_is_a_gap_to_few_others(void **state)
{
    rt_ring *ring = *state;
    apr_uint64_t at[KEEP];
    int org, gap, gaps = 0;

    fill(ring, 2);
    assert_int_equal(rt_ring_give_back(ring, SLOTS, 1), 2);
    assert_int_equal(found_or_missed(ring, 2), 0);
    for (org = 1001; org <= 1400; org++) {
        rt_ring_key silent = key_of(org);

        assert_int_equal(rt_ring_scan(ring, &silent, 0, &keep, at, &gap), 0);
        gaps += gap;
    }
    assert_in_range(gaps, 1, 200);
}

#define ring_test(fn) cmocka_unit_test_setup_teardown(fn, ring_up, ring_down)

/* Where an org that comes to an empty ring gets its slot: the first of those it may live in */
static size_t first_place(apr_int64_t org)
{
    size_t one = rt_ring_bytes(2, 0) - rt_ring_bytes(1, 0), at, end = rt_ring_bytes(SLOTS, 0) - 8;
    char *block = malloc(rt_ring_bytes(SLOTS, DATA));
    rt_ring *ring = rt_ring_init(block, SLOTS, DATA, 1, seed);
    apr_uint64_t id;

    assert_int_equal(add(ring, org, 1, &keep, &id), APR_SUCCESS);
    for (at = end - SLOTS * one; at < end && memcmp(block + at, &org, sizeof(org)); at += one) {
    }
    assert_true(at < end);
    free(block);
    return (at - (end - SLOTS * one)) / one;
}

static apr_uint64_t slots_used(const rt_ring *ring)
{
    rt_ring_usage sum = { 0 };

    rt_ring_use(ring, &sum);
    return sum.slots_used;
}

/* B35: whoever knew one start's seed could have orgs take one another's slots, in one window; under
 * another seed the same orgs are all over the ring */
static void orgs_that_collide_under_one_seed_do_not_under_another(void **state)
{
    static const apr_uint64_t another[2] = { 33, 44 };
    rt_ring *spread = rt_ring_init(malloc(rt_ring_bytes(SLOTS, DATA)), SLOTS, DATA, 1, another);
    apr_int64_t org;
    apr_uint64_t id;
    int found = 0;

    for (org = 1; found < 100; org++) {
        if (first_place(org) == 7) {
            found++;
            assert_int_equal(add(*state, org, 1, &keep, &id), APR_SUCCESS);
            assert_int_equal(add(spread, org, 1, &keep, &id), APR_SUCCESS);
        }
    }
    assert_int_equal(slots_used(*state), 8);
    assert_in_range(slots_used(spread), SLOTS * 3 / 4, SLOTS);
    free(spread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ring_test(a_full_ring_keeps_each_orgs_newest_in_order),
        ring_test(only_a_reader_who_missed_something_sees_a_gap),
        ring_test(an_org_that_lost_its_slot_sees_a_gap),
        ring_test(a_known_event_id_is_dropped_within_its_org_and_domain),
        ring_test(what_does_not_fit_is_refused),
        ring_test(idle_slots_are_given_back_some_a_call_and_never_in_silence),
        ring_test(what_is_given_back_is_a_gap_to_few_others),
        cmocka_unit_test(a_call_looks_at_some_slots_and_the_next_goes_on),
        ring_test(orgs_that_collide_under_one_seed_do_not_under_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
