/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The janitor, see idem_janitor.h. A watch that the thread is busy with is freed by the thread; any
 * other by who ends it, under the lock. */
#include "idem_janitor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "og_clock.h"
#include "og_thread.h"

struct idem_watch {
    idem_watch *next, **link;             /* under lock */
    idempotency_claim claim;              /* key is the array below */
    apr_time_t renewed;                   /* janitor: monotonic */
    int busy, over;                       /* under lock */
    idem_owed owed;                       /* under lock, once it is over */
    char key[IDEMPOTENCY_KEY_MAX + 1];
};

struct idem_janitor {
    const idempotency_store *store;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    int stopping;                         /* under lock */
    idem_watch *watches;                  /* under lock */
};

static void unlink_watch(idem_watch *watch)
{
    *watch->link = watch->next;
    if (watch->next) {
        watch->next->link = watch->link;
    }
    free(watch);
}

/* Pay what a watch owes, or renew it. @return whether it is done with */
static int serve(const idempotency_store *store, idem_watch *watch, int over, idem_owed owed)
{
    apr_time_t now = og_clock_mono(), deadline = now + IDEM_STORE_WITHIN;
    apr_status_t rv = APR_SUCCESS;

    if (over && owed == IDEM_OWES_DOUBT) {
        rv = store->doubt(&watch->claim, deadline);
    }
    else if (over && owed == IDEM_OWES_RELEASE) {
        rv = store->release(&watch->claim, deadline);
    }
    else if (!over && store->renew && now - watch->renewed >= watch->claim.lease / 3
             && store->renew(&watch->claim, deadline) == APR_SUCCESS) {
        watch->renewed = now;
    }
    return over && (rv == APR_SUCCESS || rv == APR_NOTFOUND);
}

/* One round over all watches, with the lock held between the calls alone. */
static void round_of(idem_janitor *janitor)
{
    idem_watch *watch = janitor->watches, *next;

    while (watch && !janitor->stopping) {
        int over = watch->over, done;
        idem_owed owed = watch->owed;

        watch->busy = 1;
        pthread_mutex_unlock(&janitor->lock);
        done = serve(janitor->store, watch, over, owed);
        pthread_mutex_lock(&janitor->lock);
        watch->busy = 0;
        next = watch->next;
        if (done || (watch->over && watch->owed == IDEM_OWES_NOTHING)) {
            unlink_watch(watch);
        }
        watch = next;
    }
}

static void *run(void *data)
{
    idem_janitor *janitor = data;
    struct timespec until;

    pthread_mutex_lock(&janitor->lock);
    while (!janitor->stopping) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&janitor->wake, &janitor->lock, &until);
        if (!janitor->stopping && janitor->store->tidy) {
            pthread_mutex_unlock(&janitor->lock);
            janitor->store->tidy(og_clock_mono() + IDEM_STORE_WITHIN);
            pthread_mutex_lock(&janitor->lock);
        }
        round_of(janitor);
    }
    pthread_mutex_unlock(&janitor->lock);
    return NULL;
}

/* Watches of requests that still run stay: their threads may end them until the process does. */
static apr_status_t stop(void *data)
{
    idem_janitor *janitor = data;

    pthread_mutex_lock(&janitor->lock);
    janitor->stopping = 1;
    pthread_cond_signal(&janitor->wake);
    pthread_mutex_unlock(&janitor->lock);
    pthread_join(janitor->thread, NULL);
    return APR_SUCCESS;
}

idem_janitor *idem_janitor_start(const idempotency_store *store, apr_pool_t *p)
{
    idem_janitor *janitor = calloc(1, sizeof(*janitor)); /* outlives p, for those late threads */
    pthread_condattr_t attr;

    if (!janitor) {
        return NULL;
    }
    janitor->store = store;
    pthread_mutex_init(&janitor->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&janitor->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (og_thread_start(&janitor->thread, run, janitor)) {
        free(janitor);
        return NULL;
    }
    apr_pool_pre_cleanup_register(p, janitor, stop);
    return janitor;
}

idem_watch *idem_janitor_watch(idem_janitor *janitor, const idempotency_claim *claim)
{
    idem_watch *watch = janitor ? calloc(1, sizeof(*watch)) : NULL;

    if (!watch) {
        return NULL;
    }
    watch->claim = *claim;
    strncpy(watch->key, claim->key, IDEMPOTENCY_KEY_MAX);
    watch->claim.key = watch->key;
    watch->renewed = og_clock_mono();
    pthread_mutex_lock(&janitor->lock);
    watch->next = janitor->watches;
    watch->link = &janitor->watches;
    if (watch->next) {
        watch->next->link = &watch->next;
    }
    janitor->watches = watch;
    pthread_mutex_unlock(&janitor->lock);
    return watch;
}

void idem_janitor_end(idem_janitor *janitor, idem_watch *watch, idem_owed owed)
{
    if (!watch) {
        return;
    }
    pthread_mutex_lock(&janitor->lock);
    watch->over = 1;
    watch->owed = owed;
    if (!watch->busy && owed == IDEM_OWES_NOTHING) {
        unlink_watch(watch);
    }
    pthread_mutex_unlock(&janitor->lock);
}
