/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What mod_cache keeps things under (http-semantics.md 3):
 *
 *     TENANT.PERMISSIONS[.USER] METHOD SCHEME://HOST|PORT/PATH /PATH?QUERY [FIELDS] CODING#EPOCH
 *
 * The first word comes from who was verified, never from a header; without it there is no key, and
 * nothing is kept or found (fail closed). Host is the field as it was sent, since backends may see
 * it, and so may the path as it was spelt (B18), which stands before the one that is meant; that is
 * escaped, so that no character of it passes for a '?'. The query is in the order of its names.
 * mod_cache asks for a key on each server where this module is loaded, so locations without
 * EdgeCache get one as well: whoever is verified there has a part of the cache of his own. Once the
 * breaker cross_tenant is open there are no keys. */
#include "edge.h"

#include "og_mac.h"
#include "rest_mac.h"
#include "rest_query.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <mod_cache.h>
#include <stdlib.h>

const char *edge_key_partition(apr_pool_t *p, const tenant_identity *identity)
{
    return identity && identity->key[0] && identity->permissions[0]
               ? apr_pstrcat(p, identity->key, ".", identity->permissions, NULL)
               : NULL;
}

/* Whose part of the cache; NULL: nobody's */
static const char *partition(request_rec *r, edge_shared shared)
{
    const tenant_identity *identity = shared == EDGE_SHARED_PUBLIC ? NULL : edge_identity(r);
    const char *whose = edge_key_partition(r->pool, identity);

    if (shared == EDGE_SHARED_PUBLIC) {
        return "public";
    }
    return !whose || shared == EDGE_SHARED_PERMISSIONS
               ? whose
               : apr_psprintf(r->pool, "%s.%" APR_INT64_T_FMT, whose, identity->user);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rest_param *)a)->name, ((const rest_param *)b)->name);
}

/* What fields= and expand= come to is in a word of its own */
static int is_said_otherwise(const char *name, const char *fields)
{
    return fields && (!strcmp(name, "fields") || !strcmp(name, "expand"));
}

/* Queries that say the same have the same text; one that can't be read is kept as it is. */
static const char *query_of(request_rec *r)
{
    const char *fields = edge_fields_key(r), *text = "";
    apr_array_header_t *params;
    int i;

    if (!r->args || rest_query_parse(r->pool, r->args, &params)) {
        return r->args ? r->args : "";
    }
    qsort(params->elts, (size_t)params->nelts, (size_t)params->elt_size, by_name);
    for (i = 0; i < params->nelts; i++) {
        const rest_param *param = &APR_ARRAY_IDX(params, i, rest_param);

        if (!is_said_otherwise(param->name, fields)) {
            text = apr_pstrcat(r->pool, text, "&", ap_escape_urlencoded(r->pool, param->name), "=",
                               ap_escape_urlencoded(r->pool, param->value), NULL);
        }
    }
    return fields ? apr_pstrcat(r->pool, text, " ", fields, NULL) : text;
}

/* Whether escaping would leave a text as it is, as it does mostly. */
static int is_plain(const char *text, char also)
{
    for (; *text; text++) {
        if (!apr_isalnum(*text) && *text != '.' && *text != '-' && *text != '_' && *text != also) {
            return 0;
        }
    }
    return 1;
}

static const char *host_of(request_rec *r)
{
    const char *sent = apr_table_get(r->headers_in, "Host");
    char *host = apr_pstrdup(r->pool, sent ? sent : r->hostname ? r->hostname : "");

    ap_str_tolower(host);
    return is_plain(host, ':') ? host : ap_escape_urlencoded(r->pool, host);
}

/* Between two words. */
static const char *location_of(request_rec *r, const char *first, const char *last)
{
    return apr_pstrcat(r->pool, first, ap_http_scheme(r), "://", host_of(r), "|",
                       apr_itoa(r->pool, (int)ap_get_server_port(r)),
                       apr_pstrmemdup(r->pool, r->unparsed_uri, strcspn(r->unparsed_uri, "?#")), " ",
                       is_plain(r->uri, '/') ? r->uri : ap_escape_uri(r->pool, r->uri), "?",
                       query_of(r), last, NULL);
}

/* What is kept is found without the epochs, and then compared with them. */
static const char *ending(request_rec *r, const edge_request *own)
{
    char *text = apr_palloc(r->pool, EDGE_KEY_EPOCH + 1);

    text[0] = '#';
    og_hex(text + 1, (const unsigned char *)&own->epoch, sizeof(own->epoch));
    return text;
}

void edge_key_make(request_rec *r, edge_request *own)
{
    const char *whose = edge_family_kept(own->family) && !own->untagged && !edge_breaker_is_open()
                            ? partition(r, own->family->shared)
                            : NULL;

    if (whose) {
        /* where compression is not ours, what the client accepts is the origin's business and in
         * its Vary */
        own->key = location_of(r, apr_pstrcat(r->pool, whose, " GET ", NULL),
                               apr_pstrcat(r->pool, " ",
                                           own->conf->compress == 1 ? edge_coding_name(own->coding)
                                                                    : "any",
                                           ending(r, own), NULL));
        own->key_len = strlen(own->key) - EDGE_KEY_EPOCH;
    }
}

/* The optional function that mod_cache looks for by this name. */
static apr_status_t ap_cache_generate_key(request_rec *r, apr_pool_t *p, const char **key)
{
    const edge_request *own = edge_request_of(r);
    const char *whose;

    if (edge_breaker_is_open()) {
        return APR_EGENERAL;
    }
    if (own && own->family) {
        *key = own->key;
        return own->key ? APR_SUCCESS : APR_EGENERAL;
    }
    whose = edge_identity(r) ? partition(r, EDGE_SHARED_USER) : "anybody";
    if (!whose) {
        return APR_EGENERAL; /* somebody of no organisation */
    }
    *key = location_of(r, apr_pstrcat(p, whose, " ", NULL), "");
    return APR_SUCCESS;
}

void edge_key_register(apr_pool_t *p)
{
    rest_mac_register(p);
    APR_REGISTER_OPTIONAL_FN(ap_cache_generate_key);
}
