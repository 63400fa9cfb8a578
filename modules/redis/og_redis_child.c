/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The child's link, and the stores that other modules find under the name "redis". */
#include "og_redis.h"

#include <ap_mpm.h>
#include <ap_provider.h>
#include <apr_strings.h>
#include <http_main.h>

#include "og_number.h"
#include "og_redis_script.h"
#include "og_redis_stores.h"

#define TIMEOUT_DEFAULT     apr_time_from_msec(20)
#define CONNECTIONS_DEFAULT 4

/* A child never has more to ask at once than threads that ask: its requests', and one of a module's
 * own, such as the janitor of idempotency keys. */
static int connections(const og_redis_conf *conf)
{
    int wanted = (int)og_set_or(conf->connections, CONNECTIONS_DEFAULT);
    int threads = 0;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 1) {
        threads = 1; /* prefork says 0 */
    }
    return wanted < threads + 1 ? wanted : threads + 1;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    const og_redis_conf *conf = og_redis_conf_of(s);
    og_redis_params params = { conf->servers, conf->server_count, conf->user, conf->password,
                               conf->password_len,
                               (int)og_set_or(conf->database, 0), connections(conf),
                               og_set_or(conf->timeout, TIMEOUT_DEFAULT),
                               og_redis_counts_shared() };
    og_redis_link *link = NULL;

    if (conf->server_count && params.counts) {
        og_redis_link_create(&link, &params, p, s); /* says itself what failed */
    }
    og_redis_script_use(link, conf->prefix ? apr_pstrcat(p, conf->prefix, ":", NULL) : "");
}

/* Asked at check_config, when the directives were read. */
static const char *ready(void)
{
    return og_redis_conf_of(ap_server_conf)->server_count ? NULL : "expected RedisServer";
}

void og_redis_child_register(apr_pool_t *p)
{
    static idempotency_store idempotency;
    static quota_store quota;

    idempotency = og_redis_idempotency;
    idempotency.ready = ready;
    quota = og_redis_quota;
    quota.ready = ready;
    ap_register_provider(p, QUOTA_STORE_GROUP, "redis", QUOTA_STORE_VERSION, &quota);
    ap_register_provider(p, IDEMPOTENCY_STORE_GROUP, "redis", IDEMPOTENCY_STORE_VERSION,
                         &idempotency);
    /* before those whose threads ask the stores at once */
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
}
