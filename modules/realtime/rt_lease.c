/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A poll is a stream of its caller: mod_quota says how many there may be, where it is loaded
 * (realtime.md, "stream limits"). The lease is taken before the poll looks at the store and given
 * back before its reply is written, so that a client's next poll does not find its own last one;
 * what is never answered goes with its request. Giving takes no lock: the notifier does it. */
#include "rt_poll.h"

#include "mod_quota.h"

static APR_OPTIONAL_FN_TYPE(quota_lease_take) *lease_take;
static APR_OPTIONAL_FN_TYPE(quota_lease_give) *lease_give;

const rest_problem *rt_lease_take(rt_poll *poll)
{
    rest_problem *problem;
    quota_refusal refusal;

    if (!lease_take || lease_take(poll->r, &poll->lease, &refusal)) {
        return NULL;
    }
    problem = apr_pcalloc(poll->r->pool, sizeof(*problem));
    problem->status = HTTP_TOO_MANY_REQUESTS;
    problem->code = refusal.code;
    problem->detail = refusal.detail;
    problem->details = refusal.details;
    problem->retry_after = refusal.retry_after;
    return problem;
}

void rt_lease_give(rt_poll *poll)
{
    if (lease_give) {
        lease_give(poll->lease);
    }
}

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(quota_streams_by) *streams_by = APR_RETRIEVE_OPTIONAL_FN(quota_streams_by);

    lease_take = APR_RETRIEVE_OPTIONAL_FN(quota_lease_take);
    lease_give = APR_RETRIEVE_OPTIONAL_FN(quota_lease_give);
    if (streams_by) {
        streams_by("realtime-subscribe");
    }
}

void rt_lease_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
}
