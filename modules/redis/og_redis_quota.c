/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Buckets that many hosts share: a decision is one script.
 *
 *     quota:{policy}:{limit}/{period}/{burst}:{subject}     "{seconds} {nanoseconds}"
 *
 * The value is the time of Redis's own clock at which the bucket is full again; a full bucket has
 * no key, and one in debt expires when it is full. Lua's numbers are exact up to 2^53, which
 * nanoseconds since 1970 are not: so each time and span is two numbers. A clock that is set back
 * can't empty a bucket further than to its depth. */
#include "og_redis_stores.h"

#include <apr_strings.h>
#include <string.h>

#include "og_clock.h"
#include "og_redis_bucket.h"
#include "og_redis_reply.h"
#include "og_redis_script.h"

#define NS_PER_SEC APR_INT64_C(1000000000)

/* Room for a key: prefix, name, policy, rate, subject */
#define KEY_SIZE (OG_REDIS_PREFIX_MAX + 2 * QUOTA_SUBJECT_SIZE + 96)

/* Words a charge: its need and its depth, in seconds and nanoseconds each */
#define BUCKETS                                                                                \
    "local t = redis.call('TIME')\n"                                                           \
    "local s, n = tonumber(t[1]), tonumber(t[2]) * 1000\n"                                     \
    "local function less(as, an, bs, bn) return as < bs or as == bs and an < bn end\n"         \
    "local function add(as, an, bs, bn)\n"                                                     \
    "  local cs, cn = as + bs, an + bn\n"                                                      \
    "  if cn >= 1000000000 then return cs + 1, cn - 1000000000 end\n"                          \
    "  return cs, cn\n"                                                                        \
    "end\n"                                                                                    \
    "local function minus(as, an, bs, bn)\n"                                                   \
    "  if not less(bs, bn, as, an) then return 0, 0 end\n"                                     \
    "  if an < bn then return as - bs - 1, an - bn + 1000000000 end\n"                         \
    "  return as - bs, an - bn\n"                                                              \
    "end\n"                                                                                    \
    "local function number(i, k) return tonumber(ARGV[4 * i - 4 + k]) end\n"                   \
    "local function debt(i)\n"                                                                 \
    "  local v = redis.call('GET', KEYS[i])\n"                                                 \
    "  if not v then return 0, 0 end\n"                                                        \
    "  local fs, fn = string.match(v, '^(%d+) (%d+)$')\n"                                      \
    "  if not fs then return nil end\n"                                                        \
    "  local ds, dn = minus(tonumber(fs), tonumber(fn), s, n)\n"                               \
    "  if less(number(i, 3), number(i, 4), ds, dn) then return number(i, 3), number(i, 4) end\n" \
    "  return ds, dn\n"                                                                        \
    "end\n"                                                                                    \
    "local function keep(i, ds, dn)\n"                                                         \
    "  if ds == 0 and dn == 0 then return redis.call('DEL', KEYS[i]) end\n"                    \
    "  local fs, fn = add(s, n, ds, dn)\n"                                                     \
    "  redis.call('SET', KEYS[i], string.format('%d %d', fs, fn), 'PX',\n"                     \
    "    string.format('%d', ds * 1000 + math.ceil(dn / 1000000)))\n"                          \
    "end\n"                                                                                    \
    "local other = redis.error_reply('WRONGTYPE a bucket of ours holds something else')\n"

static int is_verdict(const redisReply *reply, int keys)
{
    apr_int64_t number;
    apr_size_t i;

    for (i = 0; i < reply->elements; i++) {
        if (!og_redis_reply_number(reply, i, i % 2 || !i ? APR_INT64_MAX : NS_PER_SEC - 1,
                                   &number)) {
            return 0;
        }
    }
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == (size_t)(2 * keys + 1);
}

static int is_status(const redisReply *reply, int keys)
{
    return reply->type == REDIS_REPLY_STATUS;
}

/* All of them, or none: {1, debts behind the charge} or {0, debts} */
static const og_redis_script decide_script = {
    BUCKETS
    "local all, is, sums = 1, {0}, {1}\n"
    "for i = 1, #KEYS do\n"
    "  local ds, dn = debt(i)\n"
    "  if not ds then return other end\n"
    "  local as, an = add(ds, dn, number(i, 1), number(i, 2))\n"
    "  if less(number(i, 3), number(i, 4), as, an) then all = 0 end\n"
    "  is[2 * i], is[2 * i + 1], sums[2 * i], sums[2 * i + 1] = ds, dn, as, an\n"
    "end\n"
    "if all == 0 then return is end\n"
    "for i = 1, #KEYS do keep(i, sums[2 * i], sums[2 * i + 1]) end\n"
    "return sums\n",
    is_verdict
};

static const og_redis_script give_back_script = {
    BUCKETS
    "for i = 1, #KEYS do\n"
    "  if not debt(i) then return other end\n"
    "end\n"
    "for i = 1, #KEYS do\n"
    "  local ds, dn = debt(i)\n"
    "  keep(i, minus(ds, dn, number(i, 1), number(i, 2)))\n"
    "end\n"
    "return redis.status_reply('OK')\n",
    is_status
};

/* What a call needs to stand somewhere while it lasts */
typedef struct call {
    og_redis_bucket buckets[QUOTA_CHARGES_MAX];
    char keys[QUOTA_CHARGES_MAX][KEY_SIZE];
    og_redis_words words;
} call;

static void add_span(og_redis_words *words, apr_int64_t nanoseconds)
{
    og_redis_words_add_number(words, nanoseconds / NS_PER_SEC);
    og_redis_words_add_number(words, nanoseconds % NS_PER_SEC);
}

/* The rate is part of the key: a debt of one says nothing about another. A key that is cut off
 * would be somebody else's, so that is refused. */
static int prepare(call *own, const quota_charge *charges, int n)
{
    int i;

    og_redis_words_init(&own->words);
    for (i = 0; i < n; i++) {
        const quota_charge *charge = &charges[i];
        int len = apr_snprintf(own->keys[i], KEY_SIZE,
                               "%squota:%s:%" APR_INT64_T_FMT "/%" APR_INT64_T_FMT
                               "/%" APR_INT64_T_FMT ":%s",
                               og_redis_script_prefix(), charge->policy, charge->limit,
                               (apr_int64_t)charge->period, charge->burst, charge->subject);

        if (len >= KEY_SIZE - 1) {
            return 0;
        }
        og_redis_bucket_init(&own->buckets[i], charge);
        og_redis_words_add(&own->words, own->keys[i], (apr_size_t)len);
    }
    for (i = 0; i < n; i++) {
        add_span(&own->words, own->buckets[i].need);
        add_span(&own->words, own->buckets[i].depth);
    }
    return 1;
}

static apr_int64_t debt_of(const redisReply *reply, int i)
{
    apr_int64_t seconds = reply->element[2 * i + 1]->integer;
    apr_int64_t rest = reply->element[2 * i + 2]->integer, debt;

    return __builtin_mul_overflow(seconds, NS_PER_SEC, &debt)
                   || __builtin_add_overflow(debt, rest, &debt) || debt > OG_REDIS_BUCKET_FOREVER
               ? OG_REDIS_BUCKET_FOREVER
               : debt;
}

static apr_status_t decide(const quota_charge *charges, int n, quota_verdict *verdicts,
                           apr_interval_time_t within)
{
    apr_time_t deadline = og_clock_mono() + within;
    og_redis_reason reason;
    redisReply *reply;
    call own;
    int i;

    if (!prepare(&own, charges, n)) {
        return APR_EINVAL;
    }
    reason = og_redis_script_run(&decide_script, &own.words, n, deadline, &reply);
    if (reason != OG_REDIS_OK) {
        return og_redis_link_status(reason);
    }
    for (i = 0; i < n; i++) {
        og_redis_bucket_say(&own.buckets[i], debt_of(reply, i), reply->element[0]->integer == 1,
                            &verdicts[i]);
    }
    freeReplyObject(reply);
    return APR_SUCCESS;
}

static apr_status_t give_back(const quota_charge *charges, int n, apr_interval_time_t within)
{
    apr_time_t deadline = og_clock_mono() + within;
    redisReply *reply;
    call own;
    og_redis_reason reason;

    if (!prepare(&own, charges, n)) {
        return APR_EINVAL;
    }
    reason = og_redis_script_run(&give_back_script, &own.words, n, deadline, &reply);
    freeReplyObject(reply);
    return og_redis_link_status(reason);
}

const quota_store og_redis_quota = { NULL, decide, give_back };
