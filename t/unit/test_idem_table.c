/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "idem_asked.h"

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

static void any_order_of_calls_leaves_a_whole_table(void **state)
{
    walk(step);
}

static void a_death_at_any_store_is_undone(void **state)
{
    die_at_any_store(step);
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
        cmocka_unit_test(keys_that_collide_under_one_seed_do_not_under_another),
        cmocka_unit_test(no_two_callers_share_an_id),
    };

    return unit_run(tests);
}
