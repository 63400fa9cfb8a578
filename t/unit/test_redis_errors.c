/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Servers that refuse, and servers that are none: whatever they say, both stores take it for "Redis
 * is not there", it is counted by its reason, and nobody waits (F20, B42). t/redis/errors.t brings
 * a real Redis to refuse where that can be done, and has a mock say the rest. */
#include "redis_link.h"

#include <signal.h>

#include "control.h"

static const quota_charge charge = {
    "write-user", "user:1:1", 1000, 60 * APR_USEC_PER_SEC, 1000, 1
};

static apr_status_t decide(void)
{
    quota_verdict verdict;

    return og_redis_quota.decide(&charge, 1, &verdict, MS(500));
}

static apr_status_t begin(apr_pool_t *p)
{
    idempotency_claim claim = { 1, 1, "key", { 0 }, { 0 }, MS(60000), MS(60000), 4096, 0, 0 };
    idempotency_found found;

    return og_redis_idempotency.begin(&claim, og_clock_mono() + MS(500), p, &found);
}

static apr_status_t release(void)
{
    idempotency_claim claim = { 1, 1, "key", { 0 }, { 0 }, MS(60000), MS(60000), 4096, 0, 0 };

    return og_redis_idempotency.release(&claim, og_clock_mono() + MS(500));
}

static const struct {
    const char *cause;
    og_redis_reason reason;
    int is_down; /* nobody is asked any more until it is over */
} refusals[] = {
    { "readonly", OG_REDIS_READONLY, 1 },     { "masterdown", OG_REDIS_MASTERDOWN, 1 },
    { "loading", OG_REDIS_LOADING, 1 },       { "oom", OG_REDIS_OOM, 0 },
    { "noreplicas", OG_REDIS_NOREPLICAS, 0 }, { "busy", OG_REDIS_BUSY, 0 },
    { "wrongtype", OG_REDIS_WRONGTYPE, 0 },   { "noauth", OG_REDIS_NOAUTH, 1 },
    { "noperm", OG_REDIS_NOPERM, 0 },         { "misconf", OG_REDIS_MISCONF, 0 },
};

static void each_refusal_is_counted_and_over_when_it_is_over(void **state)
{
    apr_size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        og_redis_link *link = link_of(*state, 2, 500);

        print_message("# %s\n", refusals[i].cause);
        wait_until(decide() == APR_SUCCESS && begin(*state) == APR_SUCCESS
                   && release() == APR_SUCCESS);
        control(refusals[i].cause);
        wait_until(decide() != APR_SUCCESS && ended(refusals[i].reason) > 0);
        assert_int_not_equal(begin(*state), APR_SUCCESS);
        if (refusals[i].is_down) {
            wait_until(ping(link) == OG_REDIS_DOWN);
        }
        else {
            assert_int_equal(atomic_load(&counts.went_down), 0);
        }
        control("well");
        wait_until(decide() == APR_SUCCESS);
        wait_until(begin(*state) == APR_SUCCESS && release() == APR_SUCCESS);
    }
}

static const struct {
    const char *says;
    og_redis_reason reason;
} spoken[] = {
    { "moved", OG_REDIS_MOVED },        { "ask", OG_REDIS_MOVED },
    { "clusterdown", OG_REDIS_MOVED },  { "status", OG_REDIS_PROTOCOL },
    { "integer", OG_REDIS_PROTOCOL },   { "text", OG_REDIS_PROTOCOL },
    { "nil", OG_REDIS_PROTOCOL },       { "nil array", OG_REDIS_PROTOCOL },
    { "empty array", OG_REDIS_PROTOCOL }, { "negative", OG_REDIS_PROTOCOL },
    { "nanoseconds", OG_REDIS_PROTOCOL }, { "too many", OG_REDIS_PROTOCOL },
    { "nested", OG_REDIS_PROTOCOL },    { "nested nils", OG_REDIS_PROTOCOL },
    { "length -2", OG_REDIS_PROTOCOL }, { "length 2 GiB", OG_REDIS_TIMEOUT },
    { "length wraps", OG_REDIS_PROTOCOL }, { "array 2^31", OG_REDIS_PROTOCOL },
    { "array -2", OG_REDIS_PROTOCOL },  { "array million", OG_REDIS_PROTOCOL },
    { "no such type", OG_REDIS_PROTOCOL }, { "zeros", OG_REDIS_PROTOCOL },
    { "http", OG_REDIS_PROTOCOL },      { "line without end", OG_REDIS_PROTOCOL },
    { "3 MiB", OG_REDIS_PROTOCOL },     { "two replies", OG_REDIS_PROTOCOL },
    { "nothing", OG_REDIS_TIMEOUT },    { "half", OG_REDIS_TIMEOUT },
    { "half and end", OG_REDIS_LOST },  { "end", OG_REDIS_LOST },
};

/* One call of each store: what the mock says is no answer to either. */
static void hear(apr_pool_t *p, apr_status_t (*call)(apr_pool_t *p), og_redis_reason reason)
{
    apr_uint64_t before = ended(reason);
    apr_time_t began = og_clock_mono(), start;

    do { /* the link may be down by what was said before */
        start = og_clock_mono();
        assert_int_not_equal(call(p), APR_SUCCESS);
        assert_in_range(ms_since(start), 0, 700);
    } while (ended(reason) == before && ms_since(began) < 20000);
    assert_true(ended(reason) > before);
    assert_int_equal(ended(OG_REDIS_OK), 0);
}

static apr_status_t decide_in(apr_pool_t *p)
{
    return decide();
}

static void what_is_no_answer_is_none(void **state)
{
    apr_size_t i;

    for (i = 0; i < sizeof(spoken) / sizeof(spoken[0]); i++) {
        apr_pool_t *p;

        print_message("# %s\n", spoken[i].says);
        apr_pool_create(&p, *state);
        control(spoken[i].says);
        link_with(p, getenv("TEST_REDIS_MOCK"), NULL, 1, 100);
        hear(p, decide_in, spoken[i].reason);
        hear(p, begin, spoken[i].reason);
        control("verdict");
        wait_until(decide() == APR_SUCCESS);
        apr_pool_destroy(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(each_refusal_is_counted_and_over_when_it_is_over),
        unit_pool_test(what_is_no_answer_is_none),
    };

    signal(SIGPIPE, SIG_IGN);
    return unit_run(tests);
}
