/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The epochs of tags: an array of counters in shared memory, of which a keyed hash of the tag
 * chooses one.
 *
 *     og_shm_head | size, seed | counter[size]
 *
 * No lock, no list of tags, nothing to repair: a move is one atomic addition, so it is whole
 * whenever its process dies, and seen by every process at once. Tags that share a counter are
 * purged together, which costs a revalidation and never serves anything outdated; with a million
 * counters one tag in a million shares with a given other. The hash is keyed, so that nobody can
 * choose whom he shares with (B35). Made by the parent, kept over graceful restarts, inherited by
 * the children: a counter that started anew could meet what was cached long ago, so a new array
 * starts each time at a random number. */
#include "purge.h"

#include "og_hooks.h"
#include "rest_retained.h"

#include <apr_siphash.h>
#include <http_core.h>
#include <openssl/rand.h>
#include <stdatomic.h>

#define NAME   "orgscale-purge"
#define MAGIC  0x70755247 /* "puRG" */
#define LAYOUT 1

typedef struct segment {
    og_shm_head head;
    apr_uint64_t size;                /* counters */
    apr_uint64_t start;               /* what an untouched counter stands for */
    unsigned char seed[APR_SIPHASH_KSIZE];
    unsigned char pad[16];
    _Atomic apr_uint64_t counters[];
} segment;

/* Parent, then inherited: */
static segment *shared;

static int fill(apr_int64_t size)
{
    if (RAND_bytes(shared->seed, sizeof(shared->seed)) != 1
        || RAND_bytes((unsigned char *)&shared->start, sizeof(shared->start)) != 1) {
        return 0;
    }
    og_hooks_seed(shared->seed, sizeof(shared->seed));
    shared->size = (apr_uint64_t)size;
    return 1;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    apr_int64_t wanted = purge_epochs_wanted(s);
    apr_size_t size = sizeof(segment) + (apr_size_t)wanted * sizeof(shared->counters[0]);
    const segment *kept;
    int is_new;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    /* children of the last generation go on moving theirs: one array until the server stops */
    kept = (const segment *)rest_retained_find(NAME, MAGIC, LAYOUT);
    if (kept && kept->size != (apr_uint64_t)wanted) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, OGLOGNO(1401)
                     "PurgeEpochs: changing it from %" APR_UINT64_T_FMT " to %" APR_INT64_T_FMT
                     " takes a stop and a start; a restart keeps the array", kept->size, wanted);
        wanted = (apr_int64_t)kept->size;
        size = (apr_size_t)kept->head.size;
    }
    shared = (segment *)rest_retained_segment(NAME, MAGIC, LAYOUT, size, &is_new);
    if (!shared || (is_new && !fill(wanted))) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, apr_get_os_error(), s, OGLOGNO(1400)
                     "no shared memory of %" APR_SIZE_T_FMT " bytes (PurgeEpochs)", size);
        return !OK;
    }
    return OK;
}

static int purge_tag_ok(const char *text)
{
    apr_size_t i;

    for (i = 0; text[i]; i++) {
        if (text[i] <= ' ' || text[i] >= 127 || text[i] == ',' || text[i] == '"'
            || i == PURGE_TAG_MAX) {
            return 0;
        }
    }
    return i > 0;
}

static _Atomic apr_uint64_t *counter_of(const char *tag)
{
    return &shared->counters[apr_siphash24(tag, strlen(tag), shared->seed) % shared->size];
}

static apr_uint64_t purge_epoch(const char *tag)
{
    return shared->start + atomic_load(counter_of(tag));
}

static void purge_move(const char *const *tags, int n)
{
    int i;

    for (i = 0; i < n; i++) {
        if (purge_tag_ok(tags[i])) {
            atomic_fetch_add(counter_of(tags[i]), 1);
        }
    }
}

void purge_epoch_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(purge_tag_ok);
    APR_REGISTER_OPTIONAL_FN(purge_epoch);
    APR_REGISTER_OPTIONAL_FN(purge_move);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
