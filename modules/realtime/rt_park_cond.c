/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Parking by condition variable: a poll waits in its worker thread (parking.md). For MPMs that
 * can't wait for a socket without one.
 *
 * waits.lock guards the table of waiting polls of this child. It is taken behind a shard's lock or
 * alone, never the other way round, and never held across I/O. */
#include "rt.h"

#include "og_clock.h"

#include <ap_mpm.h>
#include <mpm_common.h>

#define GROUPS 1024

struct rt_wait {
    rt_wait *next, **link;
    apr_uint64_t key;
    pthread_cond_t rung;
    int woken;   /* under lock */
    int counted; /* under lock */
};

/* child: */
static struct {
    pthread_mutex_t lock;
    pthread_condattr_t clock;
    rt_wait *groups[GROUPS]; /* under lock */
    int parked;              /* under lock */
    int most;                /* how many this child may park */
    atomic_int draining;
} waits = { .lock = PTHREAD_MUTEX_INITIALIZER };

static apr_status_t forget(void *data)
{
    rt_park_leave(data);
    return APR_SUCCESS;
}

/* A third of the threads is kept for everything that is no poll, and RealtimeMaxParked holds for
 * all children. Under lock: polls that come at once must not all find the last place free. */
static int admits(void)
{
    return waits.parked < waits.most && rt_bell_parked_total() < rt_conf()->max_parked;
}

rt_wait *rt_park_join(apr_pool_t *p, apr_uint64_t key)
{
    rt_wait *wait = apr_pcalloc(p, sizeof(*wait));
    rt_wait **group = &waits.groups[key % GROUPS];

    wait->key = key;
    pthread_mutex_lock(&waits.lock);
    if (!admits()) {
        pthread_mutex_unlock(&waits.lock);
        return NULL;
    }
    pthread_cond_init(&wait->rung, &waits.clock);
    wait->next = *group;
    wait->link = group;
    if (wait->next) {
        wait->next->link = &wait->next;
    }
    *group = wait;
    waits.parked++;
    rt_bell_parked(1);
    pthread_mutex_unlock(&waits.lock);
    apr_pool_cleanup_register(p, wait, forget, apr_pool_cleanup_null);
    return wait;
}

void rt_park_leave(rt_wait *wait)
{
    pthread_mutex_lock(&waits.lock);
    if (!wait->link) {
        pthread_mutex_unlock(&waits.lock);
        return;
    }
    *wait->link = wait->next;
    if (wait->next) {
        wait->next->link = wait->link;
    }
    wait->link = NULL;
    waits.parked--;
    pthread_mutex_unlock(&waits.lock);
    rt_bell_parked(-1);
    /* the condition is not destroyed: it has nothing to free, and a prefork child that is killed
     * while it waits gets here from a signal handler, inside that very wait */
}

void rt_park_sleep(rt_wait *wait, apr_time_t until)
{
    struct timespec at = { (time_t)apr_time_sec(until), (long)apr_time_usec(until) * 1000 };

    pthread_mutex_lock(&waits.lock);
    while (!wait->woken && !atomic_load(&waits.draining)
           && !pthread_cond_timedwait(&wait->rung, &waits.lock, &at)) {
    }
    wait->woken = 0;
    pthread_mutex_unlock(&waits.lock);
}

void rt_park_wake(apr_uint64_t key)
{
    apr_uint64_t first = key ? key % GROUPS : 0, last = key ? first : GROUPS - 1, i;
    rt_wait *wait;

    pthread_mutex_lock(&waits.lock);
    for (i = first; i <= last; i++) {
        for (wait = waits.groups[i]; wait; wait = wait->next) {
            if (!key || wait->key == key) {
                wait->woken = 1;
                pthread_cond_signal(&wait->rung);
            }
        }
    }
    pthread_mutex_unlock(&waits.lock);
}

void rt_park_count(rt_wait *wait, int counted)
{
    pthread_mutex_lock(&waits.lock);
    wait->counted = counted;
    pthread_mutex_unlock(&waits.lock);
}

apr_uint16_t rt_park_counted(apr_uint64_t key)
{
    apr_uint16_t counted = 0;
    const rt_wait *wait;

    pthread_mutex_lock(&waits.lock);
    for (wait = waits.groups[key % GROUPS]; wait; wait = wait->next) {
        counted += wait->key == key && wait->counted;
    }
    pthread_mutex_unlock(&waits.lock);
    return counted;
}

/* prefork runs child_stopping only when the request is over: there the MPM's state is the word. */
int rt_park_draining(void)
{
    int state;

    return atomic_load(&waits.draining)
           || (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING);
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    int threads = 1;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    /* prefork: one poll a process; RealtimeMaxParked alone keeps processes free */
    waits.most = threads > 1 ? threads * 2 / 3 : 1;
    pthread_condattr_init(&waits.clock);
    pthread_condattr_setclock(&waits.clock, CLOCK_MONOTONIC);
}

void rt_park_drain(void)
{
    atomic_store(&waits.draining, 1);
    rt_park_wake(0);
}

static void child_stopping(apr_pool_t *p, int graceful)
{
    rt_park_drain();
}

void rt_park_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
}
