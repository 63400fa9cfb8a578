/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "quota_streams.h"

#include <pthread.h>

#define KEY(n) ((apr_uint64_t)(n) << 32 | 7)

static int shared; /* what the last join said */

static quota_streams *make(apr_uint32_t counters, apr_uint32_t children)
{
    quota_streams *streams = calloc(1, quota_streams_bytes(counters, children));

    quota_streams_init(streams, counters, children);
    return streams;
}

static quota_counter *join(quota_streams *streams, int key, apr_uint32_t child, apr_int64_t most)
{
    return quota_streams_join(streams, KEY(key), child, most, 0, &shared);
}

static void a_key_has_as_many_as_it_may_over_all_children(void **state)
{
    quota_streams *streams = make(64, 4);
    quota_counter *got[10];
    apr_uint32_t i;

    for (i = 0; i < 10; i++) {
        got[i] = join(streams, 5, i % 4, 10);
        assert_non_null(got[i]);
        assert_false(shared);
    }
    assert_null(join(streams, 5, 0, 10));
    assert_non_null(join(streams, 6, 0, 1));
    assert_null(join(streams, 6, 3, 1));
    quota_streams_leave(got[3]);
    got[3] = join(streams, 5, 1, 10);
    assert_non_null(got[3]);
    assert_null(join(streams, 5, 1, 10));
    for (i = 0; i < 10; i++) {
        quota_streams_leave(got[i]);
    }
    quota_streams_leave(got[0]); /* below nothing there is nothing */
    for (i = 0; i < 10; i++) {
        assert_non_null(join(streams, 5, 2, 10));
    }
    assert_null(join(streams, 5, 2, 10));
    free(streams);
}

static void a_dead_childs_streams_are_forgotten_and_no_others(void **state)
{
    quota_streams *streams = make(64, 4);
    int i;

    for (i = 0; i < 6; i++) {
        join(streams, 1, i < 4 ? 0 : 1, 6);
    }
    quota_streams_forget(streams, 0);
    for (i = 0; i < 4; i++) {
        assert_non_null(join(streams, 1, 2, 6));
    }
    assert_null(join(streams, 1, 3, 6));
    quota_streams_forget(streams, 1);
    quota_streams_forget(streams, 2);
    assert_non_null(join(streams, 1, 3, 1));
    free(streams);
}

static void who_finds_no_place_shares(void **state)
{
    quota_streams *streams = make(4, 2);
    quota_counter *late;
    int i;

    for (i = 0; i < 4; i++) {
        assert_non_null(join(streams, i, 0, 10));
    }
    late = join(streams, 10, 0, 2);
    assert_non_null(late);
    assert_true(shared);
    assert_non_null(join(streams, 11, 1, 2));
    assert_null(join(streams, 12, 1, 2));
    assert_non_null(join(streams, 0, 0, 2)); /* who has one is counted there */
    assert_false(shared);
    quota_streams_leave(late);
    assert_non_null(join(streams, 12, 1, 2));
    quota_streams_forget(streams, 1); /* of the shared ones, too */
    assert_non_null(join(streams, 13, 0, 1));
    assert_null(join(streams, 14, 0, 1));
    free(streams);
}

/* Joining takes the lock, leaving does not: nothing is lost, and nothing stays */
typedef struct common {
    pthread_mutex_t lock;
    quota_streams *streams;
} common;

static void *come_and_go(void *data)
{
    common *all = data;
    int i, is_shared;

    for (i = 0; i < 5000; i++) {
        quota_counter *counter;

        pthread_mutex_lock(&all->lock);
        counter = quota_streams_join(all->streams, KEY(i % 3), (apr_uint32_t)i % 4, 5, 0,
                                     &is_shared);
        pthread_mutex_unlock(&all->lock);
        if (counter) {
            quota_streams_leave(counter);
        }
    }
    return NULL;
}

static void leaving_needs_no_lock(void **state)
{
    common all = { .lock = PTHREAD_MUTEX_INITIALIZER, .streams = make(64, 4) };
    pthread_t threads[8];
    int i;

    for (i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, come_and_go, &all);
    }
    for (i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    for (i = 0; i < 15; i++) { /* five of each of three: all places are there */
        assert_non_null(join(all.streams, i % 3, 0, 5));
    }
    assert_null(join(all.streams, 0, 1, 5));
    free(all.streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_as_many_as_it_may_over_all_children),
        cmocka_unit_test(a_dead_childs_streams_are_forgotten_and_no_others),
        cmocka_unit_test(who_finds_no_place_shares),
        cmocka_unit_test(leaving_needs_no_lock),
    };

    return unit_run(tests);
}
