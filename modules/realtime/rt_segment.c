/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The shared memory: counters, doorbells, and SHARDS stores with a lock each.
 *
 *     og_shm_head | seed, secret, counters | rt_bell[RT_CHILDREN] | shard 0 | shard 1 | …
 *     a shard: its lock | rt_interest | rt_tabs | rt_ring
 *
 * shard->lock guards interest, tabs and ring and nothing else; who inherits it from a dead holder
 * repairs the ring first. It is held for a few copies of memory, never across I/O or another lock.
 * Made by the parent, kept over graceful restarts, inherited by the children. */
#include "rt.h"

#include "og_clock.h"
#include "og_hooks.h"
#include "og_lock.h"
#include "rest_retained.h"

#include <apr_siphash.h>
#include <errno.h>
#include <http_core.h>
#include <openssl/rand.h>

#define SHARDS 16
#define MAGIC  0x72744c50 /* "rtLP" */
#define LAYOUT 12

/* Slots of a shard that one second of a child looks through for idle ones: some microseconds */
#define GIVE_BACK 256

/* A holder needs microseconds; one that was stopped is not waited for (F03) */
#define LOCK_WITHIN apr_time_from_msec(100)

typedef struct segment {
    og_shm_head head;
    apr_uint64_t memory;                   /* RealtimeBufferMemory when it was made */
    apr_uint64_t waiting;                  /* polls that could be parked by then */
    unsigned char seed[APR_SIPHASH_KSIZE]; /* of the hashes that place what clients name (B35) */
    unsigned char secret[RT_SECRET_LEN];   /* where RealtimeCursorSecret gives none */
    rt_counters counters;
} segment;

/* Parent, then inherited: */
static segment *shared;
static apr_size_t shards_at, shard_size, interest_at, tabs_at, ring_at;

static apr_size_t aligned(apr_size_t size)
{
    return (size + 63) & ~(apr_size_t)63;
}

static char *shard_of(int n)
{
    return (char *)shared + shards_at + (apr_size_t)n * shard_size;
}

/* A shard has room for its part of all polls that can be parked, and memory, of which a
 * sixty-fourth is spent on their tabs, an eighth on the orgs' slots, the rest on events. */
typedef struct shard_shape {
    apr_uint32_t buckets, tabs, slots;
    apr_size_t data;
} shard_shape;

static void plan(apr_size_t memory, apr_uint64_t waiting, shard_shape *shape)
{
    apr_size_t each = memory / SHARDS;
    apr_size_t tab = rt_tabs_bytes(2) - rt_tabs_bytes(1);
    apr_size_t slot = rt_ring_bytes(2, 0) - rt_ring_bytes(1, 0);

    /* orgs are spread over shards by chance: a few dozen may all be of one */
    shape->buckets = rt_interest_buckets(waiting / SHARDS + 32);
    for (shape->slots = 8; (shape->slots * 2) * slot <= each / 8; shape->slots *= 2) {
    }
    shape->tabs = (apr_uint32_t)(each / 64 / tab) + 1;
    shape->data = each - each / 64 - each / 8;
    interest_at = aligned(sizeof(pthread_mutex_t));
    tabs_at = aligned(interest_at + rt_interest_bytes(shape->buckets));
    ring_at = aligned(tabs_at + rt_tabs_bytes(shape->tabs));
    shard_size = aligned(ring_at + rt_ring_bytes(shape->slots, shape->data));
}

static int fill(const shard_shape *shape)
{
    apr_uint64_t random[3];
    int i;

    if (RAND_bytes(shared->seed, sizeof(shared->seed)) != 1
        || RAND_bytes(shared->secret, sizeof(shared->secret)) != 1) {
        return 0;
    }
    og_hooks_seed(shared->seed, sizeof(shared->seed));
    for (i = 0; i < SHARDS; i++) {
        /* the epoch is random, so that one of another life of the segment is not taken for ours */
        if (RAND_bytes((unsigned char *)random, sizeof(random)) != 1
            || og_lock_init((pthread_mutex_t *)shard_of(i)) != 0) {
            return 0;
        }
        og_hooks_seed((unsigned char *)(random + 1), 2 * sizeof(random[0]));
        rt_interest_init(shard_of(i) + interest_at, shape->buckets);
        rt_tabs_init(shard_of(i) + tabs_at, shape->tabs);
        rt_ring_init(shard_of(i) + ring_at, shape->slots, shape->data, random[0], random + 1);
    }
    return 1;
}

/* How much memory the store has. One that is there keeps its size: what moved to a new one would
 * hide from it what the children of the last generation still publish. */
static apr_size_t memory_of(const segment *kept, server_rec *s)
{
    apr_int64_t wanted = rt_conf()->buffer_memory;

    if (!kept || kept->memory == (apr_uint64_t)wanted) {
        return (apr_size_t)wanted;
    }
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1512)
                 "RealtimeBufferMemory: changing it from %" APR_UINT64_T_FMT " to %"
                 APR_INT64_T_FMT " bytes takes a stop and a start; a restart keeps the store",
                 kept->memory, wanted);
    return (apr_size_t)kept->memory;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_size_t bells_at = aligned(sizeof(segment)), size, memory;
    apr_uint64_t waiting = (apr_uint64_t)rt_places_get()->all;
    const segment *kept;
    shard_shape shape;
    int is_new;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    kept = (segment *)rest_retained_find("orgscale-realtime", MAGIC, LAYOUT);
    memory = memory_of(kept, s);
    waiting = kept ? kept->waiting : waiting;
    plan(memory, waiting, &shape);
    shards_at = aligned(bells_at + rt_bell_size());
    size = shards_at + SHARDS * shard_size;
    shared = (segment *)rest_retained_segment("orgscale-realtime", MAGIC, LAYOUT, size, &is_new);
    if (!shared || (is_new && !fill(&shape))) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(1500)
                     "no shared memory of %" APR_SIZE_T_FMT " bytes (RealtimeBufferMemory)", size);
        return !OK;
    }
    if (is_new) {
        shared->memory = memory;
        shared->waiting = waiting;
        rt_bell_init((rt_bell *)((char *)shared + bells_at));
    }
    rt_bell_attach((rt_bell *)((char *)shared + bells_at));
    return OK;
}

void rt_segment_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}

int rt_segment_place(rt_place *place, const char *domain, apr_int64_t org)
{
    apr_uint64_t pair[2];

    place->whose.domain = domain;
    place->whose.org = org;
    place->shard = rt_cursor_partition(org);
    pair[0] = apr_siphash24(domain, strlen(domain), shared->seed);
    pair[1] = (apr_uint64_t)org;
    place->key = apr_siphash24(pair, sizeof(pair), shared->seed) & ~RT_URGENT;
    place->key += !place->key; /* 0 would ring all */
    return place->shard >= 0;
}

apr_uint64_t rt_segment_tab(const rt_place *place, apr_int64_t user, const char *tab)
{
    apr_uint64_t parts[3];

    parts[0] = place->key;
    parts[1] = (apr_uint64_t)user;
    parts[2] = apr_siphash24(tab, strlen(tab), shared->seed);
    return apr_siphash24(parts, sizeof(parts), shared->seed) | RT_URGENT;
}

const unsigned char *rt_segment_seed(void)
{
    return shared->seed;
}

static int lock_within(int shard, rt_shard *locked, apr_interval_time_t within)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)shard_of(shard);
    int rc = og_lock_take(lock, within);

    locked->interest = (rt_interest *)(shard_of(shard) + interest_at);
    locked->tabs = (rt_tabs *)(shard_of(shard) + tabs_at);
    locked->ring = (rt_ring *)(shard_of(shard) + ring_at);
    if (rc == EOWNERDEAD) {
        rt_ring_repair(locked->ring);
        rc = og_lock_repaired(lock);
    }
    return rc == 0;
}

int rt_segment_lock(int shard, rt_shard *locked)
{
    return lock_within(shard, locked, LOCK_WITHIN);
}

void rt_segment_unlock(int shard)
{
    og_lock_give((pthread_mutex_t *)shard_of(shard));
}

int rt_segment_forget(int child)
{
    rt_shard locked;
    int i, all = 1;

    for (i = 0; i < SHARDS; i++) {
        if (!rt_segment_lock(i, &locked)) {
            all = 0;
            continue;
        }
        rt_interest_forget(locked.interest, child);
        rt_segment_unlock(i);
    }
    return all;
}

int rt_segment_recount(int shard, int child)
{
    rt_shard locked;

    if (!rt_segment_lock(shard, &locked)) {
        return 0;
    }
    rt_interest_recount(locked.interest, child, rt_waits_counted);
    rt_segment_unlock(shard);
    return 1;
}

void rt_segment_give_back(void)
{
    apr_interval_time_t idle = rt_conf()->idle_evict, ttl = rt_conf()->event_ttl;
    apr_time_t before = og_clock_mono() - (idle > ttl ? idle : ttl);
    apr_uint32_t given = 0;
    rt_shard locked;
    int i;

    for (i = 0; i < SHARDS; i++) {
        if (lock_within(i, &locked, 0)) { /* not waited for: a second later will do */
            given += rt_ring_give_back(locked.ring, GIVE_BACK, before);
            rt_segment_unlock(i);
        }
    }
    atomic_fetch_add(&shared->counters.given_back, given);
}

void rt_segment_keep(rt_ring_keep *keep)
{
    keep->events = (int)rt_conf()->buffer_size;
    keep->ttl = rt_conf()->event_ttl;
    keep->now = og_clock_mono();
}

static void bond_with(rt_cursor_bond *bond, const rt_place *place, const char *secret)
{
    bond->secret = secret ? (const unsigned char *)secret : shared->secret;
    bond->secret_len = RT_SECRET_LEN;
    bond->domain = place->whose.domain;
    bond->org = place->whose.org;
}

void rt_segment_bond(rt_cursor_bond *bond, const rt_place *place)
{
    bond_with(bond, place, rt_conf()->cursor_secret);
}

/* The segment's own secret last: it wrote what is older than the first RealtimeCursorSecret. */
rt_cursor_verdict rt_segment_read_cursor(rt_cursor *cursor, const char *text,
                                         const rt_place *place)
{
    const char *secrets[] = { rt_conf()->cursor_secret, rt_conf()->cursor_previous, NULL };
    rt_cursor_verdict verdict = RT_CURSOR_FOREIGN;
    rt_cursor_bond bond;
    int i;

    for (i = 0; i < 3 && verdict == RT_CURSOR_FOREIGN; i++) {
        if (secrets[i] || i == 2) {
            bond_with(&bond, place, secrets[i]);
            verdict = rt_cursor_read(cursor, text, strlen(text), &bond);
        }
    }
    return verdict;
}

rt_counters *rt_segment_counters(void)
{
    return &shared->counters;
}

int rt_segment_usage(rt_ring_usage *sum)
{
    rt_shard locked;
    int i;

    memset(sum, 0, sizeof(*sum));
    for (i = 0; i < SHARDS; i++) {
        if (!rt_segment_lock(i, &locked)) {
            return 0;
        }
        rt_ring_use(locked.ring, sum);
        rt_segment_unlock(i);
    }
    return 1;
}
