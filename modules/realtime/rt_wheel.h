/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_wheel.h
 * @brief Deadlines of many polls: adding and removing one costs the same however many there are
 *
 * Pure. Items hang in lists by the tick of their time; a turn looks at the lists of the ticks since
 * the last one. What is due stays where it is until it is removed: its owner decides. Everything
 * here is called under the owner's lock.
 */
#ifndef RT_WHEEL_H
#define RT_WHEEL_H

#include <apr_time.h>

/** How exact a deadline is, where the wheel is turned that often. What is due in one is due at
 * once. */
#define RT_WHEEL_TICK apr_time_from_msec(1)

/** 40 s once round: more than a poll waits and lingers. A later item is passed over until
 * its time. */
#define RT_WHEEL_TICKS 40960

/** Zeroed, it hangs nowhere. */
typedef struct rt_wheel_item {
    struct rt_wheel_item *next, **link;
    apr_time_t at; /* monotonic; its owner's, unchanged while it hangs */
} rt_wheel_item;

typedef struct rt_wheel {
    apr_time_t turned; /* ticks, up to here */
    rt_wheel_item *ticks[RT_WHEEL_TICKS];
} rt_wheel;

/** A zeroed wheel begins now. */
void rt_wheel_start(rt_wheel *wheel, apr_time_t now);

/** Hang up item; one whose time is past is due at the next tick. */
void rt_wheel_add(rt_wheel *wheel, rt_wheel_item *item);

/** Harmless when it hangs nowhere. */
void rt_wheel_remove(rt_wheel_item *item);

/** Tell of each item whose time came since the last turn; due() may remove it, and no other. */
void rt_wheel_turn(rt_wheel *wheel, apr_time_t now, void (*due)(rt_wheel_item *item));

/** When to turn it next: the first tick that an item hangs at, at most the one of until. */
apr_time_t rt_wheel_next(const rt_wheel *wheel, apr_time_t until);

#endif /* RT_WHEEL_H */
