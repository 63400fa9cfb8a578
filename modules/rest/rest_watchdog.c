/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Jobs on mod_watchdog, see rest_watchdog.h: one uniquely named instance each, since callbacks
 * of one instance wait for one another (httpd-facts.md 8).
 *
 * mod_watchdog's threads outlive the child's pool, and with it the database and all that jobs
 * use: it joins them, if at all, when the process ends. So a job runs only while the gate is
 * open, and the child's pool is not cleared before the gate is shut behind the last one. */
#include "rest_watchdog.h"

#include "og_log.h"
#include "og_thread.h"

#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <mod_watchdog.h>
#include <stdatomic.h>

typedef struct job {
    rest_watchdog_run *run;
    const server_rec *s;
} job;

/* process: */
static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER;
static rest_watchdog_last *last_words;

/* child: under gate */
static int open;

/* child: */
static atomic_int ends;

/* child: between the two hooks, which are the main thread's */
static sigset_t signals;

int rest_watchdog_ends(void)
{
    return atomic_load(&ends);
}

static apr_status_t shut(void *s)
{
    atomic_store(&ends, 1);
    pthread_rwlock_wrlock(&gate);
    open = 0;
    pthread_rwlock_unlock(&gate);
    if (last_words) {
        last_words(s);
    }
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

/* Modules do this one behind the other, and not in the reverse of the order in which they
 * blocked: it is for the first, who alone found signals that were not blocked. */
static void after_threads(apr_pool_t *p, server_rec *s)
{
    if (!sigismember(&signals, SIGTERM)) {
        og_thread_restore_signals(&signals);
    }
}

void rest_watchdog_register(apr_pool_t *p, rest_watchdog_last *last)
{
    last_words = last;
    ap_hook_child_init(before_threads, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(after_threads, NULL, NULL, APR_HOOK_REALLY_LAST);
}

/* mod_watchdog's callback; data is the job. One that returns an error is never called again, so
 * this always succeeds, and each turn has a pool of its own. */
static apr_status_t turn(int state, void *data, apr_pool_t *pool)
{
    const job *what = data;
    apr_pool_t *p;

    if (state != AP_WATCHDOG_STATE_RUNNING || pthread_rwlock_tryrdlock(&gate)) {
        return APR_SUCCESS;
    }
    if (open && apr_pool_create(&p, pool) == APR_SUCCESS) {
        what->run(p, what->s);
        apr_pool_destroy(p);
    }
    pthread_rwlock_unlock(&gate);
    return APR_SUCCESS;
}

int rest_watchdog_add(server_rec *s, apr_pool_t *p, const char *name, const char *why,
                      int singleton, apr_interval_time_t interval, rest_watchdog_run *run)
{
    job *what = apr_palloc(p, sizeof(*what));
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t rv;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return 1; /* the first of two passes: its watchdogs would be thrown away */
    }
    what->run = run;
    what->s = s;
    if (!get || !add) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, OGLOGNO(2207)
                     "%s needs mod_watchdog: expected a LoadModule for it", why);
        return 0;
    }
    rv = get(&watchdog, name, 0, singleton, p);
    if (rv == APR_SUCCESS) {
        rv = add(watchdog, interval, what, turn);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, OGLOGNO(2208) "%s: no watchdog %s", why, name);
    }
    return rv == APR_SUCCESS;
}
