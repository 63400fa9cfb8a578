/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Cache-Status (RFC 9211): what mod_cache did with a request, as it leaves in the environment for
 * logs (cache-hit, cache-miss, cache-revalidate). Its hook would tell the same, but only to who is
 * loaded behind it. */
#include "edge.h"

#include <apr_strings.h>
#include <mod_cache.h>

static const char *said(const request_rec *r, const char *name)
{
    return apr_table_get(r->subprocess_env, name);
}

static const char *of_hit(apr_pool_t *p, const edge_request *own, const char *reason)
{
    if (strstr(reason, "stale content")) {
        return "orgscale; fwd=stale; detail=STALE_IF_ERROR";
    }
    if (!own->was_stale && !own->collapsed) {
        return "orgscale; hit";
    }
    return apr_pstrcat(p, "orgscale; hit", own->was_stale ? "; detail=STALE_WHILE_REVALIDATE" : "",
                       own->collapsed ? "; collapsed" : "", NULL);
}

const char *edge_status_text(request_rec *r, const edge_request *own)
{
    const char *hit = said(r, AP_CACHE_HIT_ENV), *miss = said(r, AP_CACHE_MISS_ENV);

    if (hit) {
        return of_hit(r->pool, own, hit);
    }
    if (said(r, AP_CACHE_REVALIDATE_ENV)) {
        return "orgscale; fwd=stale; fwd-status=304; stored";
    }
    if (!own->key || !miss) {
        return "orgscale; fwd=bypass";
    }
    return apr_pstrcat(r->pool, "orgscale; fwd=", own->was_stale ? "stale" : "uri-miss",
                       strstr(miss, "attempting entity save") ? "; stored" : "", NULL);
}
