/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Doorbells: how a publisher in one child wakes polls in another. One eventfd a child slot, made by
 * the parent and inherited, and a short list of who has news. A publisher rings only children that
 * have polls waiting for that organisation.
 *
 * A slot belongs to the child that holds its lock "owner", for as long as it lives. The lock is
 * robust: when it can be had, its child is gone, and whoever has it (each child looks once a
 * second) forgets the polls that waited there. A death in the middle of that leaves the lock to the
 * next one. bell->lock guards the list. The two are never held together. */
#include "rt.h"

#include "og_clock.h"
#include "og_hooks.h"
#include "og_lock.h"
#include "og_thread.h"
#include "rt_park_owned.h"

#include <apr_portable.h>
#include <apr_signal.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NEWS_MAX    256
#define LOCK_WITHIN apr_time_from_msec(50)

/* Between two looks at a bell that can't be waited for */
#define DEAF_FOR apr_time_from_msec(10)

struct rt_bell {
    pthread_mutex_t owner;
    int used;                      /* under owner: not emptied since somebody had it */
    atomic_int pid;                /* whose; 0: nobody's */
    atomic_int parked, in_threads; /* the second: of them those that hold one */
    pthread_mutex_t lock;
    apr_uint32_t count;            /* under lock; NEWS_MAX + 1: too many, look at all */
    apr_uint64_t news[NEWS_MAX];   /* under lock: keys */
    atomic_int missed;             /* the lock was not to be had for a key: look at all */
};

/* parent, then inherited: */
static rt_bell *bells;
static int fds[RT_CHILDREN];

/* child: */
static int self = -1;
static pthread_t notifier;
static atomic_int stopping;
static atomic_uint owed; /* a bit a shard whose who-waits counts polls of ours that are gone */

apr_size_t rt_bell_size(void)
{
    return RT_CHILDREN * sizeof(rt_bell);
}

void rt_bell_init(rt_bell *at)
{
    int i;

    for (i = 0; i < RT_CHILDREN; i++) {
        og_lock_init(&at[i].owner);
        og_lock_init(&at[i].lock);
    }
}

/* The descriptors live as long as the parent, like the segment: children of two generations ring
 * one another. There are no more than the server will ever have children at a time: ServerLimit
 * stands until the parent ends. */
void rt_bell_attach(rt_bell *at)
{
    int *kept = ap_retained_data_get("orgscale-realtime-bells");
    int i;

    bells = at;
    if (!kept) {
        kept = ap_retained_data_create("orgscale-realtime-bells", sizeof(fds));
        for (i = 0; i < RT_CHILDREN; i++) {
            kept[i] = i < rt_places_get()->server_limit ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
                                                        : -1;
        }
    }
    memcpy(fds, kept, sizeof(fds));
}

int rt_bell_child(void)
{
    return self;
}

int rt_bell_fd(void)
{
    return fds[self];
}

apr_int64_t rt_bell_parked_total(void)
{
    apr_int64_t sum = 0;
    int i;

    for (i = 0; i < RT_CHILDREN; i++) {
        sum += atomic_load(&bells[i].parked);
    }
    return sum;
}

void rt_bell_parked(int change, int in_thread)
{
    if (self >= 0) {
        atomic_fetch_add(&bells[self].parked, change);
        atomic_fetch_add(&bells[self].in_threads, in_thread ? change : 0);
    }
}

int rt_bell_look(int child, rt_bell_parking *parking)
{
    int all = atomic_load(&bells[child].parked);

    parking->pid = atomic_load(&bells[child].pid);
    parking->condvar = atomic_load(&bells[child].in_threads);
    parking->waitio = all > parking->condvar ? all - parking->condvar : 0;
    return parking->pid != 0;
}

/* 1: held. A holder that died may have left a list that lacks a key: then all are looked at. */
static int take(rt_bell *bell)
{
    int rc = og_lock_take(&bell->lock, LOCK_WITHIN);

    if (rc == EOWNERDEAD) {
        bell->count = NEWS_MAX + 1;
        rc = og_lock_repaired(&bell->lock);
    }
    return rc == 0;
}

static void add_news(rt_bell *bell, apr_uint64_t key)
{
    apr_uint32_t i;

    if (!take(bell)) {
        atomic_store(&bell->missed, 1); /* before the bell rings */
        return;
    }
    if (bell->count > NEWS_MAX) {
        og_lock_give(&bell->lock);
        return;
    }
    for (i = 0; i < bell->count && bell->news[i] != key; i++) {
    }
    if (i == NEWS_MAX) {
        bell->count = NEWS_MAX + 1;
    }
    else if (i == bell->count) {
        bell->news[i] = key;
        og_hooks_crash_point();
        bell->count = i + 1;
    }
    og_hooks_crash_point();
    og_lock_give(&bell->lock);
}

void rt_bell_ring(apr_uint32_t children, apr_uint64_t key)
{
    apr_uint64_t one = 1;
    int i;

    for (i = 0; i < RT_CHILDREN; i++) {
        if (children >> i & 1) {
            add_news(&bells[i], key);
            if (write(fds[i], &one, sizeof(one)) < 0) {
                continue; /* full: it has not looked yet, and will */
            }
        }
    }
}

/* Take the list of what is new. */
static apr_uint32_t take_news(rt_bell *bell, apr_uint64_t keys[NEWS_MAX])
{
    apr_uint32_t count;

    if (!take(bell)) {
        return NEWS_MAX + 1;
    }
    count = bell->count;
    memcpy(keys, bell->news, (count > NEWS_MAX ? 0 : count) * sizeof(keys[0]));
    og_hooks_crash_point();
    bell->count = 0;
    og_hooks_crash_point();
    og_lock_give(&bell->lock);
    return atomic_exchange(&bell->missed, 0) ? NEWS_MAX + 1 : count;
}

/* Take a slot's owner lock. 1: held, by the calling thread. */
static int take_owner(rt_bell *bell, apr_interval_time_t within)
{
    int rc = og_lock_take(&bell->owner, within);

    return (rc == EOWNERDEAD ? og_lock_repaired(&bell->owner) : rc) == 0;
}

/* Forget the polls of a slot that nobody has any more, under its owner lock. 0: not all locks were
 * to be had, and the slot stays used; whoever looks next tries again. */
static int empty(int child)
{
    if (bells[child].used && rt_segment_forget(child)) {
        og_hooks_crash_point();
        atomic_store(&bells[child].parked, 0);
        atomic_store(&bells[child].in_threads, 0);
        atomic_store(&bells[child].pid, 0);
        bells[child].used = 0;
    }
    return !bells[child].used;
}

/* Empty the slots of children that are gone. */
static void reap(void)
{
    int i;

    for (i = 0; i < RT_CHILDREN; i++) {
        if (i != self && take_owner(&bells[i], 0)) {
            empty(i);
            og_lock_give(&bells[i].owner);
        }
    }
}

/* A free slot for this child, kept by the calling thread, which must live as long as the child.
 * Others hold a slot's lock for a moment when they reap it: that is waited for in a
 * second round. */
static int claim(apr_interval_time_t within)
{
    int i;

    for (i = 0; i < RT_CHILDREN; i++) {
        if (fds[i] >= 0 && take_owner(&bells[i], within)) {
            if (empty(i)) {
                bells[i].used = 1;
                atomic_store(&bells[i].pid, getpid());
                return i;
            }
            og_lock_give(&bells[i].owner);
        }
    }
    return within ? -1 : claim(LOCK_WITHIN);
}

void rt_bell_owe(int shard)
{
    atomic_fetch_or(&owed, 1U << shard);
}

static void pay(void)
{
    unsigned int shards = atomic_exchange(&owed, 0);
    int i;

    for (i = 0; shards >> i; i++) {
        if ((shards >> i & 1) && !rt_segment_recount(i, self)) {
            rt_bell_owe(i);
        }
    }
}

void rt_bell_nudge(void)
{
    apr_uint64_t one = 1;

    if (self >= 0 && write(fds[self], &one, sizeof(one)) < 0) {
        return; /* full: it has not looked yet, and will */
    }
}

/* Sleep until the bell rings or the time is there. Where the system can't wait for both (ENOMEM)
 * the bell is looked at often, and not without a pause. */
static void sleep_until(apr_time_t until)
{
    struct pollfd bell = { fds[self], POLLIN, 0 };
    const int sockets = rt_owned_is_open();
    apr_time_t left = until - og_clock_mono();
    int timeout = left > 0 ? (int)apr_time_as_msec(left) + 1 : 0;
    int n = sockets ? rt_owned_sleep(timeout) : poll(&bell, 1, timeout);
    apr_uint64_t rings;

    if (n < 0 && errno != EINTR) {
        apr_sleep(DEAF_FOR);
    }
    if (n != 0 && !sockets && read(bell.fd, &rings, sizeof(rings)) < 0) {
        return; /* nothing in it: somebody else's, or not rung */
    }
}

static void *listen_run(void *unused)
{
    apr_time_t look_at = og_clock_mono(), turn_at = look_at;
    apr_uint64_t keys[NEWS_MAX];
    int drained = 0; /* all were told, once: a prefork child hears of its end by a signal */

    apr_setup_signal_thread();
    while (!atomic_load(&stopping)) {
        apr_uint32_t count, i;

        sleep_until(turn_at < look_at ? turn_at : look_at);
        count = take_news(&bells[self], keys);
        for (i = 0; i < count && count <= NEWS_MAX; i++) {
            rt_waits_ring(keys[i]);
        }
        if (count > NEWS_MAX || (!drained && rt_waits_draining())) {
            drained = rt_waits_draining();
            rt_waits_ring(0);
        }
        turn_at = rt_lot_turn();
        if (og_clock_mono() >= look_at) {
            rt_orphan_look();
            reap();
            pay();
            rt_segment_give_back();
            look_at = og_clock_mono() + APR_USEC_PER_SEC;
        }
    }
    return NULL;
}

static apr_status_t leave(void *unused)
{
    apr_uint64_t one = 1;

    atomic_store(&stopping, 1);
    if (write(fds[self], &one, sizeof(one)) == sizeof(one)) {
        pthread_join(notifier, NULL);
    }
    empty(self);
    og_lock_give(&bells[self].owner); /* on another thread it fails, and the exit gives it */
    return APR_SUCCESS;
}

/* The thread that hears the bell. Without one the slot would be rung in vain, and is given back. */
static int start_notifier(server_rec *s)
{
    int rc = og_thread_start(&notifier, listen_run, NULL);

    if (rc) {
        empty(self);
        og_lock_give(&bells[self].owner);
        self = -1;
        ap_log_error(APLOG_MARK, APLOG_ERR, rc, s, OGLOGNO(1523)
                     "no thread for the doorbell of this child: its polls look for events four "
                     "times a second (ulimit -u, TasksMax)");
    }
    return !rc;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    if (!bells) {
        return;
    }
    self = claim(0);
    if (self < 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1501)
                     "no doorbell for this child: its polls look for events four times a second "
                     "(more than %d children)", RT_CHILDREN);
    }
    else if (start_notifier(s)) {
        apr_pool_cleanup_register(p, NULL, leave, apr_pool_cleanup_null);
    }
}

void rt_bell_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
}
