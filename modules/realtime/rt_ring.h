/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_ring.h
 * @brief The events of many orgs in one bounded block: a ring, chained per (domain, org)
 *
 * Pure. Layout of the block, offsets only:
 *   rt_ring | rt_ring_slot[slots] | a bit a slot | data bytes
 * A record is rt_record and behind it type, id, coalesce key and JSON, padded to a multiple of
 * its header; none wraps. Positions count bytes ever written, so "still there" is one comparison:
 * at >= tail. Appending overwrites the oldest records of whichever org. Each record names its org's
 * one before it, by position and by id: a reader whose chain breaks knows whether it missed
 * something, and no eviction has to touch another org's slot. A slot that is taken or given back
 * keeps as its floor the newest id that it stood for. An org without a slot may have lost what is
 * below the highest floor of the few that it could have lived in: a reader who is behind that hears
 * of a gap.
 *
 * Everything here is called under the owner's lock. An append notes in ring->intent what it is
 * about to change, and clears intent.active last: that is the commit word. rt_ring_repair(), for
 * the next holder after EOWNERDEAD, rolls that one append back.
 */
#ifndef RT_RING_H
#define RT_RING_H

#include <apr_time.h>

#include "mod_realtime_lp.h"
#include "rt_burst.h"

#define RT_DOMAIN_SIZE 32 /* a domain's name with its NUL */

typedef struct rt_ring rt_ring;

typedef struct rt_record {
    apr_uint64_t id;       /* ascending over the whole ring, from 1 */
    apr_uint64_t prev;     /* position + 1 of the org's record before; 0: none */
    apr_uint64_t prev_id;  /* its id, or the newest id that the org may have lost before this one */
    apr_int64_t property;  /* 0: visible to the whole org */
    apr_time_t born;       /* monotonic */
    apr_uint32_t size;     /* whole record, padded */
    apr_uint32_t json_len;
    apr_uint16_t type_len, event_id_len, coalesce_len, unused;
} rt_record;

/** Whose events. domain is a NUL-terminated name below RT_DOMAIN_SIZE. */
typedef struct rt_ring_key {
    const char *domain;
    apr_int64_t org;
} rt_ring_key;

/** How much of an org's past is kept: RealtimeBufferSize, RealtimeEventTTL. */
typedef struct rt_ring_keep {
    int events;
    apr_interval_time_t ttl;
    apr_time_t now; /* monotonic */
} rt_ring_keep;

/** An event ready to store: json is the event as replies show it, serialised once. */
typedef struct rt_ring_event {
    apr_int64_t property;
    const char *type, *event_id, *coalesce, *json; /* coalesce may be NULL */
    apr_size_t json_len;
} rt_ring_event;

/** Bytes of a block of so many slots (a power of two) and data bytes (rounded down to whole
 * record headers in use). */
apr_size_t rt_ring_bytes(apr_uint32_t slots, apr_size_t data);

/** Make an empty ring in block (8-byte aligned). seed: random, hashes orgs to slots. */
rt_ring *rt_ring_init(void *block, apr_uint32_t slots, apr_size_t data, apr_uint64_t epoch,
                      const apr_uint64_t seed[2]);

apr_uint64_t rt_ring_epoch(const rt_ring *ring);
apr_uint64_t rt_ring_last_id(const rt_ring *ring); /**< what a cursor "now" holds */

/** How full it is. */
typedef struct rt_ring_usage {
    apr_uint64_t bytes, bytes_used;
    apr_uint64_t slots, slots_used; /**< orgs there is room for, and that have had an event */
    apr_uint64_t evicted;           /**< records overwritten so far */
} rt_ring_usage;

/** Adds to a sum. */
void rt_ring_use(const rt_ring *ring, rt_ring_usage *sum);

/**
 * Append.
 * @param id  of the record, or of the one that has this eventId already
 * @return APR_SUCCESS; APR_EEXIST for a duplicate inside what is kept; APR_EINVAL for a name that
 *         is too long; APR_ENOSPC for an event larger than a quarter of the ring
 */
apr_status_t rt_ring_append(rt_ring *ring, const rt_ring_key *key, const rt_ring_event *event,
                            const rt_ring_keep *keep, apr_uint64_t *id);

/**
 * Positions of the org's records behind an id, newest first.
 * @param at    room for keep->events positions
 * @param gap   set to 1 when an event behind the id is gone (or the id is ahead of the ring)
 * @return how many
 */
int rt_ring_scan(const rt_ring *ring, const rt_ring_key *key, apr_uint64_t after,
                 const rt_ring_keep *keep, apr_uint64_t *at, int *gap);

/**
 * A poll of the org looks: its slot is in use.
 * @param newest  the newest id that the org had or may have lost: a scan behind it finds nothing
 * @return events it published in the last second
 */
apr_uint32_t rt_ring_visit(rt_ring *ring, const rt_ring_key *key, const rt_ring_keep *keep,
                           apr_uint64_t *newest);

/**
 * Give back the slots of orgs that nobody published to or polled since before. One call looks at so
 * many slots, in multiples of 64; the next goes on where it stopped.
 * @return how many were given back
 */
apr_uint32_t rt_ring_give_back(rt_ring *ring, apr_uint32_t slots, apr_time_t before);

/** The record at a position that rt_ring_scan() gave under the same hold of the lock. */
const rt_record *rt_ring_record(const rt_ring *ring, apr_uint64_t at);

const char *rt_record_type(const rt_record *record); /**< type_len bytes, no NUL */
const char *rt_record_coalesce(const rt_record *record); /**< coalesce_len bytes, no NUL */
const char *rt_record_json(const rt_record *record); /**< json_len bytes, no NUL */

/** Roll back what a dead holder left half done. @return 1 when there was something */
int rt_ring_repair(rt_ring *ring);

#endif /* RT_RING_H */
