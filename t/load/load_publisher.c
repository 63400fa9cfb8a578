/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The publisher sends each event when it is due, on whichever kept connection is free, or on a new
 * one. It never waits for an answer before the next event; only when all CONNS wait for one do
 * events queue, and then their latency counts the queueing. An event whose answer did not come is
 * sent again: its id makes it a duplicate if it was taken. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CONNS       256
#define ANSWER_MAX  4096
#define LATE        10000000 /* microseconds, and the answer will not come */
#define AGAIN_AFTER 50000    /* microseconds from an error to the next try */

typedef enum { FREE, CONNECTING, ASKED, PAUSED } pub_state;

typedef struct pub_conn {
    int fd;
    unsigned int number;
    pub_state state;
    int used;            /* an answer came on this connection */
    uint32_t event;      /* unless FREE: the one it has to publish */
    int64_t since;       /* when the state began */
    char text[ANSWER_MAX + 1];
    size_t len;
} pub_conn;

typedef struct publisher {
    const load_plan *plan;
    load_shared *shared;
    load_counts *counts;
    int epoll, timer;
    uint32_t next;       /* event to send */
    int busy;            /* connections that are not FREE */
    pub_conn conns[CONNS];
} publisher;

static int64_t due(const publisher *own, uint32_t n)
{
    return atomic_load(&own->shared->start) + (int64_t)n * 1000000 / own->plan->rate;
}

static void set_state(publisher *own, pub_conn *conn, pub_state state)
{
    own->busy += (state != FREE) - (conn->state != FREE);
    conn->state = state;
    conn->since = load_now();
}

static void shut(pub_conn *conn)
{
    if (conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
    conn->used = 0;
    conn->len = 0;
}

/* It is tried again after a moment, by look_after(). */
static void fail(publisher *own, pub_conn *conn, load_error error)
{
    own->counts->errors[error]++;
    shut(conn);
    set_state(own, conn, PAUSED);
}

static void watch(publisher *own, pub_conn *conn, int op, uint32_t events)
{
    struct epoll_event event = { .events = events, .data = { .ptr = conn } };

    epoll_ctl(own->epoll, op, conn->fd, &event);
}

static void open_conn(publisher *own, pub_conn *conn)
{
    conn->fd = load_connect(own->plan, conn->number);
    own->counts->opened++;
    if (conn->fd < 0) {
        fail(own, conn, LOAD_E_CONNECT);
        return;
    }
    set_state(own, conn, CONNECTING);
    watch(own, conn, EPOLL_CTL_ADD, EPOLLOUT);
}

static void ask(publisher *own, pub_conn *conn)
{
    const load_org *org = &own->plan->orgs[load_org_of(own->plan, conn->event)];
    char text[LOAD_TARGET];
    int len = load_write_event(own->plan, org, conn->event, atomic_load(&own->shared->start), text);

    if (send(conn->fd, text, (size_t)len, MSG_NOSIGNAL) == len) {
        set_state(own, conn, ASKED);
    }
    else if (conn->used) {
        own->counts->stale++;
        shut(conn);
        open_conn(own, conn);
    }
    else {
        fail(own, conn, LOAD_E_RESET);
    }
}

/* The connection ended: between two requests, or a request crossed it, or an error. */
static void lost(publisher *own, pub_conn *conn)
{
    int fresh = load_now() - conn->since < 100000;

    if (conn->state == FREE) {
        shut(conn);
    }
    else if (conn->state == ASKED && conn->used && !conn->len && fresh) {
        own->counts->stale++;
        shut(conn);
        open_conn(own, conn);
    }
    else {
        fail(own, conn, conn->state == CONNECTING ? LOAD_E_CONNECT : LOAD_E_RESET);
    }
}

static int is_taken(const load_plan *plan, int status)
{
    return plan->speech == LOAD_ORGSCALE ? status == 202 : status == 201 || status == 202;
}

static void on_readable(publisher *own, pub_conn *conn)
{
    ssize_t got = recv(conn->fd, conn->text + conn->len, ANSWER_MAX - conn->len, 0);
    load_answer answer;
    int is;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        lost(own, conn);
        return;
    }
    conn->len += (size_t)got;
    conn->text[conn->len] = '\0';
    is = load_answer_parse(conn->text, conn->len, &answer);
    if (is == 0 && conn->len < ANSWER_MAX) {
        return;
    }
    if (is <= 0 || conn->len > answer.size || conn->state != ASKED) {
        fail(own, conn, LOAD_E_PARSE);
        return;
    }
    conn->len = 0;
    conn->used = 1;
    if (!is_taken(own->plan, answer.status)) {
        own->counts->status[answer.status]++;
        fail(own, conn, LOAD_E_STATUS);
        return;
    }
    own->shared->acked[conn->event] = 1;
    atomic_fetch_add(&own->counts->acked, 1);
    if (answer.closes) {
        shut(conn);
    }
    set_state(own, conn, FREE);
}

static void on_event(publisher *own, const struct epoll_event *event)
{
    pub_conn *conn = event->data.ptr;
    socklen_t len = sizeof(int);
    uint64_t expired;
    int error = 0;

    if (!conn) {
        if (read(own->timer, &expired, sizeof(expired)) < 0) {
            return; /* it was set anew meanwhile */
        }
        return;
    }
    if (conn->state != CONNECTING) {
        on_readable(own, conn);
        return;
    }
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
        fail(own, conn, LOAD_E_CONNECT);
        return;
    }
    watch(own, conn, EPOLL_CTL_MOD, EPOLLIN);
    ask(own, conn);
}

/* A free connection, rather one that is open. NULL: none */
static pub_conn *free_conn(publisher *own)
{
    pub_conn *closed = NULL;
    int i;

    for (i = 0; i < CONNS; i++) {
        if (own->conns[i].state == FREE && own->conns[i].fd >= 0) {
            return &own->conns[i];
        }
        if (own->conns[i].state == FREE && !closed) {
            closed = &own->conns[i];
        }
    }
    return closed;
}

static void send_due(publisher *own)
{
    uint32_t limit = atomic_load(&own->shared->limit);
    int64_t now = load_now();
    pub_conn *conn;

    while (own->next < limit && due(own, own->next) <= now && (conn = free_conn(own))) {
        conn->event = own->next++;
        atomic_fetch_add(&own->counts->sent, 1);
        if (conn->fd >= 0) {
            ask(own, conn);
        }
        else {
            open_conn(own, conn);
        }
    }
}

/* Who waits too long, and who may try again. */
static void look_after(publisher *own)
{
    int64_t now = load_now();
    int i;

    for (i = 0; i < CONNS; i++) {
        pub_conn *conn = &own->conns[i];

        if (conn->state == PAUSED && now - conn->since > AGAIN_AFTER) {
            open_conn(own, conn);
        }
        else if ((conn->state == ASKED || conn->state == CONNECTING) && now - conn->since > LATE) {
            fail(own, conn, conn->state == ASKED ? LOAD_E_TIMEOUT : LOAD_E_CONNECT);
        }
    }
}

static void set_timer(publisher *own)
{
    int64_t at = due(own, own->next);
    struct itimerspec when = { .it_value = { at / 1000000, at % 1000000 * 1000 } };

    timerfd_settime(own->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void prepare(publisher *own, const load_plan *plan, load_shared *shared, int which)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = NULL } };
    int i;

    own->plan = plan;
    own->shared = shared;
    own->counts = &shared->counts[which];
    own->epoll = epoll_create1(0);
    own->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (own->epoll < 0 || own->timer < 0
        || epoll_ctl(own->epoll, EPOLL_CTL_ADD, own->timer, &event) < 0) {
        perror("pollload: publisher");
        _exit(1);
    }
    for (i = 0; i < CONNS; i++) {
        own->conns[i].fd = -1;
        own->conns[i].number = (unsigned int)(plan->polls + i);
    }
}

void load_publisher(const load_plan *plan, load_shared *shared, int which)
{
    static publisher own;
    struct epoll_event events[64];

    prepare(&own, plan, shared, which);
    while (atomic_load(&shared->phase) != LOAD_ENDED) {
        int n, i;

        if (atomic_load(&shared->phase) == LOAD_PUBLISHING) {
            send_due(&own);
            set_timer(&own);
        }
        n = epoll_wait(own.epoll, events, 64, 10);
        for (i = 0; i < n; i++) {
            on_event(&own, &events[i]);
        }
        look_after(&own);
        atomic_store(&shared->published, own.next >= atomic_load(&shared->limit) && !own.busy);
    }
}
