/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "realtime-metrics": what P§1 asks of getRealtimeBufferMetrics(). An organisation sees
 * its own buffer; an admin the totals of the server. */
#include "rt.h"

#include "og_json.h"
#include "rest_reply.h"

#include <apr_strings.h>

static void write_count(og_jsonw *w, const char *name, atomic_ullong *counter)
{
    og_jsonw_name(w, name);
    og_jsonw_int(w, (apr_int64_t)atomic_load(counter));
}

static void write_totals(og_jsonw *w)
{
    rt_counters *counters = rt_segment_counters();
    int i;

    og_jsonw_name(w, "totals");
    og_jsonw_begin(w, '{');
    og_jsonw_name(w, "parked");
    og_jsonw_int(w, rt_bell_parked_total());
    write_count(w, "polls", &counters->polls);
    write_count(w, "published", &counters->published);
    write_count(w, "delivered", &counters->delivered);
    write_count(w, "superseded", &counters->superseded);
    og_jsonw_name(w, "dropped");
    og_jsonw_begin(w, '{');
    write_count(w, "duplicate", &counters->duplicates);
    write_count(w, "refused", &counters->refused);
    og_jsonw_end(w, '}');
    og_jsonw_name(w, "gaps");
    og_jsonw_begin(w, '{');
    write_count(w, "evicted", &counters->gaps[0]);
    write_count(w, "epoch", &counters->gaps[1]);
    write_count(w, "foreign", &counters->gaps[2]);
    og_jsonw_end(w, '}');
    write_count(w, "paced", &counters->pacing);
    write_count(w, "gone", &counters->gone);
    write_count(w, "replaced", &counters->replaced);
    write_count(w, "buffersGivenBack", &counters->given_back);
    write_count(w, "revoked", &counters->revoked);
    /* element n: wakes that took less than 2^(n+1) microseconds from publish to write */
    og_jsonw_name(w, "wakeMicrosLog2");
    og_jsonw_begin(w, '[');
    for (i = 0; i < RT_WAKE_BUCKETS; i++) {
        og_jsonw_int(w, (apr_int64_t)atomic_load(&counters->wake[i]));
    }
    og_jsonw_end(w, ']');
    og_jsonw_end(w, '}');
}

/* The organisation's own; 0 when the store is not to be had. */
static int write_own(og_jsonw *w, request_rec *r, const tenant_identity *caller)
{
    apr_uint32_t waiters;
    apr_uint64_t *found;
    rt_ring_keep keep;
    rt_shard locked;
    rt_place place;
    int events, gap;

    rt_segment_keep(&keep);
    found = apr_palloc(r->pool, (apr_size_t)keep.events * sizeof(*found));
    if (!rt_segment_place(&place, rt_dir(r)->domain, caller->org)
        || !rt_segment_lock(place.shard, &locked)) {
        return 0;
    }
    events = rt_ring_scan(locked.ring, &place.whose, 0, &keep, found, &gap);
    waiters = rt_interest_count(locked.interest, place.key);
    rt_segment_unlock(place.shard);
    og_jsonw_name(w, "orgId");
    og_jsonw_int(w, caller->org);
    og_jsonw_name(w, "buffered");
    og_jsonw_int(w, events);
    og_jsonw_name(w, "bufferSize");
    og_jsonw_int(w, keep.events);
    og_jsonw_name(w, "waiters");
    og_jsonw_int(w, waiters);
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
    if (caller->org && !write_own(&w, r, caller)) {
        return rest_problem_send(r, &late);
    }
    if (!strcmp(caller->role, "admin")) {
        write_totals(&w);
    }
    og_jsonw_end(&w, '}');
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return rest_reply(r, HTTP_OK, "application/json", w.text, w.len);
}

void rt_metrics_register(apr_pool_t *p)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
