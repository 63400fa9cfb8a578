/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "realtime-metrics": what P§1 asks of getRealtimeBufferMetrics(). An organisation sees
 * its own buffer; an admin the totals of the server. */
#include "rt_poll.h"

#include "og_json.h"
#include "rest_reply.h"

#include <apr_strings.h>

static void write_number(og_jsonw *w, const char *name, apr_int64_t value)
{
    og_jsonw_name(w, name);
    og_jsonw_int(w, value);
}

static void write_count(og_jsonw *w, const char *name, atomic_ullong *counter)
{
    write_number(w, name, (apr_int64_t)atomic_load(counter));
}

static void write_quantile(og_jsonw *w, const char *name, const og_histogram_copy *wake,
                           int per_mille)
{
    og_jsonw_name(w, name);
    if (wake->count) {
        og_jsonw_int(w, og_histogram_quantile(wake, per_mille));
    }
    else {
        og_jsonw_null(w);
    }
}

/* Since the server started; from the buckets of two readings come the quantiles between them. */
static void write_wake(og_jsonw *w, apr_pool_t *p)
{
    og_histogram_copy *wake = apr_palloc(p, sizeof(*wake));
    int i;

    og_histogram_read(&rt_segment_counters()->wake, wake);
    og_jsonw_name(w, "wakeMicros");
    og_jsonw_begin(w, '{');
    write_number(w, "count", (apr_int64_t)wake->count);
    write_quantile(w, "p50", wake, 500);
    write_quantile(w, "p95", wake, 950);
    write_quantile(w, "p99", wake, 990);
    og_jsonw_name(w, "max");
    if (wake->count) {
        og_jsonw_int(w, (apr_int64_t)wake->max);
    }
    else {
        og_jsonw_null(w);
    }
    og_jsonw_name(w, "buckets");
    og_jsonw_begin(w, '[');
    for (i = 0; i < OG_HISTOGRAM_BUCKETS; i++) {
        if (wake->buckets[i]) {
            og_jsonw_begin(w, '[');
            og_jsonw_int(w, (apr_int64_t)og_histogram_top(i));
            og_jsonw_int(w, (apr_int64_t)wake->buckets[i]);
            og_jsonw_end(w, ']');
        }
    }
    og_jsonw_end(w, ']');
    og_jsonw_end(w, '}');
}

static void write_children(og_jsonw *w)
{
    rt_bell_parking parking;
    int i;

    og_jsonw_name(w, "children");
    og_jsonw_begin(w, '[');
    for (i = 0; i < RT_CHILDREN; i++) {
        if (rt_bell_look(i, &parking)) {
            og_jsonw_begin(w, '{');
            write_number(w, "pid", parking.pid);
            write_number(w, "waitio", parking.waitio);
            write_number(w, "condvar", parking.condvar);
            og_jsonw_end(w, '}');
        }
    }
    og_jsonw_end(w, ']');
}

/* 0 when the store is not to be had */
static int write_store(og_jsonw *w)
{
    rt_ring_usage usage;

    if (!rt_segment_usage(&usage)) {
        return 0;
    }
    og_jsonw_name(w, "store");
    og_jsonw_begin(w, '{');
    write_number(w, "bytes", (apr_int64_t)usage.bytes);
    write_number(w, "bytesUsed", (apr_int64_t)usage.bytes_used);
    write_number(w, "slots", (apr_int64_t)usage.slots);
    write_number(w, "slotsUsed", (apr_int64_t)usage.slots_used);
    write_number(w, "evicted", (apr_int64_t)usage.evicted);
    og_jsonw_end(w, '}');
    return 1;
}

static int write_totals(og_jsonw *w, apr_pool_t *p)
{
    rt_counters *counters = rt_segment_counters();
    int gap;

    og_jsonw_name(w, "totals");
    og_jsonw_begin(w, '{');
    write_number(w, "parked", rt_bell_parked_total());
    write_number(w, "parkedMost", rt_conf()->max_parked);
    write_children(w);
    write_count(w, "polls", &counters->polls);
    write_count(w, "published", &counters->published);
    write_count(w, "delivered", &counters->delivered);
    write_count(w, "superseded", &counters->superseded);
    og_jsonw_name(w, "dropped");
    og_jsonw_begin(w, '{');
    write_count(w, "duplicate", &counters->duplicates);
    write_count(w, "late", &counters->late);
    write_count(w, "tooLarge", &counters->too_large);
    og_jsonw_end(w, '}');
    og_jsonw_name(w, "gaps");
    og_jsonw_begin(w, '{');
    for (gap = RT_GAP_EVICTED; gap <= RT_GAP_FOREIGN; gap++) {
        write_count(w, rt_gap_name((rt_gap)gap), &counters->gaps[gap]);
    }
    og_jsonw_end(w, '}');
    write_count(w, "paced", &counters->pacing);
    write_count(w, "gone", &counters->gone);
    write_count(w, "replaced", &counters->replaced);
    write_count(w, "revoked", &counters->revoked);
    write_count(w, "buffersGivenBack", &counters->given_back);
    if (!write_store(w)) {
        return 0;
    }
    write_wake(w, p);
    og_jsonw_end(w, '}');
    return 1;
}

/* The organisation's own; 0 when the store is not to be had. */
static int write_own(og_jsonw *w, request_rec *r, const tenant_identity *caller)
{
    apr_int64_t bytes = 0;
    apr_uint32_t waiters;
    apr_uint64_t *found;
    rt_ring_keep keep;
    rt_shard locked;
    rt_place place;
    int events, gap, i;

    rt_segment_keep(&keep);
    found = apr_palloc(r->pool, (apr_size_t)keep.events * sizeof(*found));
    if (!rt_segment_place(&place, rt_dir(r)->domain, caller->org)
        || !rt_segment_lock(place.shard, &locked)) {
        return 0;
    }
    events = rt_ring_scan(locked.ring, &place.whose, 0, &keep, found, &gap);
    for (i = 0; i < events; i++) {
        bytes += rt_ring_record(locked.ring, found[i])->size;
    }
    waiters = rt_interest_count(locked.interest, place.key);
    rt_segment_unlock(place.shard);
    write_number(w, "orgId", caller->org);
    write_number(w, "buffered", events);
    write_number(w, "bufferedBytes", bytes);
    write_number(w, "bufferSize", keep.events);
    write_number(w, "waiters", waiters);
    write_number(w, "waitersMost", rt_conf()->max_waiters);
    return 1;
}

static int handler(request_rec *r)
{
    static const rest_problem late = { HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
                                       "Metrics are not available at the moment.", NULL, 1 };
    const tenant_identity *caller;
    og_jsonw w;

    if (!r->handler || strcmp(r->handler, "realtime-metrics") != 0 || !rt_dir(r)->domain) {
        return DECLINED;
    }
    if (r->method_number != M_GET) {
        return rt_method_not_allowed(r, "GET, HEAD");
    }
    caller = rt_caller(r);
    if (!caller) {
        return rt_caller_missing(r);
    }
    og_jsonw_init(&w, r->pool, 1024);
    og_jsonw_begin(&w, '{');
    og_jsonw_name(&w, "domain");
    og_jsonw_string(&w, rt_dir(r)->domain);
    if ((caller->org && !write_own(&w, r, caller))
        || (!strcmp(caller->role, "admin") && !write_totals(&w, r->pool))) {
        return rest_problem_send(r, &late);
    }
    og_jsonw_end(&w, '}');
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return rest_reply(r, HTTP_OK, "application/json", w.text, w.len);
}

void rt_metrics_register(apr_pool_t *p)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
