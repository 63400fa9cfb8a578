/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/edge: what its httpd-side files share.
 *
 * A GET's way (docs/how-a-response-is-cached.md): fixups make its edge_request and hold back what
 * the client said of versions and ranges; mod_cache answers or lets it pass; on the way out
 * EDGE_ETAG, EDGE_COMPRESS and EDGE_FACE make the representation that mod_cache keeps,
 * EDGE_CONDITIONS answers what was held back, and mod_tenant's egress hook says what this client
 * may do with it. */
#ifndef EDGE_H
#define EDGE_H

#include "edge_coding.h"
#include "edge_family.h"
#include "edge_loopback.h"
#include "edge_selector.h"
#include "mod_edge.h"
#include "mod_purge.h"
#include "mod_tenant.h"
#include "og_log.h"

#include <ap_expr.h>
#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

extern module AP_MODULE_DECLARE_DATA edge_module;
APLOG_USE_MODULE(edge);

/* edge_config.c */

/* pool: pconf, or a request's when it is merged there. Read-only. */
typedef struct edge_dir_conf {
    const edge_family *family;  /* EdgeCache; NULL: unset, &edge_family_off: off */
    int etag;                   /* EdgeETag; OG_UNSET: where there is a family */
    int compress;               /* EdgeCompress */
    apr_int64_t compress_min;   /* EdgeCompressMinSize */
    apr_int64_t max_body;       /* EdgeMaxBody */
    int fields;                 /* EdgeFields */
    const char *envelope;       /* EdgeFieldsEnvelope; NULL: unset, "": lists have none */
    apr_int64_t fields_max;     /* EdgeFieldsMaxBody */
    apr_array_header_t *tags;   /* EdgeTag: of ap_expr_info_t *; NULL: none */
    apr_array_header_t *purges; /* EdgePurge: likewise */
} edge_dir_conf;

/* The main server's: what holds for the whole of httpd. pool: pconf */
typedef struct edge_server_conf {
    const char *name;                   /* each server's own, in keys; edge_key.c */
    apr_int64_t cache_size;             /* EdgeCacheSize */
    apr_int64_t max_entry;              /* EdgeCacheMaxEntry */
    apr_int64_t hot_size;               /* EdgeCacheHotSize */
    apr_interval_time_t collapse_wait;  /* EdgeCollapseWait */
    const edge_loopback *selftest;      /* EdgeSelfTest; NULL: none */
    apr_interval_time_t selftest_every; /* likewise */
} edge_server_conf;

#define EDGE_COMPRESS_MIN_DEFAULT 1024

extern const edge_family edge_family_off;
extern const command_rec edge_cmds[];
void *edge_dir_create(apr_pool_t *p, char *dir);
void *edge_dir_merge(apr_pool_t *p, void *basev, void *addv);
const edge_dir_conf *edge_dir(const request_rec *r);
void *edge_server_create(apr_pool_t *p, server_rec *s);
void *edge_server_merge(apr_pool_t *p, void *basev, void *addv);

/* The main server's, defaults filled in. */
const edge_server_conf *edge_conf(void);

/* The family of a location, NULL where nothing is said of caching. */
const edge_family *edge_family_of(const edge_dir_conf *conf);

/* Whether responses there get a validator, and conditions are answered. */
int edge_validates(const edge_dir_conf *conf);

/* EdgeMaxBody, or its default. */
apr_int64_t edge_max_body(const edge_dir_conf *conf);

/* EdgeFieldsMaxBody, likewise. */
apr_int64_t edge_fields_max(const edge_dir_conf *conf);

/* EdgeFieldsEnvelope, likewise; NULL: lists have none. */
const char *edge_envelope(const edge_dir_conf *conf);
void edge_config_register(apr_pool_t *p);

/* edge_check.c: what of mod_cache's and mod_tenant's configuration contradicts ours */

/* EdgeCache stands in this server. */
void edge_check_note(cmd_parms *cmd);

/* A directive stands somewhere that means nothing without mod_purge. */
void edge_check_note_purger(cmd_parms *cmd);
void edge_check_register(apr_pool_t *p);

/* edge_peers.c: what other modules offer; defaults where they are not loaded */

/* Who was verified; a tenant of the self-test's own, where that asks; or NULL. */
const tenant_identity *edge_identity(const request_rec *r);
int edge_trusted(const request_rec *r);
int edge_tag_ok(const char *tag);
apr_uint64_t edge_epoch(const char *tag);
void edge_move(const char *const *tags, int n);
void edge_peers_register(apr_pool_t *p);

/* edge_request.c: what is known of one request of a client */

/* pool: the client's request's; one over its internal redirects */
typedef struct edge_request {
    const edge_dir_conf *conf; /* NULL: no more than tags so far */
    const edge_family *family; /* NULL: nothing is said of caching */
    const char *key;           /* what mod_cache keeps it under; NULL: nothing */
    apr_size_t key_len;        /* … what of it stands before the epochs (EDGE_KEY_EPOCH) */
    apr_uint64_t epoch;        /* of all its tags, as they were before anybody looked at the data */
    apr_array_header_t *tags;  /* const char *: surrogate keys */
    apr_size_t tag_bytes;
    int untagged;              /* a tag is missing: nobody keeps the answer */
    int is_write;              /* as the client sent it: a redirect to a page of errors is a GET */

    edge_coding coding;        /* that the client likes best of those that can be made */
    int no_identity;           /* it refuses one that is not encoded */

    /* what the client sent and its own response will be held against; NULL: it did not */
    int is_held;
    const char *none_match, *modified_since, *match, *unmodified_since, *range, *if_range;
    int is_head;               /* fetched as GET */
    const char *kept;          /* the tag of what mod_cache keeps and is too old; NULL: none */
    int is_vague;              /* … whose Last-Modified does not tell it from what came after it */

    const char *refusal;       /* the origin's own Cache-Control, where that keeps others from it */
    int was_stale;             /* something was kept, but too old or purged */
    int collapsed;             /* another request's answer was waited for */
    void *building;            /* edge_collapse.c: it builds what others wait for */
    apr_pool_t *pool;          /* … until this one ends */
} edge_request;

/* Of the client's request that r is, or was redirected from; NULL: r is none that we look at. */
edge_request *edge_request_of(const request_rec *r);

/* The record of r itself, which is nobody's before our fixups: made when it is not there. */
edge_request *edge_request_begin(request_rec *r);

/* Whether mod_cache will see the answer: behind its handler, which comes first. */
int edge_is_saved(const request_rec *r);

/* Put back what was held back. Harmless when called twice. */
void edge_release(request_rec *r, edge_request *own);
void edge_request_register(apr_pool_t *p);

/* edge_key.c: what mod_cache keeps things under */

/* Characters of the epochs at a key's end. */
#define EDGE_KEY_EPOCH (1 + 2 * sizeof(apr_uint64_t))

/* Set own->key, or leave it NULL: nobody is verified. */
void edge_key_make(request_rec *r, edge_request *own);

/* TENANT.PERMISSIONS of a caller; NULL: of nobody. */
const char *edge_key_partition(apr_pool_t *p, const tenant_identity *identity);
void edge_key_register(apr_pool_t *p);

/* edge_tags.c: what answers show, and what writes outdate */

/* Add one tag, which is copied. */
void edge_tags_add(request_rec *r, edge_request *own, const char *tag);

/* Those of EdgeTag; then the epoch of all so far. */
void edge_tags_begin(request_rec *r, edge_request *own);

/* Surrogate-Key's value, NULL without tags. */
const char *edge_tags_text(apr_pool_t *p, const edge_request *own);
void edge_tags_register(apr_pool_t *p);

/* edge_expr.c: %{query:name} and %{tenant:org} in expressions */
void edge_expr_register(apr_pool_t *p);

/* edge_miss.c: what the origin is asked when the cache has no answer */

/* Whether a field of a request that has a key is kept from the origin. */
int edge_miss_drops(const edge_request *own, const char *name);
void edge_miss_register(apr_pool_t *p);

/* edge_etag.c, edge_compress.c, edge_conditions.c: the filters */

/* Put in for this request. */
void edge_etag_insert(request_rec *r);
void edge_etag_register(apr_pool_t *p);

/* The coding that a response of so many bytes (-1: not known) gets. */
edge_coding edge_compress_coding(request_rec *r, const edge_request *own, apr_off_t length);
unsigned edge_compress_available(void);
void edge_compress_insert(request_rec *r);
void edge_compress_register(apr_pool_t *p);

/* All data out of a brigade; what else it holds stays. */
void edge_forget_data(apr_bucket_brigade *bb);
void edge_conditions_insert(request_rec *r);
void edge_conditions_register(apr_pool_t *p);

/* edge_fields.c: fields= and expand= of a request */

/* pool: the client's request's */
typedef struct edge_fields {
    const edge_selection *selection;
    /* the client's, while a backend is asked; NULL: it is in place */
    const char *accept_encoding, *range, *if_range;
} edge_fields;

/* Of the client's request, from fixups (APR_HOOK_MIDDLE) on; NULL: it asks for nothing in
 * particular, or nobody looks. */
edge_fields *edge_fields_of(const request_rec *r);

/* What it asks for as a text that is equal where that is; NULL likewise. */
const char *edge_fields_key(const request_rec *r);
void edge_fields_register(apr_pool_t *p);

/* edge_fields_filter.c: the filter that leaves the rest out */
void edge_fields_filter_register(apr_pool_t *p);

/* edge_face.c: Cache-Control, for mod_cache and for whoever is at the other end */
void edge_face_insert(request_rec *r);
void edge_face_register(apr_pool_t *p);

/* edge_status.c: Cache-Status (RFC 9211) */
const char *edge_status_text(request_rec *r, const edge_request *own);

/* edge_header.c: fields of a response, wherever a module put them */

const char *edge_header(const request_rec *r, const char *name);

/* A list, of whose lines edge_header() gives one. */
const char *edge_header_list(const request_rec *r, const char *name);
void edge_header_drop(request_rec *r, const char *name);
void edge_header_say(request_rec *r, const char *name, const char *value);

/* Add a member to a list, unless it is there. */
void edge_header_add(request_rec *r, const char *name, const char *member);

/* Take a member out of a list. */
void edge_header_less(request_rec *r, const char *name, const char *member);

/* edge_breaker.c: cross_tenant, and what else outlives a graceful restart */

#define EDGE_SECRET_LEN 32

typedef enum edge_selftest_result {
    EDGE_SELFTEST_OK,
    EDGE_SELFTEST_FAILED,
    EDGE_SELFTEST_CROSSED,
    EDGE_SELFTEST_RESULTS
} edge_selftest_result;

/* Whether nothing is to be looked up or kept any more. Any thread. */
int edge_breaker_is_open(void);

/* For good, in all processes. */
void edge_breaker_open(void);

/* Of this run of httpd: who knows it is one of its children. */
const unsigned char *edge_breaker_secret(void);
void edge_breaker_count(edge_selftest_result result);
apr_int64_t edge_breaker_counted(edge_selftest_result result);

/* 1 once a minute, in whichever process. now: og_clock_mono() */
int edge_breaker_may_warn(apr_time_t now);
void edge_breaker_register(apr_pool_t *p);

/* edge_canary.c: two tenants that there are not, and what they are answered; numbers from 0 */

#define EDGE_CANARIES 2

/* Of a request of the self-test's; NULL: it is none. */
const tenant_identity *edge_canary_identity(const request_rec *r);

/* The field by which tenant n asks, or somebody who guessed at the secret. */
const char *edge_canary_field(apr_pool_t *p, int n, int is_forged);

/* What is his alone, and the tag of it. The nonce is NULL where OpenSSL fails. */
const char *edge_canary_nonce(apr_pool_t *p, int n);
const char *edge_canary_tag(apr_pool_t *p, int n);

/* Tells runs of httpd apart, for a cache that outlives them; NULL where OpenSSL fails. */
const char *edge_canary_run(apr_pool_t *p);
void edge_canary_register(apr_pool_t *p);

/* edge_selftest.c: asks for it */
void edge_selftest_register(apr_pool_t *p);

#endif /* EDGE_H */
