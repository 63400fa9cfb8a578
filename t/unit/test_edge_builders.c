/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "stepped.h"

#include <pthread.h>
#include <stdatomic.h>

#include "edge_builders.h"
#include "og_clock.h"
#include "og_shm.h"

#define NOW apr_time_from_sec(1000)

static const unsigned char seed[APR_SIPHASH_KSIZE] = { 1, 2, 3 };
static const unsigned char key[EDGE_BUILDERS_KEY] = { 42 }, other[EDGE_BUILDERS_KEY] = { 43 };

static og_shm_head *head;
static edge_builders *builders;

static int up(void **state)
{
    if (og_shm_make(&head, 1, 1, 64 + edge_builders_bytes()) != APR_SUCCESS) {
        return -1;
    }
    builders = edge_builders_init((char *)head + 64, seed);
    return builders ? 0 : -1;
}

static int down(void **state)
{
    og_shm_drop(head);
    return 0;
}

static edge_building begin(const unsigned char *of, apr_uint64_t epoch, edge_build *build)
{
    return edge_builders_begin(builders, of, epoch, NOW, build);
}

static void one_builds(void **state)
{
    edge_build first, second, third;

    assert_int_equal(begin(key, 1, &first), EDGE_BUILDING_MINE);
    assert_int_equal(begin(key, 1, &second), EDGE_BUILDING_OTHERS);
    assert_int_equal(begin(key, 2, &third), EDGE_BUILDING_MINE);
    assert_int_equal(begin(other, 1, &second), EDGE_BUILDING_MINE);
    edge_builders_end(builders, &first);
    assert_int_equal(begin(key, 1, &second), EDGE_BUILDING_MINE);
    /* who is done is done: the mark is another's by now */
    edge_builders_end(builders, &first);
    assert_int_equal(begin(key, 1, &third), EDGE_BUILDING_OTHERS);
}

static void who_gives_up_is_replaced(void **state)
{
    edge_build first, second, third;

    assert_int_equal(begin(key, 1, &first), EDGE_BUILDING_MINE);
    assert_int_equal(begin(key, 1, &third), EDGE_BUILDING_OTHERS);
    edge_builders_give_up(builders, &first);
    edge_builders_wait(builders, &third, apr_time_from_sec(1)); /* it was woken: by its word */
    assert_int_equal(begin(key, 1, &second), EDGE_BUILDING_MINE);
    edge_builders_give_up(builders, &first);
    assert_int_equal(begin(key, 1, &first), EDGE_BUILDING_OTHERS);
    assert_int_equal(first.turn, third.turn);
    /* but behind one that is done it is another turn */
    edge_builders_end(builders, &second);
    assert_int_equal(begin(key, 1, &second), EDGE_BUILDING_MINE);
    assert_int_equal(begin(key, 1, &first), EDGE_BUILDING_OTHERS);
    assert_int_not_equal(first.turn, third.turn);
}

static void a_lease_ends(void **state)
{
    edge_build build;

    assert_int_equal(begin(key, 1, &build), EDGE_BUILDING_MINE);
    assert_int_equal(edge_builders_begin(builders, key, 1, NOW + EDGE_BUILDERS_LEASE - 1, &build),
                     EDGE_BUILDING_OTHERS);
    assert_int_equal(edge_builders_begin(builders, key, 1, NOW + EDGE_BUILDERS_LEASE, &build),
                     EDGE_BUILDING_MINE);
}

/* For a time, and for that epoch; who builds all the same, or another key in its place, ends it. */
static void a_refusal_is_remembered(void **state)
{
    edge_build build, another;

    assert_false(edge_builders_refused(builders, key, 1, NOW));
    assert_int_equal(begin(key, 1, &build), EDGE_BUILDING_MINE);
    assert_false(edge_builders_refused(builders, key, 1, NOW));
    edge_builders_refuse(builders, &build, NOW);
    assert_true(edge_builders_refused(builders, key, 1, NOW));
    assert_true(edge_builders_refused(builders, key, 1, NOW + EDGE_BUILDERS_REFUSAL - 1));
    assert_false(edge_builders_refused(builders, key, 1, NOW + EDGE_BUILDERS_REFUSAL));
    assert_false(edge_builders_refused(builders, key, 2, NOW));
    assert_false(edge_builders_refused(builders, other, 1, NOW));
    assert_int_equal(begin(key, 1, &another), EDGE_BUILDING_MINE);
    assert_false(edge_builders_refused(builders, key, 1, NOW));
    /* who is done is done */
    edge_builders_refuse(builders, &build, NOW);
    assert_false(edge_builders_refused(builders, key, 1, NOW));
    edge_builders_end(builders, &another);
    assert_false(edge_builders_refused(builders, key, 1, NOW));
}

/* However many are refused: a mark that remembers is a mark that is free. */
static void refusals_are_bounded(void **state)
{
    enum { ALL = EDGE_BUILDERS_GROUPS * EDGE_BUILDERS_MARKS };
    unsigned char of[EDGE_BUILDERS_KEY] = { 0 };
    unsigned n, remembered = 0;
    edge_build build;

    for (n = 1; n <= 4 * ALL; n++) {
        memcpy(of, &n, sizeof(n));
        assert_int_equal(begin(of, 1, &build), EDGE_BUILDING_MINE);
        edge_builders_refuse(builders, &build, NOW + n);
    }
    assert_true(edge_builders_refused(builders, of, 1, NOW + n));
    for (n = 1; n <= 4 * ALL; n++) {
        memcpy(of, &n, sizeof(n));
        remembered += (unsigned)edge_builders_refused(builders, of, 1, NOW + 4 * ALL);
    }
    assert_int_equal(remembered, ALL);
}

/* Without a mark each builds for himself; no mark is lost by that. */
static void marks_are_bounded(void **state)
{
    static edge_build builds[4 * EDGE_BUILDERS_GROUPS * EDGE_BUILDERS_MARKS];
    unsigned char of[EDGE_BUILDERS_KEY] = { 0 };
    unsigned n, round, mine[2] = { 0, 0 };
    unsigned all = sizeof(builds) / sizeof(builds[0]);

    for (round = 0; round < 2; round++) {
        for (n = 0; n < all; n++) {
            memcpy(of, &n, sizeof(n));
            mine[round] += begin(of, round, &builds[n]) == EDGE_BUILDING_MINE;
        }
        for (n = 0; n < all; n++) {
            if (builds[n].ticket) {
                edge_builders_end(builders, &builds[n]);
            }
        }
    }
    assert_in_range(mine[0], all / 8, all / 4);
    assert_int_equal(mine[0], mine[1]);
}

static void *wait_for_it(void *until_done)
{
    edge_build build;
    apr_size_t rounds = 0;

    while (begin(key, 1, &build) == EDGE_BUILDING_OTHERS) {
        edge_builders_wait(builders, &build, apr_time_from_sec(10));
        rounds++;
    }
    edge_builders_end(builders, &build);
    atomic_fetch_add((atomic_int *)until_done, 1);
    return (void *)rounds;
}

static void who_waits_is_woken(void **state)
{
    pthread_t threads[8];
    atomic_int done = 0;
    edge_build build;
    apr_time_t began;
    int i;

    assert_int_equal(begin(key, 1, &build), EDGE_BUILDING_MINE);
    for (i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_it, &done), 0);
    }
    /* two rounds: they sleep, and sleep again */
    began = og_clock_mono();
    while (og_clock_mono() < began + 2 * EDGE_BUILDERS_ROUND) {
        edge_builders_wait(builders, &(edge_build){ 0, build.group, build.mark, 0 }, 10000);
    }
    assert_int_equal(atomic_load(&done), 0);
    edge_builders_end(builders, &build);
    for (i = 0; i < 8; i++) {
        void *rounds;

        pthread_join(threads[i], &rounds);
        assert_true(rounds != NULL);
    }
    assert_int_equal(atomic_load(&done), 8);
}

/* The mark's word changes between the question and the sleep: there is none then. Once in some
 * tries, since a loaded machine may take its time. */
static void no_wake_is_missed(void **state)
{
    apr_time_t least = apr_time_from_sec(10);
    int tries;

    for (tries = 0; tries < 20; tries++) {
        edge_build first, second;
        apr_time_t began, took;

        assert_int_equal(begin(key, 1, &first), EDGE_BUILDING_MINE);
        assert_int_equal(begin(key, 1, &second), EDGE_BUILDING_OTHERS);
        edge_builders_end(builders, &first);
        began = og_clock_mono();
        edge_builders_wait(builders, &second, EDGE_BUILDERS_ROUND);
        took = og_clock_mono() - began;
        least = took < least ? took : least;
    }
    assert_true(least < EDGE_BUILDERS_ROUND);
}

static void a_builder_that_was_killed_is_replaced(void **state)
{
    edge_build build;
    int status;
    pid_t pid = fork();

    if (!pid) {
        begin(key, 1, &build);
        raise(SIGSTOP);
    }
    waitpid(pid, &status, WUNTRACED);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(begin(key, 1, &build), EDGE_BUILDING_OTHERS);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_equal(begin(key, 1, &build), EDGE_BUILDING_MINE);
}

static void build_it(void *data)
{
    edge_build build;

    if (begin(key, 1, &build) == EDGE_BUILDING_MINE) {
        edge_builders_end(builders, &build);
    }
}

static void a_death_at_any_place_holds_nobody(void **state)
{
    edge_build build;
    int steps = 0;

    while (stepped_dies(build_it, NULL, steps += stepped_stride(17, steps))) {
        assert_int_equal(begin(key, 1, &build), EDGE_BUILDING_MINE);
        edge_builders_end(builders, &build);
    }
    assert_true(steps > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_builds, up, down),
        cmocka_unit_test_setup_teardown(who_gives_up_is_replaced, up, down),
        cmocka_unit_test_setup_teardown(a_lease_ends, up, down),
        cmocka_unit_test_setup_teardown(a_refusal_is_remembered, up, down),
        cmocka_unit_test_setup_teardown(refusals_are_bounded, up, down),
        cmocka_unit_test_setup_teardown(marks_are_bounded, up, down),
        cmocka_unit_test_setup_teardown(who_waits_is_woken, up, down),
        cmocka_unit_test_setup_teardown(no_wake_is_missed, up, down),
        cmocka_unit_test_setup_teardown(a_builder_that_was_killed_is_replaced, up, down),
        cmocka_unit_test_setup_teardown(a_death_at_any_place_holds_nobody, up, down),
    };

    return unit_run(tests);
}
