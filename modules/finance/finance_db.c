/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The child's database: one pool for requests (orgscale_app), one for jobs (orgscale_job). Written
 * at child_init, before any thread that reads them; the pools have locks of their own. */
#include "finance.h"

#include "og_clock.h"
#include "og_number.h"

#include <apr_strings.h>
#include <stdlib.h>

#define POOL_MAX_DEFAULT  8
#define POOL_WAIT_DEFAULT (3 * APR_USEC_PER_SEC)
#define DEADLINE_DEFAULT  (5 * APR_USEC_PER_SEC)
#define CONNECT_TIMEOUT   (2 * APR_USEC_PER_SEC)
#define IDLE_MAX          (60 * APR_USEC_PER_SEC)

/* Relay and retention, one connection each */
#define JOB_CONNECTIONS 2

/* No request waits for a job, but a child that ends does */
#define JOB_DEADLINE (3 * APR_USEC_PER_SEC)

/* child: */
static rest_db_pool *requests, *jobs;

static void open_pool(rest_db_pool **pool, const char *dsn, int max, apr_interval_time_t wait,
                      apr_pool_t *p, server_rec *s)
{
    rest_db_params params = { dsn, max, CONNECT_TIMEOUT, IDLE_MAX, wait };
    apr_status_t rv;

    if (!dsn) {
        return;
    }
    rv = rest_db_pool_create(pool, &params, p, s);
    if (rv != APR_SUCCESS) {
        *pool = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, OGLOGNO(1602)
                     "no database pool in this child: its requests get 503 (FinanceDSN, "
                     "FinanceJobDSN)");
    }
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    const finance_server_conf *conf = finance_conf(s);

    open_pool(&requests, conf->dsn, (int)og_set_or(conf->pool_max, POOL_MAX_DEFAULT),
              og_set_or(conf->pool_wait, POOL_WAIT_DEFAULT), p, s);
    open_pool(&jobs, conf->job_dsn, JOB_CONNECTIONS, JOB_DEADLINE, p, s);
}

void finance_db_register(apr_pool_t *p)
{
    /* before mod_watchdog's, whose threads ask for the pools at once */
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
}

rest_db_status finance_db_begin(const finance_call *call, int read_only, rest_tx **tx)
{
    const finance_server_conf *conf = finance_conf(call->r->server);
    rest_tx_scope scope = { call->caller->org, call->caller->user, read_only, og_clock_mono() };

    *tx = NULL;
    scope.deadline += og_set_or(conf->deadline, DEADLINE_DEFAULT);
    return requests ? rest_tx_begin(call->r->pool, requests, &scope, tx) : REST_DB_DOWN;
}

rest_db_status finance_db_begin_job(apr_pool_t *p, const server_rec *s, rest_tx **tx)
{
    rest_tx_scope scope = { 0, 0, 0, og_clock_mono() + JOB_DEADLINE };

    *tx = NULL;
    return jobs ? rest_tx_begin(p, jobs, &scope, tx) : REST_DB_DOWN;
}

static const rest_problem broken = { HTTP_INTERNAL_SERVER_ERROR, "internal_error",
                                     "The server failed to handle this request.", NULL, 0 };

void finance_db_untrue(const finance_call *call, const char *what, rest_problem *problem)
{
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, OGLOGNO(1610)
                  "the database says of %s what its schema rules out: not passed on (FinanceDSN)",
                  what);
    *problem = broken;
}

int finance_db_problem(const finance_call *call, rest_db_status status, const rest_tx *tx)
{
    static const rest_problem busy = { HTTP_SERVICE_UNAVAILABLE, "database_busy",
                                       "The database is busy. Please try again.", NULL, 1 };
    static const rest_problem down = { HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
                                       "The database is not available. Please try again.", NULL,
                                       2 };
    static const rest_problem timeout = { HTTP_GATEWAY_TIME_OUT, "database_timeout",
                                          "The database did not answer in time.", NULL, 0 };
    static const rest_problem unknown = {
        HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
        "The connection to the database broke before its answer came. Try again with the same "
        "Idempotency-Key: it will not happen twice.", NULL, 1
    };

    switch (status) {
    case REST_DB_BUSY:
    case REST_DB_RETRY:
        return rest_problem_send(call->r, &busy);
    case REST_DB_DOWN:
        return rest_problem_send(call->r, &down);
    case REST_DB_TIMEOUT:
        return rest_problem_send(call->r, &timeout);
    case REST_DB_UNKNOWN:
        return rest_problem_send(call->r, &unknown);
    default:
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, OGLOGNO(1603)
                      "the database refused a statement of ours: %s", tx ? rest_tx_error(tx) : "");
        return rest_problem_send(call->r, &broken);
    }
}
