/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  idem_table.h
 * @brief Keys and their answers in one bounded block
 *
 * Pure. Layout of the block, offsets and numbers only; all but the blocks, of
 * IDEM_TABLE_BLOCK bytes each, are words of 8 bytes:
 *
 *   idem_table | buckets[slots] | heap[slots] | next[blocks] | idem_slot[slots] | blocks
 *
 * Slots and blocks are counted from 1, 0 is none. A key's slot hangs in the chain of its bucket;
 * its answer is a chain of blocks, linked by next[]. What is free is a chain, too. The heap has
 * each slot that is used by when it is due: a running one to be looked at, any other to be dropped.
 *
 * A key that runs has blocks promised for its answer, so that finish never fails for want of room:
 * begin refuses where slots, or blocks that are neither used nor promised, are short. Nothing is
 * dropped before its time.
 *
 * A table of another kind holds answers that somebody else keeps, remembered for haste alone: there
 * is no claim in it, and what is due first makes room. The two kinds never share a table.
 *
 * Everything here runs under the owner's lock. Each change is one committed turn of the journal;
 * idem_table_repair(), for the next holder after EOWNERDEAD, undoes the one that is not. Bounds of
 * a call: IDEM_TABLE_TURNS slots that are due (to remember: one for each block of the answer), one
 * walk of a chain, one answer copied.
 */
#ifndef IDEM_TABLE_H
#define IDEM_TABLE_H

#include <apr_time.h>

#include "idem_journal.h"
#include "mod_idempotency.h"
#include "og_mac.h"

#define IDEM_TABLE_ID    OG_SHA256_LEN
#define IDEM_TABLE_BLOCK 256
#define IDEM_TABLE_TURNS 64

typedef enum { IDEM_FREE, IDEM_RUNNING, IDEM_DONE, IDEM_DOUBT } idem_state;

typedef struct idem_slot {
    unsigned char id[IDEM_TABLE_ID];
    unsigned char fingerprint[IDEMPOTENCY_FINGERPRINT_LEN];
    apr_uint64_t token[IDEMPOTENCY_TOKEN_LEN / 8];
    apr_uint64_t state;   /* idem_state */
    apr_uint64_t next;    /* in its bucket's chain, or in that of the free ones */
    apr_uint64_t heap_at; /* its place in the heap, from 1 */
    apr_uint64_t owner;   /* running: who runs it, for idem_alive */
    apr_uint64_t due;     /* monotonic microseconds */
    apr_uint64_t begun;
    apr_uint64_t lease, ttl;
    apr_uint64_t first, last, count; /* blocks of the answer; running: count is promised */
    apr_uint64_t length;  /* bytes of the answer */
} idem_slot;

typedef struct idem_table {
    idem_journal journal; /* first: it counts from here */
    apr_uint64_t slots, blocks;
    apr_uint64_t used;                     /* slots, also the heap's size */
    apr_uint64_t free_slot, free_block;    /* chains */
    apr_uint64_t free_blocks, promised;
} idem_table;

/** Whether whoever is named by this number still lives: asked under the lock, so it must not
 * block. */
typedef int idem_alive(apr_uint64_t owner);

/** What begin() needs to know. */
typedef struct idem_ask {
    unsigned char id[IDEM_TABLE_ID]; /* of idem_table_identify() */
    const idempotency_claim *claim;
    apr_uint64_t owner; /* who runs it */
    apr_time_t now;     /* monotonic */
    idem_alive *alive;
} idem_ask;

/**
 * What a key is known by: a hash of who and key under a seed, so that nobody picks keys of one
 * bucket (B35). org, user and key of the claim count.
 * @return 1, or 0 for a key that is too long, or when OpenSSL fails
 */
int idem_table_identify(unsigned char id[IDEM_TABLE_ID], const unsigned char seed[OG_SHA256_LEN],
                        const idempotency_claim *claim);

apr_size_t idem_table_bytes(apr_uint64_t slots, apr_uint64_t blocks);

/** Make an empty table in block (8-byte aligned, zeroed). */
idem_table *idem_table_init(void *block, apr_uint64_t slots, apr_uint64_t blocks);

/**
 * @param slot  IDEMPOTENCY_DONE: where idem_table_answer() reads, as long as the lock is held
 * @return APR_SUCCESS and *verdict, or APR_ENOSPC: no room for a new key
 */
apr_status_t idem_table_begin(idem_table *table, const idem_ask *ask, idempotency_verdict *verdict,
                              const idem_slot **slot);

/** Copy slot->length bytes. */
void idem_table_answer(const idem_table *table, const idem_slot *slot, char *out);

/** The three ends of a claim. @return APR_SUCCESS; APR_NOTFOUND when the key does not run under
 * this token; APR_EINVAL for an answer longer than what begin() was told */
apr_status_t idem_table_finish(idem_table *table, const idem_ask *ask, const char *answer,
                               apr_size_t len);
apr_status_t idem_table_doubt(idem_table *table, const idem_ask *ask);
apr_status_t idem_table_release(idem_table *table, const idem_ask *ask);

/** Drop what is past its time, and put in doubt what nobody runs any more: IDEM_TABLE_TURNS slots
 * at most. @return 1 when more are due */
int idem_table_tidy(idem_table *table, apr_time_t now, idem_alive *alive);

/**
 * In a table of remembered answers: keep one until it is due, in place of one to another request
 * under its key; those that are due first make room. Of the ask id, fingerprint and now count.
 * @return APR_SUCCESS; APR_EINVAL for an answer that is empty, past its time, or larger than all
 */
apr_status_t idem_table_remember(idem_table *table, const idem_ask *ask, apr_time_t due,
                                 const char *answer, apr_size_t len);

/** @return where idem_table_answer() reads, as long as the lock is held; NULL: not remembered, or
 *          of another request */
const idem_slot *idem_table_recall(const idem_table *table, const idem_ask *ask);

int idem_table_repair(idem_table *table);

#endif /* IDEM_TABLE_H */
