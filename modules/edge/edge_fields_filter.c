/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* EDGE_FIELDS: of a JSON answer, what the client asked for (P§22), whoever made it. The whole
 * answer is held, to EdgeFieldsMaxBody bytes; what is too large, encoded, or no JSON passes as it
 * is, and says so by having no X-Fields-Returned. A handler or backend that says X-Fields-Returned
 * has chosen the fields itself.
 *
 * The first of our filters, so that the tag, the coding, and what is kept are of what is left. What
 * a validator or digest of the origin's says is not true of it any more. */
#include "edge.h"

#include "edge_prune.h"
#include "og_json.h"
#include "rest_problem.h"

#include <apr_strings.h>
#include <http_connection.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

/* An answer that is being held; in the request's pool. */
typedef struct context {
    apr_bucket_brigade *held;
    apr_off_t length;
} context;

static apr_int64_t most(const request_rec *r)
{
    return edge_fields_max(edge_dir(r));
}

/* application/json and …+json (RFC 6839) */
static int is_json(const char *type)
{
    static const char json[] = "application/json";
    apr_size_t len = type ? strcspn(type, "; \t") : 0;

    if (len == strlen(json) && !strncasecmp(type, json, len)) {
        return 1;
    }
    return len > 5 && !strncasecmp(type + len - 5, "+json", 5);
}

static int is_open(request_rec *r)
{
    const char *control = edge_header_list(r, "Cache-Control");

    return r->status == HTTP_OK && is_json(r->content_type) && !r->content_encoding
           && !edge_header(r, "Content-Encoding") && !edge_header(r, "Content-Range")
           && !edge_header(r, "X-Fields-Returned")
           && !(control && ap_find_token(r->pool, control, "no-transform"));
}

/* -1: not known */
static apr_off_t announced(const request_rec *r)
{
    const char *text = edge_header(r, "Content-Length");
    apr_off_t length;

    return text && ap_parse_strict_length(&length, text) ? length : -1;
}

static apr_status_t step_aside(ap_filter_t *f, apr_bucket_brigade *bb)
{
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static apr_status_t pass_large(ap_filter_t *f, apr_bucket_brigade *bb)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, f->r, OGLOGNO(1340)
                  "%s: an answer of more than %" APR_INT64_T_FMT " bytes keeps all its fields "
                  "(EdgeFieldsMaxBody)", f->r->uri, most(f->r));
    return step_aside(f, bb);
}

static void drop_all(request_rec *r, const char *const *names)
{
    for (; *names; names++) {
        edge_header_drop(r, *names);
    }
}

/* What the origin said of the bytes of its answer */
static void forget_bytes(request_rec *r)
{
    static const char *const names[] = { "Content-Length", "Content-MD5",  "Digest",
                                         "Content-Digest", "Repr-Digest",  "ETag",
                                         "Last-Modified",  NULL };

    drop_all(r, names);
}

/* All of the answer, in place of what was held of it. */
static apr_status_t answer(ap_filter_t *f, apr_bucket_brigade *rest, const char *body,
                           apr_size_t len)
{
    context *ctx = f->ctx;

    apr_brigade_cleanup(ctx->held);
    ap_set_content_length(f->r, (apr_off_t)len);
    if (len) {
        APR_BRIGADE_INSERT_HEAD(rest, apr_bucket_pool_create(body, len, f->r->pool,
                                                             f->c->bucket_alloc));
    }
    return step_aside(f, rest);
}

static void write_names(og_jsonw *w, const char *member, const apr_array_header_t *names)
{
    int i;

    og_jsonw_name(w, member);
    og_jsonw_begin(w, '[');
    for (i = 0; i < names->nelts; i++) {
        og_jsonw_string(w, APR_ARRAY_IDX(names, i, const char *));
    }
    og_jsonw_end(w, ']');
}

/* A 400 in place of an answer that has not what was asked for. Nothing of the answer is in it but
 * names. */
static apr_status_t refuse(ap_filter_t *f, apr_bucket_brigade *rest, const edge_pruned *pruned)
{
    static const char *const names[] = { "Expires",          "Age",
                                         "Pragma",           "Accept-Ranges",
                                         "Content-Location", "Content-Disposition",
                                         "Content-Language", "Link",
                                         "Surrogate-Key",    "Surrogate-Control",
                                         "Cache-Tag",        "CDN-Cache-Control", NULL };
    rest_problem problem = { HTTP_BAD_REQUEST, "field_unknown",
                             "The answer has no member of a name that fields or expand asks for.",
                             NULL, 0 };
    request_rec *r = f->r;
    const char *text;
    og_jsonw w;

    og_jsonw_init(&w, r->pool, 512);
    og_jsonw_begin(&w, '{');
    write_names(&w, "unknown", pruned->unknown);
    write_names(&w, "available", pruned->available);
    og_jsonw_end(&w, '}');
    problem.details = og_jsonw_text(&w);
    text = rest_problem_json(r, &problem);
    r->status = HTTP_BAD_REQUEST;
    r->status_line = ap_get_status_line(HTTP_BAD_REQUEST);
    forget_bytes(r);
    drop_all(r, names);
    edge_header_say(r, "Cache-Control", "no-store");
    ap_set_content_type(r, "application/problem+json");
    return answer(f, rest, text, strlen(text));
}

static void say_names(request_rec *r, const char *header, const apr_array_header_t *names)
{
    if (names->nelts) {
        edge_header_say(r, header, apr_array_pstrcat(r->pool, names, ','));
    }
}

/* The answer is whole: rest begins with its end. */
static apr_status_t prune(ap_filter_t *f, apr_bucket_brigade *rest)
{
    context *ctx = f->ctx;
    request_rec *r = f->r;
    const edge_selection *selection = edge_fields_of(r)->selection;
    edge_pruned pruned;
    apr_size_t len;
    char *text;
    apr_status_t rv = apr_brigade_pflatten(ctx->held, &text, &len, r->pool);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    switch (edge_prune(r->pool, text, len, edge_envelope(edge_dir(r)), selection, &pruned)) {
    case EDGE_PRUNE_UNKNOWN:
        return refuse(f, rest, &pruned);
    case EDGE_PRUNE_MALFORMED:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1341)
                      "%s: an answer that says it is JSON keeps all its fields: %s (EdgeFields)",
                      r->uri, pruned.why);
        break;
    default:
        if (selection->fields) {
            forget_bytes(r);
            say_names(r, "X-Fields-Returned", pruned.returned);
            say_names(r, "X-Fields-Available", pruned.available);
            return answer(f, rest, pruned.body, pruned.len);
        }
    }
    APR_BRIGADE_PREPEND(rest, ctx->held);
    return step_aside(f, rest);
}

/* Move a bucket to what is held. *left: bytes that there is room for; below 0 it stays where it
 * is */
static apr_status_t hold_one(ap_filter_t *f, apr_bucket *b, apr_int64_t *left)
{
    context *ctx = f->ctx;
    const char *data;
    apr_size_t len;
    apr_status_t rv;

    if (!APR_BUCKET_IS_METADATA(b)) {
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        *left = most(f->r) - ctx->length - (apr_int64_t)len;
        if (*left < 0) {
            return APR_SUCCESS;
        }
        ctx->length += (apr_off_t)len;
        rv = apr_bucket_setaside(b, f->r->pool);
        if (rv != APR_SUCCESS && rv != APR_ENOTIMPL) {
            return rv;
        }
    }
    APR_BUCKET_REMOVE(b);
    APR_BRIGADE_INSERT_TAIL(ctx->held, b);
    return APR_SUCCESS;
}

/* rest begins with the end of the answer. A HEAD that was answered without the body has the fields
 * of another body. */
static apr_status_t end(ap_filter_t *f, apr_bucket_brigade *rest)
{
    context *ctx = f->ctx;

    if (ctx->length || !f->r->header_only) {
        return prune(f, rest);
    }
    forget_bytes(f->r);
    return step_aside(f, rest);
}

/* mod_proxy's words for an answer that was cut off, and the end of the request */
static int is_broken(const apr_bucket *b)
{
    return AP_BUCKET_IS_ERROR(b) || AP_BUCKET_IS_EOC(b) || AP_BUCKET_IS_EOR(b);
}

static apr_status_t hold(ap_filter_t *f, apr_bucket_brigade *bb)
{
    context *ctx = f->ctx;
    apr_bucket *b;

    while ((b = APR_BRIGADE_FIRST(bb)) != APR_BRIGADE_SENTINEL(bb)) {
        apr_int64_t left = 0;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(b)) {
            return end(f, bb);
        }
        if (is_broken(b)) {
            APR_BRIGADE_PREPEND(bb, ctx->held);
            return step_aside(f, bb);
        }
        rv = hold_one(f, b, &left);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (left < 0) {
            APR_BRIGADE_PREPEND(bb, ctx->held);
            return pass_large(f, bb);
        }
    }
    return APR_SUCCESS;
}

static void take(request_rec *r, const char *name, const char **value)
{
    if (!*value) {
        *value = apr_table_get(r->headers_in, name);
        apr_table_unset(r->headers_in, name);
    }
}

static void put_back(request_rec *r, const char *name, const char **value)
{
    if (*value) {
        apr_table_setn(r->headers_in, name, *value);
        *value = NULL;
    }
}

/* Behind mod_cache's handler, which may look for what the client accepts, and in front of
 * mod_proxy's: a backend is asked for what is not encoded, and for all of it. A range is of what is
 * left. */
static int handler(request_rec *r)
{
    edge_fields *own = r->proxyreq == PROXYREQ_REVERSE ? edge_fields_of(r) : NULL;

    if (own) {
        take(r, "Accept-Encoding", &own->accept_encoding);
        take(r, "Range", &own->range);
        take(r, "If-Range", &own->if_range);
    }
    return DECLINED;
}

static apr_status_t fields(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    context *ctx = f->ctx;
    edge_fields *own;

    if (ctx) {
        return hold(f, bb);
    }
    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    own = edge_fields_of(r);
    if (own) {
        put_back(r, "Accept-Encoding", &own->accept_encoding);
        put_back(r, "Range", &own->range);
        put_back(r, "If-Range", &own->if_range);
    }
    if (!own || !is_open(r)) {
        return step_aside(f, bb);
    }
    if (!r->header_only && announced(r) > most(r)) {
        return pass_large(f, bb);
    }
    ctx = apr_pcalloc(r->pool, sizeof(*ctx));
    ctx->held = apr_brigade_create(r->pool, f->c->bucket_alloc);
    f->ctx = ctx;
    return hold(f, bb);
}

static void insert(request_rec *r)
{
    if (edge_fields_of(r)) {
        ap_add_output_filter_handle(filter, NULL, r, r->connection);
    }
}

static void retrieve(void)
{
    APR_OPTIONAL_FN_TYPE(tenant_exposes) *exposes = APR_RETRIEVE_OPTIONAL_FN(tenant_exposes);

    if (exposes) {
        exposes("X-Fields-Returned");
        exposes("X-Fields-Available");
    }
}

void edge_fields_filter_register(apr_pool_t *p)
{
    static const char *const successors[] = { "mod_proxy.c", NULL };

    filter = ap_register_output_filter("EDGE_FIELDS", fields, NULL, AP_FTYPE_RESOURCE);
    ap_hook_optional_fn_retrieve(retrieve, NULL, NULL, APR_HOOK_MIDDLE);
    /* in front of our other filters, which edge_request.c puts in */
    ap_hook_handler(handler, NULL, successors, APR_HOOK_FIRST);
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_MIDDLE);
}
