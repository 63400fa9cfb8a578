/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Robust locks, see og_lock.h. */
#include "og_lock.h"

#include <errno.h>
#include <time.h>

/* Two or three microseconds' worth of looks */
#define SPINS 40

int og_lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rv = pthread_mutexattr_init(&attr);

    if (rv) {
        return rv;
    }
    rv = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (!rv) {
        rv = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    }
    if (!rv) {
        rv = pthread_mutex_init(lock, &attr);
    }
    pthread_mutexattr_destroy(&attr);
    return rv;
}

/* Tells the processor that this is a spin, where it wants to know. */
static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Whoever holds one of these locks is done in a microsecond: to try a few times costs less than to
 * sleep and to be woken. */
static int spin(pthread_mutex_t *lock)
{
    int rc = pthread_mutex_trylock(lock), n;

    for (n = 0; rc == EBUSY && n < SPINS; n++) {
        pause_briefly();
        rc = pthread_mutex_trylock(lock);
    }
    return rc;
}

int og_lock_take(pthread_mutex_t *lock, apr_interval_time_t timeout)
{
    struct timespec until;
    int rc = timeout > 0 ? spin(lock) : pthread_mutex_trylock(lock);

    if (rc != EBUSY) {
        return rc;
    }
    if (timeout <= 0) {
        return ETIMEDOUT;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout / APR_USEC_PER_SEC);
    until.tv_nsec += (long)(timeout % APR_USEC_PER_SEC) * 1000;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
}

int og_lock_repaired(pthread_mutex_t *lock)
{
    return pthread_mutex_consistent(lock);
}

void og_lock_give(pthread_mutex_t *lock)
{
    pthread_mutex_unlock(lock);
}
