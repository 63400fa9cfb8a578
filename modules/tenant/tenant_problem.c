/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* problem+json in place of the server's canned pages (http-semantics.md 1): for our own refusals
 * everywhere, for the others where TenantProblem says so, and where it says nothing in locations
 * whose callers are verified or that a module of ours serves. Works on the canned body alone: an
 * ErrorDocument that is a path, and a backend's own error body, stay what they are.
 *
 * ap_send_error_response runs insert_error_filter, then keeps of the headers only err_headers_out
 * (WWW-Authenticate, Retry-After, Allow come that way), then writes text/html through our filter.
 */
#include "tenant.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include "rest_problem.h"

static ap_filter_rec_t *filter;

/* The codes of http-semantics.md 1 and decisions.md 10 for what the core and stock modules send. */
static const rest_problem problems[] = {
    { 400, "invalid_request", "The request could not be understood." },
    { 401, "unauthenticated", "A valid bearer token is needed." },
    { 403, "forbidden", "You are not allowed to do this." },
    { 404, "not_found", "There is nothing here." },
    { 405, "method_not_allowed", "The method is not allowed here." },
    { 406, "not_acceptable", "Nothing here is acceptable to this client." },
    { 408, "request_timeout", "The request took too long to arrive." },
    { 411, "length_required", "The request needs a Content-Length." },
    { 412, "precondition_failed", "A precondition of the request does not hold." },
    { 413, "payload_too_large", "The request body is too large." },
    { 414, "uri_too_long", "The URI is too long." },
    { 415, "unsupported_media_type", "The media type of the request body is not supported." },
    { 416, "range_not_satisfiable", "The requested range does not exist." },
    { 422, "validation_failed", "The request's content is not valid." },
    { 425, "too_early", "The request may not be sent as early data." },
    { 429, "rate_limit_exceeded", "Too many requests. Please retry later." },
    { 431, "header_too_large", "The request's header fields are too large." },
    { 500, "internal_error", "The server failed to answer." },
    { 502, "bad_gateway", "The server behind this one gave no valid answer." },
    { 503, "upstream_unavailable", "The service is not available now. Please retry later." },
    { 504, "upstream_unavailable", "The server behind this one did not answer in time." },
};

/* The row of a status; others get the code of their class and keep their status. */
static rest_problem problem_of(int status)
{
    rest_problem other = problems[0];
    apr_size_t i;

    if (status >= 500) {
        other.code = "internal_error";
        other.detail = "The server failed to answer.";
    }
    for (i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
        if (problems[i].status == status) {
            other = problems[i];
        }
    }
    other.status = status;
    return other;
}

/* Why a 401: ours, or another module's, which says no more than whether there was something to look
 * at. */
static tenant_reason reason_of(const request_rec *r)
{
    tenant_reason reason = tenant_request_of(r)->reason;

    if (reason != TENANT_OK) {
        return reason;
    }
    return apr_table_get(r->headers_in, "Authorization") ? TENANT_SIGNATURE : TENANT_MISSING;
}

static apr_status_t replace(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    const tenant_request *own = tenant_request_of(r);
    rest_problem problem = problem_of(r->status);
    const char *text;

    if (f->ctx) {
        apr_brigade_cleanup(bb); /* the rest of the canned body */
        return APR_SUCCESS;
    }
    f->ctx = f;
    if (r->status == HTTP_UNAUTHORIZED) {
        problem.details = apr_pstrcat(r->pool, "{\"reason\":\"", tenant_reason_name(reason_of(r)),
                                      "\"}", NULL);
    }
    else if (r->status == HTTP_FORBIDDEN && own->denied) {
        problem.details = apr_pstrcat(r->pool, "{\"reason\":\"", own->denied, "\"}", NULL);
    }
    if (r->status == 425) {
        r->status_line = "425 Too Early"; /* httpd has no line for it (httpd-facts.md 9) */
    }
    text = rest_problem_json(r, &problem);
    ap_set_content_type(r, "application/problem+json");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_brigade_cleanup(bb);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(text, strlen(text), r->pool,
                                                       bb->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    return ap_pass_brigade(f->next, bb);
}

/* process: names of handlers of ours; filled when modules are loaded */
#define HANDLERS_MAX 32
static const char *handlers[HANDLERS_MAX];
static int handler_count;

static void tenant_serves(const char *handler)
{
    if (handler_count < HANDLERS_MAX) {
        handlers[handler_count++] = handler;
    }
}

/* SetHandler of this location: r->handler is not set yet when an early hook refuses */
static int is_served(const request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    int i;

    for (i = 0; core->handler && i < handler_count; i++) {
        if (!strcmp(core->handler, handlers[i])) {
            return 1;
        }
    }
    return 0;
}

static int is_protected(request_rec *r)
{
    const tenant_dir_conf *conf = tenant_dir_get(r);
    const char *type = ap_auth_type(r);

    if (conf->problem != OG_UNSET) {
        return conf->problem;
    }
    return (type && !strcasecmp(type, TENANT_AUTH_TYPE)) || tenant_external_is_on(conf)
           || is_served(r);
}

static void insert(request_rec *r)
{
    const tenant_request *own = tenant_request_of(r);
    int ours;

    if (!tenant_server_get(r->server)->active || r->main) {
        return;
    }
    /* mod_authz_core answers 401 to a verified caller who may not enter, unless
     * AuthzSendForbiddenOnFailure is on; a new token would not help this one */
    if (r->status == HTTP_UNAUTHORIZED && own->denied && own->reason == TENANT_OK) {
        r->status = HTTP_FORBIDDEN;
        apr_table_unset(r->err_headers_out, "WWW-Authenticate"); /* another module's challenge */
    }
    /* a Require of ours may refuse and another one grant: only these are our refusals */
    ours = (r->status == HTTP_UNAUTHORIZED && own->reason != TENANT_OK)
           || (r->status == HTTP_FORBIDDEN && own->denied) || (r->status == 425 && own->early);
    if (r->status >= 400 && (ours || is_protected(r))) {
        ap_add_output_filter_handle(filter, NULL, r, r->connection);
    }
}

void tenant_problem_register(apr_pool_t *p)
{
    filter = ap_register_output_filter("TENANT_PROBLEM", replace, NULL, AP_FTYPE_RESOURCE);
    ap_hook_insert_error_filter(insert, NULL, NULL, APR_HOOK_LAST);
    handler_count = 0; /* a module may stay loaded over a reload */
    APR_REGISTER_OPTIONAL_FN(tenant_serves);
}
