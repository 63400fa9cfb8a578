/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The idempotency store "redis" against a real Redis: the table of mod_idempotency.h, row
 * by row. */
#include "redis_link.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define LEASE MS(60000)
#define TTL   MS(600000)

static const idempotency_store *const store = &og_redis_idempotency;

static apr_time_t soon(void)
{
    return og_clock_mono() + MS(5000);
}

/* A claim of a key that no other test has */
static idempotency_claim claim_of(apr_pool_t *p)
{
    static int number;
    idempotency_claim claim;

    memset(&claim, 0, sizeof(claim));
    claim.org = 7;
    claim.user = 8;
    claim.key = apr_psprintf(p, "key-%d-%d", (int)getpid(), ++number);
    memset(claim.fingerprint, 'f', sizeof(claim.fingerprint));
    claim.token[0] = 0; /* bytes of any kind */
    claim.token[1] = (unsigned char)number;
    claim.lease = LEASE;
    claim.ttl = TTL;
    claim.answer_max = 65536;
    return claim;
}

/* The same request again, under a claim of its own */
static idempotency_claim again(const idempotency_claim *claim)
{
    idempotency_claim other = *claim;

    other.token[2]++;
    return other;
}

static idempotency_found begun(apr_pool_t *p, const idempotency_claim *claim)
{
    idempotency_found found;

    assert_int_equal(store->begin(claim, soon(), p, &found), APR_SUCCESS);
    return found;
}

static idempotency_verdict verdict(apr_pool_t *p, const idempotency_claim *claim)
{
    return begun(p, claim).verdict;
}

static void up(apr_pool_t *p)
{
    og_redis_link *link = link_of(p, 4, 1000);

    wait_until(ping(link) == OG_REDIS_OK);
}

static void a_key_runs_once_and_is_answered_from_the_store(void **state)
{
    idempotency_claim first = claim_of(*state), second = again(&first);
    const char answer[] = "OGI1\0\r\n\xff answer";
    idempotency_found found;

    up(*state);
    assert_int_equal(verdict(*state, &first), IDEMPOTENCY_NEW);
    assert_int_equal(verdict(*state, &second), IDEMPOTENCY_RUNNING);
    assert_int_equal(store->finish(&first, answer, sizeof(answer), soon()), APR_SUCCESS);
    found = begun(*state, &second);
    assert_int_equal(found.verdict, IDEMPOTENCY_DONE);
    assert_int_equal(found.answer_len, sizeof(answer));
    assert_memory_equal(found.answer, answer, sizeof(answer));
    assert_int_equal(verdict(*state, &first), IDEMPOTENCY_DONE);
}

static void answers_may_be_empty_or_large(void **state)
{
    idempotency_claim empty = claim_of(*state), large = claim_of(*state);
    apr_size_t size = 1024 * 1024 + 16;
    char *answer = apr_palloc(*state, size);
    idempotency_found found;

    up(*state);
    memset(answer, 'a', size);
    assert_int_equal(verdict(*state, &empty), IDEMPOTENCY_NEW);
    assert_int_equal(store->finish(&empty, "", 0, soon()), APR_SUCCESS);
    found = begun(*state, &empty);
    assert_true(found.verdict == IDEMPOTENCY_DONE && found.answer_len == 0);
    assert_int_equal(verdict(*state, &large), IDEMPOTENCY_NEW);
    assert_int_equal(store->finish(&large, answer, size, soon()), APR_SUCCESS);
    found = begun(*state, &large);
    assert_int_equal(found.answer_len, size);
    assert_memory_equal(found.answer, answer, size);
}

static void another_fingerprint_is_reused_in_each_state(void **state)
{
    idempotency_claim claim = claim_of(*state), other = again(&claim);

    up(*state);
    other.fingerprint[31]++;
    other.retry = 1;
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_REUSED);
    assert_int_equal(store->doubt(&claim, soon()), APR_SUCCESS);
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_REUSED);
    claim.retry = 1;
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    assert_int_equal(store->finish(&claim, "x", 1, soon()), APR_SUCCESS);
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_REUSED);
}

static void a_repeated_begin_of_the_claim_that_runs_is_new_again(void **state)
{
    idempotency_claim claim = claim_of(*state);

    up(*state);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
}

static void released_is_free(void **state)
{
    idempotency_claim claim = claim_of(*state), other = again(&claim);

    up(*state);
    other.fingerprint[0]++;
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    assert_int_equal(store->release(&claim, soon()), APR_SUCCESS);
    assert_int_equal(store->release(&claim, soon()), APR_NOTFOUND);
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_NEW);
}

static void doubt_is_told_until_its_end_or_a_retry(void **state)
{
    idempotency_claim claim = claim_of(*state), other = again(&claim);

    up(*state);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    assert_int_equal(store->doubt(&claim, soon()), APR_SUCCESS);
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_DOUBT);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_DOUBT);
    other.retry = 1;
    other.retry_pause = MS(60000);
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_DOUBT); /* too soon */
    other.retry_pause = 0;
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_NEW);
    assert_int_equal(store->finish(&claim, "x", 1, soon()), APR_NOTFOUND);
    assert_int_equal(store->finish(&other, "y", 1, soon()), APR_SUCCESS);
    assert_string_equal(begun(*state, &claim).answer, "y");
}

static void a_retry_waits_for_its_pause(void **state)
{
    idempotency_claim claim = claim_of(*state), other = again(&claim);
    apr_time_t start;

    up(*state);
    other.retry = 1;
    other.retry_pause = MS(300);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    start = og_clock_mono();
    assert_int_equal(store->doubt(&claim, soon()), APR_SUCCESS);
    wait_until(verdict(*state, &other) == IDEMPOTENCY_NEW);
    assert_in_range(ms_since(start), 280, 10000); /* from begin() on, which was earlier */
}

static void a_lease_that_ends_is_doubt_and_one_that_is_renewed_is_none(void **state)
{
    idempotency_claim claim = claim_of(*state), other = again(&claim);
    apr_time_t start = og_clock_mono();

    up(*state);
    claim.lease = MS(500);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    start = og_clock_mono();
    claim.lease = MS(1500);
    assert_int_equal(store->renew(&claim, soon()), APR_SUCCESS);
    wait_until(verdict(*state, &other) == IDEMPOTENCY_DOUBT);
    assert_in_range(ms_since(start), 1400, 20000);
    /* who held it still may say how it ended, as long as nobody else runs it */
    assert_int_equal(store->finish(&claim, "late", 4, soon()), APR_SUCCESS);
    assert_int_equal(verdict(*state, &other), IDEMPOTENCY_DONE);
}

static void a_lost_claim_can_not_end_the_next(void **state)
{
    idempotency_claim claim = claim_of(*state), next = again(&claim);

    up(*state);
    claim.lease = MS(1);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    next.retry = 1;
    wait_until(verdict(*state, &next) == IDEMPOTENCY_NEW);
    assert_int_equal(store->renew(&claim, soon()), APR_NOTFOUND);
    assert_int_equal(store->finish(&claim, "x", 1, soon()), APR_NOTFOUND);
    assert_int_equal(store->doubt(&claim, soon()), APR_NOTFOUND);
    assert_int_equal(store->release(&claim, soon()), APR_NOTFOUND);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_RUNNING);
    assert_int_equal(store->finish(&next, "n", 1, soon()), APR_SUCCESS);
    assert_int_equal(store->renew(&next, soon()), APR_NOTFOUND); /* done */
    assert_int_equal(store->doubt(&next, soon()), APR_NOTFOUND);
    assert_int_equal(store->release(&next, soon()), APR_NOTFOUND);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_DONE);
}

static void answers_and_doubts_end_with_their_ttl(void **state)
{
    idempotency_claim done = claim_of(*state), doubt = claim_of(*state), dead = claim_of(*state);
    idempotency_claim other;

    up(*state);
    done.ttl = doubt.ttl = dead.ttl = MS(200);
    dead.lease = MS(20);
    assert_int_equal(verdict(*state, &done), IDEMPOTENCY_NEW);
    assert_int_equal(verdict(*state, &doubt), IDEMPOTENCY_NEW);
    assert_int_equal(verdict(*state, &dead), IDEMPOTENCY_NEW);
    assert_int_equal(store->finish(&done, "x", 1, soon()), APR_SUCCESS);
    assert_int_equal(store->doubt(&doubt, soon()), APR_SUCCESS);
    other = again(&done);
    other.fingerprint[0]++;
    wait_until(verdict(*state, &other) == IDEMPOTENCY_NEW);
    other = again(&doubt);
    wait_until(verdict(*state, &other) == IDEMPOTENCY_NEW);
    other = again(&dead);
    wait_until(verdict(*state, &other) == IDEMPOTENCY_NEW);
}

static void a_request_may_run_for_longer_than_answers_live(void **state)
{
    idempotency_claim claim = claim_of(*state), other = again(&claim);
    apr_time_t start = og_clock_mono();

    up(*state);
    claim.ttl = MS(100);
    claim.lease = MS(5000);
    assert_int_equal(verdict(*state, &claim), IDEMPOTENCY_NEW);
    while (ms_since(start) < 400) {
        assert_int_equal(verdict(*state, &other), IDEMPOTENCY_RUNNING);
        assert_int_equal(store->renew(&claim, soon()), APR_SUCCESS);
        usleep(20000);
    }
}

/* B46: a ':' in a key can't make it another one's */
static void keys_of_different_claims_are_different(void **state)
{
    static const struct {
        apr_int64_t org, user;
        const char *key;
    } rows[] = {
        { 1, 2, "3:k" }, { 1, 23, ":k" }, { 12, 3, "k" }, { 1, 23, "k" }, { 1, 2, "k" },
        { 0, 2, "k" },   { 1, 2, ":k" },  { 1, 2, "{k}" }, { 1, 2, "2:3:k" },
        { 9007199254740991, 9007199254740991, "k" }, { 1, 2, "idempotency:1:2:k" },
    };
    idempotency_claim claims[sizeof(rows) / sizeof(rows[0])];
    char longest[IDEMPOTENCY_KEY_MAX + 1];
    apr_size_t i;

    up(*state);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        claims[i] = claim_of(*state);
        claims[i].org = rows[i].org;
        claims[i].user = rows[i].user;
        claims[i].key = rows[i].key;
        assert_int_equal(verdict(*state, &claims[i]), IDEMPOTENCY_NEW);
    }
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(store->release(&claims[i], soon()), APR_SUCCESS);
    }
    memset(longest, ':', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    claims[0].key = longest;
    claims[0].org = claims[0].user = 9007199254740991;
    og_redis_script_use(link_of(*state, 1, 1000),
                        "0123456789012345678901234567890123456789012345678901234567890123:");
    wait_until(store->release(&claims[0], soon()) == APR_NOTFOUND);
    assert_int_equal(verdict(*state, &claims[0]), IDEMPOTENCY_NEW);
    longest[sizeof(longest) - 2] = '.';
    assert_int_equal(verdict(*state, &claims[0]), IDEMPOTENCY_NEW);
}

#define THREADS 8
#define ROUNDS  30

typedef struct racer {
    idempotency_claim claims[ROUNDS];
    int runs[ROUNDS];
} racer;

static void *race(void *data)
{
    racer *own = data;
    idempotency_found found;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, NULL);
    for (i = 0; i < ROUNDS; i++) {
        if (store->begin(&own->claims[i], og_clock_mono() + MS(20000), p, &found) == APR_SUCCESS) {
            own->runs[i] = found.verdict == IDEMPOTENCY_NEW;
        }
    }
    apr_pool_destroy(p);
    return NULL;
}

static void of_many_at_once_one_runs(void **state)
{
    racer *racers = apr_pcalloc(*state, THREADS * sizeof(*racers));
    pthread_t threads[THREADS];
    int i, j;

    up(*state);
    for (j = 0; j < ROUNDS; j++) {
        idempotency_claim claim = claim_of(*state);

        for (i = 0; i < THREADS; i++) {
            racers[i].claims[j] = claim;
            racers[i].claims[j].token[3] = (unsigned char)i;
        }
    }
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (j = 0; j < ROUNDS; j++) {
        int runs = 0;

        for (i = 0; i < THREADS; i++) {
            runs += racers[i].runs[j];
        }
        assert_int_equal(runs, 1);
    }
}

static void no_redis_lets_nobody_run(void **state)
{
    idempotency_claim claim = claim_of(*state);
    idempotency_found found;

    og_redis_script_use(NULL, "");
    assert_int_not_equal(store->begin(&claim, soon(), *state, &found), APR_SUCCESS);
    assert_int_not_equal(store->finish(&claim, "x", 1, soon()), APR_SUCCESS);
    assert_int_not_equal(store->finish(&claim, "x", 1, soon()), APR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(a_key_runs_once_and_is_answered_from_the_store),
        unit_pool_test(answers_may_be_empty_or_large),
        unit_pool_test(another_fingerprint_is_reused_in_each_state),
        unit_pool_test(a_repeated_begin_of_the_claim_that_runs_is_new_again),
        unit_pool_test(released_is_free),
        unit_pool_test(doubt_is_told_until_its_end_or_a_retry),
        unit_pool_test(a_retry_waits_for_its_pause),
        unit_pool_test(a_lease_that_ends_is_doubt_and_one_that_is_renewed_is_none),
        unit_pool_test(a_lost_claim_can_not_end_the_next),
        unit_pool_test(answers_and_doubts_end_with_their_ttl),
        unit_pool_test(a_request_may_run_for_longer_than_answers_live),
        unit_pool_test(keys_of_different_claims_are_different),
        unit_pool_test(of_many_at_once_one_runs),
        unit_pool_test(no_redis_lets_nobody_run),
    };

    signal(SIGPIPE, SIG_IGN);
    return unit_run(tests);
}
