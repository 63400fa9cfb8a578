/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/quota: what its httpd-side files share. */
#ifndef QUOTA_H
#define QUOTA_H

#include "mod_quota.h"
#include "mod_tenant.h"
#include "og_log.h"
#include "quota_policy.h"
#include "quota_streams.h"
#include "quota_table.h"

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <pthread.h>
#include <stdatomic.h>

extern module AP_MODULE_DECLARE_DATA quota_module;
APLOG_USE_MODULE(quota);

/* quota_config.c */

/* QuotaClass, besides the classes themselves */
#define QUOTA_CLASS_AUTO QUOTA_CLASSES
#define QUOTA_CLASS_NONE (QUOTA_CLASSES + 1)

typedef struct quota_server_conf {
    const char *store;      /* QuotaStore; NULL: unset */
    apr_int64_t table_size; /* QuotaTableSize */
} quota_server_conf;

/* pool: pconf, or a request's when it is merged there. Read-only. */
typedef struct quota_dir_conf {
    int enabled;                           /* QuotaEnable */
    int dry_run;                           /* QuotaDryRun */
    int class;                             /* QuotaClass: quota_class, …_AUTO, …_NONE */
    const quota_rate *policies[QUOTA_CELLS]; /* QuotaPolicy; NULL: unset */
} quota_dir_conf;

extern const command_rec quota_cmds[];
void *quota_server_create(apr_pool_t *p, server_rec *s);
void *quota_server_merge(apr_pool_t *p, void *basev, void *addv);
void *quota_dir_create(apr_pool_t *p, char *dir);
void *quota_dir_merge(apr_pool_t *p, void *basev, void *addv);
const quota_dir_conf *quota_dir(const request_rec *r);
void quota_config_register(apr_pool_t *p);

/* What holds in a field of the table here; NULL: no limit. */
const quota_rate *quota_rate_of(const quota_dir_conf *conf, int cell);

/* The main server's, with defaults filled in; there from post_config on. */
const quota_server_conf *quota_conf(void);

/* quota_segment.c: the shared memory and its locks */

#define QUOTA_SHARDS 64

/* Who holds his lock lives; whose lock can be had is gone. */
typedef struct quota_owner {
    pthread_mutex_t lock;
    atomic_int used;  /* under lock: streams may be counted here */
    atomic_int held;  /* leases; more than there are where a death came between two counts */
} quota_owner;

/* Counters of all children since the segment was made. */
typedef struct quota_counters {
    atomic_ullong allowed, refused, dry, given_back, overflowed, fallbacks, undecided;
    atomic_ullong streams_refused;
} quota_counters;

void quota_segment_register(apr_pool_t *p);

/* Keyed (B35), so that nobody can choose neighbours. */
apr_uint64_t quota_segment_hash(const void *data, apr_size_t len);

/* A key's shard. */
static inline int quota_shard_of(apr_uint64_t key)
{
    return (int)(key % QUOTA_SHARDS);
}

/* 1: held. 0: not to be had in time. Several are taken in ascending order. */
int quota_segment_lock(int shard, apr_interval_time_t within);
void quota_segment_unlock(int shard);

/* Under the shard's lock. */
quota_table *quota_segment_table(int shard);
quota_streams *quota_segment_streams(int shard);

int quota_segment_children(void);
quota_owner *quota_segment_owner(int child);
quota_counters *quota_segment_counters(void);

/* There was no place for so many of a request's charges: counted, said once a start or reload. */
void quota_segment_overflowed(int count, const char *subject);

/* Whether it is time to look for children that are gone: once a second, in one of them all. */
int quota_segment_reap_now(apr_time_t now);

/* quota_children.c: which child counts where, and what becomes of it when it dies */

/* This child's number, or -1: there is none for it, and its streams are not counted. */
int quota_child(void);

/* Forget the streams of children that are gone. */
void quota_children_reap(void);
void quota_children_register(apr_pool_t *p);

/* quota_shm.c: the buckets of this host, also the store "shm" */
extern const quota_store quota_shm;

/* quota_store.c: QuotaStore, and this host's buckets where it does not answer */

/* 1: decided, and *by says whose buckets did. 0: nobody's were to be had. */
int quota_decide(const quota_charge *charges, int n, quota_verdict *verdicts,
                 const quota_store **by);
void quota_put_back(const quota_store *by, const quota_charge *charges, int n);
void quota_store_register(apr_pool_t *p);

/* quota_caller.c: who is charged */

/* One that a request is charged to. */
typedef struct quota_subject {
    quota_scope scope;
    char name[QUOTA_SUBJECT_SIZE];
} quota_subject;

/* User and organisation where mod_tenant verified one, else the network. @return how many */
int quota_caller(const request_rec *r, quota_subject subjects[QUOTA_CHARGES_MAX]);
void quota_caller_register(apr_pool_t *p);

/* quota_charge.c: what a request is charged, and when */

/* pool: the request's, over its internal redirects */
typedef struct quota_state {
    int n;
    quota_charge charges[QUOTA_CHARGES_MAX];
    quota_verdict verdicts[QUOTA_CHARGES_MAX];
    const char *types[QUOTA_CHARGES_MAX]; /* "WRITE_USER" */
    const quota_store *by;                /* who decided; NULL: nothing is charged */
    apr_time_t at;                        /* monotonic: when */
    int tightest;                         /* of the charges */
    int refused;                          /* the 429 is the answer */
} quota_state;

/* Of a request that was charged, or refused; else NULL. */
quota_state *quota_state_of(const request_rec *r);

/* As the optional function. */
void quota_give_back(request_rec *r);

/* The request note "quota", for logs: what was decided. */
void quota_note(request_rec *r, const char *verdict);
void quota_charge_register(apr_pool_t *p);

/* quota_reply.c: what clients are told */

/* The 429; a body that follows is neither awaited nor drained. @return OK */
int quota_refuse(request_rec *r, quota_state *state);

/* Seconds to wait, and a sentence that says so. */
int quota_seconds(apr_interval_time_t span);
const char *quota_wait_sentence(apr_pool_t *p, const char *what, int seconds);
const char *quota_details(apr_pool_t *p, const char *type, int seconds, apr_int64_t remaining);
void quota_reply_register(apr_pool_t *p);

/* quota_lease.c: streams */

/* Whether requests of a handler are streams. */
int quota_is_stream(const char *handler);
void quota_lease_register(apr_pool_t *p);

/* quota_counts.c: numbers for others, and for mod_status */
void quota_counts_register(apr_pool_t *p);

#endif /* QUOTA_H */
