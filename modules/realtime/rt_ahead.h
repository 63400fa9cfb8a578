/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_ahead.h
 * @brief Notifier: memory that polls need whose turn is soon, fetched while it is at another one
 *
 * A poll waits longer than it stays in any cache near the processor, and what it takes is found
 * from pointer to pointer: with a thousand polls a tenth of the CPU goes by waiting for that
 * (docs/performance.md). These are hints: nothing but the time changes.
 */
#ifndef RT_AHEAD_H
#define RT_AHEAD_H

#include "rt_lot.h"

/** next and those queued behind it are answered soon. */
void rt_ahead_answers(const rt_parking *next);

#define RT_AHEAD_SOCKETS 3

/** These are heard next, in that order; some may be NULL. */
void rt_ahead_sockets(const rt_parking *const next[RT_AHEAD_SOCKETS]);

#endif /* RT_AHEAD_H */
