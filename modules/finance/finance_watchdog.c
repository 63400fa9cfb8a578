/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Jobs on mod_watchdog: one uniquely named instance each, since callbacks of one instance wait for
 * one another (httpd-facts.md 8).
 *
 * mod_watchdog's threads outlive the child's pool, and with it the database and all that jobs use:
 * it joins them, if at all, when the process ends. So a job runs only while the gate is open, and
 * the child's pool is not cleared before the gate is shut behind the last one. */
#include "finance.h"

#include "og_thread.h"

#include <http_core.h>
#include <mod_watchdog.h>

/* process: */
static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER;

/* child: under gate */
static int open;

/* child: between the two hooks, which are the main thread's */
static sigset_t signals;

static apr_status_t shut(void *s)
{
    pthread_rwlock_wrlock(&gate);
    open = 0;
    pthread_rwlock_unlock(&gate);
    finance_relay_flush(s);
    return APR_SUCCESS;
}

/* mod_watchdog starts its threads in between: they inherit that signals are not theirs
 * (og_thread.h) */
static void before_threads(apr_pool_t *p, server_rec *s)
{
    og_thread_block_signals(&signals);
    open = 1;
    apr_pool_pre_cleanup_register(p, s, shut);
}

static void after_threads(apr_pool_t *p, server_rec *s)
{
    og_thread_restore_signals(&signals);
}

void finance_watchdog_register(apr_pool_t *p)
{
    ap_hook_child_init(before_threads, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(after_threads, NULL, NULL, APR_HOOK_REALLY_LAST);
}

/* mod_watchdog's callback; data is the finance_job. One that returns an error is never called
 * again, so this always succeeds, and each turn has a pool of its own. */
static apr_status_t turn(int state, void *data, apr_pool_t *pool)
{
    const finance_job *job = data;
    apr_pool_t *p;

    if (state != AP_WATCHDOG_STATE_RUNNING || pthread_rwlock_tryrdlock(&gate)) {
        return APR_SUCCESS;
    }
    if (open && apr_pool_create(&p, pool) == APR_SUCCESS) {
        job->run(p, job->s);
        apr_pool_destroy(p);
    }
    pthread_rwlock_unlock(&gate);
    return APR_SUCCESS;
}

int finance_watchdog(server_rec *s, apr_pool_t *p, const char *name, int singleton,
                     apr_interval_time_t interval, finance_run *run)
{
    finance_job *job = apr_palloc(p, sizeof(*job));
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t rv;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return 1; /* the first of two passes: its watchdogs would be thrown away */
    }
    job->run = run;
    job->s = s;
    if (!get || !add) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, OGLOGNO(1608)
                     "FinanceJobDSN needs mod_watchdog: expected a LoadModule for it");
        return 0;
    }
    rv = get(&watchdog, name, 0, singleton, p);
    if (rv == APR_SUCCESS) {
        rv = add(watchdog, interval, job, turn);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, OGLOGNO(1609) "no watchdog %s", name);
    }
    return rv == APR_SUCCESS;
}
