/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Idempotency keys that many hosts share: each step is one script, and a store that does not
 * answer lets nobody run.
 *
 *     idempotency:{org}:{user}:{key}     a hash:
 *         state   running, done, doubt
 *         print   of the request
 *         token   running: of the claim
 *         until   running: when its lease ends, in milliseconds of Redis's own clock
 *         begun   when it began to run
 *         answer  done
 *
 * The key comes last and the numbers before it have no ':', so that no two claims share one. A host
 * that died can't be told from one that is slow: leases end by time, and are renewed meanwhile. The
 * end of a lease is not written: a running key that is past it is in doubt to whoever reads it,
 * until its own claim, if it still lives, says how it ended. */
#include "og_redis_stores.h"

#include <apr_strings.h>
#include <string.h>

#include "og_number.h"
#include "og_redis_reply.h"
#include "og_redis_script.h"

#define KEY_SIZE (OG_REDIS_PREFIX_MAX + 2 * OG_ID_TEXT_LEN + IDEMPOTENCY_KEY_MAX + 32)

#define NOW                                                                                     \
    "local k, t = KEYS[1], redis.call('TIME')\n"                                                \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"                                       \
    "local function ms(n) return string.format('%d', n) end\n"

/* Arguments: token, and what the script takes besides */
#define IF_MINE                                                                                 \
    NOW                                                                                         \
    "local h = redis.call('HMGET', k, 'state', 'token')\n"                                      \
    "if h[1] ~= 'running' or h[2] ~= ARGV[1] then return 0 end\n"

static int is_begin(const redisReply *reply, int keys)
{
    apr_int64_t verdict;
    int is_done;

    if (!og_redis_reply_number(reply, 0, 4, &verdict)) {
        return 0;
    }
    is_done = verdict == 1;
    return reply->elements == (is_done ? 2 : 1)
           && (!is_done || reply->element[1]->type == REDIS_REPLY_STRING);
}

static int is_flag(const redisReply *reply, int keys)
{
    return reply->type == REDIS_REPLY_INTEGER && (reply->integer == 0 || reply->integer == 1);
}

/* Arguments: token, fingerprint, lease, ttl, retry, pause. 0 new, 1 done, 2 running, 3 reused,
 * 4 doubt */
static const og_redis_script begin_script = {
    NOW
    "local token, print, lease, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])\n"
    "local h = redis.call('HMGET', k, 'state', 'print', 'token', 'until', 'begun', 'answer')\n"
    "local state, begun = h[1], now\n"
    "if state then\n"
    "  if h[2] ~= print then return {3} end\n"
    "  if state == 'done' then return {1, h[6]} end\n"
    "  if state == 'running' and now < tonumber(h[4]) then\n"
    "    if h[3] ~= token then return {2} end\n"
    "    begun = h[5]\n"
    "  elseif ARGV[5] ~= '1' or now < tonumber(h[5]) + tonumber(ARGV[6]) then\n"
    "    return {4}\n"
    "  end\n"
    "elseif redis.call('EXISTS', k) == 1 then\n"
    "  return redis.error_reply('WRONGTYPE a key of ours holds something else')\n"
    "end\n"
    "redis.call('HSET', k, 'state', 'running', 'print', print, 'token', token,\n"
    "  'until', ms(now + lease), 'begun', ms(begun))\n"
    "redis.call('PEXPIRE', k, ms(math.max(lease, ttl)))\n"
    "return {0}\n",
    is_begin
};

/* A request may run for longer than answers are kept */
static const og_redis_script renew_script = {
    IF_MINE
    "local lease = tonumber(ARGV[2])\n"
    "redis.call('HSET', k, 'until', ms(now + lease))\n"
    "if redis.call('PTTL', k) < lease then redis.call('PEXPIRE', k, ms(lease)) end\n"
    "return 1\n",
    is_flag
};

static const og_redis_script finish_script = {
    IF_MINE
    "redis.call('HSET', k, 'state', 'done', 'answer', ARGV[3])\n"
    "redis.call('HDEL', k, 'token', 'until')\n"
    "redis.call('PEXPIRE', k, ARGV[2])\n"
    "return 1\n",
    is_flag
};

static const og_redis_script doubt_script = {
    IF_MINE
    "redis.call('HSET', k, 'state', 'doubt')\n"
    "redis.call('HDEL', k, 'token', 'until')\n"
    "redis.call('PEXPIRE', k, ARGV[2])\n"
    "return 1\n",
    is_flag
};

static const og_redis_script release_script = {
    IF_MINE
    "redis.call('DEL', k)\n"
    "return 1\n",
    is_flag
};

typedef struct call {
    char key[KEY_SIZE];
    og_redis_words words;
} call;

/* Rounded up: nothing ends early */
static apr_int64_t ms(apr_interval_time_t span)
{
    return (span + 999) / 1000;
}

/* A key that is cut off would be somebody else's, so that is refused. */
static int prepare(call *own, const idempotency_claim *claim)
{
    int len = apr_snprintf(own->key, sizeof(own->key),
                           "%sidempotency:%" APR_INT64_T_FMT ":%" APR_INT64_T_FMT ":%s",
                           og_redis_script_prefix(), claim->org, claim->user, claim->key);

    if (len >= (int)sizeof(own->key) - 1) {
        return 0;
    }
    og_redis_words_init(&own->words);
    og_redis_words_add(&own->words, own->key, (apr_size_t)len);
    og_redis_words_add(&own->words, claim->token, sizeof(claim->token));
    return 1;
}

static apr_status_t begin(const idempotency_claim *claim, apr_time_t deadline, apr_pool_t *p,
                          idempotency_found *found)
{
    static const idempotency_verdict verdicts[] = { IDEMPOTENCY_NEW, IDEMPOTENCY_DONE,
                                                    IDEMPOTENCY_RUNNING, IDEMPOTENCY_REUSED,
                                                    IDEMPOTENCY_DOUBT };
    og_redis_reason reason;
    redisReply *reply;
    call own;

    if (!prepare(&own, claim)) {
        return APR_EINVAL;
    }
    og_redis_words_add(&own.words, claim->fingerprint, sizeof(claim->fingerprint));
    og_redis_words_add_number(&own.words, ms(claim->lease));
    og_redis_words_add_number(&own.words, ms(claim->ttl));
    og_redis_words_add_number(&own.words, claim->retry ? 1 : 0);
    og_redis_words_add_number(&own.words, ms(claim->retry_pause));
    reason = og_redis_script_run(&begin_script, &own.words, 1, deadline, &reply);
    if (reason != OG_REDIS_OK) {
        return og_redis_link_status(reason);
    }
    memset(found, 0, sizeof(*found));
    found->verdict = verdicts[reply->element[0]->integer];
    if (found->verdict == IDEMPOTENCY_DONE) {
        found->answer_len = reply->element[1]->len;
        found->answer = apr_pstrmemdup(p, reply->element[1]->str, found->answer_len);
    }
    freeReplyObject(reply);
    return APR_SUCCESS;
}

/* A script that says whether the claim still was the key's. */
static apr_status_t run(const og_redis_script *script, call *own, apr_time_t deadline)
{
    redisReply *reply;
    og_redis_reason reason = og_redis_script_run(script, &own->words, 1, deadline, &reply);
    int was_mine = reason == OG_REDIS_OK && reply->integer;

    freeReplyObject(reply);
    return reason != OG_REDIS_OK ? og_redis_link_status(reason)
                                 : was_mine ? APR_SUCCESS : APR_NOTFOUND;
}

static apr_status_t renew(const idempotency_claim *claim, apr_time_t deadline)
{
    call own;

    if (!prepare(&own, claim)) {
        return APR_EINVAL;
    }
    og_redis_words_add_number(&own.words, ms(claim->lease));
    return run(&renew_script, &own, deadline);
}

static apr_status_t finish(const idempotency_claim *claim, const char *answer, apr_size_t len,
                           apr_time_t deadline)
{
    call own;

    if (!prepare(&own, claim)) {
        return APR_EINVAL;
    }
    og_redis_words_add_number(&own.words, ms(claim->ttl));
    og_redis_words_add(&own.words, answer, len);
    return run(&finish_script, &own, deadline);
}

static apr_status_t doubt(const idempotency_claim *claim, apr_time_t deadline)
{
    call own;

    if (!prepare(&own, claim)) {
        return APR_EINVAL;
    }
    og_redis_words_add_number(&own.words, ms(claim->ttl));
    return run(&doubt_script, &own, deadline);
}

static apr_status_t release(const idempotency_claim *claim, apr_time_t deadline)
{
    call own;

    return prepare(&own, claim) ? run(&release_script, &own, deadline) : APR_EINVAL;
}

const idempotency_store og_redis_idempotency = { NULL, 0, begin, renew, finish, doubt,
                                                 release, NULL };
