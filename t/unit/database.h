/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What tests against a real PostgreSQL share: connection strings, pools, time. */
#ifndef DATABASE_H
#define DATABASE_H

#include "unit.h"
#include "stub_log.h"

#include <apr_strings.h>
#include <libpq-fe.h>
#include <unistd.h>

#include "og_clock.h"
#include "rest_tx.h"

#define MS(n) apr_time_from_msec(n)

/* host: TEST_PGHOST unless named; TEST_PGPORT where a pooler stands before it */
static inline const char *dsn_of(apr_pool_t *p, const char *host, const char *user)
{
    const char *port = getenv("TEST_PGPORT");

    return apr_psprintf(p, "host=%s port=%s user=%s dbname=orgscale",
                        host ? host : getenv("TEST_PGHOST"), port ? port : "5432", user);
}

static inline rest_db_pool *pool_of(apr_pool_t *p, const char *dsn, int max)
{
    rest_db_params params = { dsn, max, APR_USEC_PER_SEC, apr_time_from_sec(60) };
    rest_db_pool *pool = NULL;

    assert_int_equal(rest_db_pool_create(&pool, &params, p, NULL), APR_SUCCESS);
    return pool;
}

/* A transaction of org, `ms` from now; asserts that it begins. */
static inline rest_tx *tx_of(apr_pool_t *p, rest_db_pool *pool, apr_int64_t org, int ms)
{
    rest_tx_scope scope = { org, 7, 0, og_clock_mono() + MS(ms) };
    rest_tx *tx = NULL;
    rest_db_status status = rest_tx_begin(p, pool, &scope, &tx);

    if (status != REST_DB_OK) {
        fail_msg("begin: status %d", status);
    }
    return tx;
}

/* One value of one row, or NULL when the statement failed. */
static inline const char *value_of(rest_tx *tx, const char *sql)
{
    const PGresult *res = NULL;

    if (rest_tx_exec(tx, sql, 0, NULL, &res) != REST_DB_OK || PQntuples(res) != 1) {
        return NULL;
    }
    return PQgetvalue(res, 0, 0);
}

/* A connection of the superuser's, straight to the server, for what the test itself needs. */
static inline PGconn *admin_of(apr_pool_t *p)
{
    const char *host = getenv("TEST_PGADMIN");
    PGconn *pg = PQconnectdb(apr_psprintf(p,
                                          "host=%s user=test dbname=orgscale"
                                          " options='-c client_min_messages=warning'",
                                          host ? host : getenv("TEST_PGHOST")));

    if (PQstatus(pg) != CONNECTION_OK) {
        fail_msg("%s", PQerrorMessage(pg));
    }
    return pg;
}

static inline void admin_do(PGconn *pg, const char *sql)
{
    PGresult *res = PQexec(pg, sql);

    if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(pg));
    }
    PQclear(res);
}

static inline int admin_int(PGconn *pg, const char *sql)
{
    PGresult *res = PQexec(pg, sql);
    int value;

    assert_int_equal(PQntuples(res), 1);
    value = atoi(PQgetvalue(res, 0, 0));
    PQclear(res);
    return value;
}

/* What a test starts with; organisations 9201 "one" and 9202 "two" are there. */
typedef struct {
    apr_pool_t *p;
    rest_db_pool *pool; /* of one connection: what one transaction leaves, the next one meets */
    PGconn *admin;
} setting;

static inline int setting_up(void **state)
{
    apr_pool_t *p;
    setting *s;

    apr_pool_create(&p, NULL);
    s = apr_pcalloc(p, sizeof *s);
    s->p = p;
    s->admin = admin_of(p);
    admin_do(s->admin, "INSERT INTO orgs (id, name) VALUES (9201, 'one'), (9202, 'two')"
                       " ON CONFLICT DO NOTHING");
    s->pool = pool_of(p, dsn_of(p, NULL, "orgscale_app"), 1);
    *state = s;
    return 0;
}

static inline int setting_down(void **state)
{
    setting *s = *state;

    PQfinish(s->admin);
    apr_pool_destroy(s->p);
    return 0;
}

static inline long ms_since(apr_time_t start)
{
    return (long)((og_clock_mono() - start) / 1000);
}

/* Wait up to 5 s for a condition; the pause is the price of asking, not a guess of its time. */
#define wait_until(condition)                                         \
    do {                                                              \
        apr_time_t wait_end = og_clock_mono() + apr_time_from_sec(5); \
        while (!(condition) && og_clock_mono() < wait_end) {          \
            usleep(5000);                                             \
        }                                                             \
        assert_true(condition);                                       \
    } while (0)

#endif /* DATABASE_H */
