/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Cache-Status (RFC 9211): what mod_cache did with a request, as it tells in its own hook. */
#include "edge.h"

#include <apr_optional_hooks.h>
#include <apr_strings.h>
#include <mod_cache.h>

static int note(cache_handle_t *h, request_rec *r, apr_table_t *headers, ap_cache_status_e status,
                const char *reason)
{
    edge_request *own = edge_request_of(r);

    if (!own) {
        return DECLINED;
    }
    switch (status) {
    case AP_CACHE_HIT:
        own->outcome = EDGE_HIT;
        own->on_error = reason && strstr(reason, "stale content") != NULL;
        break;
    case AP_CACHE_REVALIDATE:
        own->outcome = EDGE_REVALIDATED;
        break;
    case AP_CACHE_MISS:
        own->outcome = reason && strstr(reason, "attempting entity save") ? EDGE_STORED
                                                                         : EDGE_NOT_STORED;
        break;
    default:
        break;
    }
    return DECLINED;
}

const char *edge_status_text(apr_pool_t *p, const edge_request *own)
{
    const char *collapsed = own->collapsed ? "; collapsed" : "";

    switch (own->outcome) {
    case EDGE_HIT:
        return own->on_error ? "orgscale; fwd=stale; detail=STALE_IF_ERROR"
                             : apr_pstrcat(p, "orgscale; hit",
                                           own->was_stale ? "; detail=STALE_WHILE_REVALIDATE" : "",
                                           collapsed, NULL);
    case EDGE_REVALIDATED:
        return "orgscale; fwd=stale; fwd-status=304; stored";
    case EDGE_STORED:
        return own->was_stale ? "orgscale; fwd=stale; stored" : "orgscale; fwd=uri-miss; stored";
    case EDGE_NOT_STORED:
        return own->was_stale ? "orgscale; fwd=stale" : "orgscale; fwd=uri-miss";
    default:
        return own->key ? "orgscale; fwd=miss" : "orgscale; fwd=bypass";
    }
}

void edge_status_register(apr_pool_t *p)
{
    APR_OPTIONAL_HOOK(cache, cache_status, note, NULL, NULL, APR_HOOK_MIDDLE);
}
