/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "og_lock.h"
#include "quota_gcra.h"
#include "quota_table.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY(n) ((apr_uint64_t)(n) << 32 | 7)

static quota_table *make(apr_uint32_t slots)
{
    quota_table *table = calloc(1, quota_table_bytes(slots));

    quota_table_init(table, slots);
    return table;
}

static void a_key_finds_its_bucket_again(void **state)
{
    quota_table *table = make(4);
    int shared;
    apr_int64_t *one = quota_table_bucket(table, KEY(1), 0, 100, &shared);

    assert_false(shared);
    assert_int_equal(*one, 100);
    *one = 500;
    assert_ptr_equal(quota_table_bucket(table, KEY(1), 0, 200, &shared), one);
    assert_int_equal(*one, 500);
    /* once it is full again it is as a new one */
    assert_int_equal(*quota_table_bucket(table, KEY(1), 0, 600, &shared), 600);
    free(table);
}

static void two_keys_of_a_request_are_two_buckets(void **state)
{
    quota_table *table = make(2);
    int shared;
    apr_int64_t *one = quota_table_bucket(table, KEY(1), 0, 100, &shared);
    apr_int64_t *two = quota_table_bucket(table, KEY(3), 0, 100, &shared);

    assert_ptr_not_equal(one, two);
    assert_false(shared);
    free(table);
}

/* B57: who is in debt stays, whoever comes */
static void a_full_table_evicts_nobody_in_debt(void **state)
{
    quota_table *table = make(8);
    apr_int64_t *mine, *late;
    int shared, i;

    for (i = 0; i < 8; i++) {
        *quota_table_bucket(table, KEY(i), 0, 100, &shared) = 1000 + i;
        assert_false(shared);
    }
    for (i = 8; i < 1000; i++) {
        late = quota_table_bucket(table, KEY(i), 3, 200, &shared);
        assert_true(shared);
        assert_ptr_equal(late, &table->shared[3]);
    }
    for (i = 0; i < 8; i++) {
        mine = quota_table_bucket(table, KEY(i), 0, 300, &shared);
        assert_false(shared);
        assert_int_equal(*mine, 1000 + i);
    }
    /* a place is free as soon as one is full again, for one */
    *quota_table_bucket(table, KEY(100), 0, 1001, &shared) = 5000;
    assert_false(shared);
    quota_table_bucket(table, KEY(101), 0, 1001, &shared);
    assert_true(shared);
    free(table);
}

static void keys_that_collide_cost_no_more(void **state)
{
    quota_table *table = make(1024);
    int shared, i, full = 0;

    for (i = 0; i < 1000; i++) { /* all begin at one slot */
        *quota_table_bucket(table, (apr_uint64_t)i + 1, 0, 100, &shared) = 1000;
        full += shared;
    }
    assert_int_equal(full, 1000 - 32);
    free(table);
}

/* 4 processes x 4 threads charge few buckets of a table that is full: what they admit is exact */
#define PROCESSES 4
#define THREADS   4
#define TRIES     3000
#define BURST     2500

typedef struct common {
    pthread_mutex_t lock;
    int admitted[2];
    quota_table table; /* last */
} common;

static void *hammer(void *data)
{
    common *all = data;
    quota_gcra rate;
    int i, shared;

    quota_gcra_init(&rate, 1, 86400 * APR_USEC_PER_SEC, BURST);
    for (i = 0; i < TRIES; i++) {
        int which = i % 2; /* a key of its own, and one that comes too late */
        quota_verdict verdict;
        apr_int64_t *full_at;

        if (og_lock_take(&all->lock, 60 * APR_USEC_PER_SEC)) {
            return all;
        }
        full_at = quota_table_bucket(&all->table, KEY(which ? 50 + i : 0), 1, 1000, &shared);
        quota_gcra_look(&rate, *full_at, 1000, 1, &verdict);
        if (verdict.allowed && shared == which) {
            *full_at = quota_gcra_charge(&rate, *full_at, 1000, 1);
            all->admitted[which]++;
        }
        og_lock_give(&all->lock);
    }
    return NULL;
}

static int threads_of(common *all)
{
    pthread_t threads[THREADS];
    void *failed;
    int i, sum = 0;

    for (i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, hammer, all);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        sum += failed != NULL;
    }
    return sum;
}

static void processes_and_threads_admit_exactly_the_burst(void **state)
{
    apr_size_t size = sizeof(common) + quota_table_bytes(4);
    common *all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int i, status, shared;

    assert_ptr_not_equal(all, MAP_FAILED);
    assert_int_equal(og_lock_init(&all->lock), 0);
    quota_table_init(&all->table, 4);
    for (i = 0; i < 4; i++) { /* full: four keys, of which the first is hammered */
        *quota_table_bucket(&all->table, KEY(i), 0, 900, &shared) = i ? APR_INT64_MAX : 1001;
    }
    for (i = 0; i < PROCESSES; i++) {
        if (!fork()) {
            _exit(threads_of(all));
        }
    }
    for (i = 0; i < PROCESSES; i++) {
        wait(&status);
        assert_int_equal(status, 0);
    }
    /* the first owes a nanosecond already */
    assert_int_equal(all->admitted[0], BURST - 1);
    assert_int_equal(all->admitted[1], BURST);
    munmap(all, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_finds_its_bucket_again),
        cmocka_unit_test(two_keys_of_a_request_are_two_buckets),
        cmocka_unit_test(a_full_table_evicts_nobody_in_debt),
        cmocka_unit_test(keys_that_collide_cost_no_more),
        cmocka_unit_test(processes_and_threads_admit_exactly_the_burst),
    };

    return unit_run(tests);
}
