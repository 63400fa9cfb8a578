/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Answers that are remembered: a table without claims */
#include "idem_asked.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_remembered_is_recalled_until_it_is_due),
        cmocka_unit_test(the_same_request_keeps_its_answer_and_another_has_its_own),
        cmocka_unit_test(what_is_due_first_makes_room),
        cmocka_unit_test(any_order_of_memories_leaves_a_whole_table),
        cmocka_unit_test(a_death_while_remembering_is_undone),
    };

    return unit_run(tests);
}
