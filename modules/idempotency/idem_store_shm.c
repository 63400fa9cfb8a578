/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The store "shm": keys of one host in shared memory, over all children and graceful restarts.
 *
 *     og_shm_head | seed | idem_owner[] | idem_shards.h
 *
 * Made by the parent, inherited by the children, gone with a stop of the server. Locks: those of
 * the shards. */
#include "idem.h"

#include "idem_shards.h"
#include "og_clock.h"
#include "og_hooks.h"
#include "rest_retained.h"

#include <ap_provider.h>
#include <apr_strings.h>
#include <http_core.h>
#include <openssl/rand.h>

#define NAME   "orgscale-idempotency"
#define MAGIC  0x6f676964 /* "ogid" */
#define LAYOUT 1

/* A holder needs microseconds; one that was stopped is not waited for (F03) */
#define LOCK_WITHIN apr_time_from_msec(100)

/* Most answers are no longer */
#define ROOM 2048

typedef struct segment {
    og_shm_head head;
    apr_uint64_t memory;                /* IdempotencyMemory when it was made */
    unsigned char seed[OG_SHA256_LEN];  /* of the ids */
} segment;

/* parent, then inherited: */
static segment *shared;
static idem_shards shards;

/* Four answers of the largest size may run at once in each shard. */
apr_int64_t idem_store_shm_answer_max(apr_int64_t memory)
{
    idem_shards planned;

    idem_shards_plan(&planned, memory);
    return (apr_int64_t)(planned.blocks * IDEM_TABLE_BLOCK / 4);
}

static int fill(apr_size_t owners_at)
{
    if (RAND_bytes(shared->seed, sizeof(shared->seed)) != 1) {
        return 0;
    }
    og_hooks_seed(shared->seed, sizeof(shared->seed));
    idem_owner_init((idem_owner *)((char *)shared + owners_at));
    return idem_shards_make(&shards);
}

/* How much memory the store has. One that is there keeps its size, or it would forget its keys. */
static apr_int64_t memory_of(server_rec *s)
{
    const segment *kept = (segment *)rest_retained_find(NAME, MAGIC, LAYOUT);

    if (!kept || kept->memory == (apr_uint64_t)idem_conf()->memory) {
        return idem_conf()->memory;
    }
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1202)
                 "IdempotencyMemory: changing it from %" APR_UINT64_T_FMT " to %" APR_INT64_T_FMT
                 " bytes takes a stop and a start; a restart keeps the store",
                 kept->memory, idem_conf()->memory);
    return (apr_int64_t)kept->memory;
}

static int check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_int64_t most = idem_store_shm_answer_max(idem_conf()->memory);

    if (idem_used() && !strcmp(idem_conf()->store, "shm") && idem_largest_answer() > most) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, OGLOGNO(1203)
                     "IdempotencyMaxAnswer: expected at most %" APR_INT64_T_FMT
                     " bytes for this IdempotencyMemory, not %" APR_INT64_T_FMT, most,
                     idem_largest_answer());
        return !OK;
    }
    return OK;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_size_t owners_at = idem_shards_aligned(sizeof(segment)), shards_at, size;
    apr_int64_t memory;
    int is_new;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG || !idem_used()
        || strcmp(idem_conf()->store, "shm") != 0) {
        return OK;
    }
    memory = memory_of(s);
    idem_shards_plan(&shards, memory);
    shards_at = idem_shards_aligned(owners_at + idem_owner_size());
    size = shards_at + idem_shards_bytes(&shards);
    shared = (segment *)rest_retained_segment(NAME, MAGIC, LAYOUT, size, &is_new);
    if (shared) {
        shards.at = (char *)shared + shards_at;
    }
    if (!shared || (is_new && !fill(owners_at))) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(1204)
                     "no shared memory of %" APR_SIZE_T_FMT " bytes (IdempotencyMemory)", size);
        return !OK;
    }
    if (is_new) {
        shared->memory = (apr_uint64_t)memory;
    }
    idem_owner_attach((idem_owner *)((char *)shared + owners_at));
    return OK;
}

/* @return the key's shard, or -1 */
static int identify(idem_ask *ask, const idempotency_claim *claim)
{
    memset(ask, 0, sizeof(*ask));
    ask->claim = claim;
    ask->owner = idem_owner_self();
    ask->now = og_clock_mono();
    ask->alive = idem_owner_alive;
    if (!shared || !ask->owner || !idem_table_identify(ask->id, shared->seed, claim)) {
        return -1;
    }
    return idem_shards_of(ask->id);
}

/* One look. *size is the room for an answer, and becomes what it needs where that is more: nothing
 * is allocated under the lock. */
static apr_status_t look(int shard, const idem_ask *ask, char *answer, apr_size_t *size,
                         idempotency_found *found)
{
    const idem_slot *slot;
    idem_table *table;
    apr_status_t rv = idem_shards_take(&shards, shard, LOCK_WITHIN, &table);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = idem_table_begin(table, ask, &found->verdict, &slot);
    if (rv == APR_SUCCESS && found->verdict == IDEMPOTENCY_DONE) {
        found->answer = answer;
        found->answer_len = slot->length;
        if (slot->length <= *size) {
            idem_table_answer(table, slot, answer);
        }
        *size = slot->length;
    }
    idem_shards_give(&shards, shard);
    return rv;
}

static apr_status_t begin(const idempotency_claim *claim, apr_time_t deadline, apr_pool_t *p,
                          idempotency_found *found)
{
    apr_size_t room, size = ROOM;
    apr_status_t rv;
    idem_ask ask;
    int shard = identify(&ask, claim);

    if (shard < 0) {
        return APR_EGENERAL;
    }
    do {
        room = size;
        rv = look(shard, &ask, apr_palloc(p, room), &size, found);
    } while (rv == APR_SUCCESS && size > room);
    return rv;
}

static apr_status_t finish(const idempotency_claim *claim, const char *answer, apr_size_t len,
                           apr_time_t deadline)
{
    apr_status_t rv;
    idem_table *table;
    idem_ask ask;
    int shard = identify(&ask, claim);

    /* a claim that is not kept is in doubt, and that lasts: worth waiting for */
    rv = shard < 0 ? APR_EGENERAL
                   : idem_shards_take(&shards, shard, deadline - ask.now, &table);
    if (rv == APR_SUCCESS) {
        rv = idem_table_finish(table, &ask, answer, len);
        idem_shards_give(&shards, shard);
    }
    return rv;
}

static apr_status_t end(const idempotency_claim *claim,
                        apr_status_t (*how)(idem_table *table, const idem_ask *ask))
{
    apr_status_t rv;
    idem_table *table;
    idem_ask ask;
    int shard = identify(&ask, claim);

    rv = shard < 0 ? APR_EGENERAL : idem_shards_take(&shards, shard, LOCK_WITHIN, &table);
    if (rv == APR_SUCCESS) {
        rv = how(table, &ask);
        idem_shards_give(&shards, shard);
    }
    return rv;
}

static apr_status_t doubt(const idempotency_claim *claim, apr_time_t deadline)
{
    return end(claim, idem_table_doubt);
}

static apr_status_t release(const idempotency_claim *claim, apr_time_t deadline)
{
    return end(claim, idem_table_release);
}

/* A few slots at a time, so that nobody waits long for the lock. */
static void tidy(apr_time_t deadline)
{
    idem_table *table;
    int i, more;

    for (i = 0; shared && i < IDEM_SHARDS; i++) {
        do {
            if (idem_shards_take(&shards, i, LOCK_WITHIN, &table) != APR_SUCCESS) {
                break;
            }
            more = idem_table_tidy(table, og_clock_mono(), idem_owner_alive);
            idem_shards_give(&shards, i);
        } while (more && og_clock_mono() < deadline);
    }
}

void idem_store_shm_register(apr_pool_t *p)
{
    static const idempotency_store store = { NULL, 0, begin, NULL, finish, doubt, release, tidy };

    ap_register_provider(p, IDEMPOTENCY_STORE_GROUP, "shm", IDEMPOTENCY_STORE_VERSION, &store);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_LAST);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
