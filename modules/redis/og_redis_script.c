/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Scripts by their digest, and by their text where Redis forgot them, see og_redis_script.h. */
#include "og_redis_script.h"

#include <apr_strings.h>
#include <openssl/evp.h>
#include <string.h>

#include "og_mac.h"

#define SHA1_LEN 20

/* What EVALSHA takes before keys and arguments */
#define HEAD 3

/* child: */
static og_redis_link *used;
static const char *used_prefix = "";

void og_redis_script_use(og_redis_link *link, const char *prefix)
{
    used = link;
    used_prefix = prefix;
}

const char *og_redis_script_prefix(void)
{
    return used_prefix;
}

void og_redis_words_init(og_redis_words *words)
{
    words->count = HEAD;
}

void og_redis_words_add(og_redis_words *words, const void *text, apr_size_t len)
{
    words->argv[words->count] = text;
    words->lens[words->count++] = len;
}

void og_redis_words_add_number(og_redis_words *words, apr_int64_t number)
{
    char *text = words->numbers[words->count];

    og_redis_words_add(words, text,
                       (apr_size_t)apr_snprintf(text, sizeof(words->numbers[0]),
                                                "%" APR_INT64_T_FMT, number));
}

static void put(og_redis_words *words, int at, const char *text)
{
    words->argv[at] = text;
    words->lens[at] = strlen(text);
}

static og_redis_reason ask(const og_redis_script *script, og_redis_words *words, int keys,
                           apr_time_t deadline, redisReply **reply)
{
    og_redis_command command = { words->count, words->argv, words->lens, keys, script->is_sound };
    og_redis_reason reason = og_redis_link_ask(used, &command, deadline, reply);

    if (reason != OG_REDIS_OK) {
        freeReplyObject(*reply);
        *reply = NULL;
    }
    return reason;
}

/* The digest is made anew each time: that takes two microseconds, and nothing to be shared. */
og_redis_reason og_redis_script_run(const og_redis_script *script, og_redis_words *words, int keys,
                                    apr_time_t deadline, redisReply **reply)
{
    unsigned char digest[SHA1_LEN];
    char sha[2 * SHA1_LEN + 1], count[8];
    og_redis_reason reason;

    *reply = NULL;
    if (!used) {
        return OG_REDIS_DOWN;
    }
    if (EVP_Digest(script->text, strlen(script->text), digest, NULL, EVP_sha1(), NULL) != 1) {
        return OG_REDIS_OTHER;
    }
    og_hex(sha, digest, sizeof(digest));
    apr_snprintf(count, sizeof(count), "%d", keys);
    put(words, 0, "EVALSHA");
    put(words, 1, sha);
    put(words, 2, count);
    reason = ask(script, words, keys, deadline, reply);
    if (reason == OG_REDIS_NOSCRIPT) { /* a new server, or one that was told to forget */
        put(words, 0, "EVAL");
        put(words, 1, script->text);
        reason = ask(script, words, keys, deadline, reply);
    }
    return reason;
}
