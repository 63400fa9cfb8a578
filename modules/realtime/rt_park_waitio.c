/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Parking without a thread: the handler returns SUSPENDED, and the MPM watches the socket
 * (CONN_STATE_ASYNC_WAITIO, 2.4.63; parking.md has the sequence and why).
 *
 *   worker     BUSY ──handler──→ WANTS ──after the request's way through httpd──→ PARKED
 *   notifier   PARKED ──rung, or its time has come──→ CLAIMED ──→ PARKED again, or ANSWERED
 *   worker     readable: PARKED → BUSY (client gone, or it sends more), ANSWERED → BUSY
 *
 * Who may touch a connection and its request: the worker while BUSY or WANTS, the notifier while
 * CLAIMED, nobody else; a worker that finds CLAIMED waits for its end. All of a parking under the
 * lock of rt_waits.c. The notifier never touches c->cs, which is the MPM's. */
#include "rt_client.h"
#include "rt_poll.h"

#include "og_clock.h"
#include "rt_wheel.h"

#include <ap_mpm.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>
#include <sched.h>

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)

/* A core output filter with more than this in it blocks: the notifier must not (FlushMaxThreshold) */
#define NOTIFIER_WRITES_MAX (60 * 1024)

/* Polls that the notifier takes at a time: as the last of them is CLAIMED while the others are
 * answered, no more than a millisecond's */
#define CHUNK 32

/* A poll that has waited so long will, as a rule, wait for longer */
#define TIDY_AFTER apr_time_from_sec(2)

/* Blocks that a request leaves behind, as a rule, and the size that fits any of them */
#define BLOCKS_LEFT 3
#define BLOCK       4096

/* How often a worker lets others run before it sleeps until CLAIMED ends */
#define YIELDS 16

/* Deadlines are looked at so often: the wheel could do more, but only lingering asks for it */
#define TURN_EVERY apr_time_from_msec(50)

typedef enum { BUSY, WANTS, PARKED, CLAIMED, ANSWERED, IDLE } parking_state;

/* A connection that may park polls. Of c->pool. */
typedef struct parking {
    rt_wait wait;                 /* first */
    conn_rec *c;
    apr_bucket_brigade *input;    /* worker: scratch */
    rt_poll *poll;                /* NULL: no request is suspended */
    _Atomic parking_state state;  /* written under the lock, or by the worker whose it is */
    int inside;                   /* worker: our process_connection runs the others' */
    int polls;                    /* worker: it has had one */
    int away;                     /* worker: the MPM watches it, so state is not BUSY or WANTS */
    int rung;                     /* came while it was not PARKED, or is queued for the notifier */
    int awaited;                  /* a worker waits for CLAIMED to end */
    int by_worker;                /* the answer is too long for the notifier */
    int tidied;                   /* its connection has no free memory */
    rt_look look;                 /* … and this is what it answers */
    rt_wheel_item timer;          /* when the notifier looks at it in any case */
    int lingers;
    struct parking *queued;       /* next of who was rung */
    struct parking *next, **link; /* all that the MPM watches */
} parking;

/* child: */
static struct {
    atomic_int on;                /* set last at the child's start, which the notifier does not wait for */
    pthread_cond_t settled;
    parking *rung, **rung_end;    /* all below under the table's lock */
    rt_wheel wheel;
    int lingering;                /* how many of those on the wheel do */
    parking *watched;
    int drained;                  /* by the notifier */
} lot;

static parking *parking_of(const conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &realtime_lp_module);
}

/* Under lock */
static void enqueue(parking *own)
{
    own->queued = NULL;
    *lot.rung_end = own;
    lot.rung_end = &own->queued;
}

/* Under lock */
static void rouse(parking *own)
{
    if (!own->rung) {
        own->rung = 1;
        if (own->state == PARKED) {
            enqueue(own);
        }
    }
}

/* News: who lingers has some already, and looks when its time has come */
static void ring(rt_wait *wait, int urgent)
{
    parking *own = (parking *)wait;

    if (urgent || own->state != PARKED || !own->lingers) {
        rouse(own);
    }
}

/* Under lock */
static void unqueue(parking *own)
{
    parking **at = &lot.rung;

    while (*at && *at != own) {
        at = &(*at)->queued;
    }
    if (*at) {
        *at = own->queued;
        if (lot.rung_end == &own->queued) {
            lot.rung_end = at;
        }
    }
    own->rung = 0;
}

/* Under lock: look at it at its time. It starts or ends to linger off the wheel alone. */
static void put_on_wheel(parking *own)
{
    rt_wheel_add(&lot.wheel, &own->timer);
    lot.lingering += own->lingers;
}

static void take_off_wheel(parking *own)
{
    if (own->timer.link) {
        rt_wheel_remove(&own->timer);
        lot.lingering -= own->lingers;
    }
}

/* Under lock: the MPM watches it, or no more */
static void watch(parking *own)
{
    own->next = lot.watched;
    own->link = &lot.watched;
    if (own->next) {
        own->next->link = &own->next;
    }
    lot.watched = own;
}

static void unwatch(parking *own)
{
    if (own->link) {
        *own->link = own->next;
        if (own->next) {
            own->next->link = own->link;
        }
        own->link = NULL;
    }
}

/* Under lock: PARKED, and everything that came before it was is not forgotten */
static void settle(parking *own)
{
    own->state = PARKED;
    if (own->rung) {
        enqueue(own);
    }
    put_on_wheel(own);
    if (own->awaited) {
        pthread_cond_broadcast(&lot.settled);
    }
}

/* Notifier, CLAIMED: what requests before left in the connection's allocator goes back to the system;
 * it would be a third of what a parked poll takes. Not behind each request: a poll that is answered
 * soon uses it again, and giving back is the dearest call of all. */
static void tidy(parking *own)
{
    apr_allocator_t *allocator = apr_pool_allocator_get(own->c->pool);
    int i;

    apr_allocator_max_free_set(allocator, 1);
    for (i = 0; i < BLOCKS_LEFT; i++) {
        apr_memnode_t *block = apr_allocator_alloc(allocator, BLOCK);

        if (block) {
            apr_allocator_free(allocator, block); /* past the bound: not kept again */
        }
    }
    apr_allocator_max_free_set(allocator, ap_max_mem_free);
    own->tidied = 1;
}

/* Notifier, CLAIMED: it waits on. */
static int wait_on(parking *own)
{
    if (!own->lingers && !own->tidied && own->timer.at <= og_clock_mono()) {
        tidy(own);
        own->timer.at = own->poll->until;
    }
    return 0;
}

/* Notifier, CLAIMED: look, and answer when there is something to say. 1: answered */
static int answer(parking *own)
{
    rt_poll *poll = own->poll;
    apr_time_t until;

    own->look = own->lingers && own->timer.at > og_clock_mono() && !rt_waits_draining()
                    ? rt_revoked_look(poll, RT_NOTHING)
                    : rt_poll_look(poll, !own->lingers);
    if (own->lingers && own->look != RT_NOTHING) {
        own->look = RT_ANSWER; /* whatever this look came to: there was something to say before */
    }
    if (own->look == RT_NOTHING
        && (own->lingers || (poll->until > og_clock_mono() && !rt_waits_draining()))) {
        return wait_on(own);
    }
    if (!own->lingers && rt_poll_lingers(poll, own->look, &until)) {
        rt_poll_stop_waiting(poll);
        own->lingers = 1;
        own->timer.at = until;
        return 0;
    }
    rt_poll_stop_waiting(poll);
    if (poll->batch.bytes > NOTIFIER_WRITES_MAX) {
        own->by_worker = 1;
        rt_client_summon_worker(own->c);
        return 1;
    }
    rt_poll_answer(poll, own->look);
    rt_client_push(own->c);
    rt_poll_written(poll);
    if (own->c->data_in_output_filters || own->c->aborted
        || own->c->keepalive == AP_CONN_CLOSE) {
        rt_client_summon_worker(own->c);
    }
    return 1;
}

/* Notifier: the first of who were rung, CLAIMED, as a list of at most CHUNK, or NULL */
static parking *claim(int *busy, int *lingering)
{
    parking *first, **end = &first;
    int n;

    rt_waits_lock();
    *busy = lot.watched != NULL;
    *lingering = lot.lingering > 0;
    first = lot.rung;
    for (n = 0; *end && n < CHUNK; n++) {
        (*end)->rung = 0;
        (*end)->state = CLAIMED;
        take_off_wheel(*end);
        end = &(*end)->queued;
    }
    lot.rung = *end;
    if (!lot.rung) {
        lot.rung_end = &lot.rung;
    }
    *end = NULL;
    rt_waits_unlock();
    return first;
}

/* Under lock */
static void due(rt_wheel_item *timer)
{
    rouse((parking *)((char *)timer - APR_OFFSETOF(parking, timer)));
}

/* Under lock, once: polls are answered, and connections between two polls are done with; the MPM
 * would keep the child for their Timeout */
static void drain(void)
{
    parking *own;

    if (!lot.drained && rt_waits_draining()) {
        lot.drained = 1;
        for (own = lot.watched; own; own = own->next) {
            if (own->state == PARKED) {
                rouse(own);
            }
            else {
                rt_client_summon_worker(own->c);
            }
        }
    }
}

/* Notifier: the end of CLAIMED. A worker may have the connection from here on. */
static void let_go(parking *own, int answered)
{
    rt_waits_lock();
    if (answered) {
        rt_waits_part(&own->wait);
        own->state = ANSWERED;
        rt_waits_rest(1);
        if (own->awaited) {
            pthread_cond_broadcast(&lot.settled);
        }
    }
    else {
        settle(own);
    }
    rt_waits_unlock();
}

/* Notifier: some of who were rung. 0: there is none, *busy says whether there may be soon, and
 * *lingering whether it will be sooner than that */
static int serve_some(int *busy, int *lingering)
{
    parking *own = claim(busy, lingering), *next;
    int any = own != NULL;

    for (; own; own = next) {
        next = own->queued;
        let_go(own, answer(own));
    }
    return any;
}

apr_time_t rt_waitio_turn(void)
{
    apr_time_t now = og_clock_mono();
    int busy = 1, lingering = 0;

    if (!lot.on) {
        return now + APR_USEC_PER_SEC;
    }
    rt_waits_lock();
    rt_wheel_turn(&lot.wheel, now, due);
    drain();
    rt_waits_unlock();
    while (serve_some(&busy, &lingering)) {
    }
    return now + (lingering ? RT_WHEEL_TICK : busy ? TURN_EVERY : APR_USEC_PER_SEC);
}

/* Worker: the connection is this thread's alone. @return what it was */
static parking_state take_back(parking *own)
{
    parking_state was;
    int yields;

    /* the client that was just answered is quicker than the notifier, which had to let this thread run:
     * mostly it needs a moment of the processor, and seldom a sleep of ours */
    for (yields = 0; own->state == CLAIMED && yields < YIELDS; yields++) {
        sched_yield();
    }
    rt_waits_lock();
    while (own->state == CLAIMED) {
        own->awaited = 1;
        pthread_cond_wait(&lot.settled, rt_waits_mutex());
    }
    own->awaited = 0;
    was = own->state;
    own->state = BUSY;
    own->away = 0;
    if (was == PARKED) {
        unqueue(own);
        take_off_wheel(own);
    }
    else if (was == ANSWERED || was == IDLE) {
        rt_waits_rest(-1);
    }
    unwatch(own);
    rt_waits_unlock();
    return was;
}

/* Worker: have the MPM watch the connection. PARKED or IDLE; not when the child drains, and not IDLE
 * where that would take a place that other requests need: then the MPM may close it as any other
 * that is kept alive. */
static int give_away(parking *own, parking_state state)
{
    int given = 0, wake = 0;

    own->away = 1;
    own->c->cs->state = CONN_STATE_ASYNC_WAITIO;
    own->c->cs->sense = CONN_SENSE_WANT_READ;
    rt_waits_lock();
    if (!lot.drained && (state == PARKED || rt_waits_room())) {
        given = 1;
        wake = own->rung || !lot.watched; /* it has slept long without any */
        watch(own);
        own->state = state;
        if (state == PARKED) {
            settle(own);
        }
        else {
            rt_waits_rest(1);
        }
    }
    rt_waits_unlock();
    if (!given) {
        own->away = 0;
        own->c->cs->state = CONN_STATE_WRITE_COMPLETION;
        own->c->cs->sense = CONN_SENSE_DEFAULT;
    }
    if (wake) {
        rt_bell_nudge();
    }
    return given;
}

/* Worker: the end of a request that was suspended. 1: the connection can take the next one */
static int end_request(parking *own)
{
    conn_rec *c = own->c;
    request_rec *r = own->poll->r;

    own->poll = NULL;
    ap_process_request_after_handler(r);
    return c->cs->state == CONN_STATE_WRITE_COMPLETION && c->keepalive == AP_CONN_KEEPALIVE
           && !c->aborted && !c->data_in_output_filters;
}

/* Worker: answer a poll that is this thread's. */
static int answer_here(parking *own, rt_look look)
{
    own->state = BUSY;
    rt_poll_stop_waiting(own->poll);
    rt_waits_leave(&own->wait);
    rt_poll_answer(own->poll, look);
    rt_client_push(own->c);
    rt_poll_written(own->poll);
    return end_request(own);
}

/* Worker, WANTS: park it. 1: parked, 0: answered, and *more says whether requests may follow */
static int park(parking *own, int *more)
{
    rt_poll *poll = own->poll;
    apr_interval_time_t longest = rt_places_longest(poll->r->server);
    rt_look look = RT_FULL;

    *more = 0;
    own->rung = 0;
    own->lingers = 0;
    own->by_worker = 0;
    /* the MPM closes what waits longer than Timeout, the client's pause behind the answer included */
    if (poll->until > poll->began + longest) {
        poll->until = poll->began + longest;
    }
    own->tidied = 0;
    own->timer.at = og_clock_mono() + TIDY_AFTER;
    if (own->timer.at > poll->until) {
        own->timer.at = poll->until;
    }
    own->wait.key = poll->place.key;
    own->wait.tab = poll->tab;
    poll->wait = &own->wait;
    if (own->c->data_in_output_filters) {
        rt_client_push(own->c); /* an answer before this one, which did not wait to be sent alone */
    }
    /* what was read already never makes the socket readable: a client that sends several polls at
     * once is paced */
    if (!own->c->data_in_output_filters && !own->c->aborted
        && rt_client_look(own->c, own->input) != RT_DATA_CAME && rt_waits_join(&own->wait)) {
        look = rt_poll_look(poll, 1);
        if (look == RT_NOTHING && give_away(own, PARKED)) {
            return 1;
        }
        if (rt_poll_lingers(poll, look, &own->timer.at)) {
            rt_poll_stop_waiting(poll);
            own->lingers = 1;
            if (give_away(own, PARKED)) {
                return 1;
            }
        }
    }
    *more = answer_here(own, look);
    return 0;
}

/* Worker: the socket of a parked connection is readable. 1: go on with the next request */
static int resume(parking *own)
{
    parking_state was = take_back(own);
    conn_rec *c = own->c;
    rt_incoming what = rt_client_look(own->c, own->input);

    if (was == PARKED && what == RT_NOTHING_CAME && give_away(own, PARKED)) {
        return 0;
    }
    if (was == PARKED) {
        /* more behind a poll that waits, or the end of the child: no poll waits then */
        int more = answer_here(own, what == RT_END_CAME && !rt_waits_draining() ? RT_GONE
                                    : what == RT_DATA_CAME ? RT_FULL : RT_NOTHING);

        if (more && what == RT_DATA_CAME) {
            c->cs->state = CONN_STATE_PROCESSING;
            return 1;
        }
        return 0;
    }
    if (was == ANSWERED) {
        if (own->by_worker) {
            c->keepalive = AP_CONN_CLOSE; /* its reading side is shut */
            rt_poll_answer(own->poll, own->look);
            rt_client_push(c);
            rt_poll_written(own->poll);
        }
        if (!end_request(own)) {
            if (what == RT_END_CAME) {
                c->keepalive = AP_CONN_CLOSE;
            }
            return 0;
        }
    }
    if (what == RT_NOTHING_CAME && (give_away(own, IDLE) || !rt_waits_draining())) {
        return 0;
    }
    c->cs->state = what == RT_DATA_CAME ? CONN_STATE_PROCESSING : CONN_STATE_LINGER;
    return what == RT_DATA_CAME;
}

/* Worker: after an answer the client's next poll is on its way. The MPM would wait for it with
 * KEEPALIVE, and closes such connections whenever all its workers are busy. */
static void await_next(parking *own)
{
    conn_rec *c = own->c;

    if (!own->polls || c->cs->state != CONN_STATE_WRITE_COMPLETION
        || c->keepalive != AP_CONN_KEEPALIVE || c->aborted || c->data_in_input_filters) {
        return;
    }
    rt_client_push(c);
    if (c->aborted) {
        c->cs->state = CONN_STATE_LINGER;
    }
    else if (!c->data_in_output_filters) {
        give_away(own, IDLE);
    }
}

static apr_status_t forget(void *data)
{
    parking *own = data;

    take_back(own);
    if (own->poll) {
        rt_poll_stop_waiting(own->poll);
    }
    rt_waits_leave(&own->wait);
    return APR_SUCCESS;
}

static parking *make(conn_rec *c)
{
    parking *own = apr_pcalloc(c->pool, sizeof(*own));

    own->c = c;
    own->input = apr_brigade_create(c->pool, c->bucket_alloc);
    own->wait.ring = ring;
    ap_set_module_config(c->conn_config, &realtime_lp_module, own);
    apr_pool_pre_cleanup_register(c->pool, own, forget);
    return own;
}

static int process_connection(conn_rec *c)
{
    parking *own = parking_of(c);
    int rc = OK, more = 1;

    if (!lot.on || c->master || !c->cs || c->clogging_input_filters || (own && own->inside)) {
        return DECLINED;
    }
    own = own ? own : make(c);
    if (own->away && !resume(own)) {
        return OK;
    }
    while (more) {
        own->inside = 1;
        rc = ap_run_process_connection(c);
        own->inside = 0;
        if (own->state != WANTS) {
            await_next(own);
            return rc;
        }
        if (park(own, &more)) {
            return OK;
        }
        if (more && c->data_in_input_filters) {
            c->cs->state = CONN_STATE_PROCESSING;
        }
        else {
            await_next(own);
            more = 0;
        }
    }
    return rc;
}

/* The MPM closes a connection of its own accord: Timeout. What is suspended ends here. */
static int pre_close(conn_rec *c)
{
    parking *own = c->master ? NULL : parking_of(c);

    if (own && own->away) {
        take_back(own);
        if (own->poll) {
            rt_poll_stop_waiting(own->poll);
            rt_waits_leave(&own->wait);
            c->aborted = 1;
            end_request(own);
        }
    }
    return OK;
}

void rt_waitio_expect(const conn_rec *c)
{
    parking *own = lot.on && !c->master ? parking_of(c) : NULL;

    if (own) {
        own->polls = 1;
    }
}

int rt_waitio_takes(rt_poll *poll)
{
    conn_rec *c = poll->r->connection;
    parking *own = lot.on && !c->master ? parking_of(c) : NULL;

    if (!own || !own->inside || poll->r->main || poll->r->prev) {
        return 0;
    }
    own->poll = poll;
    own->state = WANTS;
    return 1;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    int can = 0;

    if (!rt_places_get()->waitio || rt_bell_child() < 0
        || ap_mpm_query(AP_MPMQ_CAN_WAITIO, &can) != APR_SUCCESS || !can) {
        return;
    }
    pthread_cond_init(&lot.settled, NULL);
    lot.rung_end = &lot.rung;
    rt_wheel_start(&lot.wheel, og_clock_mono());
    lot.on = 1;
    rt_waits_most(rt_places_get()->a_child);
}

void rt_waitio_register(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_LAST);
    ap_hook_process_connection(process_connection, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_pre_close_connection(pre_close, NULL, NULL, APR_HOOK_MIDDLE);
}

#else

void rt_waitio_expect(const conn_rec *c)
{
}

int rt_waitio_takes(rt_poll *poll)
{
    return 0;
}

apr_time_t rt_waitio_turn(void)
{
    return og_clock_mono() + APR_USEC_PER_SEC;
}

void rt_waitio_register(apr_pool_t *p)
{
}

#endif
