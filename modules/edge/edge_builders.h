/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  edge_builders.h
 * @brief Who is making the answer for a key that is not in the cache: others can wait for it
 *
 * Pure. Layout, for shared memory:
 *
 *     edge_builders | group 0 | group 1 | …
 *     a group: its lock | marks
 *
 * A mark is a key, an epoch, and the process that builds. A group's robust lock guards its marks,
 * and is held for a look at them. Who waits sleeps on the mark's word (a futex: it wakes without a
 * lock, and a waiter that is killed leaves nothing behind). Every wait is timed, and none is longer
 * than EDGE_BUILDERS_ROUND: a builder that is killed wakes nobody, but who asks again finds it gone
 * and takes its mark over. The pid of one that is gone may be given to another process, so a mark
 * counts for EDGE_BUILDERS_LEASE at the most.
 *
 * Of an answer that is not kept there is nothing to wait for: a mark remembers that, until another
 * key takes it, but no longer than EDGE_BUILDERS_REFUSAL.
 */
#ifndef EDGE_BUILDERS_H
#define EDGE_BUILDERS_H

#include <apr_siphash.h>
#include <apr_time.h>

#define EDGE_BUILDERS_KEY     16
#define EDGE_BUILDERS_GROUPS  64
#define EDGE_BUILDERS_MARKS   16 /**< of a group */
#define EDGE_BUILDERS_ROUND   apr_time_from_msec(50)
#define EDGE_BUILDERS_LEASE   apr_time_from_sec(30)
#define EDGE_BUILDERS_REFUSAL apr_time_from_sec(10)

typedef struct edge_builders edge_builders;

typedef enum edge_building {
    EDGE_BUILDING_MINE,   /**< build it, and say when that is done */
    EDGE_BUILDING_OTHERS, /**< somebody does */
    EDGE_BUILDING_NOBODY  /**< no mark was to be had: whoever wants it builds it */
} edge_building;

/** A mark, as one caller knows it. */
typedef struct edge_build {
    apr_uint64_t ticket; /**< whose turn it is */
    apr_uint32_t group, mark;
    unsigned seen;       /**< OTHERS: the mark's word, which will have changed */
    apr_uint64_t turn;   /**< OTHERS: another number once a builder ended; the same when it was
                              killed or gave up, and its mark was taken over */
} edge_build;

apr_size_t edge_builders_bytes(void);

/** In a zeroed block, 64-byte aligned. @return NULL when a lock can't be made */
edge_builders *edge_builders_init(void *block, const unsigned char seed[APR_SIPHASH_KSIZE]);

/**
 * Ask who builds. Answers of another epoch are another thing.
 * @param now  monotonic
 */
edge_building edge_builders_begin(edge_builders *builders,
                                  const unsigned char key[EDGE_BUILDERS_KEY], apr_uint64_t epoch,
                                  apr_time_t now, edge_build *build);

/** OTHERS: sleep until that builder is done, or so long, or a round. Then ask again. */
void edge_builders_wait(edge_builders *builders, const edge_build *build,
                        apr_interval_time_t within);

/** MINE: it is stored, or will not be. Wakes who waits. Harmless when the mark was taken over. */
void edge_builders_end(edge_builders *builders, const edge_build *build);

/**
 * The same, of what is refused to be kept, and likely will be the next time.
 * @param now  monotonic
 */
void edge_builders_refuse(edge_builders *builders, const edge_build *build, apr_time_t now);

/** Whether the key's answer was refused lately: nobody is to wait for another one. */
int edge_builders_refused(edge_builders *builders, const unsigned char key[EDGE_BUILDERS_KEY],
                          apr_uint64_t epoch, apr_time_t now);

/** MINE: nobody knows what would have become of it. Wakes who waits, of whom one is the next. */
void edge_builders_give_up(edge_builders *builders, const edge_build *build);

#endif /* EDGE_BUILDERS_H */
