/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What mod_cache keeps things under (http-semantics.md 3):
 *
 *     TENANT.PERMISSIONS[.USER] GET SERVER SCHEME://HOST|PORT/PATH /PATH?QUERY
 *         [FIELDS] CODING#EPOCH
 *
 * The first word comes from who was verified, never from a header; without it there is no key, and
 * nothing is kept or found (fail closed). The server is the one whose configuration answers: which
 * one that is a client can't say by its Host, with whatever port. Host is the field as it was sent,
 * since backends may see it, and so may the path as it was spelt (B18), which stands before the one
 * that is meant; that is escaped, so that no character of it passes for a '?'. The query is in the
 * order of its names. mod_cache asks for a key on each server where this module is loaded, so
 * locations without EdgeCache get one as well: whoever is verified there has a part of the cache of
 * his own. Once the breaker cross_tenant is open there are no keys.
 */
#include "edge.h"

#include "og_mac.h"
#include "rest_mac.h"
#include "rest_query.h"

#include <apr_lib.h>
#include <apr_siphash.h>
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

/* A text that is put together at the end */
typedef struct {
    struct iovec part[24];
    int count;
} words;

static inline void put(words *to, const char *text)
{
    to->part[to->count].iov_base = (char *)text;
    to->part[to->count++].iov_len = strlen(text);
}

/* Whose part of the cache. @return 0: nobody's */
static int put_partition(words *to, request_rec *r, edge_shared shared)
{
    const tenant_identity *identity = shared == EDGE_SHARED_PUBLIC ? NULL : edge_identity(r);

    if (shared == EDGE_SHARED_PUBLIC) {
        put(to, "public");
        return 1;
    }
    if (!identity || !identity->key[0] || !identity->permissions[0]) {
        return 0;
    }
    put(to, identity->key);
    put(to, ".");
    put(to, identity->permissions);
    if (shared != EDGE_SHARED_PERMISSIONS) {
        put(to, ".");
        put(to, apr_off_t_toa(r->pool, identity->user));
    }
    return 1;
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
static const char *query_of(request_rec *r, const char *fields)
{
    apr_array_header_t *params;
    const char *text = "";
    int i;

    if (rest_query_parse(r->pool, r->args, &params)) {
        return r->args;
    }
    qsort(params->elts, (size_t)params->nelts, (size_t)params->elt_size, by_name);
    for (i = 0; i < params->nelts; i++) {
        const rest_param *param = &APR_ARRAY_IDX(params, i, rest_param);

        if (!is_said_otherwise(param->name, fields)) {
            text = apr_pstrcat(r->pool, text, "&", ap_escape_urlencoded(r->pool, param->name),
                               param->value == rest_query_bare ? "" : "=",
                               ap_escape_urlencoded(r->pool, param->value), NULL);
        }
    }
    return fields ? apr_pstrcat(r->pool, text, " ", fields, NULL) : text;
}

/* A bit for each character that escaping leaves as it is: '-', '.', digits; capitals, '_', small
 * letters. */
static const apr_uint64_t plain[4] = { 0x03ff600000000000, 0x07fffffe87fffffe };

/* Those that are in the host of a key: no capitals, but ':'. */
static const apr_uint64_t lower[4] = { 0x07ff600000000000, 0x07fffffe80000000 };

static int is_in(const apr_uint64_t set[4], char c)
{
    return set[(unsigned char)c >> 6] >> ((unsigned char)c & 63) & 1;
}

static const char *host_of(request_rec *r)
{
    const char *sent = apr_table_get(r->headers_in, "Host"), *at;
    int is_plain = 1;
    char *host, *c;

    sent = sent ? sent : r->hostname ? r->hostname : "";
    for (at = sent; is_in(lower, *at); at++) {
    }
    if (!*at) {
        return sent;
    }
    host = apr_pstrdup(r->pool, sent);
    for (c = host; *c; c++) {
        *c = (char)apr_tolower(*c);
        is_plain &= is_in(lower, *c);
    }
    return is_plain ? host : ap_escape_urlencoded(r->pool, host);
}

static const char *path_of(request_rec *r)
{
    const char *c;

    for (c = r->uri; is_in(plain, *c) || *c == '/'; c++) {
    }
    return *c ? ap_escape_uri(r->pool, r->uri) : r->uri;
}

static void put_location(words *to, request_rec *r)
{
    const edge_server_conf *conf = ap_get_module_config(r->server->module_config, &edge_module);

    put(to, conf->name);
    put(to, " ");
    put(to, ap_http_scheme(r));
    put(to, "://");
    put(to, host_of(r));
    put(to, "|");
    put(to, apr_itoa(r->pool, (int)ap_get_server_port(r)));
    put(to, r->unparsed_uri);
    to->part[to->count - 1].iov_len = strcspn(r->unparsed_uri, "?#");
    put(to, " ");
    put(to, path_of(r));
    put(to, "?");
    if (r->args) {
        put(to, query_of(r, edge_fields_key(r)));
    }
}

/* What a body says is in no key, and a backend may look at one whatever the method is. */
static int has_body(const request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    return apr_table_get(r->headers_in, "Transfer-Encoding")
           || (length && strcmp(length, "0") != 0);
}

void edge_key_make(request_rec *r, edge_request *own)
{
    char epoch[EDGE_KEY_EPOCH + 1] = "#";
    words text = { .count = 0 };

    if (edge_family_kept(own->family) && !own->untagged && !has_body(r) && !edge_breaker_is_open()
        && put_partition(&text, r, own->family->shared)) {
        put(&text, " GET ");
        put_location(&text, r);
        put(&text, " ");
        /* where compression is not ours, what the client accepts is the origin's business and in
         * its Vary */
        put(&text, own->conf->compress == 1 ? edge_coding_name(own->coding) : "any");
        /* what is kept is found without the epochs, and then compared with them */
        og_hex(epoch + 1, (const unsigned char *)&own->epoch, sizeof(own->epoch));
        put(&text, epoch);
        own->key = apr_pstrcatv(r->pool, text.part, (apr_size_t)text.count, &own->key_len);
        own->key_len -= EDGE_KEY_EPOCH;
    }
}

/* The optional function that mod_cache looks for by this name. */
static apr_status_t ap_cache_generate_key(request_rec *r, apr_pool_t *p, const char **key)
{
    const edge_request *own = edge_request_of(r);
    words text = { .count = 0 };

    if (edge_breaker_is_open()) {
        return APR_EGENERAL;
    }
    if (own && own->family) {
        *key = own->key;
        return own->key ? APR_SUCCESS : APR_EGENERAL;
    }
    if (!edge_identity(r)) {
        put(&text, "anybody");
    }
    else if (!put_partition(&text, r, EDGE_SHARED_USER)) {
        return APR_EGENERAL; /* somebody of no organisation */
    }
    put(&text, " ");
    put_location(&text, r);
    *key = apr_pstrcatv(p, text.part, (apr_size_t)text.count, NULL);
    return APR_SUCCESS;
}

/* What makes a server another one than its neighbours, and stays over reloads, since entries do. */
static const char *described(apr_pool_t *p, const server_rec *s)
{
    const char *text = apr_psprintf(p, "%s|%d|%s|%u", s->server_hostname, (int)s->port,
                                    s->defn_name, s->defn_line_number);
    const server_addr_rec *each;

    for (each = s->addrs; each; each = each->next) {
        text = apr_psprintf(p, "%s|%s|%d", text, each->virthost, (int)each->host_port);
    }
    return text;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    static const unsigned char nothing_to_hide[APR_SIPHASH_KSIZE];

    for (; s; s = s->next) {
        /* servers without a directive of ours have one in common */
        edge_server_conf *conf = apr_pmemdup(pconf, ap_get_module_config(s->module_config,
                                                                         &edge_module),
                                             sizeof(*conf));
        const char *text = described(ptemp, s);
        apr_uint64_t hash = apr_siphash24(text, strlen(text), nothing_to_hide);
        char *name = apr_palloc(pconf, 2 * sizeof(hash) + 1);

        og_hex(name, (const unsigned char *)&hash, sizeof(hash));
        conf->name = name;
        ap_set_module_config(s->module_config, &edge_module, conf);
    }
    return OK;
}

void edge_key_register(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    rest_mac_register(p);
    APR_REGISTER_OPTIONAL_FN(ap_cache_generate_key);
}
