/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The connector thread: opens connections when somebody waits for one, probes while the breaker is
 * open, closes what is spent or was idle for too long. It alone calls libpq's blocking functions,
 * always without the lock, and lets itself be cancelled there, so that a child can end while a
 * connect hangs. */
#include <apr_signal.h>
#include <apr_strings.h>
#include <httpd.h>
#include <http_log.h>
#include <string.h>

#include "og_clock.h"
#include "og_log.h"
#include "rest_db_pool.h"
#include "rest_db_wire.h"

/* An idle time of nothing must not make the thread spin */
#define IDLE_MIN apr_time_from_msec(100)

/* How long the first statement may take. The thread is not cancelled in it, so that this is also
 * how long a child's end may be held up. */
#define PING_MAX APR_USEC_PER_SEC

/* Open and ask once: PgBouncer lets clients in while the server behind it is down. On failure
 * pool->why says why, and what there is of the connection is left for rest_db_connect_close(). */
static rest_db_status open_conn(rest_db_conn *conn)
{
    rest_db_pool *pool = conn->pool;
    rest_db_status status;
    apr_status_t rv;

    pool->why = "no reason given";
    if (apr_pool_create_unmanaged(&conn->mem) != APR_SUCCESS) {
        return REST_DB_DOWN;
    }
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    rv = apr_dbd_open_ex(pool->driver, conn->mem, pool->dsn, &conn->dbd, &pool->why);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    if (rv != APR_SUCCESS) {
        conn->dbd = NULL;
        return REST_DB_DOWN;
    }
    conn->pg = apr_dbd_native_handle(pool->driver, conn->dbd);
    conn->failed = 0;
    PQsetnonblocking(conn->pg, 1); /* a full socket must not hold the sender */
    status = rest_db_wire_ping(conn->pg, og_clock_mono() + PING_MAX);
    if (status != REST_DB_OK) {
        pool->why = status == REST_DB_TIMEOUT ? "connected, but a first statement got no answer"
                                              : apr_pstrdup(conn->mem, PQerrorMessage(conn->pg));
    }
    return status;
}

void rest_db_connect_close(rest_db_conn *conn)
{
    if (conn->dbd) {
        apr_dbd_close(conn->pool->driver, conn->dbd);
    }
    if (conn->mem) {
        apr_pool_destroy(conn->mem);
    }
    conn->mem = NULL;
    conn->dbd = NULL;
    conn->pg = NULL;
}

/* Close a spent connection. Takes and returns with the lock, works without. */
static void empty_slot(rest_db_conn *conn)
{
    conn->state = REST_DB_SLOT_WORK;
    pthread_mutex_unlock(&conn->pool->lock);
    rest_db_connect_close(conn);
    pthread_mutex_lock(&conn->pool->lock);
    conn->state = REST_DB_SLOT_EMPTY;
}

/* The breaker learns how a connect went; 1 when that changed it. Under the lock. The next probe is
 * due half a second after this one began: one that hung until its time-out is followed at once, or
 * the two times together would be longer than a recovery may take. */
static int conclude(rest_db_conn *conn, rest_db_status status, apr_time_t began)
{
    rest_db_pool *pool = conn->pool;

    if (status == REST_DB_OK) {
        int closed = rest_db_breaker_reached(&pool->breaker);

        rest_db_pool_give(conn);
        return closed;
    }
    conn->state = REST_DB_SLOT_SPENT;
    if (!rest_db_breaker_refused(&pool->breaker, began)) {
        return 0;
    }
    rest_db_pool_shut(pool);
    return 1;
}

/* Open a connection into an empty slot, which is the probe while the breaker is open. Takes and
 * returns with the lock, works without. */
static void fill_slot(rest_db_conn *conn)
{
    rest_db_pool *pool = conn->pool;
    apr_time_t began = og_clock_mono(), down_since = pool->breaker.since;
    rest_db_status status;
    int changed;

    conn->state = REST_DB_SLOT_WORK;
    pool->warm = 1;
    pthread_mutex_unlock(&pool->lock);
    status = open_conn(conn);
    pthread_mutex_lock(&pool->lock);
    changed = conclude(conn, status, began);
    if (!changed) {
        return;
    }
    pthread_mutex_unlock(&pool->lock); /* a failed one is SPENT: still this thread's */
    if (status == REST_DB_OK) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->s,
                     OGLOGNO(2204) "database back after %" APR_TIME_T_FMT " ms",
                     (og_clock_mono() - down_since) / 1000);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, pool->s,
                     OGLOGNO(2205) "no database connection, trying again every %d ms: %.*s",
                     (int)(REST_DB_BREAKER_PROBE / 1000), (int)strcspn(pool->why, "\r\n"),
                     pool->why); /* libpq's hints follow */
    }
    pthread_mutex_lock(&pool->lock);
}

/* Is a connection wanted now? Under the lock. */
static int wanted(const rest_db_pool *pool, apr_time_t now)
{
    return pool->breaker.open ? now >= pool->breaker.probe_at : pool->waiting || !pool->warm;
}

/* When something is due that no signal tells of; under the lock. A connection laid by from now on
 * is not due before the idle time is over, so laying by need not wake this thread. */
static apr_time_t next_due(rest_db_pool *pool, const rest_db_conn *empty, const rest_db_conn *idle)
{
    apr_interval_time_t span = pool->params.idle;
    apr_time_t due = og_clock_mono() + (span > IDLE_MIN ? span : IDLE_MIN);

    if (idle && idle->idle_since + pool->params.idle < due) {
        due = idle->idle_since + pool->params.idle;
    }
    if (empty && pool->breaker.open && pool->breaker.probe_at < due) {
        due = pool->breaker.probe_at;
    }
    return due;
}

void *rest_db_connect_run(void *data)
{
    rest_db_pool *pool = data;

    apr_setup_signal_thread();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        rest_db_conn *spent = rest_db_pool_slot(pool, REST_DB_SLOT_SPENT);
        rest_db_conn *empty = rest_db_pool_slot(pool, REST_DB_SLOT_EMPTY);
        rest_db_conn *idle = rest_db_pool_slot(pool, REST_DB_SLOT_IDLE);
        apr_time_t now = og_clock_mono();

        if (spent) {
            empty_slot(spent);
        }
        else if (empty && wanted(pool, now)) {
            fill_slot(empty);
        }
        else if (idle && idle->idle_since + pool->params.idle <= now) {
            idle->state = REST_DB_SLOT_SPENT;
        }
        else {
            rest_db_pool_wait(pool, &pool->work, next_due(pool, empty, idle));
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}
