/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who polls: mod_tenant's word, or nobody. */
#include "rt.h"

#include <apr_strings.h>

static APR_OPTIONAL_FN_TYPE(tenant_identity_get) *identity_get;

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(tenant_serves) *serves = APR_RETRIEVE_OPTIONAL_FN(tenant_serves);
    APR_OPTIONAL_FN_TYPE(tenant_exposes) *exposes = APR_RETRIEVE_OPTIONAL_FN(tenant_exposes);

    identity_get = APR_RETRIEVE_OPTIONAL_FN(tenant_identity_get);
    if (serves) {
        serves("realtime-subscribe");
        serves("realtime-legacy");
        serves("realtime-publish");
        serves("realtime-metrics");
    }
    if (exposes) {
        exposes("Allow");
        exposes("Server-Timing");
    }
}

void rt_caller_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
}

const tenant_identity *rt_caller(request_rec *r)
{
    return identity_get ? identity_get(r) : NULL;
}

int rt_caller_missing(request_rec *r)
{
    static const rest_problem problem = { HTTP_UNAUTHORIZED, "unauthenticated",
                                          "This resource needs a verified caller.",
                                          "{\"reason\":\"missing\"}", 0 };

    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, OGLOGNO(1503)
                  "%s is served without a verified caller: refused (AuthType TenantJWT)", r->uri);
    apr_table_setn(r->headers_out, "WWW-Authenticate", "Bearer");
    return rest_problem_send(r, &problem);
}

int rt_method_not_allowed(request_rec *r, const char *allow)
{
    rest_problem problem = { HTTP_METHOD_NOT_ALLOWED, "method_not_allowed", NULL, NULL, 0 };

    apr_table_setn(r->headers_out, "Allow", allow);
    problem.detail = apr_psprintf(r->pool, "This resource takes %s.", allow);
    return rest_problem_send(r, &problem);
}
