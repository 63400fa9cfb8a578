/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What goes out: TENANT_EGRESS, the last filter before a header is serialised.
 *
 * Variant A of httpd-facts.md 4, the only placement through which nothing leaks: type 30, put in
 * by create_request, hence before HTTP_HEADER and on every response, those of requests that could
 * not even be read included. f->r is followed over internal redirects. Internal headers are
 * dropped on each call, not once: an error may start the response anew behind us.
 */
#include "tenant.h"

#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

APR_HOOK_STRUCT(APR_HOOK_LINK(egress))
APR_IMPLEMENT_OPTIONAL_HOOK_RUN_ALL(tenant, TENANT, int, egress, (request_rec *r, int trusted),
                                    (r, trusted), OK, DECLINED)

void tenant_drop(request_rec *r, const char *name)
{
    apr_table_unset(r->headers_out, name);
    /* mostly empty */
    if (!apr_is_empty_table(r->err_headers_out)) {
        apr_table_unset(r->err_headers_out, name);
    }
    if (!apr_is_empty_table(r->trailers_out)) {
        apr_table_unset(r->trailers_out, name);
    }
}

void tenant_say(request_rec *r, const char *name, const char *value)
{
    tenant_drop(r, name);
    apr_table_setn(r->headers_out, name, value);
}

static void finish_header(request_rec *r, int trusted)
{
    const tenant_identity *identity = tenant_identity_get(r);
    int i;

    if (!trusted) {
        for (i = 0; tenant_edge_headers[i]; i++) {
            tenant_drop(r, tenant_edge_headers[i]);
        }
    }
    else if (identity && identity->key[0]) {
        tenant_say(r, "X-Org-Key", identity->key);
    }
    else {
        tenant_drop(r, "X-Org-Key"); /* only a verified tenant has one */
    }
    tenant_say(r, "X-Request-Id", tenant_request_id(r));
    tenant_say(r, "X-Content-Type-Options", "nosniff");
    tenant_cors_finish(r);
}

static apr_status_t egress(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    int trusted;

    if (!tenant_server_get(r->server)->active) {
        ap_remove_output_filter(f);
        return ap_pass_brigade(f->next, bb);
    }
    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS; /* HTTP_HEADER would write the header, and nobody had decorated it */
    }
    trusted = tenant_trusted(r);
    /* an error bucket makes HTTP_HEADER start over: the response to decorate is the next one */
    if (!f->ctx && !AP_BUCKET_IS_ERROR(APR_BRIGADE_FIRST(bb))) {
        f->ctx = r;
        tenant_run_egress(r, trusted);
    }
    finish_header(r, trusted);
    return ap_pass_brigade(f->next, bb);
}

static int create(request_rec *r)
{
    if (!r->main && !r->prev) {
        ap_add_output_filter_handle(filter, NULL, r, r->connection);
    }
    return OK;
}

/* mod_proxy would write a backend's 103 past all filters, headers and all. */
static int silence_interim(request_rec *r)
{
    if (tenant_server_get(r->server)->active) {
        apr_table_setn(r->subprocess_env, "proxy-interim-response", "Suppress");
    }
    return DECLINED;
}

static int tenant_is_on(const server_rec *s)
{
    return tenant_server_get(s)->active;
}

void tenant_egress_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(tenant_is_on);
    filter = ap_register_output_filter("TENANT_EGRESS", egress, NULL, AP_FTYPE_PROTOCOL);
    ap_hook_create_request(create, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_fixups(silence_interim, NULL, NULL, APR_HOOK_LAST);
}
