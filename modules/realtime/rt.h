/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/realtime: what its files share. */
#ifndef RT_H
#define RT_H

#include "mod_realtime_lp.h"
#include "mod_tenant.h"
#include "og_histogram.h"
#include "og_json.h"
#include "og_log.h"
#include "rest_problem.h"
#include "rt_batch.h"
#include "rt_cursor.h"
#include "rt_interest.h"
#include "rt_ring.h"
#include "rt_tabs.h"

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <pthread.h>
#include <stdatomic.h>

extern module AP_MODULE_DECLARE_DATA realtime_lp_module;
APLOG_USE_MODULE(realtime_lp);

/* Bounds of realtime.md */
#define RT_LINGER_MAX  5000
#define RT_DOMAINS_MAX 16

/* RealtimeCursorSecret, or what a segment makes itself */
#define RT_SECRET_LEN 32

/* rt_config.c */

typedef enum { RT_PARK_AUTO, RT_PARK_WAITIO, RT_PARK_CONDVAR, RT_PARK_OWNED } rt_park;

typedef struct rt_server_conf {
    apr_int64_t buffer_size;         /* RealtimeBufferSize */
    apr_int64_t buffer_memory;       /* RealtimeBufferMemory */
    apr_interval_time_t event_ttl;   /* RealtimeEventTTL */
    apr_interval_time_t idle_evict;  /* RealtimeIdleEvict */
    apr_int64_t max_waiters;         /* RealtimeMaxWaiters */
    apr_int64_t max_parked;          /* RealtimeMaxParked */
    const char *cursor_secret;       /* RealtimeCursorSecret: RT_SECRET_LEN bytes, or NULL */
    const char *cursor_previous;     /* its second file, likewise: read, never written with */
    int park;                        /* RealtimePark: OG_UNSET, or an rt_park */
} rt_server_conf;

typedef struct rt_dir_conf {
    const char *domain;              /* RealtimeDomain */
    apr_interval_time_t poll_timeout;/* RealtimePollTimeout */
    apr_int64_t log_idle;            /* RealtimeLogIdle */
    int coalesce;                    /* RealtimeCoalesce */
    int legacy;                      /* RealtimeLegacy */
    const rt_burst_tiers *linger;    /* RealtimeLinger */
} rt_dir_conf;

extern const command_rec rt_cmds[];
void *rt_server_create(apr_pool_t *p, server_rec *s);
void *rt_server_merge(apr_pool_t *p, void *basev, void *addv);
void *rt_dir_create(apr_pool_t *p, char *dir);
void *rt_dir_merge(apr_pool_t *p, void *basev, void *addv);
const rt_dir_conf *rt_dir(const request_rec *r);
const rt_burst_tiers *rt_dir_linger(const request_rec *r);
void rt_config_register(apr_pool_t *p);

/* The main server's, with defaults filled in; there from post_config on. */
const rt_server_conf *rt_conf(void);

/* Whether RealtimeDomain names it anywhere. */
int rt_domain_known(const char *domain);

/* How many domains there are. */
int rt_domains(void);

/* The longest RealtimePollTimeout of a server's locations; 0: none is known. */
apr_interval_time_t rt_config_longest_poll(const server_rec *s);

/* rt_places.c: how polls are parked, and how many there is room for */

typedef struct rt_places {
    int waitio;       /* without a thread each: the MPM watches their sockets, or */
    int owned;        /* … the notifier */
    int a_child;      /* polls that a child parks */
    int in_threads;   /* … of which so many in a thread each */
    int streams;      /* … of which so many over HTTP/2 */
    apr_int64_t all;  /* polls that all children can */
    int threads, children, server_limit, factor, files; /* what these were counted from */
} rt_places;

const rt_places *rt_places_get(void);
void rt_places_count(const rt_server_conf *conf, apr_pool_t *p);
void rt_places_register(apr_pool_t *p);

/* How long the MPM lets a poll of this server wait: longer it closes the connection. */
apr_interval_time_t rt_places_longest(const server_rec *s);

/* The domains that are named, by number from 0; NULL beyond the last. */
const char *rt_domain_at(int n);

/* rt_segment.c: the shared memory and who may touch what in it */

/* In a key that is rung: there is more than news, and who lingers is to look as well. Keys of tabs
 * have it always, those of orgs when somebody was revoked. */
#define RT_URGENT (APR_UINT64_C(1) << 63)

/* Where an org of a domain lives. */
typedef struct rt_place {
    int shard;         /* its partition (decisions.md 27) */
    apr_uint64_t key;  /* keyed hash of both, without RT_URGENT, not 0: whom to ring */
    rt_ring_key whose;
} rt_place;

/* A shard that is locked. */
typedef struct rt_shard {
    rt_ring *ring;
    rt_interest *interest;
    rt_tabs *tabs;
} rt_shard;

/* Counters of all children since the segment was made. */
typedef struct rt_counters {
    atomic_ullong published, duplicates, late, too_large;
    atomic_ullong polls, delivered, superseded, gaps[3];
    atomic_ullong pacing, gone, replaced, given_back, revoked;
    og_histogram wake; /* microseconds from publish to write */
} rt_counters;

void rt_segment_register(apr_pool_t *p);

/* 1, or 0 when OpenSSL fails. domain lives as long as the place. */
int rt_segment_place(rt_place *place, const char *domain, apr_int64_t org);

/* What a browser tab of a user of the place is known by: never 0. */
apr_uint64_t rt_segment_tab(const rt_place *place, apr_int64_t user, const char *tab);

/* Of keyed hashes, as long as the process lives: nobody outside knows which keys collide. */
const unsigned char *rt_segment_seed(void);

/* Lock a shard: 1, or 0 when the lock was not to be had in time. */
int rt_segment_lock(int shard, rt_shard *locked);
void rt_segment_unlock(int shard);

/* A child is gone: its polls wait no more. 1, or 0 when a lock was not to be had in time. */
int rt_segment_forget(int child);

/* Count a child's polls that wait in a shard anew, in that child. 1, or 0 without the lock. */
int rt_segment_recount(int shard, int child);

/* Notifier: give back buffers that nobody published to or polled for RealtimeIdleEvict. Each call
 * looks at some; no lock is waited for. */
void rt_segment_give_back(void);

void rt_segment_keep(rt_ring_keep *keep);

/* What a cursor of this place is written with. */
void rt_segment_bond(rt_cursor_bond *bond, const rt_place *place);

/* rt_cursor_read() under each secret that may have written it. */
rt_cursor_verdict rt_segment_read_cursor(rt_cursor *cursor, const char *text,
                                         const rt_place *place);
rt_counters *rt_segment_counters(void);

/* How full the stores are, one after the other: 1, or 0 when a lock was not to be had in time. */
int rt_segment_usage(rt_ring_usage *sum);

/* rt_bell.c: doorbells, one a child */

/* This child's number, or -1 when all are taken: its polls look for themselves. */
int rt_bell_child(void);

/* What is written to when it is rung; of a child that has one. */
int rt_bell_fd(void);

/* Have this child's notifier look around. */
void rt_bell_nudge(void);

/* Ring the children that have polls waiting for an entry. Without any shard's lock. */
void rt_bell_ring(apr_uint32_t children, apr_uint64_t key);

/* A poll of this shard waits no more but could not say so: the notifier will, as soon as it can. */
void rt_bell_owe(int shard);

/* Polls parked in all children. */
apr_int64_t rt_bell_parked_total(void);
void rt_bell_parked(int change, int in_thread);

/* What a child has parked: 1, or 0 where there is none of that number. */
typedef struct rt_bell_parking {
    int pid, waitio, condvar;
} rt_bell_parking;

int rt_bell_look(int child, rt_bell_parking *parking);

typedef struct rt_bell rt_bell;
apr_size_t rt_bell_size(void);
void rt_bell_init(rt_bell *bells);
void rt_bell_attach(rt_bell *bells);
void rt_bell_register(apr_pool_t *p);

typedef struct rt_poll rt_poll; /* rt_poll.h */

/* rt_waits.c: who waits in this child */

/* A poll that waits, however it does. */
typedef struct rt_wait {
    struct rt_wait *next, **link;   /* under the table's lock */
    struct rt_wait *tab_next, **tab_link;
    apr_uint64_t key;
    apr_uint64_t tab;               /* rt_segment_tab(); 0: none */
    atomic_int counted;             /* in the store's who-waits, too; changed by who has the poll */
    int in_thread;                  /* it holds one */
    /* There is news, or with urgent something to look at even for one that lingers; under the
     * table's lock, so it must not block */
    void (*ring)(struct rt_wait *, int urgent);
} rt_wait;

/* Join those who wait for wait->key and wait->tab; 0 where no more may be parked. */
int rt_waits_join(rt_wait *wait);
void rt_waits_leave(rt_wait *wait); /* harmless when it has left */
void rt_waits_part(rt_wait *wait);  /* the same under the table's lock */

/* Whether a poll is counted in who-waits: set under its shard's lock, cleared by its own thread. */
void rt_waits_count(rt_wait *wait, int counted);

/* This child's polls of a key that are. */
apr_uint16_t rt_waits_counted(apr_uint64_t key);

/* The bell rang for a key, of an org or of a tab; 0: for all. */
void rt_waits_ring(apr_uint64_t key);

/* The child goes: answer everybody now, and park nobody any more. */
void rt_waits_drain(void);
int rt_waits_draining(void);

/* The table's lock, which also guards how each poll waits. Taken behind a shard's lock or alone,
 * never held across I/O. */
void rt_waits_lock(void);
void rt_waits_unlock(void);
pthread_mutex_t *rt_waits_mutex(void); /* for conditions */

/* How many polls this child may park, connections between two polls included. */
void rt_waits_most(int most);

/* Under the table's lock: whether there is a place, and connections that take or leave one. */
int rt_waits_room(void);
void rt_waits_rest(int change);
void rt_waits_register(apr_pool_t *p);

/* rt_park_cond.c: a poll waits in its worker thread. @return what it came to (rt_look) */
int rt_park_cond(rt_poll *poll);
void rt_park_cond_register(apr_pool_t *p);

/* rt_park_waitio.c: the MPM watches the socket, and no thread waits */

/* A client that polls comes back on its connection: it is not to be closed when threads are few. */
void rt_waitio_expect(const conn_rec *c);

/* Where the connection keeps the poll that it is at, beside its own settings: a request's pool is
 * shorter by it, and one block of memory is enough for most. NULL: it has no such place. */
rt_poll *rt_waitio_room(const request_rec *r);

/* 1: the poll is taken, and its handler returns SUSPENDED. 0: not on this connection. */
int rt_waitio_takes(rt_poll *poll);

void rt_waitio_register(apr_pool_t *p);

/* rt_lot.c. Notifier: answer who was rung, whose time has come, or everybody when the child drains.
 * @return when it wants to be called again, monotonic */
apr_time_t rt_lot_turn(void);

/* rt_orphan.c: children whose parent was killed */

/* Notifier: whether the child should go on; drains it, and in the end ends it, when the parent is
 * gone. */
void rt_orphan_look(void);
void rt_orphan_register(apr_pool_t *p);

/* rt_stop.c: the end of a child is not held up by what it has parked */
void rt_stop_register(apr_pool_t *p);

/* rt_query.c: the parameters of a poll */

#define RT_TYPES_MAX 16

typedef struct rt_query {
    const char *cursor;                   /* as given; NULL: now */
    const apr_array_header_t *properties; /* of apr_int64_t; NULL: all that were granted */
    const char *types[RT_TYPES_MAX];      /* patterns */
    int type_count;                       /* 0: all */
    apr_interval_time_t wait, linger;
    apr_int64_t limit;
} rt_query;

/* 1, or 0 and *problem. */
int rt_query_read(request_rec *r, const tenant_identity *caller, rt_query *query,
                  rest_problem *problem);

/* Whether the caller may see, and asked for, an event. */
int rt_query_wants(const rt_query *query, const tenant_identity *caller, const rt_record *record);

/* rt_revoked.c: polls of callers who are revoked while they wait */
void rt_revoked_register(apr_pool_t *p);

/* rt_subscribe.c, rt_legacy.c, rt_publish.c, rt_metrics.c: the handlers */
void rt_subscribe_register(apr_pool_t *p);
void rt_legacy_register(apr_pool_t *p);
void rt_publish_register(apr_pool_t *p);

/* Answer a poll; one that may not wait is answered at once. @return the handler's result */
int rt_subscribe(request_rec *r, int may_wait);

/* Whether text is 1 to max digits, small letters, large ones where upper says so, and what is in
 * also. */
int rt_is_made_of(const char *text, apr_size_t max, const char *also, int upper);
void rt_metrics_register(apr_pool_t *p);

/* rt_caller.c: mod_tenant's word, NULL without one; and the answers that have no other home */
void rt_caller_register(apr_pool_t *p);
const tenant_identity *rt_caller(request_rec *r);
int rt_caller_missing(request_rec *r);
int rt_method_not_allowed(request_rec *r, const char *allow);

/* rt_data.c: an event's data as compact JSON */
void rt_data_write(og_jsonw *w, const json_t *value);

/* rt_log.c: P§1's lines */
void rt_log_poll(const rt_poll *poll);

#endif /* RT_H */
