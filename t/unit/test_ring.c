/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "og_lock.h"
#include "og_shm.h"
#include "rt_ring.h"

#define SLOTS 64
#define DATA  16384
#define KEEP  200

static const apr_uint64_t seed[2] = { 11, 22 };
static const rt_ring_keep keep = { KEEP, 1000, 0 };

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

static rt_ring_key key_of(apr_int64_t org)
{
    rt_ring_key key = { "finance", org };

    return key;
}

/* A record whose JSON says its org and number, and ends in a sum over both and its filling */
static unsigned sum_of(const char *text, size_t len)
{
    unsigned sum = 2166136261U;

    while (len--) {
        sum = (sum ^ (unsigned char)*text++) * 16777619U;
    }
    return sum;
}

static apr_status_t add(rt_ring *ring, apr_int64_t org, int n, const rt_ring_keep *how,
                        apr_uint64_t *id)
{
    rt_ring_key key = key_of(org);
    char json[512], name[32];
    rt_ring_event event = { 0, "expense.created", name, "expense:1", json, 0 };
    int len = snprintf(json, sizeof(json), "{\"org\":%d,\"n\":%d,\"fill\":\"%.*s\"", (int)org, n,
                       n % 97, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

    len += snprintf(json + len, sizeof(json) - (size_t)len, ",\"sum\":%08x}",
                    sum_of(json, (size_t)len));
    event.json_len = (apr_size_t)len;
    snprintf(name, sizeof(name), "e%d", n);
    return rt_ring_append(ring, &key, &event, how, id);
}

/* Fails unless the record is whole and org's; @return its number */
static int number_of(const rt_record *record, apr_int64_t org)
{
    char text[512];
    unsigned sum;
    int seen_org, n;

    assert_true(record->json_len > 15 && record->json_len < sizeof(text));
    memcpy(text, rt_record_json(record), record->json_len);
    text[record->json_len] = '\0';
    assert_int_equal(sscanf(text, "{\"org\":%d,\"n\":%d", &seen_org, &n), 2);
    assert_int_equal(sscanf(text + record->json_len - 9, "%8x}", &sum), 1);
    assert_int_equal(sum, sum_of(text, record->json_len - 16));
    assert_int_equal(seen_org, org);
    return n;
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

/* What the next holder finds after a death at this store: repaired, all is as before the append or
 * as after it, and the next append harms nobody */
static void dies_here(const void *block, void *copy, int *before, int *after)
{
    rt_ring *ring = copy;
    rt_ring_usage usage = { 0 };
    apr_uint64_t at[KEEP], id;
    rt_ring_key key;
    int org, gap, i, n;

    memcpy(copy, block, rt_ring_bytes(SLOTS, DATA));
    *before += rt_ring_repair(ring);
    *after += rt_ring_last_id(ring) > 300;
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

/* F02: the writer is stepped instruction by instruction, and dies once at each store: dies() gets
 * the block as it is then, and a copy's room. */
static void at_each_store(rt_ring *block, void (*work)(rt_ring *),
                          void (*dies)(const void *, void *, int *, int *), int *before, int *after)
{
    apr_size_t size = rt_ring_bytes(SLOTS, DATA);
    void *copy = malloc(size), *last = calloc(1, size);
    int status;
    pid_t pid = fork();

    if (!pid) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        work(block);
        _exit(0);
    }
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        if (memcmp(last, block, size) != 0) {
            memcpy(last, block, size);
            dies(last, copy, before, after);
        }
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free(copy);
    free(last);
}

static void add_ten(rt_ring *ring)
{
    apr_uint64_t id;
    int n;

    for (n = 301; n <= 310; n++) {
        add(ring, 2 - n % 2, n, &keep, &id);
    }
}

static void a_death_at_any_store_is_rolled_back_or_complete(void **state)
{
    int n, before = 0, after = 0;
    og_shm_head *head;
    rt_ring *ring = make_shared(&head);
    apr_uint64_t id;

    for (n = 1; n <= 300; n++) {
        assert_int_equal(add(ring, 2 - n % 2, n, &keep, &id), APR_SUCCESS);
    }
    at_each_store(ring, add_ten, dies_here, &before, &after);
    print_message("# %d deaths rolled back, %d seen after the first append\n", before, after);
    assert_true(before > 100 && after > 100);
    assert_true(rt_ring_last_id(ring) == 310);
    og_shm_drop(head);
}

/* Each org of the two tests below has an event, of its own number and id: a reader who has not seen
 * it finds it or hears of a gap. @return how many find it */
static int found_or_missed(const rt_ring *ring, int orgs)
{
    apr_uint64_t at[KEEP];
    int org, gap, n, found = 0;

    for (org = 1; org <= orgs; org++) {
        rt_ring_key key = key_of(org);

        n = rt_ring_scan(ring, &key, (apr_uint64_t)org - 1, &keep, at, &gap);
        assert_true(n > 0 || gap);
        assert_true(n == 0 || number_of(rt_ring_record(ring, at[n - 1]), org) == org);
        found += n > 0;
    }
    return found;
}

static void fill_again(rt_ring *ring, int orgs)
{
    apr_uint64_t id;
    int org;

    for (org = 1; org <= orgs; org++) {
        assert_int_equal(add(ring, org, orgs + org, &keep, &id), APR_SUCCESS);
    }
}

static void fill(rt_ring *ring, int orgs)
{
    apr_uint64_t id;
    int org;

    for (org = 1; org <= orgs; org++) {
        assert_int_equal(add(ring, org, org, &keep, &id), APR_SUCCESS);
        assert_true(id == (apr_uint64_t)org);
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

static void give_all_back(rt_ring *ring)
{
    rt_ring_give_back(ring, SLOTS, 1);
}

static void dies_giving_back(const void *block, void *copy, int *before, int *after)
{
    rt_ring *ring = copy;
    apr_uint64_t id;
    int found;

    memcpy(copy, block, rt_ring_bytes(SLOTS, DATA));
    assert_int_equal(rt_ring_repair(ring), 0); /* nothing to roll back */
    found = found_or_missed(ring, 10);
    *before += found > 0;
    *after += found < 10;
    rt_ring_give_back(ring, SLOTS, 1);
    assert_int_equal(found_or_missed(ring, 10), 0);
    assert_int_equal(add(ring, 1, 1000, &keep, &id), APR_SUCCESS);
}

static void a_death_at_any_store_of_giving_back_hides_nothing(void **state)
{
    og_shm_head *head;
    rt_ring *ring = make_shared(&head);
    int before = 0, after = 0;

    fill(ring, 10);
    at_each_store(ring, give_all_back, dies_giving_back, &before, &after);
    print_message("# %d deaths before the last was given back, %d behind the first\n", before,
                  after);
    assert_true(before > 10 && after > 10);
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
        cmocka_unit_test(a_killed_writer_leaves_a_whole_ring),
        cmocka_unit_test(a_death_at_any_store_is_rolled_back_or_complete),
        ring_test(idle_slots_are_given_back_some_a_call_and_never_in_silence),
        ring_test(what_is_given_back_is_a_gap_to_few_others),
        cmocka_unit_test(a_call_looks_at_some_slots_and_the_next_goes_on),
        cmocka_unit_test(a_death_at_any_store_of_giving_back_hides_nothing),
        cmocka_unit_test(a_held_lock_is_given_up_in_time),
        ring_test(orgs_that_collide_under_one_seed_do_not_under_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
