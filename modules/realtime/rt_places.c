/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* How many polls there is room for, and what in the configuration contradicts what is asked.
 *
 * Connections, descriptors and threads are shared with all other requests, so a third of each is
 * kept for those (httpd-facts.md 13.2, 13.3): a child that has parked all it may still accepts,
 * opens files and answers. The numbers are the MPM's; what it tells nobody is read from the
 * configuration tree, where the last one set holds. */
#include "rt.h"

#include <ap_mpm.h>
#include <apr_strings.h>
#include <http_core.h>
#include <stdlib.h>
#include <sys/resource.h>

/* What a child needs files for besides connections: logs, listeners, doorbells, databases */
#define FILES_KEPT 100

/* The longest retryMs: a client that is told to come back then finds its connection open */
#define PAUSE (5 * APR_USEC_PER_SEC)

/* Parent, then inherited: set at configuration */
static rt_places places;

const rt_places *rt_places_get(void)
{
    return &places;
}

/* The value of a directive of the main server, the last one; NULL without any. Containers that are
 * read at once (IfModule, IfDefine, Include) are no level of their own in the tree. */
static const char *last_set(apr_pool_t *p, const char *name)
{
    const ap_directive_t *each;
    const char *args = NULL;

    for (each = ap_conftree; each; each = each->next) {
        if (!strcasecmp(each->directive, name)) {
            args = each->args;
        }
    }
    return args ? ap_getword_conf(p, &args) : NULL;
}

/* Connections that a child takes for each of its idle threads; the event MPM drops the fraction. */
static int worker_factor(apr_pool_t *p)
{
    const char *value = last_set(p, "AsyncRequestWorkerFactor");
    double factor = value ? strtod(value, NULL) : 2;

    return factor > 1 && factor < 1000000 ? (int)factor : 1;
}

/* Threads of mod_http2, which run its streams beside the MPM's. */
static int http2_threads(apr_pool_t *p, int threads)
{
    const char *least = last_set(p, "H2MinWorkers"), *most = last_set(p, "H2MaxWorkers");
    int min = least ? atoi(least) : 0, max = most ? atoi(most) : 0;

    return max > 0 ? max : (min > 0 ? min : threads) * 3 / 2;
}

/* Files that a process may have open. */
static int file_limit(void)
{
    struct rlimit files;

    return getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur > INT_MAX ? INT_MAX
                                                                        : (int)files.rlim_cur;
}

static int can_waitio(void)
{
#ifdef AP_MPMQ_CAN_WAITIO
    int can = 0;

    return ap_mpm_query(AP_MPMQ_CAN_WAITIO, &can) == APR_SUCCESS && can;
#else
    return 0;
#endif
}

static int lesser(int a, int b)
{
    return a < b ? a : b;
}

void rt_places_count(const rt_server_conf *conf, apr_pool_t *p)
{
    int each, by_files;

    places.threads = places.children = places.server_limit = 1;
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &places.threads);
    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &places.children);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &places.server_limit);
    places.threads = places.threads > 1 ? places.threads : 1;
    places.waitio = conf->park != RT_PARK_CONDVAR && can_waitio();
    places.owned = conf->park == RT_PARK_OWNED && places.waitio;
    places.factor = places.waitio ? worker_factor(p) : 0;
    places.files = file_limit();
    /* of few files the larger part is kept: what a child needs in any case is not less then */
    by_files = places.files - FILES_KEPT > places.files / 3 ? places.files - FILES_KEPT
                                                            : places.files / 3;
    each = lesser(places.threads * (1 + places.factor), by_files);
    places.a_child = each > 1 ? each * 2 / 3 : 1;
    places.in_threads = places.threads > 1 ? lesser(places.threads * 2 / 3, places.a_child) : 1;
    places.streams = lesser(http2_threads(p, places.threads) * 2 / 3, places.in_threads);
    places.all = (apr_int64_t)places.children * each * 2 / 3;
}

/* More polls than there are places. */
static void check_room(const rt_server_conf *conf, apr_pool_t *p, server_rec *s)
{
    /* polls get two thirds of what there is: how much there would have to be, and in each child */
    apr_int64_t needed = (conf->max_parked * 3 + 1) / 2;
    apr_int64_t each = (needed + places.children - 1) / places.children;
    const char *how;

    if (conf->max_parked == OG_UNSET || conf->max_parked <= places.all) {
        return;
    }
    how = places.waitio
              ? apr_psprintf(p, "AsyncRequestWorkerFactor %d, ulimit -n %d; that many need factor %"
                             APR_INT64_T_FMT " and ulimit -n %" APR_INT64_T_FMT, places.factor,
                             places.files, (each - 1) / places.threads, each + FILES_KEPT)
              : apr_psprintf(p, "MaxRequestWorkers %d; that many need %" APR_INT64_T_FMT,
                             places.children * places.threads, needed);
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1510)
                 "RealtimeMaxParked %" APR_INT64_T_FMT ": expected at most %" APR_INT64_T_FMT
                 ", two thirds of what all children hold (%d children, ThreadsPerChild %d, %s)",
                 conf->max_parked, places.all, places.children, places.threads, how);
}

/* Connections that a child accepts but has no descriptors for: the first EMFILE ends the child. */
static void check_files(server_rec *s)
{
    int connections = places.threads * (1 + places.factor);

    if (places.files < connections + FILES_KEPT) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1520)
                     "%d open files (ulimit -n): expected at least %d, for the %d connections that "
                     "a child accepts (ThreadsPerChild %d, AsyncRequestWorkerFactor %d) and %d for "
                     "logs, databases and the like: a child parks %d polls at most",
                     places.files, connections + FILES_KEPT, connections, places.threads,
                     places.factor, FILES_KEPT, places.a_child);
    }
}

/* The MPM closes what waits for longer than Timeout, which goes on behind the answer: polls are cut
 * to it, and a client that pauses finds its connection gone. */
static void check_timeout(server_rec *s)
{
    apr_interval_time_t poll = rt_config_longest_poll(s);

    if (places.waitio && !places.owned && poll && s->timeout < poll + PAUSE) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1521)
                     "Timeout %d: expected at least %d, RealtimePollTimeout %d and a client's "
                     "pause behind it: connections of polls to %s are closed sooner, or polls cut",
                     (int)apr_time_sec(s->timeout), (int)apr_time_sec(poll + PAUSE),
                     (int)apr_time_sec(poll), s->is_virtual ? "a virtual host" : "the main server");
    }
}

/* Children of a graceful restart beside the old ones, which end when their last request does. */
static void check_server_limit(const rt_server_conf *conf, server_rec *s)
{
    apr_int64_t polls = conf->max_parked != OG_UNSET && conf->max_parked < places.all
                            ? conf->max_parked : places.all;
    int fresh = lesser((int)((polls + places.a_child - 1) / places.a_child), places.children);

    if (places.waitio && places.server_limit < places.children + fresh) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1522)
                     "ServerLimit %d: expected at least %d, %d children (MaxRequestWorkers %d) and "
                     "%d new ones that park %" APR_INT64_T_FMT " polls (RealtimeMaxParked) while "
                     "the old ones end after a graceful restart", places.server_limit,
                     places.children + fresh, places.children, places.children * places.threads,
                     fresh, polls);
    }
}

apr_interval_time_t rt_places_longest(const server_rec *s)
{
    return s->timeout / 10 * 9;
}

/* Contradictions, said at config test; the first of a start's two passes says them. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const rt_server_conf *conf = ap_get_module_config(s->module_config, &realtime_lp_module);
    server_rec *each;

    rt_places_count(conf, ptemp);
    if ((conf->park == RT_PARK_WAITIO || conf->park == RT_PARK_OWNED) && !places.waitio) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, OGLOGNO(1509)
                     "RealtimePark %s: expected the event MPM of httpd 2.4.63 or later",
                     conf->park == RT_PARK_OWNED ? "owned" : "waitio");
        return !OK;
    }
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    check_room(conf, ptemp, s);
    if (rt_domains()) {
        check_files(s);
        check_server_limit(conf, s);
        for (each = s; each; each = each->next) {
            check_timeout(each);
        }
    }
    return OK;
}

void rt_places_register(apr_pool_t *p)
{
    /* behind the MPM's, which puts its numbers right */
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_LAST);
}
