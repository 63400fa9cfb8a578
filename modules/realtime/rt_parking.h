/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_parking.h
 * @brief A connection and the poll that it is at: its first look, its answer, its end
 *
 * For the thread that has the connection (rt_lot.h), whoever watches it between.
 */
#ifndef RT_PARKING_H
#define RT_PARKING_H

#include "rt_client.h"
#include "rt_lot.h"

/** See what the client sends next, without reading it, and its own->head. */
rt_incoming rt_parking_hear(rt_parking *own);

/** RT_WANTS: its poll is to be parked. */
void rt_parking_begin(rt_parking *own);

/**
 * RT_WANTS: the first look. What the client has sent besides never makes the socket readable again:
 * one that sends several polls at once is paced.
 * @return RT_NOTHING: it waits, and is counted among those who do
 */
rt_look rt_parking_look_first(rt_parking *own, rt_incoming came);

/** What a poll that waited comes to when its socket is readable, or the child ends. */
rt_look rt_parking_outcome(rt_incoming came);

/** Answer, as RT_BUSY; what does not fit into the socket stays in the filters. */
void rt_parking_answer(rt_parking *own, rt_look look);

/** End its request. @return 1: the connection can take the next one */
int rt_parking_end(rt_parking *own);

#endif /* RT_PARKING_H */
