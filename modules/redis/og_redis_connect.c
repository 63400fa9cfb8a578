/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The connector thread: the only one that resolves names, opens connections and closes them. It
 * asks each server of the list for its role until one is the primary, with growing pauses between
 * its rounds, each a little longer or shorter than that of the other children. */
#include "og_redis_link.h"

#include <apr_signal.h>
#include <apr_strings.h>
#include <http_log.h>
#include <string.h>

#include "og_clock.h"
#include "og_log.h"
#include "og_redis_reply.h"

/* For what precedes the last question, which has the time of a call */
#define HANDSHAKE_WITHIN APR_USEC_PER_SEC

/* Up for so long: the next pause is the shortest again */
#define SETTLED APR_USEC_PER_SEC

#define REPLY_MAX 65536

static og_redis_reason ask(og_redis_link *link, redisContext *conn, int argc, const char **argv,
                           const size_t *lens, apr_interval_time_t within, redisReply **reply)
{
    og_redis_command command = { argc, argv, lens, 0, NULL };
    og_redis_patience patience = { og_clock_mono() + within, REPLY_MAX, link->stop_fd };

    return og_redis_wire_ask(conn, &command, &patience, reply);
}

/* A command whose reply says no more than that it went well */
static og_redis_reason tell(og_redis_link *link, redisContext *conn, int argc, const char **argv,
                            const size_t *lens, apr_interval_time_t within)
{
    redisReply *reply;
    og_redis_reason reason = ask(link, conn, argc, argv, lens, within, &reply);

    if (reason == OG_REDIS_OK && reply->type != REDIS_REPLY_STATUS) {
        reason = OG_REDIS_PROTOCOL;
    }
    freeReplyObject(reply);
    return reason;
}

static og_redis_reason authenticate(og_redis_link *link, redisContext *conn)
{
    const og_redis_params *params = &link->params;
    const char *argv[3] = { "AUTH", params->user, params->password };
    size_t lens[3] = { 4, params->user ? strlen(params->user) : 0, params->password_len };
    og_redis_reason reason;

    if (!params->password) {
        return OG_REDIS_OK;
    }
    if (!params->user) {
        argv[1] = argv[2];
        lens[1] = lens[2];
    }
    reason = tell(link, conn, params->user ? 3 : 2, argv, lens, HANDSHAKE_WITHIN);
    /* "ERR AUTH called without any password configured", and what older servers say */
    return reason == OG_REDIS_OTHER ? OG_REDIS_NOAUTH : reason;
}

static og_redis_reason select_database(og_redis_link *link, redisContext *conn)
{
    char number[16];
    const char *argv[2] = { "SELECT", number };
    size_t lens[2] = { 6, 0 };

    if (!link->params.database) {
        return OG_REDIS_OK;
    }
    lens[1] = (size_t)apr_snprintf(number, sizeof(number), "%d", link->params.database);
    return tell(link, conn, 2, argv, lens, HANDSHAKE_WITHIN);
}

static og_redis_reason check_role(og_redis_link *link, redisContext *conn)
{
    const char *argv[1] = { "ROLE" };
    size_t lens[1] = { 4 };
    redisReply *reply;
    og_redis_reason reason = ask(link, conn, 1, argv, lens, HANDSHAKE_WITHIN, &reply);

    if (reason == OG_REDIS_OK) {
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1
            || reply->element[0]->type != REDIS_REPLY_STRING) {
            reason = OG_REDIS_PROTOCOL;
        }
        else if (strcmp(reply->element[0]->str, "master") != 0) {
            reason = OG_REDIS_READONLY;
        }
    }
    freeReplyObject(reply);
    return reason;
}

/* It also tells a server that still loads, and one that is slower than a call may be: such a one
 * would be lost again at once. */
static og_redis_reason ping(og_redis_link *link, redisContext *conn)
{
    const char *argv[1] = { "PING" };
    size_t lens[1] = { 4 };

    return tell(link, conn, 1, argv, lens, link->params.timeout);
}

static og_redis_reason greet(og_redis_link *link, redisContext *conn)
{
    og_redis_reason reason = authenticate(link, conn);

    reason = reason == OG_REDIS_OK ? select_database(link, conn) : reason;
    reason = reason == OG_REDIS_OK ? check_role(link, conn) : reason;
    return reason == OG_REDIS_OK ? ping(link, conn) : reason;
}

/* The addresses of a server, one after the other. */
static redisContext *try_addresses(og_redis_link *link, const og_redis_address *server,
                                   og_redis_reason *reason)
{
    int i;

    *reason = OG_REDIS_LOST;
    for (i = 0; i < server->found; i++) {
        og_redis_patience patience = { og_clock_mono() + HANDSHAKE_WITHIN, REPLY_MAX,
                                       link->stop_fd };
        redisContext *conn = og_redis_wire_connect((const struct sockaddr *)&server->at[i],
                                                   server->len[i], &patience, reason);

        if (conn) {
            *reason = greet(link, conn);
            if (*reason == OG_REDIS_OK) {
                return conn;
            }
            redisFree(conn);
        }
        og_redis_link_count(link, *reason);
    }
    return NULL;
}

/* Where it last was; and where its name says that it is now, if that is not it. */
static redisContext *try_server(og_redis_link *link, og_redis_address *server,
                                og_redis_reason *reason)
{
    redisContext *conn = try_addresses(link, server, reason);

    if (!conn && og_redis_address_resolve(server)) {
        conn = try_addresses(link, server, reason);
    }
    return conn;
}

/* The primary among the servers; the first look is at where it was. *server is the last
 * one asked. */
static redisContext *find_primary(og_redis_link *link, og_redis_reason *reason,
                                  const og_redis_address **server)
{
    int i;

    for (i = 0; i < link->params.server_count; i++) {
        int at = (link->primary + i) % link->params.server_count;
        redisContext *conn = try_server(link, &link->params.servers[at], reason);

        *server = &link->params.servers[at];
        if (conn) {
            link->primary = at;
            return conn;
        }
    }
    return NULL;
}

/* Whether anybody has or gets a connection; under the lock. */
static int has_any(og_redis_link *link)
{
    return og_redis_link_slot(link, OG_REDIS_SLOT_IDLE)
           || og_redis_link_slot(link, OG_REDIS_SLOT_BUSY);
}

/* What an attempt came to; under the lock. *say: the link changed, and the log tells; it was down
 * for *span */
static void conclude(og_redis_link *link, og_redis_slot *slot, redisContext *conn, int *say,
                     apr_interval_time_t *span)
{
    slot->conn = conn;
    *span = og_clock_mono() - link->since;
    if (conn) {
        slot->state = OG_REDIS_SLOT_IDLE;
        *say = link->down;
        if (link->down) {
            link->down = 0;
            link->since = og_clock_mono();
        }
        else if (*span > SETTLED) {
            link->attempts = 0;
        }
        pthread_cond_signal(&link->freed);
        return;
    }
    slot->state = OG_REDIS_SLOT_EMPTY;
    *say = !has_any(link) && og_redis_link_shut(link);
    if (!*say) {
        og_redis_link_postpone(link);
    }
}

/* Takes and returns with the lock, works without. */
static void fill(og_redis_link *link, og_redis_slot *slot)
{
    const og_redis_address *server = NULL;
    og_redis_reason reason = OG_REDIS_LOST;
    apr_interval_time_t span;
    redisContext *conn;
    int say;

    slot->state = OG_REDIS_SLOT_WORK;
    pthread_mutex_unlock(&link->lock);
    conn = find_primary(link, &reason, &server);
    pthread_mutex_lock(&link->lock);
    conclude(link, slot, conn, &say, &span);
    if (!say || link->stopping) {
        return;
    }
    pthread_mutex_unlock(&link->lock);
    if (conn) {
        atomic_fetch_add(&link->params.counts->came_back, 1);
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, link->s,
                     OGLOGNO(2102) "Redis is back after %" APR_TIME_T_FMT " ms (%s)",
                     span / 1000, server->text);
    }
    else {
        og_redis_link_say_down(link, reason, server->text);
    }
    pthread_mutex_lock(&link->lock);
}

/* Takes and returns with the lock, works without. */
static void empty(og_redis_link *link, og_redis_slot *slot)
{
    slot->state = OG_REDIS_SLOT_WORK;
    pthread_mutex_unlock(&link->lock);
    redisFree(slot->conn);
    pthread_mutex_lock(&link->lock);
    slot->conn = NULL;
    slot->state = OG_REDIS_SLOT_EMPTY;
}

/* Until there is work, or the next attempt is due where one is wanted. */
static void wait_work(og_redis_link *link, int is_wanted)
{
    struct timespec at = { (time_t)apr_time_sec(link->retry_at),
                           (long)apr_time_usec(link->retry_at) * 1000 };

    if (is_wanted) {
        pthread_cond_timedwait(&link->work, &link->lock, &at);
    }
    else {
        pthread_cond_wait(&link->work, &link->lock);
    }
}

void *og_redis_connect_run(void *data)
{
    og_redis_link *link = data;

    apr_setup_signal_thread();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_mutex_lock(&link->lock);
    while (!link->stopping) {
        og_redis_slot *spent = og_redis_link_slot(link, OG_REDIS_SLOT_SPENT);
        og_redis_slot *free = og_redis_link_slot(link, OG_REDIS_SLOT_EMPTY);

        if (spent) {
            empty(link, spent);
        }
        else if (free && og_clock_mono() >= link->retry_at) {
            fill(link, free);
        }
        else {
            wait_work(link, free != NULL);
        }
    }
    pthread_mutex_unlock(&link->lock);
    return NULL;
}
