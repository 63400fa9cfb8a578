/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  quota_streams.h
 * @brief How many streams a key has, and in which child: in memory that is given, of a fixed size
 *
 * Pure. A counter is a key's streams in one child; a key's number is the sum over children, so that
 * there is no second number that a death could leave wrong. Making and adding needs the caller's
 * lock; taking away is one atomic operation and needs none. A counter at 0 is free for another key.
 * Where there is none, streams are counted in one of a few that keys share. Layout:
 *
 *     quota_streams | quota_counter[counters], QUOTA_STREAMS_SHARED * children of them shared
 */
#ifndef QUOTA_STREAMS_H
#define QUOTA_STREAMS_H

#include <apr.h>
#include <stdatomic.h>

#define QUOTA_STREAMS_SHARED 4

typedef struct quota_counter {
    apr_uint64_t key;
    apr_uint32_t child;
    atomic_uint count;
} quota_counter;

typedef struct quota_streams {
    apr_uint32_t counters; /**< behind the shared ones */
    apr_uint32_t children;
    quota_counter counter[];
} quota_streams;

apr_size_t quota_streams_bytes(apr_uint32_t counters, apr_uint32_t children);

/** In zeroed memory. */
void quota_streams_init(quota_streams *streams, apr_uint32_t counters, apr_uint32_t children);

/**
 * One stream more of a key in a child, unless it has as many as it may. Under the lock.
 * @param policy  which of the shared counters, when there is no other
 * @param is_shared  set: there was none
 * @return its counter, for quota_streams_leave(); NULL: no
 */
quota_counter *quota_streams_join(quota_streams *streams, apr_uint64_t key, apr_uint32_t child,
                                  apr_int64_t most, apr_uint64_t policy, int *is_shared);

/** One less. No lock, any thread of the child that joined. */
void quota_streams_leave(quota_counter *counter);

/** A child is gone: its streams are. Under the lock. */
void quota_streams_forget(quota_streams *streams, apr_uint32_t child);

#endif /* QUOTA_STREAMS_H */
