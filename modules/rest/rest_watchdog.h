/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_watchdog.h
 * @brief A module's jobs, on mod_watchdog
 *
 * What a job does may use all that the child has: it runs in threads without signals, and only
 * while the child's pool is there. Each module that is linked with this has jobs, and a gate, of
 * its own.
 */
#ifndef REST_WATCHDOG_H
#define REST_WATCHDOG_H

#include <httpd.h>
#include <apr_time.h>

/** What a job does each time. Never called twice at once; p is destroyed afterwards. */
typedef void rest_watchdog_run(apr_pool_t *p, const server_rec *s);

/** What is left to do as a child ends: no job runs any more, and all that jobs use is still there.
 * Not in a thread of mod_watchdog's. */
typedef void rest_watchdog_last(const server_rec *s);

/**
 * For register_hooks of a module with jobs, once.
 * @param last  NULL: nothing
 */
void rest_watchdog_register(apr_pool_t *p, rest_watchdog_last *last);

/**
 * Run a job at an interval: in every child, or as a singleton in one child of the host. For
 * post_config hooks of APR_HOOK_MIDDLE: mod_watchdog counts its instances behind them.
 * @param name  that no other job has; a constant
 * @param why   the directive that asks for it
 * @return 1, or 0 after having logged why not
 */
int rest_watchdog_add(server_rec *s, apr_pool_t *p, const char *name, const char *why,
                      int singleton, apr_interval_time_t interval, rest_watchdog_run *run);

/** Whether the child waits for its jobs in order to end: one that takes long leaves off. */
int rest_watchdog_ends(void);

#endif /* REST_WATCHDOG_H */
