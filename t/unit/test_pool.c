/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The pool against a real PostgreSQL (t/db/pool.t), or a PgBouncer in front of it
 * (t/db/pgbouncer.t, which sets TEST_POOLED). */
#include "database.h"

#include <apr_thread_proc.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "rest_db_cancel.h"

static void idle_connections_that_died_are_not_lent(void **state) /* F12 */
{
    setting *s = *state;
    const char *dsn = dsn_of(s->p, NULL, "orgscale_app application_name=tx_test");
    rest_db_pool *pool = pool_of(s->p, dsn, 3);
    rest_tx *tx[3];
    rest_db_stats stats;
    int i;

    for (i = 0; i < 3; i++) {
        tx[i] = tx_of(s->p, pool, 9201, 2000);
        assert_non_null(value_of(tx[i], "SELECT 1"));
    }
    for (i = 0; i < 3; i++) {
        rest_tx_rollback(tx[i]);
    }
    admin_do(s->admin, "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                       " WHERE application_name = 'tx_test'");
    tx[0] = tx_of(s->p, pool, 9201, 2000);
    assert_string_equal(value_of(tx[0], "SELECT 1"), "1");
    wait_until((rest_db_stats_get(pool, &stats), stats.open == 1)); /* all three were found */
}

static void an_empty_pool_is_busy_by_the_deadline(void **state) /* F15 */
{
    setting *s = *state;
    rest_tx *holder = tx_of(s->p, s->pool, 9201, 5000);
    rest_tx_scope scope = { 9201, 0, 0, og_clock_mono() + MS(200) };
    apr_time_t start = og_clock_mono();
    rest_tx *tx;

    assert_int_equal(rest_tx_begin(s->p, s->pool, &scope, &tx), REST_DB_BUSY);
    assert_in_range(ms_since(start), 190, 300);
    assert_string_equal(rest_tx_error(tx), "no connection became free by the deadline");
    assert_int_equal(rest_tx_exec(tx, "SELECT 1", 0, NULL, NULL), REST_DB_ERROR);
    rest_tx_rollback(tx); /* harmless */
    assert_string_equal(value_of(holder, "SELECT 1"), "1");
}

/* in: what to borrow from; out: how that ended */
typedef struct {
    rest_db_pool *pool;
    rest_db_status status;
} borrowing;

static void *APR_THREAD_FUNC borrow(apr_thread_t *thread, void *data)
{
    borrowing *b = data;
    rest_db_conn *conn;

    b->status = rest_db_borrow(b->pool, og_clock_mono() + MS(5000), &conn);
    if (b->status == REST_DB_OK) {
        rest_db_return(conn);
    }
    return NULL; /* no apr_thread_exit(): ASan does not see that it ends this frame */
}

static void the_queue_is_bounded_and_served(void **state)
{
    setting *s = *state;
    rest_tx *holder = tx_of(s->p, s->pool, 9201, 5000);
    apr_thread_t *threads[4];
    borrowing b[4];
    apr_time_t start;
    rest_db_conn *conn;
    rest_db_stats stats;
    apr_status_t ended;
    int i;

    for (i = 0; i < 4; i++) {
        b[i] = (borrowing){ s->pool, REST_DB_ERROR };
        assert_int_equal(apr_thread_create(&threads[i], NULL, borrow, &b[i], s->p), APR_SUCCESS);
    }
    wait_until((rest_db_stats_get(s->pool, &stats), stats.waiting == 4));
    start = og_clock_mono();
    assert_int_equal(rest_db_borrow(s->pool, start + MS(5000), &conn), REST_DB_BUSY);
    assert_in_range(ms_since(start), 0, 100); /* at once, not at the deadline */
    rest_tx_rollback(holder);
    for (i = 0; i < 4; i++) {
        apr_thread_join(&ended, threads[i]);
        assert_int_equal(b[i].status, REST_DB_OK);
    }
}

/* in: what to borrow from, for whom; out: transactions that did not go as they should */
typedef struct {
    rest_db_pool *pool;
    int org, wrong;
} customer;

static void *APR_THREAD_FUNC shop(apr_thread_t *thread, void *data)
{
    customer *c = data;
    int i;

    for (i = 0; i < 100; i++) {
        apr_pool_t *request;
        rest_tx_scope scope = { c->org, 0, 1, og_clock_mono() + MS(10000) };
        rest_tx_stmt stmt = { "SELECT string_agg(name, ',') FROM orgs", 0, NULL };
        const PGresult *res;
        rest_tx *tx;

        apr_pool_create(&request, NULL);
        if (rest_tx_begin(request, c->pool, &scope, &tx) != REST_DB_OK ||
            rest_tx_finish(tx, &stmt, 1, &res) != REST_DB_OK ||
            strcmp(PQgetvalue(res, 0, 0), c->org == 9201 ? "one" : "two") != 0) {
            c->wrong++;
        }
        apr_pool_destroy(request);
    }
    return NULL;
}

static void many_threads_share_few_connections(void **state)
{
    setting *s = *state;
    rest_db_pool *pool = pool_of(s->p, dsn_of(s->p, NULL, "orgscale_app"), 3);
    apr_thread_t *threads[12];
    customer c[12];
    apr_status_t ended;
    int i;

    for (i = 0; i < 12; i++) {
        c[i] = (customer){ pool, 9201 + i % 2, 0 };
        assert_int_equal(apr_thread_create(&threads[i], NULL, shop, &c[i], s->p), APR_SUCCESS);
    }
    for (i = 0; i < 12; i++) {
        apr_thread_join(&ended, threads[i]);
        assert_int_equal(c[i].wrong, 0);
    }
}

static void connections_above_need_are_closed(void **state)
{
    setting *s = *state;
    rest_db_params params = { dsn_of(s->p, NULL, "orgscale_app"), 3, APR_USEC_PER_SEC, MS(300) };
    rest_db_conn *conns[3];
    rest_db_pool *pool;
    rest_db_stats stats;
    int i;

    assert_int_equal(rest_db_pool_create(&pool, &params, s->p, NULL), APR_SUCCESS);
    for (i = 0; i < 3; i++) {
        assert_int_equal(rest_db_borrow(pool, og_clock_mono() + MS(2000), &conns[i]), REST_DB_OK);
    }
    rest_db_stats_get(pool, &stats);
    assert_int_equal(stats.open, 3);
    for (i = 0; i < 3; i++) {
        rest_db_return(conns[i]);
    }
    wait_until((rest_db_stats_get(pool, &stats), stats.open == 0));
    assert_int_equal(rest_db_borrow(pool, og_clock_mono() + MS(2000), &conns[0]), REST_DB_OK);
    rest_db_return(conns[0]);
}

static void no_server_is_down_at_once(void **state) /* F10 */
{
    setting *s = *state;
    rest_db_pool *pool = pool_of(s->p, "host=/nonexistent dbname=orgscale", 2);
    rest_db_conn *conn;
    rest_db_stats stats;
    apr_time_t start;

    wait_until((rest_db_stats_get(pool, &stats), stats.breaker_open));
    start = og_clock_mono();
    assert_int_equal(rest_db_borrow(pool, start + MS(3000), &conn), REST_DB_DOWN);
    assert_in_range(ms_since(start), 0, 50);
}

static void a_server_that_never_answers_holds_nobody(void **state)
{
    setting *s = *state;
    char folder[] = "/tmp/mute.XXXXXX";
    struct sockaddr_un address = { AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    apr_time_t start;
    rest_db_pool *pool;
    rest_db_conn *conn;
    apr_pool_t *child;

    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 5), 0);
    apr_pool_create(&child, s->p);
    pool =
        pool_of(child, apr_psprintf(s->p, "host=%s dbname=orgscale connect_timeout=30", folder), 2);
    start = og_clock_mono();
    assert_int_equal(rest_db_borrow(pool, start + MS(200), &conn), REST_DB_DOWN);
    assert_in_range(ms_since(start), 190, 300);
    start = og_clock_mono();
    apr_pool_destroy(child); /* the child ends while its connect hangs */
    assert_in_range(ms_since(start), 0, 200);
    close(fd);
    unlink(address.sun_path);
    rmdir(folder);
}

static void a_late_statement_is_cancelled_on_the_server(void **state)
{
    setting *s = *state;
    rest_db_conn *conn;
    const char *sleeping = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                           " AND query = 'SELECT pg_sleep(29)'";

    assert_int_equal(rest_db_borrow(s->pool, og_clock_mono() + MS(1000), &conn), REST_DB_OK);
    assert_int_equal(PQsendQuery(rest_db_native(conn), "SELECT pg_sleep(29)"), 1);
    wait_until(PQflush(rest_db_native(conn)) == 0 && admin_int(s->admin, sleeping) == 1);
    rest_db_cancel(conn);
    wait_until(admin_int(s->admin, sleeping) == 0);
    rest_db_failed(conn);
    rest_db_return(conn);
}

#define db_test(fn) cmocka_unit_test_setup_teardown(fn, setting_up, setting_down)

int main(void)
{
    const struct CMUnitTest tests[] = { db_test(idle_connections_that_died_are_not_lent),
                                        db_test(an_empty_pool_is_busy_by_the_deadline),
                                        db_test(the_queue_is_bounded_and_served),
                                        db_test(many_threads_share_few_connections),
                                        db_test(connections_above_need_are_closed),
                                        db_test(no_server_is_down_at_once),
                                        db_test(a_server_that_never_answers_holds_nobody),
                                        db_test(a_late_statement_is_cancelled_on_the_server) };

    if (getenv("TEST_POOLED")) { /* PgBouncer keeps its clients when a server connection dies */
        cmocka_set_skip_filter("idle_connections_that_died*");
    }
    return unit_run(tests);
}
