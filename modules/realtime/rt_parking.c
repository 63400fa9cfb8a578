/* SPDX-FileCopyrightText: The orgscale authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A connection and the poll that it is at, see rt_parking.h. */
#include "rt_parking.h"

#include "rt_head.h"

#include <http_request.h>

rt_incoming rt_parking_hear(rt_parking *own)
{
    char text[RT_HEAD_MAX + 1];
    apr_size_t len = sizeof(text);
    rt_incoming came = rt_client_peek(own->c, own->input, text, &len);

    if (came != RT_DATA_CAME || !rt_head_hash(&own->head, text, len, rt_segment_seed())) {
        own->head = 0;
    }
    own->heard_at = own->c->keepalives;
    return came;
}

void rt_parking_begin(rt_parking *own)
{
    rt_poll *poll = own->poll;

    own->rung = 0;
    own->lingers = 0;
    own->by_worker = 0;
    own->tidied = 0;
    own->timer.at = rt_lot_first_look(poll);
    own->wait.key = poll->place.key;
    own->wait.tab = poll->tab;
    poll->wait = &own->wait;
}

rt_look rt_parking_look_first(rt_parking *own, rt_incoming came)
{
    rt_look look;

    if (own->c->data_in_output_filters) {
        rt_client_push(own->c); /* an answer before this one, which did not wait to be sent alone */
    }
    if (!own->c->data_in_output_filters && !own->c->aborted && came != RT_DATA_CAME
        && rt_waits_join(&own->wait)) {
        return rt_poll_look(own->poll, 1);
    }
    look = rt_poll_look(own->poll, 0);
    return look == RT_NOTHING ? RT_FULL : look;
}

rt_look rt_parking_outcome(rt_incoming came)
{
    if (came == RT_END_CAME && !rt_waits_draining()) {
        return RT_GONE;
    }
    return came == RT_DATA_CAME ? RT_FULL : RT_NOTHING;
}

void rt_parking_answer(rt_parking *own, rt_look look)
{
    own->state = RT_BUSY;
    rt_poll_stop_waiting(own->poll);
    rt_waits_leave(&own->wait);
    rt_poll_answer(own->poll, look);
    rt_client_push(own->c);
    rt_poll_written(own->poll);
}

int rt_parking_end(rt_parking *own)
{
    conn_rec *c = own->c;
    request_rec *r = own->poll->r;

    own->poll = NULL;
    ap_process_request_after_handler(r);
    return c->cs->state == CONN_STATE_WRITE_COMPLETION && c->keepalive == AP_CONN_KEEPALIVE
           && !c->aborted && !c->data_in_output_filters;
}
