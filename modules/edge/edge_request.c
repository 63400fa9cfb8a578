/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is known of one request of a client, and what of it nobody else is to see.
 *
 * Conditions and ranges are held back until the final representation is there (EDGE_CONDITIONS):
 * mod_cache takes a tag that the client has no more use for as a miss and asks the origin, handlers
 * compare "x-br" with "x", and a 304 that a handler returns loses its filters and with them its
 * Vary (httpd-facts.md 6). Cache-Control of requests is left out where there is a family: freshness
 * is what epochs are for, and a reload of a page is no reason to ask the database. */
#include "edge.h"

#include "edge_validator.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

edge_request *edge_request_of(const request_rec *r)
{
    for (; r && !r->main; r = r->prev) {
        edge_request *own = ap_get_module_config(r->request_config, &edge_module);

        if (own && own->conf) {
            return own;
        }
    }
    return NULL;
}

edge_request *edge_request_begin(request_rec *r)
{
    edge_request *own = ap_get_module_config(r->request_config, &edge_module);

    if (!own) {
        own = apr_pcalloc(r->pool, sizeof(*own));
        ap_set_module_config(r->request_config, &edge_module, own);
    }
    return own;
}

int edge_is_saved(const request_rec *r)
{
    const ap_filter_t *f;

    for (f = r->output_filters; f; f = f->next) {
        if (!strcmp(f->frec->name, "cache_save")) {
            return 1;
        }
    }
    return 0;
}

static const char *take(request_rec *r, const char *name)
{
    const char *value = apr_table_get(r->headers_in, name);

    if (value) {
        apr_table_unset(r->headers_in, name);
    }
    return value;
}

static void hold_back(request_rec *r, edge_request *own)
{
    own->is_held = 1;
    own->none_match = take(r, "If-None-Match");
    own->modified_since = take(r, "If-Modified-Since");
    own->match = take(r, "If-Match");
    own->unmodified_since = take(r, "If-Unmodified-Since");
}

static void put(request_rec *r, const char *name, const char *value)
{
    if (value) {
        apr_table_setn(r->headers_in, name, value);
    }
    else {
        apr_table_unset(r->headers_in, name);
    }
}

void edge_release(request_rec *r, edge_request *own)
{
    if (own->is_held) {
        own->is_held = 0;
        put(r, "If-None-Match", own->none_match);
        /* RFC 9110 13.2.2: with the one the other is not looked at */
        put(r, "If-Modified-Since", own->none_match ? NULL : own->modified_since);
        put(r, "If-Match", own->match);
        put(r, "If-Unmodified-Since", own->match ? NULL : own->unmodified_since);
    }
    if (own->range) {
        put(r, "Range", own->range);
        put(r, "If-Range", own->if_range);
        own->range = NULL;
    }
    if (own->is_head) {
        own->is_head = 0;
        r->method = "HEAD";
        r->header_only = 1;
    }
}

/* With the compressors' own scan there is one name to find, or none; a range is of what is not
 * encoded. */
static void choose_coding(request_rec *r, edge_request *own)
{
    unsigned available = apr_table_get(r->headers_in, "Range") ? 0 : edge_compress_available();

    own->coding = edge_coding_choose(apr_table_get(r->headers_in, "Accept-Encoding"), available,
                                     &own->no_identity);
    put(r, "Accept-Encoding",
        own->coding != EDGE_IDENTITY ? edge_coding_name(own->coding) : NULL);
}

/* mod_cache would send these on to the origin, or not keep the answer */
static void drop_wishes(request_rec *r)
{
    apr_table_unset(r->headers_in, "Cache-Control");
    apr_table_unset(r->headers_in, "Pragma");
}

/* What Connection says of the connection, and what the request can't be without */
static int is_of_connection(const char *name)
{
    static const char *const names[] = { "close", "keep-alive", "upgrade", "te", "trailer", "host",
                                         "content-length", "transfer-encoding", NULL };
    int i;

    for (i = 0; names[i]; i++) {
        if (!strcmp(name, names[i])) {
            return 1;
        }
    }
    return 0;
}

/* Fields that Connection names end here (RFC 9110 7.6.1). mod_proxy takes them out when it asks,
 * and the entry would be that of a request that has them: what Vary compares is what the origin
 * sees. */
static void drop_named(request_rec *r)
{
    const char *list = apr_table_get(r->headers_in, "Connection");
    char *name;

    while (list && (name = ap_get_list_item(r->pool, &list))) {
        if (!is_of_connection(name)) {
            apr_table_unset(r->headers_in, name);
        }
    }
}

static void make(request_rec *r, const edge_dir_conf *conf)
{
    edge_request *own = edge_request_begin(r);

    own->conf = conf;
    own->family = edge_family_of(conf);
    if (own->family) {
        drop_named(r);
    }
    if (edge_validates(conf)) {
        hold_back(r, own);
    }
    if (conf->compress == 1) {
        choose_coding(r, own);
    }
    if (own->family) {
        drop_wishes(r);
        edge_tags_begin(r, own);
        edge_key_make(r, own);
    }
}

/* A write that is for one version names it as it was seen; who is to compare knows no codings.
 * Where a suffix was taken off, the tag is passed on with it as well: its origin's may end so. */
static void ask_by_bases(request_rec *r)
{
    static const char *const names[] = { "If-Match", "If-None-Match", NULL };
    int i;

    for (i = 0; names[i]; i++) {
        const char *list = apr_table_get(r->headers_in, names[i]);
        const char *bases = list ? edge_validator_bases(r->pool, list) : NULL;

        if (list && strcmp(bases, list) != 0) {
            apr_table_setn(r->headers_in, names[i],
                           apr_pstrcat(r->pool, bases, ", ", list, NULL));
        }
    }
}

static int is_on(const edge_dir_conf *conf)
{
    return edge_family_of(conf) || edge_validates(conf) || conf->compress == 1;
}

/* Whether this is the page of an error, which is the answer to the request that it is of: from the
 * cache it would come as a good one. */
static int is_of_error(const request_rec *r)
{
    for (r = r->prev; r; r = r->prev) {
        if (ap_is_HTTP_ERROR(r->status)) {
            return 1;
        }
    }
    return 0;
}

static int fixups(request_rec *r)
{
    const edge_dir_conf *conf = edge_dir(r);
    edge_request *before = edge_request_of(r);

    if (r->main) {
        return DECLINED;
    }
    if (r->method_number != M_GET) {
        if (edge_validates(conf)) {
            ask_by_bases(r);
        }
        return DECLINED;
    }
    if (before) {
        before->key = NULL; /* that of another URL */
    }
    if (is_of_error(r)) {
        return DECLINED;
    }
    if (before) {
        edge_release(r, before);
    }
    if (before || is_on(conf)) {
        make(r, conf);
    }
    return DECLINED;
}

/* Those that make what is kept come in edge_miss.c. */
static void insert(request_rec *r)
{
    const edge_request *own = edge_request_of(r);

    if (own && !r->main && edge_validates(own->conf)) {
        edge_conditions_insert(r);
    }
}

void edge_request_register(apr_pool_t *p)
{
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_insert_filter(insert, NULL, NULL, APR_HOOK_LAST);
}
