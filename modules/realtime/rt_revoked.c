/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A caller who is revoked while a poll of theirs is parked: the poll is answered at once, in
 * whichever child it waits. mod_tenant says that somebody of an organisation was revoked; the
 * doorbells of all children ring for that organisation's polls, and each of them asks whether it is
 * meant. Those that are not wait on.
 *
 * No ring is missed: a poll joins those who wait before it looks, and a revocation holds before the
 * bells ring. Either the ring finds the poll, or the poll's look finds the revocation. */
#include "rt_poll.h"

static APR_OPTIONAL_FN_TYPE(tenant_revoked) *revoked;

rt_look rt_revoked_look(rt_poll *poll, rt_look look)
{
    int is = revoked && look != RT_GONE ? revoked(poll->caller, &poll->revision) : 0;

    if (is < 0) {
        return RT_LATE; /* it can't be found out: nothing is shown, and the client asks again */
    }
    return is ? RT_REVOKED : look;
}

int rt_revoked_send(rt_poll *poll)
{
    static const rest_problem problem = { HTTP_UNAUTHORIZED, "revoked",
                                          "The session was ended. Please sign in again.",
                                          "{\"reason\":\"revoked\"}", 0 };

    atomic_fetch_add(&rt_segment_counters()->revoked, 1);
    poll->failure = "revoked";
    poll->batch.count = 0;
    apr_table_setn(poll->r->headers_out, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    return rest_problem_send(poll->r, &problem);
}

/* In the process that revokes, on any thread. All children, not only those that are counted as
 * having polls of the organisation: one that lingers may not be. */
static int ring(const tenant_revocation *what)
{
    const char *domain;
    rt_place place;
    int n;

    for (n = 0; (domain = rt_domain_at(n)); n++) {
        rt_segment_place(&place, domain, what->org);
        rt_bell_ring(~(apr_uint32_t)0, place.key | RT_URGENT);
    }
    return OK;
}

static void retrieve(void)
{
    revoked = APR_RETRIEVE_OPTIONAL_FN(tenant_revoked);
}

void rt_revoked_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(tenant, session_revoked, ring, NULL, NULL, APR_HOOK_MIDDLE);
}
