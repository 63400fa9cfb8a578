/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The handler "realtime-subscribe": one long poll (realtime.md, "Endpoint").
 *
 * A poll scans its organisation's events behind its cursor under the shard's lock and copies what
 * it wants; when that is nothing, it says in the same critical section that it waits. A publisher
 * appends and sees who waits in one critical section too: either the poll saw the event or the
 * publisher saw the poll. */
#include "rt.h"

#include "og_clock.h"
#include "og_json.h"
#include "rest_reply.h"

#include <apr_general.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <http_core.h>
#include <sys/socket.h>

/* How often a parked poll looks whether its client is still there, and for events where the child
 * has no doorbell */
#define LOOK_EVERY   APR_USEC_PER_SEC
#define LOOK_UNRUNG  apr_time_from_msec(250)

typedef enum { GAP_NONE = -1, GAP_EVICTED, GAP_EPOCH, GAP_FOREIGN } gap_reason;

typedef enum { START_NOW, START_EARLIEST, START_CURSOR, START_FOREIGN } start_point;

typedef struct poll_state {
    request_rec *r;
    const tenant_identity *caller;
    rt_query query;
    rt_place place;
    start_point start;
    rt_cursor cursor;          /* last scanned */
    apr_uint64_t *found;       /* scratch for one scan: positions, newest first */
    apr_array_header_t *json;  /* of char: events, separated by commas */
    int events;
    int more;
    gap_reason gap;
    rt_wait *wait;             /* while it is parked */
    int waiting;               /* counted among who waits for the org */
    apr_int64_t oldest;        /* monotonic: when the oldest event of the reply was published */
    apr_time_t began;
    apr_time_t expires;        /* monotonic: when the token does */
    const char *failure;       /* for the log, or NULL */
} poll_state;

/* What a scan came to. */
typedef enum { NOTHING, ANSWER, FULL, LATE } scan_result;

/* Where the poll starts, on its first scan; after that the cursor is of this ring. */
static gap_reason begin(poll_state *poll, const rt_ring *ring)
{
    gap_reason gap = GAP_NONE;

    if (poll->start == START_CURSOR) {
        if (poll->cursor.epoch == rt_ring_epoch(ring)) {
            return GAP_NONE;
        }
        gap = GAP_EPOCH;
    }
    else if (poll->start == START_FOREIGN) {
        gap = GAP_FOREIGN;
    }
    poll->cursor.partition = poll->place.shard;
    poll->cursor.epoch = rt_ring_epoch(ring);
    poll->cursor.id = rt_ring_last_id(ring);
    return gap;
}

static void append(apr_array_header_t *bytes, const char *text, apr_size_t len)
{
    apr_array_header_t chunk = { bytes->pool, 1, (int)len, (int)len, (char *)text };

    apr_array_cat(bytes, &chunk);
}

/* Copies the wanted among n records, oldest first, until the reply is full. */
static void collect(poll_state *poll, const rt_ring *ring, int n)
{
    while (n--) {
        const rt_record *record = rt_ring_record(ring, poll->found[n]);

        if (rt_query_wants(&poll->query, poll->caller, record)) {
            if (poll->events == poll->query.limit
                || (poll->events
                    && (apr_size_t)poll->json->nelts + record->json_len > RT_REPLY_MAX)) {
                poll->more = 1;
                return;
            }
            if (poll->events++) {
                append(poll->json, ",", 1);
            }
            append(poll->json, rt_record_json(record), record->json_len);
            poll->oldest = poll->oldest ? poll->oldest : record->born;
        }
        poll->cursor.id = record->id;
    }
}

/* Everything behind the cursor, or the gap that there is. The tail is taken first: what comes while
 * this runs is behind it. */
static void read_ring(poll_state *poll, const rt_ring *ring)
{
    apr_uint64_t tail = rt_ring_last_id(ring);
    int earliest = poll->start == START_EARLIEST, lost = 0, n;
    rt_ring_keep keep;

    poll->gap = begin(poll, ring);
    poll->start = START_CURSOR;
    rt_segment_keep(&keep);
    if (poll->gap == GAP_NONE) {
        n = rt_ring_scan(ring, &poll->place.whose, earliest ? 0 : poll->cursor.id, &keep,
                         poll->found, &lost);
        if (lost && !earliest) {
            if (poll->events) {
                return; /* while it lingered: what it has goes out, and the next poll learns it */
            }
            poll->gap = GAP_EVICTED;
        }
        else {
            collect(poll, ring, n);
        }
    }
    if (!poll->more) {
        poll->cursor.id = tail; /* of a gap, too: never part of a stream with a hole in it */
    }
}

/* One look under the lock. When there is nothing, and the poll is one that stays, it is counted as
 * waiting before the lock is let go. */
static scan_result scan(poll_state *poll, int stay)
{
    scan_result result = ANSWER;
    rt_shard locked;

    if (!rt_segment_lock(poll->place.shard, &locked)) {
        return LATE;
    }
    read_ring(poll, locked.ring);
    if (poll->gap == GAP_NONE && !poll->events) {
        result = NOTHING;
        if (stay && !poll->waiting && rt_bell_child() >= 0) {
            poll->waiting = rt_interest_count(locked.interest, poll->place.key)
                                < (apr_uint64_t)rt_conf()->max_waiters
                            && rt_interest_join(locked.interest, poll->place.key, rt_bell_child());
            rt_park_count(poll->wait, poll->waiting);
            result = poll->waiting ? NOTHING : FULL;
        }
    }
    rt_segment_unlock(poll->place.shard);
    return result;
}

static void stop_waiting(poll_state *poll)
{
    rt_shard locked;

    if (!poll->waiting) {
        return;
    }
    poll->waiting = 0;
    if (rt_segment_lock(poll->place.shard, &locked)) {
        rt_interest_leave(locked.interest, poll->place.key, rt_bell_child());
        rt_park_count(poll->wait, 0);
        rt_segment_unlock(poll->place.shard);
    }
    else {
        rt_park_count(poll->wait, 0);
        rt_bell_owe(poll->place.shard);
    }
}

/* Whether the client has hung up: a read of nothing where nothing was sent. */
static int is_gone(const request_rec *r)
{
    apr_socket_t *socket = ap_get_conn_socket(r->connection);
    apr_os_sock_t fd;
    char byte;

    if (r->connection->aborted || !socket || r->connection->master
        || apr_os_sock_get(&fd, socket) != APR_SUCCESS) {
        return r->connection->aborted;
    }
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Parks until there is something to say. */
static scan_result park(poll_state *poll, apr_time_t until)
{
    scan_result result;

    poll->wait = rt_park_join(poll->r->pool, poll->place.key);
    if (!poll->wait) {
        return FULL;
    }
    result = scan(poll, 1);
    while (result == NOTHING && og_clock_mono() < until && !rt_park_draining()) {
        apr_time_t look = og_clock_mono() + (poll->waiting ? LOOK_EVERY : LOOK_UNRUNG);

        rt_park_sleep(poll->wait, look < until ? look : until);
        if (is_gone(poll->r)) {
            poll->r->connection->aborted = 1;
            break;
        }
        result = scan(poll, 1);
    }
    stop_waiting(poll);
    /* what follows the first event within linger goes with it */
    if (result == ANSWER && poll->gap == GAP_NONE && poll->query.linger && !poll->more
        && !rt_park_draining()) {
        apr_time_t last = og_clock_mono() + poll->query.linger;

        last = last < until ? last : until;
        while (og_clock_mono() < last && !rt_park_draining()) {
            rt_park_sleep(poll->wait, last);
        }
        scan(poll, 0); /* whatever it comes to: there is something to say already */
    }
    rt_park_leave(poll->wait);
    return result;
}

static int jitter(int from, int to)
{
    unsigned char random[4];
    unsigned int value = 0;

    if (apr_generate_random_bytes(random, sizeof(random)) == APR_SUCCESS) {
        memcpy(&value, random, sizeof(value));
    }
    return from + (int)(value % (unsigned int)(to - from + 1));
}

static void write_gap(og_jsonw *w, const poll_state *poll)
{
    static const char *const reasons[] = { "evicted", "epoch", "foreign" };

    og_jsonw_name(w, "gap");
    if (poll->gap == GAP_NONE) {
        og_jsonw_null(w);
        return;
    }
    og_jsonw_begin(w, '{');
    og_jsonw_name(w, "reason");
    og_jsonw_string(w, reasons[poll->gap]);
    og_jsonw_name(w, "since");
    og_jsonw_string(w, poll->query.cursor);
    og_jsonw_end(w, '}');
}

static const char *reply_json(const poll_state *poll, const char *cursor, int retry_ms, int drain)
{
    apr_time_t left = poll->expires - og_clock_mono();
    og_jsonw w;

    og_jsonw_init(&w, poll->r->pool, (apr_size_t)poll->json->nelts + 512);
    og_jsonw_begin(&w, '{');
    og_jsonw_name(&w, "v");
    og_jsonw_int(&w, 1);
    og_jsonw_name(&w, "cursor");
    og_jsonw_string(&w, cursor);
    og_jsonw_name(&w, "events");
    og_jsonw_begin(&w, '[');
    if (poll->events) {
        og_jsonw_raw(&w, poll->json->elts, (apr_size_t)poll->json->nelts);
    }
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
    og_jsonw_end(&w, '}');
    return og_jsonw_text(&w);
}

/* Published to written, in powers of two of microseconds; not of what was there before the poll */
static void count_wake(const poll_state *poll)
{
    apr_time_t took = og_clock_mono() - poll->oldest;
    int bucket = 0;

    if (!poll->oldest || poll->oldest < poll->began) {
        return;
    }
    while (took > 1 && bucket < RT_WAKE_BUCKETS - 1) {
        took >>= 1;
        bucket++;
    }
    atomic_fetch_add(&rt_segment_counters()->wake[bucket], 1);
}

static int reply(poll_state *poll, int retry_ms)
{
    request_rec *r = poll->r;
    rt_counters *counters = rt_segment_counters();
    int drain = rt_park_draining();
    char cursor[RT_CURSOR_SIZE];
    rt_cursor_bond bond;
    const char *text;

    rt_segment_bond(&bond, &poll->place);
    if (!rt_cursor_write(cursor, &poll->cursor, &bond)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (drain) {
        r->connection->keepalive = AP_CONN_CLOSE;
        retry_ms = jitter(100, 1000);
    }
    atomic_fetch_add(&counters->delivered, (unsigned long long)poll->events);
    if (poll->gap != GAP_NONE) {
        atomic_fetch_add(&counters->gaps[poll->gap], 1);
    }
    text = reply_json(poll, cursor, retry_ms, drain);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "Server-Timing",
                   apr_psprintf(r->pool, "park;dur=%" APR_TIME_T_FMT,
                                apr_time_as_msec(og_clock_mono() - poll->began)));
    count_wake(poll);
    return rest_reply(r, HTTP_OK, "application/json", text, strlen(text));
}

static int unavailable(poll_state *poll)
{
    rest_problem problem = { HTTP_SERVICE_UNAVAILABLE, "upstream_unavailable",
                             "Events are not available at the moment. Please try again.", NULL, 0 };

    problem.retry_after = jitter(1, 5);
    poll->failure = "store";
    return rest_problem_send(poll->r, &problem);
}

/* Until when the poll may be parked: its wait less up to a tenth, so that a cohort spreads, and
 * never past the token. One clock for deadline and reply: a poll that the token ended says so. */
static apr_time_t park_until(poll_state *poll)
{
    apr_time_t now = og_clock_mono();
    apr_time_t wait = poll->query.wait - poll->query.wait / 1000 * jitter(0, 100);

    poll->expires = now + poll->caller->expires - og_clock_wall();
    return now + wait < poll->expires ? now + wait : poll->expires;
}

static int run(poll_state *poll)
{
    apr_time_t until = park_until(poll);
    scan_result result = scan(poll, 0);

    if (result == NOTHING && og_clock_mono() < until && !rt_park_draining()) {
        result = park(poll, until);
    }
    if (result == LATE) {
        return unavailable(poll);
    }
    if (poll->r->connection->aborted) {
        atomic_fetch_add(&rt_segment_counters()->gone, 1);
        poll->failure = "gone";
        return OK;
    }
    if (result == FULL) { /* P§1's safe fallback: answered at once, and paced */
        atomic_fetch_add(&rt_segment_counters()->pacing, 1);
        poll->failure = "waiter_cap";
    }
    return reply(poll, result == FULL ? jitter(2000, 5000) : 0);
}

static int refuse(poll_state *poll, const rest_problem *problem)
{
    poll->failure = problem->code;
    return rest_problem_send(poll->r, problem);
}

/* The cursor parameter: where to start. 1, or 0 and *problem. */
static int read_cursor(poll_state *poll, rest_problem *problem)
{
    const char *text = poll->query.cursor;
    rt_cursor_bond bond;

    poll->start = START_NOW;
    if (!text || !strcmp(text, "now")) {
        return 1;
    }
    if (!strcmp(text, "earliest")) {
        poll->start = START_EARLIEST;
        return 1;
    }
    rt_segment_bond(&bond, &poll->place);
    switch (rt_cursor_read(&poll->cursor, text, strlen(text), &bond)) {
    case RT_CURSOR_OK:
        poll->start = START_CURSOR;
        return 1;
    case RT_CURSOR_FOREIGN:
        poll->start = START_FOREIGN;
        return 1;
    default:
        problem->status = HTTP_BAD_REQUEST;
        problem->code = "invalid_request";
        problem->detail = "cursor is not one that a poll gave.";
        return 0;
    }
}

/* Whether an Accept header takes JSON: absent, or a range that covers it. */
static int accepts_json(const request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    return !accept || ap_strcasestr(accept, "application/json") || ap_strcasestr(accept, "*/*")
           || ap_strcasestr(accept, "application/*");
}

static int serve(poll_state *poll)
{
    static const rest_problem not_acceptable = { HTTP_NOT_ACCEPTABLE, "not_acceptable",
                                                 "Events come as application/json.", NULL, 0 };
    static const rest_problem no_org = { HTTP_FORBIDDEN, "forbidden",
                                         "The caller is of no organisation.", NULL, 0 };
    request_rec *r = poll->r;
    rest_problem problem = { 0 };

    if (!poll->caller->org) {
        return refuse(poll, &no_org);
    }
    if (!accepts_json(r)) {
        return refuse(poll, &not_acceptable);
    }
    if (!rt_segment_place(&poll->place, rt_dir(r)->domain, poll->caller->org)) {
        return unavailable(poll);
    }
    if (!rt_query_read(r, poll->caller, &poll->query, &problem) || !read_cursor(poll, &problem)) {
        return refuse(poll, &problem);
    }
    poll->found = apr_palloc(r->pool, (apr_size_t)rt_conf()->buffer_size * sizeof(*poll->found));
    poll->json = apr_array_make(r->pool, 1024, 1);
    atomic_fetch_add(&rt_segment_counters()->polls, 1);
    return run(poll);
}

static int handler(request_rec *r)
{
    poll_state poll = { r };
    int rc;

    if (!r->handler || strcmp(r->handler, "realtime-subscribe") != 0 || !rt_dir(r)->domain) {
        return DECLINED;
    }
    if (r->method_number != M_GET || r->header_only) {
        return rt_method_not_allowed(r, "GET");
    }
    poll.caller = rt_caller(r);
    if (!poll.caller) {
        return rt_caller_missing(r);
    }
    poll.began = og_clock_mono();
    poll.gap = GAP_NONE;
    rc = serve(&poll);
    rt_log_poll(r, poll.caller, poll.failure, poll.events, poll.began);
    return rc;
}

void rt_subscribe_register(apr_pool_t *p)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}
