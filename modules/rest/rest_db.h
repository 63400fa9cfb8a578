/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_db.h
 * @brief A bounded pool of PostgreSQL connections with deadlines (decisions.md 18, 19;
 * http-semantics.md 11)
 *
 * One pool a child. Connections are opened by apr_dbd_open() on the pool's own connector thread,
 * never on a request thread and never under the pool's lock; request threads use them through
 * libpq. All deadlines are og_clock_mono() times. A database that is down, slow or frozen costs a
 * request at most its deadline, and requests that need no database nothing.
 */
#ifndef REST_DB_H
#define REST_DB_H

#include <httpd.h>
#include <apr_time.h>
#include <libpq-fe.h>

/** How a database call ended: what SQLSTATEs and broken connections boil down to. */
typedef enum {
    REST_DB_OK,
    REST_DB_BUSY,     /**< no connection became free by the deadline: 503 database_busy */
    REST_DB_DOWN,     /**< 08*, 25006 (a write at a server that is read-only), 53300, 57P*, no
                           connection, breaker open: 503 upstream_unavailable */
    REST_DB_TIMEOUT,  /**< 57014 or our own deadline: 504 database_timeout */
    REST_DB_CONFLICT, /**< 23505 */
    REST_DB_RETRY,    /**< 40001, 40P01: the transaction may be tried again */
    REST_DB_REFUSED,  /**< 22*, 23* other than 23505: the data was not acceptable */
    REST_DB_UNKNOWN,  /**< the connection broke after COMMIT was sent: the outcome is not known */
    REST_DB_ERROR     /**< anything else: our own fault, 500 */
} rest_db_status;

typedef struct rest_db_pool rest_db_pool;

/** A borrowed connection; belongs to one thread until it is given back. */
typedef struct rest_db_conn rest_db_conn;

typedef struct rest_db_params {
    const char *dsn;                       /**< libpq keyword=value or URI */
    int max;                               /**< connections a child, 1.. */
    apr_interval_time_t connect_timeout;   /**< whole seconds count, at least 1 s */
    apr_interval_time_t idle;              /**< unused connections are closed after this */
    apr_interval_time_t wait;              /**< longest wait for a connection, 0: the deadline */
} rest_db_params;

/** State for monitoring; a snapshot. */
typedef struct rest_db_stats {
    int open, busy, waiting;
    int breaker_open;
} rest_db_stats;

/**
 * Make the child's pool and start its connector thread. Does not wait for the database: one that
 * is down is probed every 0.5 s in the background until it is back.
 * @param p  the child's pool; its cleanup stops the thread and closes all
 */
apr_status_t rest_db_pool_create(rest_db_pool **pool, const rest_db_params *params, apr_pool_t *p,
                                 server_rec *s);

/**
 * Borrow a connection that is idle and healthy.
 * @return REST_DB_OK, REST_DB_BUSY or REST_DB_DOWN (at once while the breaker is open)
 */
rest_db_status rest_db_borrow(rest_db_pool *pool, apr_time_t deadline, rest_db_conn **conn);

/**
 * Give back. A connection that is not idle and outside any transaction is closed instead: its
 * state is not known, and the next one to use it may be another tenant (B15).
 */
void rest_db_return(rest_db_conn *conn);

/** The libpq handle (apr_dbd_native_handle). */
PGconn *rest_db_native(rest_db_conn *conn);

/** A failure of the connection: counts for the breaker and marks the connection as spent. */
void rest_db_failed(rest_db_conn *conn);

/** Status of a result, by its SQLSTATE. */
rest_db_status rest_db_classify(const PGconn *pg, const PGresult *res);

void rest_db_stats_get(rest_db_pool *pool, rest_db_stats *stats);

#endif /* REST_DB_H */
