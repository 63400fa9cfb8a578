/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_lot.h
 * @brief The connections of a child that park polls, and the notifier's way through them
 *
 * Those that the MPM watches:
 *
 *   worker     RT_BUSY ──handler──→ RT_WANTS ──after the request's way──→ RT_PARKED
 *   notifier   RT_PARKED ──rung, or its time has come──→ RT_CLAIMED ──→ RT_PARKED, RT_ANSWERED
 *   worker     readable: RT_PARKED → RT_BUSY (the client is gone, or sends more)
 *   worker     readable: RT_ANSWERED → RT_BUSY
 *   worker     sent, the next poll is on its way: RT_BUSY → RT_IDLE ──readable──→ RT_BUSY
 *
 * Who may touch a connection and its request: the worker while RT_BUSY or RT_WANTS, the notifier
 * while RT_CLAIMED, nobody else; a worker that finds RT_CLAIMED waits for its end. All of a parking
 * is under the lock of rt_waits.c. The notifier never touches c->cs, which is the MPM's.
 *
 * Those that the MPM has given up (rt_park_owned.c), whose sockets the notifier watches:
 *
 *   worker     RT_BUSY ──its request is over, or wants to park──→ RT_RETURNED
 *   notifier   RT_RETURNED, RT_CLAIMED ──→ RT_PARKED, RT_IDLE, RT_SENDING, RT_CLOSING, RT_BUSY
 *   notifier   readable: RT_PARKED, RT_IDLE → RT_BUSY: its own for a poll, a worker's for all else
 *
 * All of such a connection, c->cs included, is the notifier's but while a worker has it: from when
 * the notifier asks for one until RT_RETURNED.
 */
#ifndef RT_LOT_H
#define RT_LOT_H

#include "rt_poll.h"
#include "rt_wheel.h"

/** A core output filter with more in it blocks (FlushMaxThreshold): the notifier must not. */
#define RT_NOTIFIER_WRITES_MAX (60 * 1024)

typedef enum {
    RT_BUSY,
    RT_WANTS,
    RT_PARKED,
    RT_CLAIMED,
    RT_ANSWERED,
    RT_IDLE,
    RT_RETURNED, /* owned: by a worker, and nobody has looked yet */
    RT_SENDING,  /* owned: its client has not taken all of an answer */
    RT_CLOSING   /* owned: shut on this side, and the client has not closed yet */
} rt_lot_state;

/* A connection that may park polls. Of c->pool. */
typedef struct rt_parking {
    rt_wait wait; /* first */
    conn_rec *c;
    apr_bucket_brigade *input;  /* worker: scratch */
    rt_poll *poll;              /* NULL: no request is suspended */
    rt_poll *room;              /* for its polls, one after the other; NULL before the first */
    _Atomic rt_lot_state state; /* written under the lock, or by the worker whose it is */
    int inside;                 /* worker: our process_connection runs the others' */
    int polls;                  /* worker: it has had one */
    apr_uint64_t head;          /* of what came last (rt_head.h); 0: not a whole head, or no look */
    int heard_at;               /* … and behind how many answers that was */
    int away;            /* worker: the MPM watches it, so state is not RT_BUSY or RT_WANTS */
    int rung;            /* came while it was not RT_PARKED, or is queued for the notifier */
    int awaited;         /* a worker waits for RT_CLAIMED to end */
    int by_worker;       /* the answer is too long for the notifier */
    int wants;           /* owned: came back from a worker as RT_WANTS */
    int tidied;          /* its connection has no free memory */
    rt_look look;        /* … and this is what it answers */
    rt_wheel_item timer; /* when the notifier looks at it in any case */
    int lingers;
    struct rt_parking *queued;       /* next of who was rung */
    struct rt_parking *next, **link; /* all that are parked or idle */
    struct rt_owned *owned;          /* NULL: the MPM's */
} rt_parking;

/** Child's start, before it serves. */
void rt_lot_open(void);

/** Whether it was. */
int rt_lot_is_open(void);

/** News for a parking: its rt_wait's ring, under lock. */
void rt_lot_ring(rt_wait *wait, int urgent);

/** When the notifier looks first at one that is parked now. */
apr_time_t rt_lot_first_look(const rt_poll *poll);

/**
 * Worker: the MPM's and the notifier's from here on, as RT_PARKED or RT_IDLE; not when the child
 * drains, and not RT_IDLE where that would take a place that other requests need.
 * @return 0: it is still this thread's
 */
int rt_lot_give_away(rt_parking *own, rt_lot_state state);

/** The connection is this thread's alone, RT_BUSY. @return what it was */
rt_lot_state rt_lot_take_back(rt_parking *own);

/** Owned: the notifier is to look at it, RT_RETURNED; another thread than that nudges it. */
void rt_lot_return(rt_parking *own);

/** Notifier, owned: RT_SENDING or RT_CLOSING until own->timer.at. */
void rt_lot_hold(rt_parking *own, rt_lot_state state);

/**
 * Notifier, RT_CLAIMED from RT_PARKED: look, and answer when there is something to say.
 * @return 1: answered, and its thread's as RT_BUSY where it is owned; 0: RT_PARKED again
 */
int rt_lot_serve(rt_parking *own);

#endif /* RT_LOT_H */
