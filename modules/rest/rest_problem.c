/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Problem answers, see rest_problem.h. */
#include "rest_problem.h"

#include "mod_tenant.h"
#include "og_json.h"
#include "rest_reply.h"

#include <apr_strings.h>
#include <http_protocol.h>

/* 425 has no slot among httpd's status lines (httpd-facts.md 9) */
static const char *status_line(int status)
{
    return status == 425 ? "425 Too Early" : ap_get_status_line(status);
}

/* These two are looked up at every error: errors are rare, and a module of ours that is loaded
 * later than this one is found all the same. */
static const char *type_base(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(tenant_problem_base) *base = APR_RETRIEVE_OPTIONAL_FN(tenant_problem_base);

    return base ? base(r) : "/problems/";
}

static const char *request_id(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(tenant_request_id) *id = APR_RETRIEVE_OPTIONAL_FN(tenant_request_id);

    return id ? id(r) : NULL;
}

const char *rest_problem_json(request_rec *r, const rest_problem *problem)
{
    const char *id = request_id(r);
    og_jsonw w;

    og_jsonw_init(&w, r->pool, 512);
    og_jsonw_begin(&w, '{');
    og_jsonw_name(&w, "type");
    og_jsonw_string(&w, apr_pstrcat(r->pool, type_base(r), problem->code, NULL));
    og_jsonw_name(&w, "title");
    og_jsonw_string(&w, status_line(problem->status) + 4);
    og_jsonw_name(&w, "status");
    og_jsonw_int(&w, problem->status);
    og_jsonw_name(&w, "detail");
    og_jsonw_string(&w, problem->detail);
    if (id) {
        og_jsonw_name(&w, "instance");
        og_jsonw_string(&w, apr_pstrcat(r->pool, "/requests/", id, NULL));
    }
    og_jsonw_name(&w, "code");
    og_jsonw_string(&w, problem->code);
    og_jsonw_name(&w, "message");
    og_jsonw_string(&w, problem->detail);
    og_jsonw_name(&w, "details");
    if (problem->details) {
        og_jsonw_raw(&w, problem->details, strlen(problem->details));
    }
    else {
        og_jsonw_raw(&w, "{}", 2);
    }
    og_jsonw_end(&w, '}');
    return og_jsonw_text(&w);
}

int rest_problem_send(request_rec *r, const rest_problem *problem)
{
    const char *text = rest_problem_json(r, problem);

    r->status_line = status_line(problem->status);
    if (problem->retry_after > 0) {
        apr_table_setn(r->headers_out, "Retry-After", apr_itoa(r->pool, problem->retry_after));
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return rest_reply(r, problem->status, "application/problem+json", text, strlen(text));
}
