/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the link does when Redis stops, freezes, is slow, loses all it has, or is another server
 * (F19, F20). t/redis/link.t owns the servers and does to them what control() names. */
#include "redis_link.h"

#include <pthread.h>
#include <signal.h>

#include "control.h"

#define RECOVERY_MS 4000

static const char *server(const char *name)
{
    return getenv(name);
}

/* How many of its connections are in this state */
static int count(og_redis_link *link, og_redis_slot_state state)
{
    int i, n = 0;

    pthread_mutex_lock(&link->lock);
    for (i = 0; i < link->params.max; i++) {
        n += link->slots[i].state == state;
    }
    pthread_mutex_unlock(&link->lock);
    return n;
}

static void until_up(og_redis_link *link)
{
    wait_until(ping(link) == OG_REDIS_OK);
}

static void calls_are_answered_and_connections_bounded(void **state)
{
    og_redis_link *link = link_of(*state, 3, 1000);
    redisReply *reply;
    const char *each;
    int i, clients = 0;
    apr_uint64_t before;

    wait_until(ping(link) == OG_REDIS_OK);
    before = ended(OG_REDIS_OK);
    for (i = 0; i < 200; i++) {
        assert_int_equal(ping(link), OG_REDIS_OK);
    }
    assert_int_equal(ended(OG_REDIS_OK), before + 200);
    wait_until(!count(link, OG_REDIS_SLOT_EMPTY) && !count(link, OG_REDIS_SLOT_WORK));
    assert_int_equal(ask(link, "CLIENT LIST TYPE normal", 1000, &reply), OG_REDIS_OK);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    for (each = reply->str; (each = strstr(each, "id=")); each += 3) {
        clients += each == reply->str || each[-1] == '\n';
    }
    assert_in_range(clients, 3, 4); /* the fourth is the test's own */
    freeReplyObject(reply);
}

static void stopped_is_down_at_once_and_started_is_back(void **state)
{
    og_redis_link *link = link_of(*state, 2, 20);
    unsigned long long downs, backs;
    apr_time_t start;
    int i;

    until_up(link);
    control("stop");
    start = og_clock_mono();
    assert_int_not_equal(ping(link), OG_REDIS_OK);
    assert_in_range(ms_since(start), 0, WAIT_MAX_MS);
    wait_until(ping(link) == OG_REDIS_DOWN && atomic_load(&counts.went_down));
    downs = atomic_load(&counts.went_down);
    backs = atomic_load(&counts.came_back);
    start = og_clock_mono();
    for (i = 0; i < 200; i++) {
        assert_int_equal(ping(link), OG_REDIS_DOWN);
    }
    assert_in_range(ms_since(start), 0, 100); /* all of them together: nobody waited */
    wait_until(ended(OG_REDIS_LOST) > 3);     /* attempts go on, and the log is told once */
    assert_int_equal(atomic_load(&counts.went_down), downs);
    assert_int_equal(atomic_load(&counts.came_back), backs);
    control("start");
    start = og_clock_mono();
    until_up(link);
    assert_in_range(ms_since(start), 0, RECOVERY_MS);
    wait_until(atomic_load(&counts.came_back) > backs);
}

static void down_at_the_childs_start_is_found_later(void **state)
{
    og_redis_link *link;
    apr_time_t start = og_clock_mono();

    control("stop");
    link = link_of(*state, 2, 20);
    assert_int_not_equal(ping(link), OG_REDIS_OK);
    assert_in_range(ms_since(start), 0, WAIT_MAX_MS);
    wait_until(ping(link) == OG_REDIS_DOWN);
    control("start");
    start = og_clock_mono();
    until_up(link);
    assert_in_range(ms_since(start), 0, RECOVERY_MS);
}

static void frozen_costs_a_few_their_deadline_and_then_nobody(void **state)
{
    og_redis_link *link = link_of(*state, 4, 20);
    og_redis_reason reason = OG_REDIS_OK;
    apr_time_t start;
    int i;

    until_up(link);
    control("freeze");
    for (i = 0; i < 2 * OG_REDIS_FAILURES && reason != OG_REDIS_DOWN; i++) {
        start = og_clock_mono();
        reason = ping(link);
        assert_int_not_equal(reason, OG_REDIS_OK);
        assert_in_range(ms_since(start), 0, WAIT_MAX_MS);
    }
    assert_int_equal(reason, OG_REDIS_DOWN);
    start = og_clock_mono();
    for (i = 0; i < 200; i++) { /* its kernel accepts connections, which must not count */
        assert_int_equal(ping(link), OG_REDIS_DOWN);
    }
    assert_in_range(ms_since(start), 0, 100);
    control("thaw");
    start = og_clock_mono();
    until_up(link);
    assert_in_range(ms_since(start), 0, RECOVERY_MS);
}

static void slow_is_down_and_fast_is_back(void **state)
{
    og_redis_link *link;
    apr_time_t start;
    int i;

    control("slow");
    link = link_with(*state, server("TEST_REDIS_PROXY"), NULL, 2, 20);
    for (i = 0; i < 20; i++) {
        start = og_clock_mono();
        assert_int_not_equal(ping(link), OG_REDIS_OK);
        assert_in_range(ms_since(start), 0, WAIT_MAX_MS);
    }
    wait_until(ping(link) == OG_REDIS_DOWN);
    control("pass");
    until_up(link);
}

static void a_restart_in_between_is_noticed_before_a_call(void **state)
{
    og_redis_link *link = link_of(*state, 2, 1000);

    wait_until(ping(link) == OG_REDIS_OK && count(link, OG_REDIS_SLOT_IDLE) == 2);
    control("stop");
    control("start");
    assert_int_equal(ping(link), OG_REDIS_OK); /* by a new connection, which it waited for */
    assert_int_equal(ended(OG_REDIS_LOST), 0);
}

/* One connection, held by a call that gets no answer */
static void *hold(void *link)
{
    redisReply *reply;

    ask(link, "PING", 2000, &reply);
    freeReplyObject(reply);
    return NULL;
}

static void who_finds_no_connection_waits_no_longer_than_it_may(void **state)
{
    og_redis_link *link = link_of(*state, 1, 1000);
    pthread_t thread;
    apr_time_t start;
    redisReply *reply;

    until_up(link);
    control("freeze");
    assert_int_equal(pthread_create(&thread, NULL, hold, link), 0);
    wait_until(count(link, OG_REDIS_SLOT_BUSY));
    start = og_clock_mono();
    assert_int_equal(ask(link, "PING", 20, &reply), OG_REDIS_CROWDED);
    assert_in_range(ms_since(start), 0, WAIT_MAX_MS);
    control("thaw");
    pthread_join(thread, NULL);
    until_up(link);
}

static void a_child_ends_while_a_server_hangs(void **state)
{
    apr_pool_t *p;
    apr_time_t start;

    apr_pool_create(&p, *state);
    control("freeze");
    link_with(p, server("TEST_REDIS"), NULL, 2, 20);
    usleep(20000); /* whatever the connector waits for then */
    start = og_clock_mono();
    apr_pool_destroy(p);
    assert_in_range(ms_since(start), 0, 500);
    control("thaw");
}

static int writes(og_redis_link *link)
{
    redisReply *reply;
    og_redis_reason reason = ask(link, "SET k v", 60000, &reply);

    freeReplyObject(reply);
    return reason == OG_REDIS_OK;
}

static void the_primary_of_the_list_is_found_and_found_again(void **state)
{
    og_redis_link *link = link_with(*state, server("TEST_REDIS_PAIR"), NULL, 2, 500);
    apr_time_t start;

    wait_until(writes(link));
    control("promote"); /* the other one is the primary, and this one its replica */
    assert_false(writes(link));
    assert_true(ended(OG_REDIS_READONLY) > 0);
    start = og_clock_mono();
    wait_until(writes(link));
    assert_in_range(ms_since(start), 0, RECOVERY_MS);
    control("promote back");
    wait_until(writes(link));
    assert_true(ended(OG_REDIS_READONLY) > 1);
}

static void a_replica_alone_is_no_server(void **state)
{
    og_redis_link *link;

    control("promote");
    link = link_with(*state, server("TEST_REDIS_FIRST"), NULL, 1, 500);
    wait_until(ping(link) == OG_REDIS_DOWN && ended(OG_REDIS_READONLY) > 0);
    control("promote back");
    wait_until(writes(link));
}

static void a_name_that_is_none_does_not_hide_the_others(void **state)
{
    og_redis_link *link = link_with(
        *state, apr_pstrcat(*state, "no-such-host.invalid:6379 127.0.0.1:1 ",
                            server("TEST_REDIS_TCP"), " ", server("TEST_REDIS"), NULL),
        NULL, 2, 1000);

    until_up(link);
    assert_true(ended(OG_REDIS_LOST) > 0); /* port 1 */
}

static void a_password_is_needed_and_a_wrong_one_is_told(void **state)
{
    const char *locked = server("TEST_REDIS_LOCKED");
    og_redis_link *link = link_with(*state, locked, NULL, 1, 500);

    wait_until(ended(OG_REDIS_NOAUTH) > 0 && ping(link) == OG_REDIS_DOWN);
    link = link_with(*state, locked, "wrong", 1, 500);
    wait_until(ended(OG_REDIS_NOAUTH) > 0 && ping(link) == OG_REDIS_DOWN);
    until_up(link_with(*state, locked, "secret", 1, 500));
    until_up(link_with(*state, locked, "carol:hers", 1, 500));
    link = link_with(*state, locked, "carol:secret", 1, 500);
    wait_until(ended(OG_REDIS_NOAUTH) > 0 && ping(link) == OG_REDIS_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit_pool_test(calls_are_answered_and_connections_bounded),
        unit_pool_test(stopped_is_down_at_once_and_started_is_back),
        unit_pool_test(down_at_the_childs_start_is_found_later),
        unit_pool_test(frozen_costs_a_few_their_deadline_and_then_nobody),
        unit_pool_test(slow_is_down_and_fast_is_back),
        unit_pool_test(a_restart_in_between_is_noticed_before_a_call),
        unit_pool_test(who_finds_no_connection_waits_no_longer_than_it_may),
        unit_pool_test(a_child_ends_while_a_server_hangs),
        unit_pool_test(the_primary_of_the_list_is_found_and_found_again),
        unit_pool_test(a_replica_alone_is_no_server),
        unit_pool_test(a_name_that_is_none_does_not_hide_the_others),
        unit_pool_test(a_password_is_needed_and_a_wrong_one_is_told),
    };

    signal(SIGPIPE, SIG_IGN); /* as httpd does */
    return unit_run(tests);
}
