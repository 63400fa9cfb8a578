/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The notifier's own connections, see rt_park_owned.h and, for their states, rt_lot.h.
 *
 * What the hand-over from the MPM's listener to a worker costs is half of what a poll costs, and a
 * client that waits for news has nothing else to say: its next poll differs from the last one in
 * the cursor alone. Such a poll the notifier runs itself. Whatever is not known to be one (another
 * head, an incomplete one, a body, what follows unasked) may wait for the client, a backend or a
 * disk, and is run by a worker, who gives the connection back behind it. */
#include "rt_park_owned.h"

#include "og_clock.h"
#include "rt_ahead.h"
#include "rt_parking.h"

#include <ap_mpm.h>
#include <apr_portable.h>
#include <http_connection.h>
#include <http_core.h>
#include <poll.h>
#include <sched.h>
#include <scoreboard.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)

/* Sockets that are seen to at a time: between two times the doorbell is heard, and all who were
 * rung are answered, since nobody waits for his next poll to be parked */
#define BATCH 32

/* A timed callback in the future would not be looked at in time (parking.md) */
#define LONG_PAST (-apr_time_from_sec(3600))

/* How long a client may go on sending behind the end, as with the MPM */
#define CLOSING_WITHIN apr_time_from_sec(30)
#define CLOSING_SHORT  apr_time_from_sec(2)

/* The MPM's worker is done with a connection a moment after the notifier may touch it, and must not
 * find its memory gone */
#define KEPT_FOR apr_time_from_sec(1)

/* A poll that took so long, and slept, waited for something that it must not wait for here: workers
 * run the next ones */
#define SLOW         apr_time_from_msec(10)
#define WORKERS_TAKE apr_time_from_sec(5)

/* Reads of what a client sends behind the end, at a time */
#define READS 4

struct rt_owned {
    ap_sb_handle_t *sbh;    /* the MPM's, for workers */
    apr_time_t since;       /* when it was adopted */
    apr_uint64_t known;     /* of the head of its polls (rt_head.h); 0: none yet */
    int unheard;            /* its socket may have said something while nobody listened */
    int sending;            /* listened to for room to write */
    int ended;              /* nothing but its memory is left */
};

/* child: */
static struct {
    atomic_int epoll; /* -1: not open; set at the child's start */
    struct epoll_event events[BATCH]; /* all below the notifier's */
    int count;
    apr_time_t workers_until;
    long slept; /* how often it has, before these events */
    char scratch[4096]; /* what is passed over */
} owned = { .epoll = -1 };

static int fd_of(const rt_parking *own)
{
    apr_os_sock_t fd = -1;
    apr_socket_t *socket = ap_get_conn_socket(own->c);

    return socket && apr_os_sock_get(&fd, socket) == APR_SUCCESS ? fd : -1;
}

/* Edges: a socket that is not read says nothing twice */
static int listen_to(rt_parking *own, int operation, int sending)
{
    struct epoll_event what = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = own };

    what.events |= sending ? EPOLLOUT : 0;
    return epoll_ctl(owned.epoll, operation, fd_of(own), &what) == 0;
}

void rt_owned_open(server_rec *s)
{
    struct epoll_event bell = { .events = EPOLLIN | EPOLLET };
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, rt_bell_fd(), &bell)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, APR_FROM_OS_ERROR(errno), s, OGLOGNO(1525)
                     "RealtimePark owned: no epoll descriptor for this child; its polls are parked "
                     "by waitio");
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    owned.epoll = fd;
    rt_bell_nudge();
}

int rt_owned_adopt(rt_parking *own)
{
    rt_owned *mine;

    if (owned.epoll < 0 || rt_waits_draining() || !listen_to(own, EPOLL_CTL_ADD, 0)) {
        return 0;
    }
    mine = apr_pcalloc(own->c->pool, sizeof(*mine));
    mine->sbh = own->c->sbh;
    mine->since = og_clock_mono();
    mine->unheard = 1;
    own->owned = mine;
    own->c->cs->state = CONN_STATE_SUSPENDED;
    rt_lot_return(own);
    rt_bell_nudge();
    return 1;
}

/* The MPM's last word about a connection that it has given up: it reads nothing of it
 * behind that. */
static int is_given_up(const rt_parking *own)
{
    return !atomic_load((_Atomic(ap_sb_handle_t *) *)&own->c->sbh);
}

/* What is not taken yet goes out when there is room, from a worker: it may be a file. */
static void wait_for_room(rt_parking *own)
{
    own->owned->sending = 1;
    own->timer.at = og_clock_mono() + own->c->base_server->timeout;
    rt_lot_hold(own, RT_SENDING);
    listen_to(own, EPOLL_CTL_MOD, 1);
}

/* What its socket said last is of no interest any more. */
static void forget_events(const rt_parking *own)
{
    int i;

    for (i = 0; i < owned.count; i++) {
        if (owned.events[i].data.ptr == own) {
            owned.events[i].data.ptr = NULL;
        }
    }
}

/* What is over is not freed before the MPM's worker is done with it. */
static void destroy(rt_parking *own)
{
    if (own->owned->since + KEPT_FOR > og_clock_mono()) {
        own->owned->ended = 1;
        own->timer.at = own->owned->since + KEPT_FOR;
        rt_lot_hold(own, RT_CLOSING);
        return;
    }
    forget_events(own);
    own->c->cs->state = CONN_STATE_SUSPENDED; /* as the MPM has counted it */
    apr_pool_destroy(own->c->pool);
}

/* RT_CLOSING: pass over what the client still sends */
static void read_on(rt_parking *own)
{
    apr_socket_t *socket = ap_get_conn_socket(own->c);
    apr_status_t rv = APR_SUCCESS;
    apr_size_t len;
    int i;

    for (i = 0; i < READS && rv == APR_SUCCESS; i++) {
        len = sizeof(owned.scratch);
        rv = apr_socket_recv(socket, owned.scratch, &len);
    }
    if (!APR_STATUS_IS_EAGAIN(rv) && rv != APR_SUCCESS) {
        rt_lot_take_back(own);
        destroy(own);
    }
    else if (rv == APR_SUCCESS) {
        listen_to(own, EPOLL_CTL_MOD, 0); /* says again what is there already */
    }
}

/* Whether the end of TLS fits into the socket: nothing here may wait for the client. A socket that
 * has failed takes all. */
static int takes_more(const rt_parking *own)
{
    struct pollfd socket = { fd_of(own), POLLOUT, 0 };

    return poll(&socket, 1, 0) > 0;
}

static void close_it(rt_parking *own)
{
    conn_rec *c = own->c;
    apr_socket_t *socket = ap_get_conn_socket(c);

    if (!c->aborted && !takes_more(own)) {
        wait_for_room(own);
        return;
    }
    apr_socket_timeout_set(socket, 0);
    if (ap_start_lingering_close(c)) {
        destroy(own);
        return;
    }
    apr_socket_opt_set(socket, APR_INCOMPLETE_READ, 0);
    own->timer.at = og_clock_mono()
                    + (rt_waits_draining() || apr_table_get(c->notes, "short-lingering-close")
                           ? CLOSING_SHORT
                           : CLOSING_WITHIN);
    rt_lot_hold(own, RT_CLOSING);
    read_on(own);
}

/* Find the scoreboard's line of this worker. 1: found */
static int find_line(int *child, int *line)
{
    apr_proc_t self = { .pid = getpid() };

    *child = ap_find_child_by_pid(&self);
    for (*line = 0; *child >= 0 && *line < ap_scoreboard_image->global->thread_limit; ++*line) {
        if (pthread_equal(ap_scoreboard_image->servers[*child][*line].tid, pthread_self())) {
            return 1;
        }
    }
    return 0;
}

/* A timed callback is not told where the MPM shows its worker. */
static void show_in_scoreboard(rt_parking *own)
{
    static _Thread_local int child, line, found;

    if (found || (found = find_line(&child, &line))) {
        ap_update_sb_handle(own->owned->sbh, child, line);
        own->c->sbh = own->owned->sbh;
    }
}

/* Run what the client asks for next. */
static void run(rt_parking *own)
{
    conn_rec *c = own->c;
    int rc;

    c->cs->state = CONN_STATE_PROCESSING;
    own->inside = 1;
    rc = ap_run_process_connection(c);
    own->inside = 0;
    if ((rc != OK && rc != DONE) || c->cs->state == CONN_STATE_PROCESSING) {
        c->cs->state = CONN_STATE_LINGER;
    }
    if (own->state != RT_WANTS && c->cs->state == CONN_STATE_WRITE_COMPLETION) {
        rt_client_push(c);
    }
}

/* Worker: what the notifier does not do itself, and back to it. */
static void work(void *data)
{
    rt_parking *own = data;

    show_in_scoreboard(own);
    if (ap_thread_current()) {
        own->c->current_thread = ap_thread_current();
    }
    if (own->by_worker) {
        own->by_worker = 0;
        rt_parking_answer(own, own->look);
    }
    else if (own->owned->sending) {
        rt_client_push(own->c);
    }
    else {
        run(own);
    }
    own->c->sbh = NULL;
    rt_lot_return(own);
    rt_bell_nudge();
}

/* Notifier: to a worker, and until RT_RETURNED it is not touched. */
static void give_to_worker(rt_parking *own)
{
    own->owned->unheard = 1;
    if (ap_mpm_register_timed_callback(LONG_PAST, work, own) != APR_SUCCESS) {
        own->owned->unheard = 0;
        own->c->aborted = 1;
        close_it(own);
    }
}

/* How often this thread has slept so far */
static long times_slept(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nvcsw;
}

/* Notifier: a poll that is known. */
static void run_here(rt_parking *own)
{
    apr_time_t began = og_clock_mono(), now;

    run(own);
    now = og_clock_mono();
    if (now - began > SLOW && times_slept() > owned.slept) {
        ap_log_cerror(APLOG_MARK, APLOG_INFO, 0, own->c, OGLOGNO(1524)
                      "a poll waited for %d ms before it was parked, of tokens, limits or a log; "
                      "workers run the next ones", (int)apr_time_as_msec(now - began));
        owned.workers_until = now + WORKERS_TAKE;
    }
    if (own->state != RT_WANTS) {
        own->owned->known = 0; /* refused, perhaps: nothing that is to be repeated here */
    }
}

static void go_on(rt_parking *own);

/* Notifier, no poll waits: see what the client wants. 0: nothing */
static int hear(rt_parking *own)
{
    switch (rt_parking_hear(own)) {
    case RT_NOTHING_CAME:
        return 0;
    case RT_END_CAME:
        close_it(own);
        return 1;
    default:
        if (own->head && own->head == own->owned->known
            && og_clock_mono() >= owned.workers_until) {
            run_here(own);
            go_on(own);
        }
        else {
            give_to_worker(own);
        }
        return 1;
    }
}

/* Notifier: until the client's next request. */
static void rest(rt_parking *own)
{
    if (own->owned->sending) {
        own->owned->sending = 0;
        listen_to(own, EPOLL_CTL_MOD, 0);
    }
    if (own->owned->unheard || own->c->data_in_input_filters) {
        own->owned->unheard = 0;
        if (hear(own)) {
            return;
        }
    }
    own->lingers = 0;
    own->timer.at = og_clock_mono() + own->c->base_server->timeout;
    if (!rt_lot_give_away(own, RT_IDLE)) {
        close_it(own);
    }
}

/* What a poll is known again by. Not one with a body, which has yet to come, nor one that came
 * behind what was heard: that head is another request's. */
static void recognize(rt_parking *own)
{
    own->owned->known = own->c->keepalives == own->heard_at && !ap_request_has_body(own->poll->r)
                            ? own->head
                            : 0;
}

/* Notifier, RT_WANTS: 1: parked */
static int park(rt_parking *own)
{
    rt_incoming came = RT_NOTHING_CAME;
    rt_look look;

    recognize(own);
    rt_parking_begin(own);
    if (own->owned->unheard) {
        came = rt_client_look(own->c, own->input);
        own->owned->unheard = came == RT_DATA_CAME;
    }
    look = came == RT_END_CAME ? RT_GONE : rt_parking_look_first(own, came);
    if (look == RT_NOTHING && rt_lot_give_away(own, RT_PARKED)) {
        return 1;
    }
    own->look = look;
    own->by_worker = own->poll->batch.bytes > RT_NOTIFIER_WRITES_MAX;
    if (!own->by_worker) {
        rt_parking_answer(own, look);
    }
    own->state = RT_BUSY;
    return 0;
}

/* Notifier: it has the connection, with whatever its request came to. */
static void go_on(rt_parking *own)
{
    conn_rec *c = own->c;
    conn_state_t *cs = c->cs;

    if (own->state == RT_WANTS && park(own)) {
        return;
    }
    if (own->by_worker) {
        give_to_worker(own);
        return;
    }
    if (own->poll) {
        rt_parking_end(own);
    }
    if (cs->state == CONN_STATE_SUSPENDED) {
        return; /* by another module, which has it now */
    }
    if (c->aborted || cs->state == CONN_STATE_LINGER) {
        close_it(own);
    }
    else if (c->data_in_output_filters
             || (cs->state == CONN_STATE_ASYNC_WAITIO && cs->sense == CONN_SENSE_WANT_WRITE)) {
        wait_for_room(own);
    }
    else if (cs->state == CONN_STATE_ASYNC_WAITIO
             || (c->keepalive == AP_CONN_KEEPALIVE && !rt_waits_draining())) {
        rest(own);
    }
    else {
        close_it(own);
    }
}

void rt_owned_serve(rt_parking *own)
{
    switch (own->state) {
    case RT_RETURNED:
        if (!is_given_up(own)) {
            sched_yield(); /* in a moment */
            rt_lot_return(own);
            return;
        }
        own->state = own->wants ? RT_WANTS : RT_BUSY;
        go_on(own);
        return;
    case RT_CLAIMED:
        if (rt_lot_serve(own)) {
            go_on(own);
        }
        return;
    case RT_CLOSING:
        rt_lot_take_back(own);
        own->c->aborted = 1;
        destroy(own);
        return;
    default: /* it was idle for too long, or the child ends; or its client takes nothing */
        own->c->aborted |= own->state == RT_SENDING;
        apr_table_setn(own->c->notes, "short-lingering-close", "1"); /* nothing is on its way */
        rt_lot_take_back(own);
        close_it(own);
    }
}

/* Notifier: a socket said something. */
static void heard(rt_parking *own, int room)
{
    rt_incoming came;

    switch (own->state) {
    case RT_PARKED:
        rt_lot_take_back(own);
        came = rt_client_look(own->c, own->input);
        if (came == RT_NOTHING_CAME && rt_lot_give_away(own, RT_PARKED)) {
            return;
        }
        own->owned->unheard = came == RT_DATA_CAME;
        rt_parking_answer(own, rt_parking_outcome(came));
        go_on(own);
        return;
    case RT_IDLE:
        rt_lot_take_back(own);
        own->owned->unheard = 1;
        rest(own);
        return;
    case RT_SENDING:
        if (room) {
            rt_lot_take_back(own);
            give_to_worker(own);
        }
        return;
    case RT_CLOSING:
        if (!own->owned->ended) {
            read_on(own);
        }
        return;
    default: /* a worker has it, and who gets it back looks */
        return;
    }
}

int rt_owned_is_open(void)
{
    return owned.epoll >= 0;
}

int rt_owned_sleep(int timeout)
{
    int n = epoll_wait(owned.epoll, owned.events, BATCH, timeout);

    owned.count = n > 0 ? n : 0;
    return n;
}

/* What the sockets behind one need. */
static void fetch_ahead(int at)
{
    const rt_parking *behind[RT_AHEAD_SOCKETS];
    int i;

    for (i = 0; i < RT_AHEAD_SOCKETS; i++) {
        behind[i] = ++at < owned.count ? owned.events[at].data.ptr : NULL;
    }
    rt_ahead_sockets(behind);
}

/* Whether more said something than the doorbell. */
static int any_socket(void)
{
    return owned.count > 1 || (owned.count == 1 && owned.events[0].data.ptr);
}

int rt_owned_listen(int *more)
{
    const int count = owned.count;
    int i;

    if (any_socket()) {
        sched_yield(); /* who has answers to give, here or in another child, goes first */
        owned.slept = times_slept();
    }
    for (i = 0; i < count; i++) {
        rt_parking *own = owned.events[i].data.ptr;

        fetch_ahead(i);
        if (own) { /* else the doorbell, which is to wake and no more, or it is gone */
            heard(own, (owned.events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0);
        }
    }
    owned.count = 0;
    *more = count == BATCH;
    return count > 0;
}

#else

void rt_owned_open(server_rec *s)
{
}

int rt_owned_adopt(rt_parking *own)
{
    return 0;
}

int rt_owned_is_open(void)
{
    return 0;
}

int rt_owned_sleep(int timeout)
{
    return 0;
}

int rt_owned_listen(int *more)
{
    *more = 0;
    return 0;
}

void rt_owned_serve(rt_parking *own)
{
}

#endif
