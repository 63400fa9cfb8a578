/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* gcc 12's thread sanitizer knows no pthread_mutex_clocklock(), so it would take every section
 * under og_lock_take() for unlocked. Preloaded, this one comes to the same by calls that it knows.
 * t/TEST builds it when it runs under the thread sanitizer. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <time.h>

int pthread_mutex_clocklock(pthread_mutex_t *lock, clockid_t clock, const struct timespec *until)
{
    static const struct timespec nap = { 0, 50000 };
    struct timespec now;
    int rc;

    while ((rc = pthread_mutex_trylock(lock)) == EBUSY) {
        clock_gettime(clock, &now);
        if (now.tv_sec > until->tv_sec
            || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec)) {
            return ETIMEDOUT;
        }
        nanosleep(&nap, NULL);
    }
    return rc;
}
