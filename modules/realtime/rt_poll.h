/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One long poll, however it waits: what it asked for, what it found, and the reply. It belongs to
 * one thread at a time: the worker that reads or resumes its request, or, while it is claimed, the
 * notifier (rt_lot.c). */
#ifndef RT_POLL_H
#define RT_POLL_H

#include "rt.h"

typedef enum { RT_GAP_NONE = -1, RT_GAP_EVICTED, RT_GAP_EPOCH, RT_GAP_FOREIGN } rt_gap;

/* As replies, metrics and the log have it. */
const char *rt_gap_name(rt_gap gap);

typedef enum { RT_START_NOW, RT_START_EARLIEST, RT_START_CURSOR, RT_START_FOREIGN } rt_start;

/* What a look came to. */
typedef enum {
    RT_NOTHING, /* it waits on */
    RT_ANSWER,  /* events, or a gap */
    RT_FULL,    /* nothing, and no place to wait */
    RT_LATE,    /* the store was not to be had */
    RT_REPLACED,/* a newer poll of its tab is there */
    RT_GONE,    /* the client is */
    RT_REVOKED  /* the caller was revoked since it was verified */
} rt_look;

struct rt_poll {
    request_rec *r;
    const tenant_identity *caller;
    apr_uint64_t revision;     /* of the revocations that the caller passed */
    rt_query query;
    rt_place place;
    rt_start start;
    rt_cursor cursor;          /* last scanned */
    apr_uint64_t *found;       /* scratch for one scan: positions, newest first */
    rt_batch batch;            /* the reply's events */
    apr_uint32_t rate;         /* how fast the org published at the last look */
    int more;
    rt_gap gap;
    apr_uint64_t tab, ticket;  /* of Realtime-Tab (rt_tabs.h); 0: none, not drawn yet */
    rt_wait *wait;             /* while it is parked */
    int waiting;               /* counted among who waits for the org */
    apr_int64_t oldest;        /* monotonic: when the oldest event of the reply was published */
    apr_time_t began;
    apr_time_t until;          /* monotonic: when it is answered in any case */
    apr_time_t expires;        /* monotonic: when the token does */
    struct quota_lease *lease; /* its place among the caller's streams, or NULL */
    const char *failure;       /* for the log, or NULL */
};

/* Of a request that may yet be refused; it lives as long as that, and its connection has one at a
 * time. */
rt_poll *rt_poll_make(request_rec *r, const tenant_identity *caller);

/* Answer a request that is no poll. @return the handler's result */
int rt_poll_refuse(rt_poll *poll, const rest_problem *problem);

/* One look under the shard's lock. When there is nothing, and the poll is one that stays, it is
 * counted as waiting before the lock is let go. */
rt_look rt_poll_look(rt_poll *poll, int stay);

/* It waits no more. */
void rt_poll_stop_waiting(rt_poll *poll);

/* Whether it should gather what follows its first event, and until when. */
int rt_poll_lingers(const rt_poll *poll, rt_look look, apr_time_t *until);

/* Answer and log. The response is in the output filters afterwards. @return the handler's result */
int rt_poll_answer(rt_poll *poll, rt_look look);

/* rt_revoked.c: what a look came to, unless the caller was revoked: then nothing that it found is
 * for them. Cheap: mostly the comparison of two numbers. */
rt_look rt_revoked_look(rt_poll *poll, rt_look look);

/* Send what a poll of theirs is answered. @return the handler's result */
int rt_revoked_send(rt_poll *poll);

/* The answer has left, as far as the client takes it: count how long after its oldest event. */
void rt_poll_written(const rt_poll *poll);

/* rt_lease.c: its place among its caller's streams. @return the refusal, or NULL */
const rest_problem *rt_lease_take(rt_poll *poll);
void rt_lease_give(rt_poll *poll);
void rt_lease_register(apr_pool_t *p);

/* A number of milliseconds or seconds between two, both included. */
int rt_poll_jitter(int from, int to);

#endif /* RT_POLL_H */
