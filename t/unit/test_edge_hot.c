/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Large entries in a process's own memory: one's bytes come back for its own key and version alone,
 * live as long as somebody uses them, and are bounded. */
#include "unit.h"

#include "edge_hot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define MOST ((apr_size_t)1 << 20)
#define LEN  10000

static void key_of(unsigned char key[EDGE_HOT_KEY], unsigned place, unsigned n)
{
    memset(key, 0, EDGE_HOT_KEY);
    key[0] = (unsigned char)place;
    memcpy(key + 4, &n, sizeof(n));
}

static void put(edge_hot *hot, unsigned place, unsigned n, apr_uint64_t version, int fill,
                apr_size_t len)
{
    unsigned char key[EDGE_HOT_KEY];
    char *bytes = edge_hot_room(len);

    memset(bytes, fill, len);
    key_of(key, place, n);
    edge_hot_put(hot, key, version, bytes);
    edge_hot_release(bytes);
}

/* The first byte of what is there; -1: nothing */
static int get(edge_hot *hot, unsigned place, unsigned n, apr_uint64_t version)
{
    unsigned char key[EDGE_HOT_KEY];
    const char *bytes;
    int first;

    key_of(key, place, n);
    bytes = edge_hot_get(hot, key, version);
    first = bytes ? *bytes : -1;
    if (bytes) {
        edge_hot_release(bytes);
    }
    return first;
}

static void found_by_key_and_version(void **state)
{
    edge_hot *hot = edge_hot_make(MOST);

    assert_int_equal(get(hot, 1, 1, 7), -1);
    put(hot, 1, 1, 7, 'a', LEN);
    assert_int_equal(get(hot, 1, 1, 7), 'a');
    assert_int_equal(get(hot, 1, 1, 8), -1);  /* another version */
    assert_int_equal(get(hot, 1, 2, 7), -1);  /* another key in the same place, same version */
    assert_int_equal(get(hot, 2, 1, 7), -1);
    put(hot, 1, 2, 7, 'b', LEN);              /* takes the place */
    assert_int_equal(get(hot, 1, 2, 7), 'b');
    assert_int_equal(get(hot, 1, 1, 7), -1);
    put(hot, 1, 2, 9, 'c', LEN);
    assert_int_equal(get(hot, 1, 2, 9), 'c');
    assert_int_equal(get(hot, 1, 2, 7), -1);
    edge_hot_free(hot);
}

static void bytes_outlive_their_place(void **state)
{
    edge_hot *hot = edge_hot_make(MOST);
    unsigned char key[EDGE_HOT_KEY];
    const char *bytes;

    put(hot, 3, 1, 1, 'x', LEN);
    key_of(key, 3, 1);
    bytes = edge_hot_get(hot, key, 1);
    put(hot, 3, 2, 1, 'y', LEN);
    edge_hot_free(hot);
    assert_int_equal(bytes[0], 'x');
    assert_int_equal(bytes[LEN - 1], 'x');
    edge_hot_release(bytes);
}

static void bounded(void **state)
{
    edge_hot *hot = edge_hot_make(MOST);
    unsigned i, there = 0;

    put(hot, 0, 0, 1, 'l', MOST / 4 + 1); /* too large */
    assert_int_equal(get(hot, 0, 0, 1), -1);
    put(hot, 0, 0, 1, 'm', MOST / 4);
    assert_int_equal(get(hot, 0, 0, 1), 'm');
    for (i = 1; i < 256; i++) {
        put(hot, i, i, i, 'a', LEN);
        get(hot, 1, 1, 1); /* asked for again and again: it stays */
    }
    for (i = 0; i < 256; i++) {
        there += get(hot, i, i, i ? i : 1) != -1;
    }
    assert_in_range(there, 60, MOST / LEN);
    assert_int_equal(get(hot, 1, 1, 1), 'a');
    edge_hot_free(hot);
}

#define THREADS 8
#define TURNS   20000

static edge_hot *shared;
static atomic_int wrong;

/* Each byte of an entry says which one it is. */
static void *hammer(void *seed)
{
    unsigned random = *(unsigned *)seed, turn;

    for (turn = 0; turn < TURNS; turn++) {
        unsigned char key[EDGE_HOT_KEY];
        unsigned place, version;
        const char *bytes;

        random = random * 1103515245 + 12345;
        place = random >> 16 & 15;
        version = random >> 20 & 3;
        key_of(key, place, place);
        bytes = edge_hot_get(shared, key, version);
        if (!bytes) {
            put(shared, place, place, version, (int)(place * 4 + version), LEN);
            continue;
        }
        if (bytes[0] != (char)(place * 4 + version) || bytes[LEN - 1] != bytes[0]) {
            atomic_fetch_add(&wrong, 1);
        }
        edge_hot_release(bytes);
    }
    return NULL;
}

static void many_threads(void **state)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS], i;

    shared = edge_hot_make(12 * LEN * 4);
    for (i = 0; i < THREADS; i++) {
        seeds[i] = i * 7919 + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &seeds[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&wrong), 0);
    edge_hot_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_key_and_version),
        cmocka_unit_test(bytes_outlive_their_place),
        cmocka_unit_test(bounded),
        cmocka_unit_test(many_threads),
    };

    return unit_run(tests);
}
