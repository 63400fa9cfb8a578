/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* EDGE_ETAG: each good response has a validator (decisions.md 11). What its origin gave it stays;
 * what has none is hashed, for which all of it is held, to EdgeMaxBody bytes.
 *
 * And what mod_cache keeps is told to be good still: where the response would get the very tag that
 * mod_cache asked by, it becomes a 304 here, before anybody compresses it once more. */
#include "edge.h"

#include "edge_validator.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <openssl/evp.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

/* pool: the request's */
typedef struct {
    apr_bucket_brigade *held;
    apr_off_t length;
    EVP_MD_CTX *hash;
} context;

static int is_good(const request_rec *r)
{
    return r->status == HTTP_OK || r->status == HTTP_NON_AUTHORITATIVE;
}

/* -1: not known */
static apr_off_t announced(const request_rec *r)
{
    const char *text = edge_header(r, "Content-Length");
    apr_off_t length;

    return text && ap_parse_strict_length(&length, text) ? length : -1;
}

/* The 304 that mod_cache waits for. */
static void say_still_good(request_rec *r, const edge_request *own)
{
    r->status = HTTP_NOT_MODIFIED;
    r->status_line = NULL;
    edge_header_say(r, "ETag", own->kept);
    edge_header_drop(r, "Content-Length");
}

/* Whether the response is what mod_cache keeps, now that its tag and length are known. */
static int is_kept(request_rec *r, const edge_request *own, apr_off_t length)
{
    const char *tag = edge_header(r, "ETag");

    return tag && own->kept
           && !strcmp(own->kept,
                      edge_validator_of(r->pool, tag, edge_compress_coding(r, own, length)));
}

static apr_status_t step_aside(ap_filter_t *f, apr_bucket_brigade *bb)
{
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

/* What follows a 304 that was made of a response with a body */
static apr_status_t swallow(ap_filter_t *f, apr_bucket_brigade *bb)
{
    edge_forget_data(bb);
    return APR_BRIGADE_EMPTY(bb) ? APR_SUCCESS : ap_pass_brigade(f->next, bb);
}

static apr_status_t clear_hash(void *hash)
{
    EVP_MD_CTX_free(hash);
    return APR_SUCCESS;
}

/* @return 0 without memory */
static int begin(ap_filter_t *f)
{
    request_rec *r = f->r;
    context *ctx = apr_pcalloc(r->pool, sizeof(*ctx));

    ctx->hash = EVP_MD_CTX_new();
    if (!ctx->hash) {
        return 0;
    }
    apr_pool_cleanup_register(r->pool, ctx->hash, clear_hash, apr_pool_cleanup_null);
    if (EVP_DigestInit_ex(ctx->hash, EVP_sha256(), NULL) != 1) {
        return 0;
    }
    ctx->held = apr_brigade_create(r->pool, f->c->bucket_alloc);
    f->ctx = ctx;
    return 1;
}

/* Move a brigade to what is held, and its bytes into the hash. *more: 0 at the end; -1: too much of
 * it, or the response ends otherwise */
static apr_status_t hold(ap_filter_t *f, apr_bucket_brigade *bb, apr_int64_t most, int *more)
{
    context *ctx = f->ctx;
    apr_bucket *b;

    *more = 1;
    while (*more == 1 && !APR_BRIGADE_EMPTY(bb)) {
        const char *data;
        apr_size_t len;
        apr_status_t rv;

        b = APR_BRIGADE_FIRST(bb);
        if (APR_BUCKET_IS_EOS(b)) {
            *more = 0;
            break;
        }
        if (AP_BUCKET_IS_ERROR(b)) {
            *more = -1;
            break;
        }
        if (!APR_BUCKET_IS_METADATA(b)) {
            rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
            if (rv != APR_SUCCESS) {
                return rv;
            }
            ctx->length += (apr_off_t)len;
            if (ctx->length > most || EVP_DigestUpdate(ctx->hash, data, len) != 1) {
                *more = -1;
                break;
            }
            rv = apr_bucket_setaside(b, f->r->pool);
            if (rv != APR_SUCCESS && rv != APR_ENOTIMPL) {
                return rv;
            }
        }
        APR_BUCKET_REMOVE(b);
        APR_BRIGADE_INSERT_TAIL(ctx->held, b);
    }
    return APR_SUCCESS;
}

static void tag_by_hash(request_rec *r, EVP_MD_CTX *hash)
{
    char *tag = apr_palloc(r->pool, EDGE_VALIDATOR_SIZE);
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (EVP_DigestFinal_ex(hash, digest, NULL) == 1) {
        edge_validator_make(tag, digest);
        edge_header_say(r, "ETag", tag);
    }
}

static apr_status_t hash(ap_filter_t *f, apr_bucket_brigade *bb, edge_request *own)
{
    context *ctx = f->ctx;
    int more;
    apr_status_t rv = hold(f, bb, edge_max_body(own->conf), &more);

    if (rv != APR_SUCCESS || more == 1) {
        return rv;
    }
    APR_BRIGADE_PREPEND(bb, ctx->held);
    if (more < 0) {
        return step_aside(f, bb);
    }
    tag_by_hash(f->r, ctx->hash);
    if (is_kept(f->r, own, ctx->length)) {
        say_still_good(f->r, own);
        return swallow(f, bb);
    }
    return step_aside(f, bb);
}

/* Whether a backend calls what mod_cache keeps by another tag: so it means something else (RFC 9111
 * 4.3.4), and mod_cache, which sees that, asks for all of it */
static int is_of_another(request_rec *r, const edge_request *own, const char *tag)
{
    if (!tag || !edge_validator_ok(tag)) {
        return 0;
    }
    tag += *tag == 'W' ? 2 : 0;
    return !strstr(own->kept, edge_validator_held(r->pool, own->kept, tag, own->coding));
}

/* A backend's 304: of which of the tags that are known by it */
static void name_tag(request_rec *r, const edge_request *own)
{
    const char *tag = edge_header(r, "ETag");

    if (own->kept) {
        if (!is_of_another(r, own, tag)) {
            edge_header_say(r, "ETag", own->kept);
        }
    }
    else if (tag && own->none_match && edge_validator_ok(tag)) {
        edge_header_say(r, "ETag",
                        edge_validator_held(r->pool, own->none_match, tag, own->coding));
    }
}

static apr_status_t etag(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    edge_request *own = edge_request_of(r);
    const char *tag;

    if (f->ctx) {
        return r->status == HTTP_NOT_MODIFIED ? swallow(f, bb) : hash(f, bb, own);
    }
    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    if (!own || r->main || AP_BUCKET_IS_ERROR(APR_BRIGADE_FIRST(bb))) {
        return step_aside(f, bb);
    }
    if (r->status == HTTP_NOT_MODIFIED) {
        name_tag(r, own);
        return step_aside(f, bb);
    }
    tag = edge_header(r, "ETag");
    if (tag && !edge_validator_ok(tag)) {
        edge_header_drop(r, "ETag"); /* nothing that a client could send back */
        tag = NULL;
    }
    if (!is_good(r) || r->header_only || edge_header(r, "Content-Range")) {
        return step_aside(f, bb);
    }
    if (tag) {
        if (!is_kept(r, own, announced(r))) {
            return step_aside(f, bb);
        }
        say_still_good(r, own);
        f->ctx = r; /* the rest is swallowed */
        return swallow(f, bb);
    }
    return begin(f) ? hash(f, bb, own) : step_aside(f, bb);
}

void edge_etag_insert(request_rec *r)
{
    ap_add_output_filter_handle(filter, NULL, r, r->connection);
}

void edge_etag_register(apr_pool_t *p)
{
    filter = ap_register_output_filter("EDGE_ETAG", etag, NULL, AP_FTYPE_RESOURCE);
}
