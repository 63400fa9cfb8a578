/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_redis_reply.h
 * @brief Replies of Redis, taken for what anybody may have written (B42)
 *
 * Pure. hiredis bounds how deep a reply is nested (7), but neither how long it is nor how many
 * elements it announces: it would make an array of two thousand million for 12 bytes. Its reader
 * gets our own function for arrays, and og_redis_wire.c counts the bytes.
 */
#ifndef OG_REDIS_REPLY_H
#define OG_REDIS_REPLY_H

#include <apr.h>
#include <hiredis.h>

#include "mod_orgscale_redis.h"

/** Elements of one array. */
#define OG_REDIS_ELEMENTS_MAX 16

/** Have a reader refuse larger arrays: its error is then REDIS_ERR_OOM. */
void og_redis_reply_bound(redisReader *reader);

/** What an error reply means, by its first word; by that of a command inside for a script. */
og_redis_reason og_redis_reply_classify(const char *error);

/** "readonly", "timeout": for the log and metrics. */
const char *og_redis_reply_name(og_redis_reason reason);

/** Element `at` of an array: an integer from 0 to max. @return 1 and *value, or 0 */
int og_redis_reply_number(const redisReply *reply, apr_size_t at, apr_int64_t max,
                          apr_int64_t *value);

#endif /* OG_REDIS_REPLY_H */
