/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* EDGE_CONDITIONS: what the client said of versions, held against the representation that it would
 * get, wherever that comes from: a handler, a backend, the cache. Behind mod_cache's filters, so
 * that the cache sees whole responses. A 304 says what its 200 would have said (RFC 9110 15.4.5):
 * it is that response, without its body; and who asked for no such thing gets none, though an
 * origin says so. */
#include "edge.h"

#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

/* pool: the request's. Once a response is known to be a 304, or one that a range is cut out of */
typedef struct {
    int is_range;
    apr_bucket_brigade *gathered;
} context;

void edge_forget_data(apr_bucket_brigade *bb)
{
    apr_bucket *b = APR_BRIGADE_FIRST(bb);

    while (b != APR_BRIGADE_SENTINEL(bb)) {
        apr_bucket *next = APR_BUCKET_NEXT(b);

        if (!APR_BUCKET_IS_METADATA(b)) {
            apr_bucket_delete(b);
        }
        b = next;
    }
}

static void make_not_modified(request_rec *r)
{
    r->status = HTTP_NOT_MODIFIED;
    r->status_line = NULL;
    edge_header_drop(r, "Content-Length");
    edge_header_drop(r, "Content-Encoding");
    edge_header_drop(r, "Content-Type");
    r->content_type = NULL;
}

/* httpd makes the answer of it: mod_tenant's error form, and no body of ours. */
static apr_status_t fail(ap_filter_t *f, apr_bucket_brigade *bb, int status)
{
    apr_bucket_alloc_t *alloc = f->c->bucket_alloc;

    apr_brigade_cleanup(bb);
    APR_BRIGADE_INSERT_TAIL(bb, ap_bucket_error_create(status, NULL, f->r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* What is left of a brigade goes on; an empty one would have the header written, and no more. */
static apr_status_t pass(ap_filter_t *f, apr_bucket_brigade *bb)
{
    return APR_BRIGADE_EMPTY(bb) ? APR_SUCCESS : ap_pass_brigade(f->next, bb);
}

static apr_status_t swallow(ap_filter_t *f, apr_bucket_brigade *bb)
{
    edge_forget_data(bb);
    return pass(f, bb);
}

/* httpd cuts ranges out of what is whole, and mod_cache passes it on in pieces as it keeps it: as
 * much as was in memory for its validator is gathered again. */
static apr_status_t gather(ap_filter_t *f, apr_bucket_brigade *bb)
{
    context *ctx = f->ctx;
    apr_int64_t most = edge_max_body(edge_request_of(f->r)->conf);
    apr_off_t length = 0;
    apr_status_t rv;
    int is_whole = 0;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        is_whole |= APR_BUCKET_IS_EOS(b) || AP_BUCKET_IS_ERROR(b);
    }
    rv = ap_save_brigade(f, &ctx->gathered, &bb, f->r->pool);
    if (rv == APR_SUCCESS) {
        rv = apr_brigade_length(ctx->gathered, 1, &length);
    }
    if (rv != APR_SUCCESS || (!is_whole && length <= most)) {
        return rv;
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, ctx->gathered);
}

/* A single tag, well-formed, as a list of tags would have it. */
static int is_tag(const char *text)
{
    const char *quote = *text == '"' ? strpbrk(text + 1, "\"\\") : NULL;

    return quote && *quote == '"' && !quote[1];
}

/* httpd's verdict, without asking for it where it can be no other: nothing was asked, or for any
 * version but the one that there is. */
static int judge(request_rec *r, const edge_request *own, int was_held)
{
    const char *etag;

    if (was_held && !own->match && !own->modified_since && !own->unmodified_since) {
        etag = own->none_match ? apr_table_get(r->headers_out, "ETag") : NULL;
        if (!own->none_match) {
            return OK;
        }
        if (etag && !strcmp(etag, own->none_match) && is_tag(etag) && !r->no_local_copy
            && !apr_table_get(r->headers_in, "Range")) {
            return HTTP_NOT_MODIFIED;
        }
    }
    return ap_meets_conditions(r);
}

static apr_status_t begin(ap_filter_t *f, apr_bucket_brigade *bb, edge_request *own)
{
    request_rec *r = f->r;
    int is_good, verdict = OK, is_range, was_held = own->is_held;

    edge_release(r, own);
    is_good = r->status == HTTP_OK || r->status == HTTP_NON_AUTHORITATIVE;
    is_range = is_good && apr_table_get(r->headers_in, "Range");
    if (is_good) {
        verdict = judge(r, own, was_held);
    }
    if (r->status == HTTP_NOT_MODIFIED && !own->none_match && !own->modified_since) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, OGLOGNO(1305)
                      "%s: the origin's answer to no condition is 304: the client, who has "
                      "nothing, gets a 502 (EdgeETag)", r->uri);
        return fail(f, bb, HTTP_BAD_GATEWAY);
    }
    if (verdict == HTTP_NOT_MODIFIED) {
        make_not_modified(r);
        f->ctx = apr_pcalloc(r->pool, sizeof(context));
        return swallow(f, bb);
    }
    if (verdict != OK) {
        return fail(f, bb, verdict);
    }
    if (is_range) {
        f->ctx = apr_pcalloc(r->pool, sizeof(context));
        ((context *)f->ctx)->is_range = 1;
        return gather(f, bb);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static apr_status_t conditions(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const context *ctx = f->ctx;
    edge_request *own = edge_request_of(f->r);

    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    if (ctx) {
        return ctx->is_range ? gather(f, bb) : swallow(f, bb);
    }
    if (own && !f->r->main && !AP_BUCKET_IS_ERROR(APR_BRIGADE_FIRST(bb))) {
        return begin(f, bb, own);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

void edge_conditions_insert(request_rec *r)
{
    ap_add_output_filter_handle(filter, NULL, r, r->connection);
}

void edge_conditions_register(apr_pool_t *p)
{
    /* mod_cache's are AP_FTYPE_CONTENT_SET + 1 */
    filter = ap_register_output_filter("EDGE_CONDITIONS", conditions, NULL,
                                       AP_FTYPE_CONTENT_SET + 5);
}
