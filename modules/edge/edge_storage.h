/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Private to modules/edge: mod_cache's storage "orgscale" (CacheEnable orgscale), its parts. */
#ifndef EDGE_STORAGE_H
#define EDGE_STORAGE_H

#include "edge_builders.h"
#include "edge_store.h"

#include <httpd.h>
#include <stdatomic.h>

/* edge_segment.c */

/* Since the segment was made, besides what edge_store counts */
typedef struct edge_counters {
    atomic_ullong hits;      /* answered from the cache, fresh */
    atomic_ullong stale;     /* … while another request asks the origin */
    atomic_ullong collapsed; /* hits that another request's answer was waited for */
    atomic_ullong misses;    /* the origin is asked: there is nothing, or it is too old */
    atomic_ullong outdated;  /* … or purged */
    atomic_ullong unawaited; /* somebody builds it, but the wait was over, or too many wait */
} edge_counters;

/* NULL before the configuration is complete. */
edge_store *edge_segment_store(void);
edge_builders *edge_segment_builders(void);
edge_counters *edge_segment_counters(void);

/* The key that stands for a text: nobody can make two texts of one key who does not know the
 * segment's secret, and by chance there are none (og_siphash.h). */
void edge_segment_key(unsigned char key[EDGE_STORE_KEY], const void *bytes, apr_size_t len);
void edge_segment_register(apr_pool_t *p);

/* edge_collapse.c: one request builds, the others wait for it */

struct edge_request;

/* Ask who builds a key's answer. MINE: this request does, until edge_collapse_end() or its end. */
edge_building edge_collapse_begin(request_rec *r, struct edge_request *own,
                                  const unsigned char key[EDGE_STORE_KEY], edge_build *build);

/* OTHERS: wait a round. @return 0 at once when it is too late for that, or when too many of this
 * child's threads wait already */
int edge_collapse_wait(const edge_build *build, apr_time_t until);

/* It is stored, or will not be. Harmless when it did not build. */
void edge_collapse_end(struct edge_request *own);

/* … will not be, nor the next one. */
void edge_collapse_refuse(struct edge_request *own);

/* Whether there is nothing to wait for: who asks builds, and others need not know. */
int edge_collapse_refused(const struct edge_request *own, const unsigned char key[EDGE_STORE_KEY]);

/* It is not known what would have become of it. */
void edge_collapse_give_up(struct edge_request *own);
void edge_collapse_register(apr_pool_t *p);

/* edge_head.c: what is kept of a response besides its body, as bytes */

/* Of a response; from then on in the clock's own terms (edge_head_open) */
typedef struct edge_head {
    apr_time_t date, request_time, response_time; /* wall clock, as mod_cache has them */
    apr_uint32_t status;
    apr_uint32_t fields; /* pairs of a name and a value behind it, each with its NUL */
} edge_head;

/* What a response of r would be kept with. @param revalidated  its fields are those that were kept,
 * some of them renewed */
struct iovec edge_head_pack(request_rec *r, const edge_head *head, int revalidated);

typedef struct edge_pair {
    const char *name, *value;
} edge_pair;

/* @return head->fields of them, pointing into bytes; NULL: these are no bytes
 * of edge_head_pack() */
const edge_pair *edge_head_unpack(apr_pool_t *p, const char *bytes, apr_size_t len,
                                   edge_head *head);

/* edge_recall.c: those fields on their way into an answer */

/* pool: the request's; r is NULL where nothing is withheld from mod_cache */
typedef struct edge_recall {
    request_rec *r;
    const edge_pair *fields;
    apr_uint32_t count;
    int before; /* fields of the answer that stand before them */
} edge_recall;

/* All of them, for mod_cache. */
apr_table_t *edge_recall_table(apr_pool_t *p, const edge_pair *fields, apr_uint32_t count);

/* Of a fresh answer: what mod_cache is to be told of them. */
apr_table_t *edge_recall_begin(edge_recall *recall, request_rec *r, const struct edge_request *own,
                               const edge_pair *fields, apr_uint32_t count);

/* The answer is sent: put into it what was withheld. */
void edge_recall_end(const edge_recall *recall);

/* edge_vary.c: requests that a response depends on (RFC 9110 12.5.5) */

/* The names that Vary has in r's answer, as bytes; none: of length 0.
 * @return 0 when it can't be kept: it has '*', or too much */
int edge_vary_names(request_rec *r, struct iovec *names);

/* The key under which the answer to a request such as r is kept. @return 0 when names are none */
int edge_vary_key(const request_rec *r, const unsigned char first[EDGE_STORE_KEY],
                  const char *names, apr_size_t len, unsigned char key[EDGE_STORE_KEY]);

/* edge_storage.c */
void edge_storage_register(apr_pool_t *p);

/* edge_counts.c: the storage in numbers, for mod_status */
void edge_counts_register(apr_pool_t *p);

#endif /* EDGE_STORAGE_H */
