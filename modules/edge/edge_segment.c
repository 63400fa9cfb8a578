/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The shared memory of the storage "orgscale":
 *
 *     og_shm_head | sizes, seeds, counters | edge_builders | edge_store
 *
 * Made by the parent, kept over graceful restarts, inherited by the children. Another EdgeCacheSize
 * or EdgeCacheMaxEntry makes a new one, empty; children of the last generation go on with the old,
 * which nobody else reads. What each part's locks guard stands in its header; counters are atomic.
 * */
#include "edge.h"

#include "edge_storage.h"
#include "og_hooks.h"
#include "og_siphash.h"
#include "rest_retained.h"

#include <http_core.h>
#include <openssl/rand.h>

#define NAME   "orgscale-edge-cache"
#define MAGIC  0x65446745 /* "eDgE" */
#define LAYOUT 3

/* What the largest entry may have besides its body */
#define HEAD_MAX 16384

typedef struct segment {
    og_shm_head head;
    apr_int64_t cache_size, max_entry; /* the directives when it was made */
    unsigned char seeds[2][APR_SIPHASH_KSIZE];
    unsigned char secret[OG_SIPHASH_KEY]; /* of keys */
    edge_counters counters;
} segment;

/* Parent, then inherited: */
static segment *shared;
static edge_store *store;
static edge_builders *builders;

static apr_size_t aligned(apr_size_t size)
{
    return (size + 63) & ~(apr_size_t)63;
}

static char *builders_at(void)
{
    return (char *)shared + aligned(sizeof(segment));
}

static char *store_at(void)
{
    return builders_at() + aligned(edge_builders_bytes());
}

static int fill(const edge_server_conf *conf)
{
    if (RAND_bytes(shared->seeds[0], sizeof(shared->seeds)) != 1
        || RAND_bytes(shared->secret, sizeof(shared->secret)) != 1) {
        return 0;
    }
    og_hooks_seed(shared->seeds[0], sizeof(shared->seeds));
    og_hooks_seed(shared->secret, sizeof(shared->secret));
    shared->cache_size = conf->cache_size;
    shared->max_entry = conf->max_entry;
    return edge_builders_init(builders_at(), shared->seeds[0]) != NULL
           && edge_store_init(store_at(), (apr_size_t)conf->cache_size,
                              (apr_size_t)conf->max_entry + HEAD_MAX, shared->seeds[1]) != NULL;
}

/* Bytes of the one that fits: a size that differs from that of one that does not. */
static apr_size_t size_for(const edge_server_conf *conf)
{
    const segment *kept = (const segment *)rest_retained_find(NAME, MAGIC, LAYOUT);
    apr_size_t size = aligned(sizeof(segment)) + aligned(edge_builders_bytes())
                      + (apr_size_t)conf->cache_size;

    if (!kept) {
        return size;
    }
    if (kept->cache_size == conf->cache_size && kept->max_entry == conf->max_entry) {
        return (apr_size_t)kept->head.size;
    }
    return size == kept->head.size ? size + 4096 : size;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_size_t size;
    int is_new;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    size = size_for(edge_conf());
    shared = (segment *)rest_retained_segment(NAME, MAGIC, LAYOUT, size, &is_new);
    if (!shared || (is_new && !fill(edge_conf()))) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(1320)
                     "no shared memory of %" APR_SIZE_T_FMT " bytes (EdgeCacheSize)", size);
        return !OK;
    }
    builders = (edge_builders *)builders_at();
    store = (edge_store *)store_at();
    return OK;
}

edge_store *edge_segment_store(void)
{
    return store;
}

void edge_segment_key(unsigned char key[EDGE_STORE_KEY], const void *bytes, apr_size_t len)
{
    og_siphash(key, bytes, len, shared->secret);
}

edge_builders *edge_segment_builders(void)
{
    return builders;
}

edge_counters *edge_segment_counters(void)
{
    return &shared->counters;
}

void edge_segment_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
