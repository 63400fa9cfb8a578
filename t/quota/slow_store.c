/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A store for t/quota/store.t, which builds it: "slow" lets everybody pass but user 2 as long as a
 * file named by SLOW_STORE is there, and does not answer when it is not. */
#include "mod_quota.h"

#include <httpd.h>
#include <ap_provider.h>
#include <http_config.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static apr_status_t decide(const quota_charge *charges, int n, quota_verdict *verdicts,
                           apr_interval_time_t within)
{
    int i;

    if (access(getenv("SLOW_STORE"), R_OK)) {
        usleep((useconds_t)within);
        return APR_TIMEUP;
    }
    memset(verdicts, 0, (apr_size_t)n * sizeof(*verdicts));
    for (i = 0; i < n; i++) {
        const char *user = strrchr(charges[i].subject, ':');

        verdicts[i].allowed = charges[i].cost == 1 && strcmp(user, ":2") != 0;
        verdicts[i].remaining = 4242;
        verdicts[i].retry_after = verdicts[i].allowed ? 0 : 1234567;
        verdicts[i].reset = 3600 * APR_USEC_PER_SEC;
    }
    return APR_SUCCESS;
}

static apr_status_t give_back(const quota_charge *charges, int n, apr_interval_time_t within)
{
    return APR_SUCCESS;
}

static const quota_store store = { NULL, decide, give_back };

static void hooks(apr_pool_t *p)
{
    ap_register_provider(p, QUOTA_STORE_GROUP, "slow", QUOTA_STORE_VERSION, &store);
}

AP_DECLARE_MODULE(slow_store) = { STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, hooks };
