/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Which child's streams are counted where. A slot belongs to the child that holds its robust lock,
 * for as long as it lives: a lock that can be had is that of a child that is gone, however it went,
 * and whoever has it forgets its streams. Nobody says good-bye, so that threads that still run
 * while their child ends count where they did. */
#include "quota.h"

#include "og_hooks.h"
#include "og_lock.h"

#include <errno.h>

/* What a slot's lock, or a part's, is waited for where somebody may hold it for a moment */
#define LOCK_WITHIN apr_time_from_msec(50)

static int self = -1; /* child */

int quota_child(void)
{
    return self;
}

/* 1: held, by the calling thread. */
static int take(quota_owner *owner, apr_interval_time_t within)
{
    int rc = og_lock_take(&owner->lock, within);

    return (rc == EOWNERDEAD ? og_lock_repaired(&owner->lock) : rc) == 0;
}

/* Forget the streams of a slot, under its lock. 0: a part was not to be had, and the slot stays
 * used; whoever looks next tries again. */
static int empty(quota_owner *owner, int child)
{
    int shard;

    if (atomic_load(&owner->used) && atomic_load(&owner->held)) {
        for (shard = 0; shard < QUOTA_SHARDS; shard++) {
            if (!quota_segment_lock(shard, LOCK_WITHIN)) {
                return 0;
            }
            quota_streams_forget(quota_segment_streams(shard), (apr_uint32_t)child);
            quota_segment_unlock(shard);
        }
        og_hooks_crash_point();
        atomic_store(&owner->held, 0);
    }
    atomic_store(&owner->used, 0);
    return 1;
}

void quota_children_reap(void)
{
    int i;

    for (i = 0; i < quota_segment_children(); i++) {
        quota_owner *owner = quota_segment_owner(i);

        if (i != self && atomic_load(&owner->used) && take(owner, 0)) {
            empty(owner, i);
            og_lock_give(&owner->lock);
        }
    }
}

/* A free slot, kept by the calling thread, which must live as long as the child. Others hold a
 * slot's lock for a moment when they reap it: that is waited for in a second round. */
static int claim(apr_interval_time_t within)
{
    int i;

    for (i = 0; i < quota_segment_children(); i++) {
        quota_owner *owner = quota_segment_owner(i);

        if (take(owner, within)) {
            if (empty(owner, i)) {
                atomic_store(&owner->used, 1);
                return i;
            }
            og_lock_give(&owner->lock);
        }
    }
    return within ? -1 : claim(LOCK_WITHIN);
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    self = claim(0);
    if (self < 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1102)
                     "no place to count this child's streams: they are not limited (more than %d "
                     "children)", quota_segment_children());
    }
}

void quota_children_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
}
