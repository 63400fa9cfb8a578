/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* pollload: many parked long polls, and a publisher that waits for nobody.
 *
 * One process a part: the coordinator (pollload.c), which measures the server and reports; pollers
 * (load_poller.c), each with its share of the polls; one publisher (load_publisher.c). They share
 * one block of memory that the coordinator maps before it forks. In it each word has one writer:
 * counts[i] is process i's, received[] bytes are the poller's whose poll it is, acked[] is the
 * publisher's, phase and start are the coordinator's. Words that others read while they change are
 * atomic; the rest is read when its writer has ended.
 *
 * Events are numbered from 0 and event n is due at start + n / rate, whatever became of the ones
 * before; its latency counts from then. Each goes to one organisation in turn, so its number says
 * whose it is, and that it came to another one shows. */
#ifndef LOAD_H
#define LOAD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOAD_HIST     4096 /* buckets of latency, each at most 1/128 wide */
#define LOAD_STATUS   600
#define LOAD_PROCS    64
#define LOAD_TARGET   2048 /* bytes of a request */
#define LOAD_CURSOR   96

/* What is sent and how answers are read: orgscale's endpoint, or nchan's long poll. */
typedef enum { LOAD_ORGSCALE, LOAD_NCHAN } load_speech;

typedef struct load_org {
    int64_t id;
    const char *token; /* NULL: none is sent */
} load_org;

/* The command line. */
typedef struct load_plan {
    load_speech speech;
    int port;
    const char *path;   /* orgscale's, before /subscribe and /publish */
    const char *tokens; /* file of "org token" lines */
    int polls, norgs, pollers, rate, seconds, wait, idle, drain, ramp;
    pid_t server;       /* the root of its processes; 0: not measured */
    load_org *orgs;
    uint32_t events;    /* rate * seconds */
} load_plan;

typedef enum {
    LOAD_CONNECTING, /* polls ask, and are parked */
    LOAD_PUBLISHING,
    LOAD_DRAINING,   /* no more is published; what is missing may come */
    LOAD_ENDED
} load_phase;

typedef enum {
    LOAD_E_CONNECT, /* no connection, or none in time */
    LOAD_E_RESET,   /* it ended while an answer was awaited */
    LOAD_E_STATUS,  /* not the status of the protocol */
    LOAD_E_PARSE,   /* an answer that is none */
    LOAD_E_TIMEOUT, /* no answer long after its time */
    LOAD_E_GAP,     /* events were evicted, or the cursor was not known */
    LOAD_E_FOREIGN, /* an event of another organisation, or one that never was */
    LOAD_ERRORS
} load_error;

typedef struct load_counts {
    atomic_int parked;      /* polls whose answer is awaited, the first short ones aside */
    atomic_long delivered;  /* events, each counted once a poll */
    atomic_long answers;
    long duplicates;
    long empty;             /* answers without events: turnover */
    long paced;             /* … that say when to come back, for want of places */
    long drained;           /* … because the child ends */
    long stale;             /* a kept-alive connection was gone when the next request was sent */
    long opened;            /* connections */
    atomic_long acked;      /* publisher: events whose publication was confirmed */
    atomic_long sent;       /* publisher: events that were sent at least once */
    long errors[LOAD_ERRORS];
    uint32_t status[LOAD_STATUS]; /* unexpected ones */
    uint32_t latency[LOAD_HIST];
    int64_t latest;         /* the longest latency */
} load_counts;

typedef struct load_shared {
    atomic_int phase;
    _Atomic int64_t start;  /* CLOCK_MONOTONIC microseconds; event 0 is due */
    atomic_uint limit;      /* events from this number on are not published */
    atomic_int published;   /* the publisher has no more to send, and no answer to wait for */
    size_t per_poll;        /* bytes of received[] a poll */
    uint8_t *received;      /* a bit an event of its organisation */
    uint8_t *acked;         /* a byte an event */
    load_counts counts[LOAD_PROCS]; /* pollers, then the publisher */
} load_shared;

/* Which organisation event n is for: in turn, but not in the order that polls were opened. */
uint32_t load_org_of(const load_plan *plan, uint32_t n);

int64_t load_now(void); /* CLOCK_MONOTONIC, microseconds */

/* A non-blocking connection to the server from an address of number's own. -1: failed */
int load_connect(const load_plan *plan, unsigned int number);

void load_poller(const load_plan *plan, load_shared *shared, int which);
void load_publisher(const load_plan *plan, load_shared *shared, int which);

/* load_wire.c: requests and answers */

typedef struct load_answer {
    int status;
    int closes;            /* Connection: close */
    size_t size;           /* all of it */
    const char *body;
    size_t body_len;
    const char *etag, *modified; /* values, NULL: absent; not terminated */
    size_t etag_len, modified_len;
} load_answer;

/* What a poller needs of a poll's answer. */
typedef struct load_news {
    char cursor[LOAD_CURSOR]; /* of the next request; empty: as before */
    int retry_ms;
    int drain, gap;
} load_news;

/* 1: an answer is complete, 0: more must come, -1: it is none */
int load_answer_parse(const char *text, size_t len, load_answer *answer);

/* The next event's number in a body from *at on, which moves behind it. -1: no more */
int64_t load_next_event(const char **at, const char *end);

/* 0: a body that is not of the protocol */
int load_read_news(const load_plan *plan, const load_answer *answer, load_news *news);

/* A request into LOAD_TARGET bytes; returns its length. cursor empty: the first of a poll. */
int load_write_poll(const load_plan *plan, const load_org *org, const char *cursor, char *to);
int load_write_event(const load_plan *plan, const load_org *org, uint32_t n, int64_t run, char *to);

/* load_proc.c: the server's processes */

typedef struct load_usage {
    int64_t cpu;     /* microseconds, of ended ones too */
    int64_t pss;     /* KiB; -1: not to be had */
    int processes;
} load_usage;

/* Of root and all below it. with_memory: fill pss. */
void load_usage_of(pid_t root, int with_memory, load_usage *usage);

/* load_report.c */

typedef struct load_outcome {
    int parked;
    int64_t pss_before, pss_parked, pss_after; /* KiB; after: all parked again, at the end */
    double idle_percent, idle_answers; /* of one core; answers meanwhile */
    int64_t cpu;                    /* microseconds from the first event to the last delivery */
    double seconds;                 /* that this took */
} load_outcome;

void load_latency_add(load_counts *counts, int64_t micros);
void load_report(const load_plan *plan, load_shared *shared, const load_outcome *outcome);

#endif /* LOAD_H */
