/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "idem_table.h"
#include "og_shm.h"

#define SLOTS   16
#define BLOCKS  40
#define ANSWER  (3 * IDEM_TABLE_BLOCK)
#define SECOND  APR_USEC_PER_SEC
#define TTL     (100 * SECOND)
#define DEAD    7 /* an owner that does not live */

static int lives(apr_uint64_t owner)
{
    return owner != DEAD;
}

/* What is asked for key n by try t: a fingerprint and a token of its own each */
typedef struct question {
    idempotency_claim claim;
    idem_ask ask;
} question;

static question *of(question *q, int n, int fingerprint, int token, apr_time_t now)
{
    memset(q, 0, sizeof(*q));
    memset(q->ask.id, n, IDEM_TABLE_ID);
    memset(q->claim.fingerprint, fingerprint, IDEMPOTENCY_FINGERPRINT_LEN);
    memset(q->claim.token, token, IDEMPOTENCY_TOKEN_LEN);
    q->claim.lease = SECOND;
    q->claim.ttl = TTL;
    q->claim.answer_max = ANSWER;
    q->ask.claim = &q->claim;
    q->ask.owner = 1;
    q->ask.now = now;
    q->ask.alive = lives;
    return q;
}

static idem_table *make(void)
{
    return idem_table_init(calloc(1, idem_table_bytes(SLOTS, BLOCKS)), SLOTS, BLOCKS);
}

/* 100 + status when it is not APR_SUCCESS */
static int begin(idem_table *table, const question *q, char *answer)
{
    idempotency_verdict verdict;
    const idem_slot *slot;
    apr_status_t rv = idem_table_begin(table, &q->ask, &verdict, &slot);

    if (rv == APR_SUCCESS && verdict == IDEMPOTENCY_DONE && answer) {
        idem_table_answer(table, slot, answer);
        answer[slot->length] = '\0';
    }
    return rv == APR_SUCCESS ? (int)verdict : APR_STATUS_IS_ENOSPC(rv) ? 100 : 101;
}

static int finish(idem_table *table, const question *q, const char *answer)
{
    return idem_table_finish(table, &q->ask, answer, strlen(answer));
}

static const char *text_of(char *out, int n, apr_size_t len)
{
    memset(out, 'a' + n % 26, len);
    out[len] = '\0';
    return out;
}

/* The table as the layout in idem_table.h has it */
static apr_uint64_t *words(const idem_table *table)
{
    return (apr_uint64_t *)(table + 1);
}

static const idem_slot *slots(const idem_table *table)
{
    return (const idem_slot *)(words(table) + 2 * table->slots + table->blocks);
}

/* Every slot and block is somewhere, once; counts and order are right */
static void is_whole(const idem_table *table)
{
    const apr_uint64_t *heap = words(table) + table->slots, *next = heap + table->slots;
    apr_uint64_t i, at, chained = 0, free_slots = 0, free_blocks = 0, used_blocks = 0;
    apr_uint64_t promised = 0, seen[BLOCKS + 1] = { 0 };

    assert_true(table->journal.count == 0);
    for (i = 0; i < table->slots; i++) {
        for (at = words(table)[i]; at; at = slots(table)[at - 1].next) {
            assert_true(++chained <= table->used);
        }
    }
    assert_true(chained == table->used);
    for (at = table->free_slot; at; at = slots(table)[at - 1].next) {
        assert_true(slots(table)[at - 1].state == IDEM_FREE && ++free_slots <= table->slots);
    }
    assert_true(free_slots + table->used == table->slots);
    for (i = 1; i <= table->used; i++) {
        const idem_slot *slot = &slots(table)[heap[i - 1] - 1];

        assert_true(slot->heap_at == i && slot->state != IDEM_FREE);
        assert_true(i == 1 || slots(table)[heap[i / 2 - 1] - 1].due <= slot->due);
        promised += slot->state == IDEM_RUNNING ? slot->count : 0;
        for (at = slot->state == IDEM_DONE ? slot->first : 0; at; at = next[at - 1]) {
            assert_false(seen[at]++);
            used_blocks++;
            if (at == slot->last) {
                break;
            }
        }
    }
    for (at = table->free_block; at; at = next[at - 1]) {
        assert_false(seen[at]++);
        free_blocks++;
    }
    assert_true(free_blocks == table->free_blocks && free_blocks + used_blocks == table->blocks);
    assert_true(promised == table->promised && promised <= free_blocks);
}

static void a_key_runs_once_and_is_answered_again(void **state)
{
    idem_table *table = make();
    question q;
    char text[ANSWER + 1], answer[ANSWER + 1];

    assert_int_equal(begin(table, of(&q, 1, 1, 1, 0), NULL), IDEMPOTENCY_NEW);
    assert_int_equal(begin(table, of(&q, 1, 1, 1, 0), NULL), IDEMPOTENCY_NEW); /* its own again */
    assert_int_equal(begin(table, of(&q, 1, 1, 2, 0), NULL), IDEMPOTENCY_RUNNING);
    assert_int_equal(begin(table, of(&q, 1, 2, 2, 0), NULL), IDEMPOTENCY_REUSED);
    assert_int_equal(begin(table, of(&q, 2, 1, 2, 0), NULL), IDEMPOTENCY_NEW);
    assert_int_equal(finish(table, of(&q, 1, 1, 3, 0), "no"), APR_NOTFOUND);
    assert_int_equal(finish(table, of(&q, 1, 1, 1, 0), text_of(text, 1, ANSWER)), APR_SUCCESS);
    assert_int_equal(finish(table, of(&q, 1, 1, 1, 0), "no"), APR_NOTFOUND);
    assert_int_equal(idem_table_doubt(table, &of(&q, 1, 1, 1, 0)->ask), APR_NOTFOUND);
    assert_int_equal(idem_table_release(table, &of(&q, 1, 1, 1, 0)->ask), APR_NOTFOUND);
    is_whole(table);
    assert_int_equal(begin(table, of(&q, 1, 1, 4, TTL - 1), answer), IDEMPOTENCY_DONE);
    assert_string_equal(answer, text);
    assert_int_equal(begin(table, of(&q, 1, 2, 4, TTL - 1), NULL), IDEMPOTENCY_REUSED);
    assert_int_equal(begin(table, of(&q, 1, 2, 4, TTL), NULL), IDEMPOTENCY_NEW);
    is_whole(table);
    free(table);
}

static void answers_of_every_length_come_back(void **state)
{
    idem_table *table = make();
    char text[ANSWER + 2], answer[ANSWER + 1];
    question q;
    apr_size_t len;

    for (len = 1; len <= ANSWER; len += len > 250 && len < 260 ? 1 : 17) {
        assert_int_equal(begin(table, of(&q, 3, 1, 1, 0), NULL), IDEMPOTENCY_NEW);
        assert_int_equal(finish(table, &q, text_of(text, (int)len, len)), APR_SUCCESS);
        assert_int_equal(begin(table, &q, answer), IDEMPOTENCY_DONE);
        assert_string_equal(answer, text);
        is_whole(table);
        assert_int_equal(idem_table_tidy(table, TTL, lives), 0);
        assert_true(table->used == 0 && table->free_blocks == BLOCKS);
    }
    assert_int_equal(begin(table, of(&q, 3, 1, 1, 0), NULL), IDEMPOTENCY_NEW);
    assert_int_equal(finish(table, &q, text_of(text, 0, ANSWER + 1)), APR_EINVAL);
    assert_int_equal(finish(table, &q, ""), APR_EINVAL);
    is_whole(table);
    free(table);
}

static void a_released_key_is_free(void **state)
{
    idem_table *table = make();
    question q;

    assert_int_equal(begin(table, of(&q, 1, 1, 1, 0), NULL), IDEMPOTENCY_NEW);
    assert_int_equal(idem_table_release(table, &q.ask), APR_SUCCESS);
    is_whole(table);
    assert_int_equal(begin(table, of(&q, 1, 2, 2, 0), NULL), IDEMPOTENCY_NEW);
    free(table);
}

static void a_doubt_is_refused_or_runs_again(void **state)
{
    idem_table *table = make();
    question q;

    assert_int_equal(begin(table, of(&q, 1, 1, 1, 5), NULL), IDEMPOTENCY_NEW);
    assert_int_equal(idem_table_doubt(table, &q.ask), APR_SUCCESS);
    is_whole(table);
    assert_int_equal(begin(table, of(&q, 1, 1, 2, 6), NULL), IDEMPOTENCY_DOUBT);
    assert_int_equal(begin(table, of(&q, 1, 2, 2, 6), NULL), IDEMPOTENCY_REUSED);
    of(&q, 1, 1, 2, 6);
    q.claim.retry = 1;
    q.claim.retry_pause = 2;
    assert_int_equal(begin(table, &q, NULL), IDEMPOTENCY_DOUBT);
    q.ask.now = 7;
    assert_int_equal(begin(table, &q, NULL), IDEMPOTENCY_NEW);
    is_whole(table);
    assert_int_equal(begin(table, of(&q, 1, 1, 3, 7), NULL), IDEMPOTENCY_RUNNING);
    assert_int_equal(finish(table, of(&q, 1, 1, 1, 7), "first"), APR_NOTFOUND);
    assert_int_equal(finish(table, of(&q, 1, 1, 2, 7), "second"), APR_SUCCESS);
    is_whole(table);
    free(table);
}

/* the lease of who lives never ends, that of a dead one at once */
static void a_claim_lives_as_long_as_its_owner(void **state)
{
    idem_table *table = make();
    question q;

    assert_int_equal(begin(table, of(&q, 1, 1, 1, 0), NULL), IDEMPOTENCY_NEW);
    of(&q, 2, 1, 1, 0);
    q.ask.owner = DEAD;
    assert_int_equal(begin(table, &q, NULL), IDEMPOTENCY_NEW);
    assert_int_equal(begin(table, of(&q, 2, 1, 2, 0), NULL), IDEMPOTENCY_DOUBT);
    of(&q, 3, 1, 1, 0);
    q.ask.owner = DEAD;
    assert_int_equal(begin(table, &q, NULL), IDEMPOTENCY_NEW);
    assert_int_equal(idem_table_tidy(table, 10 * TTL, lives), 0); /* nobody asked for 3 again */
    is_whole(table);
    assert_int_equal((int)table->used, 1);
    assert_int_equal(begin(table, of(&q, 1, 1, 2, 10 * TTL), NULL), IDEMPOTENCY_RUNNING);
    assert_int_equal((int)table->promised, 3);
    free(table);
}

/* full of slots, or of blocks: new keys are refused, and nothing is forgotten */
static void a_full_table_refuses(void **state)
{
    idem_table *table = make();
    char text[ANSWER + 1], answer[ANSWER + 1];
    question q;
    int n, kept = 0;

    for (n = 1; n <= 30; n++) {
        of(&q, n, 1, 1, n);
        q.claim.answer_max = n % 2 ? ANSWER : 10;
        if (begin(table, &q, NULL) == IDEMPOTENCY_NEW) {
            assert_int_equal(finish(table, &q, text_of(text, n, q.claim.answer_max)), APR_SUCCESS);
            kept++;
        }
        is_whole(table);
    }
    assert_true(kept >= 10 && kept <= SLOTS);
    for (n = 1; n <= kept; n++) {
        assert_int_equal(begin(table, of(&q, n, 1, 2, TTL), answer), IDEMPOTENCY_DONE);
        assert_int_equal(answer[0], 'a' + n % 26);
    }
    assert_int_equal(begin(table, of(&q, 99, 1, 1, TTL), NULL), 100);
    assert_int_equal(begin(table, of(&q, 99, 1, 1, TTL + kept), NULL), IDEMPOTENCY_NEW);
    is_whole(table);
    free(table);
}

/* what is promised to one is not another's */
static void promises_are_kept(void **state)
{
    idem_table *table = make();
    char text[ANSWER + 1];
    question q;
    int n, running = 0;

    for (n = 1; n <= SLOTS; n++) {
        running += begin(table, of(&q, n, 1, 1, 0), NULL) == IDEMPOTENCY_NEW;
    }
    assert_int_equal(running, BLOCKS / 3);
    for (n = 1; n <= running; n++) {
        assert_int_equal(finish(table, of(&q, n, 1, 1, 0), text_of(text, n, ANSWER)), APR_SUCCESS);
        is_whole(table);
    }
    free(table);
}

/* One call of many, of any kind. @return what it returned */
typedef int stepper(idem_table *table, unsigned *seed, apr_time_t *now);

static int step(idem_table *table, unsigned *seed, apr_time_t *now)
{
    char text[ANSWER + 1];
    unsigned random = *seed = *seed * 1103515245U + 12345U;
    int n = (int)(random >> 16) % 24, what = (int)(random >> 8) % 10;
    question q;

    of(&q, n, 1, 1, *now);
    q.ask.owner = random % 5 ? 1 : DEAD;
    *now += what * SECOND;
    if (what < 5) {
        return begin(table, &q, NULL);
    }
    if (what < 7) {
        return finish(table, &q, text_of(text, n, 1 + random % ANSWER));
    }
    return what == 7   ? idem_table_doubt(table, &q.ask)
           : what == 8 ? idem_table_release(table, &q.ask)
                       : idem_table_tidy(table, *now, lives);
}

/* @return how often an answer was recalled */
static int walk(stepper *next)
{
    idem_table *table = make();
    apr_time_t now = 0;
    unsigned seed = 1, i;
    int recalled = 0;

    for (i = 0; i < 20000; i++) {
        recalled += next(table, &seed, &now) == 'a';
        is_whole(table);
    }
    free(table);
    return recalled;
}

static void any_order_of_calls_leaves_a_whole_table(void **state)
{
    walk(step);
}

/* F02: stepped instruction by instruction, the writer dies once at each store: whoever has the lock
 * next finds all as it was before the call's last committed turn, and nothing half */
static void die_at_any_store(stepper *next)
{
    apr_size_t size = idem_table_bytes(SLOTS, BLOCKS);
    idem_table *copy = malloc(size), *last = calloc(1, size), *table;
    int status, undone = 0, deaths = 0;
    unsigned seed = 7, i;
    apr_time_t now = 0;
    og_shm_head *head;
    pid_t pid;

    assert_int_equal(og_shm_make(&head, 1, 1, sizeof(*head) + size), APR_SUCCESS);
    table = idem_table_init(head + 1, SLOTS, BLOCKS);
    for (i = 0; i < 500; i++) {
        next(table, &seed, &now);
    }
    pid = fork();
    if (!pid) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        for (i = 0; i < 60; i++) {
            next(table, &seed, &now);
        }
        _exit(0);
    }
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        if (memcmp(last, table, size) != 0) {
            question q;

            memcpy(last, table, size);
            memcpy(copy, table, size);
            undone += idem_table_repair(copy);
            is_whole(copy);
            begin(copy, of(&q, 200, 1, 1, now), NULL);
            is_whole(copy);
            deaths++;
        }
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    print_message("# %d deaths, %d of them undone\n", deaths, undone);
    assert_true(undone > 300);
    is_whole(table);
    og_shm_drop(head);
    free(copy);
    free(last);
}

static void a_death_at_any_store_is_undone(void **state)
{
    die_at_any_store(step);
}

/* Answers that are remembered: a table without claims */

static int remember(idem_table *table, const question *q, apr_time_t due, const char *answer)
{
    return idem_table_remember(table, &q->ask, due, answer, strlen(answer));
}

/* The first byte of what is recalled, which is whole; 0: nothing is */
static int recall(const idem_table *table, const question *q)
{
    const idem_slot *slot = idem_table_recall(table, &q->ask);
    char answer[BLOCKS * IDEM_TABLE_BLOCK + 1];
    apr_size_t i;

    if (!slot) {
        return 0;
    }
    idem_table_answer(table, slot, answer);
    for (i = 1; i < slot->length; i++) {
        assert_true(answer[i] == answer[0]);
    }
    return answer[0];
}

static void what_is_remembered_is_recalled_until_it_is_due(void **state)
{
    idem_table *table = make();
    char text[ANSWER + 1];
    question q;

    assert_int_equal(recall(table, of(&q, 1, 1, 0, 5)), 0);
    assert_int_equal(remember(table, &q, 10, text_of(text, 0, ANSWER)), APR_SUCCESS);
    is_whole(table);
    assert_int_equal(recall(table, of(&q, 1, 1, 0, 9)), 'a');
    assert_int_equal(recall(table, of(&q, 1, 2, 0, 9)), 0); /* another request */
    assert_int_equal(recall(table, of(&q, 2, 1, 0, 9)), 0); /* another key */
    assert_int_equal(recall(table, of(&q, 1, 1, 0, 10)), 0);
    assert_int_equal(remember(table, of(&q, 3, 1, 0, 10), 10, "late"), APR_EINVAL);
    assert_int_equal(remember(table, &q, 11, ""), APR_EINVAL);
    is_whole(table);
    free(table);
}

static void the_same_request_keeps_its_answer_and_another_has_its_own(void **state)
{
    idem_table *table = make();
    question q;

    assert_int_equal(remember(table, of(&q, 1, 1, 0, 0), 10, "a"), APR_SUCCESS);
    assert_int_equal(remember(table, of(&q, 1, 1, 0, 1), 11, "b"), APR_SUCCESS);
    assert_int_equal(recall(table, &q), 'a');
    assert_int_equal(recall(table, of(&q, 1, 1, 0, 10)), 0); /* not later than first said */
    assert_int_equal(remember(table, &q, 20, "c"), APR_SUCCESS);
    assert_int_equal(recall(table, &q), 'c');
    assert_int_equal(remember(table, of(&q, 1, 2, 0, 11), 20, "d"), APR_SUCCESS);
    assert_int_equal(recall(table, &q), 'd');
    assert_int_equal(recall(table, of(&q, 1, 1, 0, 11)), 0);
    assert_int_equal((int)table->used, 1);
    is_whole(table);
    free(table);
}

/* what is due first makes room, of slots and of blocks, and no more of it than is needed */
static void what_is_due_first_makes_room(void **state)
{
    idem_table *table = make();
    char text[BLOCKS * IDEM_TABLE_BLOCK + 2];
    question q;
    int n;

    for (n = 1; n <= SLOTS; n++) {
        assert_int_equal(remember(table, of(&q, n, 1, 0, 0), 100 - n, text_of(text, n, 1)),
                         APR_SUCCESS);
    }
    assert_int_equal(remember(table, of(&q, 99, 1, 0, 0), 1000, "z"), APR_SUCCESS);
    is_whole(table);
    for (n = 1; n <= SLOTS; n++) {
        assert_int_equal(recall(table, of(&q, n, 1, 0, 0)), n == SLOTS ? 0 : 'a' + n);
    }
    text_of(text, 1, (BLOCKS - 14) * IDEM_TABLE_BLOCK);
    assert_int_equal(remember(table, of(&q, 98, 1, 0, 0), 1000, text), APR_SUCCESS);
    is_whole(table);
    assert_int_equal(recall(table, &q), 'b');
    assert_int_equal(recall(table, of(&q, SLOTS - 2, 1, 0, 0)), 0);
    assert_int_equal(recall(table, of(&q, SLOTS - 3, 1, 0, 0)), 'a' + SLOTS - 3);
    text_of(text, 2, BLOCKS * IDEM_TABLE_BLOCK + 1);
    assert_int_equal(remember(table, of(&q, 97, 1, 0, 0), 1000, text), APR_EINVAL);
    assert_int_equal(recall(table, of(&q, 98, 1, 0, 0)), 'b');
    text[BLOCKS * IDEM_TABLE_BLOCK] = '\0';
    assert_int_equal(remember(table, of(&q, 97, 1, 0, 0), 1000, text), APR_SUCCESS);
    assert_int_equal(recall(table, &q), 'c');
    assert_int_equal((int)table->used, 1);
    is_whole(table);
    free(table);
}

static int step_of_memory(idem_table *table, unsigned *seed, apr_time_t *now)
{
    char text[ANSWER + 1];
    unsigned random = *seed = *seed * 1103515245U + 12345U;
    int n = (int)(random >> 16) % 24, got;
    question q;

    of(&q, n, (int)(random >> 8) % 3, 0, *now);
    *now += (int)(random >> 10) % 5;
    if (random >> 24 & 1) {
        return remember(table, &q, *now + 20, text_of(text, n, 1 + random % ANSWER));
    }
    got = recall(table, &q);
    assert_true(!got || got == 'a' + n % 26);
    return got ? 'a' : 0;
}

static void any_order_of_memories_leaves_a_whole_table(void **state)
{
    assert_true(walk(step_of_memory) > 500);
}

static void a_death_while_remembering_is_undone(void **state)
{
    die_at_any_store(step_of_memory);
}

/* The longest chain of a table with so many keys of which each has bucket 0 under a seed */
#define COLLIDING 500
#define BUCKETS   512

static apr_uint64_t bucket_under(const unsigned char *seed, idem_ask *ask, const char *key)
{
    idempotency_claim claim = { 7, 8, key };
    apr_uint64_t word;

    assert_true(idem_table_identify(ask->id, seed, &claim));
    memcpy(&word, ask->id, sizeof(word));
    return word % BUCKETS;
}

static apr_uint64_t longest_chain(const idem_table *table)
{
    apr_uint64_t longest = 0, i, at;

    for (i = 0; i < table->slots; i++) {
        apr_uint64_t n = 0;

        for (at = words(table)[i]; at; at = slots(table)[at - 1].next) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* B35: whoever knew one start's seed would know nothing about the next one's */
static void keys_that_collide_under_one_seed_do_not_under_another(void **state)
{
    static const unsigned char seed[2][OG_SHA256_LEN] = { { 1 }, { 2 } };
    idem_table *table[2];
    int found = 0, n, i;

    for (i = 0; i < 2; i++) {
        table[i] = idem_table_init(calloc(1, idem_table_bytes(BUCKETS, 2 * BUCKETS)), BUCKETS,
                                   2 * BUCKETS);
    }
    for (n = 0; found < COLLIDING; n++) {
        char key[16];
        question q;

        snprintf(key, sizeof(key), "key-%d", n);
        of(&q, 0, 1, 1, 1);
        q.claim.answer_max = IDEM_TABLE_BLOCK;
        if (bucket_under(seed[0], &q.ask, key) == 0) {
            found++;
            assert_int_equal(begin(table[0], &q, NULL), IDEMPOTENCY_NEW);
            bucket_under(seed[1], &q.ask, key);
            assert_int_equal(begin(table[1], &q, NULL), IDEMPOTENCY_NEW);
        }
    }
    assert_int_equal(longest_chain(table[0]), COLLIDING);
    assert_in_range(longest_chain(table[1]), 1, 12);
    free(table[0]);
    free(table[1]);
}

static void no_two_callers_share_an_id(void **state)
{
    static const unsigned char seed[OG_SHA256_LEN] = { 1 };
    static const idempotency_claim claims[] = { { 1, 2, "k" }, { 1, 2, "K" }, { 2, 1, "k" },
                                                { 1, 0x6b, "2" }, { 0x32, 2, "k" },
                                                { 1, 2, "k2" } };
    unsigned char id[6][IDEM_TABLE_ID];
    char longest[IDEMPOTENCY_KEY_MAX + 2];
    idempotency_claim too_long = { 1, 2, longest };
    int i, j;

    for (i = 0; i < 6; i++) {
        assert_true(idem_table_identify(id[i], seed, &claims[i]));
        for (j = 0; j < i; j++) {
            assert_memory_not_equal(id[i], id[j], IDEM_TABLE_ID);
        }
    }
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(idem_table_identify(id[0], seed, &too_long));
    longest[IDEMPOTENCY_KEY_MAX] = '\0';
    assert_true(idem_table_identify(id[0], seed, &too_long));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_runs_once_and_is_answered_again),
        cmocka_unit_test(answers_of_every_length_come_back),
        cmocka_unit_test(a_released_key_is_free),
        cmocka_unit_test(a_doubt_is_refused_or_runs_again),
        cmocka_unit_test(a_claim_lives_as_long_as_its_owner),
        cmocka_unit_test(a_full_table_refuses),
        cmocka_unit_test(promises_are_kept),
        cmocka_unit_test(any_order_of_calls_leaves_a_whole_table),
        cmocka_unit_test(a_death_at_any_store_is_undone),
        cmocka_unit_test(what_is_remembered_is_recalled_until_it_is_due),
        cmocka_unit_test(the_same_request_keeps_its_answer_and_another_has_its_own),
        cmocka_unit_test(what_is_due_first_makes_room),
        cmocka_unit_test(any_order_of_memories_leaves_a_whole_table),
        cmocka_unit_test(a_death_while_remembering_is_undone),
        cmocka_unit_test(keys_that_collide_under_one_seed_do_not_under_another),
        cmocka_unit_test(no_two_callers_share_an_id),
    };

    return unit_run(tests);
}
