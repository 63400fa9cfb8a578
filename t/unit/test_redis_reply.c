/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Error replies, addresses and buckets of mod_orgscale_redis, without a Redis. */
#include "unit.h"
#include "stub_log.h"

#include <apr_strings.h>

#include "og_redis_address.h"
#include "og_redis_bucket.h"
#include "og_redis_reply.h"

static void errors_mean_what_their_first_word_says(void **state)
{
    static const struct {
        const char *error;
        og_redis_reason reason;
    } rows[] = {
        { "READONLY You can't write against a read only replica.", OG_REDIS_READONLY },
        { "LOADING Redis is loading the dataset in memory", OG_REDIS_LOADING },
        { "OOM command not allowed when used memory > 'maxmemory'.", OG_REDIS_OOM },
        { "NOREPLICAS Not enough good replicas to write.", OG_REDIS_NOREPLICAS },
        { "BUSY Redis is busy running a script.", OG_REDIS_BUSY },
        { "BUSYGROUP Consumer Group name already exists", OG_REDIS_OTHER },
        { "MOVED 3999 127.0.0.1:6381", OG_REDIS_MOVED },
        { "ASK 3999 127.0.0.1:6381", OG_REDIS_MOVED },
        { "ASKING", OG_REDIS_OTHER },
        { "CLUSTERDOWN Hash slot not served", OG_REDIS_MOVED },
        { "CROSSSLOT Keys in request don't hash to the same slot", OG_REDIS_MOVED },
        { "TRYAGAIN Multiple keys request during rehashing of slot", OG_REDIS_MOVED },
        { "WRONGTYPE Operation against a key", OG_REDIS_WRONGTYPE },
        { "NOAUTH Authentication required.", OG_REDIS_NOAUTH },
        { "WRONGPASS invalid username-password pair", OG_REDIS_NOAUTH },
        { "NOPERM this user has no permissions", OG_REDIS_NOPERM },
        { "MASTERDOWN Link with MASTER is down", OG_REDIS_MASTERDOWN },
        { "MISCONF Redis is configured to save RDB snapshots", OG_REDIS_MISCONF },
        { "NOSCRIPT No matching script.", OG_REDIS_NOSCRIPT },
        { "ERR Error running script (call to f_12): @user_script:1: @user_script: 1: -OOM command "
          "not allowed", OG_REDIS_OOM },
        { "ERR Error running script (call to f_12): @user_script:1: -", OG_REDIS_OTHER },
        { "ERR Error running script", OG_REDIS_OTHER },
        { "ERR unknown command", OG_REDIS_OTHER },
        { "OOM", OG_REDIS_OOM },
        { "oom", OG_REDIS_OTHER },
        { " OOM", OG_REDIS_OTHER },
        { "", OG_REDIS_OTHER },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (og_redis_reply_classify(rows[i].error) != rows[i].reason) {
            fail_msg("%s", rows[i].error);
        }
    }
}

static void each_reason_has_a_name_of_its_own(void **state)
{
    int i, j;

    for (i = 0; i < OG_REDIS_REASONS; i++) {
        for (j = 0; j < i; j++) {
            assert_string_not_equal(og_redis_reply_name((og_redis_reason)i),
                                    og_redis_reply_name((og_redis_reason)j));
        }
    }
}

static void addresses_are_taken_or_refused(void **state)
{
    static const char *const good[] = { "localhost:6379", "127.0.0.1:1", "[::1]:65535",
                                        "redis-1.example.org:6379", "unix:/run/redis.sock" };
    static const char *const bad[] = { "", ":", "localhost", "localhost:", ":6379", "localhost:0",
                                       "localhost:65536", "localhost:6379x", "local host:6379",
                                       "::1:6379", "[]:6379", "[::1]", "[::1]6379", "[::1:6379",
                                       "[g]:1", "unix:", "unix:run/redis.sock", "/run/redis.sock",
                                       "redis://localhost:6379", "user@host:1", "h\x01:1" };
    og_redis_address address;
    char long_path[200];
    apr_size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_null(og_redis_address_parse(*state, good[i], &address));
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!og_redis_address_parse(*state, bad[i], &address)) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_null(og_redis_address_parse(*state, "[::1]:7", &address));
    assert_string_equal(address.host, "::1");
    assert_string_equal(address.port, "7");
    apr_snprintf(long_path, sizeof(long_path), "unix:/%0106d", 0);
    assert_null(og_redis_address_parse(*state, long_path, &address)); /* 107 */
    apr_snprintf(long_path, sizeof(long_path), "unix:/%0107d", 0);
    assert_non_null(og_redis_address_parse(*state, long_path, &address));
}

static void a_name_is_looked_up_at_most_once_a_second(void **state)
{
    og_redis_address address;

    assert_null(og_redis_address_parse(*state, "127.0.0.1:7", &address));
    assert_int_equal(og_redis_address_resolve(&address), 1);
    assert_int_equal(address.found, 1);
    assert_true(address.resolve_after > 0);
    assert_int_equal(og_redis_address_resolve(&address), 0); /* too soon */
    address.resolve_after = 0;
    assert_int_equal(og_redis_address_resolve(&address), 0); /* the same as before */
    address.host = "no-such-host.invalid";
    address.resolve_after = 0;
    assert_int_equal(og_redis_address_resolve(&address), 0);
    assert_int_equal(address.found, 1); /* kept */
}

static void arrays_are_bounded_before_they_are_made(void **state)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    og_redis_reply_bound(reader);
    redisReaderFeed(reader, "*16\r\n", 5);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    redisReaderFree(reader);
    reader = redisReaderCreate();
    og_redis_reply_bound(reader);
    redisReaderFeed(reader, "*17\r\n", 5);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_ERR);
    redisReaderFree(reader);
}

static void a_bucket_says_what_is_left(void **state)
{
    quota_charge charge = { "write-user", "user:1:1", 100, 60 * APR_USEC_PER_SEC, 10, 2 };
    apr_int64_t interval = APR_INT64_C(600000000);
    og_redis_bucket bucket;
    quota_verdict v;

    og_redis_bucket_init(&bucket, &charge);
    assert_int_equal(bucket.interval, interval);
    assert_int_equal(bucket.depth, 10 * interval);
    assert_int_equal(bucket.need, 2 * interval);
    og_redis_bucket_say(&bucket, 0, 0, &v);
    assert_true(v.allowed && v.remaining == 10 && !v.next && !v.reset && !v.retry_after);
    og_redis_bucket_say(&bucket, 9 * interval + 1, 0, &v);
    assert_true(!v.allowed && v.remaining == 0);
    assert_int_equal(v.retry_after, 600000 + 1);
    assert_int_equal(v.next, 1);
    assert_int_equal(v.reset, 5400001);
    og_redis_bucket_say(&bucket, 10 * interval, 1, &v);
    assert_true(v.allowed && v.remaining == 0 && !v.retry_after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(errors_mean_what_their_first_word_says),
        unit_pool_test(each_reason_has_a_name_of_its_own),
        unit_pool_test(addresses_are_taken_or_refused),
        unit_pool_test(a_name_is_looked_up_at_most_once_a_second),
        unit_pool_test(arrays_are_bounded_before_they_are_made),
        unit_pool_test(a_bucket_says_what_is_left),
    };

    return unit_run(tests);
}
