/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What comes in: copies of our internal headers go before any other hook can believe them, and
 * the request gets its id. */
#include "tenant.h"

#include "rest_fields.h"

#include <apr_strings.h>
#include <http_protocol.h>

#define REQUEST_ID "X-Request-Id"
#define REQUEST_ID_MAX 64
#define EARLY_DATA "Early-Data"

/* Names that no client may send; what modules of ours set for each other. */
static int forged(const char *name)
{
    int i;

    for (i = 0; tenant_edge_headers[i]; i++) {
        if (rest_fields_same(name, tenant_edge_headers[i])) {
            return 1;
        }
    }
    return rest_fields_same(name, "X-Org-Id") || rest_fields_same(name, REQUEST_ID)
           || rest_fields_same(name, EARLY_DATA) || tenant_forwards(name);
}

static void drop_forged(request_rec *r)
{
    const apr_array_header_t *fields = apr_table_elts(r->headers_in);
    const apr_table_entry_t *field = (const apr_table_entry_t *)fields->elts;
    apr_array_header_t *names = NULL;
    int i;

    for (i = 0; i < fields->nelts; i++) {
        if (field[i].key && forged(field[i].key)) {
            if (!names) {
                names = apr_array_make(r->pool, 4, sizeof(const char *));
            }
            APR_ARRAY_PUSH(names, const char *) = field[i].key;
        }
    }
    for (i = 0; names && i < names->nelts; i++) {
        apr_table_unset(r->headers_in, APR_ARRAY_IDX(names, i, const char *));
    }
}

/* A client that names our headers in Connection would have a proxy drop them (B11). */
static void keep_ours_end_to_end(request_rec *r)
{
    const char *list = apr_table_get(r->headers_in, "Connection"), *kept = NULL;
    char *word;
    int dropped = 0;

    while (list && (word = ap_get_list_item(r->pool, &list))) {
        if (forged(word) || rest_fields_same(word, "Authorization")
            || rest_fields_same(word, "Idempotency-Key")) {
            dropped = 1;
        }
        else {
            kept = kept ? apr_pstrcat(r->pool, kept, ", ", word, NULL) : word;
        }
    }
    if (dropped && kept) {
        apr_table_setn(r->headers_in, "Connection", kept);
    }
    else if (dropped) {
        apr_table_unset(r->headers_in, "Connection");
    }
}

static int id_ok(const char *id)
{
    apr_size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789._-");

    return len && len <= REQUEST_ID_MAX && !id[len];
}

static int receive(request_rec *r)
{
    const char *sent;
    int early;

    /* an internal redirect comes here, too: by then both is done */
    if (!tenant_server_get(r->server)->active || r->main || r->prev) {
        return DECLINED;
    }
    sent = apr_table_get(r->headers_in, REQUEST_ID);
    if (sent && id_ok(sent) && tenant_trusted(r)) {
        tenant_request_of(r)->id = sent;
    }
    /* RFC 8470 5.1: whatever it says and however often, it says 1, and it is passed on */
    early = apr_table_get(r->headers_in, EARLY_DATA) && tenant_trusted(r);
    drop_forged(r);
    keep_ours_end_to_end(r);
    apr_table_setn(r->headers_in, REQUEST_ID, tenant_request_id(r));
    if (early) {
        tenant_request_of(r)->early = 1;
        apr_table_setn(r->headers_in, EARLY_DATA, "1");
    }
    return DECLINED;
}

void tenant_ingress_register(apr_pool_t *p)
{
    ap_hook_post_read_request(receive, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
