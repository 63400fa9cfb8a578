/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* P§1's lines: one a poll, of what an incident needs and nothing else: no token, no cursor, no
 * event. What the client sent is cut and escaped. */
#include "rt_poll.h"

#include "og_clock.h"
#include "rest_query.h"

#include <apr_strings.h>

#define TEXT_MAX 80

/* At most TEXT_MAX bytes, and what is not plain as %XX: a backslash, which the error log would
 * double, a quote, and whatever a terminal obeys. What is between two quotes ends at the second. */
static const char *cut(request_rec *r, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *shown, *to;
    int i;

    if (!text) {
        return "-";
    }
    shown = to = apr_palloc(r->pool, 3 * TEXT_MAX + 1);
    for (i = 0; i < TEXT_MAX && text[i]; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\' || byte == '%') {
            *to++ = '%';
            *to++ = hex[byte >> 4];
            *to++ = hex[byte & 15];
        }
        else {
            *to++ = (char)byte;
        }
    }
    *to = '\0';
    return shown;
}

/* One in RealtimeLogIdle of those that ended without events, gap or failure. */
static int is_sampled(const request_rec *r)
{
    static atomic_ullong idle;
    apr_int64_t every = rt_dir(r)->log_idle;

    if (every == OG_UNSET) {
        every = 1;
    }
    return every && atomic_fetch_add(&idle, 1) % (unsigned long long)every == 0;
}

static const char *property_asked(const request_rec *r)
{
    apr_array_header_t *params;

    return rest_query_parse(r->pool, r->args, &params) ? NULL
                                                       : rest_query_get(params, "propertyId");
}

void rt_log_poll(const rt_poll *poll)
{
    request_rec *r = poll->r;
    const char *who;

    if (!APLOG_R_IS_LEVEL(r, APLOG_INFO)) {
        return; /* before the line is made, which is dear */
    }
    if (!poll->failure && !poll->batch.count && poll->gap == RT_GAP_NONE && !is_sampled(r)) {
        return;
    }
    who = apr_psprintf(r->pool, "orgId=%" APR_INT64_T_FMT " userId=%" APR_INT64_T_FMT
                       " propertyId=\"%s\" origin=\"%s\" ua=\"%s\" durationMs=%" APR_TIME_T_FMT,
                       poll->caller->org, poll->caller->user, cut(r, property_asked(r)),
                       cut(r, apr_table_get(r->headers_in, "Origin")),
                       cut(r, apr_table_get(r->headers_in, "User-Agent")),
                       apr_time_as_msec(og_clock_mono() - poll->began));
    if (poll->failure) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1505)
                      "[RealtimeSubscribe][failure] reason=%s %s", poll->failure, who);
        return;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, OGLOGNO(1506)
                  "[RealtimeSubscribe][completed] events=%d gap=%s %s", poll->batch.count,
                  rt_gap_name(poll->gap), who);
}
