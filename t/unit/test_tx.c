/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Transactions against a real PostgreSQL (t/db/tx.t), or a PgBouncer in front of it
 * (t/db/pgbouncer.t). The table tx_test is this program's. */
#include "database.h"

#include <signal.h>

static const char fixture[] =
    "DROP TABLE IF EXISTS tx_test;"
    "CREATE TABLE tx_test (org_id bigint NOT NULL, id bigint CONSTRAINT tx_test_id PRIMARY KEY,"
    "                      note text CHECK (note <> ''));"
    "ALTER TABLE tx_test ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY tenant ON tx_test TO orgscale_app USING (org_id = app_org_id())"
    "    WITH CHECK (org_id = app_org_id());"
    "GRANT SELECT, INSERT, UPDATE ON tx_test TO orgscale_app";

static int tx_up(void **state)
{
    setting_up(state);
    admin_do(((setting *)*state)->admin, fixture);
    return 0;
}

static int count_of(setting *s, const char *note)
{
    return admin_int(s->admin,
                     apr_psprintf(s->p, "SELECT count(*) FROM tx_test WHERE note = '%s'", note));
}

static rest_db_status insert(rest_tx *tx, const char *org, const char *id, const char *note)
{
    const char *values[] = { org, id, note };

    return rest_tx_exec(tx, "INSERT INTO tx_test VALUES ($1::bigint, $2::bigint, $3)", 3, values,
                        NULL);
}

static void a_read_is_one_transaction_with_its_settings(void **state)
{
    setting *s = *state;
    rest_tx_scope scope = { 9201, 42, 1, og_clock_mono() + MS(2000) };
    rest_tx_stmt stmts[2] = {
        { "SELECT current_setting('app.org_id'), current_setting('app.user_id'),"
          " current_setting('transaction_read_only'),"
          " extract(epoch from current_setting('statement_timeout')::interval) * 1000",
          0, NULL },
        { "SELECT id, name FROM orgs", 0, NULL }
    };
    const PGresult *res[2];
    rest_db_stats stats;
    rest_tx *tx;

    assert_int_equal(rest_tx_begin(s->p, s->pool, &scope, &tx), REST_DB_OK);
    assert_int_equal(rest_tx_finish(tx, stmts, 2, res), REST_DB_OK);
    rest_db_stats_get(s->pool, &stats);
    assert_int_equal(stats.busy, 0); /* given back, and the results stay */
    assert_string_equal(PQgetvalue(res[0], 0, 0), "9201");
    assert_string_equal(PQgetvalue(res[0], 0, 1), "42");
    assert_string_equal(PQgetvalue(res[0], 0, 2), "on");
    assert_in_range(atoi(PQgetvalue(res[0], 0, 3)), 500, 2000);
    assert_int_equal(PQntuples(res[1]), 1);
    assert_string_equal(PQgetvalue(res[1], 0, 1), "one");
    assert_string_equal(rest_tx_error(tx), "");
    assert_int_equal(rest_tx_exec(tx, "SELECT 1", 0, NULL, NULL), REST_DB_ERROR); /* it is over */
}

static void an_organisation_sees_its_own_rows_alone(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9202, 2000);

    assert_string_equal(value_of(tx, "SELECT string_agg(name, ',') FROM orgs"), "two");
    assert_int_equal(insert(tx, "9201", "1", "into another"), REST_DB_ERROR); /* 42501 */
    rest_tx_rollback(tx);
    tx = tx_of(s->p, s->pool, 0, 2000); /* none: no row at all */
    assert_string_equal(value_of(tx, "SELECT count(*) FROM orgs"), "0");
    assert_int_equal(rest_tx_commit(tx), REST_DB_OK);
    tx = tx_of(s->p, s->pool, 9201, 2000);
    assert_string_equal(value_of(tx, "SELECT string_agg(name, ',') FROM orgs"), "one");
    assert_int_equal(rest_tx_commit(tx), REST_DB_OK);
    assert_int_equal(count_of(s, "into another"), 0);
}

/* Two connections of ours, and through PgBouncer whatever server connection is free: what one
 * organisation sets must end with its transaction. */
static void organisations_that_take_turns_do_not_mix(void **state) /* B15, F17 */
{
    setting *s = *state;
    rest_db_pool *pool = pool_of(s->p, dsn_of(s->p, NULL, "orgscale_app"), 2);
    int i, org;

    for (i = 0; i < 200; i++) {
        apr_pool_t *request;
        rest_tx *tx[3];

        apr_pool_create(&request, s->p);
        tx[0] = tx_of(request, pool, 9201, 2000);
        tx[1] = tx_of(request, pool, 9202, 2000);
        for (org = 0; org < 2; org++) {
            assert_string_equal(value_of(tx[org], "SELECT string_agg(name, ',') FROM orgs"),
                                org ? "two" : "one");
        }
        if (i % 2) { /* one ends well, the other fails half-way */
            assert_int_equal(rest_tx_commit(tx[0]), REST_DB_OK);
            assert_null(value_of(tx[1], "SELECT 1/0"));
        }
        rest_tx_rollback(tx[0]);
        rest_tx_rollback(tx[1]);
        tx[2] = tx_of(request, pool, 0, 2000);
        assert_string_equal(value_of(tx[2], "SELECT count(*) FROM orgs"), "0");
        apr_pool_destroy(request);
    }
}

/* What a session is like after transactions: as if they had not been */
static void assert_clean_session(rest_db_pool *pool)
{
    rest_db_conn *conn;
    PGresult *res;

    assert_int_equal(rest_db_borrow(pool, og_clock_mono() + MS(1000), &conn), REST_DB_OK);
    assert_int_equal(PQtransactionStatus(rest_db_native(conn)), PQTRANS_IDLE);
    res = PQexec(rest_db_native(conn), "SELECT current_setting('app.org_id', true),"
                                       " current_setting('statement_timeout'),"
                                       " (SELECT count(*) FROM pg_prepared_statements)");
    assert_string_equal(PQgetvalue(res, 0, 0), "");
    assert_string_equal(PQgetvalue(res, 0, 1), "0");
    assert_string_equal(PQgetvalue(res, 0, 2), "0"); /* B52 */
    PQclear(res);
    rest_db_return(conn);
}

static void a_transaction_leaves_nothing_on_the_connection(void **state) /* B15 */
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);

    assert_non_null(value_of(tx, "SELECT 1"));
    assert_int_equal(rest_tx_commit(tx), REST_DB_OK);
    assert_clean_session(s->pool);
    tx = tx_of(s->p, s->pool, 9201, 2000);
    assert_null(value_of(tx, "SELECT 1/0"));
    rest_tx_rollback(tx);
    assert_clean_session(s->pool);
}

static void a_transaction_left_open_is_closed_not_lent(void **state)
{
    setting *s = *state;
    rest_db_conn *conn;
    rest_tx *tx;

    assert_int_equal(rest_db_borrow(s->pool, og_clock_mono() + MS(1000), &conn), REST_DB_OK);
    PQclear(PQexec(rest_db_native(conn), "BEGIN; SELECT set_config('app.org_id', '9202', false);"
                                         "INSERT INTO tx_test VALUES (9202, 10, 'left open')"));
    assert_int_equal(PQtransactionStatus(rest_db_native(conn)), PQTRANS_INTRANS);
    rest_db_return(conn);
    tx = tx_of(s->p, s->pool, 0, 2000);
    assert_string_equal(value_of(tx, "SELECT count(*) FROM orgs"), "0");
    assert_int_equal(rest_tx_commit(tx), REST_DB_OK);
    assert_int_equal(count_of(s, "left open"), 0);
}

static void what_is_not_committed_is_rolled_back(void **state)
{
    setting *s = *state;
    apr_pool_t *request;
    rest_tx *tx;

    apr_pool_create(&request, s->p);
    tx = tx_of(request, s->pool, 9201, 2000);
    assert_int_equal(insert(tx, "9201", "1", "abandoned"), REST_DB_OK);
    apr_pool_destroy(request); /* an early return of a handler */
    apr_pool_create(&request, s->p);
    tx = tx_of(request, s->pool, 9201, 2000);
    assert_int_equal(insert(tx, "9201", "1", "kept"), REST_DB_OK);
    assert_int_equal(rest_tx_commit(tx), REST_DB_OK);
    apr_pool_destroy(request);
    assert_int_equal(count_of(s, "abandoned"), 0);
    assert_int_equal(count_of(s, "kept"), 1);
}

static void failures_have_their_status(void **state)
{
    static const struct {
        const char *sql;
        rest_db_status status;
    } cases[] = { { "INSERT INTO tx_test VALUES (9201, 2, 'a'), (9201, 2, 'b')", REST_DB_CONFLICT },
                  { "INSERT INTO tx_test VALUES (9201, 2, '')", REST_DB_REFUSED },
                  { "SELECT 'x'::bigint", REST_DB_REFUSED },
                  { "SELECT FROM no_such_table", REST_DB_ERROR },
                  { "SELEC", REST_DB_ERROR },
                  { "DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END$$", REST_DB_RETRY },
                  { "DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END$$", REST_DB_RETRY },
                  { "DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '53300'; END$$", REST_DB_DOWN } };
    setting *s = *state;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        rest_tx_stmt stmt = { cases[i].sql, 0, NULL };
        rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);
        rest_db_status status = rest_tx_batch(tx, &stmt, 1, NULL);

        if (status != cases[i].status || !*rest_tx_error(tx)) {
            fail_msg("%s: status %d, %s", cases[i].sql, status, rest_tx_error(tx));
        }
        if (cases[i].status == REST_DB_CONFLICT) {
            assert_string_equal(rest_tx_constraint(tx), "tx_test_id");
            assert_memory_equal(rest_tx_error(tx), "23505 ", 6);
        }
    }
}

/* More than sockets buffer, in both directions at once: writing must not wait for reading */
static void large_values_go_both_ways(void **state)
{
    setting *s = *state;
    size_t len = 4 * 1024 * 1024;
    char *large = apr_palloc(s->p, len + 1);
    const char *value = large;
    rest_tx_stmt stmts[4];
    const PGresult *res[4];
    rest_tx *tx;
    int i;

    memset(large, 'x', len);
    large[len] = '\0';
    for (i = 0; i < 4; i++) {
        stmts[i] = (rest_tx_stmt){ "SELECT $1::text", 1, &value };
    }
    tx = tx_of(s->p, s->pool, 9201, 10000);
    assert_int_equal(rest_tx_finish(tx, stmts, 4, res), REST_DB_OK);
    for (i = 0; i < 4; i++) {
        assert_int_equal(PQgetlength(res[i], 0, 0), len);
    }
}

static void what_cannot_be_sent_is_our_own_fault(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);
    const char **values = apr_pcalloc(s->p, 65536 * sizeof *values);
    rest_tx_stmt stmt = { "SELECT 1", 65536, values };

    assert_int_equal(rest_tx_finish(tx, &stmt, 1, NULL), REST_DB_ERROR);
    assert_true(*rest_tx_error(tx));
    tx = tx_of(s->p, s->pool, 9201, 2000);
    assert_string_equal(value_of(tx, "SELECT 1"), "1");
}

static void a_batch_stops_at_its_first_failure(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);
    rest_tx_stmt stmts[3] = { { "INSERT INTO tx_test VALUES (9201, 3, 'batch')", 0, NULL },
                              { "SELECT 1/0", 0, NULL },
                              { "SELECT 1", 0, NULL } };
    const PGresult *res[3];
    rest_db_stats stats;

    assert_int_equal(rest_tx_finish(tx, stmts, 3, res), REST_DB_REFUSED);
    assert_memory_equal(rest_tx_error(tx), "22012 ", 6);
    assert_int_equal(PQresultStatus(res[2]), PGRES_PIPELINE_ABORTED);
    rest_db_stats_get(s->pool, &stats);
    assert_int_equal(stats.busy, 0);
    assert_int_equal(stats.open, 1); /* the connection outlives it */
    assert_int_equal(count_of(s, "batch"), 0);
}

static void a_savepoint_outlives_a_failure(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);

    assert_int_equal(insert(tx, "9201", "4", "before"), REST_DB_OK);
    assert_int_equal(rest_tx_exec(tx, "SAVEPOINT s", 0, NULL, NULL), REST_DB_OK);
    assert_int_equal(insert(tx, "9201", "4", "twice"), REST_DB_CONFLICT);
    assert_int_equal(insert(tx, "9201", "5", "aborted"), REST_DB_ERROR); /* 25P02 */
    assert_int_equal(rest_tx_exec(tx, "ROLLBACK TO SAVEPOINT s", 0, NULL, NULL), REST_DB_OK);
    assert_int_equal(insert(tx, "9201", "6", "after"), REST_DB_OK);
    assert_int_equal(rest_tx_commit(tx), REST_DB_OK);
    assert_int_equal(count_of(s, "before") + count_of(s, "after"), 2);
}

static void commit_of_an_aborted_transaction_is_a_failure(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);

    assert_int_equal(insert(tx, "9201", "7", "aborted"), REST_DB_OK);
    assert_null(value_of(tx, "SELECT 1/0"));
    assert_int_equal(rest_tx_commit(tx), REST_DB_ERROR);
    assert_int_equal(count_of(s, "aborted"), 0);
}

static void a_late_statement_ends_by_its_deadline(void **state)
{
    static const char *const late[] = { "SELECT pg_sleep(30)", "SELECT count(*) FROM tx_test" };
    setting *s = *state;
    rest_db_stats stats;
    size_t i;

    admin_do(s->admin, "BEGIN; LOCK TABLE tx_test"); /* what makes the second one late */
    for (i = 0; i < 2; i++) {
        rest_tx *tx = tx_of(s->p, s->pool, 9201, 400);
        apr_time_t start = og_clock_mono();
        rest_tx_stmt stmt = { late[i], 0, NULL };

        assert_int_equal(rest_tx_finish(tx, &stmt, 1, NULL), REST_DB_TIMEOUT);
        assert_in_range(ms_since(start), 250, 500);
        assert_memory_equal(rest_tx_error(tx), "57014 ", 6); /* the server gave up first … */
        rest_db_stats_get(s->pool, &stats);
        assert_int_equal(stats.open, 1); /* … so the connection is sound */
    }
    admin_do(s->admin, "ROLLBACK");
}

static void past_its_deadline_nothing_is_sent(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 60);

    assert_int_equal(insert(tx, "9201", "8", "late"), REST_DB_OK);
    usleep(70000);                                         /* the handler dawdles */
    assert_int_equal(rest_tx_commit(tx), REST_DB_TIMEOUT); /* and not UNKNOWN */
    assert_int_equal(count_of(s, "late"), 0);
}

static void a_frozen_backend_costs_the_deadline_and_100_ms(void **state) /* F13 */
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 300);
    pid_t frozen = (pid_t)atoi(value_of(tx, "SELECT pg_backend_pid()"));
    apr_time_t start = og_clock_mono();
    rest_db_status status;
    rest_tx_stmt stmt = { "SELECT 1", 0, NULL };

    assert_int_equal(kill(frozen, SIGSTOP), 0);
    status = rest_tx_batch(tx, &stmt, 1, NULL);
    kill(frozen, SIGCONT);
    assert_int_equal(status, REST_DB_TIMEOUT);
    assert_in_range(ms_since(start), 200, 400);
    tx = tx_of(s->p, s->pool, 9201, 2000); /* on a new connection */
    assert_string_equal(value_of(tx, "SELECT 1"), "1");
}

static void freezing_at_commit_is_unknown(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 300);
    pid_t frozen = (pid_t)atoi(value_of(tx, "SELECT pg_backend_pid()"));
    rest_db_status status;

    kill(frozen, SIGSTOP);
    status = rest_tx_commit(tx);
    kill(frozen, SIGCONT);
    assert_int_equal(status, REST_DB_UNKNOWN);
}

static void a_backend_killed_in_use_is_down(void **state)
{
    setting *s = *state;
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);
    const char *pid = value_of(tx, "SELECT pg_backend_pid()");

    admin_do(s->admin, apr_psprintf(s->p, "SELECT pg_terminate_backend(%s, 1000)", pid));
    assert_int_equal(insert(tx, "9201", "9", "killed"), REST_DB_DOWN);
    assert_memory_equal(rest_tx_error(tx), "57P01 ", 6); /* its farewell was read */
    tx = tx_of(s->p, s->pool, 9201, 2000);
    assert_string_equal(value_of(tx, "SELECT 1"), "1");
}

static void a_server_that_is_read_only_is_left(void **state) /* F16 */
{
    setting *s = *state;
    rest_tx_scope reading = { 9201, 7, 1, og_clock_mono() + MS(2000) };
    rest_tx *tx = tx_of(s->p, s->pool, 9201, 2000);
    const char *before = value_of(tx, "SELECT pg_backend_pid()");

    value_of(tx, "SELECT set_config('transaction_read_only', 'on', true)"); /* as on a standby */
    assert_int_equal(insert(tx, "9201", "9", "standby"), REST_DB_DOWN);
    assert_memory_equal(rest_tx_error(tx), "25006 ", 6);
    tx = tx_of(s->p, s->pool, 9201, 2000);
    if (!getenv("TEST_POOLED")) { /* PgBouncer may lend the same server connection again */
        assert_string_not_equal(value_of(tx, "SELECT pg_backend_pid()"), before);
    }
    rest_tx_rollback(tx);

    assert_int_equal(rest_tx_begin(s->p, s->pool, &reading, &tx), REST_DB_OK);
    assert_int_equal(insert(tx, "9201", "9", "mistake"), REST_DB_ERROR); /* our own fault */
}

#define tx_test(fn) cmocka_unit_test_setup_teardown(fn, tx_up, setting_down)

int main(void)
{
    const struct CMUnitTest tests[] = { tx_test(a_read_is_one_transaction_with_its_settings),
                                        tx_test(an_organisation_sees_its_own_rows_alone),
                                        tx_test(organisations_that_take_turns_do_not_mix),
                                        tx_test(a_transaction_leaves_nothing_on_the_connection),
                                        tx_test(a_transaction_left_open_is_closed_not_lent),
                                        tx_test(what_is_not_committed_is_rolled_back),
                                        tx_test(failures_have_their_status),
                                        tx_test(large_values_go_both_ways),
                                        tx_test(what_cannot_be_sent_is_our_own_fault),
                                        tx_test(a_batch_stops_at_its_first_failure),
                                        tx_test(a_savepoint_outlives_a_failure),
                                        tx_test(commit_of_an_aborted_transaction_is_a_failure),
                                        tx_test(a_late_statement_ends_by_its_deadline),
                                        tx_test(past_its_deadline_nothing_is_sent),
                                        tx_test(a_frozen_backend_costs_the_deadline_and_100_ms),
                                        tx_test(freezing_at_commit_is_unknown),
                                        tx_test(a_backend_killed_in_use_is_down),
                                        tx_test(a_server_that_is_read_only_is_left) };

    return unit_run(tests);
}
