/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The pool: borrowing, giving back, and what a failure means for the others. pool->lock guards the
 * slots and is never held across I/O; opening and closing is rest_db_connect.c's. */
#include "rest_db_pool.h"

#include <apr_strings.h>
#include <http_log.h>
#include <limits.h>
#include <time.h>

#include "og_clock.h"
#include "og_log.h"
#include "og_thread.h"
#include "rest_db_dsn.h"
#include "rest_db_wire.h"

/* Who finds this many a connection in the queue is told at once rather than at its deadline */
#define WAITERS_A_CONNECTION 4

rest_db_conn *rest_db_pool_slot(rest_db_pool *pool, rest_db_slot_state state)
{
    rest_db_conn *found = NULL;
    int i;

    for (i = 0; i < pool->params.max; i++) {
        rest_db_conn *conn = &pool->slots[i];

        if (conn->state == state && (!found || conn->idle_since < found->idle_since)) {
            found = conn;
        }
    }
    return found;
}

/* The connection used last: the others may fall idle for long enough to be closed */
static rest_db_conn *freshest(rest_db_pool *pool)
{
    rest_db_conn *found = NULL;
    int i;

    for (i = 0; i < pool->params.max; i++) {
        rest_db_conn *conn = &pool->slots[i];

        if (conn->state == REST_DB_SLOT_IDLE && (!found || conn->idle_since > found->idle_since)) {
            found = conn;
        }
    }
    return found;
}

int rest_db_pool_wait(rest_db_pool *pool, pthread_cond_t *cond, apr_time_t until)
{
    struct timespec at = { (time_t)apr_time_sec(until), (long)apr_time_usec(until) * 1000 };

    return pthread_cond_timedwait(cond, &pool->lock, &at) == 0;
}

void rest_db_pool_give(rest_db_conn *conn)
{
    rest_db_pool *pool = conn->pool;
    rest_db_waiter *first = pool->waiters;

    if (first) {
        pool->waiters = first->next;
        pool->waiting--;
        conn->state = REST_DB_SLOT_BUSY;
        first->conn = conn;
        pthread_cond_signal(&first->wake);
        return;
    }
    conn->state = REST_DB_SLOT_IDLE;
    conn->idle_since = og_clock_mono();
}

static void refuse_waiters(rest_db_pool *pool)
{
    rest_db_waiter *waiter;

    for (waiter = pool->waiters; waiter; waiter = waiter->next) {
        waiter->refused = 1;
        pthread_cond_signal(&waiter->wake);
    }
    pool->waiters = NULL;
    pool->waiting = 0;
}

void rest_db_pool_shut(rest_db_pool *pool)
{
    int i;

    for (i = 0; i < pool->params.max; i++) {
        if (pool->slots[i].state == REST_DB_SLOT_IDLE) {
            pool->slots[i].state = REST_DB_SLOT_SPENT;
        }
    }
    refuse_waiters(pool);
    pthread_cond_signal(&pool->work);
}

/* One connection is dead: look at those that lie idle, since a killed backend takes all with it
 * (F12). poll() with no time-out does not wait, so it may run under the lock. */
static void bury_dead(rest_db_pool *pool)
{
    int i;

    for (i = 0; i < pool->params.max; i++) {
        rest_db_conn *conn = &pool->slots[i];

        if (conn->state == REST_DB_SLOT_IDLE && !rest_db_wire_quiet(conn->pg)) {
            conn->state = REST_DB_SLOT_SPENT;
        }
    }
    pthread_cond_signal(&pool->work);
}

static void unqueue(rest_db_pool *pool, const rest_db_waiter *waiter)
{
    rest_db_waiter **at;

    for (at = &pool->waiters; *at; at = &(*at)->next) {
        if (*at == waiter) {
            *at = waiter->next;
            pool->waiting--;
            return;
        }
    }
}

/* Nothing came by the deadline: too many borrowers, or nothing to borrow? Under the lock. */
static rest_db_status none_came(rest_db_pool *pool)
{
    return rest_db_pool_slot(pool, REST_DB_SLOT_BUSY) ? REST_DB_BUSY : REST_DB_DOWN;
}

/* Stand in the queue; under the lock. */
static rest_db_status wait_turn(rest_db_pool *pool, apr_time_t deadline, rest_db_conn **conn)
{
    rest_db_waiter self = { NULL };
    rest_db_waiter **last;
    rest_db_status status = REST_DB_OK;

    if (pool->waiting >= WAITERS_A_CONNECTION * pool->params.max) {
        return REST_DB_BUSY;
    }
    pthread_cond_init(&self.wake, &pool->clock);
    for (last = &pool->waiters; *last; last = &(*last)->next) {
    }
    *last = &self;
    pool->waiting++;
    pthread_cond_signal(&pool->work);
    while (!self.conn && !self.refused && rest_db_pool_wait(pool, &self.wake, deadline)) {
    }
    if (self.refused) {
        status = REST_DB_DOWN;
    }
    else if (!self.conn) {
        unqueue(pool, &self);
        status = none_came(pool);
    }
    pthread_cond_destroy(&self.wake);
    *conn = self.conn;
    return status;
}

static rest_db_status take(rest_db_pool *pool, apr_time_t deadline, rest_db_conn **conn)
{
    rest_db_status status = REST_DB_OK;

    pthread_mutex_lock(&pool->lock);
    if (pool->breaker.open || pool->stopping) {
        status = REST_DB_DOWN;
    }
    else if ((*conn = freshest(pool))) { /* then nobody waits: give() serves the queue first */
        (*conn)->state = REST_DB_SLOT_BUSY;
    }
    else {
        status = wait_turn(pool, deadline, conn);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

rest_db_status rest_db_borrow(rest_db_pool *pool, apr_time_t deadline, rest_db_conn **conn)
{
    apr_time_t patience = og_clock_mono() + pool->params.wait;
    rest_db_status status;

    if (pool->params.wait && patience < deadline) {
        deadline = patience;
    }
    while ((status = take(pool, deadline, conn)) == REST_DB_OK
           && !rest_db_wire_quiet((*conn)->pg)) {
        pthread_mutex_lock(&pool->lock);
        (*conn)->state = REST_DB_SLOT_SPENT;
        bury_dead(pool);
        pthread_mutex_unlock(&pool->lock);
    }
    if (status != REST_DB_OK) {
        *conn = NULL;
    }
    return status;
}

void rest_db_return(rest_db_conn *conn)
{
    rest_db_pool *pool = conn->pool;
    int sound = !conn->failed && PQstatus(conn->pg) == CONNECTION_OK
                && PQpipelineStatus(conn->pg) == PQ_PIPELINE_OFF
                && PQtransactionStatus(conn->pg) == PQTRANS_IDLE;

    pthread_mutex_lock(&pool->lock);
    if (sound) {
        rest_db_breaker_worked(&pool->breaker);
    }
    if (sound && !pool->breaker.open && !pool->stopping) {
        rest_db_pool_give(conn);
    }
    else { /* open breaker: its slot is the probe's */
        conn->state = REST_DB_SLOT_SPENT;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
}

PGconn *rest_db_native(rest_db_conn *conn)
{
    return conn->pg;
}

void rest_db_failed(rest_db_conn *conn)
{
    rest_db_pool *pool = conn->pool;
    int opened;

    conn->failed = 1;
    pthread_mutex_lock(&pool->lock);
    opened = rest_db_breaker_failed(&pool->breaker, og_clock_mono());
    if (opened) {
        rest_db_pool_shut(pool);
    }
    else {
        bury_dead(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (opened) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, 0, pool->s,
            OGLOGNO(2200) "%d database connections in a row failed or were late: refusing "
                          "at once until a probe succeeds (is the server up, and not stopped?)",
            REST_DB_BREAKER_FAILURES);
    }
}

void rest_db_stats_get(rest_db_pool *pool, rest_db_stats *stats)
{
    int i;

    pthread_mutex_lock(&pool->lock);
    *stats = (rest_db_stats){ 0, 0, pool->waiting, pool->breaker.open };
    for (i = 0; i < pool->params.max; i++) {
        stats->busy += pool->slots[i].state == REST_DB_SLOT_BUSY;
        stats->open += pool->slots[i].state == REST_DB_SLOT_IDLE;
    }
    stats->open += stats->busy;
    pthread_mutex_unlock(&pool->lock);
}

/* The child ends. Threads that hang in libpq are cancelled rather than waited for: a database that
 * does not answer must not hold the child. */
static apr_status_t stop(void *data)
{
    rest_db_pool *pool = data;
    int i;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = 1;
    refuse_waiters(pool);
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    pthread_cancel(pool->connector); /* acts where rest_db_connect.c allows it only */
    pthread_join(pool->connector, NULL);
    rest_db_cancel_stop(pool->canceller);
    /* one still BUSY belongs to its thread; one in WORK was being opened when its thread ended */
    for (i = 0; i < pool->params.max; i++) {
        if (pool->slots[i].state != REST_DB_SLOT_BUSY) {
            rest_db_connect_close(&pool->slots[i]);
        }
    }
    return APR_SUCCESS;
}

/* Values that need no thread: settings, driver, slots. */
static apr_status_t prepare(rest_db_pool *pool, apr_pool_t *p)
{
    const char *why = NULL;
    apr_status_t rv;
    int i;

    pool->dsn = rest_db_dsn_complete(p, pool->params.dsn, pool->params.connect_timeout, &why);
    if (!pool->dsn || pool->params.max < 1) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, 0, pool->s,
            OGLOGNO(2201) "connection string or pool size (%d) not valid: expected "
                          "\"keyword=value ...\" or postgresql://..., and at least one connection",
            pool->params.max);
        return APR_EINVAL;
    }
    rv = apr_dbd_init(p);
    if (rv == APR_SUCCESS) {
        rv = apr_dbd_get_driver(p, "pgsql", &pool->driver);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, rv, pool->s,
            OGLOGNO(2202) "no PostgreSQL driver for apr_dbd: install libaprutil1-dbd-pgsql");
        return rv;
    }
    pool->slots = apr_pcalloc(p, sizeof *pool->slots * (apr_size_t)pool->params.max);
    for (i = 0; i < pool->params.max; i++) {
        pool->slots[i].pool = pool;
    }
    return APR_SUCCESS;
}

apr_status_t rest_db_pool_create(rest_db_pool **out, const rest_db_params *params, apr_pool_t *p,
                                 server_rec *s)
{
    rest_db_pool *pool = apr_pcalloc(p, sizeof *pool);
    apr_status_t rv;

    pool->params = *params;
    pool->s = s;
    rv = prepare(pool, p);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&pool->clock);
    pthread_condattr_setclock(&pool->clock, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->work, &pool->clock);
    rv = rest_db_cancel_start(&pool->canceller, p);
    if (rv == APR_SUCCESS) {
        rv = og_thread_start(&pool->connector, rest_db_connect_run, pool);
        if (rv != APR_SUCCESS) {
            rest_db_cancel_stop(pool->canceller);
        }
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     OGLOGNO(2203) "no thread for database connections (ulimit -u, TasksMax)");
        return rv;
    }
    apr_pool_cleanup_register(p, pool, stop, apr_pool_cleanup_null);
    *out = pool;
    return APR_SUCCESS;
}
