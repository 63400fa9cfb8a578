/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The shared memory: counters, a slot a child, and QUOTA_SHARDS parts with a lock each.
 *
 *     og_shm_head | seed, counters | quota_owner[children] | part 0 | part 1 | …
 *     a part: its lock | quota_table | quota_streams
 *
 * A part's lock guards its table, and who joins its streams, and nothing else. It is held for a few
 * lines of memory, never across I/O; a request that is charged in several parts takes their locks
 * in ascending order. There is nothing to repair behind a holder that died: each write leaves the
 * table whole, and what the death cost is at most one charge. Made by the parent, kept over
 * graceful restarts, inherited by the children. */
#include "quota.h"

#include "og_clock.h"
#include "og_hooks.h"
#include "og_lock.h"
#include "rest_retained.h"

#include <ap_mpm.h>
#include <apr_siphash.h>
#include <errno.h>
#include <http_core.h>
#include <http_main.h>
#include <openssl/rand.h>

#define NAME   "orgscale-quota"
#define MAGIC  0x71755441 /* "quTA" */
#define LAYOUT 1

typedef struct segment {
    og_shm_head head;
    apr_int64_t table_size;                /* QuotaTableSize when it was made */
    unsigned char seed[APR_SIPHASH_KSIZE];
    atomic_int overflow_said;
    atomic_llong reap_at;                  /* monotonic */
    quota_counters counters;
} segment;

/* Parent, then inherited: */
static segment *shared;
static int children;
static apr_size_t owners_at, parts_at, part_size, table_at, streams_at;

static apr_size_t aligned(apr_size_t size)
{
    return (size + 63) & ~(apr_size_t)63;
}

static char *part_of(int shard)
{
    return (char *)shared + parts_at + (apr_size_t)shard * part_size;
}

/* Streams last, so there are fewer of them than of buckets: half as many counters. */
static apr_size_t plan(apr_int64_t size)
{
    apr_uint32_t slots = (apr_uint32_t)((size + QUOTA_SHARDS - 1) / QUOTA_SHARDS);

    owners_at = aligned(sizeof(segment));
    parts_at = aligned(owners_at + (apr_size_t)children * sizeof(quota_owner));
    table_at = aligned(sizeof(pthread_mutex_t));
    streams_at = aligned(table_at + quota_table_bytes(slots));
    part_size = aligned(streams_at
                        + quota_streams_bytes(slots / 2 + 1, (apr_uint32_t)children));
    return parts_at + QUOTA_SHARDS * part_size;
}

static int fill(apr_int64_t size)
{
    apr_uint32_t slots = (apr_uint32_t)((size + QUOTA_SHARDS - 1) / QUOTA_SHARDS);
    int i;

    if (RAND_bytes(shared->seed, sizeof(shared->seed)) != 1) {
        return 0;
    }
    og_hooks_seed(shared->seed, sizeof(shared->seed));
    for (i = 0; i < children; i++) {
        if (og_lock_init(&quota_segment_owner(i)->lock) != 0) {
            return 0;
        }
    }
    for (i = 0; i < QUOTA_SHARDS; i++) {
        if (og_lock_init((pthread_mutex_t *)part_of(i)) != 0) {
            return 0;
        }
        quota_table_init(quota_segment_table(i), slots);
        quota_streams_init(quota_segment_streams(i), slots / 2 + 1, (apr_uint32_t)children);
    }
    shared->table_size = size;
    return 1;
}

/* One that is there keeps its size: what moved to a new one would hide from it what the children of
 * the last generation still charge. */
static apr_int64_t size_of(server_rec *s)
{
    const segment *kept = (segment *)rest_retained_find(NAME, MAGIC, LAYOUT);
    apr_int64_t wanted = quota_conf()->table_size;

    if (!kept || kept->table_size == wanted) {
        return wanted;
    }
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1101)
                 "QuotaTableSize: changing it from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT
                 " takes a stop and a start; a restart keeps the table", kept->table_size, wanted);
    return kept->table_size;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int is_new, daemons = 1;
    apr_int64_t wanted;
    apr_size_t size;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    /* ServerLimit, which no restart changes: processes of two generations share it */
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &daemons);
    children = daemons > 1 ? daemons : 1;
    wanted = size_of(s);
    size = plan(wanted);
    shared = (segment *)rest_retained_segment(NAME, MAGIC, LAYOUT, size, &is_new);
    if (!shared || (is_new && !fill(wanted))) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(1100)
                     "no shared memory of %" APR_SIZE_T_FMT " bytes (QuotaTableSize)", size);
        return !OK;
    }
    atomic_store(&shared->overflow_said, 0);
    return OK;
}

void quota_segment_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}

apr_uint64_t quota_segment_hash(const void *data, apr_size_t len)
{
    return apr_siphash24(data, len, shared->seed);
}

int quota_segment_lock(int shard, apr_interval_time_t within)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)part_of(shard);
    int rc = og_lock_take(lock, within);

    if (rc == EOWNERDEAD) {
        rc = og_lock_repaired(lock);
    }
    if (!rc) {
        og_hooks_crash_point();
    }
    return rc == 0;
}

void quota_segment_unlock(int shard)
{
    og_hooks_crash_point();
    og_lock_give((pthread_mutex_t *)part_of(shard));
}

quota_table *quota_segment_table(int shard)
{
    return (quota_table *)(part_of(shard) + table_at);
}

quota_streams *quota_segment_streams(int shard)
{
    return (quota_streams *)(part_of(shard) + streams_at);
}

int quota_segment_children(void)
{
    return children;
}

quota_owner *quota_segment_owner(int child)
{
    return (quota_owner *)((char *)shared + owners_at) + child;
}

quota_counters *quota_segment_counters(void)
{
    return &shared->counters;
}

void quota_segment_overflowed(int count, const char *subject)
{
    atomic_fetch_add(&shared->counters.overflowed, (unsigned long long)count);
    if (!atomic_exchange(&shared->overflow_said, 1)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, ap_server_conf, OGLOGNO(1103)
                     "the table is full: %s, and whoever comes now, shares a bucket a policy "
                     "(QuotaTableSize %" APR_INT64_T_FMT ")", subject, shared->table_size);
    }
}

int quota_segment_reap_now(apr_time_t now)
{
    long long due = atomic_load(&shared->reap_at);

    /* a test's clock goes back as well */
    return (now >= due || due - now > APR_USEC_PER_SEC)
           && atomic_compare_exchange_strong(&shared->reap_at, &due, now + APR_USEC_PER_SEC);
}
