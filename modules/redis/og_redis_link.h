/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_redis_link.h
 * @brief The child's connections to Redis: borrowed for one call, with a deadline
 *
 * A fixed array of slots. Whoever may touch a slot's connection follows from its state, which
 * changes under the link's lock alone:
 *
 *     EMPTY -> WORK -> IDLE <-> BUSY       WORK, SPENT: the connector thread
 *       ^        |       |        |        BUSY: the borrower
 *       +--------+-----SPENT<-----+        IDLE: nobody
 *
 * Connections are opened and closed by the connector thread (og_redis_connect.c), all of them as
 * soon as there is a primary. While there is none, the link is down: whoever asks is told at once.
 * It goes down when no connection can be made while there is none, when OG_REDIS_FAILURES calls in
 * a row got no answer (or no connection, while nobody has one), and when the server says that it is
 * none to ask; it comes back when a connection answered within the time of a call. A connection
 * that breaks takes the link not down: who asks meanwhile waits for the next one, for no longer
 * than its deadline.
 */
#ifndef OG_REDIS_LINK_H
#define OG_REDIS_LINK_H

#include <httpd.h>
#include <http_config.h>
#include <pthread.h>
#include <stdatomic.h>

#include "og_redis_address.h"
#include "og_redis_wire.h"

/* LogLevel orgscale_redis:… */
extern module AP_MODULE_DECLARE_DATA orgscale_redis_module;
APLOG_USE_MODULE(orgscale_redis);

/** Calls in a row without an answer, until nobody is asked any more. */
#define OG_REDIS_FAILURES 3

/** og_redis_counts, as all processes share it. */
typedef struct og_redis_shared {
    atomic_ullong ended[OG_REDIS_REASONS];
    atomic_ullong went_down, came_back;
} og_redis_shared;

typedef struct og_redis_params {
    og_redis_address *servers; /**< the connector's from now on */
    int server_count;
    const char *user;          /**< NULL: none */
    const char *password;      /**< NULL: none */
    apr_size_t password_len;
    int database;
    int max;                   /**< connections, 1.. */
    apr_interval_time_t timeout; /**< of a call */
    og_redis_shared *counts;
} og_redis_params;

typedef enum {
    OG_REDIS_SLOT_EMPTY,
    OG_REDIS_SLOT_WORK, /* being opened or closed */
    OG_REDIS_SLOT_IDLE,
    OG_REDIS_SLOT_BUSY,
    OG_REDIS_SLOT_SPENT /* to be closed */
} og_redis_slot_state;

typedef struct og_redis_slot {
    og_redis_slot_state state; /* under link->lock */
    redisContext *conn;
} og_redis_slot;

typedef struct og_redis_link {
    og_redis_params params;
    server_rec *s; /* for the log */
    pthread_t connector;
    int stop_fd; /* readable when the child ends */
    int primary; /* connector: of params.servers, where to begin */
    atomic_llong said[OG_REDIS_REASONS]; /* monotonic, when the log had it last; 0: not yet */

    pthread_mutex_t lock;
    pthread_condattr_t clock; /* CLOCK_MONOTONIC, for both conditions */
    pthread_cond_t work;      /* the connector waits for it */
    pthread_cond_t freed;     /* borrowers do */
    /* all below under lock */
    og_redis_slot *slots; /* params.max */
    int stopping;
    int down;
    int failures;        /* calls in a row without an answer */
    apr_time_t since;    /* down since, or up */
    int attempts;        /* to connect, that failed in a row: how long the pause is */
    apr_time_t retry_at; /* the next one */
    unsigned int seed;   /* of the jitter */
} og_redis_link;

/**
 * Make the child's link and start its connector. Does not wait for Redis.
 * @param p  the child's pool; its cleanup stops the thread and closes all
 */
apr_status_t og_redis_link_create(og_redis_link **link, const og_redis_params *params,
                                  apr_pool_t *p, server_rec *s);

/** A command, by a deadline of og_clock_mono(), or RedisTimeout where that is sooner. The reply is
 * the caller's, see og_redis_wire_ask(). */
og_redis_reason og_redis_link_ask(og_redis_link *link, const og_redis_command *command,
                                  apr_time_t deadline, redisReply **reply);

/** What a call's end is to its caller: APR_SUCCESS for OG_REDIS_OK alone. */
apr_status_t og_redis_link_status(og_redis_reason reason);

/** Count an end. */
void og_redis_link_count(og_redis_link *link, og_redis_reason reason);

/* Inside: og_redis_link.c and og_redis_connect.c */

/** A slot in this state, or NULL; under the lock. */
og_redis_slot *og_redis_link_slot(og_redis_link *link, og_redis_slot_state state);

/** Nobody is asked from now on; under the lock. @return 1 when that is new, and to be logged */
int og_redis_link_shut(og_redis_link *link);

/** The next attempt to connect is due later, the later the more of them failed; under the lock. */
void og_redis_link_postpone(og_redis_link *link);

/** Say so; without the lock. */
void og_redis_link_say_down(og_redis_link *link, og_redis_reason reason, const char *who);

/** The connector thread; data is the link. */
void *og_redis_connect_run(void *data);

#endif /* OG_REDIS_LINK_H */
