/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Memory that is needed soon, see rt_ahead.h. One goes through the stages from the farthest on,
 * since each reads pointers that the one before it has fetched. */
#include "rt_ahead.h"

#include <util_filter.h>

#define LINE 64

/* What an answer writes into its request's pool: headers, JSON, buckets' texts */
#define ANSWER 1536

/* The head of what is opaque, as pools and allocators of buckets are */
#define HEAD 128

static void fetch(const void *at, apr_size_t bytes)
{
    const char *line = at, *end = line + bytes;

    for (; line < end; line += LINE) {
        __builtin_prefetch(line, 1);
    }
}

static void fetch_parking(const rt_parking *own)
{
    if (own) {
        fetch(own, sizeof(*own));
    }
}

static void fetch_allocators(const conn_rec *c)
{
    fetch(c->pool, HEAD);
    fetch(c->bucket_alloc, HEAD);
}

/* Where nobody else has it: what a worker has, it writes. */
static int is_claimed(const rt_parking *own)
{
    return own && own->state == RT_CLAIMED;
}

static void fetch_poll(const rt_parking *own)
{
    if (is_claimed(own)) {
        fetch(own->poll, sizeof(*own->poll));
        fetch(own->c, sizeof(*own->c));
    }
}

static void fetch_request(const rt_parking *own)
{
    if (is_claimed(own)) {
        fetch(own->poll->r, sizeof(*own->poll->r));
        fetch_allocators(own->c);
    }
}

static void fetch_reply(const rt_parking *own)
{
    if (is_claimed(own)) {
        const request_rec *r = own->poll->r;

        fetch(r->headers_out, sizeof(apr_array_header_t));
        fetch(r->output_filters, sizeof(*r->output_filters));
        fetch(apr_palloc(r->pool, 0), ANSWER);
    }
}

static const rt_parking *behind(const rt_parking *own)
{
    return own ? own->queued : NULL;
}

void rt_ahead_answers(const rt_parking *next)
{
    const rt_parking *second = behind(next), *third = behind(second);

    fetch_parking(behind(third));
    fetch_poll(third);
    fetch_request(second);
    fetch_reply(next);
}

/* As above, of a connection whose socket the notifier watches */
static int is_mine(const rt_parking *own)
{
    return own && (own->state == RT_PARKED || own->state == RT_IDLE);
}

static void fetch_connection(const rt_parking *own)
{
    if (is_mine(own)) {
        fetch(own->c, sizeof(*own->c));
        fetch(own->room, sizeof(*own->room));
        fetch(own->input, sizeof(*own->input));
        fetch(own->owned, 1);
    }
}

static void fetch_reading(const rt_parking *own)
{
    if (is_mine(own)) {
        const conn_rec *c = own->c;

        fetch_allocators(c);
        fetch(c->cs, sizeof(*c->cs));
        fetch(c->input_filters, sizeof(*c->input_filters));
        fetch(c->conn_config, HEAD);
    }
}

void rt_ahead_sockets(const rt_parking *const next[RT_AHEAD_SOCKETS])
{
    fetch_parking(next[2]);
    fetch_connection(next[1]);
    fetch_reading(next[0]);
}
