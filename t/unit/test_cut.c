/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The connection breaks at COMMIT (F14): through proxies of t/db/cut.t, one that drops COMMIT, one
 * that drops its answer. The two look the same from here; only UNKNOWN is honest. */
#include "database.h"

#include <signal.h>

#define WRITES 100

static const char fixture[] =
    "DROP TABLE IF EXISTS cut_test; CREATE TABLE cut_test (id bigint PRIMARY KEY);"
    "GRANT SELECT, INSERT ON cut_test TO orgscale_app";

static rest_db_pool *through(apr_pool_t *p, const char *proxy)
{
    return pool_of(p, dsn_of(p, getenv(proxy), "orgscale_app"), 2);
}

/* One row in one round trip, or in two with COMMIT apart */
static rest_db_status write_row(apr_pool_t *p, rest_db_pool *pool, int id, int apart)
{
    const char *value = apr_itoa(p, id);
    rest_tx_stmt stmt = { "INSERT INTO cut_test VALUES ($1::bigint)", 1, &value };
    rest_tx *tx = tx_of(p, pool, 1, 3000);
    rest_db_status status;

    if (!apart) {
        return rest_tx_finish(tx, &stmt, 1, NULL);
    }
    status = rest_tx_batch(tx, &stmt, 1, NULL);
    assert_int_equal(status, REST_DB_OK);
    return rest_tx_commit(tx);
}

static int rows(apr_pool_t *p, int from)
{
    PGconn *admin = admin_of(p);
    int n =
        admin_int(admin, apr_psprintf(p, "SELECT count(*) FROM cut_test WHERE id >= %d AND id < %d",
                                      from, from + WRITES));

    PQfinish(admin);
    return n;
}

static int tables(void **state)
{
    apr_pool_t *p;
    PGconn *admin;

    apr_pool_create(&p, NULL);
    admin = admin_of(p);
    admin_do(admin, fixture);
    PQfinish(admin);
    *state = p;
    return 0;
}

static void write_all(apr_pool_t *p, const char *proxy, int from)
{
    rest_db_pool *pool = through(p, proxy);
    rest_db_stats stats;
    int i;

    for (i = 0; i < WRITES; i++) {
        if (i % 4 == 3) { /* a read that works breaks the row of failures */
            rest_db_conn *conn;

            assert_int_equal(rest_db_borrow(pool, og_clock_mono() + MS(3000), &conn), REST_DB_OK);
            rest_db_return(conn);
        }
        assert_int_equal(write_row(p, pool, from + i, i % 2), REST_DB_UNKNOWN);
    }
    rest_db_stats_get(pool, &stats);
    assert_int_equal(stats.busy, 0);
}

static void commit_that_never_arrived_is_unknown(void **state)
{
    write_all(*state, "TEST_CUT_BEFORE", 1000);
    assert_int_equal(rows(*state, 1000), 0);
}

static void commit_whose_answer_was_lost_is_unknown(void **state)
{
    write_all(*state, "TEST_CUT_AFTER", 2000);
    assert_int_equal(rows(*state, 2000), WRITES);
}

static void a_read_that_lost_its_commit_is_down(void **state)
{
    rest_tx_scope scope = { 1, 1, 1, og_clock_mono() + MS(3000) };
    rest_tx_stmt stmt = { "SELECT count(*) FROM cut_test", 0, NULL };
    const PGresult *res;
    rest_tx *tx;

    assert_int_equal(rest_tx_begin(*state, through(*state, "TEST_CUT_AFTER"), &scope, &tx),
                     REST_DB_OK);
    assert_int_equal(rest_tx_finish(tx, &stmt, 1, &res), REST_DB_DOWN);
}

#define cut_test(fn) cmocka_unit_test_setup_teardown(fn, tables, pool_down)

int main(void)
{
    const struct CMUnitTest tests[] = { cut_test(commit_that_never_arrived_is_unknown),
                                        cut_test(commit_whose_answer_was_lost_is_unknown),
                                        cut_test(a_read_that_lost_its_commit_is_down) };

    signal(SIGPIPE, SIG_IGN); /* as httpd does */
    return unit_run(tests);
}
