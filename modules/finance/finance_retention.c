/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Retention: idempotency rows and outbox rows go after 24 hours (decisions.md 21); audit records
 * stay for ever. In bites, so that no statement holds many locks or much WAL. */
#include "finance.h"

#include "rest_watchdog.h"

#include <apr_strings.h>

#define INTERVAL (60 * APR_USEC_PER_SEC)
#define BITE     "5000"
#define AGE      "24 hours"

/* An event that nobody published in a day has no reader left (RealtimeEventTTL); a purge that
 * nobody sent in a day is past every s-maxage of http-semantics.md 4. */
static const char *const statements[] = {
    "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency_keys"
    " WHERE created_at < now() - interval '" AGE "' LIMIT " BITE "))",
    "DELETE FROM event_outbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM event_outbox"
    " WHERE created_at < now() - interval '" AGE "' LIMIT " BITE "))",
    "DELETE FROM purge_outbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM purge_outbox"
    " WHERE created_at < now() - interval '" AGE "' LIMIT " BITE "))"
};

static void sweep(apr_pool_t *p, const server_rec *s)
{
    size_t i;

    for (i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        rest_tx_stmt stmt = { statements[i], 0, NULL };
        const PGresult *res;
        rest_tx *tx;

        if (finance_db_begin_job(p, s, &tx) != REST_DB_OK
            || rest_tx_finish(tx, &stmt, 1, &res) != REST_DB_OK) {
            return;
        }
        if (strcmp(PQcmdTuples((PGresult *)res), "0") != 0) {
            ap_log_error(APLOG_MARK, APLOG_INFO, 0, s,
                         OGLOGNO(1607) "retention removed %s rows that were past their time",
                         PQcmdTuples((PGresult *)res));
        }
    }
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    if (finance_conf(s)->job_dsn
        && !rest_watchdog_add(s, pconf, "finance-retention", "FinanceJobDSN", 1, INTERVAL, sweep)) {
        return !OK;
    }
    return OK;
}

void finance_retention_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
