/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "rt_interest.h"

#define WAYS 8 /* of a bucket */

/* In a block of its exact size, so that ASan sees an entry too many. */
static rt_interest *make(apr_uint32_t buckets)
{
    return rt_interest_init(calloc(1, rt_interest_bytes(buckets)), buckets);
}

static void counts_who_joins_and_leaves(void **state)
{
    rt_interest *table = make(4);

    assert_int_equal(rt_interest_count(table, 1), 0);
    assert_int_equal(rt_interest_children(table, 1), 0);
    assert_true(rt_interest_join(table, 1, 0));
    assert_true(rt_interest_join(table, 1, 0));
    assert_true(rt_interest_join(table, 1, RT_CHILDREN - 1));
    assert_int_equal(rt_interest_count(table, 1), 3);
    assert_int_equal(rt_interest_children(table, 1), 0x80000001);
    rt_interest_leave(table, 1, 0);
    assert_int_equal(rt_interest_children(table, 1), 0x80000001);
    rt_interest_leave(table, 1, 0);
    assert_int_equal(rt_interest_children(table, 1), 0x80000000);
    assert_int_equal(rt_interest_count(table, 1), 1);
    free(table);
}

static void leaving_without_having_joined_changes_nothing(void **state)
{
    rt_interest *table = make(4);

    rt_interest_leave(table, 1, 0);
    assert_int_equal(rt_interest_count(table, 1), 0);
    assert_true(rt_interest_join(table, 1, 0));
    rt_interest_leave(table, 1, 1);
    rt_interest_leave(table, 5, 0);
    assert_int_equal(rt_interest_count(table, 1), 1);
    free(table);
}

static void keys_of_a_bucket_are_told_apart(void **state)
{
    rt_interest *table = make(4);
    apr_uint64_t n;

    for (n = 0; n < WAYS; n++) {
        assert_true(rt_interest_join(table, 2 + 4 * n, (int)n));
    }
    for (n = 0; n < WAYS; n++) {
        assert_int_equal(rt_interest_count(table, 2 + 4 * n), 1);
        assert_int_equal(rt_interest_children(table, 2 + 4 * n), 1U << n);
    }
    assert_int_equal(rt_interest_count(table, 2 + 4 * WAYS), 0);
    free(table);
}

/* Keys whose two buckets of four are both the last one */
static apr_uint64_t last_bucket(apr_uint64_t n)
{
    return ((apr_uint64_t)3 << 32) + 3 + 4 * n;
}

static void a_full_bucket_refuses_and_room_is_used_again(void **state)
{
    rt_interest *table = make(4);
    apr_uint64_t n;

    for (n = 0; n < WAYS; n++) {
        assert_true(rt_interest_join(table, last_bucket(n), 1));
    }
    assert_false(rt_interest_join(table, last_bucket(WAYS), 1));
    assert_true(rt_interest_join(table, last_bucket(0), 1));
    assert_true(rt_interest_join(table, 1, 1));
    rt_interest_leave(table, last_bucket(5), 1);
    assert_true(rt_interest_join(table, last_bucket(WAYS), 2));
    assert_int_equal(rt_interest_count(table, last_bucket(5)), 0);
    assert_int_equal(rt_interest_children(table, last_bucket(WAYS)), 1 << 2);
    free(table);
}

/* Keys are hashes: splitmix64 of 1, 2, 3 … stands for them */
static apr_uint64_t hashed(apr_uint64_t n)
{
    apr_uint64_t z = n * 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static void a_table_has_room_for_as_many_keys_as_it_was_made_for(void **state)
{
    apr_uint64_t keys, n;
    int round;

    for (keys = 1; keys < 100000; keys = keys * 3 + 1) {
        for (round = 0; round < 20; round++) {
            rt_interest *table = make(rt_interest_buckets(keys));

            for (n = 1; n <= keys; n++) {
                assert_true(rt_interest_join(table, hashed(n + 1000000 * (apr_uint64_t)round), 1));
            }
            for (n = 1; n <= keys; n++) {
                assert_int_equal(
                    rt_interest_count(table, hashed(n + 1000000 * (apr_uint64_t)round)), 1);
            }
            free(table);
        }
    }
}

static void a_child_may_have_65535_polls_a_key_and_no_more(void **state)
{
    rt_interest *table = make(1);
    int n;

    for (n = 0; n < UINT16_MAX; n++) {
        assert_true(rt_interest_join(table, 9, 4));
    }
    assert_false(rt_interest_join(table, 9, 4));
    assert_true(rt_interest_join(table, 9, 5));
    assert_int_equal(rt_interest_count(table, 9), UINT16_MAX + 1);
    free(table);
}

static void a_dead_child_is_forgotten_everywhere_and_nobody_else_is(void **state)
{
    rt_interest *table = make(16);
    apr_uint64_t key;

    for (key = 0; key < 4 * WAYS; key++) {
        assert_true(rt_interest_join(table, key, 7));
        if (key % 2) {
            assert_true(rt_interest_join(table, key, 8));
        }
    }
    rt_interest_forget(table, 7);
    for (key = 0; key < 4 * WAYS; key++) {
        assert_int_equal(rt_interest_count(table, key), key % 2);
        assert_int_equal(rt_interest_children(table, key), key % 2 ? 1 << 8 : 0);
    }
    assert_true(rt_interest_join(table, 4 * WAYS, 7));
    free(table);
}

/* Of the even keys one poll is left, of the others none */
static apr_uint16_t one_of_the_even(apr_uint64_t key)
{
    return key % 2 == 0;
}

static void a_child_counts_anew_what_it_could_not_take_back(void **state)
{
    rt_interest *table = make(4);
    apr_uint64_t key;

    for (key = 1; key <= 4; key++) {
        assert_true(rt_interest_join(table, key, 7));
        assert_true(rt_interest_join(table, key, 7));
        assert_true(rt_interest_join(table, key, 8));
    }
    rt_interest_recount(table, 7, one_of_the_even);
    for (key = 1; key <= 4; key++) {
        assert_int_equal(rt_interest_count(table, key), key % 2 ? 1 : 2);
        assert_int_equal(rt_interest_children(table, key), key % 2 ? 1 << 8 : 3 << 7);
    }
    rt_interest_recount(table, 9, one_of_the_even);
    assert_int_equal(rt_interest_count(table, 6), 0); /* nobody joins by being counted */
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_who_joins_and_leaves),
        cmocka_unit_test(leaving_without_having_joined_changes_nothing),
        cmocka_unit_test(keys_of_a_bucket_are_told_apart),
        cmocka_unit_test(a_full_bucket_refuses_and_room_is_used_again),
        cmocka_unit_test(a_table_has_room_for_as_many_keys_as_it_was_made_for),
        cmocka_unit_test(a_child_may_have_65535_polls_a_key_and_no_more),
        cmocka_unit_test(a_dead_child_is_forgotten_everywhere_and_nobody_else_is),
        cmocka_unit_test(a_child_counts_anew_what_it_could_not_take_back),
    };

    return unit_run(tests);
}
