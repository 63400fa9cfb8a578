/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who is charged: the caller whom mod_tenant verified, and his organisation; who is nobody, with
 * his network. The address is the client's (mod_remoteip's word, where it is loaded). */
#include "quota.h"

#include "quota_net.h"

#include <apr_strings.h>

static APR_OPTIONAL_FN_TYPE(tenant_identity_get) *identity_get;

static int verified(const tenant_identity *caller, quota_subject subjects[QUOTA_CHARGES_MAX])
{
    subjects[0].scope = QUOTA_USER;
    apr_snprintf(subjects[0].name, QUOTA_SUBJECT_SIZE,
                 "user:%" APR_INT64_T_FMT ":%" APR_INT64_T_FMT, caller->org, caller->user);
    if (!caller->org) {
        return 1; /* an admin of no organisation */
    }
    subjects[1].scope = QUOTA_ORG;
    apr_snprintf(subjects[1].name, QUOTA_SUBJECT_SIZE, "org:%" APR_INT64_T_FMT, caller->org);
    return 2;
}

int quota_caller(const request_rec *r, quota_subject subjects[QUOTA_CHARGES_MAX])
{
    const tenant_identity *caller = identity_get ? identity_get(r) : NULL;
    const apr_sockaddr_t *from = r->useragent_addr;

    if (caller) {
        return verified(caller, subjects);
    }
    subjects[0].scope = QUOTA_ADDRESS;
    quota_net(subjects[0].name, from->ipaddr_ptr, (apr_size_t)from->ipaddr_len);
    return 1;
}

static void retrieve(void)
{
    identity_get = APR_RETRIEVE_OPTIONAL_FN(tenant_identity_get);
}

void quota_caller_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
}
