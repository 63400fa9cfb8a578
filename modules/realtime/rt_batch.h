/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_batch.h
 * @brief The events of one reply: bounded in number and bytes, of a coalesce key the newest alone
 *
 * Pure. An event is added in the order it was published, by who wants it: one that is not wanted is
 * never added, and so takes nobody's place. Adding copies nothing: the records belong to a ring
 * whose lock is held, and rt_batch_keep() copies, before that lock is let go, what is still to be
 * sent by then. Belongs to one thread at a time.
 */
#ifndef RT_BATCH_H
#define RT_BATCH_H

#include <apr_pools.h>
#include <apr_siphash.h>
#include <apr_tables.h>

#include "og_json.h"
#include "rt_ring.h"

/** Bounds of realtime.md: events of a reply, and bytes of their JSON. */
#define RT_LIMIT_MAX 200
#define RT_REPLY_MAX (256 * 1024)

typedef struct rt_batch {
    apr_pool_t *pool;
    int limit;                 /* events, up to RT_LIMIT_MAX */
    int coalesce;
    int count;                 /* events that are sent */
    int superseded;            /* events whose place a newer one of their coalesce key took */
    apr_size_t bytes;          /* of the JSON that is sent, a comma each */
    apr_array_header_t *items; /* in order, those superseded too; NULL before the first */
    int kept;                  /* items that are copies */
    const unsigned char *seed; /* of the index */
    apr_uint32_t *index;       /* item + 1 by coalesce key; NULL before the first key */
} rt_batch;

/** seed: of the hash of coalesce keys, random, and there as long as the batch. */
void rt_batch_init(rt_batch *batch, apr_pool_t *pool, int limit, int coalesce,
                   const unsigned char seed[APR_SIPHASH_KSIZE]);

/** @return 1, or 0 when the batch has no room for it */
int rt_batch_add(rt_batch *batch, const rt_record *record);

/** Copy what was added since the last time. */
void rt_batch_keep(rt_batch *batch);

/** The events that are sent, as elements of the array that is open. */
void rt_batch_write(const rt_batch *batch, og_jsonw *w);

#endif /* RT_BATCH_H */
