/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The breaker cross_tenant (http-semantics.md 3, 13): once one tenant was given what is
 * another's, nothing is looked up or kept any more, by any child, until httpd is stopped and
 * started. A crossing is a bug, and no passing of time mends one, so nobody closes it here.
 *
 *     og_shm_head | secret | open, counts
 *
 * Made by the parent, kept over graceful restarts, inherited by the children. No lock: each word
 * is atomic and stands for itself, and the secret is written once, before there are children. */
#include "edge.h"

#include "rest_retained.h"

#include <http_core.h>
#include <openssl/rand.h>
#include <stdatomic.h>

#define NAME   "orgscale-edge-breaker"
#define MAGIC  0x65644765 /* "edGe" */
#define LAYOUT 1

typedef struct segment {
    og_shm_head head;
    unsigned char secret[EDGE_SECRET_LEN];
    atomic_int open;
    atomic_llong warned; /* when a failed self-test was last told of, monotonic; 0: never */
    atomic_llong counts[EDGE_SELFTEST_RESULTS];
} segment;

/* Parent, then inherited; NULL as long as nobody serves: */
static segment *shared;

int edge_breaker_is_open(void)
{
    return shared && atomic_load(&shared->open);
}

void edge_breaker_open(void)
{
    atomic_store(&shared->open, 1);
}

const unsigned char *edge_breaker_secret(void)
{
    return shared->secret;
}

void edge_breaker_count(edge_selftest_result result)
{
    atomic_fetch_add(&shared->counts[result], 1);
}

apr_int64_t edge_breaker_counted(edge_selftest_result result)
{
    return atomic_load(&shared->counts[result]);
}

int edge_breaker_may_warn(apr_time_t now)
{
    long long last = atomic_load(&shared->warned);

    return (!last || now - last >= 60 * APR_USEC_PER_SEC)
           && atomic_compare_exchange_strong(&shared->warned, &last, now);
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int is_new;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    shared = (segment *)rest_retained_segment(NAME, MAGIC, LAYOUT, sizeof(segment), &is_new);
    if (!shared || (is_new && RAND_bytes(shared->secret, sizeof(shared->secret)) != 1)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s,
                     OGLOGNO(1360)
                     "no shared memory, or no randomness, for the breaker cross_tenant");
        return !OK;
    }
    if (edge_breaker_is_open()) {
        ap_log_error(APLOG_MARK, APLOG_ALERT, 0, s, OGLOGNO(1361)
                     "one tenant was given what is another's before this restart: nothing is "
                     "cached until httpd is stopped and started (EdgeSelfTest)");
    }
    return OK;
}

void edge_breaker_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
