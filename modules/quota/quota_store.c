/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* QuotaStore: whose buckets decide. Where those of another host do not answer in time, this host's
 * do, from full ones; where not even they are to be had, because a process that was stopped holds a
 * lock, the request passes: limits protect what is behind them from too much, and one stopped
 * process must not take a part of all callers down. Both are counted, and said once a minute. */
#include "quota.h"

#include "og_clock.h"

#include <ap_provider.h>
#include <http_main.h>

/* What a request waits for another store, and for a lock of this host's; a holder needs
 * microseconds */
#define STORE_WITHIN apr_time_from_msec(20)
#define LOCAL_WITHIN apr_time_from_msec(100)

#define SAY_EVERY (60 * APR_USEC_PER_SEC)

static const quota_store *store; /* parent, then inherited: QuotaStore */

/* child: monotonic, when it was last said; 0: not yet */
static atomic_llong lost_said, late_said;
static atomic_int is_lost;

static int may_say(atomic_llong *said)
{
    long long before = atomic_load(said), now = og_clock_mono();

    return (!before || now - before > SAY_EVERY)
           && atomic_compare_exchange_strong(said, &before, now);
}

static void answered(void)
{
    if (atomic_load(&is_lost) && atomic_exchange(&is_lost, 0)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, ap_server_conf, OGLOGNO(1105)
                     "the store answers again (QuotaStore %s)", quota_conf()->store);
    }
}

static void unanswered(apr_status_t rv)
{
    atomic_store(&is_lost, 1);
    if (may_say(&lost_said)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, ap_server_conf, OGLOGNO(1104)
                     "the store does not answer: buckets of this host decide (QuotaStore %s)",
                     quota_conf()->store);
    }
}

static void undecided(apr_status_t rv)
{
    atomic_fetch_add(&quota_segment_counters()->undecided, 1);
    if (may_say(&late_said)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, ap_server_conf, OGLOGNO(1106)
                     "no bucket was to be had within %d ms, a stopped process holds its lock: such "
                     "requests pass", (int)apr_time_as_msec(LOCAL_WITHIN));
    }
}

int quota_decide(const quota_charge *charges, int n, quota_verdict *verdicts,
                 const quota_store **by)
{
    apr_status_t rv;

    if (store != &quota_shm) {
        rv = store->decide(charges, n, verdicts, STORE_WITHIN);
        if (rv == APR_SUCCESS) {
            answered();
            *by = store;
            return 1;
        }
        unanswered(rv);
        atomic_fetch_add(&quota_segment_counters()->fallbacks, 1);
    }
    rv = quota_shm.decide(charges, n, verdicts, LOCAL_WITHIN);
    if (rv != APR_SUCCESS) {
        undecided(rv);
        return 0;
    }
    *by = &quota_shm;
    return 1;
}

/* A charge that can't be put back stays: it errs against the caller by one. */
void quota_put_back(const quota_store *by, const quota_charge *charges, int n)
{
    by->give_back(charges, n, by == &quota_shm ? LOCAL_WITHIN : STORE_WITHIN);
}

static const quota_store *lookup(const char *name)
{
    return ap_lookup_provider(QUOTA_STORE_GROUP, name, QUOTA_STORE_VERSION);
}

/* What is wrong with it, or NULL */
static const char *missing(const char *name)
{
    const quota_store *named = lookup(name);

    if (!named) {
        return "expected shm, or redis where mod_orgscale_redis is loaded";
    }
    return named->ready ? named->ready() : NULL;
}

/* Behind all LoadModules, so that their order is free. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const quota_server_conf *conf = ap_get_module_config(s->module_config, &quota_module);
    const char *wrong = conf->store ? missing(conf->store) : NULL;

    if (wrong) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, OGLOGNO(1107) "QuotaStore %.40s: %s",
                     conf->store, wrong);
    }
    return wrong ? !OK : OK;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    store = lookup(quota_conf()->store);
    return store ? OK : !OK;
}

void quota_store_register(apr_pool_t *p)
{
    ap_register_provider(p, QUOTA_STORE_GROUP, "shm", QUOTA_STORE_VERSION, &quota_shm);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
