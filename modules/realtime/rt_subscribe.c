/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "realtime-subscribe": one long poll (realtime.md, "Endpoint").
 *
 * A poll scans its organisation's events behind its cursor under the shard's lock and copies what
 * it wants; when that is nothing, it says in the same critical section that it waits. A publisher
 * appends and sees who waits in one critical section too: either the poll saw the event or the
 * publisher saw the poll. */
#include "rt_poll.h"

#include "og_clock.h"

#include <apr_strings.h>
#include <http_protocol.h>

#define TAB_MAX 64

/* Until when the poll may be parked: its wait less up to a tenth, so that a cohort spreads, and
 * never past the token. One clock for deadline and reply: a poll that the token ended says so. */
static apr_time_t park_until(rt_poll *poll)
{
    apr_time_t now = og_clock_mono();
    apr_time_t wait = poll->query.wait - poll->query.wait / 1000 * rt_poll_jitter(0, 100);

    poll->expires = now + poll->caller->expires - og_clock_wall();
    return now + wait < poll->expires ? now + wait : poll->expires;
}

/* The cursor parameter: where to start. 1, or 0 and *problem. */
static int read_cursor(rt_poll *poll, rest_problem *problem)
{
    const char *text = poll->query.cursor;

    poll->start = RT_START_NOW;
    if (!text || !strcmp(text, "now")) {
        return 1;
    }
    if (!strcmp(text, "earliest")) {
        poll->start = RT_START_EARLIEST;
        return 1;
    }
    switch (rt_segment_read_cursor(&poll->cursor, text, &poll->place)) {
    case RT_CURSOR_OK:
        poll->start = RT_START_CURSOR;
        return 1;
    case RT_CURSOR_FOREIGN:
        poll->start = RT_START_FOREIGN;
        return 1;
    default:
        problem->status = HTTP_BAD_REQUEST;
        problem->code = "invalid_request";
        problem->detail = "cursor is not one that a poll gave.";
        return 0;
    }
}

/* Realtime-Tab, where there is one. 1, or 0 and *problem. */
static int read_tab(rt_poll *poll, rest_problem *problem)
{
    const char *tab = apr_table_get(poll->r->headers_in, "Realtime-Tab");

    if (!tab) {
        return 1;
    }
    if (!rt_is_made_of(tab, TAB_MAX, "_-", 1)) {
        problem->status = HTTP_BAD_REQUEST;
        problem->code = "invalid_request";
        problem->detail = "Realtime-Tab must be 1 to 64 of [A-Za-z0-9_-].";
        return 0;
    }
    poll->tab = rt_segment_tab(&poll->place, poll->caller->user, tab);
    return 1;
}

/* Whether an Accept header takes JSON: absent, or a range that covers it. */
static int accepts_json(const request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    return !accept || ap_strcasestr(accept, "application/json") || ap_strcasestr(accept, "*/*")
           || ap_strcasestr(accept, "application/*");
}

/* What the request is wrong in: its problem, which may be *problem, or NULL. */
static const rest_problem *read_request(rt_poll *poll, rest_problem *problem)
{
    static const rest_problem not_acceptable = { HTTP_NOT_ACCEPTABLE, "not_acceptable",
                                                 "Events come as application/json.", NULL, 0 };
    static const rest_problem no_org = { HTTP_FORBIDDEN, "forbidden",
                                         "The caller is of no organisation.", NULL, 0 };

    if (!poll->caller->org) {
        return &no_org;
    }
    if (!accepts_json(poll->r)) {
        return &not_acceptable;
    }
    if (!rt_query_read(poll->r, poll->caller, &poll->query, problem)
        || !read_cursor(poll, problem) || !read_tab(poll, problem)) {
        return problem;
    }
    return NULL;
}

static int run(rt_poll *poll, int may_wait)
{
    rt_look look;
    int rc, waits;

    poll->query.wait = may_wait ? poll->query.wait : 0;
    rt_batch_init(&poll->batch, poll->r->pool, (int)poll->query.limit,
                  rt_dir(poll->r)->coalesce != 0, rt_segment_seed());
    poll->until = park_until(poll);
    atomic_fetch_add(&rt_segment_counters()->polls, 1);
    waits = og_clock_mono() < poll->until && !rt_waits_draining();
    if (waits && rt_waitio_takes(poll)) {
        return SUSPENDED; /* it looks when it is there, and is answered there */
    }
    look = rt_poll_look(poll, 0);
    if (look == RT_NOTHING && waits) {
        look = rt_park_cond(poll);
    }
    rc = rt_poll_answer(poll, look);
    rt_poll_written(poll); /* into the connection's filters: this thread writes it when it ends */
    return rc;
}

/* Who parks a request ends it later, and nobody reads on for it then: a body that is still there
 * would be taken for the client's next request. */
static int read_body(request_rec *r)
{
    return ap_request_has_body(r) ? ap_discard_request_body(r) : OK;
}

int rt_subscribe(request_rec *r, int may_wait)
{
    const tenant_identity *caller;
    const rest_problem *wrong;
    rest_problem problem = { 0 };
    rt_poll *poll;
    int rc;

    if (r->method_number != M_GET || r->header_only) {
        return rt_method_not_allowed(r, "GET");
    }
    caller = rt_caller(r);
    if (!caller) {
        return rt_caller_missing(r);
    }
    rc = read_body(r);
    if (rc != OK) {
        return rc;
    }
    rt_waitio_expect(r->connection);
    poll = rt_poll_make(r, caller);
    if (caller->org && !rt_segment_place(&poll->place, rt_dir(r)->domain, caller->org)) {
        return rt_poll_answer(poll, RT_LATE);
    }
    wrong = read_request(poll, &problem);
    wrong = wrong ? wrong : rt_lease_take(poll);
    return wrong ? rt_poll_refuse(poll, wrong) : run(poll, may_wait);
}

static int handler(request_rec *r)
{
    if (!r->handler || strcmp(r->handler, "realtime-subscribe") != 0 || !rt_dir(r)->domain) {
        return DECLINED;
    }
    return rt_subscribe(r, 1);
}

void rt_subscribe_register(apr_pool_t *p)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
