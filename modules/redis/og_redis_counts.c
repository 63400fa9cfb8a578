/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* How calls ended, over all children of this host: in shared memory that graceful restarts keep, as
 * atomic numbers without a lock. Told to other modules, and by mod_status. */
#include "og_redis.h"

#include <http_core.h>
#include <http_protocol.h>
#include <mod_status.h>
#include <string.h>

#include "og_redis_reply.h"
#include "rest_retained.h"

#define NAME   "orgscale-redis"
#define MAGIC  0x6f677265 /* "ogre" */
#define LAYOUT 1

typedef struct segment {
    og_shm_head head;
    og_redis_shared counts;
} segment;

/* parent, then inherited: */
static segment *shared;

og_redis_shared *og_redis_counts_shared(void)
{
    return shared ? &shared->counts : NULL;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int is_new;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        || !og_redis_conf_of(s)->server_count) {
        return OK;
    }
    shared = (segment *)rest_retained_segment(NAME, MAGIC, LAYOUT, sizeof(segment), &is_new);
    if (!shared) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(2111)
                     "no shared memory for the counters of Redis (RedisServer)");
        return !OK;
    }
    return OK;
}

static void og_redis_counts_get(og_redis_counts *counts)
{
    int i;

    memset(counts, 0, sizeof(*counts));
    if (!shared) {
        return;
    }
    for (i = 0; i < OG_REDIS_REASONS; i++) {
        counts->ended[i] = atomic_load(&shared->counts.ended[i]);
    }
    counts->went_down = atomic_load(&shared->counts.went_down);
    counts->came_back = atomic_load(&shared->counts.came_back);
}

static void line(request_rec *r, int is_short, const char *name, apr_uint64_t value)
{
    ap_rprintf(r, is_short ? "Redis-%s: %" APR_UINT64_T_FMT "\n"
                           : "<dt>%s: %" APR_UINT64_T_FMT "</dt>\n", name, value);
}

static int status(request_rec *r, int flags)
{
    int is_short = flags & AP_STATUS_SHORT, i;
    og_redis_counts counts;

    if (!shared) {
        return OK;
    }
    og_redis_counts_get(&counts);
    ap_rputs(is_short ? "" : "<hr />\n<h2>Calls of Redis by how they ended</h2>\n<dl>\n", r);
    for (i = 0; i < OG_REDIS_REASONS; i++) {
        line(r, is_short, og_redis_reply_name((og_redis_reason)i), counts.ended[i]);
    }
    line(r, is_short, "went-down", counts.went_down);
    line(r, is_short, "came-back", counts.came_back);
    ap_rputs(is_short ? "" : "</dl>\n", r);
    return OK;
}

void og_redis_counts_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(og_redis_counts_get);
    APR_OPTIONAL_HOOK(ap, status_hook, status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
