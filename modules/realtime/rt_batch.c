/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The events of one reply, see rt_batch.h. */
#include "rt_batch.h"

#include <apr_strings.h>
#include <string.h>

/* A power of two. Each entry is an event that is sent, at most RT_LIMIT_MAX: it never fills up. Its
 * hash is keyed: a look is taken under the ring's lock, and whoever could make keys that collide
 * would make all wait for as many comparisons (B35). */
#define INDEX 512

typedef struct item {
    const char *json;      /* NULL: superseded */
    const char *key;
    apr_uint32_t json_len;
    apr_uint32_t key_len;  /* 0: nothing takes its place */
} item;

void rt_batch_init(rt_batch *batch, apr_pool_t *pool, int limit, int coalesce,
                   const unsigned char seed[APR_SIPHASH_KSIZE])
{
    memset(batch, 0, sizeof(*batch));
    batch->pool = pool;
    batch->limit = limit;
    batch->coalesce = coalesce;
    batch->seed = seed;
}

static item *item_at(const rt_batch *batch, int n)
{
    return &APR_ARRAY_IDX(batch->items, n, item);
}

/* Where the index has, or would have, a coalesce key */
static apr_uint32_t *find(rt_batch *batch, const item *wanted)
{
    apr_uint64_t hash = apr_siphash24(wanted->key, wanted->key_len, batch->seed);
    apr_uint32_t *at;

    if (!batch->index) {
        batch->index = apr_pcalloc(batch->pool, INDEX * sizeof(*batch->index));
    }
    for (;; hash++) {
        at = &batch->index[hash % INDEX];
        if (!*at
            || (item_at(batch, (int)*at - 1)->key_len == wanted->key_len
                && !memcmp(item_at(batch, (int)*at - 1)->key, wanted->key, wanted->key_len))) {
            return at;
        }
    }
}

int rt_batch_add(rt_batch *batch, const rt_record *record)
{
    item added = { rt_record_json(record), rt_record_coalesce(record), record->json_len,
                   batch->coalesce ? record->coalesce_len : 0 };
    apr_uint32_t *place;
    item *older;
    int count;
    apr_size_t bytes;

    if (!batch->items) {
        batch->items = apr_array_make(batch->pool, 4, sizeof(item));
    }
    place = added.key_len ? find(batch, &added) : NULL;
    older = place && *place ? item_at(batch, (int)*place - 1) : NULL;
    count = batch->count - (older != NULL);
    bytes = batch->bytes - (older ? older->json_len + 1 : 0);
    if (count == batch->limit || (count && bytes + added.json_len > RT_REPLY_MAX)) {
        return 0;
    }
    if (older) {
        older->json = NULL;
        batch->superseded++;
    }
    APR_ARRAY_PUSH(batch->items, item) = added;
    if (place) {
        *place = (apr_uint32_t)batch->items->nelts;
    }
    batch->count = count + 1;
    batch->bytes = bytes + added.json_len + 1;
    return 1;
}

void rt_batch_keep(rt_batch *batch)
{
    for (; batch->items && batch->kept < batch->items->nelts; batch->kept++) {
        item *each = item_at(batch, batch->kept);

        if (each->json) {
            each->json = apr_pmemdup(batch->pool, each->json, each->json_len);
            each->key = apr_pmemdup(batch->pool, each->key, each->key_len);
        }
    }
}

void rt_batch_write(const rt_batch *batch, og_jsonw *w)
{
    int i;

    for (i = 0; batch->items && i < batch->items->nelts; i++) {
        const item *each = item_at(batch, i);

        if (each->json) {
            og_jsonw_raw(w, each->json, each->json_len);
        }
    }
}
