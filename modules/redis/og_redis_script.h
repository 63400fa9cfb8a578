/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  og_redis_script.h
 * @brief A Lua script with its keys and arguments, run by one call
 *
 * A script is what makes a decision one step for all hosts: Redis runs no other command meanwhile.
 */
#ifndef OG_REDIS_SCRIPT_H
#define OG_REDIS_SCRIPT_H

#include "og_redis_link.h"

#define OG_REDIS_WORDS_MAX 24

/** EVALSHA, digest and number of keys come first; then keys, then arguments. */
typedef struct og_redis_words {
    int count;
    const char *argv[OG_REDIS_WORDS_MAX];
    size_t lens[OG_REDIS_WORDS_MAX];
    char numbers[OG_REDIS_WORDS_MAX][24];
} og_redis_words;

typedef struct og_redis_script {
    const char *text;
    int (*is_sound)(const redisReply *reply, int keys); /**< see og_redis_command */
} og_redis_script;

/**
 * The link of this child's stores, and what their keys begin with. Before there are threads.
 * @param link    NULL: there is none, and Redis is down
 * @param prefix  "" or "prefix:"; lives as long as the link
 */
void og_redis_script_use(og_redis_link *link, const char *prefix);
const char *og_redis_script_prefix(void);

/** To begin with. */
void og_redis_words_init(og_redis_words *words);

/** text stays as it is until the script ran. */
void og_redis_words_add(og_redis_words *words, const void *text, apr_size_t len);
void og_redis_words_add_number(og_redis_words *words, apr_int64_t number);

/** @param keys  so many of the words are keys
 *  @param reply  set with OG_REDIS_OK alone, for freeReplyObject() */
og_redis_reason og_redis_script_run(const og_redis_script *script, og_redis_words *words, int keys,
                                    apr_time_t deadline, redisReply **reply);

#endif /* OG_REDIS_SCRIPT_H */
