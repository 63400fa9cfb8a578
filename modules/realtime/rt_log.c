/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* P§1's lines: one a poll, of what an incident needs and nothing else: no token, no cursor, no
 * event. What the client sent is cut and escaped. */
#include "rt.h"

#include "og_clock.h"
#include "rest_query.h"

#include <apr_strings.h>

#define TEXT_MAX 80

static const char *cut(request_rec *r, const char *text)
{
    return text ? ap_escape_logitem(r->pool, apr_pstrndup(r->pool, text, TEXT_MAX)) : "-";
}

/* One in RealtimeLogIdle of those that ended without events or failure. */
static int is_sampled(const request_rec *r)
{
    static atomic_ullong idle;
    apr_int64_t every = rt_dir(r)->log_idle;

    if (every == OG_UNSET) {
        every = 1;
    }
    return every && atomic_fetch_add(&idle, 1) % (unsigned long long)every == 0;
}

void rt_log_poll(request_rec *r, const tenant_identity *caller, const char *failure, int events,
                 apr_time_t began)
{
    apr_int64_t ms = apr_time_as_msec(og_clock_mono() - began);
    const char *origin = cut(r, apr_table_get(r->headers_in, "Origin"));
    const char *agent = cut(r, apr_table_get(r->headers_in, "User-Agent"));
    apr_array_header_t *params;
    const char *property = NULL;

    if (!failure && !events && !is_sampled(r)) {
        return;
    }
    if (!rest_query_parse(r->pool, r->args, &params)) {
        property = rest_query_get(params, "propertyId");
    }
    if (failure) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1505)
                      "[RealtimeSubscribe][failure] reason=%s orgId=%" APR_INT64_T_FMT
                      " userId=%" APR_INT64_T_FMT " propertyId=%s origin=\"%s\" ua=\"%s\" "
                      "durationMs=%" APR_INT64_T_FMT, failure, caller->org, caller->user,
                      cut(r, property), origin, agent, ms);
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1506)
                  "[RealtimeSubscribe][completed] events=%d orgId=%" APR_INT64_T_FMT
                  " userId=%" APR_INT64_T_FMT " propertyId=%s origin=\"%s\" ua=\"%s\" "
                  "durationMs=%" APR_INT64_T_FMT, events, caller->org, caller->user,
                  cut(r, property), origin, agent, ms);
}
