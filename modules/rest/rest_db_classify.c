/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* SQLSTATE → rest_db_status (http-semantics.md 11). apr_dbd hides the SQLSTATE (httpd-facts.md 1),
 * which is why results are libpq's. */
#include "rest_db_classify.h"

#include <string.h>

/* First match wins: single states stand before their classes (PostgreSQL's appendix A). */
static const struct {
    const char *prefix;
    rest_db_status status;
} states[] = {
    { "23505", REST_DB_CONFLICT }, /* unique_violation */
    { "40001", REST_DB_RETRY },    /* serialization_failure */
    { "40P01", REST_DB_RETRY },    /* deadlock_detected */
    { "57014", REST_DB_TIMEOUT },  /* query_canceled: statement_timeout, or our own cancel */
    { "25006", REST_DB_DOWN },     /* read_only_sql_transaction: a standby, or a primary demoted */
    { "53300", REST_DB_DOWN },     /* too_many_connections */
    { "57P", REST_DB_DOWN },       /* admin_shutdown, crash_shutdown, cannot_connect_now … */
    { "08", REST_DB_DOWN },        /* connection exceptions; all that PgBouncer itself says */
    { "22", REST_DB_REFUSED },     /* data exceptions */
    { "23", REST_DB_REFUSED }      /* integrity constraints */
};

rest_db_status rest_db_classify_sqlstate(const char *sqlstate)
{
    size_t i;

    for (i = 0; i < sizeof states / sizeof *states; i++) {
        if (strncmp(sqlstate, states[i].prefix, strlen(states[i].prefix)) == 0) {
            return states[i].status;
        }
    }
    return REST_DB_ERROR;
}

rest_db_status rest_db_classify(const PGconn *pg, const PGresult *res)
{
    const char *sqlstate;

    switch (PQresultStatus(res)) { /* of NULL: PGRES_FATAL_ERROR */
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_EMPTY_QUERY:
    case PGRES_PIPELINE_SYNC:
        return REST_DB_OK;
    default:
        break;
    }
    sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (sqlstate) {
        return rest_db_classify_sqlstate(sqlstate);
    }
    /* no SQLSTATE: the message is libpq's own */
    return PQstatus(pg) == CONNECTION_BAD ? REST_DB_DOWN : REST_DB_ERROR;
}
