/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest_db_pool.h
 * @brief Inside of the pool: what rest_db_pool.c, rest_db_connect.c and rest_db_cancel.c share
 *
 * A fixed array of slots. Whoever may touch a slot's connection follows from its state, which
 * changes under the pool's lock alone:
 *
 *     EMPTY ─→ WORK ─→ IDLE ⇄ BUSY        WORK, SPENT: the connector thread
 *       ↑      ↑ ↓       ↓     ↓          BUSY: the borrower
 *       └──────┴─────── SPENT ←┘          IDLE: nobody (its socket may be polled under the lock)
 */
#ifndef REST_DB_POOL_H
#define REST_DB_POOL_H

#include <apr_dbd.h>
#include <pthread.h>

#include "rest_db.h"
#include "rest_db_breaker.h"

typedef enum {
    REST_DB_SLOT_EMPTY,
    REST_DB_SLOT_WORK, /* being opened or closed */
    REST_DB_SLOT_IDLE,
    REST_DB_SLOT_BUSY,
    REST_DB_SLOT_SPENT /* to be closed */
} rest_db_slot_state;

struct rest_db_conn {
    rest_db_pool *pool;
    rest_db_slot_state state; /* under pool->lock */
    apr_time_t idle_since;    /* under pool->lock */
    int failed;               /* borrower: state not known, do not lend again */
    apr_pool_t *mem;          /* unmanaged: made and destroyed on the connector thread */
    apr_dbd_t *dbd;
    PGconn *pg;
};

/** A thread in rest_db_borrow(), on its stack; all under pool->lock. */
typedef struct rest_db_waiter {
    struct rest_db_waiter *next;
    pthread_cond_t wake;
    rest_db_conn *conn; /* handed over */
    int refused;        /* the breaker opened */
} rest_db_waiter;

typedef struct rest_db_canceller rest_db_canceller;

struct rest_db_pool {
    rest_db_params params;
    server_rec *s; /* for the log */
    const char *dsn;
    const apr_dbd_driver_t *driver;
    rest_db_canceller *canceller;
    pthread_t connector;
    const char *why; /* connector: why the last connect failed, from the connection's pool */

    pthread_mutex_t lock;
    pthread_condattr_t clock; /* CLOCK_MONOTONIC, for every condition here */
    pthread_cond_t work;      /* the connector waits for it */
    /* all below under lock */
    rest_db_conn *slots; /* params.max */
    rest_db_waiter *waiters;
    int waiting;
    int warm; /* the first connection was tried */
    int stopping;
    rest_db_breaker breaker;
};

/** A slot in this state (the one idle for the longest), or NULL; under the lock. */
rest_db_conn *rest_db_pool_slot(rest_db_pool *pool, rest_db_slot_state state);

/** Lend conn to who waits longest, or lay it by; under the lock. */
void rest_db_pool_give(rest_db_conn *conn);

/** The breaker opened: idle connections go, waiters go home, the probe is due; under the lock. */
void rest_db_pool_shut(rest_db_pool *pool);

/** Wait for a condition under the lock until a monotonic time; 0 when that passed. */
int rest_db_pool_wait(rest_db_pool *pool, pthread_cond_t *cond, apr_time_t until);

/** rest_db_connect.c: the connector thread's start; data is the pool. */
void *rest_db_connect_run(void *data);

/** rest_db_connect.c: close a connection and empty its slot; connector thread, or after its end. */
void rest_db_connect_close(rest_db_conn *conn);

/** rest_db_cancel.c: start the canceller's thread; from p. */
apr_status_t rest_db_cancel_start(rest_db_canceller **canceller, apr_pool_t *p);
void rest_db_cancel_stop(rest_db_canceller *canceller);

#endif /* REST_DB_POOL_H */
