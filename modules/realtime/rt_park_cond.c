/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Parking by condition variable: a poll waits in its worker thread (parking.md). For MPMs that
 * can't wait for a socket without one, and for HTTP/2, whose streams have none of their own. */
#include "rt_poll.h"

#include "og_clock.h"

#include <apr_portable.h>
#include <http_core.h>
#include <sys/socket.h>

/* How often a parked poll looks whether its client is still there, and for events where the child
 * has no doorbell */
#define LOOK_EVERY  APR_USEC_PER_SEC
#define LOOK_UNRUNG apr_time_from_msec(250)

typedef struct cond_wait {
    rt_wait wait; /* first */
    pthread_cond_t rung;
    int woken;    /* under the table's lock */
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

/* Whether the client has hung up: a read of nothing where nothing was sent. */
static int is_gone(const request_rec *r)
{
    apr_socket_t *socket = ap_get_conn_socket(r->connection);
    apr_os_sock_t fd;
    char byte;

    if (r->connection->aborted || !socket || r->connection->master
        || apr_os_sock_get(&fd, socket) != APR_SUCCESS) {
        return r->connection->aborted;
    }
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
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
    pthread_cond_init(&own->rung, &monotonic);
    if (!rt_waits_join(&own->wait)) {
        return RT_FULL;
    }
    apr_pool_cleanup_register(poll->r->pool, own, forget, apr_pool_cleanup_null);
    poll->wait = &own->wait;
    look = rt_poll_look(poll, 1);
    while (look == RT_NOTHING && og_clock_mono() < poll->until && !rt_waits_draining()) {
        apr_time_t next = og_clock_mono() + (poll->waiting ? LOOK_EVERY : LOOK_UNRUNG);

        sleep_until(own, next < poll->until ? next : poll->until);
        look = is_gone(poll->r) ? RT_GONE : rt_poll_look(poll, 1);
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
