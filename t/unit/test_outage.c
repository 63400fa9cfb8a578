/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the pool does when its server goes away and comes back (F10-F13). t/db/outage.t owns the
 * server and does to it what control() names. */
#include "database.h"

#include <signal.h>

#include "control.h"

/* What decisions.md 19 allows between the server's return and ours */
#define RECOVERY_MS 2000

static rest_db_status one_read(apr_pool_t *p, rest_db_pool *pool, int ms)
{
    rest_tx_scope scope = { 1, 1, 1, og_clock_mono() + MS(ms) };
    rest_tx_stmt stmt = { "SELECT count(*) FROM orgs", 0, NULL };
    const PGresult *res;
    rest_tx *tx;
    rest_db_status status = rest_tx_begin(p, pool, &scope, &tx);

    return status == REST_DB_OK ? rest_tx_finish(tx, &stmt, 1, &res) : status;
}

/* n idle connections */
static void fill(apr_pool_t *p, rest_db_pool *pool, int n)
{
    rest_db_conn *conns[8];
    int i;

    for (i = 0; i < n; i++) {
        assert_int_equal(rest_db_borrow(pool, og_clock_mono() + MS(3000), &conns[i]), REST_DB_OK);
    }
    for (i = 0; i < n; i++) {
        rest_db_return(conns[i]);
    }
}

/* Reads until one succeeds; how long that took */
static long recovery(apr_pool_t *p, rest_db_pool *pool)
{
    apr_time_t start = og_clock_mono();

    while (one_read(p, pool, 500) != REST_DB_OK && ms_since(start) < 10000) {
        usleep(10000);
    }
    return ms_since(start);
}

static void a_backend_killed_takes_all_connections_and_is_noticed(void **state) /* F12 */
{
    rest_db_pool *pool = pool_of(*state, dsn_of(*state, NULL, "orgscale_app"), 4);
    PGconn *admin = admin_of(*state);
    rest_tx *tx;
    int pid, i, lost = 0;
    long took;

    fill(*state, pool, 4);
    tx = tx_of(*state, pool, 1, 2000);
    pid = atoi(value_of(tx, "SELECT pg_backend_pid()"));
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    assert_int_equal(rest_tx_commit(tx), REST_DB_UNKNOWN); /* the try that was under way */
    /* the other backends end together; the test's own connection tells when they did */
    wait_until((PQclear(PQexec(admin, "SELECT 1")), PQstatus(admin) == CONNECTION_BAD));
    PQfinish(admin);
    took = recovery(*state, pool);
    assert_in_range(took, 0, RECOVERY_MS);
    for (i = 0; i < 50; i++) {
        lost += one_read(*state, pool, 1000) != REST_DB_OK;
    }
    assert_int_equal(lost, 0); /* none of the dead ones was lent */
}

static void stopped_is_down_at_once_and_started_is_back(void **state) /* F11 */
{
    rest_db_pool *pool = pool_of(*state, dsn_of(*state, NULL, "orgscale_app"), 4);
    apr_time_t start;
    rest_db_stats stats;

    fill(*state, pool, 4);
    control("stop");
    start = og_clock_mono();
    assert_int_equal(one_read(*state, pool, 3000), REST_DB_DOWN);
    assert_in_range(ms_since(start), 0, 500);
    wait_until((rest_db_stats_get(pool, &stats), stats.breaker_open));
    assert_int_equal(stats.open, 0);
    start = og_clock_mono();
    assert_int_equal(one_read(*state, pool, 3000), REST_DB_DOWN);
    assert_in_range(ms_since(start), 0, 50);
    control("start");
    assert_in_range(recovery(*state, pool), 0, RECOVERY_MS);
    assert_int_equal(one_read(*state, pool, 1000), REST_DB_OK);
}

static void down_at_the_childs_start_is_found_later(void **state) /* F10 */
{
    rest_db_pool *pool;

    control("stop");
    pool = pool_of(*state, dsn_of(*state, NULL, "orgscale_app"), 2);
    assert_int_equal(one_read(*state, pool, 1000), REST_DB_DOWN);
    control("start");
    assert_in_range(recovery(*state, pool), 0, RECOVERY_MS);
}

static void frozen_costs_each_its_deadline_until_the_breaker_opens(void **state) /* F13 */
{
    rest_db_pool *pool = pool_of(*state, dsn_of(*state, NULL, "orgscale_app"), 8);
    rest_db_stats stats;
    apr_time_t start;
    int i;

    fill(*state, pool, 8);
    control("freeze");
    for (i = 0; i < 8; i++) {
        start = og_clock_mono();
        assert_int_not_equal(one_read(*state, pool, 200), REST_DB_OK);
        assert_in_range(ms_since(start), 0, 300);
    }
    rest_db_stats_get(pool, &stats);
    assert_int_equal(stats.breaker_open, 1);
    assert_int_equal(stats.busy, 0);
    start = og_clock_mono();
    assert_int_equal(one_read(*state, pool, 3000), REST_DB_DOWN);
    assert_in_range(ms_since(start), 0, 50);
    control("thaw");
    assert_in_range(recovery(*state, pool), 0, RECOVERY_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(a_backend_killed_takes_all_connections_and_is_noticed),
        unit_pool_test(stopped_is_down_at_once_and_started_is_back),
        unit_pool_test(down_at_the_childs_start_is_found_later),
        unit_pool_test(frozen_costs_each_its_deadline_until_the_breaker_opens)
    };

    signal(SIGPIPE, SIG_IGN); /* as httpd does */
    return unit_run(tests);
}
