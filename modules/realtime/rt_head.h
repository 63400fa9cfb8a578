/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rt_head.h
 * @brief What a poll is known again by: a client's next one differs in its query alone
 *
 * Pure; safe from any thread.
 */
#ifndef RT_HEAD_H
#define RT_HEAD_H

#include <apr.h>
#include <apr_siphash.h>

/** A longer head is read by a worker. */
#define RT_HEAD_MAX 8000

/**
 * Hash the head of a GET, all of it but its query.
 * @param hash  never 0
 * @param text  what the client has sent, up to now
 * @return 1: that is one whole head and nothing behind it; 0: less, more, or another method
 */
int rt_head_hash(apr_uint64_t *hash, const char *text, apr_size_t len,
                 const unsigned char seed[APR_SIPHASH_KSIZE]);

#endif /* RT_HEAD_H */
