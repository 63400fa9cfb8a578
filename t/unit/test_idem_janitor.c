/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The janitor in front of a store that fails when it is told to. */
#include "unit.h"

#include <stdatomic.h>
#include <unistd.h>

#include "idem_janitor.h"

static atomic_int renewed, doubted, released, tidied, taken, failing, wrong;
static const idempotency_claim claim = { 1, 2, "key", { 0 }, { 9 }, 3 * APR_USEC_PER_SEC,
                                         APR_USEC_PER_SEC, 100, 0, 0 };

static apr_status_t said(atomic_int *counter, const idempotency_claim *of)
{
    wrong += strcmp(of->key, "key") != 0 || of->token[0] != 9;
    ++*counter;
    if (failing) {
        return APR_EGENERAL;
    }
    taken++;
    return APR_SUCCESS;
}

static apr_status_t renew(const idempotency_claim *of, apr_time_t deadline)
{
    return said(&renewed, of);
}

static apr_status_t doubt(const idempotency_claim *of, apr_time_t deadline)
{
    return said(&doubted, of);
}

static apr_status_t release(const idempotency_claim *of, apr_time_t deadline)
{
    return said(&released, of);
}

static void tidy(apr_time_t deadline)
{
    tidied++;
}

static const idempotency_store store = { NULL, 0, NULL, renew, NULL, doubt, release, tidy };

/* Janitors outlive their pools, since threads of requests may end claims still: here they
 * are kept */
static idem_janitor *start(apr_pool_t *p)
{
    static idem_janitor *kept[3];
    static int count;

    kept[count] = idem_janitor_start(&store, p);
    assert_non_null(kept[count]);
    return kept[count++];
}

static int reaches(atomic_int *counter, int value)
{
    int i;

    for (i = 0; i < 2000 && *counter < value; i++) {
        usleep(10000);
    }
    return *counter >= value;
}

static void a_claim_is_renewed_until_it_ends(void **state)
{
    idem_janitor *janitor = start(*state);
    idem_watch *watch = idem_janitor_watch(janitor, &claim);
    int round;

    assert_true(reaches(&renewed, 2));
    idem_janitor_end(janitor, watch, IDEM_OWES_NOTHING);
    round = tidied;
    assert_true(reaches(&tidied, round + 2));
    round = renewed;
    assert_true(reaches(&tidied, tidied + 2));
    assert_int_equal(renewed, round);
    assert_int_equal(wrong, 0);
}

static void what_is_owed_is_repeated_until_it_is_taken(void **state)
{
    idem_janitor *janitor = start(*state);
    int round;

    failing = 1;
    idem_janitor_end(janitor, idem_janitor_watch(janitor, &claim), IDEM_OWES_DOUBT);
    idem_janitor_end(janitor, idem_janitor_watch(janitor, &claim), IDEM_OWES_RELEASE);
    assert_true(reaches(&doubted, 2) && reaches(&released, 2));
    taken = 0;
    failing = 0;
    assert_true(reaches(&taken, 2));
    round = tidied;
    assert_true(reaches(&tidied, round + 2));
    assert_int_equal(taken, 2);
    assert_int_equal(wrong, 0);
}

/* many at once, ended while they are renewed */
static void watches_come_and_go(void **state)
{
    idem_janitor *janitor = start(*state);
    idempotency_claim brief = claim;
    idem_watch *watches[64] = { NULL };
    int i, round = tidied;

    brief.lease = 0; /* renewed each round */
    for (i = 0; tidied < round + 3; i++) {
        idem_janitor_end(janitor, watches[i % 64], i % 3 ? IDEM_OWES_NOTHING : IDEM_OWES_DOUBT);
        watches[i % 64] = idem_janitor_watch(janitor, &brief);
        usleep(100);
    }
    for (i = 0; i < 64; i++) {
        idem_janitor_end(janitor, watches[i], IDEM_OWES_NOTHING);
    }
    round = tidied;
    assert_true(reaches(&tidied, round + 3)); /* what was owed is freed by then */
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(a_claim_is_renewed_until_it_ends),
        unit_pool_test(what_is_owed_is_repeated_until_it_is_taken),
        unit_pool_test(watches_come_and_go),
    };

    return unit_run(tests);
}
