/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Calls, and what a failure means for the others, see og_redis_link.h. link->lock guards the slots
 * and is never held across I/O; a borrower waits for it no longer than others copy a few words. */
#include "og_redis_link.h"

#include <http_log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "og_clock.h"
#include "og_log.h"
#include "og_redis_reply.h"
#include "og_thread.h"

/* The largest reply is an answer under an idempotency key: IdempotencyMaxAnswer ends at 1 MiB */
#define REPLY_MAX (2 * 1024 * 1024)

/* Up for so long: what comes then is another outage, and begins without a pause */
#define CALM (10 * APR_USEC_PER_SEC)

#define SAY_EVERY (60 * APR_USEC_PER_SEC)

#define PAUSE_MIN (50 * 1000)
#define PAUSE_MAX APR_USEC_PER_SEC

void og_redis_link_count(og_redis_link *link, og_redis_reason reason)
{
    atomic_fetch_add(&link->params.counts->ended[reason], 1);
}

apr_status_t og_redis_link_status(og_redis_reason reason)
{
    switch (reason) {
    case OG_REDIS_OK:
        return APR_SUCCESS;
    case OG_REDIS_DOWN:
        return APR_ECONNREFUSED;
    case OG_REDIS_CROWDED:
    case OG_REDIS_TIMEOUT:
        return APR_TIMEUP;
    case OG_REDIS_LOST:
        return APR_ECONNRESET;
    case OG_REDIS_OOM:
        return APR_ENOSPC;
    default:
        return APR_EGENERAL;
    }
}

og_redis_slot *og_redis_link_slot(og_redis_link *link, og_redis_slot_state state)
{
    int i;

    for (i = 0; i < link->params.max; i++) {
        if (link->slots[i].state == state) {
            return &link->slots[i];
        }
    }
    return NULL;
}

/* Half of the pause to one and a half of it, so that children and hosts do not come all at once */
void og_redis_link_postpone(og_redis_link *link)
{
    apr_interval_time_t pause = PAUSE_MIN << (link->attempts < 8 ? link->attempts : 8);

    pause = pause > PAUSE_MAX ? PAUSE_MAX : pause;
    link->attempts++;
    link->retry_at = og_clock_mono() + pause / 2 + rand_r(&link->seed) % pause;
}

int og_redis_link_shut(og_redis_link *link)
{
    apr_time_t now = og_clock_mono();
    int i, is_new = !link->down;

    for (i = 0; i < link->params.max; i++) {
        if (link->slots[i].state == OG_REDIS_SLOT_IDLE) {
            link->slots[i].state = OG_REDIS_SLOT_SPENT;
        }
    }
    if (is_new) {
        if (now - link->since > CALM) {
            link->attempts = 0;
            link->retry_at = now;
        }
        else {
            og_redis_link_postpone(link);
        }
        link->down = 1;
        link->since = now;
        link->failures = 0;
        pthread_cond_broadcast(&link->freed); /* who waits is told at once */
    }
    pthread_cond_signal(&link->work);
    return is_new;
}

void og_redis_link_say_down(og_redis_link *link, og_redis_reason reason, const char *who)
{
    atomic_fetch_add(&link->params.counts->went_down, 1);
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, link->s,
                 OGLOGNO(2100) "Redis is not there (%s, %s): nobody waits for it until it is back "
                               "(RedisServer)",
                 who, og_redis_reply_name(reason));
}

static int wait_freed(og_redis_link *link, apr_time_t until)
{
    struct timespec at = { (time_t)apr_time_sec(until), (long)apr_time_usec(until) * 1000 };

    return pthread_cond_timedwait(&link->freed, &link->lock, &at) == 0;
}

/* An end that was no answer: one more in a row. Under the lock. @return 1: the link went down
 * by it */
static int fail(og_redis_link *link)
{
    return ++link->failures >= OG_REDIS_FAILURES && og_redis_link_shut(link);
}

/* Nothing to borrow by the deadline, and nobody has anything: the connector waits for a server that
 * hangs. That is no better than a call without an answer. Under the lock. */
static int fail_to_borrow(og_redis_link *link)
{
    return !og_redis_link_slot(link, OG_REDIS_SLOT_BUSY) && fail(link);
}

static og_redis_reason borrow(og_redis_link *link, apr_time_t deadline, og_redis_slot **slot)
{
    og_redis_reason reason = OG_REDIS_OK;
    int is_late = 0, say = 0;

    *slot = NULL;
    pthread_mutex_lock(&link->lock);
    while (!link->down && !link->stopping
           && !(*slot = og_redis_link_slot(link, OG_REDIS_SLOT_IDLE)) && !is_late) {
        is_late = !wait_freed(link, deadline); /* and one last look */
    }
    if (*slot) {
        (*slot)->state = OG_REDIS_SLOT_BUSY;
    }
    else {
        reason = link->down || link->stopping ? OG_REDIS_DOWN : OG_REDIS_CROWDED;
        say = reason == OG_REDIS_CROWDED && fail_to_borrow(link);
    }
    pthread_mutex_unlock(&link->lock);
    if (say) {
        og_redis_link_say_down(link, OG_REDIS_TIMEOUT, "no connection in time");
    }
    return reason;
}

static void spend(og_redis_link *link, og_redis_slot *slot)
{
    pthread_mutex_lock(&link->lock);
    slot->state = OG_REDIS_SLOT_SPENT;
    pthread_cond_signal(&link->work);
    pthread_mutex_unlock(&link->lock);
}

/* A connection that is there and has no end, or somebody else's reply, waiting in it. */
static og_redis_reason borrow_sound(og_redis_link *link, apr_time_t deadline, og_redis_slot **slot)
{
    og_redis_reason reason;

    while ((reason = borrow(link, deadline, slot)) == OG_REDIS_OK
           && !og_redis_wire_quiet((*slot)->conn)) {
        spend(link, *slot);
    }
    return reason;
}

/* What an end says about the server and the connection */
static int is_unanswered(og_redis_reason reason)
{
    return reason == OG_REDIS_TIMEOUT || reason == OG_REDIS_LOST || reason == OG_REDIS_PROTOCOL;
}

/* Not one to ask: another may be the primary, or this one later (F20). Other errors are answers:
 * the next command may be one that it takes, and they keep nobody waiting. */
static int is_wrong_server(og_redis_reason reason)
{
    return reason == OG_REDIS_READONLY || reason == OG_REDIS_LOADING || reason == OG_REDIS_NOAUTH
           || reason == OG_REDIS_MASTERDOWN;
}

/* An error that takes the link not down has a line a minute of its own */
static void say_refused(og_redis_link *link, og_redis_reason reason, const redisReply *reply)
{
    long long now = og_clock_mono(), before = atomic_load(&link->said[reason]);

    if (before && now - before < SAY_EVERY) {
        return;
    }
    if (atomic_compare_exchange_strong(&link->said[reason], &before, now)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, link->s,
                     OGLOGNO(2103) "Redis refuses: %.160s (RedisServer)", reply->str);
    }
}

/* Give the connection back, or have it closed. */
static void settle(og_redis_link *link, og_redis_slot *slot, og_redis_reason reason)
{
    int is_bad = is_unanswered(reason), is_wrong = is_wrong_server(reason), say;

    pthread_mutex_lock(&link->lock);
    if (!is_bad) {
        link->failures = 0;
    }
    if (is_bad || is_wrong || link->down || link->stopping) {
        slot->state = OG_REDIS_SLOT_SPENT;
        pthread_cond_signal(&link->work);
    }
    else {
        slot->state = OG_REDIS_SLOT_IDLE;
        pthread_cond_signal(&link->freed);
    }
    say = is_wrong ? og_redis_link_shut(link) : is_bad && fail(link);
    pthread_mutex_unlock(&link->lock);
    if (say) {
        og_redis_link_say_down(link, reason, "in a call");
    }
}

og_redis_reason og_redis_link_ask(og_redis_link *link, const og_redis_command *command,
                                  apr_time_t deadline, redisReply **reply)
{
    apr_time_t latest = og_clock_mono() + link->params.timeout;
    og_redis_patience patience = { latest < deadline ? latest : deadline, REPLY_MAX, -1 };
    og_redis_slot *slot = NULL;
    og_redis_reason reason = borrow_sound(link, patience.deadline, &slot);

    *reply = NULL;
    if (reason == OG_REDIS_OK) {
        reason = og_redis_wire_ask(slot->conn, command, &patience, reply);
        if (reason == OG_REDIS_OK && command->is_sound
            && !command->is_sound(*reply, command->keys)) {
            reason = OG_REDIS_PROTOCOL;
            freeReplyObject(*reply);
            *reply = NULL;
        }
        settle(link, slot, reason);
        if (*reply && reason != OG_REDIS_OK && reason != OG_REDIS_NOSCRIPT
            && !is_wrong_server(reason)) {
            say_refused(link, reason, *reply);
        }
    }
    og_redis_link_count(link, reason);
    return reason;
}

/* The child ends. A resolver that hangs is cancelled rather than waited for. */
static apr_status_t stop(void *data)
{
    og_redis_link *link = data;
    apr_uint64_t one = 1;
    int i;

    pthread_mutex_lock(&link->lock);
    link->stopping = 1;
    pthread_cond_broadcast(&link->freed);
    pthread_cond_signal(&link->work);
    pthread_mutex_unlock(&link->lock);
    if (write(link->stop_fd, &one, sizeof(one)) < 0) {
        return APR_EGENERAL; /* an eventfd takes its first write */
    }
    pthread_cancel(link->connector); /* acts where og_redis_address.c allows it only */
    pthread_join(link->connector, NULL);
    /* one still BUSY belongs to its thread; one in WORK was being opened when its thread ended */
    for (i = 0; i < link->params.max; i++) {
        if (link->slots[i].state != OG_REDIS_SLOT_BUSY && link->slots[i].conn) {
            redisFree(link->slots[i].conn);
            link->slots[i].conn = NULL;
        }
    }
    close(link->stop_fd);
    return APR_SUCCESS;
}

apr_status_t og_redis_link_create(og_redis_link **out, const og_redis_params *params,
                                  apr_pool_t *p, server_rec *s)
{
    og_redis_link *link = apr_pcalloc(p, sizeof(*link));
    apr_status_t rv;

    link->params = *params;
    link->s = s;
    link->slots = apr_pcalloc(p, sizeof(*link->slots) * (apr_size_t)params->max);
    link->since = og_clock_mono() - 2 * CALM;
    link->seed = (unsigned int)link->since ^ (unsigned int)getpid();
    link->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&link->lock, NULL);
    pthread_condattr_init(&link->clock);
    pthread_condattr_setclock(&link->clock, CLOCK_MONOTONIC);
    pthread_cond_init(&link->work, &link->clock);
    pthread_cond_init(&link->freed, &link->clock);
    rv = link->stop_fd < 0 ? apr_get_os_error()
                           : og_thread_start(&link->connector, og_redis_connect_run, link);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     OGLOGNO(2101) "no thread for connections to Redis: to this child it is down "
                                   "(ulimit -u, ulimit -n, TasksMax)");
        return rv;
    }
    apr_pool_cleanup_register(p, link, stop, apr_pool_cleanup_null);
    *out = link;
    return APR_SUCCESS;
}
