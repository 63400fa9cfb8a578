/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What tests against a real Redis, or one that is none, share: links, calls, time. */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include "unit.h"
#include "stub_log.h"

#include <apr_strings.h>
#include <unistd.h>

#include "og_clock.h"
#include "og_redis_link.h"
#include "og_redis_reply.h"
#include "og_redis_script.h"
#include "og_redis_stores.h"

#define MS(n) apr_time_from_msec(n)

/* A request waits no longer than this for a server, on a machine that does other things */
#define WAIT_MAX_MS 120

/* What the link's log calls name */
module AP_MODULE_DECLARE_DATA orgscale_redis_module;

/* Of a link: how its calls ended */
static og_redis_shared counts;

/* servers: separated by blanks; password: NULL or "USER:PASSWORD", "PASSWORD" */
static inline og_redis_link *link_with(apr_pool_t *p, const char *servers, const char *password,
                                       int max, int timeout_ms)
{
    og_redis_params params = { apr_pcalloc(p, 8 * sizeof(*params.servers)), 0 };
    og_redis_link *link = NULL;
    char *rest = apr_pstrdup(p, servers), *each, *state;

    memset(&counts, 0, sizeof(counts));
    for (each = apr_strtok(rest, " ", &state); each; each = apr_strtok(NULL, " ", &state)) {
        assert_null(og_redis_address_parse(p, each, &params.servers[params.server_count++]));
    }
    if (password) {
        char *colon = strchr(password, ':');

        params.user = colon ? apr_pstrndup(p, password, (apr_size_t)(colon - password)) : NULL;
        params.password = colon ? colon + 1 : password;
        params.password_len = strlen(params.password);
    }
    params.max = max;
    params.timeout = MS(timeout_ms);
    params.counts = &counts;
    assert_int_equal(og_redis_link_create(&link, &params, p, NULL), APR_SUCCESS);
    og_redis_script_use(link, "");
    return link;
}

static inline og_redis_link *link_of(apr_pool_t *p, int max, int timeout_ms)
{
    return link_with(p, getenv("TEST_REDIS"), NULL, max, timeout_ms);
}

/* A command of blanks-separated words. */
static inline og_redis_reason ask(og_redis_link *link, const char *text, int within_ms,
                                  redisReply **reply)
{
    const char *argv[16];
    size_t lens[16];
    og_redis_command command = { 0, argv, lens, 0, NULL };
    char line[512], *each, *state;

    apr_cpystrn(line, text, sizeof(line));
    for (each = apr_strtok(line, " ", &state); each; each = apr_strtok(NULL, " ", &state)) {
        lens[command.argc] = strlen(each);
        argv[command.argc++] = each;
    }
    return og_redis_link_ask(link, &command, og_clock_mono() + MS(within_ms), reply);
}

static inline og_redis_reason ping(og_redis_link *link)
{
    redisReply *reply;
    og_redis_reason reason = ask(link, "PING", 60000, &reply);

    freeReplyObject(reply);
    return reason;
}

static inline long ms_since(apr_time_t start)
{
    return (long)((og_clock_mono() - start) / 1000);
}

static inline apr_uint64_t ended(og_redis_reason reason)
{
    return atomic_load(&counts.ended[reason]);
}

/* Wait up to 10 s for a condition; the pause is the price of asking, not a guess of its time. */
#define wait_until(condition)                                          \
    do {                                                               \
        apr_time_t wait_end = og_clock_mono() + apr_time_from_sec(10); \
        while (!(condition) && og_clock_mono() < wait_end) {           \
            usleep(2000);                                              \
        }                                                              \
        assert_true(condition);                                        \
    } while (0)

#endif /* REDIS_LINK_H */
