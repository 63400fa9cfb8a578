/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Parking by condition variable: a poll waits in its worker thread (parking.md). For MPMs that
 * can't wait for a socket without one, and for HTTP/2, whose streams have none of their own. */
#include "rt_client.h"
#include "rt_poll.h"

#include "og_clock.h"

#include <ap_mpm.h>

/* How often a parked poll looks whether its client is still there, and for events where the child
 * has no doorbell */
#define LOOK_EVERY  APR_USEC_PER_SEC
#define LOOK_UNRUNG apr_time_from_msec(250)

typedef struct cond_wait {
    rt_wait wait; /* first */
    pthread_cond_t rung;
    int woken;    /* under the table's lock */
    apr_bucket_brigade *scratch;
} cond_wait;

/* child: */
static pthread_condattr_t monotonic;
static atomic_int asleep, streams; /* the second: of them those over HTTP/2 */

static void ring(rt_wait *wait, int urgent)
{
    cond_wait *own = (cond_wait *)wait;

    own->woken = 1;
    pthread_cond_signal(&own->rung);
}

static apr_status_t forget(void *data)
{
    rt_waits_leave(data);
    /* the condition is not destroyed: it has nothing to free, and a prefork child that is killed
     * while it waits gets here from a signal handler, inside that very wait */
    return APR_SUCCESS;
}

static void sleep_until(cond_wait *own, apr_time_t until)
{
    struct timespec at = { (time_t)apr_time_sec(until), (long)apr_time_usec(until) * 1000 };

    rt_waits_lock();
    while (!own->woken && !rt_waits_draining()
           && !pthread_cond_timedwait(&own->rung, rt_waits_mutex(), &at)) {
    }
    own->woken = 0;
    rt_waits_unlock();
}

/* What the client did meanwhile; of a stream only mod_http2 can tell. */
static rt_incoming look_at_client(const rt_poll *poll, cond_wait *own)
{
    conn_rec *c = poll->r->connection;

    if (c->aborted) {
        return RT_END_CAME;
    }
    return c->master ? RT_NOTHING_CAME : rt_client_look(c, own->scratch);
}

/* Look at client and store: whether it waits on, or what it came to. A client that sent more behind
 * its poll does not wait for it alone. */
static rt_look look_at(rt_poll *poll, cond_wait *own)
{
    rt_incoming came = look_at_client(poll, own);
    rt_look look = came == RT_END_CAME ? RT_GONE : rt_poll_look(poll, 1);

    return look == RT_NOTHING && came == RT_DATA_CAME ? RT_FULL : look;
}

static rt_look park(rt_poll *poll)
{
    cond_wait *own = apr_pcalloc(poll->r->pool, sizeof(*own));
    apr_time_t last;
    rt_look look;

    own->wait.key = poll->place.key;
    own->wait.tab = poll->tab;
    own->wait.ring = ring;
    own->wait.in_thread = 1;
    own->scratch = apr_brigade_create(poll->r->pool, poll->r->connection->bucket_alloc);
    pthread_cond_init(&own->rung, &monotonic);
    if (!rt_waits_join(&own->wait)) {
        return RT_FULL;
    }
    apr_pool_cleanup_register(poll->r->pool, own, forget, apr_pool_cleanup_null);
    if (!poll->r->connection->master) {
        rt_client_push(poll->r->connection); /* answers to what was sent before it, all at once */
    }
    poll->wait = &own->wait;
    look = look_at(poll, own);
    while (look == RT_NOTHING && og_clock_mono() < poll->until && !rt_waits_draining()) {
        apr_time_t next = og_clock_mono() + (poll->waiting ? LOOK_EVERY : LOOK_UNRUNG);

        sleep_until(own, next < poll->until ? next : poll->until);
        look = look_at(poll, own);
    }
    rt_poll_stop_waiting(poll);
    if (rt_poll_lingers(poll, look, &last)) {
        while (og_clock_mono() < last && !rt_waits_draining()
               && rt_revoked_look(poll, RT_NOTHING) == RT_NOTHING) {
            sleep_until(own, last);
        }
        rt_poll_look(poll, 0); /* whatever it comes to: there is something to say already */
    }
    rt_waits_leave(&own->wait);
    return look;
}

/* Where a connection that is kept alive holds a thread, a client that is told to come back later
 * does not keep it until then. */
static void let_go(const request_rec *r)
{
    conn_rec *c = r->connection;
    int is_async = 0;

    ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    if (!is_async && !c->master
        && rt_client_look(c, apr_brigade_create(r->pool, c->bucket_alloc)) == RT_NOTHING_CAME) {
        c->keepalive = AP_CONN_CLOSE;
    }
}

/* A third of the threads is kept for everything that is no poll: of the MPM's, and of mod_http2's,
 * where a stream takes one of each. */
int rt_park_cond(rt_poll *poll)
{
    int stream = poll->r->connection->master != NULL;
    rt_look look = RT_FULL;

    if (atomic_fetch_add(&asleep, 1) < rt_places_get()->in_threads) {
        if (atomic_fetch_add(&streams, stream) < rt_places_get()->streams || !stream) {
            look = park(poll);
        }
        atomic_fetch_sub(&streams, stream);
    }
    atomic_fetch_sub(&asleep, 1);
    if (look == RT_FULL) {
        let_go(poll->r);
    }
    return look;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    /* prefork has one poll a process, and RealtimeMaxParked alone keeps processes free */
    rt_waits_most(rt_places_get()->in_threads);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
}

void rt_park_cond_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
}
