/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A poll's looks at the store, and its reply, see rt_poll.h. */
#include "rt_poll.h"

#include "og_clock.h"
#include "og_json.h"
#include "rest_reply.h"

#include <apr_general.h>
#include <apr_strings.h>

rt_poll *rt_poll_make(request_rec *r, const tenant_identity *caller)
{
    rt_poll *poll = rt_waitio_room(r);

    poll = poll ? poll : apr_palloc(r->pool, sizeof(*poll));
    memset(poll, 0, sizeof(*poll));
    poll->r = r;
    poll->caller = caller;
    poll->revision = caller->revision;
    poll->gap = RT_GAP_NONE;
    poll->began = og_clock_mono();
    return poll;
}

/* Where the poll starts, on its first scan; after that the cursor is of this ring. */
static rt_gap begin(rt_poll *poll, const rt_ring *ring)
{
    rt_gap gap = RT_GAP_NONE;

    if (poll->start == RT_START_CURSOR) {
        if (poll->cursor.epoch == rt_ring_epoch(ring)) {
            return RT_GAP_NONE;
        }
        gap = RT_GAP_EPOCH;
    }
    else if (poll->start == RT_START_FOREIGN) {
        gap = RT_GAP_FOREIGN;
    }
    poll->cursor.partition = poll->place.shard;
    poll->cursor.epoch = rt_ring_epoch(ring);
    poll->cursor.id = rt_ring_last_id(ring);
    return gap;
}

/* Copies the wanted among n records, oldest first, until the reply is full. */
static void collect(rt_poll *poll, const rt_ring *ring, int n)
{
    while (n--) {
        const rt_record *record = rt_ring_record(ring, poll->found[n]);

        if (rt_query_wants(&poll->query, poll->caller, record)) {
            if (!rt_batch_add(&poll->batch, record)) {
                poll->more = 1;
                break;
            }
            poll->oldest = poll->oldest ? poll->oldest : record->born;
        }
        poll->cursor.id = record->id;
    }
    rt_batch_keep(&poll->batch);
}

/* Everything behind the cursor, or the gap that there is. The tail is taken first: what comes while
 * this runs is behind it. */
static void read_ring(rt_poll *poll, rt_ring *ring, const rt_ring_keep *keep)
{
    apr_uint64_t tail = rt_ring_last_id(ring);
    int earliest = poll->start == RT_START_EARLIEST, lost = 0, n;
    apr_uint64_t newest;

    poll->gap = begin(poll, ring);
    poll->start = RT_START_CURSOR;
    poll->rate = rt_ring_visit(ring, &poll->place.whose, keep, &newest);
    /* an id ahead of the ring is for the scan to judge */
    if (poll->gap == RT_GAP_NONE
        && (earliest || newest > poll->cursor.id || poll->cursor.id > tail)) {
        if (!poll->found) { /* most looks find nothing, and most polls are parked */
            poll->found =
                apr_palloc(poll->r->pool, (apr_size_t)keep->events * sizeof(*poll->found));
        }
        n = rt_ring_scan(ring, &poll->place.whose, earliest ? 0 : poll->cursor.id, keep,
                         poll->found, &lost);
        if (lost && !earliest) {
            if (poll->batch.count) {
                return; /* while it lingered: what it has goes out, and the next poll learns it */
            }
            poll->gap = RT_GAP_EVICTED;
        }
        else {
            collect(poll, ring, n);
        }
    }
    if (!poll->more) {
        poll->cursor.id = tail; /* of a gap, too: never part of a stream with a hole in it */
    }
}

/* Under the shard's lock: whether a newer poll of its tab is there. Where an older one may wait, it
 * is to be rung: *children. */
static int is_replaced(rt_poll *poll, const rt_shard *locked, int stay, apr_uint32_t *children)
{
    rt_tabs_verdict verdict;

    if (!poll->tab) {
        return 0;
    }
    if (!poll->ticket) {
        poll->ticket = rt_tabs_draw(locked->tabs);
    }
    verdict = rt_tabs_look(locked->tabs, poll->tab, poll->ticket, stay);
    if (verdict == RT_TABS_REPLACES) {
        *children = rt_interest_children(locked->interest, poll->place.key);
    }
    return verdict == RT_TABS_REPLACED;
}

/* Under the shard's lock: it waits no more */
static void leave(rt_poll *poll, const rt_shard *locked)
{
    if (poll->waiting) {
        poll->waiting = 0;
        rt_interest_leave(locked->interest, poll->place.key, rt_bell_child());
        rt_waits_count(poll->wait, 0);
        if (poll->tab) {
            rt_tabs_leave(locked->tabs, poll->tab, poll->ticket);
        }
    }
}

/* Under the shard's lock */
static rt_look look(rt_poll *poll, const rt_shard *locked, int stay)
{
    rt_look result = RT_ANSWER;
    rt_ring_keep keep;

    rt_segment_keep(&keep);
    read_ring(poll, locked->ring, &keep);
    if (poll->gap == RT_GAP_NONE && !poll->batch.count) {
        result = RT_NOTHING;
        if (stay && !poll->waiting && rt_bell_child() >= 0) {
            poll->waiting = rt_interest_count(locked->interest, poll->place.key)
                                < (apr_uint64_t)rt_conf()->max_waiters
                            && rt_interest_join(locked->interest, poll->place.key, rt_bell_child());
            rt_waits_count(poll->wait, poll->waiting);
            result = poll->waiting ? RT_NOTHING : RT_FULL;
        }
    }
    return result;
}

rt_look rt_poll_look(rt_poll *poll, int stay)
{
    apr_uint32_t children = 0;
    rt_look result;
    rt_shard locked;

    if (!rt_segment_lock(poll->place.shard, &locked)) {
        return RT_LATE;
    }
    result = is_replaced(poll, &locked, stay, &children) ? RT_REPLACED : look(poll, &locked, stay);
    if (result != RT_NOTHING) {
        leave(poll, &locked); /* in the same hold, since the lock is dear */
    }
    rt_segment_unlock(poll->place.shard);
    if (children) {
        rt_bell_ring(children, poll->tab);
    }
    return rt_revoked_look(poll, result);
}

void rt_poll_stop_waiting(rt_poll *poll)
{
    rt_shard locked;

    if (!poll->waiting) {
        return;
    }
    if (rt_segment_lock(poll->place.shard, &locked)) {
        leave(poll, &locked);
        rt_segment_unlock(poll->place.shard);
    }
    else {
        poll->waiting = 0;
        rt_waits_count(poll->wait, 0);
        rt_bell_owe(poll->place.shard);
    }
}

/* What the client asked for at least, and what the org's burst asks for. */
static apr_interval_time_t linger_of(const rt_poll *poll)
{
    rt_burst_range range = rt_burst_linger(rt_dir_linger(poll->r), poll->rate);
    apr_interval_time_t own = 0;

    if (range.to) {
        own = apr_time_from_msec(rt_poll_jitter(range.from, range.to));
    }
    return own > poll->query.linger ? own : poll->query.linger;
}

int rt_poll_lingers(const rt_poll *poll, rt_look look, apr_time_t *until)
{
    apr_interval_time_t linger;

    if (look != RT_ANSWER || poll->gap != RT_GAP_NONE || poll->more || rt_waits_draining()) {
        return 0;
    }
    linger = linger_of(poll);
    *until = og_clock_mono() + linger;
    if (*until > poll->until) {
        *until = poll->until;
    }
    return linger > 0;
}

/* xorshift: what spreads clients need not be hard to guess, and asking the system is a call each */
int rt_poll_jitter(int from, int to)
{
    static _Thread_local apr_uint64_t state;

    if (!state
        && apr_generate_random_bytes((unsigned char *)&state, sizeof(state)) != APR_SUCCESS) {
        state = (apr_uint64_t)og_clock_mono();
    }
    state += !state;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return from + (int)((state >> 33) % (unsigned int)(to - from + 1));
}

const char *rt_gap_name(rt_gap gap)
{
    static const char *const names[] = { "none", "evicted", "epoch", "foreign" };

    return names[gap - RT_GAP_NONE];
}

static void write_gap(og_jsonw *w, const rt_poll *poll)
{
    og_jsonw_name(w, "gap");
    if (poll->gap == RT_GAP_NONE) {
        og_jsonw_null(w);
        return;
    }
    og_jsonw_begin(w, '{');
    og_jsonw_name(w, "reason");
    og_jsonw_string(w, rt_gap_name(poll->gap));
    og_jsonw_name(w, "since");
    og_jsonw_string(w, poll->query.cursor);
    og_jsonw_end(w, '}');
}

static const char *reply_json(const rt_poll *poll, rt_look look, const char *cursor, int retry_ms,
                              int drain)
{
    apr_time_t left = poll->expires - og_clock_mono();
    og_jsonw w;

    og_jsonw_init(&w, poll->r->pool, poll->batch.bytes + 512);
    og_jsonw_begin(&w, '{');
    og_jsonw_name(&w, "v");
    og_jsonw_int(&w, 1);
    og_jsonw_name(&w, "cursor");
    og_jsonw_string(&w, cursor);
    og_jsonw_name(&w, "events");
    og_jsonw_begin(&w, '[');
    rt_batch_write(&poll->batch, &w);
    og_jsonw_end(&w, ']');
    og_jsonw_name(&w, "more");
    og_jsonw_bool(&w, poll->more);
    write_gap(&w, poll);
    og_jsonw_name(&w, "retryMs");
    og_jsonw_int(&w, retry_ms);
    og_jsonw_name(&w, "authExpiresIn");
    og_jsonw_int(&w, left > 0 ? apr_time_sec(left) : 0);
    og_jsonw_name(&w, "reauth");
    og_jsonw_bool(&w, left <= 0);
    og_jsonw_name(&w, "drain");
    og_jsonw_bool(&w, drain);
    og_jsonw_name(&w, "degraded");
    og_jsonw_bool(&w, 0); /* the local bus is never lost */
    if (look == RT_REPLACED) {
        og_jsonw_name(&w, "replaced");
        og_jsonw_bool(&w, 1);
    }
    og_jsonw_end(&w, '}');
    return og_jsonw_text(&w);
}

void rt_poll_written(const rt_poll *poll)
{
    if (poll->oldest >= poll->began) { /* else it was there before the poll, which was not woken */
        og_histogram_add(&rt_segment_counters()->wake,
                         (apr_uint64_t)(og_clock_mono() - poll->oldest));
    }
}

static int unavailable(rt_poll *poll)
{
    rest_problem problem = { HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
                             "Events are not available at the moment. Please try again.", NULL, 0 };

    problem.retry_after = rt_poll_jitter(1, 5);
    poll->failure = "store";
    return rest_problem_send(poll->r, &problem);
}

static int reply(rt_poll *poll, rt_look look)
{
    request_rec *r = poll->r;
    rt_counters *counters = rt_segment_counters();
    int drain = rt_waits_draining(), retry_ms = look == RT_FULL ? rt_poll_jitter(2000, 5000) : 0;
    char cursor[RT_CURSOR_SIZE];
    rt_cursor_bond bond;
    const char *text;

    rt_segment_bond(&bond, &poll->place);
    if (!rt_cursor_write(cursor, &poll->cursor, &bond)) {
        return unavailable(poll);
    }
    if (drain) {
        retry_ms = rt_poll_jitter(100, 1000);
    }
    if (drain || look == RT_REPLACED) { /* the tab goes on on another connection */
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    atomic_fetch_add(&counters->delivered, (unsigned long long)poll->batch.count);
    atomic_fetch_add(&counters->superseded, (unsigned long long)poll->batch.superseded);
    if (poll->gap != RT_GAP_NONE) {
        atomic_fetch_add(&counters->gaps[poll->gap], 1);
    }
    text = reply_json(poll, look, cursor, retry_ms, drain);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "Server-Timing",
                   apr_psprintf(r->pool, "park;dur=%" APR_TIME_T_FMT,
                                apr_time_as_msec(og_clock_mono() - poll->began)));
    return rest_reply(r, HTTP_OK, "application/json", text, strlen(text));
}

int rt_poll_refuse(rt_poll *poll, const rest_problem *problem)
{
    poll->failure = problem->code;
    rt_log_poll(poll);
    return rest_problem_send(poll->r, problem);
}

int rt_poll_answer(rt_poll *poll, rt_look look)
{
    rt_counters *counters = rt_segment_counters();
    int rc = OK;

    rt_lease_give(poll);
    look = rt_revoked_look(poll, look);
    if (look == RT_LATE) {
        rc = unavailable(poll);
    }
    else if (look == RT_REVOKED) {
        rc = rt_revoked_send(poll);
    }
    else if (look == RT_GONE) {
        atomic_fetch_add(&counters->gone, 1);
        poll->r->connection->aborted = 1;
        poll->failure = "gone";
    }
    else {
        if (look == RT_FULL) { /* P§1's safe fallback: answered at once, and paced */
            atomic_fetch_add(&counters->pacing, 1);
            poll->failure = "waiter_cap";
        }
        atomic_fetch_add(&counters->replaced, look == RT_REPLACED);
        rc = reply(poll, look);
    }
    rt_log_poll(poll);
    return rc;
}
