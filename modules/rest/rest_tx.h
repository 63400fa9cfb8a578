/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_tx.h
 * @brief One transaction of one tenant: libpq pipeline mode, a deadline, unnamed statements only
 *
 * The transaction sets app.org_id for row-level security, statement_timeout and its access mode
 * itself; whatever ends early is rolled back by the cleanup of the transaction's pool. Nothing
 * here blocks past the deadline: reading is poll() on the socket, and a statement that is late is
 * cancelled (PQcancel runs on a thread of its own) and its connection is given up.
 *
 *     if ((status = rest_tx_begin(r->pool, pool, &scope, &tx)) == REST_DB_OK
 *         && (status = rest_tx_exec(tx, sql, 2, values, &res)) == REST_DB_OK
 *         && (status = rest_tx_commit(tx)) == REST_DB_OK) …
 *     // any other way out: nothing was committed, except REST_DB_UNKNOWN from rest_tx_commit()
 */
#ifndef REST_TX_H
#define REST_TX_H

#include "rest_db.h"

typedef struct rest_tx rest_tx;

typedef struct rest_tx_scope {
    apr_int64_t org;       /**< app.org_id; 0: none (jobs) */
    apr_int64_t user;      /**< app.user_id, for audit triggers and logs; 0: none */
    int read_only;         /**< BEGIN READ ONLY */
    apr_time_t deadline;   /**< og_clock_mono() time for the whole transaction */
} rest_tx_scope;

/** A statement: text with $1…$n (cast in SQL, "$1::bigint") and its values; NULL is SQL NULL. */
typedef struct rest_tx_stmt {
    const char *sql;
    int count;
    const char *const *values;
} rest_tx_stmt;

/**
 * Borrow a connection and open the transaction. BEGIN and the settings are only queued; they
 * travel with the first statement.
 * @param p  owns the transaction and its results; its cleanup rolls back and returns the connection
 */
rest_db_status rest_tx_begin(apr_pool_t *p, rest_db_pool *pool, const rest_tx_scope *scope,
                             rest_tx **tx);

/**
 * Run one statement and wait for its result.
 * @param res  owned by the transaction's pool; may be NULL
 */
rest_db_status rest_tx_exec(rest_tx *tx, const char *sql, int count, const char *const *values,
                            const PGresult **res);

/**
 * Run statements in one round trip; results in order. The first failure is returned and the
 * transaction is then over.
 */
rest_db_status rest_tx_batch(rest_tx *tx, const rest_tx_stmt *stmts, int n, const PGresult **res);

/**
 * As rest_tx_batch(), with COMMIT in the same round trip: BEGIN…COMMIT of a read, or the last
 * step of a write. Afterwards the connection is given back, the results stay.
 */
rest_db_status rest_tx_finish(rest_tx *tx, const rest_tx_stmt *stmts, int n, const PGresult **res);

/** COMMIT alone, and give the connection back. */
rest_db_status rest_tx_commit(rest_tx *tx);

/** ROLLBACK now rather than when the pool is cleared; harmless after the end. */
void rest_tx_rollback(rest_tx *tx);

/** Name of the constraint that the last failure named, or NULL; from the transaction's pool. */
const char *rest_tx_constraint(const rest_tx *tx);

/** SQLSTATE and primary message of the last failure, for the log; "" when there was none. */
const char *rest_tx_error(const rest_tx *tx);

#endif /* REST_TX_H */
