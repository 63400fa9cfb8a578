/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "tenant-key" (http-semantics.md 3): for edges that cannot verify tokens. It says in
 * headers whose a token is: 204 with X-Org-Key, and what modules behind the egress hook add, so
 * that the edge can find what it keeps. It is there for trusted edges alone; an edge may remember
 * it for a token for a minute, and never past the token's end. */
#include "tenant.h"

#include "og_clock.h"
#include "rest_problem.h"

#include <apr_strings.h>
#include <http_protocol.h>

#define HANDLER "tenant-key"
#define REMEMBERED 60 /* seconds */

static int refuse(request_rec *r, int status, const char *code, const char *detail)
{
    rest_problem problem = { status, code, detail, NULL, 0 };

    return rest_problem_send(r, &problem);
}

/* Seconds that are left of a caller's token, at most REMEMBERED. */
static int lifetime(const tenant_identity *caller)
{
    apr_time_t left = caller->expires - og_clock_wall();

    return left <= 0 ? 0 : left < apr_time_from_sec(REMEMBERED) ? (int)apr_time_sec(left)
                                                                 : REMEMBERED;
}

static int handler(request_rec *r)
{
    const tenant_identity *caller;

    if (!r->handler || strcmp(r->handler, HANDLER) != 0) {
        return DECLINED;
    }
    if (!tenant_trusted(r)) {
        return refuse(r, HTTP_NOT_FOUND, "not_found", "There is no such resource.");
    }
    if (r->method_number != M_GET) {
        apr_table_setn(r->headers_out, "Allow", "GET, HEAD");
        return refuse(r, HTTP_METHOD_NOT_ALLOWED, "method_not_allowed",
                      "This resource takes GET and HEAD.");
    }
    caller = tenant_identity_get(r);
    if (!caller || !caller->key[0]) {
        return refuse(r, HTTP_FORBIDDEN, "forbidden", "This caller is of no organisation.");
    }
    apr_table_setn(r->headers_out, "Vary", "Authorization");
    apr_table_setn(r->headers_out, "Cache-Control",
                   apr_psprintf(r->pool, "public, max-age=%d", lifetime(caller)));
    r->status = HTTP_NO_CONTENT;
    return OK;
}

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(tenant_serves) *serves = APR_RETRIEVE_OPTIONAL_FN(tenant_serves);

    serves(HANDLER);
}

void tenant_key_handler_register(apr_pool_t *p)
{
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
