/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a reply says, see og_redis_reply.h. */
#include "og_redis_reply.h"

#include <pthread.h>
#include <string.h>

/* process: written once */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static redisReplyObjectFunctions bounded;
static void *(*create_array)(const redisReadTask *task, int elements);

static void *create_bounded(const redisReadTask *task, int elements)
{
    return elements <= OG_REDIS_ELEMENTS_MAX ? create_array(task, elements) : NULL;
}

/* hiredis keeps its functions to itself, but a reader has them */
static void prepare(void)
{
    redisReader *reader = redisReaderCreate();

    if (reader) {
        bounded = *reader->fn;
        create_array = bounded.createArray;
        bounded.createArray = create_bounded;
        redisReaderFree(reader);
    }
}

void og_redis_reply_bound(redisReader *reader)
{
    pthread_once(&once, prepare);
    if (create_array) {
        reader->fn = &bounded;
    }
}

static const struct {
    const char *word;
    og_redis_reason reason;
} words[] = {
    { "READONLY", OG_REDIS_READONLY },     { "LOADING", OG_REDIS_LOADING },
    { "OOM", OG_REDIS_OOM },               { "NOREPLICAS", OG_REDIS_NOREPLICAS },
    { "BUSY", OG_REDIS_BUSY },             { "MOVED", OG_REDIS_MOVED },
    { "ASK", OG_REDIS_MOVED },             { "CLUSTERDOWN", OG_REDIS_MOVED },
    { "CROSSSLOT", OG_REDIS_MOVED },       { "TRYAGAIN", OG_REDIS_MOVED },
    { "WRONGTYPE", OG_REDIS_WRONGTYPE },   { "NOAUTH", OG_REDIS_NOAUTH },
    { "WRONGPASS", OG_REDIS_NOAUTH },      { "NOPERM", OG_REDIS_NOPERM },
    { "MASTERDOWN", OG_REDIS_MASTERDOWN }, { "MISCONF", OG_REDIS_MISCONF },
    { "NOSCRIPT", OG_REDIS_NOSCRIPT },
};

/* Servers before Redis 7 put what a command inside a script said behind words of their own */
static const char in_script[] = "ERR Error running script";

og_redis_reason og_redis_reply_classify(const char *error)
{
    apr_size_t i, len;

    if (strncmp(error, in_script, sizeof(in_script) - 1) == 0) {
        const char *inner = strstr(error, ": -");

        error = inner ? inner + 3 : error;
    }
    len = strcspn(error, " \r\n");
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].word) == len && memcmp(error, words[i].word, len) == 0) {
            return words[i].reason;
        }
    }
    return OG_REDIS_OTHER;
}

const char *og_redis_reply_name(og_redis_reason reason)
{
    static const char *const names[OG_REDIS_REASONS] = {
        [OG_REDIS_OK] = "ok",               [OG_REDIS_DOWN] = "down",
        [OG_REDIS_CROWDED] = "crowded",     [OG_REDIS_TIMEOUT] = "timeout",
        [OG_REDIS_LOST] = "lost",           [OG_REDIS_PROTOCOL] = "protocol",
        [OG_REDIS_READONLY] = "readonly",   [OG_REDIS_LOADING] = "loading",
        [OG_REDIS_OOM] = "oom",             [OG_REDIS_NOREPLICAS] = "noreplicas",
        [OG_REDIS_BUSY] = "busy",           [OG_REDIS_MOVED] = "moved",
        [OG_REDIS_WRONGTYPE] = "wrongtype", [OG_REDIS_NOAUTH] = "noauth",
        [OG_REDIS_MASTERDOWN] = "masterdown", [OG_REDIS_MISCONF] = "misconf",
        [OG_REDIS_NOPERM] = "noperm",       [OG_REDIS_NOSCRIPT] = "noscript",
        [OG_REDIS_OTHER] = "other"
    };

    return names[reason];
}

int og_redis_reply_number(const redisReply *reply, apr_size_t at, apr_int64_t max,
                          apr_int64_t *value)
{
    const redisReply *element;

    if (reply->type != REDIS_REPLY_ARRAY || at >= reply->elements) {
        return 0;
    }
    element = reply->element[at];
    if (!element || element->type != REDIS_REPLY_INTEGER || element->integer < 0
        || element->integer > max) {
        return 0;
    }
    *value = element->integer;
    return 1;
}
