/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who is parked, and how the notifier answers them, see rt_lot.h. */
#include "rt_lot.h"

#include "og_clock.h"
#include "rt_ahead.h"
#include "rt_client.h"
#include "rt_park_owned.h"

#include <ap_mpm.h>
#include <httpd.h>
#include <mpm_common.h>
#include <sched.h>

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)

/* Polls that the notifier takes at a time: as the last of them is RT_CLAIMED while the others are
 * answered, no more than a millisecond's. Behind them others run: who reads these answers, and who
 * has some to give in another child. Else most polls of a large organization wait for the last of
 * them. */
#define CHUNK 32

/* A poll that has waited so long will, as a rule, wait for longer */
#define TIDY_AFTER apr_time_from_sec(1)

/* Blocks that a request leaves behind, as a rule, one of them where its head was heard: that reads
 * on behind it, into another. And the size that fits any of them */
#define BLOCKS_LEFT  3
#define BLOCKS_HEARD 4
#define BLOCK        4096

/* How often a worker lets others run before it sleeps until RT_CLAIMED ends */
#define YIELDS 16

/* A deadline that a worker sets while the notifier sleeps is heeded so late */
#define TURN_EVERY apr_time_from_msec(50)

/* child: */
static struct {
    atomic_int on; /* set last at the child's start, which the notifier does not wait for */
    pthread_cond_t settled;
    rt_parking *rung, **rung_end; /* all below under the table's lock */
    rt_wheel wheel;
    rt_parking *watched;
    int drained; /* by the notifier */
} lot;

void rt_lot_open(void)
{
    pthread_cond_init(&lot.settled, NULL);
    lot.rung_end = &lot.rung;
    rt_wheel_start(&lot.wheel, og_clock_mono());
    lot.on = 1;
}

int rt_lot_is_open(void)
{
    return lot.on;
}

apr_time_t rt_lot_first_look(const rt_poll *poll)
{
    apr_time_t at = og_clock_mono() + TIDY_AFTER;

    return at > poll->until ? poll->until : at;
}

/* Under lock */
static void enqueue(rt_parking *own)
{
    own->queued = NULL;
    *lot.rung_end = own;
    lot.rung_end = &own->queued;
}

/* Under lock: nobody has it */
static int is_free(const rt_parking *own)
{
    switch (own->state) {
    case RT_PARKED:
        return 1;
    case RT_IDLE:
    case RT_SENDING:
    case RT_CLOSING:
        return own->owned != NULL;
    default:
        return 0;
    }
}

/* Under lock */
static void rouse(rt_parking *own)
{
    if (!own->rung) {
        own->rung = 1;
        if (is_free(own)) {
            enqueue(own);
        }
    }
}

/* Who lingers has some already, and looks when its time has come. */
void rt_lot_ring(rt_wait *wait, int urgent)
{
    rt_parking *own = (rt_parking *)wait;

    if (urgent || own->state != RT_PARKED || !own->lingers) {
        rouse(own);
    }
}

/* Under lock */
static void unqueue(rt_parking *own)
{
    rt_parking **at = &lot.rung;

    while (*at && *at != own) {
        at = &(*at)->queued;
    }
    if (*at) {
        *at = own->queued;
        if (lot.rung_end == &own->queued) {
            lot.rung_end = at;
        }
    }
    own->rung = 0;
}

/* Under lock: the MPM watches it, or no more */
static void watch(rt_parking *own)
{
    own->next = lot.watched;
    own->link = &lot.watched;
    if (own->next) {
        own->next->link = &own->next;
    }
    lot.watched = own;
}

static void unwatch(rt_parking *own)
{
    if (own->link) {
        *own->link = own->next;
        if (own->next) {
            own->next->link = own->link;
        }
        own->link = NULL;
    }
}

/* Under lock: RT_PARKED, and everything that came before it was is not forgotten */
static void settle(rt_parking *own)
{
    own->state = RT_PARKED;
    if (own->rung) {
        enqueue(own);
    }
    rt_wheel_add(&lot.wheel, &own->timer);
    if (own->awaited) {
        pthread_cond_broadcast(&lot.settled);
    }
}

/* Notifier, RT_CLAIMED: what requests before left in the connection's allocator goes back to the
 * system; it would be a third of what a parked poll takes. Not behind each request: a poll that is
 * answered soon uses it again, and giving back is the dearest call of all. */
static void tidy(rt_parking *own)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(own->c->pool);
    int left = own->head ? BLOCKS_HEARD : BLOCKS_LEFT;

    if (own->owned) {
        /* the core keeps the buffer of a head that it has read to its end, until it is
         * asked again */
        rt_client_look(own->c, own->input);
    }
    apr_allocator_max_free_set(allocator, 1);
    for (; left; left--) {
        apr_memnode_t *block = apr_allocator_alloc(allocator, BLOCK);

        if (block) {
            apr_allocator_free(allocator, block); /* past the bound: not kept again */
        }
    }
    apr_allocator_max_free_set(allocator, ap_max_mem_free);
    own->tidied = 1;
}

/* Notifier, RT_CLAIMED: it waits on. */
static int wait_on(rt_parking *own)
{
    if (!own->lingers && !own->tidied && own->timer.at <= og_clock_mono()) {
        tidy(own);
        own->timer.at = own->poll->until;
    }
    return 0;
}

/* Notifier, RT_CLAIMED: look, and answer when there is something to say. 1: answered */
static int answer(rt_parking *own)
{
    rt_poll *poll = own->poll;
    apr_time_t until;

    own->look = own->lingers && own->timer.at > og_clock_mono() && !rt_waits_draining()
                    ? rt_revoked_look(poll, RT_NOTHING)
                    : rt_poll_look(poll, !own->lingers);
    if (own->lingers && own->look != RT_NOTHING) {
        own->look = RT_ANSWER; /* whatever this look came to: there was something to say before */
    }
    if (own->look == RT_NOTHING
        && (own->lingers || (poll->until > og_clock_mono() && !rt_waits_draining()))) {
        return wait_on(own);
    }
    if (!own->lingers && rt_poll_lingers(poll, own->look, &until)) {
        rt_poll_stop_waiting(poll);
        own->lingers = 1;
        own->timer.at = until;
        return 0;
    }
    rt_poll_stop_waiting(poll);
    own->by_worker = poll->batch.bytes > RT_NOTIFIER_WRITES_MAX;
    if (!own->by_worker) {
        rt_poll_answer(poll, own->look);
        rt_client_push(own->c);
        rt_poll_written(poll);
    }
    if (!own->owned && (own->by_worker || own->c->data_in_output_filters || own->c->aborted
                        || own->c->keepalive == AP_CONN_CLOSE)) {
        rt_client_summon_worker(own->c);
    }
    return 1;
}

/* Notifier: the first of who were rung, as a list of at most CHUNK, or NULL. Those that the MPM
 * watches are RT_CLAIMED; of the others nobody else takes one. */
static rt_parking *claim(void)
{
    rt_parking *first, **end = &first;
    int n;

    rt_waits_lock();
    first = lot.rung;
    for (n = 0; *end && n < CHUNK; n++) {
        (*end)->rung = 0;
        if ((*end)->state == RT_PARKED) {
            (*end)->state = RT_CLAIMED;
        }
        rt_wheel_remove(&(*end)->timer);
        end = &(*end)->queued;
    }
    lot.rung = *end;
    if (!lot.rung) {
        lot.rung_end = &lot.rung;
    }
    *end = NULL;
    rt_waits_unlock();
    return first;
}

/* Under lock */
static void due(rt_wheel_item *timer)
{
    rouse((rt_parking *)((char *)timer - APR_OFFSETOF(rt_parking, timer)));
}

/* Under lock, once: polls are answered, and connections between two polls are done with; the MPM
 * would keep the child for their Timeout */
static void drain(void)
{
    rt_parking *own;

    if (!lot.drained && rt_waits_draining()) {
        lot.drained = 1;
        for (own = lot.watched; own; own = own->next) {
            if (!is_free(own)) {
                rt_client_summon_worker(own->c);
            }
            else if (own->state != RT_SENDING) {
                rouse(own);
            }
        }
    }
}

/* Notifier: the end of RT_CLAIMED. A worker may have the connection from here on. */
static void let_go(rt_parking *own, int answered)
{
    rt_waits_lock();
    if (answered && own->owned) {
        rt_waits_part(&own->wait);
        own->rung = 0;
        own->state = RT_BUSY;
        unwatch(own);
    }
    else if (answered) {
        rt_waits_part(&own->wait);
        own->state = RT_ANSWERED;
        rt_waits_rest(1);
        if (own->awaited) {
            pthread_cond_broadcast(&lot.settled);
        }
    }
    else {
        settle(own);
    }
    rt_waits_unlock();
}

int rt_lot_serve(rt_parking *own)
{
    int answered = answer(own);

    let_go(own, answered);
    return answered;
}

/* Notifier: some of who were rung. 0: there is none */
static int serve_some(void)
{
    rt_parking *own = claim(), *next;
    int n;

    for (n = 0; own; own = next, n++) {
        next = own->queued;
        rt_ahead_answers(next);
        if (own->owned) {
            rt_owned_serve(own);
        }
        else {
            rt_lot_serve(own);
        }
    }
    if (n == CHUNK) {
        sched_yield();
    }
    return n > 0;
}

/* Notifier: when it turns again, if nothing wakes it before */
static apr_time_t next_turn(void)
{
    apr_time_t now = og_clock_mono(), at = now + APR_USEC_PER_SEC;

    rt_waits_lock();
    if (lot.watched || lot.drained) {
        at = rt_wheel_next(&lot.wheel, now + TURN_EVERY);
    }
    rt_waits_unlock();
    return at;
}

apr_time_t rt_lot_turn(void)
{
    apr_time_t now = og_clock_mono();
    int any, more = 0;

    if (!lot.on) {
        return now + APR_USEC_PER_SEC;
    }
    rt_waits_lock();
    rt_wheel_turn(&lot.wheel, now, due);
    drain();
    rt_waits_unlock();
    do {
        while (serve_some()) {
        }
        any = rt_owned_listen(&more);
    } while (any && !more);
    return more ? now : next_turn();
}

rt_lot_state rt_lot_take_back(rt_parking *own)
{
    rt_lot_state was;
    int yields;

    /* the client that was just answered is quicker than the notifier, which had to let this thread
     * run: mostly it needs a moment of the processor, and seldom a sleep of ours */
    for (yields = 0; own->state == RT_CLAIMED && yields < YIELDS; yields++) {
        sched_yield();
    }
    rt_waits_lock();
    while (own->state == RT_CLAIMED) {
        own->awaited = 1;
        pthread_cond_wait(&lot.settled, rt_waits_mutex());
    }
    own->awaited = 0;
    was = own->state;
    own->state = RT_BUSY;
    own->away = 0;
    if (own->rung) {
        unqueue(own);
        own->rung = was == RT_PARKED; /* if it waits on, there is still something to look at */
    }
    rt_wheel_remove(&own->timer);
    if (was == RT_ANSWERED || was == RT_IDLE) {
        rt_waits_rest(-1);
    }
    unwatch(own);
    rt_waits_unlock();
    return was;
}

/* Under lock, RT_IDLE: the MPM counts it among its connections all the same, so where that would
 * take a place that other requests need it is kept for KeepAliveTimeout, as the MPM would. */
static void rest_owned(rt_parking *own)
{
    own->rung = 0;
    if (!rt_waits_room()) {
        own->timer.at = og_clock_mono() + own->c->base_server->keep_alive_timeout;
    }
    rt_wheel_add(&lot.wheel, &own->timer);
}

int rt_lot_give_away(rt_parking *own, rt_lot_state state)
{
    int given = 0, wake = 0;

    rt_waits_lock();
    if (!lot.drained && (state == RT_PARKED || own->owned || rt_waits_room())) {
        given = 1;
        wake = !own->owned && (own->rung || !lot.watched); /* it has slept long without any */
        watch(own);
        own->state = state;
        if (state == RT_PARKED) {
            settle(own);
        }
        else {
            if (own->owned) {
                rest_owned(own);
            }
            rt_waits_rest(1);
        }
    }
    rt_waits_unlock();
    if (wake) {
        rt_bell_nudge();
    }
    return given;
}

void rt_lot_return(rt_parking *own)
{
    rt_waits_lock();
    if (own->state != RT_RETURNED) {
        own->wants = own->state == RT_WANTS;
    }
    own->state = RT_RETURNED;
    own->rung = 1;
    enqueue(own);
    rt_waits_unlock();
}

void rt_lot_hold(rt_parking *own, rt_lot_state state)
{
    rt_waits_lock();
    own->rung = 0;
    own->lingers = 0;
    own->state = state;
    watch(own);
    rt_wheel_add(&lot.wheel, &own->timer);
    rt_waits_unlock();
}

#else

apr_time_t rt_lot_turn(void)
{
    return og_clock_mono() + APR_USEC_PER_SEC;
}

#endif
