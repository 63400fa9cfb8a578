/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who polls: mod_tenant's word, or nobody. */
#include "rt.h"

#include "rest_storage.h"

#include <apr_strings.h>
#include <http_request.h>

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
        exposes("Server-Timing");
    }
}

/* Behind rewrite rules and aliases: where these say a file, it is one. */
static int translate(request_rec *r)
{
    const char *handler = rt_dir(r)->domain ? rest_storage_handler(r) : NULL;

    return handler && !strncmp(handler, "realtime-", 9) ? rest_storage_none(r, &realtime_lp_module)
                                                        : DECLINED;
}

static int map_to_storage(request_rec *r)
{
    return rest_storage_answer(r, &realtime_lp_module);
}

void rt_caller_register(apr_pool_t *p)
{
    ap_hook_translate_name(translate, NULL, NULL, APR_HOOK_LAST);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_MIDDLE);
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
