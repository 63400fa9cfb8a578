/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the tests of mod_idempotency's table share: questions to a small one, whether it is whole,
 * and calls of any kind, in any order and with a death at each store. */
#ifndef IDEM_ASKED_H
#define IDEM_ASKED_H

#include "stepped.h"

#include <stdio.h>

#include "idem_table.h"
#include "og_shm.h"

#define SLOTS   16
#define BLOCKS  40
#define ANSWER  (3 * IDEM_TABLE_BLOCK)
#define SECOND  APR_USEC_PER_SEC
#define TTL     (100 * SECOND)
#define DEAD    7 /* an owner that does not live */

static inline int lives(apr_uint64_t owner)
{
    return owner != DEAD;
}

/* What is asked for key n by try t: a fingerprint and a token of its own each */
typedef struct question {
    idempotency_claim claim;
    idem_ask ask;
} question;

static inline question *of(question *q, int n, int fingerprint, int token, apr_time_t now)
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

static inline idem_table *make(void)
{
    return idem_table_init(calloc(1, idem_table_bytes(SLOTS, BLOCKS)), SLOTS, BLOCKS);
}

/* 100 + status when it is not APR_SUCCESS */
static inline int begin(idem_table *table, const question *q, char *answer)
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

static inline int finish(idem_table *table, const question *q, const char *answer)
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
static inline apr_uint64_t *words(const idem_table *table)
{
    return (apr_uint64_t *)(table + 1);
}

static const idem_slot *slots(const idem_table *table)
{
    return (const idem_slot *)(words(table) + 2 * table->slots + table->blocks);
}

/* Every slot and block is somewhere, once; counts and order are right */
static inline void is_whole(const idem_table *table)
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

/* One call of many, of any kind. @return what it returned */
typedef int stepper(idem_table *table, unsigned *seed, apr_time_t *now);

/* @return how often an answer was recalled */
static inline int walk(stepper *next)
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

/* A table whose writer dies at each store of some calls */
typedef struct deaths {
    stepper *next;
    idem_table *table;
    unsigned seed;
    apr_time_t now;
    int all, undone;
} deaths;

static inline void call_often(void *data)
{
    deaths *seen = data;
    int i;

    for (i = 0; i < 60; i++) {
        seen->next(seen->table, &seen->seed, &seen->now);
    }
}

/* Whoever has the lock next finds all as it was before the call's last committed turn, and nothing
 * half */
static inline void dies_here(void *copy, void *data)
{
    deaths *seen = data;
    question q;

    seen->all++;
    seen->undone += idem_table_repair(copy);
    is_whole(copy);
    begin(copy, of(&q, 200, 1, 1, seen->now), NULL);
    is_whole(copy);
}

static inline void die_at_any_store(stepper *next)
{
    apr_size_t size = idem_table_bytes(SLOTS, BLOCKS);
    deaths seen = { next, NULL, 7, 0, 0, 0 };
    og_shm_head *head;
    int i;

    assert_int_equal(og_shm_make(&head, 1, 1, sizeof(*head) + size), APR_SUCCESS);
    seen.table = idem_table_init(head + 1, SLOTS, BLOCKS);
    for (i = 0; i < 500; i++) {
        next(seen.table, &seen.seed, &seen.now);
    }
    stepped_each_store(seen.table, size, call_often, dies_here, &seen);
    print_message("# %d deaths, %d of them undone\n", seen.all, seen.undone);
    assert_true(seen.undone > 300);
    is_whole(seen.table);
    og_shm_drop(head);
}

#endif /* IDEM_ASKED_H */
