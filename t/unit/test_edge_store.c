/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "stepped.h"

#include <pthread.h>
#include <stdio.h>

#include "edge_store.h"
#include "og_shm.h"

#define MANY    ((apr_size_t)8 << 20)
#define LARGEST ((apr_size_t)100 << 10)
#define NOW     apr_time_from_sec(1000)
#define LATER   apr_time_from_sec(2000)

static const unsigned char seed[APR_SIPHASH_KSIZE] = { 1, 2, 3 };

/* A store in shared memory; the head is what og_shm_drop() takes */
typedef struct made {
    og_shm_head *head;
    edge_store *store;
} made;

static made make(apr_size_t bytes, apr_size_t largest)
{
    made m;

    assert_int_equal(og_shm_make(&m.head, 1, 1, 64 + bytes), APR_SUCCESS);
    m.store = edge_store_init((char *)m.head + 64, bytes, largest, seed);
    assert_non_null(m.store);
    return m;
}

static void drop(made m)
{
    og_shm_drop(m.head);
}

static const unsigned char *key_of(unsigned char key[EDGE_STORE_KEY], unsigned n)
{
    memset(key, 0, EDGE_STORE_KEY);
    memcpy(key, &n, sizeof(n));
    return key;
}

/* An entry is the number of its key over and over, so that a mixture shows */
static int put_by(edge_store *store, unsigned n, apr_uint64_t owner, apr_size_t words,
                  apr_time_t until)
{
    unsigned *bytes = malloc((words + 1) * sizeof(*bytes));
    unsigned char key[EDGE_STORE_KEY];
    edge_entry entry = { owner, 7, 0, NOW, until, 3, 0, 0, 0 };
    struct iovec parts[2];
    apr_size_t i;
    int rv;

    for (i = 0; i < words; i++) {
        bytes[i] = n;
    }
    parts[0].iov_base = bytes;
    parts[0].iov_len = words / 3 * sizeof(*bytes);
    parts[1].iov_base = bytes + words / 3;
    parts[1].iov_len = (words - words / 3) * sizeof(*bytes);
    entry.head_len = (apr_uint32_t)parts[0].iov_len;
    rv = edge_store_put(store, key_of(key, n), &entry, parts, 2, NOW);
    free(bytes);
    return rv;
}

static int put(edge_store *store, unsigned n, apr_size_t words)
{
    return put_by(store, n, n, words, LATER);
}

static int has(edge_store *store, unsigned n)
{
    unsigned char key[EDGE_STORE_KEY];
    edge_entry entry;

    return edge_store_find(store, key_of(key, n), &entry);
}

/* @return words, -1: absent, -2: something that was never put */
static int get(edge_store *store, unsigned n)
{
    unsigned char key[EDGE_STORE_KEY];
    edge_entry entry;
    unsigned *bytes;
    apr_uint32_t i;
    int words = -1;

    if (!edge_store_find(store, key_of(key, n), &entry)) {
        return -1;
    }
    bytes = malloc(entry.len + 1);
    if (edge_store_copy(store, key, entry.version, bytes, entry.len)) {
        words = (int)(entry.len / sizeof(*bytes));
        for (i = 0; i < entry.len / sizeof(*bytes); i++) {
            if (bytes[i] != n) {
                words = -2;
            }
        }
        if (entry.epoch != 7 || entry.kind != 3 || entry.head_len > entry.len
            || entry.head_len != entry.len / 12 * 4) {
            words = -2;
        }
    }
    free(bytes);
    return words;
}

static void bytes_of_every_length_come_back(void **state)
{
    static const int lengths[] = { 0, 1, 255, 256, 257, 511, 512, 513, 5000, 25600 };
    made m = make(MANY, LARGEST);
    size_t i;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_true(put(m.store, (unsigned)i, (apr_size_t)lengths[i]));
    }
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_int_equal(get(m.store, (unsigned)i), lengths[i]);
    }
    assert_int_equal(get(m.store, 99), -1);
    assert_true(edge_store_is_whole(m.store));
    drop(m);
}

static void a_version_is_gone_when_another_is_put(void **state)
{
    made m = make(MANY, LARGEST);
    unsigned char key[EDGE_STORE_KEY], byte;
    edge_entry first, second;

    put(m.store, 5, 100);
    assert_true(edge_store_find(m.store, key_of(key, 5), &first));
    assert_true(edge_store_copy(m.store, key, first.version, &byte, 1));
    put(m.store, 5, 200);
    assert_false(edge_store_copy(m.store, key, first.version, &byte, 1));
    assert_false(edge_store_drop(m.store, key, first.version));
    assert_int_equal(get(m.store, 5), 200);
    assert_true(edge_store_find(m.store, key, &second));
    assert_true(edge_store_drop(m.store, key, second.version));
    assert_int_equal(get(m.store, 5), -1);
    assert_true(edge_store_is_whole(m.store));
    drop(m);
}

static void what_is_too_large_is_refused(void **state)
{
    made m = make(MANY, LARGEST);
    apr_size_t largest = edge_store_largest(m.store);

    assert_true(largest >= LARGEST && largest < LARGEST + 2 * EDGE_STORE_BLOCK);
    assert_true(put(m.store, 1, largest / 4));
    assert_false(put(m.store, 1, largest / 4 + 1));
    assert_int_equal(get(m.store, 1), (int)largest / 4);
    assert_int_equal(atomic_load(&edge_store_counted(m.store)->too_large), 1);
    drop(m);
    /* no entry has more than a quarter of the store */
    m = make(EDGE_STORE_BYTES_MIN, MANY);
    assert_in_range(edge_store_largest(m.store), EDGE_STORE_BYTES_MIN / 8,
                    EDGE_STORE_BYTES_MIN / 4);
    assert_true(put(m.store, 1, edge_store_largest(m.store) / 4));
    drop(m);
}

/* One shard of about 390 entries of WORDS; an owner's share of it is 48. */
#define WORDS 1100

static made make_one(void)
{
    return make((apr_size_t)2 << 20, (apr_size_t)400 << 10);
}

/* Keys 1 to 2000, of an owner each, are more than the store holds. */
static void what_is_used_stays_when_it_is_full(void **state)
{
    made m = make_one();
    unsigned n;

    for (n = 1; n <= 2000; n++) {
        assert_true(put(m.store, n, WORDS));
        assert_true(n % 100 != 0 || has(m.store, 1));
    }
    assert_in_range(atomic_load(&edge_store_counted(m.store)->evicted), 1600, 1640);
    assert_int_equal(get(m.store, 1), WORDS);
    assert_int_equal(get(m.store, 2), -1);
    assert_int_equal(get(m.store, 2000), WORDS);
    assert_true(edge_store_is_whole(m.store));
    drop(m);
}

/* Who was used has no advantage then, and nothing that lives is evicted. */
static void what_is_past_its_time_goes_first(void **state)
{
    made m = make_one();
    unsigned n;

    for (n = 1; n <= 250; n++) {
        put_by(m.store, n, n, WORDS, NOW);
        has(m.store, n);
    }
    for (n = 1000; n < 1250; n++) {
        put(m.store, n, WORDS);
    }
    for (n = 1000; n < 1250; n++) {
        assert_int_equal(get(m.store, n), WORDS);
    }
    assert_int_equal(atomic_load(&edge_store_counted(m.store)->evicted), 0);
    assert_true(edge_store_is_whole(m.store));
    drop(m);
}

/* A hundred organisations hold an entry each, which none of them uses for a while; one asks for
 * ever new ones. */
static void nobody_drives_all_others_out(void **state)
{
    made m = make_one();
    unsigned n, kept = 0;

    for (n = 1; n <= 100; n++) {
        put(m.store, n, WORDS);
    }
    for (n = 1000; n < 5000; n++) {
        put_by(m.store, n, 777, WORDS, LATER);
        assert_true(n < 1010 || has(m.store, n - 5));
    }
    for (n = 1; n <= 100; n++) {
        assert_int_equal(get(m.store, n), WORDS);
    }
    assert_true(edge_store_is_whole(m.store));
    /* what the one has beyond its share it gives up to those who come later */
    for (n = 1; n <= 200; n++) {
        put(m.store, 50000 + n, WORDS);
    }
    for (n = 1; n <= 200; n++) {
        assert_int_equal(get(m.store, 50000 + n), WORDS);
        assert_int_equal(get(m.store, n), n <= 100 ? WORDS : -1);
    }
    for (n = 1000; n < 5000; n++) {
        kept += get(m.store, n) == WORDS;
    }
    assert_true(kept > 48);
    assert_true(edge_store_is_whole(m.store));
    drop(m);
}

/* Many entries of few bytes: slots are what is short. */
static void small_ones_take_turns_too(void **state)
{
    made m = make(EDGE_STORE_BYTES_MIN, 4096);
    edge_store_use use;
    unsigned n;

    for (n = 0; n < 3000; n++) {
        assert_true(put_by(m.store, n, n % 3, 1, LATER));
        assert_int_equal(get(m.store, n), 1);
    }
    edge_store_used(m.store, &use);
    assert_true(use.entries > 40 && use.entries < 100 && use.bytes < use.size);
    assert_true(edge_store_is_whole(m.store));
    drop(m);
}

/* One turn of whoever hammers: any call, on one of 300 keys, of one of 7 owners. @return 0: bytes
 * came out that were never put in */
static int hammer(edge_store *store, unsigned *random)
{
    unsigned char key[EDGE_STORE_KEY];
    unsigned n = (unsigned)rand_r(random) % 300, what = (unsigned)rand_r(random) % 10;
    edge_entry entry;

    if (what < 4) {
        put_by(store, n, n % 7, (apr_size_t)rand_r(random) % 3000, LATER);
    }
    else if (what == 4 && edge_store_find(store, key_of(key, n), &entry)) {
        edge_store_drop(store, key, entry.version);
    }
    return get(store, n) != -2;
}

static edge_store *hammered;

static void *hammer_thread(void *number)
{
    unsigned random = (unsigned)(apr_size_t)number, i;
    apr_size_t wrong = 0;

    for (i = 0; i < 4000; i++) {
        wrong += !hammer(hammered, &random);
    }
    return (void *)wrong;
}

static void many_threads_see_whole_entries(void **state)
{
    made m = make((apr_size_t)1 << 20, 12000);
    pthread_t threads[8];
    apr_size_t i;

    hammered = m.store;
    for (i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_thread, (void *)(i + 1)), 0);
    }
    for (i = 0; i < 8; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_true(atomic_load(&edge_store_counted(m.store)->evicted) > 100);
    assert_true(edge_store_is_whole(m.store));
    drop(m);
}

/* A process that hammers until it is killed, and counts its turns in shared memory */
static pid_t hammer_process(edge_store *store, atomic_uint *turns, unsigned number)
{
    pid_t pid = fork();

    if (!pid) {
        while (hammer(store, &number)) {
            atomic_fetch_add(turns, 1);
        }
        _exit(1);
    }
    return pid;
}

static void processes_may_be_killed_in_it(void **state)
{
    made m = make((apr_size_t)1 << 20, 12000), count = make(EDGE_STORE_BYTES_MIN, 4096);
    atomic_uint *turns = (atomic_uint *)count.store;
    pid_t pids[4];
    int i, status;

    for (i = 0; i < 4; i++) {
        pids[i] = hammer_process(m.store, turns, (unsigned)i + 1);
    }
    for (i = 0; i < 200; i++) {
        unsigned before = atomic_load(turns), random = (unsigned)i;

        while (atomic_load(turns) < before + 20) {
            assert_true(hammer(m.store, &random));
        }
        kill(pids[i % 4], SIGKILL);
        assert_int_equal(waitpid(pids[i % 4], &status, 0), pids[i % 4]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        pids[i % 4] = hammer_process(m.store, turns, (unsigned)i + 100);
    }
    for (i = 0; i < 4; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);
    }
    assert_true(edge_store_is_whole(m.store));
    print_message("# %llu shards emptied\n",
                  (unsigned long long)atomic_load(&edge_store_counted(m.store)->emptied));
    drop(count);
    drop(m);
}

static unsigned prepared[900];

/* In a full store, which evicts */
static void put_prepared(void *data)
{
    edge_entry entry = { 9000, 7, 0, NOW, LATER, 3, 1200, 0, 0 };
    struct iovec parts[2] = { { prepared, 1200 }, { prepared + 300, 2400 } };
    unsigned char key[EDGE_STORE_KEY];

    key_of(key, 9000);
    if (!edge_store_put(data, key, &entry, parts, 2, NOW)) {
        _exit(1);
    }
}

static void a_death_at_any_place_leaves_no_half_entry(void **state)
{
    made m = make(EDGE_STORE_BYTES_MIN, 4096);
    int steps = 0, deaths = 0;
    unsigned n, emptied;

    for (n = 0; n < 900; n++) {
        prepared[n] = 9000;
    }
    do {
        for (n = 1; n < 200; n++) {
            put(m.store, n, 700);
        }
        steps += stepped_stride(23, steps);
        if (!stepped_dies(put_prepared, m.store, steps)) {
            break;
        }
        deaths++;
        for (n = 1; n < 200; n++) {
            assert_int_not_equal(get(m.store, n), -2);
        }
        assert_int_not_equal(get(m.store, 9000), -2);
        assert_true(edge_store_is_whole(m.store));
    } while (steps < 10000000);
    emptied = (unsigned)atomic_load(&edge_store_counted(m.store)->emptied);
    print_message("# %d deaths, %u in the lock\n", deaths, emptied);
    assert_true(emptied > 20);
    assert_int_equal(get(m.store, 9000), 900);
    drop(m);
}

static void put_for_ever(void *data)
{
    for (;;) {
        put(data, 1, 700);
    }
}

/* F03: whoever stands still with the lock costs the others its time-out, and nothing else. */
static void a_holder_that_stands_still_is_not_waited_for(void **state)
{
    made m = make(EDGE_STORE_BYTES_MIN, 4096);
    int steps = 0;
    pid_t pid = stepped_begin(put_for_ever, m.store);
    apr_time_t began;

    /* step until one of the keys' locks is not to be had */
    do {
        assert_true(stepped_go(pid, 50));
        steps += 50;
        began = apr_time_now();
        has(m.store, 1);
    } while (!atomic_load(&edge_store_counted(m.store)->timeouts) && steps < 1000000);
    assert_int_equal(atomic_load(&edge_store_counted(m.store)->timeouts), 1);
    assert_true(apr_time_now() - began >= EDGE_STORE_WAIT);
    assert_false(put(m.store, 1, 10));
    stepped_kill(pid);
    assert_true(put(m.store, 1, 10));
    assert_int_equal(get(m.store, 1), 10);
    drop(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_every_length_come_back),
        cmocka_unit_test(a_version_is_gone_when_another_is_put),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(what_is_used_stays_when_it_is_full),
        cmocka_unit_test(what_is_past_its_time_goes_first),
        cmocka_unit_test(nobody_drives_all_others_out),
        cmocka_unit_test(small_ones_take_turns_too),
        cmocka_unit_test(many_threads_see_whole_entries),
        cmocka_unit_test(processes_may_be_killed_in_it),
        cmocka_unit_test(a_death_at_any_place_leaves_no_half_entry),
        cmocka_unit_test(a_holder_that_stands_still_is_not_waited_for),
    };

    return unit_run(tests);
}
