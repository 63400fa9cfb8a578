/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the origin is asked when the cache has no answer.
 *
 * Where the answer will be kept for others, here or by the edge that asks, the origin sees nothing
 * that is not in the key (B19): what clients may say of hosts, methods and paths, and their
 * cookies, are left out; and where it is kept here, it is asked for all of the thing, not for a
 * range of it. A backend gets no Accept-Encoding where compression is ours, and, where nothing is
 * kept here, the client's tags as they are known to it. */
#include "edge.h"

#include "edge_validator.h"
#include "rest_fields.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>

/* Nothing of our own identity headers is here: mod_tenant has seen to those. */
static const char *const unkeyed[] = {
    "Cookie",           "Forwarded",            "Front-End-Https",   "X-Forwarded",
    "X-Host",           "X-HTTP-Host-Override", "X-HTTP-Method",     "X-HTTP-Method-Override",
    "X-HTTP-Path-Override", "X-Method-Override", "X-Original-Host",  "X-Original-Method",
    "X-Original-URI",   "X-Original-URL",       "X-Real-IP",         "X-Rewrite-URL",
    "X-Scheme",         "X-Script-Name",        "X-Url-Scheme",      NULL
};

/* X-Forwarded-… */
static int is_forwarded(const char *name)
{
    static const char prefix[] = "X-Forwarded-";
    char head[sizeof(prefix)];

    apr_cpystrn(head, name, sizeof(head));
    return rest_fields_same(head, prefix);
}

/* What is for anybody is asked for as by nobody: of who asks it has nothing in its key. */
int edge_miss_drops(const edge_request *own, const char *name)
{
    int i;

    if (own->family->shared == EDGE_SHARED_PUBLIC && rest_fields_same(name, "Authorization")) {
        return 1;
    }
    for (i = 0; unkeyed[i]; i++) {
        if (rest_fields_same(name, unkeyed[i])) {
            return 1;
        }
    }
    return is_forwarded(name);
}

/* For a walk over a copy of the fields. */
static int drop(void *request, const char *name, const char *unused)
{
    request_rec *r = request;

    if (edge_miss_drops(edge_request_of(r), name)) {
        apr_table_unset(r->headers_in, name);
    }
    return 1;
}

/* Whether the answer is for others, too: those who ask mod_cache, or the edge that asks. */
static int is_for_others(const request_rec *r, const edge_request *own, int is_saved)
{
    return own->key && (is_saved || (own->family->cdn && edge_trusted(r)));
}

/* A part is cut out here, when all of it is there. */
static void hold_range(request_rec *r, edge_request *own)
{
    if (own->range) {
        return;
    }
    own->range = apr_table_get(r->headers_in, "Range");
    own->if_range = apr_table_get(r->headers_in, "If-Range");
    apr_table_unset(r->headers_in, "Range");
    apr_table_unset(r->headers_in, "If-Range");
}

/* What HEAD is answered with is what GET would be, tag and length included, so it is made alike
 * (B26); egress makes it a HEAD again. */
static void ask_as_get(request_rec *r, edge_request *own)
{
    own->is_head = 1;
    r->header_only = 0;
    r->method = "GET";
}

/* A backend may have nothing new to say, and says so without a body. */
static void ask_for_news(request_rec *r, edge_request *own)
{
    if (own->none_match) {
        apr_table_setn(r->headers_in, "If-None-Match",
                       edge_validator_bases(r->pool, own->none_match));
    }
    else if (own->modified_since) {
        apr_table_setn(r->headers_in, "If-Modified-Since", own->modified_since);
    }
}

/* mod_cache asks by the tag and the date of what it keeps and is too old. A date has seconds: what
 * was written twice within one, and read in between, would pass for good. EDGE_ETAG compares the
 * tag; a backend may be asked, too, by what it knows. A handler of ours that returned a 304 would
 * lose mod_cache's filter with all others, and the client get it who asked for no such thing. */
static void ask_again(request_rec *r, edge_request *own)
{
    own->kept = apr_table_get(r->headers_in, "If-None-Match");
    if (own->is_vague) {
        apr_table_unset(r->headers_in, "If-Modified-Since");
    }
    if (own->kept && r->proxyreq == PROXYREQ_REVERSE && !edge_validator_is_ours(own->kept)) {
        apr_table_setn(r->headers_in, "If-None-Match",
                       edge_validator_bases(r->pool, own->kept));
        return;
    }
    apr_table_unset(r->headers_in, "If-None-Match");
    if (r->proxyreq != PROXYREQ_REVERSE) {
        apr_table_unset(r->headers_in, "If-Modified-Since");
    }
}

/* The filters that make what is kept, which an answer from the cache has behind it. */
static void insert(request_rec *r, const edge_request *own)
{
    if (edge_validates(own->conf)) {
        edge_etag_insert(r);
    }
    if (own->conf->compress == 1) {
        edge_compress_insert(r);
    }
    if (own->family) {
        edge_face_insert(r);
    }
}

static int handler(request_rec *r)
{
    edge_request *own = edge_request_of(r);
    int is_saved;

    if (!own || r->main || r->method_number != M_GET) {
        return DECLINED;
    }
    insert(r, own);
    is_saved = edge_is_saved(r);
    if (r->header_only && (is_saved || own->is_held)) {
        ask_as_get(r, own);
    }
    if (is_for_others(r, own, is_saved)) {
        apr_table_do(drop, r, apr_table_copy(r->pool, r->headers_in), NULL);
    }
    if (is_saved && own->key) {
        hold_range(r, own);
        if (own->is_held) {
            ask_again(r, own);
        }
    }
    if (r->proxyreq == PROXYREQ_REVERSE) {
        if (own->conf->compress == 1) {
            apr_table_unset(r->headers_in, "Accept-Encoding");
        }
        if (own->is_held && (own->match || own->unmodified_since)) {
            hold_range(r, own); /* of a version that is known here alone */
        }
        if (own->is_held && !is_saved) {
            ask_for_news(r, own);
        }
    }
    return DECLINED;
}

void edge_miss_register(apr_pool_t *p)
{
    /* mod_cache's handler is APR_HOOK_REALLY_FIRST, mod_proxy's APR_HOOK_FIRST */
    static const char *const successors[] = { "mod_proxy.c", NULL };

    ap_hook_handler(handler, NULL, successors, APR_HOOK_FIRST);
}
