/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Answers that another store keeps, remembered on this host so that a replay need not ask it:
 * IdempotencyRemember, and the optional functions of mod_idempotency.h. Nothing in here claims a
 * key, and the keys that mod_idempotency itself guards are in other memory: what is forgotten, or
 * was never remembered, costs its asker the way to the store and nothing else.
 *
 *     og_shm_head | memory, seed | idem_shards.h
 *
 * Made by the parent, inherited by the children, gone with a stop of the server. Locks: those of
 * the shards. */
#include "idem.h"

#include "idem_shards.h"
#include "og_clock.h"
#include "og_hooks.h"
#include "rest_retained.h"

#include <http_core.h>
#include <openssl/rand.h>

#define NAME   "orgscale-idempotency-recall"
#define MAGIC  0x6f676972 /* "ogir" */
#define LAYOUT 1

/* A holder needs microseconds; one that was stopped is not waited for (F03) */
#define LOCK_WITHIN apr_time_from_msec(100)

/* Most answers are no longer */
#define ROOM 2048

/* Larger ones are not worth the many that would make room, under one lock */
#define ANSWER_MAX (64 * 1024)

typedef struct segment {
    og_shm_head head;
    apr_uint64_t memory;                /* IdempotencyRemember when it was made */
    unsigned char seed[OG_SHA256_LEN];  /* of the ids */
} segment;

/* parent, then inherited; NULL: nothing is remembered */
static segment *shared;
static idem_shards shards;

/* How much memory there is. What is there keeps its size, or its memory would never be given back:
 * children of before still use it. */
static apr_int64_t memory_of(server_rec *s)
{
    const segment *kept = (segment *)rest_retained_find(NAME, MAGIC, LAYOUT);

    if (!kept || kept->memory == (apr_uint64_t)idem_conf()->remember) {
        return idem_conf()->remember;
    }
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1211)
                 "IdempotencyRemember: changing it from %" APR_UINT64_T_FMT " to %" APR_INT64_T_FMT
                 " bytes takes a stop and a start; a restart keeps what is remembered",
                 kept->memory, idem_conf()->remember);
    return (apr_int64_t)kept->memory;
}

static int fill(apr_int64_t memory)
{
    shared->memory = (apr_uint64_t)memory;
    if (RAND_bytes(shared->seed, sizeof(shared->seed)) != 1) {
        return 0;
    }
    og_hooks_seed(shared->seed, sizeof(shared->seed));
    return idem_shards_make(&shards);
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_size_t shards_at = idem_shards_aligned(sizeof(segment)), size;
    apr_int64_t memory;
    int is_new;

    shared = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG || !idem_conf()->remember) {
        return OK;
    }
    memory = memory_of(s);
    idem_shards_plan(&shards, memory);
    size = shards_at + idem_shards_bytes(&shards);
    shared = (segment *)rest_retained_segment(NAME, MAGIC, LAYOUT, size, &is_new);
    if (shared) {
        shards.at = (char *)shared + shards_at;
    }
    if (!shared || (is_new && !fill(memory))) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(1212)
                     "no shared memory of %" APR_SIZE_T_FMT " bytes (IdempotencyRemember)", size);
        return !OK;
    }
    return OK;
}

/* @return the key's shard, or -1: nothing is remembered */
static int identify(idem_ask *ask, const idempotency_claim *claim)
{
    memset(ask, 0, sizeof(*ask));
    ask->claim = claim;
    ask->now = og_clock_mono();
    return shared && idem_table_identify(ask->id, shared->seed, claim) ? idem_shards_of(ask->id)
                                                                       : -1;
}

static void idempotency_remember(const idempotency_claim *claim, const char *answer, apr_size_t len,
                                 apr_time_t until)
{
    idem_table *table;
    idem_ask ask;
    int shard = identify(&ask, claim);

    if (shard >= 0 && len <= ANSWER_MAX
        && idem_shards_take(&shards, shard, LOCK_WITHIN, &table) == APR_SUCCESS) {
        idem_table_remember(table, &ask, until, answer, len);
        idem_shards_give(&shards, shard);
    }
}

/* One look. size is the room for an answer: nothing is allocated under the lock. @return the bytes
 * of the answer, which is copied when there is room; 0: there is none */
static apr_size_t look(int shard, const idem_ask *ask, char *answer, apr_size_t size)
{
    const idem_slot *slot;
    idem_table *table;
    apr_size_t len = 0;

    if (idem_shards_take(&shards, shard, LOCK_WITHIN, &table) != APR_SUCCESS) {
        return 0;
    }
    slot = idem_table_recall(table, ask);
    if (slot) {
        len = slot->length;
        if (len <= size) {
            idem_table_answer(table, slot, answer);
        }
    }
    idem_shards_give(&shards, shard);
    return len;
}

static int idempotency_recall(const idempotency_claim *claim, apr_pool_t *p,
                              idempotency_found *found)
{
    apr_size_t room, size = ROOM;
    idem_ask ask;
    int shard = identify(&ask, claim);
    char *answer;

    if (shard < 0) {
        return 0;
    }
    do {
        room = size;
        answer = apr_palloc(p, room);
        size = look(shard, &ask, answer, room);
    } while (size > room);
    if (size) {
        found->verdict = IDEMPOTENCY_DONE;
        found->answer = answer;
        found->answer_len = size;
    }
    return size > 0;
}

void idem_recall_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    APR_REGISTER_OPTIONAL_FN(idempotency_remember);
    APR_REGISTER_OPTIONAL_FN(idempotency_recall);
}
