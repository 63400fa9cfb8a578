/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Cache-Control, three times (decisions.md 14).
 *
 * EDGE_FACE, before mod_cache's filters, writes the line by which mod_cache keeps a response, or
 * one by which it does not: for the origin may forbid it, and what sets a cookie, or lacks a tag,
 * is nobody else's. mod_tenant's egress hook, behind all, replaces it by the client's line, or, for
 * a trusted edge, by the edge's and what belongs to it. So the stored line never leaves: where
 * mod_tenant does not work there is no EdgeCache (edge_check.c). Whatever is no good response is
 * not to be kept by anybody (B20). */
#include "edge.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

static ap_filter_rec_t *filter;

/* What the origin itself says of keeping it, when that is less than the family would. */
static const char *origins_refusal(request_rec *r)
{
    const char *control = edge_header_list(r, "Cache-Control");

    if (control && ap_find_token(r->pool, control, "no-store")) {
        return "no-store";
    }
    if ((control && (ap_find_token(r->pool, control, "private")
                     || ap_find_token(r->pool, control, "no-cache")))
        || edge_header(r, "Set-Cookie")) {
        return "private, no-cache";
    }
    return NULL;
}

static int is_good(const request_rec *r)
{
    return r->status == HTTP_OK || r->status == HTTP_NON_AUTHORITATIVE
           || r->status == HTTP_PARTIAL_CONTENT || r->status == HTTP_NOT_MODIFIED;
}

/* A line of ours, with no-transform where the one that it replaces has it. The line that was kept
 * is mostly ours as well. */
static const char *alike(request_rec *r, const edge_request *own, const char *line)
{
    const char *before = edge_header_list(r, "Cache-Control"), *stored = own->family->stored;

    return before && !(stored && !strcmp(before, stored))
                   && ap_find_token(r->pool, before, "no-transform")
               ? apr_pstrcat(r->pool, line, ", no-transform", NULL)
               : line;
}

/* What is encoded is for those who decode it. An origin that encodes for who accepts it is to say
 * so (RFC 9110 12.5.5), and not all do; where compression is ours it was asked for no coding. */
static int is_for_decoders(const request_rec *r, const edge_request *own)
{
    return own->conf->compress != 1
           && (r->content_encoding || edge_header(r, "Content-Encoding"));
}

static apr_status_t face(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    edge_request *own = edge_request_of(r);
    const char *stored = NULL;

    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    if (own && own->family && !AP_BUCKET_IS_ERROR(APR_BRIGADE_FIRST(bb))) {
        own->refusal = origins_refusal(r);
        if (is_good(r) && own->key && !own->refusal && !own->untagged
            && !edge_breaker_is_open()) {
            stored = own->family->stored;
            if (is_for_decoders(r, own)) {
                edge_header_add(r, "Vary", "Accept-Encoding");
            }
        }
        edge_header_say(r, "Cache-Control", alike(r, own, stored ? stored : "no-store"));
        edge_header_drop(r, "Expires");
        edge_header_drop(r, "Pragma");
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

static void say_to_client(request_rec *r, const edge_request *own)
{
    edge_header_say(r, "Cache-Control", alike(r, own, own->family->client));
    /* how long it lay here is none of the client's business: its own clock starts now, with the
     * date that httpd writes where there is none */
    edge_header_drop(r, "Age");
    edge_header_drop(r, "Date");
}

static void say_to_edge(request_rec *r, const edge_request *own)
{
    const char *cdn = own->family->cdn, *tags = edge_tags_text(r->pool, own);

    edge_header_say(r, "Cache-Control", alike(r, own, own->family->edge));
    if (cdn) {
        edge_header_say(r, "CDN-Cache-Control", cdn);
    }
    if (tags) {
        edge_header_say(r, "Surrogate-Key", tags);
    }
}

/* For an edge to keep shared answers by: the tenant, and what the caller may see. */
static void say_partition(request_rec *r)
{
    const char *whose = edge_key_partition(r->pool, edge_identity(r));

    edge_header_drop(r, "X-Tenant-Partition");
    if (whose) {
        edge_header_say(r, "X-Tenant-Partition", whose);
    }
}

/* Nobody was verified, or what there is can't be purged: it is for this client now, and for nobody
 * later */
static int is_nobodys(const edge_request *own)
{
    return own->family->no_store || own->untagged
           || (!own->key && edge_family_kept(own->family));
}

static void say_face(request_rec *r, const edge_request *own, int trusted)
{
    /* from others than edges mod_tenant takes these */
    static const char *const internal[] = { "CDN-Cache-Control", "Surrogate-Key",
                                            "Surrogate-Control", "Cache-Tag", "X-Cache-Tags",
                                            NULL };
    int i;

    for (i = 0; trusted && internal[i]; i++) {
        edge_header_drop(r, internal[i]);
    }
    edge_header_drop(r, "Expires");
    edge_header_drop(r, "Pragma");
    if (!own || !is_good(r)) {
        edge_header_say(r, "Cache-Control", "no-store");
    }
    else if (edge_breaker_is_open()) {
        edge_header_say(r, "Cache-Control", "private, no-store");
    }
    else if (own->refusal) {
        edge_header_say(r, "Cache-Control", own->refusal);
    }
    else if (is_nobodys(own)) {
        edge_header_say(r, "Cache-Control",
                        own->family->no_store ? "no-store" : "private, no-store");
    }
    else if (trusted) {
        say_to_edge(r, own);
    }
    else {
        say_to_client(r, own);
    }
}

static int egress(request_rec *r, int trusted)
{
    const edge_dir_conf *conf = edge_dir(r);
    edge_request *own = edge_request_of(r);
    const edge_family *family = own && own->conf ? own->family : edge_family_of(conf);

    if (own) {
        edge_release(r, own); /* errors come without our filters */
        if (own->conf->compress == 1) {
            edge_header_add(r, "Vary", "Accept-Encoding");
        }
    }
    if (family) {
        say_face(r, own, trusted);
        edge_header_drop(r, "Warning");
    }
    if (trusted) {
        say_partition(r);
    }
    if (own && own->family) {
        edge_header_add(r, "Cache-Status", edge_status_text(r, own));
    }
    return DECLINED;
}

/* The optional function. */
static int edge_keeps(const request_rec *r)
{
    const edge_request *own = edge_request_of(r);

    return own && own->family;
}

void edge_face_insert(request_rec *r)
{
    ap_add_output_filter_handle(filter, NULL, r, r->connection);
}

void edge_face_register(apr_pool_t *p)
{
    APR_REGISTER_OPTIONAL_FN(edge_keeps);
    filter = ap_register_output_filter("EDGE_FACE", face, NULL, AP_FTYPE_CONTENT_SET);
    APR_OPTIONAL_HOOK(tenant, egress, egress, NULL, NULL, APR_HOOK_MIDDLE);
}
