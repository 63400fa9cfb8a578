/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A poller: many polls, each on a connection of its own that it keeps. An answer is followed at
 * once by the next poll with its cursor, unless it says when to come back.
 *
 *   CLOSED ──→ CONNECTING ──→ ASKED ──answer──→ ASKED …
 *     ↑            │ failed     │ lost, closed, or told to pause
 *     └── PAUSED ←─┴────────────┘   (PAUSED may still have its connection) */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH     (512 * 1024)
#define STARTING    32       /* polls of a poller that are on their way at once, at first */
#define TICK        10000    /* microseconds: pauses end so exactly */
#define WHEEL       1024     /* ticks: the longest pause */
#define LATE        10000000 /* microseconds behind its time, and an answer will not come */
#define AFTER_ERROR 200000   /* microseconds, at most, until the next try */
#define CROSSED     100000   /* microseconds: a request that met the end of its connection */

typedef enum { CLOSED, CONNECTING, ASKED, PAUSED } poll_state;

typedef struct poll_conn {
    int fd;
    unsigned int number;       /* of all polls */
    poll_state state;
    int settled;               /* it has been parked once */
    int used;                  /* an answer came on this connection */
    int64_t asked;             /* when the state began */
    char cursor[LOAD_CURSOR];
    char *part;                /* an answer that is not complete; NULL: none */
    size_t part_len;
    struct poll_conn *paused;  /* next of the wheel's list */
} poll_conn;

typedef struct poller {
    const load_plan *plan;
    load_shared *shared;
    load_counts *counts;
    int epoll, n, opened, starting;
    poll_conn *conns;
    poll_conn *wheel[WHEEL];
    int64_t began, ticked, swept;
    char *scratch;
    unsigned int random;
} poller;

static const load_org *org_of(const poller *own, const poll_conn *conn)
{
    return &own->plan->orgs[conn->number % (unsigned int)own->plan->norgs];
}

static void set_state(poller *own, poll_conn *conn, poll_state state)
{
    int was = conn->state == ASKED && conn->settled;

    if (state == ASKED && !conn->settled
        && (*conn->cursor || own->plan->speech == LOAD_NCHAN)) {
        conn->settled = 1;
        own->starting--;
    }
    atomic_fetch_add(&own->counts->parked, (state == ASKED && conn->settled) - was);
    conn->state = state;
    conn->asked = load_now();
}

static void pause_for(poller *own, poll_conn *conn, int64_t micros)
{
    int64_t ticks = micros / TICK + 1;
    poll_conn **list;

    list = &own->wheel[(own->ticked + (ticks < WHEEL ? ticks : WHEEL - 1)) % WHEEL];
    conn->paused = *list;
    *list = conn;
    set_state(own, conn, PAUSED);
}

static void shut(poll_conn *conn)
{
    if (conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
    free(conn->part);
    conn->part = NULL;
    conn->part_len = 0;
    conn->used = 0;
}

static void fail(poller *own, poll_conn *conn, load_error error)
{
    own->counts->errors[error]++;
    shut(conn);
    if (conn->state == PAUSED) {
        return; /* it is on the wheel, and connects again */
    }
    own->random = own->random * 1103515245 + 12345;
    pause_for(own, conn, (own->random >> 8) % AFTER_ERROR);
}

static void watch(poller *own, poll_conn *conn, int op, uint32_t events)
{
    struct epoll_event event = { .events = events, .data = { .ptr = conn } };

    epoll_ctl(own->epoll, op, conn->fd, &event);
}

static void open_poll(poller *own, poll_conn *conn)
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

static void ask(poller *own, poll_conn *conn)
{
    char text[LOAD_TARGET];
    int len = load_write_poll(own->plan, org_of(own, conn), conn->cursor, text);

    if (send(conn->fd, text, (size_t)len, MSG_NOSIGNAL) == len) {
        set_state(own, conn, ASKED);
    }
    else if (conn->used) {
        own->counts->stale++;
        shut(conn);
        open_poll(own, conn);
    }
    else {
        fail(own, conn, LOAD_E_RESET);
    }
}

/* The connection ended. Between two requests a server may do that; a request that crossed it on its
 * way is simply sent again. */
static void lost(poller *own, poll_conn *conn)
{
    if (conn->state == PAUSED) {
        shut(conn);
    }
    else if (conn->state == ASKED && conn->used && !conn->part
             && load_now() - conn->asked < CROSSED) {
        own->counts->stale++;
        shut(conn);
        open_poll(own, conn);
    }
    else {
        fail(own, conn, conn->state == CONNECTING ? LOAD_E_CONNECT : LOAD_E_RESET);
    }
}

/* An event arrived: account for it. */
static void take_event(poller *own, const poll_conn *conn, int64_t n, int64_t now)
{
    unsigned int norgs = (unsigned int)own->plan->norgs;
    uint8_t *bits = own->shared->received + (size_t)conn->number * own->shared->per_poll;
    uint32_t nth;

    if (n < 0 || n >= own->plan->events
        || load_org_of(own->plan, (uint32_t)n) != conn->number % norgs) {
        own->counts->errors[LOAD_E_FOREIGN]++;
        return;
    }
    nth = (uint32_t)n / norgs;
    if (bits[nth / 8] >> (nth % 8) & 1) {
        own->counts->duplicates++;
        return;
    }
    bits[nth / 8] |= (uint8_t)(1 << nth % 8);
    atomic_fetch_add(&own->counts->delivered, 1);
    load_latency_add(own->counts, now - (atomic_load(&own->shared->start)
                                         + n * 1000000 / own->plan->rate));
}

/* A poll's answer of the right status. */
static void take_answer(poller *own, poll_conn *conn, const load_answer *answer)
{
    const char *at = answer->body, *end = at + answer->body_len;
    int64_t n, now = load_now();
    load_news news;
    int any = 0;

    while ((n = load_next_event(&at, end)) >= 0) {
        take_event(own, conn, n, now);
        any = 1;
    }
    if (!load_read_news(own->plan, answer, &news)) {
        fail(own, conn, LOAD_E_PARSE);
        return;
    }
    if (*news.cursor) {
        memcpy(conn->cursor, news.cursor, sizeof(conn->cursor));
    }
    own->counts->empty += !any && conn->settled;
    own->counts->drained += news.drain;
    own->counts->paced += news.retry_ms && !news.drain;
    own->counts->errors[LOAD_E_GAP] += news.gap;
    if (answer->closes) {
        shut(conn);
    }
    if (news.retry_ms) {
        pause_for(own, conn, (int64_t)news.retry_ms * 1000);
    }
    else if (conn->fd < 0) {
        open_poll(own, conn);
    }
    else {
        ask(own, conn);
    }
}

static void take_text(poller *own, poll_conn *conn, const char *text, size_t len)
{
    load_answer answer;
    int is = load_answer_parse(text, len, &answer);

    if (is == 0) {
        char *part = malloc(len + 1);

        memcpy(part, text, len + 1);
        free(conn->part);
        conn->part = part;
        conn->part_len = len;
        return;
    }
    if (is < 0 || len > answer.size || conn->state != ASKED) {
        fail(own, conn, LOAD_E_PARSE);
        return;
    }
    free(conn->part);
    conn->part = NULL;
    conn->part_len = 0;
    conn->used = 1;
    atomic_fetch_add(&own->counts->answers, 1);
    /* nchan ends a wait without events by 408 */
    if (answer.status == 200 || (own->plan->speech == LOAD_NCHAN && answer.status == 408)) {
        take_answer(own, conn, &answer);
    }
    else {
        own->counts->status[answer.status]++;
        fail(own, conn, LOAD_E_STATUS);
    }
}

static void on_readable(poller *own, poll_conn *conn)
{
    size_t have = conn->part_len;
    ssize_t got;

    if (have) {
        memcpy(own->scratch, conn->part, have);
    }
    got = recv(conn->fd, own->scratch + have, SCRATCH - 1 - have, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        lost(own, conn);
        return;
    }
    own->scratch[have + (size_t)got] = '\0';
    take_text(own, conn, own->scratch, have + (size_t)got);
}

static void on_event(poller *own, const struct epoll_event *event)
{
    poll_conn *conn = event->data.ptr;
    socklen_t len = sizeof(int);
    int error = 0;

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

/* Those whose pause is over. */
static void turn_wheel(poller *own, int64_t now)
{
    while (own->ticked < now / TICK) {
        poll_conn *conn = own->wheel[++own->ticked % WHEEL], *next;

        own->wheel[own->ticked % WHEEL] = NULL;
        for (; conn; conn = next) {
            next = conn->paused;
            if (conn->fd < 0) {
                open_poll(own, conn);
            }
            else {
                ask(own, conn);
            }
        }
    }
}

/* Whose answer is overdue */
static void sweep(poller *own, int64_t now)
{
    int i;

    own->swept = now;
    for (i = 0; i < own->opened; i++) {
        poll_conn *conn = &own->conns[i];
        int64_t limit = LATE + (conn->state == ASKED ? own->plan->wait * (int64_t)1000000 : 0);

        if (conn->state != PAUSED && now - conn->asked > limit) {
            fail(own, conn, conn->state == ASKED ? LOAD_E_TIMEOUT : LOAD_E_CONNECT);
        }
    }
}

/* Polls are opened evenly over the time of the ramp, or, without one, as fast as the
 * server parks. */
static void start_some(poller *own)
{
    int64_t ramp = own->plan->ramp * (int64_t)1000000;
    int64_t may = ramp ? (load_now() - own->began) * own->n / ramp : own->n;

    while (own->opened < own->n && own->opened < may && own->starting < STARTING) {
        own->starting++;
        open_poll(own, &own->conns[own->opened++]);
    }
}

/* Every pollers-th poll is ours. */
static void prepare(poller *own, const load_plan *plan, load_shared *shared, int which)
{
    int i;

    own->plan = plan;
    own->shared = shared;
    own->counts = &shared->counts[which];
    own->random = (unsigned int)which;
    own->epoll = epoll_create1(0);
    own->scratch = malloc(SCRATCH);
    own->n = (plan->polls - which + plan->pollers - 1) / plan->pollers;
    own->conns = calloc((size_t)own->n + 1, sizeof(*own->conns));
    own->began = own->swept = load_now();
    own->ticked = own->swept / TICK;
    if (own->epoll < 0 || !own->scratch || !own->conns) {
        perror("pollload: poller");
        _exit(1);
    }
    for (i = 0; i < own->n; i++) {
        own->conns[i].fd = -1;
        own->conns[i].number = (unsigned int)(which + i * plan->pollers);
    }
}

void load_poller(const load_plan *plan, load_shared *shared, int which)
{
    static poller own;
    struct epoll_event events[512];

    prepare(&own, plan, shared, which);
    while (atomic_load(&shared->phase) != LOAD_ENDED) {
        int n, i;

        start_some(&own);
        n = epoll_wait(own.epoll, events, 512, TICK / 1000);
        for (i = 0; i < n; i++) {
            on_event(&own, &events[i]);
        }
        turn_wheel(&own, load_now());
        if (load_now() - own.swept > 1000000) {
            sweep(&own, load_now());
        }
    }
}
