/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Revocation on this host: the table of tenant_revocations.h in shared memory, which outlives
 * graceful restarts and the death of any child, and what mod_tenant.h offers around it.
 *
 *     og_shm_head | lock | tenant_revocations
 *
 * lock (robust) guards the table but for its revisions, which are read without it: a request whose
 * token passed at this revision, which nearly all did, takes no lock. It is held for a few reads or
 * stores, never across I/O or hooks. Who can't have it in time is refused, not served. The segment
 * is always of the same size, so that no change of TenantRevocations makes a new, empty one. */
#include "tenant.h"

#include <errno.h>
#include <http_core.h>
#include <http_main.h>
#include <openssl/rand.h>
#include <stdatomic.h>

#include "og_clock.h"
#include "og_hooks.h"
#include "og_lock.h"
#include "og_number.h"
#include "rest_retained.h"
#include "tenant_revocations.h"

#define MAGIC  0x746e5276 /* "tnRv" */
#define LAYOUT 1

/* A holder needs microseconds; one that was stopped is not waited for (F03) */
#define LOCK_WITHIN apr_time_from_msec(100)
/* … and when one waited in vain, nobody else of its child does for so long: a notifier that asks
 * for many polls must not wait once for each */
#define SHUT_FOR apr_time_from_msec(250)

typedef struct segment {
    og_shm_head head;
    pthread_mutex_t lock;
} segment;

#define TABLE_AT ((sizeof(segment) + 63) & ~(apr_size_t)63)

/* Parent, then inherited: */
static segment *shared;
static tenant_revocations *table;
static apr_uint32_t limit;
static apr_interval_time_t life;

/* child: when the lock is tried again, monotonic */
static atomic_llong shut_until;

APR_HOOK_STRUCT(APR_HOOK_LINK(session_revoked))
APR_IMPLEMENT_OPTIONAL_HOOK_RUN_ALL(tenant, TENANT, int, session_revoked,
                                    (const tenant_revocation *what), (what), OK, DECLINED)

static int lock_table(void)
{
    int rc = og_lock_take(&shared->lock, LOCK_WITHIN);

    if (rc == EOWNERDEAD) {
        tenant_revocations_repair(table);
        rc = og_lock_repaired(&shared->lock);
    }
    return rc == 0;
}

/* For lines that a flood would repeat: 1 at most once a second and child. */
static int is_worth_a_line(void)
{
    static atomic_llong last;
    long long before = atomic_load(&last), now = og_clock_mono();

    return now - before >= APR_USEC_PER_SEC && atomic_compare_exchange_strong(&last, &before, now);
}

int tenant_revoke_look(const tenant_holder *whose, apr_time_t issued, apr_uint64_t *revision)
{
    apr_uint64_t current;
    int refused;

    if (!table) {
        return 0;
    }
    current = tenant_revocations_revision(table, whose->org);
    if (current == *revision) {
        return 0;
    }
    if (og_clock_mono() < atomic_load(&shut_until)) {
        return -1;
    }
    if (!lock_table()) {
        atomic_store(&shut_until, og_clock_mono() + SHUT_FOR);
        if (is_worth_a_line()) {
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf, OGLOGNO(1031)
                         "the lock of the revocations was not to be had in time: callers who may "
                         "be revoked get 503 (is a child stopped?)");
        }
        return -1;
    }
    refused = tenant_revocations_has(table, whose, issued, og_clock_wall());
    og_lock_give(&shared->lock);
    if (!refused) {
        *revision = current;
    }
    return refused;
}

static int tenant_revoked(const tenant_identity *identity, apr_uint64_t *revision)
{
    tenant_holder whose = { identity->org, identity->user, identity->session };

    return tenant_revoke_look(&whose, identity->issued, revision);
}

/* Every bound of mod_tenant.h. */
static int is_acceptable(const tenant_revocation *what)
{
    return what->org >= 0 && what->org <= OG_ID_MAX && what->user >= 0 && what->user <= OG_ID_MAX
           && !what->user == !!what->session
           && (!what->session || tenant_session_ok(what->session)) && what->issued_before >= 0;
}

/* A token that says it was issued later than this is not valid yet, so there is none. */
static apr_time_t resolve(const tenant_revocation *what, apr_time_t now)
{
    apr_time_t latest = now + apr_time_from_sec(TENANT_SKEW_SECONDS) + 1;

    if (!what->issued_before) {
        return what->session ? latest : now;
    }
    return what->issued_before < latest ? what->issued_before : latest;
}

static apr_status_t tenant_session_revoke(const tenant_revocation *what)
{
    tenant_holder whose = { what->org, what->user, what->session };
    tenant_revocation done = *what;
    apr_time_t now = og_clock_wall();
    int early;

    if (!is_acceptable(what)) {
        return APR_EINVAL;
    }
    if (!table) {
        return APR_ENOTIMPL;
    }
    done.issued_before = resolve(what, now);
    if (!lock_table()) {
        return APR_TIMEUP;
    }
    early = tenant_revocations_add(table, &whose, done.issued_before,
                                   now + life + apr_time_from_sec(TENANT_SKEW_SECONDS), now,
                                   limit);
    og_lock_give(&shared->lock);
    if (early && is_worth_a_line()) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf, OGLOGNO(1030)
                     "%u revocations are kept, and there are more: the oldest now refuse all "
                     "tokens of their organisations that are as old (TenantRevocations, "
                     "TenantRevocationLife)", limit);
    }
    tenant_run_session_revoked(&done);
    return APR_SUCCESS;
}

static int fill(void)
{
    unsigned char seed[2 * APR_SIPHASH_KSIZE];

    if (RAND_bytes(seed, sizeof(seed)) != 1 || og_lock_init(&shared->lock) != 0) {
        return 0;
    }
    og_hooks_seed(seed, sizeof(seed));
    tenant_revocations_init((char *)shared + TABLE_AT, seed);
    return 1;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    const tenant_server_conf *conf = tenant_server_get(s);
    int is_new;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    limit = (apr_uint32_t)og_set_or(conf->revocations, TENANT_REVOCATIONS_DEFAULT);
    life = og_set_or(conf->revocation_life, TENANT_REVOCATION_LIFE_DEFAULT);
    shared = (segment *)rest_retained_segment("orgscale-revocations", MAGIC, LAYOUT,
                                              TABLE_AT + tenant_revocations_bytes(), &is_new);
    if (!shared || (is_new && !fill())) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(1032)
                     "no shared memory for revocations (TenantRevocations)");
        return !OK;
    }
    table = (tenant_revocations *)((char *)shared + TABLE_AT);
    return OK;
}

void tenant_revoke_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    APR_REGISTER_OPTIONAL_FN(tenant_session_revoke);
    APR_REGISTER_OPTIONAL_FN(tenant_revoked);
}
