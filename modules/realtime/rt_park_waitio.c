/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Parking without a thread: the handler returns SUSPENDED, and the MPM watches the socket
 * (CONN_STATE_ASYNC_WAITIO, 2.4.63; parking.md has the sequence and why). This is the worker's
 * side; rt_lot.h has the states, and who may touch what when. */
#include "rt_client.h"
#include "rt_lot.h"
#include "rt_park_owned.h"
#include "rt_parking.h"

#include <ap_mpm.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <sched.h>

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)

static rt_parking *parking_of(const conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &realtime_lp_module);
}

/* Worker: have the MPM watch the connection. When it is not taken the MPM may close it as any other
 * that is kept alive. */
static int give_away(rt_parking *own, rt_lot_state state)
{
    own->away = 1;
    own->c->cs->state = CONN_STATE_ASYNC_WAITIO;
    own->c->cs->sense = CONN_SENSE_WANT_READ;
    if (rt_lot_give_away(own, state)) {
        return 1;
    }
    own->away = 0;
    own->c->cs->state = CONN_STATE_WRITE_COMPLETION;
    own->c->cs->sense = CONN_SENSE_DEFAULT;
    return 0;
}

/* Worker, RT_WANTS: park it. 1: parked, 0: answered, and *more says whether requests may follow */
static int park(rt_parking *own, int *more)
{
    rt_poll *poll = own->poll;
    apr_interval_time_t longest = rt_places_longest(poll->r->server);
    rt_look look;

    *more = 0;
    /* the MPM closes what waits longer than Timeout, the client's pause behind the answer included
     */
    if (poll->until > poll->began + longest) {
        poll->until = poll->began + longest;
    }
    rt_parking_begin(own);
    look = rt_parking_look_first(own, rt_client_look(own->c, own->input));
    if (look == RT_NOTHING && give_away(own, RT_PARKED)) {
        return 1;
    }
    rt_parking_answer(own, look);
    *more = rt_parking_end(own);
    return 0;
}

/* Worker: see what came. If that is a poll which the notifier gets (rt_owned_adopt), it is to know
 * the next one by its head. */
static rt_incoming look(rt_parking *own, rt_lot_state was)
{
    return was != RT_PARKED && rt_owned_is_open() ? rt_parking_hear(own)
                                                  : rt_client_look(own->c, own->input);
}

/* Worker: the socket of a parked connection is readable. 1: go on with the next request */
static int resume(rt_parking *own)
{
    rt_lot_state was = rt_lot_take_back(own);
    conn_rec *c = own->c;
    rt_incoming what = look(own, was);

    if (was == RT_PARKED && what == RT_NOTHING_CAME && give_away(own, RT_PARKED)) {
        return 0;
    }
    if (was == RT_PARKED) {
        /* more behind a poll that waits, or the end of the child: no poll waits then */
        rt_parking_answer(own, rt_parking_outcome(what));
        if (rt_parking_end(own) && what == RT_DATA_CAME) {
            c->cs->state = CONN_STATE_PROCESSING;
            return 1;
        }
        return 0;
    }
    if (was == RT_ANSWERED) {
        if (own->by_worker) {
            c->keepalive = AP_CONN_CLOSE; /* its reading side is shut */
            rt_parking_answer(own, own->look);
        }
        if (!rt_parking_end(own)) {
            if (what == RT_END_CAME) {
                c->keepalive = AP_CONN_CLOSE;
            }
            return 0;
        }
    }
    if (what == RT_NOTHING_CAME && (give_away(own, RT_IDLE) || !rt_waits_draining())) {
        return 0;
    }
    c->cs->state = what == RT_DATA_CAME ? CONN_STATE_PROCESSING : CONN_STATE_LINGER;
    return what == RT_DATA_CAME;
}

/* Worker: after an answer the client's next poll is on its way. The MPM would wait for it with
 * KEEPALIVE, and closes such connections whenever all its workers are busy. */
static void await_next(rt_parking *own)
{
    conn_rec *c = own->c;

    if (!own->polls || c->cs->state != CONN_STATE_WRITE_COMPLETION
        || c->keepalive != AP_CONN_KEEPALIVE || c->aborted || c->data_in_input_filters) {
        return;
    }
    rt_client_push(c);
    if (c->aborted) {
        c->cs->state = CONN_STATE_LINGER;
    }
    else if (!c->data_in_output_filters) {
        give_away(own, RT_IDLE);
    }
}

static apr_status_t forget(void *data)
{
    rt_parking *own = data;

    rt_lot_take_back(own);
    if (own->poll) {
        rt_poll_stop_waiting(own->poll);
    }
    rt_waits_leave(&own->wait);
    return APR_SUCCESS;
}

static rt_parking *make(conn_rec *c)
{
    rt_parking *own = apr_pcalloc(c->pool, sizeof(*own));

    own->c = c;
    own->input = apr_brigade_create(c->pool, c->bucket_alloc);
    own->wait.ring = rt_lot_ring;
    ap_set_module_config(c->conn_config, &realtime_lp_module, own);
    apr_pool_pre_cleanup_register(c->pool, own, forget);
    return own;
}

static int process_connection(conn_rec *c)
{
    rt_parking *own = parking_of(c);
    int rc = OK, more = 1;

    if (!rt_lot_is_open() || c->master || !c->cs || c->clogging_input_filters
        || (own && (own->inside || own->owned))) {
        return DECLINED;
    }
    own = own ? own : make(c);
    if (own->away && !resume(own)) {
        return OK;
    }
    while (more) {
        own->inside = 1;
        rc = ap_run_process_connection(c);
        own->inside = 0;
        if (own->state != RT_WANTS) {
            await_next(own);
            return rc;
        }
        if (rt_owned_adopt(own)) {
            return OK;
        }
        if (park(own, &more)) {
            /* who answers others goes first: without this their answers wait while this thread goes
             * on with the next poll of one that has had its own */
            sched_yield();
            return OK;
        }
        if (more && c->data_in_input_filters) {
            c->cs->state = CONN_STATE_PROCESSING;
        }
        else {
            await_next(own);
            more = 0;
        }
    }
    return rc;
}

/* The MPM closes a connection of its own accord: Timeout. What is suspended ends here. */
static int pre_close(conn_rec *c)
{
    rt_parking *own = c->master ? NULL : parking_of(c);

    if (own && own->away) {
        rt_lot_take_back(own);
        if (own->poll) {
            rt_poll_stop_waiting(own->poll);
            rt_waits_leave(&own->wait);
            c->aborted = 1;
            rt_parking_end(own);
        }
    }
    return OK;
}

/* The connection's, of a request that may be parked on it. NULL: there is none. */
static rt_parking *parking_for(const request_rec *r)
{
    rt_parking *own = rt_lot_is_open() && !r->connection->master ? parking_of(r->connection) : NULL;

    return own && own->inside && !r->main && !r->prev ? own : NULL;
}

rt_poll *rt_waitio_room(const request_rec *r)
{
    rt_parking *own = parking_for(r);

    if (own && !own->room) {
        own->room = apr_palloc(own->c->pool, sizeof(*own->room));
    }
    return own ? own->room : NULL;
}

void rt_waitio_expect(const conn_rec *c)
{
    rt_parking *own = rt_lot_is_open() && !c->master ? parking_of(c) : NULL;

    if (own) {
        own->polls = 1;
    }
}

int rt_waitio_takes(rt_poll *poll)
{
    rt_parking *own = parking_for(poll->r);

    if (!own) {
        return 0;
    }
    own->poll = poll;
    own->state = RT_WANTS;
    return 1;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    int can = 0;

    if (!rt_places_get()->waitio || rt_bell_child() < 0
        || ap_mpm_query(AP_MPMQ_CAN_WAITIO, &can) != APR_SUCCESS || !can) {
        return;
    }
    rt_lot_open();
    rt_waits_most(rt_places_get()->a_child);
    if (rt_places_get()->owned) {
        rt_owned_open(s);
    }
}

void rt_waitio_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_LAST);
    ap_hook_process_connection(process_connection, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_pre_close_connection(pre_close, NULL, NULL, APR_HOOK_MIDDLE);
}

#else

void rt_waitio_expect(const conn_rec *c)
{
}

rt_poll *rt_waitio_room(const request_rec *r)
{
    return NULL;
}

int rt_waitio_takes(rt_poll *poll)
{
    return 0;
}

void rt_waitio_register(apr_pool_t *p)
{
}

#endif
