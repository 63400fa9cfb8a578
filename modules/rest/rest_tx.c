/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One transaction of one tenant, see rest_tx.h.
 *
 * Each call is one round trip: the statements and a Sync go out together, then their results are
 * read up to the Sync. After an error the server skips what follows it up to the Sync; the
 * transaction is then aborted until ROLLBACK, or ROLLBACK TO a savepoint. A connection on which
 * something is still outstanding, because it broke or was late, is never used again. */
#include "rest_tx.h"

#include <apr_strings.h>
#include <string.h>

#include "og_clock.h"
#include "rest_db_cancel.h"
#include "rest_db_wire.h"

/* The server should give up a little before we do: its 57014 leaves a usable connection behind, our
 * own deadline a broken one. */
#define SERVER_MARGIN_MAX apr_time_from_msec(50)

/* ROLLBACK is immediate, or the connection is not worth waiting for. It is given what is left until
 * the deadline, within these: after it, a request may cost 100 ms at most. */
#define ROLLBACK_MIN apr_time_from_msec(50)
#define ROLLBACK_MAX apr_time_from_msec(500)

struct rest_tx {
    apr_pool_t *pool;
    rest_tx_scope scope;
    rest_db_conn *conn; /* NULL: over */
    PGconn *pg;
    int begun; /* BEGIN was sent */
    char *error;
    const char *constraint;
};

static apr_status_t clear_result(void *res)
{
    PQclear(res);
    return APR_SUCCESS;
}

static apr_status_t abandon(void *tx)
{
    rest_tx_rollback(tx);
    return APR_SUCCESS;
}

static void give_back(rest_tx *tx)
{
    PQexitPipelineMode(tx->pg); /* where that fails, rest_db_return() sees it */
    rest_db_return(tx->conn);
    tx->conn = NULL;
    tx->pg = NULL;
}

/* What failed, for rest_tx_error(). */
static void note(rest_tx *tx, const char *sqlstate, const char *message)
{
    tx->error = apr_psprintf(tx->pool, "%s%s%.200s", sqlstate, *sqlstate ? " " : "", message);
    tx->error[strcspn(tx->error, "\r\n")] = '\0'; /* libpq's own messages have several lines */
}

static void note_result(rest_tx *tx, const PGresult *res)
{
    const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);

    note(tx, sqlstate ? sqlstate : "", message ? message : PQresultErrorMessage(res));
    tx->constraint = constraint ? apr_pstrdup(tx->pool, constraint) : NULL;
}

/* The connection broke, is late or is stuck half-way: it is not used again, since rest_db_return()
 * closes what is not outside pipeline and transaction. */
static rest_db_status lose(rest_tx *tx, rest_db_status why)
{
    if (why == REST_DB_TIMEOUT) {
        rest_db_cancel(tx->conn);
    }
    if (why != REST_DB_ERROR) { /* our own fault: no reason to doubt the database */
        rest_db_failed(tx->conn);
    }
    give_back(tx);
    return why;
}

rest_db_status rest_tx_begin(apr_pool_t *p, rest_db_pool *pool, const rest_tx_scope *scope,
                             rest_tx **out)
{
    rest_tx *tx = apr_pcalloc(p, sizeof *tx);
    rest_db_status status;

    tx->pool = p;
    tx->scope = *scope;
    tx->error = apr_pstrdup(p, "");
    *out = tx;
    status = rest_db_borrow(pool, scope->deadline, &tx->conn);
    if (status != REST_DB_OK) {
        note(tx, "",
             status == REST_DB_BUSY ? "no connection became free by the deadline"
                                    : "no connection to the database");
        return status;
    }
    tx->pg = rest_db_native(tx->conn);
    apr_pool_cleanup_register(p, tx, abandon, apr_pool_cleanup_null);
    if (!PQenterPipelineMode(tx->pg)) {
        return lose(tx, REST_DB_DOWN);
    }
    return REST_DB_OK;
}

static int send_stmt(rest_tx *tx, const char *sql, int count, const char *const *values)
{
    return PQsendQueryParams(tx->pg, sql, count, NULL, values, NULL, NULL, 0);
}

/* An id as app.org_id and app.user_id have it: '' is none (app_org_id() makes NULL of it) */
static const char *id_text(rest_tx *tx, apr_int64_t id)
{
    return id ? apr_psprintf(tx->pool, "%" APR_INT64_T_FMT, id) : "";
}

/* BEGIN and the settings, local to the transaction, so that PgBouncer can hand the session to
 * another tenant afterwards (B15). */
static int send_opening(rest_tx *tx)
{
    apr_time_t left = tx->scope.deadline - og_clock_mono();
    apr_time_t margin = left / 10 < SERVER_MARGIN_MAX ? left / 10 : SERVER_MARGIN_MAX;
    apr_int64_t ms = (left - margin) / 1000;
    const char *values[3];

    values[0] = id_text(tx, tx->scope.org);
    values[1] = id_text(tx, tx->scope.user);
    values[2] = apr_psprintf(tx->pool, "%" APR_INT64_T_FMT, ms < 1 ? 1 : ms);
    return send_stmt(tx, tx->scope.read_only ? "BEGIN READ ONLY" : "BEGIN", 0, NULL)
           && send_stmt(tx,
                        "SELECT set_config('app.org_id', $1, true),"
                        " set_config('app.user_id', $2, true),"
                        " set_config('statement_timeout', $3, true)",
                        3, values);
}

/* Status of a result. A write that a transaction of ours refuses because we opened it read-only is
 * our own fault; any other 25006 comes from a server that is no primary: reconnect (F16). */
static rest_db_status meaning(const rest_tx *tx, const PGresult *res)
{
    rest_db_status status = rest_db_classify(tx->pg, res);
    const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    if (tx->scope.read_only && sqlstate && strcmp(sqlstate, "25006") == 0) {
        return REST_DB_ERROR;
    }
    return status;
}

/* One statement's one result, and the NULL that ends it. */
static rest_db_status receive(rest_tx *tx, apr_time_t deadline, PGresult **res)
{
    PGresult *end = NULL;
    rest_db_status status = rest_db_wire_next(tx->pg, deadline, res);

    if (status != REST_DB_OK) {
        return status;
    }
    if (!*res) { /* fewer results than statements: not a protocol that we know */
        return REST_DB_DOWN;
    }
    if (PQresultStatus(*res) == PGRES_PIPELINE_SYNC
        || meaning(tx, *res) == REST_DB_DOWN) { /* its farewell: nothing follows */
        return REST_DB_OK;
    }
    status = rest_db_wire_next(tx->pg, deadline, &end);
    if (status == REST_DB_OK && end) { /* COPY has more than one: not for us */
        PQclear(end);
        status = REST_DB_DOWN;
    }
    if (status != REST_DB_OK) {
        PQclear(*res);
        *res = NULL;
    }
    return status;
}

/* What one result means; `ending` is the command it must name, or NULL. */
static rest_db_status judge(rest_tx *tx, PGresult *res, const char *ending)
{
    rest_db_status status = meaning(tx, res);

    if (status != REST_DB_OK) {
        note_result(tx, res);
    }
    else if (ending && strcmp(PQcmdStatus(res), ending) != 0) {
        /* COMMIT of an aborted transaction succeeds and says ROLLBACK */
        note(tx, "25P02", "COMMIT of an aborted transaction: rolled back");
        status = REST_DB_ERROR;
    }
    return status;
}

/* Read the results of a round trip that carried `opening` statements of ours, n of the caller's and
 * maybe COMMIT or ROLLBACK. *judged is the first failure among them; returned is whether all
 * results were read. */
static rest_db_status collect(rest_tx *tx, apr_time_t deadline, int opening, int n,
                              const char *ending, const PGresult **res, rest_db_status *judged)
{
    int total = opening + n + (ending ? 1 : 0);
    int i;

    *judged = REST_DB_OK;
    for (i = 0; i <= total; i++) { /* the last is the Sync's */
        PGresult *one = NULL;
        rest_db_status status = receive(tx, deadline, &one);

        if (status != REST_DB_OK) {
            return status;
        }
        if (*judged == REST_DB_OK) {
            *judged = judge(tx, one, i == total - 1 ? ending : NULL);
        }
        if (res && i >= opening && i < opening + n) {
            apr_pool_cleanup_register(tx->pool, one, clear_result, apr_pool_cleanup_null);
            res[i - opening] = one;
        }
        else {
            PQclear(one);
        }
        if (*judged == REST_DB_DOWN) {
            return REST_DB_DOWN;
        }
    }
    return REST_DB_OK;
}

/* Queue a round trip. *committing: COMMIT is among what may have gone out, even when this fails
 * after it, since the server executes it without waiting for the Sync. */
static int send_trip(rest_tx *tx, const rest_tx_stmt *stmts, int n, const char *ending,
                     int *committing)
{
    int i;

    *committing = 0;
    if (!tx->begun) {
        tx->begun = 1;
        if (!send_opening(tx)) {
            return 0;
        }
    }
    for (i = 0; i < n; i++) {
        if (!send_stmt(tx, stmts[i].sql, stmts[i].count, stmts[i].values)) {
            return 0;
        }
    }
    if (ending) {
        if (!send_stmt(tx, ending, 0, NULL)) {
            return 0;
        }
        *committing = strcmp(ending, "COMMIT") == 0 && !tx->scope.read_only;
    }
    return PQpipelineSync(tx->pg);
}

/* One round trip. `ending` is NULL, "COMMIT" or "ROLLBACK".
 * @return the first failure; tx is over when the connection was lost by it */
static rest_db_status round_trip(rest_tx *tx, apr_time_t deadline, const rest_tx_stmt *stmts, int n,
                                 const char *ending, const PGresult **res)
{
    int opening = tx->begun ? 0 : 2;
    rest_db_status status, judged = REST_DB_OK;
    int committing;

    if (send_trip(tx, stmts, n, ending, &committing)) {
        status = collect(tx, deadline, opening, n, ending, res, &judged);
        if (status == REST_DB_OK) {
            return judged;
        }
    }
    else { /* libpq refuses what it cannot send, such as 65536 values, on a sound connection too */
        status = PQstatus(tx->pg) == CONNECTION_BAD ? REST_DB_DOWN : REST_DB_ERROR;
    }
    if (judged == REST_DB_OK) {
        note(tx, "",
             status == REST_DB_TIMEOUT ? "no answer by the deadline" : PQerrorMessage(tx->pg));
    }
    lose(tx, status);
    /* COMMIT went out and its answer did not come in. What the server refused before it did not
     * commit; a connection failure proves nothing, since PgBouncer may report one in place of
     * results that the server had ready. */
    if (committing && (judged == REST_DB_OK || judged == REST_DB_DOWN)) {
        return REST_DB_UNKNOWN;
    }
    return judged != REST_DB_OK ? judged : status;
}

/* Statements of the caller's: not when the transaction is over, and not past its deadline. */
static rest_db_status run(rest_tx *tx, const rest_tx_stmt *stmts, int n, const char *ending,
                          const PGresult **res)
{
    int i;

    for (i = 0; res && i < n; i++) {
        res[i] = NULL;
    }
    if (!tx->conn) {
        if (!*tx->error) { /* else: what ended it is what the caller wants to know */
            note(tx, "25P01", "the transaction is over");
        }
        return REST_DB_ERROR;
    }
    if (og_clock_mono() >= tx->scope.deadline) { /* nothing is sent, so nothing is late */
        rest_tx_rollback(tx);
        note(tx, "", "deadline passed before the statement was sent");
        return REST_DB_TIMEOUT;
    }
    return round_trip(tx, tx->scope.deadline, stmts, n, ending, res);
}

rest_db_status rest_tx_exec(rest_tx *tx, const char *sql, int count, const char *const *values,
                            const PGresult **res)
{
    rest_tx_stmt stmt = { sql, count, values };

    return run(tx, &stmt, 1, NULL, res);
}

rest_db_status rest_tx_batch(rest_tx *tx, const rest_tx_stmt *stmts, int n, const PGresult **res)
{
    rest_db_status status = run(tx, stmts, n, NULL, res);

    if (status != REST_DB_OK) {
        rest_tx_rollback(tx);
    }
    return status;
}

rest_db_status rest_tx_finish(rest_tx *tx, const rest_tx_stmt *stmts, int n, const PGresult **res)
{
    rest_db_status status = run(tx, stmts, n, "COMMIT", res);

    if (status != REST_DB_OK) {
        rest_tx_rollback(tx);
    }
    else {
        give_back(tx);
    }
    return status;
}

rest_db_status rest_tx_commit(rest_tx *tx)
{
    if (tx->conn && !tx->begun) { /* nothing was sent, so nothing is to be committed */
        give_back(tx);
        return REST_DB_OK;
    }
    return rest_tx_finish(tx, NULL, 0, NULL);
}

void rest_tx_rollback(rest_tx *tx)
{
    char *error = tx->error;
    apr_time_t now = og_clock_mono();
    apr_time_t left = tx->scope.deadline - now;

    if (!tx->conn) {
        return;
    }
    if (tx->begun && PQtransactionStatus(tx->pg) != PQTRANS_IDLE) {
        left = left < ROLLBACK_MIN ? ROLLBACK_MIN : left;
        left = left > ROLLBACK_MAX ? ROLLBACK_MAX : left;
        round_trip(tx, now + left, NULL, 0, "ROLLBACK", NULL);
        tx->error = error; /* what led here is what the caller wants to know */
    }
    if (tx->conn) {
        give_back(tx);
    }
}

const char *rest_tx_constraint(const rest_tx *tx)
{
    return tx->constraint;
}

const char *rest_tx_error(const rest_tx *tx)
{
    return tx->error;
}
