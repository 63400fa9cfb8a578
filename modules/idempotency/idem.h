/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/idempotency: what its files share. */
#ifndef IDEM_H
#define IDEM_H

#include "idem_janitor.h"
#include "mod_idempotency.h"
#include "og_log.h"
#include "rest_problem.h"

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <util_filter.h>

extern module AP_MODULE_DECLARE_DATA idempotency_module;
APLOG_USE_MODULE(idempotency);

/* idem_config.c */

typedef enum { IDEM_OFF, IDEM_OPTIONAL, IDEM_REQUIRED } idem_mode;

typedef struct idem_dir_conf {
    int mode;                        /* Idempotency: idem_mode or OG_UNSET */
    apr_interval_time_t ttl;         /* IdempotencyTTL */
    apr_interval_time_t lease;       /* IdempotencyLease */
    int retry;                       /* IdempotencyInDoubt: 0 refuse, 1 retry, OG_UNSET */
    apr_interval_time_t retry_pause; /* its second argument */
    apr_int64_t max_body;            /* IdempotencyMaxBody */
    apr_int64_t max_answer;          /* IdempotencyMaxAnswer */
} idem_dir_conf;

typedef struct idem_server_conf {
    const char *store;               /* IdempotencyStore */
    apr_int64_t memory;              /* IdempotencyMemory */
    apr_int64_t remember;            /* IdempotencyRemember; 0: off */
} idem_server_conf;

extern const command_rec idem_cmds[];
void *idem_dir_create(apr_pool_t *p, char *dir);
void *idem_dir_merge(apr_pool_t *p, void *basev, void *addv);
void *idem_server_create(apr_pool_t *p, server_rec *s);
void *idem_server_merge(apr_pool_t *p, void *basev, void *addv);
void idem_config_register(apr_pool_t *p);

/* The location's, defaults filled in. */
void idem_dir(const request_rec *r, idem_dir_conf *conf);

/* The main server's, likewise; there from the end of the configuration on. */
const idem_server_conf *idem_conf(void);

/* Whether any location has keys. */
int idem_used(void);

/* The largest IdempotencyMaxAnswer of any location. */
apr_int64_t idem_largest_answer(void);

/* idem_key.c: whose key, checked before a byte of the body is read */

/* A body that was read and not given to the handler yet; in the request's pool. */
typedef struct idem_body {
    const char *at;
    apr_size_t left;
} idem_body;

/* What is known of a request with a key. From its pool; only its own thread touches it. */
typedef struct idem_request {
    idem_dir_conf conf;
    idempotency_claim claim; /* org, user, key from the start; the rest when it is claimed */
    idem_body *body;         /* NULL: not read yet */
    int running;             /* the claim is this request's, and not ended */
    idem_watch *watch;
} idem_request;

void idem_key_register(apr_pool_t *p);

/* Of this request or of one that was redirected here; NULL: it has no key that counts. */
idem_request *idem_request_of(const request_rec *r);

/* idem_fingerprint.c */

/* Read the body, take the fingerprint, and have the handler read the same bytes. 1, or 0 and
 * *problem. */
int idem_fingerprint_take(request_rec *r, idem_request *own, rest_problem *problem);
void idem_fingerprint_register(apr_pool_t *p);

/* idem_store.c: the store that IdempotencyStore names */

void idem_store_register(apr_pool_t *p);

/* Claim a key. 1 and *found, or 0 and *problem where the store does not answer. */
int idem_store_begin(request_rec *r, idem_request *own, idempotency_found *found,
                     rest_problem *problem);

/* The ends of a claim; of several the first counts. What the store does not take is repeated by the
 * janitor. */
void idem_store_finish(request_rec *r, idem_request *own, const char *answer, apr_size_t len);
void idem_store_doubt(request_rec *r, idem_request *own);
void idem_store_release(request_rec *r, idem_request *own);

/* A store said what it was not given. */
void idem_store_untrue(request_rec *r, rest_problem *problem);

/* idem_store_shm.c: the store "shm" */

void idem_store_shm_register(apr_pool_t *p);

/* Largest IdempotencyMaxAnswer for an IdempotencyMemory. */
apr_int64_t idem_store_shm_answer_max(apr_int64_t memory);

/* idem_recall.c: answers that others keep, remembered */

void idem_recall_register(apr_pool_t *p);

/* idem_owner.c: which children live */

typedef struct idem_owner idem_owner;
apr_size_t idem_owner_size(void);
void idem_owner_init(idem_owner *owners);
void idem_owner_attach(idem_owner *owners);
void idem_owner_register(apr_pool_t *p);

/* This child's number, never the same again; 0: there is none for it. */
apr_uint64_t idem_owner_self(void);

/* Whether the child of a number lives. Does not block. */
int idem_owner_alive(apr_uint64_t owner);

/* idem_replay.c: the handler hook, and the filters that keep the answer */

void idem_replay_register(apr_pool_t *p);

#endif /* IDEM_H */
