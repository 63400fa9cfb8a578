/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Cancelling late statements, on a thread of its own: PQcancel() connects and then waits for the
 * server to hang up, without a deadline, so that a frozen server would hold the connector, and with
 * it the probe. It is a courtesy to the server, which ends the statement by statement_timeout
 * anyway; a full queue drops it. canceller->lock guards the queue and is not held across I/O. */
#include "rest_db_cancel.h"

#include <apr_signal.h>
#include <pthread.h>

#include "og_thread.h"
#include "rest_db_pool.h"

#define QUEUE_MAX 16

struct rest_db_canceller {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    PGcancel *queue[QUEUE_MAX]; /* under lock */
    int queued, stopping;       /* under lock */
    PGcancel *sending;          /* the thread's; after its end, what it was cancelled in */
    char error[256];            /* thread: what PQcancel() says; nobody reads it */
};

static PGcancel *next(rest_db_canceller *canceller)
{
    PGcancel *request = NULL;

    pthread_mutex_lock(&canceller->lock);
    while (!canceller->queued && !canceller->stopping) {
        pthread_cond_wait(&canceller->work, &canceller->lock);
    }
    if (!canceller->stopping) {
        request = canceller->queue[--canceller->queued];
    }
    pthread_mutex_unlock(&canceller->lock);
    return request;
}

static void *run(void *data)
{
    rest_db_canceller *canceller = data;

    apr_setup_signal_thread();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    while ((canceller->sending = next(canceller))) {
        /* a frame that a cancel may unwind has no local whose address was taken: ASan would not
         * learn that it is gone. The same in rest_db_connect.c. */
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        PQcancel(canceller->sending, canceller->error, sizeof canceller->error);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        PQfreeCancel(canceller->sending);
    }
    return NULL;
}

apr_status_t rest_db_cancel_start(rest_db_canceller **canceller, apr_pool_t *p)
{
    rest_db_canceller *c = apr_pcalloc(p, sizeof *c);

    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    *canceller = c;
    return og_thread_start(&c->thread, run, c);
}

void rest_db_cancel_stop(rest_db_canceller *canceller)
{
    pthread_mutex_lock(&canceller->lock);
    canceller->stopping = 1;
    pthread_cond_signal(&canceller->work);
    pthread_mutex_unlock(&canceller->lock);
    pthread_cancel(canceller->thread); /* acts inside PQcancel() only */
    pthread_join(canceller->thread, NULL);
    PQfreeCancel(canceller->sending); /* of NULL: nothing */
    while (canceller->queued) {
        PQfreeCancel(canceller->queue[--canceller->queued]);
    }
    pthread_cond_destroy(&canceller->work);
    pthread_mutex_destroy(&canceller->lock);
}

void rest_db_cancel(const rest_db_conn *conn)
{
    rest_db_canceller *canceller = conn->pool->canceller;
    PGcancel *request = PQgetCancel(conn->pg);

    if (!request) {
        return;
    }
    pthread_mutex_lock(&canceller->lock);
    if (canceller->queued < QUEUE_MAX) {
        canceller->queue[canceller->queued++] = request;
        request = NULL;
        pthread_cond_signal(&canceller->work);
    }
    pthread_mutex_unlock(&canceller->lock);
    PQfreeCancel(request); /* of NULL: nothing */
}
