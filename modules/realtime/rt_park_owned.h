/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_park_owned.h
 * @brief RealtimePark owned: connections of polls that the MPM has given up for good
 *
 * The event MPM never takes back a connection that is CONN_STATE_SUSPENDED. So the notifier has its
 * socket from the first poll on: it answers, reads the client's next poll, parks it again, and
 * closes. Requests that are no poll it gives to a worker each.
 *
 * Where this is not open, or not built, adopting fails and the rest does nothing.
 */
#ifndef RT_PARK_OWNED_H
#define RT_PARK_OWNED_H

#include "rt_lot.h"

/** What is kept of such a connection, in its pool. */
typedef struct rt_owned rt_owned;

/** Child's start, before it serves. Whatever fails is logged, and connections stay the MPM's. */
void rt_owned_open(server_rec *s);

/**
 * Worker, RT_WANTS: the notifier's from here on, whatever becomes of it; the worker returns to the
 * MPM and touches nothing.
 * @return 0: it is still the worker's
 */
int rt_owned_adopt(rt_parking *own);

/** Whether it was. */
int rt_owned_is_open(void);

/** Notifier, open: sleep until a socket of ours or the doorbell has something to say, or so many
 * milliseconds. @return as epoll_wait(), with its errno */
int rt_owned_sleep(int timeout);

/** Notifier: see to the sockets that had something to say. @return whether there was any, and
 * *more: whether there may be others by now */
int rt_owned_listen(int *more);

/** Notifier: one that was queued: rung, returned by a worker, or its time has come. */
void rt_owned_serve(rt_parking *own);

#endif /* RT_PARK_OWNED_H */
