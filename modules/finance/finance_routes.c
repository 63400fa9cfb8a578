/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "finance": who calls, which route, then one action. */
#include "finance.h"

#include "rest_query.h"
#include "rest_storage.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

enum action { EXPENSE_LIST, EXPENSE_CREATE, EXPENSE_GET };

/* Paths as the playbook writes them; each stands under /v1 as well (finance-api.md) */
static const rest_route routes[] = {
    { "/finance/expenses", REST_GET, EXPENSE_LIST },
    { "/finance/expenses", REST_POST, EXPENSE_CREATE },
    { "/finance/expenses/{id}", REST_GET, EXPENSE_GET },
    { NULL, REST_GET, 0 }
};

static int (*const actions[])(finance_call *call) = {
    [EXPENSE_LIST] = finance_expense_list,
    [EXPENSE_CREATE] = finance_expense_create,
    [EXPENSE_GET] = finance_expense_get
};

static APR_OPTIONAL_FN_TYPE(tenant_identity_get) *identity_get;

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(tenant_serves) *serves = APR_RETRIEVE_OPTIONAL_FN(tenant_serves);
    APR_OPTIONAL_FN_TYPE(tenant_exposes) *exposes = APR_RETRIEVE_OPTIONAL_FN(tenant_exposes);

    identity_get = APR_RETRIEVE_OPTIONAL_FN(tenant_identity_get);
    if (serves) {
        serves("finance");
    }
    if (exposes) {
        exposes("Idempotent-Replayed");
    }
}

static rest_method method_of(const request_rec *r)
{
    switch (r->method_number) {
    case M_GET:
        return REST_GET;
    case M_POST:
        return REST_POST;
    case M_PATCH:
        return REST_PATCH;
    case M_DELETE:
        return REST_DELETE;
    default:
        return 0;
    }
}

/* Whether the path of the request line is spelt as it is meant: no escapes, no empty or dot
 * segments. Any other spelling of a route is another path to the caches and access lists in front
 * of us, so it is one to us as well (B18). */
static int spelt_plainly(const request_rec *r)
{
    const char *path = r->unparsed_uri;
    apr_size_t len, i;

    if (*path != '/') { /* absolute-form: behind the authority (RFC 9112 3.2.2) */
        path = strstr(path, "://");
        path = path ? strchr(path + 3, '/') : NULL;
    }
    if (!path) {
        return 0;
    }
    len = strcspn(path, "?#");
    for (i = 0; i < len; i++) {
        if (path[i] == '%' || (path[i] == '/' && (path[i + 1] == '/' || path[i + 1] == '.'))) {
            return 0;
        }
    }
    return 1;
}

/* The path that the routes know: without /v1. */
static const char *route_path(const request_rec *r)
{
    if (!spelt_plainly(r)) {
        return "";
    }
    return strncmp(r->uri, "/v1/", 4) ? r->uri : r->uri + 3;
}

static int no_route(request_rec *r, const rest_match *match)
{
    rest_problem problem = { HTTP_NOT_FOUND, "not_found", "There is no such resource.", NULL, 0 };

    if (match->methods) {
        char *allow = apr_palloc(r->pool, 40);

        apr_table_setn(r->headers_out, "Allow", rest_route_allow(allow, match->methods));
        problem.status = HTTP_METHOD_NOT_ALLOWED;
        problem.code = "method_not_allowed";
        problem.detail = apr_psprintf(r->pool, "This resource takes %s.", allow);
    }
    return rest_problem_send(r, &problem);
}

static int handler(request_rec *r)
{
    finance_call call = { r };
    apr_array_header_t *query;
    rest_problem problem = { 0 };

    if (!r->handler || strcmp(r->handler, "finance") != 0 || !finance_conf(r->server)->dsn) {
        return DECLINED;
    }
    call.caller = identity_get ? identity_get(r) : NULL;
    if (!call.caller) {
        ap_log_rerror(
            APLOG_MARK, APLOG_ERR, 0, r,
            OGLOGNO(1600) "%s is served without a verified caller: refused (AuthType TenantJWT)",
            r->uri);
        problem.status = HTTP_UNAUTHORIZED;
        problem.code = "unauthenticated";
        problem.detail = "This resource needs a verified caller.";
        problem.details = "{\"reason\":\"missing\"}";
        apr_table_setn(r->headers_out, "WWW-Authenticate", "Bearer");
        return rest_problem_send(r, &problem);
    }
    rest_route_find(&call.match, routes, route_path(r), method_of(r));
    if (!call.match.route) {
        return no_route(r, &call.match);
    }
    if (!finance_access_role(call.caller, &problem)) {
        return rest_problem_send(r, &problem);
    }
    problem.detail = rest_query_parse(r->pool, r->args, &query);
    if (problem.detail) {
        problem.status = HTTP_BAD_REQUEST;
        problem.code = "invalid_request";
        return rest_problem_send(r, &problem);
    }
    call.query = query;
    return actions[call.match.route->what](&call);
}

/* Behind rewrite rules and aliases: where these say a file, it is one. */
static int translate(request_rec *r)
{
    const char *handler = rest_storage_handler(r);

    return handler && !strcmp(handler, "finance") ? rest_storage_none(r, &finance_module)
                                                  : DECLINED;
}

static int map_to_storage(request_rec *r)
{
    return rest_storage_answer(r, &finance_module);
}

void finance_routes_register(apr_pool_t *p)
{
    ap_hook_translate_name(translate, NULL, NULL, APR_HOOK_LAST);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
