/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_lock.h
 * @brief A lock in shared memory that tells when its holder died
 *
 * Pure. APR swallows EOWNERDEAD (httpd-facts.md 13.4), so these are pthread's own robust mutexes.
 * They are taken with a time-out on the monotonic clock: a stopped holder (F03) costs a request
 * its time-out, never its thread.
 */
#ifndef OG_LOCK_H
#define OG_LOCK_H

#include <apr_time.h>
#include <pthread.h>

/** Once, by the process that made the segment. @return 0 or an errno */
int og_lock_init(pthread_mutex_t *lock);

/**
 * @return 0: held. EOWNERDEAD: held, and the last holder died in it: repair what it guards, then
 *         og_lock_repaired(). ETIMEDOUT: not held. ENOTRECOVERABLE: a holder gave up on repairing.
 */
int og_lock_take(pthread_mutex_t *lock, apr_interval_time_t timeout);

/** What the lock guards is whole again; without it the release makes the lock unusable. */
int og_lock_repaired(pthread_mutex_t *lock);

void og_lock_give(pthread_mutex_t *lock);

#endif /* OG_LOCK_H */
