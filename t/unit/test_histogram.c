/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "og_histogram.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDERS 4
#define EACH   20000

static og_histogram histogram;
static og_histogram_copy copy;

static int empty_it(void **state)
{
    memset(&histogram, 0, sizeof(histogram));
    return 0;
}

static void nothing_counted_is_no_quantile(void **state)
{
    og_histogram_read(&histogram, &copy);
    assert_int_equal(copy.count, 0);
    assert_int_equal(og_histogram_quantile(&copy, 500), -1);
    assert_int_equal(og_histogram_quantile(&copy, 1000), -1);
}

static void one_value_is_every_quantile(void **state)
{
    og_histogram_add(&histogram, 1000000);
    og_histogram_read(&histogram, &copy);
    assert_int_equal(copy.count, 1);
    assert_int_equal(copy.max, 1000000);
    assert_true(llabs(og_histogram_quantile(&copy, 1) - 1000000) <= 1000000 / 64);
    assert_true(og_histogram_quantile(&copy, 1000) <= 1000000); /* never above what was seen */
}

static void small_values_are_exact(void **state)
{
    int i;

    for (i = 0; i < 64; i++) {
        og_histogram_add(&histogram, (apr_uint64_t)i);
    }
    og_histogram_read(&histogram, &copy);
    assert_int_equal(og_histogram_quantile(&copy, 500), 31);
    assert_int_equal(og_histogram_quantile(&copy, 1000), 63);
    assert_int_equal(og_histogram_quantile(&copy, 1), 0);
}

static void each_bucket_begins_where_the_one_before_ends(void **state)
{
    int i;

    for (i = 0; i < OG_HISTOGRAM_BUCKETS; i++) {
        apr_uint64_t from = i ? og_histogram_top(i - 1) + 1 : 0;

        empty_it(state);
        og_histogram_add(&histogram, from);
        og_histogram_add(&histogram, og_histogram_top(i));
        og_histogram_read(&histogram, &copy);
        assert_int_equal(copy.buckets[i], 2);
    }
    assert_true(og_histogram_top(OG_HISTOGRAM_BUCKETS - 1) == OG_HISTOGRAM_MOST);
}

/* One value, and one far above it: the maximum does not help */
static void no_value_is_told_with_an_error_above_1_6_percent(void **state)
{
    double value;

    for (value = 1; value < (double)OG_HISTOGRAM_MOST; value *= 1.003) {
        apr_uint64_t exact = (apr_uint64_t)value;
        double told;

        empty_it(state);
        og_histogram_add(&histogram, exact);
        og_histogram_add(&histogram, OG_HISTOGRAM_MOST);
        og_histogram_read(&histogram, &copy);
        told = (double)og_histogram_quantile(&copy, 500);
        assert_true(told >= (double)exact * (1 - 1.0 / 64)
                    && told <= (double)exact * (1 + 1.0 / 64));
    }
}

static void what_is_too_large_counts_as_the_largest(void **state)
{
    og_histogram_add(&histogram, APR_UINT64_MAX);
    og_histogram_read(&histogram, &copy);
    assert_int_equal(copy.buckets[OG_HISTOGRAM_BUCKETS - 1], 1);
    assert_true(copy.max == OG_HISTOGRAM_MOST);
}

static void quantiles_are_those_of_the_sorted_values(void **state)
{
    static const int asked[] = { 1, 500, 950, 990, 999, 1000 };
    apr_uint64_t i;
    size_t q;

    for (i = 1; i <= 10000; i++) { /* in an order that is not theirs */
        og_histogram_add(&histogram, i * 7919 % 10007 * 10);
    }
    og_histogram_read(&histogram, &copy);
    for (q = 0; q < sizeof(asked) / sizeof(asked[0]); q++) {
        double told = (double)og_histogram_quantile(&copy, asked[q]);
        double exact = asked[q] * 10.0 * 10; /* six of 1 to 10006 are not there */

        assert_true(told > exact * 0.98 - 70 && told < exact * 1.02 + 70);
    }
}

static void *add_some(void *to)
{
    apr_uint64_t i;

    for (i = 0; i < EACH; i++) {
        og_histogram_add(to, i);
    }
    return NULL;
}

static void threads_that_add_at_once_lose_nothing(void **state)
{
    pthread_t adders[ADDERS];
    int i;

    for (i = 0; i < ADDERS; i++) {
        assert_int_equal(pthread_create(&adders[i], NULL, add_some, &histogram), 0);
    }
    for (i = 0; i < ADDERS; i++) {
        pthread_join(adders[i], NULL);
    }
    og_histogram_read(&histogram, &copy);
    assert_int_equal(copy.count, ADDERS * EACH);
    assert_int_equal(copy.max, EACH - 1);
}

static void processes_that_share_it_lose_nothing(void **state)
{
    og_histogram *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int i, status;

    assert_ptr_not_equal(shared, MAP_FAILED);
    for (i = 0; i < ADDERS; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (!pid) {
            add_some(shared);
            _exit(0);
        }
    }
    for (i = 0; i < ADDERS; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    og_histogram_read(shared, &copy);
    assert_int_equal(copy.count, ADDERS * EACH);
    munmap(shared, sizeof(*shared));
}

#define histogram_test(fn) cmocka_unit_test_setup(fn, empty_it)

int main(void)
{
    const struct CMUnitTest tests[] = {
        histogram_test(nothing_counted_is_no_quantile),
        histogram_test(one_value_is_every_quantile),
        histogram_test(small_values_are_exact),
        histogram_test(each_bucket_begins_where_the_one_before_ends),
        histogram_test(no_value_is_told_with_an_error_above_1_6_percent),
        histogram_test(what_is_too_large_counts_as_the_largest),
        histogram_test(quantiles_are_those_of_the_sorted_values),
        histogram_test(threads_that_add_at_once_lose_nothing),
        histogram_test(processes_that_share_it_lose_nothing),
    };

    return unit_run(tests);
}
