/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The polls that wait in this child, by whom they wait for. How each waits is its own business: in
 * a thread (rt_park_cond.c), or without one (rt_park_waitio.c). */
#include "rt.h"

#include <ap_mpm.h>
#include <mpm_common.h>
#include <unistd.h>

#define GROUPS 4096

/* child: */
static struct {
    pthread_mutex_t lock;
    rt_wait *groups[GROUPS]; /* under lock, by key */
    rt_wait *tabs[GROUPS];   /* under lock, by tab, of those that have one */
    int parked;              /* under lock */
    int resting;             /* under lock: connections kept between two polls */
    int most;                /* how many of both this child may have; set at its start */
    atomic_int draining;
} waits = { .lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP }; /* held for moments: it spins first */

void rt_waits_lock(void)
{
    pthread_mutex_lock(&waits.lock);
}

void rt_waits_unlock(void)
{
    pthread_mutex_unlock(&waits.lock);
}

pthread_mutex_t *rt_waits_mutex(void)
{
    return &waits.lock;
}

void rt_waits_most(int most)
{
    waits.most = most;
}

int rt_waits_room(void)
{
    return waits.parked + waits.resting < waits.most;
}

void rt_waits_rest(int change)
{
    waits.resting += change;
}

/* A process for each poll, and more processes than are counted: one in three parks none. */
static int is_kept_free(void)
{
    return rt_bell_child() < 0 && rt_places_get()->threads == 1 && getpid() % 3 == 0;
}

/* Under lock: polls that come at once must not all find the last place free. */
static int admits(void)
{
    return rt_waits_room() && !is_kept_free()
           /* where the children's own bounds are enough, nobody adds up */
           && (rt_conf()->max_parked >= rt_places_get()->all
               || rt_bell_parked_total() < rt_conf()->max_parked);
}

/* Under lock */
static void link_tab(rt_wait *wait)
{
    rt_wait **group = &waits.tabs[wait->tab % GROUPS];

    wait->tab_next = *group;
    wait->tab_link = group;
    if (wait->tab_next) {
        wait->tab_next->tab_link = &wait->tab_next;
    }
    *group = wait;
}

static void unlink_tab(rt_wait *wait)
{
    *wait->tab_link = wait->tab_next;
    if (wait->tab_next) {
        wait->tab_next->tab_link = wait->tab_link;
    }
    wait->tab_link = NULL;
}

int rt_waits_join(rt_wait *wait)
{
    rt_wait **group = &waits.groups[wait->key % GROUPS];

    pthread_mutex_lock(&waits.lock);
    if (!admits()) {
        pthread_mutex_unlock(&waits.lock);
        return 0;
    }
    wait->next = *group;
    wait->link = group;
    if (wait->next) {
        wait->next->link = &wait->next;
    }
    *group = wait;
    if (wait->tab) {
        link_tab(wait);
    }
    waits.parked++;
    rt_bell_parked(1, wait->in_thread);
    pthread_mutex_unlock(&waits.lock);
    return 1;
}

void rt_waits_part(rt_wait *wait)
{
    if (wait->link) {
        *wait->link = wait->next;
        if (wait->next) {
            wait->next->link = wait->link;
        }
        wait->link = NULL;
        if (wait->tab_link) {
            unlink_tab(wait);
        }
        waits.parked--;
        rt_bell_parked(-1, wait->in_thread);
    }
}

void rt_waits_leave(rt_wait *wait)
{
    pthread_mutex_lock(&waits.lock);
    rt_waits_part(wait);
    pthread_mutex_unlock(&waits.lock);
}

void rt_waits_count(rt_wait *wait, int counted)
{
    atomic_store(&wait->counted, counted);
}

apr_uint16_t rt_waits_counted(apr_uint64_t key)
{
    apr_uint16_t counted = 0;
    const rt_wait *wait;

    pthread_mutex_lock(&waits.lock);
    for (wait = waits.groups[key % GROUPS]; wait; wait = wait->next) {
        counted += wait->key == key && atomic_load(&wait->counted);
    }
    pthread_mutex_unlock(&waits.lock);
    return counted;
}

void rt_waits_ring(apr_uint64_t key)
{
    apr_uint64_t org = key & ~RT_URGENT, first = org % GROUPS, last = key ? first : GROUPS - 1, i;
    int urgent = !key || key != org;
    rt_wait *wait;

    pthread_mutex_lock(&waits.lock);
    for (i = first; i <= last; i++) {
        for (wait = waits.groups[i]; wait; wait = wait->next) {
            if (!key || wait->key == org) {
                wait->ring(wait, urgent);
            }
        }
    }
    for (wait = key ? waits.tabs[key % GROUPS] : NULL; wait; wait = wait->tab_next) {
        if (wait->tab == key) {
            wait->ring(wait, urgent);
        }
    }
    pthread_mutex_unlock(&waits.lock);
}

/* prefork runs child_stopping only when the request is over: there the MPM's state is the word. */
int rt_waits_draining(void)
{
    int state;

    return atomic_load(&waits.draining)
           || (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING);
}

void rt_waits_drain(void)
{
    atomic_store(&waits.draining, 1);
    rt_waits_ring(0);
    rt_bell_nudge();
}

static void child_stopping(apr_pool_t *p, int graceful)
{
    rt_waits_drain();
}

void rt_waits_register(apr_pool_t *p)
{
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
}
