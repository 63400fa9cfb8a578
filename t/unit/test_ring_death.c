/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Rings in shared memory whose writers die: by kill -9 while they work, and at each store. */
#include "stepped.h"

#include <errno.h>

#include "og_lock.h"
#include "og_shm.h"
#include "ring.h"

/* The segment of the hammering test: two processes, one lock, one ring */
typedef struct shared {
    og_shm_head head;
    pthread_mutex_t lock;
    apr_uint64_t done[2];  /* newest id each writer has seen committed */
    int dead, torn;
    apr_uint64_t ring[1];
} shared;

static int take(shared *s)
{
    int rv = og_lock_take(&s->lock, 5 * APR_USEC_PER_SEC);

    if (rv == EOWNERDEAD) {
        s->dead++;
        s->torn += rt_ring_repair((rt_ring *)s->ring);
        rv = og_lock_repaired(&s->lock);
    }
    return rv;
}

/* Numbers differ from round to round: an eventId of the last one would be a duplicate */
static void hammer(shared *s, int who, int round)
{
    int n = round % 4096 << 18;

    for (;; n++) {
        if (take(s) != 0 || add((rt_ring *)s->ring, who + 1, n, &keep, &s->done[who])
                                != APR_SUCCESS) {
            _exit(1);
        }
        og_lock_give(&s->lock);
    }
}

/* All that is in the ring is whole, the org's own, and descending; nothing committed is missing */
static void check(shared *s)
{
    rt_ring *ring = (rt_ring *)s->ring;
    apr_uint64_t at[KEEP], below;
    int who, i, n, gap;

    for (who = 0; who < 2; who++) {
        rt_ring_key key = key_of(who + 1);

        n = rt_ring_scan(ring, &key, 0, &keep, at, &gap);
        below = APR_UINT64_MAX;
        for (i = 0; i < n; i++) {
            const rt_record *record = rt_ring_record(ring, at[i]);

            assert_true(record->id < below && record->id <= rt_ring_last_id(ring));
            below = record->id;
            number_of(record, who + 1);
        }
        /* one writer alone may have overwritten all of a dead one's */
        assert_true(n == 0 || rt_ring_record(ring, at[0])->id >= s->done[who]);
        assert_true(n > 0 || gap || !s->done[who]);
    }
}

static void a_killed_writer_leaves_a_whole_ring(void **state)
{
    apr_size_t size = sizeof(shared) + rt_ring_bytes(SLOTS, DATA);
    og_shm_head *head;
    shared *s;
    int round, who;

    assert_int_equal(og_shm_make(&head, 0x7274, 1, size), APR_SUCCESS);
    assert_true(og_shm_fits(head, 0x7274, 1, size));
    assert_false(og_shm_fits(head, 0x7274, 2, size) || og_shm_fits(head, 0x7274, 1, size - 1));
    s = (shared *)head;
    assert_int_equal(og_lock_init(&s->lock), 0);
    rt_ring_init(s->ring, SLOTS, DATA, 1, seed);
    /* Until three died inside an append, which about one round in a hundred shows */
    for (round = 0; s->torn < 3 && round < 20000; round++) {
        pid_t pids[2];
        apr_uint64_t from = rt_ring_last_id((rt_ring *)s->ring);
        for (who = 0; who < 2; who++) {
            pids[who] = fork();
            assert_true(pids[who] >= 0);
            if (!pids[who]) {
                hammer(s, who, round);
            }
        }
        while (__atomic_load_n(&s->done[round % 2], __ATOMIC_SEQ_CST) <= from + 20) {
            usleep(50);
        }
        for (who = 0; who < 2; who++) {
            int status;

            kill(pids[who], SIGKILL);
            assert_int_equal(waitpid(pids[who], &status, 0), pids[who]);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
        assert_int_equal(take(s), 0);
        check(s);
        og_lock_give(&s->lock);
    }
    print_message("# %d holders died, %d in the middle of an append\n", s->dead, s->torn);
    assert_true(s->torn >= 3); /* a round may end with both writers inside one */
    og_shm_drop(head);
}

/* A ring whose writer dies at each store, and how many of the deaths left it as it was before the
 * work, and as it is behind some of it */
typedef struct deaths {
    rt_ring *ring;
    int before, after;
} deaths;

/* What the next holder finds after a death at this store: repaired, all is as before the append or
 * as after it, and the next append harms nobody */
static void dies_here(void *copy, void *data)
{
    deaths *seen = data;
    rt_ring *ring = copy;
    rt_ring_usage usage = { 0 };
    apr_uint64_t at[KEEP], id;
    rt_ring_key key;
    int org, gap, i, n;

    seen->before += rt_ring_repair(ring);
    seen->after += rt_ring_last_id(ring) > 300;
    assert_int_equal(add(ring, 3, 1000000, &keep, &id), APR_SUCCESS);
    rt_ring_use(ring, &usage);
    assert_int_equal(usage.slots_used, 3);
    for (org = 1; org <= 2; org++) {
        key = key_of(org);
        n = rt_ring_scan(ring, &key, 0, &keep, at, &gap);
        assert_true(n > 1);
        for (i = 0; i < n; i++) {
            const rt_record *record = rt_ring_record(ring, at[i]);

            assert_int_equal(number_of(record, org), record->id);
        }
        i = (int)rt_ring_last_id(ring) - 1; /* the newest before org 3's, of org 1 when odd */
        assert_int_equal(rt_ring_record(ring, at[0])->id, i % 2 == org % 2 ? i : i - 1);
    }
}

static rt_ring *make_shared(og_shm_head **head)
{
    assert_int_equal(og_shm_make(head, 1, 1, sizeof(og_shm_head) + rt_ring_bytes(SLOTS, DATA)),
                     APR_SUCCESS);
    return rt_ring_init(*head + 1, SLOTS, DATA, 1, seed);
}

static void add_ten(void *data)
{
    const deaths *seen = data;
    apr_uint64_t id;
    int n;

    for (n = 301; n <= 310; n++) {
        add(seen->ring, 2 - n % 2, n, &keep, &id);
    }
}

static void a_death_at_any_store_is_rolled_back_or_complete(void **state)
{
    og_shm_head *head;
    deaths seen = { make_shared(&head), 0, 0 };
    apr_uint64_t id;
    int n;

    for (n = 1; n <= 300; n++) {
        assert_int_equal(add(seen.ring, 2 - n % 2, n, &keep, &id), APR_SUCCESS);
    }
    stepped_each_store(seen.ring, rt_ring_bytes(SLOTS, DATA), add_ten, dies_here, &seen);
    print_message("# %d deaths rolled back, %d seen after the first append\n", seen.before,
                  seen.after);
    assert_true(seen.before > 100 && seen.after > 100);
    assert_true(rt_ring_last_id(seen.ring) == 310);
    og_shm_drop(head);
}

static void give_all_back(void *data)
{
    const deaths *seen = data;

    rt_ring_give_back(seen->ring, SLOTS, 1);
}

static void dies_giving_back(void *copy, void *data)
{
    deaths *seen = data;
    rt_ring *ring = copy;
    apr_uint64_t id;
    int found;

    assert_int_equal(rt_ring_repair(ring), 0); /* nothing to roll back */
    found = found_or_missed(ring, 10);
    seen->before += found > 0;
    seen->after += found < 10;
    rt_ring_give_back(ring, SLOTS, 1);
    assert_int_equal(found_or_missed(ring, 10), 0);
    assert_int_equal(add(ring, 1, 1000, &keep, &id), APR_SUCCESS);
}

static void a_death_at_any_store_of_giving_back_hides_nothing(void **state)
{
    og_shm_head *head;
    deaths seen = { make_shared(&head), 0, 0 };

    fill(seen.ring, 10);
    stepped_each_store(seen.ring, rt_ring_bytes(SLOTS, DATA), give_all_back, dies_giving_back,
                       &seen);
    print_message("# %d deaths before the last was given back, %d behind the first\n",
                  seen.before, seen.after);
    assert_true(seen.before > 10 && seen.after > 10);
    og_shm_drop(head);
}

static void a_held_lock_is_given_up_in_time(void **state)
{
    og_shm_head *head;
    pthread_mutex_t *lock;
    pid_t pid;
    int ready[2];
    char byte;

    assert_int_equal(og_shm_make(&head, 1, 1, sizeof(*head) + 64), APR_SUCCESS);
    lock = (pthread_mutex_t *)(head + 1);
    assert_int_equal(og_lock_init(lock), 0);
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (!pid) {
        og_lock_take(lock, APR_USEC_PER_SEC);
        _exit(write(ready[1], "x", 1) == 1 && pause() ? 1 : 0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(og_lock_take(lock, 20000), ETIMEDOUT);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(og_lock_take(lock, 20000), EOWNERDEAD);
    assert_int_equal(og_lock_repaired(lock), 0);
    og_lock_give(lock);
    assert_int_equal(og_lock_take(lock, 20000), 0);
    og_lock_give(lock);
    og_shm_drop(head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_writer_leaves_a_whole_ring),
        cmocka_unit_test(a_death_at_any_store_is_rolled_back_or_complete),
        cmocka_unit_test(a_death_at_any_store_of_giving_back_hides_nothing),
        cmocka_unit_test(a_held_lock_is_given_up_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
