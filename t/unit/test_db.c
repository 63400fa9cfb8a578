/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of the database layer: SQLSTATEs, the breaker, the connection string. */
#include "unit.h"

#include "rest_db_breaker.h"
#include "rest_db_classify.h"
#include "rest_db_dsn.h"
#include "stub_log.h"

static void sqlstates_become_statuses(void **state)
{
    static const struct {
        const char *sqlstate;
        rest_db_status status;
    } cases[] = {
        { "23505", REST_DB_CONFLICT }, { "40001", REST_DB_RETRY },   { "40P01", REST_DB_RETRY },
        { "57014", REST_DB_TIMEOUT },  { "53300", REST_DB_DOWN },    { "57P01", REST_DB_DOWN },
        { "25006", REST_DB_DOWN },
        { "57P02", REST_DB_DOWN },     { "57P03", REST_DB_DOWN },    { "08006", REST_DB_DOWN },
        { "08P01", REST_DB_DOWN },     { "22P02", REST_DB_REFUSED }, { "22003", REST_DB_REFUSED },
        { "23502", REST_DB_REFUSED },  { "23503", REST_DB_REFUSED }, { "23514", REST_DB_REFUSED },
        { "42P01", REST_DB_ERROR },    { "42501", REST_DB_ERROR },   { "25P02", REST_DB_ERROR },
        { "53100", REST_DB_ERROR },    { "40002", REST_DB_ERROR },   { "57000", REST_DB_ERROR },
        { "XX000", REST_DB_ERROR },    { "", REST_DB_ERROR }
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (rest_db_classify_sqlstate(cases[i].sqlstate) != cases[i].status) {
            fail_msg("%s is %d", cases[i].sqlstate, rest_db_classify_sqlstate(cases[i].sqlstate));
        }
    }
}

static void five_failures_in_a_row_open_the_breaker(void **state)
{
    rest_db_breaker b = { 0 };
    int i;

    for (i = 0; i < REST_DB_BREAKER_FAILURES - 1; i++) {
        assert_int_equal(rest_db_breaker_failed(&b, 100), 0);
    }
    rest_db_breaker_worked(&b);
    for (i = 0; i < REST_DB_BREAKER_FAILURES - 1; i++) {
        assert_int_equal(rest_db_breaker_failed(&b, 100), 0);
    }
    assert_int_equal(rest_db_breaker_reached(&b), 0); /* a connect does not break the row */
    assert_int_equal(rest_db_breaker_failed(&b, 100), 1);
    assert_int_equal(b.open, 1);
    assert_int_equal(b.probe_at, 100 + REST_DB_BREAKER_PROBE);
    assert_int_equal(rest_db_breaker_failed(&b, 200), 0);
    assert_int_equal(b.probe_at, 100 + REST_DB_BREAKER_PROBE); /* not moved by stragglers */
}

static void a_failed_connect_opens_it_and_the_probe_closes_it(void **state)
{
    rest_db_breaker b = { 0 };

    assert_int_equal(rest_db_breaker_refused(&b, 100), 1);
    assert_int_equal(rest_db_breaker_refused(&b, 900), 0);
    assert_int_equal(b.probe_at, 900 + REST_DB_BREAKER_PROBE);
    assert_int_equal(b.since, 100);
    rest_db_breaker_worked(&b);
    assert_int_equal(b.open, 1);
    assert_int_equal(rest_db_breaker_reached(&b), 1);
    assert_int_equal(b.open, 0);
    assert_int_equal(rest_db_breaker_reached(&b), 0);
}

static void completes_the_connection_string(void **state)
{
    static const struct {
        const char *dsn, *complete;
    } cases[] = { { "host=db user=app",
                    "user='app' connect_timeout='3' host='db' client_encoding='UTF8' "
                    "application_name='orgscale'" },
                  { "postgresql://app@db/fin?connect_timeout=9&application_name=x",
                    "user='app' connect_timeout='9' dbname='fin' host='db' client_encoding='UTF8' "
                    "application_name='x'" },
                  { "password='a\\'b\\\\c'", "password='a\\'b\\\\c' connect_timeout='3' "
                                             "client_encoding='UTF8' application_name='orgscale'" },
                  { "no such thing", NULL },
                  { "host", NULL } };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = NULL;
        const char *complete =
            rest_db_dsn_complete(*state, cases[i].dsn, apr_time_from_msec(3900), &why);

        if (cases[i].complete) {
            assert_non_null(complete);
            assert_string_equal(complete, cases[i].complete);
            assert_null(strstr(complete, "options"));
        }
        else {
            assert_null(complete);
            assert_non_null(why);
        }
    }
}

static void a_bad_pool_is_refused_before_a_thread_starts(void **state)
{
    rest_db_params params = { "nonsense", 2, APR_USEC_PER_SEC, APR_USEC_PER_SEC };
    rest_db_pool *pool;

    assert_int_equal(rest_db_pool_create(&pool, &params, *state, NULL), APR_EINVAL);
    params.dsn = "host=/nowhere";
    params.max = 0;
    assert_int_equal(rest_db_pool_create(&pool, &params, *state, NULL), APR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqlstates_become_statuses),
        cmocka_unit_test(five_failures_in_a_row_open_the_breaker),
        cmocka_unit_test(a_failed_connect_opens_it_and_the_probe_closes_it),
        unit_pool_test(completes_the_connection_string),
        unit_pool_test(a_bad_pool_is_refused_before_a_thread_starts)
    };

    return unit_run(tests);
}
